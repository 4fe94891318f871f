//! What build systems read: the files and closures of a lock for several declared interpreters.
//!
//! Model layer. A function of a lock and of targets; the text is the same on every run and has one package a line, so that a
//! change of the lock is a change of few lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::digest::Hash;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::interpreter::Interpreter;
use crate::model::lock::closures::{Closures, Part, Rank};
use crate::model::lock::names::{Request, Wanted};
use crate::model::lock::problem::LockError;
use crate::model::lock::select::{self, Choice, Found, Selected, Target};
use crate::model::lock::walk::{Reached, Start, Walk};
use crate::model::lock::{Lock, LockKind, Package};
use crate::model::spec::document::PlatformDocument;
use crate::model::wheel::member_hash::OtherHash;

/// The version of the format.
const VERSION: u32 = 2;
/// What stands for every target where all have the same; no target can be called so.
const EVERY: &str = "*";
/// The set of what the project requires.
const ALL: &str = "all";
/// What stands in a closure for a package without a wheel begins so.
const PACKAGE: &str = "package:";
/// What names of sets begin with in closures, where names of packages stand, too.
const SET: &str = "set:";
/// The most references to files in all closures together. They grow with the square of a ring of packages, of which real locks have
/// short ones only.
const REFERENCE_LIMIT: usize = 1_000_000;

/// Why there is no index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The lock cannot be used for a target.
    #[error("target `{target}`: {}", error.reasons().join("; "))]
    Lock {
        /// Its name.
        target: String,
        /// Why.
        error: LockError,
    },
    /// Closures that nobody could read.
    #[error("the closures of its packages have more than {REFERENCE_LIMIT} files together")]
    TooLarge,
}

impl Explain for IndexError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Lock { error, .. } => Explanation { kind: ErrorKind::Spec, ..error.explain() },
            Self::TooLarge => ErrorKind::Spec.no_hint(),
        }
    }
}

/// The index of a lock.
#[derive(Debug, Clone, Default)]
pub struct LockIndex {
    lock_sha256: String,
    targets: BTreeMap<String, Value>,
    files: BTreeMap<String, Value>,
    packages: BTreeMap<String, Entry>,
    sets: BTreeMap<String, Set>,
    /// What is odd.
    pub warnings: Vec<String>,
    references: usize,
}

/// A package.
#[derive(Debug, Clone, Default)]
struct Entry {
    targets: BTreeMap<String, BTreeMap<&'static str, Value>>,
    extras: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    unavailable: BTreeMap<String, String>,
}

/// What can be asked for besides packages.
#[derive(Debug, Clone, Default)]
struct Set {
    targets: BTreeMap<String, Vec<String>>,
    unavailable: BTreeMap<String, String>,
}

/// Makes the index of a lock for targets. `sha256` is the lock's own.
///
/// # Errors
/// The lock is not for one of the targets, or a closure is out of bounds. A package without a wheel is no error: the index says so
/// where it is needed.
pub fn index(
    lock: &Lock,
    sha256: Hash,
    targets: &BTreeMap<String, Interpreter>,
) -> Result<LockIndex, IndexError> {
    let mut index = LockIndex { lock_sha256: sha256.to_hex(), ..LockIndex::default() };
    for (name, interpreter) in targets {
        index.targets.insert(name.clone(), facts(interpreter));
        let target = Target::new(interpreter);
        let (known, closures) = (BTreeMap::new(), Closures::default());
        Building { index: &mut index, lock, name, target: &target, known, closures }.add()?;
    }
    index.warnings.sort();
    index.warnings.dedup();
    Ok(index)
}

/// The facts of an interpreter as specs have them, with sorted keys.
pub fn facts(interpreter: &Interpreter) -> Value {
    let platform = match json!(PlatformDocument::from(interpreter)) {
        Value::Object(platform) => json!(platform.into_iter().collect::<BTreeMap<_, _>>()),
        other => other,
    };
    json!({
        "abi": interpreter.abi,
        "implementation": interpreter.implementation.name(),
        "platform": platform,
        "version": interpreter.version.as_str(),
    })
}

/// One target's part.
struct Building<'a> {
    index: &'a mut LockIndex,
    lock: &'a Lock,
    name: &'a str,
    target: &'a Target<'a>,
    /// What stands for a package in closures; nothing for the project's own.
    known: BTreeMap<usize, Option<Part>>,
    closures: Closures,
}

