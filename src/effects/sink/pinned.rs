//! Whole wheels, hashed while a plan is written and compared with their pinned digests.
//!
//! Effects layer. Which are hashed beside their members is decided in `schedule`.

use crate::effects::host::file_hash::FileHash;
use crate::effects::source::supply::{Supply, SupplyError};
use crate::model::digest::WheelDigest;
use crate::model::plan::WheelIndex;

/// A wheel, and how far it is hashed.
#[derive(Debug)]
pub(super) struct PinnedWheel<'a> {
    /// Its index.
    pub(super) wheel: WheelIndex,
    expected: WheelDigest,
    /// How far it is hashed: by whoever reads its members, too.
    pub(super) hash: FileHash<'a>,
}

impl<'a> PinnedWheel<'a> {
    /// A wheel that should have a digest; nothing of it is hashed yet.
    ///
    /// # Errors
    /// Its file is not at hand.
    pub(super) fn new(
        (wheel, expected): (WheelIndex, WheelDigest),
        supply: &Supply<'a>,
    ) -> Result<Self, SupplyError> {
        Ok(Self { wheel, expected, hash: supply.begin_hash(wheel)? })
    }

    /// The bytes of its file.
    pub(super) fn size(&self) -> u64 {
        self.hash.size()
    }

    /// Hashes what is left of the wheel, and compares.
    ///
    /// # Errors
    /// It is another file, or cannot be read.
    pub(super) fn check(&self, supply: &Supply<'_>) -> Result<(), SupplyError> {
        supply.check_hash(self.wheel, &self.hash, self.expected)
    }
}
