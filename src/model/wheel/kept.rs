//! A manifest as bytes, so that a wheel that was read once need not be read again.
//!
//! Model layer. What its texts say is not kept but their bytes, which are parsed again: quick, and
//! with one form less to keep true.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry_points::EntryPoints;
use super::filename::WheelFilename;
use super::index::Location;
use super::manifest::{HashOrigin, Member, WheelManifest, data_folder};
use super::metadata::Metadata;
use super::wheel_file::WheelHeaders;
use crate::model::digest::Hash;
use crate::model::file_kind::FileKind;
use crate::model::finding::Finding;
use crate::model::path::TreePath;

#[derive(Debug, Serialize, Deserialize)]
struct KeptManifest<'bytes> {
    file: &'bytes str,
    dist_info: &'bytes str,
    #[serde(borrow)]
    members: Vec<KeptMember<'bytes>>,
    contents: Vec<(usize, &'bytes [u8])>,
    /// As JSON, which leaves fields out where they say nothing.
    findings: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptMember<'bytes> {
    path: &'bytes str,
    kind: FileKind,
    sha256: [u8; 32],
    computed: bool,
    location: Location,
}

/// Renders a manifest for [`decode`].
pub fn encode(manifest: &WheelManifest) -> Vec<u8> {
    let members = manifest.members.iter().map(|member| KeptMember {
        path: member.path.as_str(),
        kind: member.kind,
        sha256: *member.sha256.as_bytes(),
        computed: member.origin == HashOrigin::Computed,
        location: member.location,
    });
    let kept = KeptManifest {
        file: manifest.file.as_str(),
        dist_info: &manifest.dist_info,
        members: members.collect(),
        contents: manifest.contents.iter().map(|(index, bytes)| (*index, &**bytes)).collect(),
        findings: serde_json::to_string(&manifest.findings).expect("findings are plain values"),
    };
    postcard::to_stdvec(&kept).expect("memory takes everything")
}

/// The manifest of the wheel of this name; nothing where the bytes are not one of its.
pub fn decode(file: &WheelFilename, bytes: &[u8]) -> Option<WheelManifest> {
    let kept: KeptManifest<'_> = postcard::from_bytes(bytes).ok()?;
    if kept.file != file.as_str() {
        return None;
    }
    let mut members = Vec::with_capacity(kept.members.len());
    for member in kept.members {
        let KeptMember { path, kind, sha256, computed, location } = member;
        members.push(Member {
            path: TreePath::parse(path).ok()?,
            kind,
            sha256: Hash::new(sha256),
            origin: if computed { HashOrigin::Computed } else { HashOrigin::Claimed },
            location,
        });
    }
    let findings: Vec<Finding> = serde_json::from_str(&kept.findings).ok()?;
    let contents: BTreeMap<usize, Arc<[u8]>> =
        kept.contents.into_iter().map(|(index, bytes)| (index, bytes.into())).collect();
    let text = |name: &str| {
        let path = format!("{}/{name}", kept.dist_info);
        let index = members.binary_search_by(|member| member.path.as_str().cmp(&path)).ok()?;
        contents.get(&index).cloned()
    };
    let headers = WheelHeaders::parse(&text("WHEEL")?).value?;
    let metadata = Metadata::parse(&text("METADATA")?, file).value?;
    let entry_points = text("entry_points.txt")
        .map(|bytes| EntryPoints::parse(&bytes).scripts)
        .unwrap_or_default();
    Some(WheelManifest {
        file: file.clone(),
        purelib: headers.purelib,
        dist_info: kept.dist_info.into(),
        data: data_folder(kept.dist_info).into(),
        members: members.into(),
        contents,
        entry_points,
        headers,
        metadata,
        findings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Findings;
    use crate::model::wheel::index::Method;

    /// A manifest of a wheel that has a bit of everything.
    fn manifest() -> WheelManifest {
        let headers = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let metadata = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Python: >=3.8\nRequires-Dist: six\n";
        let entry_points = b"[console_scripts]\ndemo = demo:main\n";
        let texts: [(&str, &[u8]); 4] = [
            ("demo-1.0.dist-info/METADATA", metadata),
            ("demo-1.0.dist-info/WHEEL", headers),
            ("demo-1.0.dist-info/entry_points.txt", entry_points),
            ("demo/__init__.py", b""),
        ];
        let member = |(path, bytes): (&str, &[u8])| Member {
            path: TreePath::parse(path).unwrap(),
            kind: FileKind::from(path.ends_with("entry_points.txt")),
            sha256: Hash::sha256(bytes),
            origin: if bytes.is_empty() { HashOrigin::Claimed } else { HashOrigin::Computed },
            location: Location {
                offset: 1,
                end: u64::MAX,
                compressed: 3,
                size: 4,
                crc32: 5,
                flags: 6,
                method: Method::Deflate,
            },
        };
        let mut findings = Findings::new();
        findings.add_member(
            crate::model::finding::Code::RecordUnlisted,
            "demo/__init__.py",
            "the member has no row in RECORD",
        );
        WheelManifest {
            file: WheelFilename::parse("demo-1.0-py3-none-any.whl").unwrap(),
            purelib: true,
            dist_info: "demo-1.0.dist-info".into(),
            data: "demo-1.0.data".into(),
            members: texts.into_iter().map(member).collect(),
            contents: texts[..3]
                .iter()
                .enumerate()
                .map(|(index, (_, bytes))| (index, (*bytes).into()))
                .collect(),
            entry_points: EntryPoints::parse(entry_points).scripts,
            headers: WheelHeaders::parse(headers).value.unwrap(),
            metadata: Metadata::parse(
                metadata,
                &WheelFilename::parse("demo-1.0-py3-none-any.whl").unwrap(),
            )
            .value
            .unwrap(),
            findings: findings.finish(),
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        let manifest = manifest();
        let back = decode(&manifest.file, &encode(&manifest)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{manifest:?}"));
    }

    #[test]
    fn what_is_no_manifest_of_the_wheel_is_nothing() {
        let manifest = manifest();
        let bytes = encode(&manifest);
        assert!(
            decode(&WheelFilename::parse("demo-1.1-py3-none-any.whl").unwrap(), &bytes).is_none()
        );
        for length in 0..bytes.len() {
            assert!(decode(&manifest.file, &bytes[..length]).is_none(), "cut at {length}");
        }
    }
}
