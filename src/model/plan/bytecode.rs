//! Bytecode in a plan: which modules of an environment have some, and where it goes.
//!
//! Model layer. Who gets a path was decided before: bytecode follows the source that is there, by
//! its digest. No RECORD lists it, so an environment without its `__pycache__` is the one that has
//! no bytecode.

use std::collections::BTreeMap;

use crate::model::bytecode::modules::{
    DEFAULT_EXCLUDE, Excluded, Together, is_module, name_in_wheel,
};
use crate::model::bytecode::overlay::Recipe;
use crate::model::digest::Hash;
use crate::model::file_kind::FileKind;
use crate::model::interpreter::Os;
use crate::model::layout::Layout;
use crate::model::path::TreePath;
use crate::model::plan::claims::{Generator, Origin};
use crate::model::plan::conflict::Names;
use crate::model::plan::{
    Content, Inputs, Plan, PlanProblem, PlanWarning, Planned, PlannedNode, WheelIndex,
};
use crate::model::spec::{InputDigests, Python, Spec};
use crate::model::wheel::WheelManifest;

/// The folder that bytecode lies in, beside its source.
const CACHE: &str = "__pycache__";

/// Whose modules are compiled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A wheel, by its position in the spec.
    Wheel(WheelIndex),
    /// A source, by its position in the spec.
    Source(usize),
    /// The interpreter that is copied in.
    Interpreter,
}

/// A module of the environment.
#[derive(Debug, Clone, Copy)]
pub struct Module<'p> {
    /// Whose it is.
    pub owner: Owner,
    /// Its path relative to where modules are found, by which its bytecode knows it.
    pub name: &'p str,
    /// Its path in the tree.
    pub path: &'p TreePath,
    /// What it is made of.
    pub content: &'p Content,
    /// Its SHA-256.
    pub sha256: Hash,
    /// Its bytes.
    pub size: u64,
}

impl Module<'_> {
    /// Its name, to be kept.
    pub fn owned_name(&self) -> TreePath {
        TreePath::parse(self.name).expect("a part of a tree path is one")
    }
}

/// A file of bytecode, wherever it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytecodeFile {
    /// The overlay, and the position of the file in it.
    pub place: (usize, usize),
    /// Its SHA-256.
    pub sha256: Hash,
    /// Its bytes.
    pub size: u64,
}

/// The modules of a plan that is of these wheels, in the order of their owners and paths, but for
/// those that are left out.
pub fn modules<'p>(
    plan: &'p Plan,
    spec: &Spec,
    wheels: &[&WheelManifest],
    excluded: &Excluded,
) -> Vec<Module<'p>> {
    let layout = Layout::new(&spec.interpreter);
    let library = library(spec, &plan.entries, layout.os);
    let mut modules = Vec::new();
    for (path, planned) in &plan.entries {
        let PlannedNode::File { content, sha256, size, .. } = &planned.node else {
            continue;
        };
        let (owner, name) = match planned.origin {
            Origin::Member { wheel, member } => {
                let manifest = wheels[wheel.0];
                let name = name_in_wheel(manifest, manifest.members[member].path.as_str());
                (Owner::Wheel(wheel), path.below(&layout.purelib).filter(|_| name.is_some()))
            }
            Origin::Source { source, .. } => (Owner::Source(source), path.below(&layout.purelib)),
            Origin::Interpreter { .. } => {
                (Owner::Interpreter, library.as_ref().and_then(|library| path.below(library)))
            }
            Origin::Generated { .. } => continue,
        };
        if let Some(name) = name.filter(|name| is_module(name) && !excluded.has(name)) {
            let (sha256, size) = (*sha256, *size);
            modules.push(Module { owner, name, path, content, sha256, size });
        }
    }
    // The plan's entries come in the order of their paths, and this sort keeps it.
    modules.sort_by_key(|module| module.owner);
    modules
}

/// Where bytecode is to lie, nothing else may: whether it would be in its way is not known before it
/// is compiled.
pub(super) fn check_places(
    entries: &[(TreePath, Planned)],
    layout: &Layout,
    names: &Names<'_>,
    problems: &mut Vec<PlanProblem>,
) {
    if names.spec.bytecode.is_none() {
        return;
    }
    let library = library(names.spec, entries, layout.os);
    let is_cache = |component: &str| match layout.os {
        Os::Linux => component == CACHE,
        // These take other spellings for the same folder.
        Os::MacOs | Os::Windows => component.eq_ignore_ascii_case(CACHE),
    };
    for (path, planned) in entries {
        let below = path.below(&layout.purelib);
        let below = below.or_else(|| library.as_ref().and_then(|library| path.below(library)));
        if below.is_some_and(|below| below.split('/').any(is_cache)) {
            problems.push(PlanProblem::Reserved {
                path: path.clone(),
                reason: "as the spec asks for bytecode, which lies there",
                claimants: vec![names.claimant(&planned.origin, None)],
            });
        }
    }
}

