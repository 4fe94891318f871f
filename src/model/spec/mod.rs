//! The spec: the validated request for one environment.
//!
//! Model layer. A [`Spec`] is made by [`parse`], which reports every problem of a document at once
//! with its JSON path, and cannot be wrong in itself; whether the files it names exist is found out
//! when they are opened. [`document`] holds the JSON shape, which the schema and specs written by
//! venvtree come from.

pub mod document;
pub(crate) mod foreign;
mod read;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::activate::Shell;
use crate::model::address::Address;
use crate::model::bytecode::modules::{DEFAULT_EXCLUDE, Excluded};
use crate::model::bytecode::overlay::Recipe;
use crate::model::bytecode::release::{Compiler, Release};
use crate::model::bytecode::{Level, Validation};
use crate::model::digest::{DigestFunction, Hash, WheelDigest};
use crate::model::every::{named, words_of};
use crate::model::explain::{Detail, ErrorKind, Explain, Explanation};
use crate::model::finding::Code;
use crate::model::interpreter::{Implementation, Interpreter};
use crate::model::path::TreePath;
use crate::model::wheel::entry_points::ScriptKind;
use crate::model::wheel::filename::WheelFilename;

pub use crate::model::json::Problem;
pub use foreign::Foreign;
pub use read::{parse, parse_interpreter};

/// The version of the spec that this crate reads.
pub const SPEC_VERSION: u64 = 1;
/// 1980-01-02T00:00:00Z: the modification time of everything, unless the spec says otherwise. In
/// seconds since 1970-01-01T00:00:00Z.
///
/// Zip cannot express a time before 1980, and its writers put local time there: a day earlier, what
/// is copied out of a tree could not be put into a zip archive anywhere west of Greenwich.
pub const DEFAULT_MTIME: u64 = 315_619_200;
/// The latest modification time that every file system and archive format can express:
/// 2106-02-07T06:28:15Z.
pub const LATEST_MTIME: u64 = u32::MAX as u64;

/// A request for one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The interpreter's facts.
    pub interpreter: Interpreter,
    /// How the environment reaches the interpreter.
    pub python: Python,
    /// For Windows: the programs that scripts and `python.exe` are made from.
    pub launchers: Option<Launchers>,
    /// The wheels, in the order of the document.
    pub wheels: Vec<WheelReference>,
    /// First-party files and directories to copy in.
    pub sources: Vec<SourceReference>,
    /// Directories to put on `sys.path`, relative to the tree's root.
    pub path_entries: Vec<String>,
    /// The bytecode that the tree has, if it has any.
    pub bytecode: Option<Bytecode>,
    /// Everything else.
    pub flags: Flags,
}

/// The bytecode of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytecode {
    /// Its levels: at least one.
    pub levels: BTreeSet<Level>,
    /// How Python knows whether it is still that of its source.
    pub validation: Validation,
    /// What compiles.
    pub compiler: Compiler,
    /// Patterns of modules that have none, relative to where modules are found.
    pub exclude: Vec<String>,
    /// Overlays of the interpreter that is copied in.
    pub interpreter: Vec<InputPath>,
}

impl Bytecode {
    /// The bytecode that this compiler makes at these levels, where nothing else is said.
    pub fn new(levels: BTreeSet<Level>, compiler: Compiler) -> Self {
        let exclude = DEFAULT_EXCLUDE.map(str::to_owned).into();
        Self {
            levels,
            validation: Validation::default(),
            compiler,
            exclude,
            interpreter: Vec::new(),
        }
    }

    /// The bytecode of these levels that an interpreter's own compiler makes.
    ///
    /// # Errors
    /// None is made of it.
    pub fn of(interpreter: &Interpreter, levels: BTreeSet<Level>) -> Result<Self, NotCompiled> {
        Ok(Self::new(levels, own_compiler(interpreter)?))
    }

    /// How it is made, one level after the other.
    pub fn recipes(&self) -> impl Iterator<Item = Recipe> + '_ {
        let (validation, compiler) = (self.validation, self.compiler);
        self.levels.iter().map(move |&level| Recipe { compiler, level, validation })
    }

    /// The modules that have none.
    pub fn excluded(&self) -> Excluded {
        Excluded::new(self.exclude.iter().map(String::as_str)).expect("checked with the spec")
    }
}

/// Why there is no bytecode for an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCompiled {
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub hint: Cow<'static, str>,
}

