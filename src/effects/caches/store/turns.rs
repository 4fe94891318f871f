//! Turns: what several processes are about to make, one of them makes, and the others wait.
//!
//! Effects layer. Whoever has a turn holds the lock of a file in `turns/`, which the kernel drops
//! with the process, however it ends; others wait until it is free, and look again for what they
//! wanted. A turn saves work and decides nothing: without locks, and where its holder does not get
//! on, whoever waits does the work too, as if there were no turns. That somebody gets on shows in
//! the time of his file, which he renews while his work does ([`Turn::beat`]): a process that was
//! stopped, or waits for a dead server, renews nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, OFlags, Timespec, Timestamps, flock};
use rustix::io::Errno;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::Store;
use crate::effects::host::interrupt::{self, Leftover, UnderWay};
use crate::model::digest::Hash;

/// The folder of the files.
const FOLDER: &str = "turns";
/// How long somebody waits for one who does not get on.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether the turn is free: at once, then less and less often.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(40);

/// A turn that this process has until it is dropped.
#[derive(Debug)]
pub struct Turn {
    name: Hash,
    path: Utf8PathBuf,
    file: OwnedFd,
    _under_way: UnderWay,
}

/// What came of asking for a turn.
#[derive(Debug)]
pub enum Asked {
    /// It is this process's.
    Mine(Turn),
    /// Somebody had it and has finished: what was wanted may be there.
    Finished,
    /// There are no turns here, or whoever has it does not get on.
    Alone,
}

impl Turn {
    /// What it is the turn of.
    pub fn name(&self) -> Hash {
        self.name
    }

    /// Says that the work gets on.
    pub fn beat(&self) {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ };
        let times = Timestamps { last_access: now, last_modification: now };
        let _ = rustix::fs::futimens(&self.file, &times);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Before the lock goes: whoever has the file open finds that it has no name any more.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Store {
    /// Asks for the turn of making what a hash stands for, and waits for whoever has it. While he
    /// gets on, `gets_on` is told so.
    pub fn turn(&self, name: Hash, gets_on: impl FnMut()) -> Asked {
        if !self.is_writable() {
            return Asked::Alone;
        }
        self.ask(name, PATIENCE, gets_on).unwrap_or(Asked::Alone)
    }

    fn ask(
        &self,
        name: Hash,
        patience: Duration,
        gets_on: impl FnMut(),
    ) -> Result<Asked, BlobError> {
        let path = self.entry_folder(FOLDER).join(name.to_hex());
        let failed = |error: io::Error| BlobError::io("lock", &path, error);
        loop {
            let file = match self.open_common(&path, OFlags::RDWR) {
                Err(Errno::NOENT) => {
                    self.make_parent(&path).map_err(failed)?;
                    self.open_common(&path, OFlags::RDWR)
                }
                result => result,
            };
            let file = file.map_err(|error| failed(error.into()))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Its last owner has removed it meanwhile.
                Ok(()) if rustix::fs::fstat(&file).is_ok_and(|found| found.st_nlink == 0) => {}
                Ok(()) => {
                    let under_way = interrupt::hold().begin(Leftover::File(path.clone()));
                    return Ok(Asked::Mine(Turn { name, path, file, _under_way: under_way }));
                }
                Err(Errno::WOULDBLOCK) => return Ok(wait(&file, patience, gets_on)),
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// Removes the files of those who are gone.
    pub(super) fn remove_old_turns(&self) -> u64 {
        let Ok(entries) = self.entry_folder(FOLDER).read_dir_utf8() else {
            return 0;
        };
        let is_turn =
            |path: &Utf8Path| path.file_name().is_some_and(|name| Hash::parse_hex(name).is_ok());
        let mut removed = 0;
        for path in
            entries.flatten().map(camino::Utf8DirEntry::into_path).filter(|path| is_turn(path))
        {
            let file = crate::effects::host::fs::open_regular(&path, super::Links::Refuse);
            let is_free = |file: &std::fs::File| {
                flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
            };
            // Whoever opened it in between finds that it has no name any more.
            if file.is_ok_and(|file| is_free(&file) && std::fs::remove_file(&path).is_ok()) {
                removed += 1;
            }
        }
        removed
    }
}

/// Waits until nobody has the lock any more, all who wait together.
#[allow(clippy::unnecessary_cast, reason = "the types of these fields differ between platforms")]
fn wait(file: &OwnedFd, patience: Duration, mut gets_on: impl FnMut()) -> Asked {
    let time =
        || rustix::fs::fstat(file).map(|found| (found.st_mtime as i64, found.st_mtime_nsec as i64));
    let mut last = (time(), Instant::now());
    let mut pause = FIRST_LOOK;
    loop {
        interrupt::check();
        match flock(file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Asked::Finished,
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(_) => return Asked::Alone,
        }
        let now = time();
        if now != last.0 {
            last = (now, Instant::now());
            gets_on();
        } else if last.1.elapsed() > patience {
            return Asked::Alone;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LAST_LOOK);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::effects::caches::store::tests::store;
    use crate::model::digest::DigestFunction;

    fn name() -> Hash {
        Hash::sha256(b"what is made")
    }

    #[test]
    fn one_makes_it_and_the_others_wait_together() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let (made, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let begin = std::sync::Barrier::new(8);
        let ask = || {
            begin.wait();
            match store.turn(name(), || ()) {
                Asked::Mine(_turn) => {
                    made.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(100));
                }
                Asked::Finished => {
                    finished.fetch_add(1, Ordering::SeqCst);
                }
                Asked::Alone => {}
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(ask);
            }
        });
        assert_eq!((made.into_inner(), finished.into_inner()), (1, 7));
        let left = store.entry_folder(FOLDER).read_dir_utf8().unwrap().count();
        assert_eq!((left, store.remove_old_turns()), (0, 0));
    }

    #[test]
    fn nobody_waits_for_one_who_does_not_get_on_and_all_do_for_one_who_does() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let Asked::Mine(turn) = store.turn(name(), || ()) else { panic!("nobody else is there") };
        let patience = Duration::from_millis(150);
        let ask = |gets_on: &mut dyn FnMut()| store.ask(name(), patience, gets_on).unwrap();
        assert!(matches!(ask(&mut || ()), Asked::Alone));
        let (start, mut beats) = (Instant::now(), 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..10 {
                    std::thread::sleep(Duration::from_millis(40));
                    turn.beat();
                }
                drop(turn);
            });
            assert!(matches!(ask(&mut || beats += 1), Asked::Finished));
        });
        assert!(start.elapsed() > 2 * patience && beats > 3, "{beats} beats");
    }

    #[test]
    fn what_the_dead_left_is_taken_over_and_removed() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let path = store.entry_folder(FOLDER).join(name().to_hex());
        store.make_parent(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(matches!(store.turn(name(), || ()), Asked::Mine(_)));
        assert!(!path.exists(), "it was given back");
        std::fs::write(&path, "").unwrap();
        let other = Hash::sha256(b"something else");
        let Asked::Mine(_turn) = store.turn(other, || ()) else { panic!("nobody else is there") };
        assert_eq!(store.remove_old_turns(), 1);
        assert!(!path.exists() && store.entry_folder(FOLDER).join(other.to_hex()).exists());
    }
}
