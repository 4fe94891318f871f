//! A spec with everything that it names opened, its plan, and the tree that the plan makes.
//!
//! Part of the engine.

use camino::Utf8Path;

use crate::effects::source::listing::ListedFiles;
use crate::effects::source::overlay::Overlay;
use crate::effects::source::supply::{Supply, SupplyErrors};
use crate::effects::wheels::load::Wheel;
use crate::effects::work::parallel;
use crate::engine::fetch::Arrivals;
use crate::engine::places::Places;
use crate::engine::session::Session;
use crate::error::Error;
use crate::model::bytecode::modules::Excluded;
use crate::model::digest::{BlobDigest, DigestFunction};
use crate::model::plan::bytecode::{self, Module};
use crate::model::plan::{Inputs, Plan, WheelIndex, WindowsLaunchers};
use crate::model::spec::Spec;
use crate::model::tree::Tree;
use crate::model::wheel::WheelManifest;
use crate::model::wheel::known::KnownMembers;
use crate::model::wheel::manifest::HashOrigin;

/// A spec with everything that it names opened, and the plan.
#[derive(Debug)]
pub struct Prepared {
    /// The spec.
    pub spec: Spec,
    /// The plan.
    pub plan: Plan,
    pub(super) wheels: Vec<Wheel>,
    pub(super) sources: Vec<ListedFiles>,
    pub(super) interpreter: Option<ListedFiles>,
    pub(super) launchers: Option<WindowsLaunchers>,
    pub(super) overlays: Vec<Overlay>,
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

impl Prepared {
    /// What planning knew of the inputs.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            wheels: self.wheels.iter().map(|wheel| &wheel.manifest).collect(),
            sources: self.sources.iter().map(ListedFiles::listing).collect(),
            interpreter: self.interpreter.as_ref().map(ListedFiles::listing),
            launchers: self.launchers.as_ref(),
        }
    }

    /// The modules of the plan but for those that are left out.
    pub(super) fn modules(&self, excluded: &Excluded) -> Vec<Module<'_>> {
        let wheels: Vec<&WheelManifest> = self.wheels.iter().map(|wheel| &wheel.manifest).collect();
        bytecode::modules(&self.plan, &self.spec, &wheels, excluded)
    }

    /// Where the bytes come from.
    pub fn supply(&self) -> Supply<'_> {
        Supply {
            wheels: &self.wheels,
            sources: &self.sources,
            interpreter: self.interpreter.as_ref(),
            overlays: &self.overlays,
        }
    }

    /// Opens the files of wheels that were only known, at these positions, and compares those with
    /// the pinned digests that are not `proven` to have them. Files that are not at hand are brought
    /// to this machine before.
    ///
    /// # Errors
    /// One cannot be had, or is another.
    pub(super) fn open_wheels(
        &self,
        wanted: &[usize],
        session: &Session,
        places: &Places,
        proven: impl Fn(usize, &Utf8Path) -> bool + Sync,
    ) -> Result<(), Error> {
        let wheels: Vec<_> = wanted.iter().map(|&index| self.spec.wheels[index].clone()).collect();
        let files = session.obtain(places, &wheels, Arrivals::default())?;
        let options = session.load_options(&self.spec);
        let supply = self.supply();
        let open = |turn: usize| {
            let (index, file) = (wanted[turn], &files[turn]);
            self.wheels[index].open(file, &options)?;
            match wheels[turn].sha256 {
                Some(digest) if !proven(index, file) => {
                    supply.check_wheel(WheelIndex(index), digest)
                }
                Some(_) | None => Ok(()),
            }
        };
        parallel::map(session.threads(), wanted.len(), open).map_err(SupplyErrors::from)?;
        Ok(())
    }

    /// Opens the files of all wheels that were only known.
    ///
    /// # Errors
    /// One cannot be had, or is another.
    pub(super) fn open_all(&self, session: &Session, places: &Places) -> Result<(), Error> {
        let wheels = self.wheels.iter().enumerate();
        let wanted = wheels.filter(|(_, wheel)| !wheel.is_open()).map(|(index, _)| index);
        self.open_wheels(&wanted.collect::<Vec<_>>(), session, places, |_, _| false)
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

    /// The tree that a build would write. With SHA-256 it follows from the wheels' RECORDs; with
    /// another function everything is inflated and hashed but for what is `known` of the wheels'
    /// members.
    ///
    /// # Errors
    /// Inputs are not what they should be.
    pub fn predict(
        &self,
        session: &Session,
        known: &[Option<KnownMembers>],
    ) -> Result<(Tree, Foresight), Error> {
        match self.spec.flags.digest_function {
            DigestFunction::Sha256 => {
                let planners = session.planners(self.plan.entries.len());
                Ok((self.plan.tree_sha256(&planners), Foresight::Claims))
            }
            function @ DigestFunction::Blake3 => {
                let found = self.supply().digests(&self.plan, function, known, session.threads());
                let (digests, inflated) = found.map_err(SupplyErrors)?;
                let foresight = if inflated == 0 { Foresight::Known } else { Foresight::Inflated };
                Ok((self.tree(session, &digests), foresight))
            }
        }
    }

    /// The tree, given the digest of every file by its position in the plan.
    pub(super) fn tree(&self, session: &Session, digests: &[BlobDigest]) -> Tree {
        self.plan.tree(
            self.spec.flags.digest_function,
            |index, _, _| digests[index],
            &session.planners(self.plan.entries.len()),
        )
    }
}
