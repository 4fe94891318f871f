//! What is fuzzed: one function for each parser, and one for the whole way from bytes to verdict.
//!
//! Each takes any bytes and panics where a law is broken: a parser must not panic, must refuse or
//! understand, and what it renders must mean what it read. cargo-fuzz's targets call these, and so
//! does a test that runs with stable Rust (`tests/it/fuzz.rs`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::atomic::AtomicU64;

use camino::Utf8PathBuf;
use venvtree::effects::wheels::inspect::inspect_wheel;
use venvtree::effects::wheels::load::{LoadOptions, WheelError, load};
use venvtree::model::action::ActionResult;
use venvtree::model::bytecode::marshal;
use venvtree::model::digest::{DigestFunction, Hash};
use venvtree::model::finding::{Findings, Severity};
use venvtree::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform};
use venvtree::model::lock::{self, Lock, Request, pin, select};
use venvtree::model::manifest::Manifest;
use venvtree::model::name::{DistName, PythonVersion};
use venvtree::model::path::{LinkTarget, TreePath};
use venvtree::model::requirements::{Requirement, marker::Marker};
use venvtree::model::script::rewrite_script;
use venvtree::model::spec;
use venvtree::model::tree::receive::{OutwardLinks, decode_tree};
use venvtree::model::tree::wire;
use venvtree::model::wheel::entry_points::EntryPoints;
use venvtree::model::wheel::filename::WheelFilename;
use venvtree::model::wheel::index;
use venvtree::model::wheel::limits::Limits;
use venvtree::model::wheel::metadata::Metadata;
use venvtree::model::wheel::record::{Record, render};
use venvtree::model::wheel::startup::examine_path_file;
use venvtree::model::wheel::wheel_file::WheelHeaders;
use venvtree::model::workers::Alone;
use venvtree::worker::{Completion, serve};

/// A target: its name and what it does with some bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 17] = [
    ("entry_points", entry_points),
    ("index_page", index_page),
    ("lock_text", lock_text),
    ("manifest_json", manifest_json),
    ("marshal", marshal),
    ("metadata", metadata),
    ("reapi_messages", reapi_messages),
    ("record", record),
    ("requirement", requirement),
    ("script", script),
    ("spec_json", spec_json),
    ("startup_files", startup_files),
    ("tree_path", tree_path),
    ("wheel_filename", wheel_filename),
    ("wheel_headers", wheel_headers),
    ("wheel_verdict", wheel_verdict),
    ("worker_stream", worker_stream),
];

/// What an index says of a project's files: JSON and HTML.
pub fn index_page(data: &[u8]) {
    for content_type in ["application/vnd.pypi.simple.v1+json", "text/html"] {
        let base = "https://index.example/simple/a/";
        let Ok(offers) = pin::read_page(content_type, data, base) else { continue };
        let mut requirements = "a==1".to_owned();
        for pin::Offer { url, sha256, .. } in &offers {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let rest = rest.expect("addresses are those of HTTP");
            let authority = rest.split(['/', '?']).next().expect("the first part");
            assert!(!authority.contains('@') && !url.contains(char::is_control), "{url:?}");
            requirements.push_str(&format!(" --hash=sha256:{sha256}"));
        }
        if offers.is_empty() {
            continue;
        }
        // Whatever an index says, the lock that is made of it can be read.
        let lock = Lock::read(&requirements).expect("they are requirements");
        let name = DistName::parse("a").expect("a name");
        let pinned = pin::pin(&lock, &BTreeMap::from([(name, offers)]), str::to_owned);
        assert!(pinned.missing.is_empty());
        assert_eq!(Lock::read(&pinned.text).expect("it can be read again").len(), 1);
    }
}

