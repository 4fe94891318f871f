//! `venvtree create`: an environment in one command, by way of a spec.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, FormatArguments, LimitArguments};
use crate::cli::caches::{self, LinkArguments, StoreArguments};
use crate::cli::io::Io;
use crate::cli::spec_input::{say_warnings, warnings_json};
use crate::cli::{CommandResult, relocate, report, written};
use crate::effects::discover::{self, Surroundings};
use crate::effects::fs::{self, Kind};
use crate::effects::input::InputFile;
use crate::effects::probe::Probe;
use crate::effects::probe_cache::ProbeCache;
use crate::effects::replaceable;
use crate::effects::seeds::{self, Place, PlaceKind, Seed};
use crate::effects::sink::publish::{self, PublishError};
use crate::effects::wheels::{LoadOptions, WheelError};
use crate::engine::caching;
use crate::engine::{BuildRequest, Existing, Places, Session};
use crate::error::Error;
use crate::model::activate::Shell;
use crate::model::digest::WheelDigest;
use crate::model::name::DistName;
use crate::model::python_request::PythonRequest;
use crate::model::spec::document::SpecDocument;
use crate::model::spec::{DEFAULT_MTIME, Flags, InputPath, LATEST_MTIME, Python, Spec, WheelReference};
use crate::model::wheel::filename::WheelFilename;

/// Arguments of `venvtree create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree create .venv
  venvtree create .venv --python 3.12 --seed pip,setuptools,wheel
  venvtree create tool --no-seed --wheel dist/tool-1.0-py3-none-any.whl
  venvtree create .venv --clear --spec-out env.json   # and `venvtree build env.json` makes the same again
  venvtree create --relocatable .venv                 # repair an existing one, such as after `pip install`

