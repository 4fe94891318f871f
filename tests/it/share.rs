//! `venvtree share`: made once, whoever asks; found only as it was made; elsewhere where it cannot
//! be shared.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::support::project::{Output, Project, WheelText, much_work, some_interpreter};

const PLACE: [&str; 2] = ["--environments", "shared"];
const STORE: [&str; 2] = ["--store", "store"];

fn project(wheel: &WheelText) -> Project {
    let project = Project::new();
    let wheel = project.wheel(wheel);
    project.spec(some_interpreter(), &[wheel], |_| ());
    project
}

fn demo() -> Project {
    let wheel = WheelText::new("demo", "1.0")
        .file("demo/__init__.py", "VALUE = 1\n")
        .file("demo/empty.py", "")
        .console_scripts("demo = demo:main");
    project(&wheel)
}

fn share(project: &Project, options: &[&str]) -> Output {
    project.run(&[&["share", "env.json", "--format=json"], &PLACE[..], options].concat())
}

fn shared(project: &Project, options: &[&str]) -> Value {
    share(project, options).report()
}

fn path(report: &Value) -> Utf8PathBuf {
    report["path"].as_str().expect("a path").into()
}

fn digest(project: &Project, of: &str) -> String {
    project.run(&["digest", of]).success().trim().to_owned()
}

