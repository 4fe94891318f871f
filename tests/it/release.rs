//! `tools/release`: the tool's bytes depend on its sources and the compiler, and not on where they
//! are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A release that compiles in a minute. What it says of places is what the real one says.
const CHEAP: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
];

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cargo"),
        PathBuf::from,
    )
}

/// A checkout in a directory, with a home of cargo's beside it that shares only the downloads.
pub(crate) fn another_checkout(directory: &Path) -> (PathBuf, PathBuf) {
    let (checkout, home) = (directory.join("a checkout"), directory.join("a home"));
    let _ = fs::remove_dir_all(&checkout);
    fs::create_dir_all(&checkout).unwrap();
    fs::create_dir_all(&home).unwrap();
    let _ = symlink(cargo_home().join("registry"), home.join("registry"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["Cargo.toml", "Cargo.lock", "benches", "src", "testdata", "tests", "tools"];
    let copied = Command::new("cp")
        .arg("-pR")
        .args(names.map(|name| here.join(name)))
        .arg(&checkout)
        .status()
        .unwrap();
    assert!(copied.success());
    (checkout, home)
}

fn release(checkout: &Path, home: &Path, target: &Path, variables: &[(&str, &str)]) -> Vec<u8> {
    let mut command = Command::new(checkout.join("tools/release"));
    command
        .args(["--no-default-features", "--offline"])
        .current_dir(target.parent().unwrap())
        .stdin(Stdio::null());
    command
        .env("CARGO_HOME", home)
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", "--cfg nobody_asked")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(target.join("release/venvtree")).unwrap()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[test]
fn a_release_names_no_place_of_its_machine() {
    // Kept, so that a second run has little to compile.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
    let (checkout, home) = another_checkout(&directory);
    let bytes = release(&checkout, &home, &directory.join("a target"), &CHEAP);
    for place in [directory.as_path(), Path::new(env!("CARGO_MANIFEST_DIR")), &cargo_home()] {
        assert!(!holds(&bytes, place.to_str().unwrap()), "{}", place.display());
    }
    // Places do stand in it.
    assert!(holds(&bytes, "/cargo/registry/src/"));
}

/// Takes ten minutes of a processor: `cargo test --test it two_checkouts -- --ignored`.
#[test]
#[ignore = "two builds as they are released"]
fn two_checkouts_build_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (checkout, home) = another_checkout(directory.path());
    let one = release(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &cargo_home(),
        &directory.path().join("one"),
        &[],
    );
    let other = release(&checkout, &home, &directory.path().join("the other"), &[]);
    assert!(one == other, "{} and {} bytes", one.len(), other.len());
}
