//! Finding interpreters on this machine.
//!
//! Effects layer. Where they are looked for says [`places`]; by which path one is known, [`links`].
//! Nothing is passed over in silence: a choice that a project made and that is not installed is an
//! error, and a list names what cannot be used, with the reason.

mod links;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use self::links::resolve;
pub use self::places::Stranger;
pub use self::places::Surroundings;
use self::places::{Aliases, Choice};
use crate::effects::interpreters::probe::{Probe, ProbeError};
use crate::effects::interpreters::probe_cache::ProbeCache;
use crate::effects::work::parallel;
use crate::model::explain::{ErrorKind, Explain, Explanation, chain};
use crate::model::interpreter::{Implementation, Interpreter};
use crate::model::python_request::PythonRequest;
use crate::model::relocate;
use crate::model::reserved::is_interpreter_name;

/// Why no interpreter was found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// There is none that fits.
    #[error("{}{}", nobody(request), describe(rejected))]
    NotFound {
        /// What was asked for.
        request: PythonRequest,
        /// Those that are there, and why they are not taken.
        rejected: Vec<(Utf8PathBuf, String)>,
    },
    /// None could fit, whatever is installed.
    #[error("{request} is too old, expected CPython 3.8 or newer, or PyPy 3.9 or newer")]
    Unsupported {
        /// What was asked for.
        request: PythonRequest,
    },
    /// A project or a shell chose a version that is not there.
    #[error("{source_name} asks for Python `{word}`, which is not installed")]
    NotInstalled {
        /// What was chosen.
        word: String,
        /// Where that is said.
        source_name: String,
    },
    /// Where a choice may be cannot be read.
    #[error("{source_name} cannot be read, expected the name or number of a Python as UTF-8 text")]
    Unreadable {
        /// The file.
        source_name: String,
    },
    /// A file of somebody else names a program that would be run.
    #[error("`{source_name}` names the interpreter `{word}`, and {stranger}")]
    Stranger {
        /// What was chosen.
        word: String,
        /// The file.
        source_name: String,
        /// Who could have written it.
        stranger: Stranger,
    },
    /// What a project or a shell chose cannot be used.
    #[error("{source_name} asks for Python `{word}`, which cannot be used: {reason}")]
    Unusable {
        /// What was chosen.
        word: String,
        /// Where that is said.
        source_name: String,
        /// Why not.
        reason: String,
    },
    /// There is nothing at a path.
    #[error("`{path}` is no interpreter, nor a directory with one in `bin`")]
    Path { path: Utf8PathBuf },
    /// The one that was asked for cannot be asked.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// It is too old.
    #[error("`{path}` is {found}, expected CPython 3.8 or newer, or PyPy 3.9 or newer")]
    Old {
        /// Its executable.
        path: Utf8PathBuf,
        /// What it is.
        found: String,
    },
}

fn nobody(request: &PythonRequest) -> String {
    match request {
        PythonRequest::Any => "there is no interpreter that can be used".to_owned(),
        request => format!("no interpreter is {request}"),
    }
}

fn describe(rejected: &[(Utf8PathBuf, String)]) -> String {
    if rejected.is_empty() {
        return String::new();
    }
    let list: String = items(rejected).iter().map(|item| format!("\n{item}")).collect();
    format!("; these were found:{list}")
}

fn items(rejected: &[(Utf8PathBuf, String)]) -> Vec<String> {
    rejected.iter().map(|(path, reason)| format!("    {path}: {reason}")).collect()
}

