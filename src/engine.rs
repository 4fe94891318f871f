//! The engine: load, plan, tree, write. What commands and the worker start.
//!
//! The layer between effects and front ends. Nothing here knows arguments or prints; nothing
//! touches an output before the plan has succeeded.

mod base;
pub mod caching;
pub mod compose;
pub mod judge;
mod known_wheels;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::{self, Kind};
use crate::effects::host::notes::Notes;
use crate::effects::host::output_file::OutputFile;
use crate::effects::host::replaceable::{self, Protected, Replaceable};
use crate::effects::scan::bytecode;
use crate::effects::scan::{self, Scan, View};
use crate::effects::sink::archive::{self, ArchiveError, ArchiveOptions};
use crate::effects::sink::directory::{self, StoreUse, WriteOptions};
use crate::effects::sink::publish::{self, PublishError, Unfinished};
use crate::effects::sink::wheel::{self as wheel_sink, WheelContents};
use crate::effects::source::launchers;
use crate::effects::source::listing::{self, ListedFiles};
use crate::effects::source::supply::Supply;
use crate::effects::wheels::load::{self, LoadOptions, Wheel, WheelError};
use crate::effects::work::parallel::{self, Threads};
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::error::{Error, RefusedWheel, Wanting};
use crate::model::digest::{BlobDigest, DigestFunction, DirectoryDigest, Hash, WheelDigest};
use crate::model::manifest;
use crate::model::plan::{self, Inputs, Plan, PlannedNode, WindowsLaunchers};
use crate::model::spec::{
    self, InputDigests, InputPath, LauncherReference, Launchers, Python, Spec, WheelReference,
};
use crate::model::tree::Tree;
use crate::model::wheel::WheelManifest;
use crate::model::wheel::entry_points::ScriptKind;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::known::KnownMembers;
use crate::model::wheel::limits::Limits;
use crate::model::wheel::manifest::HashOrigin;

/// What commands of one process share.
#[derive(Debug, Clone)]
pub struct Session {
    /// At most so many threads.
    pub threads: usize,
    /// What wheels may hold at most.
    pub limits: Limits,
    /// How far the work has come.
    pub progress: Progress,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            threads: parallel::available(),
            limits: Limits::default(),
            progress: Progress::default(),
        }
    }
}

/// Where inputs are: a root for relative paths, and the places of keys.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The directory that relative input paths are relative to.
    pub root: Utf8PathBuf,
    /// Places by key.
    pub keys: BTreeMap<String, Utf8PathBuf>,
    /// Places of wheels that were found or fetched, whatever the spec says.
    pub wheels: BTreeMap<WheelDigest, Utf8PathBuf>,
}

impl Places {
    /// Where an input is.
    pub fn find(&self, input: &InputPath) -> Utf8PathBuf {
        self.keys.get(&input.0).cloned().unwrap_or_else(|| self.root.join(&input.0))
    }

    /// Where a wheel is; nothing where it has to be fetched first.
    pub fn wheel(&self, wheel: &WheelReference) -> Option<Utf8PathBuf> {
        let found = wheel.sha256.and_then(|digest| self.wheels.get(&digest)).cloned();
        found.or_else(|| wheel.path.as_ref().map(|path| self.find(path)))
    }

