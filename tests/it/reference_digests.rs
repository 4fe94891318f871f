//! What a request makes, pinned: every file of a dozen reference environments, kept with the
//! version of the format.
//!
//! The version is part of every action key. If the same request made another tree under the same
//! version, caches would go on giving the old one, and two machines with two builds of the tool
//! would disagree without a word. So a change of a template, a launcher or the layout has to raise
//! the version, and this test says so.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use venvtree::model::action::FORMAT_VERSION;
use venvtree::model::digest::Hash;

use crate::support::project::{Project, WheelText, some_interpreter};
use crate::windows_scripts::launcher_bytes;

/// A reference environment: its name, its interpreter, and what makes its spec special.
struct Reference {
    name: &'static str,
    interpreter: Value,
    wheels: Vec<WheelText>,
    change: fn(&mut Value),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/reference")
}

/// One wheel with a file of each kind that a wheel can bring.
fn everything() -> WheelText {
    WheelText::new("every_kind", "1.0")
        .metadata("Requires-Dist: other")
        .metadata("Requires-Python: >=3.8")
        .file("every_kind/__init__.py", "def main():\n    print('every kind')\n")
        .executable("every_kind/tool", "#!/bin/sh\nexit 0\n")
        .file("every_kind/__pycache__/__init__.cpython-311.pyc", "dropped")
        .file("every_kind/tests/test_it.py", "assert True\n")
        .file("every_kind-1.0.data/purelib/pure.py", "")
        .file("every_kind-1.0.data/platlib/plat.py", "")
        .file("every_kind-1.0.data/headers/every.h", "int every;\n")
        .file("every_kind-1.0.data/scripts/plain", "#!/bin/sh\n")
        .file("every_kind-1.0.data/scripts/rewritten", "#!python\nprint(1)\n")
        .file("every_kind-1.0.data/scripts/windowed", "#!pythonw\nprint(1)\n")
        .file("every_kind-1.0.data/data/share/every.txt", "data\n")
        .file("every_kind-1.0.dist-info/direct_url.json", "{}")
        .file("every_kind-1.0.dist-info/INSTALLER", "other")
        .unlisted("every_kind-1.0.dist-info/RECORD.jws", "{}")
        .file(
            "every_kind-1.0.dist-info/entry_points.txt",
            "[console_scripts]\nevery = every_kind:main\nextra = every_kind:main [extra]\n[gui_scripts]\neveryw = every_kind:main\n",
        )
}

fn other() -> WheelText {
    WheelText::new("other", "2.0")
        .file("other.py", "")
        .file("shared/same.py", "same")
        .file("every_kind/tool", "clash\n")
}

fn interpreter(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/specs/ok").join(name);
    let spec: Value = serde_json::from_slice(&std::fs::read(file).expect("a spec")).expect("JSON");
    spec["interpreter"].clone()
}

fn with_python(python: Value) -> Value {
    let mut interpreter = some_interpreter();
    interpreter["python"] = python;
    interpreter
}

fn references() -> Vec<Reference> {
    let posix = |name, wheels: Vec<WheelText>, change: fn(&mut Value)| Reference {
        name,
        interpreter: some_interpreter(),
        wheels,
        change,
    };
    let plain = |name, interpreter| Reference {
        name,
        interpreter,
        wheels: vec![everything()],
        change: |_| (),
    };
    let relative = json!({"kind": "relative", "path": "../python/bin/python3.11"});
    let launcher = json!({"kind": "launcher", "candidates": ["../python/bin/python3.11", "/usr/bin/python3.11"]});
    let inside = json!({"kind": "inside", "directory": "python", "executable": "bin/python3.11"});
    vec![
        posix("posix-empty", vec![], |_| ()),
        posix("posix-every-kind", vec![everything()], |_| ()),
        posix("posix-blake3", vec![everything()], |spec| {
            spec["flags"] = json!({"digest_function": "blake3"})
        }),
        posix("posix-flags", vec![everything()], |spec| {
            spec["wheels"][0]["exclude"] = json!(["**/tests/**"]);
            spec["sources"] = json!([{"path": "src", "into": "first_party"}]);
            spec["path_entries"] = json!(["../_main", "../else where"]);
            spec["flags"] = json!({"system_site_packages": true, "prompt": "it's \"a\" $prompt", "mtime": 1_000_000_000, "links": true});
        }),
        posix("posix-first-wins", vec![everything(), other()], |spec| {
            spec["flags"] = json!({"conflicts": "first", "activators": []})
        }),
        posix("posix-last-wins", vec![everything(), other()], |spec| {
            spec["flags"] = json!({"conflicts": "last", "activators": ["posix"]})
        }),
        plain("relative", with_python(relative)),
        Reference {
            name: "launcher",
            interpreter: with_python(launcher),
            wheels: vec![everything()],
            change: |spec| {
                spec["flags"] = json!({"links": false});
            },
        },
        plain("inside", with_python(inside)),
        plain("pypy", interpreter("pypy.json")),
        plain("macos", interpreter("macos.json")),
        plain("windows", interpreter("windows.json")),
        Reference {
            name: "windows-console-only",
            interpreter: interpreter("windows.json"),
            wheels: vec![other()],
            change: |spec| {
                spec["flags"] = json!({"prompt": "ü"});
            },
        },
    ]
}

