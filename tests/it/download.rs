//! Files that are fetched: continued, tried again, compared, and without secrets for others.
#![cfg(feature = "remote")]

use std::time::Duration;

use camino::Utf8PathBuf;
use venvtree::effects::net::download::{
    Beside, Expected, Fetched, Network, NetworkConfig, NotFetched, Places, Wanted,
};
use venvtree::effects::net::netrc::Netrc;
use venvtree::effects::net::retry::Schedule;
use venvtree::effects::work::progress::Progress;
use venvtree::model::address::Address;
use venvtree::model::digest::Hash;

use crate::support::file_server::{Behaviour, FileServer};
use crate::support::project::Project;

/// Bytes that are nowhere the same.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn quick() -> NetworkConfig {
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(5));
    let schedule = Schedule { retries: 4, first, longest };
    NetworkConfig { schedule, timeout: Duration::from_secs(10), ..NetworkConfig::default() }
}

/// Where files go.
struct Shelf(Project);

impl Shelf {
    fn new() -> Self {
        Self(Project::new())
    }

    fn wanted(&self, name: &str, bytes: &[u8], addresses: &[&str]) -> Wanted {
        let place = |folder: &str| self.0.path().join(format!("{name}{folder}"));
        let places = Places { partial: place(".part"), finished: place(""), mode: 0o644 };
        let addresses = addresses.iter().map(|text| Address::parse(text).expect("an address"));
        let (sha256, size) = (Hash::sha256(bytes), Some(bytes.len() as u64));
        let hash = Expected::Sha256(sha256);
        Wanted { hash, size, addresses: addresses.collect(), places }
    }

    fn fetch(&self, config: NetworkConfig, wanted: &Wanted) -> Result<Fetched, NotFetched> {
        let network = Network::new(config).expect("a network");
        network.fetch(std::slice::from_ref(wanted), &Progress::default(), Beside::NOTHING).remove(0)
    }

    /// What is there.
    fn files(&self) -> Vec<String> {
        let entries = self.0.path().read_dir_utf8().expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_owned()).collect();
        names.sort();
        names
    }
}

/// Fetches one file from a server; returns the server, the place and the outcome.
fn fetch_from(
    server: FileServer,
    bytes: &[u8],
    change: impl FnOnce(&mut Wanted),
) -> (FileServer, Shelf, Result<(), String>) {
    let shelf = Shelf::new();
    let address = server.add("/a/x.whl", bytes);
    let mut wanted = shelf.wanted("x", bytes, &[&address]);
    change(&mut wanted);
    let outcome = shelf.fetch(quick(), &wanted);
    if outcome.is_ok() {
        assert_eq!(shelf.files(), ["x"]);
        assert!(std::fs::read(&wanted.places.finished).expect("a file") == bytes);
    }
    let outcome = outcome.map(|_| ()).map_err(|error| {
        assert!(!wanted.places.finished.exists());
        error.reasons.join("\n").replace(&server.authority(), "HOST")
    });
    (server, shelf, outcome)
}

#[test]
fn what_is_broken_off_is_continued() {
    let bytes = content(3_000_000);
    let server = FileServer::start_with(|_, count| match count {
        0 => Behaviour::Cut(1_500_000),
        1 => Behaviour::Cut(700_000),
        _ => Behaviour::Serve,
    });
    let (server, _, outcome) = fetch_from(server, &bytes, |wanted| wanted.size = None);
    assert_eq!(outcome, Ok(()));
    let requests = server.requests();
    let seen: Vec<_> =
        requests.iter().map(|found| (found.header("range"), found.header("if-range"))).collect();
    let tag = Some("\"3000000\"");
    let expected = [(None, None), (Some("bytes=1500000-"), tag), (Some("bytes=2200000-"), tag)];
    assert_eq!(seen, expected);
}

