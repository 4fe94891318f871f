//! The bytecode of a spec: from overlays that it names, from the store, or made now.
//!
//! Part of the engine. Nothing is compiled unless somebody named a compiler, and nothing is written
//! but into the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::caches::store::Store;
use crate::effects::interpreters::compile::{Batch, Compiled, Compilers, History};
use crate::effects::sink::overlay::{Aside, OverlayContents};
use crate::effects::source::overlay::{Found, Overlay, OverlayError};
use crate::effects::source::supply::Supply;
use crate::effects::wheels::load::Wheel;
use crate::engine::jobs;
use crate::engine::known_wheels::KnownWheels;
use crate::engine::places::Places;
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::error::{Error, RefusedWheel, RefusedWheels};
use crate::model::bytecode::Level;
use crate::model::bytecode::overlay::Recipe;
use crate::model::digest::Hash;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::finding::Findings;
use crate::model::plan::bytecode::{Added, BytecodeFile, Module, Owner};
use crate::model::plan::{PlanWarning, WheelIndex};
use crate::model::quantity::list;
use crate::model::spec::{InputPath, Spec};

/// Bytecode that nobody has, and nobody may make: whose.
#[derive(Debug, thiserror::Error)]
#[error("there is no {} bytecode by {} of {}", recipe.validation.name(), recipe.compiler, list(.of, SHOWN))]
pub struct Unavailable {
    /// How it would have been made.
    recipe: Recipe,
    /// What has none, with the level where several are asked for.
    of: Vec<String>,
}

/// So many owners are named.
const SHOWN: usize = 10;

impl Unavailable {
    fn of(parts: &[Part<'_>], spec: &Spec, levels: usize) -> Self {
        let name = |part: &Part<'_>| match levels {
            1 => jobs::owner_name(spec, part.owner()),
            _ => {
                format!("{} (level {})", jobs::owner_name(spec, part.owner()), part.recipe.level)
            }
        };
        let names: BTreeSet<String> = parts.iter().map(name).collect();
        Self { recipe: parts[0].recipe, of: names.into_iter().collect() }
    }
}

impl Explain for Unavailable {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.hint(
            "let `build` make it once, with `--compiler PYTHON` and the same store, or name overlays in the spec",
        )
    }

    fn code(&self) -> Option<&'static str> {
        Some("bytecode.unavailable")
    }
}

/// Adds the bytecode that the spec asks for to a plan. Of wheels that are only known, files are
/// opened where they have to be compiled.
///
/// # Errors
/// An overlay cannot be used, or bytecode that nobody has cannot be made.
pub(super) fn add(
    prepared: &mut Prepared,
    session: &Session,
    places: &Places,
    store: Option<&Store>,
    known: Option<&KnownWheels<'_>>,
) -> Result<(), Error> {
    let Some(wanted) = prepared.spec.bytecode.clone() else {
        return Ok(());
    };
    let modules = prepared.modules(&wanted.excluded());
    let mut gathering = Gathering {
        session,
        store,
        spec: &prepared.spec,
        supply: prepared.supply(),
        given: given(&prepared.spec, &wanted.levels, places)?,
        aside: Mutex::default(),
    };
    let mut parts = Vec::new();
    for recipe in wanted.recipes() {
        let mut first = 0;
        for owned in modules.chunk_by(|one, two| one.owner == two.owner) {
            let part = Part { recipe, modules: owned };
            parts.push((first, part, gathering.overlay(&part)?));
            first += owned.len();
        }
    }
    let absent = parts.iter().filter(|(.., overlay)| overlay.is_none());
    let absent: Vec<Part<'_>> = absent.map(|(_, part, _)| *part).collect();
    let mut made = match (&session.compiler, known) {
        _ if absent.is_empty() => Vec::new(),
        (None, _) => {
            return Err(Unavailable::of(&absent, &prepared.spec, wanted.levels.len()).into());
        }
        (Some(python), known) => {
            if let Some(known) = known {
                let of = |wheel| absent.iter().any(|part| part.owner() == Owner::Wheel(wheel));
                let is_read = |wheel, found: &Wheel| !found.is_open() && of(wheel);
                known.open_absent(prepared, session, places, is_read)?;
            }
            gathering.make(python, &absent)?
        }
    }
    .into_iter();
    let mut all = Vec::new();
    let mut uncompilable: BTreeMap<Owner, Findings> = BTreeMap::new();
    let mut found = Vec::new();
    for (first, Part { recipe, modules: owned }, overlay) in parts {
        let overlay = overlay.or_else(|| made.next()).expect("what was absent was made");
        let looked_up = look_up(&overlay, owned);
        let looked_up = looked_up.map_err(|(module, error)| mismatch(prepared, module, error))?;
        let has = (first..).zip(looked_up).collect::<Vec<(usize, Found)>>();
        let flags = &prepared.spec.flags;
        let mut findings = Findings::with_policy(&flags.allow, &flags.deny);
        for (index, found) in &has {
            if let Found::Skipped(reason) = found {
                findings.add_uncompilable(modules[*index].name, reason);
            }
        }
        uncompilable.insert(owned[0].owner, findings);
        found.push((recipe, all.len(), has));
        all.push(overlay);
    }
    let warnings = judge(&prepared.spec, uncompilable)?;
    let compiled = found.into_iter().flat_map(|(recipe, overlay, has)| {
        let modules = &modules;
        has.into_iter().filter_map(move |(index, found)| match found {
            Found::Bytecode { member, sha256, size } => {
                let place = (overlay, member);
                Some((recipe, &modules[index], BytecodeFile { place, sha256, size }))
            }
            Found::Skipped(_) => None,
        })
    });
    let added = Added::new(compiled);
    prepared.plan.warnings.extend(warnings);
    prepared.plan.add_bytecode(added);
    prepared.overlays = all;
    Ok(())
}

