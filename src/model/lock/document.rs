//! TOML read with places: what a key holds, or a problem that says where and what was expected.
//!
//! Model layer. Everything that is wrong is collected; a key that is missing or wrong gives nothing, and reading goes on.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::digest::Hash;
use crate::model::lock::markers::{MarkerId, Markers};
use crate::model::lock::problem::{self, LockError, Place, Problem};
use crate::model::lock::{Artifact, Lock, STRONG, pylock, uv};
use crate::model::name::DistName;

/// A value with its place.
pub(super) type Value<'text> = Spanned<DeValue<'text>>;

/// Reads a lock that is TOML.
pub(super) fn read(text: &str) -> Result<Lock, LockError> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(text);
    for error in &errors {
        reader.problem(error.span().map_or(0, |span| span.start), error.message().to_owned());
    }
    reader.finish()?;
    let root = document.get_ref();
    if root.contains_key("lock-version") {
        pylock::read(root, reader)
    } else if root.contains_key("version")
        && (root.contains_key("package") || root.contains_key("requires-python"))
    {
        uv::read(root, reader)
    } else {
        Err(problem::foreign_toml(|key| root.contains_key(key)))
    }
}

/// Reads values, and remembers what is wrong with them.
pub(super) struct Reader<'text> {
    text: &'text str,
    /// Where lines begin.
    lines: Vec<usize>,
    problems: Vec<(usize, String)>,
    pub(super) markers: Markers,
}

impl<'text> Reader<'text> {
    fn new(text: &'text str) -> Self {
        let lines =
            std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        Self { text, lines, problems: Vec::new(), markers: Markers::default() }
    }

    /// Line and column of a byte.
    pub(super) fn place(&self, at: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines[line - 1];
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        Place { line, column }
    }

    /// Remembers a problem.
    pub(super) fn problem(&mut self, at: usize, message: String) {
        self.problems.push((at, message));
    }

