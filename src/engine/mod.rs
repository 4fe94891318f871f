//! The engine: from a spec to an environment. What commands and the worker start.
//!
//! The layer between effects and front ends. Nothing here knows arguments or prints; nothing
//! touches an output before the plan has succeeded.
//!
//! A build is a search for a tree in the order of cost: the stamp of the output, the local store,
//! the remote cache ([`find`]), and last the wheels ([`make`]), which are opened only then. What is
//! found is put in its place ([`place`]). A build without caches is the same search with a shorter
//! list. Caches never change what is built.
//!
//! Files use only those that are listed above them.

mod places;

#[cfg(feature = "remote")]
mod indexes;

pub(crate) mod fetch;

mod report;
mod session;

mod prepared;

mod jobs;

pub(crate) mod bytecode;

mod known_wheels;

mod overlays;
mod unpack;

mod inputs;

pub mod key;
mod skeleton;
mod turns;

mod find;
mod output;

mod place;

mod make;

mod lost;

mod pack;
pub(crate) mod transfer;

pub(crate) mod compose;
pub(crate) mod judge;

pub(crate) mod archives;
pub(crate) mod directories;
pub(crate) mod files;
pub(crate) mod images;
pub(crate) mod interpreters;
pub(crate) mod machine;
pub(crate) mod remote;
pub(crate) mod reproduce;
pub(crate) mod store;
pub(crate) mod wheels;

pub(crate) mod environments;

pub(crate) mod proof;

use crate::effects::caches::store::Store;
use crate::effects::sink::publish::PublishError;
use crate::engine::find::CachedAction;
use crate::engine::inputs::Inputs;
use crate::engine::output::Output;
use crate::engine::place::{Placed, Placing};
use crate::error::{Error, Located};
use crate::model::digest::DigestFunction;
use crate::model::layers::LayerKind;
use crate::model::spec::{self, Spec};
use crate::model::tree::Tree;

pub use pack::{pack, pack_directory, pack_wheel, write_whole};
pub use places::Places;
pub use prepared::{Foresight, Prepared};
pub use report::{BuildRequest, Existing, Outcome, Report, SharedPlace, Source};
pub use session::{Caches, Session, Waiting};

/// Reads a spec. `origin` names it in errors.
///
/// # Errors
/// The text is no spec.
pub fn parse_spec(text: &str, origin: &str) -> Result<Spec, Error> {
    Ok(spec::parse(text).map_err(|error| Located { origin: origin.to_owned(), error })?)
}

/// Opens everything that a spec names, and plans.
///
/// # Errors
/// Inputs cannot be read, wheels are not accepted, or there is no plan.
pub fn prepare(session: &Session, spec: Spec, places: &Places) -> Result<Prepared, Error> {
    prepare_part(session, spec, places, None)
}

/// The same where at most one part of the environment is wanted, whose inputs are opened.
///
/// # Errors
/// Those of [`prepare`].
pub fn prepare_part(
    session: &Session,
    spec: Spec,
    places: &Places,
    part: Option<LayerKind>,
) -> Result<Prepared, Error> {
    let store = with_bytecode(session, &spec);
    Inputs::new(session, spec, places)?.only(part).load(None, store.as_ref())
}

/// Opens and plans one part of an environment that is no wheel's, without its bytecode.
///
/// # Errors
/// Those of [`prepare`].
pub fn prepare_sources(
    session: &Session,
    spec: Spec,
    places: &Places,
    part: LayerKind,
) -> Result<Prepared, Error> {
    Inputs::new(session, spec, places)?.without_wheels(part).without_bytecode().load(None, None)
}

/// Where bytecode may be that was made before, if the spec asks for it.
fn with_bytecode(session: &Session, spec: &Spec) -> Option<Store> {
    let fetching = session.fetching.as_deref().filter(|_| spec.bytecode.is_some())?;
    fetching.store_of(spec.flags.digest_function)
}

/// Plans an environment and the tree that a build would write, with the help of what the store
/// knows of the wheels. Those without a pinned digest are read, as it is known by their digests.
///
/// # Errors
/// Inputs are not what they should be, or there is no plan.
pub fn predict(
    session: &Session,
    caches: &Caches,
    spec: Spec,
    places: &Places,
) -> Result<(Prepared, Tree, Foresight), Error> {
    predicted(Inputs::new(session, spec, places)?, caches)
}

