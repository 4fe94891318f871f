//! Writing a plan into a directory: files, links and directories with their modes and times, on all
//! cores.
//!
//! Effects layer. Directories come first, while other threads already hash whole wheels; then the
//! files in portions of one directory each, the largest members before anything else so that no
//! thread is left alone with one at the end. One so large that its thread would be alone all the
//! same gets several threads, and begins even before the wheels. A wheel that is mostly large
//! members is hashed beside them. The directories' times come last, when nothing changes them any
//! more. Each file costs one read, one create, one write, one set of times and one close.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::area::Area;
use crate::effects::host::fs::{Directory, FsError};
use crate::effects::sink::pinned::{PinnedWheel, PinnedWheels};
use crate::effects::source::supply::{self, FeedError, Supply, SupplyError};
use crate::effects::wheels::inflate::SMALL;
use crate::effects::work::parallel;
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hash, Hasher, WheelDigest};
use crate::model::path::TreePath;
use crate::model::plan::{Content, Plan, Planned, PlannedNode};
use crate::model::wheel::known::KnownMembers;

/// How many files of a directory make one task at most.
const PORTION: usize = 64;
/// How many tasks of each thread a small plan is divided into: the fewer there are, the longer one
/// thread may be left alone with the last.
const TASKS_OF_A_THREAD: usize = 16;

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
    pub pinned: &'a [(usize, WheelDigest)],
    /// The store that gives files and takes new ones.
    pub store: Option<StoreUse<'a>>,
}

/// The store while a plan is written.
#[derive(Debug, Clone, Copy)]
pub struct StoreUse<'a> {
    /// The linkable files.
    pub area: &'a Area<'a>,
    /// Of each wheel, what is known of its members: nothing where the store never saw the wheel, so
    /// that asking for its files is no use.
    pub wheels: &'a [Option<KnownMembers>],
}

impl StoreUse<'_> {
    fn known(&self, wheel: usize) -> Option<&KnownMembers> {
        self.wheels.get(wheel).and_then(Option::as_ref)
    }

    /// Whether all members of a wheel were compared with RECORD before.
    fn proves_all(&self, wheel: usize) -> bool {
        self.known(wheel).is_some_and(KnownMembers::proves_all)
    }

    /// Whether a member was compared with RECORD before. Until then its SHA-256 is a claim: what
    /// the store has under it may be something else than what the wheel holds.
    fn proves(&self, wheel: usize, member: usize) -> bool {
        self.known(wheel).is_some_and(|known| known.proves(member))
    }
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
    /// A file of the store cannot be put into the output.
    #[error(transparent)]
    Store(#[from] BlobError),
}

/// A file to write, with its position among the plan's entries.
type Item<'a> = (usize, &'a TreePath, &'a Planned);

