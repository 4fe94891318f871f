//! The doorway to the file system: operations whose errors name their path, whole-file writes that
//! are all or nothing, and access relative to open directories, which no link that somebody slips
//! in can lead astray.
//!
//! Effects layer.
#![expect(clippy::disallowed_methods, reason = "this is the doorway")]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use crate::effects::host::status;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::file_kind::FileKind;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{path}`")]
pub struct FsError {
    /// What was tried: "read", "create".
    pub operation: &'static str,
    /// On what.
    pub path: Utf8PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl Explain for FsError {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.with(hint(&self.source))
    }
}

/// What to try after a file operation has failed.
pub(in crate::effects) fn hint(error: &io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT) => {
            Some("make room on the file system, or choose another place")
        }
        Some(Errno::FBIG) => Some(
            "raise the limit of the size of files (`ulimit -f`), or choose a file system that has such large ones",
        ),
        Some(Errno::MFILE | Errno::NFILE) => {
            Some("raise the limit of open files (`ulimit -n`), or use fewer `--threads`")
        }
        Some(Errno::ROFS) => Some("the file system is mounted read-only"),
        Some(Errno::NAMETOOLONG) => Some("choose a place with a shorter path"),
        _ => None,
    }
}

/// Names operation and path of an error.
pub fn failed<E: Into<io::Error>>(
    operation: &'static str,
    path: &Utf8Path,
) -> impl FnOnce(E) -> FsError {
    move |source| FsError { operation, path: path.to_owned(), source: source.into() }
}

/// No document and no small file of an environment has more bytes than this.
const LARGEST: u64 = 256 << 20;

/// What is no file, where one was expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it is {found}, expected a file")]
pub struct NotAFile {
    found: &'static str,
}

impl NotAFile {
    fn of(mode: rustix::fs::RawMode) -> Self {
        use rustix::fs::FileType;
        let found = match FileType::from_raw_mode(mode) {
            FileType::Directory => "a directory",
            FileType::Fifo => "a named pipe",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::Symlink => "a link",
            FileType::RegularFile | FileType::Unknown => "something else",
        };
        Self { found }
    }
}

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It is.
    Follow,
    /// It is refused.
    Refuse,
}

/// Opens a regular file, and nothing else: whatever is at the path, this returns at once. Who finds
/// files by looking around opens them here.
///
/// # Errors
/// There is no file, or it cannot be read.
pub fn open_regular(path: &Utf8Path, links: Links) -> io::Result<File> {
    let file = File::from(rustix::fs::open(path.as_std_path(), open_flags(links), Mode::empty())?);
    let mode = rustix::fs::fstat(&file)?.st_mode;
    if rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::RegularFile {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, NotAFile::of(mode)))
}

/// Without waiting, as opening a named pipe does, and without becoming a terminal's process, as
/// opening one may.
fn open_flags(links: Links) -> OFlags {
    let flags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
    if links == Links::Refuse { flags.union(OFlags::NOFOLLOW) } else { flags }
}

/// Opens a regular file to be read and gone on with, made where there is none. Links are not
/// followed.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open_to_continue(path: &Utf8Path, mode: u32) -> io::Result<File> {
    let flags = open_flags(Links::Refuse).difference(OFlags::RDONLY);
    let flags = flags.union(OFlags::RDWR).union(OFlags::CREATE);
    let mode = Mode::from_raw_mode(mode as rustix::fs::RawMode);
    let file = File::from(rustix::fs::open(path.as_std_path(), flags, mode)?);
    let found = rustix::fs::fstat(&file)?.st_mode;
    if rustix::fs::FileType::from_raw_mode(found) == rustix::fs::FileType::RegularFile {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, NotAFile::of(found)))
}

/// Reads a regular file as text.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_text(path: &Utf8Path) -> Result<String, FsError> {
    text(read(path)?).map_err(failed("read", path))
}

/// Reads a regular file.
///
/// # Errors
/// It cannot be read, or is too large to be read at once.
pub fn read(path: &Utf8Path) -> Result<Vec<u8>, FsError> {
    open_regular(path, Links::Follow).and_then(read_bounded).map_err(failed("read", path))
}

/// Reads a document that somebody named, as text: a file, or a pipe such as a shell's `<(...)`, for
/// whose writer this waits as `cat` does.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_document_text(path: &Utf8Path) -> Result<String, FsError> {
    text(read_document(path)?).map_err(failed("read", path))
}

