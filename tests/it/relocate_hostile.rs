//! `venvtree create --relocatable` of environments with what nobody expects in them: nothing hangs,
//! nothing outside is touched, little memory is needed, and a run that was cut off can be done
//! again.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::support::interpreters;
use crate::support::project::{Project, venvtree_with};

/// An environment of `venv` with a script that pip could have written; its place, and its
/// site-packages.
fn environment(project: &Project) -> (Utf8PathBuf, Utf8PathBuf) {
    let python = interpreters().pop().unwrap();
    let env = project.path().canonicalize_utf8().unwrap().join("env");
    let made = Command::new(&python.path)
        .args(["-m", "venv", "--without-pip"])
        .arg(&env)
        .env_clear()
        .status()
        .unwrap();
    assert!(made.success());
    let site = env.join(format!("lib/python3.{}/site-packages", python.version.1));
    script(&env, "tool");
    (env, site)
}

fn script(env: &Utf8Path, name: &str) {
    let path = env.join("bin").join(name);
    std::fs::write(&path, format!("#!{env}/bin/python\nimport sys\nprint(sys.prefix)\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs the command in the test's own process.
fn relocate(env: &Utf8Path) -> Value {
    let output = venvtree_with(
        env.parent().unwrap(),
        &["create", "--relocatable", env.as_str(), "--format", "json"],
        "",
        &[],
    );
    assert_eq!(output.code, 0, "{output:?}");
    output.json()
}

/// What is left, as `path: reason`.
fn left(report: &Value) -> Vec<String> {
    let line = |item: &Value| {
        format!("{}: {}", item["path"].as_str().unwrap(), item["reason"].as_str().unwrap())
    };
    report["left"].as_array().unwrap().iter().map(line).collect()
}

fn names_place(path: &Utf8Path, env: &Utf8Path) -> bool {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(env.as_str())
}

#[test]
fn what_is_no_file_is_not_waited_for_and_odd_names_are_passed_over() {
    let project = Project::new();
    let (env, site) = environment(&project);
    for path in [
        env.join("bin/fifo"),
        env.join("bin/activate.fish.fifo"),
        site.join("x.pth"),
        site.join("y.dist-info/RECORD"),
    ] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    }
    let odd = |bytes: &[u8]| site.as_std_path().join(OsStr::from_bytes(bytes));
    std::fs::write(odd(b"harmless-\xff"), "x").unwrap();
    std::fs::write(odd(b"naming-\xff"), format!("{env}/bin\n")).unwrap();
    std::fs::create_dir(odd(b"folder-\xff")).unwrap();
    std::fs::write(odd(b"folder-\xff/inner.py"), "x = 1\n").unwrap();
    symlink("harmless", odd(b"link-\xff")).unwrap();
    let report = relocate(&env);
    let left = left(&report);
    let inner = site.strip_prefix(&env).unwrap();
    for path in ["bin/fifo", "bin/activate.fish.fifo"] {
        assert!(
            left.iter().any(|line| line.starts_with(path) && line.contains("it is no file")),
            "{left:?}"
        );
    }
    assert!(
        left.iter().any(|line| line
            .starts_with(&format!("{inner}/naming-\u{fffd}: it names the environment's place"))),
        "{left:?}"
    );
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(!names_place(&env.join("bin/tool"), &env));
}

#[test]
fn a_folder_of_scripts_elsewhere_is_not_touched() {
    let project = Project::new();
    let (env, _) = environment(&project);
    let outside = env.with_file_name("outside");
    std::fs::rename(env.join("bin"), &outside).unwrap();
    symlink(&outside, env.join("bin")).unwrap();
    let before: Vec<(String, Vec<u8>)> = outside
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| !path.is_symlink())
        .map(|path| (path.to_string(), std::fs::read(&path).unwrap()))
        .collect();
    assert!(before.len() > 3);
    let report = relocate(&env);
    for (path, bytes) in before {
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{path}");
    }
    assert!(left(&report).iter().any(|line| line.starts_with("bin: a link to")), "{report:#}");
}

#[test]
fn a_file_keeps_its_mode_owner_attributes_and_names() {
    let project = Project::new();
    let (env, _) = environment(&project);
    let tool = env.join("bin/tool");
    // Two names in the environment, and one elsewhere, as of a cache.
    std::fs::hard_link(&tool, env.join("bin/tool3")).unwrap();
    let cached = env.with_file_name("cached");
    std::fs::hard_link(&tool, &cached).unwrap();
    let original = std::fs::read(&cached).unwrap();
    script(&env, "alone");
    let alone = env.join("bin/alone");
    std::fs::set_permissions(&alone, std::fs::Permissions::from_mode(0o2750)).unwrap();
    let python = |program: &str| {
        let output = Command::new(interpreters().pop().unwrap().path)
            .args(["-I", "-c", program])
            .arg(&alone)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "the tests need a temporary directory with extended attributes: {output:?}"
        );
        output.stdout
    };
    python("import os, sys; os.setxattr(sys.argv[1], 'user.venvtree', b'kept')");
    let root = env.metadata().unwrap().uid() == 0;
    if root {
        std::os::unix::fs::chown(&alone, Some(12345), Some(23456)).unwrap();
        std::fs::set_permissions(&alone, std::fs::Permissions::from_mode(0o2750)).unwrap();
    }
    let before = alone.metadata().unwrap();
    relocate(&env);
    let after = alone.metadata().unwrap();
    assert!(!names_place(&alone, &env));
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    assert_eq!(
        python("import os, sys; print(os.getxattr(sys.argv[1], 'user.venvtree'))"),
        b"b'kept'\n"
    );
    assert!(!names_place(&tool, &env));
    assert_eq!(tool.metadata().unwrap().ino(), env.join("bin/tool3").metadata().unwrap().ino());
    assert_eq!(std::fs::read(&cached).unwrap(), original, "the cache's file is another one now");
    assert_eq!(cached.metadata().unwrap().nlink(), 1);
}

