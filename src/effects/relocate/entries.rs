//! What an environment holds, and looking into its files.
//!
//! Effects layer. No link is followed, so that nothing outside of the environment is looked at.
//! Files are opened so that no FIFO or device is waited for, the first bytes decide whether the
//! rest is of interest, and what is searched whole is searched piece by piece: libraries may be
//! larger than the memory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};

use crate::effects::host::fs::{Directory, FsError, failed};
use crate::effects::work::parallel;
use crate::model::path::TreePath;
use crate::model::relocate::Roots;

/// The beginning of the names of files that are not finished.
pub(super) const UNFINISHED: &str = ".venvtree-relocate-";

/// A text that is rewritten is at most so long; RECORDs may be longer than others.
pub(super) const TEXT_LIMIT: u64 = 16 << 20;
pub(super) const RECORD_LIMIT: u64 = 256 << 20;

/// So much of a file says whether it is a script, and of which interpreter.
const HEAD: u64 = 16 << 10;
/// A piece of a file that is searched.
const PIECE: usize = 256 << 10;

/// An entry that a tree could hold.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its place.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone)]
pub(super) enum EntryKind {
    /// A regular file: its device and inode, which names of one file share.
    File((u64, u64)),
    /// A link, and where it leads.
    Link(Utf8PathBuf),
}

impl Entry {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, EntryKind::File(_))
    }

    /// The name of an entry directly in `bin`.
    pub fn in_scripts(&self) -> Option<&str> {
        self.path.as_str().strip_prefix("bin/").filter(|name| !name.contains('/'))
    }
}

/// All that an environment holds.
#[derive(Debug)]
pub(super) struct Environment {
    /// The environment's directory.
    pub root: Directory,
    /// Files and links, sorted.
    pub entries: Vec<Entry>,
    /// Files whose names no tree can hold, by their paths. They are only searched.
    pub odd: Vec<PathBuf>,
    /// What is neither file, link nor directory, and links whose targets are not UTF-8.
    pub others: Vec<String>,
    /// What an earlier run left unfinished.
    pub unfinished: Vec<PathBuf>,
}

/// What one directory of it holds, apart from directories.
#[derive(Default)]
struct Listed {
    entries: Vec<Entry>,
    odd: Vec<PathBuf>,
    others: Vec<String>,
    unfinished: Vec<PathBuf>,
}

impl Listed {
    fn visit(
        &mut self,
        place: &Utf8Path,
        directory: &Path,
        below: &mut Vec<PathBuf>,
    ) -> Result<(), FsError> {
        let full = place.as_std_path().join(directory);
        let named = |path: &Path| Utf8PathBuf::from(path.to_string_lossy().into_owned());
        for entry in std::fs::read_dir(&full).map_err(failed("list", &named(&full)))? {
            let entry = entry.map_err(failed("list", &named(&full)))?;
            let path = directory.join(entry.file_name());
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // It went away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("look at", &named(&entry.path()))(error)),
            };
            if metadata.is_dir() {
                below.push(path);
                continue;
            }
            if metadata.is_file() && is_unfinished(&entry.file_name()) {
                self.unfinished.push(path);
                continue;
            }
            let tree_path = path.to_str().and_then(|text| TreePath::parse(text).ok());
            let link =
                if metadata.is_symlink() { std::fs::read_link(entry.path()).ok() } else { None };
            let kind = match link.map(Utf8PathBuf::from_path_buf) {
                Some(Ok(target)) => Some(EntryKind::Link(target)),
                Some(Err(_)) => None,
                None => {
                    metadata.is_file().then(|| EntryKind::File((metadata.dev(), metadata.ino())))
                }
            };
            match (tree_path, kind) {
                (Some(path), Some(kind)) => self.entries.push(Entry { path, kind }),
                (None, Some(EntryKind::File(_))) => self.odd.push(path),
                // A relative link stays right whatever it is called.
                (None, Some(EntryKind::Link(target))) if target.is_relative() => {}
                (_, _) => self.others.push(path.to_string_lossy().into_owned()),
            }
        }
        Ok(())
    }
}

