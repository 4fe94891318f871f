//! Messages: what a newcomer types wrong is answered with what is wrong and what to do.

use crate::support::project::{Output, Project, WheelText, some_interpreter, venvtree_with};

fn project() -> Project {
    let project = Project::new();
    let wheel = project.wheel(&WheelText::new("sample", "1.0").file("sample.py", "x = 1\n"));
    project.spec(some_interpreter(), &[wheel], |_| ());
    project
}

/// A run in the project, with what a shell has.
fn run(project: &Project, arguments: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap();
    venvtree_with(
        project.path(),
        arguments,
        "",
        &[("PATH", &path), ("HOME", project.path().as_str()), ("VENVTREE_STORE", "store")],
    )
}

#[test]
fn what_a_variable_says_wrong_is_told_with_its_name() {
    let project = project();
    let path = std::env::var("PATH").unwrap();
    let command = ["build", "env.json", "--out", "out", "--remote-cache", "http://127.0.0.1:1"];
    for (name, value, hint) in [
        ("VENVTREE_MIRRORS", "https://secret", "write a mirror as `https://FROM/=https://TO/`"),
        ("VENVTREE_REMOTE_HEADERS", "secret", "write a header as `NAME=VALUE`"),
    ] {
        let variables = [("PATH", &*path), ("HOME", project.path().as_str()), (name, value)];
        let output = venvtree_with(project.path(), &command, "", &variables);
        says(&output, name, &[&format!("{name}: found no `=`"), hint]);
        assert!(!output.stderr.contains("secret"), "{}", output.stderr);
    }
}

/// Asserts that a run fails, says all of `parts`, and shows nothing raw.
fn says(output: &Output, what: &str, parts: &[&str]) {
    assert_ne!(output.code, 0, "{what}: {output:?}");
    for part in parts {
        assert!(output.stderr.contains(part), "{what} should say {part:?}:\n{}", output.stderr);
    }
    for raw in
        ["stream did not contain valid UTF-8", "expected value at line 1 column 1", "os error 21"]
    {
        assert!(!output.stderr.contains(raw), "{what}:\n{}", output.stderr);
    }
}

#[test]
fn a_byte_order_mark_is_no_problem() {
    let project = project();
    let spec = std::fs::read(project.path().join("env.json")).unwrap();
    project.write("bom.json", [b"\xef\xbb\xbf".as_slice(), &spec].concat());
    let plain = project.run(&["digest", "env.json"]).success();
    assert_eq!(project.run(&["digest", "bom.json"]).success(), plain);
    project.run(&["build", "bom.json", "--out", "env", "--manifest", "m.json"]).success();
    let manifest = std::fs::read(project.path().join("m.json")).unwrap();
    project.write("bom-m.json", [b"\xef\xbb\xbf".as_slice(), &manifest].concat());
    project.run(&["verify", "env", "--manifest", "bom-m.json"]).success();
    project.run(&["diff", "bom-m.json", "bom.json"]).success();
}

#[test]
fn a_value_that_needs_a_sign_is_told_so() {
    let project = project();
    for command in [
        &["build", "env.json", "--out", "out", "--bytecode", "0"][..],
        &["create", "out", "--bytecode", "0"],
    ] {
        let output = run(&project, command);
        says(&output, "--bytecode 0", &["tip: the value of `--bytecode`", "`--bytecode=0`"]);
        assert!(!output.stderr.contains("--out 0"), "{}", output.stderr);
    }
    let output = run(&project, &["create", "--bytecode", "0", "--no-seed"]);
    says(
        &output,
        "levels",
        &["`0` may be levels", "`--bytecode=0` for levels, `./0` for the name"],
    );
    assert!(!project.path().join("0").exists());
    let output = run(&project, &["build", "env.json", "out", "--bytecode"]);
    says(&output, "a second place", &["the output is given as an option: `--out out`"]);
}

