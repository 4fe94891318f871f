//! What the steps of a build cost by themselves: `cargo bench`. Whole commands against peers:
//! `benches/compare`.
//!
//! The wheel is made here: 4,000 modules of 2 KiB in 200 folders, with a RECORD. Everything is in
//! the page cache.
#![allow(clippy::disallowed_methods, reason = "the doorways are for the program")]

use std::io::{Cursor, Write as _};
use std::sync::LazyLock;

use camino::{Utf8Path, Utf8PathBuf};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tempfile::TempDir;
use venvtree::effects::host::replaceable::Protected;
use venvtree::effects::wheels::inflate::Inflater;
use venvtree::effects::wheels::load::{self, LoadOptions, Wheel};
use venvtree::engine::{self, BuildRequest, Caches, Places, Prepared, Session};
use venvtree::model::digest::{DigestFunction, Hash, Hasher};
use venvtree::model::spec::{self, Spec};
use venvtree::model::wheel::WheelManifest;
use venvtree::model::wheel::filename::WheelFilename;
use venvtree::model::wheel::kept;
use venvtree::model::wheel::record::{self, Record};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const FILES: usize = 4_000;
const NAME: &str = "demo-1.0-py3-none-any.whl";

fn main() {
    divan::main();
}

struct Inputs {
    folder: TempDir,
    record: Vec<u8>,
}

impl Inputs {
    fn place(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).expect("a path in UTF-8")
    }

    fn wheel(&self) -> Wheel {
        let name = WheelFilename::parse(NAME).expect("a wheel's name");
        load::load(&self.place().join(NAME), &name, &LoadOptions::default()).expect("a wheel")
    }

    fn spec(&self) -> String {
        let wheel = serde_json::json!({"path": NAME});
        let interpreter = serde_json::json!({
            "implementation": "cpython", "version": "3.11.7", "abi": "cp311",
            "platform": {"os": "linux", "arch": "x86_64", "libc": "glibc-2.36"},
            "python": {"kind": "relative", "path": "../python/bin/python3.11"},
        });
        let flags = serde_json::json!({"input_digests": "trusted"});
        serde_json::json!({"version": 1, "interpreter": interpreter, "wheels": [wheel], "flags": flags}).to_string()
    }

    fn prepared(&self) -> Prepared {
        engine::prepare(&session(), self.parsed(), &self.places()).expect("a plan")
    }

    fn parsed(&self) -> Spec {
        engine::parse_spec(&self.spec(), "the benchmark").expect("a spec")
    }

    fn places(&self) -> Places {
        Places { root: self.place().to_owned(), ..Places::default() }
    }
}

fn session() -> Session {
    let mut session = Session::default();
    session.set_threads(1);
    session
}

static INPUTS: LazyLock<Inputs> = LazyLock::new(|| {
    let mut files: Vec<(String, Vec<u8>)> = (0..FILES)
        .map(|index| {
            (
                format!("demo/part{}/module{index}.py", index / 20),
                format!("VALUE = {index}\n").repeat(140).into_bytes(),
            )
        })
        .collect();
    files.push((
        "demo-1.0.dist-info/METADATA".to_owned(),
        b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n".to_vec(),
    ));
    files.push((
        "demo-1.0.dist-info/WHEEL".to_owned(),
        b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_vec(),
    ));
    let rows =
        files.iter().map(|(path, bytes)| (path.as_str(), Hash::sha256(bytes), bytes.len() as u64));
    let record = record::render("demo-1.0.dist-info/RECORD", rows);
    files.push(("demo-1.0.dist-info/RECORD".to_owned(), record.clone()));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, bytes) in &files {
        writer.start_file(path, SimpleFileOptions::default()).expect("an archive");
        writer.write_all(bytes).expect("an archive");
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(NAME), writer.finish().expect("an archive").into_inner())
        .expect("a file");
    Inputs { folder, record }
});

