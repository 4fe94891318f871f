//! `venvtree create`: an environment in one command, by way of a spec.

mod activation;
mod foreign;
mod relocate;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::answer::{Answer, Printer, Warnings};
use crate::cli::inputs::lock::{self as lock_input, LeftOut, Wanted, WantedArguments};
use crate::cli::inputs::{apart, compiler, spec as spec_input};
use crate::cli::io::{Io, written};
use crate::cli::options::bytecode::BytecodeArguments;
use crate::cli::options::caches::{self, CacheArguments, RemoteArguments};
use crate::cli::options::fetching::{self, FetchArguments};
use crate::cli::options::{AllowArguments, LimitArguments, variables};
use crate::cli::text::{Text, is_shown_as_it_is};
use crate::cli::verb::{Request, Verb};
use crate::engine::compose::Candidate;
use crate::engine::compose::create::{
    self, Composed, CreateRequest, PlaceKind, Reach, Seed, SeedPlaces, SeedRequest, Seeds,
};
use crate::engine::files::{self, OutputFile};
use crate::engine::interpreters::{Search, Surroundings};
use crate::engine::store::LinkMode;
use crate::engine::{self, BuildRequest, Caches, Existing, Places, Report, Session};
use crate::error::{Error, OutputTaken};
use crate::model::activate::Shell;
use crate::model::bytecode::Validation;
use crate::model::finding::Code;
use crate::model::name::DistName;
use crate::model::python_request::PythonRequest;
use crate::model::spec::document::{InterpreterDocument, SpecDocument};
use crate::model::spec::{DEFAULT_MTIME, Flags, Spec, WheelReference};

/// Arguments of `venvtree create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Makes .venv:
  venvtree create
  venvtree create env --python '>=3.11' --prompt demo
  venvtree create tool --no-seed \\
      --wheel dist/tool-1.0-py3-none-any.whl
  # What a lock says, fetched where it is not there:
  venvtree create --lock uv.lock --group docs
  # With a spec, from which `build` makes the same again:
  venvtree create .venv --clear --spec-out env.json
  # Repair an environment after `pip install`:
  venvtree create --relocatable .venv

With --lock, the wheels are those that `uv sync` would install (of a workspace, `uv sync --all-packages`), and the environment begins with nothing else unless \
--seed asks for it. Without, nothing is downloaded. Wheels of pip and setuptools are looked for in the directories of --extra-search-dir, in \
../share/venvtree/seeds beside this program, among the wheels of the interpreter, and in the working directory. The \
first of these places that has a fitting wheel gives its latest one.")]
pub struct CreateArguments {
    /// The directory to make [default: .venv].
    #[arg(value_name = "ENV")]
    environment: Option<Utf8PathBuf>,
    /// The interpreter: a version (3.12, pypy3.11, 3.13t, '>=3.11'), a name on PATH, or a path
    /// [default: the first python3].
    #[arg(long, short, value_name = "PYTHON")]
    python: Option<String>,
    /// Let the interpreter's own packages be seen, after the environment's.
    #[arg(long)]
    system_site_packages: bool,
    /// What activation shows instead of the directory's name; `.` stands for the name of the
    /// working directory.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The distributions to begin with, such as `pip,wheel` or `pip==24.0` [default: pip, and
    /// setuptools if it comes with the interpreter].
    #[arg(long, value_name = "NAMES", num_args = 0..=1)]
    seed: Option<Option<String>>,
    /// Begin with nothing.
    #[arg(long, alias = "without-pip", conflicts_with = "seed")]
    no_seed: bool,
    /// Look for those here first; may be given many times.
    #[arg(long, value_name = "DIR")]
    extra_search_dir: Vec<Utf8PathBuf>,
    /// Do not look for those in the working directory.
    #[arg(long)]
    no_cwd_search: bool,
    /// Install what this lock says: uv.lock, pylock.toml or requirements with hashes.
    #[arg(long, value_name = "LOCK")]
    lock: Option<Utf8PathBuf>,
    /// Install this wheel too; may be given many times.
    #[arg(long, value_name = "FILE")]
    wheel: Vec<Utf8PathBuf>,
    /// Make `bin/python` a launcher instead of a link. Of an environment that is there already,
    /// make the files relocatable in place.
    #[arg(long)]
    relocatable: bool,
    /// With --relocatable: another place where the interpreter may be at run time, absolute or
    /// relative to ENV; may be given many times.
    #[arg(long, value_name = "PATH", requires = "relocatable")]
    candidate: Vec<String>,
    /// Make a new environment in the place of the one that is there. Where the file system cannot
    /// exchange directories, the old one is emptied first.
    #[arg(long)]
    clear: bool,
    /// Make a new environment in the place of the one that is there, in one step or not at all.
    #[arg(long, conflicts_with = "clear")]
    replace: bool,
    /// Write no `.gitignore` into the environment. Else it keeps the environment out of a
    /// repository.
    #[arg(long, alias = "without-scm-ignore-files")]
    no_vcs_ignore: bool,
    /// The activation scripts: `all`, `none`, or shells.
    #[arg(long, value_name = "SHELLS", value_delimiter = ',', default_value = "all")]
    activators: Vec<String>,
    /// Write the spec that `build` makes the same environment from; `-` prints it.
    #[arg(long, value_name = "FILE")]
    spec_out: Option<Utf8PathBuf>,
    #[command(flatten)]
    wanted: WantedArguments,
    #[command(flatten)]
    fetch: FetchArguments,
    #[command(flatten)]
    foreign: foreign::ForeignArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    allow: AllowArguments,
    #[command(flatten)]
    caches: CacheArguments,
    #[command(flatten)]
    bytecode: BytecodeArguments,
}

