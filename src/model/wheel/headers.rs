//! `Key: value` texts: `WHEEL` and `METADATA`, as far as installing needs them.
//!
//! Model layer. The core metadata specification describes the format by Python's lenient `email` parser, which never fails: a line that
//! is no header silently ends the headers, and the first of two equal ones wins in one tool, the last in another. Here such texts are
//! errors; whatever is accepted has the values that the `email` parser gives.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::model::name::{DistName, NameError, Version};
use crate::model::wheel::filename::{BuildTag, WheelFilename};
use crate::model::wheel::tags::{Tag, TagError, TagSet};

/// The most headers of a text; the longest real ones have some thousand requirements.
const HEADER_LIMIT: usize = 50_000;
/// The most bytes of a version: more than any file name could hold.
const VERSION_LIMIT: usize = 1024;

/// The most bad tags that are reported.
const TAG_ERROR_LIMIT: usize = 100;

/// One header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'text> {
    /// The name as written; names are compared without regard to case.
    pub name: &'text str,
    /// The value without white space around it; a folded one has its line breaks taken out.
    pub value: Cow<'text, str>,
    /// The line of the name, from 1.
    pub line: usize,
}

/// The headers of a text and what follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers<'text> {
    /// The headers in the order of the text.
    pub headers: Vec<Header<'text>>,
    /// What follows the first empty line.
    pub body: &'text str,
}

/// Which of the two files a problem is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFile {
    /// `WHEEL`.
    Wheel,
    /// `METADATA`.
    Metadata,
}

impl fmt::Display for HeaderFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Wheel => "WHEEL",
            Self::Metadata => "METADATA",
        })
    }
}

