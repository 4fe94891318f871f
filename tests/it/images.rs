//! Layers and images: what two environments have in common is the same layer, other programs read
//! what is written, and what is in an image runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use camino::Utf8Path;
use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::Python;
use crate::support::commands::succeed;
use crate::support::containers::{fill_root, run_bundle};
use crate::support::download::wheels_with_needs;
use crate::support::project::{Project, WheelText, listing, some_interpreter};

/// A wheel with a module of so many bytes and a script.
fn wheel(name: &str, size: usize) -> WheelText {
    let bytes: Vec<u8> = (0..size).map(|index| b'a' + (index % 23) as u8).collect();
    WheelText::new(name, "1.0")
        .file(&format!("{name}/__init__.py"), "def main():\n    print('ran')\n")
        .file(&format!("{name}/data.txt"), bytes)
        .console_scripts(&format!("{name} = {name}:main"))
}

/// Writes the spec of an environment with these wheels and one first-party file.
fn spec(project: &Project, wheels: &[WheelText]) {
    project.write("src/app.py", "VALUE = 1\n");
    let wheels: Vec<Value> = wheels.iter().map(|wheel| project.wheel(wheel)).collect();
    project.spec(some_interpreter(), &wheels, |spec| {
        spec["sources"] = json!([{"path": "src", "into": "app"}]);
    });
}

/// The layers of `env.json`: digests by name, in their order.
fn layers(project: &Project, place: &str, options: &[&str]) -> Vec<(String, String)> {
    let arguments = [&["pack", "env.json", "--layers", place, "--format", "json"], options];
    let report = project.run(&arguments.concat()).report();
    let text = |layer: &Value, key: &str| layer[key].as_str().unwrap().to_owned();
    let layers = report["layers"].as_array().unwrap();
    let place = project.path().join(place);
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o755);
    let described = fs::read_to_string(place.join("layers.json")).unwrap();
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["layers"].as_array().unwrap(), layers);
    for layer in layers {
        let bytes = fs::read(place.join(text(layer, "file"))).unwrap();
        assert_eq!(text(layer, "digest"), format!("sha256:{}", Hash::sha256(&bytes)));
        assert_eq!(layer["size"], bytes.len());
    }
    layers.iter().map(|layer| (text(layer, "name"), text(layer, "digest"))).collect()
}

fn names(layers: &[(String, String)]) -> Vec<&str> {
    layers.iter().map(|(name, _)| name.as_str()).collect()
}

/// The layers of one list that are not in the other.
fn new<'a>(after: &'a [(String, String)], before: &[(String, String)]) -> Vec<&'a str> {
    let known: BTreeSet<&str> = before.iter().map(|(_, digest)| digest.as_str()).collect();
    let new = after.iter().filter(|(_, digest)| !known.contains(digest.as_str()));
    new.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn environments_share_the_layers_of_the_wheels_that_both_have() {
    let project = Project::new();
    let [one, two, three, four] =
        ["one", "two", "three", "four"].map(|name| wheel(name, 100 * name.len()));
    let alone = ["--layer-policy", "wheel"];
    spec(&project, &[one.clone(), two.clone(), three.clone()]);
    let first = layers(&project, "first", &alone);
    assert_eq!(names(&first), ["one", "three", "two", "environment", "sources"]);
    // Another order, another wheel: what both have is the same, the environment's own layer too.
    spec(&project, &[four.clone(), three.clone(), two.clone()]);
    let other = layers(&project, "other", &alone);
    assert_eq!(new(&other, &first), ["four"]);
    // One more wheel is one more layer, and changes no other one.
    spec(&project, &[one.clone(), two.clone(), three.clone(), four.clone()]);
    let more = layers(&project, "more", &alone);
    assert_eq!((new(&more, &first), more.len()), (vec!["four"], first.len() + 1));
    // An edited source is one layer.
    project.write("src/app.py", "VALUE = 2\n");
    let arguments = ["pack", "env.json", "--layers", "edited", "--layer-policy", "wheel", "-q"];
    project.run(&arguments).success();
    let changed: Vec<String> = fs::read_dir(project.path().join("edited"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            let bytes = |place: &str| fs::read(project.path().join(place).join(name)).unwrap();
            name != "layers.json" && bytes("more") != bytes("edited")
        })
        .collect();
    assert_eq!(changed, ["005-sources.tar.gz"]);
}

