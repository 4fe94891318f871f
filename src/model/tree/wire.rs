//! The canonical bytes of REAPI's `Directory` and `Tree` messages, written directly: a few fields,
//! always the same order.
//!
//! Model layer. `build/bazel/remote/execution/v2/remote_execution.proto` decides: nodes sorted by
//! name within their kind, unique, names of one segment; fields with default values left out, as
//! canonical protobuf does.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::digest::{Digest, DirectoryDigest, Hash};
use crate::model::file_kind::FileKind;
use crate::model::path::{FileName, LinkTarget};
use crate::model::tree::{Directory, Leaf, Node, Tree};

const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited field: a string, bytes or a message.
pub fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | LENGTH_DELIMITED);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a varint field; nothing for zero, the default.
pub fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        put_varint(out, field << 3 | VARINT);
        put_varint(out, value);
    }
}

/// The `Digest` message.
pub fn encode_digest(digest: Digest) -> Vec<u8> {
    let mut out = Vec::with_capacity(76);
    put_digest(&mut out, digest);
    out
}

fn put_digest(out: &mut Vec<u8>, digest: Digest) {
    put_bytes(out, 1, &digest.hash.hex_digits());
    put_number(out, 2, digest.size);
}

/// Appends a field that holds a `Digest` message.
fn put_digest_field(out: &mut Vec<u8>, field: u64, digest: Digest) {
    put_varint(out, field << 3 | LENGTH_DELIMITED);
    // Its length takes one byte: 66 for the hash, at most 11 for the size.
    let start = out.len();
    out.push(0);
    put_digest(out, digest);
    out[start] = (out.len() - start - 1) as u8;
}

/// The canonical `Directory` message; the entries are sorted by name. `digest` tells that of a
/// directory below.
pub(super) fn encode_directory<D>(
    entries: &[(FileName, Node<D>)],
    digest: impl Fn(&D) -> DirectoryDigest,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * 120);
    let mut node = Vec::with_capacity(160);
    let mut field = |out: &mut Vec<u8>, number: u64, fill: &dyn Fn(&mut Vec<u8>)| {
        node.clear();
        fill(&mut node);
        put_bytes(out, number, &node);
    };
    for (name, entry) in entries {
        if let Node::Leaf(Leaf::File { blob, kind }) = entry {
            field(&mut out, 1, &|node| {
                put_bytes(node, 1, name.as_str().as_bytes());
                put_digest_field(node, 2, blob.0);
                put_number(node, 4, u64::from(kind.is_executable()));
            });
        }
    }
    for (name, entry) in entries {
        if let Node::Directory(directory) = entry {
            field(&mut out, 2, &|node| {
                put_bytes(node, 1, name.as_str().as_bytes());
                put_digest_field(node, 2, digest(directory).0);
            });
        }
    }
    for (name, entry) in entries {
        if let Node::Leaf(Leaf::Symlink(target)) = entry {
            field(&mut out, 3, &|node| {
                put_bytes(node, 1, name.as_str().as_bytes());
                put_bytes(node, 2, target.as_str().as_bytes());
            });
        }
    }
    out
}

/// The `Tree` message: the root, then every other directory once, parents before children.
pub fn encode_tree(tree: &Tree) -> Vec<u8> {
    fn children<'a>(
        directory: &'a Directory,
        seen: &mut HashSet<DirectoryDigest>,
        order: &mut Vec<&'a Arc<Directory>>,
    ) {
        for (_, node) in directory.entries() {
            if let Node::Directory(below) = node
                && seen.insert(below.digest())
            {
                order.push(below);
            }
        }
    }
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    children(tree.root(), &mut seen, &mut order);
    let mut next = 0;
    while next < order.len() {
        children(order[next], &mut seen, &mut order);
        next += 1;
    }
    let mut out = Vec::new();
    put_bytes(&mut out, 1, tree.root().message());
    for directory in order {
        put_bytes(&mut out, 2, directory.message());
    }
    out
}

