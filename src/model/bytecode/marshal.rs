//! CPython's marshal format: what a compiled module is made of, and one way of writing it down.
//!
//! Model layer. What `marshal.dumps` writes for one code object depends on the history of the
//! process: which strings were interned before, which equal constants happen to be one object, how
//! many others refer to an object. None of that changes what the code does. So a module is read
//! into its objects, equal constants become one, and it is written again in the *canonical form*:
//!
//! - strings are one if their text is, and interned if one of them is or they have at most one
//!   character;
//! - other constants are one if their type and value are (numbers by their bits, tuples and slices
//!   by their items, frozensets by what they hold);
//! - code objects, and whatever can be changed, stay what they are;
//! - sets are in the order of their items' bytes, where those are written without references;
//! - what is used twice, and nothing else, can be referred to, numbered in the order of writing.
//!
//! The version of that form is [`FORM`]. Nothing here recurses, and no length that the input claims
//! is believed: memory follows what was read.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

/// The version of the canonical form: grows whenever the same module gets other bytes.
pub const FORM: u32 = 1;

/// How deep objects may lie in each other: what CPython takes.
const DEEPEST: usize = 2000;
/// The objects of a code object, before and after its first line.
const BEFORE_LINE: usize = 8;
const CODE_OBJECTS: usize = 10;
/// The bytes of a code object's numbers before its objects.
const CODE_NUMBERS: usize = 20;

const REFERABLE: u8 = 0x80;
const NULL: u8 = b'0';
const TUPLE: u8 = b'(';
const SMALL_TUPLE: u8 = b')';
const LIST: u8 = b'[';
const DICT: u8 = b'{';
const SET: u8 = b'<';
const FROZENSET: u8 = b'>';
const SLICE: u8 = b':';
const CODE: u8 = b'c';
const REFERENCE: u8 = b'r';

/// No number of an object.
const NONE: u32 = u32::MAX;

/// Why bytes are no module that can be written in the canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarshalError {
    /// They end within an object.
    #[error("the bytes end within an object")]
    Ends,
    /// They go on after the object.
    #[error("{0} bytes follow the object")]
    Follows(usize),
    /// An object of an unknown type.
    #[error("the object at {at} has the type {:?}, which no Python from 3.11 to 3.14 writes", char::from(*.found))]
    Type {
        /// The type.
        found: u8,
        /// Where it is.
        at: usize,
    },
    /// An object that cannot be where it is, or has a length that no object has.
    #[error("the object at {0} cannot be there")]
    Misplaced(usize),
    /// A reference to what is not there, or not finished.
    #[error("the reference at {0} leads nowhere")]
    Reference(usize),
    /// Objects lie too deep in each other.
    #[error("the objects lie deeper in each other than {DEEPEST}")]
    Depth,
    /// A set of what cannot be ordered.
    #[error("the set at {0} holds what has no order")]
    Order(usize),
}

/// An object; objects in it have lower numbers.
#[derive(Debug)]
enum Object<'a> {
    /// A constant without parts: its type, and what follows that.
    Plain(u8, &'a [u8]),
    /// A string.
    Text { text: &'a [u8], interned: bool },
    /// A tuple, a slice, a list, a dictionary, a set.
    Group(u8, Rc<[u32]>),
    /// A code object. There are few of them, so they do not make the others large.
    Code(Box<Code<'a>>),
}

/// A code object: its numbers, its first line, and its objects.
#[derive(Debug)]
struct Code<'a> {
    numbers: &'a [u8],
    line: &'a [u8],
    objects: Box<[u32]>,
}

/// What makes constants one.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    Plain(u8, &'a [u8]),
    Text(&'a [u8]),
    Group(u8, Rc<[u32]>),
}

/// The objects of a module.
#[derive(Debug)]
struct Objects<'a> {
    all: Vec<Object<'a>>,
    root: u32,
}

/// Writes what `marshal.dumps` made in the canonical form.
///
/// # Errors
/// The bytes are nothing that a Python from 3.11 to 3.14 writes for a module.
///
/// ```
/// use venvtree::model::bytecode::marshal::canonical;
///
/// // A tuple with two equal strings, the second of which is interned.
/// let bytes = b")\x02z\x02abZ\x02ab";
/// assert_eq!(canonical(bytes).unwrap(), b")\x02\xda\x02abr\0\0\0\0");
/// ```
pub fn canonical(bytes: &[u8]) -> Result<Vec<u8>, MarshalError> {
    let mut objects = Reader::new(bytes).read()?;
    objects.sort_sets();
    Ok(objects.write(bytes.len()))
}

