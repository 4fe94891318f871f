//! Getting rid of what was used least recently.
//!
//! Effects layer. Messages, results and records carry their last use as modification time, as
//! everything in Bazel's disk cache does; what belongs to an environment goes with it
//! ([`environments`]). What has other names, in an environment, is never removed: that would free
//! nothing, and the next environment could not link it. One collector works at a time, Bazel's own
//! included; builds go on meanwhile, as whatever they miss is made again.
//!
//! [`environments`]: crate::effects::caches::store::environments

use std::cmp::Ordering as Order;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::environments::{ALONE, GOES, Inventory, Kept, bytes, seconds};
use crate::effects::caches::store::survey::{EntryKind, Seen, Shard};
use crate::effects::caches::store::usage::Usage;
use crate::effects::caches::store::{Store, TEMPORARY_PREFIX, fetched, record, stamp};
use crate::effects::host::fs::read_entry;
use crate::effects::host::interrupt;
use crate::effects::host::lock::Locked;
use crate::effects::host::staging;
use crate::model::digest::Hash;

/// What was used since is in use, and goes only if nothing else helps.
const JUST_USED: u32 = 3600;

/// What garbage collection may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The most bytes on disk, of all entries together that nothing else links.
    pub(crate) bytes: Option<u64>,
    /// The longest time since the last use.
    pub(crate) age: Option<Duration>,
}

/// What garbage collection did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CollectionReport {
    /// What there was, where everything had to be looked at.
    pub(crate) before: Option<Usage>,
    /// What was removed. Its bytes on disk are free now.
    pub(crate) removed: Usage,
    /// Those environments among it that were removed as a whole.
    pub(crate) environments: u64,
    /// What stays as environments link it, where everything had to be looked at.
    pub(crate) linked: Option<Usage>,
    /// What removing everything would free now, where everything had to be looked at.
    pub(crate) left: Option<u64>,
    /// Temporary folders of processes that are gone, removed.
    pub(crate) temporaries: u64,
    /// Entries that could not be removed, with the reason.
    pub(crate) failed: Vec<String>,
}

/// Which entries should go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Goal {
    /// So many bytes that only the store has may stay.
    pub(super) most: Option<u64>,
    /// What was not used since goes.
    pub(super) oldest: Option<u32>,
    /// What was used since is not touched.
    pub(super) kept: Option<u32>,
    /// What was used since goes last.
    pub(super) recent: u32,
    /// No more entries than these, but one environment.
    pub(super) entries: Option<u64>,
}

/// What removing did.
#[derive(Debug, Default)]
struct Removal {
    removed: Usage,
    failed: Vec<String>,
}

impl Store {
    /// Removes what was used least recently until the limits are kept, what stamps say of outputs
    /// that are gone, and what dead processes left. Without limits, nothing but stamps is looked
    /// at.
    ///
    /// # Errors
    /// Another collector is at work, or the store cannot be read or locked.
    pub fn collect_garbage(
        &self,
        limits: Limits,
        now: SystemTime,
    ) -> Result<CollectionReport, BlobError> {
        let mut report = CollectionReport::default();
        if !self.root().as_std_path().exists() {
            return Ok(report);
        }
        let _lock = self.lock()?;
        report.temporaries = staging::clean(&self.root().join("tmp"), TEMPORARY_PREFIX) as u64;
        report.temporaries += self.remove_old_turns();
        let mut unfinished = self.unfinished();
        report.removed += fetched::remove_old(&mut unfinished, now, limits.age);
        self.remove_outdated_stamps(&mut report)?;
        if limits == Limits::default() {
            return Ok(report);
        }
        let mut inventory = self.inventory()?;
        let stale = report.removed;
        let mut before = inventory.total;
        before += stale;
        before += fetched::usage_of(&unfinished);
        report.before = Some(before);
        report.linked = Some(inventory.linked);
        let own = inventory.own() + fetched::usage_of(&unfinished).disk;
        if let Some(most) = limits.bytes {
            // Nobody needs half a wheel: they go first.
            let (beyond, any) = (own.saturating_sub(most), (now, Duration::ZERO));
            report.removed += fetched::remove_oldest(&mut unfinished, beyond, any);
        }
        let unfinished = fetched::usage_of(&unfinished).disk;
        let most = limits.bytes.map(|bytes| bytes.saturating_sub(unfinished));
        let is_beyond = most.is_some_and(|most| inventory.own() > most);
        if limits.age.is_some() || is_beyond {
            self.find_environments(&mut inventory);
            let now = since_1970(now);
            let oldest = limits.age.map(|age| now.saturating_sub(whole_seconds(age)));
            let recent = now.saturating_sub(JUST_USED);
            let goal = Goal { most, oldest, recent, ..Goal::default() };
            let (gone, _) = self.remove_beyond(&mut inventory, goal, &mut report)?;
            report.environments = gone;
        }
        report.left = Some(own.saturating_sub(report.removed.disk - stale.disk));
        Ok(report)
    }

