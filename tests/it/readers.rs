//! Environments as other tools read them: where `pyvenv.cfg` says the interpreter is, times, and
//! where compiled modules go.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::peers::peer;
use crate::support::project::{Output, Project, WheelText, venvtree_with};
use crate::support::{Python, interpreters, newest, write_executable};

/// Standard output and standard error of a command, which may fail, without any variables but
/// these.
fn run(command: &mut Command, variables: &[(&str, &str)]) -> String {
    let output = command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/nonexistent")
        .envs(variables.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn probe(project: &Project, python: &Path) -> Value {
    serde_json::from_str(
        &project.run(&["interpreter", "probe", python.to_str().unwrap()]).success(),
    )
    .unwrap()
}

/// A typed module, and a program that uses it wrongly.
fn typed(project: &Project) -> Value {
    project.write("work/a.py", "import typed\n\nx: int = typed.f(1)\n");
    project.wheel(
        &WheelText::new("typed", "1.0")
            .file("typed/__init__.py", "def f(x: int) -> str:\n    return str(x)\n")
            .file("typed/py.typed", ""),
    )
}

#[test]
fn checkers_and_installers_accept_every_kind() {
    let python = newest();
    let project = Project::new();
    let wheel = typed(&project);
    let absolute = probe(&project, &python.path);
    let place = absolute["python"]["path"].as_str().unwrap().to_owned();
    let up = "../".repeat(project.path().components().count() + 1);
    let kinds = [
        absolute["python"].clone(),
        json!({"kind": "relative", "path": format!("{up}{}", place.trim_start_matches('/'))}),
        json!({"kind": "launcher", "candidates": [place]}),
    ];
    for python in kinds {
        let mut interpreter = absolute.clone();
        interpreter["python"] = python.clone();
        // With the interpreter's own packages, ty has to know a place of the interpreter.
        let with_system: &[bool] =
            if python["kind"] == "absolute" { &[false, true] } else { &[false] };
        for &system_site_packages in with_system {
            project.spec(interpreter.clone(), std::slice::from_ref(&wheel), |spec| {
                spec["flags"] = json!({"system_site_packages": system_site_packages});
            });
            project.run(&["build", "env.json", "--out", "a b/env", "--replace"]).success();
            // Moved, and to the place where tools look for it.
            let env = project.path().join("work/.venv");
            let _ = std::fs::remove_dir_all(&env);
            std::fs::rename(project.path().join("a b/env"), &env).unwrap();
            let work = project.path().join("work");
            for (arguments, variables) in [
                (vec![], vec![]),
                (vec!["--python", env.as_str()], vec![]),
                (vec![], vec![("VIRTUAL_ENV", env.as_str())]),
            ] {
                let mut ty = Command::new(peer("ty"));
                ty.args(["check", "--output-format", "concise"])
                    .args(&arguments)
                    .arg("a.py")
                    .current_dir(&work);
                let said = run(&mut ty, &variables);
                assert!(
                    said.contains("invalid-assignment"),
                    "{python} {system_site_packages} {arguments:?} {variables:?}: {said}"
                );
            }
            let said = run(
                Command::new(peer("uv")).args([
                    "pip",
                    "list",
                    "--no-cache",
                    "--offline",
                    "--python",
                    env.as_str(),
                ]),
                &[],
            );
            assert!(said.contains("typed"), "{python}: {said}");
        }
        let env = project.path().join("work/.venv");
        let virtualenv = project.path().join("child");
        let _ = std::fs::remove_dir_all(&virtualenv);
        let said = run(
            Command::new(peer("virtualenv"))
                .args(["--no-download", "--no-pip", "--quiet", "-p"])
                .arg(env.join("bin/python"))
                .arg(&virtualenv),
            &[
                ("XDG_DATA_HOME", project.path().join("data").as_str()),
                ("XDG_CACHE_HOME", project.path().join("cache").as_str()),
            ],
        );
        let said = said
            + &run(
                Command::new(virtualenv.join("bin/python")).args([
                    "-I",
                    "-c",
                    "import json; print('runs')",
                ]),
                &[],
            );
        assert!(said.ends_with("runs\n"), "{python}: {said}");
    }
}

#[test]
fn the_configuration_names_an_interpreter_at_an_absolute_place() {
    let project = Project::new();
    let first_line = |python: Value| {
        let mut interpreter = crate::support::project::some_interpreter();
        interpreter["python"] = python;
        project.spec(interpreter, &[], |_| ());
        project.run(&["build", "env.json", "--out", "env", "--replace"]).success();
        std::fs::read_to_string(project.path().join("env/pyvenv.cfg"))
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        first_line(json!({"kind": "absolute", "path": "/usr/bin/python3.11"})),
        "home = /usr/bin"
    );
    assert_eq!(
        first_line(json!({"kind": "relative", "path": "../usr/bin/python3.11"})),
        "home = \u{1f}"
    );
    assert_eq!(
        first_line(json!({"kind": "launcher", "candidates": ["/usr/bin/python3.11"]})),
        "home = \u{1f}"
    );
}

/// Local time is behind that of Greenwich in the first two.
const ZONES: [&str; 4] = ["Etc/GMT+12", "America/New_York", "Etc/GMT-14", "UTC"];

#[test]
fn files_of_an_environment_can_be_put_into_zip_archives_everywhere() {
    let project = Project::new();
    let wheel = project.wheel(
        &WheelText::new("one", "1.0")
            .file("one/__init__.py", "x = 1\n")
            .console_scripts("one = one:main"),
    );
    // Not an interpreter that is there: what extracts an archive again over its own links writes to
    // where they lead.
    let mut interpreter = crate::support::project::some_interpreter();
    interpreter["python"] = json!({"kind": "absolute", "path": "/nowhere/bin/python3.11"});
    project.spec(interpreter, &[wheel], |_| ());
    project.run(&["build", "env.json", "--out", "env"]).success();
    project.run(&["pack", "env.json", "--out", "packed.zip"]).success();
    let program = r#"
import os, shutil, sys, time, zipfile
offset = time.localtime(315619200).tm_gmtoff
with zipfile.ZipFile("written.zip", "w") as archive:
    for folder, _, names in os.walk("env/lib"):
        for name in [""] + names:
            archive.write(os.path.join(folder, name))
shutil.make_archive("made", "zip", "env")
with zipfile.ZipFile("packed.zip") as archive:
    print(offset // 3600, sorted({info.date_time for info in archive.infolist()}))
    shutil.rmtree("extracted", ignore_errors=True)
    archive.extractall("extracted")
"#;
    for zone in ZONES {
        let mut python = Command::new(peer("python"));
        let said =
            run(python.args(["-I", "-c", program]).current_dir(project.path()), &[("TZ", zone)]);
        // The packed archive shows the same everywhere, as zip has no time zone.
        let offset = match zone {
            "Etc/GMT+12" => -12,
            "America/New_York" => -5,
            "Etc/GMT-14" => 14,
            _ => 0,
        };
        assert_eq!(said, format!("{offset} [(1980, 1, 2, 0, 0, 0)]\n"), "{zone}");
        let said = run(
            Command::new("bsdtar")
                .args(["-xf", "packed.zip", "-C", "extracted"])
                .current_dir(project.path()),
            &[("TZ", zone)],
        );
        assert_eq!(said, "", "{zone}");
        let said = run(
            Command::new(peer("python"))
                .args(["-c", "import shutil; shutil.make_archive('again', 'zip', 'extracted')"])
                .current_dir(project.path()),
            &[("TZ", zone)],
        );
        assert_eq!(said, "", "{zone}");
    }
}

/// An installation whose folder of compiled modules can be called `lib64`, of the files of another
/// one.
fn with_lib64(project: &Project, python: &Python) -> std::path::PathBuf {
    let base = python.path.parent().unwrap().parent().unwrap();
    let copy = project.path().join("base").into_std_path_buf();
    std::fs::create_dir_all(copy.join("bin")).unwrap();
    crate::support::copy_executable(
        python.path.as_ref(),
        copy.join("bin").join(python.path.file_name().unwrap()).as_ref(),
    );
    symlink(base.join("lib"), copy.join("lib")).unwrap();
    symlink(base.join("lib"), copy.join("lib64")).unwrap();
    copy.join("bin").join(python.path.file_name().unwrap())
}

#[test]
fn modules_come_together_where_compiled_ones_have_a_folder_of_their_own() {
    // One that has pip's wheel in its library.
    let bundled = |python: &Python| {
        let (major, minor) = python.version;
        python
            .path
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join(format!("lib/python{major}.{minor}/ensurepip/_bundled"))
            .is_dir()
    };
    let python = interpreters()
        .into_iter()
        .rfind(bundled)
        .expect("the tests need an interpreter that comes with pip");
    let project = Project::new();
    let base = with_lib64(&project, &python);
    let cache = project.path().join("cache");
    let variables = [("XDG_CACHE_HOME", cache.as_str()), ("PATH", "/nonexistent")];
    let created: Output = venvtree_with(
        project.path(),
        &["create", "env", "--python", base.to_str().unwrap()],
        "",
        &variables,
    );
    created.success();
    assert_eq!(std::fs::read_link(project.path().join("env/lib64")).unwrap(), Path::new("lib"));
    let (major, minor) = python.version;
    let pure = WheelText::new("pure", "1.0")
        .file("ns64/pure/__init__.py", "")
        .file("pure-1.0.data/data/lib64/x.txt", "x");
    let compiled = WheelText::new("compiled", "1.0")
        .tag(&format!("cp{major}{minor}-cp{major}{minor}-linux_x86_64"))
        .file("ns64/compiled/__init__.py", "");
    let wheels: Vec<String> = [&pure, &compiled]
        .map(|wheel| project.wheel(wheel)["path"].as_str().unwrap().to_owned())
        .into();
    let variables = [("PYTHONPLATLIBDIR", "lib64")];
    let bin = project.path().join("env/bin/python");
    let said = run(
        Command::new(&bin)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-index",
                "--disable-pip-version-check",
                "--no-cache-dir",
            ])
            .args(&wheels)
            .current_dir(project.path()),
        &variables,
    );
    assert_eq!(said, "");
    // `lib64` and `lib` are two names of one folder, as in what `python -m venv` makes.
    let program = "import ns64.pure, ns64.compiled, os, sys; print(sys.platlibdir, len({os.path.realpath(p) for p in ns64.__path__}))";
    assert_eq!(run(Command::new(&bin).args(["-c", program]), &variables), "lib64 1\n");
    let site = project.path().join(format!("env/lib/python{major}.{minor}/site-packages"));
    assert!(site.join("ns64/pure").is_dir() && site.join("ns64/compiled").is_dir());
    // What pip has put there and what a build puts there is the same.
    assert!(project.path().join("env/lib/x.txt").is_file());
    let entry = project.wheel(&pure);
    let mut interpreter = probe(&project, &base);
    interpreter["platlibdir"] = json!("lib64");
    project.spec(interpreter, &[entry], |_| ());
    project.run(&["build", "env.json", "--out", "built"]).success();
    assert_eq!(std::fs::read_link(project.path().join("built/lib64")).unwrap(), Path::new("lib"));
    assert!(project.path().join("built/lib/x.txt").is_file());
    let record =
        std::fs::read_to_string(project.path().join(format!(
            "built/lib/python{major}.{minor}/site-packages/pure-1.0.dist-info/RECORD"
        )))
        .unwrap();
    assert!(record.starts_with("../../x.txt,sha256="), "{record}");
    project.run(&["verify", "--spec", "env.json", "built"]).success();
}

#[test]
fn an_interpreter_says_where_its_compiled_modules_are() {
    let project = Project::new();
    let python = newest();
    assert!(probe(&project, &python.path).get("platlibdir").is_none());
    // One that is configured so cannot be made here: this one says that it is.
    let script = format!(
        "#!/bin/sh\nexec '{}' -I -S -c 'import sys; sys.platlibdir = \"lib64\"; exec(sys.argv[1])' \"$5\"\n",
        python.path.display()
    );
    let fake = project.path().join("python3");
    write_executable(fake.as_std_path(), script.as_bytes());
    let facts = probe(&project, fake.as_std_path());
    assert_eq!(facts["platlibdir"], "lib64");
    // A tree without links has none, and one for another system neither.
    project.spec(facts.clone(), &[], |_| ());
    assert!(project.run(&["plan", "env.json"]).success().contains("lib64"));
    let mut launcher = facts;
    launcher["python"] = json!({"kind": "launcher", "candidates": ["/usr/bin/python3"]});
    project.spec(launcher, &[], |spec| spec["flags"] = json!({"links": false}));
    assert!(!project.run(&["plan", "env.json"]).success().contains("lib64"));
    project.spec(crate::support::project::some_interpreter(), &[], |spec| {
        spec["flags"] = json!({"links": false, "lib64": true})
    });
    let output = project.run(&["plan", "env.json"]);
    assert!(
        output.code == 3 && output.stderr.contains("$.flags.lib64"),
        "{} {}",
        output.code,
        output.stderr
    );
}

#[test]
fn wrappers_of_entry_points_are_left_out() {
    let project = Project::new();
    let script = |name: &str| format!("one-1.0.data/scripts/{name}");
    let wheel = WheelText::new("one", "1.0")
        .file("one.py", "def main(): print('ran')\n")
        .files(&["tool", "tool.pya", "tool-script.py"].map(script), "#!python\n")
        .files(&["Tool.EXE", "tool.EXE", "other.exe"].map(script), "MZ")
        .console_scripts("tool = one:main");
    let entry = project.wheel(&wheel);
    project.spec(crate::support::project::some_interpreter(), &[entry], |spec| {
        spec["flags"] = json!({"activators": []})
    });
    let output = project.run(&["build", "env.json", "--out", "env"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    for script in ["tool.pya", "tool-script.py", "tool.EXE"] {
        let note = format!(
            "the script `{script}` is left out, because the environment makes its own for the entry point `tool`"
        );
        assert!(output.stderr.contains(&note), "{}", output.stderr);
    }
    let names = |folder: &str| {
        let mut names: Vec<String> = std::fs::read_dir(project.path().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !name.starts_with("python"));
        names.sort();
        names
    };
    let ours = names("env/bin");
    assert_eq!(ours, ["Tool.EXE", "other.exe", "tool"]);
    // pip and uv leave out the same.
    let file = format!("wheels/{}", wheel.file_name());
    for tool in ["pip", "uv"] {
        let mut command =
            if tool == "pip" { Command::new(peer("python")) } else { Command::new(peer("uv")) };
        if tool == "pip" {
            command.args(["-m", "pip", "install", "--quiet", "--no-warn-script-location"]);
        } else {
            command
                .args(["pip", "install", "--quiet", "--python"])
                .arg(peer("python"))
                .args(["--no-cache", "--offline"]);
        }
        let said = run(
            command
                .args(["--no-index", "--no-deps", "--prefix", tool, &file])
                .current_dir(project.path()),
            &[],
        );
        let theirs = names(&format!("{tool}/bin"));
        // uv tells `tool.EXE` from `tool.exe`.
        let same = theirs.iter().filter(|name| *name != "tool.EXE").eq(&ours);
        assert!(same && (tool == "uv" || theirs == ours), "{tool}: {theirs:?} {said}");
    }
}
