//! Which entries of the store belong together: the results that are an environment, its record, its
//! message and the files that no environment has that was used since. They are removed together.
//!
//! Effects layer. Linkable files cannot carry the time of their last use (their time is that of the
//! environments), so they are as recent as the most recent tree that has them; one in no tree is as
//! recent as its last change, for a build may be about to name it. 44 bytes are kept of an entry,
//! and no path.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::survey::{BLOCK, EntryKind, Seen, Shard};
use crate::effects::caches::store::usage::Usage;
use crate::effects::caches::store::{Store, record};
use crate::effects::host::fs::read_entry;
use crate::effects::work::parallel;
use crate::model::action::ActionResult;
use crate::model::digest::{Digest, DigestFunction, Hash};
use crate::model::file_kind::FileKind;
use crate::model::tree::wire;

/// In an entry's blocks: it has other names.
const LINKED: u32 = 1 << 31;
/// In the place of an environment: it belongs to none.
pub(super) const ALONE: u32 = 0;
/// In the place of an environment: it belongs to none, and goes.
pub(super) const GOES: u32 = u32::MAX;

/// What is kept of an entry.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) hash: Hash,
    /// Blocks on disk, and [`LINKED`].
    room: u32,
    /// Seconds since 1970.
    pub(super) used: u32,
    /// The environment that it belongs to, by its rank: of several, the one that was used last.
    pub(super) owner: AtomicU32,
}

impl Kept {
    fn new(seen: &Seen<'_>, kind: EntryKind) -> Self {
        let blocks = u32::try_from(seen.blocks()).unwrap_or(u32::MAX).min(LINKED - 1);
        let used = if kind == EntryKind::File { seen.changed() } else { seen.modified() };
        Self {
            hash: seen.hash,
            room: blocks | if seen.is_linked() { LINKED } else { 0 },
            used: seconds(used),
            owner: AtomicU32::new(ALONE),
        }
    }

    /// Whether it would take as much on disk without the store.
    pub(super) fn is_linked(&self) -> bool {
        self.room & LINKED != 0
    }

    pub(super) fn blocks(&self) -> u32 {
        self.room & !LINKED
    }

    pub(super) fn owner(&self) -> u32 {
        self.owner.load(Ordering::Relaxed)
    }
}

/// A time as it is kept.
pub(super) fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

/// An environment that the store knows.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// When it was used last, in seconds since 1970.
    pub(super) used: u32,
    /// What removing all that belongs to it frees.
    pub(super) blocks: u64,
    /// What stays of it, as it has other names.
    linked: u64,
    /// Entries.
    pub(super) entries: u64,
}

impl Environment {
    /// Whether it lies somewhere as links into the store: then removing it frees little, and makes
    /// another one of it dear. What is edited where it lies is never a link.
    pub(super) fn is_linked(&self) -> bool {
        self.blocks < self.linked / 4
    }
}

/// What is found of an environment.
struct Known<'a> {
    used: u32,
    record: &'a Kept,
    message: Option<&'a Kept>,
    results: &'a [&'a Kept],
}

/// Everything that the store has.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) shards: Vec<Shard>,
    /// Those of each shard, by their names.
    pub(super) entries: Vec<Box<[Kept]>>,
    pub(super) total: Usage,
    /// Those that have other names.
    pub(super) linked: Usage,
    /// By rank, the first of which is 1: the one that was used longest ago.
    pub(super) environments: Vec<Environment>,
}

