//! Environments with bytecode as people use them: processes that Python starts, caches elsewhere,
//! pip and coverage.

use std::process::Command;

use camino::Utf8Path;
use serde_json::Value;

use crate::bytecode::{bytecode_in, compiled_spec, releases};
use crate::support::commands::succeed_alone;
use crate::support::download::wheels_with_needs;
use crate::support::peers::peer;
use crate::support::programs::Python;
use crate::support::project::{Project, WheelText, listing};

/// Builds an environment with unchecked bytecode of these levels, or without any.
fn build(project: &Project, python: &Python, wheels: &[Value], out: &str, levels: &[u8]) {
    compiled_spec(project, python, wheels, |spec| {
        spec["bytecode"]["levels"] = levels.into();
        if levels.is_empty() {
            spec.as_object_mut().unwrap().remove("bytecode");
        }
    });
    project.build(out).with(&["--compiler", python.text()]).no_store().run().success();
}

/// Writes a file anew, which others may have a link to.
fn edit(path: &Utf8Path, text: &str) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Workers of `multiprocessing` import the same bytecode as who starts them. Where bytecode is wanted
/// elsewhere, all of them compile, and write there.
#[test]
fn workers_import_bytecode_unless_it_is_wanted_elsewhere() {
    const PROGRAM: &str = "\
import multiprocessing, sys
import work
if __name__ == '__main__':
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(work.what(0), *pool.map(work.what, range(2)))
";
    let module =
        |text: &str| format!("def what(number):\n    return {text:?}, __debug__, __name__\n");
    for (python, release) in releases() {
        let project = Project::new();
        let wheel = project.wheel(&WheelText::new("work", "1.0").file("work.py", module("built")));
        build(&project, &python, &[wheel], "env", &[0, 1]);
        let site = format!("env/lib/python3.{}/site-packages", release.minor());
        // Only who compiles sees this.
        edit(&project.path().join(&site).join("work.py"), &module("edited"));
        let program = project.write("main.py", PROGRAM);
        let env = project.path().join("env");
        let before = listing(env.as_std_path());
        for (start, option, debug) in [("spawn", "-B", "True"), ("forkserver", "-BO", "False")] {
            let mut run = Command::new(env.join("bin/python"));
            let shown = succeed_alone(run.args([option, program.as_str(), start]));
            let expected = format!("('built', {debug}, 'work')").repeat(3);
            assert_eq!(shown.replace(") (", ")(").trim(), expected, "{:?}", python.version);
        }
        let prefix = project.path().join("elsewhere");
        let mut run = Command::new(env.join("bin/python"));
        let run = run.args([program.as_str(), "spawn"]).env("PYTHONPYCACHEPREFIX", &prefix);
        // Variables are part of what is tried here.
        let shown = crate::support::commands::succeed(run.env("PYTHONDONTWRITEBYTECODE", ""));
        assert_eq!(shown.matches("('edited', True, 'work')").count(), 3, "{shown}");
        let own = format!("work.{}.pyc", release.tag());
        let place = prefix.join(env.strip_prefix("/").unwrap()).join("lib");
        let there = bytecode_in(&place);
        assert!(listing(place.as_std_path()).iter().any(|line| line.contains(&own)), "{there:?}");
        assert_eq!(listing(env.as_std_path()), before, "{:?}", python.version);
    }
}

/// A level that there is none of is compiled by Python from what is there, with or without the right
/// to write; and warnings show where their source lies.
#[test]
fn other_levels_are_compiled_and_warnings_show_the_source() {
    for (python, release) in releases() {
        let project = Project::new();
        let module = |text: &str| {
            format!(
                "import warnings\ndef what():\n    warnings.warn('here')\n    return {text:?}\n"
            )
        };
        let wheel = project.wheel(&WheelText::new("work", "1.0").file("work.py", module("built")));
        build(&project, &python, &[wheel], "env", &[0]);
        let env = project.path().join("env");
        let source = env.join(format!("lib/python3.{}/site-packages/work.py", release.minor()));
        edit(&source, &module("edited"));
        let before = listing(env.as_std_path());
        for (option, expected) in [("-B", "built"), ("-BO", "edited"), ("-BOO", "edited")] {
            let mut run = Command::new(env.join("bin/python"));
            run.args([option, "-c", "import work; print(work.what())"]);
            let output = run.env_remove("LD_LIBRARY_PATH").output().unwrap();
            let (shown, warned) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(shown).trim(), expected, "{option}: {warned}");
            let place = format!("{source}:3: UserWarning: here\n  warnings.warn('here')");
            assert!(warned.contains(&place), "{option}: {warned}");
        }
        assert_eq!(listing(env.as_std_path()), before);
    }
}

