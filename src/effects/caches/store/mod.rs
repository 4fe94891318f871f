//! The local store: blobs, results and linkable files by digest, shared by any number of processes
//! without a daemon.
//!
//! Effects layer. What lies where:
//!
//! | folder | holds | laid out as |
//! | --- | --- | --- |
//! | `cas/xx/HASH` | messages, wheels that were fetched, and blobs that Bazel wrote | Bazel's disk cache |
//! | `partial/HASH` | wheels that are being fetched | [`fetched`] |
//! | `ac/xx/HASH` | results of actions (REAPI's `ActionResult`) | Bazel's disk cache |
//! | `files/MTIME/plain\|exec/xx/HASH` | the files of environments, linkable | [`area`] |
//! | `trees/xx/HASH` | which `Tree` message describes a root digest; its time is the tree's last use | [`record`] |
//! | `wheels/xx/HASH` | what is known of a wheel's members | [`record`] |
//! | `manifests/xx/HASH` | what a wheel holds, as it was read | [`record`] |
//! | `bytecode/xx/HASH` | overlays with bytecode, by what they were made of and how | [`record`] |
//! | `hashed/xx/HASH` | the SHA-256 of wheel files that nobody touched since | [`hashed`] |
//! | `stamps/xx/HASH` | which tree an output path holds | [`stamp`] |
//! | `states/xx/HASH` | how the entries of an output looked when that was known | [`states`] |
//! | `tmp/` | what is being written, by living processes | [`crate::effects::host::staging`] |
//! | `turns/HASH` | locked by whoever makes what several want | [`turns`] |
//! | `gc/lock` | held while garbage is collected, by Bazel too | [`gc`] |
//! | `gc/written` | as many bytes as megabytes were written since the size was looked at | [`bound`] |
//!
//! All of it lies at the top for SHA-256 and below `blake3/` for BLAKE3, as in Bazel's disk cache;
//! `tmp` and `gc` are shared. Every file appears in its place whole (by rename or link), so a
//! process may die anywhere. A store that cannot be written is used as far as it can be read, with
//! a note.

pub(crate) mod area;
pub(crate) mod bound;
mod environments;
pub(crate) mod fetched;
pub(crate) mod gc;
pub(crate) mod hashed;
pub(crate) mod place;
pub(crate) mod record;
pub(crate) mod stamp;
pub(crate) mod states;
mod survey;
pub(crate) mod turns;
pub(crate) mod usage;
pub(crate) mod verify;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};

use crate::effects::caches::blob::{
    ActionCache, BlobError, BlobStore, Blobs, Checked, Verifying, unwrap_read_error,
};
use crate::effects::caches::store::place::StorePlace;
use crate::effects::host::fs::{
    Links, Permissions, complete_mode, create_directories, open_regular, read_entry,
};
use crate::effects::host::notes::Notes;
use crate::effects::host::staging::{self, Staging};
use crate::model::digest::{ActionDigest, Digest, DigestFunction, DirectoryDigest, Hash};
use crate::model::file_kind::FileKind;
use crate::model::tree::{Tree, wire};

/// The prefix of our directories in `tmp/`, which Bazel uses as well.
const TEMPORARY_PREFIX: &str = "venvtree-";
/// A time of last use is renewed once it is older than this: a second use within the minute costs no
/// write.
const FRESH: Duration = Duration::from_secs(60);

/// The local store, for one digest function.
#[derive(Debug)]
pub struct Store {
    root: Utf8PathBuf,
    base: Utf8PathBuf,
    function: DigestFunction,
    notes: Notes,
    folders: Permissions,
    /// The files' only other place will be one output: they are not read-only.
    scratch: bool,
    writable: AtomicBool,
    temporary: OnceLock<Mutex<Option<Staging>>>,
    counter: AtomicU64,
    /// Who may own linkable files.
    owners: OnceLock<area::Owners>,
    /// The bytes that were added since the last look at the size.
    written: AtomicU64,
}

/// Whether a store may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and write.
    Write,
    /// Read only.
    Read,
    /// Read and write, for one output only: the store goes away, and files keep the permissions of
    /// an output that shares none with anybody.
    Scratch,
}

