//! Brings wheels to this machine that are not here yet.
//!
//! Part of the engine. A wheel that has an address is looked for where it costs least: in folders
//! that were named, in the store, at its path, and last at its addresses. Its digest says whether
//! what is found is it. All that cannot be had is said at once.

mod identify;

use std::collections::BTreeMap;
use std::sync::Mutex;

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};
use serde::Serialize;

pub use self::identify::Unidentified;

use crate::effects::caches::store::place::StorePlace;
use crate::effects::caches::store::{Access, Store};
use crate::effects::host::file_hash;
use crate::effects::host::fs;
use crate::effects::host::notes::Notes;
use crate::effects::host::output_file::OutputFile;
use crate::effects::work::progress::Progress;
use crate::engine::places::Places;
use crate::error::{Error, UnreadableInputs, Wanting, WantingWheels};
use crate::model::digest::{DigestFunction, Hash, WheelDigest};
use crate::model::spec::WheelReference;
use crate::model::wheel::filename::WheelFilename;
#[cfg(feature = "remote")]
use {
    crate::effects::caches::blob::BlobError,
    crate::effects::caches::store::fetched::FetchedWheel,
    crate::effects::host::fs::FsError,
    crate::effects::host::staging::Staging,
    crate::effects::net::download::{
        Beside, Expected, Fetched, Network, NetworkConfig, NotFetched, Places as FilePlaces, Wanted,
    },
    crate::effects::net::netrc::Netrc,
    crate::engine::indexes::{self, Offers},
    crate::error::{NotKept, Offline},
    crate::model::address::Address,
    crate::model::lock::pin::Sought,
    crate::model::name::DistName,
    std::collections::BTreeSet,
    std::sync::PoisonError,
};

/// How wheels come to this machine.
#[derive(Debug, Default)]
pub struct Fetching {
    /// Folders in which wheels are looked for first.
    pub folders: Vec<Utf8PathBuf>,
    /// Where they are kept.
    pub store: Option<StorePlace>,
    /// For a command that only looks: what is not at hand is an error, whether there is a network or
    /// not.
    pub at_hand_only: bool,
    /// How they are fetched; nothing where that is not wanted.
    #[cfg(feature = "remote")]
    pub network: Option<NetworkConfig>,
    /// The file of names and passwords by host; none is needed.
    #[cfg(feature = "remote")]
    pub netrc: Option<Utf8PathBuf>,
    /// Indexes that know files by their hashes; their addresses come before those that wheels have.
    #[cfg(feature = "remote")]
    pub indexes: Vec<Address>,
    /// A folder for wheels that no store can keep. They go away with this value.
    pub temporary: Utf8PathBuf,
    /// What went less well than it could have.
    pub notes: Notes,
    #[cfg(feature = "remote")]
    staging: Mutex<Option<Staging>>,
    /// What indexes have said.
    #[cfg(feature = "remote")]
    offered: Mutex<BTreeMap<Hash, Address>>,
}

/// Does something with a wheel, given its position and its file.
pub(super) type Unpack<'a> = dyn Fn(usize, &Utf8Path) + Sync + 'a;

/// What is done with wheels that have come while others still do.
#[derive(Clone, Copy, Default)]
pub(super) struct Arrivals<'a> {
    /// By how many threads.
    #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "for what fetches"))]
    pub threads: usize,
    /// What; nothing where that is no use.
    #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "for what fetches"))]
    pub unpack: Option<&'a Unpack<'a>>,
}

/// The file that is the first of a wheel's addresses on this machine.
fn local_address(wheel: &WheelReference) -> Option<Utf8PathBuf> {
    let files = wheel.urls.iter().filter_map(|address| address.file());
    files.map(Utf8PathBuf::from).find(|path| path.is_file())
}

/// A wheel that lies in a directory now.
#[derive(Debug, Clone, Serialize)]
pub struct Saved {
    /// Its name there.
    pub file_name: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Option<String>,
    /// Whether it was there before.
    pub was_there: bool,
}

