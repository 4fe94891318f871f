//! Scripts of wheels that begin with `#!python`: made to run with the environment's interpreter
//! (PEP 427).
//!
//! Model layer. The first line becomes `#!/bin/sh` and the search for the environment goes in front
//! of the first statement, as the first part of the module's docstring. What the script could
//! observe of that is kept: an encoding cookie stays on line 1 or 2, `from __future__` stays first,
//! the docstring stays the script's own.

use super::{FIND_ENVIRONMENT, RUN_SCRIPT};
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// Why a script cannot be rewritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// An encoding in which the inserted lines would mean something else.
    #[error(
        "the script is written in the encoding `{encoding}`, expected one in which ASCII bytes are the ASCII characters"
    )]
    Encoding {
        /// The encoding, as the script names it.
        encoding: String,
    },
    /// The script's first statement is a string that has no end.
    #[error(
        "the string that begins on line {line} of the script does not end, expected a Python program"
    )]
    UnterminatedString {
        /// The line of the string's beginning, from 1.
        line: usize,
    },
}

impl Explain for ScriptError {
    fn explain(&self) -> Explanation {
        ErrorKind::Wheel.hint(match self {
            Self::Encoding { .. } => "save the script as UTF-8",
            Self::UnterminatedString { .. } => {
                "a script that is no Python program must not begin with `#!python`"
            }
        })
    }
}

/// Rewrites a file of `.data/scripts` so that it runs with the environment's interpreter, wherever
/// that lies.
///
/// `None` means that the file stays as it is: only a first line that starts with exactly `#!python`
/// (so `#!pythonw` and `#!python3` too) asks for it. What follows on that line is dropped, as pip
/// and uv do, except for an encoding cookie. Lines end as Python sees it: LF, CR LF or CR.
///
/// # Errors
/// The script declares an encoding that does not extend ASCII, or begins with a string that has no
/// end.
pub fn rewrite_script(script: &[u8]) -> Result<Option<Vec<u8>>, ScriptError> {
    if !script.starts_with(b"#!python") {
        return Ok(None);
    }
    let (first, mut body) = split_line(script);
    let mut rewritten = b"#!/bin/sh\n".to_vec();
    let mut cookie = cookie(first);
    if let Some(encoding) = cookie {
        rewritten.extend_from_slice(b"# -*- coding: ");
        rewritten.extend_from_slice(encoding);
        rewritten.extend_from_slice(b" -*-\n");
    }
    // Comments and blank lines mean nothing to `sh` either, so they can stay in front: line 2 stays
    // line 2.
    let mut line = 2;
    while !body.is_empty() {
        let (text, mut rest) = split_line(body);
        let text = trim_start(text);
        match text.first() {
            None => {}
            Some(b'#') => {
                if line == 2 {
                    cookie = cookie.or_else(|| self::cookie(text));
                }
                rewritten.extend_from_slice(text);
            }
            // Joined to the next line, whose indentation then means nothing.
            Some(b'\\') if text.len() == 1 => rest = trim_start(rest),
            Some(_) => break,
        }
        rewritten.push(b'\n');
        body = rest;
        line += 1;
    }
    let characters = Characters::of(cookie)?;
    let (header, _) = header();
    rewritten.extend_from_slice(header.as_bytes());
    match docstring(body, characters)
        .map_err(|UnterminatedString| ScriptError::UnterminatedString { line })?
    {
        Some(Docstring { strings, rest }) => {
            for string in strings {
                rewritten.push(b' ');
                rewritten.extend_from_slice(string);
            }
            if !future_import_follows(rest) {
                rewritten.extend_from_slice(reset().as_bytes());
            }
            rewritten.extend_from_slice(rest);
        }
        None => {
            if !future_import_follows(body) {
                rewritten.extend_from_slice(b"; __doc__ = None");
            }
            rewritten.push(b'\n');
            rewritten.extend_from_slice(body);
        }
    }
    Ok(Some(rewritten))
}

