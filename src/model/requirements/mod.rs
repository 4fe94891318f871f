//! Whether a set of distributions has what its members require: what `pip check` does, for a target
//! that is only described.
//!
//! Model layer. Markers are evaluated with the facts of the spec's interpreter, never with those of
//! the machine that builds. A question that these facts cannot answer (a kernel's release, a patch
//! level that the spec leaves out) is reported as such, unless the answer does not matter. Unlike
//! pip, requirements of extras are followed: `foo[bar]` asks for what `foo` requires for `bar`.
//!
//! Requirements and markers are parsed here, while versions and their specifiers are `pep440_rs`'s.
//! (The crate for the former keeps markers as decision diagrams, in a table of the process that
//! only grows: a hostile marker of 600 bytes takes half a gigabyte.)

pub mod marker;
mod requirement;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::str::FromStr;

use pep440_rs::{
    VersionSpecifier, VersionSpecifiers, release_specifier_to_range, release_specifiers_to_ranges,
};

pub use self::requirement::{Requirement, RequirementError, Specifiers, parse_specifiers};
use crate::model::interpreter::Interpreter;
use crate::model::name::{DistName, PythonVersion, Version};
use marker::{Environment, Extras, Fact, Truth};

/// What a distribution says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Distribution<'text> {
    /// Its name.
    pub name: &'text DistName,
    /// Its version.
    pub version: &'text Version,
    /// What it requires, as `METADATA` has it.
    pub requires_dist: &'text [Box<str>],
    /// Its extras, as `METADATA` has them.
    pub provides_extra: &'text [Box<str>],
}

/// A requirement that is not met, or that cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {version}{} requires `{requirement}`{kind}", distribution.written(), extra.as_ref().map(|extra| format!(" with the extra `{}`", extra.normalized())).unwrap_or_default())]
pub struct RequirementProblem {
    /// The distribution that requires something.
    pub distribution: DistName,
    /// Its version.
    pub version: Version,
    /// The extra of it for which it does, if it is one.
    pub extra: Option<DistName>,
    /// The requirement as written.
    pub requirement: String,
    /// What is wrong.
    pub kind: RequirementProblemKind,
}

/// What is wrong with a requirement; each message continues the requirement's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementProblemKind {
    /// No such distribution.
    #[error(", which is not in the environment")]
    Missing,
    /// Another version.
    #[error(", the environment has {found}")]
    Conflict {
        /// The version that is there.
        found: Version,
    },
    /// The distribution has no such extra.
    #[error(", but {} has no extra `{}`", distribution.written(), extra.normalized())]
    NoExtra {
        /// The distribution that was asked for.
        distribution: DistName,
        /// The extra that it does not have.
        extra: DistName,
    },
    /// The text is no requirement.
    #[error(", which is no requirement: {0}")]
    Invalid(RequirementError),
    /// The marker asks for something that is not known, and the answer matters.
    #[error(", which depends on {fact}")]
    Undecided {
        /// What is not known.
        fact: Fact,
    },
}

