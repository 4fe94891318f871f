//! `Key: value` texts: `WHEEL` and `METADATA`, as far as installing needs them.
//!
//! Model layer. The core metadata specification describes the format by Python's lenient `email`
//! parser, which never fails: a line that is no header silently ends the headers, and other readers
//! go on behind it. Here such a line is a problem; the values are those that the `email` parser
//! gives, and where another reader would have others for a header that matters, that is a problem
//! of its own.

use std::borrow::Cow;
use std::fmt;

use crate::model::finding::{Code, Severity};
use crate::model::name::NameError;
use crate::model::wheel::tags::TagError;

/// The most headers of a text; the longest real ones have some thousand requirements.
const HEADER_LIMIT: usize = 50_000;
/// The most bad lines, or bad headers of one kind, that are reported.
pub(super) const ERROR_LIMIT: usize = 20;

/// The headers that decide what is installed, and where.
const DECISIVE: [&str; 3] = ["Name", "Version", "Root-Is-Purelib"];
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
    /// What follows the headers.
    pub body: &'text str,
    /// What is wrong with the text.
    pub errors: Vec<HeaderError>,
}

/// What was read of a text, and all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<T> {
    /// What it says; nothing where an error leaves that open, whatever is allowed.
    pub value: Option<T>,
    /// What is wrong with it.
    pub errors: Vec<HeaderError>,
}

impl<T> Reading<T> {
    /// Nothing but an error.
    pub(super) fn failed(error: HeaderError) -> Self {
        Self { value: None, errors: vec![error] }
    }
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
    #[error(
        "line {line} of {file} is {text:?}, expected `Name: value`, a continued value or the empty line that ends the headers"
    )]
    Line {
        /// The file.
        file: HeaderFile,
        /// The line, from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// Readers give a header that matters different values.
    #[error(
        "readers of {file} see different values of `{name}`, as there are lines in it that are no headers"
    )]
    Ambiguous {
        /// The file.
        file: HeaderFile,
        /// The header.
        name: &'static str,
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
    /// A header that may be there once is there again and says the same.
    #[error("line {line} of {file} says `{name}` again, expected it once")]
    Same {
        /// The file.
        file: HeaderFile,
        /// The line, from 1.
        line: usize,
        /// The header.
        name: &'static str,
    },
    /// A header that may be there once is there again and says something else.
    #[error("line {line} of {file} has another value of `{name}`, expected it once")]
    Repeated {
        /// The file.
        file: HeaderFile,
        /// The line, from 1.
        line: usize,
        /// The header.
        name: &'static str,
        /// Whether it decides what is installed, and where.
        decisive: bool,
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
    /// A version of the format of one number, or of more than two.
    #[error("{file} has the {name} `{value}`, expected two numbers such as 1.0")]
    FormatForm {
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
    /// No tags at all.
    #[error("WHEEL has no `Tag` above its first empty line")]
    NoTag,
    /// No tag.
    #[error("line {line} of WHEEL has a bad Tag")]
    Tag {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: TagError,
    },
    /// More tags than any real wheel has.
    #[error("the tags in WHEEL stand for more than {limit}")]
    TooManyTags {
        /// The most that are read.
        limit: usize,
    },
    /// More requirements, or longer ones, than any real file has.
    #[error("the requirements in METADATA have {found} bytes, the limit is {limit}")]
    Requirements {
        /// The number of bytes, of one or of all.
        found: usize,
        /// The most that are read.
        limit: usize,
    },
    /// No build tag.
    #[error(
        "WHEEL has the Build `{value}`, expected digits and then ASCII letters, digits, `_` and `.`"
    )]
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

impl From<&HeaderError> for Code {
    fn from(error: &HeaderError) -> Self {
        match error {
            HeaderError::NotUtf8 { .. } => Self::MetadataEncoding,
            HeaderError::ByteOrderMark { .. } => Self::MetadataByteOrderMark,
            HeaderError::Line { .. } | HeaderError::Character { .. } => Self::MetadataSyntax,
            HeaderError::Ambiguous { .. } => Self::MetadataAmbiguousHeader,
            HeaderError::Missing { .. } => Self::MetadataMissingHeader,
            HeaderError::Same { .. } => Self::MetadataSameHeader,
            HeaderError::Repeated { decisive: true, .. } => Self::MetadataContradiction,
            HeaderError::Repeated { decisive: false, .. } => Self::MetadataRepeatedHeader,
            HeaderError::FormatForm { .. } => Self::MetadataFormatForm,
            HeaderError::FormatVersion { .. } | HeaderError::NewerFormat { .. } => {
                Self::MetadataFormatVersion
            }
            HeaderError::Purelib { .. } => Self::MetadataPurelib,
            HeaderError::NoTag | HeaderError::Tag { .. } => Self::MetadataTag,
            HeaderError::Build { .. } => Self::MetadataBuild,
            HeaderError::Name { .. } => Self::MetadataName,
            HeaderError::Version { .. } => Self::MetadataVersion,
            HeaderError::TooMany { .. }
            | HeaderError::TooManyTags { .. }
            | HeaderError::Requirements { .. } => Self::MetadataLimit,
        }
    }
}

impl HeaderError {
    /// Whether it leaves open what the text says, whatever is allowed.
    pub(super) fn is_final(&self) -> bool {
        let code = Code::from(self);
        code.severity() == Severity::Error && !code.allowance().is_possible()
    }
}

/// How lines are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As Python's `email` parser takes them: a carriage return ends a line, and a line that is no
    /// header ends the headers.
    Email,
    /// As readers do that know line feeds only and pass over lines that are no headers.
    Lenient,
}

