//! Signals: a build that is ended leaves nothing behind, and ends as the signal says; what the dead
//! left goes, what the living have stays.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::commands::said;
use crate::support::project::{Project, WheelText, much_work, names, some_interpreter};
use crate::support::terminal;

const VENVTREE: &str = env!("CARGO_BIN_EXE_venvtree");
const BUILD: [&str; 5] = ["build", "env.json", "--out", "out", "--no-store"];

/// A spec that takes a while.
fn project() -> Project {
    let project = Project::new();
    let wheel = project.wheel(&much_work());
    project.spec(some_interpreter(), &[wheel], |_| ());
    project
}

fn start(project: &Project, command: &mut Command) -> Child {
    command
        .current_dir(project.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a build is in the middle of its work.
fn wait_until_writing(project: &Project) {
    let begun = Instant::now();
    let is_writing = |name: &String| project.path().join(name).join("lib").exists();
    while !project.left_over().iter().any(is_writing) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no build has begun");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Sends SIGTERM; the process ends by it.
fn end(child: Child) {
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(15), "{}: {}", output.status, said(&output));
}

#[test]
fn a_signal_ends_a_build_without_a_trace() {
    let project = project();
    for (sent, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        let child = start(&project, Command::new(VENVTREE).args(BUILD));
        wait_until_writing(&project);
        signal(&child, sent);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{sent:?}: {}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{sent:?}");
        assert_eq!(project.left_over(), Vec::<String>::new(), "{sent:?}");
        assert!(!project.path().join("out").exists());
    }
}

#[test]
fn a_signal_ends_the_writing_of_a_file_without_a_trace() {
    let project = project();
    let pack = ["pack", "env.json", "--out", "archives/env.zip"];
    std::fs::create_dir(project.path().join("archives")).unwrap();
    let archives = || names(&project.path().join("archives"));
    let until_there = || {
        let begun = Instant::now();
        while archives().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    for (sent, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        let child = start(&project, Command::new(VENVTREE).args(pack));
        until_there();
        signal(&child, sent);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{sent:?}: {}", output.status);
        assert_eq!(archives(), Vec::<String>::new(), "{sent:?}");
    }
    // What cannot be caught leaves a file, which the next one to write there takes away.
    let mut killed = start(&project, Command::new(VENVTREE).args(pack));
    until_there();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(archives().len(), 1);
    project.spec(some_interpreter(), &[], |_| ());
    project.run(&pack).success();
    assert_eq!(archives(), ["env.zip"]);
}

#[test]
fn a_signal_leaves_nothing_in_an_environment_that_is_made_relocatable() {
    let project = Project::new();
    let configuration = "home = /usr/bin\nversion = 3.11.2\ncommand = python -m venv env\n";
    project.write("env/pyvenv.cfg", configuration);
    project.write("env/lib/large.bin", "");
    std::fs::create_dir(project.path().join("env/bin")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3", project.path().join("env/bin/python")).unwrap();
    // To look through it takes long enough; it takes no room.
    std::fs::File::create(project.path().join("env/lib/large.bin"))
        .unwrap()
        .set_len(4 << 30)
        .unwrap();
    let env = project.path().join("env");
    let left_over = || -> Vec<String> {
        names(&env).into_iter().filter(|name| name.contains("venvtree-")).collect()
    };
    let child = start(
        &project,
        Command::new(VENVTREE).args(["create", "--relocatable", "env", "--no-store"]),
    );
    let begun = Instant::now();
    while left_over().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(1));
    }
    end(child);
    assert_eq!(left_over(), Vec::<String>::new());
    assert_eq!(
        std::fs::read_to_string(project.path().join("env/pyvenv.cfg")).unwrap(),
        configuration
    );
}

#[test]
fn a_file_that_becomes_too_large_is_an_error() {
    let project = project();
    for command in [&BUILD[..], &["pack", "env.json", "--out", "env.tar"]] {
        let script = "ulimit -f 2000; exec \"$0\" \"$@\"";
        let output =
            start(&project, Command::new("sh").args(["-c", script, VENVTREE]).args(command))
                .wait_with_output()
                .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{}: {said}", output.status);
        assert!(said.contains("File too large") && said.contains("ulimit -f"), "{said}");
        assert_eq!(project.left_over(), Vec::<String>::new());
    }
}

#[test]
fn a_signal_at_any_moment_leaves_a_whole_environment_or_none_and_nothing_else() {
    let project = project();
    let begun = Instant::now();
    assert!(start(&project, Command::new(VENVTREE).args(BUILD)).wait().unwrap().success());
    let whole = begun.elapsed();
    let digest = project.run(&["digest", "out"]).success();
    for round in 0..6 {
        std::fs::remove_dir_all(project.path().join("out")).unwrap_or_default();
        let mut child = start(&project, Command::new(VENVTREE).args(BUILD));
        std::thread::sleep(whole.mul_f64((f64::from(round) * 0.618_033_988_75).fract()));
        signal(&child, Signal::TERM);
        child.wait().unwrap();
        assert_eq!(project.left_over(), Vec::<String>::new());
        if project.path().join("out").exists() {
            assert_eq!(project.run(&["digest", "out"]).success(), digest);
        }
    }
}

#[test]
fn files_that_are_not_finished_go_as_directories_do() {
    let project = project();
    let pack = |archive: &str| {
        let child =
            start(&project, Command::new(VENVTREE).args(["pack", "env.json", "--out", archive]));
        let begun = Instant::now();
        while project.left_over().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no archive has begun");
            std::thread::sleep(Duration::from_millis(1));
        }
        child
    };
    for sent in [Signal::INT, Signal::TERM] {
        let child = pack("env.tar.gz");
        signal(&child, sent);
        assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(sent.as_raw()));
        assert_eq!(project.left_over(), Vec::<String>::new(), "{sent:?}");
    }
    let mut child = pack("env.tar.gz");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    assert_eq!(project.left_over().len(), 1);
    // Whatever is written there next clears it away.
    project.write("small/file", "");
    project.run(&["pack", "small", "--out", "small.tar"]).success();
    assert_eq!(project.left_over(), Vec::<String>::new());
    assert!(!project.path().join("env.tar.gz").exists());
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error_like_a_full_disk() {
    let project = project();
    for command in ["build env.json --out out --no-store", "pack env.json --out env.tar"] {
        let output = Command::new("sh")
            .args(["-c", &format!("ulimit -f 2000; exec \"$0\" {command}"), VENVTREE])
            .current_dir(project.path())
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(7), "{command}: {} {message}", output.status);
        assert!(message.contains("File too large"), "{message}");
        assert_eq!(project.left_over(), Vec::<String>::new(), "{command}");
    }
}

