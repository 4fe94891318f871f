//! Our own wheel and source distribution, installed as people do.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::interpreters;
use crate::support::peers::peer;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const TARGET: &str = "x86_64-unknown-linux-gnu";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command with a home of its own, and without what would have a say from outside.
fn command(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(home).stdin(Stdio::null()).env("HOME", home);
    for variable in ["VIRTUAL_ENV", "XDG_CACHE_HOME", "XDG_DATA_HOME", "PYTHONPATH"] {
        command.env_remove(variable);
    }
    command
        .env("PIP_NO_INDEX", "1")
        .env("UV_OFFLINE", "1")
        .env("UV_NO_CONFIG", "1")
        .env("UV_PYTHON_DOWNLOADS", "never")
        .env("UV_CACHE_DIR", home.join("uv-cache"))
        .env("VENVTREE_STORE", home.join("store"));
    command
}

/// Runs it to its end and returns standard output.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A directory with what `tools/dist` makes of the program under test.
fn distributions(home: &Path) -> PathBuf {
    let program = home.join("venvtree");
    succeeds(command("strip", home).arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_venvtree")));
    let out = home.join("dist");
    let mut dist = Command::new("python3");
    dist.arg(root().join("tools/dist")).arg(&out).args([TARGET, "--program"]).arg(&program);
    dist.arg("--packer").arg(env!("CARGO_BIN_EXE_venvtree")).env("CARGO_NET_OFFLINE", "true");
    succeeds(&mut dist);
    out
}

fn wheel(out: &Path) -> PathBuf {
    let tag = "py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64";
    out.join(format!("venvtree-{VERSION}-{tag}.whl"))
}

/// One that has `venv` and `ensurepip`, the newest.
fn python() -> PathBuf {
    interpreters().pop().expect("at least one").path
}

/// `create` with seeds, as in the examples of its help, by a venvtree that was installed.
#[track_caller]
fn creates(program: &mut Command, home: &Path, name: &str) {
    succeeds(
        program.args(["create", name, "--seed", "pip,setuptools,wheel", "--python"]).arg(python()),
    );
    let bin = home.join(name).join("bin");
    for (module, version) in [("pip", "--version"), ("wheel", "version")] {
        succeeds(command(bin.join("python"), home).args(["-m", module, version]));
    }
    let version = succeeds(command(bin.join("pip"), home).arg("--version"));
    assert!(version.starts_with("pip 26.3 "), "the pip that comes with venvtree: {version}");
}

#[test]
fn a_wheel_is_installed_by_pip_and_uv_and_runs_as_a_program_and_as_a_module() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let out = distributions(home);
    let said = format!("venvtree {VERSION}\n");

    // Our own gate has nothing to say of it, and the sums are those of the files.
    let check = succeeds(
        command(env!("CARGO_BIN_EXE_venvtree"), home).args(["wheel", "check"]).arg(wheel(&out)),
    );
    assert!(!check.contains("warning"), "{check}");
    succeeds(command("sha256sum", &out).args(["--check", "--strict", "SHA256SUMS"]));

    // pip, into an environment; what it starts is the program, in place of Python.
    let env = home.join("an env");
    succeeds(command(python(), home).args(["-m", "venv"]).arg(&env));
    let bin = env.join("bin");
    succeeds(command(bin.join("pip"), home).args(["install", "--quiet"]).arg(wheel(&out)));
    assert_eq!(succeeds(command(bin.join("venvtree"), home).arg("--version")), said);
    let mut module = command(bin.join("python"), home);
    assert_eq!(succeeds(module.args(["-m", "venvtree", "--version"])), said);
    creates(&mut command(bin.join("venvtree"), home), home, "made by pip's");
    // An environment for Windows takes nothing else: with its launchers.
    let own = home.join("dist-for-windows");
    fs::create_dir(&own).unwrap();
    let seed = env.join("share/venvtree/seeds/pip-26.3-py3-none-any.whl");
    fs::copy(seed, own.join("pip-26.3-py3-none-any.whl")).unwrap();
    let mut spec = command(bin.join("venvtree"), home);
    spec.args(["spec", "from", "dist-for-windows", "--for", "windows-x86_64-3.12"]);
    spec.args(["--out", "windows.json"]);
    succeeds(&mut spec);
    let mut build = command(bin.join("venvtree"), home);
    succeeds(build.args(["build", "windows.json", "--out", "windows", "--no-store"]));
    assert!(home.join("windows/Scripts/pip.exe").is_file());
    succeeds(command(bin.join("pip"), home).args(["uninstall", "--yes", "--quiet", "venvtree"]));
    // pip may leave directories.
    let left = fs::read_dir(env.join("share/venvtree/seeds")).is_ok_and(|found| found.count() > 0);
    assert!(!bin.join("venvtree").exists() && !left);

    // pip, into a folder and below a prefix: no environment says where the program is.
    let folder = home.join("folder");
    let mut target = command(python(), home);
    target.args(["-m", "pip", "install", "--quiet", "--target"]).arg(&folder).arg(wheel(&out));
    succeeds(&mut target);
    let mut module = command(python(), home);
    module.args(["-m", "venvtree", "--version"]).env("PYTHONPATH", &folder);
    assert_eq!(succeeds(&mut module), said);

    // uv: for once, and to stay.
    let mut once = command(peer("uv"), home);
    once.args(["tool", "run", "--python"]).arg(python()).arg("--from").arg(wheel(&out));
    assert_eq!(succeeds(once.args(["venvtree", "--version"])), said);
    let mut stay = command(peer("uv"), home);
    stay.args(["tool", "install", "--quiet", "--python"])
        .arg(python())
        .arg("--find-links")
        .arg(&out);
    succeeds(stay.args(["--no-index", "venvtree"]));
    creates(&mut command(home.join(".local/bin/venvtree"), home), home, "made by uv's");

    // venvtree itself: the environment that it makes has it.
    let mut own = command(env!("CARGO_BIN_EXE_venvtree"), home);
    own.args(["create", "ours", "--no-seed", "--python"]).arg(python()).arg("--wheel");
    succeeds(own.arg(wheel(&out)));
    let mut module = command(home.join("ours/bin/python"), home);
    assert_eq!(succeeds(module.args(["-m", "venvtree", "--version"])), said);
}