#[test]
fn policies_and_the_most_layers_decide_what_is_alone() {
    let project = Project::new();
    // 9 MB are large, and compress well.
    let wheels = [wheel("tiny", 10), wheel("large", 9 << 20), wheel("small", 5000)];
    spec(&project, &wheels);
    let names_of = |place: &str, options: &[&str]| -> Vec<String> {
        layers(&project, place, options).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names_of("auto", &[]), ["large", "packages", "environment", "sources"]);
    let wheel = ["--layer-policy", "wheel"];
    let all = ["large", "small", "tiny", "environment", "sources"];
    assert_eq!(names_of("5", &[&wheel[..], &["--max-layers", "5"]].concat()), all);
    assert_eq!(
        names_of("4", &[&wheel[..], &["--max-layers", "4"]].concat()),
        ["large", "packages", "environment", "sources"]
    );
    assert_eq!(
        names_of("3", &[&wheel[..], &["--max-layers", "3"]].concat()),
        ["packages", "environment", "sources"]
    );
    for (place, options) in [("2", ["--max-layers", "2"]), ("one", ["--layer-policy", "one"])] {
        assert_eq!(names_of(place, &options), ["environment"], "{place}");
    }
}

#[test]
fn layers_are_the_environment_without_overlap_and_alike_for_any_number_of_threads() {
    let project = Project::new();
    spec(&project, &[wheel("one", 3 << 20), wheel("two", 10)]);
    project.run(&["build", "env.json", "--out", "env"]).success();
    let built = listing(project.path().join("env").as_std_path());
    for compression in ["gzip", "zstd", "none"] {
        let mut before = None;
        for threads in ["1", "2", "7"] {
            let place = format!("{compression}-{threads}");
            let options = [
                ["--compression", compression],
                ["--threads", threads],
                ["--layer-policy", "wheel"],
                ["--prefix", "srv/a b"],
                ["--owner", "65532:1234"],
            ];
            let found = layers(&project, &place, &options.concat());
            assert_eq!(*before.get_or_insert_with(|| found.clone()), found, "{place}");
        }
        let place = project.path().join(format!("{compression}-1"));
        let unpacked = project.path().join(format!("unpacked-{compression}"));
        fs::create_dir(&unpacked).unwrap();
        let mut seen = BTreeSet::new();
        for archive in place.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()) {
            if archive.extension() == Some("json") {
                continue;
            }
            let mut list = Command::new("bsdtar");
            let list = succeed(list.args(["-tvf", archive.as_str(), "--numeric-owner"]));
            for line in list.lines() {
                assert!(line.contains(" 65532  1234 "), "{line}");
                let is_directory = line.starts_with('d');
                assert!(is_directory || seen.insert(line.to_owned()), "{line}");
            }
            succeed(Command::new("bsdtar").args([
                "-xf",
                archive.as_str(),
                "-C",
                unpacked.as_str(),
            ]));
        }
        assert_eq!(listing(unpacked.join("srv/a b").as_std_path()), built, "{compression}");
    }
    let refused = |arguments: &[&str], part: &str| {
        project.run(&[&["pack", "env.json"], arguments].concat()).ends(2, part);
    };
    let taken = ["pack", "env.json", "--layers", "gzip-1"];
    project.run(&taken).ends(5, "is there already, and is not empty");
    refused(&["--layers", "new", "--level", "10"], "expected one from 1 to 9");
    refused(&["--layers", "new", "--compression", "none", "--level", "1"], "not compressed");
    refused(&["--layers", "new", "--tag", "x"], "`--tag` is for images");
    refused(&["--out", "x.tar", "--layer-policy", "one"], "is for layers and images");
    refused(&["--out", "x.zip", "--owner", "1:1"], "zip archives say nothing of owners");
    refused(&["--out", "x.tar", "--owner", "1"], "expected UID:GID");
    refused(&["--layers", "src/layers"], "goes into the environment as a whole");
    refused(&["--out", "-", "--format", "oci"], "cannot go through a pipe");
    refused(&["--out", "x", "--format", "oci", "--env", "A"], "has no name before a `=`");
    project.run(&["pack", "env", "--layers", "new"]).ends(2, "give the spec");
    assert!(!project.path().join("new").exists() && project.left_over().is_empty());
}

