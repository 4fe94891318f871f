//! Once for many: what several processes are about to build, or to unpack, one of them does.
//!
//! Part of the engine. There is a turn for each key, from the time that the store does not have it,
//! and one for each wheel of which the store knows nothing, in the order of their digests, so that
//! nobody waits in a circle; whoever has a key's turn asks for those of wheels, and never the other
//! way round. Who has waited looks again. Nothing depends on turns but how much is done twice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::effects::caches::store::Store;
use crate::effects::caches::store::turns::{Asked, Turn};
use crate::effects::work::parallel;
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::model::digest::{Hash, WheelDigest};

/// How often whoever has turns says that he gets on.
const PULSE: Duration = Duration::from_secs(1);

/// The turns that a build has.
#[derive(Debug, Default)]
pub(super) struct Turns {
    held: Mutex<Vec<Turn>>,
    /// How often somebody that this build waited for was seen to get on.
    waited: AtomicU64,
    /// Whether somebody did not: he may have more of the turns that this build would ask for, and
    /// is waited for once.
    is_alone: AtomicBool,
    ended: Mutex<bool>,
    end: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// Takes the turn of what a hash stands for. Says whether it may be there, as somebody else made
    /// it in between.
    pub fn take(
        &self,
        store: &Store,
        name: Hash,
        progress: &Progress,
        is_there: impl Fn() -> bool,
    ) -> bool {
        if self.is_alone.load(Ordering::Relaxed) {
            return false;
        }
        // Once more, if whoever had it had no success.
        for _ in 0..2 {
            let gets_on = || {
                self.waited.fetch_add(1, Ordering::Relaxed);
                progress.begin(Phase::Waiting, Amount::default());
            };
            match store.turn(name, gets_on) {
                Asked::Mine(turn) => {
                    lock(&self.held).push(turn);
                    return is_there();
                }
                Asked::Finished if is_there() => return true,
                Asked::Finished => {}
                Asked::Alone => {
                    self.is_alone.store(true, Ordering::Relaxed);
                    return false;
                }
            }
        }
        false
    }

    /// Takes the turns of all wheels of which the store knows nothing, and waits until it knows
    /// those that others are unpacking.
    pub fn take_wheels(&self, store: &Store, wheels: &[WheelDigest], progress: &Progress) {
        let mut unknown: Vec<WheelDigest> =
            wheels.iter().copied().filter(|wheel| !store.knows_wheel(*wheel)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        for wheel in unknown {
            let is_known = || store.knows_wheel(wheel);
            if !is_known() && self.take(store, wheel.0, progress, is_known) {
                lock(&self.held).retain(|turn| turn.name() != wheel.0);
            }
        }
    }

    /// Whether this build has any.
    pub fn are_held(&self) -> bool {
        !lock(&self.held).is_empty()
    }

    /// Gives all turns back: the store has what others wait for, or never will.
    pub fn end(&self) {
        lock(&self.held).clear();
    }

    /// Does some work and says meanwhile that it gets on, as long as it does.
    pub fn hold<R>(&self, progress: &Progress, work: impl FnOnce() -> R) -> R {
        *lock(&self.ended) = false;
        let pulse = || {
            let mut last = None;
            let mut ended = lock(&self.ended);
            while !*ended {
                let (next, _) =
                    self.end.wait_timeout(ended, PULSE).unwrap_or_else(PoisonError::into_inner);
                ended = next;
                let now = Some((progress.get(), self.waited.load(Ordering::Relaxed)));
                if now != last {
                    lock(&self.held).iter().for_each(Turn::beat);
                    last = now;
                }
            }
        };
        parallel::beside(1, pulse, || {
            let _ended = Ended(self);
            work()
        })
    }
}

/// Sees to it that nobody says any more that work gets on which has ended.
struct Ended<'a>(&'a Turns);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        *lock(&self.0.ended) = true;
        self.0.end.notify_all();
    }
}
