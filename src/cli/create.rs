//! `venvtree create`: an environment in one command, by way of a spec.

mod activation;
pub(super) mod foreign;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::json;

use crate::cli::apart;
use crate::cli::args::{AllowArguments, Format, FormatArguments, LimitArguments};
use crate::cli::caches::{self, LinkArguments, StoreArguments};
use crate::cli::io::Io;
use crate::cli::spec_input::{say_allowed, say_warnings, warnings_json};
use crate::cli::text::{Text, is_shown_as_it_is};
use crate::cli::{CommandResult, relocate, report, variables, written};
use crate::effects::caches::store::area::LinkMode;
use crate::effects::host::file_hash;
use crate::effects::host::fs::{self, Kind};
use crate::effects::host::output_file::OutputFile;
use crate::effects::host::replaceable;
use crate::effects::interpreters::discover::{self, Surroundings};
use crate::effects::interpreters::probe::Probe;
use crate::effects::interpreters::probe_cache::ProbeCache;
use crate::effects::sink::publish::{self, PublishError};
use crate::effects::wheels::load::{LoadOptions, WheelError};
use crate::effects::wheels::seeds::{self, Place, PlaceKind, Seed, SeedRequest};
use crate::engine::caching::{self, CachedReport};
use crate::engine::{BuildRequest, Existing, Places, Session};
use crate::error::Error;
use crate::model::activate::Shell;
use crate::model::digest::WheelDigest;
use crate::model::interpreter::Platform;
use crate::model::name::DistName;
use crate::model::python_request::PythonRequest;
use crate::model::spec::document::SpecDocument;
use crate::model::spec::{DEFAULT_MTIME, Flags, InputPath, Python, Spec, WheelReference};
use crate::model::wheel::filename::WheelFilename;

/// Arguments of `venvtree create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Makes .venv:
  venvtree create
  venvtree create env --python '>=3.11' --prompt demo
  venvtree create tool --no-seed \\
      --wheel dist/tool-1.0-py3-none-any.whl
  # With a spec, from which `build` makes the same again:
  venvtree create .venv --clear --spec-out env.json
  # Repair an environment after `pip install`:
  venvtree create --relocatable .venv

Nothing is downloaded. Wheels of pip and setuptools are looked for in the directories of --extra-search-dir, in \
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
    /// Say nothing but warnings and errors.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    foreign: foreign::ForeignArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    allow: AllowArguments,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    links: LinkArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
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

