//! What outputs may take the place of, and what they leave as it is.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use camino::Utf8Path;

use crate::support::project::{Output, Project, WheelText, some_interpreter, venvtree_with};

/// A project with `env.json`, and `other.json` whose environment is another one.
fn project() -> Project {
    let project = Project::new();
    let wheel = WheelText::new("a", "1.0").file("a/__init__.py", "");
    let data = format!("{}/data/NOTICE", wheel.data());
    let wheel = project.wheel(&wheel.file(&data, "of a wheel"));
    let wheels = [wheel];
    project.spec(some_interpreter(), &wheels, |spec| spec["flags"] = serde_json::json!({"prompt": "other"}));
    std::fs::rename(project.path().join("env.json"), project.path().join("other.json")).unwrap();
    project.spec(some_interpreter(), &wheels, |_| ());
    project
}

fn build(project: &Project, arguments: &[&str]) -> Output {
    project.run(&[&["build", "env.json", "--no-store"], arguments].concat())
}

/// Everything below a directory, with what tells whether it was touched.
fn state(path: &Utf8Path) -> Vec<(String, u64, i64, i64)> {
    let mut entries = Vec::new();
    for entry in path.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let found = entry.metadata().unwrap();
        entries.push((entry.path().to_string(), found.ino(), found.ctime(), found.ctime_nsec()));
        if found.is_dir() {
            entries.extend(state(entry.path()));
        }
    }
    entries.sort();
    entries
}

/// Every command that replaces, for an output that must stay.
fn replacing(output: &str) -> Vec<Vec<&str>> {
    let digest = "4fe17aedb0d51542b2c222cf6c5d58bd7e554acdd5c7c8dfe187e7897c48b34b/326";
    let mut commands = vec![
        vec!["build", "env.json", "--replace", "--out", output, "--no-store"],
        vec!["build", "env.json", "--replace", "--out", output, "--store", "store"],
        vec!["pull", digest, "--replace", "--out", output, "--store", "store"],
    ];
    for option in ["--clear", "--replace"] {
        commands.push(vec!["create", output, option, "--no-seed", "--no-store", "--python", "/usr/bin/python3"]);
    }
    commands
}

#[test]
fn what_is_more_than_an_environment_is_not_replaced_by_any_command() {
    let project = project();
    project.write("thesis/thesis.tex", "ten years");
    project.write("repository/.git/HEAD", "ref");
    for name in ["env-and-git", "env-and-thesis", "env-and-secret"] {
        build(&project, &["--out", name]).success();
    }
    project.write("env-and-git/.git/HEAD", "ref");
    project.write("env-and-thesis/thesis.tex", "ten years");
    project.write("env-and-secret/.env", "TOKEN=x");
    project.write("file", "a file");
    std::os::unix::fs::symlink("thesis", project.path().join("link")).unwrap();
    project.write("outer/pyvenv.cfg", "");
    project.write("outer/inner/x", "");
    let kept = ["thesis", "repository", "env-and-git", "env-and-thesis", "env-and-secret", "file", "link", "link/", "thesis/.", "outer"];
    for output in kept {
        for command in replacing(output) {
            let before = state(project.path());
            let refused = project.run(&command);
            if command[0] == "pull" {
                assert_ne!(refused.code, 0, "{command:?}");
            } else {
                assert_eq!(refused.code, 5, "{command:?} {refused:?}");
                for destructive in ["remove it", "rm ", "delete", "say `--replace`"] {
                    assert!(!refused.stderr.contains(destructive), "{command:?} {refused:?}");
                }
            }
            let after: Vec<_> = state(project.path()).into_iter().filter(|entry| !entry.0.contains("/store")).collect();
            assert_eq!(after, before, "{command:?}");
        }
        // Without the option, it is not advised where it would be refused.
        let refused = build(&project, &["--out", output]);
        assert_eq!(refused.code, 5, "{output} {refused:?}");
        assert!(!refused.stderr.contains("--replace"), "{output} {refused:?}");
    }
}

#[test]
fn where_somebody_works_lives_or_mounts_nothing_is_replaced() {
    let project = project();
    build(&project, &["--out", "env"]).success();
    let env = project.path().join("env");
    let spec = project.path().join("other.json");
    let attempt = |cwd: &Utf8Path, out: &str, home: &str| {
        let arguments = ["build", spec.as_str(), "--no-store", "--replace", "--out", out];
        venvtree_with(cwd, &arguments, "", &[("HOME", home)])
    };
    let elsewhere = project.path().to_owned();
    for (cwd, out, home) in [
        (env.as_path(), ".", "/nowhere"),
        (&env.join("lib"), "..", "/nowhere"),
        (&env.join("lib"), env.as_str(), "/nowhere"),
        (&env.join("bin"), "../../env", "/nowhere"),
        (&elsewhere, "env", env.as_str()),
        (&elsewhere, "env", env.join("lib").as_str()),
        (&elsewhere, "/", "/nowhere"),
    ] {
        let refused = attempt(cwd, out, home);
        assert_eq!(refused.code, 2, "{cwd} {out} {home} {refused:?}");
        assert!(!refused.stderr.contains("--replace"), "{refused:?}");
    }
    let mounted = crate::support::mount::Mount::tmpfs(env.join("lib/mounted"), "size=1m");
    let refused = attempt(&elsewhere, "env", "/nowhere");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("a file system is mounted at"), "{refused:?}");
    drop(mounted);
    std::fs::remove_dir(env.join("lib/mounted")).unwrap();
    attempt(&elsewhere, "env", "/nowhere").success();
}

#[test]
fn environments_are_replaced_with_what_their_wheels_put_at_the_root() {
    let project = project();
    for arguments in [&["--no-store"][..], &["--store", "store"]] {
        build(&project, &["--out", "env", "--replace"]).success();
        assert!(project.path().join("env/NOTICE").exists());
        let refused = project.run(&["build", "other.json", "--out", "env", arguments[0]]);
        let hint = "hint: choose another place, or let the new environment take its place with `--replace`";
        assert!(refused.code == 2 || refused.stderr.contains(hint), "{refused:?}");
        project.run(&[&["build", "other.json", "--out", "env", "--replace"], arguments].concat()).success();
        assert!(std::fs::read_to_string(project.path().join("env/pyvenv.cfg")).unwrap().contains("other"));
    }
}

/// Not as root, for whom read-only directories are none.
#[test]
fn nothing_is_left_of_a_replaced_environment_with_read_only_directories() {
    let project = project();
    std::fs::set_permissions(project.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = project.path().join("theirs");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::chown(&place, Some(4321), Some(4321)).unwrap();
    let exe = project.path().join("venvtree");
    std::fs::copy(env!("CARGO_BIN_EXE_venvtree"), &exe).unwrap();
    let script = format!(
        "set -e; cd {place}; v() {{ {exe} build --no-store -q --replace --out env \"$@\"; }}
        for round in 1 2; do
          v ../env.json; mkdir -p env/lib/ro/below; touch env/lib/ro/below/file; chmod 500 env/lib/ro/below; chmod 555 env/lib/ro
          v ../other.json; mkdir env/lib/none; chmod 0 env/lib/none
        done
        v ../env.json; ls -A"
    );
    let output = Command::new("sh").args(["-c", &script]).uid(4321).gid(4321).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "env\n", "{output:?}");
}
