//! The plan: what goes where, from where, and who asked for it.
//!
//! Model layer: a function of the spec, the wheels' manifests and the listings of first-party
//! files. Every conflict and every other reason not to build is found here, before anything is
//! written, and all are returned at once. The order of wheels decides nothing but who is first or
//! last where the policy says so.

pub(crate) mod bytecode;
mod claims;
mod conflict;
mod paths;
mod problem;
mod windows;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hash};
use crate::model::explain::Explain as _;
use crate::model::file_kind::FileKind;
use crate::model::interpreter::Os;
use crate::model::layout::Layout;
use crate::model::path::{LinkTarget, TreePath, relative_from};
use crate::model::requirements;
use crate::model::spec::{Check, Python, Spec};
use crate::model::tree::{Leaf, Tree};
use crate::model::wheel::WheelManifest;
use crate::model::wheel::record;
use crate::model::wheel::tags::Tags;
use crate::model::workers::Workers;

pub use claims::{Generator, Origin, WheelIndex};
pub use problem::{PlanError, PlanProblem, PlanWarning};
pub use windows::{LONGEST_PATH, WindowsLaunchers};

use claims::Claims;

/// A first-party file as it was found: part of a source, or of an interpreter that is copied into
/// the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its path within the source; nothing where the source is this file.
    pub path: Option<TreePath>,
    /// The SHA-256 of its bytes.
    pub sha256: Hash,
    /// Their number.
    pub size: u64,
    /// Whether its owner may execute it.
    pub kind: FileKind,
}

/// What an input directory (or a single file) holds, sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub files: Vec<ListedFile>,
}

/// What planning needs to know about the inputs.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The wheels' manifests, in the order of the spec.
    pub wheels: Vec<&'a WheelManifest>,
    /// The listings of the sources, in the order of the spec.
    pub sources: Vec<&'a Listing>,
    /// The listing of the interpreter's directory, where the spec copies one in.
    pub interpreter: Option<&'a Listing>,
    /// The launchers, where the spec is for Windows.
    pub launchers: Option<&'a WindowsLaunchers>,
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// They were made by the planner.
    Inline(Arc<[u8]>),
    /// A member of a wheel: indexes into the spec's wheels and the manifest's members.
    Member { wheel: WheelIndex, member: usize },
    /// A file of a source: indexes into the spec's sources and the listing.
    Source { source: usize, file: usize },
    /// A file of the interpreter that is copied in: an index into its listing.
    Interpreter { file: usize },
    /// Bytecode: indexes into the overlays that were opened for the plan and their files.
    Bytecode {
        overlay: usize,
        /// The file.
        member: usize,
    },
}

/// A file or a link to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedNode {
    File {
        /// Where its bytes come from.
        content: Content,
        /// Their SHA-256: computed, or claimed by a wheel's RECORD and verified when they are
        /// written.
        sha256: Hash,
        /// Their number.
        size: u64,
        /// Whether the file is executable.
        kind: FileKind,
    },
    /// A symbolic link.
    Symlink(LinkTarget),
}

impl PlannedNode {
    /// The number of bytes to write: none for a link.
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Symlink(_) => 0,
        }
    }
}

/// One entry of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is written.
    pub node: PlannedNode,
    /// Who asked for it.
    pub origin: Origin,
    /// Who asked for the very same bytes.
    pub same: Box<[Origin]>,
    /// Who asked for other bytes and did not get them.
    pub losers: Box<[Origin]>,
}

/// What goes where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The entries, sorted by path, each path once.
    pub entries: Vec<(TreePath, Planned)>,
    /// What a person should know.
    pub warnings: Vec<PlanWarning>,
}

/// Plans an environment.
///
/// # Errors
/// Every reason not to build it.
pub fn plan(spec: &Spec, inputs: &Inputs<'_>, workers: &impl Workers) -> Result<Plan, PlanError> {
    let layout = Layout::new(&spec.interpreter);
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    check_wheels(spec, &inputs.wheels, &mut problems);
    check_requirements(spec, &inputs.wheels, &mut problems, &mut warnings);
    warnings.extend(inputs.wheels.iter().flat_map(|wheel| allowed(wheel)));
    let mut claims = Claims::new(spec, &layout, inputs.launchers);
    claims.environment(&mut problems);
    if let Some(listing) = inputs.interpreter {
        check_interpreter(spec, listing, &mut problems);
        claims.interpreter(listing);
    }
    claims.wheels(&inputs.wheels, workers, &mut problems, &mut warnings);
    for (index, listing) in inputs.sources.iter().enumerate() {
        claims.source(index, listing, &mut problems);
    }
    let names = conflict::Names { spec, wheels: &inputs.wheels };
    let told = (&mut problems, &mut warnings);
    let resolved = conflict::resolve(claims.finish(), &layout, &names, workers, told);
    let entries = add_records(resolved, &layout, &names, workers, &mut problems);
    bytecode::check_places(&entries, &layout, &names, &mut problems);
    if layout.os == Os::Windows {
        windows::check(&entries, &mut problems, &mut warnings);
    }
    warnings.sort();
    warnings.dedup();
    if problems.is_empty() {
        let mut plan = Plan { entries, warnings };
        let unused = bytecode::unused_patterns(&plan, spec, inputs);
        plan.warnings.extend(unused);
        Ok(plan)
    } else {
        drop_consequences(&mut problems);
        problems.sort();
        problems.dedup();
        Err(PlanError { problems, warnings })
    }
}

