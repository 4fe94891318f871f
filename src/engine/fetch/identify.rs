//! The SHA-256 of wheels that a lock knows by another hash only.
//!
//! Part of the engine. A key and a spec have the SHA-256 of each wheel, so such a wheel has to be
//! found before anything else: where it lies, in what the store has learnt, in folders that were
//! named, and last at its addresses. The hash of the lock decides, and what is learnt is kept: the
//! next time nothing is read or fetched for it.

use camino::{Utf8Path, Utf8PathBuf};

#[cfg(feature = "remote")]
use super::in_store;
use super::{Fetching, Folders, is_same};
use crate::effects::caches::store::Store;
use crate::effects::host::file_hash;
#[cfg(feature = "remote")]
use crate::effects::net::download::{Beside, Expected, Places as FilePlaces, Wanted};
use crate::effects::work::progress::Progress;
use crate::engine::places::Places;
#[cfg(feature = "remote")]
use crate::error::Offline;
use crate::error::{Error, UnreadableInputs, Wanting, WantingWheels};
use crate::model::digest::{Hash, WheelDigest};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::spec::WheelReference;
use crate::model::wheel::member_hash::OtherHash;

/// A wheel, and the hash that is known of it.
#[derive(Debug, Clone)]
pub struct Unidentified {
    /// The wheel, without a SHA-256.
    pub wheel: WheelReference,
    pub hash: OtherHash,
}

/// Wheels whose SHA-256 the lock does not say, and that are nowhere to be found: names and hashes.
#[derive(Debug, thiserror::Error)]
#[error("the lock has no SHA-256 of {}", said(.0))]
pub struct NotIdentified(Vec<(String, OtherHash)>);

impl Explain for NotIdentified {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.hint(
            "a spec has the SHA-256 of each wheel: `venvtree lock fetch LOCK --dest DIR` compares wheels by the hashes that the lock has; \
             then give `--wheels DIR`",
        )
    }
}

/// Which they are.
fn said(wheels: &[(String, OtherHash)]) -> String {
    let each = wheels.iter().map(|(name, hash)| {
        let text = hash.to_string();
        format!("`{name}` (only {})", text.split(':').next().unwrap_or_default())
    });
    each.collect::<Vec<_>>().join(", ")
}

