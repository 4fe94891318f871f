//! Stamps: which tree an output path holds, so that a build that has nothing to do reads one small
//! file.
//!
//! Effects layer. A stamp lies in the store, not in the tree, and counts only while the output
//! consists of the same directories: same paths, inodes and change times, so nothing was added,
//! removed or replaced since. Of an environment with very many directories only those that lead to
//! what is started and imported are looked at. An edit of a file where it lies does not show there;
//! finding that is the work of whoever reads the files. A stamp of another venvtree counts for
//! nothing: that one may lay environments out in another way.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FileType};

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::{Store, record};
use crate::effects::host::fs::read_entry;
use crate::model::digest::{ActionDigest, Digest, DirectoryDigest, Hash};
use crate::model::path::TreePath;
use crate::model::tree::{Directory, Node, Tree};

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The key of the action that made the tree.
    pub(crate) action: ActionDigest,
    /// The tree's root digest.
    pub(crate) root: DirectoryDigest,
    /// The tree's files.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// What stands for the text of the spec, where that text alone decides the key.
    pub(crate) text: Option<Hash>,
    /// The directories below the output that have to be the same, by their paths there.
    pub(crate) directories: Vec<String>,
}

/// As many directories are looked at as take a tenth of a millisecond: a build that has nothing to
/// do should not take longer for it.
const MANY: usize = 64;
/// How deep `site-packages` lies.
const DEPTH: usize = 3;

/// The directories by which a stamp of an environment is judged: all, or those that matter most.
pub fn directories_of(tree: &Tree) -> Vec<String> {
    fn below(directory: &Directory) -> impl Iterator<Item = (&str, &Directory)> {
        directory.entries().iter().filter_map(|(name, node)| match node {
            Node::Directory(below) => Some((name.as_str(), &**below)),
            Node::Leaf(_) => None,
        })
    }
    fn count(directory: &Directory) -> usize {
        below(directory).map(|(_, directory)| 1 + count(directory)).sum()
    }
    fn visit(directory: &Directory, prefix: &str, depth: usize, found: &mut Vec<String>) {
        for (name, directory) in below(directory) {
            let path = format!("{prefix}{name}");
            if depth > 1 {
                visit(directory, &format!("{path}/"), depth - 1, found);
            }
            found.push(path);
        }
    }
    let mut found = Vec::new();
    // Of very many, those that are deep do not count.
    let count = count(tree.root());
    let depth = if count > MANY { DEPTH } else { usize::MAX };
    visit(tree.root(), "", depth, &mut found);
    select(found, count)
}

/// The same of an environment that lies at a place, where directories may have been added; nothing
/// where one has a name that no tree can have.
pub fn directories_at(output: &Utf8Path) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut unseen = vec![String::new()];
    while let Some(directory) = unseen.pop() {
        for entry in output.join(&directory).read_dir_utf8().ok()? {
            let entry = entry.ok()?;
            if entry.file_type().ok()?.is_dir() {
                let name = entry.file_name();
                let path = if directory.is_empty() {
                    name.to_owned()
                } else {
                    format!("{directory}/{name}")
                };
                TreePath::parse(&path).ok()?;
                unseen.push(path.clone());
                found.push(path);
            }
        }
    }
    let count = found.len();
    Some(select(found, count))
}

/// Those of an environment's so many directories that are looked at: where they are very many, only
/// what leads to scripts and `site-packages`.
fn select(mut found: Vec<String>, count: usize) -> Vec<String> {
    if count > MANY {
        let depth = |path: &str| path.split('/').count();
        found.retain(|path| {
            depth(path) == 1 || depth(path) <= DEPTH && path.ends_with("site-packages")
        });
        found.truncate(MANY);
    }
    found.sort_unstable();
    found
}

/// What tells one state of a directory from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

fn identity(output: &Utf8Path) -> io::Result<Option<Identity>> {
    let found = match rustix::fs::statat(CWD, output.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        result => result?,
    };
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(None);
    }
    // The types of these fields differ between platforms.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    Ok(Some(Identity {
        device: found.st_dev as u64,
        inode: found.st_ino as u64,
        changed: (found.st_ctime as i64, found.st_ctime_nsec as i64),
    }))
}

/// Stands where there is no text.
const NO_TEXT: &str = "-";

