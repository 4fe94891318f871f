//! The field `flags` of a spec.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::activate::Shell;
use crate::model::digest::DigestFunction;
use crate::model::finding::Code;
use crate::model::json::{Json, Object, Place, Problems};
use crate::model::name::DistName;
use crate::model::path::TreePath;
use crate::model::spec::{Check, Flags, InputDigests, LATEST_MTIME, Override, Policy};

/// The flags, and what they say of `lib64`, whose default depends on the interpreter.
pub(super) fn read(place: &Place<'_>, problems: &mut Problems) -> Option<(Flags, Option<bool>)> {
    let mut object = place.object(problems)?;
    let mut flags = Flags::default();
    let set = |place: Option<bool>, flag: &mut bool| *flag = place.unwrap_or(*flag);
    set(
        object.optional("system_site_packages").and_then(|place| place.bool(problems)),
        &mut flags.system_site_packages,
    );
    set(object.optional("gitignore").and_then(|place| place.bool(problems)), &mut flags.gitignore);
    set(object.optional("links").and_then(|place| place.bool(problems)), &mut flags.links);
    let lib64 = object.nullable("lib64").and_then(|place| place.bool(problems));
    if let Some(place) = object.nullable("prompt")
        && let Some(text) = place.string(problems)
    {
        if text.contains('\0') {
            problems.add(&place.path, "found a NUL character, which no shell can show");
        }
        flags.prompt = Some(text.to_owned());
    }
    if let Some(place) = object.optional("activators") {
        flags.activators = read_activators(&place, problems);
    }
    if let Some(policy) = object
        .optional("conflicts")
        .and_then(|place| place.word(&Policy::ALL.map(|policy| (policy.name(), policy)), problems))
    {
        flags.conflicts = policy;
    }
    if let Some(place) = object.optional("conflict_overrides") {
        flags.conflict_overrides = read_overrides(&place, problems);
    }
    let functions = DigestFunction::ALL.map(|function| (function.name(), function));
    if let Some(function) =
        object.optional("digest_function").and_then(|place| place.word(&functions, problems))
    {
        flags.digest_function = function;
    }
    if let Some(place) = object.optional("mtime")
        && let Some(seconds) = place.number(problems)
    {
        if seconds > LATEST_MTIME {
            problems.add(&place.path, format!("found {seconds}, expected at most {LATEST_MTIME}"));
        }
        flags.mtime = seconds;
    }
    if let Some(mode) = object.optional("input_digests").and_then(|place| {
        place.word(&InputDigests::ALL.map(|digests| (digests.name(), digests)), problems)
    }) {
        flags.input_digests = mode;
    }
    if let Some(check) = object
        .optional("requirements")
        .and_then(|place| place.word(&Check::ALL.map(|check| (check.name(), check)), problems))
    {
        flags.requirements = check;
    }
    read_codes(&mut object, &mut flags, problems);
    object.finish(problems);
    Some((flags, lib64))
}

/// Which codes of findings are accepted and which are refused.
fn read_codes(object: &mut Object<'_>, flags: &mut Flags, problems: &mut Problems) {
    if let Some(place) = object.optional("allow") {
        for place in place.list(problems) {
            match place.string(problems).map(str::parse::<Code>) {
                Some(Ok(code)) if code.allowance().is_possible() => {
                    flags.allow.insert(code);
                }
                Some(Ok(code)) => {
                    let reason = code.allowance().reason().unwrap_or_default();
                    problems.add(
                        &place.path,
                        format!(
                            "findings of the code {:?} can never be accepted: {reason}",
                            code.text()
                        ),
                    );
                }
                Some(Err(error)) => problems.add(&place.path, error.to_string()),
                None => {}
            }
        }
    }
    if let Some(place) = object.optional("deny") {
        for place in place.list(problems) {
            match place.string(problems).map(str::parse::<Code>) {
                Some(Ok(code)) if flags.allow.contains(&code) => {
                    problems.add(
                        &place.path,
                        format!("findings of the code {:?} are accepted by `allow`", code.text()),
                    );
                }
                Some(Ok(code)) => {
                    flags.deny.insert(code);
                }
                Some(Err(error)) => problems.add(&place.path, error.to_string()),
                None => {}
            }
        }
    }
}

fn read_activators(place: &Place<'_>, problems: &mut Problems) -> BTreeSet<Shell> {
    let words = Shell::ALL.map(|shell| (shell.name(), shell));
    match place.value {
        Json::Array(_) => {
            place.list(problems).iter().filter_map(|place| place.word(&words, problems)).collect()
        }
        _ => {
            place.word(&[("all", ())], problems);
            Shell::ALL.into_iter().collect()
        }
    }
}

fn read_overrides(place: &Place<'_>, problems: &mut Problems) -> BTreeMap<TreePath, Override> {
    let mut overrides = BTreeMap::new();
    for (key, place) in place.map(problems) {
        let path =
            TreePath::parse(key).map_err(|error| problems.add(&place.path, error.to_string()));
        let value = place.string(problems).and_then(|text| {
            let policy =
                Policy::ALL.into_iter().find(|policy| policy.name() == text).map(Override::Policy);
            let named = || {
                text.strip_prefix("wheel:")
                    .and_then(|name| DistName::parse(name).ok())
                    .map(Override::Distribution)
            };
            let value = policy.or_else(named);
            if value.is_none() {
                problems.add(
                    &place.path,
                    format!(
                        "found {text:?}, expected \"error\", \"first\", \"last\" or \"wheel:NAME\""
                    ),
                );
            }
            value
        });
        if let (Ok(path), Some(value)) = (path, value) {
            overrides.insert(path, value);
        }
    }
    overrides
}
