//! Removing directories that are ours to remove, also where they are read-only.
//!
//! Effects layer. Whoever owns a directory may make it writable, so a directory without the
//! permission to write is no reason to leave anything behind. Links are removed, never followed.
#![expect(clippy::disallowed_methods, reason = "this is the doorway")]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use camino::Utf8Path;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::effects::host::fs::Directory;
use crate::effects::host::spare;

/// How directories are opened to be emptied: a link is none.
const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a directory and all that is in it; nothing there is no error.
///
/// # Errors
/// Something belongs to somebody else, or the file system refuses.
pub fn directory(path: &Utf8Path) -> io::Result<()> {
    let outcome = match remove_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(CWD, path.as_str());
            remove_all(path)
        }
        outcome => outcome,
    };
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// As the standard library does it, which needs a descriptor for every level; where there are none
/// left, with three.
fn remove_all(path: &Utf8Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if is_exhausted(&error) => {
            spare::give();
            with_few_descriptors(path)
        }
        outcome => outcome,
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::MFILE | Errno::NFILE))
}

fn with_few_descriptors(path: &Utf8Path) -> io::Result<()> {
    let handle = rustix::fs::open(path.as_str(), OPEN, Mode::empty())?;
    let root = Directory::of(handle, path);
    // Those above come before those below them; each is closed before the next is opened.
    let mut directories = vec![String::new()];
    let mut next = 0;
    while next < directories.len() {
        let above = directories[next].clone();
        let directory = root.open_below(&above).map_err(|error| error.source)?;
        for name in directory.names().map_err(|error| error.source)? {
            let name = name.unwrap_or_else(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            match rustix::fs::unlinkat(directory.handle(), name.as_str(), AtFlags::empty()) {
                // What Linux says of directories, and what POSIX says.
                Err(Errno::ISDIR | Errno::PERM) => directories.push(if above.is_empty() {
                    name
                } else {
                    format!("{above}/{name}")
                }),
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        next += 1;
    }
    for directory in directories[1..].iter().rev() {
        rustix::fs::unlinkat(root.handle(), directory.as_str(), AtFlags::REMOVEDIR)?;
    }
    drop(root);
    Ok(rustix::fs::rmdir(path.as_str())?)
}

/// Lets the owner list and change a directory; says whether it is one.
fn open_directory(parent: impl AsFd, name: &str) -> Option<OwnedFd> {
    if let Ok(handle) = rustix::fs::openat(parent.as_fd(), name, OPEN, Mode::empty()) {
        let _ = rustix::fs::fchmod(&handle, Mode::RWXU);
        return Some(handle);
    }
    // One that cannot even be listed has no handle to set its mode by. A link is not what was
    // looked at before.
    let found = rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return None;
    }
    rustix::fs::chmodat(parent.as_fd(), name, Mode::RWXU, AtFlags::empty()).ok()?;
    rustix::fs::openat(parent.as_fd(), name, OPEN, Mode::empty()).ok()
}

fn open_up(parent: impl AsFd, name: &str) {
    let Some(handle) = open_directory(parent, name) else {
        return;
    };
    let Ok(entries) = rustix::fs::Dir::read_from(&handle) else {
        return;
    };
    for entry in entries.flatten() {
        let directory = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        if let (true, Ok(name)) = (directory, entry.file_name().to_str())
            && name != "."
            && name != ".."
        {
            open_up(&handle, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn few_descriptors_are_enough() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap().join("env");
        fs::create_dir_all(root.join("a/b/c/d/e")).unwrap();
        fs::create_dir_all(root.join("a/x")).unwrap();
        fs::write(root.join("a/b/file"), "").unwrap();
        std::os::unix::fs::symlink("/", root.join("a/b/c/link")).unwrap();
        with_few_descriptors(&root).unwrap();
        assert!(!root.exists());
    }

    /// Root may do everything anyway: then this only shows that nothing else is lost.
    #[test]
    fn directories_without_permissions_are_removed_and_links_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        fs::create_dir_all(root.join("kept")).unwrap();
        fs::write(root.join("kept/file"), "").unwrap();
        fs::set_permissions(root.join("kept"), Permissions::from_mode(0o555)).unwrap();
        let modes = [0o555, 0o500, 0o300, 0o000];
        for (index, mode) in modes.iter().enumerate() {
            fs::create_dir_all(root.join(format!("env/a{index}/b"))).unwrap();
            fs::write(root.join(format!("env/a{index}/b/file")), "").unwrap();
            std::os::unix::fs::symlink(root.join("kept"), root.join(format!("env/a{index}/link")))
                .unwrap();
            for place in [format!("env/a{index}/b"), format!("env/a{index}")] {
                fs::set_permissions(root.join(place), Permissions::from_mode(*mode)).unwrap();
            }
        }
        fs::set_permissions(root.join("env"), Permissions::from_mode(0o555)).unwrap();
        directory(&root.join("env")).unwrap();
        assert!(!root.join("env").exists() && root.join("kept/file").exists());
        assert_eq!(fs::metadata(root.join("kept")).unwrap().permissions().mode() & 0o777, 0o555);
        directory(&root.join("env")).unwrap();
        fs::set_permissions(root.join("kept"), Permissions::from_mode(0o755)).unwrap();
    }
}
