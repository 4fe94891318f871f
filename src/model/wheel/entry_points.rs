//! `entry_points.txt`: the console and GUI scripts of a distribution.
//!
//! Model layer. The entry points specification says INI as Python's `configparser` reads it, with
//! `=` as the only delimiter and names that keep their case; `importlib.metadata` reads the same
//! file line by line. What the two read differently (values that go on in the next line, a
//! `DEFAULT` section, a section given twice) is an error where it concerns scripts. A name becomes
//! a file in `bin` and an object reference becomes Python code, so both are checked by what they
//! may hold, not by what they may not.

use std::fmt;

use super::tally::Tally;
use crate::model::reserved::in_scripts;

/// How a script is started on systems that tell console and windowed programs apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScriptKind {
    /// From `console_scripts`.
    Console,
    /// From `gui_scripts`.
    Gui,
}

impl ScriptKind {
    /// The group in `entry_points.txt`.
    pub fn group(self) -> &'static str {
        match self {
            Self::Console => "console_scripts",
            Self::Gui => "gui_scripts",
        }
    }
}

/// A script: a name and the object that it calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPoint {
    /// The name of the script, which is one that a file in `bin` can have.
    pub name: Box<str>,
    /// Console or GUI.
    pub kind: ScriptKind,
    /// The module: Python identifiers, separated by full stops.
    pub module: Box<str>,
    /// What is called, within the module: Python identifiers, separated by full stops.
    pub attributes: Box<str>,
}

/// What `entry_points.txt` says about scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryPoints {
    /// The usable scripts, sorted by name, one for each name.
    pub scripts: Vec<EntryPoint>,
    /// What is wrong, by line; of each kind at least the first hundred times.
    pub problems: Vec<EntryPointProblem>,
    /// How many further problems there are, by kind, each of a kind that is among `problems`.
    pub omitted: Vec<(EntryPointProblemKind, u64)>,
}

/// Something that is wrong with a line of `entry_points.txt`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of entry_points.txt: {kind}")]
pub struct EntryPointProblem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: EntryPointProblemKind,
}

/// The most scripts of one wheel: each becomes a file that is made in memory.
const SCRIPT_LIMIT: usize = 10_000;

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryPointProblemKind {
    /// More scripts than any real wheel has.
    #[error("more than {SCRIPT_LIMIT} scripts")]
    TooMany,
    /// Bytes that are not UTF-8.
    #[error("the text is not UTF-8 from here on")]
    NotUtf8,
    /// A character that some readers take for the end of a line, or another control character.
    #[error("the character {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// Something other than `[group]` where a group begins.
    #[error("{text:?}, expected `[group]`")]
    Section {
        /// The line.
        text: String,
    },
    /// A section whose values one reader adds to all others.
    #[error("the section `DEFAULT`, whose values some readers add to every group")]
    DefaultSection,
    /// A group of scripts that was there before.
    #[error("`[{group}]` once more")]
    RepeatedSection {
        /// The group.
        group: &'static str,
    },
    /// A line before the first group.
    #[error("{text:?} before the first `[group]`")]
    NoSection {
        /// The line.
        text: String,
    },
    /// A line without `=`, or without a name before it.
    #[error("{text:?}, expected `name = module:attribute`")]
    NoDelimiter {
        /// The line.
        text: String,
    },
    /// A line that is indented more than the one before it.
    #[error(
        "{text:?} is indented more than the line before it, which some readers take for the rest of that line's value"
    )]
    Continuation {
        /// The line.
        text: String,
    },
    /// A name that no file in `bin` should have.
    #[error("the script name {name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: NameProblem,
    },
    /// A name that the environment itself uses.
    #[error(
        "the script name `{name}` is one of the environment's own: an interpreter or an activation script"
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// A module without anything to call.
    #[error(
        "the script `{name}` refers to {reference:?}, expected `module:attribute`: there is nothing to call"
    )]
    NoAttribute {
        /// The name.
        name: String,
        /// The object reference.
        reference: String,
    },
    /// A module or attribute that Python could not import, or that would be another program.
    #[error("the script `{name}` refers to {reference:?}: `{part}` is no Python identifier")]
    Identifier {
        /// The name.
        name: String,
        /// The object reference.
        reference: String,
        /// The part between full stops.
        part: String,
    },
    /// Extras that are no extras.
    #[error(
        "the script `{name}` refers to {reference:?}, which ends in no list of extras such as `[cli]`"
    )]
    Extras {
        /// The name.
        name: String,
        /// The object reference.
        reference: String,
    },
    /// The same name with the same object.
    #[error("the script `{name}` once more, the same as in line {first}")]
    Repeated {
        /// The name.
        name: String,
        /// The line of the first one.
        first: usize,
    },
    /// The same name with another object.
    #[error("the script `{name}` once more, other than in line {first}")]
    Duplicate {
        /// The name.
        name: String,
        /// The line of the first one.
        first: usize,
    },
}