/// The directory that is made where none is named.
const DEFAULT_ENVIRONMENT: &str = ".venv";

impl CreateArguments {
    /// ENV and the value of `--seed`. uv's `--seed` has no value: what follows it is ENV where it
    /// cannot be a distribution.
    fn environment_and_seed(&self) -> (&Utf8Path, Option<&str>) {
        let seed = self.seed.as_ref().and_then(Option::as_deref);
        match (&self.environment, seed) {
            (Some(environment), seed) => (environment, seed),
            (None, Some(text)) if text.contains('/') || text.starts_with('.') => {
                (Utf8Path::new(text), None)
            }
            (None, seed) => (Utf8Path::new(DEFAULT_ENVIRONMENT), seed),
        }
    }
}

/// What is to be done.
pub(crate) enum Create {
    /// Repair an environment that is there: as it was typed, and where it is.
    Relocate(Utf8PathBuf, Utf8PathBuf),
    /// Make one.
    Make(Box<Make>),
}

/// An environment to make.
pub(crate) struct Make {
    /// The environment as it was typed.
    environment: Utf8PathBuf,
    session: Session,
    caches: Caches,
    python: PythonRequest,
    spec: CreateRequest,
    locked: Option<Wanted>,
    remote: RemoteArguments,
    bytecode: BytecodeArguments,
    request: BuildRequest,
    spec_out: SpecOut,
    /// Whether a copy of the interpreter was asked for, of which there is none.
    no_copy: bool,
    /// What is wrong, where another environment is there.
    not_to_repair: Option<Error>,
}

/// Where the spec goes.
enum SpecOut {
    Nowhere,
    Stdout,
    File(OutputFile),
}

impl SpecOut {
    fn file(&self) -> Option<&OutputFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Nowhere | Self::Stdout => None,
        }
    }
}

