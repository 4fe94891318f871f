//! The `venvtree` command.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use venvtree::cli::screen::{Beside, Screen};
use venvtree::cli::{self, io::Io};
use venvtree::effects::progress::Progress;
use venvtree::model::wheel::limits::Limits;

fn main() -> ExitCode {
    let current = std::env::current_dir().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    let screen = Screen::of_stderr(std::env::var("TERM").ok().as_deref());
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
    ExitCode::from(code)
}
