//! Requirements with hashes, and what indexes say of their files.

use crate::engine::compose::lock::LockFile;
use crate::engine::fetch::Fetching;
use crate::error::{Error, Wanting, WantingWheels};
use crate::model::lock::pin::{self, Pinned};
use crate::model::lock::{Lock, LockError};

/// What indexes say of requirements.
///
/// # Errors
/// The file is no such requirements, or an index cannot be asked.
fn pinned(file: &LockFile, fetching: &Fetching) -> Result<Pinned, Error> {
    let sought = pin::sought(&file.lock).map_err(|error| file.error(error))?;
    let offers = fetching.offers(&sought)?;
    if !offers.failed.is_empty() {
        let wanting = offers.failed.into_iter().map(|(name, reason)| Wanting {
            wheel: name.normalized().to_owned(),
            reasons: vec![reason],
            is_other: false,
        });
        return Err(WantingWheels(wanting.collect()).into());
    }
    Ok(pin::pin(&file.lock, &offers.found))
}

/// The text of a `pylock.toml` for requirements.
///
/// # Errors
/// The file is no such requirements, an index cannot be asked, does not have a file, or has one of
/// another version.
pub fn pin(file: &LockFile, fetching: &Fetching) -> Result<String, Error> {
    let pinned = pinned(file, fetching)?;
    let text = pinned.text.clone();
    match pinned.problems() {
        problems if problems.is_empty() => Ok(text),
        problems => Err(file.error(LockError::Text(problems))),
    }
}

/// Requirements with the addresses that indexes have, as far as they have any, and what they lack.
///
/// # Errors
/// The file is no such requirements, an index cannot be asked, or has a file of another version.
pub(super) fn addressed(
    file: &LockFile,
    fetching: &Fetching,
) -> Result<(LockFile, LockError), Error> {
    let Pinned { text, missing, other } = pinned(file, fetching)?;
    if !other.is_empty() {
        return Err(file.error(LockError::Text(other)));
    }
    let lock = Lock::read(&text).map_err(|error| file.error(error))?;
    Ok((LockFile { lock, ..file.clone() }, LockError::Text(missing)))
}
