//! Bazel's HTTP cache protocol: `GET`, `HEAD` and `PUT` of `/cas/HASH` and `/ac/HASH`.
//!
//! Effects layer. The simplest of caches: any web server that takes `PUT` will do. There is one request a blob, so several connections
//! are used at once. Blobs may come compressed with zstd, which bazel-remote offers.

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody, http};

use crate::effects::blob::{BlobError, BlobStore, Blobs, absent};
use crate::effects::remote::grpc::LIE_RETRIES;
use crate::effects::remote::retry::{Verdict, judge_http};
use crate::effects::remote::{Context, Protocol, RESULT_LIMIT, RemoteError, for_each};
use crate::model::digest::{ActionDigest, Digest};

/// A client of one server.
pub(super) struct Http {
    context: Context,
    agent: Agent,
    base: String,
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

impl Http {
    pub(super) fn new(context: Context) -> Result<Self, RemoteError> {
        let config = &context.config;
        let mut tls = TlsConfig::builder();
        let read = |path: &camino::Utf8PathBuf| std::fs::read(path).map_err(|source| RemoteError::File { path: path.clone(), source });
        let unfit = |path: &camino::Utf8PathBuf, what: &str| RemoteError::Setup { reason: format!("`{path}` has no {what} in PEM") };
        match &config.tls.authorities {
            Some(path) => {
                let certificates = certificates(&read(path)?);
                if certificates.is_empty() {
                    return Err(unfit(path, "certificate"));
                }
                tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
            }
            None => tls = tls.root_certs(RootCerts::PlatformVerifier),
        }
        if let Some((certificate, key)) = &config.tls.client {
            let chain = certificates(&read(certificate)?);
            if chain.is_empty() {
                return Err(unfit(certificate, "certificate"));
            }
            let key = PrivateKey::from_pem(&read(key)?).map_err(|_| unfit(key, "private key"))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .user_agent(concat!("venvtree/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(config.timeout.min(Duration::from_secs(20))))
            .timeout_recv_response(Some(config.timeout))
            .timeout_per_read(Some(config.timeout))
            .timeout_per_write(Some(config.timeout))
            .max_idle_connections_per_host(config.connections)
            .max_idle_connections(config.connections)
            .build()
            .new_agent();
        let instance = if config.instance.is_empty() { String::new() } else { format!("/{}", config.instance.trim_matches('/')) };
        let base = format!("{}{instance}", config.url);
        Ok(Self { context, agent, base })
    }

    fn blob_url(&self, digest: Digest) -> String {
        format!("{}/cas/{}", self.base, digest.hash)
    }

    fn result_url(&self, action: ActionDigest) -> String {
        format!("{}/ac/{}", self.base, action.0.hash)
    }

    /// Makes a request until it succeeds or another attempt makes no sense. The body is made anew for each attempt.
    fn call<'b>(&self, method: &str, url: &str, body: MakeBody<'_, 'b>) -> Result<Answer, BlobError> {
        let mut retry = 0;
        loop {
            self.context.check()?;
            let (reason, verdict, status) = match self.send_once(method, url, body()?)? {
                Ok(response) => {
                    let status = response.status();
                    if status.is_success() {
                        return Ok(Answer::Body(response));
                    }
                    if status.as_u16() == 401 && retry == 0 && self.context.credentials.forget() {
                        retry = 1;
                        continue;
                    }
                    (format!("{method}: the server answered {status}"), judge_http(status.as_u16()), Some(status.as_u16()))
                }
                Err(ureq::Error::Io(error)) => (format!("{method}: {error}"), Verdict::Retry, None),
                Err(
                    error
                    @ (ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound | ureq::Error::Protocol(_)),
                ) => (format!("{method}: {error}"), Verdict::Retry, None),
                Err(error) => (format!("{method}: {error}"), Verdict::Fail, None),
            };
            match verdict {
                Verdict::Absent => return Ok(Answer::Absent),
                Verdict::Fail => return Ok(Answer::Failed { reason, transient: false, status }),
                Verdict::Retry if self.context.pause(retry) => retry += 1,
                Verdict::Retry => return Ok(Answer::Failed { reason, transient: true, status }),
            }
        }
    }

    fn send_once(
        &self,
        method: &str,
        url: &str,
        body: Option<BodySource<'_>>,
    ) -> Result<Result<http::Response<Body>, ureq::Error>, BlobError> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in self.context.credentials.headers().map_err(|error| self.context.error(error.to_string(), false))? {
            request = request.header(name, value);
        }
        if method == "GET" && self.context.config.compression {
            request = request.header("accept-encoding", "zstd, identity");
        }
        let invalid = |_| self.context.error("a header cannot be sent", false);
        Ok(match body {
            None => self.agent.run(request.body(()).map_err(invalid)?),
            Some((length, mut reader)) => {
                let request = request.header("content-length", length.to_string()).header("content-type", "application/octet-stream");
                self.agent.run(request.body(SendBody::from_reader(&mut reader)).map_err(invalid)?)
            }
        })
    }

    /// The error for a request that did not succeed. What would come again with the next one ends the use of this cache.
    fn fail(&self, reason: String, transient: bool, status: Option<u16>) -> BlobError {
        if transient || status == Some(401) {
            return self.context.give_up(&reason, transient);
        }
        self.context.error(reason, transient)
    }

    fn put_bytes<'b>(&self, url: &str, body: MakeBody<'_, 'b>) -> Result<(), BlobError> {
        match self.call("PUT", url, body)? {
            Answer::Body(_) => Ok(()),
            Answer::Absent => {
                self.context.refuse_writes("PUT: the server answered 404");
                Err(self.context.error("PUT: the server answered 404", false))
            }
            Answer::Failed { reason, transient, status } => {
                if matches!(status, Some(403 | 405 | 501)) {
                    self.context.refuse_writes(&reason);
                }
                Err(self.fail(reason, transient, status))
            }
        }
    }
}

/// All certificates in a PEM file.
fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    ureq::tls::parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// The bytes of an answer, never more than one beyond the limit; its errors are known as the network's, not the disk's.
struct Incoming<'a> {
    context: &'a Context,
    bytes: Box<dyn Read + Send>,
}

