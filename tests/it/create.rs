//! `venvtree create`: found interpreters and seeds, specs that say the same, environments compared
//! with those of the peers.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::support::commands::{succeed_alone, succeed_in_newer_debian};
use crate::support::peers::peer;
use crate::support::project::{Output, Project, WheelText, listing, venvtree_with};
use crate::support::{Python, fake_interpreter, interpreters, newest, write_executable};

/// Runs `create` with a cache of the project's own and a PATH without anything.
fn create(project: &Project, arguments: &[&str]) -> Output {
    create_with(project, arguments, &[])
}

fn create_with(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let cache = project.path().join(".cache");
    let mut all = vec![("XDG_CACHE_HOME", cache.as_str()), ("PATH", "/nonexistent")];
    all.extend(variables);
    venvtree_with(project.path(), &[&["create"], arguments].concat(), "", &all)
}

/// A wheel in a folder of the project.
fn put(project: &Project, folder: &str, wheel: &WheelText) -> Utf8PathBuf {
    project.write(&format!("{folder}/{}", wheel.file_name()), wheel.pack())
}

/// The interpreters that have wheels of pip of their own.
fn complete_interpreters() -> Vec<Python> {
    let bundled = |python: &Python| {
        let program = "import glob, os, sysconfig; d = sysconfig.get_config_var('WHEEL_PKG_DIR'); \
            print(bool(glob.glob(os.path.join(d or os.path.join(sysconfig.get_path('stdlib'), 'ensurepip/_bundled'), 'pip-*.whl'))))";
        succeed_alone(Command::new(&python.path).args(["-I", "-c", program])) == "True\n"
    };
    let found: Vec<Python> = interpreters().into_iter().filter(bundled).collect();
    assert!(
        !found.is_empty(),
        "the tests need an interpreter that comes with pip (on Debian: the package python3-pip-whl)"
    );
    found
}

#[test]
fn the_spec_that_is_written_builds_the_same() {
    let project = Project::new();
    let wheel = put(&project, "dist", &WheelText::that_prints_ran("tool"));
    for (index, python) in interpreters().iter().enumerate() {
        let (env, spec, again) =
            (format!("env{index}"), format!("env{index}.json"), format!("again{index}"));
        let mut arguments =
            vec![env.as_str(), "--python", python.text(), "--no-seed", "--wheel", wheel.as_str()];
        arguments.extend([
            "--prompt",
            "it's",
            "--system-site-packages",
            "--spec-out",
            &spec,
            "--format",
            "json",
        ]);
        if python.version >= (3, 11) {
            arguments.extend(["--relocatable", "--candidate", "../python/bin/python3"]);
        }
        let created = create_with(&project, &arguments, &[("SOURCE_DATE_EPOCH", "1000000000")]);
        let report = created.json();
        assert_eq!(report["outcome"], "built", "{created:?}");
        let built: Value = serde_json::from_str(
            &project.run(&["build", &spec, "--out", &again, "--format", "json"]).success(),
        )
        .unwrap();
        assert_eq!(built["digest"], report["digest"]);
        let written: Value =
            serde_json::from_str(&std::fs::read_to_string(project.path().join(&spec)).unwrap())
                .unwrap();
        assert_eq!(written["flags"]["mtime"], 1_000_000_000);
        assert_eq!(written["flags"]["prompt"], "it's");
        assert_eq!(written["interpreter"], report["interpreter"]);
        for file in ["pyvenv.cfg", "bin/tool"] {
            assert_eq!(
                project.path().join(&env).join(file).metadata().unwrap().mtime(),
                1_000_000_000
            );
        }
        assert_eq!(
            succeed_alone(
                Command::new(project.path().join(&env).join("bin/tool")).current_dir("/")
            ),
            "ran\n",
            "{python:?}"
        );
    }
}

