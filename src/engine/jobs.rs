//! What compilers get, and how far they are: modules, with their bytes, and whose they are in
//! messages.
//!
//! Part of the engine.

use crate::effects::interpreters::compile::{Batch, Compiled, Compilers, Job};
use crate::effects::source::supply::{FeedError, Supply, SupplyErrors};
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::session::Session;
use crate::error::Error;
use crate::model::digest::Digest;
use crate::model::plan::Content;
use crate::model::plan::bytecode::{Module, Owner};
use crate::model::spec::Spec;

/// Compiles batches, and shows how far that is; `finish` makes of each what is wanted of it.
///
/// # Errors
/// A module cannot be read, or not be compiled on this machine; or `finish` fails.
pub(super) fn compile<R: Send + Sync>(
    session: &Session,
    compilers: &Compilers,
    batches: &[Batch],
    read: impl Fn(usize, usize) -> Result<Job, Error> + Sync,
    finish: impl Fn(usize, Vec<Compiled>) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let sizes = || batches.iter().flat_map(|batch| &batch.sizes);
    let total = Amount { items: sizes().count() as u64, bytes: sizes().sum() };
    session.progress.begin(Phase::Compiling, total);
    let read = |batch: usize, index: usize| {
        session.progress.advance(1, batches[batch].sizes[index]);
        read(batch, index)
    };
    compilers.compile_all(batches, read, |compiled| compiled, finish)
}

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
