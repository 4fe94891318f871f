//! Small files of our own in the store: framed with a version and a checksum, so that what is
//! damaged, cut off or of another version is the same as what is absent.
//!
//! Effects layer. The frame is one line of ASCII, then the payload: `venvtree KIND VERSION
//! CHECKSUM\n`, where the checksum is the BLAKE3 of the payload.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::{Store, renew};
use crate::effects::host::fs::read_entry;
use crate::model::digest::{DigestFunction, Hash, WheelDigest};

/// What a record holds, and the version of how its payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The folder's name in the store, and the word in the frame.
    pub name: &'static str,
    /// Grows whenever the payload's form changes.
    pub version: u32,
}

/// The digest of a `Tree` message, as text.
pub const TREE: Kind = Kind { name: "trees", version: 1 };
/// What an output path holds.
pub const STAMP: Kind = Kind { name: "stamps", version: 2 };
/// How the entries of an output path looked.
pub const STATES: Kind = Kind { name: "states", version: 1 };
/// The SHA-256 of a file, and the file's state at that time.
pub const HASHED: Kind = Kind { name: "hashed", version: 1 };
/// What a wheel holds, as it was read. The version grows with the rules that wheels are read by,
/// too.
pub const MANIFEST: Kind = Kind { name: "manifests", version: 2 };
/// What is known of a wheel's members. The version grows with the rules that wheels are read by,
/// too.
pub const WHEEL: Kind = Kind { name: "wheels", version: 3 };

/// Puts a payload into its frame.
pub fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(kind, payload).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Takes a payload out of its frame; nothing where the frame is not exactly that of this kind,
/// version and payload.
pub fn unframe(kind: Kind, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let length = head(kind, b"").len();
    let payload = bytes.get(length..)?;
    if head(kind, payload).as_bytes() != &bytes[..length] {
        return None;
    }
    bytes.drain(..length);
    Some(bytes)
}

fn head(kind: Kind, payload: &[u8]) -> String {
    let checksum = DigestFunction::Blake3.digest(payload).hash;
    format!("venvtree {} {} {checksum}\n", kind.name, kind.version)
}

impl Store {
    /// What is known of a wheel's members, as [`Store::keep_wheel`] got it. Counts as a use.
    pub fn wheel(&self, wheel: WheelDigest) -> Option<Vec<u8>> {
        let path = self.wheel_path(wheel);
        let payload = unframe(WHEEL, read_entry(&path).ok()?)?;
        if self.is_writable() {
            renew(&path, None);
        }
        Some(payload)
    }

    /// Whether anything is known of a wheel's members.
    pub fn knows_wheel(&self, wheel: WheelDigest) -> bool {
        self.wheel_path(wheel).exists()
    }

    /// Keeps what is known of a wheel's members: digests of bytes that were read and compared.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_wheel(&self, wheel: WheelDigest, payload: &[u8]) -> Result<(), BlobError> {
        self.write_entry(&self.wheel_path(wheel), &frame(WHEEL, payload))
    }

    /// The manifest of a wheel, as [`Store::keep_manifest`] got it. Counts as a use.
    pub fn manifest(&self, key: Hash) -> Option<Vec<u8>> {
        let path = path(self, MANIFEST, key);
        let payload = unframe(MANIFEST, read_entry(&path).ok()?)?;
        if self.is_writable() {
            renew(&path, None);
        }
        Some(payload)
    }

    /// Whether there is something under that key, sound or not.
    pub fn has_manifest(&self, key: Hash) -> bool {
        path(self, MANIFEST, key).exists()
    }

    /// Keeps the manifest of a wheel whose bytes were read and compared.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_manifest(&self, key: Hash, payload: &[u8]) -> Result<(), BlobError> {
        self.write_entry(&path(self, MANIFEST, key), &frame(MANIFEST, payload))
    }

    /// Where an overlay with bytecode of that key lies, if there is one. Counts as a use.
    pub fn overlay(&self, key: Hash) -> Option<Utf8PathBuf> {
        let path = self.overlay_path(key);
        let there = if self.is_writable() { renew(&path, None) } else { path.is_file() };
        there.then_some(path)
    }

    /// Keeps an overlay; where it lies then.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_overlay(&self, key: Hash, bytes: &[u8]) -> Result<Utf8PathBuf, BlobError> {
        let path = self.overlay_path(key);
        self.write_entry(&path, bytes)?;
        Ok(path)
    }

    /// Removes an overlay that is not what it says of itself.
    pub fn discard_overlay(&self, path: &Utf8Path) {
        self.discard(path, "its bytecode is not what it says");
    }

    fn overlay_path(&self, key: Hash) -> Utf8PathBuf {
        self.entry_path("bytecode", key)
    }

    fn wheel_path(&self, wheel: WheelDigest) -> Utf8PathBuf {
        self.entry_path(WHEEL.name, wheel.0)
    }
}

/// Where a record of this kind lies, given the hash that names it.
pub(super) fn path(store: &Store, kind: Kind, key: Hash) -> Utf8PathBuf {
    store.entry_path(kind.name, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_undamaged_frame_of_the_same_version_is_opened() {
        let bytes = frame(WHEEL, b"payload");
        assert_eq!(unframe(WHEEL, bytes.clone()).as_deref(), Some(&b"payload"[..]));
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            assert_eq!(unframe(WHEEL, damaged), None, "byte {index}");
            assert_eq!(unframe(WHEEL, bytes[..index].to_vec()), None, "cut at {index}");
        }
        assert_eq!(unframe(Kind { version: WHEEL.version + 1, ..WHEEL }, bytes.clone()), None);
        assert_eq!(unframe(TREE, bytes), None);
    }
}