enum Task<'a> {
    /// Make all directories. Whatever writes into one waits for it.
    Directories,
    /// Hash what is left of a whole wheel.
    Wheel(&'a PinnedWheel<'a>),
    /// Check members that no file is made from.
    Unread(&'a [(usize, usize)]),
    /// Write files of one directory.
    Files { directory: &'a str, items: &'a [Item<'a>], crew: Crew<'a> },
}

impl Task<'_> {
    /// How many threads it uses.
    fn threads(&self) -> usize {
        match self {
            Self::Files { crew, .. } => crew.threads(),
            Self::Directories | Self::Wheel(_) | Self::Unread(_) => 1,
        }
    }
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
    let directories = plan.directories();
    let levels = Levels::new(&directories);
    let groups = group(plan);
    let repeated = if options.store.is_some() { repeated(plan) } else { HashSet::new() };
    let unread =
        supply.unread(plan, |wheel| options.store.is_some_and(|store| store.proves_all(wheel)));
    let portion =
        plan.entries.len().div_ceil(options.threads.max(1) * TASKS_OF_A_THREAD).clamp(1, PORTION);
    let sizes: Vec<u64> = groups.large.iter().map(|(_, _, planned)| planned.node.size()).collect();
    let widths = supply::threads_for(plan, &sizes, options.threads);
    let inflated = inflated_alone(&groups.large, &widths, options.store);
    let pinned = PinnedWheels::new(options.pinned, supply, &inflated);
    let tasks = tasks(&groups, &widths, &pinned, &unread, portion);
    // Whether they are there; false if they could not be made.
    let ready: OnceLock<bool> = OnceLock::new();
    let digests = Mutex::new(vec![BlobDigest(options.function.digest(b"")); plan.entries.len()]);
    let errors: Mutex<Vec<(usize, SupplyError)>> = Mutex::new(Vec::new());
    let bytes = plan.entries.iter().map(|(_, planned)| planned.node.size()).sum();
    options.progress.begin(Phase::Writing, Amount { items: plan.entries.len() as u64, bytes });
    let width = |index: usize| tasks[index].threads();
    let outcome = parallel::run_wide(
        options.threads,
        tasks.len(),
        width,
        |index| -> ControlFlow<WriteError> {
            match &tasks[index] {
                Task::Directories => {
                    let made = levels.for_each_parent(options.threads, root, |parent, name| {
                        parent.create_directory(name)
                    });
                    let _ = ready.set(made.is_ok());
                    if let Err(error) = made {
                        return ControlFlow::Break(error.into());
                    }
                }
                Task::Wheel(pinned) => {
                    if let Err(error) = pinned.check(supply) {
                        // Before everything that follows from it.
                        errors.lock().unwrap_or_else(PoisonError::into_inner).push((0, error));
                    }
                }
                Task::Unread(members) => {
                    let found = supply.check_unread(members).into_iter().map(|error| (0, error));
                    errors.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
                // Tasks begin in their order, so somebody is making the directories.
                Task::Files { .. } if !ready.wait() => {}
                Task::Files { directory, items, crew } => {
                    let parent = match root.open_below(directory) {
                        Ok(parent) => parent,
                        Err(error) => return ControlFlow::Break(error.into()),
                    };
                    let mut written = Vec::with_capacity(items.len());
                    for (position, path, planned) in *items {
                        match write_entry(
                            planned,
                            (directory, path.name()),
                            supply,
                            &parent,
                            *crew,
                            options,
                            &repeated,
                        ) {
                            Ok(Some(digest)) => written.push((*position, digest)),
                            Ok(None) => {}
                            Err(EntryError::Fs(error)) => return ControlFlow::Break(error.into()),
                            Err(EntryError::Store(error)) => {
                                return ControlFlow::Break(error.into());
                            }
                            Err(EntryError::Supply(error)) => {
                                errors
                                    .lock()
                                    .unwrap_or_else(PoisonError::into_inner)
                                    .push((position + 1, error));
                            }
                        }
                    }
                    // The bytes of large files are counted as they come.
                    let bytes = items
                        .iter()
                        .map(|(_, _, planned)| planned.node.size())
                        .filter(|size| *size <= SMALL)
                        .sum();
                    options.progress.advance(items.len() as u64, bytes);
                    let mut digests = digests.lock().unwrap_or_else(PoisonError::into_inner);
                    for (position, digest) in written {
                        digests[position] = digest;
                    }
                }
            }
            ControlFlow::Continue(())
        },
    );
    if let ControlFlow::Break(error) = outcome {
        return Err(error);
    }
    let mut errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !errors.is_empty() {
        errors.sort_by_key(|(position, error)| (*position, error.to_string()));
        return Err(WriteError::Supply(errors.into_iter().map(|(_, error)| error).collect()));
    }
    levels.for_each_parent(options.threads, root, |parent, name| {
        parent.set_time(name, options.mtime)
    })?;
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
        if planned.node.size() > SMALL {
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
    large.sort_by_key(|(_, _, planned)| std::cmp::Reverse(planned.node.size()));
    Groups { large, directories }
}

/// How many bytes of each wheel's large members one thread is going to inflate.
fn inflated_alone(
    large: &[Item<'_>],
    widths: &[usize],
    store: Option<StoreUse<'_>>,
) -> HashMap<usize, u64> {
    let mut bytes = HashMap::new();
    for ((_, _, planned), _) in large.iter().zip(widths).filter(|(_, width)| **width == 1) {
        if let Some((wheel, member)) = member_of(planned)
            && !store.is_some_and(|store| store.proves(wheel, member))
        {
            *bytes.entry(wheel).or_default() += planned.node.size();
        }
    }
    bytes
}

/// The wheel and the member that an entry is made from.
fn member_of(planned: &Planned) -> Option<(usize, usize)> {
    match planned.node {
        PlannedNode::File { content: Content::Member { wheel, member }, .. } => {
            Some((wheel, member))
        }
        PlannedNode::File { .. } | PlannedNode::Symlink(_) => None,
    }
}

/// The tasks in the order in which they begin. `widths` says how many threads the large files have,
/// from the first.
fn tasks<'a>(
    groups: &'a Groups<'a>,
    widths: &[usize],
    pinned: &'a PinnedWheels<'a>,
    unread: &'a [(usize, usize)],
    portion: usize,
) -> Vec<Task<'a>> {
    let mut large: Vec<Task<'_>> = Vec::with_capacity(groups.large.len());
    for (item, &threads) in groups.large.chunks(1).zip(widths) {
        let (_, path, planned) = item[0];
        let directory = path.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
        let crew = match member_of(planned).and_then(|(wheel, _)| pinned.file_beside(wheel)) {
            _ if threads > 1 => Crew::Shared(threads),
            Some(hash) => Crew::Beside(hash),
            None => Crew::Alone,
        };
        large.push(Task::Files { directory, items: item, crew });
    }
    let rest = large.split_off(large.partition_point(|task| task.threads() > 1));
    let mut tasks = vec![Task::Directories];
    tasks.extend(large);
    tasks.extend(pinned.first.iter().map(Task::Wheel));
    tasks.extend(rest);
    tasks.extend(pinned.beside.iter().map(Task::Wheel));
    tasks.extend(unread.chunks(PORTION).map(Task::Unread));
    for (directory, items) in &groups.directories {
        tasks.extend(items.chunks(portion).map(|items| Task::Files {
            directory,
            items,
            crew: Crew::Alone,
        }));
    }
    tasks
}

/// The contents that several files of a plan have: with a store, all but the first are links.
fn repeated(plan: &Plan) -> HashSet<(Hash, bool)> {
    let mut seen = HashSet::new();
    let mut repeated = HashSet::new();
    for (_, planned) in &plan.entries {
        if let PlannedNode::File { sha256, executable, .. } = planned.node
            && !seen.insert((sha256, executable))
        {
            repeated.insert((sha256, executable));
        }
    }
    repeated
}

enum EntryError {
    Fs(FsError),
    Store(BlobError),
    Supply(SupplyError),
}

/// Writes one entry; of a file, returns the digest.
fn write_entry(
    planned: &Planned,
    (directory, name): (&str, &str),
    supply: &Supply<'_>,
    parent: &Directory,
    crew: Crew<'_>,
    options: WriteOptions<'_>,
    repeated: &HashSet<(Hash, bool)>,
) -> Result<Option<BlobDigest>, EntryError> {
    let (content, sha256, size, executable) = match &planned.node {
        PlannedNode::Symlink(target) => {
            parent.create_link(name, target.as_str(), options.mtime).map_err(EntryError::Fs)?;
            return Ok(None);
        }
        PlannedNode::File { content, sha256, size, executable } => {
            (content, *sha256, *size, *executable)
        }
    };
    let area = options.store.map(|store| store.area.of(directory, name, size));
    if let Some((store, area)) = options.store.zip(area)
        && let Some(digest) = stored(
            store,
            options.function,
            content,
            sha256,
            size,
            repeated.contains(&(sha256, executable)),
        )
        && area
            .place(digest, executable, parent.handle().as_fd(), name)
            .map_err(|error| EntryError::Store(error.below(parent.path())))?
    {
        if size > SMALL {
            options.progress.advance(0, size);
        }
        if let Content::Member { wheel, member } = *content
            && !store.proves(wheel, member)
        {
            // Another file of this build has the same hash. That this one does, too, is still to be
            // seen.
            match supply.feed(
                content,
                sha256,
                size,
                crew,
                |_| Ok::<_, std::convert::Infallible>(()),
            ) {
                Ok(()) => {}
                Err(FeedError::Taker(never)) => match never {},
                Err(FeedError::Supply(error)) => return Err(EntryError::Supply(error)),
            }
        }
        return Ok(Some(BlobDigest(digest)));
    }
    let mut file = match area {
        Some(area) => parent
            .create_file_with(name, rustix::fs::Mode::from_raw_mode(area.output_mode(executable))),
        None => parent.create_file(name, executable),
    }
    .map_err(EntryError::Fs)?;
    file.reserve(size);
    // The supply hashes by SHA-256 anyway; another function is computed on the way.
    let mut hasher =
        (options.function != DigestFunction::Sha256).then(|| Hasher::new(options.function));
    let fed = supply.feed(content, sha256, size, crew, |bytes| {
        if let Some(hasher) = &mut hasher {
            hasher.update(bytes);
        }
        if size > SMALL {
            options.progress.advance(0, bytes.len() as u64);
        }
        file.write(bytes)
    });
    match fed {
        Ok(()) => {}
        Err(FeedError::Taker(error)) => return Err(EntryError::Fs(error)),
        Err(FeedError::Supply(error)) => return Err(EntryError::Supply(error)),
    }
    file.finish(options.mtime).map_err(EntryError::Fs)?;
    let digest = hasher.map_or(Digest { hash: sha256, size }, Hasher::finish);
    if let Some(area) = area {
        area.try_adopt(digest, executable, parent.handle().as_fd(), name);
    }
    Ok(Some(BlobDigest(digest)))
}

/// The digest of a file that the store may have. Asking for one costs a system call, so it is done
/// only where there is hope.
fn stored(
    store: StoreUse<'_>,
    function: DigestFunction,
    content: &Content,
    sha256: Hash,
    size: u64,
    repeated: bool,
) -> Option<Digest> {
    let known = match content {
        Content::Member { wheel, member } => {
            store.known(*wheel).filter(|known| known.proves(*member)).map(|known| (known, *member))
        }
        Content::Inline(bytes) if function != DigestFunction::Sha256 => {
            return Some(function.digest(bytes));
        }
        Content::Inline(_) => return Some(Digest { hash: sha256, size }),
        Content::Source { .. } | Content::Interpreter { .. } => None,
    };
    match function {
        DigestFunction::Sha256 => {
            (known.is_some() || repeated).then_some(Digest { hash: sha256, size })
        }
        DigestFunction::Blake3 => known
            .and_then(|(known, member)| known.digest(member, &sha256))
            .map(|hash| Digest { hash, size }),
    }
}

/// Directories by depth, those of one parent together: one depth can be worked on by many threads,
/// as what is above it is there already.
struct Levels<'a> {
    levels: Vec<Vec<(&'a str, Vec<&'a str>)>>,
}

impl<'a> Levels<'a> {
    fn new(directories: &'a [TreePath]) -> Self {
        let mut levels: Vec<Vec<(&str, Vec<&str>)>> = Vec::new();
        let mut indexes: HashMap<&str, usize> = HashMap::new();
        for directory in directories {
            let (parent, name) =
                directory.as_str().rsplit_once('/').unwrap_or(("", directory.as_str()));
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
