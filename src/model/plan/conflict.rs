//! Who gets a path that several claim, decided before anything is written and whatever the order of work.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::layout::Layout;
use crate::model::path::TreePath;
use crate::model::plan::claims::{Claim, Origin, Owner};
use crate::model::plan::problem::{Claimant, PlanProblem, PlanWarning};
use crate::model::plan::{Planned, PlannedNode};
use crate::model::portable::fold;
use crate::model::spec::{Override, Policy, Spec};
use crate::model::wheel::WheelManifest;

/// What the sources are called in messages.
pub(super) struct Names<'a> {
    pub spec: &'a Spec,
    pub wheels: &'a [&'a WheelManifest],
}

impl Names<'_> {
    /// Somebody who wants a path.
    pub fn claimant(&self, origin: &Origin, node: Option<&PlannedNode>) -> Claimant {
        let wheel = |index: usize| self.wheels[index].file.as_str().to_owned();
        let (name, detail) = match origin {
            Origin::Member { wheel: index, member } => (wheel(*index), self.wheels[*index].members[*member].path.to_string()),
            Origin::Generated { generator, wheel: Some(index) } => (wheel(*index), format!("generated: {}", generator.name())),
            Origin::Generated { generator, wheel: None } => ("the environment".to_owned(), format!("generated: {}", generator.name())),
            Origin::Source { source, .. } => ("the sources".to_owned(), self.spec.sources[*source].path.to_string()),
            Origin::Interpreter { .. } => ("the interpreter".to_owned(), "copied in".to_owned()),
        };
        let content = node.map(|node| match node {
            PlannedNode::File { sha256, size, .. } => format!("sha256 {}…, {size} bytes", &sha256.to_hex()[..12]),
            PlannedNode::Symlink(target) => format!("link to {target}"),
        });
        Claimant { name, detail, content }
    }

    fn of_claim(&self, claim: &Claim) -> Claimant {
        self.claimant(&claim.origin, Some(&claim.node))
    }

    /// A key that does not depend on the order of the spec.
    fn key(&self, claim: &Claim) -> (Owner, String, Origin) {
        match claim.owner {
            Owner::Wheel(index) => (Owner::Wheel(0), self.wheels[index].file.as_str().to_owned(), claim.origin.clone()),
            owner => (owner, String::new(), claim.origin.clone()),
        }
    }
}

/// A path with its winner.
pub(super) struct Resolved {
    pub planned: Planned,
    /// The wheels whose RECORD lists the path.
    pub recorded_by: Vec<usize>,
}

/// Decides every path.
pub(super) fn resolve(
    mut claims: Vec<Claim>,
    layout: &Layout,
    names: &Names<'_>,
    problems: &mut Vec<PlanProblem>,
    warnings: &mut Vec<PlanWarning>,
) -> BTreeMap<TreePath, Resolved> {
    // Stable: claims of one path keep the order of the spec.
    claims.sort_by(|left, right| left.path.cmp(&right.path));
    check_directories(&claims, names, problems);
    check_folding(&claims, names, problems, warnings);
    let mut resolved = Vec::with_capacity(claims.len());
    let mut claims = claims.into_iter().peekable();
    while let Some(first) = claims.next() {
        let path = first.path.clone();
        let mut group = vec![first];
        while let Some(next) = claims.next_if(|claim| claim.path == path) {
            group.push(next);
        }
        let foreign = |claim: &&Claim| !matches!(claim.owner, Owner::Environment | Owner::Interpreter);
        if let Some(reason) = layout.reserved(&path)
            && group.iter().any(|claim| foreign(&claim))
        {
            let claimants = group.iter().filter(foreign).map(|claim| names.of_claim(claim)).collect();
            problems.push(PlanProblem::Reserved { path: path.clone(), reason, claimants });
            continue;
        }
        if let Some(winner) = decide(&path, group, names, problems, warnings) {
            resolved.push((path, winner));
        }
    }
    resolved.into_iter().collect()
}

fn same(left: &PlannedNode, right: &PlannedNode) -> bool {
    match (left, right) {
        (PlannedNode::File { sha256, size, .. }, PlannedNode::File { sha256: other, size: length, .. }) => {
            sha256 == other && size == length
        }
        (PlannedNode::Symlink(target), PlannedNode::Symlink(other)) => target == other,
        _ => false,
    }
}

