//! The spec of an environment for an interpreter that was found: what `create` asks for, with the
//! wheels that it begins with.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::interpreters::probe::Probe;
use crate::effects::wheels::load::LoadOptions;
use crate::effects::wheels::seeds::{self, Place};
use crate::engine::Session;
use crate::engine::compose::Candidate;
use crate::error::Error;
use crate::model::interpreter::{Implementation, Platform};
use crate::model::name::DistName;
use crate::model::spec::{Flags, Python, Spec, WheelReference};

pub use crate::effects::wheels::seeds::{PlaceKind, Seed, SeedRequest};

/// How the environment reaches its interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// By a link to where it is.
    Link,
    /// By a launcher, which also looks in these places.
    Launcher {
        /// Absolute paths, or relative to the environment.
        candidates: Vec<String>,
    },
}

/// The distributions to begin with.
#[derive(Debug, Clone, Default)]
pub struct Seeds {
    /// Those that are named; else pip, and setuptools if it comes with the interpreter.
    pub(crate) named: Option<Vec<SeedRequest>>,
    /// Those that come on top. The last that is said of one distribution counts.
    pub(crate) more: Vec<SeedRequest>,
    /// Those that are left out.
    pub(crate) without: Vec<DistName>,
}

/// Where wheels of seeds may lie besides the interpreter's own.
#[derive(Debug, Clone, Default)]
pub struct SeedPlaces {
    /// Directories that somebody named.
    pub(crate) given: Vec<Utf8PathBuf>,
    /// The directory of the seeds that came with this program.
    pub(crate) support: Option<Utf8PathBuf>,
    /// The working directory, if it is to be looked through.
    pub(crate) working: Option<Utf8PathBuf>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// How the interpreter is reached.
    pub(crate) reach: Reach,
    /// The wheels to install, by absolute paths.
    pub(crate) wheels: Vec<Candidate>,
    /// The wheels that a lock gives, with their digests.
    pub(crate) locked: Vec<WheelReference>,
    /// What to begin with.
    pub(crate) seeds: Seeds,
    /// Where to look for it.
    pub(crate) places: SeedPlaces,
    /// The flags; the interpreter decides `lib64`.
    pub(crate) flags: Flags,
}

/// A spec, and where what it begins with comes from.
#[derive(Debug, Clone)]
pub struct Composed {
    pub(crate) spec: Spec,
    /// The seeds among its wheels.
    pub(crate) seeds: Vec<Seed>,
}

/// Makes the spec of what was asked for.
///
/// # Errors
/// A wheel cannot be read, no place has a seed, or the interpreter cannot be reached that way.
pub fn compose(
    request: &CreateRequest,
    probe: &Probe,
    session: &Session,
) -> Result<Composed, Error> {
    let mut wheels = request.locked.clone();
    for wheel in &request.wheels {
        wheels.push(wheel.reference(None)?);
    }
    let seeds = find_seeds(request, probe, session)?;
    for seed in &seeds {
        let wheel = Candidate { path: seed.path.clone(), file: seed.file.clone() };
        wheels.push(wheel.reference(None)?);
    }
    let executable = probe.executable.to_string();
    let python = match &request.reach {
        Reach::Link => Python::Absolute { path: executable },
        Reach::Launcher { candidates } => {
            check_launcher(probe)?;
            Python::Launcher { candidates: [vec![executable], candidates.clone()].concat() }
        }
    };
    let interpreter = probe.interpreter.clone();
    // As `python -m venv` does, whatever the interpreter calls the folder of compiled modules: pip
    // may be told another name.
    let lib64 = matches!(interpreter.platform, Platform::Linux { arch, .. } if arch.is_64_bit());
    let spec = Spec {
        interpreter,
        python,
        launchers: None,
        wheels,
        sources: Vec::new(),
        path_entries: Vec::new(),
        bytecode: None,
        flags: Flags { lib64, ..request.flags.clone() },
    };
    Ok(Composed { spec, seeds })
}

fn check_launcher(probe: &Probe) -> Result<(), Error> {
    let interpreter = &probe.interpreter;
    if interpreter.implementation == Implementation::CPython && interpreter.version.at_least(3, 11)
    {
        return Ok(());
    }
    let name = interpreter.implementation.platform_name();
    Err(Error::usage(format!("--relocatable needs CPython 3.11 or newer for its launcher, found {name} {}", interpreter.version))
        .hint("leave it out: the environment can be moved all the same, as long as the interpreter stays where it is"))
}

