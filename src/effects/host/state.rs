//! How an entry of a directory looks without being read: what tells one state of it from another.
//!
//! Effects layer. As Git does for its index: inode, mode, size, time of modification and time of
//! change. An entry that was modified just now counts for nothing, as a further change might fall on
//! the same tick of a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Stat};

/// How long an entry must have been left alone before its state says anything: clocks of file
/// systems tick every two seconds at worst, and may be another machine's.
const SETTLED: Duration = Duration::from_secs(2);

/// Nobody may write to such a file.
const WRITABLE: u32 = 0o222;

/// An entry at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Kind and permissions.
    pub mode: u32,
    /// Which one it is of its file system.
    pub inode: u64,
    /// Its bytes; of a directory, whatever the file system says.
    pub size: u64,
    /// When it was modified, in nanoseconds since 1970.
    pub modified: i64,
    /// When it was changed in any way. Nothing of a read-only file that has several names: it
    /// changes whenever a store links it once more. Such a file is known by the rest, as in the
    /// store.
    pub changed: Option<i64>,
}

#[inline(always)]
fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

impl State {
    /// The state that was found.
    // The types of these fields differ between platforms.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    #[inline(always)]
    pub fn of(found: &Stat) -> Self {
        let mode = found.st_mode as u32;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        let is_shared = is_file && found.st_nlink as u64 > 1 && mode & WRITABLE == 0;
        let changed = nanoseconds(found.st_ctime as i64, found.st_ctime_nsec as i64);
        Self {
            mode,
            inode: found.st_ino as u64,
            size: found.st_size as u64,
            modified: nanoseconds(found.st_mtime as i64, found.st_mtime_nsec as i64),
            changed: (!is_shared).then_some(changed),
        }
    }

    /// Whether what is found now looks as it did. A file that was shared may be so no more.
    #[inline(always)]
    pub fn is_still(&self, now: &Self) -> bool {
        Self { changed: None, ..*self } == Self { changed: None, ..*now }
            && (self.changed.is_none() || self.changed == now.changed)
    }

    /// Whether it was modified so long before a moment that a further change would show.
    pub fn is_settled(&self, moment: SystemTime) -> bool {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = since.saturating_sub(SETTLED).as_nanos();
        self.modified < i64::try_from(settled).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    type Change = (&'static str, fn(&Path));

    fn state(path: &Path) -> State {
        State::of(&rustix::fs::lstat(path).unwrap())
    }

    #[test]
    fn what_was_touched_looks_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let old = filetime::FileTime::from_unix_time(1_000_000, 0);
        let make = || {
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, "one").unwrap();
            filetime::set_file_mtime(&path, old).unwrap();
            state(&path)
        };
        let changes: [Change; 4] = [
            ("written", |path| std::fs::write(path, "two").unwrap()),
            ("longer", |path| std::fs::write(path, "three").unwrap()),
            ("mode", |path| {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap()
            }),
            ("time set back", |path| {
                // A tick of the clock later: within one, no time of change could tell.
                std::thread::sleep(Duration::from_millis(20));
                std::fs::write(path, "two").unwrap();
                filetime::set_file_mtime(path, filetime::FileTime::from_unix_time(1_000_000, 0))
                    .unwrap();
            }),
        ];
        for (what, change) in changes {
            let before = make();
            assert!(before.is_still(&state(&path)), "{what}");
            change(&path);
            assert!(!before.is_still(&state(&path)), "{what}");
        }
    }

    #[test]
    fn another_link_to_a_read_only_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let link = |name: &str| {
            std::fs::hard_link(folder.path().join("file"), folder.path().join(name)).unwrap();
            state(&folder.path().join("file"))
        };
        std::fs::write(folder.path().join("file"), "one").unwrap();
        let permissions = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path().join("file"), permissions).unwrap();
        };
        permissions(0o644);
        let writable = link("one");
        std::thread::sleep(Duration::from_millis(20));
        assert!(!writable.is_still(&link("two")));
        permissions(0o444);
        let shared = link("three");
        std::thread::sleep(Duration::from_millis(20));
        assert!(shared.is_still(&link("four")));
        permissions(0o644);
        assert!(!shared.is_still(&state(&folder.path().join("file"))));
    }

    #[test]
    fn what_was_modified_just_now_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let now = SystemTime::now();
        assert!(!state(&path).is_settled(now));
        assert!(state(&path).is_settled(now + SETTLED + Duration::from_secs(1)));
        filetime::set_file_mtime(&path, filetime::FileTime::from_unix_time(5_000_000_000, 0))
            .unwrap();
        assert!(!state(&path).is_settled(now), "in the future");
    }
}
