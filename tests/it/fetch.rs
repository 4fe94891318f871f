//! Environments of wheels that are only at addresses: fetched once, compared, kept, and never more
//! than is needed.
#![cfg(feature = "remote")]

use std::process::{Command, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::file_server::{Behaviour, FileServer};
use crate::support::http_cache::HttpCache;
use crate::support::mount::Mount;
use crate::support::project::{
    Output, Project, WheelText, listing, some_interpreter, venvtree_with,
};

/// Some wheels, the first the smallest, and what a spec says of them.
fn wheels(server: &FileServer, count: usize) -> Vec<Value> {
    let wheel = |index: usize| {
        let text: String = (0..(index + 1) * 4000).map(|line| format!("{line}\n")).collect();
        let wheel = WheelText::new(&format!("w{index}"), "1.0").file(&format!("w{index}.py"), text);
        let bytes = wheel.pack();
        let url = server.add(&format!("/a/{}", wheel.file_name()), &bytes);
        json!({"url": url, "size": bytes.len(), "sha256": Hash::sha256(&bytes)})
    };
    (0..count).map(wheel).collect()
}

struct Site {
    server: FileServer,
    project: Project,
}

impl Site {
    fn new(server: FileServer, count: usize) -> Self {
        let project = Project::new();
        let wheels = wheels(&server, count);
        project.spec(some_interpreter(), &wheels, |_| {});
        Self { server, project }
    }

    fn build(&self, out: &str, more: &[&str]) -> Output {
        self.run(&[&["build", "env.json", "--out", out][..], more].concat())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let (store, temporary) = (self.project.path().join("store"), self.project.path());
        let variables = [("VENVTREE_STORE", store.as_str()), ("TMPDIR", temporary.as_str())];
        let no_store = arguments.contains(&"--no-store");
        let variables = if no_store { &variables[1..] } else { &variables[..] };
        venvtree_with(self.project.path(), arguments, "", variables)
    }

    /// The same as a process of its own.
    fn command(&self, out: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_venvtree"));
        command.args(["build", "env.json", "--format", "json", "--out", out]);
        command.current_dir(self.project.path()).env_clear();
        command.env("VENVTREE_STORE", self.project.path().join("store"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What an environment holds.
    fn tree(&self, out: &str) -> Vec<String> {
        listing(self.project.path().join(out).as_std_path())
    }

    fn source(&self, out: &str, more: &[&str]) -> (String, String) {
        let built = self.build(out, &[more, &["--format", "json"]].concat());
        assert_eq!(built.code, 0, "{}", built.stderr);
        let text = |name: &str| built.json()[name].as_str().unwrap_or_default().to_owned();
        (text("source"), text("digest"))
    }

    fn asked(&self) -> usize {
        self.server.requests().len()
    }

    /// Everything in `cas/` is what its name says.
    fn check_cas(&self) -> usize {
        let mut count = 0;
        for path in files(&self.project.path().join("store/cas")) {
            let hash = Hash::sha256(&std::fs::read(&path).expect("a file"));
            assert_eq!(Some(hash.to_hex().as_str()), path.file_name(), "{path}");
            count += 1;
        }
        count
    }
}

fn files(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(entry.path())),
            _ => found.push(entry.into_path()),
        }
    }
    found
}

#[test]
fn each_wheel_is_asked_for_once_and_not_at_all_where_the_tree_is_known() {
    let site = Site::new(FileServer::start(), 3);
    let cache = HttpCache::start();
    let remote = cache.url();
    let (source, digest) = site.source("one", &["--remote-cache", &remote]);
    assert_eq!((source.as_str(), site.asked()), ("wheels", 3));
    // Three wheels, the messages of the tree, and nothing unfinished.
    assert!(site.check_cas() >= 3);
    assert_eq!(files(&site.project.path().join("store/partial")), Vec::<Utf8PathBuf>::new());
    for (out, expected) in [("one", "output"), ("two", "store")] {
        assert_eq!(site.source(out, &[]), (expected.to_owned(), digest.clone()));
    }
    let nothing = ["--offline", "--store", "other", "--remote-cache", &remote];
    assert_eq!(site.source("three", &nothing), ("remote".to_owned(), digest.clone()));
    assert_eq!(site.asked(), 3);
    // Another environment of wheels that are here.
    let mut spec: Value = serde_json::from_str(
        &std::fs::read_to_string(site.project.path().join("env.json")).unwrap(),
    )
    .unwrap();
    spec["flags"] = json!({"prompt": "other"});
    site.project.write("env.json", spec.to_string());
    assert_eq!(site.source("four", &["--offline"]).0, "wheels");
    assert_eq!(site.asked(), 3);
    // The same tree and key where the wheels lie beside the spec.
    let mut here = spec.clone();
    for wheel in here["wheels"].as_array_mut().expect("a list") {
        let url = wheel["url"].as_str().expect("text").to_owned();
        let name = url.rsplit('/').next().expect("a name").to_owned();
        let hash = wheel["sha256"].as_str().expect("text").to_owned();
        let stored = site.project.path().join(format!("store/cas/{}/{hash}", &hash[..2]));
        site.project.write(&format!("here/{name}"), std::fs::read(stored).expect("the wheel"));
        *wheel = json!({"path": format!("here/{name}"), "sha256": hash});
    }
    site.project.write("here.json", here.to_string());
    let keys = ["env.json", "here.json"].map(|spec| site.run(&["key", spec]).success());
    assert_eq!(keys[0], keys[1]);
    let (_, there) = site.source("five", &["--no-store", "--wheels", "here", "--offline"]);
    let built = site.run(&["build", "here.json", "--out", "six", "--no-store", "--format", "json"]);
    assert_eq!(built.json()["digest"], there.as_str());
    assert_eq!((site.asked(), site.tree("five")), (3, site.tree("six")));
}

#[test]
fn a_store_is_not_needed_and_nothing_is_left() {
    let site = Site::new(FileServer::start(), 2);
    assert_eq!(site.source("one", &["--no-store"]).0, "wheels");
    let mut left: Vec<_> = site.project.path().read_dir_utf8().unwrap().flatten().collect();
    left.sort_by_key(|entry| entry.file_name().to_owned());
    let names: Vec<_> = left.iter().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["env.json", "one"]);
    assert_eq!(site.asked(), 2);
}

