//! Launcher files for Windows: read, compared with their digests, checked.
//!
//! Effects layer. What becomes of them is decided in `model::script`.

use camino::Utf8PathBuf;

use crate::effects::host::fs::{self, FsError};
use crate::model::digest::Hash;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::interpreter::Arch;
use crate::model::script::{WindowsLauncher, WindowsLauncherError};
use crate::model::wheel::entry_points::ScriptKind;

/// Why a launcher file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LauncherFileError {
    /// It cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is another file than the spec pins.
    #[error("the launcher `{path}` has the SHA-256 {actual}, expected {expected}")]
    Digest {
        /// The file.
        path: Utf8PathBuf,
        /// What the spec says.
        expected: Hash,
        /// What its bytes have.
        actual: Hash,
    },
    /// It is no launcher for this environment.
    #[error("the launcher `{path}` cannot be used")]
    Unusable {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: WindowsLauncherError,
    },
}

impl Explain for LauncherFileError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Fs(error) => error.explain(),
            Self::Digest { .. } => ErrorKind::Verification.no_hint(),
            Self::Unusable { source, .. } => source.explain(),
        }
    }
}

/// A launcher file that was read.
#[derive(Debug, Clone)]
pub struct LauncherFile {
    path: Utf8PathBuf,
    bytes: Vec<u8>,
    digest: Hash,
}

impl LauncherFile {
    /// Reads a launcher file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: Utf8PathBuf) -> Result<Self, FsError> {
        let bytes = fs::read(&path)?;
        let digest = Hash::sha256(&bytes);
        Ok(Self { path, bytes, digest })
    }

    /// The SHA-256 of the file.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// The launcher, for programs of `kind` on `arch`.
    ///
    /// # Errors
    /// The file has another digest than `expected`, or cannot be used.
    pub fn launcher(
        &self,
        expected: Option<Hash>,
        arch: Arch,
        kind: ScriptKind,
    ) -> Result<WindowsLauncher, LauncherFileError> {
        if let Some(expected) = expected.filter(|expected| *expected != self.digest) {
            return Err(LauncherFileError::Digest {
                path: self.path.clone(),
                expected,
                actual: self.digest,
            });
        }
        WindowsLauncher::parse(self.bytes.clone(), arch, kind)
            .map_err(|source| LauncherFileError::Unusable { path: self.path.clone(), source })
    }
}
