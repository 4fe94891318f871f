//! What a compiler gets: modules, with their bytes, and whose they are in messages.
//!
//! Part of the engine.

use crate::effects::interpreters::compile::Job;
use crate::effects::source::supply::{FeedError, Supply, SupplyErrors};
use crate::effects::work::pipeline::Crew;
use crate::error::Error;
use crate::model::digest::Digest;
use crate::model::plan::Content;
use crate::model::plan::bytecode::{Module, Owner};
use crate::model::spec::Spec;

/// A module that is to be compiled.
///
/// # Errors
/// It cannot be read.
pub(super) fn of_module(
    supply: &Supply<'_>,
    spec: &Spec,
    module: &Module<'_>,
) -> Result<Job, Error> {
    let digest = Digest { hash: module.sha256, size: module.size };
    let source = read(supply, module.content, digest)?;
    Ok(Job { name: module.name.to_owned(), owner: owner_name(spec, module.owner), source })
}

/// What an owner is called.
pub(super) fn owner_name(spec: &Spec, owner: Owner) -> String {
    match owner {
        Owner::Wheel(wheel) => spec.wheels[wheel.0].file_name.to_string(),
        Owner::Source(source) => format!("the source `{}`", spec.sources[source].path),
        Owner::Interpreter => "the interpreter".to_owned(),
    }
}

/// The whole of a source.
pub(super) fn read(
    supply: &Supply<'_>,
    content: &Content,
    digest: Digest,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let fed = supply.feed(content, digest, Crew::Alone, |part| {
        bytes.extend_from_slice(part);
        Ok::<_, std::convert::Infallible>(())
    });
    match fed {
        Ok(()) => Ok(bytes),
        Err(FeedError::Supply(error)) => Err(SupplyErrors::from(error).into()),
        Err(FeedError::Taker(never)) => match never {},
    }
}
