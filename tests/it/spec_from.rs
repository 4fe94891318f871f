//! `spec from`: from a directory of wheels to a spec for this machine or another.

use serde_json::Value;

use crate::support::commands::install_program;
use crate::support::project::{Output, Project, WheelText, venvtree_with};
use crate::windows_scripts::launcher_bytes;

/// Wheels as `pip download` for several machines leaves them.
fn project() -> Project {
    let project = Project::new();
    for stem in [
        "pure-1.0-py3-none-any",
        "pure-2.0-py3-none-any",
        "pure-3.0rc1-py3-none-any",
        "fast-1.0-cp312-cp312-manylinux_2_17_x86_64",
        "fast-1.0-cp312-cp312-musllinux_1_2_x86_64",
        "fast-1.0-cp312-cp312-manylinux_2_17_aarch64",
        "fast-1.0-cp312-cp312-macosx_11_0_arm64",
        "fast-1.0-cp312-cp312-win_amd64",
        "fast-1.0-cp313-cp313t-macosx_14_0_arm64",
    ] {
        let wheel = WheelText::named(stem);
        let mut parts = stem.split('-');
        let (name, version) = (parts.next().unwrap(), parts.next().unwrap());
        project.wheel(&wheel.file(&format!("{name}.py"), format!("x = {version:?}")));
    }
    project.wheel(
        &WheelText::new("old", "2.0").metadata("Requires-Python: >=3.13").file("old.py", ""),
    );
    project.wheel(&WheelText::new("old", "1.0").file("old.py", ""));
    project.write("wheels/README.txt", "not a wheel");
    for name in ["t64.exe", "w64.exe"] {
        project.write(&format!("launchers/{name}"), launcher_bytes(name));
    }
    project
}

fn from(project: &Project, arguments: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap();
    let home = std::env::var("HOME").unwrap();
    venvtree_with(
        project.path(),
        &[&["spec", "from"], arguments].concat(),
        "",
        &[("PATH", &path), ("HOME", &home)],
    )
}

fn chosen(spec: &Value) -> Vec<String> {
    let name =
        |wheel: &Value| wheel["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    spec["wheels"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn each_target_gets_its_wheels() {
    let project = project();
    for (target, more, fast, old) in [
        (
            "linux-x86_64-3.12",
            &[][..],
            "fast-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
            "old-1.0-py3-none-any.whl",
        ),
        (
            "linux-x86_64-musl-3.12",
            &[],
            "fast-1.0-cp312-cp312-musllinux_1_2_x86_64.whl",
            "old-1.0-py3-none-any.whl",
        ),
        (
            "linux-arm64-3.12",
            &[],
            "fast-1.0-cp312-cp312-manylinux_2_17_aarch64.whl",
            "old-1.0-py3-none-any.whl",
        ),
        (
            "macos-arm64",
            &["--python-version", "3.12"],
            "fast-1.0-cp312-cp312-macosx_11_0_arm64.whl",
            "old-1.0-py3-none-any.whl",
        ),
        (
            "macos-arm64-14.0-3.13t",
            &[],
            "fast-1.0-cp313-cp313t-macosx_14_0_arm64.whl",
            "old-2.0-py3-none-any.whl",
        ),
        (
            "windows-x86_64-3.12",
            &["--launchers", "launchers"],
            "fast-1.0-cp312-cp312-win_amd64.whl",
            "old-1.0-py3-none-any.whl",
        ),
    ] {
        let output = from(&project, &[&["wheels", "--for", target], more].concat());
        assert_eq!(output.code, 0, "{target}: {output:?}");
        let spec: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(chosen(&spec), [fast, old, "pure-2.0-py3-none-any.whl"], "{target}");
        assert!(
            output
                .stderr
                .contains("left pure-1.0-py3-none-any.whl: `pure-2.0-py3-none-any.whl` is taken"),
            "{output:?}"
        );
        // And it is a spec: planned from another place as well.
        project.write("target.json", &output.stdout);
        project.run(&["plan", "target.json"]).success();
        project.run(&["build", "target.json", "--out", target]).success();
    }
}

#[test]
fn a_written_spec_names_wheels_beside_it() {
    let project = project();
    let output =
        from(&project, &["wheels", "--for", "linux-x86_64-3.12", "--out", "specs.json", "-q"]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "", ""));
    let spec: Value =
        serde_json::from_slice(&std::fs::read(project.path().join("specs.json")).unwrap()).unwrap();
    assert!(spec["wheels"][0]["path"].as_str().unwrap().starts_with("wheels/"), "{spec}");
    assert_eq!(spec["interpreter"]["python"]["path"], "/usr/bin/python3.12");
    let report =
        from(&project, &["wheels", "--for", "linux-x86_64-3.12", "--format", "json"]).json();
    assert_eq!(
        (report["version"].as_u64(), &report["spec"]["wheels"]),
        (Some(1), &spec["wheels"]),
        "{report}"
    );
    assert_eq!(report["left"].as_array().map(Vec::len), Some(8), "{report}");
}

