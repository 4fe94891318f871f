//! Where the links of a tree lead, followed as an operating system does: through other links.
//!
//! Model layer. By its text alone `d/link/../x` stays where it is; if `d/link` is a link to the
//! root, it leaves the tree. What is not in the tree cannot be followed, so nothing may go up from
//! there: on a file system that folds case it could be a link after all.

use crate::model::path::LinkTarget;
use crate::model::tree::receive::{OutwardLinks, ReceiveError};
use crate::model::tree::{Directory, Leaf, Node};

/// How many links Linux follows for one path; others follow fewer.
const FOLLOW_LIMIT: usize = 40;
/// The most names that are looked at for all links of a tree.
const STEP_LIMIT: u64 = 20_000_000;

/// Checks that no link leads out of the tree but those that may.
///
/// # Errors
/// Names the first that does.
pub(super) fn check(root: &Directory, links: OutwardLinks<'_>) -> Result<(), ReceiveError> {
    match links {
        OutwardLinks::Allow => Ok(()),
        OutwardLinks::Refuse => {
            Walk { expected: &[], steps: 0, here: vec![Place { name: "", directory: Some(root) }] }
                .directory(root)
        }
        OutwardLinks::Only(expected) => {
            Walk { expected, steps: 0, here: vec![Place { name: "", directory: Some(root) }] }
                .directory(root)
        }
    }
}

/// A directory on the way from the root, or what is in its place.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    /// Nothing where the tree has no directory of that name.
    directory: Option<&'a Directory>,
}

struct Walk<'a> {
    expected: &'a [(crate::model::path::TreePath, LinkTarget)],
    steps: u64,
    /// From the root down.
    here: Vec<Place<'a>>,
}

impl<'a> Walk<'a> {
    fn directory(&mut self, directory: &'a Directory) -> Result<(), ReceiveError> {
        for (name, node) in directory.entries() {
            match node {
                Node::Directory(below) => {
                    self.here.push(Place { name: name.as_str(), directory: Some(below) });
                    self.directory(below)?;
                    self.here.pop();
                }
                Node::Leaf(Leaf::Symlink(target))
                    if !self.is_expected(&self.here, name.as_str(), target)
                        && self.leads_out(target)? =>
                {
                    return Err(ReceiveError::Outward {
                        path: path(&self.here, name.as_str()),
                        target: target.clone(),
                    });
                }
                Node::Leaf(_) => {}
            }
        }
        Ok(())
    }

    /// Whether the link `name` in `places` is one of those that may lead anywhere.
    fn is_expected(&self, places: &[Place<'_>], name: &str, target: &LinkTarget) -> bool {
        self.expected.iter().any(|(link, expected)| {
            expected == target && link.name() == name && link.as_str() == path(places, name)
        })
    }

    /// Whether a link in the directory that we are in leads out of the tree at any step of its way.
    /// The root itself is inside.
    fn leads_out(&mut self, target: &'a LinkTarget) -> Result<bool, ReceiveError> {
        let mut places = self.here.clone();
        // The names that are still to go, the next one last.
        let mut ahead = Vec::new();
        let mut followed = 0;
        if !enter(target, &mut ahead) {
            return Ok(true);
        }
        while let Some(name) = ahead.pop() {
            self.steps += 1;
            if self.steps > STEP_LIMIT {
                return Err(ReceiveError::Tangled);
            }
            let place = *places.last().expect("the root is never left");
            if name == ".." {
                if places.len() == 1 || place.directory.is_none() {
                    return Ok(true);
                }
                places.pop();
                continue;
            }
            match place.directory.and_then(|directory| directory.get(name)) {
                Some(Node::Directory(below)) => places.push(Place { name, directory: Some(below) }),
                Some(Node::Leaf(Leaf::Symlink(next))) => {
                    if ahead.is_empty() && self.is_expected(&places, name, next) {
                        return Ok(false);
                    }
                    followed += 1;
                    if followed > FOLLOW_LIMIT || !enter(next, &mut ahead) {
                        return Ok(true);
                    }
                }
                Some(Node::Leaf(Leaf::File { .. })) | None => {
                    places.push(Place { name, directory: None })
                }
            }
        }
        Ok(false)
    }
}

/// Puts a target's names in front of those that are still to go; says whether it starts inside.
fn enter<'a>(target: &'a LinkTarget, ahead: &mut Vec<&'a str>) -> bool {
    ahead.extend(target.as_str().rsplit('/').filter(|name| !matches!(*name, "" | ".")));
    !target.is_absolute()
}

