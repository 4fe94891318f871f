//! Every example does what it says: those of every `--help`, and the `console` blocks of every page
//! in docs/.
//!
//! Each example, or block, is run in a copy of one folder that holds everything that examples name:
//! specs, wheels, environments, manifests. Caches that examples name are replaced by one of this
//! process, digests by that of the folder's environment. The wheels of its locks are small ones of
//! the same names, which a server of this process has.
#![cfg(feature = "remote")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::readme::{commands, matches};
use crate::support::fake_reapi::{FakeReapi, Offer};
use crate::support::file_server::FileServer;
use crate::support::interpreters;
use crate::support::pages::{epilogue, help_pages};
use crate::support::peers;
use crate::support::project::{Project, WheelText, some_interpreter, venvtree_with};
use crate::windows_scripts::launcher_bytes;

/// A folder with all that examples name.
struct Scene {
    project: Project,
    digest: String,
    cache: FakeReapi,
    files: FileServer,
}

/// Where the locks say that their wheels are.
const FILES: &str = "https://files.example";

/// A lock whose wheels are small ones that `files` has.
fn with_wheels(lock: &str, files: &FileServer) -> String {
    let mut served = String::new();
    for line in lock.split_inclusive('\n') {
        let wheel = line.split('"').find_map(|word| {
            let path = word.strip_prefix(FILES)?;
            Some((path, path.rsplit_once('/')?.1.strip_suffix(".whl")?))
        });
        let Some((path, stem)) = wheel else {
            served.push_str(line);
            continue;
        };
        let bytes = WheelText::named(stem).pack();
        files.add(path, &bytes);
        let new_hash = venvtree::model::digest::Hash::sha256(&bytes).to_string();
        let after =
            |mark: &str| line.split_once(mark).unwrap_or_else(|| panic!("{mark}: {line}")).1;
        let hash = after("sha256").trim_start_matches([':', ' ', '=', '"']);
        let size = after("size = ").split([',', ' ']).next().unwrap();
        let line = line.replace(&hash[..64], &new_hash);
        let new_size = format!("size = {}", bytes.len());
        served.push_str(&line.replace(&format!("size = {size}"), &new_size));
    }
    served
}

impl Scene {
    fn new() -> Self {
        let project = Project::new();
        let tool = |version: &str| {
            WheelText::new("tool", version)
                .file("tool.py", format!("x = {version:?}\n"))
                .console_scripts("tool = tool:main")
        };
        let first = project.wheel(&tool("1.0"));
        let second = project.wheel(&tool("1.1"));
        let six = WheelText::new("six", "1.16.0").tag("py2.py3-none-any").file("six.py", "");
        project.write(&six.file_name(), six.pack());
        project.write(&format!("found/{}", six.file_name()), six.pack());
        let hash = venvtree::model::digest::Hash::sha256(&six.pack());
        project.write("requirements.txt", format!("six==1.16.0 --hash=sha256:{hash}\n"));
        let files = FileServer::start();
        let locks = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/locks");
        for (lock, name) in [("extras/uv.lock", "uv.lock"), ("flask/pylock.toml", "pylock.toml")] {
            let lock = std::fs::read_to_string(locks.join(lock)).unwrap();
            project.write(name, with_wheels(&lock, &files));
        }
        let fetch = ["lock", "fetch", "uv.lock", "--dest", "brought", "--no-store", "--python"];
        let python = peers::peer("python");
        let python = python.to_str().unwrap();
        let mirror = format!("{FILES}/=http://{}/", files.authority());
        venvtree_with(
            project.path(),
            &[&fetch[..], &[python]].concat(),
            "",
            &[("VENVTREE_MIRRORS", &mirror)],
        )
        .success();
        let index = ["lock", "index", "uv.lock", "--out", "pypi.json"];
        let target = ["--target", "linux=linux-x86_64-3.12.1", "--quiet"];
        project.run(&[index.as_slice(), &target].concat()).success();
        for folder in ["dist", "more"] {
            project.write(&format!("{folder}/tool-1.0-py3-none-any.whl"), tool("1.0").pack());
        }
        project.spec(some_interpreter(), &[first], |_| ());
        std::fs::rename(project.path().join("env.json"), project.path().join("other.json"))
            .unwrap();
        project
            .run(&[
                "build",
                "other.json",
                "--out",
                "other/.venv",
                "--manifest",
                "old.manifest.json",
            ])
            .success();
        project.spec(some_interpreter(), &[second], |_| ());
        project
            .run(&["build", "env.json", "--out", ".venv", "--manifest", "env.manifest.json"])
            .success();
        project
            .run(&[
                "build",
                "env.json",
                "--out",
                "bazel-bin/env",
                "--manifest",
                "new.manifest.json",
            ])
            .success();
        let digest = project.run(&["digest", ".venv"]).success().trim().to_owned();
        project.write("METADATA", "Metadata-Version: 2.1\nName: app\nVersion: 1.0\n");
        project.write("src/app/__init__.py", "");
        for name in ["t64.exe", "w64.exe"] {
            project.write(&format!("launchers/{name}"), launcher_bytes(name));
        }
        // The `python3` of examples has pip, and pip has a place to find wheels that is no network.
        let wrapper = format!("#!/bin/sh\nexec '{python}' \"$@\"\n");
        std::fs::create_dir(project.path().join("programs")).unwrap();
        crate::support::write_executable(
            project.path().join("programs/python3").as_std_path(),
            wrapper.as_bytes(),
        );
        let cache = FakeReapi::start(Offer::default());
        let sent = project.run(&["push", ".venv", "--remote-cache", &cache.url()]).success();
        assert_eq!(sent.trim(), digest);
        Self { project, digest, cache, files }
    }

