//! Options that say how bytecode is made.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::error::Error;
use crate::model::bytecode::modules::{DEFAULT_EXCLUDE, Excluded, matches_nothing};
use crate::model::bytecode::{Level, Validation};
use crate::model::spec::{Bytecode, Spec};

/// Which bytecode is made of which modules.
#[derive(Debug, Args)]
pub struct WayArguments {
    /// How much is left out: 0 nothing, 1 assertions, as -O does, 2 docstrings as well; several
    /// with commas [default: what the spec asks for, or 0].
    #[arg(long, value_name = "LEVELS", value_parser = levels)]
    levels: Option<Levels>,
    /// `unchecked`: Python never looks whether a source was edited; `checked`: it compares a hash
    /// of the source at each import [default: what the spec asks for, or unchecked].
    #[arg(long, value_name = "HOW", value_parser = validation())]
    validation: Option<Validation>,
    /// Leave out modules that match this pattern, such as `**/tests/**`; may be repeated. Without
    /// it, tests are left out.
    #[arg(long, value_name = "PATTERN", conflicts_with = "all")]
    exclude: Vec<String>,
    /// Leave out nothing.
    #[arg(long)]
    all: bool,
}

impl WayArguments {
    /// The levels; where nothing is said, those that a spec asks for.
    pub(crate) fn levels(&self, asked: Option<&Bytecode>) -> BTreeSet<Level> {
        match (&self.levels, asked) {
            (Some(Levels(levels)), _) => levels.clone(),
            (None, Some(asked)) => asked.levels.clone(),
            (None, None) => BTreeSet::from([Level::default()]),
        }
    }

    /// The validation, likewise.
    pub(crate) fn validation(&self, asked: Option<&Bytecode>) -> Validation {
        self.validation.or(asked.map(|asked| asked.validation)).unwrap_or_default()
    }

    /// The modules that are left out, likewise.
    ///
    /// # Errors
    /// A pattern cannot be read.
    pub(crate) fn excluded(&self, asked: Option<&Bytecode>) -> Result<Excluded, Error> {
        match (self.all, &*self.exclude, asked) {
            (false, [], Some(asked)) => Ok(asked.excluded()),
            (false, [], None) => patterns(DEFAULT_EXCLUDE),
            (_, exclude, _) => patterns(exclude.iter().map(String::as_str)),
        }
    }
}

/// Reads patterns of modules.
///
/// # Errors
/// One cannot be read, or matches nothing whatever there is.
fn patterns<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Excluded, Error> {
    let patterns: Vec<&str> = patterns.into_iter().collect();
    if let Some((pattern, why)) = patterns.iter().find_map(|one| Some((one, matches_nothing(one)?)))
    {
        let message = format!("the pattern `{pattern}` can match no module: {why}");
        return Err(Error::usage(message).into());
    }
    Excluded::new(patterns).map_err(|(pattern, problem)| {
        Error::usage(format!("the pattern `{pattern}` cannot be read: {problem}"))
            .hint("patterns are those of `exclude` in a spec: `*`, `**`, `?`, `[a-z]`, `{a,b}`")
    })
}

/// Which bytecode an environment gets, and who makes it.
#[derive(Debug, Args)]
pub struct BytecodeArguments {
    /// Give modules bytecode of these levels [default: 0], although the spec asks for none: 0 leaves
    /// out nothing, 1 assertions, 2 docstrings as well; several with commas.
    #[arg(long, value_name = "LEVELS", num_args = 0..=1, require_equals = true, default_missing_value = "0", value_parser = levels)]
    bytecode: Option<Levels>,
    /// Leave out modules that match this pattern, besides tests or what the spec leaves out, such as
    /// `django/contrib/**`; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    bytecode_exclude: Vec<String>,
    #[command(flatten)]
    /// Who makes it.
    pub compiler: CompilerArguments,
}

impl BytecodeArguments {
    /// Whether some is asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.bytecode.is_some()
    }

    /// Whether a spec may become another one.
    pub(crate) fn changes_specs(&self) -> bool {
        self.is_wanted() || !self.bytecode_exclude.is_empty()
    }

    /// Has a spec ask for what is asked for here.
    ///
    /// # Errors
    /// The spec asks for some itself, there is none for its interpreter or that could be left out, or
    /// a pattern cannot be read.
    pub(crate) fn ask(self, spec: &mut Spec, validation: Validation) -> Result<(), Error> {
        patterns(self.bytecode_exclude.iter().map(String::as_str))?;
        match (self.bytecode, &mut spec.bytecode) {
            (Some(_), Some(_)) => {
                let hint = "leave --bytecode out, or change the spec's field `bytecode`";
                return Err(Error::usage("the spec says itself which bytecode it wants").hint(hint));
            }
            (Some(Levels(levels)), None) => {
                let bytecode = Bytecode::of(&spec.interpreter, levels);
                let mut bytecode =
                    bytecode.map_err(|problem| Error::usage(problem.message).hint(problem.hint))?;
                bytecode.exclude.extend(self.bytecode_exclude);
                spec.bytecode = Some(Bytecode { validation, ..bytecode });
            }
            (None, Some(asked)) => asked.exclude.extend(self.bytecode_exclude),
            (None, None) if self.bytecode_exclude.is_empty() => {}
            (None, None) => return Err(idle("--bytecode-exclude", "leaves modules out of")),
        }
        Ok(())
    }

    /// Refuses what has no meaning without bytecode, where a spec cannot ask for it.
    ///
    /// # Errors
    /// There is such an option.
    pub(crate) fn refuse_idle(&self) -> Result<(), Error> {
        if self.is_wanted() {
            Ok(())
        } else if self.compiler.compiler.is_some() {
            Err(idle("--compiler", "compiles"))
        } else if !self.bytecode_exclude.is_empty() {
            Err(idle("--bytecode-exclude", "leaves modules out of"))
        } else {
            Ok(())
        }
    }

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

fn idle(option: &str, does: &str) -> Error {
    Error::usage(format!("`{option}` {does} bytecode, and none is asked for"))
        .hint("add --bytecode")
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
