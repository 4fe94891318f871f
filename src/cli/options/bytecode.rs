//! Options that say how bytecode is made.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::error::Error;
use crate::model::bytecode::modules::{DEFAULT_EXCLUDE, Excluded};
use crate::model::bytecode::{Level, Validation};

/// Which bytecode is made of which modules.
#[derive(Debug, Args)]
pub struct WayArguments {
    /// How much is left out: 0 nothing, 1 assertions, as -O does, 2 docstrings as well; several
    /// with commas.
    #[arg(long, value_name = "LEVELS", default_value = "0", value_parser = levels)]
    pub levels: Levels,
    /// `unchecked`: Python never looks whether a source was edited; `checked`: it compares a hash
    /// of the source at each import.
    #[arg(long, value_name = "HOW", default_value = "unchecked", value_parser = validation())]
    pub validation: Validation,
    /// Leave out modules that match this pattern, such as `**/tests/**`; may be repeated. Without
    /// it, tests are left out.
    #[arg(long, value_name = "PATTERN", conflicts_with = "all")]
    exclude: Vec<String>,
    /// Leave out nothing.
    #[arg(long)]
    all: bool,
}

impl WayArguments {
    /// The modules that are left out.
    ///
    /// # Errors
    /// A pattern cannot be read.
    pub(crate) fn excluded(&self) -> Result<Excluded, Error> {
        let patterns: Vec<&str> = match (self.all, self.exclude.is_empty()) {
            (false, true) => DEFAULT_EXCLUDE.to_vec(),
            (_, _) => self.exclude.iter().map(String::as_str).collect(),
        };
        Excluded::new(patterns).map_err(|(pattern, problem)| {
            Error::usage(format!("the pattern `{pattern}` cannot be read: {problem}"))
                .hint("patterns are those of `exclude` in a spec: `*`, `**`, `?`, `[a-z]`, `{a,b}`")
        })
    }
}

/// Which bytecode an environment gets, and who makes it.
#[derive(Debug, Args)]
pub struct BytecodeArguments {
    /// Give modules bytecode of these levels [default: 0], although the spec asks for none: 0 leaves
    /// out nothing, 1 assertions, 2 docstrings as well; several with commas.
    #[arg(long, value_name = "LEVELS", num_args = 0..=1, require_equals = true, default_missing_value = "0", value_parser = levels)]
    pub bytecode: Option<Levels>,
    #[command(flatten)]
    /// Who makes it.
    pub compiler: CompilerArguments,
}

impl BytecodeArguments {
    /// Refuses to take for the name of an environment what follows `--bytecode` and may be levels.
    ///
    /// # Errors
    /// It may be both.
    pub(crate) fn refuse_levels_apart(&self, environment: &str) -> Result<(), Error> {
        match self.bytecode.is_some() && levels(environment).is_ok() {
            false => Ok(()),
            true => Err(Error::usage(format!(
                "`{environment}` may be levels of --bytecode, or the name of the environment"
            ))
            .hint(format!(
                "write `--bytecode={environment}` for levels, `./{environment}` for the name"
            ))),
        }
    }
}

/// Who compiles.
#[derive(Debug, Args)]
pub struct CompilerArguments {
    /// The interpreter that compiles what has no bytecode yet, where the spec asks for bytecode: a
    /// path, or a version that is installed.
    #[arg(long, value_name = "PYTHON")]
    pub compiler: Option<String>,
}

/// Some levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(pub BTreeSet<Level>);

/// Reads levels: numbers with commas between them.
pub(crate) fn levels(text: &str) -> Result<Levels, String> {
    let level = |text: &str| {
        let number = text.parse().ok().filter(|_| text.len() == 1);
        number
            .and_then(Level::new)
            .ok_or_else(|| format!("`{text}` is no level, expected 0, 1 or 2"))
    };
    text.split(',').map(level).collect::<Result<_, _>>().map(Levels)
}

/// The ways in which Python knows whether bytecode is still that of its source.
pub(crate) fn validation() -> impl TypedValueParser<Value = Validation> {
    PossibleValuesParser::new(Validation::ALL.map(|(name, _)| name)).map(|text| {
        let found = Validation::ALL.into_iter().find(|(name, _)| *name == text);
        found.map_or_else(Validation::default, |(_, validation)| validation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_numbers_with_commas() {
        let numbers = |text| levels(text).unwrap().0.iter().map(|level| level.number()).collect();
        let numbers: [Vec<u8>; 2] = [numbers("0"), numbers("2,0,2")];
        assert_eq!(numbers, [vec![0], vec![0, 2]]);
        for text in ["", "3", "0,", "01", "+1", "0-2"] {
            assert!(levels(text).unwrap_err().contains("expected 0, 1 or 2"), "{text}");
        }
    }
}