/// Whose stamp it is.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Separates the paths of directories: no path of a tree holds it.
const SEPARATOR: char = '\t';

fn render(output: &Utf8Path, identity: Identity, stamp: &Stamp) -> String {
    let Identity { device, inode, changed: (seconds, nanoseconds) } = identity;
    let Stamp { action, root, files, bytes, text, directories } = stamp;
    let text = text.map_or_else(|| NO_TEXT.to_owned(), Hash::to_hex);
    let directories = directories.join("\t");
    format!(
        "{output}\n{directories}\n{device} {inode} {seconds} {nanoseconds}\n{action} {root} {files} {bytes} {text} {VERSION}\n"
    )
}

/// The state of an output and of the directories below it that count, in one value: that of the
/// output, in which the others' inodes and times are mixed. Nothing where one of them is missing.
fn state(output: &Utf8Path, directories: &[String]) -> io::Result<Option<Identity>> {
    let Some(mut state) = identity(output)? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(directories.len() * 40);
    for directory in directories {
        let Some(found) = identity(&output.join(directory))? else {
            return Ok(None);
        };
        for number in [
            found.device,
            found.inode,
            found.changed.0.cast_unsigned(),
            found.changed.1.cast_unsigned(),
        ] {
            bytes.extend(number.to_le_bytes());
        }
    }
    if !directories.is_empty() {
        let hash = Hash::sha256(&bytes).to_hex();
        state.device ^= u64::from_str_radix(&hash[..16], 16).expect("hexadecimal digits");
    }
    Ok(Some(state))
}

