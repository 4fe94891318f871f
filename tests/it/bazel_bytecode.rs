//! Bytecode in real Bazels: an action for each wheel, shared by environments and machines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::bazel::{Bazel, Version, alone, buildbox, buildgrid, corrupt_wheel, tool, with_bazel};
use super::support::commands::said;

/// The bytecode below a directory, by the names of its modules.
fn bytecode_in(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else if name.ends_with(".pyc") {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

/// Runs a Python of the workspace, which says where the modules that it imports have their bytecode.
fn imported(bazel: &Bazel, python: &str) -> Vec<bool> {
    const PROGRAM: &str = "import os, alpha, beta_package
print([os.path.isfile(module.__cached__) for module in (alpha, beta_package)])";
    let said = bazel.run_file(python, &["-B", "-c", PROGRAM]);
    said.trim_matches(['[', ']', '\n']).split(", ").map(|word| word == "True").collect()
}

fn environments_have_bytecode(version: Version) {
    let _alone = alone();
    let bazel = Bazel::new(version, "a");
    // A server that is running already may notice only after a build that the tool is another one.
    bazel.succeed("build", &["//:beta_env"]);
    bazel.succeed("clean", &[]);
    let of = |counts: &BTreeMap<String, usize>| {
        ["PyWheel", "PyBytecode", "PyVenv"].map(|name| counts.get(name).copied().unwrap_or(0))
    };
    // Two levels of two wheels for one environment, and one for the other, of another interpreter.
    let counts = bazel.executed("build", &["//:compiled_env", "//:compiled_inbuild_env"]);
    assert_eq!(of(&counts), [2, 6, 2], "{counts:?}");
    for (name, tree) in [("", "compiled_env"), ("inbuild_", "compiled_inbuild_env")] {
        let found = bytecode_in(&bazel.workspace.join(format!("bazel-bin/{tree}.venv")));
        assert_eq!(found.len(), if name.is_empty() { 4 } else { 2 }, "{found:?}");
        assert_eq!(imported(&bazel, &format!("bazel-bin/{tree}.venv/bin/python")), [true, true]);
    }
    // Another environment, which says nothing itself, shares what was made.
    let setting = "--@venvtree//rules:bytecode=unchecked";
    let counts = bazel.executed("build", &[setting, "//:env"]);
    assert_eq!(of(&counts), [0, 0, 1], "{counts:?}");
    assert_eq!(imported(&bazel, "bazel-bin/env.venv/bin/python"), [true, true]);
    let spec: Value = serde_json::from_str(&bazel.read("bazel-bin/env.spec.json")).unwrap();
    assert_eq!(spec["bytecode"]["validation"], "unchecked");
    let counts = bazel.executed("build", &["//:env"]);
    assert_eq!(of(&counts), [0, 0, 1], "{counts:?}");
    assert_eq!(imported(&bazel, "bazel-bin/env.venv/bin/python"), [false, false]);

    // What is packed has it, first-party code has none; what people edit has none.
    let packed = ["//:compiled_archive", "//:compiled_layers", "//:compiled_inbuild_layers"];
    let counts = bazel.executed("build", &packed);
    // The library of an interpreter that is packed is compiled by itself.
    assert_eq!(counts.get("PyBytecode"), Some(&1), "{counts:?}");
    let listed = |archive: &str| {
        let mut tar = Command::new("tar");
        let listing = said(&tar.arg("-tf").arg(bazel.workspace.join(archive)).output().unwrap());
        listing.lines().filter(|line| line.ends_with(".pyc")).count()
    };
    assert_eq!(listed("bazel-bin/compiled_archive.tar"), 4);
    assert_eq!(listed("bazel-bin/compiled_layers.layers/alpha.tar.gz"), 2);
    assert_eq!(listed("bazel-bin/compiled_layers.layers/_packages.tar.gz"), 2);
    assert_eq!(listed("bazel-bin/compiled_layers.layers/sources.tar.gz"), 0);
    let inbuild =
        |layer: &str| listed(&format!("bazel-bin/compiled_inbuild_layers.layers/{layer}"));
    let counts = ["interpreter", "_packages", "environment", "sources"];
    let counts = counts.map(|name| inbuild(&format!("{name}.tar.gz")));
    assert!(counts[0] > 400 && counts[1..] == [2, 0, 0], "{counts:?}");
    bazel.succeed("run", &["//:compiled_env.link"]);
    assert_eq!(bytecode_in(&bazel.workspace.join("ide/compiled")), [""; 0]);

    // One changed wheel is compiled, and no other.
    let edited = b"VALUE = 'alpha 1'\n# edited\ndef main():\n    print(VALUE)\n";
    bazel.write("wheels/alpha/alpha.py", edited);
    let counts = bazel.executed("build", &["//:compiled_env"]);
    assert_eq!(of(&counts), [1, 2, 1], "{counts:?}");

    // What is wrong with a wheel is for each environment to accept.
    std::fs::create_dir_all(bazel.workspace.join("allowed")).unwrap();
    bazel.write("allowed/corrupt-1-py3-none-any.whl", &corrupt_wheel());
    let allowed = "load(\"@venvtree//rules:defs.bzl\", \"py_venv\")\n\
        py_venv(name = \"env\", allow = [\"record.hash\"], bytecode = \"unchecked\", wheels = [\"corrupt-1-py3-none-any.whl\"])\n\
        py_venv(name = \"strict\", bytecode = \"unchecked\", wheels = [\"corrupt-1-py3-none-any.whl\"])\n";
    bazel.write("allowed/BUILD.bazel", allowed.as_bytes());
    bazel.succeed("build", &["//allowed:env"]);
    let found = bytecode_in(&bazel.workspace.join("bazel-bin/allowed/env.venv"));
    assert_eq!(found.len(), 1, "{found:?}");
    let refused = said(&bazel.bazel("build", &["//allowed:strict"]));
    assert!(refused.contains("the member `corrupt.py` has the SHA-256"), "{refused}");

    // Another interpreter at the place than the build believes.
    let refused = said(&bazel.bazel("build", &["//bad:other_compiler"]));
    assert!(refused.contains("[bytecode.version]"), "{refused}");
    assert!(refused.contains("expected 3.12.99"), "{refused}");
    let refused = said(&bazel.bazel("build", &["//bad:no_patch_level"]));
    assert!(refused.contains("the interpreter //bad:without_patch has no bytecode"), "{refused}");
    assert!(refused.contains("give it with its patch level"), "{refused}");
    let refused = said(&bazel.bazel("build", &["--@venvtree//rules:bytecode=sometimes", "//:env"]));
    assert!(refused.contains("the build setting `bytecode` is `sometimes`"), "{refused}");
}

with_bazel!(environments_have_bytecode {
    bazel_4_compiles_each_wheel_once: Four,
    bazel_7_compiles_each_wheel_once: Seven,
    bazel_7_with_modules_compiles_each_wheel_once: SevenModules,
});

/// What one machine compiled, another one with other paths takes from the cache.
#[test]
fn machines_share_bytecode() {
    let _alone = alone();
    let (_server, address) = buildgrid();
    let cache = format!("--remote_cache={address}");
    let flags = [cache.as_str(), "//:compiled_env", "//:compiled_inbuild_env"];
    for version in [Version::Four, Version::Seven] {
        let first = Bazel::new(version, "a");
        first.succeed("clean", &[]);
        let counts = first.executed("build", &flags);
        assert_eq!(counts.get("PyBytecode"), Some(&6), "{counts:?}");
        drop(first);
        let second = Bazel::new(version, "another-machine");
        second.succeed("clean", &[]);
        assert_eq!(second.executed("build", &flags), BTreeMap::new(), "{version:?}");
    }
}

/// However actions are executed, they make the same. An interpreter of the build compiles wherever
/// actions are executed, one of the system where the build is.
#[test]
fn sandboxes_workers_and_remote_machines_compile_the_same() {
    let _alone = alone();
    let bazel = Bazel::new(Version::Seven, "a");
    let (_servers, executor) = buildbox(&bazel);
    let log = bazel.workspace.join("execution.json");
    let log_flag = format!("--execution_log_json_file={}", log.display());
    let mut made = Vec::new();
    for (compile, build, flag, expected) in [
        ("sandboxed", "sandboxed", "--show_result=1", ["sandbox"; 3]),
        ("worker", "worker", "--show_result=1", ["worker"; 3]),
        ("worker", "worker", "--experimental_worker_multiplex_sandboxing", ["worker"; 3]),
        ("remote,local", "remote", &executor, ["remote", "local", "remote"]),
    ] {
        bazel.succeed("clean", &[]);
        let [compile, build] = [("PyBytecode", compile), ("PyVenv", build)]
            .map(|(name, strategy)| format!("--strategy={name}={strategy}"));
        let targets = ["//:compiled_env", "//:compiled_inbuild_env"];
        bazel.succeed("build", &[&[&log_flag, &compile, &build, flag][..], &targets].concat());
        let spawns: Vec<Value> =
            serde_json::Deserializer::from_slice(&std::fs::read(&log).unwrap())
                .into_iter()
                .collect::<Result<_, _>>()
                .unwrap();
        let mut runners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for spawn in &spawns {
            let inbuild = spawn["listedOutputs"].to_string().contains("inbuild");
            let what = match spawn["mnemonic"].as_str().unwrap() {
                "PyBytecode" if inbuild => "an interpreter of the build",
                "PyBytecode" => "one of the system",
                "PyVenv" => "an environment",
                _ => continue,
            };
            // Which sandbox there is depends on the machine.
            let runner = spawn["runner"].as_str().unwrap();
            let runner = if runner.ends_with("-sandbox") { "sandbox" } else { runner };
            runners.entry(what).or_default().insert(runner);
        }
        let kinds = ["an interpreter of the build", "one of the system", "an environment"];
        let expected = kinds.into_iter().zip(expected.map(|runner| BTreeSet::from([runner])));
        assert_eq!(runners, expected.collect(), "{compile} {build} {flag}");
        made.push(["compiled_env", "compiled_inbuild_env"].map(|name| {
            let tree = bazel.workspace.join(format!("bazel-bin/{name}.venv"));
            assert!(!bytecode_in(&tree).is_empty());
            said(&Command::new(tool()).arg("digest").arg(tree).output().unwrap())
        }));
    }
    for other in &made[1..] {
        assert_eq!(*other, made[0]);
    }
}