    /// Removes stamps of outputs that are gone or were changed, and what was known of their
    /// entries.
    fn remove_outdated_stamps(&self, report: &mut CollectionReport) -> Result<(), BlobError> {
        for kind in [EntryKind::Stamp, EntryKind::States] {
            let shards = self.shards(|found| found == kind)?;
            let removals = self.survey(&shards, |shard| {
                let mut removal = Removal::default();
                shard.each(|seen| {
                    let outdated = match kind {
                        EntryKind::Stamp => read_entry(&shard.path(seen.hash))
                            .is_ok_and(|bytes| stamp::is_current(bytes) != Some(true)),
                        // Without the stamp they are of no use.
                        _ => !self.entry_path(record::STAMP.name, seen.hash).exists(),
                    };
                    if outdated {
                        removal.remove(shard, &seen);
                    }
                })?;
                Ok(removal)
            })?;
            removals.into_iter().for_each(|removal| report.take(removal));
        }
        Ok(())
    }

    /// Removes what should go; how many environments went, and whether the goal is reached.
    pub(super) fn remove_beyond(
        &self,
        inventory: &mut Inventory,
        goal: Goal,
        report: &mut CollectionReport,
    ) -> Result<(u64, bool), BlobError> {
        let choice = Choice::of(inventory, goal);
        let goes = |kept: &Kept| match inventory.environment(kept) {
            Some(environment) => !kept.is_linked() && choice.environments[environment],
            None => kept.owner() == GOES,
        };
        // What says that something is there goes before it. One thread removes it all: on ext4 two
        // are not done sooner, as each waits for the other's part of the journal, and take half as
        // much processor time again.
        for files in [false, true] {
            for (shard, entries) in inventory.shards.iter().zip(&inventory.entries) {
                interrupt::check();
                if (shard.kind == EntryKind::File) == files {
                    let going = entries.iter().filter(|kept| goes(kept));
                    report.take(remove_all(shard, going.map(|kept| kept.hash))?);
                }
            }
        }
        let gone = choice.environments.iter().filter(|goes| **goes).count() as u64;
        Ok((gone, choice.is_enough))
    }

    /// The lock that Bazel's collector takes, too.
    #[expect(clippy::disallowed_methods, reason = "it is opened without waiting")]
    pub(super) fn lock(&self) -> Result<Locked, BlobError> {
        let path = self.root().join("gc/lock");
        let failed = |error: io::Error| BlobError::io("lock", &path, error);
        self.make_parent(&path).map_err(failed)?;
        let busy = |_| {
            failed(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another garbage collection is at work",
            ))
        };
        let file = match self.open_common(&path, OFlags::RDWR) {
            // That of another user of the store: to hold it needs no more than to read it.
            Err(Errno::ACCESS) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::open(path.as_str(), flags, Mode::empty())
                    .map_err(|error| failed(error.into()))?;
                rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
                return Ok(Locked(file));
            }
            result => result.map_err(|error| failed(error.into()))?,
        };
        // Java, and so Bazel, locks by fcntl, which does not keep threads of one process apart:
        // flock does.
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
        Ok(Locked(file))
    }
}

/// A time, in seconds since 1970.
pub(super) fn since_1970(time: SystemTime) -> u32 {
    time.duration_since(UNIX_EPOCH).map_or(0, whole_seconds)
}

