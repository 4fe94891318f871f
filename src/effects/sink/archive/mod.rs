//! Writing an environment as one file: what the formats have in common.
//!
//! Effects layer. Entries go in the order of their paths, directories before what is in them, and
//! everything passes by in small parts, so that size does not matter; small files are read, and
//! inflated and hashed, ahead of the thread that writes. Modes and times are those of a
//! directory that venvtree writes, owners are numbers that somebody names: the same bytes wherever
//! they are packed.

mod writer;

mod compress;
mod even;
mod tar;
pub(super) mod zip;

pub use self::tar::Owner;
pub(super) use self::writer::Archive;

use std::collections::HashSet;
use std::io::{self, Write};

use camino::Utf8Path;

use self::tar::TarArchive;
use self::zip::ZipArchive;
use crate::effects::host::fs::FsError;
use crate::effects::host::interrupt;
use crate::effects::source::entry::{self, Entry, EntryNode, FileEntry, Folder, Source};
use crate::effects::source::supply::{FeedError, Supply, SupplyError};
use crate::effects::work::in_order;
use crate::effects::work::pipeline::Crew;
use crate::model::compression::Compression;
use crate::model::digest::{Digest, Hashed};
use crate::model::every::every;
use crate::model::path::TreePath;
use crate::model::plan::Planned;
use crate::model::tree::Tree;

/// The formats of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// POSIX `ustar`, with `pax` headers where those do not suffice.
    Tar,
    /// The same, compressed by gzip.
    TarGz,
    /// The same, compressed by Zstandard.
    TarZst,
    /// Zip, deflated.
    Zip,
}

impl ArchiveFormat {
    /// Every format.
    pub const ALL: [Self; 4] = every!(ArchiveFormat: Tar, TarGz, TarZst, Zip);

    /// The name, which is also the usual extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
            Self::TarZst => "tar.zst",
            Self::Zip => "zip",
        }
    }

    /// How its stream is compressed; of zip, each file is.
    pub fn compression(self) -> Option<Compression> {
        match self {
            Self::Tar => Some(Compression::None),
            Self::TarGz => Some(Compression::GZIP),
            Self::TarZst => Some(Compression::ZSTD),
            Self::Zip => None,
        }
    }

    /// The format that a file's name asks for.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            _ if name.ends_with(".tgz") => Some(Self::TarGz),
            _ if name.ends_with(".tzst") => Some(Self::TarZst),
            _ => Self::ALL.into_iter().find(|format| {
                name.strip_suffix(format.name()).is_some_and(|stem| stem.ends_with('.'))
            }),
        }
    }
}

/// What an archive is packed as.
#[derive(Debug, Clone, Copy)]
pub enum Packing {
    /// As tar.
    Tar(Compression, Owner),
    /// As zip.
    Zip,
}

/// How to pack.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveOptions<'a> {
    /// What it is to be.
    pub packing: Packing,
    /// The time of everything, in seconds since 1970-01-01T00:00:00Z. Zip knows only times from
    /// 1980 to 2107, even seconds.
    pub mtime: u64,
    /// A directory that everything is in.
    pub prefix: Option<&'a TreePath>,
    /// At most so many threads.
    pub threads: usize,
}

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// An input is not what it should be.
    #[error(transparent)]
    Supply(#[from] SupplyError),
    /// A file of a directory that is packed cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The archive cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl From<FeedError<ArchiveError>> for ArchiveError {
    fn from(error: FeedError<ArchiveError>) -> Self {
        match error {
            FeedError::Supply(error) => error.into(),
            FeedError::Taker(error) => error,
        }
    }
}

/// Adds the directories that a path is in, once each.
struct Directories {
    prefix: String,
    made: HashSet<String>,
}

impl Directories {
    fn new(prefix: Option<&TreePath>) -> Self {
        Self {
            prefix: prefix.map_or_else(String::new, |prefix| format!("{prefix}/")),
            made: HashSet::new(),
        }
    }

