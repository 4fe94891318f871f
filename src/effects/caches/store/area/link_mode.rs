//! How files get out of the store: what is asked for, and what the file system is able to do.
//!
//! Effects layer.

use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Deserialize, Serialize};

use crate::model::every::every;

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

/// What is tried for the next file, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Hardlink,
    Reflink,
    Copy,
}

/// Leads from the best way to that which always works, for all threads, and never back.
#[derive(Debug)]
pub(super) struct Ladder(AtomicU8);

impl Ladder {
    const METHODS: [Method; 3] = [Method::Hardlink, Method::Reflink, Method::Copy];

    pub(super) fn new(method: Method) -> Self {
        Self(AtomicU8::new(method as u8))
    }

    pub(super) fn method(&self) -> Method {
        Self::METHODS[usize::from(self.0.load(Ordering::Relaxed))]
    }

    pub(super) fn fall_back_to(&self, method: Method) {
        self.0.fetch_max(method as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_only_goes_down() {
        for (step, method) in Ladder::METHODS.into_iter().enumerate() {
            assert_eq!(method as usize, step);
            let ladder = Ladder::new(method);
            assert_eq!(ladder.method(), method);
            for other in Ladder::METHODS {
                ladder.fall_back_to(other);
                assert!(ladder.method() >= other && ladder.method() >= method);
            }
        }
    }
}
