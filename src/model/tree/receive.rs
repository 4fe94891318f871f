//! Trees out of messages that somebody else wrote: nothing is taken on trust.
//!
//! Model layer. Every directory's digest is computed here, from its bytes; names, order and form
//! must be exactly the canonical ones, and links must stay inside the tree, except those that the
//! caller expects. As a directory is known by its digest there can be no cycle, but a few messages
//! can describe more files than there are atoms: that is counted before anything is listed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::digest::{DigestFunction, DirectoryDigest};
use crate::model::path::{FileName, LinkTarget, PATH_LIMIT, TreePath};
use crate::model::tree::wire::{self, Fields, Value, WireError};
use crate::model::tree::{Directory, Leaf, Node, Tree, links};
use crate::model::workers::{Alone, Workers};

/// The deepest nesting of directories that is accepted.
pub const DEPTH_LIMIT: usize = 256;
/// The most entries, directories included, that a tree may have.
pub const ENTRY_LIMIT: u64 = 1_000_000;
/// The most bytes that the paths of all entries may have together.
pub const TEXT_LIMIT: u64 = 512 << 20;
/// The most bytes that all files may have together: sums of sizes are not to overflow.
const SIZE_LIMIT: u64 = 1 << 50;
/// From how many bytes of messages on the work of reading them is shared.
const SHARED_FROM: usize = 256 << 10;

/// Which links may lead out of the tree.
#[derive(Debug, Clone, Copy)]
pub enum OutwardLinks<'a> {
    /// None.
    Refuse,
    /// Exactly these.
    Only(&'a [(TreePath, LinkTarget)]),
    /// Any: the caller knows the tree by its digest.
    Allow,
}

/// Why messages are no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// A message cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The message has no root, or two.
    #[error("the tree has {0} roots, expected one")]
    Roots(usize),
    /// A directory is not written in the canonical way: unsorted, a name twice, or with properties.
    #[error(
        "the directory {digest} is not in canonical form: names must be sorted and unique, without node properties"
    )]
    NotCanonical {
        /// The digest of its bytes.
        digest: DirectoryDigest,
    },
    /// The root is another one than promised.
    #[error("the tree's root digest is {found}, expected {expected}")]
    Root {
        /// That of the bytes.
        found: DirectoryDigest,
        /// The promised one.
        expected: DirectoryDigest,
    },
    /// A directory that another one names is not there.
    #[error("the directory {digest} is missing")]
    Missing {
        /// Its digest.
        digest: DirectoryDigest,
    },
    /// The nesting is too deep.
    #[error("the tree is more than {DEPTH_LIMIT} directories deep")]
    Depth,
    /// There are too many entries.
    #[error("the tree has more than {ENTRY_LIMIT} entries")]
    Entries,
    /// A path is too long.
    #[error("the tree has a path of more than {PATH_LIMIT} bytes")]
    Length,
    /// All paths together are too long.
    #[error("the tree has paths of more than {TEXT_LIMIT} bytes together")]
    Text,
    /// All files together are too large.
    #[error("the tree has files of more than {SIZE_LIMIT} bytes together")]
    Size,
    /// The links lead through so many others that they are not followed.
    #[error("the tree's links lead through too many others")]
    Tangled,
    /// A link leads out of the tree.
    #[error("the link `{path}` leads out of the tree, to `{target}`")]
    Outward {
        /// The link.
        path: String,
        /// Where it leads.
        target: LinkTarget,
    },
}

/// Reads a `Tree` message. Directories that nothing names are passed over. The tree's directories
/// keep their parts of the message, not copies.
///
/// # Errors
/// Says what is wrong with it.
pub fn decode_tree(
    function: DigestFunction,
    message: &Bytes,
    expected: Option<DirectoryDigest>,
    links: OutwardLinks<'_>,
    workers: &impl Workers,
) -> Result<Tree, ReceiveError> {
    let mut roots = Vec::new();
    let mut messages = Vec::new();
    for field in Fields::new(message) {
        match field? {
            (1, Value::Bytes(root)) if roots.len() < 2 => roots.push(root),
            (1, Value::Bytes(_)) => return Err(ReceiveError::Roots(roots.len() + 1)),
            (2, Value::Bytes(child)) if (messages.len() as u64) < ENTRY_LIMIT => {
                messages.push(child)
            }
            (2, Value::Bytes(_)) => return Err(ReceiveError::Entries),
            (field, Value::Bytes(_)) => {
                return Err(WireError::Field { field, wire_type: 2 }.into());
            }
            (field, Value::Number(_)) => {
                return Err(WireError::Field { field, wire_type: 0 }.into());
            }
        }
    }
    let [root] = roots[..] else {
        return Err(ReceiveError::Roots(roots.len()));
    };
    let found = DirectoryDigest(function.digest(root));
    if let Some(expected) = expected
        && found != expected
    {
        return Err(ReceiveError::Root { found, expected });
    }
    messages.push(root);
    let keep = |part: &[u8]| message.slice_ref(part);
    let (root, keep) = (found, &keep);
    put_together(function, root, links, (&messages, keep), workers)
}

