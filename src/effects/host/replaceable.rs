//! Which directories may give way to a new environment: the one rule of everything that replaces or
//! clears away.
//!
//! Effects layer. Only environments do: a directory with a `pyvenv.cfg` and, beside that, nothing
//! but what environments consist of or what its own distributions say that they installed. A
//! repository, a manuscript or a project that somebody made an environment of (`python -m venv .`)
//! is none of those. Whatever it holds, a directory stays that somebody works in, that is or holds
//! the home directory, or that file systems are mounted in.

use std::collections::BTreeSet;
use std::io;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FileType};

use crate::effects::host::fs;
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// What no directory that gives way may be or hold.
#[derive(Debug, Clone)]
pub struct Protected {
    /// The working directory.
    pub cwd: Utf8PathBuf,
    /// The home directory, where it is known.
    pub home: Option<Utf8PathBuf>,
}

/// Directories below the home directory that are much more than an environment, even if they are
/// one as well.
const BELOW_HOME: [&str; 4] = [".local", ".cache", ".config", "Library"];
/// Directories of the system that are much more than an environment, even if they are one as well.
const OF_THE_SYSTEM: [&str; 3] = ["/usr", "/usr/local", "/opt"];

/// The names at the root of environments that venv, virtualenv, uv, tox and virtualenvwrapper make
/// and that installers fill.
const OF_ENVIRONMENTS: [&str; 26] = [
    "pyvenv.cfg",
    "bin",
    "scripts",
    "lib",
    "lib32",
    "lib64",
    "include",
    "share",
    "etc",
    "man",
    ".python",
    ".gitignore",
    ".lock",
    "cachedir.tag",
    // PyPy up to 7.3.8 has its modules at the root.
    "lib-python",
    "lib_pypy",
    "site-packages",
    "pip-selfcheck.json",
    ".project",
    ".tox-info.json",
    // What is made again without being asked for.
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".ds_store",
    "thumbs.db",
];

/// Why a directory does not give way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is a link.
    Link(String),
    /// It is neither a directory nor a link.
    NoDirectory(&'static str),
    /// It is the working directory or holds it.
    WorkingDirectory,
    /// It is the home directory or holds it.
    Home,
    /// It belongs to the system or to everything of a person.
    Shared,
    /// A file system is mounted there.
    Mounted(Utf8PathBuf),
    /// It has no `pyvenv.cfg`.
    NoConfiguration,
    /// It has what environments do not consist of.
    Foreign(Vec<String>),
}

/// A directory that does not give way.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// For a reason.
    #[error("{}", describe(path, reason))]
    Kept {
        /// The place.
        path: Utf8PathBuf,
        /// The reason.
        reason: Reason,
    },
    /// It cannot be looked at.
    #[error("cannot look at `{path}`")]
    Look {
        /// What.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn describe(path: &Utf8Path, reason: &Reason) -> String {
    match reason {
        Reason::Link(target) => format!("`{path}` is a link to `{target}`, not a directory"),
        Reason::NoDirectory(what) => format!("`{path}` is {what}, not a directory"),
        Reason::WorkingDirectory => {
            format!(
                "the working directory lies in `{path}`, which would be exchanged for another directory"
            )
        }
        Reason::Home => format!("the home directory lies in `{path}`, which is not replaced"),
        Reason::Shared => {
            format!("`{path}` is used for more than an environment, so it is not replaced")
        }
        Reason::Mounted(place) if place == path => {
            format!("`{path}` is a mounted file system, which cannot be replaced")
        }
        Reason::Mounted(place) => {
            format!("a file system is mounted at `{place}`, so `{path}` is not replaced")
        }
        Reason::NoConfiguration => format!("`{path}` is no environment: it holds no pyvenv.cfg"),
        Reason::Foreign(names) => {
            const SHOWN: usize = 5;
            let shown: Vec<String> =
                names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            let more = if names.len() > SHOWN {
                format!(" and {} more", names.len() - SHOWN)
            } else {
                String::new()
            };
            let are = if names.len() == 1 { "is" } else { "are" };
            format!(
                "`{path}` holds more than an environment: {}{more} {are} no part of one",
                shown.join(", ")
            )
        }
    }
}

