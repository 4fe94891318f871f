//! Launcher files for Windows: read, compared with their digests, checked.
//!
//! Effects layer. What becomes of them is decided in `model::script`.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::{self, FsError};
use crate::model::digest::Hash;
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

impl LauncherFileError {
    /// What to try.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Fs(error) => error.hint(),
            Self::Digest { .. } => None,
            Self::Unusable { source, .. } => source.hint(),
        }
    }
}

/// Reads a launcher for programs of `kind` on `arch`.
///
/// # Errors
/// It cannot be read, has another digest than `expected`, or cannot be used.
pub fn load(
    path: &Utf8Path,
    expected: Option<Hash>,
    arch: Arch,
    kind: ScriptKind,
) -> Result<WindowsLauncher, LauncherFileError> {
    let bytes = fs::read(path)?;
    let actual = Hash::sha256(&bytes);
    if let Some(expected) = expected.filter(|expected| *expected != actual) {
        return Err(LauncherFileError::Digest { path: path.to_owned(), expected, actual });
    }
    WindowsLauncher::parse(bytes, arch, kind)
        .map_err(|source| LauncherFileError::Unusable { path: path.to_owned(), source })
}
