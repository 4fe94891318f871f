//! What an archive needs of its format.
//!
//! Effects layer.

use std::io;

use crate::effects::source::entry::FileEntry;

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
