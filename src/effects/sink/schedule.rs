//! In which order a plan is written, by how many threads, and what is hashed beside what: decided as
//! a value before anything is done.
//!
//! Effects layer, but pure. Directories come first, while other threads already hash whole wheels;
//! then the files in portions of one directory each, the largest members before anything else so
//! that no thread is left alone with one at the end. One so large that its thread would be alone all
//! the same gets several threads, and begins even before the wheels. A wheel that is mostly large
//! members is hashed beside them: to hash two things at a time takes little more time than to hash
//! one of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use crate::effects::source::supply;
use crate::model::plan::WheelIndex;

/// How many files of a directory make one task at most.
const PORTION: usize = 64;
/// How many tasks of each thread a small plan is divided into: the fewer there are, the longer one
/// thread may be left alone with the last.
const TASKS_OF_A_THREAD: usize = 16;

/// A file or a link, as far as its schedule depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    /// The path in the tree.
    pub(super) path: &'a str,
    /// Its bytes; none of a link.
    pub(super) size: u64,
    /// The wheel whose member has to be inflated for it, if one has to be.
    pub(super) inflated: Option<WheelIndex>,
    /// The wheel that it is a member of.
    pub(super) wheel: Option<WheelIndex>,
}

/// A wheel that is hashed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pinned {
    /// Which one it is.
    pub(super) wheel: WheelIndex,
    /// The bytes of its file.
    pub(super) size: u64,
}

/// What there is to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'w, 'a> {
    /// By index: what tasks mean by an item.
    pub(super) items: &'w [Item<'a>],
    /// By index: what tasks mean by a pinned wheel.
    pub(super) pinned: &'w [Pinned],
    /// How many members are to be looked at that no file is made from.
    pub(super) unread: usize,
    /// More bytes than this make a large file.
    pub(super) small: u64,
    /// At most so many threads.
    pub(super) threads: usize,
}

/// What one or more threads do without looking up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task<'a> {
    /// Make all directories. Whatever writes into one waits for it.
    Directories,
    /// Hash what is left of a whole wheel.
    Wheel(usize),
    /// Check members that no file is made from.
    Unread(Range<usize>),
    /// Write files of one directory.
    Files { directory: &'a str, items: Vec<usize>, by: By },
}

/// Who writes files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// One thread.
    One,
    /// One thread, which hashes a pinned wheel beside them.
    OneBeside(usize),
    /// So many threads.
    Many(usize),
}

impl Task<'_> {
    /// How many threads it uses.
    pub(super) fn threads(&self) -> usize {
        match self {
            Self::Files { by: By::Many(threads), .. } => *threads,
            Self::Files { .. } | Self::Directories | Self::Wheel(_) | Self::Unread(_) => 1,
        }
    }
}

/// The tasks, in the order in which they begin.
pub(super) fn schedule<'a>(work: Work<'_, 'a>) -> Vec<Task<'a>> {
    let (mut large, small): (Vec<usize>, Vec<usize>) =
        (0..work.items.len()).partition(|&index| work.items[index].size > work.small);
    large.sort_by_key(|&index| Reverse(work.items[index].size));
    let sizes: Vec<u64> = large.iter().map(|&index| work.items[index].size).collect();
    let all = work.items.iter().map(|item| item.size);
    let widths = supply::threads_for(all, &sizes, work.threads);
    let (beside, first) = divide(work, large.iter().copied().zip(widths.iter().copied()));
    let mut wide = Vec::new();
    let mut narrow = Vec::new();
    for (&index, &threads) in large.iter().zip(&widths) {
        let Item { path, wheel, .. } = work.items[index];
        let hashed = beside.iter().find(|&&pinned| Some(work.pinned[pinned].wheel) == wheel);
        let by = match hashed {
            _ if threads > 1 => By::Many(threads),
            Some(&pinned) => By::OneBeside(pinned),
            None => By::One,
        };
        let tasks = if threads > 1 { &mut wide } else { &mut narrow };
        tasks.push(Task::Files { directory: directory_of(path), items: vec![index], by });
    }
    let mut tasks = vec![Task::Directories];
    tasks.append(&mut wide);
    tasks.extend(first.into_iter().map(Task::Wheel));
    tasks.append(&mut narrow);
    tasks.extend(beside.into_iter().map(Task::Wheel));
    tasks.extend(portions(work.unread, PORTION).map(Task::Unread));
    let portion =
        work.items.len().div_ceil(work.threads.max(1) * TASKS_OF_A_THREAD).clamp(1, PORTION);
    for (directory, items) in by_directory(work.items, &small) {
        let files = |items: &[usize]| Task::Files { directory, items: items.to_vec(), by: By::One };
        tasks.extend(items.chunks(portion).map(files));
    }
    tasks
}

