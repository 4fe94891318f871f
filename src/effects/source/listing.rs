//! Listing first-party inputs: a file, or a directory with all that is in it.
//!
//! Effects layer. Links are resolved, and must stay within the directory that is listed;
//! `__pycache__` is left out; what is neither file nor directory is refused. The order is that of
//! the paths' bytes, whatever the file system says.
//!
//! A directory may also be given file by file, as build systems have it. They do not keep modes:
//! whether a file is executable is then what its first bytes say.

use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::{FsError, Links, failed, open_regular};
use crate::effects::work::parallel;
use crate::model::digest::{Digest, DigestFunction, Hasher};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::file_kind::FileKind;
use crate::model::path::{PathError, TreePath};
use crate::model::plan::{ListedFile, Listing};

/// Where Python keeps bytecode, which is no input.
const CACHE: &str = "__pycache__";

/// A listing and where its files are.
#[derive(Debug, Clone, Default)]
pub struct ListedFiles {
    listing: Listing,
    paths: Vec<Utf8PathBuf>,
}

impl ListedFiles {
    /// The listing.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Where a file is.
    pub fn path(&self, file: usize) -> &Utf8Path {
        &self.paths[file]
    }

    fn push(&mut self, path: Option<TreePath>, place: Utf8PathBuf, kind: FileKind, digest: Digest) {
        let file = ListedFile { path, sha256: digest.hash, size: digest.size, kind };
        self.listing.files.push(file);
        self.paths.push(place);
    }
}

/// Why an input cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The file system refuses.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A link leads out of the directory.
    #[error("the link `{link}` leads out of `{root}`, to `{target}`")]
    Escape {
        link: Utf8PathBuf,
        /// The directory that is listed.
        root: Utf8PathBuf,
        /// Where it leads.
        target: Utf8PathBuf,
    },
    /// A link to a directory that holds the link.
    #[error("the link `{link}` leads to a directory that holds it")]
    Cycle { link: Utf8PathBuf },
    /// A device, a socket or a named pipe.
    #[error("`{path}` is neither a file nor a directory")]
    Special {
        /// What it is not.
        path: Utf8PathBuf,
    },
    /// A name that no tree may hold.
    #[error("`{path}` has a name that no tree may hold")]
    Name {
        /// The file.
        path: String,
        /// Why not.
        source: Option<PathError>,
    },
}

impl Explain for ListingError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Fs(error) => error.explain(),
            Self::Escape { .. } | Self::Cycle { .. } | Self::Special { .. } | Self::Name { .. } => {
                ErrorKind::Io.no_hint()
            }
        }
    }
}

/// Lists an input, and hashes every file.
///
/// # Errors
/// The input cannot be read as a whole.
pub fn list(path: &Utf8Path, threads: usize) -> Result<ListedFiles, ListingError> {
    let root = path.canonicalize_utf8().map_err(failed("find", path))?;
    let mut found: Vec<(Option<TreePath>, Utf8PathBuf, FileKind)> = Vec::new();
    if root.is_dir() {
        visit(&root, &root, "", &mut vec![root.clone()], &mut found)?;
    } else {
        let kind = check_file(&root)?;
        found.push((None, root, kind));
    }
    found.sort();
    let digests = parallel::map(threads, found.len(), |index| hash(&found[index].1))?;
    let mut listed = ListedFiles::default();
    for ((path, place, kind), digest) in found.into_iter().zip(digests) {
        listed.push(path, place, kind, digest);
    }
    Ok(listed)
}

/// Lists a directory that is given file by file, or by some of its directories: for each its path
/// there, and where it is.
///
/// # Errors
/// One of them cannot be read, or has a path that no tree may hold.
pub fn list_parts<'p>(
    parts: impl Iterator<Item = (&'p str, &'p Utf8Path)>,
    threads: usize,
) -> Result<ListedFiles, ListingError> {
    let mut found: Vec<(Option<TreePath>, Utf8PathBuf, FileKind)> = Vec::new();
    for (path, place) in parts.filter(|(path, _)| !path.split('/').any(|name| name == CACHE)) {
        let real = place.canonicalize_utf8().map_err(failed("find", place))?;
        if real.is_dir() {
            visit(&real, &real, path, &mut vec![real.clone()], &mut found)?;
            continue;
        }
        let refused = |source| ListingError::Name { path: path.to_owned(), source: Some(source) };
        found.push((
            Some(TreePath::parse(path).map_err(refused)?),
            real.clone(),
            check_file(&real)?,
        ));
    }
    found.sort();
    let known = parallel::map(threads, found.len(), |index| {
        let place = &found[index].1;
        Ok::<_, FsError>((kind_by_bytes(place)?, hash(place)?))
    })?;
    let mut listed = ListedFiles::default();
    for ((path, place, _), (kind, digest)) in found.into_iter().zip(known) {
        listed.push(path, place, kind, digest);
    }
    Ok(listed)
}

/// Whether a file is executable, going by what it begins with: a program or a library of Linux or
/// macOS, or the name of an interpreter.
fn kind_by_bytes(path: &Utf8Path) -> Result<FileKind, FsError> {
    let file = open_regular(path, Links::Follow).map_err(failed("open", path))?;
    let mut start = Vec::new();
    file.take(4).read_to_end(&mut start).map_err(failed("read", path))?;
    Ok(FileKind::of_bytes(&start))
}

