//! What is accepted is seen alike by others: Python's zipfile, libarchive and the `zip` crate.
//!
//! The archives are those of the corpus and thousands of damaged copies of them. Where nothing is
//! found that is an error, every oracle has to list the same names with the same bytes.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use venvtree::effects::wheels::inspect::inspect_wheel;
use venvtree::effects::wheels::load::LoadOptions;
use venvtree::effects::wheels::load::{Wheel, load};
use venvtree::model::digest::Hash;
use venvtree::model::finding::Severity;
use venvtree::model::portable::compose;
use venvtree::model::wheel::filename::WheelFilename;

use crate::support::interpreters;
use crate::support::malformed::corpus;
use crate::support::random::Random;

/// The files of an archive: names and the SHA-256 of their bytes.
type Contents = BTreeMap<String, String>;

/// Prints, for every file named `*.zip` in a folder, its contents or the error.
const PYTHON: &str = r#"
import hashlib, json, os, sys, zipfile
folder, out = sys.argv[1], {}
for name in sorted(os.listdir(folder)):
    try:
        with zipfile.ZipFile(os.path.join(folder, name)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            assert archive.testzip() is None
            assert len({info.filename for info in files}) == len(files)
            out[name] = {info.filename: hashlib.sha256(archive.read(info)).hexdigest() for info in files}
    except Exception as error:
        out[name] = {"error": repr(error)}
json.dump(out, sys.stdout)
"#;

/// What we see, where we accept.
fn ours(path: &Utf8Path, name: &str) -> Option<Contents> {
    let findings = inspect_wheel(path, name, &LoadOptions::default()).unwrap();
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return None;
    }
    let wheel: Wheel =
        load(path, &WheelFilename::parse(name).unwrap(), &LoadOptions::default()).unwrap();
    let members = wheel.manifest.members.iter();
    Some(members.map(|member| (member.path.as_str().to_owned(), member.sha256.to_hex())).collect())
}

fn zip_crate(path: &Utf8Path) -> Result<Contents, String> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap())
        .map_err(|error| error.to_string())?;
    let mut contents = Contents::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| error.to_string())?;
        if !file.is_dir() {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            let again =
                contents.insert(file.name().unwrap().into_owned(), Hash::sha256(&bytes).to_hex());
            assert_eq!(again, None, "{path}");
        }
    }
    Ok(contents)
}

fn libarchive(path: &Utf8Path) -> Result<Contents, String> {
    let output = Command::new("bsdtar")
        .env("LC_ALL", "C.UTF-8")
        .args(["-cf", "-", "--format=mtree", "--options=!all,type,sha256", &format!("@{path}")])
        .output()
        .expect("bsdtar runs: install libarchive-tools (.ci/install)");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut contents = Contents::new();
    for line in String::from_utf8(output.stdout).unwrap().lines().skip(1) {
        let mut fields = line.split(' ');
        let name = unescape(fields.next().unwrap());
        if let Some(hash) = fields.find_map(|field| field.strip_prefix("sha256digest=")) {
            contents.insert(name.strip_prefix("./").unwrap_or(&name).to_owned(), hash.to_owned());
        }
    }
    Ok(contents)
}

