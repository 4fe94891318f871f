//! `venvtree interpreter`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::cli::answer::{Answer, Printer};
use crate::cli::io::Io;
use crate::cli::options::caches;
use crate::cli::options::{FormatArguments, Reporting};
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb, dispatch};
use crate::engine::interpreters::{self, Listed, Search, Surroundings};
use crate::engine::store::Notes;
use crate::error::Error;
use crate::model::interpreter::Interpreter;
use crate::model::path::TreePath;
use crate::model::spec::document::{
    ImplementationDocument, InterpreterDocument, LibraryFolderDocument, PlatformDocument,
};
use crate::model::spec::{InputPath, Python};

/// The subcommands of `venvtree interpreter`.
#[derive(Debug, Subcommand)]
pub enum InterpreterCommand {
    /// List the interpreters of this machine, with those that cannot be used and why.
    List(Reporting<ListArguments, FormatArguments>),
    /// Run an interpreter and print the `interpreter` object of a spec.
    Probe(ProbeArguments),
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
pub struct ListArguments {}

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
pub(crate) enum Kind {
    /// By a link to its path.
    #[default]
    Absolute,
    /// By a launcher that tries its path.
    Launcher,
    /// Its directory is copied in.
    Inside,
}

dispatch!(InterpreterCommand { List, Probe });

impl Verb for ListArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Search, Error> {
        Ok(Search {
            surroundings: Surroundings::new(&io.cwd, |name| io.variable(name)),
            memory: caches::interpreters(io),
            notes: Notes::new(),
        })
    }
}

impl Request for Search {
    fn run(self, io: &mut Io<'_>) -> Result<ListAnswer, Error> {
        let found = self.list();
        caches::say_notes(&self.notes, io);
        Ok(ListAnswer { interpreters: found.iter().map(Found::new).collect() })
    }
}

/// The interpreters of this machine.
#[derive(Debug, Serialize)]
pub(crate) struct ListAnswer {
    interpreters: Vec<Found>,
}

/// An interpreter, or what looks like one.
#[derive(Debug, Serialize)]
struct Found {
    path: Utf8PathBuf,
    aliases: Vec<Utf8PathBuf>,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(flatten)]
    facts: Option<Facts>,
    /// What it is and for which platform, for people.
    #[serde(skip)]
    words: (String, String),
}

/// The facts of an interpreter that are listed.
#[derive(Debug, Serialize)]
struct Facts {
    implementation: ImplementationDocument,
    version: String,
    abi: String,
    platform: PlatformDocument,
}

impl Found {
    fn new(listed: &Listed) -> Self {
        let Listed { path, aliases, outcome } = listed;
        let (reason, facts, words) = match outcome {
            Ok(interpreters::Probe { interpreter, .. }) => {
                let python = Python::Absolute { path: path.to_string() };
                let document = InterpreterDocument::new(interpreter, &python);
                let facts = Facts {
                    implementation: document.implementation,
                    version: document.version,
                    abi: document.abi,
                    platform: document.platform,
                };
                (None, Some(facts), words(interpreter))
            }
            Err(reason) => {
                (Some(reason.to_string()), None, ("cannot be used".to_owned(), String::new()))
            }
        };
        let (path, aliases) = (path.clone(), aliases.clone());
        Self { path, aliases, usable: facts.is_some(), reason, facts, words }
    }
}

/// What an interpreter is, and for which platform.
fn words(interpreter: &Interpreter) -> (String, String) {
    let platform = &interpreter.platform;
    let facts = PlatformDocument::from(interpreter);
    let more = facts.libc.or(facts.version).map(|more| format!(" {more}")).unwrap_or_default();
    let name = format!("{} {}", interpreter.implementation.platform_name(), interpreter.version);
    let threads = if interpreter.free_threaded() { " free-threaded" } else { "" };
    (
        format!("{name}{threads}"),
        format!("{} {}{more}", platform.os().name(), platform.arch().name()),
    )
}

impl Answer for ListAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        if self.interpreters.is_empty() {
            printer.say("no interpreter was found");
        }
        let mut rows: Vec<(&str, &str, &Utf8Path, String)> = Vec::new();
        for Found { path, aliases, reason, words: (name, platform), .. } in &self.interpreters {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            rows.push((name, platform, path, reason));
            rows.extend(aliases.iter().map(|alias| ("", "also", alias.as_path(), String::new())));
        }
        let width = |words: &mut dyn Iterator<Item = &str>| {
            words.map(|word| word.chars().count()).max().unwrap_or(0)
        };
        let first = width(&mut rows.iter().map(|row| row.0));
        let second = width(&mut rows.iter().map(|row| row.1));
        rows.iter().try_for_each(|(name, platform, path, reason)| {
            printer.print(&format!("{name:first$}  {platform:second$}  {path}{reason}"))
        })
    }
}

impl Verb for ProbeArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Probe, Error> {
        let is_path = self.python.as_str().contains('/');
        let python = if is_path { io.resolve(&self.python) } else { self.python };
        Ok(Probe { python, kind: self.kind })
    }
}

/// Which interpreter is to be asked, and how an environment would reach it.
pub(crate) struct Probe {
    python: Utf8PathBuf,
    kind: Kind,
}

impl Request for Probe {
    fn run(self, _io: &mut Io<'_>) -> Result<ProbeAnswer, Error> {
        let probe = interpreters::probe(&self.python)?;
        let python = self.kind.python(&probe.executable)?;
        let mut document = InterpreterDocument::new(&probe.interpreter, &python);
        document.platlibdir = probe.lib64.then_some(LibraryFolderDocument::Lib64);
        Ok(ProbeAnswer(document))
    }
}

impl Kind {
    /// How an environment reaches an interpreter.
    fn python(self, executable: &Utf8Path) -> Result<Python, Error> {
        let path = executable.to_string();
        match self {
            Self::Absolute => return Ok(Python::Absolute { path }),
            Self::Launcher => return Ok(Python::Launcher { candidates: vec![path] }),
            Self::Inside => {}
        }
        let directory = executable.parent().and_then(Utf8Path::parent);
        let below = directory.and_then(|directory| executable.strip_prefix(directory).ok());
        match (directory, below.and_then(|below| TreePath::parse(below.as_str()).ok())) {
            (Some(directory), Some(executable)) => {
                Ok(Python::Inside { directory: InputPath(directory.to_string()), executable })
            }
            _ => Err(Error::usage(format!(
                "`{executable}` lies in no directory that could be copied"
            ))
            .hint("choose another `--kind`")),
        }
    }
}

/// The facts of an interpreter, as a spec has them: a document of its own.
#[derive(Debug, Serialize)]
pub(crate) struct ProbeAnswer(InterpreterDocument);

impl Answer for ProbeAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        printer.print_text(&Text::of_json(&json!(self.0)))
    }
}
