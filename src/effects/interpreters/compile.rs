//! Compiling sources with a real interpreter.
//!
//! Effects layer. An interpreter gets names and bytes through a pipe and gives marshalled code
//! back: it opens no source, writes nothing and runs no code of what it compiles. So neither paths
//! nor the environment, the locale or the time reach its answers, and what its own history does to
//! them the canonical form takes away. One process for each thread, kept for the next batch, and by
//! a worker for the next request.
//!
//! Only what follows from a source and the compiler may leave it without bytecode: a syntax error,
//! a NUL, bytes that are no text. What a machine runs out of (memory, stack, time) ends everything
//! instead, after one more try alone: a limit of a machine must not shape a tree.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::effects::host::child::{self, Bounds, ChildError, Conversation, TalkError};
use crate::effects::interpreters::ready::{Program, Ready, Waiting};
use crate::effects::work::parallel;
use crate::model::bytecode::marshal::{self, MarshalError};
use crate::model::bytecode::overlay::{Outcome, Recipe};
use crate::model::bytecode::release::{Compiler, Release};
use crate::model::bytecode::{Level, header};
use crate::model::digest::Hash;
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
    /// There is no room for one more process.
    #[error("the compiler `{python}` cannot be started: {source}")]
    NoRoom {
        /// What was to be started.
        python: Utf8PathBuf,
        /// What there is too little of.
        source: std::io::Error,
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
    /// It is none whose bytecode is made, whichever is asked for.
    #[error("the compiler `{python}` is {found}, expected a regular build of CPython {expected}")]
    NotMade {
        /// The interpreter.
        python: Utf8PathBuf,
        /// What it says that it is.
        found: String,
        /// The versions whose bytecode is made.
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
    #[error("{file} could not be compiled: {problem}")]
    Crashed {
        /// Which, and whose.
        file: String,
        /// How.
        problem: String,
    },
    /// Its library lacks the encoding of a source.
    #[error("{file} could not be compiled: the compiler's library lacks its encoding `{encoding}`")]
    Encoding {
        /// Which, and whose.
        file: String,
        /// What it lacks.
        encoding: String,
    },
    /// It did not answer.
    #[error("{file} was not compiled within {} s", patience.as_secs_f32())]
    Slow {
        file: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// It took too much of a processor.
    #[error("{file} was not compiled within {} s of processor time", limit.as_secs())]
    Busy {
        file: String,
        /// How much it may take.
        limit: Duration,
    },
    /// It answered something that no Python writes.
    #[error("the compiler made nothing of {file} that is known")]
    Marshal {
        file: String,
        /// What is odd.
        source: MarshalError,
    },
}

/// What can be done about a module that is not compiled here.
const LEAVE_OUT: &str = "leave the file out (`bytecode.exclude` in a spec, `--bytecode-exclude`, `--exclude` of `bytecode compile`; in Bazel and Buck2 the setting `bytecode_exclude`, which is for all environments)";

impl Explain for CompileError {
    fn explain(&self) -> Explanation {
        match self {
            Self::NoCompiler { .. } => ErrorKind::Io.hint(
                "give the path of a CPython from 3.11 to 3.14 itself: what is started gets no environment",
            ),
            Self::NoRoom { .. } => ErrorKind::Io.hint(
                "use fewer `--threads`, or raise what is too low: `ulimit -n` (open files), `ulimit -u` (processes), memory",
            ),
            Self::Version { .. } => ErrorKind::Spec.hint(
                "another version makes other bytecode, even where both have one magic number: give the very compiler that is asked for, or correct the version (in Bazel and Buck2 `version` of the interpreter, or its `compiler`)",
            ),
            Self::NotMade { .. } => ErrorKind::Spec.hint(
                "bytecode is made by releases of CPython 3.11 to 3.14 only, and not by free-threaded builds: give one of those",
            ),
            Self::Magic { .. } => ErrorKind::Spec
                .hint("it is no release of CPython; give the interpreter that is deployed"),
            Self::Encoding { .. } => {
                ErrorKind::Io.hint(format!("give a CPython with its whole library, or {LEAVE_OUT}"))
            },
            Self::Crashed { .. } | Self::Slow { .. } | Self::Busy { .. } => ErrorKind::Io.hint(format!(
                "what a machine runs out of must not shape an environment: compile where there is more of it, or {LEAVE_OUT}"
            )),
            Self::Marshal { .. } => ErrorKind::Wheel
                .hint("is it a CPython as it was released? Report it, with the file"),
        }
    }

    fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCompiler { .. } | Self::NoRoom { .. } | Self::Encoding { .. } => {
                "bytecode.compiler"
            }
            Self::Version { .. } | Self::NotMade { .. } => "bytecode.version",
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
    /// Whose it is, for messages: a wheel, a source, the interpreter.
    pub owner: String,
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

impl Compiled {
    /// What an overlay's document says of it.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Bytecode(bytes) => {
                Outcome::Compiled { sha256: Hash::sha256(bytes), size: bytes.len() as u64 }
            }
            Self::Skipped(reason) => Outcome::Skipped(reason.clone()),
        }
    }
}

