//! Linkable files: the area of the store out of which environments are made, and into which new
//! files go.
//!
//! Effects layer. A hardlink shares mode and time with its file, so every file here is read-only,
//! has the one modification time of its area, and exists once per content and kind (plain or
//! executable). A file is written once, in the output being staged, and then linked into the area
//! ([`Area::adopt`]); later outputs link it back ([`Area::place`]). Nothing is hashed on that way:
//! a cheap look at size, mode and time finds what was changed since, and only then the content is
//! hashed and the file repaired or removed.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::effects::caches::blob::{BlobError, BlobStore, Blobs};
use crate::effects::caches::store::{Store, set_time};
use crate::effects::host::fs::{Links, open_regular};
use crate::model::digest::{Digest, DigestFunction, Hash, Hasher};
use crate::model::every::every;
use crate::model::layout;
use crate::model::tree::{Directory, Leaf, Node, Tree};

/// How files come out of the store into an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkMode {
    /// The fastest that works: hardlinks, else reflinks, else copies.
    #[default]
    Auto,
    /// Hardlinks to read-only files of the store.
    Hardlink,
    /// Copies that share their blocks with the store until one is changed (btrfs, xfs, …).
    Reflink,
    /// Copies.
    Copy,
    /// Files of the environment's own: reflinks where there are any, else copies.
    Own,
}

impl LinkMode {
    /// Every mode, in the order in which help texts list them.
    pub const ALL: [Self; 5] = every!(LinkMode: Auto, Hardlink, Reflink, Copy, Own);

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hardlink => "hardlink",
            Self::Reflink => "reflink",
            Self::Copy => "copy",
            Self::Own => "own",
        }
    }
}

/// Without waiting, whatever kind of file it turns out to be.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// What is tried for the next file; only ever grows within one area.
const HARDLINK: u8 = 0;
const REFLINK: u8 = 1;
const COPY: u8 = 2;

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

/// The linkable files of one modification time, and how they get to one destination.
#[derive(Debug)]
pub struct Area<'a> {
    store: &'a Store,
    mtime: i64,
    mode: LinkMode,
    method: AtomicU8,
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

fn kind_name(executable: bool) -> &'static str {
    if executable { "exec" } else { "plain" }
}

/// The permissions of a file that others share.
fn shared_mode(executable: bool) -> u32 {
    if executable { 0o555 } else { 0o444 }
}

/// The permissions of a file that is nobody else's.
fn own_mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

pub(super) fn entry_path(base: &Utf8Path, mtime: i64, executable: bool, hash: Hash) -> Utf8PathBuf {
    base.join("files").join(mtime.to_string()).join(kind_name(executable)).join(entry_name(hash))
}

/// Made for every file of an environment, hence without a formatter.
fn entry_name(hash: Hash) -> String {
    let digits = hash.hex_digits();
    let hex = std::str::from_utf8(&digits).expect("digits are ASCII");
    let mut name = String::with_capacity(3 + hex.len());
    name.push_str(&hex[..2]);
    name.push('/');
    name.push_str(hex);
    name
}

/// In which state a linkable file was put into its area.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    mode: u32,
    mtime: i64,
    /// Who may own it: whoever may write into the store anyway. `chown -R` of an environment
    /// reaches the store's files too.
    owners: Owners,
}

/// Whether a file still is what was put into the area, as far as can be seen without reading it.
/// Who may own the files of a store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owners {
    /// Root, the user, and whose the store is.
    These([u32; 3]),
    /// Whoever is in the store's group, which only the system knows: a file of somebody else is not
    /// told apart.
    Group,
}

impl Owners {
    fn of(store: &Utf8Path) -> Self {
        let user = rustix::process::geteuid().as_raw();
        match rustix::fs::stat(store.as_str()) {
            Ok(found) if Mode::from_raw_mode(found.st_mode).contains(Mode::WGRP) => Self::Group,
            Ok(found) => Self::These([0, user, found.st_uid]),
            Err(_) => Self::These([0, user, user]),
        }
    }

    fn contains(self, user: u32) -> bool {
        match self {
            Self::These(users) => users.contains(&user),
            Self::Group => true,
        }
    }
}

