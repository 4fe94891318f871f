//! The word that somebody probably meant.
//!
//! Model layer. Used by messages about words that nobody knows: fields, values, codes, names.

/// The known word that is nearest to `word`, if one is near enough to be a slip.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.', ' '], "");
    let written = plain(word);
    if written.is_empty() {
        return None;
    }
    let distance = |known: &str| {
        let other = plain(known);
        let edits = strsim::damerau_levenshtein(&written, &other);
        let begins = written.chars().count() >= 3
            && (other.starts_with(&written) || written.starts_with(&other) && other.len() >= 3);
        let near = edits <= (written.chars().count().max(other.chars().count()) / 4).max(1)
            && edits < written.chars().count();
        (near || begins).then_some(edits)
    };
    known
        .into_iter()
        .filter_map(|known| Some((distance(known)?, known)))
        // Of two that are alike but for signs, what was written more like.
        .min_by_key(|(edits, known)| (*edits, strsim::damerau_levenshtein(word, known)))
        .map(|(_, known)| known)
}

/// The question to append to a message; empty if no known word is near.
pub fn question<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_decide_between_words_that_are_alike() {
        let known = ["py.test", "pytest"];
        for (word, expected) in [("pyteste", "pytest"), ("py.tets", "py.test")] {
            assert_eq!(nearest(word, known), Some(expected), "{word}");
        }
    }

    #[test]
    fn slips_are_understood_and_other_words_are_not() {
        let known =
            ["version", "interpreter", "wheels", "path_entries", "sha256", "conflicts", "cpython"];
        for (word, expected) in [
            ("wheel", Some("wheels")),
            ("weels", Some("wheels")),
            ("pathEntries", Some("path_entries")),
            ("path-entries", Some("path_entries")),
            ("Version", Some("version")),
            ("sha-256", Some("sha256")),
            ("sha", Some("sha256")),
            ("interperter", Some("interpreter")),
            ("conflict", Some("conflicts")),
            ("jython", None),
            ("url", None),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
