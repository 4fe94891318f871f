//! What an error says besides its message: how a command ends that meets it, and what to try.
//!
//! Model layer; the layers above implement it too. Who prints errors knows no other way to ask one.

use std::borrow::Cow;
use std::error::Error;

use serde::Serialize;

use crate::model::every::{every, shown};

/// An error that can end a command.
///
/// # To add one
///
/// 1. Write a `thiserror` type beside what fails. A message says what was found and what was
///    expected, in lower case, and no advice; a cause is its `source`.
/// 2. Implement this trait beside it. The match in [`Explain::explain`] names every variant, so that
///    a new one says how the command ends and what to try; where there is nothing to try, it says
///    that too. A variant that wraps another error hands on what that one explains.
/// 3. That is all: `?` turns it into the crate's [`Error`](crate::error::Error), and the front end
///    prints it, as text and as JSON.
///
/// Where one command can meet many of a kind, write a type that holds all of them, whose
/// [`Explain::details`] are one [`Detail::of`] each.
pub trait Explain: Error + Send + Sync + 'static {
    /// What it is about, and what to try.
    fn explain(&self) -> Explanation;

    /// A stable word for what is wrong, where programs tell one from another.
    fn code(&self) -> Option<&'static str> {
        None
    }

    /// The items that the message ends in, each in a line of its own.
    fn items(&self) -> Vec<String> {
        Vec::new()
    }

    /// The single things that are wrong, where there may be several.
    fn details(&self) -> Vec<Detail> {
        Vec::new()
    }

    /// What it is about.
    fn kind(&self) -> ErrorKind {
        self.explain().kind
    }

    /// What to try.
    fn hint(&self) -> Option<Cow<'static, str>> {
        self.explain().hint
    }
}

/// What an error is about, and what to try: `ErrorKind::Io.hint("make room")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it is about.
    pub kind: ErrorKind,
    /// What to try, where there is something.
    pub hint: Option<Cow<'static, str>>,
}

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

    /// Of this kind, with what to try.
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Explanation {
        self.with(Some(hint))
    }

    /// Of this kind, and nobody knows what to try.
    pub fn no_hint(self) -> Explanation {
        Explanation { kind: self, hint: None }
    }

    /// Of this kind, with what to try where there is something.
    pub fn with(self, hint: Option<impl Into<Cow<'static, str>>>) -> Explanation {
        Explanation { kind: self, hint: hint.map(Into::into) }
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

shown!(ErrorKind: name());

/// One of several things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// A stable word.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Cow<'static, str>>,
    /// The items that the message ends in.
    #[serde(skip)]
    pub items: Vec<String>,
    /// Whether the word is this error's own, and not that of all those beside it.
    #[serde(skip)]
    pub has_code: bool,
}

impl Detail {
    /// An error among several, of which those without a code go by the word `all`.
    pub fn of(error: &dyn Explain, all: &'static str) -> Self {
        Self {
            code: error.code().unwrap_or(all),
            message: chain(error),
            hint: error.hint(),
            items: error.items(),
            has_code: error.code().is_some(),
        }
    }
}

/// An error with its causes in one line.
pub fn chain(error: &dyn Error) -> String {
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

/// An error in a document, and where that is.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {error}")]
pub struct Located<E> {
    /// Where the document is.
    pub origin: String,
    /// What is wrong with it.
    pub error: E,
}

impl<E: Explain> Explain for Located<E> {
    fn explain(&self) -> Explanation {
        self.error.explain()
    }

    fn code(&self) -> Option<&'static str> {
        self.error.code()
    }

    fn items(&self) -> Vec<String> {
        self.error.items()
    }

    fn details(&self) -> Vec<Detail> {
        self.error.details()
    }
}
