//! `pyvenv.cfg` without absolute paths.

use super::Roots;
use crate::model::layout::NO_HOME;

/// What `pyvenv.cfg` says, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The text without absolute paths.
    pub text: String,
    /// Where the base interpreter is said to be: the file, and the directory.
    pub base: (Option<String>, Option<String>),
    /// What activation shows.
    pub prompt: Option<String>,
    /// Keys that name the environment's place and mean something that is not known here.
    pub unknown: Vec<String>,
    /// The place where the environment was made, if that is said.
    pub made_at: Option<String>,
}

/// Keys that only say how the environment was made, with absolute paths.
const DROPPED: [&str; 5] =
    ["executable", "command", "base-prefix", "base-exec-prefix", "base-executable"];

/// Reads a configuration and takes absolute paths out of it: `home` becomes [`NO_HOME`], which
/// makes the interpreter look where its link leads, and `relocatable` true, which makes uv write
/// scripts that can be moved.
pub fn configuration(text: &str, roots: &Roots) -> Configuration {
    let mut lines: Vec<String> = Vec::new();
    let mut found = Configuration {
        text: String::new(),
        base: (None, None),
        prompt: None,
        unknown: Vec::new(),
        made_at: None,
    };
    let (mut home, mut relocatable) = (false, false);
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            lines.push(line.to_owned());
            continue;
        };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        match key.as_str() {
            "home" => {
                found.base.1 =
                    Some(value.to_owned()).filter(|value| !matches!(value.as_str(), "" | NO_HOME));
                home = true;
                lines.push(no_home());
                continue;
            }
            "relocatable" => {
                relocatable = true;
                lines.push("relocatable = true".to_owned());
                continue;
            }
            "executable" | "base-executable" => {
                found.base.0.get_or_insert_with(|| value.to_owned());
            }
            "command" => found.made_at = made_at(value),
            "prompt" => found.prompt = Some(unquote(value)).filter(|prompt| !prompt.is_empty()),
            _ if roots.named_in(value.as_bytes()) => found.unknown.push(key.clone()),
            _ => {}
        }
        if !DROPPED.contains(&key.as_str()) {
            lines.push(line.to_owned());
        }
    }
    if !home {
        lines.insert(0, no_home());
    }
    if !relocatable {
        lines.push("relocatable = true".to_owned());
    }
    found.text = lines.join("\n") + "\n";
    found
}

/// The line of an environment whose interpreter is where its link leads.
fn no_home() -> String {
    format!("home = {NO_HOME}")
}

/// The environment's place in `/usr/bin/python3 -m venv --copies /home/me/env`: all from the last `
/// /` on.
fn made_at(command: &str) -> Option<String> {
    command.rfind(" /").map(|at| command[at + 1..].to_owned())
}

/// A prompt, which CPython's venv writes as a Python string and others as it is.
fn unquote(value: &str) -> String {
    let inner =
        ['\'', '"'].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let Some(inner) = inner else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        let digits = |characters: &mut std::str::Chars<'_>, count: usize| {
            let digits: String = characters.by_ref().take(count).collect();
            u32::from_str_radix(&digits, 16)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('x') => text.push(digits(&mut characters, 2)),
            Some('u') => text.push(digits(&mut characters, 4)),
            Some('U') => text.push(digits(&mut characters, 8)),
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) -> Configuration {
        let mut roots = Roots::new();
        roots.add("/home/me/env");
        let found = configuration(text, &roots);
        assert_eq!(found.text, expected);
        assert_eq!(configuration(&found.text, &roots).text, expected, "a second time");
        found
    }

    #[test]
    fn configurations_of_every_tool_lose_their_paths() {
        let venv = check(
            "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.12.1\nprompt = 'it\\'s \\u2603'\n\
             executable = /usr/bin/python3.12\ncommand = /usr/bin/python3 -m venv --prompt x /home/my self/env\n",
            "home = \u{1f}\ninclude-system-site-packages = false\nversion = 3.12.1\nprompt = 'it\\'s \\u2603'\nrelocatable = true\n",
        );
        assert_eq!(
            venv.base,
            (Some("/usr/bin/python3.12".to_owned()), Some("/usr/bin".to_owned()))
        );
        assert_eq!(venv.prompt.as_deref(), Some("it's ☃"));
        let virtualenv = check(
            "home = /usr/bin\nimplementation = CPython\nversion_info = 3.11.2.final.0\nvirtualenv = 21.0\ninclude-system-site-packages = true\n\
             base-prefix = /usr\nbase-exec-prefix = /usr\nbase-executable = /usr/bin/python3.11\n",
            "home = \u{1f}\nimplementation = CPython\nversion_info = 3.11.2.final.0\nvirtualenv = 21.0\ninclude-system-site-packages = true\nrelocatable = true\n",
        );
        assert_eq!(virtualenv.base.0.as_deref(), Some("/usr/bin/python3.11"));
        let uv = check(
            "HOME=/usr/bin\nuv = 0.9\nRelocatable = false\nprompt = me\nextends-environment = /home/me/env/x\n",
            "home = \u{1f}\nuv = 0.9\nrelocatable = true\nprompt = me\nextends-environment = /home/me/env/x\n",
        );
        assert_eq!(
            (uv.prompt.as_deref(), &uv.unknown[..]),
            (Some("me"), &["extends-environment".to_owned()][..])
        );
        check("", "home = \u{1f}\nrelocatable = true\n");
        check(
            "# a comment\nversion = 3.12\n",
            "home = \u{1f}\n# a comment\nversion = 3.12\nrelocatable = true\n",
        );
    }

    #[test]
    fn the_place_where_it_was_made_is_known() {
        let found =
            configuration("command = /usr/bin/python3 -m venv /home/me/env\n", &Roots::new());
        assert_eq!(found.made_at.as_deref(), Some("/home/me/env"));
    }
}
