//! `venvtree lock spec`: the spec of what a lock gives an interpreter.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::apart;
use crate::cli::inputs::lock::{ForArguments, Locked, LockedArguments, WantedArguments};
use crate::cli::io::{Io, written};
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::Verb;
use crate::engine::files::OutputFile;
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
    target: ForArguments,
    #[command(flatten)]
    wanted: WantedArguments,
    /// Where the wheels of a lock without addresses lie, which are told by their hashes; may be
    /// given many times.
    #[arg(long, value_name = "DIR|WHEEL", help_heading = "What is wanted")]
    wheels: Vec<Utf8PathBuf>,
}

/// A lock, who wants what of it, and where the spec goes.
pub(crate) struct LockSpec {
    locked: Locked,
    root: Utf8PathBuf,
    out: Option<(Utf8PathBuf, OutputFile)>,
}

impl Verb for LockSpecArguments {
    type Request = LockSpec;
    type Answer = LockSpecAnswer;

    fn request(self, io: &mut Io<'_>) -> Result<LockSpec, Error> {
        let output = self.out.as_ref().map(|path| io.output_file(path)).transpose()?;
        if let Some(output) = &output {
            apart::check_file(output, [io.resolve(&self.lock)])?;
        }
        let place = self.out.as_ref().map(|path| io.resolve(path));
        let root = place.as_deref().and_then(Utf8Path::parent).unwrap_or(&io.cwd).to_owned();
        let arguments = LockedArguments {
            lock: &self.lock,
            target: &self.target,
            wanted: self.wanted,
            wheels: &self.wheels,
            launchers: self.launchers.as_deref(),
        };
        let locked = Locked::read(arguments, &root, io)?;
        Ok(LockSpec { locked, root, out: self.out.zip(output) })
    }

    fn run(request: LockSpec, io: &mut Io<'_>) -> Result<LockSpecAnswer, Error> {
        let LockSpec { locked, root, out } = request;
        let spec = locked.spec(Some(&root), None, io)?;
        let wheels = quantity::count(spec.wheels.len(), "wheel");
        let title = format!("{wheels} for {}", spec.interpreter);
        let document = SpecDocument::from(&spec);
        if let Some((_, output)) = &out {
            let text = Text::of_json(&json!(document));
            crate::engine::write_whole(output, |writer| {
                writeln!(writer, "{}", text.as_str())
                    .map_err(|error| written(Err(error)).unwrap_err())
            })?;
        }
        Ok(LockSpecAnswer { spec: document, out: out.map(|(name, _)| name), title })
    }
}

/// The spec.
#[derive(Debug, Serialize)]
pub(crate) struct LockSpecAnswer {
    spec: SpecDocument,
    out: Option<Utf8PathBuf>,
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
