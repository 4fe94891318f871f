//! The rules with a real Buck2, where there is one: `examples/buck2`, and what
//! `tests/buck2/project` adds to it.
//!
//! No registry has Buck2, so this is the one peer whose absence fails nothing: the tests then say
//! that they did not run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::commands::{said, succeed};
use crate::support::download::locked_wheels;
use crate::support::project::{Project, WheelText};

use super::bazel::{
    Bazel, REFUSED, Version, alone, buildgrid, check_made_by_reference, check_refused, checkout,
    copy, corrupt_wheel, last_json, relocatable_python, tool, work,
};

/// Where Buck2 is, or `None`, after saying so.
fn buck2(test: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&folders)
        .map(|folder| folder.join("buck2"))
        .find(|program| program.is_file());
    if program.is_none() {
        // Past the test harness, which keeps to itself what a passing test prints.
        let _ = writeln!(std::io::stderr(), "NOT RUN: {test}, because there is no `buck2` on PATH");
    }
    program
}

/// The wheels of the example's requirements, downloaded once.
fn wheelhouse() -> PathBuf {
    locked_wheels("python3.11", "examples/buck2/requirements.txt", "buck2-wheels")
}

/// Copies what is called `.whl`.
fn copy_wheels(to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(wheelhouse()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// A checkout of the example, with venvtree in it and a daemon of its own, as on one machine.
struct Buck {
    program: PathBuf,
    project: PathBuf,
    home: PathBuf,
}

impl Buck {
    /// A fresh checkout at a place with this name; `config` is for its `.buckconfig.local`.
    fn new(program: &Path, name: &str, config: &str) -> Self {
        let directory = work().join("buck2").join(name);
        let buck = Self {
            program: program.to_owned(),
            project: directory.join("project"),
            home: directory.join("home"),
        };
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&buck.home).unwrap();
        copy(&checkout().join("examples/buck2"), &buck.project);
        for leftover in ["wheels", "buck-out"] {
            let _ = fs::remove_dir_all(buck.project.join(leftover));
        }
        copy_wheels(&buck.project.join("wheels"));
        copy(&checkout().join("rules"), &buck.project.join("venvtree/rules"));
        fs::copy(checkout().join(".buckconfig"), buck.project.join("venvtree/.buckconfig"))
            .unwrap();
        buck.write(
            ".buckconfig.local",
            &format!("[venvtree]\ntool = {}\n{config}", tool().display()),
        );
        buck
    }

    /// With what the tests add to the example.
    fn with_more(self) -> Self {
        copy(&checkout().join("tests/buck2/project"), &self.project);
        fs::write(self.project.join("bad/corrupt-1-py3-none-any.whl"), corrupt_wheel()).unwrap();
        copy_python(relocatable_python(), &self.project.join("more/python"));
        self
    }

    fn write(&self, path: &str, contents: &str) {
        fs::write(self.project.join(path), contents).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.project.join(path)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.project)
            .env("HOME", &self.home)
            .stdin(Stdio::null());
        for variable in ["PYTHONPATH", "VIRTUAL_ENV", "RUST_BACKTRACE", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command.output().expect("buck2 starts")
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "buck2 {arguments:?}:\n{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Builds a target; where its output is.
    fn output_of(&self, target: &str) -> PathBuf {
        let line = self.succeed(&["build", target, "--show-output", "--console=none"]);
        let path = line
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| panic!("{target} has no output: {line}"))
            .1;
        self.project.join(path)
    }

    /// What the last command ran, and did not take from a cache, by category.
    fn executed(&self) -> BTreeMap<String, usize> {
        self.what_ran().into_iter().filter(|(executor, _)| executor != "Cache").fold(
            BTreeMap::new(),
            |mut counts, (_, category)| {
                *counts.entry(category).or_default() += 1;
                counts
            },
        )
    }

    /// Executor and category of each of the last command's actions; tests have the category
    /// `test.run`.
    fn what_ran(&self) -> Vec<(String, String)> {
        let lines = self.succeed(&["log", "what-ran", "--format", "json"]);
        lines
            .lines()
            .map(|line| {
                let entry: Value = serde_json::from_str(line).unwrap();
                let executor = entry["reproducer"]["executor"]
                    .as_str()
                    .unwrap_or_else(|| panic!("no executor in {line}"));
                if entry["reason"] != "build" {
                    return (executor.to_owned(), entry["reason"].as_str().unwrap().to_owned());
                }
                // `root//:env (configuration) (category identifier)`
                let identity = entry["identity"].as_str().unwrap();
                let category = identity.rsplit_once('(').unwrap().1.trim_end_matches(')');
                (executor.to_owned(), category.split(' ').next().unwrap().to_owned())
            })
            .collect()
    }
}

impl Drop for Buck {
    fn drop(&mut self) {
        let _ = self.command(&["kill"]);
    }
}

/// What a CPython needs to start and to run our programs.
fn copy_python(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("bin")).unwrap();
    fs::copy(from.join("bin/python3.11"), to.join("bin/python3.11")).unwrap();
    let left_out = [
        "__pycache__",
        "site-packages",
        "test",
        "tests",
        "idlelib",
        "lib2to3",
        "ensurepip",
        "tkinter",
        "turtledemo",
    ];
    let library = Path::new("lib/python3.11");
    let mut directories = vec![library.to_owned()];
    while let Some(directory) = directories.pop() {
        fs::create_dir_all(to.join(&directory)).unwrap();
        for entry in fs::read_dir(from.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = directory.join(&name);
            if left_out.contains(&name.as_str()) || name.starts_with("config-") {
                continue;
            } else if entry.file_type().unwrap().is_dir() {
                directories.push(path);
            } else {
                fs::copy(entry.path(), to.join(&path)).unwrap();
            }
        }
    }
    for entry in fs::read_dir(from.join("lib")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("libpython") {
            fs::copy(entry.path(), to.join("lib").join(entry.file_name())).unwrap();
        }
    }
}

