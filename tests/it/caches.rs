//! The local store from outside: the same trees whatever the cache knows, and what happens when it
//! cannot be used as it should.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use venvtree::effects::caches::store::{Access, Store};
use venvtree::effects::caches::transfer::{self, TreeFiles};
use venvtree::effects::host::notes::Notes;
use venvtree::effects::host::replaceable::Protected;
use venvtree::effects::scan::{self, View};
use venvtree::effects::work::progress::Progress;
use venvtree::engine::{self, BuildRequest, Caches, Existing, Places, Session};
use venvtree::model::digest::DigestFunction;
use venvtree::model::request;

use crate::support::mount::Mount;
use crate::support::project::{Project, WheelText, some_interpreter};

/// A project with some wheels that share files, repeat files, and have executable ones.
fn project(function: &str) -> Project {
    let project = Project::new();
    let mut wheels = Vec::new();
    for index in 0..4 {
        let mut wheel = WheelText::new(&format!("dist{index}"), "1.0")
            .file(&format!("dist{index}/__init__.py"), "")
            .file(&format!("dist{index}/sub/__init__.py"), "");
        for file in 0..20 {
            wheel = wheel.file(
                &format!("dist{index}/module{file}.py"),
                format!("VALUE = {}\n", file * (index % 2)),
            );
        }
        wheel = wheel
            .executable(&format!("dist{index}/tool"), "#!/bin/sh\n")
            .console_scripts(&format!("run{index} = dist{index}:run"));
        wheels.push(project.wheel(&wheel));
    }
    project.spec(some_interpreter(), &wheels, |spec| {
        spec["flags"] = json!({ "digest_function": function })
    });
    project
}

/// Every path with what is the same for every state of the cache: kind, content, the executable
/// bit, time.
fn contents(root: &Utf8Path) -> Vec<String> {
    fn visit(root: &Utf8Path, path: &Utf8Path, lines: &mut Vec<String>) {
        for entry in path.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            let metadata = path.symlink_metadata().unwrap();
            let executable = metadata.permissions().mode() & 0o111;
            let time = (metadata.mtime(), metadata.mtime_nsec());
            if metadata.is_dir() {
                lines.push(format!("{name}/ {executable:o} {time:?}"));
                visit(root, &path, lines);
            } else if metadata.is_symlink() {
                lines.push(format!("{name} -> {} {time:?}", path.read_link_utf8().unwrap()));
            } else {
                lines.push(format!(
                    "{name} {executable:o} {time:?} {:?}",
                    std::fs::read(&path).unwrap()
                ));
            }
        }
    }
    let mut lines = Vec::new();
    visit(root, root, &mut lines);
    lines.sort();
    lines
}

#[test]
fn trees_are_the_same_for_every_link_mode_thread_count_and_state_of_the_cache() {
    for function in ["sha256", "blake3"] {
        let project = project(function);
        let plain = project.build("plain").no_store().report();
        let expected = contents(&project.path().join("plain"));
        for mode in ["auto", "hardlink", "reflink", "copy"] {
            for threads in ["1", "2", "8"] {
                let store = format!("store-{mode}-{threads}");
                for (out, source) in [("cold", "wheels"), ("warm", "store"), ("warm", "output")] {
                    let out = format!("{out}-{mode}-{threads}");
                    let options = ["--link-mode", mode, "--threads", threads];
                    let built = project.build(&out).store(&store).with(&options).report();
                    assert_eq!(
                        (&built["source"], &built["digest"]),
                        (&json!(source), &plain["digest"]),
                        "{function} {out}: {built}"
                    );
                    assert!(contents(&project.path().join(&out)) == expected, "{function} {out}");
                }
                assert_eq!(project.run(&["store", "verify", "--store", &store]).code, 0);
            }
        }
        // Half of the cache is gone: files, or what describes them.
        for folder in ["files", "cas", "ac", "trees", "wheels", "stamps"] {
            let store = project.path().join("store-auto-1");
            let store = if function == "blake3" { store.join("blake3") } else { store };
            std::fs::remove_dir_all(store.join(folder)).unwrap();
            let out = format!("without-{folder}");
            let built = project.build(&out).store("store-auto-1").report();
            assert_eq!(built["digest"], plain["digest"], "{function} {folder}");
            assert!(contents(&project.path().join(&out)) == expected, "{function} {folder}");
        }
    }
}

