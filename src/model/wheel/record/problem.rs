//! The rules of `RECORD`, and how breaking them reads.
//!
//! Model layer.

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
