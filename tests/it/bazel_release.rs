//! Released programs with real Bazels: downloaded by digest, for where actions run, from a mirror,
//! and by who has nothing but a `bazel_dep`.
#![cfg(feature = "remote")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::bazel::{Bazel, Version, alone, checkout, kit, registry, tool, with_bazel, work};
use crate::support::commands::said;
use crate::support::http_cache::HttpCache;
use crate::windows_scripts::launcher_bytes;

const X86: &str = "x86_64-unknown-linux-musl";
const ARM: &str = "aarch64-unknown-linux-gnu";

/// The archive of a program for a target, as `tools/dist` lays it out.
fn archive(target: &str, program: &Path) -> PathBuf {
    let name = format!("venvtree-0.1.0-{target}");
    let folder = fresh("archives").join(&name);
    install(program, &folder);
    let path = folder.parent().unwrap().join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&path).arg("-C").arg(folder.parent().unwrap()).arg(&name);
    assert!(tar.status().expect("tar").success());
    path
}

/// Lays a program out with what lies beside it.
fn install(program: &Path, prefix: &Path) {
    fs::create_dir_all(prefix.join("bin")).unwrap();
    fs::copy(program, prefix.join("bin/venvtree")).unwrap();
    let launchers = prefix.join("share/venvtree/launchers");
    fs::create_dir_all(&launchers).unwrap();
    for name in ["t64.exe", "w64.exe", "t64-arm.exe", "w64-arm.exe"] {
        fs::write(launchers.join(name), launcher_bytes(name)).unwrap();
    }
}

