//! `venvtree build` through the front door, on wheels packed from text.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use crate::support::project::{Project, WheelText, listing, some_interpreter};

fn simple(name: &str) -> WheelText {
    WheelText::new(name, "1.0").file(&format!("{name}/__init__.py"), format!("NAME = '{name}'\n"))
}

/// The digest that a build wrote to `digest`, the one that is predicted and the one that is computed
/// from its output are one, and `verify` takes it.
fn check_digest(project: &Project, function: &str) {
    let digest = std::fs::read_to_string(project.path().join("digest")).unwrap();
    assert_eq!(project.run(&["digest", "env.json"]).success(), digest);
    assert_eq!(project.run(&["digest", "out", "--digest-function", function]).success(), digest);
    project.run(&["verify", "out", "--manifest", "m.json"]).success();
    project.run(&["verify", "out", "--spec", "env.json"]).success();
    project.run(&["verify", "out", "--digest", digest.trim()]).success();
}

#[test]
fn a_build_installs_what_the_specifications_say() {
    let project = Project::new();
    let wheel = WheelText::new("demo_pkg", "1.0")
        .file("demo_pkg/__init__.py", "")
        .executable("demo_pkg/tool", "#!/bin/sh\n")
        .file("demo_pkg/__pycache__/__init__.cpython-311.pyc", "x")
        .files(
            &[
                "demo_pkg-1.0.data/purelib/pure.py",
                "demo_pkg-1.0.data/platlib/plat.py",
                "demo_pkg-1.0.data/headers/demo.h",
                "demo_pkg-1.0.data/data/share/demo.txt",
            ],
            "",
        )
        .file("demo_pkg-1.0.data/scripts/plain", "#!/bin/sh\n")
        .file("demo_pkg-1.0.data/scripts/rewritten", "#!python\nprint(1)\n")
        .file("demo_pkg-1.0.dist-info/direct_url.json", "{}")
        .file("demo_pkg-1.0.dist-info/INSTALLER", "other")
        .console_scripts("demo = demo_pkg:main");
    let wheel = project.wheel(&wheel);
    project.spec(some_interpreter(), &[wheel], |spec| spec["flags"] = json!({"activators": []}));
    project.build("out").manifest("m.json").with(&["--digest-file", "digest"]).run().success();
    let lines = listing(project.path().join("out").as_std_path());
    let paths: Vec<&str> = lines
        .iter()
        .map(|line| line.rsplit_once(' ').map_or(line.as_str(), |(path, _)| path))
        .collect();
    insta::assert_debug_snapshot!(paths);
    let site = project.path().join("out/lib/python3.11/site-packages");
    let record = std::fs::read_to_string(site.join("demo_pkg-1.0.dist-info/RECORD")).unwrap();
    insta::assert_snapshot!(
        record.lines().map(|row| row.split(',').next().unwrap()).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(
        std::fs::read_to_string(site.join("demo_pkg-1.0.dist-info/INSTALLER")).unwrap(),
        "venvtree\n"
    );
    check_digest(&project, "sha256");
}

#[test]
fn modes_and_times_are_the_same_everywhere() {
    let project = Project::new();
    let wheel = project.wheel(&simple("a").executable("a/tool", "x"));
    project.spec(some_interpreter(), &[wheel], |_| ());
    project.run(&["build", "env.json", "--out", "out"]).success();
    let mut stack = vec![project.path().join("out")];
    while let Some(path) = stack.pop() {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = path.symlink_metadata().unwrap();
        assert_eq!(metadata.mtime(), 315_619_200, "{path}");
        if metadata.is_dir() {
            assert_eq!(metadata.mode() & 0o7777, 0o755, "{path}");
            stack.extend(path.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()));
        } else if metadata.is_file() {
            assert!(matches!(metadata.mode() & 0o7777, 0o755 | 0o644), "{path}");
        }
    }
}

