//! The file name of a wheel: distribution, version, build and tags.
//!
//! Model layer. `NAME-VERSION[-BUILD]-INTERPRETER-ABI-PLATFORM.whl`, as the binary distribution format (PEP 427) says; read as
//! PyPI's `packaging` reads it, and more strictly in the characters: what is no name, version, build or tag in ASCII is refused.

use std::fmt;
use std::str::FromStr;

use crate::model::name::{DistName, NameError, Version};
use crate::model::wheel::tags::{TagError, TagSet};

/// Why a text is no file name of a wheel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilenameError {
    /// Another extension.
    #[error("`{text}` is no wheel: expected a name that ends in .whl")]
    Extension {
        /// The text.
        text: String,
    },
    /// Too few or too many parts.
    #[error("the wheel name `{text}` has {found} parts, expected five or six: NAME-VERSION[-BUILD]-INTERPRETER-ABI-PLATFORM.whl")]
    Parts {
        /// The text.
        text: String,
        /// The number of parts.
        found: usize,
    },
    /// The first part is no distribution name.
    #[error("the wheel name `{text}` does not begin with a distribution name")]
    Name {
        /// The text.
        text: String,
        /// What is wrong with the name.
        source: NameError,
    },
    /// The first part holds two underscores in a row, which escaping a name never yields.
    #[error("the wheel name `{text}` holds `__` in its distribution name, expected runs of `-`, `_` and `.` written as one `_`")]
    Escape {
        /// The text.
        text: String,
    },
    /// The second part is no version.
    #[error("the wheel name `{text}` has `{version}` where a version should be: {reason}")]
    Version {
        /// The text.
        text: String,
        /// The part.
        version: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The optional third part is no build tag.
    #[error(
        "the wheel name `{text}` has `{build}` where a build tag should be, expected digits and then ASCII letters, digits, `_` and `.`"
    )]
    Build {
        /// The text.
        text: String,
        /// The part.
        build: String,
    },
    /// The last three parts are no tags.
    #[error("the wheel name `{text}` does not end in tags")]
    Tags {
        /// The text.
        text: String,
        /// What is wrong with them.
        source: TagError,
    },
}

/// A build tag: a number and what follows it. Of two builds of one version the greater one is preferred; none is least.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildTag {
    /// The leading digits as a number.
    pub number: u64,
    /// The rest, possibly empty.
    pub suffix: Box<str>,
}

impl BuildTag {
    /// Reads digits and what follows them; nothing for another text or a number of more than 64 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at(digits);
        let plain = suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        Some(Self { number: number.parse().ok()?, suffix: suffix.into() }).filter(|_| plain)
    }
}

impl fmt::Display for BuildTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.number, self.suffix)
    }
}

/// A wheel's file name, kept as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelFilename {
    text: Box<str>,
    /// The distribution.
    pub name: DistName,
    /// Its version.
    pub version: Version,
    /// Which build of that version, if the name says so.
    pub build: Option<BuildTag>,
    /// What the wheel is for.
    pub tags: TagSet,
}

impl WheelFilename {
    /// Reads a file name (without a directory).
    ///
    /// # Errors
    /// Names the part that breaks a rule.
    pub fn parse(text: &str) -> Result<Self, FilenameError> {
        let own = || text.to_owned();
        let stem = text.strip_suffix(".whl").ok_or_else(|| FilenameError::Extension { text: own() })?;
        let dashes = stem.matches('-').count();
        if !matches!(dashes, 4 | 5) {
            return Err(FilenameError::Parts { text: own(), found: dashes + 1 });
        }
        let mut parts = stem.splitn(dashes - 1, '-');
        let mut part = || parts.next().expect("counted above");
        let (name, version) = (part(), part());
        let build = (dashes == 5).then(&mut part);
        let tags = part();
        if name.contains("__") {
            return Err(FilenameError::Escape { text: own() });
        }
        let name = DistName::parse(name).map_err(|source| FilenameError::Name { text: own(), source })?;
        let version =
            parse_version(version).map_err(|reason| FilenameError::Version { text: own(), version: version.to_owned(), reason })?;
        let build = build
            .map(|build| BuildTag::parse(build).ok_or_else(|| FilenameError::Build { text: own(), build: build.to_owned() }))
            .transpose()?;
        let tags = TagSet::parse(tags).map_err(|source| FilenameError::Tags { text: own(), source })?;
        Ok(Self { text: text.into(), name, version, build, tags })
    }

