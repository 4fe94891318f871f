//! The `venvtree` command.

use std::io::IsTerminal as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

use camino::Utf8PathBuf;
use venvtree::cli::screen::{Beside, Screen};
use venvtree::cli::{self, io::Io};
use venvtree::effects::interrupt::{self, Interrupted, Shown};
use venvtree::effects::progress::Progress;
use venvtree::model::wheel::limits::Limits;

fn main() -> ExitCode {
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
    let current = std::env::current_dir().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    // Neither is locked for longer than a write: progress is shown by a thread of its own.
    let beside = screen.clone().filter(|_| std::io::stdout().is_terminal());
    let mut stdout = std::io::BufWriter::new(Beside::new(beside, std::io::stdout()));
    let mut stderr = Beside::new(screen.clone(), std::io::stderr());
    let mut io = Io {
        stdin: &mut std::io::stdin().lock(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        cwd: current.unwrap_or_else(|| Utf8PathBuf::from(".")),
        variables: std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect(),
        executable: std::env::current_exe().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok()),
        screen,
        progress: Progress::default(),
        limits: Limits::default(),
    };
    let code = cli::run(std::env::args_os().skip(1).collect(), &mut io);
    // Whoever reads the output may have gone away: then nobody wants the rest.
    let _ = std::io::Write::flush(&mut stdout);
    code
}
