//! Bazel's persistent workers: requests on standard input, responses on standard output, until the
//! input ends.
//!
//! Front end layer, beside the command line: it knows messages, not what a request asks for; that
//! is a closure's. Requests with an identifier run at the same time and may be cancelled (Bazel's
//! "Multiplex workers"), those without run one after another. What a worker does for a request is
//! what the same arguments do as a command.

mod json;
mod proto;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{ErrorKind, Explain, Explanation};

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers, each after its length: Bazel's default.
    Protobuf,
    /// JSON objects, with or without white space between them.
    Json,
}

/// A request as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Request {
    arguments: Vec<String>,
    identifier: i32,
    cancel: bool,
    verbosity: i32,
    directory: String,
}

/// A response to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Response {
    exit_code: i32,
    output: String,
    identifier: i32,
    was_cancelled: bool,
}

/// One request's work.
#[derive(Debug)]
pub struct Work<'a> {
    /// The command's arguments.
    pub arguments: &'a [String],
    /// The directory that paths are relative to, where it is not the process's: `sandbox_dir`.
    pub directory: Option<&'a str>,
    /// How much to say; 0 is the least.
    pub verbosity: i32,
    /// Set when nobody wants the result any more.
    pub cancelled: &'a Arc<AtomicBool>,
}

/// How the work ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The exit code that the command would have had.
    pub exit_code: u8,
    /// What it would have written.
    pub output: String,
}

/// Why the worker has to end before its input does.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The input cannot be read.
    #[error("cannot read requests: {0}")]
    Read(std::io::Error),
    /// The output cannot be written.
    #[error("cannot write a response: {0}")]
    Write(std::io::Error),
    /// The input is no request.
    #[error("expected a work request as JSON: {0}")]
    Json(serde_json::Error),
    /// The input is no request.
    #[error("expected a work request as protocol buffer: {0}")]
    Protobuf(String),
}

impl Explain for WorkerError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Json(_) | Self::Protobuf(_) => ErrorKind::Io
                .hint("`--protocol` must be what the action's `requires-worker-protocol` says"),
            Self::Read(_) | Self::Write(_) => ErrorKind::Io.no_hint(),
        }
    }
}

/// More bytes than any request has, with all its inputs.
const MOST_BYTES: u64 = 128 << 20;
/// More arguments than any request has.
const MOST_ARGUMENTS: usize = 1_000_000;

/// The exit code for work that panicked, as of a process that did.
const PANICKED: i32 = 101;

/// Serves requests until the input ends, and waits for those that still run.
///
/// Without a protocol it is recognised by the first two bytes: only JSON begins with `{"`, because
/// 0x22 would be a length-delimited field 4, and a request's field 4 is a boolean.
///
/// # Errors
/// The input cannot be read or holds no requests, or responses cannot be written. Errors of the
/// work are in its responses.
pub fn serve(
    input: impl Read,
    output: impl Write + Send,
    protocol: Option<Protocol>,
    run: impl Fn(&Work<'_>) -> Completion + Sync,
) -> Result<(), WorkerError> {
    let mut input = BufReader::new(input);
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => match recognise(&mut input).map_err(WorkerError::Read)? {
            Some((protocol, start)) => return serve_as(start.chain(input), output, protocol, run),
            None => return Ok(()),
        },
    };
    serve_as(input, output, protocol, run)
}

/// Reads the first two bytes, one by one because no more may be there yet. `None` at the end of the
/// input.
fn recognise(
    input: &mut impl BufRead,
) -> std::io::Result<Option<(Protocol, std::io::Cursor<Vec<u8>>)>> {
    let mut start = Vec::new();
    for byte in input.by_ref().bytes().take(2) {
        start.push(byte?);
        if start[0] != b'{' {
            break;
        }
    }
    let protocol = if start.as_slice() == b"{\"" { Protocol::Json } else { Protocol::Protobuf };
    Ok((!start.is_empty()).then(|| (protocol, std::io::Cursor::new(start))))
}

