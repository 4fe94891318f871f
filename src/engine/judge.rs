//! What an interpreter makes of one wheel alone: whether a build would take it, and what a build
//! needs besides.
//!
//! Part of the engine. The plan is the judge, so that a check and a build cannot differ; nothing is
//! written, and of the wheel no more is read than a build reads before it writes.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::wheels::load::{self, LoadOptions, WheelError};
use crate::effects::work::parallel::Threads;
use crate::model::plan::{self, Inputs, PlanProblem, PlanWarning, WindowsLaunchers};
use crate::model::requirements::{self, Distribution, RequirementProblemKind};
use crate::model::spec::{Check, InputPath, Spec, WheelReference};
use crate::model::wheel::WheelManifest;
use crate::model::wheel::filename::WheelFilename;

/// What depends on the interpreter of what a wheel says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Dependence {
    /// The tags that an interpreter has to accept one of.
    pub tags: String,
    /// Which versions of Python it is for.
    pub requires_python: Option<String>,
    /// How many requirements it has: their markers decide whether they apply.
    pub requirements: usize,
    /// How many scripts it has, which are programs on Windows and texts elsewhere.
    pub scripts: usize,
}

/// What an interpreter makes of a wheel.
#[derive(Debug)]
pub struct Verdict {
    /// Why a build would refuse it.
    pub problems: Vec<PlanProblem>,
    /// What a build would warn of.
    pub warnings: Vec<PlanWarning>,
    /// What it requires of other wheels.
    pub needs: Vec<String>,
}

/// A wheel that is loaded, to be judged.
#[derive(Debug)]
pub struct Judged {
    file: WheelFilename,
    path: Utf8PathBuf,
    manifest: WheelManifest,
}

impl Judged {
    /// Loads a wheel as a build does.
    ///
    /// # Errors
    /// It cannot be read, or is not accepted whatever the interpreter is.
    pub fn load(
        path: &Utf8Path,
        file: &WheelFilename,
        options: &LoadOptions,
    ) -> Result<Self, WheelError> {
        let manifest = load::load(path, file, options)?.manifest;
        Ok(Self { file: file.clone(), path: path.to_owned(), manifest })
    }

    /// What depends on the interpreter.
    pub fn dependence(&self) -> Dependence {
        let metadata = &self.manifest.metadata;
        Dependence {
            tags: self.file.tags.to_string(),
            requires_python: metadata.requires_python.as_deref().map(str::to_owned),
            requirements: metadata.requires_dist.len(),
            scripts: self.manifest.entry_points.len(),
        }
    }

    /// What the interpreter of `spec`, which names no wheels, makes of the wheel.
    pub fn judge(&self, spec: &Spec) -> Verdict {
        let mut spec = spec.clone();
        let path = InputPath(self.path.to_string());
        spec.wheels = vec![WheelReference::at(path, self.file.clone(), None)];
        spec.flags.requirements = Check::Off;
        let stand_in = spec.launchers.is_some().then(WindowsLaunchers::stand_in);
        let inputs = Inputs {
            wheels: vec![&self.manifest],
            sources: Vec::new(),
            interpreter: None,
            launchers: stand_in.as_ref(),
        };
        let (problems, mut warnings) = match plan::plan(&spec, &inputs, &Threads(1)) {
            Ok(plan) => (Vec::new(), plan.warnings),
            Err(error) => (error.problems, error.warnings),
        };
        let metadata = &self.manifest.metadata;
        let distribution = Distribution {
            name: self.manifest.name(),
            version: &metadata.version,
            requires_dist: &metadata.requires_dist,
            provides_extra: &metadata.provides_extra,
        };
        let mut needs = Vec::new();
        for unmet in requirements::check(&[distribution], &spec.interpreter) {
            match unmet.kind {
                // Another wheel may bring it.
                RequirementProblemKind::Missing | RequirementProblemKind::Undecided { .. } => {
                    needs.push(unmet.requirement)
                }
                // It requires another version of itself, or an extra that it does not have.
                RequirementProblemKind::Conflict { .. }
                | RequirementProblemKind::NoExtra { .. } => {
                    warnings.push(PlanWarning::Requirement { text: unmet.to_string() });
                }
                // That was found when the wheel was loaded.
                RequirementProblemKind::Invalid(_) => {}
            }
        }
        Verdict { problems, warnings, needs }
    }
}
