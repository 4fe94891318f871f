//! Scripts that find their environment, run by every shell and every interpreter of the machine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use venvtree::model::script::{console_script, launcher, rewrite_script};

use crate::support::{Python, Shell, interpreters, posix_shells, write_executable};

/// An environment in a folder whose name has a space and a letter outside ASCII.
struct Environment {
    scratch: tempfile::TempDir,
    root: PathBuf,
}

impl Environment {
    /// An environment without `bin/python`.
    fn empty() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap().join("my é env");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("pyvenv.cfg"), "home =\ninclude-system-site-packages = false\n")
            .unwrap();
        Self { scratch, root }
    }

    /// An environment whose `bin/python` prints its own path and its arguments, a line each.
    fn echoing() -> Self {
        let environment = Self::empty();
        environment
            .install("python", b"#!/bin/sh\nfor word in \"$0\" \"$@\"; do echo \"$word\"; done\n");
        environment
    }

    /// An environment whose `bin/python` is a link to `python`.
    fn linked(python: &Path, minor: u32) -> Self {
        let environment = Self::empty();
        fs::create_dir_all(environment.packages(minor)).unwrap();
        symlink(python, environment.bin("python")).unwrap();
        environment
    }

    fn scratch(&self) -> PathBuf {
        self.scratch.path().canonicalize().unwrap()
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    fn packages(&self, minor: u32) -> PathBuf {
        self.root.join(format!("lib/python3.{minor}/site-packages"))
    }

    fn install(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.bin(name);
        write_executable(&path, bytes);
        path
    }
}