    /// The name as written, with `.whl`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first two parts as written: what the names of the `.dist-info` and `.data` directories should begin with.
    pub fn stem(&self) -> &str {
        let end = self.text.match_indices('-').nth(1).expect("parse() counted the parts").0;
        &self.text[..end]
    }
}

fn parse_version(text: &str) -> Result<Version, String> {
    if let Some(character) = text.chars().find(|character| !character.is_ascii_graphic()) {
        return Err(format!("the character {character:?} is in no version"));
    }
    Version::from_str(text).map_err(|error| error.to_string())
}

impl fmt::Display for WheelFilename {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_name() {
        let check = |text: &str, name: &str, version: &str, build: Option<(u64, &str)>, tags: &str| {
            let found = WheelFilename::parse(text).unwrap();
            assert_eq!(found.name.normalized(), name, "{text}");
            assert_eq!(found.version.to_string(), version, "{text}");
            assert_eq!(found.build.as_ref().map(|build| (build.number, &*build.suffix)), build, "{text}");
            assert_eq!(found.tags.as_str(), tags, "{text}");
            assert_eq!(found.to_string(), text);
        };
        check("six-1.16.0-py2.py3-none-any.whl", "six", "1.16.0", None, "py2.py3-none-any");
        check("Foo.Bar_baz-1.0-1-py3-none-any.whl", "foo-bar-baz", "1.0", Some((1, "")), "py3-none-any");
        check("x-1.0+cu121-002_post.a-py3-none-any.whl", "x", "1.0+cu121", Some((2, "_post.a")), "py3-none-any");
        check("x-1!2.0.post1.dev3-CP311-cp311-WIN_amd64.whl", "x", "1!2.0.post1.dev3", None, "cp311-cp311-win_amd64");
        assert_eq!(WheelFilename::parse("Foo.Bar-1.0.0-1-py3-none-any.whl").unwrap().stem(), "Foo.Bar-1.0.0");
    }

    #[test]
    fn errors_name_the_part() {
        let check = |text: &str, expected: &str| {
            let error = WheelFilename::parse(text).unwrap_err();
            let message = std::error::Error::source(&error).map_or(error.to_string(), |source| format!("{error}: {source}"));
            assert!(message.contains(expected), "{text}: {message}");
        };
        check("six-1.16.0.tar.gz", "ends in .whl");
        check("six-1.16.0-py3-none-any.WHL", "ends in .whl");
        check("six-1.16.0-py3-none.whl", "has 4 parts");
        check("six-1.16.0-1-2-py3-none-any.whl", "has 7 parts");
        check("a__b-1-py3-none-any.whl", "holds `__`");
        check("-1.16.0-py3-none-any.whl", "`` is no distribution name");
        check("a/six-1.16.0-py3-none-any.whl", "`a/six` is no distribution name");
        check("../six-1.16.0-py3-none-any.whl", "is no distribution name");
        check("six-x-py3-none-any.whl", "`x` where a version should be");
        check("six- 1-py3-none-any.whl", "' ' is in no version");
        check("six-1-x1-py3-none-any.whl", "`x1` where a build tag should be");
        check("six-1-99999999999999999999-py3-none-any.whl", "where a build tag should be");
        check("six-1-py3..py2-none-any.whl", "has an empty component");
        check("six-1-py3-none-a ny.whl", "' '");
    }

    #[test]
    fn builds_are_ordered_by_number() {
        let build = BuildTag::parse;
        assert!(build("2").unwrap() < build("10").unwrap());
        assert!(build("10").unwrap() < build("10a").unwrap());
        assert!(None < build("0"));
        assert_eq!(build(""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*(-\\PC*){0,5}(\\.whl)?") {
            if let Ok(found) = WheelFilename::parse(&text) {
                prop_assert_eq!(found.as_str(), text);
            }
        }

        #[test]
        fn good_parts_make_a_good_name(
            name in "[a-zA-Z]([a-z0-9]|[_.][a-z]){0,6}", version in "[0-9]{1,3}(\\.[0-9]{1,2}){0,3}(\\+[a-z0-9]{1,4})?",
            build in "(-[0-9]{1,4}[a-z]{0,2})?",
        ) {
            let text = format!("{name}-{version}{build}-py3-none-any.whl");
            let found = WheelFilename::parse(&text).unwrap();
            prop_assert_eq!(found.stem(), format!("{name}-{version}"));
            prop_assert_eq!(found.name.written(), name);
        }
    }
}
