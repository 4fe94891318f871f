//! Requirements with hashes become a lock with addresses, by what an index says.
#![cfg(feature = "remote")]

use std::process::Command;

use venvtree::model::digest::Hash;

use crate::support::file_server::{Behaviour, FileServer};
use crate::support::peers;
use crate::support::project::{Output, Project, WheelText, venvtree_with};

struct Indexed {
    server: FileServer,
    project: Project,
    hashes: Vec<Hash>,
}

impl Indexed {
    /// An index that has `one` as JSON and `w-two` as HTML; it lets nobody in but `me`.
    fn new() -> Self {
        Self::guarding("/simple/")
    }

    /// One that lets nobody see what is below that path but `me`.
    fn guarding(guarded: &'static str) -> Self {
        let server = FileServer::start_with(move |request, count| {
            let known = request.header("authorization") == Some("Basic bWU6c2VjcmV0");
            let denied = |status| Behaviour::Status(status, Vec::new());
            match request.path.as_str() {
                path if path.starts_with(guarded) && !known => denied("401 Unauthorized"),
                "/simple/one/" if count == 0 => denied("503 Service Unavailable"),
                "/simple/one/" => Behaviour::Typed("application/vnd.pypi.simple.v1+json"),
                _ => Behaviour::Typed("text/html"),
            }
        });
        let project = Project::new();
        let mut hashes = Vec::new();
        for (name, spelt) in [("one", "one"), ("w-two", "W_Two")] {
            let wheel = WheelText::new(spelt, "1.0").file(&format!("{spelt}.py"), "x = 1\n");
            let (bytes, file) = (wheel.pack(), wheel.file_name());
            let hash = Hash::sha256(&bytes);
            server.add(&format!("/files/{file}"), &bytes);
            let page = if name == "one" {
                let size = bytes.len();
                format!(
                    "{{\"meta\": {{\"api-version\": \"1.1\"}}, \"name\": \"one\", \"files\": \
                     [{{\"filename\": \"{file}\", \"url\": \"../../files/{file}\", \"size\": \
                     {size}, \"hashes\": {{\"sha256\": \"{hash}\"}}}}]}}"
                )
            } else {
                format!("<a href=\"../../files/{file}#sha256={hash}\">{file}</a>")
            };
            server.add(&format!("/simple/{name}/"), page.as_bytes());
            hashes.push(hash);
        }
        Self { server, project, hashes }
    }

    fn requirements(&self) -> String {
        format!(
            "one==1.0 ; sys_platform != \"win32\" --hash=sha256:{}\nW_Two==1.0 \\\n    \
             --hash=sha256:{}\n",
            self.hashes[0], self.hashes[1]
        )
    }

    fn index(&self) -> String {
        format!("http://me:secret@{}/simple", self.server.authority())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let (store, home) = (self.project.path().join("store"), self.project.path());
        let variables = [("VENVTREE_STORE", store.as_str()), ("HOME", home.as_str())];
        venvtree_with(self.project.path(), arguments, "", &variables)
    }
}

