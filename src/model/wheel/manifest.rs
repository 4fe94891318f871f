//! What a wheel holds, as far as planning needs it: its files with sizes and hashes, its metadata,
//! its scripts.
//!
//! Model layer. A [`Draft`] takes the entries of an archive and the texts of its `.dist-info`
//! folder, in the order in which they can be known, checks them against each other and ends as a
//! [`WheelManifest`]. Whoever drafts reads the bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry_points::{EntryPoint, EntryPoints};
use super::filename::WheelFilename;
use super::headers::Reading;
use super::index::{Entry, EntryKind, Location};
use super::judgement::{
    judge_agreement, judge_entry_points, judge_headers, judge_record, judge_requirements,
};
use super::limits::Limits;
use super::metadata::{Metadata, differ_in_local};
use super::record::{Record, RecordHash};
use super::startup;
use super::wheel_file::{Disagreement, WheelHeaders, list};
use crate::model::digest::Hash;
use crate::model::finding::{Code, Finding, Findings};
use crate::model::name::{DistName, Version};
use crate::model::path::TreePath;
use crate::model::reserved::Reserved;

/// How sure a member's hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashOrigin {
    /// RECORD says so; the bytes were not looked at.
    Claimed,
    /// Computed from the bytes.
    Computed,
}

/// A file in a wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path in the wheel.
    pub path: TreePath,
    /// Whether any of its execute bits is set.
    pub executable: bool,
    /// The SHA-256 of its bytes.
    pub sha256: Hash,
    /// How sure that is.
    pub origin: HashOrigin,
    /// Where its bytes are, and how many.
    pub location: Location,
}

impl Member {
    /// Its bytes, decompressed.
    pub fn size(&self) -> u64 {
        self.location.size
    }

    /// Whether it is compiled bytecode in a `__pycache__` folder, which no tree takes over.
    pub fn is_bytecode(&self) -> bool {
        is_bytecode(self.path.as_str())
    }
}

/// A wheel, read as far as planning needs it. Hashes are RECORD's claims unless marked as computed;
/// whoever writes a member compares its bytes with them.
#[derive(Debug, Clone)]
pub struct WheelManifest {
    /// The name that the wheel was published under.
    pub file: WheelFilename,
    /// Whether what is not in `.data` goes to purelib, else to platlib.
    pub purelib: bool,
    /// The name of the `.dist-info` folder, such as `six-1.16.0.dist-info`.
    pub dist_info: Box<str>,
    /// The name that a `.data` folder has, such as `six-1.16.0.data`, whether there is one or not.
    pub data: Box<str>,
    /// The files, sorted by path. RECORD and its signatures are among them, bytecode too.
    pub members: Box<[Member]>,
    /// The bytes of those members, by index, that planning looks at: what was parsed of
    /// `.dist-info`, and scripts to rewrite.
    pub contents: BTreeMap<usize, Arc<[u8]>>,
    /// The scripts of `entry_points.txt`.
    pub entry_points: Vec<EntryPoint>,
    /// What WHEEL says.
    pub headers: WheelHeaders,
    /// What METADATA says.
    pub metadata: Metadata,
    /// What was noticed, errors first; an error is here only if the escape hatch made it a warning.
    pub findings: Vec<Finding>,
}

impl WheelManifest {
    /// The distribution.
    pub fn name(&self) -> &DistName {
        &self.file.name
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.file.version
    }

    /// The member of a path.
    pub fn member(&self, path: &str) -> Option<(usize, &Member)> {
        let index = self.members.binary_search_by(|member| member.path.as_str().cmp(path)).ok()?;
        Some((index, &self.members[index]))
    }
}

/// The schemes that a `.data` folder may hold.
pub const SCHEMES: [&str; 5] = ["data", "headers", "platlib", "purelib", "scripts"];

/// Files of a metadata directory that belong to an installer or to the archive, not to the
/// installed distribution.
pub const NOT_INSTALLED: [&str; 7] = [
    "RECORD",
    "RECORD.jws",
    "RECORD.p7s",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
    "uv_cache.json",
];

/// The most rows of RECORD, besides two for every member.
const ROWS_BESIDES: usize = 10_000;

/// The first bytes of a script that installing rewrites.
pub const REWRITTEN: &[u8] = b"#!python";

