//! Local headers and data descriptors, compared with the central directory.
//!
//! Model layer.

use super::extra::{ExtraFields, Wide, widen};
use super::rules::check_version;
use super::{
    DESCRIPTOR, DESCRIPTOR_LENGTH_MAX, FLAG_DESCRIPTOR, FLAG_LEVEL, LOCAL_HEADER,
    LOCAL_HEADER_LENGTH, Location, Method, u16_at, u32_at, u64_at,
};
use crate::model::finding::{Code, Findings};

/// Checks the local header at the start of `header` against the central directory, and the length
/// of what surrounds the member's bytes. `header` holds the first [`Location::overhead`] bytes of
/// the member's range, or more.
///
/// The answer is where the member's bytes begin, counted from the range's start, and how long the
/// descriptor behind them is; none where they cannot be found. Whatever disagrees is a finding in
/// either case.
pub fn local_header(
    header: &[u8],
    name: &str,
    location: &Location,
    findings: &mut Findings,
) -> Option<(usize, usize)> {
    if header.len() < LOCAL_HEADER_LENGTH || !header.starts_with(&LOCAL_HEADER) {
        findings.add_member(
            Code::ZipLocalHeader,
            name,
            format!("no local header at {}", location.offset),
        );
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
    // What is left of the room for the descriptor; sizes near 2^64 are among what a directory may
    // claim.
    let left =
        room.checked_sub(start as u64).and_then(|room| room.checked_sub(location.compressed));
    let Some(left) = left.filter(|_| header.len() >= start) else {
        findings.add_member(
            Code::ZipOverlap,
            name,
            "the local header's lengths make the member reach into the next one",
        );
        return None;
    };
    let raw_name = &header[LOCAL_HEADER_LENGTH..LOCAL_HEADER_LENGTH + name_length];
    if raw_name != name.as_bytes() {
        let local = String::from_utf8_lossy(&raw_name[..raw_name.len().min(256)]);
        findings.add_member(
            Code::ZipNameConflict,
            name,
            format!("the local header names the member {local:?}"),
        );
    }

    let mut conflict = |what: &str, local: u64, central: u64| {
        findings.add_member(
            Code::ZipHeaderConflict,
            name,
            format!("{what} is {local} in the local header, {central} in the directory"),
        );
    };
    // How hard the writer tried to compress says nothing about the bytes.
    if (flags ^ location.flags) & !FLAG_LEVEL != 0 {
        conflict("the flags field", flags.into(), location.flags.into());
    }
    if method != number(location.method) {
        conflict("the method", method.into(), number(location.method).into());
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
    let local = Wide {
        size: u32_at(header, 22).into(),
        compressed: u32_at(header, 18).into(),
        offset: 0,
        disk: 0,
    };
    let local = widen(local, zip64_field.filter(|field| !field.is_empty()), name, findings);
    for (what, local, central) in [
        ("the size", local.size, location.size),
        ("the compressed size", local.compressed, location.compressed),
    ] {
        if !agrees(local, central) {
            findings.add_member(
                Code::ZipHeaderConflict,
                name,
                format!("{what} is {local} in the local header, {central} in the directory"),
            );
        }
    }

    let after = descriptor_length(left, streamed, zip64_field.is_some(), |code, message| {
        findings.add_member(code, name, message)
    });
    Some((start, after))
}

/// What headers call a method.
fn number(method: Method) -> u16 {
    match method {
        Method::Stored => 0,
        Method::Deflate => 8,
        Method::Zstd => 93,
    }
}

/// How long the descriptor behind a member's bytes is, where `left` bytes are left before the next
/// member. What is wrong with that is told to `report`.
fn descriptor_length(
    left: u64,
    streamed: bool,
    zip64: bool,
    report: impl FnOnce(Code, String),
) -> usize {
    let descriptors: &[u64] = match (streamed, zip64) {
        (false, _) => &[0],
        (true, false) => &[12, 16],
        (true, true) => &[20, 24],
    };
    if !descriptors.contains(&left) {
        let (code, message) = match (streamed, left) {
            (true, 0..=DESCRIPTOR_LENGTH_MAX) => {
                (Code::ZipDescriptor, format!("{left} bytes where a data descriptor should be"))
            }
            _ => (
                Code::ZipGap,
                format!("{left} bytes between this member and the next belong to none"),
            ),
        };
        report(code, message);
    }
    // With a gap, which the escape hatch may let pass, the descriptor is what could be one.
    let after = descriptors.iter().rev().find(|&&length| length <= left).copied().unwrap_or(0);
    usize::try_from(after).unwrap_or(0)
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
            20 => {
                u32_at(fields, 0) == location.crc32
                    && u64_at(fields, 4) == location.compressed
                    && u64_at(fields, 12) == location.size
            }
            _ => false,
        };
    if !agrees {
        findings.add_member(
            Code::ZipDescriptor,
            name,
            "the data descriptor does not repeat the directory's checksum and sizes",
        );
    }
}

/// Whether a reader that streams could take part of a stored member's bytes for the data descriptor
/// that ends it.
pub fn descriptor_in_stored(bytes: &[u8], location: &Location) -> bool {
    location.has_stored_descriptor() && memchr::memmem::find(bytes, &DESCRIPTOR).is_some()
}
