//! `venvtree create --relocatable` of environments that others made, or that pip wrote into.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use camino::Utf8Path;
use serde_json::Value;

use crate::support::commands::succeed_alone;
use crate::support::interpreters;
use crate::support::peers::peer;
use crate::support::project::{Project, WheelText, venvtree_with};

fn relocate(root: &Utf8Path, env: &str) -> Value {
    let output =
        venvtree_with(root, &["create", "--relocatable", env, "--format", "json"], "", &[]);
    assert_eq!(output.code, 0, "{output:?}");
    output.json()
}

/// Everything about every file: a second run may change nothing.
fn state(env: &Utf8Path) -> BTreeMap<String, (u64, i64, i64, u32)> {
    let mut state = BTreeMap::new();
    let mut directories = vec![env.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                directories.push(path.clone());
            } else {
                state.insert(
                    path.to_string(),
                    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.mode()),
                );
            }
        }
    }
    state
}

/// Files that name the place, but for bytecode.
fn naming(env: &Utf8Path, place: &str) -> Vec<String> {
    let mut found: Vec<String> =
        state(env).into_keys().filter(|path| !path.ends_with(".pyc")).collect();
    found.retain(|path| {
        let link = std::fs::read_link(path).map(|target| target.to_string_lossy().contains(place));
        link.unwrap_or_else(|_| {
            String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(place)
        })
    });
    found
}

/// Installs a wheel with a script of either kind into an environment, as pip does it.
fn install(project: &Project, python: &Utf8Path) {
    let wheel = WheelText::new("tool", "1.0");
    let script = format!("{}/scripts/old", wheel.data());
    let wheel = wheel
        .file("tool.py", "import sys\ndef main(): print('ran', sys.prefix)\n")
        .console_scripts("tool = tool:main")
        .executable(&script, "#!python\nimport sys\nprint('old', sys.prefix)\n");
    let path = project.write(&format!("dist/{}", wheel.file_name()), wheel.pack());
    let mut pip = Command::new(peer("python"));
    pip.args(["-m", "pip", "--isolated", "--quiet", "--disable-pip-version-check", "--python"])
        .arg(python);
    succeed_alone(
        pip.args(["install", "--no-index", "--no-deps", "--no-cache-dir"])
            .arg(path)
            .env("HOME", project.path()),
    );
}

/// Every row of every RECORD against the file that it is about.
const CHECK_RECORDS: &str = "
import base64, hashlib, importlib.metadata, sys
for distribution in importlib.metadata.distributions():
    for file in distribution.files:
        if file.hash:
            digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip('=') == file.hash.value, file
            assert file.locate().stat().st_size == file.size, file
";

/// Of a copy, while the original is still there; scripts of other environments are listed.
fn copies_are_repaired(tool: &str, root: &Utf8Path, env: &Utf8Path) {
    let copy = root.join("copy");
    succeed_alone(Command::new("cp").arg("-a").arg(env).arg(&copy));
    let foreign = copy.join("bin/foreign");
    std::fs::write(&foreign, format!("#!{env}/bin/python\nprint('foreign')\n")).unwrap();
    let report = relocate(root, "copy");
    assert_eq!(report["left"].as_array().map(Vec::len), Some(0), "{tool}: {report:#}");
    assert_eq!(naming(&copy, env.as_str()), [""; 0], "{tool}");
    for (script, word) in [("tool", "ran"), ("old", "old")] {
        let printed = succeed_alone(&mut Command::new(copy.join("bin").join(script)));
        assert_eq!(printed, format!("{word} {copy}\n"), "{tool}");
    }
    let other = root.join("other");
    succeed_alone(Command::new("cp").arg("-a").arg(&copy).arg(&other));
    std::fs::write(copy.join("bin/foreign"), format!("#!{other}/bin/python\nprint()\n")).unwrap();
    let report = relocate(root, "copy");
    let reason = format!("it starts the interpreter of another environment, {other}");
    assert_eq!(report["left"][0]["reason"], reason, "{tool}: {report:#}");
    for made in [copy, other] {
        std::fs::remove_dir_all(made).unwrap();
    }
}

