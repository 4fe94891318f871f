//! The objects of a module: equal constants are one.
//!
//! Model layer. An object is its place in the input, so that there are eight bytes of each, and of
//! each of its parts four.

use std::cmp::Ordering;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use super::scan::{
    CODE, CODE_OBJECTS, FROZENSET, LINE, Leaf, REFERABLE, SMALL_TUPLE, Scanner, Shape, TUPLE,
    Token, kind, shape,
};
use super::{MarshalError, write};

/// No number of an object, and no place among others.
pub(super) const NONE: u32 = u32::MAX;

/// An object; those in it have lower numbers.
#[derive(Debug, Clone, Copy)]
struct Object {
    /// Where it lies in the input.
    at: u32,
    /// Of a string, whether it is interned; of what has one object, its number; of what has several,
    /// the place of the first among all items. A code object's first line comes after its objects.
    more: u32,
}

/// A list that grows by parts: it takes no more memory than it needs, and a part.
#[derive(Debug, Default)]
struct List(Vec<Vec<Object>>);

const PART: usize = 1 << 10;

impl List {
    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PART + last.len())
    }

    fn push(&mut self, object: Object) {
        match self.0.last_mut() {
            Some(last) if last.len() < PART => last.push(object),
            _ => {
                let mut part = Vec::with_capacity(PART);
                part.push(object);
                self.0.push(part);
            }
        }
    }

    fn get(&self, number: u32) -> &Object {
        &self.0[number as usize / PART][number as usize % PART]
    }

    fn get_mut(&mut self, number: u32) -> &mut Object {
        &mut self.0[number as usize / PART][number as usize % PART]
    }
}

/// What is known of the input before anything is kept of it.
#[derive(Debug, Default)]
struct Counts {
    /// Constants that are compared with others.
    constants: usize,
    /// Places for the objects within others.
    items: usize,
    /// What can be referred to.
    referable: usize,
    /// A bit for each of those: whether it is.
    referred: Vec<u64>,
}

/// How many places the objects take that are within one.
fn places(is_code: bool, count: usize) -> usize {
    match count {
        _ if is_code => CODE_OBJECTS + 1,
        1 => 0,
        _ => count,
    }
}

impl Counts {
    fn of(bytes: &[u8]) -> Result<Self, MarshalError> {
        let mut counts = Self::default();
        let mut scanner = Scanner::new(bytes);
        while let Some(token) = scanner.next()? {
            match token {
                Token::Leaf { leaf: Leaf::Known, .. } => {}
                Token::Leaf { at, .. } => {
                    counts.constants += 1;
                    counts.see(bytes[at]);
                }
                Token::Open { at, count } => {
                    let is_code = kind(bytes, at) == CODE;
                    counts.constants += usize::from(!is_code);
                    counts.items += places(is_code, count);
                    counts.see(bytes[at]);
                }
                Token::Reference { at, index } => {
                    if index >= counts.referable {
                        return Err(MarshalError::Reference(at));
                    }
                    counts.referred[index / 64] |= 1 << (index % 64);
                }
                Token::Line { .. } | Token::Close => {}
            }
        }
        Ok(counts)
    }

    fn see(&mut self, byte: u8) {
        if byte & REFERABLE != 0 {
            if self.referable.is_multiple_of(64) {
                self.referred.push(0);
            }
            self.referable += 1;
        }
    }
}

/// What references lead to.
#[derive(Debug)]
struct Targets {
    /// A bit for each object that could be referred to: whether it is.
    referred: Vec<u64>,
    /// How many are before each 64 of them.
    before: Vec<u32>,
    /// The number of each that is.
    numbers: Vec<u32>,
    /// How many could be referred to so far.
    seen: usize,
}

impl Targets {
    fn new(referred: Vec<u64>) -> Self {
        let mut count = 0;
        let before = |word: &u64| {
            let before = count;
            count += word.count_ones();
            before
        };
        let before = referred.iter().map(before).collect();
        Self { referred, before, numbers: vec![NONE; count as usize], seen: 0 }
    }

    /// The place of one that is referred to.
    fn place(&self, index: usize) -> usize {
        let below = self.referred[index / 64] & ((1 << (index % 64)) - 1);
        (self.before[index / 64] + below.count_ones()) as usize
    }

    /// The place of the next one, if it is referred to.
    fn next(&mut self) -> u32 {
        let index = self.seen;
        self.seen += 1;
        if self.referred[index / 64] >> (index % 64) & 1 == 0 {
            return NONE;
        }
        self.place(index) as u32
    }

