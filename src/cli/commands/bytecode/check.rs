//! `venvtree bytecode check`.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::Answer;
use crate::cli::inputs::{compiler, spec as spec_input};
use crate::cli::io::Io;
use crate::cli::options::SpecArguments;
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::files;
use crate::engine::reproduce::{self, CheckError, Reproduced};
use crate::engine::{Places, Session};
use crate::error::Error;
use crate::model::spec::Spec;

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree bytecode check [OPTIONS] <SPEC>
           --compiler <PYTHON>";

/// Arguments of `venvtree bytecode check`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Modules are compiled in order by interpreters that have just started, and in another order by some that have imported \
much before; both must make the same bytes. With --tree, what lies there must be the same, too. In place of a spec, \
the directory of an environment may stand: whatever has bytecode there is compiled again.")]
pub struct CheckArguments {
    #[command(flatten)]
    spec: SpecArguments,
    /// The interpreter that compiles.
    #[arg(long, value_name = "PYTHON")]
    compiler: String,
    /// An environment of the spec, whose bytecode is compared as well.
    #[arg(long, value_name = "DIR")]
    tree: Option<Utf8PathBuf>,
}

/// What is compiled twice.
pub(crate) struct Check {
    session: Session,
    python: Utf8PathBuf,
    what: What,
}

/// What has modules.
enum What {
    /// A spec, and an environment of it.
    Spec(Box<Spec>, Places, Option<Utf8PathBuf>),
    /// An environment alone.
    Tree(Utf8PathBuf),
}

impl Verb for CheckArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Check, Error> {
        let session = spec_input::session(&self.spec.places, io)?;
        let python = compiler::find(&self.compiler, io)?;
        let tree = self.tree.map(|tree| io.resolve(&tree));
        let environment = io.resolve(&self.spec.spec);
        if self.spec.spec != "-" && files::is_environment(&environment) {
            if tree.is_some() {
                let problem = "an environment stands in place of the spec, and `--tree` names one";
                return Err(Error::usage(problem).hint("name one of them"));
            }
            return Ok(Check { session, python, what: What::Tree(environment) });
        }
        let (spec, places) = spec_input::read(&self.spec, io)?;
        Ok(Check { session, python, what: What::Spec(Box::new(spec), places, tree) })
    }
}

impl Request for Check {
    fn run(self, _io: &mut Io<'_>) -> Result<CheckAnswer, Error> {
        let Self { session, python, what } = self;
        let Reproduced { modules, compared, different } = match what {
            What::Spec(spec, places, tree) => {
                reproduce::check(&session, *spec, &places, &python, tree.as_ref())?
            }
            What::Tree(tree) => reproduce::check_tree(&session, &tree, &python)?,
        };
        if !different.is_empty() {
            return Err(CheckError::Different(different).into());
        }
        Ok(CheckAnswer { modules, compared })
    }
}

/// What was the same.
#[derive(Debug, Serialize)]
pub(crate) struct CheckAnswer {
    modules: usize,
    compared: usize,
}

impl Answer for CheckAnswer {
    fn summary(&self) -> Vec<String> {
        let modules = quantity::count(self.modules, "module");
        let compared = match self.compared {
            0 => String::new(),
            compared => {
                format!("; {} compared with what is there", quantity::count(compared, "file"))
            }
        };
        vec![format!("the same twice: {modules}{compared}")]
    }
}
