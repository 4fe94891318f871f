//! Files that a command writes where it was told to: manifests, digests, specs, archives, wheels,
//! manual pages.
//!
//! Effects layer. What is at such a path decides how it is written. A regular file, or none, is
//! replaced in one step by one that is complete. A link leads to what is written. A device, a pipe
//! or a descriptor of this process takes the bytes and stays what it is. All of this is looked at
//! before there is anything to write ([`OutputFile::prepare`]), so that nothing fails when the work
//! is done.

use std::fs::{File, Metadata};
use std::io::{self, Seek as _, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;

use crate::effects::host::atomic::temporary_file;
use crate::effects::host::fs::{FsError, Permissions, create_directories, failed};
use crate::effects::host::staging;

/// So long a pipe is waited for that nobody reads yet.
const PATIENCE: Duration = Duration::from_secs(10);
/// As many links as the kernel follows.
const LINKS: usize = 40;

/// A file to be written, at a path that was looked at.
#[derive(Debug, Clone)]
pub struct OutputFile {
    /// As it was named, for messages.
    path: Utf8PathBuf,
    target: Target,
}

#[derive(Debug, Clone)]
enum Target {
    /// A file at this path, in one step; its directory may have to be made.
    Replaced(Utf8PathBuf),
    /// The file at this path, which is all that may be written to of its directory.
    InPlace(Utf8PathBuf),
    /// What is open already.
    Open(Arc<File>),
}

impl OutputFile {
    /// Looks at a path that is to be written to.
    ///
    /// # Errors
    /// It cannot be written to: it is a directory, say, or its own is read-only.
    pub fn prepare(path: &Utf8Path) -> Result<Self, FsError> {
        let target = look(path).map_err(failed("write", path))?;
        Ok(Self { path: path.to_owned(), target })
    }

    /// The path, as it was named.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Whether it lies in a directory or is to be at its path, by whatever name; the directory may
    /// still have to be made.
    pub fn is_in(&self, directory: &Utf8Path) -> bool {
        match &self.target {
            Target::Replaced(path) | Target::InPlace(path) => is_below(path, directory),
            Target::Open(_) => false,
        }
    }

    /// Whether it is the file at a path, by whatever name.
    pub fn is_at(&self, path: &Utf8Path) -> bool {
        let identity = |found: io::Result<Metadata>| {
            found.ok().filter(Metadata::is_file).map(|found| (found.dev(), found.ino()))
        };
        let own = identity(match &self.target {
            Target::Replaced(own) | Target::InPlace(own) => own.as_std_path().metadata(),
            Target::Open(file) => file.metadata(),
        });
        own.is_some() && own == identity(path.as_std_path().metadata())
    }

    /// Whether it is what this process's standard output is, by whatever name.
    pub fn is_standard_output(&self) -> bool {
        let Target::Open(file) = &self.target else {
            return false;
        };
        match (rustix::fs::fstat(file), rustix::fs::fstat(io::stdout())) {
            (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
            _ => false,
        }
    }

    /// Writes what `fill` writes. Of a regular file, that is all or nothing.
    ///
    /// # Errors
    /// The place cannot be written to, or `fill` fails.
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever names a pipe as an output wants to wait for its reader"
    )]
    pub fn write(
        &self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FsError> {
        let failed = |error| failed("write", &self.path)(error);
        match &self.target {
            Target::Open(file) => stream(&mut &**file, fill).map_err(failed),
            Target::InPlace(path) => File::options()
                .write(true)
                .truncate(true)
                .open(path)
                .and_then(|mut file| stream(&mut file, fill))
                .map_err(failed),
            Target::Replaced(path) => replace(path, fill, |_| Ok(())).map_err(failed),
        }
    }

    /// The same where `check` is shown a file with all of it first: what it refuses is not written.
    /// `aside` is the folder of that file where the place itself holds none.
    ///
    /// # Errors
    /// The place cannot be written to, `fill` fails, or `check` refuses.
    pub fn write_checked(
        &self,
        aside: &Utf8Path,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        check: impl FnOnce(&Utf8Path) -> io::Result<()>,
    ) -> Result<(), FsError> {
        if let Target::Replaced(path) = &self.target {
            return replace(path, fill, check).map_err(failed("write", &self.path));
        }
        let failed = |error| failed("write", aside)(error);
        let (mut temporary, _under_way) = temporary_file(aside, &self.path).map_err(failed)?;
        stream(temporary.as_file_mut(), fill).map_err(failed)?;
        checked(&temporary, check).map_err(failed)?;
        self.write(|out| {
            temporary.rewind()?;
            io::copy(&mut temporary, out).map(drop)
        })
    }
}

/// Shows a file to whoever may refuse it.
fn checked(
    temporary: &tempfile::NamedTempFile,
    check: impl FnOnce(&Utf8Path) -> io::Result<()>,
) -> io::Result<()> {
    check(Utf8Path::from_path(temporary.path()).ok_or(io::ErrorKind::InvalidFilename)?)
}

fn stream(
    file: &mut dyn Write,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = io::BufWriter::with_capacity(64 << 10, file);
    fill(&mut writer)?;
    writer.flush()
}

#[expect(clippy::disallowed_methods, reason = "both are regular files, one made here")]
fn replace(
    path: &Utf8Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    check: impl FnOnce(&Utf8Path) -> io::Result<()>,
) -> io::Result<()> {
    let directory = directory_of(path);
    if !directory.as_std_path().is_dir() {
        create_directories(directory, Permissions::Usual)?;
    }
    staging::sweep(directory);
    let before = path.as_std_path().symlink_metadata().ok();
    let (mut temporary, _under_way) = temporary_file(directory, path)?;
    stream(temporary.as_file_mut(), fill)?;
    checked(&temporary, check)?;
    if let Some(before) = before {
        keep_owner_and_mode(temporary.as_file(), &before)?;
    }
    match temporary.persist(path) {
        Ok(_) => Ok(()),
        // A file that something is mounted on, as containers do, can only be written to.
        Err(error) if Errno::from_io_error(&error.error) == Some(Errno::BUSY) => {
            let mut complete = File::open(error.file.path())?;
            let mut file = File::options().write(true).truncate(true).open(path)?;
            io::copy(&mut complete, &mut file).map(|_| ())
        }
        Err(error) => Err(error.error),
    }
}

fn keep_owner_and_mode(file: &File, before: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (before.uid(), before.gid()) {
        // Whoever may not give files away has replaced a file of somebody else, whose directory
        // lets him.
        let _ = std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(std::fs::Permissions::from_mode(before.mode() & 0o777))
}

/// Whether a path is a directory's or leads into it, by whatever name. Neither has to be there yet.
pub fn is_below(path: &Utf8Path, directory: &Utf8Path) -> bool {
    real(path).starts_with(real(directory))
}

/// A path without links and `..`, as far as there is something at it.
fn real(path: &Utf8Path) -> Utf8PathBuf {
    let found = path.ancestors().find_map(|above| Some((above, above.canonicalize_utf8().ok()?)));
    let Some((above, mut real)) = found else {
        return path.to_owned();
    };
    // What is not there yet is no link; after a way out of it, something may be there again.
    for component in path.strip_prefix(above).unwrap_or(path).components() {
        match component {
            Utf8Component::ParentDir => drop(real.pop()),
            component => real.push(component),
        }
        real = real.canonicalize_utf8().unwrap_or(real);
    }
    real
}

fn directory_of(path: &Utf8Path) -> &Utf8Path {
    path.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."))
}

/// What is to be written to for a path.
fn look(path: &Utf8Path) -> io::Result<Target> {
    if path.as_str().ends_with('/') || path.file_name().is_none() {
        return Err(Errno::ISDIR.into());
    }
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        // Before the link is followed: where a descriptor's link leads to, nothing may be.
        if let Some(file) = descriptor(&path)? {
            return Ok(Target::Open(Arc::new(file)));
        }
        let found = match path.as_std_path().symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = path
                    .ancestors()
                    .skip(1)
                    .find(|above| above.as_str().is_empty() || above.as_std_path().exists());
                let above =
                    above.filter(|above| !above.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
                if !above.as_std_path().is_dir() {
                    return Err(Errno::NOTDIR.into());
                }
                rustix::fs::access(above.as_std_path(), Access::WRITE_OK | Access::EXEC_OK)?;
                return Ok(Target::Replaced(path));
            }
            Err(error) => return Err(error),
        };
        check_owner(&path, &found)?;
        if found.is_symlink() {
            let target = path.read_link_utf8()?;
            path = directory_of(&path).join(target);
            continue;
        }
        return of_kind(path, &found);
    }
    Err(Errno::LOOP.into())
}