#[test]
fn environments_of_every_tool_can_be_moved_afterwards() {
    let python = interpreters().pop().unwrap().path;
    for (tool, folder) in [
        ("venv", "plain"),
        ("venv --copies", "it's é"),
        ("virtualenv", "a b"),
        ("virtualenv --copies", "plain"),
        ("uv", "$HOME"),
        ("ours", "a\"b"),
    ] {
        let project = Project::new();
        let root = project.path().canonicalize_utf8().unwrap().join(folder);
        std::fs::create_dir(&root).unwrap();
        let env = root.join("env");
        let (name, option) = tool.split_once(' ').unwrap_or((tool, ""));
        let options: Vec<&str> = option.split_terminator(' ').collect();
        match name {
            "venv" => succeed_alone(
                Command::new(&python)
                    .args(["-m", "venv", "--without-pip", "--prompt", "it's ☃"])
                    .args(options)
                    .arg(&env),
            ),
            "virtualenv" => {
                let mut command = Command::new(peer("virtualenv"));
                command
                    .args([
                        "--quiet",
                        "--no-seed",
                        "--no-download",
                        "--prompt",
                        "it's ☃",
                        "--python",
                    ])
                    .arg(&python);
                succeed_alone(command.args(options).arg(&env).env("HOME", &root))
            }
            "uv" => {
                let mut command = Command::new(peer("uv"));
                command
                    .args(["venv", "--quiet", "--offline", "--prompt", "it's ☃", "--python"])
                    .arg(&python)
                    .arg(&env);
                succeed_alone(command.env("HOME", &root))
            }
            _ => {
                let arguments = [
                    "create",
                    env.as_str(),
                    "--no-seed",
                    "--prompt",
                    "it's ☃",
                    "--python",
                    python.to_str().unwrap(),
                ];
                venvtree_with(&root, &arguments, "", &[]).success()
            }
        };
        install(&project, &env.join("bin/python"));
        copies_are_repaired(tool, &root, &env);
        let report = relocate(&root, "env");
        assert_eq!(
            (&report["outcome"], &report["left"]),
            (&"relocated".into(), &Value::Array(Vec::new())),
            "{tool}: {report:#}"
        );
        assert_eq!(naming(&env, root.as_str()), [""; 0], "{tool}");
        let before = state(&env);
        let again = relocate(&root, "env");
        assert_eq!(
            (&again["outcome"], &again["changed"]),
            (&"up-to-date".into(), &Value::Array(Vec::new())),
            "{tool}: {again:#}"
        );
        assert_eq!(state(&env), before, "{tool}");

        let moved = root.join("moved to/another env");
        std::fs::create_dir(moved.parent().unwrap()).unwrap();
        std::fs::rename(&env, &moved).unwrap();
        for script in ["tool", "old"] {
            let word = if script == "tool" { "ran" } else { "old" };
            assert_eq!(
                succeed_alone(&mut Command::new(moved.join("bin").join(script))),
                format!("{word} {moved}\n"),
                "{tool}"
            );
        }
        succeed_alone(Command::new(moved.join("bin/python")).args(["-I", "-c", CHECK_RECORDS]));
        let program = ". \"$1/bin/activate\" && printf '%s\\n' \"$VIRTUAL_ENV\" \"$VIRTUAL_ENV_PROMPT\" && command -v python";
        let activated =
            succeed_alone(Command::new("bash").args(["-c", program, "bash"]).arg(&moved));
        let lines: Vec<&str> = activated.lines().collect();
        assert_eq!(
            (lines[0], lines[2]),
            (moved.as_str(), moved.join("bin/python").as_str()),
            "{tool}"
        );
        assert!(lines[1].contains("it's ☃"), "{tool}: {activated}");
        // What pip wrote after a move is repaired at the new place too.
        std::fs::remove_file(moved.join("bin/tool")).unwrap();
        let shebang = format!("#!{env}/bin/python\nimport sys\nprint('gone', sys.prefix)\n");
        project.write("script", shebang);
        succeed_alone(
            Command::new("install")
                .args(["-m", "755"])
                .arg(project.path().join("script"))
                .arg(moved.join("bin/tool")),
        );
        assert_eq!(relocate(&root, moved.as_str())["changed"][0], "bin/tool", "{tool}");
        assert_eq!(
            succeed_alone(&mut Command::new(moved.join("bin/tool"))),
            format!("gone {moved}\n"),
            "{tool}"
        );
    }
}

