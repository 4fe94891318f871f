//! Writing a tree whose files the store has: links and directories, nothing inflated, nothing
//! hashed.
//!
//! Effects layer. Directories are made relative to their parent's handle by whoever fills them, so
//! that nobody waits until all those of a large parent are there. They are handed on through a
//! stack that all threads take from: the last in is the first out, so only few directories are open
//! at once. A directory gets its time when its last entry is there.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use camino::Utf8PathBuf;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::area::Area;
use crate::effects::host::fs::{self, Directory, FsError};
use crate::effects::work::parallel;
use crate::model::digest::Digest;
use crate::model::path::FileName;
use crate::model::tree::{self, Leaf, Node, Tree};

/// Entries of one directory that make one task.
const PORTION: usize = 256;

/// Why a tree could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TreeWriteError {
    /// None of the areas has a file, or the one there was is damaged.
    #[error("the store lacks the file {0}")]
    Missing(Digest),
    /// The store cannot be read, or the output not be written.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The output cannot be written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// An open directory with work left; its time is set when there is none.
struct Open {
    handle: OwnedFd,
    path: Utf8PathBuf,
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

struct Stack<'a> {
    tasks: Vec<Task<'a>>,
    /// Threads that work on a task, and may add others.
    busy: usize,
    /// Threads that wait for one.
    waiting: usize,
    failure: Option<TreeWriteError>,
}

struct Writer<'a> {
    areas: &'a [&'a Area<'a>],
    mtime: u64,
    stack: Mutex<Stack<'a>>,
    changed: Condvar,
}

/// Writes a tree into an empty directory, taking every file from the first area that has it.
///
/// # Errors
/// A file is in no area, or the output cannot be written.
pub fn write(
    tree: &Tree,
    areas: &[&Area<'_>],
    root: &Directory,
    mtime: u64,
    threads: usize,
) -> Result<(), TreeWriteError> {
    let failed = |error: rustix::io::Errno| BlobError::io("open", root.path(), error);
    let handle =
        root.handle().try_clone().map_err(|error| BlobError::io("open", root.path(), error))?;
    let open = Arc::new(Open {
        handle,
        path: root.path().to_owned(),
        below: String::new(),
        portions: AtomicUsize::new(1),
    });
    let stack = Stack { tasks: Vec::new(), busy: 0, waiting: 0, failure: None };
    let writer = Writer { areas, mtime, stack: Mutex::new(stack), changed: Condvar::new() };
    rustix::fs::fchmod(root.handle(), Mode::from_raw_mode(0o755)).map_err(failed)?;
    let first = writer.fill(&open, tree.root())?;
    writer.finish_portion(&open)?;
    writer.lock().tasks.extend(first);
    parallel::together(threads, || writer.work());
    let failure = writer.lock().failure.take();
    failure.map_or(Ok(()), Err)
}

impl<'a> Writer<'a> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Stack<'a>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut stack = self.lock();
        loop {
            if stack.failure.is_some() {
                self.changed.notify_all();
                return;
            }
            let Some(task) = stack.tasks.pop() else {
                if stack.busy == 0 {
                    self.changed.notify_all();
                    return;
                }
                stack.waiting += 1;
                stack = self.changed.wait(stack).unwrap_or_else(PoisonError::into_inner);
                stack.waiting -= 1;
                continue;
            };
            stack.busy += 1;
            drop(stack);
            let outcome = self.run(task);
            stack = self.lock();
            stack.busy -= 1;
            match outcome {
                Ok(tasks) => {
                    // To wake nobody takes a system call as well.
                    if stack.waiting > 0 && (!tasks.is_empty() || stack.busy == 0) {
                        self.changed.notify_all();
                    }
                    stack.tasks.extend(tasks);
                }
                Err(error) => {
                    stack.failure.get_or_insert(error);
                }
            }
        }
    }

    fn run(&self, task: Task<'a>) -> Result<Vec<Task<'a>>, TreeWriteError> {
        match task {
            Task::Directory { parent, name, directory } => {
                let path = parent.path.join(name);
                fs::make_directory_in(&parent.handle, name, Mode::from_raw_mode(0o755))
                    .map_err(|error| BlobError::io("make", &path, error))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let handle = rustix::fs::openat(&parent.handle, name, flags, Mode::empty())
                    .map_err(|error| BlobError::io("open", &path, error))?;
                self.finish_portion(&parent)?;
                let below = if parent.below.is_empty() {
                    name.to_owned()
                } else {
                    format!("{}/{name}", parent.below)
                };
                drop(parent);
                let open = Arc::new(Open { handle, path, below, portions: AtomicUsize::new(1) });
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
    fn fill(
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
        for (name, node) in entries {
            let name = name.as_str();
            match node {
                Node::Leaf(Leaf::File { blob, executable }) => {
                    self.file(open, name, blob.0, *executable)?
                }
                Node::Leaf(Leaf::Symlink(target)) => {
                    let failed = |error| BlobError::io("link", open.path.join(name), error);
                    rustix::fs::symlinkat(target.as_str(), &open.handle, name).map_err(failed)?;
                    rustix::fs::utimensat(
                        &open.handle,
                        name,
                        &self.times(),
                        AtFlags::SYMLINK_NOFOLLOW,
                    )
                    .map_err(failed)?;
                }
                Node::Directory(_) => {}
            }
        }
        Ok(())
    }

    fn file(
        &self,
        open: &Open,
        name: &str,
        digest: Digest,
        executable: bool,
    ) -> Result<(), TreeWriteError> {
        for area in self.areas {
            let placed = area.of(&open.below, name, digest.size).place(
                digest,
                executable,
                open.handle.as_fd(),
                name,
            );
            if placed.map_err(|error| error.below(&open.path))? {
                return Ok(());
            }
        }
        Err(TreeWriteError::Missing(digest))
    }

    /// Whoever finishes the last portion sets the directory's time: nothing changes it any more.
    fn finish_portion(&self, open: &Open) -> Result<(), TreeWriteError> {
        if open.portions.fetch_sub(1, Ordering::AcqRel) == 1 {
            rustix::fs::futimens(&open.handle, &self.times())
                .map_err(|error| BlobError::io("set the time of", &open.path, error))?;
        }
        Ok(())
    }

    fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: i64::try_from(self.mtime).unwrap_or(i64::MAX), tv_nsec: 0 };
        Timestamps { last_access: time, last_modification: time }
    }
}
