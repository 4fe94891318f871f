//! `venvtree lock` as people call it: what it prints, and how it refuses.

use serde_json::{Value, json};

use crate::support::project::{Output, Project, WheelText};

/// A project with a lock of testdata under its usual name.
fn project(lock: &str) -> Project {
    let project = Project::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/locks");
    let name = lock.rsplit('/').next().unwrap();
    project.write(name, std::fs::read(root.join(lock)).unwrap());
    project
}

fn select(project: &Project, arguments: &str) -> Output {
    let words: Vec<&str> = arguments.split(' ').map(|word| word.trim_matches('\'')).collect();
    project.run(&[&["lock", "select"], &words[..]].concat())
}

#[test]
fn a_table_of_wheels_and_a_document() {
    let project = project("flask/uv.lock");
    let target = ["--target", "3.9.1 windows-x86_64"];
    let output = project.run(&[&["lock", "select", "uv.lock"], &target[..]].concat());
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 10, "{}", output.stdout);
    assert_eq!(lines[2], "colorama            0.4.6   colorama-0.4.6-py2.py3-none-any.whl");
    assert_eq!(
        output.stderr,
        "10 wheels, 667.8 kB for CPython 3.9.1 (cp39) on windows x86_64; the project's own code is left out: flaskapp\n"
    );
    let arguments = [&["lock", "select", "uv.lock", "--format", "json"], &target[..]].concat();
    let document = project.run(&arguments).json();
    assert_eq!(document["version"], 1);
    assert_eq!(document["interpreter"]["platform"], json!({"os": "windows", "arch": "x86_64"}));
    let click = &document["wheels"][1];
    assert_eq!(click["name"], "click");
    assert_eq!(click["file_name"], "click-8.1.8-py3-none-any.whl");
    assert_eq!(click["because"], json!(["flask"]));
    assert!(click["url"].as_str().unwrap().starts_with("https://files.example/"));
    assert_eq!(click["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(click["size"], 98188);
    let own = json!([{"name": "flaskapp", "version": "0.1.0", "kind": "virtual", "path": ".",
                      "missing": false, "because": ["the workspace"]}]);
    assert_eq!(document["left_out"], own);
}

#[test]
fn what_is_wrong_is_said_in_full_and_by_the_exit_code() {
    let check = |lock: &str, arguments: &str, code: u8, expected: &str| {
        let project = project(lock);
        let name = lock.rsplit('/').next().unwrap();
        let output = select(&project, &format!("{name} {arguments}"));
        assert_eq!((output.code, &*output.stderr, &*output.stdout), (code, expected, ""));
    };
    let linux = "--target linux-x86_64-3.12.1";
    check(
        "sdist/uv.lock",
        linux,
        4,
        "error: uv.lock: no wheel of 1 package fits CPython 3.12.1, linux-x86_64-glibc-2.28:\n  \
         docopt 0.6.2: there is only a source distribution\n\
         hint: build a wheel elsewhere, as with `pip wheel --no-deps NAME==VERSION`, and give it with --supply\n",
    );
    check(
        "extras/uv.lock",
        &format!("{linux} --extra wbe --group tset"),
        3,
        "error: uv.lock: there is no extra `wbe`; there are all, cli, web (did you mean web?)\n\
         uv.lock: there is no group `tset`; there are dev, docs, test (did you mean test?)\n",
    );
    check(
        "extras/uv.lock",
        "--target linux-x86_64-3.8.18",
        3,
        "error: uv.lock: needs Python >=3.11, <3.13, the environment has 3.8.18\n\
         hint: name an interpreter that fits, with --python or --target, or lock anew for this one\n",
    );
    check(
        "envs/uv.lock",
        "--target windows-x86_64-3.12.1",
        3,
        "error: uv.lock: is for `platform_machine == 'x86_64' and sys_platform == 'linux'` or \
         `sys_platform == 'darwin'`, not for windows-x86_64\n\
         hint: add this one to `tool.uv.environments` of pyproject.toml and lock anew, or name another target\n",
    );
    check(
        "conflicts/uv.lock",
        &format!("{linux} --extra old --extra new"),
        3,
        "error: uv.lock: the extras `new` and `old` of conflicty exclude one another\n\
         hint: ask for one of them, with each --extra by its name\n",
    );
    check(
        "findlinks/uv.lock",
        linux,
        3,
        "error: uv.lock: `six-1.17.0-py2.py3-none-any.whl` has no hash (its source is the directory ../links)\n\
         hint: give --unpinned to trust what is there, or lock again from an index\n",
    );
    check(
        "paths/requirements.txt",
        linux,
        3,
        "error: requirements.txt:3: `-e ./libs/liba` is no wheel\n\
         requirements.txt:7: `-e ./libs/libb` is no wheel\n\
         hint: `uv export --no-emit-project` leaves the project itself out, `--no-emit-workspace` all members of a workspace\n",
    );
    check(
        "flask/requirements.txt",
        linux,
        3,
        "error: requirements.txt: has no addresses, and no wheels are given\n\
         hint: give --wheels DIR or --index-url URL, or pin them once: `venvtree lock pin requirements.txt --index-url URL --out pylock.toml`\n",
    );
    check(
        "pylock.ambiguous.toml",
        &format!("{linux} --extra x"),
        3,
        "error: pylock.ambiguous.toml: `six` is there twice for this environment (packages[0], packages[1])\n",
    );
    check(
        "flask/uv.lock",
        "--target somewhere",
        2,
        "error: `somewhere` names no target: expected linux, macos or windows first\n\
         hint: a target is OS-ARCH-PYTHON, such as linux-x86_64-3.12, linux-aarch64-musl-3.13, \
         linux-x86_64-glibc2.17-3.12, macos-arm64-3.12, macos-x86_64-14.0-3.13t or windows-x86_64-3.12\n",
    );
}

/// Other commands say `--for`, and who has learnt that word is understood here.
#[test]
fn a_target_is_named_by_either_word() {
    let project = project("flask/uv.lock");
    let chosen = |word| select(&project, &format!("uv.lock {word} linux-x86_64-3.12")).stdout;
    let target = chosen("--target");
    assert!(target.contains("flask"), "{target}");
    assert_eq!(chosen("--for"), target);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let project = project("flask/uv.lock");
    let text = std::fs::read_to_string(project.path().join("uv.lock")).unwrap();
    project.write("windows.lock", format!("\u{feff}{}", text.replace('\n', "\r\n")));
    let wheels =
        |lock: &str| select(&project, &format!("{lock} --target linux-x86_64-3.12")).stdout;
    assert!(wheels("uv.lock").lines().count() == 7);
    assert_eq!(wheels("uv.lock"), wheels("windows.lock"));
    project.write("utf16.lock", [0xff, 0xfe, 0x61, 0]);
    let output = select(&project, "utf16.lock --target linux-x86_64-3.12");
    let expected = "error: utf16.lock: is text in UTF-16, expected a uv.lock, a pylock.toml or \
                    requirements with hashes\nhint: save it as UTF-8\n";
    assert_eq!((output.code, &*output.stderr), (3, expected));
}

#[test]
fn wheels_are_supplied_and_requirements_are_found_by_their_hashes() {
    let project = project("sdist/uv.lock");
    project.wheel(&WheelText::new("docopt", "0.6.2").file("docopt.py", ""));
    project.wheel(&WheelText::new("six", "1.0").file("six.py", ""));
    let output = select(&project, "uv.lock --target linux-x86_64-3.12 --supply wheels");
    assert!(output.stdout.contains("docopt-0.6.2-py3-none-any.whl"), "{}", output.stderr);
    let warning = "warning: uv.lock: `six-1.0-py3-none-any.whl` is supplied, but nothing needs it";
    assert_eq!(output.stderr.lines().next(), Some(warning));
    let path = project.path().join("wheels/six-1.0-py3-none-any.whl");
    let hash = venvtree::model::digest::Hash::sha256(&std::fs::read(path).unwrap());
    project.write("requirements.txt", format!("six==1.0 --hash=sha256:{hash}\n"));
    let arguments = "requirements.txt --target linux-x86_64-3.12 --wheels wheels --format json";
    let document = select(&project, arguments).json();
    assert_eq!(document["wheels"][0]["sha256"], hash.to_hex());
    assert_eq!(document["wheels"][0]["because"], json!(["line 1"]));
    // One of another hash is none, and an index may have it.
    let other = "0".repeat(64);
    project.write("other.txt", format!("six==1.0 --hash=sha256:{other}\n"));
    let output = select(&project, "other.txt --target linux-x86_64-3.12 --wheels wheels");
    let hint = "hint: give the wheels with --wheels, or let `create`, `build` or `lock fetch` look them up with --index-url URL";
    assert_eq!((output.code, output.stderr.lines().last()), (4, Some(hint)));
    // The same from standard input.
    let text = format!("six==1.0 --hash=sha256:{hash}\n");
    let arguments = ["lock", "select", "-", "--target", "linux-x86_64-3.12", "--wheels", "wheels"];
    let output = crate::support::project::venvtree_in(project.path(), &arguments, &text);
    assert_eq!(output.success(), "six  1.0  six-1.0-py3-none-any.whl\n");
}

#[test]
fn an_index_is_written_and_checked() {
    let project = project("conflicts/uv.lock");
    let run = |more: &[&str]| {
        let index =
            ["lock", "index", "uv.lock", "--target", "linux=3.12.1 linux-x86_64-glibc-2.28"];
        project.run(&[&index[..], more].concat())
    };
    let out = ["--out", "index.json"];
    let missing = run(&["--out", "index.json", "--check"]);
    assert_eq!(missing.code, 1, "{}", missing.stderr);
    run(&out).success();
    let text = std::fs::read_to_string(project.path().join("index.json")).unwrap();
    run(&out).success();
    assert_eq!(std::fs::read_to_string(project.path().join("index.json")).unwrap(), text);
    assert_eq!(run(&[]).success(), text);
    assert_eq!(run(&["--out", "index.json", "--check"]).code, 0);
    assert_eq!(
        run(&["--out", "index.json", "--check", "--target", "mac=macos-arm64-3.12"]).code,
        1
    );
    let index: Value = serde_json::from_str(&text).unwrap();
    // Which idna and which markupsafe it is depends on what is asked for; the sets know.
    let idna = &index["packages"]["idna"]["unavailable"]["linux"];
    assert_eq!(idna, "which one it is depends on extras and groups: idna 2.10, idna 3.20");
    assert_eq!(index["sets"]["all"]["linux"], json!(["conflicty"]));
    let names = |said: &Value| {
        let said = said.as_array().unwrap().iter();
        let name = |said: &Value| {
            let file = said.as_str().unwrap();
            index["files"][file]["name"].as_str().unwrap_or(file).to_owned()
        };
        said.map(name).collect::<Vec<_>>()
    };
    let set = |name: &str| names(&index["sets"][name]["linux"]);
    assert_eq!(set("group_g1"), ["idna-2.10-py2.py3-none-any.whl"]);
    assert_eq!(set("group_g2"), ["idna-3.20-py3-none-any.whl"]);
    assert_eq!(set("extra_new"), ["conflicty[new]"]);
    let project = &index["packages"]["conflicty"];
    assert_eq!(names(&project["linux"]["requires"]), ["six"]);
    assert_eq!(names(&project["extras"]["new"]["linux"]), ["jinja2", "six"]);
    let markupsafe = &names(&index["packages"]["jinja2"]["linux"]["requires"])[0];
    assert!(markupsafe.starts_with("markupsafe-3.0.4-cp312"), "{markupsafe}");
    let refused = run(&["--target", "linux=linux-x86_64-3.13"]);
    assert_eq!(
        (refused.code, refused.stderr.lines().next()),
        (2, Some("error: the target `linux` is given twice"))
    );
    let refused = run(&["--target", "old=linux-x86_64-3.8"]);
    let expected = "error: uv.lock: target `old`: needs Python >=3.10, the environment has 3.8";
    assert_eq!((refused.code, refused.stderr.lines().next()), (3, Some(expected)));
}

/// What is there stays where the lock in its place was cut off.
#[test]
fn a_lock_that_was_cut_off_makes_no_environment() {
    let project = project("flask/uv.lock");
    let whole = std::fs::read_to_string(project.path().join("uv.lock")).unwrap();
    let create = |text: &str| {
        project.write("uv.lock", text);
        project.run(&["create", "env", "--lock", "uv.lock", "--replace"])
    };
    project.run(&["create", "env"]).success();
    let before = project.run(&["digest", "env"]).success();
    // The lock's only root is not its last package, and so cut off with those after it.
    let end = whole.find("[[package]]\nname = \"flaskapp\"").unwrap();
    let head: String = whole.split_inclusive('\n').take(4).collect();
    for text in ["", &head, &whole[..end]] {
        let output = create(text);
        assert_eq!((output.code, &*output.stdout), (3, ""), "{}", output.stderr);
    }
    assert_eq!(project.run(&["digest", "env"]).success(), before);
    project.write("requirements.txt", "# Nothing is required.\n");
    let nothing = project.run(&["create", "none", "--lock", "requirements.txt"]);
    let warning = "warning: requirements.txt: it requires nothing";
    assert_eq!((nothing.code, nothing.stderr.lines().next()), (0, Some(warning)));
}

/// Every command says which code it has no wheel of, and takes one that somebody built.
#[test]
fn code_without_a_wheel_is_reported_by_every_command() {
    let project = Project::new();
    let package = |name: &str, source: &str, more: &str| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"1.0\"\nsource = {{ {source} }}\n{more}\n"
        )
    };
    let lock = [
        "version = 1\nrevision = 5\nrequires-python = \">=3.8\"\n".to_owned(),
        package("app", "editable = \".\"", "dependencies = [{ name = \"lib\" }]\n"),
        package("lib", "directory = \"../lib\"", ""),
    ];
    project.write("uv.lock", lock.concat());
    let warning = "warning: uv.lock: `lib` is left out: it is the directory `../lib`, of which the \
                   lock has no wheel; build one and give it with --supply";
    let note = "note: uv.lock: the project's own code is left out: app";
    let commands: [&[&str]; 4] = [
        &["create", "env", "--lock", "uv.lock"],
        &["build", "--lock", "uv.lock", "--out", "out"],
        &["lock", "spec", "uv.lock", "--out", "env.json"],
        &["lock", "fetch", "uv.lock", "--dest", "wheels"],
    ];
    for command in commands {
        let output = project.run(&[command, &["--format", "json"]].concat());
        let lines: Vec<&str> = output.stderr.lines().take(2).collect();
        assert_eq!(
            (output.code, &*lines),
            (0, &[warning, note][..]),
            "{command:?}: {}",
            output.stderr
        );
        let missing = |package: &Value| (package["name"].clone(), package["missing"].clone());
        let document = output.json();
        let left_out = document["left_out"].as_array().unwrap().iter().map(missing);
        let expected = [(json!("app"), json!(false)), (json!("lib"), json!(true))];
        assert_eq!(left_out.collect::<Vec<_>>(), expected);
    }
    let quiet = project.run(&[commands[0], &["--replace", "--quiet"]].concat());
    assert_eq!(quiet.stderr.trim_end(), warning);
    let target = ["--target", "linux-x86_64-3.12.1"];
    let output = project.run(&[&["lock", "select", "uv.lock"], &target[..]].concat());
    let own = "; the project's own code is left out: app\n";
    assert!(
        output.stderr.starts_with(warning) && output.stderr.ends_with(own),
        "{}",
        output.stderr
    );
    let index = ["lock", "index", "uv.lock", "--target", "linux=linux-x86_64-3.12.1"];
    assert_eq!(project.run(&index).stderr.lines().next(), Some(warning));
    let wheel = WheelText::new("lib", "1.0").file("lib.py", "");
    project.write("dist/lib-1.0-py3-none-any.whl", wheel.pack());
    for command in commands {
        let again: &[&str] = if command[0] == "create" { &["--replace"] } else { &[] };
        let again = if command[0] == "build" { &["--replace"] } else { again };
        let output = project.run(&[command, &["--supply", "dist"], again].concat());
        assert_eq!((output.code, output.stderr.lines().next()), (0, Some(note)), "{command:?}");
    }
    assert!(project.path().join("wheels/lib-1.0-py3-none-any.whl").is_file());
    assert!(project.path().join("out/lib").is_dir());
}

