//! What a sink writes: the entries of a plan or of a tree, and whoever has their bytes.
//!
//! Effects layer. Entries go in the order of their paths. Directories are none: they follow from the
//! paths.

use camino::Utf8Path;

use crate::effects::source::supply::{self, FeedError, Supply, SupplyError};
use crate::effects::work::pipeline::Crew;
use crate::model::digest::{Digest, DigestFunction};
use crate::model::file_kind::FileKind;
use crate::model::path::{LinkTarget, TreePath};
use crate::model::plan::{Content, Planned, PlannedNode};
use crate::model::tree::{Leaf, Tree};

/// A file or a link, and where it goes.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The path in the tree.
    pub path: TreePath,
    /// What is there.
    pub node: EntryNode<'a>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy)]
pub enum EntryNode<'a> {
    File(FileEntry<'a>),
    /// A symbolic link.
    Link(&'a LinkTarget),
}

/// A file whose content is known by its digest.
#[derive(Debug, Clone, Copy)]
pub struct FileEntry<'a> {
    /// The digest: by SHA-256 in a plan, by the tree's function in a tree.
    pub digest: Digest,
    /// Whether it is executable.
    pub kind: FileKind,
    /// What it is made of, where a plan says so.
    pub content: Option<&'a Content>,
}

#[cfg(test)]
impl FileEntry<'_> {
    /// A file that is nowhere.
    pub(in crate::effects) fn imagined(size: u64, kind: FileKind) -> Self {
        let hash = crate::model::digest::Hash::new([0; 32]);
        Self { digest: Digest { hash, size }, kind, content: None }
    }
}

impl<'a> From<&'a PlannedNode> for EntryNode<'a> {
    fn from(node: &'a PlannedNode) -> Self {
        match node {
            PlannedNode::Symlink(target) => Self::Link(target),
            PlannedNode::File { content, sha256, size, kind } => Self::File(FileEntry {
                digest: Digest { hash: *sha256, size: *size },
                kind: *kind,
                content: Some(content),
            }),
        }
    }
}

impl<'a> From<&'a Leaf> for EntryNode<'a> {
    fn from(leaf: &'a Leaf) -> Self {
        match leaf {
            Leaf::Symlink(target) => Self::Link(target),
            Leaf::File { blob, kind } => {
                Self::File(FileEntry { digest: blob.0, kind: *kind, content: None })
            }
        }
    }
}

/// An entry of a plan.
pub fn of_planned((path, planned): &(TreePath, Planned)) -> Entry<'_> {
    Entry { path: path.clone(), node: EntryNode::from(&planned.node) }
}

/// The entries of a tree, in the order of a plan's.
pub fn of_tree(tree: &Tree) -> impl Iterator<Item = Entry<'_>> {
    let mut leaves: Vec<_> = tree.leaves().collect();
    leaves.sort_by(|(left, _), (right, _)| left.cmp(right));
    leaves.into_iter().map(|(path, leaf)| Entry { path, node: EntryNode::from(leaf) })
}

/// Whoever has the bytes of entries.
pub trait Source {
    /// Hands a file's bytes to `take`, in order, in one or more parts, as many as its digest says
    /// at most. They are verified when this returns: until then, what was taken is a claim.
    ///
    /// # Errors
    /// The bytes cannot be had, are not those promised, or `take` fails.
    fn feed<E>(
        &self,
        path: &TreePath,
        file: FileEntry<'_>,
        crew: Crew<'_>,
        take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), FeedError<E>>;
}

impl Source for Supply<'_> {
    fn feed<E>(
        &self,
        _: &TreePath,
        file: FileEntry<'_>,
        crew: Crew<'_>,
        take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        let content = file.content.expect("a plan says what its files are made of");
        Supply::feed(self, content, file.digest, crew, take)
    }
}

/// The files of a directory that was scanned as a tree.
#[derive(Debug, Clone, Copy)]
pub struct Folder<'a> {
    /// Where it is.
    pub path: &'a Utf8Path,
    /// The function of the digests.
    pub function: DigestFunction,
}

impl Source for Folder<'_> {
    fn feed<E>(
        &self,
        path: &TreePath,
        file: FileEntry<'_>,
        crew: Crew<'_>,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        let path = self.path.join(path.as_str());
        let changed = || SupplyError::Changed { path: path.clone() };
        let mut left = file.digest.size;
        let within = |bytes: &[u8]| {
            // A size has been promised.
            left = left.checked_sub(bytes.len() as u64).ok_or_else(changed)?;
            take(bytes).map_err(FeedError::Taker)
        };
        match supply::pass_file(&path, file.digest.size, self.function, crew, within) {
            Ok(digest) if digest == file.digest => Ok(()),
            Ok(_) => Err(changed().into()),
            Err(FeedError::Supply(error) | FeedError::Taker(FeedError::Supply(error))) => {
                Err(error.into())
            }
            Err(FeedError::Taker(FeedError::Taker(error))) => Err(FeedError::Taker(error)),
        }
    }
}
