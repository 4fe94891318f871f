//! Descriptors that are kept so that clearing away works when there are no others left.
//!
//! Effects layer.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

/// As many descriptors as clearing a directory away needs: its own, that of a directory in it, and
/// the one by which that is listed.
const NEEDED: usize = 3;

static SPARE: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Keeps as many as are needed, as far as they can be had.
#[expect(clippy::disallowed_methods, reason = "the root is a directory")]
pub fn keep() {
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    while spare.len() < NEEDED
        && let Ok(handle) = rustix::fs::open(
            "/",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    {
        spare.push(handle);
    }
}

/// Whether as many as are needed are kept.
pub fn are_kept() -> bool {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner).len() == NEEDED
}

/// Gives them back, for whoever clears away.
pub fn give() {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
