//! Which interpreter somebody asks for: a path, a name, a version, or any.
//!
//! Model layer: what a text means, under which names such an interpreter may lie on a machine, and
//! whether one fits. Looking for it is an effect.

use std::fmt;
use std::str::FromStr as _;

use pep440_rs::{Version, VersionSpecifiers};

use crate::model::interpreter::{Arch, Implementation, Interpreter, Libc, Os, Platform};

/// A text that asks for no interpreter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` asks for no interpreter: {reason}")]
pub struct RequestError {
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PythonRequest {
    /// The first that is there.
    Any,
    /// A file, or the directory of an environment or an installation.
    Path(String),
    /// A command on `PATH`.
    Name(String),
    /// Some version: `3.12`, `pypy3.11`, `3.13t`.
    Version(VersionRequest),
    /// Any version of a range: `>=3.11,<3.13`.
    Range(VersionSpecifiers),
}

/// A version, as far as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRequest {
    /// Who made it, if that was said.
    pub implementation: Option<Implementation>,
    /// One to three numbers.
    pub numbers: Vec<u32>,
    /// Whether a free-threaded build was asked for.
    pub free_threaded: bool,
    /// System, processor and C library in uv's words, as far as they were said: `linux`, `x86_64`,
    /// `gnu`.
    pub platform: Vec<String>,
}

impl PythonRequest {
    /// Reads a request: whatever has a slash is a path, whatever begins with a comparison is a
    /// range, `3.12`, `python3.12`, `cp312`, `cpython3.12.1`, `pypy3.11`, `3.13t` and uv's
    /// `cpython-3.12.1-linux-x86_64-gnu` are versions, anything else is a command's name.
    ///
    /// # Errors
    /// The text is empty, or a range that cannot be read.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let error = |reason: String| RequestError { text: text.to_owned(), reason };
        if text.is_empty() || text.contains('\0') {
            return Err(error("expected a version, a name or a path".to_owned()));
        }
        if text.contains('/') || matches!(text, "." | "..") {
            return Ok(Self::Path(text.to_owned()));
        }
        if text.starts_with(['<', '>', '=', '!', '~']) {
            // Its message goes on with a drawing of where in the text that is.
            return VersionSpecifiers::from_str(text).map(Self::Range).map_err(|problem| {
                let problem = problem.to_string();
                error(problem.lines().next().unwrap_or_default().trim_end_matches(':').to_owned())
            });
        }
        if text == "python" {
            return Ok(Self::Any);
        }
        Ok(VersionRequest::parse(text).map_or_else(|| Self::Name(text.to_owned()), Self::Version))
    }

    /// Whether an interpreter is one that was asked for. Paths and names say nothing about that.
    pub fn accepts(&self, interpreter: &Interpreter) -> bool {
        match self {
            Self::Any | Self::Path(_) | Self::Name(_) => true,
            Self::Version(request) => request.accepts(interpreter),
            Self::Range(specifiers) => {
                let version = interpreter.version.full().cloned();
                let version = version.unwrap_or_else(|| {
                    Version::new([
                        u64::from(interpreter.version.major),
                        u64::from(interpreter.version.minor),
                    ])
                });
                specifiers.contains(&version)
            }
        }
    }

    /// Whether only interpreters are asked for that are older than all that environments are made
    /// for.
    pub fn is_too_old(&self) -> bool {
        let Self::Version(request) = self else {
            return false;
        };
        let oldest = if request.implementation == Some(Implementation::PyPy) { 9 } else { 8 };
        match request.numbers[..] {
            [3] | [] => false,
            [3, minor, ..] => minor < oldest,
            [major, ..] => major < 3,
        }
    }

    /// Whether a patch release is asked for, so that a path that may lead to another one tomorrow
    /// is not right.
    pub fn names_patch_release(&self) -> bool {
        match self {
            Self::Any | Self::Path(_) | Self::Name(_) => false,
            Self::Version(request) => request.numbers.len() > 2,
            Self::Range(specifiers) => {
                specifiers.iter().any(|specifier| specifier.version().release().len() > 2)
            }
        }
    }

    /// The names of executables to try in every directory, the most specific first.
    pub fn executable_names(&self) -> Vec<String> {
        let generic = || vec!["python3".to_owned(), "python".to_owned()];
        match self {
            Self::Any => generic(),
            Self::Path(_) => Vec::new(),
            Self::Name(name) => vec![name.clone()],
            Self::Version(request) => request.executable_names(),
            Self::Range(_) => {
                let mut names = generic();
                // Also those that are there under their version only, the newest first.
                names.extend((8..=NEWEST_MINOR).rev().map(|minor| format!("python3.{minor}")));
                names
            }
        }
    }
}

