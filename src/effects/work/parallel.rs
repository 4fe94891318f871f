//! Work spread over threads: tasks taken in order by whoever is free.
//!
//! Effects layer. Threads live as long as one call. The order in which tasks finish is nobody's
//! business: what they find out is keyed by the task's index.

use std::cmp::Ordering as Order;
use std::convert::Infallible;
use std::ops::{ControlFlow, Range};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::effects::host::interrupt;
use crate::model::workers::Workers;

/// A task gets more than one thread if it costs more than a thread's share of all work by this part
/// of the share: costs are estimates.
const MARGIN: u64 = 4;

/// Runs `work` for every index below `count`, on at most `threads` threads. `Break` stops as soon
/// as possible: tasks that have begun come to their end, others never begin. Of several breaks, the
/// one of the lowest index is returned.
pub fn run<B: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> ControlFlow<B> + Sync,
) -> ControlFlow<B> {
    run_wide(threads, count, |_| 1, work)
}

/// Has at most so many threads do `work`, which shares out what there is to do; returns when all
/// have returned. This thread is one of them, and the only one where the system has no more threads
/// to give.
#[expect(clippy::disallowed_methods, reason = "this is the doorway")]
pub fn together(threads: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 1..threads {
            if std::thread::Builder::new().spawn_scoped(scope, &work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Does `main` in this thread while at most so many others do `help`, as many as the system has to
/// give, which may be none; returns when all have returned.
#[expect(clippy::disallowed_methods, reason = "this is the doorway")]
pub fn beside<R>(helpers: usize, help: impl Fn() + Sync, main: impl FnOnce() -> R) -> R {
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            if std::thread::Builder::new().spawn_scoped(scope, &help).is_err() {
                break;
            }
        }
        main()
    })
}

/// Whether the system has so many more threads to give, for what cannot do with fewer.
#[expect(clippy::disallowed_methods, reason = "this is the doorway")]
pub fn are_to_be_had(threads: usize) -> bool {
    let (all_there, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    std::thread::scope(|scope| {
        // Each stays until the last was tried.
        let stay = || {
            let _ended = wait.lock().unwrap_or_else(PoisonError::into_inner).recv();
        };
        let started = (0..threads)
            .take_while(|_| std::thread::Builder::new().spawn_scoped(scope, stay).is_ok())
            .count();
        drop(all_there);
        started == threads
    })
}

/// As [`run`], where a task may use more than one thread: it begins when as many as `width` says of
/// it are free, or all.
pub fn run_wide<B: Send>(
    threads: usize,
    count: usize,
    width: impl Fn(usize) -> usize + Sync,
    work: impl Fn(usize) -> ControlFlow<B> + Sync,
) -> ControlFlow<B> {
    let queue = Queue::new(threads.max(1), count);
    let width = |index| width(index).clamp(1, threads.max(1));
    let turn = || {
        let _ended_by_panic = EndByPanic(&queue);
        let mut done = 0;
        while let Some(index) = queue.take(done, width) {
            if let ControlFlow::Break(value) = work(index) {
                queue.stop(index, value);
            }
            done = width(index);
        }
    };
    together(threads.min(count), turn);
    match queue.into_break() {
        Some(value) => ControlFlow::Break(value),
        None => ControlFlow::Continue(()),
    }
}

/// Tasks that are waiting for threads, in order.
struct Queue<B> {
    state: Mutex<QueueState<B>>,
    freed: Condvar,
}

struct QueueState<B> {
    /// How many threads no task is using.
    free: usize,
    /// How many workers wait until more are.
    waiting: usize,
    /// The tasks that have not begun.
    tasks: Range<usize>,
    /// The first task that broke, and its value.
    stopped: Option<(usize, B)>,
}

impl<B> Queue<B> {
    fn new(threads: usize, count: usize) -> Self {
        Self {
            state: Mutex::new(QueueState {
                free: threads,
                waiting: 0,
                tasks: 0..count,
                stopped: None,
            }),
            freed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back the threads that a worker's last task used. Returns its next one when there are
    /// enough for it.
    fn take(&self, done: usize, width: impl Fn(usize) -> usize) -> Option<usize> {
        interrupt::check();
        let mut state = self.state();
        state.free += done;
        // To wake nobody is a system call too.
        if state.waiting > 0 {
            self.freed.notify_all();
        }
        loop {
            let index = state.tasks.clone().next()?;
            if width(index) <= state.free {
                state.free -= width(index);
                return state.tasks.next();
            }
            state.waiting += 1;
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// Lets no more tasks begin.
    fn end(&self) -> MutexGuard<'_, QueueState<B>> {
        let mut state = self.state();
        state.tasks = 0..0;
        self.freed.notify_all();
        state
    }

    fn stop(&self, index: usize, value: B) {
        let mut state = self.end();
        if state.stopped.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
            state.stopped = Some((index, value));
        }
    }

    fn into_break(self) -> Option<B> {
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .stopped
            .map(|(_, value)| value)
    }
}

/// Sees to it that nobody waits for the threads of a task that panicked.
struct EndByPanic<'a, B>(&'a Queue<B>);

impl<B> Drop for EndByPanic<'_, B> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.end());
        }
    }
}

