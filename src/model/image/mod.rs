//! Container images in the format of the Open Container Initiative: what their documents say.
//!
//! Model layer. An image is a list of layers and a configuration. Its documents are made here, from
//! those of a base where there is one; nothing in them depends on when, where or by whom.

mod base;
mod config;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::digest::{Digest, DigestFunction, Hash};
use crate::model::interpreter::{Arch, Os, Platform};

pub use base::{Base, BaseError, Descriptor, Step};
pub use config::config;

/// The media type of an index of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of a configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// What the file `oci-layout` says.
pub const LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";
/// The most layers that runtimes take.
pub const MOST_LAYERS: usize = 127;

/// What an image runs on, in the words of Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePlatform {
    /// The operating system.
    pub os: &'static str,
    /// The processor.
    pub architecture: &'static str,
    /// Which of several kinds of the processor.
    pub variant: Option<&'static str>,
}

impl ImagePlatform {
    /// What an interpreter's image runs on; nothing where there are no such images.
    pub fn of(platform: &Platform) -> Option<Self> {
        let (architecture, variant) = match platform.arch() {
            Arch::X86_64 => ("amd64", None),
            Arch::I686 => ("386", None),
            Arch::Aarch64 => ("arm64", Some("v8")),
            Arch::Armv7l => ("arm", Some("v7")),
            Arch::Ppc64le => ("ppc64le", None),
            Arch::S390x => ("s390x", None),
            Arch::Riscv64 => ("riscv64", None),
            Arch::Loongarch64 => ("loong64", None),
        };
        (platform.os() == Os::Linux).then_some(Self { os: "linux", architecture, variant })
    }

    /// As the specification writes it.
    fn document(self) -> Value {
        let mut document = json!({ "architecture": self.architecture, "os": self.os });
        if let Some(variant) = self.variant {
            document["variant"] = variant.into();
        }
        document
    }
}

impl std::fmt::Display for ImagePlatform {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)
    }
}

/// How an image is to be run, where somebody says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The program that is started, with arguments.
    pub entrypoint: Option<Vec<String>>,
    /// More arguments, which whoever starts the image can replace.
    pub command: Option<Vec<String>>,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Who runs it.
    pub user: Option<String>,
    /// Where.
    pub workdir: Option<String>,
    /// What the image is called within its layout.
    pub tag: Option<String>,
}

/// A layer that is an archive by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// The digest of the archive.
    pub digest: Digest,
    /// The SHA-256 of what the archive is before it is compressed.
    pub diff_id: Hash,
    /// How it is compressed.
    pub media_type: &'static str,
    /// What it holds, for people.
    pub comment: String,
}

/// An image as its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// The configuration.
    pub config: Vec<u8>,
    /// The manifest, whose digest is the image's.
    pub manifest: Vec<u8>,
    /// The index of the layout.
    pub index: Vec<u8>,
}

impl Documents {
    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        DigestFunction::Sha256.digest(&self.manifest)
    }
}

/// The documents of an image: a configuration, and the layers of a base below those that come on
/// top of it.
pub fn documents(
    config: &Value,
    base: Option<&Base>,
    layers: &[LayerBlob],
    platform: ImagePlatform,
    tag: Option<&str>,
) -> Documents {
    let config = bytes(config);
    let below = base.iter().flat_map(|base| &base.layers).map(Descriptor::document);
    let above = layers.iter().map(|layer| descriptor(layer.media_type, layer.digest));
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, DigestFunction::Sha256.digest(&config)),
        "layers": below.chain(above).collect::<Vec<_>>(),
    });
    if let Some(base) = base {
        manifest["annotations"] =
            json!({ "org.opencontainers.image.base.digest": name(base.manifest.hash) });
    }
    let manifest = bytes(&manifest);
    let mut listed = descriptor(MANIFEST, DigestFunction::Sha256.digest(&manifest));
    listed["platform"] = platform.document();
    if let Some(tag) = tag {
        listed["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    }
    let index = bytes(&json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [listed] }));
    Documents { config, manifest, index }
}

/// A digest as documents write it.
pub fn name(sha256: Hash) -> String {
    format!("sha256:{sha256}")
}

fn descriptor(media_type: &str, digest: Digest) -> Value {
    json!({ "mediaType": media_type, "digest": name(digest.hash), "size": digest.size })
}

fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