/// What is wrong with such a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Bytes that are not UTF-8.
    #[error("{file} is not UTF-8: the byte at offset {offset} is in no character")]
    NotUtf8 {
        /// The file.
        file: HeaderFile,
        /// The number of good bytes before it.
        offset: usize,
    },
    /// The text begins with U+FEFF, which would become part of the first name.
    #[error("{file} begins with a byte order mark")]
    ByteOrderMark {
        /// The file.
        file: HeaderFile,
    },
    /// A line without a colon, or with something before it that is no name.
    #[error("line {line} of {file} is {text:?}, expected `Name: value`, a continued value or the empty line that ends the headers")]
    Line {
        /// The file.
        file: HeaderFile,
        /// The line, from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// A carriage return without a line feed, or a NUL: some readers end the line there.
    #[error("line {line} of {file} holds the character {character:?}")]
    Character {
        /// The file.
        file: HeaderFile,
        /// The line, from 1.
        line: usize,
        /// The character.
        character: char,
    },
    /// More headers than any real file has.
    #[error("{file} has more than {HEADER_LIMIT} headers")]
    TooMany {
        /// The file.
        file: HeaderFile,
    },
    /// A header that must be there is not.
    #[error("{file} has no `{name}`")]
    Missing {
        /// The file.
        file: HeaderFile,
        /// The header.
        name: &'static str,
    },
    /// A header that may be there once is there again.
    #[error("line {line} of {file} repeats `{name}`, expected it once")]
    Repeated {
        /// The file.
        file: HeaderFile,
        /// The line, from 1.
        line: usize,
        /// The header.
        name: &'static str,
    },
    /// A version of the format that is not `MAJOR.MINOR`.
    #[error("{file} has the {name} `{value}`, expected two numbers such as 1.0")]
    FormatVersion {
        /// The file.
        file: HeaderFile,
        /// The header.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A version of the format that may mean anything.
    #[error("{file} has the {name} `{value}`, the newest that is understood begins with {known}")]
    NewerFormat {
        /// The file.
        file: HeaderFile,
        /// The header.
        name: &'static str,
        /// Its value.
        value: String,
        /// The newest major version that is known.
        known: u32,
    },
    /// Neither true nor false.
    #[error("WHEEL has the Root-Is-Purelib `{value}`, expected true or false")]
    Purelib {
        /// The value.
        value: String,
    },
    /// No tag.
    #[error("line {line} of WHEEL has a bad Tag")]
    Tag {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: TagError,
    },
    /// No build tag.
    #[error("WHEEL has the Build `{value}`, expected digits and then ASCII letters, digits, `_` and `.`")]
    Build {
        /// The value.
        value: String,
    },
    /// No name.
    #[error("METADATA has a bad Name")]
    Name {
        /// What is wrong with it.
        source: NameError,
    },
    /// No version.
    #[error("METADATA has the Version `{value}`: {reason}")]
    Version {
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl<'text> Headers<'text> {
    /// Splits a text into headers and body.
    ///
    /// # Errors
    /// The first thing that is wrong: after it, nothing is certain.
    pub fn parse(bytes: &'text [u8], file: HeaderFile) -> Result<Self, HeaderError> {
        let text = std::str::from_utf8(bytes).map_err(|error| HeaderError::NotUtf8 { file, offset: error.valid_up_to() })?;
        if text.starts_with('\u{feff}') {
            return Err(HeaderError::ByteOrderMark { file });
        }
        let mut headers: Vec<Header<'text>> = Vec::new();
        let mut rest = text;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                break;
            }
            if let Some(character) = line.chars().find(|character| matches!(character, '\r' | '\0')) {
                return Err(HeaderError::Character { file, line: number, character });
            }
            let wrong = || HeaderError::Line { file, line: number, text: line.chars().take(60).collect() };
            if line.starts_with([' ', '\t']) {
                let last = headers.last_mut().ok_or_else(wrong)?;
                last.value.to_mut().push_str(line);
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(wrong());
            }
            if headers.len() == HEADER_LIMIT {
                return Err(HeaderError::TooMany { file });
            }
            headers.push(Header { name, value: Cow::Borrowed(value), line: number });
        }
        for header in &mut headers {
            header.value = match std::mem::take(&mut header.value) {
                Cow::Borrowed(value) => Cow::Borrowed(value.trim_matches([' ', '\t'])),
                Cow::Owned(value) => Cow::Owned(value.trim_matches([' ', '\t']).to_owned()),
            };
        }
        Ok(Self { headers, body: rest })
    }

    /// The headers of a name, without regard to case, in the order of the text.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Header<'text>> {
        self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name))
    }

    /// The one header of a name; a second one is reported.
    fn once(&self, file: HeaderFile, name: &'static str, errors: &mut Vec<HeaderError>) -> Option<&str> {
        let mut found = self.all(name);
        let first = found.next()?;
        errors.extend(found.next().map(|again| HeaderError::Repeated { file, line: again.line, name }));
        Some(&first.value)
    }

    /// The one header of a name, which must be there.
    fn required(&self, file: HeaderFile, name: &'static str, errors: &mut Vec<HeaderError>) -> Option<&str> {
        let found = self.once(file, name, errors);
        if found.is_none() {
            errors.push(HeaderError::Missing { file, name });
        }
        found
    }
}

/// Reads `MAJOR.MINOR` of a format whose newest major version is `known`.
fn format_version(file: HeaderFile, name: &'static str, value: &str, known: u32) -> Result<(u32, u32), HeaderError> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    let version = value.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    match version {
        None => Err(HeaderError::FormatVersion { file, name, value: value.to_owned() }),
        Some((major, _)) if major > known => Err(HeaderError::NewerFormat { file, name, value: value.to_owned(), known }),
        Some(version) => Ok(version),
    }
}

/// What `WHEEL` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelHeaders {
    /// The version of the wheel format, such as (1, 0).
    pub format: (u32, u32),
    /// Whether what is not in `.data` goes to purelib, else to platlib.
    pub purelib: bool,
    /// The program that made the wheel: the first that is named.
    pub generator: Option<Box<str>>,
    /// The tags, sorted, each once.
    pub tags: Box<[Tag]>,
    /// The build tag.
    pub build: Option<BuildTag>,
}