/// How many threads each of some tasks should get, so that none is still at work when everything
/// else is done. One task can use `most` threads; `costs` are theirs, the largest first, and
/// `total` is the cost of all work, theirs included.
pub fn widths(threads: usize, most: usize, costs: &[u64], total: u64) -> Vec<usize> {
    let limit = total.saturating_add(total / MARGIN);
    let exceeds_share = |cost: &&u64| cost.saturating_mul(threads as u64) > limit;
    let alone = costs.iter().take_while(exceeds_share).count();
    let mut widths = vec![1; costs.len()];
    let mut spare = threads.saturating_sub(alone);
    for _ in 1..most {
        for width in widths[..alone].iter_mut().take(spare) {
            *width += 1;
            spare -= 1;
        }
    }
    widths
}

/// Makes a value for every index below `count`, in the order of the indexes.
///
/// # Errors
/// Those of `make`; of several, the one of the lowest index among the tasks that had begun.
pub fn map<T: Send, E: Send>(
    threads: usize,
    count: usize,
    make: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let slots: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let outcome = run(threads, count, |index| match make(index) {
        Ok(value) => {
            *slots[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    });
    match outcome {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => {
            let value = |slot: Mutex<Option<T>>| {
                slot.into_inner().unwrap_or_else(PoisonError::into_inner).expect("every task ran")
            };
            Ok(slots.into_iter().map(value).collect())
        }
    }
}

/// Fewer items are not worth another thread.
const FEW: usize = 4;

/// Looks into items, and into those that are found in them, until there are no more: all of one
/// depth, then all of the next. What came of each, in that order.
///
/// # Errors
/// Those of `look`; of several, the one of the first item of its depth among those that had begun.
pub fn explore<I: Send + Sync, T: Send, E: Send>(
    threads: usize,
    mut items: Vec<I>,
    look: impl Fn(&I) -> Result<(T, Vec<I>), E> + Sync,
) -> Result<Vec<T>, E> {
    let mut all = Vec::new();
    while !items.is_empty() {
        let threads = if items.len() < FEW { 1 } else { threads };
        let found = map(threads, items.len(), |index| look(&items[index]))?;
        items = Vec::new();
        for (value, below) in found {
            all.push(value);
            items.extend(below);
        }
    }
    Ok(all)
}

/// Does tasks and those that come of them, by so many threads at most: the latest first, so that of
/// a tree what lies deep is done before what lies beside it.
///
/// # Errors
/// The first that was found; tasks that had begun come to their end.
pub fn branch<T: Send, E: Send>(
    threads: usize,
    first: Vec<T>,
    work: impl Fn(T) -> Result<Vec<T>, E> + Sync,
) -> Result<(), E> {
    let state = BranchesState { tasks: first, busy: 0, waiting: 0, failure: None, ended: false };
    let branches = Branches { state: Mutex::new(state), changed: Condvar::new() };
    together(threads, || {
        let _ended_by_panic = EndBranchesByPanic(&branches);
        while let Some(task) = branches.take() {
            branches.give(work(task));
        }
    });
    let failure = branches.state().failure.take();
    failure.map_or(Ok(()), Err)
}

/// Tasks that may lead to others.
struct Branches<T, E> {
    state: Mutex<BranchesState<T, E>>,
    changed: Condvar,
}

struct BranchesState<T, E> {
    tasks: Vec<T>,
    /// Threads that work on a task, and may add others.
    busy: usize,
    /// Threads that wait for one.
    waiting: usize,
    failure: Option<E>,
    /// Whether no more tasks begin.
    ended: bool,
}

impl<T, E> Branches<T, E> {
    fn state(&self) -> MutexGuard<'_, BranchesState<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<T> {
        interrupt::check();
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(task) = state.tasks.pop() {
                state.busy += 1;
                return Some(task);
            }
            if state.busy == 0 {
                return None;
            }
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// What came of a task.
    fn give(&self, outcome: Result<Vec<T>, E>) {
        let mut state = self.state();
        state.busy -= 1;
        let mut changed = state.busy == 0;
        match outcome {
            Ok(tasks) => {
                changed |= !tasks.is_empty();
                state.tasks.extend(tasks);
            }
            Err(error) => {
                state.failure.get_or_insert(error);
                state.ended = true;
                changed = true;
            }
        }
        // To wake nobody takes a system call as well.
        if changed && state.waiting > 0 {
            self.changed.notify_all();
        }
    }
}

/// Sees to it that nobody waits for what would have come of a task that panicked.
struct EndBranchesByPanic<'a, T, E>(&'a Branches<T, E>);

impl<T, E> Drop for EndBranchesByPanic<'_, T, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().ended = true;
            self.0.changed.notify_all();
        }
    }
}

