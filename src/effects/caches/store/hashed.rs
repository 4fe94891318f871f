//! Files whose SHA-256 is known from before: a wheel that nobody touched is not hashed again, and one
//! that a lock names by another hash is not fetched to learn it.
//!
//! Effects layer. A file counts as untouched while path, device, inode, size, modification and
//! change time are the same, as Git takes it for its index. The change time cannot be set back; a
//! file that changed within the last seconds is not remembered, since a further change might fall
//! on the same tick of the clock.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::Utf8Path;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::{Store, record};
use crate::effects::host::fs::read_entry;
use crate::model::digest::{Hash, WheelDigest};
use crate::model::wheel::member_hash::OtherHash;

/// How long a file must have been left alone before its digest is remembered.
const SETTLED: Duration = Duration::from_secs(2);

/// A file at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    text: String,
    changed: i64,
    /// Its bytes.
    pub size: u64,
}

impl FileState {
    /// The state of a file now; nothing where there is no regular file.
    pub fn of(path: &Utf8Path) -> Option<Self> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let (modified, changed) =
            ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
        let text =
            format!("{} {} {} {modified:?} {changed:?}", found.dev(), found.ino(), found.size());
        Some(Self { text, changed: changed.0, size: found.size() })
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(self.changed).unwrap_or(0));
        now.duration_since(changed).is_ok_and(|age| age > SETTLED)
    }
}

fn key(path: &Utf8Path) -> Hash {
    Hash::sha256(path.as_str().as_bytes())
}

fn render(path: &Utf8Path, state: &FileState, digest: WheelDigest) -> String {
    format!("{digest}\n{}\n{path}", state.text)
}

/// No path, which begins with `/`, is so.
fn other_key(other: &OtherHash) -> Hash {
    Hash::sha256(other.to_string().as_bytes())
}

fn render_other(other: &OtherHash, digest: WheelDigest) -> String {
    format!("{digest}\n{other}")
}

impl Store {
    /// The SHA-256 that the file in that state had when it was hashed, where that is known. The
    /// path must be absolute.
    pub fn hashed(&self, path: &Utf8Path, state: &FileState) -> Option<WheelDigest> {
        let place = record::path(self, record::HASHED, key(path));
        let payload =
            String::from_utf8(record::unframe(record::HASHED, read_entry(&place).ok()?)?).ok()?;
        let digest = WheelDigest(Hash::parse_hex(payload.split('\n').next()?).ok()?);
        (payload == render(path, state, digest)).then_some(digest)
    }

    /// Remembers the SHA-256 of a file that was read while it stayed in that state. The path must
    /// be absolute.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_hashed(
        &self,
        path: &Utf8Path,
        state: &FileState,
        digest: WheelDigest,
    ) -> Result<(), BlobError> {
        if !state.is_settled(SystemTime::now()) {
            return Ok(());
        }
        self.set_hashed_of_own(path, state, digest)
    }

    /// The SHA-256 of the file that another hash is of, where somebody had both.
    pub fn sha256_of(&self, other: &OtherHash) -> Option<WheelDigest> {
        let place = record::path(self, record::HASHED, other_key(other));
        let payload =
            String::from_utf8(record::unframe(record::HASHED, read_entry(&place).ok()?)?).ok()?;
        let digest = WheelDigest(Hash::parse_hex(payload.split('\n').next()?).ok()?);
        (payload == render_other(other, digest)).then_some(digest)
    }

    /// Remembers two hashes of the same bytes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_sha256_of(&self, other: &OtherHash, digest: WheelDigest) -> Result<(), BlobError> {
        self.write_entry(
            &record::path(self, record::HASHED, other_key(other)),
            &record::frame(record::HASHED, render_other(other, digest).as_bytes()),
        )
    }

    /// The same of a file of the store, which need not have been left alone for long: there files
    /// are replaced, never written where they lie.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn set_hashed_of_own(
        &self,
        path: &Utf8Path,
        state: &FileState,
        digest: WheelDigest,
    ) -> Result<(), BlobError> {
        let payload = render(path, state, digest);
        self.write_entry(
            &record::path(self, record::HASHED, key(path)),
            &record::frame(record::HASHED, payload.as_bytes()),
        )
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::model::digest::DigestFunction;

    #[test]
    fn a_digest_is_known_until_the_file_is_touched() {
        let (folder, store) = crate::effects::caches::store::tests::store(DigestFunction::Sha256);
        let path = Utf8PathBuf::from_path_buf(folder.path().join("wheel")).unwrap();
        fs::write(&path, "one").unwrap();
        let digest = WheelDigest(Hash::sha256(b"one"));
        let fresh = FileState::of(&path).unwrap();
        store.set_hashed(&path, &fresh, digest).unwrap();
        assert_eq!(store.hashed(&path, &fresh), None, "it may change again within the same tick");
        let settled = FileState { changed: 0, ..fresh };
        store.set_hashed(&path, &settled, digest).unwrap();
        assert_eq!(store.hashed(&path, &FileState::of(&path).unwrap()), Some(digest));
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "two").unwrap();
        assert_eq!(store.hashed(&path, &FileState::of(&path).unwrap()), None);
    }

    #[test]
    fn another_hash_leads_to_the_sha256() {
        let (_folder, store) = crate::effects::caches::store::tests::store(DigestFunction::Sha256);
        let hash = |digit: &str| OtherHash::parse("sha512", &digit.repeat(128)).unwrap();
        let digest = WheelDigest(Hash::sha256(b"one"));
        assert_eq!(store.sha256_of(&hash("a")), None);
        store.set_sha256_of(&hash("a"), digest).unwrap();
        assert_eq!(
            (store.sha256_of(&hash("a")), store.sha256_of(&hash("b"))),
            (Some(digest), None)
        );
    }
}
