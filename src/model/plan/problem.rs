//! Why a plan cannot be made, and what a person should know about one that can.

use std::borrow::Cow;

use crate::model::every::words_of;
use crate::model::explain::{Detail, ErrorKind, Explain, Explanation};
use crate::model::path::TreePath;

/// Somebody who wants a path, as messages name them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimant {
    /// Who: a wheel's file name, a source, venvtree itself.
    pub name: String,
    /// What for: a member's path, what is generated.
    pub detail: String,
    /// The SHA-256 of the bytes and their number, or where the link leads.
    pub content: Option<String>,
}

impl std::fmt::Display for Claimant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({}", self.name, self.detail)?;
        if let Some(content) = &self.content {
            write!(formatter, ", {content}")?;
        }
        formatter.write_str(")")
    }
}

fn list(claimants: &[Claimant]) -> String {
    items(claimants).iter().map(|item| format!("\n{item}")).collect()
}

fn items(claimants: &[Claimant]) -> Vec<String> {
    claimants.iter().map(|claimant| format!("    {claimant}")).collect()
}

/// One reason not to build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PlanProblem {
    /// The wheel is for other interpreters.
    #[error("{wheel}: {error}")]
    IncompatibleTags {
        wheel: String,
        /// What the wheel is for and what the interpreter accepts.
        error: String,
        /// What to try.
        hint: Option<Cow<'static, str>>,
    },
    /// The wheel's Requires-Python leaves the interpreter out.
    #[error("{wheel}: {error}")]
    RequiresPython {
        wheel: String,
        /// Both sides.
        error: String,
    },
    /// Two wheels of one distribution.
    #[error("the distribution `{distribution}` comes from {} wheels, expected one: {}", wheels.len(), wheels.join(", "))]
    SameDistribution {
        /// The normalised name.
        distribution: String,
        /// The wheels' file names.
        wheels: Vec<String>,
    },
    /// A requirement is missing or conflicts.
    #[error("{text}")]
    Requirement {
        /// Who requires what, and what is there.
        text: String,
    },
    /// A script cannot be made relocatable.
    #[error("{wheel}: the script `{script}` cannot be installed: {error}")]
    Script {
        wheel: String,
        script: String,
        /// Why.
        error: String,
        /// What to try.
        hint: Option<Cow<'static, str>>,
    },
    /// The launcher cannot be made.
    #[error("the launcher cannot be made: {error}")]
    Launcher {
        /// Why.
        error: String,
        /// What to try.
        hint: Option<Cow<'static, str>>,
    },
    /// The interpreter that is to be copied in lacks the program that the environment starts.
    #[error(
        "the interpreter's directory has no executable file `{executable}`, which the environment would start: {found}"
    )]
    NoInterpreter {
        /// The spec's `executable`.
        executable: TreePath,
        /// What is there instead.
        found: String,
    },
    /// A path that no tree may hold.
    #[error("{}{error}", wheel.as_ref().map(|wheel| format!("{wheel}: ")).unwrap_or_default())]
    Path {
        /// The wheel that asks for it.
        wheel: Option<String>,
        path: String,
        /// What is wrong with it.
        error: String,
    },
    /// An `exclude` pattern matches what installation needs.
    #[error(
        "{wheel}: the exclude pattern `{pattern}` matches `{path}`, which an installed distribution needs"
    )]
    ExcludesMetadata {
        wheel: String,
        pattern: String,
        /// The file.
        path: String,
    },
    /// Something claims what belongs to the environment.
    #[error("`{path}` is reserved, {reason}; it is claimed by{}", list(claimants))]
    Reserved {
        path: TreePath,
        /// What it is for.
        reason: &'static str,
        /// Who claims it.
        claimants: Vec<Claimant>,
    },
    /// One path, several contents.
    #[error("`{path}` is claimed with different contents by{}", list(claimants))]
    Conflict {
        path: TreePath,
        /// Who claims it.
        claimants: Vec<Claimant>,
    },
    /// One path is a file for some and a directory for others.
    #[error("`{path}` is a file for some and a directory for others:{}", list(claimants))]
    FileOverDirectory {
        path: TreePath,
        /// Who claims it as a file, and one who claims something below it.
        claimants: Vec<Claimant>,
    },
    /// Names that the target's file system takes for one.
    #[error(
        "{} differ only in case or Unicode form, and the target cannot tell them apart",
        quote(paths)
    )]
    NamesFold { paths: Vec<String> },
    /// A name that Windows cannot store.
    #[error("`{path}` cannot be stored on Windows: {reason}")]
    WindowsName {
        path: TreePath,
        /// What is wrong with the name.
        reason: String,
    },
    /// A path that is too long for Windows wherever the environment lies.
    #[error("`{path}` has {length} characters, more than Windows can open below any directory")]
    WindowsLength {
        path: TreePath,
        /// Its UTF-16 units.
        length: usize,
    },
    /// An override names a distribution that does not claim the path.
    #[error(
        "the conflict override of `{path}` names `{distribution}`, which does not claim it; it is claimed by{}",
        list(claimants)
    )]
    OverrideWithoutClaim {
        path: TreePath,
        distribution: String,
        /// Who claims it.
        claimants: Vec<Claimant>,
    },
}