/// Build systems make each layer in a step of its own, which has as few inputs as it can have.
#[test]
fn a_part_of_a_smaller_spec_is_the_layer_of_the_whole() {
    let project = Project::new();
    let wheels = [wheel("one", 100), wheel("two", 10), wheel("three", 10)];
    spec(&project, &wheels);
    layers(&project, "layers", &["--layer-policy", "wheel"]);
    let same = |part: &str, layer: &str| {
        let out = format!("{part}.tar.gz");
        let options = ["pack", "env.json", "--only", part, "--out", &out, "--prefix", "opt/venv"];
        project.run(&options).success();
        let bytes = |path: &str| fs::read(project.path().join(path)).unwrap();
        assert!(bytes(&out) == bytes(&format!("layers/{layer}")), "{part}");
    };
    same("environment", "003-environment.tar.gz");
    same("sources", "004-sources.tar.gz");
    spec(&project, &wheels[..1]);
    same("packages", "000-one.tar.gz");
    spec(&project, &[]);
    same("environment", "003-environment.tar.gz");
    let only = |subject: &str, part: &str| {
        project.run(&["pack", subject, "--only", part, "--out", "x.tar"])
    };
    only("env.json", "wheel").ends(2, "interpreter, packages, environment, sources");
    project.run(&["build", "env.json", "--out", "env"]).success();
    only("env", "sources").ends(2, "does not say which wheel brought which file");
}

/// An interpreter that is copied in is a layer that environments share, whatever else they have, and
/// the parts of one need not see it. Build systems know its files one by one.
#[test]
fn an_interpreter_inside_is_a_layer_of_its_own() {
    let project = Project::new();
    let interpreter = |directory: &str, wheels: &[WheelText]| {
        spec(&project, wheels);
        let text = fs::read_to_string(project.path().join("env.json")).unwrap();
        let mut spec: Value = serde_json::from_str(&text).unwrap();
        spec["interpreter"]["python"] = json!({"kind": "inside", "directory": directory});
        project.write("env.json", spec.to_string());
    };
    let library = "lib/python3.11";
    let files = [("bin/python3.11", "\x7fELF"), (&format!("{library}/os.py"), "X = 1\n")];
    for (path, text) in files {
        let path = project.write(&format!("python/{path}"), text);
        let mode = if text.starts_with('X') { 0o644 } else { 0o755 };
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    project.write(&format!("python/{library}/__pycache__/os.pyc"), "");
    let [one, two] = ["one", "two"].map(|name| wheel(name, 10));
    interpreter("python", std::slice::from_ref(&one));
    let first = layers(&project, "first", &["--layer-policy", "wheel"]);
    assert_eq!(names(&first), ["interpreter", "one", "environment", "sources"]);
    interpreter("python", std::slice::from_ref(&two));
    let other = layers(&project, "other", &["--layer-policy", "wheel"]);
    assert_eq!(new(&other, &first), ["two"]);
    // The same by its files, which are elsewhere, with whatever modes.
    interpreter("key/../of/it", &[two]);
    let mut inputs = Vec::new();
    for (number, (path, text)) in files.iter().enumerate() {
        let place = project.write(&number.to_string(), text);
        fs::set_permissions(&place, PermissionsExt::from_mode(0o555)).unwrap();
        inputs.push(format!("--input=key/../of/it/{path}={place}"));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let by_files = layers(&project, "by-files", &[&["--layer-policy", "wheel"], &*inputs].concat());
    assert_eq!(by_files, other);
    let prefix = ["--prefix", "opt/venv"];
    let part = |part: &str, inputs: &[&str]| {
        let out = format!("{part}.tar.gz");
        let only = ["pack", "env.json", "--only", part, "--out", &out];
        project.run(&[&only[..], &prefix, inputs].concat()).success();
        fs::read(project.path().join(out)).unwrap()
    };
    let layer = |name: &str| fs::read(project.path().join("other").join(name)).unwrap();
    assert!(part("interpreter", &inputs) == layer("000-interpreter.tar.gz"));
    assert!(part("packages", &[]) == layer("001-two.tar.gz"));
    assert!(part("environment", &[]) == layer("002-environment.tar.gz"));
    assert!(part("sources", &[]) == layer("003-sources.tar.gz"));
    let refused = |input: &str, expected: &str| {
        let pack = ["pack", "env.json", "--out", "x.tar", inputs[0], inputs[1], input];
        project.run(&pack).ends(2, expected);
    };
    refused("--input=key/../of/its=0", "`key/../of/its` is not in the spec");
    refused("--input=key/../of/it=python", "is not in the spec");
}

/// Another machine has other folders, and other habits.
#[test]
fn layers_and_images_are_the_same_on_every_machine() {
    let made = ["one/place", "quite/another/place"].map(|place| {
        let project = Project::new();
        spec(&project, &[wheel("one", 9 << 20), wheel("two", 10)]);
        let home = project.path().join(place);
        let names = project.names();
        fs::create_dir_all(&home).unwrap();
        for name in &names {
            fs::rename(project.path().join(name), home.join(name)).unwrap();
        }
        let pack = "\"$1\" pack env.json --layers layers -q && \"$1\" pack env.json --archive-format \
                    oci --out image -q --entrypoint /opt/venv/bin/one";
        let script = format!("umask {}; {pack}", if place.starts_with("one") { "022" } else { "077" });
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script, "sh", env!("CARGO_BIN_EXE_venvtree")]).current_dir(&home);
        succeed(shell.env("HOME", &home).env("TZ", "Asia/Tokyo").env("LC_ALL", "C"));
        (files(&home.join("layers")), files(&home.join("image")))
    });
    assert!(made[0].0.len() == 5 && made[0] == made[1], "{:?}", made[0].0.keys());
}