/// Names in mtree: octal escapes.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'\\' && after.len() >= 3 {
            bytes.push(
                after[..3]
                    .iter()
                    .fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')),
            );
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_is_accepted_is_seen_alike_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    let mut random = Random::new(1);
    let mut accepted: BTreeMap<String, (Contents, bool)> = BTreeMap::new();
    let mut count = 0;
    for (file, recipe) in corpus() {
        let original = recipe.build();
        // What is sound shows where damage passes; what is refused shows whether two wrongs make a
        // right. Not damaged: zeros by the million.
        let copies = match recipe.expect.is_empty() {
            _ if original.len() > 100_000 || original.is_empty() => 0,
            true => 100,
            false => 10,
        };
        let damaged: Vec<Vec<u8>> = (0..copies).map(|_| random.damage(&original)).collect();
        for bytes in std::iter::once(original).chain(damaged) {
            let name = format!("{count:06}.zip");
            count += 1;
            let path = folder.join(&name);
            std::fs::write(&path, &bytes).unwrap();
            // Python before 3.14 has no zstd.
            let has_zstd = bytes.windows(4).any(|window| window == [0x28, 0xb5, 0x2f, 0xfd]);
            match WheelFilename::parse(recipe.filename())
                .ok()
                .and_then(|_| ours(&path, recipe.filename()))
            {
                Some(contents) => {
                    accepted.insert(name, (contents, has_zstd));
                }
                None => std::fs::remove_file(&path).unwrap(),
            }
        }
        assert!(count > 0, "{file}");
    }
    assert!(
        accepted.len() > 200,
        "{} of {count} were accepted: too few to compare",
        accepted.len()
    );

    let mut wrong = Vec::new();
    let pythons = interpreters();
    for python in [pythons.first(), pythons.last()].into_iter().flatten() {
        let output = Command::new(&python.path)
            .args(["-I", "-c", PYTHON, folder.as_str()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: BTreeMap<String, Contents> = serde_json::from_slice(&output.stdout).unwrap();
        for (name, (contents, has_zstd)) in &accepted {
            if found[name] != *contents && !has_zstd {
                wrong.push(format!(
                    "{name}: Python {:?} sees {:?}, we see {contents:?}",
                    python.version, found[name]
                ));
            }
        }
    }
    for (name, (contents, has_zstd)) in &accepted {
        let path = folder.join(name);
        // Its mtree writer takes names in two Unicode forms for one.
        let composed = |contents: &Contents| -> Contents {
            contents.iter().map(|(name, hash)| (compose(name).into_owned(), hash.clone())).collect()
        };
        let theirs = libarchive(&path);
        if theirs.as_ref().map(composed) != Ok(composed(contents)) {
            wrong.push(format!("{name}: libarchive sees {theirs:?}, we see {contents:?}"));
        }
        // Built without zstd here.
        let theirs = zip_crate(&path);
        if theirs.as_ref() != Ok(contents) && !has_zstd {
            wrong.push(format!("{name}: the zip crate sees {theirs:?}, we see {contents:?}"));
        }
    }
    if !wrong.is_empty() {
        let kept = std::env::temp_dir().join("venvtree-oracle-zip");
        let _ = std::fs::remove_dir_all(&kept);
        std::fs::create_dir_all(&kept).unwrap();
        for message in &wrong {
            let name = &message[..10];
            std::fs::copy(folder.join(name), kept.join(name)).unwrap();
        }
        panic!(
            "{} disagreements, archives kept in {}:\n{}",
            wrong.len(),
            kept.display(),
            wrong.join("\n")
        );
    }
}

/// The archives that Go tests its reader with, and what is wrong with them as archives: nothing
/// unless it is said here.
const GO: [(&str, &[&str]); 9] = [
    ("dupdir.zip", &["path.file-and-directory"]),
    ("readme.notzip", &["zip.no-end-record"]),
    ("readme.zip", &["zip.trailing-bytes"]),
    ("symlink.zip", &["zip.link"]),
    ("test-baddirsz.zip", &["zip.directory-bounds"]),
    ("test-prefix.zip", &["zip.prefix-bytes", "zip.trailing-bytes"]),
    ("test-trailing-junk.zip", &["zip.trailing-bytes"]),
    ("utf8-osx.zip", &["zip.name-encoding"]),
    ("gophercolor16x16.png", &["zip.no-end-record"]),
];

#[test]
fn archives_that_others_made_get_the_verdict_that_they_deserve() {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/corpora/go");
    let entries = folder
        .read_dir_utf8()
        .unwrap_or_else(|error| panic!("{folder}: {error}; .ci/install fetches it"));
    let mut sound = Vec::new();
    for entry in entries.map(Result::unwrap).filter(|entry| !entry.file_name().starts_with('.')) {
        let name = entry.file_name();
        let findings =
            inspect_wheel(entry.path(), "demo-1.0-py3-none-any.whl", &LoadOptions::default())
                .unwrap();
        let codes: std::collections::BTreeSet<&str> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.code.text())
            .filter(|code| code.starts_with("zip.") || code.starts_with("path."))
            .collect();
        // What is kept as base64 is no archive either.
        let expected = match GO.iter().find(|(known, _)| *known == name) {
            Some((_, expected)) => *expected,
            None if name.ends_with(".base64") => &["zip.no-end-record"],
            None => &[],
        };
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), expected, "{name}");
        if expected.is_empty() {
            sound.push(entry.path().to_owned());
        }
    }
    assert!(sound.len() > 15, "{sound:?}");
    for path in sound {
        let theirs = zip_crate(&path).unwrap();
        assert_eq!(libarchive(&path).as_ref(), Ok(&theirs), "{path}");
    }
}
