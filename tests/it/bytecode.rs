//! Bytecode that is made, compared with that of real interpreters.

use std::path::Path;

use venvtree::model::bytecode::release::Release;
use venvtree::model::bytecode::{Validation, header};

use crate::support::commands::succeed_alone;
use crate::support::programs::{Python, interpreters};

/// The interpreters whose bytecode is made, with what distinguishes them.
fn compilers() -> Vec<(Python, Release)> {
    let found = interpreters().into_iter();
    found
        .filter_map(|python| Release::of(python.version.1).map(|release| (python, release)))
        .collect()
}

#[test]
fn numbers_and_names_are_those_of_real_interpreters() {
    const PROGRAM: &str = "import importlib.util, sys; \
        print(importlib.util.MAGIC_NUMBER.hex(), sys.implementation.cache_tag)";
    let mut seen = 0;
    for (python, release) in compilers() {
        let said =
            succeed_alone(std::process::Command::new(&python.path).args(["-I", "-c", PROGRAM]));
        let magic: String = release.magic().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(said.trim(), format!("{magic} {}", release.tag()), "{}", python.text());
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn headers_are_those_of_py_compile() {
    const PROGRAM: &str = "import py_compile, sys; mode = py_compile.PycInvalidationMode; \
        [py_compile.compile(sys.argv[1], sys.argv[1] + '.' + name, 'x.py', True, invalidation_mode=found) \
         for name, found in (('unchecked', mode.UNCHECKED_HASH), ('checked', mode.CHECKED_HASH))]";
    let folder = tempfile::tempdir().unwrap();
    for (python, release) in compilers() {
        // Lengths around a word of the hash.
        for length in [0, 1, 7, 8, 9, 4000] {
            let source = format!("#{}", "é".repeat(length));
            let path = folder.path().join("x.py");
            std::fs::write(&path, &source).unwrap();
            succeed_alone(
                std::process::Command::new(&python.path).args(["-I", "-c", PROGRAM]).arg(&path),
            );
            for (name, validation) in Validation::ALL {
                let theirs =
                    std::fs::read(Path::new(&format!("{}.{name}", path.display()))).unwrap();
                assert_eq!(theirs[..16], header(release, validation, source.as_bytes()), "{name}");
            }
        }
    }
}