impl Store {
    /// Opens the store in a directory, which comes into being with the first write; nothing is
    /// touched before.
    pub fn open(
        place: impl Into<StorePlace>,
        function: DigestFunction,
        access: Access,
        notes: Notes,
    ) -> Self {
        let StorePlace { root, folders } = place.into();
        let base = match function {
            DigestFunction::Sha256 => root.clone(),
            DigestFunction::Blake3 => root.join(function.name()),
        };
        Self {
            root,
            base,
            function,
            notes,
            folders,
            scratch: access == Access::Scratch,
            writable: AtomicBool::new(access != Access::Read),
            temporary: OnceLock::new(),
            counter: AtomicU64::new(0),
            owners: OnceLock::new(),
            written: AtomicU64::new(0),
        }
    }

    /// The directory.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The digest function of everything in it.
    pub fn function(&self) -> DigestFunction {
        self.function
    }

    /// Whether writes are tried: not after one failed because the store is read-only or the disk
    /// full.
    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    /// The notes that this store adds to.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Runs a write that is allowed to fail: the command succeeds without it. An error becomes a
    /// note, and one that would come again (read-only, full) is the last that is tried. Says
    /// whether the write was done.
    pub fn attempt(&self, write: impl FnOnce() -> Result<(), BlobError>) -> bool {
        if !self.is_writable() {
            return false;
        }
        match write() {
            Ok(()) => true,
            Err(error) => {
                self.note_failure(&error);
                false
            }
        }
    }

    fn note_failure(&self, error: &BlobError) {
        let source = std::error::Error::source(error)
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        if is_lasting(error) {
            if self.writable.swap(false, Ordering::Relaxed) {
                // Whoever opens it again finds that out again.
                let root = &self.root;
                let text =
                    format!("the store `{root}` cannot be written, so nothing more is kept in it");
                self.notes.add_with_reason(text, &format!("{error}{source}"));
            }
        } else {
            // What is wrong with one file may be wrong with all.
            let text = format!("could not keep something in the store `{}`", self.root);
            self.notes.add_with_reason(text, &format!("{error}{source}"));
        }
    }

    fn blob_path(&self, hash: Hash) -> Utf8PathBuf {
        self.entry_path("cas", hash)
    }

    fn entry_folder(&self, folder: &str) -> Utf8PathBuf {
        self.base.join(folder)
    }

    pub(crate) fn entry_path(&self, folder: &str, hash: Hash) -> Utf8PathBuf {
        let hex = hash.to_hex();
        self.base.join(folder).join(&hex[..2]).join(hex)
    }

