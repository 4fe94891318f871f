//! Who knows the tree of a spec already: a stamp, the local store, the remote cache; and telling
//! them of one that was made.
//!
//! Part of the engine. They are asked in the order of cost. What goes wrong with them is a note, as
//! long as the wheels are there.

use std::cell::OnceCell;

use camino::Utf8Path;

use crate::effects::caches::blob::{ActionCache as _, BlobError};
use crate::effects::caches::store::Store;
use crate::effects::caches::store::stamp::{self, Stamp};
use crate::effects::caches::transfer::{self, Cache, TreeFiles};
use crate::effects::host::notes::Notes;
use crate::effects::work::parallel::Threads;
use crate::engine::inputs::Inputs;
use crate::engine::key;
use crate::engine::report::{BuildRequest, Outcome, Source};
use crate::engine::session::{Caches, Session};
use crate::engine::skeleton::Skeleton;
use crate::engine::turns::Turns;
use crate::error::Error;
use crate::model::action::{Action, ActionResult};
use crate::model::digest::{ActionDigest, DigestFunction, Hash};
use crate::model::request;
use crate::model::tree::Tree;
use crate::model::tree::receive::OutwardLinks;
use crate::model::tree::walk::Totals;

/// The stamp of an output that is still what was made of the same text, where that text decides
/// everything: known before the spec is read.
pub(super) fn unchanged(
    caches: &Caches,
    request: &BuildRequest,
) -> Option<(Stamp, DigestFunction)> {
    if request.manifest.is_some() || request.text.is_none() || request.look {
        return None;
    }
    DigestFunction::ALL.into_iter().find_map(|function| {
        let store = caches.open_store(function)?;
        let stamp = store.stamp(&request.out)?;
        if stamp.text != request.text {
            return None;
        }
        store.renew_stamped(&request.out, stamp.root);
        Some((stamp, function))
    })
}

/// An action, and the caches that may know what it makes.
pub(super) struct CachedAction<'a> {
    session: &'a Session,
    pub caches: &'a Caches,
    /// The local store, where there is one.
    pub store: Option<Store>,
    action: Action,
    /// What stands for the spec's text, where that decides the action.
    text: Option<Hash>,
    /// What nobody else makes meanwhile.
    pub turns: Turns,
}

impl<'a> CachedAction<'a> {
    /// The action of a spec; nothing where there are no caches to ask.
    ///
    /// # Errors
    /// An input that the key needs cannot be read.
    pub fn of(
        caches: &'a Caches,
        inputs: &Inputs<'a>,
        request: &BuildRequest,
    ) -> Result<Option<Self>, Error> {
        if caches.is_empty() {
            return Ok(None);
        }
        let action = key::of(inputs)?;
        let store = caches.open_store(action.function());
        let text = request.text.filter(|_| request::follows_from(&inputs.spec));
        let turns = Turns::default();
        Ok(Some(Self { session: inputs.session, caches, store, action, text, turns }))
    }

    /// The key.
    pub fn key(&self) -> ActionDigest {
        self.action.digest()
    }

    /// The digest function of the key and the tree.
    pub fn function(&self) -> DigestFunction {
        self.action.function()
    }

    /// The stamp of an output that this action made and that nobody changed since, as far as its
    /// directories show that.
    pub fn stamped(&self, request: &BuildRequest) -> Option<Stamp> {
        if request.manifest.is_some() {
            return None;
        }
        let stamp = self.store.as_ref()?.stamp(&request.out)?;
        if stamp.action != self.key() {
            return None;
        }
        if let Some(store) = &self.store {
            store.renew_stamped(&request.out, stamp.root);
        }
        if stamp.text != self.text {
            self.set_stamp(&request.out, &Stamp { text: self.text, ..stamp.clone() });
        }
        Some(stamp)
    }

    /// The tree, where the store or the remote cache knows it. Where the store does not, nobody else
    /// who has the same store makes or downloads it from then on.
    pub fn find(&self, inputs: &Inputs<'_>) -> Option<(Tree, Source)> {
        let skeleton = OnceCell::new();
        let skeleton = || skeleton.get_or_init(|| Skeleton::of(inputs)).as_ref();
        let ask = |cache, place: &str| self.ask(cache, place, inputs, &skeleton);
        if let Some(store) = &self.store {
            let ask_store = || ask(store, &format!("the store `{}`", store.root()));
            let progress = &self.session.progress;
            let is_there = || store.has_action_result(self.key());
            let found = ask_store().or_else(|| {
                let may_be_there = self.turns.take(store, self.key().0.hash, progress, is_there);
                may_be_there.then(ask_store).flatten()
            });
            if let Some(tree) = found {
                self.turns.end();
                return Some((tree, Source::Store));
            }
        }
        let remote = self.caches.readable()?;
        Some((ask(remote, remote.place())?, Source::Remote))
    }

