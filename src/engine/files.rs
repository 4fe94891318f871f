//! Files and directories that the command line names: what front ends may do with them.

use std::io;

use camino::Utf8Path;

use crate::effects::host::file_hash;
use crate::effects::host::fs::{self, Kind, Permissions};
use crate::effects::host::input::InputFile;
use crate::effects::host::output_file;
use crate::effects::host::replaceable::{self, Protected};
use crate::effects::sink::publish;
use crate::error::{Error, NoSpec, UnreadableInputs};
use crate::model::digest::Hash;

pub use crate::effects::host::output_file::OutputFile;

/// Reads a regular file.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read(path: &Utf8Path) -> Result<Vec<u8>, Error> {
    Ok(fs::read(path)?)
}

/// Reads a document, which may come through a pipe.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_document(path: &Utf8Path) -> Result<Vec<u8>, Error> {
    Ok(fs::read_document(path)?)
}

/// The same as text.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_document_text(path: &Utf8Path) -> Result<String, Error> {
    Ok(fs::read_document_text(path)?)
}

/// Reads the document of a spec.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read_spec(path: &Utf8Path) -> Result<Vec<u8>, Error> {
    fs::read_document(path).map_err(|error| match error.source.kind() {
        io::ErrorKind::NotFound => NoSpec(error).into(),
        _ => error.into(),
    })
}

/// The beginning of an input, at most `limit` bytes.
///
/// # Errors
/// It cannot be read.
pub fn read_start(path: &Utf8Path, limit: u64) -> Result<Vec<u8>, Error> {
    let file = InputFile::open(path).map_err(UnreadableInputs::one)?;
    let mut bytes = vec![0; usize::try_from(file.size().min(limit)).unwrap_or(0)];
    file.read_at(&mut bytes, 0).map_err(UnreadableInputs::one)?;
    Ok(bytes)
}

/// The SHA-256 of an input.
///
/// # Errors
/// It cannot be read.
pub fn sha256(path: &Utf8Path) -> Result<Hash, Error> {
    Ok(file_hash::of(path).map_err(UnreadableInputs::one)?)
}

/// Names operation and place of an error.
pub fn failed(operation: &'static str, place: &Utf8Path) -> impl FnOnce(io::Error) -> Error {
    let failed = fs::failed(operation, place);
    move |error| failed(error).into()
}

/// Makes a directory and those above it.
///
/// # Errors
/// One cannot be made.
pub fn make_directories(path: &Utf8Path) -> Result<(), Error> {
    fs::create_directories(path, Permissions::Usual).map_err(failed("create", path))
}

/// Whether a path leads to a directory or below it, whatever links there are.
pub fn is_below(path: &Utf8Path, directory: &Utf8Path) -> bool {
    output_file::is_below(path, directory)
}

/// Whether a directory is an environment.
pub fn is_environment(path: &Utf8Path) -> bool {
    publish::is_environment(path)
}

/// Whether what is at a place, if anything, would give way to an environment.
///
/// # Errors
/// It would not.
pub fn check_gives_way(place: &Utf8Path, protected: &Protected) -> Result<(), Error> {
    if matches!(fs::kind(place)?, Kind::Directory | Kind::Other) {
        replaceable::check(place, protected)?;
    }
    Ok(())
}
