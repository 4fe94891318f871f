//! Writing an environment as one file: what the formats have in common.
//!
//! Effects layer. Entries go in the order of their paths, directories before what is in them, and
//! everything passes by in small parts, so that size does not matter. Owners are nobody, modes and
//! times are those of a directory that venvtree writes: the same bytes wherever they are packed.

use std::collections::HashSet;
use std::io::{self, Write};

use camino::Utf8Path;

use crate::effects::host::fs::FsError;
use crate::effects::host::interrupt;
use crate::effects::sink::tar::TarArchive;
use crate::effects::sink::zip::ZipArchive;
use crate::effects::source::supply::{self, FeedError, Supply, SupplyError};
use crate::effects::work::pipeline::Crew;
use crate::model::digest::{Digest, DigestFunction};
use crate::model::every::every;
use crate::model::path::TreePath;
use crate::model::plan::{Plan, PlannedNode};
use crate::model::tree::{Leaf, Tree};

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

/// How to pack.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveOptions<'a> {
    /// The format.
    pub format: ArchiveFormat,
    /// The time of everything, in seconds since 1970-01-01T00:00:00Z. Zip knows only times from
    /// 1980 to 2107, even seconds.
    pub mtime: u64,
    /// A directory that everything is in.
    pub prefix: Option<&'a TreePath>,
    /// At most so many threads. Archives are written by one, which large files reach through
    /// others.
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

/// An archive that grows.
pub(super) trait Archive {
    /// Adds a directory.
    fn directory(&mut self, path: &str) -> io::Result<()>;
    /// Adds a symbolic link.
    fn link(&mut self, path: &str, target: &str) -> io::Result<()>;
    /// Begins a file of so many bytes.
    fn begin(&mut self, path: &str, size: u64, executable: bool) -> io::Result<()>;
    /// Adds bytes to the file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Ends the file.
    fn end(&mut self) -> io::Result<()>;
    /// Ends the archive.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

fn open<'a>(
    out: &'a mut dyn Write,
    options: &ArchiveOptions<'_>,
) -> io::Result<Box<dyn Archive + 'a>> {
    Ok(match options.format {
        ArchiveFormat::Tar => Box::new(TarArchive::plain(out, options.mtime)),
        ArchiveFormat::TarGz => Box::new(TarArchive::gzip(out, options.mtime)),
        ArchiveFormat::TarZst => Box::new(TarArchive::zstd(out, options.mtime)?),
        ArchiveFormat::Zip => Box::new(ZipArchive::new(out, options.mtime)),
    })
}

/// Adds the directories that a path is in, once each.
struct Places {
    prefix: String,
    made: HashSet<String>,
}

impl Places {
    fn new(options: &ArchiveOptions<'_>) -> Self {
        Self {
            prefix: options.prefix.map_or_else(String::new, |prefix| format!("{prefix}/")),
            made: HashSet::new(),
        }
    }

    fn place(&mut self, archive: &mut dyn Archive, path: &TreePath) -> io::Result<String> {
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

/// Packs a plan: the bytes come from its wheels.
///
/// # Errors
/// An input is not what it should be, or `out` refuses. What was written until then is no archive.
pub fn pack_plan(
    plan: &Plan,
    supply: &Supply<'_>,
    out: &mut dyn Write,
    options: ArchiveOptions<'_>,
) -> Result<(), ArchiveError> {
    let mut archive = open(out, &options)?;
    let mut places = Places::new(&options);
    for (path, planned) in &plan.entries {
        interrupt::check();
        let path = places.place(&mut *archive, path)?;
        match &planned.node {
            PlannedNode::Symlink(target) => archive.link(&path, target.as_str())?,
            PlannedNode::File { content, sha256, size, executable } => {
                archive.begin(&path, *size, *executable)?;
                supply.feed(content, *sha256, *size, Crew::Shared(options.threads), |bytes| {
                    Ok::<_, ArchiveError>(archive.write(bytes)?)
                })?;
                archive.end()?;
            }
        }
    }
    Ok(archive.finish()?)
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
    let mut archive = open(out, &options)?;
    let mut places = Places::new(&options);
    let mut leaves: Vec<_> = tree.leaves().collect();
    // As in a plan, so that both ways lead to the same bytes.
    leaves.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (path, leaf) in leaves {
        interrupt::check();
        let place = places.place(&mut *archive, &path)?;
        match leaf {
            Leaf::Symlink(target) => archive.link(&place, target.as_str())?,
            Leaf::File { blob, executable } => {
                archive.begin(&place, blob.0.size, *executable)?;
                copy(
                    &directory.join(path.as_str()),
                    blob.0,
                    tree.function(),
                    options.threads,
                    &mut *archive,
                )?;
                archive.end()?;
            }
        }
    }
    Ok(archive.finish()?)
}

/// Adds the bytes of a file that has a digest.
fn copy(
    path: &Utf8Path,
    expected: Digest,
    function: DigestFunction,
    threads: usize,
    archive: &mut dyn Archive,
) -> Result<(), ArchiveError> {
    let changed = || SupplyError::Changed { path: path.to_owned() };
    let mut left = expected.size;
    let take = |bytes: &[u8]| -> Result<(), ArchiveError> {
        // The archive's header has promised a size.
        left = left.checked_sub(bytes.len() as u64).ok_or_else(changed)?;
        Ok(archive.write(bytes)?)
    };
    if supply::pass_file(path, expected.size, function, Crew::Shared(threads), take)? == expected {
        Ok(())
    } else {
        Err(changed().into())
    }
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