/// Runs a program in the project; returns standard output.
fn run(project: &Project, program: &str, arguments: &[&str]) -> String {
    succeed(Command::new(program).args(arguments).current_dir(project.path()))
}

/// The bytes of every file below a directory, by path.
fn files(directory: &Utf8Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in run_find(directory) {
        let full = directory.join(&path);
        found.insert(path, fs::read(full).unwrap());
    }
    found
}

fn run_find(directory: &Utf8Path) -> Vec<String> {
    let mut find = Command::new("find");
    let found = succeed(find.args([".", "-type", "f"]).current_dir(directory));
    found.lines().map(str::to_owned).collect()
}

#[test]
fn umoci_and_skopeo_read_an_image_and_verify_finds_what_changed_in_it() {
    let project = Project::new();
    spec(&project, &[wheel("one", 100), wheel("two", 10)]);
    let options = [
        "pack",
        "env.json",
        "--format",
        "oci",
        "--tag",
        "v1",
        "--user",
        "65532:65532",
        "--workdir",
        "/srv",
        "--entrypoint",
        "/opt/venv/bin/one",
        "--entrypoint",
        "-x",
        "--cmd",
        "a b",
        "--env",
        "A=b=c",
        "--label",
        "org.example=ü",
        "--layer-policy",
        "wheel",
    ];
    project.run(&[&options[..], &["--out", "image"]].concat()).says("4 layers");
    let inspected = run(&project, "skopeo", &["inspect", "oci:image:v1"]);
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(
        (&inspected["Architecture"], &inspected["Os"], &inspected["Created"]),
        (&json!("amd64"), &json!("linux"), &json!("1980-01-02T00:00:00Z"))
    );
    let config = run(&project, "skopeo", &["inspect", "--config", "oci:image:v1"]);
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        config["config"],
        json!({
            "Entrypoint": ["/opt/venv/bin/one", "-x"],
            "Cmd": ["a b"],
            "User": "65532:65532",
            "WorkingDir": "/srv",
            "Labels": {"org.example": "ü"},
            "Env": [
                "PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "A=b=c",
            ],
        })
    );
    let comments: Vec<&str> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["comment"].as_str().unwrap())
        .collect();
    assert_eq!(comments, ["one 1.0", "two 1.0", "environment", "sources"].as_slice());
    // Another tool copies it, which reads and compares every blob.
    run(&project, "skopeo", &["copy", "--quiet", "oci:image:v1", "dir:copied"]);
    // As one file it is the same, whatever the number of threads.
    for threads in ["1", "3"] {
        let out = format!("image-{threads}.tar");
        project.run(&[&options[..], &["--out", &out, "--threads", threads]].concat()).success();
        let place = format!("from-{threads}");
        fs::create_dir(project.path().join(&place)).unwrap();
        run(&project, "tar", &["-xf", &out, "-C", &place]);
        assert_eq!(files(&project.path().join(&place)), files(&project.path().join("image")));
    }
    let archive = |name: &str| fs::read(project.path().join(name)).unwrap();
    assert!(archive("image-1.tar") == archive("image-3.tar"));
    assert!(project.left_over().is_empty(), "{:?}", project.names());
    // What a stranger unpacks is the environment, and every change to it is found.
    run(&project, "umoci", &["unpack", "--image", "image:v1", "bundle"]);
    let unpacked = "bundle/rootfs/opt/venv";
    let digest = |subject: &str| project.run(&["digest", subject]).success();
    assert_eq!(digest(unpacked), digest("env.json"));
    project.run(&["verify", unpacked, "--spec", "env.json"]).success();
    let site = project.path().join(unpacked).join("lib/python3.11/site-packages");
    fs::write(site.join("one/data.txt"), "changed").unwrap();
    fs::remove_file(site.join("app/app.py")).unwrap();
    fs::write(site.join("added.py"), "").unwrap();
    let found = project.run(&["verify", unpacked, "--spec", "env.json"]);
    assert_eq!(found.code, 6, "{found:?}");
    for part in ["one/data.txt", "app/app.py", "added.py"] {
        assert!(found.stdout.contains(part), "expected {part} in {found:?}");
    }
}

