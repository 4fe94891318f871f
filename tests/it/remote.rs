//! Remote caches: round trips with a strict server, every way in which a server can lie, and
//! servers that fail or are slow.
#![cfg(feature = "remote")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;
use venvtree::model::digest::{Digest, DigestFunction};

use crate::support::fake_reapi::{
    Corruption, FakeReapi, Faults, Listen, Offer, from_message, to_message,
};
use crate::support::http_cache::HttpCache;
use crate::support::project::{Output, Project, WheelText, listing, some_interpreter};

/// A file that goes by ByteStream: larger than a batch, and not to be compressed to nothing.
fn large() -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..5 << 20).map(|_| next()).collect()
}

/// A project with two wheels; `with_large` has a file of 5 MiB.
fn project(with_large: bool) -> Project {
    let project = Project::new();
    let mut one = WheelText::new("one", "1.0")
        .file("one/__init__.py", "import two\n")
        .file("one/data.txt", "text ".repeat(500));
    if with_large {
        one = one.file("one/large.bin", large());
    }
    let two = WheelText::new("two", "2.0").file("two.py", "x = 2\n").console_scripts("two = two:x");
    let wheels = [project.wheel(&one), project.wheel(&two)];
    project.spec(some_interpreter(), &wheels, |_| {});
    project
}

fn build(project: &Project, url: &str, more: &[&str]) -> Output {
    project.build("out").store("store").with(&["--remote-cache", url]).with(more).run_for_json()
}

/// Quick to give up.
const HASTY: [&str; 4] = ["--remote-retries", "1", "--remote-timeout", "2"];

/// A second machine: another path, an empty store, no wheels.
fn second_machine(first: &Project) -> Project {
    let project = Project::new();
    project.write("env.json", std::fs::read(first.path().join("env.json")).unwrap());
    project
}

#[test]
fn a_second_machine_gets_the_environment_without_wheels() {
    for (function, zstd, instance, with_large) in [
        ("sha256", true, "", true),
        ("sha256", false, "team/main", true),
        ("blake3", true, "team", true),
        ("blake3", false, "", false),
    ] {
        let name =
            if function == "blake3" { DigestFunction::Blake3 } else { DigestFunction::Sha256 };
        let server = FakeReapi::start(Offer {
            function: name,
            zstd,
            instance: instance.to_owned(),
            ..Offer::default()
        });
        let first = project(with_large);
        let mut spec: Value =
            serde_json::from_slice(&std::fs::read(first.path().join("env.json")).unwrap()).unwrap();
        spec["flags"] = json!({ "digest_function": function });
        first.write("env.json", spec.to_string());
        let more = ["--remote-instance-name", instance];
        let built = build(&first, &server.url(), &more).report();
        assert_eq!((&built["source"], &built["notes"]), (&json!("wheels"), &json!([])), "{built}");
        let second = second_machine(&first);
        let pulled = build(&second, &server.url(), &more).report();
        assert_eq!(
            (&pulled["source"], &pulled["notes"]),
            (&json!("remote"), &json!([])),
            "{pulled}"
        );
        assert_eq!(pulled["digest"], built["digest"]);
        assert_eq!(pulled["key"], built["key"]);
        assert_eq!(
            listing(second.path().join("out").as_std_path()),
            listing(first.path().join("out").as_std_path())
        );
        assert_eq!(server.state().complaints, Vec::<String>::new());
        // Nothing is downloaded twice: the third output comes out of the store.
        let again = second
            .run(&["build", "env.json", "--out", "again", "--store", "store", "--format", "json"]);
        assert_eq!(again.report()["source"], "store");
        // Nor uploaded twice.
        let third = project(with_large);
        let sent = third
            .build("out")
            .with(&["--remote-cache", &server.url(), "--remote-instance-name", instance])
            .run_for_json();
        let sent = sent.report();
        if function == "sha256" {
            assert_eq!(sent["remote"]["blobs_sent"], 0, "{sent}");
        }
    }
}

