//! Notes: what went less well than it could have, yet does not fail the command.
//!
//! Effects layer. A cache that cannot be written, a remote that lies, a link that had to become a copy: each is said once, where
//! a person sees it, and the build goes on. Front ends print what [`Notes::take`] returns.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Collects notes from any thread. Clones share what is collected.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    order: Vec<String>,
    seen: BTreeSet<String>,
}

impl Notes {
    /// Starts with none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a note; one with the same text is kept only once.
    pub fn add(&self, text: impl Into<String>) {
        let text = text.into();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.seen.insert(text.clone()) {
            inner.order.push(text);
        }
    }

    /// The notes since the last call, in the order in which they were added. A text that was returned once is not returned again.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner).order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_said_once() {
        let notes = Notes::new();
        notes.add("a");
        notes.clone().add("b");
        notes.add("a");
        assert_eq!(notes.take(), ["a", "b"]);
        notes.add("a");
        assert!(notes.take().is_empty());
    }
}
