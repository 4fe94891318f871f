//! The program as a person uses it: on a terminal with a size, and with what goes on there.
//!
//! What the screen shows is compared, not what was written: progress has to be seen while there is
//! work, and to be gone afterwards.

use std::process::{Command, Stdio};

use camino::Utf8Path;
use clap::CommandFactory as _;
use venvtree::cli::commands::Arguments;

use crate::support::newest;
use crate::support::project::{Project, WheelText, much_work, sample_lock, some_interpreter};
use crate::support::terminal::{self, Terminal};

const VENVTREE: &str = env!("CARGO_BIN_EXE_venvtree");
const USUAL: (u16, u16) = (24, 80);
const NARROW: (u16, u16) = (40, 20);
/// A terminal that understands what terminals do.
const TERM: (&str, &str) = ("TERM", "xterm-256color");

/// What takes a while, for one thread longer than until progress is shown.
fn long_work(project: &Project) {
    let wheel = project.wheel(&much_work());
    project.spec(some_interpreter(), &[wheel], |_| ());
}

fn short_work(project: &Project) {
    let wheel = project.wheel(
        &WheelText::new("demo", "1.0").file("demo.py", "A = 1\n").metadata("Requires-Dist: absent"),
    );
    project.spec(some_interpreter(), &[wheel], |_| ());
}

/// The commands, the way to each by its name: `store gc`.
fn commands() -> Vec<String> {
    fn visit(command: &clap::Command, way: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let way = format!("{way} {}", below.get_name()).trim_start().to_owned();
            if below.has_subcommands() { visit(below, &way, found) } else { found.push(way) }
        }
    }
    let mut command = Arguments::command();
    command.build();
    let mut found = Vec::new();
    visit(&command, "", &mut found);
    found
}

/// How each command is used in the tests of all commands.
fn usage<'a>(command: &str, python: &'a str) -> Option<Vec<&'a str>> {
    Some(match command {
        "build" => vec!["env.json", "--out", "made/out", "--store", "made/store"],
        "create" => vec!["made/env", "--python", python, "--no-store"],
        "digest" | "plan" | "key" | "sbom" | "licenses" => vec!["env.json"],
        "verify" => vec!["old", "--spec", "env.json"],
        "diff" => vec!["old", "env.json"],
        "pack" => vec!["env.json", "--out", "made/env.tar"],
        "share" => {
            vec!["env.json", "--environments", "made/shared", "--store", "made/store"]
        }
        "store stat" | "store gc" | "store verify" => vec!["--store", "made/store"],
        "push" => vec!["old", "--remote-cache", "http://127.0.0.1:9", "--remote-retries", "0"],
        "pull" => vec![
            "00/1",
            "--out",
            "made/out",
            "--remote-cache",
            "http://127.0.0.1:9",
            "--remote-retries",
            "0",
        ],
        "bytecode check" => vec!["env.json", "--compiler", python],
        "bytecode compile" => {
            vec!["wheels/demo-1.0-py3-none-any.whl", "--compiler", python, "--out", "made/bytecode"]
        }
        "wheel check" => vec!["wheels/demo-1.0-py3-none-any.whl"],
        "wheel pack" => vec!["--out", "made/x-1-py3-none-any.whl", "--metadata", "METADATA"],
        "worker" => vec![],
        "interpreter probe" => vec![python],
        "interpreter list" | "doctor" | "spec schema" | "man" => vec![],
        "spec check" => vec!["env.json"],
        "spec from" => vec!["wheels/demo-1.0-py3-none-any.whl", "--for", "linux-x86_64"],
        "lock select" | "lock spec" => vec!["sample.toml", "--target", "linux-x86_64-3.12.1"],
        "lock pin" => vec!["env.json", "--index-url", "http://127.0.0.1:9"],
        "lock index" => vec!["sample.toml", "--target", "linux=linux-x86_64-3.12.1"],
        "lock fetch" => vec!["sample.toml", "--target", "linux-x86_64-3.12.1", "--dest", "made/w"],
        "completions" => vec!["bash"],
        _ => return None,
    })
}

/// What the commands made is gone again.
fn reset(project: &Project) {
    let made = project.path().join("made");
    std::fs::remove_dir_all(&made).unwrap_or_default();
    std::fs::create_dir(made).unwrap();
}

/// What a terminal of this size would show of what a command writes into a pipe.
fn piped(
    cwd: &Utf8Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
    (rows, columns): (u16, u16),
) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$0\" \"$@\" 2>&1", VENVTREE])
        .args(arguments)
        .current_dir(cwd)
        .stdin(Stdio::null());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let size = |number| std::num::NonZeroU16::new(number).unwrap();
    let mut screen = vt100::Parser::new(size(rows), size(columns), 0);
    screen.process(String::from_utf8(output.stdout).unwrap().replace('\n', "\r\n").as_bytes());
    let lines: Vec<String> =
        screen.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
    (output.status.code(), lines.join("\n").trim_end().to_owned())
}

