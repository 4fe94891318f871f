//! `venvtree key`: the name of an environment in caches, and why two names differ.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::{Format, FormatArguments, QuietArguments, SpecArguments};
use crate::cli::io::Io;
use crate::cli::text::Text;
use crate::cli::{CommandResult, DIFFERENCES, report, spec_input, written};
use crate::engine::caching;
use crate::model::request;

/// Arguments of `venvtree key`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree key env.json
  # Why two keys differ; the exit code is 1 if they do:
  venvtree key env.json --explain other.json

The key is the digest of a REAPI action whose only input is the canonical request. Wheels with a pinned SHA-256 need \
not be there.")]
pub struct KeyArguments {
    #[command(flatten)]
    spec: SpecArguments,
    /// Say in words how the spec OTHER differs.
    #[arg(long, value_name = "OTHER")]
    explain: Option<camino::Utf8PathBuf>,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Runs `venvtree key`.
pub(super) fn run(arguments: &KeyArguments, io: &mut Io<'_>) -> CommandResult {
    let session = spec_input::session(&arguments.spec.places, io)?;
    let (spec, places) = spec_input::read(&arguments.spec, io)?;
    let action = caching::action(&session, &spec, &places)?;
    let request: Value = serde_json::from_slice(action.request()).expect("a request is JSON");
    let Some(other) = &arguments.explain else {
        let blobs = action.blobs();
        let value = json!({
            "key": action.digest().to_string(),
            "digest_function": action.function().name(),
            "command": blobs[1].0.to_string(),
            "input_root": blobs[2].0.to_string(),
            "output": action.output(),
            "request": request,
        });
        match arguments.format.format {
            Format::Json => report::document(io, value)?,
            Format::Text => {
                written(io.print(&action.digest().to_string()))?;
                if !arguments.quiet.quiet {
                    io.say_text(&Text::of_json(&request));
                }
            }
        }
        return Ok(0);
    };
    let (other_spec, other_places) = spec_input::read_beside(other, &arguments.spec.places, io)?;
    let other_action = caching::action(&session, &other_spec, &other_places)?;
    let other_request: Value =
        serde_json::from_slice(other_action.request()).expect("a request is JSON");
    let differences = request::explain(&request, &other_request);
    let same = action.digest() == other_action.digest();
    match arguments.format.format {
        Format::Json => {
            let value = json!({
                "same": same,
                "first": action.digest().to_string(),
                "second": other_action.digest().to_string(),
                "differences": differences,
            });
            report::document(io, value)?;
        }
        Format::Text if same => written(io.print("the keys are the same"))?,
        Format::Text => {
            for sentence in &differences {
                written(io.print(sentence))?;
            }
        }
    }
    Ok(if same { 0 } else { DIFFERENCES })
}
