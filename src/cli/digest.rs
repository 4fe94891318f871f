//! `venvtree digest`.

use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, FormatArguments, QuietArguments, SpecArguments};
use crate::cli::caches::{self, StoreArguments};
use crate::cli::io::Io;
use crate::cli::spec_input::{self, say_warnings, warnings_json};
use crate::cli::{CommandResult, numbers, report, written};
use crate::effects::host::notes::Notes;
use crate::effects::scan::{self, View};
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::Foresight;
use crate::engine::caching::{self, Caches};
use crate::error::Error;
use crate::model::digest::DigestFunction;

/// Arguments of `venvtree digest`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # What `build` would write, without writing it:
  venvtree digest env.json
  # And which members had to be inflated for it:
  venvtree digest env.json --explain
  # The digest of a directory:
  venvtree digest .venv

The root digest is that of the REAPI `Directory` message, printed as HASH/SIZE. For a spec with SHA-256 it is \
predicted from the RECORDs of the wheels, which `build` verifies; whole wheels are not hashed. With BLAKE3, members \
are inflated, except those of wheels that the store knows from an earlier build.")]
pub struct DigestArguments {
    #[command(flatten)]
    spec: SpecArguments,
    /// List the members that had to be inflated.
    #[arg(long)]
    explain: bool,
    /// The digest function for a directory; that of a spec is its own flag.
    #[arg(long, value_name = "FUNCTION", value_parser = numbers::digest_function())]
    digest_function: Option<DigestFunction>,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Runs `venvtree digest`.
pub(super) fn run(arguments: &DigestArguments, io: &mut Io<'_>) -> CommandResult {
    let session = spec_input::session(&arguments.spec.places, io)?;
    let path = io.resolve(&arguments.spec.spec);
    if arguments.spec.spec != "-" && path.is_dir() {
        let function = arguments.digest_function.unwrap_or_default();
        session.progress.begin(Phase::Reading, Amount::default());
        let scan = scan::scan(&path, function, View::Exact, session.threads)?;
        if let Some((name, problem)) = scan.odd.first() {
            let message = format!(
                "`{name}` in `{}` cannot be part of a digest: {problem}",
                arguments.spec.spec
            );
            return Err(Error::Usage { message, hint: None });
        }
        let digest = scan.tree.digest().to_string();
        let value = json!({"digest_function": function.name(), "digest": digest});
        match arguments.format.format {
            Format::Json => report::document(io, value)?,
            Format::Text => written(io.print(&digest))?,
        }
        return Ok(0);
    }
    let (spec, places) = spec_input::read(&arguments.spec, io)?;
    if arguments.digest_function.is_some_and(|function| function != spec.flags.digest_function) {
        let message = format!(
            "the spec asks for {}, `--digest-function` for another one",
            spec.flags.digest_function
        );
        return Err(Error::Usage {
            message,
            hint: Some(
                "leave the option out, or change the spec's flag `digest_function`".to_owned(),
            ),
        });
    }
    let notes = Notes::new();
    let caches =
        Caches { store: caches::store(&arguments.store, &notes, io)?, notes, ..Caches::default() };
    let predicted = caching::predict(&session, &caches, spec, &places);
    caches::say(&caches, true, io);
    let (prepared, tree, foresight) = predicted?;
    say_warnings(io, &prepared.plan.warnings);
    let inflated = if arguments.explain { prepared.inflated() } else { Vec::new() };
    let method = match foresight {
        Foresight::Claims => "predicted",
        Foresight::Known => "known",
        Foresight::Inflated => "inflated",
    };
    if arguments.format.format == Format::Json {
        let mut value = json!({
            "digest_function": tree.function().name(),
            "digest": tree.digest().to_string(),
            "method": method,
            "warnings": warnings_json(&prepared.plan.warnings),
        });
        if arguments.explain {
            value["inflated"] = inflated
                .iter()
                .map(|(wheel, member)| json!({"wheel": wheel, "member": member}))
                .collect();
        }
        report::document(io, value)?;
        return Ok(0);
    }
    if arguments.explain {
        match foresight {
            Foresight::Claims => io.say(&format!(
                "predicted from RECORDs; inflated {}:",
                report::count(inflated.len(), "member")
            )),
            Foresight::Known => {
                io.say("known from an earlier build; planning looks at the bytes of:")
            }
            Foresight::Inflated => {
                io.say("members were inflated, as RECORDs hold no BLAKE3; among them for planning:")
            }
        }
        for (wheel, member) in &inflated {
            io.say(&format!("  {wheel}: {member}"));
        }
    }
    written(io.print(&tree.digest().to_string()))?;
    // The process is about to end: to give back every entry first would take a tenth of the time
    // until here.
    std::mem::forget((prepared, tree));
    Ok(0)
}
