//! How a command answers: what it found out or did, for people or as JSON, written in one place.
//!
//! A command returns a value that is an [`Answer`]; nothing else prints reports. Standard output is
//! data, standard error is talk.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::cli::io::{Io, written};
use crate::cli::options::{Format, Output};
use crate::cli::text::{self, Text};
use crate::engine::Source;
use crate::error::{Detail, Error, Explain, chain};
use crate::model::finding::Code;
use crate::model::plan::PlanWarning;

/// The version of every JSON document that commands print. Documents only grow; what would break a
/// reader raises it.
const DOCUMENT_VERSION: u64 = 1;

/// The exit code of a command that found differences.
pub(crate) const DIFFERENCES: u8 = 1;

/// What a command found out or did. Its fields are those of the JSON document.
pub(crate) trait Answer: Serialize {
    /// Whether the data is a list, which warnings are to stand below.
    const IS_LIST: bool = false;

    /// Whether the document may be long, so that it is written as it is made. Such an answer has no
    /// [`Answer::error`].
    const IS_LONG: bool = false;

    /// Prints the data for people, where there is any besides [`Answer::summary`].
    ///
    /// # Errors
    /// Standard output cannot be written.
    fn text(&self, _printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        Ok(())
    }

    /// What is said at the end, unless that is not wanted: one line each.
    fn summary(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a person should know although the command did what it was asked.
    fn warnings(&self) -> Option<&Warnings> {
        None
    }

    /// Why the answer is not the whole one.
    fn error(&self) -> Option<&Error> {
        None
    }

    /// Whether standard output is free for a document, and holds nothing else.
    fn has_document(&self) -> bool {
        true
    }

    /// The exit code, where there is no error.
    fn exit_code(&self) -> u8 {
        0
    }
}

/// The answer of a command whose output was written while it ran: a script, a page, a protocol.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    #[serde(skip)]
    code: u8,
}

impl Done {
    /// All went well.
    pub(crate) const WELL: Self = Self { code: 0 };

    /// The command said itself what went wrong.
    pub(crate) fn badly(code: u8) -> Self {
        Self { code }
    }
}

impl Answer for Done {
    fn has_document(&self) -> bool {
        false
    }

    fn exit_code(&self) -> u8 {
        self.code
    }
}

/// Where the data of an answer goes.
pub(crate) struct Printer<'p, 'io> {
    io: &'p mut Io<'io>,
    quiet: bool,
}

impl Printer<'_, '_> {
    /// Writes a line of data.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn print(&mut self, line: &str) -> Result<(), Error> {
        written(self.io.print(line))
    }

    /// Writes a line of data, unless nothing but warnings and errors is wanted.
    ///
    /// # Errors
    /// As [`Printer::print`].
    pub(crate) fn print_unless_quiet(&mut self, line: &str) -> Result<(), Error> {
        if self.quiet { Ok(()) } else { self.print(line) }
    }

    /// Writes data of several lines.
    ///
    /// # Errors
    /// As [`Printer::print`].
    pub(crate) fn print_text(&mut self, text: &Text) -> Result<(), Error> {
        written(self.io.print_text(text))
    }

    /// Writes a line of talk that was asked for.
    pub(crate) fn say(&mut self, line: &str) {
        self.io.say(line);
    }

    /// Writes a line of talk, unless that is not wanted.
    pub(crate) fn say_unless_quiet(&mut self, line: &str) {
        if !self.quiet {
            self.io.say(line);
        }
    }

    /// Warns in one line.
    pub(crate) fn warn(&mut self, what: &str) {
        self.io.warn(what);
    }

    /// Writes talk of several lines, unless that is not wanted.
    pub(crate) fn say_text_unless_quiet(&mut self, text: &Text) {
        if !self.quiet {
            self.io.say_text(text);
        }
    }
}

/// What a person should know of a plan, and of what was allowed. In a document: code and message
/// of each.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    plan: Vec<PlanWarning>,
    allowed: Option<String>,
}

impl Warnings {
    /// Those of a plan.
    pub(crate) fn new(plan: Vec<PlanWarning>) -> Self {
        Self { plan, allowed: None }
    }

    /// With a word on what is allowed, where no wheel was looked at that could say what was found
    /// in it.
    #[must_use]
    pub(crate) fn allowing<'c>(
        mut self,
        source: Source,
        allowed: impl IntoIterator<Item = &'c Code>,
    ) -> Self {
        let codes: Vec<&str> = allowed.into_iter().map(|code| code.text()).collect();
        if source != Source::Wheels && !codes.is_empty() {
            self.allowed = Some(format!(
                "findings of {} are allowed, and the wheels were not looked at again",
                codes.join(", ")
            ));
        }
        self
    }

    fn say(&self, io: &mut Io<'_>) {
        for warning in &self.plan {
            io.say_text(&Text::of_message(&format!("warning: {warning}"), &warning.items()));
        }
        if let Some(allowed) = &self.allowed {
            io.warn(allowed);
        }
    }
}

