//! A file that is being fetched: gone on with by whoever comes after one that was stopped.
//!
//! Effects layer. The file is locked by the process that fetches it, so several that want the same
//! one fetch it once. What it holds is worth nothing before it was hashed from its first byte to
//! its last: only then it is moved to its place.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FlockOperation;

use crate::effects::host::fs::{FsError, failed, open_to_continue};
use crate::model::digest::{DigestFunction, Hash, Hasher};
use crate::model::wheel::member_hash::{MemberHasher, MemberHashes, OtherAlgorithm};

/// How often it is looked whether another process is ready.
const INTERVAL: Duration = Duration::from_millis(20);
const CHUNK: usize = 256 << 10;

/// Where a file is while it is being fetched, and then.
#[derive(Debug, Clone)]
pub struct Places {
    /// Unfinished.
    pub partial: Utf8PathBuf,
    /// Finished.
    pub finished: Utf8PathBuf,
    /// Its permissions.
    pub mode: u32,
}

impl Places {
    /// Moves a file that is finished to where it is looked for, once it is known by another name.
    ///
    /// # Errors
    /// The file system refuses.
    #[expect(clippy::disallowed_methods, reason = "what was there before is the same bytes")]
    pub fn settle(&self, target: &Utf8Path) -> Result<(), FsError> {
        std::fs::rename(&self.finished, target).map_err(failed("write", target))
    }
}

/// A file that is locked and unfinished.
pub(super) struct Partial<'a> {
    places: &'a Places,
    file: File,
    hasher: Hasher,
    is_locked: bool,
    /// Whether some of its bytes came earlier.
    pub(super) is_continued: bool,
    /// What tells the file at the address from a later one.
    pub(super) validator: Option<String>,
}

impl<'a> Partial<'a> {
    /// Opens and locks the file; nothing where it is finished already. While another process has
    /// it, `wait` is called with its size, again and again.
    pub(super) fn open(places: &'a Places, wait: impl Fn(u64)) -> Result<Option<Self>, FsError> {
        let error = |what| failed(what, &places.partial);
        loop {
            let mut file =
                open_to_continue(&places.partial, places.mode).map_err(error("write"))?;
            let is_locked = lock(&file, wait_with(&file, &wait));
            // Whoever had it before may have finished it, or given it up.
            let is_there = match (file.metadata(), places.partial.symlink_metadata()) {
                (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
                _ => false,
            };
            if places.finished.is_file() {
                if is_there {
                    let _ = std::fs::remove_file(&places.partial);
                }
                return Ok(None);
            }
            if !is_there {
                continue;
            }
            let hasher = hash(&mut file).map_err(error("read"))?;
            let is_continued = hasher.size() > 0;
            return Ok(Some(Self {
                places,
                file,
                hasher,
                is_locked,
                is_continued,
                validator: None,
            }));
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.hasher.size()
    }

    /// The hash of what is there.
    pub(super) fn hash(&mut self) -> Result<Hash, FsError> {
        if !self.is_locked {
            // Another process may have written to it as well.
            let begin = self.file.seek(SeekFrom::Start(0));
            let hasher = begin.and_then(|_| hash(&mut self.file));
            self.hasher = hasher.map_err(failed("read", &self.places.partial))?;
        }
        Ok(self.hasher.clone().finish().hash)
    }

    /// The hash of what is there by another function, for which all of it is read again.
    pub(super) fn hash_with(&mut self, other: OtherAlgorithm) -> Result<MemberHashes, FsError> {
        let mut hasher = MemberHasher::new(other);
        let begin = self.file.seek(SeekFrom::Start(0));
        let read = begin.and_then(|_| read_all(&mut self.file, |bytes| hasher.update(bytes)));
        read.map_err(failed("read", &self.places.partial))?;
        Ok(hasher.finish())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.file.write_all(bytes).map_err(failed("write", &self.places.partial))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Begins with nothing.
    pub(super) fn restart(&mut self) -> Result<(), FsError> {
        let begin = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        begin.map_err(failed("write", &self.places.partial))?;
        self.hasher = Hasher::new(DigestFunction::Sha256);
        self.is_continued = false;
        self.validator = None;
        Ok(())
    }

    /// Moves what is there, and was compared, to its place.
    #[expect(clippy::disallowed_methods, reason = "what was there before is the same bytes")]
    pub(super) fn finish(self) -> Result<(), FsError> {
        let Places { partial, finished, mode: _ } = self.places;
        std::fs::rename(partial, finished).map_err(failed("write", finished))
    }

    /// Leaves nothing behind.
    pub(super) fn discard(self) {
        let _ = std::fs::remove_file(&self.places.partial);
    }
}

fn wait_with<'a>(file: &'a File, wait: &'a impl Fn(u64)) -> impl Fn() + 'a {
    move || {
        wait(file.metadata().map_or(0, |found| found.len()));
        std::thread::sleep(INTERVAL);
    }
}

/// Locks a file as soon as nobody else has it; says whether it is locked: some network file systems
/// have no locks.
fn lock(file: &File, wait: impl Fn()) -> bool {
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => wait(),
            Err(rustix::io::Errno::INTR) => {}
            result => return result.is_ok(),
        }
    }
}

/// Hashes all that a file holds, and stays at its end.
fn hash(file: &mut File) -> io::Result<Hasher> {
    let mut hasher = Hasher::new(DigestFunction::Sha256);
    read_all(file, |bytes| hasher.update(bytes))?;
    Ok(hasher)
}

fn read_all(file: &mut File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(&buffer[..count]),
        }
    }
}
