//! Where a document goes: to the file that `--out` names, or to standard output.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::cli::inputs::apart;
use crate::cli::io::Io;
use crate::cli::text::Text;
use crate::engine::files::OutputFile;
use crate::error::Error;

/// A file, and what it was called; without one, the answer prints the document.
pub(crate) struct Destination(Option<(Utf8PathBuf, OutputFile)>);

impl Destination {
    /// Looks at the file before there is anything to write.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn new(out: Option<Utf8PathBuf>, io: &Io<'_>) -> Result<Self, Error> {
        let file = out.as_ref().map(|path| io.output_file(path)).transpose()?;
        Ok(Self(out.zip(file)))
    }

    /// Refuses to write to what the command reads.
    ///
    /// # Errors
    /// The file is one of the inputs.
    pub(crate) fn check(
        &self,
        inputs: impl IntoIterator<Item = impl AsRef<Utf8Path>>,
    ) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |(_, file)| apart::check_file(file, inputs))
    }

    /// The directory that paths in the document are relative to: the file's, or the working
    /// directory.
    pub(crate) fn directory(&self, io: &Io<'_>) -> Utf8PathBuf {
        let file = self.0.as_ref().map(|(name, _)| io.resolve(name));
        file.as_deref().and_then(Utf8Path::parent).unwrap_or(&io.cwd).to_owned()
    }

    /// Writes a text, if there is a file for it; returns what that was called.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(self, text: &str) -> Result<Option<Utf8PathBuf>, Error> {
        let Some((name, file)) = self.0 else { return Ok(None) };
        file.write(|out| out.write_all(text.as_bytes()))?;
        Ok(Some(name))
    }

    /// The same with JSON.
    ///
    /// # Errors
    /// As [`Destination::write`].
    pub(crate) fn write_json(self, document: &Value) -> Result<Option<Utf8PathBuf>, Error> {
        self.write(&format!("{}\n", Text::of_json(document).as_str()))
    }
}
