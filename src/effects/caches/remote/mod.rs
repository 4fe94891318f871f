//! Remote caches: REAPI over gRPC, and Bazel's HTTP cache.
//!
//! Effects layer. A [`Remote`] is a blob store and an action cache like the local one; what it
//! speaks is chosen by its address. It verifies all that it receives, tries again what may pass,
//! uses a bounded number of connections and a bounded amount of memory, and gives up for good after
//! an error that would only come again: a build must not wait for a cache that is gone.

mod batch;
mod bytestream;
mod grpc;
mod http;
mod raw;

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::effects::caches::blob::{ActionCache, BlobError, BlobStore, Blobs};
use crate::effects::caches::transfer::RemoteCache;
use crate::effects::host::notes::Notes;
use crate::effects::net::client::ClientError;
pub use crate::effects::net::client::TlsFiles;
use crate::effects::net::credentials;
use crate::effects::net::headers::{HEADERS_LENGTH, Headers, MOST_HEADERS, are_few, is_sendable};
use crate::effects::net::retry::{Attempts, Schedule};
use crate::effects::net::url::RemoteUrl;
use crate::effects::work::parallel;
use crate::model::digest::{ActionDigest, Digest, DigestFunction};
use crate::model::every::every;
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// How many wrong answers are named: a cache that lost its disk has thousands.
const LIES_NAMED: u64 = 3;
/// The most bytes of an action's result. Ours have some hundred; servers may add how it was
/// executed.
const RESULT_LIMIT: u64 = 256 << 10;

/// How many requests run at once where nobody says: gRPC's carry many blobs each, and a server that
/// is near is busy with so many already.
const CONNECTIONS: usize = 8;

/// What may be done with a remote cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RemoteMode {
    /// Read and write.
    #[default]
    ReadWrite,
    /// Read only.
    Read,
    /// Write only: nothing is ever taken from it.
    Write,
}

impl RemoteMode {
    /// Every mode with its name on the command line.
    pub const ALL: [(&'static str, Self); 3] =
        every!(RemoteMode: "read-write" => ReadWrite, "read" => Read, "write" => Write);

    /// Whether entries are taken.
    pub fn reads(self) -> bool {
        self != Self::Write
    }

    /// Whether entries are given.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// How to reach a remote cache.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// Where it is.
    pub url: RemoteUrl,
    /// What may be done with it.
    pub mode: RemoteMode,
    /// REAPI's instance name; for HTTP, a folder before `/ac/` and `/cas/`.
    pub instance: String,
    /// Headers for every request.
    pub headers: Headers,
    /// The program that gives more headers, as Bazel's `--credential_helper`.
    pub credential_helper: Option<Utf8PathBuf>,
    /// Files for TLS.
    pub tls: TlsFiles,
    /// How long to wait for an answer, or for the next part of one.
    pub timeout: Duration,
    /// When to try again.
    pub schedule: Schedule,
    /// How many requests run at once; as many as suit the protocol and the distance where nobody
    /// says.
    pub connections: Option<usize>,
    /// Whether blobs are compressed where the server offers it.
    pub compression: bool,
}

impl RemoteConfig {
    /// The defaults of Bazel for a cache at that address.
    pub fn new(url: RemoteUrl) -> Self {
        Self {
            url,
            mode: RemoteMode::default(),
            instance: String::new(),
            headers: Headers::default(),
            credential_helper: None,
            tls: TlsFiles::default(),
            timeout: Duration::from_secs(60),
            schedule: Schedule::default(),
            connections: None,
            compression: true,
        }
    }
}

/// Why a remote cache cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A file for TLS cannot be read.
    #[error("cannot read `{path}`")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file for TLS, or the address, is not accepted.
    #[error("the remote cache cannot be set up: {reason}")]
    Setup {
        /// What is wrong.
        reason: String,
    },
    /// What a variable names is not accepted.
    #[error(transparent)]
    Client(ClientError),
    /// A header cannot be sent.
    #[error(
        "the header `{name}` cannot be sent: names are tokens in ASCII that do not say how a request is framed, values are ASCII without control characters"
    )]
    Header {
        /// Its name; the value may be a secret.
        name: String,
    },
}

