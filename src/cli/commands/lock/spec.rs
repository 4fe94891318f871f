//! `venvtree lock spec`: the spec of what a lock gives an interpreter.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::destination::Destination;
use crate::cli::inputs::lock::{ChoiceArguments, LeftOut, Locked, LockedArguments};
use crate::cli::io::Io;
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::error::Error;
use crate::model::spec::document::SpecDocument;

/// Arguments of `venvtree lock spec`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree lock spec uv.lock --out env.json
  venvtree lock spec pylock.toml --out arm.json \\
      --target linux-aarch64-3.12.1

Nothing is downloaded. The spec has the address, the size and the SHA-256 of each wheel, and no name or password; \
`build` takes it on any machine, and fetches what is not there.")]
pub struct LockSpecArguments {
    /// The lock: uv.lock, pylock.toml or requirements with hashes; `-` reads standard input.
    #[arg(value_name = "LOCK")]
    lock: Utf8PathBuf,
    /// Write the spec to FILE instead of standard output; paths of wheels are then relative to its
    /// directory.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// For Windows: the directory with the launchers for scripts, called as in distlib (t64.exe and
    /// w64.exe for x86_64) [default: what is installed with venvtree].
    #[arg(long, value_name = "DIR")]
    launchers: Option<Utf8PathBuf>,
    #[command(flatten)]
    choice: ChoiceArguments,
}

/// A lock, who wants what of it, and where the spec goes.
pub(crate) struct LockSpec {
    locked: Locked,
    root: Utf8PathBuf,
    out: Destination,
}

impl Verb for LockSpecArguments {
    fn request(self, io: &mut Io<'_>) -> Result<LockSpec, Error> {
        let out = Destination::new(self.out, io)?;
        out.check([io.resolve(&self.lock)])?;
        let root = out.directory(io);
        let arguments = LockedArguments {
            lock: &self.lock,
            choice: self.choice,
            launchers: self.launchers.as_deref(),
        };
        let locked = Locked::read(arguments, &root, io)?;
        Ok(LockSpec { locked, root, out })
    }
}

impl Request for LockSpec {
    fn run(self, io: &mut Io<'_>) -> Result<LockSpecAnswer, Error> {
        let Self { locked, root, out } = self;
        let (spec, left_out) = locked.spec(Some(&root), None, io)?;
        let wheels = quantity::count(spec.wheels.len(), "wheel");
        let title = format!("{wheels} for {}", spec.interpreter);
        let document = SpecDocument::from(&spec);
        let out = out.write_json(&json!(document))?;
        Ok(LockSpecAnswer { spec: document, out, left_out, title })
    }
}

/// The spec.
#[derive(Debug, Serialize)]
pub(crate) struct LockSpecAnswer {
    spec: SpecDocument,
    out: Option<Utf8PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
    #[serde(skip)]
    title: String,
}

impl Answer for LockSpecAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        // A spec has a version of its own.
        if self.out.is_none() {
            printer.print_text(&Text::of_json(&json!(self.spec)))
        } else {
            Ok(())
        }
    }

    fn summary(&self) -> Vec<String> {
        let written = self.out.as_ref().map(|out| format!("written: {out}"));
        std::iter::once(self.title.clone()).chain(written).collect()
    }
}