#[test]
fn every_command_ends_on_every_terminal_and_shows_what_it_writes_into_a_pipe() {
    let python = newest();
    let python = python.path.to_str().unwrap();
    let project = Project::new();
    short_work(&project);
    project.run(&["build", "env.json", "--out", "old", "--no-store"]).success();
    project.write("old/mine", "");
    let sample = WheelText::new("sample", "1.0").file("sample.py", "");
    project.write("wheels/sample-1.0-py3-none-any.whl", sample.pack());
    project.write("sample.toml", sample_lock(&project));
    project.write("METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1\n");
    let home = project.path().join("home");
    for command in commands() {
        let Some(usage) = usage(&command, python) else {
            panic!("say in this test how `venvtree {command}` is used")
        };
        let arguments: Vec<&str> = command.split(' ').chain(usage).collect();
        for (size, term) in [(USUAL, TERM.1), (NARROW, TERM.1), (USUAL, "dumb")] {
            let variables = [("TERM", term), ("HOME", home.as_str())];
            reset(&project);
            let (code, expected) = piped(project.path(), &arguments, &variables, size);
            reset(&project);
            let program = [&[VENVTREE][..], &arguments].concat();
            let mut terminal = terminal::start(project.path(), &program, &variables, size);
            if command == "worker" {
                // It reads requests until there are no more.
                terminal.type_in("\x04");
            }
            let (status, shown, raw) = terminal.finish();
            let shown = shown.trim_start_matches("^D").to_owned();
            assert_eq!(
                (status.code(), shown),
                (code, expected),
                "venvtree {command}, TERM={term}, {size:?}:\n{raw}"
            );
        }
    }
}

#[test]
fn every_help_ends_on_a_terminal() {
    let project = Project::new();
    for command in commands().iter().map(String::as_str).chain([""]) {
        let program: Vec<&str> =
            [VENVTREE].into_iter().chain(command.split_whitespace()).chain(["--help"]).collect();
        let (status, shown, _) =
            terminal::start(project.path(), &program, &[TERM], NARROW).finish();
        assert!(status.success() && !shown.is_empty(), "{command}");
    }
}

fn build(project: &Project, variables: &[(&str, &str)], size: (u16, u16)) -> Terminal {
    terminal::start(
        project.path(),
        &[VENVTREE, "build", "env.json", "--out", "out", "--no-store", "--threads", "1"],
        variables,
        size,
    )
}

/// Whether a screen shows progress.
fn in_progress(contents: &str) -> bool {
    contents.lines().any(|line| {
        line.starts_with(['|', '/', '-', '\\'])
            && ["loading", "writing"].iter().any(|verb| line.contains(verb))
    })
}

/// The end of a build that was long: the message, and nothing else.
fn finished(terminal: Terminal) {
    let (status, shown, raw) = terminal.finish();
    assert!(status.success(), "{shown}");
    let text = shown.replace('\n', "");
    assert!(
        text.starts_with("built: out (60") && text.contains("root digest ") && !in_progress(&shown),
        "{shown}\n{raw}"
    );
}

#[test]
fn a_long_build_shows_one_line_that_is_gone_at_the_end() {
    let project = Project::new();
    long_work(&project);
    let mut terminal = build(&project, &[TERM], USUAL);
    terminal.wait_for("progress", |shown| {
        shown.contains("/60") && shown.contains(" files, ") && shown.contains(" of 10.")
    });
    assert_eq!(terminal.contents().lines().count(), 1, "{}", terminal.contents());
    finished(terminal);
}

#[test]
fn progress_stays_in_one_line_of_a_narrow_terminal_and_of_one_that_changes() {
    let project = Project::new();
    long_work(&project);
    let mut terminal = build(&project, &[TERM], NARROW);
    terminal.wait_for("progress", |shown| shown.contains("writing") && shown.contains('%'));
    assert!(
        !terminal.wraps() && terminal.contents().lines().count() == 1,
        "{}",
        terminal.contents()
    );
    terminal.resize(24, 100);
    terminal.wait_for("more room", |shown| shown.contains(" files, "));
    terminal.resize(10, 12);
    terminal.wait_for("less room", |shown| in_progress(shown) && !shown.contains("files"));
    assert_eq!(terminal.contents().lines().count(), 1, "{}", terminal.contents());
    terminal.resize(24, 80);
    finished(terminal);
}

#[test]
fn a_terminal_that_cannot_erase_and_a_quiet_command_show_no_progress() {
    let project = Project::new();
    long_work(&project);
    for term in ["dumb", ""] {
        let (status, shown, raw) = build(&project, &[("TERM", term)], USUAL).finish();
        assert!(
            status.success() && shown.starts_with("built: out") && !raw.contains('\x1b'),
            "{raw}"
        );
        std::fs::remove_dir_all(project.path().join("out")).unwrap();
    }
    let program = [VENVTREE, "build", "env.json", "--out", "out", "--no-store", "--quiet"];
    let (status, _, raw) = terminal::start(project.path(), &program, &[TERM], USUAL).finish();
    assert!(status.success() && raw.is_empty(), "{raw}");
}