impl Verb for CreateArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Create, Error> {
        let (environment, _) = self.environment_and_seed();
        let environment = environment.to_owned();
        self.bytecode.refuse_levels_apart(environment.as_str())?;
        self.bytecode.refuse_idle()?;
        let out = io.output(&environment)?;
        let makes_way = self.clear || self.replace;
        let is_there = self.relocatable && !makes_way && files::is_environment(&out);
        // With those, only the environment that is there already may be asked for once more.
        let not_to_repair = is_there.then(|| self.not_to_repair(&environment)).flatten();
        if is_there && not_to_repair.is_none() {
            return Ok(Create::Relocate(environment, out));
        }
        let protected = io.protected();
        if makes_way {
            files::check_gives_way(&out, &protected)?;
        }
        for note in activation::check(&out, &activators(&self.activators)?)? {
            io.note(&note);
        }
        let spec_out = match self.spec_out.as_deref() {
            None => SpecOut::Nowhere,
            Some(path) if path == "-" => SpecOut::Stdout,
            Some(path) => SpecOut::File(io.output_file(path)?),
        };
        apart::check_outside(spec_out.file(), &out)?;
        if let (None, Some(option)) = (&self.lock, self.fetch.for_a_lock()) {
            return Err(Error::usage(format!("{option} is about the wheels of a lock")).hint(
                "nothing is downloaded without one: name it with `--lock`, or give wheels with `--wheel FILE`",
            ));
        }
        let python = self.python.as_deref().unwrap_or("python");
        let caches = caches::local(&self.caches.store, &self.caches.links, io)?;
        let fetching = fetching::fetching(&self.fetch, &self.caches.remote, &caches, io)?;
        let spec = self.spec(io)?;
        Ok(Create::Make(Box::new(Make {
            session: spec_input::fetching_session((None, &self.limits), fetching, io)?,
            caches,
            python: PythonRequest::parse(python)
                .map_err(|error| Error::usage(error.to_string()))?,
            spec,
            request: BuildRequest {
                existing: match (self.clear, self.replace) {
                    (true, _) => Existing::Renew,
                    (false, true) => Existing::Replace,
                    (false, false) => Existing::Keep,
                },
                ..BuildRequest::new(out, protected)
            },
            spec_out,
            no_copy: self.foreign.copies && !self.relocatable,
            locked: locked(self.lock, self.wanted, &self.fetch.wheels, io)?,
            remote: self.caches.remote,
            bytecode: self.bytecode,
            not_to_repair,
            environment,
        })))
    }
}

impl Request for Create {
    fn run(self, io: &mut Io<'_>) -> Result<CreateAnswer, Error> {
        match self {
            Create::Relocate(name, place) => {
                Ok(CreateAnswer::Relocated(relocate::run(name, &place)?))
            }
            Create::Make(make) => make.run(io).map(Box::new).map(CreateAnswer::Made),
        }
    }
}

impl CreateArguments {
    /// What is wrong, where something was asked for that another environment, which is there, cannot
    /// get.
    fn not_to_repair(&self, environment: &Utf8Path) -> Option<Error> {
        let asked = [
            ("--python", self.python.is_some()),
            ("--system-site-packages", self.system_site_packages),
            ("--prompt", self.prompt.is_some()),
            ("--seed", self.seed.is_some()),
            ("--extra-search-dir", !self.extra_search_dir.is_empty()),
            ("--wheel", !self.wheel.is_empty()),
            ("--candidate", !self.candidate.is_empty()),
            ("--spec-out", self.spec_out.is_some()),
            ("--allow", !self.allow.codes.is_empty()),
            ("--lock", self.lock.is_some()),
        ];
        let (option, _) = asked.into_iter().find(|(_, asked)| *asked)?;
        let usage = Error::usage(format!(
            "`{environment}` is another environment already, which --relocatable repairs; {option} has no meaning there"
        ));
        Some(usage.hint("leave it out, or make a new environment with --clear"))
    }