fn mode(path: &Utf8Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_made_once_and_nobody_may_write_to_it() {
    let project = demo();
    project.run(&["digest", "env.json", "--digest-file", "wanted", "--quiet"]).success();
    let made = shared(&project, &[&STORE[..], &["--expect", "wanted"]].concat());
    let found = shared(&project, &["--no-store", "--expect", "wanted"]);
    assert_eq!((&made["outcome"], &found["outcome"]), (&"made".into(), &"found".into()));
    assert_eq!((&made["path"], &made["digest"]), (&found["path"], &found["digest"]));
    let path = path(&made);
    assert_eq!(digest(&project, path.as_str()), made["digest"]);
    assert_eq!(digest(&project, "env.json"), made["digest"]);
    assert_eq!(mode(&project.path().join("shared")), 0o700);
    for (below, expected) in [
        ("", 0o555),
        ("bin", 0o555),
        ("bin/demo", 0o555),
        ("pyvenv.cfg", 0o444),
        ("lib/python3.11/site-packages/demo", 0o555),
        ("lib/python3.11/site-packages/demo/__init__.py", 0o444),
        ("lib/python3.11/site-packages/demo/empty.py", 0o444),
    ] {
        assert_eq!(mode(&path.join(below)), expected, "{below}");
    }
    // A person reads where it is.
    let line = project.run(&[&["share", "env.json"], &PLACE[..], &STORE[..]].concat()).success();
    assert_eq!(line.trim(), path);
}

#[test]
fn another_environment_than_the_expected_one_is_refused() {
    let project = demo();
    let other = format!("{}/1", "0".repeat(64));
    project.write("wanted", &other);
    share(&project, &["--no-store", "--expect", "wanted", "--fallback", "own"])
        .ends(6, &format!("expected {other}"));
    assert!(!project.path().join("shared").join("0".repeat(64)).exists());
    assert!(!project.path().join("own").exists());
}

/// Starts the command as a process of its own.
fn start(project: &Project, options: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_venvtree"))
        .args(["share", "env.json", "--format=json"])
        .args(PLACE)
        .args(options)
        .current_dir(project.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn sixteen_at_once_make_one() {
    let project = project(&much_work());
    project.run(&["digest", "env.json", "--digest-file", "wanted"]).success();
    let started: Vec<Child> =
        (0..16).map(|_| start(&project, &["--no-store", "--expect", "wanted"])).collect();
    let reports = started.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    });
    let reports: Vec<Value> = reports.collect();
    let made = reports.iter().filter(|report| report["outcome"] == "made").count();
    let found = reports.iter().filter(|report| report["outcome"] == "found").count();
    assert_eq!((made, found), (1, 15));
    assert_eq!(digest(&project, path(&reports[0]).as_str()), reports[0]["digest"]);
}

fn killed(kills: u32) {
    let project = project(&much_work());
    project.run(&["digest", "env.json", "--digest-file", "wanted"]).success();
    let options = ["--store", "store", "--expect", "wanted"];
    let whole = shared(&project, &options);
    let stamp = project.path().join("shared/stamps").join(path(&whole).file_name().unwrap());
    // How long it takes out of the store, as it does from now on.
    std::fs::remove_file(&stamp).unwrap();
    let begin = Instant::now();
    assert!(start(&project, &options).wait().unwrap().success());
    let took = begin.elapsed();
    let wanted = digest(&project, "env.json");
    let mut unfinished = 0;
    for round in 0..kills {
        // So that it is not just found.
        let _ = std::fs::remove_file(&stamp);
        let mut child = start(&project, &options);
        std::thread::sleep(took * (round % 20) / 20);
        unfinished += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 5 == 4 {
            // Whatever was left, what is found is whole.
            let found = shared(&project, &options);
            assert_eq!(digest(&project, path(&found).as_str()), wanted, "after {round} kills");
        }
    }
    assert!(unfinished > kills / 4, "only {unfinished} of {kills} were killed before their end");
    let found = shared(&project, &options);
    assert_eq!(digest(&project, path(&found).as_str()), wanted);
    let left = crate::support::project::names(&project.path().join("shared"));
    assert!(!left.iter().any(|name| name.contains("venvtree-")), "{left:?}");
}

#[test]
fn nothing_half_made_is_found_after_kills() {
    killed(20);
}

#[test]
#[ignore = "takes minutes"]
fn nothing_half_made_is_found_after_a_hundred_kills() {
    killed(100);
}

#[test]
fn where_it_cannot_be_shared_it_is_made_elsewhere_or_not_at_all() {
    let project = demo();
    // The place is a file; everybody may write to it.
    for (what, place) in [("a file", "file"), ("open", "open")] {
        if what == "a file" {
            project.write("file", "");
        } else {
            std::fs::create_dir(project.path().join("open")).unwrap();
            let everybody = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(project.path().join("open"), everybody).unwrap();
        }
        let run = |options: &[&str]| {
            let line =
                ["share", "env.json", "--format=json", "--no-store", "--environments", place];
            project.run(&[&line[..], options].concat())
        };
        run(&[]).ends(7, &format!("/{place}"));
        let output = run(&["--fallback", "own"]);
        assert_eq!(output.stderr.lines().count(), 1, "{what}: {output:?}");
        output.says("warning: the environment is made for this process alone: ");
        let made = output.report();
        assert_eq!(made["outcome"], "fallback");
        assert!(path(&made).starts_with(project.path().join("own")), "{made}");
        assert_eq!(digest(&project, path(&made).as_str()), made["digest"]);
        // Whoever cleans up there need not be its owner with all rights.
        assert_eq!(mode(&path(&made)) & 0o200, 0o200);
        let output = run(&["--if-possible", "--digest-file", "digest"]);
        output.says("warning: the environment is not shared: ");
        assert_eq!(output.report()["path"], Value::Null);
        let written = std::fs::read_to_string(project.path().join("digest")).unwrap();
        assert_eq!(written.trim(), made["digest"]);
    }
}

#[test]
fn the_home_is_that_of_the_system_where_no_variable_says_it() {
    let project = demo();
    crate::support::project::open_to_all(project.path());
    crate::support::copy_venvtree(project.path().join("venvtree").as_ref());
    // `nobody`, whose home cannot be made; and a user that the system does not know.
    for (user, said) in [
        (65_534, "/nonexistent/.cache/venvtree/environments"),
        (61_003, "the user's home is not known"),
    ] {
        let output = Command::new(project.path().join("venvtree"))
            .args(["share", "env.json", "--no-store"])
            .current_dir(project.path())
            .env_clear()
            .uid(user)
            .gid(user)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(7) && stderr.contains(said), "{user}: {stderr}");
    }
}

/// Changes a byte of a file as its owner can who means to.
fn damage(file: &Utf8Path) {
    let mtime = filetime::FileTime::from_last_modification_time(&file.metadata().unwrap());
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    bytes[0] ^= 1;
    std::fs::write(file, bytes).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o444)).unwrap();
    filetime::set_file_mtime(file, mtime).unwrap();
}

fn verify(project: &Project, options: &[&str]) -> Output {
    project.run(&[&["share", "--verify"], &PLACE[..], options].concat())
}

const MODULE: &str = "lib/python3.11/site-packages/demo/__init__.py";

