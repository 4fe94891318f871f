//! What is said about bytecode: to whom mistypes something, and of what has none.

use serde_json::json;

use crate::bytecode::{compile, compiled_spec, releases};
use crate::support::programs::{Python, interpreters};
use crate::support::project::{Output, Project, WheelText};
use crate::support::write_executable;

fn newest() -> Python {
    releases().pop().expect("there are interpreters that compile").0
}

/// `bytecode compile` of these wheels into `made`.
fn compiling(project: &Project, wheels: &[&str], compiler: &str) -> Output {
    let command = ["bytecode", "compile", "--compiler", compiler, "--out", "made"];
    project.run(&[&command[..], wheels].concat())
}

/// What cannot be compiled is no matter of `wheel check`, and what is denied cannot be allowed.
#[test]
fn who_denies_what_cannot_be_compiled_is_told_what_to_change() {
    let (project, python) = (Project::new(), newest());
    let sample = WheelText::new("sample", "1.0").file("sample.py", "X = 1\n");
    let wheel = project.wheel(&sample.file("one.py", "(\n").file("two.py", ")\n"));
    let build = |deny: &[&str], exclude: &[&str]| {
        compiled_spec(&project, &python, std::slice::from_ref(&wheel), |spec| {
            spec["flags"]["deny"] = json!(deny);
            spec["bytecode"]["exclude"] = json!(exclude);
        });
        project.build("env").with(&["--replace", "--compiler", python.text()]).no_store().run()
    };
    let refused = build(&["bytecode.uncompilable"], &[]);
    let hint = "leave the module out with the spec's `bytecode.exclude`, or take \
                `bytecode.uncompilable` out of `flags.deny`";
    refused.says(hint);
    refused.ends(4, "\"one.py\": SyntaxError");
    for wrong in ["--allow", "wheel check"] {
        assert!(!refused.stderr.contains(wrong), "{}", refused.stderr);
    }
    build(&["bytecode.uncompilable"], &["one.py", "two.py"]).success();
    build(&[], &["two.py"]).ends(0, "`one.py` cannot be compiled, and has no bytecode");
    build(&[], &[]).ends(0, "`one.py` and 1 more cannot be compiled, and have no bytecode");
    // Each module that was left out is said with its wheel, and not counted as compiled.
    let path = wheel["path"].as_str().unwrap();
    let said = compiling(&project, &[path], python.text());
    said.says("sample-1.0-py3-none-any.whl: information[bytecode.uncompilable]: \"one.py\": ");
    said.ends(0, "compiled: 1 module, by ");
    let report = &compile(&project, path, &python, &[])["overlays"][0];
    assert_eq!((&report["modules"], &report["compiled"]), (&json!(3), &json!(1)));
    assert_eq!(report["of"], "sample-1.0-py3-none-any.whl");
}

#[test]
fn patterns_that_leave_nothing_out_are_told() {
    let (project, python) = (Project::new(), newest());
    let sample = WheelText::new("sample", "1.0").file("sample/a.py", "").file("sample/b.py", "");
    let wheel = project.wheel(&sample);
    let spec = |exclude: &[&str]| {
        compiled_spec(&project, &python, std::slice::from_ref(&wheel), |spec| {
            spec["bytecode"]["exclude"] = json!(exclude);
        });
        let with = ["--replace", "--compiler", python.text()];
        project.build("env").with(&with).no_store().run()
    };
    let quiet = ["sample/a.py", "sample/*", "test/**", "**/tests/**", "**/other/**"];
    let said = spec(&quiet);
    assert!(said.code == 0 && !said.stderr.contains("matches no module"), "{}", said.stderr);
    let told = spec(&["sample/a.py", "smaple/**", "*.py", "sample"]);
    for (pattern, is_told) in
        [("sample/a.py", false), ("smaple/**", true), ("*.py", true), ("sample", true)]
    {
        let warning = format!("`bytecode.exclude`: the pattern `{pattern}` matches no module");
        assert_eq!(told.stderr.contains(&warning), is_told, "{pattern}: {}", told.stderr);
    }
    told.success();
    for pattern in ["/sample/a.py", "../a.py", "sample/"] {
        spec(&[pattern]).ends(3, "can match no module: ");
        let wheel = wheel["path"].as_str().unwrap();
        compiling(&project, &[wheel, "--exclude", pattern], python.text())
            .ends(2, &format!("the pattern `{pattern}` can match no module: "));
    }
}