impl Explain for KeptError {
    fn explain(&self) -> Explanation {
        let (usage, conflict) = (ErrorKind::Usage, ErrorKind::Conflict);
        let otherwise = "choose another place; only environments are replaced";
        match self {
            Self::Kept { reason, .. } => match reason {
                // About what the directory is to the caller, rather than about what is in it.
                Reason::WorkingDirectory => {
                    usage.hint("run the command from outside, or choose another place")
                }
                Reason::Home | Reason::Shared | Reason::Mounted(_) => usage.hint(otherwise),
                Reason::Link(_) => {
                    conflict.hint("name the directory that the link leads to, or another place")
                }
                Reason::Foreign(_) => conflict.hint(
                    "move what you want to keep to another place, or choose another place for the environment",
                ),
                Reason::NoDirectory(_) | Reason::NoConfiguration => conflict.hint(otherwise),
            },
            Self::Look { .. } => ErrorKind::Io.no_hint(),
        }
    }
}

/// A directory that may give way, as [`check`] found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaceable {
    path: Utf8PathBuf,
    identity: Identity,
}

/// What tells one directory from another at the same path.
type Identity = (u64, u64);

impl Replaceable {
    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Whether the directory at a path is this one.
    pub fn is_at(&self, path: &Utf8Path) -> bool {
        look(path).ok().flatten().is_some_and(|(identity, _)| identity == self.identity)
    }
}

/// What is at a path, links not followed; nothing where nothing is.
#[allow(clippy::unnecessary_cast, reason = "the types of these fields differ between platforms")]
fn look(path: &Utf8Path) -> io::Result<Option<(Identity, FileType)>> {
    match rustix::fs::statat(CWD, path.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(found) => Ok(Some((
            (found.st_dev as u64, found.st_ino as u64),
            FileType::from_raw_mode(found.st_mode),
        ))),
    }
}

/// Whether the directory at `path` may give way to a new environment.
///
/// # Errors
/// It may not, or cannot be looked at.
pub fn check(path: &Utf8Path, protected: &Protected) -> Result<Replaceable, KeptError> {
    let identity = directory(path)?;
    if let Some(reason) = use_of(identity, path, protected) {
        return Err(KeptError::Kept { path: path.to_owned(), reason });
    }
    contents(path)?;
    Ok(Replaceable { path: path.to_owned(), identity })
}

/// Whether the directory at `path` is an environment and nothing more: who works or lives in it
/// does not matter to whoever replaces nothing.
///
/// # Errors
/// It is not, or cannot be looked at.
pub fn check_contents(path: &Utf8Path) -> Result<(), KeptError> {
    directory(path)?;
    contents(path)
}

/// Which directory is at a path.
fn directory(path: &Utf8Path) -> Result<Identity, KeptError> {
    let kept = |reason| KeptError::Kept { path: path.to_owned(), reason };
    let failed = |source| KeptError::Look { path: path.to_owned(), source };
    let (identity, kind) =
        look(path).map_err(failed)?.ok_or_else(|| kept(Reason::NoConfiguration))?;
    match kind {
        FileType::Directory => Ok(identity),
        FileType::Symlink => {
            let target = path
                .read_link_utf8()
                .map_or_else(|_| "another place".to_owned(), Utf8PathBuf::into_string);
            Err(kept(Reason::Link(target)))
        }
        FileType::RegularFile => Err(kept(Reason::NoDirectory("a file"))),
        _ => Err(kept(Reason::NoDirectory("a device, pipe or socket"))),
    }
}

