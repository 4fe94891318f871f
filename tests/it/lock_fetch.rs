//! From a lock to an environment: one tree whatever the lock is written in, of wheels that are
//! fetched once.
#![cfg(feature = "remote")]

use std::process::Command;

use serde_json::Value;
use venvtree::model::digest::Hash;

use crate::support::file_server::{Behaviour, FileServer};
use crate::support::interpreters;
use crate::support::peers::peer;
use crate::support::project::{Output, Project, WheelText, listing, venvtree_with};

/// A project with locks in three formats.
struct Locked {
    server: FileServer,
    project: Project,
    python: String,
}

const LOCKS: [&str; 3] = ["uv.lock", "pylock.toml", "requirements.txt"];

impl Locked {
    fn new() -> Self {
        Self::with(FileServer::start())
    }

    fn with(server: FileServer) -> Self {
        let project = Project::new();
        let (mut uv, mut pylock, mut requirements) = (
            "version = 1\nrevision = 3\nrequires-python = \">=3.8\"\n\n[[package]]\nname = \"app\"\n\
             version = \"0\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"one\" }, \
             { name = \"w-two\" }]\n\n[package.optional-dependencies]\nweb = [{ name = \"three\" }]\n"
                .to_owned(),
            "lock-version = \"1.0\"\ncreated-by = \"test\"\n".to_owned(),
            String::new(),
        );
        // Each tool spells the name of a file in its own way.
        for (name, spelt) in [("one", "one"), ("w-two", "W_Two"), ("three", "three")] {
            let wheel = WheelText::new(spelt, "1.0").file(&format!("{spelt}.py"), name.repeat(500));
            let (bytes, file) = (wheel.pack(), wheel.file_name());
            let url = server.add(&format!("/a/{file}"), &bytes);
            let (hash, size) = (Hash::sha256(&bytes), bytes.len());
            uv.push_str(&format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"1.0\"\nsource = {{ registry = \
                 \"https://index.example/simple\" }}\nwheels = [{{ url = \"{url}\", hash = \
                 \"sha256:{hash}\", size = {size} }}]\n"
            ));
            if name == "three" {
                continue;
            }
            let file = file.to_lowercase();
            pylock.push_str(&format!(
                "\n[[packages]]\nname = \"{name}\"\nversion = \"1.0\"\nwheels = [{{ name = \
                 \"{file}\", url = \"{url}\", size = {size}, hashes = {{ sha256 = \"{hash}\" }} }}]\n"
            ));
            requirements.push_str(&format!("{name}==1.0 --hash=sha256:{hash}\n"));
        }
        for (name, text) in LOCKS.iter().zip([uv, pylock, requirements]) {
            project.write(name, text);
        }
        let python =
            interpreters().pop().expect("an interpreter").path.to_string_lossy().into_owned();
        Self { server, project, python }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let (store, home) = (self.project.path().join("store"), self.project.path());
        let variables = [("VENVTREE_STORE", store.as_str()), ("HOME", home.as_str())];
        venvtree_with(self.project.path(), arguments, "", &variables)
    }

    fn create(&self, out: &str, more: &[&str]) -> Output {
        let first = ["create", out, "--python", &self.python, "--format", "json"];
        self.run(&[&first[..], more].concat())
    }

    fn asked(&self) -> usize {
        self.server.requests().len()
    }
}

