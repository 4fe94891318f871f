//! Scanning: from a directory on disk to a tree.
//!
//! Effects layer. Two ways of looking: as it is, or as a cache returns it, where a link may have
//! become a copy, every file may be a link into a store, and modes say nothing. All threads list
//! directories, hash files and make directories of the tree, of which each is made by whoever
//! finishes the last that is in it: nobody waits until all of one kind is done.

pub(crate) mod bytecode;

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use camino::Utf8Path;
use rustix::fs::{FileType, Mode};

use crate::effects::host::fs::{Directory, FsError, Links, failed, open_regular};
use crate::effects::host::state::State;
use crate::effects::work::parallel;
use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hasher};
use crate::model::file_kind::FileKind;
use crate::model::path::{FileName, LinkTarget, TreePath};
use crate::model::tree::{self, Leaf, Node, Tree};

/// Files that one thread reads before it takes more.
const PORTION: usize = 32;
/// How many bytes of a file are read at once.
const CHUNK: usize = 64 << 10;

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
}

/// How entries looked before they were read, by path.
pub type Looks = Vec<(TreePath, State)>;

/// What is known of a file that looks so, and need not be read for it.
pub type Known<'a> = dyn Fn(&TreePath, &State) -> Option<Digest> + Sync + 'a;

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
    let mut scans = scan_all(&[path], function, view, threads)?;
    Ok(scans.pop().expect("one for each directory"))
}

/// The same as it is, with what is known of some files. Returns how each entry of the tree looked,
/// too.
///
/// # Errors
/// Something cannot be read.
pub fn scan_with(
    path: &Utf8Path,
    function: DigestFunction,
    threads: usize,
    known: &Known<'_>,
) -> Result<(Scan, Looks), FsError> {
    let scanner = Scanner { view: View::Exact, function, known: Some(known) };
    let mut scans = scanner.scan(&[path], threads)?;
    let (scan, looks) = scans.pop().expect("one for each directory");
    Ok((scan, parallel::sort(threads, looks, |one, other| one.0.cmp(&other.0))))
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
    let scans = Scanner { view, function, known: None }.scan(paths, threads)?;
    Ok(scans.into_iter().map(|(scan, _)| scan).collect())
}

/// How deep a tree is followed; links in the view of a cache may lead in circles.
const DEPTH_LIMIT: usize = 256;

/// How often directories are read that others replace meanwhile.
const TRIES: usize = 16;

/// Whether another directory lies now where one was opened.
fn is_replaced(directory: &Directory) -> bool {
    let own = rustix::fs::fstat(directory.handle());
    let there = rustix::fs::stat(directory.path().as_std_path());
    own.is_ok_and(|own| {
        there.is_ok_and(|there| (own.st_dev, own.st_ino) != (there.st_dev, there.st_ino))
    })
}

struct Scanner<'a> {
    view: View,
    function: DigestFunction,
    /// What is known of files; who knows something wants to know how entries look.
    known: Option<&'a Known<'a>>,
}

/// One of the directories that are scanned, and what is found there.
struct Root {
    directory: Directory,
    found: Mutex<FoundBelow>,
}

/// What is found below a root.
#[derive(Default)]
struct FoundBelow {
    tree: Option<tree::Directory>,
    odd: Vec<(String, &'static str)>,
    looks: Looks,
}

/// A directory that is being scanned.
struct Place<'r> {
    root: &'r Root,
    /// Its path there, `""` for the root itself.
    path: String,
    depth: usize,
    /// The directory that it is in, and its name there.
    above: Option<(Arc<Self>, FileName)>,
    /// What is known of what is in it.
    entries: Mutex<Vec<(FileName, Node)>>,
    /// How much is not: directories in it, portions of files, and its list itself.
    left: AtomicUsize,
}

impl<'r> Place<'r> {
    fn of(root: &'r Root) -> Arc<Self> {
        Arc::new(Self {
            root,
            path: String::new(),
            depth: 1,
            above: None,
            entries: Mutex::default(),
            left: AtomicUsize::new(1),
        })
    }

