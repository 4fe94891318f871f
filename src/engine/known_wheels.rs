//! What the store knows of a spec's wheels: those that nobody touched are neither hashed nor read
//! again.
//!
//! Part of the engine. Everything is known by the wheel's digest; that a file has it is known from
//! an earlier build, as long as the file's state is the same. The store is asked once of each.

use std::sync::OnceLock;

use camino::Utf8PathBuf;

use crate::effects::caches::store::Store;
use crate::effects::caches::store::hashed::FileState;
use crate::effects::host::input::InputError;
use crate::effects::wheels::load::LoadOptions;
use crate::engine::inputs::Inputs;
use crate::engine::prepared::Prepared;
use crate::error::{Error, UnreadableInputs};
use crate::model::digest::{DigestFunction, Hash, WheelDigest};
use crate::model::plan::{Content, PlannedNode, WheelIndex};
use crate::model::tree::{Leaf, Node, Tree};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::known::KnownMembers;
use crate::model::wheel::{HashOrigin, WheelManifest, kept};

/// The wheels of a spec, as they were before they are read.
pub(super) struct KnownWheels<'a> {
    store: Option<&'a Store>,
    wheels: Vec<KnownWheel>,
    options: LoadOptions,
}

/// A wheel's file.
struct KnownWheel {
    path: Utf8PathBuf,
    digest: WheelDigest,
    state: Option<FileState>,
    /// Whether the file is known to have the digest.
    proven: OnceLock<bool>,
    /// Whether the store had its manifest.
    has_manifest: OnceLock<bool>,
}

impl<'a> KnownWheels<'a> {
    /// Looks at the wheels' files.
    ///
    /// # Errors
    /// The digest of one is not pinned, and it cannot be read.
    pub fn new(store: Option<&'a Store>, inputs: &Inputs<'_>) -> Result<Self, Error> {
        let digests = inputs.wheel_digests()?;
        let wheel = |(path, digest): (&Utf8PathBuf, &WheelDigest)| KnownWheel {
            path: path.clone(),
            digest: *digest,
            state: FileState::of(path),
            proven: OnceLock::new(),
            has_manifest: OnceLock::new(),
        };
        let wheels = inputs.obtain()?.iter().zip(digests).map(wheel).collect();
        let options = inputs.session.load_options(&inputs.spec);
        Ok(Self { store, wheels, options })
    }

    /// Whether the wheel's file is known to have its digest.
    fn is_proven(&self, wheel: &KnownWheel) -> bool {
        *wheel.proven.get_or_init(|| {
            let known = self.store.zip(wheel.state.as_ref());
            known.and_then(|(store, state)| store.hashed(&wheel.path, state)) == Some(wheel.digest)
        })
    }

    /// The wheels whose digest nobody has compared yet, in this state.
    pub fn unproven(&self) -> Vec<(WheelIndex, WheelDigest)> {
        let unproven = self.wheels.iter().enumerate().filter(|(_, wheel)| !self.is_proven(wheel));
        unproven.map(|(index, wheel)| (WheelIndex(index), wheel.digest)).collect()
    }

    /// The manifest of a wheel, where its file is known to have its digest and was read before.
    pub fn manifest(&self, index: usize, file: &WheelFilename) -> Option<WheelManifest> {
        let (store, wheel) = (self.store?, &self.wheels[index]);
        if !self.is_proven(wheel) {
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
    pub fn members(&self) -> Vec<Option<KnownMembers>> {
        let known = |wheel: &KnownWheel| KnownMembers::decode(&self.store?.wheel(wheel.digest)?);
        self.wheels.iter().map(known).collect()
    }

    /// Keeps that the files have their digests, after they were compared; all of them must be as
    /// they were before.
    ///
    /// # Errors
    /// A file has changed meanwhile.
    pub fn remember_files(&self) -> Result<(), Error> {
        for wheel in &self.wheels {
            let KnownWheel { path, digest, state, .. } = wheel;
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
