//! Temporary directories that know whether their owner is alive.
//!
//! Effects layer. Each is locked by the process that made it for as long as that lives; the kernel drops the lock with the process,
//! however it ends. So whoever comes later can remove what the dead left, and never what the living use.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::effects::{fs as effects_fs, random, remove};

/// Where locks do not work (some network file systems), what is younger than this is taken to be in use.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// A locked temporary directory; removed, with all that is in it, when dropped.
#[derive(Debug)]
pub struct Staging {
    path: Utf8PathBuf,
    // Holds the lock. Kept open until the directory is gone.
    handle: OwnedFd,
    kept: bool,
}

impl Staging {
    /// Makes a directory of a name that starts with `prefix` in `parent`, which must exist.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(parent: &Utf8Path, prefix: &str) -> io::Result<Self> {
        loop {
            let path = parent.join(format!("{prefix}{:016x}", random::number()));
            match effects_fs::make_directory_in(rustix::fs::CWD, path.as_str(), Mode::from_raw_mode(0o700)) {
                Err(rustix::io::Errno::EXIST) => continue,
                result => result?,
            }
            // Between these lines another process may find the directory unlocked and remove it: then try again.
            let handle = match open_directory(&path) {
                Err(rustix::io::Errno::NOENT) => continue,
                result => result?,
            };
            // Another error means a file system without locks: then age decides when others clean up.
            if rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK) {
                continue;
            }
            if rustix::fs::fstat(&handle)?.st_nlink > 0 && path.as_std_path().exists() {
                return Ok(Self { path, handle, kept: false });
            }
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// An open handle of the directory.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Says that the directory was moved away: nothing is removed later.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing can be done about an error here; the next process tries again.
            let _ = remove::directory(&self.path);
        }
    }
}

/// Removes the directories in `parent` whose names start with `prefix` and whose owners are gone; returns their number. What cannot
/// be removed stays for the next time.
pub fn clean(parent: &Utf8Path, prefix: &str) -> usize {
    let Ok(entries) = parent.read_dir_utf8() else { return 0 };
    let mut removed = 0;
    for entry in entries.flatten() {
        let left = entry
            .file_name()
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if left && is_abandoned(entry.path()) && remove::directory(entry.path()).is_ok() {
            removed += 1;
        }
    }
    removed
}

fn is_abandoned(path: &Utf8Path) -> bool {
    let Ok(handle) = open_directory(path) else { return false };
    match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        // The lock goes with the handle, at the end of this function; nobody else makes use of the directory by then.
        Ok(()) => true,
        Err(rustix::io::Errno::WOULDBLOCK) => false,
        Err(_) => path
            .as_std_path()
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > GRACE)),
    }
}

fn open_directory(path: &Utf8Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_living_use_stays_and_what_the_dead_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let parent = Utf8Path::from_path(folder.path()).unwrap();
        let alive = Staging::create(parent, "x-").unwrap();
        fs::create_dir_all(parent.join("x-0123456789abcdef/below")).unwrap();
        fs::create_dir(parent.join("x-not-ours")).unwrap();
        assert_eq!(clean(parent, "x-"), 1);
        assert!(alive.path().exists() && parent.join("x-not-ours").exists());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }
}
