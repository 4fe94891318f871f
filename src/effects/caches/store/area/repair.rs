//! Whether a linkable file still is what was put into the store, by a cheap look and by a thorough
//! one that sets right what can be.
//!
//! Effects layer.

use std::fs::File;
use std::io::{self, Read};

use camino::Utf8Path;
use rustix::fs::{FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

use super::copy::finish;
use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::Store;
use crate::effects::host::fs::{Links, open_regular};
use crate::model::digest::{Digest, DigestFunction, Hasher};
use crate::model::file_kind::FileKind;

/// The permissions of a file that others share.
fn shared_mode(kind: FileKind) -> RawMode {
    own_mode(kind) & 0o555
}

/// The permissions of a file that is nobody else's.
pub(super) fn own_mode(kind: FileKind) -> RawMode {
    kind.mode().into()
}

/// In which state a linkable file was put into its area.
#[derive(Debug, Clone, Copy)]
pub(in crate::effects::caches::store) struct State {
    mode: RawMode,
    mtime: i64,
    /// Who may own it: whoever may write into the store anyway. `chown -R` of an environment
    /// reaches the store's files too.
    owners: Owners,
}

/// Who may own the files of a store.
#[derive(Debug, Clone, Copy)]
pub(in crate::effects::caches::store) enum Owners {
    /// Root, the user, and whose the store is.
    These([u32; 3]),
    /// Whoever is in the store's group, which only the system knows: a file of somebody else is not
    /// told apart.
    Group,
}

impl Owners {
    fn of(store: &Utf8Path) -> Self {
        let user = rustix::process::geteuid().as_raw();
        match rustix::fs::stat(store.as_str()) {
            Ok(found) if Mode::from_raw_mode(found.st_mode).contains(Mode::WGRP) => Self::Group,
            Ok(found) => Self::These([0, user, found.st_uid]),
            Err(_) => Self::These([0, user, user]),
        }
    }

    fn contains(self, user: u32) -> bool {
        match self {
            Self::These(users) => users.contains(&user),
            Self::Group => true,
        }
    }
}

/// Whether a file still is what was put into the area, as far as can be seen without reading it.
pub(in crate::effects::caches::store) fn is_sound(
    stat: &Stat,
    digest: Digest,
    state: State,
) -> bool {
    let State { mode, mtime, owners } = state;
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && owners.contains(stat.st_uid)
        && u64::try_from(stat.st_size) == Ok(digest.size)
        && stat.st_mode & 0o7777 == mode
        && has_time(stat, mtime)
}

#[allow(clippy::useless_conversion, reason = "the types of these fields differ between platforms")]
pub(in crate::effects::caches::store) fn has_time(stat: &Stat, mtime: i64) -> bool {
    i64::from(stat.st_mtime) == mtime && stat.st_mtime_nsec == 0
}

impl Store {
    /// The permissions of a linkable file.
    pub(in crate::effects::caches::store) fn file_mode(&self, kind: FileKind) -> RawMode {
        if self.scratch { own_mode(kind) } else { shared_mode(kind) }
    }

    /// In which state linkable files are.
    pub(in crate::effects::caches::store) fn state(&self, kind: FileKind, mtime: i64) -> State {
        let owners = *self.owners.get_or_init(|| Owners::of(&self.root));
        State { mode: self.file_mode(kind), mtime, owners }
    }
}

/// What became of a linkable file.
pub(in crate::effects::caches::store) enum Repair {
    /// It is what it should be.
    Sound { inode: u64 },
    /// It is, now that its mode and time are set again.
    Repaired { inode: u64 },
    /// There is none.
    Absent,
    /// It is not what it should be, for a reason.
    Damaged(String),
}

/// Compares a linkable file with what it should be, by its content, and sets mode and time right
/// where `write` allows it.
#[expect(
    clippy::disallowed_methods,
    reason = "it is opened without waiting, and looked at afterwards"
)]
pub(in crate::effects::caches::store) fn repair(
    path: &Utf8Path,
    function: DigestFunction,
    digest: Digest,
    state: State,
    write: bool,
) -> Repair {
    let no_file = || Repair::Damaged("it is no file".to_owned());
    match rustix::fs::lstat(path.as_str()) {
        Err(_) => return Repair::Absent,
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
            return no_file();
        }
        Ok(_) => {}
    }
    // From here on it is one file, whatever happens to the path.
    let file = match rustix::fs::open(
        path.as_str(),
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(handle) => File::from(handle),
        Err(Errno::NOENT) => return Repair::Absent,
        Err(error) => return Repair::Damaged(BlobError::io("read", path, error).to_string()),
    };
    let stat = match rustix::fs::fstat(&file) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => stat,
        Ok(_) => return no_file(),
        Err(error) => return Repair::Damaged(BlobError::io("look at", path, error).to_string()),
    };
    match hash(&file, path, function) {
        Ok(found) if found == digest => {}
        // The file is what its name says. Whoever asks for another size is wrong, and gets nothing.
        Ok(found) if found.hash == digest.hash => return Repair::Absent,
        Ok(found) => return Repair::Damaged(format!("its content is {found}")),
        Err(error) => return Repair::Damaged(error.to_string()),
    }
    let inode = stat.st_ino;
    if is_sound(&stat, digest, state) {
        return Repair::Sound { inode };
    }
    if !state.owners.contains(stat.st_uid) {
        // It is also a file of an environment that was given to somebody, who may write to it
        // whenever he likes.
        return Repair::Damaged(format!("it belongs to the user with the number {}", stat.st_uid));
    }
    if write && finish(&file, state.mode, state.mtime).is_ok() {
        Repair::Repaired { inode }
    } else {
        Repair::Damaged("its mode or time is another one".to_owned())
    }
}

/// The digest of a file's content.
pub(in crate::effects::caches::store) fn hash_file(
    path: &Utf8Path,
    function: DigestFunction,
) -> Result<Digest, BlobError> {
    hash(
        &open_regular(path, Links::Refuse).map_err(|error| BlobError::io("read", path, error))?,
        path,
        function,
    )
}

fn hash(mut file: &File, path: &Utf8Path, function: DigestFunction) -> Result<Digest, BlobError> {
    let failed = |error| BlobError::io("read", path, error);
    let mut hasher = Hasher::new(function);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