/// The inserted lines, a string of Python, and the number of its characters.
///
/// For `sh` each line ends in a comment; for Python that comment is a backslash which joins it to
/// the next. So it is one line of the docstring, and CPython 3.13, which removes the common
/// indentation from every line but the first, treats the script's own lines as if the header were
/// not there. It also expands tabs, hence the width: a tab on the docstring's own first line must
/// not see that it is no longer at its old column.
fn header() -> (String, usize) {
    let mut text = String::from("''':' #\\\n");
    let mut length = ":' #".len();
    for line in FIND_ENVIRONMENT.lines().chain(RUN_SCRIPT.lines()) {
        text.push_str(line);
        text.push_str(" #\\\n");
        length += line.len() + " #".len();
    }
    let padding = 8 - (length + 1) % 8;
    text.push('\'');
    text.push_str(&" ".repeat(padding));
    text.push_str("'''");
    (text, length + 1 + padding)
}

/// What takes the header out of the docstring again. Under `-OO` there is none.
fn reset() -> String {
    let (_, length) = header();
    format!("; __doc__ = __doc__ and __doc__[{length}:]")
}

/// How bytes group to characters, as far as quotes and backslashes are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Characters {
    /// Every byte below 128 is an ASCII character, wherever it stands.
    Ascii,
    /// A byte of this range and the one after it, which may look like ASCII, are one character.
    Pairs {
        /// Whether 0xA0 to 0xDF stand alone, as in Shift JIS.
        single_kana: bool,
    },
}

impl Characters {
    fn of(cookie: Option<&[u8]>) -> Result<Self, ScriptError> {
        let Some(encoding) = cookie.map(|name| String::from_utf8_lossy(name).into_owned()) else {
            return Ok(Self::Ascii);
        };
        // Python's codec registry ignores case and punctuation.
        let mut name: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
        name.make_ascii_lowercase();
        let name = name.strip_prefix("cs").unwrap_or(&name);
        match name {
            "shiftjis" | "sjis" | "sjis0208" | "cp932" | "932" | "ms932" | "mskanji"
            | "windows31j" => Ok(Self::Pairs { single_kana: true }),
            "big5" | "big5tw" | "big5hkscs" | "hkscs" | "cp950" | "950" | "ms950" | "gbk"
            | "cp936" | "936" | "ms936" | "gb18030" | "gb180302000" | "cp949" | "949" | "ms949"
            | "uhc" => Ok(Self::Pairs { single_kana: false }),
            // Bytes below 128 mean something else: escapes, a yen sign for the backslash, EBCDIC.
            _ if [
                "utf7",
                "u7",
                "unicode11utf7",
                "utf16",
                "u16",
                "utf32",
                "u32",
                "hz",
                "iso2022",
                "unicodeescape",
                "rawunicodeescape",
            ]
            .iter()
            .chain(&[
                "shiftjisx0213",
                "shiftjis2004",
                "sjisx0213",
                "sjis2004",
                "sjisx",
                "johab",
                "cp1361",
                "ms1361",
            ])
            .chain(&[
                "cp037", "037", "ebcdic", "ibm037", "ibm039", "cp273", "273", "ibm273", "cp424",
                "424", "ibm424", "cp500", "500",
            ])
            .chain(&[
                "ibm500", "cp875", "cp1026", "1026", "ibm1026", "cp1140", "1140", "ibm1140",
                "punycode", "idna",
            ])
            .any(|other| name.starts_with(other)) =>
            {
                Err(ScriptError::Encoding { encoding })
            }
            _ => Ok(Self::Ascii),
        }
    }

    /// The length of the character at the beginning of `text`: 1 or 2 bytes.
    fn width(self, text: &[u8]) -> usize {
        match (self, text) {
            (Self::Pairs { single_kana: true }, [0xA0..=0xDF, ..]) => 1,
            (Self::Pairs { .. }, [0x81..=0xFE, _, ..]) => 2,
            _ => 1,
        }
    }
}

/// The first line without its end, and the rest.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        None => (text, &[]),
        Some(end) => (&text[..end], &text[end + newline(&text[end..])..]),
    }
}

