//! Running another program for its answer: within a time, and with so much output and no more.
//!
//! Effects layer. A program may start others that keep its pipes open, never end, or write without
//! end; none of that may be waited for. So its pipes are read without blocking, by one thread, and
//! what does not keep its bounds is ended with all that it started. What a program that did answer
//! has left behind (an agent, a daemon) is its own affair.
#![expect(clippy::disallowed_methods, reason = "this is the doorway")]

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal};

use crate::effects::host::interrupt::{self, Leftover, UnderWay};

/// What a program may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::effects) struct Bounds {
    /// How long it may run.
    pub(in crate::effects) time: Duration,
    /// The most bytes of standard output, and of standard error.
    pub(in crate::effects) output: usize,
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub(in crate::effects) struct Finished {
    pub(in crate::effects) status: ExitStatus,
    pub(in crate::effects) output: Vec<u8>,
    pub(in crate::effects) errors: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::effects) enum ChildError {
    /// It cannot be started, or not be waited for.
    #[error("cannot be run: {0}")]
    Run(#[from] io::Error),
    /// It took too long.
    #[error("did not end within {} s", .0.as_secs_f64())]
    Time(Duration),
    /// It wrote too much.
    #[error("wrote more than {0} bytes")]
    Output(usize),
}

/// Why a program does not talk.
#[derive(Debug, thiserror::Error)]
pub(in crate::effects) enum TalkError {
    /// It does not keep its bounds, or cannot be run.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// It ended, or closed its pipes, before it had answered.
    #[error("ended without an answer{}", .0.map_or_else(String::new, |status| format!(" ({status})")))]
    Ended(Option<ExitStatus>),
}

impl From<io::Error> for TalkError {
    fn from(error: io::Error) -> Self {
        Self::Child(error.into())
    }
}

/// How often it is looked whether the program has ended while its pipes are open: others may keep
/// them so.
const GLANCE: Duration = Duration::from_millis(20);
/// The same when they are closed: it is about to end.
const SHORT_GLANCE: Duration = Duration::from_millis(1);

/// Runs a program with `input` on its standard input.
///
/// # Errors
/// It cannot be run, or does not keep its bounds.
pub(in crate::effects) fn run(
    command: &mut Command,
    input: &[u8],
    bounds: Bounds,
) -> Result<Finished, ChildError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that it can be ended with what it has started.
    command.process_group(0);
    let mut running = Running::start(command)?;
    let mut input = Feed { pipe: running.child.stdin.take(), rest: input };
    let mut output = Stream::new(running.child.stdout.take());
    let mut errors = Stream::new(running.child.stderr.take());
    let pipes = [
        input.pipe.as_ref().map(AsFd::as_fd),
        output.pipe.as_ref().map(AsFd::as_fd),
        errors.pipe.as_ref().map(AsFd::as_fd),
    ];
    for pipe in pipes.into_iter().flatten() {
        let flags = rustix::fs::fcntl_getfl(pipe).map_err(io::Error::from)?;
        rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK).map_err(io::Error::from)?;
    }
    let begun = Instant::now();
    loop {
        // First this, then the pipes: what it wrote before it ended is in them.
        let status = running.child.try_wait()?;
        running.ended = status.is_some();
        input.feed();
        if !output.drain(bounds.output)? || !errors.drain(bounds.output)? {
            running.ended = false;
            return Err(ChildError::Output(bounds.output));
        }
        if let Some(status) = status {
            return Ok(Finished { status, output: output.bytes, errors: errors.bytes });
        }
        if begun.elapsed() >= bounds.time {
            return Err(ChildError::Time(bounds.time));
        }
        wait(&input, &output, &errors)?;
    }
}