#[test]
fn an_image_is_put_on_another_one_and_on_itself() {
    let project = Project::new();
    spec(&project, &[wheel("one", 100)]);
    run(&project, "umoci", &["init", "--layout", "base"]);
    run(&project, "umoci", &["new", "--image", "base:empty"]);
    project.write("root/etc/motd", "hello\n");
    run(&project, "umoci", &["insert", "--image", "base:empty", "--tag", "some", "root", "/"]);
    let set = ["config", "--image", "base:some", "--config.env", "PATH=/sbin", "--config.env"];
    let set = [&set[..], &["B=1", "--config.cmd", "sh", "--config.label", "k=v"]].concat();
    run(&project, "umoci", &set);
    let on = |base: &str, out: &str, more: &[&str]| {
        let options = ["pack", "env.json", "--format", "oci", "--base", base, "--out", out];
        project.run(&[&options[..], more].concat())
    };
    on("base", "app", &[]).ends(2, "it has 2 images for linux/amd64");
    on("base:other", "app", &[]).ends(2, "found empty, some");
    on("base:some", "app", &["--entrypoint", "/opt/venv/bin/one", "--tag", "x"]).success();
    let config = run(&project, "skopeo", &["inspect", "--config", "oci:app:x"]);
    let config: Value = serde_json::from_str(&config).unwrap();
    // The base's arguments were for its own program.
    assert_eq!(
        config["config"],
        json!({
            "Entrypoint": ["/opt/venv/bin/one"],
            "Env": ["PATH=/opt/venv/bin:/sbin", "B=1"],
            "Labels": {"k": "v"},
        })
    );
    run(&project, "umoci", &["unpack", "--image", "app:x", "bundle"]);
    let root = project.path().join("bundle/rootfs");
    assert_eq!(fs::read_to_string(root.join("etc/motd")).unwrap(), "hello\n");
    assert!(root.join("opt/venv/bin/one").is_file());
    // The same layers once more: each blob is there once.
    on("app", "again", &["--prefix", "opt/venv", "--tag", "x"]).success();
    run(&project, "skopeo", &["copy", "--quiet", "oci:again:x", "dir:copied"]);
    // A blob that is not what its name says is no base, and nothing is left behind.
    let blobs = project.path().join("base/blobs/sha256");
    for blob in blobs.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()) {
        if fs::read(&blob).unwrap().starts_with(&[0x1f, 0x8b]) {
            fs::write(&blob, "other").unwrap();
        }
    }
    on("base:some", "bad", &[]).ends(6, "has other bytes than its name says");
    project.write("base/index.json", "{}");
    on("base:some", "bad", &[]).ends(7, "index.json: missing field");
    on("nowhere", "bad", &[]).ends(7, "nowhere/index.json");
    assert!(!project.path().join("bad").exists() && project.left_over().is_empty());
}

