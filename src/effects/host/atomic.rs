//! Files that are there complete, or as they were.
//!
//! Effects layer. What is being written lies beside its place under a name that says whose it is;
//! signals clear it away, and what a killed process left is cleared by
//! [`crate::effects::host::staging`].

use std::io;

use camino::Utf8Path;

use crate::effects::host::fs::{FsError, failed};
use crate::effects::host::interrupt::{self, Leftover, UnderWay};
use crate::effects::host::{random, staging};

/// Writes a file so that it holds all of what `fill` writes, or what it held before.
///
/// # Errors
/// The directory or the file cannot be written to.
pub fn write_atomically(
    path: &Utf8Path,
    fill: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), FsError> {
    let directory =
        path.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    let (temporary, _under_way) = temporary_file(directory, path).map_err(failed("write", path))?;
    let mut writer = io::BufWriter::with_capacity(64 << 10, temporary);
    fill(&mut writer).map_err(failed("write", path))?;
    let temporary =
        writer.into_inner().map_err(|error| failed("write", path)(error.into_error()))?;
    temporary.persist(path).map_err(|error| failed("write", path)(error.error))?;
    Ok(())
}

/// Makes the file that is to become `path`: locked, so that nobody takes it for what a dead process
/// left, and cleared away by signals.
///
/// # Errors
/// The directory cannot be written to.
#[expect(clippy::disallowed_methods, reason = "this is the doorway")]
pub(in crate::effects) fn temporary_file(
    directory: &Utf8Path,
    path: &Utf8Path,
) -> io::Result<(tempfile::NamedTempFile, UnderWay)> {
    // Before there is anything that a signal would leave.
    interrupt::begin_to_listen();
    loop {
        let name = format!(
            "{}{:016x}",
            staging::prefix(path.file_name().unwrap_or("output")),
            random::number()
        );
        let mut builder = tempfile::Builder::new();
        builder.prefix(&name).rand_bytes(0);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        // A signal finds it, or it is not there yet.
        let mut held = interrupt::hold();
        let temporary = builder.tempfile_in(directory)?;
        let under_way = held.begin(Leftover::File(directory.join(&name)));
        drop(held);
        // Where locks do not work, age decides.
        let _ = rustix::fs::flock(
            temporary.as_file(),
            rustix::fs::FlockOperation::NonBlockingLockExclusive,
        );
        // Before it was locked, somebody may have cleared it away.
        if rustix::fs::fstat(temporary.as_file())?.st_nlink > 0 {
            return Ok((temporary, under_way));
        }
    }
}