#[test]
fn a_missing_file_that_an_option_names_is_told_with_it() {
    let project = project();
    project.write("src/app.py", "");
    let wheel = "wheels/sample-1.0-py3-none-any.whl";
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let mut spec: serde_json::Value = serde_json::from_str(&text).unwrap();
    spec["sources"] = serde_json::json!([{"path": "src", "into": "."}]);
    project.write("env.json", spec.to_string());
    for (key, input) in [("src", "src=gone/src"), (wheel, &format!("{wheel}=gone/a.whl"))] {
        for option in [vec!["--input", input], vec![&*format!("--input={input}")]] {
            let command = [&["build", "env.json", "--out", "out"], &option[..]].concat();
            let output = run(&project, &command);
            let named = format!("hint: `--input {input}` names it");
            says(&output, input, &["gone", &named, &format!("the spec calls `{key}`")]);
        }
    }
    // What is missing otherwise is not.
    std::fs::remove_dir_all(project.path().join("src")).unwrap();
    let output = run(&project, &["build", "env.json", "--out", "out"]);
    assert!(output.code == 7 && !output.stderr.contains("--input"), "{}", output.stderr);
}

#[test]
fn what_is_no_store_is_not_written_to() {
    let project = project();
    project.write("mine/notes.txt", "");
    for command in [["store", "stat"], ["store", "gc"], ["store", "verify"]] {
        let output = run(&project, &[&command[..], &["--store", "mine"]].concat());
        says(&output, "no store", &["mine` is no store: it has `notes.txt`", "hint: name"]);
        assert_eq!(output.code, 2);
    }
    assert_eq!(std::fs::read_dir(project.path().join("mine")).unwrap().count(), 1);
    for command in [
        &["build", "env.json", "--out", "out", "--store", "new"][..],
        &["store", "gc", "--store", "new"],
        &["store", "gc", "--store", "nowhere"],
    ] {
        assert_eq!(run(&project, command).code, 0, "{command:?}");
    }
}

/// Paths are said as they are, whatever the case of their letters.
#[test]
fn what_is_damaged_in_a_store_is_where_it_is_said_to_be() {
    let project = project();
    let store = ["--store", "Up Per/STORE"];
    run(&project, &[&["build", "env.json", "--out", "out"][..], &store].concat()).success();
    let stamps = project.path().join("Up Per/STORE/v1");
    let stamps = if stamps.exists() { stamps } else { project.path().join("Up Per/STORE") };
    let mut folders = vec![stamps];
    let mut damaged = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap().map(Result::unwrap) {
            let (path, is_folder) = (entry.path().to_owned(), entry.path().is_dir());
            match is_folder {
                true => folders.push(path),
                false if path.components().any(|part| part.as_str() == "wheels") => {
                    std::fs::remove_file(&path).unwrap();
                    std::fs::write(&path, "damaged").unwrap();
                    damaged.push(path);
                }
                false => {}
            }
        }
    }
    assert!(!damaged.is_empty());
    let found = run(&project, &[&["store", "verify"][..], &store].concat());
    assert_eq!(found.code, 1, "{}", found.stderr);
    for path in damaged {
        let line = found.stdout.lines().find(|line| line.starts_with(path.as_str()));
        assert!(line.is_some_and(|line| line.ends_with(", removed")), "{path}: {}", found.stdout);
    }
}

#[test]
fn what_is_no_directory_is_no_cache_and_no_advice_breaks_the_machine() {
    let project = project();
    let (path, home) = (std::env::var("PATH").unwrap(), project.path().as_str());
    let variables = [("PATH", path.as_str()), ("HOME", home), ("XDG_CACHE_HOME", "/dev/null")];
    let build = ["build", "env.json", "--out", "out"];
    let output = venvtree_with(project.path(), &build, "", &variables);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output.stderr.contains(
            "warning: the cache `/dev/null/venvtree` is not used: `/dev/null` is no directory"
        ),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("chmod"), "{}", output.stderr);
    // A file that was named is said to be none, too.
    project.write("file", "");
    let output = run(&project, &["build", "env.json", "--out", "two", "--store", "file"]);
    assert!(output.code == 0 && output.stderr.contains("Not a directory"), "{}", output.stderr);
}

