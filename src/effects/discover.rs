//! Finding interpreters on this machine.
//!
//! Effects layer. Looked through are the directories of `PATH`, in order; then the versions that pyenv and uv keep, the newest first; then
//! the places where distributions put interpreters, `/usr/local/bin` and `/usr/bin`. pyenv's shims are no interpreters but scripts that
//! choose one by the working directory: in their place come the directories that they would choose.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::probe::{Probe, ProbeError};
use crate::effects::probe_cache::ProbeCache;
use crate::model::interpreter::{Implementation, Interpreter};
use crate::model::layout::is_interpreter_name;
use crate::model::python_request::PythonRequest;
use crate::model::relocate;

/// What decides where interpreters are looked for.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The working directory.
    pub cwd: Utf8PathBuf,
    /// The directories of `PATH`, absolute.
    pub path: Vec<Utf8PathBuf>,
    /// Where pyenv keeps its versions.
    pub pyenv: Option<Utf8PathBuf>,
    /// `PYENV_VERSION`: the versions that somebody chose for this shell.
    pub pyenv_version: Option<String>,
    /// Where uv keeps its interpreters.
    pub uv: Option<Utf8PathBuf>,
}

impl Surroundings {
    /// What the variables of an environment say.
    pub fn new<'a>(cwd: &Utf8Path, variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let home = variable("HOME").map(Utf8PathBuf::from);
        // An empty entry means the working directory; that is how interpreters get hijacked, and nobody means it.
        let path = variable("PATH").unwrap_or_default().split(':').filter(|entry| !entry.is_empty()).map(|entry| cwd.join(entry)).collect();
        let below_home = |below: &str| home.as_ref().map(|home| home.join(below));
        let data = variable("XDG_DATA_HOME").map(Utf8PathBuf::from).or_else(|| below_home(".local/share"));
        Self {
            cwd: cwd.to_owned(),
            path,
            pyenv: variable("PYENV_ROOT").map(Utf8PathBuf::from).or_else(|| below_home(".pyenv")),
            pyenv_version: variable("PYENV_VERSION").map(str::to_owned),
            uv: variable("UV_PYTHON_INSTALL_DIR").map(Utf8PathBuf::from).or_else(|| data.map(|data| data.join("uv/python"))),
        }
    }
}

/// Why no interpreter was found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// There is none that fits.
    #[error("no interpreter is {request}{}", describe(rejected))]
    NotFound {
        /// What was asked for.
        request: String,
        /// Those that are there, and why they are not taken.
        rejected: Vec<(Utf8PathBuf, String)>,
    },
    /// There is nothing at a path.
    #[error("`{path}` is no interpreter, nor a directory with one in `bin`")]
    Path {
        /// The path.
        path: Utf8PathBuf,
    },
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

fn describe(rejected: &[(Utf8PathBuf, String)]) -> String {
    if rejected.is_empty() {
        return String::new();
    }
    let list: String = rejected.iter().map(|(path, reason)| format!("\n    {path}: {reason}")).collect();
    format!("; found were{list}")
}

impl DiscoverError {
    /// What to try.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } => Some("install one, or give its path with `--python`"),
            Self::Probe(error) => error.hint(),
            Self::Path { .. } | Self::Old { .. } => None,
        }
    }
}