/// Sources that are compiled in one way, and whose outcomes are wanted together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// How.
    pub recipe: Recipe,
    /// How many bytes each has.
    pub sizes: Vec<u64>,
}

/// A batch of which some sources are compiled.
struct UnderWay<T> {
    kept: Vec<Option<T>>,
    left: usize,
}

impl<T> UnderWay<T> {
    fn new(batch: &Batch) -> Mutex<Self> {
        let left = batch.sizes.len();
        Mutex::new(Self { kept: (0..left).map(|_| None).collect(), left })
    }

    /// Keeps what came of a source; gives all away when it was the last.
    fn put(&mut self, source: usize, kept: T) -> Option<Vec<T>> {
        self.kept[source] = Some(kept);
        self.left -= 1;
        let all = || std::mem::take(&mut self.kept).into_iter().flatten().collect();
        (self.left == 0).then(all)
    }
}

/// In which state an interpreter compiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Just started, or it has compiled for others.
    Clean,
    /// With a good part of the standard library imported before.
    Dirty,
}

/// How many interpreters there are, and who has them afterwards.
#[derive(Debug, Clone)]
pub struct Staff {
    /// At most so many compile at once.
    pub threads: usize,
    /// Where they come from, and wait for whoever compiles next.
    pub waiting: Waiting,
}

/// Interpreters of one compiler that are ready.
#[derive(Debug)]
pub struct Compilers {
    python: Utf8PathBuf,
    /// What was started, where another request may go on with it.
    program: Option<Program>,
    expected: Compiler,
    history: History,
    staff: Staff,
    patience: Duration,
    desk: Mutex<Desk>,
    /// That somebody at the desk has nothing more to do.
    returned: Condvar,
}

/// Interpreters that have nothing to do, and how many have.
#[derive(Debug, Default)]
struct Desk {
    idle: Vec<Ready>,
    busy: usize,
}

/// Why a source was not compiled: to be tried once more, or not at all.
enum Failure {
    Again(CompileError),
    Final(CompileError),
}

impl Compilers {
    /// Starts the first of a staff, unless one waits, and sees whether it is what is expected.
    ///
    /// # Errors
    /// It is not.
    pub fn start(
        python: &Utf8Path,
        expected: Compiler,
        history: History,
        staff: Staff,
    ) -> Result<Self, CompileError> {
        // Who has a past of its own is nobody else's.
        let program = if history == History::Clean { Program::at(python) } else { None };
        let compilers = Self::of_nobody(python, program, expected, history, staff);
        let first = compilers.take()?;
        compilers.give_back(Some(first));
        Ok(compilers)
    }

    /// The same, whichever compiler it is.
    ///
    /// # Errors
    /// It is none of those whose bytecode is made.
    pub fn start_any(python: &Utf8Path, staff: Staff) -> Result<Self, CompileError> {
        let program = Program::at(python);
        let waiting = program.as_ref().and_then(|program| staff.waiting.take_any(program));
        let (found, first) = match waiting {
            Some(found) => found,
            None => greet(python, History::Clean, PATIENCE)
                .map(|(conversation, found)| (found, Ready::new(conversation)))?,
        };
        let compilers = Self::of_nobody(python, program, found, History::Clean, staff);
        lock(&compilers.desk).idle.push(first);
        Ok(compilers)
    }

    fn of_nobody(
        python: &Utf8Path,
        program: Option<Program>,
        expected: Compiler,
        history: History,
        staff: Staff,
    ) -> Self {
        let (python, patience) = (python.to_owned(), SILENCE);
        let (desk, returned) = (Mutex::default(), Condvar::new());
        Self { python, program, expected, history, staff, patience, desk, returned }
    }

