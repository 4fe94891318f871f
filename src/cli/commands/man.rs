//! `venvtree man`: generated from the arguments themselves.

use camino::Utf8PathBuf;
use clap::Args;

use crate::cli::answer::Done;
use crate::cli::io::{Io, written};
use crate::cli::verb::{Request, Verb};
use crate::engine::files::{self, failed};
use crate::error::Error;

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

/// The arguments, and the whole command that they are part of.
pub(crate) struct Man {
    pub(crate) arguments: ManArguments,
    pub(crate) whole: clap::Command,
}

impl Verb for Man {
    fn request(self, io: &mut Io<'_>) -> Result<Pages, Error> {
        let mut command = self.whole.disable_help_subcommand(true);
        command.build();
        let directory = self.arguments.out.as_ref().map(|path| io.resolve(path));
        Ok(Pages { command, directory })
    }
}

/// What is to be described, and the directory for the pages if there are to be several.
pub(crate) struct Pages {
    command: clap::Command,
    directory: Option<Utf8PathBuf>,
}

impl Request for Pages {
    fn run(self, io: &mut Io<'_>) -> Result<Done, Error> {
        let Self { command, directory } = self;
        let Some(directory) = directory else {
            let page = page(command).map_err(failed("render", "venvtree.1".into()))?;
            written(io.print_generated(&page))?;
            return Ok(Done::WELL);
        };
        files::make_directories(&directory)?;
        let mut pages = vec![command];
        while let Some(command) = pages.pop() {
            pages.extend(
                command.get_subcommands().filter(|command| !command.is_hide_set()).cloned(),
            );
            let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
            let path = directory.join(format!("{name}.1"));
            let bytes = page(command).map_err(failed("render", &path))?;
            io.output_file(&path)?.write(|out| out.write_all(&bytes))?;
        }
        Ok(Done::WELL)
    }
}

/// A page, without a date, so that it is the same whenever it is made.
fn page(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).date("").render(&mut page).map(|()| page)
}