fn quote(paths: &[String]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(" and ")
}

impl PlanProblem {
    /// A stable word for the kind of problem.
    pub fn code(&self) -> &'static str {
        words_of!(
            self,
            IncompatibleTags => "incompatible-tags",
            RequiresPython => "requires-python",
            SameDistribution => "same-distribution",
            Requirement => "requirement",
            Script => "script",
            Launcher => "launcher",
            NoInterpreter => "no-interpreter",
            Path => "path",
            ExcludesMetadata => "excludes-metadata",
            Reserved => "reserved",
            Conflict => "conflict",
            FileOverDirectory => "file-over-directory",
            NamesFold => "names-fold",
            WindowsName => "windows-name",
            WindowsLength => "windows-length",
            OverrideWithoutClaim => "override-without-claim",
        )
    }
}

impl Explain for PlanProblem {
    fn explain(&self) -> Explanation {
        let (wheel, conflict) = (ErrorKind::Wheel, ErrorKind::Conflict);
        match self {
            Self::IncompatibleTags { hint, .. }
            | Self::Script { hint, .. }
            | Self::Launcher { hint, .. } => wheel.with(hint.clone()),
            Self::RequiresPython { .. } => wheel.hint(
                "take another interpreter, or a version of the distribution that is for this one",
            ),
            Self::Requirement { .. } => {
                wheel.hint("add the missing wheel, or set the flag `requirements` to `warn`")
            }
            Self::NoInterpreter { .. } => wheel.hint(
                "name the interpreter's own directory, and its program within it with `executable`",
            ),
            Self::WindowsName { .. } | Self::WindowsLength { .. } => {
                wheel.hint("leave it out with `exclude`")
            }
            Self::Path { .. } | Self::ExcludesMetadata { .. } => wheel.no_hint(),
            Self::SameDistribution { .. } => conflict.hint("keep one of the wheels"),
            Self::Reserved { .. } => conflict
                .hint("leave it out with `exclude`, or give a source another place with `into`"),
            Self::Conflict { .. } => conflict.hint(
                "leave the path out of one wheel with `exclude`, or choose with `conflict_overrides` or `conflicts` (`first`, `last`)",
            ),
            Self::FileOverDirectory { .. } | Self::NamesFold { .. } => {
                conflict.hint("leave one of them out with `exclude`")
            }
            Self::OverrideWithoutClaim { .. } => conflict.no_hint(),
        }
    }

    fn code(&self) -> Option<&'static str> {
        Some(self.code())
    }

    fn items(&self) -> Vec<String> {
        match self {
            Self::Reserved { claimants, .. }
            | Self::Conflict { claimants, .. }
            | Self::FileOverDirectory { claimants, .. }
            | Self::OverrideWithoutClaim { claimants, .. } => items(claimants),
            _ => Vec::new(),
        }
    }
}

