//! The shell programs that the rules write: what a linter says of them, and what they start.
//!
//! With a Bazel they are run in `bazel.rs`. Here they run without a build system, so that Buck2's
//! are run at all where there is none.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::commands::succeed;
use crate::support::project::Project;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The parts of the programs, by name, as the rules have them.
fn parts() -> BTreeMap<String, String> {
    let texts = fs::read_to_string(checkout().join("rules/common/shell.bzl")).unwrap();
    let assignments: Vec<&str> = texts.split(" = r\"\"\"\n").collect();
    let pairs = assignments.windows(2).map(|pair| {
        let name = pair[0].rsplit('\n').next().expect("a name");
        let text = pair[1].split_once("\n\"\"\"\n").expect("the text's end").0;
        (name.to_owned(), format!("{text}\n"))
    });
    pairs.collect()
}

/// Every shell file of the project: those that are called so, and those that say so in their first
/// line.
fn shell_files() -> Vec<PathBuf> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                visit(&entry, found);
            } else if entry.is_file() {
                let text = fs::read(&entry).expect("a file");
                let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let says_so =
                    [&b"#!/bin/sh"[..], b"#!/usr/bin/env bash", b"#!/bin/bash"].contains(&first);
                if says_so || entry.extension().is_some_and(|extension| extension == "sh") {
                    found.push(entry);
                }
            }
        }
    }
    let mut found = Vec::new();
    for place in [".ci", "benches", "rules", "tools", "tests/bazel/kit"] {
        visit(&checkout().join(place), &mut found);
    }
    found.sort();
    found
}

#[test]
fn shellcheck_finds_nothing() {
    let files = shell_files();
    assert!(files.len() >= 8, "{files:?}");
    let output = Command::new("shellcheck")
        .arg("--severity=warning")
        .args(&files)
        .output()
        .expect("shellcheck: run .ci/install");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // Activation sets PATH, names a shell `sh`, and uses what only some shells have once it knows
    // which one it is in; its bytes are in every environment, so nothing is said in the file.
    let activate = checkout().join("src/model/activate/templates/activate.sh");
    let options = ["--severity=warning", "--shell=sh", "--exclude=SC2123,SC2209,SC3013,SC3028"];
    let output =
        Command::new("shellcheck").args(options).arg(activate).output().expect("shellcheck");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn shellcheck_finds_nothing_in_what_the_rules_write() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts();
    assert!(parts.len() >= 5, "{:?}", parts.keys());
    for (name, text) in &parts {
        fs::write(folder.path().join(name), text).unwrap();
    }
    // Variables are set by one part and used by another.
    let output = Command::new("shellcheck")
        .args(["--severity=warning", "--shell=sh", "--exclude=SC2034,SC2154"])
        .args(parts.keys())
        .current_dir(folder.path())
        .output()
        .expect("shellcheck");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The build systems for which there are programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Bazel,
    Buck2,
}

/// A build's outputs: an environment whose Python prints what it was told, first-party files, and a
/// program to start it.
struct Outputs {
    project: Project,
    program: PathBuf,
}

const PYTHON: &str = r#"#!/bin/sh
printf 'prefix %s\nroots %s\nmain %s\npath %s\n' "$VENVTREE_PREFIX" "$VENVTREE_ROOTS" "${VENVTREE_MAIN-}" "$PYTHONPATH"
for argument; do printf 'argument %s\n' "$argument"; done
"#;

