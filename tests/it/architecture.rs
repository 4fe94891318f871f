//! The layers, enforced: who may use what, and that every file says what it is.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The layers: a folder or file below `src`, what of this crate it may use, and what of `std` it
/// may not.
const LAYERS: [(&str, &[&str], &[&str]); 6] = [
    ("model", &["model"], &["fs", "env", "net", "process", "thread", "time"]),
    ("effects", &["model", "effects"], &[]),
    (
        "error.rs",
        &["model", "effects", "error"],
        &["fs", "env", "net", "process", "thread", "time"],
    ),
    (
        "engine",
        &["model", "effects", "error", "engine"],
        &["fs", "env", "net", "process", "thread"],
    ),
    ("worker", &["model", "error", "engine", "worker"], &["fs", "env", "net", "process"]),
    ("cli", &["model", "error", "engine", "worker", "cli"], &["fs", "env", "net", "process"]),
];

/// Files of a front end that reach the system themselves, because they are where its streams, its
/// terminal and its signals meet the process: the file, and what of `effects` it uses.
const HOSTS: [(&str, &[&str]); 3] = [
    ("cli/io.rs", &["host::fs", "host::output_file", "host::replaceable", "work::progress"]),
    ("cli/progress.rs", &["host::interrupt", "work::progress"]),
    ("cli/screen.rs", &["host::interrupt"]),
];

/// Crates that a layer may not use.
const CRATES: [(&str, &[&str]); 4] = [
    ("model", &["clap", "tokio", "tonic", "rayon", "tempfile", "rustix", "ureq", "filetime"]),
    ("effects", &["clap"]),
    ("engine", &["clap"]),
    ("worker", &["clap"]),
];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a file without its unit tests and comments.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    code.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The words that follow `prefix` in a code.
fn mentions<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    code.match_indices(prefix)
        .filter(|(index, _)| {
            !code[..*index].ends_with(|character: char| {
                character.is_alphanumeric() || character == '_' || character == ':'
            })
        })
        .map(|(index, _)| {
            let rest = &code[index + prefix.len()..];
            let end = rest
                .find(|character: char| !character.is_alphanumeric() && character != '_')
                .unwrap_or(rest.len());
            &rest[..end]
        })
        .collect()
}