/// The sets of an index name every group by itself; what counts by default is for those who install.
#[test]
fn groups_count_by_default_as_the_lock_says() {
    let project = project("groups/uv.lock");
    let names = |arguments: &str| {
        let output = select(&project, &format!("uv.lock --target linux-x86_64-3.12.1{arguments}"));
        let lines = output.success();
        lines.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["click", "toolz", "zipp"]);
    assert_eq!(names(" --no-default-groups"), [""; 0]);
    assert_eq!(names(" --package one"), ["iniconfig"]);
    assert_eq!(names(" --package two"), ["attrs"]);
    let index = ["lock", "index", "uv.lock", "--target", "linux=linux-x86_64-3.12.1"];
    let index: Value = serde_json::from_str(&project.run(&index).success()).unwrap();
    assert_eq!(index["sets"]["all"], json!({"linux": []}));
    assert_eq!(index["sets"]["group_docs"], json!({"linux": ["click", "toolz", "zipp"]}));
    assert_eq!(index["sets"]["group_dev"], json!({"linux": ["attrs", "idna", "six"]}));
}

/// Locks before revision 5 do not say which groups count: the project does.
#[test]
fn other_default_groups_of_the_project_are_not_passed_over_in_silence() {
    let project = project("extras/uv.lock");
    let text = std::fs::read_to_string(project.path().join("uv.lock")).unwrap();
    project.write("uv.lock", text.replace("revision = 5", "revision = 3"));
    let said = |arguments: &str| {
        let target = "--target linux-x86_64-3.12.1";
        let output = select(&project, &format!("uv.lock {target}{arguments}"));
        assert_eq!(output.code, 0, "{}", output.stderr);
        let warning = output.stderr.lines().find(|line| line.starts_with("warning: "));
        warning.map(str::to_owned)
    };
    assert_eq!(said(""), None);
    project.write("pyproject.toml", "[tool.uv]\ndefault-groups = [\"docs\"]\n");
    let warning = "warning: uv.lock: it does not record which groups count by default, so `dev` does, if there is one; \
                   pyproject.toml says default-groups = [\"docs\"]: give --no-default-groups and each --group, \
                   or lock anew with uv 0.13 or newer";
    assert_eq!(said("").as_deref(), Some(warning));
    assert_eq!(said(" --group docs").as_deref(), Some(warning));
    assert_eq!(said(" --no-default-groups --group docs"), None);
    assert_eq!(said(" --only-group docs"), None);
}

