//! Work spread over threads: tasks taken in order by whoever is free.
//!
//! Effects layer. Threads live as long as one call. The order in which tasks finish is nobody's business: what they find out
//! is keyed by the task's index.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::workers::Workers;

/// Runs `work` for every index below `count`, on at most `threads` threads. `Break` stops as soon as possible: tasks that
/// have begun come to their end, others never begin. Of several breaks, the one of the lowest index is returned.
pub fn run<B: Send>(threads: usize, count: usize, work: impl Fn(usize) -> ControlFlow<B> + Sync) -> ControlFlow<B> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let first: Mutex<Option<(usize, B)>> = Mutex::new(None);
    let turn = || {
        while !stopped.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            if let ControlFlow::Break(value) = work(index) {
                stopped.store(true, Ordering::Relaxed);
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                    *first = Some((index, value));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            // Where the system has no more threads to give, those that are there do all the work.
            if std::thread::Builder::new().spawn_scoped(scope, turn).is_err() {
                break;
            }
        }
        turn();
    });
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, value)) => ControlFlow::Break(value),
        None => ControlFlow::Continue(()),
    }
}

/// Makes a value for every index below `count`, in the order of the indexes.
///
/// # Errors
/// Those of `make`; of several, the one of the lowest index among the tasks that had begun.
pub fn map<T: Send, E: Send>(threads: usize, count: usize, make: impl Fn(usize) -> Result<T, E> + Sync) -> Result<Vec<T>, E> {
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
            let value = |slot: Mutex<Option<T>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner).expect("every task ran");
            Ok(slots.into_iter().map(value).collect())
        }
    }
}

/// At most so many threads, for work of the model.
#[derive(Debug, Clone, Copy)]
pub struct Threads(pub usize);

impl Workers for Threads {
    fn map<T: Send>(&self, count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
        map(self.0, count, |index| Ok::<_, Infallible>(make(index))).unwrap_or_else(|never| match never {})
    }
}

/// How many threads this machine runs at once.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_the_order_of_the_indexes() {
        for threads in [1, 2, 8] {
            assert_eq!(map(threads, 100, |index| Ok::<_, ()>(index * 2)), Ok((0..100).map(|index| index * 2).collect()));
        }
        assert_eq!(map(4, 0, |_| Err::<(), _>("never")), Ok(Vec::new()));
    }

    #[test]
    fn the_first_error_is_returned() {
        assert_eq!(map(1, 100, |index| if index >= 7 { Err(index) } else { Ok(()) }), Err(7));
    }
}
