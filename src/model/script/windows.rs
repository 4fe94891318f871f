//! Scripts and `python.exe` for Windows, made from launcher files on any host.
//!
//! Model layer. Windows starts only `.exe` files by name, so a script is a launcher (someone's
//! compiled program, which the spec names) with the Python program appended as a zip archive: the
//! launcher runs an interpreter with itself as the argument, and Python executes `__main__.py` of
//! that archive. Two kinds of launchers are known, both of which find the interpreter relative to
//! their own place, so that the result holds no absolute path:
//!
//! - the *simple launcher* (as distlib and pip carry it) reads a `#!` line between itself and the
//!   archive, in which `<launcher_dir>\` stands for its folder;
//! - the *trampoline* (as uv has it) reads resources of its own executable.

use super::entry_point_program;
use super::pe::{self, Header, PeError};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::interpreter::Arch;
use crate::model::wheel::entry_points::ScriptKind;

/// How a launcher learns what to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LauncherForm {
    /// From a `#!` line behind it.
    Simple,
    /// From resources in it.
    Trampoline,
}

/// Why a launcher cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowsLauncherError {
    /// The file is no executable that can be worked with.
    #[error(transparent)]
    Executable(#[from] PeError),
    /// It is for another processor.
    #[error("the launcher is built for {found}, expected one for {expected}")]
    Machine {
        /// What its header says.
        found: String,
        /// What the environment is for.
        expected: &'static str,
    },
    /// Windows does not run on that processor.
    #[error("there are no Windows launchers for {arch}, expected x86_64, i686 or aarch64")]
    Arch {
        /// What the environment is for.
        arch: &'static str,
    },
    /// It has a console and should not, or the other way round.
    #[error("the launcher is built for subsystem {found}, expected {expected} for {kind} programs")]
    Subsystem {
        /// What its header says.
        found: u16,
        /// What it should say.
        expected: u16,
        /// The kind of the program.
        kind: &'static str,
    },
    /// Something has been appended already: a script, a signature.
    #[error(
        "the launcher is followed by {bytes} bytes (a script or a signature), expected a launcher alone"
    )]
    Appended {
        /// How many bytes follow.
        bytes: u64,
    },
    /// It is a program of another sort.
    #[error(
        "the executable is no known launcher: expected a simple launcher that understands `<launcher_dir>`, or a trampoline"
    )]
    Form,
    /// The interpreter cannot be named in it.
    #[error("the interpreter `{path}` cannot be started by a launcher: {reason}")]
    Interpreter {
        /// The interpreter's path.
        path: String,
        /// What is wrong with it, and what was expected.
        reason: &'static str,
    },
}

impl Explain for WindowsLauncherError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Form => ErrorKind::Wheel.hint(
                "distlib's package holds simple launchers: t64.exe and w64.exe for x86_64, t64-arm.exe and w64-arm.exe for aarch64",
            ),
            Self::Subsystem { .. } => ErrorKind::Wheel.hint(
                "launchers come in pairs, such as distlib's t64.exe (console) and w64.exe (GUI)",
            ),
            Self::Executable(_)
            | Self::Machine { .. }
            | Self::Arch { .. }
            | Self::Appended { .. }
            | Self::Interpreter { .. } => ErrorKind::Wheel.no_hint(),
        }
    }
}

/// A launcher file: checked, nothing appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowsLauncher {
    bytes: Vec<u8>,
    form: LauncherForm,
    kind: ScriptKind,
}

/// The line that a simple launcher reads must fit into its buffer of 260 bytes, line feed included.
const LONGEST_LINE: usize = 259;

