//! Who replaces a directory while others want to as well: they take turns.
//!
//! Effects layer.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::effects::host::interrupt;

/// How long somebody waits for whoever replaces the same directory: he may have been stopped.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether he is ready.
const INTERVAL: Duration = Duration::from_millis(20);

/// Held by whoever replaces a directory, as long as this is there: a lock on the directory itself,
/// which goes away with it. So nothing is left, and nothing else needs to be writable.
#[derive(Debug)]
pub struct Hold {
    _handle: OwnedFd,
}

impl Hold {
    /// Waits until nobody else holds the directory at a path; nothing where none is there, where
    /// there are no locks, or where that takes too long. While it waits, `waiting` is called.
    pub fn take(path: &Utf8Path, mut waiting: impl FnMut()) -> Option<Self> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let handle = open(path).ok()?;
            match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
                // Whoever had it may have put another one in its place.
                Ok(()) if is_there(&handle, path) => return Some(Self { _handle: handle }),
                Ok(()) => {}
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    interrupt::check();
                    waiting();
                    std::thread::sleep(INTERVAL);
                }
                Err(_) => return None,
            }
        }
        None
    }
}

/// Opens a directory, links not followed.
#[expect(clippy::disallowed_methods, reason = "a directory keeps nobody waiting")]
fn open(path: &Utf8Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path.as_str(), flags, Mode::empty())
}

/// Whether an open directory is the one at a path.
fn is_there(handle: &OwnedFd, path: &Utf8Path) -> bool {
    let open = rustix::fs::fstat(handle);
    let found = rustix::fs::statat(CWD, path.as_str(), AtFlags::SYMLINK_NOFOLLOW);
    match (open, found) {
        (Ok(open), Ok(found)) => (open.st_dev, open.st_ino) == (found.st_dev, found.st_ino),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Hold;
    use crate::effects::host::folder::folder;

    #[test]
    fn whoever_replaces_a_directory_waits_for_the_one_who_does() {
        let (_guard, folder) = folder();
        let [env, new, old] = ["env", "new", "old"].map(|name| folder.join(name));
        std::fs::create_dir(&env).unwrap();
        std::fs::create_dir(&new).unwrap();
        let mut first = Hold::take(&env, || panic!("nobody has it"));
        let mut waits = 0;
        let second = Hold::take(&env, || {
            waits += 1;
            // He is ready, and another directory is there.
            if waits == 2
                && let Some(hold) = first.take()
            {
                std::fs::rename(&env, &old).unwrap();
                std::fs::rename(&new, &env).unwrap();
                drop(hold);
            }
        });
        assert!(second.is_some() && waits == 2);
        assert!(Hold::take(&old, || panic!("the new one is held")).is_some());
        assert!(Hold::take(&folder.join("nowhere"), || ()).is_none());
        let link = folder.join("link");
        std::os::unix::fs::symlink("old", &link).unwrap();
        assert!(Hold::take(&link, || ()).is_none());
    }
}
