//! Writing an overlay: bytecode and the document that says whose it is, as a deterministic zip
//! archive.
//!
//! Effects layer.

use std::collections::BTreeMap;
use std::io::{self, Write};

use camino::Utf8PathBuf;

use crate::effects::host::atomic::write_atomically;
use crate::effects::host::fs::FsError;
use crate::effects::host::staging::Staging;
use crate::effects::interpreters::compile::Compiled;
use crate::effects::sink::archive::Archive as _;
use crate::effects::sink::archive::zip::ZipArchive;
use crate::model::bytecode::overlay::{DOCUMENT_NAME, Document, Recipe, SourceOutcome};
use crate::model::digest::Hash;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::path::TreePath;
use crate::model::spec::DEFAULT_MTIME;

/// What becomes an overlay.
#[derive(Debug)]
pub struct OverlayContents {
    /// How all of it was made.
    pub recipe: Recipe,
    /// The SHA-256 of the wheel that all sources are of, if they are of one.
    pub wheel: Option<Hash>,
    /// The sources by their names: the SHA-256 of each, and what became of it.
    pub files: BTreeMap<TreePath, (Hash, Compiled)>,
}

impl OverlayContents {
    /// Its document.
    pub fn document(&self) -> Document {
        let files = self.files.iter().map(|(name, (source, compiled))| {
            (name.clone(), SourceOutcome { source: *source, outcome: compiled.outcome() })
        });
        Document { recipe: self.recipe, wheel: self.wheel, files: files.collect() }
    }

    /// Writes it: the document first, then the files in the order of their sources.
    ///
    /// # Errors
    /// `out` refuses. What was written until then is no overlay.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut archive = ZipArchive::quick(out, DEFAULT_MTIME);
        archive.add_stored(DOCUMENT_NAME, self.document().render().as_bytes())?;
        for (name, (_, compiled)) in &self.files {
            if let (Compiled::Bytecode(bytes), Some(path)) =
                (compiled, self.recipe.cached_path(name))
            {
                archive.add(path.as_str(), bytes)?;
            }
        }
        Box::new(archive).finish()
    }
}

/// Why an overlay cannot be kept aside.
#[derive(Debug, thiserror::Error)]
pub enum AsideError {
    /// There is no folder for what is only there for now.
    #[error("cannot make a folder in `{path}`, where files are that are only there for now")]
    Folder {
        /// Where it was to be.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Explain for AsideError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Folder { .. } => ErrorKind::Io.hint(
                "let the variable TMPDIR name a folder that can be written to, or unset it; with a store (`--store DIR`) none is needed",
            ),
            Self::Fs(error) => error.explain(),
        }
    }
}

/// A directory for overlays that are read by this process only: what is open there stays readable
/// when the directory goes away, with this value or with the process.
#[derive(Debug, Default)]
pub struct Aside(Option<Staging>);

impl Aside {
    /// Keeps an overlay; where it lies.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<Utf8PathBuf, AsideError> {
        if self.0.is_none() {
            let parent = Utf8PathBuf::from_path_buf(std::env::temp_dir())
                .unwrap_or_else(|_| Utf8PathBuf::from("/tmp"));
            let staging = Staging::create(&parent, "venvtree-bytecode-");
            let path = || parent.clone();
            self.0 = Some(staging.map_err(|source| AsideError::Folder { path: path(), source })?);
        }
        let folder = self.0.as_ref().expect("made above").path();
        let path = folder.join(name);
        write_atomically(&path, |out| out.write_all(bytes))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::source::overlay::{Found, Overlay, OverlayError};
    use crate::effects::wheels::inflate::Inflater;
    use crate::model::bytecode::release::Compiler;
    use crate::model::bytecode::{Level, Validation, header};

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn recipe() -> Recipe {
        let compiler = Compiler::of_version("3.12.1").unwrap();
        Recipe { compiler, level: Level::default(), validation: Validation::Unchecked }
    }

    /// What begins as bytecode does.
    fn module() -> Vec<u8> {
        let head = header(recipe().compiler.release(), Validation::Unchecked, b"x");
        [&head[..], b"code of x"].concat()
    }

    fn contents() -> OverlayContents {
        let source = |text: &str| Hash::sha256(text.as_bytes());
        let files = BTreeMap::from([
            (path("a/x.py"), (source("x"), Compiled::Bytecode(module()))),
            (path("a/y.py"), (source("y"), Compiled::Skipped("SyntaxError: no".to_owned()))),
        ]);
        OverlayContents { recipe: recipe(), wheel: None, files }
    }

    fn written(contents: &OverlayContents) -> Vec<u8> {
        let mut bytes = Vec::new();
        contents.write(&mut bytes).unwrap();
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Overlay, OverlayError> {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("x.zip")).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let overlay = Overlay::open(&path, false)?;
        overlay.check()?;
        Ok(overlay)
    }

    #[test]
    fn an_overlay_is_read_as_it_is_written() {
        assert_eq!(written(&contents()), written(&contents()));
        let overlay = open(&written(&contents())).unwrap();
        assert_eq!(overlay.document, contents().document());
        let hash = |text: &str| Hash::sha256(text.as_bytes());
        let sha256 = Hash::sha256(&module());
        let found = overlay.find("a/x.py", hash("x"), 0).unwrap();
        assert_eq!(found, Found::Bytecode { member: 0, sha256, size: 25 });
        let skipped = overlay.find("a/y.py", hash("y"), 0).unwrap();
        assert!(matches!(skipped, Found::Skipped(reason) if reason.starts_with("SyntaxError")));
        for (name, source, expected) in [
            ("a/x.py", "other", "has bytecode of another `a/x.py`"),
            ("a/z.py", "z", "has no bytecode of `a/z.py`"),
        ] {
            let error = overlay.find(name, hash(source), 1).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
        let mut bytes = Vec::new();
        let mut sink = |part: &[u8]| {
            bytes.extend_from_slice(part);
            Ok::<_, OverlayError>(())
        };
        overlay.stream(&mut Inflater::default(), 0, &mut sink).unwrap();
        assert_eq!(bytes, module());
        overlay.check_recipe(&recipe()).unwrap();
        let other = Recipe { compiler: Compiler::of_version("3.12.10").unwrap(), ..recipe() };
        let error = overlay.check_recipe(&other).unwrap_err().to_string();
        assert!(
            error.ends_with("has the compiler cpython 3.12.1, expected cpython 3.12.10"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_overlay_is_refused() {
        let packed = |members: &[(&str, &[u8])]| {
            let mut bytes = Vec::new();
            let mut archive = ZipArchive::new(&mut bytes, DEFAULT_MTIME);
            members.iter().for_each(|(name, content)| archive.add(name, content).unwrap());
            Box::new(archive).finish().unwrap();
            bytes
        };
        let text = contents().document().render();
        let document = (DOCUMENT_NAME, text.as_bytes());
        let member = "a/__pycache__/x.cpython-312.pyc";
        for (bytes, expected) in [
            (b"no archive".to_vec(), "is not sound"),
            (packed(&[("z", b"")]), "it has no `bytecode.json`"),
            (packed(&[(DOCUMENT_NAME, b"\xff")]), "is no text"),
            (packed(&[(DOCUMENT_NAME, b"{}")]), "cannot be used"),
            (packed(&[document]), "it lacks `a/__pycache__/x.cpython-312.pyc`"),
            (packed(&[document, (member, b"short")]), "is not what it says of it"),
            (packed(&[document, (member, &module()), ("z", b"")]), "`z` is not what"),
        ] {
            let error = open(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} ({expected})");
        }
    }
}
