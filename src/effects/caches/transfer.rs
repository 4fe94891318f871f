//! Trees to and from caches, in the order that keeps every cache consistent, and with nothing taken
//! on trust.
//!
//! Effects layer. Works on the traits of [`crate::effects::caches::blob`], so it is the same for
//! the local store, REAPI and HTTP. Up: the action and its command, then blobs, then the result, so
//! that a result never names what is not there. Down: result, tree, missing files; whatever does
//! not fit is noted and counts as a miss.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Cursor, Read};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::caches::blob::{
    ActionCache, BlobError, BlobStore, Blobs, Checked, read_small, unwrap_read_error,
};
use crate::effects::caches::counted::{Giving, Receiving};
use crate::effects::caches::store::area::{Area, Wanted};
use crate::effects::host::fs::{Links, open_regular};
use crate::effects::host::notes::Notes;
use crate::effects::host::random;
use crate::effects::work::parallel::Threads;
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::model::action::{Action, ActionResult};
use crate::model::digest::{Digest, DigestFunction, DirectoryDigest};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::tree::receive::{self, DEPTH_LIMIT, OutwardLinks, ReceiveError};
use crate::model::tree::wire;
use crate::model::tree::{Directory, Leaf, Node, Tree};

/// The most bytes of a tree's messages that are taken from a cache: a million files and more.
pub const TREE_LIMIT: u64 = 128 << 20;

/// A blob store that is an action cache as well: the local store, a remote cache.
pub trait Cache: BlobStore + ActionCache {}

impl<T: BlobStore + ActionCache> Cache for T {}

/// A cache somewhere else.
pub trait RemoteCache: Cache {
    /// Its address, for messages.
    fn place(&self) -> &str;

    /// Whether entries are taken from it.
    fn reads(&self) -> bool;

    /// Whether entries are given to it, as far as it still takes them.
    fn writes(&self) -> bool;

    /// One line of what went over the wire; nothing before the first use.
    fn summary(&self) -> Option<String>;

    /// The same for machines.
    fn summary_json(&self) -> serde_json::Value;
}

/// A tree that a cache has for an action, not yet read.
#[derive(Debug)]
pub struct Found {
    message: Bytes,
    root: Option<DirectoryDigest>,
}

impl Found {
    /// The tree, whose links may lead out of it as `links` says.
    ///
    /// # Errors
    /// It is not sound, or not the one that the result names.
    pub fn tree(
        &self,
        function: DigestFunction,
        links: OutwardLinks<'_>,
        workers: &Threads,
    ) -> Result<Tree, ReceiveError> {
        receive::decode_tree(function, &self.message, self.root, links, workers)
    }
}

/// The tree that a cache has for an action. A result that is wrong in any way is given to `refuse`
/// and counts as none.
///
/// # Errors
/// The cache cannot be asked.
pub fn find(
    cache: &dyn Cache,
    place: &str,
    action: &Action,
    refuse: &dyn Fn(&dyn std::fmt::Display),
) -> Result<Option<Found>, BlobError> {
    let refuse = |reason: &dyn std::fmt::Display| {
        refuse(reason);
        Ok(None)
    };
    let Some(bytes) = cache.action_result(action.digest())? else {
        return Ok(None);
    };
    let result = match ActionResult::decode(&bytes, action) {
        Ok(result) => result,
        Err(error) => return refuse(&error),
    };
    match read_small(cache, action.function(), result.tree, TREE_LIMIT, place) {
        Ok(Some(message)) => Ok(Some(Found { message: message.into(), root: result.root })),
        Ok(None) => refuse(&format!("its tree {} is not there any more", result.tree)),
        Err(error @ BlobError::Mismatch { .. }) => refuse(&error),
        Err(error) => Err(error),
    }
}

/// Who is told how a download goes.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The cache's name in notes.
    pub place: &'a str,
    /// What went less well than it could have.
    pub notes: &'a Notes,
    /// How far it has come.
    pub progress: &'a Progress,
}

fn amount(digests: &[Digest]) -> Amount {
    Amount { items: digests.len() as u64, bytes: digests.iter().map(|digest| digest.size).sum() }
}