impl Explain for RemoteError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Client(error) => error.explain(),
            Self::File { .. } | Self::Setup { .. } | Self::Header { .. } => {
                ErrorKind::Remote.no_hint()
            }
        }
    }
}

impl From<ClientError> for RemoteError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::File { path, source } => Self::File { path, source },
            ClientError::Pem { .. } => Self::Setup { reason: error.to_string() },
            ClientError::Variable { .. } | ClientError::VariablePem { .. } => Self::Client(error),
        }
    }
}

/// What went over the wire, for the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Traffic {
    /// Results found.
    pub hits: u64,
    /// Results not found.
    pub misses: u64,
    /// Blobs received.
    pub blobs_received: u64,
    /// Their bytes, uncompressed.
    pub bytes_received: u64,
    /// Blobs sent.
    pub blobs_sent: u64,
    /// Their bytes, uncompressed.
    pub bytes_sent: u64,
    /// Requests that were tried again.
    pub retries: u64,
    /// Milliseconds spent waiting for the cache.
    pub milliseconds: u64,
}

impl std::fmt::Display for Traffic {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            hits,
            misses,
            blobs_received,
            bytes_received,
            blobs_sent,
            bytes_sent,
            retries,
            milliseconds,
        } = self;
        let answers = hits + misses;
        write!(
            formatter,
            "{hits} of {answers} hit, received {blobs_received} blobs ({bytes_received} bytes), "
        )?;
        write!(
            formatter,
            "sent {blobs_sent} blobs ({bytes_sent} bytes), {}.{:03} s",
            milliseconds / 1000,
            milliseconds % 1000
        )?;
        if *retries > 0 {
            write!(formatter, ", {retries} retries")?;
        }
        Ok(())
    }
}

/// Counts from any thread.
#[derive(Debug, Default)]
struct Meter {
    hits: AtomicU64,
    misses: AtomicU64,
    blobs_received: AtomicU64,
    bytes_received: AtomicU64,
    blobs_sent: AtomicU64,
    bytes_sent: AtomicU64,
    retries: AtomicU64,
    microseconds: AtomicU64,
}

impl Meter {
    fn received(&self, digest: Digest) {
        self.blobs_received.fetch_add(1, Ordering::Relaxed);
        self.bytes_received.fetch_add(digest.size, Ordering::Relaxed);
    }

    fn sent(&self, digest: Digest) {
        self.blobs_sent.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(digest.size, Ordering::Relaxed);
    }
}

/// What the two protocols have in common: where they are, what they may do, what they count.
#[derive(Debug)]
struct Context {
    place: String,
    function: DigestFunction,
    config: RemoteConfig,
    credentials: credentials::Credentials,
    notes: Notes,
    meter: Meter,
    /// Answers that were no blobs of their digests.
    lies: AtomicU64,
    /// Why nothing more is asked.
    gone: OnceLock<String>,
    /// Why nothing more is written.
    read_only: OnceLock<String>,
}

impl Context {
    fn error(&self, reason: impl Into<String>, transient: bool) -> BlobError {
        // A server may repeat what it was sent.
        BlobError::Remote {
            place: self.place.clone(),
            reason: self.credentials.without_secrets(reason.into()),
            transient,
        }
    }

    /// How many requests run at once.
    fn connections(&self) -> usize {
        self.config.connections.unwrap_or(CONNECTIONS)
    }

    /// Fails where an earlier request found that the server is gone.
    fn check(&self) -> Result<(), BlobError> {
        self.gone.get().map_or(Ok(()), |reason| Err(self.error(reason.clone(), false)))
    }

    /// Stops asking. The error says so, as does that of every later request.
    fn give_up(&self, reason: &str, transient: bool) -> BlobError {
        let reason = self.gone.get_or_init(|| {
            format!(
                "{}; it is not used any more",
                self.credentials.without_secrets(reason.to_owned())
            )
        });
        self.error(reason.clone(), transient)
    }

    /// Stops writing, and says so.
    fn refuse_writes(&self, reason: &str) {
        let reason = self.credentials.without_secrets(reason.to_owned());
        if self.read_only.set(reason.clone()).is_ok() {
            self.notes
                .add(format!("nothing is written to the remote cache {}: {reason}", self.place));
        }
    }

