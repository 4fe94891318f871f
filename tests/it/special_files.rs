//! Named pipes, sockets and devices where files are expected: nothing waits for them. What somebody
//! names as a document may be a pipe.

use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use crate::support::project::{Output, Project, WheelText, some_interpreter};

/// Far more than any of these commands takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a command with a time limit; panics when it is over.
fn run(project: &Project, mut command: Command) -> Output {
    let (stdout, stderr) = (project.path().join("stdout"), project.path().join("stderr"));
    command
        .current_dir(project.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", project.path().join("home"));
    command
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&stdout).unwrap())
        .stderr(std::fs::File::create(&stderr).unwrap());
    let mut child = command.process_group(0).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                let group = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
                child.wait().unwrap();
                panic!("{command:?} waits for something");
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let read = |path| std::fs::read_to_string(path).unwrap();
    let code = status.code().unwrap_or_else(|| panic!("{command:?} ended by {status}"));
    Output { code: u8::try_from(code).unwrap(), stdout: read(stdout), stderr: read(stderr) }
}

fn venvtree(project: &Project, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_venvtree"));
    command.args(arguments);
    run(project, command)
}

fn bash(project: &Project, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_venvtree")]);
    run(project, command)
}

#[derive(Debug, Clone, Copy)]
enum Special {
    Pipe,
    LinkToPipe,
    LinkToZeros,
    Socket,
    Directory,
}

impl Special {
    const ALL: [Self; 5] =
        [Self::Pipe, Self::LinkToPipe, Self::LinkToZeros, Self::Socket, Self::Directory];

    /// Puts it where something else is, or nothing.
    fn put(self, path: &Utf8Path) {
        let _ = std::fs::remove_file(path);
        let pipe = |path: &Utf8Path| {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                path.as_str(),
                rustix::fs::FileType::Fifo,
                0o644.into(),
                0,
            )
            .unwrap();
        };
        match self {
            Self::Pipe => pipe(path),
            Self::LinkToPipe => {
                let target = path.parent().unwrap().join("a-pipe");
                if !target.exists() {
                    pipe(&target);
                }
                std::os::unix::fs::symlink("a-pipe", path).unwrap();
            }
            Self::LinkToZeros => std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
            Self::Socket => {
                // The path of a socket must be short.
                let short = tempfile::tempdir().unwrap();
                let socket = short.path().join("s");
                drop(UnixListener::bind(&socket).unwrap());
                std::fs::rename(&socket, path).unwrap();
            }
            Self::Directory => std::fs::create_dir(path).unwrap(),
        }
    }
}

fn project() -> Project {
    let project = Project::new();
    let wheel = project.wheel(
        &WheelText::new("demo", "1.0")
            .file("demo/a.py", "A = 1\n")
            .executable("demo/run", "#!/bin/sh\n"),
    );
    project.write("src/own.py", "OWN = 1\n");
    project.spec(some_interpreter(), &[wheel], |spec| {
        spec["sources"] = json!([{"path": "src", "into": "own"}]);
    });
    project
}

fn files(directory: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
    for entry in directory.read_dir_utf8().unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            files(entry.path(), found)
        } else {
            found.push(entry.into_path())
        }
    }
}

#[test]
fn nothing_in_the_store_makes_a_command_wait() {
    let project = project();
    project.run(&["build", "env.json", "--out", "plain", "--store", "sound"]).success();
    let expected = project.run(&["digest", "plain"]).success();
    for special in Special::ALL {
        for (what, prefix) in [
            ("all of it", ""),
            ("the files", "files/"),
            ("records", "wheels/"),
            ("trees", "trees/"),
            ("blobs", "cas/"),
        ] {
            let _ = std::fs::remove_dir_all(project.path().join("store"));
            let _ = std::fs::remove_dir_all(project.path().join("out"));
            bash(&project, "cp -a sound store").success();
            let mut found = Vec::new();
            files(&project.path().join("store"), &mut found);
            for path in &found {
                if path
                    .strip_prefix(project.path().join("store"))
                    .unwrap()
                    .as_str()
                    .starts_with(prefix)
                {
                    special.put(path);
                }
            }
            let context = format!("{special:?} for {what}");
            let built = venvtree(
                &project,
                &["build", "env.json", "--out", "out", "--store", "store", "--format", "json"],
            );
            assert_eq!(built.code, 0, "{context}: {}", built.stderr);
            assert_eq!(project.run(&["digest", "out"]).success(), expected, "{context}");
            venvtree(&project, &["build", "env.json", "--out", "out", "--store", "store"])
                .success();
            for command in ["stat", "verify", "gc"] {
                venvtree(&project, &["store", command, "--store", "store"]);
            }
        }
    }
}

