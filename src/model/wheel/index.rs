//! The structure of a zip archive, read strictly from slices of its bytes: end records, central directory, local headers, data
//! descriptors.
//!
//! Model layer: the bytes were read by somebody else. The format is PKWARE's APPNOTE 6.3.10; the rule here is stricter: an
//! archive passes only if a reader that trusts the central directory, one that trusts the local headers and one that streams
//! would all see the same members. Everything wrong is reported, not only what comes first.

use super::limits::Limits;
use crate::model::finding::{Code, Findings};
use crate::model::path::{COMPONENT_LIMIT, PATH_LIMIT};

const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
const CENTRAL_ENTRY: [u8; 4] = *b"PK\x01\x02";
const END_RECORD: [u8; 4] = *b"PK\x05\x06";
const ZIP64_END_RECORD: [u8; 4] = *b"PK\x06\x06";
const ZIP64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";

const LOCAL_HEADER_LENGTH: usize = 30;
const CENTRAL_ENTRY_LENGTH: usize = 46;
const END_RECORD_LENGTH: usize = 22;
const ZIP64_END_RECORD_LENGTH: usize = 56;
const ZIP64_LOCATOR_LENGTH: usize = 20;
const DESCRIPTOR_LENGTH_MAX: u64 = 24;

/// The newest version of the format that a member may need: 6.3, the newest that Python reads.
const NEWEST_VERSION: u8 = 63;

/// How many bytes at the end of an archive [`end_record`] has to see: an end record with the longest comment and the zip64
/// records before it.
pub const TAIL_LENGTH: usize = END_RECORD_LENGTH + u16::MAX as usize + ZIP64_LOCATOR_LENGTH + ZIP64_END_RECORD_LENGTH;

const FLAG_ENCRYPTED: u16 = 1;
const FLAG_LEVEL: u16 = 0b110;
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_PATCH: u16 = 1 << 5;
const FLAG_STRONG_ENCRYPTION: u16 = 1 << 6;
const FLAG_UTF8: u16 = 1 << 11;
const FLAG_MASKED: u16 = 1 << 13;

const EXTRA_ZIP64: u16 = 0x0001;
const EXTRA_UNICODE_PATH: u16 = 0x7075;

/// How a member's bytes are kept: the methods that wheels may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// As they are (method 0).
    Stored,
    /// Deflate (method 8).
    Deflate,
    /// Zstandard (method 93).
    Zstd,
}

/// Where a member's bytes are in the archive and what the central directory says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Where the local header begins, from the archive's start.
    pub offset: u64,
    /// Where the next member (or the central directory) begins: local header, bytes and descriptor fill this range exactly.
    pub end: u64,
    /// The bytes as they are kept.
    pub compressed: u64,
    /// The bytes that come out.
    pub size: u64,
    /// Their CRC-32.
    pub crc32: u32,
    /// The general purpose flags.
    pub flags: u16,
    /// How they are kept.
    pub method: Method,
}

impl Location {
    /// Whether the bytes are stored with a descriptor behind them: a reader that streams has to search for their end.
    pub fn has_stored_descriptor(&self) -> bool {
        self.method == Method::Stored && self.flags & FLAG_DESCRIPTOR != 0
    }

    /// How many bytes local header and descriptor take together, or would, were the archive sound.
    pub fn overhead(&self) -> u64 {
        (self.end - self.offset).saturating_sub(self.compressed)
    }
}

/// File or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file, and whether any of its execute bits is set.
    File {
        /// The owner, group or others may execute it.
        executable: bool,
    },
    /// A folder: a name that ends in `/`.
    Directory,
}

/// One entry of the central directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name as it is written, a folder's with its last `/`. With an error about it, undecodable bytes are replaced.
    pub name: Box<str>,
    /// Whether the name, without a folder's last `/`, is a path of a tree.
    pub sound: bool,
    /// File or folder.
    pub kind: EntryKind,
    /// Where its bytes are.
    pub location: Location,
    /// The bytes of the name as it is written.
    name_length: u16,
}

