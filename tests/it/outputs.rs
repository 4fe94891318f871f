//! What outputs may take the place of, and what they leave as it is.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::LazyLock;

use camino::Utf8Path;

use crate::support::interpreters;
use crate::support::project::{Output, Project, WheelText, some_interpreter, venvtree_with};

/// A project with `env.json`, and `other.json` whose environment is another one.
fn project() -> Project {
    let project = Project::new();
    let wheel = WheelText::new("a", "1.0").file("a/__init__.py", "");
    let data = format!("{}/data/NOTICE", wheel.data());
    let wheel = project.wheel(&wheel.file(&data, "of a wheel"));
    let wheels = [wheel];
    project.spec(some_interpreter(), &wheels, |spec| {
        spec["flags"] = serde_json::json!({"prompt": "other"})
    });
    std::fs::rename(project.path().join("env.json"), project.path().join("other.json")).unwrap();
    project.spec(some_interpreter(), &wheels, |_| ());
    project
}

/// The interpreter of environments that `create` makes.
fn python() -> &'static str {
    static PYTHON: LazyLock<String> =
        LazyLock::new(|| interpreters().pop().expect("there is one").path.display().to_string());
    &PYTHON
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
        commands.push(vec![
            "create",
            output,
            option,
            "--no-seed",
            "--no-store",
            "--python",
            python(),
        ]);
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
    let kept = [
        "thesis",
        "repository",
        "env-and-git",
        "env-and-thesis",
        "env-and-secret",
        "file",
        "link",
        "link/",
        "thesis/.",
        "outer",
    ];
    for output in kept {
        for command in replacing(output) {
            let outside_the_store = || -> Vec<_> {
                let entries = state(project.path()).into_iter();
                entries.filter(|entry| !entry.0.contains("/store")).collect()
            };
            let before = outside_the_store();
            let refused = project.run(&command);
            if command[0] == "pull" {
                assert_ne!(refused.code, 0, "{command:?}");
            } else {
                assert_eq!(refused.code, 5, "{command:?} {refused:?}");
                for destructive in ["remove it", "rm ", "delete", "say `--replace`"] {
                    assert!(!refused.stderr.contains(destructive), "{command:?} {refused:?}");
                }
            }
            assert_eq!(outside_the_store(), before, "{command:?}");
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
    refused.ends(2, "a file system is mounted at");
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
        project
            .run(&[&["build", "other.json", "--out", "env", "--replace"], arguments].concat())
            .success();
        assert!(
            std::fs::read_to_string(project.path().join("env/pyvenv.cfg"))
                .unwrap()
                .contains("other")
        );
    }
}