#[test]
fn what_cannot_be_changed_is_listed() {
    let project = Project::new();
    let python = interpreters().pop().unwrap();
    let root = project.path().canonicalize_utf8().unwrap();
    python.make_venv(root.join("env").as_std_path());
    let site = format!("env/lib/python3.{}/site-packages", python.version.1);
    project.write(&format!("{site}/inside.pth"), format!("{root}/env/src\n"));
    project.write(&format!("{site}/outside.pth"), format!("{root}/project/src\nimport sys\n"));
    project.write(&format!("{site}/__editable__.x-1.0.pth"), "import __editable___x_finder\n");
    project.write(&format!("{site}/native.so"), format!("\x7fELF\0{root}/env/lib\0"));
    project.write(&format!("{site}/settings.json"), format!("{{\"prefix\": \"{root}/env\"}}"));
    project.write(&format!("{site}/other.json"), format!("{{\"prefix\": \"{root}/env2\"}}"));
    project.write("env/src/inner.py", "x = 1\n");
    std::os::unix::fs::symlink(root.join("elsewhere"), root.join("env/share")).unwrap();
    std::os::unix::fs::symlink(root.join("env/src"), root.join("env/linked")).unwrap();
    let report = relocate(&root, "env");
    let changed: Vec<&str> =
        report["changed"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(
        changed.contains(&"linked")
            && changed.contains(
                &format!("lib/python3.{}/site-packages/inside.pth", python.version.1).as_str()
            )
    );
    let left = report["left"].as_array().unwrap();
    let left: Vec<String> = left
        .iter()
        .map(|item| {
            format!("{}: {}", item["path"].as_str().unwrap(), item["reason"].as_str().unwrap())
        })
        .collect();
    let inner = site.strip_prefix("env/").unwrap();
    let expected = [
        format!(
            "{inner}/__editable__.x-1.0.pth: an editable install, whose code may lie outside of the environment"
        ),
        format!("{inner}/native.so: compiled code names the environment's place"),
        format!("{inner}/outside.pth: the line `{root}/project/src` leads to an absolute place"),
        format!("{inner}/settings.json: the text names the environment's place"),
        format!("share: a link to {root}/elsewhere, outside of the environment"),
    ];
    assert_eq!(left, expected);
    std::fs::rename(root.join("env"), root.join("moved")).unwrap();
    let imported = succeed_alone(
        Command::new(root.join("moved/bin/python"))
            .args(["-c", "import inner; print(inner.__file__)"]),
    );
    assert_eq!(imported, format!("{root}/moved/src/inner.py\n"));
    assert_eq!(std::fs::read_link(root.join("moved/linked")).unwrap().to_str(), Some("src"));
}

#[test]
fn options_for_new_environments_are_refused() {
    let project = Project::new();
    let python = interpreters().pop().unwrap();
    let root = project.path();
    python.make_venv(root.join("env").as_std_path());
    let before = state(&root.join("env"));
    let output = venvtree_with(root, &["create", "--relocatable", "env", "--prompt", "x"], "", &[]);
    output.ends(2, "--prompt has no meaning there");
    assert_eq!(state(&root.join("env")), before);
    // What is the same is left alone, as without the option.
    let create = ["create", "--relocatable", "new", "--no-seed", "--prompt", "x"];
    let path = std::env::var("PATH").unwrap();
    for outcome in ["built", "up-to-date"] {
        let output = venvtree_with(root, &create, "", &[("PATH", &path)]);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stderr.contains(&format!("{outcome}: new")), "{output:?}");
    }
    project.write("windows/pyvenv.cfg", "home = C:\\\n");
    project.write("windows/Scripts/python.exe", "MZ");
    let output = venvtree_with(root, &["create", "--relocatable", "windows"], "", &[]);
    assert_eq!(output.code, 2, "{output:?}");
}