/// Runs `venvtree create`.
pub(super) fn run(arguments: &CreateArguments, io: &mut Io<'_>) -> CommandResult {
    let (environment, _) = arguments.environment_and_seed();
    let out = io.output(environment)?;
    let makes_way = arguments.clear || arguments.replace;
    if arguments.relocatable && !makes_way && out.is_dir() && publish::is_environment(&out) {
        check_relocation(arguments, environment)?;
        return relocate::run(environment, &out, arguments.quiet, arguments.format.format, io);
    }
    if makes_way && matches!(fs::kind(&out)?, Kind::Directory | Kind::Other) {
        replaceable::check(&out, &io.protected())?;
    }
    for note in activation::check(&out, &activators(&arguments.activators)?)? {
        io.say(&format!("note: {note}"));
    }

    let spec_to_stdout = arguments.spec_out.as_deref() == Some(Utf8Path::new("-"));
    let spec_file = arguments
        .spec_out
        .as_deref()
        .filter(|_| !spec_to_stdout)
        .map(|path| io.output_file(path))
        .transpose()?;
    apart::check_outside(&spec_file, &out)?;
    let session = Session {
        limits: arguments.limits.apply(&io.limits),
        progress: io.progress.clone(),
        ..Session::default()
    };
    let mut caches = caches::local(&arguments.store, &arguments.links, io)?;
    let cache = ProbeCache::new(
        caches::default_store(io).map(|directory| directory.join("interpreters")),
        caches.notes.clone(),
    );
    let request = PythonRequest::parse(arguments.python.as_deref().unwrap_or("python"))
        .map_err(|error| Error::Usage { message: error.to_string(), hint: None })?;
    let probe =
        discover::find(&request, &Surroundings::new(&io.cwd, |name| io.variable(name)), &cache)?;
    let (spec, seeds) = specify(arguments, &probe, &session, io)?;
    for seed in seeds.iter().filter(|seed| seed.kind == PlaceKind::WorkingDirectory) {
        io.say(&format!(
            "note: `{}` is taken from the working directory; --no-cwd-search prevents that",
            seed.file
        ));
    }
    if arguments.foreign.copies && !arguments.relocatable {
        io.say("note: bin/python is a link: a copy of the interpreter would not find its library");
    }
    // To work in an environment is to change it: edits must reach no other one, and need no
    // permission.
    if caches.link_mode == LinkMode::Auto {
        caches.link_mode = LinkMode::Own;
    }
    // The few files of an empty environment are written faster than looked up.
    caches.store = caches.store.filter(|_| !spec.wheels.is_empty());
    let places = Places { root: io.cwd.clone(), ..Places::default() };
    apart::check_files(&spec_file, &spec, &places)?;
    let request = BuildRequest {
        out: out.clone(),
        existing: match (arguments.clear, arguments.replace) {
            (true, _) => Existing::Renew,
            (false, true) => Existing::Replace,
            (false, false) => Existing::Keep,
        },
        protected: io.protected(),
        look: true,
        manifest: None,
        digest_file: None,
        text: None,
    };
    let built = match caching::build(&session, &caches, spec.clone(), &places, &request) {
        Err(Error::Publish(PublishError::NoExchange { .. })) if arguments.clear => {
            publish::empty_environment(&replaceable::check(&out, &request.protected)?)?;
            caching::build(
                &session,
                &caches,
                spec.clone(),
                &places,
                &BuildRequest { existing: Existing::Keep, ..request },
            )
        }
        result => result,
    };
    let notes =
        caches::say(&caches, arguments.quiet || arguments.format.format == Format::Json, io);
    let made = Made { built: built?, spec, seeds, executable: probe.executable, notes, spec_file };
    report(arguments, environment, &made, io)
}

/// What was made, and of what.
struct Made {
    built: CachedReport,
    spec: Spec,
    seeds: Vec<Seed>,
    executable: Utf8PathBuf,
    notes: Vec<String>,
    /// Where the spec goes, if not to standard output.
    spec_file: Option<OutputFile>,
}

/// Writes the spec and says what was made.
fn report(
    arguments: &CreateArguments,
    environment: &Utf8Path,
    made: &Made,
    io: &mut Io<'_>,
) -> CommandResult {
    let Made { built, spec, seeds, executable, notes, spec_file } = made;
    let document = SpecDocument::from(spec);
    let spec_to_stdout = arguments.spec_out.as_deref() == Some(Utf8Path::new("-"));
    if spec_to_stdout || spec_file.is_some() {
        let text = Text::of_json(&json!(document));
        if spec_to_stdout {
            written(io.print_text(&text))?;
        }
        if let Some(file) = spec_file {
            file.write(|out| writeln!(out, "{}", text.as_str()))?;
        }
    }
    say_warnings(io, &built.warnings);
    say_allowed(io, built.source, &spec.flags.allow);
    let activate = activation::line(environment, &spec.flags.activators, io);
    match arguments.format.format {
        // The spec and the report cannot both be the one JSON document.
        Format::Json if !spec_to_stdout => {
            let value = json!({
                "outcome": built.outcome.name(),
                "out": environment,
                "digest_function": built.function.name(),
                "digest": built.root.to_string(),
                "interpreter": document.interpreter,
                "executable": executable,
                "seeds": seeds.iter().map(|seed| json!({"path": seed.path, "place": seed.kind.describe()})).collect::<Vec<_>>(),
                "activate": activate,
                "allowed": spec.flags.allow,
                "warnings": warnings_json(&built.warnings),
                "notes": notes,
            });
            report::document(io, value)?;
        }
        Format::Text if !arguments.quiet => {
            let distribution = |wheel: &WheelReference| {
                format!("{} {}", wheel.file_name.name, wheel.file_name.version)
            };
            let distributions: Vec<String> = spec.wheels.iter().map(distribution).collect();
            let contents = if distributions.is_empty() {
                "no packages".to_owned()
            } else {
                distributions.join(", ")
            };
            let name = spec.interpreter.implementation.platform_name();
            io.say(&format!(
                "{}: {environment} ({name} {}, {contents})",
                built.outcome.name(),
                spec.interpreter.version
            ));
            io.say(&format!("root digest {}", built.root));
            // With characters written out, it would not name the place.
            if let Some(line) = activate.filter(|line| is_shown_as_it_is(line)) {
                io.say(&format!("activate with: {line}"));
            }
        }
        Format::Json | Format::Text => {}
    }
    Ok(0)
}

