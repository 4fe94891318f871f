//! The rules with real Bazels: 4.2.3 with WORKSPACE, 7.7.1 with WORKSPACE and with modules.
//! `tests/bazel/workspace` is what they build.
//!
//! `.ci/install` brings the Bazels and the caches' servers; where one is missing, tests fail. They
//! run one after another and share output bases, because a Bazel is large and slow to start.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::commands::{said, succeed};
use crate::support::download::locked_wheels;

pub(super) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn kit(name: &str) -> PathBuf {
    checkout().join("tests/bazel/kit").join(name)
}

/// Where Bazels work: kept from run to run, as their repositories take long to make.
pub(super) fn work() -> &'static Path {
    static WORK: OnceLock<PathBuf> = OnceLock::new();
    WORK.get_or_init(|| {
        // Short, and on the way into the other root; one for each checkout.
        let name = checkout().to_str().expect("the checkout's path is UTF-8").replace('/', "-");
        let work = std::env::temp_dir().join(format!("venvtree-bazel{name}"));
        fs::create_dir_all(&work).unwrap();
        work
    })
}

/// One Bazel at a time.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn tool() -> &'static Path {
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    TOOL.get_or_init(|| {
        // Without symbols a debug build is a fraction as large, and it goes into every cache.
        let stripped = work().join("venvtree");
        let status = Command::new("strip")
            .arg("-o")
            .arg(&stripped)
            .arg(env!("CARGO_BIN_EXE_venvtree"))
            .status()
            .expect("strip (binutils)");
        assert!(status.success());
        stripped
    })
}

/// The wheels of the consumer's requirements, downloaded once.
fn wheelhouse() -> PathBuf {
    locked_wheels("python3", "tests/bazel/workspace/requirements.txt", "bazel-wheels")
}

/// Tests that are the same for several versions of Bazel.
macro_rules! with_bazel {
    ($body:ident { $($name:ident: $version:ident),+ $(,)? }) => {
        $(
            #[test]
            fn $name() {
                $body(crate::bazel::Version::$version);
            }
        )+
    };
}
pub(super) use with_bazel;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 4.2.3.
    Four,
    /// 7.7.1 with WORKSPACE.
    Seven,
    /// 7.7.1 with modules.
    SevenModules,
}

/// What makes 7.7.1, with modules, behave as 8 and 9 do, as far as it can: flags that these have
/// flipped, or that take away what these have no more.
///
/// Two are left out, since they take `PyInfo` away, too: the file that names it for Bazels older
/// than 8 knows which one it is for by their version.
pub(super) const AS_NEWER: &[&str] = &[
    "--noenable_workspace",
    "--incompatible_autoload_externally=-py_library,-py_binary,-py_test,-py_runtime",
    "--incompatible_disable_native_repo_rules",
    "--incompatible_use_plus_in_repo_names",
    "--incompatible_disable_target_provider_fields",
    "--incompatible_disallow_empty_glob",
    "--incompatible_no_implicit_file_export",
    "--incompatible_no_implicit_watch_label",
    "--incompatible_config_setting_private_default_visibility",
    "--incompatible_disable_starlark_host_transitions",
    "--incompatible_check_testonly_for_output_files",
    "--incompatible_check_visibility_for_toolchains",
    "--incompatible_auto_exec_groups",
    "--incompatible_default_to_explicit_init_py",
    "--incompatible_strict_action_env",
    "--incompatible_struct_has_no_methods",
    "--incompatible_top_level_aspects_require_providers",
    "--incompatible_python_disallow_native_rules",
    "--incompatible_modify_execution_info_additive",
];

/// A Bazel with a workspace and an output base of its own, as on one machine.
pub(super) struct Bazel {
    version: Version,
    pub(super) workspace: PathBuf,
    output_base: PathBuf,
    pub(super) home: PathBuf,
    /// The rules are those that the registry has, and not this checkout's.
    pub(super) rules_from_registry: bool,
    /// Bazel 7 in a root of its own, where it has the sandbox of Linux.
    pub(super) has_own_root: bool,
    /// The root directory of another system, which this machine is.
    pub(super) system: Option<PathBuf>,
}

impl Bazel {
    /// In this checkout: the rules' own workspace.
    fn here(version: Version) -> Self {
        let directory = machine("here", version);
        let home = directory.join("home");
        fs::create_dir_all(&home).unwrap();
        Self {
            version,
            workspace: checkout().to_owned(),
            output_base: directory.join("base"),
            home,
            rules_from_registry: false,
            has_own_root: false,
            system: None,
        }
    }

    /// A machine called `name`, with a fresh copy of the workspace.
    pub(super) fn new(version: Version, name: &str) -> Self {
        let bazel = Self::with_copy(version, name, "tests/bazel/workspace");
        bazel.write("bad/corrupt-1-py3-none-any.whl", &corrupt_wheel());
        bazel
    }

    /// A machine called `name`, with a fresh copy of a directory of the checkout.
    pub(super) fn with_copy(version: Version, name: &str, from: &str) -> Self {
        let bazel = Self::empty(version, name);
        copy(&checkout().join(from), &bazel.workspace);
        bazel
    }