/// Fetches the files of a tree that none of the areas has into the last of them; says whether all
/// are there now. What is missing is noted.
///
/// # Errors
/// The cache cannot be asked, or the area not be written.
pub fn fetch(
    cache: &dyn Cache,
    tree: &Tree,
    areas: &[&Area<'_>],
    told: Told<'_>,
) -> Result<bool, BlobError> {
    let Told { place, notes, progress } = told;
    let wanted = Wanted::of(tree);
    let Some(last) = areas.last() else {
        return Ok(false);
    };
    let mut missing = wanted.digests();
    for area in areas {
        missing = area.incoming(&wanted).missing(&missing)?;
    }
    let incoming = last.incoming(&wanted);
    progress.begin(Phase::Downloading, amount(&missing));
    let lacking = cache.get_all(&missing, &Receiving { store: &incoming, progress })?;
    if let Some(first) = lacking.first() {
        notes.add(format!(
            "{place} lacks {} of the environment's files, or has wrong ones ({first}, …)",
            lacking.len()
        ));
    }
    Ok(lacking.is_empty())
}

/// Brings an action, its tree and its result to a cache. `files` has the bytes of the tree's files.
///
/// # Errors
/// The cache cannot be written, or a file is not what it was.
pub fn publish(
    cache: &dyn Cache,
    action: &Action,
    tree: &Tree,
    files: &dyn Blobs,
    progress: &Progress,
) -> Result<(), BlobError> {
    let request: BTreeMap<Digest, &[u8]> = action.blobs().into_iter().collect();
    let messages = TreeMessages::of(tree);
    let mut digests: Vec<Digest> = request.keys().copied().collect();
    digests.extend(messages.directory_digests());
    digests.extend(Wanted::of(tree).digests());
    // What was made here the cache did not give: if it has the message, then perhaps not the files.
    let missing = missing(cache, &digests, messages.tree, Trust::Nothing)?;
    // Servers may look at the action when its result arrives: it comes first.
    let (first, then): (Vec<Digest>, Vec<Digest>) =
        missing.into_iter().partition(|digest| request.contains_key(digest));
    cache.put_all(&first, &Messages(&request))?;
    progress.begin(Phase::Uploading, amount(&then));
    put_tree(cache, &then, &messages, &Giving { blobs: &Layered(&[&messages, files]), progress })?;
    let result = ActionResult { tree: messages.tree, root: Some(tree.digest()) };
    cache.set_action_result(action.digest(), &result.encode(action))
}

/// Brings a tree to a cache: its files, its directories, its `Tree` message. Returns the message's
/// digest and how many blobs were missing.
///
/// # Errors
/// The cache cannot be written, or a file is not what it was.
pub fn push(
    cache: &dyn Cache,
    tree: &Tree,
    files: &dyn Blobs,
    progress: &Progress,
) -> Result<(Digest, usize), BlobError> {
    let messages = TreeMessages::of(tree);
    let mut digests = messages.directory_digests();
    digests.extend(Wanted::of(tree).digests());
    let missing = missing(cache, &digests, messages.tree, Trust::Sample)?;
    progress.begin(Phase::Uploading, amount(&missing));
    let blobs = Giving { blobs: &Layered(&[&messages, files]), progress };
    put_tree(cache, &missing, &messages, &blobs)?;
    Ok((messages.tree, missing.len()))
}

/// What is believed of a cache that has the message of a tree, which is stored last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// That it has the rest, where it has all of a sample: caches forget what was not used for
    /// long.
    Sample,
    /// Nothing: it is asked for each blob.
    Nothing,
}

/// How many blobs are asked for where asking for all would take a request each.
const SAMPLE: usize = 16;

