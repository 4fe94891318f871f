//! Scripts that begin with the environment's interpreter by its absolute path.

use super::Roots;
use crate::model::reserved::is_interpreter_name;
use crate::model::script::{ScriptError, rewrite_script};

/// A script that finds the environment when it runs, in the place of one whose first line (or the
/// `sh` command on its second, as pip and uv write it where the path is long or holds a space)
/// names the environment's interpreter by its absolute path; nothing for any other file.
///
/// # Errors
/// The script names the interpreter, but cannot be rewritten.
pub fn script(bytes: &[u8], roots: &Roots) -> Option<Result<Vec<u8>, ScriptError>> {
    let (interpreter, body) = interpreter(bytes)?;
    let inside = roots.strip(&interpreter)?;
    inside.strip_prefix("bin/").filter(|name| is_name(name))?;
    let asking = [b"#!python\n", body].concat();
    rewrite_script(&asking)
        .map(|rewritten| rewritten.expect("it begins with #!python"))
        .map(Some)
        .transpose()
}

/// The environment that a script was made for, by the path of its interpreter: `/home/me/env` for
/// `#!/home/me/env/bin/python3`.
pub fn script_root(bytes: &[u8]) -> Option<String> {
    let (interpreter, _) = interpreter(bytes)?;
    let (root, name) = interpreter.rsplit_once("/bin/")?;
    (is_name(name) && root.starts_with('/')).then(|| root.to_owned())
}

fn is_name(name: &str) -> bool {
    is_interpreter_name(&name.to_ascii_lowercase())
}

/// The absolute path of a script's interpreter, and the script without the lines that name it.
fn interpreter(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (first, rest) = split_line(bytes);
    let first = std::str::from_utf8(first).ok()?.strip_prefix("#!")?.trim();
    if first == "/bin/sh" {
        let (second, rest) = split_line(rest);
        let (third, body) = split_line(rest);
        let command = std::str::from_utf8(second)
            .ok()?
            .strip_prefix("'''exec' ")?
            .strip_suffix(" \"$0\" \"$@\"")?;
        let quoted =
            ['"', '\''].iter().find_map(|quote| command.strip_prefix(*quote)?.strip_suffix(*quote));
        return (third == b"' '''").then(|| (quoted.unwrap_or(command).to_owned(), body));
    }
    // pip writes paths with spaces too, although no kernel understands them: the name of the
    // interpreter ends the path.
    let at = first.rfind("/bin/")?;
    let end = first[at + 5..].find([' ', '\t']).map_or(first.len(), |length| at + 5 + length);
    first.starts_with('/').then(|| (first[..end].to_owned(), rest))
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', bytes) {
        Some(at) => (bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]), &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> Roots {
        let mut roots = Roots::new();
        roots.add("/home/me/my env");
        roots.add("/home/me/env");
        roots
    }

    #[test]
    fn scripts_of_every_installer_are_recognised() {
        let body = "# -*- coding: utf-8 -*-\nimport sys\n";
        let expected = rewrite_script(format!("#!python\n{body}").as_bytes()).unwrap().unwrap();
        for start in [
            "#!/home/me/env/bin/python\n",
            "#!/home/me/env/bin/python3.12\n",
            "#! /home/me/env/bin/python3 -E\n",
            "#!/home/me/my env/bin/python\n",
            "#!/home/me/env/bin/python\r\n",
            "#!/bin/sh\n'''exec' \"/home/me/my env/bin/python3\" \"$0\" \"$@\"\n' '''\n",
            "#!/bin/sh\n'''exec' '/home/me/my env/bin/python3' \"$0\" \"$@\"\n' '''\n",
            "#!/bin/sh\n'''exec' /home/me/env/bin/python \"$0\" \"$@\"\n' '''\n",
        ] {
            let found = script(format!("{start}{body}").as_bytes(), &roots());
            assert_eq!(found, Some(Ok(expected.clone())), "{start}");
        }
        assert_eq!(script(&expected, &roots()), None, "a second time");
    }

    #[test]
    fn other_files_stay_as_they_are() {
        for other in [
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/python3\n",
            "#!/home/me/env2/bin/python\n",
            "#!/home/me/env/bin/bash\n",
            "#!/home/me/env/lib/bin/python\n",
            "#!/bin/sh\necho '/home/me/env/bin/python'\n",
            "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n",
            "\u{7f}ELF",
            "",
        ] {
            assert_eq!(script(other.as_bytes(), &roots()), None, "{other}");
        }
        assert_eq!(script_root(b"#!/gone/env/bin/python3\n").as_deref(), Some("/gone/env"));
        assert_eq!(script_root(b"#!/usr/bin/env python3\n"), None);
    }
}
