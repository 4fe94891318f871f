//! Scanning: from a directory on disk to a tree.
//!
//! Effects layer. Two ways of looking: as it is, or as a cache returns it, where a link may have
//! become a copy, every file may be a link into a store, and modes say nothing.

pub mod bytecode;

use std::io::Read as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FileType;

use crate::effects::host::fs::{Directory, FsError, Links, failed, open_regular};
use crate::effects::host::state::State;
use crate::effects::work::parallel;
use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hasher};
use crate::model::path::{FileName, LinkTarget, TreePath};
use crate::model::tree::{Leaf, Tree, TreeBuilder};

/// How to look at a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As it is: links are links, modes count, empty directories too.
    Exact,
    /// As a cache returns it: links are followed, nothing is executable, empty directories are not
    /// there.
    Cached,
}

/// What a directory holds.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The tree of all that a tree can hold.
    pub tree: Tree,
    /// Everything else: paths (not UTF-8 replaced) and what is wrong with them.
    pub odd: Vec<(String, &'static str)>,
    /// How each entry of the tree looked before it was read.
    pub states: Vec<(TreePath, State)>,
}

/// What is known of a file that looks so, and need not be read for it.
pub type Known<'a> = dyn Fn(&TreePath, &State) -> Option<Digest> + Sync + 'a;

enum Found {
    Directory,
    Link(LinkTarget),
    File { executable: bool },
}

/// Scans a directory, links on the way to it followed.
///
/// # Errors
/// Something cannot be read.
pub fn scan(
    path: &Utf8Path,
    function: DigestFunction,
    view: View,
    threads: usize,
) -> Result<Scan, FsError> {
    scan_with(path, function, view, threads, &|_, _| None)
}

/// The same with what is known of some files.
///
/// # Errors
/// Something cannot be read.
pub fn scan_with(
    path: &Utf8Path,
    function: DigestFunction,
    view: View,
    threads: usize,
    known: &Known<'_>,
) -> Result<Scan, FsError> {
    let root = Directory::open(path)?;
    let mut scanner = Scanner { view, found: Vec::new(), odd: Vec::new(), depth: 0 };
    scanner.visit(&root, "")?;
    let root = Arc::new(root);
    let digests = parallel::map(threads, scanner.found.len(), |index| {
        let (path, found, state) = &scanner.found[index];
        match found {
            Found::File { .. } => match known(path, state) {
                Some(digest) => Ok(Some(digest)),
                None => hash(&root, (path, state.size), view, function).map(Some),
            },
            Found::Directory | Found::Link(_) => Ok(None),
        }
    })?;
    let mut builder = TreeBuilder::new();
    let mut states = Vec::with_capacity(scanner.found.len());
    for ((path, found, state), digest) in scanner.found.into_iter().zip(digests) {
        let inserted = match (found, digest) {
            (Found::File { executable }, Some(digest)) => {
                builder.insert(&path, Leaf::File { blob: BlobDigest(digest), executable })
            }
            (Found::Link(target), _) => builder.insert(&path, Leaf::Symlink(target)),
            _ => builder.insert_directory(&path),
        };
        inserted.expect("a file system has each name once");
        states.push((path, state));
    }
    Ok(Scan { tree: builder.finish(function), odd: scanner.odd, states })
}

/// How deep a tree is followed; links in the view of a cache may lead in circles.
const DEPTH_LIMIT: usize = 256;