    /// What the spec is to say.
    fn spec(&self, io: &Io<'_>) -> Result<CreateRequest, Error> {
        let files = self.wheel.iter().filter(|path| !foreign::is_version(path.as_str()));
        let support = io.executable.as_deref().and_then(Utf8Path::parent);
        Ok(CreateRequest {
            reach: if self.relocatable {
                Reach::Launcher { candidates: self.candidate.clone() }
            } else {
                Reach::Link
            },
            wheels: files.map(|path| Candidate::at(io.resolve(path))).collect::<Result<_, _>>()?,
            locked: Vec::new(),
            seeds: self.seeds()?,
            places: SeedPlaces {
                given: self.extra_search_dir.iter().map(|path| io.resolve(path)).collect(),
                support: support
                    .and_then(Utf8Path::parent)
                    .map(|prefix| prefix.join("share/venvtree/seeds")),
                working: (!self.no_cwd_search).then(|| io.cwd.clone()),
            },
            flags: Flags {
                system_site_packages: self.system_site_packages,
                gitignore: !self.no_vcs_ignore,
                prompt: match self.prompt.as_deref() {
                    Some(".") => io.cwd.file_name().map(str::to_owned),
                    prompt => prompt.map(str::to_owned),
                },
                activators: activators(&self.activators)?,
                // That of `SOURCE_DATE_EPOCH`, if it is set.
                mtime: variables::source_date_epoch(io)?.unwrap_or(DEFAULT_MTIME),
                allow: self.allow.codes.iter().copied().collect(),
                ..Flags::default()
            },
        })
    }

    /// The distributions to begin with.
    fn seeds(&self) -> Result<Seeds, Error> {
        // As `uv sync` does: what is not in the lock does not belong there.
        let (_, named) = self.environment_and_seed();
        if self.no_seed || self.lock.is_some() && named.is_none() {
            return Ok(Seeds { named: Some(Vec::new()), ..Seeds::default() });
        }
        let foreign = &self.foreign;
        let (_, text) = self.environment_and_seed();
        let named = text.map(|text| split_seeds(text).iter().map(|text| seed(text)).collect());
        let versions = self.wheel.iter().map(|value| value.as_str());
        let more = (foreign.pip.iter().map(|version| ("pip", version.as_str())))
            .chain(foreign.setuptools.iter().map(|version| ("setuptools", version.as_str())))
            .chain(
                versions
                    .filter(|value| foreign::is_version(value))
                    .map(|version| ("wheel", version)),
            );
        let without = [(foreign.no_pip, "pip"), (foreign.no_setuptools, "setuptools")];
        Ok(Seeds {
            named: named.transpose()?,
            more: more
                .map(|(name, version)| seed(&foreign::seed(name, version)))
                .collect::<Result<_, _>>()?,
            without: without
                .iter()
                .filter(|(leave, _)| *leave)
                .map(|(_, name)| DistName::parse(name).expect("a plain name"))
                .collect(),
        })
    }
}

/// The lock, where there is to be one.
fn locked(
    path: Option<Utf8PathBuf>,
    wanted: WantedArguments,
    wheels: &[Utf8PathBuf],
    io: &mut Io<'_>,
) -> Result<Option<Wanted>, Error> {
    let Some(path) = path else {
        return wanted.refuse().map(|()| None);
    };
    let file = lock_input::read(&path, io)?;
    wanted.of(file, wheels, io).map(Some)
}

/// A distribution to begin with, as it is typed.
fn seed(text: &str) -> Result<SeedRequest, Error> {
    SeedRequest::parse(text).map_err(|problem| {
        Error::usage(format!("`{text}` names no distribution to begin with: {problem}"))
            .hint("give names, with versions if need be: `--seed pip==24.0,wheel`")
    })
}