/// The compiler of an interpreter itself.
///
/// # Errors
/// No bytecode of it is made, or its version leaves out which it is.
pub fn own_compiler(interpreter: &Interpreter) -> Result<Compiler, NotCompiled> {
    check_regular(interpreter)?;
    let Interpreter { version, platform, .. } = interpreter;
    if version.patch.is_none() {
        let (os, arch) = (platform.os().name(), platform.arch().name());
        return Err(NotCompiled {
            message: format!(
                "the interpreter's version is {version}, expected one with its patch level, on which bytecode depends"
            ),
            hint: format!(
                "name it: at the end of a target (`--target {os}-{arch}-{version}.1`), in a spec as `interpreter.version` or as `bytecode.compiler` (\"{version}.1\")"
            )
            .into(),
        });
    }
    compiler_of(interpreter, version.as_str())
}

/// The compiler of a version, for an interpreter: of its minor version, to the patch level.
///
/// # Errors
/// No bytecode of it is made.
pub fn compiler_of(interpreter: &Interpreter, version: &str) -> Result<Compiler, NotCompiled> {
    check_regular(interpreter)?;
    let own = interpreter.version.short();
    let compiler = Compiler::of_version(version);
    if let Some(compiler) =
        compiler.filter(|found| found.release().minor() == interpreter.version.minor)
    {
        return Ok(compiler);
    }
    let is_number = |part: &str| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        digits && !part.is_empty() && (part == "0" || !part.starts_with('0'))
    };
    let are_numbers = version.split('.').all(is_number);
    let (expected, hint) = match version.split('.').count() {
        3 if are_numbers => (
            format!("a version of CPython {own}"),
            "the compiler has the interpreter's minor version: other bytecode is not loaded by it",
        ),
        1 | 2 if are_numbers => (
            "a version with its patch level".to_owned(),
            "the same source is other bytecode in another patch level: name the compiler's full version",
        ),
        _ => (
            "a released version, three numbers without leading zeros".to_owned(),
            "what is no release may change what it makes of a source: name a release",
        ),
    };
    let message =
        format!("found the compiler {version:?}, expected {expected}, such as \"{own}.1\"");
    Err(NotCompiled { message, hint: hint.into() })
}

/// Whether bytecode is made of an interpreter of some patch level.
fn check_regular(interpreter: &Interpreter) -> Result<(), NotCompiled> {
    let Interpreter { implementation, version, abi, .. } = interpreter;
    let regular = *implementation == Implementation::CPython
        && **abi == *interpreter.interpreter_tag()
        && Release::of(version.minor).is_some();
    if regular {
        return Ok(());
    }
    let releases = Release::ALL.map(|release| format!("3.{}", release.minor())).join(", ");
    let name = implementation.platform_name();
    Err(NotCompiled {
        message: format!(
            "bytecode is made of regular builds of CPython {releases}, found {name} {version} ({abi})"
        ),
        hint: "leave the bytecode out: Python compiles what it imports".into(),
    })
}

/// How `bin/python` reaches the interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Python {
    /// A directory copied into the tree under `.python/`.
    Inside {
        /// Where the directory is: an input path or an input's key.
        directory: InputPath,
        /// The interpreter within that directory.
        executable: TreePath,
    },
    /// A symbolic link, relative to the tree's root, that may leave it.
    Relative {
        /// The interpreter.
        path: String,
    },
    /// A symbolic link to an interpreter of the system.
    Absolute {
        /// The interpreter.
        path: String,
    },
    /// A POSIX shell file that runs the first candidate that is there.
    Launcher {
        /// The candidates, absolute or relative to the tree's root.
        candidates: Vec<String>,
    },
}

impl Python {
    /// The kind's name in specs.
    pub fn kind(&self) -> &'static str {
        words_of!(
            self,
            Inside => "inside",
            Relative => "relative",
            Absolute => "absolute",
            Launcher => "launcher",
        )
    }
}

/// The launchers of an environment for Windows: as files that a spec names, or as what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launchers<L = LauncherReference> {
    /// For console scripts.
    pub console: L,
    /// For scripts without a console.
    pub gui: L,
    /// For `python.exe`; that of console scripts, unless the spec gives another.
    pub python: Option<L>,
    /// For `pythonw.exe`; that of scripts without a console, unless the spec gives another.
    pub pythonw: Option<L>,
}

impl<L> Launchers<L> {
    /// Every launcher with its name in specs.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &L)> {
        let all = [
            ("console", Some(&self.console)),
            ("gui", Some(&self.gui)),
            ("python", self.python.as_ref()),
            ("pythonw", self.pythonw.as_ref()),
        ];
        all.into_iter().filter_map(|(name, launcher)| Some((name, launcher?)))
    }

    /// The launcher of scripts.
    pub fn of_scripts(&self, kind: ScriptKind) -> &L {
        match kind {
            ScriptKind::Console => &self.console,
            ScriptKind::Gui => &self.gui,
        }
    }

    /// The launcher of the interpreter.
    pub fn of_interpreter(&self, kind: ScriptKind) -> &L {
        let own = match kind {
            ScriptKind::Console => &self.python,
            ScriptKind::Gui => &self.pythonw,
        };
        own.as_ref().unwrap_or_else(|| self.of_scripts(kind))
    }
}

