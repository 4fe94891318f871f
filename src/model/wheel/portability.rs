//! Members whose names some systems cannot tell apart or cannot store.
//!
//! Model layer. On their own these names do no harm; which target they matter to is decided where
//! the target is known.

use std::collections::HashMap;

use crate::model::digest::Hash;
use crate::model::finding::{Code, Findings};
use crate::model::portable::{compose, fold, windows_problem};

/// Paths longer than this may not fit on Windows where long paths are off: its limit of 260 less
/// room for the environment's place.
const WINDOWS_LENGTH: usize = 180;

/// Reports names that collide or do not fit, of files and of the folders that they lie in. `paths`
/// are sorted.
pub fn examine_portability<'a>(paths: impl IntoIterator<Item = &'a str>, findings: &mut Findings) {
    // By digest: a hostile wheel may have tens of thousands of folders with names of a kilobyte
    // each.
    let mut seen: HashMap<Hash, &str> = HashMap::new();
    let mut previous = "";
    for path in paths {
        // What is shared with the previous path was looked at there.
        let shared =
            path.bytes().zip(previous.bytes()).take_while(|(left, right)| left == right).count();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|&end| end >= shared || end == path.len()) {
            let prefix = &path[..end];
            let other = *seen.entry(Hash::sha256(fold(prefix).as_bytes())).or_insert(prefix);
            if other != prefix {
                let code = if compose(other) == compose(prefix) {
                    Code::PathUnicodeCollision
                } else {
                    Code::PathCaseCollision
                };
                findings.add_member(code, prefix, format!("also there as {other:?}"));
            }
            let name = prefix.rsplit('/').next().unwrap_or(prefix);
            if !matches!(name, "." | "..")
                && let Some(problem) = windows_problem(name)
            {
                findings.add_member(Code::PathWindowsName, prefix, problem);
            }
        }
        if path.encode_utf16().count() > WINDOWS_LENGTH {
            findings.add_member(
                Code::PathWindowsLength,
                path,
                format!("more than {WINDOWS_LENGTH} characters"),
            );
        }
        previous = path;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collisions_of_files_and_folders_are_found_once() {
        let check = |paths: &[&str], expected: &[(Code, &str)]| {
            let mut findings = Findings::new();
            examine_portability(paths.iter().copied(), &mut findings);
            let found = findings.finish();
            let found: Vec<(Code, &str)> =
                found.iter().map(|found| (found.code, found.member.as_deref().unwrap())).collect();
            assert_eq!(found, expected);
        };
        check(&["a/b", "a/c", "ab", "b"], &[]);
        check(&["A.py", "a.py"], &[(Code::PathCaseCollision, "a.py")]);
        check(&["A/x", "a/y", "a/z"], &[(Code::PathCaseCollision, "a")]);
        check(&["e\u{301}.py", "é.py"], &[(Code::PathUnicodeCollision, "é.py")]);
        check(&["a/aux.py", "a/b"], &[(Code::PathWindowsName, "a/aux.py")]);
        check(&["con/a", "con/b"], &[(Code::PathWindowsName, "con")]);
        let long = "x".repeat(181);
        check(&[&long], &[(Code::PathWindowsLength, &long)]);
    }
}
