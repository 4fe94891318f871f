//! `venvtree spec`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use serde_json::json;

use crate::cli::args::{Deferred, Format, FormatArguments, QuietArguments};
use crate::cli::io::Io;
use crate::cli::text::Text;
use crate::cli::{CommandResult, report, spec_input, written};
use crate::model::spec::document;

/// The subcommands of `venvtree spec`.
#[derive(Debug, Subcommand)]
pub enum SpecCommand {
    /// Print the JSON Schema of specs.
    Schema,
    /// Check a spec without opening anything that it names.
    Check(CheckArguments),
    /// Write a spec from wheels, for this machine or for another one.
    From(Deferred<super::spec_from::FromArguments>),
}

/// Arguments of `venvtree spec check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The spec, a JSON file; `-` reads standard input.
    #[arg(value_name = "SPEC")]
    spec: Utf8PathBuf,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    format: FormatArguments,
}

impl SpecCommand {
    /// How the command reports.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Schema => Format::Text,
            Self::Check(arguments) => arguments.format.format,
            Self::From(arguments) => arguments.format.format,
        }
    }
}

/// Runs `venvtree spec`.
pub(super) fn run(command: &SpecCommand, io: &mut Io<'_>) -> CommandResult {
    match command {
        SpecCommand::From(arguments) => return super::spec_from::run(arguments, io),
        SpecCommand::Schema => written(io.print_text(&Text::of_lines(document::schema().lines())))?,
        SpecCommand::Check(arguments) => {
            let spec = spec_input::read_text(&arguments.spec, io)?.parse()?;
            match arguments.format.format {
                Format::Json => {
                    let value = json!({"spec": arguments.spec, "interpreter": spec.interpreter.to_string(), "wheels": spec.wheels.len()});
                    report::document(io, value)?;
                }
                Format::Text => arguments.quiet.say(io, "the spec has no problems"),
            }
        }
    }
    Ok(0)
}
