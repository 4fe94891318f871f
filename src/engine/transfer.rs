//! Finished trees to and from caches, by digest.
//!
//! Part of the engine.

use camino::Utf8Path;

use crate::effects::caches::store::Store;
use crate::effects::caches::transfer::{self, PullError, RemoteCache, TreeFiles};
use crate::effects::scan::{self, Scan, View};
use crate::effects::work::parallel::Threads;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::output::Output;
use crate::engine::place::Placing;
use crate::engine::report::{BuildRequest, Report, Source};
use crate::engine::session::{Caches, Session};
use crate::error::Error;
use crate::model::digest::{Digest, DigestFunction, DirectoryDigest};
use crate::model::tree::Tree;
use crate::model::tree::receive::{self, OutwardLinks};

/// A tree that caches are to have.
#[derive(Debug, Clone, Copy)]
pub struct PullRequest<'a> {
    /// Its root digest, or the digest of a `Tree` message.
    pub digest: Digest,
    /// The digest function.
    pub function: DigestFunction,
    /// The time of everything.
    pub mtime: u64,
    /// Where the tree goes.
    pub build: &'a BuildRequest,
}

/// Puts the tree of a digest in its place, out of the store and the remote cache.
///
/// # Errors
/// No cache has it, or the output is taken or cannot be written.
pub fn pull(session: &Session, caches: &Caches, request: PullRequest<'_>) -> Result<Report, Error> {
    let PullRequest { digest, function, mtime, build } = request;
    let output = Output::look(session, build, &caches.notes)?;
    session.progress.begin(Phase::Downloading, Amount::default());
    let store = caches.open_store(function);
    let (tree, source) = find(session, caches, store.as_ref(), digest)?;
    let store = store.as_ref();
    let placing = Placing { session, caches, store, mtime, output: &output };
    let Some(placed) = placing.place(&tree, source)? else {
        let place = place(caches);
        return Err(PullError::Files { place, digest }.into());
    };
    if let Some(store) = store {
        store.attempt(|| store.remember_tree(&tree).map(|_| ()));
    }
    output.write_digest(tree.digest())?;
    caches.keep_within_limit(store);
    Ok(Report { links: placed.links, ..Report::of(&tree, placed.outcome, source) })
}

/// What the caches are called in messages.
fn place(caches: &Caches) -> String {
    caches
        .remote
        .as_ref()
        .map_or_else(|| "the store".to_owned(), |remote| remote.place().to_owned())
}

/// The tree of a digest, and who knew it.
fn find(
    session: &Session,
    caches: &Caches,
    store: Option<&Store>,
    digest: Digest,
) -> Result<(Tree, Source), Error> {
    if let Some(tree) = store.and_then(|store| known_locally(store, digest, session.threads())) {
        return Ok((tree, Source::Store));
    }
    let Some(remote) = caches.remote.as_deref() else {
        return Err(PullError::Absent { place: place(caches), digest }.into());
    };
    let tree = transfer::pull(remote, remote.place(), digest, session.threads())?;
    Ok((tree, Source::Remote))
}

fn known_locally(store: &Store, digest: Digest, threads: usize) -> Option<Tree> {
    let root = DirectoryDigest(digest);
    let message = store.tree_message_of(root).unwrap_or(digest);
    let bytes = store.message(message, transfer::TREE_LIMIT).ok()??.into();
    let expected = (message != digest).then_some(root);
    receive::decode_tree(store.function(), &bytes, expected, OutwardLinks::Allow, &Threads(threads))
        .ok()
}

/// Brings a directory's tree to the remote cache. Returns the tree, the digest of its `Tree`
/// message, and how many blobs were missing.
///
/// # Errors
/// The directory holds what no tree can, or the cache cannot be written.
pub fn push(
    session: &Session,
    remote: &dyn RemoteCache,
    directory: &Utf8Path,
    function: DigestFunction,
) -> Result<(Tree, Digest, usize), Error> {
    session.progress.begin(Phase::Reading, Amount::default());
    let Scan { tree, odd } = scan::scan(directory, function, View::Exact, session.threads())?;
    if let Some((path, what)) = odd.first() {
        let message = format!("`{}` cannot be pushed: {what}", directory.join(path));
        return Err(Error::usage(message).into());
    }
    let files = TreeFiles::new(directory, &tree);
    let (message, missing) = transfer::push(remote, &tree, &files, &session.progress)?;
    Ok((tree, message, missing))
}
