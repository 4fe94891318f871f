//! A directory that appears at its place complete, or not at all.
//!
//! Effects layer. The tree is made beside its place, under a name that says whose it is, and then
//! renamed. An empty directory that cannot be renamed away, because somebody works in it or a file
//! system is mounted there, is filled instead.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FileType, RenameFlags, Stat, renameat_with};
use rustix::io::Errno;

use crate::effects::host::fs::{self, Directory, FsError, Permissions, failed};
use crate::effects::host::interrupt;
use crate::effects::host::remove;
use crate::effects::host::replaceable::Replaceable;
use crate::effects::host::staging::{self, Staging};
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// Why a finished directory could not be put in its place.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// What is there now is not what was there before.
    #[error("`{path}` came into being, or was replaced, while it was being built")]
    Taken {
        /// The place.
        path: Utf8PathBuf,
    },
    /// The file system cannot exchange two directories.
    #[error("the file system of `{path}` cannot exchange two directories in one step")]
    NoExchange {
        /// The place.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Explain for PublishError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Taken { .. } => {
                ErrorKind::Conflict.hint("look at what is there now, then run the command again")
            }
            Self::NoExchange { .. } => {
                ErrorKind::Io.hint("move the old environment away, then run the command again")
            }
            Self::Fs(error) => error.explain(),
        }
    }
}

/// An unfinished directory. Dropping it removes it. One that has its place stays locked until it is
/// dropped: nobody replaces it before.
#[derive(Debug)]
pub struct Unfinished {
    // Closed before the staging directory is removed, which may need the file descriptor.
    directory: Directory,
    staging: Staging,
    place: Utf8PathBuf,
    /// Whether the staging directory lies in its place, which is filled then.
    inside: bool,
}

fn parent(place: &Utf8Path) -> &Utf8Path {
    place.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."))
}

/// Removes the default ACL that a directory has got from the one that it was made in: all that is
/// made in it would get other modes than it is made with. Nothing else sets modes of files that are
/// written, as that would take a system call each.
#[cfg(target_os = "linux")]
fn drop_default_acl(directory: &std::os::fd::OwnedFd) {
    // Almost always there is none, or the file system knows none.
    let _ = rustix::fs::fremovexattr(directory, c"system.posix_acl_default");
}

impl Unfinished {
    /// Makes an unfinished directory beside `place`, whose parents are made if need be, and clears
    /// away what dead processes left there.
    ///
    /// # Errors
    /// The parent cannot be made or written to.
    pub fn new(place: &Utf8Path) -> Result<Self, FsError> {
        let parent = parent(place);
        fs::create_directories(parent, Permissions::Usual).map_err(failed("create", parent))?;
        staging::sweep(parent);
        let prefix = staging::prefix(place.file_name().unwrap_or("output"));
        let inside = must_stay(place, parent);
        let folder = if inside { place } else { parent };
        let staging =
            Staging::create(folder, &prefix).map_err(failed("create a directory in", folder))?;
        // The very directory that was made and locked: by its path it could be another one by now.
        let handle =
            staging.handle().try_clone_to_owned().map_err(failed("open", staging.path()))?;
        #[cfg(target_os = "linux")]
        drop_default_acl(&handle);
        let directory = Directory::of(handle, staging.path());
        Ok(Self { directory, staging, place: place.to_owned(), inside })
    }

    /// The unfinished directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Puts the directory in its place, where nothing or an empty directory must be.
    ///
    /// # Errors
    /// Something is there, or the file system refuses.
    #[expect(clippy::disallowed_methods, reason = "it replaces nothing but an empty directory")]
    pub fn publish(&mut self) -> Result<(), PublishError> {
        if self.inside {
            return self.fill();
        }
        // A signal finds it at one place or at the other.
        let held = interrupt::hold();
        let renamed = match renameat_with(
            CWD,
            self.staging.path().as_std_path(),
            CWD,
            self.place.as_std_path(),
            RenameFlags::NOREPLACE,
        ) {
            // An empty directory counts as nothing, and a plain rename takes its place in one step,
            // as it does where the file system does not know the flag. Neither replaces a directory
            // that holds anything.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
                if fs::kind(&self.place)? != fs::Kind::Other =>
            {
                rustix::fs::rename(self.staging.path().as_std_path(), self.place.as_std_path())
            }
            result => result,
        };
        drop(held);
        match renamed {
            Ok(()) => {
                let arrived = self.is_at(&self.place);
                drop(self.staging.keep());
                if arrived { Ok(()) } else { Err(exchanged(&self.place)) }
            }
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {
                Err(PublishError::Taken { path: self.place.clone() })
            }
            Err(error) => {
                Err(failed("rename the finished directory to", &self.place)(error).into())
            }
        }
    }

