//! Where a store lies, and whether what lies there may be believed.
//!
//! Effects layer. Files of the store go into environments by their names, and what is kept of
//! interpreters decides what is run: who may write to a cache decides what its users run. The
//! user's own cache is therefore made for the user alone, and used only if nobody else could have
//! written to it. Of a store that was named, its users are asked to say by its permissions who
//! shares it: its owner and its group may, everybody may not.

use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::Permissions;
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// How a store came to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// It is the user's own cache.
    Own,
    /// It was named.
    Named,
}

/// A store's directory, whether it is there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlace {
    /// The directory.
    pub root: Utf8PathBuf,
    /// The mode of the folders that are made in it.
    pub folders: Permissions,
}

impl From<Utf8PathBuf> for StorePlace {
    /// As a store that was named, unseen.
    fn from(root: Utf8PathBuf) -> Self {
        Self { root, folders: Permissions::Usual }
    }
}

/// Why a cache is not believed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Untrusted {
    /// Everybody may write to it, or to the folder that it lies in.
    #[error("the cache `{path}` is not used: {} may write to `{writable}`", if *.everybody { "everybody" } else { "others" })]
    Writable {
        /// The cache.
        path: Utf8PathBuf,
        /// What others may write to.
        writable: Utf8PathBuf,
        /// Everybody, or a group.
        everybody: bool,
    },
    /// Another user owns it.
    #[error(
        "the cache `{path}` is not used: it belongs to the user {owner}, and this is the user {user}"
    )]
    Foreign {
        /// The cache.
        path: Utf8PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this program.
        user: u32,
    },
}

impl Explain for Untrusted {
    fn explain(&self) -> Explanation {
        match self {
            Self::Writable { path, writable, .. } if path == writable => {
                ErrorKind::Usage.hint(format!(
                    "remove it or run `chmod go-w {path}` once you trust what is in it, or name another place by `--store`"
                ))
            }
            Self::Writable { writable, .. } => {
                ErrorKind::Usage.hint(format!("run `chmod go-w {writable}`"))
            }
            Self::Foreign { .. } => ErrorKind::Usage.hint(
                "set HOME to this user's own directory (`sudo -H`), or name a store by `--store`",
            ),
        }
    }
}

impl Untrusted {
    /// The message with what to try, in one line.
    pub fn with_hint(&self) -> String {
        format!("{self}; {}", self.hint().unwrap_or_default())
    }
}

impl StorePlace {
    /// Looks at a store's directory, if it is there.
    ///
    /// # Errors
    /// Others could have put into it what they like.
    pub fn check(root: Utf8PathBuf, naming: Naming) -> Result<Self, Untrusted> {
        let found = root.metadata().ok().filter(std::fs::Metadata::is_dir);
        let folders = match (naming, &found) {
            (Naming::Own, Some(found)) => {
                check_owner(&root, found)?;
                check_mode(&root, &root, found.mode(), 0o022)?;
                Permissions::PRIVATE
            }
            (Naming::Own, None) => Permissions::PRIVATE,
            (Naming::Named, Some(found)) => {
                check_mode(&root, &root, found.mode(), 0o002)?;
                // Who may read and write there, and in whose group it is, was decided when it was
                // made.
                Permissions::Exact(found.mode() & 0o2775 | 0o700)
            }
            (Naming::Named, None) => Permissions::Usual,
        };
        if let Some(parent) = root.parent().filter(|_| naming == Naming::Own)
            && let Ok(found) = parent.metadata()
        {
            // In a folder such as /tmp, nobody can exchange what is somebody else's.
            const STICKY: u32 = 0o1000;
            check_mode(
                &root,
                parent,
                if found.mode() & STICKY == 0 { found.mode() } else { 0 },
                0o002,
            )?;
        }
        Ok(Self { root, folders })
    }
}

/// Refuses what belongs to neither this user nor the one that may do everything anyway.
pub(crate) fn check_owner(path: &Utf8Path, found: &std::fs::Metadata) -> Result<(), Untrusted> {
    let user = rustix::process::geteuid().as_raw();
    let owner = found.uid();
    if owner == user || owner == 0 {
        Ok(())
    } else {
        Err(Untrusted::Foreign { path: path.to_owned(), owner, user })
    }
}

pub(crate) fn check_mode(
    path: &Utf8Path,
    writable: &Utf8Path,
    mode: u32,
    forbidden: u32,
) -> Result<(), Untrusted> {
    if mode & forbidden == 0 {
        return Ok(());
    }
    Err(Untrusted::Writable {
        path: path.to_owned(),
        writable: writable.to_owned(),
        everybody: mode & 0o002 != 0,
    })
}