/// Not as root, for whom read-only directories are none.
#[test]
fn who_replaces_one_place_at_once_takes_turns() {
    let project = project();
    let manners: [&[&str]; 3] =
        [&["--no-store"], &["--store", "store"], &["--store", "store", "--link-mode", "own"]];
    // Where something is, and where nothing is.
    for (place, manner) in ["same", "new"].into_iter().flat_map(|at| manners.map(|how| (at, how))) {
        if place == "new" {
            std::fs::remove_dir_all(project.path().join("same")).unwrap();
        }
        for round in 0..4 {
            let start = |turn: usize| {
                let spec = ["env.json", "other.json"][turn % 2];
                let mut command = Command::new(env!("CARGO_BIN_EXE_venvtree"));
                command.args(["build", spec, "--out", "same", "--replace"]).args(manner);
                command.current_dir(project.path()).env_clear();
                command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
                command.spawn().unwrap()
            };
            let all: Vec<_> = (0..8).map(start).collect();
            for one in all {
                let output = one.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{place} {manner:?} {round}: {said}");
            }
            // It is one of them, whole; what the store says of it is true; and nothing is left.
            let digest = |what: &str| project.run(&["digest", what]).success();
            let found = digest("same");
            let is = |spec: &str| {
                let last = [&["build", spec, "--out", "same"][..], manner].concat();
                let is_said = project.run(&last).code == 0;
                assert_eq!(is_said, digest(spec) == found, "{place} {manner:?} {round}");
                is_said
            };
            assert!(is("env.json") != is("other.json"), "{place} {manner:?} {round}");
            let names = project.path().read_dir_utf8().unwrap().flatten();
            let left: Vec<_> = names.filter(|entry| entry.file_name().starts_with('.')).collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

#[test]
fn nothing_is_left_of_a_replaced_environment_with_read_only_directories() {
    let project = project();
    std::fs::set_permissions(project.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = project.path().join("theirs");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::chown(&place, Some(4321), Some(4321)).unwrap();
    let exe = project.path().join("venvtree");
    crate::support::copy_venvtree(exe.as_ref());
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

/// What is left of a place that was written to: its kind, where a link leads to, what a file holds.
fn at(path: &Utf8Path) -> String {
    let found = path.symlink_metadata().unwrap();
    match found.file_type() {
        kind if kind.is_symlink() => format!("link to {}", path.read_link_utf8().unwrap()),
        kind if kind.is_fifo() => "pipe".to_owned(),
        kind if kind.is_char_device() => format!("device {:x}", found.rdev()),
        kind if kind.is_file() => "file".to_owned(),
        kind => panic!("{path}: {kind:?}"),
    }
}

/// Every command that writes a file to a place, once more for each of its options.
fn writing<'a>(place: &'a str) -> Vec<Vec<&'a str>> {
    let create = [
        "create",
        "env",
        "--clear",
        "--no-seed",
        "--no-store",
        "--python",
        python(),
        "--spec-out",
        place,
    ];
    let build = |options: &[&'a str]| {
        [&["build", "env.json", "--out", "out", "--replace"], options].concat()
    };
    vec![
        build(&["--no-store", "--manifest", place]),
        build(&["--no-store", "--digest-file", place]),
        build(&["--store", "store", "--digest-file", place]),
        vec!["pack", "env.json", "--archive-format", "tar", "--out", place],
        vec!["pack", "packed", "--archive-format", "zip", "--out", place],
        create.to_vec(),
    ]
}

#[test]
fn what_is_no_regular_file_is_written_to_and_never_replaced() {
    let project = project();
    build(&project, &["--out", "packed"]).success();
    let path = |name: &str| project.path().join(name);
    let made = Command::new("mknod")
        .args(["-m", "666", path("null").as_str(), "c", "1", "3"])
        .status()
        .unwrap();
    assert!(made.success(), "this test needs the right to make devices");
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("deep/target", path("link")).unwrap();
    std::os::unix::fs::symlink("null", path("link-to-device")).unwrap();
    let before: Vec<String> =
        ["null", "pipe", "link", "link-to-device"].map(|name| at(&path(name))).into();
    for place in ["null", "link-to-device"] {
        writing(place).iter().for_each(|command| drop(project.run(command).success()));
    }
    for command in writing("link") {
        let _ = std::fs::remove_dir_all(path("deep"));
        project.run(&command).success();
        assert_eq!(at(&path("deep/target")), "file", "{command:?}");
        assert!(path("deep/target").metadata().unwrap().len() > 0, "{command:?}");
    }
    for command in writing("pipe") {
        let reader = Command::new("cat")
            .arg(path("pipe"))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        project.run(&command).success();
        assert!(!reader.wait_with_output().unwrap().stdout.is_empty(), "{command:?}");
    }
    let after: Vec<String> =
        ["null", "pipe", "link", "link-to-device"].map(|name| at(&path(name))).into();
    assert_eq!(after, before);
}

#[test]
fn descriptors_of_the_command_take_what_is_written_to_them() {
    let project = project();
    let script = "set -e; exe=$0
        digest() { \"$exe\" build env.json --no-store -q --replace --out out --digest-file \"$@\"; }
        digest /dev/stdout > log; digest /dev/fd/1 | cat >> log; digest /dev/fd/3 3>> log; digest /proc/self/fd/2 2>> log
        echo before > own; digest /dev/stdout --format json >> own; test \"$(head -1 own)\" = before; cat log";
    let exe = env!("CARGO_BIN_EXE_venvtree");
    let output = Command::new("bash")
        .args(["-c", script, exe])
        .current_dir(project.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 4 && lines.iter().all(|line| *line == lines[0]), "{text}");
    let own = std::fs::read_to_string(project.path().join("own")).unwrap();
    assert!(own.starts_with(&format!("before\n{}\n{{", lines[0])), "{own}");
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_anything_is_made() {
    let project = project();
    build(&project, &["--out", "packed"]).success();
    project.write("file", "");
    std::fs::create_dir(project.path().join("directory")).unwrap();
    for place in ["file/below", "directory", "directory/"] {
        for command in writing(place) {
            let refused = project.run(&command);
            assert_eq!(refused.code, 7, "{command:?} {refused:?}");
            assert!(refused.stderr.contains(place), "{command:?} {refused:?}");
            assert!(!refused.stderr.contains(".venvtree-"), "{command:?} {refused:?}");
            assert!(
                !["out", "env", "store"].iter().any(|made| project.path().join(made).exists()),
                "{command:?}"
            );
        }
    }
    for option in ["--manifest", "--digest-file"] {
        let refused = build(&project, &["--out", "out", option, "out/file"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(!project.path().join("out").exists());
    }
    // Parents are made, by every one of them.
    for (index, command) in writing("PLACE").into_iter().enumerate() {
        let place = format!("new{index}/deep/file");
        let command: Vec<&str> =
            command.into_iter().map(|word| if word == "PLACE" { &place } else { word }).collect();
        project.run(&command).success();
        assert!(project.path().join(&place).is_file(), "{command:?}");
    }
}

fn outcome(output: &Output) -> String {
    assert_eq!(output.code, 0, "{output:?}");
    output.json()["outcome"].as_str().unwrap().to_owned()
}

type Change = (&'static str, fn(&Utf8Path));

/// Ways in which people and tools change an environment.
fn changes() -> Vec<Change> {
    vec![
        ("a file added below", |site| std::fs::write(site.join("sitecustomize.py"), "").unwrap()),
        ("a file removed deep below", |site| {
            std::fs::remove_file(site.join("a/__init__.py")).unwrap()
        }),
        ("a file replaced", |site| {
            std::fs::write(site.join("new"), "x = 1").unwrap();
            std::fs::rename(site.join("new"), site.join("a/__init__.py")).unwrap();
        }),
        ("foreign bytecode added", |site| {
            std::fs::create_dir(site.join("a/__pycache__")).unwrap();
            let header = [&[0xcb, 0x0d, b'\r', b'\n', 1, 0, 0, 0][..], &[0; 8]].concat();
            std::fs::write(site.join("a/__pycache__/__init__.cpython-311.pyc"), header).unwrap();
        }),
        ("bytecode put beside its source", |site| {
            std::fs::write(site.join("a/other.pyc"), "").unwrap()
        }),
    ]
}

#[test]
fn a_changed_environment_is_not_called_up_to_date() {
    for (what, change) in changes() {
        for store in [&["--no-store"][..], &["--store", "store"]] {
            let project = project();
            let run = |extra: &[&str]| {
                project.run(
                    &[&["build", "env.json", "--out", "out", "--format", "json"], store, extra]
                        .concat(),
                )
            };
            assert_eq!(outcome(&run(&[])), "built");
            assert_eq!(outcome(&run(&[])), "up-to-date");
            let site = project.path().join("out/lib/python3.11/site-packages");
            change(&site);
            assert_eq!(run(&[]).code, 5, "{what} {store:?}");
            assert_eq!(outcome(&run(&["--replace"])), "replaced", "{what} {store:?}");
            assert_eq!(outcome(&run(&["--replace"])), "up-to-date", "{what} {store:?}");
        }
    }
    // An edit where the file lies is found by whoever looks.
    let project = project();
    let run = |extra: &[&str]| {
        project.run(
            &[
                &["build", "env.json", "--out", "out", "--format", "json", "--link-mode=copy"],
                extra,
            ]
            .concat(),
        )
    };
    run(&["--store", "store"]).success();
    project.write("out/lib/python3.11/site-packages/a/__init__.py", "edited");
    let quick = run(&["--store", "store"]);
    assert_eq!(quick.json()["looked"], false);
    let text = project.run(&["build", "env.json", "--out", "out", "--store", "store"]);
    text.says("its directories are as the last build left them");
    assert_eq!(outcome(&run(&["--store", "store", "--replace"])), "replaced");
}

#[test]
fn create_looks_at_what_is_there_and_clear_makes_it_anew() {
    let in_place: Change = ("edited where it lies, its time set back", |site| {
        let path = site.join("a-1.0.dist-info/METADATA");
        let before = path.metadata().unwrap();
        let text = vec![b'#'; usize::try_from(before.len()).unwrap()];
        // A tick of the clock later: within one, no time of change could tell.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&path, text).unwrap();
        let modified = filetime::FileTime::from_last_modification_time(&before);
        filetime::set_file_mtime(&path, modified).unwrap();
    });
    for (what, change) in changes().into_iter().chain([in_place]) {
        let project = project();
        let wheel = project.path().join("wheels/a-1.0-py3-none-any.whl");
        let create = |extra: &[&str]| {
            let fixed = ["create", "env", "--no-seed", "--store", "store", "--format", "json"];
            let given = ["--wheel", wheel.as_str(), "--python", python()];
            project.run(&[&fixed[..], &given, extra].concat())
        };
        assert_eq!(outcome(&create(&[])), "built");
        let first = create(&[]);
        assert_eq!(outcome(&first), "up-to-date");
        let lib = project.path().join("env/lib");
        let site =
            lib.read_dir_utf8().unwrap().next().unwrap().unwrap().path().join("site-packages");
        change(&site);
        assert_eq!(create(&[]).code, 5, "{what}");
        let inode = || project.path().join("env").metadata().unwrap().ino();
        assert_eq!(outcome(&create(&["--replace"])), "replaced", "{what}");
        let before = inode();
        assert_eq!(outcome(&create(&["--clear"])), "replaced", "{what}");
        assert_ne!(inode(), before, "{what}");
        assert_eq!(
            project.run(&["digest", "env"]).success().trim_end(),
            first.json()["digest"],
            "{what}"
        );
    }
}

#[test]
fn an_edit_in_one_environment_reaches_no_other() {
    let project = project();
    let wheel = project.path().join("wheels/a-1.0-py3-none-any.whl");
    for name in ["one", "two"] {
        let arguments = [
            "create",
            name,
            "--no-seed",
            "--wheel",
            wheel.as_str(),
            "--store",
            "store",
            "--python",
            python(),
        ];
        project.run(&arguments).success();
        project
            .run(&["build", "env.json", "--out", &format!("built-{name}"), "--store", "store"])
            .success();
    }
    let files = |name: &str| -> Vec<(String, u64, u32)> {
        let entries = walk(&project.path().join(name));
        let root = project.path().join(name);
        let entry = |path: camino::Utf8PathBuf| {
            let found = path.symlink_metadata().unwrap();
            found.is_file().then(|| {
                (path.strip_prefix(&root).unwrap().to_string(), found.nlink(), found.mode() & 0o777)
            })
        };
        entries.into_iter().filter_map(entry).collect()
    };
    // What is made to be worked in is its own, and can be written to without further ado.
    for (path, links, mode) in files("one") {
        assert_eq!(links, 1, "{path}");
        assert!(matches!(mode, 0o644 | 0o755), "{path} {mode:o}");
    }
    // What is built shares what nobody edits where it lies.
    let built = files("built-one");
    let edited = |path: &str| path == "pyvenv.cfg" || path.starts_with("bin/");
    assert!(built.iter().filter(|(path, ..)| edited(path)).count() > 5);
    for (path, links, mode) in &built {
        assert_eq!(*links == 1, edited(path), "{path}");
        assert_eq!(mode & 0o200 != 0, edited(path), "{path} {mode:o}");
    }
    for name in ["one", "built-one"] {
        for file in ["pyvenv.cfg", "bin/activate"] {
            std::fs::write(project.path().join(name).join(file), "edited").unwrap();
        }
    }
    for name in ["two", "built-two"] {
        for file in ["pyvenv.cfg", "bin/activate"] {
            assert_ne!(
                std::fs::read_to_string(project.path().join(name).join(file)).unwrap(),
                "edited"
            );
        }
    }
    let verified = project.run(&["store", "verify", "--store", "store"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}

fn walk(path: &Utf8Path) -> Vec<camino::Utf8PathBuf> {
    let entries = path.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    entries
        .flat_map(|path| if path.is_dir() && !path.is_symlink() { walk(&path) } else { vec![path] })
        .collect()
}

/// `chown -R` of an environment reaches the files that it shares with the store.
#[test]
fn what_was_given_to_another_user_is_not_the_stores_any_more() {
    let project = project();
    let run = |out: &str| project.run(&["build", "env.json", "--out", out, "--store", "store"]);
    run("one").success();
    let site = "lib/python3.11/site-packages/a-1.0.dist-info/METADATA";
    std::os::unix::fs::chown(project.path().join("one").join(site), Some(4321), Some(4321))
        .unwrap();
    let verified = project.run(&["store", "verify", "--store", "store"]);
    assert_ne!(verified.code, 0, "{verified:?}");
    assert!(format!("{verified:?}").contains("4321"), "{verified:?}");
    std::os::unix::fs::chown(project.path().join("one").join(site), Some(4321), Some(4321))
        .unwrap();
    run("two").success();
    assert_eq!(project.path().join("two").join(site).metadata().unwrap().uid(), 0);
    assert_eq!(project.path().join("one").join(site).metadata().unwrap().uid(), 4321);
    assert_eq!(project.run(&["store", "verify", "--store", "store"]).code, 0);
}

#[test]
fn bytecode_that_running_python_did_not_leave_is_a_difference() {
    let project = project();
    build(&project, &["--out", "out", "--manifest", "manifest.json"]).success();
    let verify = |extra: &[&str]| {
        let arguments = ["verify", "out", "--manifest", "manifest.json", "--format", "json"];
        project.run(&[&arguments[..], extra].concat())
    };
    let package = "out/lib/python3.11/site-packages/a";
    let source = project.path().join(package).join("__init__.py").metadata().unwrap();
    let header = |flags: u32, mtime: i64, size: u64| {
        let mut header = vec![0xa7, 0x0d, b'\r', b'\n'];
        [flags, mtime as u32, size as u32]
            .iter()
            .for_each(|number| header.extend(number.to_le_bytes()));
        [header, b"code".to_vec()].concat()
    };
    let good = header(0, source.mtime(), source.size());
    let pyc = format!("{package}/__pycache__/__init__.cpython-311.pyc");
    project.write(&pyc, &good);
    let verified = verify(&[]);
    assert_eq!(
        (verified.code, &verified.json()["equal"]),
        (0, &serde_json::json!(true)),
        "{verified:?}"
    );
    assert_eq!(verified.json()["bytecode"].as_array().unwrap().len(), 1);
    assert_eq!(verify(&["--bytecode", "refuse"]).code, 6);
    let cases = [
        (pyc.clone(), header(1, 0, 0), "without comparing"),
        (pyc.clone(), header(3, 0, 0), "another source"),
        (pyc.clone(), header(0, source.mtime() + 1, source.size()), "another source"),
        (pyc.clone(), header(0, source.mtime(), source.size() + 1), "another source"),
        (pyc.clone(), b"garbage".to_vec(), "no bytecode"),
        (format!("{package}/__pycache__/gone.cpython-311.pyc"), good.clone(), "without its source"),
        (format!("{package}/__pycache__/script.sh"), good.clone(), "not named"),
        (
            format!("{package}/__pycache__/__pycache__/__init__.cpython-311.pyc"),
            good.clone(),
            "not named",
        ),
        (format!("{package}/gone.pyc"), good, "outside of `__pycache__`"),
    ];
    for (path, bytes, why) in cases {
        project.write(&path, bytes);
        let verified = verify(&[]);
        assert_eq!(
            (verified.code, &verified.json()["equal"]),
            (6, &serde_json::json!(false)),
            "{path} {verified:?}"
        );
        assert_eq!(
            verified.json()["differences"][0]["difference"],
            "foreign-bytecode",
            "{path} {verified:?}"
        );
        assert!(verified.stdout.contains(why), "{path} {verified:?}");
        std::fs::remove_file(project.path().join(&path)).unwrap();
        let _ = std::fs::remove_dir(project.path().join(package).join("__pycache__/__pycache__"));
    }
}

/// Where files get other modes than they are made with, as directories with a default ACL want it.
#[test]
fn a_default_acl_changes_no_modes() {
    let project = project();
    let place = project.path().join("shared");
    std::fs::create_dir(&place).unwrap();
    let set = Command::new("setfacl")
        .args(["-d", "-m", "u::rwx,g::r-x,o::---,u:4321:rwx", place.as_str()])
        .status();
    assert!(set.expect(".ci/install installs acl").success());
    for (index, store) in
        [&["--no-store"][..], &["--store", "store"], &["--store", "store"]].iter().enumerate()
    {
        let out = format!("shared/out{index}");
        let built = project.run(&[&["build", "env.json", "--out", &out], *store].concat());
        assert!(!built.stderr.contains("another mode"), "{built:?}");
        built.success();
        for path in walk(&project.path().join(&out)) {
            let found = path.symlink_metadata().unwrap();
            let modes: &[u32] =
                if found.is_symlink() { &[0o777] } else { &[0o644, 0o755, 0o444, 0o555] };
            assert!(modes.contains(&(found.mode() & 0o777)), "{path} {:o}", found.mode());
        }
    }
}

#[test]
fn what_a_command_reads_it_does_not_write_to() {
    let project = project();
    project.write("src/app/m.py", "y = 2\n");
    project.write("METADATA", "Metadata-Version: 2.1\nName: b\nVersion: 1.0\n");
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let mut spec: serde_json::Value = serde_json::from_str(&text).unwrap();
    let wheel = spec["wheels"][0]["path"].as_str().unwrap().to_owned();
    spec["sources"] = serde_json::json!([{"path": "src/app", "into": "app"}]);
    project.write("sources.json", spec.to_string());
    std::os::unix::fs::symlink(".", project.path().join("here")).unwrap();
    std::os::unix::fs::symlink("env.json", project.path().join("alias.json")).unwrap();
    build(&project, &["--out", "built"]).success();
    project.run(&["build", "env.json", "--out", "stored", "--store", "store"]).success();
    let manifest = |spec: &str, file: &str| {
        ["build", spec, "--no-store", "--out", "o", "--manifest", file].map(str::to_owned).to_vec()
    };
    let pack = |subject: &str, out: &str| {
        ["pack", subject, "--archive-format", "tar", "--out", out].map(str::to_owned).to_vec()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let through = |path: &str| format!("here/{path}");
    let refused = [
        manifest("env.json", "env.json"),
        manifest("env.json", "alias.json"),
        manifest("here/env.json", "env.json"),
        manifest("env.json", &wheel),
        manifest("env.json", &through(&wheel)),
        manifest("sources.json", "src/app/m.py"),
        manifest("env.json", "here/o/manifest.json"),
        manifest("env.json", "new/../o/manifest.json"),
        words(&[
            "build",
            "env.json",
            "--out",
            "o",
            "--manifest",
            "new",
            "--digest-file",
            "here/new",
        ]),
        words(&["build", "env.json", "--out", "built", "--digest-file", "env.json"]),
        words(&[
            "build",
            "env.json",
            "--out",
            "stored",
            "--store",
            "store",
            "--digest-file",
            &wheel,
        ]),
        words(&["build", "sources.json", "--out", "src/app/env"]),
        words(&["build", "sources.json", "--out", "here/src/app/new/env"]),
        pack("env.json", "env.json"),
        pack("env.json", &wheel),
        pack("built", "built/pyvenv.cfg"),
        pack("built", "here/built/env.tar"),
        words(&[
            "create",
            "o",
            "--python",
            python(),
            "--no-seed",
            "--spec-out",
            "here/o/spec.json",
        ]),
        words(&[
            "wheel",
            "pack",
            "--metadata",
            "METADATA",
            "--file",
            &format!("b/w={wheel}"),
            "--out",
            &wheel,
        ]),
        words(&["spec", "from", &wheel, "--for", python(), "--out", &wheel]),
    ];
    let before = state(project.path());
    for command in refused {
        let output = project.run(&command.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.code, 2, "{command:?} {output:?}");
        assert!(output.stderr.contains("hint: "), "{command:?} {output:?}");
        assert_eq!(state(project.path()), before, "{command:?}");
    }
    for command in [
        manifest("sources.json", "src/manifest.json"),
        pack("built", "env.tar"),
        pack("env.json", "here/other.tar"),
    ] {
        project.run(&command.iter().map(String::as_str).collect::<Vec<_>>()).success();
    }
}