/// In a folder such as `/tmp`, where everybody can put what he likes under a name that others use,
/// neither a link nor a file of another user is written to, as Linux itself refuses it where
/// `fs.protected_symlinks` and `fs.protected_regular` are set.
fn check_owner(path: &Utf8Path, found: &Metadata) -> io::Result<()> {
    const STICKY: u32 = 0o1000;
    const EVERYBODY: u32 = 0o002;
    let user = rustix::process::geteuid().as_raw();
    if found.uid() == user || !(found.is_file() || found.is_symlink()) {
        return Ok(());
    }
    let directory = directory_of(path).as_std_path().metadata()?;
    if directory.mode() & (STICKY | EVERYBODY) != STICKY | EVERYBODY
        || found.uid() == directory.uid()
    {
        return Ok(());
    }
    let what = if found.is_symlink() { "link" } else { "file" };
    let message = format!(
        "it is a {what} of another user (number {}) in a folder that everybody may write to",
        found.uid()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// How what is at a path, and no link, is written to.
#[expect(
    clippy::disallowed_methods,
    reason = "nobody waits: a pipe without a reader is asked again"
)]
fn of_kind(path: Utf8PathBuf, found: &Metadata) -> io::Result<Target> {
    let kind = found.file_type();
    if kind.is_file() {
        return match rustix::fs::access(
            directory_of(&path).as_std_path(),
            Access::WRITE_OK | Access::EXEC_OK,
        ) {
            Ok(()) => Ok(Target::Replaced(path)),
            Err(error) => match rustix::fs::access(path.as_std_path(), Access::WRITE_OK) {
                Ok(()) => Ok(Target::InPlace(path)),
                Err(_) => Err(error.into()),
            },
        };
    }
    if kind.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    if kind.is_block_device() {
        return Err(io::Error::other("it is a block device, which holds file systems"));
    }
    if kind.is_socket() {
        return Err(io::Error::other("it is a socket"));
    }
    // Neither a pipe that nobody reads nor a terminal line without carrier may keep the command
    // waiting for ever.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let begin = Instant::now();
    let handle = loop {
        match rustix::fs::open(path.as_std_path(), flags, Mode::empty()) {
            Err(Errno::NXIO) if kind.is_fifo() && begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20))
            }
            Err(Errno::NXIO) if kind.is_fifo() => {
                return Err(io::Error::other("it is a pipe that nobody reads"));
            }
            result => break result?,
        }
    };
    rustix::fs::fcntl_setfl(&handle, OFlags::empty())?;
    Ok(Target::Open(Arc::new(File::from(handle))))
}

