//! `venvtree worker`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

use crate::cli::answer::{self, Done};
use crate::cli::io::{Io, Streams};
use crate::cli::options::LimitArguments;
use crate::cli::verb::{Request, Verb};
use crate::engine::{Session, Waiting, machine};
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

/// The open files that are counted for each request that runs: its wheels, and some for each thread.
const FILES_OF_ONE: u64 = 64;

/// How many requests run at once: two for each thread, so that one of them can wait for a disk or a
/// server, and no more than there are open files for. The others wait for their turn.
fn at_once(threads: usize, open_files: Option<u64>) -> usize {
    let files = open_files.map_or(u64::MAX, |files| files / FILES_OF_ONE);
    (threads * 2).min(usize::try_from(files).unwrap_or(usize::MAX)).max(1)
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
        let threads = Session::default().threads();
        let (at_once, waiting) =
            (at_once(threads, machine::open_files().0), Waiting::at_most(threads));
        let run = |work: &Work<'_>| {
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
                io.waiting = waiting.clone();
                io.answers = true;
                again(work.arguments.iter().map(OsString::from).collect(), &mut io)
            };
            stderr.extend(stdout);
            Completion { exit_code, output: String::from_utf8_lossy(&stderr).into_owned() }
        };
        let (requests, answers) = io.raw_both();
        match worker::serve(requests, answers, (protocol, at_once), run) {
            Ok(()) => Ok(Done::WELL),
            Err(error) => {
                answer::say_error(io, &error);
                Ok(Done::badly(error.kind().exit_code()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_many_as_threads_and_open_files_allow() {
        for (threads, files, expected) in [
            (2, None, 4),
            (2, Some(1024), 4),
            (8, Some(1024), 16),
            (8, Some(128), 2),
            (1, Some(9), 1),
        ] {
            assert_eq!(at_once(threads, files), expected, "{threads} threads, {files:?} files");
        }
    }
}
