//! Shared environments with real Bazels: found from a sandbox, made where they are missing, and the
//! same to every cache.
//!
//! Debian's Bazel 4 has the sandbox of Linux, which shows the machine read-only; the Bazel 7 of the
//! tests has the one that only links files, unless it runs in a root of its own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bazel::{Bazel, Version, alone, buildbox, fresh, http_cache, tool, with_bazel};
use crate::support::commands::said;

/// Where environments are: no temporary directory, to which a sandboxed test may write.
fn place(version: Version) -> PathBuf {
    let name = if version == Version::Four { "shared4" } else { "shared7" };
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn remove(place: &Path) {
    if place.is_dir() {
        let mode = ["-R", "u+w"];
        std::process::Command::new("chmod").args(mode).arg(place).status().unwrap();
        fs::remove_dir_all(place).unwrap();
    } else if place.exists() {
        fs::remove_file(place).unwrap();
    }
}

const TESTS: [&str; 4] =
    ["//app:probe_test", "//app:inbuild_test", "//app:sharded_test", "//app:nested_test"];

const SHARED: &str = r#"
load("@venvtree//rules:defs.bzl", "py_venv_binary", "py_venv_test")

[rule(
    name = "shared_" + name,
    srcs = ["shared_test.py"],
    environments = "shared",
    venv = "//:env",
) for name, rule in {"program": py_venv_binary, "test": py_venv_test}.items()]
"#;

/// Wheels from two sources, and a script that no wheel has.
const WRONG: &str = r#"
load("@venvtree//rules:defs.bzl", "py_venv", "py_venv_binary")

genrule(
    name = "copy",
    srcs = ["//:beta"],
    outs = ["beta_package-2.0-py3-none-any.whl"],
    cmd = "COPY",
)

py_venv(name = "twice", wheels = ["//:beta", ":copy"])

py_venv_binary(name = "script", script = "NAME", venv = "//:env")
"#;

/// Says where it is, and whether it may write there.
const PROGRAM: &str = r#"
import os, sys
import alpha, beta_package
try:
    open(os.path.join(sys.prefix, "written"), "w").close()
    refused = None
except OSError as error:
    refused = error.errno
print("prefix", sys.prefix, "refused", refused, file=sys.stderr)
"#;

/// A Bazel, and the flags that say where environments are.
struct Sharing {
    bazel: Bazel,
    flags: Vec<String>,
    place: PathBuf,
}

impl Sharing {
    fn new(version: Version, name: &str) -> Self {
        let bazel = Bazel::new(version, name);
        fs::create_dir_all(bazel.workspace.join("shared")).unwrap();
        bazel.write("shared/BUILD.bazel", SHARED.as_bytes());
        bazel.write("shared/shared_test.py", PROGRAM.as_bytes());
        let place = place(version);
        let store = fresh("shared-store");
        let flags = vec![
            format!("--action_env=VENVTREE_ENVIRONMENTS={}", place.display()),
            format!("--test_env=VENVTREE_ENVIRONMENTS={}", place.display()),
            format!("--action_env=VENVTREE_STORE={}", store.display()),
            "--test_output=all".to_owned(),
        ];
        Self { bazel, flags, place }
    }

    fn flags<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.flags.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    fn test(&self, more: &[&str]) -> String {
        self.bazel.succeed("test", &self.flags(more))
    }

    /// The environments that are there.
    fn made(&self) -> usize {
        let listing = self.place.read_dir().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
        listing.into_iter().filter(|entry| entry.as_ref().unwrap().file_name().len() == 64).count()
    }
}

/// The inputs of a test that are not its own and not Bazel's.
fn inputs_of_environment(bazel: &Bazel, target: &str) -> Vec<String> {
    let log = fs::read(bazel.workspace.join("execution.json")).unwrap();
    let spawns =
        serde_json::Deserializer::from_slice(&log).into_iter::<Value>().map(Result::unwrap);
    let tests = spawns.filter(|spawn| {
        let runs = spawn["commandArgs"].as_array().is_some_and(|line| {
            line.iter().any(|word| word.as_str().is_some_and(|word| word.ends_with(target)))
        });
        spawn["mnemonic"] == "TestRunner" && runs
    });
    // Another one makes its report.
    let inputs = |spawn: &Value| spawn["inputs"].as_array().map_or(0, Vec::len);
    let test = tests.max_by_key(inputs).expect("the test was executed");
    let paths =
        test["inputs"].as_array().unwrap().iter().map(|input| input["path"].as_str().unwrap());
    let other = |path: &&str| !path.contains("bazel_tools") && !path.ends_with("/_repo_mapping");
    let own = ["shared_test", "shared_test.py", "data.txt", "elsewhere.py", "first_party.py"];
    let names = paths.filter(other).filter_map(|path| path.rsplit('/').next());
    // Some Bazels say where a file is, others what it is called where the test sees it.
    let called = |name| match name {
        "env.shared" => "digest".to_owned(),
        "env.spec.json" => "spec.json".to_owned(),
        name => name.to_owned(),
    };
    let mut names: Vec<String> = names.filter(|name| !own.contains(name)).map(called).collect();
    names.sort();
    names
}

fn shares_environments(version: Version) {
    let _alone = alone();
    let sharing = Sharing::new(version, "a");
    let Sharing { bazel, place, .. } = &sharing;
    remove(place);
    bazel.succeed("clean", &[]);

    // Whole programs and tests, of the system's interpreter and of one that is part of the build.
    let all = "--@venvtree//rules:environments=shared";
    let counts = bazel.executed("test", &sharing.flags(&[&[all][..], &TESTS].concat()));
    assert_eq!(
        (counts.get("PyVenvDigest"), counts.get("PyVenvShare"), counts.get("PyVenv")),
        (Some(&4), Some(&4), None),
        "{counts:?}"
    );
    assert_eq!(sharing.made(), 4);
    let counts = bazel.executed("test", &sharing.flags(&[&[all][..], &TESTS].concat()));
    assert!(counts.is_empty(), "{counts:?}");

    // One test: what it has of the environment, and that it may not write there.
    bazel.executed("test", &sharing.flags(&["//shared:shared_test"]));
    assert_eq!(
        inputs_of_environment(bazel, "shared/shared_test"),
        [
            "alpha-1.0-py3-none-any.whl",
            "beta_package-2.0-py3-none-any.whl",
            "digest",
            "run_test.py",
            "sitecustomize.py",
            "spec.json",
            "venvtree"
        ]
    );
    let log = bazel.read("bazel-testlogs/shared/shared_test/test.log");
    let prefix = format!("prefix {}/", place.display());
    assert!(log.contains(&prefix), "{log}");
    if version == Version::Four {
        assert!(log.contains("refused 30"), "{log}");
    }
    let under = format!("--run_under=env VENVTREE_ENVIRONMENTS={}", place.display());
    let said = bazel.succeed("run", &sharing.flags(&[&under, "//shared:shared_program"]));
    assert!(said.contains(&prefix), "{said}");

    // The place is gone, and what Bazel knows of it is old: tests make their own, or it again.
    remove(place);
    let again = ["--nocache_test_results", "//shared:shared_test"];
    let said = sharing.test(&again);
    let warning = "warning: the environment is made for this process alone: cannot create";
    match version {
        Version::Four => assert_eq!(said.matches(warning).count(), 1, "{said}"),
        _ => assert_eq!((sharing.made(), said.matches(warning).count()), (1, 0), "{said}"),
    }
    // It cannot be made anywhere: the build goes on, and says so.
    remove(place);
    fs::write(place, "").unwrap();
    bazel.succeed("clean", &[]);
    let said = sharing.test(&again);
    assert!(said.contains("warning: the environment is not shared: "), "{said}");
    assert!(said.contains("warning: the environment is made for this process alone: "), "{said}");
    remove(place);

    refuses_other_words(&sharing);
    sees_what_only_bytes_show(bazel);
}

fn sees_what_only_bytes_show(bazel: &Bazel) {
    fs::create_dir_all(bazel.workspace.join("wrong")).unwrap();
    let write = |copy: &str, script: &str| {
        let text = WRONG.replace("COPY", copy).replace("NAME", script);
        bazel.write("wrong/BUILD.bazel", text.as_bytes());
    };
    write("cp $< $@", "alpha-tool");
    bazel.succeed("build", &["//wrong:twice", "//wrong:script"]);
    write("(cat $<; echo) >$@", "alpha-tol");
    for (target, message) in [
        ("//wrong:twice", "`beta_package-2.0-py3-none-any.whl` is two files that differ"),
        ("//wrong:script", "the environment has no `bin/alpha-tol`; did you mean `alpha-tool`?"),
    ] {
        // Bazel 4 has to be told.
        let output = bazel.bazel("build", &["--experimental_run_validations", target]);
        let said = said(&output);
        assert!(!output.status.success() && said.contains(message), "{said}");
    }
}

fn refuses_other_words(sharing: &Sharing) {
    let flag = "--@venvtree//rules:environments=tre";
    let output = sharing.bazel.bazel("build", &[flag, "//shared:shared_test"]);
    let said = said(&output);
    let message = "//rules:environments is `tre`; expected `tree` or `shared`";
    assert!(!output.status.success() && said.contains(message), "{said}");
}

#[test]
fn bazel_4_shares_environments() {
    shares_environments(Version::Four);
}

#[test]
fn bazel_7_shares_environments() {
    shares_environments(Version::Seven);
}

/// The entries of a cache on a disk: paths and sizes.
fn entries(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(entries(&entry.path()));
        } else {
            found.push((entry.path(), entry.metadata().unwrap().len()));
        }
    }
    found
}

