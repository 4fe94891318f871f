//! How far a piece of work has come, for whoever wants to show it.
//!
//! Effects layer. Counters only: showing them is a front end's business.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what is done of a total. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// Says how much there is to do; what was done before is forgotten.
    pub fn begin(&self, total: u64) {
        self.counts.done.store(0, Ordering::Relaxed);
        self.counts.total.store(total, Ordering::Relaxed);
    }

    /// Says that so much more is done.
    pub fn advance(&self, more: u64) {
        self.counts.done.fetch_add(more, Ordering::Relaxed);
    }

    /// What is done, and of how much; nothing before the work has begun.
    pub fn get(&self) -> Option<(u64, u64)> {
        let total = self.counts.total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.counts.done.load(Ordering::Relaxed).min(total), total))
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;

    #[test]
    fn progress_is_shared_and_never_more_than_all() {
        let progress = Progress::default();
        assert_eq!(progress.get(), None);
        progress.begin(3);
        progress.clone().advance(2);
        assert_eq!(progress.get(), Some((2, 3)));
        progress.advance(2);
        assert_eq!(progress.get(), Some((3, 3)));
    }
}
