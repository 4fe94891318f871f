//! Where the inputs of a spec are.
//!
//! Part of the engine.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::{Error, Wanting, WantingWheels};
use crate::model::spec::{InputPath, Launchers, Python, Spec, WheelReference};

/// Where inputs are: a root for relative paths, and the places of keys.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The directory that relative input paths are relative to.
    pub root: Utf8PathBuf,
    /// Places by key. Those of the files of a directory stand for it ([`Places::parts`]).
    pub keys: BTreeMap<String, Utf8PathBuf>,
}

fn launchers(spec: &Spec) -> impl Iterator<Item = &InputPath> {
    spec.launchers.iter().flat_map(Launchers::iter).map(|(_, launcher)| &launcher.path)
}

/// The inputs of a spec of which all is taken that is in them.
fn folders(spec: &Spec) -> impl Iterator<Item = &InputPath> {
    let inside = match &spec.python {
        Python::Inside { directory, .. } => Some(directory),
        Python::Relative { .. } | Python::Absolute { .. } | Python::Launcher { .. } => None,
    };
    spec.sources.iter().map(|source| &source.path).chain(inside)
}

impl Places {
    /// Where an input is.
    pub fn find(&self, input: &InputPath) -> Utf8PathBuf {
        self.keys.get(&input.0).cloned().unwrap_or_else(|| self.root.join(&input.0))
    }

    /// Where a wheel is; nothing where it has to be fetched first.
    pub fn wheel(&self, wheel: &WheelReference) -> Option<Utf8PathBuf> {
        wheel.path.as_ref().map(|path| self.find(path))
    }

    /// Where a wheel is, if it is there. One whose digest nobody knows has to be.
    pub(super) fn wheel_at_hand(&self, wheel: &WheelReference) -> Option<Utf8PathBuf> {
        self.wheel(wheel).filter(|path| wheel.sha256.is_none() || path.is_file())
    }

    /// Where all of some wheels are.
    ///
    /// # Errors
    /// Some have to be fetched first.
    pub(super) fn wheels_at_hand(
        &self,
        wheels: &[WheelReference],
    ) -> Result<Vec<Utf8PathBuf>, Error> {
        let found: Vec<Option<Utf8PathBuf>> =
            wheels.iter().map(|wheel| self.wheel(wheel)).collect();
        if found.contains(&None) {
            let wanting = wheels.iter().zip(&found).filter(|(_, place)| place.is_none());
            let wheels = wanting.map(|(wheel, _)| Wanting::unfetched(wheel)).collect();
            return Err(WantingWheels(wheels).into());
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The parts of a directory that is given file by file, by keys that begin with its own and a
    /// slash: their paths in it, and where they are. Nothing where the directory is somewhere
    /// itself.
    pub fn parts<'a>(&'a self, input: &InputPath) -> impl Iterator<Item = (&'a str, &'a Utf8Path)> {
        let folder = format!("{}/", input.0);
        let whole = self.keys.contains_key(&input.0);
        let first = self.keys.range(folder.clone()..);
        let below = first.map_while(move |(key, place)| {
            key.strip_prefix(&folder).map(|path| (path, place.as_path()))
        });
        below.filter(move |_| !whole)
    }

    /// Where everything is that a spec names: files, and directories with all that is in them.
    pub fn all<'a>(&'a self, spec: &'a Spec) -> impl Iterator<Item = Utf8PathBuf> + 'a {
        let wheels = spec.wheels.iter().filter_map(|wheel| self.wheel(wheel));
        let others = launchers(spec).chain(folders(spec)).chain(spec.overlays());
        let parts = folders(spec).flat_map(|path| self.parts(path));
        let parts = parts.map(|(_, place)| place.to_owned());
        wheels.chain(others.map(|path| self.find(path))).chain(parts)
    }

    /// Where the directories are of which a spec takes all that is in them; a source may also be
    /// one file. Of those that are given file by file, nothing else is taken.
    pub fn directories<'a>(&'a self, spec: &'a Spec) -> impl Iterator<Item = Utf8PathBuf> + 'a {
        let whole = folders(spec).filter(|path| self.parts(path).next().is_none());
        whole.map(|path| self.find(path))
    }

    /// Refuses places of keys that no input of the spec has.
    pub(super) fn check(&self, spec: &Spec) -> Result<(), Error> {
        let wheels = spec.wheels.iter().filter_map(|wheel| wheel.path.as_ref());
        let inputs = wheels.chain(launchers(spec)).chain(folders(spec)).chain(spec.overlays());
        let used: BTreeSet<&str> = inputs.map(|path| path.0.as_str()).collect();
        let is_part = |key: &str| {
            let below = |folder: &InputPath| Some(key.strip_prefix(&*folder.0)?.starts_with('/'));
            let mut apart = folders(spec).filter(|folder| !self.keys.contains_key(&folder.0));
            apart.any(|folder| below(folder) == Some(true))
        };
        let stray = |key: &&String| !used.contains(key.as_str()) && !is_part(key);
        let Some(key) = self.keys.keys().find(stray) else {
            return Ok(());
        };
        Err(Error::usage(format!("the input key `{key}` is not in the spec"))
            .hint("an `--input KEY=PATH` gives the place of a path of the spec that is KEY"))
    }
}
