//! Building with caches: what is known is linked or downloaded, what is not is built and kept.
//!
//! Part of the engine. The order is that of cost: the stamp of the output, the local store, the
//! remote cache, the wheels. Only the last needs them. Caches never change what is built, and what
//! goes wrong with them is a note, not an error, as long as the wheels are there.

use std::os::fd::AsFd as _;

use camino::Utf8Path;

use crate::effects::caches::blob::{ActionCache as _, BlobError};
use crate::effects::caches::store::area::{Area, Counts, LinkMode};
use crate::effects::caches::store::place::StorePlace;
use crate::effects::caches::store::stamp::{self, Stamp};
use crate::effects::caches::store::{Access, Store};
use crate::effects::caches::transfer::{self, PullError, RemoteCache, Told, TreeFiles};
use crate::effects::host::file_hash;
use crate::effects::host::fs::{self, Kind};
use crate::effects::host::notes::Notes;
use crate::effects::host::replaceable::Replaceable;
use crate::effects::host::staging::{self, Staging};
use crate::effects::scan::{self, Scan, View};
use crate::effects::sink::directory::StoreUse;
use crate::effects::sink::publish::Unfinished;
use crate::effects::sink::tree::{self as tree_sink, TreeWriteError};
use crate::effects::source::listing::{self, ListedFiles};
use crate::effects::work::parallel::{self, Threads};
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::base::Base;
use crate::engine::known_wheels::KnownWheels;
use crate::engine::{self, BuildRequest, Existing, Foresight, Outcome, Places, Prepared, Session};
use crate::error::{Error, Wanting};
use crate::model::action::{Action, ActionResult};
use crate::model::digest::{
    ActionDigest, Digest, DigestFunction, DirectoryDigest, Hash, WheelDigest,
};
use crate::model::plan::{Listing, PlanWarning};
use crate::model::request::{self, Facts};
use crate::model::spec::{InputPath, LauncherReference, Launchers, Python, Spec};
use crate::model::tree::receive::{self, OutwardLinks};
use crate::model::tree::{Directory, Leaf, Node, Tree};

/// The caches of a command.
#[derive(Default)]
pub struct Caches {
    /// Where the local store is, if there is to be one.
    pub store: Option<StorePlace>,
    /// How files come out of it.
    pub link_mode: LinkMode,
    /// The remote cache.
    pub remote: Option<Box<dyn RemoteCache>>,
    /// How many bytes the store may take, if there is a limit.
    pub limit: Option<u64>,
    /// What went less well than it could have.
    pub notes: Notes,
}

impl Caches {
    fn open_store(&self, function: DigestFunction) -> Option<Store> {
        self.store
            .clone()
            .map(|place| Store::open(place, function, Access::Write, self.notes.clone()))
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { store, link_mode, remote, limit, notes: _ } = self;
        let remote = remote.as_ref().map(|remote| remote.place().to_owned());
        formatter
            .debug_struct("Caches")
            .field("store", store)
            .field("link_mode", link_mode)
            .field("remote", &remote)
            .field("limit", limit)
            .finish_non_exhaustive()
    }
}

/// Where a tree came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was in its place already.
    Output,
    /// The local store knew it.
    Store,
    /// The remote cache knew it.
    Remote,
    /// The wheels.
    Wheels,
}

impl Source {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Store => "store",
            Self::Remote => "remote",
            Self::Wheels => "wheels",
        }
    }
}

/// What was built.
#[derive(Debug)]
pub struct CachedReport {
    /// How it ended.
    pub outcome: Outcome,
    /// Where the tree came from.
    pub source: Source,
    /// The digest function of both digests.
    pub function: DigestFunction,
    /// The root digest.
    pub root: DirectoryDigest,
    /// The key, where caches were used.
    pub action: Option<ActionDigest>,
    /// The tree's files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How files came out of the store.
    pub links: Counts,
    /// What a person should know of the plan; only where there was one.
    pub warnings: Vec<PlanWarning>,
    /// Whether it is known of the output's files, written or read just now, what they hold; else
    /// that its directories did not change since they were last looked at.
    pub looked: bool,
}

