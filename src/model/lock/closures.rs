//! Closures of packages, each said by the others that it holds.
//!
//! Model layer. Written out, closures repeat one another: a wheel's name stands in that of everything that requires it, and
//! a new version changes all of them. So each is said by the names of the largest ones within it, and only by files where
//! no name says them. That is exact whatever the graph looks like, rings too, since only sets are compared; and nothing goes
//! round, since a closure is said only by such as were said before it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Whose closure it is; smaller ranks are said before larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A package, or a package with an extra.
    Package,
    /// What the project requires.
    All,
    /// What the project requires with an extra, or of a group.
    Set,
}

/// What stands in a closure for one package: a file, or the package where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part(usize);

/// The closures for one target.
#[derive(Debug, Default)]
pub(super) struct Closures {
    parts: Vec<String>,
    by_name: BTreeMap<String, Part>,
    closures: Vec<Closure>,
}

#[derive(Debug)]
struct Closure {
    name: String,
    rank: Rank,
    own: Option<Part>,
    parts: Parts,
}

/// A set of parts, a bit for each.
#[derive(Debug, Clone, Default)]
struct Parts(Vec<u64>);

impl Parts {
    fn insert(&mut self, Part(part): Part) {
        if self.0.len() <= part / 64 {
            self.0.resize(part / 64 + 1, 0);
        }
        self.0[part / 64] |= 1 << (part % 64);
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn iter(&self) -> impl Iterator<Item = Part> {
        let bits = |(index, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| (word >> bit) & 1 == 1).map(move |bit| Part(index * 64 + bit))
        };
        self.0.iter().enumerate().flat_map(bits)
    }

    fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    fn is_within(&self, other: &Self) -> bool {
        self.0.iter().enumerate().all(|(index, word)| word & !other.word(index) == 0)
    }

    /// Takes all of another set out; says whether there were any.
    fn subtract(&mut self, other: &Self) -> bool {
        let before = self.len();
        for (index, word) in self.0.iter_mut().enumerate() {
            *word &= !other.word(index);
        }
        self.len() < before
    }
}

impl Closures {
    /// What stands for a package in closures.
    pub(super) fn part(&mut self, name: String) -> Part {
        let next = Part(self.parts.len());
        let part = *self.by_name.entry(name.clone()).or_insert(next);
        if part == next {
            self.parts.push(name);
        }
        part
    }

    /// Its name.
    pub(super) fn name(&self, Part(part): Part) -> &str {
        &self.parts[part]
    }

    /// Adds a closure, and says how many parts it has; `own` is the package's part of it, which every closure that holds the package has.
    pub(super) fn add(
        &mut self,
        name: String,
        rank: Rank,
        own: Option<Part>,
        parts: impl Iterator<Item = Part>,
    ) -> usize {
        let mut all = Parts::default();
        parts.for_each(|part| all.insert(part));
        let count = all.len();
        self.closures.push(Closure { name, rank, own, parts: all });
        count
    }

    /// Each closure without what its package is: names of closures and of parts, sorted.
    pub(super) fn said(mut self) -> BTreeMap<String, Vec<String>> {
        self.closures.sort_by_cached_key(|closure| {
            // A member has no part of its own, so others cannot be said by it.
            (closure.rank, closure.parts.len(), closure.own.is_none(), closure.name.clone())
        });
        let mut said = BTreeMap::new();
        // Those that were said, by the part that a closure has to hold that holds them.
        let mut by_own: BTreeMap<Part, Vec<&Closure>> = BTreeMap::new();
        let mut without: Vec<&Closure> = Vec::new();
        for closure in &self.closures {
            let known = closure.parts.iter().filter_map(|part| by_own.get(&part)).flatten();
            let mut within: Vec<&Closure> = known.copied().collect();
            if closure.rank != Rank::Package {
                within.extend(&without);
            }
            within.retain(|other| other.parts.is_within(&closure.parts));
            within.sort_by_key(|other| {
                (Reverse(other.parts.len()), other.rank != Rank::All, &other.name)
            });
            said.insert(closure.name.clone(), self.say(closure, &within));
            match closure.own {
                Some(own) => by_own.entry(own).or_default().push(closure),
                None => without.push(closure),
            }
        }
        said
    }

