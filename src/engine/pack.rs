//! Archives of environments and directories, wheels of files, and files that are written whole.
//!
//! Part of the engine.

use std::cell::RefCell;
use std::io::{self, Write};

use camino::Utf8Path;

use crate::effects::host::fs;
use crate::effects::host::output_file::OutputFile;
use crate::effects::scan::{self, Scan, View};
use crate::effects::sink::archive::{self, ArchiveError, ArchiveOptions};
use crate::effects::sink::wheel::{self as wheel_sink, WheelContents};
use crate::effects::source::supply::SupplyErrors;
use crate::effects::wheels::inspect::inspect_wheel;
use crate::effects::wheels::load::{LoadOptions, WheelError};
use crate::effects::work::parallel;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::make;
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::error::{Error, RefusedWheel, UnsoundWheel};
use crate::model::digest::{DigestFunction, Hashed};
use crate::model::finding::Severity;
use crate::model::layers::{self, LayerKind};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::limits::Limits;

/// Packs the environment of a plan as an archive into `out`, or only what of it is of one kind.
///
/// # Errors
/// Inputs are not what they should be, or `out` refuses (an error of writing `place`). What was
/// written until then is no archive.
pub fn pack(
    prepared: &Prepared,
    out: &mut dyn Write,
    place: &Utf8Path,
    options: ArchiveOptions<'_>,
    only: Option<LayerKind>,
) -> Result<(), Error> {
    check(prepared, options.threads)?;
    let (plan, supply) = (&prepared.plan, prepared.supply());
    match only {
        Some(kind) => archive::pack_plan(layers::part(plan, kind), &supply, out, options),
        None => archive::pack_plan(plan.entries.iter(), &supply, out, options),
    }
    .map_err(|error| packing_failed(error, place))
}

/// Compares wheels with their pinned digests, and what the plan has no use for with RECORD.
///
/// # Errors
/// Inputs are not what they should be.
pub(super) fn check(prepared: &Prepared, threads: usize) -> Result<(), Error> {
    let supply = prepared.supply();
    let pinned = make::pinned(&prepared.spec);
    parallel::map(threads, pinned.len(), |turn| supply.check_wheel(pinned[turn].0, pinned[turn].1))
        .map_err(SupplyErrors::from)?;
    let unsound = supply.check_unread(&supply.unread(&prepared.plan, |_| false));
    if unsound.is_empty() { Ok(()) } else { Err(SupplyErrors(unsound).into()) }
}

/// Packs a directory as an archive into `out`.
///
/// # Errors
/// The directory cannot be read, holds what no archive can, or `out` refuses.
pub fn pack_directory(
    session: &Session,
    directory: &Utf8Path,
    out: &mut dyn Write,
    place: &Utf8Path,
    options: ArchiveOptions<'_>,
) -> Result<(), Error> {
    session.progress.begin(Phase::Reading, Amount::default());
    let Scan { tree, odd } =
        scan::scan(directory, DigestFunction::Sha256, View::Exact, session.threads())?;
    session.progress.begin(Phase::Packing, Amount::default());
    if let Some((path, what)) = odd.first() {
        let message = format!("`{directory}/{path}`: {what}");
        return Err(Error::usage(message)
            .hint("an archive holds files, directories and relative links with names in UTF-8"));
    }
    archive::pack_directory(&tree, directory, out, options)
        .map_err(|error| packing_failed(error, place))
}

/// Packs a wheel, unless nobody could use it; returns the SHA-256 of the file. `aside` is a folder
/// for what is only there for now.
///
/// # Errors
/// A file cannot be read, the wheel would be refused, or it cannot be written.
pub fn pack_wheel(
    contents: &WheelContents,
    out: &OutputFile,
    aside: &Utf8Path,
) -> Result<String, Error> {
    let failure: RefCell<Option<Error>> = RefCell::default();
    let keep = |error: Error| {
        *failure.borrow_mut() = Some(error);
        io::Error::other("the contents could not be made")
    };
    // Hashed on the way: not every place that can be written to can be read again.
    let mut sha256 = String::new();
    let fill = |writer: &mut dyn Write| {
        let mut hashed = Hashed::sha256(writer);
        wheel_sink::pack(contents, &mut hashed)
            .map_err(|error| keep(packing_failed(error, out.path())))?;
        sha256 = hashed.finish().hash.to_string();
        Ok(())
    };
    let check = |path: &Utf8Path| check_wheel(path, &contents.name).map_err(keep);
    let outcome = out.write_checked(aside, fill, check);
    match failure.take() {
        Some(error) => Err(error),
        None => Ok(outcome.map(|()| sha256)?),
    }
}

/// Refuses a wheel in which something is found that nobody accepts who uses it. How much a wheel may
/// hold is for them to say.
fn check_wheel(path: &Utf8Path, name: &WheelFilename) -> Result<(), Error> {
    let (wheel, most) = (name.to_string(), u64::MAX);
    let limits = Limits { member_size: most, total_size: most, ratio: most, ..Limits::default() };
    let options = LoadOptions { limits, ..LoadOptions::default() };
    let findings = inspect_wheel(path, &wheel, &options).map_err(WheelError::from)?;
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        return Ok(());
    }
    Err(UnsoundWheel(RefusedWheel { wheel, findings }).into())
}

/// Writes a file with what `fill` writes, all of it or nothing where that is possible.
///
/// # Errors
/// Those of `fill`, or the file cannot be written.
pub fn write_whole(
    file: &OutputFile,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut failure = None;
    let outcome = file.write(|out| {
        fill(out).map_err(|error| {
            failure = Some(error);
            io::Error::other("the contents could not be made")
        })
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(outcome?),
    }
}

pub(super) fn packing_failed(error: ArchiveError, place: &Utf8Path) -> Error {
    match error {
        ArchiveError::Supply(error) => SupplyErrors::from(error).into(),
        ArchiveError::Fs(error) => error.into(),
        ArchiveError::Write(error) => fs::failed("write", place)(error).into(),
    }
}