impl<'a> Building<'a> {
    fn add(mut self) -> Result<(), IndexError> {
        let fail = |error| IndexError::Lock { target: self.name.to_owned(), error };
        select::check_target(self.lock, self.target).map_err(fail)?;
        let sets = self.wanted().map_err(fail)?;
        let mut reached = BTreeMap::new();
        for (name, wanted) in &sets {
            match self.positions(wanted) {
                Ok(positions) => {
                    reached.insert(name.as_str(), positions);
                }
                Err(error) if *name == ALL => return Err(fail(error)),
                // Only who asks for that extra or group is refused.
                Err(error) => {
                    let set = self.index.sets.entry(name.clone()).or_default();
                    let why = format!("{name}: {}", error.reasons().join("; "));
                    set.unavailable.insert(self.name.to_owned(), why);
                }
            }
        }
        let all: BTreeSet<usize> = reached.values().flatten().copied().collect();
        self.find(&all).map_err(fail)?;
        for (name, positions) in &reached {
            let rank = if *name == ALL { Rank::All } else { Rank::Set };
            self.closure(format!("{SET}{name}"), rank, None, positions.iter().copied())?;
        }
        self.packages(&sets, &reached)?;
        let closures = std::mem::take(&mut self.closures);
        for (name, said) in closures.said() {
            self.index.say(self.name, &name, said);
        }
        Ok(())
    }

    /// What can be asked for: all that the project requires, that with each extra, each group by itself.
    fn wanted(&self) -> Result<BTreeMap<String, Wanted>, LockError> {
        let request = Request { no_default_groups: true, ..Request::default() };
        let all = Wanted::new(self.lock, &request)?;
        let mut sets = BTreeMap::new();
        // A pylock.toml can have groups that count by default: they are what its packages are filtered by.
        let default = match self.lock.kind {
            LockKind::Pylock => Wanted::new(self.lock, &Request::default())?,
            _ => all.clone(),
        };
        for extra in self.lock.extras(&all.members) {
            let wanted = Wanted { extras: [extra.clone()].into(), ..default.clone() };
            sets.insert(format!("extra_{}", underscored(&extra)), wanted);
        }
        for group in self.lock.groups(&all.members) {
            let wanted = Wanted { groups: [group.clone()].into(), project: false, ..all.clone() };
            sets.insert(format!("group_{}", underscored(&group)), wanted);
        }
        sets.insert(ALL.to_owned(), default);
        Ok(sets)
    }

    /// The packages of a set.
    fn positions(&self, wanted: &Wanted) -> Result<BTreeSet<usize>, LockError> {
        if self.lock.kind != LockKind::Uv {
            return Ok(select::listed(self.lock, self.target, wanted)?.into_keys().collect());
        }
        let (mut walk, starts) = Walk::new(self.lock, &self.target.environment, wanted)?;
        let reached: Reached<'_> = walk.reach(starts);
        walk.undecided()?;
        Ok(reached.into_keys().collect())
    }

    /// Looks for the wheel of each package.
    fn find(&mut self, positions: &BTreeSet<usize>) -> Result<(), LockError> {
        let request = Request::default();
        let mut choice = Choice::new(self.lock, self.target, &request);
        for position in positions.iter().copied() {
            let package = &self.lock.packages[position];
            if package.is_unaddressed() {
                return Err(LockError::NoAddresses);
            }
            let name = package.name.normalized();
            let stands = match choice.find(package, Vec::new()) {
                Found::Wheel(wheel) => {
                    let key = format!("{}_{}", underscored(name), short(&wheel));
                    self.index.files.entry(key.clone()).or_insert_with(|| file(&wheel));
                    Some(self.closures.part(key))
                }
                Found::LeftOut(left_out) => {
                    self.index.warnings.extend(left_out.warning());
                    None
                }
                // A build system fetches nothing whose hash it does not know.
                Found::Unpinned(wheel) => Some(self.unavailable(package, &wheel.to_string())),
                Found::Unavailable(reason) => Some(self.unavailable(package, &reason)),
            };
            self.known.insert(position, stands);
        }
        self.index.warnings.extend(choice.warnings());
        Ok(())
    }

    /// What stands for a package of which there is no wheel.
    fn unavailable(&mut self, package: &Package, reason: &str) -> Part {
        let name = package.name.normalized();
        let entry = self.index.packages.entry(name.to_owned()).or_default();
        entry.unavailable.insert(self.name.to_owned(), format!("{}: {reason}", package.title()));
        self.closures.part(format!("{PACKAGE}{name}"))
    }

