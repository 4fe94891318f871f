//! Headers that let requests in: those given, and those of a credential helper as Bazel runs it.
//!
//! Effects layer. The helper is started with the argument `get`, reads `{"uri": …}` and writes
//! `{"headers": {NAME: [VALUE…]}, "expires": TIME}`; the answer serves until then. Values are
//! secrets: no message holds one.

use std::collections::{BTreeMap, VecDeque};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::Utf8PathBuf;
use serde::Deserialize;

use crate::effects::host::child::{self, Bounds};
use crate::effects::net::headers::{HEADERS_LENGTH, Headers, MOST_HEADERS, are_few, is_sendable};

/// How long a helper may take, as Bazel's default, and the most bytes that it may write.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(10), output: 1 << 20 };
/// An answer without a time of expiry serves this long, as in Bazel.
const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 60);
/// The shortest part of a header's value that is a secret: less would hide words of messages.
const SECRET_LENGTH: usize = 6;
/// The most characters that a message repeats of what a helper or a server says.
const WORDS_LENGTH: usize = 300;
/// So many of a helper's answers are kept out of messages.
const ANSWERS_SEEN: usize = 16;

/// Why there are no credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the credential helper `{helper}` {reason}")]
pub struct CredentialError {
    helper: Utf8PathBuf,
    reason: String,
}

/// Where a request's extra headers come from.
#[derive(Debug)]
pub(in crate::effects) struct Credentials {
    uri: String,
    given: Headers,
    helper: Option<Utf8PathBuf>,
    /// What the helper said last. One that failed is not asked again: that cost its whole time for
    /// each of several requests.
    answer: Mutex<Option<Result<HelperAnswer, CredentialError>>>,
    /// The headers of the last answers: what is no longer sent is still a secret, and a server may
    /// repeat it.
    seen: Mutex<VecDeque<Headers>>,
    bounds: Bounds,
}

/// Until when an answer serves, and its headers.
type HelperAnswer = (SystemTime, Headers);

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    expires: Option<String>,
}

impl Credentials {
    /// Headers for requests to `uri`.
    pub(in crate::effects) fn new(
        uri: String,
        given: Headers,
        helper: Option<Utf8PathBuf>,
    ) -> Self {
        Self {
            uri,
            given,
            helper,
            answer: Mutex::new(None),
            seen: Mutex::default(),
            bounds: BOUNDS,
        }
    }

    /// The headers for a request made now. Names are in lower case.
    ///
    /// # Errors
    /// The helper cannot be run, or does not answer as it should.
    pub(in crate::effects) fn headers(&self) -> Result<Vec<(String, String)>, CredentialError> {
        let mut headers = self.given.0.clone();
        if let Some(helper) = &self.helper {
            let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            let now = SystemTime::now();
            let serves = match answer.as_ref() {
                Some(Ok((expires, _))) => *expires > now,
                Some(Err(_)) => true,
                None => false,
            };
            if !serves {
                let new = ask(helper, &self.uri, now, self.bounds)
                    .map_err(|reason| CredentialError { helper: helper.clone(), reason });
                if let Ok((_, headers)) = &new {
                    let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.truncate(ANSWERS_SEEN - 1);
                    seen.push_front(headers.clone());
                }
                *answer = Some(new);
            }
            match answer.as_ref().expect("filled above") {
                Ok((_, more)) => headers.extend(more.0.iter().cloned()),
                Err(error) => return Err(error.clone()),
            }
        }
        Ok(headers)
    }

    /// A text without the values of headers, whoever put them there.
    pub(in crate::effects) fn without_secrets(&self, mut text: String) -> String {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = seen.iter().flat_map(|headers| &headers.0);
        for (_, value) in self.given.0.iter().chain(asked) {
            // The value of a cookie is a secret by itself, too.
            let parts = value.split(|character: char| {
                character.is_whitespace() || matches!(character, ';' | ',' | '"')
            });
            let values =
                parts.clone().filter_map(|part| part.split_once('=').map(|(_, value)| value));
            for part in [value.as_str()]
                .into_iter()
                .chain(parts)
                .chain(values)
                .filter(|part| part.len() >= SECRET_LENGTH)
            {
                if text.contains(part) {
                    text = text.replace(part, "…");
                }
            }
        }
        text
    }

    /// Drops the helper's answer: the server did not accept it. Says whether asking again makes
    /// sense.
    pub(in crate::effects) fn forget(&self) -> bool {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let there = matches!(*answer, Some(Ok(_)));
        if there {
            *answer = None;
        }
        there
    }
}