/// A link at `path`, whose folder is made where it is missing.
fn link(target: impl AsRef<Path>, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

/// A farm: real folders, and a link for every file of `from`.
fn farm(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            farm(&entry.path(), &target);
        } else {
            symlink(entry.path(), target).unwrap();
        }
    }
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The standard output of a command that succeeds and is silent otherwise.
fn stdout(command: &mut Command) -> String {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// With another shell in place of `/bin/sh`.
fn with_shell(script: &[u8], shell: &Shell) -> Vec<u8> {
    [b"#!", shell.sh.as_os_str().as_encoded_bytes(), script.strip_prefix(b"#!/bin/sh").unwrap()]
        .concat()
}

/// Runs a command and compares the `bin` that the script found and the name that it passed on.
fn check_found(command: &mut Command, bin: &Path, script: impl AsRef<OsStr>) {
    let expected = format!("{}/python\n{}\na  b\n\n", bin.display(), script.as_ref().display());
    assert_eq!(stdout(command.args(["a  b", ""])), expected, "{command:?}");
}

fn script_in(environment: &Environment, shell: &Shell) -> PathBuf {
    environment.install("x", &with_shell(&console_script("pkg", "main"), shell))
}

/// yash has `[` and `echo` only where PATH leads to them, as POSIX allows.
fn needs_path(shell: &Shell) -> bool {
    shell.name == "yash"
}

/// A command with a small, known environment. yash refuses what is not ASCII in the POSIX locale.
fn command(program: impl AsRef<OsStr>, folder: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin").current_dir(folder);
    command
}

/// Calls `check` for each shell with an environment and a script in it.
fn in_every_shell(check: impl Fn(&Environment, &Shell, &Path)) {
    let shells = tempfile::tempdir().unwrap();
    for shell in posix_shells(shells.path()) {
        let environment = Environment::echoing();
        let script = script_in(&environment, &shell);
        check(&environment, &shell, &script);
    }
}

#[test]
fn a_script_finds_its_own_folder() {
    in_every_shell(|environment, shell, script| {
        let (root, bin, scratch) =
            (&environment.root, &environment.root.join("bin"), environment.scratch());
        check_found(&mut command(script, "/"), bin, script);
        check_found(&mut command("./x", bin), bin, "./x");
        check_found(&mut command("././/x", bin), bin, "././/x");
        check_found(&mut command("bin/x", root), bin, "bin/x");
        check_found(&mut command("my é env/./bin//./x", &scratch), bin, "my é env/./bin//./x");
        check_found(&mut command("../bin/x", bin), bin, "../bin/x");
        fs::create_dir(bin.join("sub")).unwrap();
        check_found(&mut command("sub/../x", bin), bin, "sub/../x");
        check_found(
            &mut command("../../my é env/bin/sub/../../bin/x", bin),
            bin,
            "../../my é env/bin/sub/../../bin/x",
        );
        let from_above = Path::new("/../").join(script.strip_prefix("/").unwrap());
        check_found(&mut command(&from_above, "/"), bin, &from_above);
        // The parent of a linked folder is that of its target.
        link(bin.join("sub"), &scratch.join("far/link"));
        check_found(&mut command("link/../x", scratch.join("far")), bin, "link/../x");
        // The path that was used counts, not the physical one.
        link(root, &scratch.join("other name"));
        check_found(
            &mut command("./other name/bin/x", &scratch),
            &scratch.join("other name/bin"),
            "./other name/bin/x",
        );
        // Not executed, but read.
        check_found(command(&shell.sh, bin).arg("x"), bin, "./x");
        check_found(command(&shell.sh, root).arg("bin/x"), bin, "bin/x");
        fs::copy(script, bin.join("-f")).unwrap();
        check_found(command(&shell.sh, bin).args(["--", "-f"]), bin, "./-f");
    });
}

#[test]
fn a_script_is_found_through_path() {
    in_every_shell(|environment, shell, script| {
        let (root, bin) = (&environment.root, &environment.root.join("bin"));
        let check = |path: &str, folder: &Path| {
            let found =
                stdout(command(&shell.sh, folder).args(["-c", "x 'a  b' ''"]).env("PATH", path));
            let lines: Vec<_> = found.lines().collect();
            assert_eq!(
                lines[0],
                bin.join("python").to_str().unwrap(),
                "{} PATH={path}",
                shell.name
            );
            // Shells differ in how they call what a relative entry led to.
            assert_eq!(
                folder.join(lines[1]).canonicalize().unwrap(),
                script,
                "{} PATH={path}",
                shell.name
            );
            assert_eq!(lines[2..], ["a  b", ""], "{} PATH={path}", shell.name);
        };
        check(&format!("/nonexistent:{}:/bin", bin.display()), Path::new("/"));
        check("/nonexistent:bin:/bin", root);
        check("/nonexistent:./bin:/bin", root);
        check(":/bin", bin);
        check("/nonexistent:.:/bin", bin);
    });
}

#[test]
fn a_script_follows_links_to_its_environment() {
    in_every_shell(|environment, shell, script| {
        let (bin, scratch) = (&environment.root.join("bin"), environment.scratch());
        let links = scratch.join("links");
        link(script, &links.join("absolute"));
        link("../my é env/bin/x", &links.join("relative"));
        link("relative", &links.join("chain"));
        link("../links/chain", &scratch.join("-dash dir/-f"));
        link(&links, &scratch.join("linked folder"));
        link("my é env/bin", &scratch.join("linked bin"));
        link(scratch.join("linked bin/x"), &links.join("through a linked bin"));
        link("python", &bin.join("y"));
        for name in ["absolute", "relative", "chain"] {
            check_found(&mut command(links.join(name), "/"), bin, links.join(name));
            check_found(&mut command(format!("./{name}"), &links), bin, format!("./{name}"));
            check_found(
                &mut command(scratch.join("linked folder").join(name), "/"),
                bin,
                scratch.join("linked folder").join(name),
            );
            // `readlink` is found all the same.
            for path in ["", "/nonexistent"].into_iter().filter(|_| !needs_path(shell)) {
                check_found(
                    command(links.join(name), "/").env("PATH", path),
                    bin,
                    links.join(name),
                );
            }
        }
        check_found(&mut command("./-f", scratch.join("-dash dir")), bin, "./-f");
        check_found(&mut command("./-dash dir/-f", &scratch), bin, "./-dash dir/-f");
        check_found(&mut command("linked bin/x", &scratch), bin, "linked bin/x");
        check_found(
            &mut command(links.join("through a linked bin"), "/"),
            bin,
            links.join("through a linked bin"),
        );
        // A program called `readlink` in the current folder is not trusted.
        write_executable(&links.join("readlink"), b"#!/bin/sh\necho /evil\n");
        if !needs_path(shell) {
            check_found(command("./chain", &links).env("PATH", ""), bin, "./chain");
        }
    });
}

#[test]
fn a_farm_of_links_is_its_own_environment() {
    in_every_shell(|environment, _, _| {
        let scratch = environment.scratch();
        let bin = scratch.join("farm/bin");
        farm(&environment.root, &scratch.join("farm"));
        check_found(&mut command(bin.join("x"), "/"), &bin, bin.join("x"));
        check_found(&mut command("./x", &bin), &bin, "./x");
        check_found(&mut command("bin/./x", bin.parent().unwrap()), &bin, "bin/./x");
        link(bin.join("x"), &scratch.join("links/x"));
        check_found(&mut command(scratch.join("links/x"), "/"), &bin, scratch.join("links/x"));
        // The same farm, reached by another name.
        link("farm", &scratch.join("alias"));
        check_found(
            &mut command(scratch.join("alias/bin/x"), "/"),
            &scratch.join("alias/bin"),
            scratch.join("alias/bin/x"),
        );
        // Two environments: a linked script belongs to the one it lies in, a linked `bin` to the
        // one it is used in.
        let other = scratch.join("other");
        fs::create_dir_all(other.join("bin")).unwrap();
        fs::write(other.join("pyvenv.cfg"), "home =\n").unwrap();
        link(environment.bin("x"), &other.join("bin/x"));
        check_found(
            &mut command(other.join("bin/x"), "/"),
            &environment.root.join("bin"),
            other.join("bin/x"),
        );
        let third = scratch.join("third");
        link(environment.root.join("bin"), &third.join("bin"));
        fs::write(third.join("pyvenv.cfg"), "home =\n").unwrap();
        check_found(
            &mut command(third.join("bin/x"), "/"),
            &third.join("bin"),
            third.join("bin/x"),
        );
    });
}

#[test]
fn a_script_bears_hostile_surroundings() {
    in_every_shell(|environment, shell, script| {
        let (bin, scratch) = (&environment.root.join("bin"), environment.scratch());
        let with = |key: &str, value: &str| {
            check_found(command("./x", bin).env(key, value), bin, "./x");
        };
        with("CDPATH", "/:/usr");
        with("IFS", "/ en");
        if !needs_path(shell) {
            with("PATH", "/nonexistent");
            with("PATH", "");
        }
        with("PWD", "/nonexistent");
        with("OLDPWD", "/nonexistent");
        with("_vt_d", "/nonexistent");
        with("ENV", "/nonexistent");
        with("BASH_ENV", "/nonexistent");
        with("SHELLOPTS", "errexit:nounset:noglob:noclobber");
        with("POSIXLY_CORRECT", "1");
        if !needs_path(shell) {
            check_found(command(script, "/").env_clear(), bin, script);
        }
        // A folder whose name ends in a line feed, reached by links; names that shells would
        // expand.
        for name in ["nl\n", "$(exit 3)`exit 4`'\"\\n*?[a]~ #"] {
            let moved = scratch.join(name);
            fs::create_dir_all(moved.join("bin")).unwrap();
            fs::write(moved.join("pyvenv.cfg"), "home =\n").unwrap();
            write_executable(&moved.join("bin/x"), &fs::read(script).unwrap());
            // `echo` in the usual stand-in would interpret the backslash.
            write_executable(
                &moved.join("bin/python"),
                b"#!/bin/sh\ncase $0 in \"$EXPECTED\") echo right ;; esac\n",
            );
            link(
                Path::new(name).join("bin/x"),
                &scratch.join("to x").with_extension(name.len().to_string()),
            );
            link(
                Path::new(name).join("bin"),
                &scratch.join("to bin").with_extension(name.len().to_string()),
            );
            for path in [
                moved.join("bin/x"),
                scratch.join("to x").with_extension(name.len().to_string()),
                scratch.join("to bin").with_extension(name.len().to_string()).join("x"),
            ] {
                let found = stdout(command(&path, "/").env("EXPECTED", moved.join("bin/python")));
                assert_eq!(found, "right\n", "{} {}", shell.name, path.display());
            }
        }
        // Nothing that the search needed reaches the program.
        environment.install("python", b"#!/usr/bin/perl -l\nprint for sort keys %ENV;\n");
        let names = stdout(command("./x", bin).env("FOO", "1"));
        // What shells set on their own.
        let known = ["FOO", "LC_ALL", "LOGNAME", "OLDPWD", "PATH", "PWD", "SHLVL", "_"];
        assert!(
            names.lines().all(|name| known.contains(&name)) && names.contains("FOO\n"),
            "{}: {names}",
            shell.name
        );
    });
}

#[test]
fn a_script_without_an_environment_says_so() {
    in_every_shell(|environment, shell, script| {
        let check = |path: &Path, expected: &str| {
            let output = run(&mut command(path, "/"));
            assert_eq!(
                (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
                (Some(127), expected),
                "{}",
                shell.name
            );
        };
        let alone = environment.scratch().join("usr/bin/x");
        fs::create_dir_all(alone.parent().unwrap()).unwrap();
        write_executable(&alone, &fs::read(script).unwrap());
        let folder = alone.parent().unwrap().parent().unwrap();
        check(
            &alone,
            &format!(
                "{}: not in a Python environment: {} holds no pyvenv.cfg\n",
                alone.display(),
                folder.display()
            ),
        );
    });
}

/// A Python program of `testdata/python`.
fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/python").join(name)
}

/// Every combination of the parts of a script that a header could disturb: cookie, comments,
/// docstring, future import, line ends.
fn script_variants() -> Vec<Vec<u8>> {
    // First lines, and a text in the encoding that they declare.
    let cookies: [(&str, &[u8]); 8] = [
        ("#!python\n", "é表".as_bytes()),
        ("#!python3 -E\n\n# coding: latin-1 is too late on line 3\n", "é表".as_bytes()),
        ("#!python\n# -*- coding: utf-8 -*-\n", "é表".as_bytes()),
        (
            "#!python\n\x0C  # vim: set fileencoding=latin-1 :\n# coding: ascii is too late\n",
            b"\xE9",
        ),
        ("#!pythonw # coding=iso-8859-15\n# coding: ascii does not count\n", b"\xA4"),
        ("#!python\n# coding: cp932\n", b"\x95\x5C"),
        ("#!python\n# coding: gb18030\n", b"\x81\x30\x81\x30\x81\x5C"),
        ("#!python\n# coding: euc-jp\n", b"\xA4\xA2"),
    ];
    let docstrings = [
        "",
        "# a comment\n\n  \t# another\n\x0C\n",
        "\"\"\"Sentence TEXT.\n\n    Indented\n\tby a tab\n    'quoted' \\\"\"\" `$(exit)`\n\"\"\"\n",
        "# a comment\n\n'''\tTab\n    TEXT \\\n \\\\'''\n",
        "'single TEXT \"'\n",
        "\"escaped \\\" \\\n TEXT\" # a comment\n",
        "r'raw \\d \\' TEXT'; \n",
        "U'TEXT' R\"\\x\" \\\n 'third'\n",
        "(\"one\" # a comment\n\n 'two TEXT'\n)\n",
        "(('nested'))\n",
        "''\n",
        "\\\n'continued'\n",
        // No future import can follow these; the first is a docstring all the same.
        "R'TEXT' ; tail = 1\n",
        "b'bytes'\n",
        "f'formatted {1}'\n",
        "'plain' f'formatted {1}'\n",
        "'TEXT'.upper()\n",
        "'TEXT' % ()\n",
        "('a tuple',)\n",
    ];
    let futures = [
        "",
        "from __future__ import annotations\n",
        "\n# a comment\nfrom __future__ import (division,\n  annotations) ; more = 1\n",
        "from\\\n __future__ import annotations as future\n",
    ];
    let mut variants = Vec::new();
    for (first, text) in cookies {
        for (number, docstring) in docstrings.into_iter().enumerate() {
            for future in futures {
                // An error, with and without a header.
                if number >= 12 && !future.is_empty() {
                    continue;
                }
                for end in ["\n", "\r\n", "\r"] {
                    let annotation = if future.is_empty() { "int" } else { "undefined" };
                    let body = format!(
                        "def function(argument: {annotation}): pass\nvalue = 'TEXT'\nlines = \"\"\"a\nb\"\"\"\n"
                    );
                    let script = [first, docstring, future, &body].concat().replace('\n', end);
                    let mut bytes = Vec::new();
                    for (index, part) in script.split("TEXT").enumerate() {
                        bytes.extend_from_slice(if index == 0 { b"" } else { text });
                        bytes.extend_from_slice(part.as_bytes());
                    }
                    variants.push(bytes);
                }
            }
        }
    }
    variants
}

#[test]
fn a_rewritten_script_is_the_same_program() {
    let environment = Environment::echoing();
    let originals = environment.scratch().join("originals");
    let rewritten = environment.root.join("bin");
    fs::create_dir(&originals).unwrap();
    let variants = script_variants();
    assert_eq!(variants.len(), 1320);
    for (index, variant) in variants.iter().enumerate() {
        let name = format!("{index:04}");
        fs::write(originals.join(&name), variant).unwrap();
        let bytes = rewrite_script(variant).unwrap().unwrap();
        // `sh` never sees what comes after the header, so that a part of them is enough to execute.
        if index % 7 == 0 {
            let path = environment.install(&name, &bytes);
            check_found(&mut command(&path, "/"), &rewritten, &path);
        } else {
            fs::write(environment.bin(&name), bytes).unwrap();
        }
    }
    for python in interpreters() {
        for flags in [&["-I"][..], &["-I", "-OO"]] {
            let mut compare = command(&python.path, "/");
            compare.args(flags).arg(program("compare_scripts.py")).args([&originals, &rewritten]);
            assert_eq!(
                stdout(&mut compare),
                format!("{} scripts are the same\n", variants.len()),
                "{python:?}"
            );
        }
    }
}

#[test]
fn a_rewritten_script_runs_in_every_shell() {
    let firsts: [&[u8]; 3] = [
        b"#!python\n",
        b"#!python\r",
        b"#!python\n# coding: latin-1 \xE9\r\n\r\n# `'\"$(exit 3) \\\r\n",
    ];
    let bodies = [
        "\"\"\"Doc ' ` $( \"\"\"\nx\n",
        "import os\n",
        "from __future__ import division\n",
        "(')')\n",
        "PK\u{3}\u{4}\0\u{1}",
    ];
    in_every_shell(|environment, shell, _| {
        for first in firsts {
            // yash reads no bytes that are no text in the locale.
            if shell.name == "yash" && !first.is_ascii() {
                continue;
            }
            for body in bodies {
                let script = rewrite_script(&[first, body.as_bytes()].concat()).unwrap().unwrap();
                let path = environment.install("rewritten", &with_shell(&script, shell));
                check_found(&mut command(&path, "/"), &environment.root.join("bin"), &path);
            }
        }
    });
}

/// What `application.py` does, as a script that wheels carry: itself the program, with a comment that
/// names its encoding.
fn standalone() -> String {
    let application = fs::read_to_string(program("application.py")).unwrap();
    let (shared, _) = application.split_once("\n\nclass Application:").unwrap();
    let comments = "# -*- coding: utf-8 -*-\n# A script as wheels carry it.";
    let main = "if __name__ == \"__main__\":\n    report(__name__, __doc__)\n";
    format!("#!python -u\n{comments}\n{shared}\n\n{main}")
}

/// Runs `application.py`, or [`standalone`], and compares what it reports. With the argument
/// `spawn`, processes import the script again.
fn check_report(command: &mut Command, environment: &Environment, argv: &[&str]) {
    let found: serde_json::Value = serde_json::from_str(&stdout(command.args(&argv[1..]))).unwrap();
    let spawned: &[i32] = if argv.contains(&"spawn") { &[1, 4, 9] } else { &[] };
    let expected = serde_json::json!({
        "argv": argv, "prefix": environment.root, "executable": environment.bin("python"), "spawned": spawned,
        "name": "__main__", "doc": "What it does.\n\nAt length.", "leaked": [],
    });
    assert_eq!(found, expected, "{command:?}");
}

#[test]
fn scripts_run_in_every_interpreter() {
    for Python { version, path } in interpreters() {
        let environment = Environment::linked(&path, version.1);
        fs::copy(program("application.py"), environment.packages(version.1).join("application.py"))
            .unwrap();
        let entry_point =
            environment.install("application", &console_script("application", "Application.main"));
        let script = rewrite_script(standalone().as_bytes()).unwrap().unwrap();
        let standalone = environment.install("standalone", &script);
        let python = environment.bin("python");
        for path in [&entry_point, &standalone] {
            let text = path.to_str().unwrap();
            check_report(&mut command(path, "/"), &environment, &[text, "spawn", "", "a 'b'"]);
            check_report(
                command(&python, "/").args(["-I", text]),
                &environment,
                &[text, "", "a 'b'"],
            );
            check_report(
                command(&python, "/").args(["-OO", text]).env("DOC", "none"),
                &environment,
                &[text],
            );
        }
        check_report(
            &mut command("bin/application", &environment.root),
            &environment,
            &["bin/application"],
        );
        link("my é env/bin/application", &environment.scratch().join("renamed.exe"));
        check_report(
            &mut command("./renamed.exe", environment.scratch()),
            &environment,
            &["./renamed"],
        );
        assert_eq!(
            run(command(&entry_point, "/").arg("fail")).status.code(),
            Some(7),
            "the status is what the function returned"
        );
        let import = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='imported')";
        for path in [&entry_point, &standalone] {
            assert_eq!(
                stdout(command(&python, "/").args(["-c", import]).arg(path)),
                "",
                "importing a script does nothing"
            );
        }
    }
}

