//! `venvtree create --relocatable` of an environment that is there already.

use camino::Utf8Path;
use serde_json::json;

use crate::cli::args::Format;
use crate::cli::io::Io;
use crate::cli::{CommandResult, report, written};
use crate::effects::relocate;
use crate::effects::work::parallel;

/// Makes the files of an environment relocatable and lists what is left.
pub(super) fn run(
    name: &Utf8Path,
    place: &Utf8Path,
    quiet: bool,
    format: Format,
    io: &mut Io<'_>,
) -> CommandResult {
    let relocation = relocate::relocate(place, parallel::available())?;
    if format == Format::Json {
        let left: Vec<serde_json::Value> = relocation
            .left
            .iter()
            .map(|(path, reason)| json!({"path": path, "reason": reason}))
            .collect();
        let value = json!({
            "outcome": if relocation.changed.is_empty() { "up-to-date" } else { "relocated" },
            "out": name,
            "changed": relocation.changed,
            "left": left,
            "bytecode": relocation.bytecode,
        });
        report::document(io, value)?;
        return Ok(0);
    }
    if !quiet {
        for path in &relocation.changed {
            written(io.print(&format!("rewritten {path}")))?;
        }
    }
    for (path, reason) in &relocation.left {
        written(io.print(&format!("left {path}: {reason}")))?;
    }
    if !quiet {
        if relocation.bytecode > 0 {
            let files = report::count(relocation.bytecode, "file");
            io.say(&format!(
                "besides, {files} of bytecode name the environment's place, which does no harm"
            ));
        }
        let changed = report::count(relocation.changed.len(), "file");
        let left = match relocation.left.len() {
            0 => "nothing leads to an absolute place any more".to_owned(),
            number => format!("{} could not be changed", report::count(number, "thing")),
        };
        io.say(&format!("{name}: {changed} rewritten, {left}"));
    }
    Ok(0)
}
