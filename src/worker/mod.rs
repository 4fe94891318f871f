//! Bazel's persistent workers: requests on standard input, responses on standard output, until the
//! input ends.
//!
//! Front end layer, beside the command line: it knows messages, not what a request asks for; that
//! is a closure's. Requests with an identifier run at the same time, as many as help, and may be
//! cancelled while they wait or run (Bazel's "Multiplex workers"); those without run one after
//! another. What a worker does for a request is
//! what the same arguments do as a command.

mod json;
mod proto;

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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

/// Serves requests until the input ends, at most so many at once, and waits for those that still
/// run or wait. They are answered as they are done.
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
    (protocol, at_once): (Option<Protocol>, usize),
    run: impl Fn(&Work<'_>) -> Completion + Sync,
) -> Result<(), WorkerError> {
    let mut input = BufReader::new(input);
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => match recognise(&mut input).map_err(WorkerError::Read)? {
            Some((protocol, start)) => {
                return serve_as(start.chain(input), output, (protocol, at_once), run);
            }
            None => return Ok(()),
        },
    };
    serve_as(input, output, (protocol, at_once), run)
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

fn serve_as(
    input: impl BufRead,
    output: impl Write + Send,
    (protocol, at_once): (Protocol, usize),
    run: impl Fn(&Work<'_>) -> Completion + Sync,
) -> Result<(), WorkerError> {
    let desk = Desk {
        output: Mutex::new(output),
        protocol,
        line: Mutex::default(),
        changed: Condvar::new(),
        broken: Mutex::default(),
    };
    let requests: Box<dyn Iterator<Item = Result<Request, WorkerError>> + '_> = match protocol {
        Protocol::Json => Box::new(json::requests(input)),
        Protocol::Protobuf => Box::new(proto::requests(input)),
    };
    desk.serve(requests, at_once.max(1), &run)?;
    match desk.broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(WorkerError::Write(error)),
        None => Ok(()),
    }
}

impl Response {
    fn cancelled(identifier: i32) -> Self {
        Self { identifier, was_cancelled: true, ..Self::default() }
    }
}

fn work(run: &(impl Fn(&Work<'_>) -> Completion + Sync), job: &Job) -> Response {
    let Job { request, cancelled } = job;
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
        return Response::cancelled(request.identifier);
    }
    Response { exit_code, output, identifier: request.identifier, was_cancelled: false }
}

/// A request that waits or runs.
struct Job {
    request: Request,
    cancelled: Arc<AtomicBool>,
}

/// The requests, in the order in which they came.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Job>,
    running: HashMap<i32, Arc<AtomicBool>>,
    /// Threads that have nothing to do.
    idle: usize,
    /// Whether no more requests come.
    ended: bool,
}

impl Line {
    /// The first request that may begin. Of those without an identifier only one runs at a time:
    /// nobody could tell the responses of two but by their order.
    fn take(&mut self) -> Option<Job> {
        let is_free = |job: &Job| {
            let identifier = job.request.identifier;
            identifier != 0 || !self.running.contains_key(&identifier)
        };
        let job = self.waiting.remove(self.waiting.iter().position(is_free)?)?;
        self.running.insert(job.request.identifier, Arc::clone(&job.cancelled));
        Some(job)
    }
}

