//! Paths in an environment that nothing but the environment itself may fill.
//!
//! Model layer. Some of them are there (the interpreter's names, `pyvenv.cfg`, the activation
//! scripts); the others must *not* be there, as an interpreter looks for them before it reads
//! anything else and believes what it finds. The latter are those of CPython's `getpath.py` (3.11
//! and newer) and `getpath.c`, of its `site.py` and `sysconfig`, and of the loaders of Windows.

use std::borrow::Cow;

use super::portable::fold;

/// Why a path is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reserved {
    /// It makes the directory an environment.
    Environment,
    /// It belongs to the interpreter that is copied in.
    Interpreter,
    /// It would be started instead of the interpreter.
    InterpreterName,
    /// It would be an activation script.
    Activation,
    /// The interpreter looks for it to find its settings, its standard library or its own code.
    Startup,
}

impl Reserved {
    /// The reason, as messages say it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Environment => "it makes the directory an environment",
            Self::Interpreter => "it belongs to the interpreter",
            Self::InterpreterName => "it starts the interpreter",
            Self::Activation => "it activates the environment",
            Self::Startup => {
                "the interpreter looks for it when it starts, to find its settings or its own library"
            }
        }
    }
}

/// Whether a path relative to the root of an environment is reserved, in whatever case it is
/// written. `scripts` is the folder of scripts: `bin`, or `Scripts` on Windows.
pub fn in_environment(path: &str, scripts: &str) -> Option<Reserved> {
    let path = canonical(path);
    let (first, rest) = path.split_once('/').unwrap_or((&path, ""));
    match first {
        "pyvenv.cfg" => Some(Reserved::Environment),
        ".python" => Some(Reserved::Interpreter),
        "lib" | "lib64" => is_library_landmark(rest).then_some(Reserved::Startup),
        _ if first == fold(scripts) => in_folded_scripts(rest),
        _ => None,
    }
}

/// Whether a path relative to the folder of scripts is reserved, in whatever case it is written.
pub fn in_scripts(path: &str) -> Option<Reserved> {
    in_folded_scripts(&canonical(path))
}

/// The path as the most forgetful file system sees it: without case, and without the characters
/// that HFS+ leaves out of names.
fn canonical(path: &str) -> Cow<'_, str> {
    let ignored = |character| matches!(character, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    if path.is_ascii() {
        fold(path)
    } else {
        Cow::Owned(fold(&path.replace(ignored, "")).into_owned())
    }
}

/// A file of that name, or a directory: then whatever lies in it.
fn in_folded_scripts(path: &str) -> Option<Reserved> {
    let (name, below) = path.split_once('/').unwrap_or((path, ""));
    if is_interpreter_name(name) {
        return Some(Reserved::InterpreterName);
    }
    if matches!(name.split('.').next(), Some("activate" | "deactivate" | "activate_this")) {
        return Some(Reserved::Activation);
    }
    // `._pth` beside whatever the interpreter was started as: `python3.12._pth`; it replaces all of
    // `sys.path`, even under -I and -S.
    let beside = name == "pyvenv.cfg" || name == "pybuilddir.txt" || name.ends_with("._pth");
    // What makes `sysconfig` and the search for the library believe in a build directory.
    let build =
        name == "modules" && matches!(below.split('/').next(), Some("setup" | "setup.local"));
    (beside || build || is_interpreter_library(name)).then_some(Reserved::Startup)
}

/// Whether an executable of this name (in lower case) would stand in for the interpreter: `python`,
/// `python3.11`, `python3.13t`, `pythonw.exe`, `python3-dbg`, `pypy3`; with or without an ending of
/// programs on Windows. Names that only begin so (`python-argcomplete-check`) are ordinary.
pub fn is_interpreter_name(name: &str) -> bool {
    let stem = [".exe", ".com", ".bat", ".cmd", ".ps1"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name);
    // What distinguishes builds: `w` windowed, `c` PyPy's, `t` free-threaded, `d` debug, with a
    // version before or after.
    ["python", "pypy"].iter().filter_map(|own| stem.strip_prefix(own)).any(|rest| {
        let digits = rest.trim_start_matches(['w', 'c']);
        let flags = digits
            .trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
        flags
            .trim_start_matches("-dbg")
            .chars()
            .all(|flag| matches!(flag, 't' | 'd' | 'w' | 'm' | 'u'))
    })
}

/// Whether programs on Windows would load it for the interpreter or its runtime from beside them:
/// `python3.dll`, `python312_d.dll`, `libpypy3.11-c.dll`, `vcruntime140.dll`; or `python312.zip`,
/// the standard library in one file.
fn is_interpreter_library(name: &str) -> bool {
    let version =
        |text: &str| text.starts_with(|first: char| first.is_ascii_digit()) && !text.contains('-');
    match name.rsplit_once('.') {
        Some((stem, "dll")) => {
            stem.strip_prefix("python").is_some_and(version)
                || stem.starts_with("libpypy")
                || stem.starts_with("vcruntime")
        }
        Some((stem, "zip")) => {
            stem.strip_prefix("python").is_some_and(|rest| rest.is_empty() || version(rest))
        }
        _ => false,
    }
}

