//! Everything that can be wrong with a lock, or with what is asked of it.
//!
//! Model layer. Messages say what is, hints what to do. A message begins with the name of the lock, which only the caller
//! knows: [`LockError::describe`] puts it there.

use std::fmt;

use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::nearest;
use crate::model::quantity::list;
use crate::model::requirements::marker::Fact;

/// How the message about a requirement without a hash ends.
pub(super) const NO_HASH: &str = "` has no hash";
/// How the message about a project that is to be installed as it is edited ends.
pub(super) const EDITABLE: &str = "` is no wheel";
/// Why there is no wheel for requirements, of which only hashes are known.
pub(super) const NOT_GIVEN: &str =
    "none of the wheels that are given has one of its hashes and fits";
/// How the reason begins why none of a package's wheels fits.
pub(super) const ELSEWHERE: &str = "its wheels are for ";
/// How many problems of a text are shown; a broken file can have one in every line.
const SHOWN: usize = 20;

/// A place in a text: line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// Something that is wrong in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Whether the column says anything.
    pub column: bool,
    /// What.
    pub message: String,
}

/// A name that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// What it should name: `extra`, `group`, `member`.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// All that are known.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no {} `{}`; ", self.what, self.name)?;
        if self.known.is_empty() {
            return formatter.write_str("there are none");
        }
        write!(formatter, "there are {}", list(&self.known, 30))?;
        match nearest::nearest(&self.name, self.known.iter().map(String::as_str)) {
            Some(near) => write!(formatter, " (did you mean {near}?)"),
            None => Ok(()),
        }
    }
}

/// A package of which no wheel fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// Name and version.
    pub package: String,
    /// Why.
    pub reason: String,
}

/// Why a lock cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockError {
    /// It is something else.
    Foreign {
        /// What.
        what: String,
        /// What to do with it.
        hint: Option<&'static str>,
    },
    /// Another version of its format.
    FormatVersion {
        /// The key that says so.
        key: &'static str,
        /// The version.
        found: String,
        /// What is read.
        known: &'static str,
    },
    /// A part is not there without which it says nothing: it may have been cut off.
    Incomplete {
        /// What.
        lacks: &'static str,
    },
    /// A line that Git writes where two versions of a file do not go together.
    Merge(Problem),
    /// The text is wrong.
    Text(Vec<Problem>),
    /// Names that the lock does not have.
    Unknown(Vec<UnknownName>),
    /// Something that only another format can answer.
    NoGraph {
        /// What was asked for.
        asked: &'static str,
        /// The format.
        kind: &'static str,
    },
    /// Items of one set of conflicts, each described.
    Conflict(Vec<String>),
    /// The interpreter's version is not allowed.
    Python {
        /// The package that does not allow it, or the lock itself.
        package: Option<String>,
        /// The versions that are.
        requires: String,
        /// The interpreter's.
        found: String,
        /// Whether only the patch level decides, which is not known.
        patch_level: bool,
    },
    /// The lock is for other environments.
    Environments {
        /// Their markers.
        markers: Vec<String>,
        /// The platform.
        platform: String,
    },
    /// Markers that ask for something that is not known.
    Undecided(Vec<Undecided>),
    /// A package that is required in this environment and of which the lock has no version for it.
    Lacks(String),
    /// A package that is there twice for one environment.
    Twice(Vec<Twice>),
    /// Wheels without a hash.
    Unpinned(Vec<Unpinned>),
    /// Packages of which no wheel fits.
    Unavailable {
        /// The interpreter.
        interpreter: String,
        /// The packages.
        packages: Vec<Unavailable>,
        /// And wheels without a hash.
        unpinned: Vec<Unpinned>,
    },
    /// Requirements, and no wheels to look for theirs among.
    NoAddresses,
}

/// A marker without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// The package that it decides about.
    pub package: String,
    pub marker: String,
    /// What is not known.
    pub fact: Fact,
}

/// Two packages of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twice {
    pub name: String,
    /// What they are called: `packages[0]`, or versions.
    pub which: Vec<String>,
}

/// A wheel without a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpinned {
    pub file_name: String,
    /// Where it comes from.
    pub source: String,
}

impl LockError {
    /// The whole message, which names the lock.
    pub fn describe(&self, origin: &str) -> String {
        self.lines(origin).join("\n")
    }

    /// What is wrong, each thing by itself and without the name of the lock.
    pub(super) fn reasons(&self) -> Vec<String> {
        match self {
            Self::Unknown(names) => texts(names),
            Self::Undecided(all) => texts(all),
            Self::Twice(all) => texts(all),
            Self::Unpinned(all) => texts(all),
            other => vec![other.to_string()],
        }
    }

