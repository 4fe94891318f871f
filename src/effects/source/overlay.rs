//! Overlays: bytecode of some sources, in a zip archive of its own.
//!
//! Effects layer. An overlay is read as strictly as a wheel, and must hold what its document says
//! and nothing else. What the document says of a file's bytes is a claim until they were read.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::input::InputError;
use crate::effects::wheels::inflate::{Inflater, is_small, with_inflater};
use crate::effects::wheels::member::{MemberError, MemberRef, Stop, ZipFile};
use crate::effects::wheels::zip_file;
use crate::model::bytecode::overlay::{
    DOCUMENT_NAME, Document, DocumentError, Outcome, Recipe, SourceOutcome,
};
use crate::model::bytecode::{self, BEGINNING};
use crate::model::digest::{DigestFunction, Hash, Hasher};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::finding::Findings;
use crate::model::path::TreePath;
use crate::model::wheel::index::{Entry, EntryKind, Location};
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
            Self::Input(_) => ErrorKind::Io
                .hint("if it is a key, `--input KEY=PATH` says where the overlay is"),
            Self::Unsound { .. } | Self::Document { .. } => {
                ErrorKind::Wheel.hint("make it again with `venvtree bytecode compile`")
            }
            Self::Other { .. } => ErrorKind::Wheel.hint(
                "make it as the spec's `bytecode` says, with `--compiler`, `--levels` and `--validation` of `venvtree bytecode compile`, of the spec's own wheel",
            ),
            Self::Source { known: false, .. } => ErrorKind::Wheel.hint(
                "what the spec's `bytecode.exclude` does not leave out has to be compiled: `--exclude` or `--all` of `venvtree bytecode compile`",
            ),
            Self::Source { known: true, .. } => ErrorKind::Wheel.hint(
                "is it the overlay of another wheel, or was the source changed since? Make it again with `venvtree bytecode compile`",
            ),
        }
    }

    fn code(&self) -> Option<&'static str> {
        Some("bytecode.overlay")
    }
}

/// What an overlay has of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Bytecode: the position of its file, its SHA-256 and its size.
    Bytecode {
        /// The position of the source among the document's.
        member: usize,
        /// The SHA-256 that it should have.
        sha256: Hash,
        /// Its bytes.
        size: u64,
    },
    /// No Python can compile it: why.
    Skipped(String),
}

impl Found {
    /// What the overlay's document says.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Bytecode { sha256, size, .. } => Outcome::Compiled { sha256, size },
            Self::Skipped(reason) => Outcome::Skipped(reason),
        }
    }
}

/// An overlay that is open.
#[derive(Debug)]
pub struct Overlay {
    file: ZipFile,
    /// What it says of itself.
    pub document: Document,
    /// Whether its files were compared with what it says of them, by whoever wrote it here.
    pub proven: bool,
    /// Where the document lies.
    place: Location,
    /// Where the bytecode of each of the document's sources lies, if it has some, or why that cannot
    /// be told: known when it is asked for, as a prediction asks only what the document says.
    places: OnceLock<Result<Vec<Option<Location>>, String>>,
}