    /// A new file in this process's directory in `tmp/`.
    #[expect(clippy::disallowed_methods, reason = "what is made anew is nothing else")]
    fn temporary(&self) -> Result<(Utf8PathBuf, File), BlobError> {
        let slot = self.temporary.get_or_init(|| Mutex::new(None));
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            let parent = self.root.join("tmp");
            self.make_folders(&parent)
                .map_err(|error| BlobError::io("make the folder", &parent, error))?;
            self.close_to_others();
            self.mark();
            staging::clean(&parent, TEMPORARY_PREFIX);
            let staging = Staging::create(&parent, TEMPORARY_PREFIX)
                .map_err(|error| BlobError::io("make a folder in", &parent, error))?;
            *slot = Some(staging);
        }
        let folder = slot.as_ref().expect("filled above").path();
        let path = folder.join(self.counter.fetch_add(1, Ordering::Relaxed).to_string());
        let file = File::options()
            .write(true)
            .read(true)
            .create_new(true)
            .mode(self.entry_bits())
            .open(&path)
            .map_err(|error| BlobError::io("make", &path, error))?;
        if self.folders != Permissions::Usual {
            // Who may come as far as the folder was decided; what the umask says is for stores that
            // this user makes for others.
            complete_mode(&file, self.entry_mode())
                .map_err(|error| BlobError::io("make", &path, error))?;
        }
        Ok((path, file))
    }

    /// The mode of what is no linkable file: whoever may write to the store may also renew its time
    /// of last use, and lock it.
    fn entry_bits(&self) -> u32 {
        let group = matches!(self.folders, Permissions::Exact(bits) if bits & 0o020 != 0);
        if group { 0o664 } else { 0o644 }
    }

    fn entry_mode(&self) -> Mode {
        Mode::from_raw_mode(self.entry_bits() as rustix::fs::RawMode)
    }

    /// Opens a file that the users of the store have in common, which is made if need be; whatever
    /// is there, nothing is waited for.
    #[expect(clippy::disallowed_methods, reason = "it is opened without waiting")]
    fn open_common(&self, path: &Utf8Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = how | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path.as_str(), flags, self.entry_mode())?;
        if self.entry_mode().contains(Mode::WGRP) {
            // It is empty or as good as that. If another user made it, this was done.
            let _ = rustix::fs::fchmod(&file, self.entry_mode());
        }
        Ok(file)
    }

    fn make_parent(&self, path: &Utf8Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |parent| self.make_folders(parent))
    }

    fn make_folders(&self, path: &Utf8Path) -> io::Result<()> {
        create_directories(path, self.folders)
    }

    /// Takes from others the right to read what is the user's own, where they had it from an
    /// earlier version or a restored backup.
    #[expect(
        clippy::disallowed_methods,
        reason = "the store's root may be a link, whose target is meant"
    )]
    fn close_to_others(&self) {
        if self.folders == Permissions::PRIVATE
            && let Ok(found) = fs::metadata(&self.root)
            && found.permissions().mode() & 0o077 != 0
        {
            // Where this is not allowed, others may go on reading.
            let _ = fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700));
        }
    }

    /// Tells backup programs that all of this can be made again, see bford.info/cachedir.
    #[expect(clippy::disallowed_methods, reason = "what is made anew is nothing else")]
    fn mark(&self) {
        let path = self.root.join("CACHEDIR.TAG");
        if let Ok(mut file) = File::options().write(true).create_new(true).mode(0o644).open(&path) {
            let _ =
                file.write_all(b"Signature: 8a477f597d28d172789f06886806bc55\n# A cache of venvtree; Bazel's disk cache may share it.\n");
        }
    }

    /// Moves a finished temporary file to its place, making parents where they are missing.
    #[expect(
        clippy::disallowed_methods,
        reason = "an entry that is there has the same name, and so the same meaning"
    )]
    fn publish(&self, temporary: &Utf8Path, target: &Utf8Path) -> Result<(), BlobError> {
        let result = match fs::rename(temporary, target) {
            // Not there, or another thread is just making it, under a umask that takes the owner's
            // rights.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
            {
                self.make_parent(target).and_then(|()| fs::rename(temporary, target))
            }
            result => result,
        };
        result.map_err(|error| {
            let _ = fs::remove_file(temporary);
            BlobError::io("write", target, error)
        })
    }

    /// Writes a small file in one go.
    pub(crate) fn write_entry(&self, target: &Utf8Path, bytes: &[u8]) -> Result<(), BlobError> {
        let (path, mut file) = self.temporary()?;
        if let Err(error) = file.write_all(bytes) {
            drop(file);
            let _ = fs::remove_file(&path);
            return Err(BlobError::io("write", &path, error));
        }
        drop(file);
        self.publish(&path, target)
    }

    /// Streams bytes into a temporary file and verifies them; the file is gone where they are
    /// wrong.
    fn receive(
        &self,
        digest: Digest,
        bytes: &mut dyn Read,
        place: &str,
    ) -> Result<(Utf8PathBuf, File), BlobError> {
        let (path, mut file) = self.temporary()?;
        let mut verifying = Verifying::new(bytes, self.function, digest, place);
        if let Err(error) = copy(&mut verifying, &mut file, digest.size) {
            drop(file);
            let _ = fs::remove_file(&path);
            return Err(unwrap_read_error(error, "write", &path));
        }
        Ok((path, file))
    }

    /// Keeps bytes that are verified already.
    ///
    /// # Errors
    /// They cannot be written.
    fn put_checked(&self, blob: Checked<'_>) -> Result<(), BlobError> {
        let path = self.blob_path(blob.digest().hash);
        if renew(&path, Some(blob.digest().size)) {
            Ok(())
        } else {
            self.write_entry(&path, blob.bytes())
        }
    }

    /// A message (`Tree`, `Directory`, …) of at most `limit` bytes, verified. A damaged one is
    /// removed and counts as absent.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn message(&self, digest: Digest, limit: u64) -> Result<Option<Vec<u8>>, BlobError> {
        match crate::effects::caches::blob::read_small(
            self,
            self.function,
            digest,
            limit,
            self.root.as_str(),
        ) {
            Err(error @ BlobError::Mismatch { .. }) => {
                self.discard(&self.blob_path(digest.hash), &error.to_string());
                Ok(None)
            }
            result => result,
        }
    }

    /// What is there and cannot be read counts as absent, with a note: it can be made again.
    fn pass_over(&self, path: &Utf8Path, error: &io::Error) {
        if !is_absent(error) {
            self.notes.add_of_many(
                "unreadable",
                format!("the store's entry `{path}` cannot be read, so it is made again ({error})"),
            );
        }
    }

    /// Removes a damaged entry, with a note.
    fn discard(&self, path: &Utf8Path, why: &str) {
        let removed = if self.is_writable() && fs::remove_file(path).is_ok() {
            "it was removed"
        } else {
            "it could not be removed"
        };
        self.notes.add_of_many(
            "damaged",
            format!("the store's entry `{path}` is damaged: {why}; {removed}"),
        );
    }

    /// Remembers a tree: its `Tree` message, and that this message describes its root digest.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remember_tree(&self, tree: &Tree) -> Result<Digest, BlobError> {
        let message = wire::encode_tree(tree);
        let blob = Checked::made(self.function, &message);
        self.put_checked(blob)?;
        let path = self.entry_path("trees", tree.digest().0.hash);
        if !renew(&path, None) {
            self.write_entry(
                &path,
                &record::frame(record::TREE, blob.digest().to_string().as_bytes()),
            )?;
        }
        Ok(blob.digest())
    }

    /// The digest of the `Tree` message that describes a root digest, where it is known here.
    /// Counts as a use.
    pub fn tree_message_of(&self, root: DirectoryDigest) -> Option<Digest> {
        let path = self.entry_path("trees", root.0.hash);
        let payload = record::unframe(record::TREE, read_entry(&path).ok()?)?;
        let digest = Digest::parse(std::str::from_utf8(&payload).ok()?).ok()?;
        if self.is_writable() {
            renew(&path, None);
        }
        Some(digest)
    }

    /// Notes that a tree was used, so that neither it nor its files look older than they are; says
    /// whether it is known here.
    pub fn renew_tree(&self, root: DirectoryDigest) -> bool {
        self.tree_message_of(root)
            .is_some_and(|message| renew(&self.blob_path(message.hash), Some(message.size)))
    }

    /// Notes that an output was used, and so what it holds, of which its stamp alone was asked. The
    /// path must be absolute.
    pub fn renew_stamped(&self, output: &Utf8Path, root: DirectoryDigest) {
        if self.is_writable() {
            renew(&record::path(self, record::STAMP, stamp::key(output)), None);
            renew(&self.entry_path(record::TREE.name, root.0.hash), None);
        }
    }

    /// The modification times of linkable files that there are areas for.
    fn areas(&self) -> Vec<i64> {
        let Ok(entries) = self.base.join("files").read_dir_utf8() else {
            return Vec::new();
        };
        let mut areas: Vec<i64> =
            entries.flatten().filter_map(|entry| entry.file_name().parse().ok()).collect();
        areas.sort_unstable();
        areas
    }

    /// The folder of the linkable files of one kind and time.
    fn area_folder(&self, mtime: i64, kind: FileKind) -> Utf8PathBuf {
        area::folder(&self.base, mtime, kind)
    }

    /// Every path at which a blob's bytes may lie, the most likely first.
    fn candidates(&self, hash: Hash) -> impl Iterator<Item = Utf8PathBuf> + '_ {
        let areas = std::iter::once_with(|| self.areas()).flatten();
        let files = areas.flat_map(move |mtime| {
            FileKind::ALL.map(|kind| area::entry_path(&self.base, mtime, kind, hash))
        });
        std::iter::once(self.blob_path(hash)).chain(files)
    }
}

