//! Wheels that were fetched into the store and are gone again before they are read, because
//! somebody collects its garbage meanwhile: they are fetched again.
//!
//! Part of the engine.

use std::io;

use camino::Utf8Path;

use crate::effects::host::input::InputError;
use crate::effects::sink::directory::WriteError;
use crate::effects::source::supply::{SupplyError, SupplyErrors};
use crate::effects::wheels::load::WheelError;
use crate::engine::session::Session;
use crate::error::{Error, UnreadableInputs};
use crate::model::spec::Spec;

/// How often a build begins anew.
const TRIES: usize = 16;

/// Builds, and begins anew where all that was missing was in the store before.
///
/// # Errors
/// Those of the build.
pub(super) fn persistently<T>(
    session: &Session,
    spec: Spec,
    build: impl Fn(Spec) -> Result<T, Error>,
) -> Result<T, Error> {
    let fetching = session.fetching.as_deref().filter(|it| it.concerns(&spec.wheels));
    let Some(store) = fetching.and_then(|fetching| fetching.store.as_ref()) else {
        return build(spec);
    };
    for _ in 1..TRIES {
        match build(spec.clone()) {
            Err(error) if are_lost(&error, &store.root) => {}
            result => return result,
        }
    }
    build(spec)
}

/// Whether nothing else is wrong than that files below a directory are gone.
fn are_lost(error: &Error, root: &Utf8Path) -> bool {
    let is_lost = |error: &WheelError| match error {
        WheelError::Input(InputError::Io { path, source }) => {
            source.kind() == io::ErrorKind::NotFound && path.starts_with(root)
        }
        // Its time of change is that at which it was removed.
        WheelError::Input(InputError::Changed { path }) => path.starts_with(root),
        _ => false,
    };
    if let Some(UnreadableInputs(errors)) = error.get() {
        return errors.iter().all(is_lost);
    }
    let supply = match error.get() {
        Some(WriteError::Supply(errors)) => Some(errors),
        _ => error.get(),
    };
    let is_wheel =
        |error: &SupplyError| matches!(error, SupplyError::Wheel(error) if is_lost(error));
    supply.is_some_and(|SupplyErrors(errors)| errors.iter().all(is_wheel))
}