fn whole_seconds(time: Duration) -> u32 {
    seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

impl CollectionReport {
    fn take(&mut self, removal: Removal) {
        self.removed += removal.removed;
        self.failed.extend(removal.failed);
    }
}

impl Removal {
    fn remove(&mut self, shard: &Shard, seen: &Seen<'_>) {
        let name = seen.hash.to_hex();
        match rustix::fs::unlinkat(seen.folder, name.as_str(), AtFlags::empty()) {
            Ok(()) if seen.is_linked() => self.removed.entries += 1,
            Ok(()) => self.removed.add(seen),
            Err(Errno::NOENT) => {}
            Err(error) => {
                let path = shard.path(seen.hash);
                self.failed.push(format!("{path}: {}", io::Error::from(error)));
            }
        }
    }
}

/// Removes entries of one folder, but those that an environment has come to link meanwhile.
fn remove_all(shard: &Shard, hashes: impl Iterator<Item = Hash>) -> Result<Removal, BlobError> {
    let mut removal = Removal::default();
    let mut folder = None;
    for hash in hashes {
        if folder.is_none() {
            folder = shard.open()?;
        }
        let Some(folder) = &folder else {
            break;
        };
        shard.look(folder.as_fd(), hash, |seen| {
            if !seen.is_linked() {
                removal.remove(shard, &seen);
            }
        });
    }
    Ok(removal)
}

/// What goes.
struct Choice {
    /// Of each environment, whether it does. Entries that belong to none say so themselves.
    environments: Vec<bool>,
    /// Whether as much goes as should.
    is_enough: bool,
}

/// In which turn something goes: what was not used for long first; then what lies somewhere as
/// links, as little is freed by it; what was used just now at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Old,
    Linked,
    Recent,
}

impl Choice {
    fn of(inventory: &Inventory, goal: Goal) -> Self {
        let turn = |used: u32, linked: bool| match (used >= goal.recent, linked) {
            (true, _) => Turn::Recent,
            (false, true) => Turn::Linked,
            (false, false) => Turn::Old,
        };
        let may_go = |used: u32| goal.kept.is_none_or(|kept| used < kept);
        let must_go = |used: u32| goal.oldest.is_some_and(|oldest| used < oldest);
        let mut environments: Vec<(Turn, u32, usize)> = inventory
            .environments
            .iter()
            .enumerate()
            .filter(|(_, found)| may_go(found.used))
            .map(|(index, found)| (turn(found.used, found.is_linked()), found.used, index))
            .collect();
        environments.sort_unstable();
        let mut singles: Vec<u64> = inventory
            .entries
            .iter()
            .flatten()
            .filter(|kept| kept.owner() == ALONE && !kept.is_linked() && may_go(kept.used))
            .map(key)
            .collect();
        singles.sort_unstable();
        let mut chosen = vec![false; inventory.environments.len()];
        let mut room = Room { own: inventory.own(), entries: 0 };
        // The age first, whatever the turn.
        environments.retain(|(_, used, index)| {
            let goes = must_go(*used);
            if goes {
                chosen[*index] = true;
                room.take(inventory.environments[*index].blocks, 1);
            }
            !goes
        });
        let mut next = singles.partition_point(|key| must_go(used_of(*key)));
        for key in &singles[..next] {
            room.take(blocks_of(*key), 1);
        }
        let mut waiting = environments.into_iter().peekable();
        while room.is_beyond(goal) {
            let environment = waiting.peek().map(|(turn, used, _)| (*turn, *used));
            let single = singles.get(next).map(|key| used_of(*key));
            let single = single.map(|used| (turn(used, false), used));
            let environment_first = match (environment, single) {
                (None, None) => break,
                (Some(environment), Some(single)) => environment.cmp(&single) != Order::Greater,
                (environment, _) => environment.is_some(),
            };
            if environment_first {
                let (_, _, index) = waiting.next().expect("it was peeked at");
                let found = &inventory.environments[index];
                if !room.has_time_for(found.entries, goal) {
                    break;
                }
                chosen[index] = true;
                room.take(found.blocks, found.entries);
            } else {
                if !room.has_time_for(1, goal) {
                    break;
                }
                room.take(blocks_of(singles[next]), 1);
                next += 1;
            }
        }
        mark(inventory, &singles, next);
        let is_left = waiting.peek().is_some() || next < singles.len();
        Self { environments: chosen, is_enough: !room.is_beyond(goal) || !is_left }
    }
}