impl Blobs for Store {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        for path in self.candidates(digest.hash) {
            match open_regular(&path, Links::Refuse) {
                Ok(file) if file.metadata().is_ok_and(|metadata| metadata.len() == digest.size) => {
                    return Ok(Some(Box::new(file)));
                }
                Ok(_) => {}
                Err(error) => self.pass_over(&path, &error),
            }
        }
        Ok(None)
    }
}

impl BlobStore for Store {
    fn function(&self) -> DigestFunction {
        self.function
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let mut missing: Vec<Digest> = digests.to_vec();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|digest| {
            let here = |path: Utf8PathBuf| {
                fs::symlink_metadata(path)
                    .is_ok_and(|found| found.is_file() && found.len() == digest.size)
            };
            digest.size != 0 && !self.candidates(digest.hash).any(here)
        });
        Ok(missing)
    }

    fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError> {
        let target = self.blob_path(digest.hash);
        if renew(&target, Some(digest.size)) {
            return Ok(());
        }
        let (path, _) = self.receive(digest, bytes, "the source")?;
        self.publish(&path, &target)
    }
}

impl Store {
    /// Whether there is a result of an action, of any kind.
    pub fn has_action_result(&self, action: ActionDigest) -> bool {
        self.entry_path("ac", action.0.hash).exists()
    }
}

