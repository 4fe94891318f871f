//! `venvtree lock select`: the wheels that an interpreter gets.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::lock::{self as lock_input, ChoiceArguments, LeftOut, Wanted};
use crate::cli::inputs::target::Target;
use crate::cli::io::Io;
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::error::Error;
use crate::model::lock::{self, Selection};

/// Arguments of `venvtree lock select`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree lock select uv.lock --target linux-x86_64-3.12.1
  venvtree lock select pylock.toml --python 3.12
  venvtree lock select uv.lock --only-group docs \\
      --target '3.12.1 macos-aarch64-14.0' --format json
  venvtree lock select requirements.txt --wheels found

Nothing is downloaded, resolved or built. The wheels are those that `uv sync` would install (of a workspace, `uv sync --all-packages`); an interpreter or a \
platform that the lock is not for, an unknown extra or group and a package without a wheel that fits are errors, all \
of a kind at once.")]
pub struct SelectArguments {
    /// The lock: uv.lock, pylock.toml or requirements with hashes; `-` reads standard input.
    #[arg(value_name = "LOCK")]
    lock: Utf8PathBuf,
    #[command(flatten)]
    choice: ChoiceArguments,
}

/// A lock, and who wants what of it.
pub(crate) struct Select {
    wanted: Wanted,
    target: Target,
}

impl Verb for SelectArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Select, Error> {
        let (target, wanted) = self.choice.read(lock_input::read(&self.lock, io)?, io)?;
        Ok(Select { wanted, target })
    }
}

impl Request for Select {
    fn run(self, io: &mut Io<'_>) -> Result<SelectAnswer, Error> {
        let Self { wanted, target } = self;
        let selection = wanted.choose(&target.interpreter, None, io)?;
        let interpreter = lock::facts(&target.interpreter);
        Ok(SelectAnswer::new(selection, interpreter, target.interpreter.to_string()))
    }
}

/// The wheels, and what is left out.
#[derive(Debug, Serialize)]
pub(crate) struct SelectAnswer {
    interpreter: Value,
    wheels: Vec<Wheel>,
    left_out: Vec<LeftOut>,
    warnings: Vec<String>,
    #[serde(skip)]
    title: String,
}

#[derive(Debug, Serialize)]
struct Wheel {
    name: String,
    version: String,
    file_name: String,
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_hash: Option<String>,
    size: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    supplied: bool,
    because: Vec<String>,
}

impl SelectAnswer {
    fn new(selection: Selection, interpreter: Value, title: String) -> Self {
        let wheel = |wheel: lock::Selected| Wheel {
            name: wheel.name.normalized().to_owned(),
            version: wheel.version,
            file_name: wheel.file.as_str().to_owned(),
            url: wheel.url,
            path: wheel.path,
            sha256: wheel.sha256.map(|hash| hash.to_hex()),
            other_hash: match (wheel.sha256, wheel.other_hash) {
                (None, Some((algorithm, digits))) => Some(format!("{algorithm}:{digits}")),
                _ => None,
            },
            size: wheel.size,
            supplied: wheel.supplied,
            because: wheel.because,
        };
        Self {
            interpreter,
            wheels: selection.wheels.into_iter().map(wheel).collect(),
            left_out: LeftOut::of(selection.left_out),
            warnings: selection.warnings,
            title,
        }
    }
}

impl Answer for SelectAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        if self.wheels.is_empty() {
            return Ok(());
        }
        let width = |of: fn(&Wheel) -> &str| self.wheels.iter().map(|wheel| of(wheel).len()).max();
        let name = width(|wheel| &wheel.name).unwrap_or(0);
        let version = width(|wheel| &wheel.version).unwrap_or(0);
        let lines = self.wheels.iter().map(|wheel| {
            format!("{:name$}  {:version$}  {}", wheel.name, wheel.version, wheel.file_name)
        });
        printer.print_text(&Text::of_lines(lines))
    }

    fn summary(&self) -> Vec<String> {
        let wheels = quantity::count(self.wheels.len(), "wheel");
        let sizes: Option<u64> = self.wheels.iter().map(|wheel| wheel.size).sum();
        let size = match sizes {
            Some(bytes) if bytes > 0 => format!(", {}", quantity::size(bytes)),
            _ => String::new(),
        };
        let own = self.left_out.iter().filter(|package| !package.missing);
        let own: Vec<&str> = own.map(|package| package.name.as_str()).collect();
        let own = match own[..] {
            [] => String::new(),
            _ => format!("; the project's own code is left out: {}", own.join(", ")),
        };
        vec![format!("{wheels}{size} for {}{own}", self.title)]
    }
}