/// What the end records say: where the central directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Where the directory begins, from the archive's start.
    pub directory_offset: u64,
    /// Its bytes.
    pub directory_size: u64,
    /// How many entries it should hold.
    pub entries: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Finds and checks the end record (and its zip64 companion) in `tail`, the last bytes of an archive of `file_size` bytes: the
/// last [`TAIL_LENGTH`] or the whole.
///
/// Without an answer there is a finding that says why.
pub fn end_record(tail: &[u8], file_size: u64, limits: &Limits, findings: &mut Findings) -> Option<End> {
    let tail_start = file_size - tail.len() as u64;
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

    let locator = at.checked_sub(ZIP64_LOCATOR_LENGTH).filter(|&start| tail[start..].starts_with(&ZIP64_LOCATOR));
    let (found, directory_end) = match locator {
        Some(start) => {
            let (zip64, zip64_disk_entries, zip64_start) = zip64_end(&tail[..start + ZIP64_LOCATOR_LENGTH], tail_start, findings)?;
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
            (zip64, zip64_start)
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
            if (directory_size == u32::MAX || directory_offset == u32::MAX) && found.directory_offset + found.directory_size != end {
                findings.add(Code::ZipZip64End, "the end record refers to a zip64 end record, and there is no locator before it");
                return None;
            }
            (found, end)
        }
    };

    // Offsets and sizes below 2^64 may add up to more.
    let claimed_end = found.directory_offset.checked_add(found.directory_size);
    if claimed_end != Some(directory_end) {
        let shift = claimed_end.and_then(|claimed| directory_end.checked_sub(claimed));
        let shifted = shift.and_then(|shift| (found.directory_offset + shift).checked_sub(tail_start)).map(|start| start as usize);
        // The directory lies elsewhere than the offset says, but right before the end record: something was put in front.
        if found.entries > 0 && shifted.is_some_and(|start| tail[start..].starts_with(&CENTRAL_ENTRY)) {
            let shift = shift.unwrap_or_default();
            findings.add(Code::ZipPrefixBytes, format!("{shift} bytes precede the archive that its offsets describe"));
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
    if found.entries == 0 && found.directory_size == 0 {
        if found.directory_offset > 0 {
            findings.add(Code::ZipPrefixBytes, format!("{} bytes precede an empty directory", found.directory_offset));
        }
        findings.add(Code::ZipEmpty, "the archive has no members");
        return None;
    }
    if found.entries > limits.entries {
        findings.add(Code::ZipLimitEntries, format!("{} entries, the limit is {}", found.entries, limits.entries));
        return None;
    }
    let limit = limits.directory_size(found.entries);
    if found.directory_size > limit {
        findings.add(
            Code::ZipLimitDirectory,
            format!("the directory has {} bytes for {} entries, the limit is {limit}", found.directory_size, found.entries),
        );
        return None;
    }
    Some(found)
}

/// Where in `tail` the end record starts: the one whose comment ends with the file, if there is one.
fn find_end_record(tail: &[u8], findings: &mut Findings) -> Option<usize> {
    let length_at = |at: usize| END_RECORD_LENGTH + usize::from(u16_at(tail, at + 20));
    let starts: Vec<usize> = (0..=tail.len().saturating_sub(END_RECORD_LENGTH))
        .rev()
        .filter(|&at| tail.len() >= END_RECORD_LENGTH && tail[at..].starts_with(&END_RECORD))
        .take(64)
        .collect();
    let Some(&last) = starts.first() else {
        findings.add(Code::ZipNoEndRecord, "no end record in the file's last bytes");
        return None;
    };
    let at = match starts.iter().copied().find(|&at| at + length_at(at) == tail.len()) {
        Some(at) => at,
        None if last + length_at(last) < tail.len() => {
            findings.add(Code::ZipTrailingBytes, format!("{} bytes follow the end record", tail.len() - last - length_at(last)));
            last
        }
        None => {
            findings.add(Code::ZipNoEndRecord, "the end record's comment is longer than the file");
            return None;
        }
    };
    let comment = &tail[at + END_RECORD_LENGTH..at + length_at(at)];
    if !comment.is_empty() {
        findings.add(Code::ZipComment, format!("the archive has a comment of {} bytes", comment.len()));
    }
    // Readers search backwards for the record's four bytes; they must not find them, nor the start of a member, later than here.
    const SIGNATURES: [[u8; 4]; 6] = [LOCAL_HEADER, CENTRAL_ENTRY, END_RECORD, ZIP64_END_RECORD, ZIP64_LOCATOR, DESCRIPTOR];
    let after = &tail[at + 4..at + length_at(at)];
    if !comment.is_empty() && after.windows(4).any(|window| SIGNATURES.iter().any(|signature| window == signature)) {
        findings.add(Code::ZipCommentSignature, "the archive's comment holds the signature of a zip record");
    }
    Some(at)
}

/// Reads the zip64 end record that the locator at the end of `head` points to; also its count for this disk and its start.
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
        findings.add(Code::ZipMultiDisk, format!("the zip64 locator names disk {} of {}", u32_at(locator, 4), u32_at(locator, 16)));
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
        return refuse(format!("the zip64 end record says it has {length} more bytes, expected 44 (no extensible data)"));
    }
    if u32_at(record, 16) != 0 || u32_at(record, 20) != 0 || u64_at(record, 24) != u64_at(record, 32) {
        findings.add(Code::ZipMultiDisk, "the zip64 end record names several disks");
        return None;
    }
    let end = End { directory_offset: u64_at(record, 48), directory_size: u64_at(record, 40), entries: u64_at(record, 32) };
    Some((end, u64_at(record, 24), tail_start + start as u64))
}