/// What an overlay has of each of some modules.
///
/// # Errors
/// It is of others: the first module for which that is so.
fn look_up<'m>(
    overlay: &Overlay,
    modules: &'m [Module<'m>],
) -> Result<Vec<Found>, (&'m Module<'m>, OverlayError)> {
    let mut next = 0;
    let find = |module: &'m Module<'m>| {
        // Both are sorted by name.
        let found = overlay.find(module.name, module.sha256, next);
        let found = found.map_err(|error| (module, error))?;
        next = match found {
            Found::Bytecode { member, .. } => member + 1,
            Found::Skipped(_) => next + 1,
        };
        Ok(found)
    };
    modules.iter().map(find).collect()
}

/// Why an overlay has no bytecode of a module: it is that of something else, unless the module is
/// not what its wheel says that it is.
fn mismatch(prepared: &Prepared, module: &Module<'_>, error: OverlayError) -> Error {
    let is_here = match module.owner {
        Owner::Wheel(wheel) => prepared.wheels[wheel.0].is_open(),
        Owner::Source(_) | Owner::Interpreter => false,
    };
    let read = || jobs::of_module(&prepared.supply(), &prepared.spec, module).err();
    is_here.then(read).flatten().unwrap_or_else(|| error.into())
}

/// What a person should know of modules that cannot be compiled.
///
/// # Errors
/// The spec denies that there are any.
fn judge(spec: &Spec, found: BTreeMap<Owner, Findings>) -> Result<Vec<PlanWarning>, Error> {
    let mut warnings = Vec::new();
    let mut refused = Vec::new();
    for (owner, findings) in found.into_iter().filter(|(_, findings)| !findings.is_empty()) {
        let owner = jobs::owner_name(spec, owner);
        let count = findings.count();
        if findings.has_errors() {
            refused.push(RefusedWheel { wheel: owner, findings: findings.finish() });
        } else if let Some(module) = findings.as_slice().first().and_then(|one| one.member.clone())
        {
            warnings.push(PlanWarning::Uncompilable { owner, module, count });
        }
    }
    if refused.is_empty() { Ok(warnings) } else { Err(RefusedWheels(refused).into()) }
}

/// Adds bytecode of a plan again where overlays of the store are damaged, which are removed;
/// whether there were any.
///
/// # Errors
/// What is gone cannot be made.
pub(super) fn mend(
    prepared: &mut Prepared,
    session: &Session,
    places: &Places,
    store: &Store,
    known: Option<&KnownWheels<'_>>,
) -> Result<bool, Error> {
    let damaged = |overlay: &&Overlay| overlay.proven && !overlay.is_whole();
    let damaged: Vec<&Overlay> = prepared.overlays.iter().filter(damaged).collect();
    if damaged.is_empty() {
        return Ok(false);
    }
    for overlay in damaged {
        store.discard_overlay(overlay.path());
    }
    prepared.plan.remove_bytecode();
    add(prepared, session, places, Some(store), known)?;
    Ok(true)
}

/// The overlay of an owner at a level, among those that a spec names.
pub(super) fn of(
    given: &BTreeMap<Owner, Vec<Overlay>>,
    owner: Owner,
    level: Level,
) -> Option<&Overlay> {
    let mut overlays = given.get(&owner)?.iter();
    overlays.find(|overlay| overlay.document.recipe.level == level)
}

