//! Environments that all builds and tests of one user share: made once, found again, and checked.
//!
//! Part of the engine.

use std::os::fd::AsFd as _;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::effects::caches::environments::Stamp;
use crate::effects::host::fs::Directory;
use crate::effects::host::replaceable::Protected;
use crate::effects::scan::View;
use crate::effects::work::parallel::Threads;
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::engine::inputs::Inputs;
use crate::engine::key;
use crate::engine::output::Output;
use crate::engine::place::{Placing, signed};
use crate::engine::report::{BuildRequest, Report, SharedPlace, Source};
use crate::engine::session::{Caches, Session};
use crate::engine::{Places, directories};
use crate::error::Error;
use crate::model::digest::{ActionDigest, DirectoryDigest};
use crate::model::spec::Spec;
use crate::model::tree::receive::{self, OutwardLinks};
use crate::model::tree::{Leaf, Node, Tree};
use crate::model::verify::Found;

pub use crate::effects::caches::environments::{Collected, Environments, PlaceError};

/// What is to be shared, and where.
#[derive(Debug, Clone, Copy)]
pub struct Sharing<'a> {
    /// Where environments are shared.
    pub environments: &'a Environments,
    /// The root digest.
    pub digest: DirectoryDigest,
    /// The key of the action that makes it, where it is known: it leads to the environment from then
    /// on.
    pub key: Option<ActionDigest>,
    /// A file that says the digest: as long as it does, the environment is not collected.
    pub named_by: Option<&'a Utf8Path>,
}

impl Sharing<'_> {
    /// Whether the environment is there, finished. Counts as a use.
    pub fn find(&self) -> bool {
        let found = self.environments.find(self.digest).is_some();
        if found {
            self.environments.used(self.digest, self.named_by);
            if let Some(key) = self.key {
                self.environments.made_by(key, self.digest);
            }
        }
        found
    }

    /// Makes the environment, unless somebody else is faster: then nothing is reported.
    ///
    /// # Errors
    /// The place cannot be used, or the spec's environment cannot be built or is another one.
    pub fn make(
        &self,
        session: &Session,
        caches: &Caches,
        spec: Spec,
        places: &Places,
    ) -> Result<Option<Report>, Error> {
        let held = self.environments.hold(self.digest).map_err(PlaceError::from)?;
        if self.find() {
            return Ok(None);
        }
        held.clear().map_err(PlaceError::from)?;
        let request = request(self.environments, self.digest, spec.flags.mtime);
        let report = super::build(session, caches, spec, places, &request)?;
        if self.find() {
            return Ok(Some(report));
        }
        Err(PlaceError::Removed { path: request.out }.into())
    }
}

/// Which environment a spec's is, and the key of its action where the digests of its wheels are
/// pinned. Where it is shared already, nothing but the key is needed for that: no wheel, and nothing
/// of a store.
///
/// # Errors
/// Inputs are not what they should be, or there is no plan.
pub fn which(
    session: &Session,
    caches: &Caches,
    spec: Spec,
    places: &Places,
    environments: Option<&Environments>,
) -> Result<(DirectoryDigest, Option<ActionDigest>), Error> {
    let inputs = Inputs::new(session, spec, places)?;
    if !inputs.are_pinned() {
        return Ok((super::predicted(inputs, caches)?.1.digest(), None));
    }
    let key = key::of(&inputs)?.digest();
    let shared = environments.and_then(|environments| environments.of_action(key));
    let digest = match shared {
        Some(digest) => digest,
        None => super::predicted(inputs, caches)?.1.digest(),
    };
    Ok((digest, Some(key)))
}

/// The build of an environment that is shared, where nothing is.
fn request(environments: &Environments, digest: DirectoryDigest, mtime: u64) -> BuildRequest {
    let protected = Protected { cwd: Utf8PathBuf::from("/"), home: None };
    BuildRequest {
        look: false,
        shared: Some(SharedPlace { environments: environments.clone(), digest, mtime }),
        ..BuildRequest::new(environments.path(digest), protected)
    }
}

