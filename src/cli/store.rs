//! `venvtree store`: what the local store holds, getting rid of some of it, and checking all of it.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::{Deferred, Format, FormatArguments, QuietArguments};
use crate::cli::caches::{self, StoreArguments};
use crate::cli::io::Io;
use crate::cli::{CommandResult, DIFFERENCES, numbers, report, written};
use crate::effects::caches::store::gc::{CollectionReport, Limits, StoreReport, Usage};
use crate::effects::caches::store::verify::VerifyReport;
use crate::effects::caches::store::{Access, Store};
use crate::effects::host::notes::Notes;
use crate::effects::work::progress::{Amount, Phase};
use crate::error::{Error, ErrorKind};
use crate::model::digest::DigestFunction;

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Count what the store holds.
    Stat(Deferred<StatArguments>),
    /// Remove what was used least recently.
    Gc(Deferred<GcArguments>),
    /// Read everything again; repair what can be repaired, remove what is damaged.
    Verify(Deferred<VerifyArguments>),
}

/// Which store, and how to report.
#[derive(Debug, Args)]
pub struct StatArguments {
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Arguments of `venvtree store gc`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree store gc --max-size 10G
  venvtree store gc --max-age 30d

Without limits, only what dead processes and removed environments left is collected. Environments stay whole: they \
have links of their own.")]
pub struct GcArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Keep at most SIZE bytes, such as 500M or 10G (powers of 1000).
    #[arg(long, value_name = "SIZE", value_parser = numbers::size)]
    max_size: Option<u64>,
    /// Remove what was not used for TIME, such as 12h or 30d.
    #[arg(long, value_name = "TIME", value_parser = numbers::age)]
    max_age: Option<Duration>,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Arguments of `venvtree store verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

impl StoreCommand {
    /// How the command reports.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Stat(arguments) => arguments.format.format,
            Self::Gc(arguments) => arguments.format.format,
            Self::Verify(arguments) => arguments.format.format,
        }
    }
}

/// Runs `venvtree store`.
pub(super) fn run(command: &StoreCommand, io: &mut Io<'_>) -> CommandResult {
    match command {
        StoreCommand::Stat(arguments) => stat(arguments, io),
        StoreCommand::Gc(arguments) => collect(arguments, io),
        StoreCommand::Verify(arguments) => verify(arguments, io),
    }
}

/// The store once for each digest function: they share one directory.
fn open(arguments: &StoreArguments, notes: &Notes, io: &Io<'_>) -> Result<Vec<Store>, Error> {
    let place = caches::store(arguments, notes, io)?.ok_or_else(|| Error::Usage {
        message: notes.take().pop().unwrap_or_else(|| "there is no store".to_owned()),
        hint: Some("name one by `--store DIR`, or set HOME".to_owned()),
    })?;
    let root = &place.root;
    if root.exists() && !root.is_dir() {
        return Err(Error::Usage {
            message: format!("the store `{root}` is no directory"),
            hint: Some("name one by `--store DIR`".to_owned()),
        });
    }
    Ok(DigestFunction::ALL
        .into_iter()
        .map(|function| Store::open(place.clone(), function, Access::Write, notes.clone()))
        .collect())
}

fn usage(usage: Usage) -> String {
    format!(
        "{}, {}",
        report::count(usize::try_from(usage.entries).unwrap_or(usize::MAX), "entry")
            .replace("entrys", "entries"),
        report::size(usage.bytes)
    )
}

fn stat(arguments: &StatArguments, io: &mut Io<'_>) -> CommandResult {
    let notes = Notes::new();
    let stores = open(&arguments.store, &notes, io)?;
    let mut reports = Vec::new();
    for store in &stores {
        reports.push((store.function(), store.report()?));
    }
    let root = stores[0].root();
    match arguments.format.format {
        Format::Json => {
            let functions: serde_json::Map<_, _> = reports
                .iter()
                .map(|(function, report)| (function.name().to_owned(), json!(report)))
                .collect();
            report::document(io, json!({ "store": root, "functions": functions }))?;
        }
        Format::Text => {
            written(io.print(&format!("store {root}")))?;
            for (function, found) in reports.iter().filter(|(function, found)| {
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
                    ("total", total),
                ];
                written(io.print(&format!("{function}:")))?;
                for (what, found) in lines {
                    written(io.print(&format!("  {what}: {}", usage(*found))))?;
                }
            }
        }
    }
    Ok(0)
}

fn collect(arguments: &GcArguments, io: &mut Io<'_>) -> CommandResult {
    let notes = Notes::new();
    let now = SystemTime::now();
    let mut sum = CollectionReport::default();
    // The limit is for all together: what one function's part leaves of it is the next one's.
    let mut bytes = arguments.max_size;
    for store in open(&arguments.store, &notes, io)? {
        io.progress.begin(Phase::Collecting, Amount::default());
        let found = store.collect_garbage(Limits { bytes, age: arguments.max_age }, now)?;
        let kept = found.before.bytes.saturating_sub(found.removed.bytes);
        bytes = bytes.map(|bytes| bytes.saturating_sub(kept));
        sum.before.entries += found.before.entries;
        sum.before.bytes += found.before.bytes;
        sum.removed.entries += found.removed.entries;
        sum.removed.bytes += found.removed.bytes;
        sum.temporaries += found.temporaries;
        sum.failed.extend(found.failed);
    }
    match arguments.format.format {
        Format::Json => report::document(io, json!(sum))?,
        Format::Text => {
            if !arguments.quiet.quiet {
                written(io.print(&format!(
                    "removed {} of {}",
                    usage(sum.removed),
                    usage(sum.before)
                )))?;
            }
            if sum.temporaries > 0 && !arguments.quiet.quiet {
                written(
                    io.print(&format!("removed what {} dead processes left", sum.temporaries)),
                )?;
            }
            if let Some((first, others)) = sum.failed.split_first() {
                let more = if others.is_empty() {
                    String::new()
                } else {
                    format!("; and {} more", others.len())
                };
                io.say(&format!("warning: could not remove {first}{more}"));
            }
        }
    }
    // What could not be removed takes room still.
    Ok(if sum.failed.is_empty() { 0 } else { ErrorKind::Io.exit_code() })
}

fn verify(arguments: &VerifyArguments, io: &mut Io<'_>) -> CommandResult {
    let notes = Notes::new();
    let mut sum = VerifyReport::default();
    for store in open(&arguments.store, &notes, io)? {
        io.progress.begin(Phase::Checking, Amount::default());
        let found = store.verify()?;
        sum.checked.entries += found.checked.entries;
        sum.checked.bytes += found.checked.bytes;
        sum.damaged.extend(found.damaged);
    }
    match arguments.format.format {
        Format::Json => report::document(io, json!(sum))?,
        Format::Text => {
            for damage in &sum.damaged {
                written(
                    io.print(
                        &format!("{}: {}, {:?}", damage.path, damage.reason, damage.outcome)
                            .to_lowercase(),
                    ),
                )?;
            }
            if !arguments.quiet.quiet {
                written(io.print(&format!(
                    "checked {}, {} damaged",
                    usage(sum.checked),
                    sum.damaged.len()
                )))?;
            }
        }
    }
    Ok(if sum.damaged.is_empty() { 0 } else { DIFFERENCES })
}
