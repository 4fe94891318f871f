//! The files of a plan of which the store was told everything: no wheel is opened, nothing inflated.
//!
//! Effects layer. What a plan makes itself, such as RECORDs, is written where the store does not have
//! it; of everything else the store is believed to have it until a file is missed.

use std::collections::HashMap;

use rustix::fs::Mode;

use crate::effects::caches::store::area::Area;
use crate::effects::caches::store::states::States;
use crate::effects::host::fs::Directory;
use crate::effects::sink::layered::{Layered, StoreUse};
use crate::effects::sink::spot::{Files, Put, Spot};
use crate::effects::sink::tree::{self, Manner, TreeWriteError};
use crate::effects::source::entry::{EntryNode, FileEntry};
use crate::effects::source::supply::Supply;
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::Progress;
use crate::model::digest::{BlobDigest, Digest, DigestFunction};
use crate::model::plan::{Content, Plan};
use crate::model::tree::Tree;

/// A plan's files, all of them known by their digests.
pub struct Foreseen<'a> {
    area: &'a Area<'a>,
    mtime: u64,
    /// What the plan makes itself.
    generated: HashMap<Digest, &'a [u8]>,
    /// By position among the plan's entries; those of links are meaningless.
    pub digests: Vec<BlobDigest>,
}

impl<'a> Foreseen<'a> {
    /// The files of a plan; nothing where a byte of a wheel, a source or an interpreter would have
    /// to be read.
    pub fn of(
        plan: &'a Plan,
        supply: &'a Supply<'a>,
        store: StoreUse<'a>,
        (function, mtime): (DigestFunction, u64),
        progress: &'a Progress,
    ) -> Option<Self> {
        let layered = Layered::new(plan, supply, Some(store), (function, mtime), progress);
        if !layered.unread().is_empty() {
            return None;
        }
        let mut digests = Vec::with_capacity(plan.entries.len());
        let mut generated = HashMap::new();
        for (_, planned) in &plan.entries {
            let digest = match EntryNode::from(&planned.node) {
                EntryNode::Link(_) => function.digest(b""),
                EntryNode::File(file) => {
                    let digest = layered.proven(file)?;
                    if let Some(Content::Inline(bytes)) = file.content {
                        generated.insert(digest, &bytes[..]);
                    }
                    digest
                }
            };
            digests.push(BlobDigest(digest));
        }
        Some(Self { area: store.area, mtime, generated, digests })
    }

    /// Writes the plan's tree as [`tree::write`] does.
    ///
    /// # Errors
    /// The store lacks a file, or the output cannot be written.
    pub fn write(
        &self,
        tree: &Tree,
        root: &Directory,
        (threads, look): (usize, bool),
    ) -> Result<Option<States>, TreeWriteError> {
        tree::write_from(tree, self, root, Manner { mtime: self.mtime, threads, look })
    }
}

impl Files for Foreseen<'_> {
    type Error = TreeWriteError;

    fn put(
        &self,
        FileEntry { digest, kind, content: _ }: FileEntry<'_>,
        spot: Spot<'_>,
        _: Crew<'_>,
    ) -> Result<Put, TreeWriteError> {
        let area = self.area.of(spot.below, spot.name, digest.size);
        if let Some(put) = spot.place(area, digest, kind)? {
            return Ok(put);
        }
        let bytes = self.generated.get(&digest).ok_or(TreeWriteError::Missing(digest))?;
        let mode = Mode::from_raw_mode(area.output_mode(kind));
        let mut file = spot.parent.create_file_with(spot.name, mode)?;
        file.write(bytes)?;
        file.finish(self.mtime)?;
        area.try_adopt(digest, kind, spot.at());
        Ok(Put { digest, look: None })
    }
}
