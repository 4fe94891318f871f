//! States: how every entry of an environment looked when it was known what it holds. While all look
//! so still, it holds the same, and no file of it has to be read.
//!
//! Effects layer. They lie beside the stamp of the environment, in a file of their own: a build that
//! believes the stamp alone reads as little as before. The root itself is not among them, as moving
//! a finished directory to its place changes it; the stamp has its inode and time of change.
//!
//! Entries that were modified just before they were looked at are left out
//! ([`State::is_settled`]), and what is not complete is never believed as a whole.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::SystemTime;

use camino::Utf8Path;
use rustix::fs::AtFlags;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::{Store, record, stamp};
use crate::effects::host::fs::{Directory, read_entry};
use crate::effects::host::state::State;
use crate::effects::work::parallel;
use crate::model::digest::{Digest, DirectoryDigest};
use crate::model::tree::Tree;

/// Entries that one thread looks at before it takes more.
const PORTION: usize = 1024;

/// How the entries of an environment looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct States {
    /// The root digest of the tree that it holds, apart from bytecode.
    pub root: DirectoryDigest,
    /// Whether no entry had to be left out.
    is_complete: bool,
    entries: Vec<(String, State)>,
}

/// Done for every entry: as calls, which a compiler that makes small code leaves, these few steps
/// take a sixth of the time that looking at all of them takes.
#[inline(always)]
fn look(directory: BorrowedFd<'_>, path: &str) -> Option<State> {
    let found = rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(State::of(&found))
}

impl States {
    /// Those of entries that were looked at from a moment on, in a directory that holds a tree.
    pub fn new(
        root: DirectoryDigest,
        entries: impl IntoIterator<Item = (String, State)>,
        since: SystemTime,
    ) -> Self {
        let mut is_complete = true;
        let mut kept = Vec::new();
        for (path, state) in entries {
            if state.is_settled(since) {
                kept.push((path, state));
            } else {
                is_complete = false;
            }
        }
        Self { root, is_complete, entries: kept }
    }

    /// Those of a tree that was written to a directory which nobody else knows yet; nothing where
    /// one of its entries is not there.
    pub fn of_written(tree: &Tree, directory: &Directory, threads: usize) -> Option<Self> {
        let since = SystemTime::now();
        let walk = tree.walk().into_iter();
        let paths: Vec<String> = walk.map(|(path, _)| path.as_str().to_owned()).collect();
        let portions: Vec<&[String]> = paths.chunks(PORTION).collect();
        let states = parallel::map(threads, portions.len(), |turn| {
            let state = |path: &String| look(directory.handle().as_fd(), path).ok_or(());
            portions[turn].iter().map(state).collect::<Result<Vec<State>, ()>>()
        });
        let states = states.ok()?.into_iter().flatten();
        Some(Self::new(tree.digest(), paths.into_iter().zip(states), since))
    }

    /// Whether all entries look as they did. As the directories that they lie in are among them,
    /// nothing was added or removed either, and no path leads through a link.
    pub fn hold(&self, output: &Utf8Path, threads: usize) -> bool {
        let Some(directory) = Directory::open(output).ok().filter(|_| self.is_complete) else {
            return false;
        };
        let portions: Vec<_> = self.entries.chunks(PORTION).collect();
        let compare = |turn: usize| {
            let is_still = |(path, state): &(String, State)| {
                look(directory.handle().as_fd(), path).is_some_and(|now| state.is_still(&now))
            };
            match portions[turn].iter().all(is_still) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        parallel::run(threads, portions.len(), compare).is_continue()
    }

    /// The entries by their paths.
    pub fn by_path(&self) -> HashMap<&str, &State> {
        self.entries.iter().map(|(path, state)| (path.as_str(), state)).collect()
    }

    /// The root digest and a word on completeness in a line, then the entries: how much of the path
    /// is that of the one before, the rest of it, the numbers.
    fn encode(&self) -> Vec<u8> {
        let complete = if self.is_complete { "complete" } else { "partial" };
        let mut bytes = format!("{} {complete}\n", self.root).into_bytes();
        let mut before = "";
        for (path, state) in &self.entries {
            let common = path.bytes().zip(before.bytes()).take_while(|(one, two)| one == two);
            let common = common.count();
            let rest = &path.as_bytes()[common..];
            for length in [common, rest.len()] {
                bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
            }
            bytes.extend(rest);
            let State { mode, inode, size, modified, changed } = *state;
            bytes.extend(mode.to_le_bytes());
            bytes.extend(inode.to_le_bytes());
            bytes.extend(size.to_le_bytes());
            bytes.extend(modified.to_le_bytes());
            bytes.extend(changed.unwrap_or(NEVER).to_le_bytes());
            before = path;
        }
        bytes
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let line = payload.iter().position(|byte| *byte == b'\n')?;
        let (root, complete) = std::str::from_utf8(&payload[..line]).ok()?.split_once(' ')?;
        let root = DirectoryDigest(Digest::parse(root).ok()?);
        let is_complete = complete == "complete";
        let mut numbers = Numbers(&payload[line + 1..]);
        let mut entries: Vec<(String, State)> = Vec::new();
        while !numbers.0.is_empty() {
            let common = usize::from(u16::from_le_bytes(numbers.take()?));
            let length = usize::from(u16::from_le_bytes(numbers.take()?));
            let before = entries.last().map_or("", |(path, _)| path.as_str()).as_bytes();
            let mut path = before.get(..common)?.to_vec();
            path.extend(numbers.bytes(length)?);
            let state = State {
                mode: u32::from_le_bytes(numbers.take()?),
                inode: u64::from_le_bytes(numbers.take()?),
                size: u64::from_le_bytes(numbers.take()?),
                modified: i64::from_le_bytes(numbers.take()?),
                changed: Some(i64::from_le_bytes(numbers.take()?)).filter(|time| *time != NEVER),
            };
            entries.push((String::from_utf8(path).ok()?, state));
        }
        Some(Self { root, is_complete, entries })
    }
}

/// Stands for no time of change.
const NEVER: i64 = i64::MIN;

/// What is left of a payload.
struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        self.bytes(LENGTH)?.try_into().ok()
    }
}