#[test]
fn hashes_become_addresses_that_a_build_can_fetch() {
    let indexed = Indexed::new();
    indexed.project.write("requirements.txt", indexed.requirements());
    let index = indexed.index();
    let pinned = ["lock", "pin", "requirements.txt", "--index-url", &index, "--out", "pylock.toml"];
    let pinned = indexed.run(&pinned);
    assert_eq!(pinned.code, 0, "{}", pinned.stderr);
    assert!(pinned.stderr.contains("written: pylock.toml, 2 packages"), "{}", pinned.stderr);
    // One answer was an error that passes.
    assert_eq!(indexed.server.requests().len(), 3);
    let text = std::fs::read_to_string(indexed.project.path().join("pylock.toml")).unwrap();
    assert!(!text.contains("secret") && !text.contains("me:"), "{text}");
    assert!(text.contains("marker = \"sys_platform != \\\"win32\\\"\""), "{text}");
    let target = ["--target", "linux-x86_64-3.12.1"];
    let fetched = ["lock", "fetch", "pylock.toml", "--dest", "wheels"];
    let fetched = indexed.run(&[&fetched[..], &target].concat());
    assert_eq!(fetched.code, 0, "{}", fetched.stderr);
    assert_eq!(fetched.stdout, "one-1.0-py3-none-any.whl\nW_Two-1.0-py3-none-any.whl\n");
    // It is a lock for others, too.
    let script = "import sys, tomllib, packaging.pylock as p\n\
        p.Pylock.from_dict(tomllib.load(open(sys.argv[1], 'rb'))).validate()\n";
    let checked = Command::new(peers::peer("python"))
        .args(["-c", script, "pylock.toml"])
        .current_dir(indexed.project.path())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// As `uv export` writes them where a dependency is a wheel in the repository.
#[test]
fn a_line_for_a_file_stands_beside_lines_for_an_index() {
    let indexed = Indexed::new();
    let vendored = WheelText::new("vendored", "1.0").file("vendored.py", "x = 1\n").pack();
    indexed.project.write("vend/vendored-1.0-py3-none-any.whl", &vendored);
    let line = format!(
        "./vend/vendored-1.0-py3-none-any.whl \\\n    --hash=sha256:{}\n",
        Hash::sha256(&vendored)
    );
    indexed.project.write("requirements.txt", format!("{line}{}", indexed.requirements()));
    let index = indexed.index();
    let target = ["--target", "linux-x86_64-3.12.1"];
    let build = |lock: &str, out: &str, more: &[&str]| {
        let build = ["build", "--lock", lock, "--out", out, "--format", "json"];
        let output = indexed.run(&[&build, &target[..], more].concat());
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        output.json()["digest"].clone()
    };
    let looked_up = build("requirements.txt", "one", &["--index-url", &index]);
    assert!(indexed.project.path().join("one/lib/python3.12/site-packages/vendored.py").is_file());
    let given = ["--index-url", &index, "--wheels", "vend"];
    assert_eq!(build("requirements.txt", "two", &given), looked_up);
    // A path is relative to the lock that has it.
    for out in ["pylock.toml", "vend/pylock.toml", "other/pylock.toml"] {
        std::fs::create_dir_all(indexed.project.path().join(out).parent().unwrap()).unwrap();
        let pin = ["lock", "pin", "requirements.txt", "--index-url", &index, "--out", out];
        let pinned = indexed.run(&pin);
        assert_eq!(pinned.code, 0, "{}", pinned.stderr);
        assert_eq!(build(out, &format!("of-{}", out.replace('/', "-")), &[]), looked_up);
    }
    let text = std::fs::read_to_string(indexed.project.path().join("pylock.toml")).unwrap();
    assert!(text.contains("path = \"vend/vendored-1.0-py3-none-any.whl\""), "{text}");
}

#[test]
fn what_no_index_has_is_an_error_with_its_line() {
    let indexed = Indexed::new();
    let gone = Hash::sha256(b"gone");
    let requirements =
        format!("{}three==3 --hash=sha256:{gone}\n", indexed.requirements().replace("1.0", "2.0"));
    indexed.project.write("requirements.txt", requirements);
    let index = indexed.index();
    let run = |index: &str| indexed.run(&["lock", "pin", "requirements.txt", "--index-url", index]);
    let pinned = run(&index);
    assert_eq!((pinned.code, pinned.stdout.as_str()), (3, ""), "{}", pinned.stderr);
    for expected in [
        "one-1.0-py3-none-any.whl, expected one 2.0".to_owned(),
        "W_Two-1.0-py3-none-any.whl, expected w-two 2.0".to_owned(),
        format!("requirements.txt:4: no index has a file of three 3 with sha256:{gone}"),
    ] {
        assert!(pinned.stderr.contains(&expected), "{expected}\n{}", pinned.stderr);
    }
    let denied = run(&index.replace("me:secret@", ""));
    assert_eq!(denied.code, 7, "{}", denied.stderr);
    assert!(
        denied.stderr.contains("401; there are no credentials for 127.0.0.1"),
        "{}",
        denied.stderr
    );
    let wrong = run("ftp://me:secret@index.example/simple");
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("secret"), "{}", wrong.stderr);
}

