//! The SHA-256 of a whole file, found while something else is hashed.
//!
//! Effects layer. A processor hashes two messages at a time in little more time than one of them
//! ([`Hasher::update_both`]). So a wheel whose digest is pinned is hashed beside the large members
//! that are inflated from it, and what is left of it afterwards alone.

use std::sync::{Mutex, PoisonError};

use camino::Utf8Path;

use crate::effects::host::input::{InputError, InputFile};
use crate::model::digest::{DigestFunction, Hash, Hasher};
use crate::model::wheel::member_hash::{MemberHasher, MemberHashes, OtherAlgorithm};

/// The SHA-256 of a whole file, as it is now.
///
/// # Errors
/// The file cannot be read, or becomes shorter.
pub fn of(path: &Utf8Path) -> Result<Hash, InputError> {
    FileHash::new(&InputFile::open(path)?).finish()
}

/// The SHA-256 of a whole file, as it is now, and its hash by another function.
///
/// # Errors
/// The file cannot be read, or becomes shorter.
pub fn with_other(path: &Utf8Path, other: OtherAlgorithm) -> Result<MemberHashes, InputError> {
    let file = InputFile::open(path)?;
    let mut hasher = MemberHasher::new(other);
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < file.size() {
        let count = usize::try_from(file.size() - at).map_or(CHUNK, |left| left.min(CHUNK));
        file.read_at(&mut buffer[..count], at)?;
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
    Ok(hasher.finish())
}

/// How much of the file is read at once beside something else.
const PART: usize = 128 << 10;
/// How much of it is read at once alone.
const CHUNK: usize = 256 << 10;

/// A file that is being hashed, by one thread at a time.
#[derive(Debug)]
pub struct FileHash<'a> {
    file: &'a InputFile,
    /// Has hashed the file's first bytes.
    hasher: Mutex<Hasher>,
}

impl<'a> FileHash<'a> {
    /// Begins with nothing.
    pub fn new(file: &'a InputFile) -> Self {
        Self { file, hasher: Mutex::new(Hasher::new(DigestFunction::Sha256)) }
    }

    /// The bytes of the file.
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// Adds bytes to another digest, and beside them as many of the file's to its own. Where
    /// another thread is at that, or none can be had, the bytes are added alone. `buffer` is used
    /// again.
    pub fn advance_beside(&self, hasher: &mut Hasher, bytes: &[u8], buffer: &mut Vec<u8>) {
        let Ok(mut own) = self.hasher.try_lock() else {
            hasher.update(bytes);
            return;
        };
        for part in bytes.chunks(PART) {
            // An error comes back when what is left is hashed alone.
            let beside = self.read(own.size(), buffer, part.len()).unwrap_or_default();
            Hasher::update_both([hasher, &mut own], [part, beside]);
        }
    }

    /// How many bytes of the file were hashed.
    #[cfg(test)]
    pub fn hashed(&self) -> u64 {
        self.hasher.lock().unwrap().size()
    }

    /// Hashes what is left of the file. Returns the hash of all of it.
    ///
    /// # Errors
    /// Reading fails, or the file has become shorter.
    pub fn finish(&self) -> Result<Hash, InputError> {
        let mut hasher = self.hasher.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = Vec::new();
        while hasher.size() < self.file.size() {
            let bytes = self.read(hasher.size(), &mut buffer, CHUNK)?;
            hasher.update(bytes);
        }
        Ok(hasher.clone().finish().hash)
    }

    /// Reads what follows the file's first `at` bytes, at most `limit` bytes of it.
    fn read<'buffer>(
        &self,
        at: u64,
        buffer: &'buffer mut Vec<u8>,
        limit: usize,
    ) -> Result<&'buffer [u8], InputError> {
        let length = usize::try_from(self.file.size() - at).unwrap_or(limit).min(limit);
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        self.file.read_at(&mut buffer[..length], at)?;
        Ok(&buffer[..length])
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn file(length: usize) -> (tempfile::TempDir, Utf8PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("input")).unwrap();
        let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        (folder, path, bytes)
    }

    #[test]
    fn a_file_is_hashed_beside_others_and_alone() {
        for length in [0, 1, 1000, CHUNK + 1, 3 * PART] {
            let (_folder, path, bytes) = file(length);
            let input = InputFile::open(&path).unwrap();
            let hash = FileHash::new(&input);
            assert_eq!(hash.finish().unwrap(), Hash::sha256(&bytes), "alone, {length} bytes");
            for beside in [0, 1, PART - 1, PART, PART + 100, 5 * PART] {
                let (hash, mut hasher, mut buffer) =
                    (FileHash::new(&input), Hasher::new(DigestFunction::Sha256), Vec::new());
                let others = vec![b'x'; beside];
                hash.advance_beside(&mut hasher, &others, &mut buffer);
                assert_eq!(hash.hashed(), length.min(beside) as u64);
                assert!(buffer.len() <= PART);
                hash.advance_beside(&mut hasher, b"end", &mut buffer);
                assert_eq!(
                    hasher.finish(),
                    DigestFunction::Sha256.digest(&[&others[..], b"end"].concat())
                );
                assert_eq!(
                    hash.finish().unwrap(),
                    Hash::sha256(&bytes),
                    "beside {beside}, {length} bytes"
                );
            }
        }
    }

    #[test]
    fn who_finds_another_at_it_hashes_alone() {
        let (_folder, path, bytes) = file(1000);
        let input = InputFile::open(&path).unwrap();
        let hash = FileHash::new(&input);
        let busy = hash.hasher.lock().unwrap();
        let mut hasher = Hasher::new(DigestFunction::Sha256);
        hash.advance_beside(&mut hasher, b"alone", &mut Vec::new());
        assert_eq!((hasher.finish(), busy.size()), (DigestFunction::Sha256.digest(b"alone"), 0));
        drop(busy);
        assert_eq!(hash.finish().unwrap(), Hash::sha256(&bytes));
    }

    #[test]
    fn a_file_that_has_become_shorter_is_noticed_at_the_end() {
        let (_folder, path, _) = file(1000);
        let input = InputFile::open(&path).unwrap();
        let hash = FileHash::new(&input);
        std::fs::write(&path, b"short").unwrap();
        let mut hasher = Hasher::new(DigestFunction::Sha256);
        hash.advance_beside(&mut hasher, b"whatever happens", &mut Vec::new());
        assert_eq!(hasher.finish(), DigestFunction::Sha256.digest(b"whatever happens"));
        assert!(matches!(hash.finish(), Err(InputError::Changed { .. })));
    }
}