    /// A machine called `name`, with nothing in its workspace.
    pub(super) fn empty(version: Version, name: &str) -> Self {
        let directory = machine(name, version);
        let workspace = directory.join("workspace");
        let _ = fs::remove_dir_all(&workspace);
        fs::create_dir_all(&workspace).unwrap();
        let home = directory.join("home");
        fs::create_dir_all(&home).unwrap();
        let output_base = directory.join("base");
        Self {
            version,
            workspace,
            output_base,
            home,
            rules_from_registry: false,
            has_own_root: false,
            system: None,
        }
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        fs::write(self.workspace.join(path), bytes).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.workspace.join(path)).unwrap()
    }

    pub(super) fn program(&self, program: &str) -> Command {
        let mut command = if self.version == Version::Four && self.system.is_none() {
            Command::new(program)
        } else {
            let mut command = Command::new(kit("bazel7"));
            let seen =
                format!("{} {}", top(checkout()).display(), top(relocatable_python()).display());
            command.env("VENVTREE_PROGRAM", program).env("VENVTREE_BIND", seen);
            if self.has_own_root {
                command.env("VENVTREE_PIVOT", "1");
            }
            if let Some(root) = &self.system {
                command.env("VENVTREE_BAZEL7", root);
            }
            command
        };
        command
            .current_dir(&self.workspace)
            .env("HOME", &self.home)
            .env(
                "USER",
                self.output_base.parent().and_then(Path::file_name).expect("a machine's name"),
            )
            .stdin(Stdio::null());
        command.env_remove("PYTHONPATH").env_remove("RUNFILES_DIR");
        command
    }

    /// Runs `bazel COMMAND ARGUMENTS`.
    pub(super) fn bazel(&self, command: &str, arguments: &[&str]) -> Output {
        let mut bazel = self.program("bazel");
        bazel.arg(format!("--output_base={}", self.output_base.display())).args([
            "--max_idle_secs=60",
            "--host_jvm_args=-Xmx1g",
            command,
        ]);
        if command != "shutdown" && command != "clean" {
            self.add_flags(&mut bazel);
            if !["query", "cquery"].contains(&command) {
                bazel.args(["--nosandbox_debug", "--jobs=2"]);
            }
        }
        bazel.args(arguments).output().expect("bazel (the package bazel-bootstrap)")
    }

    fn add_flags(&self, command: &mut Command) {
        let source = checkout().display();
        command.args(["--color=no", "--curses=no", "--noshow_progress"]);
        command.arg(format!("--repo_env=VENVTREE_BIN={}", tool().display()));
        command
            .arg(format!("--repo_env=PIP_FIND_LINKS={}", wheelhouse().display()))
            .arg("--repo_env=PIP_NO_INDEX=1");
        command.arg(format!("--repo_env=CONSUMER_CPYTHON={}", relocatable_python().display()));
        match self.version {
            Version::Four => {
                for name in ["rules_cc", "rules_java", "remote_coverage_tools"] {
                    command.arg(format!(
                        "--override_repository={name}={}",
                        kit("stubs").join(name).display()
                    ));
                }
                self.add_consumer(command, &[format!("--override_repository=venvtree={source}")]);
            }
            Version::Seven | Version::SevenModules => {
                let debian = "/usr/share/bazel";
                command.arg(format!(
                    "--override_repository=remote_coverage_tools={}",
                    kit("stubs/remote_coverage_tools").display()
                ));
                for name in ["cc", "java", "python", "proto", "license"] {
                    command
                        .arg(format!("--override_repository=rules_{name}={debian}/rules/{name}"));
                }
                for (name, place) in [
                    ("bazel_skylib", "skylib"),
                    ("bazel_features", "features"),
                    ("platforms", "platforms"),
                ] {
                    command.arg(format!("--override_repository={name}={debian}/tools/{place}"));
                }
            }
        }
        match self.version {
            Version::Four => {}
            Version::Seven => {
                command.args(["--enable_workspace", "--noenable_bzlmod"]);
                self.add_consumer(command, &[format!("--override_repository=venvtree={source}")]);
            }
            Version::SevenModules => {
                command.arg(format!("--registry=file://{}", registry().display()));
                let mut flags = Vec::new();
                if !self.rules_from_registry {
                    flags.push(format!("--override_module=venvtree={source}"));
                }
                let other = self.workspace.join("other");
                if other.exists() {
                    flags.push(format!("--override_module=other={}", other.display()));
                }
                self.add_consumer(command, &flags);
            }
        }
    }

    /// Flags for a workspace that uses the rules; their own one is left as it is.
    fn add_consumer(&self, command: &mut Command, flags: &[String]) {
        if self.workspace != checkout() {
            command.args(flags);
            return;
        }
        command.arg("--symlink_prefix=/");
        if self.version != Version::Four {
            command.arg("--lockfile_mode=off");
        }
    }

    pub(super) fn succeed(&self, command: &str, arguments: &[&str]) -> String {
        self.succeeded(self.bazel(command, arguments), command, arguments)
    }

    /// What a command said, which went well.
    pub(super) fn succeeded(&self, output: Output, command: &str, arguments: &[&str]) -> String {
        let said = said(&output);
        let well = output.status.success();
        assert!(well, "{:?}: bazel {command} {arguments:?}:\n{said}", self.version);
        said
    }

    /// Builds or tests, and counts the actions that were not taken from a cache, by mnemonic.
    pub(super) fn executed(&self, command: &str, arguments: &[&str]) -> BTreeMap<String, usize> {
        let log = self.workspace.join("execution.json");
        let flag = format!("--execution_log_json_file={}", log.display());
        self.succeed(command, &[&[flag.as_str()], arguments].concat());
        let mut counts = BTreeMap::new();
        for spawn in
            serde_json::Deserializer::from_slice(&fs::read(&log).unwrap()).into_iter::<Value>()
        {
            let spawn = spawn.unwrap();
            let cached =
                ["cacheHit", "remoteCacheHit"].iter().any(|key| spawn[key] == Value::Bool(true));
            if !cached {
                *counts
                    .entry(spawn["mnemonic"].as_str().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
        }
        counts
    }

    /// What a shard of the sharded test left in its directory for that, which Bazel packs.
    fn undeclared_outputs(&self, shard: &str) -> Vec<String> {
        let file = fs::File::open(self.workspace.join(format!(
            "bazel-testlogs/app/sharded_test/shard_{shard}_of_2/test.outputs/outputs.zip"
        )));
        let archive = zip::ZipArchive::new(file.unwrap()).unwrap();
        archive.file_names().map(|name| name.unwrap().into_owned()).collect()
    }

    /// Runs a file of the workspace where this Bazel's interpreters are.
    pub(super) fn run_file(&self, path: &str, arguments: &[&str]) -> String {
        let output = self
            .program(self.workspace.join(path).to_str().unwrap())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{:?}: {path}:\n{}", self.version, said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Bazel {
    fn drop(&mut self) {
        // Most tests are this machine; its server ends by itself when none of them needs it any
        // more.
        if self.output_base != machine("a", self.version).join("base") {
            let _ = self.bazel("shutdown", &[]);
        }
    }
}

/// Where a machine has its files. Both ways of using Bazel 7 share them.
fn machine(name: &str, version: Version) -> PathBuf {
    let family = if version == Version::Four { "4" } else { "7" };
    work().join(format!("{name}{family}"))
}

/// The directory of a CPython 3.11 that works wherever it lies.
pub(super) fn relocatable_python() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let pythons = super::support::interpreters();
        let python = pythons
            .iter()
            .find(|python| python.version == (3, 11) && !python.path.starts_with("/usr/bin"));
        let python = python.expect("a CPython 3.11 of pyenv's");
        python.path.parent().and_then(Path::parent).expect("PREFIX/bin/python3.11").to_owned()
    })
}

