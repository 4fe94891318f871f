//! Other programs and libraries for the same formats, as oracles.
//!
//! They are installed by `.ci/install`. A missing one fails the test that asks for it: a comparison
//! that is skipped proves nothing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::commands::feed;

/// A program of the peers' environment: `python`, `uv`, `virtualenv`.
pub(crate) fn peer(name: &str) -> PathBuf {
    let root = env::var_os("VENVTREE_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/peers"), PathBuf::from);
    let program = root.join("bin").join(name);
    assert!(
        program.exists(),
        "the tests compare with `{name}`, expected at {}: run .ci/install, or set VENVTREE_PEERS to a folder with bin/{name}",
        program.display()
    );
    program
}

/// Runs a Python program with the peers' interpreter, gives it JSON on standard input and reads
/// JSON from its standard output.
pub(crate) fn ask_python(program: &str, input: &serde_json::Value) -> serde_json::Value {
    let mut oracle = Command::new(peer("python"));
    oracle.args(["-I", "-c", program]).stdout(Stdio::piped());
    let output = feed(&mut oracle, input.to_string().as_bytes());
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("the program prints JSON")
}