/// Whether the store knows, without a look at the spec, that a build has nothing to do.
fn is_unchanged(project: &Project) -> bool {
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let caches = Caches { store: Some(project.path().join("store").into()), ..Caches::default() };
    let request = BuildRequest {
        out: project.path().join("out"),
        existing: Existing::Keep,
        protected: Protected { cwd: project.path().to_owned(), home: None },
        look: false,
        manifest: None,
        digest_file: None,
        text: Some(request::text_digest(&text)),
        distinct_times: false,
        shared: None,
    };
    engine::unchanged(&caches, &request).unwrap().is_some()
}

const BUILD: [&str; 7] = ["build", "env.json", "--out", "out", "--store", "store", "--format=json"];

#[test]
fn a_text_that_decides_everything_is_known_again() {
    for function in ["sha256", "blake3"] {
        let project = project(function);
        let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
        let build = |extra: &[&str]| project.run(&[&BUILD, extra].concat());
        assert!(!is_unchanged(&project));
        let built = build(&[]).report();
        assert_eq!(built["outcome"], "built");
        assert!(is_unchanged(&project));
        let again = build(&["--digest-file", "digest"]).report();
        let expected = |outcome: &str| {
            let mut expected = built.clone();
            expected["outcome"] = json!(outcome);
            expected["source"] = json!("output");
            expected["links"] = again["links"].clone();
            expected["looked"] = json!(false);
            expected
        };
        assert_eq!(again, expected("up-to-date"));
        let digest = std::fs::read_to_string(project.path().join("digest")).unwrap();
        assert_eq!(digest.trim_end(), built["digest"]);
        // A manifest is written all the same.
        build(&["--manifest", "manifest.json"]).report();
        assert!(project.path().join("manifest.json").exists());
        // What is wrong with the arguments is found all the same.
        assert_eq!(build(&["--input", "nothing=here"]).code, 2);
        assert_eq!(build(&["--remote-cache", "nonsense"]).code, 2);

        // Another text that means the same: looked at once.
        project.write("env.json", format!("{text}\n"));
        assert!(!is_unchanged(&project));
        assert_eq!(build(&[]).report(), expected("up-to-date"));
        assert!(is_unchanged(&project));

        // Another environment, and back.
        let mut other: Value = serde_json::from_str(&text).unwrap();
        other["flags"]["prompt"] = json!("other");
        project.write("env.json", other.to_string());
        assert!(!is_unchanged(&project));
        assert_eq!(build(&[]).code, 5);
        assert_eq!(build(&["--replace"]).report()["outcome"], "replaced");
        assert!(is_unchanged(&project));
        project.write("env.json", &text);
        assert!(!is_unchanged(&project));
        assert_eq!(build(&["--replace"]).report()["digest"], built["digest"]);

        // An output that was touched.
        assert!(is_unchanged(&project));
        std::fs::remove_dir_all(project.path().join("out/lib")).unwrap();
        assert!(!is_unchanged(&project));
        assert_eq!(build(&["--replace"]).report()["outcome"], "replaced");
    }
}