/// For those who take a file of the same size and time for the same.
#[test]
fn times_may_depend_on_what_files_hold() {
    use std::os::unix::fs::MetadataExt as _;
    let project = Project::new();
    let built = |value: &str, out: &str, more: &[&str]| {
        let wheel = WheelText::new("a", "1.0").file("a.py", value).file("b.py", "b = 1\n");
        let wheel = project.wheel(&wheel);
        project.spec(some_interpreter(), &[wheel], |_| ());
        let command = ["build", "env.json", "--out", out, "--distinct-times"];
        project.run(&[&command, more].concat()).success();
        let site = project.path().join(out).join("lib/python3.11/site-packages");
        ["a.py", "b.py"].map(|name| site.join(name).metadata().unwrap().mtime())
    };
    let [one, other] = built("a = 1\n", "one", &["--no-store"]);
    assert!(one > 315_619_200 && other > 315_619_200 && one != other);
    assert_eq!(built("a = 2\n", "two", &["--no-store"])[1], other);
    assert_ne!(built("a = 3\n", "three", &["--no-store"])[0], one);
    // Those of the store are its own.
    let linked = ["--store", "store", "--link-mode", "hardlink"];
    assert_eq!(built("a = 1\n", "four", &linked), [315_619_200; 2]);
    project.run(&["store", "verify", "--store", "store"]).success();
}

#[test]
fn an_output_is_left_alone_replaced_or_refused() {
    let project = Project::new();
    let wheel = project.wheel(&simple("a"));
    project.spec(some_interpreter(), std::slice::from_ref(&wheel), |_| ());
    std::fs::create_dir(project.path().join("out")).unwrap();
    let outcome = |arguments: &[&str]| {
        let output = project
            .run(&[&["build", "env.json", "--out", "out", "--format", "json"], arguments].concat());
        (output.code, output.json()["outcome"].as_str().map(str::to_owned))
    };
    assert_eq!(outcome(&[]), (0, Some("built".to_owned())));
    assert_eq!(outcome(&[]), (0, Some("up-to-date".to_owned())));
    // Bytecode that running Python leaves behind makes no other environment of it.
    let package = project.path().join("out/lib/python3.11/site-packages/a");
    let source = package.join("__init__.py").metadata().unwrap();
    let header = [0x0a0d_0da7, 0, source.mtime() as u32, source.size() as u32]
        .map(u32::to_le_bytes)
        .concat();
    project.write(package.join("__pycache__/__init__.cpython-311.pyc").as_str(), header);
    assert_eq!(outcome(&[]), (0, Some("up-to-date".to_owned())));
    project.write("out/mine.txt", "precious");
    assert_eq!(outcome(&[]), (5, None));
    assert!(project.path().join("out/mine.txt").exists());
    let other = project.wheel(&simple("b"));
    project.spec(some_interpreter(), &[wheel, other], |_| ());
    // What is no part of an environment is not thrown away with one.
    let refused = project.run(&["build", "env.json", "--out", "out", "--replace"]);
    refused.ends(5, "`mine.txt` is no part of one");
    std::fs::rename(project.path().join("out/mine.txt"), project.path().join("mine.txt")).unwrap();
    assert_eq!(outcome(&["--replace"]), (0, Some("replaced".to_owned())));
    assert!(project.path().join("out/lib/python3.11/site-packages/b/__init__.py").exists());
    let left = project.names();
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
    project.write("file", "");
    assert_eq!(project.run(&["build", "env.json", "--out", "file", "--replace"]).code, 5);
}

#[test]
fn the_order_of_wheels_threads_and_places_change_nothing() {
    let project = Project::new();
    let wheels: Vec<_> = ["a", "b", "c"]
        .map(|name| project.wheel(&simple(name).file("shared/same.py", "same")))
        .into();
    let mut digests = std::collections::BTreeSet::new();
    let mut manifests = std::collections::BTreeSet::new();
    for (round, order) in [[0, 1, 2], [2, 0, 1], [1, 2, 0]].iter().enumerate() {
        let ordered: Vec<_> = order.iter().map(|&index| wheels[index].clone()).collect();
        project.spec(some_interpreter(), &ordered, |_| ());
        let out = format!("place {round}/é");
        let manifest = format!("m{round}.json");
        let threads = ["1", "2", "8"][round];
        project.build(&out).manifest(&manifest).with(&["--threads", threads]).run().success();
        digests.insert(project.run(&["digest", &out]).success());
        manifests.insert(std::fs::read_to_string(project.path().join(manifest)).unwrap());
    }
    assert_eq!(digests.len(), 1);
    assert_eq!(manifests.len(), 1);
}

