//! What an archive needs of its format, and a format of what it is written to.
//!
//! Effects layer.

use std::io::{self, Seek, Write};

use crate::effects::source::entry::FileEntry;

/// Where an archive is written to.
pub enum Output<'a> {
    /// From the first byte to the last, such as a pipe.
    Stream(&'a mut dyn Write),
    /// Also back again, such as a new file.
    File(&'a mut dyn WriteSeek),
}

/// What can be written to at any place.
pub trait WriteSeek: Write + Seek {}

impl<W: Write + Seek> WriteSeek for W {}

impl<'a> Output<'a> {
    /// For formats that are written front to back.
    pub(super) fn stream(self) -> &'a mut dyn Write {
        match self {
            Self::Stream(out) => out,
            Self::File(out) => out,
        }
    }

    /// For formats that come back to what they have written.
    #[cfg_attr(not(test), expect(dead_code, reason = "no format of today does"))]
    pub(super) fn file(self) -> io::Result<&'a mut dyn WriteSeek> {
        match self {
            Self::File(out) => Ok(out),
            Self::Stream(_) => Err(io::Error::new(
                io::ErrorKind::NotSeekable,
                "this format is not written front to back, so it needs a file",
            )),
        }
    }
}

impl<'a> From<&'a mut dyn Write> for Output<'a> {
    fn from(out: &'a mut dyn Write) -> Self {
        Self::Stream(out)
    }
}

/// An archive that grows.
pub(in crate::effects::sink) trait Archive {
    /// Adds a directory. Those that it is in were added before.
    fn directory(&mut self, path: &str) -> io::Result<()>;
    /// Adds a symbolic link.
    fn link(&mut self, path: &str, target: &str) -> io::Result<()>;
    /// Begins a file. Its digest is a promise that is kept when the file ends: a format may store
    /// what several files hold once.
    fn begin(&mut self, path: &str, file: FileEntry<'_>) -> io::Result<()>;
    /// Adds bytes to the file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Ends the file.
    fn end(&mut self) -> io::Result<()>;
    /// Ends the archive.
    fn finish(self: Box<Self>) -> io::Result<()>;
}