/// Waits until a pipe has something, or it is time to look again.
fn wait(
    input: &Feed<'_>,
    output: &Stream<impl Read + AsFd>,
    errors: &Stream<impl Read + AsFd>,
) -> io::Result<()> {
    let mut polled = Vec::with_capacity(3);
    polled.extend(input.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
    polled.extend(output.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    polled.extend(errors.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    let glance = if polled.is_empty() { SHORT_GLANCE } else { GLANCE };
    let glance = Timespec { tv_sec: 0, tv_nsec: i64::from(glance.subsec_nanos()) };
    match rustix::event::poll(&mut polled, Some(&glance)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Starts a program; one that is just being installed is given a moment.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..20 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(5))
            }
            result => return result,
        }
    }
    command.spawn()
}

/// A program that is asked one thing after the other, and answers each. It is ended, with its
/// group, when this goes away.
#[derive(Debug)]
pub(in crate::effects) struct Conversation {
    input: ChildStdin,
    output: ChildStdout,
    running: Running,
}

impl Conversation {
    /// Starts the program. What it says on standard error is nobody's.
    ///
    /// # Errors
    /// It cannot be started.
    pub(in crate::effects) fn start(command: &mut Command) -> Result<Self, ChildError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0);
        let mut running = Running::start(command)?;
        let pipes = running.child.stdin.take().zip(running.child.stdout.take());
        let (input, output) = pipes.expect("piped above");
        for pipe in [input.as_fd(), output.as_fd()] {
            let flags = rustix::fs::fcntl_getfl(pipe).map_err(io::Error::from)?;
            rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK).map_err(io::Error::from)?;
        }
        Ok(Self { input, output, running })
    }

    /// Gives it bytes, which it has to take within a time.
    ///
    /// # Errors
    /// It does not take them.
    pub(in crate::effects) fn say(
        &mut self,
        mut bytes: &[u8],
        patience: Duration,
    ) -> Result<(), TalkError> {
        let begun = Instant::now();
        while !bytes.is_empty() {
            match self.input.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = patience.checked_sub(begun.elapsed());
                    wait_for(&self.input, PollFlags::OUT, left, patience)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    /// Takes so many bytes from it, which it has to give within a time. Memory follows what comes.
    ///
    /// # Errors
    /// It does not give them.
    pub(in crate::effects) fn hear(
        &mut self,
        count: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, TalkError> {
        let begun = Instant::now();
        let mut bytes = Vec::with_capacity(count.min(HEARD_AT_ONCE));
        while bytes.len() < count {
            let begin = bytes.len();
            bytes.resize(count.min(begin + HEARD_AT_ONCE), 0);
            let result = self.output.read(&mut bytes[begin..]);
            bytes.truncate(begin + *result.as_ref().unwrap_or(&0));
            match result {
                Ok(0) => return Err(self.ended()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = patience.checked_sub(begun.elapsed());
                    wait_for(&self.output, PollFlags::IN, left, patience)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
    }

    /// How it ended, where it does so now.
    fn ended(&mut self) -> TalkError {
        let begun = Instant::now();
        loop {
            match self.running.child.try_wait() {
                Ok(None) if begun.elapsed() < FAREWELL => std::thread::sleep(SHORT_GLANCE),
                Ok(status) => return TalkError::Ended(status),
                Err(error) => return error.into(),
            }
        }
    }
}

/// The most bytes for which there is room before they come.
const HEARD_AT_ONCE: usize = 64 << 10;
/// How long a program that closed its pipes may take to end, if it is to be known how.
const FAREWELL: Duration = Duration::from_secs(1);

/// Waits until a pipe is ready, as long as there is time left.
fn wait_for(
    pipe: &impl AsFd,
    flags: PollFlags,
    left: Option<Duration>,
    patience: Duration,
) -> Result<(), ChildError> {
    interrupt::check();
    let left = left.filter(|left| !left.is_zero()).ok_or(ChildError::Time(patience))?;
    // No longer, so that a signal is heeded.
    let left = left.min(Duration::from_millis(200));
    let left = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
    match rustix::event::poll(&mut [PollFd::new(pipe, flags)], Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// A program that is ended, with its group, unless it was seen to have ended well.
#[derive(Debug)]
struct Running {
    child: Child,
    ended: bool,
    /// A signal that ends us ends it, too: in a group of its own, it hears none of a terminal's.
    _under_way: Option<UnderWay>,
}

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        interrupt::begin_to_listen();
        let mut held = interrupt::hold();
        let child = spawn(command)?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let under_way = group.map(|group| held.begin(Leftover::Group(group)));
        Ok(Self { child, ended: false, _under_way: under_way })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Its number is not given to another group as long as one of its processes is there, or it
        // was not waited for.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes on their way to the program.
struct Feed<'a> {
    pipe: Option<std::process::ChildStdin>,
    rest: &'a [u8],
}

impl Feed<'_> {
    fn feed(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            match if self.rest.is_empty() { Ok(0) } else { pipe.write(self.rest) } {
                Ok(count) if count > 0 => self.rest = &self.rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // All is written; or it does not read its input, which is its right.
                _ => self.pipe = None,
            }
        }
    }
}

/// Bytes that come from the program.
struct Stream<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read> Stream<R> {
    fn new(pipe: Option<R>) -> Self {
        Self { pipe, bytes: Vec::new() }
    }

    /// Takes what is there; says whether it is within the limit.
    fn drain(&mut self, limit: usize) -> io::Result<bool> {
        let mut buffer = [0; 8 << 10];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    if self.bytes.len() + count > limit {
                        return Ok(false);
                    }
                    self.bytes.extend_from_slice(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &[u8], bounds: Bounds) -> Result<Finished, ChildError> {
        run(Command::new("sh").args(["-c", script]), input, bounds)
    }

    const WIDE: Bounds = Bounds { time: Duration::from_secs(30), output: 1 << 20 };

    #[test]
    fn what_goes_in_comes_out() {
        let input: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let finished = shell("cat; echo no >&2; exit 3", &input, WIDE).unwrap();
        assert_eq!((finished.status.code(), finished.errors.as_slice()), (Some(3), &b"no\n"[..]));
        assert!(finished.output == input);
        assert!(shell("exec <&-; sleep 0.1; echo yes", &input, WIDE).unwrap().output == b"yes\n");
    }

    #[test]
    fn a_group_that_does_not_end_is_ended_whole() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("child").to_str().unwrap().to_owned();
        let short = Bounds { time: Duration::from_millis(200), ..WIDE };
        let script = format!("sleep 100 & echo $! > '{note}'; wait");
        assert!(matches!(shell(&script, b"", short), Err(ChildError::Time(_))));
        let child: i32 = std::fs::read_to_string(note).unwrap().trim().parse().unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            // Killed, and at most not yet waited for by whoever inherited it.
            stat.is_empty() || stat.contains(") Z ")
        };
        let begun = Instant::now();
        while cfg!(target_os = "linux") && !gone() {
            assert!(begun.elapsed() < WIDE.time, "{child} still runs");
            std::thread::sleep(GLANCE);
        }
    }

    #[test]
    fn a_conversation_goes_on_until_one_of_both_ends_it() {
        let start = |script| Conversation::start(Command::new("sh").args(["-c", script])).unwrap();
        let second = Duration::from_secs(30);
        let mut echo = start("exec cat");
        for size in [1, 60_000] {
            let bytes = vec![b'x'; size];
            echo.say(&bytes, second).unwrap();
            assert!(echo.hear(bytes.len(), second).unwrap() == bytes);
        }
        let short = Duration::from_millis(100);
        assert!(matches!(echo.hear(1, short), Err(TalkError::Child(ChildError::Time(_)))));
        assert!(matches!(
            start("sleep 60").say(&vec![b'x'; 1 << 20], short),
            Err(TalkError::Child(ChildError::Time(_)))
        ));
        let ended = start("printf abc; exit 3").hear(4, second).unwrap_err().to_string();
        assert_eq!(ended, "ended without an answer (exit status: 3)");
        let mut gone = start("exit 0");
        assert!(matches!(gone.hear(1, second), Err(TalkError::Ended(Some(_)))));
        assert!(matches!(gone.say(b"x", second), Err(TalkError::Ended(Some(_)))));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(matches!(
            run(&mut Command::new("/nonexistent/program"), b"", WIDE),
            Err(ChildError::Run(_))
        ));
    }
}
