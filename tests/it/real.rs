//! Real wheels and real interpreters: what is built runs, wherever it is moved, and holds what
//! other installers install.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use camino::Utf8Path;
use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::commands::{said, succeed_in_newer_debian};
use crate::support::download::wheels_with_needs;
use crate::support::interpreters;
use crate::support::peers::peer;
use crate::support::programs::Python;
use crate::support::project::{Project, WheelText, listing};

/// Projects that make an environment large, with extension modules of every kind, and a module of
/// each that is imported.
const LARGE: [(&str, &str); 13] = [
    ("numpy", "numpy"),
    ("pandas", "pandas"),
    ("scipy", "scipy.linalg"),
    ("matplotlib", "matplotlib.pyplot"),
    ("cryptography", "cryptography.hazmat.bindings._rust"),
    ("lxml", "lxml.etree"),
    ("protobuf", "google.protobuf.message"),
    ("setuptools", "setuptools"),
    ("pytest", "pytest"),
    ("black", "black"),
    ("flask", "flask"),
    ("django", "django"),
    ("jupyterlab", "jupyterlab"),
];

fn probe(project: &Project, python: &Path, kind: &str) -> Value {
    let output = project.run(&["interpreter", "probe", python.to_str().unwrap(), "--kind", kind]);
    serde_json::from_str(&output.success()).unwrap()
}

/// Runs a program in an empty environment; returns standard output.
fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}\n{}",
        program.display(),
        output.status,
        said(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What an interpreter must say of an environment that it lies in.
const CHECK: &str = r#"
import importlib.metadata, json, multiprocessing, os, site, subprocess, sys, sysconfig
root = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[1])))
assert sys.prefix == root, (sys.prefix, root)
assert sys.base_prefix != sys.prefix
assert os.path.dirname(sysconfig.get_paths()["purelib"]).startswith(root + "/lib/")
assert any(path.startswith(root + "/lib") and path.endswith("site-packages") for path in sys.path), sys.path
child = subprocess.run([sys.executable, "-I", "-c", "import sys; print(sys.prefix)"], stdout=subprocess.PIPE, check=True)
assert child.stdout.decode().strip() == root, child.stdout
missing = []
for distribution in importlib.metadata.distributions(path=[sysconfig.get_paths()["purelib"]]):
    for file in distribution.files:
        if not os.path.exists(distribution.locate_file(file)):
            missing.append(str(file))
assert not missing, missing[:10]
print(json.dumps(sorted({d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions(path=[sysconfig.get_paths()["purelib"]])})))
"#;

const SPAWN: &str = "import multiprocessing, sys\n\ndef prefix(_):\n    return sys.prefix\n\nif __name__ == '__main__':\n    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.map(prefix, [0])[0])\n";

/// Checks an environment where it is now.
fn check(root: &Path, imports: &[&str], scripts: &[&[&str]], names: &BTreeSet<String>) {
    let python = root.join("bin/python");
    let argument = python.to_str().unwrap();
    let found: BTreeSet<String> =
        serde_json::from_str(&run(&python, &["-I", "-c", CHECK, argument])).unwrap();
    assert_eq!(&found, names);
    if !imports.is_empty() {
        run(&python, &["-c", &format!("import {}", imports.join(", "))]);
    }
    for script in scripts {
        run(&root.join("bin").join(script[0]), &script[1..]);
    }
    let spawn = tempfile::Builder::new().suffix(".py").tempfile().unwrap();
    std::fs::write(spawn.path(), SPAWN).unwrap();
    assert_eq!(run(&python, &[spawn.path().to_str().unwrap()]).trim(), root.to_str().unwrap());
    // A virtual environment made by this one has the same base.
    let nested = tempfile::tempdir().unwrap();
    run(&python, &["-m", "venv", "--without-pip", nested.path().to_str().unwrap()]);
    run(
        &nested.path().join("bin/python"),
        &["-c", "import sys, json, _ctypes; assert sys.prefix != sys.base_prefix"],
    );
}