impl Explain for DiscoverError {
    fn explain(&self) -> Explanation {
        let install = |version: &str| {
            format!(
                "install it, such as with `uv python install {version}` or `pyenv install {version}`"
            )
        };
        let hint = match self {
            Self::NotFound { request: PythonRequest::Name(_), .. } => {
                "give a version such as 3.12, the name of a command on PATH, or a path".to_owned()
            }
            Self::NotFound { request: PythonRequest::Version(request), .. } => {
                format!("{}, or choose another one", install(&request.release_text()))
            }
            Self::NotFound { .. } => {
                "install one that fits, or give its path with `--python`".to_owned()
            }
            Self::NotInstalled { word, .. } => {
                format!("{}, or choose another one with `--python`", install(word))
            }
            Self::Unreadable { .. } => "mend it or choose one with `--python`".to_owned(),
            Self::Stranger { .. } => {
                return ErrorKind::Io.hint(
                    "to find out what an interpreter is, it is run: if you trust it, give it with `--python`",
                );
            }
            Self::Probe(error) => return error.explain(),
            Self::Unsupported { .. }
            | Self::Unusable { .. }
            | Self::Path { .. }
            | Self::Old { .. } => "choose another one".to_owned(),
        };
        ErrorKind::Io.hint(format!("{hint}; `venvtree interpreter list` shows what is there"))
    }

    fn items(&self) -> Vec<String> {
        match self {
            Self::NotFound { rejected, .. } => items(rejected),
            _ => Vec::new(),
        }
    }
}

/// Finds an interpreter and asks what it is.
///
/// # Errors
/// There is none that fits, or the one at a path cannot be used.
pub fn find(
    request: &PythonRequest,
    surroundings: &Surroundings,
    cache: &ProbeCache,
) -> Result<Probe, DiscoverError> {
    if request.is_too_old() {
        return Err(DiscoverError::Unsupported { request: request.clone() });
    }
    match request {
        PythonRequest::Path(path) => return at(&surroundings.cwd.join(path), cache),
        PythonRequest::Any => {
            if let Some(choice) = places::choice(surroundings) {
                return of_choice(&choice, surroundings, cache);
            }
        }
        PythonRequest::Name(name) => {
            return match search(request, &places::of_path(surroundings), cache) {
                // `.venv`, or another directory here that a command's name could be.
                Err(DiscoverError::NotFound { rejected, .. })
                    if rejected.is_empty() && surroundings.cwd.join(name).join("bin").is_dir() =>
                {
                    at(&surroundings.cwd.join(name), cache)
                }
                result => result,
            };
        }
        PythonRequest::Version(_) | PythonRequest::Range(_) => {}
    }
    search(request, &places::directories(surroundings, aliases(request)), cache)
}

/// The interpreter at a path.
fn at(path: &Utf8Path, cache: &ProbeCache) -> Result<Probe, DiscoverError> {
    let executable = at_path(path).ok_or_else(|| DiscoverError::Path { path: path.to_owned() })?;
    let probe = ask(&executable, cache)?;
    if is_supported(&probe.interpreter) {
        return Ok(probe);
    }
    Err(DiscoverError::Old { path: executable, found: probe.interpreter.to_string() })
}

/// The interpreter that a project or a shell chose: the first of several, as pyenv and uv take it.
fn of_choice(
    choice: &Choice,
    surroundings: &Surroundings,
    cache: &ProbeCache,
) -> Result<Probe, DiscoverError> {
    let Some(word) = choice.words.first().map(String::as_str) else {
        return Err(DiscoverError::Unreadable { source_name: choice.source.clone() });
    };
    let any = PythonRequest::Any;
    let missing = || DiscoverError::NotInstalled {
        word: word.to_owned(),
        source_name: choice.source.clone(),
    };
    let unusable = |reason: String| DiscoverError::Unusable {
        word: word.to_owned(),
        source_name: choice.source.clone(),
        reason,
    };
    let in_directory = |directory: Utf8PathBuf| {
        search(&any, &[directory], cache).map_err(|error| match error {
            DiscoverError::NotFound { rejected, .. } => rejected
                .into_iter()
                .next()
                .map_or_else(missing, |(path, reason)| unusable(format!("`{path}`: {reason}"))),
            other => other,
        })
    };
    if word == "system" {
        let directories: Vec<Utf8PathBuf> = surroundings
            .own_path()
            .cloned()
            .chain(["/usr/local/bin", "/usr/bin"].map(Utf8PathBuf::from))
            .collect();
        return search(&any, &directories, cache);
    }
    if let Some(directory) =
        surroundings.pyenv.as_deref().and_then(|root| places::of_pyenv(root, word))
    {
        return in_directory(directory);
    }
    if let Some(directory) = surroundings
        .uv
        .as_ref()
        .map(|root| root.join(word).join("bin"))
        .filter(|directory| directory.is_dir())
    {
        return in_directory(directory);
    }
    match PythonRequest::parse(word) {
        Ok(PythonRequest::Path(path)) => match choice.stranger {
            Some(stranger) => Err(DiscoverError::Stranger {
                word: word.to_owned(),
                source_name: choice.source.clone(),
                stranger,
            }),
            None => at(&choice.directory.join(path), cache),
        },
        Ok(request @ (PythonRequest::Version(_) | PythonRequest::Range(_)))
            if !request.is_too_old() =>
        {
            match search(&request, &without_choice(surroundings, &request), cache) {
                Err(DiscoverError::NotFound { .. }) => Err(missing()),
                result => result,
            }
        }
        Ok(request) if request.is_too_old() => {
            Err(unusable("expected CPython 3.8 or newer, or PyPy 3.9 or newer".to_owned()))
        }
        _ => Err(missing()),
    }
}

