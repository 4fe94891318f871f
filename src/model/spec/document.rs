//! The JSON shape of a spec: what the schema is generated from, and what venvtree writes when it
//! writes a spec.
//!
//! Model layer. Reading is [`super::parse`]'s, which collects problems; tests keep both in step.

use std::collections::BTreeMap;

use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::Value;

use crate::model::address::Address;
use crate::model::bytecode::Validation;
use crate::model::bytecode::modules::DEFAULT_EXCLUDE;
use crate::model::interpreter::{Interpreter, Platform};
use crate::model::spec::{InputPath, Override, Python, Spec, WheelReference};

/// A Python environment to build: an interpreter, wheels and flags.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "venvtree spec, version 1")]
pub struct SpecDocument {
    /// The version of the spec: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u64,
    /// The interpreter that the environment is for.
    pub interpreter: InterpreterDocument,
    /// For Windows, and only there: the programs that scripts and `python.exe` are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launchers: Option<LaunchersDocument>,
    /// The wheels to install.
    #[serde(default)]
    pub wheels: Vec<WheelDocument>,
    /// First-party files and directories to copy in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceDocument>,
    /// Directories to put on `sys.path`, relative to the tree's root; they may leave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_entries: Vec<String>,
    /// The bytecode that the tree has beside its modules; without this field, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytecode: Option<BytecodeDocument>,
    /// Everything else, with its defaults.
    #[serde(default)]
    pub flags: FlagsDocument,
}

/// The bytecode of a tree: in `__pycache__` beside every module of purelib and platlib, and of the
/// library of an interpreter that is copied in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BytecodeDocument {
    /// How much is left out: 0 nothing, 1 assertions, 2 docstrings as well.
    #[serde(default = "level_zero")]
    pub levels: Vec<u8>,
    /// `unchecked`: Python never looks whether a source was edited; `checked`: it compares a hash
    /// of the source at each import.
    #[serde(default = "unchecked")]
    pub validation: ValidationDocument,
    /// The version of the compiler, with its patch level; that of the interpreter unless it is
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// Patterns of modules without bytecode, relative to site-packages: tests, unless it is given.
    #[serde(default = "tests")]
    pub exclude: Vec<String>,
    /// Overlays of the interpreter that is copied in: a path or key, or a list of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<UrlDocument>,
}

fn level_zero() -> Vec<u8> {
    vec![0]
}

fn unchecked() -> ValidationDocument {
    ValidationDocument::Unchecked
}

fn tests() -> Vec<String> {
    DEFAULT_EXCLUDE.map(str::to_owned).into()
}

/// Facts about the interpreter, as `venvtree interpreter probe` prints them. It is never run while
/// building.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct InterpreterDocument {
    /// `cpython` or `pypy`.
    pub implementation: ImplementationDocument,
    /// The version: `3.11.7`, or `3.11` where the patch level is unknown.
    pub version: String,
    /// The ABI tag: `cp311`, `cp313t`, `pypy311_pp73`.
    pub abi: String,
    /// The platform it runs on.
    pub platform: PlatformDocument,
    /// The folder of its compiled modules (`sys.platlibdir`), where it is not `lib`: `lib64`, as on
    /// Fedora and openSUSE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platlibdir: Option<LibraryFolderDocument>,
    /// How the environment reaches it.
    pub python: PythonDocument,
}

/// An implementation of Python.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImplementationDocument {
    /// CPython.
    CPython,
    /// PyPy.
    PyPy,
}

/// The name of a folder of libraries.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LibraryFolderDocument {
    /// `lib`.
    Lib,
    /// `lib64`.
    Lib64,
}

/// A platform.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PlatformDocument {
    /// The operating system.
    pub os: OsDocument,
    /// The architecture: `x86_64`, `aarch64`, `i686`, `armv7l`, `ppc64le`, `s390x`, `riscv64`,
    /// `loongarch64`.
    pub arch: String,
    /// Linux only: the C library and its version, `glibc-2.36` or `musl-1.2`. Without it, only pure
    /// wheels and those tagged `linux_*` are compatible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libc: Option<String>,
    /// macOS only: the oldest version that the environment must run on, such as `14.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// An operating system.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OsDocument {
    /// Linux.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// How `bin/python` reaches the interpreter.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[schemars(deny_unknown_fields)]
