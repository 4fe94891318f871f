//! `venvtree completions`: generated from the arguments themselves.

use clap::Args;
use clap_complete::Shell;

use crate::cli::answer::Done;
use crate::cli::io::{Io, written};
use crate::cli::verb::{Request, Verb};
use crate::error::Error;

/// Arguments of `venvtree completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # A file for ~/.local/share/bash-completion/completions:
  venvtree completions bash > venvtree")]
pub struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// The arguments, and the whole command that they are part of.
pub(crate) struct Completions {
    pub(crate) arguments: CompletionsArguments,
    pub(crate) whole: clap::Command,
}

impl Verb for Completions {
    fn request(self, _io: &mut Io<'_>) -> Result<Self, Error> {
        Ok(self)
    }
}

impl Request for Completions {
    fn run(mut self, io: &mut Io<'_>) -> Result<Done, Error> {
        // Rendered first: the generator panics where its output fails.
        let mut script = Vec::new();
        clap_complete::generate(self.arguments.shell, &mut self.whole, "venvtree", &mut script);
        written(io.print_generated(&script))?;
        Ok(Done::WELL)
    }
}
