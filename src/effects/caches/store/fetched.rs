//! Wheels that were fetched: in `cas/` once they are whole, in `partial/` before.
//!
//! Effects layer. Both are named by SHA-256, whatever the digest function of the rest.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, flock};

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::hashed::FileState;
use crate::effects::caches::store::survey::BLOCK;
use crate::effects::caches::store::usage::Usage;
use crate::effects::caches::store::{Store, renew};
use crate::effects::host::file_hash;
use crate::effects::host::fs::{Links, open_regular};
use crate::model::digest::{DigestFunction, WheelDigest};
use crate::model::wheel::member_hash::OtherHash;

const PARTIAL: &str = "partial";
/// How long an unfinished download waits for somebody to go on with it.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long one that is whole may wait for its name.
const MOMENT: Duration = Duration::from_secs(3600);

/// Where a wheel is while it is being fetched, and then.
#[derive(Debug, Clone)]
pub struct FetchedWheel {
    /// Unfinished.
    pub partial: Utf8PathBuf,
    /// Finished.
    pub finished: Utf8PathBuf,
    /// Its permissions.
    pub mode: u32,
}

impl Store {
    /// A wheel's file, where there is a sound one. Of one that is not, nothing is left.
    pub fn fetched_wheel(&self, digest: WheelDigest) -> Option<Utf8PathBuf> {
        let path = self.entry_path("cas", digest.0);
        let state = FileState::of(&path)?;
        if self.hashed(&path, &state) == Some(digest) {
            return Some(path);
        }
        if file_hash::of(&path).ok()? != digest.0 {
            if self.is_writable() && fs::remove_file(&path).is_ok() {
                let root = self.root();
                self.notes().add(format!("the store `{root}` had a damaged wheel, now removed"));
            }
            return None;
        }
        if self.is_writable() {
            renew(&path, None);
            if let Some(state) = FileState::of(&path) {
                self.attempt(|| self.set_hashed_of_own(&path, &state, digest));
            }
        }
        Some(path)
    }

    /// Remembers that a wheel which this process fetched was compared with its digest: nobody has to
    /// hash it again.
    pub fn keep_fetched(&self, digest: WheelDigest) {
        let path = self.entry_path("cas", digest.0);
        if let Some(state) = FileState::of(&path) {
            self.attempt(|| self.set_hashed_of_own(&path, &state, digest));
        }
    }

    /// Where a wheel is to be fetched to; the folders are there.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn wheel_to_fetch(&self, digest: WheelDigest) -> Result<FetchedWheel, BlobError> {
        let finished = self.entry_path("cas", digest.0);
        let partial = self.root().join(PARTIAL).join(digest.0.to_hex());
        for path in [&partial, &finished] {
            self.make_parent(path)
                .map_err(|error| BlobError::io("make a folder for", path, error))?;
        }
        self.mark();
        Ok(FetchedWheel { partial, finished, mode: self.entry_bits() })
    }

    /// Where a wheel is to be fetched to whose SHA-256 nobody knows before; the folder is there.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn wheel_to_identify(&self, hash: &OtherHash) -> Result<FetchedWheel, BlobError> {
        let partial = self.root().join(PARTIAL).join(hash.file_name());
        let finished = partial.with_extension("whole");
        self.make_parent(&partial)
            .map_err(|error| BlobError::io("make a folder for", &partial, error))?;
        self.mark();
        Ok(FetchedWheel { partial, finished, mode: self.entry_bits() })
    }

    /// Takes over a wheel that was fetched by another hash, now that its SHA-256 is known. Another
    /// process may have done so.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn keep_identified(
        &self,
        hash: &OtherHash,
        whole: &Utf8Path,
        digest: WheelDigest,
    ) -> Result<(), BlobError> {
        // Whoever finds it gone from there finds this.
        self.set_sha256_of(hash, digest)?;
        self.publish(whole, &self.entry_path("cas", digest.0))?;
        self.keep_fetched(digest);
        Ok(())
    }

    /// What is unfinished, the oldest first. All parts of a store have it together; it is counted
    /// with that of SHA-256, by which it is named.
    pub(super) fn unfinished(&self) -> Vec<Unfinished> {
        let folder = self.root().join(PARTIAL);
        let listing = (self.function() == DigestFunction::Sha256).then(|| folder.read_dir_utf8());
        let entries = listing.and_then(Result::ok).into_iter().flatten().flatten();
        let mut found: Vec<Unfinished> = entries
            .filter_map(|entry| {
                let found = entry.path().symlink_metadata().ok().filter(fs::Metadata::is_file)?;
                let usage = Usage { entries: 1, bytes: found.len(), disk: found.blocks() * BLOCK };
                Some(Unfinished { path: entry.into_path(), changed: found.modified().ok()?, usage })
            })
            .collect();
        found.sort_by(|one, two| (one.changed, &one.path).cmp(&(two.changed, &two.path)));
        found
    }
}

