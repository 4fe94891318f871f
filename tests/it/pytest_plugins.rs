//! The program that runs pytest for the rules, with many plugins: they are loaded as pytest does it.

use std::path::Path;
use std::process::Command;

use crate::bazel::relocatable_python;
use crate::support::commands::said;
use crate::support::download::locked_wheels;
use crate::support::project::Project;

/// What pytest says of its plugins, without addresses and times, and without the two that the
/// program adds.
fn plugins(output: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in output.lines() {
        if line.contains("._Bazel object at") || line.contains("venvtree_pytest_plugins") {
            continue;
        }
        // `PLUGIN registered: <… at 0x7f…>`, `    139833233893008     : <…>`, `== 1 passed in 0.1s ==`
        let without = line.split(" at 0x").next().unwrap();
        let plain = without.trim_start().trim_start_matches(|letter: char| letter.is_ascii_digit());
        lines.push(
            plain
                .split(" passed")
                .next()
                .unwrap()
                .split(" deselected")
                .next()
                .unwrap()
                .trim_start_matches('=')
                .to_owned(),
        );
    }
    lines
}

#[test]
fn plugins_are_those_that_pytest_loads_itself() {
    let wheels = locked_wheels(
        relocatable_python().join("bin/python3.11").to_str().unwrap(),
        "testdata/pytest-plugins.txt",
        "pytest-plugins",
    );
    let project = Project::new();
    let python = relocatable_python().join("bin/python3.11");
    let mut line =
        vec!["create", "env", "--no-seed", "--no-store", "--python", python.to_str().unwrap()];
    let paths: Vec<String> = wheels
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".whl"))
        .collect();
    line.extend(paths.iter().flat_map(|path| ["--wheel", path]));
    project.run(&line).success();
    let tests = "import os, sys
def test_environment():
    assert 'venvtree' not in os.environ.get('PYTEST_PLUGINS', ''), 'children load plugins as ever'
def test_rewritten():
    from _pytest.assertion.rewrite import AssertionRewritingHook
    loaders = {name: getattr(sys.modules[name], '__loader__', None) for name in list(sys.modules)}
    print('rewritten', *(name for name in loaders if isinstance(loaders[name], AssertionRewritingHook)))
";
    let tests = project.write("test_it.py", tests);
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/private/runtime/run_test.py");
    let run = |how: &str, variables: &[(&str, &str)], options: &[&str]| {
        let mut command = Command::new(project.path().join("env/bin/python"));
        command.args(["-B", "-P"]);
        if how.is_empty() {
            let root = format!("--rootdir={}", project.path());
            command
                .args(["-m", "pytest", "-p", "no:cacheprovider", &root])
                .args(options)
                .arg(&tests);
        } else {
            command.arg(&runner).args(["pytest", how]).arg(&tests).arg("--").args(options);
        }
        command.env_clear().envs(variables.iter().copied()).current_dir(project.path());
        let output = command.output().unwrap();
        said(&output)
    };
    let off = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1");
    // Asynchronous fixtures have a default that is said, where it is not set.
    let quiet = ("PYTEST_ADDOPTS", "-Wignore");
    for (variables, options) in [
        (&[quiet][..], &[][..]),
        (&[quiet], &["-p", "no:anyio", "-p", "no:xdist"]),
        (&[quiet], &["--disable-plugin-autoload", "-p", "pytest_mock"]),
        (&[quiet, ("PYTEST_PLUGINS", "pytest_mock")], &[]),
        (&[quiet, off], &["-k", "rewritten"]),
    ] {
        let options = [&["--trace-config"], options].concat();
        let itself = plugins(&run("", variables, &options));
        assert!(itself.iter().filter(|line| line.starts_with("PLUGIN registered")).count() > 20);
        let named = run("named", variables, &options);
        assert_eq!(plugins(&named), itself, "{variables:?} {options:?}");
        assert_eq!(plugins(&run("autoload", variables, &options)), itself);
    }
    let rewritten = |how: &str| -> Vec<String> {
        let output = run(how, &[quiet], &["-s"]);
        assert!(output.contains("2 passed"), "{output}");
        let line = output.lines().find_map(|line| line.split_once("rewritten ")).unwrap().1;
        line.split(' ').map(str::to_owned).collect()
    };
    let (named, autoload) = (rewritten("named"), rewritten("autoload"));
    assert!(named.iter().all(|name| autoload.contains(name)), "{named:?}");
    assert!(named.contains(&"pytest_cov.plugin".to_owned()), "{named:?}");
    assert!(named.len() * 3 < autoload.len(), "{} instead of {}", named.len(), autoload.len());
    // Processes that a plugin starts have the plugins, too.
    let output = run("named", &[quiet], &["-n2"]);
    assert!(output.contains("2 passed") && output.contains("2 workers"), "{output}");
}