    /// The command as it is typed here.
    fn adapt(&self, command: &str) -> String {
        let words = command.split_inclusive([' ', '\n']).map(|word| {
            let bare = word.trim_end();
            let end = &word[bare.len()..];
            if bare.starts_with("grpc://cache") || bare.starts_with("grpcs://cache") {
                format!("{}{end}", self.cache.url())
            } else if bare.ends_with("/326") {
                format!("{}{end}", self.digest)
            } else {
                word.to_owned()
            }
        });
        words.collect()
    }

    /// Runs a command in a folder of its own, or in one where others ran before.
    fn run(&self, command: &str, folder: &Path) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_venvtree")).parent().unwrap();
        let home = std::env::var("HOME").unwrap();
        // The interpreters themselves, not pyenv's scripts that choose one by the working
        // directory.
        let mut path = vec![folder.join("programs"), programs.to_owned()];
        path.extend(
            std::env::split_paths(&std::env::var_os("PATH").unwrap())
                .filter(|folder| !folder.ends_with("shims")),
        );
        path.extend(
            interpreters().iter().filter_map(|python| python.path.parent().map(Path::to_owned)),
        );
        let path = std::env::join_paths(path).unwrap();
        // An environment that is made new takes no other's place.
        let makes = command.ends_with("venvtree create")
            || ["create .venv", "create --lock"].iter().any(|begin| command.contains(begin));
        if makes && !["--clear", "--replace"].iter().any(|option| command.contains(option)) {
            Command::new("rm").args(["-rf", ".venv"]).current_dir(folder).status().unwrap();
        }
        // Who is offline has brought wheels along.
        if command.contains("--offline") {
            let mut copy = Command::new("cp");
            copy.args(["-r", "brought/.", "wheels"]).current_dir(folder);
            assert!(copy.status().unwrap().success());
        }
        Command::new("bash")
            .args(["-euc", &self.adapt(command)])
            .current_dir(folder)
            .env("PATH", path)
            .env("HOME", folder)
            .env("PYENV_ROOT", format!("{home}/.pyenv"))
            .env("VENVTREE_STORE", folder.join("store"))
            .env("VENVTREE_MIRRORS", format!("{FILES}/=http://{}/", self.files.authority()))
            .envs([
                ("PIP_NO_INDEX", "1"),
                ("API_KEY", "secret"),
                ("PIP_FIND_LINKS", "found"),
                ("TERM", "dumb"),
                ("MANPAGER", "cat"),
            ])
            .env_remove("VIRTUAL_ENV")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    fn copy(&self) -> (tempfile::TempDir, PathBuf) {
        let guard = tempfile::tempdir().unwrap();
        let folder = guard.path().join("work");
        let status =
            Command::new("cp").arg("-a").arg(self.project.path()).arg(&folder).status().unwrap();
        assert!(status.success());
        (guard, folder)
    }
}

