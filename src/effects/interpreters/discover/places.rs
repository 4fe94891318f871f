//! Where interpreters are looked for on this machine, and what a project or a shell says about the
//! version.
//!
//! Effects layer. The places are the directories of `PATH`, in order; then the versions that pyenv
//! and uv keep, the newest first; then `/usr/local/bin` and `/usr/bin`. pyenv's shims are no
//! interpreters but scripts that choose one by the working directory: in their place come the
//! directories that they would choose.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::{Links, open_regular};

/// What decides where interpreters are looked for.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The working directory.
    pub(crate) cwd: Utf8PathBuf,
    /// The directories of `PATH`, absolute.
    pub(crate) path: Vec<Utf8PathBuf>,
    /// Where pyenv keeps its versions.
    pub(crate) pyenv: Option<Utf8PathBuf>,
    /// `PYENV_VERSION`: the versions that somebody chose for this shell.
    pub(crate) pyenv_version: Option<String>,
    /// Where uv keeps its interpreters.
    pub(crate) uv: Option<Utf8PathBuf>,
}

impl Surroundings {
    /// What the variables of an environment say.
    pub fn new<'a>(cwd: &Utf8Path, variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let home = variable("HOME").map(Utf8PathBuf::from);
        // An empty entry means the working directory; that is how interpreters get hijacked, and
        // nobody means it.
        let path = variable("PATH")
            .unwrap_or_default()
            .split(':')
            .filter(|entry| !entry.is_empty())
            .map(|entry| cwd.join(entry))
            .collect();
        let below_home = |below: &str| home.as_ref().map(|home| home.join(below));
        let data =
            variable("XDG_DATA_HOME").map(Utf8PathBuf::from).or_else(|| below_home(".local/share"));
        Self {
            cwd: cwd.to_owned(),
            path,
            pyenv: variable("PYENV_ROOT").map(Utf8PathBuf::from).or_else(|| below_home(".pyenv")),
            pyenv_version: variable("PYENV_VERSION").map(str::to_owned),
            uv: variable("UV_PYTHON_INSTALL_DIR")
                .map(Utf8PathBuf::from)
                .or_else(|| data.map(|data| data.join("uv/python"))),
        }
    }

    /// The directories of `PATH` but for pyenv's shims.
    pub(super) fn own_path(&self) -> impl Iterator<Item = &Utf8PathBuf> {
        self.path.iter().filter(|directory| !self.is_shims(directory))
    }

    /// Whether a directory of `PATH` is pyenv's shims (or those of its plugin for environments).
    fn is_shims(&self, directory: &Utf8Path) -> bool {
        directory.file_name() == Some("shims")
            && self.pyenv.as_deref().is_some_and(|root| directory.starts_with(root))
    }
}

/// Whether versions may be known by a link that outlives a patch release, or must be the very ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aliases {
    /// `cpython-3.12-linux-x86_64-gnu` stands for the release that it leads to.
    Taken,
    /// Somebody asked for a patch release.
    Left,
}

/// Every directory to look through, in order.
pub(super) fn directories(surroundings: &Surroundings, aliases: Aliases) -> Vec<Utf8PathBuf> {
    let mut directories = of_path(surroundings);
    for root in
        [surroundings.pyenv.as_ref().map(|root| root.join("versions")), surroundings.uv.clone()]
            .into_iter()
            .flatten()
    {
        directories.extend(installed(&root, aliases).into_iter().map(|(_, directory)| directory));
    }
    directories.extend(["/usr/local/bin", "/usr/bin"].map(Utf8PathBuf::from));
    without_repeats(directories)
}

/// The directories of `PATH`, with those that pyenv's shims choose in their place.
pub(super) fn of_path(surroundings: &Surroundings) -> Vec<Utf8PathBuf> {
    let mut directories = Vec::new();
    for directory in &surroundings.path {
        match surroundings.pyenv.as_deref().filter(|_| surroundings.is_shims(directory)) {
            Some(root) => directories.extend(chosen(root, surroundings)),
            None => directories.push(directory.clone()),
        }
    }
    without_repeats(directories)
}

fn without_repeats(mut directories: Vec<Utf8PathBuf>) -> Vec<Utf8PathBuf> {
    let mut seen = BTreeSet::new();
    directories.retain(|directory| seen.insert(directory.clone()));
    directories
}

