//! Locks: files in which another tool has written down which wheels an environment is made of.
//!
//! Model layer. Three formats become one [`Lock`]: `uv.lock` (version 1), `pylock.toml` (1.0) and requirements with hashes.
//! [`select`] says which wheels an interpreter gets, [`index`](mod@index) says so for several at once, for build systems.
//! Nothing is resolved and nothing is built: what a lock does not say, nobody here makes up. Graphs are walked with queues,
//! since a lock can hold a ring of any length.

mod closures;
mod document;
mod index;
mod markers;
mod names;
#[cfg(feature = "remote")]
pub mod pin;
mod problem;
mod pylock;
mod requirements;
mod select;
mod uv;
mod walk;
mod wheel;

use std::collections::{BTreeMap, BTreeSet};

pub use self::index::{IndexError, LockIndex, facts, index};
use self::markers::{MarkerId, Markers};
pub use self::names::{Request, Without};
pub use self::problem::{LockError, Place, Problem, Unavailable, UnknownName, UnusableLock};
pub use self::select::{LeftOut, Selected, Selection, select};
pub use self::wheel::AtHand;
use crate::model::digest::Hash;
use crate::model::name::DistName;
use crate::model::wheel::member_hash::{OtherAlgorithm, OtherHash};

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// `uv.lock`: a graph of packages, with the requirements of each.
    Uv,
    /// `pylock.toml` (PEP 751): a list of packages, each with a marker.
    Pylock,
    /// Requirements with hashes: a list of packages without addresses.
    Requirements,
}

impl LockKind {
    /// The name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uv => "uv.lock",
            Self::Pylock => "pylock.toml",
            Self::Requirements => "requirements.txt",
        }
    }
}

/// What a lock says.
#[derive(Debug, Clone)]
pub struct Lock {
    /// The format that it was read from.
    pub kind: LockKind,
    /// What is odd but no reason to refuse it.
    pub warnings: Vec<String>,
    requires_python: Option<String>,
    /// The markers of which one has to hold; any environment will do where there are none.
    environments: Vec<MarkerId>,
    packages: Vec<Package>,
    markers: Markers,
    roots: Roots,
}

/// Where selecting begins, and what can be asked for.
#[derive(Debug, Clone, Default)]
struct Roots {
    /// The members of the workspace, by their positions among the packages.
    members: Vec<usize>,
    /// What is required without a project, as a script does.
    requirements: Vec<RootRequirement>,
    /// Groups of a project that is no package.
    groups: BTreeMap<String, Vec<RootRequirement>>,
    /// Extras that can be asked for, where packages do not say so themselves.
    extras: BTreeSet<String>,
    /// Groups that can be asked for, the same.
    known_groups: BTreeSet<String>,
    /// Groups that count unless they are switched off.
    default_groups: DefaultGroups,
    /// Whether the lock would say so where others count than uv takes by itself.
    records_default_groups: bool,
    /// Sets of which at most one item may be asked for.
    conflicts: Vec<Vec<Item>>,
}

impl Roots {
    /// Whether there is nowhere to begin.
    fn is_nowhere(&self) -> bool {
        self.members.is_empty() && self.requirements.is_empty() && self.groups.is_empty()
    }
}

/// Groups that count unless they are switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DefaultGroups {
    /// Those that are named.
    Named(Vec<String>),
    /// All that there are.
    All,
}

impl Default for DefaultGroups {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// Something that can exclude something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    package: String,
    kind: ItemKind,
}

/// What of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum ItemKind {
    Project,
    Extra(String),
    Group(String),
}

impl Item {
    /// The name of an extra that stands for it in the markers of `uv.lock`; the number tells where the package's name ends.
    fn encoded(&self) -> String {
        let (package, length) = (&self.package, self.package.len());
        match &self.kind {
            ItemKind::Project => format!("project-{length}-{package}"),
            ItemKind::Extra(extra) => format!("extra-{length}-{package}-{extra}"),
            ItemKind::Group(group) => format!("group-{length}-{package}-{group}"),
        }
    }
}

/// A requirement that names a package, of which the lock may hold several versions for different environments.
#[derive(Debug, Clone)]
struct RootRequirement {
    name: DistName,
    extras: Vec<String>,
    marker: Option<MarkerId>,
    candidates: Vec<usize>,
}

