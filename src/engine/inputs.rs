//! The inputs of a spec, each opened once: what one step of a build looked at, the next one has.
//!
//! Part of the engine. Inputs are looked at when they are first asked for, as the steps need
//! different ones: a key needs the listings and the wheels' digests, but neither a wheel whose
//! digest is pinned nor a launcher; a plan needs all.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::caches::store::Store;
use crate::effects::host::file_hash;
use crate::effects::host::fs::FsError;
use crate::effects::source::launchers::{LauncherFile, LauncherFileError};
use crate::effects::source::listing::{self, ListedFiles};
use crate::effects::wheels::load::{self, LoadOptions, Wheel, WheelError};
use crate::effects::work::parallel;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::fetch::Arrivals;
use crate::engine::known_wheels::KnownWheels;
use crate::engine::overlays;
use crate::engine::places::Places;
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::engine::unpack::Unpacking;
use crate::error::{Error, RefusedWheel, RefusedWheels, UnreadableInputs, Wanting, WantingWheels};
use crate::model::digest::{Hash, WheelDigest};
use crate::model::layers::LayerKind;
use crate::model::plan::{self, WindowsLaunchers};
use crate::model::script::WindowsLauncher;
use crate::model::spec::{
    InputDigests, InputPath, LauncherReference, Launchers, Python, Spec, WheelReference,
};
use crate::model::wheel::WheelManifest;
use crate::model::wheel::entry_points::ScriptKind;

/// A spec, and what was opened of its inputs so far.
pub struct Inputs<'a> {
    /// What commands share.
    pub(super) session: &'a Session,
    /// Where they are.
    pub(super) places: &'a Places,
    pub(super) spec: Spec,
    /// Whether the files of an interpreter that is copied in are of interest.
    wants_interpreter: bool,
    /// Whether bytecode is added to the plan.
    wants_bytecode: bool,
    digests: OnceCell<Vec<WheelDigest>>,
    listings: OnceCell<Listings>,
    launcher_files: BTreeMap<&'static str, OnceCell<LauncherFile>>,
    launchers: OnceCell<WindowsLaunchers>,
    overlay_digests: OnceCell<Vec<Hash>>,
}

/// The first-party files.
pub(super) struct Listings {
    /// Those of the sources, in the order of the spec.
    pub sources: Vec<ListedFiles>,
    /// Those of the interpreter that is copied in.
    pub interpreter: Option<ListedFiles>,
}

/// The value of a cell, which is made where there is none yet.
fn once<T, E>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
    match cell.get() {
        Some(value) => Ok(value),
        None => make().map(|value| cell.get_or_init(|| value)),
    }
}

impl<'a> Inputs<'a> {
    /// The inputs of a spec; nothing is opened yet.
    ///
    /// # Errors
    /// There is a place for an input that the spec does not have.
    pub fn new(session: &'a Session, spec: Spec, places: &'a Places) -> Result<Self, Error> {
        places.check(&spec)?;
        let launchers = spec.launchers.iter().flat_map(Launchers::iter);
        let launcher_files = launchers.map(|(name, _)| (name, OnceCell::new())).collect();
        Ok(Self {
            session,
            places,
            spec,
            wants_interpreter: true,
            wants_bytecode: true,
            digests: OnceCell::new(),
            listings: OnceCell::new(),
            launcher_files,
            launchers: OnceCell::new(),
            overlay_digests: OnceCell::new(),
        })
    }

    /// The same where only one part of the environment is wanted: nobody looks at an interpreter
    /// that is copied in for another one.
    pub fn only(self, part: Option<LayerKind>) -> Self {
        let wants_interpreter = part.is_none_or(|part| part == LayerKind::Interpreter);
        Self { wants_interpreter, ..self }
    }

    /// The same where nobody wants bytecode, whatever the spec says.
    pub(super) fn without_bytecode(self) -> Self {
        Self { wants_bytecode: false, ..self }
    }

    /// The same of one part that is no wheel's, and which needs none.
    pub(super) fn without_wheels(mut self, part: LayerKind) -> Self {
        self.spec.wheels.clear();
        self.only(Some(part))
    }

    /// Where the wheels lie that can be found without hashing or fetching anything, in the order of
    /// the spec.
    fn at_hand(&self) -> Vec<Option<Utf8PathBuf>> {
        let (wheels, places) = (&self.spec.wheels, self.places);
        match self.session.fetching.as_deref() {
            Some(fetching) => fetching.found_at_once(wheels, places),
            None => wheels.iter().map(|wheel| places.wheel_at_hand(wheel)).collect(),
        }
    }

