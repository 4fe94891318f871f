//! The commands: what can be typed, and who does it.
//!
//! A command is a file here: its arguments, the request that they make
//! ([`Verb`](crate::cli::verb::Verb)), and the answer ([`Request`](crate::cli::verb::Request)). No
//! command uses another one.

#![expect(refining_impl_trait_internal, reason = "a command names its request and its answer")]

pub(crate) mod build;
pub(crate) mod bytecode;
pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod diff;
pub(crate) mod digest;
pub(crate) mod doctor;
pub(crate) mod interpreter;
pub(crate) mod key;
pub(crate) mod licenses;
pub(crate) mod lock;
pub(crate) mod man;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod sbom;
pub(crate) mod share;
pub(crate) mod spec;
pub(crate) mod store;
pub(crate) mod verify;
pub(crate) mod wheel;
pub(crate) mod worker;

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli::colour;
use crate::cli::io::Io;
use crate::cli::options::{Deferred, Format, Reporting};
use crate::cli::verb::perform;
use crate::error::Error;

/// Builds deterministic, relocatable Python environments.
#[derive(Debug, Parser)]
#[command(name = "venvtree", version, about, styles = colour::STYLES, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When messages and help are in colour. Without it, on a terminal, unless the variable
    /// NO_COLOR is set; with CLICOLOR_FORCE, always.
    // It is looked for before arguments are read, so that errors in them are in colour, too.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_default_value = true
    )]
    color: colour::When,
}

/// What the exit codes mean, and which variables are read.
pub const EXIT_CODES: &str = "\
Examples:
  venvtree create .venv
  venvtree spec from wheels --for 3.12 --out env.json
  venvtree build env.json --out env
  venvtree help build

Exit codes:
  0  done          3  the spec       6  verification
  1  differences   4  a wheel        7  input or output
  2  usage         5  a conflict     8  a remote cache

A reader that goes away, as in `venvtree plan SPEC | head`, changes none of them; an archive that nobody reads to its \
end gives 141.

Variables that stand for options; an option that is given wins, and an empty variable counts as not set:
  VENVTREE_STORE                  --store
  VENVTREE_NO_STORE               --no-store
  VENVTREE_LINK_MODE              --link-mode
  VENVTREE_THREADS                --threads
  VENVTREE_MIRRORS                --mirror, by lines
  VENVTREE_OFFLINE                --offline
  VENVTREE_CONNECTIONS            --connections
  VENVTREE_WHEEL_LIMIT            --wheel-limit
  VENVTREE_REMOTE_CACHE           --remote-cache
  VENVTREE_REMOTE_MODE            --remote-mode
  VENVTREE_REMOTE_INSTANCE_NAME   --remote-instance-name
  VENVTREE_REMOTE_HEADERS         --remote-header, by lines
  VENVTREE_REMOTE_TIMEOUT         --remote-timeout
  VENVTREE_REMOTE_RETRIES         --remote-retries
  VENVTREE_REMOTE_CONNECTIONS     --remote-connections
  VENVTREE_NO_REMOTE_COMPRESSION  --no-remote-compression
  VENVTREE_CREDENTIAL_HELPER      --credential-helper
  VENVTREE_TLS_CERTIFICATE        --tls-certificate
  VENVTREE_TLS_CLIENT_CERTIFICATE --tls-client-certificate
  VENVTREE_TLS_CLIENT_KEY         --tls-client-key
  VENVTREE_ENVIRONMENTS           --environments
  VENVTREE_STORE_LIMIT            20G, or `none`

Colour: --color, then NO_COLOR, CLICOLOR_FORCE and CLICOLOR=0, then whether there is a terminal.