/// Reads the central directory and checks all that can be said without the members themselves. Entries are sorted by name; the
/// range of one that overlaps others or lies outside the archive is too short to be read, as the finding about it says.
pub fn directory(bytes: &[u8], end: &End, limits: &Limits, findings: &mut Findings) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(usize::try_from(end.entries).unwrap_or(0).min(bytes.len() / CENTRAL_ENTRY_LENGTH));
    let mut rest = bytes;
    let mut count: u64 = 0;
    while !rest.is_empty() {
        if count >= limits.entries {
            findings.add(Code::ZipLimitEntries, format!("more than {} entries", limits.entries));
            break;
        }
        let Some((entry, length)) = central_entry(rest, limits, findings) else {
            findings.add(
                Code::ZipDirectoryDamaged,
                format!("entry {} of the directory, {} bytes before its end, is cut short or is no entry", count + 1, rest.len()),
            );
            break;
        };
        rest = &rest[length..];
        count += 1;
        entries.extend(entry);
    }
    if rest.is_empty() && count != end.entries {
        findings.add(Code::ZipEntryCount, format!("the directory holds {count} entries, the end record says {}", end.entries));
    }
    place(&mut entries, end.directory_offset, findings);
    check_totals(&entries, end, limits, findings);
    entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    for pair in entries.windows(2) {
        if pair[0].name == pair[1].name {
            findings.add_member(Code::ZipDuplicateName, &pair[0].name, "the name is there more than once");
        }
    }
    check_folders(&entries, findings);
    entries
}

