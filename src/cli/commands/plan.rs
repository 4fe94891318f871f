//! `venvtree plan`.

use clap::Args;
use serde::{Serialize, Serializer};

use crate::cli::answer::{Answer, Printer, Warnings};
use crate::cli::inputs::spec as spec_input;
use crate::cli::io::Io;
use crate::cli::options::SpecArguments;
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::engine::{self, Places, Prepared, Session};
use crate::error::Error;
use crate::model::digest::Hash;
use crate::model::interpreter::Os;
use crate::model::manifest::EntryOrigin;
use crate::model::path::TreePath;
use crate::model::plan::{Inputs, LONGEST_PATH, Planned, PlannedNode};
use crate::model::spec::Spec;

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
}

/// What is to be planned.
pub(crate) struct Plan {
    session: Session,
    spec: Spec,
    places: Places,
}

impl Verb for PlanArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Plan, Error> {
        let session = spec_input::session(&self.spec.places, io)?;
        let (spec, places) = spec_input::read(&self.spec, io)?;
        Ok(Plan { session, spec, places })
    }
}

impl Request for Plan {
    fn run(self, _io: &mut Io<'_>) -> Result<PlanAnswer, Error> {
        let mut prepared = engine::prepare(&self.session, self.spec, &self.places)?;
        let warnings = std::mem::take(&mut prepared.plan.warnings);
        let (mut files, mut bytes, mut longest_path) = (0, 0, 0);
        for (path, planned) in &prepared.plan.entries {
            if let PlannedNode::File { size, .. } = &planned.node {
                files += 1;
                bytes += size;
            }
            let length = path.as_str().chars().map(char::len_utf16).sum();
            longest_path = longest_path.max(length);
        }
        let is_windows = prepared.spec.interpreter.platform.os() == Os::Windows;
        Ok(PlanAnswer {
            files,
            bytes,
            longest_path,
            longest_place: is_windows.then(|| LONGEST_PATH.saturating_sub(longest_path + 1)),
            entries: Entries(prepared),
            warnings: Warnings::new(warnings),
        })
    }
}

/// What a build would write.
#[derive(Serialize)]
pub(crate) struct PlanAnswer {
    files: usize,
    bytes: u64,
    longest_path: usize,
    longest_place: Option<usize>,
    entries: Entries,
    warnings: Warnings,
}

/// The entries of a plan, each of which is made when it is written.
struct Entries(Prepared);

impl Entries {
    fn each(&self, mut visit: impl FnMut(Entry) -> Result<(), Error>) -> Result<(), Error> {
        let inputs = self.0.inputs();
        let mut entries = self.0.plan.entries.iter();
        entries.try_for_each(|(path, planned)| visit(Entry::new(path, planned, &inputs)))
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inputs = self.0.inputs();
        let entries = self.0.plan.entries.iter();
        serializer.collect_seq(entries.map(|(path, planned)| Entry::new(path, planned, &inputs)))
    }
}

/// A path, what is there, and why.
#[derive(Debug, Serialize)]
struct Entry {
    path: TreePath,
    origin: EntryOrigin,
    #[serde(flatten)]
    node: Node,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    same: Vec<EntryOrigin>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losers: Vec<EntryOrigin>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Node {
    File { sha256: Hash, size: u64, executable: bool },
    Symlink { target: String },
}

impl Entry {
    fn new(path: &TreePath, planned: &Planned, inputs: &Inputs<'_>) -> Self {
        let origins = |list: &[_]| list.iter().map(|one| EntryOrigin::new(one, inputs)).collect();
        Self {
            path: path.clone(),
            origin: EntryOrigin::new(&planned.origin, inputs),
            node: match &planned.node {
                PlannedNode::File { sha256, size, kind, .. } => {
                    Node::File { sha256: *sha256, size: *size, executable: kind.is_executable() }
                }
                PlannedNode::Symlink(target) => Node::Symlink { target: target.to_string() },
            },
            same: origins(&planned.same),
            losers: origins(&planned.losers),
        }
    }

    fn text(&self) -> Text {
        let what = match &self.node {
            Node::File { size, executable, .. } => format!(
                "{}, {}",
                if *executable { "executable" } else { "file" },
                quantity::size(*size)
            ),
            Node::Symlink { target } => format!("link to {target}"),
        };
        let mut lines = vec![format!("{}  ({what})  {}", self.path, describe(&self.origin))];
        for (word, origins) in [("same as", &self.same), ("instead of", &self.losers)] {
            lines.extend(origins.iter().map(|origin| format!("    {word} {}", describe(origin))));
        }
        Text::of_lines(lines)
    }
}

impl Answer for PlanAnswer {
    const IS_LIST: bool = true;
    const IS_LONG: bool = true;

    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        self.entries.each(|entry| printer.print_text(&entry.text()))
    }

    fn warnings(&self) -> Option<&Warnings> {
        Some(&self.warnings)
    }

    fn summary(&self) -> Vec<String> {
        let files = quantity::count(self.files, "file");
        let bytes = quantity::size(self.bytes);
        vec![format!("{files}, {bytes}, longest path {} characters", self.longest_path)]
    }
}

/// Where an entry comes from, in a few words.
fn describe(origin: &EntryOrigin) -> String {
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
