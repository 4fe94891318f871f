//! The wheels of a spec.

use std::collections::HashMap;

use super::bytecode::read_overlays;
use super::{pin, read_input, read_sha256};
use crate::model::address::Address;
use crate::model::digest::WheelDigest;
use crate::model::json::{Json, Place, Problems};
use crate::model::spec::{InputDigests, InputPath, WheelReference};
use crate::model::wheel::filename::WheelFilename;

pub(super) fn read(
    place: &Place<'_>,
    input_digests: InputDigests,
    problems: &mut Problems,
) -> Vec<WheelReference> {
    let places = place.list(problems);
    let mut wheels = Vec::with_capacity(places.len());
    let mut seen: HashMap<WheelKey, &str> = HashMap::with_capacity(3 * places.len());
    for place in &places {
        let Some(wheel) = read_wheel(place, input_digests, problems) else {
            continue;
        };
        let path = wheel.path.as_ref().map(|path| WheelKey::Path(path.to_string()));
        let mut keys: Vec<WheelKey> = path.into_iter().collect();
        keys.push(WheelKey::FileName(wheel.file_name.to_string()));
        keys.extend(wheel.sha256.map(WheelKey::Digest));
        if let Some((what, path)) = keys.iter().find_map(|key| Some((key.what(), seen.get(key)?))) {
            problems.add(
                &place.path,
                format!(
                    "the {what} of `{}` is that of {path}, expected every wheel once",
                    wheel.file_name
                ),
            );
        }
        for key in keys {
            seen.entry(key).or_insert(&place.path);
        }
        wheels.push(wheel);
    }
    wheels
}

/// What two wheels of a spec cannot both be.
#[derive(PartialEq, Eq, Hash)]
enum WheelKey {
    Path(String),
    FileName(String),
    Digest(WheelDigest),
}

impl WheelKey {
    fn what(&self) -> &'static str {
        match self {
            Self::Path(_) => "path",
            Self::FileName(_) => "file name",
            Self::Digest(_) => "SHA-256",
        }
    }
}

fn read_wheel(
    place: &Place<'_>,
    input_digests: InputDigests,
    problems: &mut Problems,
) -> Option<WheelReference> {
    let mut object = place.object(problems)?;
    let path_place = object.nullable("path");
    let path = path_place.as_ref().and_then(|place| read_input(place, problems));
    let url_place = object.nullable("url");
    let urls = url_place.as_ref().map_or_else(Vec::new, |place| read_urls(place, problems));
    let size = object.nullable("size").and_then(|place| {
        let size = place.number(problems)?;
        if url_place.is_none() {
            problems.add(&place.path, "given without `url`: it bounds what is fetched");
        }
        Some(size)
    });
    if path_place.is_none() && url_place.is_none() {
        problems.add(object.path(), "the field `path` is missing, and so is `url`");
    }
    let file_name_place = object.nullable("file_name");
    let file_name = match (&file_name_place, &path_place) {
        (Some(place), _) => place.string(problems).and_then(|text| {
            let name = WheelFilename::parse(text);
            name.map_err(|error| problems.add(&place.path, error.to_string())).ok()
        }),
        (None, Some(place)) => path.as_ref().and_then(|path| {
            let name = WheelFilename::parse(last_part(path));
            name.map_err(|error| problems.add(&place.path, error.to_string())).ok()
        }),
        (None, None) => name_of_address(url_place.as_ref(), urls.first(), problems),
    };
    let hint = match url_place {
        Some(_) => Some("what is fetched is compared with it".to_owned()),
        None => pin("wheel", input_digests),
    };
    let sha256 = read_sha256(&mut object, hint, problems).map(WheelDigest);
    let exclude =
        object.optional("exclude").map_or_else(Vec::new, |place| read_patterns(&place, problems));
    let bytecode = read_overlays(&mut object, "bytecode", problems);
    object.finish(problems);
    if path.is_none() && urls.is_empty() {
        return None;
    }
    Some(WheelReference { path, urls, size, file_name: file_name?, sha256, exclude, bytecode })
}

/// The last part of a path.
fn last_part(path: &InputPath) -> &str {
    path.0.rsplit('/').next().unwrap_or(&path.0)
}

/// The file name that an address ends in. What it ends in else may be a secret.
fn name_of_address(
    place: Option<&Place<'_>>,
    address: Option<&Address>,
    problems: &mut Problems,
) -> Option<WheelFilename> {
    let (place, address) = place.zip(address)?;
    let name = address.file_name().and_then(|name| WheelFilename::parse(&name).ok());
    if name.is_none() {
        let message = "found an address that does not end in the file name of a wheel";
        problems.add_with_hint(&place.path, message, "give the name as `file_name`");
    }
    name
}

fn read_urls(place: &Place<'_>, problems: &mut Problems) -> Vec<Address> {
    let places = match place.value {
        Json::Array(_) => place.list(problems),
        _ => vec![Place { path: place.path.clone(), value: place.value }],
    };
    if places.is_empty() {
        problems.add(&place.path, "found an empty list, expected at least one address");
    }
    let read = |place: &Place<'_>| {
        let Json::String(text) = place.value else {
            let found = place.value.describe();
            problems.add(&place.path, format!("found {found}, expected an address"));
            return None;
        };
        Address::parse(text).map_err(|error| problems.add(&place.path, error.to_string())).ok()
    };
    places.iter().filter_map(read).collect()
}

/// Patterns of paths.
pub(super) fn read_patterns(place: &Place<'_>, problems: &mut Problems) -> Vec<String> {
    let patterns = place.list(problems);
    let check = |place: &Place<'_>| {
        let text = place.string(problems)?;
        match globset::GlobBuilder::new(text).literal_separator(true).build() {
            Ok(_) if !text.is_empty() => Some(text.to_owned()),
            Ok(_) => {
                problems.add(&place.path, "found an empty pattern");
                None
            }
            Err(error) => {
                problems.add(
                    &place.path,
                    format!("the pattern {text:?} cannot be read: {}", error.kind()),
                );
                None
            }
        }
    };
    patterns.iter().filter_map(check).collect()
}
