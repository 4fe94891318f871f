//! `venvtree create`: found interpreters and seeds, specs that say the same, environments compared with those of the peers.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::support::project::{Output, Project, WheelText, venvtree_with};
use crate::support::{Python, interpreters, peers};

/// Runs `create` with a cache of the project's own and a PATH without anything.
fn create(project: &Project, arguments: &[&str]) -> Output {
    create_with(project, arguments, &[])
}

fn create_with(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let cache = project.path().join(".cache");
    let mut all = vec![("XDG_CACHE_HOME", cache.as_str()), ("PATH", "/nonexistent")];
    all.extend(variables);
    venvtree_with(project.path(), &[&["create"], arguments].concat(), "", &all)
}

/// A wheel in a folder of the project.
fn put(project: &Project, folder: &str, wheel: &WheelText) -> Utf8PathBuf {
    project.write(&format!("{folder}/{}", wheel.file_name()), wheel.pack())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of interpreters are UTF-8")
}

/// Standard output of a command that succeeds, without any variables but these.
fn run(command: &mut Command) -> String {
    let output = command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin").output().expect("it starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// The interpreters whose own wheels hold pip.
fn complete_interpreters() -> Vec<Python> {
    let pythons: Vec<Python> = interpreters().into_iter().filter(|python| python.path.starts_with(home().join(".pyenv"))).collect();
    if pythons.is_empty() { interpreters() } else { pythons }
}

fn home() -> std::path::PathBuf {
    std::env::var_os("HOME").unwrap_or_default().into()
}

#[test]
fn the_spec_that_is_written_builds_the_same() {
    let project = Project::new();
    let wheel = put(
        &project,
        "dist",
        &WheelText::new("tool", "1.0").file("tool.py", "def main(): print('ran')\n").console_scripts("tool = tool:main"),
    );
    for (index, python) in interpreters().iter().enumerate() {
        let (env, spec, again) = (format!("env{index}"), format!("env{index}.json"), format!("again{index}"));
        let mut arguments = vec![env.as_str(), "--python", text(&python.path), "--no-seed", "--wheel", wheel.as_str()];
        arguments.extend(["--prompt", "it's", "--system-site-packages", "--spec-out", &spec, "--format", "json"]);
        if python.version >= (3, 11) {
            arguments.extend(["--relocatable", "--candidate", "../python/bin/python3"]);
        }
        let created = create_with(&project, &arguments, &[("SOURCE_DATE_EPOCH", "1000000000")]);
        let report = created.json();
        assert_eq!(report["outcome"], "built", "{created:?}");
        let built: Value = serde_json::from_str(&project.run(&["build", &spec, "--out", &again, "--format", "json"]).success()).unwrap();
        assert_eq!(built["digest"], report["digest"]);
        let written: Value = serde_json::from_str(&std::fs::read_to_string(project.path().join(&spec)).unwrap()).unwrap();
        assert_eq!(written["flags"]["mtime"], 1_000_000_000);
        assert_eq!(written["flags"]["prompt"], "it's");
        assert_eq!(written["interpreter"], report["interpreter"]);
        for file in ["pyvenv.cfg", "bin/tool"] {
            assert_eq!(project.path().join(&env).join(file).metadata().unwrap().mtime(), 1_000_000_000);
        }
        assert_eq!(run(Command::new(project.path().join(&env).join("bin/tool")).current_dir("/")), "ran\n", "{python:?}");
    }
}