/// A benchmark of all files of the wheel, which is there before it begins.
fn of_files<'a, 'b>(bencher: Bencher<'a, 'b>) -> Bencher<'a, 'b> {
    LazyLock::force(&INPUTS);
    bencher.counter(ItemsCount::new(FILES))
}

#[divan::bench]
fn parse_spec(bencher: Bencher<'_, '_>) {
    let mut value: serde_json::Value = serde_json::from_str(&INPUTS.spec()).expect("JSON");
    let wheel = |index| serde_json::json!({"path": format!("wheels/demo{index}-1.0-py3-none-any.whl"), "sha256": "0".repeat(64)});
    value["wheels"] = (0..1_000).map(wheel).collect();
    let text = value.to_string();
    bencher.counter(ItemsCount::new(1_000_usize)).bench(|| spec::parse(divan::black_box(&text)));
}

#[divan::bench]
fn parse_record(bencher: Bencher<'_, '_>) {
    of_files(bencher).bench(|| {
        Record::parse(divan::black_box(&INPUTS.record), "demo-1.0.dist-info/RECORD").rows().len()
    });
}

#[divan::bench]
fn load_wheel(bencher: Bencher<'_, '_>) {
    of_files(bencher).bench(|| INPUTS.wheel());
}

#[divan::bench]
fn load_kept_manifest(bencher: Bencher<'_, '_>) {
    let manifest: WheelManifest = INPUTS.wheel().manifest;
    let bytes = kept::encode(&manifest);
    of_files(bencher).bench(|| kept::decode(&manifest.file, divan::black_box(&bytes)));
}

/// With loading the wheel, which planning begins with.
#[divan::bench]
fn plan(bencher: Bencher<'_, '_>) {
    of_files(bencher).bench(|| INPUTS.prepared());
}

#[divan::bench]
fn digest(bencher: Bencher<'_, '_>) {
    let prepared = INPUTS.prepared();
    of_files(bencher).bench(|| prepared.predict(&session(), &[]));
}

#[divan::bench]
fn inflate(bencher: Bencher<'_, '_>) {
    let wheel = INPUTS.wheel();
    let bytes: u64 = wheel.manifest.members.iter().map(|member| member.size()).sum();
    let mut inflater = Inflater::default();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        for member in &wheel.manifest.members {
            divan::black_box(wheel.read(&mut inflater, member).expect("a sound member"));
        }
    });
}

/// With all that comes before it: planning, and inflating and hashing, which every byte that is
/// written went through.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn write(bencher: Bencher<'_, '_>) {
    let (session, caches, places) = (session(), Caches::default(), INPUTS.places());
    of_files(bencher).with_inputs(|| tempfile::tempdir().expect("a folder")).bench_refs(|folder| {
        let out = Utf8PathBuf::from_path_buf(folder.path().join("out")).expect("a path in UTF-8");
        let protected = Protected { cwd: Utf8PathBuf::from("/"), home: None };
        let request = BuildRequest::new(out, protected);
        engine::build(&session, &caches, INPUTS.parsed(), &places, &request)
            .expect("an environment")
    });
}

/// How many bytes are hashed at once.
const MESSAGE: usize = 128 << 10;

#[divan::bench]
fn hash_one_message(bencher: Bencher<'_, '_>) {
    let bytes = vec![1; MESSAGE];
    bencher.counter(BytesCount::new(MESSAGE)).bench_local(|| {
        let mut hasher = Hasher::new(DigestFunction::Sha256);
        hasher.update(&bytes);
        hasher.finish()
    });
}

#[divan::bench]
fn hash_two_messages_at_a_time(bencher: Bencher<'_, '_>) {
    let bytes = [vec![1; MESSAGE], vec![2; MESSAGE]];
    bencher.counter(BytesCount::new(2 * MESSAGE)).bench_local(|| {
        let [mut first, mut second] = [DigestFunction::Sha256; 2].map(Hasher::new);
        Hasher::update_both([&mut first, &mut second], [&bytes[0], &bytes[1]]);
        [first.finish(), second.finish()]
    });
}
