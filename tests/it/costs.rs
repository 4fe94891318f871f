//! What a build costs, counted rather than timed: system calls, so that noise has no say.

use std::collections::BTreeMap;
use std::process::Command;

use venvtree::model::digest::Hash;

use crate::bytecode::{bytecode_in, compiled_spec, releases, sample};
use crate::support::file_server::FileServer;
use crate::support::project::{Project, WheelText, some_interpreter};

/// What strace writes of a command, its threads and children.
fn traced(project: &Project, options: &[&str], arguments: &[&str]) -> String {
    let log = project.path().join("strace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o", log.as_str()])
        .args(options)
        .arg(env!("CARGO_BIN_EXE_venvtree"))
        .args(arguments)
        .current_dir(project.path())
        // Where cargo has the loader look for libraries, first and in vain.
        .env_remove("LD_LIBRARY_PATH")
        .status()
        .expect("strace is installed by .ci/install");
    assert!(status.success());
    std::fs::read_to_string(log).unwrap()
}

/// The system calls of a command by name, with those of its threads and children.
fn system_calls(project: &Project, arguments: &[&str]) -> BTreeMap<String, u64> {
    let text = traced(project, &["-c", "-U", "calls,name"], arguments);
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse::<u64>().ok()?, words.next()?.to_owned()))
    };
    // `fcntl` is how the standard library asserts that a file is open when it closes it, in builds
    // with assertions only.
    text.lines()
        .filter_map(row)
        .filter(|(_, name)| name != "total" && name != "fcntl")
        .map(|(count, name)| (name, count))
        .collect()
}

