//! Making specs: everything that turns something else into a [`Spec`](crate::model::spec::Spec)
//! lives here.
//!
//! Engine layer. A set of wheels for a target, and what `create` asks for of an interpreter that
//! was found; reading a lock, and the wheels that are given with it.

pub(crate) mod create;
pub(crate) mod lock;
#[cfg(feature = "remote")]
pub(crate) mod pin;
pub(crate) mod wheels;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::file_hash;
use crate::engine::bytecode;
use crate::error::{Error, UnreadableInputs};
use crate::model::digest::WheelDigest;
use crate::model::spec::{InputPath, WheelReference};
use crate::model::wheel::filename::WheelFilename;

/// A wheel that lies somewhere.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where.
    pub path: Utf8PathBuf,
    /// Its name.
    pub file: WheelFilename,
}

impl Candidate {
    /// The wheel at a path, by the path's last part; nothing is opened that is called like one.
    ///
    /// # Errors
    /// That is no name of a wheel, or nothing is there.
    pub fn at(path: Utf8PathBuf) -> Result<Self, Error> {
        let file = bytecode::name_of(&path)?;
        Ok(Self { path, file })
    }

    /// The wheel as a spec names it, with its digest: by a path below `root` if it lies there.
    fn reference(&self, root: Option<&Utf8Path>) -> Result<WheelReference, Error> {
        let digest = file_hash::of(&self.path);
        let sha256 = digest.map_err(UnreadableInputs::one)?;
        let below = root.and_then(|root| self.path.strip_prefix(root).ok());
        let path = InputPath(below.unwrap_or(&self.path).to_string());
        Ok(WheelReference::at(path, self.file.clone(), Some(WheelDigest(sha256))))
    }
}
