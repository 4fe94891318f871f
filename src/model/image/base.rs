//! The image that another one is put on: what of its documents matters, read leniently, as other
//! tools wrote them.
//!
//! Model layer. A layout's index leads, perhaps through further indexes, to a manifest, and that to
//! a configuration and layers. Whoever has the bytes hands them in, each compared with the digest
//! that led to it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::digest::{Digest, Hash};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::image::{INDEX, ImagePlatform, MANIFEST, name};

/// The longest document that is read.
const LARGEST: u64 = 16 << 20;

/// What Docker calls what the specification calls otherwise: the bytes are the same.
const DOCKER: [(&str, &str); 6] = [
    ("application/vnd.docker.distribution.manifest.v2+json", MANIFEST),
    ("application/vnd.docker.distribution.manifest.list.v2+json", INDEX),
    (
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ),
    ("application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"),
    (
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.oci.image.layer.v1.tar+zstd",
    ),
    ("application/vnd.docker.container.image.v1+json", super::CONFIG),
];

/// Why there is nothing to put an image on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// A document is not what it should be.
    #[error("{what}: {error}")]
    Document {
        /// Which one.
        what: String,
        /// What the reader says.
        error: String,
    },
    /// Bytes are others than those that a digest names.
    #[error("the blob {digest} has other bytes than its name says")]
    Other { digest: String },
    /// No manifest is for the platform.
    #[error("it has no image for {wanted}: found {}", if .found.is_empty() { "none".to_owned() } else { .found.join(", ") })]
    Platform {
        /// For which one.
        wanted: String,
        /// Those that there are.
        found: Vec<String>,
    },
    /// No manifest has the tag.
    #[error("it has no image `{tag}`: found {}", if .found.is_empty() { "none with a name".to_owned() } else { .found.join(", ") })]
    Tag {
        tag: String,
        /// Those that there are.
        found: Vec<String>,
    },
    /// Several manifests could be meant.
    #[error("it has {count} images for {wanted}")]
    Several {
        /// How many.
        count: usize,
        /// For which platform.
        wanted: String,
    },
    /// The configuration and the manifest contradict each other.
    #[error("its manifest has {layers} layers, its configuration {diff_ids}")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
}

impl Explain for BaseError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Several { .. } | Self::Tag { .. } => ErrorKind::Usage
                .hint("name one with `--base LAYOUT:TAG`, or copy one to a layout of its own"),
            Self::Platform { .. } => {
                ErrorKind::Usage.hint("the interpreter of the spec says what the image is for")
            }
            // As for a base that is not there.
            Self::Document { .. } | Self::Layers { .. } => ErrorKind::Io.no_hint(),
            Self::Other { .. } => ErrorKind::Verification.no_hint(),
        }
    }
}

/// What a document says of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<DescriptorPlatform>,
    #[serde(default)]
    annotations: Option<serde_json::Map<String, Value>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct DescriptorPlatform {
    architecture: String,
    os: String,
}

impl Descriptor {
    /// The digest.
    ///
    /// # Errors
    /// It is by another function than SHA-256, or none at all.
    pub fn digest(&self) -> Result<Digest, BaseError> {
        let hash = self.digest.strip_prefix("sha256:").map(Hash::parse_hex);
        match hash {
            Some(Ok(hash)) => Ok(Digest { hash, size: self.size }),
            _ => Err(BaseError::Document {
                what: format!("the digest `{}`", self.digest),
                error: "expected sha256:HASH".to_owned(),
            }),
        }
    }

    /// The same for a document that is read as a whole.
    ///
    /// # Errors
    /// As [`Descriptor::digest`], or it is too long.
    pub fn document_digest(&self) -> Result<Digest, BaseError> {
        let digest = self.digest()?;
        if digest.size > LARGEST {
            let error = format!("has {} bytes, expected at most {LARGEST}", digest.size);
            return Err(BaseError::Document { what: format!("the blob {}", self.digest), error });
        }
        Ok(digest)
    }

    fn media_type(&self) -> &str {
        let docker = DOCKER.iter().find(|(docker, _)| *docker == self.media_type);
        docker.map_or(&self.media_type, |(_, oci)| oci)
    }

