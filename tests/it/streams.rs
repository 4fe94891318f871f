//! Standard output and standard error: full disks, readers that go away, text that is not ours,
//! colour.

use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::project::{Project, WheelText, some_interpreter};
use crate::support::terminal;

const VENVTREE: &str = env!("CARGO_BIN_EXE_venvtree");
/// What somebody calls a thing who wants to write on the terminal, or a line of ours.
const HOSTILE: &str = "a\nerror: forged\r\x1b[2J\x1b]0;x\x07\u{9b}31m\u{202e}\u{2028}z";

fn project() -> Project {
    let project = Project::new();
    let wheel = project.wheel(&WheelText::new("demo", "1.0").file("demo.py", "A = 1\n"));
    project.spec(some_interpreter(), &[wheel], |_| ());
    project
        .run(&["build", "env.json", "--out", "out", "--no-store", "--manifest", "manifest.json"])
        .success();
    project
}

fn run(project: &Project, arguments: &[&str], stdout: Stdio) -> Output {
    let mut command = Command::new(VENVTREE);
    command
        .args(arguments)
        .current_dir(project.path())
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped());
    command.env_clear().env("HOME", project.path().join("home")).output().unwrap()
}

/// Commands that write data.
const WRITING: [&[&str]; 17] = [
    &["--version"],
    &["--help"],
    &["build", "--help"],
    &["digest", "env.json"],
    &["digest", "out", "--format", "json"],
    &["key", "env.json"],
    &["key", "env.json", "--format", "json"],
    &["plan", "env.json"],
    &["plan", "env.json", "--format", "json"],
    &["verify", "out", "--spec", "env.json", "--format", "json"],
    &["diff", "out", "env.json", "--format", "json"],
    &["wheel", "check", "wheels/demo-1.0-py3-none-any.whl"],
    &["spec", "schema"],
    &["store", "stat", "--store", "store"],
    &["pack", "env.json", "--out", "-", "--archive-format", "tar"],
    &["completions", "bash"],
    &["man"],
];

#[test]
fn data_that_cannot_be_written_is_an_error() {
    let project = project();
    for arguments in WRITING {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let closed = std::fs::File::open("/dev/null").unwrap();
        for stdout in [full, closed] {
            let output = run(&project, arguments, stdout.into());
            let message = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(7), "{arguments:?}: {message}");
            assert_eq!(message.matches("error: ").count(), 1, "{arguments:?}: {message}");
            assert!(message.contains("standard output"), "{arguments:?}: {message}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error_of_a_report_and_ends_a_stream() {
    let project = project();
    project.write("out/mine", "");
    let lists: [(&[&str], i32); 2] =
        [(&["verify", "out", "--spec", "env.json"], 6), (&["diff", "out", "env.json"], 1)];
    let reports =
        WRITING.into_iter().filter(|arguments| !arguments.contains(&"out")).map(|arguments| {
            // An archive that nobody reads to its end is all that the command was to make.
            (arguments, if arguments[0] == "pack" { 141 } else { 0 })
        });
    for (arguments, code) in reports.chain(lists) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(&project, arguments, writer.into());
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(
            !message.contains("error:") && !message.contains("ipe"),
            "{arguments:?}: {message}"
        );
    }
}

/// What was printed is lines, and none of them is another's.
fn check_harmless(what: &str, text: &str) {
    let dangerous = |character: char| {
        character.is_control() && character != '\n'
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2028}')
    };
    assert!(!text.chars().any(dangerous), "{what}: {text:?}");
    assert!(
        !text.lines().any(|line| line.trim_start().starts_with("error: forged")),
        "{what}: {text:?}"
    );
}

