//! What a release consists of besides the program: workflows that linters accept, the crate's
//! package, the bill of materials.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that `.ci/install` brings.
fn linter(name: &str) -> Command {
    let program = root().join(".cache/linters/bin").join(name);
    assert!(program.exists(), "{} is missing: run .ci/install", program.display());
    Command::new(program)
}

/// Runs a program to its end and returns what it printed on both streams.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}\n{text}");
    text
}

fn workflows() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join(".github/workflows"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn workflows_are_valid_and_give_nothing_away() {
    // With shellcheck, which .ci/install brings too, for what the steps run.
    succeeds(linter("actionlint").arg("-color=false").args(workflows()));
    succeeds(linter("zizmor").args(["--offline", "--no-progress", "--color=never", ".github"]));
    let schema = ["--builtin-schema", "vendor.github-workflows"];
    succeeds(linter("check-jsonschema").args(schema).args(workflows()));
}

/// What the workflows and the documentation call is there.
#[test]
fn workflows_run_what_there_is() {
    for workflow in workflows() {
        let text = fs::read_to_string(&workflow).unwrap();
        for word in text.split(|char: char| char.is_whitespace() || "\"'`".contains(char)) {
            let word = word.trim_start_matches("$PLACE/");
            if word.starts_with("tools/") || word.starts_with(".ci/") {
                assert!(root().join(word).exists(), "{}: {word}", workflow.display());
            }
        }
    }
}

/// `cargo package` checks the manifest, and that all files that the crate is built of are in it.
#[test]
fn the_crate_can_be_packaged() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO"));
    command.args(["package", "--no-verify", "--allow-dirty", "--offline", "--target-dir"]);
    succeeds(command.arg(directory.path()));
    let version = env!("CARGO_PKG_VERSION");
    let archive = directory.path().join(format!("package/venvtree-{version}.crate"));
    let listing = succeeds(Command::new("tar").arg("-tzf").arg(archive));
    for file in ["Cargo.lock", "LICENSE", "README.md", "src/main.rs", "tools/release"] {
        let file = format!("venvtree-{version}/{file}");
        assert!(listing.lines().any(|line| line == file), "{file} is missing");
    }
    assert!(!listing.contains(".cache/") && !listing.contains("/.github/"), "{listing}");
}

/// The bill of materials is valid CycloneDX, the same twice, names what Cargo.lock names, and every
/// licence in it is accepted.
#[test]
fn the_bill_of_materials_is_valid_and_complete() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let file = directory.path().join(name);
        let mut command = Command::new("python3");
        command.arg("tools/sbom").args(["--target", "x86_64-unknown-linux-gnu", "--check"]);
        succeeds(
            command
                .arg("--out")
                .arg(&file)
                .arg("--notices")
                .arg(directory.path().join("notices"))
                .env("CARGO_NET_OFFLINE", "true"),
        );
        fs::read_to_string(file).unwrap()
    };
    let bill = write("one.json");
    assert!(bill == write("two.json"), "two runs differ");
    let validate = "import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))";
    let mut child = Command::new(root().join(".cache/bill-peers/bin/python"));
    child.args(["-c", validate]).stdin(fs::File::open(directory.path().join("one.json")).unwrap());
    succeeds(&mut child);
    // A crate that is linked in, one of them only with the feature `remote`; and those that only
    // run while it is compiled or tested.
    for (name, there) in
        [("zstd-sys", true), ("tonic", true), ("serde_derive", false), ("insta", false)]
    {
        assert_eq!(bill.contains(&format!("\"pkg:cargo/{name}@")), there, "{name}");
    }
    let notices = fs::read_to_string(directory.path().join("notices")).unwrap();
    assert!(notices.contains("zstd-sys ") && notices.contains("MIT License"));
}

/// Installers that take the released program find it where `tools/dist` puts it.
#[test]
fn the_manifest_names_the_files_of_a_release() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let fill = |name: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
        [("version", env!("CARGO_PKG_VERSION")), ("target", "TARGET"), ("bin", "venvtree")]
            .iter()
            .fold(line.unwrap().trim_matches('"').to_owned(), |text, (key, value)| {
                text.replace(&format!("{{ {key} }}"), value)
            })
    };
    let code = "import sys; sys.path.insert(0, 'tools/pypi'); import backend
print('venvtree-' + backend.version() + '-TARGET')";
    let name = succeeds(Command::new("python3").args(["-B", "-c", code]));
    let name = name.trim();
    assert!(fill("pkg-url").ends_with(&format!("/{name}.tar.gz")), "{}", fill("pkg-url"));
    assert_eq!(fill("bin-dir"), format!("{name}/bin/venvtree{{ binary-ext }}"));
    let dist = fs::read_to_string(root().join("tools/dist")).unwrap();
    assert!(dist.contains("venvtree-{backend.version()}-{target}"));
}
