//! Names that not every system can tell apart or store.
//!
//! Model layer. Case and Unicode form are folded as file systems that ignore them do (APFS, NTFS);
//! the rules for Windows are those of its documentation for naming files.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// The path as a file system sees it that ignores case and Unicode form: two paths that it takes
/// for one are folded to one.
pub fn fold(path: &str) -> Cow<'_, str> {
    if path.is_ascii() {
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(path.to_ascii_lowercase())
        } else {
            Cow::Borrowed(path)
        }
    } else {
        let folded = caseless::default_case_fold_str(&path.nfd().collect::<String>());
        Cow::Owned(folded.nfc().collect())
    }
}

/// The path in Unicode's normal form C.
pub fn compose(path: &str) -> Cow<'_, str> {
    if path.is_ascii() { Cow::Borrowed(path) } else { Cow::Owned(path.nfc().collect()) }
}

/// Why Windows cannot store a file of this name; nothing if it can.
pub fn windows_problem(name: &str) -> Option<String> {
    if let Some(character) =
        name.chars().find(|character| matches!(character, '<' | '>' | ':' | '"' | '|' | '?' | '*'))
    {
        return Some(format!("`{name}` holds `{character}`, which no name on Windows may hold"));
    }
    if name.ends_with(['.', ' ']) {
        return Some(format!("`{name}` ends in a full stop or a space, which Windows drops"));
    }
    // A device stays one with an ending, and with spaces before that: `nul .txt`.
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ').to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str())
        || numbered.is_some_and(|number| {
            let mut characters = number.chars();
            matches!(characters.next(), Some('0'..='9' | '¹' | '²' | '³'))
                && characters.next().is_none()
        });
    device.then(|| format!("`{name}` is the name of a device on Windows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_cannot_store() {
        for name in [
            "con",
            "NUL.txt",
            "nul .txt",
            "COM1",
            "lpt9.py",
            "COM¹",
            "conin$",
            "a:b",
            "what?",
            "a.",
            "a ",
            "\"",
            "a|b",
            "aux.tar.gz",
        ] {
            assert!(windows_problem(name).is_some(), "{name}");
        }
        for name in [
            "console",
            "com",
            "COM10",
            "nulls.txt",
            "a.b",
            ".gitignore",
            "lpt",
            "con_",
            "é",
            "CONAUX",
        ] {
            assert_eq!(windows_problem(name), None);
        }
    }

    #[test]
    fn case_and_form_are_folded() {
        assert_eq!(fold("A/b.PY"), "a/b.py");
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("e\u{301}"), fold("É"));
        assert_eq!(compose("e\u{301}"), "é");
        assert_ne!(compose("e\u{301}"), compose("É"));
    }
}
