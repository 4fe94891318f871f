//! `venvtree interpreter`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::cli::io::Io;
use crate::cli::{CommandResult, report, written};
use crate::effects::probe;
use crate::error::Error;
use crate::model::spec::document::InterpreterDocument;
use crate::model::spec::{InputPath, Python};

/// The subcommands of `venvtree interpreter`.
#[derive(Debug, Subcommand)]
pub enum InterpreterCommand {
    /// Run an interpreter and print the `interpreter` object of a spec.
    Probe(ProbeArguments),
}

/// Arguments of `venvtree interpreter probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree interpreter probe /usr/bin/python3.11
  venvtree interpreter probe python3.12 --kind launcher

This is the one command that runs an interpreter. Facts about the machine, such as its kernel, are left out.")]
pub struct ProbeArguments {
    /// The interpreter: a path, or a name to look up in PATH.
    #[arg(value_name = "PYTHON")]
    python: Utf8PathBuf,
    /// How the environment will reach it.
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    kind: Kind,
}

/// How an environment reaches its interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Kind {
    /// By a link to its path.
    #[default]
    Absolute,
    /// By a launcher that tries its path.
    Launcher,
    /// Its directory is copied in.
    Inside,
}

/// Runs `venvtree interpreter`.
pub(super) fn run(command: &InterpreterCommand, io: &mut Io<'_>) -> CommandResult {
    let InterpreterCommand::Probe(arguments) = command;
    let python = if arguments.python.as_str().contains('/') { io.resolve(&arguments.python) } else { arguments.python.clone() };
    let probe = probe::probe(&python)?;
    let executable = probe.executable.to_string();
    let python = match arguments.kind {
        Kind::Absolute => Python::Absolute { path: executable },
        Kind::Launcher => Python::Launcher { candidates: vec![executable] },
        Kind::Inside => {
            let directory = probe.executable.parent().and_then(camino::Utf8Path::parent);
            let below = directory.and_then(|directory| probe.executable.strip_prefix(directory).ok());
            match (directory, below.and_then(|below| crate::model::path::TreePath::parse(below.as_str()).ok())) {
                (Some(directory), Some(executable)) => Python::Inside { directory: InputPath(directory.to_string()), executable },
                _ => {
                    let message = format!("`{}` lies in no directory that could be copied", probe.executable);
                    return Err(Error::Usage { message, hint: Some("choose another `--kind`".to_owned()) });
                }
            }
        }
    };
    let value = json!(InterpreterDocument::new(&probe.interpreter, &python));
    written(io.print(&report::to_json(&value)))?;
    Ok(0)
}
