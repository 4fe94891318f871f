//! Environments that all builds and tests of one user share: each is named by its root digest and
//! made once.
//!
//! Effects layer. What lies where, below a directory that is nobody else's:
//!
//! | place | holds |
//! | --- | --- |
//! | `HASH/` | an environment, by the hash of its root digest; nobody is meant to write to it |
//! | `stamps/HASH` | which directory that is, and of which tree; its time is that of the last use |
//! | `trees/HASH` | the tree as a message, to compare with |
//! | `roots/HASH/NAME` | the path of a file: the environment stays as long as that says its digest |
//! | `keys/KEY` | the root digest of what an action makes, so that nothing need be planned to find it |
//! | `locks/HASH` | locked by whoever makes or removes the environment |
//!
//! An environment is finished once it has a stamp, which is written last and removed first: what a
//! killed process left has none and is made again. A stamp names the inode of the directory and the
//! time of its last change, and no device: many file systems get another number each time that they
//! are mounted.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, RenameFlags, Stat};
use rustix::io::Errno;
use serde::Serialize;

use crate::effects::caches::store::place::{Naming, StorePlace, Untrusted};
use crate::effects::caches::store::record::{self, Kind};
use crate::effects::host::atomic::write_atomically;
use crate::effects::host::fs::{
    self, FsError, Permissions, create_directories, failed, open_to_continue, read_entry,
};
use crate::effects::host::lock::Locked;
use crate::effects::host::{random, remove, staging};
use crate::model::digest::{ActionDigest, Digest, DigestFunction, DirectoryDigest, Hash};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::tree::{Tree, wire};

/// What was used more recently than this is never collected: a test that runs may still import
/// something.
pub const IN_USE: Duration = Duration::from_secs(7 * 24 * 3600);
/// A time of last use is renewed once it is older than this.
const FRESH: Duration = Duration::from_secs(3600);

const STAMP: Kind = Kind { name: "environment", version: 1 };
const KEY: Kind = Kind { name: "environment-key", version: 1 };
const TREE: Kind = Kind { name: "environment-tree", version: 1 };

/// Why shared environments cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Nobody knows where they would be.
    #[error("there is no place for shared environments: the user's home is not known")]
    Unknown,
    /// Others may write there, or it is somebody else's.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Something went wrong there.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It was removed in the same moment.
    #[error("the shared environment `{path}` was removed while it was being made")]
    Removed {
        /// Where it would be.
        path: Utf8PathBuf,
    },
}

impl Explain for PlaceError {
    fn explain(&self) -> Explanation {
        ErrorKind::Io
            .hint("name another place by `--environments DIR`, or by VENVTREE_ENVIRONMENTS")
    }
}

/// The directory where environments are shared.
#[derive(Debug, Clone)]
pub struct Environments {
    root: Utf8PathBuf,
    sealed: bool,
}

/// What is known of a finished environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The digest function of its digest.
    pub function: DigestFunction,
    /// Its root digest.
    pub digest: DirectoryDigest,
    /// The modification time of everything in it, in seconds since 1970.
    pub mtime: u64,
    mark: Mark,
}

/// What tells one directory from another at the same place, and one state of it from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    /// In nanoseconds since 1970.
    changed: i128,
}

impl Mark {
    // The types of these fields differ between platforms.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn of(found: &Stat) -> Self {
        let changed = found.st_ctime as i128 * 1_000_000_000 + found.st_ctime_nsec as i128;
        Self { inode: found.st_ino as u64, changed }
    }
}

impl Stamp {
    fn render(&self) -> String {
        let Self { function, digest, mtime, mark: Mark { inode, changed } } = self;
        format!("{function} {digest} {mtime} {inode} {changed}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let function = words.next()?;
        let function = DigestFunction::ALL.into_iter().find(|known| known.name() == function)?;
        let digest = DirectoryDigest(Digest::parse(words.next()?).ok()?);
        let mtime = words.next()?.parse().ok()?;
        let mark =
            Mark { inode: words.next()?.parse().ok()?, changed: words.next()?.parse().ok()? };
        words.next().is_none().then_some(Self { function, digest, mtime, mark })
    }
}

/// What garbage collection did with environments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// How many there were.
    pub before: u64,
    /// How many were removed.
    pub removed: u64,
    /// What could not be removed, with the reason.
    pub failed: Vec<String>,
}

