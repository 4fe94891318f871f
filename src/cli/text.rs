//! What is printed, made harmless: whatever the program did not write itself can neither move the
//! cursor nor look like another line.
//!
//! A message is one line. What is quoted in it (names, paths, messages of other programs) may hold
//! anything, so the whole line passes [`printable`]: there, a line feed can only be somebody
//! else's. What has several lines is a [`Text`], which is made of lines, or of a JSON document.

use serde_json::Value;

/// Lines of ours, each of which was made harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// A text of these lines.
    pub fn of_lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Self {
        Self(lines.into_iter().map(|line| printable(line.as_ref())).collect::<Vec<_>>().join("\n"))
    }

    /// A message that ends in items, each of which is to have a line of its own. Any other line feed
    /// in it is somebody else's.
    pub(crate) fn of_message(message: &str, items: &[String]) -> Self {
        Self::of_lines(lines(message, items))
    }

    /// A JSON document, indented.
    pub fn of_json(value: &Value) -> Self {
        let text = serde_json::to_string_pretty(value).expect("plain JSON");
        // What JSON leaves as it is can stand in strings only, where it may as well be written as a
        // number.
        let is_safe = |character: char| character == '\n' || !is_dangerous(character);
        if text.chars().all(is_safe) {
            return Self(text);
        }
        let mut safe = String::with_capacity(text.len());
        let mut units = [0; 2];
        for character in text.chars() {
            if is_safe(character) {
                safe.push(character);
            } else {
                safe.extend(
                    character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")),
                );
            }
        }
        Self(safe)
    }

    /// Help and usage errors, as clap has rendered them. What they quote of the command line must
    /// have been made harmless before; where it was not, colours are given up as well.
    pub(crate) fn of_clap(rendered: &clap::builder::StyledStr, colour: bool) -> Self {
        let plain = rendered.to_string();
        let harmless = Self::of_lines(plain.trim_end().lines());
        if colour && harmless.0 == plain.trim_end() {
            Self(rendered.ansi().to_string().trim_end().to_owned())
        } else {
            harmless
        }
    }

    /// The text, without a line feed at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The lines of such a message.
pub(crate) fn lines(message: &str, items: &[String]) -> Vec<String> {
    let list: String = items.iter().map(|item| format!("\n{item}")).collect();
    match message.strip_suffix(&list) {
        Some(head) => std::iter::once(head.to_owned()).chain(items.iter().cloned()).collect(),
        None => vec![message.to_owned()],
    }
}

/// A line with everything written out that a terminal, or a person who reads it there, could be
/// misled by.
pub fn printable(line: &str) -> String {
    if is_shown_as_it_is(line) {
        return line.to_owned();
    }
    line.chars()
        .flat_map(|character| {
            if is_dangerous(character) {
                character.escape_default().collect::<Vec<_>>()
            } else {
                vec![character]
            }
        })
        .collect()
}

/// Whether a text can be shown without anything written out.
pub fn is_shown_as_it_is(text: &str) -> bool {
    !text.chars().any(is_dangerous)
}

/// Control characters, separators of lines, and what changes the order in which characters are
/// shown or is not shown at all.
fn is_dangerous(character: char) -> bool {
    matches!(character,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
        || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_terminal_acts_on_is_written_out() {
        for (line, expected) in [
            ("plain, ünïcode 日本 👍", "plain, ünïcode 日本 👍"),
            ("a\nerror: b", "a\\nerror: b"),
            ("\x1b[2J\x1b]0;x\x07", "\\u{1b}[2J\\u{1b}]0;x\\u{7}"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("a\r\tb\u{7f}", "a\\r\\tb\\u{7f}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("\u{2028}\u{2066}x\u{2069}", "\\u{2028}\\u{2066}x\\u{2069}"),
            ("a\u{e0041}", "a\\u{e0041}"),
            ("p\u{200b}ip\u{feff}\u{2060}\u{ad}", "p\\u{200b}ip\\u{feff}\\u{2060}\\u{ad}"),
        ] {
            assert_eq!(printable(line), expected);
            assert_eq!(Text::of_lines([line, line]).as_str(), format!("{expected}\n{expected}"));
        }
    }

    #[test]
    fn a_document_stays_what_it_is_and_is_harmless() {
        let value = serde_json::json!({"a\u{202e}\x1b\u{7f}": ["\u{9b}1m", "\u{e0041}", "ü\n", 1]});
        let text = Text::of_json(&value);
        assert_eq!(serde_json::from_str::<Value>(text.as_str()).unwrap(), value);
        assert_eq!(
            text.as_str().lines().map(printable).collect::<Vec<_>>().join("\n"),
            text.as_str()
        );
    }
}
