//! Options that several commands share: what can be typed, with one reader for each kind of value.
//!
//! Raw strings and paths only; what they mean is said in `inputs` and `caches`.

pub(crate) mod numbers;
pub(crate) mod variables;

pub(crate) mod bytecode;
pub(crate) mod caches;

pub(crate) mod fetching;

pub(crate) mod unreadable;

use std::ops::Deref;

use camino::Utf8PathBuf;
use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

pub(crate) use crate::cli::options::numbers::MOST_THREADS;
use crate::model::finding::{Code, UnknownCode};
use crate::model::wheel::limits::Limits;

/// Arguments of a subcommand, which are described to clap only when it is that subcommand's turn:
/// all of them together would take a sixth of the time of a build that has nothing to do.
#[derive(Debug)]
pub struct Deferred<T>(T);

impl<T> Deferred<T> {
    /// The arguments themselves.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

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

/// The arguments of a command that reports, and how: for people or as JSON.
#[derive(Debug, Args)]
pub struct WithOutput<T: Args, O: Args = OutputArguments> {
    #[command(flatten)]
    /// The arguments themselves.
    pub(crate) arguments: T,
    #[command(flatten)]
    /// How to answer.
    pub(crate) output: O,
}

/// A subcommand that reports. Without `--quiet`, where its report is all that it is for.
pub type Reporting<T, O = OutputArguments> = Deferred<WithOutput<T, O>>;

/// Options that say how to answer.
pub(crate) trait HowToAnswer: Args {
    /// What they say.
    fn output(&self) -> Output;
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

/// How to answer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArguments {
    /// Say nothing but warnings and errors.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    format: FormatArguments,
}

impl HowToAnswer for OutputArguments {
    fn output(&self) -> Output {
        Output { quiet: self.quiet, ..self.format.output() }
    }
}

impl HowToAnswer for FormatArguments {
    fn output(&self) -> Output {
        Output { format: self.format, quiet: false }
    }
}

/// How a command is to answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Output {
    /// For whom.
    pub(crate) format: Format,
    /// Whether nothing but data, warnings and errors is wanted.
    pub(crate) quiet: bool,
}

impl Output {
    /// For people, whatever was asked: what the command writes has a form of its own.
    pub(crate) const TEXT: Self = Self { format: Format::Text, quiet: false };

    /// Whether somebody wants to read how it went.
    pub(crate) fn talks(self) -> bool {
        !self.quiet && self.format == Format::Text
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