impl Environments {
    /// The user's own; nothing is touched.
    ///
    /// # Errors
    /// Others may write there, or it belongs to somebody else.
    pub fn open(root: Utf8PathBuf) -> Result<Self, PlaceError> {
        StorePlace::check(root.clone(), Naming::Own)?;
        if let Ok(found) = rustix::fs::stat(root.as_str()) {
            let user = rustix::process::geteuid().as_raw();
            if found.st_uid != user {
                return Err(Untrusted::Foreign { path: root, owner: found.st_uid, user }.into());
            }
        }
        Ok(Self { root, sealed: true })
    }

    /// Those of one process and its children, in a directory that goes away with it. Their files
    /// can be written to, so that whoever cleans up is not kept from it.
    pub fn passing(root: Utf8PathBuf) -> Self {
        Self { root, sealed: false }
    }

    /// The directory.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Whether environments are made so that nobody may write to them.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Where the environment of a digest is, or would be.
    pub fn path(&self, digest: DirectoryDigest) -> Utf8PathBuf {
        self.root.join(digest.0.hash.to_hex())
    }

    fn entry(&self, folder: &str, hash: Hash) -> Utf8PathBuf {
        self.root.join(folder).join(hash.to_hex())
    }

    /// The finished environment of a digest.
    pub fn find(&self, digest: DirectoryDigest) -> Option<Stamp> {
        let stamp = self.stamp(digest.0.hash).filter(|stamp| stamp.digest == digest)?;
        let found = rustix::fs::lstat(self.path(digest).as_str()).ok()?;
        let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        (is_directory && Mark::of(&found) == stamp.mark).then_some(stamp)
    }

    /// The tree that a finished environment was made as, as a message.
    pub fn tree_message(&self, stamp: &Stamp) -> Option<Vec<u8>> {
        record::unframe(TREE, read_entry(&self.entry("trees", stamp.digest.0.hash)).ok()?)
    }

