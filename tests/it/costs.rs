//! What a build costs, counted rather than timed: system calls, so that noise has no say.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::project::{Project, WheelText, some_interpreter};

/// The system calls of a command by name, with those of its threads and children.
fn system_calls(project: &Project, arguments: &[&str]) -> BTreeMap<String, u64> {
    let log = project.path().join("strace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-c", "-U", "calls,name", "-o", log.as_str(), env!("CARGO_BIN_EXE_venvtree")])
        .args(arguments)
        .current_dir(project.path())
        .status()
        .expect("strace is installed by .ci/install");
    assert!(status.success());
    let text = std::fs::read_to_string(log).unwrap();
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse::<u64>().ok()?, words.next()?.to_owned()))
    };
    // `fcntl` is how the standard library asserts that a file is open when it closes it, in builds with assertions only.
    text.lines().filter_map(row).filter(|(_, name)| name != "total" && name != "fcntl").map(|(count, name)| (name, count)).collect()
}

/// Five files in a directory, as in real wheels.
fn wheel(files: usize) -> WheelText {
    let mut wheel = WheelText::new("many", "1.0");
    for index in 0..files {
        wheel = wheel.file(&format!("many/a{}/b{}/m{index}.py", index / 5 % 20, index / 5), format!("VALUE = {index}\n"));
    }
    wheel
}

#[test]
fn a_file_costs_at_most_seven_system_calls() {
    let mut totals = Vec::new();
    for files in [1_000, 3_000] {
        let project = Project::new();
        let wheel = project.wheel(&wheel(files));
        project.spec(some_interpreter(), &[wheel], |_| ());
        let calls = system_calls(&project, &["build", "env.json", "--no-store", "--threads", "2", "--out", "out", "--quiet"]);
        for forbidden in ["fsync", "fdatasync", "syncfs", "sync"] {
            assert_eq!(calls.get(forbidden), None, "{calls:?}");
        }
        // The command itself, and no interpreter.
        assert_eq!(calls.get("execve"), Some(&1), "{calls:?}");
        totals.push((calls.values().sum::<u64>(), calls));
    }
    // What does not depend on the number of files is left out of the account.
    let each = (totals[1].0 - totals[0].0) as f64 / 2_000.0;
    assert!(each <= 7.0, "{each} system calls a file: {:?}", totals[1].1);
}

#[test]
fn what_is_up_to_date_costs_the_same_whatever_its_size() {
    let counts = [100, 2_000].map(|files| {
        let project = Project::new();
        let wheel = project.wheel(&wheel(files));
        project.spec(some_interpreter(), &[wheel], |_| ());
        let arguments = ["build", "env.json", "--store", "store", "--threads", "2", "--out", "out", "--quiet"];
        project.run(&arguments).success();
        system_calls(&project, &arguments).values().sum::<u64>()
    });
    assert!(counts[1] < counts[0] + 20 && counts[1] < 500, "{counts:?}");
}
