//! Files that are known by their digest, brought from the addresses where they can be had.
//!
//! Effects layer. Several come at once, the largest first. What is broken off is continued, now or
//! by a later process; what fails in a way that may pass is tried again. A file is in its place only
//! when its hash was compared, so nobody on the way has to be trusted, and secrets go to the host
//! that they are for and nowhere else.

mod access;
mod document;
mod partial;

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use ureq::{Agent, Body, http};

use self::access::Access;
pub use self::document::Document;
use self::partial::Partial;
pub use self::partial::Places;
use crate::effects::host::fs::FsError;
use crate::effects::host::random;
use crate::effects::net::client::{self, ClientError, TlsFiles};
use crate::effects::net::netrc::Netrc;
use crate::effects::net::pace::{Pace, allowance};
use crate::effects::net::redirect;
use crate::effects::net::retry::{Attempts, Schedule, Verdict, judge_http};
use crate::effects::work::parallel;
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::model::address::Address;
use crate::model::digest::Hash;
use crate::model::wheel::member_hash::OtherHash;

/// A try that brought so much was not in vain: those after it are counted anew.
const WORTH_COUNTING: u64 = 1 << 20;
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const CHUNK: usize = 128 << 10;

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// How many at once.
    pub connections: usize,
    /// Beginnings of addresses, and what stands in place of each.
    pub mirrors: Vec<(Address, Address)>,
    /// The program that gives headers, as Bazel's `--credential_helper`.
    pub credential_helper: Option<Utf8PathBuf>,
    /// Names and passwords by host.
    pub netrc: Netrc,
    /// Files for TLS.
    pub tls: TlsFiles,
    /// How long to wait for an answer, or for the next part of one.
    pub timeout: Duration,
    /// When to try again.
    pub schedule: Schedule,
    /// The most bytes of a file whose size is not known.
    pub limit: u64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            connections: 8,
            mirrors: Vec::new(),
            credential_helper: None,
            netrc: Netrc::default(),
            tls: TlsFiles::default(),
            timeout: Duration::from_secs(60),
            schedule: Schedule { retries: 4, ..Schedule::default() },
            // A wheel without ZIP64 has no more.
            limit: 4 << 30,
        }
    }
}

/// What a file must have.
#[derive(Debug, Clone)]
pub enum Expected {
    /// This SHA-256.
    Sha256(Hash),
    /// This hash by another function, where nobody says the SHA-256.
    Other(OtherHash),
}

/// A file to fetch.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The hash that it must have.
    pub hash: Expected,
    /// Its bytes, where they are known.
    pub size: Option<u64>,
    /// Where it can be had, in the order of trying.
    pub addresses: Vec<Address>,
    /// Where it goes.
    pub places: Places,
}

/// What is done with files that are there while others still come.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// By how many threads at once, beside those that fetch.
    pub threads: usize,
    /// What, given the position of a file.
    pub work: &'a (dyn Fn(usize) + Sync),
}

impl Beside<'_> {
    /// Nothing.
    pub const NOTHING: Self = Self { threads: 0, work: &|_| {} };
}

/// As much as may be done at once of something.
struct Lanes {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Lanes {
    fn new(count: usize) -> Self {
        Self { free: Mutex::new(count.max(1)), freed: Condvar::new() }
    }

    /// Does it once there is room.
    fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.freed.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        let done = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
        done
    }
}

/// Who fetched a file that is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// This process, which has compared it.
    Here,
    /// Another one, meanwhile.
    Elsewhere,
}

/// Why a file was not fetched.
#[derive(Debug)]
pub struct NotFetched {
    /// For each address that was tried, what was wrong.
    pub reasons: Vec<String>,
    /// Whether something came from each, and was another file.
    pub is_other: bool,
    /// What this machine refused, where that is why.
    pub local: Option<FsError>,
}

/// What is wrong with one address.
enum Trouble {
    /// What came is another file.
    Other(String),
    /// Nothing came.
    Refused(String),
    /// What came could not be kept, wherever it comes from.
    Local(FsError),
}

impl From<FsError> for Trouble {
    fn from(error: FsError) -> Self {
        Self::Local(error)
    }
}

