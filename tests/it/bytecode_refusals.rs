//! Bytecode that is not taken: of an overlay that lies, of a compiler that lacks something, of an
//! environment that has none.

use std::io::{Cursor, Read as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use venvtree::model::bytecode::release::Release;
use venvtree::model::digest::Hash;
use zip::write::SimpleFileOptions;

use crate::bytecode::{compile, compiled_spec, wheel_of};
use crate::support::commands::succeed_alone;
use crate::support::programs::{Python, interpreters};
use crate::support::project::{Project, WheelText};

/// The newest interpreter of this machine that compiles, and another one of another version.
fn two() -> [(Python, Release); 2] {
    let found = interpreters().into_iter();
    let release = |python: Python| Release::of(python.version.1).map(|release| (python, release));
    let mut found: Vec<(Python, Release)> = found.filter_map(release).collect();
    let newest = found.pop().expect("there are interpreters that compile");
    [newest, found.swap_remove(0)]
}

/// A project with a wheel and its overlays.
fn compiled(python: &Python, options: &[&str]) -> (Project, Value) {
    let project = Project::new();
    let wheel = project.wheel(&WheelText::new("copy", "1.0").file("copy/a.py", "X = 1\n"));
    compile(&project, wheel["path"].as_str().unwrap(), python, options);
    (project, wheel)
}

/// Where `bytecode compile` puts the overlay of `NAME-1.0`.
fn overlay_of(name: &str, release: Release, level: &str) -> String {
    format!("made/{name}-1.0-py3-none-any.{}{level}.bytecode.zip", release.tag())
}

/// The overlay with the first of its files changed, and its document as well.
fn rewritten(overlay: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(overlay)).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut document: Value = serde_json::from_slice(&read("bytecode.json")).unwrap();
    let name = document["files"][0][0].as_str().unwrap().to_owned();
    let tag = document["compiler"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let (folder, stem) = name.strip_suffix(".py").unwrap().rsplit_once('/').unwrap();
    let name = format!("{folder}/__pycache__/{stem}.cpython-3{tag}.pyc");
    let mut bytes = read(&name);
    change(&mut bytes);
    document["files"][0][2] = Hash::sha256(&bytes).to_hex().into();
    document["files"][0][3] = bytes.len().into();
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("bytecode.json", document.to_string().into_bytes()), (&name, bytes)] {
        out.start_file(name, SimpleFileOptions::default()).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// Nobody knows before it is compiled what will lie in a folder of bytecode, so nothing else may.
#[test]
fn folders_of_bytecode_are_for_bytecode() {
    let [(python, release), _] = two();
    let project = Project::new();
    project.write("one", "1\n");
    project.write("one.py", "X = 1\n");
    let folded = WheelText::new("folded", "1.0").file("a/__PyCache__/b.txt", "").file("a/b.py", "");
    let folded = project.wheel(&folded);
    let tag = release.tag();
    let source = |path: &str, into: &str| json!({"path": path, "into": into});
    let module = source("one.py", "pk/one.py");
    for (wheels, sources, platform, refused) in [
        (vec![], vec![source("one", &format!("pk/__pycache__/one.{tag}.pyc"))], "linux", true),
        (vec![], vec![source("one", &format!("pk/__pycache__/one.{tag}.pyc/x"))], "linux", true),
        (vec![], vec![source("one", "pk/__pycache__")], "linux", true),
        (vec![], vec![source("one.py", "pk/__pycache__/two.py")], "linux", true),
        (vec![], vec![source("one", "pk/__PYCACHE__/one")], "macos", true),
        (vec![], vec![source("one", "pk/__PYCACHE__/one")], "linux", false),
        (vec![folded.clone()], vec![], "macos", true),
        (vec![folded.clone()], vec![], "linux", false),
    ] {
        compiled_spec(&project, &python, &wheels, |spec| {
            spec["sources"] = [sources, vec![module.clone()]].concat().into();
            if platform == "macos" {
                spec["interpreter"]["platform"] =
                    json!({"os": "macos", "arch": "arm64", "version": "14.0"});
            }
        });
        let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
        for command in [
            &["build", "env.json", "--out", "env", "--store", "store"][..],
            &["build", "env.json", "--out", "env", "--no-store"],
            &["digest", "env.json"],
        ] {
            let compiler = ["--compiler", python.text()];
            let output = project.run(&[command, &compiler].concat());
            let expected = if refused { 5 } else { 0 };
            assert_eq!(output.code, expected, "{command:?} of {text}: {output:?}");
            assert_eq!(output.stderr.contains("[reserved]"), refused, "{output:?}");
            let env = project.path().join("env");
            assert_eq!(env.exists(), !refused && command[0] == "build");
            let _ = std::fs::remove_dir_all(env);
        }
        if refused {
            // Without bytecode, it is a folder like others.
            let mut spec: Value = serde_json::from_str(&text).unwrap();
            spec.as_object_mut().unwrap().remove("bytecode");
            project.write("env.json", spec.to_string());
            project.run(&["digest", "env.json"]).success();
        }
    }
}

/// An overlay's document says which bytes it has. That they are bytecode that Python validates in
/// the way that was asked for has to be seen.
#[test]
fn an_overlay_holds_bytecode_of_the_kind_that_it_says() {
    let [(python, release), _] = two();
    let (project, mut wheel) = compiled(&python, &["--validation", "checked"]);
    let made = std::fs::read(project.path().join(overlay_of("copy", release, ""))).unwrap();
    wheel["bytecode"] = "overlay.zip".into();
    compiled_spec(&project, &python, &[wheel], |spec| {
        spec["bytecode"]["validation"] = "checked".into();
    });
    let build = |out: &str| project.build(out).no_store().run();
    project.write("overlay.zip", rewritten(&made, |_| ()));
    build("env").success();
    // Other flags, another version, something else than code, nothing.
    for (at, byte) in [(4, Some(1)), (4, Some(0)), (0, Some(0)), (16, Some(b'N')), (16, None)] {
        let lie = |bytes: &mut Vec<u8>| match byte {
            Some(byte) => bytes[at] = byte,
            None => bytes.truncate(at),
        };
        project.write("overlay.zip", rewritten(&made, lie));
        build("no").ends(6, "does not begin as checked bytecode of cpython 3.");
        assert!(!project.path().join("no").exists());
    }
}

/// One overlay for each level that is asked for: another one would be in the key for nothing.
#[test]
fn there_is_one_overlay_for_each_level() {
    let [(python, release), _] = two();
    let (project, mut wheel) = compiled(&python, &["--levels", "0,1"]);
    let [plain, optimised] = ["", ".opt-1"].map(|level| overlay_of("copy", release, level));
    for (overlays, levels, expected) in [
        (json!([plain, optimised]), json!([0, 1]), None),
        (json!([optimised, plain]), json!([0, 1]), None),
        (
            json!([plain, optimised]),
            json!([0]),
            Some("the level 1, expected one overlay of each of 0"),
        ),
        (
            json!([plain, plain]),
            json!([0, 1]),
            Some("the level 0, expected one overlay of each of 0, 1"),
        ),
    ] {
        wheel["bytecode"] = overlays;
        compiled_spec(&project, &python, std::slice::from_ref(&wheel), |spec| {
            spec["bytecode"]["levels"] = levels;
        });
        let built = project.build("env").with(&["--replace"]).no_store().run();
        match expected {
            None => drop(built.success()),
            Some(expected) => built.ends(4, expected),
        }
    }
}

/// Some wheels spell site-packages out below `data`. What lies there is a file, not a module.
#[test]
fn files_of_the_scheme_data_are_not_compiled() {
    let [(python, release), _] = two();
    let project = Project::new();
    let site = format!("lib/python3.{}/site-packages", release.minor());
    let wheel = WheelText::new("copy", "1.0")
        .file("copy/a.py", "X = 1\n")
        .file(&format!("copy-1.0.data/data/{site}/extra/b.py"), "Y = 2\n");
    let mut wheel = project.wheel(&wheel);
    compile(&project, wheel["path"].as_str().unwrap(), &python, &[]);
    compiled_spec(&project, &python, std::slice::from_ref(&wheel), |_| ());
    project.build("compiled").with(&["--compiler", python.text()]).no_store().run().success();
    wheel["bytecode"] = overlay_of("copy", release, "").into();
    compiled_spec(&project, &python, &[wheel], |_| ());
    project.build("env").no_store().run().success();
    let digest = |what: &str| project.run(&["digest", what, "--no-store"]).success();
    assert_eq!(digest("env"), digest("compiled"));
    let there = |path: &str| project.path().join("env").join(&site).join(path).exists();
    assert!(there("extra/b.py") && !there("extra/__pycache__") && there("copy/__pycache__"));
}

/// Nothing is not the same twice.
#[test]
fn a_check_of_an_environment_compares_something() {
    let [(python, release), (other, _)] = two();
    let project = Project::new();
    let modules = ["a.py", "b.py"].map(|name| (name.to_owned(), b"X = 1\n".to_vec()));
    let wheel = wheel_of(&project, "copy", &modules);
    let create = ["create", "env", "--no-seed", "--python", python.text(), "--wheel", &wheel];
    project.run(&[&create[..], &["--no-store"]].concat()).success();
    let check =
        |python: &Python| project.run(&["bytecode", "check", "env", "--compiler", python.text()]);
    check(&python).ends(6, "[bytecode.unavailable] `");
    project.run(&[&create[..], &["--no-store", "--replace", "--bytecode"]].concat()).success();
    check(&python).ends(0, "2 modules; 2 files compared with what is there");
    check(&other).ends(6, "[bytecode.unavailable] `");
    let cache = format!("env/lib/python3.{}/site-packages/copy/__pycache__", release.minor());
    let cached = format!("{cache}/a.{}.pyc", release.tag());
    std::fs::remove_file(project.path().join(&cached)).unwrap();
    project.write(&cached, "");
    let name = cached.strip_prefix("env/").unwrap();
    check(&python).ends(6, &format!("bytecode is not what is made again: {name}\n"));
    // What is linked to is not this environment's.
    std::fs::remove_file(project.path().join(&cached)).unwrap();
    std::os::unix::fs::symlink("/dev/null", project.path().join(&cached)).unwrap();
    check(&python).ends(0, "1 module; 1 file compared with what is there");
}

/// A copy of an interpreter whose library lacks a file.
fn without(python: &Python, folder: &Utf8Path, lacks: &str) -> Utf8PathBuf {
    let real = Utf8PathBuf::try_from(python.path.canonicalize().unwrap()).unwrap();
    let version = format!("python3.{}", python.version.1);
    let library = real.parent().unwrap().parent().unwrap().join("lib").join(&version);
    let copy = folder.join("lib").join(&version);
    let (lacking, lacks) = lacks.split_once('/').unwrap();
    std::fs::create_dir_all(copy.join(lacking)).unwrap();
    let link = |from: &Utf8Path, to: &Utf8Path, but: &str| {
        for entry in from.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != but && entry.file_name() != "__pycache__" {
                std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    };
    link(&library, &copy, lacking);
    link(&library.join(lacking), &copy.join(lacking), lacks);
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    let program = folder.join("bin").join(&version);
    std::fs::copy(real, &program).unwrap();
    program
}

/// A module must not lack its bytecode because of the machine that compiled it.
#[test]
fn an_encoding_that_others_have_is_no_error_of_the_source() {
    let [(python, _), _] = two();
    let project = Project::new();
    let module = |cookie: &str| format!("# coding: {cookie}\nX = 1\n").into_bytes();
    let lacking = without(&python, &project.path().join("python"), "encodings/big5.py");
    for (name, cookie) in [("one", "big5"), ("two", "Big5-TW")] {
        let wheel = wheel_of(&project, name, &[("a.py".to_owned(), module(cookie))]);
        let line = ["bytecode", "compile", &wheel, "--out", "made", "--compiler"];
        let problem = format!("[bytecode.compiler] `{name}/a.py` of {wheel} could not be compiled");
        project.run(&[&line[..], &[lacking.as_str()]].concat()).ends(7, &problem);
        project.run(&[&line[..], &[python.text()]].concat()).ends(0, "compiled: 1 module");
    }
    // Nobody has this one, so all leave it out.
    let wheel = wheel_of(&project, "none", &[("a.py".to_owned(), module("no-such"))]);
    for compiler in [lacking.as_str(), python.text()] {
        let line = ["bytecode", "compile", &wheel, "--out", "made", "--compiler", compiler];
        project.run(&line).ends(0, "[bytecode.uncompilable]");
    }
}

/// A wheel is read to be compiled, and no other one.
#[test]
fn wheels_that_have_bytecode_are_not_read_again() {
    let [(python, _), _] = two();
    let project = Project::new();
    let wheels = ["one", "two"].map(|name| {
        project.wheel(&WheelText::new(name, "1.0").file(&format!("{name}/a.py"), "X = 1\n"))
    });
    let build = |out: &str| project.build(out).with(&["--compiler", python.text()]).store("store");
    compiled_spec(&project, &python, &wheels[..1], |_| ());
    build("first").run().success();
    compiled_spec(&project, &python, &wheels, |spec| {
        spec.as_object_mut().unwrap().remove("bytecode");
    });
    build("plain").run().success();
    std::fs::remove_file(project.path().join(wheels[0]["path"].as_str().unwrap())).unwrap();
    compiled_spec(&project, &python, &wheels, |_| ());
    build("env").run().success();
}

/// What a person asks for, and does not get, is said.
#[test]
fn a_compiler_that_has_nothing_to_do_is_refused() {
    let [(python, _), _] = two();
    let project = Project::new();
    let line = ["create", "env", "--no-seed", "--python", python.text()];
    let idle = project.run(&[&line[..], &["--compiler", python.text()]].concat());
    idle.ends(2, "`--compiler` compiles bytecode, and none is asked for");
    idle.ends(2, "add --bytecode");
    assert!(!project.path().join("env").exists());
}

/// What a spec names is compared, too.
#[test]
fn a_check_of_a_spec_compares_its_overlays() {
    let [(python, release), _] = two();
    let (project, mut wheel) = compiled(&python, &[]);
    let made = std::fs::read(project.path().join(overlay_of("copy", release, ""))).unwrap();
    wheel["bytecode"] = "overlay.zip".into();
    compiled_spec(&project, &python, &[wheel], |_| ());
    let check = || project.run(&["bytecode", "check", "env.json", "--compiler", python.text()]);
    project.write("overlay.zip", rewritten(&made, |_| ()));
    check().ends(0, "the same twice: 1 module; 1 file compared with what is there");
    // Another file than its document says.
    let mut archive = zip::ZipArchive::new(Cursor::new(&made)).unwrap();
    let at = archive.by_index(1).unwrap().data_start().unwrap() as usize + 4;
    let mut damaged = made.clone();
    damaged[at] ^= 1;
    project.write("overlay.zip", damaged);
    check().ends(6, "bytecode is not what is made again: ");
    // Another code, of the same kind.
    project.write("overlay.zip", rewritten(&made, |bytes| *bytes.last_mut().unwrap() ^= 1));
    check().ends(6, "[bytecode.unreproducible] bytecode is not what is made again: lib/");
}

/// No file system takes the name that the bytecode of such a module would have.
/// A compiler whose answers depend on what it did before is found out, by whatever is checked.
#[test]
fn a_check_compares_what_was_compiled_twice() {
    let [(python, _), _] = two();
    let project = Project::new();
    let wheel = project.wheel(&WheelText::new("copy", "1.0").file("copy.py", "X = 1\n"));
    compiled_spec(&project, &python, &[wheel], |_| ());
    let check = |what: &str, compiler: &str| {
        project.run(&["bytecode", "check", what, "--compiler", compiler])
    };
    project.build("env").with(&["--compiler", python.text()]).no_store().run().success();
    let fickle = project.write_program(
        "fickle",
        format!(
            "#!/bin/sh\nfor program; do :; done\ncase \"$program\" in 'DIRTY = True'*)\n\
            program=$(printf %s \"$program\" | sed 's/compile(source,/compile(source + b\"Y = 2\",/') ;; esac\n\
            exec {} -I -S -B -X utf8 -W ignore -c \"$program\"\n",
            python.text()
        ),
    );
    for what in ["env.json", "env"] {
        check(what, python.text()).success();
        let found = check(what, fickle.as_str());
        found.ends(6, "copy.");
    }
}

#[test]
fn a_module_with_a_long_name_has_no_bytecode() {
    let [(python, _), _] = two();
    let project = Project::new();
    let wheel = WheelText::new("copy", "1.0")
        .file(&format!("copy/{}.py", "a".repeat(240)), "X = 1\n")
        .file("copy/b.py", "X = 1\n");
    compiled_spec(&project, &python, &[project.wheel(&wheel)], |_| ());
    project.build("env").with(&["--compiler", python.text()]).no_store().run().success();
    let check = ["bytecode", "check", "env.json", "--compiler", python.text(), "--tree", "env"];
    project.run(&check).ends(0, "1 file compared with what is there");
    let cache = format!("env/lib/python3.{}/site-packages/copy/__pycache__", python.version.1);
    std::fs::remove_dir_all(project.path().join(cache)).unwrap();
    project.run(&check).ends(6, ".pyc (missing)");
}

/// Where bytecode is checked, Python writes it anew for a source that was edited.
#[test]
fn what_python_wrote_of_an_edited_source_is_no_difference() {
    let [(python, release), _] = two();
    let project = Project::new();
    let modules = ["a.py", "b.py"].map(|name| (name.to_owned(), b"X = 1\n".to_vec()));
    let wheel = wheel_of(&project, "edited", &modules);
    let create = ["create", "env", "--no-seed", "--python", python.text(), "--wheel", &wheel];
    project.run(&[&create[..], &["--no-store", "--bytecode"]].concat()).success();
    let site = format!("env/lib/python3.{}/site-packages/edited", release.minor());
    let source = project.path().join(&site).join("a.py");
    std::fs::remove_file(&source).unwrap();
    std::fs::write(&source, "import os\nX = [os.sep, 'a', 'a b', 'a b']\n").unwrap();
    let check = || project.run(&["bytecode", "check", "env", "--compiler", python.text()]);
    check().ends(6, &format!("/a.{}.pyc\n", release.tag()));
    let mut run = std::process::Command::new(project.path().join("env/bin/python"));
    succeed_alone(run.args(["-c", "import edited.a"]));
    check().ends(0, "2 modules; 2 files compared with what is there");
}

/// An overlay is called as its wheel is.
#[test]
fn wheels_of_one_name_are_not_compiled_together() {
    let [(python, _), _] = two();
    let project = Project::new();
    let wheel = WheelText::new("copy", "1.0").file("copy/a.py", "X = 1\n");
    for folder in ["one", "two"] {
        project.write(&format!("{folder}/{}", wheel.file_name()), wheel.pack());
    }
    let line = ["bytecode", "compile", "--compiler", python.text(), "--out", "made"];
    let both = ["one", "two"].map(|folder| format!("{folder}/{}", wheel.file_name()));
    let both = both.each_ref().map(String::as_str);
    project.run(&[&line[..], &both].concat()).ends(2, "is given twice");
    assert!(!project.path().join("made").exists());
}

/// What a spec accepts can be compiled, and what a part of it is compiled for follows the spec.
#[test]
fn an_overlay_is_made_as_a_spec_wants_it() {
    let [(python, release), (other, _)] = two();
    let project = Project::new();
    let record = "copy-1.0.dist-info/RECORD";
    let wheel = WheelText::new("copy", "1.0")
        .file("copy/a.py", "X = 1\n")
        .file(record, format!("copy/a.py,md5=abc,6\n{record},,\n"));
    project.write(&wheel.file_name(), wheel.pack());
    let line = ["bytecode", "compile", "--compiler", python.text(), "--out", "made"];
    let name = wheel.file_name();
    project.run(&[&line[..], &[&name]].concat()).ends(4, "record.weak-hash");
    project.run(&[&line[..], &[&name, "--allow", "record.weak-hash"]].concat()).success();
    project.write("app/a.py", "X = 1\n");
    project.write("app/left/b.py", "X = 1\n");
    compiled_spec(&project, &python, &[], |spec| {
        spec["sources"] = json!([{"path": "app"}]);
        spec["bytecode"] =
            json!({"levels": [0, 2], "validation": "checked", "exclude": ["**/left/**"]});
    });
    let part = ["--sources-of", "env.json"];
    project.run(&[&line[..], &part].concat()).ends(0, "compiled: 2 modules");
    compiled_spec(&project, &python, &[], |spec| {
        let overlays = ["", ".opt-2"]
            .map(|level| format!("made/source-0.{}{level}.bytecode.zip", release.tag()));
        spec["sources"] = json!([{"path": "app", "bytecode": overlays}]);
        spec["bytecode"] =
            json!({"levels": [0, 2], "validation": "checked", "exclude": ["**/left/**"]});
    });
    project.build("env").no_store().run().success();
    // What the spec names may be made again.
    project.run(&[&line[..], &part].concat()).ends(0, "compiled: 2 modules");
    project.run(&[&line[..], &part, &[&name]].concat()).ends(2, "cannot be used with");
    let line = ["bytecode", "compile", "--compiler", other.text(), "--out", "made"];
    project.run(&[&line[..], &part].concat()).ends(3, "[bytecode.version]");
}

/// Where one module is too much for a machine, the others get theirs.
#[test]
fn modules_can_be_left_out_on_the_command_line() {
    let [(python, _), _] = two();
    let project = Project::new();
    let deep = [b"x = ".as_slice(), &b"-".repeat(200_000), b"1\n"].concat();
    let modules = [("deep.py".to_owned(), deep), ("a.py".to_owned(), b"X = 1\n".to_vec())];
    let wheel = wheel_of(&project, "copy", &modules);
    let create =
        ["create", "env", "--no-seed", "--no-store", "--python", python.text(), "--wheel", &wheel];
    let run = |options: &[&str]| project.run(&[&create[..], options].concat());
    let refused = run(&["--bytecode"]);
    refused.ends(7, "`copy/deep.py` of copy-1.0-py3-none-any.whl could not be compiled");
    refused.ends(7, "--bytecode-exclude");
    run(&["--bytecode", "--bytecode-exclude", "a["]).ends(2, "cannot be read");
    run(&["--bytecode-exclude", "**/deep.py"]).ends(2, "--bytecode");
    run(&["--bytecode", "--bytecode-exclude", "**/deep.py"]).success();
}

/// The digest of what an option asks for is that of what is built with it; and a store that is not
/// to be used is not looked into.
#[test]
fn a_digest_is_predicted_of_what_an_option_asks_for() {
    let [(python, _), _] = two();
    let project = Project::new();
    let wheel = project.wheel(&WheelText::new("copy", "1.0").file("copy/a.py", "X = 1\n"));
    let wheels = [wheel];
    compiled_spec(&project, &python, &wheels, |spec| {
        spec.as_object_mut().unwrap().remove("bytecode");
    });
    let idle = project.build("plain").with(&["--compiler", python.text()]).no_store().run();
    idle.says("--compiler compiles nothing, as the spec asks for no bytecode");
    let options = ["--bytecode=0,1", "--bytecode-exclude", "x/**", "--compiler", python.text()];
    let digest = ["digest", "env.json", "--store", "store"];
    let predicted = project.run(&[&digest[..], &options].concat()).success();
    project.build("env").with(&options).store("store").run().success();
    assert_eq!(project.run(&["digest", "env", "--no-store"]).success(), predicted);
    compiled_spec(&project, &python, &wheels, |_| ());
    let spec = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    assert!(spec.contains("bytecode"));
    project.run(&["digest", "env.json", "--bytecode"]).ends(2, "the spec says itself");
    // Modules can be left out besides those that the spec leaves out, of bytecode that there is.
    let exclude = ["--bytecode-exclude", "copy/**"];
    let compiler = ["--compiler", python.text()];
    let predicted = project.run(&[&digest[..], &exclude, &compiler].concat()).success();
    project.build("less").with(&exclude).with(&compiler).store("store").run().success();
    assert_eq!(project.run(&["digest", "less", "--no-store"]).success(), predicted);
    assert!(crate::bytecode::bytecode_in(&project.path().join("less")).is_empty());
    project.build("env").with(&["--replace"]).with(&compiler).store("store").run().success();
    let again = project.build("env").with(&["--replace"]).with(&exclude).store("store").run();
    again.ends(0, "replaced");
    compiled_spec(&project, &python, &[], |spec| {
        spec.as_object_mut().unwrap().remove("bytecode");
    });
    project.build("no").with(&exclude).no_store().run().ends(2, "and none is asked for");
}
