//! The end records: where the central directory is, and that nothing surrounds the archive.
//!
//! Model layer.

use super::{
    CENTRAL_ENTRY, DESCRIPTOR, END_RECORD, END_RECORD_LENGTH, End, LOCAL_HEADER, ZIP64_END_RECORD,
    ZIP64_END_RECORD_LENGTH, ZIP64_LOCATOR, ZIP64_LOCATOR_LENGTH, u16_at, u32_at, u64_at,
};
use crate::model::finding::{Code, Findings};
use crate::model::wheel::limits::Limits;

/// Finds and checks the end record (and its zip64 companion) in `tail`, the last bytes of an
/// archive of `file_size` bytes: the last [`TAIL_LENGTH`] or the whole.
///
/// Without an answer there is a finding that says why.
pub fn end_record(
    tail: &[u8],
    file_size: u64,
    limits: &Limits,
    findings: &mut Findings,
) -> Option<End> {
    let tail_start = file_size - tail.len() as u64;
    let (found, directory_end) = claimed(tail, tail_start, findings)?;
    check_place(tail, tail_start, &found, directory_end, findings)?;
    check_limits(&found, limits, findings)?;
    Some(found)
}

/// What the end records say, and where the directory ends: where the first of them begins.
fn claimed(tail: &[u8], tail_start: u64, findings: &mut Findings) -> Option<(End, u64)> {
    let at = find_end_record(tail, findings)?;
    let record = &tail[at..];
    let end = tail_start + at as u64;

    // Disk numbers may be saturated where a zip64 record holds the real ones, and sizes likewise.
    let disk = u16_at(record, 4);
    let directory_disk = u16_at(record, 6);
    let disk_entries = u16_at(record, 8);
    let entries = u16_at(record, 10);
    let directory_size = u32_at(record, 12);
    let directory_offset = u32_at(record, 16);

    let locator = at
        .checked_sub(ZIP64_LOCATOR_LENGTH)
        .filter(|&start| tail[start..].starts_with(&ZIP64_LOCATOR));
    match locator {
        Some(start) => {
            let (zip64, zip64_disk_entries, zip64_start) =
                zip64_end(&tail[..start + ZIP64_LOCATOR_LENGTH], tail_start, findings)?;
            let agree16 = |short: u16, long: u64| short == u16::MAX || u64::from(short) == long;
            let agree32 = |short: u32, long: u64| short == u32::MAX || u64::from(short) == long;
            let agree = agree16(disk, 0)
                && agree16(directory_disk, 0)
                && agree16(disk_entries, zip64_disk_entries)
                && agree16(entries, zip64.entries)
                && agree32(directory_size, zip64.directory_size)
                && agree32(directory_offset, zip64.directory_offset);
            if !agree {
                findings.add(
                    Code::ZipZip64End,
                    "the end record's values are neither those of the zip64 end record nor the marks that refer to them",
                );
                return None;
            }
            Some((zip64, zip64_start))
        }
        None => {
            if disk != 0 || directory_disk != 0 || disk_entries != entries {
                findings.add(
                    Code::ZipMultiDisk,
                    format!(
                        "the end record is on disk {disk}, the directory on disk {directory_disk} with {disk_entries} of {entries} entries"
                    ),
                );
                return None;
            }
            let found = End {
                directory_offset: u64::from(directory_offset),
                directory_size: u64::from(directory_size),
                entries: u64::from(entries),
            };
            if (directory_size == u32::MAX || directory_offset == u32::MAX)
                && found.directory_offset + found.directory_size != end
            {
                findings.add(Code::ZipZip64End, "the end record refers to a zip64 end record, and there is no locator before it");
                return None;
            }
            Some((found, end))
        }
    }
}

/// Whether the directory lies where it is said to be.
fn check_place(
    tail: &[u8],
    tail_start: u64,
    found: &End,
    directory_end: u64,
    findings: &mut Findings,
) -> Option<()> {
    // Offsets and sizes below 2^64 may add up to more.
    let claimed_end = found.directory_offset.checked_add(found.directory_size);
    if claimed_end != Some(directory_end) {
        let shift = claimed_end.and_then(|claimed| directory_end.checked_sub(claimed));
        let shifted = shift
            .and_then(|shift| (found.directory_offset + shift).checked_sub(tail_start))
            .map(|start| start as usize);
        // The directory lies elsewhere than the offset says, but right before the end record:
        // something was put in front.
        if found.entries > 0
            && shifted.is_some_and(|start| tail[start..].starts_with(&CENTRAL_ENTRY))
        {
            let shift = shift.unwrap_or_default();
            findings.add(
                Code::ZipPrefixBytes,
                format!("{shift} bytes precede the archive that its offsets describe"),
            );
        } else {
            findings.add(
                Code::ZipDirectoryBounds,
                format!(
                    "the directory is said to begin at {} with {} bytes, the end record begins at {directory_end}",
                    found.directory_offset, found.directory_size
                ),
            );
        }
        return None;
    }
    Some(())
}

