//! The field `interpreter` of a spec: the facts of an interpreter, and the way to it.

use super::{read_input, read_tree_path};
use crate::model::interpreter::{
    Arch, Implementation, Interpreter, Libc, Os, Platform, parse_pair,
};
use crate::model::json::{Json, Place, Problems};
use crate::model::name::PythonVersion;
use crate::model::nearest;
use crate::model::path::TreePath;
use crate::model::spec::Python;

/// The interpreter, the way to it, and whether the folder of its compiled modules is `lib64`.
pub(super) fn read(
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
