//! `venvtree interpreter`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::args::{Format, FormatArguments};
use crate::cli::io::Io;
use crate::cli::text::Text;
use crate::cli::{CommandResult, caches, report, written};
use crate::effects::host::notes::Notes;
use crate::effects::interpreters::discover::{self, Listed, Surroundings};
use crate::effects::interpreters::probe::{self, Probe};
use crate::effects::interpreters::probe_cache::ProbeCache;
use crate::effects::work::parallel;
use crate::error::Error;
use crate::model::spec::document::{InterpreterDocument, LibraryFolderDocument, PlatformDocument};
use crate::model::spec::{InputPath, Python};

/// The subcommands of `venvtree interpreter`.
#[derive(Debug, Subcommand)]
pub enum InterpreterCommand {
    /// List the interpreters of this machine, with those that cannot be used and why.
    List(ListArguments),
    /// Run an interpreter and print the `interpreter` object of a spec.
    Probe(ProbeArguments),
}

impl InterpreterCommand {
    /// How to print.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::List(arguments) => arguments.format.format,
            Self::Probe(_) => Format::Text,
        }
    }
}

/// Arguments of `venvtree interpreter list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree interpreter list
  venvtree interpreter list --format json

Interpreters are looked for in the directories of PATH, among the versions of pyenv and uv, and in /usr/local/bin \
and /usr/bin, as `create` does. Each is run once, to ask what it is; one that does not answer within 5 seconds is \
listed as such.")]
pub struct ListArguments {
    #[command(flatten)]
    format: FormatArguments,
}

/// Arguments of `venvtree interpreter probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree interpreter probe /usr/bin/python3.11
  venvtree interpreter probe python3.12 --kind launcher

`create` and `interpreter list` run interpreters too, and no other command does. Facts about the machine, such as its kernel, are left out.")]
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
    match command {
        InterpreterCommand::List(arguments) => list(arguments, io),
        InterpreterCommand::Probe(arguments) => probe(arguments, io),
    }
}

/// Runs `venvtree interpreter list`.
fn list(arguments: &ListArguments, io: &mut Io<'_>) -> CommandResult {
    let notes = Notes::default();
    let cache = ProbeCache::new(
        caches::default_store(io).map(|directory| directory.join("interpreters")),
        notes.clone(),
    );
    let surroundings = Surroundings::new(&io.cwd, |name| io.variable(name));
    // They mostly wait for each other's start.
    let found = discover::list(&surroundings, &cache, parallel::available().max(4));
    for note in notes.take() {
        io.say(&format!("warning: {note}"));
    }
    if arguments.format.format == Format::Json {
        let value = json!({ "interpreters": found.iter().map(to_json).collect::<Vec<_>>() });
        report::document(io, value)?;
        return Ok(0);
    }
    let mut rows: Vec<(String, String, &Utf8Path)> = Vec::new();
    for Listed { path, aliases, outcome } in &found {
        let (name, platform) = match outcome {
            Ok(Probe { interpreter, .. }) => {
                let platform = &interpreter.platform;
                let facts = PlatformDocument::from(interpreter);
                let more =
                    facts.libc.or(facts.version).map(|more| format!(" {more}")).unwrap_or_default();
                let name = format!(
                    "{} {}",
                    interpreter.implementation.platform_name(),
                    interpreter.version
                );
                let threads = if interpreter.free_threaded() { " free-threaded" } else { "" };
                (
                    format!("{name}{threads}"),
                    format!("{} {}{more}", platform.os().name(), platform.arch().name()),
                )
            }
            Err(_) => ("cannot be used".to_owned(), String::new()),
        };
        rows.push((name, platform, path));
        rows.extend(
            aliases.iter().map(|alias| (String::new(), "also".to_owned(), alias.as_path())),
        );
    }
    let first = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    let second = rows.iter().map(|(_, platform, _)| platform.chars().count()).max().unwrap_or(0);
    let mut reasons = found.iter().map(|listed| listed.outcome.as_ref().err());
    for (name, platform, path) in &rows {
        let reason = if name.is_empty() { None } else { reasons.next().flatten() };
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        written(io.print(&format!("{name:first$}  {platform:second$}  {}{reason}", path)))?;
    }
    if rows.is_empty() {
        io.say("no interpreter was found");
    }
    Ok(0)
}

fn to_json(listed: &Listed) -> Value {
    let Listed { path, aliases, outcome } = listed;
    match outcome {
        Ok(Probe { interpreter, .. }) => {
            let document =
                InterpreterDocument::new(interpreter, &Python::Absolute { path: path.to_string() });
            json!({
                "path": path,
                "aliases": aliases,
                "usable": true,
                "implementation": document.implementation,
                "version": document.version,
                "abi": document.abi,
                "platform": document.platform,
            })
        }
        Err(reason) => {
            json!({ "path": path, "aliases": aliases, "usable": false, "reason": reason })
        }
    }
}

/// Runs `venvtree interpreter probe`.
fn probe(arguments: &ProbeArguments, io: &mut Io<'_>) -> CommandResult {
    let python = if arguments.python.as_str().contains('/') {
        io.resolve(&arguments.python)
    } else {
        arguments.python.clone()
    };
    let probe = probe::probe(&python)?;
    let executable = probe.executable.to_string();
    let python = match arguments.kind {
        Kind::Absolute => Python::Absolute { path: executable },
        Kind::Launcher => Python::Launcher { candidates: vec![executable] },
        Kind::Inside => {
            let directory = probe.executable.parent().and_then(camino::Utf8Path::parent);
            let below =
                directory.and_then(|directory| probe.executable.strip_prefix(directory).ok());
            match (
                directory,
                below.and_then(|below| crate::model::path::TreePath::parse(below.as_str()).ok()),
            ) {
                (Some(directory), Some(executable)) => {
                    Python::Inside { directory: InputPath(directory.to_string()), executable }
                }
                _ => {
                    let message =
                        format!("`{}` lies in no directory that could be copied", probe.executable);
                    return Err(Error::Usage {
                        message,
                        hint: Some("choose another `--kind`".to_owned()),
                    });
                }
            }
        }
    };
    let mut document = InterpreterDocument::new(&probe.interpreter, &python);
    document.platlibdir = probe.lib64.then_some(LibraryFolderDocument::Lib64);
    written(io.print_text(&Text::of_json(&json!(document))))?;
    Ok(0)
}
