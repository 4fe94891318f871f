//! `.pth` files whose lines lead into the environment by relative paths.

use super::Roots;
use crate::model::path::relative_from;

/// What a `.pth` file becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathFile {
    pub bytes: Vec<u8>,
    /// Lines that lead out of the environment, or name it in code.
    pub left: Vec<String>,
}

/// Rewrites the lines of a `.pth` file that are paths. `folder` is where the file lies, relative to
/// the environment.
///
/// `site.py` takes a line for code where it begins with `import` and a blank, and for a comment
/// where it begins with `#`.
pub fn path_file(bytes: &[u8], folder: &str, roots: &Roots) -> PathFile {
    let mut found = PathFile { bytes: Vec::with_capacity(bytes.len()), left: Vec::new() };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Ok(text) = std::str::from_utf8(line) else {
            found.bytes.extend_from_slice(line);
            continue;
        };
        let path = text.trim_end();
        let code = path.starts_with("import ") || path.starts_with("import\t");
        if code && roots.named_in(line) {
            found.left.push(path.to_owned());
        }
        if code || !path.starts_with('/') {
            found.bytes.extend_from_slice(line);
            continue;
        }
        match roots.strip(path) {
            Some(inside) => {
                let relative = relative_from(folder, inside);
                // A name that site.py would take for something else.
                if relative.starts_with('#') || relative.starts_with("import") {
                    found.bytes.extend_from_slice(b"./");
                }
                found.bytes.extend_from_slice(relative.as_bytes());
                found.bytes.extend_from_slice(&text.as_bytes()[path.len()..]);
            }
            None => {
                found.left.push(path.to_owned());
                found.bytes.extend_from_slice(line);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_lead_into_the_environment_become_relative() {
        let mut roots = Roots::new();
        roots.add("/home/me/env");
        let check = |text: &str, expected: &str, left: &[&str]| {
            let found = path_file(text.as_bytes(), "lib/python3.12/site-packages", &roots);
            assert_eq!(String::from_utf8(found.bytes).unwrap(), expected);
            assert_eq!(found.left, left);
        };
        check("/home/me/env/src/x\n", "../../../src/x\n", &[]);
        check("/home/me/env/lib/python3.12/site-packages/sub\r\nsub2", "sub\r\nsub2", &[]);
        check("/home/me/env", "../../..", &[]);
        check("/home/me/env2\n", "/home/me/env2\n", &["/home/me/env2"]);
        check("/home/me/env/lib/python3.12/site-packages/#a\n", "./#a\n", &[]);
        check(
            "import x; y('/home/me/env/z')\nimport sys\n# /home/me/env\n\n",
            "import x; y('/home/me/env/z')\nimport sys\n# /home/me/env\n\n",
            &["import x; y('/home/me/env/z')"],
        );
    }
}
