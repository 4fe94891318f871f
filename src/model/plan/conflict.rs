//! Who gets a path that several claim, decided before anything is written and whatever the order of
//! work.

use crate::model::file_kind::FileKind;
use crate::model::layout::Layout;
use crate::model::path::TreePath;
use crate::model::plan::claims::{Claim, Origin, WheelIndex};
use crate::model::plan::paths::Paths;
use crate::model::plan::problem::{Claimant, PlanProblem, PlanWarning};
use crate::model::plan::{Planned, PlannedNode};
use crate::model::portable::fold;
use crate::model::spec::{Override, Policy, Spec};
use crate::model::wheel::WheelManifest;
use crate::model::workers::Workers;

/// What the sources are called in messages.
pub(super) struct Names<'a> {
    pub spec: &'a Spec,
    pub wheels: &'a [&'a WheelManifest],
}

impl Names<'_> {
    /// Somebody who wants a path.
    pub fn claimant(&self, origin: &Origin, node: Option<&PlannedNode>) -> Claimant {
        let wheel = |index: WheelIndex| self.wheels[index.0].file.as_str().to_owned();
        let (name, detail) = match origin {
            Origin::Member { wheel: index, member } => {
                (wheel(*index), self.wheels[index.0].members[*member].path.to_string())
            }
            Origin::Generated { generator, wheel: Some(index) } => {
                (wheel(*index), format!("generated: {}", generator.name()))
            }
            Origin::Generated { generator, wheel: None } => {
                ("the environment".to_owned(), format!("generated: {}", generator.name()))
            }
            Origin::Source { source, .. } => {
                ("the sources".to_owned(), self.spec.sources[*source].path.to_string())
            }
            Origin::Interpreter { .. } => ("the interpreter".to_owned(), "copied in".to_owned()),
        };
        let content = node.map(|node| match node {
            PlannedNode::File { sha256, size, .. } => {
                format!("sha256 {}…, {size} bytes", &sha256.to_hex()[..12])
            }
            PlannedNode::Symlink(target) => format!("link to {target}"),
        });
        Claimant { name, detail, content }
    }

    fn of_claim(&self, claim: &Claim) -> Claimant {
        self.claimant(&claim.origin, Some(&claim.node))
    }

    /// A key that does not depend on the order of the spec.
    fn key(&self, claim: &Claim) -> (u8, &str, Origin) {
        let (rank, wheel) = match &claim.origin {
            Origin::Generated { wheel: None, .. } => (0, None),
            Origin::Interpreter { .. } => (1, None),
            Origin::Member { wheel, .. } | Origin::Generated { wheel: Some(wheel), .. } => {
                (2, Some(*wheel))
            }
            Origin::Source { .. } => (3, None),
        };
        (rank, wheel.map_or("", |wheel| self.wheels[wheel.0].file.as_str()), claim.origin.clone())
    }
}

/// Decides every path. The result is sorted by path.
pub(super) fn resolve(
    mut claims: Vec<Claim>,
    layout: &Layout,
    names: &Names<'_>,
    workers: &impl Workers,
    (problems, warnings): (&mut Vec<PlanProblem>, &mut Vec<PlanWarning>),
) -> Vec<(TreePath, Planned)> {
    // Stable: claims of one path keep the order of the spec.
    claims.sort_by(|left, right| left.path.cmp(&right.path));
    let paths = Paths::new(&claims);
    check_directories(&paths, names, problems);
    check_folding(&paths, names, workers, problems, warnings);
    let mut resolved = Vec::with_capacity(claims.len());
    let mut claims = claims.into_iter().peekable();
    while let Some(first) = claims.next() {
        let mut others = Vec::new();
        while let Some(next) = claims.next_if(|claim| claim.path == first.path) {
            others.push(next);
        }
        let foreign = |claim: &&Claim| {
            !matches!(
                claim.origin,
                Origin::Generated { wheel: None, .. } | Origin::Interpreter { .. }
            )
        };
        if let Some(reason) = layout.reserved(&first.path)
            && std::iter::once(&first).chain(&others).any(|claim| foreign(&claim))
        {
            let group = std::iter::once(&first).chain(&others);
            let claimants = group.filter(foreign).map(|claim| names.of_claim(claim)).collect();
            problems.push(PlanProblem::Reserved { path: first.path.clone(), reason, claimants });
        } else if others.is_empty() {
            let Claim { path, origin, node, .. } = first;
            resolved.push((
                path,
                Planned { node, origin, same: Box::default(), losers: Box::default() },
            ));
        } else {
            let path = first.path.clone();
            others.insert(0, first);
            if let Some(winner) = decide(&path, others, names, problems, warnings) {
                resolved.push((path, winner));
            }
        }
    }
    resolved
}

