//! Locks as files, and the wheels that are given with them.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::input::InputFile;
use crate::effects::host::{file_hash, fs};
use crate::effects::work::progress::Progress;
use crate::engine::Places;
use crate::engine::compose::wheels;
use crate::engine::fetch::{Fetching, Unidentified};
use crate::error::{Error, UnreadableInputs};
use crate::model::digest::{Hash, WheelDigest};
use crate::model::interpreter::Interpreter;
#[cfg(feature = "remote")]
use crate::model::lock::LockKind;
use crate::model::lock::{
    self, AtHand, Lock, LockError, Request, Selected, Selection, UnusableLock,
};
use crate::model::spec::{WheelReference, foreign};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::member_hash::{OtherAlgorithm, OtherHash};

/// A lock that was read.
#[derive(Debug, Clone)]
pub struct LockFile {
    /// What messages call it.
    pub origin: String,
    /// What it says.
    pub lock: Lock,
    /// The SHA-256 of the file.
    pub sha256: Hash,
    /// The directory that paths in it are relative to.
    pub directory: Utf8PathBuf,
}

impl LockFile {
    /// Reads what a file holds.
    ///
    /// # Errors
    /// It is no lock, or something in it is wrong.
    pub fn read(bytes: Vec<u8>, origin: &str, directory: Utf8PathBuf) -> Result<Self, Error> {
        let sha256 = Hash::sha256(&bytes);
        let fail = |error| UnusableLock { origin: origin.to_owned(), error };
        let text = foreign::text(bytes).map_err(|found| {
            let hint = found.hint.filter(|hint| hint.contains("UTF-8"));
            fail(LockError::Foreign { what: found.what, hint })
        })?;
        let lock = Lock::read(&text).map_err(fail)?;
        Ok(Self { origin: origin.to_owned(), lock, sha256, directory })
    }

    /// Chooses wheels for an interpreter. Where requirements do not say where theirs are, and none
    /// is given, the indexes of `fetching` are asked.
    ///
    /// # Errors
    /// The lock does not have what is wanted, or an index does not.
    pub fn choose(
        &self,
        interpreter: &Interpreter,
        request: &Request,
        fetching: Option<&Fetching>,
    ) -> Result<Selection, Error> {
        let error = match lock::select(&self.lock, interpreter, request) {
            Ok(mut selection) => {
                selection.warnings.extend(self.warning_of_groups(request));
                return Ok(selection);
            }
            Err(error) => error,
        };
        #[cfg(feature = "remote")]
        if let (LockError::NoAddresses | LockError::Unavailable { .. }, Some(fetching)) =
            (&error, fetching.filter(|fetching| fetching.can_look_up()))
            && self.lock.kind == LockKind::Requirements
        {
            let (addressed, missing) = super::pin::addressed(self, fetching)?;
            let selection = lock::select(&addressed.lock, interpreter, request);
            return selection.map_err(|error| match (&error, &missing) {
                (LockError::Unavailable { .. }, LockError::Text(missing))
                    if !missing.is_empty() =>
                {
                    self.error(LockError::Text(missing.clone()))
                }
                _ => self.error(error),
            });
        }
        #[cfg(not(feature = "remote"))]
        let _ = fetching;
        Err(self.error(error))
    }

    /// A warning, where the pyproject.toml beside the lock names other default groups than those that
    /// are taken because the lock says nothing of them.
    fn warning_of_groups(&self, request: &Request) -> Option<String> {
        if request.only_groups || request.no_default_groups || !request.packages.is_empty() {
            return None;
        }
        let project = fs::read_text(&self.directory.join("pyproject.toml")).ok()?;
        let groups = self.lock.other_default_groups(&project)?;
        Some(format!(
            "it does not record which groups count by default, so `dev` does, if there is one; pyproject.toml says \
             default-groups = {groups}: give --no-default-groups and each --group, or lock anew with uv 0.13 or newer"
        ))
    }