/// Whether a file is executable.
fn check_file(path: &Utf8Path) -> Result<FileKind, ListingError> {
    let metadata = path.metadata().map_err(failed("look at", path))?;
    if !metadata.is_file() {
        return Err(ListingError::Special { path: path.to_owned() });
    }
    #[cfg(unix)]
    let kind =
        FileKind::of_mode(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()), 0o100);
    #[cfg(not(unix))]
    let kind = FileKind::Plain;
    Ok(kind)
}

fn hash(path: &Utf8Path) -> Result<Digest, FsError> {
    let mut file = open_regular(path, Links::Follow).map_err(failed("open", path))?;
    let mut hasher = Hasher::new(DigestFunction::Sha256);
    std::io::copy(&mut file, &mut hasher).map_err(failed("read", path))?;
    Ok(hasher.finish())
}

fn visit(
    root: &Utf8Path,
    directory: &Utf8Path,
    prefix: &str,
    open: &mut Vec<Utf8PathBuf>,
    found: &mut Vec<(Option<TreePath>, Utf8PathBuf, FileKind)>,
) -> Result<(), ListingError> {
    for entry in std::fs::read_dir(directory).map_err(failed("list", directory))? {
        let entry = entry.map_err(failed("list", directory))?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(ListingError::Name {
                path: entry.path().to_string_lossy().into_owned(),
                source: None,
            });
        };
        if name == CACHE {
            continue;
        }
        let place = directory.join(&name);
        let below = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let real = place.canonicalize_utf8().map_err(failed("follow", &place))?;
        let is_link = entry.file_type().map_err(failed("look at", &place))?.is_symlink();
        if is_link && !real.starts_with(root) {
            return Err(ListingError::Escape { link: place, root: root.to_owned(), target: real });
        }
        if real.is_dir() {
            if open.contains(&real) {
                return Err(ListingError::Cycle { link: place });
            }
            open.push(real.clone());
            visit(root, &real, &below, open, found)?;
            open.pop();
        } else {
            let kind = check_file(&real)?;
            let path = TreePath::parse(&below).map_err(|source| ListingError::Name {
                path: place.to_string(),
                source: Some(source),
            })?;
            found.push((Some(path), real, kind));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn listed(path: &Utf8Path) -> Result<Vec<String>, ListingError> {
        let listed = list(path, 2)?;
        let name = |file: &ListedFile| {
            let mark = if file.kind.is_executable() { "*" } else { "" };
            format!("{}{mark} {}", file.path.as_ref().map_or("", TreePath::as_str), file.size)
        };
        Ok(listed.listing().files.iter().map(name).collect())
    }

    #[test]
    fn a_directory_is_listed_in_order_with_links_resolved() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().join("root")).unwrap();
        std::fs::create_dir_all(root.join("pkg/__pycache__")).unwrap();
        std::fs::create_dir_all(root.join("empty")).unwrap();
        std::fs::write(root.join("pkg/__pycache__/x.pyc"), "").unwrap();
        std::fs::write(root.join("pkg/b.py"), "bb").unwrap();
        std::fs::write(root.join("a.py"), "a").unwrap();
        symlink("pkg/b.py", root.join("link.py")).unwrap();
        symlink("pkg", root.join("again")).unwrap();
        assert_eq!(listed(&root).unwrap(), ["a.py 1", "again/b.py 2", "link.py 2", "pkg/b.py 2"]);
        assert_eq!(listed(&root.join("a.py")).unwrap(), [" 1"]);
    }

    /// Whoever gives single files may have them anywhere, and with any modes.
    #[test]
    fn a_directory_is_listed_by_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let places = ["1", "2", "3", "4"].map(|name| root.join(name));
        for (place, text) in places.iter().zip([&b"\x7fELF"[..], b"#!/x", b"X", b""]) {
            std::fs::write(place, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(place, mode).unwrap();
        }
        let paths = ["bin/python", "lib/run", "lib/a.py", "__pycache__/b"];
        let parts = || paths.into_iter().zip(places.iter().map(Utf8PathBuf::as_path));
        let listed = list_parts(parts(), 2).unwrap();
        let found = listed.listing().files.iter();
        let found = found.map(|file| (file.path.as_ref().unwrap().as_str(), file.kind.into()));
        let found: Vec<(&str, bool)> = found.collect();
        assert_eq!(found, [("bin/python", true), ("lib/a.py", false), ("lib/run", true)]);
        assert_eq!(listed.path(1), places[2]);
        let out = [("../a", places[0].as_path())].into_iter();
        assert!(matches!(list_parts(out, 1), Err(ListingError::Name { .. })));
        let absent = root.join("absent");
        let absent = [("a", absent.as_path())].into_iter();
        assert!(matches!(list_parts(absent, 1), Err(ListingError::Fs(_))));
    }

    #[test]
    fn links_out_of_the_directory_and_cycles_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().join("root")).unwrap();
        std::fs::create_dir(&root).unwrap();
        symlink("/etc/passwd", root.join("out")).unwrap();
        assert!(matches!(listed(&root), Err(ListingError::Escape { .. })));
        std::fs::remove_file(root.join("out")).unwrap();
        symlink(".", root.join("self")).unwrap();
        assert!(matches!(listed(&root), Err(ListingError::Cycle { .. })));
        std::fs::remove_file(root.join("self")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        assert!(matches!(listed(&root), Err(ListingError::Fs(_))));
    }
}
