//! Requirements with hashes, and what indexes say of their files.

use camino::Utf8Path;

use crate::engine::compose::lock::LockFile;
use crate::engine::fetch::Fetching;
use crate::error::{Error, Wanting, WantingWheels};
use crate::model::lock::pin::{self, Pinned};
use crate::model::lock::{Lock, LockError};

/// What indexes say of requirements, as a lock in `directory`.
///
/// # Errors
/// The file is no such requirements, or an index cannot be asked.
fn pinned(file: &LockFile, fetching: &Fetching, directory: &Utf8Path) -> Result<Pinned, Error> {
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
    let place = |path: &str| {
        let path = file.directory.join(path);
        path.strip_prefix(directory).unwrap_or(&path).to_string()
    };
    Ok(pin::pin(&file.lock, &offers.found, place))
}

/// The text of a `pylock.toml` for requirements. Paths below `directory`, where it is to be, are
/// given from there.
///
/// # Errors
/// The file is no such requirements, an index cannot be asked, does not have a file, or has one of
/// another version.
pub fn pin(file: &LockFile, fetching: &Fetching, directory: &Utf8Path) -> Result<String, Error> {
    let pinned = pinned(file, fetching, directory)?;
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
    let Pinned { text, missing, other } = pinned(file, fetching, &file.directory)?;
    if !other.is_empty() {
        return Err(file.error(LockError::Text(other)));
    }
    let lock = Lock::read(&text).map_err(|error| file.error(error))?;
    Ok((LockFile { lock, ..file.clone() }, LockError::Text(missing)))
}