impl Overlay {
    /// Opens an overlay and reads its document.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn open(path: &Utf8Path, proven: bool) -> Result<Self, OverlayError> {
        let unsound = |problem: String| OverlayError::Unsound { path: path.to_owned(), problem };
        let (file, first) = zip_file::open_first(path, &Limits::default())?;
        let first = first.filter(|entry| &*entry.name == DOCUMENT_NAME);
        let is_first = first.is_some();
        let entry = match first {
            Some(entry) => entry,
            // As others may write it.
            None => {
                let mut entries = entries(&file)?;
                let position = entries.binary_search_by(|entry| (*entry.name).cmp(DOCUMENT_NAME));
                let lacks = |_| unsound(format!("it has no `{DOCUMENT_NAME}`"));
                entries.swap_remove(position.map_err(lacks)?)
            }
        };
        let size = entry.location.size;
        if size > LARGEST_DOCUMENT {
            return Err(unsound(format!("its `{DOCUMENT_NAME}` has {size} bytes")));
        }
        let document = read_document(MemberRef::new(&file, &entry))?;
        let place = entry.location;
        let overlay = Self { file, document, proven, place, places: OnceLock::new() };
        if !is_first {
            overlay.check()?;
        }
        Ok(overlay)
    }

    /// Whether the archive is sound and holds what the document says, and nothing else. What its
    /// files are is not looked at.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self) -> Result<(), OverlayError> {
        self.places().map(drop)
    }

    fn places(&self) -> Result<&[Option<Location>], OverlayError> {
        let found = self.places.get_or_init(|| {
            let entries = entries(&self.file).map_err(|error| match error {
                OverlayError::Unsound { problem, .. } => problem,
                error => error.to_string(),
            })?;
            places(&self.document, &self.place, &entries)
        });
        found.as_deref().map_err(|problem| OverlayError::Unsound {
            path: self.path().to_owned(),
            problem: problem.clone(),
        })
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

    /// What it has of a source, which may well be the one at `near` among the document's.
    ///
    /// # Errors
    /// It has nothing of it.
    pub fn find(&self, name: &str, source: Hash, near: usize) -> Result<Found, OverlayError> {
        let known = self.document.find(name, near);
        match known.map(|member| (member, &self.document.files[member].1)) {
            Some((member, found)) if found.source == source => Ok(match found.outcome {
                Outcome::Compiled { sha256, size } => Found::Bytecode { member, sha256, size },
                Outcome::Skipped(ref reason) => Found::Skipped(reason.clone()),
            }),
            _ => Err(OverlayError::Source {
                path: self.path().to_owned(),
                name: name.to_owned(),
                known: known.is_some(),
            }),
        }
    }

    /// Whether every file can be read and is what the document says.
    pub fn is_whole(&self) -> bool {
        let same = |(member, (_, found)): (usize, &(TreePath, SourceOutcome))| {
            let Outcome::Compiled { sha256, .. } = found.outcome else {
                return true;
            };
            let mut hasher = Hasher::new(DigestFunction::Sha256);
            let mut sink = |bytes: &[u8]| {
                hasher.update(bytes);
                Ok::<_, OverlayError>(())
            };
            let read = with_inflater(|inflater| self.stream(inflater, member, &mut sink));
            read.is_ok() && hasher.finish().hash == sha256
        };
        self.check().is_ok() && self.document.files.iter().enumerate().all(same)
    }

    /// What a file is called in it.
    pub fn file_name(&self, member: usize) -> String {
        let (source, _) = &self.document.files[member];
        self.document.recipe.cached_path(source).map_or_else(String::new, |path| path.to_string())
    }

    /// Hands the bytes of a file to `sink`; that they are those that it should have is not known.
    /// Of an overlay that was written elsewhere they have to begin as bytecode does: its document
    /// tells their SHA-256, but not what they are.
    ///
    /// # Errors
    /// It cannot be read, or `sink` fails.
    pub fn stream<E: From<OverlayError>>(
        &self,
        inflater: &mut Inflater,
        member: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = self.file_name(member);
        let Some(location) = &self.places()?[member] else {
            let problem = format!("it lacks `{name}`");
            return Err(OverlayError::Unsound { path: self.path().to_owned(), problem }.into());
        };
        let reference = MemberRef { file: &self.file, name: &name, location };
        let mut beginning = Vec::with_capacity(BEGINNING);
        let mut sink = |bytes: &[u8]| {
            beginning.extend(bytes.iter().take(BEGINNING - beginning.len()));
            sink(bytes).map_err(Stop::Sink)
        };
        match inflater.stream(reference, &mut Findings::new(), &mut sink) {
            Ok(()) => {}
            Err(Stop::Sink(error)) => return Err(error),
            Err(Stop::Member(error)) => return Err(member_error(self.path(), error).into()),
        }
        let Recipe { compiler, validation, .. } = self.document.recipe;
        if self.proven || bytecode::begins(&beginning, compiler.release(), validation) {
            return Ok(());
        }
        let kind = validation.name();
        let problem = format!("`{name}` does not begin as {kind} bytecode of {compiler} does");
        Err(OverlayError::Unsound { path: self.path().to_owned(), problem }.into())
    }
}