    /// All environments that were finished, in the order of their names, whatever became of their
    /// directories since.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> Result<Vec<Stamp>, FsError> {
        let hashes = names(&self.root.join("stamps"))?;
        Ok(hashes.iter().filter_map(|hash| self.stamp(*hash)).collect())
    }

    fn stamp(&self, hash: Hash) -> Option<Stamp> {
        let bytes = read_entry(&self.entry("stamps", hash)).ok()?;
        Stamp::parse(&String::from_utf8(record::unframe(STAMP, bytes)?).ok()?)
    }

    /// Notes that an environment is used, and by which file, where that can be noted.
    pub fn used(&self, digest: DirectoryDigest, by: Option<&Utf8Path>) {
        let stamp = self.entry("stamps", digest.0.hash);
        let old = stamp.as_std_path().metadata().and_then(|found| found.modified());
        let is_old = |time: SystemTime| time.elapsed().is_ok_and(|elapsed| elapsed > FRESH);
        if old.is_ok_and(is_old) {
            let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
            let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
            let _ = rustix::fs::utimensat(CWD, stamp.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW);
        }
        if let Some(file) = by {
            let folder = self.entry("roots", digest.0.hash);
            let root = folder.join(Hash::sha256(file.as_str().as_bytes()).to_hex());
            if !root.as_std_path().exists() {
                let _ = create_directories(&folder, Permissions::PRIVATE);
                let _ = write_atomically(&root, |out| out.write_all(file.as_str().as_bytes()));
            }
        }
    }

    /// Notes that an action makes an environment that is there, where that can be noted.
    pub fn made_by(&self, key: ActionDigest, digest: DirectoryDigest) {
        if self.of_action(key) != Some(digest) {
            let _ = create_directories(&self.root.join("keys"), Permissions::PRIVATE);
            let text = record::frame(KEY, digest.to_string().as_bytes());
            let _ = write_atomically(&self.entry("keys", key.0.hash), |out| out.write_all(&text));
        }
    }

    /// The finished environment that an action makes, as far as that was noted.
    pub fn of_action(&self, key: ActionDigest) -> Option<DirectoryDigest> {
        let digest = self.named_for(key.0.hash)?;
        self.find(digest).is_some().then_some(digest)
    }

    /// What was noted for the hash of a key.
    fn named_for(&self, key: Hash) -> Option<DirectoryDigest> {
        let bytes = read_entry(&self.entry("keys", key)).ok()?;
        let text = String::from_utf8(record::unframe(KEY, bytes)?).ok()?;
        Digest::parse(&text).ok().map(DirectoryDigest)
    }

    /// Waits until nobody else makes or removes the environment of a digest, and keeps others from
    /// doing so.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn hold(&self, digest: DirectoryDigest) -> Result<Held<'_>, FsError> {
        self.lock(digest.0.hash, FlockOperation::LockExclusive)
            .map(|held| held.expect("this waits"))
    }

    /// The lock of an environment; nothing where somebody else has it and it is not waited for.
    fn lock(&self, hash: Hash, how: FlockOperation) -> Result<Option<Held<'_>>, FsError> {
        let path = self.entry("locks", hash);
        for folder in [&self.root, &self.root.join("locks")] {
            create_directories(folder, Permissions::PRIVATE).map_err(failed("create", folder))?;
        }
        loop {
            let file =
                OwnedFd::from(open_to_continue(&path, 0o600).map_err(failed("open", &path))?);
            match rustix::fs::flock(&file, how) {
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => return Ok(None),
                // Where there are no locks, whoever renames first has made it.
                _ => {}
            }
            // Who had it before may have removed the file, so that others lock another one.
            let own = rustix::fs::fstat(&file).map_err(failed("look at", &path))?;
            let there = rustix::fs::lstat(path.as_str());
            if there.is_ok_and(|there| there.st_ino == own.st_ino) {
                return Ok(Some(Held { environments: self, hash, _lock: Locked(file) }));
            }
        }
    }

    /// Removes environments that were not used for [`IN_USE`] or longer where that is `age`, and
    /// that no file names any more; and what killed processes left.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn collect(&self, age: Option<Duration>, now: SystemTime) -> Result<Collected, FsError> {
        let mut collected = Collected::default();
        if fs::kind(&self.root)? == fs::Kind::Absent {
            return Ok(collected);
        }
        staging::sweep(&self.root);
        let mut hashes = names(&self.root)?;
        hashes.extend(names(&self.root.join("stamps"))?);
        hashes.sort();
        hashes.dedup();
        let age = age.unwrap_or_default().max(IN_USE);
        for hash in hashes {
            collected.before += 1;
            let is_old = |used: SystemTime| now.duration_since(used).is_ok_and(|since| since > age);
            if !self.last_use(hash).is_some_and(is_old) || self.is_named(hash) {
                continue;
            }
            let removed = match self.lock(hash, FlockOperation::NonBlockingLockExclusive) {
                // Somebody makes it just now.
                Ok(None) => continue,
                Ok(Some(held)) => held.remove(),
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => collected.removed += 1,
                Err(error) => collected.failed.push(crate::model::explain::chain(&error)),
            }
        }
        // Keys of what is there no more.
        for key in names(&self.root.join("keys"))? {
            if self.named_for(key).is_none_or(|digest| self.stamp(digest.0.hash).is_none()) {
                remove_file(&self.entry("keys", key))?;
            }
        }
        Ok(collected)
    }

    /// When an environment was used last; where it has no stamp, when it was changed.
    fn last_use(&self, hash: Hash) -> Option<SystemTime> {
        let modified =
            |path: Utf8PathBuf| path.as_std_path().symlink_metadata().ok()?.modified().ok();
        modified(self.entry("stamps", hash)).or_else(|| {
            let found = rustix::fs::lstat(self.root.join(hash.to_hex()).as_str()).ok()?;
            let seconds = u64::try_from(found.st_ctime).ok()?;
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        })
    }

    /// Whether a file that was told of still says this digest.
    fn is_named(&self, hash: Hash) -> bool {
        let roots = names(&self.entry("roots", hash)).unwrap_or_default();
        roots.into_iter().any(|root| {
            let path = read_entry(&self.entry("roots", hash).join(root.to_hex())).ok();
            let path = path.and_then(|bytes| String::from_utf8(bytes).ok());
            let text = path.and_then(|path| read_entry(Utf8Path::new(&path)).ok());
            let digest =
                text.and_then(|text| Digest::parse(String::from_utf8(text).ok()?.trim()).ok());
            digest.is_some_and(|digest| digest.hash == hash)
        })
    }
}

