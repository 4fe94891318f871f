//! Writing a plan into a directory: files, links and directories with their modes and times, on all cores.
//!
//! Effects layer. Directories come first, then the files in portions of one directory each, the largest members before
//! anything else so that no thread is left alone with one at the end; the directories' times last, when nothing changes
//! them any more. Each file costs one read, one create, one write, one set of times and one close.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::effects::fs::{Directory, FsError};
use crate::effects::inflate::SMALL;
use crate::effects::parallel;
use crate::effects::supply::{FeedError, Supply, SupplyError};
use crate::model::digest::{BlobDigest, DigestFunction, Hasher, WheelDigest};
use crate::model::path::TreePath;
use crate::model::plan::{Plan, Planned, PlannedNode};

/// How many files of a directory make one task.
const PORTION: usize = 64;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions<'a> {
    /// The time of everything, in seconds since 1970-01-01T00:00:00Z.
    pub mtime: u64,
    /// The digest function of the tree.
    pub function: DigestFunction,
    /// At most so many threads.
    pub threads: usize,
    /// The wheels whose whole file is compared with a pinned digest on the way.
    pub pinned: &'a [(usize, WheelDigest)],
}

/// Why a plan could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Inputs are not what they should be: all that was found.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Supply(Vec<SupplyError>),
    /// The file system refuses.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// A file to write, with its position among the plan's entries.
type Item<'a> = (usize, &'a TreePath, &'a Planned);