/// Fetches files.
#[derive(Debug)]
pub struct Network {
    agent: Agent,
    config: NetworkConfig,
    access: Access,
}

impl Network {
    /// Prepares to fetch. Nothing is sent before the first file is wanted.
    ///
    /// # Errors
    /// A file for TLS cannot be used.
    pub fn new(config: NetworkConfig) -> Result<Self, ClientError> {
        let agent = client::agent(&config.tls, config.timeout, config.connections)?;
        let access = Access::new(config.credential_helper.clone(), config.netrc.clone());
        Ok(Self { agent, config, access })
    }

    /// Fetches files, and says of each how it went. The folders of their places must be there. With
    /// those that are there, something is done while others still come.
    pub fn fetch(
        &self,
        wanted: &[Wanted],
        progress: &Progress,
        beside: Beside<'_>,
    ) -> Vec<Result<Fetched, NotFetched>> {
        let sizes: Option<Vec<u64>> = wanted.iter().map(|file| file.size).collect();
        let bytes = sizes.map_or(0, |sizes| sizes.iter().sum());
        progress.begin(Phase::Downloading, Amount { items: wanted.len() as u64, bytes });
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(wanted[*index].size.unwrap_or(u64::MAX)));
        let lanes = Lanes::new(self.config.connections);
        // More at once would stand in each other's way in the file system.
        let hands = Lanes::new(beside.threads);
        let next = AtomicUsize::new(0);
        let fetch = |_| {
            // Whoever has a lane takes the next: who waits for one may be overtaken.
            let (index, outcome) = lanes.take(|| {
                let index = order[next.fetch_add(1, Ordering::Relaxed)];
                (index, self.fetch_one(&wanted[index], progress))
            });
            progress.advance(1, 0);
            if outcome.is_ok() {
                hands.take(|| (beside.work)(index));
            }
            Ok::<_, std::convert::Infallible>((index, outcome))
        };
        let threads = self.config.connections + beside.threads;
        let outcomes = parallel::map(threads, wanted.len(), fetch);
        let mut outcomes = outcomes.unwrap_or_else(|never| match never {});
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn fetch_one(&self, wanted: &Wanted, progress: &Progress) -> Result<Fetched, NotFetched> {
        let local = |error: FsError| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            let reasons = vec![format!("{error}{}", source.unwrap_or_default())];
            NotFetched { reasons, is_other: false, local: Some(error) }
        };
        // What another process fetches meanwhile is shown as if this one did.
        let seen = std::cell::Cell::new(0);
        let wait = |size: u64| progress.advance(0, size.saturating_sub(seen.replace(size)));
        let Some(mut partial) = Partial::open(&wanted.places, wait).map_err(local)? else {
            return Ok(Fetched::Elsewhere);
        };
        progress.advance(0, partial.size().saturating_sub(seen.get()));
        let (mut reasons, mut is_other) = (Vec::new(), true);
        for address in &wanted.addresses {
            let address = self.mirrored(address);
            let file = File { network: self, wanted, address: &address, progress };
            match file.fetch(&mut partial) {
                Ok(()) => return partial.finish().map(|()| Fetched::Here).map_err(local),
                Err(Trouble::Local(error)) => {
                    // Half a file would only take the room that others could use.
                    if is_full(&error) {
                        partial.discard();
                    }
                    return Err(local(error));
                }
                Err(Trouble::Other(reason)) => reasons.push(format!("{address}: {reason}")),
                Err(Trouble::Refused(reason)) => {
                    is_other = false;
                    reasons.push(format!("{address}: {reason}"));
                }
            }
        }
        if partial.size() == 0 {
            partial.discard();
        }
        Err(NotFetched { reasons, is_other, local: None })
    }

    /// Refuses what a variable names for TLS, where one of these addresses would be asked by it.
    ///
    /// # Errors
    /// It has no certificates.
    pub fn check<'a>(
        &self,
        mut addresses: impl Iterator<Item = &'a Address>,
    ) -> Result<(), ClientError> {
        let is_secure = |address: &Address| self.mirrored(address).public().starts_with("https:");
        if addresses.any(is_secure) { self.config.tls.check_variable() } else { Ok(()) }
    }

    /// The address to ask in place of one.
    pub fn mirrored(&self, address: &Address) -> Address {
        let mut mirrors = self.config.mirrors.iter();
        let found = mirrors.find_map(|(from, to)| address.mirrored(from, to));
        found.unwrap_or_else(|| address.clone())
    }
}