/// The first directory of a path, which the other root must see.
fn top(path: &Path) -> PathBuf {
    path.components().take(2).collect()
}

pub(super) fn registry() -> &'static Path {
    static REGISTRY: OnceLock<PathBuf> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = work().join("registry");
        assert!(Command::new(kit("make-registry")).arg(&registry).status().unwrap().success());
        registry
    })
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// A wheel one byte of which is not what its RECORD says.
pub(super) fn corrupt_wheel() -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let mut archive = zip::ZipWriter::new(&mut out);
    let record = format!(
        "corrupt.py,sha256={},4\ncorrupt-1.dist-info/METADATA,,\ncorrupt-1.dist-info/WHEEL,,\ncorrupt-1.dist-info/RECORD,,\n",
        "A".repeat(43)
    );
    for (name, content) in [
        ("corrupt.py", "x=1\n"),
        ("corrupt-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: corrupt\nVersion: 1\n"),
        (
            "corrupt-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        ("corrupt-1.dist-info/RECORD", &record),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    out.into_inner()
}

pub(super) fn last_json(output: &str) -> Value {
    let line = output
        .lines()
        .rfind(|line| line.starts_with('{'))
        .unwrap_or_else(|| panic!("no JSON in:\n{output}"));
    serde_json::from_str(line).unwrap()
}

/// A file system gives an inode again, and Bazel knows files by inode, size and time.
fn changes_of_one_size_are_seen(bazel: &Bazel) {
    fs::create_dir_all(bazel.workspace.join("changed")).unwrap();
    let build = r#"load("@venvtree//rules:defs.bzl", "py_venv", "py_venv_test", "py_wheel")
py_wheel(name = "value", srcs = ["value.py"], distribution = "value", imports = ["."], version = "1")
py_venv(name = "env", wheels = [":value"])
py_venv_test(name = "value_test", size = "small", srcs = ["value_test.py"], venv = ":env")
"#;
    bazel.write("changed/BUILD.bazel", build.as_bytes());
    bazel.write("changed/value_test.py", b"import value\n\nassert value.X == 0, value.X\n");
    for number in 0..4 {
        bazel.write("changed/value.py", format!("X = {number}\n").as_bytes());
        let arguments = ["//changed:value_test", "--spawn_strategy=local"];
        let output = bazel.bazel("test", &arguments);
        assert_eq!(output.status.success(), number == 0, "{number}: {}", said(&output));
    }
    fs::remove_dir_all(bazel.workspace.join("changed")).unwrap();
}

fn builds_runs_and_tests(version: Version) {
    let _alone = alone();
    let bazel = Bazel::new(version, "a");
    bazel.succeed("test", &["--test_output=errors", "--", "//...", "-//bad/..."]);

    // Shards share the tests out, and leave what they made.
    let mut made: Vec<String> =
        ["1", "2"].iter().flat_map(|shard| bazel.undeclared_outputs(shard)).collect();
    made.sort();
    assert_eq!(made, ["number0", "number1", "number2", "number3"]);

    // Environments, binaries and scripts, by `bazel run` and straight from `bazel-bin`.
    let found = last_json(&bazel.succeed("run", &["//app:probe", "--", "a", "b c"]));
    assert_eq!(found["argv"], serde_json::json!(["a", "b c"]));
    assert_eq!(found["environ"]["PROBE_DATA"], "library/data.txt");
    assert_eq!(found["environ"]["PROBE_QUOTE"], "it's \"quoted\" $HOME");
    let found = last_json(&bazel.run_file("bazel-bin/app/probe", &["x"]));
    assert_eq!(found["argv"], serde_json::json!(["x"]));
    assert_eq!(
        found["values"].as_array().unwrap()[..3],
        ["first party 1", "elsewhere 1", "alpha 1"]
    );
    assert_eq!(
        found["path"].as_array().unwrap().last().unwrap().as_str().unwrap().rsplit('/').next(),
        Some("app")
    );
    // Where there is no directory of runfiles, but a manifest.
    fs::create_dir_all(bazel.workspace.join("elsewhere")).unwrap();
    for name in ["probe", "probe.runfiles_manifest"] {
        let from = bazel.workspace.join("bazel-bin/app").join(name);
        fs::copy(from, bazel.workspace.join("elsewhere").join(name)).unwrap();
    }
    let found = last_json(&bazel.run_file("elsewhere/probe", &["x"]));
    assert_eq!(
        found["values"].as_array().unwrap()[..3],
        ["first party 1", "elsewhere 1", "alpha 1"]
    );
    let found = last_json(&bazel.run_file("bazel-bin/app/inbuild", &[]));
    assert_eq!(found["version"], serde_json::json!([3, 11]));
    assert!(
        bazel
            .succeed("run", &["//app:module", "--", "x", "y z"])
            .contains("alpha 1 ['of', 'the', 'rule', 'x', 'y z']")
    );
    assert!(bazel.succeed("run", &["//app:script"]).contains("alpha 1"));
    // Under the names and with the attributes of other rules.
    let line = "first party 1 of words yes ['of', 'the', 'rule', 'x']";
    assert!(bazel.succeed("run", &["//migrated", "--", "x"]).contains(line));
    let program =
        "import sys, alpha, first_party; print('started', sys.argv[1:], first_party.VALUE)";
    assert!(
        bazel
            .succeed("run", &["//:env", "--", "-c", program, "a b"])
            .contains("started ['a b'] first party 1")
    );
    assert_eq!(
        bazel
            .run_file("bazel-bin/env.venv/bin/python", &["-c", "import alpha; print(alpha.VALUE)"]),
        "alpha 1\n"
    );

    changes_of_one_size_are_seen(&bazel);

    // What a test carries besides first-party files.
    let manifest = bazel.read("bazel-bin/app/sharded_test.runfiles/MANIFEST");
    let ours: Vec<&str> = manifest
        .lines()
        .filter(|line| {
            !["conftest.py", "test_sharded.py", "first_party.py", "elsewhere.py", "data.txt"]
                .iter()
                .any(|name| line.ends_with(name))
        })
        .collect();
    assert!(ours.len() <= 5, "{ours:#?}");

    // The same environment without Bazel: the same digest.
    let mut inputs = Vec::new();
    for line in bazel
        .read("bazel-bin/env.venv-0.params")
        .lines()
        .filter(|line| line.starts_with("--input="))
    {
        let (key, path) = line["--input=".len()..].split_once('=').unwrap();
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        inputs.push(format!(
            "--input={key}={}",
            bazel.workspace.join("bazel-bin").join(name).display()
        ));
    }
    assert_eq!(inputs.len(), 2);
    let digest = Command::new(tool())
        .arg("digest")
        .arg(bazel.workspace.join("bazel-bin/env.spec.json"))
        .args(&inputs)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&digest.stdout).split_whitespace().next().unwrap(),
        bazel.read("bazel-bin/env.digest").trim()
    );

    // Archives hold first-party code, an IDE's environment leads to it.
    let listing = Command::new("tar")
        .arg("-tf")
        .arg(bazel.workspace.join("bazel-bin/archive.tar"))
        .output()
        .unwrap();
    let listing = said(&listing);
    assert!(
        listing.contains("/site-packages/first_party.py\n")
            && listing.contains("/site-packages/library/data.txt\n")
            && listing.contains("opt/app/bin/alpha-tool\n"),
        "{listing}"
    );
    for _ in 0..2 {
        bazel.succeed("run", &["//:env.link"]);
        let program = "import alpha, elsewhere, first_party; print(first_party.__file__)";
        let found = bazel.run_file("ide/venv/bin/python", &["-c", program]);
        assert_eq!(
            found.trim(),
            bazel.workspace.join("library/source/first_party.py").to_str().unwrap()
        );
    }
    fs::create_dir_all(bazel.workspace.join("ide/other")).unwrap();

    // What an edit reruns.
    let tests = ["--", "//:env", "//:beta_env", "//app:probe_test"];
    bazel.executed("test", &tests);
    assert_eq!(bazel.executed("test", &tests), BTreeMap::new());
    bazel.write("library/source/first_party.py", b"VALUE = 'first party 1'\n# edited\n");
    // One test is one or two such actions: some Bazels make its XML by another one.
    assert_eq!(bazel.executed("test", &tests).into_keys().collect::<Vec<_>>(), ["TestRunner"]);
    bazel.write(
        "wheels/alpha/alpha.py",
        b"VALUE = 'alpha 1'\n# edited\ndef main():\n    print(VALUE)\n",
    );
    let counts = bazel.executed("test", &tests);
    assert_eq!(
        (counts.get("PyWheel"), counts.get("PyVenv"), counts.contains_key("TestRunner")),
        (Some(&1), Some(&1), true),
        "{counts:?}"
    );

    if version != Version::SevenModules {
        measures_coverage(&bazel);
    }

    // Filters, fail-fast, and what Bazel says of a failed test.
    let filtered = bazel.succeed(
        "test",
        &["//app:sharded_test", "--test_filter=TestClass.test_method", "--test_output=all"],
    );
    assert!(filtered.contains("1 passed") && !filtered.contains("2 passed"), "{filtered}");
    bazel.write(
        "app/test_sharded.py",
        b"def test_one():\n    assert 1 == 2\n\ndef test_two():\n    assert 1 == 1\n",
    );
    let failed = bazel.bazel("test", &["//app:sharded_test", "--test_output=errors"]);
    assert_eq!(failed.status.code(), Some(3), "{}", said(&failed));
    assert!(said(&failed).contains("assert 1 == 2"), "{}", said(&failed));
    let xml = bazel.read("bazel-testlogs/app/sharded_test/shard_1_of_2/test.xml");
    assert!(
        xml.contains("<testcase") && xml.contains("test_one") && xml.contains("assert 1 == 2"),
        "{xml}"
    );

    configurations_choose(&bazel);
    errors_are_readable(&bazel);
}

