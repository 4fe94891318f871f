//! Linkable files: the area of the store out of which environments are made, and into which new
//! files go.
//!
//! Effects layer. A hardlink shares mode and time with its file, so every file here is read-only,
//! has the one modification time of its area, and exists once per content and kind (plain or
//! executable). A file is written once, in the output being staged, and then linked into the area
//! ([`Area::adopt`]); later outputs link it back ([`Area::place`]). Nothing is hashed on that way:
//! a cheap look at size, mode and time finds what was changed since, and only then the content is
//! hashed and the file repaired or removed.

mod adopt;
#[cfg(target_vendor = "apple")]
mod clone;
mod copy;
mod incoming;
mod link_mode;
mod repair;

pub use self::incoming::{Incoming, Wanted};
pub use self::link_mode::LinkMode;
pub(super) use self::repair::{Owners, Repair, hash_file, is_sound, repair};

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;
use serde::Serialize;

use self::copy::{CopyError, copy, finish};
use self::link_mode::{Ladder, Method};
use self::repair::{State, own_mode};
use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::{Store, set_time};
use crate::effects::host::fs::{Links, complete_mode, open_regular};
use crate::effects::host::state::State as Look;
use crate::model::digest::{Digest, Hash};
use crate::model::file_kind::FileKind;
use crate::model::layout;

/// Without waiting, whatever kind of file it turns out to be.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// How many files an area gave and took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Files that the output got as hardlinks.
    pub hardlinks: u64,
    /// Files that the output got as reflinks.
    pub reflinks: u64,
    /// Files that the output got as copies.
    pub copies: u64,
    /// New files that the store took over.
    pub adopted: u64,
}

/// A file that an area gave.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// How it looks in its place, where that was seen anyway.
    pub look: Option<Look>,
}

/// What comes of asking for a file; nothing where the area does not have it.
pub type Taken = Result<Option<Given>, BlobError>;

/// Where a file goes: under a name that is not taken in a directory that is open.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub directory: BorrowedFd<'a>,
    pub name: &'a str,
}

/// The linkable files of one modification time, and how they get to one destination.
#[derive(Debug)]
pub struct Area<'a> {
    store: &'a Store,
    mtime: i64,
    mode: LinkMode,
    ladder: Ladder,
    read_only_output: bool,
    plain: OnceLock<OwnedFd>,
    executable: OnceLock<OwnedFd>,
    hardlinks: AtomicU64,
    reflinks: AtomicU64,
    copies: AtomicU64,
    adopted: AtomicU64,
    /// Where files are linked, what gives the others: those that are edited where they lie.
    own: Option<Box<Area<'a>>>,
}

fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Plain => "plain",
        FileKind::Executable => "exec",
    }
}

pub(super) fn entry_path(base: &Utf8Path, mtime: i64, kind: FileKind, hash: Hash) -> Utf8PathBuf {
    folder(base, mtime, kind).join(EntryName::of(hash).as_str())
}

/// The folder of the files of one kind and time.
pub(super) fn folder(base: &Utf8Path, mtime: i64, kind: FileKind) -> Utf8PathBuf {
    base.join("files").join(mtime.to_string()).join(kind_name(kind))
}

/// The name of a file in its folder, `xx/HASH`. One is made for every file of an environment, hence
/// without a formatter and without memory of its own.
struct EntryName([u8; Self::LENGTH + 1]);

impl EntryName {
    const LENGTH: usize = 3 + 64;

    fn of(hash: Hash) -> Self {
        let digits = hash.hex_digits();
        let mut name = [0; Self::LENGTH + 1];
        name[..2].copy_from_slice(&digits[..2]);
        name[2] = b'/';
        name[3..Self::LENGTH].copy_from_slice(&digits);
        Self(name)
    }

    /// For the system.
    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.0).expect("digits and a zero")
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0[..Self::LENGTH]).expect("digits are ASCII")
    }
}

