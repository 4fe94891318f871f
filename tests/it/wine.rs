//! Environments for Windows, run: Windows' CPython under Wine starts them, with their scripts, from
//! any place.
//!
//! `.ci/install` brings both. What of Wine is not Windows is left out: numpy, for one, needs
//! functions of the C library that it lacks.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::commands::{install_program, succeed};
use crate::support::download::locked_wheels_for_windows;
use crate::support::project::{Project, venvtree_in};

/// A Windows of a test's own, and what was built for it.
struct Windows {
    project: Project,
}

impl Windows {
    /// With the interpreter in `python` beside the environment, and a spec of what
    /// `tests/windows/requirements.txt` has.
    fn new() -> Self {
        let project = Project::new();
        let windows = Self { project };
        let python = checkout().join(".cache/windows-python/python");
        assert!(python.exists(), "{} is missing: run .ci/install", python.display());
        succeed(Command::new("cp").arg("-R").arg(python).arg(windows.path("python")));
        windows.install_venvtree();
        windows.make_spec();
        // The version that CPython 3.12 asks for. The first start makes the prefix.
        let version = ["reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"];
        windows.wine(&version);
        windows
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path().as_std_path().join(name)
    }

    /// The program with what its wheel brings for Windows.
    fn install_venvtree(&self) {
        let launchers = self.path("prefix/share/venvtree/launchers");
        fs::create_dir_all(&launchers).unwrap();
        install_program(&self.path("prefix/bin/venvtree"));
        let unpacked = checkout().join(".cache/seeds/launchers/unpacked");
        for entry in fs::read_dir(&unpacked).expect("launchers: run .ci/install").flatten() {
            fs::copy(entry.path(), launchers.join(entry.file_name())).unwrap();
        }
    }

    fn venvtree(&self, arguments: &[&str]) {
        let mut command = Command::new(self.path("prefix/bin/venvtree"));
        command.args(arguments).current_dir(self.project.path()).env("HOME", self.path("home"));
        succeed(&mut command);
    }

    fn make_spec(&self) {
        let wheels = locked_wheels_for_windows("tests/windows/requirements.txt", "windows-wheels");
        let requirements = checkout().join("tests/windows/requirements.txt");
        let texts = [requirements.to_str().unwrap(), wheels.to_str().unwrap()];
        let target = "windows-x86_64-3.12.9";
        let lock = ["lock", "spec", texts[0], "--target", target, "--wheels", texts[1]];
        self.venvtree(&[&lock[..], &["--out", "lock.json"]].concat());
    }

    /// Builds the spec with another way to the interpreter.
    fn build(&self, python: &Value, out: &str) {
        let text = fs::read_to_string(self.path("lock.json")).unwrap();
        let mut spec: Value = serde_json::from_str(&text).unwrap();
        spec["interpreter"]["python"] = python.clone();
        fs::write(self.path("env.json"), spec.to_string()).unwrap();
        venvtree_in(self.project.path(), &["build", "env.json", "--out", out], "").success();
    }

    /// Runs a program in the Windows; what it said.
    #[track_caller]
    fn wine(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("wine");
        command
            .args(arguments)
            .current_dir(self.project.path())
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("WINEDEBUG", "-all"), ("LC_ALL", "C.UTF-8")])
            .env("WINEDLLOVERRIDES", "winedbg.exe,mscoree,mshtml=d")
            .env("HOME", self.path("home"))
            .env("WINEPREFIX", self.path("wine"))
            // A pipe: without a console there is nothing to ask.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        fs::create_dir_all(self.path("home")).unwrap();
        let mut child = command.spawn().expect("the tests run Windows' programs by `wine`");
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, said.concat());
        said[0].replace("\r\n", "\n")
    }

    /// Runs a batch file of these lines, each of which must succeed; `%~1` is the argument. Batch
    /// files themselves are in an old code page.
    #[track_caller]
    fn batch(&self, argument: &str, lines: &[&str]) -> String {
        let mut text = String::from("@echo off\r\n");
        for line in lines {
            text += &format!("{line}\r\nif errorlevel 1 exit /b 1\r\n");
        }
        fs::write(self.path("session.bat"), text).unwrap();
        self.wine(&["cmd", "/d", "/c", "session.bat", argument])
    }
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Prints where the interpreter believes to be, after importing what is compiled.
const WHERE: &str = r#"import json, os, sys
import ctypes, sqlite3, ssl
import flask, markupsafe._speedups
print(json.dumps([os.path.relpath(sys.prefix), os.path.relpath(sys.base_prefix), os.path.relpath(flask.__file__)]))
"#;