impl WindowsLauncher {
    /// Checks a launcher for programs of `kind` on `arch`.
    ///
    /// # Errors
    /// The bytes are no executable, one for something else, one that has been used already, or no
    /// launcher of a known form.
    pub fn parse(
        bytes: Vec<u8>,
        arch: Arch,
        kind: ScriptKind,
    ) -> Result<Self, WindowsLauncherError> {
        let header = Header::parse(&bytes)?;
        let machine = match arch {
            Arch::X86_64 => 0x8664,
            Arch::I686 => 0x014C,
            Arch::Aarch64 => 0xAA64,
            _ => return Err(WindowsLauncherError::Arch { arch: arch.name() }),
        };
        if header.machine != machine {
            let found = match header.machine {
                0x8664 => Arch::X86_64.name().to_owned(),
                0x014C => Arch::I686.name().to_owned(),
                0xAA64 => Arch::Aarch64.name().to_owned(),
                other => format!("machine {other:#06x}"),
            };
            return Err(WindowsLauncherError::Machine { found, expected: arch.name() });
        }
        let (subsystem, name) = match kind {
            ScriptKind::Console => (3, "console"),
            ScriptKind::Gui => (2, "GUI"),
        };
        if header.subsystem != subsystem {
            return Err(WindowsLauncherError::Subsystem {
                found: header.subsystem,
                expected: subsystem,
                kind: name,
            });
        }
        let appended = bytes.len() as u64 - header.end;
        if appended != 0 {
            return Err(WindowsLauncherError::Appended { bytes: appended });
        }
        let form = if contains_utf16(&bytes, "UV_TRAMPOLINE_KIND")
            && contains_utf16(&bytes, "UV_PYTHON_PATH")
        {
            LauncherForm::Trampoline
        } else if contains_utf16(&bytes, "<launcher_dir>\\") {
            LauncherForm::Simple
        } else {
            return Err(WindowsLauncherError::Form);
        };
        Ok(Self { bytes, form, kind })
    }

    /// One without bytes, for plans that are made to be judged and never written.
    pub fn stand_in(kind: ScriptKind) -> Self {
        Self { bytes: Vec::new(), form: LauncherForm::Simple, kind }
    }

    /// How it learns what to run.
    pub fn form(&self) -> LauncherForm {
        self.form
    }

    /// The script of an entry point: imports `module` and calls `attributes` (dotted names, see
    /// [`super::console_script`]) in the environment's interpreter, which lies beside it.
    ///
    /// # Errors
    /// The launcher's resources cannot be extended.
    pub fn entry_point(
        &self,
        module: &str,
        attributes: &str,
    ) -> Result<Vec<u8>, WindowsLauncherError> {
        self.script(&entry_point_program(module, attributes))
    }

    /// The program that runs a wheel's script `file`, which lies beside it under its own name. So
    /// the script keeps its bytes, and its `__file__`, docstring, encoding and `multiprocessing`
    /// are what they would be without a launcher.
    ///
    /// # Errors
    /// The launcher's resources cannot be extended.
    pub fn wheel_script(&self, file: &str) -> Result<Vec<u8>, WindowsLauncherError> {
        let file = file.replace('\\', "\\\\").replace('\'', "\\'");
        self.script(&format!(
            "import os\n\
             import runpy\n\
             if __name__ == '__main__':\n    \
                 folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n    \
                 runpy.run_path(os.path.join(folder, '{file}'), run_name='__main__')\n"
        ))
    }

