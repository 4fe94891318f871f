//! `RECORD`, the list of a distribution's files with their hashes and sizes: read strictly, written
//! canonically.
//!
//! Model layer. The recording specification says CSV with three columns: path, `ALGORITHM=HASH` in
//! unpadded base64url, size. The reader keeps every row that can be used and reports every rule
//! broken, with the row; which of them stop an installation is for the table of findings to say.
//! Rows borrow the text: only quoted paths are copied. (The `csv` crate would copy every row, and
//! passes over misplaced quotes that Python's reader and others take differently.)

use std::borrow::Cow;
use std::fmt;

use super::tally::Tally;
use crate::model::digest::Hash;

/// A hash of a row, by the algorithm that the row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordHash {
    /// SHA-256.
    Sha256(Hash),
    /// SHA-384.
    Sha384(Box<[u8; 48]>),
    /// SHA-512.
    Sha512(Box<[u8; 64]>),
}

impl RecordHash {
    /// The algorithm's name in `RECORD`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha384(_) => "sha384",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The raw bytes of the hash.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(hash) => hash.as_bytes(),
            Self::Sha384(bytes) => &bytes[..],
            Self::Sha512(bytes) => &bytes[..],
        }
    }

    /// The hash as SHA-256, which predicts the digest of a file without reading it.
    pub fn sha256(&self) -> Option<Hash> {
        match self {
            Self::Sha256(hash) => Some(*hash),
            Self::Sha384(_) | Self::Sha512(_) => None,
        }
    }
}

impl fmt::Display for RecordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.algorithm(), encode_base64url(self.as_bytes()))
    }
}

/// One row: what a distribution says about one of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'text> {
    /// The path, relative to the wheel's root; checked to be one that cannot escape and that has
    /// one spelling only.
    pub path: Cow<'text, str>,
    /// The hash, where there is one that can be used.
    pub hash: Option<RecordHash>,
    /// The size in bytes, where there is one.
    pub size: Option<u64>,
    /// The number of the row, from 1; blank lines count.
    pub number: usize,
}

/// What a `RECORD` says: one row for each path, sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record<'text> {
    rows: Vec<Row<'text>>,
    /// The most rows that are kept.
    limit: usize,
    problems: Vec<RecordProblem>,
    tally: Tally<RecordProblemKind>,
}

/// A rule that a `RECORD` breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of RECORD{}: {kind}", path.as_ref().map(|path| format!(" ({path:?})")).unwrap_or_default())]
pub struct RecordProblem {
    /// The number of the row, from 1.
    pub row: usize,
    /// The row's path, where it could be read.
    pub path: Option<String>,
    /// Which rule.
    pub kind: RecordProblemKind,
}

/// The rules of `RECORD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblemKind {
    /// Bytes that are not UTF-8.
    #[error("the row is not UTF-8")]
    NotUtf8,
    /// The file begins with U+FEFF, which would become part of the first path.
    #[error("the file begins with a byte order mark")]
    ByteOrderMark,
    /// A line without anything.
    #[error("the row is empty")]
    Blank,
    /// Not three columns.
    #[error("{found} columns, expected three: path, hash, size")]
    Columns {
        /// The number of columns.
        found: usize,
    },
    /// Quotes within a field, after a quoted field, or never closed.
    #[error("a quote where none can stand, or one that is never closed")]
    Quotes,
    /// A folder, written as archives write them: RECORD lists files.
    #[error("a folder, expected files only")]
    Folder,
    /// A path that no member of a wheel can have, or one that two readers could understand
    /// differently.
    #[error("{0}")]
    Path(RowPathError),
    /// MD5, SHA-1 or SHA-224.
    #[error(
        "the hash algorithm `{name}`, which the specification forbids, expected sha256 or better"
    )]
    WeakAlgorithm {
        /// The name.
        name: String,
    },
    /// An algorithm that is not known here, so its hash proves nothing.
    #[error("the hash algorithm `{name}`, expected sha256, sha384 or sha512")]
    UnknownAlgorithm {
        /// The name.
        name: String,
    },
    /// Text without `=`.
    #[error("`{text}` as hash, expected ALGORITHM=HASH")]
    NoAlgorithm {
        /// The column.
        text: String,
    },
    /// A padded hash: it means the same, and is written without padding.
    #[error("a hash with base64 padding, expected none")]
    Padding,
    /// A hash in the alphabet of ordinary base64, with `+` and `/`: it means the same, and is
    /// written in base64url.
    #[error("a hash in ordinary base64, expected base64url: `-` and `_` instead of `+` and `/`")]
    OrdinaryAlphabet,
    /// A hash in hexadecimal: it means the same, and is written in base64url.
    #[error("a hash in hexadecimal, expected base64url")]
    Hexadecimal,
    /// Another name of an algorithm that is known.
    #[error("the hash algorithm is written `{name}`, expected {expected}")]
    AlgorithmName {
        /// The name found.
        name: String,
        /// The name in the specification.
        expected: &'static str,
    },
    /// More rows than a wheel with so few members needs.
    #[error("RECORD has more than {limit} rows; those behind them are not read")]
    TooManyRows {
        /// The most that are read.
        limit: usize,
    },
    /// A character outside of base64url, or padding of the wrong length.
    #[error("`{text}` is not base64url")]
    Alphabet {
        /// The hash without its algorithm.
        text: String,
    },
    /// Another number of characters than the algorithm's hashes have.
    #[error("a hash of {found} characters, expected {expected} for {algorithm}")]
    HashLength {
        /// The algorithm.
        algorithm: &'static str,
        /// The number of characters found.
        found: usize,
        /// The number of characters that such a hash has.
        expected: usize,
    },
    /// The last character holds bits that the hash has no room for.
    #[error("the last character of the hash holds bits beyond its end")]
    TrailingBits,
    /// No number of bytes.
    #[error("`{text}` as size, expected decimal digits")]
    Size {
        /// The column.
        text: String,
    },
    /// A file without a hash: nothing vouches for it.
    #[error("no hash")]
    NoHash,
    /// The same row once more.
    #[error("the same as row {first}")]
    Repeated {
        /// The first row for the path.
        first: usize,
    },
    /// Another row for the same path that says something else.
    #[error("another hash or size than row {first} has for this path")]
    Contradiction {
        /// The first row for the path.
        first: usize,
    },
    /// `RECORD`'s own row has a hash or a size, which cannot be right: it would have to contain
    /// itself.
    #[error("a hash or size for RECORD itself, expected none")]
    OwnHash,
    /// There is no row for `RECORD` itself.
    #[error("no row for RECORD itself")]
    NoOwnRow,
    /// A row for a signature, which is made after `RECORD` and cannot be listed in it.
    #[error("a row for a signature of RECORD, which cannot be listed in it")]
    Signature,
}

