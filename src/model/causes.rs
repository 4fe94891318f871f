//! An error with what it came from, in one line.
//!
//! Model layer. Every cause is told; texts that repeat their source's are the callers' to avoid.

use std::error::Error;

/// The error's text and those of its causes, outermost first: `a: b: c`.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
