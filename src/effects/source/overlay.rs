//! Overlays: bytecode of some sources, in a zip archive of its own.
//!
//! Effects layer. An overlay is read as strictly as a wheel, and must hold what its document says
//! and nothing else. What the document says of a file's bytes is a claim until they were read.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::input::InputError;
use crate::effects::wheels::inflate::{Inflater, with_inflater};
use crate::effects::wheels::member::{MemberError, MemberRef, Stop, ZipFile};
use crate::effects::wheels::zip_file;
use crate::model::bytecode::overlay::{
    DOCUMENT_NAME, Document, DocumentError, Outcome, Recipe, SourceOutcome,
};
use crate::model::digest::{DigestFunction, Hash, Hasher};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::finding::Findings;
use crate::model::path::TreePath;
use crate::model::wheel::index::{EntryKind, Location};
use crate::model::wheel::limits::Limits;

/// The most bytes of a document.
const LARGEST_DOCUMENT: u64 = 64 << 20;

/// Why a file is no overlay that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// It cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is no sound archive.
    #[error("the overlay `{path}` is not sound: {problem}")]
    Unsound {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Its document is none.
    #[error("the overlay `{path}` cannot be used")]
    Document {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        source: DocumentError,
    },
    /// It was made in another way.
    #[error("the overlay `{path}` has {what} {found}, expected {expected}")]
    Other {
        /// The file.
        path: Utf8PathBuf,
        /// What is different.
        what: &'static str,
        /// What it says.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// It is of other sources.
    #[error("the overlay `{path}` has {} `{name}`", if *.known { "bytecode of another" } else { "no bytecode of" })]
    Source {
        /// The file.
        path: Utf8PathBuf,
        /// The source.
        name: String,
        /// Whether it has some of a source of that name.
        known: bool,
    },
}

impl Explain for OverlayError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Input(_) => ErrorKind::Io.no_hint(),
            Self::Unsound { .. }
            | Self::Document { .. }
            | Self::Other { .. }
            | Self::Source { .. } => {
                ErrorKind::Wheel.hint("make it again with `venvtree bytecode compile`")
            }
        }
    }

    fn code(&self) -> Option<&'static str> {
        Some("bytecode.overlay")
    }
}

/// A file of an overlay.
#[derive(Debug)]
struct Member {
    path: TreePath,
    location: Location,
    sha256: Hash,
}

/// What an overlay has of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Bytecode: the position of its file, its SHA-256 and its size.
    Bytecode {
        /// The position among the overlay's files.
        member: usize,
        /// The SHA-256 that it should have.
        sha256: Hash,
        /// Its bytes.
        size: u64,
    },
    /// No Python can compile it: why.
    Skipped(String),
}

/// An overlay that is open.
#[derive(Debug)]
pub struct Overlay {
    file: ZipFile,
    /// What it says of itself.
    pub document: Document,
    /// Whether its files were compared with what it says of them, by whoever wrote it here.
    pub proven: bool,
    members: Vec<Member>,
    positions: BTreeMap<TreePath, usize>,
}

