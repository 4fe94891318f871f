//! Conflicts: decided before anything is written, all at once, with who claims what.

use serde_json::{Value, json};

use crate::support::project::{Output, Project, WheelText, some_interpreter};

struct Case {
    project: Project,
    wheels: Vec<Value>,
}

impl Case {
    fn new(wheels: &[WheelText]) -> Self {
        let project = Project::new();
        let wheels = wheels.iter().map(|wheel| project.wheel(wheel)).collect();
        Self { project, wheels }
    }

    fn build(&self, change: impl FnOnce(&mut Value)) -> Output {
        self.project.spec(some_interpreter(), &self.wheels, change);
        self.project.run(&["build", "env.json", "--out", "out", "--replace"])
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(
            self.project.path().join("out/lib/python3.11/site-packages").join(path),
        )
        .unwrap()
    }
}

fn two(path: &str, first: &str, second: &str) -> Case {
    Case::new(&[
        WheelText::new("one", "1.0").file(path, first),
        WheelText::new("two", "2.0").file(path, second),
    ])
}

fn flags(flags: Value) -> impl FnOnce(&mut Value) {
    |spec| spec["flags"] = flags
}

#[test]
fn other_contents_are_an_error_unless_a_policy_decides() {
    let case = two("shared/__init__.py", "one", "two");
    let output = case.build(|_| ());
    assert_eq!(output.code, 5);
    assert!(!case.project.path().join("out").exists());
    for part in [
        "lib/python3.11/site-packages/shared/__init__.py",
        "one-1.0-py3-none-any.whl",
        "two-2.0-py3-none-any.whl",
        "hint: ",
    ] {
        output.says(part);
    }
    case.build(flags(json!({"conflicts": "first"}))).success();
    assert_eq!(case.read("shared/__init__.py"), "one");
    let output = case.build(flags(json!({"conflicts": "last"})));
    output.says("wins over");
    assert_eq!(case.read("shared/__init__.py"), "two");
    // The loser's RECORD does not list what is not its own.
    assert!(!case.read("one-1.0.dist-info/RECORD").contains("shared/__init__.py"));
    assert!(case.read("two-2.0.dist-info/RECORD").contains("shared/__init__.py"));
    for overrides in [
        json!({"lib/python3.11/site-packages/shared": "wheel:one"}),
        json!({"lib/python3.11/site-packages/shared/__init__.py": "first"}),
    ] {
        case.build(flags(json!({"conflict_overrides": overrides}))).success();
        assert_eq!(case.read("shared/__init__.py"), "one");
    }
    let output = case.build(flags(
        json!({"conflict_overrides": {"lib/python3.11/site-packages/shared": "wheel:three"}}),
    ));
    output.says("names `three`, which does not claim it");
}

#[test]
fn the_message_does_not_depend_on_the_order_of_wheels() {
    let mut case = two("x.py", "one", "two");
    let first = case.build(|_| ()).stderr;
    case.wheels.reverse();
    assert_eq!(case.build(|_| ()).stderr, first);
}

#[test]
fn the_same_bytes_are_no_conflict_and_belong_to_both() {
    let case = two("shared/__init__.py", "same", "same");
    case.build(|_| ()).success();
    for record in ["one-1.0.dist-info/RECORD", "two-2.0.dist-info/RECORD"] {
        assert!(case.read(record).contains("shared/__init__.py"), "{record}");
    }
}

#[test]
fn namespaces_merge() {
    let case = Case::new(&[
        WheelText::new("one", "1.0").file("ns/one.py", ""),
        WheelText::new("two", "2.0").file("ns/two.py", ""),
    ]);
    case.build(|_| ()).success();
    assert_eq!((case.read("ns/one.py"), case.read("ns/two.py")), (String::new(), String::new()));
}

#[test]
fn a_file_is_never_a_directory_whatever_the_policy() {
    let case = Case::new(&[
        WheelText::new("one", "1.0").file("ns", ""),
        WheelText::new("two", "2.0").file("ns/two.py", ""),
    ]);
    for policy in ["error", "first", "last"] {
        let output = case.build(flags(json!({"conflicts": policy})));
        output.ends(5, "is a file for some and a directory for others");
    }
}

#[test]
fn names_that_fold_are_errors_where_the_target_folds_them() {
    let case = Case::new(&[
        WheelText::new("one", "1.0").file("Pkg/a.py", ""),
        WheelText::new("two", "2.0").file("pkg/b.py", ""),
    ]);
    let output = case.build(|_| ());
    output.ends(0, "differ only in case or Unicode form");
    let output = case.build(|spec| {
        spec["interpreter"]["platform"] =
            json!({"os": "macos", "arch": "aarch64", "version": "14.0"})
    });
    output.ends(5, "site-packages/Pkg` and `lib/python3.11/site-packages/pkg`");
}

