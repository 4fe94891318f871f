//! What the commands of one process share, and the caches that they use.
//!
//! Part of the engine.

use std::sync::{Arc, OnceLock};

use camino::Utf8PathBuf;

use crate::effects::caches::store::area::LinkMode;
use crate::effects::caches::store::place::StorePlace;
use crate::effects::caches::store::{Access, Store};
use crate::effects::caches::transfer::RemoteCache;
use crate::effects::host::notes::Notes;
use crate::effects::interpreters::compile::Staff;
pub use crate::effects::interpreters::ready::Waiting;
use crate::effects::wheels::load::LoadOptions;
use crate::effects::work::parallel::{self, Threads};
use crate::effects::work::progress::Progress;
use crate::engine::fetch::{self, Arrivals, Fetching};
use crate::engine::places::Places;
use crate::error::Error;
use crate::model::digest::DigestFunction;
use crate::model::spec::{Spec, WheelReference};
use crate::model::wheel::limits::Limits;

/// What commands of one process share.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// At most so many threads, where that is said or was found out.
    pub(crate) threads: OnceLock<usize>,
    /// What wheels may hold at most.
    pub limits: Limits,
    /// How far the work has come.
    pub progress: Progress,
    /// How wheels come to this machine that are not here; nothing where only those are used that
    /// are.
    pub fetching: Option<Arc<Fetching>>,
    /// The interpreter that compiles what has no bytecode yet; nothing where none may be run.
    pub compiler: Option<Utf8PathBuf>,
    /// Interpreters that earlier commands of this process have left for it.
    pub waiting: Waiting,
    /// Whether the process ends when an environment is there: what was made for it need not be given
    /// back, one piece after the other.
    pub ends: bool,
}

impl Session {
    /// At most so many threads; as many as there are processors unless something else was said.
    /// These are counted when that is asked first: where there is nothing to do it never is.
    pub fn threads(&self) -> usize {
        *self.threads.get_or_init(parallel::available)
    }

    /// Says how many threads there may be at most.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = OnceLock::from(threads);
    }

    /// The interpreters that compile for it.
    pub(super) fn staff(&self) -> Staff {
        Staff { threads: self.threads(), waiting: self.waiting.clone() }
    }

    /// Brings wheels to this machine, whatever has to be done for that; where they lie, in their
    /// order. Those that are fetched are told to `arrivals` as they come.
    ///
    /// # Errors
    /// A wheel cannot be had.
    pub(super) fn obtain(
        &self,
        places: &Places,
        wheels: &[WheelReference],
        arrivals: Arrivals<'_>,
    ) -> Result<Vec<Utf8PathBuf>, Error> {
        match self.fetching.as_deref() {
            _ if wheels.is_empty() => Ok(Vec::new()),
            Some(fetching) if fetching.concerns(wheels) => {
                fetching.obtain(wheels, places, &self.progress, arrivals)
            }
            Some(_) | None => fetch::of_right_size(wheels, places.wheels_at_hand(wheels)?),
        }
    }

    /// By which options the wheels of a spec are loaded.
    pub(super) fn load_options(&self, spec: &Spec) -> LoadOptions {
        LoadOptions {
            limits: self.limits.clone(),
            allow: spec.flags.allow.clone(),
            deny: spec.flags.deny.clone(),
        }
    }

    /// Lets go of what is no longer needed.
    pub(super) fn let_go<T>(&self, value: T) {
        if self.ends {
            std::mem::forget(value);
        }
    }

    /// Who plans an environment of so many files: for few, starting a thread takes longer than
    /// their share of the work.
    pub(crate) fn planners(&self, files: usize) -> Threads {
        const FEW: usize = 2_000;
        Threads(if files < FEW { 1 } else { self.threads() })
    }
}

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
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.store.is_none() && self.remote.is_none()
    }

    /// The store of a digest function.
    pub(super) fn open_store(&self, function: DigestFunction) -> Option<Store> {
        let place = self.store.clone()?;
        Some(Store::open(place, function, Access::Write, self.notes.clone()))
    }

    /// The remote cache, where entries are taken from it.
    pub(super) fn readable(&self) -> Option<&dyn RemoteCache> {
        self.remote.as_deref().filter(|remote| remote.reads())
    }

    /// The remote cache, where entries are given to it.
    pub(super) fn writable(&self) -> Option<&dyn RemoteCache> {
        self.remote.as_deref().filter(|remote| remote.writes())
    }

    /// Removes something of what is too much in the store, now that the output is there.
    pub(super) fn keep_within_limit(&self, store: Option<&Store>) {
        if let (Some(store), Some(limit)) = (store, self.limit) {
            store.keep_within(limit);
        }
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