pub(super) fn is_sound(stat: &Stat, digest: Digest, state: State) -> bool {
    let State { mode, mtime, owners } = state;
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && owners.contains(stat.st_uid)
        && u64::try_from(stat.st_size) == Ok(digest.size)
        && stat.st_mode & 0o7777 == mode
        && has_time(stat, mtime)
}

#[allow(clippy::useless_conversion, reason = "the types of these fields differ between platforms")]
pub(super) fn has_time(stat: &Stat, mtime: i64) -> bool {
    i64::from(stat.st_mtime) == mtime && stat.st_mtime_nsec == 0
}

impl Store {
    /// The permissions of a linkable file.
    pub(super) fn file_mode(&self, executable: bool) -> u32 {
        if self.scratch { own_mode(executable) } else { shared_mode(executable) }
    }

    pub(super) fn state(&self, executable: bool, mtime: i64) -> State {
        let owners = *self.owners.get_or_init(|| Owners::of(&self.root));
        State { mode: self.file_mode(executable), mtime, owners }
    }

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
                HARDLINK
            }
            LinkMode::Auto | LinkMode::Hardlink | LinkMode::Reflink | LinkMode::Own => REFLINK,
            LinkMode::Copy => COPY,
        };
        if mode == LinkMode::Hardlink && method != HARDLINK {
            self.notes.add(format!("the store `{}` is on another file system than the output, so files are copied, not linked", self.root));
        }
        Area {
            store: self,
            mtime,
            mode,
            method: AtomicU8::new(method),
            read_only_output: method == HARDLINK,
            plain: OnceLock::new(),
            executable: OnceLock::new(),
            hardlinks: AtomicU64::new(0),
            reflinks: AtomicU64::new(0),
            copies: AtomicU64::new(0),
            adopted: AtomicU64::new(0),
            own: (method == HARDLINK && !self.scratch)
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
    pub fn output_mode(&self, executable: bool) -> u32 {
        if self.read_only_output { self.store.file_mode(executable) } else { own_mode(executable) }
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

    fn path(&self, digest: Digest, executable: bool) -> Utf8PathBuf {
        entry_path(&self.store.base, self.mtime, executable, digest.hash)
    }

    /// The folder of a kind, opened once; nothing where it is not there.
    fn folder(&self, executable: bool) -> Option<BorrowedFd<'_>> {
        let slot = if executable { &self.executable } else { &self.plain };
        if let Some(handle) = slot.get() {
            return Some(handle.as_fd());
        }
        let path =
            self.store.base.join("files").join(self.mtime.to_string()).join(kind_name(executable));
        let handle = rustix::fs::open(
            path.as_str(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        Some(slot.get_or_init(|| handle).as_fd())
    }

    fn make_folder(&self, digest: Digest, executable: bool) -> Result<(), BlobError> {
        let path = self.path(digest, executable);
        let parent = path.parent().expect("an entry lies in a folder");
        self.store
            .make_folders(parent)
            .map_err(|error| BlobError::io("make the folder", parent, error))
    }

    /// Whether the store has the file, by a cheap look.
    pub fn has(&self, digest: Digest, executable: bool) -> bool {
        let sound = || {
            let stat = rustix::fs::statat(
                self.folder(executable)?,
                entry_name(digest.hash),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .ok()?;
            Some(
                is_sound(&stat, digest, self.state(executable))
                    || self.repair(digest, executable).is_some(),
            )
        };
        sound().unwrap_or(false)
    }

    /// Puts the file with that content into a directory, under a name that is not taken there; says
    /// whether the store had it. Nothing is hashed unless the file looks touched.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn place(
        &self,
        digest: Digest,
        executable: bool,
        directory: BorrowedFd<'_>,
        name: &str,
    ) -> Result<bool, BlobError> {
        let Some(folder) = self.folder(executable) else {
            return self.place_from_cas(digest, executable, directory, name);
        };
        let entry = entry_name(digest.hash);
        if self.method.load(Ordering::Relaxed) == HARDLINK {
            match rustix::fs::linkat(folder, &entry, directory, name, AtFlags::empty()) {
                Ok(()) => {
                    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_err(|error| BlobError::io("look at", name, error))?;
                    // The look comes after the link, so it is the linked file that was looked at.
                    let condition = self.examine(&stat, digest, executable);
                    if let Condition::Sound = condition {
                        self.hardlinks.fetch_add(1, Ordering::Relaxed);
                        return Ok(true);
                    }
                    rustix::fs::unlinkat(directory, name, AtFlags::empty())
                        .map_err(|error| BlobError::io("remove", name, error))?;
                    return if let Condition::Replaced = condition {
                        self.place(digest, executable, directory, name)
                    } else {
                        Ok(false)
                    };
                }
                Err(Errno::NOENT) => {
                    return self.place_from_cas(digest, executable, directory, name);
                }
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS) => self.fall_back_to(REFLINK),
                // So many environments have this file that it takes no more links: they go on with
                // a new one.
                Err(Errno::MLINK) => {
                    return self.place_renewed(digest, executable, directory, name);
                }
                // Files of another user, where the kernel protects hardlinks.
                Err(Errno::PERM | Errno::ACCESS) => {}
                Err(error) => return Err(BlobError::io("link", name, error)),
            }
        }
        let source = match rustix::fs::openat(folder, &entry, READ, Mode::empty()) {
            Ok(handle) => File::from(handle),
            Err(Errno::NOENT | Errno::LOOP) => {
                return self.place_from_cas(digest, executable, directory, name);
            }
            Err(error) => {
                self.store.pass_over(&self.path(digest, executable), &error.into());
                return Ok(false);
            }
        };
        let stat = rustix::fs::fstat(&source)
            .map_err(|error| BlobError::io("look at", self.path(digest, executable), error))?;
        match self.examine(&stat, digest, executable) {
            Condition::Sound => {}
            Condition::Replaced => return self.place(digest, executable, directory, name),
            Condition::Absent => return Ok(false),
        }
        self.duplicate(&source, digest, directory, name, self.output_mode(executable))
    }

    fn fall_back_to(&self, method: u8) {
        self.method.fetch_max(method, Ordering::Relaxed);
        match (self.mode, method) {
            (LinkMode::Hardlink, REFLINK) => {
                self.store.notes.add("this file system has no hardlinks, so files are copied")
            }
            (LinkMode::Reflink, COPY) => {
                self.store.notes.add("this file system has no reflinks, so files are copied")
            }
            _ => {}
        }
    }

    /// Makes an independent file with the content of another one; says whether that one could be
    /// read.
    fn duplicate(
        &self,
        source: &File,
        digest: Digest,
        directory: BorrowedFd<'_>,
        name: &str,
        mode: u32,
    ) -> Result<bool, BlobError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode))
            .map_err(|error| BlobError::io("make", name, error))?;
        let mut target = File::from(target);
        let filled = self.fill(source, digest.size, &mut target);
        match filled.and_then(|counter| {
            finish(&target, mode, self.mtime).map(|()| counter).map_err(CopyError::Write)
        }) {
            Ok(counter) => {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(error) => {
                let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
                match error {
                    CopyError::Write(error) => Err(BlobError::io("write", name, error)),
                    CopyError::Read(error) => {
                        self.store.pass_over(Utf8Path::new(&entry_name(digest.hash)), &error);
                        Ok(false)
                    }
                }
            }
        }
    }

    /// Fills an empty file by a reflink or, where that is impossible, by copying; returns the
    /// counter of what it was.
    fn fill(&self, source: &File, size: u64, target: &mut File) -> Result<&AtomicU64, CopyError> {
        if self.method.load(Ordering::Relaxed) < COPY && size > 0 {
            #[cfg(target_os = "linux")]
            match rustix::fs::ioctl_ficlone(&*target, source) {
                Ok(()) => return Ok(&self.reflinks),
                // A hardlinking area copies single files only; that says nothing about the next.
                Err(Errno::NOSPC | Errno::DQUOT) => {
                    return Err(CopyError::Write(Errno::NOSPC.into()));
                }
                Err(_) if self.method.load(Ordering::Relaxed) == REFLINK => self.fall_back_to(COPY),
                Err(_) => {}
            }
        }
        copy(source, size, target)?;
        Ok(&self.copies)
    }

    /// A new file takes the place of that in the store, which takes no more links. Whoever has one
    /// of those links can have changed it, and nobody has looked at it yet: the copy is verified.
    fn place_renewed(
        &self,
        digest: Digest,
        executable: bool,
        directory: BorrowedFd<'_>,
        name: &str,
    ) -> Result<bool, BlobError> {
        let path = self.path(digest, executable);
        let Ok(source) = open_regular(&path, Links::Refuse) else {
            return Ok(false);
        };
        if self.store.is_writable() {
            match self.insert(digest, executable, &mut &source) {
                Ok(()) => return self.place(digest, executable, directory, name),
                Err(error @ BlobError::Mismatch { .. }) => {
                    self.store.discard(&path, &error.to_string());
                    return Ok(false);
                }
                Err(error) => self.store.note_failure(&error),
            }
        }
        match hash_file(&path, self.store.function) {
            Ok(found) if found == digest => {}
            _ => return Ok(false),
        }
        io::Seek::rewind(&mut &source).map_err(|error| BlobError::io("read", &path, error))?;
        if !self.duplicate(&source, digest, directory, name, self.output_mode(executable))? {
            return Ok(false);
        }
        Ok(true)
    }

    /// The blob may lie in `cas/`, where Bazel or a download put it: copied out of there and
    /// verified, into the area if it can be written, else straight into the output.
    fn place_from_cas(
        &self,
        digest: Digest,
        executable: bool,
        directory: BorrowedFd<'_>,
        name: &str,
    ) -> Result<bool, BlobError> {
        let path = self.store.blob_path(digest.hash);
        if digest.size == 0 {
            return self.place_empty(digest, executable, directory, name).map(|()| true);
        }
        let Ok(source) = open_regular(&path, Links::Refuse) else {
            return Ok(false);
        };
        if !source.metadata().is_ok_and(|found| found.len() == digest.size) {
            return Ok(false);
        }
        if self.store.is_writable() {
            let mut reader = &source;
            match self.insert(digest, executable, &mut reader) {
                Ok(()) => return self.place(digest, executable, directory, name),
                Err(error @ BlobError::Mismatch { .. }) => {
                    self.store.discard(&path, &error.to_string());
                    return Ok(false);
                }
                Err(error) => self.store.note_failure(&error),
            }
        }
        match hash_file(&path, self.store.function) {
            Ok(found) if found == digest => {
                self.duplicate(&source, digest, directory, name, self.output_mode(executable))
            }
            _ => Ok(false),
        }
    }

    /// The empty file is known without any store.
    fn place_empty(
        &self,
        digest: Digest,
        executable: bool,
        directory: BorrowedFd<'_>,
        name: &str,
    ) -> Result<(), BlobError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = self.output_mode(executable);
        let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode))
            .map_err(|error| BlobError::io("make", name, error))?;
        finish(&File::from(file), mode, self.mtime)
            .map_err(|error| BlobError::io("write", name, error))?;
        self.copies.fetch_add(1, Ordering::Relaxed);
        self.store.attempt(|| self.adopt(digest, executable, directory, name));
        Ok(())
    }

    /// Takes over a file that was written into the output: whole, verified, of
    /// [`Area::output_mode`] and the area's time. From then on the store has it, too, without a
    /// second copy where the file system can avoid one.
    ///
    /// # Errors
    /// The store cannot be written; the output is as it was.
    pub fn adopt(
        &self,
        digest: Digest,
        executable: bool,
        directory: BorrowedFd<'_>,
        name: &str,
    ) -> Result<(), BlobError> {
        if self.method.load(Ordering::Relaxed) == HARDLINK {
            for attempt in 0..2 {
                let Some(folder) = self.folder(executable) else {
                    self.make_folder(digest, executable)?;
                    continue;
                };
                match rustix::fs::linkat(
                    directory,
                    name,
                    folder,
                    entry_name(digest.hash),
                    AtFlags::empty(),
                ) {
                    Ok(()) => {
                        self.adopted.fetch_add(1, Ordering::Relaxed);
                        self.store.count(digest.size);
                        return Ok(());
                    }
                    Err(Errno::EXIST) => return Ok(()),
                    // Not there, or another thread is just making it, under a umask that takes the
                    // owner's rights.
                    Err(Errno::NOENT | Errno::ACCESS) if attempt == 0 => {
                        self.make_folder(digest, executable)?
                    }
                    Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS) => {
                        self.fall_back_to(REFLINK);
                        break;
                    }
                    Err(error) => {
                        return Err(BlobError::io("link", self.path(digest, executable), error));
                    }
                }
            }
        }
        if self.has(digest, executable) {
            return Ok(());
        }
        let source = rustix::fs::openat(directory, name, READ, Mode::empty())
            .map_err(|error| BlobError::io("open", name, error))?;
        let (temporary, mut file) = self.store.temporary()?;
        let filled =
            self.fill(&File::from(source), digest.size, &mut file).map_err(CopyError::into_inner);
        let result =
            filled.and_then(|_| finish(&file, self.store.file_mode(executable), self.mtime));
        if let Err(error) = result {
            drop(file);
            let _ = fs::remove_file(&temporary);
            return Err(BlobError::io("write", &temporary, error));
        }
        drop(file);
        self.store.publish(&temporary, &self.path(digest, executable))?;
        self.adopted.fetch_add(1, Ordering::Relaxed);
        self.store.count(digest.size);
        Ok(())
    }

    /// As [`Area::adopt`], as a write that is allowed to fail.
    pub fn try_adopt(
        &self,
        digest: Digest,
        executable: bool,
        directory: BorrowedFd<'_>,
        name: &str,
    ) {
        self.store.attempt(|| self.adopt(digest, executable, directory, name));
    }

    /// Reads a file into the area, verified.
    ///
    /// # Errors
    /// The bytes are wrong or cannot be written. Nothing is kept then.
    pub fn insert(
        &self,
        digest: Digest,
        executable: bool,
        bytes: &mut dyn Read,
    ) -> Result<(), BlobError> {
        let (temporary, file) = self.store.receive(digest, bytes, "the source")?;
        if let Err(error) = finish(&file, self.store.file_mode(executable), self.mtime) {
            let _ = fs::remove_file(&temporary);
            return Err(BlobError::io("write", &temporary, error));
        }
        drop(file);
        self.store.count(digest.size);
        self.store.publish(&temporary, &self.path(digest, executable))
    }

    fn state(&self, executable: bool) -> State {
        self.store.state(executable, self.mtime)
    }

    /// Whether a file that was found in the store may be used. Somebody else may have put another
    /// one into its place since.
    fn examine(&self, stat: &Stat, digest: Digest, executable: bool) -> Condition {
        if is_sound(stat, digest, self.state(executable)) {
            return Condition::Sound;
        }
        match self.repair(digest, executable) {
            Some(inode) if inode == stat.st_ino => Condition::Sound,
            Some(_) => Condition::Replaced,
            None => Condition::Absent,
        }
    }

    /// A file looks touched: where its content is right, mode and time are set again; where not, it
    /// is removed. Returns the inode number of the file that the store has now, if there is one; it
    /// is sound.
    fn repair(&self, digest: Digest, executable: bool) -> Option<u64> {
        let path = self.path(digest, executable);
        match repair(
            &path,
            self.store.function,
            digest,
            self.state(executable),
            self.store.is_writable(),
        ) {
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

    /// Takes blobs that the tree's files need from elsewhere (a remote cache).
    pub fn incoming<'b>(&'b self, wanted: &'b Wanted) -> Incoming<'b> {
        Incoming { area: self, wanted }
    }
}

/// Which side of a copy failed.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl CopyError {
    fn into_inner(self) -> io::Error {
        let (Self::Read(error) | Self::Write(error)) = self;
        error
    }
}

