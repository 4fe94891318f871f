//! Bytecode that is made, compared with that of real interpreters.

use std::path::{Path, PathBuf};
use std::process::Command;

use camino::Utf8Path;
use serde_json::Value;
use venvtree::model::bytecode::marshal::canonical;
use venvtree::model::bytecode::release::Release;
use venvtree::model::bytecode::{Validation, header};

use crate::support::commands::succeed_alone;
use crate::support::programs::{Python, compilers, interpreters};
use crate::support::project::{Project, WheelText};

/// The interpreters of this machine whose bytecode is made, with what distinguishes them.
fn releases() -> Vec<(Python, Release)> {
    let found = interpreters().into_iter();
    let release = |python: Python| Release::of(python.version.1).map(|release| (python, release));
    found.filter_map(release).collect()
}

#[test]
fn numbers_and_names_are_those_of_real_interpreters() {
    const PROGRAM: &str = "import importlib.util, sys; \
        print(importlib.util.MAGIC_NUMBER.hex(), sys.implementation.cache_tag)";
    let mut seen = 0;
    let scratch = tempfile::tempdir().unwrap();
    for python in compilers(scratch.path()) {
        let release = Release::of(python.version.1).unwrap();
        let said = succeed_alone(Command::new(&python.path).args(["-I", "-c", PROGRAM]));
        let magic: String = release.magic().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(said.trim(), format!("{magic} {}", release.tag()), "{}", python.text());
        seen += 1;
    }
    assert!(seen > 1);
}

#[test]
fn headers_are_those_of_py_compile() {
    const PROGRAM: &str = "import py_compile, sys; mode = py_compile.PycInvalidationMode; \
        [py_compile.compile(sys.argv[1], sys.argv[1] + '.' + name, 'x.py', True, invalidation_mode=found) \
         for name, found in (('unchecked', mode.UNCHECKED_HASH), ('checked', mode.CHECKED_HASH))]";
    let folder = tempfile::tempdir().unwrap();
    for (python, release) in releases() {
        // Lengths around a word of the hash.
        for length in [0, 1, 7, 8, 9, 4000] {
            let source = format!("#{}", "é".repeat(length));
            let path = folder.path().join("x.py");
            std::fs::write(&path, &source).unwrap();
            succeed_alone(Command::new(&python.path).args(["-I", "-c", PROGRAM]).arg(&path));
            for (name, validation) in Validation::ALL {
                let theirs = std::fs::read(format!("{}.{name}", path.display())).unwrap();
                assert_eq!(theirs[..16], header(release, validation, source.as_bytes()), "{name}");
            }
        }
    }
}

/// Modules of the oldest interpreter's standard library, with their bytes: every `step`th.
fn library(step: usize) -> Vec<(String, Vec<u8>)> {
    const PROGRAM: &str = "import os; print(os.path.dirname(os.__file__))";
    let (python, _) = releases().remove(0);
    let root = succeed_alone(Command::new(&python.path).args(["-I", "-c", PROGRAM]));
    let root = Path::new(root.trim());
    let mut found: Vec<PathBuf> = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in folder.read_dir().unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir()
                && !["site-packages", "__pycache__", "lib2to3"].contains(&name.as_str())
            {
                left.push(path);
            } else if name.ends_with(".py") {
                found.push(path);
            }
        }
    }
    found.sort();
    let name = |path: &PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    found.iter().step_by(step).map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// What `marshal.dumps` gives for each source, in the order of the sources, where they are compiled
/// in another order by a process that imported something before.
fn marshalled(
    python: &Python,
    sources: &[(String, Vec<u8>)],
    order: &[usize],
    before: &str,
) -> Vec<Vec<u8>> {
    const PROGRAM: &str = "\
import marshal, sys
exec(sys.argv[1])
while head := sys.stdin.buffer.read(8):
    name = sys.stdin.buffer.read(int.from_bytes(head[:4], 'little')).decode()
    source = sys.stdin.buffer.read(int.from_bytes(head[4:], 'little'))
    try:
        code = marshal.dumps(compile(source, name, 'exec', dont_inherit=True, optimize=0))
    except (SyntaxError, ValueError):
        code = b''
    sys.stdout.buffer.write(len(code).to_bytes(4, 'little') + code)
";
    let mut input = Vec::new();
    for &index in order {
        let (name, source) = &sources[index];
        input.extend((name.len() as u32).to_le_bytes());
        input.extend((source.len() as u32).to_le_bytes());
        input.extend(name.as_bytes());
        input.extend(source);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, input).unwrap();
    let mut command = Command::new(&python.path);
    command.args(["-I", "-S", "-W", "ignore", "-c", PROGRAM, before]);
    let output = command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = output.stdout.as_slice();
    let mut found = vec![Vec::new(); sources.len()];
    for &index in order {
        let (head, tail) = rest.split_at(4);
        let (code, tail) = tail.split_at(u32::from_le_bytes(head.try_into().unwrap()) as usize);
        found[index] = code.to_vec();
        rest = tail;
    }
    assert!(rest.is_empty());
    found
}

