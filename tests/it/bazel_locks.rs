//! Locks in real Bazels: `examples/monorepo`, with a server on loopback that counts what is fetched.
//!
//! No Python is on PATH while repositories are made: the lock is read by the tool.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use sha2::Digest as _;
use venvtree::model::digest::Hash;

use super::bazel::{
    AS_NEWER, Bazel, Version, alone, checkout, fresh, relocatable_python, tool, with_bazel,
};
use super::lock_fetch::encode;
use super::support::commands::{said, succeed};
use super::support::download::Download;
use super::support::http_cache::{HttpCache, HttpRequest};
use super::support::project::WheelText;

const WRONG: &str = "//more:wrong: @pypi//click:click was read for CPython 3.11, \
    linux-x86_64-glibc-2.28 (target `linux`); its interpreter //more:python312 is CPython 3.12.1, \
    linux-x86_64-glibc-2.36; name that in `targets`, or choose another `interpreter`";

/// What the server has, by file name.
type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;

const TARGETS: [&str; 2] = ["linux=3.11 linux-x86_64-glibc-2.28", "mac=3.11 macos-aarch64-14.0"];

/// Environments that share a wheel, one that is paired wrongly, and what some edits need.
const MORE: &str = r#"load("@pypi//:requirements.bzl", "requirement")
load("@venvtree//rules:defs.bzl", "py_venv", "py_venv_binary", "py_venv_test", "py_wheel", "venvtree_interpreter")

py_venv(name = "click_env", wheels = [requirement("Click")])
py_venv(name = "env", wheels = ["@pypi//flask"])
py_venv(name = "wrong", interpreter = ":python312", wheels = ["@pypi//click"])
venvtree_interpreter(name = "python312", path = "/usr/bin/python3.12", platform = "linux-x86_64-glibc-2.36", version = "3.12.1")
py_wheel(name = "supplied", srcs = ["itsdangerous.py"], distribution = "itsdangerous", version = "2.2.0", visibility = ["//visibility:public"])
py_wheel(name = "other", srcs = ["itsdangerous.py"], distribution = "itsdangerous", version = "2.3.0", visibility = ["//visibility:public"])
py_library(name = "templates", srcs = ["templates.py"], deps = ["@pypi//jinja2"], visibility = ["//visibility:public"])
py_library(name = "texts", deps = [":templates"])
py_venv_test(name = "texts_test", srcs = ["texts_test.py"], deps = [":texts"])
py_venv_test(name = "flask_test", srcs = ["flask_test.py"], deps = ["@pypi//flask"])
py_venv_binary(name = "lacking", srcs = ["texts_test.py"], venv = ":click_env", deps = [":texts"])
py_venv_binary(name = "wrong_own", srcs = ["texts_test.py"], interpreter = ":python312", deps = [":texts"])
py_venv(name = "texts_env", deps = [":texts"])
platform(name = "windows", constraint_values = ["@platforms//os:windows"])
"#;

/// The wheels of the example's lock for both targets, downloaded once.
fn wheelhouse() -> &'static Path {
    static WHEELHOUSE: OnceLock<PathBuf> = OnceLock::new();
    WHEELHOUSE.get_or_init(|| {
        let wheels = checkout().join(".cache/lock-wheels");
        let lock = checkout().join("examples/monorepo/uv.lock");
        let stamp = wheels.join("uv.lock");
        if fs::read(&stamp).ok() == fs::read(&lock).ok() {
            return wheels;
        }
        fs::create_dir_all(&wheels).unwrap();
        let index: Value = serde_json::from_str(&index(&lock)).unwrap();
        let glibc = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];
        for (target, platforms) in [("linux", &glibc[..]), ("mac", &["macosx_11_0_arm64"])] {
            let packages = index["packages"].as_object().unwrap().iter();
            let versions: Vec<String> = packages
                .filter_map(|(name, package)| {
                    let own = package.get(target).or_else(|| package.get("*"))?;
                    own["whl"].as_str()?;
                    Some(format!("{name}=={}", own["version"].as_str()?))
                })
                .collect();
            let what: Vec<&str> = versions.iter().map(String::as_str).collect();
            let platforms = platforms.iter().map(|&platform| platform.to_owned());
            assert!(Download::for_python("3.11").platforms(platforms).run(&what, &wheels));
        }
        fs::copy(&lock, &stamp).unwrap();
        wheels
    })
}