#[test]
fn a_later_process_continues_and_a_server_without_ranges_begins_anew() {
    let bytes = content(100_000);
    for (behaviour, ranges) in [(Behaviour::Serve, 1), (Behaviour::ServeAll, 1)] {
        let server = FileServer::start_with(move |_, _| behaviour.clone());
        let (server, _, outcome) = fetch_from(server, &bytes, |wanted| {
            std::fs::write(&wanted.places.partial, &bytes[..40_000]).expect("written");
        });
        assert_eq!(outcome, Ok(()));
        let asked: Vec<_> = server
            .requests()
            .iter()
            .filter_map(|found| found.header("range").map(str::to_owned))
            .collect();
        assert_eq!(asked, vec!["bytes=40000-"; ranges]);
        assert_eq!(server.requests().len(), 1);
    }
    // What another file left is thrown away once; what is whole needs no request.
    let (server, _, outcome) = fetch_from(FileServer::start(), &bytes, |wanted| {
        std::fs::write(&wanted.places.partial, content(50_000).split_off(1)).expect("written");
    });
    assert_eq!((outcome, server.requests().len()), (Ok(()), 2));
    let (server, _, outcome) = fetch_from(FileServer::start(), &bytes, |wanted| {
        std::fs::write(&wanted.places.partial, &bytes).expect("written");
        wanted.size = None;
    });
    assert_eq!((outcome, server.requests().len()), (Ok(()), 0));
    let (server, _, outcome) = fetch_from(FileServer::start(), &bytes, |wanted| {
        std::fs::write(&wanted.places.partial, content(200_000)).expect("written");
        wanted.size = None;
    });
    // Nothing can follow it.
    assert_eq!((outcome, server.requests().len()), (Ok(()), 2));
}

#[test]
fn what_may_pass_is_tried_again_and_what_stays_is_said() {
    let bytes = content(1000);
    let status = |lines: &'static [&'static str]| {
        FileServer::start_with(move |_, count| match lines.get(count) {
            Some(status) => Behaviour::Status(status, vec!["Retry-After: 0".to_owned()]),
            None => Behaviour::Serve,
        })
    };
    for (lines, tries) in [
        (&["500 Internal Server Error", "500 Internal Server Error"][..], 3),
        (&["429 Too Many Requests", "408 Request Timeout", "503 Service Unavailable"][..], 4),
    ] {
        let (server, _, outcome) = fetch_from(status(lines), &bytes, |_| {});
        assert_eq!((outcome, server.requests().len()), (Ok(()), tries));
    }
    let check = |server, tries: usize, expected: &str| {
        let (server, shelf, outcome) = fetch_from(server, &bytes, |_| {});
        assert_eq!(outcome, Err(format!("http://HOST/…/x.whl: {expected}")));
        assert_eq!((server.requests().len(), shelf.files()), (tries, vec![]), "{expected}");
    };
    check(status(&["502 Bad Gateway"; 9]), 5, "answered 502 Bad Gateway, 5 times");
    check(status(&["404 Not Found"]), 1, "answered 404 Not Found");
    let known = "401; there are no credentials for 127.0.0.1 (netrc, --credential-helper)";
    check(status(&["401 Unauthorized"]), 1, known);
    let busy =
        |_: &_, _| Behaviour::Status("429 Too Many Requests", vec!["Retry-After: 3600".to_owned()]);
    let expected = "answered 429 Too Many Requests, and asks to wait 3600 s";
    check(FileServer::start_with(busy), 1, expected);
}

