//! The root digest is the one that others compute for the same directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use camino::Utf8Path;
use serde_json::json;

use crate::support::commands::{succeed, succeed_in_newer_debian};
use crate::support::peers::peer;
use crate::support::project::{Project, WheelText, some_interpreter};

/// buildbox's `casupload`, from the directory in which `.ci/install` puts a newer Debian.
fn casupload(directory: &Utf8Path) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let file = Utf8Path::from_path(scratch.path()).unwrap().join("digest");
    let installed = std::env::var_os("VENVTREE_BAZEL7")
        .map_or_else(|| PathBuf::from("/opt/bazel7"), PathBuf::from);
    assert!(
        installed.join("usr/bin/casupload").exists(),
        "casupload is expected in {}: run .ci/install",
        installed.display()
    );
    let digest = format!("--output-digest-file={file}");
    let arguments = ["--remote=http://127.0.0.1:1", "--dry-run", &digest, directory.as_str()];
    succeed_in_newer_debian(Utf8Path::from_path(scratch.path()).unwrap(), "casupload", &arguments);
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

/// The same computation, written a second time in another language.
fn second_encoder(directory: &Utf8Path) -> String {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/python/directory_digest.py");
    succeed(Command::new(peer("python")).arg(program).arg(directory)).trim().to_owned()
}

#[test]
fn others_compute_the_same_digest_of_an_environment() {
    let project = Project::new();
    let wheel = WheelText::new("demo", "1.0")
        .file("demo/__init__.py", "")
        .file("demo/größe/ü.txt", "u")
        .file("demo/a-b", "1")
        .file("demo/a.b", "2")
        .file("demo/a/b", "3")
        .executable("demo/tool", "#!/bin/sh\n")
        .console_scripts("demo = demo:main");
    let wheel = project.wheel(&wheel);
    project.spec(some_interpreter(), &[wheel], |spec| spec["path_entries"] = json!(["../x"]));
    project.run(&["build", "env.json", "--out", "out"]).success();
    let ours = project.run(&["digest", "out"]).success().trim().to_owned();
    assert_eq!(project.run(&["digest", "env.json"]).success().trim(), ours);
    assert_eq!(second_encoder(&project.path().join("out")), ours);
    assert_eq!(casupload(&project.path().join("out")), ours);
}

#[test]
fn others_compute_the_same_digest_of_any_directory() {
    let project = Project::new();
    std::fs::create_dir_all(project.path().join("dir/empty/below")).unwrap();
    for name in ["\u{1F600}", "\u{FFFD}", "é", "e\u{301}", "a b", "Z", "_", "a'b"] {
        project.write(&format!("dir/{name}"), name);
    }
    std::os::unix::fs::symlink("nowhere/at all", project.path().join("dir/link")).unwrap();
    std::os::unix::fs::symlink("/usr", project.path().join("dir/absolute")).unwrap();
    let ours = project.run(&["digest", "dir"]).success().trim().to_owned();
    assert_eq!(second_encoder(&project.path().join("dir")), ours);
    assert_eq!(casupload(&project.path().join("dir")), ours);
}
