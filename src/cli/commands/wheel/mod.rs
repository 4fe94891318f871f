//! `venvtree wheel`.

pub(crate) mod facts;
pub(crate) mod sarif;

pub(crate) mod check;
pub(crate) mod pack;

use clap::Subcommand;

use crate::cli::options::{Deferred, Reporting};
use crate::cli::verb::dispatch;

/// The subcommands of `venvtree wheel`.
#[derive(Debug, Subcommand)]
pub enum WheelCommand {
    /// Report everything odd about wheels, and what would run when an interpreter starts.
    Check(Deferred<check::CheckArguments>),
    /// Pack files into a wheel.
    Pack(Reporting<pack::WheelPackArguments>),
}

dispatch!(WheelCommand { Check, Pack });
