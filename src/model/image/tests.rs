//! What the documents of images say. Other tools read them in the tests of `pack`.

use serde_json::{Value, json};

use super::*;
use crate::model::path::TreePath;

const LINUX: ImagePlatform =
    ImagePlatform { os: "linux", architecture: "arm64", variant: Some("v8") };

fn index(manifests: &Value) -> Vec<u8> {
    json!({ "schemaVersion": 2, "manifests": manifests }).to_string().into_bytes()
}

fn listed(number: u8, more: &Value) -> Value {
    let digest = name(Hash::new([number; 32]));
    let mut listed = json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 });
    for (key, value) in more.as_object().unwrap() {
        listed[key.as_str()] = value.clone();
    }
    listed
}

/// Which of some manifests is chosen, or why none.
fn choose(manifests: &[Value], tag: Option<&str>) -> Result<Hash, String> {
    let step = Step::of(&index(&json!(manifests)), "index.json", LINUX, tag);
    match step.map_err(|error| error.to_string())? {
        Step::Manifest(descriptor) => Ok(descriptor.digest().unwrap().hash),
        Step::Index(descriptor) => Err(format!("an index {}", descriptor.digest().unwrap())),
    }
}

#[test]
fn of_an_index_what_is_for_the_platform_or_has_the_tag_is_chosen() {
    let on = |number, architecture: &str| {
        listed(number, &json!({ "platform": { "os": "linux", "architecture": architecture } }))
    };
    let called = |number, tag: &str| {
        listed(number, &json!({ "annotations": { "org.opencontainers.image.ref.name": tag } }))
    };
    let hash = |number| Ok(Hash::new([number; 32]));
    assert_eq!(choose(&[listed(1, &json!({}))], None), hash(1));
    assert_eq!(choose(&[on(1, "amd64"), on(2, "arm64"), on(3, "unknown")], None), hash(2));
    assert_eq!(choose(&[called(1, "a"), called(2, "b")], Some("b")), hash(2));
    // The same image under two names is one.
    assert_eq!(choose(&[called(1, "a"), called(1, "b")], None), hash(1));
    for (manifests, tag, message) in [
        (vec![], None, "it has no image for linux/arm64: found none"),
        (vec![on(1, "amd64")], None, "it has no image for linux/arm64: found linux/amd64"),
        (vec![called(1, "a"), called(2, "b")], None, "it has 2 images for linux/arm64"),
        (vec![called(1, "a")], Some("c"), "it has no image `c`: found a"),
        (vec![on(1, "arm64")], Some("c"), "it has no image `c`: found none with a name"),
    ] {
        assert_eq!(choose(&manifests, tag), Err(message.to_owned()));
    }
    let docker = "application/vnd.docker.distribution.manifest.list.v2+json";
    assert!(
        choose(&[listed(1, &json!({ "mediaType": docker }))], None)
            .unwrap_err()
            .starts_with("an index")
    );
    assert!(
        Step::of(b"[", "index.json", LINUX, None)
            .unwrap_err()
            .to_string()
            .starts_with("index.json: ")
    );
}

/// A base of one layer whose configuration is this.
fn base(config: &Value) -> Result<Base, BaseError> {
    let layer = json!({
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "digest": name(Hash::new([7; 32])),
        "size": 9,
        "urls": [],
    });
    let manifest = json!({ "config": listed(3, &json!({})), "layers": [layer] }).to_string();
    let digest = DigestFunction::Sha256.digest(manifest.as_bytes());
    Base::of((digest, manifest.as_bytes()), config.to_string().as_bytes(), LINUX)
}

fn configuration(more: &Value) -> Value {
    let mut config = json!({
        "os": "linux",
        "architecture": "arm64",
        "rootfs": { "type": "layers", "diff_ids": [name(Hash::new([8; 32]))] },
    });
    for (key, value) in more.as_object().unwrap() {
        config[key.as_str()] = value.clone();
    }
    config
}

#[test]
fn a_base_has_to_agree_with_itself_and_with_the_platform() {
    assert!(base(&configuration(&json!({}))).is_ok());
    let refused = |more: Value| base(&configuration(&more)).unwrap_err().to_string();
    assert_eq!(
        refused(json!({ "architecture": "amd64" })),
        "it has no image for linux/arm64: found linux/amd64"
    );
    assert_eq!(refused(json!({ "rootfs": {} })), "its manifest has 1 layers, its configuration 0");
}