#[test]
fn only_what_the_store_lacks_is_downloaded() {
    let server = FakeReapi::start(Offer::default());
    let first = project(true);
    build(&first, &server.url(), &[]).report();
    // The other environment shares the wheel with the large file.
    let second = Project::new();
    for name in ["one-1.0-py3-none-any.whl", "two-2.0-py3-none-any.whl"] {
        second.write(
            &format!("wheels/{name}"),
            std::fs::read(first.path().join("wheels").join(name)).unwrap(),
        );
    }
    let mut spec: Value =
        serde_json::from_slice(&std::fs::read(first.path().join("env.json")).unwrap()).unwrap();
    second.write("env.json", spec.to_string());
    spec["wheels"].as_array_mut().unwrap().pop();
    second.write("less.json", spec.to_string());
    second.run(&["build", "less.json", "--out", "less", "--store", "store"]).success();
    let pulled = build(&second, &server.url(), &[]).report();
    assert_eq!(pulled["source"], "remote");
    assert!(pulled["remote"]["bytes_received"].as_u64().unwrap() < 100_000, "{pulled}");
}

/// Every lie, with a wheel at hand: the environment is built from the wheels and right, and the lie
/// is visible.
#[test]
fn a_lie_about_what_is_small_is_a_visible_miss_and_never_an_output() {
    lies_are_misses(false);
}

#[test]
fn a_lie_about_a_large_file_is_a_visible_miss_and_never_an_output() {
    lies_are_misses(true);
}

