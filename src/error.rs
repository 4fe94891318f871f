//! Every error of the engine, its kind and what to try.

use std::fmt;

use camino::Utf8PathBuf;

use crate::effects::caches::blob::{BlobError, absent};
use crate::effects::caches::store::place::Untrusted;
use crate::effects::caches::transfer::PullError;
use crate::effects::host::fs::FsError;
use crate::effects::host::replaceable::KeptError;
use crate::effects::interpreters::discover::DiscoverError;
use crate::effects::interpreters::probe::ProbeError;
use crate::effects::relocate::RelocateError;
use crate::effects::sink::directory::WriteError;
use crate::effects::sink::publish::PublishError;
use crate::effects::sink::tree::TreeWriteError;
use crate::effects::source::launchers::LauncherFileError;
use crate::effects::source::listing::ListingError;
use crate::effects::source::supply::SupplyError;
use crate::effects::wheels::load::WheelError;
use crate::effects::wheels::seeds::SeedError;
use crate::model::digest::DigestError;
use crate::model::every::every;
use crate::model::finding::{Code, Finding, Severity};
use crate::model::lock::{IndexError, LockError};
use crate::model::manifest::ManifestError;
use crate::model::plan::PlanError;
use crate::model::spec::{SpecError, WheelReference};

/// What an error is about; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line.
    Usage,
    /// The spec.
    Spec,
    /// A wheel or another input.
    Wheel,
    /// Two sources want one place, or the output is taken.
    Conflict,
    /// Something is not what a digest or manifest says.
    Verification,
    /// The operating system refuses.
    Io,
    /// A remote cache.
    Remote,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        every!(ErrorKind: Usage, Spec, Wheel, Conflict, Verification, Io, Remote);

    /// The exit code of a command that ends in such an error.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Spec => 3,
            Self::Wheel => 4,
            Self::Conflict => 5,
            Self::Verification => 6,
            Self::Io => 7,
            Self::Remote => 8,
        }
    }

    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Spec => "spec",
            Self::Wheel => "wheel",
            Self::Conflict => "conflict",
            Self::Verification => "verification",
            Self::Io => "io",
            Self::Remote => "remote",
        }
    }
}

/// The findings that keep a wheel from being used.
#[derive(Debug)]
pub struct RefusedWheel {
    /// The file name.
    pub wheel: String,
    /// All its findings.
    pub findings: Vec<Finding>,
}

/// A wheel that is not at hand and could not be brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanting {
    /// Its file name.
    pub wheel: String,
    /// Why it could not be brought: for each place that was tried, one.
    pub reasons: Vec<String>,
    /// Whether all that came was something else.
    pub is_other: bool,
}

impl Wanting {
    /// One that nobody tried to fetch.
    pub(crate) fn unfetched(wheel: &WheelReference) -> Self {
        let reason = if cfg!(feature = "remote") {
            "it is only at an address, and this command fetches nothing"
        } else {
            "it is only at an address, and this venvtree was built without what fetches"
        };
        let wheel = wheel.file_name.to_string();
        Self { wheel, reasons: vec![reason.to_owned()], is_other: false }
    }
}

impl fmt::Display for Wanting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wheel, reasons, is_other: _ } = self;
        write!(formatter, "`{wheel}`: {}", reasons.join("; "))
    }
}

impl RefusedWheel {
    /// The findings that are errors.
    fn details(&self) -> impl Iterator<Item = Detail> {
        let errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| Detail {
            code: finding.code.text().to_owned(),
            message: match &finding.member {
                Some(member) => format!("{}: {member:?}: {}", self.wheel, finding.message),
                None => format!("{}: {}", self.wheel, finding.message),
            },
            hint: Some(allowance_hint(finding.code)),
            items: Vec::new(),
        })
    }
}

