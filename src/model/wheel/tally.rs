//! How many problems of each kind a text has, so that a hostile one cannot fill memory with them.

use std::mem::{Discriminant, discriminant};

/// The most problems of one kind that are kept for one text. Nobody reads more, and one byte of a hostile text can be one problem.
const KEPT: usize = 100;

/// Counts problems by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally<Kind> {
    counts: Vec<(Discriminant<Kind>, usize)>,
}

impl<Kind> Default for Tally<Kind> {
    fn default() -> Self {
        Self { counts: Vec::new() }
    }
}

impl<Kind> Tally<Kind> {
    /// Counts a problem, and says whether to keep it: the first ones of each kind are kept, so no kind is lost.
    pub(super) fn admit(&mut self, kind: &Kind) -> bool {
        let own = discriminant(kind);
        match self.counts.iter_mut().find(|(known, _)| *known == own) {
            Some((_, count)) => {
                *count += 1;
                *count <= KEPT
            }
            None => {
                self.counts.push((own, 1));
                true
            }
        }
    }

    /// How many problems were counted and not kept.
    pub(super) fn omitted(&self) -> usize {
        self.counts.iter().map(|(_, count)| count.saturating_sub(KEPT)).sum()
    }
}