fn ask(
    helper: &Utf8PathBuf,
    uri: &str,
    now: SystemTime,
    bounds: Bounds,
) -> Result<HelperAnswer, String> {
    let mut command = Command::new(helper);
    command.arg("get");
    let question = serde_json::json!({ "uri": uri }).to_string();
    let finished =
        child::run(&mut command, question.as_bytes(), bounds).map_err(|error| error.to_string())?;
    if !finished.status.success() {
        return Err(format!(
            "failed with {}: {}",
            finished.status,
            shortened(&String::from_utf8_lossy(&finished.errors))
        ));
    }
    // The parser's message could quote the answer, which holds secrets.
    let answer: Answer = serde_json::from_slice(&finished.output)
        .map_err(|_| "did not answer with the expected JSON".to_owned())?;
    let expires = match answer.expires {
        Some(text) => parse_time(&text).ok_or_else(|| {
            "gave a time of expiry that is not written as RFC 3339 says".to_owned()
        })?,
        None => now + DEFAULT_LIFE,
    };
    let headers: Vec<(String, String)> = answer
        .headers
        .into_iter()
        .flat_map(|(name, values)| {
            values.into_iter().map(move |value| (name.to_ascii_lowercase(), value))
        })
        .collect();
    if let Some((name, _)) = headers.iter().find(|(name, value)| !is_sendable(name, value)) {
        let name: String =
            name.chars().filter(|character| !character.is_control()).take(60).collect();
        return Err(format!("gave a header `{name}` that cannot be sent"));
    }
    if !are_few(&headers) {
        return Err(format!(
            "gave more than {MOST_HEADERS} headers, or more than {HEADERS_LENGTH} bytes of them"
        ));
    }
    Ok((expires, Headers(headers)))
}

/// The beginning of what somebody else says, for a message. It ends with a whole word: part of a
/// secret would not be known as one.
pub(in crate::effects) fn shortened(text: &str) -> String {
    let mut words: String = text
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(WORDS_LENGTH + 1)
        .collect();
    if words.chars().count() > WORDS_LENGTH {
        words.truncate(words.rfind(char::is_whitespace).unwrap_or(0));
        words.push('…');
    }
    words
}