#[test]
fn a_machine_without_the_environment_has_the_results_of_its_tests() {
    let _alone = alone();
    for version in [Version::Four, Version::Seven] {
        let (_server, address) = http_cache();
        let cache = format!("--remote_cache={address}");
        let first = Sharing::new(version, "a");
        remove(&first.place);
        first.bazel.succeed("clean", &[]);
        first.bazel.succeed("build", &first.flags(&[&cache, "//:alpha", "//:beta"]));
        let directory = fresh_entries();
        let before = entries(&directory);
        let group = "--output_groups=shared";
        first.bazel.succeed("build", &first.flags(&[&cache, group, "//:env"]));
        let mut added = entries(&directory);
        added.retain(|entry| !before.contains(entry));
        let bytes: u64 = added.iter().map(|(_, size)| size).sum();
        // The result and the digest; and what Bazel says of what was asked: the action and its
        // command.
        assert!(added.len() <= 4 && bytes <= 2048, "{added:#?}");
        let is_digest = |(path, _): &&(PathBuf, u64)| {
            fs::read_to_string(path).is_ok_and(|text| {
                text.trim().split_once('/').is_some_and(|(hash, _)| hash.len() == 64)
            })
        };
        let is_result = |(path, _): &&(PathBuf, u64)| path.to_string_lossy().contains("/ac/");
        let kept: Vec<_> =
            added.iter().filter(|entry| is_digest(entry) || is_result(entry)).collect();
        assert!(
            kept.len() == 2 && kept.iter().map(|(_, size)| size).sum::<u64>() <= 1024,
            "{kept:?}"
        );
        first.test(&[&cache, "//shared:shared_test"]);
        drop(first);

        let second = Sharing::new(version, "another-machine");
        second.bazel.succeed("clean", &[]);
        remove(&second.place);
        fs::write(&second.place, "").unwrap();
        let counts =
            second.bazel.executed("test", &second.flags(&[&cache, "//shared:shared_test"]));
        remove(&second.place);
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["PyVenvShare"], "{counts:?}");
    }
}

