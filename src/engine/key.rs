//! The key of an environment: the action that makes it, from the spec and its inputs.
//!
//! Part of the engine.

use crate::effects::source::listing::ListedFiles;
use crate::engine::inputs::Inputs;
use crate::engine::places::Places;
use crate::engine::session::Session;
use crate::error::Error;
use crate::model::action::Action;
use crate::model::plan::Listing;
use crate::model::request::{self, Facts};
use crate::model::spec::Spec;

/// The action of a spec: wheels without a pinned digest are hashed, first-party inputs are listed.
/// Wheels that are pinned need not be there.
///
/// # Errors
/// An input cannot be read.
pub fn action(session: &Session, spec: &Spec, places: &Places) -> Result<Action, Error> {
    of(&Inputs::new(session, spec.clone(), places)?)
}

/// The action of a spec whose inputs are being opened.
pub(super) fn of(inputs: &Inputs<'_>) -> Result<Action, Error> {
    let listings = inputs.listings()?;
    let sources: Vec<&Listing> = listings.sources.iter().map(ListedFiles::listing).collect();
    let facts = Facts {
        wheels: inputs.wheel_digests()?,
        sources: &sources,
        launchers: &inputs.launcher_digests()?,
        interpreter: listings.interpreter.as_ref().map(ListedFiles::listing),
        overlays: inputs.overlay_digests()?,
    };
    let request = request::canonical(&inputs.spec, facts);
    Ok(Action::new(inputs.spec.flags.digest_function, request::render(&request)))
}
