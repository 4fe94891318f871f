//! Where things go in an environment: the scheme of each platform, the interpreter's names and
//! `pyvenv.cfg`.
//!
//! Model layer. The schemes are those that `sysconfig` gives for a virtual environment (and pip for
//! headers); activation scripts and launchers are rendered elsewhere.

use std::borrow::Cow;

use crate::model::every::every;
use crate::model::interpreter::{Implementation, Interpreter, Os};
use crate::model::path::TreePath;
use crate::model::reserved::{self, Reserved};

/// Where a wheel says that a file goes: its root is purelib or platlib, its `.data` directory names
/// any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Pure modules: `site-packages`.
    Purelib,
    /// Compiled modules: `site-packages` too, in a virtual environment.
    Platlib,
    /// C headers.
    Headers,
    /// Executables.
    Scripts,
    /// The root of the environment.
    Data,
}

impl Scheme {
    /// Every scheme with its name in `.data` directories.
    pub const ALL: [(&'static str, Self); 5] = every!(Scheme: "purelib" => Purelib, "platlib" => Platlib, "headers" => Headers, "scripts" => Scripts, "data" => Data);

    /// The scheme with that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(text, _)| *text == name).map(|(_, scheme)| *scheme)
    }
}

/// The directories of an environment, relative to its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The operating system that the layout is for.
    pub os: Os,
    /// Executables and activation scripts: `bin`, on Windows `Scripts`.
    pub scripts: TreePath,
    /// Modules: `lib/python3.11/site-packages`, on Windows `Lib/site-packages`.
    pub purelib: TreePath,
    /// Headers; each distribution has a directory of its own below: `include/site/python3.11`.
    pub headers: TreePath,
}

impl Layout {
    /// The layout for an interpreter.
    pub fn new(interpreter: &Interpreter) -> Self {
        let os = interpreter.platform.os();
        let path = |text: String| TreePath::parse(&text).expect("made of plain names");
        let (scripts, purelib, include) = match os {
            Os::Linux | Os::MacOs => {
                ("bin", format!("lib/{}/site-packages", interpreter.versioned_name()), "include")
            }
            Os::Windows => ("Scripts", "Lib/site-packages".to_owned(), "Include"),
        };
        // pip names the directory of headers by the version alone, whatever the implementation and
        // the ABI.
        let headers = format!("{include}/site/python{}", interpreter.version.short());
        Self {
            os,
            scripts: path(scripts.to_owned()),
            purelib: path(purelib),
            headers: path(headers),
        }
    }

    /// The directory of a scheme, for a distribution with that normalised name; nothing means the
    /// root.
    pub fn directory(&self, scheme: Scheme, distribution: &str) -> Option<Cow<'_, TreePath>> {
        match scheme {
            Scheme::Purelib | Scheme::Platlib => Some(Cow::Borrowed(&self.purelib)),
            Scheme::Scripts => Some(Cow::Borrowed(&self.scripts)),
            Scheme::Headers => self.headers.join_text(distribution).ok().map(Cow::Owned),
            Scheme::Data => None,
        }
    }

    /// Why nothing but venvtree itself may put something at a path, if so.
    pub fn reserved(&self, path: &TreePath) -> Option<&'static str> {
        let path = path.as_str();
        let below = below_ignoring_case(path, self.purelib.as_str());
        if let Some(name) = below {
            let own =
                [KEEP_NAME, PATH_ENTRIES_NAME].iter().any(|own| name.eq_ignore_ascii_case(own));
            return own.then_some("it belongs to the environment");
        }
        reserved::in_environment(path, self.scripts.as_str()).map(Reserved::reason)
    }
}

/// Larger scripts are programs, which nobody edits.
const LARGEST_SCRIPT: u64 = 64 << 10;

/// Whether tools or people write into a file of an environment where it lies, instead of putting
/// another one in its place. Such a file must not be shared with other environments: `python -m
/// venv`, `uv venv` and virtualenv truncate `pyvenv.cfg`, `.gitignore`, the activation scripts and
/// pip's own scripts, old setuptools `.pth` files, and `etc` holds what Jupyter's tools and people
/// configure. (pip and uv put new files in place of those that they replace, RECORD and the like
/// included.) `directory` is relative to the environment, `""` being its root.
pub fn is_edited_in_place(directory: &str, name: &str, size: u64) -> bool {
    match directory {
        "" => matches!(name, "pyvenv.cfg" | ".gitignore"),
        "bin" | "Scripts" => size <= LARGEST_SCRIPT,
        _ => directory == "etc" || directory.starts_with("etc/") || name.ends_with(".pth"),
    }
}