/// Copies a file of that size.
fn copy(mut source: &File, size: u64, target: &mut File) -> Result<(), CopyError> {
    #[cfg(target_os = "linux")]
    if let Some(outcome) = copy_in_kernel(source, size, target) {
        return outcome;
    }
    let mut buffer = vec![0; usize::try_from(size.clamp(1, 128 << 10)).expect("at most 128 KiB")];
    let mut copied = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) if copied == size => return Ok(()),
            Ok(0) => {
                let message = format!("copied {copied} bytes of {size}");
                return Err(CopyError::Read(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
            }
            Ok(count) => {
                target.write_all(&buffer[..count]).map_err(CopyError::Write)?;
                copied += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}

/// Copies without bringing the bytes into this process; nothing where the file systems cannot do
/// that.
#[cfg(target_os = "linux")]
fn copy_in_kernel(source: &File, size: u64, target: &File) -> Option<Result<(), CopyError>> {
    let mut copied = 0;
    while copied < size {
        let length = usize::try_from(size - copied).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(source, None, target, None, length) {
            // Some file systems say so of files that they make up as they are read.
            Ok(0) if copied == 0 => return None,
            Ok(0) => return Some(Err(CopyError::Read(io::ErrorKind::UnexpectedEof.into()))),
            Ok(count) => copied += count as u64,
            Err(Errno::INTR) => {}
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                return Some(Err(CopyError::Write(error.into())));
            }
            Err(_) if copied == 0 => return None,
            Err(error) => return Some(Err(CopyError::Read(error.into()))),
        }
    }
    Some(Ok(()))
}

fn finish(file: &File, mode: u32, mtime: i64) -> io::Result<()> {
    // Set after the content: the umask does not count, and neither does the time of writing.
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    set_time(file, mtime)
}

/// What there is to say of a file that was found in the store.
enum Condition {
    /// It is what it should be.
    Sound,
    /// It is not, but one that is sound has taken its place.
    Replaced,
    /// It is not, and there is no other.
    Absent,
}

/// What became of a linkable file.
pub(super) enum Repair {
    /// It is what it should be.
    Sound { inode: u64 },
    /// It is, now that its mode and time are set again.
    Repaired { inode: u64 },
    /// There is none.
    Absent,
    /// It is not what it should be, for a reason.
    Damaged(String),
}

/// Compares a linkable file with what it should be, by its content, and sets mode and time right
/// where `write` allows it.
pub(super) fn repair(
    path: &Utf8Path,
    function: DigestFunction,
    digest: Digest,
    state: State,
    write: bool,
) -> Repair {
    let no_file = || Repair::Damaged("it is no file".to_owned());
    match rustix::fs::lstat(path.as_str()) {
        Err(_) => return Repair::Absent,
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
            return no_file();
        }
        Ok(_) => {}
    }
    // From here on it is one file, whatever happens to the path.
    let file = match rustix::fs::open(
        path.as_str(),
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(handle) => File::from(handle),
        Err(Errno::NOENT) => return Repair::Absent,
        Err(error) => return Repair::Damaged(BlobError::io("read", path, error).to_string()),
    };
    let stat = match rustix::fs::fstat(&file) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => stat,
        Ok(_) => return no_file(),
        Err(error) => return Repair::Damaged(BlobError::io("look at", path, error).to_string()),
    };
    match hash(&file, path, function) {
        Ok(found) if found == digest => {}
        // The file is what its name says. Whoever asks for another size is wrong, and gets nothing.
        Ok(found) if found.hash == digest.hash => return Repair::Absent,
        Ok(found) => return Repair::Damaged(format!("its content is {found}")),
        Err(error) => return Repair::Damaged(error.to_string()),
    }
    let inode = stat.st_ino;
    if is_sound(&stat, digest, state) {
        return Repair::Sound { inode };
    }
    if !state.owners.contains(stat.st_uid) {
        // It is also a file of an environment that was given to somebody, who may write to it
        // whenever he likes.
        return Repair::Damaged(format!("it belongs to the user with the number {}", stat.st_uid));
    }
    if write && finish(&file, state.mode, state.mtime).is_ok() {
        Repair::Repaired { inode }
    } else {
        Repair::Damaged("its mode or time is another one".to_owned())
    }
}

