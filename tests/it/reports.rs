//! Reports: every command that reports prints one JSON document with a version, errors included;
//! variables stand for options; `-q` is understood by every command that talks.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;
use serde_json::{Value, json};

use crate::support::programs::fake_compiler;
use crate::support::project::{
    Output, Project, WheelText, compiled_spec, sample_lock, some_interpreter, venvtree_with,
};

/// Commands without a report, and why.
const WITHOUT_REPORT: [(&str, &str); 6] = [
    ("completions", "prints a script for a shell"),
    ("man", "prints a manual page"),
    ("worker", "answers requests in a protocol of its own"),
    ("spec schema", "prints a JSON Schema"),
    ("sbom", "prints a document of a standard"),
    ("interpreter probe", "prints a part of a spec"),
];

/// Every command that does something, as it is typed.
fn leaves() -> BTreeMap<String, clap::Command> {
    fn visit(command: &clap::Command, above: &str, found: &mut BTreeMap<String, clap::Command>) {
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            let name = format!("{above}{}", child.get_name());
            if child.has_subcommands() {
                visit(child, &format!("{name} "), found);
            } else {
                found.insert(name, child.clone());
            }
        }
    }
    let mut command = venvtree::cli::commands::Arguments::command();
    command.build();
    let mut found = BTreeMap::new();
    visit(&command, "", &mut found);
    found
}

fn has_option(command: &clap::Command, name: &str) -> bool {
    command.get_arguments().any(|argument| argument.get_long() == Some(name))
}

fn project() -> Project {
    let project = Project::new();
    let wheel = project.wheel(
        &WheelText::new("sample", "1.0")
            .file("sample.py", "x = 1\n")
            .console_scripts("sample = sample:x"),
    );
    project.spec(some_interpreter(), &[wheel], |_| ());
    project.write("METADATA", "Metadata-Version: 2.1\nName: app\nVersion: 1.0\n");
    project.write("app.py", "");
    project.write("sample.toml", sample_lock(&project));
    let locks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/locks");
    let hash = venvtree::model::digest::Hash::sha256(b"one");
    let direct = "one @ https://files.example/one-1.0-py3-none-any.whl";
    project.write("direct.txt", format!("{direct} --hash=sha256:{hash}\n"));
    project.write("pylock.toml", std::fs::read(locks.join("flask/pylock.toml")).unwrap());
    project.run(&["build", "env.json", "--out", "env", "--manifest", "m.json"]).success();
    fake_compiler(project.path(), "bin/compiler");
    compiled_spec(&project);
    project
}

/// Asserts that standard output is one document with a version, which comes first; returns it.
fn document(output: &Output, what: &str) -> Value {
    let value: Value = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{what}: {error}\n{output:?}"));
    let first = value.as_object().and_then(|object| object.iter().next());
    assert_eq!(first, Some((&"version".to_owned(), &json!(1))), "{what}: {output:?}");
    value
}

#[test]
fn every_command_that_reports_can_do_so_as_json() {
    let missing: Vec<String> = leaves()
        .into_iter()
        .filter(|(name, command)| {
            !WITHOUT_REPORT.iter().any(|(without, _)| without == name)
                && !has_option(command, "format")
        })
        .map(|(name, _)| name)
        .collect();
    assert!(missing.is_empty(), "without --format: {missing:?}");
}

