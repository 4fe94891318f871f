//! All that commands see of the process that they run in.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::screen::Screen;
use crate::effects::fs::{FsError, failed};
use crate::effects::output_file::OutputFile;
use crate::effects::progress::Progress;
use crate::effects::replaceable::Protected;
use crate::model::wheel::limits::Limits;

/// The streams, the working directory and the environment of a command.
pub struct Io<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn Read,
    /// Where data goes; the worker answers from several threads.
    pub stdout: &'a mut (dyn Write + Send),
    /// Where talk goes.
    pub stderr: &'a mut dyn Write,
    /// The working directory.
    pub cwd: Utf8PathBuf,
    /// The environment's variables, those that are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// This program's own file.
    pub executable: Option<Utf8PathBuf>,
    /// The terminal that standard error is, where progress may be shown.
    pub screen: Option<Screen>,
    /// How far the command has come.
    pub progress: Progress,
    /// What wheels may hold, unless options say otherwise.
    pub limits: Limits,
}

impl Io<'_> {
    /// Writes a line of data.
    ///
    /// # Errors
    /// Nobody reads it any more, or the disk is full.
    pub fn print(&mut self, line: &str) -> io::Result<()> {
        self.stdout.write_all(format!("{line}\n").as_bytes())
    }

    /// Writes a line of talk. Nothing can be done where that fails.
    pub fn say(&mut self, line: &str) {
        // What was said before on standard output comes before, where both are one terminal or one file.
        let _ = self.stdout.flush();
        // In one write: the lines of processes that share a log stay apart.
        let _ = self.stderr.write_all(format!("{line}\n").as_bytes());
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What no output may take the place of.
    pub fn protected(&self) -> Protected {
        Protected { cwd: self.cwd.clone(), home: self.variable("HOME").map(|home| self.cwd.join(home)) }
    }

    /// The place of a directory to make, by a path whose last part is its name.
    ///
    /// # Errors
    /// The path ends in `..` and leads nowhere.
    pub fn output(&self, path: &Utf8Path) -> Result<Utf8PathBuf, FsError> {
        let full: Utf8PathBuf = self.resolve(path).components().collect();
        if full.file_name().is_some() { Ok(full) } else { full.canonicalize_utf8().map_err(failed("find", &full)) }
    }

    /// A file to write, looked at before there is anything to write.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn output_file(&self, path: &Utf8Path) -> Result<OutputFile, FsError> {
        OutputFile::prepare(&self.resolve(path))
    }

    /// A path as the user means it: relative to the working directory.
    pub fn resolve(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.cwd.join(path)
    }
}
