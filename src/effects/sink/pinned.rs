//! Whole wheels, hashed while a plan is written and compared with their pinned digests.
//!
//! Effects layer. To hash two things at a time takes little more time than to hash one of them. So
//! a wheel that is mostly large members is hashed beside them.

use std::collections::HashMap;

use crate::effects::host::file_hash::FileHash;
use crate::effects::source::supply::{Supply, SupplyError};
use crate::model::digest::WheelDigest;

/// A wheel, and how far it is hashed.
#[derive(Debug)]
pub struct PinnedWheel<'a> {
    wheel: usize,
    expected: WheelDigest,
    hash: FileHash<'a>,
}

impl PinnedWheel<'_> {
    /// Hashes what is left of the wheel, and compares.
    ///
    /// # Errors
    /// It is another file, or cannot be read.
    pub fn check(&self, supply: &Supply<'_>) -> Result<(), SupplyError> {
        supply.check_hash(self.wheel, &self.hash, self.expected)
    }
}

/// The wheels that are hashed.
#[derive(Debug)]
pub struct PinnedWheels<'a> {
    /// Those that are hashed before files are written.
    pub first: Vec<PinnedWheel<'a>>,
    /// Those that are hashed beside their large members: what is left is hashed when those are
    /// written.
    pub beside: Vec<PinnedWheel<'a>>,
}

impl<'a> PinnedWheels<'a> {
    /// Decides how each wheel is hashed. `large` says how many bytes of a wheel's large members one
    /// thread is going to inflate: a wheel is hashed beside them if they are enough for half of its
    /// file.
    pub fn new(
        pinned: &[(usize, WheelDigest)],
        supply: &Supply<'a>,
        large: &HashMap<usize, u64>,
    ) -> Self {
        let begin =
            |&(wheel, expected)| PinnedWheel { wheel, expected, hash: supply.begin_hash(wheel) };
        let enough = |pinned: &PinnedWheel<'_>| {
            let size = supply.wheels[pinned.wheel].input().size();
            large.get(&pinned.wheel).is_some_and(|bytes| *bytes >= size / 2)
        };
        let (beside, first) = pinned.iter().map(begin).partition(enough);
        Self { first, beside }
    }

    /// The file to hash beside a wheel's large members.
    pub fn file_beside(&self, wheel: usize) -> Option<&FileHash<'a>> {
        self.beside.iter().find(|pinned| pinned.wheel == wheel).map(|pinned| &pinned.hash)
    }
}
