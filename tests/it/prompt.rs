//! What people type at a prompt that is nearly right, and what comes back.

use std::process::Command;

use crate::support::project::{Project, WheelText, some_interpreter, venvtree_with};
use crate::support::terminal;

const VENVTREE: &str = env!("CARGO_BIN_EXE_venvtree");

fn project() -> Project {
    let project = Project::new();
    let wheel = project.wheel(&WheelText::new("demo", "1.0").file("demo.py", "A = 1\n"));
    project.spec(some_interpreter(), &[wheel], |_| ());
    project.run(&["build", "env.json", "--out", "env", "--no-store"]).success();
    project
}

#[test]
fn the_answer_says_what_was_meant() {
    let project = project();
    project.write("random", [0, 1, 2, 0xff]);
    project.write("list.yaml", "version: 1\n");
    for (arguments, expected, absent) in [
        (
            &["build", "env.json", "-o", "x"][..],
            "tip: the option is written out: `--out`",
            "the output is given",
        ),
        (&["build", "env.json", "x"], "tip: the output is given as an option: `--out x`", ""),
        (
            &["help", "build", "x"],
            "tip: `venvtree build` has no commands of its own",
            "the commands of",
        ),
        (
            &["verify", "env", "--manifest", "random"],
            "`random` is neither an environment nor a manifest nor a spec",
            "expected a spec",
        ),
        (
            &["diff", "env", "list.yaml"],
            "`list.yaml` is neither an environment nor a manifest nor a spec: found YAML",
            "expected a spec",
        ),
        (&["create", "x", "-p", ">=x"], "`>=x` asks for no interpreter: ", "\\n"),
        (
            &["create", "x", "--no-seed", "--spec-out", "x/env.json"],
            "x/env.json` would be a file of the environment itself",
            "built:",
        ),
        (
            &["pack", "env", "--out", "env/env.zip"],
            "`env/env.zip` lies in the directory that is packed",
            "packed:",
        ),
    ] {
        let output = project.run(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(expected), "{arguments:?}: {}", output.stderr);
        assert!(
            absent.is_empty() || !output.stderr.contains(absent),
            "{arguments:?}: {}",
            output.stderr
        );
    }
    assert!(!project.path().join("env/env.zip").exists());
}

#[test]
fn a_terminal_gets_no_archive() {
    let project = project();
    let program = [VENVTREE, "pack", "env.json", "--out", "-", "--archive-format", "tar"];
    let (status, shown, _) =
        terminal::start(project.path(), &program, &[("TERM", "xterm")], (24, 80)).finish();
    assert_eq!(status.code(), Some(2), "{shown}");
    assert!(shown.contains("standard output is a terminal"), "{shown}");
}

#[test]
fn a_dash_is_standard_output_for_every_file() {
    let project = project();
    for option in ["--manifest", "--digest-file"] {
        let mut command = Command::new(VENVTREE);
        command.current_dir(project.path()).args([
            "build",
            "env.json",
            "--out",
            "env",
            "--no-store",
            option,
            "-",
        ]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(
            !output.stdout.is_empty() && !project.path().join("-").exists(),
            "{option}: {output:?}"
        );
    }
}

#[test]
fn a_name_with_a_line_feed_makes_no_line_of_its_own() {
    let project = project();
    let output =
        venvtree_with(project.path(), &["doctor", "--store", "x\nproblem: forged"], "", &[]);
    assert!(output.stdout.contains("x\\nproblem: forged"), "{}", output.stdout);
    assert!(
        !output.stdout.lines().any(|line| line.trim_start().starts_with("problem: forged")),
        "{}",
        output.stdout
    );
}

#[test]
fn no_line_that_activates_names_another_place() {
    let project = project();
    let path = std::env::var("PATH").unwrap();
    for (name, shown) in [("plain", true), ("bell\u{7}", false)] {
        let arguments = ["create", name, "--no-seed", "--no-store", "--activators", "zsh,tcsh"];
        let output = venvtree_with(
            project.path(),
            &arguments,
            "",
            &[("PATH", &path), ("SHELL", "/bin/zsh")],
        );
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert_eq!(
            output.stderr.contains("activate with: source plain/bin/activate"),
            shown,
            "{}",
            output.stderr
        );
        assert!(shown || !output.stderr.contains("activate with"), "{}", output.stderr);
        let bin = project.path().join(name).join("bin");
        assert!(
            bin.join("activate").exists()
                && bin.join("activate.csh").exists()
                && !bin.join("activate.fish").exists()
        );
    }
}

#[test]
fn a_choice_that_cannot_be_used_is_named_with_its_source_and_the_reason() {
    let project = project();
    let python =
        project.write("pyenv/versions/3.7.1/bin/python3", "#!/bin/sh\necho worn out >&2\nexit 3\n");
    std::fs::set_permissions(python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (path, root) = (std::env::var("PATH").unwrap(), project.path().join("pyenv"));
    for (version, reason) in [("3.7.1", "worn out"), ("3.6", "expected CPython 3.8 or newer")] {
        project.write(".python-version", version);
        let variables = [
            ("PATH", path.as_str()),
            ("PYENV_ROOT", root.as_str()),
            ("XDG_CACHE_HOME", "/nonexistent"),
        ];
        let output = venvtree_with(project.path(), &["create", "x", "--no-store"], "", &variables);
        assert_eq!(output.code, 7, "{}", output.stderr);
        let expected =
            format!(".python-version asks for Python `{version}`, which cannot be used: ");
        assert!(
            output.stderr.contains(&expected) && output.stderr.contains(reason),
            "{}",
            output.stderr
        );
    }
}