/// The entries of an archive, sorted by name.
fn entries(file: &ZipFile) -> Result<Vec<Entry>, OverlayError> {
    let mut findings = Findings::new();
    let entries = zip_file::entries(file, &Limits::default(), &mut findings)?;
    if findings.has_errors() {
        let texts: Vec<String> = findings.finish().iter().map(ToString::to_string).collect();
        let (path, problem) = (file.input.path().to_owned(), texts.join("; "));
        return Err(OverlayError::Unsound { path, problem });
    }
    Ok(entries)
}

fn read_document(member: MemberRef<'_>) -> Result<Document, OverlayError> {
    let path = member.file.input.path();
    let parse = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|_| OverlayError::Unsound {
            path: path.to_owned(),
            problem: format!("its `{DOCUMENT_NAME}` is no text"),
        })?;
        Document::parse(text)
            .map_err(|source| OverlayError::Document { path: path.to_owned(), source })
    };
    with_inflater(|inflater| {
        let mut notes = Findings::new();
        if is_small(member.location) {
            let bytes = inflater.read(member, &mut notes);
            return parse(bytes.map_err(|error| member_error(path, error))?);
        }
        let mut bytes = Vec::new();
        let mut take = |part: &[u8]| {
            bytes.extend_from_slice(part);
            Ok::<_, MemberError>(())
        };
        let read = inflater.stream(member, &mut notes, &mut take);
        read.map_err(|error| member_error(path, error))?;
        parse(&bytes)
    })
}

/// Where the bytecode of each of a document's sources lies, given the entries of the archive, sorted
/// by name, of which one is the document, at `place`.
///
/// # Errors
/// Says what else is there, is missing, or is not what the document says.
fn places(
    document: &Document,
    place: &Location,
    entries: &[Entry],
) -> Result<Vec<Option<Location>>, String> {
    let is_other = |name: &str| format!("`{name}` is not what it says of it");
    let mut places = Vec::with_capacity(document.files.len());
    let (mut next, mut count) = (0, 0);
    for (source, SourceOutcome { outcome, .. }) in &document.files {
        let &Outcome::Compiled { size, .. } = outcome else {
            places.push(None);
            continue;
        };
        // Sources of one folder follow each other, and so does their bytecode.
        let is_at = |at: usize| {
            let entry = entries.get(at);
            entry.is_some_and(|entry| document.recipe.is_cached_path(source, &entry.name))
        };
        if !is_at(next) {
            let Some(path) = document.recipe.cached_path(source) else {
                places.push(None);
                continue;
            };
            let found = entries.binary_search_by(|entry| (*entry.name).cmp(path.as_str()));
            next = found.map_err(|_| format!("it lacks `{path}`"))?;
        }
        let entry = &entries[next];
        if size != entry.location.size || !matches!(entry.kind, EntryKind::File { .. }) {
            return Err(is_other(&entry.name));
        }
        places.push(Some(entry.location));
        (next, count) = (next + 1, count + 1);
    }
    if !entries.iter().any(|entry| &*entry.name == DOCUMENT_NAME && entry.location == *place) {
        return Err(is_other(DOCUMENT_NAME));
    }
    if count + 1 < entries.len() {
        let paths = document.files.iter().filter_map(|(name, found)| match found.outcome {
            Outcome::Compiled { .. } => document.recipe.cached_path(name),
            Outcome::Skipped(_) => None,
        });
        let known: BTreeSet<TreePath> = paths.collect();
        let other = entries.iter().map(|entry| &*entry.name);
        let mut other = other.filter(|name| *name != DOCUMENT_NAME && !known.contains(*name));
        return Err(is_other(other.next().unwrap_or(DOCUMENT_NAME)));
    }
    Ok(places)
}

fn member_error(path: &Utf8Path, error: MemberError) -> OverlayError {
    match error {
        MemberError::Input(error) => OverlayError::Input(error),
        error @ MemberError::Unsound(_) => {
            OverlayError::Unsound { path: path.to_owned(), problem: error.to_string() }
        }
    }
}
