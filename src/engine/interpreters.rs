//! Interpreters of this machine: finding, listing and asking them.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::notes::Notes;
use crate::effects::interpreters::discover;
use crate::effects::interpreters::probe;
use crate::effects::interpreters::probe_cache::ProbeCache;
use crate::effects::work::parallel;
use crate::error::Error;
use crate::model::python_request::PythonRequest;

pub use crate::effects::interpreters::discover::{Listed, Surroundings};
pub use crate::effects::interpreters::probe::Probe;

/// Where interpreters are looked for, and what is remembered of them.
pub struct Search {
    /// Where to look.
    pub surroundings: Surroundings,
    /// The directory where answers are remembered.
    pub memory: Option<Utf8PathBuf>,
    /// What went less well than it could have.
    pub notes: Notes,
}

impl Search {
    fn cache(&self) -> ProbeCache {
        ProbeCache::new(self.memory.clone(), self.notes.clone())
    }

    /// The interpreter that is asked for.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn find(&self, request: &PythonRequest) -> Result<Probe, Error> {
        Ok(discover::find(request, &self.surroundings, &self.cache())?)
    }

    /// All interpreters, with those that cannot be used and why.
    pub fn list(&self) -> Vec<Listed> {
        // They mostly wait for each other's start.
        let threads = parallel::available().max(4);
        discover::list(&self.surroundings, &self.cache(), threads)
    }
}

/// Asks an interpreter what it is.
///
/// # Errors
/// It does not answer, or cannot be used.
pub fn probe(python: &Utf8Path) -> Result<Probe, Error> {
    Ok(probe::probe(python)?)
}