pub enum PythonDocument {
    /// A directory copied into the tree under `.python/`.
    Inside {
        /// The directory, an input path or an input's key.
        directory: String,
        /// The interpreter within it; by default `bin/python3.11` and the like, for Windows
        /// `python.exe`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        executable: Option<String>,
    },
    /// A symbolic link out of the tree.
    Relative {
        /// The interpreter, relative to the tree's root.
        path: String,
    },
    /// A symbolic link to an interpreter of the system.
    Absolute {
        /// The interpreter.
        path: String,
    },
    /// A POSIX shell file that runs the first candidate that is there (CPython 3.11 and newer). For
    /// Windows, where `python.exe` is a launcher whatever the kind, there is one candidate.
    Launcher {
        /// The candidates, absolute or relative to the tree's root.
        candidates: Vec<String>,
    },
}

/// Launcher files for Windows, such as distlib's: simple launchers that understand
/// `<launcher_dir>`, or trampolines as uv has them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LaunchersDocument {
    /// For console scripts.
    pub console: LauncherDocument,
    /// For scripts without a console.
    pub gui: LauncherDocument,
    /// For `python.exe`, if not that of console scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<LauncherDocument>,
    /// For `pythonw.exe`, if not that of scripts without a console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pythonw: Option<LauncherDocument>,
}

/// A launcher file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LauncherDocument {
    /// Where it is: absolute, relative to `--root`, or the key of an `--input`.
    pub path: String,
    /// The SHA-256 of the file, 64 hexadecimal digits; may be missing with `"input_digests":
    /// "trusted"` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A wheel.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WheelDocument {
    /// Where it is: absolute, relative to `--root`, or the key of an `--input`. May be missing where
    /// `url` and `sha256` are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Where it can be had: an address (`https://`, `http://` or `file://`), or a list of those,
    /// tried in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<UrlDocument>,
    /// Its bytes: no more are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its file name, where neither the path nor, without one, the first address ends in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The SHA-256 of the file, 64 hexadecimal digits; may be missing with `"input_digests":
    /// "trusted"` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Patterns of installed paths to leave out, relative to the root of their scheme:
    /// `**/tests/**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Overlays with its bytecode, as `venvtree bytecode compile` writes them: a path or key, or a
    /// list of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytecode: Option<UrlDocument>,
}

/// One text, or several.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum UrlDocument {
    /// One.
    One(String),
    /// Several, in this order.
    Several(Vec<String>),
}

impl UrlDocument {
    /// Those texts; nothing where there are none.
    fn of(texts: Vec<String>) -> Option<Self> {
        match <[String; 1]>::try_from(texts) {
            Ok([text]) => Some(Self::One(text)),
            Err(texts) => (!texts.is_empty()).then_some(Self::Several(texts)),
        }
    }

    fn of_paths(paths: &[InputPath]) -> Option<Self> {
        Self::of(paths.iter().map(ToString::to_string).collect())
    }
}

/// First-party files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SourceDocument {
    /// A file or a directory: absolute, relative to `--root`, or the key of an `--input`.
    pub path: String,
    /// Where it goes, relative to site-packages; `.` puts what a directory holds into site-packages
    /// itself. By default the last part of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Overlays with its bytecode: a path or key, or a list of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytecode: Option<UrlDocument>,
}

/// Everything about the environment that is not an input.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FlagsDocument {
    /// Whether the base interpreter's packages are visible, after the environment's own.
    #[serde(default)]
    pub system_site_packages: bool,
    /// Whether the tree holds a `.gitignore` that keeps all of it out of a repository. `venvtree
    /// create` says so in the specs that it writes.
    #[serde(default, skip_serializing_if = "is_off")]
    pub gitignore: bool,
    /// What activation shows; `null` for the name of the environment's directory at that time.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The activation scripts: `"all"`, or a list of shells.
    #[serde(default = "ActivatorsDocument::all")]
    pub activators: ActivatorsDocument,
    /// Who wins where two sources claim one path with different contents: `error` (nobody), `first`
    /// or `last` in the order of the spec.
    #[serde(default = "error")]
    pub conflicts: PolicyDocument,
    /// Who wins at single paths of the tree (and below them): a policy, or `wheel:NAME` for the
    /// distribution NAME.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conflict_overrides: BTreeMap<String, String>,
    /// The digest function of the tree: `sha256` or `blake3`.
    #[serde(default)]
    pub digest_function: crate::model::digest::DigestFunction,
    /// The modification time of everything, in seconds since 1970-01-01T00:00:00Z, at most 4294967295.
    #[serde(default = "default_mtime")]
    #[schemars(range(max = 4_294_967_295u64))]
    pub mtime: u64,
    /// Whether the tree may hold symbolic links; without them, `python` must be of kind `launcher`.
    #[serde(default = "yes")]
    pub links: bool,
    /// Whether `lib64` is a link to `lib`, as `python -m venv` makes one on 64-bit Linux. By
    /// default where the interpreter's `platlibdir` is `lib64` and the tree may hold links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lib64: Option<bool>,
    /// `pinned`: every wheel's SHA-256 is given and verified. `trusted`: a build system vouches for
    /// its inputs.
    #[serde(default = "pinned")]
    pub input_digests: InputDigestsDocument,
    /// What happens with missing and conflicting requirements of the wheels: `off`, `warn` or
    /// `error`.
    #[serde(default = "warn")]
    pub requirements: CheckDocument,
    /// Codes of findings (see `venvtree wheel check`) that are accepted although they are errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Codes of findings (see `venvtree wheel check`) that are errors, whatever their severity:
    /// `record.unlisted` for members without a row in RECORD, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// A flag that is left out where it is off, so that keys of older specs stay what they were.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_off(flag: &bool) -> bool {
    !flag
}

