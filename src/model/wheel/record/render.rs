//! `RECORD` as it is written.
//!
//! Model layer.

use super::hash::push_base64url;
use crate::model::digest::Hash;

/// Renders a canonical `RECORD`: `own_path` without hash and size, and every other file; sorted by
/// the bytes of the path, each row ended by a line feed. Of two entries for one path the first one
/// is written.
pub fn render<'path>(
    own_path: &'path str,
    files: impl IntoIterator<Item = (&'path str, Hash, u64)>,
) -> Vec<u8> {
    let mut rows: Vec<(&str, Option<(Hash, u64)>)> =
        files.into_iter().map(|(path, hash, size)| (path, Some((hash, size)))).collect();
    // Stable, and quick where the files are in order already.
    rows.sort_by_key(|(path, _)| *path);
    rows.insert(rows.partition_point(|(path, _)| *path < own_path), (own_path, None));
    rows.dedup_by_key(|(path, _)| *path);
    let mut text = Vec::with_capacity(rows.iter().map(|(path, _)| path.len() + 64).sum());
    for (path, content) in rows {
        push_field(&mut text, path);
        match content {
            None => text.extend_from_slice(b",,\n"),
            Some((hash, size)) => {
                text.extend_from_slice(b",sha256=");
                push_base64url(&mut text, hash.as_bytes());
                text.push(b',');
                push_number(&mut text, size);
                text.push(b'\n');
            }
        }
    }
    text
}

/// A field as CSV has it: quoted where it must be.
fn push_field(text: &mut Vec<u8>, field: &str) {
    let bytes = field.as_bytes();
    let is_plain =
        memchr::memchr3(b',', b'"', b'\n', bytes).or(memchr::memchr(b'\r', bytes)).is_none();
    if is_plain {
        return text.extend_from_slice(bytes);
    }
    text.push(b'"');
    text.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    text.push(b'"');
}

fn push_number(text: &mut Vec<u8>, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(b'0' + (number % 10) as u8);
}