#[test]
fn all_conflicts_are_reported_at_once() {
    let one = WheelText::new("one", "1.0")
        .file("a.py", "1")
        .file("b.py", "1")
        .file("c", "")
        .console_scripts("tool = one:main");
    let two = WheelText::new("two", "2.0")
        .file("a.py", "2")
        .file("b.py", "2")
        .file("c/d", "")
        .console_scripts("tool = two:main");
    let output = Case::new(&[one, two]).build(|_| ());
    for part in ["site-packages/a.py`", "site-packages/b.py`", "site-packages/c`", "`bin/tool`"] {
        output.says(part);
    }
}

#[test]
fn nothing_takes_the_interpreters_place() {
    for (scheme, path) in [
        ("data", "pyvenv.cfg"),
        ("data", "bin/python3"),
        ("data", "bin/activate"),
        ("data", ".python/x"),
    ] {
        let wheel =
            WheelText::new("one", "1.0").file(&format!("one-1.0.data/{scheme}/{path}"), "x");
        let output = Case::new(&[wheel]).build(flags(json!({"conflicts": "last"})));
        assert!(matches!(output.code, 4 | 5), "{path}: {}", output.stderr);
    }
}

#[test]
fn excluded_files_conflict_with_nothing() {
    let mut case = two("shared/tests/x.py", "one", "two");
    case.wheels[0]["exclude"] = json!(["shared/tests/**"]);
    case.build(|_| ()).success();
    assert_eq!(case.read("shared/tests/x.py"), "two");
    assert!(!case.read("one-1.0.dist-info/RECORD").contains("tests"));
    case.wheels[0]["exclude"] = json!(["shared/tests/**", "nothing/**"]);
    assert!(case.build(|_| ()).stderr.contains("the exclude pattern `nothing/**` matches nothing"));
    case.wheels[0]["exclude"] = json!(["**"]);
    let output = case.build(|_| ());
    output.says("which an installed distribution needs");
}

#[test]
fn what_does_not_fit_the_interpreter_is_refused() {
    let check = |wheel: WheelText, parts: &[&str]| {
        let output = Case::new(&[wheel]).build(|_| ());
        assert_eq!(output.code, 4, "{}", output.stderr);
        for part in parts {
            output.says(part);
        }
    };
    check(
        WheelText::new("one", "1.0").tag("cp312-cp312-manylinux_2_17_x86_64"),
        &["cp312", "cp311"],
    );
    check(WheelText::new("one", "1.0").tag("py3-none-win_amd64"), &["win_amd64"]);
    check(WheelText::new("one", "1.0").metadata("Requires-Python: >=3.12"), &[">=3.12", "3.11.7"]);
    let output =
        Case::new(&[WheelText::new("one", "1.0"), WheelText::new("One", "2.0")]).build(|_| ());
    output.ends(5, "the distribution `one` comes from 2 wheels");
}

#[test]
fn two_wheels_of_one_distribution_are_one_problem() {
    let wheel = |version: &str, text: &str| {
        WheelText::new("one", version).file("one.py", text).file("same.py", "")
    };
    let refused = |wheels: &[WheelText]| {
        let output = Case::new(wheels).build(|_| ());
        output.ends(5, "[same-distribution]");
        output.stderr
    };
    // Of other contents, and of one version with another build, which have one RECORD.
    let other = wheel("1.0", "2").tag("py2.py3-none-any");
    for wheels in [[wheel("1.0", "1"), wheel("2.0", "2")], [wheel("1.0", "1"), other]] {
        let said = refused(&wheels);
        assert!(!said.contains("reasons") && !said.contains("exclude"), "{said}");
    }
    // What is another problem is said.
    let third = WheelText::new("two", "1.0").file("one.py", "3");
    let said = refused(&[wheel("1.0", "1"), wheel("2.0", "2"), third]);
    assert!(said.contains("for 2 reasons") && said.contains("one.py` is claimed"), "{said}");
}

#[test]
fn requirements_are_checked_for_the_target() {
    let one = WheelText::new("one", "1.0")
        .metadata("Requires-Dist: two >=3")
        .metadata("Requires-Dist: three")
        .metadata("Requires-Dist: four; sys_platform == 'win32'");
    let case = Case::new(&[one, WheelText::new("two", "2.0")]);
    let output = case.build(|_| ());
    assert_eq!(output.code, 0);
    assert!(
        output.stderr.contains("two")
            && output.stderr.contains("three")
            && !output.stderr.contains("four"),
        "{}",
        output.stderr
    );
    assert_eq!(case.build(flags(json!({"requirements": "error"}))).code, 4);
    assert_eq!(
        case.build(flags(json!({"requirements": "off"}))).stderr.matches("warning").count(),
        0
    );
}
