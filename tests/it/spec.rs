//! Specs: every problem of a bad one is reported with its path, a good one is read and written as
//! it is, and the schema says what the reader does.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use venvtree::model::spec::document::{SpecDocument, schema};
use venvtree::model::spec::{self, SpecError};

use crate::support::project::{Project, venvtree_in};

fn testdata() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn documents(folder: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = testdata()
        .join("specs")
        .join(folder)
        .read_dir_utf8()
        .expect("a folder of specs")
        .map(|entry| entry.expect("an entry").into_path())
        .filter(|path| path.extension() == Some("json"))
        .map(|path| {
            (
                path.file_stem().expect("a name").to_owned(),
                std::fs::read_to_string(&path).expect("a spec"),
            )
        })
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Compares with a file; `UPDATE_EXPECT=1` writes it.
fn expect_file(path: &Utf8Path, actual: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, actual).expect("the expectation can be written");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{path} should hold (UPDATE_EXPECT=1 writes it):\n{actual}");
}

#[test]
fn bad_specs_say_all_that_is_wrong() {
    for (name, text) in documents("bad") {
        let output = venvtree_in(Utf8Path::new("/"), &["spec", "check", "-"], &text);
        assert_eq!(output.code, 3, "{name}");
        expect_file(&testdata().join(format!("specs/bad/{name}.txt")), &output.stderr);
    }
}

#[test]
fn good_specs_are_read_as_they_are_written() {
    for (name, text) in documents("ok") {
        let spec = spec::parse(&text).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let written = serde_json::to_string(&SpecDocument::from(&spec)).expect("JSON renders");
        let again =
            spec::parse(&written).unwrap_or_else(|error| panic!("{name}: {error:?}: {written}"));
        assert_eq!(spec, again, "{name}");
    }
}

#[test]
fn the_schema_is_kept_with_the_code() {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/spec.schema.json");
    expect_file(&path, &schema());
    let printed = venvtree_in(Utf8Path::new("/"), &["spec", "schema"], "").success();
    assert_eq!(printed, schema());
}

/// The fields of every object of the schema, by what the reader is shown to reach that object.
fn schema_fields(
    schema: &Value,
    node: &Value,
    path: &str,
    found: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let node = match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => &schema["$defs"][reference.rsplit('/').next().expect("a name")],
        None => node,
    };
    for variant in ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|key| node.get(key).and_then(Value::as_array))
        .flatten()
    {
        schema_fields(schema, variant, path, found);
    }
    if let Some(properties) = node.get("properties").and_then(Value::as_object) {
        let fields = found.entry(path.to_owned()).or_default();
        fields.extend(properties.keys().cloned());
        for (name, below) in properties {
            schema_fields(schema, below, &format!("{path}.{name}"), found);
        }
    }
    if let Some(items) = node.get("items") {
        schema_fields(schema, items, &format!("{path}[0]"), found);
    }
}

#[test]
fn the_schema_has_the_fields_that_the_reader_knows() {
    let schema: Value = serde_json::from_str(&schema()).expect("the schema is JSON");
    let mut expected = BTreeMap::new();
    schema_fields(&schema, &schema, "$", &mut expected);
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let kinds = [
        json!({"kind": "inside", "directory": "a"}),
        json!({"kind": "relative", "path": "a"}),
        json!({"kind": "absolute", "path": "/a"}),
        json!({"kind": "launcher", "candidates": ["a"]}),
    ];
    for kind in kinds {
        // An unknown field in every object makes the reader list the fields that it knows.
        let mut document = json!({
            "version": 1,
            "interpreter": {
                "implementation": "cpython", "version": "3.11", "abi": "cp311",
                "platform": {"os": "linux", "arch": "x86_64", "?": 0}, "python": kind, "?": 0
            },
            "wheels": [{"path": "a-1-py3-none-any.whl", "sha256": "0".repeat(64), "?": 0}],
            "sources": [{"path": "a", "?": 0}],
            "bytecode": {"?": 0},
            "flags": {"?": 0},
            "?": 0,
        });
        document["interpreter"]["python"]["?"] = json!(0);
        if let Some(launchers) = expected.get("$.launchers") {
            document["launchers"] = json!({"?": 0});
            for name in launchers {
                document["launchers"][name] =
                    json!({"path": "a.exe", "sha256": "0".repeat(64), "?": 0});
            }
        }
        let Err(SpecError::Problems(problems)) = spec::parse(&document.to_string()) else {
            panic!("accepted: {document}")
        };
        for problem in problems {
            let Some(path) = problem.path.strip_suffix("[\"?\"]") else {
                continue;
            };
            let fields = problem.message.split('`').skip(1).step_by(2).map(str::to_owned);
            known.entry(path.to_owned()).or_default().extend(fields);
        }
    }
    assert_eq!(known, expected);
}

#[test]
fn a_problem_of_a_build_is_that_of_the_check() {
    let project = Project::new();
    project.write("env.json", "{\"version\": 1}");
    let output = project.run(&["build", "env.json", "--out", "out", "--format", "json"]);
    assert_eq!(output.code, 3);
    assert_eq!(output.json()["error"]["kind"], "spec");
    assert_eq!(
        output.json()["error"]["details"][0]["message"],
        "$: the field `interpreter` is missing"
    );
    assert!(!project.path().join("out").exists());
}