#[expect(
    clippy::disallowed_methods,
    reason = "where no thread can be started, this one does what was asked"
)]
fn serve_as(
    input: impl BufRead,
    output: impl Write + Send,
    protocol: Protocol,
    run: impl Fn(&Work<'_>) -> Completion + Sync,
) -> Result<(), WorkerError> {
    let desk = Desk {
        output: Mutex::new(output),
        protocol,
        running: Mutex::default(),
        broken: Mutex::default(),
    };
    let requests: Box<dyn Iterator<Item = Result<Request, WorkerError>> + '_> = match protocol {
        Protocol::Json => Box::new(json::requests(input)),
        Protocol::Protobuf => Box::new(proto::requests(input)),
    };
    thread::scope(|scope| {
        let mut threads = Threads::default();
        for request in requests {
            let request = request?;
            threads.join_finished();
            if request.cancel {
                desk.cancel(request.identifier);
                continue;
            }
            if request.identifier == 0 {
                // Nobody could tell the responses of two such requests apart but by their order.
                threads.join_unnamed();
            }
            let cancelled = desk.begin(request.identifier);
            let (desk, run, identifier) = (&desk, &run, request.identifier);
            let request = Arc::new(request);
            let (theirs, ours) = (Arc::clone(&request), Arc::clone(&cancelled));
            let started = thread::Builder::new()
                .spawn_scoped(scope, move || desk.finish(work(run, &theirs, &ours)));
            match (started, identifier) {
                // No thread is to be had: one request after the other is slower, and right.
                (Err(_), _) => desk.finish(work(run, &request, &cancelled)),
                (Ok(handle), 0) => threads.unnamed = Some(handle),
                (Ok(handle), _) => threads.named.push(handle),
            }
            if desk.is_broken() {
                break;
            }
        }
        Ok(())
    })?;
    match desk.broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(WorkerError::Write(error)),
        None => Ok(()),
    }
}

/// The threads of requests. All of them are joined: a scope waits for what its threads do, but not
/// until they are gone, so what they own outlives them by a moment, which looks like a leak.
#[derive(Default)]
struct Threads<'scope> {
    named: Vec<thread::ScopedJoinHandle<'scope, ()>>,
    /// The last one of a request without an identifier.
    unnamed: Option<thread::ScopedJoinHandle<'scope, ()>>,
}

impl Threads<'_> {
    /// Joins those that have nothing left to do.
    fn join_finished(&mut self) {
        for handle in self.named.extract_if(.., |handle| handle.is_finished()) {
            let _ = handle.join();
        }
    }

    fn join_unnamed(&mut self) {
        if let Some(handle) = self.unnamed.take() {
            let _ = handle.join();
        }
    }
}

impl Drop for Threads<'_> {
    fn drop(&mut self) {
        self.join_unnamed();
        for handle in self.named.drain(..) {
            let _ = handle.join();
        }
    }
}

