//! What an environment is made of, for who has to prove it: bills of materials, licences, provenance.
//!
//! Model layer. A [`Bill`] is made from the wheels' metadata, the interpreter and the root digest;
//! the documents are that bill in the words of a standard. Nothing in them depends on a clock, a
//! machine or an order: the same environment gives the same bytes.

pub(crate) mod license;

pub(crate) mod cyclonedx;
pub(crate) mod provenance;
pub(crate) mod spdx;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use self::license::License;
use crate::model::digest::{DigestFunction, DirectoryDigest, Hash};
use crate::model::interpreter::Interpreter;
use crate::model::name::{DistName, Version};
use crate::model::requirements;
use crate::model::wheel::WheelManifest;
use crate::model::wheel::about::About;

/// What an environment is made of.
#[derive(Debug, Clone)]
pub struct Bill {
    /// What the environment is called.
    pub name: String,
    /// Its root digest.
    pub root: DirectoryDigest,
    /// The function of that digest.
    pub function: DigestFunction,
    /// The interpreter's facts, where they are known.
    pub interpreter: Option<Interpreter>,
    /// The modification time of all its files, in seconds since 1970, where it is one.
    pub mtime: u64,
    /// The distributions, sorted by name.
    pub distributions: Vec<Part>,
    /// Which of them each one requires.
    pub requires: BTreeMap<DistName, BTreeSet<DistName>>,
}

/// One distribution.
#[derive(Debug, Clone)]
pub struct Part {
    pub(crate) name: DistName,
    pub(crate) version: Version,
    /// The wheel that it was installed from, where that is known.
    pub(crate) wheel: Option<String>,
    /// The SHA-256 of that wheel.
    pub(crate) sha256: Option<Hash>,
    /// What it says about itself.
    pub(crate) about: About,
    /// Its licence.
    pub(crate) license: License,
    /// Its licence texts.
    pub(crate) license_files: Vec<PartFile>,
    /// Bills of materials that it brings along (PEP 770).
    pub(crate) embedded: Vec<PartFile>,
    /// Libraries of others that it brings along, as `auditwheel` and its kind put them there.
    pub(crate) libraries: Vec<PartFile>,
    /// What it requires, as `METADATA` has it.
    pub(crate) requires_dist: Vec<Box<str>>,
    /// Its extras, as `METADATA` has them.
    pub(crate) provides_extra: Vec<Box<str>>,
}

/// A file of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFile {
    /// Its path below site-packages.
    pub path: String,
    /// The SHA-256 of its bytes.
    pub sha256: Hash,
    /// What it says, where somebody wants to know.
    pub text: Option<String>,
}

impl Part {
    /// The distribution of a wheel.
    pub fn of_wheel(manifest: &WheelManifest, sha256: Option<Hash>) -> Self {
        let path = format!("{}/METADATA", manifest.dist_info);
        let metadata = manifest.member(&path).and_then(|(index, _)| manifest.contents.get(&index));
        let about = metadata.map(|bytes| About::parse(bytes)).unwrap_or_default();
        let files = manifest.members.iter().map(|member| (member.path.as_str(), member.sha256));
        let mut part = Self {
            name: manifest.metadata.name.clone(),
            version: manifest.metadata.version.clone(),
            wheel: Some(manifest.file.as_str().to_owned()),
            sha256,
            license: License::of(&about),
            about,
            license_files: Vec::new(),
            embedded: Vec::new(),
            libraries: Vec::new(),
            requires_dist: manifest.metadata.requires_dist.to_vec(),
            provides_extra: manifest.metadata.provides_extra.to_vec(),
        };
        part.sort_files(&manifest.dist_info, files);
        part
    }