    fn say(&self, closure: &Closure, within: &[&Closure]) -> Vec<String> {
        let mut rest = closure.parts.clone();
        if let Some(own) = closure.own.filter(|_| !closure.name.contains('[')) {
            let mut alone = Parts::default();
            alone.insert(own);
            rest.subtract(&alone);
        }
        let mut names: Vec<String> = within
            .iter()
            .filter(|other| rest.subtract(&other.parts))
            .map(|other| other.name.clone())
            .collect();
        names.extend(rest.iter().map(|Part(part)| self.parts[part].clone()));
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What is said of closures, which are given as `NAME=PART…` with a package's own part first.
    fn said(texts: &[&str]) -> Vec<String> {
        let mut closures = Closures::default();
        for text in texts {
            let (name, parts) = text.split_once('=').unwrap();
            let parts: Vec<Part> =
                parts.split_whitespace().map(|part| closures.part(part.to_owned())).collect();
            let (rank, own) = match name {
                "set:all" => (Rank::All, None),
                set if set.starts_with("set:") => (Rank::Set, None),
                _ => (Rank::Package, parts.first().copied()),
            };
            closures.add(name.to_owned(), rank, own, parts.into_iter());
        }
        let line = |(name, said): (String, Vec<String>)| format!("{name}={}", said.join(" "));
        closures.said().into_iter().map(line).collect()
    }

    #[test]
    fn a_closure_is_said_by_the_largest_within_it() {
        let closures =
            ["a=A B C", "a[x]=A B C D", "b=B C", "c=C", "d=D", "set:all=A B C D", "set:g=D"];
        let expected = ["a=b", "a[x]=a d", "b=c", "c=", "d=", "set:all=a[x]", "set:g=d"];
        assert_eq!(said(&closures), expected);
    }

    #[test]
    fn rings_and_other_versions_are_said_by_files() {
        assert_eq!(said(&["a=A B C", "b=B A C", "c=C A B"]), ["a=B C", "b=a", "c=a"]);
        let other = ["a=A1", "set:all=A1", "set:extra_x=A1 B", "set:extra_y=A2"];
        assert_eq!(said(&other), ["a=", "set:all=a", "set:extra_x=B set:all", "set:extra_y=A2"]);
    }

    /// What is reached from a node of a graph, whose edges are bits: those of node 0 come first.
    fn reached(from: usize, edges: u64) -> BTreeSet<usize> {
        let (mut reached, mut next) = (BTreeSet::from([from]), vec![from]);
        while let Some(node) = next.pop() {
            let to = (0..8).filter(|to| (edges >> (node * 8 + to)) & 1 == 1);
            next.extend(to.filter(|to| reached.insert(*to)));
        }
        reached
    }

    proptest! {
        #[test]
        fn what_is_said_is_the_closure(edges: u64, other: u64, set: u8) {
            let edges = edges & other;
            let mut closures = Closures::default();
            let parts: Vec<Part> = (0..8).map(|node| closures.part(format!("P{node}"))).collect();
            let mut expected = BTreeMap::new();
            for node in 0..8 {
                expected.insert(format!("n{node}"), reached(node, edges));
            }
            expected.insert("set:x".to_owned(), (0..8).filter(|node| (set >> node) & 1 == 1).collect());
            for (name, nodes) in &expected {
                let own = name.strip_prefix('n').map(|node| parts[node.parse::<usize>().unwrap()]);
                let rank = if own.is_some() { Rank::Package } else { Rank::Set };
                closures.add(name.clone(), rank, own, nodes.iter().map(|node| parts[*node]));
            }
            let said = closures.said();
            for (name, nodes) in expected {
                let mut found: BTreeSet<usize> = BTreeSet::new();
                let mut open = vec![name];
                // A circle would never end.
                for _ in 0..1000 {
                    let Some(name) = open.pop() else { break };
                    match name.strip_prefix('P') {
                        Some(node) => {
                            found.insert(node.parse().unwrap());
                        }
                        None => {
                            found.extend(name.strip_prefix('n').map(|node| node.parse::<usize>().unwrap()));
                            open.extend(said[&name].iter().cloned());
                        }
                    }
                }
                prop_assert!(open.is_empty());
                prop_assert_eq!(found, nodes);
            }
        }
    }
}
