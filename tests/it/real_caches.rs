//! Caches and clients that others wrote: BuildGrid, buildbox's `casupload`, Bazel's disk cache.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use serde_json::json;
use venvtree::effects::caches::store::{Access, Store};
use venvtree::effects::caches::transfer::{self, TreeFiles};
use venvtree::effects::host::notes::Notes;
use venvtree::effects::scan::{self, View};
use venvtree::model::action::ActionResult;
use venvtree::model::digest::DigestFunction;
use venvtree::model::tree::{Leaf, Node, Tree};

use crate::support::commands::said;
use crate::support::project::{Project, WheelText, some_interpreter};

fn project() -> Project {
    let project = Project::new();
    let wheel = WheelText::new("one", "1.0")
        .file("one/__init__.py", "")
        .file("one/grüße.txt", "non-ASCII name")
        .file("one/large.bin", vec![7; 5 << 20])
        .executable("one/tool", "#!/bin/sh\n");
    let wheels = [
        project.wheel(&wheel),
        project.wheel(&WheelText::new("two", "2.0").file("two.py", "x = 2\n")),
    ];
    project.spec(some_interpreter(), &wheels, |_| {});
    project
}

/// A process that is killed when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn installed(variable: &str, below_checkout: &str) -> PathBuf {
    let place = std::env::var_os(variable)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(below_checkout), PathBuf::from);
    assert!(place.exists(), "expected at {}: run .ci/install, or set {variable}", place.display());
    place
}

#[cfg(feature = "remote")]
#[test]
fn buildgrid_serves_a_second_machine() {
    let program = installed("VENVTREE_BUILDGRID", ".cache/buildgrid").join("bin/bgd");
    let first = project();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configuration = format!(
        "server:\n  - !channel\n    address: 127.0.0.1:{port}\n    insecure-mode: true\nauthorization:\n  method: none\nmonitoring:\n  \
         enabled: false\nstorages:\n  - !disk-storage &store\n    path: {}\ncaches:\n  - !lru-action-cache &results\n    storage: *store\n    \
         max-cached-refs: 1000\n    allow-updates: true\n    cache-failed-actions: false\ninstances:\n  - name: ''\n    services:\n      - \
         !action-cache\n        cache: *results\n      - !cas\n        storage: *store\n      - !bytestream\n        storage: *store\n\
         thread-pool-size: 20\n",
        first.path().join("buildgrid")
    );
    let configuration = first.write("buildgrid.yml", configuration);
    let child = Command::new(&program)
        .args(["server", "start", configuration.as_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = Running(child.expect("BuildGrid starts"));
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "BuildGrid does not listen");
        std::thread::sleep(Duration::from_millis(100));
    }
    let url = format!("grpc://127.0.0.1:{port}");
    let run = |project: &Project| {
        project.build("out").store("store").with(&["--remote-cache", &url]).report()
    };
    let built = run(&first);
    assert_eq!((&built["source"], &built["notes"]), (&json!("wheels"), &json!([])), "{built}");
    let second = Project::new();
    second.write("env.json", std::fs::read(first.path().join("env.json")).unwrap());
    let hit = run(&second);
    assert_eq!(
        (&hit["source"], &hit["notes"], &hit["digest"]),
        (&json!("remote"), &json!([]), &built["digest"]),
        "{hit}"
    );
    let digest = built["digest"].as_str().unwrap();
    assert_eq!(second.run(&["digest", "out"]).success().trim(), digest);
    let third = Project::new();
    third.run(&["pull", digest, "--out", "out", "--no-store", "--remote-cache", &url]).success();
    assert_eq!(third.run(&["digest", "out"]).success().trim(), digest);
}

#[test]
fn the_root_digest_is_that_of_casupload() {
    let project = project();
    project.run(&["build", "env.json", "--out", "out", "--no-store"]).success();
    // The program is one of another Debian: it is started by that Debian's own loader.
    let root =
        std::env::var_os("BAZEL7_ROOT").map_or_else(|| PathBuf::from("/opt/bazel7"), PathBuf::from);
    let libraries = root.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let loader = std::fs::read_dir(&libraries)
        .unwrap_or_else(|error| {
            panic!("{}: {error}: run .ci/install, or set BAZEL7_ROOT", libraries.display())
        })
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux-"))
        })
        .expect("a loader");
    let digest = project.path().join("digest");
    let output = Command::new(loader)
        .arg("--library-path")
        .arg(&libraries)
        .arg(root.join("usr/bin/casupload"))
        .args([
            "--remote=http://127.0.0.1:1",
            "--dry-run",
            &format!("--output-digest-file={digest}"),
            project.path().join("out").as_str(),
        ])
        .output()
        .expect("casupload starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        std::fs::read_to_string(&digest).unwrap().trim(),
        project.run(&["digest", "out"]).success().trim()
    );
}

