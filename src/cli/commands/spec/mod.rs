//! `venvtree spec`.

pub(crate) mod from;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::spec as spec_input;
use crate::cli::io::Io;
use crate::cli::options::Reporting;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb, dispatch};
use crate::error::Error;
use crate::model::spec::document;

/// The subcommands of `venvtree spec`.
#[derive(Debug, Subcommand)]
pub enum SpecCommand {
    /// Print the JSON Schema of specs.
    Schema(SchemaArguments),
    /// Check a spec without opening anything that it names.
    Check(Reporting<CheckArguments>),
    /// Write a spec from wheels, for this machine or for another one.
    From(Reporting<from::FromArguments>),
}

/// Arguments of `venvtree spec check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The spec, a JSON file; `-` reads standard input.
    #[arg(value_name = "SPEC")]
    spec: Utf8PathBuf,
}

/// Arguments of `venvtree spec schema`: none.
#[derive(Debug, Args)]
pub struct SchemaArguments {}

dispatch!(SpecCommand { Schema, Check, From });

impl Verb for SchemaArguments {
    fn request(self, _io: &mut Io<'_>) -> Result<Self, Error> {
        Ok(self)
    }
}

impl Request for SchemaArguments {
    fn run(self, _io: &mut Io<'_>) -> Result<SchemaAnswer, Error> {
        Ok(SchemaAnswer(document::schema()))
    }
}

/// The schema of specs: a document of its own.
#[derive(Debug, Serialize)]
pub(crate) struct SchemaAnswer(String);

impl Answer for SchemaAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        printer.print_text(&Text::of_lines(self.0.lines()))
    }
}

impl Verb for CheckArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Check, Error> {
        let text = spec_input::read_text(&self.spec, io)?;
        Ok(Check { name: self.spec, text })
    }
}

/// The text that is to be checked, and what it is called.
pub(crate) struct Check {
    name: Utf8PathBuf,
    text: spec_input::SpecText,
}

impl Request for Check {
    fn run(self, _io: &mut Io<'_>) -> Result<CheckAnswer, Error> {
        let spec = self.text.parse()?;
        let interpreter = spec.interpreter.to_string();
        Ok(CheckAnswer { spec: self.name, interpreter, wheels: spec.wheels.len() })
    }
}

/// A spec without problems.
#[derive(Debug, Serialize)]
pub(crate) struct CheckAnswer {
    spec: Utf8PathBuf,
    interpreter: String,
    wheels: usize,
}

impl Answer for CheckAnswer {
    fn summary(&self) -> Vec<String> {
        vec!["the spec has no problems".to_owned()]
    }
}
