//! Options that virtualenv, `python -m venv` and `uv venv` have and `venvtree create` has not, or
//! has under another name.
//!
//! Those that ask for what is the case here anyway, or that have a counterpart, are understood
//! ([`ForeignArguments`]); no help shows them. The others are answered with what to do instead
//! (`cli/foreign.rs`).

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
}