/// Takes the first line, without its end, and says whether that is a carriage return alone.
fn take_line(text: &str, manner: Manner) -> (&str, &str, bool) {
    let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    let (line, after) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    match memchr::memchr(b'\r', line.as_bytes()) {
        Some(at) if at + 1 == line.len() && end < text.len() => (&line[..at], after, false),
        Some(at) if manner == Manner::Email => (&line[..at], &text[at + 1..], true),
        _ => (line.strip_suffix('\r').unwrap_or(line), after, false),
    }
}

impl<'text> Headers<'text> {
    /// Splits a text into headers and body. `read` names the headers that somebody looks at:
    /// readers have to agree on those.
    ///
    /// # Errors
    /// What makes everything behind it uncertain. Other problems are in [`Headers::errors`].
    pub fn parse(
        bytes: &'text [u8],
        file: HeaderFile,
        read: &[&'static str],
    ) -> Result<Self, HeaderError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| HeaderError::NotUtf8 { file, offset: error.valid_up_to() })?;
        if text.starts_with('\u{feff}') {
            return Err(HeaderError::ByteOrderMark { file });
        }
        let mut found = Self::take(text, file, Manner::Email)?;
        if !found.errors.is_empty() {
            let other = Self::take(text, file, Manner::Lenient)?;
            for &name in read {
                if !found
                    .all(name)
                    .map(|header| &header.value)
                    .eq(other.all(name).map(|header| &header.value))
                {
                    found.errors.push(HeaderError::Ambiguous { file, name });
                }
            }
        }
        Ok(found)
    }

    fn take(text: &'text str, file: HeaderFile, manner: Manner) -> Result<Self, HeaderError> {
        let mut headers: Vec<Header<'text>> = Vec::new();
        let mut errors = Vec::new();
        // One is enough to say that the text is wrong.
        let mut report = |error: &dyn Fn() -> HeaderError| {
            if errors.len() < ERROR_LIMIT {
                errors.push(error());
            }
        };
        let mut rest = text;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let (line, after, bare) = take_line(rest, manner);
            if line.is_empty() && !bare {
                rest = after;
                break;
            }
            if bare {
                report(&|| HeaderError::Character { file, line: number, character: '\r' });
            } else if memchr::memchr(0, line.as_bytes()).is_some() {
                report(&|| HeaderError::Character { file, line: number, character: '\0' });
            }
            let before = std::mem::replace(&mut rest, after);
            if line.is_empty() {
                break;
            }
            let wrong =
                || HeaderError::Line { file, line: number, text: line.chars().take(60).collect() };
            if line.starts_with([' ', '\t']) {
                match headers.last_mut() {
                    Some(last) => last.value.to_mut().push_str(line),
                    None => report(&wrong),
                }
                continue;
            }
            let colon = memchr::memchr(b':', line.as_bytes());
            let split = colon
                .map(|at| (&line[..at], &line[at + 1..]))
                .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_graphic()));
            match split {
                Some((name, value)) if !name.is_empty() => {
                    if headers.len() == HEADER_LIMIT {
                        return Err(HeaderError::TooMany { file });
                    }
                    headers.push(Header { name, value: Cow::Borrowed(value), line: number });
                }
                _ => {
                    report(&wrong);
                    // The `email` parser passes over a header without a name, and over the first
                    // line of a mailbox.
                    if manner == Manner::Email && split.is_none() && !line.starts_with("From ") {
                        rest = before;
                        break;
                    }
                }
            }
        }
        for header in &mut headers {
            header.value = match std::mem::take(&mut header.value) {
                Cow::Borrowed(value) => Cow::Borrowed(value.trim_matches([' ', '\t'])),
                Cow::Owned(value) => Cow::Owned(value.trim_matches([' ', '\t']).to_owned()),
            };
        }
        Ok(Self { headers, body: rest, errors })
    }

    /// The headers of a name, without regard to case, in the order of the text.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Header<'text>> {
        self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name))
    }

    /// The first header of a name; further ones are reported, and that there is none where it must
    /// be there. `same` says whether two values mean the same.
    pub(super) fn single(
        &self,
        Single { file, name, is_required }: Single,
        same: impl Fn(&str, &str) -> bool,
        errors: &mut Vec<HeaderError>,
    ) -> Option<&str> {
        let mut found = self.all(name);
        let Some(first) = found.next() else {
            errors.extend(is_required.then_some(HeaderError::Missing { file, name }));
            return None;
        };
        let first = &*first.value;
        let mut again: Vec<&Header<'_>> = found.collect();
        // Of many the first one that says something else is told.
        again.sort_by_key(|header| same(first, &header.value));
        errors.extend(again.first().map(|header| match same(first, &header.value) {
            true => HeaderError::Same { file, line: header.line, name },
            false => HeaderError::Repeated {
                file,
                line: header.line,
                name,
                decisive: DECISIVE.contains(&name),
            },
        }));
        Some(first)
    }
}

