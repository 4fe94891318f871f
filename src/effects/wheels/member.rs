//! A member of an archive on disk: where it is, and what lies around its bytes.
//!
//! Effects layer. What headers and descriptors mean is decided in `model::wheel::index`.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::effects::host::input::{InputError, InputFile};
use crate::model::finding::{Code, Finding, Findings};
use crate::model::wheel::index::{self, Entry, Location};

/// Why a member's bytes could not be had.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The archive could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The archive is not sound here.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unsound(Vec<Finding>),
}

/// Why a stream of a member's bytes stopped.
pub(in crate::effects) enum Stop<E> {
    /// Whoever takes them wants no more.
    Sink(E),
    /// They cannot be had.
    Member(MemberError),
}

impl<E> From<MemberError> for Stop<E> {
    fn from(error: MemberError) -> Self {
        Self::Member(error)
    }
}

/// An archive that is open, and the codes that the escape hatch lets pass in it.
#[derive(Debug)]
pub struct ZipFile {
    /// The file.
    pub input: InputFile,
    /// Findings of these codes are no reason to refuse a member, where the code's allowance permits
    /// it.
    pub allow: BTreeSet<Code>,
}

/// A member of an archive that is open.
#[derive(Debug, Clone, Copy)]
pub struct MemberRef<'a> {
    /// The archive.
    pub file: &'a ZipFile,
    /// The member's name, for findings.
    pub name: &'a str,
    /// Where its bytes are.
    pub location: &'a Location,
}

impl<'a> MemberRef<'a> {
    /// The member of an entry.
    pub fn new(file: &'a ZipFile, entry: &'a Entry) -> Self {
        Self { file, name: &entry.name, location: &entry.location }
    }

    fn findings(&self) -> Findings {
        Findings::with_policy(&self.file.allow, &BTreeSet::new())
    }

    /// An error about the member.
    pub(super) fn unsound(&self, code: Code, message: impl Into<String>) -> MemberError {
        let mut findings = Findings::new();
        findings.add_member(code, self.name, message);
        MemberError::Unsound(findings.finish())
    }

    /// Checks the header in front of a small member's bytes and the descriptor behind them, `range`
    /// being all of it; where the bytes are.
    pub(super) fn check_surroundings(
        &self,
        range: &[u8],
        notes: &mut Findings,
    ) -> Result<Range<usize>, MemberError> {
        let Self { name, location, .. } = *self;
        let mut findings = self.findings();
        let compressed = usize::try_from(location.compressed).unwrap_or(usize::MAX);
        let Some((start, descriptor)) = index::local_header(range, name, location, &mut findings)
        else {
            return Err(MemberError::Unsound(findings.finish()));
        };
        let bytes = start..start + compressed;
        let behind = &range[bytes.end..bytes.end + descriptor];
        index::descriptor(behind, name, location, &mut findings);
        if index::descriptor_in_stored(&range[bytes.clone()], location) {
            findings.add_member(
                Code::ZipDescriptorStored,
                name,
                "the stored bytes hold a data descriptor's signature",
            );
        }
        judge(findings, notes)?;
        Ok(bytes)
    }

    /// Reads and checks the local header of a large member: where its bytes begin in the archive
    /// and how long the descriptor behind them is.
    pub(super) fn read_header(&self, notes: &mut Findings) -> Result<(u64, usize), MemberError> {
        let Self { file, name, location } = *self;
        let mut findings = self.findings();
        // Longer overheads cannot be headers; the index has said so.
        let longest = 2 * u64::from(u16::MAX) + 64;
        let length = location.overhead().min(longest).max(64).min(location.end - location.offset);
        let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
        file.input.read_at(&mut header, location.offset)?;
        match index::local_header(&header, name, location, &mut findings) {
            Some((start, descriptor)) => {
                judge(findings, notes).map(|()| (location.offset + start as u64, descriptor))
            }
            None => Err(MemberError::Unsound(findings.finish())),
        }
    }

    /// Reads and checks the descriptor of so many bytes behind a large member's, which begin at
    /// `start` in the archive.
    pub(super) fn read_descriptor(
        &self,
        start: u64,
        length: usize,
        notes: &mut Findings,
    ) -> Result<(), MemberError> {
        let mut bytes = [0; 24];
        let bytes = &mut bytes[..length];
        self.file.input.read_at(bytes, start + self.location.compressed)?;
        let mut findings = self.findings();
        index::descriptor(bytes, self.name, self.location, &mut findings);
        judge(findings, notes)
    }

    /// Compares all of a stored member's bytes with what the archive says.
    pub(super) fn check_bytes(&self, bytes: &[u8]) -> Result<(), MemberError> {
        if bytes.len() as u64 != self.location.size {
            let message = format!(
                "{} bytes are stored, the archive says {}",
                bytes.len(),
                self.location.size
            );
            return Err(self.unsound(Code::ZipSize, message));
        }
        self.check_checksum(crc32fast::hash(bytes))
    }

    /// Compares the CRC-32 of a member's bytes with what the archive says.
    pub(super) fn check_checksum(&self, actual: u32) -> Result<(), MemberError> {
        let expected = self.location.crc32;
        if actual == expected {
            return Ok(());
        }
        let message = format!("the bytes have the CRC-32 {actual:08x}, expected {expected:08x}");
        Err(self.unsound(Code::ZipChecksum, message))
    }
}

/// Refuses a member for what was found, if it is an error; notes it otherwise.
fn judge(findings: Findings, notes: &mut Findings) -> Result<(), MemberError> {
    if findings.has_errors() {
        return Err(MemberError::Unsound(findings.finish()));
    }
    if !findings.is_empty() {
        notes.extend(findings.finish());
    }
    Ok(())
}