/// Whatever keeps a command from doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to try.
        hint: Option<String>,
    },
    /// The spec cannot be used.
    #[error("{origin}: {error}")]
    Spec {
        /// Where the spec is.
        origin: String,
        /// Why.
        error: SpecError,
    },
    /// A lock cannot be used.
    #[error("{}", error.describe(origin))]
    Lock {
        /// Where the lock is.
        origin: String,
        /// Why.
        error: Box<LockError>,
    },
    /// A lock has no index.
    #[error("{origin}: {error}")]
    LockIndex {
        /// Where the lock is.
        origin: String,
        /// Why.
        error: Box<IndexError>,
    },
    /// Wheels that are not accepted.
    #[error("{} wheel{} cannot be used", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Wheels(Vec<RefusedWheel>),
    /// Inputs that cannot be read: all of them.
    #[error("{} input{} cannot be read", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Inputs(Vec<WheelError>),
    /// Wheels that are not at hand and could not be brought: all of them.
    #[error("{} wheel{} cannot be had", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Wanting(Vec<Wanting>),
    /// Wheels that would have to be fetched, which was not wanted: names and sizes.
    #[error("offline: {}", missing(.0))]
    Offline(Vec<(String, Option<u64>)>),
    /// First-party files that cannot be listed.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// A launcher file cannot be used.
    #[error(transparent)]
    Launcher(#[from] LauncherFileError),
    /// No plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Inputs are not what they should be.
    #[error("{} input{} not what {} should be", .0.len(), if .0.len() == 1 { " is" } else { "s are" }, if .0.len() == 1 { "it" } else { "they" })]
    Supply(Vec<SupplyError>),
    /// The output is taken.
    #[error("`{path}` is there already and is another environment")]
    OutputTaken {
        /// The output.
        path: Utf8PathBuf,
    },
    /// The output cannot be replaced or has come into being meanwhile.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// There is no spec at a path.
    #[error(transparent)]
    NoSpec(FsError),
    /// A manifest cannot be used.
    #[error("{path}: {error}")]
    Manifest {
        /// Where it is.
        path: Utf8PathBuf,
        /// Why.
        error: ManifestError,
    },
    /// A digest cannot be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A store or a remote cache failed in what the command is about.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The store cannot be believed.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// A cache does not have a tree, or an unsound one.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// A remote cache cannot be used.
    #[error("{message}")]
    Remote {
        /// Why.
        message: String,
        /// What to try.
        hint: Option<String>,
    },
    /// An interpreter cannot be probed.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// No interpreter was found.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// A wheel that an environment should begin with was not found.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// An environment cannot be made relocatable.
    #[error(transparent)]
    Relocate(#[from] RelocateError),
    /// What is there does not give way.
    #[error(transparent)]
    Kept(#[from] KeptError),
}

/// How many wheels are missing, and their bytes where they are known.
fn missing(wheels: &[(String, Option<u64>)]) -> String {
    let sizes: Option<u64> = wheels.iter().map(|(_, size)| *size).sum();
    let bytes = sizes.map_or_else(String::new, |bytes| format!(" ({bytes} bytes)"));
    match wheels.len() {
        1 => format!("1 wheel is missing{bytes}"),
        count => format!("{count} wheels are missing{bytes}"),
    }
}

impl From<TreeWriteError> for Error {
    fn from(error: TreeWriteError) -> Self {
        match error {
            TreeWriteError::Fs(error) => Self::Fs(error),
            TreeWriteError::Blob(error) => Self::Blob(error),
            TreeWriteError::Missing(digest) => Self::Blob(absent(digest)),
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Supply(errors) => Self::Supply(errors),
            WriteError::Fs(error) => Self::Fs(error),
            WriteError::Store(error) => Self::Blob(error),
        }
    }
}

/// A usage error in the making: without a hint it is one already, with [`Usage::hint`] a better one.
#[derive(Debug)]
#[must_use]
pub struct Usage(String);

impl Usage {
    /// The error, with what to try.
    pub fn hint(self, hint: impl Into<String>) -> Error {
        Error::Usage { message: self.0, hint: Some(hint.into()) }
    }
}

impl From<Usage> for Error {
    fn from(Usage(message): Usage) -> Self {
        Self::Usage { message, hint: None }
    }
}

impl Error {
    /// A command line that makes no sense, and why.
    pub fn usage(message: impl Into<String>) -> Usage {
        Usage(message.into())
    }

    /// What the error is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage { .. } | Self::Digest(_) | Self::Untrusted(_) => ErrorKind::Usage,
            Self::Spec { .. } => ErrorKind::Spec,
            Self::Lock { error, .. } if error.is_about_wheels() => ErrorKind::Wheel,
            Self::Lock { .. } | Self::LockIndex { .. } => ErrorKind::Spec,
            Self::Wheels(_) => ErrorKind::Wheel,
            Self::Wanting(wheels) if wheels.iter().all(|wheel| wheel.is_other) => {
                ErrorKind::Verification
            }
            Self::Inputs(_)
            | Self::Wanting(_)
            | Self::Offline(_)
            | Self::Listing(_)
            | Self::Fs(_)
            | Self::NoSpec(_)
            | Self::Probe(_)
            | Self::Discover(_) => ErrorKind::Io,
            Self::Plan(error)
                if error.problems.iter().all(crate::model::plan::PlanProblem::is_conflict) =>
            {
                ErrorKind::Conflict
            }
            Self::Plan(_) => ErrorKind::Wheel,
            Self::Supply(errors) if errors.iter().all(SupplyError::is_refusal) => ErrorKind::Io,
            Self::Supply(_) | Self::Manifest { .. } => ErrorKind::Verification,
            Self::Kept(KeptError::Look { .. }) => ErrorKind::Io,
            Self::Kept(error) if error.is_about_the_place() => ErrorKind::Usage,
            Self::OutputTaken { .. } | Self::Kept(_) => ErrorKind::Conflict,
            Self::Launcher(LauncherFileError::Fs(_)) => ErrorKind::Io,
            Self::Launcher(LauncherFileError::Digest { .. }) => ErrorKind::Verification,
            Self::Launcher(LauncherFileError::Unusable { .. }) => ErrorKind::Wheel,
            Self::Relocate(RelocateError::Windows { .. }) => ErrorKind::Usage,
            Self::Relocate(_) => ErrorKind::Io,
            Self::Seed(SeedError::Fs(_)) => ErrorKind::Io,
            Self::Seed(_) => ErrorKind::Wheel,
            Self::Blob(error) | Self::Pull(PullError::Blob(error)) => match error {
                BlobError::Io { .. } => ErrorKind::Io,
                BlobError::Remote { .. } => ErrorKind::Remote,
                BlobError::Mismatch { .. } => ErrorKind::Verification,
            },
            Self::Pull(PullError::Absent { .. } | PullError::Files { .. })
            | Self::Remote { .. } => ErrorKind::Remote,
            Self::Pull(PullError::Unsound { .. }) => ErrorKind::Verification,
            Self::Publish(error) => match error {
                PublishError::Taken { .. } => ErrorKind::Conflict,
                PublishError::NoExchange { .. } | PublishError::Fs(_) => ErrorKind::Io,
            },
        }
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::OutputTaken { .. } => Some("choose another place, or let the new environment take its place with `--replace`".to_owned()),
            Self::Publish(PublishError::NoExchange { .. }) => Some("move the old environment away, then run the command again".to_owned()),
            Self::Publish(PublishError::Taken { .. }) => Some("look at what is there now, then run the command again".to_owned()),
            Self::Spec { error, .. } => error.hint().map(str::to_owned),
            Self::Lock { error, .. } => error.hint().map(str::to_owned),
            Self::LockIndex { error, .. } => error.hint().map(str::to_owned),
            Self::Offline(_) => Some("bring their files and give `--wheels DIR`, or run the same command once where there is a network and take its store along".to_owned()),
            Self::Wheels(_) => Some("`venvtree wheel check FILE` explains every finding".to_owned()),
            Self::Fs(error) => error.hint().map(str::to_owned),
            Self::NoSpec(_) => {
                Some("`venvtree create ENV --spec-out FILE` and `venvtree spec from WHEEL... --for 3.12` write specs".to_owned())
            }
            Self::Digest(_) => Some("a digest is HASH/SIZE, as `venvtree digest`, `build` and `push` print it".to_owned()),
            Self::Pull(PullError::Absent { .. }) => Some("name the remote cache that has it with `--remote-cache URL`".to_owned()),
            Self::Kept(error) => error.hint().map(str::to_owned),
            Self::Discover(error) => error.hint(),
            Self::Launcher(error) => error.hint().map(str::to_owned),
            Self::Seed(error) => error.hint().map(str::to_owned),
            Self::Blob(error) | Self::Pull(PullError::Blob(error)) => error.hint(),
            Self::Untrusted(error) => Some(error.hint()),
            Self::Remote { hint, .. } => hint.clone(),
            Self::Probe(error) => error.hint().map(str::to_owned),
            // Each is named, so that a new error does not go without a hint by oversight.
            Self::Inputs(_)
            | Self::Wanting(_)
            | Self::Listing(_)
            | Self::Plan(_)
            | Self::Supply(_)
            | Self::Publish(PublishError::Fs(_))
            | Self::Manifest { .. }
            | Self::Pull(PullError::Files { .. } | PullError::Unsound { .. })
            | Self::Relocate(_) => None,
        }
    }

    /// The items that the message ends in, each in a line of its own.
    pub fn items(&self) -> Vec<String> {
        match self {
            Self::Discover(error) => error.items(),
            Self::Lock { origin, error } => error.lines(origin).split_off(1),
            Self::Seed(error) => error.items(),
            Self::Usage { .. }
            | Self::Spec { .. }
            | Self::LockIndex { .. }
            | Self::Wheels(_)
            | Self::Inputs(_)
            | Self::Wanting(_)
            | Self::Offline(_)
            | Self::Listing(_)
            | Self::Launcher(_)
            | Self::Plan(_)
            | Self::Supply(_)
            | Self::OutputTaken { .. }
            | Self::Publish(_)
            | Self::Fs(_)
            | Self::NoSpec(_)
            | Self::Manifest { .. }
            | Self::Digest(_)
            | Self::Blob(_)
            | Self::Untrusted(_)
            | Self::Pull(_)
            | Self::Remote { .. }
            | Self::Probe(_)
            | Self::Relocate(_)
            | Self::Kept(_) => Vec::new(),
        }
    }

    /// The single things that are wrong, where there may be several: code, message and hint of
    /// each.
    pub fn details(&self) -> Vec<Detail> {
        match self {
            Self::Spec { error: SpecError::Problems(problems), .. } => problems
                .iter()
                .map(|problem| Detail {
                    code: "spec".to_owned(),
                    message: problem.to_string(),
                    hint: problem.hint.clone(),
                    items: Vec::new(),
                })
                .collect(),
            Self::Wheels(wheels) => wheels.iter().flat_map(RefusedWheel::details).collect(),
            Self::Inputs(errors) => {
                errors.iter().map(|error| Detail::of(error, "input", None)).collect()
            }
            Self::Offline(wheels) => wheels
                .iter()
                .map(|(name, _)| Detail {
                    code: "fetch".to_owned(),
                    message: format!("`{name}`"),
                    hint: None,
                    items: Vec::new(),
                })
                .collect(),
            Self::Wanting(wheels) => wheels
                .iter()
                .map(|wheel| Detail {
                    code: "fetch".to_owned(),
                    message: wheel.to_string(),
                    hint: None,
                    items: Vec::new(),
                })
                .collect(),
            Self::Plan(error) => error
                .problems
                .iter()
                .map(|problem| Detail {
                    code: problem.code().to_owned(),
                    message: problem.to_string(),
                    hint: problem.hint().map(str::to_owned),
                    items: problem.items(),
                })
                .collect(),
            Self::Supply(errors) => {
                let hint = |error: &SupplyError| error.finding().map(allowance_hint);
                errors.iter().map(|error| Detail::of(error, "supply", hint(error))).collect()
            }
            Self::Usage { .. }
            | Self::Spec { .. }
            | Self::Lock { .. }
            | Self::LockIndex { .. }
            | Self::Listing(_)
            | Self::Launcher(_)
            | Self::OutputTaken { .. }
            | Self::Publish(_)
            | Self::Fs(_)
            | Self::NoSpec(_)
            | Self::Manifest { .. }
            | Self::Digest(_)
            | Self::Blob(_)
            | Self::Untrusted(_)
            | Self::Pull(_)
            | Self::Remote { .. }
            | Self::Probe(_)
            | Self::Discover(_)
            | Self::Seed(_)
            | Self::Relocate(_)
            | Self::Kept(_) => Vec::new(),
        }
    }
}

