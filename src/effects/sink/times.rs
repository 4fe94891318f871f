//! Modification times that tell files apart.
//!
//! Effects layer. Where all files have one time, those who compare files by size and time, and by
//! inodes that a file system gives again, take a changed file of the same size for the old one.

use std::sync::Arc;

use crate::effects::host::fs::{Directory, FsError, failed};
use crate::effects::work::parallel;
use crate::model::digest::Hash;
use crate::model::tree::{Leaf, Node, Tree};

/// How much later a file may be than it would be else: some eight years.
const SPREAD: u32 = (1 << 28) - 1;

/// The time of a file with a content, where that of others is `mtime`; in seconds since 1970.
pub fn of(mtime: u64, content: Hash) -> u64 {
    let [one, two, three, four, ..] = *content.as_bytes();
    mtime.saturating_add(u64::from(u32::from_be_bytes([one, two, three, four]) & SPREAD))
}

/// Gives each file that a directory holds a time that depends on its content, after that of the
/// directory. Where files `may_be_linked`, those that have other names elsewhere keep theirs.
///
/// # Errors
/// One belongs to somebody else, or is not there.
pub fn distinguish(
    directory: &Directory,
    tree: &Tree,
    may_be_linked: bool,
    threads: usize,
) -> Result<(), FsError> {
    let own = rustix::fs::fstat(directory.handle()).map_err(failed("look at", directory.path()))?;
    let mtime = u64::try_from(own.st_mtime).unwrap_or_default();
    let is_linked = |directory: &Directory, name: &str| {
        Ok::<_, FsError>(may_be_linked && directory.status(name)?.st_nlink > 1)
    };
    let root = (Arc::new(directory.open_below("")?), "", tree.root());
    parallel::branch(threads, vec![root], |(parent, name, entries)| {
        // Opened late, as only so many may be open at once.
        let directory = Arc::new(parent.open_below(name)?);
        drop(parent);
        let mut below = Vec::new();
        for (name, node) in entries.entries() {
            match node {
                Node::Directory(entries) => {
                    below.push((Arc::clone(&directory), name.as_str(), entries));
                }
                Node::Leaf(Leaf::File { blob, .. }) => {
                    if !is_linked(&directory, name.as_str())? {
                        directory.set_time(name.as_str(), of(mtime, blob.0.hash))?;
                    }
                }
                Node::Leaf(Leaf::Symlink(_)) => {}
            }
        }
        Ok(below)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::effects::host::folder::folder;
    use crate::effects::scan::{View, scan};
    use crate::model::digest::DigestFunction;

    /// A folder with a file.
    fn folder_with(name: &str) -> (tempfile::TempDir, camino::Utf8PathBuf) {
        let (guard, folder) = folder();
        std::fs::write(folder.join(name), "x = 3").unwrap();
        (guard, folder.join(name))
    }

    #[test]
    fn files_have_a_time_for_each_content() {
        let (_guard, root) = folder();
        let (_outside, elsewhere) = folder_with("elsewhere");
        for (path, text) in [("one", "x = 1"), ("a/two", "x = 2"), ("a/b/again", "x = 1")] {
            std::fs::create_dir_all(root.join("a/b")).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        std::fs::hard_link(elsewhere, root.join("a/linked")).unwrap();
        let paths = ["one", "a/two", "a/b/again", "a/linked", "a/b", "a", ""];
        for path in paths {
            filetime::set_file_mtime(root.join(path), filetime::FileTime::from_unix_time(100, 0))
                .unwrap();
        }
        let tree = scan(&root, DigestFunction::Sha256, View::Exact, 1).unwrap().tree;
        let times = |may_be_linked| {
            distinguish(&Directory::open(&root).unwrap(), &tree, may_be_linked, 2).unwrap();
            paths.map(|path| root.join(path).metadata().unwrap().mtime())
        };
        let [one, two, again, linked, below, above, top] = times(true);
        assert!(one != two && one > 100 && two > 100, "{one} {two}");
        assert_eq!((again, linked, below, above, top), (one, 100, 100, 100, 100));
        let expected = of(100, Hash::sha256(b"x = 1"));
        assert_eq!(u64::try_from(one).unwrap(), expected);
        let [first, .., linked, _, _, _] = times(false);
        assert_eq!((first, linked > 100), (one, true));
    }
}
