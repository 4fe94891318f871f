//! Making a tree from its wheels, and what is learnt on the way.
//!
//! Part of the engine. Nothing is written before there is a plan. What the store knows of the
//! wheels is used, and it is told what was read.

use std::os::fd::AsFd as _;

use crate::effects::caches::store::area::{Area, Counts};
use crate::effects::caches::store::states::States;
use crate::effects::host::replaceable::Replaceable;
use crate::effects::sink::directory::{self, StoreUse, WriteOptions};
use crate::effects::sink::foreseen::Foreseen;
use crate::effects::sink::publish::Unfinished;
use crate::effects::sink::tree::TreeWriteError;
use crate::effects::source::supply::SupplyErrors;
use crate::effects::wheels::load::Wheel;
use crate::effects::work::parallel;
use crate::engine::find::CachedAction;
use crate::engine::inputs::Inputs;
use crate::engine::known_wheels::{self, KnownWheels};
use crate::engine::output::{Output, Way};
use crate::engine::overlays;
use crate::engine::place::signed;
use crate::engine::places::Places;
use crate::engine::prepared::Prepared;
use crate::engine::report::{Outcome, Report, Source};
use crate::engine::session::Session;
use crate::error::Error;
use crate::model::digest::WheelDigest;
use crate::model::plan::WheelIndex;
use crate::model::spec::{InputDigests, Spec};
use crate::model::tree::Tree;
use crate::model::wheel::known::KnownMembers;

/// A wheel, by its position in the spec, whose whole file is compared with a digest.
type Pinned = (WheelIndex, WheelDigest);

/// What is made, of what, and who learns of it.
struct Making<'a> {
    session: &'a Session,
    places: &'a Places,
    output: &'a Output<'a>,
    prepared: &'a Prepared,
    cached: Option<&'a CachedAction<'a>>,
    known: Option<&'a KnownWheels<'a>>,
}

/// What was made, or was there already.
struct Made {
    outcome: Outcome,
    tree: Tree,
    links: Counts,
}

/// A directory that has all its files, but not its place yet.
struct Filled {
    unfinished: Unfinished,
    /// How its entries look, where that is known and to be remembered.
    states: Option<States>,
    tree: Tree,
    links: Counts,
}

/// Makes the environment from the wheels, and tells the caches.
///
/// # Errors
/// Inputs are not what they should be, the output is taken, or the file system refuses.
pub(super) fn from_wheels(
    inputs: Inputs<'_>,
    output: &Output<'_>,
    cached: Option<&CachedAction<'_>>,
) -> Result<Report, Error> {
    let session = inputs.session;
    let places = inputs.places;
    let store = cached.and_then(|cached| cached.store.as_ref());
    let known = cached.map(|_| inputs.known_wheels(store)).transpose()?;
    let known = known.as_ref();
    let mut prepared = inputs.load(known, store)?;
    let make = |prepared: &Prepared| {
        let making = Making { session, places, output, prepared, cached, known };
        known_wheels::with_files(known, prepared, (session, places), || making.make())
    };
    let Made { outcome, tree, links } = match (make(&prepared), store) {
        (Err(error), Some(store)) => {
            if !overlays::mend(&mut prepared, session, places, store, known)? {
                return Err(error);
            }
            make(&prepared)?
        }
        (made, _) => made?,
    };
    let source = match outcome {
        Outcome::UpToDate => Source::Output,
        Outcome::Built | Outcome::Replaced => Source::Wheels,
    };
    let action = cached.map(CachedAction::key);
    let report = Report { action, links, ..Report::of(&tree, outcome, source) };
    let warnings = std::mem::take(&mut prepared.plan.warnings);
    session.let_go((prepared, tree));
    Ok(Report { warnings, ..report })
}

/// The wheels whose file is compared with the digest that the spec pins.
pub(super) fn pinned(spec: &Spec) -> Vec<Pinned> {
    match spec.flags.input_digests {
        InputDigests::Pinned => spec
            .wheels
            .iter()
            .enumerate()
            .filter_map(|(index, wheel)| Some((WheelIndex(index), wheel.sha256?)))
            .collect(),
        InputDigests::Trusted => Vec::new(),
    }
}