    /// Takes from its files, sorted by path, those that a bill names.
    pub fn sort_files<'a>(
        &mut self,
        dist_info: &str,
        files: impl Iterator<Item = (&'a str, Hash)>,
    ) {
        let named: BTreeSet<String> = (self.about.license_files.iter())
            .flat_map(|name| {
                [format!("{dist_info}/licenses/{name}"), format!("{dist_info}/{name}")]
            })
            .collect();
        for (path, sha256) in files {
            let file = || PartFile { path: path.to_owned(), sha256, text: None };
            match path.strip_prefix(dist_info).and_then(|rest| rest.strip_prefix('/')) {
                Some(rest) if rest.starts_with("sboms/") => self.embedded.push(file()),
                Some(rest) if named.contains(path) || is_license_file(rest) => {
                    self.license_files.push(file());
                }
                None if is_library(path) => self.libraries.push(file()),
                _ => {}
            }
        }
    }

    /// Its package URL.
    pub fn purl(&self) -> String {
        // The characters of a version that a package URL wants escaped.
        let version = self.version.to_string().replace('+', "%2B").replace('!', "%21");
        format!("pkg:pypi/{}@{version}", self.name.normalized())
    }
}

/// Whether a file of a `.dist-info` folder is a licence by its name, as tools named them before
/// `License-File` said so.
fn is_license_file(name: &str) -> bool {
    let upper = name.rsplit('/').next().unwrap_or(name).to_ascii_uppercase();
    let named =
        ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|word| upper.starts_with(word));
    named && (!name.contains('/') || name.starts_with("licenses/"))
}

/// Whether a file is a shared library and no extension module.
fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_libraries = path
        .split('/')
        .rev()
        .skip(1)
        .any(|folder| folder.ends_with(".libs") || folder == ".dylibs" || folder == "lib");
    let lower = name.to_ascii_lowercase();
    let versioned = lower.split_once(".so.").is_some_and(|(_, rest)| {
        rest.split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    versioned
        || lower.ends_with(".dylib")
        || lower.ends_with(".dll")
        || (lower.ends_with(".so") && lower.starts_with("lib") && in_libraries)
}

impl Bill {
    /// Sorts the distributions and finds out who requires whom.
    pub fn with_relations(mut self) -> Self {
        self.distributions
            .sort_by(|left, right| (&left.name, &left.version).cmp(&(&right.name, &right.version)));
        let known: Vec<requirements::Distribution<'_>> = self
            .distributions
            .iter()
            .map(|part| requirements::Distribution {
                name: &part.name,
                version: &part.version,
                requires_dist: &part.requires_dist,
                provides_extra: &part.provides_extra,
            })
            .collect();
        self.requires = requirements::relations(&known, self.interpreter.as_ref());
        self
    }

    /// The identifier of a document about this environment: a UUID made of the root digest and the
    /// document's kind.
    fn uuid(&self, kind: &str) -> String {
        let hash = Hash::sha256(format!("{kind}\n{}\n{}", self.name, self.root).as_bytes());
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        // Version 8 is for those who make their own (RFC 9562).
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut text = String::new();
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_extension_modules() {
        for path in [
            "numpy.libs/libscipy_openblas64_-ff651d7f.so",
            "numpy.libs/libgfortran-040039e1.so.5.0.0",
            "numpy/.dylibs/libgfortran.5.dylib",
            "numpy.libs/msvcp140.dll",
            "pyarrow/libarrow.so.2100",
            "torch/lib/libtorch.so",
        ] {
            assert!(is_library(path), "{path}");
        }
        for path in [
            "numpy/_core/_multiarray.cpython-312-x86_64-linux-gnu.so",
            "a/b.abi3.so",
            "a/b.pyd",
            "libfoo.so",
            "a.so.py",
            "a/x.so.",
        ] {
            assert!(!is_library(path), "{path}");
        }
    }

    #[test]
    fn license_files_are_found_by_name() {
        for name in
            ["LICENSE", "licenses/LICENSE.txt", "licenses/a/COPYING", "NOTICE.md", "licence"]
        {
            assert!(is_license_file(name), "{name}");
        }
        for name in ["METADATA", "sub/LICENSE", "licenses/AUTHORS"] {
            assert!(!is_license_file(name), "{name}");
        }
    }
}