/// A launcher file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LauncherReference {
    /// Where it is.
    pub path: InputPath,
    /// The SHA-256 of the file.
    pub sha256: Option<Hash>,
}

/// The path of an input, or the key that stands for it; never enters the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputPath(pub String);

impl std::fmt::Display for InputPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A wheel to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelReference {
    /// Where it is; nothing where it has to be fetched.
    pub path: Option<InputPath>,
    /// Where it can be had, in the order of trying.
    pub urls: Vec<Address>,
    /// Its bytes, where they are known.
    pub size: Option<u64>,
    /// Its file name, which says what it holds: the last part of the path, or of the first address,
    /// unless the spec gives another.
    pub file_name: WheelFilename,
    /// The SHA-256 of the file.
    pub sha256: Option<WheelDigest>,
    /// Patterns of installed paths to leave out, relative to the root of their scheme.
    pub exclude: Vec<String>,
    /// Overlays with its bytecode, one for each level.
    pub bytecode: Vec<InputPath>,
}

impl WheelReference {
    /// A wheel that lies somewhere.
    pub fn at(path: InputPath, file_name: WheelFilename, sha256: Option<WheelDigest>) -> Self {
        let path = Some(path);
        let (exclude, bytecode) = (Vec::new(), Vec::new());
        Self { path, urls: Vec::new(), size: None, file_name, sha256, exclude, bytecode }
    }
}

/// Files to copy in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReference {
    /// A file or a directory.
    pub path: InputPath,
    /// Where it goes, relative to purelib; nothing means purelib itself.
    pub into: Option<TreePath>,
    /// Overlays with their bytecode, one for each level.
    pub bytecode: Vec<InputPath>,
}

/// Who wins where two sources claim one path with different contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Nobody: the build fails and names everyone.
    #[default]
    Error,
    /// The first one in the order of the spec.
    First,
    /// The last one in the order of the spec.
    Last,
}

impl Policy {
    named! {
        /// The name in specs.
        3, "error" => Error, "first" => First, "last" => Last
    }
}

/// Who wins at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Override {
    /// As the policy says.
    Policy(Policy),
    /// The named distribution, whatever the order.
    Distribution(crate::model::name::DistName),
}

/// What happens with what the requirements check finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// The check is left out.
    Off,
    /// Findings are warnings.
    #[default]
    Warn,
    /// Findings fail the build.
    Error,
}

impl Check {
    named! {
        /// The name in specs.
        3, "off" => Off, "warn" => Warn, "error" => Error
    }
}

/// Who vouches for the bytes of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputDigests {
    /// The spec pins every wheel's SHA-256, and it is verified.
    #[default]
    Pinned,
    /// A build system vouches for its inputs; whole wheels are not hashed.
    Trusted,
}

impl InputDigests {
    named! {
        /// The name in specs.
        2, "pinned" => Pinned, "trusted" => Trusted
    }
}

/// Everything about the environment that is not an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    /// Whether the base interpreter's packages are visible, after the environment's own.
    pub system_site_packages: bool,
    /// Whether the tree holds a `.gitignore` that keeps all of it out of a repository.
    pub gitignore: bool,
    /// What activation shows instead of the environment's directory name.
    pub prompt: Option<String>,
    /// The activation scripts.
    pub activators: BTreeSet<Shell>,
    /// Who wins conflicts.
    pub conflicts: Policy,
    /// Who wins them at single paths, and below.
    pub conflict_overrides: BTreeMap<TreePath, Override>,
    /// The digest function of the tree.
    pub digest_function: DigestFunction,
    /// The modification time of everything, in seconds since 1970-01-01T00:00:00Z.
    pub mtime: u64,
    /// Whether the tree may hold symbolic links.
    pub links: bool,
    /// Whether `lib64` is a link to `lib`, as `python -m venv` makes one on 64-bit Linux.
    pub lib64: bool,
    /// Who vouches for the inputs.
    pub input_digests: InputDigests,
    /// What happens with missing and conflicting requirements.
    pub requirements: Check,
    /// Codes of findings that are accepted although they are errors.
    pub allow: BTreeSet<Code>,
    /// Codes of findings that are errors, whatever their severity.
    pub deny: BTreeSet<Code>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            system_site_packages: false,
            gitignore: false,
            prompt: None,
            activators: Shell::ALL.into_iter().collect(),
            conflicts: Policy::default(),
            conflict_overrides: BTreeMap::new(),
            digest_function: DigestFunction::default(),
            mtime: DEFAULT_MTIME,
            links: true,
            lib64: false,
            input_digests: InputDigests::default(),
            requirements: Check::default(),
            allow: BTreeSet::new(),
            deny: BTreeSet::new(),
        }
    }
}