#[test]
fn environments_stay_out_of_a_remote_cache_where_that_is_wanted() {
    let _alone = alone();
    for version in [Version::Four, Version::Seven] {
        let (_server, address) = http_cache();
        let cache = format!("--remote_cache={address}");
        let never = "--@venvtree//rules:remote_cache=no";
        let bazel = Bazel::new(version, "a");
        for (flags, from_cache) in [(&[never][..], false), (&[], true)] {
            let build = [&[cache.as_str(), "//:beta_env"], flags].concat();
            bazel.succeed("clean", &[]);
            bazel.succeed("build", &build);
            bazel.succeed("clean", &[]);
            let counts = bazel.executed("build", &build);
            let expected = (!from_cache).then_some(&1);
            assert_eq!(
                (counts.get("PyVenv"), counts.get("PyWheel")),
                (expected, None),
                "{counts:?}"
            );
        }
    }
}

/// Where the HTTP cache of the tests keeps what it has.
fn fresh_entries() -> PathBuf {
    super::bazel::work().join("http-cache")
}

/// Waits in the middle for something that happens elsewhere, then imports what it did not before;
/// says where it is, and which modules have their bytecode there.
const PATIENT: &str = r#"
import os, sys, time
import alpha
signs = os.environ.get("SIGNS")
if signs:
    open(os.path.join(signs, "begun"), "w").close()
    deadline = time.monotonic() + 120
    while not os.path.exists(os.path.join(signs, "collected")):
        assert time.monotonic() < deadline, "nothing was collected"
        time.sleep(0.05)
