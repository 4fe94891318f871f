//! Scripts that name an interpreter by its absolute path: that of the machine on which their wheel
//! was built, most often.
//!
//! Model layer. Installers leave such a script as it is, so it runs with another interpreter than
//! its environment's, or not at all.

/// The interpreter of Python that a script names by an absolute path, in its first line or as `sh`
/// calls it where that line would be too long (`#!/bin/sh`, then `'''exec' /long/path/python "$0"
/// "$@"`).
pub fn foreign_interpreter(script: &[u8]) -> Option<String> {
    let script = script.strip_prefix("\u{feff}".as_bytes()).unwrap_or(script);
    let mut lines =
        script.split(|&byte| byte == b'\n' || byte == b'\r').filter(|line| !line.is_empty());
    let first = String::from_utf8_lossy(lines.next()?.strip_prefix(b"#!")?).into_owned();
    let second = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut words = words(&first);
    let program = words.next()?;
    let program = match program.rsplit(['/', '\\']).next() {
        // `env -S /place/python`
        Some("env") => words.find(|word| !word.starts_with('-') && !word.contains('='))?,
        Some("sh" | "bash" | "dash") => {
            let exec = second
                .trim_start()
                .strip_prefix("'''")
                .or_else(|| second.trim_start().strip_prefix("\"\"\""))?;
            let exec = exec.trim_start().strip_prefix("exec")?;
            self::words(exec.strip_prefix(['\'', '"']).unwrap_or(exec)).next()?
        }
        _ => program,
    };
    let absolute = program.starts_with(['/', '\\']) || program.as_bytes().get(1) == Some(&b':');
    let name = program.rsplit(['/', '\\']).next()?.to_ascii_lowercase();
    let python = ["python", "pypy", "graalpy"].iter().any(|known| name.starts_with(known));
    (absolute && python).then(|| program.chars().take(200).collect())
}

/// Words, of which one in double quotes may hold spaces.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t']);
        let word;
        (word, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len())),
        };
        (!word.is_empty()).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_places_of_interpreters_are_found() {
        let check = |script: &str, expected: Option<&str>| {
            assert_eq!(foreign_interpreter(script.as_bytes()).as_deref(), expected, "{script}")
        };
        check(
            "#!/home/runner/work/venv/bin/python\nimport x\n",
            Some("/home/runner/work/venv/bin/python"),
        );
        check("#! /usr/bin/python3.11 -E\n", Some("/usr/bin/python3.11"));
        check("#!/opt/pypy/bin/pypy3\r\n", Some("/opt/pypy/bin/pypy3"));
        check(
            "#!\"C:\\Program Files\\Python\\Python.exe\" -I\r\n",
            Some("C:\\Program Files\\Python\\Python.exe"),
        );
        check("#!C:\\hostedtoolcache\\python.exe\r\n", Some("C:\\hostedtoolcache\\python.exe"));
        check("#!/usr/bin/env -S /build/bin/python3 -E\n", Some("/build/bin/python3"));
        check(
            "#!/bin/sh\n'''exec' /very/long/bin/python \"$0\" \"$@\"\n' '''\n",
            Some("/very/long/bin/python"),
        );
        check(
            "#!/bin/sh\n'''exec' \"/very long/bin/python\" \"$0\" \"$@\"\n' '''\n",
            Some("/very long/bin/python"),
        );
        for script in [
            "",
            "x",
            "#!",
            "#!python\n",
            "#!pythonw\n",
            "#!/usr/bin/env python3\n",
            "#!/bin/sh\necho /usr/bin/python\n",
            "#!/usr/bin/perl\n",
            "#!bin/python\n",
            "\u{7f}ELF",
        ] {
            check(script, None);
        }
    }
}