/// Whether nothing was asked for that an existing environment cannot get.
fn check_relocation(arguments: &CreateArguments, environment: &Utf8Path) -> Result<(), Error> {
    let asked = [
        ("--python", arguments.python.is_some()),
        ("--system-site-packages", arguments.system_site_packages),
        ("--prompt", arguments.prompt.is_some()),
        ("--seed", arguments.seed.is_some()),
        ("--extra-search-dir", !arguments.extra_search_dir.is_empty()),
        ("--wheel", !arguments.wheel.is_empty()),
        ("--candidate", !arguments.candidate.is_empty()),
        ("--spec-out", arguments.spec_out.is_some()),
        ("--allow", !arguments.allow.codes.is_empty()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((option, _)) => Err(Error::Usage {
            message: format!(
                "`{environment}` is an environment already, which --relocatable repairs; {option} has no meaning there"
            ),
            hint: Some("leave it out, or make a new environment with --clear".to_owned()),
        }),
    }
}

/// The spec of what was asked for, and where its seeds come from.
fn specify(
    arguments: &CreateArguments,
    probe: &Probe,
    session: &Session,
    io: &Io<'_>,
) -> Result<(Spec, Vec<Seed>), Error> {
    let mut wheels = Vec::new();
    for path in arguments.wheel.iter().filter(|path| !foreign::is_version(path.as_str())) {
        let path = io.resolve(path);
        let name = path.file_name().unwrap_or_default();
        let file_name = WheelFilename::parse(name)
            .map_err(|error| Error::Usage { message: error.to_string(), hint: None })?;
        wheels.push(reference(&path, file_name)?);
    }
    let seeds = find_seeds(arguments, probe, &wheels, session, io)?;
    for seed in &seeds {
        wheels.push(reference(&seed.path, seed.file.clone())?);
    }
    let executable = probe.executable.to_string();
    let python = if arguments.relocatable {
        check_launcher(probe)?;
        Python::Launcher { candidates: [vec![executable], arguments.candidate.clone()].concat() }
    } else {
        Python::Absolute { path: executable }
    };
    let prompt = match arguments.prompt.as_deref() {
        Some(".") => io.cwd.file_name().map(str::to_owned),
        prompt => prompt.map(str::to_owned),
    };
    let flags = Flags {
        system_site_packages: arguments.system_site_packages,
        gitignore: !arguments.no_vcs_ignore,
        prompt,
        activators: activators(&arguments.activators)?,
        mtime: mtime(io)?,
        allow: arguments.allow.codes.iter().copied().collect(),
        // As `python -m venv` does, whatever the interpreter calls the folder of compiled modules:
        // pip may be told another name.
        lib64: matches!(probe.interpreter.platform, Platform::Linux { arch, .. } if arch.is_64_bit()),
        ..Flags::default()
    };
    let interpreter = probe.interpreter.clone();
    let spec = Spec {
        interpreter,
        python,
        launchers: None,
        wheels,
        sources: Vec::new(),
        path_entries: Vec::new(),
        flags,
    };
    Ok((spec, seeds))
}

/// A wheel with its digest.
fn reference(path: &Utf8Path, file_name: WheelFilename) -> Result<WheelReference, Error> {
    let digest = file_hash::of(path);
    let sha256 = digest.map_err(|error| Error::Inputs(vec![WheelError::Input(error)]))?;
    Ok(WheelReference::at(InputPath(path.to_string()), file_name, Some(WheelDigest(sha256))))
}

fn check_launcher(probe: &Probe) -> Result<(), Error> {
    let interpreter = &probe.interpreter;
    if interpreter.implementation == crate::model::interpreter::Implementation::CPython
        && interpreter.version.at_least(3, 11)
    {
        return Ok(());
    }
    let name = interpreter.implementation.platform_name();
    Err(Error::Usage {
        message: format!("--relocatable needs CPython 3.11 or newer for its launcher, found {name} {}", interpreter.version),
        hint: Some("leave it out: the environment can be moved all the same, as long as the interpreter stays where it is".to_owned()),
    })
}

/// Finds the wheels to begin with, but for those that were given.
fn find_seeds(
    arguments: &CreateArguments,
    probe: &Probe,
    given: &[WheelReference],
    session: &Session,
    io: &Io<'_>,
) -> Result<Vec<Seed>, Error> {
    let place = |directory: Utf8PathBuf, kind| Place { directory, kind };
    let bundled =
        probe.bundled_wheels.clone().map(|directory| place(directory, PlaceKind::Interpreter));
    let mut places: Vec<Place> = arguments
        .extra_search_dir
        .iter()
        .map(|directory| place(io.resolve(directory), PlaceKind::Given))
        .collect();
    let support = io.executable.as_deref().and_then(Utf8Path::parent).and_then(Utf8Path::parent);
    places.extend(
        support.map(|prefix| place(prefix.join("share/venvtree/seeds"), PlaceKind::Support)),
    );
    places.extend(bundled.clone());
    // Where everybody may put wheels, one that happens to lie there may be anybody's.
    let is_everybodys =
        io.cwd.as_std_path().metadata().is_ok_and(|found| found.mode() & 0o002 != 0);
    if !arguments.no_cwd_search && !is_everybodys {
        places.push(place(io.cwd.clone(), PlaceKind::WorkingDirectory));
    }
    let setuptools = bundled.is_some_and(|place| {
        DistName::parse("setuptools").is_ok_and(|name| seeds::holds(&place, &name))
    });
    let mut requests = requested_seeds(arguments, setuptools)?;
    requests.retain(|request| !given.iter().any(|wheel| wheel.file_name.name == request.name));
    let allow = arguments.allow.codes.iter().copied().collect();
    let options = LoadOptions { limits: session.limits.clone(), allow, ..LoadOptions::default() };
    let find = |request| seeds::find(request, &places, &probe.interpreter, &options);
    Ok(requests.iter().map(find).collect::<Result<_, _>>()?)
}

/// What to begin with. `setuptools` says whether it comes with the interpreter.
fn requested_seeds(
    arguments: &CreateArguments,
    setuptools: bool,
) -> Result<Vec<SeedRequest>, Error> {
    if arguments.no_seed {
        return Ok(Vec::new());
    }
    let foreign = &arguments.foreign;
    let mut texts: Vec<String> = match arguments.environment_and_seed() {
        (_, Some(text)) => split_seeds(text),
        _ if setuptools => vec!["pip".to_owned(), "setuptools".to_owned()],
        _ => vec!["pip".to_owned()],
    };
    texts.extend(foreign.pip.iter().map(|version| foreign::seed("pip", version)));
    texts.extend(foreign.setuptools.iter().map(|version| foreign::seed("setuptools", version)));
    let versions = arguments.wheel.iter().filter(|value| foreign::is_version(value.as_str()));
    texts.extend(versions.map(|version| foreign::seed("wheel", version.as_str())));
    let mut requests: BTreeMap<String, SeedRequest> = BTreeMap::new();
    for text in &texts {
        let request = SeedRequest::parse(text).map_err(|problem| Error::Usage {
            message: format!("`{text}` names no distribution to begin with: {problem}"),
            hint: Some("give names, with versions if need be: `--seed pip==24.0,wheel`".to_owned()),
        })?;
        // The last one counts: what is said of one distribution comes after the defaults.
        requests.insert(request.name.to_string(), request);
    }
    for (leave, name) in [(foreign.no_pip, "pip"), (foreign.no_setuptools, "setuptools")] {
        if leave {
            requests.remove(name);
        }
    }
    Ok(requests.into_values().collect())
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
                    let message =
                        format!("`{name}` is no shell that there is an activation script for");
                    return Err(Error::Usage {
                        message,
                        hint: Some(format!("expected all, none or some of {names}")),
                    });
                }
            },
        }
    }
    Ok(shells)
}

/// The time of everything: that of `SOURCE_DATE_EPOCH`, if it is set.
fn mtime(io: &Io<'_>) -> Result<u64, Error> {
    Ok(variables::source_date_epoch(io)?.unwrap_or(DEFAULT_MTIME))
}