/// Files of wheels, each of the size that is said of it.
///
/// # Errors
/// One has another size.
pub(super) fn of_right_size(
    wheels: &[WheelReference],
    files: Vec<Utf8PathBuf>,
) -> Result<Vec<Utf8PathBuf>, Error> {
    let check = |(wheel, file): (&WheelReference, &Utf8PathBuf)| {
        let found = wheel.size.and_then(|_| file.metadata().ok())?;
        Wanting::of_other_size(wheel, file, found.len())
    };
    let others: Vec<Wanting> = wheels.iter().zip(&files).filter_map(check).collect();
    if others.is_empty() { Ok(files) } else { Err(WantingWheels(others).into()) }
}

/// Copies a wheel, which must be the one.
fn copy(wheel: &WheelReference, from: &Utf8Path, to: &Utf8Path) -> Result<(), Error> {
    let mut file = fs::open_regular(from, fs::Links::Follow).map_err(fs::failed("read", from))?;
    let found = file_hash::of(from).map_err(UnreadableInputs::one)?;
    if let Some(expected) = wheel.sha256.filter(|expected| expected.0 != found) {
        let reason = format!("`{from}`: its SHA-256 is {found}, expected {expected}");
        let wheel = wheel.file_name.to_string();
        let wanting = Wanting { wheel, reasons: vec![reason], is_other: true };
        return Err(WantingWheels(vec![wanting]).into());
    }
    Ok(OutputFile::prepare(to)?.write(|out| std::io::copy(&mut file, out).map(|_| ()))?)
}

/// A wheel that is nowhere on this machine.
struct Missing<'a> {
    /// Its position in the spec.
    #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "for what fetches"))]
    index: usize,
    wheel: &'a WheelReference,
    #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "for what fetches"))]
    digest: WheelDigest,
}

/// Wheels in folders.
struct Folders {
    files: Vec<(Utf8PathBuf, Option<WheelFilename>, u64)>,
    hashes: Mutex<BTreeMap<Utf8PathBuf, Option<Hash>>>,
}

impl Folders {
    /// Those that can be looked at, by their names.
    fn list(folders: &[Utf8PathBuf]) -> Self {
        let mut files = Vec::new();
        for folder in folders {
            let inside = folder.read_dir_utf8().into_iter().flatten().flatten();
            let mut paths: Vec<Utf8PathBuf> = inside.map(Utf8DirEntry::into_path).collect();
            // A wheel may be named itself.
            paths.extend(folder.is_file().then(|| folder.clone()));
            let wheels = paths.into_iter().filter(|path| path.extension() == Some("whl"));
            let mut here: Vec<_> = wheels
                .filter_map(|path| {
                    let size = path.metadata().ok().filter(|found| found.is_file())?.len();
                    let name = path.file_name().and_then(|name| WheelFilename::parse(name).ok());
                    Some((path, name, size))
                })
                .collect();
            here.sort_by(|one, two| one.0.cmp(&two.0));
            files.extend(here);
        }
        Self { files, hashes: Mutex::default() }
    }

    /// A wheel that is called so, or that is as large, and has the digest.
    fn find(&self, wheel: &WheelReference, digest: WheelDigest) -> Option<Utf8PathBuf> {
        let named = |name: &Option<WheelFilename>| {
            name.as_ref().is_some_and(|name| is_same(name, &wheel.file_name))
        };
        let mut candidates: Vec<_> = self.files.iter().filter(|(_, name, _)| named(name)).collect();
        let sized = |size: u64| wheel.size == Some(size);
        candidates.extend(self.files.iter().filter(|(_, name, size)| !named(name) && sized(*size)));
        let has_digest = |path: &Utf8Path| {
            let mut hashes = self.hashes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let hash = hashes.entry(path.to_owned()).or_insert_with(|| file_hash::of(path).ok());
            *hash == Some(digest.0)
        };
        candidates.into_iter().map(|(path, ..)| path).find(|path| has_digest(path)).cloned()
    }
}

