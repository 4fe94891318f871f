//! What this machine allows: limits, permissions, ways to share files. For `venvtree doctor`.
//!
//! Effects layer. Everything is found out by trying or asking; what was tried is removed again.

use camino::{Utf8Path, Utf8PathBuf};

/// The machine that this program was built for: architecture, operating system, C library.
pub fn target() -> String {
    let library = if cfg!(target_env = "musl") {
        "-musl"
    } else if cfg!(target_env = "gnu") {
        "-gnu"
    } else {
        ""
    };
    format!("{}-{}{library}", std::env::consts::ARCH, std::env::consts::OS)
}

/// How many files this process may have open: now, and if it asks for more. `None` if there is no
/// limit.
pub fn open_files() -> (Option<u64>, Option<u64>) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limit.current, limit.maximum)
}

/// More files than one command needs open at once: a build has all its wheels open.
const ENOUGH_FILES: u64 = 10_240;

/// Asks for as many open files as the system gives without more rights, up to what is enough.
/// Terminals on macOS start programs with 256, which is less than some environments have wheels.
/// Where that is refused, all stays as it was.
pub fn ask_for_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current: Some(now), maximum } = getrlimit(Resource::Nofile) else {
        return;
    };
    let wanted = maximum.unwrap_or(ENOUGH_FILES).min(ENOUGH_FILES);
    if now < wanted {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// The nearest parent that exists, or the path itself.
pub fn nearest(path: &Utf8Path) -> Utf8PathBuf {
    path.ancestors()
        .find(|path| path.as_std_path().exists())
        .unwrap_or(Utf8Path::new("/"))
        .to_owned()
}

/// Why nothing can be made in a directory; `None` if all is well or there is no such directory.
#[expect(clippy::disallowed_methods, reason = "it is gone at once")]
pub fn trouble_with(directory: &Utf8Path) -> Option<String> {
    let found = std::fs::metadata(directory).ok()?;
    if !found.is_dir() {
        return Some("it is not a directory".to_owned());
    }
    match tempfile::Builder::new().prefix(".venvtree-doctor-").tempfile_in(directory) {
        Ok(_) => None,
        Err(error) => Some(format!("it cannot be written to: {error}")),
    }
}

/// Whether files of one directory can be shared with another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// By hardlinks, or why not.
    pub hardlinks: Result<(), String>,
    /// By reflinks, or why not.
    pub reflinks: Result<(), String>,
}

/// Tries to share a file of the directory `from` with the directory `to`; both exist.
///
/// # Errors
/// No file can be made in one of them.
#[expect(clippy::disallowed_methods, reason = "they are gone at once")]
pub fn sharing(from: &Utf8Path, to: &Utf8Path) -> Result<Sharing, (Utf8PathBuf, std::io::Error)> {
    let builder = |directory: &Utf8Path| {
        let made = tempfile::Builder::new().prefix(".venvtree-doctor-").tempfile_in(directory);
        made.map_err(|error| (directory.to_owned(), error))
    };
    let mut source = builder(from)?;
    std::io::Write::write_all(&mut source, b"shared?\n")
        .map_err(|error| (from.to_owned(), error))?;
    let target = builder(to)?;
    let reflinks = reflink(source.as_file(), &target);
    let linked = target.path().with_extension("link");
    let hardlinks = std::fs::hard_link(source.path(), &linked).map_err(|error| error.to_string());
    if hardlinks.is_ok() {
        let _ = std::fs::remove_file(&linked);
    }
    Ok(Sharing { hardlinks, reflinks })
}

#[cfg(target_os = "linux")]
fn reflink(source: &std::fs::File, target: &tempfile::NamedTempFile) -> Result<(), String> {
    rustix::fs::ioctl_ficlone(target.as_file(), source).map_err(|error| error.to_string())
}

/// APFS makes a new file.
#[cfg(target_vendor = "apple")]
fn reflink(source: &std::fs::File, target: &tempfile::NamedTempFile) -> Result<(), String> {
    use rustix::fs::{CWD, CloneFlags};
    let path = target.path().with_extension("clone");
    let cloned = rustix::fs::fclonefileat(source, CWD, &path, CloneFlags::NOOWNERCOPY);
    let _ = std::fs::remove_file(&path);
    cloned.map_err(|error| error.to_string())
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn reflink(_source: &std::fs::File, _target: &tempfile::NamedTempFile) -> Result<(), String> {
    Err("reflinks are used on Linux and macOS only".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::host::folder::folder;

    #[test]
    fn trouble_is_found_and_nothing_is_left() {
        let (_guard, path) = &folder();
        assert_eq!(trouble_with(path), None);
        let file = path.join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(trouble_with(&file).as_deref(), Some("it is not a directory"));
        assert_eq!(trouble_with(&path.join("absent")), None);
        assert_eq!(nearest(&path.join("absent/deeper")), *path);
        let found = sharing(path, path).unwrap();
        assert_eq!(found.hardlinks, Ok(()));
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 1);
        assert_eq!(sharing(path, &path.join("absent")).unwrap_err().0, path.join("absent"));
    }
}