/// A download that was not finished, or that is coming.
pub(super) struct Unfinished {
    path: Utf8PathBuf,
    changed: SystemTime,
    usage: Usage,
}

impl Unfinished {
    /// Whether nobody has written to it for so long.
    fn is_older(&self, now: SystemTime, than: Duration) -> bool {
        now.duration_since(self.changed).is_ok_and(|age| age > than)
    }

    /// Removes it, unless somebody is fetching it.
    fn remove(&self) -> bool {
        let Ok(file) = open_regular(&self.path, Links::Refuse) else { return false };
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && fs::remove_file(&self.path).is_ok()
    }
}

/// How much downloads that were not finished take.
pub(super) fn usage_of(unfinished: &[Unfinished]) -> Usage {
    let mut sum = Usage::default();
    unfinished.iter().for_each(|unfinished| sum += unfinished.usage);
    sum
}

/// Removes those with which nobody went on for so long, or for a week.
pub(super) fn remove_old(
    unfinished: &mut Vec<Unfinished>,
    now: SystemTime,
    patience: Option<Duration>,
) -> Usage {
    let patience = patience.map_or(PATIENCE, |patience| patience.min(PATIENCE));
    remove_where(unfinished, |found, _| found.is_older(now, patience))
}

/// Removes the oldest until so many bytes on disk are free, of those with which nobody went on for
/// so long.
pub(super) fn remove_oldest(
    unfinished: &mut Vec<Unfinished>,
    disk: u64,
    (now, patience): (SystemTime, Duration),
) -> Usage {
    remove_where(unfinished, |found, removed| {
        // One that has all of its bytes gets its name in a moment.
        let is_whole = found.path.extension() == Some("whole") && !found.is_older(now, MOMENT);
        removed.disk < disk && !is_whole && (patience.is_zero() || found.is_older(now, patience))
    })
}

fn remove_where(
    unfinished: &mut Vec<Unfinished>,
    goes: impl Fn(&Unfinished, Usage) -> bool,
) -> Usage {
    let mut removed = Usage::default();
    unfinished.retain(|found| {
        let is_gone = goes(found, removed) && found.remove();
        if is_gone {
            removed += found.usage;
        }
        !is_gone
    });
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::caches::store::gc::Limits;
    use crate::effects::caches::store::tests::store;

    #[test]
    fn downloads_that_were_broken_off_are_counted_and_go_the_oldest_first() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let now = SystemTime::now();
        let place = |text: &str| {
            let digest = WheelDigest(DigestFunction::Sha256.digest(text.as_bytes()).hash);
            store.wheel_to_fetch(digest).unwrap().partial
        };
        let begin = |text: &str, hours: u64| {
            let path = place(text);
            fs::write(&path, [b'x'; 5000]).unwrap();
            let time = now - Duration::from_secs(hours * 3600);
            filetime::set_file_mtime(&path, time.into()).unwrap();
        };
        let left = || ["a", "b", "c", "d"].map(|text| place(text).exists());
        let collect = |bytes, age| store.collect_garbage(Limits { bytes, age }, now).unwrap();
        for (text, hours) in [("a", 200), ("b", 30), ("c", 2), ("d", 50)] {
            begin(text, hours);
        }
        let found = store.report().unwrap();
        assert_eq!((found.unfinished.entries, found.unfinished.bytes), (4, 20_000));
        assert_eq!(found.total, found.unfinished);
        let each = found.unfinished.disk / 4;
        // A week is the longest that one waits.
        assert_eq!(collect(None, None).removed.entries, 1);
        assert_eq!(left(), [false, true, true, true]);
        // The oldest is being written.
        let file = fs::File::open(place("d")).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let report = collect(Some(2 * each), None);
        assert_eq!((report.removed.entries, report.left), (1, Some(2 * each)));
        assert_eq!(left(), [false, false, true, true]);
        let report = collect(Some(0), None);
        assert_eq!((report.removed.entries, report.left), (1, Some(each)));
        // Copies that starting processes have of it would keep its lock.
        flock(&file, FlockOperation::Unlock).unwrap();
        assert_eq!(collect(None, Some(Duration::from_secs(40 * 3600))).removed.entries, 1);
        assert_eq!(left(), [false; 4]);
        // What a build removes by itself was not used for a day.
        begin("a", 30);
        begin("b", 2);
        store.count(1);
        store.keep_within(0);
        assert_eq!(left(), [false, true, false, false]);
    }
}
