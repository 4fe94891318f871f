//! What `verify` and `diff` compare: a directory, a manifest, a spec or a digest, whichever a path
//! or text is.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::inputs::spec as spec_input;
use crate::cli::io::Io;
use crate::cli::options::PlacesArguments;
use crate::engine::directories::{self, Scan, View};
use crate::engine::{self, Caches, Places, Prepared, Session, files};
use crate::error::{Error, Located};
use crate::model::digest::DigestFunction;
use crate::model::manifest::{EntryOrigin, Manifest};
use crate::model::spec::SpecError;
use crate::model::tree::Tree;

/// About how many bytes of a manifest an entry takes.
const ENTRY: usize = 256;

/// An environment, from wherever it is known.
pub(crate) struct Subject {
    /// What it is called in reports.
    pub name: String,
    /// Its tree.
    pub tree: Tree,
    /// What says which distribution owns what.
    origin: Origin,
    /// Whether it is a directory, which has no digest function of its own.
    pub is_directory: bool,
    /// What cannot be part of a tree.
    pub odd: Vec<(String, &'static str)>,
}

/// Where a subject is known from.
enum Origin {
    Directory(Utf8PathBuf),
    Manifest(Manifest),
    Spec(Box<Prepared>),
}

/// Which distribution owns which path.
#[derive(Default)]
pub(crate) struct Owners {
    /// The version by distribution.
    pub versions: BTreeMap<String, String>,
    /// The distribution by path.
    pub paths: BTreeMap<String, String>,
}

impl Subject {
    fn of_directory(path: &Utf8Path, full: &Utf8Path, scan: Scan) -> Self {
        let Scan { tree, odd } = scan;
        let origin = Origin::Directory(full.to_owned());
        Self { name: path.to_string(), tree, origin, is_directory: true, odd }
    }