/// The real program under a limit, by `ulimit` in a shell.
fn limited(limit: &str, env: &Utf8Path) -> std::process::ExitStatus {
    let line = format!("ulimit {limit}; exec \"$0\" create --relocatable \"$1\" --quiet");
    let mut command = Command::new("bash");
    command
        .args(["-c", &line, env!("CARGO_BIN_EXE_venvtree"), env.as_str()])
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().unwrap()
}

#[test]
fn libraries_may_be_larger_than_the_memory() {
    let project = Project::new();
    let (env, site) = environment(&project);
    let library = std::fs::File::create(site.join("libcuda.so")).unwrap();
    library.set_len(400 << 20).unwrap();
    let large = std::fs::File::create(env.join("bin/large")).unwrap();
    large.set_len(200 << 20).unwrap();
    let program = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); \
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut command = Command::new(interpreters().pop().unwrap().path);
    command.args([
        "-I",
        "-c",
        program,
        env!("CARGO_BIN_EXE_venvtree"),
        "create",
        "--relocatable",
        env.as_str(),
        "--quiet",
    ]);
    let output = command.env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let kilobytes: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!(kilobytes < 150_000, "{kilobytes} kB");
    assert!(!names_place(&env.join("bin/tool"), &env));
}

#[test]
fn a_run_that_was_cut_off_changes_nothing_and_can_be_done_again() {
    let project = Project::new();
    let (env, _) = environment(&project);
    let files = || -> Vec<(String, Vec<u8>)> {
        let entries =
            env.join("bin").read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
        let files = entries
            .chain([env.join("pyvenv.cfg")])
            .filter(|path| !path.is_symlink() && !path.as_str().contains(".venvtree-"));
        let mut files: Vec<_> =
            files.map(|path| (path.to_string(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    };
    let before = files();
    // The kernel ends the process where it writes more than that into a file.
    assert!(!limited("-f 1", &env).success());
    assert_eq!(files(), before);
    relocate(&env);
    assert!(
        !names_place(&env.join("bin/tool"), &env) && !names_place(&env.join("bin/activate"), &env)
    );
    let unfinished = |name: &str| name.contains(".venvtree-relocate-");
    assert!(
        env.join("bin")
            .read_dir_utf8()
            .unwrap()
            .all(|entry| !unfinished(entry.unwrap().file_name()))
    );
    assert_eq!(relocate(&env)["outcome"], "up-to-date");
}

#[test]
fn kernels_of_jupyter_start_the_interpreter_by_its_name() {
    let project = Project::new();
    let (env, site) = environment(&project);
    let kernel = |name: &str, program: &str| {
        let folder = env.join("share/jupyter/kernels").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "{{\n \"argv\": [\n  \"{program}\",\n  \"-m\",\n  \"ipykernel_launcher\"\n ],\n \"language\": \"python\"\n}}"
        );
        std::fs::write(folder.join("kernel.json"), &text).unwrap();
        folder.join("kernel.json")
    };
    let own = kernel("python3", &format!("{env}/bin/python"));
    let other = kernel("bash", &format!("{env}/bin/bash_kernel"));
    let foreign = kernel("elsewhere", "/usr/bin/python3");
    std::fs::create_dir_all(site.join("ipykernel-1.0.dist-info")).unwrap();
    let row = "../../../share/jupyter/kernels/python3/kernel.json,sha256=old,1\n";
    std::fs::write(site.join("ipykernel-1.0.dist-info/RECORD"), row).unwrap();
    let report = relocate(&env);
    let argv = |path: &Utf8Path| {
        serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()["argv"][0]
            .clone()
    };
    assert_eq!(argv(&own), "python");
    assert_eq!(std::fs::read_to_string(&own).unwrap().lines().count(), 8, "the layout stays");
    assert_eq!(argv(&foreign), "/usr/bin/python3");
    let record = std::fs::read_to_string(site.join("ipykernel-1.0.dist-info/RECORD")).unwrap();
    assert!(
        !record.contains("old")
            && record.ends_with(&format!(",{}\n", own.metadata().unwrap().len())),
        "{record}"
    );
    assert_eq!(
        left(&report),
        ["share/jupyter/kernels/bash/kernel.json: the text names the environment's place"]
    );
    assert!(names_place(&other, &env));
}