    /// Whether what is at a path is the directory that was filled: whoever may write beside it can
    /// have moved it away. Where a file system gives another number to what was renamed, it is at
    /// least a directory of the same user.
    fn is_at(&self, path: &Utf8Path) -> bool {
        self.at(path).is_some_and(|(own, found)| {
            (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino) || own.st_uid == found.st_uid
        })
    }

    /// The same without any doubt.
    fn is_exactly_at(&self, path: &Utf8Path) -> bool {
        self.at(path)
            .is_some_and(|(own, found)| (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino))
    }

    /// What is known of the directory that was filled, and of the one at a path.
    fn at(&self, path: &Utf8Path) -> Option<(Stat, Stat)> {
        let own = rustix::fs::fstat(self.directory.handle()).ok()?;
        let found = rustix::fs::statat(CWD, path.as_str(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        is_directory.then_some((own, found))
    }

    /// Moves all that is in the directory up into its place, what makes it an environment last. If
    /// something is in the way, all of it goes back, and away.
    fn fill(&mut self) -> Result<(), PublishError> {
        let place = Directory::open(&self.place)?;
        let (from, to) = (self.directory.handle(), place.handle());
        // Before anything is moved out of it, which changes its time.
        let status = rustix::fs::fstat(from).map_err(failed("look at", &self.place))?;
        let mut names: Vec<String> = self.directory.names()?.into_iter().flatten().collect();
        names.sort_by_key(|name| name == CONFIGURATION);
        // A signal finds all of it here or there.
        let held = interrupt::hold();
        for (index, name) in names.iter().enumerate() {
            let Err(error) = move_entry(from, to, name) else {
                continue;
            };
            for name in &names[..index] {
                let _ = move_entry(to, from, name);
            }
            return Err(match error {
                Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR => {
                    PublishError::Taken { path: self.place.clone() }
                }
                error => failed("fill", &self.place)(error).into(),
            });
        }
        drop(held);
        // It is empty now; to remove it changes the time of the place.
        self.staging.remove();
        place.normalize(u64::try_from(status.st_mtime).unwrap_or_default())?;
        Ok(())
    }

    /// Puts the directory in the place of the one that is there, in one step, and removes the old
    /// one. Returns what could not be removed of that.
    ///
    /// # Errors
    /// Another directory is there than the one that may be replaced, or the file system refuses.
    pub fn exchange(&mut self, old: &Replaceable) -> Result<Option<FsError>, PublishError> {
        let taken = || PublishError::Taken { path: self.place.clone() };
        // Mostly it is known before anything is moved.
        if self.inside || !old.is_at(&self.place) {
            return Err(taken());
        }
        let staged = self.staging.path().to_owned();
        let exchange = || {
            renameat_with(
                CWD,
                staged.as_std_path(),
                CWD,
                self.place.as_std_path(),
                RenameFlags::EXCHANGE,
            )
        };
        // A signal finds the one or the other, and never removes what nobody has looked at.
        let held = interrupt::hold();
        match exchange() {
            // Only now nobody can put another directory there between the look and the step.
            Ok(()) if !old.is_at(&staged) => {
                let back = exchange();
                drop(held);
                if back.is_err() || !self.is_exactly_at(&staged) {
                    // What now has the temporary name is not ours to remove.
                    drop(self.staging.keep());
                    back.map_err(failed("exchange back", &self.place))?;
                    return Err(exchanged(&self.place));
                }
                Err(taken())
            }
            Ok(()) if !self.is_at(&self.place) => {
                let back = exchange();
                drop(held);
                // Neither is ours to remove.
                drop(self.staging.keep());
                back.map_err(failed("exchange back", &self.place))?;
                Err(exchanged(&self.place))
            }
            Ok(()) => {
                drop(held);
                let _old = self.staging.keep();
                Ok(remove::directory(&staged)
                    .err()
                    .map(failed("remove the replaced environment, which is now", &staged)))
            }
            Err(Errno::NOENT) if fs::kind(&self.place)? == fs::Kind::Absent => Err(taken()),
            Err(error @ (Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)) => {
                Err(PublishError::NoExchange { path: self.place.clone(), source: error.into() })
            }
            Err(error) => Err(failed("exchange", &self.place)(error).into()),
        }
    }
}

/// The unfinished directory is not where it was.
fn exchanged(place: &Utf8Path) -> PublishError {
    let source = io::Error::other(
        "somebody moved the unfinished directory away, and put something else in its place",
    );
    failed("finish", place)(source).into()
}

/// Renames an entry, never over another one where the file system can promise that.
fn move_entry(
    from: &std::os::fd::OwnedFd,
    to: &std::os::fd::OwnedFd,
    name: &str,
) -> rustix::io::Result<()> {
    match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match rustix::fs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => rustix::fs::renameat(from, name, to, name),
                Err(error) => Err(error),
                Ok(_) => Err(Errno::EXIST),
            }
        }
        result => result,
    }
}

