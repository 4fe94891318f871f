//! A terminal with a size, a program on it, and what a person would see.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// How long a program may take: far longer than it needs, also where several tests share few
/// processors.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program on a terminal.
pub(crate) struct Terminal {
    child: Child,
    master: OwnedFd,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// All that the program wrote.
    pub(crate) raw: String,
    begun: Instant,
}

fn size(rows: u16, columns: u16) -> (NonZeroU16, NonZeroU16) {
    (NonZeroU16::new(rows).expect("rows"), NonZeroU16::new(columns).expect("columns"))
}

/// Starts a program in `cwd`, on a terminal of its own of so many rows and columns. Of the
/// environment, it has what `variables` says.
pub(crate) fn start(
    cwd: &Utf8Path,
    program: &[&str],
    variables: &[(&str, &str)],
    (rows, columns): (u16, u16),
) -> Terminal {
    let master =
        rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a terminal");
    rustix::pty::grantpt(&master).expect("a terminal");
    rustix::pty::unlockpt(&master).expect("a terminal");
    let name = rustix::pty::ptsname(&master, Vec::new())
        .expect("a terminal")
        .into_string()
        .expect("a path");
    rustix::termios::tcsetwinsize(&master, winsize(rows, columns)).expect("terminals have sizes");
    let slave = File::options().read(true).write(true).open(name).expect("a terminal");
    let stream = || Stdio::from(slave.try_clone().expect("descriptors"));
    // Its own session, whose terminal this is: only then do keys send signals.
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", "--wait"])
        .args(program)
        .current_dir(cwd)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a PATH"));
    command.envs(variables.iter().copied()).stdin(stream()).stdout(stream()).stderr(stream());
    let child = command.spawn().expect("setsid is part of util-linux");
    drop((command, slave));
    let mut reader = File::from(master.try_clone().expect("descriptors"));
    let (send, output) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        // The terminal ends with its last user, in an error.
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            if send.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    let (rows, columns) = size(rows, columns);
    let screen = vt100::Parser::new(rows, columns, 0);
    Terminal { child, master, output, screen, raw: String::new(), begun: Instant::now() }
}

fn winsize(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// What is on the screen, without blanks at the ends of lines and empty lines at the end.
    pub(crate) fn contents(&self) -> String {
        let columns = self.screen.screen().size().1.get();
        let rows: Vec<String> =
            self.screen.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// Whether a line is so long that it goes on in the next row.
    pub(crate) fn wraps(&self) -> bool {
        (0..self.screen.screen().size().0.get()).any(|row| self.screen.screen().row_wrapped(row))
    }

    /// Takes what was written; false at the end.
    fn read(&mut self) -> bool {
        assert!(
            self.begun.elapsed() < PATIENCE,
            "the program does not end; its screen:\n{}",
            self.contents()
        );
        match self.output.recv_timeout(Duration::from_secs(1)) {
            Ok(bytes) => {
                self.screen.process(&bytes);
                self.raw.push_str(&String::from_utf8_lossy(&bytes));
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Waits until the screen shows what is looked for.
    pub(crate) fn wait_for(&mut self, what: &str, is_there: impl Fn(&str) -> bool) {
        while !is_there(&self.contents()) {
            assert!(
                self.read(),
                "the program ended before there was {what}; its screen:\n{}",
                self.contents()
            );
        }
    }

    /// Types.
    pub(crate) fn type_in(&mut self, text: &str) {
        File::from(self.master.try_clone().expect("descriptors"))
            .write_all(text.as_bytes())
            .expect("a terminal takes what is typed");
    }

    /// Makes the terminal so large, as when its window is dragged.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        rustix::termios::tcsetwinsize(&self.master, winsize(rows, columns))
            .expect("terminals have sizes");
        let (rows, columns) = size(rows, columns);
        self.screen.screen_mut().set_size(rows, columns);
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> (ExitStatus, String, String) {
        while self.read() {}
        let status = self.child.wait().expect("the program ended");
        (status, self.contents(), std::mem::take(&mut self.raw))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
