//! The error of the engine: whatever can explain itself. And those that belong to no single effect.

use std::borrow::Cow;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::FsError;
use crate::effects::wheels::load::WheelError;
use crate::model::digest::DirectoryDigest;
use crate::model::finding::{Code, Finding, Severity};
use crate::model::quantity;
use crate::model::spec::WheelReference;

pub use crate::model::explain::{Detail, ErrorKind, Explain, Explanation, Located, chain};

/// Whatever keeps a command from doing what it was asked. [`Explain`] says how to add one.
#[derive(Debug)]
pub struct Error(Box<dyn Explain>);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl<E: Explain> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Error {
    /// A command line that makes no sense, and why.
    pub fn usage(message: impl Into<String>) -> Usage {
        Usage { message: message.into(), hint: None }
    }

    /// What it says besides its message.
    pub fn explained(&self) -> &dyn Explain {
        &*self.0
    }

    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    /// The error itself, where it is of this type.
    pub fn get<E: Explain>(&self) -> Option<&E> {
        let error: &(dyn std::error::Error + 'static) = &*self.0;
        error.downcast_ref()
    }
}

/// The command line makes no sense. It is an error already; with [`Usage::hint`] a better one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Usage {
    message: String,
    hint: Option<Cow<'static, str>>,
}

impl Usage {
    /// The error, with what to try.
    pub fn hint(self, hint: impl Into<String>) -> Error {
        Self { hint: Some(Cow::Owned(hint.into())), ..self }.into()
    }
}

impl Explain for Usage {
    fn explain(&self) -> Explanation {
        ErrorKind::Usage.with(self.hint.clone())
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

impl RefusedWheel {
    /// The findings that are errors.
    fn details(&self) -> impl Iterator<Item = Detail> {
        let errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| Detail {
            code: finding.code.text(),
            message: match &finding.member {
                Some(member) => format!("{}: {member:?}: {}", self.wheel, finding.message),
                None => format!("{}: {}", self.wheel, finding.message),
            },
            hint: Some(finding.code.hint_where_error()),
            items: Vec::new(),
            has_code: true,
        })
    }
}

/// Wheels that are not accepted.
#[derive(Debug, thiserror::Error)]
#[error("{} wheel{} cannot be used", .0.len(), if .0.len() == 1 { "" } else { "s" })]
pub struct RefusedWheels(pub Vec<RefusedWheel>);

impl Explain for RefusedWheels {
    fn explain(&self) -> Explanation {
        // Only who compiles finds that something does not compile.
        let is_of_wheels = |finding: &Finding| {
            finding.severity == Severity::Error && finding.code != Code::BytecodeUncompilable
        };
        if self.0.iter().any(|refused| refused.findings.iter().any(is_of_wheels)) {
            return ErrorKind::Wheel.hint("`venvtree wheel check FILE` explains every finding");
        }
        ErrorKind::Wheel.no_hint()
    }

    fn details(&self) -> Vec<Detail> {
        self.0.iter().flat_map(RefusedWheel::details).collect()
    }
}

/// A wheel that was to be made, and that nobody would accept.
#[derive(Debug, thiserror::Error)]
#[error("the wheel could not be used, so it is not written")]
pub struct UnsoundWheel(pub RefusedWheel);

impl Explain for UnsoundWheel {
    fn explain(&self) -> Explanation {
        ErrorKind::Wheel.hint("docs/findings.md explains every finding by its code")
    }

    fn details(&self) -> Vec<Detail> {
        // There is nothing to allow: what is found can be mended here.
        self.0.details().map(|detail| Detail { hint: None, ..detail }).collect()
    }
}

/// Inputs that cannot be read: all of them.
#[derive(Debug, thiserror::Error)]
#[error("{} input{} cannot be read", .0.len(), if .0.len() == 1 { "" } else { "s" })]
pub struct UnreadableInputs(pub Vec<WheelError>);

impl UnreadableInputs {
    /// A single one.
    pub fn one(error: impl Into<WheelError>) -> Self {
        Self(vec![error.into()])
    }
}

impl Explain for UnreadableInputs {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.no_hint()
    }

    fn details(&self) -> Vec<Detail> {
        self.0.iter().map(|error| Detail::of(error, "input")).collect()
    }
}

/// A wheel that is not at hand and could not be brought.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{wheel}`: {}", reasons.join("; "))]
pub struct Wanting {
    /// Its file name.
    pub wheel: String,
    /// Why it could not be brought: for each place that was tried, one.
    pub reasons: Vec<String>,
    /// Whether all that came was something else.
    pub is_other: bool,
}

const UNFETCHED: &str = if cfg!(feature = "remote") {
    "it is only at an address, and this command fetches nothing"
} else {
    "it is only at an address, and this venvtree was built without what fetches"
};

impl Wanting {
    /// One that nobody tried to fetch.
    pub(crate) fn unfetched(wheel: &WheelReference) -> Self {
        let wheel = wheel.file_name.to_string();
        Self { wheel, reasons: vec![UNFETCHED.to_owned()], is_other: false }
    }
}

