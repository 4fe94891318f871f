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
