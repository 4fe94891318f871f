//! What an interpreter looks for beside its executable before it reads anything else: no wheel can
//! put it there.
//!
//! `startup_reads_only_what_is_reserved` watches real interpreters: a version that looks for
//! something new fails it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use venvtree::model::reserved::in_environment;

use crate::support::project::{Output, Project, WheelText, some_interpreter};
use crate::support::{Python, interpreters};

/// Where a wheel could put what takes the interpreter over.
const PATHS: [&str; 16] = [
    "scripts/python._pth",
    "scripts/PYTHON3._PTH",
    "scripts/pyvenv.cfg",
    "scripts/PyVenv.cfg",
    "scripts/pybuilddir.txt",
    "scripts/python._pth/below",
    "scripts/Modules/Setup.local",
    "data/BIN/python3.11._pth",
    "data/bin/pyvenv.cfg",
    "data/bin/pyvenv.cfg/below",
    "data/bin/modules/setup",
    "data/lib/python311.zip",
    "data/lib64/python311.zip",
    "data/lib/python3.11/os.py",
    "data/lib/python3.11/lib-dynload/x.so",
    "data/bin/pyth\u{200d}on._pth",
];

fn platforms() -> [(&'static str, Value); 3] {
    let mut windows = some_interpreter();
    windows["platform"] = json!({"os": "windows", "arch": "x86_64"});
    windows["python"] = json!({"kind": "absolute", "path": "C:/Python/python.exe"});
    let mut macos = some_interpreter();
    macos["platform"] = json!({"os": "macos", "arch": "aarch64", "version": "14.0"});
    [("linux", some_interpreter()), ("macos", macos), ("windows", windows)]
}

fn plan(path: &str, interpreter: &Value, exclude: &[&str]) -> Output {
    let project = Project::new();
    let wheel = WheelText::new("one", "1.0")
        .file("one.py", "")
        .file(&format!("one-1.0.data/{path}"), "../evil\n");
    let mut wheel = project.wheel(&wheel);
    wheel["exclude"] = json!(exclude);
    let windows = interpreter["platform"]["os"] == "windows";
    project.spec(interpreter.clone(), &[wheel], |spec| {
        if windows {
            let launcher = |name: &str| {
                let program = "import pathlib, sys, distlib; \
                    sys.stdout.buffer.write(pathlib.Path(distlib.__file__).with_name(sys.argv[1]).read_bytes())";
                let output = Command::new(crate::support::peers::peer("python")).args(["-c", program, name]).output().unwrap();
                let path = project.write(name, &output.stdout);
                json!({"path": path, "sha256": venvtree::model::digest::Hash::sha256(&output.stdout)})
            };
            spec["launchers"] = json!({"console": launcher("t64.exe"), "gui": launcher("w64.exe")});
        }
    });
    project.run(&["plan", "env.json"])
}

#[test]
fn a_wheel_cannot_put_there_what_takes_the_interpreter_over() {
    for (os, interpreter) in platforms() {
        for path in PATHS {
            let path = if os == "windows" {
                path.replacen("data/bin", "data/Scripts", 1).replacen("data/BIN", "data/SCRIPTS", 1)
            } else {
                path.to_owned()
            };
            let output = plan(&path, &interpreter, &[]);
            assert_eq!(output.code, 5, "{os} {path}: {}{}", output.stdout, output.stderr);
            assert!(
                output.stderr.contains("is reserved, the interpreter looks for it")
                    && output.stderr.contains("hint: leave it out with `exclude`"),
                "{}",
                output.stderr
            );
        }
        let output = plan("scripts/python._pth", &interpreter, &["*._pth"]);
        assert_eq!(output.code, 0, "{os}: {}", output.stderr);
    }
    let (_, windows) = &platforms()[2];
    for path in [
        "scripts/python3.dll",
        "scripts/VCRUNTIME140.dll",
        "data/Scripts/python311.zip",
        "data/Lib/os.py",
    ] {
        assert_eq!(plan(path, windows, &[]).code, 5, "{path}");
    }
}

#[test]
fn it_is_told_of_wheels_and_of_environments() {
    let project = Project::new();
    for path in PATHS {
        let wheel = WheelText::new("one", "1.0").file(&format!("one-1.0.data/{path}"), "");
        project.wheel(&wheel);
        let output = project.run(&["wheel", "check", &format!("wheels/{}", wheel.file_name())]);
        assert_eq!(output.code, 4, "{path}: {}", output.stdout);
        assert!(output.stdout.contains("startup.interpreter"), "{path}: {}", output.stdout);
    }
    let wheel = WheelText::new("one", "1.0")
        .file("one-1.0.data/scripts/x.pth", "")
        .file("one-1.0.data/data/share/python._pth", "");
    project.wheel(&wheel);
    project.run(&["wheel", "check", &format!("wheels/{}", wheel.file_name())]).success();
    for path in
        ["bin/python3.12._pth", "bin/Modules/Setup", "lib/python312.zip", "lib/python3.12/os.py"]
    {
        let project = Project::new();
        project.write("env/pyvenv.cfg", "home = /usr/bin\n");
        project.write("env/lib/python3.12/site-packages/x.py", "");
        assert!(!project.run(&["wheel", "check", "env"]).stdout.contains("startup."));
        project.write(&format!("env/{path}"), "");
        let output = project.run(&["wheel", "check", "env"]);
        assert!(
            output.stdout.contains("startup.interpreter") && output.stdout.contains(path),
            "{path}: {}",
            output.stdout
        );
    }
}

#[test]
fn no_policy_gives_a_wheel_the_file_of_path_entries() {
    for name in ["_venvtree.pth", "_VENVTREE.pth"] {
        let project = Project::new();
        let wheel = project.wheel(&WheelText::new("one", "1.0").file(name, "import os\n"));
        project.spec(some_interpreter(), &[wheel], |spec| {
            spec["path_entries"] = json!(["../x"]);
            spec["flags"]["conflicts"] = json!("last");
        });
        let output = project.run(&["plan", "env.json"]);
        assert!(
            output.code == 5
                && output.stderr.contains("is reserved, it belongs to the environment"),
            "{}",
            output.stderr
        );
    }
}

/// Files of wheels by which code runs when an interpreter starts, with the code that tells it.
fn hidden() -> Vec<(Vec<(&'static str, String)>, &'static str)> {
    let own = |name: &'static str, text: &str| (name, text.to_owned());
    let big = format!("#{}\nimport os\n", "x".repeat(1 << 20));
    vec![
        (vec![own("a.pth", "sub\n"), own("sub/sitecustomize.py", "")], "startup.customize"),
        (
            vec![own("a.pth", "one/./two\n"), own("one/two/usercustomize/__init__.py", "")],
            "startup.customize",
        ),
        (vec![own("a.pth", "modules.zip\n"), own("modules.zip", "")], "startup.path"),
        (vec![own("a.pth", "# \u{c}import os\n")], "startup.import"),
        (vec![own("a.pth", "# \u{2028}import os\n")], "startup.import"),
        (vec![("a.pth", big)], "startup.import"),
    ]
}

#[test]
fn code_that_runs_at_the_start_is_not_hidden_by_path_files() {
    for (files, code) in hidden() {
        let project = Project::new();
        let mut wheel = WheelText::new("one", "1.0");
        for (name, text) in &files {
            wheel = wheel.file(name, text.as_str());
            project.write(&format!("env/lib/python3.12/site-packages/{name}"), text);
        }
        let reference = project.wheel(&wheel);
        let output = project.run(&["wheel", "check", &format!("wheels/{}", wheel.file_name())]);
        assert!(output.stdout.contains(&format!("[{code}]")), "{code}: {}", output.stdout);
        project.write("env/pyvenv.cfg", "home = /usr/bin\n");
        let output = project.run(&["wheel", "check", "env"]);
        assert!(output.stdout.contains(&format!("[{code}]")), "{code}: {}", output.stdout);
        project
            .spec(some_interpreter(), &[reference], |spec| spec["flags"]["deny"] = json!([code]));
        let refused = project.run(&["plan", "env.json"]);
        assert!(refused.code == 4 && refused.stderr.contains(code), "{code}: {}", refused.stderr);
    }
}

/// An interpreter with little of its standard library, as one would be copied into a tree.
fn small_copy(python: &Python, folder: &Path) {
    let program = r"
import os, shutil, sys, sysconfig
library, target = sysconfig.get_path('stdlib'), os.path.join(sys.argv[1], 'lib', os.path.basename(sysconfig.get_path('stdlib')))
os.makedirs(target)
os.makedirs(os.path.join(sys.argv[1], 'bin'))
shutil.copy(os.path.realpath(sys.executable), os.path.join(sys.argv[1], 'bin'))
for name in os.listdir(library):
    path = os.path.join(library, name)
    if name.endswith('.py'):
        shutil.copy(path, target)
    elif name in ('encodings', 'collections', 'importlib', 're', 'json', 'sysconfig', 'lib-dynload'):
        shutil.copytree(path, os.path.join(target, name), ignore=shutil.ignore_patterns('__pycache__', '*test*'))
";
    let status =
        Command::new(&python.path).args(["-I", "-c", program]).arg(folder).status().unwrap();
    assert!(status.success());
}

/// Builds an environment for an interpreter, by each kind of way to it; each with the kind's name.
fn environments(
    python: &Python,
    project: &Project,
    wheels: &[Value],
) -> Vec<(&'static str, std::path::PathBuf)> {
    let probe = |kind: &str| -> Value {
        let output =
            project.run(&["interpreter", "probe", python.path.to_str().unwrap(), "--kind", kind]);
        serde_json::from_str(&output.success()).unwrap()
    };
    let absolute = probe("absolute");
    let mut kinds = vec![("absolute", absolute.clone())];
    let mut relative = absolute.clone();
    let up = "../".repeat(project.path().components().count());
    relative["python"] = json!({"kind": "relative", "path": format!("{up}{}", python.path.to_str().unwrap().trim_start_matches('/'))});
    kinds.push(("relative", relative));
    if python.version >= (3, 11) {
        kinds.push(("launcher", probe("launcher")));
        let mut inside = absolute;
        inside["python"] = json!({"kind": "inside", "directory": "small"});
        small_copy(python, project.path().join("small").as_std_path());
        kinds.push(("inside", inside));
    }
    let mut built = Vec::new();
    for (kind, interpreter) in kinds {
        project.spec(interpreter, wheels, |_| ());
        project.run(&["build", "env.json", "--out", kind]).success();
        built.push((kind, project.path().join(kind).into_std_path_buf()));
    }
    built
}

/// A path below an environment without `..`; nothing where it leads out.
fn without_parents(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn startup_reads_only_what_is_reserved() {
    for python in interpreters() {
        let project = Project::new();
        for (kind, root) in environments(&python, &project, &[]) {
            let root = root.canonicalize().unwrap();
            let (major, minor) = python.version;
            for name in
                ["python".to_owned(), "python3".to_owned(), format!("python{major}.{minor}")]
            {
                let log = project.path().join("log");
                let program =
                    "import sysconfig; sysconfig.get_config_vars(); sysconfig.is_python_build()";
                let output = Command::new("strace")
                    .args(["-f", "-s", "4096", "-e", "trace=file", "-o", log.as_str()])
                    .arg(root.join("bin").join(&name))
                    .args(["-I", "-B", "-c", program])
                    .env_clear()
                    .env("PATH", "/usr/bin:/bin")
                    .output()
                    .unwrap();
                assert!(
                    output.status.success(),
                    "{kind} {name}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                let below = format!("\"{}/", root.display());
                let text = std::fs::read_to_string(log).unwrap();
                let paths = text.split(&below).skip(1).map(|rest| &rest[..rest.find('"').unwrap()]);
                let looked_for: BTreeSet<String> = paths.filter_map(without_parents).collect();
                assert!(looked_for.contains("pyvenv.cfg"), "{kind}: {looked_for:?}");
                let free = |path: &String| {
                    // What is there is ours; modules of site-packages are what environments are
                    // for.
                    let modules = path.contains("/site-packages") || path.starts_with(".python/");
                    !modules && !root.join(path).exists() && in_environment(path, "bin").is_none()
                };
                let free: Vec<String> = looked_for.into_iter().filter(free).collect();
                assert!(
                    free.is_empty(),
                    "CPython {major}.{minor}, kind {kind}, as {name}: {free:?} could be a wheel's"
                );
            }
        }
    }
}

#[test]
fn what_is_let_through_takes_nothing_over() {
    let marker = "import posix\nposix._exit(99)\n";
    let mut wheel = WheelText::new("one", "1.0").file("one.py", "");
    let near = [
        "bin/x.pth",
        "bin/pth",
        "bin/_pth",
        "bin/python_pth",
        "bin/os.py",
        "bin/site.py",
        "bin/encodings/__init__.py",
        "bin/sitecustomize.py",
        "bin/Modules/x",
        "bin/Lib/os.py",
        "bin/pythonx",
        "bin/lib/x",
        "lib/os/os.py",
        "lib/site.py",
        "lib/encodings/__init__.py",
        "lib/python.zip",
        "lib/site-packages/x.pth",
        "lib/pythons/os.py",
        "os.py",
        "site.py",
        "encodings/__init__.py",
        "python._pth",
        "Modules/Setup.local",
        "Modules/Setup",
        "pybuilddir.txt",
        "Lib/x/os.py",
        "share/pyvenv.cfg",
        "python312.zip",
        "sitecustomize.py",
    ];
    for path in near {
        wheel = wheel.file(&format!("one-1.0.data/data/{path}"), marker);
    }
    const SAY: &str = "import os, sys; print([os.path.relpath(p, sys.prefix) for p in sys.path], sys.base_prefix == sys.argv[1] or sys.base_prefix)";
    for python in interpreters() {
        let say = |root: &Path, base: &str, flags: &[&str]| {
            let output = Command::new(root.join("bin/python"))
                .args(flags)
                .args(["-c", SAY, base])
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success(),
                "{}: {text}{}",
                root.display(),
                String::from_utf8_lossy(&output.stderr)
            );
            text
        };
        // One after the other at one place, as the paths of one interpreter may be relative to it.
        let project = Project::new();
        let with = Project::new();
        let plain = environments(&python, &project, &[]);
        let wheels = [with.wheel(&wheel)];
        let others = environments(&python, &with, &wheels);
        for ((kind, one), (_, other)) in plain.iter().zip(&others) {
            for flags in [&["-I", "-S"][..], &["-I"]] {
                let text =
                    |root: &Path| say(root, "", flags).replace(&*root.to_string_lossy(), "ROOT");
                assert_eq!(text(one), text(other), "{kind} {:?}", python.version);
            }
        }
    }
    // The same interpreter is taken over by what is refused, so that the comparison can fail.
    let python = interpreters().pop().unwrap();
    let project = Project::new();
    let (_, root) = &environments(&python, &project, &[])[0];
    std::fs::write(root.join("bin/python._pth"), "../evil\n").unwrap();
    std::fs::create_dir_all(root.join("evil/encodings")).unwrap();
    std::fs::write(root.join("evil/encodings/__init__.py"), marker).unwrap();
    let status =
        Command::new(root.join("bin/python")).args(["-I", "-S", "-c", ""]).status().unwrap();
    assert_eq!(status.code(), Some(99));
}