impl Wanting {
    /// One whose file is another than the size says, if it says one.
    pub(crate) fn of_other_size(
        wheel: &WheelReference,
        path: &Utf8Path,
        found: u64,
    ) -> Option<Self> {
        let expected = wheel.size.filter(|expected| *expected != found)?;
        let reason = format!("`{path}` has {found} bytes, expected {expected}");
        let wheel = wheel.file_name.to_string();
        Some(Self { wheel, reasons: vec![reason], is_other: true })
    }
}

impl Explain for Wanting {
    fn explain(&self) -> Explanation {
        (if self.is_other { ErrorKind::Verification } else { ErrorKind::Io }).no_hint()
    }

    fn code(&self) -> Option<&'static str> {
        Some("fetch")
    }
}

/// Wheels that are not at hand and could not be brought: all of them.
#[derive(Debug, thiserror::Error)]
#[error("{} wheel{} cannot be had", .0.len(), if .0.len() == 1 { "" } else { "s" })]
pub struct WantingWheels(pub Vec<Wanting>);

impl Explain for WantingWheels {
    fn explain(&self) -> Explanation {
        let are_others = self.0.iter().all(|wheel| wheel.is_other);
        let kind = if are_others { ErrorKind::Verification } else { ErrorKind::Io };
        if self.0.iter().any(|wheel| wheel.reasons.iter().any(|reason| reason == UNFETCHED)) {
            return kind.hint(
                "`venvtree build` and `venvtree create --lock` fetch wheels, and other commands find them in the local store then; \
                 `venvtree lock fetch` puts them into a directory",
            );
        }
        kind.no_hint()
    }

    fn details(&self) -> Vec<Detail> {
        self.0.iter().map(|wheel| Detail::of(wheel, "fetch")).collect()
    }
}

/// No folder takes the wheels that are fetched.
#[derive(Debug, thiserror::Error)]
#[error("the wheels that are fetched cannot be kept, not even for now")]
pub struct NotKept(#[source] pub FsError);

impl Explain for NotKept {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.hint(
            "let the variable TMPDIR name a folder that is there and has room, or name a store that has room by `--store DIR`",
        )
    }
}

/// Wheels that would have to be fetched, which was not wanted: names and sizes.
#[derive(Debug, thiserror::Error)]
#[error("offline: {}", missing(.0))]
pub struct Offline(pub Vec<(String, Option<u64>)>);

impl Explain for Offline {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.hint(
            "where there is a network, `venvtree lock fetch LOCK --dest DIR` brings what a lock says, for `--wheels DIR`; \
             or run the same command there, and take its store along",
        )
    }

    fn details(&self) -> Vec<Detail> {
        let detail = |(name, bytes): &(String, Option<u64>)| Detail {
            code: "fetch",
            message: match bytes {
                Some(bytes) => format!("`{name}`, {}", quantity::size(*bytes)),
                None => format!("`{name}`"),
            },
            hint: None,
            items: Vec::new(),
            has_code: true,
        };
        self.0.iter().map(detail).collect()
    }
}

/// How many wheels are missing, and their bytes where they are known.
fn missing(wheels: &[(String, Option<u64>)]) -> String {
    let sizes: Option<u64> = wheels.iter().map(|(_, size)| *size).sum();
    let bytes = sizes.map_or_else(String::new, |bytes| format!(" ({})", quantity::size(bytes)));
    match wheels.len() {
        1 => format!("1 wheel is missing{bytes}"),
        count => format!("{count} wheels are missing{bytes}"),
    }
}

/// The output is taken.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` is there already and is another environment")]
pub struct OutputTaken {
    /// The output.
    pub path: Utf8PathBuf,
}

impl Explain for OutputTaken {
    fn explain(&self) -> Explanation {
        ErrorKind::Conflict.hint(
            "choose another place, or let the new environment take its place with `--replace`",
        )
    }
}

/// The place of a directory that is no environment is taken.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` is there already, and is not empty")]
pub struct PlaceTaken {
    /// The place.
    pub path: Utf8PathBuf,
}

impl Explain for PlaceTaken {
    fn explain(&self) -> Explanation {
        ErrorKind::Conflict.hint("remove it first, or choose another place")
    }
}

/// An environment is not the one that everybody expects at its place.
#[derive(Debug, thiserror::Error)]
#[error("the root digest of the spec's environment is {found}, expected {expected}")]
pub struct OtherTree {
    /// That of the spec's environment.
    pub found: DirectoryDigest,
    /// The one that was given.
    pub expected: DirectoryDigest,
}

impl Explain for OtherTree {
    fn explain(&self) -> Explanation {
        ErrorKind::Verification
            .hint("`venvtree digest SPEC` says the digest; it changes with the spec and its inputs")
    }
}

/// An environment lacks what somebody counts on.
#[derive(Debug, thiserror::Error)]
#[error("the environment has no `{path}`{question}")]
pub struct NoEntry {
    /// Where it would be.
    pub path: String,
    /// What was meant perhaps.
    pub question: String,
}

impl Explain for NoEntry {
    fn explain(&self) -> Explanation {
        ErrorKind::Verification.hint("`venvtree plan SPEC` lists what the environment has")
    }
}

/// There is no spec at a path.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NoSpec(pub FsError);

impl Explain for NoSpec {
    fn explain(&self) -> Explanation {
        ErrorKind::Io.hint(
            "`venvtree create ENV --spec-out FILE` and `venvtree spec from WHEEL... --for 3.12` write specs",
        )
    }
}
