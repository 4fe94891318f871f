//! The manifest: every entry of an environment with its digest and origin, as canonical JSON.
//!
//! Model layer. One line for each entry, in the order of the paths' bytes, so that two manifests
//! can be compared by any tool; the same request always gives the same bytes. No path of an input
//! or output is in it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hash};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::file_kind::FileKind;
use crate::model::finding::Code;
use crate::model::path::{LinkTarget, TreePath};
use crate::model::plan::{Inputs, Origin, Plan, PlannedNode, WheelIndex};
use crate::model::spec::Spec;
use crate::model::tree::{Leaf, Node, Tree, TreeBuilder};
use crate::model::workers::Workers;

/// The version of the format.
const MANIFEST_VERSION: u64 = 1;

/// What stands between two entries.
const SEPARATOR: &str = ",\n";

/// Everything before the entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format: 1.
    pub version: u64,
    /// The digest function of every digest but those called `sha256`.
    pub digest_function: DigestFunction,
    /// The root digest: `hash/size` of the REAPI `Directory`.
    pub root: String,
    /// The modification time of everything, in seconds since 1970-01-01T00:00:00Z.
    pub mtime: u64,
    /// The interpreter's facts, in words.
    pub interpreter: String,
    /// `pinned` or `trusted`: whether whole wheels were compared with digests of the spec.
    pub input_digests: String,
    /// Codes of findings that the spec makes errors: no wheel of the environment has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// The wheels, by file name.
    pub wheels: Vec<ManifestWheel>,
}

/// A wheel of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestWheel {
    /// The file name.
    pub file_name: String,
    /// The normalised name of the distribution.
    pub distribution: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of the file, where the spec pins it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hash>,
    /// Codes of findings that the spec accepts although they are errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A file.
    File,
    /// A symbolic link.
    Symlink,
}

/// An entry of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it is.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
    /// A file's hash, by the manifest's digest function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash>,
    /// A file's size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether a file is executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<LinkTarget>,
    /// Where it comes from.
    pub origin: EntryOrigin,
    /// Who else brought the same bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<EntryOrigin>,
    /// Who brought other bytes and lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losers: Vec<EntryOrigin>,
}

/// Where an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryOrigin {
    /// The wheel's file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel: Option<String>,
    /// The wheel's member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What generated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// A source, by its position in the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<usize>,
    /// The path within the source or the interpreter that is copied in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl EntryOrigin {
    /// The origin as manifests name it.
    pub fn new(origin: &Origin, inputs: &Inputs<'_>) -> Self {
        let mut named =
            Self { wheel: None, member: None, generator: None, source: None, file: None };
        let file_name = |wheel: WheelIndex| Some(inputs.wheels[wheel.0].file.as_str().to_owned());
        match origin {
            Origin::Member { wheel, member } => {
                named.wheel = file_name(*wheel);
                named.member = Some(inputs.wheels[wheel.0].members[*member].path.to_string());
            }
            Origin::Generated { generator, wheel } => {
                named.wheel = wheel.and_then(file_name);
                named.generator = Some(generator.name().to_owned());
            }
            Origin::Source { source, file } => {
                named.source = Some(*source);
                named.file =
                    inputs.sources[*source].files[*file].path.as_ref().map(ToString::to_string);
            }
            Origin::Interpreter { file } => {
                named.generator = Some("interpreter".to_owned());
                let files = inputs.interpreter.map(|listing| &listing.files[*file]);
                named.file = files.and_then(|file| file.path.as_ref()).map(ToString::to_string);
            }
        }
        named
    }
}

/// A whole manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What stands before the entries.
    pub header: Header,
    /// The entries, sorted by path.
    pub entries: Vec<Entry>,
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The text is not of this shape.
    #[error("no manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("the manifest has version {found}, expected {MANIFEST_VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// An entry lacks what its kind needs, or comes twice.
    #[error("the manifest's entry `{path}` {problem}")]
    Entry {
        /// The entry.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The entries do not make the root digest.
    #[error("the manifest's entries have the root digest {actual}, its header says {expected}")]
    Root {
        /// Computed from the entries.
        actual: String,
        /// In the header.
        expected: String,
    },
}

impl Explain for ManifestError {
    fn explain(&self) -> Explanation {
        ErrorKind::Verification.no_hint()
    }
}

