//! Options that virtualenv, `python -m venv` and `uv venv` have and `venvtree create` has not, or
//! has under another name.
//!
//! Those that ask for what is the case here anyway, or that have a counterpart, are understood
//! ([`ForeignArguments`]); no help shows them. The others are answered with what to do instead
//! ([`answer`]).

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args};

/// Options of others that are understood.
#[derive(Debug, Args)]
pub struct ForeignArguments {
    /// Asks for what is the case anyway: nothing is downloaded or updated, no project is read, the
    /// interpreter is linked to.
    #[arg(
        long = "no-download",
        aliases = [
            "never-download", "no-periodic-update", "no-index", "no-python-downloads", "no-project", "no-config", "no-workspace",
            "no-site-packages", "symlinks", "no-wheel", "with-traceback",
        ],
        hide = true,
        action = ArgAction::Count
    )]
    given: u8,
    /// Of the interpreter no copy is made, of everything else there is one.
    #[arg(long, alias = "always-copy", hide = true)]
    pub(crate) copies: bool,
    /// The version of pip to begin with.
    #[arg(long, value_name = "VERSION", hide = true, conflicts_with = "no_seed")]
    pub(crate) pip: Option<String>,
    /// The version of setuptools to begin with.
    #[arg(long, value_name = "VERSION", hide = true, conflicts_with = "no_seed")]
    pub(crate) setuptools: Option<String>,
    /// Begin without pip.
    #[arg(long, hide = true, conflicts_with = "pip")]
    pub(crate) no_pip: bool,
    /// Begin without setuptools.
    #[arg(long, hide = true, conflicts_with = "setuptools")]
    pub(crate) no_setuptools: bool,
}

/// What asks for whatever version comes with the interpreter.
const BUNDLED: [&str; 2] = ["bundle", "embed"];

/// The seed that virtualenv's `--pip VERSION` and the like ask for, as `--seed` has it.
pub(crate) fn seed(name: &str, version: &str) -> String {
    if BUNDLED.contains(&version) { name.to_owned() } else { format!("{name}=={version}") }
}

/// Whether the value of `--wheel` is a version, as virtualenv has it, and no file.
pub(crate) fn is_version(value: &str) -> bool {
    BUNDLED.contains(&value)
        || !value.contains('/')
            && !value.ends_with(".whl")
            && value.parse::<pep440_rs::Version>().is_ok()
}

/// Options without a counterpart, and what to do instead.
const ANSWERS: [(&[&str], &str); 22] = [
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
        &["--python-platform", "--python-version"],
        "an environment for another machine is built by `venvtree build` from a spec that says so",
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
];

/// The error for an option of others, in the place of clap's; any other error comes back as it is.
pub(crate) fn answer(error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let name = option.split(['=', ' ']).next().unwrap_or(option);
    let Some((_, instead)) = ANSWERS.iter().find(|(names, _)| names.contains(&name)) else {
        return error;
    };
    clap::Error::raw(
        ErrorKind::UnknownArgument,
        format!("`venvtree create` has no option {name}\nhint: {instead}\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_wheel_is_a_version_or_a_file() {
        for version in ["0.42.0", "bundle", "embed", "1.0rc1"] {
            assert!(is_version(version), "{version}");
        }
        for file in ["wheel-0.42.0-py3-none-any.whl", "./0.42.0", "dist/x.whl", "no wheel", ""] {
            assert!(!is_version(file), "{file}");
        }
        assert_eq!(
            (seed("pip", "24.0"), seed("pip", "bundle")),
            ("pip==24.0".to_owned(), "pip".to_owned())
        );
    }

    #[test]
    fn no_option_is_answered_twice() {
        let mut names: Vec<&str> =
            ANSWERS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        let number = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), number);
    }
}
