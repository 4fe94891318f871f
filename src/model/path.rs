//! Names and paths inside a tree: parsed once, never checked again.
//!
//! Model layer. On disk, paths are `camino`'s; they meet these only in `effects`.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is no name, path or link target inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing where a name should be.
    #[error("`{path}` has an empty component")]
    Empty {
        /// The path.
        path: String,
    },
    /// `.` or `..` where a name should be.
    #[error("`{path}` has a component `{component}`, which could lead out of the tree")]
    Dots {
        /// The path.
        path: String,
        /// `.` or `..`.
        component: String,
    },
    /// The path starts at a root.
    #[error("`{path}` is absolute, expected a path relative to the tree")]
    Absolute {
        /// The path.
        path: String,
    },
    /// A character that no name in a tree may hold.
    #[error("{path:?} holds the character {character:?}, which no name in a tree may hold")]
    Character {
        /// The path.
        path: String,
        /// The character: a slash within a name, a NUL or another control character, a backslash.
        character: char,
    },
    /// A component that no common file system can store.
    #[error("`{path}` has a component of {length} bytes, the limit is {limit}")]
    ComponentLength {
        /// The path.
        path: String,
        /// The component's bytes.
        length: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The path as a whole is too long.
    #[error("a path of {length} bytes, the limit is {limit}: `{}…`", path.chars().take(60).collect::<String>())]
    Length {
        /// The path.
        path: String,
        /// Its bytes.
        length: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The link leads out of the tree.
    #[error("the link target `{target}` leads out of the tree")]
    Escape {
        /// The target.
        target: String,
    },
}

/// The most bytes of one name: the limit of ext4, xfs, btrfs, APFS and NTFS (there in UTF-16
/// units).
pub const COMPONENT_LIMIT: usize = 255;
/// The most bytes of a path in a tree: Linux's `PATH_MAX` less room for where the tree lies.
pub const PATH_LIMIT: usize = 3072;

fn check_component(component: &str, path: &str) -> Result<(), PathError> {
    if is_plain(component.as_bytes())
        && is_short_name(component.as_bytes())
        && !component.contains('/')
    {
        return Ok(());
    }
    match component {
        "" => {
            return Err(PathError::Empty { path: path.to_owned() });
        }
        "." | ".." => {
            return Err(PathError::Dots { path: path.to_owned(), component: component.to_owned() });
        }
        _ => {}
    }
    if let Some(character) = component
        .chars()
        .find(|&character| character == '/' || character == '\\' || character.is_control())
    {
        return Err(PathError::Character { path: path.to_owned(), character });
    }
    if component.len() > COMPONENT_LIMIT {
        return Err(PathError::ComponentLength {
            path: path.to_owned(),
            length: component.len(),
            limit: COMPONENT_LIMIT,
        });
    }
    Ok(())
}

/// Whether nothing but printable ASCII other than a backslash is there, which holds for nearly
/// every path.
pub(in crate::model) fn is_plain(bytes: &[u8]) -> bool {
    let (words, last) = words(bytes);
    words
        .iter()
        .map(|&word| u64::from_le_bytes(word))
        .fold(odd(last), |found, word| found | odd(word))
        == 0
}

/// Eight bytes each, and what is left, filled up with what is plain.
fn words(bytes: &[u8]) -> (&[[u8; 8]], u64) {
    let (words, rest) = bytes.as_chunks();
    let mut last = [b'a'; 8];
    last[..rest.len()].copy_from_slice(rest);
    (words, u64::from_le_bytes(last))
}

/// One bit in each byte, the lowest and the highest.
const LOWEST: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);

/// The highest bit of each byte that is this one. Bytes after such a one may have theirs as well.
fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (LOWEST * u64::from(byte));
    zero.wrapping_sub(LOWEST) & !zero & HIGHEST
}

/// The same of each byte that is not printable ASCII, or a backslash.
fn odd(word: u64) -> u64 {
    let control = word.wrapping_sub(LOWEST * 0x20) & !word;
    (control | word) & HIGHEST | equal(word, 0x7f) | equal(word, b'\\')
}

