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
//! - code objects stay what they are;
//! - sets are in the order of their items' bytes, where those are written without references;
//! - what is used twice, and nothing else, can be referred to, numbered in the order of writing.
//!
//! The version of that form is [`FORM`]. Nothing here recurses, and no length that the input claims
//! is believed: [`scan`] goes through all of it and counts before [`objects`] makes room. Besides
//! what it returns, that takes less than seven times as much memory as the input has bytes, and some
//! hundred kilobytes, whatever the input is.

mod objects;
mod scan;
mod write;

/// The version of the canonical form: grows whenever the same module gets other bytes.
pub const FORM: u32 = 1;

/// How deep objects may lie in each other: what CPython takes.
const DEEPEST: usize = 2000;

/// Why bytes are no module that can be written in the canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarshalError {
    /// They end within an object.
    #[error("the bytes end within an object")]
    Ends,
    /// They go on after the object.
    #[error("{0} bytes follow the object")]
    Follows(usize),
    /// There are more than any length in them can tell.
    #[error("{0} bytes are too many for a module")]
    Large(usize),
    /// An object of an unknown type.
    #[error("the object at {at} has the type {:?}, which no Python from 3.11 to 3.14 writes for a module", char::from(*.found))]
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
    /// Something else than what Python runs as a module.
    #[error("they are no code object")]
    NoCode,
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
    objects::read(bytes)?.write(&[])
}

/// The same of what a module consists of, after its header.
///
/// # Errors
/// As above, or it is no code object.
pub(crate) fn module(header: &[u8], bytes: &[u8]) -> Result<Vec<u8>, MarshalError> {
    if !bytes.first().is_some_and(|first| is_code(*first)) {
        return Err(MarshalError::NoCode);
    }
    objects::read(bytes)?.write(header)
}

/// Whether an object that begins with this byte is a code object.
pub(crate) fn is_code(first: u8) -> bool {
    first & !scan::REFERABLE == scan::CODE
}

#[cfg(test)]
mod tests {
    use super::scan::REFERABLE;
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
    }

    #[test]
    fn code_objects_stay_what_they_are() {
        // Its numbers, eight objects, its line, two objects.
        let code = |objects: &[u8], last: &[u8]| {
            [b"c".as_slice(), &[7; 20], objects, b"line", last].concat()
        };
        let plain = code(b"s\x01\0\0\0X)\0NNNNNN", b"NN");
        let twice = [b")\x02".as_slice(), &plain, &plain].concat();
        let second = code(b"r\0\0\0\0r\x01\0\0\0NNNNNN", b"NN");
        let first = code(b"\xf3\x01\0\0\0X\xa9\0NNNNNN", b"NN");
        check(&twice, &[b")\x02".as_slice(), &first, &second].concat());
        // One that is referred to is one.
        let mut marked = plain.clone();
        marked[0] |= REFERABLE;
        check(
            &[b")\x02)\x01".as_slice(), &marked, b")\x01r\0\0\0\0"].concat(),
            &[b")\x02\xa9\x01".as_slice(), &plain, b"r\0\0\0\0"].concat(),
        );
        for set in [[b">\x01\0\0\0".as_slice(), &plain], [b">\x01\0\0\0)\x01", &plain]] {
            assert_eq!(canonical(&set.concat()), Err(MarshalError::Order(0)));
        }
    }

    #[test]
    fn a_module_is_a_code_object() {
        let code = [b"c".as_slice(), &[7; 20], b"s\x01\0\0\0X)\0NNNNNNlineNN"].concat();
        let marked = [b"\xe3", &code[1..]].concat();
        for module in [&code, &marked] {
            let expected = [b"header".as_slice(), &code].concat();
            assert_eq!(super::module(b"header", module), Ok(expected));
        }
        for other in [b"".as_slice(), b"N", b")\x01N"] {
            assert_eq!(super::module(b"header", other), Err(MarshalError::NoCode));
        }
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
        // No module holds what can be changed.
        for kind in *b"[{<0" {
            assert_eq!(refused(&[kind, 0, 0, 0, 0]), MarshalError::Type { found: kind, at: 0 });
        }
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