/// Runs a file that a build made.
fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .env_remove("PYTHONPATH")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The root digest that the tool gives, by the spec and the wheels, and of the directory that it
/// builds.
fn digests_without_buck(buck: &Buck, environment: &str) -> [String; 2] {
    let spec = buck.output_of(&format!("{environment}[spec]"));
    let inputs: Vec<String> = fs::read_dir(buck.project.join("wheels"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|wheel| {
            format!("--input={}={}", wheel.file_name().unwrap().to_string_lossy(), wheel.display())
        })
        .collect();
    let digest = |arguments: &[&str], inputs: &[String]| {
        let output = Command::new(tool()).args(arguments).args(inputs).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let spec = spec.to_str().unwrap();
    let out = buck.home.join("built");
    let out = out.to_str().unwrap();
    digest(&["build", spec, "--no-store", "--out", out], &inputs);
    [digest(&["digest", spec], &inputs), digest(&["digest", out], &[])]
}

#[test]
fn the_example_builds_runs_and_tests() {
    let Some(program) = buck2("the_example_builds_runs_and_tests") else {
        return;
    };
    let _alone = alone();
    let buck = Buck::new(&program, "first", "");
    let tested = buck.command(&["test", "//..."]);
    assert!(tested.status.success() && said(&tested).contains("Pass 1"), "{}", said(&tested));
    assert_eq!(buck.executed().get("py_venv"), Some(&1));
    assert_eq!(buck.succeed(&["run", "//app:app", "--", "Ada"]), "Hello, Ada!\n");
    assert_eq!(
        buck.succeed(&[
            "run",
            "//:env",
            "--",
            "-c",
            "import numpy, sys; print(numpy.arange(5).sum(), sys.argv[1:])",
            "a b"
        ]),
        "10 ['a b']\n"
    );

    // Straight from where Buck2 made them.
    let tree = buck.output_of("//:env");
    assert!(run(&tree.join("bin/flask"), &["--version"]).contains("Flask 3"));
    assert_eq!(run(&buck.output_of("//app:app"), &["Grace"]), "Hello, Grace!\n");
    let listing =
        Command::new("tar").arg("-tf").arg(buck.output_of("//app:image")).output().unwrap();
    let listing = said(&listing);
    assert!(
        listing.contains("/site-packages/greeting/greeting.py\n")
            && listing.contains("opt/app/bin/flask\n"),
        "{listing}"
    );
    let manifest: Value =
        serde_json::from_slice(&fs::read(buck.output_of("//:env[manifest]")).unwrap()).unwrap();
    let digest = fs::read_to_string(buck.output_of("//:env[digest]")).unwrap();
    assert_eq!(manifest["header"]["root"], digest.trim());
    let spec = fs::read_to_string(buck.output_of("//:env[spec]")).unwrap();
    assert!(!spec.contains("buck-out") && !spec.contains(buck.project.to_str().unwrap()), "{spec}");

    // What an edit reruns: the test, and no action.
    buck.write(
        "greeting/greeting.py",
        &buck.read("greeting/greeting.py").replace("Hello", "Good day"),
    );
    let failed = buck.command(&["test", "//..."]);
    assert!(!failed.status.success() && said(&failed).contains("Good day"), "{}", said(&failed));
    assert_eq!(buck.executed().into_keys().collect::<Vec<_>>(), ["test.run"]);
    assert_eq!(buck.succeed(&["run", "//app:app", "--", "Ada"]), "Good day, Ada!\n");
    assert_eq!(buck.executed(), BTreeMap::new());

    // One digest, whoever makes the tree.
    assert_eq!(digests_without_buck(&buck, "//:env"), [digest.trim(), digest.trim()]);
    let bazel = Bazel::new(Version::Seven, "a");
    copy_wheels(&bazel.workspace.join("same"));
    bazel.write("same/BUILD.bazel", BAZEL.as_bytes());
    bazel.succeed("build", &["//same:env", "--output_groups=+digest"]);
    assert_eq!(bazel.read("bazel-bin/same/env.digest"), digest);
}

/// The example's environment as docs/buck2-and-bazel.md has it for Bazel.
const BAZEL: &str = r#"load("@venvtree//rules:defs.bzl", "py_venv", "venvtree_interpreter")

venvtree_interpreter(
    name = "python",
    path = "/usr/bin/python3.11",
    platform = "linux-x86_64-glibc-2.36",
    version = "3.11.2",
)

py_venv(
    name = "env",
    interpreter = ":python",
    wheels = glob(["*.whl"]),
)
"#;

#[test]
fn rules_do_what_they_say() {
    let Some(program) = buck2("rules_do_what_they_say") else {
        return;
    };
    let _alone = alone();
    let buck = Buck::new(&program, "more", "").with_more();
    let tested = buck.command(&["test", "//more/..."]);
    assert!(tested.status.success() && said(&tested).contains("Pass 1"), "{}", said(&tested));
    buck.succeed(&["build", "//more/..."]);

    let found = last_json(&buck.succeed(&["run", "//more:probe", "--", "a", "b c"]));
    assert_eq!(found["argv"], serde_json::json!(["a", "b c"]));
    assert_eq!(found["quote"], "it's \"quoted\" $HOME");
    assert_eq!(found["values"].as_array().unwrap()[..3], ["first party 1", "data 1", "alpha 1"]);
    let path: Vec<&str> =
        found["path"].as_array().unwrap().iter().map(|entry| entry.as_str().unwrap()).collect();
    assert!(
        path[0].ends_with("/first_party") && path.last().unwrap().ends_with("/first_party/more"),
        "{path:?}"
    );

    // Through a link too, and with an interpreter of the project or of the build.
    let link = buck.home.join("link");
    std::os::unix::fs::symlink(buck.output_of("//more:probe"), &link).unwrap();
    assert_eq!(last_json(&run(&link, &[]))["argv"], serde_json::json!([]));
    for target in ["//more:inside", "//more:made"] {
        let found = last_json(&run(&buck.output_of(target), &[]));
        assert!(
            Path::new(found["base"].as_str().unwrap())
                .canonicalize()
                .unwrap()
                .starts_with(&buck.project),
            "{found}"
        );
    }

    assert_eq!(buck.succeed(&["run", "//more:module", "--", "x", "y z"]), "alpha 1 ['x', 'y z']\n");
    assert_eq!(buck.succeed(&["run", "//more:script"]), "alpha 1\n");
    let wheel_env = buck.output_of("//more:wheel_env");
    assert_eq!(
        run(
            &wheel_env.join("bin/python"),
            &["-c", "import more.first_party; print(more.first_party.DATA)"]
        ),
        "data 1\n"
    );

    #[cfg(feature = "remote")]
    wheels_are_fetched(&buck);

    // Layers see no more than what is in them, and documents are made for who asks.
    for (target, end) in [
        ("//more:layers[alpha]", "alpha.tar.gz"),
        ("//more:layers[environment]", "environment.tar.gz"),
        ("//more:layers[sources]", "sources.tar.gz"),
        ("//more:image", "image"),
        ("//more:inside_layers[interpreter]", "interpreter.tar.gz"),
        ("//more:inside_image", "image"),
        ("//more:inside_archive", "inside_archive.tar"),
        ("//more:env[provenance]", "env.intoto.json"),
    ] {
        let output = buck.output_of(target);
        assert!(output.ends_with(end) && output.exists(), "{}", output.display());
    }
    assert!(buck.output_of("//more:image").join("oci-layout").exists());
    buck.succeed(&["build", "//more:env[sbom]"]);

    // Another configuration of the target is the same action.
    buck.succeed(&["build", "//more:env", "--target-platforms=//more:other"]);
    assert_eq!(buck.what_ran(), []);

    errors_are_readable(&buck);
}

/// A wheel that an `http_file` brings.
#[cfg(feature = "remote")]
fn wheels_are_fetched(buck: &Buck) {
    let name = "click-8.5.1-py3-none-any.whl";
    let bytes = fs::read(buck.project.join("wheels").join(name)).unwrap();
    let server = super::support::http_cache::HttpCache::start();
    let build = format!(
        "load(\"@venvtree//rules/buck2:defs.bzl\", \"py_venv\")\nhttp_file(name = \"click\", out = \"{name}\", sha256 = \"{}\", urls = \
         [\"{}/{name}\"])\npy_venv(name = \"env\", wheels = [\":click\"])\n",
        venvtree::model::digest::Hash::sha256(&bytes),
        server.url()
    );
    server.entries.lock().unwrap().insert(format!("/prefix/{name}"), bytes);
    fs::create_dir_all(buck.project.join("fetched")).unwrap();
    buck.write("fetched/BUCK", &build);
    assert_eq!(
        buck.succeed(&["run", "//fetched:env", "--", "-c", "import click; print(click.__name__)"]),
        "click\n"
    );
}

fn errors_are_readable(buck: &Buck) {
    let expect = |target: &str, parts: &[&str]| {
        check_refused(target, &buck.command(&["build", target]), parts);
    };
    for (target, parts) in REFUSED {
        expect(target, parts);
    }
    expect("//bad:nowhere", &["//bad:nowhere: expected one of `runtime`", "found neither"]);
    expect(
        "//bad:no_wheel",
        &["//bad:no_wheel: `wheels` has root//bad:text, which yields no .whl file"],
    );
    expect(
        "//bad:no_library",
        &["//bad:no_library: `deps` has root//bad:text, which is no Python library"],
    );
    expect("//bad:excludes_nothing", &["//bad:excludes_nothing: `exclude` names `three`"]);
    expect("//bad:two_files", &["//bad:two_files: two first-party files would be bad/module.py"]);
    expect("//bad:no_start", &["//bad:no_start: it is not clear what to run; add `main = "]);
    expect("//bad:no_test", &["//bad:no_test: `srcs` has nothing for pytest to run"]);
    let decided = buck.output_of("//bad:decided");
    assert_eq!(
        run(&decided.join("bin/python"), &["-c", "import clash; print(clash.VALUE)"]),
        "2\n"
    );

    // A toolchain without an interpreter, and one whose program is not there.
    let toolchains = buck.read("toolchains/BUCK");
    buck.write("toolchains/BUCK", &toolchains.replace("    interpreter = \":interpreter\",\n", ""));
    expect("//bad:empty", &["//bad:empty: there is no interpreter; add `interpreter = "]);
    buck.write("toolchains/BUCK", &toolchains);
    let config = buck.read(".buckconfig.local");
    buck.write(".buckconfig.local", "[venvtree]\ntool = no-such-venvtree\n");
    expect(
        "//bad:empty",
        &["toolchains//:venvtree: `path` is `no-such-venvtree`, but there is no such program"],
    );
    buck.write(".buckconfig.local", &config);
}

#[test]
fn checkouts_share_environments() {
    let Some(program) = buck2("checkouts_share_environments") else {
        return;
    };
    let _alone = alone();
    let (_server, address) = buildgrid();
    let config = format!(
        "[build]\nexecution_platforms = root//platforms:cached\n[buck2]\ndigest_algorithms = SHA256\n[buck2_re_client]\nengine_address = \
         {address}\naction_cache_address = {address}\ncas_address = {address}\ninstance_name =\ntls = false\n\
         max_total_batch_size = 3145728\n"
    );
    let targets = ["//:env", "//app:app", "//app:image"];
    let first = Buck::new(&program, "one-machine", &config);
    first.succeed(&[&["build"], &targets[..]].concat());
    let filled = first.executed();
    assert_eq!(
        (filled.get("py_venv"), filled.get("py_venv_archive")),
        (Some(&1), Some(&1)),
        "{filled:?}"
    );
    let digest = first.read(first.output_of("//:env[digest]").to_str().unwrap());
    drop(first);

    let second = Buck::new(&program, "another machine, elsewhere", &config);
    second.succeed(&[&["build"], &targets[..]].concat());
    // The copy of the tool is each machine's own.
    assert_eq!(
        second.executed().into_keys().collect::<Vec<_>>(),
        ["venvtree_tool"],
        "{:?}",
        second.what_ran()
    );
    assert!(
        second.what_ran().contains(&("Cache".to_owned(), "py_venv".to_owned())),
        "{:?}",
        second.what_ran()
    );
    assert_eq!(second.read(second.output_of("//:env[digest]").to_str().unwrap()), digest);
    let tree = second.output_of("//:env");
    assert!(run(&tree.join("bin/flask"), &["--version"]).contains("Flask 3"));
    assert_eq!(
        run(&tree.join("bin/python"), &["-c", "import numpy; print(numpy.arange(5).sum())"]),
        "10\n"
    );
    let verified = Command::new(tool()).arg("digest").arg(&tree).output().unwrap();
    assert_eq!(
        said(&verified).split_whitespace().next(),
        digest.split_whitespace().next(),
        "{}",
        said(&verified)
    );
    assert_eq!(second.succeed(&["run", "//app:app", "--", "Ada"]), "Hello, Ada!\n");
    let tested = second.command(&["test", "//..."]);
    assert!(tested.status.success() && said(&tested).contains("Pass 1"), "{}", said(&tested));
    assert_eq!(second.executed().into_keys().collect::<Vec<_>>(), ["test.run"]);
}

/// Runs the macro as `rules/reference.py` runs files of the rules, and prints what it would make.
const PACKAGES: &str = r#"
import json, pathlib, sys, types
rules, index, supply = sys.argv[1:]
sys.path.insert(0, rules)
import reference
made = []
def maker(kind):
    return lambda **attributes: made.append(dict(attributes, kind = kind))
def fail(message):
    sys.exit(message)
scope = reference.run("rules/buck2/packages.bzl")
scope.update(
    fail = fail,
    json = types.SimpleNamespace(encode = json.dumps),
    native = types.SimpleNamespace(**{kind: maker(kind) for kind in ["alias", "config_setting", "http_file"]}),
    select = lambda arms: {"select": arms},
    wheel_set = maker("wheel_set"),
)
scope["venvtree_packages"](json.loads(pathlib.Path(index).read_text()), supply = json.loads(supply))
print(json.dumps({target["name"]: target for target in made}))
"#;

/// What `venvtree_packages` makes of the index of a lock; no Buck2 is needed for this.
fn packages(lock: &str, targets: &[&str], supply: &str) -> Result<Value, String> {
    let folder = work().join("packages");
    fs::create_dir_all(&folder).unwrap();
    let index = folder.join("pypi.json");
    let targets = targets.iter().flat_map(|target| ["--target", target]);
    let mut command = Command::new(tool());
    command.args(["lock", "index", lock, "--quiet", "--out"]).arg(&index).args(targets);
    succeed(command.current_dir(checkout()));
    let output = Command::new("python3")
        .args(["-c", PACKAGES])
        .arg(checkout().join("rules"))
        .arg(&index)
        .arg(supply)
        .output()
        .expect("python3");
    if !output.status.success() {
        return Err(said(&output));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn packages_are_what_the_index_says() {
    let lock = "examples/monorepo/uv.lock";
    let linux = "linux=3.11 linux-x86_64-glibc-2.28";
    let made = packages(lock, &[linux, "mac=3.11 macos-aarch64-14.0"], "{}").unwrap();
    let click = &made["venvtree_whl_click_8bb5376d2006"];
    assert_eq!(click["kind"], "http_file");
    assert_eq!(click["out"], "click-8.5.1-py3-none-any.whl");
    assert_eq!(click["size_bytes"], 126_163);
    assert_eq!(click["urls"].as_array().unwrap().len(), 1);
    let wheels = &made["jinja2"]["parts"]["select"];
    let jinja = ":venvtree_whl_jinja2_85ece4451f49";
    for (target, markupsafe) in [("linux", "6da83a088f8e"), ("mac", "7d3391b2188d")] {
        let closure = [jinja, &format!(":venvtree_whl_markupsafe_{markupsafe}")];
        let parts = &wheels[format!(":is_{target}")];
        assert_eq!(*parts, serde_json::json!({"": closure, "whl": [jinja]}));
    }
    assert_eq!(
        made["is_mac"]["constraint_values"],
        serde_json::json!(["config//os/constraints:macos", "config//cpu/constraints:arm64"])
    );
    for name in ["all", "group_test", "pages", "words"] {
        assert_eq!(made[name]["kind"], "wheel_set", "{name}");
    }

    // One target needs no select, and a label stands for a wheel everywhere.
    let supply = r#"{"markupsafe": "//third_party:wheel"}"#;
    let made = packages(lock, &[linux], supply).unwrap();
    let parts = &made["jinja2"]["parts"];
    assert_eq!(*parts, serde_json::json!({"": [jinja, "//third_party:wheel"], "whl": [jinja]}));
    assert_eq!(made["markupsafe"]["parts"]["whl"], serde_json::json!(["//third_party:wheel"]));

    // Extras, names with a `-`, and packages without a wheel.
    let made = packages("testdata/locks/extras/uv.lock", &[linux], "{}").unwrap();
    assert!(made["requests"]["parts"]["socks"].as_array().unwrap().len() > 5, "{made}");
    assert_eq!(made["charset-normalizer"]["actual"], ":charset_normalizer");
    let made = packages("testdata/locks/sdist/uv.lock", &[linux], "{}").unwrap();
    let missing = made["docopt"]["missing"][""][0].as_str().unwrap();
    assert!(missing.starts_with("docopt 0.6.2: "), "{missing}");

    let refused = packages(lock, &[linux, "new=3.12 linux-x86_64-glibc-2.28"], "{}").unwrap_err();
    assert!(refused.contains("tell them apart with `constraints`"), "{refused}");
    let refused = packages(lock, &[linux], r#"{"clikc": "//:x"}"#).unwrap_err();
    assert!(refused.contains("names `clikc`, which the lock does not have"), "{refused}");
}

/// The same for `venvtree_release`.
const RELEASE: &str = r#"
import json, sys, types
sys.path.insert(0, sys.argv[1])
import reference
made = []
def maker(kind):
    return lambda **attributes: made.append(dict(attributes, kind = kind))
scope = reference.run("rules/buck2/release.bzl")
scope.update(
    fail = sys.exit,
    native = types.SimpleNamespace(**{kind: maker(kind) for kind in ["alias", "config_setting", "http_archive"]}),
    select = lambda arms: {"select": arms},
)
scope["venvtree_release"](version = "1.0", base = "https://mirror.example", sha256 = json.loads(sys.argv[2]))
print(json.dumps({target["name"]: target for target in made}))
"#;

#[test]
fn a_release_has_a_program_for_each_kind_of_machine() {
    let release = |sha256: &Value| {
        let mut command = Command::new("python3");
        command.args(["-c", RELEASE]).arg(checkout().join("rules")).arg(sha256.to_string());
        command.output().expect("python3")
    };
    let digest = "0".repeat(64);
    let made = release(&serde_json::json!({
        "x86_64-unknown-linux-musl": digest,
        "aarch64-unknown-linux-gnu": digest,
    }));
    assert!(made.status.success(), "{}", said(&made));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let (x86, arm) = (
        "venvtree_release_x86_64_unknown_linux_musl",
        "venvtree_release_aarch64_unknown_linux_gnu",
    );
    assert_eq!(
        made[arm]["urls"],
        serde_json::json!(["https://mirror.example/venvtree-1.0-aarch64-unknown-linux-gnu.tar.gz"])
    );
    assert_eq!(made[arm]["strip_prefix"], "venvtree-1.0-aarch64-unknown-linux-gnu");
    assert_eq!(made[arm]["sha256"], digest);
    assert_eq!(
        made["venvtree_release"]["actual"]["select"],
        serde_json::json!({
            format!(":is_for_{x86}"): format!(":{x86}[bin/venvtree]"),
            format!(":is_for_{arm}"): format!(":{arm}[bin/venvtree]"),
        })
    );
    assert_eq!(
        made[format!("is_for_{arm}")]["constraint_values"],
        serde_json::json!(["config//os/constraints:linux", "config//cpu/constraints:arm64"])
    );
    let refused = release(&serde_json::json!({}));
    assert!(said(&refused).contains("`venvtree_release`: `sha256` is empty"), "{}", said(&refused));
}

/// What the rules run for the bytecode of some wheels; no Buck2 is needed for this. The toolchain
/// asks for unchecked bytecode.
const BYTECODE: &str = r#"
import json, sys, types
sys.path.insert(0, sys.argv[1])
import reference
interpreter, attributes = (json.loads(text) for text in sys.argv[2:])
scope = reference.run("rules/buck2/bytecode.bzl")
ran = []
def run_tool(ctx, command, category, outputs, inputs, identifier, local):
    ran.append({"line": command + [word for output in outputs for word in output] + inputs, "what": [category, identifier, local]})
toolchain = types.SimpleNamespace(bytecode = "unchecked", bytecode_exclude = ["generated/**"])
attributes = dict({"bytecode": "auto", "bytecode_levels": ["0"], "bytecode_exclude": []}, **attributes)
ctx = types.SimpleNamespace(
    actions = types.SimpleNamespace(declare_output = lambda folder, name, has_content_based_path: "made-" + name),
    attrs = types.SimpleNamespace(_toolchain = {"tool": toolchain}, **attributes),
)
scope.update(
    VenvtreeToolInfo = "tool", cmd_args = lambda wheel: wheel.basename, fail = sys.exit, run_tool = run_tool, target_name = lambda ctx: "root//:env",
)
wheels = [types.SimpleNamespace(basename = "one-1.0-py3-none-any.whl"), types.SimpleNamespace(basename = "two-1.0-py3-none-any.whl")]
found = scope["compile_wheels"](ctx, types.SimpleNamespace(**interpreter), wheels)
print(json.dumps({"files": found.files, "keys": found.keys, "ran": ran}))
"#;

/// Each wheel is an action, whose command the tool understands.
#[test]
fn each_wheel_is_compiled_by_an_action() {
    let project = Project::new();
    let python = relocatable_python().join("bin/python3.11");
    let python = python.to_str().unwrap();
    let facts = project.run(&["interpreter", "probe", python]).json();
    for name in ["one", "two"] {
        let wheel = WheelText::new(name, "1.0").file(&format!("{name}.py"), "X = 1\n");
        project.write(&wheel.file_name(), wheel.pack());
    }
    let compile = |change: &dyn Fn(&mut Value), attributes: Value| {
        let mut interpreter = serde_json::json!({
            "version": facts["version"], "abi": "cp311", "compiler": python, "path": python,
        });
        change(&mut interpreter);
        let mut command = Command::new("python3");
        command.args(["-c", BYTECODE]).arg(checkout().join("rules"));
        command.args([interpreter.to_string(), attributes.to_string()]).output().unwrap()
    };
    let output = compile(&|_| (), serde_json::json!({"bytecode_levels": ["0", "2"]}));
    assert!(output.status.success(), "{}", said(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ran = made["ran"].as_array().unwrap();
    assert_eq!(ran.len(), 4, "{made}");
    let mut names = Vec::new();
    for action in ran {
        let line = action["line"].as_array().unwrap();
        let line: Vec<&str> = line.iter().map(|word| word.as_str().unwrap()).collect();
        project.run(&line).success();
        let name = action["what"][1].as_str().unwrap();
        assert!(project.path().join(format!("made-{name}")).exists(), "{action}");
        assert_eq!(action["what"], serde_json::json!(["py_bytecode", name, true]));
        names.push(name);
    }
    assert_eq!(made["keys"]["one-1.0-py3-none-any.whl"], serde_json::json!(names[..2]));
    assert_eq!(made["keys"]["two-1.0-py3-none-any.whl"], serde_json::json!(names[2..]));
    assert_eq!(made["files"].as_array().unwrap().len(), 4);
    // Nothing is run where nobody wants bytecode, or nobody can make it.
    let output = compile(&|_| (), serde_json::json!({"bytecode": "none"}));
    assert_eq!(said(&output).trim(), r#"{"files": [], "keys": {}, "ran": []}"#);
    for (field, value, expected) in [
        ("version", "3.11", "give it with its patch level"),
        ("abi", "cp311t", "made by regular builds"),
        ("compiler", "", "name one of the same version that can with `compiler`"),
    ] {
        let output = compile(&|found| found[field] = value.into(), serde_json::json!({}));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}

#[test]
fn the_reference_is_that_of_the_code() {
    check_made_by_reference("docs/buck2-rules.md", &["buck2"]);
}
