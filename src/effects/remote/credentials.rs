//! Headers that let requests in: those given, and those of a credential helper as Bazel runs it.
//!
//! Effects layer. The helper is started with the argument `get`, reads `{"uri": …}` and writes `{"headers": {NAME: [VALUE…]},
//! "expires": TIME}`; the answer serves until then. Values are secrets: no message holds one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use camino::Utf8PathBuf;
use serde::Deserialize;

/// How long a helper may take, as Bazel's default.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer without a time of expiry serves this long, as in Bazel.
const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 60);
/// The most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 1 << 20;

/// Why there are no credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the credential helper `{helper}` {reason}")]
pub struct CredentialError {
    helper: Utf8PathBuf,
    reason: String,
}

/// Where a request's extra headers come from.
#[derive(Debug)]
pub(super) struct Credentials {
    uri: String,
    given: Vec<(String, String)>,
    helper: Option<Utf8PathBuf>,
    answer: Mutex<Option<HelperAnswer>>,
}

/// Until when an answer serves, and its headers.
type HelperAnswer = (SystemTime, Vec<(String, String)>);

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    expires: Option<String>,
}

impl Credentials {
    /// Headers for requests to `uri`.
    pub(super) fn new(uri: String, given: Vec<(String, String)>, helper: Option<Utf8PathBuf>) -> Self {
        Self { uri, given, helper, answer: Mutex::new(None) }
    }

    /// The headers for a request made now. Names are in lower case.
    ///
    /// # Errors
    /// The helper cannot be run, or does not answer as it should.
    pub(super) fn headers(&self) -> Result<Vec<(String, String)>, CredentialError> {
        let mut headers = self.given.clone();
        if let Some(helper) = &self.helper {
            let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            let now = SystemTime::now();
            if answer.as_ref().is_none_or(|(expires, _)| *expires <= now) {
                *answer = Some(ask(helper, &self.uri, now).map_err(|reason| CredentialError { helper: helper.clone(), reason })?);
            }
            headers.extend(answer.as_ref().expect("filled above").1.iter().cloned());
        }
        Ok(headers)
    }

    /// Drops the helper's answer: the server did not accept it. Says whether asking again makes sense.
    pub(super) fn forget(&self) -> bool {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}

fn ask(helper: &Utf8PathBuf, uri: &str, now: SystemTime) -> Result<HelperAnswer, String> {
    let mut command = Command::new(helper);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command).map_err(|error| format!("cannot be run: {error}"))?;
    let question = serde_json::json!({ "uri": uri }).to_string();
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input may have closed it.
        let _ = input.write_all(question.as_bytes());
    }
    let output = reader(child.stdout.take());
    let errors = reader(child.stderr.take());
    let status = wait(&mut child)?;
    let (output, errors) = (output.join().unwrap_or_default(), errors.join().unwrap_or_default());
    if !status.success() {
        let words: String = String::from_utf8_lossy(&errors).trim().chars().take(300).collect();
        return Err(format!("failed with {status}: {words}"));
    }
    // The parser's message could quote the answer, which holds secrets.
    let answer: Answer = serde_json::from_slice(&output).map_err(|_| "did not answer with the expected JSON".to_owned())?;
    let expires = match answer.expires {
        Some(text) => parse_time(&text).ok_or_else(|| format!("gave a time of expiry that is not written as RFC 3339 says: `{text}`"))?,
        None => now + DEFAULT_LIFE,
    };
    let headers =
        answer.headers.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name.to_ascii_lowercase(), value)));
    Ok((expires, headers.collect()))
}

/// Starts a program; one that is just being installed is given a moment.
fn spawn(command: &mut Command) -> std::io::Result<Child> {
    for _ in 0..20 {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
    command.spawn()
}

fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            let _ = stream.take(ANSWER_LIMIT).read_to_end(&mut bytes);
        }
        bytes
    })
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            result => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(match result {
                    Err(error) => format!("cannot be waited for: {error}"),
                    Ok(_) => format!("did not answer within {} s", PATIENCE.as_secs()),
                });
            }
        }
    }
}

/// Reads a date and time as RFC 3339 writes them; fractions of seconds are dropped.
fn parse_time(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let separators = text.get(4..5)? == "-" && text.get(7..8)? == "-" && matches!(text.get(10..11)?, "T" | "t" | " ");
    if !separators || text.get(13..14)? != ":" || text.get(16..17)? != ":" {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
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
    // Days since 1970 by the proleptic Gregorian calendar, with years that begin in March so that the leap day is the last.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
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
        Credentials::new("https://cache.example".to_owned(), vec![("x-given".to_owned(), "1".to_owned())], Some(path))
    }

    #[test]
    fn a_helper_is_asked_once_until_its_answer_expires() {
        let folder = tempfile::tempdir().unwrap();
        let script =
            r#"cat > "$0.question"; echo "$1" >> "$0.count"; echo '{"headers":{"X-Key":["a","b"]},"expires":"2999-01-01T00:00:00Z"}'"#;
        let credentials = helper(&folder, script);
        let expected = [("x-given", "1"), ("x-key", "a"), ("x-key", "b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
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
        let credentials = helper(&folder, r#"echo >> "$0.count"; echo '{"headers":{},"expires":"2001-01-01T00:00:00+01:00"}'"#);
        credentials.headers().unwrap();
        credentials.headers().unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("helper.count")).unwrap(), "\n\n");
    }

    #[test]
    fn a_helper_that_fails_is_named_and_its_secrets_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let error = helper(&folder, r#"echo '{"headers": "secret"'"#).headers().unwrap_err().to_string();
        assert!(error.contains("helper") && !error.contains("secret"), "{error}");
        let error = helper(&folder, "echo no luck >&2; exit 3").headers().unwrap_err().to_string();
        assert!(error.contains("no luck"), "{error}");
    }

    #[test]
    fn times_are_read() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse_time(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs()), expected, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some(0));
        check("2000-02-29T12:00:00.5Z", Some(951_825_600));
        check("2024-03-01T00:00:00+01:00", Some(1_709_247_600));
        check("2024-03-01t00:00:00-00:30", Some(1_709_253_000));
        for text in ["", "2024-03-01", "2024-13-01T00:00:00Z", "2024-03-01T00:00:00", "2024-03-01T00:00:00+1:00", "tomorrow"] {
            check(text, None);
        }
    }
}