/// Whether two names, however they are spelt, are those of one wheel.
/// Where the store has a wheel fetched to, if there is one that can be written.
#[cfg(feature = "remote")]
fn in_store(
    store: Option<&Store>,
    place: impl FnOnce(&Store) -> Result<FetchedWheel, BlobError>,
) -> Option<FilePlaces> {
    let store = store?;
    let mut found = None;
    store.attempt(|| {
        found = Some(place(store)?);
        Ok(())
    });
    let FetchedWheel { partial, finished, mode } = found?;
    Some(FilePlaces { partial, finished, mode })
}

fn is_same(one: &WheelFilename, two: &WheelFilename) -> bool {
    one.name == two.name
        && one.version == two.version
        && one.build == two.build
        && one.tags.to_string() == two.tags.to_string()
}

impl Fetching {
    /// One that fetches nothing yet. What no store can keep is kept below `temporary`.
    pub fn new(store: Option<StorePlace>, temporary: Utf8PathBuf, notes: Notes) -> Self {
        Self { store, temporary, notes, ..Self::default() }
    }

    /// One that takes what is at hand, and what the store has of what has been fetched.
    pub fn at_hand(store: Option<StorePlace>) -> Self {
        Self { store, at_hand_only: true, ..Self::default() }
    }

    /// Whether there is an index that may be asked.
    #[cfg(feature = "remote")]
    pub(super) fn can_look_up(&self) -> bool {
        self.network.is_some() && !self.indexes.is_empty()
    }

    /// One that asks indexes, and fetches nothing.
    #[cfg(feature = "remote")]
    pub fn asking(
        indexes: Vec<Address>,
        network: NetworkConfig,
        netrc: Option<Utf8PathBuf>,
    ) -> Self {
        Self { indexes, network: Some(network), netrc, ..Self::default() }
    }

    /// Where wheels are that can be found without hashing or fetching anything: at their own paths,
    /// and in the store.
    pub(super) fn found_at_once(
        &self,
        wheels: &[WheelReference],
        places: &Places,
    ) -> Vec<Option<Utf8PathBuf>> {
        let store = wheels.iter().any(|wheel| !wheel.urls.is_empty()).then(|| self.open_store());
        let kept = |wheel: &WheelReference| store.as_ref()?.as_ref()?.fetched_wheel(wheel.sha256?);
        let find = |wheel: &WheelReference| match wheel.urls.is_empty() {
            true => places.wheel_at_hand(wheel),
            false => kept(wheel),
        };
        wheels.iter().map(find).collect()
    }

    fn open_store(&self) -> Option<Store> {
        self.store_of(DigestFunction::Sha256)
    }

    /// The store, by a digest function.
    pub(super) fn store_of(&self, function: DigestFunction) -> Option<Store> {
        let access = if self.at_hand_only { Access::Read } else { Access::Write };
        let place = self.store.clone()?;
        Some(Store::open(place, function, access, self.notes.clone()))
    }

    /// Whether wheels may lie elsewhere than where a spec looks for them.
    pub(super) fn concerns(&self, wheels: &[WheelReference]) -> bool {
        !self.folders.is_empty() || wheels.iter().any(|wheel| !wheel.urls.is_empty())
    }

    /// Finds wheels, and fetches those that are nowhere. Returns where they are, in their order.
    ///
    /// # Errors
    /// Some cannot be had.
    pub(super) fn obtain(
        &self,
        wheels: &[WheelReference],
        places: &Places,
        progress: &Progress,
        arrivals: Arrivals<'_>,
    ) -> Result<Vec<Utf8PathBuf>, Error> {
        let store = self.open_store();
        let folders = Folders::list(&self.folders);
        let mut found: Vec<Option<Utf8PathBuf>> = Vec::with_capacity(wheels.len());
        let mut absent = Vec::new();
        for (index, wheel) in wheels.iter().enumerate() {
            let here = places.wheel(wheel);
            let place = match wheel.sha256 {
                None => here,
                Some(digest) => {
                    let kept = store.as_ref().filter(|_| !wheel.urls.is_empty());
                    let here = here.filter(|path| wheel.urls.is_empty() || path.is_file());
                    folders
                        .find(wheel, digest)
                        .or_else(|| kept?.fetched_wheel(digest))
                        .or(here)
                        .or_else(|| local_address(wheel))
                }
            };
            if let (None, Some(digest)) = (&place, wheel.sha256) {
                absent.push(Missing { index, wheel, digest });
            }
            found.push(place);
        }
        if !absent.is_empty() && !self.at_hand_only {
            for (index, place) in self.fetch(store.as_ref(), &absent, progress, arrivals)? {
                found[index] = Some(place);
            }
        }
        let lost = wheels.iter().zip(&found).filter(|(_, place)| place.is_none());
        let lost: Vec<Wanting> = lost.map(|(wheel, _)| Wanting::unfetched(wheel)).collect();
        if lost.is_empty() {
            of_right_size(wheels, found.into_iter().flatten().collect())
        } else {
            Err(WantingWheels(lost).into())
        }
    }