    /// The wheels, as a store knows them; nothing is opened but what has to be hashed.
    ///
    /// # Errors
    /// The digest of one is not pinned, and it cannot be read; or a file has another size than the
    /// spec says.
    pub(super) fn known_wheels<'s>(
        &self,
        store: Option<&'s Store>,
    ) -> Result<KnownWheels<'s>, Error> {
        let digests = self.wheel_digests()?;
        let options = self.session.load_options(&self.spec);
        let known = KnownWheels::new(store, digests, self.at_hand(), options);
        known.check_sizes(&self.spec.wheels)?;
        Ok(known)
    }

    /// Whether the spec says the digests of all its wheels.
    pub(super) fn are_pinned(&self) -> bool {
        self.spec.wheels.iter().all(|wheel| wheel.sha256.is_some())
    }

    /// The digests of all wheels: pinned, or those of the files. Wheels that are pinned need not be
    /// there.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn wheel_digests(&self) -> Result<&[WheelDigest], Error> {
        let hash = || match self.spec.wheels.iter().map(|wheel| wheel.sha256).collect() {
            Some(pinned) => Ok(pinned),
            None => {
                let (places, wheels) = (self.places, &self.spec.wheels);
                parallel::map(self.session.threads(), wheels.len(), |index| {
                    let wheel = &wheels[index];
                    match (wheel.sha256, places.wheel(wheel)) {
                        (Some(digest), _) => Ok(digest),
                        (None, Some(path)) => file_hash::of(&path)
                            .map(WheelDigest)
                            .map_err(|error| UnreadableInputs::one(error).into()),
                        (None, None) => Err(WantingWheels(vec![Wanting::unfetched(wheel)]).into()),
                    }
                })
            }
        };
        once(&self.digests, hash).map(Vec::as_slice)
    }

    /// The first-party files, listed and hashed.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn listings(&self) -> Result<&Listings, Error> {
        let threads = self.session.threads();
        let list = |path: &InputPath| {
            let mut parts = self.places.parts(path).peekable();
            match parts.peek() {
                Some(_) => listing::list_parts(parts, threads),
                None => listing::list(&self.places.find(path), threads),
            }
        };
        once(&self.listings, || {
            let sources = self.spec.sources.iter().map(|source| list(&source.path));
            let sources = sources.collect::<Result<_, _>>()?;
            let interpreter = match &self.spec.python {
                Python::Inside { directory, .. } if self.wants_interpreter => {
                    Some(list(directory)?)
                }
                Python::Inside { .. }
                | Python::Relative { .. }
                | Python::Absolute { .. }
                | Python::Launcher { .. } => None,
            };
            Ok(Listings { sources, interpreter })
        })
    }

    /// The digests of all launchers, with their names in specs: pinned, or those of the files.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn launcher_digests(&self) -> Result<Vec<(&'static str, Hash)>, Error> {
        let launchers = self.spec.launchers.iter().flat_map(Launchers::iter);
        let digest = |(name, launcher): (&'static str, &LauncherReference)| match launcher.sha256 {
            Some(digest) => Ok((name, digest)),
            None => Ok((name, self.launcher_file(name, launcher)?.digest())),
        };
        launchers.map(digest).collect()
    }

    /// The SHA-256 of each overlay that the spec names.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn overlay_digests(&self) -> Result<&[Hash], Error> {
        let hash = |overlay: &InputPath| {
            let hash = file_hash::of(&self.places.find(overlay));
            hash.map_err(|error| UnreadableInputs::one(error).into())
        };
        once(&self.overlay_digests, || self.spec.overlays().map(hash).collect()).map(Vec::as_slice)
    }

    fn launcher_file(
        &self,
        name: &'static str,
        launcher: &LauncherReference,
    ) -> Result<&LauncherFile, FsError> {
        once(&self.launcher_files[name], || LauncherFile::read(self.places.find(&launcher.path)))
    }

    /// The launchers of a spec for Windows, checked.
    ///
    /// # Errors
    /// One cannot be read or used.
    pub(super) fn launchers(&self) -> Result<Option<&WindowsLaunchers>, LauncherFileError> {
        let Some(launchers) = &self.spec.launchers else {
            return Ok(None);
        };
        let load = |name, reference: &LauncherReference, kind| {
            // As for wheels: where a build system vouches, nothing is compared.
            let pinned = self.spec.flags.input_digests == InputDigests::Pinned;
            let arch = self.spec.interpreter.platform.arch();
            let expected = reference.sha256.filter(|_| pinned);
            self.launcher_file(name, reference)?.launcher(expected, arch, kind)
        };
        let optional = |name, reference: &Option<LauncherReference>, kind| {
            let loaded: Option<Result<WindowsLauncher, _>> =
                reference.as_ref().map(|reference| load(name, reference, kind));
            loaded.transpose()
        };
        let loaded = once(&self.launchers, || {
            Ok::<_, LauncherFileError>(WindowsLaunchers {
                console: load("console", &launchers.console, ScriptKind::Console)?,
                gui: load("gui", &launchers.gui, ScriptKind::Gui)?,
                python: optional("python", &launchers.python, ScriptKind::Console)?,
                pythonw: optional("pythonw", &launchers.pythonw, ScriptKind::Gui)?,
            })
        });
        loaded.map(Some)
    }

    /// Opens what was not opened yet, and plans. Of wheels that are `known` already, files are
    /// opened if they are at hand, and not sought otherwise; `store` has bytecode that was made
    /// before.
    ///
    /// # Errors
    /// Inputs cannot be read, wheels are not accepted, or there is no plan.
    pub(super) fn load(
        self,
        known: Option<&KnownWheels<'_>>,
        store: Option<&Store>,
    ) -> Result<Prepared, Error> {
        let (session, places) = (self.session, self.places);
        let wants_bytecode = self.wants_bytecode;
        let wheels = load_wheels(session, places, &self.spec, known)?;
        session.progress.begin(Phase::Planning, Amount::default());
        self.listings()?;
        self.launchers()?;
        let Some(Listings { sources, interpreter }) = self.listings.into_inner() else {
            unreachable!("they were listed above")
        };
        let launchers = self.launchers.into_inner();
        let members = wheels.iter().map(|wheel| wheel.manifest.members.len()).sum();
        let plan = plan::plan(
            &self.spec,
            &plan::Inputs {
                wheels: wheels.iter().map(|wheel| &wheel.manifest).collect(),
                sources: sources.iter().map(ListedFiles::listing).collect(),
                interpreter: interpreter.as_ref().map(ListedFiles::listing),
                launchers: launchers.as_ref(),
            },
            &session.planners(members),
        )?;
        let overlays = Vec::new();
        let mut prepared =
            Prepared { spec: self.spec, plan, wheels, sources, interpreter, launchers, overlays };
        if wants_bytecode {
            overlays::add(&mut prepared, session, places, store, known)?;
        }
        Ok(prepared)
    }
}