/// Notes which entries that belong to no environment go: the first so many of those that may.
fn mark(inventory: &Inventory, singles: &[u64], count: usize) {
    let Some(last) = count.checked_sub(1).map(|last| singles[last]) else {
        return;
    };
    let mut of_last = singles[..count].iter().rev().take_while(|key| **key == last).count();
    for kept in inventory.entries.iter().flatten() {
        if kept.owner() != ALONE || kept.is_linked() {
            continue;
        }
        let goes = match key(kept).cmp(&last) {
            Order::Less => true,
            Order::Equal if of_last > 0 => {
                of_last -= 1;
                true
            }
            Order::Equal | Order::Greater => false,
        };
        if goes {
            kept.owner.store(GOES, Ordering::Relaxed);
        }
    }
}

/// When an entry was used, and its blocks, in one number.
fn key(kept: &Kept) -> u64 {
    u64::from(kept.used) << 32 | u64::from(kept.blocks())
}

fn used_of(key: u64) -> u32 {
    (key >> 32) as u32
}

fn blocks_of(key: u64) -> u64 {
    key & u64::from(u32::MAX)
}

/// How much is still there while it is chosen what goes.
struct Room {
    own: u64,
    entries: u64,
}

impl Room {
    fn take(&mut self, blocks: u64, entries: u64) {
        self.own = self.own.saturating_sub(bytes(blocks));
        self.entries += entries;
    }

    fn is_beyond(&self, goal: Goal) -> bool {
        goal.most.is_some_and(|most| self.own > most)
    }

