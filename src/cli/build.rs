//! `venvtree build`.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::json;

use crate::cli::apart;
use crate::cli::args::{Format, FormatArguments, QuietArguments, SpecArguments};
use crate::cli::caches::{self, LinkArguments, RemoteArguments, StoreArguments};
use crate::cli::io::Io;
use crate::cli::spec_input::{self, say_allowed, say_warnings, warnings_json};
use crate::cli::{CommandResult, numbers, report};
use crate::effects::host::output_file::OutputFile;
use crate::engine::{BuildRequest, Existing, caching};
use crate::error::Error;
use crate::model::spec::Spec;

/// Arguments of `venvtree build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree build env.json --out .venv
  venvtree build env.json --out .venv --replace \\
      --manifest env.manifest.json

`venvtree spec from` and `venvtree create --spec-out` write specs.

If the output is this environment already, it is left alone. A build that the store remembers tells that from the \
directories: whether anything was added, removed or exchanged there. With --replace, every file is read, as by \
`venvtree verify`. Another environment is replaced only with --replace, in one step; what is not an environment, or \
holds more than one, is never replaced.")]
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
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    links: LinkArguments,
    #[command(flatten)]
    remote: RemoteArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// No digest in a file has more bytes.
const LARGEST_DIGEST: u64 = 128;

/// Runs `venvtree build`.
pub(super) fn run(arguments: &BuildArguments, io: &mut Io<'_>) -> CommandResult {
    let text = spec_input::read_text(&arguments.spec.spec, io)?;
    let session = spec_input::session(&arguments.spec.places, io)?;
    let mut caches = caches::local(&arguments.store, &arguments.links, io)?;
    let request = BuildRequest {
        out: io.output(&arguments.out)?,
        existing: if arguments.replace { Existing::Replace } else { Existing::Keep },
        protected: io.protected(),
        look: arguments.replace,
        manifest: arguments.manifest.as_ref().map(|path| io.output_file(path)).transpose()?,
        digest_file: arguments.digest_file.as_ref().map(|path| io.output_file(path)).transpose()?,
        text: Some(text.digest(&arguments.spec.places)),
    };
    check_outputs(&request, &io.resolve(&arguments.spec.spec))?;
    let files = || request.manifest.iter().chain(&request.digest_file);
    // Keys of inputs and what is said of a remote cache are checked whether or not there is
    // something to do.
    let places = &arguments.spec.places;
    // What is allowed is said each time.
    let plain = places.inputs.is_empty()
        && !caches::has_remote(&arguments.remote, io)
        && !text.may_allow(places);
    // What is larger than a digest may be an input, which the spec says.
    let larger = |file: &OutputFile| {
        file.path().as_std_path().metadata().is_ok_and(|found| found.len() > LARGEST_DIGEST)
    };
    let plain = plain && !request.digest_file.as_ref().is_some_and(larger);
    let mut allowed = BTreeSet::new();
    let unchanged = if plain { caching::unchanged(&caches, &request)? } else { None };
    let built = match unchanged {
        Some(report) => Ok(report),
        None => {
            let (spec, places) = spec_input::parse(text, &arguments.spec.places, io)?;
            apart::check_files(files(), &spec, &places)?;
            apart::check_environment(&request.out, &spec, &places)?;
            if arguments.format.format == Format::Text && !arguments.quiet.quiet {
                say_whose_time(&spec, io);
            }
            allowed.clone_from(&spec.flags.allow);
            caches.remote =
                caches::remote(&arguments.remote, spec.flags.digest_function, &caches.notes, io)?;
            caching::build(&session, &caches, spec, &places, &request)
        }
    };
    let quiet = arguments.quiet.quiet || arguments.format.format == Format::Json;
    let notes = caches::say(&caches, quiet, io);
    let built = built?;
    say_warnings(io, &built.warnings);
    say_allowed(io, built.source, &allowed);
    match arguments.format.format {
        Format::Json => {
            let value = json!({
                "outcome": built.outcome.name(),
                "source": built.source.name(),
                "out": arguments.out,
                "digest_function": built.function.name(),
                "digest": built.root.to_string(),
                "key": built.action.map(|action| action.to_string()),
                "looked": built.looked,
                "allowed": allowed,
                "files": built.files,
                "bytes": built.bytes,
                "links": built.links,
                "warnings": warnings_json(&built.warnings),
                "notes": notes,
                "remote": caches.remote.as_ref().map(|remote| remote.summary_json()),
            });
            report::document(io, value)?;
        }
        Format::Text if arguments.quiet.quiet => {}
        Format::Text => {
            let files = report::count(usize::try_from(built.files).unwrap_or(usize::MAX), "file");
            let what = format!("{files}, {}", report::size(built.bytes));
            // What the answer rests on, where that is less than all of the files.
            let basis =
                if built.looked { "" } else { "; its directories are as the last build left them" };
            io.say(&format!(
                "{}: {} ({what}{basis}), root digest {}",
                built.outcome.name(),
                arguments.out,
                built.root
            ));
        }
    }
    Ok(0)
}

/// Refuses files that would lie in the environment, be the same, or take the place of the spec.
fn check_outputs(request: &BuildRequest, spec: &Utf8Path) -> Result<(), Error> {
    let files = || request.manifest.iter().chain(&request.digest_file);
    apart::check_outside(files(), &request.out)?;
    if let (Some(manifest), Some(digest)) = (&request.manifest, &request.digest_file)
        && manifest.is_in(digest.path())
    {
        let message = format!("`{}` cannot hold both the manifest and the digest", digest.path());
        return Err(Error::Usage {
            message,
            hint: Some("choose two files; the manifest says the digest, too".to_owned()),
        });
    }
    for file in files() {
        apart::check_file(file, [spec])?;
    }
    Ok(())
}

/// Says that the spec decides the time of everything where somebody may expect that
/// SOURCE_DATE_EPOCH does, as for `pack` and `create`.
fn say_whose_time(spec: &Spec, io: &mut Io<'_>) {
    let mtime = spec.flags.mtime;
    if let Some(text) =
        io.variable("SOURCE_DATE_EPOCH").filter(|text| numbers::epoch(text) != Ok(mtime))
    {
        io.say(&format!("note: SOURCE_DATE_EPOCH is {text:?}, but the spec decides the time of an environment: {mtime} (`flags.mtime`)"));
    }
}