/// What a cache lacks of a tree's blobs and its message. Where asking takes a request for each, some
/// of them, taken at random, are asked for first: a cache that has neither these nor the message
/// has few of the others, and sending those again takes no longer than asking for each.
fn missing(
    cache: &dyn Cache,
    digests: &[Digest],
    message: Digest,
    trust: Trust,
) -> Result<Vec<Digest>, BlobError> {
    let whole = || digests.iter().copied().chain([message]).collect::<Vec<Digest>>();
    if cache.asks_one_by_one() && digests.len() > SAMPLE {
        let begin = usize::try_from(random::number() >> 1).unwrap_or(0);
        let spread = digests.len() / SAMPLE;
        let pick = |turn: usize| digests[(begin % digests.len() + turn * spread) % digests.len()];
        // The message first: how long its answer takes tells how many may be asked for at once.
        let mut lacking = cache.missing(&[message])?;
        let sample: Vec<Digest> = (0..SAMPLE).map(pick).filter(|digest| digest.size > 0).collect();
        let absent = cache.missing(&sample)?;
        let is_nowhere = absent.len() == sample.iter().collect::<BTreeSet<_>>().len();
        lacking.extend(absent);
        if lacking.is_empty() && trust == Trust::Sample {
            return Ok(lacking);
        }
        if is_nowhere && lacking.contains(&message) {
            let mut all = whole();
            all.retain(|digest| digest.size > 0);
            all.sort_unstable();
            all.dedup();
            return Ok(all);
        }
    }
    cache.missing(&whole())
}

/// Brings what is missing of a tree to a cache, its message last: who finds that finds the rest.
fn put_tree(
    cache: &dyn Cache,
    missing: &[Digest],
    messages: &TreeMessages<'_>,
    blobs: &dyn Blobs,
) -> Result<(), BlobError> {
    let (last, first): (Vec<Digest>, Vec<Digest>) =
        missing.iter().partition(|digest| **digest == messages.tree);
    cache.put_all(&first, blobs)?;
    cache.put_all(&last, blobs)
}

/// Why there is no tree for a digest.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The cache cannot be asked.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The cache does not have it.
    #[error("{place} does not have {digest}")]
    Absent {
        /// The cache.
        place: String,
        /// What was asked for.
        digest: Digest,
    },
    /// The cache has the tree, but not all its files, or wrong ones.
    #[error("{place} does not have all files of {digest}")]
    Files {
        /// The cache.
        place: String,
        /// What was asked for.
        digest: Digest,
    },
    /// The blob is no directory and no tree.
    #[error("the blob {digest} is no directory: {error}")]
    Unsound {
        /// What was asked for.
        digest: Digest,
        /// What is wrong.
        error: Box<receive::ReceiveError>,
    },
}

impl Explain for PullError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Blob(error) => error.explain(),
            Self::Absent { .. } => ErrorKind::Remote
                .hint("name the remote cache that has it with `--remote-cache URL`"),
            Self::Files { .. } => ErrorKind::Remote.no_hint(),
            Self::Unsound { .. } => ErrorKind::Verification.no_hint(),
        }
    }
}

/// The tree of a root digest, or of the digest of a `Tree` message, whichever it is. As the caller
/// names the tree by its digest, its links may lead anywhere.
///
/// # Errors
/// The cache does not have it, or cannot be asked.
pub fn pull(
    cache: &dyn Cache,
    place: &str,
    digest: Digest,
    threads: usize,
) -> Result<Tree, PullError> {
    let function = cache.function();
    let unsound =
        |error: receive::ReceiveError| PullError::Unsound { digest, error: Box::new(error) };
    let memory = Memory { function, limit: TREE_LIMIT, state: Mutex::default() };
    let mut level = vec![digest];
    for depth in 0..=DEPTH_LIMIT {
        let lacking = cache.get_all(&level, &memory)?;
        if let Some(&digest) = lacking.first().filter(|digest| digest.size > 0) {
            return Err(PullError::Absent { place: place.to_owned(), digest });
        }
        let mut next = Vec::new();
        for &digest in &level {
            let message = memory.get(digest);
            match wire::decode_directory(&message) {
                Ok(nodes) => next.extend(nodes.into_iter().filter_map(|(_, node)| match node {
                    Node::Directory(below) => Some(below.0),
                    Node::Leaf(_) => None,
                })),
                // No directory: then perhaps a message that holds them all.
                Err(_) if depth == 0 => {
                    return receive::decode_tree(
                        function,
                        &Bytes::from(message),
                        None,
                        OutwardLinks::Allow,
                        &Threads(threads),
                    )
                    .map_err(unsound);
                }
                Err(error) => return Err(unsound(error.into())),
            }
        }
        next.sort_unstable();
        next.dedup();
        next.retain(|digest| digest.size > 0 && !memory.has(*digest));
        if next.is_empty() {
            let state = memory.state.into_inner().unwrap_or_else(PoisonError::into_inner);
            // The empty directory is nowhere to be had, and need not be.
            let messages: Vec<&[u8]> =
                state.blobs.values().map(Vec::as_slice).chain([&b""[..]]).collect();
            let root = DirectoryDigest(digest);
            return receive::assemble(
                function,
                root,
                OutwardLinks::Allow,
                &messages,
                &Threads(threads),
            )
            .map_err(unsound);
        }
        level = next;
    }
    Err(unsound(receive::ReceiveError::Depth))
}

