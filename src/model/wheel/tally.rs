//! How many problems of each kind a text has, so that a hostile one cannot fill memory with them.

use std::mem::discriminant;

/// The most problems of one kind that are kept for one text. Nobody reads more, and one byte of a
/// hostile text can be one problem.
const KEPT: u64 = 100;

/// Counts problems by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally<Kind> {
    /// The first problem of each kind, and how many there are.
    counts: Vec<(Kind, u64)>,
}

impl<Kind> Default for Tally<Kind> {
    fn default() -> Self {
        Self { counts: Vec::new() }
    }
}

impl<Kind: Clone> Tally<Kind> {
    /// Counts a problem, and says whether to keep it: the first ones of each kind are kept, so no
    /// kind is lost.
    pub(super) fn admit(&mut self, kind: &Kind) -> bool {
        match self.counts.iter_mut().find(|(known, _)| discriminant(known) == discriminant(kind)) {
            Some((_, count)) => {
                *count += 1;
                *count <= KEPT
            }
            None => {
                self.counts.push((kind.clone(), 1));
                true
            }
        }
    }

    /// Of each kind with problems that were counted and not kept: one problem, and how many those
    /// are.
    pub(super) fn omitted(&self) -> Vec<(Kind, u64)> {
        self.counts
            .iter()
            .filter(|(_, count)| *count > KEPT)
            .map(|(kind, count)| (kind.clone(), count - KEPT))
            .collect()
    }
}
