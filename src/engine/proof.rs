//! What an environment is made of: the bill of a spec, or of a directory.
//!
//! Part of the engine. Of a spec everything is known without building it: the wheels' metadata, their
//! digests, the root digest. Of a directory is known what its distributions say about themselves.

use std::collections::BTreeMap;
use std::convert::Infallible;

use camino::Utf8Path;

use crate::effects::host::fs;
use crate::effects::scan::{self, View};
use crate::effects::source::supply::{FeedError, SupplyErrors};
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::files;
use crate::engine::inputs::Inputs;
use crate::engine::{Caches, Places, Prepared, Session, key, predict};
use crate::error::Error;
use crate::model::digest::{Digest, DigestFunction, Hash};
use crate::model::plan::{Content, WheelIndex};
use crate::model::proof::license::License;
use crate::model::proof::{Bill, Part, PartFile};
use crate::model::spec::{self, Spec};
use crate::model::tree::{Leaf, Node, Tree};
use crate::model::wheel::about::About;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::metadata::Metadata;
use crate::model::wheel::record::Record;

/// What a bill is to hold.
#[derive(Debug, Clone)]
pub struct BillRequest {
    /// What the environment is called.
    pub name: String,
    /// Whether licence texts are in it.
    pub texts: bool,
}

/// The bill of a spec, and the SHA-256 of its canonical request.
///
/// # Errors
/// Inputs are not what they should be, or there is no plan.
pub fn of_spec(
    session: &Session,
    caches: &Caches,
    (spec, places): (Spec, &Places),
    request: &BillRequest,
) -> Result<(Bill, Hash), Error> {
    let asked = Hash::sha256(key::action(session, &spec, places)?.request());
    let digests = Inputs::new(session, spec.clone(), places)?.wheel_digests()?.to_vec();
    let (prepared, tree, _) = predict(session, caches, spec, places)?;
    if request.texts {
        prepared.open_all(session, places)?;
    }
    let mut distributions = Vec::new();
    for (index, manifest) in prepared.inputs().wheels.into_iter().enumerate() {
        let mut part = Part::of_wheel(manifest, Some(digests[index].0));
        if request.texts {
            for file in &mut part.license_files {
                file.text = Some(member_text(&prepared, WheelIndex(index), &file.path)?);
            }
        }
        distributions.push(part);
    }
    let bill = Bill {
        name: request.name.clone(),
        root: tree.digest(),
        function: tree.function(),
        interpreter: Some(prepared.spec.interpreter.clone()),
        mtime: prepared.spec.flags.mtime,
        distributions,
        requires: BTreeMap::new(),
    };
    Ok((bill.with_relations(), asked))
}

/// What a member says; bytes that are no text are replaced.
fn member_text(prepared: &Prepared, wheel: WheelIndex, path: &str) -> Result<String, Error> {
    let inputs = prepared.inputs();
    let (member, found) = inputs.wheels[wheel.0].member(path).expect("a bill names members");
    let content = Content::Member { wheel, member };
    let digest = Digest { hash: found.sha256, size: found.size() };
    let mut bytes = Vec::new();
    let fed = prepared.supply().feed(&content, digest, Crew::Alone, |part| {
        bytes.extend_from_slice(part);
        Ok::<(), Infallible>(())
    });
    match fed {
        Ok(()) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(FeedError::Supply(error)) => Err(SupplyErrors::from(error).into()),
        Err(FeedError::Taker(never)) => match never {},
    }
}

/// The bill of a directory that is an environment, whoever made it.
///
/// # Errors
/// It cannot be read, or holds something that cannot be part of a digest.
pub fn of_directory(
    session: &Session,
    directory: &Utf8Path,
    request: &BillRequest,
) -> Result<Bill, Error> {
    if !files::is_environment(directory) {
        let message = format!("`{directory}` is no environment: it holds no pyvenv.cfg");
        return Err(Error::usage(message).hint("give an environment's own directory, or a spec"));
    }
    session.progress.begin(Phase::Reading, Amount::default());
    let scan = scan::scan(directory, DigestFunction::Sha256, View::Exact, session.threads())?;
    let tree = scan.tree;
    let mut distributions = Vec::new();
    for (path, _) in tree.leaves() {
        let folder = path.as_str().strip_suffix("/METADATA");
        let Some(folder) = folder.filter(|folder| is_installed(folder)) else { continue };
        distributions.extend(installed(directory, &tree, folder, request)?);
    }
    let configuration = directory.join("pyvenv.cfg");
    let bill = Bill {
        name: request.name.clone(),
        root: tree.digest(),
        function: tree.function(),
        interpreter: None,
        mtime: fs::modified(&configuration).unwrap_or(spec::DEFAULT_MTIME),
        distributions,
        requires: BTreeMap::new(),
    };
    Ok(bill.with_relations())
}

/// Whether a folder is that of a distribution that the interpreter finds: not a part of another one
/// (setuptools brings copies of what it needs), nor of an interpreter in the environment.
fn is_installed(folder: &str) -> bool {
    let names: Vec<&str> = folder.split('/').collect();
    let installed = match names.as_slice() {
        ["lib" | "lib64", _, "site-packages", name] | ["Lib", "site-packages", name] => name,
        _ => return false,
    };
    installed.ends_with(".dist-info")
}

/// The distribution of a `.dist-info` folder; nothing where its name or metadata says nothing.
fn installed(
    directory: &Utf8Path,
    tree: &Tree,
    folder: &str,
    request: &BillRequest,
) -> Result<Option<Part>, Error> {
    let (above, dist_info) = folder.rsplit_once('/').unwrap_or(("", folder));
    let at =
        |path: &str| if above.is_empty() { path.to_owned() } else { format!("{above}/{path}") };
    let title = dist_info.strip_suffix(".dist-info").unwrap_or(dist_info);
    let Ok(file) = WheelFilename::parse(&format!("{title}-py3-none-any.whl")) else {
        return Ok(None);
    };
    let bytes = fs::read(&directory.join(at(&format!("{dist_info}/METADATA"))))?;
    let Some(metadata) = Metadata::parse(&bytes, &file).value else { return Ok(None) };
    let about = About::parse(&bytes);
    let mut part = Part {
        name: metadata.name,
        version: metadata.version,
        wheel: None,
        sha256: None,
        license: License::of(&about),
        about,
        license_files: Vec::new(),
        embedded: Vec::new(),
        libraries: Vec::new(),
        requires_dist: metadata.requires_dist.into_vec(),
        provides_extra: metadata.provides_extra.into_vec(),
    };
    let record_path = format!("{dist_info}/RECORD");
    let record = fs::read(&directory.join(at(&record_path))).unwrap_or_default();
    let record = Record::parse(&record, &record_path);
    let mut files: Vec<(&str, Hash)> = (record.rows().iter())
        .filter_map(|row| match tree.get(&at(row.path.as_ref()))? {
            Node::Leaf(Leaf::File { blob, .. }) => Some((row.path.as_ref(), blob.0.hash)),
            _ => None,
        })
        .collect();
    files.sort_unstable();
    files.dedup();
    part.sort_files(dist_info, files.into_iter());
    if request.texts {
        for PartFile { path, text, .. } in &mut part.license_files {
            let bytes = fs::read(&directory.join(at(path)))?;
            *text = Some(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(Some(part))
}
