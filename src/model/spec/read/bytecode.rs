//! The bytecode that a spec asks for.

use std::collections::BTreeSet;

use super::read_input;
use super::wheels::read_patterns;
use crate::model::bytecode::modules::matches_nothing;
use crate::model::bytecode::release::Compiler;
use crate::model::bytecode::{Level, Validation};
use crate::model::interpreter::Interpreter;
use crate::model::json::{Json, Object, Place, Problems};
use crate::model::spec::{Bytecode, InputPath, Python, Spec, compiler_of, own_compiler};

/// The field `bytecode`.
pub(super) fn read(
    place: &Place<'_>,
    interpreter: &Interpreter,
    python: Option<&Python>,
    problems: &mut Problems,
) -> Option<Bytecode> {
    let mut object = place.object(problems)?;
    let compiler = read_compiler(&mut object, interpreter, problems);
    let levels = object.optional("levels").map_or_else(
        || BTreeSet::from([Level::default()]),
        |place| {
            let places = place.list(problems);
            if matches!(place.value, Json::Array(list) if list.is_empty()) {
                problems.add(&place.path, "found no level, expected at least one of 0, 1 and 2");
            }
            places.iter().filter_map(|place| read_level(place, problems)).collect()
        },
    );
    let validation = object
        .optional("validation")
        .and_then(|place| place.word(&Validation::ALL, problems))
        .unwrap_or_default();
    let exclude = object.optional("exclude").map(|place| read_exclude(&place, problems));
    let interpreter_path = format!("{}.interpreter", place.path);
    let overlays = read_overlays(&mut object, "interpreter", problems);
    object.finish(problems);
    if !overlays.is_empty() && !matches!(python, Some(Python::Inside { .. }) | None) {
        problems.add(
            &interpreter_path,
            "given for an interpreter that is not copied in: its library is not part of the tree",
        );
    }
    let mut bytecode = Bytecode::new(levels, compiler?);
    bytecode.validation = validation;
    bytecode.interpreter = overlays;
    if let Some(exclude) = exclude {
        bytecode.exclude = exclude;
    }
    Some(bytecode)
}

/// Patterns of modules.
fn read_exclude(place: &Place<'_>, problems: &mut Problems) -> Vec<String> {
    if let Json::Array(_) = place.value {
        for place in place.list(problems) {
            let Json::String(pattern) = place.value else { continue };
            if let Some(why) = matches_nothing(pattern).filter(|_| !pattern.is_empty()) {
                let message = format!("the pattern {pattern:?} can match no module: {why}");
                problems.add(&place.path, message);
            }
        }
    }
    read_patterns(place, problems)
}

/// The compiler: that of the interpreter's own version, unless another one is named.
fn read_compiler(
    object: &mut Object<'_>,
    interpreter: &Interpreter,
    problems: &mut Problems,
) -> Option<Compiler> {
    let given = object.nullable("compiler");
    let path = given.as_ref().map_or_else(|| object.path().to_owned(), |place| place.path.clone());
    let found = match &given {
        Some(place) => compiler_of(interpreter, place.string(problems)?),
        None => own_compiler(interpreter),
    };
    found.map_err(|problem| problems.add_with_hint(&path, problem.message, problem.hint)).ok()
}

fn read_level(place: &Place<'_>, problems: &mut Problems) -> Option<Level> {
    let number = place.number(problems)?;
    let level = Level::new(number);
    if level.is_none() {
        problems.add(&place.path, format!("found {number}, expected 0, 1 or 2"));
    }
    level
}

/// Overlays: one path or key, or a list of those.
pub(super) fn read_overlays(
    object: &mut Object<'_>,
    name: &'static str,
    problems: &mut Problems,
) -> Vec<InputPath> {
    let Some(place) = object.nullable(name) else {
        return Vec::new();
    };
    let places = match place.value {
        Json::Array(_) => place.list(problems),
        _ => vec![place],
    };
    places.iter().filter_map(|place| read_input(place, problems)).collect()
}

/// Overlays are of no use where no bytecode is asked for.
pub(super) fn check(spec: &Spec, path: &str, problems: &mut Problems) {
    if spec.bytecode.is_none() && spec.overlays().next().is_some() {
        problems.add_with_hint(
            path,
            "the field `bytecode` is missing, and there are overlays with some",
            "write `\"bytecode\": {}`, or leave the overlays out",
        );
    }
}
