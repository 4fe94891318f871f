//! Packing a wheel: files, metadata and the RECORD of both, as a deterministic zip archive.
//!
//! Effects layer. The binary distribution format decides what `WHEEL` says and that the
//! `.dist-info` directory comes last.

use std::collections::BTreeMap;
use std::io::{Read as _, Write};

use camino::Utf8PathBuf;

use crate::effects::host::fs::{Links, failed, open_regular};
use crate::effects::sink::archive::zip::ZipArchive;
use crate::effects::sink::archive::{Archive, ArchiveError};
use crate::model::digest::{DigestFunction, Hash, Hasher};
use crate::model::file_kind::FileKind;
use crate::model::path::TreePath;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::record;

/// What a wheel is made of.
#[derive(Debug, Clone)]
pub struct WheelContents {
    /// The file name; the tags and the names of directories follow from it.
    pub name: WheelFilename,
    /// METADATA.
    pub metadata: Vec<u8>,
    /// `entry_points.txt`.
    pub entry_points: Option<Vec<u8>>,
    /// Where each file of the wheel is.
    pub files: BTreeMap<TreePath, Utf8PathBuf>,
    /// The time of everything, in seconds since 1970-01-01T00:00:00Z.
    pub mtime: u64,
}

/// Packs a wheel.
///
/// # Errors
/// A file cannot be read, or `out` refuses. What was written until then is no wheel.
pub fn pack(contents: &WheelContents, out: &mut dyn Write) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(out, contents.mtime);
    let mut rows: Vec<(String, Hash, u64)> = Vec::new();
    let scripts = format!("{}.data/scripts/", contents.name.stem());
    for (path, place) in &contents.files {
        let path = path.to_string();
        let mut file = open_regular(place, Links::Follow).map_err(failed("read", place))?;
        let size = file.metadata().map_err(failed("read", place))?.len();
        let mut hasher = Hasher::new(DigestFunction::Sha256);
        archive.begin_file(&path, size, FileKind::from(path.starts_with(&scripts)))?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = file.read(&mut buffer).map_err(failed("read", place))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            archive.write(&buffer[..count])?;
        }
        archive.end()?;
        let digest = hasher.finish();
        rows.push((path, digest.hash, digest.size));
    }
    let directory = format!("{}.dist-info", contents.name.stem());
    let mut texts = vec![
        ("METADATA", contents.metadata.clone()),
        ("WHEEL", wheel_text(&contents.name).into_bytes()),
    ];
    texts.extend(contents.entry_points.clone().map(|text| ("entry_points.txt", text)));
    for (name, text) in texts {
        let path = format!("{directory}/{name}");
        let digest = DigestFunction::Sha256.digest(&text);
        archive.add(&path, &text)?;
        rows.push((path, digest.hash, digest.size));
    }
    let own_path = format!("{directory}/RECORD");
    let rendered = record::render(
        &own_path,
        rows.iter().map(|(path, hash, size)| (path.as_str(), *hash, *size)),
    );
    archive.add(&own_path, &rendered)?;
    Ok(Box::new(archive).finish()?)
}

/// WHEEL. It names no version of venvtree: a new one would make other bytes of the same wheel.
fn wheel_text(name: &WheelFilename) -> String {
    let tags: Vec<String> = name.tags.to_string().split('-').map(str::to_owned).collect();
    let [interpreters, abis, platforms] = tags.as_slice() else {
        unreachable!("tags have three parts")
    };
    let purelib = abis == "none" && platforms == "any";
    let mut text = format!("Wheel-Version: 1.0\nGenerator: venvtree\nRoot-Is-Purelib: {purelib}\n");
    if let Some(build) = &name.build {
        text.push_str(&format!("Build: {build}\n"));
    }
    for interpreter in interpreters.split('.') {
        for abi in abis.split('.') {
            for platform in platforms.split('.') {
                text.push_str(&format!("Tag: {interpreter}-{abi}-{platform}\n"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_file_spells_compressed_tags_out() {
        let text = |name: &str| wheel_text(&WheelFilename::parse(name).unwrap());
        assert_eq!(
            text("a-1-py2.py3-none-any.whl"),
            "Wheel-Version: 1.0\nGenerator: venvtree\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"
        );
        assert_eq!(
            text("a-1-2b-cp311-cp311-linux_x86_64.whl"),
            "Wheel-Version: 1.0\nGenerator: venvtree\nRoot-Is-Purelib: false\nBuild: 2b\nTag: cp311-cp311-linux_x86_64\n"
        );
    }
}
