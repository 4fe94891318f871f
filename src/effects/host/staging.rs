//! Temporary directories that know whether their owner is alive.
//!
//! Effects layer. Each is locked by the process that made it for as long as that lives; the kernel
//! drops the lock with the process, however it ends. So whoever comes later can remove what the
//! dead left, and never what the living use.
#![expect(clippy::disallowed_methods, reason = "what it opens and removes it has made")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::effects::host::interrupt::{self, Leftover, UnderWay};
use crate::effects::host::{fs as effects_fs, random, remove};

/// Where locks do not work (some network file systems), what is younger than this is taken to be in
/// use.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// A locked temporary directory; removed, with all that is in it, when dropped.
#[derive(Debug)]
pub struct Staging {
    path: Utf8PathBuf,
    // Holds the lock. Kept open until the directory is gone.
    handle: OwnedFd,
    /// Nothing once it is somebody else's.
    under_way: Option<UnderWay>,
}

impl Staging {
    /// Makes a directory of a name that starts with `prefix` in `parent`, which must exist.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(parent: &Utf8Path, prefix: &str) -> io::Result<Self> {
        // Before there is anything that a signal would leave.
        interrupt::begin_to_listen();
        loop {
            let path = parent.join(format!("{prefix}{:016x}", random::number()));
            // A signal finds it, or it is not there yet.
            let mut held = interrupt::hold();
            match effects_fs::make_directory_in(
                rustix::fs::CWD,
                path.as_str(),
                Mode::from_raw_mode(0o700),
            ) {
                Err(rustix::io::Errno::EXIST) => continue,
                result => result?,
            }
            let under_way = Some(held.begin(Leftover::Directory(path.clone())));
            let can_clear_away = held.can_clear_away();
            drop(held);
            if !can_clear_away {
                // It is empty: that needs no descriptor.
                let _ = rustix::fs::rmdir(path.as_str());
                return Err(rustix::io::Errno::MFILE.into());
            }
            // Between these lines another process may find the directory unlocked and remove it:
            // then try again.
            let handle = match open_directory(&path) {
                Err(rustix::io::Errno::NOENT) => continue,
                Err(error) => {
                    // It is empty: that needs no descriptor.
                    let _ = rustix::fs::rmdir(path.as_str());
                    return Err(error.into());
                }
                Ok(handle) => handle,
            };
            // Another error means a file system without locks: then age decides when others clean
            // up.
            if rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive)
                == Err(rustix::io::Errno::WOULDBLOCK)
            {
                continue;
            }
            if rustix::fs::fstat(&handle)?.st_nlink > 0 && path.as_std_path().exists() {
                return Ok(Self { path, handle, under_way });
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

    /// Says that the directory was moved away: nothing is removed later. Until what this returns is
    /// dropped, a signal still clears away whatever has its name.
    pub fn keep(&mut self) -> Option<UnderWay> {
        self.under_way.take()
    }

    /// Removes the directory now, with all that is in it.
    pub fn remove(&mut self) {
        if self.under_way.is_some() {
            // Nothing can be done about an error here; the next process tries again.
            let _ = remove::directory(&self.path);
            self.under_way = None;
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes what dead processes left in `parent`, whatever it was to become; returns how many
/// things. What cannot be removed stays for the next time.
pub fn sweep(parent: &Utf8Path) -> usize {
    clean_where(parent, |name| is_name(name).is_some())
}

/// Removes the directories in `parent` whose names start with `prefix` and whose owners are gone;
/// returns their number. What cannot be removed stays for the next time.
pub fn clean(parent: &Utf8Path, prefix: &str) -> usize {
    clean_where(parent, |name| name.strip_prefix(prefix).is_some_and(is_number))
}

/// The beginning of the names of unfinished directories that are to become something of this name.
pub fn prefix(name: &str) -> String {
    // Long names leave no room for what is added.
    let short: String = name.chars().take(48).collect();
    format!(".{short}.venvtree-")
}

/// The beginning of the names of directories for downloads.
pub const DOWNLOADS: &str = ".venvtree-download-";

/// What a name begins with, if it is one that this program gives to what is unfinished:
/// `.NAME.venvtree-NUMBER`.
fn is_name(name: &str) -> Option<&str> {
    let begin = name
        .get(..name.len().checked_sub(16)?)
        .filter(|begin| name.starts_with('.') && is_number(&name[begin.len()..]))?;
    let named = begin.strip_suffix(".venvtree-").is_some_and(|name| !name.is_empty());
    (begin == DOWNLOADS || named).then_some(begin)
}

fn is_number(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn clean_where(parent: &Utf8Path, is_ours: impl Fn(&str) -> bool) -> usize {
    let Ok(entries) = parent.read_dir_utf8() else {
        return 0;
    };
    let mut removed = 0;
    for entry in entries.flatten().filter(|entry| is_ours(entry.file_name())) {
        // The lock goes with the handle, when everything is gone.
        let Some(_lock) = abandoned(entry.path()) else {
            continue;
        };
        let gone = match entry.file_type() {
            Ok(kind) if kind.is_dir() => remove::directory(entry.path()),
            _ => fs::remove_file(entry.path()),
        };
        removed += usize::from(gone.is_ok());
    }
    removed
}

/// An open handle of a file or directory that belongs to no living process.
fn abandoned(path: &Utf8Path) -> Option<OwnedFd> {
    // Neither a link nor what blocks when it is opened.
    let handle = rustix::fs::open(
        path.as_str(),
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let handle = handle.ok()?;
    match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Some(handle),
        Err(rustix::io::Errno::WOULDBLOCK) => None,
        Err(_) => {
            let time = path
                .as_std_path()
                .symlink_metadata()
                .and_then(|metadata| metadata.modified())
                .ok()?;
            SystemTime::now().duration_since(time).is_ok_and(|age| age > GRACE).then_some(handle)
        }
    }
}

fn open_directory(path: &Utf8Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(
        path.as_str(),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::host::folder::folder;

    #[test]
    fn what_the_living_use_stays_and_what_the_dead_left_goes() {
        let (_guard, parent) = &folder();
        let alive = Staging::create(parent, "x-").unwrap();
        fs::create_dir_all(parent.join("x-0123456789abcdef/below")).unwrap();
        fs::create_dir(parent.join("x-not-ours")).unwrap();
        assert_eq!(clean(parent, "x-"), 1);
        assert!(alive.path().exists() && parent.join("x-not-ours").exists());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }

    #[test]
    fn whatever_was_to_be_made_in_a_folder_is_swept_when_its_maker_is_dead() {
        let (_guard, parent) = &folder();
        let alive = Staging::create(parent, &prefix("other")).unwrap();
        for name in [
            ".out.venvtree-0123456789abcdef",
            ".an.other.venvtree-0123456789abcdef",
            ".venvtree-download-0123456789abcdef",
        ] {
            fs::create_dir_all(parent.join(name).join("below")).unwrap();
        }
        fs::write(parent.join(".file.venvtree-0123456789abcdef"), "").unwrap();
        let mine = [
            ".out.venvtree-mine",
            "out.venvtree-0123456789abcdef",
            ".venvtree-0123456789abcdef",
            ".0123456789abcdef",
        ];
        for name in mine {
            fs::create_dir(parent.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(mine[0], parent.join(".link.venvtree-0123456789abcdef"))
            .unwrap();
        assert_eq!(sweep(parent), 4);
        assert!(alive.path().exists() && mine.iter().all(|name| parent.join(name).exists()));
    }
}