/// Where requests are kept until they are answered, and responses go.
struct Desk<W> {
    output: Mutex<W>,
    protocol: Protocol,
    line: Mutex<Line>,
    changed: Condvar,
    broken: Mutex<Option<std::io::Error>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Write + Send> Desk<W> {
    /// Reads requests and has at most so many of them run at once, until no more come and all are
    /// answered. Threads are started as they are needed, and joined: a scope waits for what its
    /// threads do, but not until they are gone, so what they own would outlive them by a moment,
    /// which looks like a leak.
    #[expect(
        clippy::disallowed_methods,
        reason = "where no thread can be started, this one does what was asked"
    )]
    fn serve(
        &self,
        mut requests: impl Iterator<Item = Result<Request, WorkerError>>,
        at_once: usize,
        run: &(impl Fn(&Work<'_>) -> Completion + Sync),
    ) -> Result<(), WorkerError> {
        thread::scope(|scope| {
            let mut threads = Vec::new();
            let outcome = requests.try_for_each(|request| {
                let request = request?;
                if request.cancel {
                    self.cancel(request.identifier);
                    return Ok(());
                }
                let idle = self.queue(request);
                if idle == 0 && threads.len() < at_once {
                    let started =
                        thread::Builder::new().spawn_scoped(scope, || self.work_through(run));
                    threads.extend(started.ok());
                }
                if threads.is_empty() {
                    // No thread is to be had: one request after the other is slower, and right.
                    while let Some(job) = { lock(&self.line).take() } {
                        self.finish(work(run, &job));
                    }
                }
                // Nobody would hear the answers any more.
                if lock(&self.broken).is_some() { Err(None) } else { Ok(()) }
            });
            self.end(matches!(outcome, Err(None)));
            for thread in threads {
                let _ = thread.join();
            }
            match outcome {
                Err(Some(error)) => Err(error),
                Ok(()) | Err(None) => Ok(()),
            }
        })
    }

    /// Takes a request; how many threads have nothing to do but to wait for it.
    fn queue(&self, request: Request) -> usize {
        let mut line = lock(&self.line);
        line.waiting.push_back(Job { request, cancelled: Arc::default() });
        self.changed.notify_one();
        line.idle.saturating_sub(line.waiting.len() - 1)
    }

    /// Runs requests until there are no more.
    fn work_through(&self, run: &(impl Fn(&Work<'_>) -> Completion + Sync)) {
        while let Some(job) = self.next() {
            self.finish(work(run, &job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut line = lock(&self.line);
        loop {
            if let Some(job) = line.take() {
                return Some(job);
            }
            if line.ended && line.waiting.is_empty() {
                return None;
            }
            line.idle += 1;
            line = self.changed.wait(line).unwrap_or_else(PoisonError::into_inner);
            line.idle -= 1;
        }
    }

    /// Says that no more requests come; those that wait are forgotten where nobody hears of them.
    fn end(&self, is_lost: bool) {
        let mut line = lock(&self.line);
        line.ended = true;
        if is_lost {
            line.waiting.clear();
        }
        self.changed.notify_all();
    }

    /// Cancels what waits, which is answered at once, or runs; what has ended already has been
    /// answered.
    fn cancel(&self, identifier: i32) {
        let mut line = lock(&self.line);
        if let Some(cancelled) = line.running.get(&identifier) {
            cancelled.store(true, Ordering::Relaxed);
            return;
        }
        let waits = |job: &Job| job.request.identifier == identifier;
        let found = line.waiting.iter().position(waits).and_then(|at| line.waiting.remove(at));
        drop(line);
        if found.is_some() {
            self.answer(&Response::cancelled(identifier));
        }
    }

    fn finish(&self, response: Response) {
        self.answer(&response);
        lock(&self.line).running.remove(&response.identifier);
        // The next one without an identifier may begin.
        self.changed.notify_all();
    }

    fn answer(&self, response: &Response) {
        let bytes = match self.protocol {
            Protocol::Json => json::encode(response),
            Protocol::Protobuf => proto::encode(response),
        };
        let mut output = lock(&self.output);
        if let Err(error) = output.write_all(&bytes).and_then(|()| output.flush()) {
            lock(&self.broken).get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicUsize;
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
        serve(input, &mut output, (protocol, 3), echo).unwrap();
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
            serve(input, Vec::new(), (Some(Protocol::Protobuf), 3), echo).unwrap_err().to_string()
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
            let error = serve(Broken, Vec::new(), (protocol, 3), echo).unwrap_err();
            assert!(matches!(error, WorkerError::Read(_)) && error.hint().is_none(), "{error}");
        }
        let error = serve(Broken, Vec::new(), (Some(Protocol::Json), 3), echo).unwrap_err();
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
        let worker =
            thread::spawn(move || serve(theirs.try_clone().unwrap(), theirs, (None, 3), echo));
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
        serve(&input[..], &mut output, (None, 3), |_| {
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
            serve(theirs.try_clone().unwrap(), theirs, (None, 3), run)
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
    fn no_more_run_at_once_than_help_and_those_that_wait_can_be_cancelled() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (started, is_started) = mpsc::channel();
        let (started, may_end) = (Mutex::new(started), AtomicBool::new(false));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let run = |work: &Work<'_>| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            lock(&started).send(work.arguments.to_vec()).unwrap();
            while !may_end.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            now.fetch_sub(1, Ordering::SeqCst);
            Completion::default()
        };
        let mut lines = BufReader::new(ours.try_clone().unwrap()).lines();
        thread::scope(|scope| {
            let served = scope
                .spawn(|| serve(theirs.try_clone().unwrap(), &theirs, (None, 2), run).unwrap());
            for request in 1..=40 {
                write!(&ours, "{{\"requestId\":{request}}}").unwrap();
            }
            for _ in 0..2 {
                is_started.recv().unwrap();
            }
            // Answered at once, while the others run.
            write!(&ours, "{{\"requestId\":30,\"cancel\":true}}").unwrap();
            let answer = lines.next().unwrap().unwrap();
            assert!(answer.contains("\"requestId\":30,\"wasCancelled\":true"), "{answer}");
            may_end.store(true, Ordering::SeqCst);
            ours.shutdown(std::net::Shutdown::Write).unwrap();
            served.join().unwrap();
        });
        theirs.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!((lines.count(), is_started.try_iter().count()), (39, 37));
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn requests_without_identifiers_run_one_after_another() {
        let now = AtomicUsize::new(0);
        let run = |work: &Work<'_>| {
            assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0);
            thread::sleep(Duration::from_millis(5));
            now.fetch_sub(1, Ordering::SeqCst);
            Completion { exit_code: 0, output: work.arguments.concat() }
        };
        let input: String =
            (0..9).map(|index| format!("{{\"arguments\":[\"{index}\"]}}")).collect();
        let mut output = Vec::new();
        serve(input.as_bytes(), &mut output, (None, 3), run).unwrap();
        let output = String::from_utf8(output).unwrap();
        let answers: Vec<String> =
            (0..9).map(|index| format!("{{\"exitCode\":0,\"output\":\"{index}\"}}")).collect();
        assert_eq!(output.lines().collect::<Vec<_>>(), answers);
    }

    #[test]
    fn a_bug_is_one_response() {
        let mut output = Vec::new();
        let run = |work: &Work<'_>| {
            assert!(work.arguments.is_empty());
            Completion::default()
        };
        serve(&br#"{"arguments":["x"]}{}"#[..], &mut output, (None, 3), run).unwrap();
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
            serve(input, Vec::new(), (protocol, 3), echo).unwrap_err().to_string()
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
        let error = serve(&b"{}"[..], Closed, (Some(Protocol::Json), 3), echo).unwrap_err();
        assert!(matches!(error, WorkerError::Write(_)), "{error}");
    }
}
