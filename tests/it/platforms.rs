//! Environments for other systems than this one, of the newest wheels of much used projects: none
//! is refused, and each is, file by file, what uv installs for that system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::download::{Download, wheels_in};
use crate::support::interpreters;
use crate::support::peers::peer;
use crate::support::project::Project;

/// Small ones: with and without compiled modules, scripts and `.data`.
const FEW: [&str; 5] = ["click", "markupsafe", "pygments", "pyyaml", "tqdm"];
/// With those, forty.
const MORE: [&str; 35] = [
    "aiohttp",
    "attrs",
    "black",
    "boto3",
    "certifi",
    "cffi",
    "charset-normalizer",
    "cryptography",
    "django",
    "flask",
    "frozenlist",
    "grpcio",
    "idna",
    "jinja2",
    "lxml",
    "matplotlib",
    "multidict",
    "mypy",
    "numpy",
    "pandas",
    "pillow",
    "pip",
    "pydantic",
    "pydantic-core",
    "pytest",
    "requests",
    "rich",
    "ruff",
    "scikit-learn",
    "scipy",
    "setuptools",
    "sqlalchemy",
    "urllib3",
    "werkzeug",
    "yarl",
];

/// A system to build for.
struct Target {
    name: &'static str,
    /// What pip calls it.
    pip: &'static str,
    /// What uv calls it.
    uv: &'static str,
    platform: Value,
    python: Value,
}

fn targets() -> [Target; 2] {
    [
        Target {
            name: "macos-arm64",
            pip: "macosx_14_0_arm64",
            uv: "aarch64-apple-darwin",
            platform: json!({"os": "macos", "arch": "aarch64", "version": "14.0"}),
            python: json!({"kind": "absolute", "path": "/opt/homebrew/bin/python3"}),
        },
        Target {
            name: "windows",
            pip: "win_amd64",
            uv: "x86_64-pc-windows-msvc",
            platform: json!({"os": "windows", "arch": "x86_64"}),
            python: json!({"kind": "absolute", "path": "C:/Python/python.exe"}),
        },
    ]
}

/// The newest wheels of projects for a target and a version of CPython, downloaded once.
fn download(target: &Target, version: (u32, u32), projects: &[&str]) -> Vec<PathBuf> {
    let (major, minor) = version;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(
        ".cache/platforms/{}-{major}.{minor}/{}",
        target.name,
        projects.len()
    ));
    let done = folder.join(".complete");
    if !done.exists() {
        let downloaded = Download::for_python(&format!("{major}.{minor}"))
            .platforms(std::iter::once(target.pip.to_owned()))
            .run(projects, &folder);
        assert!(downloaded, "pip cannot download {projects:?} for {}", target.name);
        std::fs::write(done, "").unwrap();
    }
    let wheels = wheels_in(&folder);
    assert!(wheels.len() >= projects.len());
    wheels
}

fn pinned(path: &Path) -> Value {
    json!({"path": path, "sha256": Hash::sha256(&std::fs::read(path).unwrap())})
}

/// Files by their paths: what they hold, and whether they can be executed.
type Files = BTreeMap<String, (Hash, bool)>;

fn files(root: &Path) -> Files {
    fn visit(root: &Path, folder: &Path, found: &mut Files) {
        use std::os::unix::fs::PermissionsExt as _;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                visit(root, &path, found);
            } else if metadata.is_file() {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, (Hash::sha256(&std::fs::read(&path).unwrap()), executable));
            }
        }
    }
    let mut found = Files::new();
    visit(root, root, &mut found);
    found
}