/// The parts of a stamp's payload: the path, its identity as text, what was built.
fn parse(payload: &str) -> Option<(Utf8PathBuf, &str, Stamp)> {
    // From the end, as the path is the only part that could hold anything.
    let mut lines = payload.strip_suffix('\n')?.rsplitn(4, '\n');
    let (digests, identity, directories, path) =
        (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
    let directories =
        directories.split(SEPARATOR).filter(|path| !path.is_empty()).map(str::to_owned).collect();
    let mut words = digests.split(' ');
    let action = ActionDigest(Digest::parse(words.next()?).ok()?);
    let root = DirectoryDigest(Digest::parse(words.next()?).ok()?);
    let (files, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let text = match words.next()? {
        NO_TEXT => None,
        text => Some(Hash::parse_hex(text).ok()?),
    };
    let stamp = Stamp { action, root, files, bytes, text, directories };
    Some((Utf8PathBuf::from(path), identity, stamp))
}

/// Where the records of an output lie.
pub(super) fn key(output: &Utf8Path) -> Hash {
    Hash::sha256(output.as_str().as_bytes())
}

impl Store {
    /// What the output holds, where that is known and the output is still the directory that the
    /// stamp was made for. The path must be absolute.
    pub fn stamp(&self, output: &Utf8Path) -> Option<Stamp> {
        let bytes = read_entry(&record::path(self, record::STAMP, key(output))).ok()?;
        let payload = String::from_utf8(record::unframe(record::STAMP, bytes)?).ok()?;
        let (_, _, stamp) = parse(&payload)?;
        let identity = state(output, &stamp.directories).ok()??;
        (payload == render(output, identity, &stamp)).then_some(stamp)
    }

    /// Notes what the output, published just now, holds. The path must be absolute.
    ///
    /// # Errors
    /// The output cannot be looked at, or the stamp not be written.
    pub fn set_stamp(&self, output: &Utf8Path, stamp: &Stamp) -> Result<(), BlobError> {
        let identity = state(output, &stamp.directories)
            .map_err(|error| BlobError::io("look at", output, error))?;
        let Some(identity) = identity else {
            return Ok(());
        };
        let text = render(output, identity, stamp);
        self.write_entry(
            &record::path(self, record::STAMP, key(output)),
            &record::frame(record::STAMP, text.as_bytes()),
        )
    }
}

/// Whether the output that a stamp's file speaks of is still the same directory; nothing where the
/// bytes are no stamp.
pub(super) fn is_current(bytes: Vec<u8>) -> Option<bool> {
    let payload = String::from_utf8(record::unframe(record::STAMP, bytes)?).ok()?;
    let (output, _, stamp) = parse(&payload)?;
    Some(
        state(&output, &stamp.directories)
            .ok()
            .flatten()
            .is_some_and(|identity| payload == render(&output, identity, &stamp)),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::digest::{BlobDigest, DigestFunction};
    use crate::model::file_kind::FileKind;
    use crate::model::tree::{Leaf, TreeBuilder};

    #[test]
    fn a_tree_and_the_directory_that_holds_it_are_judged_by_the_same_directories() {
        for count in [1, MANY / 5, MANY, 3 * MANY] {
            let folder = tempfile::tempdir().unwrap();
            let output = Utf8PathBuf::from_path_buf(folder.path().join("out")).unwrap();
            let mut builder = TreeBuilder::new();
            for index in 0..count {
                let below = "lib/python3.11/site-packages";
                for path in [format!("{below}/a{index}/b/c/file"), format!("top{index}/file")] {
                    let blob = BlobDigest(DigestFunction::Sha256.digest(b""));
                    let leaf = Leaf::File { blob, kind: FileKind::Plain };
                    builder.insert(&TreePath::parse(&path).unwrap(), leaf).unwrap();
                    fs::create_dir_all(output.join(&path).parent().unwrap()).unwrap();
                }
            }
            let of_tree = directories_of(&builder.finish(DigestFunction::Sha256));
            assert!(of_tree.iter().any(|path| path.ends_with("/site-packages")), "{count}");
            let deepest = of_tree.iter().map(|path| path.split('/').count()).max();
            let all = if count < MANY { 6 } else { DEPTH };
            assert_eq!(deepest, Some(all), "{count}");
            // What is listed comes in the file system's order: of too many, others may be left out.
            let at_place = directories_at(&output).unwrap();
            assert_eq!(of_tree.len(), at_place.len(), "{count}");
            if of_tree.len() < MANY {
                assert_eq!(of_tree, at_place, "{count}");
            }
        }
    }

    #[test]
    fn a_stamp_counts_while_the_output_is_the_same_directory() {
        let (folder, store) = crate::effects::caches::store::tests::store(DigestFunction::Sha256);
        let output =
            Utf8PathBuf::from_path_buf(folder.path().join("out\nwith a line break")).unwrap();
        let digest = DigestFunction::Sha256.digest(b"abc");
        let (action, root) = (ActionDigest(digest), DirectoryDigest(digest));
        let directories = vec!["lib".to_owned(), "lib/a b".to_owned()];
        let stamp = Stamp { action, root, files: 1, bytes: 2, text: None, directories };
        assert_eq!(store.stamp(&output), None);
        fs::create_dir_all(output.join("lib/a b")).unwrap();
        let set = |stamp: &Stamp| {
            store.set_stamp(&output, stamp).unwrap();
            assert_eq!(store.stamp(&output).as_ref(), Some(stamp));
        };
        for new in ["new", "lib/new", "lib/a b/new"] {
            set(&stamp);
            fs::write(output.join(new), "").unwrap();
            assert_eq!(store.stamp(&output), None, "{new}");
            set(&stamp);
            fs::remove_file(output.join(new)).unwrap();
            assert_eq!(store.stamp(&output), None, "{new}");
        }
        set(&stamp);
        fs::rename(output.join("lib/a b"), output.join("lib/c")).unwrap();
        assert_eq!(store.stamp(&output), None);
        fs::rename(output.join("lib/c"), output.join("lib/a b")).unwrap();
        set(&Stamp { text: Some(Hash::sha256(b"{}")), ..stamp.clone() });
        set(&stamp);
        let place = record::path(&store, record::STAMP, key(&output));
        let payload = record::unframe(record::STAMP, fs::read(&place).unwrap()).unwrap();
        let payload = String::from_utf8(payload).unwrap();
        for other in [format!(" {VERSION}1\n"), "\n".to_owned()] {
            let other = payload.replace(&format!(" {VERSION}\n"), &other);
            assert!(other.contains("line break") && other != payload);
            fs::write(&place, record::frame(record::STAMP, other.as_bytes())).unwrap();
            assert_eq!(store.stamp(&output), None, "of another version");
            let bytes = fs::read(&place).unwrap();
            assert_eq!(is_current(bytes), Some(false), "sound, but of no use");
        }
        set(&stamp);
        fs::remove_dir_all(&output).unwrap();
        fs::create_dir(&output).unwrap();
        assert_eq!(store.stamp(&output), None);
    }
}
