//! The wheels that an interpreter gets from a lock.
//!
//! Model layer. As uv chooses them, but stricter: an interpreter or a platform that the lock is not for is an error, and so is a
//! package without a wheel.

use std::collections::{BTreeMap, HashMap};

use crate::model::address::{Address, AddressError};
use crate::model::digest::{Hash, WheelDigest};
use crate::model::interpreter::Interpreter;
use crate::model::lock::markers::Answers;
use crate::model::lock::names::{Request, Wanted};
use crate::model::lock::problem::{LockError, NOT_GIVEN, Twice, Unavailable, Undecided, Unpinned};
use crate::model::lock::walk::{self, Walk};
use crate::model::lock::wheel::{self, AtHand};
use crate::model::lock::{Lock, LockKind, Package, Source};
use crate::model::name::DistName;
use crate::model::requirements::marker::{Asked, Environment, Truth};
use crate::model::requirements::{PythonProblem, requires_python};
use crate::model::spec::{InputPath, WheelReference};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::tags::Tags;

/// What an interpreter gets.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The wheels, by the names of their packages.
    pub wheels: Vec<Selected>,
    /// The project's own code.
    pub left_out: Vec<LeftOut>,
    /// What is odd.
    pub warnings: Vec<String>,
}

/// A wheel that was chosen.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The package.
    pub name: DistName,
    /// Its version as the lock has it, or as the wheel does.
    pub version: String,
    /// The file, with its name in the form that all tools write.
    pub file: WheelFilename,
    /// The last part of its address, as written.
    pub written: String,
    /// Where it can be had.
    pub url: Option<String>,
    /// Where it lies: as the lock has it, relative to the lock; or as it was given.
    pub path: Option<String>,
    /// Its SHA-256, where the lock has it.
    pub sha256: Option<Hash>,
    /// Another hash, where the lock has one: algorithm and digits.
    pub other_hash: Option<(String, String)>,
    /// Its size, where the lock has it.
    pub size: Option<u64>,
    /// Whether somebody built it and gave it.
    pub supplied: bool,
    /// What asks for it.
    pub because: Vec<String>,
}

impl Selected {
    /// The wheel as a spec names it; `path` is where it lies, if it lies somewhere.
    ///
    /// # Errors
    /// What the lock has for an address is none.
    pub fn reference(&self, path: Option<String>) -> Result<WheelReference, AddressError> {
        Ok(WheelReference {
            path: path.map(InputPath),
            urls: self.url.as_deref().map(Address::parse).transpose()?.into_iter().collect(),
            size: self.size,
            file_name: self.file.clone(),
            sha256: self.sha256.map(WheelDigest),
            exclude: Vec::new(),
            bytecode: Vec::new(),
        })
    }
}

/// A package of which there is code in a directory, and no wheel: the project's own, most often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: DistName,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// `virtual`, `editable` or `directory`.
    pub kind: &'static str,
    /// Where it lies, relative to the lock.
    pub path: String,
    /// Whether the environment lacks it: it is to be installed, and not the project's own.
    pub is_missing: bool,
    /// What asks for it.
    pub because: Vec<String>,
}

impl LeftOut {
    /// Whether it is the project's own code, and would be installed by others.
    pub fn is_own(&self) -> bool {
        !self.is_missing && self.kind != VIRTUAL
    }

    /// What to say where the environment lacks it.
    pub(super) fn warning(&self) -> Option<String> {
        let Self { name, path, is_missing, .. } = self;
        is_missing.then(|| {
            format!("`{name}` is left out: it is the directory `{path}`, of which the lock has no wheel; build one and give it with --supply")
        })
    }
}

/// The kind of what is no package: only what it requires is installed.
const VIRTUAL: &str = "virtual";

/// An interpreter, with what is worked out of it once.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) interpreter: &'a Interpreter,
    pub(super) environment: Environment,
    pub(super) tags: Tags,
}

impl<'a> Target<'a> {
    pub(super) fn new(interpreter: &'a Interpreter) -> Self {
        Self {
            interpreter,
            environment: Environment::new(interpreter),
            tags: Tags::new(interpreter),
        }
    }
}

