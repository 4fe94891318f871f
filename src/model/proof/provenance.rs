//! Where an environment comes from, as a statement that others can sign: in-toto's `Statement` v1
//! with SLSA's provenance v1 as its predicate.
//!
//! Model layer. Unsigned: signing is for tools that hold keys.

use serde_json::{Value, json};

use super::Bill;
use crate::model::digest::Hash;

/// Writes the statement. `request` is the SHA-256 of the canonical request: what was asked for,
/// whoever builds it.
pub fn statement(bill: &Bill, request: Hash) -> Value {
    let materials: Vec<Value> = bill
        .distributions
        .iter()
        .filter_map(|part| {
            let (wheel, sha256) = (part.wheel.as_ref()?, part.sha256?);
            Some(json!({
                "name": wheel,
                "uri": part.purl(),
                "digest": { "sha256": sha256.to_string() },
            }))
        })
        .collect();
    let function = bill.function.name();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": bill.name,
            "digest": { (function): bill.root.0.hash.to_string() },
            "annotations": { "size": bill.root.0.size, "of": "REAPI Directory" },
        }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:venvtree:build:1",
                "externalParameters": {
                    "request": { "sha256": request.to_string() },
                    "interpreter": bill.interpreter.as_ref().map(ToString::to_string),
                },
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {
                    "id": "urn:venvtree",
                    "version": { "venvtree": env!("CARGO_PKG_VERSION") },
                },
            },
        },
    })
}
