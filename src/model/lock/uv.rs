//! `uv.lock`, version 1 in all its revisions, which only add.
//!
//! Model layer. A graph: each package says what it requires, with markers. Where the lock has several versions of what is
//! required, the requirement says which.

use std::collections::HashMap;
use std::str::FromStr as _;

use pep440_rs::VersionSpecifiers;
use toml::de::{DeTable, DeValue};

use crate::model::lock::document::{Reader, last_component, public};
use crate::model::lock::markers::MarkerId;
use crate::model::lock::problem::LockError;
use crate::model::lock::{
    Artifact, DefaultGroups, Edge, Item, ItemKind, Lock, LockKind, Package, RootRequirement, Roots,
    Source,
};
use crate::model::name::DistName;

/// The group that uv installs unless it is told not to, where the project says nothing else.
const DEFAULT_GROUP: &str = "dev";
/// The first revision that records which groups count by default.
const GROUPS_SINCE: u64 = 5;

pub(super) fn read(root: &DeTable<'_>, mut reader: Reader<'_>) -> Result<Lock, LockError> {
    let version = root.get("version").map(toml::Spanned::get_ref);
    match version {
        Some(DeValue::Integer(version)) if version.as_str() == "1" => {}
        Some(DeValue::Integer(version)) => {
            return Err(LockError::FormatVersion {
                key: "version",
                found: version.to_string(),
                known: "1",
            });
        }
        _ => {
            let found = version.map_or("missing", |version| version.type_str());
            return Err(LockError::FormatVersion {
                key: "version",
                found: format!("no number ({found})"),
                known: "1",
            });
        }
    }
    // uv refuses what was once written elsewhere, such as `>=3.11 <4`.
    let is_understood = |text: &str| VersionSpecifiers::from_str(text).is_ok();
    let requires_python = reader.requires_python(root, is_understood);
    let environments = reader.texts(root, "supported-markers");
    let environments =
        environments.into_iter().filter_map(|(at, text)| reader.parse_marker(at, text)).collect();
    let mut packages: Vec<Package> = Vec::new();
    let mut pending: Vec<Pending<'_>> = Vec::new();
    for (at, table) in reader.tables(root, "package") {
        if let Some(package) = package(at, table, packages.len(), &mut pending, &mut reader) {
            packages.push(package);
        }
    }
    let known = Known::new(&packages);
    let mut edges = Vec::with_capacity(pending.len());
    for pending in pending {
        if let Some(to) = known.find(&pending, &packages, &mut reader) {
            let edge = Edge { to, extras: pending.extras, marker: pending.marker };
            edges.push((pending.from, pending.list, edge));
        }
    }
    let roots = roots(root, &packages, &known, &mut reader);
    for position in &roots.members {
        packages[*position].is_member = true;
    }
    for (from, list, edge) in edges {
        let package = &mut packages[from];
        match list {
            List::Dependencies => package.dependencies.push(edge),
            List::Extra(extra) => package.extras.entry(extra).or_default().push(edge),
            List::Group(group) => package.groups.entry(group).or_default().push(edge),
        }
    }
    reader.finish()?;
    if roots.is_nowhere() {
        return Err(LockError::Incomplete {
            lacks: "root: neither a project nor a member of a workspace nor requirements",
        });
    }
    let (kind, markers) = (LockKind::Uv, reader.markers);
    Ok(Lock { kind, warnings: Vec::new(), requires_python, environments, packages, markers, roots })
}

/// A list of requirements of a package.
#[derive(Debug, Clone)]
enum List {
    Dependencies,
    Extra(String),
    Group(String),
}

/// A requirement whose package may come later in the text.
struct Pending<'v> {
    from: usize,
    list: List,
    at: usize,
    name: DistName,
    version: Option<&'v str>,
    source: Option<Source>,
    extras: Vec<String>,
    marker: Option<MarkerId>,
}