/// Reads a date and time as RFC 3339 writes them; fractions of seconds are dropped.
fn parse_time(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let separators = text.get(4..5)? == "-"
        && text.get(7..8)? == "-"
        && matches!(text.get(10..11)?, "T" | "t" | " ");
    if !separators || text.get(13..14)? != ":" || text.get(16..17)? != ":" {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let rest = text.get(19..)?;
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|character: char| character.is_ascii_digit()),
        None => rest,
    };
    let offset = match rest {
        "Z" | "z" => 0,
        _ if rest.len() == 6 && rest.get(3..4) == Some(":") => {
            let start = text.len() - 6;
            let minutes = number(start + 1..start + 3)? * 60 + number(start + 4..start + 6)?;
            match rest.as_bytes()[0] {
                b'+' => minutes * 60,
                b'-' => -minutes * 60,
                _ => return None,
            }
        }
        _ => return None,
    };
    // Days since 1970 by the proleptic Gregorian calendar, with years that begin in March so that
    // the leap day is the last.
    let (shifted_year, shifted_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * shifted_year + shifted_year.div_euclid(4) - shifted_year.div_euclid(100)
        + shifted_year.div_euclid(400)
        + (153 * shifted_month + 2) / 5
        + day
        - 1
        - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn helper(folder: &tempfile::TempDir, script: &str) -> Credentials {
        let path = Utf8PathBuf::from_path_buf(folder.path().join("helper")).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Credentials::new(
            "https://cache.example".to_owned(),
            Headers(vec![("x-given".to_owned(), "1".to_owned())]),
            Some(path),
        )
    }

    #[test]
    fn a_helper_is_asked_once_until_its_answer_expires() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"cat > "$0.question"; echo "$1" >> "$0.count"; echo '{"headers":{"X-Key":["a","b"]},"expires":"2999-01-01T00:00:00Z"}'"#;
        let credentials = helper(&folder, script);
        let expected = [("x-given", "1"), ("x-key", "a"), ("x-key", "b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(credentials.headers().unwrap(), expected);
        assert_eq!(credentials.headers().unwrap(), expected);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("helper.question"), r#"{"uri":"https://cache.example"}"#);
        assert_eq!(read("helper.count"), "get\n");
        assert!(credentials.forget() && !credentials.forget());
        credentials.headers().unwrap();
        assert_eq!(read("helper.count"), "get\nget\n");
    }

    #[test]
    fn an_expired_answer_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = helper(
            &folder,
            r#"echo >> "$0.count"; echo '{"headers":{},"expires":"2001-01-01T00:00:00+01:00"}'"#,
        );
        credentials.headers().unwrap();
        credentials.headers().unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("helper.count")).unwrap(), "\n\n");
    }

    #[test]
    fn a_helper_that_fails_is_named_and_its_secrets_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            helper(&folder, r#"echo '{"headers": "secret"'"#).headers().unwrap_err().to_string();
        assert!(error.contains("helper") && !error.contains("secret"), "{error}");
        let error = helper(&folder, "echo no luck >&2; exit 3").headers().unwrap_err().to_string();
        assert!(error.contains("no luck"), "{error}");
    }

    #[test]
    fn no_header_that_would_change_the_request_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for headers in [
            r#"{"x":["a\nb: c"]}"#,
            r#"{"x:y":["a"]}"#,
            r#"{"Content-Length":["5"]}"#,
            r#"{"":["5"]}"#,
            r#"{"x":["ü"]}"#,
        ] {
            let error = helper(&folder, &format!("printf '%s' '{{\"headers\":{headers}}}'"))
                .headers()
                .unwrap_err()
                .to_string();
            assert!(error.contains("that cannot be sent"), "{headers}: {error}");
        }
    }

    #[test]
    fn a_helper_that_leaves_an_agent_behind_has_answered() {
        let folder = tempfile::tempdir().unwrap();
        let begun = std::time::Instant::now();
        helper(&folder, r#"sleep 100 & echo '{"headers":{}}'; echo $! > "$0.agent""#)
            .headers()
            .unwrap();
        assert!(begun.elapsed() < BOUNDS.time);
        let agent: i32 = std::fs::read_to_string(folder.path().join("helper.agent"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        // It is the helper's to keep: a later answer may need it.
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(agent).unwrap(),
            rustix::process::Signal::TERM,
        )
        .unwrap();
    }

    #[test]
    fn a_helper_that_does_not_end_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds { time: Duration::from_millis(300), output: 1 << 20 };
        let error = |script: &str| {
            Credentials { bounds, ..helper(&folder, script) }.headers().unwrap_err().to_string()
        };
        for script in ["sleep 100; true", "exec sleep 100"] {
            assert!(error(script).contains("did not end within 0.3 s"), "{script}");
        }
        let bounds = Bounds { time: Duration::from_secs(20), ..bounds };
        let error = |script: &str| {
            Credentials { bounds, ..helper(&folder, script) }.headers().unwrap_err().to_string()
        };
        for script in ["yes", "yes >&2"] {
            assert!(error(script).contains("wrote more than 1048576 bytes"), "{script}");
        }
    }

    #[test]
    fn secrets_are_taken_out_of_messages() {
        let headers = [("authorization", "Bearer s3cr3t-token"), ("x-short", "no")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let credentials = Credentials::new(String::new(), Headers(headers.to_vec()), None);
        let text = "the server says: `s3cr3t-token` is no good".to_owned();
        assert_eq!(credentials.without_secrets(text), "the server says: `…` is no good");
        assert!(!format!("{credentials:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_helper_that_fails_is_asked_once() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = helper(&folder, r#"echo >> "$0.count"; exit 3"#);
        let errors: Vec<String> =
            (0..3).map(|_| credentials.headers().unwrap_err().to_string()).collect();
        assert!(
            errors.iter().all(|error| error == &errors[0]) && !credentials.forget(),
            "{errors:?}"
        );
        assert_eq!(std::fs::read_to_string(folder.path().join("helper.count")).unwrap(), "\n");
    }

    #[test]
    fn more_headers_than_a_request_holds_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let many = r#"printf '{"headers":{"a":["b"'; i=0; while [ $i -lt 300 ]; do printf ',"b"'; i=$((i+1)); done; echo ']}}'"#;
        let long =
            r#"printf '{"headers":{"a":["'; head -c 70000 /dev/zero | tr '\0' x; echo '"]}}'"#;
        for script in [many, long] {
            let error = helper(&folder, script).headers().unwrap_err().to_string();
            assert!(
                error.contains("gave more than 256 headers, or more than 65536 bytes of them"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_was_a_secret_is_one_for_good_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"echo >> "$0.count"; echo "{\"headers\":{\"cookie\":[\"session=t0ken-$(wc -l < "$0.count" | tr -d ' '); a=b\"]}}""#;
        let credentials = helper(&folder, script);
        credentials.headers().unwrap();
        assert!(credentials.forget());
        credentials.headers().unwrap();
        assert_eq!(
            credentials.without_secrets("neither t0ken-1 nor session=t0ken-2; a=b".to_owned()),
            "neither … nor …"
        );
        let long = format!("{} s3cr3t-token", "x".repeat(WORDS_LENGTH - 5));
        assert_eq!(shortened(&long), format!("{}…", "x".repeat(WORDS_LENGTH - 5)));
        assert_eq!(shortened(&"s".repeat(WORDS_LENGTH + 1)), "…");
        assert_eq!(shortened(" no\u{1b}[31m luck\n"), "no[31m luck");
    }

    #[test]
    fn times_are_read() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                parse_time(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs()),
                expected,
                "{text}"
            );
        };
        check("1970-01-01T00:00:00Z", Some(0));
        check("2000-02-29T12:00:00.5Z", Some(951_825_600));
        check("2024-03-01T00:00:00+01:00", Some(1_709_247_600));
        check("2024-03-01t00:00:00-00:30", Some(1_709_253_000));
        for text in [
            "",
            "2024-03-01",
            "2024-13-01T00:00:00Z",
            "2024-03-01T00:00:00",
            "2024-03-01T00:00:00+1:00",
            "tomorrow",
        ] {
            check(text, None);
        }
    }
}
