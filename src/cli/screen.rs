//! The one way to a terminal: messages, and below them a line that shows progress and goes away
//! again.
//!
//! Whoever writes a message or data takes the line away first, so that the two are never mixed.
//! Nobody holds a lock for longer than one write. The cursor rests at the beginning of the line,
//! never at its end: so the line can be erased even after the terminal became narrower and broke it
//! in two.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::effects::host::interrupt::{self, Shown};

/// Goes to the line's beginning and erases what is there and below.
const ERASE: &str = "\r\x1b[J";
/// The width of a terminal that does not say how wide it is.
const USUAL_COLUMNS: usize = 80;
/// How long the end waits for a terminal.
const PATIENCE: Duration = Duration::from_millis(200);

/// A terminal. Clones share it.
#[derive(Debug, Clone)]
pub struct Screen {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The line that is to be seen.
    line: String,
    /// Whether there is none to be seen any more.
    ended: bool,
}

impl Screen {
    /// The terminal that standard error is, if it is one that understands how to erase a line.
    /// `terminal` is the variable TERM.
    pub fn of_stderr(terminal: Option<&str>) -> Option<Self> {
        let capable = terminal.is_some_and(|name| !name.is_empty() && name != "dumb");
        (capable && io::stderr().is_terminal()).then(|| Self { state: Arc::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many columns there are.
    pub(crate) fn columns(&self) -> usize {
        let size = rustix::termios::tcgetwinsize(io::stderr());
        size.ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0)
            .unwrap_or(USUAL_COLUMNS)
    }

    /// Whether this process may write a line that it will erase again: not while it works in the
    /// background of a shell.
    pub(crate) fn is_foreground(&self) -> bool {
        rustix::termios::tcgetpgrp(io::stderr())
            .map_or(true, |group| group == rustix::process::getpgrp())
    }

    /// Shows a line of ASCII in the place of the one before.
    pub(crate) fn show(&self, line: &str) {
        let mut state = self.state();
        if state.line != line && !state.ended {
            line.clone_into(&mut state.line);
            let _ = io::stderr().write_all(format!("\r{line}\x1b[J\r").as_bytes());
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        erase(&mut self.state());
    }
}

impl Shown for Screen {
    fn end(&self) {
        let begun = Instant::now();
        // Whoever holds it may be waiting for a terminal that takes nothing: the end does not wait
        // with it.
        while begun.elapsed() < PATIENCE {
            if let Ok(mut state) = self.state.try_lock() {
                erase(&mut state);
                state.ended = true;
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn suspend(&self, stopped: &mut dyn FnMut()) {
        let mut state = self.state();
        erase(&mut state);
        stopped();
    }
}

fn erase(state: &mut State) {
    if !state.line.is_empty() {
        state.line.clear();
        let _ = io::stderr().write_all(ERASE.as_bytes());
    }
}

/// Writes beside the line: to standard error, or to standard output where that is the same
/// terminal.
#[derive(Debug)]
pub struct Beside<W> {
    screen: Option<Screen>,
    inner: W,
}

impl<W: Write> Beside<W> {
    /// Writes to `inner`; takes away the line of `screen` before.
    pub fn new(screen: Option<Screen>, inner: W) -> Self {
        Self { screen, inner }
    }
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if interrupt::is_ending() {
            // What fails because everything is being cleared away is nobody's business.
            return Ok(bytes.len());
        }
        let Some(screen) = &self.screen else {
            return self.inner.write(bytes);
        };
        let mut state = screen.state();
        erase(&mut state);
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
