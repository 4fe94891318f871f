//! Progress on a terminal; nothing anywhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::effects::progress::Progress;

/// Work that is over sooner is not worth a line.
const DELAY: Duration = Duration::from_millis(300);
const INTERVAL: Duration = Duration::from_millis(80);

/// A line that shows progress until it is dropped.
pub(super) struct Shown {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Shows progress, if somebody is looking.
pub(super) fn show(progress: &Progress, terminal: bool) -> Shown {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = terminal.then(|| {
        let (progress, stop) = (progress.clone(), Arc::clone(&stop));
        thread::spawn(move || draw(&progress, &stop))
    });
    Shown { stop, thread }
}

fn draw(progress: &Progress, stop: &AtomicBool) {
    thread::park_timeout(DELAY);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} files, {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::no_length().with_style(style);
    while !stop.load(Ordering::Relaxed) {
        if let Some((done, total)) = progress.get() {
            bar.set_length(total);
            bar.set_position(done);
        }
        thread::park_timeout(INTERVAL);
    }
    bar.finish_and_clear();
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