impl Spec {
    /// The same without overlays.
    pub fn without_overlays(mut self) -> Self {
        self.wheels.iter_mut().for_each(|wheel| wheel.bytecode.clear());
        self.sources.iter_mut().for_each(|source| source.bytecode.clear());
        self.bytecode.iter_mut().for_each(|bytecode| bytecode.interpreter.clear());
        self
    }

    /// The same environment without bytecode.
    #[must_use]
    pub fn without_bytecode(self) -> Self {
        Self { bytecode: None, ..self.without_overlays() }
    }

    /// Every overlay that is named.
    pub fn overlays(&self) -> impl Iterator<Item = &InputPath> {
        let wheels = self.wheels.iter().flat_map(|wheel| &wheel.bytecode);
        let sources = self.sources.iter().flat_map(|source| &source.bytecode);
        let interpreter = self.bytecode.iter().flat_map(|bytecode| &bytecode.interpreter);
        wheels.chain(sources).chain(interpreter)
    }
}

impl Explain for SpecError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Json(_) => {
                ErrorKind::Spec.hint("`venvtree spec schema` prints what a spec may hold")
            }
            Self::Foreign(found) => ErrorKind::Spec.with(found.hint),
            Self::Problems(_) => ErrorKind::Spec.no_hint(),
        }
    }

    fn details(&self) -> Vec<Detail> {
        match self {
            Self::Problems(all) => all.iter().map(|one| Detail::of(one, "spec")).collect(),
            Self::Json(_) | Self::Foreign(_) => Vec::new(),
        }
    }
}

/// Why a text is no spec.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The text is no JSON.
    #[error("the spec is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is something else, which can be named.
    #[error("expected a spec, found {0}")]
    Foreign(Foreign),
    /// The document has problems.
    #[error("the spec has {} problem{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Problems(Vec<Problem>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_called_what_specs_call_them() {
        let path = TreePath::parse("bin/python").expect("a path");
        let kinds = [
            Python::Inside { directory: InputPath("x".to_owned()), executable: path },
            Python::Relative { path: "../x".to_owned() },
            Python::Absolute { path: "/x".to_owned() },
            Python::Launcher { candidates: vec!["/x".to_owned()] },
        ];
        assert_eq!(
            kinds.map(|python| python.kind()),
            ["inside", "relative", "absolute", "launcher"]
        );
    }

    #[test]
    fn launchers_are_listed_by_name() {
        let launcher =
            |path: &str| LauncherReference { path: InputPath(path.to_owned()), sha256: None };
        let launchers = Launchers {
            console: launcher("c"),
            gui: launcher("g"),
            python: None,
            pythonw: Some(launcher("w")),
        };
        let names: Vec<(&str, &str)> =
            launchers.iter().map(|(name, launcher)| (name, launcher.path.0.as_str())).collect();
        assert_eq!(names, [("console", "c"), ("gui", "g"), ("pythonw", "w")]);
    }

    #[test]
    fn what_is_wrong_with_a_compiler_is_told_apart() {
        let found = |target: &str, version: &str| {
            let interpreter = crate::model::target::parse(target, None).unwrap();
            let found = match version {
                "" => own_compiler(&interpreter),
                version => compiler_of(&interpreter, version),
            };
            found.map(|compiler| compiler.to_string()).map_err(|error| error.message)
        };
        let check = |target, version, expected: &str| {
            let error = found(target, version).unwrap_err();
            assert!(error.contains(expected), "{target} {version}: {error}");
        };
        let target = "linux-x86_64-3.12.4";
        assert_eq!(found(target, "").as_deref(), Ok("cpython 3.12.4"));
        assert_eq!(found("linux-x86_64-3.12", "3.12.0").as_deref(), Ok("cpython 3.12.0"));
        for version in ["3.11.7", "3.10.0", "2.7.18", "3.99.1"] {
            let found = format!("found the compiler {version:?}, ");
            check(target, version, &format!("{found}expected a version of CPython 3.12"));
        }
        for version in ["3.12", "3.11", "3"] {
            check(target, version, "expected a version with its patch level, such as \"3.12.1\"");
        }
        for version in ["3.12.1rc1", "3.12.01", "3.12.1+", "3.12.1.0", "3.12.", "latest", "3.12. 1"]
        {
            check(target, version, "expected a released version, three numbers without leading");
        }
        check("linux-x86_64-3.12", "", "the interpreter's version is 3.12, expected one with its");
        check("linux-x86_64-3.13t", "", "bytecode is made of regular builds");
        check("linux-x86_64-3.10.4", "3.10.4", "bytecode is made of regular builds");
    }
}
