//! Writing a plan into a directory: files, links and directories with their modes and times, on all
//! cores.
//!
//! Effects layer. What is done in which order is decided in `schedule`, before; where the bytes of a
//! file come from, in `layered`. The directories' times come last, when nothing changes them any
//! more. Each file costs one read, one create, one write, one set of times and one close.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, OnceLock, PoisonError};

pub use crate::effects::sink::layered::StoreUse;

use crate::effects::caches::blob::BlobError;
use crate::effects::host::fs::{Directory, FsError};
use crate::effects::sink::layered::{EntryError, Layered};
use crate::effects::sink::levels::Levels;
use crate::effects::sink::pinned::PinnedWheel;
use crate::effects::sink::schedule::{By, Item, Pinned, Task, Work, schedule};
use crate::effects::sink::spot::{Put, Spot, put};
use crate::effects::source::entry::EntryNode;
use crate::effects::source::supply::{Supply, SupplyError, SupplyErrors};
use crate::effects::wheels::inflate::SMALL;
use crate::effects::wheels::load::Wheel;
use crate::effects::work::parallel;
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::model::digest::{BlobDigest, DigestFunction, WheelDigest};
use crate::model::explain::{Detail, Explain, Explanation};
use crate::model::plan::{Content, Plan, PlannedNode, WheelIndex};

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions<'a> {
    /// The time of everything, in seconds since 1970-01-01T00:00:00Z.
    pub mtime: u64,
    /// The digest function of the tree.
    pub function: DigestFunction,
    /// At most so many threads.
    pub threads: usize,
    /// Counts the entries that are written.
    pub progress: &'a Progress,
    /// The wheels whose whole file is compared with a pinned digest on the way.
    pub pinned: &'a [(WheelIndex, WheelDigest)],
    /// The store that gives files and takes new ones.
    pub store: Option<StoreUse<'a>>,
}

/// Why a plan could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Inputs are not what they should be: all that was found.
    #[error(transparent)]
    Supply(#[from] SupplyErrors),
    /// The file system refuses.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A file of the store cannot be put into the output.
    #[error(transparent)]
    Store(#[from] BlobError),
}

impl Explain for WriteError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Supply(errors) => errors.explain(),
            Self::Fs(error) => error.explain(),
            Self::Store(error) => error.explain(),
        }
    }

    fn details(&self) -> Vec<Detail> {
        match self {
            Self::Supply(errors) => errors.details(),
            Self::Fs(_) | Self::Store(_) => Vec::new(),
        }
    }
}

/// Where an error was found: errors are told in this order, whoever was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// In the inputs as a whole, from which everything else follows.
    Input,
    /// In what an entry of the plan is made of.
    Entry(usize),
}

/// A plan while it is written.
struct Writing<'a> {
    plan: &'a Plan,
    root: &'a Directory,
    options: WriteOptions<'a>,
    source: Layered<'a>,
    levels: Levels<'a>,
    pinned: Vec<PinnedWheel<'a>>,
    unread: Vec<(WheelIndex, usize)>,
    /// Whether the directories are there; false if they could not be made.
    ready: OnceLock<bool>,
    digests: Mutex<Vec<BlobDigest>>,
    errors: Mutex<Vec<(Found, SupplyError)>>,
}

/// Writes everything that a plan holds into an empty directory. Returns the digest of every file,
/// by position among the plan's entries; those of links are meaningless.
///
/// # Errors
/// An input is not what it should be (all such are reported), or the file system refuses.
pub fn write(
    plan: &Plan,
    supply: &Supply<'_>,
    root: &Directory,
    options: WriteOptions<'_>,
) -> Result<Vec<BlobDigest>, WriteError> {
    let (function, mtime) = (options.function, options.mtime);
    let source = Layered::new(plan, supply, options.store, (function, mtime), options.progress);
    let directories = plan.directories();
    let pinned = options.pinned.iter().map(|wheel| PinnedWheel::new(*wheel, supply));
    let pinned: Result<Vec<_>, _> = pinned.collect();
    let writing = Writing {
        plan,
        root,
        options,
        levels: Levels::new(&directories),
        pinned: pinned.map_err(SupplyErrors::from)?,
        unread: source.unread(),
        source,
        ready: OnceLock::new(),
        digests: Mutex::new(vec![BlobDigest(function.digest(b"")); plan.entries.len()]),
        errors: Mutex::default(),
    };
    let items = writing.items();
    let bytes = items.iter().map(|item| item.size).sum();
    options.progress.begin(Phase::Writing, Amount { items: items.len() as u64, bytes });
    let size = |pinned: &PinnedWheel<'_>| Pinned { wheel: pinned.wheel, size: pinned.size() };
    let tasks = schedule(Work {
        items: &items,
        pinned: &writing.pinned.iter().map(size).collect::<Vec<_>>(),
        unread: writing.unread.len(),
        small: SMALL,
        threads: options.threads,
    });
    let width = |index: usize| tasks[index].threads();
    let run = |index: usize| match writing.run(&tasks[index], supply) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    };
    if let ControlFlow::Break(error) = parallel::run_wide(options.threads, tasks.len(), width, run)
    {
        return Err(error);
    }
    writing.finish()
}

