//! What an overlay says of itself: whose bytecode it holds, made by which compiler.
//!
//! Model layer. An overlay is a zip archive with the bytecode of some sources, each file where
//! Python looks for it, and `bytecode.json`, which is this document. It belongs to the sources by
//! their digests, so neither a place nor a name decides what is taken from it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value, json};

use crate::model::bytecode::marshal::FORM;
use crate::model::bytecode::release::{Compiler, Release};
use crate::model::bytecode::{Level, Validation, cached_path};
use crate::model::digest::Hash;
use crate::model::path::TreePath;

/// The name of the document in an overlay.
pub const DOCUMENT_NAME: &str = "bytecode.json";
/// The version of the document.
const FORMAT: u64 = 1;
/// What has versions, and those that are read and written.
const VERSIONS: [(&str, u64); 2] = [("format", FORMAT), ("form", FORM as u64)];
/// What the names of overlays end in.
pub const SUFFIX: &str = ".bytecode.zip";

/// How bytecode is made: whatever decides its bytes besides the sources and their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// What compiles.
    pub compiler: Compiler,
    /// How much is left out.
    pub level: Level,
    /// How Python knows whether it is still that of its source.
    pub validation: Validation,
}

impl Recipe {
    /// Where the bytecode of a source lies.
    pub fn cached_path(&self, source: &TreePath) -> Option<TreePath> {
        let path = cached_path(source.as_str(), self.compiler.release(), self.level)?;
        TreePath::from_text(path.into_boxed_str()).ok()
    }

    /// Whether that is where it lies: without making the path.
    pub fn is_cached_path(&self, source: &TreePath, path: &str) -> bool {
        let Some(stem) = source.name().strip_suffix(".py") else { return false };
        [source.folder(), "__pycache__/", stem, ".", self.compiler.release().tag()]
            .into_iter()
            .chain([self.level.suffix()])
            .try_fold(path, |rest, part| rest.strip_prefix(part))
            .is_some_and(|rest| rest == ".pyc")
    }

    /// What stands for the bytecode of these sources, names and SHA-256, in a store.
    pub fn key<'s>(&self, sources: impl IntoIterator<Item = (&'s str, Hash)>) -> Hash {
        let Self { compiler, level, validation } = self;
        let mut text = format!("{FORMAT} {FORM} {compiler} {level} {}\n", validation.name());
        for (name, hash) in sources {
            text.push_str(std::str::from_utf8(&hash.hex_digits()).expect("digits are ASCII"));
            text.extend([" ", name, "\n"]);
        }
        Hash::sha256(text.as_bytes())
    }
}

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Bytecode.
    Compiled {
        /// The SHA-256 of the file, its header included.
        sha256: Hash,
        /// Its bytes.
        size: u64,
    },
    /// No Python can compile it: why.
    Skipped(String),
}

/// A source, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOutcome {
    /// The SHA-256 of the source.
    pub source: Hash,
    /// What became of it.
    pub outcome: Outcome,
}

/// The document of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// How all of it was made.
    pub recipe: Recipe,
    /// The SHA-256 of the wheel that all sources are of, if they are of one.
    pub wheel: Option<Hash>,
    /// The sources in the order of their names, which are paths relative to where their modules are
    /// found.
    pub files: Vec<(TreePath, SourceOutcome)>,
}

/// Why a text is not the document of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON, or has other fields.
    #[error("`{DOCUMENT_NAME}` {0}")]
    Form(String),
    /// It is of another version.
    #[error("`{DOCUMENT_NAME}` has the {what} {found}, expected {expected}")]
    Version {
        /// Which version.
        what: &'static str,
        /// What it says.
        found: String,
        /// What this venvtree reads.
        expected: u64,
    },
}

fn form(text: impl Into<String>) -> DocumentError {
    DocumentError::Form(text.into())
}

impl Document {
    /// The document as text: the same for the same document.
    pub fn render(&self) -> String {
        let Recipe { compiler, level, validation } = self.recipe;
        let mut text = String::from("{\n");
        let mut field =
            |name: &str, value: Value| text.push_str(&format!(" \"{name}\": {value},\n"));
        field("format", json!(FORMAT));
        field("form", json!(FORM));
        if let Some(wheel) = self.wheel {
            field("wheel", json!(wheel.to_hex()));
        }
        field("compiler", json!(compiler.to_string()));
        field("magic", json!(compiler.release().magic_number()));
        field("level", json!(level.number()));
        field("validation", json!(validation.name()));
        text.push_str(" \"files\": [");
        for (index, (path, SourceOutcome { source, outcome })) in self.files.iter().enumerate() {
            let (path, source) = (path.as_str(), source.to_hex());
            let row = match outcome {
                Outcome::Compiled { sha256, size } => json!([path, source, sha256.to_hex(), size]),
                Outcome::Skipped(reason) => json!([path, source, reason]),
            };
            text.push_str(&format!("{}\n  {row}", if index == 0 { "" } else { "," }));
        }
        text.push_str("\n ]\n}\n");
        text
    }

