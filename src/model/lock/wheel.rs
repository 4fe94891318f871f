//! Which wheel of a package an interpreter gets.
//!
//! Model layer. The most specific tag decides, then the highest build number, then the order of the lock, as in uv. What can
//! be had never does.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::str::FromStr as _;

use crate::model::digest::Hash;
use crate::model::lock::problem::ELSEWHERE;
use crate::model::lock::{Artifact, Package, Source};
use crate::model::name::Version;
use crate::model::quantity::list;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::member_hash::OtherHash;
use crate::model::wheel::tags::{Mismatch, Tags};

/// A wheel that lies somewhere.
#[derive(Debug, Clone)]
pub struct AtHand {
    /// Its name.
    pub file: WheelFilename,
    /// Where it lies.
    pub path: String,
    /// Its SHA-256.
    pub sha256: Hash,
    /// Its hashes by other functions, as far as the lock asks for them.
    pub others: Vec<OtherHash>,
    /// Its size.
    pub size: u64,
}

impl AtHand {
    /// Whether it is of a package.
    pub(super) fn is_of(&self, package: &Package) -> bool {
        is_of(&self.file, package).is_ok()
    }
}

impl AtHand {
    /// Whether it has one of a package's hashes.
    pub(super) fn has_hash_of(&self, package: &Package) -> bool {
        let has = |hash: &OtherHash| package.other_hashes.contains(hash);
        package.hashes.contains(&self.sha256) || self.others.iter().any(has)
    }
}

/// Whether a name is that of a package's wheel.
fn is_of(file: &WheelFilename, package: &Package) -> Result<(), String> {
    if file.name != package.name {
        return Err(format!("it is called like one of {}", file.name));
    }
    let Some(Ok(version)) = package.version.as_deref().map(Version::from_str) else {
        return Ok(());
    };
    // Some builds have a local version in the name of their file alone. Locks have the metadata's,
    // and uv and pip take them; whether a tree may have them is decided when they are read.
    let is_it = version == file.version || version == file.version.clone().without_local();
    let other = || format!("it is called like one of version {}", file.version);
    if is_it { Ok(()) } else { Err(other()) }
}

/// The best wheel of a package, with its name read; else why there is none.
pub(super) fn choose<'lock>(
    package: &'lock Package,
    tags: &Tags,
    warnings: &mut Vec<String>,
) -> Result<(&'lock Artifact, WheelFilename), String> {
    let mut named = Vec::new();
    let mut passed_over = Vec::new();
    for artifact in &package.wheels {
        let file = WheelFilename::parse(&artifact.file_name).map_err(|error| error.to_string());
        match file.and_then(|file| is_of(&file, package).map(|()| file)) {
            Ok(file) => named.push((artifact, file)),
            Err(reason) => passed_over.push((&artifact.file_name, reason)),
        }
    }
    let fitting =
        named.iter().filter_map(|(artifact, file)| Some((tags.best(&file.tags)?, artifact, file)));
    let best = fitting.min_by_key(|(position, _, file)| (*position, Reverse(&file.build)));
    if let Some((_, artifact, file)) = best {
        let title = package.title();
        warnings.extend(
            passed_over
                .iter()
                .map(|(name, reason)| format!("{title}: `{name}` is passed over: {reason}")),
        );
        return Ok((artifact, file.clone()));
    }
    Err(match (&named[..], passed_over.first()) {
        ([], Some((name, reason))) => format!("`{name}` cannot be used: {reason}"),
        ([], None) => without_wheels(package),
        (named, _) => {
            let files: Vec<&WheelFilename> = named.iter().map(|(_, file)| file).collect();
            elsewhere(&files, tags)
        }
    })
}

fn without_wheels(package: &Package) -> String {
    match &package.source {
        Source::Git(_) => "a Git source".to_owned(),
        Source::Url(url) | Source::Path(url) if package.sdist => {
            format!("a source archive ({url})")
        }
        Source::Other(kind) => format!("a source of the unknown kind `{kind}`"),
        _ if package.sdist => "there is only a source distribution".to_owned(),
        _ => "the lock has no wheel of it for any environment like this one".to_owned(),
    }
}

/// What wheels that do not fit are for: of what comes nearest, the platforms or the interpreters.
fn elsewhere(files: &[&WheelFilename], tags: &Tags) -> String {
    let mut platforms = BTreeSet::new();
    let mut interpreters = BTreeSet::new();
    for file in files {
        match tags.compatible(&file.tags) {
            Err(error) if error.mismatch == Mismatch::Platform => {
                platforms.extend(file.tags.platforms().map(str::to_owned));
            }
            _ => {
                let abis: Vec<&str> = file.tags.abis().collect();
                interpreters.extend(
                    file.tags
                        .interpreters()
                        .map(|interpreter| format!("{interpreter}-{}", abis.join("."))),
                );
            }
        }
    }
    let of = if platforms.is_empty() { interpreters } else { platforms };
    let of: Vec<String> = of.into_iter().collect();
    format!("{ELSEWHERE}{}", list(&of, 12))
}

/// The name that all tools write for the same wheel: lock files differ in how they spell names.
pub(super) fn normalized(file: &WheelFilename) -> WheelFilename {
    let name = file.name.normalized().replace('-', "_");
    let build = file.build.as_ref().map_or_else(String::new, |build| format!("-{build}"));
    let text = format!("{name}-{}{build}-{}.whl", file.version, file.tags);
    WheelFilename::parse(&text).unwrap_or_else(|_| file.clone())
}
