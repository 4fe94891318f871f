//! The place that an environment is to have: what is there, whether that may stay or give way, and
//! how a finished directory comes to be there.
//!
//! Part of the engine. Nothing else decides whether an output is taken.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::time::SystemTime;

use camino::Utf8Path;

use crate::effects::caches::store::Store;
use crate::effects::caches::store::stamp::Stamp;
use crate::effects::caches::store::states::States;
use crate::effects::host::fs::{self, FsError, Kind};
use crate::effects::host::hold::Hold;
use crate::effects::host::notes::Notes;
use crate::effects::host::replaceable::{self, Replaceable};
use crate::effects::host::state::State;
use crate::effects::scan::{self, Scan, View, bytecode};
use crate::effects::sink::publish::{self, PublishError, Unfinished};
use crate::effects::sink::{seal, times};
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::prepared::Prepared;
use crate::engine::report::{BuildRequest, Existing, Outcome, SharedPlace};
use crate::engine::session::Session;
use crate::error::{Error, OtherTree, OutputTaken};
use crate::model::digest::DirectoryDigest;
use crate::model::manifest;
use crate::model::path::TreePath;
use crate::model::tree::{Leaf, Node, Tree};
use crate::model::verify::{self, Deviation};

/// The file that every environment has, and no other directory.
const CONFIGURATION: &str = "pyvenv.cfg";

/// What is at an output when a finished directory finds no room there.
enum Now {
    /// The same tree.
    Done,
    /// Nothing, or something that may be replaced.
    GivesWay(Option<Replaceable>),
    /// Something else.
    Stays,
}

/// An output, as it was when it was looked at.
pub(super) struct Output<'a> {
    session: &'a Session,
    request: &'a BuildRequest,
    notes: &'a Notes,
    before: Kind,
    /// Whether what is put there may have other names in a store.
    may_be_linked: bool,
    /// Who remembers how outputs look; nobody where they are not looked at.
    store: Option<&'a Store>,
    states: OnceCell<Option<States>>,
    /// Who else replaces what is there waits until this is dropped.
    hold: RefCell<Option<Held>>,
}

