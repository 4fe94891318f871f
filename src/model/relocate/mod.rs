//! Making the files of an existing environment relocatable: what each becomes, as text.
//!
//! Model layer. Environments of other tools, and what pip installs, name the environment by its
//! absolute path. Here such a path is recognised by the [`Roots`]: where the environment is, and
//! where its own files say that it once was.

mod configuration;
mod kernel;
mod path_file;
mod record;
mod script;

pub use configuration::configuration;
pub use kernel::{is_kernel, kernel};
pub use path_file::path_file;
pub use record::record;
pub use script::{script, script_root};

/// The places where an environment is or was, as absolute paths without `/` at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// The longest first: one may lie in another.
    roots: Vec<String>,
}

impl Roots {
    /// No place.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a place. What is no absolute path, or the root of the file system, is none.
    pub fn add(&mut self, root: &str) {
        let root = root.trim_end_matches('/');
        if root.starts_with('/') && !self.roots.iter().any(|known| known == root) {
            self.roots.push(root.to_owned());
            self.roots.sort_by(|left, right| (right.len(), left).cmp(&(left.len(), right)));
        }
    }

    /// All places.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().map(String::as_str)
    }

    /// A path relative to the environment, if it leads into it: `""` for the environment itself.
    pub fn strip<'path>(&self, path: &'path str) -> Option<&'path str> {
        self.roots.iter().find_map(|root| {
            let rest = path.strip_prefix(root.as_str())?;
            if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
        })
    }

    /// Whether bytes name a place somewhere: followed by nothing that would make it another name.
    pub fn named_in(&self, bytes: &[u8]) -> bool {
        self.named_in_piece(bytes, true)
    }

    /// The same for a piece of a file. Where it is not the last one, a place at its end does not
    /// count: the next piece tells whether it is one.
    pub fn named_in_piece(&self, bytes: &[u8], last: bool) -> bool {
        let ends = |next: &u8| {
            !(next.is_ascii_alphanumeric() || matches!(next, b'_' | b'-' | b'.' | 0x80..))
        };
        self.roots.iter().any(|root| {
            memchr::memmem::find_iter(bytes, root.as_bytes())
                .any(|at| bytes.get(at + root.len()).map_or(last, ends))
        })
    }

    /// The places that an activation script for POSIX shells, made by another tool, names as its
    /// own.
    pub fn add_activated(&mut self, script: &str) {
        for line in script.lines() {
            let line = line.trim_start();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some(value) = line.strip_prefix("VIRTUAL_ENV=") else {
                continue;
            };
            let value = value.trim_end().trim_end_matches(';');
            let quoted = ['"', '\'']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            let value = quoted.unwrap_or(value);
            // Anything that a shell would work out is no place.
            if !value.contains(['$', '`', '"', '\'', '\\']) {
                self.add(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(all: &[&str]) -> Roots {
        let mut roots = Roots::new();
        all.iter().for_each(|root| roots.add(root));
        roots
    }

    #[test]
    fn a_path_is_in_the_environment_or_not() {
        let roots = roots(&["/a/env/", "/a/env/inner", "relative", "/", "/a/env"]);
        assert_eq!(roots.iter().collect::<Vec<_>>(), ["/a/env/inner", "/a/env"]);
        assert_eq!(roots.strip("/a/env/inner/x"), Some("x"));
        assert_eq!(roots.strip("/a/env/bin/python"), Some("bin/python"));
        assert_eq!(roots.strip("/a/env"), Some(""));
        assert_eq!(roots.strip("/a/env2/x"), None);
        assert_eq!(roots.strip("/a"), None);
        for named in ["#!/a/env/bin", "'/a/env'", "x/a/env", "/a/env2 /a/env"] {
            assert!(roots.named_in(named.as_bytes()), "{named}");
        }
        for other in ["/a/env2", "/a/env.d/x", "/a/envé", "a/env"] {
            assert!(!roots.named_in(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn activation_scripts_say_where_they_belong() {
        let check = |text: &str, expected: &[&str]| {
            let mut roots = Roots::new();
            roots.add_activated(text);
            assert_eq!(roots.iter().collect::<Vec<_>>(), expected, "{text}");
        };
        check("VIRTUAL_ENV=\"/home/me/env\"\nexport VIRTUAL_ENV\n", &["/home/me/env"]);
        check("    export VIRTUAL_ENV='/my env'\n", &["/my env"]);
        check("VIRTUAL_ENV=/plain", &["/plain"]);
        check("VIRTUAL_ENV=\"$(cygpath \"/x\")\"\nVIRTUAL_ENV=$_VENV\nOTHER_VIRTUAL_ENV=/x\n", &[]);
    }
}
