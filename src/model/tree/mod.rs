//! A tree: what a directory holds, and nothing about where it came from. Immutable; has a root
//! digest.
//!
//! Model layer. The digest of a directory is that of its canonical REAPI `Directory` message
//! ([`wire`]), so the root digest is what any client of a remote cache computes for the same
//! directory.

mod links;
pub mod receive;
pub(crate) mod walk;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::digest::{BlobDigest, DigestFunction, DirectoryDigest};
use crate::model::file_kind::FileKind;
use crate::model::path::{FileName, LinkTarget, TreePath};
use crate::model::workers::Workers;

/// A file or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A regular file.
    File {
        /// Its bytes.
        blob: BlobDigest,
        /// Whether it is executable: mode 0755 instead of 0644.
        kind: FileKind,
    },
    /// A symbolic link.
    Symlink(LinkTarget),
}

/// What a name in a directory stands for. In a message that stands alone, a directory is known by
/// its digest only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<D = Arc<Directory>> {
    /// A file or a link.
    Leaf(Leaf),
    /// A directory.
    Directory(D),
}

/// A directory: unique names in the order of their bytes, and the digest of the whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Directory {
    entries: Box<[(FileName, Node)]>,
    digest: DirectoryDigest,
    message: Bytes,
}

impl Directory {
    /// The entries, in the order of their names' bytes.
    pub fn entries(&self) -> &[(FileName, Node)] {
        &self.entries
    }

    /// The digest of the canonical message.
    pub fn digest(&self) -> DirectoryDigest {
        self.digest
    }

    /// The canonical REAPI `Directory` message.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The node with that name.
    pub fn get(&self, name: &str) -> Option<&Node> {
        let index = self.entries.binary_search_by(|(entry, _)| entry.as_str().cmp(name)).ok()?;
        Some(&self.entries[index].1)
    }

    /// A directory of all that is in it, in any order, each name once. Directories below it have
    /// their digests by the same function.
    pub fn of(function: DigestFunction, mut entries: Vec<(FileName, Node)>) -> Self {
        entries.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        debug_assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0), "each name once");
        Self::new(function, entries.into())
    }

    fn new(function: DigestFunction, entries: Box<[(FileName, Node)]>) -> Self {
        let message = wire::encode_directory(&entries, |directory: &Arc<Self>| directory.digest)
            .into_boxed_slice();
        let digest = DirectoryDigest(function.digest(&message));
        Self { entries, digest, message: message.into() }
    }
}

/// A whole tree, made by a [`TreeBuilder`] or of sorted leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    function: DigestFunction,
    root: Arc<Directory>,
}

impl Tree {
    /// Makes a tree of all its leaves, which are sorted by path: quicker than a [`TreeBuilder`],
    /// which takes them in any order.
    ///
    /// # Errors
    /// A path is there twice, or lies below a file or a link.
    pub fn of_sorted(
        function: DigestFunction,
        leaves: &[(&TreePath, Leaf)],
        workers: &impl Workers,
    ) -> Result<Self, TreeError> {
        let all = Sorted { leaves, start: 0 };
        let limit = leaves.len() / PARTS;
        let mut parts = Vec::new();
        all.divide(limit, &mut parts);
        let make = |part: usize| parts[part].directory(function, 0, &mut std::iter::empty());
        let made = workers.map(parts.len(), make);
        let root = all.directory(function, limit, &mut made.into_iter())?;
        Ok(Self { function, root })
    }

    /// The tree whose root is a directory, digests by that function.
    pub fn of_root(function: DigestFunction, root: Directory) -> Self {
        Self { function, root: Arc::new(root) }
    }

    /// The digest function of every digest in it.
    pub fn function(&self) -> DigestFunction {
        self.function
    }

    /// The root directory.
    pub fn root(&self) -> &Arc<Directory> {
        &self.root
    }

    /// The root digest.
    pub fn digest(&self) -> DirectoryDigest {
        self.root.digest
    }

    /// The node at a path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        let mut directory = &self.root;
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        for component in parents.split('/').filter(|component| !component.is_empty()) {
            match directory.get(component)? {
                Node::Directory(below) => directory = below,
                Node::Leaf(_) => return None,
            }
        }
        directory.get(name)
    }
}

/// Into how many parts of one size the work on a tree would be divided, if directories were so kind:
/// enough for each thread to have several.
const PARTS: usize = 64;

/// Leaves of one directory and all below it, sorted by path; their paths within it begin at `start`.
#[derive(Clone, Copy)]
struct Sorted<'leaves, 'paths> {
    leaves: &'leaves [(&'paths TreePath, Leaf)],
    start: usize,
}

