//! Tar archives (POSIX.1-1988 `ustar`; POSIX.1-2001 `pax` where a path, a link's target or a size
//! does not fit into it).
//!
//! Effects layer.

use std::io::{self, Write};

use tar::{EntryType, Header};

use super::writer::Archive;
use crate::effects::source::entry::FileEntry;

/// Sizes are eleven octal digits.
const MAX_SIZE: u64 = 0o77_777_777_777;
const BLOCK: usize = 512;

/// Whose everything in an archive is, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

impl Owner {
    /// The largest number: more do not fit into the old header.
    pub const LARGEST: u32 = 0o7_777_777;
}

/// A tar archive that grows.
pub(super) struct TarArchive<'a> {
    out: &'a mut dyn Write,
    mtime: u64,
    owner: Owner,
    /// How many bytes the last block of the file that is being written has.
    partial: usize,
}

impl<'a> TarArchive<'a> {
    /// An archive in which everything has this time and owner.
    pub(super) fn new(out: &'a mut dyn Write, mtime: u64, owner: Owner) -> Self {
        Self { out, mtime, owner, partial: 0 }
    }

    /// Writes a header once it has a path, a size and, for a link, a target.
    fn entry(
        &mut self,
        mut header: Header,
        path: &str,
        size: u64,
        target: Option<&str>,
    ) -> io::Result<()> {
        let mut extended = Vec::new();
        if !path.is_ascii() || header.set_path(path).is_err() {
            extended.extend(record("path", path));
            set_name(&mut header, path);
        }
        if let Some(target) = target {
            // Targets are texts, not paths to be tidied.
            match header.as_ustar_mut() {
                Some(fields) if target.is_ascii() && target.len() <= fields.linkname.len() => {
                    fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
                }
                _ => extended.extend(record("linkpath", target)),
            }
        }
        if size > MAX_SIZE {
            extended.extend(record("size", &size.to_string()));
        }
        header.set_size(size.min(MAX_SIZE));
        if !extended.is_empty() {
            let mut before = self.header(EntryType::XHeader, 0o644);
            set_name(&mut before, "pax");
            before.set_size(extended.len() as u64);
            self.put(before)?;
            self.out.write_all(&extended)?;
            self.pad(extended.len() % BLOCK)?;
        }
        self.put(header)
    }

    fn header(&self, kind: EntryType, mode: u32) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(self.mtime);
        header.set_uid(u64::from(self.owner.user));
        header.set_gid(u64::from(self.owner.group));
        header
    }

    fn put(&mut self, mut header: Header) -> io::Result<()> {
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, partial: usize) -> io::Result<()> {
        if partial == 0 { Ok(()) } else { self.out.write_all(&[0; BLOCK][partial..]) }
    }
}

/// As much of a path as the old field holds, for programs that do not know `pax`.
fn set_name(header: &mut Header, path: &str) {
    let fields = header.as_ustar_mut().expect("every header here is made by new_ustar");
    fields.prefix = [0; 155];
    fields.name = [0; 100];
    let ascii: Vec<u8> =
        path.bytes().map(|byte| if byte.is_ascii() { byte } else { b'_' }).take(99).collect();
    fields.name[..ascii.len()].copy_from_slice(&ascii);
}

/// A `pax` record: its own length in decimal, the key, the value.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n").into_bytes()
}

impl Archive for TarArchive<'_> {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        let header = self.header(EntryType::Directory, 0o755);
        self.entry(header, &format!("{path}/"), 0, None)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let header = self.header(EntryType::Symlink, 0o777);
        self.entry(header, path, 0, Some(target))
    }

    fn begin(&mut self, path: &str, file: FileEntry<'_>) -> io::Result<()> {
        self.partial = 0;
        let mode = file.kind.mode().into();
        let header = self.header(EntryType::Regular, mode);
        self.entry(header, path, file.digest.size, None)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.partial = (self.partial + bytes.len()) % BLOCK;
        self.out.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        self.pad(self.partial)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::model::file_kind::FileKind;

    const MTIME: u64 = 315_532_800;
    const OWNER: Owner = Owner { user: 65_532, group: Owner::LARGEST };

    fn sample(archive: TarArchive<'_>) {
        let mut archive: Box<dyn Archive + '_> = Box::new(archive);
        archive.directory("bin").unwrap();
        archive.begin("bin/run", FileEntry::imagined(5, FileKind::Executable)).unwrap();
        archive.write(b"he").unwrap();
        archive.write(b"llo").unwrap();
        archive.end().unwrap();
        archive
            .begin(&format!("{}/ü.txt", "d".repeat(300)), FileEntry::imagined(512, FileKind::Plain))
            .unwrap();
        archive.write(&[7; 512]).unwrap();
        archive.end().unwrap();
        archive
            .begin(
                &format!("{}/{}", "d".repeat(150), "f".repeat(100)),
                FileEntry::imagined(0, FileKind::Plain),
            )
            .unwrap();
        archive.end().unwrap();
        archive.link("python", "../a/./b").unwrap();
        archive.link("far", &"x/".repeat(60)).unwrap();
        archive.finish().unwrap();
    }

    /// Path, kind, mode, time, target, bytes.
    type Listed = (String, EntryType, u32, u64, Option<String>, Vec<u8>);

    fn list(bytes: &[u8]) -> Vec<Listed> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            let target = entry
                .link_name_bytes()
                .map(|target| String::from_utf8(target.into_owned()).unwrap());
            let numbers = (header.uid().unwrap(), header.gid().unwrap());
            assert_eq!(numbers, (u64::from(OWNER.user), u64::from(OWNER.group)));
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            (
                path,
                header.entry_type(),
                header.mode().unwrap(),
                header.mtime().unwrap(),
                target,
                content,
            )
        });
        entries.collect()
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        let mut bytes = Vec::new();
        sample(TarArchive::new(&mut bytes, MTIME, OWNER));
        assert_eq!(bytes.len() % BLOCK, 0);
        let file = |path: String, mode, content: &[u8]| {
            (path, EntryType::Regular, mode, MTIME, None, content.to_vec())
        };
        let link = |path: &str, target: String| {
            (path.to_owned(), EntryType::Symlink, 0o777, MTIME, Some(target), Vec::new())
        };
        assert_eq!(
            list(&bytes),
            [
                ("bin/".to_owned(), EntryType::Directory, 0o755, MTIME, None, Vec::new()),
                file("bin/run".to_owned(), 0o755, b"hello"),
                file(format!("{}/ü.txt", "d".repeat(300)), 0o644, &[7; 512]),
                file(format!("{}/{}", "d".repeat(150), "f".repeat(100)), 0o644, b""),
                link("python", "../a/./b".to_owned()),
                link("far", "x/".repeat(60)),
            ]
        );
    }

    #[test]
    fn records_count_themselves() {
        for length in [1, 80, 88, 89, 90, 91, 92, 93, 980, 990, 991, 992, 993] {
            let bytes = record("path", &"x".repeat(length));
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert_eq!(text.split(' ').next().unwrap().parse::<usize>().unwrap(), bytes.len());
        }
    }
}