fn layer() -> LayerBlob {
    LayerBlob {
        digest: Digest { hash: Hash::new([1; 32]), size: 5 },
        diff_id: Hash::new([2; 32]),
        media_type: "application/vnd.oci.image.layer.v1.tar+zstd",
        comment: "numpy 2.4.6".to_owned(),
    }
}

fn configured(base: Option<&Base>, settings: &Settings) -> Value {
    let prefix = TreePath::parse("opt/venv").unwrap();
    config(base, settings, &[layer()], (LINUX, 315_619_200, &prefix))
}

#[test]
fn what_is_set_wins_over_the_base_which_stays_otherwise() {
    let below = base(&configuration(&json!({
        "author": "somebody",
        "config": {
            "Env": ["A=1", "PATH=/sbin", "B=2"],
            "Cmd": ["sh"],
            "Labels": { "x": "1", "y": "2" },
            "ExposedPorts": { "80/tcp": {} },
        },
        "history": [{ "created_by": "base" }, { "created_by": "base", "empty_layer": true }],
    })))
    .unwrap();
    let settings = Settings {
        command: Some(vec!["-m".to_owned()]),
        entrypoint: Some(vec!["python".to_owned()]),
        variables: vec![("B".to_owned(), "3".to_owned()), ("C".to_owned(), "4".to_owned())],
        labels: BTreeMap::from([("y".to_owned(), "3".to_owned())]),
        ..Settings::default()
    };
    let config = configured(Some(&below), &settings);
    assert_eq!(
        config["config"],
        json!({
            "ExposedPorts": { "80/tcp": {} },
            "Entrypoint": ["python"],
            "Cmd": ["-m"],
            "Labels": { "x": "1", "y": "3" },
            "Env": ["A=1", "PATH=/opt/venv/bin:/sbin", "B=3", "C=4"],
        })
    );
    assert_eq!(
        (&config["author"], &config["created"]),
        (&json!("somebody"), &json!("1980-01-02T00:00:00Z"))
    );
    let diff_ids = [8, 2].map(|number| name(Hash::new([number; 32])));
    assert_eq!(config["rootfs"]["diff_ids"], json!(diff_ids));
    assert_eq!(config["history"].as_array().unwrap().len(), 3);
    // A PATH of one's own is taken as it is; nothing else is lost.
    let settings =
        Settings { variables: vec![("PATH".to_owned(), "/x".to_owned())], ..Settings::default() };
    let config = configured(Some(&below), &settings);
    assert_eq!(config["config"]["Env"], json!(["A=1", "PATH=/x", "B=2"]));
    assert_eq!(config["config"]["Cmd"], json!(["sh"]));
}

#[test]
fn a_history_that_does_not_tell_of_all_layers_is_not_continued() {
    let below = base(&configuration(&json!({ "history": [] }))).unwrap();
    assert_eq!(configured(Some(&below), &Settings::default()).get("history"), None);
    let alone = configured(None, &Settings::default());
    assert_eq!(alone["history"][0]["comment"], "numpy 2.4.6");
    assert_eq!((&alone["os"], &alone["variant"]), (&json!("linux"), &json!("v8")));
}

#[test]
fn documents_name_each_other_by_digest() {
    let below = base(&configuration(&json!({}))).unwrap();
    let config = configured(Some(&below), &Settings::default());
    let documents = documents(&config, Some(&below), &[layer()], LINUX, Some("latest"));
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let (manifest, index) = (read(&documents.manifest), read(&documents.index));
    assert_eq!(index["manifests"][0]["digest"], name(documents.digest().hash));
    assert_eq!(manifest["config"]["digest"], name(Hash::sha256(&documents.config)));
    assert_eq!(manifest["config"]["size"], documents.config.len());
    // Docker's names of the base's layers become those of the specification.
    let types: Vec<&Value> =
        manifest["layers"].as_array().unwrap().iter().map(|layer| &layer["mediaType"]).collect();
    assert_eq!(
        types,
        [
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd"
        ]
    );
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.base.digest"],
        name(below.manifest.hash)
    );
    assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "latest");
}

#[test]
fn only_linux_has_images() {
    let of = |platform| ImagePlatform::of(&platform).map(|platform| platform.to_string());
    assert_eq!(
        of(Platform::Linux { arch: Arch::X86_64, libc: None }).as_deref(),
        Some("linux/amd64")
    );
    assert_eq!(of(Platform::Windows { arch: Arch::X86_64 }), None);
    for arch in Arch::ALL {
        assert!(of(Platform::Linux { arch, libc: None }).is_some());
    }
}