/// Why a path cannot stand in a wheel's `RECORD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowPathError {
    /// Nothing.
    #[error("an empty path")]
    Empty,
    /// A slash at the beginning.
    #[error("an absolute path")]
    Absolute,
    /// A drive letter at the beginning.
    #[error("a path with a drive letter")]
    Drive,
    /// A component `..`.
    #[error("a path with `..`, which could lead out of the environment")]
    Escape,
    /// A component `.`, or an empty one: another spelling of a path.
    #[error("a path with a component that is empty or `.`")]
    Spelling,
    /// A backslash: a separator on one system, part of a name on another.
    #[error("a path with a backslash, expected `/`")]
    Backslash,
    /// A control character, or one that Python takes for the end of a line.
    #[error("a path with a control character or a line separator")]
    Control,
}

impl<'text> Record<'text> {
    /// Reads a `RECORD`. `own_path` is the path of the file itself, such as
    /// `six-1.16.0.dist-info/RECORD`.
    ///
    /// Never fails: what cannot be read is in [`Record::problems`], and the rest is in
    /// [`Record::rows`].
    pub fn parse(bytes: &'text [u8], own_path: &str) -> Self {
        Self::parse_rows(bytes, own_path, usize::MAX)
    }

    /// The same for a file of which so many rows at most are kept: a short one takes more memory
    /// than its text.
    pub fn parse_rows(bytes: &'text [u8], own_path: &str, limit: usize) -> Self {
        // Rows with a hash have a hundred bytes and more.
        let rows = Vec::with_capacity((bytes.len() / 80).min(limit));
        let mut record = Self { rows, limit, problems: Vec::new(), tally: Tally::default() };
        let mut rest = bytes;
        if let Some(without) = bytes.strip_prefix("\u{feff}".as_bytes()) {
            record.report(1, None, RecordProblemKind::ByteOrderMark);
            rest = without;
        }
        // Nearly all files are UTF-8 without quotes; then rows are lines, and need not be looked at
        // again.
        let quotes = memchr::memchr(b'"', rest).is_some();
        let mut number = 0;
        if let (false, Ok(mut text)) = (quotes, std::str::from_utf8(rest)) {
            while !text.is_empty() && record.has_room(number) {
                number += 1;
                let end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
                let line = &text[..end];
                text = text.get(end + 1..).unwrap_or_default();
                record.read_line(line.strip_suffix('\r').unwrap_or(line), number, own_path);
            }
        } else {
            while !rest.is_empty() && record.has_room(number) {
                number += 1;
                let (line, after) = take_row(rest);
                rest = after;
                match std::str::from_utf8(line) {
                    Ok(line) => record.read_row(line, number, own_path),
                    Err(_) => record.report(number, None, RecordProblemKind::NotUtf8),
                }
            }
        }
        record.sort();
        if record.get(own_path).is_none() {
            record.report(number.max(1), None, RecordProblemKind::NoOwnRow);
        }
        record.problems.sort_by_key(|problem| problem.row);
        record
    }

    /// The usable rows: one for each path, sorted by the bytes of the path. `RECORD`'s own row is
    /// among them.
    pub fn rows(&self) -> &[Row<'text>] {
        &self.rows
    }

