//! `venvtree key`: the name of an environment in caches, and why two names differ.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::answer::{Answer, DIFFERENCES, Printer};
use crate::cli::inputs::spec as spec_input;
use crate::cli::io::Io;
use crate::cli::options::SpecArguments;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::engine::{Places, Session, key};
use crate::error::Error;
use crate::model::action::Action;
use crate::model::request;
use crate::model::spec::Spec;

/// Arguments of `venvtree key`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree key env.json
  # Why two keys differ; the exit code is 1 if they do:
  venvtree key env.json --explain other.json

The key is the digest of a REAPI action whose only input is the canonical request. Wheels with a pinned SHA-256 need \
not be there.")]
pub struct KeyArguments {
    #[command(flatten)]
    spec: SpecArguments,
    /// Say in words how the spec OTHER differs.
    #[arg(long, value_name = "OTHER")]
    explain: Option<camino::Utf8PathBuf>,
}

/// The spec whose key is wanted, and one to compare it with.
pub(crate) struct Key {
    session: Session,
    spec: (Spec, Places),
    other: Option<(Spec, Places)>,
}

impl Verb for KeyArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Key, Error> {
        let session = spec_input::session(&self.spec.places, io)?;
        let spec = spec_input::read(&self.spec, io)?;
        let other =
            self.explain.map(|other| spec_input::read_beside(&other, &self.spec.places, io));
        Ok(Key { session, spec, other: other.transpose()? })
    }
}

impl Request for Key {
    fn run(self, _io: &mut Io<'_>) -> Result<KeyAnswer, Error> {
        let action = |(spec, places): &(Spec, Places)| key::action(&self.session, spec, places);
        let first = action(&self.spec)?;
        let Some(second) = self.other.as_ref().map(action).transpose()? else {
            return Ok(KeyAnswer::Key(OneKey::new(&first)));
        };
        Ok(KeyAnswer::Difference(TwoKeys {
            same: first.digest() == second.digest(),
            first: first.digest().to_string(),
            second: second.digest().to_string(),
            differences: request::explain(&request_of(&first), &request_of(&second)),
        }))
    }
}

fn request_of(action: &Action) -> Value {
    serde_json::from_slice(action.request()).expect("a request is JSON")
}

/// A key, or how two differ.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum KeyAnswer {
    Key(OneKey),
    Difference(TwoKeys),
}

#[derive(Debug, Serialize)]
pub(crate) struct OneKey {
    key: String,
    digest_function: &'static str,
    command: String,
    input_root: String,
    output: String,
    request: Value,
}

impl OneKey {
    fn new(action: &Action) -> Self {
        let blobs = action.blobs();
        Self {
            key: action.digest().to_string(),
            digest_function: action.function().name(),
            command: blobs[1].0.to_string(),
            input_root: blobs[2].0.to_string(),
            output: action.output().to_string(),
            request: request_of(action),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct TwoKeys {
    same: bool,
    first: String,
    second: String,
    differences: Vec<String>,
}

impl Answer for KeyAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        match self {
            Self::Key(found) => {
                printer.print(&found.key)?;
                printer.say_text_unless_quiet(&Text::of_json(&found.request));
                Ok(())
            }
            Self::Difference(found) if found.same => printer.print("the keys are the same"),
            Self::Difference(found) => {
                found.differences.iter().try_for_each(|sentence| printer.print(sentence))
            }
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Difference(found) if !found.same => DIFFERENCES,
            Self::Key(_) | Self::Difference(_) => 0,
        }
    }
}
