//! Options of layers: of a directory of them, and of images.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::cli::commands::pack::archive::Tuning;
use crate::cli::options::numbers;
use crate::engine::images::{LayerOptions, Layering};
use crate::error::Error;
use crate::model::compression::Compression;
use crate::model::image::MOST_LAYERS;
use crate::model::layers::LayerPolicy;
use crate::model::path::TreePath;

/// Where an environment lies in an image that does not say so.
const USUAL_PREFIX: &str = "opt/venv";
/// How many layers there are at most unless somebody says otherwise: what images are put on has
/// some of its own.
const USUAL_MOST: u16 = 100;

/// Options of layers.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Layers")]
pub(super) struct LayerArguments {
    /// Write the environment's layers into this new directory, each as a tar archive, and what
    /// they are into layers.json beside them. Images are made of such layers, too.
    #[arg(long, value_name = "DIR")]
    pub layers: Option<Utf8PathBuf>,
    /// Which wheels are layers of their own: large ones (auto), each (wheel), or none, in one
    /// layer of everything (one) [default: auto].
    #[arg(long, value_name = "POLICY", value_parser = policy())]
    layer_policy: Option<LayerPolicy>,
    /// Make at most N layers: the largest wheels are alone then [default: 100].
    #[arg(long, value_name = "N", value_parser = |text: &str| numbers::count(text, MOST_LAYERS as u16))]
    max_layers: Option<u16>,
    /// How layers are compressed: gzip, zstd or none [default: gzip].
    #[arg(long, value_name = "METHOD", value_parser = compression())]
    compression: Option<Compression>,
}

fn policy() -> impl clap::builder::TypedValueParser<Value = LayerPolicy> {
    let names = LayerPolicy::ALL.map(LayerPolicy::name);
    PossibleValuesParser::new(names).map(|text| {
        let named = LayerPolicy::ALL.into_iter().find(|policy| policy.name() == text);
        named.expect("only names are possible")
    })
}

fn compression() -> impl clap::builder::TypedValueParser<Value = Compression> {
    PossibleValuesParser::new(["gzip", "zstd", "none"]).map(|text| match text.as_str() {
        "gzip" => Compression::GZIP,
        "zstd" => Compression::ZSTD,
        _ => Compression::None,
    })
}

/// What is to become of the options of layers.
#[derive(Debug)]
pub(super) struct LayerRequest {
    policy: LayerPolicy,
    most: usize,
    compression: Compression,
    tuning: Tuning,
    prefix: TreePath,
}

impl LayerArguments {
    /// The first option that was given and is about layers.
    pub(super) fn given(&self) -> Option<&'static str> {
        let options = [
            (self.layer_policy.is_some(), "--layer-policy"),
            (self.max_layers.is_some(), "--max-layers"),
            (self.compression.is_some(), "--compression"),
        ];
        options.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
    }

    /// What they mean.
    pub(super) fn request(
        &self,
        tuning: Tuning,
        prefix: Option<TreePath>,
    ) -> Result<LayerRequest, Error> {
        let compression = tuning.leveled(self.compression.unwrap_or(Compression::GZIP))?;
        let usual = || TreePath::parse(USUAL_PREFIX).expect("it is a path");
        Ok(LayerRequest {
            policy: self.layer_policy.unwrap_or_default(),
            most: usize::from(self.max_layers.unwrap_or(USUAL_MOST)),
            compression,
            tuning,
            prefix: prefix.unwrap_or_else(usual),
        })
    }
}

impl LayerRequest {
    /// The directory that everything is in.
    pub(super) fn prefix(&self) -> &TreePath {
        &self.prefix
    }

    /// How the environment becomes layers whose files have a time.
    pub(super) fn layering(&self, mtime: u64) -> Layering<'_> {
        let options = LayerOptions {
            compression: self.compression,
            owner: self.tuning.owner(),
            mtime,
            prefix: &self.prefix,
        };
        Layering { policy: self.policy, most: self.most, options }
    }
}

/// Refuses a directory in place of a spec.
pub(super) fn needs_a_spec(directory: &Utf8Path) -> Error {
    Error::usage(format!(
        "`{directory}` is a directory, which does not say which wheel brought which file"
    ))
    .hint("give the spec that it was built from")
}