    /// Where all wheels of a spec are.
    ///
    /// # Errors
    /// Some have to be fetched first.
    fn wheels_at_hand(&self, spec: &Spec) -> Result<Vec<Utf8PathBuf>, Error> {
        let found: Vec<Option<Utf8PathBuf>> =
            spec.wheels.iter().map(|wheel| self.wheel(wheel)).collect();
        if found.contains(&None) {
            let wanting = spec.wheels.iter().zip(&found).filter(|(_, place)| place.is_none());
            let wheels = wanting.map(|(wheel, _)| Wanting::unfetched(wheel)).collect();
            return Err(Error::Wanting(wheels));
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Where everything is that a spec names: files, and directories with all that is in them.
    pub fn all<'a>(&'a self, spec: &'a Spec) -> impl Iterator<Item = Utf8PathBuf> + 'a {
        let wheels = spec.wheels.iter().filter_map(|wheel| self.wheel(wheel));
        let launchers =
            spec.launchers.iter().flat_map(Launchers::iter).map(|(_, launcher)| &launcher.path);
        wheels.chain(launchers.map(|path| self.find(path))).chain(self.directories(spec))
    }

    /// Where the directories are of which a spec takes all that is in them; a source may also be
    /// one file.
    pub fn directories<'a>(&'a self, spec: &'a Spec) -> impl Iterator<Item = Utf8PathBuf> + 'a {
        let inside = match &spec.python {
            Python::Inside { directory, .. } => Some(directory),
            Python::Relative { .. } | Python::Absolute { .. } | Python::Launcher { .. } => None,
        };
        spec.sources.iter().map(|source| &source.path).chain(inside).map(|path| self.find(path))
    }

    /// Refuses places of keys that no input of the spec has.
    fn check(&self, spec: &Spec) -> Result<(), Error> {
        let Some(key) = self.unused(spec).into_iter().next() else {
            return Ok(());
        };
        let message = format!("the input key `{key}` is not in the spec");
        Err(Error::Usage {
            message,
            hint: Some(
                "an `--input KEY=PATH` gives the place of a path of the spec that is KEY"
                    .to_owned(),
            ),
        })
    }

    /// Keys that no input of the spec has.
    fn unused(&self, spec: &Spec) -> Vec<String> {
        let paths = spec.wheels.iter().filter_map(|wheel| wheel.path.as_ref());
        let mut used: BTreeSet<&str> = paths.map(|path| path.0.as_str()).collect();
        used.extend(spec.sources.iter().map(|source| source.path.0.as_str()));
        if let Python::Inside { directory, .. } = &spec.python {
            used.insert(&directory.0);
        }
        used.extend(
            spec.launchers
                .iter()
                .flat_map(Launchers::iter)
                .map(|(_, launcher)| launcher.path.0.as_str()),
        );
        self.keys.keys().filter(|key| !used.contains(key.as_str())).cloned().collect()
    }
}

/// A spec with everything that it names opened, and the plan.
#[derive(Debug)]
pub struct Prepared {
    /// The spec.
    pub spec: Spec,
    /// The plan.
    pub plan: Plan,
    wheels: Vec<Wheel>,
    sources: Vec<ListedFiles>,
    interpreter: Option<ListedFiles>,
    launchers: Option<WindowsLaunchers>,
}

impl Prepared {
    /// What planning knew of the inputs.
    pub fn inputs(&self) -> Inputs<'_> {
        inputs(&self.wheels, &self.sources, self.interpreter.as_ref(), self.launchers.as_ref())
    }

    /// Where the bytes come from.
    pub fn supply(&self) -> Supply<'_> {
        Supply {
            wheels: &self.wheels,
            sources: &self.sources,
            interpreter: self.interpreter.as_ref(),
        }
    }

    /// The members, wheel and path, that had to be inflated for planning, in the order of the spec.
    pub fn inflated(&self) -> Vec<(String, String)> {
        let mut inflated = Vec::new();
        for manifest in self.wheels.iter().map(|wheel| &wheel.manifest) {
            for (index, member) in manifest.members.iter().enumerate() {
                if member.origin == HashOrigin::Computed || manifest.contents.contains_key(&index) {
                    inflated.push((manifest.file.as_str().to_owned(), member.path.to_string()));
                }
            }
        }
        inflated
    }
}

/// Reads a spec. `origin` names it in errors.
///
/// # Errors
/// The text is no spec.
pub fn parse_spec(text: &str, origin: &str) -> Result<Spec, Error> {
    spec::parse(text).map_err(|error| Error::Spec { origin: origin.to_owned(), error })
}

/// Opens everything that a spec names, and plans.
///
/// # Errors
/// Inputs cannot be read, wheels are not accepted, or there is no plan.
pub fn prepare(session: &Session, spec: Spec, places: &Places) -> Result<Prepared, Error> {
    prepare_with(session, spec, places, |_, _| None)
}