/// A header that may stand in a file once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Single {
    file: HeaderFile,
    name: &'static str,
    is_required: bool,
}

impl Single {
    /// One that may be missing.
    pub(super) fn optional(file: HeaderFile, name: &'static str) -> Self {
        Self { file, name, is_required: false }
    }

    /// One that may not.
    pub(super) fn required(file: HeaderFile, name: &'static str) -> Self {
        Self { file, name, is_required: true }
    }
}

/// Whether two values are the same text.
pub(super) fn equal(left: &str, right: &str) -> bool {
    left == right
}

/// Reads `MAJOR.MINOR` of a format whose newest major version is `known`.
pub(super) fn format_version(
    file: HeaderFile,
    name: &'static str,
    value: &str,
    known: u32,
    errors: &mut Vec<HeaderError>,
) -> Option<(u32, u32)> {
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())?
    };
    let numbers: Option<Vec<u32>> = value.split('.').map(number).collect();
    let error = match numbers.as_deref() {
        None | Some([]) => HeaderError::FormatVersion { file, name, value: shortened(value) },
        Some([major, ..]) if *major > known => {
            HeaderError::NewerFormat { file, name, value: shortened(value), known }
        }
        Some([major, minor]) => return Some((*major, *minor)),
        Some([major, rest @ ..]) => {
            errors.push(HeaderError::FormatForm { file, name, value: shortened(value) });
            return Some((*major, rest.first().copied().unwrap_or(0)));
        }
    };
    errors.push(error);
    None
}

