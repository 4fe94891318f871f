//! The structure of a zip archive, read strictly from slices of its bytes: end records, central
//! directory, local headers, data descriptors.
//!
//! Model layer: the bytes were read by somebody else. The format is PKWARE's APPNOTE 6.3.10; the
//! rule here is stricter: an archive passes only if a reader that trusts the central directory, one
//! that trusts the local headers and one that streams would all see the same members. Everything
//! wrong is reported, not only what comes first.

mod directory;
mod end;
mod extra;
mod local;
mod rules;

pub use self::directory::{directory, first_entry};
pub use self::end::end_record;
pub use self::local::{descriptor, descriptor_in_stored, local_header};

use crate::model::file_kind::FileKind;
use serde::{Deserialize, Serialize};

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

/// How many bytes at the end of an archive [`end_record`] has to see: an end record with the
/// longest comment and the zip64 records before it.
pub const TAIL_LENGTH: usize =
    END_RECORD_LENGTH + u16::MAX as usize + ZIP64_LOCATOR_LENGTH + ZIP64_END_RECORD_LENGTH;

const FLAG_ENCRYPTED: u16 = 1;
const FLAG_LEVEL: u16 = 0b110;
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_PATCH: u16 = 1 << 5;
const FLAG_STRONG_ENCRYPTION: u16 = 1 << 6;
const FLAG_UTF8: u16 = 1 << 11;
const FLAG_MASKED: u16 = 1 << 13;

/// How a member's bytes are kept: the methods that wheels may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Method {
    /// As they are (method 0).
    Stored,
    /// Deflate (method 8).
    Deflate,
    /// Zstandard (method 93).
    Zstd,
}

/// Where a member's bytes are in the archive and what the central directory says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// Where the local header begins, from the archive's start.
    pub offset: u64,
    /// Where the next member (or the central directory) begins: local header, bytes and descriptor
    /// fill this range exactly.
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
    /// Whether a descriptor follows the bytes: a reader that streams finds their end by reading
    /// them.
    pub fn has_descriptor(&self) -> bool {
        self.flags & FLAG_DESCRIPTOR != 0
    }

    /// Whether the bytes are stored with a descriptor behind them: a reader that streams has to
    /// search for their end.
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
    /// A file; it is executable if any of its execute bits is set.
    File(FileKind),
    /// A folder: a name that ends in `/`.
    Directory,
}

/// One entry of the central directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name as it is written, a folder's with its last `/`. With an error about it, undecodable
    /// bytes are replaced.
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

#[cfg(test)]
impl Entry {
    /// A file that is in no archive.
    pub(in crate::model) fn imagined(name: &str, size: u64, kind: FileKind) -> Self {
        let location = Location {
            offset: 0,
            end: size,
            compressed: size,
            size,
            crc32: 0,
            flags: 0,
            method: Method::Stored,
        };
        Self {
            name: name.into(),
            sound: true,
            kind: EntryKind::File(kind),
            location,
            name_length: 0,
        }
    }
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
