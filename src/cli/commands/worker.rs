//! `venvtree worker`.

use std::ffi::OsString;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};

use clap::{Args, ValueEnum};

use crate::cli::answer::{self, Done};
use crate::cli::io::{Io, Streams};
use crate::cli::options::LimitArguments;
use crate::cli::verb::{Request, Verb};
use crate::engine::machine;
use crate::error::{Error, Explain as _};
use crate::model::wheel::limits::Limits;
use crate::worker::{self, Completion, Protocol, Work};

/// What Bazel adds to the arguments of a tool that it starts as a worker.
pub(crate) const FLAG: &str = "--persistent_worker";

/// Arguments of `venvtree worker`.
#[derive(Debug, Args)]
#[command(after_help = "\
Bazel starts it as `venvtree --persistent_worker`. The arguments of each request are those of a command, such as \
`build`, and do what the command does. Limits that the worker was started with hold for all requests, unless a \
request has its own.")]
pub struct WorkerArguments {
    /// How messages are written [default: as the first one is].
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    protocol: Option<ProtocolArgument>,
    #[command(flatten)]
    limits: LimitArguments,
    /// Accepted because Bazel adds it.
    #[arg(long = "persistent_worker", hide = true)]
    persistent_worker: bool,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProtocolArgument {
    /// Protocol buffers, each after its length.
    Proto,
    /// JSON objects.
    Json,
}

/// The most requests that are worked on at once; each uses several threads.
const MOST_AT_ONCE: u64 = 32;
/// The open files that are counted for each of them: its wheels, and some for each thread.
const FILES_OF_ONE: u64 = 64;

/// How many requests may be worked on at once. Whoever sends more waits for his turn, and nobody
/// fails for want of open files.
struct Places {
    free: Mutex<u64>,
    returned: Condvar,
}

impl Places {
    fn of(open_files: Option<u64>) -> Self {
        let most =
            open_files.map_or(MOST_AT_ONCE, |files| (files / FILES_OF_ONE).clamp(1, MOST_AT_ONCE));
        Self { free: Mutex::new(most), returned: Condvar::new() }
    }

    fn take(&self) -> Place<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .returned
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self)
    }
}

/// One of them, until it is dropped.
struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}

/// The arguments, and what runs the command line of a request.
pub(crate) struct Worker {
    pub(crate) arguments: WorkerArguments,
    pub(crate) again: fn(Vec<OsString>, &mut Io<'_>) -> u8,
}

/// How requests are served.
pub(crate) struct Serve {
    protocol: Option<Protocol>,
    limits: Limits,
    again: fn(Vec<OsString>, &mut Io<'_>) -> u8,
}

impl Verb for Worker {
    fn request(self, io: &mut Io<'_>) -> Result<Serve, Error> {
        let protocol = self.arguments.protocol.map(|protocol| match protocol {
            ProtocolArgument::Proto => Protocol::Protobuf,
            ProtocolArgument::Json => Protocol::Json,
        });
        let limits = self.arguments.limits.apply(&io.limits);
        Ok(Serve { protocol, limits, again: self.again })
    }
}

impl Request for Serve {
    fn run(self, io: &mut Io<'_>) -> Result<Done, Error> {
        let Self { protocol, limits, again } = self;
        let (cwd, variables, executable) =
            (io.cwd.clone(), io.variables.clone(), io.executable.clone());
        let places = Places::of(machine::open_files().0);
        let run = |work: &Work<'_>| {
            let _place = places.take();
            if work.cancelled.load(Ordering::Relaxed) {
                return Completion::default();
            }
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let exit_code = {
                let streams = Streams {
                    stdin: &mut std::io::empty(),
                    stdout: &mut stdout,
                    stderr: &mut stderr,
                };
                let directory =
                    work.directory.map_or_else(|| cwd.clone(), |directory| cwd.join(directory));
                let mut io = Io::new(streams, directory, variables.clone());
                io.executable.clone_from(&executable);
                io.limits = limits.clone();
                io.answers = true;
                again(work.arguments.iter().map(OsString::from).collect(), &mut io)
            };
            stderr.extend(stdout);
            Completion { exit_code, output: String::from_utf8_lossy(&stderr).into_owned() }
        };
        let (requests, answers) = io.raw_both();
        match worker::serve(requests, answers, protocol, run) {
            Ok(()) => Ok(Done::WELL),
            Err(error) => {
                answer::say_error(io, &error);
                Ok(Done::badly(error.kind().exit_code()))
            }
        }
    }
}
