//! Progress on a terminal; nothing anywhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cli::quantity;
use crate::cli::screen::Screen;
use crate::effects::host::interrupt;
use crate::effects::work::progress::{Amount, Phase, Progress, Snapshot};

/// Work that is over sooner is not worth a line.
const DELAY: Duration = Duration::from_millis(300);
const INTERVAL: Duration = Duration::from_millis(100);
/// What turns round while work goes on, one after the other.
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// A line that shows progress until it is dropped.
pub(crate) struct Shown {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Shows progress, if there is a screen. Where the system has no thread to give, nothing is shown
/// and the work goes on.
#[expect(clippy::disallowed_methods, reason = "where no thread can be started, nothing is shown")]
pub(crate) fn show(progress: &Progress, screen: Option<&Screen>) -> Shown {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = screen.and_then(|screen| {
        interrupt::begin_to_listen();
        let (progress, screen, stop) = (progress.clone(), screen.clone(), Arc::clone(&stop));
        thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || draw(&progress, &screen, &stop))
            .ok()
    });
    Shown { stop, thread }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn draw(progress: &Progress, screen: &Screen, stop: &AtomicBool) {
    let mut pace = Pace::default();
    let mut turn = 0;
    thread::park_timeout(DELAY);
    while !stop.load(Ordering::Relaxed) {
        match progress.get() {
            Some(snapshot) if screen.is_foreground() => {
                let rate = pace.rate(snapshot, Instant::now());
                screen.show(&line(SPINNER[turn % SPINNER.len()], snapshot, rate, screen.columns()));
                turn += 1;
            }
            Some(_) => {}
            None => screen.clear(),
        }
        thread::park_timeout(INTERVAL);
    }
    screen.clear();
}

/// How many bytes a second there were lately.
#[derive(Default)]
struct Pace {
    since: Option<(Instant, Phase, u64)>,
    rate: Option<u64>,
}

impl Pace {
    /// What is measured over less time jumps about.
    const WINDOW: Duration = Duration::from_secs(1);

    fn rate(&mut self, snapshot: Snapshot, now: Instant) -> Option<u64> {
        let bytes = snapshot.done.bytes;
        match self.since {
            Some((start, phase, before)) if phase == snapshot.phase && before <= bytes => {
                let elapsed = now.duration_since(start);
                if elapsed >= Self::WINDOW {
                    self.rate = Some(((bytes - before) as f64 / elapsed.as_secs_f64()) as u64);
                    self.since = Some((now, phase, bytes));
                }
            }
            _ => *self = Self { since: Some((now, snapshot.phase, bytes)), rate: None },
        }
        self.rate
    }
}

/// The fullest account that leaves the last column free: a terminal that is written up to its edge
/// may go on to the next line.
fn line(spinner: char, snapshot: Snapshot, rate: Option<u64>, columns: usize) -> String {
    let (verb, noun) = words(snapshot.phase);
    let Snapshot { phase, done, total } = snapshot;
    let items = part(done.items, total.items, |number| number.to_string(), "/")
        .map(|items| format!("{items} {noun}"));
    let bytes = part(done.bytes, total.bytes, quantity::size, " of ");
    let rate = rate
        .filter(|_| matches!(phase, Phase::Downloading | Phase::Uploading))
        .map(|rate| format!("{}/s", quantity::size(rate)));
    let percent = percent(done, total).map(|percent| format!("{percent} %"));
    let join = |parts: &[&Option<String>]| {
        let parts: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
        format!("{spinner} {verb} {}", parts.join(", ")).trim_end().to_owned()
    };
    let mut choices = vec![join(&[&items, &bytes, &rate])];
    if rate.is_some() {
        choices.push(join(&[&bytes, &rate]));
    }
    choices.extend([join(&[&items, &bytes]), join(&[&items]), join(&[&percent]), join(&[])]);
    choices
        .into_iter()
        .find(|line| line.chars().count() < columns)
        .unwrap_or_else(|| spinner.to_string().repeat(usize::from(columns > 1)))
}

fn words(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Loading => ("loading", "wheels"),
        Phase::Planning => ("planning", "files"),
        Phase::Compiling => ("compiling", "files"),
        Phase::Reading => ("reading", "files"),
        Phase::Writing => ("writing", "files"),
        Phase::Packing => ("packing", "files"),
        Phase::Downloading => ("downloading", "files"),
        Phase::Uploading => ("uploading", "files"),
        Phase::Checking => ("checking the store", "files"),
        Phase::Collecting => ("collecting garbage", "files"),
        Phase::Waiting => ("waiting for another build of it", "files"),
    }
}