    /// Adds those of an entry; its path in the archive.
    fn add(&mut self, archive: &mut dyn Archive, path: &TreePath) -> io::Result<String> {
        let full = format!("{}{path}", self.prefix);
        for (end, _) in full.match_indices('/') {
            if !self.made.contains(&full[..end]) {
                archive.directory(&full[..end])?;
                self.made.insert(full[..end].to_owned());
            }
        }
        Ok(full)
    }
}

/// Packs entries of a plan, such as all of them: the bytes come from its wheels.
///
/// # Errors
/// An input is not what it should be, or `out` refuses. What was written until then is no archive.
pub fn pack_plan<'a>(
    entries: impl Iterator<Item = &'a (TreePath, Planned)>,
    supply: &Supply<'_>,
    out: &mut dyn Write,
    options: ArchiveOptions<'_>,
) -> Result<(), ArchiveError> {
    pack(entries.map(entry::of_planned), supply, out, options)
}

/// Packs a directory that was scanned as a tree.
///
/// # Errors
/// A file cannot be read or is another one now, or `out` refuses. What was written until then is no
/// archive.
pub fn pack_directory(
    tree: &Tree,
    directory: &Utf8Path,
    out: &mut dyn Write,
    options: ArchiveOptions<'_>,
) -> Result<(), ArchiveError> {
    let folder = Folder { path: directory, function: tree.function() };
    pack(entry::of_tree(tree), &folder, out, options)
}

fn pack<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    source: &(impl Source + Sync),
    out: &mut dyn Write,
    options: ArchiveOptions<'_>,
) -> Result<(), ArchiveError> {
    let ArchiveOptions { packing, mtime, prefix, threads } = options;
    match packing {
        Packing::Zip => {
            fill(entries, source, Box::new(ZipArchive::new(out, mtime)), (prefix, threads))
        }
        Packing::Tar(compression, owner) => {
            compress::through(out, compression, threads, |out, threads| {
                let archive = Box::new(TarArchive::new(out, mtime, owner));
                fill(entries, source, archive, (prefix, threads))
            })
        }
    }
}

/// How a layer is packed: as a tar archive whose directories belong to it too.
#[derive(Debug, Clone, Copy)]
pub struct LayerOptions<'a> {
    /// How it is compressed.
    pub compression: Compression,
    /// Whose everything is.
    pub owner: Owner,
    /// The time of everything.
    pub mtime: u64,
    /// The directory that everything is in.
    pub prefix: &'a TreePath,
}

/// A layer, packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedLayer {
    /// The digest of the archive.
    pub digest: Digest,
    /// The digest of what it is before it is compressed.
    pub unpacked: Digest,
}

/// Packs entries of a plan as a layer, on at most `threads` threads.
///
/// # Errors
/// As [`pack_plan`].
pub fn pack_layer<'a>(
    entries: impl Iterator<Item = &'a (TreePath, Planned)>,
    supply: &Supply<'_>,
    out: &mut dyn Write,
    options: LayerOptions<'_>,
    threads: usize,
) -> Result<PackedLayer, ArchiveError> {
    let LayerOptions { compression, owner, mtime, prefix } = options;
    let entries = entries.map(entry::of_planned);
    let mut packed = Hashed::sha256(out);
    let mut unpacked = None;
    compress::through(&mut packed, compression, threads, |out, threads| {
        let mut stream = Hashed::sha256(out);
        let archive = Box::new(TarArchive::new(&mut stream, mtime, owner));
        fill(entries, supply, archive, (Some(prefix), threads))?;
        unpacked = Some(stream.finish());
        Ok::<_, ArchiveError>(())
    })?;
    let digest = packed.finish();
    Ok(PackedLayer { digest, unpacked: unpacked.unwrap_or(digest) })
}

