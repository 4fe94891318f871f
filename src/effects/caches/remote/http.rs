//! Bazel's HTTP cache protocol: `GET`, `HEAD` and `PUT` of `/cas/HASH` and `/ac/HASH`.
//!
//! Effects layer. The simplest of caches: any web server that takes `PUT` will do. There is one
//! request a blob, so several connections are used at once. Blobs may come compressed with zstd,
//! which bazel-remote offers. Only `GET` follows a redirect, and only within the server: what
//! answers elsewhere is more often a page to log in than a cache, and must not get the headers.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::{Agent, Body, SendBody, http};

use crate::effects::caches::blob::{BlobError, BlobStore, Blobs, absent};
use crate::effects::caches::remote::grpc::LIE_RETRIES;
use crate::effects::caches::remote::{
    Context, Protocol, RESULT_LIMIT, RemoteError, RemoteUrl, for_each,
};
use crate::effects::net::pace::{Paced, allowance};
use crate::effects::net::retry::{Attempts, Verdict, judge_http};
use crate::effects::net::{client, redirect};
use crate::model::digest::{ActionDigest, Digest};

/// A client of one server.
pub(super) struct Http {
    context: Context,
    agent: Agent,
    base: String,
    /// The shortest time in which the head of an answer came, in microseconds.
    nearest: AtomicU64,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

/// A body's length and bytes.
type BodySource<'b> = (u64, Box<dyn Read + Send + 'b>);
/// Makes the body for an attempt; nothing for requests without one.
type MakeBody<'f, 'b> = &'f dyn Fn() -> Result<Option<BodySource<'b>>, BlobError>;

/// An answer, or what is wrong.
enum Answer {
    Body(http::Response<Body>),
    Absent,
    Failed { reason: String, transient: bool, status: Option<u16> },
}

/// What to do after one attempt.
enum Next {
    Answer(Answer),
    /// Ask there instead.
    Follow(String),
    /// Ask again with other credentials.
    Again,
    Judge {
        reason: String,
        verdict: Verdict,
        status: Option<u16>,
    },
}

/// How many requests run at once to a cache that is far away, from which no answer came faster than
/// this: there is one for each blob, and each waits for its answer.
const FAR_CONNECTIONS: [(Duration, usize); 2] =
    [(Duration::from_millis(30), 128), (Duration::from_millis(5), 64)];

/// How much of an answer is looked at to see whether it is a page for people.
const PAGE_START: u64 = 1024;

impl Http {
    pub(super) fn new(context: Context) -> Result<Self, RemoteError> {
        let config = &context.config;
        let most = config.connections.unwrap_or(FAR_CONNECTIONS[0].1);
        if let RemoteUrl::Http { tls: true, .. } = &config.url {
            config.tls.check_variable()?;
        }
        let agent = client::agent(&config.tls, config.timeout, most)?;
        let instance = if config.instance.is_empty() {
            String::new()
        } else {
            format!("/{}", config.instance.trim_matches('/'))
        };
        let base = format!("{}{instance}", config.url.for_requests());
        Ok(Self { context, agent, base, nearest: AtomicU64::new(u64::MAX) })
    }

