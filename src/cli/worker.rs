//! `venvtree worker`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

use crate::cli::CommandResult;
use crate::cli::args::LimitArguments;
use crate::cli::io::{Io, Streams};
use crate::error::ErrorKind;
use crate::worker::{self, Completion, Protocol, Work};

/// What Bazel adds to the arguments of a tool that it starts as a worker.
pub(super) const FLAG: &str = "--persistent_worker";

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

/// Runs `venvtree worker`.
pub(super) fn run(arguments: &WorkerArguments, io: &mut Io<'_>) -> CommandResult {
    let protocol = arguments.protocol.map(|protocol| match protocol {
        ProtocolArgument::Proto => Protocol::Protobuf,
        ProtocolArgument::Json => Protocol::Json,
    });
    let limits = arguments.limits.apply(&io.limits);
    let (cwd, variables, executable) = (io.cwd.clone(), io.variables.clone(), io.executable.clone());
    let run = |work: &Work<'_>| {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exit_code = {
            let streams = Streams { stdin: &mut std::io::empty(), stdout: &mut stdout, stderr: &mut stderr };
            let directory = work.directory.map_or_else(|| cwd.clone(), |directory| cwd.join(directory));
            let mut io = Io::new(streams, directory, variables.clone());
            io.executable.clone_from(&executable);
            io.limits = limits.clone();
            super::run(work.arguments.iter().map(OsString::from).collect(), &mut io)
        };
        stderr.extend(stdout);
        Completion { exit_code, output: String::from_utf8_lossy(&stderr).into_owned() }
    };
    let (requests, answers) = io.raw_both();
    match worker::serve(requests, answers, protocol, run) {
        Ok(()) => Ok(0),
        Err(error) => {
            io.say(&format!("error: {error}"));
            if let Some(hint) = error.hint() {
                io.say(&format!("hint: {hint}"));
            }
            Ok(ErrorKind::Io.exit_code())
        }
    }
}
