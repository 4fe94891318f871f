//! `venvtree store`: what the local store holds, getting rid of some of it, and checking all of it.

use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::answer::{Answer, DIFFERENCES, Printer};
use crate::cli::io::Io;
use crate::cli::options::caches::{self, EnvironmentsArguments, StoreArguments};
use crate::cli::options::{FormatArguments, Reporting, numbers};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb, dispatch};
use crate::engine::environments::{self, Collected, Environments};
use crate::engine::store::{
    self, CollectionReport, Limits, Notes, StorePlace, StoreReport, Usage, VerifyReport,
};
use crate::error::{Error, ErrorKind};
use crate::model::digest::DigestFunction;

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Count what the store holds.
    Stat(Reporting<StatArguments, FormatArguments>),
    /// Remove what was used least recently.
    Gc(Reporting<GcArguments>),
    /// Read everything again; repair what can be repaired, remove what is damaged.
    Verify(Reporting<VerifyArguments>),
}

/// Which store, and how to report.
#[derive(Debug, Args)]
pub struct StatArguments {
    #[command(flatten)]
    store: StoreArguments,
}

/// Arguments of `venvtree store gc`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree store gc --max-size 10G
  venvtree store gc --max-age 30d

Without limits, only what dead processes left is collected, and what was known of environments that were removed. \
Environments stay whole: they have links of their own. What they link is never removed, as that would free nothing; \
what else belongs to an environment goes together, the one that was used longest ago first.

Shared environments (`venvtree share`) are removed where nobody used them for a week, or longer where that is \
--max-age, and no file that `share --digest-file` wrote names them any more. With a store that is named, only those \
that are named, too.")]
pub struct GcArguments {
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    environments: EnvironmentsArguments,
    /// Keep at most SIZE bytes on disk that no environment links, such as 500M or 10G (powers of
    /// 1000).
    #[arg(long, value_name = "SIZE", value_parser = numbers::size)]
    max_size: Option<u64>,
    /// Remove what was not used for TIME, such as 12h or 30d.
    #[arg(long, value_name = "TIME", value_parser = numbers::age)]
    max_age: Option<Duration>,
}

/// Arguments of `venvtree store verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    store: StoreArguments,
}

dispatch!(StoreCommand { Stat, Gc, Verify });

/// The store that is meant.
fn open(arguments: &StoreArguments, io: &mut Io<'_>) -> Result<StorePlace, Error> {
    let notes = Notes::new();
    let place = caches::store(arguments, &notes, io)?.ok_or_else(|| {
        let reason = notes.take().pop().unwrap_or_else(|| "there is no store".to_owned());
        Error::usage(reason).hint("name one by `--store DIR`, or set HOME")
    })?;
    let root = &place.root;
    if root.exists() && !root.is_dir() {
        return Err(Error::usage(format!("the store `{root}` is no directory"))
            .hint("name one by `--store DIR`"));
    }
    store::check_contents(root)?;
    if !root.exists() {
        io.note(&format!("nothing is there yet: `{root}`"));
    }
    Ok(place)
}

fn entries(usage: Usage) -> String {
    quantity::count_u64(usage.entries, "entry").replace("entrys", "entries")
}

fn usage(usage: Usage) -> String {
    format!("{}, {} on disk", entries(usage), quantity::size(usage.disk))
}

impl Verb for StatArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Stat, Error> {
        open(&self.store, io).map(Stat)
    }
}

/// The store whose contents are to be counted.
pub(crate) struct Stat(StorePlace);

impl Request for Stat {
    fn run(self, _io: &mut Io<'_>) -> Result<StatAnswer, Error> {
        let functions = store::report(&self.0)?;
        Ok(StatAnswer { store: self.0.root, functions })
    }
}

/// What a store holds, by digest function.
#[derive(Debug, Serialize)]
pub(crate) struct StatAnswer {
    store: Utf8PathBuf,
    #[serde(serialize_with = "by_name")]
    functions: Vec<(DigestFunction, StoreReport)>,
}