    /// Waits before another attempt; says whether there is to be one.
    fn pause(&self, attempts: &mut Attempts) -> bool {
        let Some(pause) =
            self.config.schedule.pause(attempts.retries, crate::effects::host::random::fraction())
        else {
            return false;
        };
        if self.gone.get().is_some() || !attempts.have_time(self.config.timeout) {
            return false;
        }
        attempts.retries += 1;
        self.meter.retries.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(pause);
        true
    }

    fn lie(&self, error: &BlobError) {
        match self.lies.fetch_add(1, Ordering::Relaxed) {
            0..LIES_NAMED => self
                .notes
                .add(format!("the remote cache lies, and its answer was not used: {error}")),
            LIES_NAMED => self.notes.add(
                "the remote cache lies more often; the other answers are not named".to_owned(),
            ),
            _ => {}
        }
    }
}

/// The operations that differ between the protocols. Errors of single blobs that are the server's
/// lies or gaps are no errors here.
trait Protocol: Send + Sync + std::fmt::Debug {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError>;
    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError>;
    /// Whether that takes a request for each of them.
    fn asks_one_by_one(&self) -> bool;
    fn send(&self, digests: &[Digest], source: &dyn Blobs) -> Result<(), BlobError>;
    fn receive(&self, digests: &[Digest], target: &dyn BlobStore)
    -> Result<Vec<Digest>, BlobError>;
    fn result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError>;
    fn set_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError>;
    fn context(&self) -> &Context;
}

/// A remote cache. Nothing is sent before the first use.
#[derive(Debug)]
pub struct Remote {
    protocol: Box<dyn Protocol>,
}

impl Remote {
    /// Prepares to use a cache. Notes get what goes wrong later without failing the command.
    ///
    /// # Errors
    /// The configuration cannot be used: files for TLS, headers.
    pub fn new(
        config: RemoteConfig,
        function: DigestFunction,
        notes: Notes,
    ) -> Result<Self, RemoteError> {
        if let Some((name, _)) =
            config.headers.0.iter().find(|(name, value)| !is_sendable(name, value))
        {
            return Err(RemoteError::Header { name: name.clone() });
        }
        if !are_few(&config.headers.0) {
            let reason = format!(
                "there are more than {MOST_HEADERS} headers, or more than {HEADERS_LENGTH} bytes of them"
            );
            return Err(RemoteError::Setup { reason });
        }
        let context = Context {
            place: config.url.to_string(),
            function,
            credentials: credentials::Credentials::new(
                config.url.origin(),
                config.headers.clone(),
                config.credential_helper.clone(),
            ),
            config,
            notes,
            meter: Meter::default(),
            lies: AtomicU64::new(0),
            gone: OnceLock::new(),
            read_only: OnceLock::new(),
        };
        let protocol: Box<dyn Protocol> = match context.config.url {
            RemoteUrl::Grpc { .. } | RemoteUrl::Unix { .. } => Box::new(grpc::Grpc::new(context)?),
            RemoteUrl::Http { .. } => Box::new(http::Http::new(context)?),
        };
        Ok(Self { protocol })
    }

    /// Its address.
    pub fn place(&self) -> &str {
        &self.protocol.context().place
    }

    /// What may be done with it, as configured.
    pub fn mode(&self) -> RemoteMode {
        self.protocol.context().config.mode
    }

    /// Whether it still takes entries.
    fn takes_writes(&self) -> bool {
        let context = self.protocol.context();
        context.config.mode.writes()
            && context.gone.get().is_none()
            && context.read_only.get().is_none()
    }

    /// What went over the wire so far.
    pub fn traffic(&self) -> Traffic {
        let meter = &self.protocol.context().meter;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            hits: load(&meter.hits),
            misses: load(&meter.misses),
            blobs_received: load(&meter.blobs_received),
            bytes_received: load(&meter.bytes_received),
            blobs_sent: load(&meter.blobs_sent),
            bytes_sent: load(&meter.bytes_sent),
            retries: load(&meter.retries),
            milliseconds: load(&meter.microseconds) / 1000,
        }
    }

    fn timed<T>(
        &self,
        action: impl FnOnce(&dyn Protocol) -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let context = self.protocol.context();
        context.check()?;
        let start = Instant::now();
        let result = action(self.protocol.as_ref());
        let elapsed = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        context.meter.microseconds.fetch_add(elapsed, Ordering::Relaxed);
        result
    }
}