/// One entry at the start of `bytes`, if it can be placed at all, and how many bytes it takes. None if it is no entry.
fn central_entry(bytes: &[u8], limits: &Limits, findings: &mut Findings) -> Option<(Option<Entry>, usize)> {
    if bytes.len() < CENTRAL_ENTRY_LENGTH || !bytes.starts_with(&CENTRAL_ENTRY) {
        return None;
    }
    let flags = u16_at(bytes, 8);
    let method = u16_at(bytes, 10);
    let crc32 = u32_at(bytes, 16);
    let compressed = u32_at(bytes, 20);
    let size = u32_at(bytes, 24);
    let name_length = usize::from(u16_at(bytes, 28));
    let extra_length = usize::from(u16_at(bytes, 30));
    let comment_length = usize::from(u16_at(bytes, 32));
    let disk = u16_at(bytes, 34);
    let attributes = u32_at(bytes, 38);
    let offset = u32_at(bytes, 42);
    let length = CENTRAL_ENTRY_LENGTH + name_length + extra_length + comment_length;
    let variable = bytes.get(CENTRAL_ENTRY_LENGTH..length)?;
    let (raw_name, variable) = variable.split_at(name_length);
    let extra = &variable[..extra_length];

    let (name, sound) = check_name(raw_name, flags, limits, findings);
    if comment_length > 0 {
        findings.add_member(Code::ZipComment, &name, format!("the member has a comment of {comment_length} bytes"));
    }
    check_flags(flags, &name, findings);
    check_version(bytes[6], &name, findings);
    let zip64 = ExtraFields::parse(extra, raw_name, &name, findings).zip64;
    let header = Wide { size: size.into(), compressed: compressed.into(), offset: offset.into(), disk: disk.into() };
    let Wide { size, compressed, offset, disk } = widen(header, zip64, &name, findings);
    if disk != 0 {
        findings.add_member(Code::ZipMultiDisk, &name, format!("the member begins on disk {disk}"));
    }
    let kind = check_attributes(attributes, size, &name, findings);
    let method = match method {
        0 => Method::Stored,
        8 => Method::Deflate,
        93 => Method::Zstd,
        other => {
            findings.add_member(
                Code::ZipMethod,
                &name,
                format!("compression method {other}, expected 0 (stored), 8 (deflate) or 93 (zstd)"),
            );
            return Some((None, length));
        }
    };
    if method == Method::Stored && compressed != size {
        findings.add_member(Code::ZipSize, &name, format!("{compressed} bytes stored, {size} bytes expected out of them"));
    }
    if size > limits.member_size {
        findings.add_member(Code::ZipLimitSize, &name, format!("the member has {size} bytes, the limit is {}", limits.member_size));
    }
    let location = Location { offset, end: offset, compressed, size, crc32, flags, method };
    Some((Some(Entry { name, sound, kind, location, name_length: u16_at(bytes, 28) }), length))
}

/// Gives every entry the end of its range.
fn place(entries: &mut [Entry], directory_offset: u64, findings: &mut Findings) {
    entries.sort_unstable_by_key(|entry| entry.location.offset);
    if let Some(first) = entries.first()
        && first.location.offset > 0
    {
        findings.add(Code::ZipPrefixBytes, format!("{} bytes come before the first member", first.location.offset));
    }
    let mut next = directory_offset;
    for entry in entries.iter_mut().rev() {
        let location = &mut entry.location;
        let least = LOCAL_HEADER_LENGTH as u64 + u64::from(entry.name_length);
        let needed = location.offset.checked_add(least).and_then(|start| start.checked_add(location.compressed));
        location.end = next.max(location.offset);
        if location.offset >= directory_offset {
            findings.add_member(
                Code::ZipLocalHeader,
                &entry.name,
                format!("the local header is said to be at {}, the directory begins at {directory_offset}", location.offset),
            );
            continue;
        }
        if needed.is_none_or(|needed| needed > next) {
            findings.add_member(
                Code::ZipOverlap,
                &entry.name,
                format!(
                    "the member begins at {} with {} bytes and reaches into what begins at {next}",
                    location.offset, location.compressed
                ),
            );
        } else if next - needed.unwrap_or(next) > u64::from(u16::MAX) + DESCRIPTOR_LENGTH_MAX {
            findings.add_member(
                Code::ZipGap,
                &entry.name,
                format!("{} bytes between this member and the next belong to none", next - needed.unwrap_or(next)),
            );
        }
        next = location.offset;
    }
}

