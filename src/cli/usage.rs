//! What clap says of a command line, taken apart for a JSON document.

use serde_json::{Value, json};

use crate::error::ErrorKind;

/// A usage error of clap's, in the shape of all other errors.
pub(super) fn to_json(error: &clap::Error) -> Value {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut message = Vec::new();
    let mut tips = Vec::new();
    let mut usage = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            tips.push(tip.to_owned());
        } else if let Some(pattern) = line.strip_prefix("Usage: ") {
            usage = Some(format!("the usage is `{pattern}`"));
        } else if !line.starts_with("For more information") {
            message.push(line);
        }
    }
    let hint = if tips.is_empty() { usage } else { Some(tips.join("; ")) };
    let message = message.join(" ");
    json!({"kind": ErrorKind::Usage.name(), "message": message, "hint": hint, "details": []})
}
