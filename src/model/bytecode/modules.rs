//! Which files are compiled: modules, that is, what ends in `.py` where modules are found.
//!
//! Model layer. A module is known by its path relative to there, which is also the name that its
//! bytecode has: so neither the layout of an environment nor its place is in it.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use crate::model::path::TreePath;
use crate::model::wheel::WheelManifest;

/// What is left out unless something else is asked for: a quarter of all bytecode, of modules that
/// few import.
pub const DEFAULT_EXCLUDE: [&str; 2] = ["**/tests/**", "test/**"];

/// Patterns of modules that are left out.
#[derive(Debug, Clone)]
pub struct Excluded(Vec<Pattern>);

#[derive(Debug, Clone)]
enum Pattern {
    /// `**/NAME/**`: what lies in a folder of that name, here with a slash. Most that is asked is
    /// whether this is so, of every module.
    InFolder(String),
    /// Any other.
    Glob(GlobMatcher),
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, globset::Error> {
        let folder = pattern.strip_prefix("**/").and_then(|rest| rest.strip_suffix("/**"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        match folder.filter(|name| !name.is_empty() && name.bytes().all(plain)) {
            Some(name) => Ok(Self::InFolder(format!("{name}/"))),
            None => {
                let glob = GlobBuilder::new(pattern).literal_separator(true).build()?;
                Ok(Self::Glob(glob.compile_matcher()))
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::InFolder(folder) => memchr::memmem::find_iter(name.as_bytes(), folder)
                .any(|at| at == 0 || name.as_bytes()[at - 1] == b'/'),
            Self::Glob(matcher) => matcher.is_match(name),
        }
    }
}

impl Excluded {
    /// Reads patterns.
    ///
    /// # Errors
    /// One cannot be read: which, and why.
    pub fn new<'p>(
        patterns: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, (String, globset::ErrorKind)> {
        let read = |pattern: &str| {
            Pattern::new(pattern).map_err(|error| (pattern.to_owned(), error.kind().clone()))
        };
        patterns.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a module is left out.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.has(name))
    }
}

/// Patterns that are asked together which of them match.
pub struct Together(GlobSet);

impl Together {
    /// Takes patterns that can be read.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            set.add(glob.expect("checked with the spec"));
        }
        Self(set.build().expect("each of them can be read"))
    }

    /// The positions of those that match a module.
    pub fn matches(&self, name: &str) -> Vec<usize> {
        self.0.matches(name)
    }
}

/// Why a pattern that can be read matches no module, whichever there are.
pub fn matches_nothing(pattern: &str) -> Option<&'static str> {
    // In braces and brackets, a slash may be of one choice among several.
    let plain = !pattern.contains(['{', '[', '\\']);
    let has_part = |part| plain && pattern.split('/').any(|other| other == part);
    if pattern.is_empty() {
        Some("it is empty")
    } else if pattern.starts_with('/') {
        Some("it begins with `/`, and modules are found by their paths below site-packages")
    } else if has_part("..") || has_part(".") {
        Some("no path of a module has a part `.` or `..`")
    } else if pattern.ends_with('/') {
        Some("it ends with `/`: what lies in a folder is `FOLDER/**`")
    } else {
        None
    }
}

/// Whether a path is that of a module.
pub fn is_module(path: &str) -> bool {
    path.ends_with(".py") && !path.ends_with("/.py") && path != ".py"
}

/// By which name a member of a wheel can be imported, if it is installed where modules are found. A
/// file of the scheme `data` is none, wherever it lies.
pub fn name_in_wheel<'m>(manifest: &WheelManifest, member: &'m str) -> Option<&'m str> {
    let of_data = member.strip_prefix(&*manifest.data).and_then(|rest| rest.strip_prefix('/'));
    let name = match of_data {
        None => member,
        Some(rest) => rest.strip_prefix("purelib/").or_else(|| rest.strip_prefix("platlib/"))?,
    };
    is_module(name).then_some(name)
}