#[test]
fn a_build_that_is_suspended_takes_its_line_away_and_goes_on() {
    let project = Project::new();
    long_work(&project);
    let script = "set -m; \"$0\" build env.json --out out --no-store; echo suspended $?; sleep 0.5; fg >/dev/null; echo done $?";
    let mut terminal =
        terminal::start(project.path(), &["bash", "-c", script, VENVTREE], &[TERM], USUAL);
    terminal.wait_for("progress", in_progress);
    terminal.type_in("\x1a");
    terminal.wait_for("the shell", |shown| {
        shown.contains("suspended 147") || shown.contains("suspended 148")
    });
    assert!(!in_progress(&terminal.contents()), "{}", terminal.contents());
    terminal.wait_for("progress again", |shown| in_progress(shown) || shown.contains("done"));
    let (status, shown, _) = terminal.finish();
    assert!(
        status.success()
            && shown.contains("built: out")
            && shown.contains("done 0")
            && !in_progress(&shown),
        "{shown}"
    );
}

#[test]
fn a_spec_can_be_typed() {
    let project = Project::new();
    short_work(&project);
    let spec: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(project.path().join("env.json")).unwrap())
            .unwrap();
    let program = [VENVTREE, "build", "-", "--out", "out", "--no-store"];
    let mut terminal = terminal::start(project.path(), &program, &[TERM], (60, 200));
    terminal.type_in(&serde_json::to_string_pretty(&spec).unwrap());
    terminal.type_in("\n\x04");
    let (status, shown, _) = terminal.finish();
    assert!(
        status.success()
            && shown.contains("built: out (")
            && project.path().join("out/pyvenv.cfg").exists(),
        "{shown}"
    );
}

#[test]
fn another_user_with_any_umask_and_without_a_home_can_work_on_a_terminal() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test becomes another user: run it as root, as CI does"
    );
    let python = (8..30)
        .map(|minor| format!("/usr/bin/python3.{minor}"))
        .find(|path| Utf8Path::new(path).exists());
    let python = python.expect("an interpreter that others than root may use, in /usr/bin");
    let project = Project::new();
    short_work(&project);
    // Where root's temporary directories are closed to others, this one is not.
    let shared = project.path();
    project.open_to_all();
    for umask in ["022", "077"] {
        for home in [None, Some("home")] {
            for arguments in [
                vec!["build", "env.json", "--out", "out"],
                vec!["digest", "env.json"],
                vec!["create", "env", "--no-seed", "--python", &python],
                vec!["store", "stat", "--store", "store"],
            ] {
                let script = format!("umask {umask}; exec \"$0\" \"$@\"");
                let user = [
                    "setpriv",
                    "--reuid=61234",
                    "--regid=61234",
                    "--clear-groups",
                    "sh",
                    "-c",
                    &script,
                    VENVTREE,
                ];
                let home = home.map(|home| shared.join(home));
                let variables: Vec<(&str, &str)> = [TERM]
                    .into_iter()
                    .chain(home.as_ref().map(|home| ("HOME", home.as_str())))
                    .collect();
                let (status, shown, _) =
                    terminal::start(shared, &[&user[..], &arguments].concat(), &variables, USUAL)
                        .finish();
                assert_eq!(
                    status.code(),
                    Some(0),
                    "{arguments:?}, umask {umask}, HOME {home:?}: {shown}"
                );
                assert!(!in_progress(&shown), "{shown}");
            }
            for made in ["out", "env", "home", "store"] {
                std::fs::remove_dir_all(shared.join(made)).unwrap_or_default();
            }
        }
    }
}

#[test]
fn where_no_thread_can_be_started_there_is_no_progress_and_no_harm() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test becomes another user: run it as root, as CI does"
    );
    let project = Project::new();
    long_work(&project);
    project.open_to_all();
    let user =
        ["setpriv", "--reuid=61235", "--regid=61235", "--clear-groups", "prlimit", "--nproc=1"];
    let program =
        [&user[..], &[VENVTREE, "build", "env.json", "--out", "out", "--no-store"]].concat();
    let (status, shown, raw) = terminal::start(project.path(), &program, &[TERM], USUAL).finish();
    assert!(status.success() && shown.starts_with("built: out") && !raw.contains('\x1b'), "{raw}");
}

#[test]
fn a_summary_comes_after_its_list() {
    let project = Project::new();
    short_work(&project);
    project.run(&["build", "env.json", "--out", "out", "--no-store"]).success();
    for index in 0..5 {
        project.write(&format!("out/mine{index}"), "");
    }
    for arguments in
        [["verify", "out", "--spec", "env.json"].as_slice(), &["diff", "out", "env.json"]]
    {
        let (_, shown, _) =
            terminal::start(project.path(), &[&[VENVTREE], arguments].concat(), &[TERM], USUAL)
                .finish();
        let last = shown.lines().last().unwrap_or_default();
        assert!(last.contains("5 differences in out") || last.contains("differ in"), "{shown}");
    }
}
