//! Locks of files that end when their holder says so.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, flock};

/// A file that is locked by `flock`, until this is dropped.
///
/// To close the file would not be enough: a process that another thread is just starting has a
/// copy of each descriptor until its program runs, and keeps the lock as long.
#[derive(Debug)]
pub struct Locked(pub OwnedFd);

impl Drop for Locked {
    fn drop(&mut self) {
        // Where there are no locks, there is none to give back.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_the_descriptor_do_not_keep_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || OwnedFd::from(file.reopen().unwrap());
        let locked = Locked(open());
        flock(&locked.0, FlockOperation::NonBlockingLockExclusive).unwrap();
        let _copy = locked.0.try_clone().unwrap();
        assert!(flock(open(), FlockOperation::NonBlockingLockExclusive).is_err());
        drop(locked);
        assert!(flock(open(), FlockOperation::NonBlockingLockExclusive).is_ok());
    }
}