/// The rest of a path below a directory, which it may spell in another case.
fn below_ignoring_case<'path>(path: &'path str, directory: &str) -> Option<&'path str> {
    let (start, rest) = path.split_at_checked(directory.len())?;
    // Nearly always it is spelled so.
    let is_it = start == directory || start.eq_ignore_ascii_case(directory);
    if is_it { rest.strip_prefix('/') } else { None }
}

/// The name of the constant file in site-packages: caches drop empty directories, and without this
/// file an environment that holds no package would come back without its site-packages.
pub const KEEP_NAME: &str = ".venvtree";
/// What that file says.
pub const KEEP_TEXT: &str = "This directory belongs to a Python environment made by venvtree.\n";
/// The name of the file that keeps an environment out of a repository.
pub const GITIGNORE_NAME: &str = ".gitignore";
/// What that file says: everything here is ignored, itself too.
pub const GITIGNORE_TEXT: &str = "*\n";
/// A link of environments for 64-bit Linux, and where it leads: where the interpreter calls the
/// folder of compiled modules `lib64`, and pip installs them there, they shall come together with
/// the others all the same.
pub const LIB64: (&str, &str) = ("lib64", "lib");
/// The name of the file that holds the spec's path entries.
pub const PATH_ENTRIES_NAME: &str = "_venvtree.pth";

/// The names of the interpreter in an environment of the POSIX layout; the first one is the real
/// file or link, the others lead to it.
pub fn interpreter_names(interpreter: &Interpreter) -> Vec<String> {
    let mut names = vec![
        "python".to_owned(),
        "python3".to_owned(),
        format!("python{}", interpreter.version.short()),
    ];
    let versioned = interpreter.versioned_name();
    if interpreter.implementation == Implementation::PyPy {
        names.extend(["pypy".to_owned(), "pypy3".to_owned()]);
    }
    if !names.contains(&versioned) {
        names.push(versioned);
    }
    names
}

/// The value of `home` for an interpreter that has no constant place: nothing, for every Python, as
/// it is cut off with white space. So CPython from 3.8 on finds itself from a link that may be
/// moved. The character U+001F (the "unit separator") is there for readers that are no Python and
/// refuse a key without a value; it is the one kind of white space that only Python takes for such.
pub const NO_HOME: &str = "\u{1f}";

/// The directory of an interpreter at an absolute path, as `pyvenv.cfg` can say it: not where it
/// begins or ends with white space, which readers would cut off.
pub fn home(executable: &str, os: Os) -> Option<String> {
    let (directory, _) = executable.rsplit_once('/')?;
    let directory = match os {
        Os::Windows => {
            let root = if directory.len() == 2 { "\\" } else { "" };
            directory.replace('/', "\\") + root
        }
        Os::Linux | Os::MacOs if directory.is_empty() => "/".to_owned(),
        Os::Linux | Os::MacOs => directory.to_owned(),
    };
    (directory.trim() == directory).then_some(directory)
}