    /// Adds the closure of packages.
    fn closure(
        &mut self,
        name: String,
        rank: Rank,
        own: Option<Part>,
        positions: impl Iterator<Item = usize>,
    ) -> Result<(), IndexError> {
        let parts = positions.filter_map(|position| self.known.get(&position).copied().flatten());
        self.index.references += self.closures.add(name, rank, own, parts);
        if self.index.references > REFERENCE_LIMIT {
            return Err(IndexError::TooLarge);
        }
        Ok(())
    }

    /// The packages with their closures, each as the first set has it that has it in one version: `all` comes before the others.
    fn packages(
        &mut self,
        sets: &BTreeMap<String, Wanted>,
        reached: &BTreeMap<&str, BTreeSet<usize>>,
    ) -> Result<(), IndexError> {
        let fail = |error| IndexError::Lock { target: self.name.to_owned(), error };
        let mut versions: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for position in reached.values().flatten().copied() {
            versions
                .entry(self.lock.packages[position].name.normalized())
                .or_default()
                .insert(position);
        }
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for (set, wanted) in sets {
            let Some(positions) = reached.get(set.as_str()) else { continue };
            let mut walk = match self.lock.kind {
                LockKind::Uv => {
                    Some(Walk::new(self.lock, &self.target.environment, wanted).map_err(fail)?.0)
                }
                _ => None,
            };
            for position in positions.iter().copied() {
                let package = &self.lock.packages[position];
                let name = package.name.normalized();
                if set != ALL && versions[name].len() > 1 {
                    // Which of them it is depends on what else is asked for.
                    if !reached[ALL].iter().any(|position| versions[name].contains(position)) {
                        let titles: Vec<String> = versions[name]
                            .iter()
                            .map(|position| self.lock.packages[*position].title())
                            .collect();
                        let why = format!(
                            "which one it is depends on extras and groups: {}",
                            titles.join(", ")
                        );
                        let entry = self.index.packages.entry(name.to_owned()).or_default();
                        entry.unavailable.insert(self.name.to_owned(), why);
                    }
                    continue;
                }
                if !done.insert(name) {
                    continue;
                }
                self.package(position, walk.as_mut())?;
            }
        }
        Ok(())
    }

    fn package<'w>(
        &mut self,
        position: usize,
        mut walk: Option<&mut Walk<'w>>,
    ) -> Result<(), IndexError>
    where
        'a: 'w,
    {
        let lock = self.lock;
        let package = &lock.packages[position];
        let name = package.name.normalized();
        let mut reach = |extra: Option<&str>| -> Result<Vec<usize>, LockError> {
            let Some(walk) = walk.as_deref_mut() else {
                return Ok(vec![position]);
            };
            let extra = extra
                .and_then(|extra| package.extras.get_key_value(extra))
                .map(|(extra, _)| extra.as_str());
            let mut starts = vec![Start::at((position, None))];
            starts.extend(extra.map(|extra| Start::at((position, Some(extra)))));
            let reached = walk.reach(starts);
            walk.undecided()?;
            Ok(reached.into_keys().collect())
        };
        let mut closures = vec![(None, reach(None))];
        closures.extend(package.extras.keys().map(|extra| (Some(extra), reach(Some(extra)))));
        let own = self.known.get(&position).copied().flatten();
        let mut said = BTreeMap::new();
        if let Some(version) = &package.version {
            said.insert("version", json!(version));
        }
        let whl = own.map(|own| self.closures.name(own)).filter(|own| !own.starts_with(PACKAGE));
        if let Some(whl) = whl {
            said.insert("whl", json!(whl));
        }
        let entry = self.index.packages.entry(name.to_owned()).or_default();
        entry.targets.insert(self.name.to_owned(), said);
        for (extra, closure) in closures {
            let fail = |error| IndexError::Lock { target: self.name.to_owned(), error };
            let closure = closure.map_err(fail)?;
            let name = extra.map_or(name.to_owned(), |extra| format!("{name}[{extra}]"));
            self.closure(name, Rank::Package, own, closure.into_iter())?;
        }
        Ok(())
    }
}

fn underscored(name: &str) -> String {
    name.replace('-', "_")
}

/// Enough of a hash to tell files of one package apart.
fn short(wheel: &Selected) -> String {
    let digits = match (&wheel.sha256, &wheel.other_hash) {
        (Some(hash), _) => hash.to_hex(),
        (None, Some((_, digits))) => digits.clone(),
        (None, None) => String::new(),
    };
    digits.chars().take(12).collect()
}