/// Five files in a directory, as in real wheels.
fn wheel(files: usize) -> WheelText {
    let mut wheel = WheelText::new("many", "1.0");
    for index in 0..files {
        wheel = wheel.file(
            &format!("many/a{}/b{}/m{index}.py", index / 5 % 20, index / 5),
            format!("VALUE = {index}\n"),
        );
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
        let calls = system_calls(
            &project,
            &["build", "env.json", "--no-store", "--threads", "2", "--out", "out", "--quiet"],
        );
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

/// With overlays, and with a store that has seen all, a build with bytecode starts nothing: neither a
/// program nor a process of its own.
#[test]
fn builds_of_known_bytecode_start_no_process() {
    let (python, _) = releases().remove(0);
    let project = Project::new();
    let mut wheel = sample(&project);
    let starts = |arguments: &[&str]| {
        let calls = ["-e", "trace=execve,execveat,fork,vfork,clone,clone3", "-e", "signal=none"];
        let text =
            traced(&project, &calls, &[&["build", "env.json", "--quiet"], arguments].concat());
        let started = |line: &&str| !line.contains("CLONE_THREAD") && !line.contains(" resumed>");
        text.lines().filter(started).map(str::to_owned).collect::<Vec<_>>()
    };
    let mine = |found: Vec<String>| {
        let first = found[0].contains("execve(") && found[0].contains("venvtree");
        assert!(found.len() == 1 && first, "{found:#?}");
    };
    compiled_spec(&project, &python, std::slice::from_ref(&wheel), |_| ());
    let compiled = starts(&["--out", "cold", "--store", "store", "--compiler", python.text()]);
    assert!(compiled.len() > 2, "an interpreter is started where one is named: {compiled:#?}");
    mine(starts(&["--out", "warm", "--store", "store"]));
    mine(starts(&["--out", "named", "--store", "store", "--compiler", python.text()]));
    let path = wheel["path"].as_str().unwrap();
    let compile = ["bytecode", "compile", path, "--compiler", python.text(), "--overlay", "o.zip"];
    project.run(&compile).success();
    wheel["bytecode"] = "o.zip".into();
    compiled_spec(&project, &python, &[wheel], |_| ());
    mine(starts(&["--out", "overlaid", "--no-store"]));
    mine(starts(&["--out", "stored", "--store", "new"]));
    for out in ["cold", "warm", "named", "overlaid", "stored"] {
        assert_eq!(bytecode_in(&project.path().join(out)).len(), 3, "{out}");
    }
}

#[test]
fn what_is_up_to_date_costs_a_call_for_each_directory_and_none_for_files() {
    // 20 files are in 4 directories of their own, of which 20 are in one.
    let counts = [100, 2_000].map(|files| {
        let project = Project::new();
        let wheel = project.wheel(&wheel(files));
        project.spec(some_interpreter(), &[wheel], |_| ());
        let arguments =
            ["build", "env.json", "--store", "store", "--threads", "2", "--out", "out", "--quiet"];
        project.run(&arguments).success();
        system_calls(&project, &arguments).values().sum::<u64>()
    });
    assert!(counts[1] < counts[0] + 420 && counts[0] < 400, "{counts:?}");
}

#[test]
fn what_is_up_to_date_asks_neither_for_processors_nor_for_other_stores() {
    let project = Project::new();
    let wheel = project.wheel(&wheel(10));
    project.spec(some_interpreter(), &[wheel], |_| ());
    let asked = |arguments: &[&str]| {
        let log = traced(&project, &["-e", "trace=open,openat,stat,statx,newfstatat"], arguments);
        ["/cgroup", ".cache/venvtree"].map(|path| log.contains(path))
    };
    let build = ["build", "env.json", "--store", "store", "--out", "out", "--quiet"];
    assert!(asked(&build)[0], "threads are started by as many as there are processors");
    assert_eq!(asked(&build), [false, false]);
}

/// Whoever wants to know of each file reads those that look otherwise than when they were written.
#[test]
fn files_that_look_as_they_were_written_are_not_read_again() {
    for mode in ["copy", "hardlink"] {
        let project = Project::new();
        let wheel = project.wheel(&wheel(100));
        project.spec(some_interpreter(), &[wheel], |_| ());
        let build = |out| {
            let fixed = ["build", "env.json", "--store", "store", "--replace", "--threads", "2"];
            [&fixed[..], &["--link-mode", mode, "--format", "json", "--out", out]].concat()
        };
        let outcome = |out| project.run(&build(out)).json()["outcome"].clone();
        let read = || openings(&project, &["out"], &build("out"));
        assert_eq!(outcome("out"), "built");
        assert_eq!(read(), BTreeMap::new(), "{mode}");
        // Another environment may share the files, which links them once more.
        assert_eq!(outcome("other"), "built");
        assert_eq!(read(), BTreeMap::new(), "{mode}");
        let site = "out/lib/python3.11/site-packages";
        let file = format!("{site}/many/a0/b0/m0.py");
        let path = project.path().join(&file);
        let text = std::fs::read(&path).unwrap();
        let put = |text: &[u8]| {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, text).unwrap();
            let old = filetime::FileTime::from_unix_time(1_000_000, 0);
            filetime::set_file_mtime(&path, old).unwrap();
        };
        put(&text);
        assert_eq!(read(), BTreeMap::from([(file.clone(), 1)]), "{mode}: the same text");
        assert_eq!(outcome("out"), "up-to-date");
        let directory = project.path().join(format!("{site}/many/a0/b0"));
        let old = filetime::FileTime::from_unix_time(1_000_000, 0);
        filetime::set_file_mtime(&directory, old).unwrap();
        assert_eq!(read(), BTreeMap::new(), "{mode}: what was read is known");
        assert_eq!(read(), BTreeMap::new(), "{mode}");
        put(&[b'#'].repeat(text.len()));
        assert_eq!(read(), BTreeMap::from([(file, 1)]), "{mode}: another text as long");
        assert_eq!(std::fs::read(&path).unwrap(), text, "{mode}");
    }
}

#[test]
fn wheels_that_the_store_knows_are_not_read_for_another_environment() {
    let project = Project::new();
    let wheel = project.wheel(&wheel(1_000));
    // Old enough to be known by its state.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let build =
        |out| ["build", "env.json", "--store", "store", "--threads", "2", "--out", out, "--quiet"];
    let with_prompt = |prompt: &str| {
        project.spec(some_interpreter(), std::slice::from_ref(&wheel), |spec| {
            spec["flags"] = serde_json::json!({"digest_function": "blake3", "prompt": prompt});
        });
        let digest =
            project.run(&["digest", "env.json", "--store", "store", "--format", "json"]).json();
        (digest["method"].as_str().unwrap().to_owned(), digest["digest"].clone())
    };
    assert_eq!(with_prompt("one").0, "inflated");
    project.run(&build("one")).success();
    let (method, digest) = with_prompt("two");
    assert_eq!(method, "known");
    let calls = system_calls(&project, &build("two"));
    // Two are the dynamic loader's.
    assert!(calls.get("pread64").is_none_or(|count| *count <= 2), "{calls:?}");
    // Each file is linked and looked at once: what the store has is not asked before.
    let looks = calls["newfstatat"];
    assert!((1_000..1_200).contains(&looks) && calls["linkat"] >= 1_000, "{calls:?}");
    let digest_of = |out: &str| {
        let arguments = ["digest", out, "--digest-function", "blake3"];
        project.run(&arguments).success().trim().to_owned()
    };
    assert_eq!(digest_of("two"), digest);
    // A file that the store has lost is taken from the wheel.
    let lost = project.path().join("three");
    std::fs::remove_dir_all(project.path().join("store/blake3/files")).unwrap();
    assert_eq!(with_prompt("three").0, "known");
    project.run(&build("three")).success();
    assert!(lost.join("lib/python3.11/site-packages/many/a0/b0/m0.py").is_file());
    assert_eq!(serde_json::json!(digest_of("three")), with_prompt("three").1);
    // A file that was touched is read again, and found to be the same.
    let path = project.path().join(wheel["path"].as_str().unwrap());
    std::fs::write(&path, std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(with_prompt("two").1, digest);
}

/// What came was compared on its way, and what it holds is known.
#[test]
fn a_wheel_that_was_fetched_is_opened_once_for_each_environment() {
    let server = FileServer::start();
    let project = Project::new();
    let text = wheel(10);
    let bytes = text.pack();
    let (hash, url) = (Hash::sha256(&bytes), server.add(&format!("/{}", text.file_name()), &bytes));
    let reference = serde_json::json!({"url": url, "size": bytes.len(), "sha256": hash});
    let read = |out: &str| {
        project.spec(some_interpreter(), std::slice::from_ref(&reference), |spec| {
            spec["flags"] = serde_json::json!({"prompt": out});
        });
        let build = ["build", "env.json", "--store", "store", "--threads", "2", "--out", out];
        let hex = hash.to_hex();
        let kept = format!("store/cas/{}/{hex}", &hex[..2]);
        assert!(!project.path().join(out).exists());
        openings(&project, &["store/cas"], &build).remove(&kept)
    };
    // To be unpacked, and the other time in case that the store lacks a member.
    assert_eq!((read("one"), read("two")), (Some(1), Some(1)));
}

#[test]
fn a_member_larger_than_all_else_is_shared_by_threads() {
    let started = [4, 5].map(|megabytes| {
        let project = Project::new();
        let wheel = project.wheel(&wheel(10).file("many/large.bin", vec![7; megabytes << 20]));
        project.spec(some_interpreter(), &[wheel], |_| ());
        let calls = system_calls(
            &project,
            &["build", "env.json", "--no-store", "--threads", "4", "--out", "out", "--quiet"],
        );
        ["clone", "clone3"].iter().filter_map(|name| calls.get(*name)).sum::<u64>()
    });
    // One that inflates and one that hashes.
    assert_eq!(started[1], started[0] + 2, "{started:?}");
}

/// How often a command opens each file below some folders, by its path.
fn openings(project: &Project, folders: &[&str], arguments: &[&str]) -> BTreeMap<String, usize> {
    let options = ["-y", "-e", "trace=open,openat,openat2", "-e", "signal=none"];
    let text = traced(project, &options, arguments);
    let root = format!("<{}/", project.path());
    let mut openings = BTreeMap::new();
    for line in text.lines() {
        // `openat(…) = 3</project/python/bin/python3.11>`, or its end in a line of its own.
        let Some((_, result)) = line.rsplit_once(" = ") else { continue };
        let Some((_, path)) = result.split_once(&root) else { continue };
        let path = path.trim_end_matches('>');
        let is_below = |folder: &&str| path.starts_with(&format!("{folder}/"));
        if folders.iter().any(is_below) && project.path().join(path).is_file() {
            *openings.entry(path.to_owned()).or_default() += 1;
        }
    }
    openings
}

/// Listing hashes a file, and writing it reads it: what lies between asks those who have done so.
#[test]
fn first_party_files_are_read_once_to_know_them_and_once_to_copy_them() {
    let project = Project::new();
    let wheel = project.wheel(&wheel(10));
    for index in 0..20 {
        project.write(&format!("python/lib/python3.11/m{index}.py"), format!("X = {index}\n"));
        project.write(&format!("src/first/m{index}.py"), format!("Y = {index}\n"));
    }
    project.write_program("python/bin/python3.11", "#!/bin/sh\n");
    let mut interpreter = some_interpreter();
    interpreter["python"] = serde_json::json!({
        "kind": "inside", "directory": "python", "executable": "bin/python3.11",
    });
    project.spec(interpreter, &[wheel], |spec| {
        spec["sources"] = serde_json::json!([{"path": "src"}]);
    });
    let stored = ["--store", "store", "--link-mode", "hardlink"];
    let steps: [(&str, &[&str], usize); 7] = [
        // Cold: listed, and copied.
        ("one", &stored, 2),
        // Nothing to do: the key says so, for which files are listed.
        ("one", &stored, 1),
        // The store knows the tree: what it has is linked.
        ("two", &stored, 1),
        // And with a manifest, which needs the plan.
        ("three", &["--store", "store", "--manifest", "manifest.json"], 1),
        // The tree is there, but read all the same.
        ("two", &["--store", "store", "--replace"], 1),
        ("four", &["--no-store"], 2),
        ("four", &["--no-store"], 1),
    ];
    for (out, options, expected) in steps {
        let build = [&["build", "env.json", "--quiet", "--threads", "2", "--out", out], options];
        let found = openings(&project, &["python", "src"], &build.concat());
        let all = found.len() == 41 && found.values().all(|count| *count == expected);
        assert!(all, "{out} {options:?}, expected {expected} of 41 files: {found:?}");
    }
}