#[test]
fn imports_point_down_the_layers() {
    let root = root();
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let name = path.strip_prefix(&root).expect("below src").display().to_string();
        let layer = name.split('/').next().unwrap_or(&name);
        if layer == "lib.rs" || layer == "main.rs" {
            continue;
        }
        let Some((_, may_use, may_not_use)) = LAYERS.iter().find(|(folder, ..)| *folder == layer)
        else {
            wrong.push(format!("{name} is in no layer"));
            continue;
        };
        let mut code = code(&std::fs::read_to_string(&path).expect("a source"));
        if let Some((_, allowed)) = HOSTS.iter().find(|(file, _)| *file == name) {
            for module in *allowed {
                let stated = format!("crate::effects::{module}");
                assert!(code.contains(&stated), "{name} no longer uses {stated}");
                code = code.replace(&stated, "");
            }
        }
        for used in mentions(&code, "crate::")
            .into_iter()
            .filter(|used| !used.is_empty() && !may_use.contains(used))
        {
            // Macros and the root's own items have no layer.
            if LAYERS.iter().any(|(folder, ..)| folder.trim_end_matches(".rs") == used) {
                wrong.push(format!("{name} uses crate::{used}"));
            }
        }
        for used in mentions(&code, "std::").into_iter().filter(|used| may_not_use.contains(used)) {
            wrong.push(format!("{name} uses std::{used}"));
        }
        for (folder, crates) in CRATES.iter().filter(|(folder, _)| *folder == layer) {
            for used in
                crates.iter().filter(|used| !mentions(&code, &format!("{used}::")).is_empty())
            {
                wrong.push(format!("{name} uses {used}, which {folder} may not"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The modules that a `mod.rs` declares, in its order.
fn declared(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    lines.collect()
}

/// The modules below `path` (`crate::effects::host`) that a code names.
fn named<'a>(code: &'a str, path: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (index, _) in code.match_indices(&format!("{path}::")) {
        let rest = &code[index + path.len() + 2..];
        let Some(group) = rest.strip_prefix('{') else {
            found.extend(
                rest.split(|character: char| !character.is_alphanumeric() && character != '_')
                    .next(),
            );
            continue;
        };
        // A group: the first word of each entry that is not in a group of its own.
        let mut depth = 0;
        let mut begins = true;
        let mut start = None;
        for (at, character) in group.char_indices() {
            if character.is_alphanumeric() || character == '_' {
                start = start.or((depth == 0 && begins).then_some(at));
                continue;
            }
            if let Some(start) = start.take() {
                found.push(&group[start..at]);
                begins = false;
            }
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ => {}
            }
        }
    }
    found
}

/// The folders of the command line.
const FRONT: [&str; 6] = [
    "cli",
    "cli/options",
    "cli/inputs",
    "cli/commands",
    "cli/commands/create",
    "cli/commands/wheel",
];

/// Within `model`, `effects`, each wing of the latter, `engine`, and the folders of `cli`, a module
/// uses only those that are listed above it; within `cli`, nothing of the file that lists them.
#[test]
fn modules_use_those_that_are_listed_above_them() {
    let root = root();
    let wings = ["host", "work", "net", "wheels", "source", "caches", "interpreters", "sink"];
    let folders = ["model".to_owned(), "effects".to_owned(), "engine".to_owned()]
        .into_iter()
        .chain(wings.iter().map(|wing| format!("effects/{wing}")))
        .chain(FRONT.map(str::to_owned));
    let mut wrong = Vec::new();
    for folder in folders {
        let directory = root.join(&folder);
        let list = std::fs::read_to_string(directory.join("mod.rs")).expect("a list of modules");
        let order = declared(&list);
        assert!(order.len() > 2, "{folder}: {order:?}");
        let path = format!("crate::{}", folder.replace('/', "::"));
        for file in sources(&directory) {
            let name = file.strip_prefix(&directory).expect("below").display().to_string();
            let own = name.split('/').next().expect("a name").trim_end_matches(".rs");
            let Some(position) = order.iter().position(|module| *module == own) else {
                assert_eq!(own, "mod", "{folder}/{name} is not declared in its folder's mod.rs");
                continue;
            };
            let text = code(&std::fs::read_to_string(&file).expect("a source"));
            let mut used = named(&text, &path);
            if !name.contains('/') {
                used.extend(named(&text, "super"));
            }
            for module in used {
                if order
                    .iter()
                    .position(|other| *other == module)
                    .is_some_and(|other| other > position)
                {
                    wrong.push(format!("{folder}/{name} uses {module}, which is listed below it"));
                }
                if FRONT.contains(&folder.as_str()) && !order.contains(&module) {
                    wrong.push(format!("{folder}/{name} uses {module} of its folder's mod.rs"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_in_groups_are_found() {
    let code = "use crate::a::{self, b, c::{d, e}, f as g};\nuse crate::a::h;\ncrate::a::i::j()";
    assert_eq!(named(code, "crate::a"), ["self", "b", "c", "f", "h", "i"]);
}

/// How many lines of code a file below `src` may have, without its unit tests, comments and blank
/// lines.
const LONGEST_FILE: usize = 600;

#[test]
fn no_file_is_too_long() {
    let root = root();
    let mut long = Vec::new();
    for path in sources(&root) {
        let text = std::fs::read_to_string(&path).expect("a source");
        let lines = code(&text).lines().filter(|line| !line.trim().is_empty()).count();
        if lines > LONGEST_FILE {
            let name = path.strip_prefix(&root).expect("below src").display();
            long.push(format!("{name} has {lines} lines of code, at most {LONGEST_FILE} may be"));
        }
    }
    assert!(long.is_empty(), "move what has a name of its own into a file:\n{}", long.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let silent: Vec<PathBuf> = [root.join("src"), root.join("tests")]
        .iter()
        .flat_map(|directory| sources(directory))
        .filter(|path| !path.components().any(|component| component.as_os_str() == "proto"))
        .filter(|path| !std::fs::read_to_string(path).expect("a source").starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn every_integration_test_is_part_of_the_binary() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(directory.join("main.rs")).expect("the root of the tests");
    for entry in std::fs::read_dir(&directory).expect("the tests") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let module = name.trim_end_matches(".rs");
        // Snapshots are data.
        assert!(
            matches!(module, "main" | "snapshots") || main.contains(&format!("mod {module};")),
            "tests/it/{name} is not declared in main.rs"
        );
    }
}

/// Ways to write and to remove that look at nothing first.
const WRITERS: [&str; 11] = [
    "write_atomically(",
    "File::create",
    "File::options",
    "OpenOptions",
    "std::fs::write",
    "fs::rename",
    "fs::copy",
    "remove_dir",
    "remove_file",
    "remove::directory",
    "NamedTempFile",
];

/// A file that the command line names may be a device, a pipe or a link: only one place knows how
/// to write to such. A directory that is replaced or removed may be more than an environment: only
/// one place says which may be.
#[test]
fn front_ends_and_engine_write_and_remove_only_through_what_looks_first() {
    let root = root();
    let mut wrong = Vec::new();
    for layer in ["cli", "engine", "worker"] {
        for path in sources(&root.join(layer)) {
            let code = code(&std::fs::read_to_string(&path).expect("a source"));
            let found = WRITERS.iter().filter(|word| code.contains(**word));
            wrong.extend(found.map(|word| format!("{}: {word}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whose output is a script for a shell or a page, an archive, a protocol: what is not lines.
const RAW: [&str; 5] = [
    "cli/commands/completions.rs",
    "cli/commands/man.rs",
    "cli/commands/pack/mod.rs",
    "cli/commands/worker.rs",
    "cli/io.rs",
];

/// Whatever is printed passes `cli/io.rs`, which makes it harmless. Its streams are private; this
/// is about ways around them.
#[test]
fn there_is_one_way_to_the_standard_streams() {
    let root = root();
    // The last one only asks what the streams are, so that an output file is not one of them.
    let streams = ["main.rs", "cli/screen.rs", "effects/host/output_file.rs"];
    let mut wrong = Vec::new();
    for path in sources(&root) {
        let name = path.strip_prefix(&root).expect("below src").display().to_string();
        let code = code(&std::fs::read_to_string(&path).expect("a source"));
        let ways: [(&[&str], &[&str]); 2] = [
            (&[".raw()", ".raw_both()", ".print_generated("], &RAW),
            (&["io::stdout", "io::stderr", "/dev/tty", "println!", "eprint"], &streams),
        ];
        for (words, allowed) in ways {
            for word in words
                .iter()
                .filter(|word| code.contains(**word) && !allowed.contains(&name.as_str()))
            {
                wrong.push(format!("{name} has `{word}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