    /// The row for a path.
    pub fn get(&self, path: &str) -> Option<&Row<'text>> {
        self.rows
            .binary_search_by(|row| row.path.as_ref().cmp(path))
            .ok()
            .map(|index| &self.rows[index])
    }

    /// Every rule broken, by row; of each rule at least the first hundred times.
    pub fn problems(&self) -> &[RecordProblem] {
        &self.problems
    }

    /// How many further problems there are, by kind, each of a kind that is among
    /// [`Record::problems`].
    pub fn omitted(&self) -> Vec<(RecordProblemKind, u64)> {
        self.tally.omitted()
    }

    /// Whether one more row can be kept; reported otherwise.
    fn has_room(&mut self, number: usize) -> bool {
        let room = self.rows.len() < self.limit;
        if !room {
            self.report(number, None, RecordProblemKind::TooManyRows { limit: self.limit });
        }
        room
    }

    fn report(&mut self, row: usize, path: Option<&str>, kind: RecordProblemKind) {
        if !self.tally.admit(&kind) {
            return;
        }
        self.problems.push(RecordProblem { row, path: path.map(str::to_owned), kind });
    }

    /// Reads a row that holds no quotes.
    fn read_line(&mut self, line: &'text str, number: usize, own_path: &str) {
        let mut commas = memchr::memchr_iter(b',', line.as_bytes());
        if let (Some(first), Some(second), None) = (commas.next(), commas.next(), commas.next()) {
            self.read_fields(
                Cow::Borrowed(&line[..first]),
                &line[first + 1..second],
                &line[second + 1..],
                number,
                own_path,
            );
        } else {
            // Blank, or with too few or too many columns.
            self.read_row(line, number, own_path);
        }
    }

    fn read_row(&mut self, line: &'text str, number: usize, own_path: &str) {
        if line.is_empty() {
            return self.report(number, None, RecordProblemKind::Blank);
        }
        match split_fields(line) {
            Ok(([path, hash, size], 3)) => self.read_fields(path, &hash, &size, number, own_path),
            Ok(([path, ..], found)) => {
                self.report(number, Some(&path), RecordProblemKind::Columns { found })
            }
            Err(kind) => self.report(number, None, kind),
        }
    }

    fn read_fields(
        &mut self,
        path: Cow<'text, str>,
        hash: &str,
        size: &str,
        number: usize,
        own_path: &str,
    ) {
        if let Err(error) = check_path(&path) {
            let folder = path.strip_suffix('/').is_some_and(|folder| check_path(folder).is_ok());
            let kind =
                if folder { RecordProblemKind::Folder } else { RecordProblemKind::Path(error) };
            return self.report(number, Some(&path), kind);
        }
        if *path == *own_path {
            if !hash.is_empty() || !size.is_empty() {
                self.report(number, Some(&path), RecordProblemKind::OwnHash);
            }
            return self.rows.push(Row { path, hash: None, size: None, number });
        }
        if path.strip_prefix(own_path).is_some_and(|suffix| matches!(suffix, ".jws" | ".p7s")) {
            return self.report(number, Some(&path), RecordProblemKind::Signature);
        }
        let hash = if hash.is_empty() {
            self.report(number, Some(&path), RecordProblemKind::NoHash);
            None
        } else {
            match parse_hash(hash) {
                Ok((hash, form)) => {
                    if form.padded {
                        self.report(number, Some(&path), RecordProblemKind::Padding);
                    }
                    if form.ordinary {
                        self.report(number, Some(&path), RecordProblemKind::OrdinaryAlphabet);
                    }
                    if form.hexadecimal {
                        self.report(number, Some(&path), RecordProblemKind::Hexadecimal);
                    }
                    if let Some(name) = form.name {
                        self.report(
                            number,
                            Some(&path),
                            RecordProblemKind::AlgorithmName { name, expected: hash.algorithm() },
                        );
                    }
                    Some(hash)
                }
                Err(kind) => {
                    self.report(number, Some(&path), kind);
                    None
                }
            }
        };
        let plain = size.bytes().all(|byte| byte.is_ascii_digit())
            && (!size.starts_with('0') || size.len() == 1);
        let parsed = size.parse().ok().filter(|_| plain);
        if parsed.is_none() && !size.is_empty() {
            self.report(number, Some(&path), RecordProblemKind::Size { text: size.to_owned() });
        }
        self.rows.push(Row { path, hash, size: parsed, number });
    }

    /// Sorts by path, and for equal paths keeps the first row; what they contradict each other in
    /// is known of none.
    fn sort(&mut self) {
        // A stable sort keeps equal paths in the order of the file, and is quick where the file is
        // in order already.
        self.rows.sort_by(|left, right| left.path.cmp(&right.path));
        let (problems, tally) = (&mut self.problems, &mut self.tally);
        self.rows.dedup_by(|later, first| {
            if later.path != first.path {
                return false;
            }
            let same = (&later.hash, later.size) == (&first.hash, first.size);
            let kind = if same {
                RecordProblemKind::Repeated { first: first.number }
            } else {
                (first.hash, first.size) = (None, None);
                RecordProblemKind::Contradiction { first: first.number }
            };
            if tally.admit(&kind) {
                problems.push(RecordProblem {
                    row: later.number,
                    path: Some(first.path.to_string()),
                    kind,
                });
            }
            true
        });
    }
}

/// Renders a canonical `RECORD`: `own_path` without hash and size, and every other file; sorted by
/// the bytes of the path, each row ended by a line feed. Of two entries for one path the first one
/// is written.
pub fn render<'path>(
    own_path: &'path str,
    files: impl IntoIterator<Item = (&'path str, Hash, u64)>,
) -> Vec<u8> {
    let mut rows: Vec<(&str, Option<(Hash, u64)>)> = vec![(own_path, None)];
    rows.extend(files.into_iter().map(|(path, hash, size)| (path, Some((hash, size)))));
    // Stable, and quick where the files are in order already.
    rows.sort_by_key(|(path, _)| *path);
    rows.dedup_by_key(|(path, _)| *path);
    let mut text = Vec::with_capacity(rows.iter().map(|(path, _)| path.len() + 64).sum());
    for (path, content) in rows {
        push_field(&mut text, path);
        match content {
            None => text.extend_from_slice(b",,\n"),
            Some((hash, size)) => {
                text.extend_from_slice(b",sha256=");
                push_base64url(&mut text, hash.as_bytes());
                text.push(b',');
                push_number(&mut text, size);
                text.push(b'\n');
            }
        }
    }
    text
}