    /// Reads a document.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let Wire { mut fields, files } =
            serde_json::from_str(text).map_err(|error| match error.classify() {
                Category::Data => form(format!("has what it cannot have: {error}")),
                _ => form(format!("is no JSON: {error}")),
            })?;
        for (what, expected) in VERSIONS {
            let found = take(&mut fields, what)?;
            if found.as_u64() != Some(expected) {
                return Err(DocumentError::Version { what, found: found.to_string(), expected });
            }
        }
        let wheel = fields.remove("wheel").map(|value| hash(&value)).transpose()?;
        let compiler = take(&mut fields, "compiler")?;
        let compiler = compiler.as_str().and_then(Compiler::parse).ok_or_else(|| {
            form(format!("has the compiler {compiler}, expected such as \"cpython 3.12.1\""))
        })?;
        let magic = take(&mut fields, "magic")?;
        if magic.as_u64() != Some(u64::from(compiler.release().magic_number())) {
            return Err(form(format!(
                "has the magic number {magic}, which is not that of {compiler}"
            )));
        }
        let level = take(&mut fields, "level")?;
        let level = level
            .as_u64()
            .and_then(Level::new)
            .ok_or_else(|| form(format!("has the level {level}, expected 0, 1 or 2")))?;
        let validation = take(&mut fields, "validation")?;
        let (_, validation) = Validation::ALL
            .into_iter()
            .find(|(name, _)| validation.as_str() == Some(name))
            .ok_or_else(|| form(format!("has the validation {validation}")))?;
        if let Some(name) = fields.keys().next() {
            return Err(form(format!("has the field `{name}`, which it cannot have")));
        }
        let files = files.ok_or_else(|| form("has no list of files"))?;
        Ok(Self { recipe: Recipe { compiler, level, validation }, wheel, files })
    }

    /// The position of a source among the files, which may well be `near`.
    pub fn find(&self, name: &str, near: usize) -> Option<usize> {
        match self.files.get(near) {
            Some((path, _)) if path.as_str() == name => Some(near),
            _ => self.files.binary_search_by(|(path, _)| path.as_str().cmp(name)).ok(),
        }
    }
}

/// A document as it is written.
struct Wire {
    /// Every field but the files.
    fields: Map<String, Value>,
    /// Nothing where another version has been met before.
    files: Option<Vec<(TreePath, SourceOutcome)>>,
}

/// A source: its path, its SHA-256, and either the SHA-256 and the size of its bytecode or the
/// reason why there is none.
#[derive(Debug, Deserialize)]
struct Row<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(default, deserialize_with = "present")] Option<u64>,
);

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Wire;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wire, A::Error> {
                let mut wire = Wire { fields: Map::new(), files: None };
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let other_version = VERSIONS.iter().any(|(what, expected)| {
                        wire.fields.get(*what).is_some_and(|found| *found != *expected)
                    });
                    match &*name {
                        "files" if other_version => drop(map.next_value::<IgnoredAny>()?),
                        "files" => wire.files = Some(map.next_value::<Files>()?.0),
                        _ => drop(wire.fields.insert(name.into_owned(), map.next_value()?)),
                    }
                }
                Ok(wire)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

fn take(fields: &mut Map<String, Value>, name: &str) -> Result<Value, DocumentError> {
    fields.remove(name).ok_or_else(|| form(format!("lacks the field `{name}`")))
}

fn hash(value: &Value) -> Result<Hash, DocumentError> {
    let hash = value.as_str().and_then(|text| Hash::parse_hex(text).ok());
    hash.ok_or_else(|| form(format!("has {value} where a SHA-256 should be")))
}

/// The sources: most of a document, so that nothing of them is kept twice.
struct Files(Vec<(TreePath, SourceOutcome)>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;

        impl<'de> Visitor<'de> for Rows {
            type Value = Files;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of sources")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Files, A::Error> {
                let mut files: Vec<(TreePath, SourceOutcome)> = Vec::new();
                while let Some(row) = rows.next_element::<Row<'de>>()? {
                    let (path, outcome) = read_row(row).map_err(A::Error::custom)?;
                    if files.last().is_some_and(|(last, _)| *last >= path) {
                        return Err(A::Error::custom(format!("`{path}` out of order")));
                    }
                    files.push((path, outcome));
                }
                Ok(Files(files))
            }
        }

        deserializer.deserialize_seq(Rows)
    }
}

