//! `venvtree spec from`: a spec from wheels, for this machine or for another one.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::destination::Destination;
use crate::cli::inputs::launchers;
use crate::cli::inputs::target::{self as for_target, Target};
use crate::cli::io::Io;
use crate::cli::options::LimitArguments;
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::engine::compose::wheels::{self, Choice};
use crate::engine::wheels::LoadOptions;
use crate::error::Error;
use crate::model::interpreter::Interpreter;
use crate::model::spec::document::SpecDocument;
use crate::model::spec::{Flags, Launchers, Python, Spec};

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree spec from <WHEEL>... --for <TARGET>
                          [--out <FILE>] [OPTIONS]";

/// Arguments of `venvtree spec from`.
#[derive(Debug, Args)]
#[command(
    override_usage = USAGE,
    after_help = "\
Examples:
  venvtree spec from wheels --for 3.12 --out env.json
  venvtree spec from wheels --for linux-aarch64-3.12 \\
      > arm.json
  venvtree spec from wheels more/tool-1.0-py3-none-any.whl \\
      --for macos-arm64 --python-version 3.12
  venvtree spec from wheels --for windows-x86_64-3.12 \\
      --launchers launchers

TARGET is OS-ARCH-PYTHON. Between ARCH and PYTHON may stand the oldest C library (linux-x86_64-glibc2.17-3.12, \
linux-aarch64-musl-3.13; the default is glibc 2.28) or the oldest macOS (macos-arm64-14.0-3.12; the default is \
13.0). PYTHON is 3.12, 3.12.4, 3.13t or pypy3.11.

For each distribution, the latest version that fits is taken, and of its wheels the most specific one, as pip does. \
Nothing is downloaded or resolved: if a requirement is missing among the wheels, `venvtree plan` says so."
)]
pub struct FromArguments {
    /// Wheels, or directories that hold wheels.
    #[arg(value_name = "WHEEL", required = true)]
    wheels: Vec<Utf8PathBuf>,
    /// Who the environment is for: a target such as linux-x86_64-3.12, an interpreter of this
    /// machine (3.12, python3, a path), or a file with what `venvtree interpreter probe` printed.
    #[arg(long = "for", alias = "target", value_name = "TARGET")]
    target: String,
    /// The version of Python, for a target whose name has none.
    #[arg(long, value_name = "VERSION")]
    python_version: Option<String>,
    /// Where the interpreter is on the machine that runs the environment, absolute or relative to
    /// the environment [default: where this machine has it; for a target, where installers put it].
    #[arg(long, value_name = "PATH")]
    interpreter: Option<String>,
    /// For Windows: the directory with the launchers for scripts, called as in distlib (t64.exe and
    /// w64.exe for x86_64) [default: what is installed with venvtree].
    #[arg(long, value_name = "DIR")]
    launchers: Option<Utf8PathBuf>,
    /// Leave distributions out of which no wheel fits, instead of refusing.
    #[arg(long)]
    skip_missing: bool,
    /// Write the spec to FILE instead of standard output; paths of wheels are then relative to its
    /// directory.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    #[command(flatten)]
    limits: LimitArguments,
}

/// What to choose from, and for whom.
pub(crate) struct From {
    target: Target,
    /// How the environment reaches the interpreter, and whether that is a guess.
    python: (Python, bool),
    launchers: Option<Launchers>,
    wheels: Vec<Utf8PathBuf>,
    options: LoadOptions,
    skip_missing: bool,
    /// The directory that the spec's paths are relative to.
    root: Utf8PathBuf,
    out: Destination,
}

impl Verb for FromArguments {
    fn request(self, io: &mut Io<'_>) -> Result<From, Error> {
        let target = for_target::read(&self.target, self.python_version.as_deref(), io)?;
        let out = Destination::new(self.out, io)?;
        let root = out.directory(io);
        let guessed = target.python.is_none() && self.interpreter.is_none();
        Ok(From {
            python: (for_target::python(self.interpreter, &target), guessed),
            launchers: launchers::read(self.launchers.as_deref(), &target.interpreter, &root, io)?,
            target,
            wheels: self
                .wheels
                .iter()
                .map(|path| io.resolve(path).components().collect())
                .collect(),
            options: LoadOptions {
                limits: self.limits.apply(&io.limits),
                ..LoadOptions::default()
            },
            skip_missing: self.skip_missing,
            root,
            out,
        })
    }
}