impl ActionCache for Store {
    fn action_result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.entry_path("ac", action.0.hash);
        match read_entry(&path) {
            Ok(bytes) => {
                if self.is_writable() {
                    renew(&path, None);
                }
                Ok(Some(bytes))
            }
            Err(error) => {
                self.pass_over(&path, &error);
                Ok(None)
            }
        }
    }

    fn set_action_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError> {
        self.write_entry(&self.entry_path("ac", action.0.hash), result)
    }
}

/// Sets the time of last use to now where it is not recent; says whether the file is there, with
/// the size where one is given.
fn renew(path: &Utf8Path, size: Option<u64>) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else {
        return false;
    };
    if !found.is_file() || size.is_some_and(|size| found.len() != size) {
        return false;
    }
    if found
        .modified()
        .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > FRESH))
    {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ };
        let times = Timestamps { last_access: now, last_modification: now };
        // Where this is not allowed the entry only looks older than it is.
        let _ = rustix::fs::utimensat(CWD, path.as_str(), &times, AtFlags::SYMLINK_NOFOLLOW);
    }
    true
}

/// Copies with a buffer that fits small files.
fn copy(from: &mut dyn Read, to: &mut File, size: u64) -> io::Result<()> {
    let length = usize::try_from(size.clamp(1, 256 * 1024) + 1).expect("at most 256 KiB");
    let mut buffer = vec![0; length];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether the next write would fail the same way.
fn is_lasting(error: &BlobError) -> bool {
    use io::ErrorKind::{
        NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    match error {
        BlobError::Io { source, .. } => {
            matches!(
                source.kind(),
                StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied | NotADirectory
            )
        }
        _ => false,
    }
}

fn set_time(file: impl AsFd, mtime: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
    Ok(rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn store(function: DigestFunction) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().join("store")).unwrap();
        (folder, Store::open(root, function, Access::Write, Notes::new()))
    }

    #[test]
    fn entries_lie_where_bazel_looks_for_them() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let (_folder, sha256) = store(DigestFunction::Sha256);
        sha256.put(DigestFunction::Sha256.digest(b"abc"), &mut &b"abc"[..]).unwrap();
        assert_eq!(fs::read(sha256.root().join(format!("cas/ba/{hash}"))).unwrap(), b"abc");
        let (_folder, blake3) = store(DigestFunction::Blake3);
        let digest = DigestFunction::Blake3.digest(b"abc");
        blake3.put(digest, &mut &b"abc"[..]).unwrap();
        blake3.set_action_result(ActionDigest(digest), b"x").unwrap();
        let hex = digest.hash.to_hex();
        assert!(blake3.root().join("blake3/cas").join(&hex[..2]).join(&hex).exists());
        assert!(blake3.root().join("blake3/ac").join(&hex[..2]).join(&hex).exists());
    }

    #[test]
    fn a_store_that_cannot_be_written_is_noted_once_and_left_alone() {
        let (folder, _) = store(DigestFunction::Sha256);
        let file = Utf8PathBuf::from_path_buf(folder.path().join("file")).unwrap();
        fs::write(&file, "").unwrap();
        let store = Store::open(file, DigestFunction::Sha256, Access::Write, Notes::new());
        let write =
            || store.attempt(|| store.put(DigestFunction::Sha256.digest(b"abc"), &mut &b"abc"[..]));
        assert!(!write() && !write() && !store.is_writable());
        assert_eq!(store.notes().take().len(), 1);
    }

    #[test]
    fn a_damaged_message_is_absent_and_is_removed() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let digest = DigestFunction::Sha256.digest(b"abc");
        store.put(digest, &mut &b"abc"[..]).unwrap();
        assert_eq!(store.message(digest, 10).unwrap().unwrap(), b"abc");
        fs::write(store.blob_path(digest.hash), b"abd").unwrap();
        assert_eq!(store.message(digest, 10).unwrap(), None);
        assert!(!store.blob_path(digest.hash).exists());
        assert_eq!(store.notes().take().len(), 1);
    }
}