    /// The same in lines.
    pub fn lines(&self, origin: &str) -> Vec<String> {
        let each = |all: Vec<String>| -> Vec<String> {
            all.iter().map(|one| format!("{origin}: {one}")).collect()
        };
        match self {
            Self::Text(problems) => {
                let shown = problems.iter().take(SHOWN);
                let mut lines: Vec<String> =
                    shown.map(|problem| problem.describe(origin)).collect();
                if problems.len() > SHOWN {
                    lines.push(format!("{origin}: and {} more problems", problems.len() - SHOWN));
                }
                lines
            }
            Self::Merge(problem) => vec![problem.describe(origin)],
            Self::Unknown(_) | Self::Undecided(_) | Self::Twice(_) | Self::Unpinned(_) => {
                each(self.reasons())
            }
            Self::Unavailable { packages, unpinned, .. } => {
                let line = |unavailable: &Unavailable| {
                    format!("  {}: {}", unavailable.package, unavailable.reason)
                };
                let head = format!("{origin}: {self}");
                let lines = std::iter::once(head).chain(packages.iter().map(line));
                lines.chain(each(texts(unpinned))).collect()
            }
            other => vec![format!("{origin}: {other}")],
        }
    }
}

impl Explain for LockError {
    fn explain(&self) -> Explanation {
        let spec = ErrorKind::Spec;
        match self {
            Self::Foreign { hint, .. } => spec.with(*hint),
            Self::FormatVersion { .. } => {
                spec.hint("a newer venvtree may read it, or an older version of the tool that wrote it")
            }
            Self::Incomplete { .. } => spec.hint(CUT_OFF),
            Self::Merge(_) => spec.hint(
                "take one side, as with `git checkout --ours FILE`, and lock anew: `uv lock` writes what has changed since",
            ),
            Self::Lacks(_) => spec.hint("lock anew, as with `uv lock`"),
            Self::NoGraph { .. } => {
                spec.hint("a uv.lock says which package requires which; give that one")
            }
            Self::Conflict(items) if items.iter().any(|item| item.starts_with("the group")) => {
                spec.hint(
                    "ask for one of them; groups that count by default are left out with --no-default-groups",
                )
            }
            Self::Conflict(_) => {
                spec.hint("ask for one of them, with each --extra by its name")
            }
            Self::Unavailable { packages, .. } => {
                let is_not_given = |package: &Unavailable| package.reason == NOT_GIVEN;
                let is_elsewhere = |package: &Unavailable| package.reason.starts_with(ELSEWHERE);
                ErrorKind::Wheel.hint(if packages.iter().all(is_not_given) {
                    "give the wheels with --wheels, or let `create`, `build` or `lock fetch` look them up with --index-url URL"
                } else if packages.iter().all(is_elsewhere) {
                    "name a target that a wheel is for, if yours is one (such as one with a newer glibc), or build a wheel and give it with --supply"
                } else {
                    "build a wheel elsewhere, as with `pip wheel --no-deps NAME==VERSION`, and give it with --supply"
                })
            }
            Self::Unpinned(_) => {
                spec.hint("give --unpinned to trust what is there, or lock again from an index")
            }
            Self::NoAddresses => spec.hint(
                "give --wheels DIR or --index-url URL, or pin them once: `venvtree lock pin requirements.txt --index-url URL --out pylock.toml`",
            ),
            Self::Undecided(_) => spec.hint(
                "name the whole version of the interpreter, such as 3.12.1, or give its facts with --interpreter",
            ),
            Self::Python { patch_level: true, .. } => {
                spec.hint("name the whole version of the interpreter, such as 3.12.1")
            }
            Self::Text(problems) if problems.iter().any(Problem::is_open_end) => spec.hint(CUT_OFF),
            Self::Text(problems) if problems.iter().any(|problem| problem.message.ends_with(NO_HASH)) => spec.hint(
                "`uv pip compile --generate-hashes` and `pip-compile --generate-hashes` write hashes; `venvtree lock pin` adds the addresses",
            ),
            Self::Text(problems) if problems.iter().any(|problem| problem.message.ends_with(EDITABLE)) => spec.hint(
                "`uv export --no-emit-project` leaves the project itself out, `--no-emit-workspace` all members of a workspace",
            ),
            Self::Python { patch_level: false, .. } => {
                spec.hint("name an interpreter that fits, with --python or --target, or lock anew for this one")
            }
            Self::Environments { .. } => spec.hint(
                "add this one to `tool.uv.environments` of pyproject.toml and lock anew, or name another target",
            ),
            Self::Text(_) | Self::Unknown(_) | Self::Twice(_) => spec.no_hint(),
        }
    }
}

/// A lock that cannot be used, and where it is.
#[derive(Debug, thiserror::Error)]
#[error("{}", error.describe(origin))]
pub struct UnusableLock {
    /// Where it is.
    pub origin: String,
    /// Why.
    pub error: LockError,
}

impl Explain for UnusableLock {
    fn explain(&self) -> Explanation {
        self.error.explain()
    }

    fn items(&self) -> Vec<String> {
        self.error.lines(&self.origin).split_off(1)
    }
}

fn texts<T: fmt::Display>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// What may have become of a lock that ends too soon.
const CUT_OFF: &str =
    "it may have been cut off, or not be written yet: lock anew, as with `uv lock`";

impl Problem {
    /// Whether something is not closed, as where a file ends too soon.
    fn is_open_end(&self) -> bool {
        self.message.starts_with("unclosed ")
    }

