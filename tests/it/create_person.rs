//! `venvtree create` as people type it: without a place, in the folder where they are, with the
//! options of other tools, and where a project names a version.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::support::commands::succeed_alone;
use crate::support::project::{Output, Project, WheelText, venvtree_with};
use crate::support::{fake_interpreter, interpreters, newest, write_executable};

/// Runs `create` without seeds, with a cache of the project's own and these variables.
fn create(
    project: &Project,
    cwd: &Utf8Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Output {
    let cache = project.path().join(".cache");
    let mut all = vec![("XDG_CACHE_HOME", cache.as_str()), ("PATH", "/nonexistent")];
    all.extend(variables);
    venvtree_with(cwd, &[&["create"], arguments].concat(), "", &all)
}

/// The real program, so that its working directory is the one that is meant.
fn program(cwd: &Utf8Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_venvtree"));
    command.arg("create").args(arguments).args(["--no-seed", "--no-store"]).current_dir(cwd);
    let output = command
        .env_clear()
        .env("HOME", cwd)
        .env("XDG_CACHE_HOME", cwd.join("../cache"))
        .output()
        .expect("it starts");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn without_a_place_it_is_dot_venv_and_a_repository_ignores_it() {
    let project = Project::new();
    let python = newest();
    let arguments = ["--no-seed", "--python", python.text()];
    let created = create(&project, project.path(), &arguments, &[]);
    assert!(
        created.stderr.ends_with("\nactivate with: source .venv/bin/activate\n"),
        "{created:?}"
    );
    assert_eq!(std::fs::read_to_string(project.path().join(".venv/.gitignore")).unwrap(), "*\n");
    succeed_alone(Command::new("git").args(["init", "--quiet"]).arg(project.path()));
    let status = succeed_alone(Command::new("git").arg("-C").arg(project.path()).args([
        "status",
        "--porcelain",
        "--untracked-files=all",
        ".venv",
    ]));
    assert_eq!(status, "");
    // The spec says so, and `build` makes the same; without it, there is no such file.
    let written = create(
        &project,
        project.path(),
        &[&arguments[..], &["spec", "--spec-out", "spec.json", "--format", "json"]].concat(),
        &[],
    );
    let spec: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(project.path().join("spec.json")).unwrap())
            .unwrap();
    assert_eq!(spec["flags"]["gitignore"], true);
    let built: serde_json::Value = serde_json::from_str(
        &project.run(&["build", "spec.json", "--out", "built", "--format", "json"]).success(),
    )
    .unwrap();
    assert_eq!(built["digest"], written.json()["digest"]);
    for option in ["--no-vcs-ignore", "--without-scm-ignore-files"] {
        create(
            &project,
            project.path(),
            &[&arguments[..], &["plain", "--replace", option]].concat(),
            &[],
        )
        .success();
        assert!(!project.path().join("plain/.gitignore").exists(), "{option}");
    }
    let quiet =
        create(&project, project.path(), &[&arguments[..], &["quiet", "--quiet"]].concat(), &[]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn the_line_that_activates_works_when_it_is_typed() {
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    let python = newest();
    for place in ["env", "my env", "it's", "-dash", "~x", "a;b", "$HOME", "ü", "a!b", "sub/deep er"]
    {
        for (shell, options) in [
            ("bash", ""),
            ("zsh", ""),
            ("dash", ""),
            ("mksh", ""),
            ("fish", ""),
            ("tcsh", "-f"),
            ("csh", "-f"),
        ] {
            let shell_path = format!("/usr/bin/{shell}");
            let arguments = ["--no-seed", "--python", python.text(), "--", place];
            let created = create(&project, &root, &arguments, &[("SHELL", shell_path.as_str())]);
            let line = created
                .stderr
                .lines()
                .find_map(|line| line.strip_prefix("activate with: "))
                .unwrap_or_else(|| panic!("{created:?}"));
            let mut command = Command::new(shell);
            command
                .args(options.split_terminator(' '))
                .args(["-c", &format!("{line}; printenv VIRTUAL_ENV")])
                .current_dir(&root);
            assert_eq!(
                succeed_alone(command.env("HOME", &root)),
                format!("{root}/{place}\n"),
                "{shell}: {line}"
            );
        }
    }
    let line = |variables: &[(&str, &str)], more: &[&str]| {
        let arguments = [
            &["env", "--replace", "--no-seed", "--format", "json", "--python", python.text()],
            more,
        ]
        .concat();
        create(&project, &root, &arguments, variables).json()["activate"].clone()
    };
    assert_eq!(
        line(&[("SHELL", "/bin/bash"), ("NU_VERSION", "0.106")], &[]),
        "overlay use env/bin/activate.nu"
    );
    assert_eq!(line(&[("SHELL", "/usr/bin/xonsh")], &[]), "source env/bin/activate.xsh");
    assert_eq!(line(&[("SHELL", "/usr/bin/pwsh")], &[]), ". env/bin/activate.ps1");
    assert_eq!(line(&[("SHELL", "/bin/sh")], &[]), ". env/bin/activate");
    assert_eq!(line(&[("SHELL", "/opt/unknown")], &[]), "source env/bin/activate");
    assert_eq!(line(&[("SHELL", "/bin/bash")], &["--activators", "fish"]), serde_json::Value::Null);
}

#[test]
fn an_empty_folder_where_somebody_works_is_filled() {
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    let python = newest();
    let here = root.join("here");
    std::fs::create_dir(&here).unwrap();
    let inode = here.metadata().unwrap().ino();
    let arguments = [".", "--python", python.text()];
    let (code, output) = program(&here, &arguments);
    assert_eq!(code, 0, "{output}");
    assert_eq!(here.metadata().unwrap().ino(), inode, "a shell in it would be left in nothing");
    let mut names: Vec<String> =
        here.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
    names.sort();
    // On 64-bit Linux there is a link `lib64` as well, as in environments of `venv`.
    names.retain(|name| name != "lib64");
    assert_eq!(names, [".gitignore", "bin", "lib", "pyvenv.cfg"]);
    succeed_alone(Command::new(here.join("bin/python")).args(["-c", "pass"]));
    let (code, output) = program(&here, &arguments);
    assert!(code == 0 && output.contains("up-to-date"), "{output}");
    // The same tree as one that was made from outside.
    let elsewhere = root.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    program(&elsewhere, &["env", "--python", python.text()]);
    let digest = |path: &Utf8Path| project.run(&["digest", path.as_str()]).success();
    assert_eq!(digest(&here), digest(&elsewhere.join("env")));
    // Where something is, nothing is touched.
    let full = root.join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("thesis"), "mine").unwrap();
    for option in [None, Some("--clear"), Some("--replace")] {
        let (code, output) = program(&full, &[&arguments[..], option.as_slice()].concat());
        assert_ne!(code, 0, "{output}");
        assert_eq!(full.read_dir_utf8().unwrap().count(), 1);
    }
    // An environment in use is not exchanged under one's feet.
    let (code, output) = program(&here, &[&arguments[..], &["--clear", "--prompt", "x"]].concat());
    assert!(code == 2 && output.contains("run the command from outside"), "{output}");
}

#[test]
fn a_place_that_cannot_be_activated_is_refused() {
    let project = Project::new();
    let python = newest();
    let arguments = ["--no-seed", "--python", python.text()];
    let refused = create(&project, project.path(), &[&["a:b"], &arguments[..]].concat(), &[]);
    refused.ends(2, "a:b` holds a colon, which separates the entries of PATH");
    assert!(!project.path().join("a:b").exists());
    let parent = create(&project, project.path(), &[&["c:d/env"], &arguments[..]].concat(), &[]);
    assert_eq!(parent.code, 2, "{parent:?}");
    create(
        &project,
        project.path(),
        &[&["a:b", "--activators", "none"], &arguments[..]].concat(),
        &[],
    )
    .success();
    let noted = create(&project, project.path(), &[&["a\nb"], &arguments[..]].concat(), &[]);
    assert!(
        noted.code == 0 && noted.stderr.contains("note: the path holds a line break: csh"),
        "{noted:?}"
    );
}

#[test]
fn options_of_other_tools_are_understood_or_answered() {
    let project = Project::new();
    let python = newest();
    let basic = ["env", "--replace", "--python", python.text()];
    let understood: [&[&str]; 20] = [
        &["--no-seed", "--no-download"],
        &["--no-seed", "--never-download"],
        &["--no-seed", "--no-periodic-update"],
        &["--no-seed", "--symlinks"],
        &["--no-seed", "--copies"],
        &["--no-seed", "--always-copy"],
        &["--no-seed", "--no-vcs-ignore"],
        &["--no-seed", "--no-project"],
        &["--no-seed", "--no-config"],
        &["--no-seed", "--offline"],
        &["--no-seed", "--no-index"],
        &["--no-seed", "--no-python-downloads"],
        &["--no-seed", "--no-wheel"],
        &["--no-seed", "--system-site-packages"],
        &["--no-seed", "--clear", "--prompt", "x"],
        &["--without-pip"],
        &["--without-pip", "--no-download", "--symlinks"],
        &["--no-pip", "--no-setuptools"],
        &["--no-seed", "--activators", "bash,cshell"],
        &["--no-seed", "--link-mode", "copy"],
    ];
    for options in understood {
        let basic: Vec<&str> = basic
            .iter()
            .copied()
            .filter(|word| *word != "--replace" || !options.contains(&"--clear"))
            .collect();
        let created = create(&project, project.path(), &[&basic, options].concat(), &[]);
        assert_eq!(created.code, 0, "{options:?}: {created:?}");
        assert!(created.stderr.contains("no packages"), "{options:?}: {created:?}");
    }
    let answered: [(&[&str], &str); 20] = [
        (&["--download"], "--extra-search-dir"),
        (&["--creator", "venv"], "there is one way"),
        (&["--creator=venv"], "there is one way"),
        (&["--seeder", "pip"], "there is one way"),
        (&["--discovery", "builtin"], "there is one way"),
        (&["--app-data", "x"], "--store"),
        (&["--reset-app-data"], "store gc"),
        (&["--upgrade-embed-wheels"], "--extra-search-dir"),
        (&["--upgrade"], "--clear"),
        (&["--upgrade-deps"], "pip install --upgrade pip"),
        (&["--allow-existing"], "--clear"),
        (&["--managed-python"], "interpreter list"),
        (&["--find-links", "x"], "--extra-search-dir"),
        (&["--index-url", "x"], "nothing is downloaded"),
        (&["--wheels", "x"], "nothing is downloaded"),
        (&["--cache-dir", "x"], "--store DIR"),
        (&["--no-cache"], "--no-store"),
        (&["-v"], "--format json"),
        (&["--python-platform", "linux"], "venvtree build"),
        (&["--force"], "--replace"),
    ];
    for (options, expected) in answered {
        let output = create(&project, project.path(), &[&["other"], options].concat(), &[]);
        assert_eq!(output.code, 2, "{options:?}: {output:?}");
        let hint = output
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("hint: "))
            .unwrap_or_else(|| panic!("{options:?}: {output:?}"));
        assert!(hint.contains(expected), "{options:?}: {output:?}");
        assert!(!project.path().join("other").exists());
    }
    let unknown = create(&project, project.path(), &["other", "--nonsense"], &[]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("unexpected argument '--nonsense'"),
        "{unknown:?}"
    );
    let elsewhere = project.run(&["digest", "--creator", "x"]);
    elsewhere.says("unexpected argument");
}

#[test]
fn seeds_have_versions() {
    let project = Project::new();
    let python = newest();
    for version in ["23.0", "24.0", "24.1"] {
        let wheel = WheelText::new("pip", version);
        project.write(&format!("given/{}", wheel.file_name()), wheel.pack());
    }
    for (name, version) in [("wheel", "0.42.0"), ("setuptools", "68.0")] {
        let wheel = WheelText::new(name, version);
        project.write(&format!("given/{}", wheel.file_name()), wheel.pack());
    }
    let basic = [
        "env",
        "--replace",
        "--format",
        "json",
        "--python",
        python.text(),
        "--extra-search-dir",
        "given",
    ];
    let seeds = |options: &[&str]| -> Vec<String> {
        let output = create(&project, project.path(), &[&basic, options].concat(), &[]);
        assert_eq!(output.code, 0, "{options:?}: {output:?}");
        let report = output.json();
        let name = |seed: &serde_json::Value| {
            Utf8PathBuf::from(seed["path"].as_str().unwrap()).file_name().unwrap().to_owned()
        };
        let names = report["seeds"].as_array().unwrap().iter().map(name);
        names.map(|name| name.rsplit_once("-py3").unwrap().0.to_owned()).collect()
    };
    assert_eq!(seeds(&["--seed", "pip"]), ["pip-24.1"]);
    assert_eq!(seeds(&["--seed", "pip==24.0"]), ["pip-24.0"]);
    assert_eq!(seeds(&["--seed", "pip>=23,<24,wheel"]), ["pip-23.0", "wheel-0.42.0"]);
    assert_eq!(seeds(&["--pip", "24.0"]), ["pip-24.0"]);
    assert_eq!(seeds(&["--pip", "bundle", "--wheel", "0.42.0"]), ["pip-24.1", "wheel-0.42.0"]);
    assert_eq!(
        seeds(&["--setuptools", "68.0", "--wheel", "bundle", "--no-pip"]),
        ["setuptools-68.0", "wheel-0.42.0"]
    );
    // uv's `--seed` has no value.
    assert_eq!(seeds(&["--seed"]), ["pip-24.1"]);
    let bare = create(
        &project,
        project.path(),
        &["--seed", "./bare", "--python", python.text(), "--extra-search-dir", "given"],
        &[],
    );
    assert!(bare.code == 0 && project.path().join("bare/bin/python").exists(), "{bare:?}");
    let missing =
        create(&project, project.path(), &[&basic[..], &["--seed", "pip==99"]].concat(), &[]);
    assert_eq!(missing.code, 4, "{missing:?}");
    for part in
        ["no wheel of `pip==99` fits", "(given): version 24.1, 24.0, 23.0", "are not downloaded"]
    {
        missing.says(part);
    }
    for bad in ["==1", "pip==", "pip[x]"] {
        let output =
            create(&project, project.path(), &[&basic[..], &["--seed", bad]].concat(), &[]);
        assert!(output.code == 2 && output.stderr.contains("names no distribution"), "{output:?}");
    }
}

/// A link for every kind of alias that package managers make, to real interpreters: after the alias
/// leads elsewhere, and the release that it led to is gone, the environment still works.
#[test]
fn an_environment_outlives_the_release_that_it_was_made_with() {
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    for (index, python) in interpreters().iter().enumerate() {
        let (major, minor) = python.version;
        let (prefix, name) = (
            python.path.parent().unwrap().parent().unwrap(),
            python.path.file_name().unwrap().to_str().unwrap(),
        );
        let base = root.join(format!("base{index}"));
        let minor = format!("{major}.{minor}");
        let releases = |folder: &str, pattern: &str, alias: &str| {
            let folder = base.join(folder);
            std::fs::create_dir_all(folder.join(alias).parent().unwrap()).unwrap();
            // A release of its own, whose parts are the real one's.
            let release = folder.join(pattern.replace("{}", &format!("{minor}.1")));
            std::fs::create_dir_all(&release).unwrap();
            for part in ["bin", "lib", "include"] {
                symlink(prefix.join(part), release.join(part)).unwrap();
            }
            let first = folder.join(pattern.replace("{}", &format!("{minor}.1")));
            symlink(&first, folder.join(alias)).unwrap();
            (
                folder.clone(),
                first,
                folder.join(pattern.replace("{}", &format!("{minor}.2"))),
                folder.join(alias),
            )
        };
        let homebrew = releases(
            "brew",
            &format!("Cellar/python@{minor}/{{}}"),
            &format!("opt/python@{minor}"),
        );
        std::fs::create_dir(homebrew.0.join("bin")).unwrap();
        let cellar = homebrew.1.join("bin").join(name);
        symlink(cellar, homebrew.0.join("bin/python3")).unwrap();
        let uv = releases(
            "uv",
            "cpython-{}-linux-x86_64-gnu",
            &format!("cpython-{minor}-linux-x86_64-gnu"),
        );
        let pyenv = releases("pyenv/versions", "{}", &minor);
        let brew_path = homebrew.0.join("bin");
        let cases: [(&str, &[(&str, &str)], &_); 5] = [
            (&minor, &[("PATH", brew_path.as_str())], &homebrew),
            (homebrew.3.as_str(), &[], &homebrew),
            (&minor, &[("UV_PYTHON_INSTALL_DIR", uv.0.as_str())], &uv),
            (uv.3.as_str(), &[], &uv),
            (pyenv.3.as_str(), &[], &pyenv),
        ];
        for (number, (request, variables, (_, first, second, alias))) in
            cases.into_iter().enumerate()
        {
            let env = root.join(format!("env{index}-{number}"));
            let created = create(
                &project,
                &root,
                &[env.as_str(), "--no-seed", "--python", request],
                variables,
            );
            assert_eq!(created.code, 0, "{created:?}");
            let target = std::fs::read_link(env.join("bin/python")).unwrap();
            assert_eq!(target, alias.join("bin").join(name).as_std_path(), "{request}");
            // The update.
            std::fs::rename(first, second).unwrap();
            std::fs::remove_file(alias).unwrap();
            symlink(second, alias).unwrap();
            let program = "import json, sys; print(sys.prefix)";
            assert_eq!(
                succeed_alone(Command::new(env.join("bin/python")).args(["-I", "-c", program])),
                format!("{env}\n"),
                "{request}"
            );
            std::fs::rename(second, first).unwrap();
            std::fs::remove_file(alias).unwrap();
            symlink(first, alias).unwrap();
        }
    }
}

#[test]
fn the_version_that_a_project_names_is_taken_or_missed_aloud() {
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    let system = fake_interpreter(&root, "usr/bin/python3", "3.11.4");
    let (one, two) = (
        fake_interpreter(&root, "pyenv/versions/3.12.1/bin/python3", "3.12.1"),
        fake_interpreter(&root, "pyenv/versions/3.9.2/bin/python3", "3.9.2"),
    );
    let brew = fake_interpreter(&root, "brew/opt/python@3.10/bin/python3.10", "3.10.7");
    symlink("python3.10", root.join("brew/opt/python@3.10/bin/python3")).unwrap();
    symlink(root.join("brew/opt/python@3.10"), root.join("pyenv/versions/3.10-brew")).unwrap();
    // An environment of pyenv's plugin, by both of its names.
    std::fs::create_dir_all(root.join("pyenv/versions/3.9.2/envs/work/bin")).unwrap();
    std::fs::write(
        root.join("pyenv/versions/3.9.2/envs/work/pyvenv.cfg"),
        format!("home = {root}/pyenv/versions/3.9.2/bin\n"),
    )
    .unwrap();
    symlink(&two, root.join("pyenv/versions/3.9.2/envs/work/bin/python3")).unwrap();
    symlink("3.9.2/envs/work", root.join("pyenv/versions/work")).unwrap();
    let here = root.join("project/deep");
    std::fs::create_dir_all(&here).unwrap();
    let (with_shims, without) =
        (format!("{root}/pyenv/shims:{root}/usr/bin"), format!("{root}/usr/bin"));
    std::fs::write(root.join("pyenv/version"), "3.12.1\n").unwrap();
    let pyenv_root = root.join("pyenv");
    let outcome = |file: &str, variable: Option<&str>, path: &str| -> Result<String, String> {
        std::fs::write(root.join("project/.python-version"), file).unwrap();
        let mut variables = vec![("PATH", path), ("PYENV_ROOT", pyenv_root.as_str())];
        variables.extend(variable.map(|value| ("PYENV_VERSION", value)));
        let output = create(
            &project,
            &here,
            &["env", "--replace", "--no-seed", "--format", "json"],
            &variables,
        );
        match output.code {
            0 => Ok(output.json()["executable"].as_str().unwrap().to_owned()),
            code => {
                assert_eq!(code, 7, "{output:?}");
                Err(output.stderr)
            }
        }
    };
    for path in [&with_shims, &without] {
        let taken = |file: &str, variable: Option<&str>, expected: &Utf8Path| {
            assert_eq!(
                outcome(file, variable, path).as_deref(),
                Ok(expected.as_str()),
                "{file:?} {variable:?} {path}"
            );
        };
        for (file, expected) in [
            ("3.12\n", &one),
            ("3.12.1", &one),
            ("# ours\n\n 3.9.2 # old\r\n3.12\n", &two),
            ("\u{feff}3.12\n", &one),
            ("cpython@3.12\n", &one),
            ("cpython-3.12.1-linux-x86_64-gnu\n", &one),
            (">=3.10,<3.11\n", &brew),
            ("3.10-brew\n", &brew),
            ("system\n3.12.1\n", &system),
            ("work\n", &two),
            ("3.9.2/envs/work\n", &two),
            ("../brew/opt/python@3.10/bin/python3\n", &brew),
        ] {
            taken(file, None, expected);
        }
        taken("3.12\n", Some("3.9.2:3.12.1"), &two);
        taken("3.99\n", Some("system"), &system);
        for (file, variable, word, source) in [
            ("3.99\n", None, "3.99", format!("{root}/project/.python-version")),
            ("3.99\n3.12\n", None, "3.99", format!("{root}/project/.python-version")),
            (
                "cpython-3.12.1-macos-aarch64-none\n",
                None,
                "cpython-3.12.1-macos-aarch64-none",
                format!("{root}/project/.python-version"),
            ),
            ("3.12.77\n", None, "3.12.77", format!("{root}/project/.python-version")),
            ("no-such-env\n", None, "no-such-env", format!("{root}/project/.python-version")),
            ("3.12\n", Some("3.98"), "3.98", "PYENV_VERSION".to_owned()),
        ] {
            let message = outcome(file, variable, path).unwrap_err();
            let expected = format!("{source} asks for Python `{word}`, which is not installed");
            assert!(
                message.contains(&expected) && message.contains("hint: install it"),
                "{expected}: {message}"
            );
        }
        taken("# nothing\n", None, if path == &with_shims { &one } else { &system });
    }
}

#[test]
fn messages_say_what_was_found_and_what_to_do() {
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    let python = fake_interpreter(&root, "usr/bin/python3", "3.11.4");
    let path = format!("{root}/usr/bin");
    let asked = |request: &str| {
        create(
            &project,
            &root,
            &["env", "--no-seed", "--python", request],
            &[("PATH", path.as_str())],
        )
    };
    let old = asked("2.7");
    assert!(
        old.code == 7
            && old.stderr.contains("Python 2.7 is too old, expected CPython 3.8 or newer"),
        "{old:?}"
    );
    assert!(old.stderr.contains("interpreter list") && !old.stderr.contains("install"), "{old:?}");
    let absent = asked(".venv");
    assert!(
        absent.stderr.contains("no interpreter is `.venv`") && absent.stderr.contains("or a path"),
        "{absent:?}"
    );
    let new = asked("3.77");
    new.says(&format!("these were found:\n    {python}: CPython 3.11.4"));
    new.says("`uv python install 3.77`");
    std::fs::write(root.join(".python-version"), b"\xff\xfe3\x00").unwrap();
    let unread = create(&project, &root, &["env", "--no-seed"], &[("PATH", path.as_str())]);
    assert!(
        unread.code == 7 && unread.stderr.contains("/.python-version cannot be read, expected"),
        "{unread:?}"
    );
    std::fs::remove_file(root.join(".python-version")).unwrap();
    // A directory of that name is meant.
    symlink("usr", root.join(".venv")).unwrap();
    let created = asked(".venv");
    assert_eq!(created.code, 0, "{created:?}");
}

#[test]
fn every_interpreter_is_listed_and_broken_ones_with_the_reason() {
    let project = Project::new();
    let root = project.path().canonicalize_utf8().unwrap();
    let first = fake_interpreter(&root, "a/python3.11", "3.11.4");
    symlink("python3.11", root.join("a/python3")).unwrap();
    let old = fake_interpreter(&root, "a/python2.7", "2.7.18");
    let broken = root.join("b/python3");
    std::fs::create_dir_all(root.join("b")).unwrap();
    write_executable(broken.as_std_path(), b"#!/bin/sh\necho 'no \x1b[31mlibrary' >&2\nexit 3\n");
    let missing = root.join("b/python3.13");
    write_executable(missing.as_std_path(), b"#!/nonexistent/loader\n");
    let slow = root.join("b/python3.14");
    write_executable(slow.as_std_path(), b"#!/bin/sh\nexec sleep 600\n");
    let pyenv = fake_interpreter(&root, "pyenv/versions/3.10.2/bin/python3.10", "3.10.2");
    let uv = fake_interpreter(&root, "uv/cpython-3.12.1-linux-x86_64-gnu/bin/python3.12", "3.12.1");
    symlink("cpython-3.12.1-linux-x86_64-gnu", root.join("uv/cpython-3.12-linux-x86_64-gnu"))
        .unwrap();
    let variables = [
        ("PATH", format!("{root}/a:{root}/b")),
        ("PYENV_ROOT", format!("{root}/pyenv")),
        ("UV_PYTHON_INSTALL_DIR", format!("{root}/uv")),
        ("XDG_CACHE_HOME", format!("{root}/cache")),
    ];
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let start = std::time::Instant::now();
    let report =
        venvtree_with(&root, &["interpreter", "list", "--format", "json"], "", &variables).json();
    assert!(start.elapsed() < std::time::Duration::from_secs(30));
    assert_eq!(report["version"], 1);
    let listed: Vec<&serde_json::Value> = report["interpreters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["path"].as_str().unwrap().starts_with(root.as_str()))
        .collect();
    let find = |path: &Utf8Path| {
        *listed
            .iter()
            .find(|item| item["path"] == path.as_str())
            .unwrap_or_else(|| panic!("{path}: {report:#}"))
    };
    assert_eq!(find(&first)["version"], "3.11.4");
    assert_eq!(find(&first)["implementation"], "cpython");
    assert_eq!(find(&first)["aliases"], serde_json::json!([root.join("a/python3")]));
    assert_eq!(find(&first)["platform"]["arch"], "x86_64");
    assert_eq!(find(&pyenv)["version"], "3.10.2");
    let alias = root.join("uv/cpython-3.12-linux-x86_64-gnu/bin/python3.12");
    assert_eq!(
        (&find(&alias)["version"], &find(&alias)["aliases"]),
        (&"3.12.1".into(), &serde_json::json!([uv]))
    );
    for (path, reason) in [
        (&old, "too old"),
        (&broken, "exit status: 3"),
        (&missing, "cannot run"),
        (&slow, "did not answer within"),
    ] {
        let item = find(path);
        assert_eq!(item["usable"], false, "{item}");
        assert!(item["reason"].as_str().unwrap().contains(reason), "{item}");
    }
    std::fs::remove_file(&slow).unwrap();
    let text = venvtree_with(&root, &["interpreter", "list"], "", &variables).success();
    assert!(
        text.lines()
            .any(|line| line.starts_with("CPython 3.11.4") && line.ends_with(first.as_str())),
        "{text}"
    );
    assert!(
        text.lines().any(|line| line.contains("  also  ") && line.ends_with("a/python3")),
        "{text}"
    );
    assert!(
        text.lines().any(|line| line.starts_with("cannot be used") && line.contains("b/python3: ")),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "{text}");
}
