//! Blobs by digest: the narrow traits that the local store and the remote caches share.
//!
//! Effects layer. Everything blocks; what runs asynchronously inside a remote cache does not show
//! here. Whoever receives bytes verifies them: a [`Checked`] value is the proof for bytes in
//! memory, and [`BlobStore::put`] checks while it writes.

use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs;
use crate::model::digest::{ActionDigest, Digest, DigestFunction, Hasher};
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// Why a blob could not be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not those that the digest names.
    #[error("{place} gave other bytes for the blob {expected}: {actual}")]
    Mismatch {
        /// Who gave the bytes.
        place: String,
        /// The digest asked for.
        expected: Digest,
        /// What was found instead.
        actual: String,
    },
    /// A file operation failed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A remote cache failed.
    #[error("{place}: {reason}")]
    Remote {
        /// The cache's address.
        place: String,
        /// What it answered.
        reason: String,
        /// Whether another attempt, now or later, may succeed.
        transient: bool,
    },
}

impl BlobError {
    /// Wraps an error of the file system.
    pub fn io(
        action: &'static str,
        path: impl AsRef<Utf8Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// The same of a file that was named relative to an open directory.
    #[must_use]
    pub fn below(self, directory: &Utf8Path) -> Self {
        match self {
            // Joined with an absolute path, nothing changes.
            Self::Io { action, path, source } => {
                Self::Io { action, path: directory.join(path), source }
            }
            other => other,
        }
    }
}

impl Explain for BlobError {
    fn explain(&self) -> Explanation {
        let source = match self {
            Self::Mismatch { .. } => {
                return ErrorKind::Verification.hint(
                    "the cache's entry is damaged or forged: remove it, or build without this cache",
                );
            }
            Self::Remote { .. } => return ErrorKind::Remote.no_hint(),
            Self::Io { source, .. } => source,
        };
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Io.hint(
                "make room on the file system, or choose another place; `venvtree store stat` says what the store takes",
            ),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                ErrorKind::Io.hint("choose another store with `--store DIR`, or `--no-store`")
            }
            _ => ErrorKind::Io.with(fs::hint(source)),
        }
    }
}

/// Bytes that were compared with their digest.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    digest: Digest,
    bytes: &'a [u8],
}

impl<'a> Checked<'a> {
    /// Digests bytes that are true by definition: those made here.
    pub fn made(function: DigestFunction, bytes: &'a [u8]) -> Self {
        Self { digest: function.digest(bytes), bytes }
    }

    /// Compares bytes received from `place` with the digest that they were asked for by.
    ///
    /// # Errors
    /// The size or the hash is another one.
    pub fn received(
        function: DigestFunction,
        digest: Digest,
        bytes: &'a [u8],
        place: &str,
    ) -> Result<Self, BlobError> {
        let mismatch =
            |actual| BlobError::Mismatch { place: place.to_owned(), expected: digest, actual };
        if bytes.len() as u64 != digest.size {
            return Err(mismatch(format!("{} bytes", bytes.len())));
        }
        let actual = function.digest(bytes);
        if actual != digest {
            return Err(mismatch(actual.to_string()));
        }
        Ok(Self { digest, bytes })
    }

    /// The digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Digests what is read through it and fails at the end where it is not what was promised; never
/// yields more bytes than that.
#[derive(Debug)]
pub struct Verifying<R> {
    inner: R,
    place: String,
    expected: Digest,
    hasher: Option<Hasher>,
    left: u64,
}

impl<R: Read> Verifying<R> {
    /// Expects the bytes that the digest names from `inner`, which `place` gave.
    pub fn new(
        inner: R,
        function: DigestFunction,
        expected: Digest,
        place: impl Into<String>,
    ) -> Self {
        Self {
            inner,
            place: place.into(),
            expected,
            hasher: Some(Hasher::new(function)),
            left: expected.size,
        }
    }

    fn mismatch(&self, actual: String) -> io::Error {
        let error =
            BlobError::Mismatch { place: self.place.clone(), expected: self.expected, actual };
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl<R: Read> Read for Verifying<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.hasher.is_none() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count as u64 > self.left {
            return Err(self.mismatch(format!("more than {} bytes", self.expected.size)));
        }
        self.left -= count as u64;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
            return Ok(count);
        }
        let actual = self.hasher.take().map_or(self.expected, Hasher::finish);
        if actual == self.expected { Ok(0) } else { Err(self.mismatch(actual.to_string())) }
    }
}

/// Turns an error of a read back into the mismatch that [`Verifying`] wrapped in it.
pub fn unwrap_read_error(error: io::Error, action: &'static str, path: &Utf8Path) -> BlobError {
    if error.get_ref().is_some_and(|inner| inner.is::<BlobError>()) {
        let inner = error.into_inner().expect("get_ref found one");
        return *inner.downcast::<BlobError>().expect("is() said so");
    }
    BlobError::io(action, path, error)
}