#[test]
fn one_tree_and_key_from_every_lock() {
    let locked = Locked::new();
    let fetched =
        locked.run(&["lock", "fetch", "uv.lock", "--dest", "wheels", "--python", &locked.python]);
    assert_eq!(fetched.code, 0, "{}", fetched.stderr);
    assert_eq!(fetched.stdout, "one-1.0-py3-none-any.whl\nW_Two-1.0-py3-none-any.whl\n");
    assert!(fetched.stderr.contains("wheels: 2 wheels, "), "{}", fetched.stderr);
    assert_eq!(locked.asked(), 2);
    let again = ["lock", "fetch", "uv.lock", "--dest", "wheels", "--target", "linux-x86_64-3.12.1"];
    let again = locked.run(&[&again[..], &["--format", "json", "--offline"]].concat());
    assert_eq!(again.json()["wheels"][1]["was_there"], true);
    let (mut keys, mut digests) = (Vec::new(), Vec::new());
    for name in LOCKS {
        let spec = format!("{name}.json");
        let target = ["--target", "linux-x86_64-glibc2.28-3.12.1", "--out", &spec];
        let wheels = ["--wheels", "wheels"];
        let more = if name == "requirements.txt" { &wheels[..] } else { &[] };
        locked.run(&[&["lock", "spec", name][..], &target, more].concat()).success();
        keys.push(locked.run(&["key", &spec]).success());
        let built = locked.run(&[
            "build",
            &spec,
            "--out",
            &format!("built-{name}"),
            "--format",
            "json",
            "--no-store",
        ]);
        assert_eq!(built.code, 0, "{name}: {}", built.stderr);
        digests.push(built.json()["digest"].clone());
        let made = locked.create(&format!("env-{spec}"), &[&["--lock", name][..], more].concat());
        assert_eq!(made.code, 0, "{name}: {}", made.stderr);
        digests.push(made.json()["digest"].clone());
    }
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    for pair in digests.chunks(2) {
        assert_eq!(pair, &digests[..2]);
    }
    let trees = LOCKS
        .map(|name| listing(locked.project.path().join(format!("env-{name}.json")).as_std_path()));
    assert!(trees[0].iter().any(|line| line.contains("W_Two.py")), "{:?}", trees[0]);
    assert!(trees.iter().all(|tree| *tree == trees[0]));
}

