//! Writing a tree whose files the store has: links and directories, nothing inflated, nothing
//! hashed.
//!
//! Effects layer. Directories are made relative to their parent's handle by whoever fills them, so
//! that nobody waits until all those of a large parent are there. What lies deep is done first
//! ([`parallel::branch`]), so only few directories are open at once. A directory gets its time when its last entry is there.
//!
//! It is a walk of its own, beside that of `directory`, because here nothing but system calls takes
//! time: with 56,000 entries in 9,400 directories, making those by depth and opening each again to
//! fill it takes a fifth more processor time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::AtFlags;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::area::Area;
use crate::effects::caches::store::states::States;
use crate::effects::host::fs::{Directory, FsError, failed};
use crate::effects::host::state::State;
use crate::effects::sink::spot::{Files, Put, Spot, put};
use crate::effects::source::entry::{EntryNode, FileEntry};
use crate::effects::work::parallel;
use crate::effects::work::pipeline::Crew;
use crate::model::digest::Digest;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::path::FileName;
use crate::model::tree::{self, Node, Tree};

/// Entries of one directory that make one task.
const PORTION: usize = 256;

/// Why a tree could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TreeWriteError {
    /// None of the areas has a file, or the one there was is damaged.
    #[error("cannot read the blob `{0}`: the blob is not there any more")]
    Missing(Digest),
    /// The store cannot be read, or the output not be written.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The output cannot be written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Explain for TreeWriteError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Missing(_) => ErrorKind::Io.no_hint(),
            Self::Blob(error) => error.explain(),
            Self::Fs(error) => error.explain(),
        }
    }
}

/// How a tree is written.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// The time of everything, in seconds since 1970.
    pub mtime: u64,
    /// At most so many threads.
    pub threads: usize,
    /// Whether it is to be known how the entries look then.
    pub look: bool,
}

/// An open directory with work left; its time is set when there is none.
struct Open {
    directory: Directory,
    /// Its path in the tree; the root's is empty.
    below: String,
    /// How many tasks will still add entries to it.
    portions: AtomicUsize,
}

enum Task<'a> {
    /// Make and fill a directory of that name.
    Directory { parent: Arc<Open>, name: &'a str, directory: &'a tree::Directory },
    /// Write some entries that are no directories.
    Leaves { parent: Arc<Open>, entries: &'a [(FileName, Node)] },
}

struct Writer<'a, F> {
    files: &'a F,
    mtime: u64,
    /// How entries look, by their paths, where that is to be known.
    seen: Option<Mutex<Vec<(String, State)>>>,
}

/// The first area that has a file; there is nothing else.
struct Areas<'a>(&'a [&'a Area<'a>]);

impl Files for Areas<'_> {
    type Error = TreeWriteError;

    fn put(
        &self,
        FileEntry { digest, kind, .. }: FileEntry<'_>,
        spot: Spot<'_>,
        _: Crew<'_>,
    ) -> Result<Put, TreeWriteError> {
        for area in self.0 {
            let area = area.of(spot.below, spot.name, digest.size);
            if let Some(put) = spot.place(area, digest, kind)? {
                return Ok(put);
            }
        }
        Err(TreeWriteError::Missing(digest))
    }
}