fn fresh(name: &str) -> PathBuf {
    let folder = work().join("releases").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn sha256(file: &Path) -> String {
    let digest = Sha256::digest(fs::read(file).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server that has the programs of a release, and their digests by target.
struct Release {
    server: HttpCache,
    sha256: BTreeMap<&'static str, String>,
}

impl Release {
    /// For this machine the real program; for others something that none of them would start.
    fn new() -> Self {
        Self::of(tool())
    }

    fn of(program: &Path) -> Self {
        let server = HttpCache::start();
        let mut digests = BTreeMap::new();
        for (target, program) in [(X86, program), (ARM, Path::new("/bin/true"))] {
            let archive = archive(target, program);
            let name = archive.file_name().unwrap().to_str().unwrap();
            let mut entries = server.entries.lock().unwrap();
            for folder in ["origin", "mirror"] {
                entries.insert(format!("/{folder}/{name}"), fs::read(&archive).unwrap());
            }
            digests.insert(target, sha256(&archive));
        }
        Self { server, sha256: digests }
    }

    fn base(&self, folder: &str) -> String {
        format!("http://{}/{folder}", self.server.authority())
    }

    /// What was asked for, and is forgotten now. Two repositories that want one file at the same
    /// time may both ask.
    fn asked(&self) -> Vec<String> {
        let requests = std::mem::take(&mut *self.server.requests.lock().unwrap());
        let paths: BTreeSet<String> = requests.into_iter().map(|request| request.path).collect();
        paths.into_iter().collect()
    }
}

/// A consumer that says itself which release it takes.
struct Consumer {
    bazel: Bazel,
    cache: PathBuf,
}

impl Consumer {
    fn new(version: Version, release: &Release) -> Self {
        Self::named("release", version, release)
    }

    fn named(name: &str, version: Version, release: &Release) -> Self {
        let bazel = Bazel::with_copy(version, name, "tests/bazel/release");
        let digests = format!("{:?}", release.sha256);
        let base = release.base("origin");
        let (file, text) = if version == Version::SevenModules {
            let text = format!(
                "venvtree.release(version = \"0.1.0\", base = \"{base}\", sha256 = {digests})"
            );
            ("MODULE.bazel", text)
        } else {
            let text = format!(
                "release = {{\"version\": \"0.1.0\", \"base\": \"{base}\", \"sha256\": {digests}}},"
            );
            ("WORKSPACE", text)
        };
        bazel.write(file, bazel.read(file).replace("# RELEASE", &text).as_bytes());
        Self { bazel, cache: fresh(&format!("repository-cache-of-{name}")) }
    }

    /// Flags: no program is given, and nothing is on PATH but what repositories ask of the system.
    fn run(&self, command: &str, arguments: &[&str]) -> (bool, String) {
        let cache = format!("--repository_cache={}", self.cache.display());
        let flags = ["--repo_env=VENVTREE_BIN=", "--repo_env=PATH=/nowhere", &cache];
        let output = self.bazel.bazel(command, &[&flags, arguments].concat());
        (output.status.success(), said(&output))
    }

    #[track_caller]
    fn succeed(&self, command: &str, arguments: &[&str]) -> String {
        let (success, said) = self.run(command, arguments);
        assert!(success, "bazel {command} {arguments:?}:\n{said}");
        said
    }
}

fn downloads_what_runs_here(consumer: &Consumer, release: &Release) {
    consumer.succeed("test", &["//:greeting_test", "--test_output=errors"]);
    assert_eq!(release.asked(), [format!("/origin/venvtree-0.1.0-{X86}.tar.gz")]);
    let actions = consumer.succeed("aquery", &["mnemonic(PyVenv, //:env)"]);
    assert!(actions.contains("venvtree_release_x86_64_unknown_linux_musl/venvtree"), "{actions}");
}

/// The tool is the one for the platform that actions run on, and not this machine's.
fn takes_the_program_of_the_execution_platform(consumer: &Consumer, release: &Release) {
    let actions = consumer
        .succeed("aquery", &["mnemonic(PyVenv, //:env)", "--extra_execution_platforms=//:arm64"]);
    assert!(actions.contains("venvtree_release_aarch64_unknown_linux_gnu/venvtree"), "{actions}");
    assert_eq!(release.asked(), [format!("/origin/venvtree-0.1.0-{ARM}.tar.gz")]);
}

fn a_mirror_replaces_the_address(consumer: &Consumer, release: &Release) {
    // As on another machine: nothing is there yet.
    let mirror = format!("--repo_env=VENVTREE_RELEASE_BASE={}", release.base("mirror"));
    let cache = format!("--repository_cache={}", fresh("another-cache").display());
    consumer.succeed("build", &["//:env", &mirror, &cache]);
    assert_eq!(release.asked(), [format!("/mirror/venvtree-0.1.0-{X86}.tar.gz")]);
}

fn a_given_program_comes_first(consumer: &Consumer, release: &Release) {
    let given = format!("--repo_env=VENVTREE_BIN={}", tool().display());
    consumer.succeed("build", &["//:env", &given]);
    let actions = consumer.succeed("aquery", &["mnemonic(PyVenv, //:env)", &given]);
    assert!(actions.contains("venvtree_tool/venvtree"), "{actions}");
    assert_eq!(release.asked(), Vec::<String>::new());
}

/// A release brings the launchers of environments for Windows, and so does an installed program.
fn environments_for_windows_have_launchers(consumer: &Consumer) {
    let targets = ["//:windows", "//:windows_archive"];
    consumer.succeed("build", &targets);
    let manifest = consumer.bazel.read("bazel-bin/windows.manifest.json");
    for name in ["greet.exe", "python.exe", "pythonw.exe"] {
        assert!(manifest.contains(&format!("\"Scripts/{name}\"")), "{manifest}");
    }
    let digest = consumer.bazel.read("bazel-bin/windows.digest");
    let (success, said) = consumer.run("run", &["//:windows"]);
    assert!(!success && said.contains("one for Windows starts there only"), "{said}");

    let given = format!("--repo_env=VENVTREE_BIN={}", tool().display());
    let (success, said) = consumer.run("build", &["//:windows", &given]);
    let hint = "needs the launcher `t64.exe`, and there is none; give it as `launchers` of the";
    assert!(!success && said.contains(hint), "{said}");

    let installed = fresh("installed");
    install(tool(), &installed);
    let given = format!("--repo_env=VENVTREE_BIN={}/bin/venvtree", installed.display());
    consumer.succeed("build", &["//:windows", &given]);
    assert_eq!(consumer.bazel.read("bazel-bin/windows.digest"), digest);
}

fn refuses_another_program(consumer: &Consumer, release: &Release) {
    for file in ["MODULE.bazel", "WORKSPACE"] {
        let text = consumer.bazel.read(file);
        let wrong = text.replace(&release.sha256[X86], &release.sha256[ARM]);
        consumer.bazel.write(file, wrong.as_bytes());
    }
    let cache = format!("--repository_cache={}", fresh("wrong-cache").display());
    let (success, said) = consumer.run("build", &["//:env", &cache]);
    assert!(!success && said.contains("Checksum was") && said.contains(X86), "{said}");
}

fn releases(version: Version) {
    let _alone = alone();
    let release = Release::new();
    let consumer = Consumer::new(version, &release);
    consumer.bazel.succeed("clean", &["--expunge"]);
    downloads_what_runs_here(&consumer, &release);
    takes_the_program_of_the_execution_platform(&consumer, &release);
    a_mirror_replaces_the_address(&consumer, &release);
    a_given_program_comes_first(&consumer, &release);
    environments_for_windows_have_launchers(&consumer);
    refuses_another_program(&consumer, &release);
}

with_bazel!(releases {
    bazel_4_downloads_released_programs: Four,
    bazel_7_downloads_released_programs: SevenModules,
});

/// The archive of the rules that a release has, in a registry: nothing but `bazel_dep` is said.
#[test]
fn a_module_of_a_registry_brings_its_programs() {
    let _alone = alone();
    let files = fresh("dist");
    let program = archive(X86, tool());
    fs::copy(&program, files.join(program.file_name().unwrap())).unwrap();
    let line = format!("{}  venvtree-0.1.0-{X86}.tar.gz\n", sha256(&program));
    fs::write(files.join("SHA256SUMS"), line).unwrap();
    let base = format!("--base=file://{}", files.display());
    let made = Command::new(checkout().join("tools/rules-archive")).arg(&files).arg(base).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", said(&made));

    let module = registry().join("modules/venvtree/0.1.0");
    fs::create_dir_all(&module).unwrap();
    fs::copy(checkout().join("MODULE.bazel"), module.join("MODULE.bazel")).unwrap();
    let rules = files.join("venvtree-0.1.0-rules.tar.gz");
    let integrity = Command::new("sh")
        .args(["-c", "openssl dgst -sha256 -binary \"$1\" | base64 -w0", "sh"])
        .arg(&rules)
        .output()
        .expect("openssl");
    let source = format!(
        r#"{{"url": "file://{}", "strip_prefix": "venvtree-0.1.0", "integrity": "sha256-{}"}}"#,
        rules.display(),
        String::from_utf8(integrity.stdout).unwrap(),
    );
    fs::write(module.join("source.json"), source).unwrap();

    let mut bazel = Bazel::with_copy(Version::SevenModules, "release", "tests/bazel/release");
    bazel.rules_from_registry = true;
    let consumer = Consumer { bazel, cache: fresh("registry-cache") };
    consumer.succeed("test", &["//:greeting_test", "--test_output=errors"]);
    let actions = consumer.succeed("aquery", &["mnemonic(PyVenv, //:env)"]);
    assert!(actions.contains("venvtree_release_x86_64_unknown_linux_musl/venvtree"), "{actions}");
    fs::remove_dir_all(module).unwrap();
}

/// Environments for interpreters that no machine needs to have.
const ELSEWHERE: &str = r#"
venvtree_interpreter(name = "linux_python", path = "/usr/bin/python3.11", platform = "linux-x86_64", version = "3.11.2")
py_venv(name = "linux", interpreter = ":linux_python", wheels = [":greeting"])
"#;

/// What a machine without any outputs executes of two environments and an archive.
fn executed(consumer: &Consumer, cache: &str) -> BTreeMap<String, usize> {
    let text = consumer.bazel.read("BUILD.bazel");
    consumer.bazel.write("BUILD.bazel", format!("{text}{ELSEWHERE}").as_bytes());
    consumer.bazel.succeed("clean", &[]);
    let repositories = format!("--repository_cache={}", consumer.cache.display());
    let flags = ["--repo_env=VENVTREE_BIN=", "--repo_env=PATH=/nowhere", &repositories, cache];
    let targets = ["//:linux", "//:windows", "//:windows_archive"];
    consumer.bazel.executed("build", &[&flags[..], &targets].concat())
}

/// `2.36`.
fn glibc_of(consumer: &Consumer) -> String {
    let output = consumer.bazel.program("ldd").arg("--version").output().unwrap();
    let text = said(&output);
    text.lines().next().and_then(|line| line.split(' ').next_back()).unwrap_or_default().to_owned()
}

/// With the program that is released, what one machine made is made for all, whatever their
/// systems are.
#[test]
#[ignore = "makes two roots of another Debian, and builds a release"]
fn machines_with_other_c_libraries_share_environments() {
    let _alone = alone();
    let release = Release::of(&crate::targets::program(X86));
    for (version, number) in [(Version::Four, "4"), (Version::SevenModules, "7")] {
        let system = PathBuf::from(format!("/opt/bazel{number}-other-libc"));
        let made = Command::new(kit("setup-other-libc")).arg(number).arg(&system).status();
        assert!(made.unwrap().success());
        let cache = format!("--disk_cache={}", fresh("shared-by-systems").display());

        let first = Consumer::named("release", version, &release);
        let counts = executed(&first, &cache);
        assert_eq!(counts.get("PyVenv"), Some(&2), "{counts:?}");
        first.bazel.succeed("shutdown", &[]);

        let mut second = Consumer::named("release-elsewhere", version, &release);
        second.bazel.system = Some(system);
        assert_ne!(glibc_of(&first), glibc_of(&second));
        assert_eq!(executed(&second, &cache), BTreeMap::new(), "{version:?}");
        second.bazel.succeed("shutdown", &[]);
    }
}