/// An environment whose `bin/python`, `python3` and `python3.X` are launchers, and the folder of an
/// interpreter beside it.
fn launched(python: &Path, minor: u32, candidates: &[&str]) -> Environment {
    let environment = Environment::empty();
    fs::create_dir_all(environment.packages(minor)).unwrap();
    let bytes = launcher(candidates).unwrap();
    for name in ["python", "python3", &format!("python3.{minor}")] {
        environment.install(name, &bytes);
    }
    // The whole installation by another name: what lies beside an environment is usually not where
    // it was compiled for.
    link(python.parent().unwrap().parent().unwrap(), &environment.scratch().join("it's a python"));
    environment
}

#[test]
fn the_launcher_starts_an_environment() {
    let describe = "import sys, os; print(sys.prefix, sys.executable, sys.argv[1:], os.environ.get('__PYVENV_LAUNCHER__'), sep='|')";
    for Python { version: (_, minor), path } in
        interpreters().into_iter().filter(|python| python.version >= (3, 11))
    {
        let candidate = format!("../it's a python/bin/python3.{minor}");
        let environment =
            launched(&path, minor, &["/nonexistent/python", "../missing", &candidate]);
        let (root, scratch) = (&environment.root, environment.scratch());
        let python = environment.bin("python");
        let expected = |root: &Path, name: &str| {
            format!("{0}|{0}/bin/{name}|['a  b', '']|None\n", root.display())
        };
        let check = |command: &mut Command, root: &Path, name: &str| {
            assert_eq!(
                stdout(command.args(["-c", describe, "a  b", ""])),
                expected(root, name),
                "{path:?} {command:?}"
            );
        };

        // By every name, from everywhere.
        for name in ["python", "python3", &format!("python3.{minor}")] {
            check(&mut command(environment.bin(name), "/"), root, name);
            check(&mut command(format!("./{name}"), root.join("bin")), root, name);
            check(
                command("/bin/sh", "/")
                    .args(["-c", "exec \"$0\" \"$@\"", name])
                    .env("PATH", root.join("bin")),
                root,
                name,
            );
        }
        check(command(&python, "/").arg("-I"), root, "python");
        check(command(&python, "/").env_clear(), root, "python");
        check(command(&python, "/").env("PATH", "/nonexistent"), root, "python");
        link(&python, &scratch.join("py"));
        check(&mut command("./py", &scratch), root, "python");
        link(root, &scratch.join("alias"));
        check(
            &mut command(scratch.join("alias/bin/python"), "/"),
            &scratch.join("alias"),
            "python",
        );
        let site = "import sys; print(sys.prefix == sys.base_prefix)";
        assert_eq!(
            stdout(command(&python, "/").args(["-S", "-c", site])),
            if minor < 14 { "True\n" } else { "False\n" }
        );

        // As the interpreter of a script, and of scripts that look for it.
        let report = environment.packages(minor).join("application.py");
        fs::copy(program("application.py"), &report).unwrap();
        let script = "#!PYTHON\nimport application\nif __name__ == '__main__':\n    application.Application.main()\n";
        // The kernel ends the path at the first blank, hence the alias.
        fs::create_dir(scratch.join("plain")).unwrap();
        let plain =
            Environment { scratch: tempfile::tempdir().unwrap(), root: scratch.join("plain/env") };
        fs::rename(root, &plain.root).unwrap();
        link("../it's a python", &scratch.join("plain/it's a python"));
        let target = plain.install(
            "target",
            script.replace("PYTHON", plain.bin("python").to_str().unwrap()).as_bytes(),
        );
        check_report(&mut command(&target, "/"), &plain, &[target.to_str().unwrap(), "spawn"]);
        let entry_point =
            plain.install("entry", &console_script("application", "Application.main"));
        check_report(&mut command(&entry_point, "/"), &plain, &[entry_point.to_str().unwrap()]);
        fs::rename(&plain.root, root).unwrap();

        // Children: an environment made by it, a process of the same interpreter, a module.
        let nested = scratch.join("nested");
        assert_eq!(
            stdout(command(&python, "/").args(["-m", "venv", "--without-pip"]).arg(&nested)),
            ""
        );
        check(&mut command(nested.join("bin/python"), "/"), &nested, "python");
        let child =
            "import subprocess, sys; sys.exit(subprocess.call([sys.executable] + sys.argv[1:]))";
        check(command(&python, "/").args(["-I", "-c", child]), root, "python");
        let wheel = fs::read_dir(
            path.parent()
                .unwrap()
                .parent()
                .unwrap()
                .join(format!("lib/python3.{minor}/ensurepip/_bundled")),
        );
        let wheel = wheel.ok().and_then(|mut folder| {
            folder.find_map(|entry| {
                entry.ok().filter(|entry| entry.file_name().to_string_lossy().starts_with("pip-"))
            })
        });
        if let Some(wheel) = wheel {
            let version = stdout(
                command(&python, "/")
                    .args(["-m", "pip", "--version"])
                    .env("PYTHONPATH", wheel.path()),
            );
            assert!(
                version.starts_with("pip ") && version.contains(&format!("(python 3.{minor})")),
                "{version}"
            );
        }

        // A farm of links, in which every file is executable, and a copy elsewhere.
        let elsewhere = scratch.join("else/where");
        fs::create_dir_all(&elsewhere).unwrap();
        link("../it's a python", &scratch.join("else/it's a python"));
        for file in [root.join("pyvenv.cfg"), report] {
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        farm(root, &elsewhere);
        check(&mut command(elsewhere.join("bin/python3"), "/"), &elsewhere, "python3");
        let farmed = Environment { scratch: tempfile::tempdir().unwrap(), root: elsewhere };
        let entry_point = farmed.bin("entry");
        check_report(
            &mut command(&entry_point, "/"),
            &farmed,
            &[entry_point.to_str().unwrap(), "spawn"],
        );
        let moved = scratch.join("mövéd $(x) it's");
        fs::rename(root, &moved).unwrap();
        check(&mut command(moved.join("bin/python"), "/"), &moved, "python");
    }
}

#[test]
fn the_launcher_takes_the_first_candidate_that_runs() {
    let shells = tempfile::tempdir().unwrap();
    for shell in posix_shells(shells.path()) {
        let environment = Environment::empty();
        let (root, scratch) = (&environment.root, environment.scratch());
        let install = |candidates: &[&str]| {
            environment.install("python", &with_shell(&launcher(candidates).unwrap(), &shell))
        };
        let stand_in = |path: &Path, text: &str, mode: u32| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_executable(
                path,
                format!("#!/bin/sh\necho {text} \"$__PYVENV_LAUNCHER__\" \"$@\"\n").as_bytes(),
            );
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let check = |candidates: &[&str], expected: &str| {
            let python = install(candidates);
            let found = stdout(command(&python, "/").args(["-c", "x y"]));
            assert_eq!(
                found,
                format!("{expected} {} -c x y\n", python.display()),
                "{} {candidates:?}",
                shell.name
            );
        };
        let hostile = "it's $(exit 3) `exit 4` \"*\" \\n é";
        stand_in(&scratch.join("one/python"), "one", 0o755);
        stand_in(&scratch.join("data/python"), "data", 0o644);
        stand_in(&root.join(".python/bin/python"), "inside", 0o755);
        stand_in(&root.join(hostile), "hostile", 0o755);
        let absolute = scratch.join("one/python");
        check(&["../one/python"], "one");
        check(&[absolute.to_str().unwrap()], "one");
        check(&[".python/bin/python", "../one/python"], "inside");
        check(&["./lib/../../one/python", "../one/python"], "one");
        check(&[hostile], "hostile");
        check(&["../none", "../one", "../data/python", "../one/python", hostile], "one");

        // Where the environment is a link, what lies beside the link counts first, then what lies
        // beside its target.
        let runfiles = scratch.join("runfiles");
        link(root, &runfiles.join("env"));
        let python = install(&["../one/python"]);
        let beside = |expected: &str| {
            let found = stdout(&mut command(runfiles.join("env/bin/python"), "/"));
            assert_eq!(
                found,
                format!("{expected} {}/env/bin/python\n", runfiles.display()),
                "{}",
                shell.name
            );
        };
        beside("one");
        stand_in(&runfiles.join("one/python"), "beside", 0o755);
        beside("beside");

        let fails = |candidates: &[&str], status: i32, reason: &str| {
            install(candidates);
            let output = run(&mut command(&python, "/"));
            let list: String =
                candidates.iter().map(|candidate| format!("\n  {candidate}")).collect();
            let expected = format!(
                "{}: no Python interpreter for {}: none of these {reason} (relative paths start there):{list}\n",
                python.display(),
                root.display()
            );
            assert_eq!(
                (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
                (Some(status), expected),
                "{}",
                shell.name
            );
        };
        fails(&["../none", "/nonexistent/python", "../one"], 127, "exists");
        // Root may read everything, but not execute a file that nobody may.
        fails(&["../none", "../data/python"], 126, "cannot be executed");

        // A candidate that is the launcher itself.
        link(&python, &scratch.join("loop"));
        install(&["../loop"]);
        let output = run(&mut command(&python, "/"));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(126) && message.contains("was started by itself"),
            "{}: {message}",
            shell.name
        );
    }
}
