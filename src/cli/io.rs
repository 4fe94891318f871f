//! All that commands see of the process that they run in.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::colour::Colours;
use crate::cli::screen::Screen;
use crate::cli::text::{Text, printable};
use crate::effects::host::fs::{FsError, failed};
use crate::effects::host::output_file::OutputFile;
use crate::effects::host::replaceable::Protected;
use crate::effects::work::progress::Progress;
use crate::engine::Waiting;
use crate::error::{Error, ErrorKind};
use crate::model::wheel::limits::Limits;

/// The standard streams of a command.
pub struct Streams<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn Read,
    /// Where data goes; the worker answers from several threads.
    pub stdout: &'a mut (dyn Write + Send),
    /// Where talk goes.
    pub stderr: &'a mut dyn Write,
}

/// The streams, the working directory and the environment of a command. What goes to standard
/// output and standard error goes through its functions, which make it harmless: the streams
/// themselves are nobody else's.
pub struct Io<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn Read,
    data: Data<'a>,
    talk: &'a mut dyn Write,
    /// Which of standard output and standard error are in colour.
    pub colours: Colours,
    /// The working directory.
    pub cwd: Utf8PathBuf,
    /// The environment's variables, those that are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// The user's home as the system knows it, where the environment does not say it.
    pub system_home: Option<Utf8PathBuf>,
    /// This program's own file.
    pub executable: Option<Utf8PathBuf>,
    /// The terminal that standard error is, where progress may be shown.
    pub screen: Option<Screen>,
    /// How far the command has come.
    pub progress: Progress,
    /// Whether standard output is a terminal.
    pub shows_data: bool,
    /// Whether somebody wants to read how the command went.
    pub talks: bool,
    /// Whether nothing but warnings and errors is wanted.
    pub quiet: bool,
    /// What wheels may hold, unless options say otherwise.
    pub limits: Limits,
    /// Interpreters that earlier requests of a worker have left.
    pub waiting: Waiting,
    /// Whether the process ends with this command: what it holds need not be given back, which for
    /// a large environment would take a tenth of the time.
    pub ends: bool,
    /// Whether this process's standard output carries the answers of a worker, and so is no output
    /// of a request.
    pub answers: bool,
}

impl<'a> Io<'a> {
    /// What a command sees that is started in `cwd`, in an environment of these variables, and not
    /// on a terminal.
    pub fn new(
        streams: Streams<'a>,
        cwd: Utf8PathBuf,
        variables: BTreeMap<String, String>,
    ) -> Self {
        let Streams { stdin, stdout, stderr } = streams;
        Self {
            stdin,
            data: Data { stream: stdout, state: Reader::There },
            talk: stderr,
            colours: Colours::default(),
            cwd,
            variables,
            system_home: None,
            executable: None,
            screen: None,
            progress: Progress::default(),
            shows_data: false,
            talks: true,
            quiet: false,
            limits: Limits::default(),
            waiting: Waiting::default(),
            ends: false,
            answers: false,
        }
    }
}