/// The modules of a wheel, by their names, as positions of its members. Of several with one name
/// the first counts: what conflicts is not compiled twice.
pub fn of_wheel(manifest: &WheelManifest, excluded: &Excluded) -> BTreeMap<TreePath, usize> {
    let mut modules = BTreeMap::new();
    for (index, member) in manifest.members.iter().enumerate() {
        let name = name_in_wheel(manifest, member.path.as_str());
        if let Some(name) = name.filter(|name| !excluded.has(name))
            && let Ok(name) = TreePath::parse(name)
        {
            modules.entry(name).or_insert(index);
        }
    }
    modules
}

/// The name of a module that lies in an environment: its path relative to site-packages, or to the
/// standard library of an interpreter that is in it.
pub fn name_in_tree(path: &str) -> Option<&str> {
    let name = if path.starts_with(".python/") {
        let library =
            path.split_once("/lib/python3.").or_else(|| path.split_once("/lib64/python3."));
        library?.1.split_once('/')?.1
    } else {
        path.split_once("/site-packages/")?.1
    };
    is_module(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_an_environment_are_known_by_where_they_are_found() {
        for (path, name) in [
            ("lib/python3.12/site-packages/a/b.py", Some("a/b.py")),
            ("Lib/site-packages/a.py", Some("a.py")),
            ("lib/python3.12/site-packages/a/site-packages/b.py", Some("a/site-packages/b.py")),
            (".python/lib/python3.12/os.py", Some("os.py")),
            (".python/usr/lib64/python3.12/json/decoder.py", Some("json/decoder.py")),
            (".python/x/lib/python3.12/site-packages/y.py", Some("site-packages/y.py")),
            (".python/lib/python3.12", None),
            ("bin/tool.py", None),
            ("lib/python3.12/site-packages/a.pyc", None),
        ] {
            assert_eq!(name_in_tree(path), name, "{path}");
        }
    }

    #[test]
    fn modules_end_in_py_and_are_not_left_out() {
        let excluded = Excluded::new(DEFAULT_EXCLUDE).unwrap();
        for (path, module, left_out) in [
            ("a.py", true, false),
            ("a/b.py", true, false),
            ("a/tests/b.py", true, true),
            ("tests/b.py", true, true),
            ("test/b.py", true, true),
            ("a/test/b.py", true, false),
            ("a/tests.py", true, false),
            ("a.pyi", false, false),
            ("a/.py", false, false),
        ] {
            assert_eq!((is_module(path), excluded.has(path)), (module, left_out), "{path}");
        }
        assert_eq!(Excluded::new(["a["]).unwrap_err().0, "a[");
    }

    /// As the build rules write the paths of first-party code.
    #[test]
    fn a_pattern_may_name_one_path_whatever_is_in_it() {
        for (pattern, path) in [
            ("a/[{][{]x[}][}].py", "a/{{x}}.py"),
            ("a/[[]x].py", "a/[x].py"),
            ("a/[*][?].py", "a/*?.py"),
            ("a/[\\]x.py", "a/\\x.py"),
        ] {
            let excluded = Excluded::new([pattern]).unwrap();
            assert_eq!((excluded.has(path), excluded.has("a/x.py")), (true, false), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_known() {
        for pattern in
            ["", "/", "/a/*.py", "../a.py", "a/../b.py", "./a.py", "a/./b", "**/..", "a/"]
        {
            assert!(matches_nothing(pattern).is_some(), "{pattern}");
        }
        for pattern in ["a.py", "**/a/**", "*..py", "{/a,b}.py", "{a/../b,c}.py", ".a/b.py", "**"] {
            assert!(matches_nothing(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn folders_are_found_as_patterns_find_them() {
        let (quick, slow) = ("**/te-st/**", "**/{te-st}/**");
        assert!(matches!(Pattern::new(quick), Ok(Pattern::InFolder(_))));
        assert!(matches!(Pattern::new(slow), Ok(Pattern::Glob(_))));
        for name in
            ["te-st", "te-st/a", "a/te-st/b/c", "ate-st/b", "te-st.py", "a/te-st", "te-sta/b"]
        {
            let has = |pattern| Pattern::new(pattern).unwrap().has(name);
            assert_eq!(has(quick), has(slow), "{name}");
        }
    }
}
