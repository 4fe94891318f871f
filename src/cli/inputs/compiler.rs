//! What `--compiler` means: an interpreter, by its path, or by its version where it is installed.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::inputs::target;
use crate::cli::io::Io;
use crate::cli::options::bytecode::CompilerArguments;
use crate::engine::Session;
use crate::error::Error;
use crate::model::spec::Spec;

/// Where the compiler is. What is given as a path is started as it is, whatever it says of itself.
pub(crate) fn find(text: &str, io: &mut Io<'_>) -> Result<Utf8PathBuf, Error> {
    if text.contains('/') {
        return Ok(io.resolve(Utf8Path::new(text)));
    }
    let hint = "give the path of an interpreter, or a version that is installed, such as 3.12.1";
    Ok(target::interpreter(text, hint, io)?.executable)
}

/// Says that an interpreter was named for nothing.
pub(crate) fn say_idle(session: &Session, spec: &Spec, io: &mut Io<'_>) {
    if session.compiler.is_some() && spec.bytecode.is_none() {
        io.note("--compiler compiles nothing, as the spec asks for no bytecode; --bytecode does");
    }
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
