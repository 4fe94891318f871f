//! Blobs whose bytes are counted as they pass, for whoever shows progress.
//!
//! Effects layer.

use std::io::{self, Read};

use crate::effects::caches::blob::{BlobError, BlobStore, Blobs};
use crate::effects::work::progress::Progress;
use crate::model::digest::{Digest, DigestFunction};

/// A store that counts what it is given.
pub(super) struct Receiving<'a> {
    pub(super) store: &'a dyn BlobStore,
    pub(super) progress: &'a Progress,
}

impl Blobs for Receiving<'_> {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        self.store.open(digest)
    }
}

impl BlobStore for Receiving<'_> {
    fn function(&self) -> DigestFunction {
        self.store.function()
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        self.store.missing(digests)
    }

    fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError> {
        self.store.put(digest, &mut Counting { bytes, progress: self.progress })?;
        self.progress.advance(1, 0);
        Ok(())
    }
}

/// Blobs that count what is read of them.
pub(super) struct Giving<'a> {
    pub(super) blobs: &'a dyn Blobs,
    pub(super) progress: &'a Progress,
}

impl Blobs for Giving<'_> {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        let found = self.blobs.open(digest)?;
        self.progress.advance(u64::from(found.is_some()), 0);
        Ok(found.map(|bytes| {
            Box::new(Counting { bytes, progress: self.progress }) as Box<dyn Read + Send + '_>
        }))
    }
}

struct Counting<'a, R> {
    bytes: R,
    progress: &'a Progress,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.progress.advance(0, length as u64);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::work::progress::{Amount, Phase};

    struct One;

    impl Blobs for One {
        fn open(&self, _: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
            Ok(Some(Box::new(&b"12345"[..])))
        }
    }

    #[test]
    fn what_passes_is_counted() {
        let progress = Progress::default();
        progress.begin(Phase::Uploading, Amount { items: 2, bytes: 10 });
        let mut text = String::new();
        let digest = DigestFunction::Sha256.digest(b"12345");
        Giving { blobs: &One, progress: &progress }
            .open(digest)
            .unwrap()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(
            (text.as_str(), progress.get().unwrap().done),
            ("12345", Amount { items: 1, bytes: 5 })
        );
    }
}