/// Why a text is no name for a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameProblem {
    /// `.`, `..` or another name that is full stops only, or that ends in one: Windows drops those.
    FullStops,
    /// A slash, backslash or colon: the name could lie outside `bin`.
    Separator(char),
    /// Another character than a letter, a digit, `_`, `-`, `.`, `+`, `@`, `!`, `~`, or a space
    /// between such.
    Character(char),
    /// More bytes than fit, with `.exe` added, in a file name.
    Length(usize),
}

impl fmt::Display for NameProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FullStops => formatter.write_str("it ends in a full stop"),
            Self::Separator(character) => {
                write!(
                    formatter,
                    "it holds {character:?}, so that its file could lie outside the scripts' folder"
                )
            }
            Self::Character(character) => {
                write!(
                    formatter,
                    "it holds {character:?}, expected letters, digits, `_`, `-`, `.`, `+`, `@`, `!` and `~`"
                )
            }
            Self::Length(length) => {
                write!(formatter, "it has {length} bytes, the limit is {NAME_LIMIT}")
            }
        }
    }
}

/// The most bytes of a script's name: those of a file name less `-script.pyw`, the longest ending
/// that is added anywhere.
const NAME_LIMIT: usize = 255 - "-script.pyw".len();

/// Which section a line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Scripts(ScriptKind),
    Other,
}

impl EntryPoints {
    /// Reads `entry_points.txt`.
    ///
    /// Never fails: what is wrong is in [`EntryPoints::problems`], and the rest is in
    /// [`EntryPoints::scripts`].
    pub fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader {
            section: Section::None,
            seen: Vec::new(),
            indentation: 0,
            in_value: false,
            scripts: Vec::new(),
            problems: Vec::new(),
            tally: Tally::default(),
        };
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = &bytes[..error.valid_up_to()];
                let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
                reader.report(line, EntryPointProblemKind::NotUtf8);
                let whole = good.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                std::str::from_utf8(&good[..whole])
                    .expect("valid up to here, and cut after a line feed")
            }
        };
        for (index, line) in text.split('\n').enumerate() {
            reader.read_line(line.strip_suffix('\r').unwrap_or(line), index + 1);
        }
        reader.finish()
    }
}

struct Reader {
    section: Section,
    /// Groups of scripts that were there.
    seen: Vec<ScriptKind>,
    /// The white space before the last line that began something.
    indentation: usize,
    /// Whether a line that is indented more belongs to the value before it.
    in_value: bool,
    scripts: Vec<(EntryPoint, usize)>,
    problems: Vec<EntryPointProblem>,
    tally: Tally<EntryPointProblemKind>,
}

impl Reader {
    fn report(&mut self, line: usize, kind: EntryPointProblemKind) {
        if self.tally.admit(&kind) {
            self.problems.push(EntryPointProblem { line, kind });
        }
    }

