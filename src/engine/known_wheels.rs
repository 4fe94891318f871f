//! What the store knows of a spec's wheels: those that nobody touched are neither hashed nor read
//! again.
//!
//! Part of the engine. Everything is known by the wheel's digest; that a file has it is known from
//! an earlier build, as long as the file's state is the same.

use camino::Utf8PathBuf;

use crate::effects::caches::store::Store;
use crate::effects::caches::store::hashed::FileState;
use crate::effects::host::input::InputError;
use crate::effects::wheels::load::LoadOptions;
use crate::engine::{Places, Prepared};
use crate::error::Error;
use crate::model::digest::{DigestFunction, Hash, WheelDigest};
use crate::model::plan::{Content, PlannedNode};
use crate::model::spec::Spec;
use crate::model::tree::{Leaf, Node, Tree};
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::known::KnownMembers;
use crate::model::wheel::{HashOrigin, WheelManifest, kept};

/// The wheels of a spec, as they were before they are read.
pub(super) struct KnownWheels<'a> {
    store: Option<&'a Store>,
    digests: Vec<WheelDigest>,
    files: Vec<(Utf8PathBuf, Option<FileState>)>,
    options: LoadOptions,
}

impl<'a> KnownWheels<'a> {
    /// Looks at the wheels' files.
    pub fn new(
        store: Option<&'a Store>,
        digests: Vec<WheelDigest>,
        spec: &Spec,
        places: &Places,
        options: LoadOptions,
    ) -> Self {
        // What is not at hand is known nowhere: it is asked for when it is read.
        let files = spec.wheels.iter().map(|wheel| {
            let path = places.wheel(wheel).unwrap_or_default();
            let state = FileState::of(&path);
            (path, state)
        });
        let files = files.collect();
        Self { store, digests, files, options }
    }

    /// Whether the wheel's file is known to have its digest.
    fn is_proven(&self, index: usize) -> bool {
        let (path, state) = &self.files[index];
        self.store.zip(state.as_ref()).and_then(|(store, state)| store.hashed(path, state))
            == Some(self.digests[index])
    }

    /// The wheels whose digest nobody has compared yet, in this state.
    pub fn unproven(&self) -> Vec<(usize, WheelDigest)> {
        self.digests
            .iter()
            .copied()
            .enumerate()
            .filter(|(index, _)| !self.is_proven(*index))
            .collect()
    }

    /// The manifest of a wheel, where its file is known to have its digest and was read before.
    pub fn manifest(&self, index: usize, file: &WheelFilename) -> Option<WheelManifest> {
        let store = self.store?;
        if !self.is_proven(index) {
            return None;
        }
        kept::decode(file, &store.manifest(self.manifest_key(index, file))?)
    }

    /// What a manifest depends on besides the rules, which the version of its record stands for.
    fn manifest_key(&self, index: usize, file: &WheelFilename) -> Hash {
        let LoadOptions { limits, allow, deny } = &self.options;
        Hash::sha256(
            format!("{}\n{}\n{limits:?}\n{allow:?}\n{deny:?}", self.digests[index], file.as_str())
                .as_bytes(),
        )
    }

    /// What is known of each wheel's members.
    pub fn members(&self) -> Vec<Option<KnownMembers>> {
        self.digests
            .iter()
            .map(|digest| KnownMembers::decode(&self.store?.wheel(*digest)?))
            .collect()
    }

    /// Keeps that the files have their digests, after they were compared; all of them must be as
    /// they were before.
    ///
    /// # Errors
    /// A file has changed meanwhile.
    pub fn remember_files(&self) -> Result<(), Error> {
        for (index, ((path, state), digest)) in self.files.iter().zip(&self.digests).enumerate() {
            if FileState::of(path) != *state {
                return Err(Error::Inputs(vec![InputError::Changed { path: path.clone() }.into()]));
            }
            if let Some((store, state)) = self.store.zip(state.as_ref())
                && !self.is_proven(index)
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
        let before = |index: usize, members: usize| {
            known[index].clone().filter(|known| known.members() == members)
        };
        let mut now: Vec<KnownMembers> = Vec::with_capacity(manifests.len());
        for (index, manifest) in manifests.iter().enumerate() {
            let count = manifest.members.len();
            let mut members = before(index, count).unwrap_or_else(|| KnownMembers::none(count));
            let read = |member: &usize| manifest.members[*member].origin == HashOrigin::Computed;
            (0..count).filter(read).for_each(|member| members.prove(member));
            now.push(members);
        }
        for (path, planned) in &prepared.plan.entries {
            if let PlannedNode::File {
                content: Content::Member { wheel, member }, sha256, ..
            } = &planned.node
            {
                now[*wheel].prove(*member);
                if tree.function() != DigestFunction::Sha256
                    && let Some(Node::Leaf(Leaf::File { blob, .. })) = tree.get(path.as_str())
                {
                    now[*wheel].add(*sha256, blob.0.hash);
                }
            }
        }
        for (index, (members, manifest)) in now.into_iter().zip(manifests).enumerate() {
            if manifest.findings.iter().any(|finding| finding.allowed) {
                // What the store knows is sound for every spec, and this is so only for those that
                // allow it.
                continue;
            }
            if known[index].as_ref() != Some(&members) {
                store.attempt(|| store.keep_wheel(self.digests[index], &members.encode()));
            }
            let key = self.manifest_key(index, &manifest.file);
            if !store.has_manifest(key) {
                store.attempt(|| store.keep_manifest(key, &kept::encode(manifest)));
            }
        }
    }
}