    /// How many requests run at once. Before the first answer nobody knows the distance.
    fn connections(&self) -> usize {
        let nearest = match self.nearest.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            nearest => Duration::from_micros(nearest),
        };
        let far = FAR_CONNECTIONS.iter().find(|(distance, _)| nearest >= *distance);
        match (self.context.config.connections, far) {
            (None, Some((_, connections))) => *connections,
            (Some(_), _) | (None, None) => self.context.connections(),
        }
    }

    fn blob_url(&self, digest: Digest) -> String {
        format!("{}/cas/{}", self.base, digest.hash)
    }

    fn result_url(&self, action: ActionDigest) -> String {
        format!("{}/ac/{}", self.base, action.0.hash)
    }

    /// Makes a request until it succeeds or another attempt makes no sense. The body is made anew
    /// for each attempt. `size` is how many bytes go, or at most come.
    fn call<'b>(
        &self,
        method: &str,
        url: &str,
        size: u64,
        body: MakeBody<'_, 'b>,
    ) -> Result<Answer, BlobError> {
        let mut attempts = Attempts::new();
        let mut url = url.to_owned();
        let mut redirects = 0;
        loop {
            self.context.check()?;
            let begun = Instant::now();
            let sent = self.send_once(method, &url, size, body()?)?;
            if sent.is_ok() {
                let taken = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.nearest.fetch_min(taken, Ordering::Relaxed);
            }
            match self.judge(method, &url, sent, &attempts) {
                Next::Answer(answer) => return Ok(answer),
                Next::Follow(target) if redirects < redirect::LIMIT => {
                    redirects += 1;
                    url = target;
                }
                Next::Follow(_) => {
                    let reason = format!(
                        "{method}: the server redirects more than {} times",
                        redirect::LIMIT
                    );
                    return Ok(Answer::Failed { reason, transient: false, status: Some(302) });
                }
                Next::Again => attempts.retries = 1,
                Next::Judge { verdict: Verdict::Absent, .. } => return Ok(Answer::Absent),
                Next::Judge { reason, verdict: Verdict::Fail, status } => {
                    return Ok(Answer::Failed { reason, transient: false, status });
                }
                Next::Judge { reason, verdict: Verdict::Retry, status } => {
                    if !self.context.pause(&mut attempts) {
                        return Ok(Answer::Failed { reason, transient: true, status });
                    }
                }
            }
        }
    }

    fn judge(
        &self,
        method: &str,
        url: &str,
        sent: Result<http::Response<Body>, ureq::Error>,
        attempts: &Attempts,
    ) -> Next {
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let words = client::in_words_of(&error, &self.agent, url);
                return Next::Judge {
                    reason: format!("{method}: {words}"),
                    verdict: client::judge(&error),
                    status: None,
                };
            }
        };
        let status = response.status();
        let code = Some(status.as_u16());
        if status.is_success() {
            return Next::Answer(Answer::Body(response));
        }
        if status.as_u16() == 401 && attempts.retries == 0 && self.context.credentials.forget() {
            return Next::Again;
        }
        // 304 is no redirect, and no answer to any question of ours.
        if status.is_redirection() && status.as_u16() != 304 {
            let location = response.headers().get("location").map(http::HeaderValue::as_bytes);
            let refused = match redirect::target(url, location) {
                Ok(target) if method == "GET" => return Next::Follow(target),
                Ok(_) => "which is not followed: only GET is".to_owned(),
                Err(refusal) => refusal.to_string(),
            };
            let reason = format!("{method}: the server answered {status}, a redirect {refused}");
            return Next::Judge { reason, verdict: Verdict::Fail, status: code };
        }
        Next::Judge {
            reason: format!("{method}: the server answered {status}"),
            verdict: judge_http(status.as_u16()),
            status: code,
        }
    }

    fn send_once(
        &self,
        method: &str,
        url: &str,
        size: u64,
        body: Option<BodySource<'_>>,
    ) -> Result<Result<http::Response<Body>, ureq::Error>, BlobError> {
        let mut request = http::Request::builder().method(method).uri(url);
        // What a helper cannot say once it is not asked for again: each time may take seconds.
        for (name, value) in self
            .context
            .credentials
            .headers()
            .map_err(|error| self.context.give_up(&error.to_string(), false))?
        {
            request = request.header(name, value);
        }
        if method == "GET" && self.context.config.compression {
            request = request.header("accept-encoding", "zstd, identity");
        }
        let invalid = |_| self.context.error("a header cannot be sent", false);
        let whole = allowance(self.context.config.timeout, size);
        Ok(match body {
            None => {
                let request = request.body(()).map_err(invalid)?;
                self.agent.run(
                    self.agent.configure_request(request).timeout_recv_body(Some(whole)).build(),
                )
            }
            Some((length, mut reader)) => {
                let request = request
                    .header("content-length", length.to_string())
                    .header("content-type", "application/octet-stream");
                let request = request.body(SendBody::from_reader(&mut reader)).map_err(invalid)?;
                let limited = self.agent.configure_request(request).timeout_send_body(Some(whole));
                self.agent.run(limited.timeout_recv_body(Some(self.context.config.timeout)).build())
            }
        })
    }

    /// The error for a request that did not succeed. What would come again with the next one ends
    /// the use of this cache.
    fn fail(&self, reason: String, transient: bool, status: Option<u16>) -> BlobError {
        if transient || status == Some(401) || status.is_some_and(is_redirect) {
            return self.context.give_up(&reason, transient);
        }
        self.context.error(reason, transient)
    }

    fn put_bytes<'b>(&self, url: &str, size: u64, body: MakeBody<'_, 'b>) -> Result<(), BlobError> {
        match self.call("PUT", url, size, body)? {
            Answer::Body(response) => {
                if !is_page(response) {
                    return Ok(());
                }
                let reason = "PUT: the server answered with a web page, perhaps to log in: nothing was stored";
                self.context.refuse_writes(reason);
                Err(self.context.error(reason, false))
            }
            Answer::Absent => {
                self.context.refuse_writes("PUT: the server answered 404");
                Err(self.context.error("PUT: the server answered 404", false))
            }
            Answer::Failed { reason, transient, status } => {
                // A proxy may let reads through and ask whoever writes to log in.
                if status.is_some_and(is_redirect) {
                    self.context.refuse_writes(&reason);
                    return Err(self.context.error(reason, false));
                }
                if matches!(status, Some(403 | 405 | 501)) {
                    self.context.refuse_writes(&reason);
                }
                Err(self.fail(reason, transient, status))
            }
        }
    }
}

