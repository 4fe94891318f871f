//! Reading a spec: from JSON text to a [`Spec`], with every problem and its path.

mod wheels;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::activate::Shell;
use crate::model::digest::{DigestFunction, Hash};
use crate::model::finding::Code;
use crate::model::interpreter::{
    Arch, Implementation, Interpreter, Libc, Os, Platform, parse_pair,
};
use crate::model::json::{Json, Object, Place, Problems};
use crate::model::name::{DistName, PythonVersion};
use crate::model::nearest;
use crate::model::path::TreePath;
use crate::model::spec::foreign;
use crate::model::spec::{
    Check, Flags, InputDigests, InputPath, LATEST_MTIME, LauncherReference, Launchers, Override,
    Policy, Python, SPEC_VERSION, SourceReference, Spec, SpecError,
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
    let interpreter = read_interpreter(&place, &mut problems);
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
        .and_then(|place| read_interpreter(&place, problems));
    let flags = object
        .optional("flags")
        .map_or_else(|| Some((Flags::default(), None)), |place| read_flags(&place, problems));
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
    Some(Spec { interpreter, python: python?, launchers, wheels, sources, path_entries, flags })
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

/// The interpreter, the way to it, and whether the folder of its compiled modules is `lib64`.
fn read_interpreter(
    place: &Place<'_>,
    problems: &mut Problems,
) -> Option<(Interpreter, Option<Python>, bool)> {
    let mut object = place.object(problems)?;
    let implementation = object.required("implementation", problems).and_then(|place| {
        place.word(
            &Implementation::ALL.map(|implementation| (implementation.name(), implementation)),
            problems,
        )
    });
    let version = object.required("version", problems).and_then(|place| {
        let text = place.string(problems)?;
        PythonVersion::parse(text)
            .map_err(|error| problems.add(&place.path, error.to_string()))
            .ok()
            .map(|version| (version, place))
    });
    if let Some((version, place)) = &version {
        let (name, oldest) = match implementation {
            Some(Implementation::PyPy) => ("PyPy", 9),
            Some(Implementation::CPython) | None => ("CPython", 8),
        };
        if version.major != 3 || version.minor < oldest {
            problems
                .add(&place.path, format!("found {version}, expected {name} 3.{oldest} or newer"));
        }
    }
    let abi = object
        .required("abi", problems)
        .and_then(|place| place.string(problems).map(|text| (text, place)));
    let platform =
        object.required("platform", problems).and_then(|place| read_platform(&place, problems));
    let python = object.required("python", problems);
    let lib64 = object
        .nullable("platlibdir")
        .and_then(|place| place.word(&[("lib", false), ("lib64", true)], problems));
    object.finish(problems);
    // What depends on something that cannot be read is not judged; the rest is.
    let facts = implementation.zip(version).zip(abi).zip(platform);
    let interpreter =
        facts.map(|(((implementation, (version, _)), (abi, abi_place)), platform)| {
            let interpreter = Interpreter { implementation, version, abi: abi.into(), platform };
            check_abi(&interpreter, &abi_place, problems);
            interpreter
        });
    let python = python.and_then(|place| read_python(&place, interpreter.as_ref(), problems));
    Some((interpreter?, python, lib64.unwrap_or(false)))
}

/// The ABI must belong to the version: the library directory is derived from both.
fn check_abi(interpreter: &Interpreter, place: &Place<'_>, problems: &mut Problems) {
    let (abi, version) = (&*interpreter.abi, &interpreter.version);
    let (fits, example) = match interpreter.implementation {
        Implementation::CPython => {
            let tag = interpreter.interpreter_tag();
            let flags = abi.strip_prefix(tag.as_str());
            (flags.is_some_and(|flags| matches!(flags, "" | "t" | "d" | "td" | "m" | "u")), tag)
        }
        Implementation::PyPy => {
            let tag = format!("pypy{}{}_pp", version.major, version.minor);
            let rest = abi.strip_prefix(tag.as_str());
            (
                rest.is_some_and(|rest| {
                    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
                }),
                format!("{tag}73"),
            )
        }
    };
    if !fits {
        problems.add(
            &place.path,
            format!(
                "found {abi:?}, expected the ABI tag of {} {version}, such as {example:?}",
                interpreter.implementation.name()
            ),
        );
    }
}

fn read_platform(place: &Place<'_>, problems: &mut Problems) -> Option<Platform> {
    let mut object = place.object(problems)?;
    let os = object
        .required("os", problems)
        .and_then(|place| place.word(&Os::ALL.map(|os| (os.name(), os)), problems));
    let arch = object.required("arch", problems).and_then(|place| {
        let text = place.string(problems)?;
        let arch = Arch::parse(text);
        if arch.is_none() {
            let names = Arch::ALL.map(|arch| format!("{:?}", arch.name())).join(", ");
            let question = nearest::question(text, Arch::ALL.map(Arch::name));
            problems.add(&place.path, format!("found {text:?}, expected one of {names}{question}"));
        }
        arch
    });
    let libc = object.nullable("libc");
    let version = object.nullable("version");
    object.finish(problems);
    // Whatever is wrong with one part, the others are looked at too: all problems at once.
    let wrong_os = |place: &Option<Place<'_>>, only: &str, problems: &mut Problems| {
        if let Some(place) = place
            && os.is_some_and(|os| os.name() != only)
        {
            problems.add(&place.path, format!("given for an operating system other than {only}"));
        }
    };
    wrong_os(&libc, "linux", problems);
    wrong_os(&version, "macos", problems);
    if os == Some(Os::MacOs) && version.is_none() {
        let message = "the field `version` is missing: the oldest macOS that the environment must run on, such as \"14.0\"";
        problems.add(&place.path, message);
    }
    let libc = libc.and_then(|place| {
        let text = place.string(problems)?;
        let libc = Libc::parse(text);
        if libc.is_none() {
            let expected = "a C library and its version, such as \"glibc-2.36\" or \"musl-1.2\"";
            problems.add(&place.path, format!("found {text:?}, expected {expected}"));
        }
        libc
    });
    let version = version.and_then(|place| {
        let text = place.string(problems)?;
        let version = parse_pair(text);
        if version.is_none() {
            problems.add(
                &place.path,
                format!("found {text:?}, expected MAJOR.MINOR, such as \"14.0\""),
            );
        }
        version
    });
    match os? {
        Os::Linux => Some(Platform::Linux { arch: arch?, libc }),
        Os::MacOs => Some(Platform::MacOs { arch: arch?, version: version? }),
        Os::Windows => Some(Platform::Windows { arch: arch? }),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Inside,
    Relative,
    Absolute,
    Launcher,
}

fn read_python(
    place: &Place<'_>,
    interpreter: Option<&Interpreter>,
    problems: &mut Problems,
) -> Option<Python> {
    let mut object = place.object(problems)?;
    let words = [
        ("inside", Kind::Inside),
        ("relative", Kind::Relative),
        ("absolute", Kind::Absolute),
        ("launcher", Kind::Launcher),
    ];
    let kind_place = object.required("kind", problems)?;
    let kind = kind_place.word(&words, problems)?;
    let windows = interpreter.is_some_and(|interpreter| interpreter.platform.os() == Os::Windows);
    match interpreter {
        Some(interpreter) if windows => check_windows(interpreter, &kind_place, problems),
        Some(_) | None => {}
    }
    let default_executable = || match interpreter {
        Some(interpreter) if interpreter.platform.os() != Os::Windows => {
            format!("bin/{}", interpreter.versioned_name())
        }
        Some(_) | None => "python.exe".to_owned(),
    };
    let python = match kind {
        Kind::Inside => {
            let directory = object
                .required("directory", problems)
                .and_then(|place| read_input(&place, problems));
            let executable = match object.nullable("executable") {
                Some(place) => read_tree_path(&place, problems),
                None => TreePath::parse(&default_executable()).ok(),
            };
            directory
                .zip(executable)
                .map(|(directory, executable)| Python::Inside { directory, executable })
        }
        Kind::Relative => object
            .required("path", problems)
            .and_then(|place| read_location(&place, Some(Location::Relative), windows, problems))
            .map(|path| Python::Relative { path }),
        Kind::Absolute => object
            .required("path", problems)
            .and_then(|place| read_location(&place, Some(Location::Absolute), windows, problems))
            .map(|path| Python::Absolute { path }),
        Kind::Launcher => {
            if let (Some(interpreter), false) = (interpreter, windows) {
                check_launcher(interpreter, &kind_place, problems);
            }
            object.required("candidates", problems).and_then(|place| {
                let places = place.list(problems);
                if places.is_empty() && matches!(place.value, Json::Array(_)) {
                    problems
                        .add(&place.path, "found an empty list, expected at least one interpreter");
                }
                if windows && places.len() > 1 {
                    problems.add(
                        &place.path,
                        format!(
                            "found {} candidates: a launcher for Windows starts one interpreter",
                            places.len()
                        ),
                    );
                }
                let candidates: Option<Vec<_>> = places
                    .iter()
                    .map(|place| read_location(place, None, windows, problems))
                    .collect();
                candidates.map(|candidates| Python::Launcher { candidates })
            })
        }
    };
    object.finish(problems);
    python
}

/// Every environment for Windows needs what only newer interpreters have, as its `python.exe` is a
/// launcher.
fn check_windows(interpreter: &Interpreter, place: &Place<'_>, problems: &mut Problems) {
    if interpreter.implementation != Implementation::CPython || !interpreter.version.at_least(3, 11)
    {
        let name = interpreter.implementation.platform_name();
        problems.add(
            &place.path,
            format!(
                "an environment for Windows needs CPython 3.11 or newer, found {name} {}",
                interpreter.version
            ),
        );
    }
}

fn check_launcher(interpreter: &Interpreter, place: &Place<'_>, problems: &mut Problems) {
    let old = interpreter.implementation != Implementation::CPython
        || !interpreter.version.at_least(3, 11);
    if old {
        problems.add_with_hint(
            &place.path,
            format!(
                "the kind \"launcher\" needs CPython 3.11 or newer, found {} {}",
                interpreter.implementation.platform_name(),
                interpreter.version
            ),
            "older interpreters ignore __PYVENV_LAUNCHER__; use \"relative\", \"absolute\" or \"inside\"",
        );
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Location {
    Relative,
    Absolute,
}

/// A path of the target machine: the interpreter's.
fn read_location(
    place: &Place<'_>,
    expected: Option<Location>,
    windows: bool,
    problems: &mut Problems,
) -> Option<String> {
    let text = place.string(problems)?;
    // Windows takes either slash.
    let text = &if windows { text.replace('\\', "/") } else { text.to_owned() };
    let drive = windows && text.as_bytes().get(1) == Some(&b':');
    let found =
        if text.starts_with('/') || drive { Location::Absolute } else { Location::Relative };
    let problem = if text.is_empty() {
        Some("found an empty path, expected that of an interpreter".to_owned())
    } else if let Some(character) = text.chars().find(|character| character.is_control()) {
        Some(format!("found the control character {character:?} in a path"))
    } else if text.ends_with('/') || text.ends_with("/..") || text == ".." || text == "." {
        Some(format!("found the directory {text:?}, expected a file"))
    } else if expected == Some(Location::Relative) && found == Location::Absolute {
        Some(format!("found the absolute path {text:?}, expected one relative to the tree's root"))
    } else if expected == Some(Location::Absolute) && found == Location::Relative {
        Some(format!("found the relative path {text:?}, expected an absolute one"))
    } else {
        None
    };
    match problem {
        Some(problem) => {
            problems.add(&place.path, problem);
            None
        }
        None => Some(text.to_owned()),
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
        object.finish(problems);
        if let (Some(path), Some(into)) = (path, into) {
            sources.push(SourceReference { path, into });
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

/// The flags, and what they say of `lib64`, whose default depends on the interpreter.
fn read_flags(place: &Place<'_>, problems: &mut Problems) -> Option<(Flags, Option<bool>)> {
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
    if let Some(policy) =
        object.optional("conflicts").and_then(|place| place.word(&Policy::ALL, problems))
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
    if let Some(mode) =
        object.optional("input_digests").and_then(|place| place.word(&InputDigests::ALL, problems))
    {
        flags.input_digests = mode;
    }
    if let Some(check) =
        object.optional("requirements").and_then(|place| place.word(&Check::ALL, problems))
    {
        flags.requirements = check;
    }
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
    object.finish(problems);
    Some((flags, lib64))
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
            let policy = Policy::ALL
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, policy)| Override::Policy(*policy));
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