/// Bytes of files that are read, or inflated, and hashed ahead at a time, and the most files.
const BATCH: u64 = 1 << 20;
const BATCH_FILES: usize = 256;
/// Of larger files no thread reads ahead: they go through in small parts.
const AHEAD: u64 = 2 << 20;

/// Entries that follow each other, with the bytes of their files once somebody has read them.
#[derive(Default)]
struct Batch<'a> {
    entries: Vec<Entry<'a>>,
    /// Those of all files that are read ahead, and of each, where they end.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    size: u64,
    failed: Option<ArchiveError>,
}

fn is_read_ahead(file: FileEntry<'_>) -> bool {
    file.digest.size <= AHEAD
}

impl<'a> Batch<'a> {
    fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.ends.clear();
        self.size = 0;
    }

    fn push(&mut self, entry: Entry<'a>) {
        if let EntryNode::File(file) = entry.node {
            self.size = self.size.saturating_add(file.digest.size);
        }
        self.entries.push(entry);
    }

    fn is_full(&self) -> bool {
        self.size >= BATCH || self.entries.len() >= BATCH_FILES
    }

    /// Reads the files, and compares them with what was promised.
    fn read(&mut self, source: &impl Source) {
        for Entry { path, node } in &self.entries {
            let EntryNode::File(file) = *node else { continue };
            if !is_read_ahead(file) {
                continue;
            }
            let bytes = &mut self.bytes;
            let fed = source.feed(path, file, Crew::Alone, |part| {
                bytes.extend_from_slice(part);
                Ok::<_, ArchiveError>(())
            });
            if let Err(error) = fed {
                self.failed = Some(error.into());
                return;
            }
            self.ends.push(self.bytes.len());
        }
    }
}

/// Fills an archive with entries. Other threads read ahead of the one that writes.
fn fill<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    source: &(impl Source + Sync),
    mut archive: Box<dyn Archive + '_>,
    (prefix, threads): (Option<&TreePath>, usize),
) -> Result<(), ArchiveError> {
    let mut directories = Directories::new(prefix);
    let write = |batch: &mut Batch<'a>| {
        let (mut start, mut ends) = (0, batch.ends.iter().copied());
        for Entry { path, node } in &batch.entries {
            let file = match node {
                EntryNode::Link(target) => {
                    let place = directories.add(&mut *archive, path)?;
                    archive.link(&place, target.as_str())?;
                    continue;
                }
                EntryNode::File(file) => *file,
            };
            let end = if is_read_ahead(file) { ends.next() } else { Some(start) };
            // The first one that could not be read.
            let Some(end) = end else { break };
            let place = directories.add(&mut *archive, path)?;
            archive.begin(&place, file)?;
            if is_read_ahead(file) {
                archive.write(&batch.bytes[start..end])?;
                start = end;
            } else {
                source.feed(path, file, Crew::Shared(threads), |bytes| {
                    Ok::<_, ArchiveError>(archive.write(bytes)?)
                })?;
            }
            archive.end()?;
        }
        batch.failed.take().map_or(Ok(()), Err)
    };
    in_order::pass(
        threads,
        |batch: &mut Batch<'a>| batch.read(source),
        write,
        |hand_on| {
            let mut batch = Batch::default();
            for entry in entries {
                interrupt::check();
                batch.push(entry);
                if batch.is_full() {
                    batch = hand_on(batch)?;
                    batch.clear();
                }
            }
            hand_on(batch).map(drop)
        },
    )?;
    Ok(archive.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        for (name, format) in [
            ("env.tar", Some(ArchiveFormat::Tar)),
            ("env.tar.gz", Some(ArchiveFormat::TarGz)),
            ("env.tgz", Some(ArchiveFormat::TarGz)),
            ("a/env.tar.zst", Some(ArchiveFormat::TarZst)),
            ("env.zip", Some(ArchiveFormat::Zip)),
            ("env.pyz", None),
            ("tar", None),
        ] {
            assert_eq!(ArchiveFormat::of_name(name), format, "{name}");
        }
    }
}
