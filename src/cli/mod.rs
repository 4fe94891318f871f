//! The command line: arguments in, requests to the engine, answers out.
//!
//! A front end. Standard output is data, standard error is talk. Each module uses only those that
//! are listed above it: shared options below, commands above, and this file last, which nothing
//! else uses.

mod text;

mod quantity;

pub mod colour;

pub mod screen;

mod progress;

pub mod io;

mod options;

mod answer;

mod verb;

mod inputs;

pub mod commands;

mod foreign;

mod usage;

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::cli::commands::Arguments;
use crate::cli::io::Io;
use crate::cli::options::Format;
use crate::cli::text::Text;
use crate::engine::files;
use crate::error::Error;

/// Runs the command that `arguments` (without the program's name) ask for; returns the exit code.
pub fn run(arguments: Vec<OsString>, io: &mut Io<'_>) -> u8 {
    io.colours = io.colours.wanted(&arguments, |name| io.variable(name));
    let code = run_command(arguments, io);
    io.finish(code)
}

fn run_command(arguments: Vec<OsString>, io: &mut Io<'_>) -> u8 {
    let format = wanted_format(&arguments);
    let arguments = match complete(arguments, io) {
        Ok(arguments) => arguments,
        Err(error) => {
            answer::print_error(io, format, &error);
            return error.kind().exit_code();
        }
    };
    let (quiet, parsed) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return refuse(error, &arguments, format, io),
    };
    let shown = progress::show(&io.progress, io.screen.as_ref().filter(|_| !quiet));
    let (format, result) = commands::dispatch(parsed.command, io, run);
    drop(shown);
    match result {
        Ok(code) => code,
        Err(error) => {
            let error = inputs::named::explained(error, &arguments, io);
            if !io.is_abandoned() {
                answer::print_error(io, format, &error);
            }
            error.kind().exit_code()
        }
    }
}

/// The arguments as clap reads them: with the program's name, and without files of arguments.
fn complete(mut arguments: Vec<OsString>, io: &Io<'_>) -> Result<Vec<OsString>, Error> {
    if arguments.first().is_some_and(|first| first == commands::worker::FLAG) {
        // Bazel's way to start a worker names no subcommand.
        arguments.insert(0, OsString::from("worker"));
    }
    let arguments = expand(arguments, io)?;
    if let Some((option, message)) = empty(&arguments) {
        let names_path = option.is_none_or(|option| usage::names_path(option, &arguments));
        return Err(Error::usage(message).hint(if names_path {
            "an empty path would mean the working directory: write `.` if that is meant"
        } else {
            "a variable may be empty that a script has put there: give a value, or leave the option out"
        }));
    }
    Ok(std::iter::once(OsString::from("venvtree")).chain(arguments).collect())
}

/// Says what clap has to say: what is wrong with the arguments, or the help that was asked for.
fn refuse(error: clap::Error, arguments: &[OsString], format: Format, io: &mut Io<'_>) -> u8 {
    // What it quotes of the arguments is made harmless before clap writes lines around it.
    let harmless = arguments
        .iter()
        .map(|argument| OsString::from(text::printable(&argument.to_string_lossy())));
    let error = parse(&harmless.collect::<Vec<_>>()).err().unwrap_or(error);
    let error = foreign::answer(error, &arguments[1..]);
    // Help and version are no errors.
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    let colour = if error.use_stderr() { io.colours.stderr } else { io.colours.stdout };
    let text = Text::of_clap(&error.render(), colour);
    if error.use_stderr() {
        let advice = usage::advice(&error, &arguments[1..]);
        if format == Format::Json {
            answer::print_error_document(io, usage::to_json(&error, advice.as_ref()));
        }
        io.say_clap(&text);
        if let Some(advice) = advice {
            io.say(&format!("tip: {advice}"));
        }
    } else if let Err(error) = io::written(io.print_text(&text)) {
        answer::print_error(io, Format::Text, &error);
        return error.kind().exit_code();
    }
    code
}

/// Options whose value may be empty: all others name something.
const MAY_BE_EMPTY: [&str; 5] =
    ["--prompt", "--seed", "--activators", "--remote-instance-name", "--remote-cache"];

/// What is wrong with an argument that is empty, and which option it follows, as one is where a variable of a script is not set.
fn empty(arguments: &[OsString]) -> Option<(Option<&str>, String)> {
    let mut before = None;
    for argument in arguments.iter().map(|argument| argument.to_str().unwrap_or("x")) {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (Some(name), value),
            _ => (before.filter(|_| argument.is_empty()), argument),
        };
        if value.is_empty() && !name.is_some_and(|name| MAY_BE_EMPTY.contains(&name)) {
            let message = name.map_or_else(
                || "an argument is empty".to_owned(),
                |name| format!("what follows `{name}` is empty"),
            );
            return Some((name, message));
        }
        before = Some(argument).filter(|argument| argument.starts_with('-') && *argument != "--");
    }
    None
}

/// What the arguments say, and whether nothing but warnings and errors is wanted.
fn parse(arguments: &[OsString]) -> Result<(bool, Arguments), clap::Error> {
    let matches = Arguments::command().try_get_matches_from(arguments)?;
    Ok((is_quiet(&matches), Arguments::from_arg_matches(&matches)?))
}

/// Whether the command was told to say nothing but warnings and errors.
fn is_quiet(matches: &ArgMatches) -> bool {
    let here = matches.try_get_one("quiet").ok().flatten().copied().unwrap_or(false);
    here || matches.subcommand().is_some_and(|(_, matches)| is_quiet(matches))
}

/// How reports are to be printed, as far as that can be told before the arguments are understood.
fn wanted_format(arguments: &[OsString]) -> Format {
    let text = |index: usize| arguments.get(index).and_then(|argument| argument.to_str());
    let json = |index| {
        text(index) == Some("--format=json")
            || text(index) == Some("--format") && text(index + 1) == Some("json")
    };
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    if (0..end).any(json) { Format::Json } else { Format::Text }
}

/// The most bytes of one argument, as Linux has it. A worker's requests and files of arguments
/// could hold any: comparing a long one with what it could have meant takes more than linear time.
const ARGUMENT_LIMIT: usize = 128 << 10;

/// Replaces every `@FILE` by the lines of FILE, one argument each: how build systems pass thousands
/// of inputs.
fn expand(arguments: Vec<OsString>, io: &Io<'_>) -> Result<Vec<OsString>, Error> {
    let mut expanded = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument.to_str().and_then(|text| text.strip_prefix('@')) {
            Some(path) => {
                let text = files::read_document_text(&io.resolve(path.into()))?;
                expanded.extend(text.lines().map(OsString::from));
            }
            None => expanded.push(argument),
        }
    }
    match expanded.iter().find(|argument| argument.len() > ARGUMENT_LIMIT) {
        Some(argument) => Err(Error::usage(format!(
            "there is an argument of {} bytes, expected at most {ARGUMENT_LIMIT}",
            argument.len()
        ))
        .into()),
        None => Ok(expanded),
    }
}
