//! `venvtree lock`: which wheels a lock gives an interpreter, as a list, a spec or files.

pub(crate) mod fetch;
pub(crate) mod index;
#[cfg(feature = "remote")]
pub(crate) mod pin;
pub(crate) mod select;
pub(crate) mod spec;

use clap::Subcommand;

use crate::cli::options::Reporting;
use crate::cli::verb::dispatch;

/// The subcommands of `venvtree lock`.
#[expect(clippy::large_enum_variant, reason = "there is one value in a process")]
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// Show which wheels an interpreter gets.
    Select(Reporting<select::SelectArguments>),
    /// Write the spec of an environment: `build` makes it, and fetches its wheels.
    Spec(Reporting<spec::LockSpecArguments>),
    /// Fetch the wheels into a directory.
    Fetch(Reporting<fetch::LockFetchArguments>),
    /// Write the files and closures for several interpreters, for build systems.
    Index(Reporting<index::IndexArguments>),
    /// Write requirements with hashes as a pylock.toml, with the addresses that an index has.
    #[cfg(feature = "remote")]
    Pin(Reporting<pin::LockPinArguments>),
}

dispatch!(LockCommand {
    Select,
    Spec,
    Fetch,
    Index,
    #[cfg(feature = "remote")]
    Pin
});
