//! Remote caches that redirect, never end, or make much of little; and secrets that must stay where
//! they are.
#![cfg(feature = "remote")]

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2::OutputSymlink;
use serde_json::{Value, json};

use crate::support::fake_reapi::{FakeReapi, Offer};
use crate::support::http_cache::{HttpCache, HttpRequest};
use crate::support::project::{Output, Project, WheelText, some_interpreter, venvtree_with};

fn project() -> Project {
    let project = Project::new();
    let wheel = WheelText::new("one", "1.0").file("one/__init__.py", "x = 1\n").file(
        "one/data.bin",
        (0..200_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect::<Vec<_>>(),
    );
    let wheel = project.wheel(&wheel);
    project.spec(some_interpreter(), &[wheel], |_| {});
    project
}

fn run(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    venvtree_with(project.path(), arguments, "", variables)
}

fn build(project: &Project, url: &str, out: &str, more: &[&str]) -> Value {
    let arguments = [
        &[
            "build",
            "env.json",
            "--out",
            out,
            "--no-store",
            "--format",
            "json",
            "--remote-cache",
            url,
        ][..],
        more,
    ]
    .concat();
    let output = run(project, &arguments, &[]);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    output.json()
}

fn answer(mut connection: &TcpStream, text: &str) -> bool {
    let _ = connection.write_all(text.as_bytes());
    true
}

fn redirect(connection: &TcpStream, status: u16, location: &str) -> bool {
    answer(
        connection,
        &format!(
            "HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    )
}

const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 27\r\nConnection: close\r\n\r\n<html>Please log in!</html>";

/// A cache that is full, what it holds, and the project that filled it.
fn filled() -> (Project, HttpCache) {
    let (first, server) = (project(), HttpCache::start());
    let built = build(&first, &server.url(), "filled", &[]);
    assert_eq!(built["notes"], json!([]), "{built}");
    (first, server)
}

#[test]
fn no_request_follows_a_redirect_to_another_origin_and_none_that_writes_follows_any() {
    let (first, full) = filled();
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = full.authority().replace("127.0.0.1", "localhost");
        let server = HttpCache::start_with(move |request, connection| {
            redirect(connection, status, &format!("http://{elsewhere}{}", request.path))
        });
        full.requests.lock().unwrap().clear();
        let secrets = [
            "--remote-header",
            "authorization=Bearer s3cr3t",
            "--remote-header",
            "x-api-key=s3cr3t",
        ];
        let out = format!("redirected{status}");
        let built = build(&first, &server.url(), &out, &secrets);
        assert_eq!(built["source"], "wheels", "{status}: {built}");
        assert!(
            built["notes"].to_string().contains("to another origin, http://localhost:"),
            "{status}: {built}"
        );
        assert!(full.requests.lock().unwrap().is_empty(), "{status}: the other server was asked");
        let key = ("x-api-key".to_owned(), "s3cr3t".to_owned());
        assert!(
            server.requests.lock().unwrap().iter().all(|request| request.headers.contains(&key)),
            "{status}: this one gets them"
        );
        let pushed = run(
            &first,
            &[&["push", "filled", "--remote-cache", &server.url()][..], &secrets].concat(),
            &[],
        );
        assert_eq!(pushed.code, 8, "{status}: {}", pushed.stderr);
        assert!(full.requests.lock().unwrap().is_empty(), "{status}: the other server was asked");
        assert!(!(pushed.stderr + &built.to_string()).contains("s3cr3t"));
        // Only writes are redirected, and even within the server.
        let server = HttpCache::start_with(move |request, connection| {
            request.method == "PUT" && redirect(connection, status, "/login")
        });
        let pushed = run(&first, &["push", "filled", "--remote-cache", &server.url()], &[]);
        assert_eq!(pushed.code, 8, "{status}: {}", pushed.stderr);
        assert!(
            pushed.stderr.contains("PUT: the server answered")
                && pushed.stderr.contains("a redirect"),
            "{}",
            pushed.stderr
        );
        assert!(!server.requests.lock().unwrap().iter().any(|request| request.path == "/login"));
        let built = build(&first, &server.url(), &format!("unsent{status}"), &[]);
        assert!(
            built["notes"].to_string().contains("nothing is written to the remote cache"),
            "{built}"
        );
    }
}

#[test]
fn reads_follow_redirects_within_the_server() {
    let (first, full) = filled();
    let server = HttpCache::start_with(|request, connection| {
        request.method == "GET"
            && request.path.starts_with("/prefix/")
            && redirect(connection, 302, &request.path.replace("/prefix/", "/moved/"))
    });
    let moved = full
        .entries
        .lock()
        .unwrap()
        .iter()
        .map(|(path, bytes)| (path.replace("/prefix/", "/moved/"), bytes.clone()))
        .collect();
    *server.entries.lock().unwrap() = moved;
    let built = build(&first, &server.url(), "again", &["--remote-mode", "read"]);
    assert_eq!((&built["source"], &built["notes"]), (&json!("remote"), &json!([])), "{built}");
    let server =
        HttpCache::start_with(|request, connection| redirect(connection, 302, &request.path));
    let built = build(&first, &server.url(), "loop", &["--remote-mode", "read"]);
    assert!(built["notes"].to_string().contains("redirects more than 5 times"), "{built}");
}

#[test]
fn a_page_to_log_in_is_no_cache() {
    let first = project();
    let server = HttpCache::start_with(|_, connection| answer(connection, PAGE));
    let built = build(&first, &server.url(), "out", &[]);
    assert_eq!(built["source"], "wheels", "{built}");
    assert!(built["notes"].to_string().contains("is not used"), "{built}");
    assert!(built["notes"].to_string().contains("a web page, perhaps to log in"), "{built}");
    let pushed = run(&first, &["push", "out", "--remote-cache", &server.url()], &[]);
    assert_eq!(pushed.code, 8, "{}", pushed.stderr);
}

#[test]
fn whatever_page_answers_a_write_nothing_counts_as_sent() {
    let (first, _full) = filled();
    let push = |status: &'static str, kind: &'static str, body: &'static str| {
        let server = HttpCache::start_with(move |request, connection| {
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            request.method == "PUT" && answer(connection, &(head + body))
        });
        run(&first, &["push", "filled", "--remote-cache", &server.url()], &[])
    };
    for (status, kind, body) in [
        ("200 OK", "text/html", "\u{feff}<html>Log in</html>"),
        ("200 OK", "text/html; charset=utf-8", "<!-- proxy --><html>Log in</html>"),
        ("200 OK", "application/xhtml+xml", "<?xml version=\"1.0\"?><html/>"),
        ("200 OK", "Text/HTML", "\r\n <head><title>Log in</title>"),
        ("200 OK", "text/plain", "<!DOCTYPE html><title>Log in</title>"),
        ("202 Accepted", "text/html", "<html>Log in</html>"),
        ("203 Non-Authoritative", "text/html", "<html>Log in</html>"),
    ] {
        let pushed = push(status, kind, body);
        assert_eq!(pushed.code, 8, "{status} {kind} {body}: {}", pushed.stderr);
        pushed.says("a web page, perhaps to log in");
    }
    // What servers say of a file that they have made, or say always.
    let made = "<!DOCTYPE HTML><html><title>201 Created</title></html>";
    for (status, kind, body) in [
        ("201 Created", "text/html", made),
        ("200 OK", "text/html", ""),
        ("200 OK", "text/plain", "stored"),
    ] {
        let pushed = push(status, kind, body);
        assert_eq!(pushed.code, 0, "{status} {kind} {body}: {}", pushed.stderr);
    }
}

#[test]
fn headers_without_number_are_an_error() {
    let first = project();
    let headers: String = (0..10_000).map(|n| format!("h{n}=v\n")).collect();
    for url in ["grpc://127.0.0.1:9", "http://127.0.0.1:9"] {
        let arguments = ["build", "env.json", "--out", "out", "--no-store", "--remote-cache", url];
        let output = run(&first, &arguments, &[("VENVTREE_REMOTE_HEADERS", headers.as_str())]);
        assert!(
            output.code == 8 && output.stderr.contains("more than 256 headers"),
            "{}: {}",
            output.code,
            output.stderr
        );
    }
}

/// Sends one thing after another until the client has enough.
fn endlessly(mut connection: &TcpStream, head: &str, chunk: &[u8], pause: Duration) -> bool {
    let _ = connection.write_all(head.as_bytes());
    while connection.write_all(chunk).and_then(|()| connection.flush()).is_ok() {
        std::thread::sleep(pause);
    }
    true
}

#[test]
fn an_answer_that_does_not_end_is_not_waited_for() {
    let (first, full) = filled();
    let entries = full.entries.lock().unwrap().clone();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0x10, 0, 0][..], &[0; 4096]].concat();
    let empty_frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0].repeat(100);
    let (now, slowly) = (Duration::ZERO, Duration::from_millis(100));
    let zstd = "HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n\r\n";
    let endless: [(&str, &str, Vec<u8>, Duration); 9] = [
        ("skippable frames", zstd, skippable, now),
        ("empty frames", zstd, empty_frame, now),
        (
            "a byte now and then",
            "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n",
            b"x".to_vec(),
            slowly,
        ),
        (
            "a chunk now and then",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n".to_vec(),
            slowly,
        ),
        (
            "a chunk's extension",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            vec![b'x'; 4096],
            now,
        ),
        ("a header", "HTTP/1.1 200 OK\r\nX: ", vec![b'x'; 4096], now),
        ("headers now and then", "HTTP/1.1 200 OK\r\n", b"X: y\r\n".to_vec(), slowly),
        ("informational answers", "", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec(), now),
        ("nothing", "", Vec::new(), slowly),
    ];
    for (what, head, chunk, pause) in endless {
        for kind in ["/ac/", "/cas/"] {
            let (head, chunk) = (head.to_owned(), chunk.clone());
            let server =
                HttpCache::start_with(move |request: &HttpRequest, connection: &TcpStream| {
                    if request.method != "GET" || !request.path.contains(kind) {
                        return false;
                    }
                    if chunk.is_empty() {
                        std::thread::sleep(Duration::from_secs(30));
                        return true;
                    }
                    endlessly(connection, &head, &chunk, pause)
                });
            *server.entries.lock().unwrap() = entries.clone();
            let begun = Instant::now();
            let out = format!("{}{}", what.replace(' ', "-"), kind.replace('/', "-"));
            let built = build(
                &first,
                &server.url(),
                &out,
                &["--remote-timeout", "0.5", "--remote-mode", "read"],
            );
            assert_eq!(built["source"], "wheels", "{what} {kind}: {built}");
            assert!(!built["notes"].as_array().unwrap().is_empty(), "{what} {kind}: {built}");
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{what} {kind}: {:?}",
                begun.elapsed()
            );
        }
    }
}