fn lies_are_misses(with_large: bool) {
    let first = project(with_large);
    let server = FakeReapi::start(Offer::default());
    let honest = build(&first, &server.url(), &[]).report();
    let honest_blobs = server.state().blobs.clone();
    let result = server.state().results.values().next().unwrap().clone();
    let tree_digest = from_message(result.output_directories[0].tree_digest.as_ref()).unwrap();
    let tree = reapi::Tree::decode(honest_blobs[&tree_digest].as_slice()).unwrap();
    let small = DigestFunction::Sha256.digest(b"x = 2\n");
    let text = DigestFunction::Sha256.digest("text ".repeat(500).as_bytes());
    let big = DigestFunction::Sha256.digest(&large());

    let mut lies: Vec<Lie> = Vec::new();
    for corruption in [
        Corruption::Flip,
        Corruption::Truncate,
        Corruption::Extend,
        Corruption::NotZstd,
        Corruption::ZstdBomb,
        Corruption::Gone,
    ] {
        let targets = if with_large {
            vec![("large file", big)]
        } else {
            vec![("small file", small), ("text", text), ("tree", tree_digest)]
        };
        for (what, digest) in targets {
            lies.push((
                format!("{what}: {corruption:?}"),
                HashMap::from([(digest, corruption)]),
                None,
                Vec::new(),
            ));
        }
    }
    if with_large {
        return check_lies(&first, &server, &honest, lies);
    }
    let mut forged = |what: &str, edit: &dyn Fn(&mut reapi::ActionResult)| {
        let mut result = result.clone();
        edit(&mut result);
        lies.push((what.to_owned(), HashMap::new(), Some(result), Vec::new()));
    };
    forged("exit code", &|result| result.exit_code = 1);
    forged("no outputs", &|result| result.output_directories.clear());
    forged("no tree digest", &|result| result.output_directories[0].tree_digest = None);
    forged("another action's result", &|result| {
        result.output_directories[0].path = "venv-other".to_owned()
    });
    forged("an output that escapes", &|result| {
        result.output_directories[0].path = "../../etc".to_owned()
    });
    forged("two outputs", &|result| {
        let copy = result.output_directories[0].clone();
        result.output_directories.push(copy);
    });
    forged("a file beside it", &|result| {
        result.output_files.push(reapi::OutputFile {
            path: "../x".to_owned(),
            digest: Some(to_message(small)),
            ..Default::default()
        });
    });
    forged("another root digest", &|result| {
        result.output_directories[0].root_directory_digest = Some(to_message(small))
    });
    forged("a digest with upper case", &|result| {
        let digest = result.output_directories[0].tree_digest.as_mut().unwrap();
        digest.hash = digest.hash.to_uppercase();
    });
    forged("a negative size", &|result| {
        result.output_directories[0].tree_digest.as_mut().unwrap().size_bytes = -1
    });
    forged("a huge size", &|result| {
        result.output_directories[0].tree_digest.as_mut().unwrap().size_bytes = i64::MAX
    });

    // Trees that are what their digest says, and nothing to write.
    let mut crafted = |what: &str, edit: &dyn Fn(&mut reapi::Tree)| {
        let mut tree = tree.clone();
        edit(&mut tree);
        let message = tree.encode_to_vec();
        let mut result = result.clone();
        result.output_directories[0].tree_digest =
            Some(to_message(DigestFunction::Sha256.digest(&message)));
        result.output_directories[0].root_directory_digest = None;
        lies.push((what.to_owned(), HashMap::new(), Some(result), vec![message]));
    };
    let root = |tree: &mut reapi::Tree, edit: &dyn Fn(&mut reapi::Directory)| {
        edit(tree.root.as_mut().unwrap())
    };
    let file = |name: &str| reapi::FileNode {
        name: name.to_owned(),
        digest: Some(to_message(small)),
        ..Default::default()
    };
    for name in ["..", ".", "", "../x", "/etc/x", "a/b", "a\0b"] {
        crafted(&format!("a file called {name:?}"), &|tree| {
            root(tree, &|root| root.files.insert(0, file(name)))
        });
    }
    crafted("a name twice", &|tree| {
        root(tree, &|root| root.files.push(root.files.last().unwrap().clone()))
    });
    crafted("an unsorted name", &|tree| root(tree, &|root| root.files.push(file("0"))));
    crafted("a directory that is a file, too", &|tree| {
        root(tree, &|root| root.files.insert(0, file("bin")))
    });
    let link = |name: &str, target: &str| reapi::SymlinkNode {
        name: name.to_owned(),
        target: target.to_owned(),
        ..Default::default()
    };
    crafted("a link that escapes", &|tree| {
        root(tree, &|root| root.symlinks.push(link("x", "../../../etc/passwd")))
    });
    crafted("an absolute link", &|tree| {
        root(tree, &|root| root.symlinks.push(link("x", "/etc/passwd")))
    });
    crafted("an empty link", &|tree| root(tree, &|root| root.symlinks.push(link("x", ""))));
    crafted("a missing directory", &|tree| {
        tree.children.pop();
    });
    crafted("no root", &|tree| tree.root = None);
    crafted("another environment: no such distribution", &|tree| {
        // Everything that needs no wheel is right.
        let site = tree
            .children
            .iter()
            .position(|directory| {
                directory.directories.iter().any(|below| below.name == "two-2.0.dist-info")
            })
            .unwrap();
        let mut replaced = tree.children[site].clone();
        replaced.directories.retain(|below| below.name != "two-2.0.dist-info");
        let mut old = tree.children[site].encode_to_vec();
        tree.children[site] = replaced.clone();
        let mut new = replaced.encode_to_vec();
        // And all the way up, so that every digest fits.
        loop {
            let (from, to) =
                (DigestFunction::Sha256.digest(&old), DigestFunction::Sha256.digest(&new));
            let holds = |directory: &reapi::Directory| {
                directory
                    .directories
                    .iter()
                    .any(|below| below.digest.as_ref() == Some(&to_message(from)))
            };
            let parent = if holds(tree.root.as_ref().unwrap()) {
                tree.root.as_mut().unwrap()
            } else {
                tree.children.iter_mut().find(|below| holds(below)).unwrap()
            };
            old = parent.encode_to_vec();
            for below in &mut parent.directories {
                if below.digest.as_ref() == Some(&to_message(from)) {
                    below.digest = Some(to_message(to));
                }
            }
            new = parent.encode_to_vec();
            if tree.root.as_ref().unwrap().encode_to_vec() == new {
                break;
            }
        }
    });
    let deep = |tree: &mut reapi::Tree| {
        let mut below = reapi::Directory::default();
        for _ in 0..600 {
            let digest = to_message(DigestFunction::Sha256.digest(&below.encode_to_vec()));
            tree.children.push(below);
            below = reapi::Directory {
                directories: vec![reapi::DirectoryNode {
                    name: "d".to_owned(),
                    digest: Some(digest),
                }],
                ..Default::default()
            };
        }
        tree.root = Some(below);
    };
    crafted("a huge depth", &deep);
    check_lies(&first, &server, &honest, lies);
}

