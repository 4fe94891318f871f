//! `venvtree lock`: which wheels a lock gives an interpreter.

pub(crate) mod index;
pub(crate) mod select;

use clap::Subcommand;

use crate::cli::io::Io;
use crate::cli::options::{Deferred, Format};
use crate::cli::verb::perform;
use crate::error::Error;

/// The subcommands of `venvtree lock`.
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// Show which wheels an interpreter gets.
    Select(Deferred<select::SelectArguments>),
    /// Write the files and closures for several interpreters, for build systems.
    Index(Deferred<index::IndexArguments>),
}

/// Does what a subcommand asks for.
pub(crate) fn dispatch(command: LockCommand, io: &mut Io<'_>) -> (Format, Result<u8, Error>) {
    match command {
        LockCommand::Select(arguments) => perform(arguments, io),
        LockCommand::Index(arguments) => perform(arguments, io),
    }
}