/// Why a directory stays whatever it holds.
fn use_of(identity: Identity, path: &Utf8Path, protected: &Protected) -> Option<Reason> {
    if holds(identity, &protected.cwd) {
        return Some(Reason::WorkingDirectory);
    }
    if let Some(home) = &protected.home {
        if holds(identity, home) {
            return Some(Reason::Home);
        }
        if BELOW_HOME.iter().any(|name| is_same(identity, &home.join(name))) {
            return Some(Reason::Shared);
        }
    }
    if OF_THE_SYSTEM.iter().any(|place| is_same(identity, Utf8Path::new(place))) {
        return Some(Reason::Shared);
    }
    mounted(path).map(Reason::Mounted)
}

/// Refuses a directory that is no environment, or more than one.
fn contents(path: &Utf8Path) -> Result<(), KeptError> {
    let kept = |reason| KeptError::Kept { path: path.to_owned(), reason };
    // A look by path that follows links opens nothing, so a pipe of that name keeps nobody waiting.
    if !path.join("pyvenv.cfg").as_std_path().is_file() {
        return Err(kept(Reason::NoConfiguration));
    }
    let foreign =
        foreign(path).map_err(|source| KeptError::Look { path: path.to_owned(), source })?;
    if foreign.is_empty() { Ok(()) } else { Err(kept(Reason::Foreign(foreign))) }
}

fn is_same(identity: Identity, path: &Utf8Path) -> bool {
    path.canonicalize_utf8()
        .ok()
        .and_then(|path| look(&path).ok().flatten())
        .is_some_and(|(found, _)| found == identity)
}

/// Whether a directory is `path` or one that it lies in, by whatever name.
fn holds(identity: Identity, path: &Utf8Path) -> bool {
    let Ok(path) = path.canonicalize_utf8() else {
        return false;
    };
    path.ancestors()
        .any(|above| look(above).ok().flatten().is_some_and(|(found, _)| found == identity))
}

/// Where a file system is mounted at or below a directory.
fn mounted(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let full = path.canonicalize_utf8().ok()?;
    let Some(parent) = full.parent() else {
        return Some(path.to_owned());
    };
    if let Ok(table) = fs::read("/proc/self/mountinfo".into()) {
        let places = table
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
        let place = places.map(unescape).find(|place| place.starts_with(&full))?;
        return Some(if place == full { path.to_owned() } else { place });
    }
    let device = |path: &Utf8Path| look(path).ok().flatten().map(|((device, _), _)| device);
    (device(&full) != device(parent)).then(|| path.to_owned())
}

/// A path of the table of mounts, in which blanks and the like are written as three octal digits.
fn unescape(text: &[u8]) -> Utf8PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Utf8PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names at the root of an environment that are no part of one.
fn foreign(root: &Utf8Path) -> io::Result<Vec<String>> {
    let mut unknown = Vec::new();
    for entry in std::fs::read_dir(root.as_std_path())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !OF_ENVIRONMENTS.contains(&name.to_ascii_lowercase().as_str()) {
            unknown.push(name);
        }
    }
    if !unknown.is_empty() {
        let installed = installed(root);
        unknown.retain(|name| !is_installed(root, name, &installed));
    }
    unknown.sort_unstable();
    Ok(unknown)
}

/// Whether everything at a path is of installed distributions.
fn is_installed(root: &Utf8Path, path: &str, installed: &BTreeSet<String>) -> bool {
    if installed.contains(path) {
        return true;
    }
    let full = root.join(path);
    if !full.as_std_path().symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return false;
    }
    let Ok(entries) = std::fs::read_dir(full.as_std_path()) else {
        return false;
    };
    let names: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.file_name().into_string())).collect();
    names.iter().all(|name| match name {
        Ok(Ok(name)) => {
            name == "__pycache__" || is_installed(root, &format!("{path}/{name}"), installed)
        }
        _ => false,
    })
}

