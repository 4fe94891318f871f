//! The bytecode of a spec: from overlays that it names, from the store, or made now.
//!
//! Part of the engine. Nothing is compiled unless somebody named a compiler, and nothing is written
//! but into the store.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use crate::effects::caches::store::Store;
use crate::effects::interpreters::compile::{Compilers, History, Job};
use crate::effects::sink::overlay::{Aside, OverlayContents};
use crate::effects::source::overlay::{Found, Overlay, OverlayError};
use crate::effects::source::supply::Supply;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::bytecode;
use crate::engine::places::Places;
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::error::{Error, RefusedWheel, RefusedWheels};
use crate::model::bytecode::overlay::Recipe;
use crate::model::digest::Digest;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::finding::Findings;
use crate::model::plan::bytecode::{self as planned, Added, Compiled, Module, Owner};
use crate::model::plan::{PlanWarning, WheelIndex};
use crate::model::spec::{InputPath, Spec};

/// Bytecode that nobody has, and nobody may make: whose.
#[derive(Debug, thiserror::Error)]
#[error("there is no bytecode of {}", .0.join(", "))]
pub struct Unavailable(Vec<String>);

impl Explain for Unavailable {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.hint(
            "let `build` or `create` make it once, with `--compiler PYTHON`, or name overlays in the spec",
        )
    }

    fn code(&self) -> Option<&'static str> {
        Some("bytecode.unavailable")
    }
}