/// The parts of `pip>=24,<25,wheel`: a comma also stands between the versions of one distribution.
fn split_seeds(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match parts.last_mut() {
            Some(last) if part.starts_with(['<', '>', '=', '!', '~']) => {
                last.push(',');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

fn activators(words: &[String]) -> Result<BTreeSet<Shell>, Error> {
    let mut shells = BTreeSet::new();
    for word in words.iter().map(|word| word.trim()) {
        match word {
            "all" => shells.extend(Shell::ALL),
            "none" | "" => {}
            name => match activation::shell(name) {
                Some(shell) => {
                    shells.insert(shell);
                }
                None => {
                    let names = Shell::ALL.map(Shell::name).join(", ");
                    return Err(Error::usage(format!(
                        "`{name}` is no shell that there is an activation script for"
                    ))
                    .hint(format!("expected all, none or some of {names}")));
                }
            },
        }
    }
    Ok(shells)
}

impl Make {
    fn run(mut self, io: &mut Io<'_>) -> Result<Made, Error> {
        let search = Search {
            surroundings: Surroundings::new(&io.cwd, |name| io.variable(name)),
            memory: caches::interpreters(io),
            notes: self.caches.notes.clone(),
        };
        let probe = search.find(&self.python)?;
        let lock = ["uv.lock", "pylock.toml"].into_iter().find(|name| io.cwd.join(name).is_file());
        if let (None, Some(name)) = (&self.locked, lock) {
            io.note(&format!(
                "there is a {name} here; `--lock {name}` installs the wheels that it says"
            ));
        }
        let mut left_out = Vec::new();
        if let Some(locked) = &self.locked {
            let (fetching, progress) =
                (self.session.fetching.clone().unwrap_or_default(), &self.session.progress);
            let selection = locked.choose(&probe.interpreter, Some(&fetching), io)?;
            locked.say_left_out(&selection, io);
            self.spec.locked = locked.file.references(&selection, None, &fetching, progress)?;
            left_out = LeftOut::of(selection.left_out);
        }
        let Composed { mut spec, seeds } = create::compose(&self.spec, &probe, &self.session)?;
        if self.bytecode.is_wanted() {
            self.session.compiler = Some(probe.executable.clone());
            compiler::allow(&mut self.session, &self.bytecode.compiler, io)?;
            // What is there to be worked in is edited.
            self.bytecode.ask(&mut spec, Validation::Checked)?;
        }
        for seed in seeds.iter().filter(|seed| seed.kind == PlaceKind::WorkingDirectory) {
            io.note(&format!(
                "`{}` is taken from the working directory; --no-cwd-search prevents that",
                seed.file
            ));
        }
        if self.no_copy {
            io.note("bin/python is a link: a copy of the interpreter would not find its library");
        }
        // To work in an environment is to change it: edits must reach no other one, and need no
        // permission.
        if self.caches.link_mode == LinkMode::Auto {
            self.caches.link_mode = LinkMode::Own;
        }
        // The few files of an empty environment are written faster than looked up.
        self.caches.store = self.caches.store.filter(|_| !spec.wheels.is_empty());
        let places = Places { root: io.cwd.clone(), ..Places::default() };
        apart::check_files(self.spec_out.file(), &spec, &places)?;
        let function = spec.flags.digest_function;
        self.caches.remote = caches::remote(&self.remote, function, &self.caches.notes, io)?;
        let built =
            engine::build(&self.session, &self.caches, spec.clone(), &places, &self.request);
        let notes = caches::say(&self.caches, io);
        let built = built.map_err(|error| match self.not_to_repair {
            Some(wrong) if error.get::<OutputTaken>().is_some() => wrong,
            _ => error,
        })?;
        let document = SpecDocument::from(&spec);
        self.spec_out.write(&document, io)?;
        let activate = activation::line(&self.environment, &spec.flags.activators, io);
        let is_printed = matches!(self.spec_out, SpecOut::Stdout);
        let facts = (document.interpreter, probe.executable);
        let mut made = Made::new(self.environment, built, &spec, facts);
        made.seeds = seeds.iter().map(SeedDocument::new).collect();
        Ok(Made { activate, left_out, notes, is_printed, ..made })
    }
}

impl SpecOut {
    fn write(&self, document: &SpecDocument, io: &mut Io<'_>) -> Result<(), Error> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => written(io.print_text(&Text::of_json(&json!(document)))),
            Self::File(file) => {
                let text = Text::of_json(&json!(document));
                Ok(file.write(|out| writeln!(out, "{}", text.as_str()))?)
            }
        }
    }
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum CreateAnswer {
    Made(Box<Made>),
    Relocated(relocate::RelocateAnswer),
}

/// What was made, and of what.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    outcome: &'static str,
    out: Utf8PathBuf,
    digest_function: &'static str,
    digest: String,
    interpreter: InterpreterDocument,
    executable: Utf8PathBuf,
    seeds: Vec<SeedDocument>,
    activate: Option<String>,
    allowed: BTreeSet<Code>,
    warnings: Warnings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    /// The interpreter and the distributions, for people.
    #[serde(skip)]
    contents: String,
    /// Whether the spec is what standard output holds.
    #[serde(skip)]
    is_printed: bool,
}

/// So many distributions are named to people, and more are counted.
const MOST_NAMED: usize = 12;

/// Distributions, for people.
fn named(distributions: &[String]) -> String {
    match distributions.len() {
        0 => "no packages".to_owned(),
        1..=MOST_NAMED => distributions.join(", "),
        many => format!("{many} packages"),
    }
}

/// A wheel to begin with, and where it was found.
#[derive(Debug, Serialize)]
struct SeedDocument {
    path: Utf8PathBuf,
    place: &'static str,
}

impl SeedDocument {
    fn new(seed: &Seed) -> Self {
        Self { path: seed.path.clone(), place: seed.kind.describe() }
    }
}

impl Made {
    fn new(
        out: Utf8PathBuf,
        built: Report,
        spec: &Spec,
        (interpreter, executable): (InterpreterDocument, Utf8PathBuf),
    ) -> Self {
        let distribution = |wheel: &WheelReference| {
            format!("{} {}", wheel.file_name.name, wheel.file_name.version)
        };
        let distributions: Vec<String> = spec.wheels.iter().map(distribution).collect();
        let packages = named(&distributions);
        let name = spec.interpreter.implementation.platform_name();
        Self {
            outcome: built.outcome.name(),
            out,
            digest_function: built.function.name(),
            digest: built.root.to_string(),
            interpreter,
            executable,
            seeds: Vec::new(),
            activate: None,
            allowed: spec.flags.allow.clone(),
            warnings: Warnings::new(built.warnings).allowing(built.source, &spec.flags.allow),
            left_out: Vec::new(),
            notes: Vec::new(),
            contents: format!("{name} {}, {packages}", spec.interpreter.version),
            is_printed: false,
        }
    }
}

impl Answer for CreateAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        match self {
            Self::Made(_) => Ok(()),
            Self::Relocated(answer) => answer.text(printer),
        }
    }

    fn warnings(&self) -> Option<&Warnings> {
        match self {
            Self::Made(made) => Some(&made.warnings),
            Self::Relocated(answer) => answer.warnings(),
        }
    }

    /// The spec and the report cannot both be the one JSON document.
    fn has_document(&self) -> bool {
        match self {
            Self::Made(made) => !made.is_printed,
            Self::Relocated(answer) => answer.has_document(),
        }
    }

    fn summary(&self) -> Vec<String> {
        let made = match self {
            Self::Made(made) => made,
            Self::Relocated(answer) => return answer.summary(),
        };
        let Made { outcome, out, contents, digest, activate, .. } = &**made;
        let mut lines =
            vec![format!("{outcome}: {out} ({contents})"), format!("root digest {digest}")];
        // With characters written out, it would not name the place.
        let shown = activate.iter().filter(|line| is_shown_as_it_is(line));
        lines.extend(shown.map(|line| format!("activate with: {line}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_distributions_are_counted() {
        let some = |count: usize| vec!["a 1".to_owned(); count];
        assert_eq!(named(&[]), "no packages");
        assert_eq!(named(&some(2)), "a 1, a 1");
        assert_eq!(named(&some(MOST_NAMED)).matches("a 1").count(), MOST_NAMED);
        assert_eq!(named(&some(248)), "248 packages");
    }
}