/// Finds an interpreter and asks what it is.
///
/// # Errors
/// There is none that fits, or the one at a path cannot be used.
pub fn find(request: &PythonRequest, surroundings: &Surroundings, cache: &ProbeCache) -> Result<Probe, DiscoverError> {
    if let PythonRequest::Path(path) = request {
        let path = surroundings.cwd.join(path);
        let executable = at_path(&path).ok_or(DiscoverError::Path { path })?;
        let probe = ask(&executable, cache)?;
        return if is_supported(&probe.interpreter) {
            Ok(probe)
        } else {
            Err(DiscoverError::Old { path: executable, found: probe.interpreter.to_string() })
        };
    }
    let names = request.executable_names();
    let mut seen = BTreeSet::new();
    let mut rejected: Vec<(Utf8PathBuf, String)> = Vec::new();
    for directory in directories(request, surroundings) {
        for name in &names {
            let candidate = directory.join(name);
            if !is_executable(&candidate) || !seen.insert(resolve(&candidate)) {
                continue;
            }
            let reason = match ask(&candidate, cache) {
                Ok(probe) if !is_supported(&probe.interpreter) => format!("{} is too old", of(&probe)),
                Ok(probe) if request.accepts(&probe.interpreter) => return Ok(probe),
                Ok(probe) => of(&probe),
                // A name that somebody gave is meant as it is.
                Err(error) if matches!(request, PythonRequest::Name(_)) => return Err(error.into()),
                Err(error) => error.to_string(),
            };
            rejected.push((candidate, reason));
        }
    }
    Err(DiscoverError::NotFound { request: request.to_string(), rejected })
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

/// Asks the interpreter behind an executable: not the environment that it may be part of, and not by a name that could lead to another
/// version tomorrow.
fn ask(executable: &Utf8Path, cache: &ProbeCache) -> Result<Probe, ProbeError> {
    let resolved = resolve(executable);
    if let Some(base) = base_of_copy(&resolved) {
        return cache.probe(&base);
    }
    let probe = cache.probe(&resolved)?;
    if probe.executable == resolved {
        return Ok(probe);
    }
    // The copy of an interpreter in an environment, or a script that starts one: what it started is asked itself.
    let base = resolve(&probe.executable);
    if base == resolved || !is_executable(&base) { Ok(probe) } else { cache.probe(&base) }
}

/// The interpreter that a copy in an environment was made of, by what the environment's configuration says.
fn base_of_copy(executable: &Utf8Path) -> Option<Utf8PathBuf> {
    let environment = executable.parent()?.parent()?;
    let text = std::fs::read_to_string(environment.join("pyvenv.cfg")).ok()?;
    let (file, home) = relocate::configuration(&text, &relocate::Roots::new()).base;
    let beside = |home: String| {
        [executable.file_name()?, "python3", "python"]
            .map(|name| Utf8Path::new(&home).join(name))
            .into_iter()
            .find(|path| is_executable(path))
    };
    let base = file.map(Utf8PathBuf::from).filter(|path| is_executable(path)).or_else(|| home.and_then(beside))?;
    let base = resolve(&base);
    (base != executable && base.is_absolute()).then_some(base)
}

/// An executable with all links followed, unless they lead to a file that is called otherwise, as in a store of files by digest,
/// where an interpreter would not find its library.
fn resolve(executable: &Utf8Path) -> Utf8PathBuf {
    match executable.canonicalize_utf8() {
        Ok(path) if path.file_name().is_some_and(|name| is_interpreter_name(&name.to_ascii_lowercase())) => path,
        _ => executable.to_owned(),
    }
}

fn is_executable(path: &Utf8Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The interpreter at a path: a file, or that of an environment or installation.
fn at_path(path: &Utf8Path) -> Option<Utf8PathBuf> {
    if path.is_dir() {
        let names = ["bin/python3", "bin/python", "bin/pypy3"];
        return names.iter().map(|name| path.join(name)).find(|path| is_executable(path));
    }
    is_executable(path).then(|| path.to_owned())
}

/// Every directory to look through, in order.
fn directories(request: &PythonRequest, surroundings: &Surroundings) -> Vec<Utf8PathBuf> {
    let mut directories = Vec::new();
    let versions = surroundings.pyenv.as_ref().map(|root| installed(&root.join("versions"))).unwrap_or_default();
    for directory in &surroundings.path {
        match pyenv_of_shims(directory, surroundings) {
            Some(root) => directories.extend(chosen(root, &versions, surroundings)),
            None => directories.push(directory.clone()),
        }
    }
    if !matches!(request, PythonRequest::Name(_)) {
        directories.extend(versions.into_iter().map(|(_, directory)| directory));
        let uv = surroundings.uv.as_ref().map(|root| installed(root)).unwrap_or_default();
        directories.extend(uv.into_iter().map(|(_, directory)| directory));
        directories.extend(["/usr/local/bin", "/usr/bin"].map(Utf8PathBuf::from));
    }
    let mut seen = BTreeSet::new();
    directories.retain(|directory| seen.insert(directory.clone()));
    directories
}

/// pyenv's root, if a directory of `PATH` is its shims (or those of its plugin for environments).
fn pyenv_of_shims<'a>(directory: &Utf8Path, surroundings: &'a Surroundings) -> Option<&'a Utf8Path> {
    let root = surroundings.pyenv.as_deref()?;
    (directory.file_name() == Some("shims") && directory.starts_with(root)).then_some(root)
}

/// The versions in a directory, the newest first: their names and where their executables are.
fn installed(directory: &Utf8Path) -> Vec<(String, Utf8PathBuf)> {
    let mut found: Vec<(Vec<u64>, String, Utf8PathBuf)> = Vec::new();
    for entry in directory.read_dir_utf8().into_iter().flatten().flatten() {
        let executables = entry.path().join("bin");
        let name = entry.file_name();
        // `3.12.1`, `pypy3.10-7.3.15`, `cpython-3.12.1-linux-x86_64-gnu`; uv also keeps links by minor version.
        if executables.is_dir() && !entry.path().is_symlink() {
            let number = |part: &str| part.parse().ok();
            let digits = name.split(|character: char| !character.is_ascii_digit()).filter(|part| !part.is_empty());
            found.push((digits.filter_map(number).collect(), name.to_owned(), executables));
        }
    }
    found.sort_by(|left, right| (&right.0, &left.1).cmp(&(&left.0, &right.1)));
    found.into_iter().map(|(_, name, executables)| (name, executables)).collect()
}

