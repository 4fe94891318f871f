//! What a file is that is no spec: named for what it is, with what to do instead.
//!
//! Model layer. People give a wheel, a lock or a YAML file where a spec is expected; a JSON
//! parser's own message about its first byte helps nobody.

use std::fmt;

use crate::model::json::Json;

/// Something that is no JSON document of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// What it is: `a zip archive`.
    pub what: String,
    /// What to do instead.
    pub hint: Option<&'static str>,
}

impl Foreign {
    fn new(what: impl Into<String>, hint: &'static str) -> Self {
        Self { what: what.into(), hint: Some(hint) }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

/// How to get a spec from wheels.
const FROM_WHEELS: &str =
    "`venvtree spec from WHEEL... --for 3.12` writes a spec that names wheels";
/// How to get a spec from what somebody else's tool wrote.
const FROM_LOCK: &str = "`venvtree lock spec FILE --out env.json` writes the spec of a uv.lock, a pylock.toml or requirements with \
                         hashes, and `venvtree build --lock FILE` builds it";
/// The same for pipenv's lock.
const FROM_PIPENV: &str =
    "`pipenv requirements --hash` writes requirements, of which `venvtree lock spec` makes a spec";
/// How to write JSON.
const AS_JSON: &str =
    "a spec is JSON; `venvtree create ENV --spec-out FILE` writes one to begin with";
/// How to leave out comments.
const NO_COMMENTS: &str = "JSON has no comments; leave them out";

/// How files begin that are no text.
const SIGNATURES: [(&[u8], &str, Option<&str>); 12] = [
    (b"PK\x03\x04", "a zip archive, such as a wheel", Some(FROM_WHEELS)),
    (b"PK\x05\x06", "an empty zip archive", Some(FROM_WHEELS)),
    (b"\x1f\x8b", "a gzip archive, such as a source distribution", Some(FROM_WHEELS)),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", None),
    (b"\xfd7zXZ\0", "an xz archive", None),
    (b"BZh", "a bzip2 archive", None),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", None),
    (b"\x7fELF", "a program", None),
    (b"MZ", "a program for Windows", None),
    (b"\xcf\xfa\xed\xfe", "a program for macOS", None),
    (b"%PDF", "a PDF document", None),
    (b"SQLite format 3", "a database", None),
];

/// Where a tar archive says that it is one.
const TAR: std::ops::Range<usize> = 257..262;

/// The text of a file that should hold a JSON document: UTF-8, without a byte order mark.
///
/// # Errors
/// It is something else.
pub fn text(bytes: Vec<u8>) -> Result<String, Foreign> {
    let foreign = |what: &str, hint: Option<&'static str>| Foreign { what: what.to_owned(), hint };
    if let Some((_, what, hint)) =
        SIGNATURES.iter().find(|(signature, ..)| bytes.starts_with(signature))
    {
        return Err(foreign(what, hint.or(Some(AS_JSON))));
    }
    if bytes.get(TAR) == Some(b"ustar") {
        return Err(Foreign::new("a tar archive", FROM_WHEELS));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Foreign::new("text in UTF-16", "save it as UTF-8"));
    }
    let zeros = bytes.iter().take(256).filter(|byte| **byte == 0).count();
    if zeros > 0 {
        let utf16 = zeros * 3 > bytes.len().min(256);
        return Err(foreign(
            if utf16 { "text in UTF-16" } else { "binary data" },
            Some(if utf16 { "save it as UTF-8" } else { AS_JSON }),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        Foreign::new(format!("text that is not UTF-8 (line {line})"), "save it as UTF-8")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// What a text is that is no JSON, if that can be told.
pub fn recognize(text: &str) -> Option<Foreign> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines().next() else {
        return Some(Foreign::new("empty", AS_JSON));
    };
    let begins_json = first.starts_with(['{', '[', '"']);
    if let Some((number, what)) = comment(text)
        && (begins_json
            || first.starts_with("//")
            || first.starts_with("/*")
            || is_json_after_comments(text))
    {
        return Some(Foreign::new(
            format!("JSON with a comment (`{what}` in line {number})"),
            NO_COMMENTS,
        ));
    }
    if begins_json && !is_table(first) {
        return python_literal(text);
    }
    if first.starts_with('<') {
        return Some(Foreign::new(
            "HTML or XML",
            "a page may have come instead of a file: look at how it was downloaded",
        ));
    }
    let code: Vec<&str> = lines().filter(|line| !line.starts_with('#')).take(20).collect();
    if first.starts_with("#!") {
        return Some(Foreign::new("a script", AS_JSON));
    }
    if code.is_empty() {
        return Some(Foreign::new("only comments", AS_JSON));
    }
    if code.iter().any(|line| is_table(line)) && code.iter().any(|line| line.contains('=')) {
        return Some(Foreign::new("TOML", FROM_LOCK));
    }
    if code.iter().any(|line| is_requirement(line)) {
        return Some(Foreign::new("a list of requirements", FROM_LOCK));
    }
    if code[0] == "---" || code.iter().any(|line| is_mapping(line)) || code[0].starts_with("- ") {
        return Some(Foreign::new("YAML", AS_JSON));
    }
    if let Some((_, value)) = code.iter().find_map(|line| line.split_once(" = ")) {
        // TOML quotes its texts.
        let toml = value.starts_with(['"', '\'', '[', '{'])
            || value.starts_with(|character: char| character.is_ascii_digit());
        return Some(if toml {
            Foreign::new("TOML", FROM_LOCK)
        } else {
            Foreign::new("a configuration file", AS_JSON)
        });
    }
    if code.len() == 1 && code[0].ends_with(".whl") {
        return Some(Foreign::new("the name of a wheel", FROM_WHEELS));
    }
    None
}

/// Documents of ours, and of others, that are JSON but no spec.
pub fn of_other_kind(json: &Json) -> Option<Foreign> {
    let Json::Object(fields) = json else {
        return None;
    };
    let has = |name: &str| fields.iter().any(|(field, _)| field == name);
    if has("interpreter") {
        return None;
    }
    if has("header") && has("entries") {
        return Some(Foreign::new(
            "a manifest",
            "give the spec that it was built from; `verify --manifest` and `diff` take manifests",
        ));
    }
    if has("implementation") && has("abi") {
        let hint = "a spec is {\"version\": 1, \"interpreter\": ..., \"wheels\": [...]}; put this under `interpreter`";
        return Some(Foreign::new(
            "what `interpreter probe` prints, which is a part of a spec",
            hint,
        ));
    }
    if has("_meta") && has("default") {
        return Some(Foreign::new("a Pipfile.lock", FROM_PIPENV));
    }
    (has("$schema") && has("properties")).then(|| Foreign::new("a JSON Schema", AS_JSON))
}

/// The first comment that is outside of strings: its line and how it begins.
fn comment(text: &str) -> Option<(usize, &'static str)> {
    let (mut inside, mut escaped, mut line) = (false, false, 1);
    let mut at_start = true;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => {
                line += 1;
                // JSON strings end with their line; what follows is read anew.
                (inside, at_start) = (false, true);
            }
            _ if inside => {
                if !escaped && character == '"' {
                    inside = false;
                }
                escaped = !escaped && character == '\\';
            }
            '"' => (inside, at_start) = (true, false),
            '/' if characters.peek() == Some(&'/') => return Some((line, "//")),
            '/' if characters.peek() == Some(&'*') => return Some((line, "/*")),
            '#' if at_start => return Some((line, "#")),
            '#' => return Some((line, "#")),
            _ if !character.is_whitespace() => at_start = false,
            _ => {}
        }
    }
    None
}

fn is_json_after_comments(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .is_some_and(|line| line.starts_with('{'))
}

/// `[project]`, `[[package]]`.
fn is_table(line: &str) -> bool {
    let name = line.split('#').next().unwrap_or(line).trim();
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .map(|name| name.trim_matches(['[', ']']));
    name.is_some_and(|name| {
        let plain =
            |character: char| character.is_ascii_alphanumeric() || "._-\"'".contains(character);
        name.starts_with(|character: char| character.is_ascii_alphabetic())
            && name.chars().all(plain)
    })
}

/// `six==1.16.0`, `numpy>=2 ; python_version > "3.9"`, `-r more.txt`, `--hash=…`.
fn is_requirement(line: &str) -> bool {
    let name = line.trim_start_matches(|character: char| {
        character.is_ascii_alphanumeric() || "._-[],".contains(character)
    });
    let comparison = ["==", ">=", "<=", "~=", "!=", " @ "]
        .iter()
        .any(|sign| name.trim_start().starts_with(sign.trim_start()));
    (comparison && name.len() < line.len()) || line.starts_with("-r ") || line.starts_with("--hash")
}

/// `version: 1`, `wheels:`.
fn is_mapping(line: &str) -> bool {
    let key = line.strip_prefix("- ").unwrap_or(line);
    key.split_once(':').is_some_and(|(key, rest)| {
        let plain =
            |character: char| character.is_ascii_alphanumeric() || "_-\"'".contains(character);
        !key.is_empty() && key.chars().all(plain) && (rest.is_empty() || rest.starts_with(' '))
    })
}

/// Objects as Python writes them.
fn python_literal(text: &str) -> Option<Foreign> {
    let words = || text.split(|character: char| !character.is_ascii_alphanumeric());
    let opening = text.trim_start_matches(['{', '[']).trim_start();
    if opening.starts_with('\'') {
        return Some(Foreign::new(
            "JSON with strings in single quotes",
            "JSON takes double quotes only; `json.dumps` writes them",
        ));
    }
    let word = ["True", "False", "None", "NaN", "Infinity"]
        .into_iter()
        .find(|word| words().any(|found| found == *word))?;
    // Only where a value stands: not within a string.
    let place = format!(": {word}");
    let hint = "JSON writes true, false and null; `json.dumps` does";
    text.contains(&place).then(|| Foreign::new(format!("JSON with `{word}`"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        let found = match text(bytes.to_vec()) {
            Ok(text) => recognize(&text).map(|found| found.what),
            Err(found) => Some(found.what),
        };
        assert_eq!(found.as_deref(), Some(expected), "{}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn what_people_give_is_named() {
        check(b"", "empty");
        check(b" \n\n", "empty");
        check(b"\xef\xbb\xbf", "empty");
        check(b"PK\x03\x04\xff", "a zip archive, such as a wheel");
        check(b"\x1f\x8b\x08\0", "a gzip archive, such as a source distribution");
        check(b"\xff\xfe{\0}\0", "text in UTF-16");
        check(b"{\0}\0", "text in UTF-16");
        check(b"{}\0\x01 and much more text than zeros, so that it is none", "binary data");
        check(b"{\n\"a\": \"\xe4\"}", "text that is not UTF-8 (line 2)");
        check(b"version: 1\nwheels:\n  - path: x\n", "YAML");
        check(b"# a comment\nversion: 1\n", "YAML");
        check(b"---\nx\n", "YAML");
        check(b"version = 1\n\n[[package]]\nname = \"six\"\n", "TOML");
        check(b"[project]\nname = \"x\"\n", "TOML");
        check(b"lock-version = \"1.0\"\n", "TOML");
        check(b"home = /usr/bin\nversion = 3.11.2\n", "a configuration file");
        check(b"six==1.16.0\nattrs\n", "a list of requirements");
        check(b"# by a tool\nattrs==25.1 \\\n    --hash=sha256:00\n", "a list of requirements");
        check(b"// env\n{}\n", "JSON with a comment (`//` in line 1)");
        check(b"# env\n{}\n", "JSON with a comment (`#` in line 1)");
        check(b"{\n  \"a\": 1, // one\n  \"b\": 2\n}\n", "JSON with a comment (`//` in line 2)");
        check(b"{\n  /* all */ \"a\": \"x//y\"\n}\n", "JSON with a comment (`/*` in line 2)");
        check(b"{'a': 1}", "JSON with strings in single quotes");
        check(b"{\"a\": True}", "JSON with `True`");
        check(b"<!doctype html><html>", "HTML or XML");
        check(b"#!/bin/sh\nexit\n", "a script");
        check(b"# nothing\n", "only comments");
        check(b"six-1.16.0-py2.py3-none-any.whl\n", "the name of a wheel");
    }

    #[test]
    fn what_is_almost_json_is_left_to_the_parser() {
        for text in [
            "{",
            "{\"a\": 1,}",
            "{\"a\": \"http://x\"",
            "[1, 2",
            "{\"a\": \"None\" \"b\"}",
            "nonsense",
        ] {
            assert_eq!(recognize(text), None, "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        assert_eq!(text(b"\xef\xbb\xbf{}".to_vec()).as_deref(), Ok("{}"));
    }
}