#[test]
fn a_changed_byte_is_named_and_the_environment_made_again() {
    let project = demo();
    let made = shared(&project, &STORE);
    let environment = path(&made);
    assert_eq!(
        verify(&project, &STORE).success().trim(),
        "checked 1 shared environment, 0 damaged"
    );
    // The store's file is the same one, and only its other names say so.
    damage(&environment.join(MODULE));
    let other = project.path().join("other");
    project.run(&["build", "env.json", "--no-store", "--out", "other"]).success();
    // Without the wheels, out of the store, which has it no more.
    let output = verify(&project, &STORE);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stdout.contains(&format!("content {environment}/{MODULE}: found")),
        "{output:?}"
    );
    assert!(output.stdout.contains("removed, as the store has not all of it"), "{output:?}");
    assert!(!environment.exists());
    assert_eq!(shared(&project, &STORE)["outcome"], "made");
    assert_eq!(digest(&project, environment.as_str()), digest(&project, other.as_str()));

    // What is no link comes out of the store again.
    damage(&environment.join("bin/demo"));
    let output = verify(&project, &STORE);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("made again out of the store"), "{output:?}");
    let again = shared(&project, &STORE);
    assert_eq!(digest(&project, path(&again).as_str()), again["digest"]);
}

#[test]
fn bytecode_that_a_program_left_there_is_a_difference() {
    let project = demo();
    let made = shared(&project, &STORE);
    let folder = path(&made).join("lib/python3.11/site-packages/demo");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(folder.join("__pycache__")).unwrap();
    std::fs::write(folder.join("__pycache__/left.cpython-311.pyc"), "").unwrap();
    let output = verify(&project, &STORE);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("__pycache__/left.cpython-311.pyc"), "{output:?}");
    assert!(output.stdout.contains("made again out of the store"), "{output:?}");
    assert!(!folder.join("__pycache__").exists() && folder.join("__init__.py").exists());
    assert_eq!(verify(&project, &STORE).code, 0);
    assert_eq!(shared(&project, &STORE)["outcome"], "found");
}

#[test]
fn store_gc_removes_what_nobody_used_for_a_week() {
    let project = demo();
    let made = shared(&project, &[&STORE[..], &["--digest-file", "digest"]].concat());
    let stamp = project.path().join("shared/stamps").join(path(&made).file_name().unwrap());
    let gc = |options: &[&str]| {
        let line = ["store", "gc", "--format=json", "--store", "store"];
        project.run(&[&line[..], options].concat()).report()["shared"].clone()
    };
    let collected = |removed| serde_json::json!({"before": 1, "removed": removed, "failed": []});
    assert_eq!(gc(&PLACE), collected(0));
    let week = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600);
    filetime::set_file_mtime(&stamp, week.into()).unwrap();
    assert_eq!(gc(&[]), Value::Null, "those of another place are nobody's business");
    assert_eq!(gc(&PLACE), collected(0), "a file names it");
    // Using it counts, also where nothing is made.
    std::fs::remove_file(project.path().join("digest")).unwrap();
    shared(&project, &STORE);
    assert_eq!(gc(&PLACE), collected(0));
    filetime::set_file_mtime(&stamp, week.into()).unwrap();
    assert_eq!(gc(&[&PLACE[..], &["--max-age", "30d"]].concat()), collected(0));
    assert_eq!(gc(&PLACE), collected(1));
    assert!(!path(&made).exists());
    let line = project.run(&[&["store", "gc", "--store", "store"], &PLACE[..]].concat()).success();
    assert!(!line.contains("shared"), "{line}");
}

#[test]
fn what_is_shared_is_found_without_its_wheels_and_without_what_the_store_knew() {
    let project = demo();
    let made = shared(&project, &STORE);
    let wheels = project.path().join("wheels/demo-1.0-py3-none-any.whl");
    std::fs::remove_file(&wheels).unwrap();
    // All that garbage collection can ever take away.
    std::fs::remove_dir_all(project.path().join("store")).unwrap();
    for options in [&STORE[..], &["--no-store"]] {
        let found = shared(&project, options);
        assert_eq!((&found["outcome"], &found["path"]), (&"found".into(), &made["path"]));
        assert_eq!(found["digest"], made["digest"]);
    }
    // What somebody exchanged is not what was made.
    std::fs::rename(path(&made), project.path().join("aside")).unwrap();
    std::fs::create_dir(path(&made)).unwrap();
    share(&project, &STORE).ends(7, "demo-1.0-py3-none-any.whl");
    std::fs::remove_dir(path(&made)).unwrap();
    std::fs::rename(project.path().join("aside"), path(&made)).unwrap();
    // Another spec has another key.
    let spec = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let mut spec: Value = serde_json::from_str(&spec).unwrap();
    spec["flags"]["prompt"] = "another".into();
    project.write("env.json", spec.to_string());
    share(&project, &STORE).ends(7, "demo-1.0-py3-none-any.whl");
}
