//! The `venvtree` command.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use venvtree::cli::{self, io::Io};
use venvtree::effects::fs;
use venvtree::model::wheel::limits::Limits;

fn main() -> ExitCode {
    fs::clear_umask();
    let current = std::env::current_dir().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    let mut stdout = std::io::BufWriter::new(std::io::stdout());
    let mut stderr = std::io::stderr().lock();
    let mut io = Io {
        stdin: &mut std::io::stdin().lock(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        cwd: current.unwrap_or_else(|| Utf8PathBuf::from(".")),
        variables: std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect(),
        executable: std::env::current_exe().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok()),
        terminal: std::io::stderr().is_terminal(),
        limits: Limits::default(),
    };
    let code = cli::run(std::env::args_os().skip(1).collect(), &mut io);
    // Whoever reads the output may have gone away: then nobody wants the rest.
    let _ = std::io::Write::flush(&mut stdout);
    ExitCode::from(code)
}
