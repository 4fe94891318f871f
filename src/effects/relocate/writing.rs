//! Writing what changes: everything beside its place first, then each into its place in one step.
//!
//! Effects layer. Where the disk is full or a directory cannot be written, nothing has changed. A
//! file keeps its mode, owner and extended attributes; names of one file stay names of one file,
//! and a name elsewhere (a cache that files were linked from) keeps the old bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::entries::{Entry, EntryKind, Environment, UNFINISHED};
use crate::effects::host::fs::{Directory, FsError, failed};
use crate::effects::host::interrupt::{self, Leftover, UnderWay};
use crate::effects::host::random;
use crate::model::path::TreePath;

/// What an entry becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A link that leads there.
    Link(String),
}

/// In which order changes come into their places: what says where the environment was goes last, so
/// that a run that was cut off can be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// RECORDs: rows that are ahead of their files are right after the next run, rows that lag
    /// behind would stay so.
    Record,
    /// Everything else.
    Rest,
    /// Activation scripts.
    Activator,
    /// `pyvenv.cfg`.
    Configuration,
}

/// Why one entry cannot be changed, although others can.
#[derive(Debug)]
pub(super) enum StageError {
    /// For a reason of its own.
    Left(String),
    /// Nothing can be.
    Fatal(FsError),
}

impl From<FsError> for StageError {
    fn from(error: FsError) -> Self {
        Self::Fatal(error)
    }
}

struct Staged {
    turn: Turn,
    path: TreePath,
    temporary: String,
    /// A signal clears it away, too.
    _under_way: UnderWay,
}

/// Changes that wait beside their places. Dropping it removes what has not come into its place.
pub(super) struct Writer<'a> {
    environment: &'a Environment,
    staged: Vec<Staged>,
    /// Files with several names: the first name's unfinished file, and its bytes.
    first: BTreeMap<(u64, u64), (TreePath, String, Vec<u8>)>,
}

impl<'a> Writer<'a> {
    /// A writer for an environment. What an earlier run left is removed.
    pub fn new(environment: &'a Environment) -> Self {
        for path in &environment.unfinished {
            // What stays does no harm.
            let _ = std::fs::remove_file(environment.root.path().as_std_path().join(path));
        }
        Self { environment, staged: Vec::new(), first: BTreeMap::new() }
    }

    fn directory(&self, path: &TreePath) -> Result<Directory, FsError> {
        self.environment.root.open_below(path.parent().as_ref().map_or("", TreePath::as_str))
    }

    /// Writes a change beside its place. `entry` is what is there now.
    ///
    /// # Errors
    /// It cannot be written, or would lose what it must keep.
    pub fn stage(
        &mut self,
        turn: Turn,
        path: &TreePath,
        entry: Option<&Entry>,
        change: &Change,
    ) -> Result<(), StageError> {
        let full = self.environment.root.path().join(path.as_str());
        let directory = self.directory(path)?;
        let temporary = format!("{UNFINISHED}{:016x}", random::number());
        // From here on it goes away again, whatever happens.
        let under_way = interrupt::hold().begin(Leftover::File(directory.path().join(&temporary)));
        self.staged.push(Staged {
            turn,
            path: path.clone(),
            temporary: temporary.clone(),
            _under_way: under_way,
        });
        let outcome = match change {
            Change::Link(target) => {
                let _held = interrupt::hold();
                rustix::fs::symlinkat(target.as_str(), directory.handle(), temporary.as_str())
                    .map_err(|error| StageError::Fatal(failed("create", &full)(error)))
            }
            Change::Bytes(bytes) => self.stage_file((&directory, &temporary), path, entry, bytes),
        };
        if outcome.is_err() {
            let _ = rustix::fs::unlinkat(directory.handle(), temporary.as_str(), AtFlags::empty());
            self.staged.pop();
        }
        outcome
    }