import beta_package
compiled = [os.path.isfile(module.__cached__) for module in (alpha, beta_package)]
print("prefix", sys.prefix, "compiled", compiled, file=sys.stderr)
"#;

/// What a test of a shared environment has printed, once it has passed.
fn log(bazel: &Bazel) -> String {
    bazel.read("bazel-testlogs/shared/shared_test/test.log")
}

/// A workspace of which nothing is built, nor is an environment there, with a test that waits.
fn patient(version: Version) -> Sharing {
    let sharing = Sharing::new(version, "a");
    remove(&sharing.place);
    sharing.bazel.succeed("clean", &[]);
    sharing.bazel.write("shared/shared_test.py", PATIENT.as_bytes());
    sharing
}

/// Garbage is collected while a test runs, by whoever thinks that nobody used the environment for
/// a week.
fn collects_beside_a_running_test(version: Version) {
    let _alone = alone();
    let sharing = patient(version);
    let Sharing { bazel, place, .. } = &sharing;
    bazel.succeed("build", &sharing.flags(&["//shared:shared_test"]));
    let signs = fresh("signs");
    fs::create_dir_all(&signs).unwrap();
    let week = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600);
    let collected = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(300);
            while !signs.join("begun").exists() && std::time::Instant::now() < deadline {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            for stamp in place.join("stamps").read_dir().unwrap() {
                filetime::set_file_mtime(stamp.unwrap().path(), week.into()).unwrap();
            }
            let output = std::process::Command::new(tool())
                .args(["store", "gc", "--format=json", "--environments"])
                .args([place, Path::new("--store"), &fresh("empty-store")])
                .output()
                .unwrap();
            fs::write(signs.join("collected"), "").unwrap();
            said(&output)
        });
        let environment = format!("--test_env=SIGNS={}", signs.display());
        sharing.test(&[&environment, "//shared:shared_test"]);
        collector.join().unwrap()
    });
    let report: Value = serde_json::from_str(collected.trim()).expect(&collected);
    assert_eq!((&report["shared"]["before"], &report["shared"]["removed"]), (&1.into(), &0.into()));
    assert!(log(bazel).contains(&format!("prefix {}/", place.display())), "{}", log(bazel));
    assert_eq!(sharing.made(), 1);
}

with_bazel!(collects_beside_a_running_test {
    bazel_4_collects_beside_a_running_test: Four,
    bazel_7_collects_beside_a_running_test: Seven,
});