#[test]
fn pip_installs_and_uninstalls_in_every_environment() {
    let project = Project::new();
    let wheel = put(&project, "dist", &WheelText::that_prints_ran("tool"));
    for (index, python) in complete_interpreters().iter().enumerate() {
        let env = format!("my env{index}");
        create(&project, &[&env, "--python", python.text()]).success();
        let root = project.path().join(&env);
        let version = format!("pip3.{}", python.version.1);
        assert!(root.join("bin/pip3").exists());
        let found = succeed_alone(Command::new(root.join("bin").join(&version)).arg("--version"));
        assert!(found.contains(root.as_str()), "{python:?}: {found}");
        let setuptools = root
            .join(format!("lib/python3.{}/site-packages/setuptools", python.version.1))
            .is_dir();
        assert_eq!(setuptools, python.version < (3, 12), "{python:?}");
        let pip = |arguments: &[&str]| {
            let mut command = Command::new(root.join("bin/pip"));
            command.args([
                "--isolated",
                "--disable-pip-version-check",
                "--no-cache-dir",
                "--no-color",
            ]);
            succeed_alone(command.args(arguments).env("HOME", project.path()))
        };
        pip(&["install", "--no-index", "--no-deps", wheel.as_str()]);
        assert_eq!(succeed_alone(&mut Command::new(root.join("bin/tool"))), "ran\n");
        pip(&["uninstall", "--yes", "tool"]);
        assert!(!root.join("bin/tool").exists());
        // What was installed by create is pip's to remove, too.
        pip(&["uninstall", "--yes", "pip"]);
        assert!(!root.join("bin/pip").exists() && !root.join("bin").join(&version).exists());
    }
}

/// CPython 3.14 lies in the directory that holds the newer Debian, and so everything happens there.
#[test]
fn an_environment_of_cpython_3_14_is_moved_and_used() {
    let project = Project::new();
    let path = project.path().canonicalize_utf8().unwrap();
    crate::support::copy_venvtree(path.join("venvtree").as_ref());
    let activate = "import os, runpy, sys; runpy.run_path(sys.argv[1] + '/bin/activate_this.py'); import pip, sysconfig; \
        env = sys.argv[1]; assert sys.prefix == env == os.environ['VIRTUAL_ENV'], sys.prefix; \
        assert sysconfig.get_path('purelib') == sys.path[0] == env + '/lib/python3.14/site-packages', sys.path; \
        assert pip.__file__.startswith(env)";
    let script = "set -e; cd \"$0\"; ./venvtree create env --python 3.14 --no-store --quiet; mv env 'moved é'; \
        . 'moved é/bin/activate'; [ \"$VIRTUAL_ENV\" = \"$0/moved é\" ]; pip --version | cut -d' ' -f4-; deactivate; \
        python3.14 -c \"$1\" \"$0/moved é\"";
    let text = succeed_in_newer_debian(&path, "sh", &["-c", script, path.as_str(), activate]);
    assert_eq!(text, format!("{path}/moved é/lib/python3.14/site-packages/pip (python 3.14)\n"));
}

/// The standard output of a module, with the environment's place taken out.
fn module(root: &Utf8Path, module: &str) -> String {
    succeed_alone(Command::new(root.join("bin/python")).args(["-I", "-m", module]))
        .replace(root.as_str(), "ENV")
}

#[test]
fn interpreters_see_what_they_see_in_environments_of_virtualenv() {
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    for (index, python) in interpreters().iter().enumerate() {
        let (ours, theirs) = (format!("ours{index}"), root.join(format!("theirs{index}")));
        create(&project, &[&ours, "--no-seed", "--python", python.text()]).success();
        let mut virtualenv = Command::new(peer("virtualenv"));
        succeed_alone(
            virtualenv
                .args(["--quiet", "--no-seed", "--no-download", "--python"])
                .arg(&python.path)
                .arg(&theirs)
                .env("HOME", &root),
        );
        for name in ["site", "sysconfig"] {
            assert_eq!(module(&root.join(&ours), name), module(&theirs, name), "{python:?} {name}");
        }
    }
}

