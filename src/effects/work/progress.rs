//! How far a piece of work has come, for whoever wants to show it.
//!
//! Effects layer. Counters only: showing them is a front end's business. Nothing here waits for
//! anybody: counting costs an addition, and is done for portions of work rather than for each file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Wheels are opened, and what they say of themselves is read.
    Loading,
    /// It is decided where every file goes.
    Planning,
    /// Modules are compiled.
    Compiling,
    /// Files of a directory are read and hashed.
    Reading,
    /// An environment is written.
    Writing,
    /// An archive is written.
    Packing,
    /// Bytes come from elsewhere.
    Downloading,
    /// Bytes go elsewhere.
    Uploading,
    /// A store is checked.
    Checking,
    /// A store is looked through for what nobody needs.
    Collecting,
    /// Somebody else makes what is wanted.
    Waiting,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 11] = [
        Self::Loading,
        Self::Planning,
        Self::Compiling,
        Self::Reading,
        Self::Writing,
        Self::Packing,
        Self::Downloading,
        Self::Uploading,
        Self::Checking,
        Self::Collecting,
        Self::Waiting,
    ];
}

/// How much there is to do; zero is "nobody knows yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Wheels while loading, files otherwise.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How far the work has come at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// What is being done.
    pub phase: Phase,
    /// How much of it is done; never more than all of it, where that is known.
    pub done: Amount,
    /// How much there is to do.
    pub total: Amount,
}

/// Counts what is done. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// One more than the phase's position among all; zero while there is nothing to show.
    phase: AtomicU8,
    items: AtomicU64,
    bytes: AtomicU64,
    all_items: AtomicU64,
    all_bytes: AtomicU64,
}

impl Progress {
    /// Says what is done from now on, and how much of it there is; what was done before is
    /// forgotten.
    pub fn begin(&self, phase: Phase, total: Amount) {
        let Counts { phase: current, items, bytes, all_items, all_bytes } = &*self.counts;
        current.store(0, Ordering::Relaxed);
        for (counter, value) in
            [(items, 0), (bytes, 0), (all_items, total.items), (all_bytes, total.bytes)]
        {
            counter.store(value, Ordering::Relaxed);
        }
        let position = Phase::ALL.iter().position(|other| *other == phase).unwrap_or_default();
        // A reader who sees the phase sees its numbers.
        current.store(u8::try_from(position + 1).unwrap_or_default(), Ordering::Release);
    }

    /// Says that so many more files, or wheels, are done, and so many more bytes.
    pub fn advance(&self, items: u64, bytes: u64) {
        if items > 0 {
            self.counts.items.fetch_add(items, Ordering::Relaxed);
        }
        if bytes > 0 {
            self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Says that there is nothing to show any more.
    pub fn end(&self) {
        self.counts.phase.store(0, Ordering::Relaxed);
    }

    /// How far the work has come; nothing before it begins and after its end.
    pub fn get(&self) -> Option<Snapshot> {
        let counts = &*self.counts;
        let position = usize::from(counts.phase.load(Ordering::Acquire)).checked_sub(1)?;
        let read = |done: &AtomicU64, total: &AtomicU64| {
            let (done, total) = (done.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
            (if total > 0 { done.min(total) } else { done }, total)
        };
        let (items, all_items) = read(&counts.items, &counts.all_items);
        let (bytes, all_bytes) = read(&counts.bytes, &counts.all_bytes);
        let total = Amount { items: all_items, bytes: all_bytes };
        Some(Snapshot { phase: *Phase::ALL.get(position)?, done: Amount { items, bytes }, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_shared_and_never_more_than_all() {
        let progress = Progress::default();
        assert_eq!(progress.get(), None);
        for phase in Phase::ALL {
            progress.begin(phase, Amount { items: 3, bytes: 0 });
            progress.clone().advance(2, 7);
            let (done, total) = (Amount { items: 2, bytes: 7 }, Amount { items: 3, bytes: 0 });
            assert_eq!(progress.get(), Some(Snapshot { phase, done, total }));
            progress.advance(2, 0);
            assert_eq!(progress.get().unwrap().done.items, 3);
        }
        progress.end();
        assert_eq!(progress.get(), None);
    }
}