/// Blobs from the first source that has them.
pub struct Layered<'a>(pub &'a [&'a dyn Blobs]);

impl Blobs for Layered<'_> {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        for source in self.0 {
            if let Some(reader) = source.open(digest)? {
                return Ok(Some(reader));
            }
        }
        Ok(None)
    }
}

struct Messages<'a>(&'a BTreeMap<Digest, &'a [u8]>);

impl Blobs for Messages<'_> {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        Ok(self.0.get(&digest).map(|bytes| Box::new(Cursor::new(*bytes)) as Box<dyn Read + Send>))
    }
}

/// The messages that describe a tree: every directory, and all of them together.
struct TreeMessages<'a> {
    directories: HashMap<Digest, &'a [u8]>,
    tree: Digest,
    message: Vec<u8>,
}

impl<'a> TreeMessages<'a> {
    fn of(tree: &'a Tree) -> Self {
        fn visit<'a>(directory: &'a Directory, directories: &mut HashMap<Digest, &'a [u8]>) {
            if directories.insert(directory.digest().0, directory.message()).is_none() {
                for (_, node) in directory.entries() {
                    if let Node::Directory(below) = node {
                        visit(below, directories);
                    }
                }
            }
        }
        let mut directories = HashMap::new();
        visit(tree.root(), &mut directories);
        let message = wire::encode_tree(tree);
        Self { directories, tree: tree.function().digest(&message), message }
    }

    fn directory_digests(&self) -> Vec<Digest> {
        self.directories.keys().copied().collect()
    }
}

impl Blobs for TreeMessages<'_> {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        let bytes = if digest == self.tree {
            Some(self.message.as_slice())
        } else {
            self.directories.get(&digest).copied()
        };
        Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }
}

/// The files of a tree that lies in a directory. Their bytes are verified by whoever gets them.
#[derive(Debug)]
pub struct TreeFiles {
    root: Utf8PathBuf,
    paths: HashMap<Digest, String>,
}

impl TreeFiles {
    /// The files of `tree`, which lies at `root`.
    pub fn new(root: &Utf8Path, tree: &Tree) -> Self {
        let mut paths = HashMap::new();
        for (path, leaf) in tree.leaves() {
            if let Leaf::File { blob, .. } = leaf {
                paths.entry(blob.0).or_insert_with(|| path.to_string());
            }
        }
        Self { root: root.to_owned(), paths }
    }
}

impl Blobs for TreeFiles {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        let Some(path) = self.paths.get(&digest) else {
            return Ok(None);
        };
        let path = self.root.join(path);
        let file = open_regular(&path, Links::Follow)
            .map_err(|error| BlobError::io("open", &path, error))?;
        Ok(Some(Box::new(file)))
    }
}

/// Blobs in memory, at most so many bytes.
struct Memory {
    function: DigestFunction,
    limit: u64,
    state: Mutex<MemoryState>,
}

#[derive(Default)]
struct MemoryState {
    blobs: HashMap<Digest, Vec<u8>>,
    bytes: u64,
}

impl Memory {
    fn has(&self, digest: Digest) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).blobs.contains_key(&digest)
    }

    fn get(&self, digest: Digest) -> Vec<u8> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blobs
            .get(&digest)
            .cloned()
            .unwrap_or_default()
    }
}