#[test]
fn inputs_that_are_no_files_are_refused_at_once() {
    for special in Special::ALL {
        let refused = |path: &str| {
            let project = project();
            special.put(&project.path().join(path));
            let built = venvtree(&project, &["build", "env.json", "--out", "out", "--no-store"]);
            assert!(
                built.code != 0 && !built.stderr.contains("panicked"),
                "{special:?} for {path}: {built:?}"
            );
            assert!(!project.path().join("out").exists());
        };
        refused("wheels/demo-1.0-py3-none-any.whl");
        if !matches!(special, Special::Directory) {
            refused("src/own.py");
        }
    }
}

#[test]
fn what_create_finds_by_looking_around_makes_it_wait_for_nothing() {
    let python = ["/usr/bin/python3", "/usr/local/bin/python3"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .unwrap();
    for special in Special::ALL {
        let project = Project::new();
        special.put(&project.path().join(".python-version"));
        let created = venvtree(&project, &["create", "env", "--no-seed"]);
        assert!(!created.stderr.contains("panicked"), "{created:?}");
        // The answer of the first run is what the second one finds.
        venvtree(&project, &["create", "one", "--no-seed", "--python", python]).success();
        let mut found = Vec::new();
        files(&project.path().join("home/.cache/venvtree/interpreters"), &mut found);
        for path in &found {
            special.put(path);
        }
        venvtree(&project, &["create", "two", "--no-seed", "--python", python]).success();
        for path in ["pyvenv.cfg", "bin/activate", "bin/activate.fish"] {
            let env = format!("env-{}", path.replace('/', "-"));
            venvtree(&project, &["create", &env, "--no-seed", "--python", python]).success();
            special.put(&project.path().join(&env).join(path));
            venvtree(&project, &["create", "--relocatable", &env]);
            venvtree(&project, &["verify", &env, "--spec", "/dev/null"]);
            venvtree(&project, &["create", &env, "--clear", "--no-seed", "--python", python]);
        }
    }
}

#[test]
fn a_document_that_somebody_names_may_be_a_pipe() {
    let project = project();
    let expected = project.run(&["digest", "env.json"]).success();
    for script in [
        "\"$0\" build <(cat env.json) --root . --out OUT",
        "cat env.json | \"$0\" build /dev/stdin --root . --out OUT",
        "cat env.json | \"$0\" build - --root . --out OUT",
        "\"$0\" build /dev/stdin --root . --out OUT < env.json",
        "\"$0\" build @<(sleep 0.3; printf '%s\\n' env.json --out OUT)",
        // Its writer comes late.
        "mkfifo pipe-OUT; (sleep 0.3; cat env.json > pipe-OUT) & \"$0\" build pipe-OUT --root . --out OUT",
    ]
    .iter()
    .enumerate()
    .map(|(index, script)| script.replace("OUT", &format!("out{index}")))
    {
        let built = bash(&project, &script);
        assert_eq!(built.code, 0, "{script}: {}", built.stderr);
    }
    for index in 0..6 {
        assert_eq!(project.run(&["digest", &format!("out{index}")]).success(), expected);
    }
    bash(&project, "\"$0\" verify out0 --spec <(cat env.json) --root .").success();
    bash(&project, "\"$0\" build env.json --out with --manifest m.json && \"$0\" verify with --manifest <(cat m.json)").success();
    // Without an end.
    let endless = venvtree(&project, &["digest", "/dev/zero"]);
    assert!(endless.code != 0 && endless.stderr.contains("more than"), "{endless:?}");
}

#[test]
fn an_empty_path_is_not_the_working_directory() {
    let project = project();
    let before = crate::support::project::listing(project.path().as_std_path());
    for arguments in [
        &["build", "env.json", "--out", "out", "--store", ""][..],
        &["build", "env.json", "--out", "out", "--store="],
        &["build", "env.json", "--out", ""],
        &["build", "env.json", "--out", "out", "--manifest", ""],
        &["build", "env.json", "--out", "out", "--root", ""],
        &["build", "", "--out", "out"],
        &["store", "gc", "--store", "", "--max-size", "0"],
        &["create", "--python", "/usr/bin/python3", ""],
        &["verify", ""],
        &["digest", ""],
        &["man", "--out", ""],
        &["pull", "00/1", "--out="],
    ] {
        let refused = project.run(arguments);
        assert_eq!(refused.code, 2, "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains("empty"), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(crate::support::project::listing(project.path().as_std_path()), before);
    // Where it means something, it may be empty.
    project
        .run(&["build", "env.json", "--out", "out", "--no-store", "--remote-instance-name", ""])
        .success();
}