/// A shell hands on a pattern that nothing matches.
#[test]
fn what_is_no_wheel_is_not_there_or_a_directory() {
    let (project, python) = (Project::new(), newest());
    let wheel = WheelText::new("sample", "1.0").file("sample.py", "");
    project.wheel(&wheel);
    project.write("notes.txt", "");
    for (wheel, code, expected) in [
        ("nope.whl", 7, "nope.whl` cannot be read: No such file"),
        ("nope/*.whl", 7, "nope/*.whl` cannot be read: No such file"),
        ("nope-1.0-py3-none-any.whl", 7, "nope-1.0-py3-none-any.whl` cannot be read: No such file"),
        ("notes.txt", 2, "`notes.txt`"),
    ] {
        let create = ["create", "env", "--no-seed", "--python", python.text(), "--wheel", wheel];
        for output in [compiling(&project, &[wheel], python.text()), project.run(&create)] {
            output.ends(code, expected);
            assert_eq!(output.stderr.contains("is no wheel"), code == 2, "{}", output.stderr);
            assert!(!output.stderr.contains("parts"), "{}", output.stderr);
        }
        if code == 7 {
            project.run(&["wheel", "check", wheel]).ends(code, expected);
        }
    }
    let create = ["create", "env", "--no-seed", "--python", python.text(), "--wheel", "wheels"];
    for output in [compiling(&project, &["wheels"], python.text()), project.run(&create)] {
        output.says("wheels` is a directory, expected a wheel");
        output.ends(2, "wheels/*.whl`");
    }
    project.run(&["wheel", "check", "wheels"]).success();
}

#[test]
fn what_is_no_compiler_is_told_which_one_is_needed() {
    let project = Project::new();
    let wheel = project.wheel(&WheelText::new("sample", "1.0").file("sample.py", ""));
    let wheel = wheel["path"].as_str().unwrap();
    let script = |text: &str| {
        write_executable(project.path().join("script").as_std_path(), text.as_bytes());
        compiling(&project, &[wheel], "./script")
    };
    for text in ["#!/bin/sh\necho hello\n", "#!/bin/sh\necho hello, this is no greeting\n"] {
        let said = script(text);
        said.ends(7, "it gave no greeting");
        assert!(!said.stderr.contains("bytes"), "{}", said.stderr);
    }
    for python in interpreters().iter().filter(|python| python.version.1 < 11) {
        let said = compiling(&project, &[wheel], python.text());
        said.says("expected a regular build of CPython 3.11, 3.12, 3.13, 3.14");
        said.ends(3, "hint: bytecode is made by releases of CPython 3.11 to 3.14 only");
    }
    // What says nothing more than its type is not followed by nothing.
    let python = newest();
    let of_two = format!(
        "#!{0}\nimport sys\nat = sys.argv.index('-c') + 1\n\
         program = sys.argv[at].replace('code = compile(', 'raise MemoryError; code = compile(')\n\
         exec(program, {{'__name__': '__main__'}})\n",
        python.text()
    );
    let said = script(&of_two);
    said.ends(7, "could not be compiled: MemoryError\n");
}

/// Bytecode depends on the patch level, which targets may leave out.
#[test]
fn a_target_without_a_patch_level_is_told_how_to_name_one() {
    let (project, python) = (Project::new(), newest());
    let wheel = project.wheel(&WheelText::new("sample", "1.0").file("sample.py", ""));
    let (path, hash) = (wheel["path"].as_str().unwrap(), wheel["sha256"].as_str().unwrap());
    project.write("requirements.txt", format!("./{path} --hash=sha256:{hash}\n"));
    let build = |target: &str| {
        let command = ["build", "--lock", "requirements.txt", "--out", "env", "--no-store"];
        let how = ["--target", target, "--bytecode", "--compiler", python.text()];
        project.run(&[&command[..], &how].concat())
    };
    let said = build("linux-x86_64-3.12");
    said.says("the interpreter's version is 3.12, expected one with its patch level");
    said.ends(2, "(`--target linux-x86_64-3.12.1`)");
    let probed = project.run(&["interpreter", "probe", python.text()]).json();
    let version = probed["version"].as_str().unwrap();
    build(&format!("linux-x86_64-{version}")).success();
}