/// The entries of a folder whose names are hashes; none where it is not there.
fn names(folder: &Utf8Path) -> Result<Vec<Hash>, FsError> {
    let listing = match folder.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(failed("list", folder))?,
    };
    let mut hashes: Vec<Hash> =
        listing.flatten().filter_map(|entry| Hash::parse_hex(entry.file_name()).ok()).collect();
    hashes.sort();
    Ok(hashes)
}

/// An environment that nobody else makes or removes as long as this is there.
#[derive(Debug)]
pub struct Held<'a> {
    environments: &'a Environments,
    hash: Hash,
    _lock: Locked,
}

impl Held<'_> {
    /// Removes what lies there: from its name at once, so that nobody finds half of it.
    ///
    /// # Errors
    /// It cannot be moved away, or something of it cannot be removed.
    pub fn clear(&self) -> Result<(), FsError> {
        let Environments { root, .. } = self.environments;
        let stamp = self.environments.entry("stamps", self.hash);
        remove_file(&stamp)?;
        let path = root.join(self.hash.to_hex());
        let name = staging::prefix(&self.hash.to_hex());
        let aside = root.join(format!("{name}{:016x}", random::number()));
        let renamed = rustix::fs::renameat_with(
            CWD,
            path.as_std_path(),
            CWD,
            aside.as_std_path(),
            RenameFlags::NOREPLACE,
        );
        match renamed {
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                remove::directory(&path).map_err(failed("remove", &path))
            }
            Err(error) => Err(failed("rename", &path)(error)),
            Ok(()) => remove::directory(&aside).map_err(failed("remove", &aside)),
        }
    }

    /// Removes the environment and all that is known of it.
    fn remove(self) -> Result<(), FsError> {
        self.clear()?;
        let environments = self.environments;
        remove_file(&environments.entry("trees", self.hash))?;
        let roots = environments.entry("roots", self.hash);
        remove::directory(&roots).map_err(failed("remove", &roots))?;
        // Last: whoever waits for it locks a new file.
        remove_file(&environments.entry("locks", self.hash))
    }
}

impl Environments {
    /// Says that the directory that lies there now is the environment of a tree. Whoever made it
    /// holds it.
    ///
    /// # Errors
    /// That cannot be written down.
    pub fn finish(&self, tree: &Tree, mtime: u64) -> Result<(), FsError> {
        let digest = tree.digest();
        for folder in ["stamps", "trees"] {
            let folder = self.root.join(folder);
            create_directories(&folder, Permissions::PRIVATE).map_err(failed("create", &folder))?;
        }
        let message = record::frame(TREE, &wire::encode_tree(tree));
        write_atomically(&self.entry("trees", digest.0.hash), |out| out.write_all(&message))?;
        let path = self.path(digest);
        let found = rustix::fs::lstat(path.as_str()).map_err(failed("look at", &path))?;
        let mark = Mark::of(&found);
        let stamp = Stamp { function: tree.function(), digest, mtime, mark };
        let stamp = record::frame(STAMP, stamp.render().as_bytes());
        write_atomically(&self.entry("stamps", digest.0.hash), |out| out.write_all(&stamp))
    }
}

