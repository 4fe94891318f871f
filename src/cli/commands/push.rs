//! `venvtree push`: a finished tree to a remote cache.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::answer::{Answer, Printer};
use crate::cli::io::Io;
use crate::cli::options::caches::{self, RemoteArguments};
use crate::cli::options::numbers;
use crate::cli::verb::{Request, Verb};
use crate::engine::remote::RemoteCache;
use crate::engine::store::Notes;
use crate::engine::{Session, transfer};
use crate::error::Error;
use crate::model::digest::DigestFunction;

/// Arguments of `venvtree push`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Prints the root digest:
  venvtree push .venv --remote-cache grpc://cache:9092

Both a `Tree` message and one message for each directory are uploaded, so that any client of the API can fetch the \
tree.")]
pub struct PushArguments {
    /// The directory to push.
    #[arg(value_name = "DIR")]
    directory: Utf8PathBuf,
    /// The digest function.
    #[arg(long, default_value = "sha256", value_name = "FUNCTION", value_parser = numbers::digest_function())]
    digest_function: DigestFunction,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// What goes where.
pub(crate) struct Push {
    session: Session,
    remote: Box<dyn RemoteCache>,
    directory: Utf8PathBuf,
    function: DigestFunction,
    notes: Notes,
}

impl Verb for PushArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Push, Error> {
        let notes = Notes::new();
        let function = self.digest_function;
        let remote = caches::remote(&self.remote, function, &notes, io)?.ok_or_else(|| {
            Error::usage("there is no remote cache to push to")
                .hint("name one by `--remote-cache URL`")
        })?;
        let session = Session { progress: io.progress.clone(), ..Session::default() };
        Ok(Push { session, remote, directory: io.resolve(&self.directory), function, notes })
    }
}

impl Request for Push {
    fn run(self, io: &mut Io<'_>) -> Result<PushAnswer, Error> {
        let Self { session, remote, directory, function, notes } = self;
        let pushed = transfer::push(&session, remote.as_ref(), &directory, function);
        caches::say_notes(&notes, io);
        let (tree, message, missing) = pushed?;
        Ok(PushAnswer {
            digest_function: function.name(),
            digest: tree.digest().to_string(),
            tree_digest: message.to_string(),
            uploaded: missing,
            remote: remote.summary_json(),
            traffic: remote.summary(),
        })
    }
}

/// What was uploaded.
#[derive(Debug, Serialize)]
pub(crate) struct PushAnswer {
    digest_function: &'static str,
    digest: String,
    tree_digest: String,
    uploaded: usize,
    remote: Value,
    #[serde(skip)]
    traffic: Option<String>,
}

impl Answer for PushAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        printer.print(&self.digest)
    }

    fn summary(&self) -> Vec<String> {
        self.traffic.iter().cloned().collect()
    }
}
