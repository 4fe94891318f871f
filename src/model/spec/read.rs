//! Reading a spec: from JSON text to a [`Spec`], with every problem and its path.

mod bytecode;
mod flags;
mod interpreter;
mod wheels;

use crate::model::digest::Hash;
use crate::model::interpreter::{Interpreter, Os};
use crate::model::json::{Json, Object, Place, Problems};
use crate::model::path::TreePath;
use crate::model::spec::foreign;
use crate::model::spec::{
    Flags, InputDigests, InputPath, LauncherReference, Launchers, Python, SPEC_VERSION,
    SourceReference, Spec, SpecError,
};

/// Reads a spec.
///
/// # Errors
/// The text is no JSON, or the document has problems, all of which are returned.
pub fn parse(text: &str) -> Result<Spec, SpecError> {
    let json = read_json(text)?;
    if let Some(found) = foreign::of_other_kind(&json) {
        return Err(SpecError::Foreign(found));
    }
    let mut problems = Problems::default();
    let spec = read_spec(&Place::root(&json), &mut problems);
    let found = problems.into_vec();
    match spec {
        Some(spec) if found.is_empty() => Ok(spec),
        _ => Err(SpecError::Problems(found)),
    }
}

/// Reads what `venvtree interpreter probe` prints: the `interpreter` of a spec. A whole spec will
/// do.
///
/// # Errors
/// The text is no JSON, or the document has problems, all of which are returned.
pub fn parse_interpreter(text: &str) -> Result<(Interpreter, Python), SpecError> {
    let json = read_json(text)?;
    let within = match &json {
        Json::Object(fields) => fields
            .iter()
            .find(|(name, value)| name == "interpreter" && matches!(value, Json::Object(_))),
        _ => None,
    };
    let place = match within {
        Some((_, value)) => Place { path: "$.interpreter".to_owned(), value },
        None => Place::root(&json),
    };
    let mut problems = Problems::default();
    let interpreter = interpreter::read(&place, &mut problems);
    match (interpreter, problems.into_vec()) {
        (Some((interpreter, Some(python), _)), problems) if problems.is_empty() => {
            Ok((interpreter, python))
        }
        (_, problems) => Err(SpecError::Problems(problems)),
    }
}

/// Reads JSON; what is something else is named for what it is.
fn read_json(text: &str) -> Result<Json, SpecError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Json::parse(text).map_err(|error| {
        foreign::recognize(text).map_or_else(|| SpecError::Json(error), SpecError::Foreign)
    })
}

fn read_spec(place: &Place<'_>, problems: &mut Problems) -> Option<Spec> {
    let mut object = place.object(problems)?;
    if let Some(version) = object.required("version", problems) {
        match version.number(problems) {
            Some(SPEC_VERSION) | None => {}
            Some(other) => problems.add_with_hint(
                &version.path,
                format!("found {other}, expected {SPEC_VERSION}"),
                "a later version of the spec needs a later venvtree",
            ),
        }
    }
    let interpreter = object
        .required("interpreter", problems)
        .and_then(|place| interpreter::read(&place, problems));
    let flags = object
        .optional("flags")
        .map_or_else(|| Some((Flags::default(), None)), |place| flags::read(&place, problems));
    let input_digests =
        flags.as_ref().map_or(InputDigests::Trusted, |(flags, _)| flags.input_digests);
    let launchers_place = object.nullable("launchers");
    let has_launchers = launchers_place.is_some();
    let launchers = launchers_place.and_then(|place| {
        let launchers = read_launchers(&place, input_digests, problems)?;
        let os = interpreter.as_ref().map(|(interpreter, ..)| interpreter.platform.os());
        if os.is_some_and(|os| os != Os::Windows) {
            problems.add(&place.path, "given for an operating system other than windows");
        }
        Some(launchers)
    });
    let wheels = object
        .optional("wheels")
        .map_or_else(Vec::new, |place| wheels::read(&place, input_digests, problems));
    let sources =
        object.optional("sources").map_or_else(Vec::new, |place| read_sources(&place, problems));
    let bytecode_place = object.nullable("bytecode");
    let path_entries = object
        .optional("path_entries")
        .map_or_else(Vec::new, |place| read_path_entries(&place, problems));
    let root = object.path().to_owned();
    object.finish(problems);
    let (interpreter, python, lib64) = interpreter?;
    let (mut flags, lib64_flag) = flags?;
    let windows = interpreter.platform.os() == Os::Windows;
    if windows && !has_launchers {
        problems.add_with_hint(
            &root,
            "the field `launchers` is missing: Windows starts only .exe files",
            "name launcher files, such as distlib's t64.exe for `console` and w64.exe for `gui`",
        );
    }
    flags.lib64 = lib64_flag.unwrap_or(lib64 && flags.links);
    check_lib64(&flags, interpreter.platform.os(), problems);
    // There are no links in an environment for Windows, whatever the kind.
    if let (false, Some(python)) = (flags.links || windows, &python)
        && !matches!(python, Python::Launcher { .. })
    {
        problems.add_with_hint(
            "$.flags.links",
            format!(
                "found false with a python of kind {:?}, which is a symbolic link",
                python.kind()
            ),
            "without links, use the kind \"launcher\"",
        );
    }
    let bytecode = bytecode_place
        .and_then(|place| bytecode::read(&place, &interpreter, python.as_ref(), problems));
    let spec = Spec {
        interpreter,
        python: python?,
        launchers,
        wheels,
        sources,
        path_entries,
        bytecode,
        flags,
    };
    bytecode::check(&spec, &root, problems);
    Some(spec)
}

