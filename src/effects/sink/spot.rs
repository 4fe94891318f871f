//! One entry, put into a directory that is open.
//!
//! Effects layer. Whoever walks through directories does not ask where files come from, and whoever
//! has files does not ask in which order they are written.

use std::os::fd::AsFd as _;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::area::{Area, At, Given};
use crate::effects::host::fs::{Directory, FsError};
use crate::effects::host::state::State;
use crate::effects::source::entry::{EntryNode, FileEntry};
use crate::effects::work::pipeline::Crew;
use crate::model::digest::Digest;
use crate::model::file_kind::FileKind;

/// Where a file goes: under a name that is not taken in a directory that is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    /// The directory.
    pub(super) parent: &'a Directory,
    /// Its path in the tree; the root's is empty.
    pub(super) below: &'a str,
    pub(super) name: &'a str,
}

impl Spot<'_> {
    /// The same for an area.
    pub(super) fn at(&self) -> At<'_> {
        At { directory: self.parent.handle().as_fd(), name: self.name }
    }

    /// Puts the file there that an area has of that content; nothing where it does not have it.
    pub(super) fn place(
        &self,
        area: &Area<'_>,
        digest: Digest,
        kind: FileKind,
    ) -> Result<Option<Put>, BlobError> {
        let given = area.place(digest, kind, self.at());
        let put = |Given { look }| Put { digest, look };
        given.map(|given| given.map(put)).map_err(|error| error.below(self.parent.path()))
    }
}

/// A file in its spot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    /// By the function of the tree.
    pub(super) digest: Digest,
    /// How it looks, where that was seen anyway.
    pub(super) look: Option<State>,
}

/// Whoever can put a file into its spot, whole and verified.
pub(super) trait Files: Sync {
    /// Why not.
    type Error: From<FsError>;

    /// Puts it there.
    fn put(&self, file: FileEntry<'_>, spot: Spot<'_>, crew: Crew<'_>) -> Result<Put, Self::Error>;
}

/// Writes an entry; of a file, says what is there.
pub(super) fn put<F: Files>(
    node: EntryNode<'_>,
    spot: Spot<'_>,
    files: &F,
    crew: Crew<'_>,
    mtime: u64,
) -> Result<Option<Put>, F::Error> {
    match node {
        EntryNode::Link(target) => {
            spot.parent.create_link(spot.name, target.as_str(), mtime)?;
            Ok(None)
        }
        EntryNode::File(file) => files.put(file, spot, crew).map(Some),
    }
}