    fn read_line(&mut self, line: &str, number: usize) {
        let splits = |character: char| {
            character.is_control() && character != '\t'
                || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}')
        };
        if let Some(character) = line.chars().find(|&character| splits(character)) {
            return self.report(number, EntryPointProblemKind::Character { character });
        }
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return;
        }
        let own = || text.to_owned();
        let indentation = line.len() - line.trim_start().len();
        if self.in_value && indentation > self.indentation {
            // Other groups are not ours to judge, unless the line could begin a group of scripts.
            if self.section != Section::Other || text.starts_with('[') {
                self.report(number, EntryPointProblemKind::Continuation { text: own() });
            }
            return;
        }
        self.indentation = indentation;
        if text.starts_with('[') {
            self.in_value = false;
            return self.begin_section(text, number);
        }
        if self.section == Section::None {
            return self.report(number, EntryPointProblemKind::NoSection { text: own() });
        }
        self.in_value = true;
        let (name, reference) = match text.split_once('=') {
            Some((name, reference)) if !name.trim().is_empty() => (name.trim(), reference.trim()),
            _ => return self.report(number, EntryPointProblemKind::NoDelimiter { text: own() }),
        };
        if let Section::Scripts(kind) = self.section {
            match entry_point(kind, name, reference) {
                Ok(_) if self.scripts.len() == SCRIPT_LIMIT => {
                    self.report(number, EntryPointProblemKind::TooMany)
                }
                Ok(script) => self.scripts.push((script, number)),
                Err(kind) => self.report(number, kind),
            }
        }
    }

    fn begin_section(&mut self, text: &str, number: usize) {
        let name = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let name = name
            .filter(|name| !name.is_empty() && *name == name.trim() && !name.contains(['[', ']']));
        self.section = Section::Other;
        match name {
            None => self.report(number, EntryPointProblemKind::Section { text: text.to_owned() }),
            Some("DEFAULT") => self.report(number, EntryPointProblemKind::DefaultSection),
            Some(name) => {
                let Some(kind) = [ScriptKind::Console, ScriptKind::Gui]
                    .into_iter()
                    .find(|kind| kind.group() == name)
                else {
                    return;
                };
                if self.seen.contains(&kind) {
                    self.report(
                        number,
                        EntryPointProblemKind::RepeatedSection { group: kind.group() },
                    );
                }
                self.seen.push(kind);
                self.section = Section::Scripts(kind);
            }
        }
    }

    fn finish(mut self) -> EntryPoints {
        // A stable sort: of two scripts with one name the first one comes first, and is kept.
        self.scripts.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
        let (problems, tally) = (&mut self.problems, &mut self.tally);
        self.scripts.dedup_by(|(later, line), (script, first)| {
            if later.name != script.name {
                return false;
            }
            let (name, first) = (later.name.to_string(), *first);
            let kind = if later == script {
                EntryPointProblemKind::Repeated { name, first }
            } else {
                EntryPointProblemKind::Duplicate { name, first }
            };
            if tally.admit(&kind) {
                problems.push(EntryPointProblem { line: *line, kind });
            }
            true
        });
        self.problems.sort_by_key(|problem| problem.line);
        EntryPoints {
            scripts: self.scripts.into_iter().map(|(script, _)| script).collect(),
            problems: self.problems,
            omitted: tally.omitted(),
        }
    }
}

/// Checks a name and an object reference: `module:attribute`, each dotted identifiers, and
/// optionally `[extras]`, which are checked and have no meaning for a script.
fn entry_point(
    kind: ScriptKind,
    name: &str,
    reference: &str,
) -> Result<EntryPoint, EntryPointProblemKind> {
    check_name(name)
        .map_err(|reason| EntryPointProblemKind::Name { name: name.to_owned(), reason })?;
    if in_scripts(name).is_some() {
        return Err(EntryPointProblemKind::Reserved { name: name.to_owned() });
    }
    let own = || (name.to_owned(), reference.to_owned());
    let object = match reference.split_once('[') {
        None => reference,
        Some((object, extras)) => {
            let extras = extras
                .strip_suffix(']')
                .filter(|extras| extras.trim().is_empty() || extras.split(',').all(is_extra));
            if extras.is_none() {
                let (name, reference) = own();
                return Err(EntryPointProblemKind::Extras { name, reference });
            }
            object
        }
    };
    let Some((module, attributes)) = object.split_once(':') else {
        let (name, reference) = own();
        return Err(EntryPointProblemKind::NoAttribute { name, reference });
    };
    let (module, attributes) = (module.trim(), attributes.trim());
    if let Some(part) =
        module.split('.').chain(attributes.split('.')).find(|part| !is_identifier(part))
    {
        let (name, reference) = own();
        return Err(EntryPointProblemKind::Identifier { name, reference, part: part.to_owned() });
    }
    Ok(EntryPoint { name: name.into(), kind, module: module.into(), attributes: attributes.into() })
}

fn is_extra(text: &str) -> bool {
    let text = text.trim();
    let inner =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
        && text.chars().all(inner)
}

fn check_name(name: &str) -> Result<(), NameProblem> {
    if let Some(character) = name.chars().find(|character| matches!(character, '/' | '\\' | ':')) {
        return Err(NameProblem::Separator(character));
    }
    let allowed = |character: char| {
        character.is_alphanumeric()
            || matches!(character, '_' | '-' | '.' | '+' | '@' | '!' | '~' | ' ')
    };
    if let Some(character) = name.chars().find(|&character| !allowed(character)) {
        return Err(NameProblem::Character(character));
    }
    if name.ends_with('.') {
        return Err(NameProblem::FullStops);
    }
    if name.len() > NAME_LIMIT {
        return Err(NameProblem::Length(name.len()));
    }
    Ok(())
}

