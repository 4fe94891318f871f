//! What the store holds, and getting rid of what was used least recently.
//!
//! Effects layer. Messages, results and records carry their last use as modification time, as
//! everything in Bazel's disk cache does. Linkable files cannot (their time is that of the
//! environments), so they are as recent as the most recent tree that has them, which `trees/` says;
//! one in no tree is as recent as its last change, for a build may be about to name it. One
//! collector works at a time, Bazel's own included; builds go on meanwhile, as whatever they miss
//! is made again.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::{Store, TEMPORARY_PREFIX, is_absent, record, stamp};
use crate::effects::host::fs::read_entry;
use crate::effects::host::staging;
use crate::model::digest::{Digest, Hash};
use crate::model::tree::{Leaf, Node, wire};

/// What kind of entry a file of the store is; the order in which entries of the same age are
/// collected: what refers before what is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// `stamps/`
    Stamp,
    /// `states/`
    States,
    /// `hashed/`
    Hashed,
    /// `ac/`
    Result,
    /// `trees/`
    Tree,
    /// `wheels/`
    Wheel,
    /// `manifests/`
    Manifest,
    /// `bytecode/`
    Bytecode,
    /// `cas/`
    Blob,
    /// `files/`
    File,
}

impl EntryKind {
    const FOLDERS: [(Self, &'static str); 9] = [
        (Self::Stamp, "stamps"),
        (Self::States, "states"),
        (Self::Hashed, "hashed"),
        (Self::Result, "ac"),
        (Self::Tree, "trees"),
        (Self::Wheel, "wheels"),
        (Self::Manifest, "manifests"),
        (Self::Bytecode, "bytecode"),
        (Self::Blob, "cas"),
    ];
}

/// One file of the store.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: EntryKind,
    pub(super) path: Utf8PathBuf,
    pub(super) hash: Hash,
    pub(super) size: u64,
    pub(super) links: u64,
    /// Seconds since 1970.
    pub(super) used: i64,
    /// Of a linkable file: its area's time and whether it is executable.
    pub(super) file: Option<(i64, bool)>,
}

/// Entries and bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Number of entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Usage {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.bytes += entry.size;
    }
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StoreReport {
    /// Blobs in Bazel's layout.
    pub blobs: Usage,
    /// Action results.
    pub results: Usage,
    /// Linkable files.
    pub files: Usage,
    /// Those of them that no environment links: the bytes that removing them would free.
    pub unlinked_files: Usage,
    /// What is known and was made of wheels: manifests and bytecode.
    pub wheels: Usage,
    /// Known trees.
    pub trees: Usage,
    /// Stamps of outputs.
    pub stamps: Usage,
    /// Files whose digest is known.
    pub hashed: Usage,
    /// Everything.
    pub total: Usage,
}

/// What garbage collection may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The most bytes, all entries together.
    pub bytes: Option<u64>,
    /// The longest time since the last use.
    pub age: Option<Duration>,
}

/// What garbage collection did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CollectionReport {
    /// What there was.
    pub before: Usage,
    /// What was removed.
    pub removed: Usage,
    /// Temporary folders of processes that are gone, removed.
    pub temporaries: u64,
    /// Entries that could not be removed, with the reason.
    pub failed: Vec<String>,
}

