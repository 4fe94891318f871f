//! Compiling sources with a real interpreter.
//!
//! Effects layer. An interpreter gets names and bytes through a pipe and gives marshalled code
//! back: it opens no source, writes nothing and runs no code of what it compiles. So neither paths
//! nor the environment, the locale or the time reach its answers, and what its own history does to
//! them the canonical form takes away. One process for each thread, kept for the next batch.
//!
//! Only what follows from a source and the compiler may leave it without bytecode: a syntax error,
//! a NUL, bytes that are no text. What a machine runs out of (memory, stack, time) ends everything
//! instead, after one more try alone: a limit of a machine must not shape a tree.

use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::Signal;

use crate::effects::host::child::{ChildError, Conversation, TalkError};
use crate::effects::work::parallel;
use crate::model::bytecode::marshal::{self, MarshalError};
use crate::model::bytecode::overlay::Recipe;
use crate::model::bytecode::release::{Compiler, Release};
use crate::model::bytecode::{Level, header};
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// How long an interpreter may take for its greeting.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a processor one source may take: what others do on a machine is not counted.
const PROCESSOR: Duration = Duration::from_secs(60);
/// How long an interpreter may be silent that takes none.
const SILENCE: Duration = Duration::from_secs(300);
/// The most bytes of an answer, for a source of so many: some constants are folded.
const ANSWER_LEAST: usize = 16 << 20;
const ANSWER_TIMES: usize = 64;
/// The most bytes of a greeting.
const GREETING_LIMIT: usize = 1 << 10;

/// What ends a process that took all of the processor time that it may take.
const OUT_OF_TIME: i32 = Signal::XCPU.as_raw();

/// Works on every Python 3, isolated from the environment and without `site`.
const PROGRAM: &str = include_str!("compile.py");

/// Why there is no bytecode.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler cannot be started, or is none.
    #[error("`{python}` is no compiler: {problem}")]
    NoCompiler {
        /// What was started.
        python: Utf8PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It is of another version.
    #[error("the compiler `{python}` is {found}, expected {expected}")]
    Version {
        /// The interpreter.
        python: Utf8PathBuf,
        /// What it says that it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Its bytecode begins with another number, or has other names, than that of its version.
    #[error("the compiler `{python}` has the magic number and tag {found}, expected {expected}")]
    Magic {
        /// The interpreter.
        python: Utf8PathBuf,
        /// What it says.
        found: String,
        /// What its version has.
        expected: String,
    },
    /// It ended while it compiled a file, or could not.
    #[error("`{file}` could not be compiled: {problem}")]
    Crashed {
        file: String,
        /// How.
        problem: String,
    },
    /// It did not answer.
    #[error("`{file}` was not compiled within {} s", patience.as_secs_f32())]
    Slow {
        file: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It took too much of a processor.
    #[error("`{file}` was not compiled within {} s of processor time", limit.as_secs())]
    Busy {
        file: String,
        /// How much it may take.
        limit: Duration,
    },
    /// It answered something that no Python writes.
    #[error("the compiler made nothing of `{file}` that is known")]
    Marshal {
        file: String,
        /// What is odd.
        source: MarshalError,
    },
}

impl Explain for CompileError {
    fn explain(&self) -> Explanation {
        match self {
            Self::NoCompiler { .. } => ErrorKind::Io.hint(
                "give the path of a CPython from 3.11 to 3.14 itself: what is started gets no environment",
            ),
            Self::Version { .. } => ErrorKind::Spec.hint(
                "another version makes other bytecode, even where both have one magic number: give the very compiler that is asked for",
            ),
            Self::Magic { .. } => ErrorKind::Spec
                .hint("it is no release of CPython; give the interpreter that is deployed"),
            Self::Crashed { .. } | Self::Slow { .. } | Self::Busy { .. } => ErrorKind::Io.hint(
                "what a machine runs out of must not shape an environment: exclude the file, or compile where there is more of it",
            ),
            Self::Marshal { .. } => ErrorKind::Wheel
                .hint("is it a CPython as it was released? Report it, with the file"),
        }
    }

    fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCompiler { .. } => "bytecode.compiler",
            Self::Version { .. } => "bytecode.version",
            Self::Magic { .. } => "bytecode.magic",
            Self::Crashed { .. } => "bytecode.crashed",
            Self::Slow { .. } | Self::Busy { .. } => "bytecode.timeout",
            Self::Marshal { .. } => "bytecode.marshal",
        })
    }
}