/// Only of instrumented sources, under the names that they have in the workspace.
fn measures_coverage(bazel: &Bazel) {
    bazel.succeed(
        "coverage",
        &["//app:sharded_test", "--instrumentation_filter=//library", "--combined_report=none"],
    );
    let report = bazel.read("bazel-testlogs/app/sharded_test/shard_1_of_2/coverage.dat");
    let sources: Vec<&str> = report.lines().filter_map(|line| line.strip_prefix("SF:")).collect();
    assert_eq!(sources, ["library/source/first_party.py"], "{report}");
    assert!(report.contains("\nDA:"), "{report}");
}

/// `select()` and `target_compatible_with`.
fn configurations_choose(bazel: &Bazel) {
    for (flag, platform, wheels) in [("for=here", "x86_64", 2), ("for=arm", "aarch64", 1)] {
        bazel.succeed("build", &["--define", flag, "//:chosen_env"]);
        let spec: Value =
            serde_json::from_str(&bazel.read("bazel-bin/chosen_env.spec.json")).unwrap();
        assert_eq!(spec["interpreter"]["platform"]["arch"], platform);
        assert_eq!(spec["wheels"].as_array().unwrap().len(), wheels);
    }
    let refused = said(&bazel.bazel("build", &["//:incompatible_env"]));
    assert!(refused.contains("incompatible"), "{refused}");
}

