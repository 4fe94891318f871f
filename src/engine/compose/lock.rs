//! Locks as files, and the wheels that are given with them.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::file_hash;
use crate::effects::host::input::InputFile;
use crate::effects::wheels::load::WheelError;
use crate::engine::compose::wheels;
use crate::error::Error;
use crate::model::digest::Hash;
use crate::model::lock::{AtHand, Lock, LockError};
use crate::model::spec::foreign;
use crate::model::wheel::filename::WheelFilename;

/// A lock that was read.
#[derive(Debug, Clone)]
pub struct LockFile {
    /// What messages call it.
    pub origin: String,
    /// What it says.
    pub lock: Lock,
    /// The SHA-256 of the file.
    pub sha256: Hash,
}

impl LockFile {
    /// Reads what a file holds.
    ///
    /// # Errors
    /// It is no lock, or something in it is wrong.
    pub fn read(bytes: Vec<u8>, origin: &str) -> Result<Self, Error> {
        let sha256 = Hash::sha256(&bytes);
        let fail = |error| Error::Lock { origin: origin.to_owned(), error: Box::new(error) };
        let text = foreign::text(bytes).map_err(|found| {
            let hint = found.hint.filter(|hint| hint.contains("UTF-8"));
            fail(LockError::Foreign { what: found.what, hint })
        })?;
        let lock = Lock::read(&text).map_err(fail)?;
        Ok(Self { origin: origin.to_owned(), lock, sha256 })
    }

    /// An error of this lock.
    pub fn error(&self, error: LockError) -> Error {
        Error::Lock { origin: self.origin.clone(), error: Box::new(error) }
    }
}

/// The wheels that lie at paths, with their digests: those of packages that a lock has.
///
/// # Errors
/// A path leads nowhere, a directory holds no wheel, or a wheel cannot be read.
pub fn at_hand(paths: &[Utf8PathBuf], lock: &Lock) -> Result<Vec<AtHand>, Error> {
    let mut found = Vec::new();
    for candidate in wheels::candidates(paths)? {
        if lock.names(&candidate.file.name) {
            found.push(hashed(&candidate.path, candidate.file)?);
        }
    }
    Ok(found)
}

fn hashed(path: &Utf8Path, file: WheelFilename) -> Result<AtHand, Error> {
    let unreadable = |error| Error::Inputs(vec![WheelError::Input(error)]);
    let input = InputFile::open(path).map_err(unreadable)?;
    let sha256 = file_hash::of(path).map_err(unreadable)?;
    Ok(AtHand { file, path: path.to_string(), sha256, size: input.size() })
}