/// Reads a document that somebody named: a file, or a pipe such as a shell's `<(...)`, for whose
/// writer this waits as `cat` does.
///
/// # Errors
/// It cannot be read.
pub fn read_document(path: &Utf8Path) -> Result<Vec<u8>, FsError> {
    use rustix::fs::FileType;
    let open = || -> io::Result<File> {
        let found = File::from(rustix::fs::open(
            path.as_std_path(),
            open_flags(Links::Follow),
            Mode::empty(),
        )?);
        let mode = rustix::fs::fstat(&found)?.st_mode;
        match FileType::from_raw_mode(mode) {
            FileType::RegularFile => Ok(found),
            // What was looked at is opened once more, to wait.
            FileType::Fifo | FileType::CharacterDevice => File::open(path),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, NotAFile::of(mode))),
        }
    };
    open().and_then(read_bounded).map_err(failed("read", path))
}

/// Reads a small file of a cache; a link is refused.
///
/// # Errors
/// It cannot be read.
pub fn read_entry(path: &Utf8Path) -> io::Result<Vec<u8>> {
    open_regular(path, Links::Refuse).and_then(read_bounded)
}

fn read_bounded(file: File) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len().min(LARGEST);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {LARGEST} bytes"),
        ));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8")
    })
}

/// What a path is, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is there.
    Absent,
    /// A directory without entries.
    EmptyDirectory,
    /// A directory with entries.
    Directory,
    /// Anything else: a file, a link, a device.
    Other,
}

/// What is at a path.
///
/// # Errors
/// It cannot be found out.
pub fn kind(path: &Utf8Path) -> Result<Kind, FsError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kind::Absent),
        Err(error) => Err(failed("look at", path)(error)),
        Ok(metadata) if metadata.is_dir() => {
            let mut entries = std::fs::read_dir(path).map_err(failed("list", path))?;
            Ok(if entries.next().is_none() { Kind::EmptyDirectory } else { Kind::Directory })
        }
        Ok(_) => Ok(Kind::Other),
    }
}

/// When a file was modified, in seconds since 1970, where that can be found out.
pub fn modified(path: &Utf8Path) -> Option<u64> {
    let metadata = std::fs::metadata(path).ok()?;
    u64::try_from(metadata.mtime()).ok()
}

/// An open directory. Everything below it is reached through it, link by link refused, so that what
/// is written or read lies inside it even while somebody else moves things about.
#[derive(Debug)]
pub struct Directory {
    handle: OwnedFd,
    path: Utf8PathBuf,
}

const OPEN_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
const CREATE_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);
const READ_FILE: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// The mode of directories.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// The bits that the process's umask takes from the mode of what is created; all of them where that
/// cannot be found out. The mask is never changed, as all threads and the programs that are started
/// share it.
fn umask() -> Mode {
    static UMASK: OnceLock<Mode> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let bits = status::field("Umask").and_then(|digits| u32::from_str_radix(digits, 8).ok());
        Mode::from_raw_mode(bits.unwrap_or(0o777) as rustix::fs::RawMode)
    })
}

/// Gives a file that was created with a mode those of its bits that the umask took; costs nothing
/// where it took none.
///
/// # Errors
/// The file system refuses.
pub fn complete_mode(file: impl AsFd, mode: Mode) -> rustix::io::Result<()> {
    if umask().intersects(mode) { rustix::fs::fchmod(file, mode) } else { Ok(()) }
}

/// Makes a directory of exactly that mode in an open one, which nobody else may write to: between
/// the two steps, a name could be made to mean something else.
///
/// # Errors
/// The name is taken, or the directory cannot be written to.
pub fn make_directory_in(parent: impl AsFd, name: &str, mode: Mode) -> rustix::io::Result<()> {
    rustix::fs::mkdirat(&parent, name, mode)?;
    if umask().intersects(mode) {
        rustix::fs::chmodat(&parent, name, mode, AtFlags::empty())
    } else {
        Ok(())
    }
}

/// The mode of directories that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// What the user's umask leaves of 0755.
    Usual,
    /// Exactly this, whatever the umask.
    Exact(u32),
}

impl Permissions {
    /// For nobody but the user.
    pub const PRIVATE: Self = Self::Exact(0o700);
}

/// Makes a directory and those above it that are missing.
///
/// # Errors
/// One cannot be made, or something else is in its place.
pub fn create_directories(path: &Utf8Path, permissions: Permissions) -> io::Result<()> {
    /// Held while a directory may not have its mode yet, so that no other thread takes it for one
    /// that cannot be entered.
    static INCOMPLETE: Mutex<()> = Mutex::new(());
    match permissions {
        Permissions::Usual => make_directories(path, DIRECTORY_MODE, false),
        Permissions::Exact(bits) => {
            let mode = Mode::from_raw_mode(bits as rustix::fs::RawMode);
            let masked = umask().intersects(mode);
            let _incomplete =
                masked.then(|| INCOMPLETE.lock().unwrap_or_else(PoisonError::into_inner));
            make_directories(path, mode, masked)
        }
    }
}