    /// `python.exe` or `pythonw.exe` of the environment: starts the interpreter at `path`, which is
    /// relative to the launcher's folder or absolute and may use either slash. CPython 3.11 and
    /// newer only, as for the POSIX launcher.
    ///
    /// A trampoline does that by itself. A simple launcher always hands its own archive to the
    /// interpreter, so that the interpreter starts twice: first isolated, for a program that starts
    /// it again as the environment's.
    ///
    /// # Errors
    /// The path is no path of an `.exe` file or does not fit, or the launcher's resources cannot be
    /// extended.
    pub fn python(&self, path: &str) -> Result<Vec<u8>, WindowsLauncherError> {
        let error = |reason| WindowsLauncherError::Interpreter { path: path.to_owned(), reason };
        let target = path.replace('/', "\\");
        let absolute = target.starts_with("\\\\")
            || (target.as_bytes().get(1..3) == Some(b":\\")
                && target.as_bytes()[0].is_ascii_alphabetic());
        let below_drive = if absolute { &target[2..] } else { &target[..] };
        if below_drive.contains(|character: char| character < ' ' || "<>:\"|?*".contains(character))
        {
            return Err(error("it holds a character that Windows allows in no path"));
        }
        if !absolute && target.starts_with('\\') {
            return Err(error(
                "it depends on the current drive, expected a path that is relative to the launcher or begins with a drive",
            ));
        }
        if !target.to_ascii_lowercase().ends_with(".exe") {
            return Err(error("expected a name that ends in `.exe`"));
        }
        match self.form {
            LauncherForm::Trampoline => self.with_resources(2, &target, &[]),
            LauncherForm::Simple => {
                // The launcher ends the path at the first `.exe` before a blank.
                if target.to_ascii_lowercase().contains(".exe ") {
                    return Err(error(
                        "a simple launcher would take the part before `.exe ` for the whole path",
                    ));
                }
                let line = match (absolute, target.contains(' ')) {
                    (true, true) => format!("#!\"{target}\" -I -S\n"),
                    (true, false) => format!("#!{target} -I -S\n"),
                    (false, false) => format!("#!<launcher_dir>\\{target} -I -S\n"),
                    // Behind a quoted relative path a simple launcher drops the arguments.
                    (false, true) => format!("#!<launcher_dir>\\\"{target}\"\n"),
                };
                if line.len() > LONGEST_LINE {
                    return Err(error("a simple launcher reads no line of more than 259 bytes"));
                }
                let program = "import os\n\
                     import subprocess\n\
                     import sys\n\
                     os.environ['__PYVENV_LAUNCHER__'] = os.path.abspath(sys.argv[0])\n\
                     process = subprocess.Popen([sys.executable] + sys.argv[1:])\n\
                     while True:\n    \
                         try:\n        \
                             sys.exit(process.wait())\n    \
                         except KeyboardInterrupt:\n        \
                             pass\n";
                Ok([&self.bytes, line.as_bytes(), &archive(program)].concat())
            }
        }
    }

    /// The launcher and a program for the environment's interpreter.
    fn script(&self, program: &str) -> Result<Vec<u8>, WindowsLauncherError> {
        let interpreter = windows_interpreter_name(self.kind);
        let archive = archive(program);
        match self.form {
            LauncherForm::Simple => {
                Ok([&self.bytes, format!("#!<launcher_dir>\\{interpreter}\n").as_bytes(), &archive]
                    .concat())
            }
            LauncherForm::Trampoline => self.with_resources(1, interpreter, &archive),
        }
    }

    /// A trampoline that starts `interpreter`, with itself as the script (1) or not (2), and what
    /// follows it.
    fn with_resources(
        &self,
        action: u8,
        interpreter: &str,
        appended: &[u8],
    ) -> Result<Vec<u8>, WindowsLauncherError> {
        let resources =
            [("UV_PYTHON_PATH", interpreter.as_bytes()), ("UV_TRAMPOLINE_KIND", &[action][..])];
        let mut bytes = pe::add_resources(&self.bytes, &resources)?;
        bytes.extend_from_slice(appended);
        Ok(bytes)
    }
}

/// The environment's interpreter for programs of `kind`.
pub fn windows_interpreter_name(kind: ScriptKind) -> &'static str {
    match kind {
        ScriptKind::Console => "python.exe",
        ScriptKind::Gui => "pythonw.exe",
    }
}

/// Whether a wheel's script asks for the environment's interpreter, and for programs of which kind:
/// `#!pythonw` is one without a console.
pub fn windows_script_kind(script: &[u8]) -> Option<ScriptKind> {
    let rest = script.strip_prefix(b"#!python")?;
    Some(if rest.starts_with(b"w") { ScriptKind::Gui } else { ScriptKind::Console })
}

/// The file that starts the script `name`: `.exe` takes the place of an extension that begins with
/// `.py`.
pub fn windows_script_name(name: &str) -> String {
    let stem = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.starts_with("py") => stem,
        _ => name,
    };
    format!("{stem}.exe")
}