/// Whether a command may end so: comparing says by its exit code that things differ.
fn ends_well(command: &str, output: &Output) -> bool {
    let differ = command.contains("venvtree diff") || command.contains("--explain other.json");
    output.status.success() || differ && output.status.code() == Some(1)
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The examples of a help page: lines that belong together are one.
fn examples(epilogue: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in epilogue
        .lines()
        .skip_while(|line| !line.starts_with("Example"))
        .skip(1)
        .take_while(|line| !line.is_empty())
    {
        let line =
            line.strip_prefix("  ").unwrap_or_else(|| panic!("examples are indented: {line}"));
        match (open, found.last_mut()) {
            (true, Some(last)) => last.push_str(&format!("\n{line}")),
            _ if line.starts_with('#') => continue,
            _ => found.push(line.to_owned()),
        }
        open = line.ends_with('\\') || line.ends_with('|');
    }
    found
}

#[test]
fn the_examples_of_every_help_page_work() {
    let scene = Scene::new();
    let mut failures = Vec::new();
    let mut count = 0;
    for (page, command) in help_pages() {
        for example in examples(&epilogue(&command)) {
            count += 1;
            let (_guard, folder) = scene.copy();
            let output = scene.run(&example, &folder);
            if !ends_well(&example, &output) {
                failures.push(format!("{page}: {example}\n{:?}\n{}", output.status, said(&output)));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 30, "only {count} examples were found");
}

/// The pages and their console blocks.
fn blocks() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let mut found = Vec::new();
    for page in
        pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md"))
    {
        let text = std::fs::read_to_string(page).unwrap();
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        for block in text.split("```console\n").skip(1) {
            found.push((name.clone(), block.split("\n```").next().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn the_console_blocks_of_every_page_do_what_they_say() {
    let scene = Scene::new();
    let blocks = blocks();
    assert!(blocks.len() >= 8, "only {} blocks were found", blocks.len());
    for (page, block) in blocks {
        let (_guard, folder) = scene.copy();
        // Some are for who has the sources.
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        std::os::unix::fs::symlink(benches, folder.join("benches")).unwrap();
        for (command, expected) in commands(&block) {
            // What is typed after a comment sign is a comment for bash, too.
            let output = scene.run(&command, &folder);
            let text = said(&output);
            assert!(ends_well(&command, &output), "{page}: {command}\n{text}");
            for line in expected {
                assert!(
                    text.lines().any(|actual| matches(&line, actual)),
                    "{page}: {command}\nshould print {line}\nprints {text}"
                );
            }
        }
    }
}

#[test]
fn commands_are_written_in_console_blocks() {
    // A block without a language, or of `sh`, would not be run.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&entry).unwrap();
        // The commands of commands.md are written by the program, as their pages of help: a usage
        // line is no example, and the examples of every page of help are run above.
        let own = match text.split_once("\n<!-- commands -->\n") {
            Some((own, _)) if entry.ends_with("commands.md") => own,
            _ => &text,
        };
        let mut language = None;
        for line in own.lines() {
            if let Some(rest) = line.trim_start().strip_prefix("```") {
                language = if language.is_some() { None } else { Some(rest.to_owned()) };
            } else if language.as_deref().is_some_and(|language| language != "console") {
                assert!(
                    !line.starts_with("$ ")
                        && (!line.starts_with("venvtree ") || line.contains(" = ")),
                    "{}: {line}",
                    entry.display()
                );
            }
        }
    }
}
