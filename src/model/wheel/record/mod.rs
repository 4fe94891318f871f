//! `RECORD`, the list of a distribution's files with their hashes and sizes: read strictly, written
//! canonically.
//!
//! Model layer. The recording specification says CSV with three columns: path, `ALGORITHM=HASH` in
//! unpadded base64url, size. The reader keeps every row that can be used and reports every rule
//! broken, with the row; which of them stop an installation is for the table of findings to say.
//! Rows borrow the text: only quoted paths are copied. (The `csv` crate would copy every row, and
//! passes over misplaced quotes that Python's reader and others take differently.)

mod problem;

mod hash;

mod render;

pub use self::hash::{RecordHash, encode_base64url};
pub use self::problem::{RecordProblem, RecordProblemKind, RowPathError};
pub use self::render::render;

use std::borrow::Cow;

use self::hash::parse_hash;
use super::tally::Tally;
use crate::model::path::{has_drive, is_plainly_right};

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
            let path = Cow::Borrowed(&line[..first]);
            let facts = (&line[first + 1..second], &line[second + 1..]);
            self.read_fields(path, facts, number, own_path);
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
            Ok(([path, hash, size], 3)) => self.read_fields(path, (&hash, &size), number, own_path),
            Ok(([path, ..], found)) => {
                self.report(number, Some(&path), RecordProblemKind::Columns { found })
            }
            Err(kind) => self.report(number, None, kind),
        }
    }

    /// Reads a row, whose hash and size are `facts`.
    fn read_fields(
        &mut self,
        path: Cow<'text, str>,
        (hash, size): (&str, &str),
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
    if is_plainly_right(bytes) && !has_drive(bytes) {
        return Ok(());
    }
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
    if has_drive(bytes) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::hash::{HashForm, decode};
    use super::*;
    use crate::model::digest::Hash;

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