/// A source to compile.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name, which tracebacks show until it is imported from somewhere.
    pub name: String,
    /// Its bytes.
    pub source: Vec<u8>,
}

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiled {
    /// A whole file of bytecode.
    Bytecode(Vec<u8>),
    /// Nothing: no Python can compile it, and why.
    Skipped(String),
}

/// In which state an interpreter compiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Just started.
    Clean,
    /// With a good part of the standard library imported before.
    Dirty,
}

/// Interpreters of one compiler that are ready.
#[derive(Debug)]
pub struct Compilers {
    python: Utf8PathBuf,
    expected: Compiler,
    history: History,
    threads: usize,
    patience: Duration,
    idle: Mutex<Vec<Conversation>>,
}

/// Why a source was not compiled: to be tried once more, or not at all.
enum Failure {
    Again(CompileError),
    Final(CompileError),
}

impl Compilers {
    /// Starts the first of at most so many, and sees whether it is what is expected.
    ///
    /// # Errors
    /// It is not.
    pub fn start(
        python: &Utf8Path,
        expected: Compiler,
        history: History,
        threads: usize,
    ) -> Result<Self, CompileError> {
        let (first, found) = greet(python, history, PATIENCE)?;
        if found != expected {
            return Err(CompileError::Version {
                python: python.to_owned(),
                found: found.version(),
                expected: expected.version(),
            });
        }
        let idle = Mutex::new(vec![first]);
        Ok(Self { python: python.to_owned(), expected, history, threads, patience: SILENCE, idle })
    }

    /// Asks an interpreter which compiler it is.
    ///
    /// # Errors
    /// It is none of those whose bytecode is made.
    pub fn ask(python: &Utf8Path) -> Result<Compiler, CompileError> {
        greet(python, History::Clean, PATIENCE).map(|(_, found)| found)
    }

