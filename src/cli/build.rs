//! `venvtree build`.

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, FormatArguments, SpecArguments};
use crate::cli::io::Io;
use crate::cli::spec_input::{self, say_warnings, warnings_json};
use crate::cli::{CommandResult, report, written};
use crate::engine::{self, BuildRequest};

/// Arguments of `venvtree build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree build env.json --out .venv
  venvtree build env.json --out .venv --replace --manifest env.manifest.json
  venvtree interpreter probe python3.12   # prints the `interpreter` of a spec

An output that is this environment already is left alone. Another one is replaced only with --replace, in one step.")]
pub struct BuildArguments {
    #[command(flatten)]
    spec: SpecArguments,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
    /// Replace another environment that is there, in one step.
    #[arg(long)]
    replace: bool,
    /// Write every entry with its digest and origin to FILE, as JSON.
    #[arg(long, value_name = "FILE")]
    manifest: Option<Utf8PathBuf>,
    /// Write the root digest to FILE.
    #[arg(long, value_name = "FILE")]
    digest_file: Option<Utf8PathBuf>,
    /// Say nothing but warnings and errors.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Runs `venvtree build`.
pub(super) fn run(arguments: &BuildArguments, io: &mut Io<'_>) -> CommandResult {
    let session = spec_input::session(&arguments.spec.places);
    let (spec, places) = spec_input::read(&arguments.spec, io)?;
    let prepared = engine::prepare(&session, spec, &places)?;
    let request = BuildRequest {
        out: io.resolve(&arguments.out),
        replace: arguments.replace,
        manifest: arguments.manifest.as_ref().map(|path| io.resolve(path)),
        digest_file: arguments.digest_file.as_ref().map(|path| io.resolve(path)),
    };
    let built = engine::build(&session, &prepared, &request)?;
    say_warnings(io, &prepared.plan.warnings);
    match arguments.format.format {
        Format::Json => {
            let value = json!({
                "outcome": built.outcome.name(),
                "out": arguments.out,
                "digest_function": built.tree.function().name(),
                "digest": built.tree.digest().to_string(),
                "files": built.files,
                "bytes": built.bytes,
                "warnings": warnings_json(&prepared.plan.warnings),
            });
            written(io.print(&report::to_json(&value)))?;
        }
        Format::Text if arguments.quiet => {}
        Format::Text => {
            let what = format!("{}, {}", report::count(built.files, "file"), report::size(built.bytes));
            io.say(&format!("{}: {} ({what}), root digest {}", built.outcome.name(), arguments.out, built.tree.digest()));
        }
    }
    Ok(0)
}