/// Fewer items than these are not worth another thread to sort them.
const FEW_TO_SORT: usize = 4096;

/// Sorts items, by so many threads at most; equal ones come in any order.
pub fn sort<T: Send>(
    threads: usize,
    mut items: Vec<T>,
    compare: impl Fn(&T, &T) -> Order + Sync,
) -> Vec<T> {
    if threads < 2 || items.len() < FEW_TO_SORT {
        items.sort_unstable_by(compare);
        return items;
    }
    let size = items.len().div_ceil(threads);
    let mut parts = Vec::with_capacity(threads);
    while items.len() > size {
        parts.push(Mutex::new(items.split_off(items.len() - size)));
    }
    parts.push(Mutex::new(items));
    let part = |index: usize| parts[index].lock().unwrap_or_else(PoisonError::into_inner);
    let sorted = map(threads, parts.len(), |index| {
        part(index).sort_unstable_by(&compare);
        Ok::<_, Infallible>(())
    });
    sorted.unwrap_or_else(|never| match never {});
    let mut all = Vec::with_capacity(size * parts.len());
    for part in parts {
        all.append(&mut part.into_inner().unwrap_or_else(PoisonError::into_inner));
    }
    // What is sorted in parts already is only merged.
    all.sort_by(compare);
    all
}

/// At most so many threads, for work of the model.
#[derive(Debug, Clone, Copy)]
pub struct Threads(pub usize);

impl Workers for Threads {
    fn map<T: Send>(&self, count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
        map(self.0, count, |index| Ok::<_, Infallible>(make(index)))
            .unwrap_or_else(|never| match never {})
    }
}

