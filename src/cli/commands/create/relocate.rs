//! `venvtree create --relocatable` of an environment that is there already.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::cli::answer::{Answer, Printer};
use crate::cli::quantity;
use crate::engine::directories;
use crate::error::Error;

/// Makes the files of an environment relocatable and lists what is left.
pub(crate) fn run(name: Utf8PathBuf, place: &Utf8Path) -> Result<RelocateAnswer, Error> {
    let relocation = directories::relocate(place)?;
    let left = relocation.left.into_iter().map(|(path, reason)| Left { path, reason });
    Ok(RelocateAnswer {
        outcome: if relocation.changed.is_empty() { "up-to-date" } else { "relocated" },
        out: name,
        changed: relocation.changed,
        left: left.collect(),
        bytecode: relocation.bytecode,
    })
}

/// What was rewritten and what was left.
#[derive(Debug, Serialize)]
pub(crate) struct RelocateAnswer {
    outcome: &'static str,
    out: Utf8PathBuf,
    changed: Vec<String>,
    left: Vec<Left>,
    bytecode: usize,
}

/// What could not be changed, and why.
#[derive(Debug, Serialize)]
struct Left {
    path: String,
    reason: String,
}

impl Answer for RelocateAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        for path in &self.changed {
            printer.print_unless_quiet(&format!("rewritten {path}"))?;
        }
        for Left { path, reason } in &self.left {
            printer.print(&format!("left {path}: {reason}"))?;
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.bytecode > 0 {
            let files = quantity::count(self.bytecode, "file");
            lines.push(format!(
                "besides, {files} of bytecode name the environment's place, which does no harm"
            ));
        }
        let changed = quantity::count(self.changed.len(), "file");
        let left = match self.left.len() {
            0 => "nothing leads to an absolute place any more".to_owned(),
            number => format!("{} could not be changed", quantity::count(number, "thing")),
        };
        lines.push(format!("{}: {changed} rewritten, {left}", self.out));
        lines
    }
}