/// What [`predict`] finds out, of inputs that are being opened.
fn predicted(inputs: Inputs<'_>, caches: &Caches) -> Result<(Prepared, Tree, Foresight), Error> {
    let (session, places) = (inputs.session, inputs.places);
    let function = inputs.spec.flags.digest_function;
    let all_pinned = inputs.are_pinned();
    let store = caches.open_store(function);
    let known = store.as_ref().filter(|_| all_pinned);
    let wheels = known.map(|store| inputs.known_wheels(Some(store))).transpose()?;
    let other = if store.is_none() { with_bytecode(session, &inputs.spec) } else { None };
    let prepared = inputs.load(wheels.as_ref(), store.as_ref().or(other.as_ref()))?;
    let known = match (&wheels, function) {
        (Some(wheels), DigestFunction::Blake3) => {
            wheels.members(&session.planners(prepared.plan.entries.len()))
        }
        _ => Vec::new(),
    };
    let predict = || prepared.predict(session, &known);
    let (tree, foresight) =
        known_wheels::with_files(wheels.as_ref(), &prepared, (session, places), predict)?;
    Ok((prepared, tree, foresight))
}

/// The report of a build that has nothing to do, where that is known before the spec is read: the
/// output is still what was made of the same text, and that text decides everything.
///
/// # Errors
/// The digest file cannot be written.
pub fn unchanged(caches: &Caches, request: &BuildRequest) -> Result<Option<Report>, Error> {
    let Some((stamp, function)) = find::unchanged(caches, request) else {
        return Ok(None);
    };
    output::write_digest(request, stamp.root)?;
    Ok(Some(Report::of_stamp(&stamp, function)))
}

/// Builds an environment, with the help of caches where there are some; what goes wrong with them
/// is noted only.
///
/// # Errors
/// Inputs are not what they should be, the output is taken, or the file system refuses. The output
/// is then what it was before, unless it had to be emptied so that it could be renewed.
pub fn build(
    session: &Session,
    caches: &Caches,
    spec: Spec,
    places: &Places,
    request: &BuildRequest,
) -> Result<Report, Error> {
    let search = |spec: Spec, request: &BuildRequest| {
        lost::persistently(session, spec, |spec| {
            search(Inputs::new(session, spec, places)?, caches, request)
        })
    };
    if request.existing != Existing::Renew {
        return search(spec, request);
    }
    match search(spec.clone(), request) {
        Err(error) if matches!(error.get(), Some(PublishError::NoExchange { .. })) => {
            output::empty(request)?;
            let request = BuildRequest { existing: Existing::Keep, ..request.clone() };
            search(spec, &request)
        }
        result => result,
    }
}

/// Looks for the tree in the order of cost, and puts it in its place.
fn search(inputs: Inputs<'_>, caches: &Caches, request: &BuildRequest) -> Result<Report, Error> {
    let cached = CachedAction::of(caches, &inputs, request)?;
    let store = cached.as_ref().and_then(|cached| cached.store.as_ref());
    let output = Output::look(inputs.session, request, &caches.notes)?.remembered_by(store);
    let Some(cached) = &cached else {
        return make::from_wheels(inputs, &output, None);
    };
    if output.is_occupied()
        && let Some(stamp) = cached.stamped(request)
        && output.is_still(&stamp)
    {
        output.write_digest(stamp.root)?;
        return Ok(Report { looked: request.look, ..Report::of_stamp(&stamp, cached.function()) });
    }
    let found = cached.find(&inputs);
    let report = match found {
        Some(found) if cached.turns.are_held() => {
            let progress = &inputs.session.progress;
            cached.turns.hold(progress, || placed(inputs, &output, cached, found))
        }
        Some(found) => placed(inputs, &output, cached, found),
        None => cached.make(inputs, |inputs| make::from_wheels(inputs, &output, Some(cached))),
    }?;
    cached.turns.end();
    caches.keep_within_limit(cached.store.as_ref());
    Ok(report)
}

/// Puts a tree that a cache knows in its place, or makes it from the wheels where its files cannot
/// be had.
fn placed(
    inputs: Inputs<'_>,
    output: &Output<'_>,
    cached: &CachedAction<'_>,
    (tree, source): (Tree, Source),
) -> Result<Report, Error> {
    let session = inputs.session;
    let placing = Placing {
        session,
        caches: cached.caches,
        store: cached.store.as_ref(),
        mtime: inputs.spec.flags.mtime,
        output,
    };
    let Some(Placed { outcome, links }) = placing.place(&tree, source)? else {
        cached.caches.notes.add("the environment is built from the wheels instead");
        return make::from_wheels(inputs, output, Some(cached));
    };
    cached.remember_found(&tree, source);
    let mut warnings = Vec::new();
    if output.wants_manifest() {
        let known = inputs.known_wheels(cached.store.as_ref())?;
        let prepared = inputs.load(Some(&known), cached.store.as_ref())?;
        output.write_manifest(&prepared, &tree)?;
        warnings = prepared.plan.warnings;
    }
    output.write_digest(tree.digest())?;
    cached.stamp(output.path(), &tree, outcome);
    let source = match outcome {
        Outcome::UpToDate => Source::Output,
        Outcome::Built | Outcome::Replaced => source,
    };
    let action = Some(cached.key());
    let report = Report { action, links, warnings, ..Report::of(&tree, outcome, source) };
    session.let_go(tree);
    Ok(report)
}