impl Blobs for Memory {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        Ok(self
            .has(digest)
            .then(|| Box::new(Cursor::new(self.get(digest))) as Box<dyn Read + Send>))
    }
}

impl BlobStore for Memory {
    fn function(&self) -> DigestFunction {
        self.function
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let mut missing: Vec<Digest> = digests
            .iter()
            .filter(|digest| digest.size > 0 && !self.has(**digest))
            .copied()
            .collect();
        missing.sort_unstable();
        missing.dedup();
        Ok(missing)
    }

    fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError> {
        let too_much = || BlobError::Mismatch {
            place: "the cache".to_owned(),
            expected: digest,
            actual: format!("messages of more than {} bytes", self.limit),
        };
        if digest.size > self.limit {
            return Err(too_much());
        }
        let mut content = Vec::new();
        let path = Utf8PathBuf::from(digest.to_string());
        bytes
            .take(digest.size.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| unwrap_read_error(error, "read", &path))?;
        Checked::received(self.function, digest, &content, "the cache")?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.blobs.contains_key(&digest) {
            return Ok(());
        }
        if state.bytes + digest.size > self.limit {
            return Err(too_much());
        }
        state.bytes += digest.size;
        state.blobs.insert(digest, content);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::effects::caches::store::area::LinkMode;
    use crate::effects::caches::store::{Access, Store};
    use crate::model::digest::{ActionDigest, BlobDigest};
    use crate::model::file_kind::FileKind;
    use crate::model::path::TreePath;
    use crate::model::tree::TreeBuilder;

    fn store(folder: &tempfile::TempDir, name: &str) -> Store {
        let root = Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        Store::open(root, DigestFunction::Sha256, Access::Write, Notes::new())
    }

    fn tree(folder: &tempfile::TempDir) -> (Utf8PathBuf, Tree) {
        let root = Utf8PathBuf::from_path_buf(folder.path().join("tree")).unwrap();
        let files = [("a/b/c", "1"), ("a/d", "2"), ("empty", ""), ("same/b/c", "1")];
        for (path, text) in files {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        (root, Tree::of_texts(files))
    }

    #[test]
    fn a_tree_that_was_published_is_found_with_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let (root, tree) = tree(&folder);
        let action = Action::new(DigestFunction::Sha256, b"{}".to_vec());
        let (remote, local) = (store(&folder, "remote"), store(&folder, "local"));
        let notes = Notes::new();
        let refuse = |reason: &dyn std::fmt::Display| notes.add(reason.to_string());
        let find = || {
            let found = find(&remote, "test", &action, &refuse).unwrap()?;
            Some(found.tree(action.function(), OutwardLinks::Refuse, &Threads(1)).unwrap())
        };
        assert_eq!(find(), None);
        publish(&remote, &action, &tree, &TreeFiles::new(&root, &tree), &Progress::default())
            .unwrap();
        assert_eq!(find(), Some(tree.clone()));
        let handle = std::fs::File::open(folder.path()).unwrap();
        let area = local.area(0, LinkMode::Auto, handle.as_fd());
        assert!(
            fetch(
                &remote,
                &tree,
                &[&area],
                Told { place: "test", notes: &notes, progress: &Progress::default() }
            )
            .unwrap()
        );
        assert!(
            Wanted::of(&tree)
                .files()
                .iter()
                .all(|(digest, kind)| digest.size == 0 || area.has(*digest, *kind))
        );
        assert!(notes.take().is_empty());
        for (digest, _) in action.blobs() {
            assert!(
                remote.missing(&[digest]).unwrap().is_empty(),
                "the action's own messages are there, too"
            );
        }
    }

    #[test]
    fn a_tree_is_pulled_by_its_root_digest_and_by_that_of_its_message() {
        let folder = tempfile::tempdir().unwrap();
        let (root, tree) = tree(&folder);
        let remote = store(&folder, "remote");
        let (message, missing) =
            push(&remote, &tree, &TreeFiles::new(&root, &tree), &Progress::default()).unwrap();
        assert!(missing > 0);
        assert_eq!(
            push(&remote, &tree, &TreeFiles::new(&root, &tree), &Progress::default()).unwrap(),
            (message, 0)
        );
        assert_eq!(pull(&remote, "test", tree.digest().0, 1).unwrap(), tree);
        assert_eq!(pull(&remote, "test", message, 1).unwrap(), tree);
        let other = DigestFunction::Sha256.digest(b"other");
        assert!(matches!(pull(&remote, "test", other, 1), Err(PullError::Absent { .. })));
        let file = DigestFunction::Sha256.digest(b"2");
        assert!(matches!(pull(&remote, "test", file, 1), Err(PullError::Unsound { .. })));
    }

    /// A cache that is asked for each blob, and counts the questions.
    struct OneByOne {
        store: Store,
        asked: Mutex<usize>,
    }

    impl OneByOne {
        fn asked(&self) -> usize {
            std::mem::take(&mut *self.asked.lock().unwrap())
        }
    }

    impl Blobs for OneByOne {
        fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
            self.store.open(digest)
        }
    }