fn file(wheel: &Selected) -> Value {
    let mut file = Map::new();
    file.insert("name".to_owned(), json!(wheel.file.as_str()));
    if let Some(path) = &wheel.path {
        file.insert("path".to_owned(), json!(path));
    }
    if let Some(hash) = &wheel.sha256 {
        file.insert("sha256".to_owned(), json!(hash.to_hex()));
    } else if let Some((algorithm, digits)) = &wheel.other_hash {
        file.insert(algorithm.clone(), json!(digits));
        if let Some(hash) = OtherHash::parse(algorithm, digits) {
            file.insert("integrity".to_owned(), json!(hash.integrity()));
        }
    }
    if let Some(size) = wheel.size {
        file.insert("size".to_owned(), json!(size));
    }
    let urls: Vec<&String> = wheel.url.iter().collect();
    file.insert("urls".to_owned(), json!(urls));
    Value::Object(file)
}

impl LockIndex {
    /// Puts what is said of a closure where that is: at a set, a package, or a package's extra.
    fn say(&mut self, target: &str, name: &str, said: Vec<String>) {
        if let Some(set) = name.strip_prefix(SET) {
            let set = self.sets.entry(set.to_owned()).or_default();
            set.targets.insert(target.to_owned(), said);
            return;
        }
        let (package, extra) = name.split_once('[').unwrap_or((name, ""));
        let entry = self.packages.entry(package.to_owned()).or_default();
        if let Some(extra) = extra.strip_suffix(']') {
            let extra = entry.extras.entry(extra.to_owned()).or_default();
            extra.insert(target.to_owned(), said);
        } else if !said.is_empty() {
            let own = entry.targets.entry(target.to_owned()).or_default();
            own.insert("requires", json!(said));
        }
    }

    /// The text: JSON with sorted keys, one file, package and set a line.
    pub fn render(&self) -> String {
        let mut text = String::from("{\n");
        let count = self.targets.len();
        let packages = self.packages.iter().map(|(name, entry)| (name, entry.value(count)));
        let sets = self.sets.iter().map(|(name, set)| (name, set.value(count)));
        section(&mut text, "files", self.files.iter().map(|(name, file)| (name, file.clone())));
        let _ = writeln!(text, "  \"lock_sha256\": \"{}\",", self.lock_sha256);
        section(&mut text, "packages", packages);
        section(&mut text, "sets", sets);
        section(
            &mut text,
            "targets",
            self.targets.iter().map(|(name, target)| (name, target.clone())),
        );
        let _ = write!(text, "  \"version\": {VERSION}\n}}\n");
        text
    }
}

/// What is said for each of `count` targets, once where it is the same for all of several.
fn merged<V: PartialEq>(by_target: &BTreeMap<String, V>, count: usize) -> BTreeMap<&str, &V> {
    let mut values = by_target.values();
    match values.next() {
        Some(first) if count > 1 && by_target.len() == count && values.all(|one| one == first) => {
            [(EVERY, first)].into()
        }
        _ => by_target.iter().map(|(target, value)| (target.as_str(), value)).collect(),
    }
}

/// What is said for each of `count` targets. Targets stand beside other keys, none of which may be a
/// target's name.
fn said<'a, V: PartialEq + Serialize>(
    targets: &'a BTreeMap<String, V>,
    unavailable: &'a BTreeMap<String, String>,
    count: usize,
) -> BTreeMap<&'a str, Value> {
    let targets = merged(targets, count).into_iter();
    let mut all: BTreeMap<&str, Value> = targets.map(|(name, said)| (name, json!(said))).collect();
    if !unavailable.is_empty() {
        all.insert("unavailable", json!(merged(unavailable, count)));
    }
    all
}

impl Set {
    fn value(&self, count: usize) -> Value {
        json!(said(&self.targets, &self.unavailable, count))
    }
}

impl Entry {
    fn value(&self, count: usize) -> Value {
        let mut all = said(&self.targets, &self.unavailable, count);
        if !self.extras.is_empty() {
            let extras = self.extras.iter().map(|(name, extra)| (name, merged(extra, count)));
            all.insert("extras", json!(extras.collect::<BTreeMap<_, _>>()));
        }
        json!(all)
    }
}

fn section<'a>(text: &mut String, name: &str, entries: impl Iterator<Item = (&'a String, Value)>) {
    let lines: Vec<String> =
        entries.map(|(key, value)| format!("    {}: {value}", json!(key))).collect();
    if lines.is_empty() {
        let _ = writeln!(text, "  {}: {{}},", json!(name));
    } else {
        let _ = writeln!(text, "  {}: {{\n{}\n  }},", json!(name), lines.join(",\n"));
    }
}