/// A lock of any format.
pub fn lock_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(lock) = Lock::read(text) else { return };
    let interpreter = Interpreter {
        implementation: Implementation::CPython,
        version: PythonVersion::parse("3.12.1").expect("a version"),
        abi: "cp312".into(),
        platform: Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 28)) },
    };
    let _ = select(&lock, &interpreter, &Request::default());
    let targets = [("linux".to_owned(), interpreter)].into();
    if let Ok(index) = lock::index(&lock, Hash::sha256(data), &targets) {
        serde_json::from_str::<serde_json::Value>(&index.render()).expect("an index is JSON");
    }
    if pin::sought(&lock).is_ok() {
        let pinned = pin::pin(&lock, &BTreeMap::new(), str::to_owned);
        assert_eq!(Lock::read(&pinned.text).expect("it can be read again").len(), lock.len());
    }
}

/// `entry_points.txt`.
pub fn entry_points(data: &[u8]) {
    let found = EntryPoints::parse(data);
    for script in &found.scripts {
        // Nothing that could leave `bin`, or be more than an import and a call.
        assert!(
            !script.name.contains(['/', '\\', '\0', '\n']) && !matches!(&*script.name, "." | "..")
        );
        let plain = |text: &str| {
            text.split('.').all(|part| {
                !part.is_empty()
                    && part.chars().all(|c| c == '_' || c.is_alphanumeric() || !c.is_ascii())
            })
        };
        assert!(plain(&script.module) && plain(&script.attributes), "{script:?}");
    }
    assert!(found.scripts.is_sorted_by(|left, right| left.name < right.name));
}

/// A manifest of a tree.
pub fn manifest_json(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Manifest::parse(text, &Alone);
    }
}

/// METADATA.
pub fn metadata(data: &[u8]) {
    let filename = WheelFilename::parse("demo-1.0-py3-none-any.whl").expect("a name");
    let _ = Metadata::parse(data, &filename);
}

/// Messages of the remote execution protocol.
pub fn reapi_messages(data: &[u8]) {
    let _ = ActionResult::decode_any(data);
    let _ = wire::decode_digest(data);
    let _ = wire::decode_directory(data);
    if let Ok(tree) = decode_tree(
        DigestFunction::Sha256,
        &bytes::Bytes::copy_from_slice(data),
        None,
        OutwardLinks::Refuse,
        &Alone,
    ) {
        // A tree that we accept is one that we could have made.
        let directory = DigestFunction::Sha256;
        assert_eq!(tree.function(), directory);
    }
}

/// RECORD.
pub fn record(data: &[u8]) {
    const OWN: &str = "demo-1.0.dist-info/RECORD";
    let record = Record::parse(data, OWN);
    assert!(record.rows().is_sorted_by(|left, right| left.path < right.path));
    let files: Vec<(&str, Hash, u64)> = record
        .rows()
        .iter()
        .filter(|row| row.path != OWN)
        .filter_map(|row| Some((row.path.as_ref(), row.hash.as_ref()?.sha256()?, row.size?)))
        .collect();
    let text = render(OWN, files.iter().copied());
    let again = Record::parse(&text, OWN);
    assert_eq!(again.problems(), []);
    assert_eq!(again.rows().len(), files.len() + 1);
    for (path, hash, size) in files {
        let row = again.get(path).expect("rendered above");
        assert_eq!(
            (row.hash.as_ref().and_then(|hash| hash.sha256()), row.size),
            (Some(hash), Some(size))
        );
    }
}

/// Requirements, markers, versions.
pub fn requirement(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Requirement::parse(text);
        let _ = Marker::parse(text);
        let _ = PythonVersion::parse(text);
    }
}

/// A script that begins with `#!python`.
pub fn script(data: &[u8]) {
    let bytes = [b"#!python\n", data].concat();
    if let Ok(Some(rewritten)) = rewrite_script(&bytes) {
        assert!(rewritten.starts_with(b"#!/bin/sh\n"));
    }
}

/// A spec.
pub fn spec_json(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = spec::parse(text);
    }
}

/// A `.pth` file.
pub fn startup_files(data: &[u8]) {
    examine_path_file(data, "demo.pth", &mut Findings::new());
}

/// Paths and link targets in trees.
pub fn tree_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(path) = TreePath::parse(text) {
        assert!(path.components().all(|name| !matches!(name, "" | "." | "..")));
        assert_eq!(TreePath::parse(path.as_str()), Ok(path.clone()));
        if let Ok(target) = LinkTarget::parse(text) {
            assert!(target.within(&path).is_ok(), "a path below leads nowhere else");
        }
    }
}

