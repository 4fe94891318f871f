//! `venvtree lock fetch`: the wheels that a lock gives an interpreter, as files.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::lock::{
    self as lock_input, ForArguments, LeftOut, Wanted, WantedArguments,
};
use crate::cli::inputs::target::Target;
use crate::cli::io::Io;
use crate::cli::options::caches::{self, RemoteArguments, StoreArguments};
use crate::cli::options::fetching::{self, FetchArguments};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::fetch::{Fetching, Saved};
use crate::engine::{Caches, Places};
use crate::error::Error;

/// Arguments of `venvtree lock fetch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree lock fetch uv.lock --dest wheels
  venvtree lock fetch uv.lock --dest wheels \\
      --target macos-arm64-14.0-3.12.1 --group docs
  # On a machine without a network:
  venvtree create --lock uv.lock --wheels wheels --offline

Files get the names that their addresses have, as tools look for them (`--find-links`, Bazel's --distdir). Those that \
are there already and are the same stay.")]
pub struct LockFetchArguments {
    /// The lock: uv.lock, pylock.toml or requirements with hashes; `-` reads standard input.
    #[arg(value_name = "LOCK")]
    lock: Utf8PathBuf,
    /// The directory for the wheels, made if need be.
    #[arg(long, value_name = "DIR")]
    dest: Utf8PathBuf,
    #[command(flatten)]
    target: ForArguments,
    #[command(flatten)]
    wanted: WantedArguments,
    #[command(flatten)]
    fetch: FetchArguments,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// A lock, who wants what of it, and where the wheels go.
pub(crate) struct LockFetch {
    wanted: Wanted,
    target: Target,
    fetching: Fetching,
    caches: Caches,
    dest: Utf8PathBuf,
    name: Utf8PathBuf,
}

impl Verb for LockFetchArguments {
    fn request(self, io: &mut Io<'_>) -> Result<LockFetch, Error> {
        let caches = caches::of_store(&self.store, io)?;
        let fetching = fetching::fetching(&self.fetch, &self.remote, &caches, io)?;
        let file = lock_input::read(&self.lock, io)?;
        Ok(LockFetch {
            target: self.target.read(io)?,
            wanted: self.wanted.of(file, &self.fetch.wheels, io)?,
            dest: io.resolve(&self.dest),
            name: self.dest,
            fetching,
            caches,
        })
    }
}

impl Request for LockFetch {
    fn run(self, io: &mut Io<'_>) -> Result<LockFetchAnswer, Error> {
        let Self { wanted, target, fetching, dest, .. } = self;
        let selection = wanted.choose(&target.interpreter, Some(&fetching), io)?;
        wanted.say_left_out(&selection, io);
        let wheels = wanted.file.references(&selection, None, &fetching, &io.progress)?;
        let names = selection.wheels.iter().map(|wheel| wheel.written.clone());
        let wheels: Vec<_> = names.zip(wheels).collect();
        let places = Places { root: wanted.file.directory, ..Places::default() };
        let saved = fetching.save(&wheels, &places, &dest, &io.progress);
        let notes = caches::say(&self.caches, io);
        let left_out = LeftOut::of(selection.left_out);
        Ok(LockFetchAnswer { dest: self.name, wheels: saved?, left_out, notes })
    }
}

/// What is in the directory now.
#[derive(Debug, Serialize)]
pub(crate) struct LockFetchAnswer {
    dest: Utf8PathBuf,
    wheels: Vec<Saved>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
}

impl Answer for LockFetchAnswer {
    const IS_LIST: bool = true;

    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        self.wheels.iter().try_for_each(|wheel| printer.print_unless_quiet(&wheel.file_name))
    }

    fn summary(&self) -> Vec<String> {
        let count = quantity::count(self.wheels.len(), "wheel");
        let bytes: u64 = self.wheels.iter().map(|wheel| wheel.size).sum();
        let there = self.wheels.iter().filter(|wheel| wheel.was_there).count();
        let there = if there == 0 { String::new() } else { format!(", {there} there before") };
        vec![format!("{}: {count}, {}{there}", self.dest, quantity::size(bytes))]
    }
}