/// Of what `pip uninstall` removes, bytecode of levels 1 and 2 is left, and the folders that it is
/// in; with level 0 alone a package is gone.
#[test]
fn pip_leaves_bytecode_of_other_levels() {
    for (python, release) in releases() {
        let project = Project::new();
        let wheel = WheelText::new("sample", "1.0")
            .file("sample/__init__.py", "")
            .file("sample/deep/module.py", "X = 1\n")
            .file("top.py", "X = 1\n");
        let wheel = project.wheel(&wheel);
        let site = format!("lib/python3.{}/site-packages", release.minor());
        let name = |module: &str, level: u8| {
            let level = if level == 0 { String::new() } else { format!(".opt-{level}") };
            let (folder, stem) = module.rsplit_once('/').unwrap_or((".", module));
            let path = format!("{site}/{folder}/__pycache__/{stem}.{}{level}.pyc", release.tag());
            path.replace("/./", "/")
        };
        let modules = ["sample/__init__", "sample/deep/module", "top"];
        for levels in [&[0][..], &[0, 1, 2]] {
            let env = format!("env{}", levels.len());
            let text = levels.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
            let bytecode = format!("--bytecode={text}");
            let line = ["create", &env, "--no-seed", "--no-store", "--python", python.text()];
            let wheel = ["--wheel", wheel["path"].as_str().unwrap(), &bytecode];
            project.run(&[&line[..], &wheel].concat()).success();
            let env = project.path().join(env);
            let all = |levels: &[u8]| {
                let each = modules
                    .iter()
                    .flat_map(|module| levels.iter().map(|level| name(module, *level)));
                let mut all: Vec<String> = each.collect();
                all.sort();
                all
            };
            let found = || {
                let mut found = bytecode_in(&env);
                found.sort();
                found
            };
            assert_eq!(found(), all(levels));
            let mut pip = Command::new(peer("python"));
            pip.args(["-m", "pip", "--disable-pip-version-check", "--python"]);
            pip.arg(env.join("bin/python")).args(["uninstall", "--yes", "sample"]);
            succeed_alone(&mut pip);
            assert_eq!(found(), all(&levels[1..]), "{:?}", python.version);
            let folder = env.join(&site).join("sample");
            assert_eq!(folder.exists(), levels.len() > 1, "{:?}", python.version);
            assert!(!env.join(&site).join("top.py").exists());
        }
    }
}

/// The package `coverage` counts the same lines and branches with bytecode and without, whichever
/// way of the interpreter it has itself called by.
#[test]
fn coverage_is_the_same() {
    const LINES: &str = "\
\"\"\"Of every kind of line.\"\"\"
import functools


def decorate(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(
            *arguments,
        )
    return wrapper


@decorate
def some(number):
    \"\"\"Has words.\"\"\"
    if number > 3:
        return [
            each
            for each in range(number)
            if each % 2
        ]
    try:
        for each in range(number):
            if each == 2:
                break
        else:
            return None
    finally:
        number += 1
    while True:
        match number:
            case 0:
                return 'never'
            case _ if number > 100:
                return number
            case _:
                number *= 3


class Never:
    def called(self):
        return (lambda: 1)()


if __debug__:
    async def later():
        yield 1
";
    const PROGRAM: &str = "\
import os, sys, covered.lines
covered.lines.some(1), covered.lines.some(3), covered.lines.some(5)
print(os.path.exists(covered.lines.__cached__))
";
    for (python, _) in releases() {
        let project = Project::new();
        let covered = WheelText::new("covered", "1.0")
            .file("covered/__init__.py", "")
            .file("covered/lines.py", LINES);
        let mut wheels = wheels_with_needs(&python, &["coverage"]);
        wheels.push(project.wheel(&covered));
        let program = project.write("main.py", PROGRAM);
        let [without, with] =
            [("without", &[][..], "False"), ("with", &[0], "True")].map(|(out, levels, cached)| {
                build(&project, &python, &wheels, out, levels);
                let run = |arguments: &[&str]| {
                    let mut run = Command::new(project.path().join(out).join("bin/python"));
                    run.args(["-B", "-m", "coverage"]).args(arguments);
                    succeed_alone(run.current_dir(project.path()))
                };
                let options = ["run", "--branch", "--source", "covered", program.as_str()];
                assert_eq!(run(&options).trim(), cached, "{:?}", python.version);
                let report = run(&["json", "-q", "-o", "/dev/stdout"]);
                let report: Value = serde_json::from_str(&report).unwrap();
                let files = report["files"].as_object().unwrap().values().cloned();
                (files.collect::<Vec<_>>(), report["totals"].clone())
            });
        assert_eq!(without, with, "{:?}", python.version);
        let totals = &with.1;
        for count in ["covered_lines", "missing_lines", "covered_branches", "missing_branches"] {
            assert!(totals[count].as_u64().unwrap() > 0, "{count}: {totals}");
        }
    }
}