/// Finds the wheels to begin with, but for those that were given.
fn find_seeds(
    request: &CreateRequest,
    probe: &Probe,
    session: &Session,
) -> Result<Vec<Seed>, Error> {
    let place = |directory: &Utf8PathBuf, kind| Place { directory: directory.clone(), kind };
    let SeedPlaces { given, support, working } = &request.places;
    let bundled =
        probe.bundled_wheels.as_ref().map(|directory| place(directory, PlaceKind::Interpreter));
    let setuptools = bundled.as_ref().is_some_and(|place| {
        DistName::parse("setuptools").is_ok_and(|name| seeds::holds(place, &name))
    });
    let working = working.as_ref().filter(|directory| !is_everybodys(directory));
    let places: Vec<Place> = given
        .iter()
        .map(|directory| place(directory, PlaceKind::Given))
        .chain(support.iter().map(|directory| place(directory, PlaceKind::Support)))
        .chain(bundled)
        .chain(working.map(|directory| place(directory, PlaceKind::WorkingDirectory)))
        .collect();
    let mut wanted = wanted(&request.seeds, setuptools);
    let named = |name: &DistName| {
        request.wheels.iter().any(|wheel| wheel.file.name == *name)
            || request.locked.iter().any(|wheel| wheel.file_name.name == *name)
    };
    wanted.retain(|seed| !named(&seed.name));
    let options = LoadOptions {
        limits: session.limits.clone(),
        allow: request.flags.allow.clone(),
        ..LoadOptions::default()
    };
    let find = |seed| seeds::find(seed, &places, &probe.interpreter, &options);
    Ok(wanted.iter().map(find).collect::<Result<_, _>>()?)
}

/// Whether everybody may put wheels there: one that happens to lie there may be anybody's.
fn is_everybodys(directory: &Utf8Path) -> bool {
    directory.as_std_path().metadata().is_ok_and(|found| found.mode() & 0o002 != 0)
}

/// What to begin with, in the order of the names. `setuptools` says whether it comes with the
/// interpreter.
fn wanted(seeds: &Seeds, setuptools: bool) -> Vec<SeedRequest> {
    let default = || {
        let names: &[&str] = if setuptools { &["pip", "setuptools"] } else { &["pip"] };
        names
            .iter()
            .map(|name| DistName::parse(name).expect("a plain name"))
            .map(SeedRequest::any)
            .collect()
    };
    let named = seeds.named.clone().unwrap_or_else(default);
    // The last one counts: what is said of one distribution comes after the defaults.
    let mut wanted: BTreeMap<DistName, SeedRequest> = named
        .into_iter()
        .chain(seeds.more.iter().cloned())
        .map(|request| (request.name.clone(), request))
        .collect();
    wanted.retain(|_, request| !seeds.without.contains(&request.name));
    wanted.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> SeedRequest {
        SeedRequest::parse(text).unwrap()
    }

    fn names(seeds: &Seeds, setuptools: bool) -> Vec<String> {
        wanted(seeds, setuptools).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn setuptools_is_a_seed_where_it_comes_with_the_interpreter() {
        assert_eq!(names(&Seeds::default(), false), ["pip"]);
        assert_eq!(names(&Seeds::default(), true), ["pip", "setuptools"]);
        let none = Seeds { named: Some(Vec::new()), ..Seeds::default() };
        assert_eq!(names(&none, true), [""; 0]);
    }

    #[test]
    fn the_last_word_on_a_distribution_counts() {
        let seeds = Seeds {
            named: Some(vec![request("pip==23.0"), request("wheel")]),
            more: vec![request("pip==24.0"), request("Setup_Tools")],
            without: vec![DistName::parse("setup-tools").unwrap()],
        };
        assert_eq!(names(&seeds, true), ["pip==24.0", "wheel"]);
    }

    #[test]
    fn a_directory_that_everybody_may_write_to_is_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        for (mode, expected) in [(0o700, false), (0o775, false), (0o777, true), (0o1777, true)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, permissions).unwrap();
            assert_eq!(is_everybodys(path), expected, "{mode:o}");
        }
        assert!(!is_everybodys(&path.join("absent")));
    }
}