/// Builds a tree from separate `Directory` messages, in any order. Their digests are computed here.
///
/// # Errors
/// A message is missing, wrong, or not acceptable.
pub fn assemble(
    function: DigestFunction,
    root: DirectoryDigest,
    outward: OutwardLinks<'_>,
    messages: &[&[u8]],
    workers: &impl Workers,
) -> Result<Tree, ReceiveError> {
    put_together(function, root, outward, (messages, &Bytes::copy_from_slice), workers)
}

/// Makes a directory's own message of one that is borrowed.
type Keep<'a> = &'a dyn Fn(&[u8]) -> Bytes;

fn put_together(
    function: DigestFunction,
    root: DirectoryDigest,
    outward: OutwardLinks<'_>,
    (messages, keep): (&[&[u8]], Keep<'_>),
    workers: &impl Workers,
) -> Result<Tree, ReceiveError> {
    // Counted before anything is made of them: a few bytes can be an entry.
    let count = messages.iter().try_fold(0, |sum, message| {
        wire::count_nodes(message, ENTRY_LIMIT - sum).map(|count| sum + count)
    });
    count.ok_or(ReceiveError::Entries)?;
    let receive = |index: usize| Received::new(function, messages[index]);
    // Threads cost more than they gain where there is little to read.
    let received = if messages.iter().map(|message| message.len()).sum::<usize>() < SHARED_FROM {
        Alone.map(messages.len(), receive)
    } else {
        workers.map(messages.len(), receive)
    };
    let received = received.into_iter().collect();
    let mut assembly = Assembly { received, known: HashMap::new(), keep };
    let root = assembly.directory(root, 0)?.directory;
    links::check(&root, outward)?;
    Ok(Tree { function, root })
}

/// A directory's message, read by itself.
struct Received<'a> {
    message: &'a [u8],
    /// Sorted by name.
    entries: Result<Vec<(FileName, Node<DirectoryDigest>)>, ReceiveError>,
}

impl<'a> Received<'a> {
    fn new(function: DigestFunction, message: &'a [u8]) -> (DirectoryDigest, Self) {
        let digest = DirectoryDigest(function.digest(message));
        let entries =
            wire::decode_directory(message).map_err(ReceiveError::from).and_then(|mut entries| {
                entries.sort_by(|(one, _), (two, _)| one.cmp(two));
                let unique = entries.windows(2).all(|pair| pair[0].0 != pair[1].0);
                // Written again it must be the same bytes.
                if unique && wire::encode_directory(&entries, |digest| *digest) == message {
                    Ok(entries)
                } else {
                    Err(ReceiveError::NotCanonical { digest })
                }
            });
        (digest, Self { message, entries })
    }
}

/// A directory with what it amounts to when all below is listed.
#[derive(Clone)]
struct Known {
    directory: Arc<Directory>,
    entries: u64,
    height: usize,
    longest: usize,
    /// Bytes of all paths below.
    text: u64,
    /// Bytes of all files below.
    size: u64,
}

struct Assembly<'a> {
    /// Directories that nothing has named so far.
    received: HashMap<DirectoryDigest, Received<'a>>,
    known: HashMap<DirectoryDigest, Known>,
    keep: Keep<'a>,
}