fn same(left: &PlannedNode, right: &PlannedNode) -> bool {
    match (left, right) {
        (
            PlannedNode::File { sha256, size, .. },
            PlannedNode::File { sha256: other, size: length, .. },
        ) => sha256 == other && size == length,
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
) -> Option<Planned> {
    let different = group.iter().any(|claim| !same(&claim.node, &group[0].node));
    let mut decided = false;
    let winner = if different {
        decided = true;
        let policy = names.spec.flags.conflict_overrides.get(path).or_else(|| {
            let ancestors: Vec<&str> = path.ancestors().collect();
            ancestors
                .iter()
                .rev()
                .find_map(|ancestor| names.spec.flags.conflict_overrides.get(*ancestor))
        });
        let claimants = |group: &[Claim]| {
            let mut claims: Vec<&Claim> = group.iter().collect();
            claims.sort_by_key(|claim| names.key(claim));
            claims.into_iter().map(|claim| names.of_claim(claim)).collect()
        };
        match policy.unwrap_or(&Override::Policy(names.spec.flags.conflicts)) {
            Override::Policy(Policy::Error) => {
                problems.push(PlanProblem::Conflict {
                    path: path.clone(),
                    claimants: claimants(&group),
                });
                return None;
            }
            Override::Policy(Policy::First) => 0,
            Override::Policy(Policy::Last) => group.len() - 1,
            Override::Distribution(name) => {
                let found = group.iter().position(|claim| {
                    claim.origin.wheel().is_some_and(|wheel| names.wheels[wheel.0].name() == name)
                });
                match found {
                    Some(index) => index,
                    None => {
                        let distribution = name.to_string();
                        problems.push(PlanProblem::OverrideWithoutClaim {
                            path: path.clone(),
                            distribution,
                            claimants: claimants(&group),
                        });
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
    let (identical, losers): (Vec<Claim>, Vec<Claim>) =
        group.into_iter().partition(|claim| same(&claim.node, &winner.node));
    if let PlannedNode::File { kind, .. } = &mut winner.node {
        let is_executable = |claim: &Claim| {
            matches!(claim.node, PlannedNode::File { kind: FileKind::Executable, .. })
        };
        if identical.iter().any(is_executable) {
            *kind = FileKind::Executable;
        }
    }
    if decided {
        let losers = losers.iter().map(|claim| names.of_claim(claim)).collect();
        warnings.push(PlanWarning::Decided {
            path: path.clone(),
            winner: names.of_claim(&winner),
            losers,
        });
    }
    let origins = |claims: Vec<Claim>| claims.into_iter().map(|claim| claim.origin).collect();
    Some(Planned {
        node: winner.node,
        origin: winner.origin,
        same: origins(identical),
        losers: origins(losers),
    })
}

/// No path may be a file and a directory; no policy helps there.
fn check_directories(paths: &Paths<'_>, names: &Names<'_>, problems: &mut Vec<PlanProblem>) {
    for path in paths.clashes() {
        let (as_file, below) = paths.at(path);
        let first = below.iter().min_by_key(|claim| names.key(claim));
        let mut claimants: Vec<Claimant> =
            as_file.iter().chain(first).map(|claim| names.of_claim(claim)).collect();
        claimants.sort();
        problems.push(PlanProblem::FileOverDirectory { path: as_file[0].path.clone(), claimants });
    }
}

/// Names in one directory, of files and of directories, that a file system could take for one.
/// Below two directories that it takes for one, everything else could clash too: the directories
/// stand for it.
fn check_folding(
    paths: &Paths<'_>,
    names: &Names<'_>,
    workers: &impl Workers,
    problems: &mut Vec<PlanProblem>,
    warnings: &mut Vec<PlanWarning>,
) {
    // Of two names that fold to one, at least one is not its own fold. Few names are not.
    let folding = workers.map(paths.portions(), |portion| {
        let mut folding: Vec<(String, bool, &str)> = Vec::new();
        for path in paths.portion(portion) {
            let start = memchr::memrchr(b'/', path.as_bytes()).map_or(0, |slash| slash + 1);
            let (directory, name) = path.split_at(start);
            let folded = fold(name);
            if folded != name {
                let folded = [directory, &folded].concat();
                let is_there = paths.contains(&folded);
                folding.push((folded, is_there, path));
            }
        }
        folding
    });
    let mut folding = folding.concat();
    folding.sort_unstable();
    folding.dedup();
    for group in folding.chunk_by(|(left, ..), (right, ..)| left == right) {
        let (folded, is_there, _) = &group[0];
        let mut spellings: Vec<&str> = group.iter().map(|(.., path)| *path).collect();
        if *is_there {
            spellings.push(folded);
            spellings.sort_unstable();
        }
        for other in &spellings[1..] {
            let paths = vec![spellings[0].to_owned(), (*other).to_owned()];
            if names.spec.interpreter.platform.os().folds_names() {
                problems.push(PlanProblem::NamesFold { paths });
            } else {
                warnings.push(PlanWarning::NamesFold { paths });
            }
        }
    }
}