#[test]
fn facts_and_interpreters_of_this_machine_are_targets_too() {
    let project = project();
    let python = crate::support::interpreters()
        .into_iter()
        .find(|python| python.version == (3, 12))
        .expect("a CPython 3.12");
    let python = python.path.to_str().unwrap();
    let facts = project.run(&["interpreter", "probe", python]).success();
    project.write("facts", &facts);
    let by_facts = from(&project, &["wheels", "--for", "facts"]).success();
    let by_path = from(&project, &["wheels", "--for", python]).success();
    assert_eq!(by_facts, by_path);
    project.write("here.json", &by_path);
    project.run(&["build", "here.json", "--out", "here"]).success();
    let output = std::process::Command::new(project.path().join("here/bin/python"))
        .args(["-c", "import pure; print(pure.x)"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2.0\n");
}

/// What lies with the program is taken unasked, and nothing else than what its version has.
#[test]
fn launchers_lie_with_an_installed_program() {
    let project = project();
    let program = project.path().join("prefix/bin/venvtree");
    install_program(program.as_std_path());
    let run = || {
        std::process::Command::new(&program)
            .args(["spec", "from", "wheels", "--for", "windows-x86_64-3.12"])
            .current_dir(project.path())
            .output()
            .unwrap()
    };
    let refused = |part: &str| {
        let output = run();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(part), "{said}");
    };
    refused("this program has none at ../share/venvtree/launchers");
    for name in ["t64.exe", "w64.exe"] {
        project.write(&format!("prefix/share/venvtree/launchers/{name}"), launcher_bytes(name));
    }
    let output = run();
    assert!(output.status.success(), "{output:?}");
    let spec: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(spec["launchers"]["gui"]["path"], "prefix/share/venvtree/launchers/w64.exe");
    project.write("prefix/share/venvtree/launchers/w64.exe", launcher_bytes("t64.exe"));
    refused(
        "w64.exe is not the launcher that this version of venvtree has: its SHA-256 is 81a618f2",
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let project = project();
    let newer = WheelText::new("newer", "1.0").tag("cp312-cp312-macosx_14_0_arm64");
    project.write(&format!("newer/{}", newer.file_name()), newer.pack());
    for (arguments, message, hint) in [
        (&["newer", "--for", "macos-arm64-3.12"][..], "`newer` fits", "macos-arm64-14.0-3.12"),
        (&["wheels", "--for", "windows-x86_64-3.12"], "needs launchers", "--launchers"),
        (
            &["wheels", "--for", "linux-x86_64-3.12", "--launchers", "launchers"],
            "for Windows",
            "leave --launchers out",
        ),
        (&["wheels", "--for", "linux-x86_64"], "version of Python is missing", "linux-x86_64-3.12"),
        (&["wheels", "--for", "linux-riscv64-3.12"], "no wheel of `fast` fits", "--skip-missing"),
        (&["launchers", "--for", "linux-x86_64-3.12"], "holds no wheels", "subdirectories"),
        (
            &["wheels/README.txt", "--for", "linux-x86_64-3.12"],
            "README.txt",
            "directories of wheels",
        ),
        (&["nowhere", "--for", "linux-x86_64-3.12"], "nowhere", ""),
        (&["wheels", "--for", "wheels/README.txt", "--python-version", "3.12"], "README.txt", ""),
    ] {
        let output = from(&project, arguments);
        assert_ne!(output.code, 0, "{arguments:?}: {output:?}");
        let (found, advice) = output.stderr.split_once("hint: ").unwrap_or((&output.stderr, ""));
        assert!(found.contains(message) && advice.contains(hint), "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, "");
    }
    let output = from(&project, &["wheels", "--for", "linux-riscv64-3.12", "--skip-missing", "-q"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(
        output.stderr,
        "warning: no wheel of `fast` fits, so the environment is without it\n"
    );
}