/// Builds for an interpreter by every kind that applies, and checks the result in place, moved,
/// copied and unpacked.
fn check_everywhere(python: &Python, projects: &[&str], imports: &[&str], scripts: &[&[&str]]) {
    let wheels = wheels_with_needs(python, projects);
    let kinds: &[&str] = if python.version >= (3, 11) {
        &["absolute", "launcher", "relative"]
    } else {
        &["absolute", "relative"]
    };
    for kind in kinds {
        let project = Project::new();
        let mut interpreter =
            probe(&project, &python.path, if *kind == "relative" { "absolute" } else { kind });
        if *kind == "relative" {
            // The interpreter lies beside the environment, and both are moved together.
            let base = interpreter["python"]["path"].as_str().unwrap().to_owned();
            std::os::unix::fs::symlink(
                Path::new(&base).parent().unwrap().parent().unwrap(),
                project.path().join("base"),
            )
            .unwrap();
            let name = Path::new(&base).file_name().unwrap().to_str().unwrap().to_owned();
            interpreter["python"] =
                json!({"kind": "relative", "path": format!("../base/bin/{name}")});
        }
        project.spec(interpreter, &wheels, |_| ());
        project.run(&["build", "env.json", "--out", "env", "--manifest", "m.json"]).success();
        let names: BTreeSet<String> = wheels
            .iter()
            .map(|wheel| {
                Utf8Path::new(wheel["path"].as_str().unwrap())
                    .file_name()
                    .unwrap()
                    .split('-')
                    .next()
                    .unwrap()
                    .to_lowercase()
                    .replace('_', "-")
            })
            .collect();
        let root = project.path().canonicalize_utf8().unwrap();
        run(&root.join("env/bin").join(scripts[0][0]).into_std_path_buf(), &scripts[0][1..]);
        let moved = root.join("mövéd to");
        std::fs::create_dir(&moved).unwrap();
        std::fs::rename(root.join("env"), moved.join("env é")).unwrap();
        if *kind == "relative" {
            std::fs::rename(root.join("base"), moved.join("base")).unwrap();
        }
        run(
            Path::new("/bin/cp"),
            &["-a", moved.join("env é").as_str(), moved.join("copy").as_str()],
        );
        run(&moved.join("copy/bin").join(scripts[0][0]).into_std_path_buf(), &scripts[0][1..]);
        run(
            Path::new("/bin/tar"),
            &["-C", moved.as_str(), "-cf", moved.join("env.tar").as_str(), "copy"],
        );
        std::fs::remove_dir_all(moved.join("copy")).unwrap();
        run(Path::new("/bin/tar"), &["-C", moved.as_str(), "-xf", moved.join("env.tar").as_str()]);
        // Before all programs run: some write their settings into the environment.
        project.run(&["verify", moved.join("copy").as_str(), "--manifest", "m.json"]).success();
        check(moved.join("env é").as_std_path(), imports, scripts, &names);
        check(moved.join("copy").as_std_path(), imports, scripts, &names);
    }
}

#[test]
fn environments_run_wherever_they_are() {
    let pythons = interpreters();
    assert!(!pythons.is_empty(), "no interpreter was found");
    for python in pythons {
        check_everywhere(
            &python,
            &["flask", "six"],
            &["flask", "six", "markupsafe"],
            &[&["flask", "--version"]],
        );
    }
}

#[test]
#[ignore = "downloads and builds some hundred wheels: cargo test --test it -- --ignored real::"]
fn large_environments_run_wherever_they_are() {
    let projects = LARGE.map(|(project, _)| project);
    let imports = LARGE.map(|(_, module)| module);
    let scripts: [&[&str]; 5] = [
        &["pytest", "--version"],
        &["black", "--version"],
        &["flask", "--version"],
        &["django-admin", "--version"],
        &["jupyter-lab", "--version"],
    ];
    for python in interpreters() {
        check_everywhere(&python, &projects, &imports, &scripts);
    }
}

#[test]
fn environments_for_pypy_run_too() {
    let project = Project::new();
    let wheel = project.wheel(&WheelText::that_prints_ran("demo"));
    project.spec(probe(&project, Path::new("/usr/bin/pypy3"), "absolute"), &[wheel], |_| ());
    project.run(&["build", "env.json", "--out", "env"]).success();
    let moved = project.path().canonicalize_utf8().unwrap().join("moved to");
    std::fs::rename(project.path().join("env"), &moved).unwrap();
    assert_eq!(run(moved.join("bin/demo").as_std_path(), &[]), "ran\n");
    let program = "import sys, sysconfig; print(sys.prefix, sys.implementation.name, sysconfig.get_paths()['purelib'])";
    let said = run(moved.join("bin/pypy3").as_std_path(), &["-c", program]);
    assert!(said.starts_with(&format!("{moved} pypy {moved}/lib/pypy3.")), "{said}");
}

