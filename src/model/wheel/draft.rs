//! A manifest in the making: a wheel's entries and texts, taken in the order in which they can be
//! known, and checked against each other.
//!
//! Model layer. A [`Draft`] says what it wants next of which member ([`Draft::next`]) and takes it
//! ([`Draft::take`]); whoever drives it reads the bytes and decides nothing. It wants no more than
//! planning needs: RECORD, the other texts of `.dist-info`, the scripts that installing rewrites, and
//! the hashes that RECORD does not claim.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::dist_info::{self, DistInfo};
use super::entry_points::{EntryPoint, EntryPoints};
use super::filename::WheelFilename;
use super::headers::Reading;
use super::index::{Entry, EntryKind};
use super::judgement::{
    judge_agreement, judge_entry_points, judge_headers, judge_record, judge_requirements,
};
use super::limits::Limits;
use super::manifest::{
    HashOrigin, Member, NOT_INSTALLED, REWRITTEN, WheelManifest, data_folder, is_bytecode,
};
use super::member_hash::{MemberHashes, OtherAlgorithm};
use super::metadata::Metadata;
use super::record::{Record, RecordHash, Row};
use super::wheel_file::WheelHeaders;
use crate::model::digest::Hash;
use crate::model::finding::{Code, Finding, Findings};
use crate::model::path::TreePath;

/// The most rows of RECORD, besides two for every member.
const ROWS_BESIDES: usize = 10_000;

/// A manifest in the making.
#[derive(Debug)]
pub struct Draft {
    filename: WheelFilename,
    /// Files with usable paths, sorted by path.
    entries: Vec<Entry>,
    dist_info: DistInfo,
    claims: Vec<Claim>,
    contents: BTreeMap<usize, Arc<[u8]>>,
    headers: Option<WheelHeaders>,
    metadata: Option<Metadata>,
    entry_points: Vec<EntryPoint>,
    limits: Limits,
    /// Where new tasks come from when there are none left.
    step: Step,
    tasks: VecDeque<Task>,
    /// What [`Draft::next`] asked for last.
    asked: Option<Task>,
    /// The bytes of the scripts that are rewritten, so far.
    rewritten: u64,
}

/// What a draft wants next, of the member with an index among its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// All its bytes. Whether they are too many was looked at.
    Whole(usize),
    /// Its first bytes, so many or fewer.
    Start(usize, usize),
    /// The hashes of its bytes.
    Hashes(usize, OtherAlgorithm),
    /// That it is sound, as far as that is to be seen without reading more than is needed.
    Soundness(usize),
    /// No more.
    Nothing,
}

/// What a draft gets for what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// Bytes, for [`Want::Whole`] and [`Want::Start`].
    Bytes(Vec<u8>),
    /// Hashes, for [`Want::Hashes`].
    Hashes(MemberHashes),
}

/// What a member is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Record(usize),
    Text(Text, usize),
    ScriptStart(usize),
    Script(usize),
    Hash(usize),
    Soundness(usize),
}

/// The order in which members can be wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Before anything is kept, for what is kept is compared with it.
    Record,
    Texts,
    Scripts,
    /// After RECORD, which says which those are.
    Unhashed,
    /// Only on demand: what RECORD claims.
    Claimed,
    Done,
}

/// What is known of the hash of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Claim {
    /// RECORD's SHA-256.
    Claimed(Hash),
    /// RECORD's hash by another function, in a box because it is rare.
    Other(Box<RecordHash>),
    /// Nothing.
    None,
    /// The bytes' SHA-256.
    Computed(Hash),
}

/// What a text of the `.dist-info` folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Wheel,
    Metadata,
    EntryPoints,
}

