//! Walking a tree in its canonical order, and what differs between two trees.
//!
//! Model layer. The order is that of the directories' entries: by the bytes of the names, a
//! directory before its contents.

use crate::model::path::TreePath;
use crate::model::tree::{Directory, Leaf, Node, Tree};

/// How much a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What [`Tree::walk`] yields: a path and what is there.
pub type Entry<'a> = (TreePath, &'a Node);

impl Tree {
    /// Every entry, directories included, in canonical order.
    pub fn walk(&self) -> Vec<Entry<'_>> {
        fn visit<'a>(
            prefix: Option<&TreePath>,
            directory: &'a Directory,
            entries: &mut Vec<Entry<'a>>,
        ) {
            for (name, node) in directory.entries() {
                let path = match prefix {
                    Some(prefix) => format!("{prefix}/{name}"),
                    None => name.to_string(),
                };
                // Only a tree from elsewhere could be so deep that a path passes the limit; such a
                // path is of no use.
                let Ok(path) = TreePath::parse(&path) else {
                    continue;
                };
                entries.push((path.clone(), node));
                if let Node::Directory(below) = node {
                    visit(Some(&path), below, entries);
                }
            }
        }
        let mut entries = Vec::new();
        visit(None, self.root(), &mut entries);
        entries
    }

    /// How much it holds; links count for nothing.
    pub fn totals(&self) -> Totals {
        fn visit(directory: &Directory, totals: &mut Totals) {
            for (_, node) in directory.entries() {
                match node {
                    Node::Leaf(Leaf::File { blob, .. }) => {
                        totals.files += 1;
                        totals.bytes += blob.0.size;
                    }
                    Node::Leaf(Leaf::Symlink(_)) => {}
                    Node::Directory(below) => visit(below, totals),
                }
            }
        }
        let mut totals = Totals::default();
        visit(self.root(), &mut totals);
        totals
    }

    /// Every file and link, in canonical order.
    pub fn leaves(&self) -> impl Iterator<Item = (TreePath, &Leaf)> {
        self.walk().into_iter().filter_map(|(path, node)| match node {
            Node::Leaf(leaf) => Some((path, leaf)),
            Node::Directory(_) => None,
        })
    }
}

/// One path at which two trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference<'a> {
    /// Only the first tree has it.
    OnlyFirst(TreePath, &'a Node),
    /// Only the second tree has it.
    OnlySecond(TreePath, &'a Node),
    /// Both have it, but not the same.
    Changed(TreePath, &'a Node, &'a Node),
}

/// Everything in which two trees differ, in canonical order; directories of equal digest are not
/// entered. A directory that one tree lacks is listed with all that is in it.
pub fn differences<'a>(first: &'a Tree, second: &'a Tree) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    compare("", first.root(), second.root(), &mut found);
    found
}

fn child(prefix: &str, name: &str) -> Option<TreePath> {
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    TreePath::parse(&path).ok()
}

fn compare<'a>(
    prefix: &str,
    first: &'a Directory,
    second: &'a Directory,
    found: &mut Vec<Difference<'a>>,
) {
    if first.digest() == second.digest() {
        return;
    }
    let (mut left, mut right) =
        (first.entries().iter().peekable(), second.entries().iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((name, _)), Some((other, _))) => name.cmp(other),
        };
        let one = order.is_le().then(|| left.next()).flatten();
        let two = order.is_ge().then(|| right.next()).flatten();
        let Some(path) = one.or(two).and_then(|(name, _)| child(prefix, name.as_str())) else {
            continue;
        };
        match (one.map(|(_, node)| node), two.map(|(_, node)| node)) {
            (Some(one), None) => only(path, one, found, Difference::OnlyFirst),
            (None, Some(two)) => only(path, two, found, Difference::OnlySecond),
            (Some(Node::Directory(one)), Some(Node::Directory(two))) => {
                compare(path.as_str(), one, two, found)
            }
            (Some(one), Some(two)) if one != two => found.push(Difference::Changed(path, one, two)),
            _ => {}
        }
    }
}

fn only<'a>(
    path: TreePath,
    node: &'a Node,
    found: &mut Vec<Difference<'a>>,
    kind: fn(TreePath, &'a Node) -> Difference<'a>,
) {
    found.push(kind(path.clone(), node));
    if let Node::Directory(directory) = node {
        for (name, below) in directory.entries() {
            if let Some(path) = child(path.as_str(), name.as_str()) {
                only(path, below, found, kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_listed_once_each_in_order() {
        let first =
            Tree::of_texts([("a/same", "1"), ("a/changed", "1"), ("gone/x", "1"), ("kind", "1")]);
        let second =
            Tree::of_texts([("a/same", "1"), ("a/changed", "2"), ("new", "1"), ("kind/y", "1")]);
        let list: Vec<String> = differences(&first, &second)
            .iter()
            .map(|difference| match difference {
                Difference::OnlyFirst(path, _) => format!("-{path}"),
                Difference::OnlySecond(path, _) => format!("+{path}"),
                Difference::Changed(path, ..) => format!("~{path}"),
            })
            .collect();
        assert_eq!(list, ["~a/changed", "-gone", "-gone/x", "~kind", "+new"]);
        assert!(differences(&first, &first).is_empty());
    }

    #[test]
    fn a_walk_names_every_entry_in_canonical_order() {
        let tree = Tree::of_texts([("a/b", ""), ("a-b", ""), ("a.b", "")]);
        let paths: Vec<String> = tree.walk().iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["a", "a/b", "a-b", "a.b"].map(str::to_owned));
    }
}
