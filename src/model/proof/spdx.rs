//! A bill of materials in SPDX's words, version 2.3, as JSON.
//!
//! Model layer. The format wants a time of creation; it is the modification time that all files of
//! the environment have, so that the same environment gives the same document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Bill, Part, PartFile};
use crate::model::digest::Hash;
use crate::model::moment::Moment;
use crate::model::proof::license::License;

/// Says that something is not known.
const UNKNOWN: &str = "NOASSERTION";

/// Writes the document.
pub fn document(bill: &Bill) -> Value {
    let mut document = Document::default();
    document.environment(bill);
    if let Some(interpreter) = &bill.interpreter {
        let name = interpreter.implementation.name();
        document.package(json!({
            "SPDXID": "SPDXRef-interpreter",
            "name": name,
            "versionInfo": interpreter.version.to_string(),
            "comment": interpreter.to_string(),
            "downloadLocation": UNKNOWN,
            "filesAnalyzed": false,
            "licenseConcluded": UNKNOWN,
            "licenseDeclared": UNKNOWN,
            "copyrightText": UNKNOWN,
            "primaryPackagePurpose": "INSTALL",
        }));
        document.relation("SPDXRef-environment", "DEPENDS_ON", "SPDXRef-interpreter");
    }
    for part in &bill.distributions {
        document.distribution(part);
        document.relation("SPDXRef-environment", "CONTAINS", &identifier(part));
    }
    for part in &bill.distributions {
        for name in bill.requires.get(&part.name).into_iter().flatten() {
            let found = bill.distributions.iter().find(|other| other.name == *name);
            if let Some(other) = found {
                document.relation(&identifier(part), "DEPENDS_ON", &identifier(other));
            }
        }
    }
    document.render(bill)
}

#[derive(Default)]
struct Document {
    packages: Vec<Value>,
    relations: Vec<Value>,
    /// What is no expression, by the reference that stands for it.
    own_licenses: BTreeMap<String, String>,
}

impl Document {
    fn package(&mut self, package: Value) {
        self.packages.push(package);
    }

    fn relation(&mut self, from: &str, kind: &str, to: &str) {
        self.relations.push(json!({
            "spdxElementId": from,
            "relationshipType": kind,
            "relatedSpdxElement": to,
        }));
    }

    fn environment(&mut self, bill: &Bill) {
        self.package(json!({
            "SPDXID": "SPDXRef-environment",
            "name": bill.name,
            "comment": format!(
                "root digest {} ({} of a REAPI Directory)", bill.root, bill.function.name()
            ),
            "downloadLocation": UNKNOWN,
            "filesAnalyzed": false,
            "licenseConcluded": UNKNOWN,
            "licenseDeclared": UNKNOWN,
            "copyrightText": UNKNOWN,
            "primaryPackagePurpose": "APPLICATION",
        }));
        self.relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-environment");
    }

    fn distribution(&mut self, part: &Part) {
        let own = identifier(part);
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        set("SPDXID", json!(&own));
        set("name", json!(part.name.written()));
        set("versionInfo", json!(part.version.to_string()));
        if let Some(wheel) = &part.wheel {
            set("packageFileName", json!(wheel));
        }
        set("supplier", json!(UNKNOWN));
        set("downloadLocation", json!(UNKNOWN));
        set("filesAnalyzed", json!(false));
        if let Some(sha256) = part.sha256 {
            let value = sha256.to_string();
            set("checksums", json!([{ "algorithm": "SHA256", "checksumValue": value }]));
        }
        if let Some((_, url)) = part.about.urls.first() {
            set("homepage", json!(url));
        }
        set("licenseConcluded", json!(UNKNOWN));
        set("licenseDeclared", json!(self.license(&part.license)));
        set("copyrightText", json!(UNKNOWN));
        if let Some(summary) = &part.about.summary {
            set("summary", json!(summary));
        }
        set(
            "externalRefs",
            json!([{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": part.purl(),
            }]),
        );
        set("primaryPackagePurpose", json!("LIBRARY"));
        self.package(Value::Object(fields));
        for (files, comment) in [
            (&part.license_files, "a license text of the distribution"),
            (&part.embedded, "a bill of materials inside the distribution"),
            (&part.libraries, "a shared library inside the distribution"),
        ] {
            for file in files {
                let name = self.file(part, file, comment);
                self.relation(&own, "CONTAINS", &name);
            }
        }
    }

    /// A file as a package: the format wants a SHA-1 of everything that it calls a file.
    fn file(&mut self, part: &Part, file: &PartFile, comment: &str) -> String {
        let key = format!("{}\n{}", part.purl(), file.path);
        let name = format!("SPDXRef-file-{}", &Hash::sha256(key.as_bytes()).to_string()[..16]);
        let mut value = json!({
            "SPDXID": &name,
            "name": file.path,
            "downloadLocation": UNKNOWN,
            "filesAnalyzed": false,
            "checksums": [{ "algorithm": "SHA256", "checksumValue": file.sha256.to_string() }],
            "licenseConcluded": UNKNOWN,
            "licenseDeclared": UNKNOWN,
            "copyrightText": UNKNOWN,
            "comment": comment,
            "primaryPackagePurpose": "FILE",
        });
        if let Some(text) = &file.text {
            value["description"] = json!(text);
        }
        self.package(value);
        name
    }

    /// An expression for a licence; what is none becomes a reference of the document's own.
    fn license(&mut self, license: &License) -> String {
        let mut parts: Vec<String> = Vec::new();
        for name in &license.names {
            let own = format!("LicenseRef-{}", &Hash::sha256(name.as_bytes()).to_string()[..16]);
            self.own_licenses.insert(own.clone(), name.clone());
            parts.push(own);
        }
        if let Some(expression) = &license.expression {
            for word in expression.split([' ', '(', ')']) {
                if word.starts_with("LicenseRef-") {
                    let text = "The license is named by the distribution's metadata.";
                    self.own_licenses.entry(word.to_owned()).or_insert_with(|| text.to_owned());
                }
            }
            let wrapped = !parts.is_empty() && expression.contains(" OR ");
            parts.insert(0, if wrapped { format!("({expression})") } else { expression.clone() });
        }
        if parts.is_empty() { UNKNOWN.to_owned() } else { parts.join(" AND ") }
    }

    fn render(self, bill: &Bill) -> Value {
        let mut document = json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": bill.name,
            "documentNamespace": format!("urn:uuid:{}", bill.uuid("spdx")),
            "creationInfo": {
                "created": Moment::of(bill.mtime).to_string(),
                "creators": [format!("Tool: venvtree-{}", env!("CARGO_PKG_VERSION"))],
            },
            "packages": self.packages,
            "relationships": self.relations,
        });
        if !self.own_licenses.is_empty() {
            let own = self.own_licenses.iter().map(|(reference, text)| {
                json!({ "licenseId": reference, "name": text, "extractedText": text })
            });
            document["hasExtractedLicensingInfos"] = own.collect();
        }
        document
    }
}

/// The identifier of a distribution: letters, digits, dots and hyphens are allowed in one.
fn identifier(part: &Part) -> String {
    let version: String = part
        .version
        .to_string()
        .chars()
        .map(|character| match character {
            '+' | '!' | '_' => '-',
            other => other,
        })
        .collect();
    format!("SPDXRef-{}-{version}", part.name.normalized())
}