/// Something that has the bytes of blobs.
pub trait Blobs: Send + Sync {
    /// The bytes of a blob, nothing where it is not here. The bytes may be wrong: the receiver
    /// verifies.
    ///
    /// # Errors
    /// Reading failed in another way than that the blob is absent.
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError>;
}

/// Something that keeps blobs.
pub trait BlobStore: Blobs {
    /// The digest function of everything in it.
    fn function(&self) -> DigestFunction;

    /// Those of the digests whose blobs are not here, without repetitions. The empty blob is always
    /// here.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError>;

    /// Whether asking what is missing takes a request for each blob.
    fn asks_one_by_one(&self) -> bool {
        false
    }

    /// Keeps a blob; one that is here already may be left alone.
    ///
    /// # Errors
    /// The bytes are not those of the digest, or cannot be written. Nothing is kept then.
    fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError>;

    /// Keeps many blobs out of `source`; the default keeps one after the other. Blobs that `source`
    /// lacks are an error.
    ///
    /// # Errors
    /// As [`BlobStore::put`].
    fn put_all(&self, digests: &[Digest], source: &dyn Blobs) -> Result<(), BlobError> {
        for &digest in digests {
            let mut reader = source.open(digest)?.ok_or_else(|| absent(digest))?;
            self.put(digest, &mut reader)?;
        }
        Ok(())
    }

    /// Moves many blobs from here to `target`, verified; returns those that are not here or were
    /// wrong. The default moves one after the other.
    ///
    /// # Errors
    /// This store cannot be read, or `target` cannot be written.
    fn get_all(
        &self,
        digests: &[Digest],
        target: &dyn BlobStore,
    ) -> Result<Vec<Digest>, BlobError> {
        let mut lacking = Vec::new();
        for &digest in digests {
            let Some(mut reader) = self.open(digest)? else {
                lacking.push(digest);
                continue;
            };
            match target.put(digest, &mut reader) {
                Err(BlobError::Mismatch { .. }) => lacking.push(digest),
                result => result?,
            }
        }
        Ok(lacking)
    }
}

/// The error for a blob that was promised and is not there.
pub fn absent(digest: Digest) -> BlobError {
    let source = io::Error::new(io::ErrorKind::NotFound, "the blob is not there any more");
    BlobError::io("read the blob", Utf8PathBuf::from(digest.to_string()), source)
}

/// A whole blob in memory, verified. For messages: nothing of a size above `limit` is read.
///
/// # Errors
/// The blob cannot be read, is larger, or is wrong.
pub fn read_small(
    blobs: &dyn Blobs,
    function: DigestFunction,
    digest: Digest,
    limit: u64,
    place: &str,
) -> Result<Option<Vec<u8>>, BlobError> {
    if digest.size > limit {
        let actual = format!("a message of {} bytes, the limit is {limit}", digest.size);
        return Err(BlobError::Mismatch { place: place.to_owned(), expected: digest, actual });
    }
    if digest.size == 0 {
        return Checked::received(function, digest, b"", place).map(|_| Some(Vec::new()));
    }
    let Some(reader) = blobs.open(digest)? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(usize::try_from(digest.size).unwrap_or(0));
    let path = Utf8PathBuf::from(format!("{place}: {digest}"));
    reader
        .take(digest.size.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| unwrap_read_error(error, "read", &path))?;
    Checked::received(function, digest, &bytes, place)?;
    Ok(Some(bytes))
}

/// Something that remembers the results of actions: the bytes of REAPI's `ActionResult`, which the
/// receiver checks ([`crate::model::action::ActionResult::decode`]).
pub trait ActionCache: Send + Sync {
    /// The result kept under that key.
    ///
    /// # Errors
    /// The cache cannot be asked.
    fn action_result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError>;

    /// Keeps a result under that key, in the place of another one.
    ///
    /// # Errors
    /// The cache cannot be written.
    fn set_action_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_promised_bytes_pass() {
        let function = DigestFunction::Sha256;
        let digest = function.digest(b"hello");
        let read = |bytes: &[u8]| {
            let mut out = Vec::new();
            Verifying::new(bytes, function, digest, "test").read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(b"hello").unwrap(), b"hello");
        for wrong in [&b"hell"[..], b"hellO", b"hello!", b""] {
            let error = unwrap_read_error(read(wrong).unwrap_err(), "read", Utf8Path::new("x"));
            assert!(matches!(error, BlobError::Mismatch { .. }), "{wrong:?}: {error}");
            assert!(Checked::received(function, digest, wrong, "test").is_err());
        }
    }
}