fn package<'v>(
    at: usize,
    table: &'v DeTable<'_>,
    position: usize,
    pending: &mut Vec<Pending<'v>>,
    reader: &mut Reader<'_>,
) -> Option<Package> {
    let name = reader.name(at, table)?;
    let source = source(at, table, reader);
    let mut own = Package::new(name, reader.place(at), source);
    own.version = reader.text(table, "version");
    own.sdist = table.contains_key("sdist");
    own.forks = reader
        .texts(table, "resolution-markers")
        .into_iter()
        .map(|(_, text)| text.to_owned())
        .collect();
    for dependency in reader.tables(table, "dependencies") {
        pending.extend(edge(dependency, position, List::Dependencies, reader));
    }
    for (key, list) in [
        ("optional-dependencies", List::Extra as fn(String) -> List),
        ("dev-dependencies", List::Group as fn(String) -> List),
    ] {
        let Some(lists) = reader.table(table, key) else {
            continue;
        };
        for name in lists.keys() {
            let Some(normalized) = reader.parse_name(name.span().start, name.get_ref()) else {
                continue;
            };
            let normalized = normalized.normalized().to_owned();
            match key {
                "optional-dependencies" => own.extras.insert(normalized.clone(), Vec::new()),
                _ => own.groups.insert(normalized.clone(), Vec::new()),
            };
            for dependency in reader.tables(lists, name.get_ref()) {
                pending.extend(edge(dependency, position, list(normalized.clone()), reader));
            }
        }
    }
    own.default_groups = default_groups(table, reader);
    // An extra or a group that requires nothing is named here only.
    if own.is_first_party()
        && let Some(metadata) = reader.table(table, "metadata")
    {
        own.empty_extras = reader.names(metadata, "provides-extras").into_iter().collect();
        if let Some(groups) = reader.table(metadata, "requires-dev") {
            let names = groups.keys().filter_map(|name| DistName::parse(name.get_ref()).ok());
            own.empty_groups = names.map(|name| name.normalized().to_owned()).collect();
        }
    }
    for (at, wheel) in reader.tables(table, "wheels") {
        own.wheels.extend(artifact(at, wheel, &own.source, reader));
    }
    Some(own)
}

fn source(at: usize, table: &DeTable<'_>, reader: &mut Reader<'_>) -> Source {
    let Some(source) = reader.table(table, "source") else {
        reader.problem(at, "it has no source".to_owned());
        return Source::Registry(None);
    };
    parse_source(source, reader)
}

fn parse_source(source: &DeTable<'_>, reader: &mut Reader<'_>) -> Source {
    type Make = fn(String) -> Source;
    let kinds: [(&str, Make); 7] = [
        ("registry", |registry| Source::Registry(Some(registry))),
        ("git", Source::Git),
        ("url", Source::Url),
        ("path", Source::Path),
        ("directory", Source::Directory),
        ("editable", Source::Editable),
        ("virtual", Source::Virtual),
    ];
    for (key, make) in kinds {
        if source.contains_key(key) {
            return make(public(&reader.text(source, key).unwrap_or_default()));
        }
    }
    Source::Other(source.keys().next().map(|key| key.get_ref().to_string()).unwrap_or_default())
}

fn edge<'v>(
    (at, table): (usize, &'v DeTable<'_>),
    from: usize,
    list: List,
    reader: &mut Reader<'_>,
) -> Option<Pending<'v>> {
    let name = reader.name(at, table)?;
    let version = reader.string(table, "version").map(|(_, version)| version);
    let source = reader.table(table, "source").map(|source| parse_source(source, reader));
    let extras = reader.names(table, "extra");
    let marker = reader.marker(table, "marker");
    Some(Pending { from, list, at, name, version, source, extras, marker })
}