    /// One environment goes as a whole, however large it is.
    fn has_time_for(&self, entries: u64, goal: Goal) -> bool {
        self.entries == 0 || goal.entries.is_none_or(|most| self.entries + entries <= most)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    use camino::{Utf8Path, Utf8PathBuf};

    use super::*;
    use crate::effects::caches::blob::{ActionCache, BlobStore};
    use crate::effects::caches::store::area::At;
    use crate::effects::caches::store::area::LinkMode;
    use crate::effects::caches::store::tests::store;
    use crate::model::digest::{ActionDigest, DigestFunction, DirectoryDigest};
    use crate::model::file_kind::FileKind;
    use crate::model::tree::Tree;

    const HOUR: i64 = 3600;

    fn age(path: &Utf8Path, now: i64, hours: i64) {
        filetime::set_file_mtime(path, filetime::FileTime::from_unix_time(now - hours * HOUR, 0))
            .unwrap();
    }

    fn tree(texts: &[&str]) -> Tree {
        Tree::of_texts(texts.iter().map(|text| (*text, *text)))
    }

    #[test]
    fn files_are_as_recent_as_the_most_recent_tree_that_has_them() {
        let (folder, store) = store(DigestFunction::Sha256);
        let handle = File::open(folder.path()).unwrap();
        let area = store.area(0, LinkMode::Auto, handle.as_fd());
        for text in ["old", "shared", "new"] {
            area.insert(
                DigestFunction::Sha256.digest(text.as_bytes()),
                FileKind::Plain,
                &mut text.as_bytes(),
            )
            .unwrap();
        }
        let (old, new) = (tree(&["old", "shared"]), tree(&["new", "shared"]));
        // In the future, so that the files' own times of change, now, do not count as older.
        let now = SystemTime::now() + Duration::from_secs(48 * 3600);
        let seconds = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        for (tree, hours) in [(&old, 40), (&new, 1)] {
            let message = store.remember_tree(tree).unwrap();
            age(&store.blob_path(message.hash), seconds, hours);
            age(&store.entry_path("trees", tree.digest().0.hash), seconds, hours);
        }
        let report = store
            .collect_garbage(Limits { bytes: None, age: Some(Duration::from_secs(24 * 3600)) }, now)
            .unwrap();
        assert_eq!(
            (report.removed.entries, report.failed.len()),
            (3, 0),
            "the old file, the old tree and its message"
        );
        let has =
            |text: &str| area.has(DigestFunction::Sha256.digest(text.as_bytes()), FileKind::Plain);
        assert_eq!((has("old"), has("shared"), has("new")), (false, true, true));
        assert_eq!(store.tree_message_of(DirectoryDigest(old.digest().0)), None);
    }

    /// The bytes that a small file takes on this file system.
    fn block(store: &Store) -> u64 {
        let digest = DigestFunction::Sha256.digest(b"0000");
        store.put(digest, &mut &b"0000"[..]).unwrap();
        let path = store.blob_path(digest.hash);
        let found = rustix::fs::stat(path.as_str()).unwrap();
        fs::remove_file(path).unwrap();
        crate::effects::caches::store::survey::blocks(&found) * 512
    }

    fn bytes(most: u64) -> Limits {
        Limits { bytes: Some(most), age: None }
    }

    #[test]
    fn a_size_limit_takes_the_oldest_first_and_no_more_than_needed() {
        let (_folder, store) = store(DigestFunction::Sha256);
        let now = SystemTime::now();
        let seconds = i64::from(since_1970(now));
        for (index, text) in ["1111", "2222", "3333"].iter().enumerate() {
            let digest = DigestFunction::Sha256.digest(text.as_bytes());
            store.put(digest, &mut text.as_bytes()).unwrap();
            age(&store.blob_path(digest.hash), seconds, 3 - i64::try_from(index).unwrap());
        }
        let block = block(&store);
        let report = store.collect_garbage(bytes(2 * block), now).unwrap();
        assert_eq!(
            (report.before, report.removed, report.left),
            (
                Some(Usage { entries: 3, bytes: 12, disk: 3 * block }),
                Usage { entries: 1, bytes: 4, disk: block },
                Some(2 * block)
            )
        );
        assert_eq!(store.missing(&[DigestFunction::Sha256.digest(b"1111")]).unwrap().len(), 1);
        assert_eq!(store.collect_garbage(bytes(2 * block), now).unwrap().removed.entries, 0);
    }

    /// Keeps files of those texts, and that a tree of them was used so many minutes ago.
    fn environment(store: &Store, place: &Utf8Path, texts: &[&str], minutes: i64) -> Tree {
        let handle = File::open(place).unwrap();
        let area = store.area(0, LinkMode::Auto, handle.as_fd());
        for text in texts {
            let digest = DigestFunction::Sha256.digest(text.as_bytes());
            area.insert(digest, FileKind::Plain, &mut text.as_bytes()).unwrap();
        }
        let tree = tree(texts);
        let message = store.remember_tree(&tree).unwrap();
        let time = i64::from(since_1970(SystemTime::now())) - minutes * 60;
        let record = store.entry_path("trees", tree.digest().0.hash);
        for path in [store.blob_path(message.hash), record] {
            let time = filetime::FileTime::from_unix_time(time, 0);
            filetime::set_file_mtime(path, time).unwrap();
        }
        tree
    }

    fn texts(prefix: &str) -> Vec<String> {
        (0..20).map(|index| format!("{prefix}{index}")).collect()
    }

    /// Which of some texts there are files of.
    fn kept(store: &Store, place: &Utf8Path, texts: &[&str]) -> usize {
        let handle = File::open(place).unwrap();
        let area = store.area(0, LinkMode::Auto, handle.as_fd());
        let has = |text: &&&str| {
            area.has(DigestFunction::Sha256.digest(text.as_bytes()), FileKind::Plain)
        };
        texts.iter().filter(has).count()
    }

    #[test]
    fn environments_go_as_a_whole_and_the_one_that_was_used_last_stays() {
        let (folder, store) = store(DigestFunction::Sha256);
        let place = Utf8Path::from_path(folder.path()).unwrap();
        let (old, new) = (texts("old"), texts("new"));
        let (old, new): (Vec<&str>, Vec<&str>) =
            (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        // Three files are in both. Neither was used within the hour, or both were.
        for minutes in [[200, 100], [20, 10]] {
            let first = environment(&store, place, &[&old[..], &new[..3]].concat(), minutes[0]);
            let second = environment(&store, place, &new, minutes[1]);
            let own = store.report().unwrap().total.disk;
            let report = store.collect_garbage(bytes(own - 1), SystemTime::now()).unwrap();
            assert_eq!((report.environments, report.removed.entries), (1, 22), "{report:?}");
            assert_eq!((kept(&store, place, &old), kept(&store, place, &new)), (0, 20));
            assert_eq!(store.tree_message_of(first.digest()), None);
            assert!(store.tree_message_of(second.digest()).is_some());
        }
    }

    #[test]
    fn what_environments_link_is_neither_removed_nor_counted() {
        let (folder, store) = store(DigestFunction::Sha256);
        let place = Utf8Path::from_path(folder.path()).unwrap();
        let (linked, alone) = (texts("linked"), texts("alone"));
        let linked: Vec<&str> = linked.iter().map(String::as_str).collect();
        let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
        let tree = environment(&store, place, &linked, 2000);
        environment(&store, place, &alone, 1000);
        let handle = File::open(place).unwrap();
        let area = store.area(0, LinkMode::Hardlink, handle.as_fd());
        for text in &linked {
            let digest = DigestFunction::Sha256.digest(text.as_bytes());
            let at = At { directory: handle.as_fd(), name: text };
            assert!(area.place(digest, FileKind::Plain, at).unwrap().is_some());
        }
        let total = store.report().unwrap().total.disk;
        let report = store.collect_garbage(bytes(total / 4), SystemTime::now()).unwrap();
        let found = (report.environments, report.removed.entries, report.linked.unwrap().entries);
        assert_eq!(found, (1, 22, 20), "the one that nothing links, though it was used later");
        assert!(store.tree_message_of(tree.digest()).is_some());
        let report = store.collect_garbage(bytes(0), SystemTime::now()).unwrap();
        assert_eq!(
            (report.removed.entries, report.left),
            (2, Some(0)),
            "what says that it is known"
        );
        assert_eq!(kept(&store, place, &linked), 20);
        // Once nothing links them, they are as recent as that.
        for text in &linked {
            fs::remove_file(place.join(text)).unwrap();
        }
        let day = Limits { bytes: None, age: Some(Duration::from_secs(24 * 3600)) };
        assert_eq!(store.collect_garbage(day, SystemTime::now()).unwrap().removed.entries, 0);
        let report = store.collect_garbage(bytes(0), SystemTime::now()).unwrap();
        assert_eq!(report.removed.entries, 20);
    }

    #[test]
    fn without_limits_only_stamps_are_looked_at() {
        let (folder, store) = store(DigestFunction::Sha256);
        let place = Utf8Path::from_path(folder.path()).unwrap();
        environment(&store, place, &["a", "b"], 2000);
        // What nobody may list is not listed.
        let cas = store.entry_folder("cas");
        fs::remove_dir_all(&cas).unwrap();
        std::os::unix::fs::symlink("cas", &cas).unwrap();
        assert!(store.collect_garbage(bytes(0), SystemTime::now()).is_err(), "a link to itself");
        let report = store.collect_garbage(Limits::default(), SystemTime::now()).unwrap();
        assert_eq!((report.before, report.removed.entries), (None, 0));
    }

    #[test]
    fn two_collectors_do_not_work_at_once() {
        let (_folder, store) = store(DigestFunction::Sha256);
        store.set_action_result(ActionDigest(DigestFunction::Sha256.digest(b"")), b"").unwrap();
        let lock = store.lock().unwrap();
        assert!(store.collect_garbage(Limits::default(), SystemTime::now()).is_err());
        drop(lock);
        assert!(store.collect_garbage(Limits::default(), SystemTime::now()).is_ok());
    }

    #[test]
    fn stamps_of_outputs_that_are_gone_go() {
        let (folder, store) = store(DigestFunction::Sha256);
        let output = Utf8PathBuf::from_path_buf(folder.path().join("out")).unwrap();
        fs::create_dir(&output).unwrap();
        let digest = DigestFunction::Sha256.digest(b"");
        store
            .set_stamp(
                &output,
                &stamp::Stamp {
                    action: ActionDigest(digest),
                    root: DirectoryDigest(digest),
                    files: 0,
                    bytes: 0,
                    text: None,
                    directories: Vec::new(),
                },
            )
            .unwrap();
        assert_eq!(
            store.collect_garbage(Limits::default(), SystemTime::now()).unwrap().removed.entries,
            0
        );
        fs::remove_dir(&output).unwrap();
        assert_eq!(
            store.collect_garbage(Limits::default(), SystemTime::now()).unwrap().removed.entries,
            1
        );
    }
}