/// Whether an executable holds a text as Windows programs do, in UTF-16.
fn contains_utf16(bytes: &[u8], text: &str) -> bool {
    let wanted: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    memchr::memmem::find(bytes, &wanted).is_some()
}

/// A zip archive that holds `__main__.py`, stored, dated with the format's first day. Its offsets
/// count from its own beginning; readers allow for what stands before it.
fn archive(program: &str) -> Vec<u8> {
    const NAME: &[u8] = b"__main__.py";
    const FIRST_DAY: u32 = 0x0021 << 16;
    let checksum = crc32fast::hash(program.as_bytes());
    let size = u32::try_from(program.len()).expect("a program of a few hundred bytes");
    let name_length = u32::try_from(NAME.len()).expect("a short name");
    // From "version needed" to the length of the extra field: both headers have them. Flags and
    // method are 0.
    let mut common = vec![20, 0, 0, 0, 0, 0];
    for field in [FIRST_DAY, checksum, size, size, name_length] {
        common.extend_from_slice(&field.to_le_bytes());
    }
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend_from_slice(&common);
    bytes.extend_from_slice(NAME);
    bytes.extend_from_slice(program.as_bytes());
    let directory = bytes.len();
    // Made by version 2.0 on MS-DOS; no comment, first disk, no attributes, at the beginning.
    bytes.extend_from_slice(b"PK\x01\x02\x14\0");
    bytes.extend_from_slice(&common);
    bytes.extend_from_slice(&[0; 14]);
    bytes.extend_from_slice(NAME);
    let length = bytes.len() - directory;
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    for field in [length, directory] {
        bytes.extend_from_slice(
            &u32::try_from(field).expect("an archive of a few hundred bytes").to_le_bytes(),
        );
    }
    bytes.extend_from_slice(&[0; 2]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::pe::tests::executable;
    use super::*;

    fn launcher(form: LauncherForm) -> WindowsLauncher {
        let text = match form {
            LauncherForm::Simple => "<launcher_dir>\\",
            LauncherForm::Trampoline => "UV_PYTHON_PATH UV_TRAMPOLINE_KIND",
        };
        let launcher =
            WindowsLauncher::parse(executable(0x8664, 3, text), Arch::X86_64, ScriptKind::Console)
                .unwrap();
        assert_eq!(launcher.form(), form);
        launcher
    }

    /// What a simple launcher finds behind itself: the line and the archive.
    fn appended(bytes: &[u8], launcher: &WindowsLauncher) -> (String, Vec<u8>) {
        let rest = bytes.strip_prefix(&launcher.bytes[..]).unwrap();
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        (String::from_utf8(rest[..end].to_vec()).unwrap(), rest[end + 1..].to_vec())
    }

    #[test]
    fn a_launcher_must_fit_the_program() {
        let check = |bytes: Vec<u8>, arch, kind, message: &str| {
            assert_eq!(WindowsLauncher::parse(bytes, arch, kind).unwrap_err().to_string(), message);
        };
        let (x86_64, console) = (Arch::X86_64, ScriptKind::Console);
        let simple = |machine, subsystem| executable(machine, subsystem, "<launcher_dir>\\");
        check(
            simple(0xAA64, 3),
            x86_64,
            console,
            "the launcher is built for aarch64, expected one for x86_64",
        );
        check(
            simple(0x1C4, 3),
            Arch::I686,
            console,
            "the launcher is built for machine 0x01c4, expected one for i686",
        );
        check(
            simple(0x8664, 3),
            Arch::S390x,
            console,
            "there are no Windows launchers for s390x, expected x86_64, i686 or aarch64",
        );
        check(
            simple(0x8664, 3),
            x86_64,
            ScriptKind::Gui,
            "the launcher is built for subsystem 3, expected 2 for GUI programs",
        );
        let twice = [simple(0x8664, 3), b"#!python.exe\n".to_vec()].concat();
        check(
            twice,
            x86_64,
            console,
            "the launcher is followed by 13 bytes (a script or a signature), expected a launcher alone",
        );
        let other = "the executable is no known launcher: expected a simple launcher that understands `<launcher_dir>`, or a trampoline";
        check(executable(0x8664, 3, "pyvenv.cfg"), x86_64, console, other);
        let text = "the file is no Windows executable: it does not begin with `MZ`, expected the header of a PE file";
        check(b"#!/bin/sh\n".to_vec(), x86_64, console, text);
    }

    #[test]
    fn a_simple_launcher_reads_a_line_and_an_archive() {
        let launcher = launcher(LauncherForm::Simple);
        let (line, found) = appended(&launcher.entry_point("pkg.cli", "main").unwrap(), &launcher);
        assert_eq!(line, "#!<launcher_dir>\\python.exe");
        assert_eq!(found, archive(&entry_point_program("pkg.cli", "main")));
    }

    #[test]
    fn an_archive_never_changes() {
        // Byte for byte: the digests of all Windows trees depend on it.
        let expected = b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0\x96\x92\x1A\x0E\x05\0\0\0\x05\0\0\0\x0B\0\0\0__main__.pypass\n\
            PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\x21\0\x96\x92\x1A\x0E\x05\0\0\0\x05\0\0\0\x0B\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0__main__.py\
            PK\x05\x06\0\0\0\0\x01\0\x01\0\x39\0\0\0\x2E\0\0\0\0\0";
        assert_eq!(
            archive("pass\n").escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn an_interpreter_is_named_as_launchers_can_read_it() {
        let (simple, trampoline) =
            (launcher(LauncherForm::Simple), launcher(LauncherForm::Trampoline));
        let check = |path: &str, line: &str, resource: &str| {
            assert_eq!(appended(&simple.python(path).unwrap(), &simple).0, line);
            let bytes = trampoline.python(path).unwrap();
            assert!(
                bytes.windows(resource.len()).any(|window| window == resource.as_bytes()),
                "{resource}"
            );
        };
        check(
            "../../python/python.exe",
            "#!<launcher_dir>\\..\\..\\python\\python.exe -I -S",
            "..\\..\\python\\python.exe",
        );
        check(
            "../../my python/python.exe",
            "#!<launcher_dir>\\\"..\\..\\my python\\python.exe\"",
            "..\\..\\my python\\python.exe",
        );
        check(
            "C:/Python313/python.exe",
            "#!C:\\Python313\\python.exe -I -S",
            "C:\\Python313\\python.exe",
        );
        check(
            "C:\\Program Files\\Python\\PYTHON.EXE",
            "#!\"C:\\Program Files\\Python\\PYTHON.EXE\" -I -S",
            "C:\\Program Files\\Python\\PYTHON.EXE",
        );
        check(
            "//server/share/python.exe",
            "#!\\\\server\\share\\python.exe -I -S",
            "\\\\server\\share\\python.exe",
        );
        let long = format!("../{}/python.exe", "x".repeat(250));
        for bad in [
            "",
            "python",
            "/python.exe",
            "C:python.exe",
            "a\"b.exe",
            "a\nb.exe",
            "a*.exe",
            "\\\\?\\C:\\python.exe",
            "x.exe y/python.exe",
            &long,
        ] {
            assert!(
                matches!(simple.python(bad), Err(WindowsLauncherError::Interpreter { .. })),
                "{bad}"
            );
        }
        assert!(
            trampoline.python(&long).is_ok() && trampoline.python("x.exe y/python.exe").is_ok()
        );
    }

    #[test]
    fn a_script_is_started_by_its_name_without_py() {
        for (name, expected) in [
            ("foo", "foo.exe"),
            ("foo.py", "foo.exe"),
            ("foo.pyw", "foo.exe"),
            ("a.b", "a.b.exe"),
            (".py", ".py.exe"),
        ] {
            assert_eq!(windows_script_name(name), expected);
        }
    }
}
