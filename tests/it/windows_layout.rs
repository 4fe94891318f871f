//! Environments for Windows, built on this host: what is in them, that nothing of the host shows,
//! and what Windows could not store.

use std::process::Command;

use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::interpreters;
use crate::support::project::{Output, Project, WheelText, listing};
use crate::windows_scripts::{launcher_bytes, read_back};

fn launcher(project: &Project, name: &str) -> Value {
    let bytes = launcher_bytes(name);
    project.write(&format!("launchers/{name}"), &bytes);
    json!({"path": format!("launchers/{name}"), "sha256": Hash::sha256(&bytes)})
}

fn interpreter() -> Value {
    json!({
        "implementation": "cpython",
        "version": "3.12.1",
        "abi": "cp312",
        "platform": {"os": "windows", "arch": "x86_64"},
        "python": {"kind": "relative", "path": "../python/python.exe"},
    })
}

/// A project with a spec for Windows of these wheels.
fn project(wheels: &[WheelText], change: impl FnOnce(&mut Value)) -> Project {
    let project = Project::new();
    let launchers =
        json!({"console": launcher(&project, "t64.exe"), "gui": launcher(&project, "w64.exe")});
    let wheels: Vec<Value> = wheels.iter().map(|wheel| project.wheel(wheel)).collect();
    project.spec(interpreter(), &wheels, |spec| {
        spec["launchers"] = launchers;
        change(spec);
    });
    project
}

fn build(project: &Project) -> Output {
    project.run(&["build", "env.json", "--out", "env", "--format", "json"])
}

fn tool() -> WheelText {
    let wheel = WheelText::new("tool", "1.0");
    let (entry_points, data) = (format!("{}/entry_points.txt", wheel.dist_info()), wheel.data());
    let entry_points_text =
        "[console_scripts]\ntool = tool:main\n[gui_scripts]\ntoolw = tool:main\n";
    wheel
        .file("tool.py", "import sys\ndef main():\n    print('tool', sys.argv[1:])\n    return 3\n")
        .file(&entry_points, entry_points_text)
        .file(&format!("{data}/headers/tool.h"), "int tool;\n")
        .file(&format!("{data}/data/share/tool.txt"), "data\n")
        .executable(
            &format!("{data}/scripts/old.py"),
            "#!python\r\nimport sys\r\nprint('old', __file__, sys.argv[1:])\r\n",
        )
        .executable(&format!("{data}/scripts/plain.bat"), "@echo off\r\n")
        .executable(&format!("{data}/scripts/window"), "#!pythonw\nprint('window')\n")
}

