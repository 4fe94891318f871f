//! The hashes of a member's bytes, or of a whole wheel: SHA-256, and by RECORD's or the lock's
//! function where that is another.
//!
//! Model layer.

use std::fmt;
use std::fmt::Write as _;

use crate::model::digest::Hash;
use crate::model::wheel::record::encode_base64url;

/// Which hash of a member's bytes is wanted besides SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherAlgorithm {
    /// None.
    None,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl OtherAlgorithm {
    /// The algorithm of a name, where it can be computed here.
    fn parse(name: &str) -> Option<Self> {
        match name {
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// A hash by another function than SHA-256, by which a file is known all the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherHash {
    /// The algorithm's name, in lower case.
    name: &'static str,
    /// Hexadecimal, in lower case.
    digits: String,
}

impl OtherHash {
    /// The hash of these digits, where its function can be computed here and they are as many as it
    /// gives.
    pub fn parse(algorithm: &str, digits: &str) -> Option<Self> {
        let (name, length) = match OtherAlgorithm::parse(algorithm)? {
            OtherAlgorithm::Sha384 => ("sha384", 96),
            OtherAlgorithm::Sha512 => ("sha512", 128),
            OtherAlgorithm::None => return None,
        };
        let is_hash = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Self { name, digits: digits.to_ascii_lowercase() })
    }

    /// The name of its function, and its digits.
    pub fn parts(&self) -> (String, String) {
        (self.name.to_owned(), self.digits.clone())
    }

    /// Its function.
    pub fn algorithm(&self) -> OtherAlgorithm {
        OtherAlgorithm::parse(self.name).unwrap_or(OtherAlgorithm::None)
    }

    /// The hash by a function that bytes have.
    pub fn of(hashes: &MemberHashes, algorithm: OtherAlgorithm) -> Option<Self> {
        let name = match algorithm {
            OtherAlgorithm::None => return None,
            OtherAlgorithm::Sha384 => "sha384",
            OtherAlgorithm::Sha512 => "sha512",
        };
        Some(Self { name, digits: hexadecimal(hashes.other.as_deref()?) })
    }

    /// Whether bytes have it.
    pub fn is_of(&self, hashes: &MemberHashes) -> bool {
        hashes.other.as_deref().is_some_and(|bytes| hexadecimal(bytes) == self.digits)
    }

    /// The hash of the same function that bytes have, as [`MemberHashes`] has it.
    pub fn found(&self, hashes: &MemberHashes) -> Self {
        let digits = hashes.other.as_deref().map(hexadecimal).unwrap_or_default();
        Self { name: self.name, digits }
    }

    /// As `integrity` of build systems and browsers has it.
    pub fn integrity(&self) -> String {
        let byte = |pair: &[u8]| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        let bytes: Option<Vec<u8>> = self.digits.as_bytes().chunks(2).map(byte).collect();
        let text = encode_base64url(&bytes.expect("the digits are hexadecimal"));
        let padding = "=".repeat(text.len().next_multiple_of(4) - text.len());
        format!("{}-{}{padding}", self.name, text.replace('-', "+").replace('_', "/"))
    }

    /// The file name of something that is known by it.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.name, self.digits)
    }
}

impl fmt::Display for OtherHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, self.digits)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hashes of a member's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberHashes {
    /// By SHA-256.
    pub sha256: Hash,
    /// By the other function that was wanted.
    pub other: Option<Box<[u8]>>,
}

impl MemberHashes {
    /// Hashes all of a member's bytes.
    pub fn of(bytes: &[u8], other: OtherAlgorithm) -> Self {
        let mut hasher = MemberHasher::new(other);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Hashes a member's bytes piece by piece.
#[derive(Debug, Clone)]
pub struct MemberHasher {
    sha256: sha2::Sha256,
    sha384: Option<sha2::Sha384>,
    sha512: Option<sha2::Sha512>,
}

impl MemberHasher {
    /// Starts.
    pub fn new(other: OtherAlgorithm) -> Self {
        Self {
            sha256: sha2::Sha256::default(),
            sha384: (other == OtherAlgorithm::Sha384).then(Default::default),
            sha512: (other == OtherAlgorithm::Sha512).then(Default::default),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        self.sha256.update(bytes);
        if let Some(hasher) = &mut self.sha384 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha512 {
            hasher.update(bytes);
        }
    }

    /// The hashes of all bytes taken.
    pub fn finish(self) -> MemberHashes {
        use sha2::Digest as _;
        let sha384 = self.sha384.map(|hasher| Box::from(hasher.finalize().as_slice()));
        let sha512 = self.sha512.map(|hasher| Box::from(hasher.finalize().as_slice()));
        MemberHashes { sha256: Hash::new(self.sha256.finalize().into()), other: sha384.or(sha512) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_by_another_function_is_compared_by_all_its_digits() {
        let hashes = MemberHashes::of(b"abc", OtherAlgorithm::Sha512);
        let digits = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                      2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        let hash = OtherHash::parse("sha512", &digits.to_uppercase()).unwrap();
        assert!(hash.is_of(&hashes) && hash.found(&hashes) == hash);
        assert_eq!(hash.to_string(), format!("sha512:{digits}"));
        assert_eq!(hash.algorithm(), OtherAlgorithm::Sha512);
        // What `openssl dgst -sha512 -binary | base64` says.
        assert_eq!(
            hash.integrity(),
            "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
        );
        let other = OtherHash::parse("sha512", &format!("0{}", &digits[1..])).unwrap();
        assert!(
            !other.is_of(&hashes) && !hash.is_of(&MemberHashes::of(b"abc", OtherAlgorithm::None))
        );
        for (name, digits) in
            [("sha384", digits), ("sha512", &digits[1..]), ("blake2b", digits), ("sha512", "")]
        {
            assert_eq!(OtherHash::parse(name, digits), None, "{name} {digits}");
        }
    }
}
