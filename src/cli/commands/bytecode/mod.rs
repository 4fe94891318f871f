//! `venvtree bytecode`.

pub(crate) mod check;
pub(crate) mod compile;

use clap::Subcommand;

use crate::cli::options::Reporting;
use crate::cli::verb::dispatch;

/// The subcommands of `venvtree bytecode`.
#[derive(Debug, Subcommand)]
pub enum BytecodeCommand {
    /// Compile the modules of wheels, each wheel's into a file of its own.
    Compile(Reporting<compile::CompileArguments>),
    /// Check that a spec's bytecode is the same whenever it is made, and that of an environment.
    Check(Reporting<check::CheckArguments>),
}

dispatch!(BytecodeCommand { Compile, Check });
