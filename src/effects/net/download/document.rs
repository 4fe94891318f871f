//! Documents that are not known by a digest: what an index says.

use std::time::Instant;

use ureq::http;

use super::{CHUNK, LONGEST_PAUSE, Network, broken, header, next_part, retry_after};
use crate::effects::host::random;
use crate::effects::net::client;
use crate::effects::net::pace::{Pace, allowance};
use crate::effects::net::redirect;
use crate::effects::net::retry::{Attempts, Verdict, judge_http};
use crate::model::address::Address;

/// What a server answered.
#[derive(Debug)]
pub struct Document {
    /// Where it came from in the end, without names and passwords.
    pub url: String,
    /// What it says it is.
    pub content_type: String,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// What one request led to.
enum Step {
    Answer(Option<Document>),
    Follow(String, bool),
    Again,
    Later(String, Option<std::time::Duration>),
}

impl Network {
    /// Asks for a document of at most `limit` bytes; nothing where there is none. Credentials go to
    /// the address's own origin, and nowhere else.
    ///
    /// # Errors
    /// In words, without what may be a secret.
    pub fn read(
        &self,
        address: &Address,
        accept: &str,
        limit: u64,
    ) -> Result<Option<Document>, String> {
        if address.file().is_some() {
            return Err("is a file, expected an address of HTTP".to_owned());
        }
        let (mut url, mut is_trusted, mut redirects) = (address.public(), true, 0);
        let mut asked_again = false;
        let mut attempts = Attempts::new();
        loop {
            let access = is_trusted.then_some(address);
            match self.step(&url, access, accept, limit)? {
                Step::Answer(document) => return Ok(document),
                Step::Follow(..) if redirects == redirect::LIMIT => {
                    return Err(format!("redirects more than {redirects} times"));
                }
                Step::Follow(next, same) => {
                    redirects += 1;
                    is_trusted &= same;
                    url = next;
                }
                Step::Again if !asked_again && self.access.forget(address) => asked_again = true,
                Step::Again => return Err(self.not_let_in(address)),
                Step::Later(reason, asked) => {
                    let pause = self.config.schedule.pause(attempts.retries, random::fraction());
                    let asked = asked.unwrap_or_default();
                    let Some(pause) = pause.filter(|_| asked <= LONGEST_PAUSE) else {
                        return Err(format!("{reason}, {} times", attempts.retries + 1));
                    };
                    if !attempts.have_time(self.config.timeout) {
                        return Err(reason);
                    }
                    attempts.retries += 1;
                    std::thread::sleep(pause.max(asked));
                }
            }
        }
    }

    fn not_let_in(&self, address: &Address) -> String {
        let host = address.host();
        if self.access.has(address) {
            format!("401; the credentials for {host} are not accepted")
        } else {
            format!("401; there are no credentials for {host} (netrc, --credential-helper)")
        }
    }

    /// One request; with credentials where `access` says for whom.
    fn step(
        &self,
        url: &str,
        access: Option<&Address>,
        accept: &str,
        limit: u64,
    ) -> Result<Step, String> {
        let request = http::Request::builder().uri(url).header("accept", accept);
        let mut request = request.header("accept-encoding", "identity");
        if let Some(address) = access {
            for (name, value) in self.access.headers(address).map_err(|error| error.to_string())? {
                request = request.header(name, value);
            }
        }
        let request = request.body(()).map_err(|_| "the address cannot be used".to_owned())?;
        let request = self.agent.configure_request(request);
        let whole = allowance(self.config.timeout, limit);
        let response = match self.agent.run(request.timeout_recv_body(Some(whole)).build()) {
            Ok(response) => response,
            Err(error) => {
                let reason = client::in_words_of(&error, &self.agent, url);
                return match client::judge(&error) {
                    Verdict::Retry => Ok(Step::Later(reason, None)),
                    Verdict::Fail | Verdict::Absent => Err(reason),
                };
            }
        };
        let status = response.status();
        match status.as_u16() {
            200 => self.receive_document(response, url, limit),
            401 if access.is_some() => Ok(Step::Again),
            300..=303 | 307 | 308 => {
                let location = response.headers().get("location");
                let location = location.map(http::HeaderValue::as_bytes);
                match redirect::of_download(url, location) {
                    Ok((url, same)) => Ok(Step::Follow(url, same)),
                    Err(refusal) => Err(format!("answered {status}, a redirect {refusal}")),
                }
            }
            code => match judge_http(code) {
                Verdict::Absent => Ok(Step::Answer(None)),
                Verdict::Retry => {
                    Ok(Step::Later(format!("answered {status}"), retry_after(&response)))
                }
                Verdict::Fail => Err(format!("answered {status}")),
            },
        }
    }

    fn receive_document(
        &self,
        response: http::Response<ureq::Body>,
        url: &str,
        limit: u64,
    ) -> Result<Step, String> {
        let content_type = header(&response, "content-type").unwrap_or_default();
        let content_type = content_type.to_ascii_lowercase();
        let length: Option<u64> =
            header(&response, "content-length").and_then(|length| length.parse().ok());
        let mut pace = Pace::new(self.config.timeout);
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; CHUNK]);
        loop {
            let begun = Instant::now();
            let count = match next_part(&mut body, &mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => {
                    return Ok(Step::Later(broken(&error, bytes.len() as u64), None));
                }
            };
            bytes.extend_from_slice(&buffer[..count]);
            if bytes.len() as u64 > limit {
                return Err(format!("has more than {limit} bytes, expected at most those"));
            }
            pace.note(begun, count)?;
        }
        let size = bytes.len() as u64;
        if let Some(length) = length.filter(|length| *length != size) {
            return Ok(Step::Later(format!("ended after {size} of {length} bytes"), None));
        }
        Ok(Step::Answer(Some(Document { url: url.to_owned(), content_type, bytes })))
    }
}
