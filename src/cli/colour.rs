//! Colour: when there is some, and what has which.

use std::ffi::OsString;

use clap::builder::styling::{AnsiColor, Style, Styles};

/// Which of the standard streams are in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colours {
    /// Standard output: help.
    pub stdout: bool,
    /// Standard error: the words that messages begin with.
    pub stderr: bool,
}

/// When there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum When {
    /// On a terminal, unless a variable says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What has which colour in help and usage errors.
pub(crate) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The words that messages begin with.
const LABELS: [(&str, AnsiColor); 4] = [
    ("error:", AnsiColor::Red),
    ("warning:", AnsiColor::Yellow),
    ("hint:", AnsiColor::Cyan),
    ("note:", AnsiColor::Cyan),
];

impl Colours {
    /// The same, in so far as arguments and variables want colour. An option comes before
    /// variables; of those, NO_COLOR comes first.
    #[must_use]
    pub fn wanted<'v>(
        self,
        arguments: &[OsString],
        variable: impl Fn(&str) -> Option<&'v str>,
    ) -> Self {
        match option(arguments) {
            When::Always => Self { stdout: true, stderr: true },
            When::Never => Self::default(),
            When::Auto if variable("NO_COLOR").is_some() => Self::default(),
            When::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => {
                Self { stdout: true, stderr: true }
            }
            When::Auto
                if variable("CLICOLOR") == Some("0")
                    || variable("TERM").is_none_or(|name| name == "dumb") =>
            {
                Self::default()
            }
            When::Auto => self,
        }
    }

    /// A line of talk, the word that it begins with in colour.
    pub(crate) fn label(self, line: String) -> String {
        let words = line.trim_start();
        let label = LABELS.iter().find(|(label, _)| words.starts_with(label));
        let (true, Some((label, colour))) = (self.stderr, label) else {
            return line;
        };
        let style: Style = colour.on_default().bold();
        let (indent, rest) = (&line[..line.len() - words.len()], &words[label.len()..]);
        format!("{indent}{style}{label}{style:#}{rest}")
    }
}

/// What the option says, as far as that can be told before the arguments are understood: their
/// errors are in colour, too.
fn option(arguments: &[OsString]) -> When {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let texts: Vec<&str> =
        arguments[..end].iter().map(|argument| argument.to_str().unwrap_or_default()).collect();
    let value = |index: usize| match texts[index].strip_prefix("--color") {
        Some("") => texts.get(index + 1).copied(),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    };
    match (0..texts.len()).filter_map(value).next_back() {
        Some("always") => When::Always,
        Some("never") => When::Never,
        _ => When::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_comes_first_and_then_variables() {
        let terminal = Colours { stdout: true, stderr: true };
        let check = |before: Colours,
                     arguments: &str,
                     variables: &[(&'static str, &'static str)],
                     expected: Colours| {
            let arguments: Vec<OsString> =
                arguments.split_whitespace().map(OsString::from).collect();
            let variable = |name: &str| {
                variables.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
            };
            assert_eq!(
                before.wanted(&arguments, variable),
                expected,
                "{arguments:?} {variables:?}"
            );
        };
        let (none, term) = (Colours::default(), ("TERM", "xterm"));
        check(terminal, "build", &[term], terminal);
        check(none, "build", &[term], none);
        check(Colours { stderr: true, ..none }, "build", &[term], Colours { stderr: true, ..none });
        check(terminal, "build", &[("TERM", "dumb")], none);
        check(terminal, "build", &[], none);
        check(terminal, "build", &[term, ("NO_COLOR", "1")], none);
        check(terminal, "build", &[term, ("CLICOLOR", "0")], none);
        check(none, "build", &[term, ("CLICOLOR_FORCE", "1")], terminal);
        check(none, "build", &[term, ("CLICOLOR_FORCE", "0")], none);
        check(none, "build", &[term, ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], none);
        check(none, "build --color always", &[("NO_COLOR", "1")], terminal);
        check(none, "--color=always build", &[], terminal);
        check(terminal, "build --color=never", &[term, ("CLICOLOR_FORCE", "1")], none);
        check(terminal, "build --color never --color auto", &[term], terminal);
        check(none, "build -- --color always", &[], none);
    }

    #[test]
    fn only_the_word_that_a_line_begins_with_is_in_colour() {
        let colours = Colours { stdout: false, stderr: true };
        assert_eq!(
            colours.label("error: no error: here".to_owned()),
            "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m no error: here"
        );
        assert_eq!(
            colours.label("    hint: x".to_owned()),
            "    \u{1b}[1m\u{1b}[36mhint:\u{1b}[0m x"
        );
        assert_eq!(colours.label("built: error: x".to_owned()), "built: error: x");
        assert_eq!(Colours::default().label("error: x".to_owned()), "error: x");
    }
}
