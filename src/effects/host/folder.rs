//! A folder for a unit test.

use camino::Utf8PathBuf;

/// An empty folder, by its real path, which is there as long as what comes first.
pub(crate) fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
    (folder, path)
}