/// Every directory, where pyenv's shims stand for nothing: they would ask for the same choice
/// again.
fn without_choice(surroundings: &Surroundings, request: &PythonRequest) -> Vec<Utf8PathBuf> {
    let path = surroundings.own_path().cloned().collect();
    places::directories(&Surroundings { path, ..surroundings.clone() }, aliases(request))
}

fn aliases(request: &PythonRequest) -> Aliases {
    if request.names_patch_release() { Aliases::Left } else { Aliases::Taken }
}

/// The first interpreter in some directories that fits.
fn search(
    request: &PythonRequest,
    directories: &[Utf8PathBuf],
    cache: &ProbeCache,
) -> Result<Probe, DiscoverError> {
    let names = request.executable_names();
    let mut seen = BTreeSet::new();
    let mut rejected: Vec<(Utf8PathBuf, String)> = Vec::new();
    for directory in directories {
        for name in &names {
            let candidate = directory.join(name);
            if !is_executable(&candidate)
                || !seen.insert(candidate.canonicalize_utf8().unwrap_or_else(|_| candidate.clone()))
            {
                continue;
            }
            let reason = match ask(&candidate, cache) {
                Ok(probe) if !is_supported(&probe.interpreter) => {
                    format!("{} is too old", of(&probe))
                }
                Ok(probe) if request.accepts(&probe.interpreter) => return Ok(probe),
                Ok(probe) => of(&probe),
                // A name that somebody gave is meant as it is.
                Err(error) if matches!(request, PythonRequest::Name(_)) => return Err(error.into()),
                Err(error) => error.to_string(),
            };
            rejected.push((candidate, reason));
        }
    }
    Err(DiscoverError::NotFound { request: request.clone(), rejected })
}

fn of(probe: &Probe) -> String {
    format!("{} {}", probe.interpreter.implementation.platform_name(), probe.interpreter.version)
}

fn is_supported(interpreter: &Interpreter) -> bool {
    let oldest = match interpreter.implementation {
        Implementation::CPython => 8,
        Implementation::PyPy => 9,
    };
    interpreter.version.major == 3 && interpreter.version.at_least(3, oldest)
}

/// An interpreter of this machine.
#[derive(Debug)]
pub struct Listed {
    /// The path by which it is known.
    pub path: Utf8PathBuf,
    /// Other paths that lead to it.
    pub aliases: Vec<Utf8PathBuf>,
    /// What it is, or why it cannot be used.
    pub outcome: Result<Probe, String>,
}

/// How long one interpreter may take to answer while they are listed, and all together.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(20);

