//! `venvtree build`.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::answer::{Answer, Warnings};
use crate::cli::inputs::lock::{
    ChoiceArguments, ForArguments, LeftOut, Locked, LockedArguments, WantedArguments, needs_a_lock,
};
use crate::cli::inputs::spec::{self as spec_input, SpecText};
use crate::cli::inputs::{apart, compiler};
use crate::cli::io::Io;
use crate::cli::options::bytecode::BytecodeArguments;
use crate::cli::options::caches::{self, LinkArguments, RemoteArguments, StoreArguments};
use crate::cli::options::fetching::{self, FetchArguments};
use crate::cli::options::{PlacesArguments, numbers};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::files::OutputFile;
use crate::engine::store::Counts;
use crate::engine::{self, BuildRequest, Caches, Existing, Report, Session};
use crate::error::Error;
use crate::model::bytecode::Validation;
use crate::model::finding::Code;
use crate::model::spec::Spec;

/// Arguments of `venvtree build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree build env.json --out .venv
  venvtree build env.json --out .venv --replace \\
      --manifest env.manifest.json
  # What a lock gives an interpreter that need not be here:
  venvtree build --lock uv.lock --out env \\
      --target linux-x86_64-3.12.1

`venvtree spec from` and `venvtree create --spec-out` write specs.

If the output is this environment already, it is left alone. A build that the store remembers tells that from the \
directories: whether anything was added, removed or exchanged there. With --replace, every file is looked at, \
and read if it does not look as it did when it was written; `venvtree verify` reads all. Another environment is replaced only with --replace, in one step; what is not an environment, or \
holds more than one, is never replaced.")]
pub struct BuildArguments {
    /// The spec, a JSON file; `-` reads standard input.
    #[arg(value_name = "SPEC", required_unless_present = "lock", conflicts_with = "lock")]
    spec: Option<Utf8PathBuf>,
    #[command(flatten)]
    places: PlacesArguments,
    /// Build what this lock gives, in place of a spec: uv.lock, pylock.toml or requirements with
    /// hashes.
    #[arg(long, value_name = "LOCK")]
    lock: Option<Utf8PathBuf>,
    /// With --lock, for Windows: the directory with the launchers for scripts, called as in distlib
    /// (t64.exe and w64.exe for x86_64) [default: what is installed with venvtree].
    #[arg(long, value_name = "DIR", requires = "lock")]
    launchers: Option<Utf8PathBuf>,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
    /// Replace another environment that is there, in one step.
    #[arg(long)]
    replace: bool,
    /// Give each file a modification time that depends on what it holds, after that of the spec's
    /// flags: for build systems that take a file of the same size and time for the same. Files that
    /// the store has hardlinks of keep theirs.
    #[arg(long)]
    distinct_times: bool,
    /// Write every entry with its digest and origin to FILE, as JSON.
    #[arg(long, value_name = "FILE")]
    manifest: Option<Utf8PathBuf>,
    /// Write the root digest to FILE.
    #[arg(long, value_name = "FILE")]
    digest_file: Option<Utf8PathBuf>,
    #[command(flatten)]
    target: ForArguments,
    #[command(flatten)]
    wanted: WantedArguments,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    links: LinkArguments,
    #[command(flatten)]
    fetch: FetchArguments,
    #[command(flatten)]
    remote: RemoteArguments,
    #[command(flatten)]
    bytecode: BytecodeArguments,
}

/// No digest in a file has more bytes.
const LARGEST_DIGEST: u64 = 128;

/// What is to be built.
pub(crate) struct Build {
    /// The spec's place.
    spec: Utf8PathBuf,
    text: SpecText,
    places: PlacesArguments,
    remote: RemoteArguments,
    bytecode: BytecodeArguments,
    session: Session,
    caches: Caches,
    request: BuildRequest,
    /// What a lock has no wheel of.
    left_out: Vec<LeftOut>,
    /// The output as it was typed.
    out: Utf8PathBuf,
}

impl Verb for BuildArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Build, Error> {
        let places = self.places;
        let caches = caches::local(&self.store, &self.links, io)?;
        let fetching = fetching::fetching(&self.fetch, &self.remote, &caches, io)?;
        let mut left_out = Vec::new();
        let (spec, text) = match (&self.lock, self.spec) {
            (Some(lock), _) => {
                let arguments = LockedArguments {
                    lock,
                    choice: ChoiceArguments::new(self.target, self.wanted, self.fetch.wheels),
                    launchers: self.launchers.as_deref(),
                };
                let cwd = io.cwd.clone();
                let locked = Locked::read(arguments, &cwd, io)?;
                let (spec, without) = locked.spec(None, Some(&fetching), io)?;
                left_out = without;
                (lock.clone(), SpecText::of(&spec, lock.as_str(), &cwd))
            }
            (None, spec) => {
                self.wanted.refuse()?;
                self.target.given().map_or(Ok(()), |option| Err(needs_a_lock(option)))?;
                let spec = spec.unwrap_or_default();
                let text = spec_input::read_text(&spec, io)?;
                (spec, text)
            }
        };
        let limits = (places.threads, &places.limits);
        let mut session = spec_input::fetching_session(limits, fetching, io)?;
        compiler::allow(&mut session, &self.bytecode.compiler, io)?;
        let file =
            |path: &Option<Utf8PathBuf>| path.as_ref().map(|path| io.output_file(path)).transpose();
        let request = BuildRequest {
            existing: if self.replace { Existing::Replace } else { Existing::Keep },
            look: self.replace,
            distinct_times: self.distinct_times,
            manifest: file(&self.manifest)?,
            digest_file: file(&self.digest_file)?,
            // With the option, the text alone does not say what is built.
            text: (!self.bytecode.changes_specs()).then(|| text.digest(&places)),
            ..BuildRequest::new(io.output(&self.out)?, io.protected())
        };
        let build = Build {
            spec: io.resolve(&spec),
            text,
            places,
            remote: self.remote,
            bytecode: self.bytecode,
            session,
            caches,
            request,
            left_out,
            out: self.out,
        };
        check_outputs(&build.request, &build.spec)?;
        Ok(build)
    }
}