fn read_row(row: Row<'_>) -> Result<(TreePath, SourceOutcome), String> {
    let Row(path, source, third, size) = row;
    let hash = |text: &str| {
        Hash::parse_hex(text).map_err(|_| format!("{text:?} where a SHA-256 should be"))
    };
    let path = TreePath::parse(&path).map_err(|error| format!("the path {path:?}: {error}"))?;
    if !path.as_str().ends_with(".py") {
        return Err(format!("the path `{path}`, which is no module's"));
    }
    let source = hash(&source)?;
    let outcome = match size {
        Some(size) => Outcome::Compiled { sha256: hash(&third)?, size },
        None => Outcome::Skipped(third.into_owned()),
    };
    Ok((path, SourceOutcome { source, outcome }))
}

/// Of which release the overlay's name says that its bytecode is: `NAME.cpython-312.opt-1`.
pub fn file_name(stem: &str, release: Release, level: Level) -> String {
    [stem, ".", release.tag(), level.suffix(), SUFFIX].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let path = |text: &str| TreePath::parse(text).unwrap();
        let recipe = Recipe {
            compiler: Compiler::parse("cpython 3.12.10").unwrap(),
            level: Level::new(2).unwrap(),
            validation: Validation::Checked,
        };
        let compiled = Outcome::Compiled { sha256: Hash::sha256(b"pyc"), size: 3 };
        let skipped = Outcome::Skipped("SyntaxError: invalid syntax (line 1)".to_owned());
        let source = Hash::sha256(b"source");
        let files = vec![
            (path("a/b.py"), SourceOutcome { source, outcome: compiled }),
            (path("a/é.py"), SourceOutcome { source, outcome: skipped }),
        ];
        Document { recipe, wheel: Some(Hash::sha256(b"wheel")), files }
    }

    #[test]
    fn a_document_is_read_as_it_is_written() {
        for wheel in [None, Some(Hash::sha256(b"wheel"))] {
            let document = Document { wheel, ..document() };
            assert_eq!(Document::parse(&document.render()).unwrap(), document);
        }
        for (index, (path, _)) in document().files.iter().enumerate() {
            for near in 0..3 {
                assert_eq!(document().find(path.as_str(), near), Some(index));
            }
        }
        assert_eq!(document().find("a/c.py", 0), None);
        let empty = Document { files: Vec::new(), ..document() };
        assert_eq!(Document::parse(&empty.render()).unwrap(), empty);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let text = document().render();
        let hex = Hash::sha256(b"source").to_hex();
        for [from, to, expected] in [
            ["{\n", "[", "expected an object"],
            ["}\n", "", "is no JSON"],
            ["\"format\": 1", "\"format\": 2", "has the format 2, expected 1"],
            ["\"form\": 1", "\"form\": 0", "has the form 0, expected 1"],
            ["\"magic\": 3531", "\"magic\": 3571", "not that of cpython 3.12.10"],
            ["cpython 3.12.10", "cpython 3.12", "expected such as"],
            ["\"level\": 2", "\"level\": 3", "expected 0, 1 or 2"],
            ["\"validation\": \"checked\"", "\"validation\": \"x\"", "has the validation"],
            ["\"level\"", "\"x\": 1, \"level\"", "has the field `x`"],
            ["\"level\"", "\"other\"", "lacks the field `level`"],
            ["a/b.py", "z/b.py", "out of order"],
            ["a/b.py", "../b.py", "the path"],
            ["a/b.py", "a/b.pyi", "which is no module's"],
            [",3]", ",3,4]", "trailing characters"],
            [",3]", ",null]", "expected u64"],
            [",3]", ",-3]", "expected u64"],
            [hex.as_str(), "12", "where a SHA-256 should be"],
            ["[\n", "[[],\n", "has what it cannot have"],
            ["\"files\": [", "\"files\": 1, \"x\": [", "has what it cannot have"],
            ["\"files\"", "\"file\"", "has the field `file`"],
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text, "{from}");
            let error = Document::parse(&other).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} ({expected})");
        }
    }

    #[test]
    fn the_key_follows_from_all_that_decides_the_bytes() {
        let recipe = document().recipe;
        let (one, two) = (Hash::sha256(b"1"), Hash::sha256(b"2"));
        let key = recipe.key([("a.py", one)]);
        assert_eq!(key, recipe.key([("a.py", one)]));
        let others = [
            recipe.key([("a.py", two)]),
            recipe.key([("b.py", one)]),
            recipe.key([("a.py", one), ("b.py", two)]),
            Recipe { level: Level::default(), ..recipe }.key([("a.py", one)]),
            Recipe { validation: Validation::Unchecked, ..recipe }.key([("a.py", one)]),
            Recipe { compiler: Compiler::parse("cpython 3.12.1").unwrap(), ..recipe }
                .key([("a.py", one)]),
        ];
        assert!(others.iter().all(|other| *other != key));
    }
}
