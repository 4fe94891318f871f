//! Digests: what a blob, a directory or a wheel is, independent of where it lies.
//!
//! Model layer. Holds the digest functions of REAPI that venvtree speaks, the digest of some bytes
//! (hash and size, the shape of REAPI's `Digest` message) and one newtype for each kind of thing
//! digested, so that they cannot be mixed up.

mod sha256;

use std::fmt;
use std::io;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use self::sha256::Sha256;

use crate::model::every::{every, shown};
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// A digest function of REAPI.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DigestFunction {
    /// SHA-256, the function that every remote cache speaks.
    #[default]
    Sha256,
    /// BLAKE3, with 32 bytes of output.
    Blake3,
}

impl DigestFunction {
    /// Every digest function, in the order in which help texts list them.
    pub const ALL: [Self; 2] = every!(DigestFunction: Sha256, Blake3);

    /// The name as it stands in specs and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }

    /// Digests some bytes.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

shown!(DigestFunction: name());

/// 32 bytes of hash, rendered as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The mark of a byte that is no digit, in [`HEX_VALUES`].
const NO_HEX_DIGIT: u8 = 0x10;

/// For each byte its value as a lower-case hexadecimal digit.
const HEX_VALUES: [u8; 256] = {
    let mut values = [NO_HEX_DIGIT; 256];
    let mut value = 0;
    while value < HEX_DIGITS.len() {
        values[HEX_DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

impl Hash {
    /// Wraps the bytes that a hash function returned.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The SHA-256 of some bytes.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.to_string()
    }

    /// The same as bytes.
    pub fn hex_digits(self) -> [u8; 64] {
        let mut digits = [0; 64];
        for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(&self.0) {
            *pair = [HEX_DIGITS[usize::from(byte >> 4)], HEX_DIGITS[usize::from(byte & 15)]];
        }
        digits
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// Says what is wrong where the text is of another length or holds another character.
    pub fn parse_hex(text: &str) -> Result<Self, DigestError> {
        if text.len() != 64 {
            return Err(DigestError::HexLength { actual: text.len() });
        }
        let mut bytes = [0; 32];
        let mut marks = 0;
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = [HEX_VALUES[usize::from(pair[0])], HEX_VALUES[usize::from(pair[1])]];
            marks |= high | low;
            *byte = high << 4 | low & 15;
        }
        if marks & NO_HEX_DIGIT != 0 {
            return Err(DigestError::HexDigit { text: text.to_owned() });
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.hex_digits()).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_hex(&text).map_err(serde::de::Error::custom)
    }
}

/// Hash and size of some bytes: REAPI's `Digest`, rendered as `hash/size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    /// The hash of the bytes, by the digest function of the context.
    pub hash: Hash,
    /// Their number.
    pub size: u64,
}

impl Digest {
    /// Reads `hash/size`.
    ///
    /// # Errors
    /// Says what is wrong where the text has another form.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (hash, size) =
            text.split_once('/').ok_or_else(|| DigestError::NoSize { text: text.to_owned() })?;
        let plain = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        let size = size
            .parse()
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| DigestError::Size { text: text.to_owned() })?;
        Ok(Self { hash: Hash::parse_hex(hash)?, size })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.hash, self.size)
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text has another length.
    #[error("a digest has 64 hexadecimal digits, this has {actual} characters")]
    HexLength {
        /// The number of bytes found.
        actual: usize,
    },
    /// The text holds something else than `0-9a-f`.
    #[error("`{text}` is not written in lower-case hexadecimal digits")]
    HexDigit {
        /// The text.
        text: String,
    },
    /// There is no `/`.
    #[error("`{text}` has no size: expected HASH/SIZE")]
    NoSize {
        /// The text.
        text: String,
    },
    /// What follows the `/` is no number of bytes.
    #[error("`{text}` does not end in a number of bytes: expected HASH/SIZE")]
    Size {
        /// The text.
        text: String,
    },
}

impl Explain for DigestError {
    fn explain(&self) -> Explanation {
        ErrorKind::Usage
            .hint("a digest is HASH/SIZE, as `venvtree digest`, `build` and `push` print it")
    }
}