/// By which options the wheels of a spec are loaded.
fn load_options(session: &Session, spec: &Spec) -> LoadOptions {
    LoadOptions {
        limits: session.limits.clone(),
        allow: spec.flags.allow.clone(),
        deny: spec.flags.deny.clone(),
    }
}

/// The same with the manifests of wheels that are known already.
fn prepare_with(
    session: &Session,
    spec: Spec,
    places: &Places,
    known: impl Fn(usize, &WheelFilename) -> Option<WheelManifest> + Sync,
) -> Result<Prepared, Error> {
    places.check(&spec)?;
    let paths = places.wheels_at_hand(&spec)?;
    let options = load_options(session, &spec);
    session.progress.begin(Phase::Loading, Amount { items: spec.wheels.len() as u64, bytes: 0 });
    let loaded = parallel::map(
        session.threads,
        spec.wheels.len(),
        |index| -> Result<_, std::convert::Infallible> {
            let reference = &spec.wheels[index];
            let path = &paths[index];
            let outcome = match known(index, &reference.file_name) {
                Some(manifest) => load::reopen(path, manifest, &options),
                None => load::load(path, &reference.file_name, &options),
            };
            session.progress.advance(1, 0);
            Ok(outcome)
        },
    )
    .unwrap_or_else(|never| match never {});
    let (mut wheels, mut refused, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for (outcome, reference) in loaded.into_iter().zip(&spec.wheels) {
        match outcome {
            Ok(wheel) => wheels.push(wheel),
            Err(WheelError::Refused { findings, .. }) => {
                refused.push(RefusedWheel {
                    wheel: reference.file_name.as_str().to_owned(),
                    findings,
                });
            }
            Err(error) => unreadable.push(error),
        }
    }
    if !unreadable.is_empty() {
        return Err(Error::Inputs(unreadable));
    }
    if !refused.is_empty() {
        return Err(Error::Wheels(refused));
    }
    session.progress.begin(Phase::Planning, Amount::default());
    let list = |path: &InputPath| listing::list(&places.find(path), session.threads);
    let sources: Vec<ListedFiles> =
        spec.sources.iter().map(|source| list(&source.path)).collect::<Result<_, _>>()?;
    let interpreter = match &spec.python {
        Python::Inside { directory, .. } => Some(list(directory)?),
        Python::Relative { .. } | Python::Absolute { .. } | Python::Launcher { .. } => None,
    };
    let launchers = spec
        .launchers
        .as_ref()
        .map(|launchers| load_launchers(&spec, launchers, places))
        .transpose()?;
    let workers = workers(session, wheels.iter().map(|wheel| wheel.manifest.members.len()).sum());
    let plan = plan::plan(
        &spec,
        &inputs(&wheels, &sources, interpreter.as_ref(), launchers.as_ref()),
        &workers,
    )?;
    Ok(Prepared { spec, plan, wheels, sources, interpreter, launchers })
}

/// Who plans an environment of so many files: for few, starting a thread takes longer than their
/// share of the work.
fn workers(session: &Session, files: usize) -> Threads {
    const FEW: usize = 2_000;
    Threads(if files < FEW { 1 } else { session.threads })
}

/// Reads the launcher files of a spec for Windows.
pub(crate) fn load_launchers(
    spec: &Spec,
    launchers: &Launchers,
    places: &Places,
) -> Result<WindowsLaunchers, Error> {
    let load = |reference: &LauncherReference, kind| {
        // As for wheels: where a build system vouches, nothing is compared.
        let expected =
            reference.sha256.filter(|_| spec.flags.input_digests == InputDigests::Pinned);
        launchers::load(
            &places.find(&reference.path),
            expected,
            spec.interpreter.platform.arch(),
            kind,
        )
    };
    let optional = |reference: &Option<LauncherReference>, kind| {
        reference.as_ref().map(|reference| load(reference, kind)).transpose()
    };
    Ok(WindowsLaunchers {
        console: load(&launchers.console, ScriptKind::Console)?,
        gui: load(&launchers.gui, ScriptKind::Gui)?,
        python: optional(&launchers.python, ScriptKind::Console)?,
        pythonw: optional(&launchers.pythonw, ScriptKind::Gui)?,
    })
}

fn inputs<'a>(
    wheels: &'a [Wheel],
    sources: &'a [ListedFiles],
    interpreter: Option<&'a ListedFiles>,
    launchers: Option<&'a WindowsLaunchers>,
) -> Inputs<'a> {
    Inputs {
        wheels: wheels.iter().map(|wheel| &wheel.manifest).collect(),
        sources: sources.iter().map(ListedFiles::listing).collect(),
        interpreter: interpreter.map(ListedFiles::listing),
        launchers,
    }
}