impl CachedReport {
    /// What a stamp says of it.
    fn new(function: DigestFunction, outcome: Outcome, source: Source, stamp: &Stamp) -> Self {
        let Stamp { action, root, files, bytes, text: _, directories: _ } = *stamp;
        Self {
            outcome,
            source,
            function,
            root,
            action: Some(action),
            files,
            bytes,
            links: Counts::default(),
            warnings: Vec::new(),
            looked: true,
        }
    }
}

/// The action of a spec: wheels without a pinned digest are hashed, first-party inputs are listed.
/// Wheels that are pinned need not be there.
///
/// # Errors
/// An input cannot be read.
pub fn action(session: &Session, spec: &Spec, places: &Places) -> Result<Action, Error> {
    places.check(spec)?;
    let list = |path: &InputPath| listing::list(&places.find(path), session.threads);
    let sources: Vec<ListedFiles> =
        spec.sources.iter().map(|source| list(&source.path)).collect::<Result<_, _>>()?;
    let interpreter = match &spec.python {
        Python::Inside { directory, .. } => Some(list(directory)?),
        Python::Relative { .. } | Python::Absolute { .. } | Python::Launcher { .. } => None,
    };
    let wheels = wheel_digests(session, spec, places)?;
    let sources: Vec<&Listing> = sources.iter().map(ListedFiles::listing).collect();
    let launchers = launcher_digests(spec, places)?;
    let facts = Facts {
        wheels: &wheels,
        sources: &sources,
        launchers: &launchers,
        interpreter: interpreter.as_ref().map(ListedFiles::listing),
    };
    let request = request::canonical(spec, facts);
    Ok(Action::new(spec.flags.digest_function, request::render(&request)))
}

/// The digests of all launchers: pinned, or those of the files.
fn launcher_digests(spec: &Spec, places: &Places) -> Result<Vec<(&'static str, Hash)>, Error> {
    let launchers = spec.launchers.iter().flat_map(Launchers::iter);
    let digest = |(name, launcher): (&'static str, &LauncherReference)| match launcher.sha256 {
        Some(digest) => Ok((name, digest)),
        None => Ok((name, Hash::sha256(&fs::read(&places.find(&launcher.path))?))),
    };
    launchers.map(digest).collect()
}

/// The digests of all wheels: pinned, or those of the files.
fn wheel_digests(
    session: &Session,
    spec: &Spec,
    places: &Places,
) -> Result<Vec<WheelDigest>, Error> {
    if let Some(digests) = pinned_digests(spec) {
        return Ok(digests);
    }
    parallel::map(session.threads, spec.wheels.len(), |index| {
        let wheel = &spec.wheels[index];
        match (wheel.sha256, places.wheel(wheel)) {
            (Some(digest), _) => Ok(digest),
            (None, Some(path)) => file_hash::of(&path)
                .map(WheelDigest)
                .map_err(|error| Error::Inputs(vec![error.into()])),
            (None, None) => Err(Error::Wanting(vec![Wanting::unfetched(wheel)])),
        }
    })
}

/// The digests of all wheels, where all are pinned.
fn pinned_digests(spec: &Spec) -> Option<Vec<WheelDigest>> {
    spec.wheels.iter().map(|wheel| wheel.sha256).collect()
}

/// The report of a build that has nothing to do, where that is known before the spec is read: the
/// output is still what was made of the same text, and that text decides everything.
///
/// # Errors
/// The digest file cannot be written.
pub fn unchanged(caches: &Caches, request: &BuildRequest) -> Result<Option<CachedReport>, Error> {
    if request.manifest.is_some() || request.text.is_none() || request.look {
        return Ok(None);
    }
    for function in DigestFunction::ALL {
        let stamp = caches.open_store(function).and_then(|store| store.stamp(&request.out));
        if let Some(stamp) = stamp.filter(|stamp| stamp.text == request.text) {
            request.write_digest(stamp.root)?;
            let report = CachedReport::new(function, Outcome::UpToDate, Source::Output, &stamp);
            return Ok(Some(CachedReport { looked: false, ..report }));
        }
    }
    Ok(None)
}

