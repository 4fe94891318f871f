//! Finding the wheels that an environment begins with: pip and the like.
//!
//! Effects layer. Places are looked through in order, and the best wheel of the first place that
//! has one is taken. So a file that happens to lie in a later place, such as the working directory,
//! never takes precedence, however new it is. Nothing is downloaded.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::VersionSpecifiers;

use crate::effects::host::fs::{FsError, failed};
use crate::effects::wheels::load::{self, LoadOptions, WheelError};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::interpreter::Interpreter;
use crate::model::name::DistName;
use crate::model::preference;

use crate::model::requirements::{Requirement, requires_python};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::tags::Tags;

/// A distribution to begin with, in any version that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedRequest {
    /// The distribution.
    pub name: DistName,
    /// The versions that are allowed.
    pub versions: VersionSpecifiers,
}

impl SeedRequest {
    /// A distribution in whatever version there is.
    pub fn any(name: DistName) -> Self {
        Self { name, versions: VersionSpecifiers::empty() }
    }

    /// Reads `pip`, `pip==24.0` or `pip>=24,<25`.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Requirement::parse(text).map_err(|error| error.to_string())?;
        if !found.extras.is_empty() || found.marker.is_some() || text.contains('@') {
            return Err("expected a name, or a name and versions such as `pip==24.0`".to_owned());
        }
        Ok(Self { name: found.name, versions: found.specifiers })
    }
}

impl fmt::Display for SeedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.name)?;
        let versions: Vec<String> =
            self.versions.iter().map(|specifier| specifier.to_string().replace(' ', "")).collect();
        formatter.write_str(&versions.join(","))
    }
}

/// What kind of place a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// Somebody named it.
    Given,
    /// The seeds that came with venvtree.
    Support,
    /// The interpreter's own wheels.
    Interpreter,
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
    #[error(
        "no wheel of `{request}` fits {interpreter}; these places were searched:{}",
        describe(searched)
    )]
    Missing {
        /// What was asked for.
        request: SeedRequest,
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
    if searched.is_empty() {
        " none".to_owned()
    } else {
        items(searched).iter().map(|item| format!("\n{item}")).collect()
    }
}

fn items(searched: &[(Place, String)]) -> Vec<String> {
    searched
        .iter()
        .map(|(place, found)| {
            format!("    {} ({}): {found}", place.directory, place.kind.describe())
        })
        .collect()
}

impl Explain for SeedError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Missing { .. } => ErrorKind::Wheel.hint(
                "wheels to begin with are not downloaded: name a directory that holds one with `--extra-search-dir`, or begin without it: `--seed NAMES` says with what, `--no-seed` is nothing",
            ),
            Self::Wheel(_) => ErrorKind::Wheel.no_hint(),
            Self::Fs(error) => error.explain(),
        }
    }

    fn items(&self) -> Vec<String> {
        match self {
            Self::Missing { searched, .. } => items(searched),
            Self::Wheel(WheelError::Refused { findings, .. }) => {
                findings.iter().map(|finding| format!("  {finding}")).collect()
            }
            Self::Wheel(_) | Self::Fs(_) => Vec::new(),
        }
    }
}

/// Finds the best wheel of a distribution.
///
/// # Errors
/// No place has one, or the best one cannot be read.
pub fn find(
    request: &SeedRequest,
    places: &[Place],
    interpreter: &Interpreter,
    options: &LoadOptions,
) -> Result<Seed, SeedError> {
    let tags = Tags::new(interpreter);
    let mut searched = Vec::new();
    for place in places {
        let found = list(place, &request.name)?;
        let Some(found) = found else {
            searched.push((place.clone(), "no such directory".to_owned()));
            continue;
        };
        let total = found.len();
        let (allowed, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|file| request.versions.contains(&file.version));
        for file in preference::rank(allowed, &request.name, &tags) {
            let path = place.directory.join(file.as_str());
            let wheel = load::load(&path, &file, options)?;
            let requires = wheel.manifest.metadata.requires_python.as_deref();
            if requires
                .is_none_or(|requires| requires_python(requires, &interpreter.version).is_ok())
            {
                return Ok(Seed { path, file, kind: place.kind });
            }
        }
        searched.push((place.clone(), describe_misses(total, &others)));
    }
    Err(SeedError::Missing {
        request: request.clone(),
        interpreter: interpreter.to_string(),
        searched,
    })
}

/// Why nothing of a place was taken: other versions, or wheels for other interpreters.
fn describe_misses(total: usize, others: &[WheelFilename]) -> String {
    /// More versions than these are only counted.
    const NAMED: usize = 8;
    let mut versions: Vec<_> = others.iter().map(|file| &file.version).collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    versions.dedup();
    let named: Vec<String> = versions.iter().take(NAMED).map(ToString::to_string).collect();
    let more = versions.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let elsewhere = match total - others.len() {
        0 => None,
        1 => Some("one, for other interpreters".to_owned()),
        number => Some(format!("{number}, for other interpreters")),
    };
    let of_other_versions =
        (!named.is_empty()).then(|| format!("version {}{more}", named.join(", ")));
    let parts: Vec<String> = of_other_versions.into_iter().chain(elsewhere).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join("; ") }
}

/// Whether a place holds a wheel of a distribution, fit or not.
pub fn holds(place: &Place, name: &DistName) -> bool {
    matches!(list(place, name), Ok(Some(found)) if !found.is_empty())
}

/// The wheels of a distribution in a place; nothing where there is no such directory. What is
/// called like no wheel is none.
fn list(place: &Place, name: &DistName) -> Result<Option<Vec<WheelFilename>>, FsError> {
    let entries = match Utf8Path::read_dir_utf8(&place.directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        // Only what somebody named must be readable.
        Err(_) if place.kind != PlaceKind::Given => return Ok(None),
        Err(error) => return Err(failed("list", &place.directory)(error)),
    };
    let mut found: Vec<WheelFilename> = entries
        .flatten()
        .filter_map(|entry| WheelFilename::parse(entry.file_name()).ok())
        .filter(|file| file.name == *name)
        .collect();
    found.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_name_and_maybe_versions() {
        for text in ["pip", "pip==24.0", "pip>=24,<25", "pip~=24.1"] {
            assert_eq!(SeedRequest::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "==1", "pip==", "pip[x]", "pip@file:///x", "pip; os_name=='nt'", "pip 24"]
        {
            assert!(SeedRequest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_miss_names_the_versions_that_are_there() {
        let files = |versions: std::ops::Range<usize>| -> Vec<WheelFilename> {
            versions
                .map(|version| {
                    WheelFilename::parse(&format!("pip-{version}.0-py3-none-any.whl")).unwrap()
                })
                .collect()
        };
        assert_eq!(describe_misses(0, &[]), "none");
        assert_eq!(describe_misses(2, &files(1..3)), "version 2.0, 1.0");
        assert_eq!(describe_misses(3, &files(1..2)), "version 1.0; 2, for other interpreters");
        assert_eq!(
            describe_misses(20, &files(0..20)),
            "version 19.0, 18.0, 17.0, 16.0, 15.0, 14.0, 13.0, 12.0 and 12 more"
        );
    }
}
