//! What is known of an environment without its wheels: what a cache's result is compared with
//! before it is believed.
//!
//! Part of the engine. Nothing but a server says that a tree is the result of an action, and a
//! store may have been filled by a venvtree that laid environments out in another way: the tree
//! must at least look like what this one would make.

use std::collections::BTreeSet;

use crate::effects::source::listing::ListedFiles;
use crate::engine::inputs::Inputs;
use crate::model::digest::{BlobDigest, Digest, DigestFunction};
use crate::model::name::DistName;
use crate::model::path::{LinkTarget, TreePath};
use crate::model::plan::{self, Content, PlannedNode};
use crate::model::spec::Spec;
use crate::model::tree::receive::OutwardLinks;
use crate::model::tree::{Directory, Leaf, Node, Tree};
use crate::model::workers::Alone;

/// What an environment of the spec holds whatever its wheels hold.
pub(super) struct Skeleton {
    /// The links, whose targets nothing but the spec says.
    links: Vec<(TreePath, LinkTarget)>,
    files: Vec<(TreePath, Leaf)>,
}

impl Skeleton {
    /// Plans the spec without its wheels and sources; nothing where that is no plan.
    pub fn of(inputs: &Inputs<'_>) -> Option<Self> {
        let spec = &inputs.spec;
        let bare = Spec { wheels: Vec::new(), sources: Vec::new(), bytecode: None, ..spec.clone() };
        let inputs = plan::Inputs {
            wheels: Vec::new(),
            sources: Vec::new(),
            interpreter: inputs.listings().ok()?.interpreter.as_ref().map(ListedFiles::listing),
            launchers: inputs.launchers().ok()?,
        };
        let plan = plan::plan(&bare, &inputs, &Alone).ok()?;
        let function = spec.flags.digest_function;
        let (mut links, mut files) = (Vec::new(), Vec::new());
        for (path, planned) in plan.entries {
            match planned.node {
                PlannedNode::Symlink(target) => {
                    files.push((path.clone(), Leaf::Symlink(target.clone())));
                    links.push((path, target));
                }
                PlannedNode::File { content: Content::Inline(bytes), kind, sha256, size } => {
                    let blob = BlobDigest(match function {
                        DigestFunction::Sha256 => Digest { hash: sha256, size },
                        DigestFunction::Blake3 => function.digest(&bytes),
                    });
                    files.push((path, Leaf::File { blob, kind }));
                }
                PlannedNode::File { .. } => {}
            }
        }
        Some(Self { links, files })
    }

    /// The links that may lead out of the environment.
    pub fn links(&self) -> OutwardLinks<'_> {
        OutwardLinks::Only(&self.links)
    }

    /// Whether a tree can be one of the spec, as far as is known without the wheels.
    pub fn check(&self, spec: &Spec, tree: &Tree) -> Result<(), String> {
        for (path, leaf) in &self.files {
            match tree.get(path.as_str()) {
                Some(Node::Leaf(found)) if found == leaf => {}
                _ => return Err(format!("its `{path}` is not that of this environment")),
            }
        }
        let mut names = BTreeSet::new();
        distributions(tree.root(), 0, &mut names);
        for wheel in spec.wheels.iter().filter(|wheel| wheel.exclude.is_empty()) {
            let name = wheel.file_name.as_str().split('-').next().unwrap_or("");
            let name =
                DistName::parse(name).map(|name| name.normalized().to_owned()).unwrap_or_default();
            if !names.contains(&name) {
                return Err(format!("it lacks the distribution `{name}`"));
            }
        }
        Ok(())
    }
}

/// The normalised names of the `.dist-info` directories, as deep as they can lie.
fn distributions(directory: &Directory, depth: usize, names: &mut BTreeSet<String>) {
    for (name, node) in directory.entries() {
        let Node::Directory(below) = node else {
            continue;
        };
        match name.as_str().strip_suffix(".dist-info").and_then(|stem| stem.split('-').next()) {
            Some(stem) => {
                if let Ok(name) = DistName::parse(stem) {
                    names.insert(name.normalized().to_owned());
                }
            }
            None if depth < 3 => distributions(below, depth + 1, names),
            None => {}
        }
    }
}