/// The wheels of which only the manifest is known, and whose bytes writing a plan would need.
pub fn lacking(
    plan: &Plan,
    supply: &Supply<'_>,
    options: WriteOptions<'_>,
) -> BTreeSet<WheelIndex> {
    if supply.wheels.iter().all(Wheel::is_open) {
        return BTreeSet::new();
    }
    let (function, mtime) = (options.function, options.mtime);
    Layered::new(plan, supply, options.store, (function, mtime), options.progress).lacking()
}

impl Writing<'_> {
    /// The plan's entries, as far as their schedule depends on them.
    fn items(&self) -> Vec<Item<'_>> {
        let items = self.plan.entries.iter().map(|(path, planned)| {
            let member = match planned.node {
                PlannedNode::File { content: Content::Member { wheel, member }, .. } => {
                    Some((wheel, member))
                }
                PlannedNode::File { .. } | PlannedNode::Symlink(_) => None,
            };
            let inflated = member.filter(|&(wheel, member)| !self.source.proves(wheel, member));
            Item {
                path: path.as_str(),
                size: planned.node.size(),
                inflated: inflated.map(|(wheel, _)| wheel),
                wheel: member.map(|(wheel, _)| wheel),
            }
        });
        items.collect()
    }

    fn run(&self, task: &Task<'_>, supply: &Supply<'_>) -> Result<(), WriteError> {
        match task {
            Task::Directories => {
                let made =
                    self.levels.for_each_parent(self.options.threads, self.root, |parent, name| {
                        parent.create_directory(name)
                    });
                let _ = self.ready.set(made.is_ok());
                Ok(made?)
            }
            Task::Wheel(pinned) => {
                self.note(
                    self.pinned[*pinned].check(supply).err().map(|error| (Found::Input, error)),
                );
                Ok(())
            }
            Task::Unread(range) => {
                let found = supply.check_unread(&self.unread[range.clone()]);
                self.note(found.into_iter().map(|error| (Found::Input, error)));
                Ok(())
            }
            // Tasks begin in their order, so somebody is making the directories.
            Task::Files { .. } if !self.ready.wait() => Ok(()),
            Task::Files { directory, items, by } => self.files(directory, items, *by),
        }
    }

    fn note(&self, found: impl IntoIterator<Item = (Found, SupplyError)>) {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    }

    /// Writes files of one directory.
    fn files(&self, directory: &str, items: &[usize], by: By) -> Result<(), WriteError> {
        let crew = match by {
            By::One => Crew::Alone,
            By::OneBeside(pinned) => Crew::Beside(&self.pinned[pinned].hash),
            By::Many(threads) => Crew::Shared(threads),
        };
        let parent = self.root.open_below(directory)?;
        let mut written = Vec::with_capacity(items.len());
        let mut bytes = 0;
        for &index in items {
            let (path, planned) = &self.plan.entries[index];
            let spot = Spot { parent: &parent, below: directory, name: path.name() };
            let node = EntryNode::from(&planned.node);
            match put(node, spot, &self.source, crew, self.options.mtime) {
                Ok(Some(Put { digest, .. })) => written.push((index, digest)),
                Ok(None) => {}
                Err(EntryError::Fs(error)) => return Err(error.into()),
                Err(EntryError::Store(error)) => return Err(error.into()),
                Err(EntryError::Supply(error)) => self.note([(Found::Entry(index), error)]),
            }
            // The bytes of large files are counted as they come.
            bytes += Some(planned.node.size()).filter(|size| *size <= SMALL).unwrap_or(0);
        }
        self.options.progress.advance(items.len() as u64, bytes);
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, digest) in written {
            digests[index] = BlobDigest(digest);
        }
        Ok(())
    }

    /// Tells what is wrong with the inputs; if nothing is, sets the directories' times.
    fn finish(self) -> Result<Vec<BlobDigest>, WriteError> {
        let mut errors = self.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !errors.is_empty() {
            errors.sort_by_key(|(found, error)| (*found, error.to_string()));
            let errors = errors.into_iter().map(|(_, error)| error).collect();
            return Err(SupplyErrors(errors).into());
        }
        let WriteOptions { threads, mtime, .. } = self.options;
        self.levels
            .for_each_parent(threads, self.root, |parent, name| parent.set_time(name, mtime))?;
        self.root.normalize(mtime)?;
        Ok(self.digests.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