/// Writes a tree into an empty directory that nobody else knows, taking every file from the first
/// area that has it. Returns how the entries look, where that is to be known.
///
/// # Errors
/// A file is in no area, or the output cannot be written.
pub fn write(
    tree: &Tree,
    areas: &[&Area<'_>],
    root: &Directory,
    manner: Manner,
) -> Result<Option<States>, TreeWriteError> {
    write_from(tree, &Areas(areas), root, manner)
}

/// As [`write()`], with the files of somebody.
///
/// # Errors
/// Those of who has the files, or the output cannot be written.
pub(super) fn write_from(
    tree: &Tree,
    files: &impl Files<Error = TreeWriteError>,
    root: &Directory,
    Manner { mtime, threads, look }: Manner,
) -> Result<Option<States>, TreeWriteError> {
    let since = SystemTime::now();
    // The root's time is set when its last entry is there.
    root.normalize(mtime)?;
    let open = Arc::new(Open {
        directory: root.open_below("")?,
        below: String::new(),
        portions: AtomicUsize::new(1),
    });
    let writer = Writer { files, mtime, seen: look.then(Mutex::default) };
    let first = writer.fill(&open, tree.root())?;
    writer.finish_portion(&open)?;
    parallel::branch(threads, first, |task| writer.run(task))?;
    let seen = writer.seen.map(|seen| seen.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok(seen.map(|entries| States::new(tree.digest(), entries, since)))
}

impl<F: Files<Error = TreeWriteError>> Writer<'_, F> {
    fn run<'a>(&self, task: Task<'a>) -> Result<Vec<Task<'a>>, TreeWriteError> {
        match task {
            Task::Directory { parent, name, directory } => {
                parent.directory.create_directory(name)?;
                let made = parent.directory.open_below(name)?;
                self.finish_portion(&parent)?;
                let below = joined(&parent.below, name);
                drop(parent);
                let open = Arc::new(Open { directory: made, below, portions: AtomicUsize::new(1) });
                let tasks = self.fill(&open, directory)?;
                self.finish_portion(&open)?;
                Ok(tasks)
            }
            Task::Leaves { parent, entries } => {
                self.leaves(&parent, entries)?;
                self.finish_portion(&parent)?;
                Ok(Vec::new())
            }
        }
    }

    /// Writes the files, or leaves them to others where there are many, and says what remains to be
    /// done.
    fn fill<'a>(
        &self,
        open: &Arc<Open>,
        directory: &'a tree::Directory,
    ) -> Result<Vec<Task<'a>>, TreeWriteError> {
        let mut tasks = Vec::new();
        for (name, node) in directory.entries() {
            if let Node::Directory(below) = node {
                tasks.push(Task::Directory {
                    parent: Arc::clone(open),
                    name: name.as_str(),
                    directory: below,
                });
            }
        }
        let mut portions = directory.entries().chunks(PORTION);
        let first = portions.next();
        tasks.extend(portions.map(|entries| Task::Leaves { parent: Arc::clone(open), entries }));
        open.portions.fetch_add(tasks.len(), Ordering::AcqRel);
        self.leaves(open, first.unwrap_or_default())?;
        Ok(tasks)
    }

    fn leaves(&self, open: &Open, entries: &[(FileName, Node)]) -> Result<(), TreeWriteError> {
        let Open { directory, below, .. } = open;
        let mut seen = Vec::new();
        for (name, node) in entries {
            let Node::Leaf(leaf) = node else { continue };
            let name = name.as_str();
            let spot = Spot { parent: directory, below, name };
            let put = put(EntryNode::from(leaf), spot, self.files, Crew::Alone, self.mtime)?;
            if self.seen.is_some() {
                let look =
                    || rustix::fs::statat(directory.handle(), name, AtFlags::SYMLINK_NOFOLLOW);
                let state = match put.and_then(|put| put.look) {
                    Some(state) => state,
                    None => State::of(&look().map_err(failed("look at", directory.path()))?),
                };
                seen.push((joined(below, name), state));
            }
        }
        self.note(seen);
        Ok(())
    }

    fn note(&self, seen: impl IntoIterator<Item = (String, State)>) {
        if let Some(all) = &self.seen {
            all.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
        }
    }

    /// Whoever finishes the last portion sets the directory's time: nothing changes it any more.
    fn finish_portion(&self, open: &Open) -> Result<(), TreeWriteError> {
        if open.portions.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        let Open { directory, below, .. } = open;
        directory.set_own_time(self.mtime)?;
        if self.seen.is_some() && !below.is_empty() {
            let found = rustix::fs::fstat(directory.handle())
                .map_err(|error| failed("look at", directory.path())(error))?;
            self.note([(below.clone(), State::of(&found))]);
        }
        Ok(())
    }
}

/// The path of an entry of the directory `below`, which is empty for the root.
fn joined(below: &str, name: &str) -> String {
    match below {
        "" => name.to_owned(),
        above => format!("{above}/{name}"),
    }
}