/// The newest minor version of Python 3 that is looked for by its name where a range was asked for.
const NEWEST_MINOR: u32 = 30;

impl VersionRequest {
    /// Reads a version: `3.12`, `python3.12`, `cp312`, `pypy3.11`, `3.13t`,
    /// `cpython-3.12.1-linux-x86_64-gnu`.
    pub fn parse(text: &str) -> Option<Self> {
        const PREFIXES: [(&str, Option<Implementation>); 6] = [
            ("cpython", Some(Implementation::CPython)),
            ("cp", Some(Implementation::CPython)),
            ("pypy", Some(Implementation::PyPy)),
            ("pp", Some(Implementation::PyPy)),
            ("python", None),
            ("py", None),
        ];
        let lower = text.to_ascii_lowercase();
        let (implementation, rest) = PREFIXES
            .iter()
            .find_map(|(prefix, implementation)| {
                Some((*implementation, lower.strip_prefix(prefix)?))
            })
            .unwrap_or((None, lower.as_str()));
        let rest = rest.trim_start_matches(['-', '@']);
        if rest.is_empty() {
            return implementation.map(|implementation| Self {
                implementation: Some(implementation),
                numbers: vec![3],
                free_threaded: false,
                platform: Vec::new(),
            });
        }
        let mut words = rest.split('-');
        let rest = words.next().unwrap_or_default();
        let platform: Vec<String> = words.map(str::to_owned).collect();
        let is_system = |word: &String| Os::ALL.iter().any(|os| os.name() == word);
        if platform.len() > 3 || platform.first().is_some_and(|word| !is_system(word)) {
            return None;
        }
        let free_threaded = |suffix: &str| Some((rest.strip_suffix(suffix)?, true));
        let (rest, free_threaded) =
            free_threaded("+freethreaded").or_else(|| free_threaded("t")).unwrap_or((rest, false));
        let mut numbers: Vec<u32> = Vec::new();
        for part in rest.split('.') {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            numbers.push(part.parse().ok()?);
        }
        // `312`, as tags write it.
        if numbers.len() == 1 && rest.len() > 1 {
            numbers = vec![rest[..1].parse().ok()?, rest[1..].parse().ok()?];
        }
        (numbers.len() <= 3).then_some(Self { implementation, numbers, free_threaded, platform })
    }

    /// Whether an interpreter is one that was asked for.
    pub fn accepts(&self, interpreter: &Interpreter) -> bool {
        let version = &interpreter.version;
        let own = [Some(version.major), Some(version.minor), version.patch];
        self.implementation
            .is_none_or(|implementation| implementation == interpreter.implementation)
            && self.numbers.iter().zip(own).all(|(wanted, own)| own == Some(*wanted))
            && self.free_threaded == interpreter.free_threaded()
            && self.is_for(interpreter.platform)
    }

    /// Whether a platform is what was asked for. What an interpreter does not say is no reason not
    /// to take it.
    fn is_for(&self, platform: Platform) -> bool {
        let libc = match platform {
            Platform::Linux { libc: Some(Libc::Glibc(..)), .. } => Some("gnu"),
            Platform::Linux { libc: Some(Libc::Musl(..)), .. } => Some("musl"),
            Platform::Linux { libc: None, .. } => None,
            Platform::MacOs { .. } | Platform::Windows { .. } => Some("none"),
        };
        let own = [Some(platform.os().name()), Some(platform.arch().name()), libc];
        let is = |(wanted, own): (&String, Option<&str>)| {
            let arch = Arch::parse(wanted).map(Arch::name);
            own.is_none_or(|own| own == wanted || arch == Some(own))
        };
        self.platform.iter().zip(own).all(is)
    }

