//! The canonical request: all of a spec that decides what the tree holds, and nothing else. And in
//! words, how two of them differ.
//!
//! Model layer. The request is JSON with sorted keys and no spaces: defaults filled in, `"all"`
//! expanded, no paths of inputs. Each wheel is known by its file name and SHA-256, first-party
//! files by a digest over their listing. The order of the wheels counts only where it decides
//! conflicts. Who vouches for the inputs, links, threads and stores are no part of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::action::FORMAT_VERSION;
use crate::model::bytecode::marshal::FORM;
use crate::model::digest::{DigestFunction, Hash, Hasher, WheelDigest};
use crate::model::plan::Listing;
use crate::model::spec::document::SpecDocument;
use crate::model::spec::{Launchers, Override, Policy, Python, Spec};

/// What a request needs beyond the spec, as it is found by looking at inputs.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The SHA-256 of each wheel, in the order of the spec.
    pub wheels: &'a [WheelDigest],
    /// The listings of the sources, in the order of the spec.
    pub sources: &'a [&'a Listing],
    /// The SHA-256 of each launcher for Windows, by its name in specs.
    pub launchers: &'a [(&'static str, Hash)],
    /// The listing of the interpreter that is copied in.
    pub interpreter: Option<&'a Listing>,
    /// The SHA-256 of each overlay, in the order of [`Spec::overlays`].
    pub overlays: &'a [Hash],
}

/// The canonical request as a value.
pub fn canonical(spec: &Spec, facts: Facts<'_>) -> Value {
    let Ok(Value::Object(mut request)) = serde_json::to_value(SpecDocument::without_wheels(spec))
    else {
        unreachable!("a spec is a JSON object")
    };
    let mut overlays = facts.overlays.iter();
    // Who was given bytecode may have been given another one than would be made.
    let mut given = |count: usize, object: &mut Value| {
        let mut digests: Vec<String> =
            overlays.by_ref().take(count).map(|hash| hash.to_hex()).collect();
        digests.sort();
        if let (Value::Object(object), false) = (object, digests.is_empty()) {
            object.insert("bytecode".to_owned(), json!(digests));
        }
    };
    let mut wheels: Vec<Value> = spec
        .wheels
        .iter()
        .zip(facts.wheels)
        .map(|(wheel, digest)| {
            let mut exclude = wheel.exclude.clone();
            exclude.sort();
            exclude.dedup();
            let mut described = json!({ "file": wheel.file_name.as_str(), "sha256": digest.to_string(), "exclude": exclude });
            given(wheel.bytecode.len(), &mut described);
            described
        })
        .collect();
    if !order_counts(spec) {
        wheels.sort_by_cached_key(Value::to_string);
    }
    request.insert("wheels".to_owned(), Value::Array(wheels));
    if request.remove("launchers").is_some() {
        let launchers = facts
            .launchers
            .iter()
            .map(|(name, digest)| ((*name).to_owned(), json!(digest.to_string())));
        request.insert("launchers".to_owned(), Value::Object(launchers.collect()));
    }
    let sources = spec.sources.iter().zip(facts.sources).map(|(source, listing)| {
        let into = source.into.as_ref().map_or(".", |into| into.as_str());
        let mut described = json!({ "into": into, "listing": listing_digest(listing).to_string() });
        given(source.bytecode.len(), &mut described);
        described
    });
    let sources: Vec<Value> = sources.collect();
    request.insert("sources".to_owned(), Value::Array(sources));
    if let (Some(bytecode), Some(described)) = (&spec.bytecode, request.get_mut("bytecode")) {
        let mut interpreter = json!({});
        given(bytecode.interpreter.len(), &mut interpreter);
        if let Value::Object(described) = described {
            described.remove("interpreter");
            described.insert("interpreter".to_owned(), interpreter);
            described.insert("form".to_owned(), json!(FORM));
            let exclude: BTreeSet<&String> = bytecode.exclude.iter().collect();
            described.insert("exclude".to_owned(), json!(exclude));
        }
    }
    request.entry("path_entries").or_insert_with(|| json!([]));
    if let (Some(listing), Some(Value::Object(python))) = (
        facts.interpreter,
        request.get_mut("interpreter").and_then(|found| found.get_mut("python")),
    ) {
        python.remove("directory");
        python.insert("listing".to_owned(), Value::String(listing_digest(listing).to_string()));
    }
    if let Some(Value::Object(flags)) = request.get_mut("flags") {
        flags.remove("input_digests");
        flags.entry("conflict_overrides").or_insert_with(|| json!({}));
        flags.entry("allow").or_insert_with(|| json!([]));
        flags.entry("deny").or_insert_with(|| json!([]));
        let shells: Vec<&str> = spec.flags.activators.iter().map(|shell| shell.name()).collect();
        flags.insert("activators".to_owned(), json!(shells));
    }
    let mut request = Value::Object(request);
    request.sort_all_objects();
    request
}