impl Blobs for Remote {
    /// Streams a blob. The receiver verifies.
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        self.protocol.context().check()?;
        self.protocol.open(digest)
    }
}

impl BlobStore for Remote {
    fn function(&self) -> DigestFunction {
        self.protocol.context().function
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        let digests = distinct(digests);
        if digests.is_empty() {
            return Ok(digests);
        }
        self.timed(|protocol| protocol.missing(&digests))
    }

    fn asks_one_by_one(&self) -> bool {
        self.protocol.asks_one_by_one()
    }

    fn put(&self, digest: Digest, bytes: &mut (dyn Read + Send)) -> Result<(), BlobError> {
        // Sending may take several attempts, and so needs a source that can be read again.
        let mut file = tempfile::tempfile()
            .map_err(|error| BlobError::io("make", "a temporary file", error))?;
        let mut verifying = crate::effects::caches::blob::Verifying::new(
            bytes,
            self.function(),
            digest,
            "the source",
        );
        std::io::copy(&mut verifying, &mut file).map_err(|error| {
            crate::effects::caches::blob::unwrap_read_error(
                error,
                "write",
                camino::Utf8Path::new("a temporary file"),
            )
        })?;
        self.put_all(&[digest], &OneFile { digest, file: Mutex::new(file) })
    }

    fn put_all(&self, digests: &[Digest], source: &dyn Blobs) -> Result<(), BlobError> {
        let digests = distinct(digests);
        self.timed(|protocol| protocol.send(&digests, source))
    }

    fn get_all(
        &self,
        digests: &[Digest],
        target: &dyn BlobStore,
    ) -> Result<Vec<Digest>, BlobError> {
        let digests = distinct(digests);
        if digests.is_empty() {
            return Ok(digests);
        }
        self.timed(|protocol| protocol.receive(&digests, target))
    }
}

impl ActionCache for Remote {
    fn action_result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError> {
        let found = self.timed(|protocol| protocol.result(action))?;
        let meter = &self.protocol.context().meter;
        let counter = if found.is_some() { &meter.hits } else { &meter.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(found)
    }

    fn set_action_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError> {
        self.timed(|protocol| protocol.set_result(action, result))
    }
}

impl RemoteCache for Remote {
    fn place(&self) -> &str {
        Self::place(self)
    }

    fn reads(&self) -> bool {
        self.mode().reads() && self.protocol.context().gone.get().is_none()
    }

    fn writes(&self) -> bool {
        self.takes_writes()
    }

    fn summary(&self) -> Option<String> {
        let traffic = self.traffic();
        (traffic != Traffic::default()).then(|| format!("remote cache {}: {traffic}", self.place()))
    }

    fn summary_json(&self) -> serde_json::Value {
        serde_json::to_value(self.traffic()).unwrap_or_default()
    }
}

/// One blob in a file.
struct OneFile {
    digest: Digest,
    file: Mutex<std::fs::File>,
}

impl Blobs for OneFile {
    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        use std::io::Seek;
        let failed = |error| BlobError::io("read", "a temporary file", error);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.rewind().map_err(failed)?;
        // Handles made by cloning share one position, but only one attempt reads at a time.
        let clone = file.try_clone().map_err(failed)?;
        Ok((digest == self.digest).then(|| Box::new(clone) as Box<dyn Read + Send>))
    }
}

/// The digests sorted, once each, without that of the empty blob, which every cache has.
fn distinct(digests: &[Digest]) -> Vec<Digest> {
    let mut digests: Vec<Digest> =
        digests.iter().filter(|digest| digest.size > 0).copied().collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

/// Runs jobs on this thread and a few more; the first error ends it all.
fn for_each<T: Sync>(
    threads: usize,
    jobs: &[T],
    run: impl Fn(&T) -> Result<(), BlobError> + Sync,
) -> Result<(), BlobError> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = run(job) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                next.store(jobs.len(), Ordering::Relaxed);
            }
        }
    };
    parallel::together(threads.min(jobs.len()), work);
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
