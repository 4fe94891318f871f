//! `venvtree diff`.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, FormatArguments, PlacesArguments, QuietArguments};
use crate::cli::io::Io;
use crate::cli::subject::{self, Subject};
use crate::cli::{CommandResult, DIFFERENCES, report, spec_input, written};
use crate::error::Error;
use crate::model::tree::walk::{self, Difference};
use crate::model::tree::{Leaf, Node};
use crate::model::verify::describe;

/// Arguments of `venvtree diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree diff .venv other/.venv
  venvtree diff old.manifest.json env.json
  venvtree diff old.manifest.json new.manifest.json \\
      --format json

Each side is a directory, a manifest or a spec. The exit code is 1 if they differ.")]
pub struct DiffArguments {
    /// The first environment.
    #[arg(value_name = "A")]
    first: Utf8PathBuf,
    /// The second one.
    #[arg(value_name = "B")]
    second: Utf8PathBuf,
    #[command(flatten)]
    places: PlacesArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// What changed for one distribution, or for what belongs to none.
#[derive(Default)]
struct Change {
    before: Option<String>,
    after: Option<String>,
    lines: Vec<Line>,
}

/// One path that changed.
struct Line {
    sign: char,
    path: String,
    script: bool,
    detail: String,
}

/// What belongs to no distribution.
const ENVIRONMENT: &str = "";

/// Runs `venvtree diff`.
pub(super) fn run(arguments: &DiffArguments, io: &mut Io<'_>) -> CommandResult {
    let session = spec_input::session(&arguments.places, io)?;
    let mut first = subject::read(&arguments.first, None, &arguments.places, &session, io)?;
    let mut second = subject::read(&arguments.second, None, &arguments.places, &session, io)?;
    if first.tree.function() != second.tree.function() {
        // A directory has no digest function of its own.
        let reread = |path: &Utf8PathBuf, function, io: &mut Io<'_>| {
            if !io.resolve(path).is_dir() {
                let message = "the two sides have different digest functions".to_owned();
                return Err(Error::Usage {
                    message,
                    hint: Some("compare one of them as a directory".to_owned()),
                });
            }
            subject::read(path, Some(function), &arguments.places, &session, io)
        };
        if io.resolve(&arguments.first).is_dir() {
            first = reread(&arguments.first, second.tree.function(), io)?;
        } else {
            second = reread(&arguments.second, first.tree.function(), io)?;
        }
    }
    let changes = changes(&first, &second);
    let equal = changes.is_empty() && first.odd == second.odd;
    if arguments.format.format == Format::Json {
        report::document(io, to_json(&first, &second, &changes, equal))?;
    } else {
        for (distribution, change) in &changes {
            written(io.print(&heading(distribution, change)))?;
            for line in &change.lines {
                let kind = if line.script { "script " } else { "" };
                written(io.print(&format!("  {} {kind}{}{}", line.sign, line.path, line.detail)))?;
            }
        }
        if equal {
            arguments.quiet.say(io, "no differences");
        } else {
            arguments.quiet.say(
                io,
                &format!(
                    "{} and {} differ in {}",
                    first.name,
                    second.name,
                    report::count(changes.len(), "part")
                ),
            );
        }
    }
    Ok(if equal { 0 } else { DIFFERENCES })
}

fn heading(distribution: &str, change: &Change) -> String {
    match (distribution, &change.before, &change.after) {
        (ENVIRONMENT, ..) => "the environment itself".to_owned(),
        (name, Some(before), Some(after)) if before == after => format!("{name} {before}"),
        (name, Some(before), Some(after)) => format!("{name} {before} -> {after}"),
        (name, Some(before), None) => format!("{name} {before} removed"),
        (name, None, Some(after)) => format!("{name} {after} added"),
        (name, None, None) => name.to_owned(),
    }
}

fn is_script(path: &str) -> bool {
    path.starts_with("bin/") || path.starts_with("Scripts/")
}

fn changes(first: &Subject, second: &Subject) -> BTreeMap<String, Change> {
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    let names: BTreeSet<&String> =
        first.owners.versions.keys().chain(second.owners.versions.keys()).collect();
    let version = |subject: &Subject, name: &str| subject.owners.versions.get(name).cloned();
    for name in names {
        let (before, after) = (version(first, name), version(second, name));
        if before != after {
            changes.insert(name.clone(), Change { before, after, lines: Vec::new() });
        }
    }
    for difference in walk::differences(&first.tree, &second.tree) {
        let (sign, path, detail) = match &difference {
            // Directories go without saying, unless there is nothing in them.
            Difference::OnlyFirst(_, Node::Directory(directory))
            | Difference::OnlySecond(_, Node::Directory(directory))
                if !directory.entries().is_empty() =>
            {
                continue;
            }
            Difference::OnlyFirst(path, _) => ('-', path, String::new()),
            Difference::OnlySecond(path, _) => ('+', path, String::new()),
            Difference::Changed(path, before, after) => ('~', path, changed(before, after)),
        };
        let owner = first
            .owners
            .paths
            .get(path.as_str())
            .or_else(|| second.owners.paths.get(path.as_str()));
        let owner = owner.map_or(ENVIRONMENT, String::as_str);
        let change = changes.entry(owner.to_owned()).or_insert_with(|| Change {
            before: version(first, owner),
            after: version(second, owner),
            lines: Vec::new(),
        });
        change.lines.push(Line {
            sign,
            path: path.to_string(),
            script: is_script(path.as_str()),
            detail,
        });
    }
    changes
}

fn changed(before: &Node, after: &Node) -> String {
    match (before, after) {
        (
            Node::Leaf(Leaf::File { blob, executable }),
            Node::Leaf(Leaf::File { blob: other, executable: now }),
        ) => {
            if blob != other {
                let (before, after) = (blob.0.size, other.0.size);
                if before == after {
                    String::new()
                } else {
                    format!(" ({before} -> {after} bytes)")
                }
            } else if executable != now {
                format!(" (now {})", if *now { "executable" } else { "not executable" })
            } else {
                String::new()
            }
        }
        _ => format!(" ({} -> {})", describe(before), describe(after)),
    }
}

fn to_json(
    first: &Subject,
    second: &Subject,
    changes: &BTreeMap<String, Change>,
    equal: bool,
) -> serde_json::Value {
    let list: Vec<serde_json::Value> = changes
        .iter()
        .map(|(distribution, change)| {
            let paths: Vec<serde_json::Value> = change
                .lines
                .iter()
                .map(|line| {
                    let what = match line.sign {
                        '-' => "removed",
                        '+' => "added",
                        _ => "changed",
                    };
                    json!({"path": line.path, "change": what, "script": line.script})
                })
                .collect();
            let name = if distribution == ENVIRONMENT { serde_json::Value::Null } else { json!(distribution) };
            json!({"distribution": name, "before": change.before, "after": change.after, "paths": paths})
        })
        .collect();
    json!({
        "equal": equal,
        "first": {"name": first.name, "digest": first.tree.digest().to_string()},
        "second": {"name": second.name, "digest": second.tree.digest().to_string()},
        "changes": list,
    })
}
