//! Keeping the store within a size, a little at each build.
//!
//! Effects layer. What is written is counted in a small file, so that only every now and then,
//! after a tenth of the limit was written, the whole store is looked at. What counts is what the
//! store takes by itself: a file that environments have links to would be there without the store,
//! too. Such files are never removed, nor is here what was used within the last day; what was used
//! least recently goes first, whole environments at a time. One build removes so many entries, and
//! the next one goes on.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::gc::{CollectionReport, Goal, since_1970};
use crate::effects::caches::store::{Store, fetched};

/// The limit where nobody says another one: of each digest function's part of the store, in bytes.
pub const DEFAULT_LIMIT: u64 = 20_000_000_000;
/// What was used since is in use.
const IN_USE: u32 = 24 * 3600;
/// How many entries a build removes, apart from one environment, which goes as a whole: as many as
/// take about a second.
const STEP: u64 = 50_000;
/// The unit that is counted.
const UNIT: u64 = 1 << 20;

impl Store {
    /// Notes that so many bytes were added.
    pub(super) fn count(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Removes something of what the store has beyond a limit, if so much was written since the
    /// last time that this may be. What goes wrong does not matter: the next build tries again.
    pub fn keep_within(&self, limit: u64) {
        let written = self.written.swap(0, Ordering::Relaxed);
        if written == 0 || !self.is_writable() {
            return;
        }
        if let Some(counter) = self.add_to_counter(written)
            && counter.metadata().is_ok_and(|found| found.size().saturating_mul(UNIT) >= limit / 10)
            && self.collect_beyond(limit, SystemTime::now()).unwrap_or(false)
        {
            let _ = counter.set_len(0);
        }
    }

    /// The file whose length says how much was written since the store was looked at.
    fn add_to_counter(&self, written: u64) -> Option<fs::File> {
        let path = self.entry_folder("gc").join("written");
        let open = || self.open_common(&path, OFlags::WRONLY | OFlags::APPEND);
        let file = match open() {
            Err(rustix::io::Errno::NOENT) => {
                self.make_parent(&path).ok().and_then(|()| open().ok())?
            }
            result => result.ok()?,
        };
        let mut file = fs::File::from(file);
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return None;
        }
        // A build that added only a few small files counts, too.
        let units = usize::try_from(written.div_ceil(UNIT).min(1 << 20)).unwrap_or(1);
        file.write_all(&vec![0; units]).ok()?;
        Some(file)
    }

    /// Removes some of what is too much. Says whether the store is as small as it should be, or as
    /// it can be.
    fn collect_beyond(&self, limit: u64, now: SystemTime) -> Result<bool, BlobError> {
        let _lock = self.lock()?;
        let mut inventory = self.inventory()?;
        let mut unfinished = self.unfinished();
        let own = inventory.own() + fetched::usage_of(&unfinished).disk;
        if own <= limit {
            return Ok(true);
        }
        // With some room to spare, so that it does not begin again at once.
        let most = limit - limit / 10;
        let old = (now, Duration::from_secs(IN_USE.into()));
        fetched::remove_oldest(&mut unfinished, own - most, old);
        self.find_environments(&mut inventory);
        let in_use = since_1970(now).saturating_sub(IN_USE);
        let goal = Goal {
            most: Some(most.saturating_sub(fetched::usage_of(&unfinished).disk)),
            kept: Some(in_use),
            recent: in_use,
            entries: Some(STEP),
            ..Goal::default()
        };
        let (_, is_enough) =
            self.remove_beyond(&mut inventory, goal, &mut CollectionReport::default())?;
        Ok(is_enough)
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;
    use crate::effects::caches::blob::BlobStore as _;
    use crate::effects::caches::store::area::At;
    use crate::effects::caches::store::area::LinkMode;
    use crate::effects::caches::store::tests::store;
    use crate::model::digest::{Digest, DigestFunction};
    use crate::model::file_kind::FileKind;

    fn put(store: &Store, text: &str, days: i64) -> Digest {
        let digest = DigestFunction::Sha256.digest(text.as_bytes());
        store.put(digest, &mut text.as_bytes()).unwrap();
        age(&store.blob_path(digest.hash), days);
        store.count(digest.size);
        digest
    }

    fn age(path: &Utf8Path, days: i64) {
        let now = i64::from(since_1970(SystemTime::now()));
        filetime::set_file_mtime(
            path,
            filetime::FileTime::from_unix_time(now - days * 24 * 3600, 0),
        )
        .unwrap();
    }

    fn has(store: &Store, digest: Digest) -> bool {
        store.missing(&[digest]).unwrap().is_empty()
    }

    #[test]
    fn what_was_used_least_recently_goes_and_what_is_in_use_stays() {
        let (folder, store) = store(DigestFunction::Sha256);
        let handle = fs::File::open(folder.path()).unwrap();
        let area = store.area(0, LinkMode::Hardlink, std::os::fd::AsFd::as_fd(&handle));
        let text = vec![b'x'; 100_000];
        let linked = DigestFunction::Sha256.digest(&text);
        area.insert(linked, FileKind::Plain, &mut &text[..]).unwrap();
        let at = At { directory: std::os::fd::AsFd::as_fd(&handle), name: "linked" };
        assert!(area.place(linked, FileKind::Plain, at).unwrap().is_some());
        let blobs: Vec<Digest> = [("1111", 9), ("2222", 8), ("3333", 0)]
            .map(|(text, days)| put(&store, text, days))
            .into();
        let report = store.report().unwrap();
        let limit = report.total.disk - report.files.disk;
        store.keep_within(limit);
        assert!(blobs.iter().all(|digest| has(&store, *digest)), "three are allowed");
        put(&store, "4444", 0);
        store.keep_within(limit);
        let left: Vec<bool> = blobs.iter().map(|digest| has(&store, *digest)).collect();
        assert_eq!(left, [false, false, true], "down to nine tenths of the limit");
        store.count(1);
        store.keep_within(1);
        assert!(has(&store, blobs[2]) && has(&store, linked), "used today, and linked");
    }

    #[test]
    fn the_store_is_looked_at_only_after_a_tenth_of_the_limit_was_written() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let old = put(&store, "old", 9);
        let limit = 30 * UNIT;
        let large = vec![b'x'; usize::try_from(limit).unwrap()];
        let digest = DigestFunction::Sha256.digest(&large);
        store.put(digest, &mut &large[..]).unwrap();
        for _ in 0..2 {
            store.count(1);
            store.keep_within(limit);
            assert!(has(&store, old));
        }
        store.count(UNIT);
        store.keep_within(limit);
        assert!(!has(&store, old));
        let counter = store.entry_folder("gc").join("written");
        assert_eq!(fs::metadata(counter).unwrap().len(), 0);
        // Nothing was written: nothing is opened.
        fs::remove_dir_all(store.entry_folder("gc")).unwrap();
        store.keep_within(limit);
        assert!(!store.entry_folder("gc").exists());
    }
}
