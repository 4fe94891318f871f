//! Real wheels for the platforms that most are made for: none is refused by mistake.

use std::path::Path;

use camino::Utf8Path;
use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::download::{TARGETS, wheels_in};
use crate::support::project::{Project, venvtree_in};
use crate::wheel_check::check_no_alarm;
use crate::windows_scripts::launcher_bytes;

fn cache(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache").join(name)
}

/// CPython 3.12 on a platform.
fn interpreter(target: &str) -> Value {
    let linux = |arch: &str, libc: &str| json!({"os": "linux", "arch": arch, "libc": libc});
    let (platform, path) = match target {
        "linux-glibc" => (linux("x86_64", "glibc-2.39"), "/usr/bin/python3.12"),
        "linux-aarch64" => (linux("aarch64", "glibc-2.39"), "/usr/bin/python3.12"),
        "linux-musl" => (linux("x86_64", "musl-1.2"), "/usr/bin/python3.12"),
        "macos-arm64" => (
            json!({"os": "macos", "arch": "arm64", "version": "15.0"}),
            "/opt/python/bin/python3.12",
        ),
        _ => (json!({"os": "windows", "arch": "x86_64"}), "C:/Python312/python.exe"),
    };
    let python = json!({"kind": "absolute", "path": path});
    json!({"implementation": "cpython", "version": "3.12.7", "abi": "cp312", "platform": platform, "python": python})
}

/// Builds an environment of one wheel for a platform; checks that `wheel check --for` says the
/// same.
fn build(wheel: &Path, target: &str) {
    let project = Project::new();
    let bytes = std::fs::read(wheel).unwrap();
    let path = format!("wheels/{}", wheel.file_name().unwrap().to_str().unwrap());
    project.write(&path, &bytes);
    let facts = interpreter(target);
    project.write("facts.json", facts.to_string());
    let launchers = (target == "windows").then(|| {
        let launcher = |name: &str| {
            project.write(name, launcher_bytes(name));
            json!({"path": name, "sha256": Hash::sha256(&launcher_bytes(name))})
        };
        json!({"console": launcher("t64.exe"), "gui": launcher("w64.exe")})
    });
    project.spec(facts, &[json!({"path": path, "sha256": Hash::sha256(&bytes)})], |spec| {
        spec["flags"] = json!({"requirements": "off"});
        if let Some(launchers) = launchers {
            spec["launchers"] = launchers;
        }
    });
    let built = project.run(&["build", "env.json", "--out", "env", "--no-store"]);
    assert_eq!(built.code, 0, "{path} for {target}: {}", built.stderr);
    let checked = project.run(&["wheel", "check", "--for", "facts.json", &path]);
    assert_eq!(checked.code, 0, "{path} for {target}: {}{}", checked.stdout, checked.stderr);
}

#[test]
fn wheels_for_every_platform_build() {
    for target in &TARGETS {
        let folder = cache("wheels/markupsafe").join(target.name);
        if wheels_in(&folder).is_empty() {
            // Of this version, the one for macOS was repaired by delocate 0.13, which names itself
            // beside the maker.
            assert!(
                target.download(&["markupsafe==3.0.4"], &folder),
                "pip cannot download for {}",
                target.name
            );
        }
        let wheels = wheels_in(&folder);
        assert_eq!(wheels.len(), 1, "{wheels:?}");
        build(&wheels[0], target.name);
    }
}

/// The newest wheels of the projects in `testdata/most-used.txt` for each platform, downloaded
/// once.
fn most_used() -> Vec<std::path::PathBuf> {
    let names = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/most-used.txt"),
    )
    .unwrap();
    let names: Vec<&str> = names.lines().filter(|line| !line.starts_with('#')).collect();
    let folder = cache("popular");
    for target in &TARGETS {
        let done = folder.join(format!(".{}", target.name));
        if done.exists() {
            continue;
        }
        for chunk in names.chunks(12) {
            if !target.download(chunk, &folder) {
                // Not every project has a wheel for every platform.
                let missing: Vec<&str> = chunk
                    .iter()
                    .copied()
                    .filter(|name| !target.download(&[name], &folder))
                    .collect();
                assert!(
                    missing.len() * 2 < chunk.len(),
                    "pip cannot download {missing:?} for {}",
                    target.name
                );
            }
        }
        std::fs::write(done, "").unwrap();
    }
    wheels_in(&folder)
}

#[test]
#[ignore = "downloads 1 GB; CONTRIBUTING.md has the command"]
fn popular_wheels_of_every_platform_raise_no_false_alarm() {
    let files = most_used();
    assert!(files.len() > 300, "{}", files.len());
    let names: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    check_no_alarm(&files, &["startup.import"]);
    // Each fits the interpreter of one platform at least, and is built for it.
    for target in &TARGETS {
        let facts = std::env::temp_dir().join(format!(
            "venvtree-facts-{}-{}.json",
            std::process::id(),
            target.name
        ));
        std::fs::write(&facts, interpreter(target.name).to_string()).unwrap();
        let arguments = [
            &["wheel", "check", "--format", "json", "--for", facts.to_str().unwrap()],
            names.as_slice(),
        ]
        .concat();
        let report = venvtree_in(Utf8Path::new("/"), &arguments, "").json();
        std::fs::remove_file(facts).unwrap();
        let files = report["files"].as_array().unwrap();
        let fitting = files.iter().filter(|file| file["verdict"]["fits"] == true).count();
        assert!(fitting > 130, "{fitting} wheels fit {}", target.name);
        for file in files {
            let problems = file["verdict"]["problems"].as_array().unwrap();
            assert!(
                problems.iter().all(|problem| problem["code"] == "incompatible-tags"),
                "{}: {problems:?}",
                file["file"]
            );
        }
    }
}
