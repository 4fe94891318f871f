//! Wheels that were fetched: in `cas/` once they are whole, in `partial/` before.
//!
//! Effects layer. Both are named by SHA-256, whatever the digest function of the rest.

use std::fs;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, flock};

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::hashed::FileState;
use crate::effects::caches::store::{Store, renew};
use crate::effects::host::file_hash;
use crate::effects::host::fs::{Links, open_regular};
use crate::model::digest::WheelDigest;
use crate::model::wheel::member_hash::OtherHash;

const PARTIAL: &str = "partial";
/// How long an unfinished download waits for somebody to go on with it.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where a wheel is while it is being fetched, and then.
#[derive(Debug, Clone)]
pub struct FetchedWheel {
    /// Unfinished.
    pub partial: Utf8PathBuf,
    /// Finished.
    pub finished: Utf8PathBuf,
    /// Its permissions.
    pub mode: u32,
}

impl Store {
    /// A wheel's file, where there is a sound one. Of one that is not, nothing is left.
    pub fn fetched_wheel(&self, digest: WheelDigest) -> Option<Utf8PathBuf> {
        let path = self.entry_path("cas", digest.0);
        let state = FileState::of(&path)?;
        if self.hashed(&path, &state) == Some(digest) {
            return Some(path);
        }
        if file_hash::of(&path).ok()? != digest.0 {
            if self.is_writable() && fs::remove_file(&path).is_ok() {
                let root = self.root();
                self.notes().add(format!("the store `{root}` had a damaged wheel, now removed"));
            }
            return None;
        }
        if self.is_writable() {
            renew(&path, None);
            if let Some(state) = FileState::of(&path) {
                self.attempt(|| self.set_hashed_of_own(&path, &state, digest));
            }
        }
        Some(path)
    }

    /// Remembers that a wheel which this process fetched was compared with its digest: nobody has to
    /// hash it again.
    pub fn keep_fetched(&self, digest: WheelDigest) {
        let path = self.entry_path("cas", digest.0);
        if let Some(state) = FileState::of(&path) {
            self.attempt(|| self.set_hashed_of_own(&path, &state, digest));
        }
    }

    /// Where a wheel is to be fetched to; the folders are there.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn wheel_to_fetch(&self, digest: WheelDigest) -> Result<FetchedWheel, BlobError> {
        let finished = self.entry_path("cas", digest.0);
        let partial = self.root().join(PARTIAL).join(digest.0.to_hex());
        for path in [&partial, &finished] {
            self.make_parent(path)
                .map_err(|error| BlobError::io("make a folder for", path, error))?;
        }
        self.mark();
        Ok(FetchedWheel { partial, finished, mode: self.entry_bits() })
    }

    /// Where a wheel is to be fetched to whose SHA-256 nobody knows before; the folder is there.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn wheel_to_identify(&self, hash: &OtherHash) -> Result<FetchedWheel, BlobError> {
        let partial = self.root().join(PARTIAL).join(hash.file_name());
        let finished = partial.with_extension("whole");
        self.make_parent(&partial)
            .map_err(|error| BlobError::io("make a folder for", &partial, error))?;
        self.mark();
        Ok(FetchedWheel { partial, finished, mode: self.entry_bits() })
    }

    /// Takes over a wheel that was fetched by another hash, now that its SHA-256 is known. Another
    /// process may have done so.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn keep_identified(
        &self,
        hash: &OtherHash,
        whole: &Utf8Path,
        digest: WheelDigest,
    ) -> Result<(), BlobError> {
        // Whoever finds it gone from there finds this.
        self.set_sha256_of(hash, digest)?;
        self.publish(whole, &self.entry_path("cas", digest.0))?;
        self.keep_fetched(digest);
        Ok(())
    }

    /// Removes unfinished downloads that nobody went on with.
    pub(super) fn remove_old_partials(&self, now: SystemTime) -> u64 {
        let Ok(entries) = self.root().join(PARTIAL).read_dir_utf8() else {
            return 0;
        };
        let mut removed = 0;
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(file) = open_regular(path, Links::Refuse) else {
                continue;
            };
            let changed = file.metadata().and_then(|found| found.modified());
            let is_old =
                changed.is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age > PATIENCE));
            if is_old && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                removed += u64::from(fs::remove_file(path).is_ok());
            }
        }
        removed
    }
}