/// Loads the wheels of a spec. Files of those that nothing is known of are sought, and fetched.
fn load_wheels(
    session: &Session,
    places: &Places,
    spec: &Spec,
    known: Option<&KnownWheels<'_>>,
) -> Result<Vec<Wheel>, Error> {
    let options: LoadOptions = session.load_options(spec);
    let count = spec.wheels.len();
    let manifest = |index: usize| {
        let name = &spec.wheels[index].file_name;
        Ok::<_, std::convert::Infallible>(known.and_then(|known| known.manifest(index, name)))
    };
    let mut manifests =
        parallel::map(session.threads(), count, manifest).unwrap_or_else(|never| match never {});
    let mut files: Vec<Option<Utf8PathBuf>> =
        (0..count).map(|index| known?.file(index).map(Utf8Path::to_owned)).collect();
    let absent: Vec<usize> =
        (0..count).filter(|&index| files[index].is_none() && manifests[index].is_none()).collect();
    let wanted: Vec<WheelReference> =
        absent.iter().map(|&index| spec.wheels[index].clone()).collect();
    let unpacking = known.and_then(|known| {
        Unpacking::new(known.store()?, known, i64::try_from(spec.flags.mtime).ok()?)
    });
    let unpack = |turn: usize, file: &Utf8Path| {
        if let (Some(unpacking), Some(&index)) = (&unpacking, absent.get(turn)) {
            unpacking.unpack(index, &spec.wheels[index].file_name, file);
        }
    };
    let arrivals = match &unpacking {
        Some(_) => Arrivals { threads: session.threads(), unpack: Some(&unpack) },
        None => Arrivals::default(),
    };
    let obtained = session.obtain(places, &wanted, arrivals)?;
    for (&index, file) in absent.iter().zip(obtained) {
        if let Some(known) = known {
            known.see(index, &file);
            // It may have been read as it came.
            manifests[index] = known.manifest(index, &spec.wheels[index].file_name);
        }
        files[index] = Some(file);
    }
    session.progress.begin(Phase::Loading, Amount { items: count as u64, bytes: 0 });
    let manifests: Vec<Mutex<Option<WheelManifest>>> =
        manifests.into_iter().map(Mutex::new).collect();
    let open = |index: usize| {
        let name = &spec.wheels[index].file_name;
        let manifest = manifests[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = match (manifest, &files[index]) {
            (Some(manifest), Some(path)) => load::reopen(path, manifest, &options),
            (Some(manifest), None) => Ok(Wheel::known(manifest)),
            (None, Some(path)) => load::load(path, name, &options),
            (None, None) => unreachable!("what is not known was obtained"),
        };
        session.progress.advance(1, 0);
        Ok::<_, std::convert::Infallible>(outcome)
    };
    let loaded =
        parallel::map(session.threads(), count, open).unwrap_or_else(|never| match never {});
    let (mut wheels, mut refused, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for (outcome, reference) in loaded.into_iter().zip(&spec.wheels) {
        match outcome {
            Ok(wheel) => wheels.push(wheel),
            Err(WheelError::Refused { findings, .. }) => {
                let wheel = reference.file_name.as_str().to_owned();
                refused.push(RefusedWheel { wheel, findings });
            }
            Err(error) => unreadable.push(error),
        }
    }
    if !unreadable.is_empty() {
        return Err(UnreadableInputs(unreadable).into());
    }
    if !refused.is_empty() {
        return Err(RefusedWheels(refused).into());
    }
    Ok(wheels)
}