    impl BlobStore for OneByOne {
        fn function(&self) -> DigestFunction {
            self.store.function()
        }

        fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
            *self.asked.lock().unwrap() += digests.len();
            self.store.missing(digests)
        }

        fn asks_one_by_one(&self) -> bool {
            true
        }

        fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError> {
            self.store.put(digest, bytes)
        }
    }

    impl ActionCache for OneByOne {
        fn action_result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError> {
            self.store.action_result(action)
        }

        fn set_action_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError> {
            self.store.set_action_result(action, result)
        }
    }

    #[test]
    fn a_cache_with_a_request_for_each_blob_is_asked_for_a_sample() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().join("tree")).unwrap();
        std::fs::create_dir(&root).unwrap();
        let mut builder = TreeBuilder::new();
        for number in 0..200 {
            let text = number.to_string();
            std::fs::write(root.join(&text), &text).unwrap();
            let blob = BlobDigest(DigestFunction::Sha256.digest(text.as_bytes()));
            let leaf = Leaf::File { blob, kind: FileKind::Plain };
            builder.insert(&TreePath::parse(&text).unwrap(), leaf).unwrap();
        }
        let tree = builder.finish(DigestFunction::Sha256);
        let cache = OneByOne { store: store(&folder, "remote"), asked: Mutex::default() };
        let files = TreeFiles::new(&root, &tree);
        let push = || super::push(&cache, &tree, &files, &Progress::default()).unwrap();
        let (message, sent) = push();
        assert_eq!((sent, cache.asked()), (202, SAMPLE + 1), "nothing of it can be there");
        assert_eq!(pull(&cache, "test", message, 1).unwrap(), tree);
        assert_eq!((push(), cache.asked()), ((message, 0), SAMPLE + 1), "all was there last");
        let forget = |digest: &Digest| {
            std::fs::remove_file(cache.store.entry_path("cas", digest.hash)).unwrap();
        };
        let digests = Wanted::of(&tree).digests();
        digests[SAMPLE..].iter().for_each(forget);
        assert_eq!(push().1, digests.len() - SAMPLE, "most of it was forgotten");
        // What was made here because the cache lacked something is looked for as a whole.
        forget(&digests[0]);
        let action = Action::new(DigestFunction::Sha256, b"{}".to_vec());
        super::publish(&cache, &action, &tree, &files, &Progress::default()).unwrap();
        assert_eq!(cache.store.missing(&digests).unwrap(), []);
    }

    #[test]
    fn a_file_that_changed_since_the_scan_is_not_published() {
        let folder = tempfile::tempdir().unwrap();
        let (root, tree) = tree(&folder);
        std::fs::write(root.join("a/d"), "3").unwrap();
        let remote = store(&folder, "remote");
        let action = Action::new(DigestFunction::Sha256, b"{}".to_vec());
        assert!(
            publish(&remote, &action, &tree, &TreeFiles::new(&root, &tree), &Progress::default())
                .is_err()
        );
        assert_eq!(
            remote.action_result(action.digest()).unwrap(),
            None,
            "no result without its blobs"
        );
    }
}