/// What is said of a lie; bytes that go wrong on the way; a forged result; blobs for it.
type Lie = (String, HashMap<Digest, Corruption>, Option<reapi::ActionResult>, Vec<Vec<u8>>);

fn check_lies(first: &Project, server: &FakeReapi, honest: &Value, lies: Vec<Lie>) {
    let (honest_blobs, honest_results) = {
        let state = server.state();
        (state.blobs.clone(), state.results.clone())
    };
    let action = *honest_results.keys().next().unwrap();
    for (what, corrupt, forged, extra) in lies {
        {
            let mut state = server.state();
            state.blobs = honest_blobs.clone();
            state.results = honest_results.clone();
            state.blobs.extend(
                extra.into_iter().map(|message| (DigestFunction::Sha256.digest(&message), message)),
            );
            if let Some(result) = forged {
                state.results.insert(action, result);
            }
            state.faults = Faults { corrupt, ..Faults::default() };
        }
        // Where the wheels are, the environment is right all the same.
        let with_wheels = second_machine(first);
        for entry in first.path().join("wheels").read_dir_utf8().unwrap().flatten() {
            with_wheels.write(
                &format!("wheels/{}", entry.file_name()),
                std::fs::read(entry.path()).unwrap(),
            );
        }
        let output = build(&with_wheels, &server.url(), &["--remote-mode", "read"]);
        let found = output.report();
        assert_eq!(found["source"], "wheels", "{what}: {found}");
        assert_eq!(found["digest"], honest["digest"], "{what}");
        assert!(
            !found["notes"].as_array().unwrap().is_empty() && output.stderr.contains("warning: "),
            "{what}: {found}"
        );
        let digest = with_wheels.run(&["digest", "out"]).success();
        assert_eq!(digest.trim(), honest["digest"].as_str().unwrap(), "{what}");
        let sound = with_wheels.run(&["store", "verify", "--store", "store"]);
        assert_eq!(sound.code, 0, "{what}: {}", sound.stdout);
        // Where they are not, there is no output at all.
        let without = second_machine(first);
        let output = build(&without, &server.url(), &["--remote-mode", "read"]);
        assert_ne!(output.code, 0, "{what}");
        let left = without.names();
        assert!(!left.iter().any(|name| name != "env.json" && name != "store"), "{what}: {left:?}");
    }
}

#[test]
fn a_server_without_capabilities_or_compression_and_with_a_smaller_limit_serves_as_well() {
    let quirks = [
        Offer { capabilities: false, zstd: false, ..Offer::default() },
        Offer { batch_limit: 4 << 20, true_batch_limit: 1200, ..Offer::default() },
        Offer { batch_limit: 900, ..Offer::default() },
    ];
    for offer in quirks {
        let server = FakeReapi::start(offer.clone());
        let first = project(false);
        build(&first, &server.url(), &[]).report();
        let pulled = build(&second_machine(&first), &server.url(), &[]).report();
        assert_eq!(
            (&pulled["source"], &pulled["notes"]),
            (&json!("remote"), &json!([])),
            "{offer:?}"
        );
        assert_eq!(server.state().complaints, Vec::<String>::new());
    }
}