/// CPython 3.14 lies in the directory that holds the newer Debian, and runs there.
#[test]
fn environments_for_cpython_3_14_run_too() {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let recorded =
        std::fs::read_to_string(root.join("testdata/interpreters/debian-cp314.json")).unwrap();
    let recorded: Value = serde_json::from_str(&recorded).unwrap();
    for kind in ["absolute", "launcher", "relative"] {
        let project = Project::new();
        let path = project.path().canonicalize_utf8().unwrap();
        let wheel = project.wheel(&WheelText::that_prints_ran("demo"));
        let mut interpreter = recorded.clone();
        let up = "../".repeat(path.components().count());
        interpreter["python"] = match kind {
            "absolute" => json!({"kind": kind, "path": "/usr/bin/python3.14"}),
            "launcher" => {
                json!({"kind": kind, "candidates": ["../no/python", "/usr/bin/python3.14"]})
            }
            _ => json!({"kind": kind, "path": format!("{up}usr/bin/python3.14")}),
        };
        project.spec(interpreter, &[wheel], |_| ());
        project.run(&["build", "env.json", "--out", "env"]).success();
        std::fs::rename(path.join("env"), path.join("env é")).unwrap();
        std::fs::write(path.join("check.py"), CHECK).unwrap();
        std::fs::write(path.join("spawn.py"), SPAWN).unwrap();
        let script = "set -e; cd \"$0\"; export PYTHONDONTWRITEBYTECODE=1; 'env é/bin/demo'; 'env é/bin/python' -I check.py \"$0/env é/bin/python\"; \
            'env é/bin/python' spawn.py; 'env é/bin/python' -m venv --without-pip nested; \
            nested/bin/python -c 'import sys, _json; assert sys.prefix != sys.base_prefix'";
        let text = succeed_in_newer_debian(&path, "sh", &["-c", script, path.as_str()]);
        assert_eq!(text, format!("ran\n[\"demo\"]\n{path}/env é\n"), "{kind}");
    }
}

#[test]
fn recorded_interpreters_are_what_a_spec_takes() {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/interpreters");
    let mut layouts = Vec::new();
    for entry in folder.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let interpreter: Value =
            serde_json::from_str(&std::fs::read_to_string(entry.path()).unwrap()).unwrap();
        let mut spec = json!({"version": 1, "interpreter": interpreter});
        if interpreter["platform"]["os"] == "windows" {
            let launcher = json!({"path": "t64.exe", "sha256": "0".repeat(64)});
            spec["launchers"] = json!({"console": launcher, "gui": launcher});
        }
        let spec = venvtree::model::spec::parse(&spec.to_string());
        let spec = spec.unwrap_or_else(|error| panic!("{}: {error:?}", entry.path()));
        let layout = venvtree::model::layout::Layout::new(&spec.interpreter);
        let tags = venvtree::model::wheel::tags::supported(&spec.interpreter);
        let names = venvtree::model::layout::interpreter_names(&spec.interpreter).join(" ");
        layouts.push(format!(
            "{}: {} | {} | {} | {}",
            entry.file_name(),
            layout.purelib,
            layout.headers,
            names,
            tags[0]
        ));
    }
    layouts.sort();
    insta::assert_snapshot!(layouts.join("\n"));
}

