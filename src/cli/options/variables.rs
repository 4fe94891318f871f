//! The variables that stand for options: what they are called, and how their values are read.
//!
//! An option that is given wins over its variable; a variable that is empty counts as not set. A
//! value that cannot be read is a usage error that names the variable.

use clap::ValueEnum;

use crate::cli::io::Io;
use crate::cli::options::numbers;
use crate::error::Error;
use crate::model::nearest;

/// A variable and the option that it stands for.
pub(crate) struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The option, without dashes.
    #[cfg(test)]
    option: &'static str,
}

const fn variable(name: &'static str, _option: &'static str) -> Variable {
    Variable {
        name,
        #[cfg(test)]
        option: _option,
    }
}

/// The variable that names the store.
pub(crate) const STORE: &str = "VENVTREE_STORE";
/// The variable that turns the store off.
pub(crate) const NO_STORE: &str = "VENVTREE_NO_STORE";
/// The variable that says where environments are shared.
pub(crate) const ENVIRONMENTS: &str = "VENVTREE_ENVIRONMENTS";
/// The variable that says how many bytes the store may take.
pub(crate) const STORE_LIMIT: &str = "VENVTREE_STORE_LIMIT";
/// The variable that says how files come out of the store.
pub(crate) const LINK_MODE: &str = "VENVTREE_LINK_MODE";
/// The variable that limits the number of threads.
pub(crate) const THREADS: &str = "VENVTREE_THREADS";
/// The variable that limits the number of requests at once.
pub(crate) const REMOTE_CONNECTIONS: &str = "VENVTREE_REMOTE_CONNECTIONS";
/// The variable that turns off the compression of blobs.
pub(crate) const NO_REMOTE_COMPRESSION: &str = "VENVTREE_NO_REMOTE_COMPRESSION";

/// The variable that keeps from fetching.
pub(crate) const OFFLINE: &str = "VENVTREE_OFFLINE";
/// The variable that limits how many files are fetched at once.
pub(crate) const CONNECTIONS: &str = "VENVTREE_CONNECTIONS";

/// The variable that limits the bytes of a wheel whose size nobody says.
pub(crate) const WHEEL_LIMIT: &str = "VENVTREE_WHEEL_LIMIT";

/// Every variable that stands for an option, as the help lists them.
pub(crate) const VARIABLES: [Variable; 21] = [
    variable(STORE, "store"),
    variable(NO_STORE, "no-store"),
    variable(ENVIRONMENTS, "environments"),
    variable(LINK_MODE, "link-mode"),
    variable(THREADS, "threads"),
    variable("VENVTREE_MIRRORS", "mirror"),
    variable(OFFLINE, "offline"),
    variable(CONNECTIONS, "connections"),
    variable(WHEEL_LIMIT, "wheel-limit"),
    variable("VENVTREE_REMOTE_CACHE", "remote-cache"),
    variable("VENVTREE_REMOTE_MODE", "remote-mode"),
    variable("VENVTREE_REMOTE_INSTANCE_NAME", "remote-instance-name"),
    variable("VENVTREE_REMOTE_HEADERS", "remote-header"),
    variable("VENVTREE_REMOTE_TIMEOUT", "remote-timeout"),
    variable("VENVTREE_REMOTE_RETRIES", "remote-retries"),
    variable(REMOTE_CONNECTIONS, "remote-connections"),
    variable(NO_REMOTE_COMPRESSION, "no-remote-compression"),
    variable("VENVTREE_CREDENTIAL_HELPER", "credential-helper"),
    variable("VENVTREE_TLS_CERTIFICATE", "tls-certificate"),
    variable("VENVTREE_TLS_CLIENT_CERTIFICATE", "tls-client-certificate"),
    variable("VENVTREE_TLS_CLIENT_KEY", "tls-client-key"),
];

/// The value of a variable that is set, read by `parse`, which says what it expected.
pub(crate) fn parsed<T>(
    io: &Io<'_>,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    let Some(text) = io.variable(name) else {
        return Ok(None);
    };
    parse(text).map(Some).map_err(|expected| {
        Error::usage(format!("the variable {name} is `{text}`"))
            .hint(format!("{expected}; unset it to get the default"))
    })
}

/// The value of a variable that takes the words of an option.
pub(crate) fn word<T: ValueEnum>(io: &Io<'_>, name: &str) -> Result<Option<T>, Error> {
    parsed(io, name, |text| {
        T::from_str(text, false).map_err(|_| {
            let names: Vec<String> = T::value_variants()
                .iter()
                .filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()))
                .collect();
            format!("expected {}", names.join(" or "))
        })
    })
}