An argument `@FILE` stands for the lines of FILE, one argument for each line.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the environment that a spec describes.
    Build(Reporting<build::BuildArguments>),
    /// Make an environment to work in, or make an existing one relocatable.
    Create(Reporting<create::CreateArguments>),
    /// Print the root digest of a spec's environment, or of a directory.
    Digest(Reporting<digest::DigestArguments>),
    /// Show what a build would write, and why.
    Plan(Reporting<plan::PlanArguments>),
    /// Print the key of a spec's environment in caches, or explain why two keys differ.
    Key(Reporting<key::KeyArguments>),
    /// Check that a directory still is the environment that was built.
    Verify(Reporting<verify::VerifyArguments>),
    /// Explain how two environments differ.
    Diff(Reporting<diff::DiffArguments>),
    /// Write an environment as one file: tar or zip.
    Pack(Deferred<pack::PackArguments>),
    /// Write what an environment is made of: CycloneDX, SPDX, or a statement of provenance.
    Sbom(Deferred<sbom::SbomArguments>),
    /// List the licenses of an environment, and check them against a rule.
    Licenses(Reporting<licenses::LicensesArguments>),
    /// Make an environment that all builds and tests of a user share, or find it.
    Share(Reporting<share::ShareArguments>),
    /// Show, shrink or verify the local store.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Upload a directory to a remote cache.
    Push(Reporting<push::PushArguments>),
    /// Download a directory from a remote cache, by digest.
    Pull(Reporting<pull::PullArguments>),
    /// Check wheels, or make one.
    #[command(subcommand)]
    Wheel(wheel::WheelCommand),
    /// Compile wheels' modules, so that nobody has to when they are imported.
    #[command(subcommand)]
    Bytecode(bytecode::BytecodeCommand),
    /// Serve the requests of a build system as a persistent worker.
    Worker(Deferred<worker::WorkerArguments>),
    /// Inspect interpreters.
    #[command(subcommand)]
    Interpreter(interpreter::InterpreterCommand),
    /// Make and check specs; print their schema.
    #[command(subcommand)]
    Spec(spec::SpecCommand),
    /// Choose the wheels of a lock: uv.lock, pylock.toml, requirements with hashes.
    #[command(subcommand)]
    Lock(lock::LockCommand),
    /// Show what venvtree finds on this machine, and what is wrong with it.
    Doctor(Reporting<doctor::DoctorArguments>),
    /// Print a completion script for a shell.
    Completions(Deferred<completions::CompletionsArguments>),
    /// Print the manual page, or write one for every subcommand.
    Man(Deferred<man::ManArguments>),
}

/// Does what a command asks for; returns how an error is to be printed, and the exit code. `again`
/// runs another command line: a worker does, for each of its requests.
pub(crate) fn dispatch(
    command: Command,
    io: &mut Io<'_>,
    again: fn(Vec<OsString>, &mut Io<'_>) -> u8,
) -> (Format, Result<u8, Error>) {
    match command {
        Command::Build(arguments) => perform(arguments, io),
        Command::Create(arguments) => perform(arguments, io),
        Command::Digest(arguments) => perform(arguments, io),
        Command::Plan(arguments) => perform(arguments, io),
        Command::Key(arguments) => perform(arguments, io),
        Command::Verify(arguments) => perform(arguments, io),
        Command::Diff(arguments) => perform(arguments, io),
        Command::Pack(arguments) => perform(arguments, io),
        Command::Sbom(arguments) => perform(arguments, io),
        Command::Licenses(arguments) => perform(arguments, io),
        Command::Share(arguments) => perform(arguments, io),
        Command::Store(command) => store::dispatch(command, io),
        Command::Push(arguments) => perform(arguments, io),
        Command::Pull(arguments) => perform(arguments, io),
        Command::Wheel(command) => wheel::dispatch(command, io),
        Command::Bytecode(command) => bytecode::dispatch(command, io),
        Command::Worker(arguments) => {
            perform(worker::Worker { arguments: arguments.into_inner(), again }, io)
        }
        Command::Interpreter(command) => interpreter::dispatch(command, io),
        Command::Spec(command) => spec::dispatch(command, io),
        Command::Lock(command) => lock::dispatch(command, io),
        Command::Doctor(arguments) => perform(arguments, io),
        Command::Completions(arguments) => {
            let whole = Arguments::command();
            perform(completions::Completions { arguments: arguments.into_inner(), whole }, io)
        }
        Command::Man(arguments) => {
            let whole = Arguments::command();
            perform(man::Man { arguments: arguments.into_inner(), whole }, io)
        }
    }
}
