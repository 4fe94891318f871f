//! `venvtree wheel check`.

use std::path::{Path, PathBuf};

use camino::Utf8Path;
use serde_json::{Value, json};

use crate::support::download::{Download, wheels_in};
use crate::support::malformed::corpus;
use crate::support::project::{Output, Project, WheelText, venvtree_in};

/// Writes a case of the corpus under its own name.
fn case(project: &Project, file: &str, name: &str) -> String {
    let (_, recipe) =
        corpus().into_iter().find(|(found, recipe)| found == file && recipe.name == name).unwrap();
    project.write(recipe.filename(), recipe.build());
    recipe.filename().to_owned()
}

fn check(project: &Project, arguments: &[&str]) -> Output {
    project.run(&[&["wheel", "check"], arguments].concat())
}

fn codes(report: &Value) -> Vec<(String, String)> {
    let findings = report["files"][0]["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.map(|finding| (text(&finding["code"]), text(&finding["severity"]))).collect()
}

#[test]
fn the_exit_code_is_by_severity() {
    let project = Project::new();
    let ends = |(file, name): (&str, &str), arguments: &[&str], expected: u8| {
        let wheel = case(&project, file, name);
        let output = check(&project, &[arguments, &[wheel.as_str()]].concat());
        assert_eq!(
            output.code, expected,
            "{file} {name} {arguments:?}: {}{}",
            output.stdout, output.stderr
        );
    };
    ends(("sound", "plain"), &[], 0);
    ends(("sound", "plain"), &["--fail-on", "information"], 0);
    ends(("zip-records", "bytes between members"), &[], 4);
    ends(("zip-records", "bytes between members"), &["--allow", "zip.gap"], 0);
    ends(
        ("zip-records", "bytes between members"),
        &["--allow", "zip.gap", "--fail-on", "warning"],
        4,
    );
    ends(("paths", "parent folder"), &["--allow", "path.traversal"], 4);
    ends(("record", "member without a row"), &[], 0);
    ends(("record", "member without a row"), &["--fail-on", "warning"], 4);
    ends(("record", "member without a row"), &["--strict", "record.unlisted"], 4);
    ends(("startup", "import in a path file"), &["--fail-on", "warning"], 0);
    ends(("startup", "import in a path file"), &["--fail-on", "information"], 4);
    ends(("sound", "plain"), &["--limit", "entries=3"], 4);
    ends(("sound", "plain"), &["--name", "other-1.0-py3-none-any.whl"], 4);
    ends(("sound", "plain"), &["--limit", "entries"], 2);
    ends(("sound", "plain"), &["--limit", "size=1"], 2);
    ends(("sound", "plain"), &["--allow", "zip.nothing"], 2);
    assert_eq!(check(&project, &["absent.whl"]).code, 7);
    assert_eq!(check(&project, &[]).code, 2);
}

#[test]
fn text_is_for_people() {
    let project = Project::new();
    let name = case(&project, "paths", "escape sequence of terminals");
    let output = check(&project, &[&name]);
    assert!(
        output.stdout.starts_with("demo-1.0-py3-none-any.whl: 1 error\n  error[path.control]: "),
        "{}",
        output.stdout
    );
    assert!(!output.stdout.contains('\x1b') && output.stdout.contains("control character"));
    assert_eq!(
        check(&project, &[&case(&project, "sound", "plain")]).stdout,
        "demo-1.0-py3-none-any.whl: nothing found\n"
    );
}

#[test]
fn json_and_sarif_are_for_machines() {
    let project = Project::new();
    let name = case(&project, "zip-records", "setuid");
    let report = check(&project, &["--format", "json", &name]).json();
    assert_eq!(report["version"], 1);
    assert_eq!(report["counts"], json!({"error": 0, "warning": 1, "information": 0}));
    assert_eq!(codes(&report), [("zip.special-bits".to_owned(), "warning".to_owned())]);
    assert_eq!(report["files"][0]["file"], json!(name));

    let report =
        check(&project, &["--format", "sarif", "--allow", "zip.special-bits", &name]).json();
    assert_eq!(report["version"], "2.1.0");
    let run = &report["runs"][0];
    let result = &run["results"][0];
    assert_eq!(
        (result["ruleId"].as_str(), result["level"].as_str()),
        (Some("zip.special-bits"), Some("warning"))
    );
    let rule = &run["tool"]["driver"]["rules"]
        [usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
    assert_eq!(rule["id"], "zip.special-bits");
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], json!(name));
    assert_eq!(result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], "demo/a.txt");
    assert_eq!(result["suppressions"][0]["kind"], "external");
}

#[test]
fn a_bad_archive_without_metadata_gets_all_its_findings() {
    let project = Project::new();
    let name = case(&project, "zip-records", "encrypted");
    std::fs::rename(project.path().join(name), project.path().join("archive.zip")).unwrap();
    let found = codes(&check(&project, &["--format", "json", "archive.zip"]).json());
    let found: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(found, ["zip.encrypted", "metadata.filename"]);
}