/// What a name in a directory stands for.
enum Part<'leaves, 'paths> {
    Leaf(&'leaves Leaf),
    Directory(Sorted<'leaves, 'paths>),
}

impl<'leaves, 'paths> Sorted<'leaves, 'paths> {
    /// What is in the directory, by name.
    fn parts(self) -> impl Iterator<Item = (&'leaves str, Part<'leaves, 'paths>)> {
        let Self { mut leaves, start } = self;
        std::iter::from_fn(move || {
            let (path, leaf) = leaves.first()?;
            let within = &path.as_str()[start..];
            let Some(slash) = memchr::memchr(b'/', within.as_bytes()) else {
                leaves = &leaves[1..];
                return Some((within, Part::Leaf(leaf)));
            };
            // Sorted by path, whatever lies in one directory lies together.
            let prefix = &path.as_str()[..=start + slash];
            let end = leaves.partition_point(|(path, _)| path.as_str().starts_with(prefix));
            let (below, rest) = leaves.split_at(end);
            leaves = rest;
            let below = Self { leaves: below, start: prefix.len() };
            Some((&within[..slash], Part::Directory(below)))
        })
    }

    /// The directories below this one that have so many leaves at most, and lie in none that does.
    fn divide(self, limit: usize, parts: &mut Vec<Self>) {
        for (_, part) in self.parts() {
            match part {
                Part::Directory(below) if below.leaves.len() <= limit => parts.push(below),
                Part::Directory(below) => below.divide(limit, parts),
                Part::Leaf(_) => {}
            }
        }
    }

    /// The directory, where those that [`Self::divide`] gives for this limit are made already.
    fn directory(
        self,
        function: DigestFunction,
        limit: usize,
        made: &mut dyn Iterator<Item = Result<Arc<Directory>, TreeError>>,
    ) -> Result<Arc<Directory>, TreeError> {
        let mut entries: Vec<(FileName, Node)> = Vec::new();
        for (name, part) in self.parts() {
            let name = FileName::parse(name).expect("a component of a tree path is a name");
            let node = match part {
                Part::Leaf(leaf) => Node::Leaf(leaf.clone()),
                Part::Directory(below) if below.leaves.len() <= limit => {
                    Node::Directory(made.next().expect("one for each part")?)
                }
                Part::Directory(below) => Node::Directory(below.directory(function, limit, made)?),
            };
            entries.push((name, node));
        }
        // A path sorts by its whole text, a name by itself: `a-b` is before `a/c`, and after `a`.
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let path = &self.leaves[0].0.as_str()[..self.start];
            let path = TreePath::parse(&format!("{path}{}", pair[0].0))
                .expect("a part of a tree path is one");
            return Err(match pair {
                [(_, Node::Leaf(_)), (_, Node::Leaf(_))] => TreeError::Taken { path },
                _ => TreeError::NotADirectory { parent: path.to_string(), path },
            });
        }
        Ok(Arc::new(Directory::new(function, entries.into())))
    }
}

/// Why an entry cannot be put into a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The path is taken.
    #[error("`{path}` is in the tree already")]
    Taken {
        /// The path.
        path: TreePath,
    },
    /// A parent of the path is no directory.
    #[error("`{path}` cannot be in the tree: `{parent}` is a file or a link")]
    NotADirectory {
        /// The path.
        path: TreePath,
        /// Its parent that is none.
        parent: String,
    },
}

#[derive(Debug)]
enum Building {
    Leaf(Leaf),
    Directory(BTreeMap<FileName, Building>),
}

/// Collects entries in any order; [`TreeBuilder::finish`] makes the tree, which does not depend on
/// that order.
#[derive(Debug, Default)]
pub struct TreeBuilder {
    root: BTreeMap<FileName, Building>,
}

impl TreeBuilder {
    /// Starts with an empty root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file or a link; parents come into being with it.
    ///
    /// # Errors
    /// The path is taken, or lies below a file or a link.
    pub fn insert(&mut self, path: &TreePath, leaf: Leaf) -> Result<(), TreeError> {
        self.add(path, Building::Leaf(leaf))
    }

    /// Adds a directory that may stay empty; one that is there already stays as it is.
    ///
    /// # Errors
    /// The path, or a parent of it, is a file or a link.
    pub fn insert_directory(&mut self, path: &TreePath) -> Result<(), TreeError> {
        match self.add(path, Building::Directory(BTreeMap::new())) {
            Err(TreeError::Taken { path }) if self.is_directory(&path) => Ok(()),
            result => result,
        }
    }

    fn is_directory(&self, path: &TreePath) -> bool {
        let mut entries = &self.root;
        for component in path.components() {
            match entries.get(component) {
                Some(Building::Directory(below)) => entries = below,
                Some(Building::Leaf(_)) | None => return false,
            }
        }
        true
    }