fn yes() -> bool {
    true
}

fn default_mtime() -> u64 {
    super::DEFAULT_MTIME
}

fn error() -> PolicyDocument {
    PolicyDocument::Error
}

fn pinned() -> InputDigestsDocument {
    InputDigestsDocument::Pinned
}

fn warn() -> CheckDocument {
    CheckDocument::Warn
}

impl Default for FlagsDocument {
    fn default() -> Self {
        Self::from(&super::Flags::default())
    }
}

/// The activation scripts to write.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ActivatorsDocument {
    /// Every one.
    All(AllDocument),
    /// Those of some shells.
    Some(Vec<String>),
}

impl ActivatorsDocument {
    fn all() -> Self {
        Self::All(AllDocument::All)
    }
}

/// The word `all`.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllDocument {
    /// Every one.
    All,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant),*
        }
    };
}

words! {
    /// Who wins conflicts.
    PolicyDocument {
        /// Nobody.
        Error,
        /// The first in the order of the spec.
        First,
        /// The last in the order of the spec.
        Last
    }
}

words! {
    /// Who vouches for the inputs.
    InputDigestsDocument {
        /// The spec.
        Pinned,
        /// A build system.
        Trusted
    }
}

words! {
    /// How Python knows whether bytecode is still that of its source.
    ValidationDocument {
        /// It does not ask.
        Unchecked,
        /// By a hash of the source.
        Checked
    }
}

words! {
    /// What happens with findings.
    CheckDocument {
        /// They are not looked for.
        Off,
        /// They are warnings.
        Warn,
        /// They fail the build.
        Error
    }
}

impl From<&Interpreter> for PlatformDocument {
    fn from(interpreter: &Interpreter) -> Self {
        let platform = &interpreter.platform;
        let (os, libc, version) = match platform {
            Platform::Linux { libc, .. } => {
                (OsDocument::Linux, libc.map(|libc| libc.to_string()), None)
            }
            Platform::MacOs { version: (major, minor), .. } => {
                (OsDocument::MacOs, None, Some(format!("{major}.{minor}")))
            }
            Platform::Windows { .. } => (OsDocument::Windows, None, None),
        };
        Self { os, arch: platform.arch().name().to_owned(), libc, version }
    }
}

impl InterpreterDocument {
    /// The document for an interpreter and the way to reach it.
    pub fn new(interpreter: &Interpreter, python: &Python) -> Self {
        use crate::model::interpreter::Implementation;
        Self {
            implementation: match interpreter.implementation {
                Implementation::CPython => ImplementationDocument::CPython,
                Implementation::PyPy => ImplementationDocument::PyPy,
            },
            version: interpreter.version.to_string(),
            abi: interpreter.abi.to_string(),
            platform: PlatformDocument::from(interpreter),
            // What follows from it stands in the flags.
            platlibdir: None,
            python: PythonDocument::from(python),
        }
    }
}

impl From<&super::Bytecode> for BytecodeDocument {
    fn from(bytecode: &super::Bytecode) -> Self {
        Self {
            levels: bytecode.levels.iter().map(|level| level.number()).collect(),
            validation: match bytecode.validation {
                Validation::Unchecked => ValidationDocument::Unchecked,
                Validation::Checked => ValidationDocument::Checked,
            },
            compiler: Some(bytecode.compiler.version()),
            exclude: bytecode.exclude.clone(),
            interpreter: UrlDocument::of_paths(&bytecode.interpreter),
        }
    }
}

impl From<&Python> for PythonDocument {
    fn from(python: &Python) -> Self {
        match python {
            Python::Inside { directory, executable } => Self::Inside {
                directory: directory.to_string(),
                executable: Some(executable.to_string()),
            },
            Python::Relative { path } => Self::Relative { path: path.clone() },
            Python::Absolute { path } => Self::Absolute { path: path.clone() },
            Python::Launcher { candidates } => Self::Launcher { candidates: candidates.clone() },
        }
    }
}

