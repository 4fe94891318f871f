//! Stamps: which tree an output path holds, so that a build that has nothing to do reads one small file.
//!
//! Effects layer. A stamp lies in the store, not in the tree, and counts only while the output is the same directory: same path,
//! device, inode and change time. What happens deeper inside the tree does not show there; finding that is `verify`'s work.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FileType};

use crate::effects::blob::BlobError;
use crate::effects::store::{Store, record};
use crate::model::digest::{ActionDigest, Digest, DirectoryDigest, Hash};

/// What was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The key of the action that made the tree.
    pub action: ActionDigest,
    /// The tree's root digest.
    pub root: DirectoryDigest,
    /// The tree's files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What stands for the text of the spec, where that text alone decides the key.
    pub text: Option<Hash>,
}

/// What tells one state of a directory from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

fn identity(output: &Utf8Path) -> io::Result<Option<Identity>> {
    let found = match rustix::fs::statat(CWD, output.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        result => result?,
    };
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(None);
    }
    // The types of these fields differ between platforms.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    Ok(Some(Identity {
        device: found.st_dev as u64,
        inode: found.st_ino as u64,
        changed: (found.st_ctime as i64, found.st_ctime_nsec as i64),
    }))
}

/// Stands where there is no text.
const NO_TEXT: &str = "-";

fn render(output: &Utf8Path, identity: Identity, stamp: &Stamp) -> String {
    let Identity { device, inode, changed: (seconds, nanoseconds) } = identity;
    let Stamp { action, root, files, bytes, text } = stamp;
    let text = text.map_or_else(|| NO_TEXT.to_owned(), Hash::to_hex);
    format!("{output}\n{device} {inode} {seconds} {nanoseconds}\n{action} {root} {files} {bytes} {text}\n")
}

/// The parts of a stamp's payload: the path, its identity as text, what was built.
fn parse(payload: &str) -> Option<(Utf8PathBuf, &str, Stamp)> {
    // From the end, as the path is the only part that could hold anything.
    let mut lines = payload.strip_suffix('\n')?.rsplitn(3, '\n');
    let (digests, identity, path) = (lines.next()?, lines.next()?, lines.next()?);
    let mut words = digests.split(' ');
    let action = ActionDigest(Digest::parse(words.next()?).ok()?);
    let root = DirectoryDigest(Digest::parse(words.next()?).ok()?);
    let (files, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let text = match words.next()? {
        NO_TEXT => None,
        text => Some(Hash::parse_hex(text).ok()?),
    };
    let stamp = Stamp { action, root, files, bytes, text };
    Some((Utf8PathBuf::from(path), identity, stamp))
}

fn key(output: &Utf8Path) -> Hash {
    Hash::sha256(output.as_str().as_bytes())
}

impl Store {
    /// What the output holds, where that is known and the output is still the directory that the stamp was made for. The path must be
    /// absolute.
    pub fn stamp(&self, output: &Utf8Path) -> Option<Stamp> {
        let bytes = fs::read(record::path(self, record::STAMP, key(output))).ok()?;
        let payload = String::from_utf8(record::unframe(record::STAMP, bytes)?).ok()?;
        let (_, _, stamp) = parse(&payload)?;
        let identity = identity(output).ok()??;
        (payload == render(output, identity, &stamp)).then_some(stamp)
    }

    /// Notes what the output, published just now, holds. The path must be absolute.
    ///
    /// # Errors
    /// The output cannot be looked at, or the stamp not be written.
    pub fn set_stamp(&self, output: &Utf8Path, stamp: &Stamp) -> Result<(), BlobError> {
        let identity = identity(output).map_err(|error| BlobError::io("look at", output, error))?;
        let Some(identity) = identity else { return Ok(()) };
        let text = render(output, identity, stamp);
        self.write_entry(&record::path(self, record::STAMP, key(output)), &record::frame(record::STAMP, text.as_bytes()))
    }
}

/// Whether the output that a stamp's file speaks of is still the same directory; nothing where the bytes are no stamp.
pub(super) fn is_current(bytes: Vec<u8>) -> Option<bool> {
    let payload = String::from_utf8(record::unframe(record::STAMP, bytes)?).ok()?;
    let (output, _, stamp) = parse(&payload)?;
    Some(identity(&output).ok().flatten().is_some_and(|identity| payload == render(&output, identity, &stamp)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::DigestFunction;

    #[test]
    fn a_stamp_counts_while_the_output_is_the_same_directory() {
        let (folder, store) = crate::effects::store::tests::store(DigestFunction::Sha256);
        let output = Utf8PathBuf::from_path_buf(folder.path().join("out\nwith a line break")).unwrap();
        let digest = DigestFunction::Sha256.digest(b"abc");
        let stamp = Stamp { action: ActionDigest(digest), root: DirectoryDigest(digest), files: 1, bytes: 2, text: None };
        assert_eq!(store.stamp(&output), None);
        fs::create_dir(&output).unwrap();
        store.set_stamp(&output, &stamp).unwrap();
        assert_eq!(store.stamp(&output), Some(stamp));
        fs::write(output.join("new"), "").unwrap();
        assert_eq!(store.stamp(&output), None);
        store.set_stamp(&output, &stamp).unwrap();
        assert_eq!(store.stamp(&output), Some(stamp));
        let stamp = Stamp { text: Some(Hash::sha256(b"{}")), ..stamp };
        store.set_stamp(&output, &stamp).unwrap();
        assert_eq!(store.stamp(&output), Some(stamp));
        fs::remove_dir_all(&output).unwrap();
        fs::create_dir(&output).unwrap();
        assert_eq!(store.stamp(&output), None);
    }
}