    /// Compiles sources that have so many bytes, the largest first; `read` reads one. The results
    /// are in the order of the sources.
    ///
    /// # Errors
    /// The first source that cannot be read or, when it is tried a second time, not be compiled.
    pub fn compile<E: From<CompileError> + Send>(
        &self,
        recipe: &Recipe,
        sizes: &[u64],
        read: impl Fn(usize) -> Result<Job, E> + Sync,
    ) -> Result<Vec<Compiled>, E> {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&index| (std::cmp::Reverse(sizes[index]), index));
        let done: Mutex<Vec<Option<Compiled>>> = Mutex::new(vec![None; sizes.len()]);
        let again = Mutex::new(Vec::new());
        let run = parallel::run(self.threads, order.len(), |turn| {
            let index = order[turn];
            let job = match read(index) {
                Ok(job) => job,
                Err(error) => return ControlFlow::Break(error),
            };
            match self.compile_one(recipe, &job) {
                Ok(compiled) => lock(&done)[index] = Some(compiled),
                Err(Failure::Again(_)) => lock(&again).push(index),
                Err(Failure::Final(error)) => return ControlFlow::Break(error.into()),
            }
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(error) = run {
            return Err(error);
        }
        let mut again = again.into_inner().unwrap_or_else(PoisonError::into_inner);
        again.sort_unstable();
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        for index in again {
            // Alone, and in an interpreter of its own: what is left of the machine is its.
            lock(&self.idle).clear();
            match self.compile_one(recipe, &read(index)?) {
                Ok(compiled) => done[index] = Some(compiled),
                Err(Failure::Again(error) | Failure::Final(error)) => return Err(error.into()),
            }
        }
        Ok(done.into_iter().map(|compiled| compiled.expect("each was compiled")).collect())
    }

    fn compile_one(&self, recipe: &Recipe, job: &Job) -> Result<Compiled, Failure> {
        let ready = lock(&self.idle).pop();
        let mut conversation = match ready {
            Some(ready) => ready,
            None => greet(&self.python, self.history, PATIENCE).map_err(Failure::Final)?.0,
        };
        let file = || job.name.clone();
        let answer = ask(&mut conversation, recipe.level, job, self.patience);
        let (status, payload) = answer.map_err(|error| {
            Failure::Again(match error {
                TalkError::Child(ChildError::Time(patience)) => {
                    CompileError::Slow { file: file(), patience }
                }
                TalkError::Ended(Some(status)) if status.signal() == Some(OUT_OF_TIME) => {
                    CompileError::Busy { file: file(), limit: PROCESSOR }
                }
                error => {
                    let problem = format!("the compiler {error}");
                    CompileError::Crashed { file: file(), problem }
                }
            })
        })?;
        let text = || String::from_utf8_lossy(&payload).into_owned();
        match status {
            0 => {
                lock(&self.idle).push(conversation);
                let head = header(self.expected.release(), recipe.validation, &job.source);
                marshal::canonical_after(&head, &payload).map(Compiled::Bytecode).map_err(
                    |source| Failure::Final(CompileError::Marshal { file: file(), source }),
                )
            }
            1 => {
                lock(&self.idle).push(conversation);
                Ok(Compiled::Skipped(text()))
            }
            _ => Err(Failure::Again(CompileError::Crashed { file: file(), problem: text() })),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts an interpreter and reads what it says that it is.
fn greet(
    python: &Utf8Path,
    history: History,
    patience: Duration,
) -> Result<(Conversation, Compiler), CompileError> {
    let no_compiler =
        |problem: String| CompileError::NoCompiler { python: python.to_owned(), problem };
    let dirty = match history {
        History::Clean => "False",
        History::Dirty => "True",
    };
    let program = format!("DIRTY = {dirty}\nSECONDS = {}\n{PROGRAM}", PROCESSOR.as_secs());
    let mut command = Command::new(python.as_str());
    command.args(["-I", "-S", "-B", "-X", "utf8", "-c", &program]);
    command.env_clear().current_dir("/");
    let mut conversation = Conversation::start(&mut command).map_err(|error| {
        no_compiler(match error {
            ChildError::Run(error) => format!("it cannot be started ({error})"),
            error => error.to_string(),
        })
    })?;
    let heard = hear(&mut conversation, GREETING_LIMIT, patience);
    let (status, greeting) = heard.map_err(|error| no_compiler(format!("it {error}")))?;
    let text = String::from_utf8_lossy(&greeting);
    let words: Vec<&str> = text.split('\n').collect();
    let &[implementation, version, magic, tag, flags] = words.as_slice() else {
        return Err(no_compiler("it gave no greeting".to_owned()));
    };
    if status != 0 {
        return Err(no_compiler("it gave no greeting".to_owned()));
    }
    let known = (implementation == "cpython" && flags.is_empty())
        .then(|| Compiler::of_version(version))
        .flatten();
    let Some(found) = known else {
        let flags =
            if flags.is_empty() { String::new() } else { format!(" with the flags {flags:?}") };
        let releases = Release::ALL.map(|release| format!("3.{}", release.minor()));
        return Err(CompileError::Version {
            python: python.to_owned(),
            found: format!("{implementation} {version}{flags}"),
            expected: format!("a regular build of CPython {}", releases.join(", ")),
        });
    };
    let release = found.release();
    let hex: String = release.magic().iter().map(|byte| format!("{byte:02x}")).collect();
    if (magic, tag) != (hex.as_str(), release.tag()) {
        return Err(CompileError::Magic {
            python: python.to_owned(),
            found: format!("{magic} {tag}"),
            expected: format!("{hex} {}", release.tag()),
        });
    }
    Ok((conversation, found))
}

/// Has a source compiled; the status and what it is about.
fn ask(
    conversation: &mut Conversation,
    level: Level,
    job: &Job,
    patience: Duration,
) -> Result<(u8, Vec<u8>), TalkError> {
    let too_large =
        |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| ChildError::Output(bytes.len()));
    let mut head = vec![level.number()];
    head.extend(too_large(job.name.as_bytes())?.to_le_bytes());
    head.extend(too_large(&job.source)?.to_le_bytes());
    head.extend(job.name.as_bytes());
    conversation.say(&head, patience)?;
    conversation.say(&job.source, patience)?;
    hear(conversation, ANSWER_LEAST.max(ANSWER_TIMES.saturating_mul(job.source.len())), patience)
}

/// A status, and so many bytes as are announced, up to a limit.
fn hear(
    conversation: &mut Conversation,
    limit: usize,
    patience: Duration,
) -> Result<(u8, Vec<u8>), TalkError> {
    let head = conversation.hear(5, patience)?;
    let length = u32::from_le_bytes(head[1..].try_into().expect("four bytes")) as usize;
    if length > limit {
        return Err(ChildError::Output(limit).into());
    }
    Ok((head[0], conversation.hear(length, patience)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::host::folder::interpreter as script;
    use crate::model::bytecode::Validation;

    fn greeting(words: &[&str]) -> String {
        let text = words.join("\\n");
        let length = words.join("\n").len();
        format!("printf '\\000\\{length:03o}\\000\\000\\000{text}'")
    }

    const GREETING: [&str; 5] = ["cpython", "3.12.1", "cb0d0d0a", "cpython-312", ""];

    fn compile(python: &Utf8Path, patience: Duration) -> Result<Vec<Compiled>, CompileError> {
        let compiler = Compiler::of_version("3.12.1").unwrap();
        let mut compilers = Compilers::start(python, compiler, History::Clean, 2)?;
        compilers.patience = patience;
        let recipe =
            Recipe { compiler, level: Level::default(), validation: Validation::Unchecked };
        let job = |_| Ok(Job { name: "a/x.py".to_owned(), source: b"pass".to_vec() });
        compilers.compile(&recipe, &[1, 2], job)
    }

    /// Each of these is one process that does not do its work.
    #[test]
    fn what_is_no_compiler_is_named() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        let patience = Duration::from_millis(300);
        let words = |at: usize, word: &'static str| {
            let mut words = GREETING;
            words[at] = word;
            greeting(&words)
        };
        // `head` takes what it was asked: `level`, two lengths, name and source.
        let then = |rest: &str| format!("{}; {rest}", greeting(&GREETING));
        for (text, expected) in [
            ("echo hello, this is no greeting".to_owned(), "is no compiler: it wrote more than"),
            ("exit 3".to_owned(), "is no compiler: it ended without an answer (exit status: 3)"),
            (words(0, "pypy"), "is pypy 3.12.1, expected a regular build of CPython 3.11"),
            (words(1, "3.10.1"), "is cpython 3.10.1, expected"),
            (words(1, "3.12.10"), "is 3.12.10, expected 3.12.1"),
            (words(1, "3.12.1candidate1"), "is cpython 3.12.1candidate1, expected"),
            (words(2, "ac0d0d0a"), "magic number and tag ac0d0d0a cpython-312, expected cb0d0d0a"),
            (words(4, "t"), "is cpython 3.12.1 with the flags \"t\", expected"),
            (
                then("head -c 19 >/dev/null; exit 3"),
                "`a/x.py` could not be compiled: the compiler ended",
            ),
            (then("exec sleep 60"), "`a/x.py` was not compiled within 0.3 s"),
            (then("kill -s XCPU $$"), "`a/x.py` was not compiled within 60 s of processor time"),
            (
                then("head -c 19 >/dev/null; printf '\\002\\001\\000\\000\\000x'"),
                "could not be compiled: x",
            ),
            (
                then("head -c 19 >/dev/null; printf '\\000\\001\\000\\000\\000?'"),
                "made nothing of `a/x.py`",
            ),
            (
                then("head -c 19 >/dev/null; printf '\\000\\377\\377\\377\\377'"),
                "the compiler wrote more than",
            ),
        ] {
            let error = compile(&script(folder, &text), patience).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = compile(&folder.join("absent"), patience).unwrap_err().to_string();
        assert!(error.contains("it cannot be started"), "{error}");
    }

    /// A process that ends after every answer is only slow.
    #[test]
    fn what_fails_once_is_tried_again() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        let text = format!(
            "{}; head -c 19 >/dev/null; mkdir {folder}/tried && exit 1; printf '\\000\\001\\000\\000\\000N'",
            greeting(&GREETING)
        );
        let compiled = compile(&script(folder, &text), Duration::from_secs(20)).unwrap();
        assert_eq!(compiled.len(), 2);
        assert!(
            compiled
                .iter()
                .all(|found| matches!(found, Compiled::Bytecode(bytes) if bytes[16..] == *b"N"))
        );
    }
}
