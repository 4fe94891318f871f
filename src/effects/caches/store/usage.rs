//! How much the store holds.
//!
//! Effects layer.

use std::ops::AddAssign;

use serde::Serialize;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::survey::{BLOCK, EntryKind, Seen};
use crate::effects::caches::store::{Store, fetched};

/// Entries and bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Number of entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes that they take on disk, where files take whole blocks.
    pub disk: u64,
}

impl Usage {
    pub(super) fn add(&mut self, seen: &Seen<'_>) {
        self.entries += 1;
        self.bytes += seen.size();
        self.disk += seen.blocks() * BLOCK;
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.disk += other.disk;
    }
}

/// What the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StoreReport {
    /// Blobs in Bazel's layout.
    pub blobs: Usage,
    /// Action results.
    pub results: Usage,
    /// Linkable files.
    pub files: Usage,
    /// Those of them that no environment links: the bytes that removing them would free.
    pub unlinked_files: Usage,
    /// What is known and was made of wheels: manifests and bytecode.
    pub wheels: Usage,
    /// Known trees.
    pub trees: Usage,
    /// Stamps of outputs.
    pub stamps: Usage,
    /// Files whose digest is known.
    pub hashed: Usage,
    /// Wheels that are being fetched, or whose download was broken off.
    pub unfinished: Usage,
    /// Everything.
    pub total: Usage,
}

impl Store {
    /// Counts what the store holds, for its digest function.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn report(&self) -> Result<StoreReport, BlobError> {
        let shards = self.shards(|_| true)?;
        let found = self.survey(&shards, |shard| {
            let (mut all, mut unlinked) = (Usage::default(), Usage::default());
            shard.each(|seen| {
                all.add(&seen);
                if !seen.is_linked() {
                    unlinked.add(&seen);
                }
            })?;
            Ok((all, unlinked))
        })?;
        let unfinished = fetched::usage_of(&self.unfinished());
        let mut report = StoreReport { unfinished, total: unfinished, ..StoreReport::default() };
        for (shard, (all, unlinked)) in shards.iter().zip(found) {
            let usage = match shard.kind {
                EntryKind::Blob => &mut report.blobs,
                EntryKind::Result => &mut report.results,
                EntryKind::File => {
                    report.unlinked_files += unlinked;
                    &mut report.files
                }
                EntryKind::Wheel | EntryKind::Manifest | EntryKind::Bytecode => &mut report.wheels,
                EntryKind::Tree => &mut report.trees,
                EntryKind::Stamp | EntryKind::States => &mut report.stamps,
                EntryKind::Hashed => &mut report.hashed,
            };
            *usage += all;
            report.total += all;
        }
        Ok(report)
    }
}
