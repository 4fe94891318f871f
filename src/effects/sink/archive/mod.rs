//! Writing an environment as one file: what the formats have in common.
//!
//! Effects layer. Entries go in the order of their paths, directories before what is in them, and
//! everything passes by in small parts, so that size does not matter. Owners are nobody, modes and
//! times are those of a directory that venvtree writes: the same bytes wherever they are packed.

mod writer;

mod even;
mod tar;
pub(super) mod zip;

pub(super) use self::writer::Archive;
pub use self::writer::{Output, WriteSeek};

use std::collections::HashSet;
use std::io;

use camino::Utf8Path;

use self::tar::TarArchive;
use self::zip::ZipArchive;
use crate::effects::host::fs::FsError;
use crate::effects::host::interrupt;
use crate::effects::source::entry::{self, Entry, EntryNode, Folder, Source};
use crate::effects::source::supply::{FeedError, Supply, SupplyError};
use crate::effects::work::pipeline::Crew;
use crate::model::every::every;
use crate::model::path::TreePath;
use crate::model::plan::Plan;
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

fn open<'a>(out: Output<'a>, options: &ArchiveOptions<'_>) -> io::Result<Box<dyn Archive + 'a>> {
    let mtime = options.mtime;
    Ok(match options.format {
        ArchiveFormat::Tar => Box::new(TarArchive::plain(out.stream(), mtime)),
        ArchiveFormat::TarGz => Box::new(TarArchive::gzip(out.stream(), mtime)),
        ArchiveFormat::TarZst => Box::new(TarArchive::zstd(out.stream(), mtime)?),
        ArchiveFormat::Zip => Box::new(ZipArchive::new(out.stream(), mtime)),
    })
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

/// Packs a plan: the bytes come from its wheels.
///
/// # Errors
/// An input is not what it should be, or `out` refuses. What was written until then is no archive.
pub fn pack_plan<'a>(
    plan: &Plan,
    supply: &Supply<'_>,
    out: impl Into<Output<'a>>,
    options: ArchiveOptions<'_>,
) -> Result<(), ArchiveError> {
    pack(entry::of_plan(plan), supply, open(out.into(), &options)?, options)
}

/// Packs a directory that was scanned as a tree.
///
/// # Errors
/// A file cannot be read or is another one now, or `out` refuses. What was written until then is no
/// archive.
pub fn pack_directory<'a>(
    tree: &Tree,
    directory: &Utf8Path,
    out: impl Into<Output<'a>>,
    options: ArchiveOptions<'_>,
) -> Result<(), ArchiveError> {
    let folder = Folder { path: directory, function: tree.function() };
    pack(entry::of_tree(tree), &folder, open(out.into(), &options)?, options)
}

fn pack<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    source: &impl Source,
    mut archive: Box<dyn Archive + '_>,
    options: ArchiveOptions<'_>,
) -> Result<(), ArchiveError> {
    let mut directories = Directories::new(options.prefix);
    for Entry { path, node } in entries {
        interrupt::check();
        let place = directories.add(&mut *archive, &path)?;
        match node {
            EntryNode::Link(target) => archive.link(&place, target.as_str())?,
            EntryNode::File(file) => {
                archive.begin(&place, file)?;
                source.feed(&path, file, Crew::Shared(options.threads), |bytes| {
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
    use std::io::{Cursor, SeekFrom};

    use super::*;
    use crate::effects::source::entry::FileEntry;
    use crate::model::digest::{Digest, DigestFunction};

    /// A format that says at its beginning what follows, and stores equal files once.
    struct Toy<'a> {
        out: &'a mut dyn WriteSeek,
        stored: HashSet<Digest>,
        skipped: bool,
        index: String,
    }

    impl Archive for Toy<'_> {
        fn directory(&mut self, path: &str) -> io::Result<()> {
            self.index += &format!("{path}/ ");
            Ok(())
        }

        fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
            self.index += &format!("{path}->{target} ");
            Ok(())
        }

        fn begin(&mut self, path: &str, file: FileEntry<'_>) -> io::Result<()> {
            self.skipped = !self.stored.insert(file.digest);
            self.index += &format!("{path}={} ", &file.digest.hash.to_string()[..4]);
            Ok(())
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            if self.skipped { Ok(()) } else { self.out.write_all(bytes) }
        }

        fn end(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn finish(self: Box<Self>) -> io::Result<()> {
            self.out.seek(SeekFrom::Start(0))?;
            self.out.write_all(self.index.as_bytes())
        }
    }

    /// Bytes by path.
    struct Texts;

    impl Source for Texts {
        fn feed<E>(
            &self,
            path: &TreePath,
            _: FileEntry<'_>,
            _: Crew<'_>,
            mut take: impl FnMut(&[u8]) -> Result<(), E>,
        ) -> Result<(), FeedError<E>> {
            let bytes: &[u8] = if path.as_str().ends_with('c') { b"other" } else { b"same" };
            take(bytes).map_err(FeedError::Taker)
        }
    }

    fn toy(out: Output<'_>) -> io::Result<Box<dyn Archive + '_>> {
        let out = out.file()?;
        out.seek(SeekFrom::Start(32))?;
        Ok(Box::new(Toy { out, stored: HashSet::new(), skipped: false, index: String::new() }))
    }

    #[test]
    fn a_format_may_go_back_and_store_equal_files_once() {
        let file = |path: &str, bytes: &[u8]| Entry {
            path: TreePath::parse(path).unwrap(),
            node: EntryNode::File(FileEntry {
                digest: DigestFunction::Sha256.digest(bytes),
                executable: false,
                content: None,
            }),
        };
        let entries = [file("x/a", b"same"), file("x/b", b"same"), file("x/c", b"other")];
        let mut out = Cursor::new(Vec::new());
        let options =
            ArchiveOptions { format: ArchiveFormat::Tar, mtime: 0, prefix: None, threads: 1 };
        pack(entries.into_iter(), &Texts, toy(Output::File(&mut out)).unwrap(), options).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        let hash = |bytes: &[u8]| DigestFunction::Sha256.digest(bytes).hash.to_string();
        let (same, other) = (&hash(b"same")[..4], &hash(b"other")[..4]);
        let index = format!("x/ x/a={same} x/b={same} x/c={other} ");
        assert_eq!(text, format!("{index:\0<32}sameother"));
        let mut pipe = Vec::new();
        let refused = toy(Output::Stream(&mut pipe)).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::NotSeekable);
    }

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