/// The lines of a message that ends in items, each of which is to have a line of its own. Any other
/// line feed in it is somebody else's.
pub fn lines(message: &str, items: &[String]) -> Vec<String> {
    let list: String = items.iter().map(|item| format!("\n{item}")).collect();
    match message.strip_suffix(&list) {
        Some(head) => std::iter::once(head.to_owned()).chain(items.iter().cloned()).collect(),
        None => vec![message.to_owned()],
    }
}

/// One of several things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Detail {
    /// A stable word.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The items that the message ends in, each in a line of its own.
    #[serde(skip)]
    pub items: Vec<String>,
}

impl Detail {
    fn of(error: &(dyn std::error::Error + 'static), code: &str, hint: Option<String>) -> Self {
        Self { code: code.to_owned(), message: chain(error), hint, items: Vec::new() }
    }
}

/// Whether findings of a code can be accepted: how, or why not.
fn allowance_hint(code: Code) -> String {
    match code.allowance().reason() {
        None => format!(
            "if you have looked at it, `--allow {code}` (in a spec: `\"flags\": {{\"allow\": [\"{code}\"]}}`) accepts it"
        ),
        Some(reason) => format!("`{code}` cannot be allowed: {reason}"),
    }
}

/// An error with its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Transparent errors repeat their source.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