fn check_totals(entries: &[Entry], end: &End, limits: &Limits, findings: &mut Findings) {
    let total = entries.iter().fold(0_u64, |total, entry| total.saturating_add(entry.location.size));
    if total > limits.total_size {
        findings.add(Code::ZipLimitSize, format!("the members have {total} bytes together, the limit is {}", limits.total_size));
    }
    let archive = end.directory_offset + end.directory_size;
    if total > limits.ratio_from && total / limits.ratio > archive {
        findings.add(
            Code::ZipLimitRatio,
            format!("the members have {total} bytes together, more than {} times the archive's {archive}", limits.ratio),
        );
    }
}

/// No path may be a file and also a folder. The entries are sorted by name.
fn check_folders(entries: &[Entry], findings: &mut Findings) {
    let is_file = |name: &str| entries.binary_search_by(|entry| (*entry.name).cmp(name)).is_ok();
    let mut previous = "";
    for entry in entries {
        let name: &str = &entry.name;
        // Ancestors shared with the previous name were looked at there.
        let shared = name.bytes().zip(previous.bytes()).take_while(|(left, right)| left == right).count();
        for (at, _) in name.match_indices('/').filter(|&(at, _)| at >= shared && at > 0) {
            if is_file(&name[..at]) {
                findings.add_member(Code::PathFileAndDirectory, &name[..at], format!("the path is a file and the folder of {name:?}"));
            }
        }
        previous = name;
    }
}

/// Decodes and checks a name; whether nothing is wrong with it.
fn check_name(raw: &[u8], flags: u16, limits: &Limits, findings: &mut Findings) -> (Box<str>, bool) {
    let text = String::from_utf8_lossy(raw);
    let mut sound = true;
    let mut refuse = |code: Code, message: String| {
        findings.add_member(code, &text, message);
        sound = false;
    };
    if raw.is_empty() {
        refuse(Code::ZipNameEmpty, "the name is empty".to_owned());
        return (text.into(), false);
    }
    if let std::borrow::Cow::Owned(_) = text {
        refuse(Code::ZipNameEncoding, "the name is not UTF-8".to_owned());
    } else if !raw.is_ascii() && flags & FLAG_UTF8 == 0 {
        refuse(Code::ZipNameEncoding, "the name is not ASCII and the flag that declares UTF-8 is missing".to_owned());
    }
    if let Some(character) = text.chars().find(|character| character.is_control()) {
        refuse(Code::PathControl, format!("the name holds the control character {character:?}"));
    }
    if raw.contains(&b'\\') {
        refuse(Code::PathBackslash, "the name holds a backslash".to_owned());
    }
    let drive = raw.len() >= 2 && raw[0].is_ascii_alphabetic() && raw[1] == b':';
    if drive || matches!(raw[0], b'/' | b'\\') {
        refuse(Code::PathAbsolute, "the name starts at a root, a drive or a network share".to_owned());
    }
    // Where a backslash separates, these would be components as well.
    let is_separator = |character: char| character == '/' || character == '\\';
    let relative = text.strip_suffix('/').unwrap_or(&text);
    let mut depth = 0;
    for component in relative.split(is_separator) {
        depth += 1;
        match component {
            // A leading slash was reported as such.
            "" if depth > 1 => refuse(Code::PathEmptyComponent, "the name has an empty component".to_owned()),
            "." | ".." => refuse(Code::PathTraversal, format!("the name has the component `{component}`")),
            _ if component.len() > COMPONENT_LIMIT => {
                refuse(Code::PathComponentLength, format!("a component has {} bytes, the limit is {COMPONENT_LIMIT}", component.len()));
            }
            _ => {}
        }
    }
    let limit = limits.name_length.min(PATH_LIMIT);
    if relative.len() > limit {
        refuse(Code::PathLength, format!("the name has {} bytes, the limit is {limit}", relative.len()));
    }
    if depth > limits.depth {
        refuse(Code::PathDepth, format!("the name has {depth} components, the limit is {}", limits.depth));
    }
    (text.into(), sound)
}

