//! What is refused, what can be allowed and how loudly, and that a check and a build say the same
//! of a wheel.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::peers::ask_python;
use crate::support::programs::interpreters;
use crate::support::project::{Output, Project, WheelText, some_interpreter};
use crate::windows_scripts::launcher_bytes;

/// The file name of [`demo`], and where a project has it.
const DEMO: &str = "demo-1.0-py3-none-any.whl";
const DEMO_PATH: &str = "wheels/demo-1.0-py3-none-any.whl";

fn demo() -> WheelText {
    WheelText::new("demo", "1.0").file("demo/__init__.py", "x = 1\n")
}

/// A RECORD of demo with `line` for `demo/__init__.py`.
fn recorded(line: &str) -> WheelText {
    let own = "demo-1.0.dist-info/RECORD";
    demo().file(own, format!("{line}\n{own},,\n"))
}

/// A demo with a file that no environment takes over, whose row lies.
fn dropped(file: &str) -> WheelText {
    let own = "demo-1.0.dist-info/RECORD";
    demo().file(file, "old").file(
        own,
        format!("{file},sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,3\n{own},,\n"),
    )
}

/// A project with a spec of one wheel under any file name.
fn project(bytes: &[u8], file: &str, flags: Value) -> Project {
    let project = Project::new();
    let path = format!("wheels/{file}");
    project.write(&path, bytes);
    project.spec(
        some_interpreter(),
        &[json!({"path": path, "sha256": Hash::sha256(bytes)})],
        |spec| spec["flags"] = flags,
    );
    project
}

/// A project with a spec of one demo.
fn project_of(demo: &WheelText, flags: Value) -> Project {
    project(&demo.pack(), DEMO, flags)
}

fn build(project: &Project, options: &[&str]) -> Output {
    project.run(
        &[
            &["build", "env.json", "--out", "env", "--no-store", "--manifest", "manifest.json"],
            options,
        ]
        .concat(),
    )
}

/// Wheels with one flaw each that leaves no doubt about what is installed: name of the file, wheel,
/// code.
fn flawed() -> Vec<(&'static str, WheelText, &'static str)> {
    let text = |name: &str, text: &str| demo().file(&format!("demo-1.0.dist-info/{name}"), text);
    let hash = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let right = format!(
        "sha256={}",
        venvtree::model::wheel::record::encode_base64url(Hash::sha256(b"x = 1\n").as_bytes())
    );
    let metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";
    vec![
        (DEMO, recorded(&format!("demo/__init__.py,{hash},6")), "record.hash"),
        (DEMO, recorded(&format!("demo/__init__.py,{right},7")), "record.size"),
        (DEMO, recorded(&format!("/demo/__init__.py,{right},6")), "record.path"),
        (DEMO, recorded(&format!("demo\\__init__.py,{right},6")), "record.path"),
        (DEMO, recorded(&format!("demo/__init__.py,{right},6,")), "record.columns"),
        (DEMO, recorded("demo/__init__.py,md5=abc,6"), "record.weak-hash"),
        (DEMO, recorded("demo/__init__.py,sha256=abc,6"), "record.bad-hash"),
        (
            DEMO,
            demo()
                .file("demo-1.0.dist-info/RECORD", format!("demo-1.0.dist-info/RECORD,{hash},0\n")),
            "record.own-hash",
        ),
        ("demo-1.0+cu12torch2.6-py3-none-any.whl", demo(), "metadata.local-version"),
        (
            DEMO,
            text("METADATA", &format!("{metadata}Summary: one\ntwo\nAuthor: x\n\nbody\n")),
            "metadata.syntax",
        ),
        (
            DEMO,
            text("METADATA", &format!("{metadata}Requires-Python: >=3\nRequires-Python: >=3.1\n")),
            "metadata.repeated-header",
        ),
        (
            DEMO,
            text("METADATA", "Metadata-Version: 2.1\nVersion: 1.0\n"),
            "metadata.missing-header",
        ),
        (
            DEMO,
            text("METADATA", &format!("{metadata}Requires-Python: three\n")),
            "metadata.requires-python",
        ),
        (
            DEMO,
            text("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: perhaps\nTag: py3-none-any\n"),
            "metadata.purelib",
        ),
    ]
}