/// Something that does not keep a plan from being made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PlanWarning {
    /// A requirement is missing or conflicts.
    #[error("{text}")]
    Requirement {
        /// Who requires what, and what is there.
        text: String,
    },
    /// A wheel is used although something is wrong with it, as the spec says so.
    #[error("{wheel} is used although `{code}` was found, which is allowed: {example}{}", if *count > 1 { format!(", and {} more", count - 1) } else { String::new() })]
    Allowed {
        wheel: String,
        code: &'static str,
        /// One of the findings.
        example: String,
        /// How many there are.
        count: u64,
    },
    /// An `exclude` pattern matches nothing.
    #[error("{wheel}: the exclude pattern `{pattern}` matches nothing")]
    UnusedExclude { wheel: String, pattern: String },
    /// A pattern of modules without bytecode matches none.
    #[error("`bytecode.exclude`: the pattern `{pattern}` matches no module")]
    UnusedBytecodeExclude { pattern: String },
    /// A wrapper that setuptools once made for an entry point.
    #[error(
        "{wheel}: the script `{script}` is left out, because the environment makes its own for the entry point `{entry_point}`"
    )]
    Wrapper { wheel: String, script: String, entry_point: String },
    /// A conflict that the policy decided.
    #[error("`{path}` is claimed with different contents; {winner} wins over{}", list(losers))]
    Decided {
        path: TreePath,
        /// Who wins.
        winner: Claimant,
        /// Who loses.
        losers: Vec<Claimant>,
    },
    /// Little room is left for the environment's own path.
    #[error(
        "`{path}` has {length} characters: on Windows without long paths, the path of the environment may have {room} at most"
    )]
    WindowsLength {
        /// The longest path.
        path: TreePath,
        /// Its UTF-16 units.
        length: usize,
        /// What is left.
        room: usize,
    },
    /// Modules that no Python of this version can compile: it would not import them either.
    #[error("{owner}: `{module}`{} cannot be compiled, and {} no bytecode", if *count > 1 { format!(" and {} more", count - 1) } else { String::new() }, if *count > 1 { "have" } else { "has" })]
    Uncompilable {
        /// Whose modules they are.
        owner: String,
        /// One of them.
        module: String,
        /// How many there are.
        count: u64,
    },
    /// Names that some file systems take for one.
    #[error(
        "{} differ only in case or Unicode form: the environment cannot be copied to a file system that ignores case",
        quote(paths)
    )]
    NamesFold { paths: Vec<String> },
}

impl PlanWarning {
    /// The items that the message ends in, each in a line of its own.
    pub fn items(&self) -> Vec<String> {
        match self {
            Self::Decided { losers, .. } => items(losers),
            _ => Vec::new(),
        }
    }

    /// A stable word for the kind of warning.
    pub fn code(&self) -> &'static str {
        words_of!(
            self,
            Requirement => "requirement",
            Allowed => "allowed",
            UnusedExclude => "unused-exclude",
            UnusedBytecodeExclude => "bytecode.unused-exclude",
            Wrapper => "wrapper",
            Decided => "decided",
            WindowsLength => "windows-length",
            Uncompilable => "bytecode.uncompilable",
            NamesFold => "names-fold",
        )
    }
}

/// Everything that keeps a plan from being made.
#[derive(Debug, thiserror::Error)]
#[error("the environment cannot be built, for {} reason{}", problems.len(), if problems.len() == 1 { "" } else { "s" })]
pub struct PlanError {
    /// The reasons, sorted.
    pub problems: Vec<PlanProblem>,
    /// What else a person should know.
    pub warnings: Vec<PlanWarning>,
}

impl Explain for PlanError {
    fn explain(&self) -> Explanation {
        let is_conflict = |problem: &PlanProblem| problem.kind() == ErrorKind::Conflict;
        if self.problems.iter().all(is_conflict) {
            ErrorKind::Conflict.no_hint()
        } else {
            ErrorKind::Wheel.no_hint()
        }
    }

    fn details(&self) -> Vec<Detail> {
        self.problems.iter().map(|problem| Detail::of(problem, "plan")).collect()
    }
}
