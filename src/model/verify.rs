//! Whether a directory is the tree that it should be.
//!
//! Model layer: compares an expected tree with an observed one. In the view of a cache, links
//! become what they lead to and modes are forgotten, on both sides.

use std::collections::BTreeMap;

use crate::model::bytecode::Foreign;
use crate::model::file_kind::FileKind;
use crate::model::path::TreePath;
use crate::model::tree::walk::{self, Difference};
use crate::model::tree::{Leaf, Node, Tree, TreeBuilder};

/// How an observed tree differs from the expected one at a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deviation {
    /// It is not there.
    Missing,
    /// It should not be there.
    Extra,
    /// It holds other bytes.
    Content,
    /// It is executable and should not be, or the other way round.
    Mode,
    /// The link points elsewhere.
    Target,
    /// It is something else: a link instead of a file, a directory instead of a link.
    Kind,
    /// Bytecode that running Python left behind, as far as its header tells.
    Bytecode,
    /// What lies where bytecode does, and is not what running Python leaves behind.
    ForeignBytecode,
    /// It cannot be part of a tree.
    Odd,
}

impl Deviation {
    /// A stable word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Content => "content",
            Self::Mode => "mode",
            Self::Target => "target",
            Self::Kind => "kind",
            Self::Bytecode => "bytecode",
            Self::ForeignBytecode => "foreign-bytecode",
            Self::Odd => "odd",
        }
    }
}

/// One deviation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: String,
    /// What.
    pub deviation: Deviation,
    /// What is there and what should be, in words.
    pub detail: String,
}

/// What a node is, in words.
pub fn describe(node: &Node) -> String {
    match node {
        Node::Directory(_) => "a directory".to_owned(),
        Node::Leaf(Leaf::Symlink(target)) => format!("a link to `{target}`"),
        Node::Leaf(Leaf::File { blob, kind }) => {
            format!(
                "{} {}",
                if kind.is_executable() { "an executable file" } else { "a file" },
                blob
            )
        }
    }
}

/// Everything in which the observed tree differs from the expected one, by path. `judge` looks into
/// files that lie where bytecode does.
pub fn compare(
    expected: &Tree,
    observed: &Tree,
    judge: &dyn Fn(&TreePath) -> Result<(), Foreign>,
) -> Vec<Found> {
    walk::differences(expected, observed)
        .iter()
        .filter_map(|difference| found(difference, judge))
        .collect()
}

fn is_bytecode(path: &TreePath) -> bool {
    path.components().any(|component| component == "__pycache__")
}

fn found(
    difference: &Difference<'_>,
    judge: &dyn Fn(&TreePath) -> Result<(), Foreign>,
) -> Option<Found> {
    let (path, deviation, detail) = match difference {
        Difference::OnlyFirst(path, node) => {
            (path, Deviation::Missing, format!("expected {}", describe(node)))
        }
        Difference::OnlySecond(path, node) if is_bytecode(path) => {
            match node {
                // The directory goes without saying.
                Node::Directory(_) => return None,
                Node::Leaf(Leaf::Symlink(_)) => {
                    (path, Deviation::ForeignBytecode, Foreign::Name.describe().to_owned())
                }
                Node::Leaf(Leaf::File { .. }) => match judge(path) {
                    Ok(()) => (
                        path,
                        Deviation::Bytecode,
                        "made by running Python, as its header says".to_owned(),
                    ),
                    Err(foreign) => {
                        (path, Deviation::ForeignBytecode, foreign.describe().to_owned())
                    }
                },
            }
        }
        Difference::OnlySecond(path, Node::Leaf(Leaf::File { .. }))
            if path.as_str().ends_with(".pyc") =>
        {
            let detail = "bytecode outside of `__pycache__`, which Python runs without any source"
                .to_owned();
            (path, Deviation::ForeignBytecode, detail)
        }
        Difference::OnlySecond(path, node) => {
            (path, Deviation::Extra, format!("found {}", describe(node)))
        }
        Difference::Changed(path, expected, observed) => {
            let deviation = match (expected, observed) {
                (
                    Node::Leaf(Leaf::File { blob, .. }),
                    Node::Leaf(Leaf::File { blob: other, .. }),
                ) if blob == other => Deviation::Mode,
                (Node::Leaf(Leaf::File { .. }), Node::Leaf(Leaf::File { .. })) => {
                    Deviation::Content
                }
                (Node::Leaf(Leaf::Symlink(_)), Node::Leaf(Leaf::Symlink(_))) => Deviation::Target,
                _ => Deviation::Kind,
            };
            (
                path,
                deviation,
                format!("found {}, expected {}", describe(observed), describe(expected)),
            )
        }
    };
    Some(Found { path: path.to_string(), deviation, detail })
}

