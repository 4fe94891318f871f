//! Scanning: from a directory on disk to a tree.
//!
//! Effects layer. Two ways of looking: as it is, or as a cache returns it, where a link may have
//! become a copy, every file may be a link into a store, and modes say nothing. Directories are
//! listed, and files hashed, by all threads.

pub(crate) mod bytecode;

use std::collections::HashSet;
use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FileType;

use crate::effects::host::fs::{Directory, FsError, Links, failed, open_regular};
use crate::effects::host::state::State;
use crate::effects::work::parallel::{self, Threads};
use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hasher};
use crate::model::file_kind::FileKind;
use crate::model::path::{FileName, LinkTarget, TreePath};
use crate::model::tree::{Leaf, Tree, TreeBuilder};

/// Files that one thread reads before it takes more.
const PORTION: usize = 32;

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
    File(FileKind),
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
    let mut scans = Scanner { view, function, threads, known }.scan(&[path])?;
    Ok(scans.pop().expect("one for each directory"))
}

/// Scans several directories at once.
///
/// # Errors
/// Something cannot be read.
pub fn scan_all(
    paths: &[&Utf8Path],
    function: DigestFunction,
    view: View,
    threads: usize,
) -> Result<Vec<Scan>, FsError> {
    Scanner { view, function, threads, known: &|_, _| None }.scan(paths)
}

/// How deep a tree is followed; links in the view of a cache may lead in circles.
const DEPTH_LIMIT: usize = 256;

struct Scanner<'a> {
    view: View,
    function: DigestFunction,
    threads: usize,
    known: &'a Known<'a>,
}

/// A directory that is to be listed.
struct Unlisted {
    /// Which of the roots it lies below.
    root: usize,
    /// Its path there, `""` for the root itself.
    path: String,
    depth: usize,
}

/// What a directory holds, apart from directories.
#[derive(Default)]
struct Listed {
    root: usize,
    found: Vec<(TreePath, Found, State)>,
    odd: Vec<(String, &'static str)>,
    below: Vec<Unlisted>,
}

impl Scanner<'_> {
    fn scan(&self, paths: &[&Utf8Path]) -> Result<Vec<Scan>, FsError> {
        let roots: Vec<Directory> =
            paths.iter().map(|path| Directory::open(path)).collect::<Result<_, _>>()?;
        let first = |root| Unlisted { root, path: String::new(), depth: 1 };
        let listed = parallel::explore(
            self.threads,
            (0..roots.len()).map(first).collect(),
            |unlisted: &Unlisted| {
                let mut listed = self.list(&roots[unlisted.root], unlisted)?;
                let below = std::mem::take(&mut listed.below);
                Ok((listed, below))
            },
        )?;
        let mut all: Vec<Listed> = paths.iter().map(|_| Listed::default()).collect();
        for Listed { root, found, odd, .. } in listed {
            all[root].found.extend(found);
            all[root].odd.extend(odd);
        }
        for one in &mut all {
            let found = std::mem::take(&mut one.found);
            one.found = parallel::sort(self.threads, found, |one, other| one.0.cmp(&other.0));
            one.odd.sort_unstable();
        }
        let digests = self.digests(&roots, &all)?;
        let scans = all.into_iter().zip(digests);
        Ok(scans.map(|(listed, digests)| self.tree(listed, digests)).collect())
    }

    /// The digests of all files, portion by portion.
    fn digests(
        &self,
        roots: &[Directory],
        all: &[Listed],
    ) -> Result<Vec<Vec<Option<Digest>>>, FsError> {
        let mut portions = Vec::new();
        for (root, listed) in all.iter().enumerate() {
            portions.extend(listed.found.chunks(PORTION).map(|portion| (root, portion)));
        }
        let made = parallel::map(self.threads, portions.len(), |turn| {
            let (root, portion) = portions[turn];
            let digest = |(path, found, state): &(TreePath, Found, State)| match found {
                Found::File { .. } => match (self.known)(path, state) {
                    Some(digest) => Ok(Some(digest)),
                    None => {
                        hash(&roots[root], (path, state.size), self.view, self.function).map(Some)
                    }
                },
                Found::Directory | Found::Link(_) => Ok(None),
            };
            portion.iter().map(digest).collect::<Result<Vec<_>, _>>()
        })?;
        let mut digests: Vec<Vec<Option<Digest>>> =
            all.iter().map(|listed| Vec::with_capacity(listed.found.len())).collect();
        for ((root, _), made) in portions.iter().zip(made) {
            digests[*root].extend(made);
        }
        Ok(digests)
    }

    fn tree(&self, listed: Listed, digests: Vec<Option<Digest>>) -> Scan {
        let leaf = |(entry, digest): (&(TreePath, Found, State), &Option<Digest>)| match entry.1 {
            Found::File(kind) => digest.map(|digest| Leaf::File { blob: BlobDigest(digest), kind }),
            Found::Link(ref target) => Some(Leaf::Symlink(target.clone())),
            Found::Directory => None,
        };
        let entries = || listed.found.iter().zip(&digests);
        let leaves: Vec<(&TreePath, Leaf)> =
            entries().filter_map(|entry| Some((&entry.0.0, leaf(entry)?))).collect();
        let once = "a file system has each name once";
        let tree = if listed.has_empty_directory() {
            let mut builder = TreeBuilder::new();
            for entry in entries() {
                let inserted = match leaf(entry) {
                    Some(leaf) => builder.insert(&entry.0.0, leaf),
                    None => builder.insert_directory(&entry.0.0),
                };
                inserted.expect(once);
            }
            builder.finish(self.function)
        } else {
            Tree::of_sorted(self.function, &leaves, &Threads(self.threads)).expect(once)
        };
        drop(leaves);
        let states = listed.found.into_iter().map(|(path, _, state)| (path, state)).collect();
        Scan { tree, odd: listed.odd, states }
    }