/// Whether a place is an empty directory that must stay the one that it is: the working directory,
/// in which a shell would be left in nothing, or one where a file system is mounted.
fn must_stay(place: &Utf8Path, parent: &Utf8Path) -> bool {
    let look =
        |path: &Utf8Path| rustix::fs::statat(CWD, path.as_str(), AtFlags::SYMLINK_NOFOLLOW).ok();
    let Some(own) =
        look(place).filter(|own| FileType::from_raw_mode(own.st_mode) == FileType::Directory)
    else {
        return false;
    };
    let is_working_directory = look(Utf8Path::new("."))
        .is_some_and(|cwd| (cwd.st_dev, cwd.st_ino) == (own.st_dev, own.st_ino));
    let is_mounted = || {
        rustix::fs::statat(CWD, parent.as_str(), AtFlags::empty())
            .is_ok_and(|parent| parent.st_dev != own.st_dev)
    };
    (is_working_directory || is_mounted())
        && fs::kind(place).is_ok_and(|kind| kind == fs::Kind::EmptyDirectory)
}

/// The file that makes a directory a Python environment.
const CONFIGURATION: &str = "pyvenv.cfg";

/// Whether a directory is a Python environment, which can be repaired: it holds a `pyvenv.cfg`.
/// What may be replaced is another question ([`crate::effects::host::replaceable`]).
pub fn is_environment(path: &Utf8Path) -> bool {
    path.join(CONFIGURATION).is_file()
}