/// Why bytes are no canonical message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end in the middle of a field.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A field that the message does not have, or with another type.
    #[error("unexpected field {field} of wire type {wire_type}")]
    Field {
        /// The field's number.
        field: u64,
        /// Its wire type.
        wire_type: u64,
    },
    /// A required part is missing or no text.
    #[error("a node has no valid {what}")]
    Missing {
        /// Name, digest or target.
        what: &'static str,
    },
    /// More entries than any tree may have.
    #[error("the message has too many entries")]
    Entries,
    /// A name or target that no tree may hold.
    #[error(transparent)]
    Path(#[from] crate::model::path::PathError),
    /// A hash that is none.
    #[error(transparent)]
    Digest(#[from] crate::model::digest::DigestError),
}

/// Reads the fields of a protobuf message, refusing what is cut off.
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A varint.
    Number(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// Starts at the beginning of a message.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// A varint; nothing where the message ends in it.
    #[inline(always)]
    fn varint(&mut self) -> Option<u64> {
        // One byte is what nearly all of them have: fields, and lengths of names and digests.
        match *self.rest {
            [byte @ ..0x80, ref rest @ ..] => {
                self.rest = rest;
                Some(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// The next field; nothing where the message ends in it.
    #[inline(always)]
    fn next_field(&mut self) -> Option<Result<(u64, Value<'a>), WireError>> {
        let key = self.varint()?;
        let (field, wire_type) = (key >> 3, key & 7);
        let value = match wire_type {
            VARINT => Value::Number(self.varint()?),
            LENGTH_DELIMITED => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            _ => return Some(Err(WireError::Field { field, wire_type })),
        };
        Some(Ok((field, value)))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field().unwrap_or(Err(WireError::Truncated));
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

fn text<'a>(value: Value<'a>, what: &'static str) -> Result<&'a str, WireError> {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| WireError::Missing { what }),
        Value::Number(_) => Err(WireError::Missing { what }),
    }
}

/// Reads a `Digest` message.
///
/// # Errors
/// The message is cut off, or the hash is none.
pub fn decode_digest(message: &[u8]) -> Result<Digest, WireError> {
    let (mut hash, mut size) = (None, 0);
    for field in Fields::new(message) {
        match field? {
            (1, value) => hash = Some(Hash::parse_hex(text(value, "hash")?)?),
            // An int64; what is negative is larger than any blob.
            (2, Value::Number(value)) if i64::try_from(value).is_err() => {
                return Err(WireError::Missing { what: "size" });
            }
            (2, Value::Number(value)) => size = value,
            (field, _) => {
                return Err(WireError::Field { field, wire_type: LENGTH_DELIMITED });
            }
        }
    }
    Ok(Digest { hash: hash.ok_or(WireError::Missing { what: "hash" })?, size })
}

/// The files that the `Directory` messages in a `Tree` message name, each with whether it is
/// executable, directory by directory. Nothing is checked: for whoever wants no more than a hint of
/// what belongs together.
pub fn hinted_files(message: &[u8]) -> impl Iterator<Item = (&[u8], HintedFiles<'_>)> {
    Fields::new(message).flatten().filter_map(|(_, value)| match value {
        Value::Bytes(directory) => Some((directory, HintedFiles(Fields::new(directory)))),
        Value::Number(_) => None,
    })
}

/// The files that a `Directory` message names, as far as it can be read.
pub struct HintedFiles<'a>(Fields<'a>);

impl Iterator for HintedFiles<'_> {
    type Item = (Hash, FileKind);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (1, Value::Bytes(node)) = self.0.next()?.ok()? else {
                continue;
            };
            let (mut hash, mut kind) = (None, FileKind::Plain);
            for field in Fields::new(node) {
                match field.ok()? {
                    (2, Value::Bytes(bytes)) => hash = Some(decode_digest(bytes).ok()?.hash),
                    (4, Value::Number(value)) => kind = FileKind::from(value != 0),
                    _ => {}
                }
            }
            return Some((hash?, kind));
        }
    }
}

/// How many nodes a `Directory` message has, as far as it can be read; nothing where they are more
/// than `limit`.
pub(super) fn count_nodes(message: &[u8], limit: u64) -> Option<u64> {
    let nodes = Fields::new(message).filter(|field| matches!(field, Ok((1..=3, _))));
    let count =
        nodes.take(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1)).count() as u64;
    (count <= limit).then_some(count)
}