/// Whether its file is fetched, in the store, in a folder or named by the lock; a key says no sizes.
#[test]
fn a_wheel_of_another_size_is_refused_wherever_it_is() {
    let locked = Locked::new();
    locked
        .run(&["lock", "fetch", "uv.lock", "--dest", "wheels", "--python", &locked.python])
        .success();
    let size = std::fs::metadata(locked.project.path().join("wheels/one-1.0-py3-none-any.whl"))
        .unwrap()
        .len();
    let right = format!("size = {size}");
    for name in ["uv.lock", "pylock.toml"] {
        let text = std::fs::read_to_string(locked.project.path().join(name)).unwrap();
        let (before, after) = text.split_once(&right).unwrap();
        locked.project.write(&format!("wrong-{name}"), format!("{before}size = 5{after}"));
    }
    let text = std::fs::read_to_string(locked.project.path().join("wrong-pylock.toml")).unwrap();
    let url = text.split("url = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path =
        text.replace(&format!("url = \"{url}\""), "path = \"wheels/one-1.0-py3-none-any.whl\"");
    assert_ne!(path, text);
    locked.project.write("wrong-path.toml", path);
    let refused = |lock: &str, more: &[&str]| {
        let made = locked.create("env", &[&["--lock", lock], more].concat());
        let said = format!("has {size} bytes, expected 5");
        assert!(made.code == 6 && made.stdout.contains(&said), "{lock} {more:?}: {made:?}");
    };
    for lock in ["wrong-uv.lock", "wrong-pylock.toml", "wrong-path.toml"] {
        refused(lock, &["--no-store"]);
        refused(lock, &[]);
        refused(lock, &["--wheels", "wheels", "--offline", "--no-store"]);
    }
    let fetch = ["lock", "fetch", "wrong-uv.lock", "--dest", "wheels", "--python", &locked.python];
    assert_eq!(locked.run(&fetch).code, 6);
    assert_eq!(locked.create("right", &["--lock", "uv.lock"]).code, 0);
    // The store knows what is in it, and has its file, too.
    refused("wrong-uv.lock", &["--extra", "web"]);
    assert_eq!(locked.create("known", &["--lock", "wrong-uv.lock"]).code, 0);
}

#[test]
fn a_lock_stands_in_place_of_a_spec() {
    let locked = Locked::new();
    let target = ["--target", "linux-x86_64-glibc2.28-3.12.1"];
    locked
        .run(&[&["lock", "spec", "uv.lock", "--out", "spec.json"][..], &target].concat())
        .success();
    let of_spec =
        locked.run(&["build", "spec.json", "--out", "of-spec", "--format", "json"]).json();
    assert_eq!(locked.asked(), 2);
    let build = |out: &str, more: &[&str]| {
        let first = ["build", "--lock", "uv.lock", "--out", out, "--format", "json"];
        locked.run(&[&first[..], &target, more].concat())
    };
    let of_lock = build("of-lock", &[]);
    assert_eq!((of_lock.code, locked.asked()), (0, 2), "{}", of_lock.stderr);
    for field in ["digest", "key"] {
        assert_eq!(of_lock.json()[field], of_spec[field], "{field}");
    }
    assert_eq!(build("of-lock", &[]).json()["outcome"], "up-to-date");
    let more = build("of-lock", &["--extra", "web", "--replace"]);
    assert_eq!((more.code, locked.asked()), (0, 3), "{}", more.stderr);
    for (arguments, expected) in [
        (&["build", "--out", "x"][..], "<SPEC"),
        (&["build", "spec.json", "--lock", "uv.lock", "--out", "x"], "cannot be used with"),
        (&["build", "spec.json", "--out", "x", "--extra", "web"], "--extra says what is wanted"),
        (&["build", "spec.json", "--out", "x", "--target", "a"], "--target says what is wanted"),
    ] {
        let output = locked.run(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {output:?}");
        assert!(output.stderr.contains(expected), "{arguments:?}: {output:?}");
    }
}

#[test]
fn create_fetches_what_the_lock_says_and_nothing_twice() {
    let locked = Locked::new();
    let made = locked.create("env", &["--lock", "uv.lock", "--extra", "web"]);
    assert_eq!((made.code, locked.asked()), (0, 3), "{}", made.stderr);
    let text = locked.run(&[
        "create",
        "other",
        "--python",
        &locked.python,
        "--lock",
        "uv.lock",
        "--extra",
        "web",
        "--offline",
    ]);
    assert_eq!((text.code, locked.asked()), (0, 3), "{}", text.stderr);
    assert!(
        text.stderr.contains("one 1.0, three 1.0, w-two 1.0"),
        "{}{}",
        text.stdout,
        text.stderr
    );
    let missing = locked.create("third", &["--lock", "uv.lock", "--no-store", "--offline"]);
    assert_eq!(missing.code, 7);
    let folder = locked.run(&[
        "lock",
        "fetch",
        "pylock.toml",
        "--dest",
        "wheels",
        "--python",
        &locked.python,
    ]);
    assert_eq!((folder.code, locked.asked()), (0, 3), "{}", folder.stderr);
    let nothing = ["--lock", "uv.lock", "--no-store", "--offline", "--wheels", "wheels"];
    assert_eq!(locked.create("third", &nothing).code, 0);
    assert_eq!(locked.asked(), 3);
}

/// Commands that only look at the spec of a lock ask nobody: what has been fetched for an
/// environment is in the store, and else they say who fetches.
#[test]
fn other_commands_find_in_the_store_what_has_been_fetched() {
    let locked = Locked::new();
    let spec = ["lock", "spec", "uv.lock", "--python", &locked.python, "--out", "env.json"];
    locked.run(&spec).success();
    let looks: [&[&str]; 4] = [
        &["pack", "env.json", "--out", "env.tar"],
        &["sbom", "env.json"],
        &["plan", "env.json"],
        &["digest", "env.json"],
    ];
    for look in looks {
        let output = locked.run(look);
        output.ends(7, "`one-1.0-py3-none-any.whl`: it is only at an address");
        output.says("hint: `venvtree build` and `venvtree create --lock` fetch wheels");
    }
    assert_eq!(locked.asked(), 0);
    locked.create("env", &["--lock", "uv.lock"]).success();
    let asked = locked.asked();
    for look in looks {
        locked.run(look).success();
    }
    assert_eq!(locked.asked(), asked);
}

#[test]
fn a_file_of_any_size_has_a_limit() {
    let locked = Locked::new();
    let path = locked.project.path().join("pylock.toml");
    let text = std::fs::read_to_string(&path).expect("a lock");
    let without: Vec<&str> = text.split(", size = ").collect();
    let rest = |part: &&str| part.split_once(", hashes").expect("hashes").1.to_owned();
    let parts: Vec<String> = without[1..].iter().map(rest).collect();
    let unsized_lock = format!("{}, hashes{}", without[0], parts.join(", hashes"));
    std::fs::write(&path, unsized_lock).expect("written");
    let fetch = ["lock", "fetch", "pylock.toml", "--dest", "wheels", "--python", &locked.python];
    let refused = locked.run(&[&fetch[..], &["--wheel-limit", "100B"]].concat());
    let expected =
        "has more than 100 bytes, the most of a file whose size nobody says (--wheel-limit)";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    assert_ne!(refused.code, 0);
    let fetched = locked.run(&[&fetch[..], &["--wheel-limit", "1MB"]].concat());
    assert_eq!(fetched.code, 0, "{}", fetched.stderr);
}

#[test]
fn what_is_wrong_with_what_is_asked_is_said() {
    let locked =
        Locked::with(FileServer::start_with(|_, _| Behaviour::Status("401 Unauthorized", vec![])));
    let check = |arguments: &[&str], code: u8, expected: &str| {
        let output = locked.run(arguments);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(output.code == code && text.contains(expected), "{arguments:?}: {text}");
    };
    let create = ["create", "env", "--python", &locked.python];
    let with = |more: &[&'static str]| -> Vec<String> {
        create.iter().chain(more).map(|text| (*text).to_owned()).collect()
    };
    let check_create = |more: &[&'static str], code: u8, expected: &str| {
        let arguments = with(more);
        check(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), code, expected);
    };
    check_create(&["--group", "docs"], 2, "--group says what is wanted of a lock");
    check_create(&["--lock", "uv.lock", "--extra", "wbe"], 3, "did you mean web?");
    check_create(&["--lock", "uv.lock"], 7, "401; there are no credentials for 127.0.0.1");
    check_create(&["--lock", "requirements.txt"], 3, "has no addresses");
    assert!(!locked.project.path().join("env").exists());
    check_create(&["--no-seed"], 0, "there is a uv.lock here; `--lock uv.lock` installs");
    locked.project.write("wheels", "a file");
    check_create(&["--lock", "uv.lock", "--wheels", "wheels"], 2, "wheels` is no directory");
}

#[test]
fn specs_of_locks_hold_no_secret() {
    let locked = Locked::new();
    for name in ["uv.lock", "pylock.toml"] {
        let path = locked.project.path().join(name);
        let text = std::fs::read_to_string(&path).expect("a lock");
        std::fs::write(&path, text.replace("http://127", "http://me:s3cret@127")).expect("written");
        let target = ["--target", "linux-x86_64-3.12.1"];
        let text = locked.run(&[&["lock", "spec", name][..], &target].concat()).success();
        assert!(text.contains("\"size\"") && !text.contains("s3cret"), "{text}");
        let spec: Value = serde_json::from_str(&text).expect("a spec");
        assert_eq!(spec["wheels"].as_array().map(Vec::len), Some(2));
        let made = locked.create(
            &format!("env-{name}"),
            &["--lock", name, "--spec-out", "env.json", "--no-store"],
        );
        assert_eq!(made.code, 0, "{}", made.stderr);
        let written =
            std::fs::read_to_string(locked.project.path().join("env.json")).expect("a spec");
        assert!(!format!("{}{}{written}", made.stdout, made.stderr).contains("s3cret"));
    }
    let sent = locked.server.requests();
    assert!(!sent.is_empty());
    // What a lock has of names and passwords is dropped when it is read: netrc has them.
    assert!(sent.iter().all(|request| request.header("authorization").is_none()));
}

/// The lock in which wheels are known by another hash than SHA-256.
fn with_other_hashes(locked: &Locked, name: &str, algorithm: &str) -> (String, Vec<String>) {
    use sha2::Digest as _;
    let path = locked.project.path().join(name);
    let mut text = std::fs::read_to_string(&path).expect("a lock");
    let mut others = Vec::new();
    for wheel in ["one", "W_Two", "three"] {
        let word = if wheel == "W_Two" { "w-two" } else { wheel };
        let bytes =
            WheelText::new(wheel, "1.0").file(&format!("{wheel}.py"), word.repeat(500)).pack();
        let digits = match algorithm {
            "sha512" => encode(&sha2::Sha512::digest(&bytes)),
            _ => encode(&sha2::Sha384::digest(&bytes)),
        };
        let sha256 = Hash::sha256(&bytes).to_hex();
        text = text
            .replace(&format!("sha256:{sha256}"), &format!("{algorithm}:{digits}"))
            .replace(&format!("sha256 = \"{sha256}\""), &format!("{algorithm} = \"{digits}\""));
        others.push(digits);
    }
    assert!(!text.contains("sha256"), "{text}");
    std::fs::write(&path, &text).expect("written");
    (text, others)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn wheels_that_are_known_by_another_hash_are_compared_by_it() {
    for (name, algorithm) in [("uv.lock", "sha512"), ("pylock.toml", "sha384")] {
        let locked = Locked::new();
        let expected = locked.create("expected", &["--lock", name, "--store", "other"]).json();
        assert_eq!(locked.asked(), 2);
        let (text, digits) = with_other_hashes(&locked, name, algorithm);
        let spec = ["lock", "spec", name, "--target", "linux-x86_64-glibc2.28-3.12.1"];

        // A spec has SHA-256s, and nobody knows them.
        let refused = locked.run(&spec);
        refused.ends(
            7,
            &format!("the lock has no SHA-256 of `one-1.0-py3-none-any.whl` (only {algorithm})"),
        );
        refused.says("then give `--wheels DIR`");
        let offline = locked.create("offline", &["--lock", name, "--offline"]);
        offline.ends(7, "offline: 2 wheels are missing");
        assert_eq!(locked.asked(), 2);

        // Another file is refused, whatever its name and size.
        locked.project.write(name, text.replace(&digits[0], &"0".repeat(digits[0].len())));
        let other = locked.create("env", &["--lock", name, "--no-store"]);
        other.ends(6, &format!("it is {algorithm}:{}, expected {algorithm}:000", digits[0]));
        assert!(!locked.project.path().join("env").exists());
        locked.project.write(name, &text);

        // One request each, the same tree and key as by SHA-256; then none, and a spec.
        let asked = locked.asked();
        let made = locked.create("env", &["--lock", name]);
        assert_eq!((made.code, locked.asked()), (0, asked + 2), "{}", made.stderr);
        for field in ["digest", "key"] {
            assert_eq!(made.json()[field], expected[field], "{name} {field}");
        }
        assert_eq!(locked.create("env", &["--lock", name]).json()["outcome"], "up-to-date");
        let spec_text = locked.run(&spec).success();
        let document: Value = serde_json::from_str(&spec_text).expect("a spec");
        assert_eq!(document["wheels"][0]["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(locked.asked(), asked + 2);

        // Without a store, each is fetched once all the same, and folders tell the SHA-256, too.
        locked.create("bare", &["--lock", name, "--no-store"]).success();
        assert_eq!(locked.asked(), asked + 4);
        let dest = ["lock", "fetch", name, "--dest", "wheels", "--python", &locked.python];
        locked.run(&dest).success();
        let given = ["--store", "empty", "--wheels", "wheels", "--offline"];
        let given = locked.create("given", &[&["--lock", name][..], &given].concat());
        assert_eq!(given.json()["digest"], expected["digest"], "{}", given.stderr);
        assert_eq!(locked.asked(), asked + 4);
        let home = locked.project.path().join("nothing");
        let variables = [("VENVTREE_STORE", home.as_str()), ("HOME", home.as_str())];
        let given = [&spec[..], &["--wheels", "wheels"]].concat();
        let given = venvtree_with(locked.project.path(), &given, "", &variables).success();
        assert_eq!(given, spec_text);
        if name == "pylock.toml" {
            // As uv does, of whatever is wrong with it.
            assert!(uv_installs(&locked, "good"));
            locked.project.write(name, text.replace(&digits[0], &"0".repeat(digits[0].len())));
            assert!(!uv_installs(&locked, "bad"));
        }
    }
}

/// Whether uv installs what `pylock.toml` says.
fn uv_installs(locked: &Locked, folder: &str) -> bool {
    let mut uv = Command::new(peer("uv"));
    uv.args(["pip", "install", "--preview-features", "pylock", "--no-cache", "-r", "pylock.toml"]);
    uv.args(["--python", &locked.python, "--target", folder]).current_dir(locked.project.path());
    uv.output().expect("uv runs").status.success()
}

#[test]
fn requirements_with_another_hash_find_the_wheels_that_are_given() {
    let locked = Locked::new();
    let dest = ["lock", "fetch", "uv.lock", "--dest", "wheels", "--python", &locked.python];
    locked.run(&dest).success();
    let given = ["--lock", "requirements.txt", "--wheels", "wheels", "--offline"];
    let expected = locked.create("expected", &given).json();
    let (text, digits) = with_other_hashes(&locked, "requirements.txt", "sha512");
    let made = locked.create("env", &given);
    assert_eq!(made.json()["digest"], expected["digest"], "{}", made.stderr);
    let index = ["--lock", "requirements.txt", "--index-url", "http://127.0.0.1:1/simple"];
    locked.create("other", &index).ends(3, "one 1.0 has no SHA-256, by which indexes know files");
    locked.project.write("requirements.txt", text.replace(&digits[0], &"0".repeat(128)));
    locked
        .create("other", &given)
        .ends(4, "none of the wheels that are given has one of its hashes");
    locked.project.write("requirements.txt", text.replace(&digits[0], "0"));
    locked.create("other", &given).ends(3, "a hash of `one==1.0` is none: sha512:0");
}

#[test]
fn an_index_has_what_build_systems_compare_where_there_is_no_sha256() {
    let locked = Locked::new();
    with_other_hashes(&locked, "uv.lock", "sha512");
    let index = ["lock", "index", "uv.lock", "--target", "linux=linux-x86_64-3.12.1"];
    let text = locked.run(&index).success();
    let index: Value = serde_json::from_str(&text).expect("an index");
    for file in index["files"].as_object().expect("files").values() {
        assert_eq!(file.get("sha256"), None);
        assert!(file["integrity"].as_str().expect("text").starts_with("sha512-"), "{file}");
    }
    let path = locked.project.path().join("uv.lock");
    let lock = std::fs::read_to_string(&path).expect("a lock");
    std::fs::write(&path, lock.replace("sha512:", "blake2b:")).expect("written");
    let refused = locked.create("env", &["--lock", "uv.lock"]);
    refused.ends(2, "the only hash of `one-1.0-py3-none-any.whl` is blake2b");
}