/// The length of the line end at the beginning of `text`, or 0.
fn newline(text: &[u8]) -> usize {
    match text {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

/// Without leading white space, as Python's tokenizer knows it. A form feed is no white space to
/// `sh`.
fn trim_start(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | 0x0C)).count();
    &text[blank..]
}

/// The encoding that a comment declares (PEP 263).
fn cookie(comment: &[u8]) -> Option<&[u8]> {
    let mut rest = comment;
    while let Some(found) = rest
        .windows(7)
        .position(|window| window.starts_with(b"coding") && matches!(window[6], b':' | b'='))
    {
        rest = &rest[found + 7..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let name = &rest[blank..];
        let length = name
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            .count();
        if length > 0 {
            return Some(&name[..length]);
        }
    }
    None
}

/// A string that has no end.
#[derive(Debug)]
struct UnterminatedString;

/// A docstring.
struct Docstring<'a> {
    /// The string literals that it consists of.
    strings: Vec<&'a [u8]>,
    /// What follows it.
    rest: &'a [u8],
}

/// The docstring at the beginning of `text`, or `None` where the first statement is another one.
///
/// A docstring is a statement that consists of string literals only, in parentheses or not; bytes
/// and formatted strings are none. Parentheses, comments and line ends between the parts are left
/// out.
fn docstring(
    text: &[u8],
    characters: Characters,
) -> Result<Option<Docstring<'_>>, UnterminatedString> {
    let mut strings = Vec::new();
    let (mut rest, mut end) = (text, text);
    let (mut depth, mut closed) = (0, false);
    loop {
        rest = trim_start(rest);
        match rest {
            [b'\\', after @ ..] if newline(after) > 0 => rest = &after[newline(after)..],
            [b'\n' | b'\r', ..] if depth > 0 => rest = &rest[newline(rest)..],
            [b'#', ..] if depth > 0 => {
                rest =
                    &rest[rest.iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).count()..]
            }
            [] | [b'\n' | b'\r' | b'#' | b';', ..] => {
                return Ok(
                    (depth == 0 && !strings.is_empty()).then_some(Docstring { strings, rest: end })
                );
            }
            [b'(', after @ ..] if strings.is_empty() => {
                depth += 1;
                rest = after;
            }
            [b')', after @ ..] if depth > 0 && !strings.is_empty() => {
                depth -= 1;
                closed = true;
                (rest, end) = (after, after);
            }
            _ if closed => return Ok(None),
            _ => match string(rest, characters)? {
                None => return Ok(None),
                Some(length) => {
                    strings.push(&rest[..length]);
                    rest = &rest[length..];
                    end = rest;
                }
            },
        }
    }
}

/// The length of the string literal at the beginning of `text`, or `None` where there is none or
/// one that cannot be a docstring.
fn string(text: &[u8], characters: Characters) -> Result<Option<usize>, UnterminatedString> {
    let prefix = usize::from(matches!(text.first(), Some(b'r' | b'R' | b'u' | b'U')));
    let Some(quote @ (b'"' | b'\'')) = text.get(prefix) else {
        return Ok(None);
    };
    let triple = [*quote; 3];
    let triple = text[prefix..].starts_with(&triple).then_some(triple);
    let delimiter = triple.as_ref().map_or(std::slice::from_ref(quote), |triple| &triple[..]);
    let mut at = prefix + delimiter.len();
    loop {
        let rest = &text[at..];
        match rest {
            [] => return Err(UnterminatedString),
            _ if rest.starts_with(delimiter) => return Ok(Some(at + delimiter.len())),
            [b'\n' | b'\r', ..] if triple.is_none() => return Err(UnterminatedString),
            // In a raw string, too, a backslash keeps a quote from ending it.
            [b'\\', after @ ..] => {
                at +=
                    1 + newline(after).max(usize::from(!after.is_empty()) * characters.width(after))
            }
            _ => at += characters.width(rest),
        }
    }
}

