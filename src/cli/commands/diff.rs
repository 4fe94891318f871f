//! `venvtree diff`.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use clap::Args;
use serde::{Serialize, Serializer};

use crate::cli::answer::{Answer, DIFFERENCES, Printer};
use crate::cli::inputs::spec as spec_input;
use crate::cli::inputs::subject::{self, Owners, Subject};
use crate::cli::io::Io;
use crate::cli::options::PlacesArguments;
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::Session;
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
}

/// The two sides.
pub(crate) struct Diff {
    session: Session,
    sides: DiffArguments,
}

impl Verb for DiffArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Diff, Error> {
        let session = spec_input::session(&self.places, io)?;
        Ok(Diff { session, sides: self })
    }
}

impl Request for Diff {
    fn run(self, io: &mut Io<'_>) -> Result<DiffAnswer, Error> {
        let (first, second) = self.read(io)?;
        let changes = changes(&first, &second);
        let answer = DiffAnswer {
            equal: changes.is_empty() && first.odd == second.odd,
            first: Side::of(&first),
            second: Side::of(&second),
            changes,
        };
        io.let_go((first, second));
        Ok(answer)
    }
}

impl Diff {
    /// Both sides, with one digest function.
    fn read(&self, io: &mut Io<'_>) -> Result<(Subject, Subject), Error> {
        let paths = [self.sides.first.as_path(), self.sides.second.as_path()];
        let (first, second) = subject::read_both(paths, &self.sides.places, &self.session, io)?;
        let mut read = |path: &Utf8PathBuf, function| {
            subject::read(path, function, &self.sides.places, &self.session, io)
        };
        if first.tree.function() == second.tree.function() {
            return Ok((first, second));
        }
        // A directory has no digest function of its own.
        if first.is_directory {
            Ok((read(&self.sides.first, Some(second.tree.function()))?, second))
        } else if second.is_directory {
            let second = read(&self.sides.second, Some(first.tree.function()))?;
            Ok((first, second))
        } else {
            Err(Error::usage("the two sides have different digest functions")
                .hint("compare one of them as a directory"))
        }
    }
}

/// How two environments differ.
#[derive(Debug, Serialize)]
pub(crate) struct DiffAnswer {
    equal: bool,
    first: Side,
    second: Side,
    #[serde(serialize_with = "documents")]
    changes: BTreeMap<String, Change>,
}

#[derive(Debug, Serialize)]
struct Side {
    name: String,
    digest: String,
}

impl Side {
    fn of(subject: &Subject) -> Self {
        Self { name: subject.name.clone(), digest: subject.tree.digest().to_string() }
    }
}

/// What changed for one distribution, or for what belongs to none.
#[derive(Debug, Default)]
struct Change {
    before: Option<String>,
    after: Option<String>,
    lines: Vec<Line>,
}

/// One path that changed.
#[derive(Debug)]
struct Line {
    sign: char,
    path: String,
    script: bool,
    detail: String,
}

/// What belongs to no distribution.
const ENVIRONMENT: &str = "";

/// A change in a document.
#[derive(Serialize)]
struct ChangeDocument<'a> {
    distribution: Option<&'a str>,
    before: Option<&'a str>,
    after: Option<&'a str>,
    paths: Vec<PathDocument<'a>>,
}

#[derive(Serialize)]
struct PathDocument<'a> {
    path: &'a str,
    change: &'static str,
    script: bool,
}

impl<'a> PathDocument<'a> {
    fn new(line: &'a Line) -> Self {
        let change = match line.sign {
            '-' => "removed",
            '+' => "added",
            _ => "changed",
        };
        Self { path: &line.path, change, script: line.script }
    }
}

fn documents<S: Serializer>(
    changes: &BTreeMap<String, Change>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(changes.iter().map(|(distribution, change)| ChangeDocument {
        distribution: Some(distribution.as_str()).filter(|name| *name != ENVIRONMENT),
        before: change.before.as_deref(),
        after: change.after.as_deref(),
        paths: change.lines.iter().map(PathDocument::new).collect(),
    }))
}

impl Answer for DiffAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        for (distribution, change) in &self.changes {
            printer.print(&heading(distribution, change))?;
            for Line { sign, path, script, detail } in &change.lines {
                let kind = if *script { "script " } else { "" };
                printer.print(&format!("  {sign} {kind}{path}{detail}"))?;
            }
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        if self.equal {
            return vec!["no differences".to_owned()];
        }
        let parts = quantity::count(self.changes.len(), "part");
        vec![format!("{} and {} differ in {parts}", self.first.name, self.second.name)]
    }

    fn exit_code(&self) -> u8 {
        if self.equal { 0 } else { DIFFERENCES }
    }
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
    if first.tree.digest() == second.tree.digest() {
        return changes;
    }
    let (old, new) = (first.owners(), second.owners());
    let names: BTreeSet<&String> = old.versions.keys().chain(new.versions.keys()).collect();
    let version = |owners: &Owners, name: &str| owners.versions.get(name).cloned();
    for name in names {
        let (before, after) = (version(&old, name), version(&new, name));
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
        let owner = old.paths.get(path.as_str()).or_else(|| new.paths.get(path.as_str()));
        let owner = owner.map_or(ENVIRONMENT, String::as_str);
        let change = changes.entry(owner.to_owned()).or_insert_with(|| Change {
            before: version(&old, owner),
            after: version(&new, owner),
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
            Node::Leaf(Leaf::File { blob, kind }),
            Node::Leaf(Leaf::File { blob: other, kind: now }),
        ) => {
            if blob != other {
                let (before, after) = (blob.0.size, other.0.size);
                if before == after {
                    String::new()
                } else {
                    format!(" ({before} -> {after} bytes)")
                }
            } else if kind != now {
                format!(
                    " (now {})",
                    if now.is_executable() { "executable" } else { "not executable" }
                )
            } else {
                String::new()
            }
        }
        _ => format!(" ({} -> {})", describe(before), describe(after)),
    }
}
