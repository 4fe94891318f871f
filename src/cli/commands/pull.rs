//! `venvtree pull`: a finished tree from a remote cache, by digest.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::answer::Answer;
use crate::cli::io::Io;
use crate::cli::options::caches::{self, CacheArguments};
use crate::cli::options::numbers;
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::store::Counts;
use crate::engine::transfer::{self, PullRequest};
use crate::engine::{BuildRequest, Caches, Existing, Session};
use crate::error::Error;
use crate::model::digest::{Digest, DigestFunction};
use crate::model::spec::DEFAULT_MTIME;

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
    caches: CacheArguments,
}

/// What comes from where.
pub(crate) struct Pull {
    session: Session,
    caches: Caches,
    digest: Digest,
    function: DigestFunction,
    mtime: u64,
    request: BuildRequest,
    /// The output as it was typed.
    out: Utf8PathBuf,
}

impl Verb for PullArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Pull, Error> {
        let digest = Digest::parse(&self.digest)?;
        let function = self.digest_function;
        let caches = caches::caches(&self.caches, function, io)?;
        let request = BuildRequest {
            existing: if self.replace { Existing::Replace } else { Existing::Keep },
            ..BuildRequest::new(io.output(&self.out)?, io.protected())
        };
        Ok(Pull {
            session: Session { progress: io.progress.clone(), ..Session::default() },
            caches,
            digest,
            function,
            mtime: self.mtime,
            request,
            out: self.out,
        })
    }
}

impl Request for Pull {
    fn run(self, io: &mut Io<'_>) -> Result<PullAnswer, Error> {
        let Self { session, caches, digest, function, mtime, request, out } = self;
        let request = PullRequest { digest, function, mtime, build: &request };
        let pulled = transfer::pull(&session, &caches, request);
        let notes = caches::say(&caches, io);
        let pulled = pulled?;
        Ok(PullAnswer {
            outcome: pulled.outcome.name(),
            source: pulled.source.name(),
            out,
            digest_function: function.name(),
            digest: pulled.root.to_string(),
            files: pulled.files,
            bytes: pulled.bytes,
            links: pulled.links,
            notes,
            remote: caches.remote.as_ref().map(|remote| remote.summary_json()),
        })
    }
}

/// What was downloaded.
#[derive(Debug, Serialize)]
pub(crate) struct PullAnswer {
    outcome: &'static str,
    source: &'static str,
    out: Utf8PathBuf,
    digest_function: &'static str,
    digest: String,
    files: u64,
    bytes: u64,
    links: Counts,
    notes: Vec<String>,
    remote: Option<Value>,
}

impl Answer for PullAnswer {
    fn summary(&self) -> Vec<String> {
        let files = quantity::count_u64(self.files, "file");
        let what = format!("{files}, {}", quantity::size(self.bytes));
        let Self { outcome, out, digest, .. } = self;
        vec![format!("{outcome}: {out} ({what}), root digest {digest}")]
    }
}
