//! What an environment is made of: bills of materials that other tools accept and agree with, and
//! rules about licenses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::commands::feed;
use crate::support::download::{Download, wheels_with_needs};
use crate::support::interpreters;
use crate::support::project::{Project, WheelText, some_interpreter};

/// A program of the environment with the formats' own validators, installed by `.ci/install`.
fn judge(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/bill-peers/bin").join(name);
    assert!(program.exists(), "{} is missing: run .ci/install", program.display());
    program
}

/// The metadata of what a distribution brings along for itself.
const VENDORED: &str = "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n";

fn project() -> Project {
    let project = Project::new();
    let app = WheelText::new("app_tool", "1.0+local.1")
        .file("app.py", "")
        .file("app_tool_vendor/other-1.0.dist-info/METADATA", VENDORED)
        .file("app_tool.libs/libz-1a2b.so.1.2.3", "no library")
        .file("app_tool-1.0+local.1.dist-info/licenses/LICENSE", "Do as you like: ü.\n")
        .file("app_tool-1.0+local.1.dist-info/sboms/app tool.cdx.json", "{}")
        .metadata("License-Expression: mit OR Apache-2.0")
        .metadata("License-File: LICENSE")
        .metadata("Summary: A tool.")
        .metadata("Project-URL: Source, https://files.example/app")
        .metadata("Project-URL: Chat, https://chat.example/#/#app:example")
        .metadata("Requires-Dist: helper[fast]")
        .metadata("Requires-Dist: absent; sys_platform == 'win32'");
    let helper = WheelText::new("helper", "2")
        .file("helper.py", "")
        .metadata("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)")
        .metadata("Provides-Extra: fast")
        .metadata("Requires-Dist: quick; extra == 'fast'");
    let quick = WheelText::new("quick", "3").file("quick.py", "").metadata("License: ask me");
    let wheels = [app, helper, quick].map(|wheel| project.wheel(&wheel));
    project.spec(some_interpreter(), &wheels, |_| ());
    project
}

