//! Inputs to start from, made by the project's own generators: recipes of hostile wheels, specs,
//! recorded interpreters, and a few sound texts.

use std::path::Path;

use super::malformed::corpus;

/// The seeds of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if root.ends_with("fuzz") {
        root.parent().expect("fuzz lies in the project")
    } else {
        root
    };
    let mut seeds: Vec<Vec<u8>> = match target {
        "wheel_verdict" => corpus().iter().map(|(_, recipe)| recipe.build()).filter(|bytes| bytes.len() < 100_000).collect(),
        "spec_json" => files(&root.join("testdata/specs")),
        "manifest_json" => vec![
            br#"{"format":1,"function":"sha256","root":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/0","entries":[]}"#
                .to_vec(),
        ],
        "requirement" => {
            texts(&["a", "a[b,c] >=1,<2; python_version >= '3.8' and extra == 'x'", "a @ file:///x ; os_name=='nt'", "3.12.1"])
        }
        "lock_text" => {
            let folders = ["git", "paths", "sdist", "url"];
            let locks = folders.iter().map(|name| root.join("testdata/locks").join(name));
            locks.flat_map(|folder| files(&folder)).collect()
        }
        "index_page" => texts(&[
            "{\"meta\": {\"api-version\": \"1.3\"}, \"files\": [{\"filename\": \"a-1-py3-none-any.whl\", \"url\": \"../../f/a-1-py3-none-any.whl\", \
             \"size\": 7, \"requires-python\": \">=3\", \"hashes\": {\"sha256\": \
             \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}}]}",
            "<!DOCTYPE html><base href='/f/'><a class=x data-requires-python=\"&gt;=3\" href=\"a-1%2Bb-py3-none-any.whl#md5=0&sha256=\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\">a</a>\
             <A HREF=//me:pw@h.example/a.zip?x#sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 >a</A>",
        ]),
        "tree_path" => texts(&["a/b", "../a", "/a", "a//b", "a\\b", "lib/python3.11/site-packages/ü"]),
        "wheel_filename" => {
            texts(&["six-1.16.0-py2.py3-none-any.whl", "a_b-1.0+local.1-2b-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"])
        }
        "script" => {
            texts(&["print()\n", "# -*- coding: latin1 -*-\n'''doc'''\nfrom __future__ import annotations\n", "r\"\"\"x\"\"\" 'y'; z"])
        }
        "reapi_messages" => vec![
            vec![],
            b"\x0a\x46\x0a\x01a\x12\x41".to_vec(),
            b"\x1a\x08\x0a\x03out\x1a\x01\x00".to_vec(),
            b"\x0a\x04\x1a\x02\x0a\x00\x12\x00".to_vec(),
        ],
        "marshal" => files(&root.join("testdata/marshal")),
        "worker_stream" => vec![
            br#"{"arguments":["digest","-"],"requestId":1}{"requestId":1,"cancel":true}"#.to_vec(),
            b"\x0a\x0a\x06digest\x18\x01".to_vec(),
            b"\x08\x0a\x04key\x00\x18\x00".to_vec(),
        ],
        _ => Vec::new(),
    };
    for (_, recipe) in corpus() {
        seeds.extend(
            recipe.texts().into_iter().filter(|(name, _)| *name == target).map(|(_, bytes)| bytes),
        );
    }
    seeds.retain(|seed| seed.len() < 100_000);
    seeds.sort();
    seeds.dedup();
    seeds
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Every file below a folder; none where there is no folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() { files(&path) } else { std::fs::read(&path).into_iter().collect() }
        })
        .collect()
}