impl Store {
    /// How the entries of an output looked when it was last known what it holds. The path must be
    /// absolute.
    pub fn states(&self, output: &Utf8Path) -> Option<States> {
        let bytes = read_entry(&record::path(self, record::STATES, stamp::key(output))).ok()?;
        States::decode(&record::unframe(record::STATES, bytes)?)
    }

    /// Keeps how the entries of an output look. The path must be absolute.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_states(&self, output: &Utf8Path, states: &States) -> Result<(), BlobError> {
        let place = record::path(self, record::STATES, stamp::key(output));
        self.write_entry(&place, &record::frame(record::STATES, &states.encode()))
    }
}

/// Whether the bytes of a file are states.
pub(super) fn is_sound(bytes: Vec<u8>) -> bool {
    record::unframe(record::STATES, bytes).is_some_and(|payload| States::decode(&payload).is_some())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use camino::Utf8PathBuf;

    use super::*;
    use crate::model::digest::{BlobDigest, DigestFunction};
    use crate::model::file_kind::FileKind;
    use crate::model::path::TreePath;
    use crate::model::tree::{Leaf, TreeBuilder};

    const OLD: i64 = 1_000_000;

    type Change = (&'static str, fn(&Utf8Path));

    fn settle(path: &Utf8Path) {
        filetime::set_file_mtime(path, filetime::FileTime::from_unix_time(OLD, 0)).unwrap();
    }

    /// A directory that holds a tree, both of two files.
    fn written(folder: &tempfile::TempDir) -> (Utf8PathBuf, Tree) {
        let root = Utf8PathBuf::from_path_buf(folder.path().join("out")).unwrap();
        let mut builder = TreeBuilder::new();
        fs::create_dir_all(root.join("a/b")).unwrap();
        for path in ["a/b/one", "a/two"] {
            fs::write(root.join(path), path).unwrap();
            settle(&root.join(path));
            let blob = BlobDigest(DigestFunction::Sha256.digest(path.as_bytes()));
            let leaf = Leaf::File { blob, kind: FileKind::Plain };
            builder.insert(&TreePath::parse(path).unwrap(), leaf).unwrap();
        }
        for directory in ["a/b", "a"] {
            settle(&root.join(directory));
        }
        (root, builder.finish(DigestFunction::Sha256))
    }

    #[test]
    fn they_hold_until_anything_is_touched() {
        let changes: [Change; 5] = [
            ("edited", |root| fs::write(root.join("a/b/one"), "A/b/one").unwrap()),
            ("removed", |root| fs::remove_file(root.join("a/two")).unwrap()),
            ("added", |root| fs::write(root.join("a/b/three"), "").unwrap()),
            ("replaced", |root| {
                fs::write(root.join("a/new"), "a/two").unwrap();
                settle(&root.join("a/new"));
                fs::rename(root.join("a/new"), root.join("a/two")).unwrap();
                settle(&root.join("a"));
            }),
            ("a link in the way", |root| {
                fs::rename(root.join("a/b"), root.join("b")).unwrap();
                std::os::unix::fs::symlink("../b", root.join("a/b")).unwrap();
            }),
        ];
        for (what, change) in changes {
            let folder = tempfile::tempdir().unwrap();
            let (root, tree) = written(&folder);
            let states = States::of_written(&tree, &Directory::open(&root).unwrap(), 2).unwrap();
            assert!(states.hold(&root, 2), "{what}");
            change(&root);
            assert!(!states.hold(&root, 2), "{what}");
        }
    }

    #[test]
    fn what_was_modified_just_now_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (root, tree) = written(&folder);
        fs::write(root.join("a/two"), "a/two").unwrap();
        let states = States::of_written(&tree, &Directory::open(&root).unwrap(), 1).unwrap();
        assert!(!states.hold(&root, 1));
        let by_path = states.by_path();
        assert!(by_path.contains_key("a/b/one") && !by_path.contains_key("a/two"));
    }

    #[test]
    fn the_store_keeps_them_by_the_place() {
        let (folder, store) = crate::effects::caches::store::tests::store(DigestFunction::Sha256);
        let (root, tree) = written(&folder);
        let states = States::of_written(&tree, &Directory::open(&root).unwrap(), 1).unwrap();
        assert_eq!(store.states(&root), None);
        store.set_states(&root, &states).unwrap();
        assert_eq!(store.states(&root).as_ref(), Some(&states));
        assert_eq!(store.states(&root.join("a")), None);
        let encoded = states.encode();
        for length in 0..encoded.len() {
            let cut = States::decode(&encoded[..length]);
            assert!(cut.is_none_or(|cut| cut.entries.len() < states.entries.len()), "{length}");
        }
    }
}
