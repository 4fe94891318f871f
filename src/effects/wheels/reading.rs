//! The members of one archive, read one after the other; what is found in them is collected.
//!
//! Effects layer.

use crate::effects::host::input::InputError;
use crate::effects::wheels::inflate::Inflater;
use crate::effects::wheels::member::{MemberError, MemberRef, ZipFile};
use crate::model::finding::Findings;
use crate::model::wheel::draft::{Draft, Got, Want};
use crate::model::wheel::index::{Entry, EntryKind};
use crate::model::wheel::member_hash::{MemberHasher, MemberHashes, OtherAlgorithm};

/// An archive whose members are read.
pub(super) struct Reading<'a> {
    pub(super) file: &'a ZipFile,
    inflater: &'a mut Inflater,
    /// What was found.
    pub(super) findings: Findings,
    /// What the escape hatch let pass. Some members are read several times, and say so each time.
    notes: Findings,
}

impl<'a> Reading<'a> {
    pub(super) fn new(file: &'a ZipFile, inflater: &'a mut Inflater, findings: Findings) -> Self {
        Self { file, inflater, findings, notes: Findings::new() }
    }

    /// All that was found.
    pub(super) fn finish(mut self) -> Findings {
        self.findings.extend(self.notes.finish());
        self.findings
    }

    /// Reads what a draft wants, until it wants no more.
    pub(super) fn satisfy(&mut self, draft: &mut Draft) -> Result<(), InputError> {
        loop {
            let want = draft.next(&mut self.findings);
            let entries = draft.entries();
            let got = match want {
                Want::Nothing => return Ok(()),
                Want::Whole(index) => self.whole(&entries[index])?.map(Got::Bytes),
                Want::Start(index, length) => self.start(&entries[index], length)?.map(Got::Bytes),
                Want::Hashes(index, other) => self.hash(&entries[index], other)?.map(Got::Hashes),
                Want::Soundness(index) => {
                    self.check_unread(&entries[index])?;
                    None
                }
            };
            if let Some(got) = got {
                draft.take(got, &mut self.findings);
            }
        }
    }

    /// Checks the folders of an archive, whose bytes nothing else reads: that their local headers
    /// are sound and hold nothing.
    pub(super) fn check_directories(&mut self, entries: &[Entry]) -> Result<(), InputError> {
        entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Directory)
            .try_for_each(|entry| self.check(entry))
    }

    /// Reads a member for nothing but what may be wrong with it.
    pub(super) fn check(&mut self, entry: &Entry) -> Result<(), InputError> {
        self.stream(entry, |_| {}).map(drop)
    }

    /// Checks a member's local header and descriptor.
    pub(super) fn check_header(&mut self, entry: &Entry) -> Result<(), InputError> {
        let checked = self.inflater.check_header(MemberRef::new(self.file, entry), &mut self.notes);
        self.sound(checked).map(drop)
    }

    /// Checks a member that is not going to be read.
    fn check_unread(&mut self, entry: &Entry) -> Result<(), InputError> {
        let checked = self.inflater.check_unread(MemberRef::new(self.file, entry), &mut self.notes);
        self.sound(checked).map(drop)
    }

    /// The first bytes of a member, if they are sound.
    pub(super) fn start(
        &mut self,
        entry: &Entry,
        length: usize,
    ) -> Result<Option<Vec<u8>>, InputError> {
        let start = self.beginning(entry, length);
        self.sound(start)
    }

    /// The first bytes of a member.
    pub(super) fn beginning(
        &mut self,
        entry: &Entry,
        length: usize,
    ) -> Result<Vec<u8>, MemberError> {
        let member = MemberRef::new(self.file, entry);
        self.inflater.peek(member, &mut self.notes, length).map(<[u8]>::to_vec)
    }

    /// The bytes of a member whose size was found bearable, if they are sound.
    fn whole(&mut self, entry: &Entry) -> Result<Option<Vec<u8>>, InputError> {
        // The size is the archive's claim: room for it is made as bytes come.
        let mut bytes = Vec::new();
        let done = self.stream(entry, |chunk| bytes.extend_from_slice(chunk))?;
        Ok(done.map(|()| bytes))
    }

    /// The hashes of a member's bytes, if they are sound.
    fn hash(
        &mut self,
        entry: &Entry,
        other: OtherAlgorithm,
    ) -> Result<Option<MemberHashes>, InputError> {
        let mut hasher = MemberHasher::new(other);
        let done = self.stream(entry, |chunk| hasher.update(chunk))?;
        Ok(done.map(|()| hasher.finish()))
    }

    fn stream(
        &mut self,
        entry: &Entry,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Option<()>, InputError> {
        let mut sink = |chunk: &[u8]| {
            take(chunk);
            Ok::<(), MemberError>(())
        };
        let member = MemberRef::new(self.file, entry);
        let done = self.inflater.stream(member, &mut self.notes, &mut sink);
        self.sound(done)
    }

    /// What was read, or findings.
    fn sound<T>(&mut self, result: Result<T, MemberError>) -> Result<Option<T>, InputError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(MemberError::Unsound(found)) => {
                self.findings.extend(found);
                Ok(None)
            }
            Err(MemberError::Input(error)) => Err(error),
        }
    }
}