/// The files outside of `site-packages` that the distributions of an environment say that they have
/// installed, relative to its root.
fn installed(root: &Utf8Path) -> BTreeSet<String> {
    let mut installed = BTreeSet::new();
    let directories = |path: Utf8PathBuf| {
        path.read_dir_utf8().into_iter().flatten().flatten().map(camino::Utf8DirEntry::into_path)
    };
    let libraries = ["lib", "lib64", "Lib"].map(|name| root.join(name));
    let pythons = libraries.iter().cloned().flat_map(directories);
    let sites =
        libraries.iter().cloned().chain(pythons).map(|library| library.join("site-packages"));
    for site in sites {
        let Ok(below) = site.strip_prefix(root).map(Utf8Path::to_owned) else {
            continue;
        };
        for distribution in directories(site).filter(|path| path.extension() == Some("dist-info")) {
            let record = distribution.join("RECORD");
            let regular =
                record.as_std_path().symlink_metadata().is_ok_and(|found| found.is_file());
            let Some(text) = regular.then(|| fs::read_text(&record).ok()).flatten() else {
                continue;
            };
            for line in text.lines() {
                let path = line
                    .rsplitn(3, ',')
                    .nth(2)
                    .unwrap_or(line)
                    .trim_matches('"')
                    .replace("\"\"", "\"");
                if path.starts_with("..") {
                    installed.extend(normalized(&below.join(path)));
                }
            }
        }
    }
    installed
}