/// Builds an environment with the help of caches.
///
/// # Errors
/// As [`engine::build`]; what goes wrong with caches is noted only.
pub fn build(
    session: &Session,
    caches: &Caches,
    spec: Spec,
    places: &Places,
    request: &BuildRequest,
) -> Result<CachedReport, Error> {
    if caches.store.is_none() && caches.remote.is_none() {
        let prepared = engine::prepare(session, spec, places)?;
        let built = engine::build(session, &prepared, request, &caches.notes)?;
        return Ok(CachedReport {
            outcome: built.outcome,
            source: if built.outcome == Outcome::UpToDate {
                Source::Output
            } else {
                Source::Wheels
            },
            function: built.tree.function(),
            root: built.tree.digest(),
            action: None,
            files: built.files as u64,
            bytes: built.bytes,
            links: Counts::default(),
            warnings: prepared.plan.warnings,
            looked: true,
        });
    }
    let action = action(session, &spec, places)?;
    let store = caches.open_store(action.function());
    let text = request.text.filter(|_| request::follows_from(&spec));
    let placement = Placement { session, caches, request, store, mtime: spec.flags.mtime };
    let build = Build { placement, places, action, text };
    let built = build.run(spec)?;
    build.placement.keep_within_limit();
    Ok(built)
}

/// Plans an environment and the tree that a build would write, with the help of what the store
/// knows of the wheels. Those without a pinned digest are read, as it is known by their digests.
///
/// # Errors
/// Inputs are not what they should be, or there is no plan.
pub fn predict(
    session: &Session,
    caches: &Caches,
    spec: Spec,
    places: &Places,
) -> Result<(Prepared, Tree, Foresight), Error> {
    let function = spec.flags.digest_function;
    let store = caches.open_store(function);
    let Some((store, digests)) = store.as_ref().zip(pinned_digests(&spec)) else {
        let prepared = engine::prepare(session, spec, places)?;
        let (tree, foresight) = engine::predict(session, &prepared)?;
        return Ok((prepared, tree, foresight));
    };
    let wheels =
        KnownWheels::new(Some(store), digests, &spec, places, engine::load_options(session, &spec));
    let prepared =
        engine::prepare_with(session, spec, places, |index, file| wheels.manifest(index, file))?;
    let known = if function == DigestFunction::Sha256 { Vec::new() } else { wheels.members() };
    let (tree, foresight) = engine::predict_with(session, &prepared, &known)?;
    Ok((prepared, tree, foresight))
}

/// How a pull ended.
#[derive(Debug)]
pub struct PullReport {
    /// How it ended.
    pub outcome: Outcome,
    /// Where the tree came from.
    pub source: Source,
    /// The tree.
    pub tree: Tree,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How files came out of the store.
    pub links: Counts,
}

/// Puts the tree of a root digest (or of a `Tree` message's digest) in its place, out of the store
/// and the remote cache.
///
/// # Errors
/// No cache has it, or the output is taken or cannot be written.
pub fn pull(
    session: &Session,
    caches: &Caches,
    digest: Digest,
    function: DigestFunction,
    mtime: u64,
    request: &BuildRequest,
) -> Result<PullReport, Error> {
    let before = fs::kind(&request.out)?;
    if before == Kind::Other {
        request.old()?;
    }
    session.progress.begin(Phase::Downloading, Amount::default());
    let store = caches.open_store(function);
    let local = store.as_ref().and_then(|store| known_locally(store, digest, session.threads));
    let (tree, source) = match (local, caches.remote.as_deref()) {
        (Some(tree), _) => (tree, Source::Store),
        (None, Some(remote)) => {
            (transfer::pull(remote, remote.place(), digest, session.threads)?, Source::Remote)
        }
        (None, None) => {
            return Err(PullError::Absent { place: "the store".to_owned(), digest }.into());
        }
    };
    let placement = Placement { session, caches, request, store, mtime };
    let Some((outcome, links)) = placement.place(&tree, source, before)? else {
        let place = caches
            .remote
            .as_ref()
            .map_or_else(|| "the store".to_owned(), |remote| remote.place().to_owned());
        return Err(PullError::Files { place, digest }.into());
    };
    if let Some(store) = &placement.store {
        store.attempt(|| store.remember_tree(&tree).map(|_| ()));
    }
    request.write_digest(tree.digest())?;
    placement.keep_within_limit();
    let (files, bytes) = totals(&tree);
    Ok(PullReport { outcome, source, tree, files, bytes, links })
}