fn make_directories(path: &Utf8Path, mode: Mode, masked: bool) -> io::Result<()> {
    match rustix::fs::mkdir(path.as_std_path(), mode) {
        Ok(()) => {}
        Err(rustix::io::Errno::NOENT) => {
            let Some(parent) = path.parent().filter(|parent| *parent != path) else {
                return Err(rustix::io::Errno::NOENT.into());
            };
            make_directories(
                if parent.as_str().is_empty() { Utf8Path::new(".") } else { parent },
                mode,
                masked,
            )?;
            match rustix::fs::mkdir(path.as_std_path(), mode) {
                Ok(()) => {}
                // Somebody else was faster.
                Err(rustix::io::Errno::EXIST) if path.is_dir() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        // What is there may also be a place that is read-only, or one that only those above may be
        // looked at.
        Err(_) if path.is_dir() => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    if masked {
        match rustix::fs::open(path.as_std_path(), OPEN_DIRECTORY, Mode::empty()) {
            Ok(made) => rustix::fs::fchmod(made, mode)?,
            // The mask took the right to open it.
            Err(rustix::io::Errno::ACCESS) => rustix::fs::chmod(path.as_std_path(), mode)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The type of file system that is ext4, and those before it.
#[cfg(target_os = "linux")]
const EXT4: rustix::fs::FsWord = 0xef53;
/// Files of fewer bytes are written as fast without.
#[cfg(target_os = "linux")]
const WORTH_RESERVING: u64 = 512 << 10;

/// Both times of an entry, in seconds since 1970-01-01T00:00:00Z.
fn timestamps(mtime: u64) -> Timestamps {
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(i64::MAX), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

impl Directory {
    /// Opens a directory, links on the way to it followed.
    ///
    /// # Errors
    /// It is none, or cannot be opened.
    pub fn open(path: &Utf8Path) -> Result<Self, FsError> {
        let flags = OPEN_DIRECTORY.difference(OFlags::NOFOLLOW);
        let handle = rustix::fs::open(path.as_std_path(), flags, Mode::empty())
            .map_err(failed("open", path))?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// A directory that is open already and lies at a path.
    pub fn of(handle: OwnedFd, path: &Utf8Path) -> Self {
        Self { handle, path: path.to_owned() }
    }

    /// Where it was when it was opened.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The handle, for operations that this type does not have.
    pub fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    fn full(&self, below: &str) -> Utf8PathBuf {
        if below.is_empty() { self.path.clone() } else { self.path.join(below) }
    }

    /// Opens a directory below, `""` being this one; no component of the path may be a link.
    ///
    /// # Errors
    /// There is no such directory, or a link is in the way.
    pub fn open_below(&self, path: &str) -> Result<Self, FsError> {
        let full = self.full(path);
        let handle =
            open_without_links(self.handle.as_fd(), path).map_err(failed("open", &full))?;
        Ok(Self { handle, path: full })
    }

    /// Makes a directory of that name.
    ///
    /// # Errors
    /// The name is taken, or the directory cannot be written to.
    pub fn create_directory(&self, name: &str) -> Result<(), FsError> {
        make_directory_in(&self.handle, name, DIRECTORY_MODE)
            .map_err(|error| failed("create", &self.full(name))(error))
    }

    /// Makes a file of that name, to be filled.
    ///
    /// # Errors
    /// The name is taken, or the directory cannot be written to.
    pub fn create_file(&self, name: &str, kind: FileKind) -> Result<NewFile, FsError> {
        self.create_file_with(name, Mode::from_raw_mode(kind.mode().into()))
    }

    /// Makes a file of that name and mode, to be filled; it can be written to until it is closed,
    /// whatever the mode.
    ///
    /// # Errors
    /// The name is taken, or the directory cannot be written to.
    pub fn create_file_with(&self, name: &str, mode: Mode) -> Result<NewFile, FsError> {
        let handle = rustix::fs::openat(&self.handle, name, CREATE_FILE, mode)
            .map_err(|error| failed("create", &self.full(name))(error))?;
        complete_mode(&handle, mode)
            .map_err(|error| failed("set the mode of", &self.full(name))(error))?;
        Ok(NewFile { file: File::from(handle), path: self.full(name) })
    }

    /// Makes a symbolic link of that name, with its time.
    ///
    /// # Errors
    /// The name is taken, or the directory cannot be written to.
    pub fn create_link(&self, name: &str, target: &str, mtime: u64) -> Result<(), FsError> {
        rustix::fs::symlinkat(target, &self.handle, name)
            .map_err(|error| failed("create", &self.full(name))(error))?;
        self.set_time(name, mtime)
    }

    /// Sets the times of an entry; of a link, its own.
    ///
    /// # Errors
    /// There is no such entry, or it belongs to somebody else.
    pub fn set_time(&self, name: &str, mtime: u64) -> Result<(), FsError> {
        rustix::fs::utimensat(&self.handle, name, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed("set the time of", &self.full(name))(error))
    }

    /// Sets this directory's own mode to 0755 and its times.
    ///
    /// # Errors
    /// It belongs to somebody else.
    pub fn normalize(&self, mtime: u64) -> Result<(), FsError> {
        rustix::fs::fchmod(&self.handle, DIRECTORY_MODE)
            .map_err(failed("set the mode of", &self.path))?;
        self.set_own_time(mtime)
    }

    /// Sets this directory's times.
    ///
    /// # Errors
    /// It belongs to somebody else.
    pub fn set_own_time(&self, mtime: u64) -> Result<(), FsError> {
        rustix::fs::futimens(&self.handle, &timestamps(mtime))
            .map_err(failed("set the time of", &self.path))
    }

    /// The names in it, in the order of their bytes, without `.` and `..`; names that are not UTF-8
    /// come as bytes.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn names(&self) -> Result<Vec<Result<String, Vec<u8>>>, FsError> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle).map_err(failed("list", &self.path))? {
            let entry = entry.map_err(failed("list", &self.path))?;
            let bytes = entry.file_name().to_bytes();
            if bytes != b"." && bytes != b".." {
                names.push(
                    String::from_utf8(bytes.to_vec())
                        .map_err(std::string::FromUtf8Error::into_bytes),
                );
            }
        }
        fn bytes(name: &Result<String, Vec<u8>>) -> &[u8] {
            match name {
                Ok(text) => text.as_bytes(),
                Err(bytes) => bytes,
            }
        }
        names.sort_unstable_by(|left, right| bytes(left).cmp(bytes(right)));
        Ok(names)
    }

    /// What a name stands for, links not followed.
    ///
    /// # Errors
    /// There is no such entry.
    pub fn status(&self, name: &str) -> Result<rustix::fs::Stat, FsError> {
        rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed("look at", &self.full(name))(error))
    }

    /// Where a link points.
    ///
    /// # Errors
    /// There is no such link, or its target is not UTF-8.
    pub fn read_link(&self, name: &str) -> Result<String, FsError> {
        let target = rustix::fs::readlinkat(&self.handle, name, Vec::new())
            .map_err(|error| failed("read the link", &self.full(name))(error))?;
        target.into_string().map_err(|_| {
            failed("read the link", &self.full(name))(io::Error::from(io::ErrorKind::InvalidData))
        })
    }

    /// Opens a file for reading; a link is refused.
    ///
    /// # Errors
    /// There is no such file.
    pub fn open_file(&self, name: &str) -> Result<File, FsError> {
        let handle = rustix::fs::openat(&self.handle, name, READ_FILE, Mode::empty())
            .map_err(|error| failed("open", &self.full(name))(error))?;
        Ok(File::from(handle))
    }
}

/// One system call where the kernel can refuse links by itself, else component by component.
fn open_without_links(
    parent: std::os::fd::BorrowedFd<'_>,
    path: &str,
) -> rustix::io::Result<OwnedFd> {
    if !path.contains('/') {
        // A single name needs no resolving.
        let name = if path.is_empty() { "." } else { path };
        return rustix::fs::openat(parent, name, OPEN_DIRECTORY, Mode::empty());
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
        match rustix::fs::openat2(parent, path, OPEN_DIRECTORY, Mode::empty(), resolve) {
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {}
            result => return result,
        }
    }
    let mut current: Option<OwnedFd> = None;
    for component in path.split('/') {
        let next = match &current {
            Some(handle) => rustix::fs::openat(handle, component, OPEN_DIRECTORY, Mode::empty())?,
            None => rustix::fs::openat(parent, component, OPEN_DIRECTORY, Mode::empty())?,
        };
        current = Some(next);
    }
    current.ok_or(rustix::io::Errno::NOENT)
}

/// A file that is being written.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: Utf8PathBuf,
}

impl NewFile {
    /// Makes room for so many bytes where that spares work: for a file that is not small, ext4 then
    /// looks for room once and not for every block, so that writing takes three quarters of the
    /// time. XFS and tmpfs gain nothing, and on btrfs such a file could not be compressed. Nothing
    /// is lost if there is no room: writing will say so.
    pub fn reserve(&self, size: u64) {
        #[cfg(target_os = "linux")]
        if size >= WORTH_RESERVING
            && rustix::fs::fstatfs(&self.file).is_ok_and(|status| status.f_type == EXT4)
        {
            let _ = rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, size);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = size;
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The file system refuses, or is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.file.write_all(bytes).map_err(failed("write", &self.path))
    }

    /// Sets the times; the file is complete.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn finish(self, mtime: u64) -> Result<(), FsError> {
        rustix::fs::futimens(&self.file, &timestamps(mtime))
            .map_err(failed("set the time of", &self.path))
    }
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
