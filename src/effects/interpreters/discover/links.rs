//! By which path an interpreter is known: one that stays right after an upgrade, and one that an
//! interpreter finds its library from.
//!
//! Effects layer. Links from name to name are followed, so that `python3` and `python3.11` are the
//! same and `python3` may lead to another version tomorrow. Links to folders are kept: package
//! managers make them so that a path outlives a patch release (Homebrew's `opt/python@3.12`, uv's
//! `cpython-3.12-linux-x86_64-gnu`, `current` of others).

use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::model::reserved::is_interpreter_name;

/// A chain of links that is longer leads nowhere; as the kernel has it.
const MOST_LINKS: usize = 40;

/// An executable with the links of its name followed and those to folders kept. Where the last file
/// is called otherwise, as in a store of files by digest, where an interpreter would not find its
/// library, it is the executable as it was given.
pub(super) fn resolve(executable: &Utf8Path) -> Utf8PathBuf {
    let given = same_file(tidy(executable), executable);
    let mut path = given.clone();
    for _ in 0..MOST_LINKS {
        let Ok(target) = path.read_link_utf8() else {
            break;
        };
        let next = path.parent().unwrap_or(Utf8Path::new("/")).join(target);
        path = same_file(tidy(&next), &next);
    }
    let is_interpreter =
        path.file_name().is_some_and(|name| is_interpreter_name(&name.to_ascii_lowercase()));
    if is_interpreter && path.is_file() { stable(path) } else { given }
}

/// A path without `.` and `..`, as it reads.
fn tidy(path: &Utf8Path) -> Utf8PathBuf {
    let mut tidied = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    tidied
}

/// A tidied path, if it leads to the same file; else the path with its folder resolved: `..` after
/// a link to a folder is not what it reads.
fn same_file(tidied: Utf8PathBuf, path: &Utf8Path) -> Utf8PathBuf {
    if is_same(&tidied, path) {
        return tidied;
    }
    let folder = path.parent().and_then(|folder| folder.canonicalize_utf8().ok());
    folder.zip(path.file_name()).map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name))
}

fn is_same(one: &Utf8Path, other: &Utf8Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// The path by which a package manager wants an interpreter to be known, if it has one.
fn stable(path: Utf8PathBuf) -> Utf8PathBuf {
    let candidates = [homebrew(&path), merged(&path)];
    candidates.into_iter().flatten().find(|other| is_same(other, &path)).unwrap_or(path)
}

/// `PREFIX/opt/FORMULA/…` for Homebrew's `PREFIX/Cellar/FORMULA/VERSION/…`, where commands on
/// `PATH` lead.
fn homebrew(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let (prefix, rest) = path.as_str().split_once("/Cellar/")?;
    let mut parts = rest.splitn(3, '/');
    let (formula, _version, below) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Utf8Path::new(prefix).join("opt").join(formula).join(below))
}

/// `/usr/bin/…` for `/bin/…`, where both are one folder: machines differ in which comes first on
/// `PATH`.
fn merged(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let below = path.strip_prefix("/bin").ok()?;
    Some(Utf8Path::new("/usr/bin").join(below))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_of_names_are_followed_and_links_to_folders_kept() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(guard.path().canonicalize().unwrap()).unwrap();
        let file = |path: &str| {
            std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.join(path), path).unwrap();
        };
        let link = |target: &str, path: &str| {
            std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            symlink(target, folder.join(path)).unwrap();
        };
        file("brew/Cellar/python@3.12/3.12.1/bin/python3.12");
        link("python3.12", "brew/Cellar/python@3.12/3.12.1/bin/python3");
        link("../Cellar/python@3.12/3.12.1", "brew/opt/python@3.12");
        link("../Cellar/python@3.12/3.12.1/bin/python3.12", "brew/bin/python3.12");
        link("python3.12", "brew/bin/python3");
        file("uv/cpython-3.12.1-linux/bin/python3.12");
        link("cpython-3.12.1-linux", "uv/cpython-3.12-linux");
        link("../uv/cpython-3.12-linux/bin/python3.12", "local/python3.12");
        file("store/0123abcd");
        link("../store/0123abcd", "by-digest/python3");
        link("python3", "circle/python");
        link("python", "circle/python3");
        file("elsewhere/deep/bin/python3.9");
        link("../elsewhere/deep/bin", "there/folder");
        link("../bin/python3.9", "elsewhere/deep/bin/python3");
        let check = |path: &str, expected: &str| {
            let found = resolve(&folder.join(path));
            assert_eq!(found.strip_prefix(&folder).unwrap(), expected, "{path}");
        };
        check("brew/bin/python3", "brew/opt/python@3.12/bin/python3.12");
        check("brew/opt/python@3.12/bin/python3", "brew/opt/python@3.12/bin/python3.12");
        check("brew/Cellar/python@3.12/3.12.1/bin/python3", "brew/opt/python@3.12/bin/python3.12");
        check("local/python3.12", "uv/cpython-3.12-linux/bin/python3.12");
        check("uv/cpython-3.12.1-linux/bin/python3.12", "uv/cpython-3.12.1-linux/bin/python3.12");
        check("by-digest/python3", "by-digest/python3");
        check("circle/python", "circle/python");
        check("there/../elsewhere/./deep/bin/python3", "elsewhere/deep/bin/python3.9");
        // `..` is that of the folder, not of the link to it.
        check("there/folder/python3", "elsewhere/deep/bin/python3.9");
        check("there/folder/python3.9", "there/folder/python3.9");
    }
}