/// Chooses wheels.
///
/// # Errors
/// The lock does not have what is asked for, or is not for this interpreter.
pub fn select(
    lock: &Lock,
    interpreter: &Interpreter,
    request: &Request,
) -> Result<Selection, LockError> {
    let target = Target::new(interpreter);
    check_target(lock, &target)?;
    let wanted = Wanted::new(lock, request)?;
    let members = if lock.kind == LockKind::Uv {
        let (mut walk, starts) = Walk::new(lock, &target.environment, &wanted)?;
        let reached = walk.reach(starts);
        walk.undecided()?;
        reached
            .iter()
            .map(|(position, because)| (*position, walk::describe(lock, because)))
            .collect()
    } else {
        listed(lock, &target, &wanted)?
    };
    Choice::new(lock, &target, request).all(members)
}

/// Whether the lock is for an interpreter at all.
pub(super) fn check_target(lock: &Lock, target: &Target<'_>) -> Result<(), LockError> {
    if let Some(requires) = &lock.requires_python {
        check_python(None, requires, target)?;
    }
    let mut answers = Answers::new(&lock.markers, &target.environment);
    let asked = Asked::default();
    let mut open = Vec::new();
    for marker in lock.environments.iter().copied() {
        match answers.holds(Some(marker), &asked, true) {
            Truth::Yes => return Ok(()),
            Truth::No => {}
            Truth::Unknown(fact) => {
                let marker = lock.markers.text(marker).to_owned();
                open.push(Undecided { package: "the lock".to_owned(), marker, fact });
            }
        }
    }
    if !open.is_empty() {
        return Err(LockError::Undecided(open));
    }
    if lock.environments.is_empty() {
        return Ok(());
    }
    let markers =
        lock.environments.iter().map(|marker| lock.markers.text(*marker).to_owned()).collect();
    Err(LockError::Environments { markers, platform: dashed(target.interpreter) })
}

fn check_python(
    package: Option<String>,
    requires: &str,
    target: &Target<'_>,
) -> Result<(), LockError> {
    let problem = match requires_python(requires, &target.interpreter.version) {
        Ok(()) => return Ok(()),
        Err(problem) => problem,
    };
    Err(LockError::Python {
        package,
        requires: requires.to_owned(),
        found: target.interpreter.version.to_string(),
        patch_level: matches!(problem, PythonProblem::PatchLevel { .. }),
    })
}

/// `linux-x86_64-glibc-2.28`.
pub(super) fn dashed(interpreter: &Interpreter) -> String {
    interpreter.platform.to_string().replace(' ', "-")
}

/// `CPython 3.12.1, linux-x86_64-glibc-2.28`.
pub(super) fn title(interpreter: &Interpreter) -> String {
    let build = if interpreter.free_threaded() { " (free-threaded)" } else { "" };
    let implementation = interpreter.implementation.platform_name();
    format!("{implementation} {}{build}, {}", interpreter.version, dashed(interpreter))
}

/// Packages by position, each with what asks for it.
pub(super) type Members = BTreeMap<usize, Vec<String>>;