#[test]
fn a_source_distribution_has_what_is_built_and_says_how() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let name = source_distribution(home, root(), ".");
    assert_eq!(name, format!("venvtree-{VERSION}.tar.gz\n"));
    succeeds(command("tar", home).args(["-xzf", name.trim()]));
    let sources = home.join(format!("venvtree-{VERSION}"));
    let information = fs::read_to_string(sources.join("PKG-INFO")).unwrap();
    assert!(information.starts_with("Metadata-Version: 2.4\nName: venvtree\n"), "{information}");
    assert!(!information.contains("](docs/"), "a link that leads nowhere on another page");
    // From there, the backend makes the very same archive again, and cargo knows all that it needs.
    let again = home.join("again");
    fs::create_dir(&again).unwrap();
    source_distribution(&sources, &sources, "../again");
    let read = |folder: &Path| fs::read(folder.join(name.trim())).unwrap();
    assert!(read(home) == read(&again), "the archive is another one");
    let mut metadata = command("cargo", &sources);
    metadata.args(["metadata", "--offline", "--locked", "--format-version=1"]);
    metadata.args(["--filter-platform", TARGET]);
    succeeds(with_cargo(&mut metadata));
}

/// Makes a source distribution of a checkout in `to`, as `python -m build` and pip do; returns its
/// name.
fn source_distribution(folder: &Path, checkout: &Path, to: &str) -> String {
    let mut build = command("python3", folder);
    build.args(["-c", &format!("import backend; print(backend.build_sdist('{to}'))")]);
    succeeds(with_cargo(build.env("PYTHONPATH", checkout.join("tools/pypi"))))
}

/// With cargo and rustup as the user has them: the tests' home has neither.
fn with_cargo(command: &mut Command) -> &mut Command {
    let home = std::env::var_os("HOME").expect("HOME");
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let there = std::env::var_os(variable);
        command.env(variable, there.unwrap_or_else(|| Path::new(&home).join(folder).into()));
    }
    command
}

/// Compiles the release: `cargo test --test it builds_with_cargo -- --ignored`.
#[test]
#[ignore = "a build as it is released"]
fn a_source_distribution_builds_with_cargo() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let name = source_distribution(home, root(), ".");
    succeeds(command(python(), home).args(["-m", "venv", "env"]));
    let mut install = command(home.join("env/bin/pip"), home);
    install.args(["install", "--quiet", name.trim()]);
    succeeds(with_cargo(&mut install));
    let mut module = command(home.join("env/bin/python"), home);
    let said = succeeds(module.args(["-m", "venvtree", "--version"]));
    assert_eq!(said, format!("venvtree {VERSION}\n"));
}