#[test]
fn a_text_that_does_not_decide_everything_is_read_again() {
    let project = Project::new();
    let build = || project.run(&[&BUILD[..], &["--replace"]].concat()).report()["outcome"].clone();
    project.write("own/module.py", "VALUE = 1\n");
    project.spec(some_interpreter(), &[], |spec| spec["sources"] = json!([{ "path": "own" }]));
    assert_eq!(build(), "built");
    assert!(!is_unchanged(&project));
    assert_eq!(build(), "up-to-date");
    project.write("own/module.py", "VALUE = 2\n");
    assert_eq!(build(), "replaced");

    let trusted = |text: &str| {
        let mut wheel = project.wheel(&WheelText::new("dist", "1.0").file("dist.py", text));
        wheel.as_object_mut().unwrap().remove("sha256");
        wheel
    };
    let wheel = trusted("VALUE = 1\n");
    project.spec(some_interpreter(), &[wheel], |spec| {
        spec["flags"] = json!({ "input_digests": "trusted" })
    });
    assert_eq!(build(), "replaced");
    assert!(!is_unchanged(&project));
    trusted("VALUE = 2\n");
    assert_eq!(build(), "replaced");
    let path = project.path().join("out/lib/python3.11/site-packages/dist.py");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "VALUE = 2\n");
}

#[test]
fn a_changed_wheel_leaves_the_others_files_linked() {
    for function in ["sha256", "blake3"] {
        let project = project(function);
        project.run(&["build", "env.json", "--out", "one", "--store", "store"]).success();
        let mut spec: Value =
            serde_json::from_slice(&std::fs::read(project.path().join("env.json")).unwrap())
                .unwrap();
        let changed = WheelText::new("dist0", "1.1").file("dist0/new.py", "NEW = 1\n");
        spec["wheels"][0] = project.wheel(&changed);
        project.write("env.json", spec.to_string());
        let built = project.build("two").store("store").report();
        let adopted = built["links"]["adopted"].as_u64().unwrap();
        assert!(built["source"] == "wheels" && adopted <= 10, "{function}: {built}");
        assert!(built["links"]["hardlinks"].as_u64().unwrap() > 60, "{function}: {built}");
    }
}

#[test]
fn a_wheel_that_was_exchanged_is_noticed_whatever_the_store_knows() {
    let project = project("sha256");
    let wheel = project.path().join("wheels/dist0-1.0-py3-none-any.whl");
    // Old enough to be remembered as hashed.
    std::thread::sleep(Duration::from_millis(3100));
    project.run(&["build", "env.json", "--out", "one", "--store", "store"]).success();
    let stat = project.run(&["store", "stat", "--store", "store", "--format", "json"]).json();
    assert_eq!(stat["functions"]["sha256"]["hashed"]["entries"], 4, "{stat}");
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    project.write(
        "other.json",
        text.replace("\"digest_function\"", "\"prompt\": \"x\", \"digest_function\""),
    );
    // Another wheel of the same name and modification time.
    let modified = std::fs::metadata(&wheel).unwrap().modified().unwrap();
    let other = WheelText::new("dist0", "1.0").file("dist0/evil.py", "EVIL = 1\n").pack();
    std::fs::write(&wheel, other).unwrap();
    std::fs::File::options().write(true).open(&wheel).unwrap().set_modified(modified).unwrap();
    let failed = project.run(&["build", "other.json", "--out", "two", "--store", "store"]);
    assert_eq!(failed.code, 6, "{}", failed.stderr);
    assert!(!project.path().join("two").exists());
}

#[test]
fn a_hit_needs_no_wheels_and_two_checkouts_have_the_same_key() {
    let project = project("sha256");
    project.run(&["build", "env.json", "--out", "one", "--store", "store"]).success();
    let key = project.run(&["key", "env.json"]).success();
    std::fs::rename(project.path().join("wheels"), project.path().join("elsewhere")).unwrap();
    let built = project.build("two").store("store").report();
    assert_eq!(built["source"], "store");
    assert_eq!(built["key"], key.trim());
    let other = Project::new();
    other.write(
        "deep/down/env.json",
        std::fs::read_to_string(project.path().join("env.json"))
            .unwrap()
            .replace("wheels/", "/nowhere/"),
    );
    assert_eq!(other.run(&["key", "deep/down/env.json"]).success(), key);
}