/// A tree as a cache returns it: links replaced by what they lead to, no file executable, no empty
/// directory. The paths of links that lead out of the tree, whose contents nobody can tell, come
/// beside it.
pub fn as_cached(tree: &Tree) -> (Tree, Vec<TreePath>) {
    let mut files: BTreeMap<TreePath, Leaf> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (path, leaf) in tree.leaves() {
        match leaf {
            Leaf::File { blob, .. } => {
                files.insert(path, Leaf::File { blob: *blob, kind: FileKind::Plain });
            }
            Leaf::Symlink(_) => match follow(tree, &path) {
                Some(Node::Leaf(Leaf::File { blob, .. })) => {
                    files.insert(path, Leaf::File { blob: *blob, kind: FileKind::Plain });
                }
                Some(Node::Directory(directory)) => {
                    for (below, blob) in directory_files(directory, "") {
                        if let Ok(below) = TreePath::parse(&format!("{path}/{below}")) {
                            files.insert(below, Leaf::File { blob, kind: FileKind::Plain });
                        }
                    }
                }
                _ => unknown.push(path),
            },
        }
    }
    let mut builder = TreeBuilder::new();
    for (path, leaf) in files {
        builder.insert(&path, leaf).expect("paths of a tree are unique");
    }
    (builder.finish(tree.function()), unknown)
}

fn directory_files(
    directory: &crate::model::tree::Directory,
    prefix: &str,
) -> Vec<(String, crate::model::digest::BlobDigest)> {
    let mut files = Vec::new();
    for (name, node) in directory.entries() {
        match node {
            Node::Leaf(Leaf::File { blob, .. }) => files.push((format!("{prefix}{name}"), *blob)),
            Node::Directory(below) => {
                files.extend(directory_files(below, &format!("{prefix}{name}/")))
            }
            Node::Leaf(Leaf::Symlink(_)) => {}
        }
    }
    files
}

/// What a link leads to within the tree.
fn follow<'a>(tree: &'a Tree, link: &TreePath) -> Option<&'a Node> {
    let mut path = link.clone();
    // As many as the kernel follows.
    for _ in 0..40 {
        match tree.get(path.as_str())? {
            Node::Leaf(Leaf::Symlink(target)) => path = target.within(&path).ok()?,
            node => return Some(node),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::{BlobDigest, DigestFunction};
    use crate::model::path::LinkTarget;

    fn tree(entries: &[(&str, &str)]) -> Tree {
        let mut builder = TreeBuilder::new();
        for (path, what) in entries {
            let leaf = match what.strip_prefix("-> ") {
                Some(target) => Leaf::Symlink(LinkTarget::parse(target).unwrap()),
                None => {
                    let (bytes, kind) =
                        what.strip_prefix('*').map_or((*what, false), |bytes| (bytes, true));
                    let kind = FileKind::from(kind);
                    Leaf::File {
                        blob: BlobDigest(DigestFunction::Sha256.digest(bytes.as_bytes())),
                        kind,
                    }
                }
            };
            builder.insert(&TreePath::parse(path).unwrap(), leaf).unwrap();
        }
        builder.finish(DigestFunction::Sha256)
    }

    fn names(expected: &[(&str, &str)], observed: &[(&str, &str)]) -> Vec<String> {
        let judge = |path: &TreePath| {
            if path.name() == "x.pyc" { Ok(()) } else { Err(Foreign::Unchecked) }
        };
        compare(&tree(expected), &tree(observed), &judge)
            .iter()
            .map(|found| format!("{} {}", found.deviation.name(), found.path))
            .collect()
    }

    #[test]
    fn every_kind_of_deviation_has_its_name() {
        let expected =
            [("a", "1"), ("b", "1"), ("c", "1"), ("d", "-> a"), ("e", "-> a"), ("f", "1")];
        let observed = [
            ("a", "2"),
            ("b", "*1"),
            ("d", "-> b"),
            ("e", "1"),
            ("f", "1"),
            ("g", "1"),
            ("p/__pycache__/x.pyc", "1"),
            ("p/__pycache__/y.pyc", "1"),
            ("p/__pycache__/z.pyc", "-> x.pyc"),
            ("p/m.pyc", "1"),
        ];
        assert_eq!(
            names(&expected, &observed),
            [
                "content a",
                "mode b",
                "missing c",
                "target d",
                "kind e",
                "extra g",
                "extra p",
                "bytecode p/__pycache__/x.pyc",
                "foreign-bytecode p/__pycache__/y.pyc",
                "foreign-bytecode p/__pycache__/z.pyc",
                "foreign-bytecode p/m.pyc"
            ]
        );
    }

    #[test]
    fn to_a_cache_a_link_is_what_it_leads_to() {
        let original = tree(&[
            ("bin/python", "*x"),
            ("bin/python3", "-> python"),
            ("lib64", "-> lib"),
            ("lib/a", "1"),
            ("out", "-> ../x"),
        ]);
        let returned =
            tree(&[("bin/python", "*x"), ("bin/python3", "*x"), ("lib64/a", "1"), ("lib/a", "*1")]);
        let (cached, unknown) = as_cached(&original);
        assert_eq!(cached, as_cached(&returned).0);
        assert_eq!(unknown.iter().map(ToString::to_string).collect::<Vec<_>>(), ["out"]);
    }
}