#[test]
fn what_is_no_spec_is_named() {
    let project = project();
    let spec = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let utf16: Vec<u8> =
        [0xfeff].into_iter().chain(spec.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::create_dir(project.path().join("folder")).unwrap();
    project.run(&["build", "env.json", "--out", "env", "--manifest", "m.json"]).success();
    for (name, bytes, parts) in [
        ("empty.json", b"".to_vec(), &["found empty", "--spec-out"][..]),
        ("spec.yaml", b"version: 1\nwheels:\n".to_vec(), &["found YAML", "a spec is JSON"]),
        (
            "uv.lock",
            b"version = 1\n\n[[package]]\nname = \"six\"\n".to_vec(),
            &["found TOML", "lock spec"],
        ),
        ("requirements.txt", b"six==1.16.0\n".to_vec(), &["a list of requirements", "lock spec"]),
        (
            "commented.json",
            format!("// mine\n{spec}").into_bytes(),
            &["a comment (`//` in line 1)", "no comments"],
        ),
        (
            "inline.json",
            spec.replacen("{", "{ /* mine */", 1).into_bytes(),
            &["a comment (`/*` in line 1)"],
        ),
        ("quotes.json", spec.replace('"', "'").into_bytes(), &["single quotes", "json.dumps"]),
        ("utf16.json", utf16, &["UTF-16", "save it as UTF-8"]),
        (
            "latin.json",
            b"{\"version\": 1, \"prompt\": \"\xe4\"}".to_vec(),
            &["not UTF-8 (line 1)", "save it as UTF-8"],
        ),
        ("source.tar.gz", b"\x1f\x8b\x08\0".to_vec(), &["a gzip archive", "spec from"]),
        ("page.json", b"<html><body>Sign in</body></html>".to_vec(), &["HTML", "downloaded"]),
        ("list.json", b"[]".to_vec(), &["found a list, expected an object"]),
        ("comma.json", b"{\"version\": 1,}".to_vec(), &["trailing comma", "spec schema"]),
    ] {
        project.write(name, bytes);
        for command in
            [&["spec", "check", name][..], &["build", name, "--out", "x"], &["plan", name]]
        {
            says(&run(&project, command), name, &[&[name], parts].concat());
        }
        assert!(!project.path().join("x").exists());
    }
    let wheel = "wheels/sample-1.0-py3-none-any.whl";
    for (name, parts) in [
        (wheel, &["a zip archive, such as a wheel", "spec from"][..]),
        ("folder", &["`folder` is a directory, expected a spec", "spec from DIR"]),
        ("env", &["`env` is an environment, expected a spec", "--spec-out"]),
        ("m.json", &["found a manifest", "verify --manifest"]),
    ] {
        says(&run(&project, &["build", name, "--out", "x"]), name, parts);
    }
    project.write("facts.json", some_interpreter().to_string());
    says(
        &run(&project, &["build", "facts.json", "--out", "x"]),
        "facts",
        &["interpreter probe", "put this under `interpreter`"],
    );
}

#[test]
fn slips_are_recognized_everywhere() {
    let project = project();
    let spec = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let check = |before: &str, after: &str, meant: &str| {
        assert!(spec.contains(before), "{before}");
        project.write("slip.json", spec.replacen(before, after, 1));
        let question = format!("did you mean `{meant}`?");
        says(&run(&project, &["spec", "check", "slip.json"]), after, &[question.as_str()]);
    };
    for (meant, slip) in [
        ("wheels", "wheel"),
        ("interpreter", "interpretor"),
        ("sha256", "sha-256"),
        ("cpython", "CPython"),
        ("linux", "Linux"),
        ("x86_64", "x86-64"),
        ("absolute", "absolut"),
    ] {
        check(&format!("\"{meant}\""), &format!("\"{slip}\""), meant);
    }
    for (flags, meant) in [
        (r#"{"conflict": "last"}"#, "conflicts"),
        (r#"{"conflicts": "eror"}"#, "error"),
        (r#"{"activators": ["powershel"]}"#, "powershell"),
        (r#"{"allow": ["record.unlistd"]}"#, "record.unlisted"),
        (r#"{"digest_function": "sha-256"}"#, "sha256"),
    ] {
        check(r#""version": 1"#, &format!(r#""version": 1, "flags": {flags}"#), meant);
    }
    for (arguments, part) in [
        (&["biuld", "env.json"][..], "'build'"),
        (&["build", "env.json", "--output", "x"], "'--out'"),
        (&["store", "xyzzy"], "tip: the commands of `venvtree store` are stat, gc, verify"),
        (&["store", "prune"], "`venvtree store gc`"),
        (&["help", "xyzzy"], "tip: the commands of `venvtree` are build, create,"),
        (&["venv", ".venv"], "`venvtree create`"),
        (&["install", "requests"], "`venvtree create --lock uv.lock`"),
        (&["create", "-r", "requirements.txt"], "`--lock requirements.txt`"),
        (&["build", "env.json", "x"], "`--out x`"),
        (&["build", "nowhere.json", "--out", "x"], "hint: `venvtree create ENV --spec-out FILE`"),
        (&["verify", ".", "--digest", "abc"], "hint: a digest is HASH/SIZE"),
        (&["spec", "from", "wheels", "--for", "linux"], "the architecture is missing"),
        (&["plan", "wheels"], "`wheels` is a directory, expected a spec"),
        (&["xyzzy"], "tip: the commands of `venvtree` are build, create,"),
        (&["completions", "powershel"], "'powershell'"),
        (&["wheel", "check", "x.whl", "--allow", "record.unlistd"], "`record.unlisted`"),
        (&["build", "env.json", "--out", "x", "--link-mode", "hardlinks"], "'hardlink'"),
        (&["wheel", "check", "x.whl", "--limit", "entrys=1"], "entries"),
    ] {
        says(&run(&project, arguments), &arguments.join(" "), &[part]);
    }
}

#[test]
fn tags_that_do_not_fit_take_one_short_line() {
    let project = Project::new();
    let tags = "cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.manylinux_2_28_x86_64";
    let wheel = project.wheel(&WheelText::new("sample", "1.0").tag(tags).file("sample.py", ""));
    project.spec(some_interpreter(), &[wheel], |_| ());
    let output = run(&project, &["build", "env.json", "--out", "x"]);
    says(
        &output,
        "tags",
        &[
            "is for `cp313-cp313-manylinux_2_17_x86_64` and 2 other platforms",
            "the interpreter is `cp311-cp311-",
        ],
    );
    let line = output.stderr.lines().find(|line| line.contains("[incompatible-tags]")).unwrap();
    assert!(line.len() < 280, "{} characters: {line}", line.len());
}

#[test]
fn a_refused_wheel_is_said_once_with_its_code() {
    let project = Project::new();
    let wheel = project
        .wheel(&WheelText::new("sample", "1.0").file("sample.py", "").unlisted("more.py", ""));
    project.spec(some_interpreter(), &[wheel], |spec| {
        spec["flags"] = serde_json::json!({"deny": ["record.unlisted"]})
    });
    let output = run(&project, &["build", "env.json", "--out", "x"]);
    says(&output, "deny", &["[record.unlisted] sample-1.0-py3-none-any.whl: \"more.py\": "]);
    assert_eq!(output.stderr.matches("[record.unlisted]").count(), 1, "{}", output.stderr);
}

#[test]
fn all_problems_of_an_interpreter_come_at_once() {
    let project = project();
    project.write(
        "env.json",
        r#"{"version": 1, "interpreter": {"implementation": "cypthon", "version": "3.11", "abi": "cp311",
            "platform": {"os": "beos", "arch": "vax", "libc": "uclibc", "version": "x"},
            "python": {"kind": "absolute", "path": "bin/python", "more": 1}}, "wheels": [{"path": "x"}], "flags": {"mtime": -1}}"#,
    );
    let output = run(&project, &["spec", "check", "env.json"]);
    let paths = [
        "implementation",
        "platform.os",
        "platform.arch",
        "platform.libc",
        "platform.version",
        "python.path",
        "python.more",
    ];
    says(
        &output,
        "interpreter",
        &paths
            .map(|path| format!("$.interpreter.{path}: "))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    says(&output, "the rest", &["$.wheels[0]", "$.flags.mtime"]);
}

/// A run with one more variable.
fn run_with(project: &Project, arguments: &[&str], variable: (&str, &str)) -> Output {
    let path = std::env::var("PATH").unwrap();
    let home = project.path().as_str();
    venvtree_with(project.path(), arguments, "", &[("PATH", &path), ("HOME", home), variable])
}

#[test]
fn who_replaces_nothing_is_told_what_is_there_and_not_who_works_in_it() {
    let project = Project::new();
    let main = project.write("p/main.py", "");
    let inside = main.parent().unwrap();
    let create = |extra: &[&str]| {
        let path = std::env::var("PATH").unwrap();
        let variables = [("PATH", path.as_str()), ("HOME", project.path().as_str())];
        venvtree_with(inside, &[&["create", ".", "--no-seed"], extra].concat(), "", &variables)
    };
    let there = create(&[]);
    says(&there, "create .", &["is no environment: it holds no pyvenv.cfg", "another place"]);
    assert_eq!(there.code, 5);
    assert!(!there.stderr.contains("working directory"), "{}", there.stderr);
    says(&create(&["--clear"]), "--clear", &["the working directory lies in", "from outside"]);
}

#[test]
fn a_wheel_is_not_packed_that_nobody_could_use() {
    let project = Project::new();
    for (file, name, version) in
        [("right", "app", "1.0"), ("name", "other", "1.0"), ("version", "app", "2.0")]
    {
        let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        project.write(file, text);
    }
    project.write("none", [0xff, 0xfe, 0]);
    let pack = |metadata: &str, files: &[&str]| {
        let wheel = "dist/app-1.0-py3-none-any.whl";
        let start = ["wheel", "pack", "--out", wheel, "--metadata", metadata];
        let files: Vec<&str> = files.iter().flat_map(|file| ["--file", file]).collect();
        project.run(&[&start[..], &files].concat())
    };
    for (metadata, files, code) in [
        ("name", &[][..], "[metadata.other-name]"),
        ("version", &[], "[metadata.other-version]"),
        ("none", &[], "[metadata."),
        ("right", &["app=right", "app/x.py=right"], "app"),
    ] {
        let output = pack(metadata, files);
        assert_eq!(output.code, 4, "{metadata}: {}", output.stderr);
        says(&output, metadata, &["could not be used, so it is not written", code, "findings.md"]);
        assert!(!output.stderr.contains("--allow"), "{}", output.stderr);
        assert_eq!(project.left_over(), [""; 0]);
        assert!(!project.path().join("dist/app-1.0-py3-none-any.whl").exists());
    }
    pack("right", &["app.py=right"]).success();
    project.run(&["wheel", "check", "dist/app-1.0-py3-none-any.whl"]).success();
    // Where nothing can be replaced, it is looked at aside.
    let link = project.path().join("app-1.0-py3-none-any.whl");
    std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
    for (metadata, printed) in [("name", false), ("right", true)] {
        let wheel = ["wheel", "pack", "--out", "app-1.0-py3-none-any.whl", "--metadata", metadata];
        let path = std::env::var("PATH").unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_venvtree"));
        let output = command.args(wheel).env("PATH", path).current_dir(project.path());
        assert_eq!(output.output().unwrap().stdout.starts_with(b"PK"), printed, "{metadata}");
    }
}

#[test]
fn the_message_of_a_usage_error_is_its_own_text() {
    let project = project();
    for (command, message, hint) in [
        (
            &["verify", "x"][..],
            "the following required arguments were not provided: ",
            "the usage is `venvtree verify <DIR> --manifest <FILE> [OPTIONS]` or `venvtree verify <DIR> ",
        ),
        (&["wheel", "pack"], "the following", "the usage is `venvtree wheel pack --out <FILE> "),
        (&["pack", "env.json", "--out", "i", "--frobnicate"], "unexpected argument", "a similar"),
        (&["create", "--find-links", "d"], "`venvtree create` has no option --find", "name the"),
    ] {
        let output = run(&project, &[command, &["--format", "json"][..]].concat());
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let error = &document["error"];
        let [said, tip] = ["message", "hint"].map(|field| error[field].as_str().unwrap());
        assert!(said.starts_with(message) && tip.starts_with(hint), "{error}");
        for other in ["venvtree verify", "venvtree pack <", "venvtree wheel", "Usage", "hint:"] {
            assert!(!said.contains(other), "{error}");
        }
    }
}

#[test]
fn options_of_other_tools_are_answered_for_what_is_at_hand() {
    let project = Project::new();
    let root = "[[package]]\nname = \"p\"\nversion = \"1\"\nsource = { virtual = \".\" }\n";
    let lock = format!("version = 1\nrequires-python = \">=3.8\"\n\n{root}");
    project.write("uv.lock", lock);
    let create = |arguments: &[&str]| run(&project, &[&["create", "e"], arguments].concat());
    let lock = ["--lock", "uv.lock"];
    for (option, alone, locked, built) in [
        (
            &["--index", "https://a/"][..],
            "nothing is downloaded",
            "`--index-url URL`",
            "`--index-url URL`",
        ),
        (
            &["--extra-index-url=https://a/"],
            "nothing is downloaded",
            "`--index-url URL`",
            "`--index-url",
        ),
        (&["--find-links", "d"], "--extra-search-dir", "`--wheels DIR`", "`--wheels DIR`"),
        (&["-f", "d"], "--extra-search-dir", "`--wheels DIR`", "`--wheels DIR`"),
        (&["--python-platform", "linux"], "--target T", "--target T", "`--target T"),
        (&["--locked"], "`uv lock --check`", "`uv lock --check`", "`uv lock --check`"),
        (&["--only-dev"], "`--only-group dev`", "`--only-group dev`", "`--only-group dev`"),
        (&["--dev"], "`--group dev`", "`--group dev`", "`--group dev`"),
        (&["--no-editable"], "--supply", "--supply", "--supply"),
        (&["--reinstall"], "`--clear`", "`--clear`", "`--replace`"),
        (&["--native-tls"], "the system", "the system", "the system"),
        (&["--dry-run"], "lock select LOCK`", "lock select LOCK`", "lock select LOCK`"),
        (&["--inexact"], "as a whole", "as a whole", "as a whole"),
        (&["--compile-bytecode"], "`--bytecode`", "`--bytecode`", "`--bytecode --compiler"),
        (&["--refresh"], "`--no-store`", "`--no-store`", "`--no-store`"),
        (
            &["--index-strategy", "first-index"],
            "nothing is downloaded",
            "by its hash",
            "by its hash",
        ),
        (&["--active"], "$VIRTUAL_ENV", "$VIRTUAL_ENV", "$VIRTUAL_ENV"),
        (&["--upgrade"], "python -m venv", "`uv lock --upgrade`", "`uv lock --upgrade`"),
    ] {
        let build = ["build", "--lock", "uv.lock", "--out", "e"];
        for (output, hint) in [
            (create(option), alone),
            (create(&[&lock, option].concat()), locked),
            (run(&project, &[&build, option].concat()), built),
        ] {
            says(&output, &option.join(" "), &["has no option", "hint: ", hint]);
            assert!(output.code == 2 && !output.stderr.contains("tip: "), "{}", output.stderr);
        }
    }
    for (option, hint) in [("--threads", "VENVTREE_THREADS"), ("--out", "`venvtree create ENV`")] {
        for before in [&lock[..], &[]] {
            says(&create(&[before, &[option, "2"]].concat()), option, &[hint]);
        }
    }
    // What is the case anyway is understood, and means nothing without a lock.
    let anyway = ["--frozen", "--exact", "--no-build", "--no-install-project", "--all-packages"];
    for option in anyway {
        says(&create(&[option]), option, &[option, "hint: give the lock, too"]);
    }
    create(&[&lock[..], &anyway, &["--no-store"]].concat()).success();
    says(
        &create(&[&lock[..], &["--all-packages", "--package", "a"]].concat()),
        "members",
        &["cannot be used with"],
    );
}

#[test]
fn hints_are_about_what_is_at_hand() {
    let project = Project::new();
    let both = |name: &str| WheelText::new(name, "1.0").file("cv/x.py", name);
    let line = |wheel: serde_json::Value| {
        let (path, hash) = (wheel["path"].as_str().unwrap(), wheel["sha256"].as_str().unwrap());
        format!("./{path} --hash=sha256:{hash}\n")
    };
    let lock = line(project.wheel(&both("one"))) + &line(project.wheel(&both("two")));
    project.write("requirements.txt", lock);
    let output = run(&project, &["create", "e", "--no-store", "--lock", "requirements.txt"]);
    says(&output, "two claims", &["`conflict_overrides`", "`venvtree lock spec LOCK --out"]);
    project.write("editable.txt", "-e .\n");
    let output = run(&project, &["create", "e", "--lock", "editable.txt"]);
    says(&output, "-e .", &["`-e .` is no wheel", "`uv export --no-emit-project`"]);
    let output = run(&project, &["create", "e", "--lock", "editable.txt", "--extra", ""]);
    says(&output, "--extra ''", &["what follows `--extra` is empty", "leave the option out"]);
    assert!(!output.stderr.contains("path"), "{}", output.stderr);
    let output = run(&project, &["create", "e", "--lock", ""]);
    says(&output, "--lock ''", &["an empty path would mean"]);
    let mirror = ["create", "e", "--lock", "editable.txt", "--mirror", "https://secret=ftp://b"];
    let output = run(&project, &mirror);
    says(&output, "ftp", &["--mirror: found one of another kind, expected an address of https"]);
    assert!(!output.stderr.contains("secret"), "{}", output.stderr);
    let output = run(&project, &["create", "e", "--python", "pypy3.77"]);
    says(&output, "PyPy", &["`uv python install pypy3.77`", "`pyenv install pypy3.77`"]);
    let output = run(&project, &["create", "e", "--seed", "no-such-seed", "--no-cwd-search"]);
    says(&output, "a seed", &["are not downloaded", "`--seed NAMES` says with what"]);
    let output = run(&project, &["store", "stat", "--store", "typo"]);
    assert!(output.code == 0 && output.stderr.contains("note: nothing is there yet: `"));
}

#[cfg(feature = "remote")]
#[test]
fn what_cannot_be_kept_is_said_once_and_with_a_way_out() {
    let project = Project::new();
    let server = crate::support::file_server::FileServer::start();
    let line = |name: &str| {
        let wheel = WheelText::new(name, "1.0").file(&format!("{name}.py"), "");
        let (file, bytes) = (wheel.file_name(), wheel.pack());
        let hash = venvtree::model::digest::Hash::sha256(&bytes);
        let url = server.add(&format!("/{file}"), &bytes);
        format!("{name} @ {url} --hash=sha256:{hash}\n")
    };
    project.write("requirements.txt", line("one") + &line("two"));
    let create = |place: &str, more: &[&str], variable: (&str, &str)| {
        let command = ["create", place, "--lock", "requirements.txt"];
        run_with(&project, &[&command[..], more].concat(), variable)
    };
    let output = create("a", &[], ("VENVTREE_STORE", "/proc/no-such-store"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(output.stderr.matches("warning: could not keep").count(), 1, "{}", output.stderr);
    let output = create("b", &["--no-store"], ("TMPDIR", "/nope/x"));
    says(
        &output,
        "TMPDIR",
        &["cannot make a folder in `/nope/x`", "hint: let the variable TMPDIR"],
    );
}
