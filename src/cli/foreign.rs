//! Options of other tools that commands have not, and what to do instead: those of virtualenv,
//! `python -m venv` and `uv venv` for `create`, those of `uv sync` wherever there may be a lock.
//!
//! Options that are understood are arguments: `commands/create/foreign.rs`, and those of
//! `inputs/lock.rs` that no help shows.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options, and what to do instead of giving one of them.
type Answers = [(&'static [&'static str], &'static str)];

/// Of `create`, with and without a lock.
const CREATE: &Answers = &[
    (
        &["--download"],
        "nothing is downloaded: name a directory with wheels by `--extra-search-dir DIR`, or install later with the environment's pip",
    ),
    (
        &["--upgrade"],
        "make the environment anew with `--clear`, or run `python -m venv --upgrade ENV`, which works on it",
    ),
    (
        &["--upgrade-deps"],
        "nothing is downloaded: run `ENV/bin/python -m pip install --upgrade pip` afterwards",
    ),
    (
        &["--allow-existing"],
        "an environment that is there and as it should be is left alone; `--clear` makes it anew",
    ),
    (
        &["--creator", "--discovery", "--seeder"],
        "leave it out: there is one way to make an environment, whatever the interpreter",
    ),
    (
        &[
            "--app-data",
            "--reset-app-data",
            "--symlink-app-data",
            "--read-only-app-data",
            "--clear-app-data",
        ],
        "leave it out: `--store DIR` says where files are kept, `--no-store` that none are, and `venvtree store gc` empties it",
    ),
    (
        &["--upgrade-embed-wheels"],
        "leave it out: there are no wheels inside the program; `--extra-search-dir DIR` names newer ones than the interpreter's own",
    ),
    (
        &["--try-first-with", "--python-preference", "--managed-python", "--no-managed-python"],
        "name the interpreter by its path with `--python PATH`; `venvtree interpreter list` shows what is there",
    ),
    (&["--find-links", "-f"], "name the directory by `--extra-search-dir DIR`"),
    (
        &[
            "--index",
            "--index-url",
            "--default-index",
            "--extra-index-url",
            "--index-strategy",
            "--exclude-newer",
            "--keyring-provider",
            "--pypi",
        ],
        "nothing is downloaded: leave it out, or give it to pip in the environment",
    ),
    (&["--cache-dir"], "use `--store DIR`"),
    (&["--no-cache"], "use `--no-store`"),
    (&["--config-file"], "leave it out: there are no configuration files"),
    (
        &["--python-platform", "--python-version", "--target"],
        "an environment for another machine is built by `venvtree build`: from a spec that says so, or with `--lock LOCK --target TARGET`",
    ),
    (&["--directory", "--project"], "change to that directory first, or give ENV with its path"),
    (&["--verbose", "-v", "--debug"], "leave it out: `--format json` reports everything"),
    (&["--no-activators"], "use `--activators none`"),
    (&["--no-prompt"], "leave it out, or set VIRTUAL_ENV_DISABLE_PROMPT before activating"),
    (&["--env", "--name", "-n"], "give the directory as it is: `venvtree create ENV`"),
    (
        &["--requirement", "--requirements", "-r"],
        "requirements with hashes are a lock: `--lock requirements.txt`, and `uv pip compile --generate-hashes` writes them; of others, install them afterwards with the environment's pip",
    ),
    (&["--force", "-F"], "use `--clear` or `--replace`"),
    (&["--no-clear"], "leave it out: nothing is cleared unless `--clear` or `--replace` is given"),
    (&["--out", "-o"], "give the directory as it is: `venvtree create ENV`"),
    (&["--threads"], "set the variable VENVTREE_THREADS"),
];

/// Of `create --lock`, where that is something else.
const CREATE_LOCKED: &Answers = &[
    (&["--download"], "leave it out: what the lock says is fetched anyway"),
    (&["--upgrade-deps"], "leave it out: the environment holds what the lock says"),
    (
        &["--python-platform", "--target"],
        "an environment for another machine is built by `venvtree build --lock LOCK --target TARGET --out DIR`, with a target such as linux-x86_64-3.12",
    ),
    (
        &["--python-version"],
        "use `--python VERSION`; for another machine, `venvtree build --lock LOCK --target TARGET --out DIR`",
    ),
    (
        &["--reinstall", "--reinstall-package", "--force-reinstall"],
        "use `--clear`, which makes the environment anew",
    ),
    (&["--compile-bytecode", "--compile"], "use `--bytecode`"),
    (
        &["--active"],
        "name the environment: `venvtree create \"$VIRTUAL_ENV\" --replace --lock LOCK`",
    ),
];

/// Of `build --lock`.
const BUILD_LOCKED: &Answers = &[
    (&["--python-platform"], "use `--target TARGET`, such as linux-x86_64-3.12"),
    (
        &["--python-version"],
        "use `--python VERSION`, or for another machine `--target TARGET`, such as linux-x86_64-3.12",
    ),
    (
        &["--reinstall", "--reinstall-package", "--force-reinstall"],
        "use `--replace`: every file is looked at, and the environment is made anew if one is not as it should be",
    ),
    (&["--compile-bytecode", "--compile"], "use `--bytecode --compiler PYTHON`"),
    (&["--active"], "name the directory: `--out \"$VIRTUAL_ENV\" --replace`"),
    (&["--clear", "--force", "-F"], "use `--replace`"),
    (&["--cache-dir"], "use `--store DIR`"),
    (&["--no-cache"], "use `--no-store`"),
    (
        &["--directory", "--project"],
        "change to that directory first, or give LOCK and DIR with their paths",
    ),
];

/// Of everything that takes a lock.
const LOCKED: &Answers = &[
    (
        &["--locked"],
        "leave it out: whether the lock fits pyproject.toml is not looked at, and `uv lock --check` says it",
    ),
    (
        &["--dev"],
        "leave it out where the group `dev` counts anyway, which `--no-dev` would prevent; else use `--group dev`",
    ),
    (&["--only-dev"], "use `--only-group dev`"),
    (
        &["--no-editable"],
        "leave it out: the project's own code is not installed; a wheel of it can be given by `--supply WHEEL`",
    ),
    (
        &["--no-install-local", "--no-install-package"],
        "there is no such choice: `venvtree lock spec LOCK` writes a spec, whose list of wheels can be made shorter, for `venvtree build`",
    ),
    (
        &["--native-tls", "--system-certs"],
        "leave it out: the authorities of the system are trusted anyway",
    ),
    (&["--dry-run"], "`venvtree lock select LOCK` shows which wheels would be installed"),
    (
        &["--inexact"],
        "an environment is made as a whole: what is to be there besides is installed afterwards",
    ),
    (
        &["--refresh", "--refresh-package"],
        "use `--no-store`: nothing is taken then that was kept before",
    ),
    (
        &["--index", "-i", "--default-index", "--extra-index-url", "--pypi"],
        "use `--index-url URL`, once for each index: they are asked in that order",
    ),
    (&["--index-strategy"], "leave it out: a wheel is known by its hash, whichever index has it"),
    (&["--find-links", "-f"], "name a directory of wheels by `--wheels DIR`"),
    (
        &["--exclude-newer"],
        "leave it out: the lock says the versions; `uv lock` has such an option",
    ),
    (&["--keyring-provider"], "write name and password into .netrc, which is read"),
    (
        &["--upgrade", "-U", "--upgrade-package", "-P", "--upgrade-group"],
        "leave it out: a lock is not changed here; `uv lock --upgrade` does it",
    ),
    (
        &["--resolution", "--prerelease", "--fork-strategy", "--no-sources"],
        "leave it out: nothing is resolved, the lock says the versions",
    ),
    (
        &["--no-binary", "--no-binary-package"],
        "nothing is built: wheels that were built elsewhere are given by `--supply DIR`",
    ),
    (
        &[
            "--no-build-package",
            "--no-build-isolation",
            "--no-build-isolation-package",
            "--config-setting",
            "--config-settings",
            "--config-settings-package",
            "-C",
        ],
        "leave it out: nothing is built",
    ),
    (&["--output-format"], "use `--format json`"),
];

/// The tables of a command line, of which the first that has an option says what to do.
fn tables(arguments: &[OsString]) -> Vec<&'static Answers> {
    let has_lock = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .any(|argument| argument == "--lock" || argument.starts_with("--lock="));
    match (arguments.first().and_then(|first| first.to_str()), has_lock) {
        (Some("create"), true) => vec![CREATE_LOCKED, LOCKED, CREATE],
        (Some("create"), false) => vec![CREATE, CREATE_LOCKED, LOCKED],
        (Some("build"), true) => vec![BUILD_LOCKED, LOCKED],
        _ => Vec::new(),
    }
}

/// The error for an option of others, in the place of clap's; any other error comes back as it is.
/// `arguments` begin with the command.
pub(crate) fn answer(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let name = option.split(['=', ' ']).next().unwrap_or(option);
    let tables = tables(arguments);
    let mut answers = tables.iter().flat_map(|table| table.iter());
    let Some((_, instead)) = answers.find(|(names, _)| names.contains(&name)) else {
        return error;
    };
    let command = arguments.first().and_then(|first| first.to_str()).unwrap_or_default();
    clap::Error::raw(
        ErrorKind::UnknownArgument,
        format!("`venvtree {command}` has no option {name}\nhint: {instead}\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_is_answered_twice() {
        for table in [CREATE, CREATE_LOCKED, BUILD_LOCKED, LOCKED] {
            let mut names: Vec<&str> =
                table.iter().flat_map(|(names, _)| names.iter().copied()).collect();
            let number = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), number);
        }
    }
}