#[test]
fn a_stream_that_does_not_end_is_not_waited_for() {
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0x10, 0, 0][..], &[0; 4096]].concat();
    let endless = [
        ("skippable frames", true, skippable, Duration::ZERO),
        ("no bytes", false, Vec::new(), Duration::ZERO),
        ("a byte now and then", false, b"x".to_vec(), Duration::from_millis(100)),
    ];
    for (what, zstd, data, pause) in endless {
        // So small a batch that everything is a stream.
        let server = FakeReapi::start(Offer { zstd, batch_limit: 300, ..Offer::default() });
        let first = project();
        let built = build(&first, &server.url(), "filled", &[]);
        assert_eq!(built["notes"], json!([]), "{what}: {built}");
        server.state().faults.endless_reads = Some((data, pause));
        let begun = Instant::now();
        let built = build(
            &first,
            &server.url(),
            "again",
            &["--remote-timeout", "0.5", "--remote-mode", "read"],
        );
        assert_eq!(built["source"], "wheels", "{what}: {built}");
        assert!(!built["notes"].as_array().unwrap().is_empty(), "{what}: {built}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_takes_nothing_is_not_waited_for() {
    let first = project();
    let server = HttpCache::start_with(|request, _| {
        let stalls = request.method == "PUT";
        if stalls {
            std::thread::sleep(Duration::from_secs(30));
        }
        stalls
    });
    let begun = Instant::now();
    let built = build(&first, &server.url(), "out", &["--remote-timeout", "0.5"]);
    assert!(built["notes"].to_string().contains("not used any more"), "{built}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// The most memory that a command took, in KiB; it must succeed.
fn peak(project: &Project, arguments: &[&str]) -> u64 {
    let program = "import resource, subprocess, sys\n\
        subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let output = std::process::Command::new("python3")
        .args(["-c", program, env!("CARGO_BIN_EXE_venvtree")])
        .args(arguments)
        .current_dir(project.path())
        .output()
        .expect("python3 is there");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn much_in_little_takes_little_memory() {
    let (first, full) = filled();
    let entries = full.entries.lock().unwrap().clone();
    let result = entries.keys().find(|path| path.contains("/ac/")).unwrap().clone();
    let command = |url: &str, out: &str| -> Vec<String> {
        [
            "build",
            "env.json",
            "--out",
            out,
            "--no-store",
            "--remote-mode",
            "read",
            "--remote-cache",
            url,
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let peak = |url: &str, out: &str| {
        peak(&first, &command(url, out).iter().map(String::as_str).collect::<Vec<_>>())
    };
    let usual = peak(&full.url(), "usual");
    // Five million outputs in fifteen megabytes.
    full.entries.lock().unwrap().insert(result, [0x12, 1, 0].repeat(5_000_000));
    let hostile = peak(&full.url(), "hostile");
    assert!(hostile < usual + 40_000, "{hostile} KiB, usually {usual}");
    // By gRPC, where a list would be made of them: a million and a half in three megabytes.
    let server = FakeReapi::start(Offer::default());
    build(&first, &server.url(), "again", &[]);
    let usual = peak(&server.url(), "usual-by-grpc");
    for result in server.state().results.values_mut() {
        result.output_symlinks = vec![OutputSymlink::default(); 1_500_000];
    }
    let hostile = peak(&server.url(), "hostile-by-grpc");
    assert!(hostile < usual + 40_000, "{hostile} KiB, usually {usual}");
}

#[test]
fn a_cache_that_lies_all_the_time_is_named_a_few_times() {
    let (first, full) = filled();
    for (path, bytes) in full.entries.lock().unwrap().iter_mut() {
        // Files only: messages are protocol buffers.
        if path.contains("/cas/") && !bytes.starts_with(b"\x0a") {
            bytes.push(b'!');
        }
    }
    let built = build(&first, &full.url(), "out", &["--remote-mode", "read"]);
    assert_eq!(built["source"], "wheels", "{built}");
    let notes = built["notes"].as_array().unwrap();
    let lies = notes.iter().filter(|note| note.as_str().unwrap().contains("lies")).count();
    // A blob is asked for twice, and what is said in the same words is said once.
    assert!((3..=4).contains(&lies), "{built}");
}

#[test]
fn sizes_beyond_all_bounds_are_asked_for_and_not_found() {
    let project = Project::new();
    let server = HttpCache::start();
    let path = format!("/prefix/cas/{}", "0".repeat(64));
    server.entries.lock().unwrap().insert(path, b"x".to_vec());
    for size in ["9223372036854775807", "18446744073709551615"] {
        let digest = format!("{}/{size}", "0".repeat(64));
        for url in [server.url(), FakeReapi::start(Offer::default()).url()] {
            let output = run(
                &project,
                &["pull", &digest, "--out", "out", "--no-store", "--remote-cache", &url],
                &[],
            );
            assert!([6, 8].contains(&output.code), "{size}: {} {}", output.code, output.stderr);
        }
    }
}

#[test]
fn a_secret_in_an_address_or_a_header_is_never_printed() {
    let first = project();
    let refusing = HttpCache::start_with(|_, connection| {
        answer(connection, "HTTP/1.1 403 s3cr3t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
    let urls = [
        format!("http://{}/s3cr3t", refusing.authority()),
        format!("http://{}/a?token=s3cr3t", refusing.authority()),
        "http://s3cr3t@127.0.0.1:1/".to_owned(),
        "http://user:s3cr3t@127.0.0.1:1/".to_owned(),
        "https://127.0.0.1:1/s3cr3t".to_owned(),
        "http://127.0.0.1:1/s3cr3t/".to_owned(),
        "grpc://127.0.0.1:1/s3cr3t".to_owned(),
        "s3cr3t".to_owned(),
        "http://no host/s3cr3t".to_owned(),
    ];
    let header = ["--remote-header", "authorization=Bearer s3cr3t-value"];
    for url in &urls {
        for format in ["text", "json"] {
            let quick = ["--remote-retries", "0", "--format", format];
            let build = [
                "build",
                "env.json",
                "--out",
                "out",
                "--no-store",
                "--replace",
                "--remote-cache",
                url,
            ];
            let output = run(&first, &[&build[..], &quick, &header].concat(), &[]);
            assert!(
                !(output.stdout.clone() + &output.stderr).contains("s3cr3t"),
                "{url}: {}{}",
                output.stdout,
                output.stderr
            );
            let pull = [
                "pull",
                "0000000000000000000000000000000000000000000000000000000000000000/1",
                "--out",
                "no",
                "--no-store",
            ];
            let output = run(
                &first,
                &[&pull[..], &quick, &header].concat(),
                &[("VENVTREE_REMOTE_CACHE", url)],
            );
            assert_ne!(output.code, 0);
            assert!(
                !(output.stdout.clone() + &output.stderr).contains("s3cr3t"),
                "{url}: {}{}",
                output.stdout,
                output.stderr
            );
        }
    }
    let output = run(
        &first,
        &["build", "env.json", "--out", "x", "--remote-cache", "http://h/x?token=s3cr3t"],
        &[],
    );
    output.ends(2, "holds a `?` with something after it");
}

#[test]
fn numbers_that_are_none_are_refused_wherever_they_stand() {
    let first = project();
    let build =
        ["build", "env.json", "--out", "out", "--no-store", "--remote-cache", "http://127.0.0.1:1"];
    for text in ["nan", "-1", "1e99", "+5", " ", "5 ", "0x5", "1.5.2", "inf"] {
        for name in ["TIMEOUT", "RETRIES", "CONNECTIONS"] {
            let variable = format!("VENVTREE_REMOTE_{name}");
            let output = run(&first, &build, &[(&variable, text)]);
            assert_eq!(output.code, 2, "{variable}={text}: {}", output.stderr);
            assert!(
                output.stderr.contains(&variable) && output.stderr.contains("expected"),
                "{variable}={text}: {}",
                output.stderr
            );
            let option = format!("--remote-{}={text}", name.to_lowercase());
            let output = run(&first, &[&build[..], &[&option]].concat(), &[]);
            assert_eq!(output.code, 2, "{option}: {}", output.stderr);
        }
        for arguments in
            [&["pack", "env.json", "--out", "out.tar"][..], &["create", "env", "--no-seed"]]
        {
            let output = run(&first, arguments, &[("SOURCE_DATE_EPOCH", text)]);
            assert_eq!(output.code, 2, "{arguments:?} {text}: {}", output.stderr);
            output.says("SOURCE_DATE_EPOCH");
        }
        for arguments in [
            ["store", "gc", "--store", "s", "--max-size"],
            ["store", "gc", "--store", "s", "--max-age"],
        ] {
            assert_eq!(
                run(&first, &[&arguments[..], &[text]].concat(), &[]).code,
                2,
                "{arguments:?} {text}"
            );
        }
    }
    for size in ["10GB", "1.5G", "500MiB", "1000000000"] {
        let limit = format!("total-size={size}");
        run(
            &first,
            &["build", "env.json", "--out", "sized", "--replace", "--no-store", "--limit", &limit],
            &[],
        )
        .success();
        run(&first, &["store", "gc", "--store", "s", "--max-size", size], &[]).success();
    }
}

#[test]
fn build_says_that_the_spec_decides_the_time() {
    let first = project();
    let said =
        |arguments: &[&str]| run(&first, arguments, &[("SOURCE_DATE_EPOCH", "1700000000")]).stderr;
    assert!(
        said(&["build", "env.json", "--out", "a", "--no-store"])
            .contains("the spec decides the time")
    );
    assert!(
        !said(&["build", "env.json", "--out", "b", "--no-store", "-q"])
            .contains("SOURCE_DATE_EPOCH")
    );
}
