//! What the store knows of a spec's wheels: those that nobody touched are neither hashed nor read
//! again.
//!
//! Part of the engine. Everything is known by the wheel's digest; that a file has it is known from
//! an earlier build, as long as the file's state is the same. The store is asked once of each. A
//! wheel whose digest is pinned and that the store knows needs no file at all, unless bytes of it are
//! asked for that the store does not have.

use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::caches::store::Store;
use crate::effects::caches::store::hashed::FileState;
use crate::effects::host::input::InputError;
use crate::effects::wheels::load::{LoadOptions, Wheel};
use crate::engine::places::Places;
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::error::{Error, UnreadableInputs, Wanting, WantingWheels};
use crate::model::digest::{DigestFunction, Hash, WheelDigest};
use crate::model::plan::{Content, PlannedNode, WheelIndex};
use crate::model::spec::WheelReference;
use crate::model::tree::{Leaf, Node, Tree};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::known::KnownMembers;
use crate::model::wheel::{HashOrigin, WheelManifest, kept};
use crate::model::workers::Workers;

/// The wheels of a spec, as they were before they are read.
pub(super) struct KnownWheels<'a> {
    store: Option<&'a Store>,
    wheels: Vec<KnownWheel>,
    options: LoadOptions,
}

/// A wheel.
struct KnownWheel {
    digest: WheelDigest,
    /// Its file, where there is one.
    file: OnceLock<SeenFile>,
    /// Whether the file is known to have the digest.
    proven: OnceLock<bool>,
    /// Whether the store had its manifest.
    has_manifest: OnceLock<bool>,
}

/// A wheel's file, and how it looked.
struct SeenFile {
    path: Utf8PathBuf,
    state: Option<FileState>,
}

impl SeenFile {
    fn look(path: &Utf8Path) -> Self {
        Self { path: path.to_owned(), state: FileState::of(path) }
    }
}

impl<'a> KnownWheels<'a> {
    /// Wheels by their digests, and those of their files that are at hand.
    pub fn new(
        store: Option<&'a Store>,
        digests: &[WheelDigest],
        files: Vec<Option<Utf8PathBuf>>,
        options: LoadOptions,
    ) -> Self {
        let wheel = |(digest, file): (&WheelDigest, Option<Utf8PathBuf>)| KnownWheel {
            digest: *digest,
            file: file.map(|path| SeenFile::look(&path)).map(OnceLock::from).unwrap_or_default(),
            proven: OnceLock::new(),
            has_manifest: OnceLock::new(),
        };
        Self { store, wheels: digests.iter().zip(files).map(wheel).collect(), options }
    }

    /// Refuses files of another size than the spec says, of those that are at hand.
    ///
    /// # Errors
    /// There is one.
    pub fn check_sizes(&self, wheels: &[WheelReference]) -> Result<(), Error> {
        let check = |(wheel, known): (&WheelReference, &KnownWheel)| {
            let file = known.file.get()?;
            Wanting::of_other_size(wheel, &file.path, file.state.as_ref()?.size)
        };
        let others: Vec<Wanting> = wheels.iter().zip(&self.wheels).filter_map(check).collect();
        if others.is_empty() { Ok(()) } else { Err(WantingWheels(others).into()) }
    }

    /// The file of a wheel, where one is at hand.
    pub fn file(&self, index: usize) -> Option<&Utf8Path> {
        self.wheels[index].file.get().map(|file| &*file.path)
    }

    /// Notes where the file of a wheel is that was not at hand.
    pub fn see(&self, index: usize, path: &Utf8Path) {
        let _ = self.wheels[index].file.set(SeenFile::look(path));
    }

    /// Whether the wheel's file is known to have its digest.
    fn is_proven(&self, wheel: &KnownWheel) -> bool {
        *wheel.proven.get_or_init(|| self.was_hashed(wheel))
    }

    /// Whether the store knows that the wheel's file has its digest.
    fn was_hashed(&self, wheel: &KnownWheel) -> bool {
        let Some((store, file)) = self.store.zip(wheel.file.get()) else { return false };
        let hashed = |state| store.hashed(&file.path, state);
        file.state.as_ref().and_then(hashed) == Some(wheel.digest)
    }

    /// Opens the files of wheels that were only known, and brings them before where they are not
    /// at hand.
    ///
    /// # Errors
    /// One cannot be had, or is another.
    pub fn open_absent(
        &self,
        prepared: &Prepared,
        session: &Session,
        places: &Places,
        wanted: impl Fn(WheelIndex, &Wheel) -> bool,
    ) -> Result<(), Error> {
        let wheels = prepared.wheels.iter().enumerate();
        let wanted = wheels.filter(|(index, wheel)| wanted(WheelIndex(*index), wheel));
        let wanted: Vec<usize> = wanted.map(|(index, _)| index).collect();
        let is_proven = |index: usize, path: &Utf8Path| {
            self.see(index, path);
            self.was_hashed(&self.wheels[index])
        };
        prepared.open_wheels(&wanted, session, places, is_proven)?;
        for index in wanted {
            let _ = self.wheels[index].proven.set(true);
        }
        Ok(())
    }

    /// The wheels whose digest nobody has compared yet, in this state.
    pub fn unproven(&self) -> Vec<(WheelIndex, WheelDigest)> {
        let wheels = self.wheels.iter().enumerate();
        let seen = wheels.filter(|(_, wheel)| wheel.file.get().is_some());
        let unproven = seen.filter(|(_, wheel)| !self.is_proven(wheel));
        unproven.map(|(index, wheel)| (WheelIndex(index), wheel.digest)).collect()
    }