fn check_version(needed: u8, name: &str, findings: &mut Findings) {
    if needed > NEWEST_VERSION {
        findings.add_member(
            Code::ZipVersion,
            name,
            format!("needs version {}.{} of the format, the newest is 6.3", needed / 10, needed % 10),
        );
    }
}

fn check_flags(flags: u16, name: &str, findings: &mut Findings) {
    if flags & (FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED) != 0 {
        findings.add_member(Code::ZipEncrypted, name, format!("the flags {flags:#06x} say that the member or its header is encrypted"));
    }
    let known = FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED | FLAG_LEVEL | FLAG_DESCRIPTOR | FLAG_UTF8;
    if flags & !known != 0 {
        let what = if flags & FLAG_PATCH != 0 { "patch data" } else { "reserved" };
        findings.add_member(Code::ZipFlags, name, format!("the flags {flags:#06x} hold some that are {what}"));
    }
}

/// File or folder by the name, and whether the attributes agree. Unix modes are in the upper half, whatever system the entry says
/// it comes from: that is how Python's installers read them.
fn check_attributes(attributes: u32, size: u64, name: &str, findings: &mut Findings) -> EntryKind {
    const DOS_DIRECTORY: u32 = 0x10;
    const TYPE: u32 = 0o170_000;
    const FIFO_TO_SOCKET: [u32; 4] = [0o010_000, 0o020_000, 0o060_000, 0o140_000];
    let mode = attributes >> 16;
    let is_directory = name.ends_with('/');
    match mode & TYPE {
        0o120_000 => findings.add_member(Code::ZipLink, name, "the member is a symbolic link"),
        kind if FIFO_TO_SOCKET.contains(&kind) => {
            findings.add_member(Code::ZipSpecialFile, name, format!("the member's type is {kind:#o}: a device, a pipe or a socket"));
        }
        0o040_000 if !is_directory => findings.add_member(Code::ZipDirectoryMismatch, name, "the mode says folder, the name says file"),
        0o100_000 if is_directory => findings.add_member(Code::ZipDirectoryMismatch, name, "the mode says file, the name says folder"),
        0 | 0o040_000 | 0o100_000 => {}
        kind => findings.add_member(Code::ZipSpecialFile, name, format!("the member's type is {kind:#o}, expected a file")),
    }
    if !is_directory && attributes & DOS_DIRECTORY != 0 && mode & TYPE != 0o040_000 {
        findings.add_member(Code::ZipDirectoryMismatch, name, "the attributes say folder, the name says file");
    }
    if is_directory && size > 0 {
        findings.add_member(Code::ZipDirectoryMismatch, name, format!("a folder with {size} bytes"));
    }
    if mode & 0o7000 != 0 {
        findings.add_member(Code::ZipSpecialBits, name, format!("the mode {mode:#o} has setuid, setgid or sticky bits, which are dropped"));
    }
    if is_directory { EntryKind::Directory } else { EntryKind::File { executable: mode & 0o111 != 0 } }
}

/// The extra fields that matter.
struct ExtraFields<'bytes> {
    zip64: Option<&'bytes [u8]>,
}

impl<'bytes> ExtraFields<'bytes> {
    fn parse(bytes: &'bytes [u8], raw_name: &[u8], name: &str, findings: &mut Findings) -> Self {
        let mut zip64 = None;
        let mut unicode_path = false;
        let mut rest = bytes;
        while rest.len() >= 4 {
            let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
            let Some(data) = rest.get(4..4 + length) else { break };
            rest = &rest[4 + length..];
            match id {
                EXTRA_ZIP64 if zip64.is_some() => findings.add_member(Code::ZipZip64Extra, name, "the zip64 extra field is there twice"),
                EXTRA_ZIP64 => zip64 = Some(data),
                EXTRA_UNICODE_PATH => {
                    // Version, CRC-32 of the name that it stands for, the name in UTF-8.
                    let agrees = data.len() >= 5 && data[0] == 1 && u32_at(data, 1) == crc32fast::hash(raw_name) && &data[5..] == raw_name;
                    if !agrees || unicode_path {
                        let what = if unicode_path { "a second Unicode name" } else { "a Unicode name other than the header's" };
                        findings.add_member(Code::ZipUnicodePath, name, format!("an extra field gives {what}"));
                    }
                    unicode_path = true;
                }
                _ => {}
            }
        }
        if !rest.is_empty() {
            findings.add_member(Code::ZipExtraField, name, format!("the extra fields end with {} bytes that are no field", rest.len()));
        }
        Self { zip64 }
    }
}

