//! The tokens of the marshal format, one after the other.
//!
//! Model layer. What is here knows of each object where it lies, how long it is and how many objects
//! it has, and of the bytes as a whole that they are objects, properly in each other.

use super::{DEEPEST, MarshalError};

pub(super) const REFERABLE: u8 = 0x80;
pub(super) const TUPLE: u8 = b'(';
pub(super) const SMALL_TUPLE: u8 = b')';
pub(super) const FROZENSET: u8 = b'>';
pub(super) const SLICE: u8 = b':';
pub(super) const CODE: u8 = b'c';
pub(super) const REFERENCE: u8 = b'r';

/// The objects of a code object, before and after its first line.
pub(super) const BEFORE_LINE: usize = 8;
pub(super) const CODE_OBJECTS: usize = 10;
/// The bytes of its numbers before its objects, and of its first line.
pub(super) const CODE_NUMBERS: usize = 20;
pub(super) const LINE: usize = 4;

/// What comes next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    /// A constant without parts.
    Leaf { at: usize, leaf: Leaf },
    /// A reference to one of what was marked as such before.
    Reference { at: usize, index: usize },
    /// The beginning of an object that has so many others.
    Open { at: usize, count: usize },
    /// The first line of a code object.
    Line { at: usize },
    /// The end of the last object that is open.
    Close,
}

/// A constant without parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaf {
    /// What Python knows by heart: it is never referred to.
    Known,
    /// A number or bytes: all that follows the type.
    Plain { end: usize },
    /// A string: its text.
    Text { begin: usize, end: usize },
}

/// The type of the object there, without the mark that it can be referred to.
pub(super) fn kind(bytes: &[u8], at: usize) -> u8 {
    bytes[at] & !REFERABLE
}

fn part(bytes: &[u8], at: usize, count: usize) -> Result<&[u8], MarshalError> {
    bytes.get(at..).and_then(|rest| rest.get(..count)).ok_or(MarshalError::Ends)
}

/// A length at `at`, of the object at `object`.
fn length(bytes: &[u8], at: usize, object: usize) -> Result<usize, MarshalError> {
    let number = part(bytes, at, 4)?.try_into().expect("four bytes");
    usize::try_from(i32::from_le_bytes(number)).map_err(|_| MarshalError::Misplaced(object))
}

fn short_length(bytes: &[u8], at: usize) -> Result<usize, MarshalError> {
    bytes.get(at).map(|length| usize::from(*length)).ok_or(MarshalError::Ends)
}

/// How an object is laid out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Leaf(Leaf),
    /// It stands for the object of that index.
    Reference(usize),
    /// It has so many objects, which begin there.
    Group {
        begin: usize,
        count: usize,
    },
}

/// How the object at `at` is laid out, whose type is `kind`.
///
/// # Errors
/// It has no proper length, or an unknown type.
#[inline]
pub(super) fn shape(bytes: &[u8], at: usize, kind: u8) -> Result<Shape, MarshalError> {
    let after = at + 1;
    let plain = |end| Shape::Leaf(Leaf::Plain { end });
    Ok(match kind {
        b'N' | b'F' | b'T' | b'S' | b'.' => Shape::Leaf(Leaf::Known),
        b'z' | b'Z' => {
            let (begin, length) = (after + 1, short_length(bytes, after)?);
            Shape::Leaf(Leaf::Text { begin, end: begin + length })
        }
        b'a' | b'A' | b'u' | b't' => {
            let (begin, length) = (after + 4, length(bytes, after, at)?);
            Shape::Leaf(Leaf::Text { begin, end: begin + length })
        }
        b's' => plain(after + 4 + length(bytes, after, at)?),
        b'i' => plain(after + 4),
        b'g' => plain(after + 8),
        b'y' => plain(after + 16),
        b'f' => plain(after + 1 + short_length(bytes, after)?),
        // Two numbers as texts.
        b'x' => {
            let second = after + 1 + short_length(bytes, after)?;
            plain(second + 1 + short_length(bytes, second)?)
        }
        // Digits of 15 bits; their count has the sign.
        b'l' => {
            let digits = part(bytes, after, 4)?.try_into().expect("four bytes");
            plain(after + 4 + 2 * i32::from_le_bytes(digits).unsigned_abs() as usize)
        }
        REFERENCE => Shape::Reference(length(bytes, after, at)?),
        SMALL_TUPLE => Shape::Group { begin: after + 1, count: short_length(bytes, after)? },
        TUPLE | FROZENSET => Shape::Group { begin: after + 4, count: length(bytes, after, at)? },
        SLICE => Shape::Group { begin: after, count: 3 },
        CODE => {
            let begin = after + part(bytes, after, CODE_NUMBERS)?.len();
            Shape::Group { begin, count: CODE_OBJECTS }
        }
        found => return Err(MarshalError::Type { found, at }),
    })
}

impl Leaf {
    /// Where it ends, which begins at `at`.
    pub(super) fn end(self, at: usize) -> usize {
        match self {
            Self::Known => at + 1,
            Self::Plain { end } | Self::Text { end, .. } => end,
        }
    }
}

/// Goes through the bytes of one object.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
}

/// An object that is open, and how much of it is left: objects, and a code object's first line.
#[derive(Debug, Clone, Copy)]
struct Open {
    is_code: bool,
    left: usize,
}

/// What is left of a code object when its first line comes.
const LEFT_AT_LINE: usize = CODE_OBJECTS - BEFORE_LINE + 1;

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, open: Vec::new() }
    }

    /// What comes next; nothing at the end.
    ///
    /// # Errors
    /// The bytes are no object.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Token>, MarshalError> {
        let at = self.at;
        match self.open.last_mut() {
            Some(Open { left: 0, .. }) => {
                self.open.pop();
                return Ok(Some(Token::Close));
            }
            Some(Open { is_code: true, left }) if *left == LEFT_AT_LINE => {
                *left -= 1;
                part(self.bytes, at, LINE)?;
                self.at += LINE;
                return Ok(Some(Token::Line { at }));
            }
            Some(Open { left, .. }) => *left -= 1,
            None if at > 0 => {
                let left = self.bytes.len() - at;
                return if left > 0 { Err(MarshalError::Follows(left)) } else { Ok(None) };
            }
            None => {}
        }
        self.object(at).map(Some)
    }

    #[inline]
    fn object(&mut self, at: usize) -> Result<Token, MarshalError> {
        let bytes = self.bytes;
        let kind = match bytes.get(at) {
            Some(byte) => byte & !REFERABLE,
            None => return Err(MarshalError::Ends),
        };
        let (end, token) = match shape(bytes, at, kind)? {
            Shape::Leaf(leaf) => (leaf.end(at), Token::Leaf { at, leaf }),
            Shape::Reference(index) => (at + 5, Token::Reference { at, index }),
            Shape::Group { begin, count } => {
                if self.open.len() == DEEPEST {
                    return Err(MarshalError::Depth);
                }
                // Every object has a byte at least.
                if count > bytes.len().saturating_sub(begin) {
                    return Err(MarshalError::Ends);
                }
                let is_code = kind == CODE;
                self.open.push(Open { is_code, left: count + usize::from(is_code) });
                (begin, Token::Open { at, count })
            }
        };
        if end > bytes.len() {
            return Err(MarshalError::Ends);
        }
        self.at = end;
        Ok(token)
    }
}
