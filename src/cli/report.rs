//! How errors, warnings and reports are printed: for people or as JSON.

use serde_json::{Map, Value, json};

use crate::cli::args::Format;
use crate::cli::io::Io;
use crate::cli::text::Text;
use crate::cli::written;
use crate::error::{self, Error};

/// The version of every JSON document that commands print. Documents only grow; what would break a
/// reader raises it.
const DOCUMENT_VERSION: u64 = 1;

/// Prints a report as the one JSON document on standard output. This is the only way for a report
/// to get there, so that each has a `version`, which comes first.
pub fn document(io: &mut Io<'_>, report: Value) -> Result<(), Error> {
    let mut fields = Map::new();
    fields.insert("version".to_owned(), DOCUMENT_VERSION.into());
    match report {
        Value::Object(report) => fields.extend(report),
        other => {
            fields.insert("report".to_owned(), other);
        }
    }
    written(io.print_text(&Text::of_json(&Value::Object(fields))))
}

/// Prints an error: in text to standard error, as JSON also to standard output.
pub fn print_error(io: &mut Io<'_>, format: Format, error: &Error) {
    if format == Format::Json {
        // Where even that cannot be written, standard error still says why.
        let _ = document(io, json!({ "error": error_json(error) }));
    }
    say_error(io, error);
}

/// An error for a JSON document.
pub fn error_json(error: &Error) -> Value {
    json!({
        "kind": error.kind().name(),
        "message": error::chain(error),
        "hint": error.hint(),
        "details": error.details(),
    })
}

/// Prints an error for people.
pub fn say_error(io: &mut Io<'_>, error: &Error) {
    let details = error.details();
    io.say_text(&Text::of_lines(error::lines(
        &format!("error: {}", error::chain(error)),
        &error.items(),
    )));
    let mut last_hint = None;
    for detail in &details {
        let code = if detail.code == "spec" || detail.code == "input" || detail.code == "supply" {
            String::new()
        } else {
            format!("[{}] ", detail.code)
        };
        io.say_text(&Text::of_lines(error::lines(
            &format!("  - {code}{}", detail.message),
            &detail.items,
        )));
        if detail.hint != last_hint {
            if let Some(hint) = &detail.hint {
                io.say(&format!("    hint: {hint}"));
            }
            last_hint.clone_from(&detail.hint);
        }
    }
    if let Some(hint) = error.hint() {
        io.say(&format!("hint: {hint}"));
    }
}

/// A size in bytes, as people read it.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A number and its noun.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1_234_567), "1.2 MB");
        assert_eq!(size(999_999), "1.0 MB");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
    }
}