impl Environment {
    /// Lists an environment, by so many threads at most.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn list(place: &Utf8Path, threads: usize) -> Result<Self, FsError> {
        let mut all = Self {
            root: Directory::open(place)?,
            entries: Vec::new(),
            odd: Vec::new(),
            others: Vec::new(),
            unfinished: Vec::new(),
        };
        let listed = parallel::explore(threads, vec![PathBuf::new()], |directory: &PathBuf| {
            let (mut listed, mut below) = (Listed::default(), Vec::new());
            listed.visit(place, directory, &mut below)?;
            Ok::<_, FsError>((listed, below))
        })?;
        for Listed { entries, odd, others, unfinished } in listed {
            all.entries.extend(entries);
            all.odd.extend(odd);
            all.others.extend(others);
            all.unfinished.extend(unfinished);
        }
        all.entries.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        all.odd.sort_unstable();
        Ok(all)
    }

    /// The entry at a path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok();
        // The order of paths may be another than that of texts.
        index
            .map(|index| &self.entries[index])
            .or_else(|| self.entries.iter().find(|entry| entry.path.as_str() == path))
    }

    /// The regular files.
    pub fn files(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_file())
    }

    /// Opens a regular file. Whatever else is there by now is refused.
    ///
    /// # Errors
    /// It cannot be opened, or is no regular file.
    pub fn open(&self, path: &TreePath) -> Result<File, FsError> {
        let parent = path.parent();
        let directory = self.root.open_below(parent.as_ref().map_or("", TreePath::as_str))?;
        regular(directory.open_file(path.name())?, &self.root.path().join(path.as_str()))
    }

    /// The beginning of a file: enough for a line or two.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn head(&self, path: &TreePath) -> Result<Vec<u8>, FsError> {
        let mut head = Vec::new();
        let read = self.open(path)?.take(HEAD).read_to_end(&mut head);
        read.map_err(failed("read", &self.root.path().join(path.as_str())))?;
        Ok(head)
    }

    /// A whole file; nothing where it is longer than a limit.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn text(&self, path: &TreePath, limit: u64) -> Result<Option<Vec<u8>>, FsError> {
        let mut bytes = Vec::new();
        let read = self.open(path)?.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(failed("read", &self.root.path().join(path.as_str())))?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Searches a file for the places.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn search(&self, path: &TreePath, roots: &Roots) -> Result<Option<Named>, FsError> {
        search(self.open(path)?, roots)
            .map_err(failed("read", &self.root.path().join(path.as_str())))
    }

    /// Searches a file of an odd name for the places.
    ///
    /// # Errors
    /// It cannot be read.
    #[expect(
        clippy::disallowed_methods,
        reason = "no UTF-8 path leads to it; it is opened without waiting"
    )]
    pub fn search_odd(&self, path: &Path, roots: &Roots) -> Result<Option<Named>, FsError> {
        let full = self.root.path().as_std_path().join(path);
        let named = Utf8PathBuf::from(full.to_string_lossy().into_owned());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let handle =
            rustix::fs::open(&full, flags, Mode::empty()).map_err(failed("open", &named))?;
        search(regular(File::from(handle), &named)?, roots).map_err(failed("read", &named))
    }
}

fn is_unfinished(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
    rest.is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn regular(file: File, path: &Utf8Path) -> Result<File, FsError> {
    let metadata = file.metadata().map_err(failed("look at", path))?;
    if metadata.is_file() {
        return Ok(file);
    }
    Err(failed("read", path)(io::Error::other("it is no regular file")))
}

/// How a file names a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// As text.
    Text,
    /// In a file that holds NUL.
    Binary,
}

/// Searches a file for the places, piece by piece.
fn search(mut file: impl io::Read, roots: &Roots) -> io::Result<Option<Named>> {
    let overlap = roots.iter().map(str::len).max().unwrap_or_default();
    let mut buffer = vec![0; PIECE.max(overlap * 2)];
    let (mut filled, mut named, mut binary) = (0, false, false);
    loop {
        let read = match file.read(&mut buffer[filled..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        let fresh = filled;
        filled += read;
        binary = binary || memchr::memchr(0, &buffer[fresh..filled]).is_some();
        named = named || roots.named_in_piece(&buffer[..filled], read == 0);
        if read == 0 || named && binary {
            return Ok(named.then_some(if binary { Named::Binary } else { Named::Text }));
        }
        // What may go on in the next piece stays.
        let keep = overlap.min(filled);
        buffer.copy_within(filled - keep..filled, 0);
        filled = keep;
    }
}

/// A path as it can be opened and shown.
pub(super) fn shown(path: &Path) -> String {
    OsString::from(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn a_name_is_found_wherever_pieces_end() {
        let mut roots = Roots::new();
        roots.add("/home/me/env");
        roots.add("/e");
        let check = |text: &[u8], expected: Option<Named>| {
            for length in [1, 2, 3, 5, 7, 11, 12, 13, 64] {
                assert_eq!(
                    search(Slow(text, length), &roots).unwrap(),
                    expected,
                    "{length} {text:?}"
                );
            }
        };
        check(b"x /home/me/env/bin", Some(Named::Text));
        check(b"x /home/me/env", Some(Named::Text));
        check(b"/home/me/env2 /home/me/env", Some(Named::Text));
        check(b"/home/me/env2 /home/me/envy", None);
        check(b"\0 /home/me/env/", Some(Named::Binary));
        check(b"/home/me/env/ \0", Some(Named::Binary));
        check(b"/ex /e.d /e", Some(Named::Text));
        check(b"/ex /e.d", None);
        check(b"", None);
    }

    #[test]
    fn pieces_of_large_files_are_searched_alike() {
        let mut roots = Roots::new();
        roots.add("/home/me/env");
        for offset in
            [PIECE - 20, PIECE - 13, PIECE - 12, PIECE - 11, PIECE - 1, PIECE, 2 * PIECE - 5]
        {
            let mut bytes = vec![b'x'; 3 * PIECE];
            bytes[offset..offset + 13].copy_from_slice(b"/home/me/env/");
            assert_eq!(search(&bytes[..], &roots).unwrap(), Some(Named::Text), "{offset}");
            bytes[offset + 12] = b'2';
            assert_eq!(search(&bytes[..], &roots).unwrap(), None, "{offset}");
        }
    }
}