/// Whether a path is plain, short, and without a component that begins with a dot or is empty: then
/// none of its components is wrong. Other paths may be right as well.
pub(in crate::model) fn is_plainly_right(path: &[u8]) -> bool {
    let ends = |byte: Option<&u8>| matches!(byte, None | Some(b'/' | b'.'));
    if ends(path.first()) || path.last() == Some(&b'/') || path.len() > COMPONENT_LIMIT {
        return false;
    }
    let (words, last) = words(path);
    let (mut wrong, mut before) = (0, 0);
    let mut look = |word: u64| {
        let slashes = equal(word, b'/');
        let after_slashes = slashes << 8 | before;
        wrong |= odd(word) | after_slashes & (slashes | equal(word, b'.'));
        before = slashes >> 56;
    };
    words.iter().for_each(|&word| look(u64::from_le_bytes(word)));
    look(last);
    wrong == 0
}

/// Whether a path begins with the letter of one of Windows' drives.
pub(in crate::model) fn has_drive(path: &[u8]) -> bool {
    matches!(path, [letter, b':', ..] if letter.is_ascii_alphabetic())
}

fn is_short_name(component: &[u8]) -> bool {
    !matches!(component, b"" | b"." | b"..") && component.len() <= COMPONENT_LIMIT
}

fn check_path(text: &str) -> Result<(), PathError> {
    if text.starts_with('/') {
        return Err(PathError::Absolute { path: text.to_owned() });
    }
    if !is_plainly_right(text.as_bytes()) {
        text.split('/').try_for_each(|component| check_component(component, text))?;
    }
    if text.len() > PATH_LIMIT {
        return Err(PathError::Length {
            path: text.to_owned(),
            length: text.len(),
            limit: PATH_LIMIT,
        });
    }
    Ok(())
}

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// One name in a directory: not empty, not `.` or `..`, without slashes, backslashes and control
/// characters, at most 255 bytes of UTF-8. Ordered by bytes, as REAPI orders the nodes of a
/// `Directory`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(Box<str>);

text_type!(FileName);

impl FileName {
    /// Checks a name.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check_component(text, text)?;
        Ok(Self(text.into()))
    }
}

/// A path of one or more names, relative to the root of a tree (or of a scheme), separated by `/`.
///
/// Ordered by its text's bytes. Never empty: the root itself has no `TreePath`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreePath(Box<str>);

text_type!(TreePath);

impl TreePath {
    /// Checks a path.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check_path(text)?;
        Ok(Self(text.into()))
    }

    /// The same for a text that is not needed otherwise.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn from_text(text: Box<str>) -> Result<Self, PathError> {
        check_path(&text)?;
        Ok(Self(text))
    }

    /// This path and below it another one.
    ///
    /// # Errors
    /// The whole may be too long.
    pub fn join(&self, below: &Self) -> Result<Self, PathError> {
        let joined = self.followed_by(&below.0);
        if joined.len() > PATH_LIMIT {
            return Err(PathError::Length {
                length: joined.len(),
                path: joined.into(),
                limit: PATH_LIMIT,
            });
        }
        Ok(Self(joined))
    }

    /// This path and below it one that is still a text.
    ///
    /// # Errors
    /// Names the rule that the text breaks; the whole may be too long.
    pub fn join_text(&self, below: &str) -> Result<Self, PathError> {
        Self::from_text(self.followed_by(below))
    }

    fn followed_by(&self, below: &str) -> Box<str> {
        let mut joined = String::with_capacity(self.0.len() + 1 + below.len());
        joined.push_str(&self.0);
        joined.push('/');
        joined.push_str(below);
        joined.into_boxed_str()
    }

    /// The names, from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last name.
    pub fn name(&self) -> &str {
        memchr::memrchr(b'/', self.0.as_bytes()).map_or(&self.0, |slash| &self.0[slash + 1..])
    }

    /// What comes before the last name: nothing, or a path and a slash.
    pub(crate) fn folder(&self) -> &str {
        &self.0[..self.0.len() - self.name().len()]
    }

    /// The path without its last name; nothing at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// Every proper prefix, the shortest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(index, _)| &self.0[..index])
    }

    /// The path from the directory `parent` to this one, if it lies below.
    pub fn below(&self, parent: &Self) -> Option<&str> {
        self.0.strip_prefix(&*parent.0)?.strip_prefix('/')
    }

    /// Whether this path is `prefix` or lies below it.
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Where a symbolic link points: relative or absolute, not empty, without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkTarget(Box<str>);

text_type!(LinkTarget);