/// Whether a path below `lib` is one by which an interpreter that looks upwards from its own place
/// finds its standard library: `python312.zip`, `python3.12/os.py`, `python3.12/lib-dynload`; on
/// Windows `os.py`.
fn is_library_landmark(path: &str) -> bool {
    let landmark =
        |path: &str| matches!(path.split('/').next(), Some("os.py" | "os.pyc" | "lib-dynload"));
    let (name, below) = path.split_once('/').unwrap_or((path, ""));
    let zip = name.strip_prefix("python").and_then(|rest| rest.strip_suffix(".zip"));
    let versioned = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    if zip.is_some_and(versioned) || landmark(path) {
        return true;
    }
    ["python", "pypy"].iter().filter_map(|stem| name.strip_prefix(stem)).any(versioned)
        && landmark(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_the_interpreter_or_activates_is_reserved() {
        let check = |names: &[&str], expected: Option<Reserved>| {
            for name in names {
                assert_eq!(in_scripts(name), expected, "{name}");
                assert_eq!(in_environment(&format!("bin/{name}"), "bin"), expected, "{name}");
                assert_eq!(
                    in_environment(&format!("SCRIPTS/{name}"), "Scripts"),
                    expected,
                    "{name}"
                );
                assert_eq!(in_environment(&format!("share/{name}"), "bin"), None, "{name}");
            }
        };
        check(
            &[
                "python",
                "Python.exe",
                "PYTHON3",
                "python3.13",
                "python3.13t",
                "python3.13td",
                "python3.11d",
                "pythonw",
                "pythonw.exe",
            ],
            Some(Reserved::InterpreterName),
        );
        check(
            &[
                "pythonw3.13t.exe",
                "python3-dbg",
                "pypy",
                "pypy3",
                "pypy3.11",
                "pypyw",
                "pypyc",
                "python.bat",
                "python.COM",
                "python3.ps1",
            ],
            Some(Reserved::InterpreterName),
        );
        check(&["python/x", "Python3.12/x/y"], Some(Reserved::InterpreterName));
        check(
            &[
                "activate",
                "Activate.ps1",
                "activate.fish",
                "activate_this.py",
                "deactivate.bat",
                "ACTIVATE",
                "activate.d/x",
            ],
            Some(Reserved::Activation),
        );
        check(
            &[
                "python-argcomplete-check-easy-install-script",
                "activate-global-python-argcomplete",
                "ipython3",
                "pythonic",
            ],
            None,
        );
        check(
            &[
                "pypi",
                "pypyr",
                "python_x",
                "activated",
                "reactivate",
                "python3-config",
                "python-dotenv",
                "pydoc",
                "x/python",
            ],
            None,
        );
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn what_the_interpreter_looks_for_is_reserved() {
        let check = |paths: &[&str], expected: Option<Reserved>| {
            for path in paths {
                assert_eq!(in_environment(path, "bin"), expected, "{path}");
                assert_eq!(in_environment(&path.to_uppercase(), "bin"), expected, "{path}");
            }
        };
        check(
            &[
                "bin/python._pth",
                "bin/python3.12._pth",
                "bin/x._pth",
                "bin/._pth",
                "bin/python._pth/x",
            ],
            Some(Reserved::Startup),
        );
        check(
            &["bin/pyvenv.cfg", "bin/pyvenv.cfg/x", "bin/pybuilddir.txt"],
            Some(Reserved::Startup),
        );
        check(
            &["bin/Modules/Setup", "bin/Modules/Setup.local", "bin/Modules/Setup/x"],
            Some(Reserved::Startup),
        );
        check(
            &[
                "bin/python3.dll",
                "bin/python312_d.dll",
                "bin/vcruntime140_1.dll",
                "bin/libpypy3.11-c.dll",
            ],
            Some(Reserved::Startup),
        );
        check(
            &[
                "bin/python312.zip",
                "lib/python312.zip",
                "lib64/python313t.zip",
                "lib/python312.zip/x",
            ],
            Some(Reserved::Startup),
        );
        check(
            &[
                "lib/python3.12/os.py",
                "lib64/python3.12/os.pyc",
                "lib/python3.13t/lib-dynload/x.so",
            ],
            Some(Reserved::Startup),
        );
        check(&["lib/pypy3.11/os.py", "lib/os.py"], Some(Reserved::Startup));
        check(&["pyvenv.cfg", "pyvenv.cfg/x"], Some(Reserved::Environment));
        check(&[".python", ".python/bin/x"], Some(Reserved::Interpreter));
        check(
            &[
                "bin/modules",
                "bin/modules/x",
                "bin/x.pth",
                "bin/pth",
                "bin/x/python._pth",
                "x/bin/pyvenv.cfg",
                "a/pyvenv.cfg",
            ],
            None,
        );
        check(
            &[
                "lib/python3.12/site-packages/os.py",
                "lib/python3.12/osx.py",
                "lib/pythonic/os.py",
                "lib/x.zip",
                "lib/python.zip",
            ],
            None,
        );
        check(
            &[
                "bin/python-x.dll",
                "bin/libpython.dll",
                "bin/zlib.dll",
                "bin",
                "lib",
                "share/python312.zip",
                ".pythonx",
                "lib/x/os.py",
            ],
            None,
        );
    }

    #[test]
    fn names_that_a_forgetful_file_system_takes_for_reserved_ones_are_reserved() {
        for path in [
            "bin/pyth\u{200d}on._pth",
            "bin/python.\u{feff}_PTH",
            "\u{200e}bin/python3",
            "bin/pyvenv.\u{206a}cfg",
        ] {
            assert!(in_environment(path, "bin").is_some(), "{path:?}");
        }
        assert_eq!(
            in_environment("\u{17f}cripts/python.exe", "Scripts"),
            Some(Reserved::InterpreterName)
        );
        assert_eq!(in_environment("bin/pythön", "bin"), None);
    }
}