impl Overlay {
    /// Opens an overlay.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn open(path: &Utf8Path, proven: bool) -> Result<Self, OverlayError> {
        let unsound = |problem: String| OverlayError::Unsound { path: path.to_owned(), problem };
        let mut findings = Findings::new();
        let (file, entries) = zip_file::open(path, &Limits::default(), &mut findings)?;
        if findings.has_errors() {
            let texts: Vec<String> = findings.finish().iter().map(ToString::to_string).collect();
            return Err(unsound(texts.join("; ")));
        }
        let entry = entries.iter().find(|entry| &*entry.name == DOCUMENT_NAME);
        let entry = entry.ok_or_else(|| unsound(format!("it has no `{DOCUMENT_NAME}`")))?;
        if entry.location.size > LARGEST_DOCUMENT {
            return Err(unsound(format!(
                "its `{DOCUMENT_NAME}` has {} bytes",
                entry.location.size
            )));
        }
        let mut text = Vec::new();
        with_inflater(|inflater| {
            let mut take = |bytes: &[u8]| {
                text.extend_from_slice(bytes);
                Ok::<_, MemberError>(())
            };
            inflater.stream(MemberRef::new(&file, entry), &mut Findings::new(), &mut take)
        })
        .map_err(|error| member_error(path, error))?;
        let text = String::from_utf8(text)
            .map_err(|_| unsound(format!("its `{DOCUMENT_NAME}` is no text")))?;
        let document = Document::parse(&text)
            .map_err(|source| OverlayError::Document { path: path.to_owned(), source })?;
        let mut sizes = document.members();
        let mut members = Vec::with_capacity(sizes.len());
        let mut positions = BTreeMap::new();
        let mut locations: BTreeMap<&str, Location> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| &*entry.name != DOCUMENT_NAME) {
            let size = TreePath::parse(&entry.name).ok().and_then(|path| sizes.remove(&path));
            if size != Some(entry.location.size) || !matches!(entry.kind, EntryKind::File { .. }) {
                return Err(unsound(format!("`{}` is not what it says of it", entry.name)));
            }
            locations.insert(&entry.name, entry.location);
        }
        if let Some((missing, _)) = sizes.first_key_value() {
            return Err(unsound(format!("it lacks `{missing}`")));
        }
        for (name, SourceOutcome { outcome, .. }) in &document.files {
            if let Outcome::Compiled { sha256, .. } = outcome
                && let Some(path) = document.recipe.cached_path(name)
                && let Some(location) = locations.get(path.as_str())
            {
                positions.insert(name.clone(), members.len());
                members.push(Member { path, location: *location, sha256: *sha256 });
            }
        }
        Ok(Self { file, document, proven, members, positions })
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        self.file.input.path()
    }

    /// Whether it was made as it should be.
    ///
    /// # Errors
    /// It was not.
    pub fn check_recipe(&self, expected: &Recipe) -> Result<(), OverlayError> {
        let found = &self.document.recipe;
        let differences = [
            ("the compiler", found.compiler.to_string(), expected.compiler.to_string()),
            ("the level", found.level.to_string(), expected.level.to_string()),
            (
                "the validation",
                found.validation.name().to_owned(),
                expected.validation.name().to_owned(),
            ),
        ];
        match differences.into_iter().find(|(_, found, expected)| found != expected) {
            None => Ok(()),
            Some((what, found, expected)) => {
                Err(OverlayError::Other { path: self.path().to_owned(), what, found, expected })
            }
        }
    }

    /// What it has of a source.
    ///
    /// # Errors
    /// Nothing.
    pub fn find(&self, name: &TreePath, source: Hash) -> Result<Found, OverlayError> {
        let known = self.document.files.get(name);
        match known {
            Some(found) if found.source == source => Ok(match found.outcome {
                Outcome::Compiled { sha256, size } => {
                    Found::Bytecode { member: self.positions[name], sha256, size }
                }
                Outcome::Skipped(ref reason) => Found::Skipped(reason.clone()),
            }),
            _ => Err(OverlayError::Source {
                path: self.path().to_owned(),
                name: name.to_string(),
                known: known.is_some(),
            }),
        }
    }

    /// Where a file lies in it, and the SHA-256 that it should have.
    pub fn member(&self, member: usize) -> (&TreePath, Hash) {
        (&self.members[member].path, self.members[member].sha256)
    }

    /// Whether every file can be read and is what the document says.
    pub fn is_whole(&self) -> bool {
        let same = |member: usize| {
            let mut hasher = Hasher::new(DigestFunction::Sha256);
            let mut sink = |bytes: &[u8]| {
                hasher.update(bytes);
                Ok::<_, OverlayError>(())
            };
            let read = with_inflater(|inflater| self.stream(inflater, member, &mut sink));
            read.is_ok() && hasher.finish().hash == self.members[member].sha256
        };
        (0..self.members.len()).all(same)
    }

    /// How many files it has.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Hands the bytes of a file to `sink`; that they are those that it should have is not known.
    ///
    /// # Errors
    /// It cannot be read, or `sink` fails.
    pub fn stream<E: From<OverlayError>>(
        &self,
        inflater: &mut Inflater,
        member: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Member { path, location, .. } = &self.members[member];
        let reference = MemberRef { file: &self.file, name: path.as_str(), location };
        let mut sink = |bytes: &[u8]| sink(bytes).map_err(Stop::Sink);
        match inflater.stream(reference, &mut Findings::new(), &mut sink) {
            Ok(()) => Ok(()),
            Err(Stop::Sink(error)) => Err(error),
            Err(Stop::Member(error)) => Err(member_error(self.path(), error).into()),
        }
    }
}

fn member_error(path: &Utf8Path, error: MemberError) -> OverlayError {
    match error {
        MemberError::Input(error) => OverlayError::Input(error),
        error @ MemberError::Unsound(_) => {
            OverlayError::Unsound { path: path.to_owned(), problem: error.to_string() }
        }
    }
}