#[test]
fn keys_are_explained() {
    let project = project("sha256");
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    project.write(
        "other.json",
        text.replace(
            "\"digest_function\": \"sha256\"",
            "\"digest_function\": \"sha256\", \"prompt\": \"x\"",
        ),
    );
    let same = project.run(&["key", "env.json", "--explain", "env.json"]);
    assert_eq!((same.code, same.stdout.as_str()), (0, "the keys are the same\n"));
    let other = project.run(&["key", "env.json", "--explain", "other.json"]);
    assert_eq!(
        (other.code, other.stdout.as_str()),
        (1, "`flags.prompt` is null in the first, \"x\" in the second\n")
    );
}

#[test]
fn damage_in_the_store_is_found_and_never_reaches_an_output() {
    let project = project("sha256");
    let built = project.build("one").store("store").report();
    let mut files = Vec::new();
    collect(&project.path().join("store/files"), &mut files);
    for (index, path) in files.iter().enumerate() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
        if index % 2 == 0 {
            let mut bytes = std::fs::read(path).unwrap();
            bytes.push(b'!');
            std::fs::write(path, bytes).unwrap();
        }
    }
    let again =
        project.run(&["build", "env.json", "--out", "two", "--store", "store", "--format", "json"]);
    let again = again.report();
    assert_eq!((&again["source"], &again["digest"]), (&json!("wheels"), &built["digest"]));
    assert!(again["notes"].to_string().contains("damaged"), "{again}");
    assert_eq!(project.run(&["digest", "two"]).success().trim(), built["digest"].as_str().unwrap());
    // What was not needed again is found by reading everything.
    project.run(&["store", "verify", "--store", "store"]);
    assert_eq!(project.run(&["store", "verify", "--store", "store"]).code, 0);
    let third = project.build("three").store("store").report();
    assert_eq!(third["digest"], built["digest"]);
}