/// Which wheels are hashed beside their large members, and which are not: those of which one thread
/// inflates enough for half of the file.
fn divide(
    work: Work<'_, '_>,
    large: impl Iterator<Item = (usize, usize)>,
) -> (Vec<usize>, Vec<usize>) {
    let mut bytes: HashMap<WheelIndex, u64> = HashMap::new();
    for (index, _) in large.filter(|(_, threads)| *threads == 1) {
        let item = work.items[index];
        if let Some(wheel) = item.inflated {
            *bytes.entry(wheel).or_default() += item.size;
        }
    }
    let enough = |&pinned: &usize| {
        let Pinned { wheel, size } = work.pinned[pinned];
        bytes.get(&wheel).is_some_and(|bytes| *bytes >= size / 2)
    };
    (0..work.pinned.len()).partition(enough)
}

/// Items by the directory that they are in, directories in the order of their first item.
fn by_directory<'a>(items: &[Item<'a>], indexes: &[usize]) -> Vec<(&'a str, Vec<usize>)> {
    let mut directories: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut last = None;
    for &index in indexes {
        let directory = directory_of(items[index].path);
        // Most lie where the one before does.
        let at = match last {
            Some((before, at)) if before == directory => at,
            _ => *known.entry(directory).or_insert_with(|| {
                directories.push((directory, Vec::new()));
                directories.len() - 1
            }),
        };
        last = Some((directory, at));
        directories[at].1.push(index);
    }
    directories
}

/// The directory that a path is in; `""` is the root.
fn directory_of(path: &str) -> &str {
    memchr::memrchr(b'/', path.as_bytes()).map_or("", |slash| &path[..slash])
}