/// A spec for each digest function, `sha256.json` and `blake3.json`, with a member and a
/// first-party file larger than all else.
fn project_with_giants(change_wheel: impl FnOnce(WheelText) -> WheelText) -> Project {
    let project = Project::new();
    let bytes: Vec<u8> = (0..9_u32 << 18).flat_map(|number| (number / 3).to_le_bytes()).collect();
    std::fs::create_dir(project.path().join("src")).unwrap();
    std::fs::write(project.path().join("src/giant.bin"), &bytes[4 << 20..]).unwrap();
    let wheel = project.wheel(&change_wheel(simple("a").file("a/giant.bin", bytes)));
    for function in ["sha256", "blake3"] {
        project.spec(some_interpreter(), std::slice::from_ref(&wheel), |spec| {
            spec["flags"] = json!({"digest_function": function});
            spec["sources"] = json!([{"path": "src"}]);
        });
        std::fs::rename(
            project.path().join("env.json"),
            project.path().join(format!("{function}.json")),
        )
        .unwrap();
    }
    project
}

#[test]
fn files_that_several_threads_work_on_are_the_same_files() {
    let project = project_with_giants(|wheel| wheel);
    for function in ["sha256", "blake3"] {
        let spec = format!("{function}.json");
        let mut seen = std::collections::BTreeSet::new();
        for threads in ["1", "2", "3", "8"] {
            let out = format!("{function}-{threads}");
            project
                .run(&[
                    "build",
                    &spec,
                    "--out",
                    &out,
                    "--no-store",
                    "--threads",
                    threads,
                    "--manifest",
                    "m.json",
                ])
                .success();
            project.run(&["verify", &out, "--manifest", "m.json"]).success();
            let manifest = std::fs::read_to_string(project.path().join("m.json")).unwrap();
            let digest = project.run(&["digest", &spec, "--threads", threads]).success();
            assert_eq!(
                project.run(&["digest", &out, "--digest-function", function]).success(),
                digest
            );
            let mut archives = Vec::new();
            for subject in [&spec, &out] {
                project.run(&["pack", subject, "--threads", threads, "--out", "env.tar"]).success();
                archives.push(std::fs::read(project.path().join("env.tar")).unwrap());
            }
            assert!(archives[0] == archives[1], "{threads} threads");
            seen.insert((manifest, digest, archives));
        }
        assert_eq!(seen.len(), 1, "{function}");
    }
}

#[test]
fn a_large_member_that_record_does_not_promise_is_refused_by_any_number_of_threads() {
    let record = "a/giant.bin,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,9437184\na-1.0.dist-info/RECORD,,\n";
    let project = project_with_giants(|wheel| wheel.file("a-1.0.dist-info/RECORD", record));
    for command in [["build", "--out", "out"], ["pack", "--out", "out.tar"]] {
        let mut messages = std::collections::BTreeSet::new();
        for threads in ["1", "2", "3", "8"] {
            let output =
                project.run(&[&command[..], &["sha256.json", "--threads", threads]].concat());
            output.ends(6, "the member `a/giant.bin` has the SHA-256");
            messages.insert(output.stderr);
            assert!(!project.path().join(command[2]).exists());
        }
        assert_eq!(messages.len(), 1, "{messages:?}");
    }
}

#[test]
fn a_wheel_that_is_mostly_one_member_is_refused_if_it_is_not_the_pinned_one() {
    let project = project_with_giants(|wheel| wheel);
    let text = std::fs::read_to_string(project.path().join("sha256.json")).unwrap();
    let mut spec: serde_json::Value = serde_json::from_str(&text).unwrap();
    let wheel = project.path().join(spec["wheels"][0]["path"].as_str().unwrap());
    let digest = spec["wheels"][0]["sha256"].as_str().unwrap().to_owned();
    let sound = std::fs::read(&wheel).unwrap();
    // The time in the first local header, which nothing else looks at.
    let mut other = sound.clone();
    other[10] ^= 1;
    // With one thread it is hashed while the member is inflated.
    for threads in ["1", "2"] {
        for (bytes, expected) in [(&other, &digest), (&sound, &"0".repeat(64))] {
            std::fs::write(&wheel, bytes).unwrap();
            spec["wheels"][0]["sha256"] = json!(expected);
            std::fs::write(project.path().join("env.json"), spec.to_string()).unwrap();
            let output = project.build("out").no_store().with(&["--threads", threads]).run();
            output.ends(6, expected);
            assert!(!project.path().join("out").exists());
        }
    }
    spec["wheels"][0]["sha256"] = json!(digest);
    std::fs::write(&wheel, &sound).unwrap();
    std::fs::write(project.path().join("env.json"), spec.to_string()).unwrap();
    project.run(&["build", "env.json", "--out", "out", "--no-store", "--threads", "1"]).success();
}

