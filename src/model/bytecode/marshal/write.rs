//! Writing the objects of a module in the canonical form.
//!
//! Model layer.

use super::objects::{Objects, View};
use super::scan::{
    BEFORE_LINE, CODE, FROZENSET, LINE, REFERABLE, REFERENCE, SLICE, SMALL_TUPLE, TUPLE,
};
use super::{DEEPEST, MarshalError};

/// How often an object is used: not at all, once, more often. What is less is the number by which
/// one that was written can be referred to.
const UNUSED: u32 = u32::MAX;
const ONCE: u32 = u32::MAX - 1;
const OFTEN: u32 = u32::MAX - 2;

/// The bytes of a reference.
const REFERENCE_LENGTH: usize = 5;

/// What an object begins with, which is all of it but the objects within: a type and a length, and
/// the bytes after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Begin<'a> {
    head: [u8; 5],
    /// How much of that there is. Of two with one type it is the same.
    length: usize,
    rest: &'a [u8],
}

impl<'a> Begin<'a> {
    fn short(kind: u8, rest: &'a [u8]) -> Self {
        Self { head: [kind, 0, 0, 0, 0], length: 1, rest }
    }

    fn long(kind: u8, length: usize, rest: &'a [u8]) -> Self {
        let [a, b, c, d] = (length as u32).to_le_bytes();
        Self { head: [kind, a, b, c, d], length: 5, rest }
    }

    /// With a length of one byte where it fits.
    fn sized(kinds: [u8; 2], length: usize, rest: &'a [u8]) -> Self {
        match u8::try_from(length) {
            Ok(length) => Self { head: [kinds[0], length, 0, 0, 0], length: 2, rest },
            Err(_) => Self::long(kinds[1], length, rest),
        }
    }

    fn len(&self) -> usize {
        self.length + self.rest.len()
    }
}

/// What an object begins with.
pub(super) fn begin(view: View<'_>) -> Begin<'_> {
    match view {
        View::Plain(kind, bytes) => Begin::short(kind, bytes),
        View::Text { text, interned } => {
            let [short, ascii, wide] = if interned { *b"ZAt" } else { *b"zau" };
            if text.is_ascii() {
                Begin::sized([short, ascii], text.len(), text)
            } else {
                Begin::long(wide, text.len(), text)
            }
        }
        View::Group(TUPLE, objects) => Begin::sized([SMALL_TUPLE, TUPLE], objects.len(), &[]),
        View::Group(SLICE, _) => Begin::short(SLICE, &[]),
        View::Group(_, objects) => Begin::long(FROZENSET, objects.len(), &[]),
        View::Code { numbers, .. } => Begin::short(CODE, numbers),
    }
}

/// An object on the way to another one, and how many of its objects were passed.
struct Frame<'a> {
    view: View<'a>,
    done: usize,
}

impl Objects<'_> {
    /// How often each object is used, and how many bytes all of them will take.
    fn uses(&self) -> (Vec<u32>, usize) {
        let mut uses = vec![UNUSED; self.count()];
        uses[self.root() as usize] = ONCE;
        let mut length = 0;
        for number in 0..self.count() as u32 {
            let view = self.view(number);
            length += begin(view).len() + if matches!(view, View::Code { .. }) { LINE } else { 0 };
            for &within in view.within() {
                let uses = &mut uses[within as usize];
                if *uses == UNUSED {
                    *uses = ONCE;
                } else if self.is_known(within) {
                    length += 1;
                } else {
                    *uses = OFTEN;
                    length += REFERENCE_LENGTH;
                }
            }
        }
        (uses, length)
    }

    /// Writes them after `head`.
    ///
    /// # Errors
    /// They would lie deeper in each other than Python takes.
    pub(super) fn write(&self, head: &[u8]) -> Result<Vec<u8>, MarshalError> {
        let (mut uses, length) = self.uses();
        let mut out = Vec::with_capacity(head.len() + length);
        out.extend_from_slice(head);
        let mut count = 0;
        let mut way: Vec<Frame<'_>> = Vec::new();
        let mut next = Some(self.root());
        loop {
            if let Some(number) = next.take() {
                let uses = &mut uses[number as usize];
                if *uses < OFTEN {
                    out.push(REFERENCE);
                    out.extend_from_slice(&uses.to_le_bytes());
                } else {
                    let view = self.view(number);
                    let begin = begin(view);
                    let place = out.len();
                    out.extend_from_slice(&begin.head[..begin.length]);
                    out.extend_from_slice(begin.rest);
                    if *uses == OFTEN {
                        out[place] |= REFERABLE;
                        *uses = count;
                        count += 1;
                    }
                    if !view.within().is_empty() {
                        if way.len() == DEEPEST {
                            return Err(MarshalError::Depth);
                        }
                        way.push(Frame { view, done: 0 });
                    }
                }
            }
            let Some(Frame { view, done }) = way.last_mut() else { return Ok(out) };
            if let View::Code { line, .. } = view
                && *done == BEFORE_LINE
            {
                out.extend_from_slice(line);
            }
            next = view.within().get(*done).copied();
            *done += 1;
            if next.is_none() {
                way.pop();
            }
        }
    }
}
