//! What a build, or a pull, is asked for, and what became of it.
//!
//! Part of the engine.

use camino::Utf8PathBuf;

use crate::effects::caches::environments::Environments;
use crate::effects::caches::store::area::Counts;
use crate::effects::caches::store::stamp::Stamp;
use crate::effects::host::output_file::OutputFile;
use crate::effects::host::replaceable::Protected;
use crate::model::digest::{ActionDigest, DigestFunction, DirectoryDigest, Hash};
use crate::model::plan::PlanWarning;
use crate::model::tree::Tree;
use crate::model::tree::walk::Totals;

/// What becomes of an environment that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and only the same one is no error.
    Keep,
    /// It gives way, unless it is the same.
    Replace,
    /// It gives way, even if it is the same. Where the file system cannot exchange directories, it
    /// is emptied first.
    Renew,
}

/// What to build, and where.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The environment's place.
    pub out: Utf8PathBuf,
    /// What becomes of what is there.
    pub existing: Existing,
    /// What never gives way.
    pub protected: Protected,
    /// Whether an output that is remembered is looked at all the same, file by file: that takes
    /// longer, and finds what was edited where it lies.
    pub look: bool,
    /// Where the manifest goes.
    pub manifest: Option<OutputFile>,
    /// Where the root digest goes, as one line `hash/size`.
    pub digest_file: Option<OutputFile>,
    /// What stands for the text that the spec was read from, if it was
    /// ([`crate::model::request::text_digest`]).
    pub text: Option<Hash>,
    /// Whether files get times that depend on what they hold, for those who take files of one size
    /// and time for the same.
    pub distinct_times: bool,
    /// The place where it is shared, if it is.
    pub shared: Option<SharedPlace>,
}

impl BuildRequest {
    /// A build at a place that nobody has taken, of which nothing else is to be written.
    #[must_use]
    pub fn new(out: Utf8PathBuf, protected: Protected) -> Self {
        Self {
            out,
            existing: Existing::Keep,
            protected,
            look: true,
            manifest: None,
            digest_file: None,
            text: None,
            distinct_times: false,
            shared: None,
        }
    }
}

/// Where an environment is shared, and what everybody expects there.
#[derive(Debug, Clone)]
pub struct SharedPlace {
    /// The environments there.
    pub environments: Environments,
    /// The root digest that it must have.
    pub digest: DirectoryDigest,
    /// The modification time of everything in it.
    pub mtime: u64,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The environment was written.
    Built,
    /// It was there already.
    UpToDate,
    /// It took the place of another one.
    Replaced,
}

impl Outcome {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::UpToDate => "up-to-date",
            Self::Replaced => "replaced",
        }
    }
}

/// Where a tree came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was in its place already.
    Output,
    /// The local store knew it.
    Store,
    /// The remote cache knew it.
    Remote,
    /// The wheels.
    Wheels,
}

impl Source {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Store => "store",
            Self::Remote => "remote",
            Self::Wheels => "wheels",
        }
    }
}

/// What is in its place now.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Where the tree came from.
    pub(crate) source: Source,
    /// The digest function of both digests.
    pub(crate) function: DigestFunction,
    /// The root digest.
    pub(crate) root: DirectoryDigest,
    /// The key, where caches were asked for a spec's tree.
    pub(crate) action: Option<ActionDigest>,
    /// The tree's files.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// How files came out of the store.
    pub(crate) links: Counts,
    /// What a person should know of the plan; only where there was one.
    pub(crate) warnings: Vec<PlanWarning>,
    /// Whether it is known of the output's files, written or read just now, what they hold; else
    /// that its directories did not change since they were last looked at.
    pub(crate) looked: bool,
}

impl Report {
    /// What is to be said of a tree that is in its place.
    pub(super) fn of(tree: &Tree, outcome: Outcome, source: Source) -> Self {
        let Totals { files, bytes } = tree.totals();
        Self {
            outcome,
            source,
            function: tree.function(),
            root: tree.digest(),
            action: None,
            files,
            bytes,
            links: Counts::default(),
            warnings: Vec::new(),
            looked: true,
        }
    }

    /// What a stamp says of an output that was not looked at.
    pub(super) fn of_stamp(stamp: &Stamp, function: DigestFunction) -> Self {
        let Stamp { action, root, files, bytes, text: _, directories: _ } = *stamp;
        Self {
            outcome: Outcome::UpToDate,
            source: Source::Output,
            function,
            root,
            action: Some(action),
            files,
            bytes,
            links: Counts::default(),
            warnings: Vec::new(),
            looked: false,
        }
    }
}