impl WheelHeaders {
    /// The newest version of the format that is fully understood.
    pub const FORMAT: (u32, u32) = (1, 0);

    /// Reads `WHEEL`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<HeaderError>> {
        let file = HeaderFile::Wheel;
        let headers = Headers::parse(bytes, file).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let format = headers.required(file, "Wheel-Version", &mut errors).map(str::to_owned);
        let format =
            format.and_then(|value| format_version(file, "Wheel-Version", &value, Self::FORMAT.0).map_err(|error| errors.push(error)).ok());
        let purelib = headers.required(file, "Root-Is-Purelib", &mut errors).map(str::to_ascii_lowercase);
        let purelib = purelib.and_then(|value| match value.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                errors.push(HeaderError::Purelib { value });
                None
            }
        });
        // Tools that repair wheels add their own to the maker's, and nothing depends on it.
        let generator = headers.all("Generator").next().map(|header| header.value.as_ref().into());
        let mut tags = Vec::new();
        let mut bad_tags = 0;
        for header in headers.all("Tag") {
            match TagSet::parse(&header.value) {
                Ok(set) => tags.extend(set.expand()),
                Err(source) if bad_tags < TAG_ERROR_LIMIT => {
                    bad_tags += 1;
                    errors.push(HeaderError::Tag { line: header.line, source });
                }
                Err(_) => {}
            }
        }
        if headers.all("Tag").next().is_none() {
            errors.push(HeaderError::Missing { file, name: "Tag" });
        }
        tags.sort();
        tags.dedup();
        let build = headers.once(file, "Build", &mut errors).map(str::to_owned);
        let build = build.and_then(|value| {
            let build = BuildTag::parse(&value);
            if build.is_none() {
                errors.push(HeaderError::Build { value });
            }
            build
        });
        match (format, purelib) {
            (Some(format), Some(purelib)) if errors.is_empty() => Ok(Self { format, purelib, generator, tags: tags.into(), build }),
            _ => Err(errors),
        }
    }

    /// Whether the format has a newer minor version than is known: such a wheel can be installed, with a warning.
    pub fn newer_format(&self) -> bool {
        self.format > Self::FORMAT
    }

    /// What `WHEEL` says otherwise than the file name.
    pub fn disagreements(&self, filename: &WheelFilename) -> Vec<Disagreement> {
        let mut found = Vec::new();
        if !self.tags.iter().eq(&filename.tags.expand()) {
            let written = self.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            found.push(Disagreement::Tags { written, filename: filename.tags.clone() });
        }
        if self.build != filename.build {
            let render = |build: &Option<BuildTag>| build.as_ref().map_or("none".to_owned(), ToString::to_string);
            found.push(Disagreement::Build { written: render(&self.build), filename: render(&filename.build) });
        }
        found
    }
}

/// What `METADATA` says, as far as installing needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The version of the metadata format, such as (2, 4).
    pub format: (u32, u32),
    /// The distribution.
    pub name: DistName,
    /// Its version.
    pub version: Version,
    /// Which versions of Python it is for, as written.
    pub requires_python: Option<Box<str>>,
    /// What it requires, each a text of PEP 508, in the order of the file.
    pub requires_dist: Box<[Box<str>]>,
    /// Its extras, as written, in the order of the file.
    pub provides_extra: Box<[Box<str>]>,
}

impl Metadata {
    /// The newest major version of the format that is understood, and the newest minor one of it.
    pub const FORMAT: (u32, u32) = (2, 5);