/// What a program of the validators' environment says of a document.
fn check(program: &str, document: &str) -> String {
    let mut command = Command::new(judge("python"));
    command.args(["-I", "-c", program]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = feed(&mut command, document.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const CYCLONEDX: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
";

const SPDX: &str = "
import json, sys
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
document = JsonLikeDictParser().parse(json.load(sys.stdin))
print([message.validation_message for message in validate_full_spdx_document(document)])
";

#[test]
fn validators_find_nothing_wrong() {
    let project = project();
    project.run(&["build", "env.json", "--out", "env"]).success();
    for subject in ["env.json", "env"] {
        for texts in [&[][..], &["--texts"]] {
            let bill = project.run(&[&["sbom", subject][..], texts].concat()).success();
            assert_eq!(check(CYCLONEDX, &bill).trim(), "None", "{bill}");
            let arguments = [&["sbom", subject, "--format", "spdx"][..], texts].concat();
            let bill = project.run(&arguments).success();
            assert_eq!(check(SPDX, &bill).trim(), "[]", "{bill}");
        }
    }
}

#[test]
fn a_bill_tells_what_the_wheels_say() {
    let project = project();
    let bill: Value = serde_json::from_str(&project.run(&["sbom", "env.json"]).success()).unwrap();
    let again = project.run(&["sbom", "env.json", "--out", "bill.json"]);
    assert_eq!(again.stderr, "wrote `bill.json`: 3 distributions\n");
    let written = std::fs::read_to_string(project.path().join("bill.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), bill);
    let digest = project.run(&["digest", "env.json"]).success();
    assert_eq!(bill["metadata"]["component"]["properties"][0]["value"], digest.trim());
    let app = &bill["components"][1];
    assert_eq!(app["purl"], "pkg:pypi/app-tool@1.0%2Blocal.1");
    assert_eq!(
        app["licenses"],
        json!([{"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}])
    );
    assert_eq!(app["components"][0]["name"], "app_tool.libs/libz-1a2b.so.1.2.3");
    assert_eq!(app["externalReferences"][1]["url"], "https://chat.example/#/%23app:example");
    let embedded = &app["externalReferences"][2];
    assert_eq!(embedded["type"], "bom");
    assert_eq!(embedded["url"], "app_tool-1.0%2Blocal.1.dist-info/sboms/app%20tool.cdx.json");
    let wheel = project.path().join("wheels/app_tool-1.0+local.1-py3-none-any.whl");
    let hash = venvtree::model::digest::Hash::sha256(&std::fs::read(wheel).unwrap());
    assert_eq!(app["hashes"][0]["content"], hash.to_string());
    let on = |name: &str| {
        let all = bill["dependencies"].as_array().unwrap();
        let found = all.iter().find(|entry| entry["ref"].as_str().unwrap().contains(name));
        found.unwrap()["dependsOn"].clone()
    };
    assert_eq!(on("pypi/app-tool"), json!(["pkg:pypi/helper@2"]));
    // By way of the extra that was asked for.
    assert_eq!(on("pypi/helper"), json!(["pkg:pypi/quick@3"]));
    // Of the directory the same is known but for the wheels; what a distribution brings along for
    // itself is none that is installed.
    project.run(&["build", "env.json", "--out", "env"]).success();
    let built: Value = serde_json::from_str(&project.run(&["sbom", "env"]).success()).unwrap();
    assert_eq!(
        built["metadata"]["component"]["properties"],
        bill["metadata"]["component"]["properties"]
    );
    assert_eq!(built["components"].as_array().unwrap().len(), 3, "{built}");
    for (one, other) in [(1, 0), (2, 1), (3, 2)] {
        for field in ["name", "version", "licenses", "components", "externalReferences"] {
            assert_eq!(
                bill["components"][one][field], built["components"][other][field],
                "{field}"
            );
        }
    }
}

#[test]
fn the_bill_names_what_another_tool_finds_in_the_environment() {
    let python = interpreters().into_iter().find(|python| python.version == (3, 11)).unwrap();
    let project = Project::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/bill-wheels");
    let wanted = [
        "flask==3.1.2",
        "click==8.3.0",
        "jinja2==3.1.6",
        "werkzeug==3.1.3",
        "pyyaml==6.0.3",
        "itsdangerous==2.2.0",
        "markupsafe==3.0.3",
        "blinker==1.9.0",
        "certifi==2025.10.5",
    ];
    if crate::support::download::wheels_in(&folder).len() != wanted.len() {
        let download = Download::for_python("3.11");
        let platforms = ["manylinux2014_x86_64", "manylinux_2_28_x86_64"].map(str::to_owned);
        assert!(download.platforms(platforms.into_iter()).run(&wanted, &folder));
    }
    let (folder, python) = (folder.to_str().unwrap(), python.path.to_str().unwrap());
    project.run(&["spec", "from", folder, "--for", python, "--out", "env.json"]).success();
    project.run(&["build", "env.json", "--out", "env"]).success();
    let (bill, other) = (bill_of(&project, "env"), judged(&project, "env"));
    let (ours, theirs) = (licenses(&bill), licenses(&other));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let different: Vec<&String> = ours
        .iter()
        .filter(|(name, found)| {
            // Classifiers stay names there. Here one of a family that nothing else names does, and
            // one that names a license of SPDX's list is that license.
            let plain: BTreeSet<String> = theirs[*name]
                .iter()
                .map(|text| text.rsplit(" :: ").next().unwrap_or(text))
                .map(|text| text.replace("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"))
                .collect();
            **found != plain
        })
        .map(|(name, _)| name)
        .collect();
    assert!(different.is_empty(), "{different:?}\n{ours:?}\n{theirs:?}");
}

/// The bill of an environment.
fn bill_of(project: &Project, environment: &str) -> Value {
    serde_json::from_str(&project.run(&["sbom", environment]).success()).unwrap()
}

/// The bill that another tool writes of an environment.
fn judged(project: &Project, environment: &str) -> Value {
    let output = Command::new(judge("cyclonedx-py"))
        .args(["environment", &format!("{environment}/bin/python")])
        .args(["--of", "JSON", "--output-reproducible"])
        .current_dir(project.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Of many the same are named, and none without a license that the other one knows a license of.
#[test]
#[ignore = "downloads a hundred wheels: cargo test --test it -- --ignored proof::"]
fn the_bill_of_a_hundred_wheels_names_what_another_tool_finds() {
    let python = interpreters().into_iter().find(|python| python.version == (3, 11)).unwrap();
    let project = Project::new();
    let projects = ["boto3", "django", "jupyterlab", "sympy", "transformers"];
    let wheels = wheels_with_needs(&python, &projects);
    assert!(wheels.len() >= 98, "{}", wheels.len());
    let path = python.path.to_str().unwrap();
    let probe = project.run(&["interpreter", "probe", path]).success();
    project.spec(serde_json::from_str(&probe).unwrap(), &wheels, |_| ());
    project.run(&["build", "env.json", "--out", "env"]).success();
    let (bill, other) = (bill_of(&project, "env"), judged(&project, "env"));
    assert_eq!(check(CYCLONEDX, &bill.to_string()).trim(), "None");
    let (ours, theirs) = (licenses(&bill), licenses(&other));
    assert_eq!(ours.len(), wheels.len());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let known = theirs.iter().filter(|(_, found)| !found.is_empty());
    let unknown: Vec<&String> =
        known.map(|(name, _)| name).filter(|name| ours[*name].is_empty()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The licenses of each component, by name and version.
fn licenses(bill: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let components = bill["components"].as_array().unwrap().iter();
    components
        .map(|component| {
            let all = component["licenses"].as_array().into_iter().flatten();
            let texts = all.filter_map(|one| {
                let license = &one["license"];
                [&one["expression"], &license["id"], &license["name"]]
                    .into_iter()
                    .find_map(|text| text.as_str().map(str::to_owned))
            });
            let name = component["name"].as_str().unwrap().to_lowercase();
            (format!("{name} {}", component["version"]), texts.collect())
        })
        .collect()
}

#[test]
fn a_rule_about_licenses_is_obeyed_or_broken() {
    let project = project();
    let listed = project.run(&["licenses", "env.json"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert_eq!(
        listed.stdout,
        "app_tool  1.0+local.1  MIT OR Apache-2.0\nhelper    2            GPL-3.0-only\n\
         quick     3            \"ask me\"\n"
    );
    let broken = project.run(&["licenses", "env.json", "--allow-license", "MIT"]);
    assert_eq!(broken.code, 6, "{broken:?}");
    assert_eq!(
        broken.stderr,
        "warning: helper 2: GPL-3.0-only is not allowed\n\
         warning: quick 3: \"ask me\" is no SPDX expression\n\
         the rule allows 1 of 3 distributions\n"
    );
    let obeyed = project.run(&[
        "licenses",
        "env.json",
        "--allow-license",
        "MIT OR GPL-3.0-only",
        "--assume",
        "Quick=isc AND MIT",
        "--allow-license",
        "ISC",
        "--format",
        "json",
    ]);
    let report: Value = serde_json::from_str(&obeyed.success()).unwrap();
    assert_eq!(report["distributions"][2]["expression"], "ISC AND MIT");
    assert_eq!(report["distributions"][2]["from"], "assumed");
    let texts = project.run(&["licenses", "env.json", "--texts"]).success();
    assert!(texts.contains("licenses/LICENSE\nDo as you like: ü.\n"), "{texts}");
    // The same list in a file, whatever the rule says of it.
    let rule = ["licenses", "env.json", "--texts", "--out", "licenses.txt", "--deny-license"];
    let written = project.run(&[&rule[..], &["MIT AND Apache-2.0"]].concat());
    assert_eq!((written.code, written.stdout.as_str()), (6, ""), "{written:?}");
    assert!(written.stderr.contains("wrote `licenses.txt`: 3 distributions\n"), "{written:?}");
    assert_eq!(std::fs::read_to_string(project.path().join("licenses.txt")).unwrap(), texts);
    for (arguments, expected) in [
        (&["--out", "env.json"][..], "env.json"),
        (&["--allow-license", "mine"], "`mine` is not an SPDX license expression"),
        (&["--assume", "other=MIT"], "`other` is not in the environment"),
        (&["--assume", "MIT"], "`MIT` is not NAME=LICENSE"),
    ] {
        let output = project.run(&[&["licenses", "env.json"], arguments].concat());
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains(expected), "{output:?}");
    }
}

/// Licenses are of distributions, and need no bytecode; a document that has the root digest does.
#[test]
fn licenses_need_no_bytecode() {
    let project = project();
    let plain = project.run(&["licenses", "env.json"]).success();
    let text = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let mut spec: Value = serde_json::from_str(&text).unwrap();
    spec["interpreter"]["version"] = "3.11.7".into();
    spec["bytecode"] = json!({});
    project.write("env.json", spec.to_string());
    assert_eq!(project.run(&["licenses", "env.json"]).success(), plain);
    let bill = project.run(&["sbom", "env.json"]);
    assert!(bill.stderr.contains("[bytecode.unavailable]"), "{bill:?}");
}

#[test]
fn a_statement_binds_the_request_to_the_root_digest() {
    let project = project();
    let statement = project.run(&["sbom", "env.json", "--format", "in-toto", "--name", "app"]);
    let statement: Value = serde_json::from_str(&statement.success()).unwrap();
    let digest = project.run(&["digest", "env.json"]).success();
    let (hash, size) = digest.trim().split_once('/').unwrap();
    assert_eq!(statement["subject"][0]["name"], "app");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], hash);
    assert_eq!(statement["subject"][0]["annotations"]["size"].to_string(), size);
    let key: Value =
        serde_json::from_str(&project.run(&["key", "env.json", "--format", "json"]).success())
            .unwrap();
    let request = &statement["predicate"]["buildDefinition"]["externalParameters"]["request"];
    let canonical = serde_json::to_vec(&key["request"]).unwrap();
    assert_eq!(request["sha256"], venvtree::model::digest::Hash::sha256(&canonical).to_string());
    let materials = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
    assert_eq!(materials.as_array().unwrap().len(), 3);
    project.run(&["build", "env.json", "--out", "env"]).success();
    let refused = project.run(&["sbom", "env", "--format", "in-toto"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let refused = project.run(&["sbom", "."]);
    assert!(refused.code == 2 && refused.stderr.contains("is no environment"), "{refused:?}");
}