    /// All problems, in the order of the text.
    pub(super) fn finish(&mut self) -> Result<(), LockError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let mut problems = std::mem::take(&mut self.problems);
        problems.sort();
        problems.dedup();
        let problem = |(at, message): (usize, String)| Problem {
            place: self.place(at),
            column: true,
            message,
        };
        Err(LockError::Text(problems.into_iter().map(problem).collect()))
    }

    pub(super) fn expected(&mut self, value: &Value<'_>, key: &str, expected: &str) {
        let found = match value.get_ref() {
            DeValue::String(text) if text.chars().count() <= 40 => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            other => format!("a value of type {}", other.type_str()),
        };
        self.problem(value.span().start, format!("its {key} is {found}, expected {expected}"));
    }

    /// The text of a key.
    pub(super) fn string<'v>(
        &mut self,
        table: &'v DeTable<'_>,
        key: &str,
    ) -> Option<(usize, &'v str)> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((value.span().start, text)),
            _ => {
                self.expected(value, key, "a text");
                None
            }
        }
    }

    /// The same, owned and without its place.
    pub(super) fn text(&mut self, table: &DeTable<'_>, key: &str) -> Option<String> {
        self.string(table, key).map(|(_, text)| text.to_owned())
    }

    /// The versions of Python that a table is for, if that says something.
    pub(super) fn requires_python(
        &mut self,
        table: &DeTable<'_>,
        is_understood: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let key = "requires-python";
        let (at, text) = self.string(table, key)?;
        if !is_understood(text) {
            let expected = "expected versions such as \">=3.11, <4\"";
            self.problem(at, format!("its {key} is {text:?}, {expected}"));
        }
        Some(text.to_owned())
    }

    /// The number of a key.
    pub(super) fn number(&mut self, table: &DeTable<'_>, key: &str) -> Option<u64> {
        let value = table.get(key)?;
        let number = value.get_ref().as_integer();
        let number =
            number.and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none() {
            self.expected(value, key, "a number of bytes");
        }
        number
    }

    /// The values of a list; none where there is no such key.
    pub(super) fn list<'v, 't>(&mut self, table: &'v DeTable<'t>, key: &str) -> &'v [Value<'t>] {
        let Some(value) = table.get(key) else {
            return &[];
        };
        match value.get_ref() {
            DeValue::Array(values) => values,
            _ => {
                self.expected(value, key, "a list");
                &[]
            }
        }
    }

    /// The tables of a list, each with its place.
    pub(super) fn tables<'v, 't>(
        &mut self,
        table: &'v DeTable<'t>,
        key: &str,
    ) -> Vec<(usize, &'v DeTable<'t>)> {
        let mut tables = Vec::new();
        for value in self.list(table, key) {
            match value.get_ref() {
                DeValue::Table(table) => tables.push((value.span().start, table)),
                _ => self.expected(value, key, "tables"),
            }
        }
        tables
    }

    /// The texts of a list.
    pub(super) fn texts<'v>(&mut self, table: &'v DeTable<'_>, key: &str) -> Vec<(usize, &'v str)> {
        let mut texts = Vec::new();
        for value in self.list(table, key) {
            match value.get_ref() {
                DeValue::String(text) => texts.push((value.span().start, &**text)),
                _ => self.expected(value, key, "texts"),
            }
        }
        texts
    }

    /// The table of a key.
    pub(super) fn table<'v, 't>(
        &mut self,
        table: &'v DeTable<'t>,
        key: &str,
    ) -> Option<&'v DeTable<'t>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.expected(value, key, "a table");
                None
            }
        }
    }

    /// The name of a package, which has to be there.
    pub(super) fn name(&mut self, at: usize, table: &DeTable<'_>) -> Option<DistName> {
        let Some(value) = table.get("name") else {
            self.problem(at, "it has no name".to_owned());
            return None;
        };
        let (at, text) = self.string(table, "name").unwrap_or((value.span().start, ""));
        self.parse_name(at, text)
    }

    pub(super) fn parse_name(&mut self, at: usize, text: &str) -> Option<DistName> {
        match DistName::parse(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.problem(at, error.to_string());
                None
            }
        }
    }

    /// The normalised names of a list.
    pub(super) fn names(&mut self, table: &DeTable<'_>, key: &str) -> Vec<String> {
        let texts = self.texts(table, key);
        let names = texts.into_iter().filter_map(|(at, text)| self.parse_name(at, text));
        names.map(|name| name.normalized().to_owned()).collect()
    }

    /// The marker of a key.
    pub(super) fn marker(&mut self, table: &DeTable<'_>, key: &str) -> Option<MarkerId> {
        let (at, text) = self.string(table, key)?;
        self.parse_marker(at, text)
    }

    pub(super) fn parse_marker(&mut self, at: usize, text: &str) -> Option<MarkerId> {
        match self.markers.add(text) {
            Ok(marker) => Some(marker),
            Err(error) => {
                self.problem(at, error.to_string());
                None
            }
        }
    }

    /// Takes a hash over that is written as algorithm and digits.
    pub(super) fn hash(
        &mut self,
        at: usize,
        algorithm: &str,
        digits: &str,
        artifact: &mut Artifact,
    ) {
        let rank = |name: &str| STRONG.iter().position(|known| *known == name);
        if algorithm == "sha256" {
            match Hash::parse_hex(&digits.to_ascii_lowercase()) {
                Ok(hash) => artifact.sha256 = Some(hash),
                Err(error) => self.problem(at, format!("its SHA-256 is none: {error}")),
            }
        } else if let Some(own) = rank(algorithm)
            && artifact
                .other_hash
                .as_ref()
                .and_then(|(known, _)| rank(known))
                .is_none_or(|known| own < known)
        {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                self.problem(at, format!("its {algorithm} is no hexadecimal number"));
            }
            artifact.other_hash = Some((algorithm.to_owned(), digits.to_ascii_lowercase()));
        }
    }
}

/// The file name at the end of a path or URL: without query and fragment, percent-decoded.
pub(super) fn last_component(text: &str, url: bool) -> String {
    let text = if url { text.split(['?', '#']).next().unwrap_or(text) } else { text };
    let last = text
        .trim_end_matches('/')
        .rsplit(['/', if url { '/' } else { '\\' }])
        .next()
        .unwrap_or_default();
    if !url || !last.contains('%') {
        return last.to_owned();
    }
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = last.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| last.to_owned())
}

/// An address without the name and password of a user, which belong into no output.
pub(super) fn public(address: &str) -> String {
    let Some((before, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find(['/', '?', '#', ' ']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{before}://{host}{}", &rest[end..]),
        None => address.to_owned(),
    }
}