#[test]
fn changing_one_wheel_changes_only_its_files() {
    let project = Project::new();
    let (a, b) = (project.wheel(&simple("a")), project.wheel(&simple("b")));
    project.spec(some_interpreter(), &[a.clone(), b], |_| ());
    project.run(&["build", "env.json", "--out", "one"]).success();
    let b = project.wheel(&WheelText::new("b", "1.1").file("b/__init__.py", "NAME = 'other'\n"));
    project.spec(some_interpreter(), &[a, b], |_| ());
    project.run(&["build", "env.json", "--out", "two"]).success();
    let output = project.run(&["diff", "one", "two", "--format", "json"]);
    assert_eq!(output.code, 1);
    let changes = output.json()["changes"].clone();
    assert_eq!(changes.as_array().unwrap().len(), 1, "{changes}");
    assert_eq!(
        (&changes[0]["distribution"], &changes[0]["before"], &changes[0]["after"]),
        (&json!("b"), &json!("1.0"), &json!("1.1"))
    );
}

#[test]
fn no_path_of_the_build_is_in_the_tree() {
    let project = Project::new();
    let wheel = project.wheel(&simple("a").console_scripts("a = a:main"));
    project.write("src/pkg/mod.py", "");
    project.spec(some_interpreter(), &[wheel], |spec| {
        spec["sources"] = json!([{"path": "src/pkg"}]);
        spec["path_entries"] = json!(["../first-party"]);
    });
    project.run(&["build", "env.json", "--out", "out", "--manifest", "m.json"]).success();
    let needle = project.path().file_name().unwrap();
    let mut files = vec![project.path().join("m.json")];
    let mut stack = vec![project.path().join("out")];
    while let Some(path) = stack.pop() {
        for entry in path.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                stack.push(entry.into_path())
            } else {
                files.push(entry.into_path())
            }
        }
    }
    for file in files.iter().filter(|file| file.symlink_metadata().unwrap().is_file()) {
        let bytes = std::fs::read(file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(needle), "{file}");
    }
    let pth = std::fs::read_to_string(
        project.path().join("out/lib/python3.11/site-packages/_venvtree.pth"),
    )
    .unwrap();
    assert_eq!(pth, "../../../../first-party\n");
}

#[test]
fn inputs_may_be_given_by_key() {
    let project = Project::new();
    let wheel = simple("a");
    project.write("elsewhere/renamed", wheel.pack());
    let entry = json!({"path": "key-1", "file_name": wheel.file_name()});
    project.spec(some_interpreter(), &[entry], |spec| {
        spec["flags"] = json!({"input_digests": "trusted"})
    });
    project.write(
        "params",
        "build\nenv.json\n--out\nout\n--input\nkey-1=elsewhere/renamed\n--quiet\n",
    );
    let output = project.run(&["@params"]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "", ""));
    let unused =
        project.build("x").with(&["--input", "key-1=elsewhere/renamed", "--input", "k=v"]).run();
    unused.ends(2, "the input key `k` is not in the spec");
}

#[test]
fn a_wheel_that_is_not_the_pinned_one_is_refused() {
    let project = Project::new();
    let mut wheel = project.wheel(&simple("a"));
    wheel["sha256"] = json!("0".repeat(64));
    project.spec(some_interpreter(), &[wheel], |_| ());
    let output = project.run(&["build", "env.json", "--out", "out"]);
    output.ends(6, "expected 0000000000");
    assert!(!project.path().join("out").exists());
    let names: Vec<_> = project
        .path()
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    assert!(names.iter().all(|name| !name.contains(".venvtree-")), "{names:?}");
}