/// Patterns of modules without bytecode that match none. Those that are the default, and those that
/// begin with `**/`, speak of every environment and need not be about this one.
pub(super) fn unused_patterns(plan: &Plan, spec: &Spec, inputs: &Inputs<'_>) -> Vec<PlanWarning> {
    let Some(wanted) = &spec.bytecode else {
        return Vec::new();
    };
    if spec.flags.input_digests == InputDigests::Trusted {
        // A build system has patterns for all its environments.
        return Vec::new();
    }
    if matches!(spec.python, Python::Inside { .. }) && inputs.interpreter.is_none() {
        // Only a part of the environment is looked at.
        return Vec::new();
    }
    let is_special = |pattern: &&String| {
        !pattern.starts_with("**/") && !DEFAULT_EXCLUDE.contains(&pattern.as_str())
    };
    let patterns: Vec<&String> = wanted.exclude.iter().filter(is_special).collect();
    if patterns.is_empty() {
        return Vec::new();
    }
    let together = Together::new(patterns.iter().map(|pattern| pattern.as_str()));
    let mut used = vec![false; patterns.len()];
    let nothing = Excluded::new([]).expect("there is no pattern");
    for module in modules(plan, spec, &inputs.wheels, &nothing) {
        together.matches(module.name).into_iter().for_each(|index| used[index] = true);
    }
    let unused = patterns.into_iter().zip(used).filter(|(_, used)| !used);
    unused
        .map(|(pattern, _)| PlanWarning::UnusedBytecodeExclude { pattern: pattern.clone() })
        .collect()
}

/// The standard library of an interpreter that is copied in: of its folders, the one that has what
/// Python looks for.
fn library(spec: &Spec, entries: &[(TreePath, Planned)], os: Os) -> Option<TreePath> {
    let Python::Inside { executable, .. } = &spec.python else {
        return None;
    };
    let folder = executable.parent();
    let root = if os == Os::Windows { folder } else { folder?.parent() };
    let root = root.map_or_else(String::new, |root| format!("{root}/"));
    let version = spec.interpreter.versioned_name();
    let folders: &[&str] = match os {
        Os::Windows => &["Lib"],
        Os::Linux | Os::MacOs => &["lib", "lib64"],
    };
    let place = |folder: &&str| match os {
        Os::Windows => format!(".python/{root}{folder}"),
        Os::Linux | Os::MacOs => format!(".python/{root}{folder}/{version}"),
    };
    let has_landmark = |folder: &&&str| {
        let landmark = format!("{}/os.py", place(folder));
        entries.binary_search_by(|(path, _)| path.as_str().cmp(&landmark)).is_ok()
    };
    let found = folders.iter().find(has_landmark).unwrap_or(&folders[0]);
    TreePath::parse(&place(found)).ok()
}

impl Plan {
    /// Takes all bytecode away, and what was said of it.
    pub fn remove_bytecode(&mut self) {
        self.entries.retain(|(_, planned)| {
            !matches!(planned.node, PlannedNode::File { content: Content::Bytecode { .. }, .. })
        });
        self.warnings.retain(|warning| !matches!(warning, PlanWarning::Uncompilable { .. }));
    }

    /// Adds bytecode.
    pub fn add_bytecode(&mut self, Added(added): Added) {
        let mut merged = Vec::with_capacity(self.entries.len() + added.len());
        let mut added = added.into_iter().peekable();
        for entry in std::mem::take(&mut self.entries) {
            while let Some(before) = added.next_if(|(path, _)| *path < entry.0) {
                merged.push(before);
            }
            merged.push(entry);
        }
        merged.extend(added);
        self.entries = merged;
    }
}

/// Bytecode that is to be added to a plan, sorted by path.
#[derive(Debug, Default)]
pub struct Added(Vec<(TreePath, Planned)>);

impl Added {
    /// Bytecode of modules, which lies beside each.
    pub fn new<'m>(
        compiled: impl IntoIterator<Item = (Recipe, &'m Module<'m>, BytecodeFile)>,
    ) -> Self {
        // By folder, as there are few of them: in each, most come in the order of their names.
        let mut folders: BTreeMap<String, Vec<(TreePath, Planned)>> = BTreeMap::new();
        let mut last: (&str, Vec<(TreePath, Planned)>) = ("", Vec::new());
        let mut count = 0;
        for (recipe, module, compiled) in compiled {
            let Some(path) = recipe.cached_path(module.path) else {
                continue;
            };
            let folder = module.path.folder();
            if folder != last.0 {
                let done = std::mem::replace(&mut last, (folder, Vec::new()));
                add_folder(&mut folders, done);
            }
            last.1.push((path, planned(module.owner, compiled)));
            count += 1;
        }
        add_folder(&mut folders, last);
        let mut all = Vec::with_capacity(count);
        for mut files in folders.into_values() {
            files.sort_by(|(one, _), (two, _)| one.cmp(two));
            all.append(&mut files);
        }
        Self(all)
    }
}

fn add_folder(
    folders: &mut BTreeMap<String, Vec<(TreePath, Planned)>>,
    (folder, mut files): (&str, Vec<(TreePath, Planned)>),
) {
    if !files.is_empty() {
        // What decides where bytecode lies is the name that its folder has.
        folders.entry(format!("{folder}{CACHE}/")).or_default().append(&mut files);
    }
}

fn planned(owner: Owner, file: BytecodeFile) -> Planned {
    let wheel = match owner {
        Owner::Wheel(wheel) => Some(wheel),
        Owner::Source(_) | Owner::Interpreter => None,
    };
    let BytecodeFile { place: (overlay, member), sha256, size } = file;
    Planned {
        node: PlannedNode::File {
            content: Content::Bytecode { overlay, member },
            sha256,
            size,
            kind: FileKind::Plain,
        },
        origin: Origin::Generated { generator: Generator::Bytecode, wheel },
        same: Box::default(),
        losers: Box::default(),
    }
}
