//! What a member may be called, need and be: names, flags, versions, attributes.
//!
//! Model layer. The reasons for the rules of names are in `docs/findings.md`.

use std::borrow::Cow;

use super::{
    EntryKind, FLAG_DESCRIPTOR, FLAG_ENCRYPTED, FLAG_LEVEL, FLAG_MASKED, FLAG_PATCH,
    FLAG_STRONG_ENCRYPTION, FLAG_UTF8,
};
use crate::model::file_kind::FileKind;
use crate::model::finding::{Code, Findings};
use crate::model::path::{COMPONENT_LIMIT, PATH_LIMIT, has_drive, is_plain, is_plainly_right};
use crate::model::wheel::limits::Limits;

/// The newest version of the format that a member may need: 6.3, the newest that Python reads.
const NEWEST_VERSION: u8 = 63;

/// The name, where a quick look shows that nothing is wrong with it, as with nearly all.
fn plainly_right<'name>(raw: &'name [u8], limits: &Limits) -> Option<&'name str> {
    let path = raw.strip_suffix(b"/").unwrap_or(raw);
    let right = is_plainly_right(path)
        && !has_drive(raw)
        && path.len() <= limits.name_length
        && memchr::memchr_iter(b'/', path).count() < limits.depth;
    str::from_utf8(raw).ok().filter(|_| right)
}

/// Decodes and checks a name; whether nothing is wrong with it.
pub(super) fn check_name(
    raw: &[u8],
    flags: u16,
    limits: &Limits,
    findings: &mut Findings,
) -> (Box<str>, bool) {
    if let Some(name) = plainly_right(raw, limits) {
        return (name.into(), true);
    }
    let plain = is_plain(raw);
    let text = str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed);
    let mut sound = true;
    let mut refuse = |code: Code, message: String| {
        findings.add_member(code, &text, message);
        sound = false;
    };
    if raw.is_empty() {
        refuse(Code::ZipNameEmpty, "the name is empty".to_owned());
        return (text.into(), false);
    }
    if let Cow::Owned(_) = text {
        refuse(Code::ZipNameEncoding, "the name is not UTF-8".to_owned());
    } else if !plain && !raw.is_ascii() && flags & FLAG_UTF8 == 0 {
        refuse(
            Code::ZipNameEncoding,
            "the name is not ASCII and the flag that declares UTF-8 is missing".to_owned(),
        );
    }
    // `importlib.metadata` reads the installed RECORD by `str.splitlines`, which ends lines at
    // these as well.
    let separator =
        |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    if !plain && let Some(character) = text.chars().find(|&character| separator(character)) {
        refuse(
            Code::PathControl,
            format!("the name holds the control character or line separator {character:?}"),
        );
    }
    if !plain && raw.contains(&b'\\') {
        refuse(Code::PathBackslash, "the name holds a backslash".to_owned());
    }
    if has_drive(raw) || matches!(raw[0], b'/' | b'\\') {
        refuse(
            Code::PathAbsolute,
            "the name starts at a root, a drive or a network share".to_owned(),
        );
    }
    // Where a backslash separates, these would be components as well.
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let relative = text.strip_suffix('/').unwrap_or(&text);
    let mut depth = 0;
    for component in relative.as_bytes().split(is_separator) {
        depth += 1;
        match component {
            // A leading slash was reported as such.
            b"" if depth > 1 => {
                refuse(Code::PathEmptyComponent, "the name has an empty component".to_owned())
            }
            b"." => refuse(Code::PathTraversal, "the name has the component `.`".to_owned()),
            b".." => refuse(Code::PathTraversal, "the name has the component `..`".to_owned()),
            _ if component.len() > COMPONENT_LIMIT => {
                refuse(
                    Code::PathComponentLength,
                    format!(
                        "a component has {} bytes, the limit is {COMPONENT_LIMIT}",
                        component.len()
                    ),
                );
            }
            _ => {}
        }
    }
    let limit = limits.name_length.min(PATH_LIMIT);
    if relative.len() > limit {
        refuse(
            Code::PathLength,
            format!("the name has {} bytes, the limit is {limit}", relative.len()),
        );
    }
    if depth > limits.depth {
        refuse(
            Code::PathDepth,
            format!("the name has {depth} components, the limit is {}", limits.depth),
        );
    }
    (text.into(), sound)
}