/// How many threads this machine runs at once.
#[expect(clippy::disallowed_methods, reason = "this is the doorway")]
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_come_in_the_order_of_the_indexes() {
        for threads in [1, 2, 8] {
            assert_eq!(
                map(threads, 100, |index| Ok::<_, ()>(index * 2)),
                Ok((0..100).map(|index| index * 2).collect())
            );
        }
        assert_eq!(map(4, 0, |_| Err::<(), _>("never")), Ok(Vec::new()));
    }

    /// What happens when so many threads do tasks of such widths: the most threads in use at a
    /// time, and the tasks by when they began.
    fn observe(threads: usize, widths: &[usize]) -> (usize, Vec<usize>) {
        let (used, most, begun) =
            (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
        let outcome = run_wide(
            threads,
            widths.len(),
            |index| widths[index],
            |index| -> ControlFlow<()> {
                begun.lock().unwrap().push(index);
                let width = widths[index].min(threads);
                most.fetch_max(used.fetch_add(width, Ordering::SeqCst) + width, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
                used.fetch_sub(width, Ordering::SeqCst);
                ControlFlow::Continue(())
            },
        );
        assert_eq!(outcome, ControlFlow::Continue(()));
        (most.into_inner(), begun.into_inner().unwrap())
    }

    #[test]
    fn wide_tasks_keep_within_the_threads() {
        let widths: Vec<usize> = (0..60).map(|index| [1, 3, 1, 1, 2, 9][index % 6]).collect();
        for threads in [1, 2, 3, 5] {
            let (most, mut begun) = observe(threads, &widths);
            assert_eq!(most, threads);
            begun.sort_unstable();
            assert_eq!(begun, (0..widths.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_break_and_a_panic_end_the_wait_for_threads() {
        let widths = [1, 1, 4, 4];
        let finish = |fail: &(dyn Fn() -> ControlFlow<&'static str> + Sync)| {
            run_wide(
                4,
                widths.len(),
                |index| widths[index],
                |index| {
                    std::thread::sleep(Duration::from_millis(if index == 0 { 20 } else { 1 }));
                    if index == 0 { fail() } else { ControlFlow::Continue(()) }
                },
            )
        };
        assert_eq!(finish(&|| ControlFlow::Break("broken")), ControlFlow::Break("broken"));
        assert!(std::panic::catch_unwind(|| finish(&|| panic!("as planned"))).is_err());
    }

    #[test]
    fn tasks_larger_than_a_share_get_the_threads_that_are_left() {
        for (threads, costs, total, expected) in [
            (1, vec![100], 100, vec![1]),
            (2, vec![100], 100, vec![2]),
            (2, vec![60, 40], 100, vec![1, 1]),
            (2, vec![70, 30], 100, vec![2, 1]),
            (4, vec![36, 34], 100, vec![2, 2]),
            (8, vec![36, 34], 100, vec![3, 3]),
            (4, vec![34, 33, 33], 100, vec![2, 1, 1]),
            (16, vec![90, 10], 100, vec![3, 3]),
            (16, vec![5; 20], 100, vec![1; 20]),
            (4, vec![], 0, vec![]),
        ] {
            assert_eq!(
                widths(threads, 3, &costs, total),
                expected,
                "{costs:?} of {total} by {threads}"
            );
        }
    }

    #[test]
    fn what_is_found_is_looked_into_as_well() {
        for threads in [1, 3] {
            let below = |number: u32| (number < 100).then(|| [number * 3, number * 3 + 1]);
            let look = |number: &u32| match number {
                89 => Err("the first of those that fail"),
                number => Ok((*number, below(*number).into_iter().flatten().collect())),
            };
            assert_eq!(
                explore(threads, vec![9], look),
                Ok(vec![9, 27, 28, 81, 82, 84, 85]
                    .into_iter()
                    .chain([81, 82, 84, 85].iter().flat_map(|number| [number * 3, number * 3 + 1]))
                    .collect())
            );
            assert_eq!(explore(threads, vec![88, 89], look), Err("the first of those that fail"));
        }
    }

    #[test]
    fn what_comes_of_a_task_is_done_as_well() {
        for threads in [1, 3] {
            let done = Mutex::new(Vec::new());
            let work = |number: u32| {
                done.lock().unwrap().push(number);
                match number {
                    80.. => Ok(Vec::new()),
                    _ => Ok::<_, ()>(vec![number * 3, number * 3 + 1]),
                }
            };
            assert_eq!(branch(threads, vec![9, 10], work), Ok(()));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!(done, [9, 10, 27, 28, 30, 31, 81, 82, 84, 85, 90, 91, 93, 94]);
        }
    }

    #[test]
    fn an_error_and_a_panic_end_all_branches() {
        let endless = |end: &(dyn Fn() -> Result<(), &'static str> + Sync)| {
            branch(4, vec![0], |depth: usize| {
                if depth == 9 {
                    end()?;
                }
                Ok(vec![depth + 1, depth + 1])
            })
        };
        assert_eq!(endless(&|| Err("broken")), Err("broken"));
        assert!(std::panic::catch_unwind(|| endless(&|| panic!("as planned"))).is_err());
    }

    #[test]
    fn what_several_threads_sort_is_sorted() {
        for length in [0, 1, FEW_TO_SORT - 1, FEW_TO_SORT, 3 * FEW_TO_SORT + 5] {
            let items: Vec<usize> =
                (0..length).map(|index| index.wrapping_mul(2_654_435_761) % 10_007).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            for threads in [1, 2, 3, 8] {
                assert_eq!(sort(threads, items.clone(), usize::cmp), expected, "{threads}");
            }
        }
    }

    #[test]
    fn the_first_error_is_returned() {
        assert_eq!(map(1, 100, |index| if index >= 7 { Err(index) } else { Ok(()) }), Err(7));
    }
}