/// The scripts that are made, and not copied, by name: of entry points, and those that begin with
/// `#!python`.
fn made_scripts(prefix: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(prefix.join("bin")).into_iter().flatten() {
        let path = entry.unwrap().path();
        // uv writes the path of the interpreter, or a program that looks for it.
        let head: Vec<u8> = std::fs::read(&path).unwrap().into_iter().take(200).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        if head.starts_with("#!") && head.contains("python") {
            names.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    names
}

fn check(projects: &[&str]) {
    let python = interpreters()
        .into_iter()
        .rfind(|python| python.version >= (3, 12))
        .expect("the tests compare with CPython 3.12 or newer");
    let (major, minor) = python.version;
    for target in targets() {
        let wheels = download(&target, python.version, projects);
        let project = Project::new();
        let windows = target.name == "windows";
        let interpreter = json!({
            "implementation": "cpython", "version": format!("{major}.{minor}.0"), "abi": format!("cp{major}{minor}"),
            "platform": target.platform, "python": target.python,
        });
        let entries: Vec<Value> = wheels.iter().map(|path| pinned(path)).collect();
        project.spec(interpreter, &entries, |spec| {
            spec["flags"] = json!({"activators": [], "requirements": "off"});
            if windows {
                let program = "import distlib, os; print(os.path.dirname(distlib.__file__), end='')";
                let folder = Command::new(peer("python")).args(["-I", "-c", program]).output().unwrap();
                let folder = PathBuf::from(String::from_utf8(folder.stdout).unwrap());
                spec["launchers"] = json!({"console": pinned(&folder.join("t64.exe")), "gui": pinned(&folder.join("w64.exe"))});
            }
        });
        let output = project.run(&["build", "env.json", "--out", "ours", "--no-store"]);
        assert_eq!(output.code, 0, "{}: {}", target.name, output.stderr);
        let status = Command::new(peer("uv"))
            .args([
                "pip",
                "install",
                "--quiet",
                "--no-cache",
                "--offline",
                "--no-index",
                "--no-deps",
                "--no-config",
                "--python",
            ])
            .arg(&python.path)
            .args(["--python-platform", target.uv, "--prefix", "uv"])
            .args(&wheels)
            .current_dir(project.path())
            // The oldest macOS that uv installs for.
            .env("MACOSX_DEPLOYMENT_TARGET", "14.0")
            .status()
            .unwrap();
        assert!(status.success(), "uv cannot install for {}", target.name);
        let prefix = project.path().join("uv").into_std_path_buf();
        compare(
            &target,
            &files(project.path().join("ours").as_std_path()),
            &files(&prefix),
            &made_scripts(&prefix),
        );
    }
}

/// Compares what we have built with what uv has installed here, in the layout of this system.
fn compare(target: &Target, ours: &Files, uv: &Files, scripts: &BTreeSet<String>) {
    let windows = target.name == "windows";
    let here =
        |path: &str| match (windows, path.split_once("/site-packages/"), path.split_once('/')) {
            (true, Some((library, rest)), _) if library.starts_with("lib/python") => {
                format!("Lib/site-packages/{rest}")
            }
            (true, _, Some(("bin", rest))) => format!("Scripts/{rest}"),
            (true, _, Some(("include", rest))) => format!("Include/{rest}"),
            _ => path.to_owned(),
        };
    let folder = if windows { "Scripts" } else { "bin" };
    let mut expected: Files = uv.iter().map(|(path, file)| (here(path), *file)).collect();
    // What an installer writes about itself; RECORD lists it.
    let own = ["/INSTALLER", "/RECORD", "/REQUESTED", "/direct_url.json", "/uv_cache.json"];
    expected.retain(|path, _| {
        !(path.contains(".dist-info/") && own.iter().any(|name| path.ends_with(name)))
            && path != ".lock"
    });
    let mut found = ours.clone();
    found.retain(|path, _| {
        !(path.contains(".dist-info/") && own.iter().any(|name| path.ends_with(name)))
    });
    // What every environment has.
    found.retain(|path, _| path != "pyvenv.cfg" && !path.ends_with("/site-packages/.venvtree"));
    for name in ["python", "python3", "python.exe", "pythonw.exe"] {
        found.remove(&format!("{folder}/{name}"));
    }
    // Scripts are made otherwise, but there are the same.
    let mut differences = Vec::new();
    for name in scripts {
        let theirs = format!("{folder}/{name}");
        expected.remove(&theirs);
        let script = found.remove(&theirs);
        let stem = name.strip_suffix(".py").unwrap_or(name);
        let program = found.remove(&format!("{folder}/{stem}.exe"));
        if if windows { program.is_none() } else { script.is_none() } {
            differences.push(format!("no script {name}"));
        }
    }
    for path in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        match (expected.get(path), found.get(path)) {
            (Some(_), None) => differences.push(format!("only uv has {path}")),
            (None, Some(_)) => differences.push(format!("only we have {path}")),
            (Some(one), Some(other)) if one.0 != other.0 => {
                differences.push(format!("other bytes in {path}"))
            }
            (Some(one), Some(other)) if one.1 != other.1 => {
                differences.push(format!("executable or not: {path}"))
            }
            _ => {}
        }
    }
    assert!(
        differences.is_empty(),
        "{}: {} differences\n{}",
        target.name,
        differences.len(),
        differences.join("\n")
    );
    // The comparison has something to compare.
    assert!(expected.len() > 100, "{}", expected.len());
}

#[test]
fn environments_for_other_systems_are_those_of_uv() {
    check(&FEW);
}

#[test]
#[ignore = "downloads 400 MB; CONTRIBUTING.md has the command"]
fn environments_for_other_systems_of_forty_projects_are_those_of_uv() {
    let projects: Vec<&str> = FEW.into_iter().chain(MORE).collect();
    check(&projects);
}
