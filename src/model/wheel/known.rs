//! What is known of a wheel's members from reading them: whose bytes were compared with what RECORD
//! claims, and digests of bytes.
//!
//! Model layer. A wheel is known by its SHA-256, so what was true of its members once stays true. A
//! claim that nobody compared is none of it: another wheel, or the store, may well have bytes of
//! that hash, and this wheel others.

use std::collections::BTreeMap;

use crate::model::digest::Hash;

/// What is known of a wheel's members.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownMembers {
    /// Whether nothing is wrong with any member, whether its bytes were compared or not.
    sound: bool,
    /// Of each member, in the order of the manifest, whether its bytes have the SHA-256 that RECORD
    /// claims.
    proven: Vec<bool>,
    /// Of the SHA-256 of bytes, their hash by the tree's digest function; empty where that is
    /// SHA-256.
    digests: BTreeMap<Hash, Hash>,
}

impl KnownMembers {
    /// Nothing, of so many members.
    pub fn none(members: usize) -> Self {
        Self { sound: false, proven: vec![false; members], digests: BTreeMap::new() }
    }

    /// How many members there are.
    pub fn members(&self) -> usize {
        self.proven.len()
    }

    /// Whether a member's bytes are known to be those that RECORD claims.
    pub fn proves(&self, member: usize) -> bool {
        self.proven.get(member).is_some_and(|proven| *proven)
    }

    /// Whether the archive is known to be sound: an environment was made from the wheel, and
    /// members that it has no use for hid nothing either.
    pub fn is_sound(&self) -> bool {
        self.sound
    }

    /// Adds that the archive is sound.
    pub fn set_sound(&mut self) {
        self.sound = true;
    }

    /// The hash, by the tree's digest function, of a member's bytes, given the SHA-256 that RECORD
    /// claims.
    pub fn digest(&self, member: usize, sha256: &Hash) -> Option<Hash> {
        self.digests.get(sha256).copied().filter(|_| self.proves(member))
    }

    /// Adds that a member's bytes are those that RECORD claims.
    pub fn prove(&mut self, member: usize) {
        if let Some(proven) = self.proven.get_mut(member) {
            *proven = true;
        }
    }

    /// Adds two hashes of the same bytes.
    pub fn add(&mut self, sha256: Hash, hash: Hash) {
        self.digests.insert(sha256, hash);
    }

    /// Renders it for [`KnownMembers::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.proven.len())
            .expect("an archive has no more members than 32 bits count");
        let mut bytes = vec![u8::from(self.sound)];
        bytes.extend(count.to_le_bytes());
        bytes.extend(
            self.proven
                .chunks(8)
                .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))),
        );
        for (sha256, hash) in &self.digests {
            bytes.extend([*sha256.as_bytes(), *hash.as_bytes()].concat());
        }
        bytes
    }

    /// Reads what was rendered; nothing where the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (sound, rest) = match bytes.split_first()? {
            (byte @ (0 | 1), rest) => (*byte == 1, rest),
            _ => return None,
        };
        let (count, rest) = rest.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (bits, pairs) = rest.split_at_checked(count.div_ceil(8))?;
        let proven = (0..count).map(|index| bits[index / 8] >> (index % 8) & 1 == 1).collect();
        let hash = |bytes: &[u8]| bytes.try_into().ok().map(Hash::new);
        let pairs =
            pairs.chunks(64).map(|pair| Some((hash(pair.get(..32)?)?, hash(pair.get(32..)?)?)));
        Some(Self { sound, proven, digests: pairs.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_as_it_was_rendered() {
        for members in [0, 1, 7, 8, 9, 100] {
            let mut known = KnownMembers::none(members);
            for member in (0..members).step_by(3) {
                known.prove(member);
            }
            known.add(Hash::sha256(b"a"), Hash::sha256(b"b"));
            if members > 7 {
                known.set_sound();
            }
            let bytes = known.encode();
            assert_eq!(KnownMembers::decode(&bytes), Some(known), "{members}");
            for length in 0..bytes.len() {
                assert!(
                    KnownMembers::decode(&bytes[..length])
                        .is_none_or(|known| known.digests.is_empty()),
                    "{members} cut at {length}"
                );
            }
        }
    }

    #[test]
    fn a_claim_counts_for_the_members_that_were_compared() {
        let mut known = KnownMembers::none(2);
        let (sha256, hash) = (Hash::sha256(b"a"), Hash::sha256(b"b"));
        known.add(sha256, hash);
        known.prove(1);
        assert_eq!(
            (known.digest(0, &sha256), known.digest(1, &sha256), known.digest(2, &sha256)),
            (None, Some(hash), None)
        );
        known.prove(0);
        assert!(known.proves(0) && !known.proves(2) && !known.is_sound());
    }
}
