//! The file name of a wheel: distribution, version, build and tags.
//!
//! Model layer. `NAME-VERSION[-BUILD]-INTERPRETER-ABI-PLATFORM.whl`, as the binary distribution
//! format (PEP 427) says; read as PyPI's `packaging` reads it, and more strictly in the characters:
//! what is no name, version, build or tag in ASCII is refused.

use std::fmt;
use std::str::FromStr;

use crate::model::every::shown;
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
    #[error(
        "the wheel name `{text}` has {found} parts, expected five or six: NAME-VERSION[-BUILD]-INTERPRETER-ABI-PLATFORM.whl"
    )]
    Parts {
        /// The text.
        text: String,
        /// The number of parts.
        found: usize,
    },
    /// The name of a variant: of a wheel for some machines of its platform only.
    #[error(
        "`{text}` is a wheel variant (PEP 817), for machines that have `{label}`: variants are not supported yet, expected a wheel without one"
    )]
    Variant {
        /// The text.
        text: String,
        /// The variant's label.
        label: String,
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
    #[error(
        "the wheel name `{text}` holds `__` in its distribution name, expected runs of `-`, `_` and `.` written as one `_`"
    )]
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

/// A build tag: a number and what follows it. Of two builds of one version the greater one is
/// preferred; none is least.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildTag {
    /// The leading digits as a number.
    pub number: u64,
    /// The rest, possibly empty.
    pub suffix: Box<str>,
}

impl BuildTag {
    /// Reads digits and what follows them; nothing for another text or a number of more than 64
    /// bits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at(digits);
        let plain =
            suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
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
        let stem =
            text.strip_suffix(".whl").ok_or_else(|| FilenameError::Extension { text: own() })?;
        let dashes = stem.matches('-').count();
        if let Some(label) = variant_label(stem) {
            return Err(FilenameError::Variant { text: own(), label: label.to_owned() });
        }
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
        let name =
            DistName::parse(name).map_err(|source| FilenameError::Name { text: own(), source })?;
        let version = parse_version(version).map_err(|reason| FilenameError::Version {
            text: own(),
            version: version.to_owned(),
            reason,
        })?;
        let build = build
            .map(|build| {
                BuildTag::parse(build)
                    .ok_or_else(|| FilenameError::Build { text: own(), build: build.to_owned() })
            })
            .transpose()?;
        let tags =
            TagSet::parse(tags).map_err(|source| FilenameError::Tags { text: own(), source })?;
        Ok(Self { text: text.into(), name, version, build, tags })
    }

    /// The name as written, with `.whl`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first two parts as written: what the names of the `.dist-info` and `.data` directories
    /// should begin with.
    pub fn stem(&self) -> &str {
        let end = self.text.match_indices('-').nth(1).expect("parse() counted the parts").0;
        &self.text[..end]
    }
}

/// The label of a wheel variant, if the name is one's: it comes after the tags, so that there is a
/// part more than without it.
fn variant_label(stem: &str) -> Option<&str> {
    let parts: Vec<&str> = stem.splitn(9, '-').collect();
    let build = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
    let tags = match parts.len() {
        6 if !build(parts[2]) => &parts[2..5],
        7 if build(parts[2]) => &parts[3..6],
        _ => return None,
    };
    let label = *parts.last()?;
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.')
    };
    // Otherwise the last part is the platform, and what comes before the tags is a bad build tag.
    let platform = ["any", "linux_", "manylinux", "musllinux_", "macosx_", "win32", "win_"]
        .iter()
        .any(|known| label.starts_with(known));
    (!platform
        && !label.is_empty()
        && label.bytes().all(plain)
        && TagSet::parse(&tags.join("-")).is_ok())
    .then_some(label)
}

fn parse_version(text: &str) -> Result<Version, String> {
    if let Some(character) = text.chars().find(|character| !character.is_ascii_graphic()) {
        return Err(format!("the character {character:?} is in no version"));
    }
    Version::from_str(text).map_err(|error| error.to_string())
}

shown!(WheelFilename: text);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_name() {
        let check =
            |text: &str, name: &str, version: &str, build: Option<(u64, &str)>, tags: &str| {
                let found = WheelFilename::parse(text).unwrap();
                assert_eq!(found.name.normalized(), name, "{text}");
                assert_eq!(found.version.to_string(), version, "{text}");
                assert_eq!(
                    found.build.as_ref().map(|build| (build.number, &*build.suffix)),
                    build,
                    "{text}"
                );
                assert_eq!(found.tags.as_str(), tags, "{text}");
                assert_eq!(found.to_string(), text);
            };
        check("six-1.16.0-py2.py3-none-any.whl", "six", "1.16.0", None, "py2.py3-none-any");
        check(
            "Foo.Bar_baz-1.0-1-py3-none-any.whl",
            "foo-bar-baz",
            "1.0",
            Some((1, "")),
            "py3-none-any",
        );
        check(
            "x-1.0+cu121-002_post.a-py3-none-any.whl",
            "x",
            "1.0+cu121",
            Some((2, "_post.a")),
            "py3-none-any",
        );
        check(
            "x-1!2.0.post1.dev3-CP311-cp311-WIN_amd64.whl",
            "x",
            "1!2.0.post1.dev3",
            None,
            "cp311-cp311-win_amd64",
        );
        assert_eq!(
            WheelFilename::parse("Foo.Bar-1.0.0-1-py3-none-any.whl").unwrap().stem(),
            "Foo.Bar-1.0.0"
        );
    }

    #[test]
    fn variants_are_told_as_such() {
        let label = |text: &str| match WheelFilename::parse(text) {
            Err(FilenameError::Variant { label, .. }) => Some(label),
            _ => None,
        };
        assert_eq!(
            label("numpy-2.3.2-cp313-cp313t-musllinux_1_2_x86_64-x86_64_v3.whl").as_deref(),
            Some("x86_64_v3")
        );
        assert_eq!(
            label("torch-2.8.0-1-cp312-cp312-manylinux_2_28_x86_64-cu129.whl").as_deref(),
            Some("cu129")
        );
        assert_eq!(label("x-1-py3-none-any-null.whl").as_deref(), Some("null"));
        for text in [
            "x-1-1-py3-none-any.whl",
            "x-1-x1-py3-none-any.whl",
            "x-1-a-py3-none-win_amd64.whl",
            "x-1-py3-none-any-A.whl",
        ] {
            assert_eq!(label(text), None, "{text}");
        }
    }

    #[test]
    fn errors_name_the_part() {
        let check = |text: &str, expected: &str| {
            let error = WheelFilename::parse(text).unwrap_err();
            let message = std::error::Error::source(&error)
                .map_or(error.to_string(), |source| format!("{error}: {source}"));
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
