//! Input files: opened once, read at positions, watched for change.
//!
//! Effects layer. A wheel is never mapped and never held as a whole. Everything that is said about
//! a file comes from one open handle, and [`InputFile::check_unchanged`] tells whether the file was
//! written to in between.

use std::fs::{File, Metadata};
use std::io;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::{Links, NotAFile, open_regular};

/// Why an input could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The operating system refused.
    #[error("`{path}` cannot be read")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a folder, a device or the like.
    #[error("`{path}` is no regular file")]
    NotAFile {
        /// What it is not.
        path: Utf8PathBuf,
    },
    /// The file ended before what was there when it was opened.
    #[error("`{path}` changed while it was being read")]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
}

/// What changes when a file is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            changed: {
                use std::os::unix::fs::MetadataExt as _;
                (metadata.ctime(), metadata.ctime_nsec())
            },
        }
    }
}

/// A file that is read, and what was known of it when it was opened.
#[derive(Debug)]
pub struct InputFile {
    file: File,
    path: Utf8PathBuf,
    stamp: Stamp,
}

impl InputFile {
    /// Opens a regular file (or a link to one).
    ///
    /// # Errors
    /// There is no such file, it cannot be opened, or it is no regular file.
    pub fn open(path: &Utf8Path) -> Result<Self, InputError> {
        let failed = |source| InputError::Io { path: path.to_owned(), source };
        let file = match open_regular(path, Links::Follow) {
            Err(error) if error.get_ref().is_some_and(|source| source.is::<NotAFile>()) => {
                return Err(InputError::NotAFile { path: path.to_owned() });
            }
            result => result.map_err(failed)?,
        };
        let stamp = Stamp::of(&file.metadata().map_err(failed)?);
        Ok(Self { file, path: path.to_owned(), stamp })
    }

    /// Where it was found.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Its bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.stamp.size
    }

    /// Fills `buffer` from the bytes at `offset`.
    ///
    /// # Errors
    /// Reading fails, or the file has become shorter.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), InputError> {
        read_exact_at(&self.file, buffer, offset).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => InputError::Changed { path: self.path.clone() },
            _ => InputError::Io { path: self.path.clone(), source },
        })
    }

    /// Whether the file is as it was when it was opened: size, time of modification and of change.
    ///
    /// # Errors
    /// It is not, or its state cannot be read.
    pub fn check_unchanged(&self) -> Result<(), InputError> {
        let metadata = self
            .file
            .metadata()
            .map_err(|source| InputError::Io { path: self.path.clone(), source })?;
        if Stamp::of(&metadata) == self.stamp {
            Ok(())
        } else {
            Err(InputError::Changed { path: self.path.clone() })
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_at_positions_and_notices_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("input")).unwrap();
        std::fs::write(&path, b"0123456789").unwrap();
        let input = InputFile::open(&path).unwrap();
        let mut buffer = [0; 4];
        input.read_at(&mut buffer, 3).unwrap();
        assert_eq!(&buffer, b"3456");
        input.check_unchanged().unwrap();
        assert!(matches!(input.read_at(&mut buffer, 8), Err(InputError::Changed { .. })));
        std::fs::write(&path, b"01234").unwrap();
        assert!(matches!(input.check_unchanged(), Err(InputError::Changed { .. })));
        assert!(matches!(
            InputFile::open(Utf8Path::new("/dev/null")),
            Err(InputError::NotAFile { .. })
        ));
    }
}