impl Serialize for Warnings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.plan.iter().map(PlanWarningDocument::from))
    }
}

/// A warning of a plan in a document.
#[derive(Debug, Serialize)]
pub(crate) struct PlanWarningDocument {
    code: &'static str,
    message: String,
}

impl From<&PlanWarning> for PlanWarningDocument {
    fn from(warning: &PlanWarning) -> Self {
        Self { code: warning.code(), message: warning.to_string() }
    }
}

/// Writes an answer; returns the exit code.
///
/// # Errors
/// Standard output cannot be written, or the answer is not the whole one.
pub(crate) fn give<A: Answer>(answer: A, output: Output, io: &mut Io<'_>) -> Result<u8, Error> {
    let warn = |io: &mut Io<'_>| answer.warnings().into_iter().for_each(|all| all.say(io));
    let is_list = A::IS_LIST && output.format == Format::Text;
    if !is_list {
        warn(io);
    }
    match output.format {
        Format::Json if A::IS_LONG => long_document(io, &answer)?,
        Format::Json if answer.has_document() => {
            let mut report = json!(answer);
            if let (Some(error), Value::Object(report)) = (answer.error(), &mut report) {
                // One document, whatever happened.
                report.insert("error".to_owned(), error_json(error));
            }
            document(io, report)?;
        }
        Format::Json => {}
        Format::Text => {
            answer.text(&mut Printer { io, quiet: output.quiet })?;
            if is_list {
                warn(io);
            }
            if !output.quiet {
                answer.summary().iter().for_each(|line| io.say(line));
            }
        }
    }
    let code = match answer.error() {
        Some(error) => {
            say_error(io, error.explained());
            error.kind().exit_code()
        }
        None => answer.exit_code(),
    };
    io.let_go(answer);
    Ok(code)
}

/// Prints a report as the one JSON document on standard output. This is the only way for a report
/// to get there, so that each has a `version`, which comes first.
fn document(io: &mut Io<'_>, report: Value) -> Result<(), Error> {
    let mut fields = Map::new();
    fields.insert("version".to_owned(), DOCUMENT_VERSION.into());
    match report {
        Value::Object(report) => fields.extend(report),
        other => {
            fields.insert("report".to_owned(), other);
        }
    }
    written(io.print_text(&Text::of_json(&Value::Object(fields))))
}

/// The same of an answer that may be long.
fn long_document(io: &mut Io<'_>, report: &impl Serialize) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Versioned<'a, R> {
        version: u64,
        #[serde(flatten)]
        report: &'a R,
    }
    let versioned = Versioned { version: DOCUMENT_VERSION, report };
    written(text::write_json(&versioned, |text| io.print_part(text)))
}

/// Prints an error: in text to standard error, as JSON also to standard output.
pub(crate) fn print_error(io: &mut Io<'_>, format: Format, error: &Error) {
    if format == Format::Json {
        print_error_document(io, error_json(error));
    }
    say_error(io, error.explained());
}

/// Prints the document of an error.
pub(crate) fn print_error_document(io: &mut Io<'_>, error: Value) {
    // Where even that cannot be written, standard error still says why.
    let _ = document(io, json!({ "error": error }));
}

/// An error for a JSON document.
fn error_json(error: &Error) -> Value {
    let error = error.explained();
    let mut document = json!({
        "kind": error.kind().name(),
        "message": chain(error),
        "hint": error.hint(),
        "details": error.details(),
    });
    if let Some(code) = error.code() {
        document["code"] = code.into();
    }
    document
}

/// Prints an error for people.
pub(crate) fn say_error(io: &mut Io<'_>, error: &dyn Explain) {
    let code = error.code().map(|code| format!("[{code}] ")).unwrap_or_default();
    io.say_text(&Text::of_message(&format!("error: {code}{}", chain(error)), &error.items()));
    let mut last_hint = None;
    for Detail { code, message, hint, items, has_code } in error.details() {
        let code = if has_code { format!("[{code}] ") } else { String::new() };
        io.say_text(&Text::of_message(&format!("  - {code}{message}"), &items));
        if hint != last_hint {
            if let Some(hint) = &hint {
                io.say(&format!("    hint: {hint}"));
            }
            last_hint = hint;
        }
    }
    if let Some(hint) = error.hint() {
        io.say(&format!("hint: {hint}"));
    }
}
