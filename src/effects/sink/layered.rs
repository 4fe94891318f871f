//! The files of a plan: the store before the wheels.
//!
//! Effects layer.

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use rustix::fs::Mode;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::area::Area;
use crate::effects::host::fs::{FsError, NewFile};
use crate::effects::sink::spot::{Files, Put, Spot};
use crate::effects::source::entry::{EntryNode, FileEntry};
use crate::effects::source::supply::{FeedError, Supply, SupplyError};
use crate::effects::wheels::inflate::SMALL;
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::Progress;
use crate::model::digest::{Digest, DigestFunction, Hasher};
use crate::model::file_kind::FileKind;
use crate::model::plan::{Content, Plan, PlannedNode, WheelIndex};
use crate::model::wheel::known::KnownMembers;

/// Why an entry could not be written.
#[derive(Debug)]
pub(super) enum EntryError {
    /// The file system refuses.
    Fs(FsError),
    /// A file of a store cannot be put into the output.
    Store(BlobError),
    /// The bytes are not what they should be.
    Supply(SupplyError),
}

impl From<FsError> for EntryError {
    fn from(error: FsError) -> Self {
        Self::Fs(error)
    }
}

impl From<BlobError> for EntryError {
    fn from(error: BlobError) -> Self {
        Self::Store(error)
    }
}

impl From<SupplyError> for EntryError {
    fn from(error: SupplyError) -> Self {
        Self::Supply(error)
    }
}

impl From<FeedError<FsError>> for EntryError {
    fn from(error: FeedError<FsError>) -> Self {
        match error {
            FeedError::Supply(error) => Self::Supply(error),
            FeedError::Taker(error) => Self::Fs(error),
        }
    }
}

/// The store while a plan is written.
#[derive(Debug, Clone, Copy)]
pub struct StoreUse<'a> {
    /// The linkable files.
    pub area: &'a Area<'a>,
    /// Of each wheel, what is known of its members: nothing where the store never saw the wheel, so
    /// that asking for its files is no use.
    pub wheels: &'a [Option<KnownMembers>],
}

impl StoreUse<'_> {
    fn known(&self, wheel: WheelIndex) -> Option<&KnownMembers> {
        self.wheels.get(wheel.0).and_then(Option::as_ref)
    }
}

/// The files of a plan: out of the store where there is one that has them, else from the wheels, and
/// then the store takes them over.
pub(super) struct Layered<'a> {
    plan: &'a Plan,
    supply: &'a Supply<'a>,
    store: Option<StoreUse<'a>>,
    /// The contents that several files of the plan have: all but the first can be links.
    repeated: OnceLock<HashSet<(Digest, FileKind)>>,
    function: DigestFunction,
    mtime: u64,
    progress: &'a Progress,
}

