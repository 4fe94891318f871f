//! Directories that nobody is to write to.
//!
//! Effects layer.

use rustix::fs::{AtFlags, FileType, Mode};

use crate::effects::host::fs::{Directory, FsError, failed};

/// The rights to write.
const WRITE: rustix::fs::RawMode = 0o222;
const READ_ONLY_DIRECTORY: Mode = Mode::from_raw_mode(0o555);

/// Takes the right to write from all that is in a directory, and from itself last. Times stay.
///
/// # Errors
/// Something belongs to somebody else.
pub fn seal(directory: &Directory) -> Result<(), FsError> {
    for name in directory.names()?.into_iter().flatten() {
        let found = directory.status(&name)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => seal(&directory.open_below(&name)?)?,
            // What comes out of the store may be linked elsewhere, and is read-only already.
            FileType::RegularFile if found.st_mode & WRITE != 0 => {
                let mode = Mode::from_raw_mode(found.st_mode & 0o555);
                rustix::fs::chmodat(directory.handle(), name.as_str(), mode, AtFlags::empty())
                    .map_err(|error| {
                        failed("set the mode of", &directory.path().join(&name))(error)
                    })?;
            }
            _ => {}
        }
    }
    rustix::fs::fchmod(directory.handle(), READ_ONLY_DIRECTORY)
        .map_err(failed("set the mode of", directory.path()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::effects::host::folder::folder;

    #[test]
    fn nobody_may_write_to_what_is_sealed() {
        let (_guard, folder) = folder();
        let root = folder.join("env");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "").unwrap();
        std::fs::write(folder.join("outside"), "").unwrap();
        std::os::unix::fs::symlink("../../outside", root.join("a/link")).unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::write(root.join("a/program"), "").unwrap();
        std::fs::set_permissions(root.join("a/program"), executable).unwrap();
        seal(&Directory::open(&root).unwrap()).unwrap();
        let mode = |path: &str| folder.join(path).metadata().unwrap().permissions().mode() & 0o777;
        let found = ["env", "env/a/b", "env/a/b/file", "env/a/program"].map(mode);
        assert_eq!(found, [0o555, 0o555, 0o444, 0o555]);
        assert_ne!(mode("outside") & 0o200, 0, "a link was followed");
        crate::effects::host::remove::directory(&root).unwrap();
    }
}