fn path(places: &[Place<'_>], name: &str) -> String {
    let mut path = String::new();
    for place in &places[1..] {
        path.push_str(place.name);
        path.push('/');
    }
    path + name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::digest::{BlobDigest, DigestFunction};
    use crate::model::file_kind::FileKind;
    use crate::model::path::TreePath;
    use crate::model::tree::{Tree, TreeBuilder};

    /// A tree of links (with a target) and empty files (without); nothing where the paths
    /// contradict each other.
    fn tree(entries: &[(&str, Option<&str>)]) -> Option<Tree> {
        let mut builder = TreeBuilder::new();
        for (path, target) in entries {
            let leaf = match target {
                Some(target) => Leaf::Symlink(LinkTarget::parse(target).unwrap()),
                None => Leaf::File {
                    blob: BlobDigest(DigestFunction::Sha256.digest(b"")),
                    kind: FileKind::Plain,
                },
            };
            builder.insert(&TreePath::parse(path).unwrap(), leaf).ok()?;
        }
        Some(builder.finish(DigestFunction::Sha256))
    }

    fn outward(entries: &[(&str, Option<&str>)]) -> Option<String> {
        match check(tree(entries).unwrap().root(), OutwardLinks::Refuse) {
            Ok(()) => None,
            Err(ReceiveError::Outward { path, .. }) => Some(path),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn links_are_followed_through_links() {
        let inside: &[&[(&str, Option<&str>)]] = &[
            &[("a/b/c", None), ("a/l", Some("b/c"))],
            &[("a/b/c", None), ("a/l", Some("../a/./b//c"))],
            &[("d/e/f", None), ("d/up", Some("..")), ("x", Some("d/up/d/e"))],
            &[("a", Some("nowhere/at/all"))],
            &[("a", Some(".")), ("b", Some("a/a/a/a"))],
        ];
        for entries in inside {
            assert_eq!(outward(entries), None, "{entries:?}");
        }
        let check = |entries: &[(&str, Option<&str>)], link: &str| {
            assert_eq!(outward(entries).as_deref(), Some(link), "{entries:?}")
        };
        check(&[("d/e/f/l", Some("../../..")), ("out", Some("d/e/f/l/../secret"))], "out");
        check(&[("d/a", Some("../d")), ("d/b", Some("a/../.."))], "d/b");
        check(&[("a", Some("..")), ("b", Some("c"))], "a");
        check(&[("a", Some("nowhere/../x"))], "a");
        check(&[("f", None), ("a", Some("f/../x"))], "a");
        check(&[("a", Some("a"))], "a");
        check(&[("a", Some("b")), ("b", Some("/etc"))], "a");
    }

    #[test]
    fn an_expected_link_may_be_reached_and_not_passed() {
        let check = |entries: &[(&str, Option<&str>)]| {
            let expected = [(
                TreePath::parse("bin/python").unwrap(),
                LinkTarget::parse("../../python/bin/python3").unwrap(),
            )];
            super::check(tree(entries).unwrap().root(), OutwardLinks::Only(&expected)).is_ok()
        };
        let python = ("bin/python", Some("../../python/bin/python3"));
        assert!(check(&[python, ("bin/python3", Some("python")), ("x", Some("bin/python3"))]));
        assert!(!check(&[python, ("x", Some("bin/python/../secret"))]));
        assert!(!check(&[python, ("x", Some("bin/python/below"))]));
        assert!(!check(&[("bin/python", Some("../../python/bin/python4"))]));
        assert!(!check(&[("bin/python3", Some("../../python/bin/python3"))]));
    }

    #[test]
    fn tangled_links_are_not_followed_for_ever() {
        // Each link takes 40 links, each of a thousand names.
        let mut entries: BTreeMap<String, String> = BTreeMap::new();
        let around = "d/../".repeat(500);
        for index in 0..600 {
            entries.insert(format!("l{index:03}"), format!("{around}l{:03}", index + 1));
        }
        let mut builder = TreeBuilder::new();
        builder.insert_directory(&TreePath::parse("d").unwrap()).unwrap();
        for (path, target) in &entries {
            builder
                .insert(
                    &TreePath::parse(path).unwrap(),
                    Leaf::Symlink(LinkTarget::parse(target).unwrap()),
                )
                .unwrap();
        }
        // The first is too long a chain, and enough to say no.
        let tree = builder.finish(DigestFunction::Sha256);
        assert!(check(tree.root(), OutwardLinks::Refuse).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// What is accepted here is, on a file system, inside; and what never goes up is accepted.
        #[test]
        fn a_file_system_agrees(
            links in prop::collection::btree_map("[ab](/[ab]){0,2}", "([ab]|\\.\\.|\\.)(/([ab]|\\.\\.)){0,4}", 1..6),
            files in prop::collection::btree_set("[ab](/[ab]){0,2}/c", 1..5),
        ) {
            let entries: Vec<(&str, Option<&str>)> = files
                .iter()
                .map(|file| (file.as_str(), None))
                .chain(links.iter().map(|(link, target)| (link.as_str(), Some(target.as_str()))))
                .collect();
            let Some(tree) = tree(&entries) else { return Ok(()) };
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap().join("outer/root");
            for (path, target) in &entries {
                let path = root.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                match target {
                    Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                    None => std::fs::write(path, "").unwrap(),
                }
            }
            if check(tree.root(), OutwardLinks::Refuse).is_ok() {
                for link in links.keys() {
                    if let Ok(place) = root.join(link).canonicalize() {
                        prop_assert!(place.starts_with(&root), "{link} leads to {}", place.display());
                    }
                }
            } else {
                prop_assert!(links.values().any(|target| target.contains("..")) || links.keys().any(|link| root.join(link).canonicalize().is_err()));
            }
        }
    }
}