#[test]
fn every_report_is_one_document_with_a_version() {
    let project = project();
    let python = std::env::var("HOME").map(|home| format!("HOME={home}")).unwrap_or_default();
    let (_, home) = python.split_once('=').unwrap_or_default();
    let path = std::env::var("PATH").unwrap();
    let runs: &[(&str, &[&str])] = &[
        ("build", &["env.json", "--out", "env"]),
        ("build", &["env.json", "--out", "other", "--no-store"]),
        ("create", &["fresh", "--no-seed"]),
        ("digest", &["env.json"]),
        ("digest", &["env"]),
        ("plan", &["env.json"]),
        ("key", &["env.json"]),
        ("key", &["env.json", "--explain", "env.json"]),
        ("verify", &["env", "--manifest", "m.json"]),
        ("diff", &["env", "m.json"]),
        ("pack", &["env.json", "--out", "env.tar"]),
        ("pack", &["env", "--out", "env.zip"]),
        ("pack", &["env.json", "--layers", "layers"]),
        ("pack", &["env.json", "--archive-format", "oci", "--out", "image.tar"]),
        ("share", &["env.json", "--environments", "shared"]),
        ("share", &["--verify", "--environments", "shared"]),
        ("store stat", &[]),
        ("store gc", &[]),
        ("store verify", &[]),
        ("wheel check", &["wheels/sample-1.0-py3-none-any.whl"]),
        ("wheel check", &["env"]),
        (
            "wheel pack",
            &[
                "--out",
                "app-1.0-py3-none-any.whl",
                "--metadata",
                "METADATA",
                "--file",
                "app.py=app.py",
            ],
        ),
        (
            "bytecode compile",
            &["wheels/sample-1.0-py3-none-any.whl", "--compiler", "bin/compiler", "--out", "made"],
        ),
        ("bytecode check", &["compiled.json", "--compiler", "bin/compiler"]),
        ("spec check", &["env.json"]),
        ("licenses", &["env.json"]),
        ("spec from", &["wheels", "--for", "linux-x86_64-3.12"]),
        ("lock select", &["pylock.toml", "--target", "linux-x86_64-3.12.1"]),
        ("lock spec", &["pylock.toml", "--target", "linux-x86_64-3.12.1"]),
        ("lock fetch", &["sample.toml", "--dest", "fetched", "--target", "linux-x86_64-3.12.1"]),
        ("lock index", &["pylock.toml", "--target", "linux=linux-x86_64-3.12.1"]),
        ("lock pin", &["direct.txt", "--index-url", "https://index.example/simple"]),
        ("doctor", &[]),
        ("interpreter list", &[]),
    ];
    let variables = [("VENVTREE_STORE", "store"), ("HOME", home), ("PATH", path.as_str())];
    let mut seen = BTreeSet::new();
    for (command, arguments) in runs {
        seen.insert((*command).to_owned());
        let line: Vec<&str> = command
            .split(' ')
            .chain(arguments.iter().copied())
            .chain(["--format", "json"])
            .collect();
        let output = venvtree_with(project.path(), &line, "", &variables);
        assert_eq!(output.code, 0, "{line:?}: {output:?}");
        document(&output, command);
    }
    // Those need a cache to talk to, or are tested where they are described; each prints with the
    // same function.
    seen.extend(["push", "pull"].map(str::to_owned));
    // What is printed there is a document of others.
    seen.insert("sbom".to_owned());
    let untested: Vec<String> = leaves()
        .into_iter()
        .filter(|(name, command)| has_option(command, "format") && !seen.contains(name))
        .map(|(name, _)| name)
        .collect();
    assert!(untested.is_empty(), "add a run of {untested:?}");
}

#[test]
fn no_report_goes_another_way_to_standard_output() {
    fn visit(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { visit(&path, found) } else { found.push(path) }
        }
    }
    // A spec and a part of one have a version of their own, or none; a standard says what SARIF
    // holds; and what is talk is no document.
    let allowed = [
        "text.rs",
        "answer.rs",
        "commands/create/mod.rs",
        "commands/interpreter.rs",
        "commands/key.rs",
        "commands/spec/from.rs",
        "commands/wheel/check.rs",
        "commands/sbom.rs",
        "inputs/destination.rs",
        "commands/lock/spec.rs",
        "inputs/destination.rs",
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    let mut files = Vec::new();
    visit(&root, &mut files);
    assert!(files.len() > 30, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let uses = text.contains("Text::of_json(");
        assert!(
            !uses || allowed.iter().any(|name| path == root.join(name)),
            "{}: print reports as an `Answer`",
            path.display()
        );
    }
}

#[test]
fn errors_are_documents_too() {
    let project = project();
    for (name, command) in leaves().iter().filter(|(_, command)| has_option(command, "format")) {
        for format in [&["--format", "json"][..], &["--format=json"]] {
            let line: Vec<&str> =
                name.split(' ').chain(["--no-such-option"]).chain(format.iter().copied()).collect();
            let output = project.run(&line);
            assert_eq!(output.code, 2, "{line:?}: {output:?}");
            let value = document(&output, name);
            let error = &value["error"];
            assert_eq!(error["kind"], "usage", "{line:?}: {value}");
            assert!(
                error["message"].as_str().unwrap().contains("--no-such-option"),
                "{line:?}: {value}"
            );
            assert!(error["hint"].is_string(), "{line:?}: {value}");
            assert!(output.stderr.starts_with("error: "), "{line:?}: {output:?}");
        }
        assert!(command.get_name() == name.rsplit(' ').next().unwrap());
    }
    // Not even the subcommand is right, or it is missing.
    let output = project.run(&["biuld", "--format", "json"]);
    let value = document(&output, "biuld");
    assert!(value["error"]["hint"].as_str().unwrap().contains("build"), "{value}");
    document(&project.run(&["--format=json"]), "no command");
    document(&project.run(&["build", "@no-such-file", "--format", "json"]), "an argument file");
    // Something is wrong with what was read.
    let output = project.run(&["build", "nowhere.json", "--out", "x", "--format", "json"]);
    assert_eq!(document(&output, "build")["error"]["kind"], "io");
    // A partial report and its error are one document.
    let output = project.run(&[
        "wheel",
        "check",
        "wheels/sample-1.0-py3-none-any.whl",
        "nowhere.whl",
        "--format",
        "json",
    ]);
    let value = document(&output, "wheel check");
    assert_eq!(output.code, 7);
    assert_eq!(
        (value["error"]["kind"].as_str(), value["files"].as_array().map(Vec::len)),
        (Some("io"), Some(1)),
        "{value}"
    );
}