/// A root directory with the Python of this machine and what it needs of it, and nothing else: what
/// images without a shell are.
fn root_with_python(root: &Utf8Path) {
    fill_root(root, &["/usr/bin/python3.11"], "/usr/lib/python3.11/lib-dynload/*.so");
    succeed(Command::new("cp").args(["-a", "/usr/lib/python3.11"]).arg(root.join("usr/lib")));
    for unneeded in ["test", "config-3.11-x86_64-linux-gnu", "dist-packages", "__pycache__"] {
        let _ = fs::remove_dir_all(root.join("usr/lib/python3.11").join(unneeded));
    }
}

/// What the image runs: flask answers over a socket, numpy computes, and scripts find their way.
const PROGRAM: &str = r#"
import http.client, os, socket, subprocess, sys, threading
import flask, numpy
from werkzeug.serving import make_server

def main():
    assert sys.prefix == "/opt/venv" and os.getuid() == 65532, (sys.prefix, os.getuid())
    try:
        open("/opt/venv/new", "w")
    except OSError as error:
        assert error.errno == 30, error
    else:
        raise AssertionError("the image can be written to")
    app = flask.Flask("site")
    app.route("/")(lambda: str(numpy.arange(10).reshape(2, 5).dot(numpy.ones(5)).sum()))
    server = make_server("unix:///tmp/socket", 0, app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/tmp/socket")
    connection.request("GET", "/")
    print("answer:", connection.getresponse().read().decode())
    sys.stdout.flush()
    subprocess.run(["flask", "--version"], check=True)
"#;

/// The front door: an image of flask and numpy on a base that another tool made, unpacked by that
/// and run by a container runtime.
#[test]
fn an_image_runs_read_only_and_not_as_root() {
    let project = Project::new();
    root_with_python(&project.path().join("root"));
    run(&project, "umoci", &["init", "--layout", "base"]);
    run(&project, "umoci", &["new", "--image", "base:python"]);
    run(&project, "umoci", &["insert", "--image", "base:python", "root", "/"]);
    project.write("src/program.py", PROGRAM);
    let app = WheelText::new("app", "1.0").file("app.py", "from program import main\n");
    let app = project.wheel(&app.console_scripts("app = app:main"));
    let python = Python { path: "/usr/bin/python3.11".into(), version: (3, 11) };
    let wheels = wheels_with_needs(&python, &["flask", "numpy"]);
    let wheels: Vec<Value> = wheels.into_iter().chain([app]).collect();
    let probe = project.run(&["interpreter", "probe", "/usr/bin/python3.11"]).success();
    project.spec(serde_json::from_str(&probe).unwrap(), &wheels, |spec| {
        spec["sources"] = json!([{"path": "src/program.py", "into": "program.py"}]);
    });
    let options = [
        "pack",
        "env.json",
        "--format",
        "oci",
        "--base",
        "base",
        "--out",
        "image",
        "--tag",
        "app",
        "--user",
        "65532:65532",
        "--entrypoint",
        "/opt/venv/bin/app",
        "--layer-policy",
        "wheel",
        "--level",
        "1",
    ];
    project.run(&options).success();
    run(&project, "umoci", &["unpack", "--image", "image:app", "bundle"]);
    let said = run_bundle(&project.path().join("bundle"), &[]);
    assert!(said.starts_with("answer: 45.0\n"), "{said}");
    assert!(said.contains("Flask 3"), "{said}");
    project.run(&["verify", "bundle/rootfs/opt/venv", "--spec", "env.json"]).success();
}