impl Outputs {
    fn new(build: For, kind: &str, what: &str, tests: &[&str]) -> Self {
        let project = Project::new();
        let files = match build {
            For::Bazel => "out/app.runfiles",
            For::Buck2 => "out",
        };
        let (venv, first_party, site) = match build {
            For::Bazel => ("main/env.venv", "main", "_venvtree"),
            For::Buck2 => ("env.venv", "app.files/first_party", "app.files/site"),
        };
        let parts = parts();
        let part = |name: &str| &parts[name];
        project.write(&format!("{files}/{venv}/pyvenv.cfg"), "home =\n");
        let executables =
            [format!("{files}/{venv}/bin/python"), format!("{files}/{venv}/bin/a tool")];
        for executable in &executables {
            let path = project.write(executable, PYTHON);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for file in ["main program.py", "test_one.py", "test_two.py"] {
            project.write(&format!("{files}/{first_party}/{file}"), "");
        }
        for file in ["sitecustomize.py", "run_test.py"] {
            project.write(&format!("{files}/{site}/{file}"), "");
        }
        let below = |file: &str| {
            format!("{}/{file}", if build == For::Bazel { "main" } else { "first_party" })
        };
        let what = if kind == "main" { below(what) } else { what.to_owned() };
        let tests: String = tests.iter().map(|test| below(test) + "\n").collect();
        let runner = if tests.is_empty() { "" } else { "run_test.py" };
        let (places, find) = match build {
            For::Bazel => (
                format!(
                    "_vt_workspace=main\n_vt_venv={venv}\n_vt_probe=/pyvenv.cfg\n_vt_site=_venvtree/sitecustomize.py\n_vt_runner={}\n\
                     _vt_roots() {{ cat <<'E'\nother/src\n.\nE\n}}\n",
                    if runner.is_empty() { String::new() } else { format!("_venvtree/{runner}") }
                ),
                part("FIND_IN_RUNFILES"),
            ),
            For::Buck2 => (
                format!(
                    "_vt_files=app.files\n_vt_venv={venv}\n_vt_site=site/sitecustomize.py\n_vt_runner={}\n",
                    if runner.is_empty() { String::new() } else { format!("site/{runner}") }
                ),
                part("FIND_BESIDE"),
            ),
        };
        let program = format!(
            "#!/bin/sh\n_vt_target='//app:app'\n_vt_kind={kind}\n_vt_what='{what}'\n{places}\
             _vt_interpreter_args() {{ exec \"$_vt_python\" -Xdev \"$@\"; }}\n_vt_tests() {{ cat <<'E'\n{tests}E\n}}\n{}\n{find}\n{}\n",
            part("SELF"),
            part("START")
        );
        let program = project.write("out/app", program).into_std_path_buf();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { project, program }
    }

    fn run(&self, shell: &[&str], program: &Path) -> Output {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(program).args(["a b", "-c"]);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.project.path())
            .output()
            .expect("a shell")
    }
}

/// What the environment's Python was told, without what stands before this project's own paths.
fn told(outputs: &Outputs, output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    let root = fs::canonicalize(outputs.project.path()).unwrap();
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .replace(root.to_str().unwrap(), "")
        .replace(outputs.project.path().as_str(), "")
}

#[test]
fn programs_start_what_they_are_for_in_every_shell() {
    for build in [For::Bazel, For::Buck2] {
        let (venv, first, roots, site) = match build {
            For::Bazel => (
                "/out/app.runfiles/main/env.venv",
                "/out/app.runfiles/main",
                "other/src\nmain",
                "/out/app.runfiles/_venvtree",
            ),
            For::Buck2 => (
                "/out/env.venv",
                "/out/app.files/first_party",
                "first_party",
                "/out/app.files/site",
            ),
        };
        let user = "argument a b\nargument -c\n";
        let cases: [(&str, &str, &[&str], &str, String); 5] = [
            ("python", "", &[], "", String::new()),
            (
                "module",
                "package.module",
                &[],
                "",
                "argument -P\nargument -m\nargument package.module\n".to_owned(),
            ),
            ("script", "a tool", &[], "", format!("argument -P\nargument {venv}/bin/a tool\n")),
            (
                "main",
                "main program.py",
                &[],
                first,
                format!("argument -P\nargument {first}/main program.py\n"),
            ),
            (
                "pytest",
                "",
                &["test_one.py", "test_two.py"],
                "",
                format!(
                    "argument -P\nargument {site}/run_test.py\nargument pytest\nargument \nargument {first}/test_two.py\n\
                     argument {first}/test_one.py\nargument --\n"
                ),
            ),
        ];
        for (kind, what, tests, main, arguments) in cases {
            let outputs = Outputs::new(build, kind, what, tests);
            let expected = format!(
                "prefix {venv}\nroots {roots}\nmain {main}\npath {site}\nargument -Xdev\n{arguments}{user}"
            );
            for shell in [
                &["sh"][..],
                &["bash"],
                &["busybox", "sh"],
                &["mksh"],
                &["yash", "-o", "posixly-correct"],
            ] {
                let output = outputs.run(shell, &outputs.program);
                assert_eq!(told(&outputs, &output), expected, "{build:?}, {kind}, {shell:?}");
            }
            // Through a link from elsewhere, and as a relative path.
            let link = outputs.project.path().join("link").into_std_path_buf();
            symlink("out/app", &link).unwrap();
            assert_eq!(
                told(&outputs, &outputs.run(&["sh"], &link)),
                expected,
                "{build:?}, {kind}, through a link"
            );
            assert_eq!(
                told(&outputs, &outputs.run(&["sh"], Path::new("out/app"))),
                expected,
                "{build:?}, {kind}, a relative path"
            );
        }
    }
}