    fn describe(&self, origin: &str) -> String {
        let Place { line, column } = self.place;
        match self.column {
            true => format!("{origin}:{line}:{column}: {}", self.message),
            false => format!("{origin}:{line}: {}", self.message),
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { what, .. } => write!(
                formatter,
                "is {what}, expected a uv.lock, a pylock.toml or requirements with hashes"
            ),
            Self::FormatVersion { key, found, known } => {
                write!(formatter, "{key} is {found}; this venvtree reads {known}")
            }
            Self::Incomplete { lacks } => write!(formatter, "has no {lacks}"),
            Self::Lacks(name) => write!(
                formatter,
                "requires `{name}`, and has no version of it for this environment"
            ),
            Self::NoGraph { asked, kind } => write!(
                formatter,
                "{asked} cannot be answered: a {kind} does not say which package requires which"
            ),
            Self::Conflict(items) => write!(formatter, "{} exclude one another", joined(items)),
            Self::Python { package, requires, found, patch_level } => {
                if let Some(package) = package {
                    write!(formatter, "{package} ")?;
                }
                write!(formatter, "needs Python {requires}, the environment has {found}")?;
                if *patch_level { formatter.write_str(", without a patch level") } else { Ok(()) }
            }
            Self::Environments { markers, platform } => {
                let markers: Vec<String> =
                    markers.iter().take(5).map(|marker| format!("`{marker}`")).collect();
                write!(formatter, "is for {}, not for {platform}", markers.join(" or "))
            }
            Self::Unavailable { interpreter, packages, .. } => {
                let plural = if packages.len() == 1 { "" } else { "s" };
                write!(
                    formatter,
                    "no wheel of {} package{plural} fits {interpreter}:",
                    packages.len()
                )
            }
            Self::NoAddresses => formatter.write_str("has no addresses, and no wheels are given"),
            // Several lines, each with the name of the lock: `describe` writes it.
            Self::Text(_)
            | Self::Merge(_)
            | Self::Unknown(_)
            | Self::Undecided(_)
            | Self::Twice(_)
            | Self::Unpinned(_) => formatter.write_str(&self.describe("lock")),
        }
    }
}

impl std::error::Error for LockError {}

impl fmt::Display for Undecided {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "whether `{}` is needed (`{}`) depends on {}",
            self.package, self.marker, self.fact
        )
    }
}

impl fmt::Display for Twice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is there {} for this environment (",
            self.name,
            if self.which.len() == 2 { "twice" } else { "several times" }
        )?;
        write!(formatter, "{})", list(&self.which, 5))
    }
}

impl fmt::Display for Unpinned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` has no hash ({})", self.file_name, self.source)
    }
}

/// `a, b and c`.
fn joined(items: &[String]) -> String {
    match items {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => items.join(""),
    }
}

/// The first line that Git writes where two versions of a text do not go together.
pub(super) fn conflict_marker(text: &str) -> Option<Problem> {
    let is_marker = |line: &str| {
        ["<<<<<<< ", "||||||| ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker))
            || line == "======="
    };
    let (index, line) = text.lines().enumerate().find(|(_, line)| is_marker(line))?;
    let message = format!("`{}` is a conflict marker, which a merge has left there", &line[..7]);
    Some(Problem { place: Place { line: index + 1, column: 1 }, column: false, message })
}

/// What a text is that is neither TOML nor requirements.
pub(super) fn foreign(text: &str) -> Option<LockError> {
    let error =
        |what: &str, hint| Some(LockError::Foreign { what: what.to_owned(), hint: Some(hint) });
    let Some(first) = text.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return error("empty", "it may have been cut off, or not be written yet: lock anew");
    };
    if first.starts_with('{') {
        if text.contains("\"interpreter\"") && text.contains("\"wheels\"") {
            return error("a spec", "`venvtree build SPEC --out DIR` makes what it says");
        }
        let hint = "pipenv: `pipenv requirements --hash` writes requirements with hashes";
        return error("JSON", hint);
    }
    if first.starts_with('<') {
        return error(
            "HTML or XML",
            "a page may have come instead of a file: look at how it was downloaded",
        );
    }
    if first == "---"
        || text.lines().take(40).any(|line| line == "packages:" || line == "environments:")
    {
        return error("YAML", "conda's and pixi's locks name no wheels that venvtree could take");
    }
    None
}

/// What a TOML document is that is neither lock; told by keys of its root.
pub(super) fn foreign_toml(has: impl Fn(&str) -> bool) -> LockError {
    let (what, hint) = if has("package") && has("metadata") {
        (
            "a lock of Poetry or PDM",
            "`poetry export --format requirements.txt` or `pdm export --format pylock` writes one",
        )
    } else if has("project") || has("build-system") || has("tool") {
        ("a pyproject.toml", "give the lock beside it; `uv lock` makes one")
    } else {
        (
            "TOML of another kind",
            "`uv lock` writes a uv.lock, `uv export --format pylock.toml` a pylock.toml",
        )
    };
    LockError::Foreign { what: what.to_owned(), hint: Some(hint) }
}
