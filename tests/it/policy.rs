//! What a spec denies and allows, what the command line limits, and what a build looks at although
//! nothing is made from it.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::malformed::{Corpus, Recipe, corpus};
use crate::support::project::{Output, Project, WheelText, some_interpreter, venvtree_with};

/// A project with one wheel and a spec with these flags.
fn project(wheel: &WheelText, flags: Value) -> Project {
    let project = Project::new();
    let wheel = project.wheel(wheel);
    project.spec(some_interpreter(), &[wheel], |spec| spec["flags"] = flags);
    project
}

/// A project with a wheel made from a recipe, of which `exclude` is left out.
fn project_of(recipe: &Recipe, exclude: &[&str], flags: Value) -> Project {
    let project = Project::new();
    let path = format!("wheels/{}", recipe.filename());
    project.write(&path, recipe.build());
    let mut all = json!({"input_digests": "trusted"});
    all.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
    project.spec(some_interpreter(), &[json!({"path": path, "exclude": exclude})], |spec| {
        spec["flags"] = all
    });
    project
}

fn recipe(text: &str) -> Recipe {
    let corpus: Corpus =
        serde_json::from_str(&format!(r#"{{"about": "", "cases": [{text}]}}"#)).unwrap();
    corpus.cases.into_iter().next().unwrap()
}

fn build(project: &Project) -> Output {
    project.run(&["build", "env.json", "--out", "out", "--manifest", "manifest.json"])
}

#[test]
fn what_a_spec_denies_is_an_error_of_every_command_that_reads_wheels() {
    let wheel = WheelText::new("demo", "1.0")
        .file("demo/__init__.py", "")
        .unlisted("demo/more.py", "")
        .file("hook.pth", "import demo\n")
        .file("demo/aux.py", "")
        .metadata("Requires-Python: >=3.*");
    let deny = |codes: &[&str]| project(&wheel, json!({ "deny": codes }));
    for code in
        ["record.unlisted", "startup.import", "path.windows-name", "metadata.legacy-requirement"]
    {
        let denied = deny(&[code]);
        for command in [
            &["build", "env.json", "--out", "out"][..],
            &["plan", "env.json"],
            &["digest", "env.json"],
            &["pack", "env.json", "--out", "x.zip"],
        ] {
            let output = denied.run(command);
            assert_eq!(output.code, 4, "{command:?} {code}: {}", output.stderr);
            output.says(&format!("[{code}] demo-1.0-py3-none-any.whl: "));
        }
        assert!(!denied.path().join("out").exists() && !denied.path().join("x.zip").exists());
    }
    // What is not there can be denied in vain; the manifest says that it was, and caches tell the
    // two apart.
    let (plain, denied) = (deny(&[]), deny(&["startup.customize", "record.no-hash"]));
    for project in [&plain, &denied] {
        assert_eq!(build(project).code, 0);
    }
    let header = |project: &Project| {
        let text = std::fs::read_to_string(project.path().join("manifest.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["header"].clone()
    };
    assert_eq!(header(&plain).get("denied"), None);
    assert_eq!(header(&denied)["denied"], json!(["record.no-hash", "startup.customize"]));
    assert_eq!(header(&plain)["root"], header(&denied)["root"]);
    assert_ne!(
        plain.run(&["key", "env.json"]).success(),
        denied.run(&["key", "env.json"]).success()
    );
}

#[test]
fn what_was_allowed_is_in_the_manifest_once() {
    let recipe = recipe(
        r#"{"members": [{"name": "demo/a.txt", "content": "a", "local": {"version": 255}}, {"name": "demo/b.txt", "content": "b", "local": {"version": 255}}]}"#,
    );
    assert_eq!(build(&project_of(&recipe, &[], json!({}))).code, 6);
    let project = project_of(&recipe, &[], json!({"allow": ["zip.version"]}));
    assert_eq!(build(&project).code, 0);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(project.path().join("manifest.json")).unwrap())
            .unwrap();
    assert_eq!(manifest["header"]["wheels"][0]["allowed"], json!(["zip.version"]));
}

#[test]
fn limits_are_options_of_every_command_that_reads_wheels() {
    let project = project(&WheelText::new("demo", "1.0").file("demo/__init__.py", ""), json!({}));
    let check = |command: &[&str], limit: &str, code: u8| {
        let output = project.run(&[command, &["--limit", limit]].concat());
        assert_eq!(output.code, code, "{command:?} {limit}: {}", output.stderr);
    };
    let wheel = "wheels/demo-1.0-py3-none-any.whl";
    for (command, code) in [
        (&["build", "env.json", "--out", "out", "--no-store"][..], 4),
        (&["plan", "env.json"], 4),
        (&["digest", "env.json"], 4),
        (&["pack", "env.json", "--out", "x.zip"], 4),
        (&["diff", "env.json", "env.json"], 4),
        (&["wheel", "check", wheel], 4),
        // Reads no wheel.
        (&["key", "env.json"], 0),
    ] {
        check(command, "entries=3", code);
        check(command, "entries=4", 0);
        check(command, "entries=1K", 0);
        check(command, "entries=1KiB", 0);
        for unreadable in [
            "entries",
            "entries=",
            "entries=-1",
            "entries=1kk",
            "entries=K",
            "entries=1KiX",
            "entries=99999999T",
            "size=1",
        ] {
            check(command, unreadable, 2);
        }
        std::fs::remove_dir_all(project.path().join("out")).unwrap_or_default();
    }
    for limit in ["record-size=0", "directory-size=0"] {
        check(&["wheel", "check", wheel], limit, 0);
    }
    // Limits are no part of what is built: a cache that knows the environment needs no wheel.
    assert_eq!(
        project.run(&["key", "env.json"]).success(),
        project.run(&["key", "env.json", "--limit", "entries=1"]).success()
    );

    let create = |limit: &str| {
        let cache = project.path().join(".cache");
        let arguments =
            ["create", "made", "--no-seed", "--no-store", "--wheel", wheel, "--limit", limit];
        let interpreter = crate::support::interpreters().pop().unwrap();
        let arguments =
            [&arguments[..], &["--python", interpreter.path.to_str().unwrap()]].concat();
        venvtree_with(project.path(), &arguments, "", &[("XDG_CACHE_HOME", cache.as_str())])
    };
    let output = create("entries=3");
    assert!(output.code == 4 && output.stderr.contains("zip.limit-entries"), "{}", output.stderr);
    assert_eq!(create("entries=4").code, 0);
}

#[test]
fn a_worker_hands_its_limits_to_its_requests() {
    let project = project(&WheelText::new("demo", "1.0").file("demo/__init__.py", ""), json!({}));
    let answer = |started: &[&str], more: &[&str]| {
        let arguments = [&["digest", "env.json"], more].concat();
        let mut worker = Command::new(env!("CARGO_BIN_EXE_venvtree"))
            .args(started)
            .current_dir(project.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(
            &mut worker.stdin.take().unwrap(),
            json!({ "arguments": arguments }).to_string().as_bytes(),
        )
        .unwrap();
        let output = worker.wait_with_output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["exitCode"].clone()
    };
    assert_eq!(answer(&["--persistent_worker"], &[]), 0);
    assert_eq!(answer(&["--persistent_worker", "--limit", "entries=3"], &[]), 4);
    assert_eq!(answer(&["worker", "--limit", "entries=3"], &["--limit", "entries=4"]), 0);
}

/// Codes that come to light only where a member's bytes are looked at.
const OF_BYTES: [&str; 4] =
    ["zip.checksum", "zip.size", "zip.compressed-data", "zip.compressed-size"];

#[test]
fn members_that_are_left_out_can_hide_nothing() {
    let mut tried = 0;
    for (file, recipe) in corpus() {
        let structural = recipe
            .expect
            .iter()
            .any(|code| code.starts_with("zip.") && !OF_BYTES.contains(&code.as_str()));
        let named = recipe.filename() == "demo-1.0-py3-none-any.whl";
        let severe = |code: &String| {
            code.parse::<venvtree::model::finding::Code>().unwrap().severity()
                == venvtree::model::finding::Severity::Error
        };
        if !structural || !named || !recipe.expect.iter().any(severe) {
            continue;
        }
        tried += 1;
        let project = project_of(&recipe, &["demo/**"], json!({}));
        for arguments in [
            &["build", "env.json", "--out", "out"][..],
            &["build", "env.json", "--out", "out", "--no-store"],
            &["pack", "env.json", "--out", "x.zip"],
        ] {
            let output = project.run(arguments);
            assert!(
                matches!(output.code, 4 | 6),
                "{file}: {}: {arguments:?} ends with {}: {}",
                recipe.name,
                output.code,
                output.stderr
            );
            assert!(!project.path().join("out").exists() && !project.path().join("x.zip").exists());
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_descriptor_that_streaming_readers_would_find_earlier_is_seen_in_what_is_left_out() {
    // To a reader that streams, the deflate stream ends before the place that the directory gives.
    let hidden = recipe(
        r#"{"members": [{"name": "demo/a.txt", "compressed": {"hex": "0300 504b0708 00000000 02000000 00000000"}, "descriptor": 16}]}"#,
    );
    let output = build(&project_of(&hidden, &["demo/**"], json!({})));
    output.ends(6, "zip.compressed-size");
}

#[test]
fn a_wheel_that_one_spec_allows_is_not_sound_for_the_next() {
    // The store knows the wheel by its digest; what it hides is allowed by the first spec alone.
    let wheel = recipe(
        r#"{"members": [{"name": "demo/a.txt", "content": "a", "local": {"version": 255}}]}"#,
    );
    let lenient = project_of(&wheel, &[], json!({"allow": ["zip.version"]}));
    let cache = lenient.path().join("store");
    let build = |flags: Value, out: &str| {
        let path = format!("wheels/{}", wheel.filename());
        let flags = json!({"input_digests": "trusted", "allow": flags});
        lenient.spec(some_interpreter(), &[json!({"path": path})], |spec| spec["flags"] = flags);
        lenient.run(&["build", "env.json", "--out", out, "--store", cache.as_str()])
    };
    assert_eq!(build(json!(["zip.version"]), "first").code, 0);
    assert!(cache.exists());
    let output = build(json!([]), "second");
    assert!(matches!(output.code, 4 | 6), "{}{}", output.stdout, output.stderr);
    assert!(!lenient.path().join("second").exists());
}

#[test]
fn findings_that_are_not_listed_are_counted_everywhere() {
    // One problem a row: far more than are kept.
    let wheel = recipe(r#"{"record": {"repeat": "a,b\n", "times": 1000}}"#);
    let project = project_of(&wheel, &[], json!({}));
    let path = format!("wheels/{}", wheel.filename());
    let report = project.run(&["wheel", "check", &path, "--format", "json"]).json();
    let findings = report["files"][0]["findings"].as_array().unwrap();
    let omitted =
        findings.iter().find(|finding| finding["omitted"].is_u64()).expect("more than are listed");
    let listed = findings
        .iter()
        .filter(|finding| finding["code"] == "record.columns" && finding["omitted"].is_null())
        .count() as u64;
    assert_eq!(
        (omitted["code"].as_str(), listed + omitted["omitted"].as_u64().unwrap()),
        (Some("record.columns"), 1000)
    );
    let errors: u64 = findings
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .map(|finding| finding["omitted"].as_u64().unwrap_or(1))
        .sum();
    assert_eq!(report["counts"]["error"], errors);
    let sentence = format!("{} more findings of this code are not listed", omitted["omitted"]);
    let text = project.run(&["wheel", "check", &path]).stdout;
    assert!(text.contains(&sentence) && text.contains(&format!(": {errors} errors")), "{text}");
    let sarif = project.run(&["wheel", "check", &path, "--format", "sarif"]).json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|result| result["occurrenceCount"] == omitted["omitted"]
        && result["message"]["text"] == *sentence));
    let refused = build(&project);
    assert!(refused.code == 4 && refused.stderr.contains(&sentence), "{}", refused.stderr);
}

#[test]
fn what_a_wheel_says_never_reaches_the_terminal_as_it_is() {
    let wheel = WheelText::new("demo", "1.0")
        .file("demo/__init__.py", "")
        .metadata("Requires-Dist: \u{1b}]0;title\u{7}");
    for project in [
        project(&wheel, json!({"deny": ["metadata.requirement"]})),
        project(&wheel, json!({"requirements": "error"})),
    ] {
        let output = build(&project);
        assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    }
}