impl Store {
    /// The linkable files of a modification time (seconds since 1970), for outputs in the directory
    /// `destination`.
    pub fn area(&self, mtime: i64, mode: LinkMode, destination: BorrowedFd<'_>) -> Area<'_> {
        let device =
            |path: &Utf8Path| rustix::fs::stat(path.as_str()).ok().map(|found| found.st_dev);
        let own = || {
            device(&self.base.join("files"))
                .or_else(|| device(&self.root))
                .or_else(|| device(nearest(&self.root)))
        };
        let method = match mode {
            // Links do not lead from one file system to another; trying would only fail file by
            // file.
            LinkMode::Auto | LinkMode::Hardlink
                if rustix::fs::fstat(destination).ok().map(|found| found.st_dev) == own() =>
            {
                Method::Hardlink
            }
            LinkMode::Auto | LinkMode::Hardlink | LinkMode::Reflink | LinkMode::Own => {
                Method::Reflink
            }
            LinkMode::Copy => Method::Copy,
        };
        if mode == LinkMode::Hardlink && method != Method::Hardlink {
            self.notes.add(format!("the store `{}` is on another file system than the output, so files are copied, not linked", self.root));
        }
        Area {
            store: self,
            mtime,
            mode,
            ladder: Ladder::new(method),
            read_only_output: method == Method::Hardlink,
            plain: OnceLock::new(),
            executable: OnceLock::new(),
            hardlinks: AtomicU64::new(0),
            reflinks: AtomicU64::new(0),
            copies: AtomicU64::new(0),
            adopted: AtomicU64::new(0),
            own: (method == Method::Hardlink && !self.scratch)
                .then(|| Box::new(self.area(mtime, LinkMode::Own, destination))),
        }
    }
}

/// The nearest parent that exists.
fn nearest(path: &Utf8Path) -> &Utf8Path {
    path.ancestors().find(|path| path.as_std_path().exists()).unwrap_or(Utf8Path::new("/"))
}

impl<'a> Area<'a> {
    /// What gives and takes the file of that name in a directory of the environment (`""` is its
    /// root): never a hardlink where the file is edited in place.
    pub fn of(&self, directory: &str, name: &str, size: u64) -> &Area<'a> {
        match &self.own {
            Some(own) if layout::is_edited_in_place(directory, name, size) => own,
            _ => self,
        }
    }
}