/// The digest of a file's content.
pub(super) fn hash_file(path: &Utf8Path, function: DigestFunction) -> Result<Digest, BlobError> {
    hash(
        &open_regular(path, Links::Refuse).map_err(|error| BlobError::io("read", path, error))?,
        path,
        function,
    )
}

fn hash(mut file: &File, path: &Utf8Path, function: DigestFunction) -> Result<Digest, BlobError> {
    let failed = |error| BlobError::io("read", path, error);
    let mut hasher = Hasher::new(function);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The files of a tree by content: each digest, and as which kinds it is needed. Sorted by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    files: Vec<(Digest, bool)>,
}

impl Wanted {
    /// Every file of a tree, once per content and kind.
    pub fn of(tree: &Tree) -> Self {
        fn visit(
            directory: &Directory,
            seen: &mut std::collections::HashSet<Digest>,
            files: &mut Vec<(Digest, bool)>,
        ) {
            if !seen.insert(directory.digest().0) {
                return;
            }
            for (_, node) in directory.entries() {
                match node {
                    Node::Leaf(Leaf::File { blob, executable }) => {
                        files.push((blob.0, *executable))
                    }
                    Node::Leaf(Leaf::Symlink(_)) => {}
                    Node::Directory(below) => visit(below, seen, files),
                }
            }
        }
        let mut files = Vec::new();
        visit(tree.root(), &mut std::collections::HashSet::new(), &mut files);
        files.sort_unstable();
        files.dedup();
        Self { files }
    }