#[test]
fn what_is_ignored_stays_ignored() {
    let project = project();
    for (sent, name) in [(Signal::HUP, "HUP"), (Signal::INT, "INT")] {
        let script = format!("trap '' {name}; exec \"$0\" \"$@\"");
        let child = start(&project, Command::new("sh").args(["-c", &script, VENVTREE]).args(BUILD));
        wait_until_writing(&project);
        signal(&child, sent);
        assert!(child.wait_with_output().unwrap().status.success(), "{name}");
        std::fs::remove_dir_all(project.path().join("out")).unwrap();
    }
}

#[test]
fn ctrl_c_on_a_terminal_takes_progress_away() {
    let project = project();
    let mut terminal = terminal::start(
        project.path(),
        &[&[VENVTREE], &BUILD[..]].concat(),
        &[("TERM", "xterm")],
        (24, 80),
    );
    terminal.wait_for("progress", |shown| shown.contains("writing"));
    terminal.type_in("\x03");
    let (status, shown, raw) = terminal.finish();
    assert_eq!(status.signal(), Some(2), "{status}");
    // The terminal itself shows the key.
    assert!(matches!(shown.as_str(), "" | "^C"), "{shown}\n{raw}");
    assert_eq!(project.left_over(), Vec::<String>::new());
}

#[test]
fn what_a_dead_build_left_goes_with_any_other_in_the_folder_and_what_a_living_one_has_stays() {
    let project = project();
    let mut dead = start(&project, Command::new(VENVTREE).args(BUILD));
    wait_until_writing(&project);
    dead.kill().unwrap();
    dead.wait().unwrap();
    assert_eq!(project.left_over().len(), 1);
    let mut living = start(
        &project,
        Command::new(VENVTREE).args(["build", "env.json", "--out", "living", "--no-store"]),
    );
    let begun = Instant::now();
    while !project.left_over().iter().any(|name| name.starts_with(".living")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no build has begun");
    }
    let wheel = project.wheel(&WheelText::new("small", "1.0").file("small.py", ""));
    let many = std::fs::read(project.path().join("env.json")).unwrap();
    project.spec(some_interpreter(), &[wheel], |_| ());
    project.run(&["build", "env.json", "--out", "another", "--no-store"]).success();
    project.write("env.json", many);
    assert!(
        project.left_over().iter().all(|name| name.starts_with(".living")),
        "{:?}",
        project.left_over()
    );
    assert!(living.wait().unwrap().success());
    assert_eq!(project.left_over(), Vec::<String>::new());
}

#[test]
fn where_no_thread_can_listen_a_signal_still_leaves_nothing() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test becomes another user: run it as root, as CI does"
    );
    let project = project();
    project.open_to_all();
    let mut command = Command::new("prlimit");
    command.args(["--nproc=1", VENVTREE]).args(BUILD).uid(61236).gid(61236);
    let child = start(&project, &mut command);
    wait_until_writing(&project);
    end(child);
    assert_eq!(project.left_over(), Vec::<String>::new());
}

#[test]
fn a_build_that_runs_out_of_descriptors_clears_away() {
    let project = Project::new();
    let deep = (0..60).map(|index| format!("d{index}/")).collect::<String>();
    let wheels: Vec<_> = (0..30)
        .map(|index| {
            project.wheel(
                &WheelText::new(&format!("w{index}"), "1.0")
                    .file(&format!("{deep}w{index}.py"), "x".repeat(index)),
            )
        })
        .collect();
    project.spec(some_interpreter(), &wheels, |_| ());
    let mut failed = 0;
    let stores = [&["--no-store"][..], &["--store", "store"]];
    for (descriptors, store) in
        (5..24).chain((24..60).step_by(5)).flat_map(|number| stores.map(|store| (number, store)))
    {
        let script = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, VENVTREE]).args(&BUILD[..4]).args(store);
        let output = start(&project, &mut command).wait_with_output().unwrap();
        failed += usize::from(!output.status.success());
        assert_eq!(
            project.left_over(),
            Vec::<String>::new(),
            "{descriptors}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::remove_dir_all(project.path().join("out")).unwrap_or_default();
    }
    assert!(failed > 5, "only {failed} builds ran out of descriptors");
}

#[test]
fn what_a_command_has_started_does_not_outlive_it() {
    let project = Project::new();
    let script = "#!/bin/sh\nsleep 300 &\necho $$ $! > started.new\nmv started.new started\nwait\n";
    let python = project.write("python", script);
    std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut child =
        start(&project, Command::new(VENVTREE).args(["interpreter", "probe", "./python"]));
    let begun = Instant::now();
    let started = project.path().join("started");
    while !started.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is not asked");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    for number in std::fs::read_to_string(started).unwrap().split_whitespace() {
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            // Ended, and at most not yet waited for by whoever inherited it.
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while runs() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{number} still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
