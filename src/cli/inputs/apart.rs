//! Outputs that are inputs, or would become parts of them: what a command reads it does not write
//! to.

use camino::Utf8Path;

use crate::engine::Places;
use crate::engine::files::{self, OutputFile};
use crate::error::Error;
use crate::model::spec::Spec;

/// Refuses to write to a file that the same command reads, by whatever name: what it held would be
/// lost.
pub(crate) fn check_file(
    file: &OutputFile,
    inputs: impl IntoIterator<Item = impl AsRef<Utf8Path>>,
) -> Result<(), Error> {
    if inputs.into_iter().any(|input| file.is_at(input.as_ref())) {
        Err(is_input(file))
    } else {
        Ok(())
    }
}

/// The same for all that a spec names, files in its directories included.
pub(crate) fn check_files<'a>(
    files: impl IntoIterator<Item = &'a OutputFile>,
    spec: &Spec,
    places: &Places,
) -> Result<(), Error> {
    for file in files {
        check_file(file, places.all(spec))?;
        if file.path().as_std_path().is_file()
            && places.directories(spec).any(|directory| file.is_in(&directory))
        {
            return Err(is_input(file));
        }
    }
    Ok(())
}

/// Refuses to make an environment in a directory that goes into it as a whole: the next build would
/// put it into itself.
pub(crate) fn check_environment(out: &Utf8Path, spec: &Spec, places: &Places) -> Result<(), Error> {
    match places.directories(spec).find(|directory| files::is_below(out, directory)) {
        None => Ok(()),
        Some(directory) => Err(Error::usage(format!(
            "`{out}` would lie in `{directory}`, which goes into the environment as a whole"
        ))
        .hint("choose a place beside that directory")),
    }
}

/// Refuses to write into an environment what is no part of it.
pub(crate) fn check_outside<'a>(
    files: impl IntoIterator<Item = &'a OutputFile>,
    environment: &Utf8Path,
) -> Result<(), Error> {
    match files.into_iter().find(|file| file.is_in(environment)) {
        None => Ok(()),
        Some(file) => Err(Error::usage(format!(
            "`{}` would be a file of the environment itself",
            file.path()
        ))
        .hint("choose a place beside the environment")),
    }
}

fn is_input(file: &OutputFile) -> Error {
    Error::usage(format!(
        "`{}` is an input of this command, and what it holds would be lost",
        file.path()
    ))
    .hint("choose another place for the output")
}