/// Whether every wheel fits the interpreter, and no distribution comes twice.
fn check_wheels(spec: &Spec, wheels: &[&WheelManifest], problems: &mut Vec<PlanProblem>) {
    let tags = Tags::new(&spec.interpreter);
    let mut distributions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for wheel in wheels {
        distributions
            .entry(wheel.name().normalized())
            .or_default()
            .push(wheel.file.as_str().to_owned());
        if let Err(error) = tags.compatible(&wheel.file.tags) {
            problems.push(PlanProblem::IncompatibleTags {
                wheel: wheel.file.as_str().to_owned(),
                error: error.to_string(),
                hint: error.hint(),
            });
        }
        if let Some(specifiers) = &wheel.metadata.requires_python
            && let Err(error) = requirements::requires_python(specifiers, &spec.interpreter.version)
        {
            problems.push(PlanProblem::RequiresPython {
                wheel: wheel.file.as_str().to_owned(),
                error: error.to_string(),
            });
        }
    }
    for (distribution, mut wheels) in distributions {
        if wheels.len() > 1 {
            wheels.sort();
            problems.push(PlanProblem::SameDistribution {
                distribution: distribution.to_owned(),
                wheels,
            });
        }
    }
}

/// Leaves out what two wheels of one distribution put into each other's way: it is said already that
/// there is one too many.
fn drop_consequences(problems: &mut Vec<PlanProblem>) {
    let twice = problems.iter().filter_map(|problem| match problem {
        PlanProblem::SameDistribution { wheels, .. } => Some(wheels.clone()),
        _ => None,
    });
    let twice: Vec<Vec<String>> = twice.collect();
    let are_of_one = |claimants: &[problem::Claimant]| {
        let is_own = |wheels: &Vec<String>| claimants.iter().all(|who| wheels.contains(&who.name));
        // A wheel may be in its own way, too.
        claimants.windows(2).any(|pair| pair[0].name != pair[1].name) && twice.iter().any(is_own)
    };
    problems.retain(|problem| match problem {
        PlanProblem::Conflict { claimants, .. }
        | PlanProblem::FileOverDirectory { claimants, .. } => !are_of_one(claimants),
        _ => true,
    });
}

/// Whether an interpreter that is copied in has the program that the environment starts.
fn check_interpreter(spec: &Spec, listing: &Listing, problems: &mut Vec<PlanProblem>) {
    let Python::Inside { executable, .. } = &spec.python else {
        return;
    };
    // Windows asks no file for leave to run it.
    let runs = |file: &ListedFile| {
        spec.interpreter.platform.os() == Os::Windows || file.kind == FileKind::Executable
    };
    let is_it = |file: &&ListedFile| file.path.as_ref() == Some(executable);
    let found = match listing.files.iter().find(is_it) {
        Some(file) if runs(file) => return,
        Some(_) => "the file may not be executed".to_owned(),
        None => {
            let programs = listing.files.iter().filter(|file| runs(file));
            let names = programs.filter_map(|file| Some(file.path.as_ref()?.as_str()));
            let (count, names) = (listing.files.len(), names.filter(|path| is_python(path)));
            let names: Vec<String> = names.take(3).map(|path| format!("`{path}`")).collect();
            match names.is_empty() {
                true => format!("none of its {count} files is called so"),
                false => format!("it has {}", names.join(", ")),
            }
        }
    };
    problems.push(PlanProblem::NoInterpreter { executable: executable.clone(), found });
}