/// Adds the bytecode that the spec asks for to a plan.
///
/// # Errors
/// An overlay cannot be used, or bytecode that nobody has cannot be made.
pub(super) fn add(
    prepared: &mut Prepared,
    session: &Session,
    places: &Places,
    store: Option<&Store>,
) -> Result<(), Error> {
    let Some(wanted) = prepared.spec.bytecode.clone() else {
        return Ok(());
    };
    let modules = planned::modules(&prepared.plan, &prepared.spec);
    let mut gathering = Gathering {
        session,
        store,
        spec: &prepared.spec,
        supply: prepared.supply(),
        given: given(&prepared.spec, places)?,
        compilers: None,
        aside: Aside::default(),
    };
    let mut all = Vec::new();
    let mut uncompilable: BTreeMap<Owner, Findings> = BTreeMap::new();
    let mut wanting = Vec::new();
    let mut found = Vec::new();
    for recipe in wanted.recipes() {
        let mut begin = 0;
        for owned in modules.chunk_by(|one, two| one.owner == two.owner) {
            let first = begin;
            begin += owned.len();
            let Some(overlay) = gathering.overlay(&recipe, owned)? else {
                wanting.push(name(&prepared.spec, owned[0].owner));
                continue;
            };
            let mut has: Vec<(usize, Found)> = Vec::with_capacity(owned.len());
            let mut next = 0;
            for (index, module) in (first..).zip(owned) {
                // Both are sorted by name.
                let found = overlay.find(module.name, module.sha256, next)?;
                next = match found {
                    Found::Bytecode { member, .. } => member + 1,
                    Found::Skipped(_) => next + 1,
                };
                has.push((index, found));
            }
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
    }
    if !wanting.is_empty() {
        wanting.sort();
        wanting.dedup();
        return Err(Unavailable(wanting).into());
    }
    let warnings = judge(&prepared.spec, uncompilable)?;
    let compiled = found.into_iter().flat_map(|(recipe, overlay, has)| {
        let modules = &modules;
        has.into_iter().filter_map(move |(index, found)| match found {
            Found::Bytecode { member, sha256, size } => {
                let place = (overlay, member);
                Some((recipe, &modules[index], Compiled { place, sha256, size }))
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

/// What a person should know of modules that cannot be compiled.
///
/// # Errors
/// The spec denies that there are any.
fn judge(spec: &Spec, found: BTreeMap<Owner, Findings>) -> Result<Vec<PlanWarning>, Error> {
    let mut warnings = Vec::new();
    let mut refused = Vec::new();
    for (owner, findings) in found.into_iter().filter(|(_, findings)| !findings.is_empty()) {
        let owner = name(spec, owner);
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
    add(prepared, session, places, Some(store))?;
    Ok(true)
}

/// What an owner is called.
fn name(spec: &Spec, owner: Owner) -> String {
    match owner {
        Owner::Wheel(wheel) => spec.wheels[wheel.0].file_name.to_string(),
        Owner::Source(source) => format!("the source `{}`", spec.sources[source].path),
        Owner::Interpreter => "the interpreter".to_owned(),
    }
}

/// The overlays that a spec names, by whose they are.
fn given(spec: &Spec, places: &Places) -> Result<BTreeMap<Owner, Vec<Overlay>>, Error> {
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
        if let (Owner::Wheel(wheel), Some(found)) = (owner, overlay.document.wheel)
            && let Some(expected) =
                spec.wheels[wheel.0].sha256.filter(|expected| expected.0 != found)
        {
            return Err(OverlayError::Other {
                path: overlay.path().to_owned(),
                what: "bytecode of the wheel",
                found: found.to_hex(),
                expected: expected.to_string(),
            }
            .into());
        }
        given.entry(owner).or_default().push(overlay);
    }
    Ok(given)
}

/// Whoever may have bytecode.
struct Gathering<'a> {
    session: &'a Session,
    store: Option<&'a Store>,
    spec: &'a Spec,
    supply: Supply<'a>,
    given: BTreeMap<Owner, Vec<Overlay>>,
    compilers: Option<Compilers>,
    /// Where overlays lie that no store keeps, until they are open.
    aside: Aside,
}

impl Gathering<'_> {
    /// The overlay with the bytecode of modules of one owner; nothing where nobody has it and
    /// nobody may make it.
    fn overlay(
        &mut self,
        recipe: &Recipe,
        modules: &[Module<'_>],
    ) -> Result<Option<Overlay>, Error> {
        if let Some(overlays) = self.given.get_mut(&modules[0].owner) {
            let same_level = |overlay: &Overlay| overlay.document.recipe.level == recipe.level;
            if let Some(position) = overlays.iter().position(same_level) {
                let overlay = overlays.swap_remove(position);
                overlay.check_recipe(recipe)?;
                return Ok(Some(overlay));
            }
        }
        let key = recipe.key(modules.iter().map(|module| (module.name, module.sha256)));
        if let Some(path) = self.store.and_then(|store| store.overlay(key))
            && let Ok(overlay) = Overlay::open(&path, true)
            && overlay.check_recipe(recipe).is_ok()
        {
            return Ok(Some(overlay));
        }
        let Some(contents) = self.compile(recipe, modules)? else {
            return Ok(None);
        };
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
            None => self.aside.keep(&key.to_hex(), &bytes)?,
        };
        Ok(Some(Overlay::open(&path, true)?))
    }

    fn compile(
        &mut self,
        recipe: &Recipe,
        modules: &[Module<'_>],
    ) -> Result<Option<OverlayContents>, Error> {
        let Some(python) = &self.session.compiler else {
            return Ok(None);
        };
        if self.compilers.is_none() {
            let threads = self.session.threads();
            let started = Compilers::start(python, recipe.compiler, History::Clean, threads);
            self.compilers = Some(started?);
        }
        let compilers = self.compilers.as_ref().expect("started above");
        let sizes: Vec<u64> = modules.iter().map(|module| module.size).collect();
        let progress = &self.session.progress;
        let total = Amount { items: sizes.len() as u64, bytes: sizes.iter().sum() };
        progress.begin(Phase::Compiling, total);
        let compiled = compilers.compile(recipe, &sizes, |index| {
            let Module { name, content, sha256, size, .. } = modules[index];
            progress.advance(1, size);
            let digest = Digest { hash: sha256, size };
            bytecode::read(&self.supply, content, digest)
                .map(|source| Job { name: name.to_string(), source })
        })?;
        let wheel = match modules[0].owner {
            Owner::Wheel(wheel) => self.spec.wheels[wheel.0].sha256.map(|digest| digest.0),
            Owner::Source(_) | Owner::Interpreter => None,
        };
        let files = modules.iter().zip(compiled);
        let files =
            files.map(|(module, compiled)| (module.owned_name(), (module.sha256, compiled)));
        Ok(Some(OverlayContents { recipe: *recipe, wheel, files: files.collect() }))
    }
}
