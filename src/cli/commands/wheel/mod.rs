//! `venvtree wheel`.

pub(crate) mod facts;
pub(crate) mod sarif;

pub(crate) mod check;
pub(crate) mod pack;

use clap::Subcommand;

use crate::cli::io::Io;
use crate::cli::options::{Deferred, Format, Reporting};
use crate::cli::verb::perform;
use crate::error::Error;

/// The subcommands of `venvtree wheel`.
#[derive(Debug, Subcommand)]
pub enum WheelCommand {
    /// Report everything odd about wheels, and what would run when an interpreter starts.
    Check(Deferred<check::CheckArguments>),
    /// Pack files into a wheel.
    Pack(Reporting<pack::WheelPackArguments>),
}

/// Does what a subcommand asks for.
pub(crate) fn dispatch(command: WheelCommand, io: &mut Io<'_>) -> (Format, Result<u8, Error>) {
    match command {
        WheelCommand::Check(arguments) => perform(arguments, io),
        WheelCommand::Pack(arguments) => perform(arguments, io),
    }
}