    /// Puts wheels into a directory, each under its name, and compares them on the way.
    ///
    /// # Errors
    /// Some cannot be had, are something else, or the directory cannot be written to.
    pub fn save(
        &self,
        wheels: &[(String, WheelReference)],
        places: &Places,
        directory: &Utf8Path,
        progress: &Progress,
    ) -> Result<Vec<Saved>, Error> {
        let there = |wheel: &WheelReference, name: &String| {
            let path = directory.join(name);
            let is_as_large = |size: u64| path.metadata().is_ok_and(|found| found.len() == size);
            let is_it = path.is_file() && wheel.size.is_none_or(is_as_large);
            let hash = is_it.then(|| file_hash::of(&path).ok()).flatten();
            hash.is_some() && hash == wheel.sha256.map(|digest| digest.0)
        };
        let was_there: Vec<bool> = wheels.iter().map(|(name, wheel)| there(wheel, name)).collect();
        let lacking = wheels.iter().zip(&was_there).filter(|(_, there)| !**there);
        let lacking: Vec<WheelReference> = lacking.map(|((_, wheel), _)| wheel.clone()).collect();
        let mut found = self.obtain(&lacking, places, progress, Arrivals::default())?.into_iter();
        fs::create_directories(directory, fs::Permissions::Usual)
            .map_err(fs::failed("make the folder", directory))?;
        let mut saved = Vec::with_capacity(wheels.len());
        for ((name, wheel), was_there) in wheels.iter().zip(was_there) {
            let target = directory.join(name);
            if !was_there && let Some(from) = found.next() {
                copy(wheel, &from, &target)?;
            }
            let size = target.metadata().map_or(0, |found| found.len());
            let sha256 = wheel.sha256.map(|digest| digest.to_string());
            saved.push(Saved { file_name: name.clone(), size, sha256, was_there });
        }
        Ok(saved)
    }

