//! The paths of all claims together: found by one pass over them in their order.

use std::collections::BTreeSet;

use crate::model::path::TreePath;
use crate::model::plan::claims::Claim;

/// How many paths are looked at as one piece of work.
const PORTION: usize = 1024;

/// Every path that the tree would hold, whoever wants it.
pub(super) struct Paths<'claims> {
    /// Sorted by path.
    claims: &'claims [Claim],
    /// Each once and with a slash at its end, sorted.
    directories: Vec<&'claims str>,
}

/// The directories of paths that are sorted, each once and with a slash at its end, sorted.
pub(super) fn directories<'paths>(
    paths: impl Iterator<Item = &'paths TreePath>,
) -> Vec<&'paths str> {
    let mut directories = Vec::new();
    let mut last = "";
    for path in paths {
        let (path, name) = (path.as_str(), path.name());
        let directory = &path[..path.len() - name.len()];
        if directory == last {
            continue;
        }
        // Whatever lies in one directory lies together: those of the path before are known, and no
        // others of this one are.
        let known = std::iter::zip(directory.bytes(), last.bytes())
            .take_while(|(one, other)| one == other)
            .count();
        directories.extend(
            memchr::memchr_iter(b'/', directory.as_bytes())
                .filter(|&slash| slash >= known)
                .map(|slash| &path[..=slash]),
        );
        last = directory;
    }
    directories
}

impl<'claims> Paths<'claims> {
    /// Those of claims that are sorted by path.
    pub fn new(claims: &'claims [Claim]) -> Self {
        Self { claims, directories: directories(claims.iter().map(|claim| &claim.path)) }
    }

    /// The claims of a path, and those below it.
    pub fn at(&self, path: &str) -> (&'claims [Claim], &'claims [Claim]) {
        let directory = format!("{path}/");
        let (file, below) = (self.from(path), self.from(&directory));
        let end = |claims: &[Claim], belongs: &dyn Fn(&str) -> bool| {
            claims.partition_point(|claim| belongs(claim.path.as_str()))
        };
        (
            &file[..end(file, &|other| other == path)],
            &below[..end(below, &|other| other.starts_with(&directory))],
        )
    }

    /// The claims that are not before a text.
    fn from(&self, text: &str) -> &'claims [Claim] {
        &self.claims[self.claims.partition_point(|claim| claim.path.as_str() < text)..]
    }

    /// Whether a path is a file or a directory.
    pub fn contains(&self, path: &str) -> bool {
        let is_file = self.claims.binary_search_by(|claim| claim.path.as_str().cmp(path)).is_ok();
        is_file || self.directories.binary_search(&&*format!("{path}/")).is_ok()
    }

    /// The paths that are files and directories.
    pub fn clashes(&self) -> BTreeSet<&'claims str> {
        let mut clashes = BTreeSet::new();
        // Between a path and what lies below it, there are only paths that begin with it: `a`,
        // `a-b`, `a/c`.
        let mut begun: Vec<&str> = Vec::new();
        for claim in self.claims {
            let path = claim.path.as_str();
            while begun.pop_if(|file| *file == path || !path.starts_with(*file)).is_some() {}
            clashes.extend(begun.iter().filter(|file| path.as_bytes()[file.len()] == b'/'));
            begun.push(path);
        }
        clashes
    }

    /// How many portions there are of files, one for each claim, and directories.
    pub fn portions(&self) -> usize {
        (self.claims.len() + self.directories.len()).div_ceil(PORTION)
    }

    /// One of these portions.
    pub fn portion(&self, portion: usize) -> impl Iterator<Item = &'claims str> {
        let (start, end) = (portion * PORTION, (portion + 1) * PORTION);
        let files = self.claims.len();
        let claims = &self.claims[start.min(files)..end.min(files)];
        let within = |at: usize| at.saturating_sub(files).min(self.directories.len());
        let directories = self.directories[within(start)..within(end)].iter();
        let directories = directories.map(|directory| &directory[..directory.len() - 1]);
        claims.iter().map(|claim| claim.path.as_str()).chain(directories)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::path::{LinkTarget, TreePath};
    use crate::model::plan::PlannedNode;
    use crate::model::plan::claims::Origin;

    fn claims(paths: &[String]) -> Vec<Claim> {
        let claim = |path: &String| Claim {
            path: TreePath::parse(path).unwrap(),
            origin: Origin::Interpreter { file: 0 },
            node: PlannedNode::Symlink(LinkTarget::parse("x").unwrap()),
        };
        let mut claims: Vec<Claim> = paths.iter().map(claim).collect();
        claims.sort_by(|left, right| left.path.cmp(&right.path));
        claims
    }

    proptest! {
        #[test]
        fn paths_know_what_each_path_alone_says(paths in proptest::collection::vec("[a-]{1,2}(/[a.0-]{1,2}b?){0,3}", 0..30)) {
            prop_assume!(paths.iter().all(|path| TreePath::parse(path).is_ok()));
            let claims = claims(&paths);
            let found = Paths::new(&claims);
            let files: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
            let directories: BTreeSet<&str> = claims.iter().flat_map(|claim| claim.path.ancestors()).collect();
            let with_slash: Vec<String> = directories.iter().map(|path| format!("{path}/")).collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(&found.directories, &with_slash);
            prop_assert_eq!(found.clashes(), files.intersection(&directories).copied().collect());
            for path in files.union(&directories).copied().chain(["-", "a", "ab/c"]) {
                prop_assert_eq!(found.contains(path), files.contains(path) || directories.contains(path));
                let (at, below) = found.at(path);
                prop_assert_eq!(at.len(), paths.iter().filter(|other| *other == path).count());
                let directory = format!("{path}/");
                prop_assert_eq!(below.len(), paths.iter().filter(|other| other.starts_with(&directory)).count());
                prop_assert!(at.iter().all(|claim| claim.path.as_str() == path));
                prop_assert!(below.iter().all(|claim| claim.path.as_str().starts_with(&directory)));
            }
        }
    }
}