/// One file at one address.
struct File<'a> {
    network: &'a Network,
    wanted: &'a Wanted,
    address: &'a Address,
    progress: &'a Progress,
}

/// What one request led to.
enum Step {
    /// All that the server has is there.
    Complete,
    /// Ask there instead; whether that is the same origin.
    Follow(String, bool),
    /// Ask again at once.
    Again,
    /// It may succeed later: why it did not, and how long the server asks to wait.
    Later(String, Option<Duration>),
}

/// Where a request goes, and what is known of the file that is there.
struct Target {
    url: String,
    /// Whether secrets may go there.
    is_trusted: bool,
    redirects: usize,
    /// Whether new credentials were asked for already.
    asked_again: bool,
}

impl File<'_> {
    fn fetch(&self, partial: &mut Partial<'_>) -> Result<(), Trouble> {
        if let Some(path) = self.address.file() {
            return self.copy(Utf8PathBuf::from(path), partial);
        }
        let begin = || Target {
            url: self.address.public(),
            is_trusted: true,
            redirects: 0,
            asked_again: false,
        };
        let mut target = begin();
        let mut attempts = Attempts::new();
        // Of what came earlier, all may be there.
        if partial.size() > 0 && self.compare(partial)?.is_ok() {
            return Ok(());
        }
        if self.wanted.size.is_some_and(|size| size <= partial.size()) {
            partial.restart()?;
        }
        partial.validator = None;
        let mut begun_anew = false;
        loop {
            let before = partial.size();
            let step = self.ask(&mut target, partial)?;
            if partial.size() >= before + WORTH_COUNTING {
                attempts = Attempts::new();
            }
            match step {
                Step::Complete => match self.judge(partial)? {
                    Ok(()) => return Ok(()),
                    Err(trouble) => {
                        // Perhaps only what came earlier was something else.
                        let again = partial.is_continued && !begun_anew;
                        partial.restart()?;
                        if !again {
                            return Err(trouble);
                        }
                        begun_anew = true;
                        target = begin();
                    }
                },
                Step::Follow(url, same) => {
                    let redirects = target.redirects + 1;
                    if redirects > redirect::LIMIT {
                        let limit = redirect::LIMIT;
                        let reason = format!("redirects more than {limit} times");
                        return Err(Trouble::Refused(reason));
                    }
                    let is_trusted = target.is_trusted && same;
                    target = Target { url, is_trusted, redirects, ..target };
                }
                Step::Again => {}
                Step::Later(reason, asked) => {
                    let schedule = self.network.config.schedule;
                    let pause = schedule.pause(attempts.retries, random::fraction());
                    let Some(pause) = pause else {
                        let tries = attempts.retries + 1;
                        return Err(Trouble::Refused(format!("{reason}, {tries} times")));
                    };
                    if let Some(asked) = asked.filter(|asked| *asked > LONGEST_PAUSE) {
                        let seconds = asked.as_secs();
                        let reason = format!("{reason}, and asks to wait {seconds} s");
                        return Err(Trouble::Refused(reason));
                    }
                    if !attempts.have_time(self.network.config.timeout) {
                        return Err(Trouble::Refused(reason));
                    }
                    attempts.retries += 1;
                    std::thread::sleep(pause.max(asked.unwrap_or_default()));
                    // A redirect may lead to where it is another time.
                    target = Target { asked_again: target.asked_again, ..begin() };
                }
            }
        }
    }

    /// Whether what is there is what is wanted.
    fn judge(&self, partial: &mut Partial<'_>) -> Result<Result<(), Trouble>, FsError> {
        if let Some(size) = self.wanted.size.filter(|size| *size != partial.size()) {
            return Ok(Err(wrong_size(partial.size(), size)));
        }
        Ok(self.compare(partial)?.map_err(Trouble::Other))
    }

    /// Compares the hash of what is there; what it is where it is another.
    fn compare(&self, partial: &mut Partial<'_>) -> Result<Result<(), String>, FsError> {
        match &self.wanted.hash {
            Expected::Sha256(expected) => {
                let found = partial.hash()?;
                let differs = || format!("its SHA-256 is {found}, expected {expected}");
                Ok((found == *expected).then_some(()).ok_or_else(differs))
            }
            Expected::Other(expected) => {
                let hashes = partial.hash_with(expected.algorithm())?;
                let differs = || format!("it is {}, expected {expected}", expected.found(&hashes));
                Ok(expected.is_of(&hashes).then_some(()).ok_or_else(differs))
            }
        }
    }

    fn ask(&self, target: &mut Target, partial: &mut Partial<'_>) -> Result<Step, Trouble> {
        let at = partial.size();
        let response = match self.send(target, partial)? {
            Ok(response) => response,
            Err(error) => {
                let reason = client::in_words_of(&error, &self.network.agent, &target.url);
                return match client::judge(&error) {
                    Verdict::Retry => Ok(Step::Later(reason, None)),
                    Verdict::Fail | Verdict::Absent => Err(Trouble::Refused(reason)),
                };
            }
        };
        match response.status().as_u16() {
            200 => {
                if at > 0 {
                    partial.restart()?;
                }
                self.receive(response, partial)
            }
            206 if at > 0 && range_begin(&response) == Some(at) => {
                partial.is_continued = true;
                self.receive(response, partial)
            }
            // Nothing that could follow what is there.
            206 | 416 if at > 0 => {
                partial.restart()?;
                Ok(Step::Again)
            }
            code @ (401 | 403) => {
                let answered = target.is_trusted && code == 401 && !target.asked_again;
                if answered && self.network.access.forget(self.address) {
                    target.asked_again = true;
                    return Ok(Step::Again);
                }
                Err(Trouble::Refused(self.denied(code, target)))
            }
            304 => Err(Trouble::Refused("answered 304".to_owned())),
            300..=399 => {
                let location = response.headers().get("location");
                let location = location.map(http::HeaderValue::as_bytes);
                match redirect::of_download(&target.url, location) {
                    Ok((url, same)) => Ok(Step::Follow(url, same)),
                    Err(refusal) => {
                        let status = response.status();
                        let reason = format!("answered {status}, a redirect {refusal}");
                        Err(Trouble::Refused(reason))
                    }
                }
            }
            code => {
                let reason = format!("answered {}", response.status());
                match judge_http(code) {
                    Verdict::Retry => Ok(Step::Later(reason, retry_after(&response))),
                    Verdict::Fail | Verdict::Absent => Err(Trouble::Refused(reason)),
                }
            }
        }
    }

    /// Why somebody who is not known does not get it.
    fn denied(&self, code: u16, target: &Target) -> String {
        let host = self.address.host();
        if !target.is_trusted {
            return format!("answered {code} where it redirects to");
        }
        if self.network.access.has(self.address) {
            format!("{code}; the credentials for {host} are not accepted")
        } else {
            format!("{code}; there are no credentials for {host} (netrc, --credential-helper)")
        }
    }

    fn send(
        &self,
        target: &Target,
        partial: &Partial<'_>,
    ) -> Result<Result<http::Response<Body>, ureq::Error>, Trouble> {
        let (config, at) = (&self.network.config, partial.size());
        let mut request =
            http::Request::builder().uri(&target.url).header("accept-encoding", "identity");
        if target.is_trusted {
            let headers = self.network.access.headers(self.address);
            for (name, value) in headers.map_err(|error| Trouble::Refused(error.to_string()))? {
                request = request.header(name, value);
            }
        }
        if at > 0 {
            request = request.header("range", format!("bytes={at}-"));
            if let Some(validator) = &partial.validator {
                request = request.header("if-range", validator);
            }
        }
        let request = request
            .body(())
            .map_err(|_| Trouble::Refused("the address cannot be used".to_owned()))?;
        let expected = self.wanted.size.unwrap_or(config.limit);
        let whole = allowance(config.timeout, expected.saturating_sub(at));
        let request = self.network.agent.configure_request(request);
        Ok(self.network.agent.run(request.timeout_recv_body(Some(whole)).build()))
    }

    /// Writes down what comes.
    fn receive(
        &self,
        response: http::Response<Body>,
        partial: &mut Partial<'_>,
    ) -> Result<Step, Trouble> {
        let begin = partial.size();
        partial.validator = validator(&response);
        let length = header(&response, "content-length").and_then(|length| length.parse().ok());
        let total = length.map(|length: u64| begin.saturating_add(length));
        if let Some((total, size)) = total.zip(self.wanted.size).filter(|(a, b)| a != b) {
            return if begin == 0 { Err(wrong_size(total, size)) } else { Ok(Step::Complete) };
        }
        let limit = self.wanted.size.unwrap_or(self.network.config.limit);
        let mut pace = Pace::new(self.network.config.timeout);
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; CHUNK];
        loop {
            let begun = Instant::now();
            let count = match next_part(&mut body, &mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Ok(Step::Later(broken(&error, partial.size()), None)),
            };
            if partial.size() + count as u64 > limit {
                partial.restart()?;
                let why = match self.wanted.size {
                    Some(_) => "expected at most those",
                    None => "the most of a file whose size nobody says (--wheel-limit)",
                };
                return Err(Trouble::Other(format!("has more than {limit} bytes, {why}")));
            }
            partial.write(&buffer[..count])?;
            self.progress.advance(0, count as u64);
            if let Err(reason) = pace.note(begun, count) {
                return Err(Trouble::Refused(reason));
            }
        }
        match total.filter(|total| *total != partial.size()) {
            Some(total) => {
                let reason = format!("ended after {} of {total} bytes", partial.size());
                Ok(Step::Later(reason, None))
            }
            None => Ok(Step::Complete),
        }
    }

    /// Takes a file of this machine.
    fn copy(&self, path: Utf8PathBuf, partial: &mut Partial<'_>) -> Result<(), Trouble> {
        use crate::effects::host::fs::{Links, open_regular};
        let unreadable =
            |error: std::io::Error| Trouble::Refused(format!("cannot be read: {error}"));
        let mut file = open_regular(&path, Links::Follow).map_err(unreadable)?;
        partial.restart()?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = file.read(&mut buffer).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            partial.write(&buffer[..count])?;
            self.progress.advance(0, count as u64);
        }
        let judged = self.judge(partial)?;
        if judged.is_err() {
            partial.restart()?;
        }
        judged
    }
}