macro_rules! digest_kind {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

digest_kind! {
    /// The digest of a file's bytes.
    BlobDigest
}
digest_kind! {
    /// The digest of a canonical REAPI `Directory` message; of a tree's root directory, the root
    /// digest.
    DirectoryDigest
}
digest_kind! {
    /// The digest of a REAPI `Action` message: the key of the action cache.
    ActionDigest
}

/// The SHA-256 of a whole wheel file, as lock files and indexes give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WheelDigest(pub Hash);

impl fmt::Display for WheelDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Digests bytes as they pass by.
#[derive(Debug, Clone)]
pub struct Hasher {
    state: State,
    size: u64,
}

#[derive(Debug, Clone)]
enum State {
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Starts with no bytes.
    pub fn new(function: DigestFunction) -> Self {
        let state = match function {
            DigestFunction::Sha256 => State::Sha256(Sha256::new()),
            DigestFunction::Blake3 => State::Blake3(Box::default()),
        };
        Self { state, size: 0 }
    }

    /// How many bytes were added.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Blake3(state) => {
                state.update(bytes);
            }
        }
        self.size += bytes.len() as u64;
    }

    /// Adds bytes to two digests, which takes less time than one after the other if both are
    /// SHA-256.
    pub fn update_both([first, second]: [&mut Self; 2], [for_first, for_second]: [&[u8]; 2]) {
        if let (State::Sha256(one), State::Sha256(other)) = (&mut first.state, &mut second.state) {
            Sha256::update_both([one, other], [for_first, for_second]);
            first.size += for_first.len() as u64;
            second.size += for_second.len() as u64;
        } else {
            first.update(for_first);
            second.update(for_second);
        }
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        let hash = match self.state {
            State::Sha256(state) => Hash(state.finish()),
            State::Blake3(state) => Hash(*state.finalize().as_bytes()),
        };
        Digest { hash, size: self.size }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that digests what is written to it on the way to another one.
pub struct Hashed<'a> {
    out: &'a mut dyn io::Write,
    hasher: Hasher,
}

impl<'a> Hashed<'a> {
    /// On the way to `out`, by SHA-256.
    pub fn sha256(out: &'a mut dyn io::Write) -> Self {
        Self { out, hasher: Hasher::new(DigestFunction::Sha256) }
    }

    /// The digest of what was written.
    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_blob_has_the_digest_that_the_specifications_name() {
        let check = |function: DigestFunction, expected: &str| {
            assert_eq!(function.digest(b"").to_string(), expected);
        };
        check(
            DigestFunction::Sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/0",
        );
        check(
            DigestFunction::Blake3,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262/0",
        );
    }

    #[test]
    fn a_digest_is_read_as_it_is_rendered_and_nothing_else_is() {
        let digest = DigestFunction::Sha256.digest(b"abc");
        assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
        let hash = digest.hash.to_hex();
        for text in [
            hash.clone(),
            format!("{hash}/"),
            format!("{hash}/+3"),
            format!("{}/3", hash.to_uppercase()),
            format!("{}/3", &hash[1..]),
        ] {
            assert!(Digest::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn streaming_in_parts_gives_the_digest_of_the_whole() {
        for function in DigestFunction::ALL {
            let mut hasher = Hasher::new(function);
            hasher.update(b"ab");
            hasher.update(b"c");
            assert_eq!(hasher.finish(), function.digest(b"abc"));
        }
    }

    #[test]
    fn two_digests_at_the_same_time_are_those_that_each_is_alone() {
        for functions in [
            [DigestFunction::Sha256, DigestFunction::Sha256],
            [DigestFunction::Sha256, DigestFunction::Blake3],
            [DigestFunction::Blake3, DigestFunction::Blake3],
        ] {
            let [mut first, mut second] = functions.map(Hasher::new);
            Hasher::update_both([&mut first, &mut second], [&[1; 200], &[2; 100]]);
            assert_eq!(
                [first.finish(), second.finish()],
                [functions[0].digest(&[1; 200]), functions[1].digest(&[2; 100])]
            );
        }
    }
}