#[test]
fn programs_read_manifests_of_both_forms_in_every_shell() {
    let outputs = Outputs::new(For::Bazel, "main", "main program.py", &[]);
    let out = fs::canonicalize(outputs.project.path()).unwrap().join("out");
    // Bazel escapes a line that has a space in the runfile's name, or a line feed.
    let files = out.join("files of\\new kind");
    fs::rename(out.join("app.runfiles"), &files).unwrap();
    let files = files.to_str().unwrap();
    let escaped = files.replace('\\', "\\b");
    let manifest = format!(
        "_venvtree/sitecustomize.py {files}/_venvtree/sitecustomize.py\nmain/empty \nmain/env.venv {files}/main/env.venv\n \
         main/main\\sprogram.py {escaped}/main/main program.py\n"
    );
    let user = "argument a b\nargument -c\n";
    let expected = format!(
        "prefix {files}/main/env.venv\nroots other/src\nmain\nmain {files}/main\npath {files}/_venvtree\nargument -Xdev\n\
         argument -P\nargument {files}/main/main program.py\n{user}"
    );
    outputs.project.write("out/app.runfiles_manifest", &manifest);
    for shell in
        [&["sh"][..], &["bash"], &["busybox", "sh"], &["mksh"], &["yash", "-o", "posixly-correct"]]
    {
        let output = outputs.run(shell, &outputs.program);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{shell:?}");
    }
}

#[test]
fn first_party_modules_are_found_in_a_manifest() {
    let project = Project::new();
    let files = project.path().join("first");
    for (path, text) in [
        (
            "program.py",
            "import package.inner, spaced, spread.part; print(package.inner.VALUE, spaced.VALUE, spread.part.VALUE)\n",
        ),
        ("package/__init__.py", ""),
        ("package/inner.py", "VALUE = 1\n"),
        ("my root\\s/spaced.py", "VALUE = 2\n"),
        ("part.py", "VALUE = 3\n"),
    ] {
        project.write(&format!("first/{path}"), text);
    }
    let manifest = format!(
        "main/package/__init__.py {files}/package/__init__.py\nmain/package/inner.py {files}/package/inner.py\n \
         main/my\\sroot\\bs/spaced.py {files}/my root\\bs/spaced.py\nmain/spread/part.py {files}/part.py\n"
    );
    let manifest = project.write("program.runfiles_manifest", manifest);
    let python = crate::support::newest().path;
    let prefix =
        succeed(Command::new(&python).args(["-c", "import sys; print(sys.prefix, end='')"]));
    let said = succeed(
        Command::new(&python)
            .args(["-P", files.join("program.py").as_str()])
            .env("PYTHONPATH", checkout().join("rules/private/runtime"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("VENVTREE_PREFIX", prefix)
            .env("VENVTREE_RUNFILES", manifest)
            .env("VENVTREE_ROOTS", "main/my root\\s\nmain"),
    );
    assert_eq!(said, "1 2 3\n");
}

#[test]
fn a_program_without_its_environment_says_what_is_missing() {
    for (build, part) in
        [(For::Bazel, "found no runfiles"), (For::Buck2, "found no environment at")]
    {
        let outputs = Outputs::new(build, "python", "", &[]);
        let elsewhere = outputs.project.path().join("elsewhere").into_std_path_buf();
        fs::copy(&outputs.program, &elsewhere).unwrap();
        let output = outputs.run(&["sh"], &elsewhere);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success()
                && message.starts_with("//app:app: ")
                && message.contains(part),
            "{message}"
        );
    }
    for build in [For::Bazel, For::Buck2] {
        let outputs = Outputs::new(build, "script", "absent", &[]);
        let output = outputs.run(&["sh"], &outputs.program);
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("the environment has no bin/absent"),
            "{output:?}"
        );
    }
}

/// A tool that says what it was asked, and where an environment is.
const TOOL: &str = r#"#!/bin/sh
for argument; do printf 'asked %s\n' "$argument" >&2; done
printf 'home %s\n' "${HOME-none}" >&2
printf '%s\n' "${0%/*/*}/shared"
"#;