#[test]
fn nobody_else_writes_on_the_terminal() {
    let project = project();
    project.write(&format!("out/{HOSTILE}"), "");
    project.write("hostile.json", json!({"version": 1, HOSTILE: 1}).to_string());
    project.write("hostile.manifest.json", json!({"header": {HOSTILE: 1}}).to_string());
    project.write("value.json", json!({"version": HOSTILE}).to_string());
    let metadata = "Requires-Dist: x\x1b[31m\u{202e}; python_version";
    let wheel =
        project.wheel(&WheelText::new("odd", "1.0").metadata(metadata).file("odd\u{9b}.py", ""));
    project.spec(some_interpreter(), &[wheel], |_| ());
    let helper =
        project.write("helper", "#!/bin/sh\nprintf 'a\\nerror: forged\\033[2J' >&2; exit 3\n");
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let name = format!("/nowhere/{HOSTILE}");
    let option = format!("--{HOSTILE}");
    let cases: [&[&str]; 18] = [
        &["verify", "out", "--manifest", "manifest.json"],
        &["diff", "out", "manifest.json"],
        &["digest", "out"],
        &["build", "hostile.json", "--out", "x", "--no-store"],
        &["build", "value.json", "--out", "x", "--no-store"],
        &["build", "env.json", "--out", "x", "--no-store"],
        &["plan", "env.json"],
        &["wheel", "check", "wheels/odd-1.0-py3-none-any.whl"],
        &["verify", "out", "--manifest", "hostile.manifest.json"],
        &["verify", "out", "--manifest", &name],
        &["digest", &name],
        &[&name],
        &["digest", "env.json", &option],
        &["digest", "env.json", "--threads", HOSTILE],
        &["digest", "env.json", "--limit", HOSTILE],
        &["interpreter", "probe", "./helper"],
        &["create", "e", "--python", "./helper"],
        &["create", "e", "--python", HOSTILE],
    ];
    for arguments in cases {
        let output = project.run(arguments);
        check_harmless(&format!("{arguments:?}"), &format!("{}{}", output.stdout, output.stderr));
        assert!(output.code != 0 || arguments[0] == "plan", "{arguments:?}");
        let json = project.run(&[arguments, &["--format", "json"]].concat());
        check_harmless(
            &format!("{arguments:?} as JSON"),
            &format!("{}{}", json.stdout, json.stderr),
        );
        if !json.stdout.is_empty() {
            json.json();
        }
    }
}

#[test]
fn messages_of_several_lines_keep_them() {
    let project = Project::new();
    let wheels: Vec<_> = ["a", "b"]
        .iter()
        .map(|name| project.wheel(&WheelText::new(name, "1.0").file("same.py", name.as_bytes())))
        .collect();
    project.spec(some_interpreter(), &wheels, |_| ());
    let output = project.run(&["build", "env.json", "--out", "x", "--no-store"]);
    output.says("different contents by\n    a");
    output.says("\n    b");
}

#[test]
fn colour_is_where_a_terminal_is_or_somebody_wants_it() {
    let project = project();
    let red = "\x1b[31merror:";
    let missing = ["digest", "missing.json"];
    let on_terminal = |variables: &[(&str, &str)], more: &[&str]| {
        let variables = [&[("TERM", "xterm")], variables].concat();
        terminal::start(
            project.path(),
            &[&[VENVTREE], &missing[..], more].concat(),
            &variables,
            (24, 80),
        )
        .finish()
        .2
    };
    assert!(on_terminal(&[], &[]).contains(red));
    assert!(!on_terminal(&[("NO_COLOR", "1")], &[]).contains('\x1b'));
    assert!(!on_terminal(&[], &["--color", "never"]).contains('\x1b'));
    assert!(on_terminal(&[("NO_COLOR", "1")], &["--color=always"]).contains(red));
    let piped = |variables: &[(&str, &str)], arguments: &[&str]| {
        let output =
            crate::support::project::venvtree_with(project.path(), arguments, "", variables);
        output.stdout + &output.stderr
    };
    assert!(!piped(&[("TERM", "xterm")], &missing).contains('\x1b'));
    assert!(piped(&[("CLICOLOR_FORCE", "1")], &missing).contains(red));
    assert!(piped(&[], &["--color", "always", "--help"]).contains("\x1b[1m\x1b[32mUsage:"));
    assert!(piped(&[("CLICOLOR_FORCE", "1")], &["digest", "--nonsense"]).contains("\x1b["));
    assert!(!piped(&[], &["--help"]).contains('\x1b'));
    // Data is never in colour.
    assert!(!piped(&[("CLICOLOR_FORCE", "1")], &["digest", "env.json"]).contains('\x1b'));
}

#[test]
fn a_line_is_one_write() {
    let project = project();
    let trace = project.path().join("trace");
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-e",
        "trace=write",
        "-o",
        trace.as_str(),
        VENVTREE,
        "build",
        "env.json",
        "--out",
        "new",
        "--no-store",
    ]);
    assert!(command.current_dir(project.path()).output().unwrap().status.success());
    let text = std::fs::read_to_string(trace).unwrap();
    let talk: Vec<&str> = text.lines().filter(|line| line.contains("write(2, ")).collect();
    assert!(talk.len() == 1 && talk[0].contains("built: new"), "{talk:?}");
}