/// How a tree came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foresight {
    /// From RECORDs alone.
    Claims,
    /// From what the store knows of the wheels' members.
    Known,
    /// By inflating members.
    Inflated,
}

/// The tree that a build would write. With SHA-256 it follows from the wheels' RECORDs; with
/// another function everything is inflated and hashed.
///
/// # Errors
/// Inputs are not what they should be.
pub fn predict(session: &Session, prepared: &Prepared) -> Result<(Tree, Foresight), Error> {
    predict_with(session, prepared, &[])
}

/// The same with what is known of the wheels' members.
fn predict_with(
    session: &Session,
    prepared: &Prepared,
    known: &[Option<KnownMembers>],
) -> Result<(Tree, Foresight), Error> {
    match prepared.spec.flags.digest_function {
        DigestFunction::Sha256 => Ok((
            prepared.plan.tree_sha256(&workers(session, prepared.plan.entries.len())),
            Foresight::Claims,
        )),
        function @ DigestFunction::Blake3 => {
            let found = prepared.supply().digests(&prepared.plan, function, known, session.threads);
            let (digests, inflated) = found.map_err(Error::Supply)?;
            let foresight = if inflated == 0 { Foresight::Known } else { Foresight::Inflated };
            Ok((tree_of(session, &prepared.plan, function, &digests), foresight))
        }
    }
}

fn tree_of(
    session: &Session,
    plan: &Plan,
    function: DigestFunction,
    digests: &[BlobDigest],
) -> Tree {
    plan.tree(function, |index, _, _| digests[index], &workers(session, plan.entries.len()))
}

/// What becomes of an environment that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and only the same one is no error.
    Keep,
    /// It gives way, unless it is the same.
    Replace,
    /// It gives way, even if it is the same.
    Renew,
}

/// What to build, and where.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The environment's place.
    pub out: Utf8PathBuf,
    /// What becomes of what is there.
    pub existing: Existing,
    /// What never gives way.
    pub protected: Protected,
    /// Whether an output that is remembered is looked at all the same, file by file: that takes
    /// longer, and finds what was edited where it lies.
    pub look: bool,
    /// Where the manifest goes.
    pub manifest: Option<OutputFile>,
    /// Where the root digest goes, as one line `hash/size`.
    pub digest_file: Option<OutputFile>,
    /// What stands for the text that the spec was read from, if it was
    /// ([`crate::model::request::text_digest`]).
    pub text: Option<Hash>,
}

impl BuildRequest {
    /// What is there, where it may give way.
    ///
    /// # Errors
    /// It may not, or was not asked to.
    fn old(&self) -> Result<Replaceable, Error> {
        let old = replaceable::check(&self.out, &self.protected)?;
        match self.existing {
            Existing::Keep => Err(Error::OutputTaken { path: self.out.clone() }),
            Existing::Replace | Existing::Renew => Ok(old),
        }
    }

    /// Whether the directory that is there may be left as it is because it is the tree already. One
    /// that is no environment need not be read for that: a build makes nothing else.
    fn is_done(&self, session: &Session, tree: &Tree) -> Result<bool, Error> {
        Ok(self.existing != Existing::Renew
            && publish::is_environment(&self.out)
            && is_tree(session, &self.out, tree)?)
    }

    /// Writes the digest file, where there is to be one.
    fn write_digest(&self, digest: DirectoryDigest) -> Result<(), Error> {
        if let Some(file) = &self.digest_file {
            file.write(|out| writeln!(out, "{digest}"))?;
        }
        Ok(())
    }
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The environment was written.
    Built,
    /// It was there already.
    UpToDate,
    /// It took the place of another one.
    Replaced,
}