#[test]
fn an_environment_for_windows_has_its_layout() {
    let project = project(&[tool()], |spec| spec["flags"] = json!({"prompt": "it's"}));
    assert_eq!(build(&project).json()["outcome"], "built");
    let env = project.path().join("env");
    let lines = listing(env.as_std_path());
    let paths: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let expected = [
        "Include/site/python3.12/tool/tool.h",
        "Lib/site-packages/tool-1.0.dist-info/RECORD",
        "Lib/site-packages/tool.py",
        "Scripts/activate.bat",
        "Scripts/activate.ps1",
        "Scripts/deactivate.bat",
        "Scripts/old.exe",
        "Scripts/old.py",
        "Scripts/plain.bat",
        "Scripts/python.exe",
        "Scripts/pythonw.exe",
        "Scripts/tool.exe",
        "Scripts/toolw.exe",
        "Scripts/window",
        "Scripts/window.exe",
        "pyvenv.cfg",
        "share/tool.txt",
    ];
    for path in expected {
        assert!(paths.contains(&path), "{path}: {paths:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains(" -> ")), "there are links: {lines:#?}");
    assert!(
        !paths.iter().any(|path| path.starts_with("bin") || path.starts_with("lib/")),
        "{paths:#?}"
    );
    let read = |path: &str| std::fs::read(env.join(path)).unwrap();
    assert!(read("pyvenv.cfg").starts_with(b"home = \x1f\n"));
    // What cmd.exe and Windows PowerShell need to read the files at all.
    for batch in ["Scripts/activate.bat", "Scripts/deactivate.bat"] {
        let text = String::from_utf8(read(batch)).unwrap();
        assert!(
            text.lines().count() > 3 && text.matches('\n').count() == text.matches("\r\n").count(),
            "{batch}: {text:?}"
        );
    }
    assert!(read("Scripts/activate.ps1").starts_with(b"\xef\xbb\xbf"));
    let record = String::from_utf8(read("Lib/site-packages/tool-1.0.dist-info/RECORD")).unwrap();
    for row in [
        "../../Scripts/tool.exe,sha256=",
        "../../Scripts/old.py,",
        "../../Include/site/python3.12/tool/tool.h,",
        "../../share/tool.txt,",
    ] {
        assert!(record.contains(row), "{row}: {record}");
    }
}

#[test]
fn other_tools_read_the_programs() {
    let project = project(&[tool()], |_| {});
    build(&project).success();
    let scripts = project.path().join("env/Scripts");
    let names = ["tool.exe", "toolw.exe", "old.exe", "window.exe", "python.exe", "pythonw.exe"];
    let files: Vec<Vec<u8>> =
        names.iter().map(|name| std::fs::read(scripts.join(name)).unwrap()).collect();
    let read = read_back(&files.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let (console, gui) = (3, 2);
    let expected = [
        (console, "#!<launcher_dir>\\python.exe\n"),
        (gui, "#!<launcher_dir>\\pythonw.exe\n"),
        (console, "#!<launcher_dir>\\python.exe\n"),
        (gui, "#!<launcher_dir>\\pythonw.exe\n"),
        (console, "#!<launcher_dir>\\..\\..\\python\\python.exe -I -S\n"),
        (gui, "#!<launcher_dir>\\..\\..\\python\\pythonw.exe -I -S\n"),
    ];
    for ((name, made), (subsystem, line)) in names.iter().zip(&read).zip(expected) {
        assert_eq!(
            (&made["machine"], &made["subsystem"], &made["line"]),
            (&json!(0x8664), &json!(subsystem), &json!(line)),
            "{name}"
        );
        assert_eq!(
            made["members"],
            json!([["__main__.py", [1980, 1, 1, 0, 0, 0], 0, 0, 0]]),
            "{name}"
        );
    }
    // A launcher runs an interpreter with itself as the argument, which runs the archive by
    // `zipimport`.
    for python in interpreters() {
        let run = |script: &str| {
            let mut command = Command::new(&python.path);
            command
                .env_clear()
                .env("PYTHONPATH", project.path().join("env/Lib/site-packages"))
                .env("PYTHONDONTWRITEBYTECODE", "1");
            let output = command.arg(scripts.join(script)).arg("a b").output().unwrap();
            assert!(
                output.stderr.is_empty(),
                "{python:?} {script}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(run("tool.exe"), (Some(3), "tool ['a b']\n".to_owned()));
        assert_eq!(run("toolw.exe"), (Some(3), "tool ['a b']\n".to_owned()));
        assert_eq!(run("old.exe"), (Some(0), format!("old {} ['a b']\n", scripts.join("old.py"))));
        assert_eq!(run("window.exe"), (Some(0), "window\n".to_owned()));
    }
}

#[test]
fn nothing_of_the_host_shows() {
    let project = project(&[tool()], |_| {});
    let digest = |index: usize, setup: &str, arguments: &[&str]| {
        let out = format!("out é{index}/env");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!("{setup}; exec \"$@\""),
            "sh",
            env!("CARGO_BIN_EXE_venvtree"),
            "build",
        ]);
        command
            .arg(project.path().join("env.json"))
            .args(["--format", "json", "--out"])
            .arg(project.path().join(out))
            .args(arguments);
        // A store of the project's own: that of the user may hold what another version made.
        let output = command.env("XDG_CACHE_HOME", project.path().join("cache")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["digest"].as_str().unwrap().to_owned()
    };
    let first = digest(0, ":", &[]);
    let root = project.path();
    let settings: [(&str, &[&str]); 6] = [
        (":", &["--no-store"]),
        ("umask 077", &["--threads", "1"]),
        (
            "umask 000; TZ=Pacific/Kiritimati LC_ALL=tr_TR.UTF-8; export TZ LC_ALL",
            &["--threads", "8"],
        ),
        ("cd /; LC_ALL=C; export LC_ALL", &[]),
        (
            "HOME=/nonexistent TMPDIR=/tmp SOURCE_DATE_EPOCH=1; export HOME TMPDIR SOURCE_DATE_EPOCH",
            &[],
        ),
        ("unset PATH HOME LANG XDG_CACHE_HOME", &[]),
    ];
    for (index, (setup, arguments)) in settings.into_iter().enumerate() {
        assert_eq!(digest(index + 1, setup, arguments), first, "{setup}");
    }
    // The places of launchers are inputs like others.
    std::fs::rename(root.join("launchers"), root.join("elsewhere")).unwrap();
    let inputs: Vec<String> = ["t64.exe", "w64.exe"]
        .iter()
        .map(|name| format!("launchers/{name}={root}/elsewhere/{name}"))
        .collect();
    assert_eq!(digest(9, ":", &["--input", &inputs[0], "--input", &inputs[1]]), first);
}

#[test]
fn every_kind_of_interpreter_gets_a_launcher() {
    let line = |python: Value| {
        let project = project(&[], |spec| {
            spec["interpreter"]["python"] = python;
            spec["flags"] = json!({"links": false});
        });
        project.write("runtime/python.exe", "MZ");
        project.write("runtime/DLLs/x.pyd", "x");
        build(&project).success();
        let files = ["python.exe", "pythonw.exe"]
            .map(|name| std::fs::read(project.path().join("env/Scripts").join(name)).unwrap());
        let read = read_back(&[&files[0], &files[1]]);
        (read[0]["line"].as_str().unwrap().to_owned(), read[1]["line"].as_str().unwrap().to_owned())
    };
    let check = |python: Value, console: &str, gui: &str| {
        let wrap = |path: &str| format!("#!{path} -I -S\n");
        assert_eq!(line(python), (wrap(console), wrap(gui)));
    };
    check(
        json!({"kind": "launcher", "candidates": ["..\\py\\python.exe"]}),
        "<launcher_dir>\\..\\..\\py\\python.exe",
        "<launcher_dir>\\..\\..\\py\\pythonw.exe",
    );
    check(
        json!({"kind": "absolute", "path": "C:\\Python312\\python.exe"}),
        "C:\\Python312\\python.exe",
        "C:\\Python312\\pythonw.exe",
    );
    check(
        json!({"kind": "inside", "directory": "runtime"}),
        "<launcher_dir>\\..\\.python\\python.exe",
        "<launcher_dir>\\..\\.python\\pythonw.exe",
    );
}

#[test]
fn another_launcher_can_start_the_interpreter() {
    let other = launcher_bytes("t64.exe");
    let project = project(&[tool()], |spec| {
        spec["launchers"]["python"] =
            json!({"path": "launchers/own.exe", "sha256": Hash::sha256(&other)})
    });
    // The same program with another icon, say: a byte of the DOS stub differs.
    let mut changed = other.clone();
    changed[0x4e] ^= 0x20;
    project.write("launchers/own.exe", &changed);
    let refused = build(&project);
    refused.ends(6, "own.exe` has the SHA-256");
    let spec = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    // Only the last of the two: `python` follows `console` and `gui`.
    let (before, after) = spec.rsplit_once(&Hash::sha256(&other).to_string()).unwrap();
    project.write("env.json", format!("{before}{}{after}", Hash::sha256(&changed)));
    build(&project).success();
    let read = |name: &str| std::fs::read(project.path().join("env/Scripts").join(name)).unwrap();
    assert!(read("python.exe").starts_with(&changed) && read("tool.exe").starts_with(&other));
}

fn problems(output: &Output) -> String {
    assert_ne!(output.code, 0, "{output:?}");
    output.stderr.clone()
}

#[test]
fn what_windows_cannot_store_is_an_error() {
    let check = |wheels: &[WheelText], expected: &[&str]| {
        let found = problems(&build(&project(wheels, |_| {})));
        for text in expected {
            assert!(found.contains(text), "{text}: {found}");
        }
    };
    let wheel = |name: &str| WheelText::new(name, "1.0");
    check(&[wheel("a").file("pkg/aux.py", "")], &["aux.py` is the name of a device on Windows"]);
    check(&[wheel("a").file("pkg/what?.txt", "")], &["holds `?`"]);
    check(&[wheel("a").file("pkg/end.", "")], &["ends in a full stop"]);
    check(
        &[wheel("a").file("Pkg/x.py", ""), wheel("b").file("pkg/y.py", "")],
        &["`Lib/site-packages/Pkg`", "cannot tell them apart"],
    );
    check(
        &[wheel("a").console_scripts("tool = a:b"), wheel("b").console_scripts("Tool = a:b")],
        &["Scripts/Tool.exe"],
    );
    let deep = format!("{}/x.py", ["a_rather_long_name_of_a_package"; 9].join("/"));
    check(
        &[wheel("a").file(&deep, "")],
        &["[windows-length]", "more than Windows can open below any directory"],
    );
}

#[test]
fn the_plan_forecasts_the_longest_path() {
    let long = format!("{}/x.py", ["a_rather_long_name_of_a_package"; 5].join("/"));
    let project = project(&[WheelText::new("a", "1.0").file(&long, "").file("é/x.py", "")], |_| {});
    let planned = project.run(&["plan", "env.json", "--format", "json"]);
    let length = "Lib/site-packages/".len() + long.len();
    let value = planned.json();
    assert_eq!(
        (&value["longest_path"], &value["longest_place"]),
        (&json!(length), &json!(258 - length))
    );
    let message = value["warnings"][0]["message"].as_str().unwrap();
    assert_eq!(value["warnings"][0]["code"], "windows-length");
    assert!(
        message
            .ends_with(&format!("the path of the environment may have {} at most", 258 - length)),
        "{message}"
    );
}

#[test]
fn specs_for_windows_are_checked() {
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let found = problems(&build(&project(&[], change)));
        assert!(found.contains(expected), "{expected}: {found}");
    };
    check(
        &|spec| _ = spec.as_object_mut().unwrap().remove("launchers"),
        "the field `launchers` is missing",
    );
    check(
        &|spec| _ = spec["launchers"].as_object_mut().unwrap().remove("gui"),
        "$.launchers: the field `gui` is missing",
    );
    check(
        &|spec| _ = spec["launchers"]["gui"].as_object_mut().unwrap().remove("sha256"),
        "$.launchers.gui: the field `sha256` is missing",
    );
    check(&|spec| spec["launchers"]["other"] = json!({}), "$.launchers.other: unknown field");
    check(
        &|spec| spec["interpreter"]["platform"] = json!({"os": "linux", "arch": "x86_64"}),
        "$.launchers: given for an operating system other than windows",
    );
    check(
        &|spec| {
            spec["interpreter"]["version"] = json!("3.10.2");
            spec["interpreter"]["abi"] = json!("cp310");
        },
        "an environment for Windows needs CPython 3.11 or newer",
    );
    check(
        &|spec| {
            spec["interpreter"]["python"] =
                json!({"kind": "launcher", "candidates": ["../a/python.exe", "../b/python.exe"]})
        },
        "found 2 candidates",
    );
    check(
        &|spec| spec["interpreter"]["python"]["path"] = json!("C:/Python/python.exe"),
        "found the absolute path \"C:/Python/python.exe\"",
    );
    check(
        &|spec| {
            spec["interpreter"]["python"] = json!({"kind": "absolute", "path": "..\\python.exe"})
        },
        "found the relative path \"../python.exe\"",
    );
    check(
        &|spec| spec["interpreter"]["python"]["path"] = json!("../python/python"),
        "expected a name that ends in `.exe`",
    );
    check(
        &|spec| spec["launchers"]["gui"] = spec["launchers"]["console"].clone(),
        "the launcher `",
    );
    check(
        &|spec| spec["interpreter"]["platform"]["arch"] = json!("aarch64"),
        "the launcher is built for x86_64, expected one for aarch64",
    );
    let trusted = project(&[], |spec| {
        spec["flags"] = json!({"input_digests": "trusted"});
        spec["launchers"]["console"].as_object_mut().unwrap().remove("sha256");
    });
    build(&trusted).success();
}
