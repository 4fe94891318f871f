//! Text as a literal of each shell's language.
//!
//! Model layer. The only place that escapes: templates hold no hostile text, and everything that
//! comes from outside passes here. What a shell cannot hold at all (NUL everywhere, line breaks in
//! `cmd.exe`) is replaced, so that quoting never fails.

use crate::model::activate::Shell;

/// `text` as one literal word of the shell's language: reading it gives the text back, and runs
/// nothing.
///
/// NUL becomes U+FFFD, because no environment variable can hold it. `cmd.exe` has no literal for
/// `"`, its operators and line breaks; they become spaces, as virtualenv does.
pub fn quote(shell: Shell, text: &str) -> String {
    let text = text.replace('\0', "\u{fffd}");
    match shell {
        Shell::Posix => posix(&text),
        Shell::Fish => fish(&text),
        Shell::Csh => csh(&text),
        Shell::Nushell => nushell(&text),
        Shell::Xonsh | Shell::Python => python(&text),
        Shell::PowerShell => powershell(&text),
        Shell::Cmd => cmd(&text),
    }
}

/// Single quotes; a single quote itself stands outside of them.
fn posix(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Single quotes, in which fish knows the escapes `\\` and `\'`.
fn fish(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A backslash before every ASCII character that might mean something: the one form that does not
/// depend on `backslash_quote`, on the history characters, or on which of the two shells it is.
/// Other characters stand in single quotes: outside of them the BSD csh takes all memory there is.
/// Line breaks of every kind become spaces, as virtualenv does, because the BSD csh damages text
/// that holds one.
fn csh(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    let mut quoted = String::with_capacity(text.len() * 2);
    let mut in_quotes = false;
    for character in
        text.chars().map(|character| if is_line_boundary(character) { ' ' } else { character })
    {
        if in_quotes == character.is_ascii() {
            quoted.push('\'');
            in_quotes = !in_quotes;
        }
        match character {
            plain if plain.is_ascii_alphanumeric() || !plain.is_ascii() => quoted.push(plain),
            special => {
                quoted.push('\\');
                quoted.push(special);
            }
        }
    }
    if in_quotes {
        quoted.push('\'');
    }
    quoted
}

/// The characters that end a line for Python's `splitlines`.
fn is_line_boundary(character: char) -> bool {
    matches!(character, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A double-quoted string. `"` and `\` have escapes; other control characters are written by
/// number.
fn nushell(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{{{:x}}}", u32::from(control)))
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// An ASCII string literal, so that it means the same whatever encoding the file is read in.
fn python(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match u32::from(character) {
            0x22 => quoted.push_str("\\\""),
            0x5c => quoted.push_str("\\\\"),
            0x20..0x7f => quoted.push(character),
            code @ 0..0x10000 => quoted.push_str(&format!("\\u{code:04x}")),
            code => quoted.push_str(&format!("\\U{code:08x}")),
        }
    }
    quoted.push('"');
    quoted
}

/// Single quotes, doubled inside. PowerShell takes four more characters for a single quote.
fn powershell(text: &str) -> String {
    let mut quoted = String::from('\'');
    for character in text.chars() {
        if matches!(character, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(character);
        }
        quoted.push(character);
    }
    quoted.push('\'');
    quoted
}

/// The right side of `set "NAME=…"`: `%` is doubled, and what would end the quotes, the line or the
/// file becomes a space. `!` and `^` go too, because delayed expansion would act on them.
fn cmd(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '%' => quoted.push_str("%%"),
            '"' | '&' | '|' | '<' | '>' | '^' | '!' | '\u{2028}' | '\u{2029}' => quoted.push(' '),
            control if control.is_control() => quoted.push(' '),
            plain => quoted.push(plain),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shell: Shell, text: &str, expected: &str) {
        assert_eq!(quote(shell, text), expected, "{shell:?} {text:?}");
    }

    #[test]
    fn plain_text() {
        for shell in [Shell::Posix, Shell::Fish, Shell::PowerShell] {
            check(shell, "a b", "'a b'");
        }
        for shell in [Shell::Nushell, Shell::Xonsh] {
            check(shell, "a b", "\"a b\"");
        }
        check(Shell::Cmd, "a b", "a b");
        check(Shell::Csh, "a b", "a\\ b");
        check(Shell::Csh, "", "''");
        check(Shell::Python, "é🚒", "\"\\u00e9\\U0001f692\"");
    }

    #[test]
    fn quotes_and_escapes() {
        check(Shell::Posix, r"it's \", r"'it'\''s \'");
        check(Shell::Fish, r"it's \", r"'it\'s \\'");
        check(Shell::Csh, r"it's !\", r"it\'s\ \!\\");
        check(Shell::Csh, "éa é", "'é'a\\ 'é'");
        check(Shell::Nushell, r#"a"b\"#, r#""a\"b\\""#);
        check(Shell::Python, r#"a"b\'"#, r#""a\"b\\'""#);
        check(
            Shell::PowerShell,
            "it's \u{2019}\u{201a}",
            "'it''s \u{2019}\u{2019}\u{201a}\u{201a}'",
        );
        check(Shell::Cmd, "50% \"of\" $P", "50%%  of  $P");
    }

    #[test]
    fn line_breaks_and_controls() {
        check(Shell::Posix, "a\nb", "'a\nb'");
        check(Shell::Csh, "a\nb\u{2028}c", "a\\ b\\ c");
        check(Shell::Nushell, "a\n\u{1b}", "\"a\\u{a}\\u{1b}\"");
        check(Shell::Python, "a\n\u{1b}", "\"a\\u000a\\u001b\"");
        check(Shell::Cmd, "a\r\nb\u{1a}\u{2028}", "a  b  ");
        for shell in Shell::ALL {
            assert!(!quote(shell, "a\0b").contains('\0'), "{shell:?}");
        }
    }

    #[test]
    fn commands_stay_text() {
        check(Shell::Posix, "$(id)`id`", "'$(id)`id`'");
        check(Shell::Csh, "$(id)`id`", "\\$\\(id\\)\\`id\\`");
        check(Shell::Cmd, "a&id|id>x", "a id id x");
    }
}