#[test]
fn an_index_stands_in_place_of_addresses() {
    // Its files are for whom it knows, too.
    let indexed = Indexed::guarding("/");
    indexed.project.write("requirements.txt", indexed.requirements());
    let index = indexed.index();
    let target = ["--target", "linux-x86_64-3.12.1", "--index-url", &index];
    let run = |arguments: &[&str], more: &[&str]| {
        let output = indexed.run(&[arguments, &target, more].concat());
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!said.contains("secret"), "{said}");
        output
    };
    let asked = || indexed.server.requests().len();
    let fetched = run(&["lock", "fetch", "requirements.txt", "--dest", "wheels"], &[]);
    assert_eq!(fetched.code, 0, "{}", fetched.stderr);
    assert_eq!(fetched.stdout, "one-1.0-py3-none-any.whl\nW_Two-1.0-py3-none-any.whl\n");
    // Two pages, one of them twice, and two files.
    assert_eq!(asked(), 5);
    let build = |lock: &str, out: &str, more: &[&str]| {
        run(&["build", "--lock", lock, "--out", out, "--format", "json"], more)
    };
    let made = build("requirements.txt", "env", &[]);
    assert_eq!((made.code, asked()), (0, 7), "{}", made.stderr);
    // Wheels that are here need no index.
    let given = build("requirements.txt", "given", &["--no-store", "--wheels", "wheels"]);
    assert_eq!((given.code, asked()), (0, 7), "{}", given.stderr);
    assert_eq!(given.json()["digest"], made.json()["digest"]);
    let offline = build("requirements.txt", "offline", &["--no-store", "--offline"]);
    assert_eq!(offline.code, 3, "{}", offline.stderr);
    assert!(offline.stdout.contains("has no addresses"), "{}", offline.stdout);

    // Addresses that lead nowhere are not asked where an index has the files.
    let mut pylock = "lock-version = \"1.0\"\ncreated-by = \"test\"\n".to_owned();
    for (name, hash) in ["one", "w-two"].iter().zip(&indexed.hashes) {
        let file = format!("{}-1.0-py3-none-any.whl", name.replace('-', "_"));
        pylock.push_str(&format!(
            "[[packages]]\nname = \"{name}\"\nversion = \"1.0\"\nwheels = [{{ url = \
             \"http://127.0.0.1:1/{file}\", hashes = {{ sha256 = \"{hash}\" }} }}]\n"
        ));
    }
    indexed.project.write("pylock.toml", &pylock);
    let moved = build("pylock.toml", "moved", &["--no-store"]);
    assert_eq!((moved.code, asked()), (0, 11), "{}{}", moved.stdout, moved.stderr);
    assert_eq!(moved.json()["digest"], made.json()["digest"]);

    // What no index has is fetched from where the lock says, and is said if it is not there.
    let gone = Hash::sha256(b"gone");
    let lost = pylock.replace(&indexed.hashes[0].to_hex(), &gone.to_hex());
    indexed.project.write("pylock.toml", lost);
    let lost = build("pylock.toml", "lost", &["--no-store", "--remote-retries", "0"]);
    assert_eq!(lost.code, 7, "{}", lost.stdout);
    for expected in [
        "no index has a file of one 1.0 with that hash",
        "http://127.0.0.1:1/one-1.0-py3-none-any.whl: ",
    ] {
        assert!(lost.stdout.contains(expected), "{expected}\n{}", lost.stdout);
    }
    let only = format!("one==1.0 --hash=sha256:{gone}\n");
    indexed.project.write("requirements.txt", only);
    let lost = build("requirements.txt", "lost", &[]);
    assert_eq!(lost.code, 3, "{}", lost.stdout);
    let expected = format!("requirements.txt:1: no index has a file of one 1.0 with sha256:{gone}");
    assert!(lost.stdout.contains(&expected), "{}", lost.stdout);
}
