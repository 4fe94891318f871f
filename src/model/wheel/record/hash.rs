//! The hashes of `RECORD`: three algorithms, and every way in which they are written.
//!
//! Model layer.

use std::fmt;

use super::problem::RecordProblemKind;
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

/// What is unusual, but unambiguous, in how a hash is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct HashForm {
    pub(super) padded: bool,
    pub(super) ordinary: bool,
    pub(super) hexadecimal: bool,
    /// The algorithm's name, where it is not that of the specification.
    pub(super) name: Option<String>,
}

/// Reads `ALGORITHM=HASH`.
pub(super) fn parse_hash(text: &str) -> Result<(RecordHash, HashForm), RecordProblemKind> {
    // As nearly all are.
    if let Some(hash) = text.strip_prefix("sha256=") {
        let (bytes, form) = decode::<32>("sha256", hash)?;
        return Ok((RecordHash::Sha256(Hash::new(bytes)), form));
    }
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

fn value_of(digit: u8) -> u16 {
    VALUES[usize::from(digit)]
}

/// Decodes a hash of `N` bytes: in base64url, in ordinary base64, where a mixture is no more
/// ambiguous, or in hexadecimal.
pub(super) fn decode<const N: usize>(
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
    let (groups, rest) = plain.as_chunks();
    for (&[a, b, c, d], bytes) in groups.iter().zip(bytes.as_chunks_mut().0) {
        let [a, b, c, d] = [value_of(a), value_of(b), value_of(c), value_of(d)];
        marks |= a | b | c | d;
        *bytes = [
            (a << 2 | ((b & 63) >> 4)) as u8,
            (b << 4 | ((c & 63) >> 2)) as u8,
            (c << 6 | (d & 63)) as u8,
        ];
    }
    if plain.len() == expected && !rest.is_empty() {
        let value = |index: usize| rest.get(index).map_or(0, |&digit| value_of(digit));
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

pub(super) fn push_base64url(text: &mut Vec<u8>, bytes: &[u8]) {
    // Sixteen groups of three bytes at a time; what is left of the last one is filled up with zeros.
    for bytes in bytes.chunks(48) {
        let (mut groups, mut digits) = ([0; 48], [0; 64]);
        groups[..bytes.len()].copy_from_slice(bytes);
        let pairs = digits.as_chunks_mut().0.iter_mut().zip(groups.as_chunks().0);
        for (digits, group) in pairs.take(bytes.len().div_ceil(3)) {
            *digits = base64url(*group);
        }
        text.extend_from_slice(&digits[..(bytes.len() * 8).div_ceil(6)]);
    }
}

fn base64url([first, second, third]: [u8; 3]) -> [u8; 4] {
    let [first, second, third] = [usize::from(first), usize::from(second), usize::from(third)];
    [
        ALPHABET[first >> 2],
        ALPHABET[((first << 4) | (second >> 4)) & 63],
        ALPHABET[((second << 2) | (third >> 6)) & 63],
        ALPHABET[third & 63],
    ]
}