/// The versions in a directory, the newest first: their names and where their executables are.
/// Environments, which pyenv's plugin keeps among them, are none; links to elsewhere, such as to
/// Homebrew's interpreters, are.
pub(super) fn installed(directory: &Utf8Path, aliases: Aliases) -> Vec<(String, Utf8PathBuf)> {
    let (mut real, mut links) = (Vec::new(), Vec::new());
    for entry in directory.read_dir_utf8().into_iter().flatten().flatten() {
        let path = entry.into_path();
        if !path.join("bin").is_dir() || path.join("pyvenv.cfg").exists() {
            continue;
        }
        if path.is_symlink() { links.push(path) } else { real.push(path) }
    }
    let canonical = |path: &Utf8PathBuf| path.canonicalize_utf8().ok();
    let own: BTreeSet<Option<Utf8PathBuf>> = real.iter().map(canonical).collect();
    let (inner, outer): (Vec<_>, Vec<_>) =
        links.into_iter().partition(|link| own.contains(&canonical(link)));
    let mut found: Vec<(Vec<u64>, String, Utf8PathBuf)> = Vec::new();
    for path in real.into_iter().chain(outer) {
        let name = path.file_name().unwrap_or_default().to_owned();
        let (numbers, target) = (numbers(&name), canonical(&path));
        let alias = inner.iter().find(|link| {
            let version = version(link.file_name().unwrap_or_default());
            version.len() == 2
                && self::version(&name).starts_with(&version)
                && canonical(link) == target
        });
        let directory = alias.filter(|_| aliases == Aliases::Taken).unwrap_or(&path).join("bin");
        found.push((numbers, name, directory));
    }
    found.sort_by(|left, right| (&right.0, &left.1).cmp(&(&left.0, &right.1)));
    found.into_iter().map(|(_, name, directory)| (name, directory)).collect()
}

/// All numbers of a name: `3.12.1`, `pypy3.10-7.3.15`, `cpython-3.12.1-linux-x86_64-gnu`.
fn numbers(name: &str) -> Vec<u64> {
    let digits =
        name.split(|character: char| !character.is_ascii_digit()).filter(|part| !part.is_empty());
    digits.filter_map(|part| part.parse().ok()).collect()
}

/// The first version in a name, by its numbers.
fn version(name: &str) -> Vec<u64> {
    let rest = name.trim_start_matches(|character: char| !character.is_ascii_digit());
    let end = rest
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(rest.len());
    numbers(&rest[..end])
}

/// A choice that a project or a shell made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// What was chosen: `3.12`, `system`, `pypy3.10-7.3.15`, `3.12.1/envs/x`.
    pub words: Vec<String>,
    /// Where that is said: a variable or a file.
    pub source: String,
    /// The directory that a path among the words is relative to.
    pub directory: Utf8PathBuf,
    /// Who else could have written that, so that no program is run for it: another user than this
    /// one and root, or everybody.
    pub stranger: Option<Stranger>,
}

/// Somebody whose word is not enough to run a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// The user with a number.
    User(u32),
    /// Everybody.
    Everybody,
}

impl Stranger {
    fn of(found: &std::fs::Metadata) -> Option<Self> {
        let owner = found.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Some(Self::User(owner));
        }
        (found.mode() & 0o002 != 0).then_some(Self::Everybody)
    }
}

impl std::fmt::Display for Stranger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(number) => write!(formatter, "belongs to another user (number {number})"),
            Self::Everybody => formatter.write_str("may be written to by everybody"),
        }
    }
}

/// The choice that holds here: that of `PYENV_VERSION`, else of the nearest `.python-version`,
/// else, where pyenv's shims are on `PATH`, of the global `version`. A file without a word chooses
/// nothing; one that cannot be read chooses what nobody knows, and has no words.
pub(super) fn choice(surroundings: &Surroundings) -> Option<Choice> {
    let root = surroundings.pyenv.as_deref().filter(|root| root.is_dir());
    let made = |text: &str, source: &str, directory: &Utf8Path, stranger: Option<Stranger>| {
        let words = words(text);
        (!words.is_empty()).then(|| Choice {
            words,
            source: source.to_owned(),
            directory: directory.to_owned(),
            stranger,
        })
    };
    if let (Some(_), Some(text)) = (root, &surroundings.pyenv_version)
        && let Some(choice) = made(text, "PYENV_VERSION", &surroundings.cwd, None)
    {
        return Some(choice);
    }
    let of_file = |path: Utf8PathBuf| match (read_small_file(&path), path.parent()) {
        (Some((text, found)), Some(directory)) => {
            made(&text, path.as_str(), directory, Stranger::of(&found))
        }
        (None, Some(directory)) if path.is_file() => Some(Choice {
            words: Vec::new(),
            source: path.to_string(),
            directory: directory.to_owned(),
            stranger: None,
        }),
        _ => None,
    };
    let local = surroundings
        .cwd
        .ancestors()
        .find_map(|directory| of_file(directory.join(".python-version")));
    let global = || {
        root.filter(|_| surroundings.path.iter().any(|directory| surroundings.is_shims(directory)))
    };
    local.or_else(|| global().and_then(|root| of_file(root.join("version"))))
}

