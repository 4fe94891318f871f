//! Names and versions of Python's world: distributions, interpreters' versions.
//!
//! Model layer. Package versions and their order are `pep440_rs`'s (re-exported here as
//! [`Version`]).

use std::fmt;

use crate::model::every::shown;

pub use pep440_rs::Version;

/// Why a text is no name or version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name of a distribution.
    #[error(
        "`{text}` is no distribution name: expected ASCII letters, digits, `-`, `_` and `.`, first and last a letter or digit"
    )]
    Distribution {
        /// The text.
        text: String,
    },
    /// No version of an interpreter.
    #[error(
        "`{text}` is no Python version: expected MAJOR.MINOR or MAJOR.MINOR.PATCH, such as 3.12 or 3.12.1"
    )]
    PythonVersion {
        /// The text.
        text: String,
    },
}

/// The name of a distribution, kept as written and normalised as the name specification (PEP 503)
/// says: lower case, runs of `-`, `_` and `.` replaced by one `-`. Equality and order are those of
/// the normalised form.
#[derive(Debug, Clone)]
pub struct DistName {
    written: Box<str>,
    normalized: Box<str>,
}

impl DistName {
    /// Checks and normalises a name.
    ///
    /// # Errors
    /// The text is no name by the name specification.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let bytes = text.as_bytes();
        if !edge(bytes.first()) || !edge(bytes.last()) || !bytes.iter().copied().all(inner) {
            return Err(NameError::Distribution { text: text.to_owned() });
        }
        let mut normalized = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '-' | '_' | '.' if normalized.ends_with('-') => {}
                '-' | '_' | '.' => normalized.push('-'),
                other => normalized.push(other.to_ascii_lowercase()),
            }
        }
        Ok(Self { written: text.into(), normalized: normalized.into() })
    }

    /// The name as it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The normalised name: `Foo.Bar_baz` is `foo-bar-baz`.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

impl PartialEq for DistName {
    fn eq(&self, other: &Self) -> bool {
        self.normalized == other.normalized
    }
}

impl Eq for DistName {}

impl std::hash::Hash for DistName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.normalized.hash(state);
    }
}

impl PartialOrd for DistName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DistName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.normalized.cmp(&other.normalized)
    }
}

impl fmt::Display for DistName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.normalized)
    }
}

/// The version of an interpreter: `3.12`, `3.12.1`, `3.15.0b1`. The patch level may be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonVersion {
    text: Box<str>,
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number, where it is known.
    pub patch: Option<u32>,
    full: Option<Version>,
}

impl PythonVersion {
    /// Reads a version.
    ///
    /// # Errors
    /// The text has another form.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let error = || NameError::PythonVersion { text: text.to_owned() };
        let number = |part: &str| {
            let plain = !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'));
            part.parse::<u32>().ok().filter(|_| plain).ok_or_else(error)
        };
        let parts: Vec<&str> = text.split('.').collect();
        let (major, minor, patch) = match parts[..] {
            [major, minor] => (major, minor, None),
            [major, minor, patch] => (major, minor, Some(patch)),
            _ => return Err(error()),
        };
        let (major, minor) = (number(major)?, number(minor)?);
        let Some(patch) = patch else {
            return Ok(Self { text: text.into(), major, minor, patch: None, full: None });
        };
        // CPython's own forms of a pre-release: 3.15.0a1, b1, rc1; a build from a checkout ends in
        // `+`, which is no release.
        let digits = patch.trim_start_matches(|character: char| character.is_ascii_digit());
        let level = number(&patch[..patch.len() - digits.len()])?;
        let suffix = ["rc", "a", "b"].iter().find_map(|kind| digits.strip_prefix(kind));
        if !digits.is_empty() {
            number(suffix.ok_or_else(error)?)?;
        }
        let full = text.parse().map_err(|_| error())?;
        Ok(Self { text: text.into(), major, minor, patch: Some(level), full: Some(full) })
    }

    /// The version as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `3.12`: what the marker `python_version` holds.
    pub fn short(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// The whole version, where the patch level is known: what the marker `python_full_version`
    /// holds.
    pub fn full(&self) -> Option<&Version> {
        self.full.as_ref()
    }

    /// Whether this is `major.minor` or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

shown!(PythonVersion: text);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_as_pep_503_says() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                DistName::parse(text).ok().as_ref().map(DistName::normalized),
                expected,
                "{text}"
            );
        };
        check("Foo.Bar_-baz", Some("foo-bar-baz"));
        check("six", Some("six"));
        check("a", Some("a"));
        check("-a", None);
        check("a_", None);
        check("", None);
        check("a b", None);
        check("ü", None);
    }

    #[test]
    fn interpreter_versions_have_two_or_three_numbers() {
        let check = |text: &str, expected: Option<(u32, u32, Option<u32>)>| {
            let found = PythonVersion::parse(text)
                .ok()
                .map(|version| (version.major, version.minor, version.patch));
            assert_eq!(found, expected, "{text}");
        };
        check("3.12", Some((3, 12, None)));
        check("3.12.1", Some((3, 12, Some(1))));
        check("3.15.0b2", Some((3, 15, Some(0))));
        check("3.15.0rc1", Some((3, 15, Some(0))));
        for text in [
            "3", "3.", "3.12.", "3.012", "3.12.1.2", "3.12.1x", "3.12.1+", "v3.12", "3.x", " 3.12",
            "3.12b1",
        ] {
            check(text, None);
        }
    }
}