fn decide(
    path: &TreePath,
    mut group: Vec<Claim>,
    names: &Names<'_>,
    problems: &mut Vec<PlanProblem>,
    warnings: &mut Vec<PlanWarning>,
) -> Option<Resolved> {
    let different = group.iter().any(|claim| !same(&claim.node, &group[0].node));
    let mut decided = false;
    let winner = if different {
        decided = true;
        let policy = names.spec.flags.conflict_overrides.get(path).or_else(|| {
            let ancestors: Vec<&str> = path.ancestors().collect();
            ancestors.iter().rev().find_map(|ancestor| names.spec.flags.conflict_overrides.get(*ancestor))
        });
        let claimants = |group: &[Claim]| {
            let mut claims: Vec<&Claim> = group.iter().collect();
            claims.sort_by_key(|claim| names.key(claim));
            claims.into_iter().map(|claim| names.of_claim(claim)).collect()
        };
        match policy.unwrap_or(&Override::Policy(names.spec.flags.conflicts)) {
            Override::Policy(Policy::Error) => {
                problems.push(PlanProblem::Conflict { path: path.clone(), claimants: claimants(&group) });
                return None;
            }
            Override::Policy(Policy::First) => 0,
            Override::Policy(Policy::Last) => group.len() - 1,
            Override::Distribution(name) => {
                let found = group.iter().position(|claim| claim.owner_wheel().is_some_and(|wheel| names.wheels[wheel].name() == name));
                match found {
                    Some(index) => index,
                    None => {
                        let distribution = name.to_string();
                        problems.push(PlanProblem::OverrideWithoutClaim { path: path.clone(), distribution, claimants: claimants(&group) });
                        return None;
                    }
                }
            }
        }
    } else {
        // Whoever is named as the origin must not depend on the order of the spec.
        (0..group.len()).min_by_key(|&index| names.key(&group[index])).unwrap_or(0)
    };
    let mut winner = group.swap_remove(winner);
    group.sort_by_key(|claim| names.key(claim));
    let (identical, losers): (Vec<Claim>, Vec<Claim>) = group.into_iter().partition(|claim| same(&claim.node, &winner.node));
    if let PlannedNode::File { executable, .. } = &mut winner.node {
        *executable |= identical.iter().any(|claim| matches!(claim.node, PlannedNode::File { executable: true, .. }));
    }
    if decided {
        let losers = losers.iter().map(|claim| names.of_claim(claim)).collect();
        warnings.push(PlanWarning::Decided { path: path.clone(), winner: names.of_claim(&winner), losers });
    }
    let recorded_by = std::iter::once(&winner).chain(&identical).filter_map(Claim::owner_wheel).collect();
    let origins = |claims: Vec<Claim>| claims.into_iter().map(|claim| claim.origin).collect();
    let planned = Planned { node: winner.node, origin: winner.origin, same: origins(identical), losers: origins(losers) };
    Some(Resolved { planned, recorded_by })
}

/// No path may be a file and a directory; no policy helps there.
fn check_directories(claims: &[Claim], names: &Names<'_>, problems: &mut Vec<PlanProblem>) {
    let mut directories: HashSet<&str> = HashSet::new();
    for claim in claims {
        let mut rest = claim.path.as_str();
        while let Some((parent, _)) = rest.rsplit_once('/') {
            if !directories.insert(parent) {
                break;
            }
            rest = parent;
        }
    }
    let mut reported = HashSet::new();
    for claim in claims.iter().filter(|claim| directories.contains(claim.path.as_str())) {
        if !reported.insert(claim.path.as_str()) {
            continue;
        }
        let as_file = claims.iter().filter(|other| other.path == claim.path);
        let mut claimants: Vec<Claimant> = as_file.map(|claim| names.of_claim(claim)).collect();
        let below = claims.iter().filter(|other| other.path != claim.path && other.path.starts_with(claim.path.as_str()));
        claimants.extend(below.min_by_key(|claim| names.key(claim)).map(|claim| names.of_claim(claim)));
        claimants.sort();
        problems.push(PlanProblem::FileOverDirectory { path: claim.path.clone(), claimants });
    }
}

/// Names, of files and of directories, that a file system could take for one.
fn check_folding(claims: &[Claim], names: &Names<'_>, problems: &mut Vec<PlanProblem>, warnings: &mut Vec<PlanWarning>) {
    let mut seen: HashMap<Cow<'_, str>, &str> = HashMap::with_capacity(claims.len());
    let mut clashes: BTreeMap<&str, &str> = BTreeMap::new();
    for claim in claims {
        let mut path = claim.path.as_str();
        // Once a directory has been seen in this very spelling, so have those above it.
        loop {
            match seen.entry(fold(path)) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(path);
                }
                std::collections::hash_map::Entry::Occupied(entry) if *entry.get() == path => break,
                std::collections::hash_map::Entry::Occupied(entry) => {
                    clashes.insert(path, entry.get());
                }
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
    }
    for (path, other) in &clashes {
        // Below two directories that clash, everything else would clash too: name the directories only.
        let parents = |path: &str| path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        if parents(path).is_some_and(|parent| Some(&parent) != parents(other).as_ref()) {
            continue;
        }
        let mut paths = vec![(*path).to_owned(), (*other).to_owned()];
        paths.sort();
        if names.spec.interpreter.platform.os().folds_names() {
            problems.push(PlanProblem::NamesFold { paths });
        } else {
            warnings.push(PlanWarning::NamesFold { paths });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::portable::fold;

    #[test]
    fn names_fold_as_file_systems_compare_them() {
        let check = |left: &str, right: &str, equal: bool| assert_eq!(fold(left) == fold(right), equal, "{left} {right}");
        check("README", "readme", true);
        check("\u{e9}", "e\u{301}", true);
        check("\u{c9}", "e\u{301}", true);
        check("stra\u{df}e", "STRASSE", true);
        check("a", "b", false);
    }
}
