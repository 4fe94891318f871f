//! Reading all of the store again, and removing what is damaged.
//!
//! Effects layer. Every blob and linkable file is hashed; results, trees, manifests and stamps are
//! parsed. What is wrong is removed where the store can be written: it is a miss from then on, and
//! the next build makes it again.

use std::fs;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::Store;
use crate::effects::caches::store::area::{Repair, hash_file, repair};
use crate::effects::caches::store::survey::{EntryKind, Seen, Shard};
use crate::effects::caches::store::usage::Usage;
use crate::effects::caches::store::{record, stamp, states};
use crate::effects::host::fs::read_entry;
use crate::effects::source::overlay::Overlay;
use crate::model::digest::Digest;
use crate::model::tree::wire;

/// One entry that was not what its name says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub path: Utf8PathBuf,
    /// What was wrong.
    pub reason: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a damaged entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its content was right: mode and time were set again.
    Repaired,
    /// It was removed.
    Removed,
    /// It is still there, as the store cannot be written.
    Kept,
}

impl Outcome {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Removed => "removed",
            Self::Kept => "kept",
        }
    }
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct VerifyReport {
    /// What was read.
    pub checked: Usage,
    /// What was wrong, by path.
    pub damaged: Vec<Damage>,
}

impl Store {
    /// Reads and hashes everything in the store, on all cores.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn verify(&self) -> Result<VerifyReport, BlobError> {
        let shards = self.shards(|_| true)?;
        let found = self.survey(&shards, |shard| {
            let (mut checked, mut damaged) = (Usage::default(), Vec::new());
            shard.each(|seen| {
                checked.add(&seen);
                damaged.extend(self.verify_entry(shard, &seen));
            })?;
            Ok((checked, damaged))
        })?;
        let mut report = VerifyReport::default();
        for (checked, damaged) in found {
            report.checked += checked;
            report.damaged.extend(damaged);
        }
        report.damaged.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(report)
    }

    fn verify_entry(&self, shard: &Shard, seen: &Seen<'_>) -> Option<Damage> {
        let path = shard.path(seen.hash);
        let damage = |reason: String, outcome| Some(Damage { path: path.clone(), reason, outcome });
        let reason = match shard.kind {
            EntryKind::File => {
                let (mtime, kind) = shard.file?;
                let digest = Digest { hash: seen.hash, size: seen.size() };
                match repair(
                    &path,
                    self.function(),
                    digest,
                    self.state(kind, mtime),
                    self.is_writable(),
                ) {
                    Repair::Sound { .. } | Repair::Absent => return None,
                    Repair::Repaired { .. } => {
                        return damage(
                            "its mode or time was another one".to_owned(),
                            Outcome::Repaired,
                        );
                    }
                    Repair::Damaged(reason) => reason,
                }
            }
            EntryKind::Blob => match hash_file(&path, self.function()) {
                Ok(found) if found.hash == seen.hash => return None,
                Ok(found) => format!("its content is {found}"),
                Err(BlobError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    return None;
                }
                Err(error) => error.to_string(),
            },
            kind => {
                let bytes = match read_entry(&path) {
                    Ok(bytes) => bytes,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
                    Err(error) => return damage(error.to_string(), Outcome::Kept),
                };
                let sound = match kind {
                    // Results of other tools are read as far as any message can be.
                    EntryKind::Result => wire::Fields::new(&bytes).all(|field| field.is_ok()),
                    EntryKind::Tree => record::unframe(record::TREE, bytes).is_some(),
                    EntryKind::Wheel => record::unframe(record::WHEEL, bytes).is_some(),
                    EntryKind::Manifest => record::unframe(record::MANIFEST, bytes).is_some(),
                    EntryKind::Hashed => record::unframe(record::HASHED, bytes).is_some(),
                    EntryKind::Stamp => stamp::is_current(bytes).is_some(),
                    EntryKind::States => states::is_sound(bytes),
                    EntryKind::Bytecode => {
                        Overlay::open(&path, true).is_ok_and(|found| found.is_whole())
                    }
                    EntryKind::Blob | EntryKind::File => true,
                };
                if sound {
                    return None;
                }
                "it cannot be read".to_owned()
            }
        };
        let removed = self.is_writable() && fs::remove_file(&path).is_ok();
        damage(reason, if removed { Outcome::Removed } else { Outcome::Kept })
    }
}
