//! Notes: what went less well than it could have, yet does not fail the command.
//!
//! Effects layer. A cache that cannot be written, a remote that lies, a link that had to become a
//! copy: each is said once, where a person sees it, and the build goes on. Front ends print what
//! [`Notes::take`] returns.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Collects notes from any thread. Clones share what is collected.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    order: Vec<Note>,
    seen: BTreeSet<String>,
}

#[derive(Debug)]
struct Note {
    text: String,
    /// What it is an example of, and how many others there are.
    of_many: Option<(&'static str, u64)>,
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
            inner.order.push(Note { text, of_many: None });
        }
    }

    /// Adds a note with its reason; one of the same text is kept only once, whatever its reason is.
    pub fn add_with_reason(&self, text: String, reason: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let note = format!("{text} ({reason})");
        if inner.seen.insert(text) {
            inner.order.push(Note { text: note, of_many: None });
        }
    }

    /// Adds a note of a kind that there may be thousands of: the first is kept as an example, the
    /// others are counted.
    pub fn add_of_many(&self, kind: &'static str, text: impl Into<String>) {
        let text = text.into();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.seen.insert(text.clone()) {
            return;
        }
        match inner
            .order
            .iter_mut()
            .find_map(|note| note.of_many.as_mut().filter(|(found, _)| *found == kind))
        {
            Some((_, more)) => *more += 1,
            None => inner.order.push(Note { text, of_many: Some((kind, 0)) }),
        }
    }

    /// The notes since the last call, in the order in which they were added. A text that was
    /// returned once is not returned again.
    pub fn take(&self) -> Vec<String> {
        let notes =
            std::mem::take(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner).order);
        let render = |Note { text, of_many }: Note| match of_many {
            None | Some((_, 0)) => text,
            Some((_, more)) => format!("{text} (and {more} more like it)"),
        };
        notes.into_iter().map(render).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_notes_one_is_said_and_the_others_are_counted() {
        let notes = Notes::new();
        for index in 0..700 {
            notes.add_of_many("file", format!("file {index} is damaged"));
            notes.add_of_many("file", format!("file {index} is damaged"));
        }
        notes.add_of_many("other", "another");
        assert_eq!(notes.take(), ["file 0 is damaged (and 699 more like it)", "another"]);
    }

    #[test]
    fn a_note_is_said_once() {
        let notes = Notes::new();
        notes.add("a");
        notes.clone().add("b");
        notes.add("a");
        notes.add_with_reason("c".to_owned(), "one reason");
        notes.add_with_reason("c".to_owned(), "another");
        assert_eq!(notes.take(), ["a", "b", "c (one reason)"]);
        notes.add("a");
        assert!(notes.take().is_empty());
    }
}