/// The files that a page has: blocks whose first line is a comment that names one.
fn files_of_page(page: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(checkout().join(page)).unwrap();
    let blocks = text.split("\n```").filter_map(|block| {
        let (language, body) = block.split_once('\n')?;
        ["starlark", "python"].contains(&language).then_some(body)
    });
    let files = blocks.filter_map(|body| {
        let (first, rest) = body.split_once('\n').unwrap_or((body, ""));
        let path = first.strip_prefix("# ")?;
        let is_path = !path.contains(' ') && (path.contains('.') || path == "WORKSPACE");
        is_path.then(|| (path.to_owned(), format!("{rest}\n")))
    });
    files.collect()
}

/// What the tool says of a lock.
fn index(lock: &Path) -> String {
    let targets = TARGETS.iter().flat_map(|target| ["--target", target]);
    succeed(Command::new(tool()).args(["lock", "index"]).arg(lock).args(targets))
}

/// Answers with a wheel, in the folder `private` only to those who say who they are.
fn answer(request: &HttpRequest, mut connection: &TcpStream, files: &Files) -> bool {
    let known = request.headers.iter().any(|header| header.0 == "authorization");
    let name = request.path.rsplit('/').next().unwrap_or_default();
    let (status, body) = match files.lock().unwrap().get(name) {
        Some(_) if request.path.starts_with("/private/") && !known => {
            ("401 Unauthorized", Vec::new())
        }
        Some(bytes) => ("200 OK", bytes.clone()),
        None => ("404 Not Found", Vec::new()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&body));
    true
}

/// The example in a Bazel, and the server that its lock names.
struct Monorepo {
    bazel: Bazel,
    version: Version,
    server: HttpCache,
    files: Files,
    repository_cache: PathBuf,
}

impl Monorepo {
    fn new(version: Version) -> Self {
        let monorepo = Self::with(version, Bazel::with_copy(version, "a", "examples/monorepo"));
        fs::create_dir_all(monorepo.bazel.workspace.join("more")).unwrap();
        monorepo.bazel.write("more/BUILD.bazel", MORE.as_bytes());
        for (file, text) in [
            ("itsdangerous.py", ""),
            ("templates.py", "import jinja2\nversion = jinja2.__version__\n"),
            ("texts_test.py", "import more.templates\nprint('jinja2', more.templates.version)\n"),
            ("flask_test.py", "from importlib.metadata import version\nversion('flask')\n"),
        ] {
            monorepo.bazel.write(&format!("more/{file}"), text.as_bytes());
        }
        // Not on PATH, where nothing is.
        let python = relocatable_python().join("bin/python3.11");
        monorepo.configure("\"python3.11\"", &format!("\"{}\"", python.display()));
        monorepo
    }

    /// The project of the page about locks, as that writes it, with the lock of the example: its
    /// libraries are called the same and require the same.
    fn of_page(version: Version) -> Self {
        let bazel = Bazel::empty(version, "a");
        let python = relocatable_python().join("bin/python3.11");
        for (path, text) in files_of_page("docs/locks.md") {
            // The interpreter that the lock of the example is for.
            let text = text
                .replace("\"python3.12\"", &format!("\"{}\"", python.display()))
                .replace("3.12", "3.11");
            fs::create_dir_all(bazel.workspace.join(&path).parent().unwrap()).unwrap();
            bazel.write(&path, text.as_bytes());
        }
        Self::with(version, bazel)
    }