/// The values that a header keeps in 32 bits, or in a zip64 extra field where they do not fit, in that field's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wide {
    size: u64,
    compressed: u64,
    offset: u64,
    disk: u64,
}

/// Reads the values of a header. The format wants those alone in the zip64 field whose 16- or 32-bit field is saturated. A field
/// that repeats what the header says in full is let pass as well: every reader then gets the same values.
fn widen(header: Wide, field: Option<&[u8]>, name: &str, findings: &mut Findings) -> Wide {
    let mut wide = header;
    let mut refuse = |message: &str| findings.add_member(Code::ZipZip64Extra, name, message);
    let mut values = [(&mut wide.size, 8), (&mut wide.compressed, 8), (&mut wide.offset, 8), (&mut wide.disk, 4)];
    let saturated = |value: u64, width: usize| value == u64::from(if width == 8 { u32::MAX } else { u16::MAX.into() });
    let needed: usize = values.iter().filter(|(value, width)| saturated(**value, *width)).map(|(_, width)| width).sum();
    let Some(field) = field else {
        if needed > 0 {
            refuse("a field of the header refers to a zip64 extra field that is not there");
        }
        return wide;
    };
    if needed != field.len() && needed > 0 {
        refuse(&format!("the zip64 extra field has {} bytes, the header calls for {needed}", field.len()));
        return wide;
    }
    let mut at = 0;
    for (value, width) in &mut values {
        if needed > 0 && !saturated(**value, *width) {
            continue;
        }
        let Some(bytes) = field.get(at..at + *width) else { break };
        let long = if *width == 8 { u64_at(bytes, 0) } else { u32_at(bytes, 0).into() };
        if needed == 0 && long != **value {
            break;
        }
        **value = long;
        at += *width;
    }
    if at != field.len() {
        refuse("the zip64 extra field holds values that the header does not call for and that are not its own");
    }
    wide
}

