//! The central directory: its entries, each by itself and all together.
//!
//! Model layer.

use super::extra::{ExtraFields, Wide, widen};
use super::rules::{check_attributes, check_flags, check_name, check_version};
use super::{
    CENTRAL_ENTRY, CENTRAL_ENTRY_LENGTH, DESCRIPTOR_LENGTH_MAX, End, Entry, LOCAL_HEADER_LENGTH,
    Location, Method, u16_at, u32_at,
};
use crate::model::finding::{Code, Findings};
use crate::model::wheel::limits::Limits;

/// Reads the central directory and checks all that can be said without the members themselves.
/// Entries are sorted by name; the range of one that overlaps others or lies outside the archive is
/// too short to be read, as the finding about it says.
pub fn directory(bytes: &[u8], end: &End, limits: &Limits, findings: &mut Findings) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(
        usize::try_from(end.entries).unwrap_or(0).min(bytes.len() / CENTRAL_ENTRY_LENGTH),
    );
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
        findings.add(
            Code::ZipEntryCount,
            format!("the directory holds {count} entries, the end record says {}", end.entries),
        );
    }
    place(&mut entries, end.directory_offset, findings);
    check_totals(&entries, end, limits, findings);
    entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    for pair in entries.windows(2) {
        if pair[0].name == pair[1].name {
            findings.add_member(
                Code::ZipDuplicateName,
                &pair[0].name,
                "the name is there more than once",
            );
        }
    }
    check_folders(&entries, limits, findings);
    entries
}

/// The entry of the first member as [`directory`] has it, by itself: `bytes` may end anywhere after
/// the second one. Nothing where anything is wrong with it, or where it does not come first.
pub fn first_entry(bytes: &[u8], end: &End, limits: &Limits) -> Option<Entry> {
    let mut findings = Findings::new();
    let (first, length) = central_entry(bytes, limits, &mut findings)?;
    let mut first = first.filter(|entry| entry.location.offset == 0)?;
    let next = match end.entries {
        1 => end.directory_offset,
        _ => central_entry(&bytes[length..], limits, &mut findings)?.0?.location.offset,
    };
    let least = LOCAL_HEADER_LENGTH as u64 + u64::from(first.name_length);
    let needed = least.checked_add(first.location.compressed)?;
    first.location.end = next;
    (needed <= next && !findings.has_errors()).then_some(first)
}

/// One entry at the start of `bytes`, if it can be placed at all, and how many bytes it takes. None
/// if it is no entry.
fn central_entry(
    bytes: &[u8],
    limits: &Limits,
    findings: &mut Findings,
) -> Option<(Option<Entry>, usize)> {
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
        findings.add_member(
            Code::ZipComment,
            &name,
            format!("the member has a comment of {comment_length} bytes"),
        );
    }
    check_flags(flags, &name, findings);
    check_version(bytes[6], &name, findings);
    let zip64 = ExtraFields::parse(extra, raw_name, &name, findings).zip64;
    let header = Wide {
        size: size.into(),
        compressed: compressed.into(),
        offset: offset.into(),
        disk: disk.into(),
    };
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
                format!(
                    "compression method {other}, expected 0 (stored), 8 (deflate) or 93 (zstd)"
                ),
            );
            return Some((None, length));
        }
    };
    if method == Method::Stored && compressed != size {
        findings.add_member(
            Code::ZipSize,
            &name,
            format!("{compressed} bytes stored, {size} bytes expected out of them"),
        );
    }
    if size > limits.member_size {
        findings.add_member(
            Code::ZipLimitSize,
            &name,
            format!("the member has {size} bytes, the limit is {}", limits.member_size),
        );
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
        findings.add(
            Code::ZipPrefixBytes,
            format!("{} bytes come before the first member", first.location.offset),
        );
    }
    let mut next = directory_offset;
    for entry in entries.iter_mut().rev() {
        let location = &mut entry.location;
        let least = LOCAL_HEADER_LENGTH as u64 + u64::from(entry.name_length);
        let needed = location
            .offset
            .checked_add(least)
            .and_then(|start| start.checked_add(location.compressed));
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
                format!(
                    "{} bytes between this member and the next belong to none",
                    next - needed.unwrap_or(next)
                ),
            );
        }
        next = location.offset;
    }
}

fn check_totals(entries: &[Entry], end: &End, limits: &Limits, findings: &mut Findings) {
    let total =
        entries.iter().fold(0_u64, |total, entry| total.saturating_add(entry.location.size));
    if total > limits.total_size {
        findings.add(
            Code::ZipLimitSize,
            format!("the members have {total} bytes together, the limit is {}", limits.total_size),
        );
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
fn check_folders(entries: &[Entry], limits: &Limits, findings: &mut Findings) {
    let is_file = |name: &str| entries.binary_search_by(|entry| (*entry.name).cmp(name)).is_ok();
    let mut previous = "";
    let mut folders: u64 = 0;
    for entry in entries {
        let name: &str = &entry.name;
        // Ancestors shared with the previous name were looked at there.
        let shared =
            name.bytes().zip(previous.bytes()).take_while(|(left, right)| left == right).count();
        let slashes = memchr::memchr_iter(b'/', &name.as_bytes()[shared..]).map(|at| shared + at);
        for at in slashes.filter(|&at| at > 0) {
            // Sorted, what lies in one folder stands together.
            folders += 1;
            if is_file(&name[..at]) {
                findings.add_member(
                    Code::PathFileAndDirectory,
                    &name[..at],
                    format!("the path is a file and the folder of {name:?}"),
                );
            }
        }
        previous = name;
    }
    if folders > limits.folders {
        findings.add(
            Code::ZipLimitEntries,
            format!("the members lie in {folders} folders, the limit is {}", limits.folders),
        );
    }
}