impl Draft {
    /// Starts with the entries of an archive, sorted by name: finds the `.dist-info` folder and
    /// checks what paths alone tell.
    pub fn new(
        filename: WheelFilename,
        entries: Vec<Entry>,
        limits: &Limits,
        findings: &mut Findings,
    ) -> Self {
        // Of an archive that cannot be read nothing more is known.
        let mut nothing = Findings::new();
        let findings = if entries.is_empty() { &mut nothing } else { findings };
        let folder = dist_info::find(&entries, &filename, findings);
        dist_info::check_data(&entries, &data_folder(&folder), findings);
        let entries: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| entry.sound && entry.kind != EntryKind::Directory)
            .collect();
        let dist_info = DistInfo::among(&entries, folder);
        for entry in entries.iter().filter(|entry| is_bytecode(&entry.name)) {
            findings.add_member(Code::PathBytecode, &entry.name, "bytecode is dropped");
        }
        let claims = vec![Claim::None; entries.len()];
        Self {
            filename,
            entries,
            dist_info,
            claims,
            contents: BTreeMap::new(),
            headers: None,
            metadata: None,
            entry_points: Vec::new(),
            limits: limits.clone(),
            step: Step::Record,
            tasks: VecDeque::new(),
            asked: None,
            rewritten: 0,
        }
    }

    /// What is wanted next. Whoever cannot have that, because the member is not sound, asks again
    /// without having given anything.
    pub fn next(&mut self, findings: &mut Findings) -> Want {
        self.asked = None;
        loop {
            if let Some(task) = self.tasks.pop_front() {
                self.asked = Some(task);
                return match task {
                    Task::Record(index) | Task::Text(_, index) | Task::Script(index) => {
                        Want::Whole(index)
                    }
                    Task::ScriptStart(index) => Want::Start(index, REWRITTEN.len()),
                    Task::Hash(index) => Want::Hashes(index, self.other_algorithm(index)),
                    Task::Soundness(index) => Want::Soundness(index),
                };
            }
            let (tasks, step) = match self.step {
                Step::Record => {
                    (self.record(findings).map(Task::Record).into_iter().collect(), Step::Texts)
                }
                Step::Texts => (self.texts(findings), Step::Scripts),
                Step::Scripts => {
                    (self.scripts().into_iter().map(Task::ScriptStart).collect(), Step::Unhashed)
                }
                Step::Unhashed => (self.unhashed().map(Task::Hash).collect(), Step::Done),
                Step::Claimed => (self.claimed(), Step::Done),
                Step::Done => return Want::Nothing,
            };
            self.tasks = tasks;
            self.step = step;
        }
    }

    /// Takes what was wanted last. Anything else is no answer.
    pub fn take(&mut self, got: Got, findings: &mut Findings) {
        match (self.asked.take(), got) {
            (Some(Task::Record(index)), Got::Bytes(bytes)) => {
                self.set_record(index, &bytes, findings);
            }
            (Some(Task::Text(text, index)), Got::Bytes(bytes)) => {
                self.set_text(text, index, &bytes, findings);
                self.keep(index, bytes, findings);
            }
            (Some(Task::ScriptStart(index)), Got::Bytes(bytes)) if bytes == REWRITTEN => {
                self.rewrite(index, findings);
            }
            (Some(Task::Script(index)), Got::Bytes(bytes)) => self.keep(index, bytes, findings),
            (Some(Task::Hash(index)), Got::Hashes(hashes)) => self.verify(index, &hashes, findings),
            _ => {}
        }
    }

    /// Wants, after everything else, also the hashes that RECORD claims; of what no environment
    /// takes over, that it is as sound as a build sees it.
    pub fn want_claimed(&mut self) {
        self.step = Step::Claimed;
    }

    /// The files, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The index of RECORD, if it is not too large to be read; a finding otherwise.
    fn record(&self, findings: &mut Findings) -> Option<usize> {
        let folder = &self.dist_info.folder;
        let Some(index) = self.dist_info.record else {
            if self.has_dist_info() {
                findings.add(Code::RecordMissing, format!("there is no {folder}/RECORD"));
            }
            return None;
        };
        let entry = &self.entries[index];
        let limit = self.limits.record_of(self.entries.len() as u64);
        if entry.location.size > limit {
            findings.add_member(
                Code::RecordLimit,
                &entry.name,
                format!("{} bytes, the limit is {limit}", entry.location.size),
            );
            return None;
        }
        Some(index)
    }

    /// The other texts that are there and not too large; findings for those that are missing.
    fn texts(&self, findings: &mut Findings) -> VecDeque<Task> {
        let limit = self.limits.metadata_size;
        let wanted = [
            (Text::Wheel, self.dist_info.wheel, Some((Code::MetadataWheelMissing, "WHEEL"))),
            (
                Text::Metadata,
                self.dist_info.metadata,
                Some((Code::MetadataMetadataMissing, "METADATA")),
            ),
            (Text::EntryPoints, self.dist_info.entry_points, None),
        ];
        let mut found = VecDeque::new();
        for (text, index, required) in wanted {
            match (index, required) {
                (Some(index), _) if self.entries[index].location.size > limit => {
                    let Entry { name, location, .. } = &self.entries[index];
                    findings.add_member(
                        Code::MetadataLimit,
                        name,
                        format!("{} bytes, the limit is {limit}", location.size),
                    );
                }
                (Some(index), _) => found.push_back(Task::Text(text, index)),
                (None, Some((code, name))) if self.has_dist_info() => {
                    findings.add(code, format!("there is no {}/{name}", self.dist_info.folder));
                }
                (None, _) => {}
            }
        }
        found
    }

    fn has_dist_info(&self) -> bool {
        let prefix = format!("{}/", self.dist_info.folder);
        self.entries.iter().any(|entry| entry.name.starts_with(&prefix))
    }

    /// Takes the bytes of RECORD and compares its rows with the files.
    fn set_record(&mut self, index: usize, bytes: &[u8], findings: &mut Findings) {
        self.claims[index] = Claim::Computed(Hash::sha256(bytes));
        let own_path = self.entries[index].name.clone();
        let record = Record::parse_rows(bytes, &own_path, ROWS_BESIDES + 2 * self.entries.len());
        judge_record(&record, &own_path, findings);
        // Both are sorted by path. Of members with one name (an error, reported elsewhere) each
        // gets the row.
        let mut rows = record.rows().iter().peekable();
        let mut used = false;
        let absent = |row: &Row<'_>, findings: &mut Findings| {
            findings.add_member(
                Code::RecordAbsentFile,
                &row.path,
                format!("row {} names a file that is not in the wheel", row.number),
            );
        };
        for (entry, claim) in self.entries.iter().zip(&mut self.claims) {
            while let Some(row) = rows.next_if(|row| *row.path < *entry.name) {
                if !std::mem::take(&mut used) {
                    absent(row, findings);
                }
            }
            let row = rows.peek().copied().filter(|row| *row.path == *entry.name);
            used = row.is_some();
            if entry.name == own_path {
                continue;
            }
            if entry
                .name
                .strip_prefix(&*own_path)
                .is_some_and(|suffix| matches!(suffix, ".jws" | ".p7s"))
            {
                findings.add_member(Code::RecordSignature, &entry.name, "the signature is dropped");
                continue;
            }
            let Some(row) = row else {
                // Bytecode is dropped anyway.
                if !is_bytecode(&entry.name) {
                    findings.add_member(
                        Code::RecordUnlisted,
                        &entry.name,
                        "the member has no row in RECORD",
                    );
                }
                continue;
            };
            if let Some(size) = row.size
                && size != entry.location.size
            {
                findings.add_member(
                    Code::RecordSize,
                    &entry.name,
                    format!(
                        "row {} says {size} bytes, the member has {}",
                        row.number, entry.location.size
                    ),
                );
            }
            *claim = match &row.hash {
                Some(RecordHash::Sha256(hash)) => Claim::Claimed(*hash),
                Some(other) => Claim::Other(Box::new(other.clone())),
                None => Claim::None,
            };
        }
        for row in rows.skip(usize::from(used)) {
            absent(row, findings);
        }
    }

    /// Takes the bytes of WHEEL, METADATA or `entry_points.txt`.
    fn set_text(&mut self, text: Text, index: usize, bytes: &[u8], findings: &mut Findings) {
        let member = &*self.entries[index].name;
        match text {
            Text::Wheel => {
                let Reading { value, errors } = WheelHeaders::parse(bytes);
                judge_headers(&errors, member, findings);
                if let Some(headers) = &value {
                    judge_agreement(Some((headers, member)), None, &self.filename, findings);
                }
                self.headers = value;
            }
            Text::Metadata => {
                let Reading { value, errors } = Metadata::parse(bytes, &self.filename);
                judge_headers(&errors, member, findings);
                if let Some(metadata) = &value {
                    judge_agreement(None, Some((metadata, member)), &self.filename, findings);
                    judge_requirements(metadata, member, findings);
                }
                self.metadata = value;
            }
            Text::EntryPoints => {
                let found = EntryPoints::parse(bytes);
                judge_entry_points(&found, member, findings);
                self.entry_points = found.scripts;
            }
        }
    }

    /// Wants a script that is rewritten, unless all of them are too many bytes to be kept.
    fn rewrite(&mut self, index: usize, findings: &mut Findings) {
        let Entry { name, location, .. } = &self.entries[index];
        self.rewritten = self.rewritten.saturating_add(location.size);
        if self.rewritten > self.limits.metadata_size {
            let message = format!(
                "the scripts that would be rewritten have {} bytes so far, the limit is {}",
                self.rewritten, self.limits.metadata_size
            );
            findings.add_member(Code::MetadataLimit, name, message);
        } else {
            self.tasks.push_front(Task::Script(index));
        }
    }

    /// Keeps the bytes of a member for planning, and compares them with RECORD.
    fn keep(&mut self, index: usize, bytes: Vec<u8>, findings: &mut Findings) {
        self.verify(index, &MemberHashes::of(&bytes, self.other_algorithm(index)), findings);
        self.contents.insert(index, bytes.into());
    }

    /// The indices of the members that lie in `.data/scripts`.
    pub fn scripts(&self) -> Vec<usize> {
        let prefix = format!("{}/scripts/", data_folder(&self.dist_info.folder));
        let start = self.entries.partition_point(|entry| *entry.name < *prefix);
        let count = self.entries[start..]
            .iter()
            .take_while(|entry| entry.name.starts_with(&prefix))
            .count();
        (start..start + count).collect()
    }

    /// The indices of the members that are installed where scripts are: those of `.data/scripts`,
    /// and of the folder `bin` or `Scripts` of `.data/data`.
    pub fn installed_scripts(&self) -> Vec<usize> {
        let prefix = format!("{}/data/", data_folder(&self.dist_info.folder));
        let is_script = |entry: &Entry| {
            let path = entry.name.strip_prefix(&prefix);
            path.is_some_and(|path| {
                path.starts_with("bin/") || strip_prefix_any_case(path, "Scripts/").is_some()
            })
        };
        let data = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| is_script(entry))
            .map(|(index, _)| index);
        self.scripts().into_iter().chain(data).collect()
    }

    /// The members whose SHA-256 RECORD does not say, and which are not known otherwise.
    fn unhashed(&self) -> impl Iterator<Item = usize> {
        (0..self.entries.len())
            .filter(|&index| matches!(self.claims[index], Claim::None | Claim::Other(_)))
    }

    /// The members whose SHA-256 RECORD says and whose bytes were not looked at: first those that
    /// are never installed, then those that can be.
    fn claimed(&self) -> VecDeque<Task> {
        let claimed = (0..self.entries.len())
            .filter(|&index| matches!(self.claims[index], Claim::Claimed(_)));
        let (dropped, installed): (Vec<usize>, Vec<usize>) =
            claimed.partition(|&index| self.is_dropped(&self.entries[index].name));
        let dropped = dropped.into_iter().map(Task::Soundness);
        dropped.chain(installed.into_iter().map(Task::Hash)).collect()
    }

    /// Whether no environment takes a member over: bytecode, and what an installer writes itself.
    fn is_dropped(&self, path: &str) -> bool {
        let name =
            path.strip_prefix(&*self.dist_info.folder).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| NOT_INSTALLED.contains(&name))
            || path.split('/').any(|component| component == "__pycache__")
    }

    /// The name of the `.dist-info` folder, or the one expected.
    pub fn dist_info(&self) -> &str {
        &self.dist_info.folder
    }

    /// The scripts of `entry_points.txt`.
    pub fn entry_points(&self) -> &[EntryPoint] {
        &self.entry_points
    }

    /// The members whose bytes were kept, by index.
    pub fn contents(&self) -> &BTreeMap<usize, Arc<[u8]>> {
        &self.contents
    }

    /// The algorithm of RECORD's hash of a member if it is not SHA-256: the bytes have to be hashed
    /// by it as well.
    fn other_algorithm(&self, index: usize) -> OtherAlgorithm {
        match &self.claims[index] {
            Claim::Other(hash) if matches!(**hash, RecordHash::Sha384(_)) => OtherAlgorithm::Sha384,
            Claim::Other(hash) if matches!(**hash, RecordHash::Sha512(_)) => OtherAlgorithm::Sha512,
            _ => OtherAlgorithm::None,
        }
    }

    /// Compares the hashes of a member's bytes with what RECORD says.
    fn verify(&mut self, index: usize, hashes: &MemberHashes, findings: &mut Findings) {
        let name = &*self.entries[index].name;
        let claimed = match &self.claims[index] {
            Claim::Claimed(hash) if *hash != hashes.sha256 => Some(RecordHash::Sha256(*hash)),
            Claim::Other(hash) if hashes.other.as_deref() != Some(hash.as_bytes()) => {
                Some((**hash).clone())
            }
            _ => None,
        };
        if let Some(claimed) = claimed {
            let actual = RecordHash::Sha256(hashes.sha256);
            findings.add_member(
                Code::RecordHash,
                name,
                format!("RECORD says {claimed}, the bytes have {actual}"),
            );
        }
        self.claims[index] = Claim::Computed(hashes.sha256);
    }

    /// The manifest.
    ///
    /// # Errors
    /// Something that it cannot do without is missing (WHEEL, METADATA, the hash of a member): the
    /// findings say what.
    pub fn finish(self, findings: Vec<Finding>) -> Result<WheelManifest, Vec<Finding>> {
        let (Some(headers), Some(metadata)) = (self.headers, self.metadata) else {
            return Err(findings);
        };
        let mut members = Vec::with_capacity(self.entries.len());
        for (entry, claim) in self.entries.into_iter().zip(self.claims) {
            let (sha256, origin) = match claim {
                Claim::Claimed(hash) => (hash, HashOrigin::Claimed),
                Claim::Computed(hash) => (hash, HashOrigin::Computed),
                Claim::None | Claim::Other(_) => return Err(findings),
            };
            let Ok(path) = TreePath::from_text(entry.name) else {
                return Err(findings);
            };
            let EntryKind::File(kind) = entry.kind else {
                return Err(findings);
            };
            members.push(Member { path, kind, sha256, origin, location: entry.location });
        }
        Ok(WheelManifest {
            data: data_folder(&self.dist_info.folder).into(),
            file: self.filename,
            purelib: headers.purelib,
            dist_info: self.dist_info.folder,
            members: members.into(),
            contents: self.contents,
            entry_points: self.entry_points,
            headers,
            metadata,
            findings,
        })
    }
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::file_kind::FileKind;
    use crate::model::wheel::record::encode_base64url;

    const FOLDER: &str = "demo-1.0.dist-info";
    const WHEEL: &[u8] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    const METADATA: &[u8] = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";

    /// Numbers without a pattern.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    fn draft(files: &BTreeMap<&str, Vec<u8>>, limits: &Limits, findings: &mut Findings) -> Draft {
        let entry = |(name, bytes): (&&str, &Vec<u8>)| {
            Entry::imagined(name, bytes.len() as u64, FileKind::Plain)
        };
        let filename = WheelFilename::parse("demo-1.0-py3-none-any.whl").unwrap();
        Draft::new(filename, files.iter().map(entry).collect(), limits, findings)
    }

    fn sample(random: &mut Random) -> BTreeMap<&'static str, Vec<u8>> {
        let mut files = BTreeMap::from([
            ("demo/a.py", b"a".to_vec()),
            ("demo/b.py", b"other".to_vec()),
            ("demo-1.0.data/scripts/run", b"#!python\nprint()\n".to_vec()),
            ("demo-1.0.data/scripts/other", b"#!/bin/sh\n".to_vec()),
            ("demo-1.0.data/scripts/short", b"#!".to_vec()),
            ("demo-1.0.dist-info/METADATA", METADATA.to_vec()),
            ("demo-1.0.dist-info/WHEEL", WHEEL.to_vec()),
            ("demo-1.0.dist-info/entry_points.txt", b"[console_scripts]\nx = demo:x\n".to_vec()),
        ]);
        let mut record = String::new();
        for (name, bytes) in &files {
            let hash = encode_base64url(Hash::sha256(bytes).as_bytes());
            record += &match random.below(4) {
                0 => continue,
                1 => format!("{name},,{}\n", bytes.len()),
                _ => format!("{name},sha256={hash},{}\n", bytes.len()),
            };
        }
        files.insert("demo-1.0.dist-info/RECORD", record.into_bytes());
        files.retain(|_, _| random.below(12) != 0);
        files
    }

    /// Answers what is wanted until nothing is, the way an archive would whose members are sound
    /// unless `spoil` says otherwise; returns what was wanted.
    fn play(
        draft: &mut Draft,
        files: &BTreeMap<&str, Vec<u8>>,
        findings: &mut Findings,
        mut spoil: impl FnMut(Got) -> Option<Got>,
    ) -> Vec<Want> {
        let mut wants = Vec::new();
        loop {
            let want = draft.next(findings);
            let bytes = |index: usize| files[&*draft.entries()[index].name].clone();
            let got = match want {
                Want::Nothing => return wants,
                Want::Whole(index) => Some(Got::Bytes(bytes(index))),
                Want::Start(index, length) => {
                    Some(Got::Bytes(bytes(index).into_iter().take(length).collect()))
                }
                Want::Hashes(index, other) => {
                    Some(Got::Hashes(MemberHashes::of(&bytes(index), other)))
                }
                Want::Soundness(_) => None,
            };
            assert!(!wants.contains(&want), "{want:?} again");
            wants.push(want);
            if let Some(got) = got.and_then(&mut spoil) {
                draft.take(got, findings);
            }
        }
    }

    #[test]
    fn whatever_is_given_a_manifest_holds_true_hashes_or_claims() {
        let mut finished = 0;
        let (mut whole, mut claims) = (BTreeSet::new(), 0);
        for seed in 1..4000 {
            let mut random = Random(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
            let files = sample(&mut random);
            let limits = Limits {
                metadata_size: if random.below(8) == 0 { 60 } else { 10_000 },
                ..Limits::default()
            };
            let mut findings = Findings::new();
            let mut draft = draft(&files, &limits, &mut findings);
            let hostile = random.below(3) == 0;
            let spoil = |got| match random.below(6) {
                0 if hostile => None,
                1 if hostile => Some(Got::Hashes(MemberHashes::of(b"", OtherAlgorithm::None))),
                _ => Some(got),
            };
            let mut wants = play(&mut draft, &files, &mut findings, spoil);
            if seed % 2 == 0 {
                draft.want_claimed();
                wants.extend(play(&mut draft, &files, &mut findings, Some));
            }
            for want in &wants {
                if let Want::Whole(index) = *want {
                    let Entry { name, location, .. } = &draft.entries()[index];
                    whole.insert(name.clone());
                    assert!(name.ends_with("/RECORD") || location.size <= limits.metadata_size);
                }
            }
            let Ok(manifest) = draft.finish(findings.finish()) else { continue };
            finished += 1;
            for (index, member) in manifest.members.iter().enumerate() {
                let bytes = &files[member.path.as_str()];
                claims += usize::from(member.origin == HashOrigin::Claimed);
                if !hostile {
                    assert_eq!(member.sha256, Hash::sha256(bytes), "{}", member.path);
                }
                if let Some(kept) = manifest.contents.get(&index) {
                    assert_eq!((&**kept, member.origin), (&**bytes, HashOrigin::Computed));
                }
                let never = member.path.as_str() == format!("{FOLDER}/RECORD");
                assert!(seed % 2 == 1 || hostile || never || member.origin == HashOrigin::Computed);
            }
        }
        // The games were not all lost, and every kind of move was made.
        assert!(finished > 1000 && claims > 1000, "{finished} {claims}");
        let whole: Vec<&str> = whole.iter().map(|name| &**name).collect();
        assert_eq!(
            whole,
            [
                "demo-1.0.data/scripts/run",
                "demo-1.0.dist-info/METADATA",
                "demo-1.0.dist-info/RECORD",
                "demo-1.0.dist-info/WHEEL",
                "demo-1.0.dist-info/entry_points.txt"
            ]
        );
    }

    #[test]
    fn record_comes_first_and_what_it_claims_last() {
        let mut files = sample(&mut Random(7));
        let hash = |bytes: &[u8]| encode_base64url(Hash::sha256(bytes).as_bytes());
        let record = format!("demo/a.py,sha256={},1\n", hash(b"a"));
        files.insert("demo-1.0.dist-info/RECORD", record.into_bytes());
        files.insert("demo/a.py", b"a".to_vec());
        let mut findings = Findings::new();
        let mut draft = draft(&files, &Limits::default(), &mut findings);
        let wants = play(&mut draft, &files, &mut findings, Some);
        let name = |want: &Want, draft: &Draft| match *want {
            Want::Whole(index) => format!("whole {}", draft.entries()[index].name),
            Want::Start(index, length) => format!("{length} of {}", draft.entries()[index].name),
            Want::Hashes(index, _) => format!("hash {}", draft.entries()[index].name),
            Want::Soundness(index) => format!("look at {}", draft.entries()[index].name),
            Want::Nothing => String::new(),
        };
        let first: Vec<String> = wants.iter().map(|want| name(want, &draft)).collect();
        assert_eq!(first.first().unwrap(), "whole demo-1.0.dist-info/RECORD");
        assert!(!first.contains(&"hash demo/a.py".to_owned()), "{first:?}");
        draft.want_claimed();
        let wants = play(&mut draft, &files, &mut findings, Some);
        let last: Vec<String> = wants.iter().map(|want| name(want, &draft)).collect();
        assert_eq!(last, ["hash demo/a.py"]);
    }
}
