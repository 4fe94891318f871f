//! `venvtree plan`.

use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, FormatArguments, QuietArguments, SpecArguments};
use crate::cli::io::Io;
use crate::cli::spec_input::{self, say_warnings, warnings_json};
use crate::cli::text::Text;
use crate::cli::{CommandResult, report, written};
use crate::engine;
use crate::model::interpreter::Os;
use crate::model::manifest::EntryOrigin;
use crate::model::plan::{LONGEST_PATH, PlannedNode};

/// Arguments of `venvtree plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree plan env.json
  venvtree plan env.json --format json |
      jq '.entries[] | select(.losers)'

Each line shows a path, what is there and where it comes from. Nothing is written.")]
pub struct PlanArguments {
    #[command(flatten)]
    spec: SpecArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Where an entry comes from, in a few words.
pub(super) fn describe(origin: &EntryOrigin) -> String {
    match origin {
        EntryOrigin { wheel: Some(wheel), member: Some(member), .. } => {
            format!("{wheel}: {member}")
        }
        EntryOrigin { wheel: Some(wheel), generator: Some(generator), .. } => {
            format!("{wheel}: generated ({generator})")
        }
        EntryOrigin { source: Some(source), file, .. } => {
            format!("source {source}: {}", file.as_deref().unwrap_or("the file"))
        }
        EntryOrigin { generator: Some(generator), file: Some(file), .. } => {
            format!("{generator}: {file}")
        }
        EntryOrigin { generator: Some(generator), .. } => format!("generated ({generator})"),
        _ => "unknown".to_owned(),
    }
}

/// Runs `venvtree plan`.
pub(super) fn run(arguments: &PlanArguments, io: &mut Io<'_>) -> CommandResult {
    let session = spec_input::session(&arguments.spec.places, io)?;
    let (spec, places) = spec_input::read(&arguments.spec, io)?;
    let prepared = engine::prepare(&session, spec, &places)?;
    let inputs = prepared.inputs();
    let (mut files, mut bytes, mut longest) = (0, 0, 0);
    let mut entries = Vec::new();
    for (path, planned) in &prepared.plan.entries {
        let origin = EntryOrigin::new(&planned.origin, &inputs);
        let same: Vec<EntryOrigin> =
            planned.same.iter().map(|origin| EntryOrigin::new(origin, &inputs)).collect();
        let losers: Vec<EntryOrigin> =
            planned.losers.iter().map(|origin| EntryOrigin::new(origin, &inputs)).collect();
        longest = longest.max(path.as_str().chars().map(char::len_utf16).sum());
        let what = match &planned.node {
            PlannedNode::File { size, executable, .. } => {
                files += 1;
                bytes += size;
                format!(
                    "{}, {}",
                    if *executable { "executable" } else { "file" },
                    report::size(*size)
                )
            }
            PlannedNode::Symlink(target) => format!("link to {target}"),
        };
        if arguments.format.format == Format::Json {
            let mut entry = json!({"path": path, "origin": origin});
            match &planned.node {
                PlannedNode::File { sha256, size, executable, .. } => {
                    entry["kind"] = json!("file");
                    entry["sha256"] = json!(sha256);
                    entry["size"] = json!(size);
                    entry["executable"] = json!(executable);
                }
                PlannedNode::Symlink(target) => {
                    entry["kind"] = json!("symlink");
                    entry["target"] = json!(target);
                }
            }
            for (key, origins) in [("same", same), ("losers", losers)] {
                if !origins.is_empty() {
                    entry[key] = json!(origins);
                }
            }
            entries.push(entry);
        } else {
            let mut lines = vec![format!("{path}  ({what})  {}", describe(&origin))];
            for (word, origins) in [("same as", &same), ("instead of", &losers)] {
                for origin in origins {
                    lines.push(format!("    {word} {}", describe(origin)));
                }
            }
            written(io.print_text(&Text::of_lines(lines)))?;
        }
    }
    say_warnings(io, &prepared.plan.warnings);
    if arguments.format.format == Format::Json {
        let value = json!({
            "files": files,
            "bytes": bytes,
            "longest_path": longest,
            "longest_place": (prepared.spec.interpreter.platform.os() == Os::Windows).then(|| LONGEST_PATH.saturating_sub(longest + 1)),
            "entries": entries,
            "warnings": warnings_json(&prepared.plan.warnings),
        });
        report::document(io, value)?;
    } else {
        arguments.quiet.say(
            io,
            &format!(
                "{}, {}, longest path {longest} characters",
                report::count(files, "file"),
                report::size(bytes)
            ),
        );
    }
    Ok(0)
}