/// Whether a program may be an interpreter, by its name.
fn is_python(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    version.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// What is wrong with a wheel and was allowed, each code once.
fn allowed(wheel: &WheelManifest) -> Vec<PlanWarning> {
    let mut found: BTreeMap<&'static str, (String, u64)> = BTreeMap::new();
    for finding in wheel.findings.iter().filter(|finding| finding.allowed) {
        let member =
            finding.member.as_ref().map(|member| format!("{member:?}: ")).unwrap_or_default();
        let (_, count) = found
            .entry(finding.code.text())
            .or_insert_with(|| (format!("{member}{}", finding.message), 0));
        *count += finding.count();
    }
    let warning = |(code, (example, count))| PlanWarning::Allowed {
        wheel: wheel.file.as_str().to_owned(),
        code,
        example,
        count,
    };
    found.into_iter().map(warning).collect()
}

/// The built-in `pip check`.
fn check_requirements(
    spec: &Spec,
    wheels: &[&WheelManifest],
    problems: &mut Vec<PlanProblem>,
    warnings: &mut Vec<PlanWarning>,
) {
    if spec.flags.requirements == Check::Off {
        return;
    }
    let distributions: Vec<requirements::Distribution<'_>> = wheels
        .iter()
        .map(|wheel| requirements::Distribution {
            name: wheel.name(),
            // What is installed says so, which the file name may say in more detail.
            version: &wheel.metadata.version,
            requires_dist: &wheel.metadata.requires_dist,
            provides_extra: &wheel.metadata.provides_extra,
        })
        .collect();
    for unmet in requirements::check(&distributions, &spec.interpreter) {
        match spec.flags.requirements {
            Check::Error => problems.push(PlanProblem::Requirement { text: unmet.to_string() }),
            Check::Warn | Check::Off => {
                warnings.push(PlanWarning::Requirement { text: unmet.to_string() })
            }
        }
    }
}

/// Adds every distribution's RECORD: exactly the paths whose bytes in the tree are its own, or
/// identical to its own.
fn add_records(
    entries: Vec<(TreePath, Planned)>,
    layout: &Layout,
    names: &conflict::Names<'_>,
    workers: &impl Workers,
    problems: &mut Vec<PlanProblem>,
) -> Vec<(TreePath, Planned)> {
    let wheels = names.wheels;
    let mut rows: Vec<Vec<(Cow<'_, str>, Hash, u64)>> = wheels.iter().map(|_| Vec::new()).collect();
    for (path, planned) in &entries {
        let PlannedNode::File { sha256, size, .. } = &planned.node else {
            continue;
        };
        for wheel in std::iter::once(&planned.origin).chain(&planned.same).filter_map(Origin::wheel)
        {
            let relative = match path.below(&layout.purelib) {
                Some(below) => Cow::Borrowed(below),
                None => Cow::Owned(relative_from(layout.purelib.as_str(), path.as_str())),
            };
            rows[wheel.0].push((relative, *sha256, *size));
        }
    }
    let records = workers.map(wheels.len(), |index| {
        let own_path = format!("{}/RECORD", wheels[index].dist_info);
        claims::inline(
            record::render(
                &own_path,
                rows[index].iter().map(|(path, sha256, size)| (&**path, *sha256, *size)),
            ),
            FileKind::Plain,
        )
    });
    let mut records: Vec<(TreePath, Planned)> = std::iter::zip(wheels, records)
        .enumerate()
        .map(|(index, (wheel, node))| {
            let origin =
                Origin::Generated { generator: Generator::Record, wheel: Some(WheelIndex(index)) };
            let planned = Planned { node, origin, same: Box::default(), losers: Box::default() };
            (claims::record_path(layout, wheel), planned)
        })
        .collect();
    records.sort_by(|(left, _), (right, _)| left.cmp(right));
    let mut all = Vec::with_capacity(entries.len() + records.len());
    let mut entries = entries.into_iter();
    for (path, record) in records {
        let before = entries.as_slice().partition_point(|(other, _)| *other <= path);
        all.extend(entries.by_ref().take(before));
        // A RECORD comes after whatever else wants its place.
        if let Some((_, planned)) = all.last().filter(|(other, _)| *other == path)
            // Another wheel of the same distribution, which is said already.
            && !matches!(planned.origin, Origin::Generated { generator: Generator::Record, .. })
        {
            let both = [&planned.origin, &record.origin];
            problems.push(PlanProblem::Reserved {
                path: path.clone(),
                reason: "it records what is installed",
                claimants: both.map(|origin| names.claimant(origin, None)).into(),
            });
        }
        all.push((path, record));
    }
    all.extend(entries);
    all
}

impl Plan {
    /// The tree that the plan makes, where SHA-256 is its digest function: nothing has to be read
    /// for it.
    pub fn tree_sha256(&self, workers: &impl Workers) -> Tree {
        self.tree(
            DigestFunction::Sha256,
            |_, sha256, size| BlobDigest(Digest { hash: sha256, size }),
            workers,
        )
    }

    /// The tree that the plan makes, with the digest of every file as `digest` gives it for the
    /// file's position among [`Plan::entries`], its SHA-256 and its size.
    pub fn tree(
        &self,
        function: DigestFunction,
        digest: impl Fn(usize, Hash, u64) -> BlobDigest,
        workers: &impl Workers,
    ) -> Tree {
        let mut leaves = Vec::with_capacity(self.entries.len());
        for (index, (path, planned)) in self.entries.iter().enumerate() {
            let leaf = match &planned.node {
                PlannedNode::File { sha256, size, kind, .. } => {
                    Leaf::File { blob: digest(index, *sha256, *size), kind: *kind }
                }
                PlannedNode::Symlink(target) => Leaf::Symlink(target.clone()),
            };
            leaves.push((path, leaf));
        }
        Tree::of_sorted(function, &leaves, workers)
            .expect("paths of a plan are unique and no file is a directory")
    }

    /// Every directory of the tree, parents before what is in them; the root has none.
    pub fn directories(&self) -> Vec<TreePath> {
        let mut directories = paths::directories(self.entries.iter().map(|(path, _)| path));
        // Without their slashes they are in another order: `a` is before `a-b`, and that before `a/`.
        for directory in &mut directories {
            *directory = &directory[..directory.len() - 1];
        }
        directories.sort_unstable();
        let path = |path| TreePath::parse(path).expect("a parent of a tree path is one");
        directories.into_iter().map(path).collect()
    }
}
