//! Folders for unit tests, and what is put into them.

use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// An empty folder, by its real path, which is there as long as what comes first.
pub(crate) fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
    (folder, path)
}

/// A program of the shell that stands for an interpreter.
pub(crate) fn interpreter(folder: &Utf8Path, text: &str) -> Utf8PathBuf {
    let path = folder.join("python");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
