//! Bytecode in a directory: whether running Python can have left it.
//!
//! Effects layer. Reads headers and looks at sources; what they tell is
//! [`crate::model::bytecode`]'s to say.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use crate::effects::host::fs::Directory;
use crate::effects::scan::View;
use crate::model::bytecode::{self, Content, Foreign, HEADER, Source};
use crate::model::path::TreePath;

/// No module is larger.
const LARGEST_SOURCE: u64 = 64 << 20;

/// Looks into a file that lies where bytecode does, in a directory that is seen in a way.
///
/// # Errors
/// It is not what running Python leaves behind, or cannot be read.
pub fn judge(root: &Utf8Path, view: View, path: &TreePath) -> Result<(), Foreign> {
    let (cache, name) = path.as_str().rsplit_once('/').ok_or(Foreign::Name)?;
    let package = cache.strip_suffix("__pycache__").ok_or(Foreign::Name)?.trim_end_matches('/');
    if package.split('/').any(|part| part == "__pycache__") {
        return Err(Foreign::Name);
    }
    let source_name = bytecode::source_name(name).ok_or(Foreign::Name)?;
    let root = Directory::open(root).map_err(|_| Foreign::Garbage)?;
    let mut header = Vec::with_capacity(HEADER);
    let mut file = open(&root, view, cache, name).map_err(|_| Foreign::Garbage)?;
    file.by_ref().take(HEADER as u64).read_to_end(&mut header).map_err(|_| Foreign::Garbage)?;
    let source = open(&root, view, package, &source_name).map_err(|_| Foreign::NoSource)?;
    let found = source.metadata().map_err(|_| Foreign::NoSource)?;
    if !found.is_file() {
        return Err(Foreign::NoSource);
    }
    let mut bytes = Vec::new();
    let content = if bytecode::is_checked_hash(&header) {
        source.take(LARGEST_SOURCE).read_to_end(&mut bytes).map_err(|_| Foreign::NoSource)?;
        Content::Bytes(&bytes)
    } else {
        Content::Size(found.size())
    };
    bytecode::judge(&header, Source { mtime: found.mtime(), content })
}

/// Opens a file; to a cache, every file may be a link.
#[expect(clippy::disallowed_methods, reason = "it is opened without waiting, whatever it is")]
fn open(root: &Directory, view: View, directory: &str, name: &str) -> io::Result<File> {
    match view {
        View::Exact => root
            .open_below(directory)
            .and_then(|directory| directory.open_file(name))
            .map_err(|error| error.source),
        View::Cached => {
            let path = root.path().join(directory).join(name);
            let flags = rustix::fs::OFlags::RDONLY
                | rustix::fs::OFlags::NONBLOCK
                | rustix::fs::OFlags::CLOEXEC;
            Ok(File::from(rustix::fs::open(path.as_std_path(), flags, rustix::fs::Mode::empty())?))
        }
    }
}