    /// What uv and pyenv call it: `3.12`, `3.13t`, `pypy3.10`.
    pub fn release_text(&self) -> String {
        let is_pypy = self.implementation == Some(Implementation::PyPy);
        format!("{}{}", if is_pypy { "pypy" } else { "" }, self.number_text())
    }

    /// The numbers, as `3.12`.
    pub fn number_text(&self) -> String {
        let numbers: Vec<String> = self.numbers.iter().map(ToString::to_string).collect();
        format!("{}{}", numbers.join("."), if self.free_threaded { "t" } else { "" })
    }

    fn executable_names(&self) -> Vec<String> {
        let stem =
            if self.implementation == Some(Implementation::PyPy) { "pypy" } else { "python" };
        let suffix = if self.free_threaded { "t" } else { "" };
        let mut names = Vec::new();
        for length in (0..=self.numbers.len().min(2)).rev() {
            let numbers: Vec<String> =
                self.numbers[..length].iter().map(ToString::to_string).collect();
            if length == 2 {
                names.push(format!("{stem}{}{suffix}", numbers.join(".")));
            }
            if length < 2 || suffix.is_empty() {
                names.push(format!("{stem}{}", numbers.join(".")));
            }
        }
        if stem == "pypy" {
            names.extend(["python3".to_owned(), "python".to_owned()]);
        }
        names.dedup();
        names
    }
}

