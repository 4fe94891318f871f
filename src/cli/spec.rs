//! `venvtree spec`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use crate::cli::io::Io;
use crate::cli::{CommandResult, spec_input, written};
use crate::model::spec::document;

/// The subcommands of `venvtree spec`.
#[derive(Debug, Subcommand)]
pub enum SpecCommand {
    /// Print the JSON Schema of specs.
    Schema,
    /// Check a spec without opening anything that it names.
    Check(CheckArguments),
}

/// Arguments of `venvtree spec check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The spec, a JSON file; `-` reads standard input.
    #[arg(value_name = "SPEC")]
    spec: Utf8PathBuf,
}

/// Runs `venvtree spec`.
pub(super) fn run(command: &SpecCommand, io: &mut Io<'_>) -> CommandResult {
    match command {
        SpecCommand::Schema => written(io.print(document::schema().trim_end()))?,
        SpecCommand::Check(arguments) => {
            spec_input::read_text(&arguments.spec, io)?.parse()?;
            io.say("the spec has no problems");
        }
    }
    Ok(0)
}