    /// Which they are.
    pub fn compiler(&self) -> Compiler {
        self.expected
    }

    /// One that has nothing to do, or another one. Where there is no room for more, those that there
    /// are have to do.
    fn take(&self) -> Result<Ready, CompileError> {
        let mut desk = lock(&self.desk);
        loop {
            desk.busy += 1;
            if let Some(ready) = desk.idle.pop() {
                return Ok(ready);
            }
            drop(desk);
            let waiting = |program| self.staff.waiting.take(program, self.expected);
            let found = match self.program.as_ref().and_then(waiting) {
                Some(ready) => Ok(ready),
                None => self.another(),
            };
            desk = lock(&self.desk);
            match found {
                Ok(ready) => return Ok(ready),
                Err(error) => {
                    desk.busy -= 1;
                    let others = desk.busy > 0 || !desk.idle.is_empty();
                    if !others {
                        // Those that wait, wait for nobody.
                        self.returned.notify_all();
                    }
                    if !(others && matches!(error, CompileError::NoRoom { .. })) {
                        return Err(error);
                    }
                }
            }
            if desk.idle.is_empty() {
                desk = self.returned.wait(desk).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Takes back one, or hears that it is gone.
    fn give_back(&self, ready: Option<Ready>) {
        let mut desk = lock(&self.desk);
        desk.busy -= 1;
        desk.idle.extend(ready);
        // One that is gone makes room. Of those that wait, each wakes the next when it is done: if all
        // woke, they would try in vain to start one each.
        self.returned.notify_one();
    }

    /// Starts one more, which may have been exchanged since the one before.
    fn another(&self) -> Result<Ready, CompileError> {
        let (conversation, found) = greet(&self.python, self.history, PATIENCE)?;
        if found != self.expected {
            return Err(CompileError::Version {
                python: self.python.clone(),
                found: found.version(),
                expected: self.expected.version(),
            });
        }
        Ok(Ready::new(conversation))
    }

    /// Asks an interpreter which compiler it is.
    ///
    /// # Errors
    /// It is none of those whose bytecode is made.
    pub fn ask(python: &Utf8Path) -> Result<Compiler, CompileError> {
        greet(python, History::Clean, PATIENCE).map(|(_, found)| found)
    }

    /// Compiles sources that have so many bytes in one way, the largest first; `read` reads one,
    /// `keep` makes of each outcome what is to be kept of it. The results are in the order of the
    /// sources.
    ///
    /// # Errors
    /// The first source that cannot be read or, when it is tried a second time, not be compiled.
    pub fn compile<T: Send + Sync, E: From<CompileError> + Send>(
        &self,
        recipe: Recipe,
        sizes: Vec<u64>,
        read: impl Fn(usize) -> Result<Job, E> + Sync,
        keep: impl Fn(Compiled) -> T + Sync,
    ) -> Result<Vec<T>, E> {
        let batch = [Batch { recipe, sizes }];
        let mut all = self.compile_all(&batch, |_, index| read(index), keep, |_, kept| Ok(kept))?;
        Ok(all.remove(0))
    }

    /// The same of several batches, one after the other; who has no more to do in one goes on with
    /// the next. `read` is told the batch and the source, `finish` gets all that was kept of a batch
    /// as soon as it is complete.
    ///
    /// # Errors
    /// As above, or `finish` fails.
    pub fn compile_all<T: Send, R: Send + Sync, E: From<CompileError> + Send>(
        &self,
        batches: &[Batch],
        read: impl Fn(usize, usize) -> Result<Job, E> + Sync,
        keep: impl Fn(Compiled) -> T + Sync,
        finish: impl Fn(usize, Vec<T>) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E> {
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (batch, Batch { sizes, .. }) in batches.iter().enumerate() {
            let begin = order.len();
            order.extend((0..sizes.len()).map(|source| (batch, source)));
            order[begin..].sort_by_key(|&(_, source)| (Reverse(sizes[source]), source));
        }
        let under_way: Vec<Mutex<UnderWay<T>>> = batches.iter().map(UnderWay::new).collect();
        let finished: Vec<OnceLock<R>> = batches.iter().map(|_| OnceLock::new()).collect();
        let put = |(batch, source): (usize, usize), compiled| {
            let kept = keep(compiled);
            let complete = lock(&under_way[batch]).put(source, kept);
            if let Some(kept) = complete {
                let _ = finished[batch].set(finish(batch, kept)?);
            }
            Ok(())
        };
        let again = Mutex::new(Vec::new());
        let attempt = |place: (usize, usize)| {
            let job = read(place.0, place.1)?;
            match self.compile_one(&batches[place.0].recipe, &job) {
                Ok(compiled) => put(place, compiled),
                Err(Failure::Again(_)) => {
                    lock(&again).push(place);
                    Ok(())
                }
                Err(Failure::Final(error)) => Err(error.into()),
            }
        };
        let run =
            parallel::run(self.staff.threads, order.len(), |turn| match attempt(order[turn]) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            });
        if let ControlFlow::Break(error) = run {
            return Err(error);
        }
        let mut again = again.into_inner().unwrap_or_else(PoisonError::into_inner);
        again.sort_unstable();
        for place in again {
            // Alone, and in an interpreter of its own: what is left of the machine is its.
            lock(&self.desk).idle.clear();
            let fresh = self.another()?;
            lock(&self.desk).idle.push(fresh);
            let job = read(place.0, place.1)?;
            match self.compile_one(&batches[place.0].recipe, &job) {
                Ok(compiled) => put(place, compiled)?,
                Err(Failure::Again(error) | Failure::Final(error)) => return Err(error.into()),
            }
        }
        let take = |(batch, finished): (usize, OnceLock<R>)| match finished.into_inner() {
            Some(result) => Ok(result),
            // One of nothing.
            None => finish(batch, Vec::new()),
        };
        finished.into_iter().enumerate().map(take).collect()
    }

    fn compile_one(&self, recipe: &Recipe, job: &Job) -> Result<Compiled, Failure> {
        let mut ready = self.take().map_err(Failure::Final)?;
        let file = || format!("`{}` of {}", job.name, job.owner);
        let answer = ask(&mut ready.conversation, recipe.level, job, self.patience);
        // Who could not say what became of a source is not asked again.
        let goes_on = matches!(answer, Ok((0 | 1, _)));
        self.give_back(goes_on.then(|| ready.after(job.source.len())).flatten());
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
                let head = header(self.expected.release(), recipe.validation, &job.source);
                marshal::module(&head, &payload).map(Compiled::Bytecode).map_err(|source| {
                    Failure::Final(CompileError::Marshal { file: file(), source })
                })
            }
            1 => Ok(Compiled::Skipped(text())),
            // The library of one that has waited may be gone by now.
            3 => Err(Failure::Again(CompileError::Encoding { file: file(), encoding: text() })),
            _ => Err(Failure::Again(CompileError::Crashed { file: file(), problem: text() })),
        }
    }
}

impl Drop for Compilers {
    fn drop(&mut self) {
        if let Some(program) = &self.program {
            let idle = std::mem::take(&mut lock(&self.desk).idle);
            self.staff.waiting.put(program, self.expected, idle);
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
    // Who warns shows the line, which Python looks for in files of that name.
    command.args(["-I", "-S", "-B", "-X", "utf8", "-W", "ignore", "-c", &program]);
    command.env_clear().current_dir("/");
    let mut conversation = Conversation::start(&mut command).map_err(|error| match error {
        ChildError::Run(source) if is_shortage(&source) => {
            CompileError::NoRoom { python: python.to_owned(), source }
        }
        ChildError::Run(error) => no_compiler(format!("it cannot be started ({error})")),
        error => no_compiler(error.to_string()),
    })?;
    let heard = hear(&mut conversation, GREETING_LIMIT, patience);
    let (status, greeting) = heard.map_err(|error| {
        let said = match error {
            TalkError::Ended(_) => complaint(python),
            // What it wrote first was taken for a length.
            TalkError::Child(ChildError::Output(_)) => {
                return no_compiler("it gave no greeting".to_owned());
            }
            TalkError::Child(_) => None,
        };
        no_compiler(format!(
            "it {error}{}",
            said.map_or_else(String::new, |said| format!(": {said}"))
        ))
    })?;
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
        return Err(CompileError::NotMade {
            python: python.to_owned(),
            found: format!("{implementation} {version}{flags}"),
            expected: releases.join(", "),
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

/// Whether a process was not started because there are too many of something.
fn is_shortage(error: &std::io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| shortages.contains(&error))
}

/// The last that an interpreter says on standard error when it is started for nothing.
fn complaint(python: &Utf8Path) -> Option<String> {
    let mut command = Command::new(python.as_str());
    command.args(["-I", "-S", "-B", "-c", ""]).env_clear().current_dir("/");
    let bounds = Bounds { time: Duration::from_secs(10), output: 1 << 16 };
    let said = child::run(&mut command, b"", bounds).ok()?.errors;
    let text = String::from_utf8_lossy(&said).into_owned();
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
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

    /// The least that is a code object.
    const CODE: &str = "c77777777777777777777NNNNNNNNlineNN";

    fn compile(python: &Utf8Path, patience: Duration) -> Result<Vec<Compiled>, CompileError> {
        let compiler = Compiler::of_version("3.12.1").unwrap();
        let staff = Staff { threads: 2, waiting: Waiting::default() };
        let mut compilers = Compilers::start(python, compiler, History::Clean, staff)?;
        compilers.patience = patience;
        let recipe =
            Recipe { compiler, level: Level::default(), validation: Validation::Unchecked };
        let job = |_| {
            let (name, owner) = ("a/x.py".to_owned(), "a wheel".to_owned());
            Ok(Job { name, owner, source: b"pass".to_vec() })
        };
        compilers.compile(recipe, vec![1, 2], job, |compiled| compiled)
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
            ("echo hello, this is no greeting".to_owned(), "is no compiler: it gave no greeting"),
            ("exit 3".to_owned(), "is no compiler: it ended without an answer (exit status: 3)"),
            ("echo no library >&2; exit 127".to_owned(), "(exit status: 127): no library"),
            (words(0, "pypy"), "is pypy 3.12.1, expected a regular build of CPython 3.11"),
            (words(1, "3.10.1"), "is cpython 3.10.1, expected"),
            (words(1, "3.12.10"), "is 3.12.10, expected 3.12.1"),
            (words(1, "3.12.1rc1"), "is cpython 3.12.1rc1, expected"),
            (words(1, "3.12.1+"), "is cpython 3.12.1+, expected"),
            (words(2, "ac0d0d0a"), "magic number and tag ac0d0d0a cpython-312, expected cb0d0d0a"),
            (words(4, "t"), "is cpython 3.12.1 with the flags \"t\", expected"),
            (
                then("head -c 19 >/dev/null; exit 3"),
                "`a/x.py` of a wheel could not be compiled: the compiler ended",
            ),
            (
                then("head -c 19 >/dev/null; printf '\\000\\001\\000\\000\\000N'"),
                "made nothing of `a/x.py` of a wheel",
            ),
            (then("exec sleep 60"), "`a/x.py` of a wheel was not compiled within 0.3 s"),
            (
                then("kill -s XCPU $$"),
                "`a/x.py` of a wheel was not compiled within 60 s of processor time",
            ),
            (
                then("head -c 19 >/dev/null; printf '\\002\\001\\000\\000\\000x'"),
                "could not be compiled: x",
            ),
            (
                then("head -c 19 >/dev/null; printf '\\000\\001\\000\\000\\000?'"),
                "made nothing of `a/x.py` of a wheel",
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
            "{}; head -c 19 >/dev/null; mkdir {folder}/tried && exit 1; printf '\\000\\043\\000\\000\\000{CODE}'",
            greeting(&GREETING)
        );
        let compiled = compile(&script(folder, &text), Duration::from_secs(20)).unwrap();
        assert_eq!(compiled.len(), 2);
        assert!(compiled.iter().all(
            |found| matches!(found, Compiled::Bytecode(bytes) if bytes[16..] == *CODE.as_bytes())
        ));
    }

    /// All are asked which they are.
    #[test]
    fn an_interpreter_that_is_exchanged_is_noticed() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        let mut other = GREETING;
        other[1] = "3.12.2";
        let text = format!(
            "if mkdir {folder}/first; then {}; head -c 19 >/dev/null; exit 1; else {}; fi",
            greeting(&GREETING),
            greeting(&other)
        );
        let error = compile(&script(folder, &text), Duration::from_secs(20)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("is 3.12.2, expected 3.12.1"), "{error}");
    }
}