Nothing is downloaded. Wheels of pip and the like are looked for in the directories of --extra-search-dir, in
../share/venvtree/seeds beside this program, among the interpreter's own and in the working directory; the first place
that has one that fits gives its latest.")]
pub struct CreateArguments {
    /// The directory to make.
    #[arg(value_name = "ENV")]
    environment: Utf8PathBuf,
    /// The interpreter: a version (3.12, pypy3.11, 3.13t, '>=3.11'), a name on PATH, or a path [default: the first python3].
    #[arg(long, short, value_name = "PYTHON")]
    python: Option<String>,
    /// Let the interpreter's own packages be seen, after the environment's.
    #[arg(long)]
    system_site_packages: bool,
    /// What activation shows instead of the directory's name; `.` stands for the name of the working directory.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The distributions to begin with [default: pip, and setuptools if it comes with the interpreter].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    seed: Option<Vec<String>>,
    /// Begin with nothing.
    #[arg(long, conflicts_with = "seed")]
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
    /// Make `bin/python` a launcher instead of a link. Of an environment that is there already, make the files relocatable in place.
    #[arg(long)]
    relocatable: bool,
    /// With --relocatable: another place where the interpreter may be at run time, absolute or relative to ENV; may be given
    /// many times.
    #[arg(long, value_name = "PATH", requires = "relocatable")]
    candidate: Vec<String>,
    /// Make a new environment in the place of the one that is there. Where the file system cannot exchange directories, the old one
    /// is emptied first.
    #[arg(long)]
    clear: bool,
    /// Make a new environment in the place of the one that is there, in one step or not at all.
    #[arg(long, conflicts_with = "clear")]
    replace: bool,
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
    limits: LimitArguments,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    links: LinkArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Runs `venvtree create`.
pub(super) fn run(arguments: &CreateArguments, io: &mut Io<'_>) -> CommandResult {
    let out = io.output(&arguments.environment)?;
    let kind = fs::kind(&out)?;
    let makes_way = arguments.clear || arguments.replace;
    if arguments.relocatable && !makes_way && out.is_dir() && publish::is_environment(&out) {
        check_relocation(arguments)?;
        return relocate::run(&arguments.environment, &out, arguments.quiet, arguments.format.format, io);
    }
    if makes_way && matches!(kind, Kind::Directory | Kind::Other) {
        replaceable::check(&out, &io.protected())?;
    }
    if io.cwd.canonicalize_utf8().is_ok_and(|cwd| out.canonicalize_utf8().is_ok_and(|out| cwd.starts_with(out))) {
        let message = format!("the working directory lies in `{}`, which would be exchanged for another directory", arguments.environment);
        return Err(Error::Usage { message, hint: Some("run the command from outside".to_owned()) });
    }

    let session = Session { limits: arguments.limits.apply(&io.limits), progress: io.progress.clone(), ..Session::default() };
    let mut caches = caches::local(&arguments.store, &arguments.links, io)?;
    let cache = ProbeCache::new(caches::default_store(io).map(|directory| directory.join("interpreters")), caches.notes.clone());
    let request = PythonRequest::parse(arguments.python.as_deref().unwrap_or("python"))
        .map_err(|error| Error::Usage { message: error.to_string(), hint: None })?;
    let probe = discover::find(&request, &Surroundings::new(&io.cwd, |name| io.variable(name)), &cache)?;
    let (spec, seeds) = specify(arguments, &probe, &session, io)?;
    for seed in seeds.iter().filter(|seed| seed.kind == PlaceKind::WorkingDirectory) {
        io.say(&format!("note: `{}` is taken from the working directory; --no-cwd-search prevents that", seed.file));
    }
    let document = SpecDocument::from(&spec);
    let interpreter = spec.interpreter.clone();
    let distribution = |wheel: &WheelReference| format!("{} {}", wheel.file_name.name, wheel.file_name.version);
    let distributions: Vec<String> = spec.wheels.iter().map(distribution).collect();
    // The few files of an empty environment are written faster than looked up.
    caches.store = caches.store.filter(|_| !spec.wheels.is_empty());
    let places = Places { root: io.cwd.clone(), ..Places::default() };
    let request = BuildRequest {
        out: out.clone(),
        existing: match (arguments.clear, arguments.replace) {
            (true, _) => Existing::Renew,
            (false, true) => Existing::Replace,
            (false, false) => Existing::Keep,
        },
        protected: io.protected(),
        manifest: None,
        digest_file: None,
        text: None,
    };
    let built = match caching::build(&session, &caches, spec.clone(), &places, &request) {
        Err(Error::Publish(PublishError::NoExchange { .. })) if arguments.clear => {
            publish::empty_environment(&replaceable::check(&out, &request.protected)?)?;
            caching::build(&session, &caches, spec, &places, &BuildRequest { existing: Existing::Keep, ..request })
        }
        result => result,
    };
    let notes = caches::say(&caches, arguments.quiet || arguments.format.format == Format::Json, io);
    let built = built?;
    let spec_to_stdout = arguments.spec_out.as_deref() == Some(Utf8Path::new("-"));
    if let Some(path) = &arguments.spec_out {
        let text = report::to_json(&json!(document));
        if spec_to_stdout {
            written(io.print(&text))?;
        } else {
            fs::write_atomically(&io.resolve(path), |out| writeln!(out, "{text}"))?;
        }
    }
    say_warnings(io, &built.warnings);
    match arguments.format.format {
        // The spec and the report cannot both be the one JSON document.
        Format::Json if !spec_to_stdout => {
            let value = json!({
                "outcome": built.outcome.name(),
                "out": arguments.environment,
                "digest_function": built.function.name(),
                "digest": built.root.to_string(),
                "interpreter": document.interpreter,
                "executable": probe.executable,
                "seeds": seeds.iter().map(|seed| json!({"path": seed.path, "place": seed.kind.describe()})).collect::<Vec<_>>(),
                "warnings": warnings_json(&built.warnings),
                "notes": notes,
            });
            report::document(io, value)?;
        }
        Format::Text if !arguments.quiet => {
            let contents = if distributions.is_empty() { "no packages".to_owned() } else { distributions.join(", ") };
            let name = interpreter.implementation.platform_name();
            io.say(&format!("{}: {} ({name} {}, {contents})", built.outcome.name(), arguments.environment, interpreter.version));
            io.say(&format!("root digest {}", built.root));
        }
        Format::Json | Format::Text => {}
    }
    Ok(0)
}

/// Whether nothing was asked for that an existing environment cannot get.
fn check_relocation(arguments: &CreateArguments) -> Result<(), Error> {
    let asked = [
        ("--python", arguments.python.is_some()),
        ("--system-site-packages", arguments.system_site_packages),
        ("--prompt", arguments.prompt.is_some()),
        ("--seed", arguments.seed.is_some()),
        ("--extra-search-dir", !arguments.extra_search_dir.is_empty()),
        ("--wheel", !arguments.wheel.is_empty()),
        ("--candidate", !arguments.candidate.is_empty()),
        ("--spec-out", arguments.spec_out.is_some()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((option, _)) => Err(Error::Usage {
            message: format!(
                "`{}` is an environment already, which --relocatable repairs; {option} has no meaning there",
                arguments.environment
            ),
            hint: Some("leave it out, or make a new environment with --clear".to_owned()),
        }),
    }
}

/// The spec of what was asked for, and where its seeds come from.
fn specify(arguments: &CreateArguments, probe: &Probe, session: &Session, io: &Io<'_>) -> Result<(Spec, Vec<Seed>), Error> {
    let mut wheels = Vec::new();
    for path in &arguments.wheel {
        let path = io.resolve(path);
        let name = path.file_name().unwrap_or_default();
        let file_name = WheelFilename::parse(name).map_err(|error| Error::Usage { message: error.to_string(), hint: None })?;
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
        prompt,
        activators: activators(&arguments.activators)?,
        mtime: mtime(io)?,
        ..Flags::default()
    };
    let interpreter = probe.interpreter.clone();
    let spec = Spec { interpreter, python, launchers: None, wheels, sources: Vec::new(), path_entries: Vec::new(), flags };
    Ok((spec, seeds))
}

/// A wheel with its digest.
fn reference(path: &Utf8Path, file_name: WheelFilename) -> Result<WheelReference, Error> {
    let digest = InputFile::open(path).and_then(|input| input.sha256());
    let sha256 = digest.map_err(|error| Error::Inputs(vec![WheelError::Input(error)]))?;
    Ok(WheelReference { path: InputPath(path.to_string()), file_name, sha256: Some(WheelDigest(sha256)), exclude: Vec::new() })
}

fn check_launcher(probe: &Probe) -> Result<(), Error> {
    let interpreter = &probe.interpreter;
    if interpreter.implementation == crate::model::interpreter::Implementation::CPython && interpreter.version.at_least(3, 11) {
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
    let bundled = probe.bundled_wheels.clone().map(|directory| place(directory, PlaceKind::Interpreter));
    let mut places: Vec<Place> =
        arguments.extra_search_dir.iter().map(|directory| place(io.resolve(directory), PlaceKind::Given)).collect();
    let support = io.executable.as_deref().and_then(Utf8Path::parent).and_then(Utf8Path::parent);
    places.extend(support.map(|prefix| place(prefix.join("share/venvtree/seeds"), PlaceKind::Support)));
    places.extend(bundled.clone());
    if !arguments.no_cwd_search {
        places.push(place(io.cwd.clone(), PlaceKind::WorkingDirectory));
    }
    let mut names = BTreeSet::new();
    let name = |text: &str| DistName::parse(text).map_err(|error| Error::Usage { message: error.to_string(), hint: None });
    match &arguments.seed {
        _ if arguments.no_seed => {}
        Some(texts) => {
            for text in texts.iter().filter(|text| !text.is_empty()) {
                names.insert(name(text)?);
            }
        }
        None => {
            names.insert(name("pip")?);
            let setuptools = name("setuptools")?;
            if bundled.is_some_and(|place| seeds::holds(&place, &setuptools)) {
                names.insert(setuptools);
            }
        }
    }
    names.retain(|name| !given.iter().any(|wheel| wheel.file_name.name == *name));
    let options = LoadOptions { limits: session.limits.clone(), ..LoadOptions::default() };
    let find = |name| seeds::find(name, &places, &probe.interpreter, &options);
    Ok(names.iter().map(find).collect::<Result<_, _>>()?)
}

fn activators(words: &[String]) -> Result<BTreeSet<Shell>, Error> {
    let mut shells = BTreeSet::new();
    for word in words.iter().map(|word| word.trim()) {
        match word {
            "all" => shells.extend(Shell::ALL),
            "none" | "" => {}
            name => match Shell::from_name(name) {
                Some(shell) => {
                    shells.insert(shell);
                }
                None => {
                    let names = Shell::ALL.map(Shell::name).join(", ");
                    let message = format!("`{name}` is no shell that there is an activation script for");
                    return Err(Error::Usage { message, hint: Some(format!("expected all, none or some of {names}")) });
                }
            },
        }
    }
    Ok(shells)
}

/// The time of everything: that of `SOURCE_DATE_EPOCH`, if it is set.
fn mtime(io: &Io<'_>) -> Result<u64, Error> {
    let Some(text) = io.variable("SOURCE_DATE_EPOCH") else { return Ok(DEFAULT_MTIME) };
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    seconds.filter(|seconds| *seconds <= LATEST_MTIME).ok_or_else(|| Error::Usage {
        message: format!("SOURCE_DATE_EPOCH is `{text}`, expected seconds since 1970, at most {LATEST_MTIME}"),
        hint: None,
    })
}