impl<'a> Incoming<'a> {
    fn new(context: &'a Context, response: http::Response<Body>, limit: u64) -> Result<Self, BlobError> {
        let zstd = response.headers().get("content-encoding").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"zstd"));
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let bytes: Box<dyn Read + Send> = if zstd {
            let decoder =
                super::bytestream::decoder(std::io::BufReader::new(body)).map_err(|error| context.error(error.to_string(), true))?;
            Box::new(decoder.take(limit + 1))
        } else {
            Box::new(body.take(limit + 1))
        };
        Ok(Self { context, bytes })
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.bytes.read(buffer).map_err(|error| std::io::Error::other(self.context.error(format!("GET: {error}"), true)))
    }
}

impl Protocol for Http {
    fn context(&self) -> &Context {
        &self.context
    }

    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        match self.call("GET", &self.blob_url(digest), &|| Ok(None))? {
            Answer::Body(response) => Ok(Some(Box::new(Incoming::new(&self.context, response, digest.size)?))),
            Answer::Absent => Ok(None),
            Answer::Failed { reason, transient, status } => Err(self.fail(reason, transient, status)),
        }
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let found = Mutex::new(Vec::new());
        for_each(self.context.config.connections, digests, |&digest| {
            let absent = match self.call("HEAD", &self.blob_url(digest), &|| Ok(None))? {
                Answer::Body(_) => false,
                // A server without HEAD: everything has to be sent.
                Answer::Absent | Answer::Failed { status: Some(403 | 405 | 501), .. } => true,
                Answer::Failed { reason, transient, status } => return Err(self.fail(reason, transient, status)),
            };
            if absent {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
            }
            Ok(())
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_unstable();
        Ok(found)
    }

    fn send(&self, digests: &[Digest], source: &dyn Blobs) -> Result<(), BlobError> {
        for_each(self.context.config.connections, digests, |&digest| {
            let body = || {
                let reader = source.open(digest)?.ok_or_else(|| absent(digest))?;
                Ok(Some((digest.size, reader)))
            };
            self.put_bytes(&self.blob_url(digest), &body)?;
            self.context.meter.sent(digest);
            Ok(())
        })
    }

    fn receive(&self, digests: &[Digest], target: &dyn BlobStore) -> Result<Vec<Digest>, BlobError> {
        let lacking = Mutex::new(Vec::new());
        for_each(self.context.config.connections, digests, |&digest| {
            let (mut lies, mut retry) = (0, 0);
            while let Some(mut reader) = self.open(digest)? {
                match target.put(digest, &mut reader) {
                    Ok(()) => {
                        self.context.meter.received(digest);
                        return Ok(());
                    }
                    Err(BlobError::Mismatch { expected, actual, .. }) => {
                        self.context.lie(&BlobError::Mismatch { place: self.context.place.clone(), expected, actual });
                        lies += 1;
                        if lies > LIE_RETRIES {
                            break;
                        }
                    }
                    // The connection broke off in the middle of the body.
                    Err(BlobError::Remote { transient: true, .. }) if self.context.pause(retry) => retry += 1,
                    Err(BlobError::Remote { reason, transient, .. }) => return Err(self.fail(reason, transient, None)),
                    Err(error) => return Err(error),
                }
            }
            lacking.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
            Ok(())
        })?;
        let mut lacking = lacking.into_inner().unwrap_or_else(PoisonError::into_inner);
        lacking.sort_unstable();
        Ok(lacking)
    }

    fn result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError> {
        let response = match self.call("GET", &self.result_url(action), &|| Ok(None))? {
            Answer::Body(response) => response,
            Answer::Absent => return Ok(None),
            Answer::Failed { reason, transient, status } => return Err(self.fail(reason, transient, status)),
        };
        let mut result = Vec::new();
        Incoming::new(&self.context, response, RESULT_LIMIT)?
            .read_to_end(&mut result)
            .map_err(|error| self.context.error(error.to_string(), true))?;
        if result.len() as u64 > RESULT_LIMIT {
            return Err(self.context.error(format!("a result of more than {RESULT_LIMIT} bytes"), false));
        }
        Ok(Some(result))
    }

    fn set_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError> {
        let body = || Ok(Some((result.len() as u64, Box::new(result) as Box<dyn Read + Send + '_>)));
        self.put_bytes(&self.result_url(action), &body)
    }
}