fn is_redirect(status: u16) -> bool {
    (300..400).contains(&status) && status != 304
}

/// Whether an answer to `HEAD` is about a blob of that size, as far as it says. A page to log in is
/// not.
fn has_size(response: &http::Response<Body>, size: u64) -> bool {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let compressed = header("content-encoding").is_some_and(|encoding| encoding != "identity");
    match header("content-length").filter(|_| !compressed) {
        Some(length) => length.trim().parse() == Ok(size),
        None => !is_html(response),
    }
}

/// Whether an answer calls itself a page.
fn is_html(response: &http::Response<Body>) -> bool {
    let kind = response
        .headers()
        .get("content-type")
        .map(|kind| kind.as_bytes().trim_ascii().to_ascii_lowercase());
    kind.is_some_and(|kind| {
        kind.starts_with(b"text/html") || kind.starts_with(b"application/xhtml+xml")
    })
}

/// Whether a success is a page for people: what stands between us and the cache says yes to
/// everything. Only with 201 is a page what servers say of a file that they have made.
fn is_page(response: http::Response<Body>) -> bool {
    if matches!(response.status().as_u16(), 201 | 204) {
        return false;
    }
    let html = is_html(&response);
    let kind =
        response.headers().get("content-type").map(|kind| kind.as_bytes().to_ascii_lowercase());
    if !html && !kind.is_some_and(|kind| kind.starts_with(b"text/")) {
        return false;
    }
    let mut start = Vec::new();
    let _ = response.into_body().into_reader().take(PAGE_START).read_to_end(&mut start);
    let start = String::from_utf8_lossy(&start).to_ascii_lowercase();
    let start = start
        .trim_start_matches(|character: char| character == '\u{feff}' || character.is_whitespace());
    // What does not call itself a page is one if it begins as one.
    if html {
        start.starts_with('<')
    } else {
        start.starts_with("<!doctype html") || start.starts_with("<html")
    }
}

/// The bytes of an answer, never more than one beyond the limit; its errors are known as the
/// network's, not the disk's.
struct Incoming<'a> {
    context: &'a Context,
    bytes: Box<dyn Read + Send>,
}

impl<'a> Incoming<'a> {
    fn new(
        context: &'a Context,
        response: http::Response<Body>,
        limit: u64,
    ) -> Result<Self, BlobError> {
        let zstd = response
            .headers()
            .get("content-encoding")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"zstd"));
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let body = Paced::new(body, context.config.timeout, limit);
        let bytes: Box<dyn Read + Send> = if zstd {
            let decoder = super::bytestream::decoder(std::io::BufReader::new(body), limit)
                .map_err(|error| context.error(error.to_string(), true))?;
            Box::new(decoder.take(limit.saturating_add(1)))
        } else {
            Box::new(body.take(limit.saturating_add(1)))
        };
        Ok(Self { context, bytes })
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.bytes.read(buffer).map_err(|error| {
            // What goes on for ever does so again; what is no zstd is a broken connection or a lie,
            // and asked for once more.
            let transient = error.kind() != std::io::ErrorKind::InvalidData;
            std::io::Error::other(self.context.error(format!("GET: {error}"), transient))
        })
    }
}