/// Finds every requirement among the distributions that they do not meet themselves. Sorted by the
/// name of what requires; of several distributions of one name the last one counts.
pub fn check(
    distributions: &[Distribution<'_>],
    interpreter: &Interpreter,
) -> Vec<RequirementProblem> {
    let mut problems = Vec::new();
    let mut known = members(distributions);
    for member in known.values_mut() {
        let invalid = std::mem::take(&mut member.invalid);
        problems.extend(invalid.into_iter().map(|(text, error)| {
            member.problem(None, text, RequirementProblemKind::Invalid(error))
        }));
    }
    let mut check = Check::new(Environment::new(interpreter), &known, problems);
    check.run();
    let mut problems = check.problems;
    // Stable: a distribution's own requirements in their order, then those of its extras.
    problems.sort_by(|left, right| left.distribution.cmp(&right.distribution));
    problems
}

/// Finds out which distributions each one requires of those that are there, with extras as they are
/// asked for. Without facts about the interpreter, every requirement counts that no extra is needed
/// for.
pub fn relations(
    distributions: &[Distribution<'_>],
    interpreter: Option<&Interpreter>,
) -> BTreeMap<DistName, BTreeSet<DistName>> {
    let known = members(distributions);
    let mut found: BTreeMap<DistName, BTreeSet<DistName>> = BTreeMap::new();
    let mut relate = |from: &DistName, to: &DistName| {
        if from != to {
            found.entry(from.clone()).or_default().insert(to.clone());
        }
    };
    let Some(interpreter) = interpreter else {
        for member in known.values() {
            for requirement in &member.requirements {
                let optional = requirement
                    .marker
                    .as_ref()
                    .is_some_and(|marker| marker.extras() != Extras::Named(Vec::new()));
                if !optional && known.contains_key(&requirement.name) {
                    relate(member.distribution.name, &requirement.name);
                }
            }
        }
        return found;
    };
    let mut check = Check::new(Environment::new(interpreter), &known, Vec::new());
    check.run();
    for (from, to) in &check.met {
        relate(from, to);
    }
    found
}

/// The distributions by their names; of several of one name the last one counts.
fn members<'text>(
    distributions: &[Distribution<'text>],
) -> BTreeMap<&'text DistName, Member<'text>> {
    distributions
        .iter()
        .map(|distribution| (distribution.name, Member::new(*distribution)))
        .collect()
}

/// A distribution with its requirements parsed.
struct Member<'text> {
    distribution: Distribution<'text>,
    requirements: Vec<Requirement<'text>>,
    invalid: Vec<(&'text str, RequirementError)>,
    /// For each extra the positions of the requirements whose markers name it.
    by_extra: BTreeMap<DistName, Vec<usize>>,
    /// The positions of those that ask for extras in another way than by `==`.
    any_extra: Vec<usize>,
    provided: BTreeSet<DistName>,
}

impl<'text> Member<'text> {
    fn new(distribution: Distribution<'text>) -> Self {
        let mut member = Self {
            distribution,
            requirements: Vec::with_capacity(distribution.requires_dist.len()),
            invalid: Vec::new(),
            by_extra: BTreeMap::new(),
            any_extra: Vec::new(),
            provided: distribution
                .provides_extra
                .iter()
                .filter_map(|extra| DistName::parse(extra).ok())
                .collect(),
        };
        for text in distribution.requires_dist {
            let requirement = match Requirement::parse(text) {
                Ok(requirement) => requirement,
                Err(error) => {
                    member.invalid.push((text, error));
                    continue;
                }
            };
            let position = member.requirements.len();
            let mut named = BTreeSet::new();
            if let Some(marker) = &requirement.marker {
                match marker.extras() {
                    Extras::Named(extras) => named.extend(extras),
                    Extras::Any => member.any_extra.push(position),
                }
            }
            for extra in named {
                member.by_extra.entry(extra).or_default().push(position);
            }
            member.requirements.push(requirement);
        }
        member
    }

    /// The requirements that an extra can add, in their order.
    fn requirements_for(&self, extra: &DistName) -> impl Iterator<Item = &Requirement<'text>> {
        let named = self.by_extra.get(extra).map(Vec::as_slice).unwrap_or_default();
        let mut positions = [named, &self.any_extra].concat();
        positions.sort_unstable();
        positions.into_iter().map(|position| &self.requirements[position])
    }

    /// Whether there is such an extra. Old metadata names extras in markers only.
    fn provides(&self, extra: &DistName) -> bool {
        self.provided.contains(extra) || self.by_extra.contains_key(extra)
    }

    fn problem(
        &self,
        extra: Option<&DistName>,
        requirement: &str,
        kind: RequirementProblemKind,
    ) -> RequirementProblem {
        RequirementProblem {
            distribution: self.distribution.name.clone(),
            version: self.distribution.version.clone(),
            extra: extra.cloned(),
            requirement: shorten(requirement),
            kind,
        }
    }
}

/// A text as messages quote it.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

struct Check<'members, 'text> {
    environment: Environment,
    known: &'members BTreeMap<&'text DistName, Member<'text>>,
    /// Extras that were asked for, so that circles end.
    asked: BTreeSet<(&'text DistName, DistName)>,
    waiting: VecDeque<(&'members Member<'text>, DistName)>,
    /// Requirements that were reported, so that several extras with one requirement do not repeat
    /// it.
    reported: BTreeSet<(&'text DistName, &'text str)>,
    problems: Vec<RequirementProblem>,
    /// Who requires whom, as far as it is there and fits.
    met: BTreeSet<(&'text DistName, &'text DistName)>,
}

impl<'members, 'text> Check<'members, 'text> {
    fn new(
        environment: Environment,
        known: &'members BTreeMap<&'text DistName, Member<'text>>,
        problems: Vec<RequirementProblem>,
    ) -> Self {
        Self {
            environment,
            known,
            asked: BTreeSet::new(),
            waiting: VecDeque::new(),
            reported: BTreeSet::new(),
            problems,
            met: BTreeSet::new(),
        }
    }

    fn run(&mut self) {
        for member in self.known.values() {
            for requirement in &member.requirements {
                self.check_requirement(member, None, requirement);
            }
        }
        while let Some((member, extra)) = self.waiting.pop_front() {
            for requirement in member.requirements_for(&extra) {
                // What holds without the extra was checked without it.
                if requirement.holds(&self.environment, None) == Truth::No {
                    self.check_requirement(member, Some(&extra), requirement);
                }
            }
        }
    }

    fn check_requirement(
        &mut self,
        member: &Member<'text>,
        extra: Option<&DistName>,
        requirement: &Requirement<'text>,
    ) {
        let truth = requirement.holds(&self.environment, extra);
        if truth == Truth::No {
            return;
        }
        let found = self.known.get(&requirement.name);
        let kind = match found {
            Some(found) if requirement.accepts(found.distribution.version) => {
                self.met.insert((member.distribution.name, found.distribution.name));
                if requirement.extras.is_empty() {
                    return;
                }
                if truth == Truth::Yes {
                    return self.ask_for_extras(member, extra, requirement, found);
                }
                // Whether extras are asked for is open, so their requirements are too.
                RequirementProblemKind::Missing
            }
            Some(found) => {
                RequirementProblemKind::Conflict { found: found.distribution.version.clone() }
            }
            None => RequirementProblemKind::Missing,
        };
        let kind = if let Truth::Unknown(fact) = truth {
            RequirementProblemKind::Undecided { fact }
        } else {
            kind
        };
        if self.reported.insert((member.distribution.name, requirement.text)) {
            self.problems.push(member.problem(extra, requirement.text, kind));
        }
    }

    fn ask_for_extras(
        &mut self,
        member: &Member<'text>,
        extra: Option<&DistName>,
        requirement: &Requirement<'text>,
        found: &'members Member<'text>,
    ) {
        for wanted in &requirement.extras {
            if !found.provides(wanted) {
                let kind = RequirementProblemKind::NoExtra {
                    distribution: found.distribution.name.clone(),
                    extra: wanted.clone(),
                };
                self.problems.push(member.problem(extra, requirement.text, kind));
            } else if self.asked.insert((found.distribution.name, wanted.clone())) {
                self.waiting.push_back((found, wanted.clone()));
            }
        }
    }
}

/// Why an interpreter does not fit a `Requires-Python`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PythonProblem {
    /// Another version of Python is required.
    #[error("it requires Python {requires}, the interpreter is {found}")]
    Excluded {
        /// The text.
        requires: String,
        /// The interpreter's version.
        found: PythonVersion,
    },
    /// The patch level decides, and is not known.
    #[error(
        "it requires Python {requires}, which depends on the patch level that the interpreter's version {found} leaves out"
    )]
    PatchLevel {
        /// The text.
        requires: String,
        /// The interpreter's version.
        found: PythonVersion,
    },
}