/// A relative path without `.` and `..`, unless it leads out.
fn normalized(path: &Utf8Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Utf8Component::ParentDir => parts.pop().map(|_| ())?,
            Utf8Component::Normal(name) => parts.push(name),
            Utf8Component::CurDir | Utf8Component::RootDir | Utf8Component::Prefix(_) => {}
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _guard: tempfile::TempDir,
        root: Utf8PathBuf,
    }

    impl Place {
        fn new(files: &[&str]) -> Self {
            let guard = tempfile::tempdir().unwrap();
            let root = Utf8PathBuf::from_path_buf(guard.path().canonicalize().unwrap()).unwrap();
            for file in files {
                let path = root.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "").unwrap();
            }
            Self { _guard: guard, root }
        }

        fn check_for(&self, path: &str, cwd: &str, home: &str) -> Result<(), Reason> {
            let protected =
                Protected { cwd: self.root.join(cwd), home: Some(self.root.join(home)) };
            match check(&self.root.join(path), &protected) {
                Ok(_) => Ok(()),
                Err(KeptError::Kept { reason, .. }) => Err(reason),
                Err(error) => panic!("{error}"),
            }
        }

        fn check(&self) -> Result<(), Reason> {
            self.check_for("env", "other", "home")
        }
    }

    fn foreign_names(files: &[&str]) -> Vec<String> {
        match Place::new(files).check() {
            Ok(()) => Vec::new(),
            Err(Reason::Foreign(names)) => names,
            Err(reason) => panic!("{reason:?}"),
        }
    }

    #[test]
    fn only_what_environments_consist_of_gives_way() {
        assert_eq!(foreign_names(&["env/pyvenv.cfg"]), [""; 0]);
        assert_eq!(
            foreign_names(&[
                "env/pyvenv.cfg",
                "env/bin/x",
                "env/lib/x",
                "env/.gitignore",
                "env/CACHEDIR.TAG"
            ]),
            [""; 0]
        );
        assert_eq!(
            foreign_names(&[
                "env/pyvenv.cfg",
                "env/Lib/x",
                "env/Scripts/x",
                "env/Include/x",
                "env/.python/bin/x"
            ]),
            [""; 0]
        );
        assert_eq!(foreign_names(&["env/pyvenv.cfg", "env/bin/x", "env/.git/HEAD"]), [".git"]);
        assert_eq!(
            foreign_names(&["env/pyvenv.cfg", "env/thesis.tex", "env/.env", "env/src/x"]),
            [".env", "src", "thesis.tex"]
        );
        assert_eq!(Place::new(&["env/thesis.tex"]).check(), Err(Reason::NoConfiguration));
        assert_eq!(Place::new(&["env/pyvenv.cfg/x"]).check(), Err(Reason::NoConfiguration));
        assert_eq!(Place::new(&["env"]).check(), Err(Reason::NoDirectory("a file")));
    }

    #[test]
    fn what_distributions_installed_at_the_root_belongs_to_the_environment() {
        let record = "env/lib/python3.12/site-packages/a-1.dist-info/RECORD";
        let place =
            Place::new(&["env/pyvenv.cfg", record, "env/LICENSE", "env/a, b", "env/docs/one.md"]);
        assert!(matches!(place.check(), Err(Reason::Foreign(names)) if names.len() == 3));
        let text = "a.py,,\n../../../LICENSE,sha256=x,3\n\"../../../a, b\",,\n../../../docs/one.md,,\n../../../../../../etc/x,,\n";
        std::fs::write(place.root.join(record), text).unwrap();
        assert_eq!(place.check(), Ok(()));
        std::fs::write(place.root.join("env/docs/mine.md"), "").unwrap();
        assert_eq!(place.check(), Err(Reason::Foreign(vec!["docs".to_owned()])));
    }

    #[test]
    fn where_somebody_works_or_lives_nothing_gives_way() {
        let place = Place::new(&[
            "env/pyvenv.cfg",
            "env/lib/below/x",
            "home/.local/pyvenv.cfg",
            "pyvenv.cfg",
            "other/x",
        ]);
        std::os::unix::fs::symlink("env/lib", place.root.join("alias")).unwrap();
        std::os::unix::fs::symlink("env", place.root.join("link")).unwrap();
        for cwd in ["env", "env/lib/below", "alias", "alias/below"] {
            assert_eq!(place.check_for("env", cwd, "home"), Err(Reason::WorkingDirectory), "{cwd}");
            assert_eq!(place.check_for("env", "other", cwd), Err(Reason::Home), "{cwd}");
        }
        assert_eq!(place.check_for("", "other", "home"), Err(Reason::WorkingDirectory));
        assert_eq!(place.check_for("home/.local", "other", "home"), Err(Reason::Shared));
        assert_eq!(place.check_for("link", "other", "home"), Err(Reason::Link("env".to_owned())));
        assert_eq!(place.check_for("env", "other", "home"), Ok(()));
        let protected = Protected { cwd: place.root.clone(), home: None };
        for (path, expected) in [("/", Reason::WorkingDirectory), ("/usr", Reason::Shared)] {
            let found = check(Utf8Path::new(path), &protected);
            assert!(
                matches!(found, Err(KeptError::Kept { reason, .. }) if reason == expected),
                "{path}"
            );
        }
    }

    #[test]
    fn another_directory_at_the_same_path_is_another() {
        let place = Place::new(&["env/pyvenv.cfg", "new/pyvenv.cfg"]);
        let protected = Protected { cwd: place.root.join("other"), home: None };
        let env = place.root.join("env");
        let replaceable = check(&env, &protected).unwrap();
        assert!(replaceable.is_at(&env));
        std::fs::rename(&env, place.root.join("old")).unwrap();
        std::fs::rename(place.root.join("new"), &env).unwrap();
        assert!(!replaceable.is_at(&env) && replaceable.is_at(&place.root.join("old")));
    }

    #[test]
    fn the_table_of_mounts_escapes_blanks() {
        assert_eq!(unescape(br"/a\040b\134c"), "/a b\\c");
        assert_eq!(unescape(br"/a\9"), r"/a\9");
        assert_eq!(mounted(Utf8Path::new("/proc")).as_deref(), Some(Utf8Path::new("/proc")));
        assert_eq!(mounted(Utf8Path::new("/")).as_deref(), Some(Utf8Path::new("/")));
    }
}