/// How many sources get other bytes in another process, as they come and in the canonical form.
fn differences(python: &Python, sources: &[(String, Vec<u8>)]) -> (usize, usize) {
    let sorted: Vec<usize> = (0..sources.len()).collect();
    let reversed: Vec<usize> = sorted.iter().rev().copied().collect();
    // As good as any: neighbours come far from each other.
    let mut shuffled = sorted.clone();
    shuffled.sort_by_key(|index| (index.wrapping_mul(0x9e37_79b9)) % 1009);
    let imports = "import asyncio, unittest, json, urllib.request, xml.dom, dataclasses";
    let first = marshalled(python, sources, &sorted, "");
    let (mut raw, mut canon) = (0, 0);
    for (order, before) in [(reversed, ""), (shuffled.clone(), imports), (shuffled, "")] {
        let second = marshalled(python, sources, &order, before);
        for ((one, two), (name, _)) in first.iter().zip(&second).zip(sources) {
            assert_eq!(one.is_empty(), two.is_empty(), "{name}");
            if !one.is_empty() {
                raw += usize::from(one != two);
                canon += usize::from(canonical(one).unwrap() != canonical(two).unwrap());
            }
        }
    }
    (raw, canon)
}

fn check_differences(sources: &[(String, Vec<u8>)]) {
    let scratch = tempfile::tempdir().unwrap();
    let mut all = 0;
    for python in compilers(scratch.path()) {
        let (raw, canonical) = differences(&python, sources);
        assert_eq!(canonical, 0, "{:?}", python.version);
        all += raw;
    }
    assert!(all > 0, "there is nothing that the canonical form takes away: the test sees nothing");
}

#[test]
fn no_history_reaches_the_canonical_form() {
    check_differences(&library(8));
}

#[test]
#[ignore = "takes minutes: all of the standard library, on every interpreter"]
fn no_history_reaches_the_canonical_form_of_a_whole_library() {
    check_differences(&library(1));
}

/// A wheel of modules.
fn wheel_of(project: &Project, name: &str, modules: &[(String, Vec<u8>)]) -> String {
    let mut wheel = WheelText::new(name, "1.0");
    for (path, source) in modules {
        wheel = wheel.file(&format!("{name}/{path}"), source);
    }
    project.write(&wheel.file_name(), wheel.pack());
    wheel.file_name()
}

fn compile(project: &Project, wheel: &str, python: &Python, options: &[&str]) -> Value {
    let line = ["bytecode", "compile", wheel, "--compiler", python.text(), "--out", "made"];
    project.run(&[&line[..], options, &["--format", "json"]].concat()).json()
}