/// What is done, and of how much where that is known.
fn part(done: u64, total: u64, show: impl Fn(u64) -> String, of: &str) -> Option<String> {
    match (done, total) {
        (0, 0) => None,
        (done, 0) => Some(show(done)),
        (done, total) => Some(format!("{}{of}{}", show(done), show(total))),
    }
}

fn percent(done: Amount, total: Amount) -> Option<u64> {
    let (done, total) =
        if total.bytes > 0 { (done.bytes, total.bytes) } else { (done.items, total.items) };
    (u128::from(done) * 100)
        .checked_div(u128::from(total))
        .and_then(|percent| u64::try_from(percent).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(phase: Phase, done: (u64, u64), total: (u64, u64)) -> Snapshot {
        let amount = |(items, bytes)| Amount { items, bytes };
        Snapshot { phase, done: amount(done), total: amount(total) }
    }

    #[test]
    fn a_line_says_as_much_as_there_is_room_for() {
        let writing = snapshot(Phase::Writing, (120, 4_000_000), (2400, 16_000_000));
        for (columns, expected) in [
            (80, "| writing 120/2400 files, 4.0 MB of 16.0 MB"),
            (44, "| writing 120/2400 files, 4.0 MB of 16.0 MB"),
            (43, "| writing 120/2400 files"),
            (20, "| writing 25 %"),
            (14, "| writing"),
            (5, "|"),
            (2, "|"),
            (1, ""),
        ] {
            assert_eq!(line('|', writing, None, columns), expected);
        }
        let downloading = snapshot(Phase::Downloading, (2, 4_000_000), (9, 16_000_000));
        for (columns, expected) in [
            (80, "- downloading 2/9 files, 4.0 MB of 16.0 MB, 2.0 MB/s"),
            (50, "- downloading 4.0 MB of 16.0 MB, 2.0 MB/s"),
            (20, "- downloading 25 %"),
        ] {
            assert_eq!(line('-', downloading, Some(2_000_000), columns), expected);
        }
        assert_eq!(line('/', snapshot(Phase::Planning, (0, 0), (0, 0)), None, 80), "/ planning");
        assert_eq!(
            line('/', snapshot(Phase::Reading, (7, 0), (0, 0)), None, 80),
            "/ reading 7 files"
        );
        assert_eq!(
            line('/', snapshot(Phase::Loading, (0, 0), (3, 0)), None, 80),
            "/ loading 0/3 wheels"
        );
    }

    #[test]
    fn the_longest_line_of_every_phase_fits_every_width() {
        for phase in Phase::ALL {
            let most = snapshot(phase, (u64::MAX, u64::MAX), (u64::MAX, u64::MAX));
            for columns in 0..200 {
                let line = line('\\', most, Some(u64::MAX), columns);
                assert!(line.is_ascii() && line.len() < columns.max(1), "{columns}: {line}");
            }
        }
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds_of_one_phase() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut at = |seconds, phase, bytes| {
            pace.rate(snapshot(phase, (0, bytes), (0, 0)), start + Duration::from_secs(seconds))
        };
        assert_eq!(at(0, Phase::Downloading, 0), None);
        assert_eq!(at(2, Phase::Downloading, 4_000), Some(2_000));
        assert_eq!(at(3, Phase::Downloading, 9_000), Some(5_000));
        assert_eq!(at(4, Phase::Uploading, 9_000), None);
    }

    #[test]
    fn without_a_screen_there_is_no_thread() {
        assert!(show(&Progress::default(), None).thread.is_none());
    }
}