/// The descriptor that a path such as `/dev/stdout` or `/dev/fd/3` stands for. Standard output and
/// standard error go on where they are; of others, only what they are open on can be opened once
/// more: a file's end, a pipe.
#[expect(clippy::disallowed_methods, reason = "it is open already, under this number")]
fn descriptor(path: &Utf8Path) -> io::Result<Option<File>> {
    let Some(number) = path.file_name().and_then(|name| name.parse::<u32>().ok()) else {
        return Ok(None);
    };
    let Ok(directory) = directory_of(path).canonicalize_utf8() else {
        return Ok(None);
    };
    let parts: Vec<&str> = directory.as_str().split('/').skip(1).collect();
    let own = match parts[..] {
        ["dev", "fd"] => true,
        ["proc", process, "fd"] | ["proc", process, "task", _, "fd"] => {
            process == std::process::id().to_string()
        }
        _ => return Ok(None),
    };
    let open = match number {
        1 if own => io::stdout().as_fd().try_clone_to_owned()?,
        2 if own => io::stderr().as_fd().try_clone_to_owned()?,
        _ => {
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::open(path.as_std_path(), flags, Mode::empty())?
        }
    };
    Ok(Some(File::from(open)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::effects::host::folder::folder;

    fn write(path: &Utf8Path, text: &str) -> Result<(), FsError> {
        OutputFile::prepare(path)?.write(|out| out.write_all(text.as_bytes()))
    }

    #[test]
    fn files_are_replaced_in_one_step_and_parents_made() {
        let (_guard, folder) = folder();
        let path = folder.join("a/b/file");
        let prepared = OutputFile::prepare(&path).unwrap();
        assert!(!folder.join("a").exists(), "nothing is made before there is something to write");
        prepared.write(|out| out.write_all(b"one")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let failed = prepared.write(|out| out.write_all(b"half").and(Err(io::Error::other("no"))));
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        prepared.write(|out| out.write_all(b"two")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(folder.join("a/b").read_dir_utf8().unwrap().count(), 1);
    }

    #[test]
    fn what_a_dead_process_left_beside_a_file_goes() {
        let (_guard, folder) = folder();
        let left = folder.join(format!("{}0123456789abcdef", staging::prefix("other")));
        fs::write(&left, "").unwrap();
        let living = temporary_file(&folder, &folder.join("living")).unwrap();
        write(&folder.join("file"), "").unwrap();
        assert!(!left.exists() && living.0.path().exists());
    }

    #[test]
    fn a_file_is_known_by_whatever_name() {
        let (_guard, folder) = folder();
        fs::create_dir(folder.join("directory")).unwrap();
        fs::write(folder.join("directory/file"), "").unwrap();
        symlink("directory", folder.join("alias")).unwrap();
        symlink("alias/file", folder.join("link")).unwrap();
        let known = |path: &str| OutputFile::prepare(&folder.join(path)).unwrap();
        for path in ["directory/file", "alias/file", "link", "directory/../alias/file"] {
            assert!(
                known(path).is_at(&folder.join("alias/file"))
                    && known(path).is_in(&folder.join("alias")),
                "{path}"
            );
        }
        assert!(!known("directory/new").is_at(&folder.join("directory/file")));
        assert!(known("alias/new/file").is_in(&folder.join("directory/new")));
        assert!(
            known("new/../alias/new").is_in(&folder.join("directory"))
                && !known("alias/new/../../x").is_in(&folder.join("alias"))
        );
        assert!(
            !known("directory/new").is_in(&folder.join("directory/ne"))
                && !known("new").is_in(&folder.join("alias"))
        );
    }

    #[test]
    fn links_stay_and_lead_to_what_is_written() {
        let (_guard, folder) = folder();
        fs::write(folder.join("target"), "old").unwrap();
        symlink("target", folder.join("link")).unwrap();
        symlink("link", folder.join("chain")).unwrap();
        symlink("new/file", folder.join("dangling")).unwrap();
        symlink("loop", folder.join("loop")).unwrap();
        write(&folder.join("chain"), "new").unwrap();
        write(&folder.join("dangling"), "made").unwrap();
        assert_eq!(fs::read_to_string(folder.join("target")).unwrap(), "new");
        assert_eq!(fs::read_to_string(folder.join("new/file")).unwrap(), "made");
        assert!(["chain", "link", "dangling"].iter().all(|name| folder.join(name).is_symlink()));
        assert!(write(&folder.join("loop"), "x").is_err());
    }

    #[test]
    fn what_is_no_file_is_written_to_or_refused_and_stays() {
        let (_guard, folder) = folder();
        let pipe = folder.join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            pipe.as_str(),
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        write(&pipe, "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        write(Utf8Path::new("/dev/null"), "nothing").unwrap();
        assert!(fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
        let _listener = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        for refused in ["socket", ".", "file/below", "new/"] {
            let error = write(&folder.join(refused), "x").unwrap_err();
            assert_eq!(error.path, folder.join(refused));
        }
    }

    #[test]
    fn a_descriptor_takes_bytes_where_it_is() {
        use std::os::fd::AsRawFd as _;
        let (_guard, folder) = folder();
        let mut log = File::create(folder.join("log")).unwrap();
        log.write_all(b"before\n").unwrap();
        for path in
            [format!("/dev/fd/{}", log.as_raw_fd()), format!("/proc/self/fd/{}", log.as_raw_fd())]
        {
            write(Utf8Path::new(&path), "then\n").unwrap();
        }
        assert_eq!(fs::read_to_string(folder.join("log")).unwrap(), "before\nthen\nthen\n");
    }
}
