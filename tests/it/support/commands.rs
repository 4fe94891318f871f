//! Other programs, run to their end.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use camino::Utf8Path;

/// What a program wrote on standard output, and then what it wrote on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Starts a program, gives it all of its standard input and waits for its end. Its output is what
/// goes through pipes.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Output {
    let child = command.stdin(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let read = child.stdin.take().expect("piped above").write_all(input);
    read.unwrap_or_else(|error| panic!("{command:?} does not read its input: {error}"));
    child.wait_with_output().expect("it ends")
}

/// Runs a program that has to succeed; returns what it wrote on standard output.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same for a program that gets no variables of this process, nor any that were set before.
#[track_caller]
pub(crate) fn succeed_alone(command: &mut Command) -> String {
    succeed(command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin"))
}

/// Runs a program of the newer Debian that `.ci/install` puts beside this one, in a folder; it has
/// to succeed. Returns all that it wrote.
#[track_caller]
pub(crate) fn succeed_in_newer_debian(
    folder: &Utf8Path,
    program: &str,
    arguments: &[&str],
) -> String {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bazel/kit/bazel7");
    let mut command = Command::new(kit);
    command.current_dir(folder).env("VENVTREE_PROGRAM", program).args(arguments);
    let output = command.output().expect("the kit runs");
    assert!(output.status.success(), "{program}: {}", said(&output));
    said(&output)
}

/// Copies the program to be started there. Another process writes it: one of ours that was starting
/// something else meanwhile would have the file open, and then it could not be started.
pub(crate) fn install_program(to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    succeed(Command::new("cp").arg(env!("CARGO_BIN_EXE_venvtree")).arg(to));
}