impl<'a> Layered<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        supply: &'a Supply<'a>,
        store: Option<StoreUse<'a>>,
        (function, mtime): (DigestFunction, u64),
        progress: &'a Progress,
    ) -> Self {
        Self { plan, supply, store, repeated: OnceLock::new(), function, mtime, progress }
    }

    /// The members, by wheel and index, that no file is made from and that nobody has compared with
    /// RECORD yet.
    pub(super) fn unread(&self) -> Vec<(WheelIndex, usize)> {
        let is_sound =
            |store: StoreUse<'_>, wheel| store.known(wheel).is_some_and(KnownMembers::is_sound);
        self.supply
            .unread(self.plan, |wheel| self.store.is_some_and(|store| is_sound(store, wheel)))
    }

    /// The wheels that are only known, and whose bytes will be needed: a member of theirs is not in
    /// the store, or was never read.
    pub(super) fn lacking(&self) -> BTreeSet<WheelIndex> {
        let is_known = |wheel: WheelIndex| !self.supply.wheels[wheel.0].is_open();
        let unread = self.unread().into_iter().map(|(wheel, _)| wheel);
        let mut lacking: BTreeSet<WheelIndex> = unread.filter(|wheel| is_known(*wheel)).collect();
        for (_, planned) in &self.plan.entries {
            let EntryNode::File(file) = EntryNode::from(&planned.node) else { continue };
            let Some(&Content::Member { wheel, member }) = file.content else { continue };
            if !is_known(wheel) || lacking.contains(&wheel) {
                continue;
            }
            let stored = self.stored(file).filter(|_| self.proves(wheel, member));
            let has = |(store, digest): (StoreUse<'_>, Digest)| {
                digest.size == 0 || store.area.has(digest, file.kind)
            };
            if !self.store.zip(stored).is_some_and(has) {
                lacking.insert(wheel);
            }
        }
        lacking
    }

    /// Whether a member was compared with RECORD before. Until then its SHA-256 is a claim: what the
    /// store has under it may be something else than what the wheel holds.
    pub(super) fn proves(&self, wheel: WheelIndex, member: usize) -> bool {
        self.store
            .and_then(|store| store.known(wheel).map(|known| known.proves(member)))
            .unwrap_or(false)
    }

    /// What gives and takes a file.
    fn area(&self, file: FileEntry<'_>, spot: Spot<'_>) -> Option<&'a Area<'a>> {
        self.store.map(|store| store.area.of(spot.below, spot.name, file.digest.size))
    }

    /// The digest of a file that the store may have. Asking for one costs a system call, so it is
    /// done only where there is hope.
    fn stored(&self, file: FileEntry<'_>) -> Option<Digest> {
        let store = self.store?;
        let known = match file.content? {
            Content::Member { wheel, member } => store
                .known(*wheel)
                .filter(|known| known.proves(*member))
                .map(|known| (known, *member)),
            Content::Inline(bytes) if self.function != DigestFunction::Sha256 => {
                return Some(self.function.digest(bytes));
            }
            Content::Inline(_) => return Some(file.digest),
            Content::Bytecode { overlay, .. }
                if self.function == DigestFunction::Sha256
                    && self.supply.overlays[*overlay].proven =>
            {
                return Some(file.digest);
            }
            Content::Source { .. } | Content::Interpreter { .. } | Content::Bytecode { .. } => None,
        };
        let Digest { hash, size } = file.digest;
        match self.function {
            DigestFunction::Sha256 => {
                let repeated = || {
                    let repeated = self.repeated.get_or_init(|| repeated(self.plan));
                    repeated.contains(&(file.digest, file.kind))
                };
                (known.is_some() || repeated()).then_some(file.digest)
            }
            DigestFunction::Blake3 => known
                .and_then(|(known, member)| known.digest(member, &hash))
                .map(|hash| Digest { hash, size }),
        }
    }

    /// The digest of a file that nobody has to read: the store may have it, or it is made here.
    pub(super) fn proven(&self, file: FileEntry<'_>) -> Option<Digest> {
        match file.content? {
            Content::Member { wheel, member } if !self.proves(*wheel, *member) => None,
            _ => self.stored(file),
        }
    }

    /// Reads a member whose file another one of this build has given. That this one has the same
    /// content, too, is still to be seen.
    fn check(&self, file: FileEntry<'_>, crew: Crew<'_>) -> Result<(), EntryError> {
        let Some(content @ Content::Member { wheel, member }) = file.content else {
            return Ok(());
        };
        if self.proves(*wheel, *member) {
            return Ok(());
        }
        Ok(self.supply.feed(content, file.digest, crew, |_| Ok::<_, FsError>(()))?)
    }

    /// Fills a new file; its digest by the function of the tree.
    fn fill(
        &self,
        mut target: NewFile,
        file: FileEntry<'_>,
        crew: Crew<'_>,
    ) -> Result<Digest, EntryError> {
        let Digest { size, .. } = file.digest;
        target.reserve(size);
        // The supply hashes by SHA-256 anyway; another function is computed on the way.
        let mut hasher =
            (self.function != DigestFunction::Sha256).then(|| Hasher::new(self.function));
        let content = file.content.expect("a plan says what its files are made of");
        let fed = self.supply.feed(content, file.digest, crew, |bytes| {
            if let Some(hasher) = &mut hasher {
                hasher.update(bytes);
            }
            if size > SMALL {
                self.progress.advance(0, bytes.len() as u64);
            }
            target.write(bytes)
        });
        fed?;
        target.finish(self.mtime)?;
        Ok(hasher.map_or(file.digest, Hasher::finish))
    }
}

impl Files for Layered<'_> {
    type Error = EntryError;

    fn put(&self, file: FileEntry<'_>, spot: Spot<'_>, crew: Crew<'_>) -> Result<Put, EntryError> {
        let FileEntry { digest: Digest { size, .. }, kind, .. } = file;
        let area = self.area(file, spot);
        if let Some((digest, area)) = self.stored(file).zip(area)
            && let Some(put) = spot.place(area, digest, kind)?
        {
            if size > SMALL {
                self.progress.advance(0, size);
            }
            self.check(file, crew)?;
            return Ok(put);
        }
        let target = match area {
            Some(area) => {
                let mode = Mode::from_raw_mode(area.output_mode(kind));
                spot.parent.create_file_with(spot.name, mode)
            }
            None => spot.parent.create_file(spot.name, kind),
        };
        let digest = self.fill(target?, file, crew)?;
        if let Some(area) = area {
            area.try_adopt(digest, kind, spot.at());
        }
        Ok(Put { digest, look: None })
    }
}

fn repeated(plan: &Plan) -> HashSet<(Digest, FileKind)> {
    let mut seen = HashSet::new();
    let mut repeated = HashSet::new();
    for (_, planned) in &plan.entries {
        if let PlannedNode::File { sha256, size, kind, .. } = planned.node {
            let content = (Digest { hash: sha256, size }, kind);
            if !seen.insert(content) {
                repeated.insert(content);
            }
        }
    }
    repeated
}