    fn set(&mut self, place: u32, number: u32) {
        if place != NONE {
            self.numbers[place as usize] = number;
        }
    }
}

/// The numbers of constants by what they are: as large as it ever has to be.
struct Known {
    slots: Vec<u32>,
    seeds: [u64; 2],
}

impl Known {
    fn new(constants: usize) -> Self {
        let random = RandomState::new();
        let slots = vec![NONE; constants + constants / 7 + 1];
        Self { slots, seeds: [random.hash_one(0), random.hash_one(1) | 1] }
    }

    /// Nobody knows the seeds, so nobody can make constants that collide.
    fn mix(&self, hash: u64, word: u64) -> u64 {
        let product = u128::from(hash ^ word) * u128::from(self.seeds[1]);
        product as u64 ^ (product >> 64) as u64
    }

    fn hash_bytes(&self, kind: u8, bytes: &[u8]) -> u64 {
        let mut hash = self.mix(self.seeds[0] ^ bytes.len() as u64, u64::from(kind));
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            hash = self.mix(hash, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(hash, u64::from_le_bytes(last))
    }

    fn hash_items(&self, kind: u8, items: &[u32]) -> u64 {
        let begin = self.mix(self.seeds[0] ^ items.len() as u64, u64::from(kind));
        items.iter().fold(begin, |hash, item| self.mix(hash, u64::from(*item)))
    }

    /// The number of what has this hash and `is` what is sought.
    ///
    /// # Errors
    /// There is none: where to put it.
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mut slot = ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize;
        loop {
            match self.slots[slot] {
                NONE => return Err(slot),
                number if is(number) => return Ok(number),
                _ => slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 },
            }
        }
    }
}

/// The objects of a module.
#[derive(Debug)]
pub(super) struct Objects<'a> {
    bytes: &'a [u8],
    all: List,
    items: Vec<u32>,
    root: u32,
}

/// Reads the objects of a module.
///
/// # Errors
/// The bytes are none.
pub(super) fn read(bytes: &[u8]) -> Result<Objects<'_>, MarshalError> {
    if i32::try_from(bytes.len()).is_err() {
        return Err(MarshalError::Large(bytes.len()));
    }
    let counts = Counts::of(bytes)?;
    let objects = Objects {
        bytes,
        all: List::default(),
        items: Vec::with_capacity(counts.items),
        root: NONE,
    };
    let known = Known::new(counts.constants);
    let targets = Targets::new(counts.referred);
    let mut reader = Reader { objects, known, targets, by_heart: [NONE; 5], open: Vec::new() };
    let mut scanner = Scanner::new(bytes);
    while let Some(token) = scanner.next()? {
        reader.take(token)?;
    }
    let mut objects = reader.objects;
    objects.sort_sets();
    Ok(objects)
}

/// What is being read.
struct Reader<'a> {
    objects: Objects<'a>,
    known: Known,
    targets: Targets,
    /// The numbers of what Python knows by heart.
    by_heart: [u32; 5],
    open: Vec<Open>,
}

/// An object that is not finished.
struct Open {
    at: usize,
    count: usize,
    /// How many of its objects are.
    done: usize,
    /// The first place of its items, and the item where there is only one.
    begin: usize,
    single: u32,
    /// Its place among what references lead to.
    target: u32,
    /// Whether there is a code object in it.
    holds_code: bool,
}

/// Marks what is or holds a code object, which is not compared.
const CODE_MARK: u32 = 1 << 31;

