//! What `--compiler` means: an interpreter, by its path, or by its version where it is installed.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::inputs::target;
use crate::cli::io::Io;
use crate::cli::options::bytecode::{CompilerArguments, Levels};
use crate::engine::Session;
use crate::error::Error;
use crate::model::bytecode::Validation;
use crate::model::spec::{Bytecode, Spec};

/// Where the compiler is. What is given as a path is started as it is, whatever it says of itself.
pub(crate) fn find(text: &str, io: &mut Io<'_>) -> Result<Utf8PathBuf, Error> {
    if text.contains('/') {
        return Ok(io.resolve(Utf8Path::new(text)));
    }
    let hint = "give the path of an interpreter, or a version that is installed, such as 3.12.1";
    Ok(target::interpreter(text, hint, io)?.executable)
}

/// Lets the interpreter compile that is named, if one is.
pub(crate) fn allow(
    session: &mut Session,
    arguments: &CompilerArguments,
    io: &mut Io<'_>,
) -> Result<(), Error> {
    if let Some(text) = &arguments.compiler {
        session.compiler = Some(find(text, io)?);
    }
    Ok(())
}

/// Has a spec ask for bytecode of these levels.
pub(crate) fn ask_for(
    spec: &mut Spec,
    levels: Levels,
    validation: Validation,
) -> Result<(), Error> {
    if spec.bytecode.is_some() {
        let hint = "leave --bytecode out, or change the spec's field `bytecode`";
        return Err(Error::usage("the spec says itself which bytecode it wants").hint(hint));
    }
    let bytecode = Bytecode::of(&spec.interpreter, levels.0);
    let bytecode = bytecode.map_err(|problem| Error::usage(problem.message).hint(problem.hint))?;
    spec.bytecode = Some(Bytecode { validation, ..bytecode });
    Ok(())
}
