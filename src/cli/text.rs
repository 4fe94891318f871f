//! What is printed, made harmless: whatever the program did not write itself can neither move the
//! cursor nor look like another line.
//!
//! A message is one line. What is quoted in it (names, paths, messages of other programs) may hold
//! anything, so the whole line passes [`printable`]: there, a line feed can only be somebody
//! else's. What has several lines is a [`Text`], which is made of lines, or of a JSON document.

use std::io::{self, Write as _};

use serde::Serialize;
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
        Self::of_json_text(serde_json::to_string_pretty(value).expect("plain JSON"))
    }

    /// The same of its text, or a part of it.
    fn of_json_text(text: String) -> Self {
        // What JSON leaves as it is can stand in strings only, where it may as well be written as a
        // number.
        let is_safe = |character: char| character == '\n' || !is_dangerous(character);
        // Nearly all of it is, and bytes are looked at more quickly than characters.
        let is_plain = |byte: u8| byte == b'\n' || (b' '..0x7f).contains(&byte);
        if text.bytes().all(is_plain) || text.chars().all(is_safe) {
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

/// So many bytes of a long document are written at a time.
const PART: usize = 64 << 10;

/// Writes a JSON document, indented, part after part, with a line feed at its end.
///
/// # Errors
/// Those of `write`.
pub(crate) fn write_json(
    document: &impl Serialize,
    write: impl FnMut(&Text) -> io::Result<()>,
) -> io::Result<()> {
    let mut parts = Parts { bytes: Vec::new(), write };
    serde_json::to_writer_pretty(&mut parts, document)?;
    parts.bytes.push(b'\n');
    parts.flush()
}

/// Collects the bytes of a document until they are worth writing.
struct Parts<W> {
    bytes: Vec<u8>,
    write: W,
}

impl<W: FnMut(&Text) -> io::Result<()>> io::Write for Parts<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A character may have come in part only.
        let whole = match std::str::from_utf8(&self.bytes) {
            Ok(_) => self.bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = self.bytes.split_off(whole);
        let text = String::from_utf8(std::mem::replace(&mut self.bytes, rest));
        (self.write)(&Text::of_json_text(text.expect("it was looked at")))
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
    fn a_long_document_is_the_same_in_parts() {
        for length in [0, 10, PART / 2, PART, 3 * PART] {
            let list: Vec<String> =
                (0..length / 9).map(|index| format!("{index} ü\u{202e}\x1b👍")).collect();
            let value = serde_json::json!({"list": list});
            let mut text = String::new();
            write_json(&value, |part| {
                text.push_str(part.as_str());
                Ok(())
            })
            .unwrap();
            assert_eq!(text, format!("{}\n", Text::of_json(&value).as_str()), "{length}");
        }
        let failed =
            write_json(&vec![1; PART], |_| Err(io::Error::from(io::ErrorKind::StorageFull)));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
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
