//! `venvtree lock index`: a lock for several interpreters, for build systems.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::answer::{Answer, DIFFERENCES, Printer};
use crate::cli::inputs::{apart, lock as lock_input};
use crate::cli::io::Io;
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::engine::compose::lock::LockFile;
use crate::engine::files::{self, OutputFile};
use crate::error::{Error, Located};
use crate::model::interpreter::Interpreter;
use crate::model::lock::index;

/// Names that stand for something else in the index.
const RESERVED: [&str; 2] = ["extras", "unavailable"];

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree lock index <LOCK> --target <NAME=TARGET>...
                           [--out <FILE>] [OPTIONS]";

/// Arguments of `venvtree lock index`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Examples:
  venvtree lock index uv.lock --out pypi.json \\
      --target linux='3.12.1 linux-x86_64-glibc-2.28' \\
      --target mac=macos-aarch64-14.0-3.12.1
  # In CI: whether pypi.json is what would be written.
  venvtree lock index uv.lock --out pypi.json --check \\
      --target linux=linux-x86_64-3.12.1

The index is JSON with sorted keys and one package a line: the wheels that any of the targets gets, the closure of each \
package, and what the project, its extras and its groups require. docs/locks.md describes it.")]
pub struct IndexArguments {
    /// The lock: uv.lock or pylock.toml; `-` reads standard input.
    #[arg(value_name = "LOCK")]
    lock: Utf8PathBuf,
    /// An interpreter and what the index calls it; may be given many times.
    #[arg(long = "target", value_name = "NAME=TARGET", required = true)]
    targets: Vec<String>,
    /// Write the index to FILE instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// Write nothing; say whether FILE is what would be written, and exit with 1 if it is not.
    #[arg(long, requires = "out")]
    check: bool,
}

/// A lock, for whom, and where the index goes.
pub(crate) struct Index {
    file: LockFile,
    targets: BTreeMap<String, Interpreter>,
    to: To,
}

enum To {
    Stdout,
    /// What the file was called, and the file.
    File(Utf8PathBuf, OutputFile),
    /// What the file was called, and what it holds, if it is there.
    Check(Utf8PathBuf, Option<Vec<u8>>),
}

impl Verb for IndexArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Index, Error> {
        let targets = targets(&self.targets, io)?;
        let file = lock_input::read(&self.lock, io)?;
        let to = match self.out {
            None => To::Stdout,
            Some(name) if self.check => {
                let path = io.resolve(&name);
                let found = path.exists().then(|| files::read_document(&path)).transpose()?;
                To::Check(name, found)
            }
            Some(name) => {
                let output = io.output_file(&name)?;
                apart::check_file(&output, [io.resolve(&self.lock)])?;
                To::File(name, output)
            }
        };
        Ok(Index { file, targets, to })
    }
}

impl Request for Index {
    fn run(self, io: &mut Io<'_>) -> Result<IndexAnswer, Error> {
        let Self { file, targets, to } = self;
        let made = index(&file.lock, file.sha256, &targets)
            .map_err(|error| Located { origin: file.origin.clone(), error })?;
        for warning in &made.warnings {
            io.warn(&format!("{}: {warning}", file.origin));
        }
        let text = made.render();
        let mut index = None;
        let (out, outcome) = match to {
            To::Stdout => {
                index = serde_json::from_str(&text).ok();
                (None, Outcome::Printed)
            }
            To::Check(name, found) => {
                let outcome = match found {
                    Some(found) if found == text.as_bytes() => Outcome::Same,
                    Some(_) => Outcome::Differs,
                    None => Outcome::Missing,
                };
                (Some(name), outcome)
            }
            To::File(name, output) => {
                output.write(|out| out.write_all(text.as_bytes()))?;
                (Some(name), Outcome::Written)
            }
        };
        Ok(IndexAnswer { out, targets: targets.len(), outcome, index, text })
    }
}

/// What became of an index.
#[derive(Debug, Serialize)]
pub(crate) struct IndexAnswer {
    out: Option<Utf8PathBuf>,
    targets: usize,
    outcome: Outcome,
    /// The index, where no file is named for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<Value>,
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Printed,
    Written,
    Same,
    Differs,
    Missing,
}

impl Answer for IndexAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        let out = self.out.as_deref().map_or("", |out| out.as_str());
        let differs =
            |why: &str| format!("`{out}` {why}; the same command without --check writes it");
        match &self.outcome {
            Outcome::Printed => return printer.print_text(&Text::of_lines(self.text.lines())),
            Outcome::Differs => printer.say(&differs("differs from what would be written")),
            Outcome::Missing => printer.say(&differs("is not there")),
            Outcome::Written | Outcome::Same => {}
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let out = self.out.as_deref().map_or("", |out| out.as_str());
        match &self.outcome {
            Outcome::Written => {
                vec![format!("wrote `{out}` for {}", quantity::count(self.targets, "target"))]
            }
            Outcome::Same => vec![format!("`{out}` is what would be written")],
            Outcome::Printed | Outcome::Differs | Outcome::Missing => Vec::new(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self.outcome {
            Outcome::Differs | Outcome::Missing => DIFFERENCES,
            Outcome::Printed | Outcome::Written | Outcome::Same => 0,
        }
    }
}

fn targets(texts: &[String], io: &mut Io<'_>) -> Result<BTreeMap<String, Interpreter>, Error> {
    let usage = |message: String| {
        Error::usage(message).hint("write --target NAME=TARGET, such as linux=linux-x86_64-3.12.1")
    };
    let mut targets = BTreeMap::new();
    for text in texts {
        let (name, target) = text
            .split_once('=')
            .ok_or_else(|| usage(format!("the target `{text}` has no name before a `=`")))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) || RESERVED.contains(&name) {
            let message = format!(
                "`{name}` is no name of a target, expected ASCII letters, digits, `_`, `-` and `.`, \
                 and neither of {}",
                RESERVED.join(" and ")
            );
            return Err(usage(message));
        }
        let interpreter = lock_input::read_target(target, io)?.interpreter;
        if targets.insert(name.to_owned(), interpreter).is_some() {
            return Err(usage(format!("the target `{name}` is given twice")));
        }
    }
    Ok(targets)
}
