//! Files of a tree that come from elsewhere, such as a remote cache, into the area that they will be
//! linked from.
//!
//! Effects layer.

use std::collections::HashSet;
use std::fs;
use std::io::Read;

use super::Area;
use crate::effects::caches::blob::{BlobError, BlobStore, Blobs};
use crate::effects::host::fs::{Links, open_regular};
use crate::model::digest::{Digest, DigestFunction};
use crate::model::file_kind::FileKind;
use crate::model::tree::{Directory, Leaf, Node, Tree};

/// The files of a tree by content: each digest, and as which kinds it is needed. Sorted by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    files: Vec<(Digest, FileKind)>,
}

impl Wanted {
    /// Every file of a tree, once per content and kind.
    pub fn of(tree: &Tree) -> Self {
        fn visit(
            directory: &Directory,
            seen: &mut HashSet<Digest>,
            files: &mut Vec<(Digest, FileKind)>,
        ) {
            if !seen.insert(directory.digest().0) {
                return;
            }
            for (_, node) in directory.entries() {
                match node {
                    Node::Leaf(Leaf::File { blob, kind }) => files.push((blob.0, *kind)),
                    Node::Leaf(Leaf::Symlink(_)) => {}
                    Node::Directory(below) => visit(below, seen, files),
                }
            }
        }
        let mut files = Vec::new();
        visit(tree.root(), &mut HashSet::new(), &mut files);
        files.sort_unstable();
        files.dedup();
        Self { files }
    }

    /// The contents and kinds.
    pub fn files(&self) -> &[(Digest, FileKind)] {
        &self.files
    }

    /// The contents, once each.
    pub fn digests(&self) -> Vec<Digest> {
        let mut digests: Vec<Digest> = self.files.iter().map(|(digest, _)| *digest).collect();
        digests.dedup();
        digests
    }

    /// The bytes of all contents together, each once.
    pub fn size(&self) -> u64 {
        self.digests().iter().map(|digest| digest.size).sum()
    }

    fn kinds(&self, digest: Digest) -> impl Iterator<Item = FileKind> + '_ {
        let start = self.files.partition_point(|(found, _)| *found < digest);
        self.files[start..]
            .iter()
            .take_while(move |(found, _)| *found == digest)
            .map(|(_, kind)| *kind)
    }
}

/// An area as the target of a download: blobs go where the tree's files will be linked from.
#[derive(Debug)]
pub struct Incoming<'a> {
    pub(super) area: &'a Area<'a>,
    pub(super) wanted: &'a Wanted,
}

impl Blobs for Incoming<'_> {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        self.area.store.open(digest)
    }
}

impl BlobStore for Incoming<'_> {
    fn function(&self) -> DigestFunction {
        self.area.store.function
    }

    /// Those that neither the area nor `cas/` has as every kind that is wanted.
    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let mut missing: Vec<Digest> = digests.to_vec();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|&digest| {
            let in_area = self.wanted.kinds(digest).all(|kind| self.area.has(digest, kind));
            let in_cas = || {
                fs::metadata(self.area.store.blob_path(digest.hash))
                    .is_ok_and(|found| found.is_file() && found.len() == digest.size)
            };
            digest.size != 0 && !in_area && !in_cas()
        });
        Ok(missing)
    }

    fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError> {
        let mut kinds = self.wanted.kinds(digest);
        let Some(first) = kinds.next() else {
            return self.area.store.put(digest, bytes);
        };
        self.area.insert(digest, first, bytes)?;
        if let Some(second) = kinds.next() {
            let path = self.area.path(digest, first);
            let file = open_regular(&path, Links::Refuse)
                .map_err(|error| BlobError::io("open", &path, error))?;
            self.area.insert(digest, second, &mut &file)?;
        }
        Ok(())
    }
}
