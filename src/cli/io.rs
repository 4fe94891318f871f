//! All that commands see of the process that they run in.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use camino::Utf8PathBuf;

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
    /// Whether standard error is a terminal, where progress may be shown.
    pub terminal: bool,
    /// What wheels may hold, unless options say otherwise.
    pub limits: Limits,
}

impl Io<'_> {
    /// Writes a line of data.
    ///
    /// # Errors
    /// Nobody reads it any more, or the disk is full.
    pub fn print(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stdout, "{line}")
    }

    /// Writes a line of talk. Nothing can be done where that fails.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.stderr, "{line}");
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A path as the user means it: relative to the working directory.
    pub fn resolve(&self, path: &camino::Utf8Path) -> Utf8PathBuf {
        self.cwd.join(path)
    }
}
