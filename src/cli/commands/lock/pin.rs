//! `venvtree lock pin`: a lock with addresses, of requirements with hashes.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::destination::Destination;
use crate::cli::inputs::lock as lock_input;
use crate::cli::io::Io;
use crate::cli::options::caches::RemoteArguments;
use crate::cli::options::fetching;
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::engine::compose::lock::LockFile;
use crate::engine::compose::pin;
use crate::engine::fetch::Fetching;
use crate::error::Error;

/// Arguments of `venvtree lock pin`.
#[derive(Debug, Args)]
#[command(after_help = "\
The index is asked once for each project, for the files that have the hashes of the requirements; where it has no \
JSON, its HTML is read. Nothing is chosen and no wheel is fetched. A name and a password may stand in the URL, or in \
netrc; they are not written.")]
pub struct LockPinArguments {
    /// Requirements with hashes; `-` reads standard input.
    #[arg(value_name = "LOCK")]
    lock: Utf8PathBuf,
    /// The index, as pip takes it; may be given many times, and is asked in that order.
    #[arg(long = "index-url", value_name = "URL", required = true)]
    indexes: Vec<String>,
    /// Write the pylock.toml to FILE instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// Requirements, who knows their files, and where the lock goes.
pub(crate) struct LockPin {
    file: LockFile,
    fetching: Fetching,
    out: Destination,
}

impl Verb for LockPinArguments {
    fn request(self, io: &mut Io<'_>) -> Result<LockPin, Error> {
        let fetching = fetching::asking(&self.indexes, &self.remote, io)?;
        let out = Destination::new(self.out, io)?;
        out.check([io.resolve(&self.lock)])?;
        Ok(LockPin { file: lock_input::read(&self.lock, io)?, fetching, out })
    }
}

impl Request for LockPin {
    fn run(self, io: &mut Io<'_>) -> Result<LockPinAnswer, Error> {
        let Self { file, fetching, out } = self;
        let lock = pin::pin(&file, &fetching, &out.directory(io))?;
        let packages = file.lock.len();
        Ok(LockPinAnswer { out: out.write(&lock)?, lock, packages })
    }
}

/// The lock.
#[derive(Debug, Serialize)]
pub(crate) struct LockPinAnswer {
    lock: String,
    packages: usize,
    out: Option<Utf8PathBuf>,
}

impl Answer for LockPinAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        if self.out.is_none() {
            printer.print_text(&Text::of_lines(self.lock.lines().map(str::to_owned)))
        } else {
            Ok(())
        }
    }

    fn summary(&self) -> Vec<String> {
        let count = quantity::count(self.packages, "package");
        vec![match &self.out {
            Some(out) => format!("written: {out}, {count}"),
            None => count,
        }]
    }
}