impl fmt::Display for PythonRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any interpreter"),
            Self::Path(text) | Self::Name(text) => write!(formatter, "`{text}`"),
            Self::Version(request) => {
                let name = request.implementation.map_or("Python", Implementation::platform_name);
                let numbers: Vec<String> =
                    request.numbers.iter().map(ToString::to_string).collect();
                let threads = if request.free_threaded { " (free-threaded)" } else { "" };
                write!(formatter, "{name} {}{threads}", numbers.join("."))?;
                match request.platform[..] {
                    [] => Ok(()),
                    ref words => write!(formatter, " for {}", words.join("-")),
                }
            }
            Self::Range(specifiers) => write!(formatter, "Python {specifiers}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::PythonVersion;

    fn interpreter(implementation: Implementation, version: &str, abi: &str) -> Interpreter {
        let platform = Platform::Linux { arch: Arch::X86_64, libc: None };
        Interpreter {
            implementation,
            version: PythonVersion::parse(version).unwrap(),
            abi: abi.into(),
            platform,
        }
    }

    #[test]
    fn a_version_has_many_spellings() {
        let check = |text: &str,
                     implementation: Option<Implementation>,
                     numbers: &[u32],
                     free_threaded: bool| {
            let (numbers, platform) = (numbers.to_vec(), Vec::new());
            let expected = VersionRequest { implementation, numbers, free_threaded, platform };
            assert_eq!(PythonRequest::parse(text), Ok(PythonRequest::Version(expected)), "{text}");
        };
        check("3", None, &[3], false);
        check("3.12", None, &[3, 12], false);
        check("3.12.1", None, &[3, 12, 1], false);
        check("python3.12", None, &[3, 12], false);
        check("py312", None, &[3, 12], false);
        check("312", None, &[3, 12], false);
        check("cp312", Some(Implementation::CPython), &[3, 12], false);
        check("CPython-3.9", Some(Implementation::CPython), &[3, 9], false);
        check("3.13t", None, &[3, 13], true);
        check("cp313t", Some(Implementation::CPython), &[3, 13], true);
        check("pypy", Some(Implementation::PyPy), &[3], false);
        check("pypy3.11", Some(Implementation::PyPy), &[3, 11], false);
    }

    #[test]
    fn anything_else_is_a_path_a_name_or_a_range() {
        assert_eq!(PythonRequest::parse("python"), Ok(PythonRequest::Any));
        for path in ["/usr/bin/python3", "./env", ".", "env/"] {
            assert_eq!(PythonRequest::parse(path), Ok(PythonRequest::Path(path.to_owned())));
        }
        for name in ["python-3.12-debug", "graalpy", "3.12x", "3..1", "python3.12.1.2", "py.12"] {
            assert_eq!(PythonRequest::parse(name), Ok(PythonRequest::Name(name.to_owned())));
        }
        assert!(matches!(PythonRequest::parse(">=3.11,<3.13"), Ok(PythonRequest::Range(_))));
        for bad in ["", ">=", ">=x", "a\0"] {
            assert!(PythonRequest::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_interpreter_must_be_what_was_asked_for() {
        let check = |text: &str, interpreter: &Interpreter, expected: bool| {
            assert_eq!(
                PythonRequest::parse(text).unwrap().accepts(interpreter),
                expected,
                "{text}"
            );
        };
        let cpython = interpreter(Implementation::CPython, "3.12.1", "cp312");
        for fits in
            ["3", "3.12", "3.12.1", "cp312", "python", ">=3.11,<3.13", "~=3.12.0", "==3.12.*"]
        {
            check(fits, &cpython, true);
        }
        for other in ["2", "3.1", "3.13", "3.12.2", "3.12t", "pypy3.12", ">3.12.1", "<3.12"] {
            check(other, &cpython, false);
        }
        check("3.13", &interpreter(Implementation::CPython, "3.13.0", "cp313t"), false);
        check("3.13t", &interpreter(Implementation::CPython, "3.13.0", "cp313t"), true);
        check("pypy", &interpreter(Implementation::PyPy, "3.11.11", "pypy311_pp73"), true);
        check("3.12.1", &interpreter(Implementation::CPython, "3.12", "cp312"), false);
    }

    #[test]
    fn the_keys_of_uv_name_a_platform_too() {
        let mut own = interpreter(Implementation::CPython, "3.12.1", "cp312");
        let check = |text: &str, own: &Interpreter, expected: bool| {
            let request = PythonRequest::parse(text).unwrap();
            let is_version = matches!(request, PythonRequest::Version(_));
            assert_eq!((is_version, request.accepts(own)), (true, expected), "{text}");
        };
        // Whose C library nobody knows may have either.
        for libc in ["gnu", "musl"] {
            check(&format!("cpython-3.12.1-linux-x86_64-{libc}"), &own, true);
        }
        own.platform = Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 36)) };
        for fits in
            ["cpython-3.12-linux", "cpython-3.12.1-linux-amd64", "cpython-3.12.1-linux-x86_64-gnu"]
        {
            check(fits, &own, true);
        }
        for other in [
            "cpython-3.12.1-linux-x86_64-musl",
            "cpython-3.12.1-linux-aarch64-gnu",
            "cpython-3.12.1-macos-aarch64-none",
            "pypy-3.12.1-linux-x86_64-gnu",
            "cpython-3.12.1+freethreaded-linux-x86_64-gnu",
        ] {
            check(other, &own, false);
        }
        let request = PythonRequest::parse("cpython-3.11.2-linux-x86_64-gnu").unwrap();
        assert_eq!(request.to_string(), "CPython 3.11.2 for linux-x86_64-gnu");
        for name in ["python-3.12-debug", "cpython-3.12-beos", "cpython-3.12-linux-x86_64-gnu-x"] {
            assert_eq!(PythonRequest::parse(name), Ok(PythonRequest::Name(name.to_owned())));
        }
    }

    #[test]
    fn some_requests_are_too_old_and_some_name_a_patch_release() {
        let check = |text: &str, too_old: bool, patch: bool| {
            let request = PythonRequest::parse(text).unwrap();
            assert_eq!(
                (request.is_too_old(), request.names_patch_release()),
                (too_old, patch),
                "{text}"
            );
        };
        for text in ["3", "3.8", "pypy", "pypy3.9", "python", "./x", "name", ">=3.11,<3.13", "4"] {
            check(text, false, false);
        }
        for text in ["2", "2.7", "3.7", "pypy3.8", "python2"] {
            check(text, true, false);
        }
        for text in ["3.12.1", "==3.12.1", ">=3.11.2"] {
            check(text, false, true);
        }
        check("2.7.18", true, true);
    }

    #[test]
    fn the_most_specific_name_comes_first() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(PythonRequest::parse(text).unwrap().executable_names(), expected, "{text}")
        };
        check("3.12.1", &["python3.12", "python3", "python"]);
        check("3.13t", &["python3.13t", "python3", "python"]);
        check("3", &["python3", "python"]);
        check("pypy3.11", &["pypy3.11", "pypy3", "pypy", "python3", "python"]);
        check("python", &["python3", "python"]);
        check("python-custom", &["python-custom"]);
    }
}