impl Making<'_> {
    /// The wheels that are compared with their digests.
    fn pinned(&self) -> Vec<Pinned> {
        match self.known {
            // What caches are told must be true: here wheels are compared with their digests even
            // where a build system vouches for them, unless that was done before and nobody touched
            // them since.
            Some(known) => known.unproven(),
            None => pinned(&self.prepared.spec),
        }
    }

    fn make(&self) -> Result<Made, Error> {
        if !self.output.is_occupied() {
            return self.write(None);
        }
        let members = self.members();
        let (expected, _) = self.prepared.predict(self.session, &members)?;
        match self.output.way(&expected)? {
            Way::Done => self.confirm(expected),
            Way::Free(old) => self.write(old.as_ref()),
        }
    }

    /// What the store knows of the wheels' members, where there is one.
    fn members(&self) -> Vec<Option<KnownMembers>> {
        let workers = self.session.planners(self.prepared.plan.entries.len());
        self.known.map(|known| known.members(&workers)).unwrap_or_default()
    }

    /// Leaves what is there, and says of it what is true.
    fn confirm(&self, tree: Tree) -> Result<Made, Error> {
        if let Some(known) = self.known {
            let supply = self.prepared.supply();
            let pinned = self.pinned();
            let check = |turn: usize| supply.check_wheel(pinned[turn].0, pinned[turn].1);
            parallel::map(self.session.threads(), pinned.len(), check)
                .map_err(SupplyErrors::from)?;
            known.remember_files()?;
        }
        self.finish(&tree)?;
        if let Some(cached) = self.cached {
            cached.stamp(self.output.path(), &tree, Outcome::UpToDate);
        }
        Ok(Made { outcome: Outcome::UpToDate, tree, links: Counts::default() })
    }

    /// Writes the environment and puts it in its place, or in that of what gives way.
    fn write(&self, old: Option<&Replaceable>) -> Result<Made, Error> {
        for overlay in &self.prepared.overlays {
            overlay.check()?;
        }
        let members = self.members();
        let Filled { unfinished, states, tree, links } = match self.link(&members)? {
            Some(filled) => filled,
            // A directory that is half written is of no use any more.
            None => self.fill(&members)?,
        };
        if let Some(known) = self.known {
            known.remember_files()?;
        }
        let outcome = self.output.publish((unfinished, states), &tree, old)?;
        self.finish(&tree)?;
        if let Some(known) = self.known {
            known.remember(self.prepared, &members, &tree);
        }
        if let Some(cached) = self.cached {
            cached.remember(&tree);
            cached.stamp(self.output.path(), &tree, outcome);
            self.output.let_go();
            cached.upload(self.output.path(), &tree);
        }
        self.session.let_go(members);
        Ok(Made { outcome, tree, links })
    }

    /// The store's linkable files for a directory.
    fn area<'s>(&'s self, unfinished: &'s Unfinished) -> Option<Area<'s>> {
        let cached = self.cached?;
        let destination = unfinished.directory().handle().as_fd();
        let mtime = signed(self.prepared.spec.flags.mtime);
        Some(cached.store.as_ref()?.area(mtime, cached.caches.link_mode, destination))
    }

    /// Writes the tree out of what the store has, where it knows all that the wheels hold; nothing
    /// where bytes of theirs are needed after all.
    fn link(&self, members: &[Option<KnownMembers>]) -> Result<Option<Filled>, Error> {
        let Some(known) = self.known else { return Ok(None) };
        if members.iter().any(Option::is_none) || !known.unproven().is_empty() {
            return Ok(None);
        }
        let Prepared { spec, plan, .. } = self.prepared;
        let unfinished = Unfinished::new(self.output.path())?;
        let Some(area) = self.area(&unfinished) else { return Ok(None) };
        let store = StoreUse { area: &area, wheels: members };
        let (function, mtime) = (spec.flags.digest_function, spec.flags.mtime);
        let supply = self.prepared.supply();
        let progress = &self.session.progress;
        let foreseen = Foreseen::of(plan, &supply, store, (function, mtime), progress);
        let Some(foreseen) = foreseen else { return Ok(None) };
        let tree = self.prepared.tree(self.session, &foreseen.digests);
        let how = (self.session.threads(), self.output.is_remembered());
        let states = match foreseen.write(&tree, unfinished.directory(), how) {
            Ok(states) => states,
            Err(TreeWriteError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let links = area.counts();
        self.session.let_go(foreseen);
        drop(area);
        Ok(Some(Filled { unfinished, states, tree, links }))
    }

    /// Writes the tree out of the store and the wheels.
    fn fill(&self, members: &[Option<KnownMembers>]) -> Result<Filled, Error> {
        let unfinished = Unfinished::new(self.output.path())?;
        let area = self.area(&unfinished);
        let store = area.as_ref().map(|area| StoreUse { area, wheels: members });
        let Prepared { spec, plan, .. } = self.prepared;
        let options = WriteOptions {
            mtime: spec.flags.mtime,
            function: spec.flags.digest_function,
            threads: self.session.threads(),
            progress: &self.session.progress,
            pinned: &[],
            store,
        };
        let supply = self.prepared.supply();
        if let Some(known) = self.known {
            let lacking = directory::lacking(plan, &supply, options);
            let wanted = |index: WheelIndex, _: &Wheel| lacking.contains(&index);
            known.open_absent(self.prepared, self.session, self.places, wanted)?;
        }
        let options = WriteOptions { pinned: &self.pinned(), ..options };
        let digests = directory::write(plan, &supply, unfinished.directory(), options)?;
        let tree = self.prepared.tree(self.session, &digests);
        let links = area.as_ref().map(Area::counts).unwrap_or_default();
        drop(area);
        Ok(Filled { unfinished, states: None, tree, links })
    }

    /// Writes what goes beside the environment.
    fn finish(&self, tree: &Tree) -> Result<(), Error> {
        self.output.write_manifest(self.prepared, tree)?;
        self.output.write_digest(tree.digest())
    }
}
