//! Asking a real interpreter what it is.
//!
//! Effects layer. The one place that runs an interpreter, and only because somebody asked for it:
//! building never does. Facts of the host, such as the kernel's release, are left out, so that two
//! machines with the same interpreter give the same answer.

use std::process::Command;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::effects::host::child::{self, Bounds, ChildError, Finished};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform, parse_pair};
use crate::model::name::PythonVersion;

/// What an interpreter said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The facts that a spec needs.
    pub interpreter: Interpreter,
    /// The interpreter itself, outside of any virtual environment, links resolved as far as Python
    /// resolves them.
    pub executable: Utf8PathBuf,
    /// Whether it calls the folder of compiled modules `lib64`.
    pub lib64: bool,
    /// Where its wheels of pip and setuptools lie, if it has such a place.
    pub bundled_wheels: Option<Utf8PathBuf>,
}

/// Why an interpreter could not be probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It cannot be started.
    #[error("cannot run `{python}`")]
    Run {
        /// The interpreter.
        python: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It failed.
    #[error("`{python}` failed ({status}): {message}")]
    Failed {
        /// The interpreter.
        python: Utf8PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last line that it wrote to standard error, or what of it fits into a message.
        message: String,
    },
    /// It did not end.
    #[error("`{python}` did not answer within {} s", patience.as_secs_f32())]
    Slow {
        /// The interpreter.
        python: Utf8PathBuf,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It answered something that is no answer.
    #[error("`{python}` gave an answer that cannot be used: {problem}")]
    Answer {
        /// The interpreter.
        python: Utf8PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Explain for ProbeError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Run { .. } => ErrorKind::Io.hint("give the path of a Python interpreter"),
            Self::Answer { .. } => ErrorKind::Io
                .hint("venvtree builds for CPython 3.8 and newer and PyPy 3.9 and newer"),
            Self::Failed { .. } | Self::Slow { .. } => ErrorKind::Io.no_hint(),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    implementation: String,
    version: String,
    soabi: Option<String>,
    debug: bool,
    free_threaded: bool,
    platform: String,
    machine: String,
    pointer_size: u32,
    glibc: Option<String>,
    musl: Option<String>,
    executable: String,
    platlibdir: String,
    bundled_wheels: Option<String>,
}

/// How long an interpreter may take to answer; the first start on a slow file system takes seconds.
pub(in crate::effects) const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of an answer.
const ANSWER_LIMIT: usize = 1 << 20;

/// How many characters of an interpreter's own message are shown at most.
const MESSAGE_LENGTH: usize = 200;

/// Works on every Python 3, isolated from the environment and without `site`.
const PROGRAM: &str = include_str!("probe.py");

/// Runs an interpreter and asks.
///
/// # Errors
/// It cannot be run, fails, or is none that environments can be built for.
pub fn probe(python: &Utf8Path) -> Result<Probe, ProbeError> {
    let answer = ask(python, PATIENCE)?;
    read_from(python, &answer)
}

/// Reads the answer of an interpreter.
pub(in crate::effects) fn read_from(python: &Utf8Path, answer: &[u8]) -> Result<Probe, ProbeError> {
    read(answer).map_err(|problem| ProbeError::Answer { python: python.to_owned(), problem })
}

/// Runs an interpreter and returns its answer as it came; one that takes too long is ended.
pub(in crate::effects) fn ask(
    python: &Utf8Path,
    patience: Duration,
) -> Result<Vec<u8>, ProbeError> {
    let mut command = Command::new(python.as_str());
    command.args(["-I", "-S", "-B", "-c", PROGRAM]).env_remove("__PYVENV_LAUNCHER__");
    let finished = child::run(&mut command, b"", Bounds { time: patience, output: ANSWER_LIMIT })
        .map_err(|error| match error {
        ChildError::Run(source) => ProbeError::Run { python: python.to_owned(), source },
        ChildError::Time(patience) => ProbeError::Slow { python: python.to_owned(), patience },
        ChildError::Output(limit) => ProbeError::Answer {
            python: python.to_owned(),
            problem: format!("more than {limit} bytes"),
        },
    })?;
    let Finished { status, output, errors } = finished;
    if !status.success() {
        let text = String::from_utf8_lossy(&errors);
        // What is no Python may repeat the whole program.
        let message = text
            .trim_end()
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .take(MESSAGE_LENGTH)
            .collect();
        return Err(ProbeError::Failed { python: python.to_owned(), status, message });
    }
    Ok(output)
}

/// Reads an answer, however old.
pub(in crate::effects) fn read(answer: &[u8]) -> Result<Probe, String> {
    read_answer(serde_json::from_slice(answer).map_err(|error| error.to_string())?)
}

fn read_answer(answer: Answer) -> Result<Probe, String> {
    let version = PythonVersion::parse(&answer.version).map_err(|error| error.to_string())?;
    let (implementation, abi) = match answer.implementation.as_str() {
        "cpython" => {
            let flags = format!(
                "{}{}",
                if answer.free_threaded { "t" } else { "" },
                if answer.debug { "d" } else { "" }
            );
            (Implementation::CPython, format!("cp{}{}{flags}", version.major, version.minor))
        }
        "pypy" => {
            // `pypy311-pp73-x86_64-linux-gnu`
            let soabi = answer.soabi.as_deref().unwrap_or_default();
            let parts: Vec<&str> = soabi.split('-').take(2).collect();
            (Implementation::PyPy, parts.join("_"))
        }
        other => {
            return Err(format!("the implementation `{other}`, expected cpython or pypy"));
        }
    };
    let platform = read_platform(&answer)?;
    let interpreter = Interpreter { implementation, version, abi: abi.into(), platform };
    Ok(Probe {
        interpreter,
        executable: Utf8PathBuf::from(answer.executable),
        lib64: answer.platlibdir == "lib64",
        bundled_wheels: answer.bundled_wheels.map(Utf8PathBuf::from),
    })
}

fn read_platform(answer: &Answer) -> Result<Platform, String> {
    let arch = |text: &str| {
        // A 32-bit interpreter on a 64-bit kernel.
        let text = match (text, answer.pointer_size) {
            ("x86_64", 4) => "i686",
            ("aarch64", 4) => "armv7l",
            _ => text,
        };
        Arch::parse(text).ok_or_else(|| format!("the architecture `{text}`, which is not known"))
    };
    match answer.platform.as_str() {
        "linux" => {
            let libc = match (&answer.glibc, &answer.musl) {
                (Some(version), _) => {
                    parse_pair(version).map(|(major, minor)| Libc::Glibc(major, minor))
                }
                (None, Some(version)) => {
                    parse_pair(version).map(|(major, minor)| Libc::Musl(major, minor))
                }
                (None, None) => None,
            };
            Ok(Platform::Linux { arch: arch(&answer.machine)?, libc })
        }
        "darwin" => {
            let (version, machine) =
                answer.machine.split_once('-').ok_or("a macOS without version")?;
            let version =
                parse_pair(version).ok_or_else(|| format!("the macOS version `{version}`"))?;
            Ok(Platform::MacOs { arch: arch(machine)?, version })
        }
        "win32" => Ok(Platform::Windows { arch: arch(&answer.machine)? }),
        other => Err(format!("the platform `{other}`, expected linux, darwin or win32")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::effects::host::folder::interpreter as script;

    #[test]
    fn an_interpreter_is_not_waited_for_without_end() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        let patience = Duration::from_millis(300);
        for text in ["exec sleep 60", "sleep 60; true"] {
            let start = Instant::now();
            assert!(
                matches!(ask(&script(folder, text), patience), Err(ProbeError::Slow { .. })),
                "{text}"
            );
            assert!(start.elapsed() < Duration::from_secs(20), "{text}");
        }
        assert!(matches!(
            ask(&script(folder, "exec yes"), PATIENCE),
            Err(ProbeError::Answer { .. })
        ));
        // A child of it that keeps the pipes open is nobody's business.
        assert_eq!(
            ask(&script(folder, "sleep 60 & echo answer"), Duration::from_secs(30)).unwrap(),
            b"answer\n"
        );
    }

    #[test]
    fn too_much_talk_is_no_answer() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        let text = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; exit 3";
        let error = ask(&script(folder, text), PATIENCE).unwrap_err();
        assert!(error.to_string().len() < 1000, "{error}");
    }
}