/// What stands before the entries, for a plan and its tree.
pub fn header(spec: &Spec, inputs: &Inputs<'_>, tree: &Tree) -> Header {
    let mut wheels: Vec<ManifestWheel> = inputs
        .wheels
        .iter()
        .zip(&spec.wheels)
        .map(|(manifest, reference)| ManifestWheel {
            file_name: manifest.file.as_str().to_owned(),
            distribution: manifest.name().normalized().to_owned(),
            version: manifest.version().to_string(),
            sha256: reference.sha256.map(|digest| digest.0),
            allowed: {
                let codes: BTreeSet<Code> = manifest
                    .findings
                    .iter()
                    .filter(|finding| finding.allowed)
                    .map(|finding| finding.code)
                    .collect();
                codes.into_iter().map(|code| code.text().to_owned()).collect()
            },
        })
        .collect();
    wheels.sort_by(|left, right| left.file_name.cmp(&right.file_name));
    Header {
        version: MANIFEST_VERSION,
        digest_function: tree.function(),
        root: tree.digest().to_string(),
        mtime: spec.flags.mtime,
        interpreter: spec.interpreter.to_string(),
        input_digests: spec.flags.input_digests.name().to_owned(),
        denied: spec.flags.deny.iter().map(|code| code.text().to_owned()).collect(),
        wheels,
    }
}

/// Writes a manifest, entry by entry.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    spec: &Spec,
    inputs: &Inputs<'_>,
    plan: &Plan,
    tree: &Tree,
) -> io::Result<()> {
    write!(
        out,
        "{{\"header\":{},\n\"entries\":[",
        serde_json::to_string(&header(spec, inputs, tree))?
    )?;
    let mut separator = "\n";
    for (path, planned) in &plan.entries {
        let origins = |origins: &[Origin]| {
            origins.iter().map(|origin| EntryOrigin::new(origin, inputs)).collect()
        };
        let mut entry = Entry {
            path: path.clone(),
            kind: EntryKind::Symlink,
            digest: None,
            size: None,
            executable: None,
            target: None,
            origin: EntryOrigin::new(&planned.origin, inputs),
            same: origins(&planned.same),
            losers: origins(&planned.losers),
        };
        match (&planned.node, tree.get(path.as_str())) {
            (PlannedNode::File { kind, .. }, Some(Node::Leaf(Leaf::File { blob, .. }))) => {
                entry.kind = EntryKind::File;
                entry.digest = Some(blob.0.hash);
                entry.size = Some(blob.0.size);
                entry.executable = Some(kind.is_executable());
            }
            (PlannedNode::Symlink(target), _) => entry.target = Some(target.clone()),
            _ => {}
        }
        out.write_all(separator.as_bytes())?;
        serde_json::to_writer(&mut *out, &entry)?;
        separator = SEPARATOR;
    }
    out.write_all(b"\n]}\n")
}

/// Bytes of a manifest that are read at once, by one of several.
const PORTION: usize = 64 << 10;

impl Manifest {
    /// Reads a manifest and checks that its entries make its root digest. Returns their tree, too.
    ///
    /// # Errors
    /// The text is no manifest, or does not agree with itself.
    pub fn parse(text: &str, workers: &impl Workers) -> Result<(Self, Tree), ManifestError> {
        let manifest = match Self::by_lines(text, workers) {
            Some(manifest) => manifest,
            None => serde_json::from_str(text)?,
        };
        if manifest.header.version != MANIFEST_VERSION {
            return Err(ManifestError::Version { found: manifest.header.version });
        }
        let tree = manifest.tree(workers)?;
        let actual = tree.digest().to_string();
        if actual != manifest.header.root {
            return Err(ManifestError::Root { actual, expected: manifest.header.root });
        }
        Ok((manifest, tree))
    }

    /// Reads a manifest that looks as [`write()`] makes it, with a line for each entry; nothing where
    /// it looks otherwise. No text within it has a line end: JSON writes that as `\n`.
    fn by_lines(text: &str, workers: &impl Workers) -> Option<Self> {
        let text = text.strip_prefix("{\"header\":")?.strip_suffix("\n]}\n")?;
        let (header, mut rest) = text.split_once(",\n\"entries\":[\n")?;
        let header = serde_json::from_str(header).ok()?;
        let mut portions = Vec::new();
        while rest.len() > PORTION {
            let Some(end) = memchr::memmem::find(&rest.as_bytes()[PORTION..], SEPARATOR.as_bytes())
            else {
                break;
            };
            portions.push(&rest[..PORTION + end]);
            rest = &rest[PORTION + end + SEPARATOR.len()..];
        }
        portions.push(rest);
        let read = |portion: usize| {
            let lines = portions[portion].split(SEPARATOR);
            lines.map(|line| serde_json::from_str(line).ok()).collect::<Option<Vec<Entry>>>()
        };
        let mut entries = Vec::new();
        for portion in workers.map(portions.len(), read) {
            entries.append(&mut portion?);
        }
        Some(Self { header, entries })
    }

