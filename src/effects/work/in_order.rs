//! Parts of one stream, each worked on by whoever is free, and taken in their order.
//!
//! Effects layer. Whoever makes the stream hands on part after part and works on some of them
//! himself when too many are waiting, so that nobody is idle; with no other thread he works on
//! them all. What comes out does not depend on the number of threads: a part is all that is known
//! when it is worked on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::effects::work::parallel;

/// How many parts are under way at most for each thread: one that is worked on, and one that waits.
const AHEAD: usize = 2;

/// Has `make` hand on parts, which at most `threads` threads `work` on, this one among them;
/// `take` gets them in this thread, in order. What `make` is given takes a part and returns a used
/// one, whose memory the next one can have.
///
/// # Errors
/// Those of `make` and `take`.
pub fn pass<P: Default + Send, R, E>(
    threads: usize,
    work: impl Fn(&mut P) + Sync,
    mut take: impl FnMut(&mut P) -> Result<(), E>,
    make: impl FnOnce(&mut dyn FnMut(P) -> Result<P, E>) -> Result<R, E>,
) -> Result<R, E> {
    let line = Line::new();
    let helpers = threads.saturating_sub(1);
    let limit = if helpers == 0 { 1 } else { AHEAD * threads };
    let main = || {
        let _ended = End(&line);
        let mut spare = Vec::new();
        let made = make(&mut |part| {
            line.put(part);
            while line.is_long(limit) {
                let mut done = line.next(&work);
                take(&mut done)?;
                spare.push(done);
            }
            Ok(spare.pop().unwrap_or_default())
        })?;
        while line.is_long(1) {
            take(&mut line.next(&work))?;
        }
        Ok(made)
    };
    parallel::beside(helpers, || line.help(&work), main)
}

/// The parts that are under way.
struct Line<P> {
    state: Mutex<State<P>>,
    changed: Condvar,
}

struct State<P> {
    /// Those that nobody works on yet, with their numbers.
    waiting: VecDeque<(usize, P)>,
    /// Those that are ready to be taken, by their numbers.
    done: BTreeMap<usize, P>,
    /// How many came, and how many were taken.
    given: usize,
    taken: usize,
    /// Whether no more come.
    ended: bool,
    /// Whether somebody panicked, so that a part never becomes ready.
    broken: bool,
}

impl<P> Line<P> {
    fn new() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            done: BTreeMap::new(),
            given: 0,
            taken: 0,
            ended: false,
            broken: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<P>>) -> MutexGuard<'a, State<P>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, part: P) {
        let mut state = self.state();
        let number = state.given;
        state.waiting.push_back((number, part));
        state.given += 1;
        self.changed.notify_all();
    }

    /// Whether so many parts are under way.
    fn is_long(&self, parts: usize) -> bool {
        let state = self.state();
        state.given - state.taken >= parts
    }

    /// The part whose turn it is, once it was worked on; until then, others are.
    fn next(&self, work: &impl Fn(&mut P)) -> P {
        let mut state = self.state();
        loop {
            assert!(!state.broken, "a thread that worked on a part panicked");
            let turn = state.taken;
            if let Some(part) = state.done.remove(&turn) {
                state.taken += 1;
                return part;
            }
            state = match state.waiting.pop_front() {
                Some(next) => self.work_on(next, state, work),
                None => self.wait(state),
            };
        }
    }

    /// Works on a part, while others may have the state.
    fn work_on<'a>(
        &'a self,
        (number, mut part): (usize, P),
        state: MutexGuard<'a, State<P>>,
        work: &impl Fn(&mut P),
    ) -> MutexGuard<'a, State<P>> {
        drop(state);
        work(&mut part);
        let mut state = self.state();
        state.done.insert(number, part);
        state
    }

    /// Works on parts until no more come.
    fn help(&self, work: &impl Fn(&mut P)) {
        let _broken = Break(self);
        let mut state = self.state();
        loop {
            state = match state.waiting.pop_front() {
                Some(next) => {
                    let state = self.work_on(next, state, work);
                    self.changed.notify_all();
                    state
                }
                None if state.ended => return,
                None => self.wait(state),
            };
        }
    }
}

/// Sends the helpers home, however the stream came to its end.
struct End<'a, P>(&'a Line<P>);

impl<P> Drop for End<'_, P> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended = true;
        state.waiting.clear();
        self.0.changed.notify_all();
    }
}

/// Sees to it that nobody waits for the part of a thread that panicked.
struct Break<'a, P>(&'a Line<P>);

impl<P> Drop for Break<'_, P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().broken = true;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const THREADS: [usize; 4] = [1, 2, 3, 8];

    /// Passes the numbers below `count`, squares them, and takes at most `most` of them.
    fn squares(threads: usize, count: u64, most: usize) -> (Result<(), &'static str>, Vec<u64>) {
        let mut taken = Vec::new();
        let work = |number: &mut u64| {
            // The first of several takes longest.
            std::thread::sleep(Duration::from_micros(300 - 100 * (*number % 3)));
            *number *= *number;
        };
        let take = |square: &mut u64| {
            if taken.len() == most {
                return Err("full");
            }
            taken.push(*square);
            Ok(())
        };
        let passed = pass(threads, work, take, |hand_on| {
            (0..count).try_for_each(|number| hand_on(number).map(drop))
        });
        (passed, taken)
    }

    #[test]
    fn parts_are_taken_in_order_whoever_worked_on_them() {
        for threads in THREADS {
            for count in [0, 1, 2, 100] {
                let expected: Vec<u64> = (0..count).map(|number| number * number).collect();
                assert_eq!(squares(threads, count, usize::MAX), (Ok(()), expected), "{threads}");
            }
        }
    }

    #[test]
    fn an_error_of_the_taker_or_the_maker_ends_it() {
        for threads in THREADS {
            assert_eq!(squares(threads, 100, 3), (Err("full"), vec![0, 1, 4]), "{threads}");
            let made: Result<(), _> = pass(
                threads,
                |_: &mut u64| (),
                |_| Ok(()),
                |hand_on| {
                    hand_on(1)?;
                    Err("no more")
                },
            );
            assert_eq!(made, Err("no more"), "{threads}");
        }
    }

    #[test]
    fn what_is_handed_back_was_used_before() {
        let mut back = Vec::new();
        let hand = |hand_on: &mut dyn FnMut(u64) -> Result<u64, ()>| {
            for number in 1..50 {
                back.push(hand_on(number)?);
            }
            Ok(())
        };
        pass(2, |number: &mut u64| *number += 1000, |_| Ok(()), hand).unwrap();
        assert_eq!(back[..3], [0, 0, 0], "nothing was used yet");
        assert!(back.iter().filter(|&&number| number > 1000).count() > 40, "{back:?}");
    }

    #[test]
    fn a_panic_of_a_worker_is_passed_on() {
        for threads in THREADS {
            let caught = std::panic::catch_unwind(|| {
                pass(
                    threads,
                    |number: &mut u64| assert!(*number < 7, "as planned"),
                    |_| Ok::<_, ()>(()),
                    |hand_on| (0..20).try_for_each(|number| hand_on(number).map(drop)),
                )
            });
            assert!(caught.is_err(), "{threads} threads");
        }
    }
}