    /// The wheels of a selection as a spec names them. What the lock has of paths is relative to
    /// its directory; paths below `root` are given from there. Wheels of which the lock has another
    /// hash only are brought here by `fetching`, which learns their SHA-256.
    ///
    /// # Errors
    /// One has no SHA-256 and no file, or an address that is none.
    pub fn references(
        &self,
        selection: &Selection,
        root: Option<&Utf8Path>,
        fetching: &Fetching,
        progress: &Progress,
    ) -> Result<Vec<WheelReference>, Error> {
        let references = selection.wheels.iter().map(|wheel| self.reference(wheel, root));
        let mut references: Vec<WheelReference> = references.collect::<Result<_, _>>()?;
        let mut unknown = Vec::new();
        for (index, wheel) in selection.wheels.iter().enumerate() {
            if let (None, Some((algorithm, digits))) = (&wheel.sha256, &wheel.other_hash) {
                let hash = OtherHash::parse(algorithm, digits).ok_or_else(|| {
                    Error::usage(format!(
                        "{}: the only hash of `{}` is {algorithm}, expected one of sha256, sha384 and sha512",
                        self.origin, wheel.file
                    ))
                    .hint("lock it again from an index that has SHA-256")
                })?;
                let wheel = references[index].clone();
                unknown.push((index, Unidentified { wheel, hash }));
            }
        }
        let sought: Vec<Unidentified> = unknown.iter().map(|(_, sought)| sought.clone()).collect();
        if !sought.is_empty() {
            let places =
                Places { root: root.unwrap_or(&self.directory).to_owned(), ..Places::default() };
            let digests = fetching.identify(&sought, &places, progress)?;
            for ((index, _), digest) in unknown.iter().zip(digests) {
                references[*index].sha256 = Some(digest);
            }
        }
        Ok(references)
    }

    /// A wheel as a spec names it.
    fn reference(
        &self,
        wheel: &Selected,
        root: Option<&Utf8Path>,
    ) -> Result<WheelReference, Error> {
        let path = wheel.path.as_deref().map(|path| self.directory.join(path));
        let refuse =
            |what: String| Error::usage(format!("{}: `{}` {what}", self.origin, wheel.file));
        let below = path.as_ref().map(|path| {
            root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(path).to_string()
        });
        let mut reference = wheel.reference(below).map_err(|error| {
            Error::from(refuse(format!("has an address that cannot be used: {error}")))
        })?;
        if reference.sha256.is_none() && wheel.other_hash.is_none() {
            let Some(found) = path.filter(|path| path.is_file()) else {
                return Err(refuse("has no hash, by which it could be fetched".to_owned())
                    .hint("lock it again from an index that has SHA-256"));
            };
            let digest = file_hash::of(&found).map_err(UnreadableInputs::one)?;
            reference.sha256 = Some(WheelDigest(digest));
        }
        Ok(reference)
    }

    /// An error of this lock.
    pub fn error(&self, error: LockError) -> Error {
        UnusableLock { origin: self.origin.clone(), error }.into()
    }
}

/// The wheels that lie at paths, with their digests: those of packages that a lock has.
///
/// # Errors
/// A path leads nowhere, a directory holds no wheel, or a wheel cannot be read.
pub fn at_hand(paths: &[Utf8PathBuf], lock: &Lock) -> Result<Vec<AtHand>, Error> {
    let mut found = Vec::new();
    for candidate in wheels::candidates(paths)? {
        if lock.names(&candidate.file.name) {
            let algorithms = lock.other_algorithms(&candidate.file.name);
            found.push(hashed(&candidate.path, candidate.file, algorithms)?);
        }
    }
    Ok(found)
}

fn hashed(
    path: &Utf8Path,
    file: WheelFilename,
    algorithms: BTreeSet<OtherAlgorithm>,
) -> Result<AtHand, Error> {
    let input = InputFile::open(path).map_err(UnreadableInputs::one)?;
    let sha256 = file_hash::of(path).map_err(UnreadableInputs::one)?;
    let mut others = Vec::new();
    for algorithm in algorithms {
        let hashes = file_hash::with_other(path, algorithm).map_err(UnreadableInputs::one)?;
        others.extend(OtherHash::of(&hashes, algorithm));
    }
    Ok(AtHand { file, path: path.to_string(), sha256, others, size: input.size() })
}