/// The value of a variable that is a whole number from 1 to `most`.
pub(crate) fn count(io: &Io<'_>, name: &str, most: u16) -> Result<Option<u16>, Error> {
    parsed(io, name, |text| numbers::count(text, most))
}

/// The time that SOURCE_DATE_EPOCH asks for: whatever makes reproducible things reads it, so its
/// name is not ours.
pub(crate) fn source_date_epoch(io: &Io<'_>) -> Result<Option<u64>, Error> {
    parsed(io, "SOURCE_DATE_EPOCH", numbers::epoch)
}

/// Whether a variable says yes.
pub(crate) fn flag(io: &Io<'_>, name: &str) -> Result<bool, Error> {
    let value = parsed(io, name, |text| match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("expected 1 or 0".to_owned()),
    })?;
    Ok(value.unwrap_or(false))
}

/// Variables of ours that stand for no option: those of `create`, of the rules for Bazel and Buck2,
/// and of the shell programs that these and environments have.
const OTHERS: [&str; 11] = [
    STORE_LIMIT,
    "VENVTREE_BIN",
    "VENVTREE_DEBUG",
    "VENVTREE_ENV",
    "VENVTREE_FETCH_WHEELS",
    "VENVTREE_MAIN",
    "VENVTREE_PREFIX",
    "VENVTREE_PYTHON",
    "VENVTREE_RELEASE_BASE",
    "VENVTREE_ROOTS",
    "VENVTREE_RUNFILES",
];

/// Names of variables that are set, that nothing reads and that are nearly the name of one which is
/// read; with that one.
pub(crate) fn mistyped<'i>(io: &'i Io<'_>) -> impl Iterator<Item = (&'i str, &'static str)> {
    let known = || VARIABLES.iter().map(|variable| variable.name).chain(OTHERS);
    let rest = |name: &'static str| name.strip_prefix(PREFIX).unwrap_or(name);
    io.variables.keys().filter_map(move |name| {
        let word = name.strip_prefix(PREFIX).filter(|_| known().all(|known| known != name))?;
        let meant = nearest::nearest(word, known().map(rest))?;
        Some((name.as_str(), known().find(|name| rest(name) == meant)?))
    })
}

/// What the names of our variables begin with.
const PREFIX: &str = "VENVTREE_";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::commands::{Arguments, EXIT_CODES};

    /// Every option of every command, with its help.
    fn options() -> Vec<(String, String)> {
        let mut command = Arguments::command();
        command.build();
        let mut found = Vec::new();
        visit(&command, &mut found);
        found
    }

    fn visit(command: &clap::Command, found: &mut Vec<(String, String)>) {
        for argument in command.get_arguments() {
            let help = argument
                .get_long_help()
                .or(argument.get_help())
                .map(ToString::to_string)
                .unwrap_or_default();
            found.extend(argument.get_long().map(|long| (long.to_owned(), help)));
        }
        command.get_subcommands().for_each(|command| visit(command, found));
    }

    #[test]
    fn the_help_names_every_variable_at_its_option_and_in_the_list() {
        let found = options();
        for variable in VARIABLES {
            let helps: Vec<&String> = found
                .iter()
                .filter(|(long, _)| long == variable.option)
                .map(|(_, help)| help)
                .collect();
            assert!(!helps.is_empty(), "no command has --{}", variable.option);
            for help in helps {
                assert!(
                    help.contains(&format!("variable: {}", variable.name)),
                    "--{}: {help}",
                    variable.option
                );
            }
            let list = EXIT_CODES
                .split_whitespace()
                .map(|word| word.trim_matches([',', '.']))
                .any(|word| word == variable.name);
            assert!(list, "the help of `venvtree` does not list {}", variable.name);
        }
    }

    #[test]
    fn every_variable_that_the_help_names_at_an_option_is_in_the_list() {
        for (option, help) in options() {
            let Some((_, rest)) = help.split_once("variable: ") else {
                continue;
            };
            let name = rest.split([']', ',']).next().unwrap_or(rest);
            let known =
                VARIABLES.iter().any(|variable| variable.name == name && variable.option == option);
            assert!(known || name == "VENVTREE_PYTHON", "--{option} names {name}");
        }
    }
}