fn known_locally(store: &Store, digest: Digest, threads: usize) -> Option<Tree> {
    let root = DirectoryDigest(digest);
    let message = store.tree_message_of(root).unwrap_or(digest);
    let bytes = store.message(message, transfer::TREE_LIMIT).ok()??;
    let expected = (message != digest).then_some(root);
    receive::decode_tree(store.function(), &bytes, expected, OutwardLinks::Allow, &Threads(threads))
        .ok()
}

/// Brings a directory's tree to the remote cache. Returns the tree, the digest of its `Tree`
/// message, and how many blobs were missing.
///
/// # Errors
/// The directory holds what no tree can, or the cache cannot be written.
pub fn push(
    session: &Session,
    remote: &dyn RemoteCache,
    directory: &Utf8Path,
    function: DigestFunction,
) -> Result<(Tree, Digest, usize), Error> {
    session.progress.begin(Phase::Reading, Amount::default());
    let Scan { tree, odd } = scan::scan(directory, function, View::Exact, session.threads)?;
    if let Some((path, what)) = odd.first() {
        let message = format!("`{}` cannot be pushed: {what}", directory.join(path));
        return Err(Error::Usage { message, hint: None });
    }
    let (message, missing) =
        transfer::push(remote, &tree, &TreeFiles::new(directory, &tree), &session.progress)?;
    Ok((tree, message, missing))
}

/// A tree on its way to an output.
struct Placement<'a> {
    session: &'a Session,
    caches: &'a Caches,
    request: &'a BuildRequest,
    store: Option<Store>,
    mtime: u64,
}

/// One build, with what all of its steps need.
struct Build<'a> {
    placement: Placement<'a>,
    places: &'a Places,
    action: Action,
    /// What stands for the spec's text, where that decides the action.
    text: Option<Hash>,
}

impl<'a> std::ops::Deref for Build<'a> {
    type Target = Placement<'a>;

    fn deref(&self) -> &Placement<'a> {
        &self.placement
    }
}