fn is_bytecode(path: &str) -> bool {
    path.ends_with(".pyc")
        && path.split('/').rev().skip(1).any(|component| component == "__pycache__")
}

/// Where the files of a `.dist-info` folder are among the entries.
#[derive(Debug, Clone, Default)]
struct DistInfo {
    /// The folder's name; that expected by the wheel's name where there is none.
    folder: Box<str>,
    wheel: Option<usize>,
    metadata: Option<usize>,
    record: Option<usize>,
    entry_points: Option<usize>,
}

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
pub enum Text {
    /// WHEEL.
    Wheel,
    /// METADATA.
    Metadata,
    /// `entry_points.txt`.
    EntryPoints,
}

impl Draft {
    /// Starts with the entries of an archive, sorted by name: finds the `.dist-info` folder and
    /// checks what paths alone tell.
    pub fn new(filename: WheelFilename, entries: Vec<Entry>, findings: &mut Findings) -> Self {
        // Of an archive that cannot be read nothing more is known.
        let mut nothing = Findings::new();
        let findings = if entries.is_empty() { &mut nothing } else { findings };
        let dist_info = find_dist_info(&entries, &filename, findings);
        check_data(&entries, data_folder(&dist_info.folder), findings);
        let entries: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| entry.sound && entry.kind != EntryKind::Directory)
            .collect();
        let dist_info = DistInfo {
            wheel: position(&entries, &dist_info.folder, "WHEEL"),
            metadata: position(&entries, &dist_info.folder, "METADATA"),
            record: position(&entries, &dist_info.folder, "RECORD"),
            entry_points: position(&entries, &dist_info.folder, "entry_points.txt"),
            folder: dist_info.folder,
        };
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
        }
    }

    /// The files, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The index of RECORD, if it is not too large to be read; a finding otherwise.
    pub fn record(&self, limits: &Limits, findings: &mut Findings) -> Option<usize> {
        let folder = &self.dist_info.folder;
        let Some(index) = self.dist_info.record else {
            if self.has_dist_info() {
                findings.add(Code::RecordMissing, format!("there is no {folder}/RECORD"));
            }
            return None;
        };
        let entry = &self.entries[index];
        let limit = limits.record_of(self.entries.len() as u64);
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

    /// The indices of the other texts that are there and not too large; findings for those that are
    /// missing.
    pub fn texts(&self, limits: &Limits, findings: &mut Findings) -> Vec<(Text, usize)> {
        let wanted = [
            (Text::Wheel, self.dist_info.wheel, Some((Code::MetadataWheelMissing, "WHEEL"))),
            (
                Text::Metadata,
                self.dist_info.metadata,
                Some((Code::MetadataMetadataMissing, "METADATA")),
            ),
            (Text::EntryPoints, self.dist_info.entry_points, None),
        ];
        let mut found = Vec::new();
        for (text, index, required) in wanted {
            match (index, required) {
                (Some(index), _) if self.entries[index].location.size > limits.metadata_size => {
                    let Entry { name, location, .. } = &self.entries[index];
                    findings.add_member(
                        Code::MetadataLimit,
                        name,
                        format!("{} bytes, the limit is {}", location.size, limits.metadata_size),
                    );
                }
                (Some(index), _) => found.push((text, index)),
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
    pub fn set_record(&mut self, index: usize, bytes: &[u8], findings: &mut Findings) {
        self.claims[index] = Claim::Computed(Hash::sha256(bytes));
        let own_path = self.entries[index].name.clone();
        let record = Record::parse_rows(bytes, &own_path, ROWS_BESIDES + 2 * self.entries.len());
        judge_record(&record, &own_path, findings);
        // Both are sorted by path. Of members with one name (an error, reported elsewhere) each
        // gets the row.
        let mut rows = record.rows().iter().peekable();
        let mut used = false;
        let absent = |row: &super::record::Row<'_>, findings: &mut Findings| {
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
    pub fn set_text(&mut self, text: Text, index: usize, bytes: &[u8], findings: &mut Findings) {
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

    /// Keeps the bytes of a member for planning, and checks them; RECORD has to be set before.
    pub fn keep(&mut self, index: usize, bytes: &[u8], findings: &mut Findings) {
        self.verify(index, &MemberHashes::of(bytes, self.other_algorithm(index)), findings);
        self.contents.insert(index, bytes.into());
    }

    /// The indices of the members that lie in `.data/scripts`: those whose first bytes are
    /// [`REWRITTEN`] have to be kept.
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

    /// The indices of the members whose SHA-256 RECORD does not say, and which are not known
    /// otherwise: they have to be hashed.
    pub fn unhashed(&self) -> Vec<usize> {
        (0..self.entries.len())
            .filter(|&index| matches!(self.claims[index], Claim::None | Claim::Other(_)))
            .collect()
    }

    /// The indices of the members whose SHA-256 RECORD says and whose bytes were not looked at:
    /// those that can be installed, and those that never are.
    pub fn claimed(&self) -> (Vec<usize>, Vec<usize>) {
        let claimed = (0..self.entries.len())
            .filter(|&index| matches!(self.claims[index], Claim::Claimed(_)));
        claimed.partition(|&index| !self.is_dropped(&self.entries[index].name))
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

    /// What METADATA says, and its path.
    pub fn metadata(&self) -> Option<(&Metadata, &str)> {
        Some((self.metadata.as_ref()?, &self.entries[self.dist_info.metadata?].name))
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
    pub fn other_algorithm(&self, index: usize) -> OtherAlgorithm {
        match &self.claims[index] {
            Claim::Other(hash) if matches!(**hash, RecordHash::Sha384(_)) => OtherAlgorithm::Sha384,
            Claim::Other(hash) if matches!(**hash, RecordHash::Sha512(_)) => OtherAlgorithm::Sha512,
            _ => OtherAlgorithm::None,
        }
    }

    /// Compares the hashes of a member's bytes with what RECORD says.
    pub fn verify(&mut self, index: usize, hashes: &MemberHashes, findings: &mut Findings) {
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
            let executable = entry.kind == EntryKind::File { executable: true };
            members.push(Member { path, executable, sha256, origin, location: entry.location });
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

/// Which hash of a member's bytes is wanted besides SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherAlgorithm {
    /// None.
    None,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// The hashes of a member's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberHashes {
    /// By SHA-256.
    pub sha256: Hash,
    /// By the other function that was wanted.
    pub other: Option<Box<[u8]>>,
}

impl MemberHashes {
    /// Hashes all of a member's bytes.
    pub fn of(bytes: &[u8], other: OtherAlgorithm) -> Self {
        let mut hasher = MemberHasher::new(other);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Hashes a member's bytes piece by piece.
#[derive(Debug, Clone)]
pub struct MemberHasher {
    sha256: sha2::Sha256,
    sha384: Option<sha2::Sha384>,
    sha512: Option<sha2::Sha512>,
}

impl MemberHasher {
    /// Starts.
    pub fn new(other: OtherAlgorithm) -> Self {
        Self {
            sha256: sha2::Sha256::default(),
            sha384: (other == OtherAlgorithm::Sha384).then(Default::default),
            sha512: (other == OtherAlgorithm::Sha512).then(Default::default),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        self.sha256.update(bytes);
        if let Some(hasher) = &mut self.sha384 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha512 {
            hasher.update(bytes);
        }
    }

    /// The hashes of all bytes taken.
    pub fn finish(self) -> MemberHashes {
        use sha2::Digest as _;
        let sha384 = self.sha384.map(|hasher| Box::from(hasher.finalize().as_slice()));
        let sha512 = self.sha512.map(|hasher| Box::from(hasher.finalize().as_slice()));
        MemberHashes { sha256: Hash::new(self.sha256.finalize().into()), other: sha384.or(sha512) }
    }
}

/// The name of the `.data` folder that belongs to a `.dist-info` folder.
pub fn data_folder(dist_info: &str) -> String {
    format!("{}.data", dist_info.strip_suffix(".dist-info").unwrap_or(dist_info))
}

fn position(entries: &[Entry], folder: &str, name: &str) -> Option<usize> {
    let path = format!("{folder}/{name}");
    entries.binary_search_by(|entry| (*entry.name).cmp(&path)).ok()
}

/// The names of folders at the top of the wheel.
fn top_folders(entries: &[Entry]) -> impl Iterator<Item = &str> {
    let mut previous = "";
    entries.iter().filter_map(move |entry| {
        let folder = entry.name.split_once('/')?.0;
        let new = folder != previous;
        previous = folder;
        new.then_some(folder)
    })
}

/// The version of `NAME-VERSION`, if that is what the file name says, in whatever way name and
/// version are written; a local version may be in one of them only.
fn distribution_version(stem: &str, filename: &WheelFilename) -> Option<Version> {
    if stem == filename.stem() {
        return Some(filename.version.clone());
    }
    let (name, version) = stem.split_once('-')?;
    DistName::parse(name).ok().filter(|name| *name == filename.name)?;
    let version = version.replace('_', "+").parse::<Version>().ok()?;
    (version == filename.version || differ_in_local(&version, &filename.version)).then_some(version)
}

fn find_dist_info(
    entries: &[Entry],
    filename: &WheelFilename,
    findings: &mut Findings,
) -> DistInfo {
    let is_dist_info =
        |folder: &str| folder.len() > 10 && folder.to_ascii_lowercase().ends_with(".dist-info");
    // Sorted by name, a folder's entries may be interrupted by others ("a-1.dist-info.x" sorts
    // before "a-1.dist-info/").
    let mut folders: Vec<&str> =
        top_folders(entries).filter(|folder| is_dist_info(folder)).collect();
    folders.sort_unstable();
    folders.dedup();
    let version = |folder: &str| distribution_version(folder.strip_suffix(".dist-info")?, filename);
    let matches = |folder: &&&str| version(folder).is_some();
    let expected = format!("{}.dist-info", filename.stem());
    let own = folders
        .iter()
        .find(|folder| **folder == expected)
        .or_else(|| folders.iter().find(matches))
        .copied();
    if folders.is_empty() {
        findings.add(Code::MetadataDistInfoMissing, format!("there is no folder {expected}"));
    } else if folders.len() > 1 {
        findings.add(
            Code::MetadataDistInfoMultiple,
            format!("there are the folders {}", list(folders.iter())),
        );
    }
    if let Some((folder, written)) = own
        .and_then(|own| Some((own, version(own)?)))
        .filter(|(_, version)| *version != filename.version)
    {
        let place = "the .dist-info folder";
        let found =
            Disagreement::LocalVersion { place, written, filename: filename.version.clone() };
        findings.add_member(Code::from(&found), folder, found.to_string());
    }
    if let (None, Some(found)) = (own, folders.first()) {
        findings.add_member(Code::MetadataDistInfoName, found, format!("expected {expected}"));
    }
    let fallback = folders.iter().find(|folder| folder.ends_with(".dist-info")).copied();
    let folder = own.or(fallback).map_or(expected, str::to_owned);
    DistInfo { folder: folder.into(), ..DistInfo::default() }
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Checks the `.data` folder: its name, its schemes, and what they would be installed over.
fn check_data(entries: &[Entry], data: impl AsRef<str>, findings: &mut Findings) {
    let data = data.as_ref();
    for folder in top_folders(entries).filter(|folder| folder.ends_with(".data") && *folder != data)
    {
        findings.add_member(
            Code::MetadataDataName,
            folder,
            format!("expected {data}, or another name than one ending in .data"),
        );
    }
    let prefix = format!("{data}/");
    let start = entries.partition_point(|entry| *entry.name < *prefix);
    for entry in entries[start..].iter().take_while(|entry| entry.name.starts_with(&prefix)) {
        let name = &*entry.name;
        let (scheme, path) = match name[prefix.len()..].split_once('/') {
            Some(split) => split,
            // The folder's own entry.
            None if entry.kind == EntryKind::Directory => continue,
            None => {
                findings.add_member(
                    Code::MetadataDataFile,
                    name,
                    format!("expected one of the folders {}", SCHEMES.join(", ")),
                );
                continue;
            }
        };
        if !SCHEMES.contains(&scheme) {
            findings.add_member(
                Code::MetadataDataScheme,
                name,
                format!("the scheme `{scheme}`, expected one of {}", SCHEMES.join(", ")),
            );
        }
        // What the interpreter would only look for is told with what else happens when it starts.
        // The planner keeps all of them out.
        let reserved = startup::reserved_target(scheme, path)
            .filter(|reserved| !matches!(reserved, Reserved::Startup | Reserved::Interpreter));
        if let Some(reserved) = reserved {
            findings.add_member(Code::MetadataReservedTarget, name, reserved.reason());
        }
        if scheme == "scripts" && path.trim_end_matches('/').contains('/') {
            findings.add_member(
                Code::ScriptNested,
                name,
                "expected scripts directly in their folder",
            );
        }
    }
}