/// What was compiled is what the interpreter itself makes of the sources, and has the header that
/// it wants, at every level.
#[test]
fn what_is_compiled_is_what_python_makes_of_it() {
    const PROGRAM: &str = "\
import importlib.util, json, marshal, sys, zipfile
wheel, overlay = zipfile.ZipFile(sys.argv[1]), zipfile.ZipFile(sys.argv[2])
document = json.loads(overlay.read('bytecode.json'))
compiled = 0
for path, _, *rest in document['files']:
    source = wheel.read(path)
    try:
        code = compile(source, path, 'exec', dont_inherit=True, optimize=document['level'])
    except (SyntaxError, ValueError) as error:
        assert len(rest) == 1 and rest[0].startswith(type(error).__name__), (path, rest)
        continue
    folder, name = path.rsplit('/', 1)
    opt = '.opt-%d' % document['level'] if document['level'] else ''
    pyc = overlay.read(f'{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}{opt}.pyc')
    assert len(pyc) == rest[1] and pyc[:4] == importlib.util.MAGIC_NUMBER, path
    assert pyc[4:8] == b'\\3\\0\\0\\0' and pyc[8:16] == importlib.util.source_hash(source), path
    assert marshal.loads(pyc[16:]) == code, path
    compiled += 1
assert len(overlay.namelist()) == compiled + 1
print(compiled)
";
    let project = Project::new();
    let mut modules = library(24);
    let many = modules.len();
    modules.extend([
        ("old.py".to_owned(), b"print 'Python 2'\n".to_vec()),
        ("nul.py".to_owned(), b"x = 1\0\n".to_vec()),
        ("cookie.py".to_owned(), b"# coding: no-such-thing\n".to_vec()),
        ("bytes.py".to_owned(), b"x = '\xff'\n".to_vec()),
        ("template.py".to_owned(), b"import {{ cookiecutter.name }}\n".to_vec()),
        ("parentheses.py".to_owned(), [b"(".repeat(100_000), b")".repeat(100_000)].concat()),
        ("left/tests/out.py".to_owned(), b"".to_vec()),
    ]);
    let wheel = wheel_of(&project, "copy", &modules);
    for (python, release) in releases() {
        let options = ["--levels", "0,1,2", "--validation", "checked"];
        let report = compile(&project, &wheel, &python, &options);
        for overlay in report["overlays"].as_array().unwrap() {
            assert!(overlay["skipped"].as_array().unwrap().len() >= 6, "{overlay}");
            let overlay = project.path().join(overlay["file"].as_str().unwrap());
            let mut check = Command::new(&python.path);
            check.args(["-I", "-W", "ignore", "-c", PROGRAM]).arg(project.path().join(&wheel));
            let compiled: usize = succeed_alone(check.arg(overlay)).trim().parse().unwrap();
            // What is there for newer versions only may be among them.
            assert!(compiled + 20 > many, "{release:?}: {compiled} of {many}");
        }
    }
}

/// Neither place, user, locale, threads nor the tool's history are in an overlay.
#[test]
fn the_same_wheel_makes_the_same_overlay_anywhere() {
    let scratch = tempfile::tempdir().unwrap();
    let modules = library(40);
    for python in compilers(scratch.path()) {
        let overlay = |threads: &str| {
            let project = Project::new();
            let wheel = wheel_of(&project, "copy", &modules);
            let report = compile(&project, &wheel, &python, &["--threads", threads]);
            report["overlays"][0]["sha256"].as_str().unwrap().to_owned()
        };
        assert_eq!(overlay("1"), overlay("4"), "{:?}", python.version);
    }
}

#[test]
fn what_does_not_compile_is_named_and_nothing_is_written() {
    let project = Project::new();
    let modules = |source: &[u8]| vec![("deep.py".to_owned(), source.to_vec())];
    let deep = [b"x = ".as_slice(), &b"-".repeat(200_000), b"1\n"].concat();
    let wheel = wheel_of(&project, "deep", &modules(&deep));
    let nested = project.path().join("made/one");
    let program = |name: &str, text: &str| {
        crate::support::write_executable(project.path().join(name).as_std_path(), text.as_bytes());
        format!("./{name}")
    };
    let python = releases().pop().unwrap().0;
    for (compiler, code, expected) in [
        (python.text().to_owned(), 7, "[bytecode.crashed] `deep/deep.py` could not be compiled"),
        ("./absent".to_owned(), 7, "[bytecode.compiler]"),
        (program("talks", "#!/bin/sh\necho this is Python\n"), 7, "[bytecode.compiler]"),
        (interpreters()[0].text().to_owned(), 3, "[bytecode.version]"),
    ] {
        let line = ["bytecode", "compile", &wheel, "--compiler", &compiler, "--out", "made/one"];
        let output = project.run(&line);
        output.ends(code, expected);
        assert!(!Utf8Path::exists(&nested), "{compiler}: something was written");
    }
    let line = ["bytecode", "compile", &wheel, "--compiler", python.text(), "--out", "made"];
    project.run(&[&line[..], &["--exclude", "**/deep.py"]].concat()).success();
    project.run(&[&line[..], &["--exclude", "a["]].concat()).ends(2, "cannot be read");
}
