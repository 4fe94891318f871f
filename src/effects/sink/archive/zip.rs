//! Zip archives, deflated. Wheels are such archives too.
//!
//! Effects layer. Written front to back, so sizes follow the bytes (APPNOTE 4.3.9). Directories are
//! not entries of their own: whatever unpacks makes them.

use std::io::{self, Write};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::even::Even;
use super::writer::Archive;
use crate::effects::source::entry::FileEntry;
use crate::model::file_kind::FileKind;
use crate::model::moment::Moment;

/// More than this needs zip64's sizes.
const LARGE: u64 = u32::MAX as u64;

/// A zip archive that grows.
pub(in crate::effects::sink) struct ZipArchive<'a> {
    out: ZipWriter<StreamWriter<&'a mut dyn Write>>,
    options: SimpleFileOptions,
    even: Even,
}

impl<'a> ZipArchive<'a> {
    /// An empty archive whose entries have the time `mtime`, as near as zip can say it.
    pub(in crate::effects::sink) fn new(out: &'a mut dyn Write, mtime: u64) -> Self {
        Self::with_level(out, mtime, 6)
    }

    /// The same for what is read a few times by machines: of bytecode it has 4 % more bytes, for half
    /// of the time.
    pub(in crate::effects::sink) fn quick(out: &'a mut dyn Write, mtime: u64) -> Self {
        Self::with_level(out, mtime, 3)
    }

    fn with_level(out: &'a mut dyn Write, mtime: u64, level: i64) -> Self {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(level))
            .last_modified_time(date_time(mtime));
        Self { out: ZipWriter::new_stream(out), options, even: Even::default() }
    }

    /// Adds a file that is in memory.
    pub(in crate::effects::sink) fn add(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin_file(path, bytes.len() as u64, FileKind::Plain)?;
        self.write(bytes)?;
        self.end()
    }

    /// The same as it is, for what is read more often than it is moved.
    pub(in crate::effects::sink) fn add_stored(
        &mut self,
        path: &str,
        bytes: &[u8],
    ) -> io::Result<()> {
        let stored = self.options.compression_method(CompressionMethod::Stored);
        let options = stored.compression_level(None).large_file(bytes.len() as u64 >= LARGE);
        let options = options.unix_permissions(FileKind::Plain.mode().into());
        self.out.start_file(path, options).map_err(invalid)?;
        self.out.write_all(bytes)
    }

    /// Begins a file whose digest nobody knows yet.
    pub(in crate::effects::sink) fn begin_file(
        &mut self,
        path: &str,
        size: u64,
        kind: FileKind,
    ) -> io::Result<()> {
        let options = self.options.unix_permissions(kind.mode().into()).large_file(size >= LARGE);
        self.out.start_file(path, options).map_err(invalid)
    }
}

fn invalid(error: zip::result::ZipError) -> io::Error {
    match error {
        zip::result::ZipError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidInput, other),
    }
}

impl Archive for ZipArchive<'_> {
    fn directory(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.out.add_symlink(path, target, self.options.unix_permissions(0o777)).map_err(invalid)
    }

    fn begin(&mut self, path: &str, file: FileEntry<'_>) -> io::Result<()> {
        self.begin_file(path, file.digest.size, file.kind)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.even.write(bytes, &mut self.out)
    }

    fn end(&mut self) -> io::Result<()> {
        self.even.flush(&mut self.out)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.out.finish().map(drop).map_err(invalid)
    }
}

/// Seconds since 1970 as a date and a time of UTC, within what zip can say.
fn date_time(seconds: u64) -> DateTime {
    let first = DateTime::default();
    let moment = Moment::of(seconds);
    let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
    match u16::try_from(moment.year) {
        Ok(year) if year < 1980 => first,
        Ok(year) => DateTime::from_date_and_time(
            year,
            small(moment.month),
            small(moment.day),
            small(moment.hour),
            small(moment.minute),
            small(moment.second),
        )
        .unwrap_or(first),
        Err(_) => first,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    fn sample(mtime: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive: Box<dyn Archive + '_> = Box::new(ZipArchive::new(&mut bytes, mtime));
        archive.directory("bin").unwrap();
        archive.begin("bin/run", FileEntry::imagined(5, FileKind::Executable)).unwrap();
        archive.write(b"he").unwrap();
        archive.write(b"llo").unwrap();
        archive.end().unwrap();
        archive.begin("ü.txt", FileEntry::imagined(0, FileKind::Plain)).unwrap();
        archive.end().unwrap();
        archive.link("python", "../a/b").unwrap();
        archive.finish().unwrap();
        bytes
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        let mut archive = zip::ZipArchive::new(Cursor::new(sample(315_532_800))).unwrap();
        let mut found = Vec::new();
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).unwrap();
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            let time = file.last_modified().unwrap().to_string();
            found.push((
                file.name().unwrap().into_owned(),
                file.unix_mode().unwrap(),
                content,
                time,
            ));
        }
        let entry = |name: &str, mode, content: &str| {
            (name.to_owned(), mode, content.to_owned(), "1980-01-01 00:00:00".to_owned())
        };
        assert_eq!(
            found,
            [
                entry("bin/run", 0o100_755, "hello"),
                entry("ü.txt", 0o100_644, ""),
                entry("python", 0o120_777, "../a/b")
            ]
        );
        assert_eq!(sample(315_532_800), sample(315_532_800));
    }

    #[test]
    fn times_are_the_nearest_that_zip_knows() {
        for (seconds, expected) in [
            (0, "1980-01-01 00:00:00"),
            (315_532_800, "1980-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_164_799, "2024-02-28 23:59:58"),
            (1_709_251_199, "2024-02-29 23:59:58"),
            (4_294_967_295, "2106-02-07 06:28:14"),
        ] {
            assert_eq!(date_time(seconds).to_string(), expected, "{seconds}");
        }
    }
}