/// What keeps others from replacing what is in the place.
enum Held {
    /// It is to give way.
    Old(#[expect(dead_code, reason = "it is there to be dropped")] Hold),
    /// It was put there, and is not yet said everywhere to be there.
    New(#[expect(dead_code, reason = "it is there to be dropped")] Unfinished),
}

/// How often it is tried to replace what others replace meanwhile, without waiting for them.
const TRIES: usize = 16;

/// What is to be done at an output.
pub(super) enum Way {
    /// Nothing: it holds the tree already.
    Done,
    /// To put the tree there, where nothing is or where this is that gives way.
    Free(Option<Replaceable>),
}

impl<'a> Output<'a> {
    /// Looks at what is there.
    ///
    /// # Errors
    /// It is no directory, so that it can neither be the tree nor give way.
    pub fn look(
        session: &'a Session,
        request: &'a BuildRequest,
        notes: &'a Notes,
    ) -> Result<Self, Error> {
        let before = fs::kind(&request.out)?;
        let (store, states, hold) = (None, OnceCell::new(), RefCell::new(None));
        let may_be_linked = false;
        let output = Self { session, request, notes, before, may_be_linked, store, states, hold };
        if output.before == Kind::Other {
            output.old()?;
        }
        Ok(output)
    }

    /// The same where a store may remember how outputs look.
    #[must_use]
    pub fn remembered_by(self, store: Option<&'a Store>) -> Self {
        let may_be_linked = store.is_some();
        Self { may_be_linked, store: store.filter(|_| self.request.look), ..self }
    }

    /// The place.
    pub fn path(&self) -> &'a Utf8Path {
        &self.request.out
    }

    /// Whether a store is to remember how the entries look.
    pub fn is_remembered(&self) -> bool {
        self.store.is_some()
    }

    /// Whether a manifest is to be written.
    pub fn wants_manifest(&self) -> bool {
        self.request.manifest.is_some()
    }

    /// Whether something is there, so that what becomes of it depends on the tree.
    pub fn is_occupied(&self) -> bool {
        self.before == Kind::Directory
    }

    /// What is to be done so that the tree is there.
    ///
    /// # Errors
    /// Something else is there that may not give way.
    pub fn way(&self, tree: &Tree) -> Result<Way, Error> {
        if !self.is_occupied() {
            return Ok(Way::Free(None));
        }
        self.wait();
        if self.request.existing != Existing::Renew && self.may_be(tree) && self.is(tree)? {
            return Ok(Way::Done);
        }
        Ok(Way::Free(Some(self.old()?)))
    }

    /// Waits for others who replace what is there, if that is to give way here.
    fn wait(&self) {
        if self.request.existing != Existing::Keep {
            let waiting = || self.session.progress.begin(Phase::Waiting, Amount::default());
            // First: this may be what holds it.
            self.let_go();
            *self.hold.borrow_mut() = Hold::take(self.path(), waiting).map(Held::Old);
        }
    }

    /// Lets others replace what is there: it is known everywhere what that is.
    pub fn let_go(&self) {
        self.hold.borrow_mut().take();
    }

    /// What is there, where it may give way.
    fn old(&self) -> Result<Replaceable, Error> {
        match self.request.existing {
            Existing::Keep => {
                replaceable::check_contents(self.path())?;
                Err(OutputTaken { path: self.path().to_owned() }.into())
            }
            Existing::Replace | Existing::Renew => {
                Ok(replaceable::check(self.path(), &self.request.protected)?)
            }
        }
    }

    /// How its entries looked when that was known last.
    fn states(&self) -> Option<&States> {
        let read = || self.store?.states(self.path());
        self.states.get_or_init(read).as_ref()
    }

    /// Whether it is still what its stamp says, as far as the request wants to know that: its
    /// directories are the same, or every entry looks as it did when it was written or read.
    pub fn is_still(&self, stamp: &Stamp) -> bool {
        match (self.request.existing, self.request.look) {
            (Existing::Renew, _) => false,
            (Existing::Keep | Existing::Replace, false) => true,
            (Existing::Keep | Existing::Replace, true) => {
                let states = self.states().filter(|states| states.root == stamp.root);
                states.is_some_and(|states| states.hold(self.path(), self.session.threads()))
            }
        }
    }

    /// Keeps how its entries look, now that it is known what it holds.
    fn remember(&self, states: Option<&States>) {
        if let Some((store, states)) = self.store.zip(states) {
            store.attempt(|| store.set_states(self.path(), states));
        }
    }

    /// Whether it is worth reading: what is no environment need not be compared with one.
    fn may_be(&self, tree: &Tree) -> bool {
        tree.get(CONFIGURATION).is_none() || publish::is_environment(self.path())
    }

    /// Whether the directory that is there is the tree, apart from bytecode that running Python
    /// left there. Files are read unless they look as they did when that was known. One that
    /// somebody replaces or changes meanwhile is looked at again, and is another one if that goes on.
    fn is(&self, expected: &Tree) -> Result<bool, Error> {
        for _ in 0..TRIES {
            match self.is_now(expected) {
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
                result => return Ok(result?),
            }
        }
        Ok(false)
    }

    fn is_now(&self, expected: &Tree) -> Result<bool, FsError> {
        let (path, threads) = (self.path(), self.session.threads());
        let states = self.states();
        if states
            .is_some_and(|states| states.root != expected.digest() && states.hold(path, threads))
        {
            return Ok(false);
        }
        let states = states.filter(|states| states.root == expected.digest());
        let states = states.map(States::by_path).unwrap_or_default();
        let known = |path: &TreePath, now: &State| {
            states.get(path.as_str()).filter(|state| state.is_still(now))?;
            match expected.get(path.as_str())? {
                Node::Leaf(Leaf::File { blob, .. }) => Some(blob.0),
                Node::Leaf(Leaf::Symlink(_)) | Node::Directory(_) => None,
            }
        };
        let since = SystemTime::now();
        let (Scan { tree, odd }, looks) =
            match scan::scan_with(path, expected.function(), threads, &known) {
                // What is written here can be read by whoever wrote it.
                Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                    return Ok(false);
                }
                result => result?,
            };
        let judge = |pyc: &_| bytecode::judge(path, View::Exact, pyc);
        let found = || verify::compare(expected, &tree, &judge);
        let is_it =
            odd.is_empty() && found().iter().all(|found| found.deviation == Deviation::Bytecode);
        if is_it && self.store.is_some() {
            let states = looks.into_iter().map(|(path, state)| (path.as_str().to_owned(), state));
            self.remember(Some(&States::new(expected.digest(), states, since)));
        }
        Ok(is_it)
    }