fn shares_bytecode(version: Version) {
    let _alone = alone();
    let sharing = patient(version);
    let Sharing { bazel, place, .. } = &sharing;
    let setting = "--@venvtree//rules:bytecode=unchecked";
    let target = "//shared:shared_test";
    let counts = bazel.executed("test", &sharing.flags(&[setting, target]));
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    assert_eq!(["PyBytecode", "PyVenvShare", "PyVenv"].map(count), [2, 1, 0], "{counts:?}");
    let found = format!("prefix {}/", place.display());
    let printed = log(bazel);
    assert!(printed.contains(&found) && printed.contains("compiled [True, True]"), "{printed}");
    // Another environment than that without, and nobody writes bytecode into that.
    sharing.test(&[target]);
    let printed = log(bazel);
    assert!(printed.contains(&found) && printed.contains("compiled [False, False]"), "{printed}");
    assert_eq!(sharing.made(), 2);
}

with_bazel!(shares_bytecode {
    bazel_4_shares_environments_with_bytecode: Four,
    bazel_7_shares_environments_with_bytecode: Seven,
});

#[test]
fn a_test_on_another_machine_makes_the_environment_for_itself() {
    let _alone = alone();
    let sharing = patient(Version::Seven);
    let Sharing { bazel, place, .. } = &sharing;
    let (_servers, executor) = buildbox(bazel);
    // The worker of this test sees this machine's files; another machine would not have these.
    let elsewhere = "--test_env=VENVTREE_ENVIRONMENTS=/proc/nowhere";
    let remote = [executor.as_str(), "--strategy=TestRunner=remote", elsewhere];
    let log_file = bazel.workspace.join("execution.json");
    bazel.executed("test", &sharing.flags(&[&remote[..], &["//shared:shared_test"]].concat()));
    let spawns: Vec<Value> = serde_json::Deserializer::from_slice(&fs::read(log_file).unwrap())
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let runner = |name: &str| {
        spawns.iter().find(|spawn| spawn["mnemonic"] == name).map(|spawn| &spawn["runner"])
    };
    assert_eq!(runner("TestRunner"), Some(&"remote".into()), "{spawns:#?}");
    assert_eq!(runner("PyVenvShare"), Some(&"local".into()), "{spawns:#?}");
    let printed = log(bazel);
    assert_eq!(
        printed.matches("warning: the environment is made for this process alone: ").count(),
        1,
        "{printed}"
    );
    assert!(printed.contains("/venvtree/") && printed.contains("prefix "), "{printed}");
    assert!(!printed.contains(&format!("prefix {}/", place.display())), "{printed}");
}

/// Bazel 7's own sandbox of Linux shows the machine read-only, the hermetic one shows nothing of it.
#[test]
fn bazel_7_shares_environments_with_the_sandbox_of_linux() {
    let _alone = alone();
    let mut sharing = Sharing::new(Version::Seven, "own-root");
    sharing.bazel.has_own_root = true;
    let Sharing { bazel, place, .. } = &sharing;
    remove(place);
    bazel.succeed("clean", &[]);
    let strategy = ["--strategy=TestRunner=linux-sandbox", "//shared:shared_test"];
    let found = format!("prefix {}/", place.display());
    let written = || {
        let environments = place.read_dir().unwrap().map(|entry| entry.unwrap().path());
        environments.filter(|path| path.join("written").exists()).count()
    };
    sharing.test(&strategy);
    let printed = log(bazel);
    assert!(printed.contains(&found) && printed.contains("refused 30"), "{printed}");
    assert_eq!((sharing.made(), written()), (1, 0));

    // There the test makes it for itself, at the same place of another root.
    let hermetic = [
        "--experimental_use_hermetic_linux_sandbox",
        "--sandbox_add_mount_pair=/usr",
        "--sandbox_add_mount_pair=/bin",
        "--sandbox_add_mount_pair=/lib",
        "--sandbox_add_mount_pair=/lib64",
        "--nocache_test_results",
    ];
    sharing.test(&[&hermetic[..], &strategy].concat());
    let printed = log(bazel);
    assert!(printed.contains("refused None"), "{printed}");
    assert_eq!((sharing.made(), written()), (1, 0), "{printed}");
}