impl Build<'_> {
    fn run(&self, spec: Spec) -> Result<CachedReport, Error> {
        let before = fs::kind(&self.request.out)?;
        if before == Kind::Other {
            self.request.old()?;
        }
        if before == Kind::Directory
            && !self.request.look
            && self.request.manifest.is_none()
            && let Some(stamp) =
                self.store.as_ref().and_then(|store| store.stamp(&self.request.out))
            && stamp.action == self.action.digest()
        {
            self.request.write_digest(stamp.root)?;
            let report = self.report(
                Outcome::UpToDate,
                Source::Output,
                &stamp,
                Counts::default(),
                Vec::new(),
            );
            if stamp.text != self.text {
                self.set_stamp(&Stamp { text: self.text, ..stamp });
            }
            return Ok(CachedReport { looked: false, ..report });
        }
        if let Some((tree, source)) = self.known(&spec)? {
            match self.place(&tree, source, before)? {
                Some((outcome, counts)) => {
                    if source == Source::Remote
                        || !self.store.as_ref().is_some_and(|store| store.renew_tree(tree.digest()))
                    {
                        self.remember(&tree);
                    }
                    let mut warnings = Vec::new();
                    if self.request.manifest.is_some() {
                        let prepared = engine::prepare(self.session, spec, self.places)?;
                        engine::finish(&prepared, self.request, &tree)?;
                        warnings = prepared.plan.warnings;
                    }
                    self.request.write_digest(tree.digest())?;
                    let stamp = self.stamp(&tree, outcome);
                    let source = if outcome == Outcome::UpToDate { Source::Output } else { source };
                    return Ok(self.report(outcome, source, &stamp, counts, warnings));
                }
                None => self.caches.notes.add("the environment is built from the wheels instead"),
            }
        }
        self.build(spec, before)
    }

    fn report(
        &self,
        outcome: Outcome,
        source: Source,
        stamp: &Stamp,
        links: Counts,
        warnings: Vec<PlanWarning>,
    ) -> CachedReport {
        CachedReport {
            links,
            warnings,
            ..CachedReport::new(self.action.function(), outcome, source, stamp)
        }
    }

    /// Notes in the store what the output holds now.
    fn stamp(&self, tree: &Tree, outcome: Outcome) -> Stamp {
        let (files, bytes) = totals(tree);
        let directories = match outcome {
            // Running Python adds directories of bytecode.
            Outcome::UpToDate => stamp::directories_at(&self.request.out),
            Outcome::Built | Outcome::Replaced => Some(stamp::directories_of(tree)),
        };
        let known = directories.is_some();
        let directories = directories.unwrap_or_default();
        let stamp = Stamp {
            action: self.action.digest(),
            root: tree.digest(),
            files,
            bytes,
            text: self.text,
            directories,
        };
        if known {
            self.set_stamp(&stamp);
        }
        stamp
    }

    fn set_stamp(&self, stamp: &Stamp) {
        if let Some(store) = &self.store {
            store.attempt(|| store.set_stamp(&self.request.out, stamp));
        }
    }

    /// The tree, where a cache knows it.
    fn known(&self, spec: &Spec) -> Result<Option<(Tree, Source)>, Error> {
        let base = Base::of(spec, self.places, self.session);
        let links = match &base {
            Some(base) => OutwardLinks::Only(&base.links),
            None => OutwardLinks::Refuse,
        };
        let notes = &self.caches.notes;
        if let Some(store) = &self.store {
            let place = format!("the store `{}`", store.root());
            match transfer::find(store, &place, &self.action, links, self.session.threads, notes) {
                Ok(Some(tree)) => return Ok(Some((tree, Source::Store))),
                Ok(None) => {}
                Err(error) => note(notes, &error),
            }
        }
        let Some(remote) = self.caches.remote.as_deref().filter(|remote| remote.reads()) else {
            return Ok(None);
        };
        match transfer::find(
            remote,
            remote.place(),
            &self.action,
            links,
            self.session.threads,
            notes,
        ) {
            Ok(Some(tree)) => {
                // Nothing but the server says that this tree is the action's: it must at least look
                // like it.
                match base.as_ref().map_or(Ok(()), |base| base.check(spec, &tree)) {
                    Ok(()) => return Ok(Some((tree, Source::Remote))),
                    Err(reason) => {
                        notes.add(format!(
                            "the result that {} has for this environment is not used: {reason}",
                            remote.place()
                        ));
                    }
                }
            }
            Ok(None) => {}
            Err(error) => note(notes, &error),
        }
        Ok(None)
    }

    /// Keeps in the local store what the action made.
    fn remember(&self, tree: &Tree) {
        if let Some(store) = &self.store {
            store.attempt(|| {
                let message = store.remember_tree(tree)?;
                let result = ActionResult { tree: message, root: Some(tree.digest()) };
                store.set_action_result(self.action.digest(), &result.encode(&self.action))
            });
        }
    }

    /// Builds from the wheels, and tells the caches.
    fn build(&self, spec: Spec, before: Kind) -> Result<CachedReport, Error> {
        let digests = wheel_digests(self.session, &spec, self.places)?;
        let wheels = KnownWheels::new(
            self.store.as_ref(),
            digests,
            &spec,
            self.places,
            engine::load_options(self.session, &spec),
        );
        let prepared = engine::prepare_with(self.session, spec, self.places, |index, file| {
            wheels.manifest(index, file)
        })?;
        let flags = &prepared.spec.flags;
        // What caches are told must be true: here wheels are compared with their digests even where
        // a build system vouches for them, unless that was done before and nobody touched them
        // since.
        let pinned = wheels.unproven();
        let mut old = None;
        if before == Kind::Directory {
            let (expected, _) = engine::predict(self.session, &prepared)?;
            if self.request.is_done(self.session, &expected)? {
                let check =
                    |index: usize| prepared.supply().check_wheel(pinned[index].0, pinned[index].1);
                parallel::map(self.session.threads, pinned.len(), check)
                    .map_err(|error| Error::Supply(vec![error]))?;
                wheels.remember_files()?;
                engine::finish(&prepared, self.request, &expected)?;
                let stamp = self.stamp(&expected, Outcome::UpToDate);
                return Ok(self.report(
                    Outcome::UpToDate,
                    Source::Output,
                    &stamp,
                    Counts::default(),
                    prepared.plan.warnings,
                ));
            }
            old = Some(self.request.old()?);
        }
        let unfinished = Unfinished::new(&self.request.out)?;
        let known = wheels.members();
        let area = self.store.as_ref().map(|store| {
            store.area(
                signed(flags.mtime),
                self.caches.link_mode,
                unfinished.directory().handle().as_fd(),
            )
        });
        let store = area.as_ref().map(|area| StoreUse { area, wheels: &known });
        let tree = engine::fill(self.session, &prepared, &unfinished, &pinned, store)?;
        let counts = area.as_ref().map(Area::counts).unwrap_or_default();
        drop(area);
        wheels.remember_files()?;
        let outcome = self.publish(unfinished, &tree, old.as_ref())?;
        engine::finish(&prepared, self.request, &tree)?;
        self.remember(&tree);
        wheels.remember(&prepared, &known, &tree);
        let stamp = self.stamp(&tree, outcome);
        if let Some(remote) = self.caches.remote.as_deref().filter(|remote| remote.writes()) {
            let files = TreeFiles::new(&self.request.out, &tree);
            if let Err(error) =
                transfer::publish(remote, &self.action, &tree, &files, &self.session.progress)
            {
                note(&self.caches.notes, &error);
            }
        }
        Ok(self.report(outcome, Source::Wheels, &stamp, counts, prepared.plan.warnings))
    }
}