/// Checks a `Requires-Python`. As in pip, a pre-release counts as the release that it precedes, and
/// a text that nobody understands asks for nothing: a wheel with one is accepted only where that is
/// allowed.
///
/// # Errors
/// The version does not fit, or it is not known whether it does.
pub fn requires_python(requires: &str, python: &PythonVersion) -> Result<(), PythonProblem> {
    let own = || (shorten(requires), python.clone());
    let Ok(Specifiers { specifiers, .. }) = parse_specifiers(requires) else {
        return Ok(());
    };
    match contains(&specifiers, python) {
        Some(true) => Ok(()),
        Some(false) => {
            let (requires, found) = own();
            Err(PythonProblem::Excluded { requires, found })
        }
        None => {
            let (requires, found) = own();
            Err(PythonProblem::PatchLevel { requires, found })
        }
    }
}

/// Whether specifiers allow an interpreter's version; nothing where its patch level decides and is
/// not known.
fn contains(specifiers: &VersionSpecifiers, python: &PythonVersion) -> Option<bool> {
    if let Some(full) = python.full() {
        return Some(specifiers.contains(&Version::new(full.release())));
    }
    let own = release_specifier_to_range(minor_release(python));
    let allowed = release_specifiers_to_ranges(specifiers.clone()).intersection(&own);
    if allowed.is_empty() {
        Some(false)
    } else if allowed == own {
        Some(true)
    } else {
        None
    }
}

