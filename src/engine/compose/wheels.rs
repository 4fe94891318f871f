//! From a heap of wheels to the ones that a target gets: the best of each distribution.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::failed;
use crate::effects::wheels::load::{self, LoadOptions};
use crate::engine::compose::Candidate;
use crate::error::{Error, UnreadableInputs};
use crate::model::interpreter::Interpreter;
use crate::model::name::DistName;
use crate::model::preference;
use crate::model::requirements::requires_python;
use crate::model::spec::WheelReference;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::tags::Tags;

/// What was chosen, and what was left and why.
#[derive(Debug, Default)]
pub struct Choice {
    /// The wheels for the spec, in the order of their distributions' names.
    pub chosen: Vec<WheelReference>,
    /// The others: the path and the reason.
    pub left: Vec<(Utf8PathBuf, String)>,
    /// Distributions of which no wheel fits, with the reason for their last one.
    pub missing: Vec<(DistName, String)>,
}

/// The wheels that paths stand for: a wheel itself, or all that a directory holds (not those of its
/// subdirectories).
///
/// # Errors
/// A path leads nowhere, a file is called like no wheel, or a directory holds no wheel.
pub fn candidates(paths: &[Utf8PathBuf]) -> Result<Vec<Candidate>, Error> {
    let mut found: BTreeMap<Utf8PathBuf, WheelFilename> = BTreeMap::new();
    for path in paths {
        let usage = |message: String, hint: &str| Error::usage(message).hint(hint);
        if !path.is_dir() {
            path.metadata().map_err(failed("read", path))?;
            let name = path.file_name().unwrap_or_default();
            let hint =
                "give wheels (NAME-VERSION-PYTHON-ABI-PLATFORM.whl), or directories of wheels";
            let file =
                WheelFilename::parse(name).map_err(|error| usage(error.to_string(), hint))?;
            found.insert(path.clone(), file);
            continue;
        }
        let before = found.len();
        for entry in path.read_dir_utf8().map_err(failed("list", path))? {
            let entry = entry.map_err(failed("list", path))?;
            if let Ok(file) = WheelFilename::parse(entry.file_name()) {
                found.insert(entry.into_path(), file);
            }
        }
        if found.len() == before {
            return Err(usage(
                format!("the directory `{path}` holds no wheels"),
                "its subdirectories are not looked through; name them too",
            ));
        }
    }
    Ok(found.into_iter().map(|(path, file)| Candidate { path, file }).collect())
}

/// Chooses the best wheel of each distribution for an interpreter: the latest version, then the
/// most specific tag, as pip does. `root` is the directory that the spec's paths are relative to.
///
/// # Errors
/// A wheel that would be chosen cannot be read or is not accepted.
pub fn choose(
    candidates: &[Candidate],
    interpreter: &Interpreter,
    root: &Utf8Path,
    options: &LoadOptions,
) -> Result<Choice, Error> {
    let tags = Tags::new(interpreter);
    let mut choice = Choice::default();
    let names: BTreeSet<&DistName> =
        candidates.iter().map(|candidate| &candidate.file.name).collect();
    for name in names {
        let own: Vec<&Candidate> =
            candidates.iter().filter(|candidate| candidate.file.name == *name).collect();
        let mut best: Option<&Candidate> = None;
        let mut reason = String::new();
        for file in
            preference::rank(own.iter().map(|candidate| candidate.file.clone()), name, &tags)
        {
            let candidate = own
                .iter()
                .find(|candidate| candidate.file == file)
                .expect("a name that was ranked is a candidate's");
            let wheel =
                load::load(&candidate.path, &file, options).map_err(UnreadableInputs::one)?;
            match wheel
                .manifest
                .metadata
                .requires_python
                .as_deref()
                .map(|requires| requires_python(requires, &interpreter.version))
            {
                Some(Err(error)) => reason = error.to_string(),
                _ => {
                    best = Some(candidate);
                    break;
                }
            }
        }
        for candidate in &own {
            match best {
                Some(best) if best.path == candidate.path => {
                    choice.chosen.push(candidate.reference(Some(root))?)
                }
                _ => {
                    let reason = match (tags.compatible(&candidate.file.tags), best) {
                        (Err(error), _) => error.to_string(),
                        (Ok(_), Some(best)) => format!("`{}` is taken", best.file),
                        (Ok(_), None) => reason.clone(),
                    };
                    choice.left.push((candidate.path.clone(), reason));
                }
            }
        }
        if best.is_none() {
            let last = choice.left.last().map(|(_, reason)| reason.clone()).unwrap_or_default();
            choice.missing.push((name.clone(), last));
        }
    }
    Ok(choice)
}