fn remove_file(path: &Utf8Path) -> Result<(), FsError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::host::folder::folder;
    use crate::model::digest::BlobDigest;
    use crate::model::file_kind::FileKind;
    use crate::model::path::TreePath;
    use crate::model::tree::{Leaf, TreeBuilder};

    fn tree(text: &str) -> Tree {
        let blob = BlobDigest(DigestFunction::Sha256.digest(text.as_bytes()));
        let mut builder = TreeBuilder::new();
        let leaf = Leaf::File { blob, kind: FileKind::Plain };
        builder.insert(&TreePath::parse("file").unwrap(), leaf).unwrap();
        builder.finish(DigestFunction::Sha256)
    }

    fn make(environments: &Environments, tree: &Tree) -> Utf8PathBuf {
        let path = environments.path(tree.digest());
        std::fs::create_dir_all(&path).unwrap();
        environments.finish(tree, 0).unwrap();
        path
    }

    fn days(days: u64) -> SystemTime {
        SystemTime::now() + Duration::from_secs(days * 24 * 3600)
    }

    #[test]
    fn only_the_directory_that_was_made_is_found() {
        let (_guard, folder) = folder();
        let environments = Environments::open(folder.join("shared")).unwrap();
        let tree = tree("one");
        assert_eq!(environments.find(tree.digest()), None);
        let path = make(&environments, &tree);
        let stamp = environments.find(tree.digest()).unwrap();
        assert_eq!(Stamp::parse(&stamp.render()), Some(stamp));
        std::fs::rename(&path, folder.join("away")).unwrap();
        assert_eq!(environments.find(tree.digest()), None);
        std::fs::create_dir(&path).unwrap();
        assert_eq!(environments.find(tree.digest()), None, "another directory");
        environments.finish(&tree, 0).unwrap();
        std::fs::write(path.join("new"), "").unwrap();
        assert_eq!(environments.find(tree.digest()), None, "something was added");
    }

    #[test]
    fn what_was_used_this_week_or_is_named_stays() {
        let (_guard, folder) = folder();
        let environments = Environments::open(folder.join("shared")).unwrap();
        let (named, unnamed) = (tree("named"), tree("unnamed"));
        let paths = [&named, &unnamed].map(|tree| make(&environments, tree));
        let file = folder.join("digest");
        std::fs::write(&file, format!("{}\n", named.digest())).unwrap();
        environments.used(named.digest(), Some(&file));
        let key = ActionDigest(DigestFunction::Sha256.digest(b"action"));
        assert_eq!(environments.of_action(key), None);
        environments.made_by(key, unnamed.digest());
        environments.made_by(key, named.digest());
        assert_eq!(environments.of_action(key), Some(named.digest()), "what was noted last");
        let collect = |age, now| {
            let found = environments.collect(age, now).unwrap();
            assert_eq!(found.failed, Vec::<String>::new());
            (found.before, found.removed)
        };
        assert_eq!(collect(None, days(6)), (2, 0));
        let month = Some(Duration::from_secs(30 * 24 * 3600));
        assert_eq!(collect(month, days(20)), (2, 0), "not as old as was asked for");
        let held = environments.hold(unnamed.digest()).unwrap();
        assert_eq!(collect(None, days(8)), (2, 0), "somebody holds it");
        drop(held);
        assert_eq!(collect(None, days(8)), (2, 1));
        assert_eq!(paths.each_ref().map(|path| path.exists()), [true, false]);
        assert_eq!(environments.of_action(key), Some(named.digest()));
        std::fs::write(&file, format!("{}\n", unnamed.digest())).unwrap();
        assert_eq!(collect(None, days(8)), (1, 1), "the file says something else now");
        assert_eq!(environments.all().unwrap(), []);
        assert_eq!(environments.of_action(key), None);
        let left: Vec<Hash> = ["keys", "locks", "roots", "stamps", "trees"]
            .into_iter()
            .flat_map(|name| names(&environments.root().join(name)).unwrap())
            .collect();
        assert_eq!(left, []);
    }

    #[test]
    fn what_a_killed_process_left_is_collected_and_cleared() {
        let (_guard, folder) = folder();
        let environments = Environments::open(folder.join("shared")).unwrap();
        let tree = tree("left");
        let path = make(&environments, &tree);
        std::fs::remove_file(environments.entry("stamps", tree.digest().0.hash)).unwrap();
        assert_eq!(environments.find(tree.digest()), None);
        assert_eq!(environments.collect(None, days(8)).unwrap().removed, 1);
        assert!(!path.exists());
        make(&environments, &tree);
        let held = environments.hold(tree.digest()).unwrap();
        held.clear().unwrap();
        held.clear().unwrap();
        assert!(!path.exists() && environments.find(tree.digest()).is_none());
    }
}
