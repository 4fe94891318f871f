//! Zip archives on disk: opened, their structure read and checked.
//!
//! Effects layer. What the bytes mean is decided in `model::wheel::index`; here they are fetched,
//! with as few reads as possible.

use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::effects::host::input::{InputError, InputFile};
use crate::effects::wheels::member::ZipFile;
use crate::model::finding::Findings;
use crate::model::wheel::index::{self, Entry};
use crate::model::wheel::limits::Limits;

/// Opens an archive and reads its end record and central directory. What is wrong with them becomes
/// findings; of an archive that cannot be read at all there are no entries.
///
/// The entries are sorted by name, folders are among them.
///
/// # Errors
/// The file cannot be opened or read.
pub fn open(
    path: &Utf8Path,
    limits: &Limits,
    findings: &mut Findings,
) -> Result<(ZipFile, Vec<Entry>), InputError> {
    let input = InputFile::open(path)?;
    let entries = read_index(&input, limits, findings)?;
    Ok((ZipFile { input, allow: findings.allowed().clone() }, entries))
}

/// How much is read of an archive's end, and of its directory's beginning, to find its first member.
const GLANCE: usize = 1 << 10;

/// Opens an archive and finds its first member, if it has one that is sound. Nothing else is known
/// of it then.
///
/// # Errors
/// The file cannot be opened or read.
pub fn open_first(
    path: &Utf8Path,
    limits: &Limits,
) -> Result<(ZipFile, Option<Entry>), InputError> {
    let input = InputFile::open(path)?;
    let size = input.size();
    let length = usize::try_from(size).unwrap_or(usize::MAX).min(GLANCE);
    let mut bytes = vec![0; length];
    input.read_at(&mut bytes, size - length as u64)?;
    let end = index::end_record(&bytes, size, limits, &mut Findings::new());
    let first = match end.filter(|end| end.entries > 0) {
        Some(end) => {
            let length = usize::try_from(end.directory_size).unwrap_or(usize::MAX).min(GLANCE);
            bytes.resize(length, 0);
            input.read_at(&mut bytes, end.directory_offset)?;
            index::first_entry(&bytes, &end, limits)
        }
        None => None,
    };
    Ok((ZipFile { input, allow: BTreeSet::new() }, first))
}

/// All entries of an archive that is open, as [`open`] gives them.
///
/// # Errors
/// The file cannot be read.
pub fn entries(
    file: &ZipFile,
    limits: &Limits,
    findings: &mut Findings,
) -> Result<Vec<Entry>, InputError> {
    read_index(&file.input, limits, findings)
}