/// Whether the directory has entries, and not more than are read.
fn check_limits(found: &End, limits: &Limits, findings: &mut Findings) -> Option<()> {
    if found.entries == 0 && found.directory_size == 0 {
        if found.directory_offset > 0 {
            findings.add(
                Code::ZipPrefixBytes,
                format!("{} bytes precede an empty directory", found.directory_offset),
            );
        }
        findings.add(Code::ZipEmpty, "the archive has no members");
        return None;
    }
    if found.entries > limits.entries {
        findings.add(
            Code::ZipLimitEntries,
            format!("{} entries, the limit is {}", found.entries, limits.entries),
        );
        return None;
    }
    let limit = limits.directory_of(found.entries);
    if found.directory_size > limit {
        findings.add(
            Code::ZipLimitDirectory,
            format!(
                "the directory has {} bytes for {} entries, the limit is {limit}",
                found.directory_size, found.entries
            ),
        );
        return None;
    }
    Some(())
}

/// Where in `tail` the end record starts: the one whose comment ends with the file, if there is
/// one.
fn find_end_record(tail: &[u8], findings: &mut Findings) -> Option<usize> {
    let length_at = |at: usize| END_RECORD_LENGTH + usize::from(u16_at(tail, at + 20));
    // Nearly always the first one found is right, and nothing more is searched.
    let mut starts = memchr::memmem::rfind_iter(tail, &END_RECORD)
        .filter(|at| at + END_RECORD_LENGTH <= tail.len())
        .take(64);
    let Some(last) = starts.next() else {
        findings.add(Code::ZipNoEndRecord, "no end record in the file's last bytes");
        return None;
    };
    let at = match std::iter::once(last).chain(starts).find(|&at| at + length_at(at) == tail.len())
    {
        Some(at) => at,
        None if last + length_at(last) < tail.len() => {
            findings.add(
                Code::ZipTrailingBytes,
                format!("{} bytes follow the end record", tail.len() - last - length_at(last)),
            );
            last
        }
        None => {
            findings.add(Code::ZipNoEndRecord, "the end record's comment is longer than the file");
            return None;
        }
    };
    let comment = &tail[at + END_RECORD_LENGTH..at + length_at(at)];
    if !comment.is_empty() {
        findings
            .add(Code::ZipComment, format!("the archive has a comment of {} bytes", comment.len()));
    }
    // Readers search backwards for the record's four bytes; they must not find them, nor the start
    // of a member, later than here.
    const SIGNATURES: [[u8; 4]; 6] =
        [LOCAL_HEADER, CENTRAL_ENTRY, END_RECORD, ZIP64_END_RECORD, ZIP64_LOCATOR, DESCRIPTOR];
    let after = &tail[at + 4..at + length_at(at)];
    if !comment.is_empty()
        && after.windows(4).any(|window| SIGNATURES.iter().any(|signature| window == signature))
    {
        findings.add(
            Code::ZipCommentSignature,
            "the archive's comment holds the signature of a zip record",
        );
    }
    Some(at)
}

/// Reads the zip64 end record that the locator at the end of `head` points to; also its count for
/// this disk and its start.
fn zip64_end(head: &[u8], tail_start: u64, findings: &mut Findings) -> Option<(End, u64, u64)> {
    let at = head.len() - ZIP64_LOCATOR_LENGTH;
    let mut refuse = |message: String| {
        findings.add(Code::ZipZip64End, message);
        None
    };
    let locator = &head[at..];
    let expected = (tail_start + at as u64).checked_sub(ZIP64_END_RECORD_LENGTH as u64);
    let offset = u64_at(locator, 8);
    if expected != Some(offset) {
        return refuse(format!(
            "the locator points to {offset}, a zip64 end record of {ZIP64_END_RECORD_LENGTH} bytes right before it was expected"
        ));
    }
    if u32_at(locator, 4) != 0 || u32_at(locator, 16) != 1 {
        findings.add(
            Code::ZipMultiDisk,
            format!(
                "the zip64 locator names disk {} of {}",
                u32_at(locator, 4),
                u32_at(locator, 16)
            ),
        );
        return None;
    }
    let Some(start) = at.checked_sub(ZIP64_END_RECORD_LENGTH) else {
        return refuse("the zip64 end record does not fit before its locator".to_owned());
    };
    let record = &head[start..at];
    if !record.starts_with(&ZIP64_END_RECORD) {
        return refuse("there is no zip64 end record where the locator points".to_owned());
    }
    let length = u64_at(record, 4);
    if length != ZIP64_END_RECORD_LENGTH as u64 - 12 {
        return refuse(format!(
            "the zip64 end record says it has {length} more bytes, expected 44 (no extensible data)"
        ));
    }
    if u32_at(record, 16) != 0
        || u32_at(record, 20) != 0
        || u64_at(record, 24) != u64_at(record, 32)
    {
        findings.add(Code::ZipMultiDisk, "the zip64 end record names several disks");
        return None;
    }
    let end = End {
        directory_offset: u64_at(record, 48),
        directory_size: u64_at(record, 40),
        entries: u64_at(record, 32),
    };
    Some((end, u64_at(record, 24), tail_start + start as u64))
}
