//! Which file an interpreter is: what changes when it gives way to another one.
//!
//! Effects layer.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::effects::host::fs::{self, Links};

/// What changes with a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(path: &Utf8Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// An executable and its dynamic loader; nothing where it is a script or cannot be read.
pub(super) fn identify(executable: &Utf8Path) -> Option<Vec<Identity>> {
    let mut identities = vec![Identity::of(executable)?];
    let mut head = Vec::with_capacity(4096);
    fs::open_regular(executable, Links::Follow).ok()?.take(4096).read_to_end(&mut head).ok()?;
    if head.starts_with(b"#!") {
        return None;
    }
    identities.extend(loader(&head).and_then(|loader| Identity::of(&loader)));
    Some(identities)
}

/// The path of the dynamic loader in the beginning of an ELF file, such as
/// `/lib64/ld-linux-x86-64.so.2`.
fn loader(head: &[u8]) -> Option<Utf8PathBuf> {
    let at =
        memchr::memmem::find(head, b"/ld-").or_else(|| memchr::memmem::find(head, b"/ld64"))?;
    let begin = memchr::memrchr(0, &head[..at])? + 1;
    let length = memchr::memchr(0, &head[begin..])?;
    let path = std::str::from_utf8(&head[begin..begin + length]).ok()?;
    path.starts_with('/').then(|| path.into())
}
