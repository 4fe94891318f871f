//! `venvtree wheel pack`.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::Answer;
use crate::cli::inputs::apart;
use crate::cli::io::Io;
use crate::cli::verb::{Request, Verb};
use crate::engine;
use crate::engine::archives::WheelContents;
use crate::engine::files::{self, OutputFile};
use crate::error::Error;
use crate::model::path::TreePath;
use crate::model::spec::DEFAULT_MTIME;
use crate::model::wheel::filename::WheelFilename;

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree wheel pack --out <FILE> --metadata <FILE>
                           [--file <NAME=PATH>]... [OPTIONS]";

/// Arguments of `venvtree wheel pack`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Examples:
  venvtree wheel pack --out dist/app-1.0-py3-none-any.whl \\
      --metadata METADATA \\
      --file app/__init__.py=src/app/__init__.py

The tags of the wheel are those of its name. The same files make the same bytes. A wheel in which `wheel check` would \
find an error is not written.")]
pub struct WheelPackArguments {
    /// The wheel to write; its name says what it is.
    #[arg(long, value_name = "FILE")]
    out: Utf8PathBuf,
    /// The wheel's METADATA.
    #[arg(long, value_name = "FILE")]
    metadata: Utf8PathBuf,
    /// A text to append to METADATA as the description.
    #[arg(long, value_name = "FILE")]
    description: Option<Utf8PathBuf>,
    /// The wheel's entry_points.txt.
    #[arg(long, value_name = "FILE")]
    entry_points: Option<Utf8PathBuf>,
    /// A file of the wheel, and where its contents are; may be repeated.
    #[arg(long = "file", value_name = "NAME=PATH")]
    files: Vec<String>,
}

/// What goes into which wheel.
pub(crate) struct WheelPack {
    contents: WheelContents,
    /// The wheel as it was typed.
    name: Utf8PathBuf,
    out: OutputFile,
    /// A folder for what is only there for now.
    aside: Utf8PathBuf,
}

impl Verb for WheelPackArguments {
    fn request(self, io: &mut Io<'_>) -> Result<WheelPack, Error> {
        let name = self.out.file_name().unwrap_or_default();
        let name = WheelFilename::parse(name).map_err(|error| {
            Error::usage(error.to_string())
                .hint("name the file NAME-VERSION-PYTHON-ABI-PLATFORM.whl")
        })?;
        let mut metadata = files::read_document(&io.resolve(&self.metadata))?;
        if let Some(description) = &self.description {
            metadata.push(b'\n');
            metadata.extend(files::read_document(&io.resolve(description))?);
        }
        let entry_points = self
            .entry_points
            .as_ref()
            .map(|path| files::read_document(&io.resolve(path)))
            .transpose()?;
        let files = listed(&self.files, &name, io)?;
        let out = io.output_file(&self.out)?;
        let read = [Some(&self.metadata), self.description.as_ref(), self.entry_points.as_ref()];
        apart::check_file(&out, read.into_iter().flatten().map(|path| io.resolve(path)))?;
        apart::check_file(&out, files.values())?;
        let contents = WheelContents { name, metadata, entry_points, files, mtime: DEFAULT_MTIME };
        Ok(WheelPack { contents, name: self.out, out, aside: io.temporary() })
    }
}

impl Request for WheelPack {
    fn run(self, _io: &mut Io<'_>) -> Result<WheelPackAnswer, Error> {
        let Self { contents, name, out, aside } = self;
        let sha256 = engine::pack_wheel(&contents, &out, &aside)?;
        Ok(WheelPackAnswer { out: name, sha256 })
    }
}

/// The files of the wheel, and where their contents are.
fn listed(
    given: &[String],
    wheel: &WheelFilename,
    io: &Io<'_>,
) -> Result<BTreeMap<TreePath, Utf8PathBuf>, Error> {
    let refused = |message: String| {
        Error::usage(message).hint(
            "write `--file NAME=PATH`, each NAME once; what goes into `.dist-info` has options of its own",
        )
    };
    let own = format!("{}.dist-info/", wheel.stem());
    let mut files = BTreeMap::new();
    for file in given {
        let (path, place) =
            file.split_once('=').ok_or_else(|| refused(format!("the file `{file}` has no `=`")))?;
        let path = TreePath::parse(path)
            .map_err(|error| refused(format!("the file `{file}`: {error}")))?;
        let generated = ["METADATA", "WHEEL", "RECORD", "entry_points.txt"];
        let below = path.as_str().strip_prefix(&own);
        if below.is_some_and(|below| generated.contains(&below)) {
            return Err(refused(format!("the file `{path}` is made by the command itself")));
        }
        if files.insert(path.clone(), io.resolve(place.into())).is_some() {
            return Err(refused(format!("the file `{path}` is given twice")));
        }
    }
    Ok(files)
}

/// What was packed.
#[derive(Debug, Serialize)]
pub(crate) struct WheelPackAnswer {
    out: Utf8PathBuf,
    sha256: String,
}

impl Answer for WheelPackAnswer {
    fn summary(&self) -> Vec<String> {
        vec![format!("packed: {}", self.out)]
    }
}