/// `==3.11.*`: every release that `3.11` can stand for.
fn minor_release(python: &PythonVersion) -> VersionSpecifier {
    VersionSpecifier::from_str(&format!("=={}.*", python.short()))
        .expect("two numbers and a star are a specifier")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::interpreter::{Arch, Implementation, Libc, Platform};

    fn interpreter(version: &str) -> Interpreter {
        Interpreter {
            implementation: Implementation::CPython,
            version: PythonVersion::parse(version).unwrap(),
            abi: "cp311".into(),
            platform: Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 36)) },
        }
    }

    /// Each distribution is `name version`, its requirements, and its extras.
    fn problems(version: &str, distributions: &[(&str, &[&str], &[&str])]) -> Vec<String> {
        let boxed =
            |texts: &[&str]| texts.iter().map(|&text| text.into()).collect::<Vec<Box<str>>>();
        let owned: Vec<_> = distributions
            .iter()
            .map(|(name, requires, extras)| {
                let (name, version) = name.split_once(' ').unwrap();
                (
                    DistName::parse(name).unwrap(),
                    Version::from_str(version).unwrap(),
                    boxed(requires),
                    boxed(extras),
                )
            })
            .collect();
        let distributions: Vec<_> = owned
            .iter()
            .map(|(name, version, requires_dist, provides_extra)| Distribution {
                name,
                version,
                requires_dist,
                provides_extra,
            })
            .collect();
        check(&distributions, &interpreter(version)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn met_requirements_are_no_problem() {
        let found = problems(
            "3.11.7",
            &[
                (
                    "Foo.Bar 1.0",
                    &[
                        "BAZ_x (>=1,<3)",
                        "gone; sys_platform == 'win32'",
                        "b @ file:///somewhere/b.whl ; python_version > '3'",
                    ],
                    &[],
                ),
                ("baz-x 2.0b1", &[], &[]),
                ("b 1", &["foo-bar"], &[]),
            ],
        );
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn missing_and_conflicting_ones_are() {
        let check = |requirement: &str, expected: &str| {
            let found =
                problems("3.11.7", &[("A 1", &[requirement], &[]), ("b 2.0+local", &[], &["x"])]);
            assert_eq!(found.join("\n"), expected, "{requirement}");
        };
        check("c", "A 1 requires `c`, which is not in the environment");
        check("b>2", "A 1 requires `b>2`, the environment has 2.0+local");
        check("b==2.0", "");
        check("b ~=2.0 ; python_version<'3.9'", "");
        check("b[X]", "");
        check("b[y]", "A 1 requires `b[y]`, but b has no extra `y`");
        check(
            "c ; platform_release > '5'",
            "A 1 requires `c ; platform_release > '5'`, which depends on platform_release, a fact of the machine",
        );
        check("b ; platform_release > '5'", "");
        check(
            "b[x] ; platform_version > '5'",
            "A 1 requires `b[x] ; platform_version > '5'`, which depends on platform_version, a fact of the machine",
        );
        check("c ; platform_release > '5' and os_name == 'nt'", "");
        check(
            "b=>1",
            "A 1 requires `b=>1`, which is no requirement: `=>1` is no version specifier: no such comparison operator \"=>\", must be one of ~= == != <= >= < > ===",
        );
        check("b>=3.*", "A 1 requires `b>=3.*`, the environment has 2.0+local");
    }

    #[test]
    fn extras_are_followed() {
        let found = problems(
            "3.11.7",
            &[
                ("app 1", &["lib[all]"], &[]),
                (
                    "lib 1",
                    &[
                        "one; extra == 'x'",
                        "two ; extra == 'Y_y'",
                        "lib[x,y-y] ; extra == 'all'",
                        "three; extra == 'z'",
                        "four",
                        "five; extra != ''",
                    ],
                    &["x", "y-y", "all", "z"],
                ),
                ("one 1", &["lib[x]"], &[]),
            ],
        );
        assert_eq!(
            found,
            [
                "lib 1 requires `four`, which is not in the environment",
                "lib 1 with the extra `all` requires `five; extra != ''`, which is not in the environment",
                "lib 1 with the extra `y-y` requires `two ; extra == 'Y_y'`, which is not in the environment"
            ]
        );
    }

    #[test]
    fn a_patch_level_that_is_left_out_is_named_where_it_matters() {
        let check = |version: &str, marker: &str, expected: usize| {
            let requirement = format!("b ; {marker}");
            let found = problems(version, &[("a 1", &[&requirement], &[])]);
            assert_eq!(found.len(), expected, "{version} {marker}: {found:?}");
            if version == "3.11" && expected == 1 && marker.contains("3.11.") {
                assert!(found[0].ends_with("which depends on the patch level, which the interpreter's version leaves out"), "{found:?}");
            }
        };
        check("3.11", "python_version >= '3.11'", 1);
        check("3.11", "python_version < '3.11'", 0);
        check("3.11", "python_full_version < '3.11.4'", 1);
        check("3.11", "python_full_version < '3.11.4' and os_name == 'nt'", 0);
        check("3.11", "python_full_version < '3.11'", 0);
        check("3.11", "python_full_version >= '3.12.1'", 0);
        check("3.11.4", "python_full_version < '3.11.4'", 0);
        check("3.11.3", "python_full_version < '3.11.4'", 1);
    }

    #[test]
    fn python_versions_are_compared_with_requires_python() {
        let check = |requires: &str, version: &str, expected: &str| {
            let found = requires_python(requires, &PythonVersion::parse(version).unwrap());
            let found = match found {
                Ok(()) => "fits",
                Err(PythonProblem::Excluded { .. }) => "excluded",
                Err(PythonProblem::PatchLevel { .. }) => "patch level",
            };
            assert_eq!(found, expected, "{requires} {version}");
        };
        check(">=3.8", "3.11.7", "fits");
        check(">=3.8,!=3.9.0, <4", "3.11", "fits");
        check(">=3.8,", "3.11", "fits");
        check("", "3.11", "fits");
        check(">=3.12", "3.11.7", "excluded");
        check("<3.11", "3.11", "excluded");
        check(">=3.12", "3.11", "excluded");
        check(">=3.11.4", "3.11", "patch level");
        check("!=3.11.0", "3.11", "patch level");
        check("~=3.11.2", "3.11", "patch level");
        check("==3.11.*", "3.11", "fits");
        check(">3.11", "3.11", "patch level");
        check(">=3.15", "3.15.0b1", "fits");
        check("<3.15", "3.15.0b1", "excluded");
        check(">=3.6.*", "3.11.7", "fits");
        check("3.8", "3.11.7", "fits");
        let error =
            requires_python(">=3.12", &PythonVersion::parse("3.11.7").unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "it requires Python >=3.12, the interpreter is 3.11.7");
    }
}