/// What was wrong with an environment.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// The environment.
    pub path: Utf8PathBuf,
    /// What differs: the path in it and what was found. Nothing where the directory is not the one
    /// that was made.
    #[serde(skip)]
    pub found: Vec<Found>,
    /// Whether it was made again; otherwise it is gone, and is made when it is next used.
    pub repaired: bool,
}

/// What checking environments came to.
#[derive(Debug, Default)]
pub struct Checked {
    /// How many there are.
    pub environments: usize,
    /// Those that were not what they should be.
    pub damaged: Vec<Damage>,
}

/// Reads all environments again. Those that are not what they should be are made again where the
/// store has what is needed, and removed otherwise.
///
/// # Errors
/// Something cannot be read or removed.
pub fn verify(
    session: &Session,
    caches: &Caches,
    environments: &Environments,
) -> Result<Checked, Error> {
    let stamps = environments.all().map_err(PlaceError::from)?;
    let mut checked = Checked { environments: stamps.len(), damaged: Vec::new() };
    for stamp in stamps {
        session.progress.begin(Phase::Reading, Amount::default());
        let path = environments.path(stamp.digest);
        let tree = tree(session, environments, &stamp);
        let found = match (&tree, environments.find(stamp.digest)) {
            (Some(tree), Some(_)) => {
                let scan = directories::scan(session, &path, stamp.function, View::Exact)?;
                let found = directories::compare(&path, View::Exact, tree, &scan);
                if found.is_empty() && scan.odd.is_empty() {
                    continue;
                }
                found
            }
            _ => Vec::new(),
        };
        let repaired = repair(session, caches, environments, (&stamp, tree.as_ref()), &found)?;
        checked.damaged.push(Damage { path, found, repaired });
    }
    Ok(checked)
}

/// The tree that an environment was made as.
fn tree(session: &Session, environments: &Environments, stamp: &Stamp) -> Option<Tree> {
    let message = environments.tree_message(stamp)?.into();
    let (expected, threads) = (Some(stamp.digest), Threads(session.threads()));
    receive::decode_tree(stamp.function, &message, expected, OutwardLinks::Allow, &threads).ok()
}

/// Removes an environment and makes it again out of the store; says whether that could be done.
fn repair(
    session: &Session,
    caches: &Caches,
    environments: &Environments,
    (stamp, tree): (&Stamp, Option<&Tree>),
    found: &[Found],
) -> Result<bool, Error> {
    let held = environments.hold(stamp.digest).map_err(PlaceError::from)?;
    held.clear().map_err(PlaceError::from)?;
    let Some((tree, store)) = tree.zip(caches.open_store(stamp.function)) else {
        return Ok(false);
    };
    // What was damaged may be one file with that of the store, or with other environments.
    let root = Directory::open(environments.root())?;
    let area = store.area(signed(stamp.mtime), caches.link_mode, root.handle().as_fd());
    for found in found {
        if let Some(Node::Leaf(Leaf::File { blob, kind })) = tree.get(&found.path) {
            area.check(blob.0, *kind);
        }
    }
    drop(area);
    let request = request(environments, stamp.digest, stamp.mtime);
    let output = Output::look(session, &request, &caches.notes)?;
    let store = Some(&store);
    let placing = Placing { session, caches, store, mtime: stamp.mtime, output: &output };
    Ok(placing.place(tree, Source::Store)?.is_some())
}

/// Removes environments that nobody needs any more.
///
/// # Errors
/// The place cannot be read.
pub fn collect(
    environments: &Environments,
    age: Option<Duration>,
    now: SystemTime,
    progress: &Progress,
) -> Result<Collected, Error> {
    progress.begin(Phase::Collecting, Amount::default());
    Ok(environments.collect(age, now).map_err(PlaceError::from)?)
}