    fn with(version: Version, bazel: Bazel) -> Self {
        let files = Files::default();
        for entry in fs::read_dir(wheelhouse()).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.lock().unwrap().insert(name, fs::read(entry.path()).unwrap());
        }
        let served = Arc::clone(&files);
        let server =
            HttpCache::start_with(move |request, connection| answer(request, connection, &served));
        let repository_cache = fresh("repository-cache");
        let monorepo = Self { bazel, version, server, files, repository_cache };
        let _ = fs::remove_file(monorepo.bazel.home.join(".netrc"));
        monorepo.serve_from("origin");
        monorepo
    }

    /// Edits MODULE.bazel or WORKSPACE.
    fn configure(&self, from: &str, to: &str) {
        let file = if self.version == Version::SevenModules { "MODULE.bazel" } else { "WORKSPACE" };
        let found = self.bazel.read(file);
        assert!(found.contains(from), "{file} has no `{from}`: {found}");
        self.bazel.write(file, found.replace(from, to).as_bytes());
    }

    /// The example's lock, as an index would have written it whose files are in a folder of the
    /// server.
    fn lock(&self, folder: &str) -> String {
        let address = format!("http://{}/{folder}/", self.server.authority());
        let lock = fs::read_to_string(checkout().join("examples/monorepo/uv.lock")).unwrap();
        lock.replace("https://files.example/", &address)
    }

    fn serve_from(&self, folder: &str) {
        self.bazel.write("uv.lock", self.lock(folder).as_bytes());
    }

    /// Writes a lock with another itsdangerous.
    fn lock_with(&self, folder: &str, version: &str, files: &str) {
        let lock = self.lock(folder);
        let packages: Vec<String> = lock
            .split("[[package]]\n")
            .map(|package| {
                if !package.starts_with("name = \"itsdangerous\"") {
                    return package.to_owned();
                }
                format!(
                    "name = \"itsdangerous\"\nversion = \"{version}\"\n\
                     source = {{ registry = \"https://index.example/simple\" }}\n{files}\n\n"
                )
            })
            .collect();
        self.bazel.write("uv.lock", packages.join("[[package]]\n").as_bytes());
    }

    /// Serves another itsdangerous in the folder `changed`, and writes a lock that has it, with this
    /// hash of it.
    fn lock_with_wheel(&self, wheel: &WheelText, hash: impl FnOnce(&[u8]) -> String) {
        let (bytes, name) = (wheel.pack(), wheel.file_name());
        let address = format!("http://{}/changed/{name}", self.server.authority());
        let entry = format!("wheels = [{{ url = \"{address}\", hash = \"{}\" }}]", hash(&bytes));
        self.files.lock().unwrap().insert(name.clone(), bytes);
        self.lock_with("origin", name.split('-').nth(1).expect("a version"), &entry);
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let cache = format!("--repository_cache={}", self.repository_cache.display());
        let flags = ["--repo_env=PATH=/nowhere", &cache];
        self.bazel.bazel(command, &[&flags, arguments].concat())
    }

    fn succeed(&self, command: &str, arguments: &[&str]) -> String {
        self.bazel.succeeded(self.run(command, arguments), command, arguments)
    }

    fn refused(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.run("build", arguments);
        let found = said(&output);
        assert!(!output.status.success(), "{:?}: {arguments:?} is built:\n{found}", self.version);
        for part in parts {
            assert!(found.contains(part), "{:?}: no `{part}` in:\n{found}", self.version);
        }
    }

    /// The names of the distributions that were fetched from a folder.
    fn fetched(&self, folder: &str) -> Vec<String> {
        let requests = self.server.requests.lock().unwrap();
        let mut names: Vec<String> = requests
            .iter()
            .filter(|request| request.path.starts_with(&format!("/{folder}/")))
            .map(|request| request.path.rsplit('/').next().unwrap())
            .map(|name| name.split('-').next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

const FLASK: [&str; 7] =
    ["blinker", "click", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug"];

/// The variable with which wheels are not fetched.
const NO_WHEELS: &str = "--repo_env=VENVTREE_FETCH_WHEELS=no";

/// Queries and analysis need labels only, also to refuse something.
fn asks_without_fetching(monorepo: &Monorepo) {
    let labels = monorepo.succeed("query", &[NO_WHEELS, "deps(//more:env)"]);
    for hash in ["markupsafe_6da83a088f8e", "markupsafe_7d3391b2188d"] {
        assert!(labels.contains(hash), "{labels}");
    }
    // Through requirements of packages and through libraries of any rules.
    let universe = "//apps/... + //envs/... + //more:all - //more:flask_test - //more:texts_test";
    for (package, label, uses) in [
        ("click", "//more:click_env", true),
        ("click", "//more:env", true),
        ("click", "//apps:serve", true),
        ("click", "//more:texts_env", false),
        ("markupsafe", "//more:texts_env", true),
        ("markupsafe", "//more:click_env", false),
        ("markupsafe", "//apps:greet", false),
    ] {
        let users = format!("rdeps({universe}, @pypi//{package})");
        let labels = monorepo.succeed("query", &[NO_WHEELS, &users]);
        assert_eq!(labels.lines().any(|line| line == label), uses, "{label} {package}: {labels}");
    }
    monorepo.succeed("build", &[NO_WHEELS, "--nobuild", "//envs/...", "//more:env"]);
    monorepo.refused(&[NO_WHEELS, "--nobuild", "//more:wrong"], &[WRONG]);
    monorepo.refused(
        &[NO_WHEELS, "--nobuild", "//more:wrong_own"],
        &["//more:wrong_own: the lock `pypi` was read for CPython 3.11, "],
    );
    monorepo.refused(
        &[NO_WHEELS, "--nobuild", "//more:lacking"],
        &[
            "//more:lacking: its environment //more:click_env lacks wheels:\n  \
             //more:templates needs @pypi//jinja2:jinja2 and so jinja2-3.1.6-py3-none-any.whl, markupsafe-3",
            "add @pypi//jinja2:jinja2 to the `wheels` of //more:click_env, or name no `venv`",
        ],
    );
    monorepo.refused(&[NO_WHEELS, "//more:click_env"], &["click-8.5.1-py3-none-any.whl"]);
    assert_eq!(monorepo.fetched("origin"), [""; 0]);
}

/// Each wheel once, when something needs it.
fn fetches_what_is_needed(monorepo: &Monorepo) {
    let labels = monorepo.succeed("query", &["@pypi//..."]);
    for label in ["//flask:flask", "//flask:whl", "//:all", "//:group_test", "//pages:pages"] {
        assert!(labels.contains(label), "{labels}");
    }
    assert_eq!(monorepo.fetched("origin"), [""; 0]);
    monorepo.succeed("build", &["//more:click_env"]);
    assert_eq!(monorepo.fetched("origin"), ["click"]);
    monorepo.succeed("build", &["//more:env"]);
    monorepo.succeed("cquery", &["deps(//more:env)"]);
    assert_eq!(monorepo.fetched("origin"), FLASK);
    monorepo.succeed("build", &["//more:env", "--platforms=//:mac"]);
    assert_eq!(monorepo.fetched("origin").len(), 8);
    let mac = fs::read(monorepo.bazel.workspace.join("bazel-bin/more/env.spec.json")).unwrap();
    let spec: Value = serde_json::from_slice(&mac).unwrap();
    let wheels = spec["wheels"].to_string();
    assert!(wheels.contains("markupsafe-3.0.4-cp311-cp311-macosx_11_0_arm64.whl"), "{wheels}");
    // A query knows no platform: it sees the wheels of all.
    let labels = monorepo.succeed("query", &["deps(//more:env)"]);
    for hash in ["markupsafe_6da83a088f8e", "markupsafe_7d3391b2188d"] {
        assert!(labels.contains(hash), "{labels}");
    }
    assert_eq!(monorepo.fetched("origin").len(), 8);
}

/// Bazel's own places for downloads, its configuration of the downloader, and netrc.
fn uses_bazels_downloader(monorepo: &mut Monorepo) {
    let flask = "@pypi//flask";
    monorepo.serve_from("cached");
    monorepo.succeed("build", &[flask]);
    assert_eq!(monorepo.fetched("cached"), [""; 0]);

    monorepo.repository_cache = fresh("repository-cache");
    monorepo.serve_from("distributed");
    let folder = format!("--distdir={}", wheelhouse().display());
    monorepo.succeed("build", &[flask, &folder]);
    assert_eq!(monorepo.fetched("distributed"), [""; 0]);

    monorepo.repository_cache = fresh("repository-cache");
    monorepo.serve_from("far");
    let server = monorepo.server.authority();
    let configuration = format!("rewrite {server}/far/(.*) {server}/near/$1\n");
    monorepo.bazel.write("downloader.cfg", configuration.as_bytes());
    let file = monorepo.bazel.workspace.join("downloader.cfg");
    let option = format!("--experimental_downloader_config={}", file.display());
    monorepo.succeed("build", &[flask, &option]);
    assert_eq!((monorepo.fetched("far"), monorepo.fetched("near")), (Vec::new(), owned(&FLASK)));

    monorepo.repository_cache = fresh("repository-cache");
    monorepo.serve_from("private");
    let netrc = "machine 127.0.0.1 login me password secret\n";
    fs::write(monorepo.bazel.home.join(".netrc"), netrc).unwrap();
    monorepo.succeed("build", &["@pypi//click"]);
    assert_eq!(monorepo.fetched("private"), ["click"]);
    fs::remove_file(monorepo.bazel.home.join(".netrc")).unwrap();
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Programs that name no environment have one of the wheels that their code needs.
fn finds_wheels_along_dependencies(monorepo: &Monorepo) {
    let tests = ["//more:texts_test", "//more:flask_test", "--test_output=errors"];
    monorepo.succeed("test", &tests);
    let spec = monorepo.bazel.read("bazel-bin/more/texts_test.spec.json");
    let spec: Value = serde_json::from_str(&spec).unwrap();
    let wheels: Vec<&str> =
        spec["wheels"].as_array().unwrap().iter().filter_map(|it| it["path"].as_str()).collect();
    assert_eq!((wheels.len(), wheels[0]), (2, "jinja2-3.1.6-py3-none-any.whl"));
    let manifest = monorepo.bazel.read("bazel-bin/more/texts_test.runfiles/MANIFEST");
    assert!(!manifest.contains(".whl"), "{manifest}");
    let program = "import more.templates; print('found', more.templates.version)";
    let output = monorepo.succeed("run", &["//more:texts_env", "--", "-c", program]);
    assert!(output.contains("found 3.1.6"), "{output}");
}

/// A change of one package fetches one wheel, and rebuilds what has it.
fn follows_the_lock(monorepo: &Monorepo) {
    let environments = ["//envs:web", "//envs:commands"];
    let cache = format!("--repository_cache={}", monorepo.repository_cache.display());
    let flags = ["--repo_env=PATH=/nowhere", cache.as_str()];
    let count = || {
        let counts = monorepo.bazel.executed("build", &[&flags[..], &environments].concat());
        counts.into_iter().filter(|(mnemonic, _)| mnemonic == "PyVenv").collect::<BTreeMap<_, _>>()
    };
    let tests = ["//more:texts_test", "//more:flask_test"];
    let run = |flag| monorepo.bazel.executed("test", &[&flags[..], &tests, &[flag]].concat());
    monorepo.serve_from("origin");
    count();
    let both = run("--nocache_test_results")["TestRunner"];
    let before = monorepo.fetched("origin").len();
    let wheel = WheelText::new("itsdangerous", "2.2.1").file("itsdangerous.py", "");
    monorepo.lock_with_wheel(&wheel, |bytes| format!("sha256:{}", Hash::sha256(bytes)));
    assert_eq!(count(), BTreeMap::from([("PyVenv".to_owned(), 1)]));
    // Only the tests whose code needs it run again.
    let counts = run("--cache_test_results");
    assert_eq!((counts["PyVenv"], counts["TestRunner"]), (1, both / 2), "{counts:?}");
    assert_eq!(monorepo.fetched("changed"), ["itsdangerous"]);
    assert_eq!(monorepo.fetched("origin").len(), before);
}

/// A lock that has no SHA-256 of a wheel: Bazel compares what it fetches with the SHA-512.
fn compares_other_hashes(monorepo: &mut Monorepo) {
    monorepo.repository_cache = fresh("repository-cache");
    let sha512 = |bytes: &[u8]| format!("sha512:{}", encode(&sha2::Sha512::digest(bytes)));
    let right = WheelText::new("itsdangerous", "2.2.2").file("itsdangerous.py", "X = 2\n");
    monorepo.lock_with_wheel(&right, sha512);
    let json: Value =
        serde_json::from_str(&index(&monorepo.bazel.workspace.join("uv.lock"))).unwrap();
    let files = json["files"].as_object().unwrap();
    let file = files.values().find(|file| file["name"] == right.file_name().as_str()).unwrap();
    assert!(file["integrity"].as_str().unwrap().starts_with("sha512-"), "{file}");
    assert_eq!(file.get("sha256"), None);
    let before = monorepo.fetched("changed").len();
    monorepo.succeed("build", &["//more:env"]);
    assert_eq!(monorepo.fetched("changed").len(), before + 1);
    let installed = "bazel-bin/more/env.venv/lib/python3.11/site-packages/itsdangerous.py";
    assert_eq!(monorepo.bazel.read(installed), "X = 2\n");
    let wrong = WheelText::new("itsdangerous", "2.2.3").file("itsdangerous.py", "X = 3\n");
    monorepo.lock_with_wheel(&wrong, |bytes| sha512(&bytes[1..]));
    monorepo.refused(&["//more:env"], &["itsdangerous-2.2.3-py3-none-any.whl", "hecksum was "]);
}

/// What cannot be used is said when it is used, and then what to do.
fn refuses(monorepo: &Monorepo) {
    let sdist = "sdist = { url = \"https://files.example/itsdangerous-2.2.0.tar.gz\" }";
    monorepo.lock_with("origin", "2.2.0", sdist);
    monorepo.succeed("build", &["//more:click_env", "@pypi//..."]);
    monorepo.refused(
        &["//more:env"],
        &[
            "@pypi//flask:flask cannot be used for the target `linux`:\n  itsdangerous 2.2.0: ",
            "give its label with `supply`",
        ],
    );
    monorepo.configure(
        "lock = \"//:uv.lock\",",
        "lock = \"//:uv.lock\", supply = {\"itsdangerous\": \"//more:other\"},",
    );
    let other = "the lock `pypi`: `supply` has //more:other for `itsdangerous`, which yields \
        itsdangerous-2.3.0-py3-none-any.whl; expected a wheel of itsdangerous 2.2.0";
    monorepo.refused(&["//more:env"], &[other]);
    monorepo.configure("//more:other", "//more:templates");
    let none = "`supply` has //more:templates for `itsdangerous`, which yields no wheel";
    monorepo.refused(&["//more:env"], &[none]);
    monorepo.configure("//more:templates", "//more:supplied");
    monorepo.succeed("build", &["//more:env"]);
    let inputs = monorepo.bazel.read("bazel-bin/more/env.spec.json");
    assert!(inputs.contains("itsdangerous-2.2.0-py3-none-any.whl"), "{inputs}");
    monorepo.refused(&["//more:wrong"], &[WRONG]);
    for (flag, part) in [
        ("python=3.13", "//more:env: `--@venvtree//rules:python` is `3.13`, and its interpreter "),
        ("libc=muscle", "`--@venvtree//rules:libc` is `muscle`; expected `glibc` or `musl`"),
    ] {
        monorepo.refused(&["//more:env", &format!("--@venvtree//rules:{flag}")], &[part]);
    }
    monorepo.refused(
        &["//more:click_env", "--platforms=//more:windows"],
        &["the lock `pypi` was read for linux, mac; none is what this build is for"],
    );
    monorepo.bazel.write("uv.lock", b"version = 9\n");
    monorepo.refused(&["@pypi//click"], &["@pypi: ", "uv.lock cannot be read:\nerror: "]);
    monorepo.configure("supply = {\"itsdangerous\": \"//more:supplied\"},", "");
}

/// What the tool would print, printed before: then it is not needed for loading.
fn reads_an_index(monorepo: &mut Monorepo) {
    monorepo.repository_cache = fresh("repository-cache");
    monorepo.serve_from("indexed");
    let json = index(&monorepo.bazel.workspace.join("uv.lock"));
    monorepo.bazel.write("pypi.json", json.as_bytes());
    monorepo.bazel.write("uv.lock", b"not read");
    let file = if monorepo.version == Version::SevenModules { "MODULE.bazel" } else { "WORKSPACE" };
    let found = monorepo.bazel.read(file);
    let targets = &found[found.find("    targets = {").unwrap()..];
    let targets = targets[..=targets.find("    },\n").unwrap() + "    },".len()].to_owned();
    monorepo.configure(&targets, "");
    monorepo.configure("lock = \"//:uv.lock\",", "index = \"//:pypi.json\",");
    monorepo.succeed("build", &["@pypi//flask:whl"]);
    assert_eq!(monorepo.fetched("indexed"), ["flask"]);
}

/// The wheels of a lock are compiled once for all environments, those of tests' own closures too.
fn compiles_each_wheel_once(monorepo: &Monorepo) {
    let cache = format!("--repository_cache={}", monorepo.repository_cache.display());
    let flags = ["--repo_env=PATH=/nowhere", &cache, "--@venvtree//rules:bytecode=checked"];
    let executed = |targets: &[&str]| {
        let counts = monorepo.bazel.executed("build", &[&flags, targets].concat());
        ["PyBytecode", "PyVenv"].map(|name| counts.get(name).copied().unwrap_or(0))
    };
    assert_eq!(executed(&["//more:env"]), [FLASK.len(), 1]);
    let others = ["//more:click_env", "//more:texts_test", "//more:flask_test"];
    assert_eq!(executed(&others), [0, 3]);
}

fn locks(version: Version) {
    let _alone = alone();
    let mut monorepo = Monorepo::new(version);
    asks_without_fetching(&monorepo);
    fetches_what_is_needed(&monorepo);
    let file = monorepo.bazel.workspace.join("MODULE.bazel.lock");
    let before = fs::read(&file).ok();
    // From the lock to green tests.
    monorepo.succeed("test", &["//libs/...", "--test_output=errors"]);
    for (arguments, said) in [
        (["//apps:greet", "--", "Ada"], "Hello, Ada!\n"),
        (["//apps:count", "--", "a b"], "2\n"),
        (["//apps:page", "--", "Grace"], "<p>Hello, Grace!</p>\n"),
    ] {
        let output = monorepo.succeed("run", &arguments);
        assert!(output.contains(said), "{output}");
    }
    if version == Version::SevenModules {
        let targets = ["//libs/...", "//apps/...", "//envs/...", "--test_output=errors"];
        monorepo.succeed("test", &[AS_NEWER, &targets].concat());
    }
    finds_wheels_along_dependencies(&monorepo);
    compiles_each_wheel_once(&monorepo);
    uses_bazels_downloader(&mut monorepo);
    follows_the_lock(&monorepo);
    compares_other_hashes(&mut monorepo);
    refuses(&monorepo);
    reads_an_index(&mut monorepo);
    // Nothing of a lock is kept where Bazel keeps what extensions found out.
    assert_eq!(fs::read(&file).ok(), before);
    if version == Version::SevenModules {
        let kept = String::from_utf8(before.expect("MODULE.bazel.lock")).unwrap();
        assert!(!kept.contains("locks") && !kept.contains("venvtree_whl"), "{kept}");
    }
}

with_bazel!(locks { bazel_4_builds_from_a_lock: Four, bazel_7_builds_from_a_lock: SevenModules });

/// What `docs/locks.md` says, and nothing else, makes a project from a lock.
fn page(version: Version) {
    let _alone = alone();
    let monorepo = Monorepo::of_page(version);
    let all = ["//...", "--test_output=errors"];
    let cache = format!("--repository_cache={}", monorepo.repository_cache.display());
    let flags = ["--repo_env=PATH=/nowhere", cache.as_str()];
    let executed = || monorepo.bazel.executed("test", &[&flags[..], &all].concat());
    // Whatever was built in this output base before.
    monorepo.bazel.succeed("clean", &[]);
    let first = executed();
    assert_eq!(first["PyVenv"], 3, "{first:?}");
    for (program, said) in [
        ("greet", "Hello, Ada!\n"),
        ("page", "<p>Hello, Ada!</p>"),
        ("alone", "<p>Hello, Ada!</p>"),
    ] {
        let output = monorepo.succeed("run", &[&format!("//apps:{program}"), "--", "Ada"]);
        assert!(output.contains(said), "{output}");
    }
    monorepo.succeed("build", &["//:web", "--platforms=//:mac"]);
    let library = "bazel-bin/web.venv/lib/python3.11/site-packages/markupsafe";
    let listing = monorepo.bazel.workspace.join(library).read_dir().unwrap();
    let names: Vec<String> =
        listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name.ends_with("-darwin.so")), "{names:?}");
    executed();

    let before = monorepo.fetched("origin").len();
    let module = "class BadSignature(Exception): pass\nclass BadTimeSignature(BadSignature): pass\n\
        class URLSafeTimedSerializer: pass\n";
    let wheel = WheelText::new("itsdangerous", "2.2.4").file("itsdangerous.py", module);
    monorepo.lock_with_wheel(&wheel, |bytes| format!("sha256:{}", Hash::sha256(bytes)));
    let counts = executed();
    assert_eq!(counts["PyVenv"], 2, "{counts:?}");
    assert_eq!(counts["TestRunner"], first["TestRunner"] / 3, "{counts:?}");
    assert_eq!(monorepo.fetched("changed"), ["itsdangerous"]);
    assert_eq!(monorepo.fetched("origin").len(), before);
}

with_bazel!(page {
    bazel_4_does_what_the_page_says: Four,
    bazel_7_does_what_the_page_says: SevenModules
});