#[test]
fn what_fails_for_a_moment_is_tried_again() {
    for code in [Code::Unavailable, Code::Internal] {
        let server = FakeReapi::start(Offer::default());
        let fail = |methods: &[&'static str]| {
            server.state().faults.fail =
                methods.iter().map(|method| (*method, (1, code))).collect();
        };
        let first = project(true);
        fail(&[
            "GetCapabilities",
            "GetActionResult",
            "FindMissingBlobs",
            "Write",
            "UpdateActionResult",
        ]);
        let built = build(&first, &server.url(), &[]).report();
        assert_eq!(built["notes"], json!([]), "{code:?}: {built}");
        fail(&["GetActionResult", "Read"]);
        let pulled = build(&second_machine(&first), &server.url(), &[]).report();
        assert_eq!(
            (&pulled["source"], &pulled["notes"]),
            (&json!("remote"), &json!([])),
            "{code:?}: {pulled}"
        );
        assert!(pulled["remote"]["retries"].as_u64().unwrap() >= 2, "{pulled}");
    }
}

#[test]
fn streams_that_break_off_go_on_where_they_stopped() {
    for zstd in [false, true] {
        let server = FakeReapi::start(Offer { zstd, ..Offer::default() });
        let first = project(true);
        server.state().faults.break_writes = Some((1 << 20, 2));
        let built = build(&first, &server.url(), &[]).report();
        assert_eq!(built["notes"], json!([]), "{built}");
        server.state().faults.break_reads = Some((1 << 20, 2));
        let pulled = build(&second_machine(&first), &server.url(), &[]).report();
        assert_eq!(
            (&pulled["source"], &pulled["notes"]),
            (&json!("remote"), &json!([])),
            "zstd {zstd}: {pulled}"
        );
        let state = server.state();
        assert_eq!(state.complaints, Vec::<String>::new());
        assert!(state.calls["Read"] >= 3);
        assert_eq!(
            state.calls.get("QueryWriteStatus").copied().unwrap_or(0),
            if zstd { 0 } else { 2 }
        );
    }
}

#[test]
fn a_write_that_is_not_allowed_does_not_fail_the_build_and_is_said() {
    let server = FakeReapi::start(Offer { updates: false, ..Offer::default() });
    let built = build(&project(false), &server.url(), &[]).report();
    assert!(built["notes"].to_string().contains("takes no results"), "{built}");

    let server = FakeReapi::start(Offer::default());
    server.state().faults.fail =
        HashMap::from([("BatchUpdateBlobs", (usize::MAX, Code::PermissionDenied))]);
    let built = build(&project(false), &server.url(), &[]).report();
    assert!(built["notes"].to_string().contains("nothing is written"), "{built}");
    assert_eq!(server.state().calls["BatchUpdateBlobs"], 1, "not tried again");
}

#[test]
fn modes_are_kept() {
    let server = FakeReapi::start(Offer::default());
    let first = project(false);
    build(&first, &server.url(), &["--remote-mode", "read"]).report();
    assert!(server.state().blobs.is_empty() && server.state().results.is_empty());
    build(&project(false), &server.url(), &["--remote-mode", "write"]).report();
    assert_eq!(server.state().results.len(), 1);
    let built = build(&project(false), &server.url(), &["--remote-mode", "write"]).report();
    assert_eq!(built["source"], "wheels", "nothing is taken from it");
}