impl Outcome {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::UpToDate => "up-to-date",
            Self::Replaced => "replaced",
        }
    }
}

/// What was built.
#[derive(Debug)]
pub struct BuildReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The environment.
    pub tree: Tree,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Builds an environment.
///
/// # Errors
/// Inputs are not what they should be, the output is taken, or the file system refuses. The output
/// is then what it was before.
pub fn build(
    session: &Session,
    prepared: &Prepared,
    request: &BuildRequest,
    notes: &Notes,
) -> Result<BuildReport, Error> {
    let before = fs::kind(&request.out)?;
    let (outcome, tree) = match before {
        Kind::Absent | Kind::EmptyDirectory => write(session, prepared, request, None, notes)?,
        Kind::Directory | Kind::Other => {
            let (expected, _) = predict(session, prepared)?;
            if before == Kind::Directory && request.is_done(session, &expected)? {
                (Outcome::UpToDate, expected)
            } else {
                write(session, prepared, request, Some(&request.old()?), notes)?
            }
        }
    };
    finish(prepared, request, &tree)?;
    let (mut files, mut bytes) = (0, 0);
    for (_, planned) in &prepared.plan.entries {
        if let PlannedNode::File { size, .. } = planned.node {
            files += 1;
            bytes += size;
        }
    }
    Ok(BuildReport { outcome, tree, files, bytes })
}

/// The wheels whose file is compared with a pinned digest.
fn pinned(spec: &Spec) -> Vec<(usize, WheelDigest)> {
    match spec.flags.input_digests {
        InputDigests::Pinned => spec
            .wheels
            .iter()
            .enumerate()
            .filter_map(|(index, wheel)| Some((index, wheel.sha256?)))
            .collect(),
        InputDigests::Trusted => Vec::new(),
    }
}

/// Packs the environment of a plan as an archive into `out`.
///
/// # Errors
/// Inputs are not what they should be, or `out` refuses (an error of writing `place`). What was
/// written until then is no archive.
pub fn pack(
    prepared: &Prepared,
    out: &mut dyn Write,
    place: &Utf8Path,
    options: ArchiveOptions<'_>,
) -> Result<(), Error> {
    let supply = prepared.supply();
    let pinned = pinned(&prepared.spec);
    parallel::map(options.threads, pinned.len(), |turn| {
        supply.check_wheel(pinned[turn].0, pinned[turn].1)
    })
    .map_err(|error| Error::Supply(vec![error]))?;
    let unsound = supply.check_unread(&supply.unread(&prepared.plan, |_| false));
    if !unsound.is_empty() {
        return Err(Error::Supply(unsound));
    }
    archive::pack_plan(&prepared.plan, &supply, out, options)
        .map_err(|error| packing_failed(error, place))
}

/// Packs a directory as an archive into `out`.
///
/// # Errors
/// The directory cannot be read, holds what no archive can, or `out` refuses.
pub fn pack_directory(
    session: &Session,
    directory: &Utf8Path,
    out: &mut dyn Write,
    place: &Utf8Path,
    options: ArchiveOptions<'_>,
) -> Result<(), Error> {
    session.progress.begin(Phase::Reading, Amount::default());
    let Scan { tree, odd } =
        scan::scan(directory, DigestFunction::Sha256, View::Exact, session.threads)?;
    session.progress.begin(Phase::Packing, Amount::default());
    if let Some((path, what)) = odd.first() {
        let message = format!("`{directory}/{path}`: {what}");
        return Err(Error::Usage {
            message,
            hint: Some(
                "an archive holds files, directories and relative links with names in UTF-8"
                    .to_owned(),
            ),
        });
    }
    archive::pack_directory(&tree, directory, out, options)
        .map_err(|error| packing_failed(error, place))
}