#[test]
fn a_variable_that_names_no_certificates_is_named() {
    let site = Site::new(FileServer::start(), 1);
    let spec = std::fs::read_to_string(site.project.path().join("env.json")).unwrap();
    site.project.write("secure.json", spec.replace("http://", "https://"));
    site.project.write("text", "no certificate");
    for (file, what) in [("gone", "cannot be read"), ("text", "no certificate in PEM")] {
        let variables = [("SSL_CERT_FILE", file), ("TMPDIR", site.project.path().as_str())];
        let run = |spec: &str| {
            let command = ["build", spec, "--out", spec.trim_end_matches(".json"), "--no-store"];
            venvtree_with(site.project.path(), &command, "", &variables)
        };
        let refused = run("secure.json");
        assert_eq!(refused.code, 7, "{}", refused.stderr);
        for text in ["the variable SSL_CERT_FILE names `", what, "hint: unset SSL_CERT_FILE"] {
            assert!(refused.stderr.contains(text), "{}", refused.stderr);
        }
        // Where no certificates are needed, none are looked for.
        assert_eq!(run("env.json").code, 0);
    }
}

#[test]
fn a_store_without_room_is_as_good_as_none() {
    let site = Site::new(FileServer::start(), 4);
    let full = Mount::tmpfs(site.project.path().join("full"), "size=40k");
    let build = |out: &str, temporary: &str| {
        let (store, temporary) = (full.path.join("store"), site.project.path().join(temporary));
        let variables = [("VENVTREE_STORE", store.as_str()), ("TMPDIR", temporary.as_str())];
        let command = ["build", "env.json", "--out", out];
        venvtree_with(site.project.path(), &command, "", &variables)
    };
    let built = build("one", "");
    assert_eq!(built.code, 0, "{}", built.stderr);
    let warning = "cannot be written, so nothing more is kept in it";
    assert_eq!(built.stderr.matches(warning).count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("No space left on device"), "{}", built.stderr);
    // What did not find room takes none.
    let unfinished = files(&full.path.join("store/partial"));
    assert!(unfinished.is_empty(), "{unfinished:?}");
    assert_eq!(files(site.project.path()).iter().filter(|path| path.ends_with("part")).count(), 0);
    // Where nothing else has room, that is one error.
    std::fs::remove_dir_all(full.path.join("store")).unwrap();
    let refused = build("two", "full");
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert_eq!(refused.stderr.matches("error: ").count(), 1, "{}", refused.stderr);
    for text in ["cannot be kept, not even for now: ", "No space left on device", "TMPDIR"] {
        assert!(refused.stderr.contains(text), "{}", refused.stderr);
    }
}