    /// Reads `METADATA`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<HeaderError>> {
        let file = HeaderFile::Metadata;
        let headers = Headers::parse(bytes, file).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let format = headers.required(file, "Metadata-Version", &mut errors).map(str::to_owned);
        let format = format
            .and_then(|value| format_version(file, "Metadata-Version", &value, Self::FORMAT.0).map_err(|error| errors.push(error)).ok());
        let name = headers.required(file, "Name", &mut errors).map(DistName::parse);
        let name = name.and_then(|name| name.map_err(|source| errors.push(HeaderError::Name { source })).ok());
        let version = headers.required(file, "Version", &mut errors).map(str::to_owned);
        let version = version.and_then(|value| {
            if value.len() > VERSION_LIMIT {
                let reason = format!("{} bytes, the limit is {VERSION_LIMIT}", value.len());
                let value = value.chars().take(64).chain(['…']).collect();
                errors.push(HeaderError::Version { value, reason });
                return None;
            }
            Version::from_str(&value).map_err(|error| errors.push(HeaderError::Version { reason: error.to_string(), value })).ok()
        });
        let requires_python = headers.once(file, "Requires-Python", &mut errors).map(Into::into);
        let all = |name| headers.all(name).map(|header| header.value.as_ref().into()).collect();
        let (requires_dist, provides_extra) = (all("Requires-Dist"), all("Provides-Extra"));
        match (format, name, version) {
            (Some(format), Some(name), Some(version)) if errors.is_empty() => {
                Ok(Self { format, name, version, requires_python, requires_dist, provides_extra })
            }
            _ => Err(errors),
        }
    }

    /// Whether the format has a newer minor version than is known.
    pub fn newer_format(&self) -> bool {
        self.format > Self::FORMAT
    }

    /// What `METADATA` says otherwise than the file name.
    pub fn disagreements(&self, filename: &WheelFilename) -> Vec<Disagreement> {
        let mut found = Vec::new();
        if self.name != filename.name {
            found.push(Disagreement::Name { written: self.name.clone(), filename: filename.name.clone() });
        }
        if self.version != filename.version {
            found.push(Disagreement::Version { written: self.version.clone(), filename: filename.version.clone() });
        }
        found
    }
}