fn read_index(
    input: &InputFile,
    limits: &Limits,
    findings: &mut Findings,
) -> Result<Vec<Entry>, InputError> {
    let size = input.size();
    // Few archives have a comment or a directory of more than 64 KiB: then this read is the only
    // one.
    let length = usize::try_from(size).unwrap_or(usize::MAX).min(index::TAIL_LENGTH);
    let mut tail = vec![0; length];
    let tail_start = size - length as u64;
    input.read_at(&mut tail, tail_start)?;
    let Some(end) = index::end_record(&tail, size, limits, findings) else {
        return Ok(Vec::new());
    };
    // Both were checked: the directory lies within the file.
    let directory_size = usize::try_from(end.directory_size).unwrap_or(usize::MAX);
    if let Some(start) = end.directory_offset.checked_sub(tail_start) {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        return Ok(index::directory(&tail[start..start + directory_size], &end, limits, findings));
    }
    drop(tail);
    let mut directory = vec![0; directory_size];
    input.read_at(&mut directory, end.directory_offset)?;
    Ok(index::directory(&directory, &end, limits, findings))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use camino::Utf8PathBuf;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;
    use crate::effects::wheels::inflate::{Inflater, SMALL};
    use crate::effects::wheels::member::{MemberError, MemberRef};
    use crate::effects::wheels::reading::Reading;
    use crate::model::file_kind::FileKind;
    use crate::model::finding::Finding;
    use crate::model::wheel::index::EntryKind;

    /// Bytes that compress somewhat.
    fn bytes(length: usize) -> Vec<u8> {
        (0..length as u64)
            .map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61) as u8)
            .collect()
    }

    fn open_bytes(archive: &[u8]) -> (ZipFile, Vec<Entry>, Vec<Finding>) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("archive.zip")).unwrap();
        std::fs::write(&path, archive).unwrap();
        let mut findings = Findings::new();
        let (input, entries) = open(&path, &Limits::default(), &mut findings).unwrap();
        (input, entries, findings.finish())
    }

    #[test]
    fn reads_what_the_zip_crate_writes() {
        let contents: Vec<(String, Vec<u8>, SimpleFileOptions)> = [
            ("empty", 0, CompressionMethod::Stored),
            ("deflated/empty", 0, CompressionMethod::Deflated),
            ("small", 1000, CompressionMethod::Stored),
            ("deflated/small", 1000, CompressionMethod::Deflated),
            ("edge", SMALL as usize, CompressionMethod::Deflated),
            ("large", SMALL as usize + 1, CompressionMethod::Stored),
            ("deflated/middling", 3 << 20, CompressionMethod::Deflated),
            ("deflated/large", 5 << 20, CompressionMethod::Deflated),
            ("ümläut/日本", 10, CompressionMethod::Deflated),
        ]
        .into_iter()
        .flat_map(|(name, length, method)| {
            let options = SimpleFileOptions::default().compression_method(method);
            [
                (name.to_owned(), bytes(length), options),
                (format!("{name}64"), bytes(length), options.large_file(true)),
            ]
        })
        .collect();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes, options) in &contents {
            writer
                .start_file(
                    name.as_str(),
                    options.unix_permissions(if name.len() > 8 { 0o755 } else { 0o644 }),
                )
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.add_directory("folder", SimpleFileOptions::default()).unwrap();
        let archive = writer.finish().unwrap().into_inner();

        let (input, entries, findings) = open_bytes(&archive);
        assert_eq!(findings, []);
        assert_eq!(entries.len(), contents.len() + 1);
        // Not all of so many have room for members of middling size.
        let mut inflaters: Vec<Inflater> = (0..4).map(|_| Inflater::default()).collect();
        for (name, bytes, _) in &contents {
            let entry = entries.iter().find(|entry| *entry.name == **name).unwrap();
            assert!(entry.sound);
            assert_eq!(entry.kind, EntryKind::File(FileKind::from(name.len() > 8)));
            let mut most_parts = 0;
            for inflater in &mut inflaters {
                let (mut streamed, mut parts) = (Vec::new(), 0);
                let mut sink = |chunk: &[u8]| {
                    streamed.extend_from_slice(chunk);
                    parts += 1;
                    Ok::<_, MemberError>(())
                };
                let member = MemberRef::new(&input, entry);
                let mut notes = Findings::new();
                inflater.stream(member, &mut notes, &mut sink).unwrap();
                assert!(streamed == *bytes, "{name}");
                most_parts = most_parts.max(parts);
                if bytes.len() as u64 <= SMALL {
                    assert!(
                        inflater.read(member, &mut notes).unwrap() == bytes.as_slice(),
                        "{name}"
                    );
                }
            }
            assert_eq!(most_parts > 1, bytes.len() as u64 > SMALL, "{name}");
        }
        let mut reading = Reading::new(&input, &mut inflaters[0], Findings::new());
        reading.check_directories(&entries).unwrap();
        assert_eq!(reading.finish().finish(), []);
    }

    #[test]
    fn the_first_member_is_found_alone_as_among_all() {
        let archive = |names: &[String], comment: &str| {
            let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
            writer.set_comment(comment).unwrap();
            for name in names {
                writer.start_file(name, SimpleFileOptions::default()).unwrap();
                writer.write_all(&bytes(5000)).unwrap();
            }
            writer.finish().unwrap().into_inner()
        };
        let first = |archive: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            let path = Utf8PathBuf::from_path_buf(folder.path().join("archive.zip")).unwrap();
            std::fs::write(&path, archive).unwrap();
            open_first(&path, &Limits::default()).unwrap().1
        };
        for count in [1, 2, 300] {
            // The names come in another order than the members.
            let names: Vec<String> = (0..count).map(|index| format!("{}", 500 - index)).collect();
            let bytes = archive(&names, "");
            let (_, entries, _) = open_bytes(&bytes);
            let expected = entries.into_iter().find(|entry| *entry.name == *"500");
            assert!(expected.is_some() && first(&bytes) == expected, "{count}");
            assert_eq!(first(&archive(&names, &"x".repeat(2000))), None, "it is not looked for");
            assert_eq!(first(&[b"in front".as_slice(), &bytes].concat()), None);
            assert_eq!(first(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!((first(&archive(&[], "")), first(b"no archive")), (None, None));
    }

    #[test]
    fn every_cut_of_an_archive_is_refused() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a", "b"] {
            writer.start_file(name, SimpleFileOptions::default()).unwrap();
            writer.write_all(b"some bytes").unwrap();
        }
        let archive = writer.finish().unwrap().into_inner();
        for length in 0..archive.len() {
            let (_, entries, findings) = open_bytes(&archive[..length]);
            assert!(!findings.is_empty(), "{length}");
            assert_eq!(entries, [], "{length}");
        }
    }
}