/// Children by `subprocess` and `multiprocessing` are in the environment, too.
const TESTS: &str = r#"import multiprocessing, subprocess, sys
import flask

def prefix(_):
    return sys.prefix

def test_subprocess():
    printed = subprocess.run([sys.executable, "-c", "import sys, flask; print(sys.prefix)"], capture_output=True, text=True)
    assert printed.stdout.strip() == sys.prefix, printed

def test_multiprocessing():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(prefix, [0]) == [sys.prefix]
"#;

/// What must work, wherever the environment is: `place` is its folder, as Windows writes it.
fn works(windows: &Windows, place: &str, base: &str) {
    let said = windows.batch(
        place,
        &[
            r#""%~1\Scripts\python.exe" where.py"#,
            r#""%~1\Scripts\flask.exe" --version"#,
            r#""%~1\Scripts\pip.exe" --version > pip.txt"#,
            r#""%~1\Scripts\python.exe" -m pip list --format=freeze --disable-pip-version-check"#,
            r#""%~1\Scripts\pytest.exe" -q -p no:cacheprovider test_children.py"#,
            r#"call "%~1\Scripts\activate.bat""#,
            "flask --version",
            "python where.py",
            "call deactivate",
        ],
    );
    let site = format!("{place}\\Lib\\site-packages");
    let expected = json!([place, base, format!("{site}\\flask\\__init__.py")]).to_string();
    let found: Vec<String> = said
        .lines()
        .filter(|line| line.starts_with('['))
        .map(|line| serde_json::from_str::<Value>(line).unwrap().to_string())
        .collect();
    assert_eq!(found, [expected.clone(), expected], "{said}");
    assert!(said.contains("2 passed"), "{said}");
    assert_eq!(said.matches("Flask 3.").count(), 2, "{said}");
    let pip = fs::read(windows.path("pip.txt")).unwrap();
    assert!(pip.trim_ascii_end().ends_with(b"\\Lib\\site-packages\\pip (python 3.12)"), "{said}");
    assert!(said.contains("\ncolorama=="), "{said}");
}

#[test]
fn environments_for_windows_run() {
    let windows = Windows::new();
    fs::write(windows.path("where.py"), WHERE).unwrap();
    fs::write(windows.path("test_children.py"), TESTS).unwrap();
    windows.build(&json!({"kind": "relative", "path": "../python/python.exe"}), "env");
    works(&windows, "env", "python");

    // Moved, with the interpreter beside it; then the whole of it with the interpreter inside.
    fs::create_dir(windows.path("moved dir ü")).unwrap();
    fs::rename(windows.path("env"), windows.path("moved dir ü/env")).unwrap();
    succeed(
        Command::new("cp").arg("-R").arg(windows.path("python")).arg(windows.path("moved dir ü")),
    );
    works(&windows, "moved dir ü\\env", "moved dir ü\\python");

    windows.build(&json!({"kind": "inside", "directory": "python"}), "whole");
    fs::rename(windows.path("python"), windows.path("elsewhere")).unwrap();
    fs::rename(windows.path("whole"), windows.path("the whole é")).unwrap();
    works(&windows, "the whole é", "the whole é\\.python");
}