#[test]
fn what_leaves_no_doubt_can_be_allowed_loudly_everywhere() {
    for (file, wheel, code) in flawed() {
        let bytes = wheel.pack();
        let plain = project(&bytes, file, json!({}));
        let refused = build(&plain, &[]);
        assert!(matches!(refused.code, 4 | 6), "{code}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(&format!("`--allow {code}`")),
            "{code}: the hint names what to do: {}",
            refused.stderr
        );
        let path = format!("wheels/{file}");
        let checked = plain.run(&["wheel", "check", &path]);
        assert_eq!(checked.code, 4, "{code}: {}", checked.stdout);

        let by_option = build(&plain, &["--allow", code, "--format", "json"]);
        assert_eq!(by_option.code, 0, "{code}: {}", by_option.stderr);
        let said = format!("is used although `{code}` was found");
        assert!(by_option.stderr.contains(&said), "{code}: {}", by_option.stderr);
        let report = by_option.json();
        assert_eq!(report["allowed"], json!([code]));
        assert!(
            report["warnings"]
                .as_array()
                .unwrap()
                .iter()
                .any(|warning| warning["code"] == "allowed"),
            "{report}"
        );
        let manifest: Value = serde_json::from_str(
            &std::fs::read_to_string(plain.path().join("manifest.json")).unwrap(),
        )
        .unwrap();
        assert_eq!(manifest["header"]["wheels"][0]["allowed"], json!([code]), "{manifest}");

        // The spec's field does the same, and both have one key, which is not that without.
        let by_spec = project(&bytes, file, json!({"allow": [code]}));
        assert_eq!(build(&by_spec, &[]).code, 0);
        let key = |project: &Project, options: &[&str]| {
            project.run(&[&["key", "env.json"], options].concat()).success()
        };
        assert_eq!(key(&plain, &["--allow", code]), key(&by_spec, &[]));
        assert_ne!(key(&plain, &[]), key(&by_spec, &[]));

        let text = plain.run(&["wheel", "check", "--allow", code, &path]);
        assert!(
            text.code == 0
                && text.stdout.contains("(allowed)")
                && text.stdout.contains("of them allowed"),
            "{code}: {}",
            text.stdout
        );
        let json =
            plain.run(&["wheel", "check", "--allow", code, "--format", "json", &path]).json();
        assert!(
            json["files"][0]["findings"]
                .as_array()
                .unwrap()
                .iter()
                .any(|finding| finding["allowed"] == true),
            "{json}"
        );
        let sarif =
            plain.run(&["wheel", "check", "--allow", code, "--format", "sarif", &path]).json();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert!(
            results
                .iter()
                .any(|result| result["ruleId"] == code && !result["suppressions"].is_null()),
            "{sarif}"
        );

        // What is recorded is what is there.
        let record = std::fs::read_to_string(
            plain.path().join("env/lib/python3.11/site-packages/demo-1.0.dist-info/RECORD"),
        )
        .unwrap();
        let right =
            venvtree::model::wheel::record::encode_base64url(Hash::sha256(b"x = 1\n").as_bytes());
        assert!(
            record.contains(&format!("demo/__init__.py,sha256={right},6\n")),
            "{code}: {record}"
        );
        assert!(plain.run(&["verify", "env", "--manifest", "manifest.json"]).code == 0);
    }
}

#[test]
fn what_is_allowed_is_said_again_by_a_build_that_has_nothing_to_do() {
    let project =
        project_of(&recorded("demo/__init__.py,md5=abc,6"), json!({"allow": ["record.weak-hash"]}));
    let build = || project.run(&["build", "env.json", "--out", "env", "--store", "store"]);
    assert!(build().stderr.contains("is used although `record.weak-hash` was found"));
    build().ends(0, "record.weak-hash are allowed");
}