/// Locks that cannot be used, each with all that is said of it.
#[test]
fn every_refusal_says_what_to_do() {
    let hash = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";
    let project = Project::new();
    let check = |name: &str, text: &str, expected: &str| {
        project.write(name, text);
        let output = select(&project, &format!("{name} --target linux-x86_64-3.12.1"));
        assert_eq!((output.code, output.stderr.as_str()), (3, expected), "{text}");
    };
    let older =
        "hint: a newer venvtree may read it, or an older version of the tool that wrote it\n";
    check(
        "pylock.toml",
        "lock-version = \"2.0\"\n",
        &format!("error: pylock.toml: lock-version is 2.0; this venvtree reads 1\n{older}"),
    );
    check(
        "uv.lock",
        "version = 2\nrequires-python = \">=3.9\"\n",
        &format!("error: uv.lock: version is 2; this venvtree reads 1\n{older}"),
    );
    check(
        "marked.toml",
        "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nmarker = \"'x' in dependency_group\"\n",
        "error: marked.toml:4:10: its marker has \"dependency_group\" where a variable should be\n",
    );
    let kinds = "expected a uv.lock, a pylock.toml or requirements with hashes";
    let cut = "hint: it may have been cut off, or not be written yet: lock anew";
    let head = "version = 1\nrevision = 5\nrequires-python = \">=3.11\"\n";
    let root = "root: neither a project nor a member of a workspace nor requirements";
    check("uv.lock", "", &format!("error: uv.lock: is empty, {kinds}\n{cut}\n"));
    check("uv.lock", head, &format!("error: uv.lock: has no {root}\n{cut}, as with `uv lock`\n"));
    let open = "error: uv.lock:4:15: invalid basic string, expected `\"`\n\
                uv.lock:4:15: unclosed inline table, expected `}`\n";
    let text = format!("{head}x = {{ a = \"unf");
    check("uv.lock", &text, &format!("{open}{cut}, as with `uv lock`\n"));
    check(
        "uv.lock",
        &format!("{head}\n<<<<<<< HEAD\n[[package]]\n=======\n>>>>>>> other\n"),
        "error: uv.lock:5: `<<<<<<<` is a conflict marker, which a merge has left there\n\
         hint: take one side, as with `git checkout --ours FILE`, and lock anew: `uv lock` writes what has changed since\n",
    );
    check(
        "uv.lock",
        "version = 1\nrequires-python = \"3.11\"\n",
        "error: uv.lock:2:19: its requires-python is \"3.11\", expected versions such as \">=3.11, <4\"\n",
    );
    check(
        "env.json",
        "{\"version\": 1, \"interpreter\": {}, \"wheels\": []}",
        &format!(
            "error: env.json: is a spec, {kinds}\nhint: `venvtree build SPEC --out DIR` makes what it says\n"
        ),
    );
    check(
        "requirements.txt",
        &format!("six==1.17.0\nidna==3.10 --hash=sha256:{hash}\n-e ./libs/liba\n"),
        "error: requirements.txt:1: `six==1.17.0` has no hash\n\
         requirements.txt:3: `-e ./libs/liba` is no wheel\n\
         hint: `uv pip compile --generate-hashes` and `pip-compile --generate-hashes` write hashes; \
         `venvtree lock pin` adds the addresses\n",
    );
    for name in ["poetry.lock", "pdm.lock"] {
        check(
            name,
            "[[package]]\nname = \"six\"\nversion = \"1.17.0\"\n\n[metadata]\nlock-version = \"2.1\"\n",
            &format!(
                "error: {name}: is a lock of Poetry or PDM, {kinds}\n\
                 hint: `poetry export --format requirements.txt` or `pdm export --format pylock` \
                 writes one\n"
            ),
        );
    }
}