/// The reference environments, ready to be built from `env.json`, each with its name and its root
/// digest.
pub(crate) fn recorded() -> Vec<(&'static str, Project, String)> {
    let root = |name| {
        let text = std::fs::read_to_string(folder().join(format!("{name}.txt"))).expect("recorded");
        text.lines().next().and_then(|line| line.strip_prefix("root ")).expect("a root").to_owned()
    };
    references()
        .iter()
        .map(|reference| (reference.name, project(reference), root(reference.name)))
        .collect()
}

/// A directory with the spec and all that it names.
fn project(reference: &Reference) -> Project {
    let project = Project::new();
    project.write_program("python/bin/python3.11", "#!/bin/sh\n");
    project.write("python/lib/python3.11/os.py", "");
    project.write("src/main.py", "print('first party')\n");
    let wheels: Vec<Value> = reference.wheels.iter().map(|wheel| project.wheel(wheel)).collect();
    project.spec(reference.interpreter.clone(), &wheels, |spec| {
        if reference.interpreter["platform"]["os"] == "windows" {
            let launcher = |name: &str| {
                let bytes = launcher_bytes(name);
                project.write(&format!("launchers/{name}"), &bytes);
                json!({"path": format!("launchers/{name}"), "sha256": Hash::sha256(&bytes)})
            };
            spec["launchers"] = json!({"console": launcher("t64.exe"), "gui": launcher("w64.exe")});
        }
        (reference.change)(spec);
    });
    project
}

/// The root digest and every file of the environment, one line each.
fn listing(reference: &Reference) -> String {
    let project = project(reference);
    let built =
        project.run(&["build", "env.json", "--out", "out", "--no-store", "--format", "json"]);
    assert_eq!(built.code, 0, "{}: {}{}", reference.name, built.stdout, built.stderr);
    let root = built.json()["digest"].as_str().expect("a digest").to_owned();
    let out = project.path().join("out");
    let mut lines = Vec::new();
    for path in crate::support::project::listing(out.as_std_path()) {
        let file = path
            .rsplitn(3, ' ')
            .nth(2)
            .filter(|file| !path.contains(" -> ") && out.join(file).is_file());
        match file {
            Some(file) => lines.push(format!(
                "{path} {}",
                Hash::sha256(&std::fs::read(out.join(file)).expect("a file"))
            )),
            None => lines.push(path),
        }
    }
    format!("root {root}\n{}\n", lines.join("\n"))
}

/// Which lines were there before and are there no more, and the other way.
fn difference(before: &str, after: &str) -> String {
    let gone = before
        .lines()
        .filter(|line| !after.lines().any(|other| other == *line))
        .map(|line| format!("    - {line}"));
    let new = after
        .lines()
        .filter(|line| !before.lines().any(|other| other == *line))
        .map(|line| format!("    + {line}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_same_request_makes_the_same_tree_in_this_version_of_the_format() {
    let version_file = folder().join("FORMAT_VERSION");
    let recorded: u32 = std::fs::read_to_string(&version_file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    assert!(
        recorded <= FORMAT_VERSION,
        "the format's version went back from {recorded} to {FORMAT_VERSION}"
    );
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut changed = Vec::new();
    for reference in references() {
        let file = folder().join(format!("{}.txt", reference.name));
        let (before, after) = (std::fs::read_to_string(&file).ok(), listing(&reference));
        match before {
            Some(before) if before == after => {}
            Some(before) if recorded == FORMAT_VERSION => {
                changed.push(format!("{}:\n{}", reference.name, difference(&before, &after)))
            }
            _ if update => std::fs::write(&file, after).expect("expected files can be written"),
            _ => changed
                .push(format!("{}: not recorded for version {FORMAT_VERSION}", reference.name)),
        }
    }
    assert!(
        changed.is_empty(),
        "the same requests make other trees than version {recorded} of the format did, and caches would not notice:\n{}\n\n\
         If that is not what you want, undo it. If it is, raise FORMAT_VERSION in src/model/action.rs (it is {FORMAT_VERSION}, \
         {recorded} is recorded) and run this test once with UPDATE_EXPECT=1.",
        changed.join("\n")
    );
    if update {
        std::fs::write(&version_file, format!("{FORMAT_VERSION}\n"))
            .expect("expected files can be written");
    } else {
        assert_eq!(
            recorded, FORMAT_VERSION,
            "run this test once with UPDATE_EXPECT=1 to record the new version"
        );
    }
}

#[test]
fn every_reference_is_recorded_and_nothing_else_is() {
    let mut names: Vec<String> =
        references().iter().map(|reference| format!("{}.txt", reference.name)).collect();
    names.push("FORMAT_VERSION".to_owned());
    names.sort();
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .expect("the folder of references")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    found.sort();
    assert_eq!(found, names);
}