    fn add(&mut self, path: &TreePath, node: Building) -> Result<(), TreeError> {
        let mut entries = &mut self.root;
        for parent in path.ancestors() {
            let name = parent.rsplit('/').next().unwrap_or(parent);
            if !entries.contains_key(name) {
                let name = FileName::parse(name).expect("a component of a tree path is a name");
                entries.insert(name, Building::Directory(BTreeMap::new()));
            }
            match entries.get_mut(name) {
                Some(Building::Directory(below)) => entries = below,
                _ => {
                    return Err(TreeError::NotADirectory {
                        path: path.clone(),
                        parent: parent.to_owned(),
                    });
                }
            }
        }
        let name = FileName::parse(path.name()).expect("a component of a tree path is a name");
        match entries.entry(name) {
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(TreeError::Taken { path: path.clone() })
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(node);
                Ok(())
            }
        }
    }

    /// Makes the tree.
    pub fn finish(self, function: DigestFunction) -> Tree {
        fn finish(
            function: DigestFunction,
            entries: BTreeMap<FileName, Building>,
        ) -> Arc<Directory> {
            let entries = entries.into_iter().map(|(name, building)| {
                let node = match building {
                    Building::Leaf(leaf) => Node::Leaf(leaf),
                    Building::Directory(below) => Node::Directory(finish(function, below)),
                };
                (name, node)
            });
            Arc::new(Directory::new(function, entries.collect()))
        }
        Tree { function, root: finish(function, self.root) }
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of plain files, with their texts.
    pub(crate) fn of_texts<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut builder = TreeBuilder::new();
        for (path, text) in files {
            let blob = BlobDigest(DigestFunction::Sha256.digest(text.as_bytes()));
            let file = Leaf::File { blob, kind: FileKind::Plain };
            builder.insert(&TreePath::parse(path).unwrap(), file).unwrap();
        }
        builder.finish(DigestFunction::Sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workers::Alone;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn file(text: &str, kind: FileKind) -> Leaf {
        Leaf::File { blob: BlobDigest(DigestFunction::Sha256.digest(text.as_bytes())), kind }
    }

    #[test]
    fn the_order_of_insertion_changes_nothing() {
        let entries = [
            ("a-b", file("1", FileKind::Plain)),
            ("a/b", file("2", FileKind::Executable)),
            ("a.b", file("3", FileKind::Plain)),
            ("a/a/c", file("", FileKind::Plain)),
        ];
        let build = |order: &[usize]| {
            let mut builder = TreeBuilder::new();
            for &index in order {
                builder.insert(&path(entries[index].0), entries[index].1.clone()).unwrap();
            }
            builder.finish(DigestFunction::Sha256)
        };
        assert_eq!(build(&[0, 1, 2, 3]), build(&[3, 1, 0, 2]));
        assert_eq!(
            build(&[0, 1, 2, 3]).get("a/b"),
            Some(&Node::Leaf(file("2", FileKind::Executable)))
        );
    }

    #[test]
    fn sorted_leaves_make_the_same_tree_as_a_builder() {
        let check = |texts: &[&str]| {
            let mut paths: Vec<TreePath> = texts.iter().map(|text| path(text)).collect();
            paths.sort();
            let leaves: Vec<(&TreePath, Leaf)> =
                paths.iter().map(|path| (path, file(path.as_str(), FileKind::Plain))).collect();
            let mut builder = TreeBuilder::new();
            let built =
                leaves.iter().try_for_each(|(path, leaf)| builder.insert(path, leaf.clone()));
            let tree = Tree::of_sorted(DigestFunction::Sha256, &leaves, &Alone);
            match built {
                Ok(()) => assert_eq!(tree, Ok(builder.finish(DigestFunction::Sha256)), "{texts:?}"),
                Err(_) => assert!(tree.is_err(), "{texts:?}"),
            }
        };
        check(&[]);
        check(&["a-b", "a/b", "a.b", "a/a/c", "a0", "b"]);
        check(&["a/b-c/d", "a/b/d", "a/b.d", "a/b/e/f"]);
        check(&["a", "a"]);
        check(&["a", "a-b", "a/b"]);
        check(&["x/a", "x/a.b", "x/a/b/c"]);
        // So many that they are divided, by directories of very different sizes.
        let many = |clash: Option<&'static str>| {
            let file =
                |n: usize| format!("{}/{}/{}/{n}", ["a", "a-b", "c"][n % 3], n % 11, n / 100);
            let small = (0..90).map(|n| format!("s/{n}/x"));
            let deep = (0..1000).map(file).chain(small).chain(clash.map(str::to_owned));
            deep.collect::<Vec<String>>()
        };
        for clash in [None, Some("a/3"), Some("a/3/0"), Some("s/7/x/y"), Some("s/7/x")] {
            let texts = many(clash);
            check(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_path_is_taken_once_and_files_have_nothing_below() {
        let mut builder = TreeBuilder::new();
        builder.insert(&path("a"), file("", FileKind::Plain)).unwrap();
        assert!(matches!(
            builder.insert(&path("a"), file("", FileKind::Plain)),
            Err(TreeError::Taken { .. })
        ));
        assert!(matches!(
            builder.insert(&path("a/b"), file("", FileKind::Plain)),
            Err(TreeError::NotADirectory { .. })
        ));
        assert!(builder.insert_directory(&path("a")).is_err());
        builder.insert(&path("d/e"), file("", FileKind::Plain)).unwrap();
        builder.insert_directory(&path("d")).unwrap();
        assert!(matches!(
            builder.insert(&path("d"), file("", FileKind::Plain)),
            Err(TreeError::Taken { .. })
        ));
    }
}