/// The directories that pyenv's shims would choose: those of `PYENV_VERSION`, else of the nearest `.python-version`, else of the global
/// `version`. Each of these may name several versions, in full or by a prefix.
fn chosen(root: &Utf8Path, versions: &[(String, Utf8PathBuf)], surroundings: &Surroundings) -> Vec<Utf8PathBuf> {
    let read = |path: Utf8PathBuf| std::fs::read_to_string(path).ok();
    let text = surroundings
        .pyenv_version
        .clone()
        .or_else(|| surroundings.cwd.ancestors().find_map(|directory| read(directory.join(".python-version"))))
        .or_else(|| read(root.join("version")))
        .unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut directories = Vec::new();
    for wanted in lines.flat_map(|line| line.split([' ', '\t', ':'])).filter(|word| !word.is_empty()) {
        let matches = |name: &str| name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'));
        let exact = versions.iter().find(|(name, _)| name == wanted);
        directories.extend(exact.or_else(|| versions.iter().find(|(name, _)| matches(name))).map(|(_, directory)| directory.clone()));
    }
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
        (folder, path)
    }

    #[test]
    fn shims_stand_for_what_they_would_choose() {
        let (_guard, folder) = folder();
        let root = folder.join("pyenv");
        for version in ["3.9.18", "3.12.1", "3.12.10", "pypy3.10-7.3.15"] {
            std::fs::create_dir_all(root.join("versions").join(version).join("bin")).unwrap();
        }
        let project = folder.join("project/deep");
        std::fs::create_dir_all(&project).unwrap();
        let check = |pyenv_version: Option<&str>, expected: &[&str]| {
            let surroundings = Surroundings {
                cwd: project.clone(),
                path: vec![folder.join("first"), root.join("shims"), folder.join("last")],
                pyenv: Some(root.clone()),
                pyenv_version: pyenv_version.map(str::to_owned),
                uv: None,
            };
            let found = directories(&PythonRequest::Name("x".to_owned()), &surroundings);
            let found: Vec<&str> = found.iter().map(|path| path.strip_prefix(&folder).unwrap().as_str()).collect();
            let mut all = vec!["first".to_owned()];
            all.extend(expected.iter().map(|version| format!("pyenv/versions/{version}/bin")));
            all.push("last".to_owned());
            assert_eq!(found, all);
        };
        check(None, &[]);
        std::fs::write(root.join("version"), "3.9.18\n").unwrap();
        check(None, &["3.9.18"]);
        std::fs::write(folder.join("project/.python-version"), "# ours\n3.12 system\npypy3.10-7.3.15\n").unwrap();
        check(None, &["3.12.10", "pypy3.10-7.3.15"]);
        check(Some("3.12.1:3.9"), &["3.12.1", "3.9.18"]);
        check(Some("3.1"), &[]);
    }

    #[test]
    fn what_is_installed_elsewhere_comes_after_the_path_with_the_newest_first() {
        let (_guard, folder) = folder();
        for name in ["3.9.18", "3.10.2", "3.12.1"] {
            std::fs::create_dir_all(folder.join("pyenv/versions").join(name).join("bin")).unwrap();
        }
        std::fs::create_dir_all(folder.join("data/uv/python/cpython-3.13.1-linux-x86_64-gnu/bin")).unwrap();
        let variables =
            [("PATH", format!(":{folder}/a::b:")), ("PYENV_ROOT", format!("{folder}/pyenv")), ("XDG_DATA_HOME", format!("{folder}/data"))];
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        let surroundings = Surroundings::new(&folder, variable);
        let found = directories(&PythonRequest::Any, &surroundings);
        let expected = [
            "a",
            "b",
            "pyenv/versions/3.12.1/bin",
            "pyenv/versions/3.10.2/bin",
            "pyenv/versions/3.9.18/bin",
            "data/uv/python/cpython-3.13.1-linux-x86_64-gnu/bin",
        ];
        let mut expected: Vec<Utf8PathBuf> = expected.iter().map(|path| folder.join(path)).collect();
        expected.extend(["/usr/local/bin", "/usr/bin"].map(Utf8PathBuf::from));
        assert_eq!(found, expected);
        assert_eq!(directories(&PythonRequest::Name("x".to_owned()), &surroundings), expected[..2]);
    }
}