    /// Puts a finished directory in its place, or in that of what gives way. Its entries are looked
    /// at where whoever wrote it did not, and that is to be remembered.
    ///
    /// # Errors
    /// Something else came to be there meanwhile that does not give way, or the file system refuses.
    pub fn publish(
        &self,
        (mut unfinished, states): (Unfinished, Option<States>),
        tree: &Tree,
        old: Option<&Replaceable>,
    ) -> Result<Outcome, Error> {
        let states = match self.request.distinct_times {
            true => {
                let threads = self.session.threads();
                times::distinguish(unfinished.directory(), tree, self.may_be_linked, threads)?;
                None
            }
            false => states,
        };
        if let Some(shared) = &self.request.shared {
            self.prepare_shared(&unfinished, tree, shared)?;
        }
        // Before it has its place, where others may change it.
        let look = || States::of_written(tree, unfinished.directory(), self.session.threads());
        let states = states.or_else(|| self.is_remembered().then(look).flatten());
        let mut old = old.cloned();
        for _ in 0..TRIES {
            let put = match &old {
                None => unfinished.publish().map(|()| Outcome::Built),
                Some(old) => unfinished.exchange(old).map(|left| {
                    left.iter().for_each(|left| self.notes.add(crate::error::chain(left)));
                    Outcome::Replaced
                }),
            };
            match put {
                Ok(outcome) => {
                    *self.hold.borrow_mut() = Some(Held::New(unfinished));
                    self.remember(states.as_ref());
                    if let (None, Some(SharedPlace { environments, mtime, .. })) =
                        (&old, &self.request.shared)
                    {
                        environments.finish(tree, *mtime)?;
                    }
                    return Ok(outcome);
                }
                // Another build may have been faster.
                Err(PublishError::Taken { path }) => match self.now(tree)? {
                    Now::Done => return Ok(Outcome::UpToDate),
                    Now::GivesWay(now) => old = now,
                    Now::Stays => return Err(PublishError::Taken { path }.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(PublishError::Taken { path: self.path().to_owned() }.into())
    }

    /// What has come to be there meanwhile.
    fn now(&self, tree: &Tree) -> Result<Now, Error> {
        let replaces = self.request.existing != Existing::Keep;
        let kind = fs::kind(self.path())?;
        if replaces && matches!(kind, Kind::Absent | Kind::EmptyDirectory) {
            return Ok(Now::GivesWay(None));
        }
        if kind == Kind::Directory {
            self.wait();
            if self.request.existing != Existing::Renew && self.is(tree)? {
                return Ok(Now::Done);
            }
        }
        Ok(if replaces { Now::GivesWay(Some(self.old()?)) } else { Now::Stays })
    }

    /// Makes sure that a directory is what everybody expects where it will be shared, and that
    /// nobody writes to it there.
    fn prepare_shared(
        &self,
        unfinished: &Unfinished,
        tree: &Tree,
        shared: &SharedPlace,
    ) -> Result<(), Error> {
        let (found, expected) = (tree.digest(), shared.digest);
        if found != expected {
            return Err(OtherTree { found, expected }.into());
        }
        if shared.environments.is_sealed() {
            seal::seal(unfinished.directory())?;
        }
        Ok(())
    }

    /// Writes the digest file, where there is to be one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_digest(&self, digest: DirectoryDigest) -> Result<(), Error> {
        write_digest(self.request, digest)
    }

    /// Writes the manifest, where there is to be one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_manifest(&self, prepared: &Prepared, tree: &Tree) -> Result<(), Error> {
        let Some(file) = &self.request.manifest else {
            return Ok(());
        };
        Ok(file.write(|mut out| {
            manifest::write(&mut out, &prepared.spec, &prepared.inputs(), &prepared.plan, tree)
        })?)
    }
}

/// Writes the digest file of a request, where there is to be one.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_digest(request: &BuildRequest, digest: DirectoryDigest) -> Result<(), Error> {
    match &request.digest_file {
        Some(file) => Ok(file.write(|out| writeln!(out, "{digest}"))?),
        None => Ok(()),
    }
}

/// Empties the environment that is to be renewed, where it cannot be exchanged in one step.
///
/// # Errors
/// It may not give way, or something of it cannot be removed.
pub(super) fn empty(request: &BuildRequest) -> Result<(), Error> {
    let old = replaceable::check(&request.out, &request.protected)?;
    Ok(publish::empty_environment(&old)?)
}