    /// A directory in this one, which is not complete without it.
    fn below(self: &Arc<Self>, name: FileName, path: &TreePath) -> Arc<Self> {
        self.left.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            root: self.root,
            path: path.as_str().to_owned(),
            depth: self.depth + 1,
            above: Some((Arc::clone(self), name)),
            entries: Mutex::default(),
            left: AtomicUsize::new(1),
        })
    }

    fn add(&self, entries: impl IntoIterator<Item = (FileName, Node)>) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).extend(entries);
    }

    fn take(&self) -> Vec<(FileName, Node)> {
        std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A file that is to be read.
struct Unread {
    name: FileName,
    path: TreePath,
    kind: FileKind,
    state: State,
}

/// What there is to do.
enum Task<'r> {
    /// List a directory.
    List(Arc<Place<'r>>),
    /// Read files that are in it.
    Read { place: Arc<Place<'r>>, directory: Arc<Directory>, files: Vec<Unread> },
}

/// What a directory holds, apart from directories.
#[derive(Default)]
struct Listed<'r> {
    links: Vec<(FileName, Node)>,
    files: Vec<Unread>,
    below: Vec<Task<'r>>,
    odd: Vec<(String, &'static str)>,
    looks: Looks,
}

impl Scanner<'_> {
    /// What directories hold. One that another takes the place of meanwhile may be removed while it
    /// is read: then what is there now counts.
    fn scan(&self, paths: &[&Utf8Path], threads: usize) -> Result<Vec<(Scan, Looks)>, FsError> {
        let open = |path: &&Utf8Path| {
            Ok(Root { directory: Directory::open(path)?, found: Mutex::default() })
        };
        let mut tries = 0..TRIES;
        loop {
            let roots: Vec<Root> = paths.iter().map(open).collect::<Result<_, _>>()?;
            let handles: Vec<_> =
                roots.iter().map(|root| root.directory.open_below("")).collect::<Result<_, _>>()?;
            let result = self.scan_roots(roots, threads);
            if tries.next().is_none() || !handles.iter().any(is_replaced) {
                return result;
            }
        }
    }

    fn scan_roots(&self, roots: Vec<Root>, threads: usize) -> Result<Vec<(Scan, Looks)>, FsError> {
        let first = roots.iter().map(|root| Task::List(Place::of(root))).collect();
        parallel::branch(threads, first, |task| match task {
            Task::List(place) => self.list(&place),
            Task::Read { place, directory, files } => {
                place.add(self.read(&directory, files)?);
                self.complete(place);
                Ok(Vec::new())
            }
        })?;
        let scan = |root: Root| {
            let found = root.found.into_inner().unwrap_or_else(PoisonError::into_inner);
            let FoundBelow { tree, mut odd, looks } = found;
            odd.sort_unstable();
            let tree = tree.expect("the root is complete when nothing is left to do");
            (Scan { tree: Tree::of_root(self.function, tree), odd }, looks)
        };
        Ok(roots.into_iter().map(scan).collect())
    }

    /// Lists a directory and reads its files, or leaves them to others where there are many. Returns
    /// what remains to be done.
    fn list<'r>(&self, place: &Arc<Place<'r>>) -> Result<Vec<Task<'r>>, FsError> {
        let (root, path) = (&place.root.directory, &place.path);
        let directory = match self.view {
            View::Exact => root.open_below(path)?,
            View::Cached if path.is_empty() => root.open_below("")?,
            View::Cached => Directory::open(&root.path().join(path))?,
        };
        let mut listed = Listed::default();
        let mut names = directory.names()?;
        // What is renamed meanwhile may come twice.
        names.dedup();
        for name in names {
            let below = |name: &str| {
                if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
            };
            let name = match name {
                Ok(name) => name,
                Err(bytes) => {
                    let path = below(&String::from_utf8_lossy(&bytes));
                    listed.odd.push((path, "the name is not UTF-8"));
                    continue;
                }
            };
            match (FileName::parse(&name), TreePath::parse(&below(&name))) {
                (Ok(name), Ok(path)) => self.entry(&directory, (name, path), place, &mut listed)?,
                _ => listed.odd.push((below(&name), "no tree may hold such a name")),
            }
        }
        let Listed { links, mut files, below: mut tasks, odd, looks } = listed;
        if !odd.is_empty() || !looks.is_empty() {
            let found = &place.root.found;
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.odd.extend(odd);
            found.looks.extend(looks);
        }
        place.add(links);
        let directory = Arc::new(directory);
        while files.len() > PORTION {
            place.left.fetch_add(1, Ordering::Relaxed);
            let files = files.split_off(files.len() - PORTION);
            let (place, directory) = (Arc::clone(place), Arc::clone(&directory));
            tasks.push(Task::Read { place, directory, files });
        }
        place.add(self.read(&directory, files)?);
        self.complete(Arc::clone(place));
        Ok(tasks)
    }

    fn entry<'r>(
        &self,
        directory: &Directory,
        (name, path): (FileName, TreePath),
        within: &Arc<Place<'r>>,
        listed: &mut Listed<'r>,
    ) -> Result<(), FsError> {
        let mut status = directory.status(name.as_str())?;
        let mut kind = FileType::from_raw_mode(status.st_mode);
        if kind == FileType::Symlink && self.view == View::Cached {
            let full = directory.path().join(name.as_str());
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
            FileType::Directory if within.depth >= DEPTH_LIMIT => {
                Some("directories are nested too deep")
            }
            FileType::Directory => {
                listed.below.push(Task::List(within.below(name, &path)));
                None
            }
            FileType::Symlink => match LinkTarget::parse(&directory.read_link(name.as_str())?) {
                Ok(target) => {
                    listed.links.push((name, Node::Leaf(Leaf::Symlink(target))));
                    None
                }
                Err(_) => Some("no tree may hold a link to such a place"),
            },
            FileType::RegularFile => {
                let kind = match self.view {
                    View::Exact => {
                        FileKind::from(Mode::from_raw_mode(status.st_mode).contains(Mode::XUSR))
                    }
                    View::Cached => FileKind::Plain,
                };
                listed.files.push(Unread { name, path: path.clone(), kind, state });
                None
            }
            _ => Some("it is neither a file, a directory nor a link"),
        };
        match odd {
            Some(problem) => listed.odd.push((path.to_string(), problem)),
            None if self.known.is_some() => listed.looks.push((path, state)),
            None => {}
        }
        Ok(())
    }

    /// Files, read.
    fn read(
        &self,
        directory: &Directory,
        files: Vec<Unread>,
    ) -> Result<Vec<(FileName, Node)>, FsError> {
        let mut buffer = Vec::new();
        let read = |file: Unread| {
            let Unread { name, path, kind, state } = file;
            let known = self.known.and_then(|known| known(&path, &state));
            let digest = match known {
                Some(digest) => digest,
                None => self.hash(directory, (name.as_str(), state.size), &mut buffer)?,
            };
            Ok((name, Node::Leaf(Leaf::File { blob: BlobDigest(digest), kind })))
        };
        files.into_iter().map(read).collect()
    }

    fn hash(
        &self,
        directory: &Directory,
        (name, size): (&str, u64),
        buffer: &mut Vec<u8>,
    ) -> Result<Digest, FsError> {
        let full = || directory.path().join(name);
        let mut file = match self.view {
            View::Cached => open_regular(&full(), Links::Follow)
                .map_err(|error| failed("open", &full())(error))?,
            View::Exact => directory.open_file(name)?,
        };
        let mut hasher = Hasher::new(self.function);
        // One byte more shows the end of a file that has not grown.
        let size = usize::try_from(size.saturating_add(1)).map_or(CHUNK, |size| size.min(CHUNK));
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        loop {
            let length =
                file.read(&mut buffer[..size]).map_err(|error| failed("read", &full())(error))?;
            if length == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&buffer[..length]);
        }
    }

    /// Notes that something of a directory is done. If that was the last of it, it is made, and so
    /// are those above of which it was the last.
    fn complete(&self, mut place: Arc<Place<'_>>) {
        while place.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let entries = place.take();
            let Some((above, name)) = &place.above else {
                let made = tree::Directory::of(self.function, entries);
                let found = &place.root.found;
                found.lock().unwrap_or_else(PoisonError::into_inner).tree = Some(made);
                return;
            };
            if self.view == View::Exact || !entries.is_empty() {
                let made = Arc::new(tree::Directory::of(self.function, entries));
                above.add([(name.clone(), Node::Directory(made))]);
            }
            let above = Arc::clone(above);
            place = above;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use camino::Utf8PathBuf;

    use super::*;
    use crate::model::tree::TreeBuilder;

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
    fn a_directory_that_another_replaces_meanwhile_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        for (name, files) in [("out", 100), ("new", 3)] {
            std::fs::create_dir(root.join(name)).unwrap();
            for index in 0..files {
                std::fs::write(root.join(name).join(format!("{index}")), name).unwrap();
            }
        }
        let path = |name: &str| root.join(name);
        let expected = scan(&path("new"), DigestFunction::Sha256, View::Exact, 1).unwrap();
        let replace = |_: &TreePath, _: &State| {
            if path("new").exists() {
                std::fs::rename(path("out"), path("old")).unwrap();
                std::fs::rename(path("new"), path("out")).unwrap();
                std::fs::remove_dir_all(path("old")).unwrap();
            }
            None
        };
        let (found, looks) = scan_with(&path("out"), DigestFunction::Sha256, 1, &replace).unwrap();
        assert_eq!(found.tree.digest(), expected.tree.digest());
        assert_eq!(looks.len(), 3);
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
            let digests: Vec<_> = scans.iter().map(|scan| scan.tree.digest()).collect();
            let looks = |path: &Utf8Path| -> Vec<String> {
                let scan = scan_with(path, DigestFunction::Sha256, threads, &|_, _| None);
                let (scan, looks) = scan.unwrap();
                assert!(digests.contains(&scan.tree.digest()));
                looks.iter().map(|(path, _)| path.to_string()).collect()
            };
            let looks = paths.map(looks);
            (digests, looks)
        };
        let (digests, [one, two]) = all(1);
        assert_ne!(digests[0], digests[1], "an empty directory counts");
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
        assert_eq!(builder.finish(DigestFunction::Sha256).digest(), digests[0]);
        for threads in [2, 8] {
            assert_eq!(all(threads), (digests.clone(), [one.clone(), two.clone()]), "{threads}");
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