/// A field as CSV has it: quoted where it must be.
fn push_field(text: &mut Vec<u8>, field: &str) {
    if memchr::memchr3(b',', b'"', b'\n', field.as_bytes()).is_none() && !field.contains('\r') {
        return text.extend_from_slice(field.as_bytes());
    }
    text.push(b'"');
    text.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    text.push(b'"');
}

fn push_number(text: &mut Vec<u8>, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(b'0' + (number % 10) as u8);
}

/// Takes the first row, without its line end, which a quoted field may contain.
fn take_row(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let mut line = &bytes[..end];
    let mut after = bytes.get(end + 1..).unwrap_or_default();
    // Only fields that begin with a quote can go on in the next line; then there is an odd number
    // of quotes until they end.
    if (line.first() == Some(&b'"') || line.windows(2).any(|pair| pair == b",\""))
        && line.iter().filter(|&&byte| byte == b'"').count() % 2 == 1
    {
        let mut open = true;
        let mut length = end;
        for &byte in &bytes[end..] {
            match byte {
                b'"' => open = !open,
                b'\n' if !open => break,
                _ => {}
            }
            length += 1;
        }
        line = &bytes[..length];
        after = bytes.get(length + 1..).unwrap_or_default();
    }
    (line.strip_suffix(b"\r").unwrap_or(line), after)
}

/// Splits a row into its first three fields, and counts all.
fn split_fields(line: &str) -> Result<([Cow<'_, str>; 3], usize), RecordProblemKind> {
    let mut fields = [Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed("")];
    let mut found = 0;
    let mut rest = Some(line);
    while let Some(text) = rest {
        let field;
        (field, rest) = if let Some(quoted) = text.strip_prefix('"') {
            let (content, after) = take_quoted(quoted).ok_or(RecordProblemKind::Quotes)?;
            match after.strip_prefix(',') {
                Some(after) => (content, Some(after)),
                None if after.is_empty() => (content, None),
                None => return Err(RecordProblemKind::Quotes),
            }
        } else {
            let (field, after) = match text.split_once(',') {
                Some((field, after)) => (field, Some(after)),
                None => (text, None),
            };
            if field.contains('"') {
                return Err(RecordProblemKind::Quotes);
            }
            (Cow::Borrowed(field), after)
        };
        if let Some(place) = fields.get_mut(found) {
            *place = field;
        }
        found += 1;
    }
    Ok((fields, found))
}

/// The content of a quoted field whose opening quote was taken, and what follows the closing one.
fn take_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    let mut doubled = false;
    loop {
        let quote = from + text[from..].find('"')?;
        if text[quote + 1..].starts_with('"') {
            doubled = true;
            from = quote + 2;
            continue;
        }
        let content = &text[..quote];
        let content = if doubled {
            Cow::Owned(content.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(content)
        };
        return Some((content, &text[quote + 1..]));
    }
}

/// Checks that a path cannot escape and has one spelling only. Paths of wheels are relative and
/// separated by `/`.
fn check_path(path: &str) -> Result<(), RowPathError> {
    let bytes = path.as_bytes();
    // Line ends within names: Python's `str.splitlines`, which reads installed RECORDs, knows more
    // of them than `\n` and `\r`. Beyond ASCII they are C2 80…C2 9F (the controls) and E2 80 A8, E2
    // 80 A9.
    let mut control = false;
    let mut backslash = false;
    let mut wide = false;
    for &byte in bytes {
        control |= byte < 0x20 || byte == 0x7f;
        backslash |= byte == b'\\';
        wide |= byte >= 0x80;
    }
    if control
        || wide
            && path.chars().any(|character| {
                character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
            })
    {
        return Err(RowPathError::Control);
    }
    if path.is_empty() {
        return Err(RowPathError::Empty);
    }
    if backslash {
        return Err(RowPathError::Backslash);
    }
    if bytes[0] == b'/' {
        return Err(RowPathError::Absolute);
    }
    if bytes[0].is_ascii_alphabetic() && bytes.get(1) == Some(&b':') {
        return Err(RowPathError::Drive);
    }
    // Only components that are empty or begin with a full stop need a second look.
    let odd = |end: usize| matches!(bytes.get(end + 1), None | Some(b'.' | b'/'));
    if bytes[0] == b'.' || memchr::memchr_iter(b'/', bytes).any(odd) {
        let component = |wanted: &str| path.split('/').any(|component| component == wanted);
        if component("..") {
            return Err(RowPathError::Escape);
        }
        if component("") || component(".") {
            return Err(RowPathError::Spelling);
        }
    }
    Ok(())
}

/// What is unusual, but unambiguous, in how a hash is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct HashForm {
    padded: bool,
    ordinary: bool,
    hexadecimal: bool,
    /// The algorithm's name, where it is not that of the specification.
    name: Option<String>,
}