/// The metadata says one thing, the wheel's file name another. With another name or version the wheel would be installed as something else
/// than its file name promises; tags and builds only help to choose a file, and tools that rename wheels leave old ones behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The distribution.
    #[error("METADATA names the distribution `{}`, the file name says `{}`", written.written(), filename.written())]
    Name {
        /// In the metadata.
        written: DistName,
        /// In the file name.
        filename: DistName,
    },
    /// The version.
    #[error("METADATA has the version {written}, the file name says {filename}")]
    Version {
        /// In the metadata.
        written: Version,
        /// In the file name.
        filename: Version,
    },
    /// The tags.
    #[error("WHEEL lists the tags {written}, the file name says {filename}")]
    Tags {
        /// In the metadata.
        written: String,
        /// In the file name.
        filename: TagSet,
    },
    /// The build tag.
    #[error("WHEEL has the build {written}, the file name says {filename}")]
    Build {
        /// In the metadata.
        written: String,
        /// In the file name.
        filename: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHEEL: &str = "Wheel-Version: 1.0\nGenerator: test (1)\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n\n";
    const METADATA: &str = "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\n";

    fn wheel(text: &str) -> Result<WheelHeaders, Vec<String>> {
        WheelHeaders::parse(text.as_bytes()).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn metadata(text: &str) -> Result<Metadata, Vec<String>> {
        Metadata::parse(text.as_bytes()).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_version_has_a_length() {
        let metadata = |version: &str| Metadata::parse(format!("Metadata-Version: 2.1\nName: demo\nVersion: {version}\n").as_bytes());
        assert!(metadata(&format!("1.{}", "0".repeat(VERSION_LIMIT - 2))).is_ok());
        let errors = metadata(&"1".repeat(VERSION_LIMIT + 1)).unwrap_err();
        assert!(matches!(&errors[..], [HeaderError::Version { reason, value }] if reason.contains("1025 bytes") && value.len() < 80));
    }

    #[test]
    fn a_good_wheel_file() {
        let found = wheel(WHEEL).unwrap();
        assert!(found.purelib && !found.newer_format() && found.build.is_none());
        assert_eq!(found.generator.as_deref(), Some("test (1)"));
        assert_eq!(found.tags.iter().map(ToString::to_string).collect::<Vec<_>>(), ["py2-none-any", "py3-none-any"]);
        let other = wheel(&WHEEL.replace("1.0", "1.9").replace("true", "FALSE").replace('\n', "\r\n").replace("Tag", "tAG")).unwrap();
        assert!(!other.purelib && other.newer_format());
        let one_line = wheel(&WHEEL.replace("Tag: py2-none-any\nTag: py3-none-any", "Build: 2b\nTag: py3.py2-none-any")).unwrap();
        assert_eq!(one_line.tags, found.tags);
        let repaired = wheel(&WHEEL.replace("-any\n\n", "-any\nGenerator: repairer 1\n\n")).unwrap();
        assert_eq!(repaired, found);
        assert_eq!(one_line.build.unwrap().to_string(), "2b");
    }

    #[test]
    fn a_bad_wheel_file_has_all_its_errors_named() {
        let check = |from: &str, to: &str, expected: &[&str]| {
            let errors = wheel(&WHEEL.replacen(from, to, 1)).unwrap_err();
            assert_eq!(errors, expected, "{from:?} -> {to:?}");
        };
        check(WHEEL, "", &["WHEEL has no `Wheel-Version`", "WHEEL has no `Root-Is-Purelib`", "WHEEL has no `Tag`"]);
        check("1.0", "2.0", &["WHEEL has the Wheel-Version `2.0`, the newest that is understood begins with 1"]);
        check("1.0", "1", &["WHEEL has the Wheel-Version `1`, expected two numbers such as 1.0"]);
        check("1.0", "1.0.0", &["WHEEL has the Wheel-Version `1.0.0`, expected two numbers such as 1.0"]);
        check("1.0", "+1.0", &["WHEEL has the Wheel-Version `+1.0`, expected two numbers such as 1.0"]);
        check("1.0", "", &["WHEEL has the Wheel-Version ``, expected two numbers such as 1.0"]);
        check("true", "yes", &["WHEEL has the Root-Is-Purelib `yes`, expected true or false"]);
        check("Tag: py2", "Root-Is-Purelib: false\nTag: py2", &["line 4 of WHEEL repeats `Root-Is-Purelib`, expected it once"]);
        check("py2-none-any", "py2-none", &["line 4 of WHEEL has a bad Tag"]);
        check("Tag: py2", "Build: x\nTag: py2", &["WHEEL has the Build `x`, expected digits and then ASCII letters, digits, `_` and `.`"]);
    }

    #[test]
    fn metadata_is_read_as_far_as_it_is_needed() {
        let text = format!(
            "{METADATA}Requires-Python: >=3.8\nRequires-Dist: a (>=1)\nrequires-dist: b[x]>=2;\n  python_version < \"3.9\"\n\
             Provides-Extra: x\nDescription: one\n        two\n\nName: not a header\n"
        );
        let found = metadata(&text).unwrap();
        assert_eq!((found.format, found.name.normalized(), found.version.to_string().as_str()), ((2, 1), "foo-bar", "1.0"));
        assert_eq!(found.requires_python.as_deref(), Some(">=3.8"));
        assert_eq!(found.requires_dist.iter().map(|text| &**text).collect::<Vec<_>>(), ["a (>=1)", "b[x]>=2;  python_version < \"3.9\""]);
        assert_eq!(found.provides_extra.iter().map(|text| &**text).collect::<Vec<_>>(), ["x"]);
        let headers = Headers::parse(text.as_bytes(), HeaderFile::Metadata).unwrap();
        assert_eq!(headers.body, "Name: not a header\n");
        assert_eq!(headers.all("NAME").map(|header| (header.line, &*header.value)).collect::<Vec<_>>(), [(2, "Foo.Bar")]);
    }

    #[test]
    fn bad_metadata_has_all_its_errors_named() {
        let check = |from: &str, to: &str, expected: &[&str]| {
            let errors = metadata(&METADATA.replacen(from, to, 1)).unwrap_err();
            assert!(errors.iter().zip(expected).all(|(error, start)| error.starts_with(start)), "{errors:?}");
            assert_eq!(errors.len(), expected.len(), "{errors:?}");
        };
        check(METADATA, "\n", &["METADATA has no `Metadata-Version`", "METADATA has no `Name`", "METADATA has no `Version`"]);
        check("2.1", "3.0", &["METADATA has the Metadata-Version `3.0`, the newest"]);
        check("Foo.Bar", "a b", &["METADATA has a bad Name"]);
        check("Foo.Bar", "../x", &["METADATA has a bad Name"]);
        check("1.0", "x", &["METADATA has the Version `x`"]);
        check("Name: Foo.Bar", "Name: a\nNAME: a", &["line 3 of METADATA repeats `Name`"]);
        check("Name", "\u{feff}Name", &["line 2 of METADATA is \"\\u{feff}Name: Foo.Bar\""]);
        check("Metadata", "\u{feff}Metadata", &["METADATA begins with a byte order mark"]);
        check("Name: ", "Name", &["line 2 of METADATA is \"NameFoo.Bar\", expected"]);
        check("Name:", "Name :", &["line 2 of METADATA is \"Name : Foo.Bar\", expected"]);
        check("Name:", ":", &["line 2 of METADATA is \": Foo.Bar\", expected"]);
        check("Metadata", " Metadata", &["line 1 of METADATA is \" Metadata-Version: 2.1\", expected"]);
        check("Name: ", "A: \rName: ", &["line 2 of METADATA holds the character '\\r'"]);
        check("Name: ", "A: \0\nName: ", &["line 2 of METADATA holds the character '\\0'"]);
        check("Name: ", &"A:\n".repeat(50_000), &["METADATA has more than 50000 headers"]);
        let latin: Vec<u8> = METADATA.bytes().chain(*b"Author: \xfc\n").collect();
        assert_eq!(Metadata::parse(&latin), Err(vec![HeaderError::NotUtf8 { file: HeaderFile::Metadata, offset: METADATA.len() + 8 }]));
    }

    #[test]
    fn the_file_name_must_agree() {
        let others = |filename: &str| {
            let filename = WheelFilename::parse(filename).unwrap();
            let mut found = metadata(METADATA).unwrap().disagreements(&filename);
            found.extend(wheel(WHEEL).unwrap().disagreements(&filename));
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(others("foo_bar-1.0-py2.py3-none-any.whl").is_empty() && others("FOO_BAR-1.0.0-py3.py2-none-any.whl").is_empty());
        let check = |filename: &str, expected: &str| assert_eq!(others(filename), [expected]);
        check("foobar-1.0-py2.py3-none-any.whl", "METADATA names the distribution `Foo.Bar`, the file name says `foobar`");
        check("foo_bar-1.0.1-py2.py3-none-any.whl", "METADATA has the version 1.0, the file name says 1.0.1");
        check("foo_bar-1.0-py3-none-any.whl", "WHEEL lists the tags py2-none-any, py3-none-any, the file name says py3-none-any");
        check("foo_bar-1.0-1-py2.py3-none-any.whl", "WHEEL has the build none, the file name says 1");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "([A-Z]{1,3}:? ?[a-z]{0,3}[\r\n\t ]{0,3}){0,9}") {
            let _ = (WheelHeaders::parse(&bytes), Metadata::parse(&bytes), Headers::parse(text.as_bytes(), HeaderFile::Wheel));
        }

        #[test]
        fn rendered_headers_are_read(headers in proptest::collection::vec(("[!-9;-~]{1,8}", "[!-~ü]([ -~ü]{0,8}[!-~])?"), 0..6), body in "[a-z:\n]{0,20}") {
            let mut text: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            text += "\n";
            text += &body;
            let found = Headers::parse(text.as_bytes(), HeaderFile::Metadata).unwrap();
            let ours: Vec<(String, String)> = found.headers.iter().map(|header| (header.name.to_owned(), header.value.to_string())).collect();
            prop_assert_eq!(ours, headers);
            prop_assert_eq!(found.body, body);
        }
    }
}
