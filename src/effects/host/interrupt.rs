//! Signals that end the process: what it has under way is cleared away before, and then it ends as
//! if nobody had listened.
//!
//! Effects layer. A program says in its beginning that the process is its own ([`take_over`]); from
//! the first thing that is under way on, SIGHUP, SIGINT and SIGTERM are listened to, unless whoever
//! started the process told it to ignore them. A second signal ends it at once. Where the system
//! has no thread to listen with, the main thread looks between tasks whether a signal came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use crate::effects::host::fs::read_text;
use crate::effects::host::{remove, spare, status};

/// What is shown on a terminal while the process works.
pub trait Shown: Send + Sync {
    /// Takes it away for good.
    fn end(&self);
    /// Takes it away, and keeps it away while `stopped` runs.
    fn suspend(&self, stopped: &mut dyn FnMut());
}

/// What is left behind if nobody clears it away.
#[derive(Debug, Clone)]
pub enum Leftover {
    /// A directory with all that is in it.
    Directory(Utf8PathBuf),
    /// A file.
    File(Utf8PathBuf),
    /// A program, with all in its process group.
    Group(Pid),
}

struct State {
    /// Whether the process is ours to end.
    ours: bool,
    listening: bool,
    shown: Option<Box<dyn Shown>>,
    next: u64,
    leftovers: BTreeMap<u64, Leftover>,
}

static STATE: Mutex<State> = Mutex::new(State {
    ours: false,
    listening: false,
    shown: None,
    next: 0,
    leftovers: BTreeMap::new(),
});
static MAIN: OnceLock<ThreadId> = OnceLock::new();
/// Whether a signal is ending the process.
static ENDING: AtomicBool = AtomicBool::new(false);
/// How long other threads are given to notice that their directory is going away.
const PATIENCE: Duration = Duration::from_secs(5);

/// A thing is under way until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct UnderWay(u64);

impl Drop for UnderWay {
    fn drop(&mut self) {
        hold().state().leftovers.remove(&self.0);
    }
}

/// While this is held, no signal clears anything away. Not to be held for long, nor while a
/// [`UnderWay`] is dropped.
pub struct Held(MutexGuard<'static, State>);

impl Held {
    fn state(&mut self) -> &mut State {
        &mut self.0
    }

    /// Says that a thing is about to be under way. From now on signals are listened to.
    pub fn begin(&mut self, leftover: Leftover) -> UnderWay {
        let state = self.state();
        listen(state);
        spare::keep();
        state.next += 1;
        state.leftovers.insert(state.next, leftover);
        UnderWay(state.next)
    }

    /// Whether there are descriptors for clearing away, whatever else will be open: without them
    /// nothing should be begun.
    pub fn can_clear_away(&mut self) -> bool {
        spare::are_kept()
    }
}

/// Keeps signals from clearing anything away for a moment: for a step that must happen as a whole.
pub fn hold() -> Held {
    Held(STATE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Says that this process does nothing but what this program does, and that this is its main
/// thread.
pub fn take_over(shown: Option<Box<dyn Shown>>) {
    let _ = MAIN.set(thread::current().id());
    // A file that grows beyond a limit (`ulimit -f`) is an error, as on a full disk, and not the
    // end.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let mut held = hold();
    held.state().ours = true;
    held.state().shown = shown;
}

/// Listens to signals from now on, as something is shown that a signal should take away.
pub fn begin_to_listen() {
    listen(hold().state());
}

/// Whether a signal is ending the process: then nobody is told anything any more.
pub fn is_ending() -> bool {
    ENDING.load(Ordering::Acquire)
}

/// For the end of the main thread: where a signal is ending the process, that is its end.
pub fn settle() {
    if PENDING.load(Ordering::Acquire) != 0 {
        end_pending();
    }
    while is_ending() {
        thread::park();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "where no thread can be started, signals do what they do by themselves"
)]
fn listen(state: &mut State) {
    if !state.ours || state.listening {
        return;
    }
    state.listening = true;
    let mut signals: Vec<i32> =
        [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal)).collect();
    let ends = signals.clone();
    if state.shown.is_some() && !is_ignored(SIGTSTP) {
        signals.push(SIGTSTP);
    }
    // The thread first: without one, whatever a signal does by itself must go on to happen.
    let (hand_over, taken) = mpsc::channel::<Signals>();
    let listener = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for mut signals in taken {
            for signal in signals.forever() {
                if signal == SIGTSTP { stop() } else { end(signal) }
            }
        }
    });
    if listener.is_err() {
        listen_without_thread(&ends);
        return;
    }
    let second = Arc::new(AtomicBool::new(false));
    for signal in &ends {
        // In this order: the first signal finds the flag as it was.
        let _ = flag::register_conditional_default(*signal, Arc::clone(&second));
        let _ = flag::register(*signal, Arc::clone(&second));
    }
    match Signals::new(&signals) {
        Ok(signals) => drop(hand_over.send(signals)),
        // No descriptors: a signal ends the process at once, and the next one clears away.
        Err(_) => second.store(true, Ordering::Release),
    }
}