/// Targets that cannot be built, which Bazel's and Buck2's projects have, and parts of the reasons.
pub(super) const REFUSED: [(&str, &[&str]); 6] = [
    (
        "//bad:conflict",
        &["error: ", "clash.py", "one-1-py3-none-any.whl", "two-1-py3-none-any.whl", "hint"],
    ),
    ("//bad:platform", &["error: ", "windows_only-1-cp311-cp311-win_amd64.whl"]),
    ("//bad:corrupt", &["error: ", "corrupt-1-py3-none-any.whl", "corrupt.py"]),
    (
        "//bad:no_version",
        &["//bad:no_version: the version of the interpreter is unknown", "add `version = "],
    ),
    (
        "//bad:no_platform",
        &["//bad:no_platform: the platform of the interpreter is unknown", "add `platform = "],
    ),
    (
        "//bad:too_old",
        &["//bad:too_old: `version` is `3.9.2`; the rules need CPython 3.11 or newer"],
    ),
];

/// A build system could not build a target, and said why.
pub(super) fn check_refused(target: &str, output: &Output, parts: &[&str]) {
    let text = said(output);
    assert!(!output.status.success(), "{target}: {text}");
    for part in parts {
        assert!(text.contains(part), "{target}: expected `{part}` in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn errors_are_readable(bazel: &Bazel) {
    let expect = |target: &str, parts: &[&str]| {
        let output = bazel.bazel("build", &[target]);
        check_refused(&format!("{:?} {target}", bazel.version), &output, parts);
    };
    // An interpreter need not be where an environment is built, but where it is used.
    bazel.succeed("build", &["//:arm_env"]);
    let launcher = bazel.workspace.join("bazel-bin/arm_env.venv/bin/python");
    let output = said(&bazel.program(launcher.to_str().unwrap()).output().unwrap());
    assert!(
        output.contains("no Python interpreter for")
            && output.contains("/opt/of-the-other-platform/bin/python3.12"),
        "{output}"
    );
    for (target, parts) in REFUSED {
        expect(target, parts);
    }
    let output = said(&bazel.bazel("build", &["@absent//:all"]));
    assert!(output.contains("pip could not download the wheels of @"), "{output}");
    assert_eq!(output.matches("No matching distribution found for absent").count(), 1, "{output}");
    expect(
        "//bad:no_patch_version",
        &[
            "//bad:no_patch_version: the version of the interpreter is unknown, because `runtime`",
            "add `version = ",
        ],
    );
    expect(
        "//bad:no_wheel",
        &["//bad:no_wheel: `wheels` has //bad:nothing, which yields no .whl file"],
    );
    expect(
        "//bad:no_library",
        &["//bad:no_library: `deps` has //bad:nothing, which is no Python library"],
    );
    expect(
        "//bad:no_interpreter",
        &["//bad:no_interpreter: there is no interpreter; add `interpreter = "],
    );
}

with_bazel!(builds_runs_and_tests {
    bazel_4_builds_runs_and_tests: Four,
    bazel_7_builds_runs_and_tests: Seven,
    bazel_7_with_modules_builds_runs_and_tests: SevenModules,
});

#[test]
fn the_examples_work() {
    let _alone = alone();
    for version in [Version::Four, Version::SevenModules] {
        let bazel = Bazel::with_copy(version, "example", "examples/requirements");
        if version == Version::SevenModules {
            bazel.succeed("test", &[AS_NEWER, &["//...", "--test_output=errors"]].concat());
            // A library of rules_python's, with a provider of its own.
            let library = bazel.read("greeting/BUILD.bazel");
            let library =
                library.replace("@venvtree//rules:py.bzl", "@rules_python//python:py_library.bzl");
            bazel.write("greeting/BUILD.bazel", library.as_bytes());
        }
        bazel.succeed("test", &["//...", "--test_output=errors"]);
        assert!(
            bazel.succeed("run", &["//app", "--", "Grace"]).contains("Hello, Grace! (requests 2.")
        );
        bazel.succeed("run", &["//:env.link"]);
        let program = "import greeting, requests; print(greeting.__file__)";
        let found = bazel.run_file(".venv/bin/python", &["-c", program]);
        assert_eq!(found.trim(), bazel.workspace.join("greeting/greeting.py").to_str().unwrap());
    }
}

#[test]
fn the_rules_own_tests_pass() {
    let _alone = alone();
    for version in [Version::Four, Version::SevenModules] {
        Bazel::here(version).succeed("test", &["//...", "--test_output=errors"]);
    }
}

/// A server that ends with the test.
pub(super) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(mut command: Command, port: u16) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server's program");
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the server ended: {command:?}");
            assert!(Instant::now() < deadline, "the server does not listen: {command:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        Self(child)
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn buildgrid_program(name: &str) -> PathBuf {
    let program = checkout().join(".cache/buildgrid/bin").join(name);
    assert!(program.exists(), "{} is missing: run .ci/install", program.display());
    program
}

pub(super) fn fresh(name: &str) -> PathBuf {
    let directory = work().join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

pub(super) fn buildgrid() -> (Server, String) {
    let (port, directory) = (free_port(), fresh("buildgrid"));
    let configuration = fs::read_to_string(kit("buildgrid.yml")).unwrap();
    let file = directory.join("configuration.yml");
    fs::write(
        &file,
        configuration
            .replace("@PORT@", &port.to_string())
            .replace("@DIR@", directory.join("data").to_str().unwrap()),
    )
    .unwrap();
    let mut command = Command::new(buildgrid_program("bgd"));
    command.args(["server", "start"]).arg(&file);
    (Server::start(command, port), format!("grpc://127.0.0.1:{port}"))
}

pub(super) fn http_cache() -> (Server, String) {
    let (port, directory) = (free_port(), fresh("http-cache"));
    let mut command = Command::new("python3");
    command.arg(kit("http_cache.py")).arg(port.to_string()).arg(&directory);
    (Server::start(command, port), format!("http://127.0.0.1:{port}"))
}

/// One machine fills the cache, another one, cold and different in everything, executes no
/// `PyVenv`, and can use what it got.
fn shares(version: Version, address: &str) {
    let cache = format!("--remote_cache={address}");
    let targets = ["//:env", "//:beta_env", "//:alpha", "//app:probe"];
    let first = Bazel::new(version, "a");
    first.succeed("clean", &[]);
    let filled = first.executed("build", &[&[cache.as_str()], &targets[..]].concat());
    assert_eq!(filled.get("PyVenv"), Some(&2), "{filled:?}");
    drop(first);

    let second = Bazel::new(version, "another-machine");
    for outputs in ["all", "toplevel", "minimal"] {
        second.succeed("clean", &[]);
        // The short flags bring along what Bazel 4 wants besides; its default is all.
        let download = if outputs == "all" && version == Version::Four {
            "--show_result=1".to_owned()
        } else {
            format!("--remote_download_{outputs}")
        };
        let counts =
            second.executed("build", &[&[cache.as_str(), &download], &targets[..]].concat());
        assert_eq!(counts, BTreeMap::new(), "{version:?} {outputs}");
        // As the input of a local test.
        let flags = [
            cache.as_str(),
            &download,
            "--nocache_test_results",
            "--test_output=errors",
            "//app:probe_test",
        ];
        let counts = second.executed("test", &flags);
        assert_eq!(counts.get("PyVenv"), None, "{version:?} {outputs}");
        if outputs == "all" {
            assert_eq!(second.run_file("bazel-bin/env.venv/bin/alpha-tool", &[]), "alpha 1\n");
            last_json(&second.run_file("bazel-bin/app/probe", &[]));
        }
    }
}

/// What [`shares`] checks, of every version, through a cache that is started for it.
fn all_share<S>(start: fn() -> (S, String)) {
    let _alone = alone();
    let (_server, address) = start();
    for version in [Version::Four, Version::Seven] {
        shares(version, &address);
    }
}

#[test]
fn machines_share_environments_through_grpc() {
    all_share(buildgrid);
}

#[test]
fn machines_share_environments_through_http() {
    all_share(http_cache);
}

/// What executes actions elsewhere, and how Bazel is told of it.
pub(super) fn buildbox(bazel: &Bazel) -> ([Server; 2], String) {
    let (port, proxy_port, directory) = (free_port(), free_port(), fresh("casd"));
    let mut casd = bazel.program("buildbox-casd");
    casd.arg(format!("--bind=127.0.0.1:{port}"))
        .args(["--buildbox-run=/usr/bin/buildbox-run-hosttools", "--jobs=2"])
        .arg(&directory);
    let casd = Server::start(casd, port);
    let mut proxy = Command::new(buildgrid_program("python"));
    proxy
        .arg(kit("old_api.py"))
        .arg(format!("127.0.0.1:{port}"))
        .arg(format!("127.0.0.1:{proxy_port}"));
    let proxy = Server::start(proxy, proxy_port);
    ([casd, proxy], format!("--remote_executor=grpc://127.0.0.1:{proxy_port}"))
}

#[test]
fn environments_are_built_remotely() {
    let _alone = alone();
    let bazel = Bazel::new(Version::Seven, "a");
    let (_servers, executor) = buildbox(&bazel);
    bazel.succeed("clean", &[]);
    let log = bazel.workspace.join("execution.json");
    let log_flag = format!("--execution_log_json_file={}", log.display());
    let flags = [
        executor.as_str(),
        &log_flag,
        "--spawn_strategy=remote",
        "--strategy=PyVenv=remote",
        "--strategy=PyWheel=remote",
        "//:env",
        "//:beta_env",
    ];
    bazel.succeed("build", &flags);
    let spawns: Vec<Value> = serde_json::Deserializer::from_slice(&fs::read(&log).unwrap())
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let runners: Vec<&str> = spawns
        .iter()
        .filter(|spawn| spawn["mnemonic"] == "PyVenv")
        .filter_map(|spawn| spawn["runner"].as_str())
        .collect();
    assert_eq!(runners, ["remote", "remote"], "{spawns:#?}");
    assert_eq!(bazel.run_file("bazel-bin/env.venv/bin/alpha-tool", &[]), "alpha 1\n");
}

#[test]
fn an_environment_is_uploaded_once_for_all_that_is_executed_remotely() {
    let _alone = alone();
    let bazel = Bazel::new(Version::Seven, "a");
    let (_servers, executor) = buildbox(&bazel);
    let action = |name: &str| {
        format!(
            "genrule(name = \"{name}\", outs = [\"{name}.txt\"], srcs = [\"//:env\"], \
             cmd = \"cat $(location //:env)/pyvenv.cfg > $@; echo {name} >> $@\")\n"
        )
    };
    fs::create_dir_all(bazel.workspace.join("remote")).unwrap();
    bazel.write("remote/BUILD.bazel", (action("one") + &action("two")).as_bytes());
    bazel.succeed("clean", &[]);
    bazel.succeed("build", &["//:env"]);
    let files = walk(&bazel.workspace.join("bazel-bin/env.venv"));
    let uploads = ["one", "two"].map(|name| {
        let log = bazel.workspace.join(format!("{name}.grpc"));
        let log_flag = format!("--remote_grpc_log={}", log.display());
        let target = format!("//remote:{name}");
        let flags = [executor.as_str(), &log_flag, "--strategy=Genrule=remote", &target];
        let counts = bazel.executed("build", &flags);
        assert_eq!(counts.get("Genrule"), Some(&1), "{counts:?}");
        uploaded(&fs::read(&log).unwrap())
    });
    // The second action: its message and its command; what it prints comes from elsewhere.
    assert!(uploads[0] > files / 2 && uploads[1] <= 3, "{files} files: {uploads:?}");
}

/// How many files are below a directory.
fn walk(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

/// How many blobs a log of Bazel's requests says were uploaded: each is a stream of its own.
fn uploaded(log: &[u8]) -> usize {
    let method = b"google.bytestream.ByteStream/Write";
    log.windows(method.len()).filter(|window| window == method).count()
}

#[test]
fn configurations_share_one_action_under_path_mapping() {
    let _alone = alone();
    let bazel = Bazel::new(Version::Seven, "a");
    bazel.succeed("clean", &[]);
    let disk = format!("--disk_cache={}", fresh("disk-cache").display());
    let mut counts = Vec::new();
    for mode in ["fastbuild", "opt", "dbg"] {
        // With Bazel's own choice of a strategy.
        let flags = ["--experimental_output_paths=strip", &disk, "-c", mode, "//:env"];
        counts.push(bazel.executed("build", &flags).get("PyVenv").copied());
        if mode != "fastbuild" {
            // Who takes a result from a cache writes no parameters.
            continue;
        }
        let parameters = bazel.read("bazel-bin/env.venv-0.params");
        assert!(
            parameters.contains("bazel-out/cfg/bin/alpha-1.0-py3-none-any.whl"),
            "{parameters}"
        );
        assert!(!parameters.contains("k8-") && !parameters.contains(mode), "{parameters}");
        let spec = bazel.read("bazel-bin/env.spec.json");
        assert!(spec.is_ascii() && !spec.contains("bazel-out"), "{spec}");
    }
    assert_eq!(counts, [Some(1), None, None]);
}

#[test]
fn workers_and_single_runs_make_the_same_environment() {
    let _alone = alone();
    let bazel = Bazel::new(Version::Seven, "a");
    let mut made = Vec::new();
    // Alone, several requests to one process, and several in a sandbox each.
    for (strategy, flags) in [
        ("sandboxed", &[][..]),
        ("worker", &["--noexperimental_worker_multiplex", "--worker_sandboxing"]),
        (
            "worker",
            &["--experimental_worker_multiplex_sandboxing", "--experimental_worker_cancellation"],
        ),
    ] {
        made.push(built_by(&bazel, strategy, flags));
    }
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0], made[2]);
    // An error comes back in the response.
    let output = bazel.bazel("build", &["--strategy=PyVenv=worker", "//bad:conflict"]);
    assert!(said(&output).contains("clash.py"), "{}", said(&output));
}

/// Builds one environment again by a strategy, and reads what was made.
fn built_by(bazel: &Bazel, strategy: &str, flags: &[&str]) -> (String, String, String) {
    bazel.succeed("clean", &[]);
    let flag = format!("--strategy=PyVenv={strategy}");
    let output = bazel.succeed(
        "build",
        &[&[flag.as_str(), "--strategy=PyWheel=local", "//:env"], flags].concat(),
    );
    assert_eq!(output.contains("1 worker"), strategy == "worker", "{output}");
    let scanned = Command::new(tool())
        .arg("digest")
        .arg(bazel.workspace.join("bazel-bin/env.venv"))
        .output()
        .unwrap();
    (bazel.read("bazel-bin/env.digest"), bazel.read("bazel-bin/env.manifest.json"), said(&scanned))
}

#[test]
fn workers_speak_json() {
    let _alone = alone();
    for version in [Version::Four, Version::Seven] {
        let bazel = Bazel::new(version, "a");
        let workspace = bazel
            .read("WORKSPACE")
            .replace("venvtree_repositories(", "venvtree_repositories(worker = \"json\", ");
        bazel.write("WORKSPACE", workspace.as_bytes());
        let once = built_by(&bazel, "local", &[]);
        // Bazel 4 asks for the flags, and sends requests that no line feed ends.
        let flags: &[&str] = match version {
            Version::Four => {
                &["--experimental_worker_allow_json_protocol", "--experimental_worker_multiplex"]
            }
            _ => &[],
        };
        assert_eq!(built_by(&bazel, "worker", flags), once);
    }
}

/// A file of the checkout is what the rules' own program prints of their code.
pub(super) fn check_made_by_reference(file: &str, of: &[&str]) {
    let mut reference = Command::new("python3");
    let printed = succeed(reference.arg(checkout().join("rules/reference.py")).args(of));
    let found = fs::read_to_string(checkout().join(file)).unwrap();
    let command = format!("python3 rules/reference.py {} >{file}", of.join(" "));
    assert!(found == printed, "{file} is old: run `{command}`");
}

#[test]
fn the_reference_is_that_of_the_code() {
    check_made_by_reference("docs/rules.md", &[]);
}

#[test]
fn buildifier_finds_nothing() {
    let buildifier =
        checkout().join(".cache/npm/node_modules/@bazel/buildifier/buildifier-linux_amd64");
    assert!(buildifier.exists(), "{} is missing: run .ci/install", buildifier.display());
    let places = ["rules", "examples", "tests/bazel", "WORKSPACE", "MODULE.bazel", "BUILD.bazel"];
    let output = Command::new(&buildifier)
        .args(["-mode=check", "-lint=warn", "-r"])
        .args(places)
        .current_dir(checkout())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // Files called BUCK it must be told of.
    let mut files = Vec::new();
    let mut directories: Vec<PathBuf> =
        ["rules", "examples", "tests/buck2"].map(|place| checkout().join(place)).into();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else if entry.file_name() == "BUCK" {
                files.push(entry.path());
            }
        }
    }
    assert!(files.len() > 5, "{files:?}");
    let output = Command::new(&buildifier)
        .args(["-mode=check", "-lint=warn", "-type=build"])
        .args(files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}