/// The most characters of a word: a path may be that long.
const LONGEST_WORD: usize = 1024;

/// The words of a choice. pyenv separates those of the variable by colons.
fn words(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .flat_map(|line| {
            line.split(|character: char| character.is_whitespace() || character == ':')
        })
        .filter(|word| !word.is_empty())
        // What is longer is no name, and would fill a screen.
        .map(|word| word.chars().take(LONGEST_WORD).collect())
        .collect()
}

/// A small text file; nothing where there is none. What is no file is not waited for.
pub(super) fn read_small(path: &Utf8Path) -> Option<String> {
    read_small_file(path).map(|(text, _)| text)
}

/// The same, with what tells whose it is.
fn read_small_file(path: &Utf8Path) -> Option<(String, std::fs::Metadata)> {
    const LIMIT: u64 = 64 << 10;
    let file = open_regular(path, Links::Follow).ok()?;
    let found = file.metadata().ok()?;
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text).ok()?;
    Some((text, found))
}

/// Where the executables of one of pyenv's versions are: of that name, or the newest whose name
/// goes on with a full stop.
pub(super) fn of_pyenv(root: &Utf8Path, word: &str) -> Option<Utf8PathBuf> {
    // A name is a path below `versions`, such as `3.12.1/envs/x`, and stays there.
    if !word.split('/').all(|part| !matches!(part, "" | "." | "..")) {
        return None;
    }
    let versions = root.join("versions");
    let exact = versions.join(word).join("bin");
    if exact.is_dir() {
        return Some(exact);
    }
    let goes_on = |name: &str| name.strip_prefix(word).is_some_and(|rest| rest.starts_with('.'));
    let found = installed(&versions, Aliases::Left).into_iter().find(|(name, _)| goes_on(name));
    found.map(|(_, directory)| directory)
}