#[test]
fn start_up_code_of_an_environment_is_visible() {
    let project = Project::new();
    project.write(".venv/pyvenv.cfg", "home =\n");
    let site = ".venv/lib/python3.12/site-packages";
    project.write(&format!("{site}/ok.pth"), "../../../../_main\nother\n");
    project.write(&format!("{site}/hook.pth"), "import hook\n");
    project.write(&format!("{site}/hook.start"), "hook:main\n");
    project.write(&format!("{site}/sitecustomize.py"), "");
    project.write(&format!("{site}/encodings/__init__.py"), "");
    project.write(&format!("{site}/six.py"), "");
    let report = check(&project, &["--format", "json", ".venv"]).json();
    let mut found: Vec<String> = codes(&report).into_iter().map(|(code, _)| code).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "startup.customize",
            "startup.import",
            "startup.path",
            "startup.shadow",
            "startup.start-file"
        ]
    );
    let members: Vec<&str> = report["files"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["member"].as_str().unwrap())
        .collect();
    assert!(members.contains(&"lib/python3.12/site-packages/encodings"), "{members:?}");
    // The folder itself may be given, too.
    let direct = check(&project, &["--format", "json", site]).json();
    assert_eq!(codes(&direct).len(), found.len());
}

#[test]
fn a_directory_of_wheels_is_the_wheels_in_it_and_any_other_directory_is_refused() {
    let project = Project::new();
    let bad = case(&project, "zip-records", "bytes between members");
    let bytes = std::fs::read(project.path().join(&bad)).unwrap();
    project.write(&format!("dist/{bad}"), bytes);
    let sound = project.wheel(&WheelText::new("sound", "1.0").file("sound.py", ""));
    let sound = sound["path"].as_str().unwrap();
    let bytes = std::fs::read(project.path().join(sound)).unwrap();
    let sound = sound.rsplit('/').next().unwrap();
    project.write(&format!("dist/{sound}"), bytes);
    project.write("dist/odd.whl", "no archive");
    project.write("dist/notes.txt", "");
    for dist in ["dist", "dist/"] {
        let output = check(&project, &["--format", "json", dist]);
        assert_eq!(output.code, 4);
        let mut expected = [&bad, sound, "odd.whl"].map(|name| format!("dist/{name}"));
        expected.sort();
        let report = output.json();
        let files = report["files"].as_array().unwrap();
        let files: Vec<&str> = files.iter().map(|file| file["file"].as_str().unwrap()).collect();
        assert_eq!(files, expected);
    }
    project.write("empty/below/x", "");
    for (folder, found) in [("empty", "only `below`"), ("/etc", " other names")] {
        let output = check(&project, &[folder]);
        assert_eq!(output.code, 7, "{}", output.stdout);
        for text in [found, "expected wheels (`*.whl`), an environment", "hint: "] {
            assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
        }
    }
    // What can be checked is.
    let output = check(&project, &["empty", "dist"]);
    assert!(output.code == 7 && output.stdout.contains(sound), "{}", output.stdout);
    project.write("target/sample-1.0.dist-info/METADATA", "");
    project.write("target/hook.pth", "import hook\n");
    let output = check(&project, &["target"]);
    assert!(output.code == 0 && output.stdout.contains("startup.import"), "{}", output.stdout);
    let output = check(&project, &["--name", sound, "dist"]);
    assert!(output.code == 2 && output.stderr.contains("is a directory"), "{}", output.stderr);
}

/// The names in `testdata/popular-wheels.txt`, downloaded once.
fn popular_wheels() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join(".cache/popular-linux");
    let names = std::fs::read_to_string(root.join("testdata/popular-wheels.txt")).unwrap();
    let names: Vec<&str> = names.lines().filter(|line| !line.starts_with('#')).collect();
    if wheels_in(&folder).len() < names.len() {
        for names in names.chunks(25) {
            let downloaded = Download::for_python("3.11").run(names, &folder);
            assert!(downloaded, "pip cannot download {names:?}");
        }
    }
    wheels_in(&folder)
}

/// Asserts that real wheels are free of findings, but for those codes that the documentation lists.
pub(super) fn check_no_alarm(wheels: &[PathBuf], listed: &[&str]) {
    let files: Vec<&str> = wheels.iter().map(|path| path.to_str().unwrap()).collect();
    let arguments = [&["wheel", "check", "--format", "json"], files.as_slice()].concat();
    let report = venvtree_in(Utf8Path::new("/"), &arguments, "").json();
    let mut alarms = Vec::new();
    for file in report["files"].as_array().unwrap() {
        for finding in file["findings"].as_array().unwrap() {
            if !finding["code"].as_str().is_some_and(|code| listed.contains(&code)) {
                alarms.push(format!("{}: {finding}", file["file"]));
            }
        }
    }
    let found = alarms.join(
        "
",
    );
    assert!(
        alarms.is_empty(),
        "{} findings in {} wheels:
{found}",
        alarms.len(),
        files.len()
    );
}

#[test]
#[ignore = "downloads 1 GB; CONTRIBUTING.md has the command"]
fn popular_wheels_raise_no_false_alarm() {
    check_no_alarm(&popular_wheels(), &["startup.import", "metadata.other-tags"]);
}