#[test]
fn what_talks_can_be_quiet() {
    let project = project();
    // Those print data only, or serve another program.
    let silent = [
        "completions",
        "man",
        "worker",
        "spec schema",
        "interpreter probe",
        "store stat",
        "wheel check",
        "interpreter list",
    ];
    for (name, command) in leaves() {
        assert!(
            silent.contains(&name.as_str()) || has_option(&command, "quiet"),
            "`{name}` has no --quiet"
        );
    }
    let runs: &[&[&str]] = &[
        &["build", "env.json", "--out", "second"],
        &["verify", "env", "--manifest", "m.json"],
        &["diff", "env", "m.json"],
        &["store", "gc", "--store", "store"],
        &["store", "verify", "--store", "store"],
        &["pack", "env.json", "--out", "env.tar"],
        &["pack", "env.json", "--out", "image", "--archive-format", "oci"],
        &["spec", "check", "env.json"],
    ];
    for run in runs {
        let output = project.run(&[*run, &["-q"]].concat());
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr.as_str()),
            (0, "", ""),
            "{run:?}"
        );
    }
    // What differs is data, and is still printed.
    project.write("env/more.py", "");
    let output = project.run(&["verify", "env", "--manifest", "m.json", "-q"]);
    assert_eq!((output.code, output.stderr.as_str()), (6, ""), "{output:?}");
    assert!(output.stdout.contains("more.py"), "{output:?}");
}

#[test]
fn variables_stand_for_options() {
    let project = project();
    let build = |variables: &[(&str, &str)], options: &[&str]| {
        let line =
            [&["build", "env.json", "--out", "again", "--replace", "--format", "json"], options]
                .concat();
        venvtree_with(project.path(), &line, "", variables)
    };
    // Set, and empty, which is not set.
    for (name, value, wrong) in [
        ("VENVTREE_LINK_MODE", "copy", "softlink"),
        ("VENVTREE_THREADS", "2", "0"),
        ("VENVTREE_NO_STORE", "1", "perhaps"),
        ("VENVTREE_NO_STORE", "0", "2"),
    ] {
        for value in [value, ""] {
            let output = build(&[("VENVTREE_STORE", "store"), (name, value)], &[]);
            assert_eq!(output.code, 0, "{name}={value}: {output:?}");
        }
        let output = build(&[("VENVTREE_STORE", "store"), (name, wrong)], &[]);
        let error = &document(&output, name)["error"];
        assert_eq!(error["kind"], "usage", "{name}={wrong}: {error}");
        assert!(error["message"].as_str().unwrap().contains(name), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("expected"), "{error}");
    }
    // An option wins.
    let output = build(
        &[("VENVTREE_LINK_MODE", "softlink"), ("VENVTREE_STORE", "store")],
        &["--link-mode", "copy"],
    );
    assert_eq!(output.code, 0, "{output:?}");
    let output = venvtree_with(
        project.path(),
        &["store", "stat", "--format", "json"],
        "",
        &[("VENVTREE_STORE", "elsewhere")],
    );
    assert!(document(&output, "store stat")["store"].as_str().unwrap().ends_with("/elsewhere"));
    // One of a cache that nobody uses, and one of an option that a command does not have.
    let output = build(&[("VENVTREE_STORE", "store"), ("VENVTREE_REMOTE_MODE", "foo")], &[]);
    output.ends(2, "the variable VENVTREE_REMOTE_MODE is `foo`");
    let create = ["create", "made", "--no-store"];
    let output = venvtree_with(project.path(), &create, "", &[("VENVTREE_THREADS", "x")]);
    output.ends(2, "the variable VENVTREE_THREADS is `x`");
    // Those of the remote cache.
    for (name, wrong) in [
        ("VENVTREE_REMOTE_CONNECTIONS", "many"),
        ("VENVTREE_NO_REMOTE_COMPRESSION", "perhaps"),
        ("VENVTREE_REMOTE_MODE", "rw"),
    ] {
        let output = venvtree_with(
            project.path(),
            &["push", "env", "--format", "json"],
            "",
            &[("VENVTREE_REMOTE_CACHE", "http://127.0.0.1:1/"), (name, wrong)],
        );
        assert_eq!(output.code, 2, "{name}: {output:?}");
        assert!(
            document(&output, name)["error"]["message"].as_str().unwrap().contains(name),
            "{output:?}"
        );
    }
}
