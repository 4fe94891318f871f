//! Writing an environment as one file: what the formats have in common.
//!
//! Effects layer. Entries go in the order of their paths, directories before what is in them, and
//! everything passes by in small parts, so that size does not matter. Modes and times are those of a
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
use crate::effects::source::entry::{self, Entry, EntryNode, Folder, Source};
use crate::effects::source::supply::{FeedError, Supply, SupplyError};
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
    source: &impl Source,
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

/// Fills an archive with entries.
fn fill<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    source: &impl Source,
    mut archive: Box<dyn Archive + '_>,
    (prefix, threads): (Option<&TreePath>, usize),
) -> Result<(), ArchiveError> {
    let mut directories = Directories::new(prefix);
    for Entry { path, node } in entries {
        interrupt::check();
        let place = directories.add(&mut *archive, &path)?;
        match node {
            EntryNode::Link(target) => archive.link(&place, target.as_str())?,
            EntryNode::File(file) => {
                archive.begin(&place, file)?;
                source.feed(&path, file, Crew::Shared(threads), |bytes| {
                    Ok::<_, ArchiveError>(archive.write(bytes)?)
                })?;
                archive.end()?;
            }
        }
    }
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