#[test]
fn programs_of_shared_environments_ask_the_tool_in_every_shell() {
    let outputs = Outputs::new(For::Bazel, "module", "package.module", &[]);
    let parts = parts();
    let place = "_venvtree/env/app";
    for (path, text) in [
        ("_venvtree/venvtree", TOOL),
        ("_venvtree/python dir/bin/python3", ""),
        (&format!("{place}/digest"), "digest"),
        (&format!("{place}/spec.json"), "{}"),
        (&format!("{place}/one.whl"), ""),
        ("shared/bin/python", PYTHON),
    ] {
        let path = outputs.project.write(&format!("out/app.runfiles/{path}"), text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let original = fs::read_to_string(&outputs.program).unwrap();
    let program = |interpreter: &str| {
        let text =
            original.replace("_vt_venv=main/env.venv\n", &format!("_vt_venv={place}/digest\n"));
        let lines = format!(
            "_vt_probe=\n_vt_shared={place}\n_vt_tool=_venvtree/venvtree\n_vt_interpreter='{interpreter}'\n"
        );
        let text = text.replace("_vt_probe=/pyvenv.cfg\n", &lines);
        let text =
            text.replace(&parts["START"], &format!("{}{}", parts["FIND_SHARED"], parts["START"]));
        let path = outputs.project.write("out/app", text).into_std_path_buf();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let runfiles = "/out/app.runfiles";
    let asked = format!(
        "asked share\nasked {runfiles}/{place}/spec.json\nasked --expect\nasked {runfiles}/{place}/digest\nasked --quiet\nhome none\n"
    );
    let shells: [&[&str]; 5] =
        [&["sh"], &["bash"], &["busybox", "sh"], &["mksh"], &["yash", "-o", "posixly-correct"]];
    let system = program("");
    for shell in shells {
        let output = outputs.run(shell, &system);
        let started = told(&outputs, &output);
        assert!(started.starts_with(&format!("prefix {runfiles}/shared\n")), "{started}");
        let root = fs::canonicalize(outputs.project.path()).unwrap();
        let said = String::from_utf8(output.stderr).unwrap().replace(root.to_str().unwrap(), "");
        assert_eq!(said.replace(outputs.project.path().as_str(), ""), asked, "{shell:?}");
    }
    // An interpreter of the build lies beside the name that the environment has for the program.
    let own = program("_venvtree/python dir/bin/python3");
    for shell in shells {
        let started = told(&outputs, &outputs.run(shell, &own));
        let prefix = started.lines().next().and_then(|line| line.strip_prefix("prefix ")).unwrap();
        let prefix = Path::new(prefix);
        assert!(prefix.ends_with("env"), "{started}");
        let beside = prefix.with_file_name("runfiles/_venvtree/python dir/bin/python3");
        assert!(beside.exists(), "{beside:?}");
        fs::remove_dir_all(prefix.parent().unwrap()).unwrap();
    }
}

/// Runs a program with what the rules put on the path of every Python, asked for a debugger.
fn debugged(how: &str, typed: &str, arguments: &[&str], with: Option<&str>) -> Output {
    let project = Project::new();
    project.write("first/program.py", "VALUE = 41\nprint('ran', VALUE, __name__)\n");
    if let Some(debugpy) = with {
        project.write("first/debugpy.py", debugpy);
    }
    let python = crate::support::newest().path;
    let prefix =
        succeed(Command::new(&python).args(["-c", "import sys; print(sys.prefix, end='')"]));
    let mut child = Command::new(&python)
        .arg("-P")
        .args(arguments)
        .current_dir(project.path().join("first"))
        .env("PYTHONPATH", checkout().join("rules/private/runtime"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("VENVTREE_PREFIX", prefix)
        .env("VENVTREE_RUNFILES", project.path())
        .env("VENVTREE_ROOTS", "first")
        .env("VENVTREE_DEBUG", how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_debugger_stops_where_the_program_begins() {
    for arguments in [&["program.py"][..], &["-m", "program"]] {
        let output = debugged("pdb", "n\np VALUE + 1\nc\n", arguments, None);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            stdout.contains("program.py(1)<module>()") && stdout.contains("(Pdb) 42"),
            "{stdout}"
        );
        assert!(output.status.success() && stdout.contains("ran 41 __main__"), "{output:?}");
    }
    let debugpy =
        "def listen(place): print('listens', place)\ndef wait_for_client(): print('waits')\n";
    for (how, place) in [
        ("debugpy", "('127.0.0.1', 5678)"),
        ("debugpy:99", "('127.0.0.1', 99)"),
        ("debugpy:::1:99", "('::1', 99)"),
    ] {
        let output = debugged(how, "", &["program.py"], Some(debugpy));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout, format!("listens {place}\nwaits\nran 41 __main__\n"), "{output:?}");
    }
    for (how, why) in [
        ("debugpy", "the environment has no debugpy"),
        ("gdb", "VENVTREE_DEBUG is `gdb`; expected `pdb`"),
        ("debugpy:x", "expected a number"),
    ] {
        let output = debugged(how, "", &["program.py"], (how == "debugpy:x").then_some(debugpy));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains(why), "{output:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