impl Reader<'_> {
    fn take(&mut self, token: Token) -> Result<(), MarshalError> {
        match token {
            Token::Leaf { at, leaf } => {
                let number = match leaf {
                    Leaf::Known => {
                        let number = self.by_heart(at);
                        self.finish(number);
                        return Ok(());
                    }
                    Leaf::Plain { end } => self.plain(at, end),
                    Leaf::Text { begin, end } => self.text(at, begin, end)?,
                };
                let target = self.target(at);
                self.targets.set(target, number);
                self.finish(number);
            }
            Token::Reference { at, index } => {
                match self.targets.numbers[self.targets.place(index)] {
                    NONE => return Err(MarshalError::Reference(at)),
                    number => self.finish(number),
                }
            }
            Token::Open { at, count } => {
                let holds_code = kind(self.objects.bytes, at) == CODE;
                let (begin, target) = (self.objects.items.len(), self.target(at));
                self.objects.items.resize(begin + places(holds_code, count), NONE);
                let (done, single) = (0, NONE);
                self.open.push(Open { at, count, done, begin, single, target, holds_code });
            }
            Token::Line { at } => {
                let open = self.open.last().expect("a line is in a code object");
                self.objects.items[open.begin + CODE_OBJECTS] = at as u32;
            }
            Token::Close => {
                let open = self.open.pop().expect("what is closed is open");
                let target = open.target;
                let number = self.close(open)?;
                self.targets.set(target, number);
                self.finish(number);
            }
        }
        Ok(())
    }

    fn target(&mut self, at: usize) -> u32 {
        if self.objects.bytes[at] & REFERABLE == 0 { NONE } else { self.targets.next() }
    }

    /// Puts an object that is finished into the one that is open.
    fn finish(&mut self, number: u32) {
        let Some(open) = self.open.last_mut() else {
            self.objects.root = number;
            return;
        };
        if open.count == 1 {
            open.single = number;
        } else {
            self.objects.items[open.begin + open.done] = number;
        }
        open.done += 1;
        open.holds_code |= self.objects.all.get(number).at & CODE_MARK != 0;
    }

    fn add(&mut self, object: Object) -> u32 {
        self.objects.all.push(object);
        self.objects.all.len() as u32 - 1
    }

    fn by_heart(&mut self, at: usize) -> u32 {
        let kind = kind(self.objects.bytes, at);
        let index = match kind {
            b'N' => 0,
            b'F' => 1,
            b'T' => 2,
            b'.' => 3,
            _ => 4,
        };
        if self.by_heart[index] == NONE {
            self.by_heart[index] = self.add(Object { at: at as u32, more: 0 });
        }
        self.by_heart[index]
    }

    fn plain(&mut self, at: usize, end: usize) -> u32 {
        let bytes = self.objects.bytes;
        let (kind, rest) = (kind(bytes, at), &bytes[at + 1..end]);
        let is = |number| self.objects.is_plain(number, kind, rest);
        let slot = match self.known.find(self.known.hash_bytes(kind, rest), is) {
            Ok(number) => return number,
            Err(slot) => slot,
        };
        let number = self.add(Object { at: at as u32, more: 0 });
        self.known.slots[slot] = number;
        number
    }

    fn text(&mut self, at: usize, begin: usize, end: usize) -> Result<u32, MarshalError> {
        let bytes = self.objects.bytes;
        let (kind, text) = (kind(bytes, at), &bytes[begin..end]);
        if !matches!(kind, b'u' | b't') && !text.is_ascii() {
            return Err(MarshalError::Misplaced(at));
        }
        // UTF-8, in which lone surrogates are written, too: what goes on with a character begins
        // with these two bits.
        let characters = || text.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        let interned = matches!(kind, b'A' | b'Z' | b't') || text.len() <= 4 && characters() <= 1;
        let is = |number| self.objects.is_text(number, text);
        let number = match self.known.find(self.known.hash_bytes(b'u', text), is) {
            Ok(number) => number,
            Err(slot) => {
                let number = self.add(Object { at: at as u32, more: 0 });
                self.known.slots[slot] = number;
                number
            }
        };
        self.objects.all.get_mut(number).more |= u32::from(interned);
        Ok(number)
    }

    fn close(&mut self, open: Open) -> Result<u32, MarshalError> {
        let Open { at, count, begin, single, holds_code, .. } = open;
        let kind = kind(self.objects.bytes, at);
        let mark = if holds_code { CODE_MARK } else { 0 };
        if kind == CODE {
            return Ok(self.add(Object { at: at as u32 | mark, more: begin as u32 }));
        }
        if kind == FROZENSET {
            if holds_code {
                return Err(MarshalError::Order(at));
            }
            self.objects.items[begin..begin + places(false, count)].sort_unstable();
        }
        let items = match count {
            1 => std::slice::from_ref(&single),
            _ => &self.objects.items[begin..begin + count],
        };
        let kind = if kind == SMALL_TUPLE { TUPLE } else { kind };
        let is = |number| self.objects.view(number) == View::Group(kind, items);
        let slot = match self.known.find(self.known.hash_items(kind, items), is) {
            Ok(number) => {
                // All that is in it was there before, so nothing lies behind its items.
                self.objects.items.truncate(begin);
                return Ok(number);
            }
            Err(slot) => slot,
        };
        let more = if count == 1 { single } else { begin as u32 };
        let number = self.add(Object { at: at as u32 | mark, more });
        self.known.slots[slot] = number;
        Ok(number)
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View<'a> {
    /// A constant without parts: its type, and what follows that.
    Plain(u8, &'a [u8]),
    /// A string.
    Text { text: &'a [u8], interned: bool },
    /// A tuple, a frozenset, a slice.
    Group(u8, &'a [u32]),
    /// A code object: its numbers, its first line, and its objects.
    Code { numbers: &'a [u8], line: &'a [u8], objects: &'a [u32] },
}

impl<'a> View<'a> {
    /// The objects within.
    pub(super) fn within(self) -> &'a [u32] {
        match self {
            Self::Plain(..) | Self::Text { .. } => &[],
            Self::Group(_, objects) | Self::Code { objects, .. } => objects,
        }
    }
}

impl Objects<'_> {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// The outermost one.
    pub(super) fn root(&self) -> u32 {
        self.root
    }

    /// Whether Python knows it by heart.
    pub(super) fn is_known(&self, number: u32) -> bool {
        matches!(self.bytes[self.at(number)] & !REFERABLE, b'N' | b'F' | b'T' | b'S' | b'.')
    }

    fn at(&self, number: u32) -> usize {
        (self.all.get(number).at & !CODE_MARK) as usize
    }

    /// Whether it is a constant of that type, after which these bytes come, which hold their length.
    fn is_plain(&self, number: u32, kind: u8, rest: &[u8]) -> bool {
        let at = self.at(number);
        self.bytes[at] & !REFERABLE == kind && self.bytes[at + 1..].starts_with(rest)
    }

    /// Whether it is this string.
    fn is_text(&self, number: u32, text: &[u8]) -> bool {
        let at = self.at(number);
        let (begin, same_length) = match self.bytes[at] & !REFERABLE {
            b'z' | b'Z' => (at + 2, usize::from(self.bytes[at + 1]) == text.len()),
            b'a' | b'A' | b'u' | b't' => {
                (at + 5, self.bytes[at + 1..at + 5] == (text.len() as u32).to_le_bytes())
            }
            _ => return false,
        };
        same_length && self.bytes[begin..].starts_with(text)
    }

    pub(super) fn view(&self, number: u32) -> View<'_> {
        let Self { bytes, items, .. } = self;
        let object = self.all.get(number);
        let at = (object.at & !CODE_MARK) as usize;
        let kind = kind(bytes, at);
        let shape = shape(bytes, at, kind).expect("it was read before");
        let several = |count| &items[object.more as usize..][..count];
        match shape {
            Shape::Leaf(Leaf::Known) => View::Plain(kind, &[]),
            Shape::Leaf(Leaf::Plain { end }) => View::Plain(kind, &bytes[at + 1..end]),
            Shape::Leaf(Leaf::Text { begin, end }) => {
                View::Text { text: &bytes[begin..end], interned: object.more != 0 }
            }
            Shape::Group { begin, count: CODE_OBJECTS } if kind == CODE => {
                let places = several(places(true, CODE_OBJECTS));
                let (objects, line) = places.split_at(CODE_OBJECTS);
                let line = line[0] as usize;
                View::Code {
                    numbers: &bytes[at + 1..begin],
                    line: &bytes[line..line + LINE],
                    objects,
                }
            }
            Shape::Group { count, .. } => {
                let kind = if kind == SMALL_TUPLE { TUPLE } else { kind };
                View::Group(
                    kind,
                    match count {
                        1 => std::slice::from_ref(&object.more),
                        count => several(count),
                    },
                )
            }
            Shape::Reference(_) => unreachable!("a reference is no object"),
        }
    }

    /// Brings every set into its order. What lies within a set has a lower number.
    fn sort_sets(&mut self) {
        for number in 0..self.count() as u32 {
            let View::Group(FROZENSET, objects @ [_, _, ..]) = self.view(number) else { continue };
            let mut sorted = objects.to_vec();
            sorted.sort_unstable_by(|left, right| self.compare(*left, *right));
            let begin = self.all.get(number).more as usize;
            self.items[begin..begin + sorted.len()].copy_from_slice(&sorted);
        }
    }

    /// The order of two constants' bytes, written without references. Different constants differ
    /// within what they begin with, or else within the first of their objects that differ.
    fn compare(&self, mut left: u32, mut right: u32) -> Ordering {
        while left != right {
            let (one, two) = (self.view(left), self.view(right));
            let order = write::begin(one).cmp(&write::begin(two));
            if order != Ordering::Equal {
                return order;
            }
            let mut pairs = one.within().iter().zip(two.within());
            match pairs.find(|(one, two)| one != two) {
                Some((one, two)) => (left, right) = (*one, *two),
                None => return Ordering::Equal,
            }
        }
        Ordering::Equal
    }
}
