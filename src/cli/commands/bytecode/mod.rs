//! `venvtree bytecode`.

pub(crate) mod check;
pub(crate) mod compile;

use clap::Subcommand;

use crate::cli::io::Io;
use crate::cli::options::{Format, Reporting};
use crate::cli::verb::perform;
use crate::error::Error;

/// The subcommands of `venvtree bytecode`.
#[derive(Debug, Subcommand)]
pub enum BytecodeCommand {
    /// Compile the modules of wheels, each wheel's into a file of its own.
    Compile(Reporting<compile::CompileArguments>),
    /// Check that a spec's bytecode is the same whenever it is made, and that of an environment.
    Check(Reporting<check::CheckArguments>),
}

/// Does what a subcommand asks for.
pub(crate) fn dispatch(command: BytecodeCommand, io: &mut Io<'_>) -> (Format, Result<u8, Error>) {
    match command {
        BytecodeCommand::Compile(arguments) => perform(arguments, io),
        BytecodeCommand::Check(arguments) => perform(arguments, io),
    }
}