    /// Writes what comes to `path` into a file of a temporary name in its directory.
    fn stage_file(
        &mut self,
        (directory, temporary): (&Directory, &str),
        path: &TreePath,
        entry: Option<&Entry>,
        bytes: &[u8],
    ) -> Result<(), StageError> {
        let full = self.environment.root.path().join(path.as_str());
        let identity = entry.and_then(|entry| match entry.kind {
            EntryKind::File(identity) => Some(identity),
            EntryKind::Link(_) => None,
        });
        if let Some((first, first_temporary, first_bytes)) =
            identity.and_then(|identity| self.first.get(&identity))
            && first_bytes == bytes
        {
            let from = self.directory(first)?;
            let _held = interrupt::hold();
            let linked = rustix::fs::linkat(
                from.handle(),
                first_temporary.as_str(),
                directory.handle(),
                temporary,
                AtFlags::empty(),
            );
            if linked.is_ok() {
                return Ok(());
            }
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // While a signal clears away, nothing more is made.
        let held = interrupt::hold();
        let handle =
            rustix::fs::openat(directory.handle(), temporary, flags, Mode::RUSR | Mode::WUSR)
                .map_err(failed("write", &full))?;
        drop(held);
        let mut file = File::from(handle);
        file.write_all(bytes).map_err(failed("write", &full))?;
        match identity {
            Some(identity) => {
                let old = self.environment.open(path)?;
                keep(&old, &file).map_err(StageError::Left)?;
                if rustix::fs::fstat(&old).is_ok_and(|status| status.st_nlink > 1) {
                    self.first
                        .entry(identity)
                        .or_insert_with(|| (path.clone(), temporary.to_owned(), bytes.to_vec()));
                }
            }
            None => {
                let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
                rustix::fs::fchmod(&file, mode).map_err(failed("set the mode of", &full))?;
            }
        }
        Ok(())
    }

    /// Puts everything into its place. Returns the paths.
    ///
    /// # Errors
    /// A step fails. What was done until then stays, and the same can be done again.
    pub fn commit(mut self) -> Result<Vec<TreePath>, FsError> {
        self.staged.sort_by(|left, right| (right.turn, &right.path).cmp(&(left.turn, &left.path)));
        let mut done = Vec::new();
        while let Some(Staged { path, temporary, .. }) = self.staged.last() {
            let directory = self.directory(path)?;
            let full = self.environment.root.path().join(path.as_str());
            rustix::fs::renameat(
                directory.handle(),
                temporary.as_str(),
                directory.handle(),
                path.name(),
            )
            .map_err(failed("write", &full))?;
            // Renaming one name of a file to another of the same file does nothing: then the first
            // one is still there.
            let _ = rustix::fs::unlinkat(directory.handle(), temporary.as_str(), AtFlags::empty());
            done.extend(self.staged.pop().map(|staged| staged.path));
        }
        Ok(done)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        for Staged { path, temporary, .. } in &self.staged {
            if let Ok(directory) = self.directory(path) {
                let _ =
                    rustix::fs::unlinkat(directory.handle(), temporary.as_str(), AtFlags::empty());
            }
        }
    }
}

/// Gives a file the owner, the extended attributes and the mode of another.
fn keep(old: &File, new: &File) -> Result<(), String> {
    let look = |file: &File| {
        rustix::fs::fstat(file).map_err(|error| format!("it cannot be looked at: {error}"))
    };
    let (from, to) = (look(old)?, look(new)?);
    debug_assert_eq!(FileType::from_raw_mode(from.st_mode), FileType::RegularFile);
    if (from.st_uid, from.st_gid) != (to.st_uid, to.st_gid) {
        let (owner, group) = (Uid::from_raw(from.st_uid), Gid::from_raw(from.st_gid));
        rustix::fs::fchown(new, Some(owner), Some(group))
            .map_err(|error| format!("it would lose its owner: {error}"))?;
    }
    keep_attributes(old, new)?;
    // Last, because a new owner takes bits of the mode away.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    rustix::fs::fchmod(new, Mode::from_raw_mode(from.st_mode & 0o7777))
        .map_err(|error| format!("it would lose its mode: {error}"))
}

/// Attributes that the system sets by itself, and lets nobody else set.
#[cfg(any(target_os = "linux", target_os = "macos"))]
const OF_THE_SYSTEM: [&str; 3] = ["security.", "trusted.", "com.apple."];

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn keep_attributes(old: impl AsFd, new: impl AsFd) -> Result<(), String> {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    const LONGEST: usize = 64 << 10;
    let mut names = vec![0_u8; LONGEST];
    let length = match flistxattr(&old, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(format!("its extended attributes cannot be listed: {error}")),
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let text = String::from_utf8_lossy(name).into_owned();
        let mut value = vec![0_u8; LONGEST];
        let copied = fgetxattr(&old, name, &mut value[..])
            .and_then(|length| fsetxattr(&new, name, &value[..length], XattrFlags::empty()));
        match copied {
            Ok(()) => {}
            Err(_) if OF_THE_SYSTEM.iter().any(|prefix| text.starts_with(prefix)) => {}
            Err(error) => {
                return Err(format!("it would lose its extended attribute `{text}`: {error}"));
            }
        }
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn keep_attributes(_old: impl AsFd, _new: impl AsFd) -> Result<(), String> {
    Ok(())
}
