//! Where a store lies, and whether what lies there may be believed.
//!
//! Effects layer. Files of the store go into environments by their names, and what is kept of
//! interpreters decides what is run: who may write to a cache decides what its users run. The
//! user's own cache is therefore made for the user alone, and used only if nobody else could have
//! written to it. Of a store that was named, its users are asked to say by its permissions who
//! shares it: its owner and its group may, everybody may not.

use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::{FsError, Permissions, failed, read_text};
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
    /// It cannot be one: it is, or would lie in, what is no directory.
    #[error("the cache `{path}` is not used: `{file}` is no directory")]
    NoDirectory {
        /// The cache.
        path: Utf8PathBuf,
        /// What is in its place, or in the way to it.
        file: Utf8PathBuf,
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
            Self::NoDirectory { .. } => ErrorKind::Usage.hint(
                "let XDG_CACHE_HOME or HOME name a directory, or name a store by `--store`",
            ),
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
        if naming == Naming::Own
            && let Some(file) = file_on_the_way(&root)
        {
            let file = file.to_owned();
            return Err(Untrusted::NoDirectory { path: root, file });
        }
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

/// What is no directory in the place of a directory or of one that it lies in.
fn file_on_the_way(root: &Utf8Path) -> Option<&Utf8Path> {
    let found = root.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    found.filter(|(_, found)| !found.is_dir()).map(|(path, _)| path)
}

/// Whether a directory may be taken for a store: it has what stores have, or nothing but what is
/// kept beside one.
///
/// # Errors
/// It cannot be read. What it holds instead, where it is something else.
pub fn check_contents(root: &Utf8Path) -> Result<(), NoStore> {
    // Bazel's disk cache has the first two.
    const OF_STORES: [&str; 3] = ["cas", "ac", "partial"];
    const BESIDE: [&str; 3] = ["interpreters", "environments", "gc"];
    let listing = match root.read_dir_utf8() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        result => result.map_err(failed("list", root))?,
    };
    let mut names: Vec<String> =
        listing.flatten().map(|entry| entry.file_name().to_owned()).collect();
    let tag = root.join("CACHEDIR.TAG");
    let is_marked = || read_text(&tag).is_ok_and(|text| text.contains("venvtree"));
    if names.iter().any(|name| OF_STORES.contains(&name.as_str())) || is_marked() {
        return Ok(());
    }
    names.retain(|name| !BESIDE.contains(&name.as_str()));
    names.sort_unstable();
    match names.into_iter().next() {
        None => Ok(()),
        Some(name) => Err(NoStore::Other { path: root.to_owned(), name }),
    }
}

/// Why a directory is not taken for a store.
#[derive(Debug, thiserror::Error)]
pub enum NoStore {
    /// It is something else.
    #[error(
        "the directory `{path}` is no store: it has `{name}`, and neither `cas` nor `ac`, which \
         stores have"
    )]
    Other {
        /// The directory.
        path: Utf8PathBuf,
        /// Something in it.
        name: String,
    },
    /// It cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Explain for NoStore {
    fn explain(&self) -> Explanation {
        match self {
            Self::Other { .. } => ErrorKind::Usage
                .hint("name the directory that builds were given by `--store` or VENVTREE_STORE"),
            Self::Fs(error) => error.explain(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::host::folder::folder;

    #[test]
    fn what_is_no_directory_is_no_place_for_a_cache() {
        let (_guard, folder) = folder();
        std::fs::write(folder.join("file"), "").unwrap();
        let check = |path: &str| StorePlace::check(folder.join(path), Naming::Own).map(|_| ());
        let in_the_way = |path: &str| Untrusted::NoDirectory {
            path: folder.join(path),
            file: folder.join("file"),
        };
        for path in ["file", "file/venvtree", "file/a/b/venvtree"] {
            assert_eq!(check(path), Err(in_the_way(path)));
        }
        assert_eq!(check("not/there/venvtree"), Ok(()));
        let null = StorePlace::check("/dev/null/venvtree".into(), Naming::Own).unwrap_err();
        let said = null.with_hint();
        assert!(said.contains("`/dev/null` is no directory") && !said.contains("chmod"), "{said}");
    }

    #[test]
    fn only_what_looks_like_a_store_is_taken_for_one() {
        let (_guard, folder) = folder();
        let check = |names: &[&str]| {
            let place = tempfile::tempdir_in(&folder).unwrap();
            for name in names {
                std::fs::create_dir_all(place.path().join(name)).unwrap();
            }
            check_contents(Utf8Path::from_path(place.path()).unwrap()).map_err(
                |error| match error {
                    NoStore::Other { name, .. } => name,
                    NoStore::Fs(error) => error.to_string(),
                },
            )
        };
        for names in [&[][..], &["cas"], &["ac", "notes"], &["interpreters", "environments"]] {
            assert_eq!(check(names), Ok(()), "{names:?}");
        }
        assert_eq!(check(&["src", "gc", "readme"]), Err("readme".to_owned()));
        assert!(check_contents(&folder.join("nowhere")).is_ok());
        std::fs::write(folder.join("notes"), "").unwrap();
        assert!(check_contents(&folder).is_err());
        std::fs::write(folder.join("CACHEDIR.TAG"), "Signature: x\n# A cache of venvtree").unwrap();
        assert!(check_contents(&folder).is_ok());
    }
}