/// The overlays that a spec names, by whose they are.
///
/// # Errors
/// One cannot be read, is of another wheel, or of a level that is not wanted or has one.
pub(super) fn given(
    spec: &Spec,
    levels: &BTreeSet<Level>,
    places: &Places,
) -> Result<BTreeMap<Owner, Vec<Overlay>>, Error> {
    let mut named: Vec<(Owner, &[InputPath])> = Vec::new();
    let wheels = spec.wheels.iter().enumerate();
    named.extend(wheels.map(|(index, wheel)| (Owner::Wheel(WheelIndex(index)), &*wheel.bytecode)));
    let sources = spec.sources.iter().enumerate();
    named.extend(sources.map(|(index, source)| (Owner::Source(index), &*source.bytecode)));
    let interpreter = spec.bytecode.iter();
    named.extend(interpreter.map(|found| (Owner::Interpreter, &*found.interpreter)));
    let mut given: BTreeMap<Owner, Vec<Overlay>> = BTreeMap::new();
    for (owner, path) in
        named.into_iter().flat_map(|(owner, paths)| paths.iter().map(move |path| (owner, path)))
    {
        let overlay = Overlay::open(&places.find(path), false)?;
        let other = |what, found: String, expected: String| OverlayError::Other {
            path: overlay.path().to_owned(),
            what,
            found,
            expected,
        };
        if let (Owner::Wheel(wheel), Some(found)) = (owner, overlay.document.wheel)
            && let Some(expected) =
                spec.wheels[wheel.0].sha256.filter(|expected| expected.0 != found)
        {
            let what = "bytecode of a wheel with the SHA-256";
            let expected = format!("that of {}, {expected}", spec.wheels[wheel.0].file_name);
            return Err(other(what, found.to_hex(), expected).into());
        }
        let of_owner = given.entry(owner).or_default();
        let level = overlay.document.recipe.level;
        let is_twice = of_owner.iter().any(|other| other.document.recipe.level == level);
        if is_twice || !levels.contains(&level) {
            let texts: Vec<String> = levels.iter().map(Level::to_string).collect();
            let expected = format!("one overlay of each of {}", texts.join(", "));
            return Err(other("the level", level.to_string(), expected).into());
        }
        of_owner.push(overlay);
    }
    Ok(given)
}

/// Modules of one owner, and how they are compiled.
#[derive(Clone, Copy)]
struct Part<'m> {
    recipe: Recipe,
    modules: &'m [Module<'m>],
}

impl Part<'_> {
    fn owner(&self) -> Owner {
        self.modules[0].owner
    }

    /// By what the store knows its bytecode.
    fn key(&self) -> Hash {
        self.recipe.key(self.modules.iter().map(|module| (module.name, module.sha256)))
    }
}

/// Whoever may have bytecode.
struct Gathering<'a> {
    session: &'a Session,
    store: Option<&'a Store>,
    spec: &'a Spec,
    supply: Supply<'a>,
    given: BTreeMap<Owner, Vec<Overlay>>,
    /// Where overlays lie that no store keeps, until they are open.
    aside: Mutex<Aside>,
}

impl Gathering<'_> {
    /// The overlay with the bytecode of a part, that the spec names or the store has.
    fn overlay(&mut self, part: &Part<'_>) -> Result<Option<Overlay>, OverlayError> {
        let recipe = &part.recipe;
        if let Some(overlays) = self.given.get_mut(&part.owner()) {
            let same_level = |overlay: &Overlay| overlay.document.recipe.level == recipe.level;
            if let Some(position) = overlays.iter().position(same_level) {
                let overlay = overlays.swap_remove(position);
                overlay.check_recipe(recipe)?;
                return Ok(Some(overlay));
            }
        }
        let kept = self.store.and_then(|store| store.overlay(part.key()));
        let kept = kept.and_then(|path| Overlay::open(&path, true).ok());
        Ok(kept.filter(|overlay| overlay.check_recipe(recipe).is_ok()))
    }

    /// The same, made now.
    fn make(&self, python: &Utf8Path, parts: &[Part<'_>]) -> Result<Vec<Overlay>, Error> {
        let compiler = parts[0].recipe.compiler;
        let compilers = Compilers::start(python, compiler, History::Clean, self.session.staff())?;
        let batch = |part: &Part<'_>| {
            let sizes = part.modules.iter().map(|module| module.size).collect();
            Batch { recipe: part.recipe, sizes }
        };
        let batches: Vec<Batch> = parts.iter().map(batch).collect();
        let read = |part: usize, index: usize| {
            jobs::of_module(&self.supply, self.spec, &parts[part].modules[index])
        };
        let finish = |part: usize, compiled| self.keep(&parts[part], compiled);
        jobs::compile(self.session, &compilers, &batches, read, finish)
    }

    /// Keeps what the modules of a part became.
    fn keep(&self, part: &Part<'_>, compiled: Vec<Compiled>) -> Result<Overlay, Error> {
        let wheel = match part.owner() {
            Owner::Wheel(wheel) => self.spec.wheels[wheel.0].sha256.map(|digest| digest.0),
            Owner::Source(_) | Owner::Interpreter => None,
        };
        let files = part.modules.iter().zip(compiled);
        let files =
            files.map(|(module, compiled)| (module.owned_name(), (module.sha256, compiled)));
        let contents = OverlayContents { recipe: part.recipe, wheel, files: files.collect() };
        let key = part.key();
        let mut bytes = Vec::new();
        contents.write(&mut bytes).expect("memory takes everything");
        let mut kept: Option<Utf8PathBuf> = None;
        if let Some(store) = self.store {
            store.attempt(|| {
                kept = Some(store.keep_overlay(key, &bytes)?);
                Ok(())
            });
        }
        let path = match kept {
            Some(path) => path,
            None => {
                let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
                aside.keep(&key.to_hex(), &bytes)?
            }
        };
        Ok(Overlay::open(&path, true)?)
    }
}