/// Reads `ALGORITHM=HASH`.
fn parse_hash(text: &str) -> Result<(RecordHash, HashForm), RecordProblemKind> {
    let (name, hash) = text
        .split_once('=')
        .ok_or_else(|| RecordProblemKind::NoAlgorithm { text: text.to_owned() })?;
    let decode_as = |name: &str| match name {
        "sha256" => Some(
            decode::<32>("sha256", hash)
                .map(|(bytes, form)| (RecordHash::Sha256(Hash::new(bytes)), form)),
        ),
        "sha384" => Some(
            decode::<48>("sha384", hash)
                .map(|(bytes, form)| (RecordHash::Sha384(Box::new(bytes)), form)),
        ),
        "sha512" => Some(
            decode::<64>("sha512", hash)
                .map(|(bytes, form)| (RecordHash::Sha512(Box::new(bytes)), form)),
        ),
        _ => None,
    };
    if let Some(found) = decode_as(name) {
        return found;
    }
    // `SHA256`, `sha-256`, `sha2_256`: other names of the same, and of none else.
    let plain = name.trim_matches([' ', '\t']).to_ascii_lowercase().replace(['-', '_'], "");
    let plain = plain
        .strip_prefix("sha2")
        .filter(|rest| matches!(*rest, "256" | "384" | "512"))
        .map_or(plain.clone(), |rest| format!("sha{rest}"));
    match decode_as(&plain) {
        Some(found) => {
            found.map(|(hash, form)| (hash, HashForm { name: Some(name.to_owned()), ..form }))
        }
        None if matches!(&*plain, "md5" | "sha1" | "sha224") => {
            Err(RecordProblemKind::WeakAlgorithm { name: name.to_owned() })
        }
        None => Err(RecordProblemKind::UnknownAlgorithm { name: name.to_owned() }),
    }
}

/// Decodes a hash of `N` bytes in hexadecimal. No hash in base64 has so many digits.
fn decode_hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(bytes)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Marks of [`VALUES`], above the six bits of a value: no digit at all, one of ordinary base64
/// only.
const NO_DIGIT: u16 = 0x100;
const ORDINARY_DIGIT: u16 = 0x400;

/// For each byte its value in base64url or ordinary base64, with marks.
const VALUES: [u16; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut index = 0;
    while index < ALPHABET.len() {
        values[ALPHABET[index] as usize] = index as u16;
        index += 1;
    }
    values[b'+' as usize] = 62 | ORDINARY_DIGIT;
    values[b'/' as usize] = 63 | ORDINARY_DIGIT;
    values
};

/// Decodes a hash of `N` bytes: in base64url, in ordinary base64, where a mixture is no more
/// ambiguous, or in hexadecimal.
fn decode<const N: usize>(
    algorithm: &'static str,
    text: &str,
) -> Result<([u8; N], HashForm), RecordProblemKind> {
    if let Some(bytes) = decode_hexadecimal(text) {
        return Ok((bytes, HashForm { hexadecimal: true, ..HashForm::default() }));
    }
    let plain = text.trim_end_matches('=').as_bytes();
    let padding = text.len() - plain.len();
    let expected = (N * 8).div_ceil(6);
    let mut bytes = [0; N];
    let mut marks = 0;
    let mut trailing = 0;
    // Whole groups of four digits and three bytes, then what is left: `N` is no multiple of three
    // for all algorithms.
    let groups = plain.chunks_exact(4);
    let rest = groups.remainder();
    for (digits, bytes) in groups.zip(bytes.chunks_exact_mut(3)) {
        let mut joined = 0;
        for &digit in digits {
            let value = VALUES[usize::from(digit)];
            marks |= value;
            joined = joined << 6 | u32::from(value & 63);
        }
        bytes.copy_from_slice(&joined.to_be_bytes()[1..]);
    }
    if plain.len() == expected && !rest.is_empty() {
        let value = |index: usize| rest.get(index).map_or(0, |&digit| VALUES[usize::from(digit)]);
        let [first, second, third] = [value(0), value(1), value(2)];
        let last = [
            (first as u8) << 2 | second as u8 >> 4,
            (second as u8) << 4 | third as u8 >> 2,
            (third as u8) << 6,
        ];
        let left = N % 3;
        bytes[N - left..].copy_from_slice(&last[..left]);
        trailing = last[left];
    }
    let unread = if plain.len() == expected { rest } else { plain };
    marks = unread.iter().fold(marks, |marks, &byte| marks | VALUES[usize::from(byte)]);
    if marks & NO_DIGIT != 0 || padding > 3 {
        return Err(RecordProblemKind::Alphabet { text: text.to_owned() });
    }
    if plain.len() != expected {
        return Err(RecordProblemKind::HashLength { algorithm, found: plain.len(), expected });
    }
    if trailing != 0 {
        return Err(RecordProblemKind::TrailingBits);
    }
    Ok((
        bytes,
        HashForm {
            padded: padding > 0,
            ordinary: marks & ORDINARY_DIGIT != 0,
            ..HashForm::default()
        },
    ))
}

/// Encodes bytes in base64url without padding, as `RECORD` has its hashes.
pub fn encode_base64url(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity((bytes.len() * 8).div_ceil(6));
    push_base64url(&mut text, bytes);
    String::from_utf8(text).expect("the alphabet is ASCII")
}