impl Area<'_> {
    /// The permissions that a file of the output has: read-only where outputs share files with the
    /// store.
    pub fn output_mode(&self, kind: FileKind) -> RawMode {
        if self.read_only_output { self.store.file_mode(kind) } else { own_mode(kind) }
    }

    /// The modification time of every file in it, in seconds since 1970.
    pub fn mtime(&self) -> i64 {
        self.mtime
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        let own = self.own.as_ref().map(|own| own.counts()).unwrap_or_default();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            hardlinks: load(&self.hardlinks) + own.hardlinks,
            reflinks: load(&self.reflinks) + own.reflinks,
            copies: load(&self.copies) + own.copies,
            adopted: load(&self.adopted) + own.adopted,
        }
    }

    fn path(&self, digest: Digest, kind: FileKind) -> Utf8PathBuf {
        entry_path(&self.store.base, self.mtime, kind, digest.hash)
    }

    /// The folder of a kind, opened once; nothing where it is not there.
    #[expect(clippy::disallowed_methods, reason = "it is opened as a directory")]
    fn folder(&self, kind: FileKind) -> Option<BorrowedFd<'_>> {
        let slot = match kind {
            FileKind::Plain => &self.plain,
            FileKind::Executable => &self.executable,
        };
        if let Some(handle) = slot.get() {
            return Some(handle.as_fd());
        }
        let path = folder(&self.store.base, self.mtime, kind);
        let handle = rustix::fs::open(
            path.as_str(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        Some(slot.get_or_init(|| handle).as_fd())
    }

    fn make_folder(&self, digest: Digest, kind: FileKind) -> Result<(), BlobError> {
        let path = self.path(digest, kind);
        let parent = path.parent().expect("an entry lies in a folder");
        self.store
            .make_folders(parent)
            .map_err(|error| BlobError::io("make the folder", parent, error))
    }

    /// Whether the store has the file, by a cheap look.
    pub fn has(&self, digest: Digest, kind: FileKind) -> bool {
        let sound = || {
            let stat = rustix::fs::statat(
                self.folder(kind)?,
                EntryName::of(digest.hash).as_c_str(),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .ok()?;
            Some(is_sound(&stat, digest, self.state(kind)) || self.repair(digest, kind).is_some())
        };
        sound().unwrap_or(false)
    }

    /// Puts the file with that content into a directory, under a name that is not taken there;
    /// nothing where the store does not have it. Nothing is hashed unless the file looks touched.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn place(&self, digest: Digest, kind: FileKind, at: At<'_>) -> Taken {
        let Some(folder) = self.folder(kind) else {
            return self.place_from_cas(digest, kind, at);
        };
        let entry = EntryName::of(digest.hash);
        if self.ladder.method() == Method::Hardlink {
            match rustix::fs::linkat(
                folder,
                entry.as_c_str(),
                at.directory,
                at.name,
                AtFlags::empty(),
            ) {
                Ok(()) => {
                    let stat = rustix::fs::statat(at.directory, at.name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_err(|error| BlobError::io("look at", at.name, error))?;
                    // The look comes after the link, so it is the linked file that was looked at.
                    let condition = self.examine(&stat, digest, kind);
                    if let Condition::Sound | Condition::Repaired = condition {
                        self.hardlinks.fetch_add(1, Ordering::Relaxed);
                        let look = matches!(condition, Condition::Sound).then(|| Look::of(&stat));
                        return Ok(Some(Given { look }));
                    }
                    rustix::fs::unlinkat(at.directory, at.name, AtFlags::empty())
                        .map_err(|error| BlobError::io("remove", at.name, error))?;
                    return if let Condition::Replaced = condition {
                        self.place(digest, kind, at)
                    } else {
                        Ok(None)
                    };
                }
                Err(Errno::NOENT) => {
                    return self.place_from_cas(digest, kind, at);
                }
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.fall_back_to(Method::Reflink)
                }
                // So many environments have this file that it takes no more links: they go on with
                // a new one.
                Err(Errno::MLINK) => {
                    return self.place_renewed(digest, kind, at);
                }
                // Files of another user, where the kernel protects hardlinks.
                Err(Errno::PERM | Errno::ACCESS) => {}
                Err(error) => return Err(BlobError::io("link", at.name, error)),
            }
        }
        let source = match rustix::fs::openat(folder, entry.as_c_str(), READ, Mode::empty()) {
            Ok(handle) => File::from(handle),
            Err(Errno::NOENT | Errno::LOOP) => {
                return self.place_from_cas(digest, kind, at);
            }
            Err(error) => {
                self.store.pass_over(&self.path(digest, kind), &error.into());
                return Ok(None);
            }
        };
        let stat = rustix::fs::fstat(&source)
            .map_err(|error| BlobError::io("look at", self.path(digest, kind), error))?;
        match self.examine(&stat, digest, kind) {
            Condition::Sound | Condition::Repaired => {}
            Condition::Replaced => return self.place(digest, kind, at),
            Condition::Absent => return Ok(None),
        }
        self.duplicate(&source, digest, at, self.output_mode(kind))
    }

    fn fall_back_to(&self, method: Method) {
        self.ladder.fall_back_to(method);
        match (self.mode, method) {
            (LinkMode::Hardlink, Method::Reflink) => {
                self.store.notes.add("this file system has no hardlinks, so files are copied")
            }
            (LinkMode::Reflink, Method::Copy) => {
                self.store.notes.add("this file system has no reflinks, so files are copied")
            }
            _ => {}
        }
    }

    /// Makes an independent file with the content of another one; nothing where that one could
    /// not be read.
    fn duplicate(&self, source: &File, digest: Digest, at: At<'_>, mode: RawMode) -> Taken {
        #[cfg(target_vendor = "apple")]
        if digest.size > 0 && self.clone_file(source, at, mode)? {
            return Ok(Some(Given { look: None }));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = rustix::fs::openat(at.directory, at.name, flags, Mode::from_raw_mode(mode))
            .map_err(|error| BlobError::io("make", at.name, error))?;
        let mut target = File::from(target);
        let filled = self.fill(source, digest.size, &mut target);
        // It was made with its mode, so that most often there is nothing to set.
        let finish = || -> io::Result<()> {
            complete_mode(&target, Mode::from_raw_mode(mode))?;
            set_time(&target, self.mtime)
        };
        match filled.and_then(|counter| finish().map(|()| counter).map_err(CopyError::Write)) {
            Ok(counter) => {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(Some(Given { look: None }))
            }
            Err(error) => {
                let _ = rustix::fs::unlinkat(at.directory, at.name, AtFlags::empty());
                match error {
                    CopyError::Write(error) => Err(BlobError::io("write", at.name, error)),
                    CopyError::Read(error) => {
                        let entry = EntryName::of(digest.hash);
                        self.store.pass_over(Utf8Path::new(entry.as_str()), &error);
                        Ok(None)
                    }
                }
            }
        }
    }

    /// Fills an empty file by a reflink or, where that is impossible, by copying; returns the
    /// counter of what it was.
    fn fill(&self, source: &File, size: u64, target: &mut File) -> Result<&AtomicU64, CopyError> {
        if self.ladder.method() < Method::Copy && size > 0 {
            #[cfg(target_os = "linux")]
            match rustix::fs::ioctl_ficlone(&*target, source) {
                Ok(()) => return Ok(&self.reflinks),
                // A hardlinking area copies single files only; that says nothing about the next.
                Err(Errno::NOSPC | Errno::DQUOT) => {
                    return Err(CopyError::Write(Errno::NOSPC.into()));
                }
                Err(_) if self.ladder.method() == Method::Reflink => {
                    self.fall_back_to(Method::Copy)
                }
                Err(_) => {}
            }
        }
        copy(source, size, target)?;
        Ok(&self.copies)
    }

    /// A new file takes the place of that in the store, which takes no more links. Whoever has one
    /// of those links can have changed it, and nobody has looked at it yet: the copy is verified.
    fn place_renewed(&self, digest: Digest, kind: FileKind, at: At<'_>) -> Taken {
        let path = self.path(digest, kind);
        match open_regular(&path, Links::Refuse) {
            Ok(source) => self.place_verified((&source, &path), digest, kind, at),
            Err(_) => Ok(None),
        }
    }

    /// The blob may lie in `cas/`, where Bazel or a download put it: copied out of there and
    /// verified, into the area if it can be written, else straight into the output.
    fn place_from_cas(&self, digest: Digest, kind: FileKind, at: At<'_>) -> Taken {
        if digest.size == 0 {
            return self.place_empty(digest, kind, at).map(|()| Some(Given { look: None }));
        }
        let path = self.store.blob_path(digest.hash);
        let Ok(source) = open_regular(&path, Links::Refuse) else {
            return Ok(None);
        };
        if !source.metadata().is_ok_and(|found| found.len() == digest.size) {
            return Ok(None);
        }
        self.place_verified((&source, &path), digest, kind, at)
    }

    /// Copies what a file of the store holds, if that is the content: into the area if it can be
    /// written, whence it is placed, else straight into the output.
    fn place_verified(
        &self,
        (mut source, path): (&File, &Utf8Path),
        digest: Digest,
        kind: FileKind,
        at: At<'_>,
    ) -> Taken {
        if self.store.is_writable() {
            match self.insert(digest, kind, &mut source) {
                Ok(()) => return self.place(digest, kind, at),
                Err(error @ BlobError::Mismatch { .. }) => {
                    self.store.discard(path, &error.to_string());
                    return Ok(None);
                }
                Err(error) => self.store.note_failure(&error),
            }
        }
        if hash_file(path, self.store.function).ok() != Some(digest) {
            return Ok(None);
        }
        io::Seek::rewind(&mut source).map_err(|error| BlobError::io("read", path, error))?;
        self.duplicate(source, digest, at, self.output_mode(kind))
    }

    /// The empty file is known without any store.
    fn place_empty(&self, digest: Digest, kind: FileKind, at: At<'_>) -> Result<(), BlobError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = self.output_mode(kind);
        let file = rustix::fs::openat(at.directory, at.name, flags, Mode::from_raw_mode(mode))
            .map_err(|error| BlobError::io("make", at.name, error))?;
        finish(&File::from(file), mode, self.mtime)
            .map_err(|error| BlobError::io("write", at.name, error))?;
        self.copies.fetch_add(1, Ordering::Relaxed);
        self.store.attempt(|| self.adopt(digest, kind, at));
        Ok(())
    }

    fn state(&self, kind: FileKind) -> State {
        self.store.state(kind, self.mtime)
    }

    /// Whether a file that was found in the store may be used. Somebody else may have put another
    /// one into its place since.
    fn examine(&self, stat: &Stat, digest: Digest, kind: FileKind) -> Condition {
        if is_sound(stat, digest, self.state(kind)) {
            return Condition::Sound;
        }
        match self.repair(digest, kind) {
            Some(inode) if inode == stat.st_ino => Condition::Repaired,
            Some(_) => Condition::Replaced,
            None => Condition::Absent,
        }
    }

    /// A file looks touched: where its content is right, mode and time are set again; where not, it
    /// is removed. Returns the inode number of the file that the store has now, if there is one; it
    /// is sound.
    fn repair(&self, digest: Digest, kind: FileKind) -> Option<u64> {
        let path = self.path(digest, kind);
        match repair(&path, self.store.function, digest, self.state(kind), self.store.is_writable())
        {
            Repair::Sound { inode } => Some(inode),
            Repair::Repaired { inode } => {
                let text = format!(
                    "the store's file `{path}` had another mode or time than it was stored with; set right"
                );
                self.store.notes.add_of_many("repaired", text);
                Some(inode)
            }
            Repair::Absent => None,
            Repair::Damaged(why) => {
                self.store.discard(&path, &why);
                None
            }
        }
    }

    /// Reads a file that may be damaged however it looks; what is wrong is removed, so that it is
    /// taken from elsewhere.
    pub fn check(&self, digest: Digest, kind: FileKind) {
        let _ = self.repair(digest, kind);
        if let Some(own) = &self.own {
            own.check(digest, kind);
        }
    }

    /// Takes blobs that the tree's files need from elsewhere (a remote cache).
    pub fn incoming<'b>(&'b self, wanted: &'b Wanted) -> Incoming<'b> {
        Incoming { area: self, wanted }
    }
}

/// What there is to say of a file that was found in the store.
enum Condition {
    /// It is what it should be.
    Sound,
    /// It is now, but looked otherwise.
    Repaired,
    /// It is not, but one that is sound has taken its place.
    Replaced,
    /// It is not, and there is no other.
    Absent,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::effects::caches::blob::BlobStore as _;
    use crate::effects::caches::store::tests::store;
    use crate::model::digest::DigestFunction;

    const MTIME: i64 = 315_532_800;

    struct Output {
        path: Utf8PathBuf,
        handle: OwnedFd,
    }

    impl Output {
        fn at<'a>(&'a self, name: &'a str) -> At<'a> {
            At { directory: self.handle.as_fd(), name }
        }
    }

    fn output(folder: &tempfile::TempDir, name: &str) -> Output {
        let path = Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        fs::create_dir(&path).unwrap();
        let handle =
            rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
                .unwrap();
        Output { path, handle }
    }

    fn store_and_outputs() -> (tempfile::TempDir, Store, [Output; 2]) {
        let (folder, store) = store(DigestFunction::Sha256);
        let outputs = ["first", "second"].map(|name| output(&folder, name));
        (folder, store, outputs)
    }

    fn write(area: &Area<'_>, output: &Output, name: &str, bytes: &[u8], kind: FileKind) -> Digest {
        let path = output.path.join(name);
        fs::write(&path, bytes).unwrap();
        finish(&File::open(&path).unwrap(), area.output_mode(kind), MTIME).unwrap();
        let digest = DigestFunction::Sha256.digest(bytes);
        area.adopt(digest, kind, output.at(name)).unwrap();
        digest
    }

    #[test]
    fn every_mode_gives_the_same_content_and_time() {
        for mode in LinkMode::ALL {
            let (folder, store) = store(DigestFunction::Sha256);
            let (first, second) = (output(&folder, "first"), output(&folder, "second"));
            let area = store.area(MTIME, mode, first.handle.as_fd());
            let digest = write(&area, &first, "a", b"hello", FileKind::Executable);
            let empty = write(&area, &first, "e", b"", FileKind::Plain);
            assert!(area.place(digest, FileKind::Executable, second.at("b")).unwrap().is_some());
            assert!(area.place(empty, FileKind::Plain, second.at("e")).unwrap().is_some());
            assert!(
                area.place(digest, FileKind::Plain, second.at("c")).unwrap().is_none(),
                "another kind is another file"
            );
            let metadata = fs::metadata(second.path.join("b")).unwrap();
            assert_eq!(fs::read(second.path.join("b")).unwrap(), b"hello");
            assert_eq!(metadata.mtime(), MTIME);
            assert_eq!(
                metadata.permissions().mode() & 0o7777,
                area.output_mode(FileKind::Executable),
                "{mode:?}"
            );
            assert!(
                area.of("bin", "x", 5)
                    .place(digest, FileKind::Executable, first.at("script"))
                    .unwrap()
                    .is_some()
            );
            let script = fs::metadata(first.path.join("script")).unwrap();
            assert_eq!(
                (script.nlink(), script.permissions().mode() & 0o7777),
                (1, 0o755),
                "{mode:?}"
            );
            let shared = metadata.ino() == fs::metadata(first.path.join("a")).unwrap().ino();
            assert_eq!(shared, matches!(mode, LinkMode::Auto | LinkMode::Hardlink), "{mode:?}");
            assert!(store.verify().unwrap().damaged.is_empty());
        }
    }

    #[test]
    fn a_changed_file_is_not_taken_for_the_one_that_replaced_it() {
        for mode in [LinkMode::Hardlink, LinkMode::Copy] {
            let (folder, store) = store(DigestFunction::Sha256);
            for round in 0..200 {
                let output = output(&folder, &format!("{round}"));
                let area = store.area(MTIME, mode, output.handle.as_fd());
                let digest = write(&area, &output, "first", b"hello", FileKind::Plain);
                let stored = area.path(digest, FileKind::Plain);
                fs::set_permissions(&stored, fs::Permissions::from_mode(0o644)).unwrap();
                fs::write(&stored, b"changed").unwrap();
                std::thread::scope(|scope| {
                    for name in ["a", "b", "c", "d"] {
                        let (area, output) = (&area, &output);
                        scope.spawn(move || {
                            if area
                                .place(digest, FileKind::Plain, output.at(name))
                                .unwrap()
                                .is_none()
                            {
                                write(area, output, name, b"hello", FileKind::Plain);
                            }
                            assert_eq!(
                                fs::read(output.path.join(name)).unwrap(),
                                b"hello",
                                "{mode:?}"
                            );
                        });
                    }
                });
            }
        }
    }

    #[test]
    fn a_file_that_was_changed_is_not_linked_again() {
        let (_folder, store, [first, second]) = store_and_outputs();
        let area = store.area(MTIME, LinkMode::Auto, first.handle.as_fd());
        let digest = write(&area, &first, "a", b"hello", FileKind::Plain);
        let path = first.path.join("a");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"jello").unwrap();
        assert!(area.place(digest, FileKind::Plain, second.at("b")).unwrap().is_none());
        assert!(!second.path.join("b").exists() && !area.path(digest, FileKind::Plain).exists());
        assert_eq!(store.notes().take().len(), 1);
        write(&area, &second, "c", b"hello", FileKind::Plain);
        assert!(area.has(digest, FileKind::Plain), "the next build repairs");
    }

    #[test]
    fn a_file_of_another_mode_or_time_but_the_same_content_is_set_right() {
        let (_folder, store, [first, second]) = store_and_outputs();
        let area = store.area(MTIME, LinkMode::Auto, first.handle.as_fd());
        let digest = write(&area, &first, "a", b"hello", FileKind::Plain);
        fs::set_permissions(first.path.join("a"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(area.place(digest, FileKind::Plain, second.at("b")).unwrap().is_some());
        assert_eq!(
            fs::metadata(second.path.join("b")).unwrap().permissions().mode() & 0o7777,
            0o444
        );
    }

    #[test]
    fn a_blob_of_a_bazel_disk_cache_becomes_a_file_but_never_shares_its_inode() {
        let (folder, store) = store(DigestFunction::Sha256);
        let first = output(&folder, "first");
        let digest = DigestFunction::Sha256.digest(b"hello");
        store.put(digest, &mut &b"hello"[..]).unwrap();
        let area = store.area(MTIME, LinkMode::Auto, first.handle.as_fd());
        assert!(area.place(digest, FileKind::Plain, first.at("a")).unwrap().is_some());
        let inode = |path: &Utf8Path| fs::metadata(path).unwrap().ino();
        assert_ne!(inode(&first.path.join("a")), inode(&store.blob_path(digest.hash)));
        fs::write(store.blob_path(digest.hash), b"jello").unwrap();
        fs::remove_file(area.path(digest, FileKind::Plain)).unwrap();
        assert!(
            area.place(digest, FileKind::Plain, first.at("b")).unwrap().is_none(),
            "what is copied out of cas/ is verified"
        );
    }

    #[test]
    fn an_inode_that_takes_no_more_links_is_followed_by_another() {
        let (folder, store) = store(DigestFunction::Sha256);
        let first = output(&folder, "first");
        let area = store.area(MTIME, LinkMode::Auto, first.handle.as_fd());
        let digest = write(&area, &first, "a", b"hello", FileKind::Plain);
        fs::set_permissions(first.path.join("a"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(first.path.join("a"), b"jello").unwrap();
        assert!(
            area.place_renewed(digest, FileKind::Plain, first.at("b")).unwrap().is_none(),
            "what was changed is not made the store's"
        );
        assert!(!first.path.join("b").exists() && !area.path(digest, FileKind::Plain).exists());
        fs::remove_file(first.path.join("a")).unwrap();
        write(&area, &first, "a", b"hello", FileKind::Plain);
        assert!(area.place_renewed(digest, FileKind::Plain, first.at("b")).unwrap().is_some());
        let inode = |path: &Utf8Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&first.path.join("b")), inode(&area.path(digest, FileKind::Plain)));
        assert_ne!(inode(&first.path.join("b")), inode(&first.path.join("a")));
        assert!(area.has(digest, FileKind::Plain));
    }
}
