//! Wheels that have been fetched, unpacked into the store while others still come.
//!
//! Part of the engine. What comes of it is what the store would have learnt from an environment of
//! the wheel: its manifest, its files, and which members were compared with RECORD. So the
//! environment that the wheels are fetched for finds them there. Which files it takes is not known
//! yet: all but bytecode and what every environment writes anew are unpacked. Nothing here is an
//! error: whatever is wrong with a wheel is said when it is loaded for a plan.

use camino::Utf8Path;
use rustix::fs::CWD;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::Store;
use crate::effects::caches::store::area::{Area, LinkMode};
use crate::effects::source::supply::{FeedError, Supply};
use crate::effects::wheels::load::{self, Wheel};
use crate::effects::work::pipeline::Crew;
use crate::engine::known_wheels::KnownWheels;
use crate::model::digest::{Digest, DigestFunction, Hasher};
use crate::model::plan::{Content, WheelIndex};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::known::KnownMembers;
use crate::model::wheel::manifest::Member;

/// Where wheels are unpacked.
pub(super) struct Unpacking<'a> {
    store: &'a Store,
    known: &'a KnownWheels<'a>,
    mtime: i64,
}

/// Why a wheel was not unpacked.
struct Stopped;

impl From<BlobError> for Stopped {
    fn from(_: BlobError) -> Self {
        Self
    }
}

impl From<FeedError<BlobError>> for Stopped {
    fn from(_: FeedError<BlobError>) -> Self {
        Self
    }
}

/// Whether environments take a member as it is.
fn is_taken(member: &Member) -> bool {
    let path = member.path.as_str();
    let is_script = path.contains(".data/scripts/");
    !is_script && !path.ends_with(".pyc") && !path.ends_with(".dist-info/RECORD")
}

impl<'a> Unpacking<'a> {
    /// Into a store that takes it, files of that time.
    pub fn new(store: &'a Store, known: &'a KnownWheels<'a>, mtime: i64) -> Option<Self> {
        store.is_writable().then_some(Self { store, known, mtime })
    }

    /// Unpacks a wheel, by its position among those that are known.
    pub fn unpack(&self, index: usize, name: &WheelFilename, path: &Utf8Path) {
        let Ok(wheel) = load::load(path, name, self.known.options()) else { return };
        let wheels = [wheel];
        if let Ok(members) = self.files(&wheels) {
            self.known.keep(index, &wheels[0].manifest, &members);
        }
    }

    /// Writes the members' files.
    fn files(&self, wheels: &[Wheel; 1]) -> Result<KnownMembers, Stopped> {
        // They are linked and copied out of the store only.
        let area = self.store.area(self.mtime, LinkMode::Copy, CWD);
        let supply = Supply { wheels, sources: &[], interpreter: None, overlays: &[] };
        let members = &wheels[0].manifest.members;
        let mut known = KnownMembers::none(members.len());
        for (index, member) in members.iter().enumerate().filter(|(_, member)| is_taken(member)) {
            let content = Content::Member { wheel: WheelIndex(0), member: index };
            let digest = self.file(&area, &supply, &content, member)?;
            known.prove(index);
            if self.store.function() != DigestFunction::Sha256 {
                known.add(member.sha256, digest.hash);
            }
        }
        Ok(known)
    }

    /// Writes the file of a member; its digest.
    fn file(
        &self,
        area: &Area<'_>,
        supply: &Supply<'_>,
        content: &Content,
        member: &Member,
    ) -> Result<Digest, Stopped> {
        let claimed = Digest { hash: member.sha256, size: member.size() };
        let function = self.store.function();
        if function == DigestFunction::Sha256 && area.has(claimed, member.kind) {
            // That this wheel has the same is still to be seen.
            supply.feed(content, claimed, Crew::Alone, |_| Ok::<_, BlobError>(()))?;
            return Ok(claimed);
        }
        area.write(member.kind, |take| {
            let mut hasher = (function != DigestFunction::Sha256).then(|| Hasher::new(function));
            supply.feed(content, claimed, Crew::Alone, |bytes| {
                if let Some(hasher) = &mut hasher {
                    hasher.update(bytes);
                }
                take(bytes)
            })?;
            Ok::<_, Stopped>(hasher.map_or(claimed, Hasher::finish))
        })
    }
}