    /// The manifest of a wheel, where it was read before, and its file, if there is one, is known to
    /// have its digest.
    pub fn manifest(&self, index: usize, file: &WheelFilename) -> Option<WheelManifest> {
        let (store, wheel) = (self.store?, &self.wheels[index]);
        if wheel.file.get().is_some() && !self.is_proven(wheel) {
            return None;
        }
        let kept = store.manifest(self.manifest_key(wheel, file));
        let _ = wheel.has_manifest.set(kept.is_some());
        kept::decode(file, &kept?)
    }

    /// What a manifest depends on besides the rules, which the version of its record stands for.
    fn manifest_key(&self, wheel: &KnownWheel, file: &WheelFilename) -> Hash {
        let LoadOptions { limits, allow, deny } = &self.options;
        let (digest, file) = (wheel.digest, file.as_str());
        Hash::sha256(format!("{digest}\n{file}\n{limits:?}\n{allow:?}\n{deny:?}").as_bytes())
    }

    /// What is known of each wheel's members.
    pub fn members(&self, workers: &impl Workers) -> Vec<Option<KnownMembers>> {
        let known =
            |index: usize| KnownMembers::decode(&self.store?.wheel(self.wheels[index].digest)?);
        workers.map(self.wheels.len(), known)
    }

    /// Keeps that the files have their digests, after they were compared; all of them must be as
    /// they were before.
    ///
    /// # Errors
    /// A file has changed meanwhile.
    pub fn remember_files(&self) -> Result<(), Error> {
        for wheel in &self.wheels {
            let KnownWheel { digest, file, .. } = wheel;
            let Some(SeenFile { path, state }) = file.get() else { continue };
            if FileState::of(path) != *state {
                let changed = InputError::Changed { path: path.clone() };
                return Err(UnreadableInputs::one(changed).into());
            }
            if let Some((store, state)) = self.store.zip(state.as_ref())
                && !self.is_proven(wheel)
            {
                store.attempt(|| store.set_hashed(path, state, *digest));
            }
        }
        Ok(())
    }

    /// By which options wheels are loaded.
    pub fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// Where it is kept what is known.
    pub fn store(&self) -> Option<&'a Store> {
        self.store
    }

    /// Keeps what a wheel holds that was just read, and what is known of its members.
    pub fn keep(&self, index: usize, manifest: &WheelManifest, members: &KnownMembers) {
        let (Some(store), wheel) = (self.store, &self.wheels[index]) else { return };
        if manifest.findings.iter().any(|finding| finding.allowed) {
            return;
        }
        let key = self.manifest_key(wheel, &manifest.file);
        store.attempt(|| store.keep_manifest(key, &kept::encode(manifest)));
        store.attempt(|| store.keep_wheel(wheel.digest, &members.encode()));
    }

    /// Keeps what is known of the wheels and their members now that the tree is finished: every
    /// member that is part of it was read and compared, or was so before. Of the others only those
    /// are known that were read for the plan.
    pub fn remember(&self, prepared: &Prepared, known: &[Option<KnownMembers>], tree: &Tree) {
        let Some(store) = self.store else { return };
        let manifests = prepared.inputs().wheels;
        let mut now: Vec<KnownMembers> = Vec::with_capacity(manifests.len());
        for (known, manifest) in known.iter().zip(&manifests) {
            let count = manifest.members.len();
            let before = known.clone().filter(|known| known.members() == count);
            let mut members = before.unwrap_or_else(|| KnownMembers::none(count));
            members.set_sound();
            let read = |member: &usize| manifest.members[*member].origin == HashOrigin::Computed;
            (0..count).filter(read).for_each(|member| members.prove(member));
            now.push(members);
        }
        for (path, planned) in &prepared.plan.entries {
            if let PlannedNode::File {
                content: Content::Member { wheel, member }, sha256, ..
            } = &planned.node
            {
                now[wheel.0].prove(*member);
                if tree.function() != DigestFunction::Sha256
                    && let Some(Node::Leaf(Leaf::File { blob, .. })) = tree.get(path.as_str())
                {
                    now[wheel.0].add(*sha256, blob.0.hash);
                }
            }
        }
        for (index, (members, manifest)) in now.into_iter().zip(manifests).enumerate() {
            if manifest.findings.iter().any(|finding| finding.allowed) {
                // What the store knows is sound for every spec, and this is so only for those that
                // allow it.
                continue;
            }
            let wheel = &self.wheels[index];
            if known[index].as_ref() != Some(&members) {
                store.attempt(|| store.keep_wheel(wheel.digest, &members.encode()));
            }
            let key = self.manifest_key(wheel, &manifest.file);
            if !*wheel.has_manifest.get_or_init(|| store.has_manifest(key)) {
                store.attempt(|| store.keep_manifest(key, &kept::encode(manifest)));
            }
        }
    }
}

/// Does what may need bytes of wheels that are only known: where it does, it is done again with
/// their files.
///
/// # Errors
/// Its own, or a file cannot be had.
pub(super) fn with_files<T>(
    known: Option<&KnownWheels<'_>>,
    prepared: &Prepared,
    (session, places): (&Session, &Places),
    run: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let result = run();
        let wanted = prepared.wheels.iter().any(Wheel::is_wanted);
        let Some(known) = known.filter(|_| wanted && result.is_err()) else { return result };
        known.open_absent(prepared, session, places, |_, wheel| wheel.is_wanted())?;
    }
}