impl From<&super::Launchers> for LaunchersDocument {
    fn from(launchers: &super::Launchers) -> Self {
        let document = |launcher: &super::LauncherReference| LauncherDocument {
            path: launcher.path.to_string(),
            sha256: launcher.sha256.map(|digest| digest.to_string()),
        };
        Self {
            console: document(&launchers.console),
            gui: document(&launchers.gui),
            python: launchers.python.as_ref().map(document),
            pythonw: launchers.pythonw.as_ref().map(document),
        }
    }
}

impl From<&super::Flags> for FlagsDocument {
    fn from(flags: &super::Flags) -> Self {
        use crate::model::activate::Shell;
        let render = |value: &Override| match value {
            Override::Policy(policy) => policy.name().to_owned(),
            Override::Distribution(name) => format!("wheel:{name}"),
        };
        Self {
            system_site_packages: flags.system_site_packages,
            gitignore: flags.gitignore,
            prompt: flags.prompt.clone(),
            activators: if Shell::ALL.into_iter().all(|shell| flags.activators.contains(&shell)) {
                ActivatorsDocument::all()
            } else {
                ActivatorsDocument::Some(
                    flags.activators.iter().map(|shell| shell.name().to_owned()).collect(),
                )
            },
            conflicts: match flags.conflicts {
                super::Policy::Error => PolicyDocument::Error,
                super::Policy::First => PolicyDocument::First,
                super::Policy::Last => PolicyDocument::Last,
            },
            conflict_overrides: flags
                .conflict_overrides
                .iter()
                .map(|(path, value)| (path.to_string(), render(value)))
                .collect(),
            digest_function: flags.digest_function,
            mtime: flags.mtime,
            links: flags.links,
            lib64: flags.lib64.then_some(true),
            input_digests: match flags.input_digests {
                super::InputDigests::Pinned => InputDigestsDocument::Pinned,
                super::InputDigests::Trusted => InputDigestsDocument::Trusted,
            },
            requirements: match flags.requirements {
                super::Check::Off => CheckDocument::Off,
                super::Check::Warn => CheckDocument::Warn,
                super::Check::Error => CheckDocument::Error,
            },
            allow: flags.allow.iter().map(|code| code.text().to_owned()).collect(),
            deny: flags.deny.iter().map(|code| code.text().to_owned()).collect(),
        }
    }
}

impl SpecDocument {
    /// The document for all of a spec but its wheels.
    pub fn without_wheels(spec: &Spec) -> Self {
        Self {
            version: super::SPEC_VERSION,
            interpreter: InterpreterDocument::new(&spec.interpreter, &spec.python),
            launchers: spec.launchers.as_ref().map(LaunchersDocument::from),
            wheels: Vec::new(),
            sources: spec
                .sources
                .iter()
                .map(|source| SourceDocument {
                    path: source.path.to_string(),
                    into: Some(
                        source.into.as_ref().map_or_else(|| ".".to_owned(), ToString::to_string),
                    ),
                    bytecode: UrlDocument::of_paths(&source.bytecode),
                })
                .collect(),
            path_entries: spec.path_entries.clone(),
            bytecode: spec.bytecode.as_ref().map(BytecodeDocument::from),
            flags: FlagsDocument::from(&spec.flags),
        }
    }
}

impl From<&WheelReference> for WheelDocument {
    /// Names and passwords in addresses are left out: they are for one who fetches, not for all who
    /// read a spec.
    fn from(wheel: &WheelReference) -> Self {
        let urls: Vec<String> = wheel.urls.iter().map(Address::public).collect();
        let named = match (&wheel.path, wheel.urls.first()) {
            (Some(path), _) => path.0.rsplit('/').next() == Some(wheel.file_name.as_str()),
            (None, Some(url)) => url.file_name().as_deref() == Some(wheel.file_name.as_str()),
            (None, None) => false,
        };
        Self {
            path: wheel.path.as_ref().map(ToString::to_string),
            url: UrlDocument::of(urls),
            size: wheel.size.filter(|_| !wheel.urls.is_empty()),
            file_name: (!named).then(|| wheel.file_name.to_string()),
            sha256: wheel.sha256.map(|digest| digest.to_string()),
            exclude: wheel.exclude.clone(),
            bytecode: UrlDocument::of_paths(&wheel.bytecode),
        }
    }
}

impl From<&Spec> for SpecDocument {
    fn from(spec: &Spec) -> Self {
        Self {
            wheels: spec.wheels.iter().map(WheelDocument::from).collect(),
            ..Self::without_wheels(spec)
        }
    }
}

/// Where a comment of ours is wrapped is nothing that a reader of the schema should see.
fn unwrap_description(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<String> =
            text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
}

/// The JSON Schema of a spec, with a line feed at its end.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(SpecDocument);
    RecursiveTransform(unwrap_description).transform(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