fn by_name<S: serde::Serializer>(
    functions: &[(DigestFunction, StoreReport)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(functions.iter().map(|(function, report)| (function.name(), report)))
}

impl Answer for StatAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        printer.print(&format!("store {}", self.store))?;
        for (function, found) in self.functions.iter().filter(|(function, found)| {
            *function == DigestFunction::Sha256 || found.total.entries > 0
        }) {
            let StoreReport {
                blobs,
                results,
                files,
                unlinked_files,
                wheels,
                trees,
                stamps,
                hashed,
                unfinished,
                total,
            } = found;
            let lines = [
                ("files of environments", files),
                ("  of them linked nowhere", unlinked_files),
                ("blobs", blobs),
                ("results", results),
                ("trees", trees),
                ("wheels", wheels),
                ("stamps", stamps),
                ("digests of files", hashed),
                ("unfinished downloads", unfinished),
                ("total", total),
            ];
            printer.print(&format!("{function}:"))?;
            for (what, found) in lines {
                printer.print(&format!("  {what}: {}", usage(*found)))?;
            }
        }
        Ok(())
    }
}

impl Verb for GcArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Collect, Error> {
        let place = open(&self.store, io)?;
        let environments = caches::environments_of(&self.store, &self.environments, io)?;
        let limits = Limits { bytes: self.max_size, age: self.max_age };
        Ok(Collect { place, environments, limits })
    }
}

/// The store that is to shrink, and how far.
pub(crate) struct Collect {
    place: StorePlace,
    environments: Option<Environments>,
    limits: Limits,
}

impl Request for Collect {
    fn run(self, io: &mut Io<'_>) -> Result<CollectAnswer, Error> {
        let (Limits { age, .. }, now) = (self.limits, SystemTime::now());
        // First: what only they had links to is then the store's alone.
        let collect = |place: &Environments| environments::collect(place, age, now, &io.progress);
        let environments = self.environments.as_ref().map(collect).transpose()?;
        let store = store::collect(&self.place, self.limits, now, &io.progress)?;
        Ok(CollectAnswer { store, shared: environments })
    }
}

/// What was removed.
#[derive(Debug, Serialize)]
pub(crate) struct CollectAnswer {
    #[serde(flatten)]
    store: CollectionReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<Collected>,
}

impl Answer for CollectAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        self.store.text(printer)?;
        let Some(Collected { before, removed, failed }) = &self.shared else {
            return Ok(());
        };
        if *before > 0 {
            let environments = quantity::count_u64(*before, "shared environment");
            printer.print_unless_quiet(&format!("removed {removed} of {environments}"))?;
        }
        failed.iter().for_each(|failed| printer.warn(failed));
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        let failed = self.shared.as_ref().is_some_and(|found| !found.failed.is_empty());
        if failed { ErrorKind::Io.exit_code() } else { self.store.exit_code() }
    }
}

impl Answer for CollectionReport {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        let removed = format!("removed {}", usage(self.removed));
        printer.print_unless_quiet(&match self.before {
            Some(before) => format!("{removed}, of {}", usage(before)),
            None => removed,
        })?;
        if let Some((linked, left)) = self.linked.zip(self.left) {
            let by_itself = format!("the store takes {} by itself", quantity::size(left));
            printer.print_unless_quiet(&match linked.entries {
                0 => by_itself,
                _ => format!("{by_itself}; environments link {}, which stay", usage(linked)),
            })?;
        }
        if self.temporaries > 0 {
            printer.print_unless_quiet(&format!(
                "removed what {} dead processes left",
                self.temporaries
            ))?;
        }
        if let Some((first, others)) = self.failed.split_first() {
            let more = if others.is_empty() {
                String::new()
            } else {
                format!("; and {} more", others.len())
            };
            printer.warn(&format!("could not remove {first}{more}"));
        }
        Ok(())
    }

    /// What could not be removed takes room still.
    fn exit_code(&self) -> u8 {
        if self.failed.is_empty() { 0 } else { ErrorKind::Io.exit_code() }
    }
}

impl Verb for VerifyArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Verify, Error> {
        open(&self.store, io).map(Verify)
    }
}

/// The store that is to be read again.
pub(crate) struct Verify(StorePlace);

impl Request for Verify {
    fn run(self, io: &mut Io<'_>) -> Result<VerifyReport, Error> {
        store::verify(&self.0, &io.progress)
    }
}

impl Answer for VerifyReport {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        for damage in &self.damaged {
            let (reason, outcome) = (&damage.reason, damage.outcome.name());
            printer.print(&format!("{}: {reason}, {outcome}", damage.path))?;
        }
        printer.print_unless_quiet(&format!(
            "checked {}, {} damaged",
            usage(self.checked),
            self.damaged.len()
        ))
    }

    fn exit_code(&self) -> u8 {
        if self.damaged.is_empty() { 0 } else { DIFFERENCES }
    }
}