/// The packages of a lock without a graph whose markers hold.
pub(super) fn listed(
    lock: &Lock,
    target: &Target<'_>,
    wanted: &Wanted,
) -> Result<Members, LockError> {
    let asked = Asked {
        extras: wanted.extras.clone(),
        dependency_groups: wanted.groups.clone(),
        ..Asked::default()
    };
    let mut answers = Answers::new(&lock.markers, &target.environment);
    let (mut found, mut open) = (Members::new(), Vec::new());
    let mut by_name: BTreeMap<&DistName, Vec<usize>> = BTreeMap::new();
    for (position, package) in lock.packages.iter().enumerate() {
        match answers.holds(package.marker, &asked, true) {
            Truth::Yes => {}
            Truth::No => continue,
            Truth::Unknown(fact) => {
                let marker =
                    package.marker.map_or("", |marker| lock.markers.text(marker)).to_owned();
                open.push(Undecided { package: package.title(), marker, fact });
                continue;
            }
        }
        if let Some(requires) = &package.requires_python {
            check_python(Some(package.title()), requires, target)?;
        }
        by_name.entry(&package.name).or_default().push(position);
        found.insert(position, vec![format!("line {}", package.place.line)]);
    }
    if !open.is_empty() {
        return Err(LockError::Undecided(open));
    }
    let which = |position: &usize| match lock.kind {
        LockKind::Requirements => format!("line {}", lock.packages[*position].place.line),
        _ => format!("packages[{position}]"),
    };
    let twice = by_name.iter().filter(|(_, all)| all.len() > 1);
    let twice: Vec<Twice> = twice
        .map(|(name, all)| Twice { name: name.to_string(), which: all.iter().map(which).collect() })
        .collect();
    if twice.is_empty() { Ok(found) } else { Err(LockError::Twice(twice)) }
}

/// Wheels for packages.
pub(super) struct Choice<'a> {
    lock: &'a Lock,
    target: &'a Target<'a>,
    request: &'a Request,
    at_hand: HashMap<&'a str, Vec<&'a AtHand>>,
    supplied: HashMap<&'a str, Vec<&'a AtHand>>,
    warnings: Vec<String>,
}

/// What there is of one package.
pub(super) enum Found {
    Wheel(Box<Selected>),
    LeftOut(LeftOut),
    Unavailable(String),
    Unpinned(Unpinned),
}

impl<'a> Choice<'a> {
    pub(super) fn new(lock: &'a Lock, target: &'a Target<'a>, request: &'a Request) -> Self {
        let by_name = |wheels: &'a [AtHand]| {
            let mut by_name: HashMap<&str, Vec<&AtHand>> = HashMap::new();
            for wheel in wheels {
                by_name.entry(wheel.file.name.normalized()).or_default().push(wheel);
            }
            by_name
        };
        let (at_hand, supplied) = (by_name(&request.at_hand), by_name(&request.supplied));
        Self { lock, target, request, at_hand, supplied, warnings: lock.warnings.clone() }
    }

    fn all(mut self, members: Members) -> Result<Selection, LockError> {
        let mut selection = Selection::default();
        let (mut unavailable, mut unpinned) = (Vec::new(), Vec::new());
        let mut used = Vec::new();
        let addressed = |position: &usize| {
            let package = &self.lock.packages[*position];
            !package.is_unaddressed()
        };
        if self.request.at_hand.is_empty() && !members.keys().all(addressed) {
            return Err(LockError::NoAddresses);
        }
        for (position, because) in members {
            let package = &self.lock.packages[position];
            match self.find(package, because) {
                Found::Wheel(wheel) => {
                    if wheel.supplied {
                        used.push(wheel.name.clone());
                    }
                    selection.wheels.push(*wheel);
                }
                Found::LeftOut(left_out) => {
                    self.warnings.extend(left_out.warning());
                    selection.left_out.push(left_out);
                }
                Found::Unavailable(reason) => {
                    unavailable.push(Unavailable { package: package.title(), reason })
                }
                Found::Unpinned(wheel) => unpinned.push(wheel),
            }
        }
        if !unavailable.is_empty() {
            unavailable.sort_by(|left, right| left.package.cmp(&right.package));
            let interpreter = title(self.target.interpreter);
            return Err(LockError::Unavailable { interpreter, packages: unavailable, unpinned });
        }
        if !unpinned.is_empty() {
            return Err(LockError::Unpinned(unpinned));
        }
        for wheel in self.request.supplied.iter().filter(|wheel| !used.contains(&wheel.file.name)) {
            self.warnings.push(format!("`{}` is supplied, but nothing needs it", wheel.file));
        }
        selection.wheels.sort_by(|left, right| left.name.cmp(&right.name));
        selection.left_out.sort_by(|left, right| left.name.cmp(&right.name));
        selection.warnings = self.warnings;
        Ok(selection)
    }

    /// What there is of a package.
    pub(super) fn find(&mut self, package: &Package, because: Vec<String>) -> Found {
        let tags = &self.target.tags;
        let reason = if package.is_first_party() {
            String::new()
        } else if package.is_unaddressed() {
            let known = self.at_hand.get(package.name.normalized()).map_or(&[][..], Vec::as_slice);
            let pinned = |wheel: &&&AtHand| wheel.is_of(package) && wheel.has_hash_of(package);
            match best(known.iter().filter(pinned).copied(), tags) {
                Some(wheel) => {
                    return Found::Wheel(Box::new(given(package, wheel, false, because)));
                }
                None => NOT_GIVEN.to_owned(),
            }
        } else {
            match wheel::choose(package, tags, &mut self.warnings) {
                Ok((artifact, _)) if !artifact.is_pinned() && !self.request.unpinned => {
                    let (file_name, source) = (artifact.file_name.clone(), source(package));
                    return Found::Unpinned(Unpinned { file_name, source });
                }
                Ok((artifact, file)) => {
                    return Found::Wheel(Box::new(Selected {
                        name: package.name.clone(),
                        version: package
                            .version
                            .clone()
                            .unwrap_or_else(|| file.version.to_string()),
                        file: wheel::normalized(&file),
                        written: artifact.file_name.clone(),
                        url: artifact.url.clone(),
                        path: artifact.path.clone(),
                        sha256: artifact.sha256,
                        other_hash: artifact.other_hash.clone(),
                        size: artifact.size,
                        supplied: false,
                        because,
                    }));
                }
                Err(reason) => reason,
            }
        };
        let supplied = self.supplied.get(package.name.normalized()).map_or(&[][..], Vec::as_slice);
        if let Some(wheel) =
            best(supplied.iter().filter(|wheel| wheel.is_of(package)).copied(), tags)
        {
            return Found::Wheel(Box::new(given(package, wheel, true, because)));
        }
        let (kind, path) = match &package.source {
            Source::Virtual(path) => (VIRTUAL, path),
            Source::Editable(path) => ("editable", path),
            Source::Directory(path) => ("directory", path),
            _ => return Found::Unavailable(reason),
        };
        let (name, version) = (package.name.clone(), package.version.clone());
        let (path, is_missing) = (path.clone(), !package.is_member && kind != VIRTUAL);
        Found::LeftOut(LeftOut { name, version, kind, path, is_missing, because })
    }

    /// What is odd about the wheels so far.
    pub(super) fn warnings(self) -> Vec<String> {
        self.warnings
    }
}