/// Python's keywords, which no import can name.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Whether a text is a Python identifier and no keyword.
fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    let start = |first: char| first == '_' || unicode_ident::is_xid_start(first);
    characters.next().is_some_and(start)
        && characters.all(unicode_ident::is_xid_continue)
        && !KEYWORDS.contains(&text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> EntryPoints {
        EntryPoints::parse(text.as_bytes())
    }

    #[test]
    fn scripts_are_read_and_other_groups_passed_over() {
        let found = parse(
            "# comment\n; comment\n\n[console_scripts]\nb = pkg.cli:main\r\n  \na-b.c = pkg:App.run [x, y-z]\n\n[other.group]\nx = anything at all\n\
             y = a\n  continued\n[gui_scripts]\n  win=pkg : main\n  Win = ünï:_x1\n",
        );
        assert_eq!(found.problems, []);
        let scripts: Vec<_> = found
            .scripts
            .iter()
            .map(|script| (&*script.name, script.kind, &*script.module, &*script.attributes))
            .collect();
        let (console, gui) = (ScriptKind::Console, ScriptKind::Gui);
        assert_eq!(
            scripts,
            [
                ("Win", gui, "ünï", "_x1"),
                ("a-b.c", console, "pkg", "App.run"),
                ("b", console, "pkg.cli", "main"),
                ("win", gui, "pkg", "main")
            ]
        );
        assert_eq!(parse(""), EntryPoints::default());
    }

    #[test]
    fn every_line_that_could_be_read_in_two_ways_is_reported() {
        let check = |text: &str, line: usize, expected: &str| {
            let found = parse(text);
            assert_eq!(found.problems.len(), 1, "{text:?}: {:?}", found.problems);
            assert_eq!(found.problems[0].line, line, "{text:?}");
            let message = found.problems[0].kind.to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
        };
        check("a = b:c", 1, "before the first `[group]`");
        for heading in [
            "[console_scripts",
            "[console_scripts] # x",
            "[ console_scripts ]",
            "[]",
            "[[console_scripts]]",
        ] {
            check(heading, 1, "expected `[group]`");
        }
        check("[DEFAULT]\na = b:c", 1, "section `DEFAULT`");
        check("[console_scripts]\n[x]\n[console_scripts]", 3, "`[console_scripts]` once more");
        for text in [
            "[console_scripts]\na",
            "[x]\na",
            "[console_scripts]\n= b:c",
            "[console_scripts]\na: b:c",
        ] {
            check(text, 2, "expected `name = module:attribute`");
        }
        check(
            "[console_scripts]\na = b:c\n  d = e:f",
            3,
            "is indented more than the line before it",
        );
        check("[x]\na = b:c\n  [console_scripts]", 3, "is indented more than the line before it");
        check("\u{feff}[console_scripts]", 1, "'\\u{feff}'");
        for character in ['\u{b}', '\r', '\u{2028}', '\0'] {
            check(&format!("[x]\na = b{character}c = d"), 2, &format!("{character:?}"));
        }
        let found = EntryPoints::parse(b"[console_scripts]\na = b:c\nd = \xff:f\n");
        assert_eq!(
            found.problems,
            [EntryPointProblem { line: 3, kind: EntryPointProblemKind::NotUtf8 }]
        );
    }

    #[test]
    fn names_and_references_that_could_do_something_else_are_refused() {
        let check = |line: &str, expected: &str| {
            let found = parse(&format!("[console_scripts]\n{line}"));
            let message = found
                .problems
                .first()
                .map_or("no problem".to_owned(), |problem| problem.kind.to_string());
            assert!(message.contains(expected), "{line:?}: {message}");
            assert_eq!(found.scripts.len() + found.problems.len(), 1, "{line:?}");
        };
        for name in
            ["../../evil", "..\\evil", "/abs", "sub/script", "a/../b", "D:\\x", "D:x", "a:b"]
        {
            check(&format!("{name} = a:b"), "could lie outside the scripts' folder");
        }
        for name in ["..", ".", "...", "a."] {
            check(&format!("{name} = a:b"), "ends in a full stop");
        }
        for name in [
            "a\"b", "a'b", "a`b", "a$b", "a%b", "a|b", "a*b", "a?b", "a<b", "a&b", "a,b", "a(b",
            "a\tb",
        ] {
            check(&format!("{name} = a:b"), "expected letters, digits");
        }
        check(&format!("{} = a:b", "x".repeat(245)), "245 bytes, the limit is 244");
        for reference in ["a", "a.b", "a [x]", ""] {
            check(&format!("x = {reference}"), "there is nothing to call");
        }
        for reference in [
            "a:",
            ":b",
            "a:b;c",
            "os:system('x')",
            "a:b c",
            "a b:c",
            "a-b:c",
            "a..b:c",
            ".a:b",
            "a:.b",
            "a:b.",
            "1a:b",
            "a:b:c",
            "import:a",
            "a:class",
            "a.None:b",
            "a:b # comment",
            "a:b ; comment",
            "\"a:b\"",
            "a = b:c",
            "a\\:b",
        ] {
            check(&format!("x = {reference}"), "is no Python identifier");
        }
        for reference in ["a:b [x", "a:b ]", "a:b [x] y", "a:b [x,]", "a:b [-]", "a:b [x y]"] {
            let expected = if reference.contains('[') {
                "no list of extras"
            } else {
                "is no Python identifier"
            };
            check(&format!("x = {reference}"), expected);
        }
        for reference in ["a:b []", "a:b[x]", "a:b [ x , y ]"] {
            check(&format!("x = {reference}"), "no problem");
        }
    }

    #[test]
    fn the_names_of_the_environment_are_reserved() {
        for name in ["Python3.EXE", "activate", "python._pth", "pyvenv.cfg"] {
            let kinds: Vec<_> = parse(&format!("[console_scripts]\n{name} = a:b"))
                .problems
                .into_iter()
                .map(|problem| problem.kind)
                .collect();
            assert_eq!(kinds, [EntryPointProblemKind::Reserved { name: name.to_owned() }]);
        }
    }

    #[test]
    fn there_are_at_most_so_many_scripts() {
        let text: String = (0..=SCRIPT_LIMIT).map(|index| format!("x{index:05} = m:f\n")).collect();
        let found = EntryPoints::parse(format!("[console_scripts]\n{text}").as_bytes());
        assert_eq!(found.scripts.len(), SCRIPT_LIMIT);
        assert_eq!(
            found.problems,
            [EntryPointProblem { line: SCRIPT_LIMIT + 2, kind: EntryPointProblemKind::TooMany }]
        );
    }

    #[test]
    fn very_many_problems_are_counted() {
        let found = parse(&format!("{}[DEFAULT]", "a\n".repeat(1000)));
        assert_eq!(found.problems.len(), 101);
        assert_eq!(found.omitted.iter().map(|(_, count)| count).sum::<u64>(), 900);
    }

    #[test]
    fn one_name_is_one_script() {
        let check = |text: &str, expected: &str| {
            let found = parse(text);
            assert_eq!(found.scripts.len(), 1);
            assert_eq!(
                found.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
                [expected]
            );
        };
        check(
            "[console_scripts]\na=b:c\na = b:c [x]",
            "line 3 of entry_points.txt: the script `a` once more, the same as in line 2",
        );
        check(
            "[console_scripts]\na=b:c\na = b:d",
            "line 3 of entry_points.txt: the script `a` once more, other than in line 2",
        );
        check(
            "[gui_scripts]\na=b:c\n[console_scripts]\na=b:c",
            "line 4 of entry_points.txt: the script `a` once more, other than in line 2",
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "\\[console_scripts\\]\n([a-c.:=\\[\\]/ ]{0,6}\n){0,4}") {
            let _ = EntryPoints::parse(&bytes);
            for script in parse(&text).scripts {
                prop_assert!(!script.name.contains('/') && script.module.split('.').all(is_identifier));
            }
        }

        #[test]
        fn what_is_rendered_is_read(scripts in proptest::collection::btree_map("[b-z][a-z0-9_.-]{0,8}[a-z]", ("[b-h]{4}(\\.[b-h]{4}){0,2}", "[b-h]{4}(\\.[b-h]{4}){0,2}"), 0..8)) {
            let text: String = scripts.iter().map(|(name, (module, attributes))| format!("{name} = {module}:{attributes}\n")).collect();
            let found = parse(&format!("[gui_scripts]\n{text}"));
            prop_assume!(scripts.keys().all(|name| in_scripts(name).is_none()));
            prop_assert_eq!(found.problems, []);
            let ours: Vec<_> = found.scripts.iter().map(|script| (script.name.to_string(), (script.module.to_string(), script.attributes.to_string()))).collect();
            prop_assert_eq!(ours, scripts.into_iter().collect::<Vec<_>>());
        }
    }
}
