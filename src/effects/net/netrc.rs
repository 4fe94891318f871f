//! Names and passwords by host, as `.netrc` files have them.
//!
//! Effects layer, but pure. Read as curl and pip read it: words divided by white space, `#` begins a
//! comment where a word could begin, macros are passed over, and who may read the file is its
//! owner's business. Passwords are secrets: nothing here shows one.

/// What a file says, in its order.
#[derive(Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, Default)]
struct Entry {
    /// Nothing for every host that is not named.
    machine: Option<String>,
    login: String,
    password: String,
}

impl std::fmt::Debug for Netrc {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let machines = self.entries.iter().map(|entry| &entry.machine);
        formatter.debug_list().entries(machines).finish()
    }
}

impl Netrc {
    /// Reads a file. What is no entry is passed over.
    pub fn parse(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut words = words(line).into_iter();
            while let Some(word) = words.next() {
                match word.as_str() {
                    "machine" => {
                        let machine = Some(words.next().unwrap_or_default());
                        entries.push(Entry { machine, ..Entry::default() });
                    }
                    "default" => entries.push(Entry::default()),
                    "login" | "user" => set(&mut entries, words.next(), |entry| &mut entry.login),
                    "password" => set(&mut entries, words.next(), |entry| &mut entry.password),
                    "account" => drop(words.next()),
                    "macdef" => {
                        // A macro ends with an empty line.
                        lines.by_ref().find(|line| line.trim().is_empty());
                        break;
                    }
                    _ => {}
                }
            }
        }
        Self { entries }
    }

    /// Name and password for a host.
    pub fn find(&self, host: &str) -> Option<(&str, &str)> {
        let named = |entry: &&Entry| {
            entry.machine.as_ref().is_some_and(|machine| machine.eq_ignore_ascii_case(host))
        };
        let entry = self.entries.iter().find(named);
        let entry = entry.or_else(|| self.entries.iter().find(|entry| entry.machine.is_none()))?;
        Some((&entry.login, &entry.password))
    }
}

fn set(entries: &mut [Entry], word: Option<String>, field: impl Fn(&mut Entry) -> &mut String) {
    if let Some((entry, word)) = entries.last_mut().zip(word) {
        *field(entry) = word;
    }
}

/// The words of a line: those in double quotes may hold white space, and a backslash takes its
/// meaning from what follows.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    while let Some(first) = characters.next() {
        match first {
            '#' => break,
            first if first.is_whitespace() => {}
            first => {
                let quoted = first == '"';
                let mut word = String::new();
                let mut next = if quoted { characters.next() } else { Some(first) };
                while let Some(character) = next {
                    let ends = if quoted { character == '"' } else { character.is_whitespace() };
                    if ends {
                        break;
                    }
                    let escaped = (character == '\\').then(|| characters.next()).flatten();
                    word.push(escaped.unwrap_or(character));
                    next = characters.next();
                }
                words.push(word);
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_names_and_passwords() {
        let text = "# machine not.example login a password b\n\
            machine files.example login me password s3cret # mine\n\
            machine two.example\n  login \"an other\"\n  account x\n  password pass#\\\"word\n\
            macdef init\n  machine macro.example login a password b\n\n\
            default login anonymous password it's";
        let netrc = Netrc::parse(text);
        assert_eq!(netrc.find("FILES.example"), Some(("me", "s3cret")));
        assert_eq!(netrc.find("two.example"), Some(("an other", "pass#\"word")));
        assert_eq!(netrc.find("macro.example"), Some(("anonymous", "it's")));
        assert!(!format!("{netrc:?}").contains("s3cret"));
        for text in ["", "login", "machine", "password x", "\"", "\\", "machine a login"] {
            assert!(Netrc::parse(text).find("b").is_none(), "{text}");
        }
    }
}
