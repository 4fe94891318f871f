//! What `--for` means: the facts of an interpreter from a file, a target by name, or an interpreter
//! of this machine.

use camino::Utf8Path;

use crate::cli::inputs::spec as spec_input;
use crate::cli::io::Io;
use crate::cli::options::caches;
use crate::engine::files;
use crate::engine::interpreters::{Probe, Search, Surroundings};
use crate::engine::store::Notes;
use crate::error::{Error, Located};
use crate::model::interpreter::Interpreter;
use crate::model::python_request::PythonRequest;
use crate::model::spec::{self, Python};
use crate::model::target;

/// Who an environment is for.
pub(crate) struct Target {
    /// The interpreter's facts.
    pub interpreter: Interpreter,
    /// How the environment reaches it, if that is known.
    pub python: Option<Python>,
}

/// Reads the value of `--for`. `version` is the version of Python for a target whose name has none.
pub(crate) fn read(text: &str, version: Option<&str>, io: &mut Io<'_>) -> Result<Target, Error> {
    let usage = |message: String, hint: &str| Error::usage(message).hint(hint);
    let path = io.resolve(Utf8Path::new(text));
    let json = text.ends_with(".json")
        || path.is_file()
            && files::read(&path).is_ok_and(|bytes| bytes.trim_ascii_start().starts_with(b"{"));
    let known = if json {
        let text = spec_input::text(files::read(&path)?, text)?;
        let facts = spec::parse_interpreter(&text)
            .map_err(|error| Located { origin: path.to_string(), error })?;
        Target { interpreter: facts.0, python: Some(facts.1) }
    } else if target::is_target(text) {
        let interpreter = target::parse(text, version)
            .map_err(|error| usage(error.to_string(), target::SHAPE))?;
        return Ok(Target { interpreter, python: None });
    } else {
        let hint = "give a target such as linux-x86_64-3.12, an interpreter such as 3.12 or ./bin/python, or a file that `venvtree \
                    interpreter probe` wrote";
        let probe = interpreter(text, hint, io)?;
        Target {
            interpreter: probe.interpreter,
            python: Some(Python::Absolute { path: probe.executable.to_string() }),
        }
    };
    match version {
        Some(_) => Err(usage(
            format!("`{text}` says its version of Python itself"),
            "--python-version is for targets without one",
        )),
        None => Ok(known),
    }
}

/// The interpreter of this machine that is asked for; `hint` says how to ask.
pub(crate) fn interpreter(text: &str, hint: &str, io: &mut Io<'_>) -> Result<Probe, Error> {
    let request =
        PythonRequest::parse(text).map_err(|error| Error::usage(error.to_string()).hint(hint))?;
    let search = Search {
        surroundings: Surroundings::new(&io.cwd, |name| io.variable(name)),
        memory: caches::interpreters(io),
        notes: Notes::new(),
    };
    let found = search.find(&request);
    caches::say_notes(&search.notes, io);
    found
}

/// How the environment reaches the interpreter.
pub(crate) fn python(given: Option<String>, target: &Target) -> Python {
    match (given, &target.python) {
        (Some(path), _) => {
            let drive = path.as_bytes().get(1) == Some(&b':');
            if path.starts_with('/') || drive {
                Python::Absolute { path }
            } else {
                Python::Relative { path }
            }
        }
        (None, Some(python)) => python.clone(),
        (None, None) => Python::Absolute { path: target::usual_place(&target.interpreter) },
    }
}