pub(super) fn check_version(needed: u8, name: &str, findings: &mut Findings) {
    if needed > NEWEST_VERSION {
        findings.add_member(
            Code::ZipVersion,
            name,
            format!(
                "needs version {}.{} of the format, the newest is 6.3",
                needed / 10,
                needed % 10
            ),
        );
    }
}

pub(super) fn check_flags(flags: u16, name: &str, findings: &mut Findings) {
    if flags & (FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED) != 0 {
        findings.add_member(
            Code::ZipEncrypted,
            name,
            format!("the flags {flags:#06x} say that the member or its header is encrypted"),
        );
    }
    let known = FLAG_ENCRYPTED
        | FLAG_STRONG_ENCRYPTION
        | FLAG_MASKED
        | FLAG_LEVEL
        | FLAG_DESCRIPTOR
        | FLAG_UTF8;
    if flags & !known != 0 {
        let what = if flags & FLAG_PATCH != 0 { "patch data" } else { "reserved" };
        findings.add_member(
            Code::ZipFlags,
            name,
            format!("the flags {flags:#06x} hold some that are {what}"),
        );
    }
}

/// File or folder by the name, and whether the attributes agree. Unix modes are in the upper half,
/// whatever system the entry says it comes from: that is how Python's installers read them.
pub(super) fn check_attributes(
    attributes: u32,
    size: u64,
    name: &str,
    findings: &mut Findings,
) -> EntryKind {
    const DOS_DIRECTORY: u32 = 0x10;
    const TYPE: u32 = 0o170_000;
    const FIFO_TO_SOCKET: [u32; 4] = [0o010_000, 0o020_000, 0o060_000, 0o140_000];
    let mode = attributes >> 16;
    let is_directory = name.ends_with('/');
    match mode & TYPE {
        0o120_000 => findings.add_member(Code::ZipLink, name, "the member is a symbolic link"),
        kind if FIFO_TO_SOCKET.contains(&kind) => {
            findings.add_member(
                Code::ZipSpecialFile,
                name,
                format!("the member's type is {kind:#o}: a device, a pipe or a socket"),
            );
        }
        0o040_000 if !is_directory => findings.add_member(
            Code::ZipDirectoryMismatch,
            name,
            "the mode says folder, the name says file",
        ),
        0o100_000 if is_directory => findings.add_member(
            Code::ZipDirectoryMismatch,
            name,
            "the mode says file, the name says folder",
        ),
        0 | 0o040_000 | 0o100_000 => {}
        kind => findings.add_member(
            Code::ZipSpecialFile,
            name,
            format!("the member's type is {kind:#o}, expected a file"),
        ),
    }
    if !is_directory && attributes & DOS_DIRECTORY != 0 && mode & TYPE != 0o040_000 {
        findings.add_member(
            Code::ZipDirectoryMismatch,
            name,
            "the attributes say folder, the name says file",
        );
    }
    if is_directory && size > 0 {
        findings.add_member(
            Code::ZipDirectoryMismatch,
            name,
            format!("a folder with {size} bytes"),
        );
    }
    if mode & 0o7000 != 0 {
        findings.add_member(
            Code::ZipSpecialBits,
            name,
            format!("the mode {mode:#o} has setuid, setgid or sticky bits, which are dropped"),
        );
    }
    if is_directory {
        EntryKind::Directory
    } else {
        EntryKind::File(FileKind::of_mode(mode, 0o111))
    }
}