impl Assembly<'_> {
    fn directory(&mut self, digest: DirectoryDigest, depth: usize) -> Result<Known, ReceiveError> {
        if let Some(known) = self.known.get(&digest) {
            return if depth + known.height > DEPTH_LIMIT {
                Err(ReceiveError::Depth)
            } else {
                Ok(known.clone())
            };
        }
        if depth > DEPTH_LIMIT {
            return Err(ReceiveError::Depth);
        }
        let Received { message, entries: received } =
            self.received.remove(&digest).ok_or(ReceiveError::Missing { digest })?;
        let (mut count, mut height, mut longest, mut text, mut size) = (0u64, 0, 0, 0u64, 0u64);
        // Entries stay where they are in memory.
        let entries = received?.into_iter().map(|(name, node)| {
            count += 1;
            let mut length = name.as_str().len();
            text = text.saturating_add(length as u64);
            let node = match node {
                Node::Leaf(leaf) => {
                    if let Leaf::File { blob, .. } = &leaf {
                        size = size.saturating_add(blob.0.size);
                    }
                    Node::Leaf(leaf)
                }
                Node::Directory(below) => {
                    let below = self.directory(below, depth + 1)?;
                    count = count.saturating_add(below.entries);
                    height = height.max(below.height + 1);
                    let here = below.entries.saturating_mul(length as u64 + 1);
                    text = text.saturating_add(below.text).saturating_add(here);
                    size = size.saturating_add(below.size);
                    length += 1 + below.longest;
                    Node::Directory(below.directory)
                }
            };
            longest = longest.max(length);
            Ok((name, node))
        });
        let entries = entries.collect::<Result<Vec<_>, ReceiveError>>()?;
        if count > ENTRY_LIMIT {
            return Err(ReceiveError::Entries);
        }
        if size > SIZE_LIMIT {
            return Err(ReceiveError::Size);
        }
        if text > TEXT_LIMIT {
            return Err(ReceiveError::Text);
        }
        if longest > PATH_LIMIT {
            return Err(ReceiveError::Length);
        }
        let message = (self.keep)(message);
        let directory = Arc::new(Directory { entries: entries.into(), digest, message });
        let known = Known { directory, entries: count, height, longest, text, size };
        self.known.insert(digest, known.clone());
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::{BlobDigest, Digest};
    use crate::model::file_kind::FileKind;
    use crate::model::tree::TreeBuilder;
    use crate::model::tree::wire::{encode_tree, put_bytes, put_number};

    const FUNCTION: DigestFunction = DigestFunction::Sha256;

    fn blob(bytes: &[u8]) -> Digest {
        FUNCTION.digest(bytes)
    }

    fn node(kind: u64, name: &str, digest: Digest) -> Vec<u8> {
        let mut inner = Vec::new();
        put_bytes(&mut inner, 1, name.as_bytes());
        put_bytes(&mut inner, 2, &wire::encode_digest(digest));
        let mut outer = Vec::new();
        put_bytes(&mut outer, kind, &inner);
        outer
    }

    fn link(name: &str, target: &str) -> Vec<u8> {
        let mut inner = Vec::new();
        put_bytes(&mut inner, 1, name.as_bytes());
        put_bytes(&mut inner, 2, target.as_bytes());
        let mut outer = Vec::new();
        put_bytes(&mut outer, 3, &inner);
        outer
    }

    fn message(root: &[u8], children: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, root);
        for child in children {
            put_bytes(&mut out, 2, child);
        }
        out
    }

    fn own(message: &[u8]) -> Bytes {
        Bytes::copy_from_slice(message)
    }

    fn decode(message: &[u8]) -> Result<Tree, ReceiveError> {
        decode_tree(FUNCTION, &own(message), None, OutwardLinks::Refuse, &Alone)
    }

    #[test]
    fn a_tree_is_received_as_it_was_sent() {
        let mut builder = TreeBuilder::new();
        for (path, executable) in
            [("a/b/c", false), ("a/d", true), ("same/b/c", false), ("ü", false)]
        {
            let leaf =
                Leaf::File { blob: BlobDigest(blob(b"x")), kind: FileKind::from(executable) };
            builder.insert(&TreePath::parse(path).unwrap(), leaf).unwrap();
        }
        builder
            .insert(
                &TreePath::parse("a/l").unwrap(),
                Leaf::Symlink(LinkTarget::parse("../ü").unwrap()),
            )
            .unwrap();
        let tree = builder.finish(FUNCTION);
        let bytes = encode_tree(&tree);
        assert_eq!(decode(&bytes).as_ref(), Ok(&tree));
        assert_eq!(
            decode_tree(FUNCTION, &own(&bytes), Some(tree.digest()), OutwardLinks::Refuse, &Alone),
            Ok(tree)
        );
        for length in 0..bytes.len() {
            let _ = decode(&bytes[..length]);
        }
    }

    #[test]
    fn lies_are_refused() {
        let check = |message: Vec<u8>, expected: &str| {
            let error = decode(&message).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let file = |name: &str| node(1, name, blob(b"x"));
        for name in ["..", ".", "", "a/b", "/a", "a\0b", "a\\b"] {
            assert!(decode(&message(&file(name), &[])).is_err(), "{name:?}");
        }
        check(message(&[file("b"), file("a")].concat(), &[]), "not in canonical form");
        check(message(&[file("a"), file("a")].concat(), &[]), "not in canonical form");
        check(
            message(&[file("a"), node(2, "a", blob(b""))].concat(), &[b""]),
            "not in canonical form",
        );
        check(message(&node(2, "a", blob(b"not there")), &[]), "is missing");
        check(message(&link("a", "../x"), &[]), "leads out of the tree");
        check(message(&link("a", "/etc/passwd"), &[]), "leads out of the tree");
        check(message(&link("a", "b/../../x"), &[]), "leads out of the tree");
        check(Vec::new(), "0 roots");
        check([message(b"", &[]), message(b"", &[])].concat(), "2 roots");
        let mut properties = node(1, "a", blob(b"x"));
        put_bytes(&mut properties, 5, b"\x0a\x00");
        check(message(&properties, &[]), "not in canonical form");
        let mut unknown = file("a");
        put_number(&mut unknown, 9, 1);
        check(message(&unknown, &[]), "unexpected field");
        let wrong = DirectoryDigest(blob(b"another"));
        assert!(matches!(
            decode_tree(
                FUNCTION,
                &own(&message(b"", &[])),
                Some(wrong),
                OutwardLinks::Refuse,
                &Alone
            ),
            Err(ReceiveError::Root { .. })
        ));
    }

    #[test]
    fn messages_of_too_many_entries_are_refused_before_they_are_read() {
        let many = usize::try_from(ENTRY_LIMIT).unwrap() + 1;
        // Empty directories of two bytes each.
        let children = [message(b"", &[]), [0x12, 0].repeat(many)].concat();
        assert_eq!(decode(&children), Err(ReceiveError::Entries));
        // Links of eight bytes each.
        let links = link("a", "b").repeat(many);
        assert_eq!(decode(&message(&links, &[])), Err(ReceiveError::Entries));
        assert_eq!(wire::decode_directory(&links), Err(WireError::Entries));
        let roots = [0x0a, 0].repeat(many);
        assert_eq!(decode(&roots), Err(ReceiveError::Roots(3)));
    }

    #[test]
    fn sizes_that_no_files_have_are_refused() {
        let file = |name: &str, size: u64| node(1, name, Digest { size, ..blob(b"x") });
        assert!(matches!(decode(&message(&file("a", u64::MAX), &[])), Err(ReceiveError::Wire(_))));
        let two = [file("a", SIZE_LIMIT / 2 + 1), file("b", SIZE_LIMIT / 2 + 1)].concat();
        assert_eq!(decode(&message(&two, &[])), Err(ReceiveError::Size));
        assert_eq!(decode(&message(&file("a", i64::MAX as u64), &[])), Err(ReceiveError::Size));
    }

    #[test]
    fn messages_of_too_long_paths_are_refused() {
        // Levels of long names, each with eight copies of the next: too little to be too many
        // entries, too much to be listed.
        let name = |index: usize| format!("{index}{}", "x".repeat(250));
        let mut levels = vec![node(1, "x", blob(b""))];
        for _ in 0..5 {
            let below = blob(levels.last().unwrap());
            levels.push((0..8).flat_map(|index| node(2, &name(index), below)).collect());
        }
        let wide: Vec<u8> = {
            let below = blob(levels.last().unwrap());
            (0..8).flat_map(|index| node(2, &name(index), below)).collect()
        };
        levels.push(wide);
        let root = levels.pop().unwrap();
        let children: Vec<&[u8]> = levels.iter().map(Vec::as_slice).collect();
        assert_eq!(decode(&message(&root, &children)), Err(ReceiveError::Text));
    }

    #[test]
    fn links_out_of_the_tree_are_accepted_only_where_they_are_expected() {
        let bin = link("python", "../../python/bin/python3");
        let bytes = message(&node(2, "bin", blob(&bin)), &[&bin]);
        let expected = |path: &str, target: &str| {
            [(TreePath::parse(path).unwrap(), LinkTarget::parse(target).unwrap())]
        };
        let accepted = |links: OutwardLinks<'_>| {
            decode_tree(FUNCTION, &own(&bytes), None, links, &Alone).is_ok()
        };
        assert!(!accepted(OutwardLinks::Refuse));
        assert!(accepted(OutwardLinks::Only(&expected("bin/python", "../../python/bin/python3"))));
        assert!(!accepted(OutwardLinks::Only(&expected("bin/python", "../../python/bin/python4"))));
        assert!(!accepted(OutwardLinks::Only(&expected(
            "bin/python3",
            "../../python/bin/python3"
        ))));
        assert!(accepted(OutwardLinks::Allow));
    }

    #[test]
    fn a_few_messages_that_describe_too_much_are_refused_at_once() {
        // Every level holds the next one twice.
        let mut levels = vec![node(1, "x", blob(b""))];
        for _ in 0..200 {
            let below = blob(levels.last().unwrap());
            levels.push([node(2, "a", below), node(2, "b", below)].concat());
        }
        let root = levels.pop().unwrap();
        let children: Vec<&[u8]> = levels.iter().map(Vec::as_slice).collect();
        assert_eq!(decode(&message(&root, &children)), Err(ReceiveError::Entries));
        let mut levels = vec![node(1, "x", blob(b""))];
        for _ in 0..2 * DEPTH_LIMIT {
            levels.push(node(2, "a", blob(levels.last().unwrap())));
        }
        let root = levels.pop().unwrap();
        let children: Vec<&[u8]> = levels.iter().map(Vec::as_slice).collect();
        assert_eq!(decode(&message(&root, &children)), Err(ReceiveError::Depth));
    }
}