impl Store {
    /// Counts what the store holds, for its digest function.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn report(&self) -> Result<StoreReport, BlobError> {
        let mut report = StoreReport::default();
        for entry in self.entries()? {
            let usage = match entry.kind {
                EntryKind::Blob => &mut report.blobs,
                EntryKind::Result => &mut report.results,
                EntryKind::File => &mut report.files,
                EntryKind::Wheel | EntryKind::Manifest | EntryKind::Bytecode => &mut report.wheels,
                EntryKind::Tree => &mut report.trees,
                EntryKind::Stamp | EntryKind::States => &mut report.stamps,
                EntryKind::Hashed => &mut report.hashed,
            };
            usage.add(&entry);
            report.total.add(&entry);
            if entry.kind == EntryKind::File && entry.links == 1 {
                report.unlinked_files.add(&entry);
            }
        }
        Ok(report)
    }

    /// Removes what was used least recently until the limits are kept, what stamps say of outputs
    /// that are gone, and what dead processes left.
    ///
    /// # Errors
    /// Another collector is at work, or the store cannot be read or locked.
    pub fn collect_garbage(
        &self,
        limits: Limits,
        now: SystemTime,
    ) -> Result<CollectionReport, BlobError> {
        let mut report = CollectionReport::default();
        if !self.root().as_std_path().exists() {
            return Ok(report);
        }
        let _lock = self.lock()?;
        report.temporaries = staging::clean(&self.root().join("tmp"), TEMPORARY_PREFIX) as u64;
        report.temporaries += self.remove_old_partials(now);
        let mut entries = self.entries()?;
        self.date_files(&mut entries);
        for entry in &entries {
            report.before.add(entry);
        }
        entries.sort_by(|one, two| {
            (one.used, one.kind, &one.path).cmp(&(two.used, two.kind, &two.path))
        });
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        let oldest = limits
            .age
            .map(|age| now.saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
        let mut excess = limits.bytes.map_or(0, |bytes| report.before.bytes.saturating_sub(bytes));
        for entry in entries {
            let outdated = match entry.kind {
                EntryKind::Stamp => read_entry(&entry.path)
                    .is_ok_and(|bytes| stamp::is_current(bytes) != Some(true)),
                // Without the stamp they are of no use.
                EntryKind::States => {
                    !self.entry_path(record::STAMP.name, entry.hash).as_std_path().exists()
                }
                _ => false,
            };
            if excess == 0 && !outdated && oldest.is_none_or(|oldest| entry.used >= oldest) {
                continue;
            }
            match fs::remove_file(&entry.path) {
                Ok(()) => {
                    report.removed.add(&entry);
                    excess = excess.saturating_sub(entry.size);
                }
                Err(error) if is_absent(&error) => excess = excess.saturating_sub(entry.size),
                Err(error) => report.failed.push(format!("{}: {error}", entry.path)),
            }
        }
        Ok(report)
    }

    /// The lock that Bazel's collector takes, too. Dropped with the file.
    #[expect(clippy::disallowed_methods, reason = "it is opened without waiting")]
    pub(super) fn lock(&self) -> Result<OwnedFd, BlobError> {
        let path = self.root().join("gc/lock");
        let failed = |error: io::Error| BlobError::io("lock", &path, error);
        self.make_parent(&path).map_err(failed)?;
        let busy = |_| {
            failed(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another garbage collection is at work",
            ))
        };
        let file = match self.open_common(&path, OFlags::RDWR) {
            // That of another user of the store: to hold it needs no more than to read it.
            Err(Errno::ACCESS) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::open(path.as_str(), flags, Mode::empty())
                    .map_err(|error| failed(error.into()))?;
                rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
                return Ok(file);
            }
            result => result.map_err(|error| failed(error.into()))?,
        };
        // Java, and so Bazel, locks by fcntl, which does not keep threads of one process apart:
        // flock does.
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
        Ok(file)
    }

    /// Every entry. Files of other names or places are nobody's business here.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, BlobError> {
        let mut entries = Vec::new();
        for (kind, folder) in EntryKind::FOLDERS {
            scan(&self.base.join(folder), kind, None, &mut entries)?;
        }
        for mtime in self.areas() {
            for executable in [false, true] {
                let folder = self.base.join("files").join(mtime.to_string()).join(if executable {
                    "exec"
                } else {
                    "plain"
                });
                scan(&folder, EntryKind::File, Some((mtime, executable)), &mut entries)?;
            }
        }
        Ok(entries)
    }

    /// Sets the last use of linkable files to that of the most recent tree that has them.
    pub(super) fn date_files(&self, entries: &mut [Entry]) {
        let mut used: HashMap<(Hash, bool), i64> = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Tree) {
            let digest = read_entry(&entry.path)
                .ok()
                .and_then(|bytes| record::unframe(record::TREE, bytes))
                .and_then(|payload| Digest::parse(std::str::from_utf8(&payload).ok()?).ok());
            // Unverified on purpose: a damaged message can at worst make a file look more recent
            // than it is.
            let Some(message) =
                digest.and_then(|digest| read_entry(&self.blob_path(digest.hash)).ok())
            else {
                continue;
            };
            for (_, value) in wire::Fields::new(&message).flatten() {
                let wire::Value::Bytes(directory) = value else {
                    continue;
                };
                for (_, node) in wire::decode_directory(directory).unwrap_or_default() {
                    if let Node::Leaf(Leaf::File { blob, executable }) = node {
                        let time = used.entry((blob.0.hash, executable)).or_insert(entry.used);
                        *time = (*time).max(entry.used);
                    }
                }
            }
        }
        for entry in entries {
            if let Some((_, executable)) = entry.file
                && let Some(&time) = used.get(&(entry.hash, executable))
            {
                entry.used = time;
            }
        }
    }
}

