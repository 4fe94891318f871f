//! Finding the wheels that an environment begins with: pip and the like.
//!
//! Effects layer. Places are looked through in order, and the best wheel of the first place that has one is taken. So a file that happens
//! to lie in a later place, such as the working directory, never takes precedence, however new it is. Nothing is downloaded.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::fs::{FsError, failed};
use crate::effects::wheels::{self, LoadOptions, WheelError};
use crate::model::interpreter::Interpreter;
use crate::model::name::DistName;
use crate::model::preference;
use crate::model::requirements::requires_python;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::tags::Tags;

/// What kind of place a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// Somebody named it.
    Given,
    /// The seeds that came with venvtree.
    Support,
    /// The interpreter's own wheels.
    Interpreter,
    /// The working directory.
    WorkingDirectory,
}

impl PlaceKind {
    /// What it is, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Support => "venvtree's own seeds",
            Self::Interpreter => "the interpreter's own wheels",
            Self::WorkingDirectory => "the working directory",
        }
    }
}

/// A directory that may hold wheels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub directory: Utf8PathBuf,
    /// What it is.
    pub kind: PlaceKind,
}

/// A wheel that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its name.
    pub file: WheelFilename,
    /// In which kind of place it was found.
    pub kind: PlaceKind,
}

/// Why a wheel could not be found.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// No place has one that fits.
    #[error("no wheel of `{name}` fits {interpreter}; searched were{}", describe(searched))]
    Missing {
        /// The distribution.
        name: DistName,
        /// The interpreter.
        interpreter: String,
        /// Every place, and what was found there.
        searched: Vec<(Place, String)>,
    },
    /// A wheel that would be taken cannot be used.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// A directory that somebody named cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

fn describe(searched: &[(Place, String)]) -> String {
    let line = |(place, found): &(Place, String)| format!("\n    {} ({}): {found}", place.directory, place.kind.describe());
    if searched.is_empty() { " no places".to_owned() } else { searched.iter().map(line).collect() }
}

impl SeedError {
    /// What to try.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => {
                Some("name a directory that holds one with `--extra-search-dir`, or leave it out with `--seed` or `--no-seed`")
            }
            Self::Wheel(_) | Self::Fs(_) => None,
        }
    }
}

/// Finds the best wheel of a distribution.
///
/// # Errors
/// No place has one, or the best one cannot be read.
pub fn find(name: &DistName, places: &[Place], interpreter: &Interpreter, options: &LoadOptions) -> Result<Seed, SeedError> {
    let tags = Tags::new(interpreter);
    let mut searched = Vec::new();
    for place in places {
        let found = list(place, name)?;
        let Some(found) = found else {
            searched.push((place.clone(), "no such directory".to_owned()));
            continue;
        };
        let total = found.len();
        for file in preference::rank(found, name, &tags) {
            let path = place.directory.join(file.as_str());
            let wheel = wheels::load(&path, &file, options)?;
            let requires = wheel.manifest.metadata.requires_python.as_deref();
            if requires.is_none_or(|requires| requires_python(requires, &interpreter.version).is_ok()) {
                return Ok(Seed { path, file, kind: place.kind });
            }
        }
        let words = match total {
            0 => "none".to_owned(),
            1 => "one, for other interpreters".to_owned(),
            total => format!("{total}, for other interpreters"),
        };
        searched.push((place.clone(), words));
    }
    Err(SeedError::Missing { name: name.clone(), interpreter: interpreter.to_string(), searched })
}

/// Whether a place holds a wheel of a distribution, fit or not.
pub fn holds(place: &Place, name: &DistName) -> bool {
    matches!(list(place, name), Ok(Some(found)) if !found.is_empty())
}

/// The wheels of a distribution in a place; nothing where there is no such directory. What is called like no wheel is none.
fn list(place: &Place, name: &DistName) -> Result<Option<Vec<WheelFilename>>, FsError> {
    let entries = match Utf8Path::read_dir_utf8(&place.directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(None),
        // Only what somebody named must be readable.
        Err(_) if place.kind != PlaceKind::Given => return Ok(None),
        Err(error) => return Err(failed("list", &place.directory)(error)),
    };
    let mut found: Vec<WheelFilename> =
        entries.flatten().filter_map(|entry| WheelFilename::parse(entry.file_name()).ok()).filter(|file| file.name == *name).collect();
    found.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    Ok(Some(found))
}
