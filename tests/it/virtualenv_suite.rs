//! virtualenv's own tests of activation, with environments of venvtree in the place of
//! virtualenv's.
//!
//! The tests are in virtualenv's source distribution, which pip brings into `.cache/`.
//! `testdata/python/virtualenv_with_venvtree.py` puts our environments under them, and lists what
//! does not apply.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::support::peers::peer;

/// pip wants to know the metadata of what it downloads, for which it would install virtualenv's
/// build requirements. This stands in for the build backend.
const BACKEND: &str = r#"
import os

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    name = "virtualenv-{version}.dist-info"
    os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, name, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\nName: virtualenv\nVersion: {version}\n")
    return name
"#;

/// The source of the virtualenv that is among the peers.
static SOURCE: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new(peer("python"))
        .args(["-c", "import virtualenv; print(virtualenv.__version__)"])
        .output()
        .unwrap();
    let version = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
    let source = cache.join(format!("virtualenv-{version}"));
    if !source.exists() {
        fs::create_dir_all(&cache).unwrap();
        let scratch = tempfile::TempDir::new_in(&cache).unwrap();
        fs::create_dir(scratch.path().join("hatchling")).unwrap();
        fs::write(scratch.path().join("hatchling/__init__.py"), "").unwrap();
        fs::write(
            scratch.path().join("hatchling/build.py"),
            BACKEND.replace("{version}", &version),
        )
        .unwrap();
        let downloaded = Command::new(peer("python"))
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--no-build-isolation",
                "--no-binary",
                "virtualenv",
                "--dest",
            ])
            .arg(scratch.path())
            .arg(format!("virtualenv=={version}"))
            .env("PYTHONPATH", scratch.path())
            .status()
            .unwrap();
        assert!(downloaded.success(), "pip cannot download virtualenv's source distribution");
        let archive = scratch.path().join(format!("virtualenv-{version}.tar.gz"));
        let unpacked = Command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(scratch.path())
            .status()
            .unwrap();
        assert!(unpacked.success());
        fs::rename(scratch.path().join(format!("virtualenv-{version}")), &source).unwrap();
    }
    source
});

/// Runs the tests that `selection` (pytest's `-k`) chooses; at least so many have to pass.
fn check(selection: &str, at_least: usize) {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/python");
    let python = peer("python");
    let mut folders = vec![python.parent().unwrap().to_owned()];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    // As an ordinary user: bash draws `\$` as `#` for the superuser, which those tests do not know.
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000"]).arg(&python);
    command.args([
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        "-o",
        "pythonpath=tests",
        "-W",
        "ignore",
        "-p",
        "no:cacheprovider",
    ]);
    command.args([
        "-p",
        "virtualenv_with_venvtree",
        "-q",
        "-rfEX",
        "--tb=short",
        "--show-capture=no",
        "-k",
        selection,
    ]);
    command.arg("--rootdir").arg(&*SOURCE).arg("tests/unit/activation").current_dir(&*SOURCE);
    command
        .env("PYTHONPATH", plugins)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("VENVTREE", env!("CARGO_BIN_EXE_venvtree"));
    command
        .env("PATH", env::join_paths(folders).unwrap())
        .env_remove("VIRTUAL_ENV")
        .env_remove("CI");
    let output = command.output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let tail: String = report.chars().skip(report.chars().count().saturating_sub(6000)).collect();
    assert!(output.status.success(), "{tail}\n{}", String::from_utf8_lossy(&output.stderr));
    let words: Vec<&str> = report.lines().last().unwrap_or_default().split([' ', ',']).collect();
    let passed =
        words.windows(2).find(|pair| pair[1] == "passed").and_then(|pair| pair[0].parse().ok());
    assert!(
        passed.is_some_and(|passed: usize| passed >= at_least),
        "expected at least {at_least} to pass:\n{tail}"
    );
}

#[test]
fn virtualenvs_tests_pass() {
    check("not stays_data", 180);
}

#[test]
fn virtualenvs_prompts_stay_text() {
    check("stays_data", 1360);
}