fn artifact(
    at: usize,
    table: &DeTable<'_>,
    source: &Source,
    reader: &mut Reader<'_>,
) -> Option<Artifact> {
    let mut own = Artifact { size: reader.number(table, "size"), ..Artifact::default() };
    if let Some(url) = reader.text(table, "url") {
        own.file_name = last_component(&url, true);
        own.url = Some(public(&url));
    } else if let Some(path) = reader.text(table, "path") {
        own.file_name = last_component(&path, false);
        own.path = Some(match source {
            Source::Registry(Some(registry)) => {
                format!("{}/{path}", registry.trim_end_matches('/'))
            }
            _ => path,
        });
    } else if let Some(name) = reader.text(table, "filename") {
        own.file_name = name;
        match source {
            Source::Path(path) => own.path = Some(path.clone()),
            Source::Url(url) => own.url = Some(url.clone()),
            _ => {}
        }
    } else {
        reader.problem(at, "it has neither a url nor a path nor a filename".to_owned());
        return None;
    }
    if let Some((at, hash)) = reader.string(table, "hash") {
        match hash.split_once(':') {
            Some((algorithm, digits)) => reader.hash(at, algorithm, digits, &mut own),
            None => reader
                .problem(at, format!("its hash is {hash:?}, expected one such as \"sha256:…\"")),
        }
    }
    Some(own)
}

/// Packages by name and version.
struct Known<'packages>(HashMap<&'packages str, HashMap<Option<&'packages str>, Vec<usize>>>);

impl<'packages> Known<'packages> {
    fn new(packages: &'packages [Package]) -> Self {
        let mut known: HashMap<&str, HashMap<Option<&str>, Vec<usize>>> = HashMap::new();
        for (position, package) in packages.iter().enumerate() {
            let versions = known.entry(package.name.normalized()).or_default();
            versions.entry(package.version.as_deref()).or_default().push(position);
        }
        Self(known)
    }

    /// All packages of a name, in the order of the lock.
    fn all(&self, name: &DistName) -> Vec<usize> {
        let versions = self.0.get(name.normalized());
        let mut all: Vec<usize> = versions
            .into_iter()
            .flat_map(|versions| versions.values().flatten().copied())
            .collect();
        all.sort_unstable();
        all
    }

    /// The one package that a requirement leads to.
    fn find(
        &self,
        pending: &Pending<'_>,
        packages: &[Package],
        reader: &mut Reader<'_>,
    ) -> Option<usize> {
        let mut found = match pending.version {
            Some(version) => {
                let versions = self.0.get(pending.name.normalized());
                versions
                    .and_then(|versions| versions.get(&Some(version)))
                    .cloned()
                    .unwrap_or_default()
            }
            None => self.all(&pending.name),
        };
        if found.len() > 1
            && let Some(source) = &pending.source
        {
            found.retain(|position| packages[*position].source == *source);
        }
        let title = match pending.version {
            Some(version) => format!("{} {version}", pending.name),
            None => pending.name.to_string(),
        };
        match found[..] {
            [one] => return Some(one),
            [] => reader.problem(
                pending.at,
                format!("it requires `{title}`, which the lock does not have"),
            ),
            _ => reader.problem(
                pending.at,
                format!("it requires `{title}`, of which the lock has {}", found.len()),
            ),
        }
        None
    }
}