/// A wheel's file name.
pub fn wheel_filename(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(name) = WheelFilename::parse(text)
    {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains(['/', '\\']));
    }
}

/// WHEEL.
pub fn wheel_headers(data: &[u8]) {
    let _ = WheelHeaders::parse(data);
}

thread_local! {
    static FILE: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// The whole way: an archive, its verdict, and what the `zip` crate sees where we accept.
pub fn wheel_verdict(data: &[u8]) {
    // First the structure alone, on a tail that need not be the file's.
    let limits = Limits::default();
    let mut findings = Findings::new();
    let tail = &data[data.len().saturating_sub(index::TAIL_LENGTH)..];
    if let Some(end) = index::end_record(tail, data.len() as u64, &limits, &mut findings) {
        let range =
            end.directory_offset as usize..(end.directory_offset + end.directory_size) as usize;
        index::directory(&data[range], &end, &limits, &mut findings);
    }
    FILE.with_borrow_mut(|folder| {
        // In memory where that is possible.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder =
            folder.get_or_insert_with(|| tempfile::tempdir_in(place).expect("a temporary folder"));
        let path = Utf8PathBuf::from_path_buf(folder.path().join("wheel")).expect("UTF-8");
        let mut file = std::fs::File::create(&path).expect("a file");
        file.write_all(data).expect("room");
        drop(file);
        verdict(data, &path);
    });
}

fn verdict(data: &[u8], path: &Utf8PathBuf) {
    // A bomb costs time; these limits keep a run quick without closing any path of the code:
    // members of more than a megabyte are streamed.
    let limits = Limits { total_size: 4 << 20, member_size: 2 << 20, ..Limits::default() };
    let options = LoadOptions { limits, ..LoadOptions::default() };
    let name = "demo-1.0-py3-none-any.whl";
    let findings = inspect_wheel(path, name, &options).expect("the file is there");
    let loaded = load(path, &WheelFilename::parse(name).expect("a wheel's name"), &options);
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    if let Err(error) = &loaded {
        assert!(errors, "refused without a finding: {error}");
        return;
    }
    if errors {
        return;
    }
    let wheel = loaded.expect("checked above");
    let mut ours = BTreeMap::new();
    venvtree::effects::wheels::inflate::with_inflater(|inflater| {
        for member in &wheel.manifest.members {
            let mut bytes = Vec::new();
            let mut sink = |chunk: &[u8]| {
                bytes.extend_from_slice(chunk);
                Ok::<(), WheelError>(())
            };
            wheel.stream(inflater, member, &mut sink).expect("inspected");
            assert_eq!(Hash::sha256(&bytes), member.sha256);
            ours.insert(member.path.as_str().to_owned(), bytes);
        }
    });
    if data.windows(4).any(|window| window == [0x28, 0xb5, 0x2f, 0xfd]) {
        // The oracle is built without zstd.
        return;
    }
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(data)).expect("accepted, so the oracle opens it");
    let mut theirs = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("accepted, so the oracle finds it");
        if !file.is_dir() {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("accepted, so the oracle reads it");
            let again =
                theirs.insert(file.name().expect("accepted, so it has a name").into_owned(), bytes);
            assert!(again.is_none(), "accepted a duplicate");
        }
    }
    assert!(ours == theirs, "accepted, and the oracle sees something else");
}

/// Marshalled code objects.
pub fn marshal(data: &[u8]) {
    if let Ok(canonical) = marshal::canonical(data) {
        // Nothing that is shared is spread out: at most, short types become long ones.
        assert!(canonical.len() <= 4 * data.len());
        assert_eq!(marshal::canonical(&canonical), Ok(canonical), "it is its own canonical form");
    }
}

/// The stream of a persistent worker.
pub fn worker_stream(data: &[u8]) {
    let count = AtomicU64::new(0);
    let mut output = Vec::new();
    let _ = serve(data, &mut output, (None, 2), |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Completion::default()
    });
}
