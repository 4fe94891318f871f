//! A bill of materials in CycloneDX's words, version 1.6, as JSON.
//!
//! Model layer.

use serde_json::{Map, Value, json};

use super::{Bill, Part, PartFile};
use crate::model::proof::license::License;

/// How a component is called by others.
fn reference(part: &Part) -> String {
    part.purl()
}

/// Writes the document.
pub fn document(bill: &Bill) -> Value {
    let mut components: Vec<Value> = Vec::new();
    let mut dependencies: Vec<Value> = Vec::new();
    let mut direct: Vec<String> = Vec::new();
    if let Some(interpreter) = &bill.interpreter {
        let name = interpreter.implementation.name();
        let version = interpreter.version.to_string();
        let reference = format!("interpreter:{name}@{version}");
        components.push(json!({
            "type": "platform",
            "bom-ref": &reference,
            "name": name,
            "version": version,
            "description": interpreter.to_string(),
        }));
        dependencies.push(json!({ "ref": &reference }));
        direct.push(reference);
    }
    for part in &bill.distributions {
        components.push(component(part));
        let on: Vec<String> = (bill.requires.get(&part.name).into_iter().flatten())
            .filter_map(|name| bill.distributions.iter().find(|other| other.name == *name))
            .map(reference)
            .collect();
        dependencies.push(match on.is_empty() {
            true => json!({ "ref": reference(part) }),
            false => json!({ "ref": reference(part), "dependsOn": on }),
        });
        direct.push(reference(part));
    }
    dependencies.insert(0, json!({ "ref": "environment", "dependsOn": direct }));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", bill.uuid("cyclonedx")),
        "version": 1,
        "metadata": {
            "tools": { "components": [{
                "type": "application",
                "name": "venvtree",
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "application",
                "bom-ref": "environment",
                "name": bill.name,
                "properties": [
                    { "name": "venvtree:root-digest", "value": bill.root.to_string() },
                    { "name": "venvtree:digest-function", "value": bill.function.name() },
                ],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(part: &Part) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    set("type", json!("library"));
    set("bom-ref", json!(reference(part)));
    if !part.about.authors.is_empty() {
        let authors = part.about.authors.iter().map(|name| json!({ "name": name }));
        set("authors", authors.collect());
    }
    set("name", json!(part.name.written()));
    set("version", json!(part.version.to_string()));
    if let Some(summary) = &part.about.summary {
        set("description", json!(summary));
    }
    if let Some(sha256) = part.sha256 {
        set("hashes", json!([{ "alg": "SHA-256", "content": sha256.to_string() }]));
    }
    if !part.license.is_unknown() {
        set("licenses", licenses(&part.license));
    }
    set("purl", json!(part.purl()));
    let addresses = external_references(part);
    if !addresses.is_empty() {
        set("externalReferences", Value::Array(addresses));
    }
    let mut properties: Vec<Value> = Vec::new();
    properties.extend(part.wheel.iter().map(|name| property("venvtree:wheel", name)));
    for file in &part.license_files {
        let value = format!("{} sha256:{}", file.path, file.sha256);
        properties.push(property("venvtree:license-file", &value));
    }
    if !properties.is_empty() {
        set("properties", Value::Array(properties));
    }
    if !part.libraries.is_empty() {
        set("components", part.libraries.iter().map(|file| library(part, file)).collect());
    }
    let texts: Vec<Value> = part.license_files.iter().filter_map(license_text).collect();
    if !texts.is_empty() {
        set("evidence", json!({ "licenses": texts }));
    }
    Value::Object(fields)
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

fn library(part: &Part, file: &PartFile) -> Value {
    json!({
        "type": "file",
        "bom-ref": format!("{}#{}", part.purl(), file.path),
        "name": file.path,
        "hashes": [{ "alg": "SHA-256", "content": file.sha256.to_string() }],
    })
}

/// One expression, or a list of licences: the schema allows no mixture.
fn licenses(license: &License) -> Value {
    let acknowledgement = "declared";
    match (&license.expression, license.names.as_slice()) {
        (Some(expression), []) => {
            json!([{ "expression": expression, "acknowledgement": acknowledgement }])
        }
        (expression, names) => expression
            .iter()
            .chain(names)
            .map(|name| json!({ "license": { "name": name, "acknowledgement": acknowledgement } }))
            .collect(),
    }
}

fn license_text(file: &PartFile) -> Option<Value> {
    let text = file.text.as_ref()?;
    Some(json!({ "license": {
        "name": file.path,
        "text": { "contentType": "text/plain", "content": text },
    } }))
}

fn external_references(part: &Part) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for (label, url) in &part.about.urls {
        found.push(json!({ "type": kind_of(label), "url": one_fragment(url), "comment": label }));
    }
    for file in &part.embedded {
        found.push(json!({
            "type": "bom",
            "url": percent_encoded(&file.path),
            "comment": "a bill of materials inside the distribution",
            "hashes": [{ "alg": "SHA-256", "content": file.sha256.to_string() }],
        }));
    }
    found
}

/// An address with at most one `#`: what is behind that may hold no other one, though browsers take
/// it, and so do Matrix's addresses of rooms.
fn one_fragment(url: &str) -> String {
    match url.split_once('#') {
        Some((page, fragment)) => format!("{page}#{}", fragment.replace('#', "%23")),
        None => url.to_owned(),
    }
}

/// The kind of an address, by the labels that are well known (of the packaging guides).
fn kind_of(label: &str) -> &'static str {
    let plain: String = label
        .chars()
        .filter(|character| character.is_alphanumeric())
        .map(|character| character.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "homepage" => "website",
        "source" | "repository" | "sourcecode" | "github" | "code" => "vcs",
        "download" => "distribution",
        "changelog" | "changes" | "releasenotes" | "whatsnew" | "history" => "release-notes",
        "documentation" | "docs" => "documentation",
        "issues" | "bugs" | "issue" | "tracker" | "issuetracker" | "bugtracker" => "issue-tracker",
        "chat" | "discord" => "chat",
        _ => "other",
    }
}

/// A path as a relative reference.
fn percent_encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