    /// Fetches wheels; returns where they are, by their positions.
    #[cfg_attr(not(feature = "remote"), expect(unused_variables, reason = "nothing is fetched"))]
    fn fetch(
        &self,
        store: Option<&Store>,
        absent: &[Missing<'_>],
        progress: &Progress,
        arrivals: Arrivals<'_>,
    ) -> Result<Vec<(usize, Utf8PathBuf)>, Error> {
        #[cfg(not(feature = "remote"))]
        {
            let wanting = absent.iter().map(|missing| Wanting::unfetched(missing.wheel));
            Err(WantingWheels(wanting.collect()).into())
        }
        #[cfg(feature = "remote")]
        {
            let Some(config) = &self.network else {
                let wheels = absent.iter().map(|missing| missing.wheel);
                let wheels = wheels.map(|wheel| (wheel.file_name.to_string(), wheel.size));
                return Err(Offline(wheels.collect()).into());
            };
            let network = self.open(config)?;
            let addresses = absent.iter().flat_map(|missing| &missing.wheel.urls);
            network.check(addresses.chain(&self.indexes))?;
            let lookups = self.look_up(&network, config.connections, absent);
            let files = absent.iter().zip(&lookups).map(|(missing, found)| {
                let offered = found.as_ref().ok().cloned().into_iter();
                Ok(Wanted {
                    hash: Expected::Sha256(missing.digest.0),
                    size: missing.wheel.size,
                    addresses: offered.chain(missing.wheel.urls.iter().cloned()).collect(),
                    places: self.place(store, missing.digest)?,
                })
            });
            let mut wanted: Vec<Wanted> = files.collect::<Result<_, Error>>()?;
            let places: Vec<_> = wanted.iter().map(|file| file.places.finished.clone()).collect();
            let unpack = |index: usize| {
                if let Some(unpack) = arrivals.unpack {
                    unpack(absent[index].index, &places[index]);
                }
            };
            // One wheel that comes alone has nothing beside it.
            let beside = match arrivals.unpack.filter(|_| wanted.len() > 1) {
                Some(_) => Beside { threads: arrivals.threads, work: &unpack },
                None => Beside::NOTHING,
            };
            let fetch = |wanted: &[Wanted], beside| network.fetch(wanted, progress, beside);
            let outcomes = self.fetch_files(store, &mut wanted, beside, fetch)?;
            for ((missing, wanted), outcome) in absent.iter().zip(&wanted).zip(&outcomes) {
                let kept = store.filter(|store| wanted.places.finished.starts_with(store.root()));
                if let (Some(store), Ok(Fetched::Here)) = (kept, outcome) {
                    store.keep_fetched(missing.digest);
                }
            }
            let failed: Vec<Wanting> = absent
                .iter()
                .zip(outcomes)
                .zip(lookups)
                .filter_map(|((missing, outcome), found)| {
                    let error = outcome.err()?;
                    let wheel = missing.wheel.file_name.to_string();
                    let unfound = found.err().filter(|_| !self.indexes.is_empty());
                    let is_other = error.is_other && unfound.is_none();
                    let reasons = unfound.into_iter().chain(error.reasons).collect();
                    Some(Wanting { wheel, reasons, is_other })
                })
                .collect();
            if !failed.is_empty() {
                return Err(WantingWheels(failed).into());
            }
            let found = absent.iter().zip(wanted);
            Ok(found.map(|(missing, wanted)| (missing.index, wanted.places.finished)).collect())
        }
    }

    #[cfg(feature = "remote")]
    fn open(&self, config: &NetworkConfig) -> Result<Network, Error> {
        let mut config = config.clone();
        // As curl and pip do, where it cannot be read.
        if let Some(Ok(text)) = self.netrc.as_deref().map(fs::read_text) {
            config.netrc = Netrc::parse(&text);
        }
        Ok(Network::new(config)?)
    }

    /// What the indexes have of projects.
    ///
    /// # Errors
    /// Nothing may be asked.
    #[cfg(feature = "remote")]
    pub(super) fn offers(&self, sought: &[Sought]) -> Result<Offers, Error> {
        let Some(config) = &self.network else {
            let projects = sought.iter().map(|sought| (sought.name.normalized().to_owned(), None));
            return Err(Offline(projects.collect()).into());
        };
        let network = self.open(config)?;
        network.check(self.indexes.iter())?;
        Ok(self.ask(&network, config.connections, sought))
    }

    /// Asks indexes, and keeps what they say.
    #[cfg(feature = "remote")]
    fn ask(&self, network: &Network, connections: usize, sought: &[Sought]) -> Offers {
        let offers = indexes::ask(network, connections, &self.indexes, sought);
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        for offer in offers.found.values().flatten() {
            if let Ok(address) = Address::parse(&offer.url) {
                // An index that wants to know who asks may want it for its files, too.
                let address = self.indexes.iter().fold(address, Address::with_user_of);
                offered.entry(offer.sha256).or_insert(address);
            }
        }
        offers
    }

    /// The address that an index has for each wheel; else why it has none.
    #[cfg(feature = "remote")]
    fn look_up(
        &self,
        network: &Network,
        connections: usize,
        absent: &[Missing<'_>],
    ) -> Vec<Result<Address, String>> {
        let mut sought: BTreeMap<&DistName, BTreeSet<Hash>> = BTreeMap::new();
        let known = |hash: &Hash| {
            let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
            offered.get(hash).cloned()
        };
        for missing in absent.iter().filter(|missing| known(&missing.digest.0).is_none()) {
            let name = &missing.wheel.file_name.name;
            sought.entry(name).or_default().insert(missing.digest.0);
        }
        let sought = sought.into_iter().map(|(name, hashes)| Sought { name: name.clone(), hashes });
        let failed = match self.indexes[..] {
            [] => BTreeMap::new(),
            _ => self.ask(network, connections, &sought.collect::<Vec<_>>()).failed,
        };
        let answer = |missing: &Missing<'_>| {
            let WheelFilename { name, version, .. } = &missing.wheel.file_name;
            known(&missing.digest.0).ok_or_else(|| match failed.get(name) {
                Some(reason) => reason.clone(),
                None => format!("no index has a file of {name} {version} with that hash"),
            })
        };
        absent.iter().map(answer).collect()
    }

    /// A folder that goes away with this value.
    #[cfg(feature = "remote")]
    fn folder_for_now(&self) -> Result<Utf8PathBuf, Error> {
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if staging.is_none() {
            let made = Staging::create(&self.temporary, crate::effects::host::staging::DOWNLOADS);
            let failed = fs::failed("make a folder in", &self.temporary);
            *staging = Some(made.map_err(|error| NotKept(failed(error)))?);
        }
        Ok(staging.as_ref().map(Staging::path).unwrap_or(&self.temporary).to_owned())
    }

    /// Fetches files; those that the store refuses to keep once more, to a folder for now.
    ///
    /// # Errors
    /// No place takes them.
    #[cfg(feature = "remote")]
    fn fetch_files<'b>(
        &self,
        store: Option<&Store>,
        wanted: &mut [Wanted],
        beside: Beside<'b>,
        fetch: impl Fn(&[Wanted], Beside<'b>) -> Vec<Result<Fetched, NotFetched>>,
    ) -> Result<Vec<Result<Fetched, NotFetched>>, Error> {
        let mut outcomes = fetch(wanted, beside);
        let (mut refused, mut again) = (Vec::new(), Vec::new());
        for (index, outcome) in outcomes.iter_mut().enumerate() {
            let places = &mut wanted[index].places;
            let in_store = store.filter(|store| places.partial.starts_with(store.root()));
            let Err(NotFetched { local, .. }) = outcome else { continue };
            let Some(error) = local.take() else { continue };
            let Some(store) = in_store else { return Err(NotKept(error).into()) };
            let FsError { operation, path, source } = error;
            store.attempt(|| Err(BlobError::io(operation, path, source)));
            *places = self.place_for_now(places.finished.file_name().unwrap_or_default())?;
            refused.push(index);
            again.push(wanted[index].clone());
        }
        if again.is_empty() {
            return Ok(outcomes);
        }
        // The store takes nothing that could be unpacked beside them.
        for (index, outcome) in refused.into_iter().zip(fetch(&again, Beside::NOTHING)) {
            outcomes[index] = match outcome {
                // One reason for all of them.
                Err(NotFetched { local: Some(error), .. }) => return Err(NotKept(error).into()),
                outcome => outcome,
            };
        }
        Ok(outcomes)
    }

    /// Where a file is fetched to that no store keeps.
    #[cfg(feature = "remote")]
    fn place_for_now(&self, name: &str) -> Result<FilePlaces, Error> {
        let folder = self.folder_for_now()?;
        let (partial, finished) = (folder.join(format!("{name}.part")), folder.join(name));
        Ok(FilePlaces { partial, finished, mode: 0o644 })
    }

    /// Where a wheel is fetched to.
    #[cfg(feature = "remote")]
    fn place(&self, store: Option<&Store>, digest: WheelDigest) -> Result<FilePlaces, Error> {
        if let Some(places) = in_store(store, |store| store.wheel_to_fetch(digest)) {
            return Ok(places);
        }
        self.place_for_now(&digest.0.to_hex())
    }
}
