//! Limits on what a wheel may ask for, so that hostile ones are refused before they fill memory or disk.
//!
//! Model layer. Each limit has a default far above what real wheels need, and an option that sets it.

/// What a wheel may hold at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the central directory.
    pub entries: u64,
    /// Bytes of a member's name.
    pub name_length: usize,
    /// Components of a member's name.
    pub depth: usize,
    /// Bytes of one member, decompressed.
    pub member_size: u64,
    /// Bytes of all members together, decompressed.
    pub total_size: u64,
    /// How many times as large as the archive its members may be together, once they exceed `ratio_from` bytes.
    pub ratio: u64,
    /// The bytes from which `ratio` counts.
    pub ratio_from: u64,
    /// Bytes of a metadata file (WHEEL, METADATA, `entry_points.txt`) or of a script that is rewritten.
    pub metadata_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 500_000,
            name_length: 1024,
            depth: 64,
            member_size: 16 << 30,
            total_size: 64 << 30,
            ratio: 200,
            ratio_from: 64 << 20,
            metadata_size: 8 << 20,
        }
    }
}

impl Limits {
    /// The most bytes of a central directory with so many entries: room for long names, not for padding.
    pub fn directory_size(&self, entries: u64) -> u64 {
        (4 << 20) + entries.saturating_mul(512)
    }

    /// The most bytes of the RECORD of a wheel with so many members.
    pub fn record_size(&self, members: u64) -> u64 {
        (4 << 20) + members.saturating_mul(512)
    }
}