fn work(
    run: &(impl Fn(&Work<'_>) -> Completion + Sync),
    request: &Request,
    cancelled: &Arc<AtomicBool>,
) -> Response {
    let work = Work {
        arguments: &request.arguments,
        directory: (!request.directory.is_empty()).then_some(request.directory.as_str()),
        verbosity: request.verbosity,
        cancelled,
    };
    // A bug met by one request must not take the others with it.
    let (exit_code, output) = match panic::catch_unwind(AssertUnwindSafe(|| run(&work))) {
        Ok(completion) => (i32::from(completion.exit_code), completion.output),
        Err(_) => (
            PANICKED,
            "venvtree failed because of a bug in it; its worker's log says where\n".to_owned(),
        ),
    };
    if cancelled.load(Ordering::Relaxed) {
        return Response {
            identifier: request.identifier,
            was_cancelled: true,
            ..Response::default()
        };
    }
    Response { exit_code, output, identifier: request.identifier, was_cancelled: false }
}

/// Where requests are kept while they run, and responses go.
struct Desk<W> {
    output: Mutex<W>,
    protocol: Protocol,
    running: Mutex<HashMap<i32, Arc<AtomicBool>>>,
    broken: Mutex<Option<std::io::Error>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Write> Desk<W> {
    fn begin(&self, identifier: i32) -> Arc<AtomicBool> {
        let cancelled = Arc::new(AtomicBool::new(false));
        lock(&self.running).insert(identifier, Arc::clone(&cancelled));
        cancelled
    }

    /// Cancels what runs; what has ended already has been answered.
    fn cancel(&self, identifier: i32) {
        if let Some(cancelled) = lock(&self.running).get(&identifier) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    fn finish(&self, response: Response) {
        lock(&self.running).remove(&response.identifier);
        let bytes = match self.protocol {
            Protocol::Json => json::encode(&response),
            Protocol::Protobuf => proto::encode(&response),
        };
        let mut output = lock(&self.output);
        if let Err(error) = output.write_all(&bytes).and_then(|()| output.flush()) {
            lock(&self.broken).get_or_insert(error);
        }
    }

    fn is_broken(&self) -> bool {
        lock(&self.broken).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn echo(work: &Work<'_>) -> Completion {
        let directory = work.directory.unwrap_or("-");
        Completion {
            exit_code: work.arguments.len() as u8,
            output: format!("{directory} {} {}", work.verbosity, work.arguments.join(",")),
        }
    }

    fn serve_bytes(input: &[u8], protocol: Option<Protocol>) -> Vec<u8> {
        let mut output = Vec::new();
        serve(input, &mut output, protocol, echo).unwrap();
        output
    }

    #[test]
    fn json_requests_need_no_line_ends() {
        let input = br#"{"arguments":["a","b"],"inputs":[{"path":"a","digest":"eA=="}]}{"arguments":["c"],"sandboxDir":"s","verbosity":3}"#;
        for protocol in [None, Some(Protocol::Json)] {
            let output = String::from_utf8(serve_bytes(input, protocol)).unwrap();
            assert_eq!(
                output,
                "{\"exitCode\":2,\"output\":\"- 0 a,b\"}\n{\"exitCode\":1,\"output\":\"s 3 c\"}\n"
            );
        }
    }

    #[test]
    fn protobuf_requests_come_after_their_lengths() {
        // arguments "a"; inputs, passed over; sandbox_dir "s". Then an empty request.
        let input = [10, 0x0a, 1, b'a', 0x12, 2, 0x0a, 0, 0x32, 1, b's', 0];
        for protocol in [None, Some(Protocol::Protobuf)] {
            let output = serve_bytes(&input, protocol);
            assert_eq!(
                output,
                [&[9, 8, 1, 0x12, 5][..], b"s 0 a", &[6, 0x12, 4], b"- 0 "].concat()
            );
        }
    }

    #[test]
    fn protobuf_requests_say_how_much_to_say_and_what_to_cancel() {
        // verbosity 5; a cancellation of what never ran.
        let input = [2, 0x28, 5, 4, 0x18, 9, 0x20, 1];
        assert_eq!(
            serve_bytes(&input, Some(Protocol::Protobuf)),
            [&[6, 0x12, 4][..], b"- 5 "].concat()
        );
        let failure = |input: &[u8]| {
            serve(input, Vec::new(), Some(Protocol::Protobuf), echo).unwrap_err().to_string()
        };
        assert_eq!(
            failure(&[0x80; 11]),
            "expected a work request as protocol buffer: a request's length has more than ten bytes"
        );
    }

    #[test]
    fn an_input_that_cannot_be_read_is_an_error_without_advice() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::ConnectionReset.into())
            }
        }
        for protocol in [None, Some(Protocol::Protobuf)] {
            let error = serve(Broken, Vec::new(), protocol, echo).unwrap_err();
            assert!(matches!(error, WorkerError::Read(_)) && error.hint().is_none(), "{error}");
        }
        let error = serve(Broken, Vec::new(), Some(Protocol::Json), echo).unwrap_err();
        assert!(error.to_string().contains("connection reset"), "{error}");
    }

    #[test]
    fn a_protobuf_request_of_the_length_that_is_a_brace_is_no_json() {
        let argument = "x".repeat(121);
        let input = [&[b'{', 0x0a, 121][..], argument.as_bytes()].concat();
        assert_eq!(
            serve_bytes(&input, None),
            [&[129, 1, 8, 1, 0x12, 125][..], b"- 0 ", argument.as_bytes()].concat()
        );
    }

    #[test]
    fn a_request_is_answered_before_anything_follows_it() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let worker = thread::spawn(move || serve(theirs.try_clone().unwrap(), theirs, None, echo));
        let mut lines = BufReader::new(ours.try_clone().unwrap()).lines();
        for request in 1..3 {
            write!(&ours, "{{\"requestId\":{request},\"arguments\":[]}}").unwrap();
            assert_eq!(
                lines.next().unwrap().unwrap(),
                format!("{{\"exitCode\":0,\"output\":\"- 0 \",\"requestId\":{request}}}")
            );
        }
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        worker.join().unwrap().unwrap();
    }

    #[test]
    fn requests_with_identifiers_run_at_the_same_time() {
        let barrier = std::sync::Barrier::new(3);
        let input = br#"{"requestId":1}{"requestId":2}{"requestId":3}"#;
        let mut output = Vec::new();
        // Ends only if all three wait at once.
        serve(&input[..], &mut output, None, |_| {
            barrier.wait();
            Completion::default()
        })
        .unwrap();
        assert_eq!(String::from_utf8(output).unwrap().lines().count(), 3);
    }

    #[test]
    fn a_cancelled_request_is_answered_once() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (started, is_started) = mpsc::channel();
        let started = Mutex::new(started);
        let worker = thread::spawn(move || {
            let run = |work: &Work<'_>| {
                lock(&started).send(()).unwrap();
                while !work.cancelled.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                Completion { exit_code: 1, output: "half done".to_owned() }
            };
            serve(theirs.try_clone().unwrap(), theirs, None, run)
        });
        write!(&ours, "{{\"requestId\":7}}").unwrap();
        is_started.recv().unwrap();
        // Bazel may also cancel what it has had an answer for.
        write!(&ours, "{{\"requestId\":9,\"cancel\":true}}{{\"requestId\":7,\"cancel\":true}}")
            .unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        let mut output = String::new();
        (&ours).read_to_string(&mut output).unwrap();
        assert_eq!(
            output,
            "{\"exitCode\":0,\"output\":\"\",\"requestId\":7,\"wasCancelled\":true}\n"
        );
        worker.join().unwrap().unwrap();
    }

    #[test]
    fn a_bug_is_one_response() {
        let mut output = Vec::new();
        let run = |work: &Work<'_>| {
            assert!(work.arguments.is_empty());
            Completion::default()
        };
        serve(&br#"{"arguments":["x"]}{}"#[..], &mut output, None, run).unwrap();
        let output = String::from_utf8(output).unwrap();
        assert!(
            output.starts_with("{\"exitCode\":101,\"output\":\"venvtree failed because of a bug"),
            "{output}"
        );
        assert!(output.ends_with("{\"exitCode\":0,\"output\":\"\"}\n"), "{output}");
    }

    #[test]
    fn what_is_no_request_ends_the_worker() {
        let failure = |input: &[u8], protocol| {
            serve(input, Vec::new(), protocol, echo).unwrap_err().to_string()
        };
        assert!(
            failure(b"{\"arguments\":3}", None)
                .starts_with("expected a work request as JSON: invalid type")
        );
        assert!(
            failure(b"{\"arguments\":[", None).starts_with("expected a work request as JSON: EOF")
        );
        assert_eq!(
            failure(&[5, 0x0a], None),
            "expected a work request as protocol buffer: the input ends in the middle of a request"
        );
        assert_eq!(
            failure(&[2, 0x0a, 9], None),
            "expected a work request as protocol buffer: the message ends in the middle of a field"
        );
        assert!(
            failure(&[0xff, 0xff, 0xff, 0xff, 0x7f], None)
                .contains("is 34359738367 bytes, more than")
        );
        assert!(serve_bytes(b"", None).is_empty());
    }

    #[test]
    fn a_lost_output_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let error = serve(&b"{}"[..], Closed, Some(Protocol::Json), echo).unwrap_err();
        assert!(matches!(error, WorkerError::Write(_)), "{error}");
    }
}
