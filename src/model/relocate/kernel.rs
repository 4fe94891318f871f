//! Kernels of Jupyter that start the environment's interpreter.

use super::Roots;
use crate::model::reserved::is_interpreter_name;

/// Whether a path in an environment is that of a kernel's description:
/// `share/jupyter/kernels/NAME/kernel.json`.
pub fn is_kernel(path: &str) -> bool {
    let name = path
        .strip_prefix("share/jupyter/kernels/")
        .and_then(|rest| rest.strip_suffix("/kernel.json"));
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// A kernel's description whose program is `python`, in the place of one that names the
/// environment's interpreter by its absolute path; nothing for any other. Jupyter starts its own
/// interpreter for a program of that name, and an environment's kernels are those of the Jupyter in
/// it. All other bytes stay.
pub fn kernel(bytes: &[u8], roots: &Roots) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    let program = document.get("argv")?.get(0)?.as_str()?;
    let name = roots.strip(program)?.strip_prefix("bin/")?;
    if !is_interpreter_name(&name.to_ascii_lowercase()) {
        return None;
    }
    // The one place where the text can be the program: after `"argv"`, a colon and a bracket.
    text.match_indices("\"argv\"").find_map(|(at, key)| {
        let rest = &text[at + key.len()..];
        let rest =
            rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('[')?.trim_start();
        let begin = text.len() - rest.len();
        let literal = &rest[..literal_length(rest)?];
        (serde_json::from_str::<String>(literal).ok()? == program).then_some(())?;
        let rewritten = [&text[..begin], "\"python\"", &text[begin + literal.len()..]].concat();
        // What was meant is what is read.
        let mut expected = document.clone();
        expected["argv"][0] = "python".into();
        (serde_json::from_str::<serde_json::Value>(&rewritten).ok()? == expected)
            .then(|| rewritten.into_bytes())
    })
}

/// The length of the string that a text of JSON begins with.
fn literal_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.strip_prefix('"')?.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 2),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_program_of_a_kernel_changes() {
        let mut roots = Roots::new();
        roots.add("/home/me/my \"env");
        roots.add("/home/me/env");
        let check = |text: &str, expected: Option<&str>| {
            let found =
                kernel(text.as_bytes(), &roots).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        let tail = "\", \"-m\", \"ipykernel_launcher\", \"-f\", \"{connection_file}\"],\n \"display_name\": \"Python 3 (\\u00e9)\"\n}\n";
        for program in [
            "/home/me/env/bin/python",
            "/home/me/env/bin/python3.12",
            "/home/me/my \\\"env/bin/python3",
            "\\/home/me/env/bin/python",
        ] {
            check(
                &format!("{{\n \"argv\" : [\n  \"{program}{tail}"),
                Some(&format!("{{\n \"argv\" : [\n  \"python{tail}")),
            );
        }
        for other in [
            "python",
            "/usr/bin/python3",
            "/home/me/env/bin/bash_kernel",
            "/home/me/env2/bin/python",
            "/home/me/env/lib/python",
        ] {
            check(&format!("{{\"argv\": [\"{other}{tail}"), None);
        }
        // A key of that name elsewhere is not it.
        check(
            "{\"env\": {\"argv\": [\"/home/me/env/bin/python\"]}, \"argv\": [\"/home/me/env/bin/python\"]}",
            Some("{\"env\": {\"argv\": [\"/home/me/env/bin/python\"]}, \"argv\": [\"python\"]}"),
        );
        for none in ["", "{}", "{\"argv\": []}", "{\"argv\": 1}", "[", "{\"argv\": [1]}"] {
            check(none, None);
        }
        assert_eq!(kernel(b"\xff", &roots), None);
        assert!(is_kernel("share/jupyter/kernels/python3/kernel.json"));
        for other in [
            "share/jupyter/kernels/kernel.json",
            "share/jupyter/kernels/a/b/kernel.json",
            "x/share/jupyter/kernels/a/kernel.json",
        ] {
            assert!(!is_kernel(other), "{other}");
        }
    }
}