/// Runs the Bazel of the package `bazel-bootstrap`, with a disk cache.
fn bazel(workspace: &Utf8Path, cache: &Utf8Path, arguments: &[&str]) -> String {
    let base = workspace.parent().unwrap().join("base");
    let output = Command::new("bazel")
        .args([&format!("--output_base={base}"), "--max_idle_secs=30", "--host_jvm_args=-Xmx512m"])
        .args(arguments)
        .args(if arguments[0] == "build" {
            vec![format!("--disk_cache={cache}"), "--color=no".to_owned()]
        } else {
            Vec::new()
        })
        .current_dir(workspace)
        .env("HOME", workspace.parent().unwrap())
        .output()
        .expect("`bazel` (the package bazel-bootstrap): run .ci/install");
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// The files of a tree without their modes, which Bazel does not keep.
fn without_modes(tree: &Tree) -> Vec<String> {
    tree.walk()
        .into_iter()
        .filter_map(|(path, node)| match node {
            Node::Leaf(Leaf::File { blob, .. }) => Some(format!("{path} {blob}")),
            Node::Leaf(Leaf::Symlink(target)) => Some(format!("{path} -> {target}")),
            Node::Directory(_) => None,
        })
        .collect()
}

#[test]
fn a_disk_cache_of_bazel_is_read_and_filled() {
    let project = Project::new();
    let (workspace, cache) = (project.path().join("workspace"), project.path().join("cache"));
    project.write("workspace/WORKSPACE", "");
    let rule = "def _tree(ctx):\n    out = ctx.actions.declare_directory(ctx.label.name)\n    \
                ctx.actions.run_shell(outputs = [out], command = \"mkdir -p $1/a/b && echo one >$1/a/b/one && echo two >$1/two && \
                chmod +x $1/two && head -c 100000 /dev/zero >$1/a/zeros\", arguments = [out.path])\n    \
                return [DefaultInfo(files = depset([out]))]\n\ntree = rule(implementation = _tree)\n";
    project.write("workspace/rules.bzl", rule);
    project.write("workspace/BUILD", "load(\":rules.bzl\", \"tree\")\ntree(name = \"tree\")\n");
    bazel(&workspace, &cache, &["build", "//:tree"]);
    let scanned = scan::scan(
        &workspace.join("bazel-bin/tree").canonicalize_utf8().unwrap(),
        DigestFunction::Sha256,
        View::Exact,
        1,
    )
    .unwrap();
    assert!(scanned.odd.is_empty());

    // Bazel's result and tree, read as our own are.
    let mut trees = Vec::new();
    for folder in cache.join("ac").read_dir_utf8().unwrap().flatten() {
        for entry in folder.path().read_dir_utf8().unwrap().flatten() {
            if let Ok((path, result)) =
                ActionResult::decode_any(&std::fs::read(entry.path()).unwrap())
                && path.ends_with("/tree")
            {
                trees.push(result.tree);
            }
        }
    }
    let [message] = trees[..] else { panic!("one result with a tree is expected: {trees:?}") };
    let before = project.run(&["store", "verify", "--store", cache.as_str()]);
    assert_eq!(before.code, 0, "{}", before.stdout);
    project
        .run(&["pull", &message.to_string(), "--out", "pulled", "--store", cache.as_str()])
        .success();
    let pulled = scan::scan(&project.path().join("pulled"), DigestFunction::Sha256, View::Exact, 1)
        .unwrap()
        .tree;
    assert_eq!(without_modes(&pulled), without_modes(&scanned.tree));

    // And back: what the cache has lost is put there by us, and Bazel takes it.
    let store = Store::open(cache.clone(), DigestFunction::Sha256, Access::Write, Notes::new());
    for line in without_modes(&pulled) {
        let hash = &line.rsplit(' ').next().unwrap()[..64];
        std::fs::remove_file(cache.join("cas").join(&hash[..2]).join(hash)).unwrap();
    }
    std::fs::remove_dir_all(cache.join("files")).unwrap();
    transfer::push(
        &store,
        &pulled,
        &TreeFiles::new(&project.path().join("pulled"), &pulled),
        &Default::default(),
    )
    .unwrap();
    bazel(&workspace, &cache, &["clean"]);
    let again = bazel(&workspace, &cache, &["build", "//:tree"]);
    bazel(&workspace, &cache, &["shutdown"]);
    assert!(again.contains("cache hit"), "{again}");
}