    /// Makes a tree that was not found: others who want it, or one of its wheels, wait for that.
    ///
    /// # Errors
    /// Those of the work.
    pub fn make<R>(
        &self,
        inputs: Inputs<'_>,
        make: impl FnOnce(Inputs<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let progress = &self.session.progress;
        self.turns.hold(progress, || {
            if let Some(store) = self.store.as_ref().filter(|store| store.is_writable()) {
                self.turns.take_wheels(store, inputs.wheel_digests()?, progress);
            }
            make(inputs)
        })
    }

    /// The tree that one cache has, where it can be one of the spec. Nothing but the cache says
    /// that it is the action's: it must at least look like it.
    fn ask<'s>(
        &self,
        cache: &dyn Cache,
        place: &str,
        inputs: &Inputs<'_>,
        skeleton: &dyn Fn() -> Option<&'s Skeleton>,
    ) -> Option<Tree> {
        let notes = &self.caches.notes;
        let refuse = |reason: &dyn std::fmt::Display| {
            notes.add(format!(
                "the result that {place} has for this environment is not used: {reason}"
            ));
        };
        let found = match transfer::find(cache, place, &self.action, &refuse) {
            Ok(found) => found?,
            Err(error) => {
                note(notes, &error);
                return None;
            }
        };
        let skeleton = skeleton();
        let links = skeleton.map_or(OutwardLinks::Refuse, Skeleton::links);
        let workers = Threads(self.session.threads());
        let tree = match found.tree(self.action.function(), links, &workers) {
            Ok(tree) => tree,
            Err(error) => {
                refuse(&error);
                return None;
            }
        };
        match skeleton.map_or(Ok(()), |skeleton| skeleton.check(&inputs.spec, &tree)) {
            Ok(()) => Some(tree),
            Err(reason) => {
                refuse(&reason);
                None
            }
        }
    }

    /// Keeps in the local store what the action made.
    pub fn remember(&self, tree: &Tree) {
        if let Some(store) = &self.store {
            store.attempt(|| {
                let message = store.remember_tree(tree)?;
                let result = ActionResult { tree: message, root: Some(tree.digest()) };
                store.set_action_result(self.key(), &result.encode(&self.action))
            });
        }
    }

    /// Keeps a tree that a cache knew: what the store knew itself was only used again.
    pub fn remember_found(&self, tree: &Tree, source: Source) {
        let renew = |store: &Store| source == Source::Store && store.renew_tree(tree.digest());
        if !self.store.as_ref().is_some_and(renew) {
            self.remember(tree);
        }
    }

    /// Notes in the store what the output holds now.
    pub fn stamp(&self, out: &Utf8Path, tree: &Tree, outcome: Outcome) {
        let directories = match outcome {
            // Running Python adds directories of bytecode.
            Outcome::UpToDate => stamp::directories_at(out),
            Outcome::Built | Outcome::Replaced => Some(stamp::directories_of(tree)),
        };
        let Some(directories) = directories else {
            return;
        };
        let Totals { files, bytes } = tree.totals();
        let stamp = Stamp {
            action: self.key(),
            root: tree.digest(),
            files,
            bytes,
            text: self.text,
            directories,
        };
        self.set_stamp(out, &stamp);
    }

    fn set_stamp(&self, out: &Utf8Path, stamp: &Stamp) {
        if let Some(store) = &self.store {
            store.attempt(|| store.set_stamp(out, stamp));
        }
    }

    /// Tells the remote cache of a tree that was made of the wheels and lies at `out`.
    pub fn upload(&self, out: &Utf8Path, tree: &Tree) {
        // The store has it, which is all that others wait for.
        self.turns.end();
        let Some(remote) = self.caches.writable() else {
            return;
        };
        let files = TreeFiles::new(out, tree);
        if let Err(error) =
            transfer::publish(remote, &self.action, tree, &files, &self.session.progress)
        {
            note(&self.caches.notes, &error);
        }
    }
}

/// Notes what went wrong with a cache.
pub(super) fn note(notes: &Notes, error: &BlobError) {
    notes.add(crate::error::chain(error));
}