#[test]
fn what_is_missing_is_said_at_once() {
    let site = Site::new(
        FileServer::start_with(|request, _| match request.path.as_str() {
            "/a/w1-1.0-py3-none-any.whl" => Behaviour::Status("404 Not Found", vec![]),
            "/a/w2-1.0-py3-none-any.whl" => Behaviour::Other(vec![0; 3]),
            _ => Behaviour::Serve,
        }),
        3,
    );
    let output = site.build("out", &["--offline"]);
    assert_eq!((output.code, site.asked()), (7, 0));
    assert!(output.stderr.contains("offline: 3 wheels are missing ("), "{}", output.stderr);
    assert!(output.stderr.contains(" kB)\n"), "{}", output.stderr);
    assert!(output.stderr.contains("`w2-1.0-py3-none-any.whl`, "), "{}", output.stderr);
    let hint = "`venvtree lock fetch LOCK --dest DIR` brings what a lock says, for `--wheels DIR`";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
    let output = site.build("out", &[]);
    let text = output.stderr.replace(&site.server.authority(), "HOST");
    assert_eq!(output.code, 7);
    let expected = [
        "2 wheels cannot be had",
        "`w1-1.0-py3-none-any.whl`: http://HOST/…/w1-1.0-py3-none-any.whl: answered 404 Not Found",
        "`w2-1.0-py3-none-any.whl`: http://HOST/…/w2-1.0-py3-none-any.whl: has 3 bytes, expected",
    ];
    for expected in expected {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!site.project.path().join("out").exists());
    // The other one is here for the next time.
    assert_eq!(site.check_cas(), 1);
}

#[test]
fn mirrors_and_folders_come_first_and_secrets_stay_where_they_belong() {
    let site = Site::new(FileServer::start(), 3);
    let text = std::fs::read_to_string(site.project.path().join("env.json")).unwrap();
    let origin = format!("http://{}/a/", site.server.authority());
    let far = "http://me:s3cret@files.example/s3cret/";
    site.project.write("env.json", text.replace(&origin, far));
    let mirror = format!("http://files.example/s3cret/={}", origin.replace("//", "//you:s3cret@"));
    let cache = HttpCache::start();
    let arguments =
        ["--mirror", &mirror, "--manifest", "manifest.json", "--remote-cache", &cache.url()];
    let output = site.build("out", &arguments);
    assert_eq!((output.code, site.asked()), (0, 3), "{}", output.stderr);
    let sent = site.server.requests();
    assert_eq!(sent[0].header("authorization"), Some("Basic eW91OnMzY3JldA=="));
    assert!(!format!("{}{}", output.stdout, output.stderr).contains("s3cret"));
    let mut looked = 0;
    for path in files(site.project.path()) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let has = String::from_utf8_lossy(&bytes).contains("s3cret");
        assert_eq!(has, path.file_name() == Some("env.json"), "{path}");
        looked += 1;
    }
    assert!(looked > 20);
    for (_, bytes) in cache.entries.lock().unwrap().iter() {
        assert!(!String::from_utf8_lossy(bytes).contains("s3cret"));
    }
    let refused = site.build("other", &["--mirror", "http://s3cret", "--no-store"]);
    assert_eq!(refused.code, 2);
    assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
    let typo = site.build("other", &["--wheels", "nowhere"]);
    assert_eq!(typo.code, 2);
    assert!(typo.stderr.contains("nowhere` is no directory"), "{}", typo.stderr);
}

#[test]
fn a_damaged_wheel_of_the_store_is_fetched_again() {
    let site = Site::new(FileServer::start(), 1);
    site.source("one", &[]);
    // Where the store knows what the wheel holds, nobody would ask for it.
    std::fs::remove_dir_all(site.project.path().join("store/manifests")).unwrap();
    let cas = files(&site.project.path().join("store/cas"));
    let wheel = cas.iter().max_by_key(|path| path.metadata().unwrap().len()).expect("a wheel");
    std::fs::write(wheel, "damaged").unwrap();
    site.project.write(
        "env.json",
        std::fs::read_to_string(site.project.path().join("env.json")).unwrap().replacen(
            '{',
            "{\"flags\": {\"prompt\": \"x\"},",
            1,
        ),
    );
    let output = site.build("two", &[]);
    assert_eq!((output.code, site.asked()), (0, 2), "{}", output.stderr);
    assert!(output.stderr.contains("had a damaged wheel, now removed"), "{}", output.stderr);
    site.check_cas();
}

