//! `venvtree completions` and `venvtree man`: what is generated from the arguments themselves.

use camino::Utf8PathBuf;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::args::Arguments;
use crate::cli::io::Io;
use crate::cli::{CommandResult, written};
use crate::effects::host::fs::{self, Permissions, failed};

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

/// Arguments of `venvtree man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree man | man -l -
  venvtree man --out share/man/man1")]
pub struct ManArguments {
    /// Write `venvtree.1` and a page for every subcommand into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
}

/// Runs `venvtree completions`.
pub(super) fn completions(arguments: &CompletionsArguments, io: &mut Io<'_>) -> CommandResult {
    // Rendered first: the generator panics where its output fails.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "venvtree", &mut script);
    written(io.print_generated(&script))?;
    Ok(0)
}

/// Runs `venvtree man`.
pub(super) fn man(arguments: &ManArguments, io: &mut Io<'_>) -> CommandResult {
    // Without a date, so that the pages are the same whenever they are made.
    let page = |command: clap::Command| {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).date("").render(&mut page).map(|()| page)
    };
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = &arguments.out else {
        let page = page(command).map_err(failed("render", "venvtree.1".into()))?;
        written(io.print_generated(&page))?;
        return Ok(0);
    };
    let directory = io.resolve(directory);
    fs::create_directories(&directory, Permissions::Usual).map_err(failed("create", &directory))?;
    let mut pages = vec![command];
    while let Some(command) = pages.pop() {
        pages.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let path = directory.join(format!("{name}.1"));
        let bytes = page(command).map_err(failed("render", &path))?;
        io.output_file(&path)?.write(|out| out.write_all(&bytes))?;
    }
    Ok(0)
}
