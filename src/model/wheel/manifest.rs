//! What a wheel holds, as far as planning needs it: its files with sizes and hashes, its metadata,
//! its scripts.
//!
//! Model layer. A manifest is made by a [`Draft`](super::draft::Draft).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry_points::EntryPoint;
use super::filename::WheelFilename;
use super::index::Location;
use super::metadata::Metadata;
use super::wheel_file::WheelHeaders;
use crate::model::digest::Hash;
use crate::model::file_kind::FileKind;
use crate::model::finding::Finding;
use crate::model::name::{DistName, Version};
use crate::model::path::TreePath;

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
    pub kind: FileKind,
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

/// The first bytes of a script that installing rewrites.
pub const REWRITTEN: &[u8] = b"#!python";

pub(super) fn is_bytecode(path: &str) -> bool {
    path.ends_with(".pyc")
        && path.split('/').rev().skip(1).any(|component| component == "__pycache__")
}
/// The name of the `.data` folder that belongs to a `.dist-info` folder.
pub fn data_folder(dist_info: &str) -> String {
    format!("{}.data", dist_info.strip_suffix(".dist-info").unwrap_or(dist_info))
}
