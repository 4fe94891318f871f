//! The `.dist-info` folder of a wheel, found among its entries, and the `.data` folder beside it.
//!
//! Model layer.

use super::filename::WheelFilename;
use super::index::{Entry, EntryKind};
use super::manifest::SCHEMES;
use super::metadata::differ_in_local;
use super::startup;
use super::wheel_file::{Disagreement, list};
use crate::model::finding::{Code, Findings};
use crate::model::name::{DistName, Version};
use crate::model::reserved::Reserved;

/// Where the files of a `.dist-info` folder are among the entries.
#[derive(Debug)]
pub(super) struct DistInfo {
    /// The folder's name; that expected by the wheel's name where there is none.
    pub(super) folder: Box<str>,
    pub(super) wheel: Option<usize>,
    pub(super) metadata: Option<usize>,
    pub(super) record: Option<usize>,
    pub(super) entry_points: Option<usize>,
}

impl DistInfo {
    /// The files of the folder among the entries, which are sorted by name.
    pub(super) fn among(entries: &[Entry], folder: Box<str>) -> Self {
        Self {
            wheel: position(entries, &folder, "WHEEL"),
            metadata: position(entries, &folder, "METADATA"),
            record: position(entries, &folder, "RECORD"),
            entry_points: position(entries, &folder, "entry_points.txt"),
            folder,
        }
    }
}

fn position(entries: &[Entry], folder: &str, name: &str) -> Option<usize> {
    let path = format!("{folder}/{name}");
    entries.binary_search_by(|entry| (*entry.name).cmp(&path)).ok()
}

/// The names of folders at the top of the wheel.
fn top_folders(entries: &[Entry]) -> impl Iterator<Item = &str> {
    let mut previous = "";
    entries.iter().filter_map(move |entry| {
        let folder = &entry.name[..memchr::memchr(b'/', entry.name.as_bytes())?];
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

/// The name of the `.dist-info` folder; the one expected by the wheel's name where there is none.
pub(super) fn find(
    entries: &[Entry],
    filename: &WheelFilename,
    findings: &mut Findings,
) -> Box<str> {
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
    own.or(fallback).map_or(expected, str::to_owned).into()
}

/// Checks the `.data` folder: its name, its schemes, and what they would be installed over.
pub(super) fn check_data(entries: &[Entry], data: &str, findings: &mut Findings) {
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