/// The signal that came where no thread could listen.
static PENDING: AtomicUsize = AtomicUsize::new(0);

fn listen_without_thread(signals: &[i32]) {
    let second = Arc::new(AtomicBool::new(false));
    for signal in signals {
        let _ = flag::register_conditional_default(*signal, Arc::clone(&second));
        let _ = flag::register(*signal, Arc::clone(&second));
        let _ =
            flag::register_usize(*signal, &PENDING, usize::try_from(*signal).unwrap_or_default());
    }
}

/// That the main thread was interrupted between two tasks: what unwinds it.
#[derive(Debug)]
pub struct Interrupted;

/// Between two tasks: if no thread could listen and a signal came, the main thread gives up
/// everything that it was about to do.
pub fn check() {
    if PENDING.load(Ordering::Acquire) != 0
        && MAIN.get() == Some(&thread::current().id())
        && !thread::panicking()
    {
        ENDING.store(true, Ordering::Release);
        std::panic::resume_unwind(Box::new(Interrupted));
    }
}

/// After [`Interrupted`] has unwound the main thread: ends the process as the signal says.
pub fn end_pending() -> ! {
    end(i32::try_from(PENDING.load(Ordering::Acquire)).unwrap_or(SIGTERM))
}

/// Clears everything away and ends the process.
#[expect(clippy::disallowed_methods, reason = "nothing is unfinished any more")]
fn end(signal: i32) -> ! {
    ENDING.store(true, Ordering::Release);
    // Never given back: whoever wants to finish something now waits for the end.
    let mut held = hold();
    let state = held.state();
    if let Some(shown) = &state.shown {
        shown.end();
    }
    let leftovers: Vec<Leftover> = state.leftovers.values().cloned().collect();
    // What is needed to clear away is there, whatever other threads have open.
    spare::give();
    for leftover in &leftovers {
        match leftover {
            Leftover::Group(group) => {
                let _ = rustix::process::kill_process_group(*group, Signal::TERM);
            }
            Leftover::File(path) => drop(std::fs::remove_file(path)),
            Leftover::Directory(path) => {
                let begun = std::time::Instant::now();
                // Other threads may still be writing there.
                while remove::directory(path).is_err() && begun.elapsed() < PATIENCE {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }
    for leftover in &leftovers {
        if let Leftover::Group(group) = leftover {
            let _ = rustix::process::kill_process_group(*group, Signal::KILL);
        }
    }
    let _ = low_level::emulate_default_handler(signal);
    // Not reached: these signals end a process.
    std::process::exit(128 + signal)
}

/// Stops the process, as the terminal asks; returns when it goes on.
fn stop() {
    // The kernel stops no group that nobody could let go on. With this signal emulated, we have to
    // look ourselves.
    if is_orphaned() {
        return;
    }
    let mut stopped = || drop(low_level::emulate_default_handler(SIGTSTP));
    // Not held meanwhile: nothing is to wait for this but what is shown.
    let shown = hold().state().shown.take();
    match &shown {
        Some(shown) => shown.suspend(&mut stopped),
        None => stopped(),
    }
    hold().state().shown = shown;
}

/// Whether no process of this session watches over our group, as a shell does.
fn is_orphaned() -> bool {
    let (group, session) = (rustix::process::getpgrp(), rustix::process::getsid(None).ok());
    let mut parent = rustix::process::getppid();
    while let Some(process) = parent {
        match rustix::process::getpgid(Some(process)) {
            Ok(other) if other == group => parent = parent_of(process),
            Ok(_) => return rustix::process::getsid(Some(process)).ok() != session,
            Err(_) => return true,
        }
    }
    true
}

fn parent_of(process: Pid) -> Option<Pid> {
    let text =
        read_text(Utf8Path::new(&format!("/proc/{}/stat", process.as_raw_nonzero()))).ok()?;
    // The name, in parentheses, may hold anything.
    let number = text.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?;
    Pid::from_raw(number.parse().ok()?)
}

/// Whether whoever started the process told it to ignore a signal, as `nohup` does, and shells for
/// what runs in the background.
fn is_ignored(signal: i32) -> bool {
    let Some(mask) = status::field("SigIgn") else {
        // Not to be found out here. A hang-up is what people have ignored; the others, seldom.
        return signal == SIGHUP;
    };
    u64::from_str_radix(mask, 16).is_ok_and(|mask| mask & (1 << (signal - 1)) != 0)
}
