//! `pylock.toml` (PEP 751).
//!
//! Model layer. A list of packages, each with a marker that says when it is part of an environment; there is no graph to
//! follow, and `packages.dependencies` may not be used for choosing.

use toml::de::{DeTable, DeValue};

use crate::model::lock::document::{Reader, last_component, public};
use crate::model::lock::problem::LockError;
use crate::model::lock::{Artifact, DefaultGroups, Lock, LockKind, Package, Roots, Source};
use crate::model::requirements::parse_specifiers;

/// The version of the format that is read.
const KNOWN: &str = "1.0";

pub(super) fn read(root: &DeTable<'_>, mut reader: Reader<'_>) -> Result<Lock, LockError> {
    let version = reader.string(root, "lock-version").map_or("", |(_, version)| version);
    let mut warnings = Vec::new();
    if version != KNOWN {
        reader.finish()?;
        let major = version.split('.').next().unwrap_or_default();
        if major != "1" {
            return Err(LockError::FormatVersion {
                key: "lock-version",
                found: version.to_owned(),
                known: "1",
            });
        }
        warnings.push(format!(
            "lock-version is {version}; this venvtree reads {KNOWN} and passes over what came later"
        ));
    }
    let environments = reader.texts(root, "environments");
    let environments =
        environments.into_iter().filter_map(|(at, text)| reader.parse_marker(at, text)).collect();
    let roots = Roots {
        extras: reader.names(root, "extras").into_iter().collect(),
        known_groups: reader.names(root, "dependency-groups").into_iter().collect(),
        default_groups: DefaultGroups::Named(reader.names(root, "default-groups")),
        ..Roots::default()
    };
    let requires_python = reader.requires_python(root, is_understood);
    let mut packages = Vec::new();
    for (at, table) in reader.tables(root, "packages") {
        packages.extend(package(at, table, &mut reader));
    }
    reader.finish()?;
    // An empty list is what a project has that requires nothing.
    if !root.contains_key("packages") {
        return Err(LockError::Incomplete { lacks: "list of packages (`packages`)" });
    }
    let markers = reader.markers;
    Ok(Lock {
        kind: LockKind::Pylock,
        warnings,
        requires_python,
        environments,
        packages,
        markers,
        roots,
    })
}

/// Packages say what their metadata does, where one or the other comma is missing or too many.
fn is_understood(requires_python: &str) -> bool {
    parse_specifiers(requires_python).is_ok()
}

fn package(at: usize, table: &DeTable<'_>, reader: &mut Reader<'_>) -> Option<Package> {
    let name = reader.name(at, table)?;
    let mut own =
        Package::new(name, reader.place(at), Source::Registry(reader.text(table, "index")));
    own.version = reader.text(table, "version");
    own.marker = reader.marker(table, "marker");
    own.requires_python = reader.requires_python(table, is_understood);
    own.sdist = table.contains_key("sdist");
    let place = |table: &DeTable<'_>, reader: &mut Reader<'_>| {
        reader
            .text(table, "path")
            .or_else(|| reader.text(table, "url"))
            .map_or_else(String::new, |place| public(&place))
    };
    if let Some(vcs) = reader.table(table, "vcs") {
        own.source = Source::Git(place(vcs, reader));
    } else if let Some(directory) = reader.table(table, "directory") {
        let path = reader.text(directory, "path").unwrap_or_default();
        own.is_member = path == ".";
        own.source = Source::Directory(path);
    } else if let Some(archive) = reader.table(table, "archive") {
        // uv writes a wheel that is named by its URL or path so.
        let file = artifact(at, archive, reader);
        own.source = Source::Url(place(archive, reader));
        match file {
            Some(file) if file.file_name.ends_with(".whl") => own.wheels.push(file),
            _ => own.sdist = true,
        }
    } else {
        for (at, wheel) in reader.tables(table, "wheels") {
            own.wheels.extend(artifact(at, wheel, reader));
        }
    }
    Some(own)
}

fn artifact(at: usize, table: &DeTable<'_>, reader: &mut Reader<'_>) -> Option<Artifact> {
    let mut own = Artifact {
        url: reader.text(table, "url").map(|url| public(&url)),
        path: reader.text(table, "path"),
        size: reader.number(table, "size"),
        ..Artifact::default()
    };
    let name = reader.text(table, "name");
    own.file_name = match (name, &own.path, &own.url) {
        (Some(name), ..) => name,
        (None, Some(path), _) => last_component(path, false),
        (None, None, Some(url)) => last_component(url, true),
        (None, None, None) => {
            reader.problem(at, "it has neither a url nor a path".to_owned());
            return None;
        }
    };
    if let Some(hashes) = reader.table(table, "hashes") {
        for (algorithm, digits) in hashes {
            if let DeValue::String(digits) = digits.get_ref() {
                reader.hash(
                    algorithm.span().start,
                    &algorithm.get_ref().to_ascii_lowercase(),
                    digits,
                    &mut own,
                );
            } else {
                reader.problem(digits.span().start, "its hash is no text".to_owned());
            }
        }
    }
    Some(own)
}