fn check_lib64(flags: &Flags, os: Os, problems: &mut Problems) {
    const PATH: &str = "$.flags.lib64";
    if flags.lib64 && os != Os::Linux {
        problems.add(PATH, "found true for an operating system other than linux");
    } else if flags.lib64 && !flags.links {
        problems.add_with_hint(
            PATH,
            "found true with `links` false: `lib64` would be a symbolic link",
            "leave one of them out",
        );
    }
}

fn read_input(place: &Place<'_>, problems: &mut Problems) -> Option<InputPath> {
    let text = place.string(problems)?;
    if text.is_empty() || text.contains('\0') {
        problems.add(&place.path, format!("found {text:?}, expected a path or an input's key"));
        return None;
    }
    Some(InputPath(text.to_owned()))
}

fn read_tree_path(place: &Place<'_>, problems: &mut Problems) -> Option<TreePath> {
    let text = place.string(problems)?;
    TreePath::parse(text).map_err(|error| problems.add(&place.path, error.to_string())).ok()
}

fn read_launchers(
    place: &Place<'_>,
    input_digests: InputDigests,
    problems: &mut Problems,
) -> Option<Launchers> {
    let mut object = place.object(problems)?;
    let console = object
        .required("console", problems)
        .and_then(|place| read_launcher(&place, input_digests, problems));
    let gui = object
        .required("gui", problems)
        .and_then(|place| read_launcher(&place, input_digests, problems));
    let python =
        object.nullable("python").and_then(|place| read_launcher(&place, input_digests, problems));
    let pythonw =
        object.nullable("pythonw").and_then(|place| read_launcher(&place, input_digests, problems));
    object.finish(problems);
    Some(Launchers { console: console?, gui: gui?, python, pythonw })
}

fn read_launcher(
    place: &Place<'_>,
    input_digests: InputDigests,
    problems: &mut Problems,
) -> Option<LauncherReference> {
    let mut object = place.object(problems)?;
    let path = object.required("path", problems).and_then(|place| read_input(&place, problems));
    let sha256 = read_sha256(&mut object, pin("launcher", input_digests), problems);
    object.finish(problems);
    Some(LauncherReference { path: path?, sha256 })
}

/// The field `sha256` of an input; `hint` says what to do where it is missing and may not be.
fn read_sha256(
    object: &mut Object<'_>,
    hint: Option<String>,
    problems: &mut Problems,
) -> Option<Hash> {
    if let Some(place) = object.nullable("sha256") {
        let text = place.string(problems)?;
        return Hash::parse_hex(text)
            .map_err(|error| problems.add(&place.path, error.to_string()))
            .ok();
    }
    if let Some(hint) = hint {
        problems.add_with_hint(object.path(), "the field `sha256` is missing", hint);
    }
    None
}

/// What to do where an input has no digest; nothing where somebody vouches for it.
fn pin(what: &str, input_digests: InputDigests) -> Option<String> {
    let hint = format!(
        "pin the {what}, or say \"input_digests\": \"trusted\" where a build system vouches for its inputs"
    );
    (input_digests == InputDigests::Pinned).then_some(hint)
}

fn read_sources(place: &Place<'_>, problems: &mut Problems) -> Vec<SourceReference> {
    let mut sources = Vec::new();
    for place in place.list(problems) {
        let Some(mut object) = place.object(problems) else {
            continue;
        };
        let path = object.required("path", problems).and_then(|place| read_input(&place, problems));
        let into = match object.nullable("into") {
            Some(place) if matches!(place.value, Json::String(text) if text == ".") => Some(None),
            Some(place) => read_tree_path(&place, problems).map(Some),
            None => path.as_ref().and_then(|path| {
                let name = path.0.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                TreePath::parse(name)
                    .map_err(|error| {
                        problems.add(object.path(), format!("{error}: expected a field `into`"))
                    })
                    .ok()
                    .map(Some)
            }),
        };
        let bytecode = bytecode::read_overlays(&mut object, "bytecode", problems);
        object.finish(problems);
        if let (Some(path), Some(into)) = (path, into) {
            sources.push(SourceReference { path, into, bytecode });
        }
    }
    sources
}

fn read_path_entries(place: &Place<'_>, problems: &mut Problems) -> Vec<String> {
    let mut entries = Vec::new();
    for place in place.list(problems) {
        let Some(text) = place.string(problems) else {
            continue;
        };
        if text.is_empty() || text.starts_with('/') || text.chars().any(char::is_control) {
            problems.add(
                &place.path,
                format!("found {text:?}, expected a path relative to the tree's root"),
            );
        } else if text.starts_with('#')
            || text.starts_with("import ")
            || text.starts_with("import\t")
        {
            // site.py would take the line of the .pth file for a comment or for code.
            problems.add_with_hint(
                &place.path,
                format!("found {text:?}, which a .pth file cannot hold"),
                "begin the path with `./`",
            );
        } else {
            entries.push(text.to_owned());
        }
    }
    entries
}
