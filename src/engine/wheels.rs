//! Wheels examined: all that is odd about them, and what an interpreter makes of them.

use std::convert::Infallible;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::wheels::inspect::{self, Contents, inspect_environment, inspect_wheel};
use crate::effects::work::parallel;
use crate::engine::judge::{Dependence, Judged, Verdict};
use crate::error::{Error, UnreadableInputs};
use crate::model::finding::{Code, Finding, Severity};
use crate::model::spec::Spec;
use crate::model::wheel::filename::WheelFilename;

pub use crate::effects::wheels::load::{LoadOptions, WheelError};

/// What was found in a file.
#[derive(Debug, Default)]
pub struct Examined {
    /// What is odd.
    pub findings: Vec<Finding>,
    /// What depends on the interpreter, where the wheel can be judged for one.
    pub dependence: Option<Dependence>,
    /// What the interpreter that was asked for makes of it.
    pub verdict: Option<Verdict>,
}

/// A file to examine.
pub struct Suspect<'a> {
    /// Where it is: a wheel, or the directory of an environment.
    pub path: Utf8PathBuf,
    /// The name under which the wheel was published.
    pub name: &'a str,
}

/// What is examined where a path is named: the file itself; of a directory the wheels in it, and
/// itself where it is an environment or a site-packages folder.
///
/// # Errors
/// It is a directory that cannot be read or that holds nothing of the kind.
pub fn suspects(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, WheelError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let Contents { mut wheels, is_installed } = inspect::look_into(path)?;
    wheels.extend(is_installed.then(|| path.to_owned()));
    Ok(wheels)
}

/// Examines wheels and directories, several at once. `spec`, which names no wheels, says for which
/// interpreter they are judged.
pub fn examine(
    suspects: &[Suspect<'_>],
    options: &LoadOptions,
    spec: Option<&Spec>,
) -> Vec<Result<Examined, WheelError>> {
    parallel::map(parallel::available(), suspects.len(), |index| {
        let Suspect { path, name } = &suspects[index];
        Ok::<_, Infallible>(examine_one(path, name, options, spec))
    })
    .unwrap_or_else(|never| match never {})
}

fn examine_one(
    path: &Utf8Path,
    name: &str,
    options: &LoadOptions,
    spec: Option<&Spec>,
) -> Result<Examined, WheelError> {
    if path.is_dir() {
        let findings = inspect_environment(path, options)?;
        return Ok(Examined { findings, ..Examined::default() });
    }
    let mut found =
        Examined { findings: inspect_wheel(path, name, options)?, ..Examined::default() };
    if spec.is_some() && options.deny.is_empty() {
        // Where the platform is known, the plan says whether scripts have to be rewritten, and
        // whether they can be.
        found.findings.retain(|finding| finding.code != Code::ScriptForm);
    }
    let sound = found.findings.iter().all(|finding| finding.severity != Severity::Error);
    // What nobody could build with is judged for no interpreter.
    if let (true, Ok(filename)) = (sound, WheelFilename::parse(name)) {
        match Judged::load(path, &filename, options) {
            Ok(judged) => {
                found.verdict = spec.map(|spec| judged.judge(spec));
                found.dependence = Some(judged.dependence());
            }
            Err(WheelError::Refused { findings, .. }) => found.findings = findings,
            Err(error @ WheelError::Input(_)) => return Err(error),
            Err(
                WheelError::Digest { .. }
                | WheelError::Member { .. }
                | WheelError::Absent { .. }
                | WheelError::Directory { .. },
            ) => {}
        }
    }
    Ok(found)
}

/// Those errors as one.
pub fn unreadable(errors: Vec<WheelError>) -> Option<Error> {
    (!errors.is_empty()).then(|| UnreadableInputs(errors).into())
}