/// Checks the local header at the start of `header` against the central directory, and the length of what surrounds the member's
/// bytes. `header` holds the first [`Location::overhead`] bytes of the member's range, or more.
///
/// The answer is where the member's bytes begin, counted from the range's start, and how long the descriptor behind them is; none
/// where they cannot be found. Whatever disagrees is a finding in either case.
pub fn local_header(header: &[u8], name: &str, location: &Location, findings: &mut Findings) -> Option<(usize, usize)> {
    if header.len() < LOCAL_HEADER_LENGTH || !header.starts_with(&LOCAL_HEADER) {
        findings.add_member(Code::ZipLocalHeader, name, format!("no local header at {}", location.offset));
        return None;
    }
    check_version(header[4], name, findings);
    let flags = u16_at(header, 6);
    let method = u16_at(header, 8);
    let crc32 = u32_at(header, 14);
    let name_length = usize::from(u16_at(header, 26));
    let extra_length = usize::from(u16_at(header, 28));
    let start = LOCAL_HEADER_LENGTH + name_length + extra_length;
    let room = location.end - location.offset;
    if start as u64 + location.compressed > room || header.len() < start {
        findings.add_member(Code::ZipOverlap, name, "the local header's lengths make the member reach into the next one");
        return None;
    }
    let raw_name = &header[LOCAL_HEADER_LENGTH..LOCAL_HEADER_LENGTH + name_length];
    if raw_name != name.as_bytes() {
        let local = String::from_utf8_lossy(&raw_name[..raw_name.len().min(256)]);
        findings.add_member(Code::ZipNameConflict, name, format!("the local header names the member {local:?}"));
    }

    let mut conflict = |what: &str, local: u64, central: u64| {
        findings.add_member(Code::ZipHeaderConflict, name, format!("{what} is {local} in the local header, {central} in the directory"));
    };
    // How hard the writer tried to compress says nothing about the bytes.
    if (flags ^ location.flags) & !FLAG_LEVEL != 0 {
        conflict("the flags field", flags.into(), location.flags.into());
    }
    let expected_method = match location.method {
        Method::Stored => 0,
        Method::Deflate => 8,
        Method::Zstd => 93,
    };
    if method != expected_method {
        conflict("the method", method.into(), expected_method.into());
    }
    let streamed = location.flags & FLAG_DESCRIPTOR != 0;
    // With a descriptor, checksum and sizes may be zero in the header.
    let agrees = |local: u64, central: u64| local == central || (streamed && local == 0);
    if !agrees(crc32.into(), location.crc32.into()) {
        conflict("the checksum", crc32.into(), location.crc32.into());
    }
    let extra = &header[LOCAL_HEADER_LENGTH + name_length..start];
    let zip64_field = ExtraFields::parse(extra, raw_name, name, findings).zip64;
    // A local header has no offset and no disk.
    let local = Wide { size: u32_at(header, 22).into(), compressed: u32_at(header, 18).into(), offset: 0, disk: 0 };
    let local = widen(local, zip64_field.filter(|field| !field.is_empty()), name, findings);
    for (what, local, central) in [("the size", local.size, location.size), ("the compressed size", local.compressed, location.compressed)]
    {
        if !agrees(local, central) {
            findings.add_member(
                Code::ZipHeaderConflict,
                name,
                format!("{what} is {local} in the local header, {central} in the directory"),
            );
        }
    }

    let left = room - start as u64 - location.compressed;
    let descriptors: &[u64] = match (streamed, zip64_field.is_some()) {
        (false, _) => &[0],
        (true, false) => &[12, 16],
        (true, true) => &[20, 24],
    };
    if !descriptors.contains(&left) {
        let (code, message) = match (streamed, left) {
            (true, 0..=DESCRIPTOR_LENGTH_MAX) => (Code::ZipDescriptor, format!("{left} bytes where a data descriptor should be")),
            _ => (Code::ZipGap, format!("{left} bytes between this member and the next belong to none")),
        };
        findings.add_member(code, name, message);
    }
    // With a gap, which the escape hatch may let pass, the descriptor is what could be one.
    let after = descriptors.iter().rev().find(|&&length| length <= left).copied().unwrap_or(0);
    Some((start, usize::try_from(after).unwrap_or(0)))
}

/// Checks the data descriptor `bytes` behind a member: as long as [`local_header`] said.
pub fn descriptor(bytes: &[u8], name: &str, location: &Location, findings: &mut Findings) {
    let (signed, fields) = match bytes.len() {
        16 | 24 => (bytes.starts_with(&DESCRIPTOR), &bytes[4..]),
        12 | 20 => (true, bytes),
        0 => return,
        _ => (false, &bytes[..0]),
    };
    let agrees = signed
        && match fields.len() {
            12 => {
                u32_at(fields, 0) == location.crc32
                    && u64::from(u32_at(fields, 4)) == location.compressed
                    && u64::from(u32_at(fields, 8)) == location.size
            }
            20 => u32_at(fields, 0) == location.crc32 && u64_at(fields, 4) == location.compressed && u64_at(fields, 12) == location.size,
            _ => false,
        };
    if !agrees {
        findings.add_member(Code::ZipDescriptor, name, "the data descriptor does not repeat the directory's checksum and sizes");
    }
}

/// Whether a reader that streams could take part of a stored member's bytes for the data descriptor that ends it.
pub fn descriptor_in_stored(bytes: &[u8], location: &Location) -> bool {
    location.has_stored_descriptor() && memchr::memmem::find(bytes, &DESCRIPTOR).is_some()
}
