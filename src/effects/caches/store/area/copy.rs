//! Copying one file's content into another.
//!
//! Effects layer.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use rustix::fs::{Mode, RawMode};
#[cfg(target_os = "linux")]
use rustix::io::Errno;

use crate::effects::caches::store::set_time;

/// Which side of a copy failed.
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl CopyError {
    pub(super) fn into_inner(self) -> io::Error {
        let (Self::Read(error) | Self::Write(error)) = self;
        error
    }
}

/// Copies a file of that size.
pub(super) fn copy(mut source: &File, size: u64, target: &mut File) -> Result<(), CopyError> {
    #[cfg(target_os = "linux")]
    if let Some(outcome) = copy_in_kernel(source, size, target) {
        return outcome;
    }
    let mut buffer = vec![0; usize::try_from(size.clamp(1, 128 << 10)).expect("at most 128 KiB")];
    let mut copied = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) if copied == size => return Ok(()),
            Ok(0) => {
                let message = format!("copied {copied} bytes of {size}");
                return Err(CopyError::Read(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
            }
            Ok(count) => {
                target.write_all(&buffer[..count]).map_err(CopyError::Write)?;
                copied += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}

/// Copies without bringing the bytes into this process; nothing where the file systems cannot do
/// that.
#[cfg(target_os = "linux")]
fn copy_in_kernel(source: &File, size: u64, target: &File) -> Option<Result<(), CopyError>> {
    let mut copied = 0;
    while copied < size {
        let length = usize::try_from(size - copied).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(source, None, target, None, length) {
            // Some file systems say so of files that they make up as they are read.
            Ok(0) if copied == 0 => return None,
            Ok(0) => return Some(Err(CopyError::Read(io::ErrorKind::UnexpectedEof.into()))),
            Ok(count) => copied += count as u64,
            Err(Errno::INTR) => {}
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                return Some(Err(CopyError::Write(error.into())));
            }
            Err(_) if copied == 0 => return None,
            Err(error) => return Some(Err(CopyError::Read(error.into()))),
        }
    }
    Some(Ok(()))
}

/// Gives a file its permissions and its time.
pub(super) fn finish(file: &File, mode: RawMode, mtime: i64) -> io::Result<()> {
    // Set after the content: the umask does not count, and neither does the time of writing.
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    set_time(file, mtime)
}