    /// The tree of the entries.
    fn tree(&self, workers: &impl Workers) -> Result<Tree, ManifestError> {
        let function = self.header.digest_function;
        let leaves = self.entries.iter().map(|entry| Ok((&entry.path, entry.leaf()?)));
        let leaves = leaves.collect::<Result<Vec<_>, ManifestError>>();
        if let Ok(leaves) = leaves
            && leaves.is_sorted_by(|one, other| one.0 < other.0)
            && let Ok(tree) = Tree::of_sorted(function, &leaves, workers)
        {
            return Ok(tree);
        }
        // Unsorted, or the first that is wrong is to be found.
        let mut builder = TreeBuilder::new();
        for entry in &self.entries {
            let inserted = builder.insert(&entry.path, entry.leaf()?);
            inserted.map_err(|error| entry.wrong(error.to_string()))?;
        }
        Ok(builder.finish(function))
    }
}

impl Entry {
    fn wrong(&self, problem: impl Into<String>) -> ManifestError {
        ManifestError::Entry { path: self.path.to_string(), problem: problem.into() }
    }

    fn leaf(&self) -> Result<Leaf, ManifestError> {
        match (self.kind, &self.target, self.digest, self.size) {
            (EntryKind::File, None, Some(hash), Some(size)) => Ok(Leaf::File {
                blob: BlobDigest(Digest { hash, size }),
                kind: FileKind::from(self.executable.unwrap_or(false)),
            }),
            (EntryKind::Symlink, Some(target), None, None) => Ok(Leaf::Symlink(target.clone())),
            (EntryKind::File, ..) => {
                Err(self.wrong("is a file and needs `digest` and `size`, and no `target`"))
            }
            (EntryKind::Symlink, ..) => {
                Err(self.wrong("is a link and needs `target`, and no `digest` or `size`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workers::Alone;

    /// A manifest of so many files, as it is written.
    fn text(files: usize) -> String {
        let mut paths: Vec<String> = (0..files).map(|n| format!("{}/a{n}", n % 7)).collect();
        paths.sort();
        let tree = Tree::of_texts(paths.iter().map(|path| (path.as_str(), path.as_str())));
        let entry = |path: &String| {
            let Digest { hash, size } = DigestFunction::Sha256.digest(path.as_bytes());
            serde_json::json!({
                "path": path, "kind": "file", "digest": hash.to_hex(), "size": size,
                "origin": { "file": "},\n{" },
            })
            .to_string()
        };
        let header = serde_json::json!({
            "version": 1, "digest_function": "sha256", "root": tree.digest().to_string(),
            "mtime": 0, "interpreter": "", "input_digests": "pinned", "wheels": [],
        });
        let entries: Vec<String> = paths.iter().map(entry).collect();
        format!("{{\"header\":{header},\n\"entries\":[\n{}\n]}}\n", entries.join(SEPARATOR))
    }

    #[test]
    fn lines_are_read_as_the_whole_is() {
        for files in [1, 3000] {
            let text = text(files);
            let (manifest, tree) = Manifest::parse(&text, &Alone).unwrap();
            assert_eq!(Manifest::by_lines(&text, &Alone).as_ref(), Some(&manifest));
            assert_eq!(manifest, serde_json::from_str(&text).unwrap());
            assert_eq!(manifest.entries.len(), files);
            let other = text.replace("},\n{", "}\n,{");
            assert_eq!(Manifest::parse(&other, &Alone).unwrap(), (manifest, tree));
        }
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said_of_it() {
        let text = text(3000);
        for (from, to, message) in [
            ("\"size\":4", "\"target\":\"x\"", "the manifest's entry `0/a0` is a file and needs"),
            ("1/a1009\"", "1/a1002\"", "the manifest's entry `1/a1002` `1/a1002` is in the tree"),
            ("\"size\":4", "\"size\":5", "the manifest's entries have the root digest"),
            ("\"size\":4", "\"size\":", "no manifest: expected value at line "),
        ] {
            let error = Manifest::parse(&text.replacen(from, to, 1), &Alone).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
}