fn roots(
    root: &DeTable<'_>,
    packages: &[Package],
    known: &Known<'_>,
    reader: &mut Reader<'_>,
) -> Roots {
    let mut roots = Roots::default();
    let manifest = reader.table(root, "manifest");
    if let Some(manifest) = manifest {
        for (at, text) in reader.texts(manifest, "members") {
            let Some(name) = reader.parse_name(at, text) else {
                continue;
            };
            match known.all(&name).into_iter().find(|position| packages[*position].is_first_party())
            {
                Some(position) => roots.members.push(position),
                None => {
                    reader.problem(at, format!("the member `{name}` is no package of the lock"))
                }
            }
        }
        roots.requirements = requirements(manifest, "requirements", known, reader);
        if let Some(groups) = reader.table(manifest, "dependency-groups") {
            for group in groups.keys() {
                let Some(name) = reader.parse_name(group.span().start, group.get_ref()) else {
                    continue;
                };
                let requirements = requirements(groups, group.get_ref(), known, reader);
                roots.groups.insert(name.normalized().to_owned(), requirements);
            }
        }
    }
    let own = |package: &Package| matches!(&package.source, Source::Virtual(path) | Source::Editable(path) | Source::Directory(path) if path == ".");
    let own = packages.iter().position(own);
    if roots.members.is_empty() {
        roots.members.extend(own);
    }
    // A root without a project has no package that could say it.
    roots.default_groups = match (manifest, own) {
        (Some(manifest), None) => default_groups(manifest, reader),
        (_, Some(own)) => packages[own].default_groups.clone(),
        (None, None) => DefaultGroups::Named(vec![DEFAULT_GROUP.to_owned()]),
    };
    let revision = root.get("revision").and_then(|value| value.get_ref().as_integer());
    let revision = revision.and_then(|number| number.as_str().parse::<u64>().ok()).unwrap_or(0);
    roots.records_default_groups = revision >= GROUPS_SINCE;
    roots.conflicts = conflicts(root, reader);
    roots
}

/// What a project says of its groups; locks say it since revision 5, where it is not what uv takes.
fn default_groups(table: &DeTable<'_>, reader: &mut Reader<'_>) -> DefaultGroups {
    let key = "default-groups";
    match table.get(key).map(|value| (value, value.get_ref())) {
        None => DefaultGroups::Named(vec![DEFAULT_GROUP.to_owned()]),
        Some((_, DeValue::String(text))) if text == "all" => DefaultGroups::All,
        Some((_, DeValue::Array(_))) => DefaultGroups::Named(reader.names(table, key)),
        Some((value, _)) => {
            reader.expected(value, key, "a list or \"all\"");
            DefaultGroups::default()
        }
    }
}

fn requirements(
    table: &DeTable<'_>,
    key: &str,
    known: &Known<'_>,
    reader: &mut Reader<'_>,
) -> Vec<RootRequirement> {
    let mut all = Vec::new();
    for (at, table) in reader.tables(table, key) {
        let Some(name) = reader.name(at, table) else {
            continue;
        };
        // None, where it can never hold: uv locks nothing for it then.
        let candidates = known.all(&name);
        let extras = reader.names(table, "extras");
        let marker = reader.marker(table, "marker");
        all.push(RootRequirement { name, extras, marker, candidates });
    }
    all
}

fn conflicts(root: &DeTable<'_>, reader: &mut Reader<'_>) -> Vec<Vec<Item>> {
    let mut sets = Vec::new();
    for set in reader.list(root, "conflicts") {
        let mut items = Vec::new();
        let DeValue::Array(values) = set.get_ref() else {
            reader.problem(set.span().start, "a set of conflicts is a list of tables".to_owned());
            continue;
        };
        for value in values {
            let at = value.span().start;
            let DeValue::Table(table) = value.get_ref() else {
                reader.problem(at, "a set of conflicts is a list of tables".to_owned());
                continue;
            };
            let Some((at, package)) = reader.string(table, "package") else {
                reader.problem(at, "it has no package".to_owned());
                continue;
            };
            let Some(package) = reader.parse_name(at, package) else {
                continue;
            };
            let mut item = |key: &str| {
                let (at, text) = reader.string(table, key)?;
                reader.parse_name(at, text).map(|name| name.normalized().to_owned())
            };
            let kind = match (item("extra"), item("group")) {
                (Some(extra), _) => ItemKind::Extra(extra),
                (None, Some(group)) => ItemKind::Group(group),
                (None, None) => ItemKind::Project,
            };
            items.push(Item { package: package.normalized().to_owned(), kind });
        }
        sets.push(items);
    }
    sets
}
