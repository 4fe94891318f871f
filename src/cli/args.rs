//! What can be typed: subcommands, options, help. Raw strings and paths only.

use std::ops::Deref;

use camino::Utf8PathBuf;
use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::cli::io::Io;
use crate::cli::numbers;
use crate::model::finding::{Code, UnknownCode};
use crate::model::wheel::limits::Limits;

/// Builds deterministic, relocatable Python environments.
#[derive(Debug, Parser)]
#[command(name = "venvtree", version, about, styles = super::colour::STYLES, max_term_width = 110, after_help = EXIT_CODES)]
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
    color: super::colour::When,
}

/// The largest number of threads that can be asked for.
pub const MOST_THREADS: u16 = 1024;

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
  VENVTREE_STORE_LIMIT            20G, or `none`

Colour: --color, then NO_COLOR, CLICOLOR_FORCE and CLICOLOR=0, then whether there is a terminal.

An argument `@FILE` stands for the lines of FILE, one argument for each line.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the environment that a spec describes.
    Build(Deferred<super::build::BuildArguments>),
    /// Make an environment to work in, or make an existing one relocatable.
    Create(Deferred<super::create::CreateArguments>),
    /// Print the root digest of a spec's environment, or of a directory.
    Digest(Deferred<super::digest::DigestArguments>),
    /// Show what a build would write, and why.
    Plan(Deferred<super::plan::PlanArguments>),
    /// Print the key of a spec's environment in caches, or explain why two keys differ.
    Key(Deferred<super::key::KeyArguments>),
    /// Check that a directory still is the environment that was built.
    Verify(Deferred<super::verify::VerifyArguments>),
    /// Explain how two environments differ.
    Diff(Deferred<super::diff::DiffArguments>),
    /// Write an environment as one file: tar or zip.
    Pack(Deferred<super::pack::PackArguments>),
    /// Show, shrink or verify the local store.
    #[command(subcommand)]
    Store(super::store::StoreCommand),
    /// Upload a directory to a remote cache.
    Push(Deferred<super::exchange::PushArguments>),
    /// Download a directory from a remote cache, by digest.
    Pull(Deferred<super::exchange::PullArguments>),
    /// Check wheels, or make one.
    #[command(subcommand)]
    Wheel(super::wheel::WheelCommand),
    /// Serve the requests of a build system as a persistent worker.
    Worker(Deferred<super::worker::WorkerArguments>),
    /// Inspect interpreters.
    #[command(subcommand)]
    Interpreter(super::interpreter::InterpreterCommand),
    /// Make and check specs; print their schema.
    #[command(subcommand)]
    Spec(super::spec::SpecCommand),
    /// Show what venvtree finds on this machine, and what is wrong with it.
    Doctor(Deferred<super::doctor::DoctorArguments>),
    /// Print a completion script for a shell.
    Completions(Deferred<super::generate::CompletionsArguments>),
    /// Print the manual page, or write one for every subcommand.
    Man(Deferred<super::generate::ManArguments>),
}

/// Arguments of a subcommand, which are described to clap only when it is that subcommand's turn:
/// all of them together would take a sixth of the time of a build that has nothing to do.
#[derive(Debug)]
pub struct Deferred<T>(T);

impl<T> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Args> Args for Deferred<T> {
    fn group_id() -> Option<clap::Id> {
        T::group_id()
    }

    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| {
            // What the subcommands' list says of it, rather than what its arguments say of
            // themselves.
            let (about, long_about) =
                (command.get_about().cloned(), command.get_long_about().cloned());
            T::augment_args(command)
                .about(Resettable::from(about))
                .long_about(Resettable::from(long_about))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        T::augment_args_for_update(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// How reports are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON document on standard output, errors too.
    Json,
}

/// How to print.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct FormatArguments {
    /// How to print the report.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// How much to say.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct QuietArguments {
    /// Say nothing but warnings and errors.
    #[arg(long, short)]
    pub quiet: bool,
}

impl QuietArguments {
    /// Writes a line of talk, unless that is not wanted.
    pub fn say(&self, io: &mut Io<'_>, line: &str) {
        if !self.quiet {
            io.say(line);
        }
    }
}

/// A spec and where its inputs are.
#[derive(Debug, Args)]
pub struct SpecArguments {
    /// The spec, a JSON file; `-` reads standard input.
    #[arg(value_name = "SPEC")]
    pub spec: Utf8PathBuf,
    #[command(flatten)]
    /// Where inputs are.
    pub places: PlacesArguments,
}

/// Where inputs are.
#[derive(Debug, Clone, Args)]
pub struct PlacesArguments {
    /// The directory that relative input paths are relative to [default: the spec's, for `-` the
    /// working directory].
    #[arg(long, value_name = "DIR")]
    pub root: Option<Utf8PathBuf>,
    /// Where the input is whose path in the spec is KEY; may be repeated.
    #[arg(long = "input", value_name = "KEY=PATH")]
    pub inputs: Vec<String>,
    /// Use at most N threads [default: one for each processor; variable: VENVTREE_THREADS].
    #[arg(long, value_name = "N", value_parser = |text: &str| numbers::count(text, MOST_THREADS))]
    pub threads: Option<u16>,
    #[command(flatten)]
    /// What wheels may hold at most.
    pub limits: LimitArguments,
    #[command(flatten)]
    /// What passes although it is wrong.
    pub allow: AllowArguments,
}

/// What passes although it is wrong.
#[derive(Debug, Clone, Default, Args)]
pub struct AllowArguments {
    /// Accept wheels with findings of this code, as `allow` in a spec does; may be given many
    /// times. docs/findings.md says which codes can be allowed, and `venvtree wheel check` prints
    /// those of a wheel.
    #[arg(long = "allow", value_name = "CODE", value_parser = parse_allowed)]
    pub codes: Vec<Code>,
}

/// Reads a code that can be allowed.
fn parse_allowed(text: &str) -> Result<Code, String> {
    let code: Code = text.parse().map_err(|error: UnknownCode| error.to_string())?;
    match code.allowance().reason() {
        None => Ok(code),
        Some(reason) => Err(format!("findings of this code can never be accepted: {reason}")),
    }
}

/// What wheels may hold at most.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitArguments {
    /// Change a limit on wheels, such as `entries=1000000` or `total-size=100G`; may be repeated.
    /// docs/findings.md lists all limits.
    #[arg(long = "limit", value_name = "LIMIT=NUMBER", value_parser = parse_limit)]
    limits: Vec<(String, u64)>,
}

impl LimitArguments {
    /// The limits, where `before` holds unless an option says otherwise.
    pub fn apply(&self, before: &Limits) -> Limits {
        let mut limits = before.clone();
        for (name, number) in &self.limits {
            limits.set(name, *number).expect("the name was looked up when the option was read");
        }
        limits
    }
}

/// Reads a limit.
fn parse_limit(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("expected LIMIT=NUMBER")?;
    Limits::default().get(name).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), numbers::size(number)?))
}