fn scan(
    folder: &Utf8Path,
    kind: EntryKind,
    file: Option<(i64, bool)>,
    entries: &mut Vec<Entry>,
) -> Result<(), BlobError> {
    let read = |path: &Utf8Path| match path.read_dir_utf8() {
        Ok(listing) => Ok(Some(listing)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(BlobError::io("list", path, error)),
    };
    let Some(shards) = read(folder)? else {
        return Ok(());
    };
    for shard in shards.flatten() {
        let Some(listing) = read(shard.path())? else {
            continue;
        };
        for found in listing.flatten() {
            let Ok(hash) = Hash::parse_hex(found.file_name()) else {
                continue;
            };
            if !found.file_name().starts_with(shard.file_name()) {
                continue;
            }
            // Another collector, or a repair, may have removed it since.
            let Ok(metadata) = fs::symlink_metadata(found.path()) else {
                continue;
            };
            let used = if file.is_some() { metadata.ctime() } else { metadata.mtime() };
            let entry = Entry {
                kind,
                path: found.path().to_owned(),
                hash,
                size: metadata.len(),
                links: metadata.nlink(),
                used,
                file,
            };
            entries.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::effects::caches::blob::{ActionCache, BlobStore};
    use crate::effects::caches::store::area::LinkMode;
    use crate::effects::caches::store::tests::store;
    use crate::model::digest::{ActionDigest, BlobDigest, DigestFunction, DirectoryDigest};
    use crate::model::path::TreePath;
    use crate::model::tree::{Leaf, Tree, TreeBuilder};

    const HOUR: i64 = 3600;

    fn age(path: &Utf8Path, now: i64, hours: i64) {
        filetime::set_file_mtime(path, filetime::FileTime::from_unix_time(now - hours * HOUR, 0))
            .unwrap();
    }

    fn tree(texts: &[&str]) -> Tree {
        let mut builder = TreeBuilder::new();
        for text in texts {
            let blob = BlobDigest(DigestFunction::Sha256.digest(text.as_bytes()));
            builder
                .insert(&TreePath::parse(text).unwrap(), Leaf::File { blob, executable: false })
                .unwrap();
        }
        builder.finish(DigestFunction::Sha256)
    }

    #[test]
    fn files_are_as_recent_as_the_most_recent_tree_that_has_them() {
        let (folder, store) = store(DigestFunction::Sha256);
        let handle = File::open(folder.path()).unwrap();
        let area = store.area(0, LinkMode::Auto, handle.as_fd());
        for text in ["old", "shared", "new"] {
            area.insert(
                DigestFunction::Sha256.digest(text.as_bytes()),
                false,
                &mut text.as_bytes(),
            )
            .unwrap();
        }
        let (old, new) = (tree(&["old", "shared"]), tree(&["new", "shared"]));
        // In the future, so that the files' own times of change, now, do not count as older.
        let now = SystemTime::now() + Duration::from_secs(48 * 3600);
        let seconds = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        for (tree, hours) in [(&old, 40), (&new, 1)] {
            let message = store.remember_tree(tree).unwrap();
            age(&store.blob_path(message.hash), seconds, hours);
            age(&store.entry_path("trees", tree.digest().0.hash), seconds, hours);
        }
        let report = store
            .collect_garbage(Limits { bytes: None, age: Some(Duration::from_secs(24 * 3600)) }, now)
            .unwrap();
        assert_eq!(
            (report.removed.entries, report.failed.len()),
            (3, 0),
            "the old file, the old tree and its message"
        );
        let has = |text: &str| area.has(DigestFunction::Sha256.digest(text.as_bytes()), false);
        assert_eq!((has("old"), has("shared"), has("new")), (false, true, true));
        assert_eq!(store.tree_message_of(DirectoryDigest(old.digest().0)), None);
    }

    #[test]
    fn a_size_limit_takes_the_oldest_first_and_no_more_than_needed() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let now = SystemTime::now();
        let seconds = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        for (index, text) in ["1111", "2222", "3333"].iter().enumerate() {
            let digest = DigestFunction::Sha256.digest(text.as_bytes());
            store.put(digest, &mut text.as_bytes()).unwrap();
            age(&store.blob_path(digest.hash), seconds, 3 - i64::try_from(index).unwrap());
        }
        let report = store.collect_garbage(Limits { bytes: Some(8), age: None }, now).unwrap();
        assert_eq!(
            (report.before, report.removed),
            (Usage { entries: 3, bytes: 12 }, Usage { entries: 1, bytes: 4 })
        );
        assert_eq!(store.missing(&[DigestFunction::Sha256.digest(b"1111")]).unwrap().len(), 1);
    }

    #[test]
    fn two_collectors_do_not_work_at_once() {
        let (_folder, store) = store(DigestFunction::Sha256);
        store.set_action_result(ActionDigest(DigestFunction::Sha256.digest(b"")), b"").unwrap();
        let lock = store.lock().unwrap();
        assert!(store.collect_garbage(Limits::default(), SystemTime::now()).is_err());
        drop(lock);
        assert!(store.collect_garbage(Limits::default(), SystemTime::now()).is_ok());
    }

    #[test]
    fn stamps_of_outputs_that_are_gone_go() {
        let (folder, store) = store(DigestFunction::Sha256);
        let output = Utf8PathBuf::from_path_buf(folder.path().join("out")).unwrap();
        fs::create_dir(&output).unwrap();
        let digest = DigestFunction::Sha256.digest(b"");
        store
            .set_stamp(
                &output,
                &stamp::Stamp {
                    action: ActionDigest(digest),
                    root: DirectoryDigest(digest),
                    files: 0,
                    bytes: 0,
                    text: None,
                    directories: Vec::new(),
                },
            )
            .unwrap();
        assert_eq!(
            store.collect_garbage(Limits::default(), SystemTime::now()).unwrap().removed.entries,
            0
        );
        fs::remove_dir(&output).unwrap();
        assert_eq!(
            store.collect_garbage(Limits::default(), SystemTime::now()).unwrap().removed.entries,
            1
        );
    }
}