fn push_base64url(text: &mut Vec<u8>, bytes: &[u8]) {
    for group in bytes.chunks(3) {
        let value = |index: usize| group.get(index).map_or(0, |&byte| usize::from(byte));
        let joined = value(0) << 16 | value(1) << 8 | value(2);
        let digit = |shift: u32| ALPHABET[joined >> shift & 63];
        text.extend_from_slice(&[digit(18), digit(12), digit(6), digit(0)][..=group.len()]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: &str = "a-1.dist-info/RECORD";
    const EMPTY: &str = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    fn kinds(text: &[u8]) -> Vec<(usize, RecordProblemKind)> {
        let record = Record::parse(text, OWN);
        record.problems().iter().map(|problem| (problem.row, problem.kind.clone())).collect()
    }

    #[test]
    fn a_good_file_has_rows_and_no_problems() {
        let text = format!("b.py,{EMPTY},0\r\n\"a,\"\"b\"\".py\",{EMPTY},0\n{OWN},,\n");
        let record = Record::parse(text.as_bytes(), OWN);
        assert_eq!(record.problems(), []);
        let paths: Vec<&str> = record.rows().iter().map(|row| row.path.as_ref()).collect();
        assert_eq!(paths, ["a,\"b\".py", OWN, "b.py"]);
        let row = record.get("b.py").unwrap();
        assert_eq!(
            (row.hash.as_ref().and_then(RecordHash::sha256), row.size, row.number),
            (Some(Hash::sha256(b"")), Some(0), 1)
        );
        assert!(matches!(row.path, Cow::Borrowed(_)));
        assert_eq!(row.hash.as_ref().unwrap().to_string(), EMPTY);
        assert!(record.get("c.py").is_none());
    }

    #[test]
    fn every_rule_has_its_problem() {
        use RecordProblemKind as Kind;
        let check = |row: &str, expected: &[Kind]| {
            let found = kinds(format!("{row}\n{OWN},,\n").as_bytes());
            assert_eq!(
                found.iter().map(|(_, kind)| kind.clone()).collect::<Vec<_>>(),
                expected,
                "{row}"
            );
            assert!(found.iter().all(|(row, _)| *row == 1), "{row}");
        };
        let hash = EMPTY.strip_prefix("sha256=").unwrap();
        let own = |text: &str| text.to_owned();
        check("", &[Kind::Blank]);
        check("a.py", &[Kind::Columns { found: 1 }]);
        check("a.py,", &[Kind::Columns { found: 2 }]);
        check("a.py,,,", &[Kind::Columns { found: 4 }]);
        check("a.py,,0", &[Kind::NoHash]);
        check("a\".py,,0", &[Kind::Quotes]);
        check("\"a\".py,,0", &[Kind::Quotes]);
        check(&format!("\"a\rb\",{EMPTY},0"), &[Kind::Path(RowPathError::Control)]);
        check(&format!("a.py,md5={hash},0"), &[Kind::WeakAlgorithm { name: own("md5") }]);
        check(&format!("a.py,SHA1={hash},0"), &[Kind::WeakAlgorithm { name: own("SHA1") }]);
        check(&format!("a.py,sha224={hash},0"), &[Kind::WeakAlgorithm { name: own("sha224") }]);
        check(
            &format!("a.py,blake2b={hash},0"),
            &[Kind::UnknownAlgorithm { name: own("blake2b") }],
        );
        for name in ["SHA256", "sha-256", "Sha_256", "sha2-256", "sha256 "] {
            check(
                &format!("a.py,{name}={hash},0"),
                &[Kind::AlgorithmName { name: own(name), expected: "sha256" }],
            );
        }
        for name in ["sha25", "sha2", "sha3-256", "sha", "sha2256x"] {
            check(&format!("a.py,{name}={hash},0"), &[Kind::UnknownAlgorithm { name: own(name) }]);
        }
        check("a.py,sha256,0", &[Kind::NoAlgorithm { text: own("sha256") }]);
        check(&format!("a.py,{EMPTY}=,0"), &[Kind::Padding]);
        check(&format!("a.py,{EMPTY}==,0"), &[Kind::Padding]);
        check(&format!("a.py,{EMPTY}====,0"), &[Kind::Alphabet { text: format!("{hash}====") }]);
        let standard = hash.replace('-', "+").replace('_', "/");
        check(&format!("a.py,sha256={standard},0"), &[Kind::OrdinaryAlphabet]);
        check(&format!("a.py,sha256={standard}=,0"), &[Kind::Padding, Kind::OrdinaryAlphabet]);
        let mixed = hash.replace('-', "+");
        check(&format!("a.py,sha256={mixed},0"), &[Kind::OrdinaryAlphabet]);
        check("a.py,sha256=!,0", &[Kind::Alphabet { text: own("!") }]);
        let length = |algorithm, found, expected| Kind::HashLength { algorithm, found, expected };
        check("a.py,sha256=,0", &[length("sha256", 0, 43)]);
        check(&format!("a.py,{},0", &EMPTY[..49]), &[length("sha256", 42, 43)]);
        check(&format!("a.py,sha256={},0", "ab".repeat(32)), &[Kind::Hexadecimal]);
        check(&format!("a.py,sha256={},0", "ag".repeat(32)), &[length("sha256", 64, 43)]);
        check(&format!("a.py,sha256={},0", "ab".repeat(31)), &[length("sha256", 62, 43)]);
        check(
            &format!("a.py,SHA512={},0", "AB".repeat(64)),
            &[Kind::Hexadecimal, Kind::AlgorithmName { name: own("SHA512"), expected: "sha512" }],
        );
        check(&format!("a.py,sha512={hash},0"), &[length("sha512", 43, 86)]);
        check(&format!("a.py,{}V,0", &EMPTY[..49]), &[Kind::TrailingBits]);
        let long = encode_base64url(&[0; 64]);
        check(&format!("a.py,sha512={}B,0", &long[..85]), &[Kind::TrailingBits]);
        check(
            &format!("a.py,sha512={}!,0", &long[..85]),
            &[Kind::Alphabet { text: format!("{}!", &long[..85]) }],
        );
        for size in ["-1", "+1", "1.0", " 1", "01", "0x1", "99999999999999999999", "1_0", "١"] {
            check(&format!("a.py,{EMPTY},{size}"), &[Kind::Size { text: own(size) }]);
        }
        check(&format!("{OWN}.jws,{EMPTY},0"), &[Kind::Signature]);
        check(&format!("{OWN}.p7s,,"), &[Kind::Signature]);
    }

    #[test]
    fn paths_that_escape_or_have_two_spellings_are_refused() {
        let check = |path: &str, expected: Result<(), RowPathError>| {
            assert_eq!(check_path(path), expected, "{path:?}")
        };
        check("", Err(RowPathError::Empty));
        check("/etc/passwd", Err(RowPathError::Absolute));
        check("C:/x", Err(RowPathError::Drive));
        check("c:x", Err(RowPathError::Drive));
        check("..", Err(RowPathError::Escape));
        check("../x", Err(RowPathError::Escape));
        check("a/../../x", Err(RowPathError::Escape));
        check("a/..", Err(RowPathError::Escape));
        check("./a", Err(RowPathError::Spelling));
        check("a/./b", Err(RowPathError::Spelling));
        check("a//b", Err(RowPathError::Spelling));
        check("a/", Err(RowPathError::Spelling));
        check("a\\b", Err(RowPathError::Backslash));
        check("a\u{0}b", Err(RowPathError::Control));
        check("a\u{b}b", Err(RowPathError::Control));
        check("a\u{85}b", Err(RowPathError::Control));
        check("a\u{2028}b", Err(RowPathError::Control));
        for path in ["a", "a/b", ".a/..b/c..", "…/ü", "a b", "a/.b", "xx:y"] {
            check(path, Ok(()));
        }
    }

    #[test]
    fn rows_of_folders_are_told_and_dropped() {
        let text = format!("b/,,\nb/c/,{EMPTY},0\nb//,,\n{OWN},,\n");
        let found = [
            (1, RecordProblemKind::Folder),
            (2, RecordProblemKind::Folder),
            (3, RecordProblemKind::Path(RowPathError::Spelling)),
        ];
        assert_eq!(kinds(text.as_bytes()), found);
        assert_eq!(Record::parse(text.as_bytes(), OWN).rows().len(), 1);
    }

    #[test]
    fn rows_for_one_path_are_the_same_or_contradict() {
        use RecordProblemKind as Kind;
        let own = format!("{OWN},,\n");
        let check = |text: String, expected: &[(usize, Kind)]| {
            assert_eq!(kinds((text + &own).as_bytes()), expected)
        };
        check(
            format!("b,{EMPTY},0\na,{EMPTY},0\nb,{EMPTY},0\n"),
            &[(3, Kind::Repeated { first: 1 })],
        );
        check(
            format!("b,{EMPTY},0\na,{EMPTY},0\nb,{EMPTY},1\n"),
            &[(3, Kind::Contradiction { first: 1 })],
        );
        check(
            format!("a,{EMPTY},0\na,,0\n"),
            &[(2, Kind::NoHash), (2, Kind::Contradiction { first: 1 })],
        );
        check(own.clone(), &[(2, Kind::Repeated { first: 1 })]);
        check(
            format!("{OWN},{EMPTY},0\n"),
            &[(1, Kind::OwnHash), (2, Kind::Repeated { first: 1 })],
        );
    }

    #[test]
    fn the_whole_file_has_rules_too() {
        use RecordProblemKind as Kind;
        assert_eq!(kinds(b""), [(1, Kind::NoOwnRow)]);
        assert_eq!(kinds(format!("\u{feff}{OWN},,").as_bytes()), [(1, Kind::ByteOrderMark)]);
        assert_eq!(kinds(b"\xff,,\na-1.dist-info/RECORD,,\n"), [(1, Kind::NotUtf8)]);
        assert_eq!(
            kinds(format!("{OWN},,\n\n\n").as_bytes()),
            [(2, Kind::Blank), (3, Kind::Blank)]
        );
        // A quoted field may go on in the next line, as one row; a line end is no part of a path,
        // though.
        assert_eq!(
            kinds(format!("\"a\nb\",{EMPTY},0\n{OWN},,\n").as_bytes()),
            [(1, Kind::Path(RowPathError::Control))]
        );
        assert_eq!(
            kinds(format!("{OWN},,\n\"a,{EMPTY},0\nb,{EMPTY},0\n").as_bytes()),
            [(2, Kind::Quotes)]
        );
    }

    #[test]
    fn very_many_problems_are_counted_and_none_of_another_kind_is_lost() {
        let text = format!("{}../a,,\n{OWN},,\n", "\n".repeat(1000));
        let record = Record::parse(text.as_bytes(), OWN);
        assert_eq!(record.problems().len(), 101);
        assert_eq!(record.omitted().iter().map(|(_, count)| count).sum::<u64>(), 900);
        assert_eq!(record.problems()[100].kind, RecordProblemKind::Path(RowPathError::Escape));
    }

    #[test]
    fn hexadecimal_means_what_base64_means() {
        let hash = Hash::sha256(b"");
        for text in [hash.to_string(), hash.to_string().to_uppercase()] {
            assert_eq!(parse_hash(&format!("sha256={text}")).unwrap().0, RecordHash::Sha256(hash));
        }
        // As many digits as hexadecimal SHA-256 has, but base64.
        assert_eq!(
            parse_hash(&format!("sha384={}", "ab".repeat(32))).unwrap().1,
            HashForm::default()
        );
    }

    #[test]
    fn so_many_rows_are_kept() {
        let text =
            (0..100).map(|index| format!("{index},{EMPTY},0\n")).collect::<String>() + OWN + ",,\n";
        assert_eq!(Record::parse_rows(text.as_bytes(), OWN, 101).problems(), []);
        let record = Record::parse_rows(text.as_bytes(), OWN, 100);
        assert_eq!(record.rows().len(), 100);
        assert_eq!(record.problems()[0].kind, RecordProblemKind::TooManyRows { limit: 100 });
    }

    #[test]
    fn problems_name_row_and_path() {
        let record = Record::parse(b"a-1.dist-info/RECORD,,\n../a,,\n", OWN);
        assert_eq!(
            record.problems()[0].to_string(),
            "row 2 of RECORD (\"../a\"): a path with `..`, which could lead out of the environment"
        );
    }

    #[test]
    fn all_algorithms_of_the_specification_are_read() {
        for (name, length) in [("sha256", 32), ("sha384", 48), ("sha512", 64)] {
            let text = format!("{name}={}", encode_base64url(&vec![0xa5; length]));
            let (hash, form) = parse_hash(&text).unwrap();
            assert_eq!(
                (hash.as_bytes(), hash.to_string(), form),
                (&vec![0xa5; length][..], text, HashForm::default())
            );
        }
    }

    #[test]
    fn the_written_form_is_sorted_and_quoted() {
        let hash = Hash::sha256(b"");
        let text = render(
            OWN,
            [
                ("b", hash, 0),
                ("a,\"b\"", hash, 12),
                ("../../../bin/x", hash, 3),
                ("ä", hash, 1),
                ("b", hash, 9),
            ],
        );
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!(
                "../../../bin/x,{EMPTY},3\n\"a,\"\"b\"\"\",{EMPTY},12\n{OWN},,\nb,{EMPTY},0\nä,{EMPTY},1\n"
            )
        );
    }

    fn path() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9_ ,\"'ü.-]{1,8}(/[a-zA-Z0-9_ ,\"'ü.-]{1,8}){0,3}"
            .prop_filter("checked", |path| check_path(path).is_ok())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(files in proptest::collection::btree_map(path(), (any::<[u8; 32]>(), any::<u64>()), 0..20)) {
            let text = render(OWN, files.iter().map(|(path, (hash, size))| (path.as_str(), Hash::new(*hash), *size)));
            let record = Record::parse(&text, OWN);
            prop_assert_eq!(record.problems(), []);
            prop_assert_eq!(record.rows().len(), files.len() + 1);
            for (path, (hash, size)) in &files {
                let row = record.get(path).unwrap();
                prop_assert_eq!(&row.hash, &Some(RecordHash::Sha256(Hash::new(*hash))));
                prop_assert_eq!(row.size, Some(*size));
            }
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::parse(&bytes, OWN);
        }

        #[test]
        fn any_csv_is_read_as_the_csv_crate_reads_it(text in "([a-c\",\n\r]|\"\"|,,\n){0,40}") {
            let record = Record::parse(text.as_bytes(), OWN);
            let harmless = |kind: &RecordProblemKind| {
                matches!(kind, RecordProblemKind::Blank | RecordProblemKind::NoHash | RecordProblemKind::Repeated { .. } | RecordProblemKind::NoOwnRow)
            };
            if record.problems().iter().all(|problem| harmless(&problem.kind)) {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
                let mut theirs: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
                theirs.sort();
                theirs.dedup();
                let ours: Vec<&str> = record.rows().iter().map(|row| row.path.as_ref()).collect();
                prop_assert_eq!(ours, theirs);
            }
        }

        #[test]
        fn hashes_are_read_as_they_are_rendered(bytes in any::<[u8; 32]>(), middle in any::<[u8; 16]>()) {
            let longer = <[u8; 48]>::try_from([&bytes[..], &middle].concat()).unwrap();
            prop_assert_eq!(decode::<48>("sha384", &encode_base64url(&longer)), Ok((longer, HashForm::default())));
            let longest = <[u8; 64]>::try_from([&bytes[..], &bytes].concat()).unwrap();
            prop_assert_eq!(decode::<64>("sha512", &encode_base64url(&longest)), Ok((longest, HashForm::default())));
            prop_assert_eq!(decode::<32>("sha256", &encode_base64url(&bytes)), Ok((bytes, HashForm::default())));
        }
    }
}