fn best<'w>(wheels: impl Iterator<Item = &'w AtHand>, tags: &Tags) -> Option<&'w AtHand> {
    let fitting = wheels.filter_map(|wheel| Some((tags.best(&wheel.file.tags)?, wheel)));
    let key = |(position, wheel): &(usize, &'w AtHand)| {
        (*position, std::cmp::Reverse(wheel.file.build.clone()))
    };
    fitting.min_by_key(key).map(|(_, wheel)| wheel)
}

fn given(package: &Package, wheel: &AtHand, supplied: bool, because: Vec<String>) -> Selected {
    Selected {
        name: package.name.clone(),
        version: package.version.clone().unwrap_or_else(|| wheel.file.version.to_string()),
        file: wheel::normalized(&wheel.file),
        written: wheel.file.as_str().to_owned(),
        url: None,
        path: Some(wheel.path.clone()),
        sha256: Some(wheel.sha256),
        other_hash: None,
        size: Some(wheel.size),
        supplied,
        because,
    }
}

/// Where a wheel without a hash comes from.
fn source(package: &Package) -> String {
    match &package.source {
        Source::Registry(Some(url)) if url.contains("://") => {
            format!("its source is the index {url}")
        }
        Source::Registry(Some(path)) => format!("its source is the directory {path}"),
        Source::Url(url) => format!("its source is {url}"),
        Source::Path(path) => format!("its source is the file {path}"),
        _ => "the lock has none of SHA-2, SHA-3 or BLAKE2".to_owned(),
    }
}
