//! The README's console blocks do what they say.

use std::path::Path;
use std::process::Command;

/// The command lines of a block, each with the output that it should have.
pub(crate) fn commands(block: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((_, output))) => output.push(line.to_owned()),
            (None, None) => panic!("a block begins with output: {line}"),
        }
    }
    commands
}

/// Whether a line is as expected, where `…` stands for anything.
pub(crate) fn matches(expected: &str, actual: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = actual.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let found = if index + 1 == parts.len() && !part.is_empty() {
            rest.rfind(part)
        } else {
            rest.find(part)
        };
        match found {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || expected.ends_with('…')
}

#[test]
fn the_console_blocks_do_what_they_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_venvtree")).parent().unwrap();
    let mut seen = 0;
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        for (command, expected) in commands(block) {
            seen += 1;
            if command == "bash .ci/install && cargo test" {
                // This is that test. What CI runs installs first, and then runs the same command.
                let ci = std::fs::read_to_string(root.join(".ci/run")).unwrap();
                assert!(ci.contains("bash .ci/install\n") && ci.contains("\ncargo test\n"), "{ci}");
                continue;
            }
            // The program is built already; building it again would only take time.
            let line = command.replace("cargo run -- ", "venvtree ");
            let output = Command::new("bash")
                .args(["-euc", &line])
                .current_dir(directory.path())
                .env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()))
                .env("VENVTREE_STORE", directory.path().join("store"))
                .env("HOME", directory.path())
                .env_remove("VIRTUAL_ENV")
                .output()
                .unwrap();
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(output.status.success(), "{command}\n{text}");
            for line in expected {
                assert!(
                    text.lines().any(|actual| matches(&line, actual)),
                    "{command}\nshould print {line}\nprints {text}"
                );
            }
        }
    }
    assert!(seen >= 10, "only {seen} commands were found");
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files =
        vec![root.join("README.md"), root.join("ARCHITECTURE.md"), root.join("CONTRIBUTING.md")];
    files.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut dead = Vec::new();
    for file in
        files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if !target.is_empty()
                && !target.contains("://")
                && !file.parent().unwrap().join(target).exists()
            {
                dead.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