enum Task<'a> {
    /// Hash a whole wheel.
    Wheel(usize, WheelDigest),
    /// Write files of one directory.
    Files { directory: &'a str, items: &'a [Item<'a>] },
}

/// Writes everything that a plan holds into an empty directory. Returns the digest of every file, by position among the
/// plan's entries; those of links are meaningless.
///
/// # Errors
/// An input is not what it should be (all such are reported), or the file system refuses.
pub fn write(plan: &Plan, supply: &Supply<'_>, root: &Directory, options: WriteOptions<'_>) -> Result<Vec<BlobDigest>, WriteError> {
    let directories = plan.directories();
    let levels = Levels::new(&directories);
    levels.for_each_parent(options.threads, root, |parent, name| parent.create_directory(name))?;

    let groups = group(plan);
    let tasks = tasks(&groups, options.pinned);
    let digests = Mutex::new(vec![BlobDigest(options.function.digest(b"")); plan.entries.len()]);
    let errors: Mutex<Vec<(usize, SupplyError)>> = Mutex::new(Vec::new());
    let outcome = parallel::run(options.threads, tasks.len(), |index| {
        match &tasks[index] {
            Task::Wheel(wheel, expected) => {
                if let Err(error) = supply.check_wheel(*wheel, *expected) {
                    // Before everything that follows from it.
                    errors.lock().unwrap_or_else(PoisonError::into_inner).push((0, error));
                }
            }
            Task::Files { directory, items } => {
                let parent = match root.open_below(directory) {
                    Ok(parent) => parent,
                    Err(error) => return ControlFlow::Break(error),
                };
                let mut written = Vec::with_capacity(items.len());
                for (position, path, planned) in *items {
                    match write_entry(planned, path.name(), supply, &parent, options) {
                        Ok(Some(digest)) => written.push((*position, digest)),
                        Ok(None) => {}
                        Err(EntryError::Fs(error)) => return ControlFlow::Break(error),
                        Err(EntryError::Supply(error)) => {
                            errors.lock().unwrap_or_else(PoisonError::into_inner).push((position + 1, error));
                        }
                    }
                }
                let mut digests = digests.lock().unwrap_or_else(PoisonError::into_inner);
                for (position, digest) in written {
                    digests[position] = digest;
                }
            }
        }
        ControlFlow::Continue(())
    });
    if let ControlFlow::Break(error) = outcome {
        return Err(error.into());
    }
    let mut errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !errors.is_empty() {
        errors.sort_by(|left, right| (left.0, left.1.to_string()).cmp(&(right.0, right.1.to_string())));
        return Err(WriteError::Supply(errors.into_iter().map(|(_, error)| error).collect()));
    }
    levels.for_each_parent(options.threads, root, |parent, name| parent.set_time(name, options.mtime))?;
    root.normalize(options.mtime)?;
    Ok(digests.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The plan's entries by directory, large files apart.
struct Groups<'a> {
    large: Vec<Item<'a>>,
    directories: Vec<(&'a str, Vec<Item<'a>>)>,
}

fn group(plan: &Plan) -> Groups<'_> {
    let mut large = Vec::new();
    let mut directories: Vec<(&str, Vec<Item<'_>>)> = Vec::new();
    let mut indexes: HashMap<&str, usize> = HashMap::new();
    for (position, (path, planned)) in plan.entries.iter().enumerate() {
        if size(planned) > SMALL {
            large.push((position, path, planned));
            continue;
        }
        let directory = path.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
        let index = *indexes.entry(directory).or_insert_with(|| {
            directories.push((directory, Vec::new()));
            directories.len() - 1
        });
        directories[index].1.push((position, path, planned));
    }
    large.sort_by_key(|(_, _, planned)| std::cmp::Reverse(size(planned)));
    Groups { large, directories }
}

fn size(planned: &Planned) -> u64 {
    match planned.node {
        PlannedNode::File { size, .. } => size,
        PlannedNode::Symlink(_) => 0,
    }
}

fn tasks<'a>(groups: &'a Groups<'a>, pinned: &[(usize, WheelDigest)]) -> Vec<Task<'a>> {
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for item in groups.large.chunks(1) {
        let directory = item[0].1.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
        tasks.push(Task::Files { directory, items: item });
    }
    tasks.extend(pinned.iter().map(|(wheel, digest)| Task::Wheel(*wheel, *digest)));
    for (directory, items) in &groups.directories {
        tasks.extend(items.chunks(PORTION).map(|items| Task::Files { directory, items }));
    }
    tasks
}

enum EntryError {
    Fs(FsError),
    Supply(SupplyError),
}

/// Writes one entry; of a file, returns the digest.
fn write_entry(
    planned: &Planned,
    name: &str,
    supply: &Supply<'_>,
    parent: &Directory,
    options: WriteOptions<'_>,
) -> Result<Option<BlobDigest>, EntryError> {
    let (content, sha256, size, executable) = match &planned.node {
        PlannedNode::Symlink(target) => {
            parent.create_link(name, target.as_str(), options.mtime).map_err(EntryError::Fs)?;
            return Ok(None);
        }
        PlannedNode::File { content, sha256, size, executable } => (content, *sha256, *size, *executable),
    };
    let mut file = parent.create_file(name, executable).map_err(EntryError::Fs)?;
    // The supply hashes by SHA-256 anyway; another function is computed on the way.
    let mut hasher = (options.function != DigestFunction::Sha256).then(|| Hasher::new(options.function));
    let fed = supply.feed(content, sha256, size, |bytes| {
        if let Some(hasher) = &mut hasher {
            hasher.update(bytes);
        }
        file.write(bytes)
    });
    match fed {
        Ok(()) => {}
        Err(FeedError::Taker(error)) => return Err(EntryError::Fs(error)),
        Err(FeedError::Supply(error)) => return Err(EntryError::Supply(error)),
    }
    file.finish(options.mtime).map_err(EntryError::Fs)?;
    Ok(Some(match hasher {
        Some(hasher) => BlobDigest(hasher.finish()),
        None => BlobDigest(crate::model::digest::Digest { hash: sha256, size }),
    }))
}

/// Directories by depth, those of one parent together: one depth can be worked on by many threads, as what is above it is
/// there already.
struct Levels<'a> {
    levels: Vec<Vec<(&'a str, Vec<&'a str>)>>,
}

impl<'a> Levels<'a> {
    fn new(directories: &'a [TreePath]) -> Self {
        let mut levels: Vec<Vec<(&str, Vec<&str>)>> = Vec::new();
        let mut indexes: HashMap<&str, usize> = HashMap::new();
        for directory in directories {
            let (parent, name) = directory.as_str().rsplit_once('/').unwrap_or(("", directory.as_str()));
            let depth = directory.components().count() - 1;
            if levels.len() <= depth {
                levels.resize_with(depth + 1, Vec::new);
            }
            let level = &mut levels[depth];
            let index = *indexes.entry(parent).or_insert_with(|| {
                level.push((parent, Vec::new()));
                level.len() - 1
            });
            level[index].1.push(name);
        }
        Self { levels }
    }

    fn for_each_parent(
        &self,
        threads: usize,
        root: &Directory,
        action: impl Fn(&Directory, &str) -> Result<(), FsError> + Sync,
    ) -> Result<(), FsError> {
        for level in &self.levels {
            // A thread costs more than a few directories.
            let threads = threads.min(level.len().div_ceil(16)).max(1);
            parallel::map(threads, level.len(), |index| {
                let (parent, names) = &level[index];
                let parent = root.open_below(parent)?;
                names.iter().try_for_each(|name| action(&parent, name))
            })?;
        }
        Ok(())
    }
}