/// The text of `pyvenv.cfg`.
///
/// `home` is the directory of the interpreter, where the environment's way to it is absolute.
/// Otherwise it is [`NO_HOME`]. `relocatable` makes uv write scripts that can be moved when it
/// installs into the environment later.
pub fn configuration(
    interpreter: &Interpreter,
    home: Option<&str>,
    system_site_packages: bool,
    prompt: Option<&str>,
) -> String {
    let mut text = format!(
        "home = {}\nimplementation = {}\nversion = {}\ninclude-system-site-packages = {system_site_packages}\nrelocatable = true\n",
        home.unwrap_or(NO_HOME),
        interpreter.implementation.platform_name(),
        interpreter.version,
    );
    if let Some(prompt) = prompt {
        // One line, whatever the prompt holds, in the form that CPython's venv writes: a Python
        // string.
        let mut quoted = String::with_capacity(prompt.len() + 2);
        for character in prompt.chars() {
            match character {
                '\\' | '\'' => quoted.extend(['\\', character]),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                character
                    if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') =>
                {
                    quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
                }
                character => quoted.push(character),
            }
        }
        text.push_str(&format!("prompt = '{quoted}'\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::interpreter::{Arch, Platform};
    use crate::model::name::PythonVersion;

    fn interpreter(
        implementation: Implementation,
        version: &str,
        abi: &str,
        platform: Platform,
    ) -> Interpreter {
        Interpreter {
            implementation,
            version: PythonVersion::parse(version).unwrap(),
            abi: abi.into(),
            platform,
        }
    }

    const LINUX: Platform = Platform::Linux { arch: Arch::X86_64, libc: None };

    #[test]
    fn directories_follow_the_interpreter() {
        let check = |interpreter: &Interpreter, purelib: &str, names: &[&str]| {
            assert_eq!(Layout::new(interpreter).purelib.as_str(), purelib);
            assert_eq!(interpreter_names(interpreter), names);
        };
        let cpython = interpreter(Implementation::CPython, "3.11.7", "cp311", LINUX);
        check(&cpython, "lib/python3.11/site-packages", &["python", "python3", "python3.11"]);
        let threaded = interpreter(Implementation::CPython, "3.13.0", "cp313t", LINUX);
        check(
            &threaded,
            "lib/python3.13t/site-packages",
            &["python", "python3", "python3.13", "python3.13t"],
        );
        let pypy = interpreter(Implementation::PyPy, "3.11.11", "pypy311_pp73", LINUX);
        check(
            &pypy,
            "lib/pypy3.11/site-packages",
            &["python", "python3", "python3.11", "pypy", "pypy3", "pypy3.11"],
        );
        let windows = interpreter(
            Implementation::CPython,
            "3.12.1",
            "cp312",
            Platform::Windows { arch: Arch::X86_64 },
        );
        assert_eq!(Layout::new(&windows).purelib.as_str(), "Lib/site-packages");
    }

    #[test]
    fn nothing_takes_the_place_of_the_interpreter_or_an_activation_script() {
        let layout = Layout::new(&interpreter(Implementation::CPython, "3.11.7", "cp311", LINUX));
        let check = |path: &str, expected: bool| {
            assert_eq!(
                layout.reserved(&TreePath::parse(path).unwrap()).is_some(),
                expected,
                "{path}"
            );
        };
        for path in [
            "bin/python",
            "bin/Python3.13t",
            "bin/python3.11._pth",
            "lib/python311.zip",
            "lib/python3.11/site-packages/.VENVTREE",
        ] {
            check(path, true);
        }
        for path in ["pyvenv.cfg", ".python/bin/x", "bin/activate_this.py"] {
            check(path, true);
        }
        for path in [
            "bin/python-config",
            "lib/python3.11/site-packages/os.py",
            "lib/python3.11/site-packages/python._pth",
            "lib/python",
        ] {
            check(path, false);
        }
    }

    #[test]
    fn the_configuration_is_one_line_for_each_key() {
        let cpython = interpreter(Implementation::CPython, "3.11.7", "cp311", LINUX);
        assert_eq!(
            configuration(&cpython, None, false, None),
            "home = \u{1f}\nimplementation = CPython\nversion = 3.11.7\ninclude-system-site-packages = false\nrelocatable = true\n"
        );
        let text = configuration(&cpython, Some("/usr/bin"), true, Some("it's\nüber"));
        assert!(
            text.starts_with("home = /usr/bin\nimpl")
                && text.ends_with("\nprompt = 'it\\'s\\nüber'\n")
        );
    }

    #[test]
    fn home_is_the_directory_of_the_interpreter() {
        let check = |executable: &str, os, expected: Option<&str>| {
            assert_eq!(home(executable, os).as_deref(), expected, "{executable}")
        };
        check("/usr/bin/python3.11", Os::Linux, Some("/usr/bin"));
        check("/opt/a b/bin/python3", Os::MacOs, Some("/opt/a b/bin"));
        check("/python", Os::Linux, Some("/"));
        check("/opt/bin /python", Os::Linux, None);
        check("/opt/bin\u{a0}/python", Os::Linux, None);
        check("C:/Python 312/python.exe", Os::Windows, Some("C:\\Python 312"));
        check("C:/python.exe", Os::Windows, Some("C:\\"));
    }
}
