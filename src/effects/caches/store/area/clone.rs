//! Reflinks on APFS.
//!
//! Effects layer. There a reflink is a new file, with the mode of the old one; on Linux a file that
//! is there already is filled.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, CloneFlags, Mode, RawMode};
use rustix::io::Errno;

use super::copy::finish;
use super::link_mode::Method;
use super::{Area, At, READ};
use crate::effects::caches::blob::BlobError;

impl Area<'_> {
    /// Makes the file by a reflink, and says whether it did.
    pub(super) fn clone_file(
        &self,
        source: &File,
        at: At<'_>,
        mode: RawMode,
    ) -> Result<bool, BlobError> {
        if self.ladder.method() >= Method::Copy {
            return Ok(false);
        }
        let failed = |error: io::Error| BlobError::io("write", at.name, error);
        match rustix::fs::fclonefileat(source, at.directory, at.name, CloneFlags::NOOWNERCOPY) {
            Ok(()) => {}
            Err(Errno::NOSPC | Errno::DQUOT) => return Err(failed(Errno::NOSPC.into())),
            // Something has that name: making a file will say so.
            Err(Errno::EXIST) => return Ok(false),
            Err(_) => {
                if self.ladder.method() == Method::Reflink {
                    self.fall_back_to(Method::Copy);
                }
                return Ok(false);
            }
        }
        let finished = rustix::fs::openat(at.directory, at.name, READ, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|target| finish(&File::from(target), mode, self.mtime));
        if let Err(error) = finished {
            let _ = rustix::fs::unlinkat(at.directory, at.name, AtFlags::empty());
            return Err(failed(error));
        }
        self.reflinks.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }
}