#[test]
fn a_server_that_is_gone_or_slow_costs_little_and_is_said() {
    // Nobody listens.
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("grpc://{}", listener.local_addr().unwrap())
    };
    let built = build(&project(false), &url, &HASTY).report();
    assert!(built["notes"].to_string().contains("not used any more"), "{built}");

    // It goes away in the middle, wherever that is.
    for requests in 0..6 {
        let server = FakeReapi::start(Offer { batch_limit: 900, ..Offer::default() });
        let first = project(false);
        build(&first, &server.url(), &[]).report();
        server.state().calls.clear();
        server.state().faults.gone_after = Some(requests);
        let again = project(false);
        let built = build(&again, &server.url(), &HASTY).report();
        assert!(
            built["source"] == "remote" || !built["notes"].as_array().unwrap().is_empty(),
            "{requests}: {built}"
        );
    }

    let server = FakeReapi::start(Offer::default());
    server.state().faults.delay = Duration::from_secs(30);
    let start = Instant::now();
    let built = build(
        &project(false),
        &server.url(),
        &["--remote-retries", "0", "--remote-timeout", "0.3"],
    )
    .report();
    assert!(
        start.elapsed() < Duration::from_secs(5)
            && built["notes"].to_string().contains("not used any more"),
        "{built}"
    );
}

#[test]
fn headers_and_credential_helpers_let_requests_in() {
    let server = FakeReapi::start(Offer { header: Some(("x-key", "secret")), ..Offer::default() });
    let refused = build(&project(false), &server.url(), &[]).report();
    assert!(refused["notes"].to_string().contains("who are you"), "{refused}");
    let built =
        build(&project(false), &server.url(), &["--remote-header", "X-Key=secret"]).report();
    assert_eq!(built["notes"], json!([]), "{built}");
    let with_helper = project(false);
    let script = "#!/bin/sh\ncat >/dev/null\necho '{\"headers\": {\"x-key\": [\"secret\"]}}'\n";
    let helper = with_helper.path().join("helper");
    crate::support::write_executable(helper.as_std_path(), script.as_bytes());
    let built =
        build(&with_helper, &server.url(), &["--credential-helper", helper.as_str()]).report();
    assert_eq!((&built["source"], &built["notes"]), (&json!("remote"), &json!([])), "{built}");
}

/// Runs `openssl` in a project.
fn openssl(project: &Project, arguments: &str) {
    let output = std::process::Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(project.path())
        .output();
    let output = output.expect("openssl is installed: run .ci/install");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn tls_with_an_authority_and_a_client_certificate_of_ones_own() {
    let first = project(false);
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        &first,
        &format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority -addext basicConstraints=critical,CA:TRUE"
        ),
    );
    for (name, extension) in
        [("server", "subjectAltName=DNS:localhost"), ("client", "extendedKeyUsage=clientAuth")]
    {
        openssl(&first, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        first.write(&format!("{name}.ext"), extension);
        openssl(
            &first,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile {name}.ext"
            ),
        );
    }
    let read = |name: &str| std::fs::read_to_string(first.path().join(name)).unwrap();
    let listen = Listen::Tls {
        certificate: read("server.pem"),
        key: read("server.key"),
        clients: read("ca.pem"),
    };
    let server = FakeReapi::start_on(Offer::default(), listen);
    let path = |name: &str| first.path().join(name).to_string();
    let (ca, certificate, key) = (path("ca.pem"), path("client.pem"), path("client.key"));
    let trusting = [
        "--tls-certificate",
        &ca,
        "--tls-client-certificate",
        &certificate,
        "--tls-client-key",
        &key,
    ];
    let built = build(&first, &server.url(), &trusting).report();
    assert_eq!(built["notes"], json!([]), "{built}");
    let hit = build(&second_machine(&first), &server.url(), &trusting).report();
    assert_eq!((&hit["source"], &hit["notes"]), (&json!("remote"), &json!([])), "{hit}");
    // Without a certificate the server does not let us in; without the authority we do not trust
    // it.
    for distrusting in [&trusting[..2], &trusting[2..]] {
        let refused =
            build(&project(false), &server.url(), &[distrusting, &HASTY[..]].concat()).report();
        assert!(
            refused["source"] == "wheels"
                && refused["notes"].to_string().contains("not used any more"),
            "{refused}"
        );
    }
}

