//! A machine that environments are made for, by a short name: `linux-x86_64-3.12`.
//!
//! Model layer. The name says operating system, architecture and Python, and between them, if that
//! matters, the oldest C library or macOS: `linux-aarch64-musl-3.13`,
//! `linux-x86_64-glibc2.17-pypy3.11`, `macos-arm64-14.0-3.12`, `windows-x86_64-3.13t`.

use crate::model::interpreter::{
    Arch, Implementation, Interpreter, Libc, Os, Platform, parse_pair,
};
use crate::model::name::PythonVersion;
use crate::model::nearest;
use crate::model::python_request::VersionRequest;

/// The C library where the name says none: that of the wheels that projects publish today.
const DEFAULT_GLIBC: Libc = Libc::Glibc(2, 28);
/// The musl where the name gives no version.
const DEFAULT_MUSL: Libc = Libc::Musl(1, 2);
/// The macOS where the name gives none, by architecture: the oldest that has updates, as uv takes
/// it.
const DEFAULT_MACOS: (u32, u32) = (13, 0);
/// The ABI version of PyPy's extension modules, which all that is supported shares.
const PYPY_ABI: &str = "pp73";

/// Why a text names no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no target: {reason}")]
pub struct TargetError {
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The shape of names, for messages.
pub const SHAPE: &str = "a target is OS-ARCH-PYTHON, such as linux-x86_64-3.12, linux-aarch64-musl-3.13, linux-x86_64-glibc2.17-3.12, \
                         macos-arm64-3.12, macos-x86_64-14.0-3.13t or windows-x86_64-3.12";

/// Whether a text is meant as the name of a target: it begins with an operating system, or with a
/// version of Python and an operating system.
pub fn is_target(text: &str) -> bool {
    let text = leading_version(text).map_or(text, |(_, rest)| rest);
    let system = text.split('-').next().unwrap_or(text);
    operating_system(system).is_some()
}

/// Takes a version off that comes first: `3.12.1 linux-x86_64`, `cpython-3.12.1-linux-x86_64`.
fn leading_version(text: &str) -> Option<(String, &str)> {
    let (implementation, rest) = match text.split_once('-') {
        Some(("cpython", rest)) => ("", rest),
        Some(("pypy", rest)) => ("pypy", rest),
        _ => ("", text),
    };
    let (version, rest) = rest.split_once([' ', '-'])?;
    let version = version.strip_prefix("cpython").unwrap_or(version);
    let begins =
        version.trim_start_matches("pypy").starts_with(|first: char| first.is_ascii_digit());
    begins.then(|| (format!("{implementation}{version}"), rest.trim()))
}

fn operating_system(text: &str) -> Option<Os> {
    match text {
        "linux" => Some(Os::Linux),
        "macos" | "darwin" | "macosx" | "osx" => Some(Os::MacOs),
        "windows" | "win" => Some(Os::Windows),
        _ => None,
    }
}

/// Reads the name of a target. `python` is the version where the name has none.
///
/// # Errors
/// The text has another shape, or a part of it is unknown.
pub fn parse(text: &str, python: Option<&str>) -> Result<Interpreter, TargetError> {
    let error = |reason: String| TargetError { text: text.to_owned(), reason };
    let leading = leading_version(text);
    let (python, text) = match (&leading, python) {
        (Some(_), Some(_)) => return Err(error("it says its version of Python itself".to_owned())),
        (Some((version, rest)), None) => (Some(version.as_str()), *rest),
        (None, python) => (python, text),
    };
    let mut parts = text.split('-');
    let system = parts.next().unwrap_or_default();
    let os = operating_system(system).ok_or_else(|| {
        let names = Os::ALL.map(Os::name);
        error(format!("expected linux, macos or windows first{}", nearest::question(system, names)))
    })?;
    let arch_name = parts.next().ok_or_else(|| error("the architecture is missing".to_owned()))?;
    let arch = Arch::parse(arch_name).ok_or_else(|| {
        let names = Arch::ALL.map(Arch::name);
        error(format!(
            "`{arch_name}` is no architecture, expected one of {}{}",
            names.join(", "),
            nearest::question(arch_name, names)
        ))
    })?;
    let mut rest: Vec<&str> = parts.collect();
    let version = match python {
        Some(version) => version,
        None => rest.pop().ok_or_else(|| {
            error("the version of Python is missing, such as -3.12 at its end".to_owned())
        })?,
    };
    let request = VersionRequest::parse(version).filter(|request| request.numbers.len() >= 2);
    let request = request.ok_or_else(|| {
        error(format!(
            "`{version}` is no version of Python, expected one such as 3.12, 3.13t or pypy3.11"
        ))
    })?;
    let platform = match (os, rest.as_slice()) {
        (Os::Linux, []) => Platform::Linux { arch, libc: Some(DEFAULT_GLIBC) },
        (Os::Linux, [libc]) => {
            let libc = read_libc(libc).ok_or_else(|| {
                error(format!(
                    "`{libc}` is no C library, expected one such as glibc2.28 or musl1.2"
                ))
            })?;
            Platform::Linux { arch, libc: Some(libc) }
        }
        // As specs write it: `glibc-2.28`.
        (Os::Linux, [name, version]) => {
            let text = format!("{name}-{version}");
            let libc = Libc::parse(&text).ok_or_else(|| {
                error(format!(
                    "`{text}` is no C library, expected one such as glibc-2.28 or musl-1.2"
                ))
            })?;
            Platform::Linux { arch, libc: Some(libc) }
        }
        (Os::MacOs, []) => Platform::MacOs { arch, version: DEFAULT_MACOS },
        (Os::MacOs, [version]) => {
            let pair = parse_pair(version).or_else(|| Some((version.parse().ok()?, 0)));
            let version = pair.ok_or_else(|| {
                error(format!("`{version}` is no version of macOS, expected one such as 14.0"))
            })?;
            Platform::MacOs { arch, version }
        }
        (Os::Windows, []) => Platform::Windows { arch },
        (_, rest) => return Err(error(format!("`{}` is not understood", rest.join("-")))),
    };
    interpreter(&request, platform).map_err(error)
}

fn read_libc(text: &str) -> Option<Libc> {
    let digits = text.find(|character: char| character.is_ascii_digit()).unwrap_or(text.len());
    let (name, version) = text.split_at(digits);
    let name = name.trim_end_matches('_');
    match (name, version) {
        ("musl" | "musllinux", "") => Some(DEFAULT_MUSL),
        ("glibc" | "gnu" | "manylinux", "") => Some(DEFAULT_GLIBC),
        ("manylinux", "2014") => Some(Libc::Glibc(2, 17)),
        ("musl" | "musllinux", version) => {
            parse_pair(&version.replace('_', ".")).map(|(major, minor)| Libc::Musl(major, minor))
        }
        ("glibc" | "gnu" | "manylinux", version) => {
            parse_pair(&version.replace('_', ".")).map(|(major, minor)| Libc::Glibc(major, minor))
        }
        _ => None,
    }
}

fn interpreter(request: &VersionRequest, platform: Platform) -> Result<Interpreter, String> {
    let numbers: Vec<String> = request.numbers.iter().map(u32::to_string).collect();
    let version = PythonVersion::parse(&numbers.join(".")).map_err(|error| error.to_string())?;
    let implementation = request.implementation.unwrap_or(Implementation::CPython);
    let (oldest, name) = match implementation {
        Implementation::CPython => (8, "CPython 3.8"),
        Implementation::PyPy => (9, "PyPy 3.9"),
    };
    if version.major != 3 || version.minor < oldest {
        return Err(format!("Python {version} is too old, expected {name} or newer"));
    }
    let abi = match implementation {
        Implementation::CPython if request.free_threaded && version.minor < 13 => {
            return Err("free-threaded builds exist from 3.13 on".to_owned());
        }
        Implementation::CPython => format!(
            "cp{}{}{}",
            version.major,
            version.minor,
            if request.free_threaded { "t" } else { "" }
        ),
        Implementation::PyPy => format!("pypy{}{}_{PYPY_ABI}", version.major, version.minor),
    };
    Ok(Interpreter { implementation, version, abi: abi.into(), platform })
}

/// Where installers put such an interpreter on such a machine.
pub fn usual_place(interpreter: &Interpreter) -> String {
    let (name, short) = (interpreter.versioned_name(), interpreter.version.short());
    match interpreter.platform.os() {
        Os::Linux => format!("/usr/bin/{name}"),
        Os::MacOs => format!("/Library/Frameworks/Python.framework/Versions/{short}/bin/{name}"),
        Os::Windows => format!(
            "C:/Program Files/Python{}{}/python.exe",
            interpreter.version.major, interpreter.version.minor
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        for (text, expected) in [
            ("linux-x86_64-3.12", "CPython 3.12 (cp312) on linux x86_64 glibc-2.28"),
            ("linux-amd64-3.12.4", "CPython 3.12.4 (cp312) on linux x86_64 glibc-2.28"),
            ("linux-aarch64-musl-3.13", "CPython 3.13 (cp313) on linux aarch64 musl-1.2"),
            ("linux-x86_64-glibc2.17-3.11", "CPython 3.11 (cp311) on linux x86_64 glibc-2.17"),
            ("linux-x86_64-manylinux_2_34-3.11", "CPython 3.11 (cp311) on linux x86_64 glibc-2.34"),
            ("linux-x86_64-manylinux2014-3.11", "CPython 3.11 (cp311) on linux x86_64 glibc-2.17"),
            ("macos-arm64-3.12", "CPython 3.12 (cp312) on macos aarch64 13.0"),
            ("macos-arm64-14-3.13t", "CPython 3.13 (cp313t) on macos aarch64 14.0"),
            ("macos-x86_64-14.5-3.13", "CPython 3.13 (cp313) on macos x86_64 14.5"),
            ("windows-x86_64-3.12", "CPython 3.12 (cp312) on windows x86_64"),
            ("3.12.1 linux-x86_64-glibc-2.28", "CPython 3.12.1 (cp312) on linux x86_64 glibc-2.28"),
            ("3.13t linux-aarch64-musl-1.2", "CPython 3.13 (cp313t) on linux aarch64 musl-1.2"),
            (
                "cpython-3.12.1-linux-x86_64-glibc-2.17",
                "CPython 3.12.1 (cp312) on linux x86_64 glibc-2.17",
            ),
            ("pypy-3.11-macos-arm64", "PyPy 3.11 (pypy311_pp73) on macos aarch64 13.0"),
            ("3.12.1 windows-x86_64", "CPython 3.12.1 (cp312) on windows x86_64"),
            ("linux-x86_64-pypy3.11", "PyPy 3.11 (pypy311_pp73) on linux x86_64 glibc-2.28"),
        ] {
            assert_eq!(
                parse(text, None).map(|found| found.to_string()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        assert_eq!(
            parse("macos-arm64", Some("3.12")).unwrap().to_string(),
            "CPython 3.12 (cp312) on macos aarch64 13.0"
        );
    }

    #[test]
    fn systems_are_targets_and_commands_are_not() {
        for text in ["linux", "linux-x86_64-3.12", "macos-arm64", "windows", "3.12 linux-x86_64"] {
            assert!(is_target(text), "{text}");
        }
        for text in ["3.12", "python3", "python-linux", "./linux", "pypy3.11"] {
            assert!(!is_target(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("linux-x86_64", "the version of Python is missing, such as -3.12 at its end"),
            ("linux", "the architecture is missing"),
            ("linux-x86-64-3.12", "`64` is no C library"),
            ("linux-x8664-3.12", "did you mean `x86_64`?"),
            ("beos-x86_64-3.12", "expected linux, macos or windows first"),
            ("linux-x86_64-uclibc-3.12", "`uclibc` is no C library"),
            ("linux-x86_64-3", "`3` is no version of Python"),
            ("linux-x86_64-2.7", "Python 2.7 is too old"),
            ("macos-arm64-sonoma-3.12", "`sonoma` is no version of macOS"),
            ("windows-x86_64-11-3.12", "`11` is not understood"),
            ("3.12 linux-x86_64-3.12", "`3.12` is no C library"),
            ("3.12 linux-x86_64-glibc-x", "`glibc-x` is no C library"),
            ("linux-x86_64-3.12t", "free-threaded builds exist from 3.13 on"),
        ] {
            let found = parse(text, None).map(|found| found.to_string());
            let wrong = found.as_ref().err().map(|error| error.reason.clone()).unwrap_or_default();
            assert!(!reason.is_empty() && wrong.contains(reason), "{text}: {found:?}");
        }
    }
}