/// Removes everything in an environment, its `pyvenv.cfg` last: what could not be removed is still
/// an environment, so that the same can be tried again.
///
/// # Errors
/// Something cannot be removed.
pub fn empty_environment(environment: &Replaceable) -> Result<(), FsError> {
    let path = environment.path();
    for entry in path.read_dir_utf8().map_err(failed("list", path))? {
        let entry = entry.map_err(failed("list", path))?;
        if entry.file_name() == CONFIGURATION {
            continue;
        }
        if entry.file_type().map_err(failed("look at", entry.path()))?.is_dir() {
            remove::directory(entry.path()).map_err(failed("remove", entry.path()))?;
        } else {
            std::fs::remove_file(entry.path()).map_err(failed("remove", entry.path()))?;
        }
    }
    let last = path.join(CONFIGURATION);
    std::fs::remove_file(&last).map_err(failed("remove", &last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::host::folder::folder;
    use crate::effects::host::replaceable::{self, Protected};
    use crate::model::file_kind::FileKind;

    fn entries(path: &Utf8Path) -> usize {
        path.read_dir_utf8().unwrap().count()
    }

    #[test]
    fn a_directory_appears_complete_or_not_at_all() {
        let (_guard, folder) = folder();
        let place = folder.join("a/b");
        let staging = Unfinished::new(&place).unwrap();
        staging.directory().create_file("x", FileKind::Plain).unwrap().finish(0).unwrap();
        assert!(!place.exists());
        drop(staging);
        assert_eq!(entries(&folder.join("a")), 0);
        let mut staging = Unfinished::new(&place).unwrap();
        staging.directory().create_file("x", FileKind::Plain).unwrap().finish(0).unwrap();
        staging.publish().unwrap();
        assert!(place.join("x").exists());
        assert_eq!(entries(&folder.join("a")), 1);
    }

    #[test]
    fn an_empty_directory_is_no_obstacle_and_anything_else_is() {
        let (_guard, folder) = folder();
        let place = folder.join("out");
        std::fs::create_dir(&place).unwrap();
        Unfinished::new(&place).unwrap().publish().unwrap();
        std::fs::write(place.join("mine"), "").unwrap();
        assert!(matches!(
            Unfinished::new(&place).unwrap().publish(),
            Err(PublishError::Taken { .. })
        ));
        assert!(place.join("mine").exists());
        std::fs::write(folder.join("file"), "").unwrap();
        assert!(matches!(
            Unfinished::new(&folder.join("file")).unwrap().publish(),
            Err(PublishError::Taken { .. })
        ));
        std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
        assert!(matches!(
            Unfinished::new(&folder.join("link")).unwrap().publish(),
            Err(PublishError::Taken { .. })
        ));
        assert_eq!(entries(&folder), 3);
    }

    #[test]
    fn an_exchange_leaves_nothing_of_the_old_directory() {
        let (_guard, folder) = folder();
        let place = folder.join("out");
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("pyvenv.cfg"), "").unwrap();
        let protected = Protected { cwd: Utf8PathBuf::from("/"), home: None };
        let old = replaceable::check(&place, &protected).unwrap();
        let mut staging = Unfinished::new(&place).unwrap();
        staging.directory().create_file("new", FileKind::Plain).unwrap().finish(0).unwrap();
        assert!(staging.exchange(&old).unwrap().is_none());
        assert!(place.join("new").exists() && !place.join("pyvenv.cfg").exists());
        assert_eq!(entries(&folder), 1);
        // What came to be there since is another directory, which nobody has looked at.
        std::fs::write(place.join("mine"), "").unwrap();
        assert!(matches!(
            Unfinished::new(&place).unwrap().exchange(&old),
            Err(PublishError::Taken { .. })
        ));
        assert!(place.join("mine").exists());
        assert_eq!(entries(&folder), 1);
    }

    #[test]
    fn what_took_the_place_of_an_unfinished_directory_is_not_passed_off_as_it() {
        let (_guard, folder) = folder();
        let place = folder.join("out");
        std::fs::create_dir(folder.join("other")).unwrap();
        std::fs::write(folder.join("other/file"), "").unwrap();
        let swap = |staging: &Unfinished| {
            std::fs::rename(staging.directory().path(), folder.join("moved")).unwrap();
            std::os::unix::fs::symlink("other", staging.directory().path()).unwrap();
        };
        let mut staging = Unfinished::new(&place).unwrap();
        swap(&staging);
        assert!(matches!(staging.publish(), Err(PublishError::Fs(_))));
        assert!(folder.join("other/file").exists());
        std::fs::remove_file(&place).unwrap();
        std::fs::remove_dir(folder.join("moved")).unwrap();
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("pyvenv.cfg"), "").unwrap();
        let protected = Protected { cwd: Utf8PathBuf::from("/"), home: None };
        let old = replaceable::check(&place, &protected).unwrap();
        let mut staging = Unfinished::new(&place).unwrap();
        swap(&staging);
        assert!(matches!(staging.exchange(&old), Err(PublishError::Fs(_))));
        assert!(
            old.is_at(&place)
                && place.join("pyvenv.cfg").exists()
                && folder.join("other/file").exists()
        );
    }

    #[test]
    fn what_a_living_process_builds_is_left_alone() {
        let (_guard, folder) = folder();
        let place = folder.join("out");
        let mut one = Unfinished::new(&place).unwrap();
        let mut two = Unfinished::new(&place).unwrap();
        assert_eq!(entries(&folder), 2);
        one.publish().unwrap();
        std::fs::write(place.join("x"), "").unwrap();
        assert!(matches!(two.publish(), Err(PublishError::Taken { .. })));
    }
}