    fn tag(&self) -> Option<&str> {
        self.annotations.as_ref()?.get("org.opencontainers.image.ref.name")?.as_str()
    }

    /// As it stands in the manifest of an image on top.
    pub(super) fn document(&self) -> Value {
        json!({ "mediaType": self.media_type(), "digest": self.digest, "size": self.size })
    }
}

/// Where an index leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To another index.
    Index(Descriptor),
    /// To a manifest.
    Manifest(Descriptor),
}

impl Step {
    /// Reads an index and chooses what of it is for a platform, or is called `tag`. `what` names it
    /// in errors.
    ///
    /// # Errors
    /// It is none, or nothing or too much of it is.
    pub fn of(
        index: &[u8],
        what: &str,
        wanted: ImagePlatform,
        tag: Option<&str>,
    ) -> Result<Self, BaseError> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Vec<Descriptor>,
        }
        let Index { mut manifests } = read(index, what)?;
        if let Some(tag) = tag {
            let found = manifests.iter().filter_map(Descriptor::tag).map(str::to_owned).collect();
            manifests.retain(|manifest| manifest.tag() == Some(tag));
            if manifests.is_empty() {
                return Err(BaseError::Tag { tag: tag.to_owned(), found });
            }
        }
        let found = manifests.iter().filter_map(|manifest| manifest.platform.as_ref());
        let found = found.map(|found| format!("{}/{}", found.os, found.architecture)).collect();
        // What does not say what it is for may be for this.
        manifests.retain(|manifest| {
            manifest.platform.as_ref().is_none_or(|platform| {
                platform.os == wanted.os && platform.architecture == wanted.architecture
            })
        });
        manifests.dedup_by(|one, other| one.digest == other.digest);
        let wanted = wanted.to_string();
        match <[Descriptor; 1]>::try_from(manifests) {
            Ok([one]) if one.media_type() == INDEX => Ok(Self::Index(one)),
            Ok([one]) => Ok(Self::Manifest(one)),
            Err(none) if none.is_empty() => Err(BaseError::Platform { wanted, found }),
            Err(several) => Err(BaseError::Several { count: several.len(), wanted }),
        }
    }
}

/// An image to put another one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The digest of its manifest.
    pub manifest: Digest,
    pub layers: Vec<Descriptor>,
    /// Its configuration.
    pub(super) config: Value,
    /// The digests of its layers before they are compressed.
    pub(super) diff_ids: Vec<Value>,
}

/// What a manifest says, apart from its layers' order.
#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Base {
    /// Which blob of a manifest is the configuration.
    ///
    /// # Errors
    /// It is no manifest.
    pub fn config((digest, manifest): (Digest, &[u8])) -> Result<Descriptor, BaseError> {
        Ok(Manifest::read(digest, manifest)?.config)
    }

    /// Reads a manifest and its configuration.
    ///
    /// # Errors
    /// One of them is none, they contradict each other, or are for another platform.
    pub fn of(
        (digest, manifest): (Digest, &[u8]),
        config: &[u8],
        wanted: ImagePlatform,
    ) -> Result<Self, BaseError> {
        let manifest = Manifest::read(digest, manifest)?;
        let config: Value = read(config, &format!("the configuration {}", manifest.config.digest))?;
        let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default();
        let found = format!("{}/{}", text("os"), text("architecture"));
        if found != wanted.to_string() {
            return Err(BaseError::Platform { wanted: wanted.to_string(), found: vec![found] });
        }
        let diff_ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
        let layers = manifest.layers;
        if diff_ids.len() != layers.len() {
            let diff_ids = diff_ids.len();
            return Err(BaseError::Layers { layers: layers.len(), diff_ids });
        }
        Ok(Self { manifest: digest, layers, config, diff_ids })
    }
}

impl Manifest {
    fn read(digest: Digest, bytes: &[u8]) -> Result<Self, BaseError> {
        read(bytes, &format!("the manifest {}", name(digest.hash)))
    }
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, BaseError> {
    serde_json::from_slice(bytes)
        .map_err(|error| BaseError::Document { what: what.to_owned(), error: error.to_string() })
}