/// The directories that pyenv's shims would choose.
fn chosen(root: &Utf8Path, surroundings: &Surroundings) -> Vec<Utf8PathBuf> {
    let mut directories = Vec::new();
    for word in choice(surroundings).map(|choice| choice.words).unwrap_or_default() {
        if word == "system" {
            directories.extend(surroundings.own_path().cloned());
        } else {
            directories.extend(of_pyenv(root, &word));
        }
    }
    directories
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::effects::host::folder::folder;

    fn version_at(path: &Utf8Path) {
        std::fs::create_dir_all(path.join("bin")).unwrap();
    }

    #[test]
    fn shims_stand_for_what_they_would_choose() {
        let (_guard, folder) = folder();
        let root = folder.join("pyenv");
        for version in ["3.9.18", "3.12.1", "3.12.10", "pypy3.10-7.3.15", "3.12.1/envs/work"] {
            version_at(&root.join("versions").join(version));
        }
        symlink(root.join("versions/3.12.1/envs/work"), root.join("versions/work")).unwrap();
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
            let found = of_path(&surroundings);
            let found: Vec<&str> =
                found.iter().map(|path| path.strip_prefix(&folder).unwrap().as_str()).collect();
            let mut all = vec!["first".to_owned()];
            all.extend(expected.iter().map(|version| format!("pyenv/versions/{version}/bin")));
            all.push("last".to_owned());
            assert_eq!(found, all);
        };
        check(None, &[]);
        std::fs::write(root.join("version"), "3.9.18\n").unwrap();
        check(None, &["3.9.18"]);
        std::fs::write(
            folder.join("project/.python-version"),
            "# ours\r\n3.12\r\npypy3.10-7.3.15\r\n",
        )
        .unwrap();
        check(None, &["3.12.10", "pypy3.10-7.3.15"]);
        check(Some("3.12.1:3.9"), &["3.12.1", "3.9.18"]);
        check(Some("3.1"), &[]);
        check(Some("work"), &["work"]);
        check(Some("3.12.1/envs/work"), &["3.12.1/envs/work"]);
        check(Some("../versions/3.9.18"), &[]);
        check(Some("/3.9.18"), &[]);
    }

    #[test]
    fn the_system_is_what_the_path_has_without_the_shims() {
        let (_guard, folder) = folder();
        version_at(&folder.join("pyenv/versions/3.9.18"));
        let surroundings = Surroundings {
            cwd: folder.clone(),
            path: vec![folder.join("pyenv/shims"), folder.join("usr")],
            pyenv: Some(folder.join("pyenv")),
            pyenv_version: Some("system:3.9.18".to_owned()),
            uv: None,
        };
        assert_eq!(
            of_path(&surroundings),
            [folder.join("usr"), folder.join("pyenv/versions/3.9.18/bin")]
        );
    }

    #[test]
    fn what_is_installed_elsewhere_comes_after_the_path_with_the_newest_first() {
        let (_guard, folder) = folder();
        for name in ["3.9.18", "3.10.2", "3.12.1"] {
            version_at(&folder.join("pyenv/versions").join(name));
        }
        version_at(&folder.join("data/uv/python/cpython-3.13.1-linux-x86_64-gnu"));
        symlink(
            "cpython-3.13.1-linux-x86_64-gnu",
            folder.join("data/uv/python/cpython-3.13-linux-x86_64-gnu"),
        )
        .unwrap();
        symlink(
            "cpython-3.13.1-linux-x86_64-gnu",
            folder.join("data/uv/python/cpython-3-linux-x86_64-gnu"),
        )
        .unwrap();
        // Homebrew's interpreter, and an environment, as links among pyenv's versions.
        version_at(&folder.join("brew/opt/python@3.11"));
        symlink(folder.join("brew/opt/python@3.11"), folder.join("pyenv/versions/3.11-brew"))
            .unwrap();
        version_at(&folder.join("pyenv/versions/3.12.1/envs/site2024"));
        std::fs::write(folder.join("pyenv/versions/3.12.1/envs/site2024/pyvenv.cfg"), "").unwrap();
        symlink("3.12.1/envs/site2024", folder.join("pyenv/versions/site2024")).unwrap();
        let variables = [
            ("PATH", format!(":{folder}/a::b:")),
            ("PYENV_ROOT", format!("{folder}/pyenv")),
            ("XDG_DATA_HOME", format!("{folder}/data")),
        ];
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
        };
        let surroundings = Surroundings::new(&folder, variable);
        let check = |aliases: Aliases, uv: &str| {
            let expected = [
                "a",
                "b",
                "pyenv/versions/3.12.1/bin",
                "pyenv/versions/3.11-brew/bin",
                "pyenv/versions/3.10.2/bin",
                "pyenv/versions/3.9.18/bin",
                uv,
            ];
            let mut expected: Vec<Utf8PathBuf> =
                expected.iter().map(|path| folder.join(path)).collect();
            expected.extend(["/usr/local/bin", "/usr/bin"].map(Utf8PathBuf::from));
            assert_eq!(directories(&surroundings, aliases), expected);
        };
        check(Aliases::Taken, "data/uv/python/cpython-3.13-linux-x86_64-gnu/bin");
        check(Aliases::Left, "data/uv/python/cpython-3.13.1-linux-x86_64-gnu/bin");
        assert_eq!(of_path(&surroundings), [folder.join("a"), folder.join("b")]);
    }

    #[test]
    fn a_file_that_everybody_may_write_to_is_strange() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_guard, folder) = folder();
        let file = folder.join(".python-version");
        std::fs::write(&file, "./tool/python").unwrap();
        let surroundings = Surroundings { cwd: folder.join("below"), ..Surroundings::default() };
        for (mode, expected) in [(0o644, None), (0o664, None), (0o666, Some(Stranger::Everybody))] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(choice(&surroundings).unwrap().stranger, expected, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_file_chooses_nothing() {
        let (_guard, folder) = folder();
        let made = std::process::Command::new("mkfifo")
            .arg(folder.join(".python-version"))
            .status()
            .unwrap();
        assert!(made.success());
        let project = folder.join("project");
        std::fs::create_dir_all(project.join(".python-version")).unwrap();
        let surroundings = Surroundings { cwd: project, ..Surroundings::default() };
        assert_eq!(choice(&surroundings), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_passed_over() {
        let (_guard, folder) = folder();
        let path = folder.join(".python-version");
        let surroundings = Surroundings { cwd: folder.clone(), ..Surroundings::default() };
        // As an editor on Windows may write it.
        std::fs::write(&path, b"\xff\xfe3\x00.\x001\x002\x00").unwrap();
        let found = choice(&surroundings).unwrap();
        assert_eq!((found.words, found.source), (Vec::new(), path.to_string()));
        std::fs::write(&path, "x".repeat(50_000)).unwrap();
        assert_eq!(choice(&surroundings).unwrap().words, ["x".repeat(LONGEST_WORD)]);
    }
}
