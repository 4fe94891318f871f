//! `doctor`: what it finds, and what it calls a problem.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::project::{Output, Project, venvtree_with};

fn doctor(project: &Project, options: &[&str], more: &[(&str, &str)]) -> (Output, Value) {
    let path = std::env::var("PATH").unwrap();
    let home = project.path().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let variables = [&[("PATH", path.as_str()), ("HOME", home.as_str())], more].concat();
    let output = venvtree_with(
        project.path(),
        &[&["doctor", "--format", "json"], options].concat(),
        "",
        &variables,
    );
    let value = output.json();
    (output, value)
}

fn problems(value: &Value) -> String {
    value["problems"].to_string()
}

#[test]
fn a_sound_machine_has_no_problems() {
    let project = Project::new();
    let (output, value) = doctor(&project, &["--store", "store"], &[]);
    assert_eq!((output.code, value["healthy"].as_bool()), (0, Some(true)), "{value}");
    assert_eq!(value["link_mode"]["used"], "hardlink", "{value}");
    assert!(!value["interpreters"].as_array().unwrap().is_empty(), "{value}");
    assert!(value["remote_cache"].is_null() && value["open_files"]["soft"].is_u64(), "{value}");
    // Looking leaves nothing behind.
    assert_eq!(std::fs::read_dir(project.path()).unwrap().count(), 1);
    let (_, value) = doctor(&project, &["--link-mode", "copy"], &[("VENVTREE_THREADS", "2")]);
    assert_eq!(value["link_mode"]["used"], "copy", "{value}");
    assert_eq!(value["variables"], serde_json::json!(["VENVTREE_THREADS"]));
    let (_, value) = doctor(&project, &["--no-store"], &[]);
    assert!(value["store"].is_null() && value["link_mode"].is_null(), "{value}");
}

#[test]
fn the_program_knows_its_own_bytes() {
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_venvtree"))
        .args(["doctor", "--no-store"])
        .output()
        .unwrap();
    let text = String::from_utf8(program.stdout).unwrap();
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_venvtree")).unwrap();
    let hash = venvtree::model::digest::Hash::sha256(&bytes).to_string();
    assert!(text.contains(&hash), "{text}");
    assert!(text.contains(&format!("venvtree {}", env!("CARGO_PKG_VERSION"))), "{text}");
}

#[test]
fn problems_are_named_and_make_the_exit_code_one() {
    let project = Project::new();
    let store = project.path().join("open");
    std::fs::create_dir(&store).unwrap();
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (output, value) = doctor(&project, &["--store", "open"], &[]);
    assert_eq!(output.code, 1, "{value}");
    assert!(problems(&value).contains("may write to"), "{value}");
    project.write("file", "");
    let (output, value) = doctor(&project, &["--store", "file"], &[]);
    assert_eq!(output.code, 1, "{value}");
    assert!(problems(&value).contains("it is not a directory"), "{value}");
    let (output, value) = doctor(
        &project,
        &["--no-store"],
        &[("VENVTREE_NO_STORE", "maybe"), ("PATH", ""), ("VENVTREE_LINK_MODE", "maybe")],
    );
    assert_eq!(output.code, 1, "{value}");
    assert!(problems(&value).contains("VENVTREE_LINK_MODE"), "{value}");
    let output =
        venvtree_with(project.path(), &["doctor", "--no-store"], "", &[("VENVTREE_THREADS", "x")]);
    assert!(output.stdout.contains("program: venvtree"), "{output:?}");
}

#[test]
fn variables_that_nothing_can_read_are_problems() {
    let project = Project::new();
    let set = [
        ("VENVTREE_THREADS", "x"),
        ("VENVTREE_REMOTE_MODE", "foo"),
        ("VENVTREE_STORE_LIMIT", "much"),
        ("VENVTREE_CONECTIONS", "4"),
        ("VENVTREE_OF_MINE", "1"),
        ("VENVTREE_LINK_MODE", "copy"),
    ];
    let (output, value) = doctor(&project, &["--no-store"], &set);
    assert_eq!(output.code, 1, "{value}");
    let said = problems(&value);
    for (name, _) in &set[..3] {
        assert_eq!(said.matches(&format!("the variable {name} is ")).count(), 1, "{said}");
    }
    let mistyped =
        "nothing reads the variable VENVTREE_CONECTIONS; did you mean `VENVTREE_CONNECTIONS`?";
    assert!(said.contains(mistyped), "{said}");
    assert!(!said.contains("OF_MINE") && !said.contains("LINK_MODE"), "{said}");
}

#[cfg(feature = "remote")]
#[test]
fn a_remote_cache_that_is_not_there_is_a_problem() {
    let project = Project::new();
    let more = [("VENVTREE_REMOTE_RETRIES", "0"), ("VENVTREE_REMOTE_TIMEOUT", "2")];
    for url in ["grpc://127.0.0.1:1", "http://127.0.0.1:1/cache"] {
        let (output, value) = doctor(&project, &["--remote-cache", url], &more);
        assert_eq!(output.code, 1, "{value}");
        assert_eq!(value["remote_cache"]["reachable"], false, "{value}");
    }
}