#[test]
fn other_files_are_refused() {
    let bytes = content(1000);
    let (right, wrong) = (Hash::sha256(&bytes), Hash::sha256(&[7; 1000]));
    let other =
        |bytes: Vec<u8>| FileServer::start_with(move |_, _| Behaviour::Other(bytes.clone()));
    let check = |server, size: Option<u64>, expected: &str| {
        let (server, shelf, outcome) = fetch_from(server, &bytes, |wanted| wanted.size = size);
        assert_eq!(outcome, Err(format!("http://HOST/…/x.whl: {expected}")));
        assert_eq!((server.requests().len(), shelf.files()), (1, vec![]), "{expected}");
    };
    let hashes = format!("its SHA-256 is {wrong}, expected {right}");
    check(other(vec![7; 1000]), Some(1000), &hashes);
    check(other(vec![7; 1000]), None, &hashes);
    check(FileServer::start(), Some(11), "has 1000 bytes, expected 11");
    check(FileServer::start(), Some(2000), "has 1000 bytes, expected 2000");
    let (_, _, outcome) = fetch_from(other(vec![7; 1000]), &bytes, |wanted| {
        wanted.addresses.push(Address::parse("file:///nowhere/x.whl").expect("an address"));
    });
    let reason = outcome.expect_err("nothing there");
    assert!(
        reason
            .ends_with("\n/nowhere/x.whl: cannot be read: No such file or directory (os error 2)"),
        "{reason}"
    );
}

#[test]
fn addresses_are_tried_in_order_and_what_one_began_another_continues() {
    let bytes = content(50_000);
    let first = FileServer::start_with(|_, count| match count {
        0 => Behaviour::Cut(20_000),
        _ => Behaviour::Status("404 Not Found", vec![]),
    });
    let second = FileServer::start();
    let shelf = Shelf::new();
    let addresses = [first.add("/x.whl", &bytes), second.add("/x.whl", &bytes)];
    let wanted = shelf.wanted("x", &bytes, &[&addresses[0], &addresses[1]]);
    shelf.fetch(quick(), &wanted).expect("fetched");
    assert_eq!((first.requests().len(), second.requests().len()), (2, 1));
    let asked = second.requests();
    assert_eq!(
        (asked[0].header("range"), asked[0].header("if-range")),
        (Some("bytes=20000-"), None)
    );
}

#[test]
fn secrets_go_to_their_host_only() {
    let bytes = content(1000);
    let behind = FileServer::start();
    let target = behind.add("/y.whl?token=s3cret", &bytes);
    let front = FileServer::start_with(move |_, _| {
        Behaviour::Status("302 Found", vec![format!("Location: {target}")])
    });
    let shelf = Shelf::new();
    let address = front.add("/x.whl", &bytes).replace("http://", "http://me:s3cret@");
    let wanted = shelf.wanted("x", &bytes, &[&address]);
    let netrc = Netrc::parse("default login other password s3cret");
    shelf.fetch(NetworkConfig { netrc: netrc.clone(), ..quick() }, &wanted).expect("fetched");
    assert_eq!(front.requests()[0].header("authorization"), Some("Basic bWU6czNjcmV0"));
    assert_eq!(behind.requests().len(), 1);
    assert_eq!(behind.requests()[0].header("authorization"), None);

    // From a netrc file, and for a mirror; nothing of it is in messages.
    let refusing = FileServer::start_with(|_, _| Behaviour::Status("403 Forbidden", vec![]));
    refusing.add("/s3cret/x.whl", &bytes);
    let mirror = format!("http://{}/s3cret", refusing.authority());
    let read = |text: &str| Address::parse(text).expect("an address");
    let mirrors = vec![(read("https://files.example/a"), read(&mirror))];
    let wanted = shelf.wanted("z", &bytes, &["https://me:s3cret@files.example/a/x.whl?s3cret"]);
    let error = shelf.fetch(NetworkConfig { netrc, mirrors, ..quick() }, &wanted).unwrap_err();
    let expected = "403; the credentials for 127.0.0.1 are not accepted";
    assert_eq!(error.reasons, [format!("http://{}/…/x.whl: {expected}", refusing.authority())]);
    let sent = refusing.requests();
    assert_eq!(sent[0].path, "/s3cret/x.whl?s3cret");
    assert_eq!(sent[0].header("authorization"), Some("Basic b3RoZXI6czNjcmV0"));
}