impl Store {
    /// Looks at everything.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(super) fn inventory(&self) -> Result<Inventory, BlobError> {
        let shards = self.shards(|_| true)?;
        let found = self.survey(&shards, |shard| {
            let (mut kept, mut total, mut linked) =
                (Vec::new(), Usage::default(), Usage::default());
            shard.each(|seen| {
                total.add(&seen);
                if seen.is_linked() {
                    linked.add(&seen);
                }
                kept.push(Kept::new(&seen, shard.kind));
            })?;
            kept.sort_unstable_by_key(|kept| kept.hash);
            Ok((kept.into_boxed_slice(), total, linked))
        })?;
        let (mut total, mut linked) = (Usage::default(), Usage::default());
        let mut entries = Vec::with_capacity(found.len());
        for (kept, all, those) in found {
            entries.push(kept);
            total += all;
            linked += those;
        }
        Ok(Inventory { shards, entries, total, linked, environments: Vec::new() })
    }

    /// Finds out which entries belong to which environment.
    pub(super) fn find_environments(&self, inventory: &mut Inventory) {
        let places = Places::of(inventory);
        let results = self.results_by_message(inventory);
        let records: Vec<&Kept> = inventory.of_kind(EntryKind::Tree).collect();
        let found = parallel::map(parallel::available(), records.len(), |turn| {
            let record = records[turn];
            let message = self.message_of_record(record.hash).map(|digest| digest.hash);
            let results =
                message.and_then(|hash| results.get(&hash)).map_or(&[][..], Vec::as_slice);
            let message = message.and_then(|hash| places.blob(inventory, hash));
            // Bazel, too, may have used the message.
            let others = message.iter().chain(results).map(|kept| kept.used);
            let used = others.max().map_or(record.used, |used| record.used.max(used));
            Ok::<_, Infallible>(Known { used, record, message, results })
        });
        let mut found = found.unwrap_or_else(|never| match never {});
        found.sort_unstable_by_key(|known| (known.used, known.record.hash));
        // Directories that a more recent environment has, too, need not be read again.
        let seen: Mutex<HashMap<Hash, u32>> = Mutex::default();
        let own = |kept: &Kept, rank| {
            kept.owner.fetch_max(rank, Ordering::Relaxed);
        };
        let done = parallel::map(parallel::available(), found.len(), |turn| {
            let index = found.len() - 1 - turn;
            let rank = u32::try_from(index + 1).unwrap_or(GOES - 1).min(GOES - 1);
            let Known { record, message, results, .. } = found[index];
            own(record, rank);
            results.iter().for_each(|result| own(result, rank));
            let Some(message) = message else {
                return Ok::<_, Infallible>(());
            };
            own(message, rank);
            // Unverified on purpose: a damaged message can at worst make files look more recent, or
            // less, than they are.
            let bytes = read_entry(&self.blob_path(message.hash)).unwrap_or_default();
            let mut files = Vec::new();
            for (directory, hinted) in wire::hinted_files(&bytes) {
                let hash = DigestFunction::Blake3.digest(directory).hash;
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let before = seen.entry(hash).or_default();
                if *before < rank {
                    *before = rank;
                    drop(seen);
                    files.extend(hinted);
                }
            }
            // In the order in which they are kept: what is looked at one after another lies close
            // together.
            files.sort_unstable_by_key(|(hash, _)| *hash);
            for (hash, kind) in files {
                for kept in places.files(inventory, hash, kind) {
                    own(kept, rank);
                }
            }
            Ok(())
        });
        done.unwrap_or_else(|never| match never {});
        let environment =
            |known: &Known<'_>| Environment { used: known.used, ..Environment::default() };
        let mut environments: Vec<Environment> = found.iter().map(environment).collect();
        for kept in inventory.entries.iter().flatten() {
            let owner = kept.owner() as usize;
            if let Some(environment) = owner.checked_sub(1).and_then(|at| environments.get_mut(at))
            {
                environment.entries += 1;
                let room = if kept.is_linked() {
                    &mut environment.linked
                } else {
                    &mut environment.blocks
                };
                *room += u64::from(kept.blocks());
            }
        }
        inventory.environments = environments;
    }

    /// The results whose output is one directory, by the message that describes it.
    fn results_by_message<'a>(&self, inventory: &'a Inventory) -> HashMap<Hash, Vec<&'a Kept>> {
        let results: Vec<&Kept> = inventory.of_kind(EntryKind::Result).collect();
        let messages = parallel::map(parallel::available(), results.len(), |turn| {
            let bytes = read_entry(&self.entry_path("ac", results[turn].hash)).ok();
            let result = bytes.and_then(|bytes| ActionResult::decode_any(&bytes).ok());
            Ok::<_, Infallible>(result.map(|(_, result)| result.tree.hash))
        });
        let mut found: HashMap<Hash, Vec<&Kept>> = HashMap::new();
        let messages = messages.unwrap_or_else(|never| match never {});
        for (message, result) in messages.into_iter().zip(results) {
            if let Some(message) = message {
                found.entry(message).or_default().push(result);
            }
        }
        found
    }

    fn message_of_record(&self, root: Hash) -> Option<Digest> {
        let bytes = read_entry(&self.entry_path(record::TREE.name, root)).ok()?;
        let payload = record::unframe(record::TREE, bytes)?;
        Digest::parse(std::str::from_utf8(&payload).ok()?).ok()
    }
}

impl Inventory {
    fn of_kind(&self, kind: EntryKind) -> impl Iterator<Item = &Kept> {
        let shards = self.shards.iter().zip(&self.entries);
        shards.filter(move |(shard, _)| shard.kind == kind).flat_map(|(_, entries)| entries.iter())
    }

    /// The bytes on disk that are there only because of the store.
    pub(super) fn own(&self) -> u64 {
        self.total.disk - self.linked.disk
    }

    /// The environment that an entry belongs to, if there is one.
    pub(super) fn environment(&self, kept: &Kept) -> Option<usize> {
        match kept.owner() {
            ALONE | GOES => None,
            rank => Some(rank as usize - 1),
        }
    }
}

/// Bytes of blocks.
pub(super) fn bytes(blocks: u64) -> u64 {
    blocks.saturating_mul(BLOCK)
}

/// Which shard has the entries whose names begin with a byte.
type ByFirst = [Option<usize>; 256];

/// Where blobs and linkable files are to be looked for.
struct Places {
    blobs: ByFirst,
    /// Of each area, plain and executable files.
    files: HashMap<i64, [ByFirst; 2]>,
}

impl Places {
    fn of(inventory: &Inventory) -> Self {
        const NONE: ByFirst = [None; 256];
        let mut places = Self { blobs: NONE, files: HashMap::new() };
        for (index, shard) in inventory.shards.iter().enumerate() {
            let table = match (shard.kind, shard.file) {
                (EntryKind::Blob, _) => &mut places.blobs,
                (EntryKind::File, Some((mtime, kind))) => {
                    let area = places.files.entry(mtime).or_insert([NONE; 2]);
                    &mut area[usize::from(kind.is_executable())]
                }
                _ => continue,
            };
            table[usize::from(shard.first)] = Some(index);
        }
        places
    }

    fn blob<'a>(&self, inventory: &'a Inventory, hash: Hash) -> Option<&'a Kept> {
        find(inventory, &self.blobs, hash)
    }

    fn files<'a>(
        &self,
        inventory: &'a Inventory,
        hash: Hash,
        kind: FileKind,
    ) -> impl Iterator<Item = &'a Kept> {
        let areas = self.files.values().map(move |area| &area[usize::from(kind.is_executable())]);
        areas.filter_map(move |table| find(inventory, table, hash))
    }
}

fn find<'a>(inventory: &'a Inventory, table: &ByFirst, hash: Hash) -> Option<&'a Kept> {
    let entries = &inventory.entries[table[usize::from(hash.as_bytes()[0])]?];
    let index = entries.binary_search_by(|kept| kept.hash.cmp(&hash)).ok()?;
    entries.get(index)
}