impl Request for From {
    fn run(self, _io: &mut Io<'_>) -> Result<FromAnswer, Error> {
        let interpreter = self.target.interpreter.clone();
        let choice = self.choose()?;
        let (python, guessed) = self.python;
        let place = match &python {
            Python::Absolute { path } | Python::Relative { path } => path.clone(),
            Python::Launcher { candidates } => candidates.join(", "),
            Python::Inside { directory, .. } => directory.to_string(),
        };
        let spec = Spec {
            interpreter: interpreter.clone(),
            python,
            launchers: self.launchers,
            wheels: choice.chosen.clone(),
            sources: Vec::new(),
            path_entries: Vec::new(),
            bytecode: None,
            flags: Flags::default(),
        };
        let document = SpecDocument::from(&spec);
        let out = self.out.write_json(&json!(document))?;
        let guess = guessed.then_some(place);
        Ok(FromAnswer::new(document, out, &interpreter, choice, guess))
    }
}

impl From {
    /// The best wheel of each distribution.
    fn choose(&self) -> Result<Choice, Error> {
        let interpreter = &self.target.interpreter;
        let candidates = wheels::candidates(&self.wheels)?;
        self.out.check(candidates.iter().map(|candidate| &candidate.path))?;
        let choice = wheels::choose(&candidates, interpreter, &self.root, &self.options)?;
        let (Some((name, reason)), false) = (choice.missing.first(), self.skip_missing) else {
            return Ok(choice);
        };
        let more = match choice.missing.len() {
            1 => String::new(),
            number => {
                format!(" (and so for {} more)", quantity::count(number - 1, "distribution"))
            }
        };
        Err(Error::usage(format!("no wheel of `{name}` fits {interpreter}: {reason}{more}"))
            .hint("add a wheel that fits, name the oldest system that there has to be in --for (macos-arm64-14.0-3.12, linux-x86_64-glibc2.34-3.12), or leave such distributions out with --skip-missing"))
    }
}

/// The spec, what was chosen for it and what was left.
#[derive(Debug, Serialize)]
pub(crate) struct FromAnswer {
    spec: SpecDocument,
    out: Option<Utf8PathBuf>,
    target: String,
    chosen: Vec<String>,
    left: Vec<Left>,
    missing: Vec<String>,
    /// Where the interpreter is expected without anybody having said so.
    #[serde(skip)]
    guess: Option<String>,
}

/// A wheel that was not taken.
#[derive(Debug, Serialize)]
struct Left {
    path: Utf8PathBuf,
    reason: String,
}

impl FromAnswer {
    fn new(
        spec: SpecDocument,
        out: Option<Utf8PathBuf>,
        interpreter: &Interpreter,
        choice: Choice,
        guess: Option<String>,
    ) -> Self {
        let left = choice.left.into_iter();
        Self {
            spec,
            out,
            target: interpreter.to_string(),
            chosen: choice.chosen.iter().map(|wheel| wheel.file_name.to_string()).collect(),
            left: left.map(|(path, reason)| Left { path, reason }).collect(),
            missing: choice.missing.iter().map(|(name, _)| name.to_string()).collect(),
            guess,
        }
    }
}

impl Answer for FromAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        if self.out.is_none() {
            // A spec has a version of its own.
            printer.print_text(&Text::of_json(&json!(self.spec)))?;
        }
        let wheels = quantity::count(self.chosen.len(), "wheel");
        printer.say_unless_quiet(&format!("for {}: {wheels}", self.target));
        for name in &self.chosen {
            printer.say_unless_quiet(&format!("  {name}"));
        }
        for Left { path, reason } in &self.left {
            let name = path.file_name().unwrap_or_default();
            printer.say_unless_quiet(&format!("  left {name}: {reason}"));
        }
        for name in &self.missing {
            printer.warn(&format!("no wheel of `{name}` fits, so the environment is without it"));
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let written = self.out.as_ref().map(|out| format!("written: {out}"));
        let guess = self.guess.as_ref().map(|place| {
            format!(
                "note: the interpreter is expected at {place}; --interpreter names another place"
            )
        });
        written.into_iter().chain(guess).collect()
    }
}