impl Placement<'_> {
    /// Removes something of what is too much in the store, now that the output is there.
    fn keep_within_limit(&self) {
        if let (Some(store), Some(limit)) = (&self.store, self.caches.limit) {
            store.keep_within(limit);
        }
    }

    /// Puts a known tree in its place; nothing where its files cannot be had.
    fn place(
        &self,
        tree: &Tree,
        source: Source,
        before: Kind,
    ) -> Result<Option<(Outcome, Counts)>, Error> {
        let mut old = None;
        if before == Kind::Directory {
            if self.request.existing != Existing::Renew
                && engine::is_tree(self.session, &self.request.out, tree)?
            {
                return Ok(Some((Outcome::UpToDate, Counts::default())));
            }
            old = Some(self.request.old()?);
        }
        let unfinished = Unfinished::new(&self.request.out)?;
        let destination = unfinished.directory().handle().as_fd();
        let mtime = self.mtime;
        let area = self
            .store
            .as_ref()
            .map(|store| store.area(signed(mtime), self.caches.link_mode, destination));
        let remote = self.caches.remote.as_deref().filter(|remote| remote.reads());
        if source == Source::Store || remote.is_none() {
            let areas: Vec<&Area<'_>> = area.iter().collect();
            match tree_sink::write(
                tree,
                &areas,
                unfinished.directory(),
                mtime,
                self.session.threads,
            ) {
                Ok(()) => {
                    let counts = area.as_ref().map(Area::counts).unwrap_or_default();
                    return Ok(Some((self.publish(unfinished, tree, old.as_ref())?, counts)));
                }
                Err(TreeWriteError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // A directory that is half written is of no use any more.
        drop(area);
        drop(unfinished);
        match remote {
            Some(remote) => self.download(tree, remote, old.as_ref()),
            None => Ok(None),
        }
    }

    /// Downloads what the store lacks, then writes the tree.
    fn download(
        &self,
        tree: &Tree,
        remote: &dyn RemoteCache,
        old: Option<&Replaceable>,
    ) -> Result<Option<(Outcome, Counts)>, Error> {
        let notes = &self.caches.notes;
        let mtime = self.mtime;
        let unfinished = Unfinished::new(&self.request.out)?;
        let destination = unfinished.directory().handle().as_fd();
        let own = self
            .store
            .as_ref()
            .map(|store| store.area(signed(mtime), self.caches.link_mode, destination));
        let told = Told { place: remote.place(), notes, progress: &self.session.progress };
        let fetched = match own.as_ref().zip(self.store.as_ref()) {
            Some((area, store)) if store.is_writable() => {
                match transfer::fetch(remote, tree, &[area], told) {
                    Ok(complete) => Some(complete),
                    Err(error @ BlobError::Io { .. }) => {
                        store.attempt(|| Err(error));
                        None
                    }
                    Err(error) => {
                        note(notes, &error);
                        Some(false)
                    }
                }
            }
            _ => None,
        };
        if fetched == Some(false) {
            return Ok(None);
        }
        // Without a store that can be written, downloads pass through one that goes away again.
        let scratch = match fetched {
            Some(_) => None,
            None => Some(Scratch::new(&self.request.out, tree.function(), notes)?),
        };
        let scratch_area = scratch
            .as_ref()
            .map(|scratch| scratch.store.area(signed(mtime), LinkMode::Auto, destination));
        let areas: Vec<&Area<'_>> = own.iter().chain(scratch_area.iter()).collect();
        if scratch_area.is_some() {
            match transfer::fetch(remote, tree, &areas, told) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => {
                    note(notes, &error);
                    return Ok(None);
                }
            }
        }
        match tree_sink::write(tree, &areas, unfinished.directory(), mtime, self.session.threads) {
            Ok(()) => {}
            Err(TreeWriteError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let counts = own.as_ref().map(Area::counts).unwrap_or_default();
        let outcome = self.publish(unfinished, tree, old)?;
        Ok(Some((outcome, counts)))
    }

    fn publish(
        &self,
        unfinished: Unfinished,
        tree: &Tree,
        old: Option<&Replaceable>,
    ) -> Result<Outcome, Error> {
        engine::publish(self.session, unfinished, tree, old, &self.caches.notes)
    }
}

/// A store for one build.
struct Scratch {
    store: Store,
    _staging: Staging,
}

impl Scratch {
    fn new(out: &Utf8Path, function: DigestFunction, notes: &Notes) -> Result<Self, Error> {
        let parent =
            out.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
        staging::sweep(parent);
        let staging = Staging::create(parent, staging::DOWNLOADS)
            .map_err(fs::failed("create a directory in", parent))?;
        let store =
            Store::open(staging.path().to_owned(), function, Access::Scratch, notes.clone());
        Ok(Self { store, _staging: staging })
    }
}

/// The tree's files and their bytes.
fn totals(tree: &Tree) -> (u64, u64) {
    fn visit(directory: &Directory, totals: &mut (u64, u64)) {
        for (_, node) in directory.entries() {
            match node {
                Node::Leaf(Leaf::File { blob, .. }) => {
                    totals.0 += 1;
                    totals.1 += blob.0.size;
                }
                Node::Leaf(Leaf::Symlink(_)) => {}
                Node::Directory(below) => visit(below, totals),
            }
        }
    }
    let mut sums = (0, 0);
    visit(tree.root(), &mut sums);
    sums
}

fn signed(mtime: u64) -> i64 {
    i64::try_from(mtime).unwrap_or(i64::MAX)
}

fn note(notes: &Notes, error: &BlobError) {
    notes.add(crate::error::chain(error));
}