fn portions(count: usize, portion: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(portion).map(move |start| start..(start + portion).min(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: u64 = 1 << 20;

    fn item(path: &str, size: u64, wheel: Option<usize>) -> Item<'_> {
        let wheel = wheel.map(WheelIndex);
        Item { path, size, inflated: wheel, wheel }
    }

    fn shown(work: Work<'_, '_>) -> Vec<String> {
        let show = |task: Task<'_>| match task {
            Task::Directories => "directories".to_owned(),
            Task::Wheel(pinned) => format!("hash {}", work.pinned[pinned].wheel.0),
            Task::Unread(range) => format!("look at {range:?}"),
            Task::Files { directory, items, by } => {
                let who = match by {
                    By::One => String::new(),
                    By::OneBeside(pinned) => {
                        format!(" beside {}", work.pinned[pinned].wheel.0)
                    }
                    By::Many(threads) => format!(" by {threads}"),
                };
                format!("{directory}: {items:?}{who}")
            }
        };
        schedule(work).into_iter().map(show).collect()
    }

    #[test]
    fn directories_come_first_large_files_next_and_small_ones_by_directory() {
        let items = [
            item("a/x", 10, None),
            item("b/large", 5 << 20, Some(1)),
            item("a/y", 10, None),
            item("top", 0, None),
            item("b/larger", 6 << 20, Some(0)),
            item("b/z", SMALL, None),
        ];
        let work = Work { items: &items, pinned: &[], unread: 130, small: SMALL, threads: 1 };
        assert_eq!(
            shown(work),
            [
                "directories",
                "b: [4]",
                "b: [1]",
                "look at 0..64",
                "look at 64..128",
                "look at 128..130",
                "a: [0]",
                "a: [2]",
                ": [3]",
                "b: [5]",
            ]
        );
    }

    #[test]
    fn a_wheel_of_large_members_is_hashed_beside_them_and_another_before() {
        let items = [
            item("a/large", 40 << 20, Some(0)),
            item("a/other", 40 << 20, Some(1)),
            Item { inflated: None, ..item("a/linked", 40 << 20, Some(2)) },
        ];
        let pinned = [
            Pinned { wheel: WheelIndex(1), size: 90 << 20 },
            Pinned { wheel: WheelIndex(0), size: 80 << 20 },
            Pinned { wheel: WheelIndex(2), size: 1 },
        ];
        let work = Work { items: &items, pinned: &pinned, unread: 0, small: SMALL, threads: 1 };
        assert_eq!(
            shown(work),
            ["directories", "hash 1", "hash 2", "a: [0] beside 0", "a: [1]", "a: [2]", "hash 0"]
        );
    }

    #[test]
    fn a_file_that_would_keep_one_thread_busy_alone_gets_several_before_anything_else() {
        let mut items = vec![item("a/huge", 1 << 30, Some(0)), item("a/large", 2 << 20, Some(0))];
        items.extend((0..10).map(|_| item("a/small", 1000, Some(0))));
        let pinned = [Pinned { wheel: WheelIndex(0), size: 4 << 20 }];
        let work = Work { items: &items, pinned: &pinned, unread: 0, small: SMALL, threads: 4 };
        let shown = shown(work);
        let (huge, rest) = (&shown[1], &shown[2..4]);
        assert!(huge.starts_with("a: [0] by ") && !huge.ends_with(" 1"), "{shown:?}");
        // What several threads inflate is not enough to be hashed beside.
        assert_eq!(rest, ["a: [1] beside 0", "hash 0"], "{shown:?}");
        assert_eq!(shown[4..].iter().filter(|task| task.starts_with("a: [")).count(), 10);
    }

    #[test]
    fn everything_is_done_once_however_many_threads_there_are() {
        let paths: Vec<String> = (0..500).map(|n| format!("d{}/{n}", n % 7)).collect();
        let size = |n: u64| if n.is_multiple_of(50) { (n + 2) << 20 } else { n * 13 };
        let items: Vec<Item<'_>> = paths
            .iter()
            .zip(0..)
            .map(|(path, n)| item(path, size(n), n.is_multiple_of(3).then_some(n as usize % 2)))
            .collect();
        let pinned = [
            Pinned { wheel: WheelIndex(0), size: 1 << 20 },
            Pinned { wheel: WheelIndex(1), size: 1 << 40 },
        ];
        for threads in [0, 1, 2, 7, 64] {
            let work = Work { items: &items, pinned: &pinned, unread: 65, small: SMALL, threads };
            let tasks = schedule(work);
            assert_eq!(tasks[0], Task::Directories);
            let (mut written, mut hashed, mut looked) = (Vec::new(), Vec::new(), 0);
            for task in &tasks {
                assert!(task.threads() <= threads.max(1));
                match task {
                    Task::Directories => {}
                    Task::Wheel(pinned) => hashed.push(*pinned),
                    Task::Unread(range) => looked += range.len(),
                    Task::Files { directory, items: indexes, .. } => {
                        assert!(!indexes.is_empty() && indexes.len() <= PORTION);
                        for &index in indexes {
                            assert_eq!(directory_of(items[index].path), *directory);
                            written.push(index);
                        }
                    }
                }
            }
            written.sort_unstable();
            hashed.sort_unstable();
            assert_eq!(written, (0..items.len()).collect::<Vec<_>>(), "{threads}");
            assert_eq!((hashed, looked), (vec![0, 1], 65), "{threads}");
        }
    }
}