/// What is being read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    all: Vec<Object<'a>>,
    /// Of each object, whether nothing that stays what it is lies within.
    constant: Vec<bool>,
    known: HashMap<Key<'a>, u32>,
    /// What references may lead to.
    referable: Vec<u32>,
    /// Objects that are finished and whose group is not.
    finished: Vec<u32>,
    open: Vec<Open<'a>>,
}

/// A group that is not finished.
struct Open<'a> {
    kind: u8,
    at: usize,
    /// Its place among what references may lead to.
    reference: Option<usize>,
    /// Where its objects begin among those that are finished.
    begin: usize,
    /// How many objects it has; a dictionary's are not counted.
    count: Option<usize>,
    /// A code object's numbers and first line.
    numbers: &'a [u8],
    line: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            all: Vec::new(),
            constant: Vec::new(),
            known: HashMap::new(),
            referable: Vec::new(),
            finished: Vec::new(),
            open: Vec::new(),
        }
    }

    fn read(mut self) -> Result<Objects<'a>, MarshalError> {
        loop {
            self.object()?;
            self.close()?;
            if self.open.is_empty() {
                break;
            }
        }
        if self.at < self.bytes.len() {
            return Err(MarshalError::Follows(self.bytes.len() - self.at));
        }
        let root = self.finished.pop().expect("nothing is open, so the object is finished");
        Ok(Objects { all: self.all, root })
    }

    /// Reads one object, or opens it.
    fn object(&mut self) -> Result<(), MarshalError> {
        let at = self.at;
        let byte = self.take(1)?[0];
        let kind = byte & !REFERABLE;
        let referable = byte & REFERABLE != 0;
        let number = match kind {
            b'N' | b'F' | b'T' | b'S' | b'.' => {
                // Python knows these by heart: they get no number.
                let object = self.plain(kind, &[]);
                self.finish(object);
                return Ok(());
            }
            REFERENCE => {
                let index = self.length(at)?;
                match self.referable.get(index) {
                    Some(&object) if object != NONE => self.finish(object),
                    _ => return Err(MarshalError::Reference(at)),
                }
                return Ok(());
            }
            NULL => return self.end_dictionary(at),
            b'i' => self.rest(kind, 4)?,
            b'g' => self.rest(kind, 8)?,
            b'y' => self.rest(kind, 16)?,
            b'f' => {
                let length = usize::from(self.peek()?);
                self.rest(kind, 1 + length)?
            }
            b'x' => self.complex_text()?,
            b'l' => self.long()?,
            b's' => {
                let begin = self.at;
                let length = self.length(at)?;
                self.at = begin;
                self.rest(kind, 4 + length)?
            }
            b'a' | b'A' | b'u' | b't' => {
                let length = self.length(at)?;
                self.text(kind, length, at)?
            }
            b'z' | b'Z' => {
                let length = usize::from(self.take(1)?[0]);
                self.text(kind, length, at)?
            }
            _ => return self.group(kind, at, referable),
        };
        if referable {
            self.referable.push(number);
        }
        self.finish(number);
        Ok(())
    }

    /// Opens an object that has others.
    fn group(&mut self, kind: u8, at: usize, referable: bool) -> Result<(), MarshalError> {
        let mut numbers = &b""[..];
        let (kind, count) = match kind {
            SMALL_TUPLE => (TUPLE, Some(usize::from(self.take(1)?[0]))),
            TUPLE | LIST | SET | FROZENSET => (kind, Some(self.length(at)?)),
            SLICE => (kind, Some(3)),
            DICT => (kind, None),
            CODE => {
                numbers = self.take(CODE_NUMBERS)?;
                (kind, Some(CODE_OBJECTS))
            }
            found => return Err(MarshalError::Type { found, at }),
        };
        if self.open.len() == DEEPEST {
            return Err(MarshalError::Depth);
        }
        let reference = referable.then(|| {
            self.referable.push(NONE);
            self.referable.len() - 1
        });
        let begin = self.finished.len();
        self.open.push(Open { kind, at, reference, begin, count, numbers, line: b"" });
        Ok(())
    }

    /// The end of a dictionary, where a key could be.
    fn end_dictionary(&mut self, at: usize) -> Result<(), MarshalError> {
        match self.open.last_mut() {
            Some(open)
                if open.kind == DICT && (self.finished.len() - open.begin).is_multiple_of(2) =>
            {
                open.count = Some(self.finished.len() - open.begin);
                Ok(())
            }
            _ => Err(MarshalError::Misplaced(at)),
        }
    }

    /// Closes whatever is complete now.
    fn close(&mut self) -> Result<(), MarshalError> {
        while let Some(open) = self.open.last() {
            let count = self.finished.len() - open.begin;
            if open.kind == CODE && count == BEFORE_LINE && open.line.is_empty() {
                let line = self.take(4)?;
                self.open.last_mut().expect("looked at above").line = line;
                return Ok(());
            }
            if open.count != Some(count) {
                return Ok(());
            }
            let open = self.open.pop().expect("looked at above");
            let objects = &self.finished[open.begin..];
            let constant = objects.iter().all(|&object| self.constant[object as usize]);
            let mut objects: Rc<[u32]> = objects.into();
            self.finished.truncate(open.begin);
            if matches!(open.kind, SET | FROZENSET) {
                if !constant {
                    return Err(MarshalError::Order(open.at));
                }
                Rc::get_mut(&mut objects).expect("nobody else has it").sort_unstable();
            }
            let Open { numbers, line, .. } = open;
            let number = match open.kind {
                TUPLE | SLICE | FROZENSET => {
                    let known = self.known.get(&Key::Group(open.kind, Rc::clone(&objects)));
                    known.copied().unwrap_or_else(|| {
                        let object = Object::Group(open.kind, Rc::clone(&objects));
                        let number = self.add(object, constant);
                        self.known.insert(Key::Group(open.kind, objects), number);
                        number
                    })
                }
                CODE => {
                    let objects = objects.iter().copied().collect();
                    self.add(Object::Code(Box::new(Code { numbers, line, objects })), false)
                }
                kind => self.add(Object::Group(kind, objects), false),
            };
            if let Some(reference) = open.reference {
                self.referable[reference] = number;
            }
            self.finish(number);
        }
        Ok(())
    }

    fn add(&mut self, object: Object<'a>, constant: bool) -> u32 {
        // Objects take more than one byte, except those that are known by heart.
        let number = u32::try_from(self.all.len()).expect("lengths are below 2³¹");
        let left = self.bytes.len() - self.at;
        grow(&mut self.all, left);
        grow(&mut self.constant, left);
        self.all.push(object);
        self.constant.push(constant);
        number
    }

    /// Remembers that an object is finished.
    fn finish(&mut self, number: u32) {
        grow(&mut self.finished, self.bytes.len() - self.at);
        self.finished.push(number);
    }

    fn plain(&mut self, kind: u8, bytes: &'a [u8]) -> u32 {
        if let Some(&number) = self.known.get(&Key::Plain(kind, bytes)) {
            return number;
        }
        let number = self.add(Object::Plain(kind, bytes), true);
        self.known.insert(Key::Plain(kind, bytes), number);
        number
    }

    /// A constant whose next bytes are all of it.
    fn rest(&mut self, kind: u8, count: usize) -> Result<u32, MarshalError> {
        let bytes = self.take(count)?;
        Ok(self.plain(kind, bytes))
    }

    /// A number of any size: its digits of 15 bits, and their count with the sign.
    fn long(&mut self) -> Result<u32, MarshalError> {
        let head = self.bytes.get(self.at..self.at + 4).ok_or(MarshalError::Ends)?;
        let digits = i32::from_le_bytes(head.try_into().expect("four bytes")).unsigned_abs();
        self.rest(b'l', 4 + 2 * digits as usize)
    }

    /// A complex number as two texts, as version 1 of the format has it.
    fn complex_text(&mut self) -> Result<u32, MarshalError> {
        let begin = self.at;
        for _ in 0..2 {
            let length = usize::from(self.take(1)?[0]);
            self.take(length)?;
        }
        let bytes = &self.bytes[begin..self.at];
        Ok(self.plain(b'x', bytes))
    }

    fn text(&mut self, kind: u8, length: usize, at: usize) -> Result<u32, MarshalError> {
        let text = self.take(length)?;
        if !matches!(kind, b'u' | b't') && !text.is_ascii() {
            return Err(MarshalError::Misplaced(at));
        }
        // UTF-8, in which lone surrogates are written, too: what goes on with a character begins
        // with these two bits.
        let characters = || text.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        let interned = matches!(kind, b'A' | b'Z' | b't') || text.len() <= 4 && characters() <= 1;
        if let Some(&number) = self.known.get(&Key::Text(text)) {
            if let Object::Text { interned: known, .. } = &mut self.all[number as usize] {
                *known |= interned;
            }
            return Ok(number);
        }
        let number = self.add(Object::Text { text, interned }, true);
        self.known.insert(Key::Text(text), number);
        Ok(number)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], MarshalError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(MarshalError::Ends)?;
        self.at += count;
        Ok(taken)
    }

    fn peek(&self) -> Result<u8, MarshalError> {
        self.bytes.get(self.at).copied().ok_or(MarshalError::Ends)
    }

    /// A length, or the number of a reference.
    fn length(&mut self, at: usize) -> Result<usize, MarshalError> {
        let bytes = self.take(4)?.try_into().expect("four bytes");
        usize::try_from(i32::from_le_bytes(bytes)).map_err(|_| MarshalError::Misplaced(at))
    }
}