/// The bytes that are digested.
pub fn render(request: &Value) -> Vec<u8> {
    serde_json::to_vec(request).expect("a value is JSON")
}

/// Whether the request follows from the spec alone, so that no input has to be looked at.
pub fn follows_from(spec: &Spec) -> bool {
    let pinned = spec.wheels.iter().all(|wheel| wheel.sha256.is_some())
        && spec
            .launchers
            .iter()
            .flat_map(Launchers::iter)
            .all(|(_, launcher)| launcher.sha256.is_some());
    let plain = spec.sources.is_empty() && spec.overlays().next().is_none();
    pinned && plain && !matches!(spec.python, Python::Inside { .. })
}

/// What stands for a spec's text in this venvtree: another version may read another request out of
/// the same text.
pub fn text_digest(text: &str) -> Hash {
    let mut hasher = Hasher::new(DigestFunction::Sha256);
    hasher.update(format!("venvtree {} {FORMAT_VERSION}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    hasher.update(text.as_bytes());
    hasher.finish().hash
}

/// Whether some conflict is decided by the order of the spec.
fn order_counts(spec: &Spec) -> bool {
    spec.flags.conflicts != Policy::Error
        || spec
            .flags
            .conflict_overrides
            .values()
            .any(|found| matches!(found, Override::Policy(Policy::First | Policy::Last)))
}

/// A digest over the paths, modes and contents of first-party files.
fn listing_digest(listing: &Listing) -> Hash {
    let mut text = String::new();
    for file in &listing.files {
        let path = file.path.as_ref().map_or("", |path| path.as_str());
        text.push_str(&format!(
            "{} {} {} {path}\n",
            file.sha256,
            file.size,
            u8::from(file.kind.is_executable())
        ));
    }
    Hash::sha256(text.as_bytes())
}

/// How the second request differs from the first, one sentence each; empty where they are the same.
pub fn explain(first: &Value, second: &Value) -> Vec<String> {
    let mut sentences = Vec::new();
    let (Value::Object(first), Value::Object(second)) = (first, second) else {
        return sentences;
    };
    let null = Value::Null;
    let mut names: Vec<&String> = first.keys().chain(second.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (one, two) = (first.get(name).unwrap_or(&null), second.get(name).unwrap_or(&null));
        match name.as_str() {
            "wheels" => explain_wheels(one, two, &mut sentences),
            "sources" => explain_sources(one, two, &mut sentences),
            _ => explain_value(name, one, two, &mut sentences),
        }
    }
    sentences
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The distribution of a wheel, from its file name.
fn distribution(wheel: &Value) -> String {
    text(wheel, "file")
        .split('-')
        .next()
        .unwrap_or("")
        .to_ascii_lowercase()
        .replace(['_', '.'], "-")
}

fn explain_wheels(first: &Value, second: &Value, sentences: &mut Vec<String>) {
    let (first, second) = (items(first), items(second));
    for one in first {
        let Some(two) = second.iter().find(|two| distribution(two) == distribution(one)) else {
            sentences.push(format!("the wheel {} is only in the first", text(one, "file")));
            continue;
        };
        if text(one, "file") != text(two, "file") {
            sentences.push(format!(
                "the wheel {} is {} in the second",
                text(one, "file"),
                text(two, "file")
            ));
        } else if text(one, "sha256") != text(two, "sha256") {
            let (file, one, two) = (text(one, "file"), text(one, "sha256"), text(two, "sha256"));
            sentences.push(format!("the wheel {file} is another file: its SHA-256 is {one} in the first, {two} in the second"));
        }
        if one.get("exclude") != two.get("exclude") {
            let show =
                |wheel: &Value| wheel.get("exclude").map(Value::to_string).unwrap_or_default();
            sentences.push(format!(
                "what is excluded of the wheel {} is {} in the first, {} in the second",
                text(one, "file"),
                show(one),
                show(two)
            ));
        }
    }
    for two in second {
        if !first.iter().any(|one| distribution(one) == distribution(two)) {
            sentences.push(format!("the wheel {} is only in the second", text(two, "file")));
        }
    }
    let key = |wheel: &Value| wheel.to_string();
    let sorted = |wheels: &[Value]| {
        let mut keys: Vec<String> = wheels.iter().map(key).collect();
        keys.sort();
        keys
    };
    if first != second && sorted(first) == sorted(second) {
        sentences.push("the wheels are in another order, which decides conflicts".to_owned());
    }
}

fn explain_sources(first: &Value, second: &Value, sentences: &mut Vec<String>) {
    let (first, second) = (items(first), items(second));
    for (index, one) in first.iter().enumerate() {
        match second.get(index) {
            Some(two) if two == one => {}
            Some(two) if text(two, "into") == text(one, "into") => {
                sentences.push(format!(
                    "the files of the source that goes into `{}` differ",
                    text(one, "into")
                ));
            }
            Some(two) => {
                sentences.push(format!(
                    "source {} goes into `{}` in the first, `{}` in the second",
                    index + 1,
                    text(one, "into"),
                    text(two, "into")
                ));
            }
            None => sentences.push(format!(
                "the source that goes into `{}` is only in the first",
                text(one, "into")
            )),
        }
    }
    for two in second.iter().skip(first.len()) {
        sentences.push(format!(
            "the source that goes into `{}` is only in the second",
            text(two, "into")
        ));
    }
}

/// Anything else: the place of each difference, with both values.
fn explain_value(place: &str, first: &Value, second: &Value, sentences: &mut Vec<String>) {
    match (first, second) {
        (Value::Object(one), Value::Object(two)) => {
            let mut names: Vec<&String> = one.keys().chain(two.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let null = Value::Null;
                let (one, two) = (one.get(name).unwrap_or(&null), two.get(name).unwrap_or(&null));
                explain_value(&format!("{place}.{name}"), one, two, sentences);
            }
        }
        (one, two) if one == two => {}
        (one, two) => {
            sentences.push(format!("`{place}` is {one} in the first, {two} in the second"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec;

    const HASHES: [&str; 2] = ["11", "22"];

    fn request(edit: impl Fn(&mut Value)) -> Value {
        let wheel = |path: &str, digits: &str| json!({ "path": path, "sha256": digits.repeat(32) });
        let mut document = json!({
            "version": 1,
            "interpreter": {
                "implementation": "cpython", "version": "3.11.7", "abi": "cp311",
                "platform": { "os": "linux", "arch": "x86_64", "libc": "glibc-2.36" },
                "python": { "kind": "relative", "path": "../python/bin/python3.11" }
            },
            "wheels": [wheel("a/six-1.16.0-py2.py3-none-any.whl", HASHES[0]), wheel("b/idna-3.4-py3-none-any.whl", HASHES[1])],
        });
        edit(&mut document);
        let spec = spec::parse(&document.to_string()).unwrap();
        let wheels: Vec<WheelDigest> =
            spec.wheels.iter().map(|wheel| wheel.sha256.unwrap()).collect();
        let overlays: Vec<Hash> =
            spec.overlays().map(|overlay| Hash::sha256(overlay.0.as_bytes())).collect();
        canonical(
            &spec,
            Facts {
                wheels: &wheels,
                sources: &[],
                launchers: &[],
                interpreter: None,
                overlays: &overlays,
            },
        )
    }

    #[test]
    fn the_order_of_patterns_and_overlays_changes_nothing() {
        let with = |exclude: &[&str], overlays: &[&str]| {
            render(&request(|spec| {
                spec["bytecode"] = json!({ "levels": [0, 1], "exclude": exclude });
                spec["wheels"][0]["bytecode"] = json!(overlays);
            }))
        };
        let plain = with(&["a/**", "b/**"], &["0.zip", "1.zip"]);
        assert_eq!(with(&["b/**", "a/**", "b/**"], &["1.zip", "0.zip"]), plain);
        assert_ne!(with(&["a/**"], &["0.zip", "1.zip"]), plain);
        assert_ne!(with(&["a/**", "b/**"], &["0.zip", "2.zip"]), plain);
    }

    #[test]
    fn paths_order_defaults_and_trust_change_nothing() {
        let plain = request(|_| {});
        let same = |edit: &dyn Fn(&mut Value)| assert_eq!(render(&request(edit)), render(&plain));
        same(&|spec| spec["wheels"].as_array_mut().unwrap().reverse());
        same(&|spec| {
            spec["wheels"][0]["path"] = json!("/elsewhere/six-1.16.0-py2.py3-none-any.whl")
        });
        same(&|spec| {
            spec["flags"] = json!({ "activators": "all", "links": true, "mtime": 315_619_200 })
        });
        same(&|spec| spec["flags"] = json!({ "input_digests": "trusted" }));
        let text = String::from_utf8(render(&plain)).unwrap();
        assert!(
            !text.contains("\"all\"") && !text.contains("a/six") && !text.contains(' '),
            "{text}"
        );
    }

    #[test]
    fn whatever_changes_the_tree_changes_the_request() {
        let plain = request(|_| {});
        let other = |edit: &dyn Fn(&mut Value)| assert_ne!(render(&request(edit)), render(&plain));
        other(&|spec| spec["wheels"][0]["sha256"] = json!("33".repeat(32)));
        other(&|spec| spec["wheels"][0]["exclude"] = json!(["**/tests/**"]));
        other(&|spec| spec["flags"] = json!({ "prompt": "x" }));
        other(&|spec| spec["flags"] = json!({ "mtime": 1 }));
        other(&|spec| spec["flags"] = json!({ "digest_function": "blake3" }));
        other(&|spec| spec["interpreter"]["version"] = json!("3.11.8"));
        other(&|spec| spec["path_entries"] = json!(["../x"]));
        let compiled = |spec: &mut Value| spec["bytecode"] = json!({});
        other(&compiled);
        let with = |edit: &dyn Fn(&mut Value)| {
            let edited = request(|spec| {
                compiled(spec);
                edit(spec);
            });
            assert_ne!(render(&request(compiled)), render(&edited));
        };
        with(&|spec| spec["bytecode"]["levels"] = json!([0, 1]));
        with(&|spec| spec["bytecode"]["validation"] = json!("checked"));
        with(&|spec| spec["bytecode"]["compiler"] = json!("3.11.2"));
        with(&|spec| spec["bytecode"]["exclude"] = json!([]));
        with(&|spec| spec["wheels"][0]["bytecode"] = json!("overlay.zip"));
        let ordered = |spec: &mut Value| spec["flags"] = json!({ "conflicts": "last" });
        let reversed = request(|spec| {
            ordered(spec);
            spec["wheels"].as_array_mut().unwrap().reverse();
        });
        assert_ne!(
            render(&reversed),
            render(&request(ordered)),
            "the last one wins, so the order counts"
        );
        assert_eq!(
            explain(&request(ordered), &reversed),
            ["the wheels are in another order, which decides conflicts"]
        );
    }

    #[test]
    fn differences_are_said_in_words() {
        let plain = request(|_| {});
        assert!(explain(&plain, &plain).is_empty());
        let check = |edit: &dyn Fn(&mut Value), expected: &[&str]| {
            assert_eq!(explain(&plain, &request(edit)), expected)
        };
        check(
            &|spec| spec["flags"] = json!({ "prompt": "x" }),
            &["`flags.prompt` is null in the first, \"x\" in the second"],
        );
        check(
            &|spec| spec["wheels"][0]["path"] = json!("six-1.17.0-py2.py3-none-any.whl"),
            &[
                "the wheel six-1.16.0-py2.py3-none-any.whl is six-1.17.0-py2.py3-none-any.whl in the second",
            ],
        );
        check(
            &|spec| {
                spec["wheels"].as_array_mut().unwrap().pop();
            },
            &["the wheel idna-3.4-py3-none-any.whl is only in the first"],
        );
        let (one, two) = ("22".repeat(32), "44".repeat(32));
        let sentence = format!(
            "the wheel idna-3.4-py3-none-any.whl is another file: its SHA-256 is {one} in the first, {two} in the second"
        );
        check(&|spec| spec["wheels"][1]["sha256"] = json!("44".repeat(32)), &[&sentence]);
    }
}