#[test]
fn what_says_nothing_wrong_is_a_warning() {
    let text = |name: &str, text: &str| demo().file(&format!("demo-1.0.dist-info/{name}"), text);
    for (wheel, code) in [
        (recorded("demo/,,\ndemo/__init__.py,,6"), "record.absent-file"),
        (
            recorded("demo/,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0"),
            "record.absent-file",
        ),
        (
            text("WHEEL", "Wheel-Version: 1\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            "metadata.format-form",
        ),
        (
            text("METADATA", "Metadata-Version: 2.1.0\nName: demo\nVersion: 1.0\n"),
            "metadata.format-form",
        ),
    ] {
        let project = project_of(&wheel, json!({}));
        let checked = project.run(&["wheel", "check", DEMO_PATH]);
        assert!(
            checked.code == 0 && checked.stdout.contains(&format!("warning[{code}]")),
            "{code}: {}",
            checked.stdout
        );
        build(&project, &[]).success();
    }
}

#[test]
fn what_no_environment_takes_over_is_judged_as_a_build_judges_it() {
    for file in ["demo/__pycache__/a.cpython-312.pyc", "demo-1.0.dist-info/INSTALLER"] {
        let wheel = DEMO;
        let project = project(&dropped(file).pack(), wheel, json!({}));
        build(&project, &[]).success();
        let checked = project.run(&["wheel", "check", &format!("wheels/{wheel}")]);
        assert!(
            checked.code == 0 && !checked.stdout.contains("record.hash"),
            "{file}: {}",
            checked.stdout
        );
    }
}

#[test]
fn what_two_readers_see_differently_is_never_allowed() {
    let metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";
    let check = |name: &str, text: String, code: &str| {
        let bytes = demo().file(&format!("demo-1.0.dist-info/{name}"), text).pack();
        let project = project(&bytes, DEMO, json!({}));
        let refused = build(&project, &[]);
        refused.ends(4, &format!("`{code}` cannot be allowed: "));
        let allowed = build(&project, &["--allow", code]);
        assert!(
            allowed.code == 2 && allowed.stderr.contains("can never be accepted"),
            "{}",
            allowed.stderr
        );
    };
    check("METADATA", format!("{metadata}Name: other\n"), "metadata.contradiction");
    check(
        "METADATA",
        format!("{metadata}Summary: one\ntwo\nRequires-Dist: x\n"),
        "metadata.ambiguous-header",
    );
    check(
        "WHEEL",
        "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nRoot-Is-Purelib: false\n".to_owned(),
        "metadata.contradiction",
    );
}

#[test]
fn create_takes_a_flawed_wheel_where_that_is_allowed() {
    let project = project_of(&recorded("demo/__init__.py,md5=abc,6"), json!({}));
    let python = interpreters().remove(0);
    let create = |options: &[&str]| {
        let fixed = [
            "create",
            "env",
            "--no-seed",
            "--wheel",
            DEMO_PATH,
            "--python",
            python.path.to_str().unwrap(),
        ];
        project.run(&[&fixed[..], options].concat())
    };
    let refused = create(&[]);
    assert!(
        refused.code == 4 && refused.stderr.contains("`--allow record.weak-hash`"),
        "{}",
        refused.stderr
    );
    let created = create(&["--allow", "record.weak-hash", "--spec-out", "spec.json"]);
    assert!(
        created.code == 0
            && created.stderr.contains("is used although `record.weak-hash` was found"),
        "{}",
        created.stderr
    );
    let spec: Value =
        serde_json::from_str(&std::fs::read_to_string(project.path().join("spec.json")).unwrap())
            .unwrap();
    assert_eq!(spec["flags"]["allow"], json!(["record.weak-hash"]));
    let again = create(&["--allow", "record.weak-hash"]);
    assert!(again.code == 0 && again.stderr.contains("record.weak-hash"), "{}", again.stderr);
    let again = create(&["--allow", "record.weak-hash", "--format", "json"]);
    assert_eq!(again.json()["allowed"], json!(["record.weak-hash"]));
}

#[test]
fn a_variant_is_called_a_variant() {
    let file = "demo-1.0-cp312-cp312-linux_x86_64-x86_64_v3.whl";
    let project = project(&demo().pack(), file, json!({}));
    let built = build(&project, &[]);
    built.ends(3, "wheel variant (PEP 817)");
    built.says("`x86_64_v3`");
    let checked = project.run(&["wheel", "check", &format!("wheels/{file}")]);
    assert!(
        checked.code == 4 && checked.stdout.contains("error[metadata.variant]"),
        "{}",
        checked.stdout
    );
}

/// Facts of interpreters on several platforms.
fn facts() -> Vec<(&'static str, Value)> {
    let linux = |libc: &str| json!({"os": "linux", "arch": "x86_64", "libc": libc});
    let cpython = |version: &str, abi: &str, platform: Value, path: &str| {
        let python = json!({"kind": "absolute", "path": path});
        json!({"implementation": "cpython", "version": version, "abi": abi, "platform": platform, "python": python})
    };
    let macos = json!({"os": "macos", "arch": "arm64", "version": "14.0"});
    let windows = json!({"os": "windows", "arch": "x86_64"});
    vec![
        ("old linux", cpython("3.8.18", "cp38", linux("glibc-2.17"), "/usr/bin/python3")),
        ("linux", cpython("3.12.7", "cp312", linux("glibc-2.39"), "/usr/bin/python3")),
        ("musl", cpython("3.12.7", "cp312", linux("musl-1.2"), "/usr/bin/python3")),
        ("macos", cpython("3.12.7", "cp312", macos, "/usr/bin/python3")),
        ("windows", cpython("3.12.7", "cp312", windows, "C:/Python312/python.exe")),
        ("no patch level", cpython("3.12", "cp312", linux("glibc-2.39"), "/usr/bin/python3")),
    ]
}

/// Wheels that some interpreters take and others do not, each with whether it has to be refused by
/// one of them and taken by another.
fn wheels_of_many_kinds() -> Vec<(WheelText, bool)> {
    let requires = |text: &str| demo().metadata(&format!("Requires-Python: {text}"));
    let data = demo().data();
    vec![
        (demo(), false),
        (demo().tag("cp312-cp312-manylinux_2_28_x86_64"), true),
        (demo().tag("cp312-abi3-musllinux_1_2_x86_64"), true),
        (demo().tag("cp38-abi3-macosx_11_0_arm64"), true),
        (demo().tag("cp312-none-win_amd64"), true),
        (requires(">=3.9"), true),
        (requires(">=3.9.*"), true),
        (requires(">=3.12.4"), true),
        (requires("three"), false),
        (demo().metadata("Requires-Dist: ???"), false),
        (demo().metadata("Requires-Dist: demo>=2"), false),
        (demo().metadata("Requires-Dist: demo>=2; sys_platform == 'win32'"), false),
        (demo().metadata("Requires-Dist: demo[x]; python_version < '3.9'"), false),
        (demo().file("demo/aux.py", ""), true),
        (demo().file("demo/a:b", ""), true),
        (demo().file("demo/A.py", "").file("demo/a.py", ""), true),
        (
            demo()
                .file(&format!("demo/{}/x.py", "y".repeat(230)), "")
                .file(&format!("demo/{0}/{0}/x", "z".repeat(200)), ""),
            true,
        ),
        (demo().console_scripts("tool = demo:main\nTOOL = demo:main"), true),
        (demo().console_scripts("aux = demo:main"), true),
        (demo().console_scripts("python = demo:main"), false),
        (demo().executable(&format!("{data}/scripts/sub/tool"), "#!python\nprint()\n"), false),
        (demo().executable(&format!("{data}/scripts/tool"), "#!python\n'''no end\n"), true),
        (demo().executable(&format!("{data}/data/bin/python"), ""), false),
        (
            demo()
                .executable(&format!("{data}/data/Lib/site-packages/demo/__init__.py"), "other\n"),
            true,
        ),
        (
            demo().executable(
                &format!("{data}/data/lib/python3.12/site-packages/demo/__init__.py"),
                "other\n",
            ),
            true,
        ),
        (recorded("demo/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,6"), false),
        (dropped("demo/__pycache__/a.cpython-312.pyc"), false),
        (dropped("demo/__pycache__/notes.txt"), false),
        (dropped("demo-1.0.dist-info/INSTALLER"), false),
    ]
}

#[test]
fn a_check_for_an_interpreter_and_a_build_say_the_same() {
    let project = Project::new();
    let launcher = |name: &str| {
        project.write(name, launcher_bytes(name));
        json!({"path": name, "sha256": Hash::sha256(&launcher_bytes(name))})
    };
    let launchers = json!({"console": launcher("t64.exe"), "gui": launcher("w64.exe")});
    let mut wrong = Vec::new();
    for (place, (wheel, differs)) in wheels_of_many_kinds().into_iter().enumerate() {
        let entry = project.wheel(&wheel);
        let path = entry["path"].as_str().unwrap().to_owned();
        let mut verdicts = BTreeSet::new();
        for (name, facts) in facts() {
            project.write("facts.json", facts.to_string());
            project.spec(facts.clone(), std::slice::from_ref(&entry), |spec| {
                if name == "windows" {
                    spec["launchers"] = launchers.clone();
                }
            });
            let built =
                project.build(&format!("env-{place}-{}", name.replace(' ', "-"))).no_store().run();
            let checked = project.run(&["wheel", "check", "--for", "facts.json", &path]);
            let (taken, passes) = (built.code == 0, checked.code == 0);
            assert_eq!(
                taken, passes,
                "wheel {place} ({path}) on {name}: {}{}{}",
                built.stderr, checked.stdout, checked.stderr
            );
            verdicts.insert(taken);
        }
        if (verdicts.len() > 1) != differs {
            wrong.push(format!("wheel {place} ({path}): {verdicts:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_check_takes_facts_a_spec_a_target_or_an_interpreter() {
    let project = project(&demo().metadata("Requires-Python: <3.7").pack(), DEMO, json!({}));
    let (_, facts) = facts().remove(1);
    project.write("facts.json", facts.to_string());
    let wheel = DEMO_PATH;
    let python = interpreters().remove(0).path;
    for interpreter in [
        "facts.json",
        "env.json",
        "linux-x86_64-3.12",
        "windows-x86_64-3.12",
        python.to_str().unwrap(),
    ] {
        let output = project.run(&["wheel", "check", "--for", interpreter, wheel]);
        assert!(
            output.code == 4 && output.stdout.contains("error[requires-python]"),
            "{interpreter}: {}{}",
            output.stdout,
            output.stderr
        );
    }
    let report =
        project.run(&["wheel", "check", "--format", "json", "--for", "facts.json", wheel]).json();
    let file = &report["files"][0];
    assert_eq!(
        (&file["verdict"]["fits"], &file["verdict"]["problems"][0]["code"]),
        (&json!(false), &json!("requires-python"))
    );
    let sarif =
        project.run(&["wheel", "check", "--format", "sarif", "--for", "facts.json", wheel]).json();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "build.requires-python");
    // Without an interpreter, what depends on one is told.
    let without = project.run(&["wheel", "check", wheel]);
    assert!(
        without.code == 0
            && without.stderr.contains("not judged, as they depend on the interpreter"),
        "{}",
        without.stderr
    );
    let report = project.run(&["wheel", "check", "--format", "json", wheel]).json();
    assert_eq!(report["files"][0]["depends_on_interpreter"]["requires_python"], "<3.7");
    assert_eq!(report["files"][0]["verdict"], Value::Null);
    for (text, code) in [("{", 2), ("{\"version\": \"3.12\"}", 3)] {
        project.write("facts.json", text);
        assert_eq!(
            project.run(&["wheel", "check", "--for", "facts.json", wheel]).code,
            code,
            "{text}"
        );
    }
}

#[test]
fn what_other_wheels_must_bring_is_told() {
    let wheel = demo()
        .metadata("Requires-Dist: six>=1.0")
        .metadata("Requires-Dist: colorama; sys_platform == 'win32'");
    let project = project_of(&wheel, json!({}));
    let output = project.run(&["wheel", "check", "--for", "env.json", DEMO_PATH]);
    assert!(
        output.code == 0 && output.stdout.contains("\n  needs six>=1.0\n"),
        "{}",
        output.stdout
    );
}

#[test]
fn python_reads_the_installed_record_as_the_rows_that_were_written() {
    // Every character that could end a line or a field for somebody, as a part of a name.
    let odd = [
        '"',
        '\'',
        ',',
        ' ',
        ';',
        '#',
        '=',
        '%',
        '\u{a0}',
        '\u{200b}',
        '\u{3000}',
        '\u{feff}',
        '\u{e000}',
        '\u{1f40d}',
    ];
    let mut wheel = demo()
        .file("demo/\"", "1")
        .file("\"demo\"", "2")
        .file(" demo", "3")
        .file("demo, x", "4")
        .file("\u{feff}x", "5");
    for character in odd {
        wheel = wheel.file(&format!("demo/a{character}b.py"), "x");
    }
    let project = project_of(&wheel, json!({}));
    assert_eq!(build(&project, &[]).code, 0);
    let site = project.path().join("env/lib/python3.11/site-packages");
    let read = r#"
import csv, importlib.metadata, json, sys
site = json.load(sys.stdin)
distribution, = importlib.metadata.distributions(path=[site])
rows = [row[0] for line in open(site + "/demo-1.0.dist-info/RECORD", encoding="utf-8", newline="").read().split("\n")[:-1] for row in csv.reader([line])]
json.dump([[str(path) for path in distribution.files], rows], sys.stdout)
"#;
    let answer = ask_python(read, &json!(site));
    assert_eq!(answer[0], answer[1]);
    assert!(answer[0].as_array().unwrap().len() > odd.len() + 5, "{answer}");
    for separator in [
        '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}', '\r',
        '\n',
    ] {
        let wheel = demo().file(&format!("demo/a{separator}/etc/b.py"), "x");
        let project = project_of(&wheel, json!({}));
        let refused = build(&project, &[]);
        assert!(
            refused.code == 4 && refused.stderr.contains("path.control"),
            "{separator:?}: {}",
            refused.stderr
        );
    }
}