/// Makes room for one more: twice as much as there is, but no more than can come with what is left
/// to read, as each object takes a byte at least.
fn grow<T>(list: &mut Vec<T>, left: usize) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len().max(16).min(left + 1));
    }
}

/// An object on the way to another one, and how many of its objects were passed.
struct Frame {
    number: u32,
    done: u32,
}

impl<'a> Objects<'a> {
    fn object(&self, number: u32) -> &Object<'a> {
        &self.all[number as usize]
    }

    /// The objects within one.
    fn within(&self, number: u32) -> &[u32] {
        match self.object(number) {
            Object::Plain(..) | Object::Text { .. } => &[],
            Object::Group(_, objects) => objects,
            Object::Code(code) => &code.objects,
        }
    }

    /// Brings every set into its order. What lies within a set has a lower number.
    fn sort_sets(&mut self) {
        for number in 0..self.all.len() {
            if let Object::Group(SET | FROZENSET, objects) = &self.all[number] {
                let mut sorted = objects.to_vec();
                sorted.sort_by(|left, right| self.compare(*left, *right));
                let Object::Group(_, objects) = &mut self.all[number] else { continue };
                *objects = sorted.into();
            }
        }
    }

    /// The order of two constants' bytes, written without references. Different constants differ
    /// within what they begin with, or else within the first of their objects that differ.
    fn compare(&self, mut left: u32, mut right: u32) -> Ordering {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        while left != right {
            one.clear();
            two.clear();
            self.begin(left, 0, &mut one);
            self.begin(right, 0, &mut two);
            let order = one.cmp(&two);
            if order != Ordering::Equal {
                return order;
            }
            let mut pairs = self.within(left).iter().zip(self.within(right));
            match pairs.find(|(one, two)| one != two) {
                Some((one, two)) => (left, right) = (*one, *two),
                None => return Ordering::Equal,
            }
        }
        Ordering::Equal
    }

    /// Writes what an object begins with: all of it but the objects within.
    fn begin(&self, number: u32, flag: u8, out: &mut Vec<u8>) {
        let long = |length: usize| (length as u32).to_le_bytes();
        match self.object(number) {
            Object::Plain(kind, bytes) => {
                out.push(kind | flag);
                out.extend_from_slice(bytes);
            }
            Object::Text { text, interned } => {
                let (short, ascii, wide) =
                    if *interned { (b'Z', b'A', b't') } else { (b'z', b'a', b'u') };
                match u8::try_from(text.len()) {
                    Ok(length) if text.is_ascii() => out.extend([short | flag, length]),
                    _ => {
                        out.push(flag | if text.is_ascii() { ascii } else { wide });
                        out.extend(long(text.len()));
                    }
                }
                out.extend_from_slice(text);
            }
            Object::Group(TUPLE, objects) => match u8::try_from(objects.len()) {
                Ok(count) => out.extend([SMALL_TUPLE | flag, count]),
                Err(_) => {
                    out.push(TUPLE | flag);
                    out.extend(long(objects.len()));
                }
            },
            Object::Group(kind, objects) => {
                out.push(kind | flag);
                if !matches!(*kind, SLICE | DICT) {
                    out.extend(long(objects.len()));
                }
            }
            Object::Code(code) => {
                out.push(CODE | flag);
                out.extend_from_slice(code.numbers);
            }
        }
    }

    /// Which objects are used more than once.
    fn repeated(&self) -> Vec<bool> {
        let mut used = vec![false; self.all.len()];
        let mut repeated = vec![false; self.all.len()];
        // A way down takes less than the objects beside it, of which there may be one for each byte.
        let mut way: Vec<Frame> = Vec::new();
        let mut next = Some(self.root);
        loop {
            if let Some(number) = next.take() {
                if std::mem::replace(&mut used[number as usize], true) {
                    repeated[number as usize] = true;
                } else {
                    way.push(Frame { number, done: 0 });
                }
            }
            let Some(frame) = way.last_mut() else { return repeated };
            next = self.within(frame.number).get(frame.done as usize).copied();
            match next {
                Some(_) => frame.done += 1,
                None => drop(way.pop()),
            }
        }
    }

    fn write(&self, about: usize) -> Vec<u8> {
        let repeated = self.repeated();
        let mut references = vec![NONE; self.all.len()];
        let mut count = 0u32;
        let mut out = Vec::with_capacity(about);
        let mut way: Vec<Frame> = Vec::new();
        let mut next = Some(self.root);
        loop {
            if let Some(number) = next.take() {
                let by_heart = matches!(self.object(number), Object::Plain(_, b""));
                let reference = &mut references[number as usize];
                if *reference != NONE {
                    out.push(REFERENCE);
                    out.extend(reference.to_le_bytes());
                } else {
                    let mut flag = 0;
                    if repeated[number as usize] && !by_heart {
                        *reference = count;
                        count += 1;
                        flag = REFERABLE;
                    }
                    self.begin(number, flag, &mut out);
                    way.push(Frame { number, done: 0 });
                }
            }
            let Some(frame) = way.last_mut() else { return out };
            let object = self.object(frame.number);
            if let Object::Code(code) = object
                && frame.done as usize == BEFORE_LINE
            {
                out.extend_from_slice(code.line);
            }
            next = self.within(frame.number).get(frame.done as usize).copied();
            match next {
                Some(_) => frame.done += 1,
                None => {
                    if matches!(object, Object::Group(DICT, _)) {
                        out.push(NULL);
                    }
                    way.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[u8]) {
        let written = canonical(bytes).unwrap();
        assert_eq!(written.escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!(canonical(&written).unwrap(), written, "it is its own canonical form");
    }

    #[test]
    fn equal_constants_are_one() {
        check(b")\x02(\x01\0\0\0N)\x01N", b")\x02\xa9\x01Nr\0\0\0\0");
        check(
            b")\x03g\0\0\0\0\0\0\0\x80g\0\0\0\0\0\0\0\0i\0\0\0\0",
            b")\x03g\0\0\0\0\0\0\0\x80g\0\0\0\0\0\0\0\0i\0\0\0\0",
        );
        check(b")\x02s\x01\0\0\0az\x01a", b")\x02s\x01\0\0\0aZ\x01a");
        check(b")\x02:i\x01\0\0\0NN:i\x01\0\0\0NN", b")\x02\xbai\x01\0\0\0NNr\0\0\0\0");
        check(b")\x02l\x03\0\0\0\x01\0\x02\0\x03\0N", b")\x02l\x03\0\0\0\x01\0\x02\0\x03\0N");
        check(
            b")\x03f\x031.5x\x011\x012y\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
            b")\x03f\x031.5x\x011\x012y\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
        );
        check(b")\x03TF.", b")\x03TF.");
    }

    #[test]
    fn strings_are_interned_if_one_of_them_is_or_they_are_short() {
        check(b")\x03z\x02aba\x02\0\0\0abA\x02\0\0\0ab", b")\x03\xda\x02abr\0\0\0\0r\0\0\0\0");
        check(b")\x02z\x02abz\x02ac", b")\x02z\x02abz\x02ac");
        check(b")\x02z\0z\x01x", b")\x02Z\0Z\x01x");
        check("u\x04\0\0\0\u{1f600}".as_bytes(), "t\x04\0\0\0\u{1f600}".as_bytes());
        check("u\x04\0\0\0éé".as_bytes(), "u\x04\0\0\0éé".as_bytes());
        let long = [b"a\x2c\x01\0\0".as_slice(), &[b'x'; 300]].concat();
        check(&long, &long);
    }

    #[test]
    fn references_are_numbered_by_use() {
        // Flagged and used once; used twice through the second reference.
        check(b")\x03\xda\x02ab\xda\x02cdr\x01\0\0\0", b")\x03Z\x02ab\xda\x02cdr\0\0\0\0");
        // `None` gets no number, whatever its flag says.
        check(b")\x03\xce\xda\x02cdr\0\0\0\0", b")\x03N\xda\x02cdr\0\0\0\0");
    }

    #[test]
    fn sets_are_in_the_order_of_their_bytes() {
        check(b">\x02\0\0\0z\x02bbz\x02aa", b">\x02\0\0\0z\x02aaz\x02bb");
        // An item that is interned elsewhere is in its place as such.
        check(
            b")\x02>\x02\0\0\0z\x02aaZ\x02bbz\x02aa",
            b")\x02>\x02\0\0\0Z\x02bb\xfa\x02aar\0\0\0\0",
        );
        check(
            b")\x02>\x02\0\0\0)\x01z\x02bb)\x01z\x02aa>\x02\0\0\0)\x01z\x02aa)\x01z\x02bb",
            b")\x02\xbe\x02\0\0\0)\x01z\x02aa)\x01z\x02bbr\0\0\0\0",
        );
        check(
            b">\x02\0\0\0>\x02\0\0\0z\x02cdz\x02ab>\x01\0\0\0z\x02ab",
            b">\x02\0\0\0>\x01\0\0\0\xfa\x02ab>\x02\0\0\0r\0\0\0\0z\x02cd",
        );
        assert_eq!(canonical(b">\x01\0\0\0[\0\0\0\0"), Err(MarshalError::Order(0)));
    }

    #[test]
    fn what_can_be_changed_stays_what_it_is() {
        check(b")\x02[\x01\0\0\0N[\x01\0\0\0N", b")\x02[\x01\0\0\0N[\x01\0\0\0N");
        check(b"{Z\x01aNZ\x01bT0", b"{Z\x01aNZ\x01bT0");
        check(b")\x02\xfb0r\0\0\0\0", b")\x02\xfb0r\0\0\0\0");
        check(b"<\x02\0\0\0TF", b"<\x02\0\0\0FT");
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let refused = |bytes: &[u8]| canonical(bytes).unwrap_err();
        assert_eq!(refused(b""), MarshalError::Ends);
        assert_eq!(refused(b")\x02N"), MarshalError::Ends);
        assert_eq!(refused(b"l\xff\xff\xff\x7f"), MarshalError::Ends);
        assert_eq!(refused(b"l\0"), MarshalError::Ends);
        assert_eq!(refused(b"(\xff\xff\xff\x7fN"), MarshalError::Ends);
        assert_eq!(refused(b"NN"), MarshalError::Follows(1));
        assert_eq!(refused(b"?"), MarshalError::Type { found: b'?', at: 0 });
        assert_eq!(refused(b"(\xff\xff\xff\xff"), MarshalError::Misplaced(0));
        assert_eq!(refused(b"a\x01\0\0\0\xe4"), MarshalError::Misplaced(0));
        assert_eq!(refused(b"{N0"), MarshalError::Misplaced(2));
        assert_eq!(refused(b"0"), MarshalError::Misplaced(0));
        assert_eq!(refused(b"r\0\0\0\0"), MarshalError::Reference(0));
        // A tuple that holds itself.
        assert_eq!(refused(b"\xa9\x01r\0\0\0\0"), MarshalError::Reference(2));
        let nested = |depth: usize| [b")\x01".repeat(depth), b"N".to_vec()].concat();
        check(&nested(DEEPEST), &nested(DEEPEST));
        assert_eq!(refused(&nested(DEEPEST + 1)), MarshalError::Depth);
    }

    /// Written without references, it would have 2²⁰⁰ items: neither comparing nor writing may
    /// follow them all.
    #[test]
    fn what_is_shared_is_not_spread_out() {
        let mut tower = b"z\x02ab".to_vec();
        for number in 0..200u32 {
            // The flagged tuple comes before what is in it.
            tower =
                [b"\xa9\x02".as_slice(), &tower, b"r", &(199 - number + 1).to_le_bytes()].concat();
        }
        // The innermost string has the number 200.
        let index = tower.iter().position(|byte| *byte == b'z').unwrap();
        tower[index] |= REFERABLE;
        let written = canonical(&tower).unwrap();
        assert!(written.len() <= tower.len());
        let pair = [b">\x02\0\0\0)\x02".as_slice(), &tower, b"i\x01\0\0\0)\x02r\0\0\0\0i\0\0\0\0"];
        assert!(canonical(&pair.concat()).is_ok());
    }
}