#[test]
fn an_environment_holds_what_those_of_others_hold() {
    let project = Project::new();
    let python = newest();
    let root = project.path();
    create(&project, &["ours", "--no-seed", "--python", python.text()]).success();
    python.make_venv(root.join("venv").as_std_path());
    let mut uv = Command::new(peer("uv"));
    succeed_alone(
        uv.args(["venv", "--quiet", "--offline", "--python"])
            .arg(&python.path)
            .arg(root.join("uv"))
            .env("HOME", root),
    );
    let names = |env: &str| -> Vec<String> {
        let lines = listing(root.join(env).as_std_path());
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let ours = names("ours");
    // What we leave out, and why.
    let left_out = [
        "include",            // empty directories do not survive caches; installers make it
        "lib64", // a link that caches return as a copy; interpreters without it find `lib`
        "CACHEDIR.TAG", // an environment is no cache
        ".lock", // uv's own
        "bin/pydoc.bat", // for Windows
        "bin/activate.bat", // for Windows
        "bin/deactivate.bat", // for Windows
        "bin/Activate.ps1", // ours is called activate.ps1
    ];
    for env in ["venv", "uv"] {
        let missing: Vec<String> = names(env)
            .into_iter()
            .map(|path| path.trim_end_matches('/').to_owned())
            .filter(|path| !ours.iter().any(|own| own.trim_end_matches('/') == path))
            .filter(|path| {
                !left_out.iter().any(|left| path == left || path.starts_with(&format!("{left}/")))
            })
            .filter(|path| {
                !path.ends_with("/_virtualenv.py") && !path.ends_with("/_virtualenv.pth")
            })
            .collect();
        assert!(missing.is_empty(), "{env}: {missing:?}");
    }
    assert!(ours.iter().any(|path| path == "bin/activate.ps1"));
    // The same bytes twice, and nothing of the place in them.
    let digest = |out: &str| {
        create(&project, &[out, "--no-seed", "--python", python.text(), "--format", "json"]).json()
            ["digest"]
            .clone()
    };
    assert_eq!(digest("an other/place"), digest("ours"));
}

#[test]
fn the_base_packages_are_seen_if_asked_for() {
    let project = Project::new();
    let shadow = put(
        &project,
        "dist",
        &WheelText::new("shadow", "1.0").file("pip/__init__.py", "__version__ = 'ours'\n"),
    );
    let mut tested = 0;
    for (index, python) in interpreters().iter().enumerate() {
        let find = "import importlib.util, sys; spec = importlib.util.find_spec('pip'); print(spec.origin if spec else None)";
        let base = succeed_alone(Command::new(&python.path).args(["-I", "-c", find]));
        if base == "None\n" {
            continue;
        }
        tested += 1;
        let in_environment = |name: &str, options: &[&str]| {
            let env = format!("{name}{index}");
            create(&project, &[&[&env, "--no-seed", "--python", python.text()], options].concat())
                .success();
            let root = project.path().canonicalize_utf8().unwrap().join(env);
            (succeed_alone(Command::new(root.join("bin/python")).args(["-I", "-c", find])), root)
        };
        assert_eq!(in_environment("isolated", &[]).0, "None\n", "{python:?}");
        assert_eq!(in_environment("inheriting", &["--system-site-packages"]).0, base, "{python:?}");
        let (found, root) =
            in_environment("first", &["--system-site-packages", "--wheel", shadow.as_str()]);
        assert!(found.starts_with(root.as_str()), "{python:?}: {found}");
    }
    assert!(tested > 0, "the tests need an interpreter with pip among its own packages");
}

#[test]
fn what_is_no_python_fails_in_a_message_of_a_few_lines() {
    let project = Project::new();
    let repeats = project.path().join("repeats");
    write_executable(
        repeats.as_std_path(),
        b"#!/bin/sh\necho \"cannot find $*\" | tr '\\n' ' ' >&2\nexit 2\n",
    );
    let output = project.run(&["interpreter", "probe", repeats.as_str()]);
    output.ends(7, "repeats` failed (exit status: 2): cannot find -I -S -B -c ");
    assert!(output.stderr.len() < 500, "{output:?}");
}

#[test]
fn interpreters_are_found_in_the_order_of_the_path() {
    let project = Project::new();
    let root = project.path().to_owned();
    let (old, first) = (
        fake_interpreter(project.path(), "a/python3", "3.7.9"),
        fake_interpreter(project.path(), "b/python3", "3.11.4"),
    );
    let (second, third) = (
        fake_interpreter(project.path(), "b/python3.12", "3.12.9"),
        fake_interpreter(project.path(), "c/python3", "3.12.1"),
    );
    let pyenv = fake_interpreter(project.path(), "pyenv/versions/3.10.2/bin/python3", "3.10.2");
    fake_interpreter(project.path(), "pyenv/versions/3.10.1/bin/python3", "3.10.1");
    let path = format!("{root}/a:{root}/b:{root}/pyenv/shims:{root}/c");
    let pyenv_root = root.join("pyenv");
    let variables = [("PATH", path.as_str()), ("PYENV_ROOT", pyenv_root.as_str())];
    let found = |request: Option<&str>| {
        let mut arguments = vec!["env", "--no-seed", "--format", "json", "--replace"];
        arguments.extend(request.iter().flat_map(|request| ["--python", *request]));
        let output = create_with(&project, &arguments, &variables);
        assert_eq!(output.code, 0, "{request:?}: {output:?}");
        output.json()["executable"].as_str().unwrap().to_owned()
    };
    assert_eq!(found(None), first);
    assert_eq!(found(Some("3.12")), second);
    assert_eq!(found(Some("3.12.1")), third);
    assert_eq!(found(Some("python3.12")), second);
    assert_eq!(found(Some("3.10")), pyenv);
    assert_eq!(found(Some(">=3.12.2")), second);
    assert_eq!(found(Some(third.as_str())), third);
    assert_eq!(found(Some("./c/python3")), third);
    assert_eq!(found(Some("pyenv/versions/3.10.2")), pyenv);
    let refused = |request: &str| {
        let output =
            create_with(&project, &["other", "--no-seed", "--python", request], &variables);
        assert_eq!(output.code, 7, "{output:?}");
        assert!(!root.join("other").exists());
        output.stderr
    };
    let message = refused("3.77");
    for part in [
        "no interpreter is Python 3.77",
        &format!("{old}: CPython 3.7.9 is too old"),
        &format!("{first}: CPython 3.11.4"),
        "hint: ",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(refused(old.as_str()).contains("expected CPython 3.8 or newer"));
    assert!(refused("no-such-name").contains("no interpreter is `no-such-name`"));
    assert!(refused("./nothing").contains("is no interpreter, nor a directory with one"));
}

#[test]
fn an_environment_of_an_environment_leads_to_the_base() {
    let project = Project::new();
    for (index, python) in interpreters().iter().enumerate() {
        let base =
            |env: &str| std::fs::read_link(project.path().join(env).join("bin/python")).unwrap();
        let (first, second, third, copy) =
            (format!("a{index}"), format!("b{index}"), format!("c{index}"), format!("copy{index}"));
        create(&project, &[&first, "--no-seed", "--python", python.text()]).success();
        create(&project, &[&second, "--no-seed", "--python", &first_path(&first)]).success();
        create(&project, &[&third, "--no-seed", "--python", &format!("{second}/bin/python3")])
            .success();
        for env in [&first, &second, &third] {
            assert_eq!(base(env), python.path, "{env}");
        }
        succeed_alone(
            Command::new(&python.path)
                .args(["-m", "venv", "--without-pip", "--copies"])
                .arg(project.path().join(&copy)),
        );
        create(
            &project,
            &[&third, "--no-seed", "--replace", "--python", &format!("{copy}/bin/python")],
        )
        .success();
        assert_eq!(base(&third), python.path);
    }
}

fn first_path(env: &str) -> String {
    format!("./{env}")
}

#[test]
fn an_interpreter_is_asked_once() {
    let project = Project::new();
    let python = newest();
    create(&project, &["one", "--no-seed", "--python", python.text()]).success();
    let cache = project.path().join(".cache/venvtree/interpreters");
    let entries: Vec<_> =
        cache.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()).collect();
    assert_eq!(entries.len(), 1);
    // What the second environment is made for comes from the cache, then, and not from the
    // interpreter.
    let entry = std::fs::read_to_string(&entries[0]).unwrap();
    let version = succeed_alone(
        Command::new(&python.path)
            .args(["-c", "import platform; print(platform.python_version())"]),
    );
    let (version, other) = (version.trim(), format!("3.{}.77", python.version.1));
    std::fs::write(
        &entries[0],
        entry.replace(
            &format!(r#"\"version\": \"{version}\""#),
            &format!(r#"\"version\": \"{other}\""#),
        ),
    )
    .unwrap();
    let configuration = |env: &str| {
        create(&project, &[env, "--no-seed", "--python", python.text()]).success();
        std::fs::read_to_string(project.path().join(env).join("pyvenv.cfg")).unwrap()
    };
    assert!(configuration("two").contains(&format!("version = {other}\n")));
    std::fs::write(&entries[0], "damaged").unwrap();
    assert!(configuration("three").contains(&format!("version = {version}\n")));
}

/// A wheel that can be told from others by what is in it.
fn seed(version: &str) -> WheelText {
    WheelText::new("pip", version).file("pip/__init__.py", format!("__version__ = '{version}'\n"))
}

#[test]
fn the_first_place_that_has_a_seed_wins() {
    let project = Project::new();
    let python = newest();
    put(&project, "given1", &WheelText::new("wheel", "1.0"));
    put(&project, "given2", &seed("2.0"));
    put(&project, "given2", &seed("1.0"));
    put(&project, "given3", &seed("3.0"));
    // In the working directory, and newer than all.
    put(&project, ".", &seed("99.0"));
    let seeds = |arguments: &[&str]| {
        let all = [&["env", "--replace", "--format", "json", "--python", python.text()], arguments]
            .concat();
        let output = create(&project, &all);
        let report = output.json();
        let seeds: Vec<String> = report["seeds"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|seed| seed["path"].as_str().unwrap().to_owned())
            .collect();
        (
            seeds
                .iter()
                .map(|path| path.strip_prefix(project.path().as_str()).unwrap_or(path).to_owned())
                .collect::<Vec<_>>(),
            output,
        )
    };
    let given = [
        "--extra-search-dir",
        "given1",
        "--extra-search-dir",
        "given2",
        "--extra-search-dir",
        "given3",
    ];
    let (found, output) = seeds(&[&given[..], &["--seed", "pip,wheel"]].concat());
    assert_eq!(found, ["/given2/pip-2.0-py3-none-any.whl", "/given1/wheel-1.0-py3-none-any.whl"]);
    assert!(!output.stderr.contains("working directory"), "{output:?}");
    // A wheel that was given is no seed.
    let (found, _) = seeds(
        &[&given[..], &["--seed", "pip,wheel", "--wheel", "given3/pip-3.0-py3-none-any.whl"]]
            .concat(),
    );
    assert_eq!(found, ["/given1/wheel-1.0-py3-none-any.whl"]);
    assert_eq!(seeds(&["--no-seed"]).0, [""; 0]);
    // The working directory comes last and is named.
    put(&project, ".", &WheelText::new("other", "1.0"));
    let (found, output) = seeds(&["--seed", "other"]);
    assert_eq!(found, ["/other-1.0-py3-none-any.whl"]);
    assert!(
        output
            .stderr
            .contains("note: `other-1.0-py3-none-any.whl` is taken from the working directory"),
        "{output:?}"
    );
    let (_, output) = seeds(&["--seed", "other", "--no-cwd-search"]);
    assert_eq!(output.code, 4, "{output:?}");
}

#[test]
fn a_miss_lists_every_place() {
    let project = Project::new();
    put(&project, "given", &WheelText::new("rare", "1.0").tag("cp27-none-any"));
    put(&project, "given", &WheelText::new("rare", "2.0").metadata("Requires-Python: <3"));
    let python = complete_interpreters().pop().unwrap();
    let arguments = [
        "env",
        "--python",
        python.text(),
        "--seed",
        "rare",
        "--extra-search-dir",
        "given",
        "--extra-search-dir",
        "none",
    ];
    let output = create(&project, &arguments);
    assert_eq!(output.code, 4, "{output:?}");
    for part in [
        "no wheel of `rare` fits CPython 3.",
        "/given (given): 2, for other interpreters",
        "/none (given): no such directory",
        "(the interpreter's own wheels): none",
        "(the working directory): none",
        "hint: wheels to begin with are not downloaded: name a directory",
    ] {
        output.says(part);
    }
    assert!(!project.path().join("env").exists());
}

#[test]
fn the_wheel_is_the_one_that_pip_would_pick() {
    // Wheels of `seedling`, some with the versions of Python that they want.
    let cases: [&[&str]; 8] = [
        &["9.0-py3-none-any", "10.0-py3-none-any", "1.0-py3-none-any"],
        &["2.0-cp27-none-any", "1.0-py3-none-any", "3.0-py3-none-win_amd64"],
        &[
            "2.0rc1-py3-none-any",
            "1.0.post2-py3-none-any",
            "1.0-py3-none-any",
            "3.0.dev1-py3-none-any",
        ],
        &["2.0rc1-py3-none-any", "2.0b3-py3-none-any"],
        &["3.0-py3-none-any <3", "2.0-py3-none-any >=3.99", "1.0-py3-none-any >=3"],
        &["1.0-py3-none-any", "1.0-py2.py3-none-any", "1.0-cp36-abi3-linux_x86_64"],
        &["1.0-py3-none-any", "1.0+local.2-py3-none-any", "1.0+local.10-py3-none-any"],
        &["1!1.0-py3-none-any", "2024.1-py3-none-any"],
    ];
    let project = Project::new();
    for (number, wheels) in cases.iter().enumerate() {
        let folder = format!("case{number}");
        for wheel in *wheels {
            let (stem, requires) = wheel.split_once(' ').unwrap_or((wheel, ""));
            let mut wheel = WheelText::named(&format!("seedling-{stem}"));
            if !requires.is_empty() {
                wheel = wheel.metadata(&format!("Requires-Python: {requires}"));
            }
            put(&project, &folder, &wheel);
        }
        // One case depends on the interpreter.
        let pythons =
            if number == 4 { vec![interpreters().remove(0), newest()] } else { vec![newest()] };
        for python in pythons {
            let seed = ["--seed", "seedling", "--extra-search-dir", &folder];
            let how = ["env", "--replace", "--format", "json", "--python", python.text()];
            let output = create(&project, &[&how[..], &seed].concat());
            let ours = output.json()["seeds"][0]["path"]
                .as_str()
                .map(|path| path.rsplit('/').next().unwrap().to_owned());
            let downloads = project.path().join(format!("downloads{number}-{}", python.version.1));
            // The interpreter's facts as pip's options, so that one pip serves all.
            let version = format!("3.{}", python.version.1);
            let mut pip = Command::new(peer("python"));
            pip.args([
                "-m",
                "pip",
                "--isolated",
                "--quiet",
                "download",
                "--no-index",
                "--no-deps",
                "--only-binary=:all:",
                "--python-version",
                &version,
            ]);
            pip.args([
                "--find-links",
                project.path().join(&folder).as_str(),
                "--dest",
                downloads.as_str(),
                "seedling",
            ]);
            succeed_alone(pip.env("HOME", project.path()));
            let theirs: Vec<String> = downloads
                .read_dir_utf8()
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_owned())
                .collect();
            assert_eq!(ours.as_slice(), theirs, "{wheels:?} for {python:?}");
        }
    }
}

#[test]
fn only_environments_are_cleared_away() {
    let project = Project::new();
    let python = newest();
    let basic = ["--no-seed", "--python", python.text()];
    project.write("precious/file", "mine");
    for option in ["--clear", "--replace"] {
        let refused = create(&project, &[&["precious", option], &basic[..]].concat());
        refused.ends(5, "is no environment: it holds no pyvenv.cfg");
    }
    assert_eq!(listing(project.path().join("precious").as_std_path()).len(), 1);
    create(&project, &[&["env"], &basic[..]].concat()).success();
    project.write("env/lib/extra/file", "added");
    let refused = create(&project, &[&["env"], &basic[..]].concat());
    refused.ends(5, "hint: choose another place");
    refused.says("--replace");
    for option in ["--clear", "--replace"] {
        project.write("env/lib/extra/file", "added");
        create(&project, &[&["env", option], &basic[..]].concat()).success();
        assert!(
            project.path().join("env/bin/python").exists()
                && !project.path().join("env/lib/extra").exists()
        );
        assert_eq!(
            project
                .path()
                .read_dir_utf8()
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().file_name().starts_with(".env"))
                .count(),
            0
        );
    }
    // In the directory itself there would be nothing left to work in.
    let inside = venvtree_with(
        &project.path().join("env"),
        &[&["create", ".", "--clear"], &basic[..]].concat(),
        "",
        &[],
    );
    assert_eq!(inside.code, 2, "{inside:?}");
    assert!(project.path().join("env/bin/python").exists());
}

/// `rm -r` of somebody who is not root, with files that are links to read-only ones.
#[test]
fn an_environment_is_removed_like_any_directory() {
    use std::os::unix::process::CommandExt as _;
    let project = Project::new();
    let python = complete_interpreters().pop().unwrap();
    create(&project, &["env", "--python", python.text()]).success();
    let env = project.path().join("env");
    let mut rm = Command::new("rm");
    rm.arg("-r").arg(&env).stdin(std::process::Stdio::null());
    let root = project.path().metadata().unwrap().uid() == 0;
    if root {
        const NOBODY: u32 = 65534;
        std::os::unix::fs::chown(project.path(), Some(NOBODY), None).unwrap();
        let directories = listing(env.as_std_path())
            .into_iter()
            .filter_map(|line| Some(line.split_once("/ ")?.0.to_owned()));
        for directory in directories.chain([String::new()]) {
            std::os::unix::fs::chown(env.join(directory), Some(NOBODY), None).unwrap();
        }
        rm.uid(NOBODY);
    }
    succeed_alone(&mut rm);
    assert!(!env.exists());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let project = Project::new();
    let python = newest();
    let oldest = interpreters().remove(0);
    let check = |arguments: &[&str], variables: &[(&str, &str)], expected: &str| {
        let output = create_with(&project, &[&["env", "--no-seed"], arguments].concat(), variables);
        assert_eq!(output.code, 2, "{arguments:?}: {output:?}");
        assert!(output.stderr.contains(expected), "{expected}: {}", output.stderr);
        assert!(!project.path().join("env").exists());
    };
    let python = python.text();
    check(&["--python", ""], &[], "what follows `--python` is empty");
    check(&["--python", python, "--activators", "bash,cobol"], &[], "`cobol` is no shell");
    check(
        &["--python", python],
        &[("SOURCE_DATE_EPOCH", "yesterday")],
        "SOURCE_DATE_EPOCH is `yesterday`",
    );
    check(&["--python", python], &[("SOURCE_DATE_EPOCH", "4294967296")], "at most 4294967295");
    check(&["--python", python, "--wheel", "no wheel"], &[], "is no wheel");
    check(&["--python", python, "--seed", "pip"], &[], "cannot be used with");
    check(&["--python", python, "--candidate", "/usr/bin/python3"], &[], "--relocatable");
    if oldest.version < (3, 11) {
        check(&["--python", oldest.text(), "--relocatable"], &[], "needs CPython 3.11 or newer");
    }
}

#[test]
fn activators_are_chosen_by_name() {
    let project = Project::new();
    let python = newest();
    let activators = |words: &str| -> Vec<String> {
        create(
            &project,
            &["env", "--replace", "--no-seed", "--python", python.text(), "--activators", words],
        )
        .success();
        let entries = project.path().join("env/bin").read_dir_utf8().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_owned());
        let mut names: Vec<String> = names.filter(|name| name.contains("activate")).collect();
        names.sort();
        names
    };
    assert_eq!(activators("none"), [""; 0]);
    assert_eq!(activators("fish,bash"), ["activate", "activate.fish"]);
    assert_eq!(activators("posix"), ["activate"]);
    assert!(activators("all").len() >= 6);
}