#[test]
fn two_processes_fetch_each_wheel_once() {
    let site = Site::new(FileServer::start_with(|_, _| Behaviour::Slow(2000, 20)), 3);
    let children: Vec<_> =
        ["one", "two"].map(|out| site.command(out).spawn().expect("it starts")).into();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(site.asked(), 3);
    assert_eq!(site.tree("one"), site.tree("two"));
}

#[test]
fn whatever_ends_a_process_what_is_in_the_store_is_whole() {
    let site = Site::new(FileServer::start_with(|_, _| Behaviour::Slow(1000, 4)), 4);
    let sizes: u64 = {
        let text = std::fs::read_to_string(site.project.path().join("env.json")).unwrap();
        let spec: Value = serde_json::from_str(&text).unwrap();
        let sizes = spec["wheels"].as_array().unwrap().iter();
        sizes.map(|wheel| wheel["size"].as_u64().unwrap()).sum()
    };
    assert!(sizes > 50_000);
    let mut ended = 0;
    for turn in 0..20 {
        let mut child = site.command("out").spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(10 + 7 * turn));
        if child.try_wait().expect("known").is_none() {
            ended += 1;
        }
        let _ = child.kill();
        child.wait().expect("it ends");
        site.check_cas();
    }
    assert!(ended > 3, "{ended}");
    let continued =
        site.server.requests().iter().filter(|found| found.header("range").is_some()).count();
    assert!(continued > 0);
    let output = site.command("out").output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(site.check_cas() >= 4);
    let fresh = site.source("fresh", &["--no-store"]);
    assert_eq!(site.source("out", &[]), ("output".to_owned(), fresh.1));
}

#[test]
fn what_is_in_the_store_needs_no_network() {
    let site = Site::new(FileServer::start(), 2);
    site.source("one", &[]);
    let text = std::fs::read_to_string(site.project.path().join("env.json")).unwrap();
    site.project.write("env.json", text.replacen('{', "{\"flags\": {\"prompt\": \"x\"},", 1));
    let mut command = Command::new("unshare");
    command.args(["-rn", env!("CARGO_BIN_EXE_venvtree"), "build", "env.json", "--out", "two"]);
    command.args(["--offline", "--format", "json"]).current_dir(site.project.path());
    let output = command.env("VENVTREE_STORE", site.project.path().join("store")).output();
    let output = output.expect("unshare is part of util-linux");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((answer["source"].as_str(), site.asked()), (Some("wheels"), 2));
}

impl Site {
    /// Writes the spec with other flags: the next environment is another one of the same wheels.
    fn flags(&self, flags: Value) {
        let text = std::fs::read_to_string(self.project.path().join("env.json")).unwrap();
        let mut spec: Value = serde_json::from_str(&text).unwrap();
        spec["flags"] = flags;
        self.project.write("env.json", spec.to_string());
    }

    /// Removes the wheels that were fetched.
    fn forget_wheels(&self) {
        std::fs::remove_dir_all(self.project.path().join("store/cas")).expect("there were some");
    }

    /// The file that the store has of a module of the first environment.
    fn stored(&self, module: &str) -> Utf8PathBuf {
        let module = files(&self.project.path().join("one"))
            .into_iter()
            .find(|path| path.file_name() == Some(module))
            .expect("it is in the environment");
        let name = Hash::sha256(&std::fs::read(module).unwrap()).to_hex();
        let mut found = files(&self.project.path().join("store/files"));
        found.retain(|path| path.file_name() == Some(&name));
        found.pop().expect("it was kept")
    }
}