#[test]
fn a_unix_socket_serves_as_well() {
    let first = project(false);
    let server = FakeReapi::start_on(Offer::default(), Listen::Unix(first.path().join("socket")));
    build(&first, &server.url(), &[]).report();
    let hit = build(&second_machine(&first), &server.url(), &[]).report();
    assert_eq!((&hit["source"], &hit["notes"]), (&json!("remote"), &json!([])), "{hit}");
}

#[test]
fn trees_are_pushed_and_pulled_by_digest() {
    let server = FakeReapi::start(Offer::default());
    let first = project(true);
    first.run(&["build", "env.json", "--out", "out", "--no-store"]).success();
    let pushed = first.run(&["push", "out", "--remote-cache", &server.url()]);
    let digest = pushed.stdout.trim().to_owned();
    assert_eq!(
        (pushed.code, &digest),
        (0, &first.run(&["digest", "out"]).success().trim().to_owned())
    );
    let second = Project::new();
    second
        .run(&[
            "pull",
            &digest,
            "--out",
            "pulled",
            "--store",
            "store",
            "--remote-cache",
            &server.url(),
        ])
        .success();
    assert_eq!(second.run(&["digest", "pulled"]).success().trim(), digest);
    // Once it is in the store no server is needed.
    drop(server);
    second.run(&["pull", &digest, "--out", "again", "--store", "store"]).success();
    let lacking = second.run(&["pull", &digest, "--out", "third", "--store", "elsewhere"]);
    assert_eq!(lacking.code, 8, "{}", lacking.stderr);
    assert!(!second.path().join("third").exists());
}

#[test]
fn an_http_cache_serves_a_second_machine_and_its_lies_are_misses() {
    let server = HttpCache::start();
    let first = project(true);
    let built = build(&first, &server.url(), &[]).report();
    assert_eq!((&built["source"], &built["notes"]), (&json!("wheels"), &json!([])), "{built}");
    let hit = build(&second_machine(&first), &server.url(), &[]).report();
    assert_eq!(
        (&hit["source"], &hit["notes"], &hit["digest"]),
        (&json!("remote"), &json!([]), &built["digest"]),
        "{hit}"
    );
    let honest = server.entries.lock().unwrap().clone();
    let of_file = format!("/prefix/cas/{}", DigestFunction::Sha256.digest(b"x = 2\n").hash);
    let of_large = format!("/prefix/cas/{}", DigestFunction::Sha256.digest(&large()).hash);
    let of_result = honest.keys().find(|path| path.starts_with("/prefix/ac/")).unwrap().clone();
    type Damage<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));
    let wrong: [Damage<'_>; 3] = [
        ("other bytes", &|bytes| bytes[0] ^= 1),
        ("too short", &|bytes| bytes.truncate(bytes.len() / 2)),
        ("too long", &|bytes| bytes.push(0)),
    ];
    for (what, damage) in wrong {
        for path in [&of_file, &of_large, &of_result] {
            let mut entries = honest.clone();
            damage(entries.get_mut(path).unwrap());
            *server.entries.lock().unwrap() = entries;
            let with_wheels = second_machine(&first);
            for entry in first.path().join("wheels").read_dir_utf8().unwrap().flatten() {
                with_wheels.write(
                    &format!("wheels/{}", entry.file_name()),
                    std::fs::read(entry.path()).unwrap(),
                );
            }
            let found = build(&with_wheels, &server.url(), &["--remote-mode", "read"]).report();
            assert_eq!(
                (&found["source"], &found["digest"]),
                (&json!("wheels"), &built["digest"]),
                "{what} {path}: {found}"
            );
            assert!(!found["notes"].as_array().unwrap().is_empty(), "{what} {path}: {found}");
        }
    }
}