/// A value of a header as messages quote it.
pub(super) fn shortened(value: &str) -> String {
    match value.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const READ: [&str; 2] = ["Name", "Version"];

    fn headers(text: &str) -> Headers<'_> {
        Headers::parse(text.as_bytes(), HeaderFile::Metadata, &READ).unwrap()
    }

    #[test]
    fn names_have_no_case_and_values_may_be_folded() {
        let found = headers("Name: Foo.Bar\r\nSummary: one\n  two\n\nName: not a header\n");
        assert_eq!((found.body, found.errors.len()), ("Name: not a header\n", 0));
        assert_eq!(
            found.all("NAME").map(|header| (header.line, &*header.value)).collect::<Vec<_>>(),
            [(1, "Foo.Bar")]
        );
        assert_eq!(&*found.headers[1].value, "one  two");
    }

    #[test]
    fn a_line_that_is_none_ends_the_headers_and_hides_none_that_matter() {
        let check = |text: &str, expected: &[&str]| {
            let found = headers(text);
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors.len(), expected.len(), "{text:?}: {errors:?}");
            assert!(
                errors.iter().zip(expected).all(|(error, start)| error.starts_with(start)),
                "{text:?}: {errors:?}"
            );
            found.headers.len()
        };
        let line = |text: &str| format!("line 2 of METADATA is {text:?}, expected");
        let differ = "readers of METADATA see different values of `Version`";
        assert_eq!(check("Name: a\nb\nSummary: x\n", &[&line("b")]), 1);
        check("Name: a\nb\n\nVersion: 1\n", &[&line("b")]);
        check("Name: a\nb\nVersion: 1\n", &[&line("b"), differ]);
        check("Name: a\nversion : 1\nSummary: x\n", &[&line("version : 1")]);
        // What the `email` parser passes over, others do too.
        assert_eq!(check("Name: a\n: x\nVersion: 1\n", &[&line(": x")]), 2);
        assert_eq!(check("Name: a\nFrom x\nVersion: 1\n", &[&line("From x")]), 2);
        assert_eq!(check(" x\nName: a\n", &["line 1 of METADATA is \" x\", expected"]), 1);
        let character =
            |character: char| format!("line 2 of METADATA holds the character {character:?}");
        check("Name: a\nSummary: b\0c\n", &[&character('\0')]);
        check("Name: a\nSummary: b\rSummary: c\n", &[&character('\r')]);
        check("Name: a\nSummary: b\rVersion: 1\n", &[&character('\r'), differ]);
        let third = "line 3 of METADATA holds the character '\\r'";
        check(
            "Name: a\nSummary: b\r\rVersion: 1\nVersion: 2\n",
            &[&character('\r'), third, differ],
        );
    }

    #[test]
    fn texts_that_nothing_is_certain_of_are_refused() {
        let check = |bytes: &[u8], expected: HeaderError| {
            assert_eq!(Headers::parse(bytes, HeaderFile::Wheel, &[]), Err(expected))
        };
        let file = HeaderFile::Wheel;
        check(b"A: \xfc\n", HeaderError::NotUtf8 { file, offset: 3 });
        check("\u{feff}A: b\n".as_bytes(), HeaderError::ByteOrderMark { file });
        check("A:\n".repeat(50_001).as_bytes(), HeaderError::TooMany { file });
        assert!(headers(&"no header\n".repeat(1000)).errors.len() < 30);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "([A-Z]{1,3}:? ?[a-z]{0,3}[\r\n\t ]{0,3}){0,9}") {
            let _ = Headers::parse(&bytes, HeaderFile::Wheel, &READ);
            let _ = Headers::parse(text.as_bytes(), HeaderFile::Wheel, &["A"]);
        }

        #[test]
        fn rendered_headers_are_read(headers in proptest::collection::vec(("[!-9;-~]{1,8}", "[!-~ü]([ -~ü]{0,8}[!-~])?"), 0..6), body in "[a-z:\n]{0,20}") {
            let mut text: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            text += "\n";
            text += &body;
            let found = Headers::parse(text.as_bytes(), HeaderFile::Metadata, &READ).unwrap();
            let ours: Vec<(String, String)> = found.headers.iter().map(|header| (header.name.to_owned(), header.value.to_string())).collect();
            prop_assert_eq!(ours, headers);
            prop_assert_eq!(found.body, body);
            prop_assert_eq!(found.errors, vec![]);
        }
    }
}