#[test]
fn what_the_store_has_of_a_wheel_needs_no_file_of_it() {
    for function in ["sha256", "blake3"] {
        let site = Site::new(FileServer::start(), 3);
        // Bytecode is in no environment, so nobody compares it with RECORD.
        let odd = WheelText::new("odd", "1.0").file("odd.py", "1").file("__pycache__/o.pyc", "-");
        let bytes = odd.pack();
        let url = site.server.add("/a/odd-1.0-py3-none-any.whl", &bytes);
        let spec = std::fs::read_to_string(site.project.path().join("env.json")).unwrap();
        let mut spec: Value = serde_json::from_str(&spec).unwrap();
        let odd = json!({"url": url, "size": bytes.len(), "sha256": Hash::sha256(&bytes)});
        spec["wheels"].as_array_mut().expect("a list").push(odd);
        site.project.write("env.json", spec.to_string());
        site.flags(json!({"digest_function": function}));
        site.source("one", &[]);
        assert_eq!(site.asked(), 4);

        site.flags(json!({"digest_function": function, "prompt": "other"}));
        let whole = site.source("whole", &["--store", "fresh"]);
        assert_eq!(site.asked(), 8);
        site.forget_wheels();
        assert_eq!(site.run(&["digest", "env.json"]).success().trim(), whole.1, "{function}");
        for source in ["wheels", "store"] {
            let more = ["--offline", "--manifest", "manifest.json"];
            let out = format!("of-{source}");
            assert_eq!(site.source(&out, &more), (source.to_owned(), whole.1.clone()));
            assert_eq!(site.tree(&out), site.tree("whole"));
        }
        // Where there is an environment already, the digest has to be foreseen.
        site.flags(json!({"digest_function": function, "prompt": "third"}));
        let replaced = site.build("whole", &["--offline", "--replace"]);
        assert_eq!((replaced.code, site.asked()), (0, 8), "{function}: {}", replaced.stderr);
        assert_eq!(files(&site.project.path().join("store/partial")), Vec::<Utf8PathBuf>::new());
    }
}

#[test]
fn a_file_that_the_store_lost_brings_its_wheel_and_no_other() {
    let site = Site::new(FileServer::start(), 3);
    site.source("one", &[]);
    site.forget_wheels();
    site.flags(json!({"prompt": "other"}));
    std::fs::remove_file(site.stored("w1.py")).unwrap();
    let refused = site.build("two", &["--offline"]);
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(refused.stderr.contains("w1-1.0-py3-none-any.whl"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("w0-1.0-py3-none-any.whl"), "{}", refused.stderr);
    site.source("two", &[]);
    let later = || -> Vec<String> {
        site.server.requests()[3..].iter().map(|request| request.path.clone()).collect()
    };
    assert_eq!(later(), ["/a/w1-1.0-py3-none-any.whl"]);

    // One that somebody wrote to is none.
    site.flags(json!({"prompt": "third"}));
    let stored = site.stored("w2.py");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&stored, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&stored, "something else").unwrap();
    let damaged = site.build("three", &[]);
    assert_eq!(damaged.code, 0, "{}", damaged.stderr);
    assert!(damaged.stderr.contains("is damaged"), "{}", damaged.stderr);
    assert_eq!(later()[1..], ["/a/w2-1.0-py3-none-any.whl"]);
    site.source("fresh", &["--store", "fresh-store"]);
    assert_eq!(site.tree("three"), site.tree("fresh"));
}

#[test]
fn a_digest_that_nobody_knows_brings_the_wheels() {
    let site = Site::new(FileServer::start(), 2);
    site.flags(json!({"digest_function": "blake3"}));
    site.source("one", &[]);
    site.forget_wheels();
    std::fs::remove_dir_all(site.project.path().join("store/blake3/wheels")).unwrap();
    site.flags(json!({"digest_function": "blake3", "prompt": "other"}));
    let refused = site.build("one", &["--replace", "--offline"]);
    assert!(refused.stderr.contains("offline: 2 wheels are missing"), "{}", refused.stderr);
    let replaced = site.build("one", &["--replace"]);
    assert_eq!((replaced.code, site.asked()), (0, 4), "{}", replaced.stderr);
    let whole = site.source("whole", &["--no-store"]).1;
    assert_eq!(site.source("one", &[]), ("output".to_owned(), whole));
}