    /// The contents and kinds.
    pub fn files(&self) -> &[(Digest, bool)] {
        &self.files
    }

    /// The contents, once each.
    pub fn digests(&self) -> Vec<Digest> {
        let mut digests: Vec<Digest> = self.files.iter().map(|(digest, _)| *digest).collect();
        digests.dedup();
        digests
    }

    /// The bytes of all contents together, each once.
    pub fn size(&self) -> u64 {
        self.digests().iter().map(|digest| digest.size).sum()
    }

    fn kinds(&self, digest: Digest) -> impl Iterator<Item = bool> + '_ {
        let start = self.files.partition_point(|(found, _)| *found < digest);
        self.files[start..]
            .iter()
            .take_while(move |(found, _)| *found == digest)
            .map(|(_, executable)| *executable)
    }
}

/// An area as the target of a download: blobs go where the tree's files will be linked from.
#[derive(Debug)]
pub struct Incoming<'a> {
    area: &'a Area<'a>,
    wanted: &'a Wanted,
}

impl Blobs for Incoming<'_> {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        self.area.store.open(digest)
    }
}

impl BlobStore for Incoming<'_> {
    fn function(&self) -> DigestFunction {
        self.area.store.function
    }

    /// Those that neither the area nor `cas/` has as every kind that is wanted.
    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let mut missing: Vec<Digest> = digests.to_vec();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|&digest| {
            let in_area =
                self.wanted.kinds(digest).all(|executable| self.area.has(digest, executable));
            let in_cas = || {
                fs::metadata(self.area.store.blob_path(digest.hash))
                    .is_ok_and(|found| found.is_file() && found.len() == digest.size)
            };
            digest.size != 0 && !in_area && !in_cas()
        });
        Ok(missing)
    }

    fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError> {
        let mut kinds = self.wanted.kinds(digest);
        let Some(first) = kinds.next() else {
            return self.area.store.put(digest, bytes);
        };
        self.area.insert(digest, first, bytes)?;
        if let Some(second) = kinds.next() {
            let path = self.area.path(digest, first);
            let file = open_regular(&path, Links::Refuse)
                .map_err(|error| BlobError::io("open", &path, error))?;
            self.area.insert(digest, second, &mut &file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::effects::caches::store::tests::store;

    const MTIME: i64 = 315_532_800;

    struct Output {
        path: Utf8PathBuf,
        handle: OwnedFd,
    }

    fn output(folder: &tempfile::TempDir, name: &str) -> Output {
        let path = Utf8PathBuf::from_path_buf(folder.path().join(name)).unwrap();
        fs::create_dir(&path).unwrap();
        let handle =
            rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
                .unwrap();
        Output { path, handle }
    }

    fn write(
        area: &Area<'_>,
        output: &Output,
        name: &str,
        bytes: &[u8],
        executable: bool,
    ) -> Digest {
        let path = output.path.join(name);
        fs::write(&path, bytes).unwrap();
        finish(&File::open(&path).unwrap(), area.output_mode(executable), MTIME).unwrap();
        let digest = DigestFunction::Sha256.digest(bytes);
        area.adopt(digest, executable, output.handle.as_fd(), name).unwrap();
        digest
    }

    #[test]
    fn every_mode_gives_the_same_content_and_time() {
        for mode in LinkMode::ALL {
            let (folder, store) = store(DigestFunction::Sha256);
            let (first, second) = (output(&folder, "first"), output(&folder, "second"));
            let area = store.area(MTIME, mode, first.handle.as_fd());
            let digest = write(&area, &first, "a", b"hello", true);
            let empty = write(&area, &first, "e", b"", false);
            assert!(area.place(digest, true, second.handle.as_fd(), "b").unwrap());
            assert!(area.place(empty, false, second.handle.as_fd(), "e").unwrap());
            assert!(
                !area.place(digest, false, second.handle.as_fd(), "c").unwrap(),
                "another kind is another file"
            );
            let metadata = fs::metadata(second.path.join("b")).unwrap();
            assert_eq!(fs::read(second.path.join("b")).unwrap(), b"hello");
            assert_eq!(metadata.mtime(), MTIME);
            assert_eq!(metadata.permissions().mode() & 0o7777, area.output_mode(true), "{mode:?}");
            assert!(
                area.of("bin", "x", 5).place(digest, true, first.handle.as_fd(), "script").unwrap()
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
                let digest = write(&area, &output, "first", b"hello", false);
                let stored = area.path(digest, false);
                fs::set_permissions(&stored, fs::Permissions::from_mode(0o644)).unwrap();
                fs::write(&stored, b"changed").unwrap();
                std::thread::scope(|scope| {
                    for name in ["a", "b", "c", "d"] {
                        let (area, output) = (&area, &output);
                        scope.spawn(move || {
                            if !area.place(digest, false, output.handle.as_fd(), name).unwrap() {
                                write(area, output, name, b"hello", false);
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
        let (folder, store) = store(DigestFunction::Sha256);
        let (first, second) = (output(&folder, "first"), output(&folder, "second"));
        let area = store.area(MTIME, LinkMode::Auto, first.handle.as_fd());
        let digest = write(&area, &first, "a", b"hello", false);
        let path = first.path.join("a");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"jello").unwrap();
        assert!(!area.place(digest, false, second.handle.as_fd(), "b").unwrap());
        assert!(!second.path.join("b").exists() && !area.path(digest, false).exists());
        assert_eq!(store.notes().take().len(), 1);
        write(&area, &second, "c", b"hello", false);
        assert!(area.has(digest, false), "the next build repairs");
    }

    #[test]
    fn a_file_of_another_mode_or_time_but_the_same_content_is_set_right() {
        let (folder, store) = store(DigestFunction::Sha256);
        let (first, second) = (output(&folder, "first"), output(&folder, "second"));
        let area = store.area(MTIME, LinkMode::Auto, first.handle.as_fd());
        let digest = write(&area, &first, "a", b"hello", false);
        fs::set_permissions(first.path.join("a"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(area.place(digest, false, second.handle.as_fd(), "b").unwrap());
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
        assert!(area.place(digest, false, first.handle.as_fd(), "a").unwrap());
        let inode = |path: &Utf8Path| fs::metadata(path).unwrap().ino();
        assert_ne!(inode(&first.path.join("a")), inode(&store.blob_path(digest.hash)));
        fs::write(store.blob_path(digest.hash), b"jello").unwrap();
        fs::remove_file(area.path(digest, false)).unwrap();
        assert!(
            !area.place(digest, false, first.handle.as_fd(), "b").unwrap(),
            "what is copied out of cas/ is verified"
        );
    }

    #[test]
    fn an_inode_that_takes_no_more_links_is_followed_by_another() {
        let (folder, store) = store(DigestFunction::Sha256);
        let first = output(&folder, "first");
        let area = store.area(MTIME, LinkMode::Auto, first.handle.as_fd());
        let digest = write(&area, &first, "a", b"hello", false);
        fs::set_permissions(first.path.join("a"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(first.path.join("a"), b"jello").unwrap();
        assert!(
            !area.place_renewed(digest, false, first.handle.as_fd(), "b").unwrap(),
            "what was changed is not made the store's"
        );
        assert!(!first.path.join("b").exists() && !area.path(digest, false).exists());
        fs::remove_file(first.path.join("a")).unwrap();
        write(&area, &first, "a", b"hello", false);
        assert!(area.place_renewed(digest, false, first.handle.as_fd(), "b").unwrap());
        let inode = |path: &Utf8Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&first.path.join("b")), inode(&area.path(digest, false)));
        assert_ne!(inode(&first.path.join("b")), inode(&first.path.join("a")));
        assert!(area.has(digest, false));
    }
}