    /// The distribution that each path belongs to, where that is known.
    pub(crate) fn owners(&self) -> Owners {
        match &self.origin {
            Origin::Directory(path) => owners_of_directory(path, &self.tree),
            Origin::Manifest(manifest) => owners_of_manifest(manifest),
            Origin::Spec(prepared) => owners_of_plan(prepared),
        }
    }
}

fn is_directory(path: &Utf8Path, io: &Io<'_>) -> bool {
    path != "-" && io.resolve(path).is_dir()
}

/// Reads two subjects, at the same time if both are directories. Those have one digest function
/// then.
pub(crate) fn read_both(
    paths: [&Utf8Path; 2],
    places: &PlacesArguments,
    session: &Session,
    io: &mut Io<'_>,
) -> Result<(Subject, Subject), Error> {
    let [first, second] = paths;
    if !paths.iter().all(|path| is_directory(path, io)) {
        let mut read = |path| read(path, None, places, session, io);
        return Ok((read(first)?, read(second)?));
    }
    let full = paths.map(|path| io.resolve(path));
    let directories = [full[0].as_path(), full[1].as_path()];
    let function = DigestFunction::default();
    let scans = directories::scan_both(session, directories, function, View::Exact)?;
    let mut subjects = paths
        .iter()
        .zip(&full)
        .zip(scans)
        .map(|((path, full), scan)| Subject::of_directory(path, full, scan));
    let mut next = || subjects.next().expect("one for each directory");
    Ok((next(), next()))
}

/// Reads a subject. A directory is scanned with `function`; of the others, the tree has its own.
pub(crate) fn read(
    path: &Utf8Path,
    function: Option<DigestFunction>,
    places: &PlacesArguments,
    session: &Session,
    io: &mut Io<'_>,
) -> Result<Subject, Error> {
    let full = io.resolve(path);
    if is_directory(path, io) {
        let scan = directories::scan(session, &full, function.unwrap_or_default(), View::Exact)?;
        return Ok(Subject::of_directory(path, &full, scan));
    }
    // Read once: it may be a pipe.
    let text = spec_input::read_text(path, io).map_err(|error| neither(path, error))?;
    if is_manifest(&text.text) {
        let failed = |error| Located { origin: path.to_string(), error };
        let planners = session.planners(text.text.len() / ENTRY);
        let (manifest, tree) = Manifest::parse(&text.text, &planners).map_err(failed)?;
        return Ok(Subject {
            name: path.to_string(),
            tree,
            origin: Origin::Manifest(manifest),
            is_directory: false,
            odd: Vec::new(),
        });
    }
    let (spec, places): (_, Places) =
        spec_input::parse(text, places, io).map_err(|error| neither(path, error))?;
    let (prepared, tree, _) = engine::predict(session, &Caches::default(), spec, &places)?;
    let origin = Origin::Spec(Box::new(prepared));
    Ok(Subject { name: path.to_string(), tree, origin, is_directory: false, odd: Vec::new() })
}

/// What is no JSON document at all need not have been meant to be a spec.
fn neither(path: &Utf8Path, error: Error) -> Error {
    match error.get() {
        Some(Located { error: SpecError::Foreign(found), .. }) => {
            Error::usage(format!("`{path}` is neither an environment nor a manifest nor a spec: found {found}"))
                .hint("`venvtree build --manifest FILE` writes a manifest, `venvtree create --spec-out FILE` a spec")
        }
        _ => error,
    }
}

/// Whether a JSON text is a manifest rather than a spec: it begins with its header.
pub(crate) fn is_manifest(text: &str) -> bool {
    text.trim_start()
        .strip_prefix('{')
        .is_some_and(|rest| rest.trim_start().starts_with("\"header\""))
}

fn owners_of_plan(prepared: &Prepared) -> Owners {
    let inputs = prepared.inputs();
    let mut owners = Owners::default();
    for wheel in &inputs.wheels {
        owners.versions.insert(wheel.name().normalized().to_owned(), wheel.version().to_string());
    }
    let distributions: BTreeMap<&str, &str> = inputs
        .wheels
        .iter()
        .map(|wheel| (wheel.file.as_str(), wheel.name().normalized()))
        .collect();
    for (path, planned) in &prepared.plan.entries {
        let origin = EntryOrigin::new(&planned.origin, &inputs);
        if let Some(distribution) =
            origin.wheel.as_deref().and_then(|wheel| distributions.get(wheel))
        {
            owners.paths.insert(path.to_string(), (*distribution).to_owned());
        }
    }
    owners
}

fn owners_of_manifest(manifest: &Manifest) -> Owners {
    let mut owners = Owners::default();
    let mut distributions = BTreeMap::new();
    for wheel in &manifest.header.wheels {
        owners.versions.insert(wheel.distribution.clone(), wheel.version.clone());
        distributions.insert(wheel.file_name.as_str(), wheel.distribution.as_str());
    }
    for entry in &manifest.entries {
        if let Some(distribution) =
            entry.origin.wheel.as_deref().and_then(|wheel| distributions.get(wheel))
        {
            owners.paths.insert(entry.path.to_string(), (*distribution).to_owned());
        }
    }
    owners
}

/// Reads the RECORDs of a directory; whatever cannot be read owns nothing.
fn owners_of_directory(directory: &Utf8Path, tree: &Tree) -> Owners {
    use crate::model::name::DistName;
    use crate::model::path::{LinkTarget, TreePath};
    use crate::model::wheel::record::Record;

    let mut owners = Owners::default();
    for (path, _) in tree.leaves() {
        let Some(dist_info) = path.as_str().strip_suffix(".dist-info/RECORD") else {
            continue;
        };
        let stem = dist_info.rsplit('/').next().unwrap_or(dist_info);
        let Some((name, version)) = stem.rsplit_once('-') else {
            continue;
        };
        let Ok(name) = DistName::parse(name) else {
            continue;
        };
        owners.versions.insert(name.normalized().to_owned(), version.to_owned());
        let Ok(bytes) = files::read(&directory.join(path.as_str())) else {
            continue;
        };
        let own_path = format!("{stem}.dist-info/RECORD");
        // Rows are relative to the directory above that of the metadata.
        let Some(base) = path.parent().and_then(|parent| TreePath::parse(parent.as_str()).ok())
        else {
            continue;
        };
        for row in Record::parse(&bytes, &own_path).rows() {
            if let Some(owned) =
                LinkTarget::parse(&row.path).ok().and_then(|target| target.within(&base).ok())
            {
                owners.paths.insert(owned.to_string(), name.normalized().to_owned());
            }
        }
        owners.paths.insert(path.to_string(), name.normalized().to_owned());
    }
    owners
}