#[test]
fn texts_are_read_from_wheels_of_which_nothing_else_is_needed() {
    let site = Site::new(FileServer::start(), 1);
    let wheel = WheelText::new("licensed", "1.0")
        .metadata("License-File: LICENSE")
        .file("licensed-1.0.dist-info/licenses/LICENSE", "do as you like");
    let bytes = wheel.pack();
    let path = site.project.write("here/licensed-1.0-py3-none-any.whl", &bytes);
    let pinned =
        json!({"path": "here/licensed-1.0-py3-none-any.whl", "sha256": Hash::sha256(&bytes)});
    site.project.spec(some_interpreter(), &[pinned], |_| {});
    site.source("one", &[]);
    std::fs::remove_file(&path).unwrap();
    assert!(site.run(&["sbom", "env.json"]).success().contains("licensed"));
    let refused = site.run(&["sbom", "env.json", "--texts"]);
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(refused.stderr.contains("licensed-1.0-py3-none-any.whl"), "{}", refused.stderr);
    site.project.write("here/licensed-1.0-py3-none-any.whl", "other");
    let refused = site.run(&["sbom", "env.json", "--texts"]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    site.project.write("here/licensed-1.0-py3-none-any.whl", &bytes);
    assert!(site.run(&["sbom", "env.json", "--texts"]).success().contains("do as you like"));
}

#[test]
fn a_wheel_is_unpacked_while_the_next_one_comes() {
    for function in ["sha256", "blake3"] {
        let folder = std::sync::Arc::new(std::sync::Mutex::new(Utf8PathBuf::new()));
        let store = std::sync::Arc::clone(&folder);
        // The smallest comes last, and only when the files of the others are there.
        let server = FileServer::start_with(move |request, _| {
            let store = store.lock().unwrap().clone();
            let unpacked = || {
                let found = files(&store);
                found
                    .iter()
                    .filter(|path| path.metadata().is_ok_and(|is| is.len() > 30_000))
                    .count()
            };
            if request.path.contains("/w0-") && store != "" {
                for _ in 0..2500 {
                    if unpacked() == 2 {
                        return Behaviour::Serve;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                return Behaviour::Status("404 Not Found", Vec::new());
            }
            Behaviour::Serve
        });
        let site = Site::new(server, 3);
        site.flags(json!({"digest_function": function}));
        let whole = site.source("whole", &["--no-store"]);
        let base = if function == "blake3" { "store/blake3/files" } else { "store/files" };
        *folder.lock().unwrap() = site.project.path().join(base);
        assert_eq!(site.source("one", &["--connections", "1"]), whole);
        for (out, mode) in [("copies", "copy"), ("links", "hardlink")] {
            assert_eq!(site.source(out, &["--link-mode", mode]).1, whole.1);
        }
        assert_eq!(site.tree("copies"), site.tree("whole"));
        assert_eq!(site.tree("links"), site.tree("one"));
        assert_eq!((site.asked(), site.run(&["store", "verify"]).code), (6, 0));
    }
}

/// As where somebody collects the garbage of a store while wheels come.
#[test]
fn wheels_that_are_removed_before_they_are_read_are_fetched_again() {
    let project = Project::new();
    let store = project.path().join("store");
    let removed = std::sync::atomic::AtomicBool::new(false);
    let server = HttpCache::start_with(move |request, _| {
        // The other wheel came before.
        if request.path.contains("b-1.0")
            && !removed.swap(true, std::sync::atomic::Ordering::SeqCst)
        {
            while files(&store.join("cas")).is_empty() {
                std::thread::sleep(Duration::from_millis(10));
            }
            for file in files(&store) {
                if !file.as_str().contains("/partial/") {
                    std::fs::remove_file(file).unwrap();
                }
            }
        }
        false
    });
    let wheel = |name: &str| {
        let wheel = WheelText::new(name, "1.0").file(&format!("{name}.py"), "x = 1\n");
        let (path, bytes) = (format!("/{}", wheel.file_name()), wheel.pack());
        let url = format!("http://{}{path}", server.authority());
        let found = json!({"url": url, "size": bytes.len(), "sha256": Hash::sha256(&bytes)});
        server.entries.lock().unwrap().insert(path, bytes);
        found
    };
    project.spec(some_interpreter(), &[wheel("a"), wheel("b")], |_| {});
    let store = [("VENVTREE_STORE", "store")];
    let command = ["build", "env.json", "--out", "out", "--connections", "1"];
    venvtree_with(project.path(), &command, "", &store).success();
    let requests = server.requests.lock().unwrap();
    let asked: Vec<&str> = requests.iter().map(|request| &request.path[..4]).collect();
    assert_eq!(asked, ["/a-1", "/b-1", "/a-1"]);
}