#[test]
fn two_that_want_one_file_fetch_it_once_and_many_come_at_once() {
    let bytes = content(60_000);
    let server = FileServer::start_with(|_, _| Behaviour::Slow(10_000, 30));
    let shelf = Shelf::new();
    let address = server.add("/x.whl", &bytes);
    let wanted = shelf.wanted("x", &bytes, &[&address]);
    std::thread::scope(|scope| {
        let fetch = || scope.spawn(|| shelf.fetch(quick(), &wanted).expect("fetched"));
        let outcomes = [fetch(), fetch(), fetch()].map(|thread| thread.join().expect("no panic"));
        let here = outcomes.iter().filter(|outcome| **outcome == Fetched::Here);
        assert_eq!(here.count(), 1, "{outcomes:?}");
    });
    assert_eq!((server.requests().len(), shelf.files()), (1, vec!["x".to_owned()]));

    let wanted: Vec<Wanted> = (1..=8)
        .map(|index| {
            let bytes = content(index * 10_000);
            let path = format!("/{index}.whl");
            shelf.wanted(&index.to_string(), &bytes, &[&server.add(&path, &bytes)])
        })
        .collect();
    let network = Network::new(NetworkConfig { connections: 1, ..quick() }).expect("a network");
    let progress = Progress::default();
    assert!(network.fetch(&wanted, &progress, Beside::NOTHING).iter().all(Result::is_ok));
    let shown = progress.get().expect("something");
    assert_eq!((shown.done, shown.total.bytes), (shown.total, 360_000));
    let order: Vec<String> =
        server.requests()[1..].iter().map(|found| found.path.clone()).collect();
    assert_eq!(order, (1..=8).rev().map(|index| format!("/{index}.whl")).collect::<Vec<_>>());
}

#[test]
fn something_is_done_with_a_file_while_the_next_one_comes() {
    let server = FileServer::start();
    let shelf = Shelf::new();
    let wanted: Vec<Wanted> = [3000, 2000, 1000]
        .map(|length| {
            let bytes = content(length);
            let address = server.add(&format!("/{length}.whl"), &bytes);
            shelf.wanted(&length.to_string(), &bytes, &[&address])
        })
        .into();
    let network = Network::new(NetworkConfig { connections: 1, ..quick() }).expect("a network");
    let done = std::sync::Mutex::new(Vec::new());
    let work = |index: usize| {
        let is_there = wanted[index].places.finished.is_file();
        // The last has none behind it.
        let next = (index + 2).min(3);
        let asked = || server.requests().len() >= next;
        let waits = (0..1000).take_while(|_| !asked());
        waits.for_each(|_| std::thread::sleep(std::time::Duration::from_millis(10)));
        done.lock().unwrap().push((index, is_there, asked()));
    };
    let beside = Beside { threads: 1, work: &work };
    assert!(network.fetch(&wanted, &Progress::default(), beside).iter().all(Result::is_ok));
    let mut done = done.into_inner().unwrap();
    done.sort_unstable();
    assert_eq!(done, [(0, true, true), (1, true, true), (2, true, true)]);
}

#[test]
fn a_file_of_this_machine_is_copied_and_compared() {
    let shelf = Shelf::new();
    let bytes = content(1000);
    let place: Utf8PathBuf = shelf.0.write("a b/y.whl", &bytes);
    let address = format!("file://{}", place.as_str().replace(' ', "%20"));
    let wanted = shelf.wanted("x", &bytes, &[&address]);
    shelf.fetch(quick(), &wanted).expect("copied");
    let mut wanted = shelf.wanted("z", &bytes, &[&address]);
    wanted.hash = Expected::Sha256(Hash::sha256(b""));
    let error = shelf.fetch(quick(), &wanted).unwrap_err();
    assert!(error.is_other && error.reasons[0].contains("its SHA-256 is"), "{error:?}");
    assert_eq!(shelf.files(), ["a b", "x"]);
}