/// Whether a file system has no more room.
fn is_full(error: &FsError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.source.kind(), StorageFull | QuotaExceeded)
}

/// Reads what has come of a body; nothing at its end.
fn next_part(body: &mut impl std::io::Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match body.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn wrong_size(found: u64, expected: u64) -> Trouble {
    Trouble::Other(format!("has {found} bytes, expected {expected}"))
}

fn broken(error: &std::io::Error, size: u64) -> String {
    let source = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    let words = source.map_or_else(|| error.to_string(), client::in_words);
    format!("broke off after {size} bytes ({words})")
}

fn header<'r>(response: &'r http::Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok().map(str::trim)
}

/// What a later request can compare the file with: a strong tag of the server's.
fn validator(response: &http::Response<Body>) -> Option<String> {
    let tag = header(response, "etag").filter(|tag| tag.starts_with('"') && tag.len() < 1000);
    tag.map(str::to_owned)
}

/// The first byte of what a server sends of a file.
fn range_begin(response: &http::Response<Body>) -> Option<u64> {
    let range = header(response, "content-range")?.strip_prefix("bytes ")?;
    range.split('-').next()?.trim().parse().ok()
}

/// How long a server asks to wait, where it says so in seconds.
fn retry_after(response: &http::Response<Body>) -> Option<Duration> {
    header(response, "retry-after")?.parse().ok().map(Duration::from_secs)
}