#[test]
fn bytes_that_record_does_not_promise_are_refused() {
    let project = Project::new();
    let record = "a/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\na-1.0.dist-info/RECORD,,\n";
    let wheel = project.wheel(&simple("a").file("a-1.0.dist-info/RECORD", record));
    project.spec(some_interpreter(), &[wheel], |_| ());
    let output = project.run(&["build", "env.json", "--out", "out"]);
    assert_ne!(output.code, 0);
    output.says("a/__init__.py");
    assert!(!project.path().join("out").exists());
}

#[test]
fn blake3_trees_are_what_their_digest_says() {
    let project = Project::new();
    let wheel = project.wheel(&simple("a"));
    project.spec(some_interpreter(), &[wheel], |spec| {
        spec["flags"] = json!({"digest_function": "blake3"})
    });
    project.build("out").manifest("m.json").with(&["--digest-file", "digest"]).run().success();
    check_digest(&project, "blake3");
}

#[test]
fn an_interpreter_can_be_copied_in() {
    let project = Project::new();
    project.write("python/bin/python3.11", "not run");
    project.write("python/lib/python3.11/os.py", "");
    project.write("python/lib/python3.11/__pycache__/os.cpython-311.pyc", "");
    let mut interpreter = some_interpreter();
    interpreter["python"] = json!({"kind": "inside", "directory": "python"});
    project.spec(interpreter.clone(), &[], |_| ());
    // Without the program, the environment would not start.
    let build = || project.run(&["build", "env.json", "--out", "out"]);
    build().ends(4, "no executable file `bin/python3.11`, which the environment would start: the file may not be executed");
    project.write_program("python/bin/python3.11", "not run");
    interpreter["python"]["executable"] = "bin/python3".into();
    project.spec(interpreter.clone(), &[], |_| ());
    build().ends(4, "no executable file `bin/python3`, which the environment would start: it has `bin/python3.11`");
    interpreter["python"].as_object_mut().unwrap().remove("executable");
    project.spec(interpreter, &[], |_| ());
    build().success();
    let link = std::fs::read_link(project.path().join("out/bin/python")).unwrap();
    assert_eq!(link.to_str(), Some("../.python/bin/python3.11"));
    assert!(project.path().join("out/.python/lib/python3.11/os.py").exists());
    assert!(!project.path().join("out/.python/lib/python3.11/__pycache__").exists());
}

#[test]
fn an_input_that_is_given_twice_is_one_where_both_are_the_same() {
    let project = Project::new();
    let wheel = project.wheel(&simple("one"));
    let path = wheel["path"].as_str().unwrap().to_owned();
    project.spec(some_interpreter(), &[json!({"path": "one-1.0-py3-none-any.whl"})], |spec| {
        spec["flags"] = json!({"input_digests": "trusted"});
    });
    let bytes = std::fs::read(project.path().join(&path)).unwrap();
    project.write("copy/one-1.0-py3-none-any.whl", &bytes);
    project.write("other/one-1.0-py3-none-any.whl", simple("other").pack());
    let input = |path: &str| format!("--input=one-1.0-py3-none-any.whl={path}");
    let digest = |second: &str| project.run(&["digest", "env.json", &input(&path), &input(second)]);
    digest("copy/one-1.0-py3-none-any.whl").success();
    digest("other/one-1.0-py3-none-any.whl").ends(2, "is two files that differ");
}

#[test]
fn what_an_environment_must_have_is_looked_for() {
    let project = Project::new();
    let wheel = project.wheel(&WheelText::that_prints_ran("black"));
    project.spec(some_interpreter(), &[wheel], |_| ());
    let digest = |of: &str, path: &str| project.run(&["digest", of, "--has", path]);
    digest("env.json", "bin/black").success();
    digest("env.json", "bin/blackk")
        .ends(6, "the environment has no `bin/blackk`; did you mean `black`?");
    digest("env.json", "etc/none").ends(6, "the environment has no `etc/none`");
    project.build("out").no_store().run().success();
    digest("out", "bin/black").success();
    digest("out", "bim").ends(6, "did you mean `bin`?");
}
