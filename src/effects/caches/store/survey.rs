//! Looking at every entry of the store: its folders one by one, by as many threads as there are.
//!
//! Effects layer. Entries lie in 256 folders of each kind, by the first two digits of their names.
//! Of an entry no more is kept than whoever asked wants to keep: a store may hold millions. Files of
//! other names or places are nobody's business here.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::Serialize;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::{Store, is_absent};
use crate::effects::work::parallel;
use crate::model::digest::Hash;
use crate::model::file_kind::FileKind;

/// What kind of entry a file of the store is; the order in which entries are removed: what refers
/// before what is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// `stamps/`
    Stamp,
    /// `states/`
    States,
    /// `hashed/`
    Hashed,
    /// `ac/`
    Result,
    /// `trees/`
    Tree,
    /// `wheels/`
    Wheel,
    /// `manifests/`
    Manifest,
    /// `bytecode/`
    Bytecode,
    /// `cas/`
    Blob,
    /// `files/`
    File,
}

impl EntryKind {
    /// Those with one folder each, and its name.
    const FOLDERS: [(Self, &'static str); 9] = [
        (Self::Stamp, "stamps"),
        (Self::States, "states"),
        (Self::Hashed, "hashed"),
        (Self::Result, "ac"),
        (Self::Tree, "trees"),
        (Self::Wheel, "wheels"),
        (Self::Manifest, "manifests"),
        (Self::Bytecode, "bytecode"),
        (Self::Blob, "cas"),
    ];
}

/// One of the folders that entries lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shard {
    /// Of which kind they are.
    pub(super) kind: EntryKind,
    /// Of linkable files: their area's time and their kind.
    pub(super) file: Option<(i64, FileKind)>,
    folder: Utf8PathBuf,
    /// The byte that names begin with.
    pub(super) first: u8,
}

/// One entry, as it looks now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The folder that it lies in.
    pub(super) folder: BorrowedFd<'a>,
    /// Its name.
    pub(super) hash: Hash,
    stat: &'a Stat,
}

/// The types of these fields differ between platforms.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
impl Seen<'_> {
    /// Its bytes.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// The blocks that it takes on disk.
    pub(super) fn blocks(&self) -> u64 {
        blocks(self.stat)
    }

    /// Whether it has other names than this, so that it would take as much without the store.
    pub(super) fn is_linked(&self) -> bool {
        is_linked(self.stat)
    }

    /// When it was written, or its use was noted, in seconds since 1970.
    pub(super) fn modified(&self) -> i64 {
        self.stat.st_mtime as i64
    }

    /// When anything about it changed, in seconds since 1970.
    pub(super) fn changed(&self) -> i64 {
        self.stat.st_ctime as i64
    }
}

/// The bytes of a block, as the system counts them whatever the file system's are.
pub(super) const BLOCK: u64 = 512;

/// The blocks that a file takes on disk.
#[allow(clippy::useless_conversion, reason = "the field's type differs between platforms")]
pub(super) fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0)
}

/// Whether a file has more than one name.
pub(super) fn is_linked(stat: &Stat) -> bool {
    stat.st_nlink > 1
}

impl Shard {
    /// Where an entry lies.
    pub(super) fn path(&self, hash: Hash) -> Utf8PathBuf {
        self.folder.join(hash.to_hex())
    }

    /// The folder, where it is there.
    ///
    /// # Errors
    /// It cannot be read.
    #[expect(clippy::disallowed_methods, reason = "it is opened as a directory")]
    pub(super) fn open(&self) -> Result<Option<OwnedFd>, BlobError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(self.folder.as_str(), flags, Mode::empty()) {
            Ok(handle) => Ok(Some(handle)),
            // Another collector may have removed it, and something else may be in its place.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(BlobError::io("list", &self.folder, error)),
        }
    }

    /// Looks at one entry, if it is there, in the open folder.
    pub(super) fn look(&self, folder: BorrowedFd<'_>, hash: Hash, visit: impl FnOnce(Seen<'_>)) {
        let found = rustix::fs::statat(folder, hash.to_hex(), AtFlags::SYMLINK_NOFOLLOW);
        if let Ok(stat) = found {
            visit(Seen { folder, hash, stat: &stat });
        }
    }

    /// Looks at every entry.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn each(&self, mut visit: impl FnMut(Seen<'_>)) -> Result<(), BlobError> {
        let Some(handle) = self.open()? else {
            return Ok(());
        };
        let failed = |error: Errno| BlobError::io("list", &self.folder, error);
        let digits = format!("{:02x}", self.first);
        for found in Dir::read_from(&handle).map_err(failed)? {
            let found = found.map_err(failed)?;
            let name = found.file_name();
            let Some(hash) = name
                .to_str()
                .ok()
                .filter(|name| name.starts_with(&digits))
                .and_then(|name| Hash::parse_hex(name).ok())
            else {
                continue;
            };
            // Another collector, or a repair, may have removed it since.
            if let Ok(stat) = rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                visit(Seen { folder: handle.as_fd(), hash, stat: &stat });
            }
        }
        Ok(())
    }
}

impl Store {
    /// The folders with entries of some kinds, in the order of the kinds.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(super) fn shards(
        &self,
        is_wanted: impl Fn(EntryKind) -> bool,
    ) -> Result<Vec<Shard>, BlobError> {
        let mut shards = Vec::new();
        for (kind, name) in EntryKind::FOLDERS {
            if is_wanted(kind) {
                list(&self.entry_folder(name), kind, None, &mut shards)?;
            }
        }
        if is_wanted(EntryKind::File) {
            for mtime in self.areas() {
                for kind in FileKind::ALL {
                    let folder = self.area_folder(mtime, kind);
                    list(&folder, EntryKind::File, Some((mtime, kind)), &mut shards)?;
                }
            }
        }
        Ok(shards)
    }

    /// Does something with each folder, on all processors; what came of it, in the order of the
    /// folders.
    ///
    /// # Errors
    /// That of the first folder for which there is one.
    pub(super) fn survey<T: Send>(
        &self,
        shards: &[Shard],
        look: impl Fn(&Shard) -> Result<T, BlobError> + Sync,
    ) -> Result<Vec<T>, BlobError> {
        parallel::map(parallel::available(), shards.len(), |index| look(&shards[index]))
    }
}

fn list(
    folder: &Utf8Path,
    kind: EntryKind,
    file: Option<(i64, FileKind)>,
    shards: &mut Vec<Shard>,
) -> Result<(), BlobError> {
    let listing = match folder.read_dir_utf8() {
        Ok(listing) => listing,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(BlobError::io("list", folder, error)),
    };
    let start = shards.len();
    for found in listing.flatten() {
        if let Ok(first) = u8::from_str_radix(found.file_name(), 16)
            && found.file_name() == format!("{first:02x}")
        {
            shards.push(Shard { kind, file, folder: found.into_path(), first });
        }
    }
    shards[start..].sort_unstable_by_key(|shard| shard.first);
    Ok(())
}