/// Reads a `Directory` message into its nodes, in the order of the message. Node properties (modes
/// and times that some servers add) are passed over; whether the message is canonical is for the
/// caller to check, by writing it again.
///
/// # Errors
/// The message is cut off, has fields of another message, or names and targets that no tree may
/// hold.
pub fn decode_directory(
    message: &[u8],
) -> Result<Vec<(FileName, Node<DirectoryDigest>)>, WireError> {
    let count = count_nodes(message, super::receive::ENTRY_LIMIT).ok_or(WireError::Entries)?;
    let mut nodes = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for field in Fields::new(message) {
        let (kind, bytes) = match field? {
            (kind @ 1..=3, Value::Bytes(bytes)) => (kind, bytes),
            (5, Value::Bytes(_)) => continue,
            (field, _) => {
                return Err(WireError::Field { field, wire_type: LENGTH_DELIMITED });
            }
        };
        let (mut name, mut digest, mut target) = (None, None, None);
        let mut file = FileKind::Plain;
        for field in Fields::new(bytes) {
            match (kind, field?) {
                (_, (1, value)) => name = Some(FileName::parse(text(value, "name")?)?),
                (1 | 2, (2, Value::Bytes(bytes))) => digest = Some(decode_digest(bytes)?),
                (3, (2, value)) => target = Some(LinkTarget::parse(text(value, "target")?)?),
                (1, (4, Value::Number(value))) => file = FileKind::from(value != 0),
                (1, (6, Value::Bytes(_))) | (3, (4, Value::Bytes(_))) => {}
                (_, (field, Value::Number(_))) => {
                    return Err(WireError::Field { field, wire_type: VARINT });
                }
                (_, (field, Value::Bytes(_))) => {
                    return Err(WireError::Field { field, wire_type: LENGTH_DELIMITED });
                }
            }
        }
        let missing = |what| move || WireError::Missing { what };
        let name = name.ok_or_else(missing("name"))?;
        let digest = || digest.ok_or_else(missing("digest"));
        let node = match kind {
            1 => Node::Leaf(Leaf::File {
                blob: crate::model::digest::BlobDigest(digest()?),
                kind: file,
            }),
            2 => Node::Directory(DirectoryDigest(digest()?)),
            _ => Node::Leaf(Leaf::Symlink(target.ok_or_else(missing("target"))?)),
        };
        nodes.push((name, node));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::{BlobDigest, DigestFunction};
    use crate::model::path::TreePath;
    use crate::model::tree::TreeBuilder;

    fn sample() -> Tree {
        let mut builder = TreeBuilder::new();
        let mut file = |path: &str, bytes: &[u8], kind| {
            let blob = BlobDigest(DigestFunction::Sha256.digest(bytes));
            builder.insert(&TreePath::parse(path).unwrap(), Leaf::File { blob, kind }).unwrap();
        };
        file("a.txt", b"hello\n", FileKind::Plain);
        file("bin/run", b"#!/bin/sh\n", FileKind::Executable);
        file("ü.txt", b"u", FileKind::Plain);
        let link = |target: &str| Leaf::Symlink(LinkTarget::parse(target).unwrap());
        builder.insert(&TreePath::parse("bin/link").unwrap(), link("../a.txt")).unwrap();
        builder.insert(&TreePath::parse("subl").unwrap(), link("sub")).unwrap();
        builder.insert_directory(&TreePath::parse("sub/empty").unwrap()).unwrap();
        builder.finish(DigestFunction::Sha256)
    }

    /// The expected digests were computed by buildbox's `casupload` for the same directory.
    #[test]
    fn digests_are_those_of_another_client() {
        let tree = sample();
        assert_eq!(
            tree.digest().to_string(),
            "4fe17aedb0d51542b2c222cf6c5d58bd7e554acdd5c7c8dfe187e7897c48b34b/326"
        );
        let message = Digest {
            size: encode_tree(&tree).len() as u64,
            hash: Hash::sha256(&encode_tree(&tree)),
        };
        assert_eq!(message.size, 509);
    }

    #[test]
    fn names_are_ordered_by_bytes() {
        let mut builder = TreeBuilder::new();
        for name in ["\u{1F600}", "\u{FFFD}", "é", "a.b", "a-b", "a", "_x", "Z", "B"] {
            let blob = BlobDigest(DigestFunction::Sha256.digest(b""));
            builder
                .insert(&TreePath::parse(name).unwrap(), Leaf::File { blob, kind: FileKind::Plain })
                .unwrap();
        }
        let tree = builder.finish(DigestFunction::Sha256);
        assert_eq!(
            tree.digest().to_string(),
            "664e9e8b632ef260ab268548865b882f08b4d47fb2c0cc0131f0ebf8ea517cd3/668"
        );
    }

    #[test]
    fn a_directory_is_decoded_as_it_was_encoded() {
        let tree = sample();
        let nodes = decode_directory(tree.root().message()).unwrap();
        let names: Vec<_> = nodes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.txt", "ü.txt", "bin", "sub", "subl"]);
        let hinted: Vec<(Hash, FileKind)> =
            hinted_files(&encode_tree(&tree)).flat_map(|(_, files)| files).collect();
        let mut listed: Vec<(Hash, FileKind)> = tree
            .walk()
            .into_iter()
            .filter_map(|(_, node)| match node {
                Node::Leaf(Leaf::File { blob, kind }) => Some((blob.0.hash, *kind)),
                _ => None,
            })
            .collect();
        listed.sort_unstable();
        let mut sorted = hinted;
        sorted.sort_unstable();
        assert_eq!(sorted, listed);
        for length in 0..tree.root().message().len() {
            let _ = decode_directory(&tree.root().message()[..length]);
        }
    }
}