/// One package of a lock.
#[derive(Debug, Clone)]
struct Package {
    name: DistName,
    /// As written; a project may have none.
    version: Option<String>,
    place: Place,
    source: Source,
    /// Whether it is the project, or a member of its workspace.
    is_member: bool,
    /// When it belongs to the environment, where the lock has no graph.
    marker: Option<MarkerId>,
    requires_python: Option<String>,
    /// The environments of which this is the version, where the lock has several; as written.
    forks: Vec<String>,
    dependencies: Vec<Edge>,
    extras: BTreeMap<String, Vec<Edge>>,
    groups: BTreeMap<String, Vec<Edge>>,
    /// What counts by default where this member alone is asked for.
    default_groups: DefaultGroups,
    /// Extras and groups without requirements, which only the metadata names.
    empty_extras: BTreeSet<String>,
    empty_groups: BTreeSet<String>,
    wheels: Vec<Artifact>,
    /// Hashes of wheels that are found elsewhere.
    hashes: BTreeSet<Hash>,
    /// Their hashes by other functions, where there is no SHA-256.
    other_hashes: BTreeSet<OtherHash>,
    sdist: bool,
}

impl Package {
    fn new(name: DistName, place: Place, source: Source) -> Self {
        Self {
            name,
            version: None,
            place,
            source,
            is_member: false,
            marker: None,
            requires_python: None,
            forks: Vec::new(),
            dependencies: Vec::new(),
            extras: BTreeMap::new(),
            groups: BTreeMap::new(),
            default_groups: DefaultGroups::default(),
            empty_extras: BTreeSet::new(),
            empty_groups: BTreeSet::new(),
            wheels: Vec::new(),
            hashes: BTreeSet::new(),
            other_hashes: BTreeSet::new(),
            sdist: false,
        }
    }

    /// Whether it is code of the project itself, not a wheel.
    fn is_first_party(&self) -> bool {
        matches!(self.source, Source::Virtual(_) | Source::Editable(_) | Source::Directory(_))
    }

    /// Whether it has a group, be it an empty one.
    fn has_group(&self, name: &str) -> bool {
        self.groups.contains_key(name) || self.empty_groups.contains(name)
    }

    /// Whether it is known by hashes only, without an address.
    fn is_unaddressed(&self) -> bool {
        self.wheels.is_empty() && !(self.hashes.is_empty() && self.other_hashes.is_empty())
    }

    /// Name and version for messages.
    fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// Where a package comes from; the texts are as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    /// An index, or a directory that is used as one; nothing where the lock does not say.
    Registry(Option<String>),
    Git(String),
    Url(String),
    Path(String),
    Directory(String),
    Editable(String),
    Virtual(String),
    /// One that this version does not know.
    Other(String),
}

/// A requirement of a package, which leads to another one.
#[derive(Debug, Clone)]
struct Edge {
    /// The position of the package that is required.
    to: usize,
    extras: Vec<String>,
    marker: Option<MarkerId>,
}

/// A wheel as a lock has it.
#[derive(Debug, Clone, Default)]
struct Artifact {
    file_name: String,
    url: Option<String>,
    path: Option<String>,
    sha256: Option<Hash>,
    /// The best of the other hashes: algorithm and digits.
    other_hash: Option<(String, String)>,
    size: Option<u64>,
}

impl Artifact {
    fn is_pinned(&self) -> bool {
        self.sha256.is_some() || self.other_hash.is_some()
    }
}

/// Hashes that tell one file from every other; `md5` and `sha1` do not any more.
const STRONG: [&str; 9] = [
    "sha512", "sha384", "sha3_512", "sha3_384", "sha3_256", "blake2b", "blake2s", "sha224",
    "sha3_224",
];

impl Lock {
    /// Reads a lock. The format is told by what is in it.
    ///
    /// # Errors
    /// It is no lock, one of another version, or something in it is wrong: everything that is, with its place.
    pub fn read(text: &str) -> Result<Self, LockError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some(marker) = problem::conflict_marker(text) {
            Err(LockError::Merge(marker))
        } else if looks_like_toml(text) {
            document::read(text)
        } else if let Some(foreign) = problem::foreign(text) {
            Err(foreign)
        } else {
            requirements::read(text)
        }
    }

    /// How many packages it has, members too.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Whether it has a package of that name.
    pub fn names(&self, name: &DistName) -> bool {
        self.packages.iter().any(|package| package.name == *name)
    }

    /// By which other functions than SHA-256 wheels of a package have to be hashed so that they are
    /// found.
    pub fn other_algorithms(&self, name: &DistName) -> BTreeSet<OtherAlgorithm> {
        let packages = self.packages.iter().filter(|package| package.name == *name);
        packages.flat_map(|package| &package.other_hashes).map(OtherHash::algorithm).collect()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }
}

/// Whether the first line that says something is a table's header, or gives a key a value. `six==1.17.0` does not.
fn looks_like_toml(text: &str) -> bool {
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = lines.next() else {
        return false;
    };
    if first.starts_with('[') {
        return true;
    }
    let bare = |character: char| character.is_ascii_alphanumeric() || "-_.\"' ".contains(character);
    match first.split_once('=') {
        Some((key, value)) => {
            !key.trim().is_empty() && key.chars().all(bare) && !value.starts_with('=')
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
