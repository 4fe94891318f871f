//! The `venvtree` command.

use std::io::{IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

use camino::Utf8PathBuf;
use venvtree::cli::screen::{Beside, Screen};
use venvtree::cli::{self, colour::Colours, io::Io, io::Streams};
use venvtree::effects::host::interrupt::{self, Interrupted, Shown};
use venvtree::effects::host::machine;

/// Threads that allocate at the same time wait for each other in that of musl.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    machine::ask_for_open_files();
    let screen = Screen::of_stderr(std::env::var("TERM").ok().as_deref());
    interrupt::take_over(screen.clone().map(|screen| Box::new(screen) as Box<dyn Shown>));
    match catch_unwind(AssertUnwindSafe(|| work(screen))) {
        Ok(code) => {
            interrupt::settle();
            ExitCode::from(code)
        }
        // Everything that was under way is cleared away by now.
        Err(panic) if panic.is::<Interrupted>() => interrupt::end_pending(),
        Err(panic) => resume_unwind(panic),
    }
}

fn work(screen: Option<Screen>) -> u8 {
    let current =
        std::env::current_dir().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    // Neither is locked for longer than a write: progress is shown by a thread of its own.
    let beside = screen.clone().filter(|_| std::io::stdout().is_terminal());
    let mut stdout = std::io::BufWriter::new(Beside::new(beside, stdout()));
    let mut stderr = Beside::new(screen.clone(), std::io::stderr());
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut stdin = std::io::stdin().lock();
    let streams = Streams { stdin: &mut stdin, stdout: &mut stdout, stderr: &mut stderr };
    let mut io = Io::new(streams, current.unwrap_or_else(|| Utf8PathBuf::from(".")), variables);
    io.executable =
        std::env::current_exe().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    // Without the variable this asks the system's database of users.
    io.system_home = std::env::home_dir().and_then(|home| Utf8PathBuf::from_path_buf(home).ok());
    io.screen = screen;
    io.ends = true;
    io.shows_data = std::io::stdout().is_terminal();
    io.colours = Colours {
        stdout: std::io::stdout().is_terminal(),
        stderr: std::io::stderr().is_terminal(),
    };
    cli::run(std::env::args_os().skip(1).collect(), &mut io)
}

/// Standard output as it is: the standard library's takes a stream that cannot be written to for
/// one that takes everything.
fn stdout() -> Box<dyn Write + Send> {
    match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(handle) => Box::new(std::fs::File::from(handle)),
        Err(_) => Box::new(std::io::stdout()),
    }
}
