//! Findings as the Static Analysis Results Interchange Format, 2.1.0.

use camino::Utf8Path;
use serde_json::{Value, json};

use crate::model::finding::{Code, Finding, Severity};
use crate::model::plan::PlanProblem;

/// What was found in a file: findings, and why an interpreter refuses the wheel.
pub(crate) struct Findings<'a> {
    pub(crate) file: &'a Utf8Path,
    pub(crate) findings: &'a [Finding],
    pub(crate) problems: &'a [PlanProblem],
}

/// The document of what was found in some files.
pub(crate) fn document(files: &[Findings<'_>]) -> Value {
    let rules: Vec<Value> = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "id": code.text(),
                "shortDescription": { "text": code.explanation() },
                "defaultConfiguration": { "level": level(code.severity()) },
            })
        })
        .collect();
    let unfit = files.iter().flat_map(|Findings { file, problems, .. }| {
        problems.iter().map(|problem| {
            json!({
                "ruleId": format!("build.{}", problem.code()),
                "level": "error",
                "message": { "text": problem.to_string() },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } }],
            })
        })
    });
    let found = files.iter().flat_map(|Findings { file, findings, .. }| {
        findings.iter().map(|finding| result(file, finding))
    });
    let results: Vec<Value> = found.chain(unfit).collect();
    json!({
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "venvtree", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn result(file: &Utf8Path, finding: &Finding) -> Value {
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } });
    if let Some(member) = &finding.member {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": member, "kind": "member" }]);
    }
    let mut result = json!({
        "ruleId": finding.code.text(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == finding.code),
        "level": level(finding.severity),
        "message": { "text": finding.message },
        "locations": [location],
    });
    if finding.omitted > 0 {
        result["occurrenceCount"] = finding.omitted.into();
    }
    if finding.allowed {
        result["suppressions"] = json!([{ "kind": "external", "justification": "--allow" }]);
    }
    result
}

/// A path as a URI reference: what has a meaning there, or is not ASCII, is written in hexadecimal.
fn uri(path: &Utf8Path) -> String {
    let mut uri = String::new();
    for byte in path.as_str().bytes() {
        match byte {
            b'\\' => uri.push('/'),
            b'/' | b'.' | b'-' | b'_' | b'~' | b'+' => uri.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