/// Packs a wheel into `out`.
///
/// # Errors
/// A file cannot be read, or `out` refuses.
pub fn pack_wheel(
    contents: &WheelContents,
    out: &mut dyn Write,
    place: &Utf8Path,
) -> Result<(), Error> {
    wheel_sink::pack(contents, out).map_err(|error| packing_failed(error, place))
}

/// Writes a file with what `fill` writes, all of it or nothing where that is possible.
///
/// # Errors
/// Those of `fill`, or the file cannot be written.
pub fn write_whole(
    file: &OutputFile,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut failure = None;
    let outcome = file.write(|out| {
        fill(out).map_err(|error| {
            failure = Some(error);
            io::Error::other("the contents could not be made")
        })
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(outcome?),
    }
}

fn packing_failed(error: ArchiveError, place: &Utf8Path) -> Error {
    match error {
        ArchiveError::Supply(error) => Error::Supply(vec![error]),
        ArchiveError::Fs(error) => Error::Fs(error),
        ArchiveError::Write(error) => Error::Fs(fs::failed("write", place)(error)),
    }
}

/// Whether a directory is a tree, apart from bytecode that running Python left there.
fn is_tree(session: &Session, path: &Utf8Path, expected: &Tree) -> Result<bool, Error> {
    let Scan { tree, odd } =
        match scan::scan(path, expected.function(), View::Exact, session.threads) {
            // What is written here can be read by whoever wrote it.
            Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(false);
            }
            result => result?,
        };
    let left_behind = |found: &crate::model::verify::Found| {
        found.deviation == crate::model::verify::Deviation::Bytecode
    };
    Ok(odd.is_empty()
        && crate::model::verify::compare(expected, &tree, &|pyc| {
            bytecode::judge(path, View::Exact, pyc)
        })
        .iter()
        .all(left_behind))
}

fn write(
    session: &Session,
    prepared: &Prepared,
    request: &BuildRequest,
    old: Option<&Replaceable>,
    notes: &Notes,
) -> Result<(Outcome, Tree), Error> {
    let unfinished = Unfinished::new(&request.out)?;
    let pinned = pinned(&prepared.spec);
    let tree = fill(session, prepared, &unfinished, &pinned, None)?;
    Ok((publish(session, unfinished, &tree, old, notes)?, tree))
}

/// Writes a plan into an unfinished directory.
fn fill(
    session: &Session,
    prepared: &Prepared,
    unfinished: &Unfinished,
    pinned: &[(usize, WheelDigest)],
    store: Option<StoreUse<'_>>,
) -> Result<Tree, Error> {
    let flags = &prepared.spec.flags;
    let options = WriteOptions {
        mtime: flags.mtime,
        function: flags.digest_function,
        threads: session.threads,
        progress: &session.progress,
        pinned,
        store,
    };
    let digests =
        directory::write(&prepared.plan, &prepared.supply(), unfinished.directory(), options)?;
    Ok(tree_of(session, &prepared.plan, flags.digest_function, &digests))
}

/// Puts a finished directory in its place, or in that of the one that is there.
fn publish(
    session: &Session,
    unfinished: Unfinished,
    tree: &Tree,
    old: Option<&Replaceable>,
    notes: &Notes,
) -> Result<Outcome, Error> {
    if let Some(old) = old {
        if let Some(left) = unfinished.exchange(old)? {
            notes.add(crate::error::chain(&left));
        }
        return Ok(Outcome::Replaced);
    }
    match unfinished.publish() {
        Ok(()) => Ok(Outcome::Built),
        // Another build of the same environment may have been faster.
        Err(PublishError::Taken { path }) => {
            if fs::kind(&path)? == Kind::Directory && is_tree(session, &path, tree)? {
                Ok(Outcome::UpToDate)
            } else {
                Err(PublishError::Taken { path }.into())
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes what goes beside the environment.
fn finish(prepared: &Prepared, request: &BuildRequest, tree: &Tree) -> Result<(), Error> {
    if let Some(file) = &request.manifest {
        file.write(|out| {
            let mut out = out;
            manifest::write(&mut out, &prepared.spec, &prepared.inputs(), &prepared.plan, tree)
        })?;
    }
    request.write_digest(tree.digest())
}