impl Request for Build {
    fn run(mut self, io: &mut Io<'_>) -> Result<BuildAnswer, Error> {
        let mut allowed = BTreeSet::new();
        let unchanged =
            if self.is_plain(io) { engine::unchanged(&self.caches, &self.request)? } else { None };
        let built = match unchanged {
            Some(report) => Ok(report),
            None => {
                let (mut spec, places) = spec_input::parse(self.text, &self.places, io)?;
                self.bytecode.ask(&mut spec, Validation::Unchecked)?;
                compiler::say_idle(&self.session, &spec, io);
                let request = &self.request;
                apart::check_files(files(request), &spec, &places)?;
                apart::check_environment(&request.out, &spec, &places)?;
                if io.talks {
                    say_whose_time(&spec, io);
                }
                allowed.clone_from(&spec.flags.allow);
                let function = spec.flags.digest_function;
                self.caches.remote =
                    caches::remote(&self.remote, function, &self.caches.notes, io)?;
                engine::build(&self.session, &self.caches, spec, &places, request)
            }
        };
        let notes = caches::say(&self.caches, io);
        let remote = self.caches.remote.as_ref().map(|remote| remote.summary_json());
        let answer = BuildAnswer::new(built?, self.out, allowed, notes, remote);
        Ok(BuildAnswer { left_out: self.left_out, ..answer })
    }
}

impl Build {
    /// Whether the output's stamp may answer. Keys of inputs and what is said of a remote cache
    /// are checked whether or not there is something to do, and what is allowed is said each time.
    fn is_plain(&self, io: &Io<'_>) -> bool {
        // What is larger than a digest may be an input, which the spec says.
        let larger = |file: &OutputFile| {
            let found = file.path().as_std_path().metadata();
            found.is_ok_and(|found| found.len() > LARGEST_DIGEST)
        };
        self.places.inputs.is_empty()
            && !caches::has_remote(&self.remote, io)
            && !self.text.may_allow(&self.places)
            && !self.request.digest_file.as_ref().is_some_and(larger)
    }
}

/// What was built.
#[derive(Debug, Serialize)]
pub(crate) struct BuildAnswer {
    outcome: &'static str,
    source: &'static str,
    out: Utf8PathBuf,
    digest_function: &'static str,
    digest: String,
    key: Option<String>,
    looked: bool,
    allowed: BTreeSet<Code>,
    files: u64,
    bytes: u64,
    links: Counts,
    warnings: Warnings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    remote: Option<Value>,
}

impl BuildAnswer {
    fn new(
        built: Report,
        out: Utf8PathBuf,
        allowed: BTreeSet<Code>,
        notes: Vec<String>,
        remote: Option<Value>,
    ) -> Self {
        Self {
            outcome: built.outcome.name(),
            source: built.source.name(),
            out,
            digest_function: built.function.name(),
            digest: built.root.to_string(),
            key: built.action.map(|action| action.to_string()),
            looked: built.looked,
            warnings: Warnings::new(built.warnings).allowing(built.source, &allowed),
            allowed,
            files: built.files,
            bytes: built.bytes,
            links: built.links,
            left_out: Vec::new(),
            notes,
            remote,
        }
    }
}

impl Answer for BuildAnswer {
    fn warnings(&self) -> Option<&Warnings> {
        Some(&self.warnings)
    }

    fn summary(&self) -> Vec<String> {
        let what =
            format!("{}, {}", quantity::count_u64(self.files, "file"), quantity::size(self.bytes));
        // What the answer rests on, where that is less than all of the files.
        let basis =
            if self.looked { "" } else { "; its directories are as the last build left them" };
        let Self { outcome, out, digest, .. } = self;
        vec![format!("{outcome}: {out} ({what}{basis}), root digest {digest}")]
    }
}

/// The files that are written beside the environment.
fn files(request: &BuildRequest) -> impl Iterator<Item = &OutputFile> {
    request.manifest.iter().chain(&request.digest_file)
}

/// Refuses files that would lie in the environment, be the same, or take the place of the spec.
fn check_outputs(request: &BuildRequest, spec: &Utf8Path) -> Result<(), Error> {
    apart::check_outside(files(request), &request.out)?;
    if let (Some(manifest), Some(digest)) = (&request.manifest, &request.digest_file)
        && manifest.is_in(digest.path())
    {
        let message = format!("`{}` cannot hold both the manifest and the digest", digest.path());
        return Err(
            Error::usage(message).hint("choose two files; the manifest says the digest, too")
        );
    }
    for file in files(request) {
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
        io.note(&format!("SOURCE_DATE_EPOCH is {text:?}, but the spec decides the time of an environment: {mtime} (`flags.mtime`)"));
    }
}
