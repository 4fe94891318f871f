//! The hashes of a member's bytes: SHA-256, and by RECORD's function where that is another.
//!
//! Model layer.

use crate::model::digest::Hash;

/// Which hash of a member's bytes is wanted besides SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherAlgorithm {
    /// None.
    None,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
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