/// The files below a directory with the SHA-256 of their bytes, but those that are left out of
/// comparisons (docs/comparison.md).
fn contents(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in listing(root) {
        let name = line
            .split(" -> ")
            .next()
            .unwrap()
            .rsplit_once(' ')
            .map_or(line.as_str(), |(name, _)| name)
            .to_owned();
        let path = root.join(&name);
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let file = name.rsplit('/').next().unwrap();
        let left_out = [
            "INSTALLER",
            "REQUESTED",
            "direct_url.json",
            "uv_cache.json",
            "uv_build.json",
            ".venvtree",
            "pyvenv.cfg",
            ".lock",
            ".gitignore",
            "CACHEDIR.TAG",
            "_virtualenv.py",
            "_virtualenv.pth",
        ];
        if left_out.contains(&file)
            || name.contains("__pycache__")
            || name.starts_with("bin/activate")
            || name.starts_with("bin/deactivate")
            || name.starts_with("bin/pydoc")
        {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let digest = if file == "RECORD" && name.contains(".dist-info/") {
            // The order and the line ends are the installer's, and so are the rows of the files
            // that are left out.
            let mut rows: Vec<String> = String::from_utf8(bytes)
                .unwrap()
                .lines()
                .filter(|row| {
                    !left_out
                        .iter()
                        .any(|name| row.split(',').next().unwrap().ends_with(&format!("/{name}")))
                })
                .filter(|row| !row.contains("__pycache__") && !row.starts_with("../../../bin/"))
                .map(str::to_owned)
                .collect();
            rows.sort();
            rows.join("\n")
        } else if name.starts_with("bin/") && bytes.starts_with(b"#!") {
            "a script".to_owned()
        } else {
            Hash::sha256(&bytes).to_hex()
        };
        found.insert(name, digest);
    }
    found
}

fn check_against_peers(python: &Python, projects: &[&str]) {
    let wheels = wheels_with_needs(python, projects);
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    project.spec(probe(&project, &python.path, "absolute"), &wheels, |_| ());
    let built = project.run(&["build", "env.json", "--out", "ours"]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    let ours = contents(root.join("ours").as_std_path());
    let files: Vec<&str> = wheels.iter().map(|wheel| wheel["path"].as_str().unwrap()).collect();
    let python = python.path.to_str().unwrap();
    let uv = peer("uv");
    let cache = root.join("cache");
    for (name, install) in [("pip", true), ("uv", false)] {
        let place = root.join(name);
        run(
            &uv,
            &[
                "--no-cache",
                "venv",
                "--quiet",
                "--python",
                python,
                "--no-python-downloads",
                place.as_str(),
            ],
        );
        let interpreter = place.join("bin/python");
        if install {
            // The interpreter's own pip: the peers' is too new for the oldest interpreters.
            let pip = [
                "-m",
                "pip",
                "--python",
                interpreter.as_str(),
                "--quiet",
                "--disable-pip-version-check",
                "install",
            ];
            run(
                Path::new(python),
                &[&pip, &["--no-deps", "--no-compile", "--no-index"][..], &files].concat(),
            );
        } else {
            let install = [
                "--quiet",
                "--cache-dir",
                cache.as_str(),
                "pip",
                "install",
                "--python",
                interpreter.as_str(),
                "--no-deps",
                "--offline",
            ];
            run(&uv, &[&install[..], &files].concat());
        }
        let theirs = contents(place.as_std_path());
        let differences: Vec<String> = ours
            .keys()
            .chain(theirs.keys())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|path| ours.get(*path) != theirs.get(*path))
            .map(|path| {
                format!("{path}: ours {:?}, {name}'s {:?}", ours.get(path), theirs.get(path))
            })
            .collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        // Both list the same distributions of our environment as of their own.
        let listed = |place: &Utf8Path| match name {
            "pip" => run(
                Path::new(python),
                &[
                    "-m",
                    "pip",
                    "--python",
                    place.join("bin/python").as_str(),
                    "--disable-pip-version-check",
                    "list",
                    "--format=freeze",
                ],
            ),
            _ => run(
                &uv,
                &[
                    "--quiet",
                    "pip",
                    "list",
                    "--format=freeze",
                    "--python",
                    place.join("bin/python").as_str(),
                ],
            ),
        };
        assert_eq!(listed(&root.join("ours")), listed(&place));
    }
    // All agree on whether something is missing.
    let ours = root.join("ours/bin/python");
    let pip = Command::new(python)
        .args(["-m", "pip", "--python", ours.as_str(), "--disable-pip-version-check", "check"])
        .output()
        .unwrap();
    let uv = Command::new(&uv).args(["pip", "check", "--python", ours.as_str()]).output().unwrap();
    let warned = built.stderr.contains("requires");
    assert_eq!(
        (pip.status.success(), uv.status.success()),
        (!warned, !warned),
        "{}{}",
        built.stderr,
        String::from_utf8_lossy(&pip.stdout)
    );
}

#[test]
fn the_files_are_those_that_pip_and_uv_install() {
    for python in interpreters() {
        check_against_peers(&python, &["flask", "six"]);
    }
}

#[test]
#[ignore = "downloads and installs some hundred wheels with three tools: cargo test --test it -- --ignored real::"]
fn the_files_of_large_environments_are_those_that_pip_and_uv_install() {
    for python in interpreters() {
        check_against_peers(&python, &LARGE.map(|(project, _)| project));
    }
}