/// Whether the next statement imports from `__future__`: nothing but a docstring may stand before
/// that.
fn future_import_follows(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        rest = trim_start(rest);
        rest = match rest {
            [b'#', ..] => split_line(rest).1,
            [b'\n' | b'\r' | b';', after @ ..] => after,
            [b'\\', after @ ..] if newline(after) > 0 => &after[newline(after)..],
            _ => break,
        };
    }
    let Some(mut rest) = rest.strip_prefix(b"from") else {
        return false;
    };
    while let [b' ' | b'\t' | 0x0C | b'\\' | b'\n' | b'\r', after @ ..] = rest {
        rest = after;
    }
    rest.starts_with(b"__future__")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(script: &[u8]) -> String {
        String::from_utf8(rewrite_script(script).unwrap().expect("begins with #!python")).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn nothing_of_a_script_is_lost(body in "['\"\\\\()rubf; \\t\\n\\r\\x0cx%.=_]{0,40}") {
            let script = format!("#!python\n{body}");
            if let Ok(Some(found)) = rewrite_script(script.as_bytes()) {
                // White space, parentheses and continuations may go; the rest stays, in order.
                let kept = |text: &str| text.chars().filter(|character| !" \t\n\r\x0c()\\".contains(*character)).collect::<String>();
                let found = String::from_utf8(found).unwrap();
                let (_, after) = found.split_once(&header().0).unwrap();
                let after = after.strip_prefix("; __doc__ = None\n").unwrap_or(after);
                proptest::prop_assert_eq!(kept(after).replacen(&kept(&reset()), "", 1), kept(&body));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for first in ["#!python\n", "#!python # coding: big5\n", "#!python\n# coding: cp932\n'"] {
                let _ = rewrite_script(&[first.as_bytes(), &body].concat());
            }
        }
    }

    #[test]
    fn only_scripts_that_ask_for_it_are_rewritten() {
        for script in [
            "",
            "#!",
            "#! python\n",
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/python\n",
            "\u{feff}#!python\n",
            " #!python\n",
            "#!Python\n",
        ] {
            assert_eq!(rewrite_script(script.as_bytes()), Ok(None), "{script:?}");
        }
        for first in ["#!python", "#!pythonw", "#!python3", "#!python -u", "#!python2.7 -E"] {
            assert_eq!(
                rewritten(format!("{first}\npass\n").as_bytes()),
                rewritten(b"#!python\npass\n"),
                "{first}"
            );
        }
    }

    #[test]
    fn the_header_stands_before_the_first_statement() {
        let (header, length) = header();
        assert_eq!(length % 8, 0);
        let reset = format!("; __doc__ = __doc__ and __doc__[{length}:]");
        let check = |script: &str, expected: &str| {
            let expected = expected.replace("HEADER", &header).replace("RESET", &reset);
            let found = rewritten(format!("#!python{script}").as_bytes());
            assert_eq!(found, format!("#!/bin/sh\n{expected}"), "{script:?}");
        };
        check("", "HEADER; __doc__ = None\n");
        check("\n", "HEADER; __doc__ = None\n");
        check("\nimport os\n", "HEADER; __doc__ = None\nimport os\n");
        check(
            "\r\n\r\n\x0C# a\r\n\t# b\rimport os\r\n",
            "\n# a\n# b\nHEADER; __doc__ = None\nimport os\r\n",
        );
        check(
            "\nfrom __future__ import annotations\n",
            "HEADER\nfrom __future__ import annotations\n",
        );
        check(
            "\nfrom \\\n  __future__ import annotations",
            "HEADER\nfrom \\\n  __future__ import annotations",
        );
        check(
            "\n\"\"\"Doc\n'\\\"\"\" more\"\"\"\nx\n",
            "HEADER \"\"\"Doc\n'\\\"\"\" more\"\"\"RESET\nx\n",
        );
        check("\n'a' R\"\\\"b\" # c\n", "HEADER 'a' R\"\\\"b\"RESET # c\n");
        check("\n'a'; x", "HEADER 'a'RESET; x");
        check("\n \\\n\t# a\n\\\r\n 'a'\n", "\n# a\n\nHEADER 'a'RESET\n");
        check("\n\\\n x\n", "\nHEADER; __doc__ = None\nx\n");
        check("\n'a' \\\r\n 'b'\r\n", "HEADER 'a' 'b'RESET\r\n");
        check("\n((u'a' # c\n\n'b'\n)) # d", "HEADER u'a' 'b'RESET # d");
        check(
            "\n'a'\n# c\n\n; from __future__ import x",
            "HEADER 'a'\n# c\n\n; from __future__ import x",
        );
        for other in [
            "b'a'",
            "f'a'",
            "'a' f'b'",
            "'a'.b",
            "'a' % x",
            "('a',)",
            "('a')()",
            "('a') 'b'",
            "()",
            "(",
            "('a'",
            "PK\u{3}\u{4}\0",
            "rb'a'",
            "x",
        ] {
            check(&format!("\n{other}"), &format!("HEADER; __doc__ = None\n{other}"));
        }
    }

    #[test]
    fn an_encoding_cookie_stays_on_the_second_line() {
        let second = |script: &str| rewritten(script.as_bytes()).lines().nth(1).unwrap().to_owned();
        assert_eq!(second("#!python\n# -*- coding: latin-1 -*-\nx"), "# -*- coding: latin-1 -*-");
        assert_eq!(
            second("#!python\n  # vim: set fileencoding=latin-1 :\nx"),
            "# vim: set fileencoding=latin-1 :"
        );
        assert_eq!(
            second("#!python # coding:\tlatin-1 \n# coding: ascii\nx"),
            "# -*- coding: latin-1 -*-"
        );
        assert_eq!(second("#!python\n\n# coding: latin-1\nx"), "");
        assert_eq!(second("#!python\nx # coding: utf-7"), "''':' #\\");
        assert_eq!(cookie(b"# coding: , coding = x, coding=y"), Some(&b"y"[..]));
    }

    #[test]
    fn characters_of_two_bytes_may_look_like_a_backslash() {
        let check = |encoding: &str, character: [u8; 2], kept: bool| {
            let script =
                [b"#!python\n# coding: ", encoding.as_bytes(), b"\n'", &character, b"'\nx\n"]
                    .concat();
            let found = rewrite_script(&script);
            if kept {
                let expected = [b"' '", &character[..], b"'; __doc__"].concat();
                let found = found.unwrap().unwrap();
                assert!(
                    found.windows(expected.len()).any(|window| window.ends_with(&expected[3..])),
                    "{encoding}"
                );
            } else {
                assert_eq!(found, Err(ScriptError::UnterminatedString { line: 3 }), "{encoding}");
            }
        };
        check("cp932", *b"\x95\x5C", true);
        check("Shift-JIS", *b"\x95\x5C", true);
        check("shift_jis", *b"\xB5\x5C", false);
        check("big5", *b"\xA5\x5C", true);
        check("gbk", *b"\x81\x5C", true);
        check("latin-1", *b"\x95\x5C", false);
    }

    #[test]
    fn what_cannot_be_kept_is_an_error() {
        for encoding in [
            "utf-7",
            "UTF_16",
            "hz",
            "iso2022_jp",
            "iso-2022-jp-2",
            "cp037",
            "shift_jis_2004",
            "johab",
            "unicode-escape",
            "utf-32-le",
        ] {
            let script = format!("#!python\n# coding: {encoding}\n");
            assert_eq!(
                rewrite_script(script.as_bytes()),
                Err(ScriptError::Encoding { encoding: encoding.to_owned() })
            );
        }
        for encoding in [
            "utf-8",
            "latin-1",
            "iso-8859-15",
            "cp1252",
            "koi8-r",
            "euc-jp",
            "mac-roman",
            "gb2312",
            "future_fstrings",
        ] {
            assert!(
                rewrite_script(format!("#!python\n# coding: {encoding}\n").as_bytes()).is_ok(),
                "{encoding}"
            );
        }
        for unterminated in ["'a\n'", "\"\"\"a", "'a\\", "r'\\'", "'", "('a' 'b"] {
            let script = format!("#!python\n\n{unterminated}");
            assert_eq!(
                rewrite_script(script.as_bytes()),
                Err(ScriptError::UnterminatedString { line: 3 }),
                "{unterminated}"
            );
        }
    }
}