impl Io<'_> {
    /// Writes one line of data.
    ///
    /// # Errors
    /// The disk is full, say. That nobody reads it any more is none.
    pub fn print(&mut self, line: &str) -> io::Result<()> {
        self.data.print(format!("{}\n", printable(line)).as_bytes())
    }

    /// Writes data of several lines.
    ///
    /// # Errors
    /// As [`Io::print`].
    pub fn print_text(&mut self, text: &Text) -> io::Result<()> {
        self.data.print(format!("{}\n", text.as_str()).as_bytes())
    }

    /// Writes a part of data of several lines.
    ///
    /// # Errors
    /// As [`Io::print`].
    pub(crate) fn print_part(&mut self, text: &Text) -> io::Result<()> {
        self.data.print(text.as_str().as_bytes())
    }

    /// Writes data that this program has generated, as it is: a script for a shell, a page of a
    /// manual.
    ///
    /// # Errors
    /// As [`Io::print`].
    pub fn print_generated(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data.print(bytes)
    }

    /// Where data goes that comes as a stream: an archive, a protocol.
    pub fn raw(&mut self) -> &mut (dyn Write + Send) {
        &mut self.data
    }

    /// Both ends of a protocol.
    pub fn raw_both(&mut self) -> (&mut dyn Read, &mut (dyn Write + Send)) {
        (self.stdin, &mut self.data)
    }

    /// Writes one line of talk. Nothing can be done where that fails.
    pub fn say(&mut self, line: &str) {
        let line = self.colours.label(printable(line));
        self.talk(&line);
    }

    /// Warns in one line.
    pub(crate) fn warn(&mut self, what: &str) {
        self.say(&format!("warning: {what}"));
    }

    /// Says what is worth knowing and wants nothing done, unless that is not wanted.
    pub(crate) fn note(&mut self, what: &str) {
        if !self.quiet {
            self.say(&format!("note: {what}"));
        }
    }

    /// Lets go of what is no longer needed.
    pub(crate) fn let_go<T>(&self, value: T) {
        if self.ends {
            std::mem::forget(value);
        }
    }

    /// Writes talk of several lines.
    pub fn say_text(&mut self, text: &Text) {
        let lines: Vec<String> =
            text.as_str().split('\n').map(|line| self.colours.label(line.to_owned())).collect();
        self.talk(&lines.join("\n"));
    }

    /// Writes help or a usage error, which have colours of their own.
    pub(crate) fn say_clap(&mut self, text: &Text) {
        self.talk(text.as_str());
    }

    fn talk(&mut self, text: &str) {
        // What was said before on standard output comes before, where both are one terminal or one
        // file.
        let _ = self.data.stream.flush();
        // In one write: the lines of processes that share a log stay apart.
        let _ = self.talk.write_all(format!("{text}\n").as_bytes());
    }

    /// Ends the command that would end with `code`: what is still to be written of its data is
    /// written now. Says what went wrong then, unless that was said before.
    pub(crate) fn finish(&mut self, code: u8) -> u8 {
        match (self.data.flush(), self.data.state) {
            // As a program ends that does nothing but write.
            (_, Reader::GoneFromStream) => PIPE_CODE,
            (Err(error), Reader::There) => {
                self.say(&format!("error: cannot write `standard output`: {error}"));
                ErrorKind::Io.exit_code()
            }
            (Err(_), Reader::Failed) => ErrorKind::Io.exit_code(),
            _ => code,
        }
    }

    /// Whether an error is no news: whoever would have read the data went away.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.data.state == Reader::GoneFromStream
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The user's home: what the variable says, else what the system does. Actions and tests of
    /// Bazel have no variable.
    pub fn home(&self) -> Option<Utf8PathBuf> {
        self.variable("HOME").map(Utf8PathBuf::from).or_else(|| self.system_home.clone())
    }

    /// The folder for what is only there for now.
    pub fn temporary(&self) -> Utf8PathBuf {
        self.resolve(Utf8Path::new(self.variable("TMPDIR").unwrap_or("/tmp")))
    }

    /// What no output may take the place of.
    pub fn protected(&self) -> Protected {
        Protected {
            cwd: self.cwd.clone(),
            home: self.variable("HOME").map(|home| self.cwd.join(home)),
        }
    }

    /// The place of a directory to make, by a path whose last part is its name.
    ///
    /// # Errors
    /// The path ends in `..` and leads nowhere.
    pub fn output(&self, path: &Utf8Path) -> Result<Utf8PathBuf, FsError> {
        let full: Utf8PathBuf = self.resolve(path).components().collect();
        if full.file_name().is_some() {
            Ok(full)
        } else {
            full.canonicalize_utf8().map_err(failed("find", &full))
        }
    }

    /// A file to write, looked at before there is anything to write; `-` is standard output.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn output_file(&self, path: &Utf8Path) -> Result<OutputFile, FsError> {
        let path = if path == "-" { Utf8PathBuf::from("/dev/stdout") } else { self.resolve(path) };
        let file = OutputFile::prepare(&path)?;
        if self.answers && file.is_standard_output() {
            return Err(failed("write", &path)(io::Error::other(
                "it is the worker's standard output, which carries its answers",
            )));
        }
        Ok(file)
    }

    /// A path as the user means it: relative to the working directory.
    pub fn resolve(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.cwd.join(path)
    }
}

/// Turns a failure to write data into an error.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Error> {
    Ok(result.map_err(failed("write", "standard output".into()))?)
}

/// The exit code of a program that SIGPIPE ended, as shells say it.
const PIPE_CODE: u8 = 128 + 13;

/// What became of whoever reads the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    There,
    /// Has read enough of a report, as `head` does: the command goes on to its verdict and says
    /// nothing of it.
    GoneFromReport,
    /// Has read enough of a stream, which the command is all about.
    GoneFromStream,
    /// Something else failed, which was said.
    Failed,
}

/// Standard output.
struct Data<'a> {
    stream: &'a mut (dyn Write + Send),
    state: Reader,
}

impl Data<'_> {
    /// Writes part of a report in one go.
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.state == Reader::GoneFromReport {
            return Ok(());
        }
        let outcome = self.stream.write_all(bytes);
        self.note(outcome, Reader::GoneFromReport)
    }

    fn note(&mut self, outcome: io::Result<()>, gone: Reader) -> io::Result<()> {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.state = gone;
                if gone == Reader::GoneFromReport { Ok(()) } else { Err(error) }
            }
            Err(error) => {
                self.state = Reader::Failed;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }
}

impl Write for Data<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.stream.write(bytes);
        match outcome {
            Ok(length) => Ok(length),
            Err(error) => self.note(Err(error), Reader::GoneFromStream).map(|()| 0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.stream.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                if self.state == Reader::There {
                    self.state = Reader::GoneFromReport;
                }
                Ok(())
            }
            outcome => outcome,
        }
    }
}