impl LinkTarget {
    /// Checks a target.
    ///
    /// # Errors
    /// The target is empty, too long, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty { path: text.to_owned() });
        }
        if let Some(character) = text.chars().find(|character| character.is_control()) {
            return Err(PathError::Character { path: text.to_owned(), character });
        }
        if text.len() > PATH_LIMIT {
            return Err(PathError::Length {
                path: text.to_owned(),
                length: text.len(),
                limit: PATH_LIMIT,
            });
        }
        Ok(Self(text.into()))
    }

    /// Whether the target starts at the root of the file system.
    pub fn is_absolute(&self) -> bool {
        self.0.starts_with('/')
    }

    /// The path within the tree that a link at `link` points to, by the text alone.
    ///
    /// # Errors
    /// The target is absolute or leads out of the tree (to its root also counts, as the root has no
    /// path).
    pub fn within(&self, link: &TreePath) -> Result<TreePath, PathError> {
        let escape = || PathError::Escape { target: self.0.to_string() };
        if self.is_absolute() {
            return Err(escape());
        }
        let mut components: Vec<&str> = link.components().collect();
        components.pop();
        for component in self.0.split('/') {
            match component {
                "" | "." => {}
                ".." => {
                    components.pop().ok_or_else(escape)?;
                }
                name => components.push(name),
            }
        }
        if components.is_empty() {
            return Err(escape());
        }
        TreePath::parse(&components.join("/"))
    }
}

/// The relative path that leads from the directory `from` to `to`, both relative to the same place
/// and free of `.`; `to` may start with `..`. An empty `from` is that place itself.
pub fn relative_from(from: &str, to: &str) -> String {
    if let Some(below) = to.strip_prefix(from).and_then(|rest| rest.strip_prefix('/'))
        && !below.is_empty()
        && !from.is_empty()
        && below.split('/').all(|part| !matches!(part, "" | "." | ".."))
    {
        return below.to_owned();
    }
    let mut from: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    let mut to: Vec<&str> = to.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let shared =
        from.iter().zip(&to).take_while(|(left, right)| left == right && **left != "..").count();
    from.drain(..shared);
    to.drain(..shared);
    let mut parts = vec![".."; from.len()];
    parts.extend(to);
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_quick_look_at_a_path_says_what_each_component_says(text in "[a./~\\\\\\x1f \\x7fé]{0,40}|[a/.]{240,300}") {
            let whole = !text.starts_with('/') && text.len() <= PATH_LIMIT;
            let right = |component: &str| check_component(component, &text).is_ok();
            prop_assert_eq!(TreePath::parse(&text).is_ok(), whole && text.split('/').all(right));
            let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'\\';
            prop_assert_eq!(is_plain(text.as_bytes()), text.bytes().all(plain));
        }
    }

    #[test]
    fn paths_that_could_escape_or_confuse_are_refused() {
        for text in
            ["", "/a", "a//b", "a/", "./a", "a/../b", "..", "a\\b", "a\0b", "a\nb", "a\u{7f}"]
        {
            assert!(TreePath::parse(text).is_err(), "{text:?}");
        }
        for text in ["a", "a/b", ".data", "a b/ü", "...", "a/..b"] {
            assert_eq!(TreePath::parse(text).map(|path| path.to_string()), Ok(text.to_owned()));
        }
        assert!(FileName::parse("a/b").is_err());
        assert!(FileName::parse(&"x".repeat(256)).is_err());
    }

    #[test]
    fn a_link_is_followed_by_its_text() {
        let check = |link: &str, target: &str, expected: Option<&str>| {
            let found = LinkTarget::parse(target).unwrap().within(&TreePath::parse(link).unwrap());
            assert_eq!(found.ok().as_ref().map(TreePath::as_str), expected, "{link} -> {target}");
        };
        check("bin/python3", "python", Some("bin/python"));
        check("bin/python", "../.python/bin/python3.11", Some(".python/bin/python3.11"));
        check("bin/python", "../../python", None);
        check("lib64", "lib", Some("lib"));
        check("a/b", "..", None);
        check("a/b", "/usr", None);
    }

    #[test]
    fn a_relative_path_leads_from_one_place_to_another() {
        let check = |from: &str, to: &str, expected: &str| {
            assert_eq!(relative_from(from, to), expected, "{from} -> {to}")
        };
        check("bin", "../python/bin/python3", "../../python/bin/python3");
        check("bin", ".python/bin/python3", "../.python/bin/python3");
        check("lib/python3.11/site-packages", "../_main", "../../../../_main");
        check("", "a", "a");
        check("a/b", "a/c", "../c");
        check("a", "a", ".");
    }

    #[test]
    fn prefixes_end_at_component_borders() {
        let path = TreePath::parse("a/bc/d").unwrap();
        assert!(path.starts_with("a/bc") && path.starts_with("a/bc/d") && !path.starts_with("a/b"));
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a", "a/bc"]);
    }
}