struct Scanner {
    view: View,
    found: Vec<(TreePath, Found, State)>,
    odd: Vec<(String, &'static str)>,
    depth: usize,
}

impl Scanner {
    fn visit(&mut self, directory: &Directory, prefix: &str) -> Result<(), FsError> {
        self.depth += 1;
        for name in directory.names()? {
            let below = |name: &str| {
                if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
            };
            let name = match name {
                Ok(name) => name,
                Err(bytes) => {
                    self.odd
                        .push((below(&String::from_utf8_lossy(&bytes)), "the name is not UTF-8"));
                    continue;
                }
            };
            let Ok(path) = FileName::parse(&name).and_then(|_| TreePath::parse(&below(&name)))
            else {
                self.odd.push((below(&name), "no tree may hold such a name"));
                continue;
            };
            self.entry(directory, &name, path)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn entry(&mut self, directory: &Directory, name: &str, path: TreePath) -> Result<(), FsError> {
        let mut status = directory.status(name)?;
        let mut kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::Symlink && self.view == View::Cached {
            let full = directory.path().join(name);
            match rustix::fs::stat(full.as_std_path()) {
                Ok(followed) => {
                    status = followed;
                    kind = FileType::from_raw_mode(status.st_mode);
                }
                Err(_) => {
                    self.odd.push((path.to_string(), "the link leads nowhere"));
                    return Ok(());
                }
            }
        }
        let state = State::of(&status);
        match kind {
            FileType::Directory if self.depth >= DEPTH_LIMIT => {
                self.odd.push((path.to_string(), "directories are nested too deep"))
            }
            FileType::Directory => {
                let below = match self.view {
                    View::Exact => directory.open_below(name)?,
                    View::Cached => Directory::open(&directory.path().join(name))?,
                };
                if self.view == View::Exact {
                    self.found.push((path.clone(), Found::Directory, state));
                }
                self.visit(&below, path.as_str())?;
            }
            FileType::Symlink => match LinkTarget::parse(&directory.read_link(name)?) {
                Ok(target) => self.found.push((path, Found::Link(target), state)),
                Err(_) => {
                    self.odd.push((path.to_string(), "no tree may hold a link to such a place"))
                }
            },
            FileType::RegularFile => {
                let executable = self.view == View::Exact && status.st_mode & 0o100 != 0;
                self.found.push((path, Found::File { executable }, state));
            }
            _ => self.odd.push((path.to_string(), "it is neither a file, a directory nor a link")),
        }
        Ok(())
    }
}

fn hash(
    root: &Directory,
    (path, size): (&TreePath, u64),
    view: View,
    function: DigestFunction,
) -> Result<Digest, FsError> {
    let full: Utf8PathBuf = root.path().join(path.as_str());
    let mut file = match view {
        View::Cached => open_regular(&full, Links::Follow).map_err(failed("open", &full))?,
        View::Exact => root.open_file_below(path.as_str())?,
    };
    let mut hasher = Hasher::new(function);
    // One byte more shows the end of a file that has not grown.
    let size = usize::try_from(size.saturating_add(1)).unwrap_or(usize::MAX);
    let mut buffer = vec![0; size.min(64 << 10)];
    loop {
        let length = file.read(&mut buffer).map_err(failed("read", &full))?;
        if length == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..length]);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// The same directory as in the tests of the wire format, whose digest another client computed.
    #[test]
    fn a_directory_has_the_digest_that_another_client_computes() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        std::fs::create_dir(root.join("bin")).unwrap();
        std::fs::create_dir_all(root.join("sub/empty")).unwrap();
        std::fs::write(root.join("a.txt"), "hello\n").unwrap();
        std::fs::write(root.join("bin/run"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(root.join("bin/run"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        std::fs::write(root.join("ü.txt"), "u").unwrap();
        symlink("../a.txt", root.join("bin/link")).unwrap();
        symlink("sub", root.join("subl")).unwrap();
        let scan = scan(&root, DigestFunction::Sha256, View::Exact, 2).unwrap();
        assert_eq!(
            scan.tree.digest().to_string(),
            "4fe17aedb0d51542b2c222cf6c5d58bd7e554acdd5c7c8dfe187e7897c48b34b/326"
        );
        assert!(scan.odd.is_empty());
    }

    #[test]
    fn a_copy_and_a_link_look_the_same_to_a_cache() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        for (name, linked) in [("linked", true), ("copied", false)] {
            std::fs::create_dir_all(root.join(name).join("bin")).unwrap();
            std::fs::write(root.join(name).join("bin/a"), "a").unwrap();
            if linked {
                symlink("a", root.join(name).join("bin/b")).unwrap();
                std::fs::create_dir(root.join(name).join("empty")).unwrap();
            } else {
                std::fs::write(root.join(name).join("bin/b"), "a").unwrap();
                std::fs::set_permissions(
                    root.join(name).join("bin/b"),
                    std::fs::Permissions::from_mode(0o755),
                )
                .unwrap();
            }
        }
        let digest = |name: &str, view| {
            scan(&root.join(name), DigestFunction::Sha256, view, 1).unwrap().tree.digest()
        };
        assert_eq!(digest("linked", View::Cached), digest("copied", View::Cached));
        assert_ne!(digest("linked", View::Exact), digest("copied", View::Exact));
    }
}
