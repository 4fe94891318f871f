//! `venvtree push` and `venvtree pull`: finished trees to and from a remote cache, by digest.

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, FormatArguments, QuietArguments};
use crate::cli::caches::{self, LinkArguments, RemoteArguments, StoreArguments};
use crate::cli::io::Io;
use crate::cli::{CommandResult, numbers, report, written};
use crate::effects::host::notes::Notes;
use crate::engine::caching;
use crate::engine::{BuildRequest, Existing, Session};
use crate::error::Error;
use crate::model::digest::{Digest, DigestFunction};
use crate::model::spec::DEFAULT_MTIME;

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
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Arguments of `venvtree pull`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree pull 4fe17aed.../326 --out .venv \\
      --remote-cache grpc://cache:9092

DIGEST is a root digest, as `build` and `push` print it, or the digest of a `Tree` message. Every byte is verified. \
Blobs that the local store has are not downloaded. Links may lead out of the tree: whoever gives the digest vouches \
for them.")]
pub struct PullArguments {
    /// The digest, HASH/SIZE.
    #[arg(value_name = "DIGEST")]
    digest: String,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
    /// Replace another environment that is there, in one step.
    #[arg(long)]
    replace: bool,
    /// The digest function.
    #[arg(long, default_value = "sha256", value_name = "FUNCTION", value_parser = numbers::digest_function())]
    digest_function: DigestFunction,
    /// The modification time of everything, in seconds since 1970.
    #[arg(long, default_value_t = DEFAULT_MTIME, value_name = "SECONDS", value_parser = numbers::epoch)]
    mtime: u64,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    links: LinkArguments,
    #[command(flatten)]
    remote: RemoteArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

fn session(io: &Io<'_>) -> Session {
    Session { progress: io.progress.clone(), ..Session::default() }
}

/// Runs `venvtree push`.
pub(super) fn push(arguments: &PushArguments, io: &mut Io<'_>) -> CommandResult {
    let notes = Notes::new();
    let function = arguments.digest_function;
    let remote =
        caches::remote(&arguments.remote, function, &notes, io)?.ok_or_else(|| Error::Usage {
            message: "there is no remote cache to push to".to_owned(),
            hint: Some("name one by `--remote-cache URL`".to_owned()),
        })?;
    let pushed =
        caching::push(&session(io), remote.as_ref(), &io.resolve(&arguments.directory), function);
    for note in notes.take() {
        io.say(&format!("warning: {note}"));
    }
    let (tree, message, missing) = pushed?;
    match arguments.format.format {
        Format::Json => {
            let value = json!({
                "digest_function": function.name(),
                "digest": tree.digest().to_string(),
                "tree_digest": message.to_string(),
                "uploaded": missing,
                "remote": remote.summary_json(),
            });
            report::document(io, value)?;
        }
        Format::Text => {
            written(io.print(&tree.digest().to_string()))?;
            if let Some(summary) = remote.summary() {
                arguments.quiet.say(io, &summary);
            }
        }
    }
    Ok(0)
}

/// Runs `venvtree pull`.
pub(super) fn pull(arguments: &PullArguments, io: &mut Io<'_>) -> CommandResult {
    let digest = Digest::parse(&arguments.digest)?;
    let function = arguments.digest_function;
    let caches =
        caches::caches(&arguments.store, &arguments.links, &arguments.remote, function, io)?;
    let request = BuildRequest {
        out: io.output(&arguments.out)?,
        existing: if arguments.replace { Existing::Replace } else { Existing::Keep },
        protected: io.protected(),
        look: true,
        manifest: None,
        digest_file: None,
        text: None,
    };
    let pulled = caching::pull(&session(io), &caches, digest, function, arguments.mtime, &request);
    let notes =
        caches::say(&caches, arguments.quiet.quiet || arguments.format.format == Format::Json, io);
    let pulled = pulled?;
    match arguments.format.format {
        Format::Json => {
            let value = json!({
                "outcome": pulled.outcome.name(),
                "source": pulled.source.name(),
                "out": arguments.out,
                "digest_function": function.name(),
                "digest": pulled.tree.digest().to_string(),
                "files": pulled.files,
                "bytes": pulled.bytes,
                "links": pulled.links,
                "notes": notes,
                "remote": caches.remote.as_ref().map(|remote| remote.summary_json()),
            });
            report::document(io, value)?;
        }
        Format::Text => {
            let files = report::count(usize::try_from(pulled.files).unwrap_or(usize::MAX), "file");
            let what = format!("{files}, {}", report::size(pulled.bytes));
            let line = format!(
                "{}: {} ({what}), root digest {}",
                pulled.outcome.name(),
                arguments.out,
                pulled.tree.digest()
            );
            arguments.quiet.say(io, &line);
        }
    }
    Ok(0)
}