/// Every interpreter that is found, in the order in which they are looked for. What cannot be used
/// is among them. It ends in time, whatever they do.
pub fn list(surroundings: &Surroundings, cache: &ProbeCache, threads: usize) -> Vec<Listed> {
    let mut by_file: BTreeMap<Utf8PathBuf, usize> = BTreeMap::new();
    let mut found: Vec<Vec<Utf8PathBuf>> = Vec::new();
    let directories = places::directories(surroundings, Aliases::Taken);
    for directory in directories.iter().chain(&places::directories(surroundings, Aliases::Left)) {
        let entries = directory.read_dir_utf8().into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_owned())
            .filter(|name| is_listed(name))
            .collect();
        names.sort_by(|left, right| (right.len(), right).cmp(&(left.len(), left)));
        for candidate in
            names.into_iter().map(|name| directory.join(name)).filter(|path| is_executable(path))
        {
            // The interpreter behind an environment is listed, and the environment is another way
            // to it.
            let resolved = resolve(&candidate);
            let known = base_of_copy(&resolved).unwrap_or(resolved);
            let file = known.canonicalize_utf8().unwrap_or_else(|_| known.clone());
            let index = *by_file.entry(file).or_insert_with(|| {
                found.push(vec![known]);
                found.len() - 1
            });
            if !found[index].contains(&candidate) {
                found[index].push(candidate);
            }
        }
    }
    let end = Instant::now() + PATIENCE_FOR_ALL;
    let outcomes =
        parallel::map(threads, found.len(), |index| -> Result<_, std::convert::Infallible> {
            let left = end.saturating_duration_since(Instant::now()).min(PATIENCE);
            let outcome = match cache.probe_within(&found[index][0], left) {
                Ok(probe) if !is_supported(&probe.interpreter) => {
                    Err(format!("{} is too old", of(&probe)))
                }
                Ok(probe) => Ok(probe),
                Err(error) => Err(chain(&error)),
            };
            Ok(outcome)
        })
        .unwrap_or_else(|never| match never {});
    let listed = |(mut paths, outcome): (Vec<Utf8PathBuf>, _)| Listed {
        path: paths.remove(0),
        aliases: paths,
        outcome,
    };
    found.into_iter().zip(outcomes).map(listed).collect()
}

/// Whether an executable of that name is one to list: an interpreter without a window.
fn is_listed(name: &str) -> bool {
    is_interpreter_name(name) && !name.starts_with("pythonw")
}

/// Asks the interpreter behind an executable: not the environment that it may be part of, and not
/// by a name that could lead to another version tomorrow.
fn ask(executable: &Utf8Path, cache: &ProbeCache) -> Result<Probe, ProbeError> {
    let resolved = resolve(executable);
    if let Some(base) = base_of_copy(&resolved) {
        return cache.probe(&base);
    }
    let probe = cache.probe(&resolved)?;
    if probe.executable == resolved {
        return Ok(probe);
    }
    // The copy of an interpreter in an environment, or a script that starts one: what it started is
    // asked itself.
    let base = resolve(&probe.executable);
    if base == resolved || !is_executable(&base) { Ok(probe) } else { cache.probe(&base) }
}

/// The interpreter that a copy in an environment was made of, by what the environment's
/// configuration says.
fn base_of_copy(executable: &Utf8Path) -> Option<Utf8PathBuf> {
    let environment = executable.parent()?.parent()?;
    let text = places::read_small(&environment.join("pyvenv.cfg"))?;
    let (file, home) = relocate::configuration(&text, &relocate::Roots::new()).base;
    let beside = |home: String| {
        [executable.file_name()?, "python3", "python"]
            .map(|name| Utf8Path::new(&home).join(name))
            .into_iter()
            .find(|path| is_executable(path))
    };
    let base = file
        .map(Utf8PathBuf::from)
        .filter(|path| is_executable(path))
        .or_else(|| home.and_then(beside))?;
    let base = resolve(&base);
    (base != executable && base.is_absolute()).then_some(base)
}

fn is_executable(path: &Utf8Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The interpreter at a path: a file, or that of an environment or installation.
fn at_path(path: &Utf8Path) -> Option<Utf8PathBuf> {
    if path.is_dir() {
        let names = ["bin/python3", "bin/python", "bin/pypy3"];
        return names.iter().map(|name| path.join(name)).find(|path| is_executable(path));
    }
    is_executable(path).then(|| path.to_owned())
}