impl Fetching {
    /// The SHA-256 of wheels, in their order. Those that are nowhere are fetched, where that is
    /// allowed.
    ///
    /// # Errors
    /// One is another file, or cannot be had.
    pub(in crate::engine) fn identify(
        &self,
        wheels: &[Unidentified],
        places: &Places,
        progress: &Progress,
    ) -> Result<Vec<WheelDigest>, Error> {
        let store = self.open_store();
        let folders = Folders::list(&self.folders);
        let mut found: Vec<Option<WheelDigest>> = Vec::with_capacity(wheels.len());
        for sought in wheels {
            let here = places.wheel(&sought.wheel).filter(|path| path.is_file());
            found.push(match here {
                Some(path) => Some(compared(sought, &path)?),
                None => store
                    .as_ref()
                    .and_then(|store| store.sha256_of(&sought.hash))
                    .or_else(|| folders.identify(sought)),
            });
        }
        let absent: Vec<usize> =
            (0..wheels.len()).filter(|&index| found[index].is_none()).collect();
        if !absent.is_empty() {
            let sought: Vec<&Unidentified> = absent.iter().map(|&index| &wheels[index]).collect();
            let digests = self.fetch_to_identify(store.as_ref(), &sought, progress)?;
            for (index, digest) in absent.into_iter().zip(digests) {
                found[index] = Some(digest);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    #[cfg_attr(not(feature = "remote"), expect(unused_variables, reason = "nothing is fetched"))]
    fn fetch_to_identify(
        &self,
        store: Option<&Store>,
        sought: &[&Unidentified],
        progress: &Progress,
    ) -> Result<Vec<WheelDigest>, Error> {
        #[cfg(not(feature = "remote"))]
        {
            Err(not_identified(sought).into())
        }
        #[cfg(feature = "remote")]
        {
            if self.at_hand_only {
                return Err(not_identified(sought).into());
            }
            let Some(config) = &self.network else {
                let wheels = sought.iter().map(|sought| &sought.wheel);
                let wheels = wheels.map(|wheel| (wheel.file_name.to_string(), wheel.size));
                return Err(Offline(wheels.collect()).into());
            };
            let network = self.open(config)?;
            network.check(sought.iter().flat_map(|sought| &sought.wheel.urls))?;
            let files = sought.iter().map(|sought| {
                Ok(Wanted {
                    hash: Expected::Other(sought.hash.clone()),
                    size: sought.wheel.size,
                    addresses: sought.wheel.urls.clone(),
                    places: self.place_to_identify(store, &sought.hash)?,
                })
            });
            let mut wanted: Vec<Wanted> = files.collect::<Result<_, Error>>()?;
            let fetch = |wanted: &[Wanted], beside| network.fetch(wanted, progress, beside);
            let outcomes = self.fetch_files(store, &mut wanted, Beside::NOTHING, fetch)?;
            let mut digests = Vec::with_capacity(sought.len());
            let mut failed = Vec::new();
            for ((sought, wanted), outcome) in sought.iter().zip(&wanted).zip(outcomes) {
                match outcome {
                    Ok(_) => digests.push(self.keep_identified(store, sought, &wanted.places)?),
                    Err(error) => failed.push(Wanting {
                        wheel: sought.wheel.file_name.to_string(),
                        reasons: error.reasons,
                        is_other: error.is_other,
                    }),
                }
            }
            if failed.is_empty() { Ok(digests) } else { Err(WantingWheels(failed).into()) }
        }
    }

    /// Where such a wheel is fetched to.
    #[cfg(feature = "remote")]
    fn place_to_identify(
        &self,
        store: Option<&Store>,
        hash: &OtherHash,
    ) -> Result<FilePlaces, Error> {
        if let Some(places) = in_store(store, |store| store.wheel_to_identify(hash)) {
            return Ok(places);
        }
        self.place_for_now(&format!("{}.whole", hash.file_name()))
    }

    /// Moves a wheel that was fetched to where it is found by its SHA-256.
    #[cfg(feature = "remote")]
    fn keep_identified(
        &self,
        store: Option<&Store>,
        sought: &Unidentified,
        places: &FilePlaces,
    ) -> Result<WheelDigest, Error> {
        let whole = &places.finished;
        let hash = match file_hash::of(whole) {
            Ok(hash) => hash,
            Err(error) => {
                // Another process may just have moved it.
                let known = store.and_then(|store| store.sha256_of(&sought.hash));
                return known.ok_or_else(|| UnreadableInputs::one(error).into());
            }
        };
        let digest = WheelDigest(hash);
        match store.filter(|store| whole.starts_with(store.root())) {
            Some(store) => {
                store.attempt(|| store.keep_identified(&sought.hash, whole, digest));
            }
            None => {
                let target = self.place(None, digest)?.finished;
                places.settle(&target)?;
            }
        }
        Ok(digest)
    }
}

fn not_identified(sought: &[&Unidentified]) -> NotIdentified {
    let each =
        sought.iter().map(|sought| (sought.wheel.file_name.to_string(), sought.hash.clone()));
    NotIdentified(each.collect())
}

/// The SHA-256 of a file that has to be the wheel.
fn compared(sought: &Unidentified, path: &Utf8Path) -> Result<WheelDigest, Error> {
    let hashes = file_hash::with_other(path, sought.hash.algorithm());
    let hashes = hashes.map_err(UnreadableInputs::one)?;
    if sought.hash.is_of(&hashes) {
        return Ok(WheelDigest(hashes.sha256));
    }
    let found = sought.hash.found(&hashes);
    let reason = format!("`{path}`: it is {found}, expected {}", sought.hash);
    let wheel = sought.wheel.file_name.to_string();
    Err(WantingWheels(vec![Wanting { wheel, reasons: vec![reason], is_other: true }]).into())
}

impl Folders {
    /// The SHA-256 of a wheel that is called so and has the hash.
    fn identify(&self, sought: &Unidentified) -> Option<WheelDigest> {
        let named = self.files.iter().filter(|(_, name, _)| {
            name.as_ref().is_some_and(|name| is_same(name, &sought.wheel.file_name))
        });
        let hash = |path: &Utf8PathBuf| -> Option<Hash> {
            let hashes = file_hash::with_other(path, sought.hash.algorithm()).ok()?;
            sought.hash.is_of(&hashes).then_some(hashes.sha256)
        };
        named.map(|(path, ..)| path).find_map(hash).map(WheelDigest)
    }
}