/// Digests that several threads come across.
#[derive(Default)]
struct Collected(Mutex<Vec<Digest>>);

impl Collected {
    fn add(&self, digest: Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
    }

    fn sorted(self) -> Vec<Digest> {
        let mut digests = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        digests.sort_unstable();
        digests
    }
}

impl Protocol for Http {
    fn context(&self) -> &Context {
        &self.context
    }

    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        match self.call("GET", &self.blob_url(digest), digest.size, &|| Ok(None))? {
            Answer::Body(response) => {
                Ok(Some(Box::new(Incoming::new(&self.context, response, digest.size)?)))
            }
            Answer::Absent => Ok(None),
            Answer::Failed { reason, transient, status } => {
                Err(self.fail(reason, transient, status))
            }
        }
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let found = Collected::default();
        for_each(self.connections(), digests, |&digest| {
            let absent = match self.call("HEAD", &self.blob_url(digest), 0, &|| Ok(None))? {
                Answer::Body(response) => !has_size(&response, digest.size),
                // A server without HEAD: everything has to be sent.
                Answer::Absent | Answer::Failed { status: Some(403 | 405 | 501), .. } => true,
                Answer::Failed { reason, transient, status } => {
                    return Err(self.fail(reason, transient, status));
                }
            };
            if absent {
                found.add(digest);
            }
            Ok(())
        })?;
        Ok(found.sorted())
    }

    fn asks_one_by_one(&self) -> bool {
        true
    }

    fn send(&self, digests: &[Digest], source: &dyn Blobs) -> Result<(), BlobError> {
        for_each(self.connections(), digests, |&digest| {
            let body = || {
                let reader = source.open(digest)?.ok_or_else(|| absent(digest))?;
                Ok(Some((digest.size, reader)))
            };
            self.put_bytes(&self.blob_url(digest), digest.size, &body)?;
            self.context.meter.sent(digest);
            Ok(())
        })
    }

    fn receive(
        &self,
        digests: &[Digest],
        target: &dyn BlobStore,
    ) -> Result<Vec<Digest>, BlobError> {
        let lacking = Collected::default();
        for_each(self.connections(), digests, |&digest| {
            let (mut lies, mut attempts) = (0, Attempts::new());
            while let Some(mut reader) = self.open(digest)? {
                match target.put(digest, &mut reader) {
                    Ok(()) => {
                        self.context.meter.received(digest);
                        return Ok(());
                    }
                    Err(BlobError::Mismatch { expected, actual, .. }) => {
                        self.context.lie(&BlobError::Mismatch {
                            place: self.context.place.clone(),
                            expected,
                            actual,
                        });
                        lies += 1;
                        if lies > LIE_RETRIES {
                            break;
                        }
                    }
                    // The connection broke off in the middle of the body.
                    Err(BlobError::Remote { transient: true, .. })
                        if self.context.pause(&mut attempts) => {}
                    Err(BlobError::Remote { reason, transient, .. }) => {
                        return Err(self.fail(reason, transient, None));
                    }
                    Err(error) => return Err(error),
                }
            }
            lacking.add(digest);
            Ok(())
        })?;
        Ok(lacking.sorted())
    }

    fn result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError> {
        let response =
            match self.call("GET", &self.result_url(action), RESULT_LIMIT, &|| Ok(None))? {
                Answer::Body(response) => response,
                Answer::Absent => return Ok(None),
                Answer::Failed { reason, transient, status } => {
                    return Err(self.fail(reason, transient, status));
                }
            };
        let mut result = Vec::new();
        Incoming::new(&self.context, response, RESULT_LIMIT)?.read_to_end(&mut result).map_err(
            |error| {
                error
                    .downcast::<BlobError>()
                    .unwrap_or_else(|error| self.context.error(error.to_string(), true))
            },
        )?;
        if result.len() as u64 > RESULT_LIMIT {
            return Err(self
                .context
                .error(format!("a result of more than {RESULT_LIMIT} bytes"), false));
        }
        Ok(Some(result))
    }

    fn set_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError> {
        let body =
            || Ok(Some((result.len() as u64, Box::new(result) as Box<dyn Read + Send + '_>)));
        self.put_bytes(&self.result_url(action), result.len() as u64, &body)
    }
}