fn collect(folder: &Utf8Path, files: &mut Vec<Utf8PathBuf>) {
    for entry in folder.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_store_that_is_no_directory_is_not_an_empty_one() {
    let project = project("sha256");
    for arguments in
        [&["store", "stat"][..], &["store", "verify"], &["store", "gc", "--max-size", "0"]]
    {
        let output = project.run(&[arguments, &["--store", "env.json"]].concat());
        output.ends(2, "env.json` is no directory");
        project.run(&[arguments, &["--store", "not-there-yet"]].concat()).success();
    }
}

/// The bytes on disk of all below a folder, each file once.
fn disk(folder: &Utf8Path) -> u64 {
    let output = Command::new("du").args(["-s", "--block-size=1", folder.as_str()]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn garbage_goes_and_environments_stay() {
    let project = project("sha256");
    let gc = |options: &[&str]| -> Value {
        project
            .run(&[&["store", "gc", "--store", "store", "--format", "json"], options].concat())
            .json()
    };
    let built = project.build("one").store("store").report();
    assert_eq!(gc(&[])["before"], Value::Null, "without limits not everything is looked at");
    let stat: Value =
        project.run(&["store", "stat", "--store", "store", "--format", "json"]).json();
    let files = stat["functions"]["sha256"]["files"]["entries"].as_u64().unwrap();
    assert!(files > 20, "{stat}");
    let before = disk(project.path());
    let collected = gc(&["--max-size", "0"]);
    assert_eq!(before - disk(project.path()), collected["removed"]["disk"].as_u64().unwrap());
    assert_eq!((&collected["left"], &collected["environments"]), (&json!(0), &json!(1)));
    // What is edited where it lies is no link.
    let linked = collected["linked"]["entries"].as_u64().unwrap();
    assert!(linked < files && linked > files / 2, "{linked} of {files}");
    assert_eq!(project.run(&["digest", "one"]).success().trim(), built["digest"].as_str().unwrap());
    let said = project.run(&["store", "gc", "--store", "store", "--max-size", "0"]).success();
    assert!(said.contains(&format!("{linked} entries,")), "{said}");
    // What is there is linked again, from wheels that have to be read for that.
    let again = project.build("two").store("store").report();
    assert_eq!((&again["source"], &again["digest"]), (&json!("wheels"), &built["digest"]));
    for out in ["one", "two"] {
        std::fs::remove_dir_all(project.path().join(out)).unwrap();
    }
    gc(&["--max-size", "0"]);
    let stat: Value =
        project.run(&["store", "stat", "--store", "store", "--format", "json"]).json();
    assert_eq!(stat["functions"]["sha256"]["total"]["entries"], 0, "{stat}");
}

/// Sets all times of use back by so many minutes.
fn set_back(store: &Utf8Path, minutes: u64) {
    for path in ["ac", "cas", "trees"].iter().flat_map(|folder| entries(&store.join(folder))) {
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        file.set_modified(time - Duration::from_secs(60 * minutes)).unwrap();
    }
}

#[test]
fn of_two_environments_the_one_that_was_used_last_stays_whole_however_it_was_used() {
    // As it is known, and by its stamp alone: to have nothing to do is a use, too.
    for used in ["second", "first"] {
        let project = project("sha256");
        let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
        let with_prompt =
            text.replace("\"digest_function\"", "\"prompt\": \"x\", \"digest_function\"");
        project.write("other.json", with_prompt);
        let build = |spec: &str, out: &str| {
            let arguments = ["build", spec, "--out", out, "--store", "store"];
            project
                .run(&[&arguments[..], &["--link-mode", "copy", "--format", "json"]].concat())
                .json()["source"]
                .clone()
        };
        assert_eq!(build("env.json", "first"), "wheels");
        set_back(&project.path().join("store"), 2);
        assert_eq!(build("other.json", "other"), "wheels");
        set_back(&project.path().join("store"), 2);
        let expected = if used == "first" { "output" } else { "store" };
        assert_eq!(build("env.json", used), expected);
        let gc = |size: u64| -> Value {
            let size = size.to_string();
            project
                .run(&["store", "gc", "--store", "store", "--max-size", &size, "--format", "json"])
                .json()
        };
        let own = gc(1 << 40)["left"].as_u64().unwrap();
        let collected = gc(own - 1);
        assert_eq!(collected["environments"], 1, "{used}: {collected}");
        assert_eq!(build("env.json", "again"), "store", "{used}");
        assert_eq!(build("other.json", "new"), "wheels", "{used}");
    }
}

#[test]
fn reflinks_share_blocks_and_can_be_written() {
    let project = project("sha256");
    let mount = Mount::image("xfs", project.path().join("xfs"));
    let build = |out: &str| {
        let arguments = [
            "build",
            "env.json",
            "--store",
            "xfs/store",
            "--link-mode",
            "reflink",
            "--out",
            out,
            "--format",
            "json",
        ];
        project.run(&arguments).report()
    };
    let one = build("xfs/one");
    let two = build("xfs/two");
    assert_eq!(one["digest"], two["digest"]);
    assert_eq!(two["source"], "store");
    // Eight files are empty and have nothing to share.
    let (files, reflinks) =
        (two["files"].as_u64().unwrap(), two["links"]["reflinks"].as_u64().unwrap());
    assert_eq!((reflinks, &two["links"]["copies"]), (files - 8, &json!(8)), "{two}");
    let file = mount.path.join("two/lib/python3.11/site-packages/dist0/module1.py");
    // A change of one environment is nobody else's.
    std::fs::write(&file, "changed\n").unwrap();
    assert_eq!(
        project.run(&["digest", "xfs/one"]).success().trim(),
        one["digest"].as_str().unwrap()
    );
    project.run(&["store", "verify", "--store", "xfs/store"]).success();
}

#[test]
fn a_store_on_another_file_system_a_full_one_and_a_read_only_one_do_not_fail_a_build() {
    let project = project("sha256");
    let plain = project.build("plain").no_store().report();
    let mount = Mount::tmpfs(project.path().join("mount"), "size=16m");
    let run = |out: &str| project.build(out).store("mount/store").report();

    let (cold, warm) = (run("cold"), run("warm"));
    assert_eq!(
        (&cold["digest"], &warm["digest"], &warm["source"]),
        (&plain["digest"], &plain["digest"], &json!("store"))
    );
    assert!(
        warm["links"]["hardlinks"] == 0 && warm["links"]["copies"].as_u64().unwrap() > 0,
        "{warm}"
    );

    mount.remount("ro");
    let read_only = run("read-only");
    assert_eq!((&read_only["source"], &read_only["digest"]), (&json!("store"), &plain["digest"]));
    let changed = {
        let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
        project.write(
            "other.json",
            text.replace("\"digest_function\"", "\"prompt\": \"x\", \"digest_function\""),
        );
        project
            .run(&[
                "build",
                "other.json",
                "--out",
                "changed",
                "--store",
                "mount/store",
                "--format",
                "json",
            ])
            .report()
    };
    assert!(
        changed["source"] == "wheels" && changed["notes"].to_string().contains("cannot be written"),
        "{changed}"
    );
    mount.remount("rw");

    let fill = std::fs::File::create(mount.path.join("fill")).unwrap();
    let mut fill = std::io::BufWriter::new(fill);
    while std::io::Write::write_all(&mut fill, &[1; 4096])
        .and_then(|()| std::io::Write::flush(&mut fill))
        .is_ok()
    {}
    std::fs::remove_dir_all(mount.path.join("store")).unwrap();
    std::fs::create_dir(mount.path.join("store")).unwrap();
    while std::io::Write::write_all(&mut fill, &[1; 4096])
        .and_then(|()| std::io::Write::flush(&mut fill))
        .is_ok()
    {}
    let full = run("full");
    assert_eq!((&full["source"], &full["digest"]), (&json!("wheels"), &plain["digest"]));
    assert!(full["notes"].to_string().contains("cannot be written"), "{full}");

    // An output on the full file system cannot be; it is said why, and nothing is left of it.
    let failed = project.run(&["build", "env.json", "--out", "mount/out", "--no-store"]);
    failed.ends(7, "No space left");
    let left: Vec<String> = mount
        .path
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    assert!(left.iter().all(|name| name == "fill" || name == "store"), "{left:?}");
}

fn spawn(project: &Project, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_venvtree"))
        .args(arguments)
        .current_dir(project.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command runs")
}

/// Starts a build of each spec at once; what they report.
fn at_once(project: &Project, specs: &[String]) -> Vec<Value> {
    let children: Vec<Child> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| {
            Command::new(env!("CARGO_BIN_EXE_venvtree"))
                .args(["build", spec, "--out", &format!("out{index}"), "--store", "store"])
                .args(["--format", "json"])
                .current_dir(project.path())
                .env("HOME", project.path())
                .stdout(Stdio::piped())
                .spawn()
                .expect("the command runs")
        })
        .collect();
    let report = |child: Child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    children.into_iter().map(report).collect()
}

#[test]
fn equal_builds_at_once_do_the_work_once() {
    for function in ["sha256", "blake3"] {
        let project = project(function);
        let reports = at_once(&project, &vec!["env.json".to_owned(); 8]);
        let of = |source: &str| reports.iter().filter(|report| report["source"] == source).count();
        assert_eq!((of("wheels"), of("store")), (1, 7), "{reports:?}");
        assert!(reports.iter().all(|report| report["digest"] == reports[0]["digest"]));
        let base = if function == "sha256" { "store" } else { "store/blake3" };
        let left = project.path().join(base).join("turns").read_dir_utf8().unwrap().count();
        assert_eq!(left, 0);
    }
}

#[test]
fn builds_at_once_that_share_wheels_unpack_them_once() {
    let project = project("sha256");
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let specs: Vec<String> = (0..8)
        .map(|index| {
            let prompt = format!("\"prompt\": \"{index}\", \"digest_function\"");
            let spec = format!("env{index}.json");
            project.write(&spec, text.replace("\"digest_function\"", &prompt));
            spec
        })
        .collect();
    let reports = at_once(&project, &specs);
    let mut adopted: Vec<u64> =
        reports.iter().map(|report| report["links"]["adopted"].as_u64().unwrap()).collect();
    adopted.sort_unstable();
    // What has the prompt in it is everybody's own.
    let (most, others) = adopted.split_last().unwrap();
    assert!(*most > 40 && others.iter().all(|count| *count <= 12), "{adopted:?}");
}

#[test]
fn nobody_waits_for_ever_for_a_build_that_was_stopped() {
    let project = project("sha256");
    let key = project.run(&["key", "env.json"]).success();
    let folder = project.path().join("store/turns");
    std::fs::create_dir_all(&folder).unwrap();
    let spec: Value =
        serde_json::from_slice(&std::fs::read(project.path().join("env.json")).unwrap()).unwrap();
    let wheels = spec["wheels"].as_array().unwrap().iter();
    let wheels = wheels.map(|wheel| wheel["sha256"].as_str().unwrap().to_owned());
    // Whoever was stopped has the turn of the environment, and of its wheels too.
    let turns: Vec<std::fs::File> = wheels
        .chain([key.split('/').next().unwrap().to_owned()])
        .map(|name| {
            let file = std::fs::File::create(folder.join(name)).unwrap();
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
            file
        })
        .collect();
    assert_eq!(turns.len(), 5);
    let start = Instant::now();
    assert_eq!(project.build("out").store("store").report()["source"], "wheels");
    let waited = start.elapsed();
    assert!(waited > Duration::from_secs(9), "it waited for one that may get on");
    assert!(waited < Duration::from_secs(19), "and once, not for each of his turns: {waited:?}");
}

/// Processes that build overlapping environments in one empty store, some of them killed, some
/// collecting garbage.
fn crowd(rounds: usize, processes: usize, seconds: u64) {
    for round in 0..rounds {
        let project = project("sha256");
        let spec: Value =
            serde_json::from_slice(&std::fs::read(project.path().join("env.json")).unwrap())
                .unwrap();
        let mut digests = Vec::new();
        for variant in 0..4 {
            let mut spec = spec.clone();
            spec["wheels"].as_array_mut().unwrap().remove(variant);
            project.write(&format!("env{variant}.json"), spec.to_string());
            digests.push(
                project.run(&["digest", &format!("env{variant}.json")]).success().trim().to_owned(),
            );
        }
        let mut children = Vec::new();
        for index in 0..processes {
            let (spec, out) = (format!("env{}.json", index % 4), format!("out{index}"));
            if index % 8 == 7 {
                children.push((
                    index,
                    spawn(&project, &["store", "gc", "--store", "store", "--max-size", "10k"]),
                ));
            } else {
                children.push((
                    index,
                    spawn(&project, &["build", &spec, "--out", &out, "--store", "store"]),
                ));
            }
        }
        // Every third is killed, each a little later than the one before.
        for (index, child) in &mut children {
            if *index % 3 == 0 {
                std::thread::sleep(Duration::from_millis(((*index * 7 + round * 13) % 40) as u64));
                let _ = child.kill();
            }
        }
        let start = Instant::now();
        for (index, child) in &mut children {
            let status = child.wait().unwrap();
            assert!(start.elapsed() < Duration::from_secs(seconds), "a process hangs");
            let out = project.path().join(format!("out{index}"));
            let collector = *index % 8 == 7;
            assert!(status.success() || *index % 3 == 0 || collector, "process {index}: {status}");
            if out.exists() {
                assert_eq!(
                    project.run(&["digest", out.as_str()]).success().trim(),
                    digests[*index % 4],
                    "process {index}"
                );
            } else {
                assert!(!status.success() || collector, "process {index} made nothing");
            }
        }
        // The next ones finish what was cut off, and clean up after the dead.
        for index in (0..processes).filter(|index| index % 8 != 7) {
            let (spec, out) = (format!("env{}.json", index % 4), format!("out{index}"));
            let built = project
                .run(&["build", &spec, "--out", &out, "--store", "store", "--format", "json"])
                .report();
            assert_eq!(built["digest"], digests[index % 4]);
        }
        project.run(&["store", "gc", "--store", "store"]).success();
        let verified = project.run(&["store", "verify", "--store", "store"]);
        assert_eq!(verified.code, 0, "{}", verified.stdout);
        let left = |folder: &str| -> Vec<String> {
            let entries = project.path().join(folder).read_dir_utf8().unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().to_owned())
                .filter(|name| name.contains("venvtree-"))
                .collect()
        };
        assert_eq!((left("."), left("store/tmp")), (Vec::new(), Vec::new()));
    }
}

#[test]
fn many_processes_share_a_store_while_some_are_killed_and_others_collect_garbage() {
    crowd(1, 16, 120);
}

/// As above, for long: `cargo test --test it -- --ignored many_processes_for_long`.
#[test]
#[ignore = "takes minutes"]
fn many_processes_for_long() {
    crowd(25, 16, 120);
}

/// Files below a folder of the store.
fn entries(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let shards = folder.read_dir_utf8().unwrap().map(|shard| shard.unwrap().into_path());
    shards
        .flat_map(|shard| {
            shard
                .read_dir_utf8()
                .unwrap()
                .map(|entry| entry.unwrap().into_path())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn what_a_build_took_from_the_store_was_used() {
    for function in ["sha256", "blake3"] {
        let project = project(function);
        let store = project.path().join("store");
        let base = if function == "sha256" { store } else { store.join(function) };
        let build = |out: &str| {
            let copies = [
                "build",
                "env.json",
                "--out",
                out,
                "--store",
                "store",
                "--link-mode",
                "copy",
                "--format",
                "json",
            ];
            project.run(&copies).report()["source"].as_str().unwrap().to_owned()
        };
        assert_eq!(build("one"), "wheels");
        let old = std::time::SystemTime::now() - Duration::from_secs(5 * 24 * 3600);
        for path in ["ac", "cas", "trees"].iter().flat_map(|folder| entries(&base.join(folder))) {
            std::fs::File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
        }
        assert_eq!(build("two"), "store");
        project.run(&["store", "gc", "--store", "store", "--max-age", "1d"]).success();
        assert_eq!(build("three"), "store", "{function}");
    }
}

/// What a venvtree that lays environments out in another way might have left under the same key.
#[test]
fn a_result_of_another_layout_is_not_believed_of_the_local_store_either() {
    let project = project("sha256");
    let build = |out: &str| {
        let arguments = ["build", "env.json", "--store", "store", "--link-mode", "own"];
        project.run(&[&arguments[..], &["--out", out, "--format=json"]].concat()).report()
    };
    let built = build("one");
    assert_eq!(built["source"], "wheels");
    let out = project.path().join("one");
    let script = out.join("bin/activate");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, format!("{text}# of another layout\n")).unwrap();
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let places = Places { root: project.path().to_owned(), ..Places::default() };
    let spec = engine::parse_spec(&text, "env.json").unwrap();
    let action = engine::key::action(&Session::default(), &spec, &places).unwrap();
    assert_eq!(action.digest().to_string(), built["key"]);
    let notes = Notes::new();
    let store = project.path().join("store");
    let store = Store::open(store, DigestFunction::Sha256, Access::Write, notes);
    let tree = scan::scan(&out, DigestFunction::Sha256, View::Exact, 1).unwrap().tree;
    assert_ne!(tree.digest().to_string(), built["digest"]);
    let files = TreeFiles::new(&out, &tree);
    transfer::publish(&store, &action, &tree, &files, &Progress::default()).unwrap();

    let again = build("two");
    assert_eq!((&again["source"], &again["digest"]), (&json!("wheels"), &built["digest"]));
    let notes = again["notes"].to_string();
    assert!(notes.contains("its `bin/activate` is not that of this environment"), "{notes}");
    // The store knows better now.
    let third = build("three");
    assert_eq!((&third["source"], &third["digest"]), (&json!("store"), &built["digest"]));
    assert_eq!(third["notes"], json!([]));
}