    fn list(&self, root: &Directory, unlisted: &Unlisted) -> Result<Listed, FsError> {
        let prefix = &unlisted.path;
        let directory = match self.view {
            View::Exact => root.open_below(prefix)?,
            View::Cached if prefix.is_empty() => root.open_below("")?,
            View::Cached => Directory::open(&root.path().join(prefix))?,
        };
        let mut listed = Listed { root: unlisted.root, ..Listed::default() };
        for name in directory.names()? {
            let below = |name: &str| {
                if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
            };
            let name = match name {
                Ok(name) => name,
                Err(bytes) => {
                    let path = below(&String::from_utf8_lossy(&bytes));
                    listed.odd.push((path, "the name is not UTF-8"));
                    continue;
                }
            };
            let Ok(path) = FileName::parse(&name).and_then(|_| TreePath::parse(&below(&name)))
            else {
                listed.odd.push((below(&name), "no tree may hold such a name"));
                continue;
            };
            self.entry(&directory, (&name, path), unlisted, &mut listed)?;
        }
        Ok(listed)
    }

    fn entry(
        &self,
        directory: &Directory,
        (name, path): (&str, TreePath),
        within: &Unlisted,
        listed: &mut Listed,
    ) -> Result<(), FsError> {
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
                    listed.odd.push((path.to_string(), "the link leads nowhere"));
                    return Ok(());
                }
            }
        }
        let state = State::of(&status);
        let odd = match kind {
            FileType::Directory if within.depth >= DEPTH_LIMIT => "directories are nested too deep",
            FileType::Directory => {
                let depth = within.depth + 1;
                let path_below = path.as_str().to_owned();
                listed.below.push(Unlisted { root: within.root, path: path_below, depth });
                if self.view == View::Exact {
                    listed.found.push((path, Found::Directory, state));
                }
                return Ok(());
            }
            FileType::Symlink => match LinkTarget::parse(&directory.read_link(name)?) {
                Ok(target) => {
                    listed.found.push((path, Found::Link(target), state));
                    return Ok(());
                }
                Err(_) => "no tree may hold a link to such a place",
            },
            FileType::RegularFile => {
                let kind = match self.view {
                    View::Exact => FileKind::of_mode(status.st_mode, 0o100),
                    View::Cached => FileKind::Plain,
                };
                listed.found.push((path, Found::File(kind), state));
                return Ok(());
            }
            _ => "it is neither a file, a directory nor a link",
        };
        listed.odd.push((path.to_string(), odd));
        Ok(())
    }
}

impl Listed {
    /// Whether there is a directory in which nothing was found. What is in one is sorted to a place
    /// after it, but not always right after it.
    fn has_empty_directory(&self) -> bool {
        let is_directory = |found: &Found| matches!(found, Found::Directory);
        let parents: HashSet<&str> = self
            .found
            .iter()
            .filter_map(|(path, ..)| path.as_str().rsplit_once('/'))
            .map(|(parent, _)| parent)
            .collect();
        self.found
            .iter()
            .any(|(path, found, _)| is_directory(found) && !parents.contains(path.as_str()))
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
    fn several_directories_are_the_same_by_any_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        for (name, empty) in [("one", false), ("two", true)] {
            for index in 0..120 {
                // Names that sort otherwise as texts than as parts of paths.
                let below = root.join(name).join(["a", "a-b", "a.b"][index % 3]);
                let below = below.join(format!("{}/{}", index % 7, index % 5));
                std::fs::create_dir_all(&below).unwrap();
                std::fs::write(below.join(format!("{index}")), format!("{index}")).unwrap();
            }
            if empty {
                std::fs::create_dir_all(root.join(name).join("a/empty/deep")).unwrap();
            }
        }
        let paths = [&*root.join("one"), &*root.join("two")];
        let all = |threads| {
            let scans = scan_all(&paths, DigestFunction::Sha256, View::Exact, threads).unwrap();
            let paths = |scan: &Scan| -> Vec<String> {
                scan.states.iter().map(|(path, _)| path.to_string()).collect()
            };
            let digest = |scan: &Scan| (scan.tree.digest(), scan.states.len());
            (scans.iter().map(digest).collect::<Vec<_>>(), paths(&scans[0]), paths(&scans[1]))
        };
        let (digests, one, two) = all(1);
        assert_ne!(digests[0].0, digests[1].0, "an empty directory counts");
        assert!(one.is_sorted() && two.len() == one.len() + 2);
        let mut builder = TreeBuilder::new();
        for path in &one {
            let content = std::fs::read(root.join("one").join(path));
            if let Ok(bytes) = content {
                let blob = BlobDigest(DigestFunction::Sha256.digest(&bytes));
                let leaf = Leaf::File { blob, kind: FileKind::Plain };
                builder.insert(&TreePath::parse(path).unwrap(), leaf).unwrap();
            }
        }
        assert_eq!(builder.finish(DigestFunction::Sha256).digest(), digests[0].0);
        for threads in [2, 8] {
            assert_eq!(all(threads), (digests.clone(), one.clone(), two.clone()), "{threads}");
        }
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
