//! New files on their way into the area: linked or copied out of an output, or received.
//!
//! Effects layer.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::copy::{CopyError, finish};
use super::link_mode::Method;
use super::{Area, At, EntryName, READ};
use crate::effects::caches::blob::BlobError;
use crate::model::digest::Digest;
use crate::model::file_kind::FileKind;

impl Area<'_> {
    /// Takes over a file that was written into the output: whole, verified, of
    /// [`Area::output_mode`] and the area's time. From then on the store has it, too, without a
    /// second copy where the file system can avoid one.
    ///
    /// # Errors
    /// The store cannot be written; the output is as it was.
    pub fn adopt(&self, digest: Digest, kind: FileKind, at: At<'_>) -> Result<(), BlobError> {
        if self.ladder.method() == Method::Hardlink {
            for attempt in 0..2 {
                let Some(folder) = self.folder(kind) else {
                    self.make_folder(digest, kind)?;
                    continue;
                };
                match rustix::fs::linkat(
                    at.directory,
                    at.name,
                    folder,
                    EntryName::of(digest.hash).as_c_str(),
                    AtFlags::empty(),
                ) {
                    Ok(()) => {
                        self.adopted.fetch_add(1, Ordering::Relaxed);
                        self.store.count(digest.size);
                        return Ok(());
                    }
                    Err(Errno::EXIST) => return Ok(()),
                    // Not there, or another thread is just making it, under a umask that takes the
                    // owner's rights.
                    Err(Errno::NOENT | Errno::ACCESS) if attempt == 0 => {
                        self.make_folder(digest, kind)?
                    }
                    Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS) => {
                        self.fall_back_to(Method::Reflink);
                        break;
                    }
                    Err(error) => {
                        return Err(BlobError::io("link", self.path(digest, kind), error));
                    }
                }
            }
        }
        if self.has(digest, kind) {
            return Ok(());
        }
        let source = rustix::fs::openat(at.directory, at.name, READ, Mode::empty())
            .map_err(|error| BlobError::io("open", at.name, error))?;
        let (temporary, mut file) = self.store.temporary()?;
        let filled =
            self.fill(&File::from(source), digest.size, &mut file).map_err(CopyError::into_inner);
        let result = filled.and_then(|_| finish(&file, self.store.file_mode(kind), self.mtime));
        if let Err(error) = result {
            drop(file);
            let _ = fs::remove_file(&temporary);
            return Err(BlobError::io("write", &temporary, error));
        }
        drop(file);
        self.store.publish(&temporary, &self.path(digest, kind))?;
        self.adopted.fetch_add(1, Ordering::Relaxed);
        self.store.count(digest.size);
        Ok(())
    }

    /// As [`Area::adopt`], as a write that is allowed to fail.
    pub fn try_adopt(&self, digest: Digest, kind: FileKind, at: At<'_>) {
        self.store.attempt(|| self.adopt(digest, kind, at));
    }

    /// Writes a new file into the area. `fill` hands its bytes on, verified, and says what their
    /// digest is.
    ///
    /// # Errors
    /// Those of `fill`, or the store cannot be written. Nothing is kept then.
    pub fn write<E: From<BlobError>>(
        &self,
        kind: FileKind,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), BlobError>) -> Result<Digest, E>,
    ) -> Result<Digest, E> {
        let (temporary, mut file) = self.store.temporary()?;
        let failed = |error| BlobError::io("write", &temporary, error);
        let filled = fill(&mut |bytes| file.write_all(bytes).map_err(failed));
        let digest = match filled {
            Ok(digest) => {
                let finished = finish(&file, self.store.file_mode(kind), self.mtime);
                finished.map(|()| digest).map_err(|error| failed(error).into())
            }
            Err(error) => Err(error),
        };
        drop(file);
        let Ok(digest) = digest else {
            let _ = fs::remove_file(&temporary);
            return digest;
        };
        self.store.publish(&temporary, &self.path(digest, kind))?;
        self.store.count(digest.size);
        Ok(digest)
    }

    /// Reads a file into the area, verified.
    ///
    /// # Errors
    /// The bytes are wrong or cannot be written. Nothing is kept then.
    pub fn insert(
        &self,
        digest: Digest,
        kind: FileKind,
        bytes: &mut dyn Read,
    ) -> Result<(), BlobError> {
        let (temporary, file) = self.store.receive(digest, bytes, "the source")?;
        if let Err(error) = finish(&file, self.store.file_mode(kind), self.mtime) {
            let _ = fs::remove_file(&temporary);
            return Err(BlobError::io("write", &temporary, error));
        }
        drop(file);
        self.store.count(digest.size);
        self.store.publish(&temporary, &self.path(digest, kind))
    }
}
