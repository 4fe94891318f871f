//! The texts of wheels, read by venvtree and by the libraries that Python's own tools use.

use serde_json::{Value, json};
use venvtree::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform};
use venvtree::model::name::PythonVersion;
use venvtree::model::wheel::filename::WheelFilename;
use venvtree::model::wheel::tags;

use crate::support::peers::ask_python;

const GOOD_NAMES: &[&str] = &[
    "six-1.16.0-py2.py3-none-any.whl",
    "PyYAML-6.0.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "foo_bar.baz-1.0-py3-none-any.whl",
    "foo-1!1.0a1.post2.dev3+local.1-py3-none-any.whl",
    "foo-1.0-1-py3-none-any.whl",
    "foo-1.0-007bond-py3-none-any.whl",
    "foo-1.0-1_2.x-py3-none-any.whl",
    "torch-2.1.0+cu121-cp311-cp311-linux_x86_64.whl",
    "foo-1.0.0-CP311-ABI3-Win32.whl",
    "foo-v1.0-py3-none-any.whl",
    "foo-1.0.RC1-py3-none-any.whl",
    "foo-1.0.post-py3-none-any.whl",
    "2to3-1.0-py3-none-any.whl",
    "a-0-py3-none-any.whl",
    "a-1-py3.py3-none-any.whl",
    "a-1-pp311-pypy311_pp73-macosx_10_9_universal2.whl",
    "a-1.0+ubuntu_1-py3-none-any.whl",
];

const BAD_NAMES: &[&str] = &[
    "",
    ".whl",
    "foo.whl",
    "foo-1.0.whl",
    "foo-1.0-py3-none.whl",
    "foo-1.0-py3-none-any",
    "foo-1.0-py3-none-any.WHL",
    "foo-1.0-py3-none-any.whl.exe",
    "foo-1.0-1-2-py3-none-any.whl",
    "foo__bar-1.0-py3-none-any.whl",
    "foo bar-1.0-py3-none-any.whl",
    "foo/bar-1.0-py3-none-any.whl",
    "-1.0-py3-none-any.whl",
    "foo--py3-none-any.whl",
    "foo-x.y-py3-none-any.whl",
    "foo-1.0_1-py3-none-any.whl",
    "foo-1.0-a1-py3-none-any.whl",
    "foo-1.0--py3-none-any.whl",
    "foo-1.0-py3..py2-none-any.whl",
    "foo-1.0-py3--any.whl",
    "foo-1.0-3py-none-any.whl",
    "foo-1.0-py3+-none-any.whl",
    "foo-1.0+-py3-none-any.whl",
    "foo-1.0.*-py3-none-any.whl",
];

/// Names that `packaging` takes and venvtree does not, with the reason.
const STRICTER: &[(&str, &str)] = &[
    ("_foo-1.0-py3-none-any.whl", "no name of a distribution begins with `_`"),
    ("ünicode-1.0-py3-none-any.whl", "names are ASCII"),
    ("foo- 1.0-py3-none-any.whl", "no spaces"),
    ("foo-1.0-1 x-py3-none-any.whl", "no spaces"),
    ("foo-1.0-py3-none-a/b.whl", "tags hold letters, digits and `_`"),
    ("foo-1.0-pÿ3-none-any.whl", "tags are ASCII"),
    ("foo-1.0-99999999999999999999-py3-none-any.whl", "build numbers have 64 bits"),
];

#[test]
fn wheel_names_are_read_as_packaging_reads_them() {
    let names: Vec<&str> = GOOD_NAMES.iter().chain(BAD_NAMES).copied().chain(STRICTER.iter().map(|(name, _)| *name)).collect();
    let theirs = ask_python(
        r#"
import json, sys
from packaging.utils import parse_wheel_filename
def read(name):
    try:
        dist, version, build, tags = parse_wheel_filename(name)
    except ValueError:
        return None
    return [dist, str(version), list(build), sorted(map(str, tags))]
json.dump([read(name) for name in json.load(sys.stdin)], sys.stdout)
"#,
        &json!(names),
    );
    let ours: Vec<Value> = names
        .iter()
        .map(|name| match WheelFilename::parse(name) {
            Err(_) => Value::Null,
            Ok(name) => {
                let build = name.build.as_ref().map_or(json!([]), |build| json!([build.number, build.suffix]));
                let mut tags: Vec<String> = name.tags.expand().iter().map(ToString::to_string).collect();
                tags.sort();
                json!([name.name.normalized(), name.version.to_string(), build, tags])
            }
        })
        .collect();
    for (index, name) in names.iter().enumerate() {
        if let Some((_, reason)) = STRICTER.iter().find(|(stricter, _)| stricter == name) {
            assert!(ours[index].is_null() && !theirs[index].is_null(), "{name}: {reason}");
        } else {
            assert_eq!(ours[index], theirs[index], "{name}");
            assert_eq!(ours[index].is_null(), BAD_NAMES.contains(name), "{name}");
        }
    }
}

#[test]
fn interpreters_accept_the_tags_that_packaging_lists_in_its_order() {
    let interpreter = |version: &str, abi: &str, platform| Interpreter {
        implementation: if abi.starts_with("pypy") { Implementation::PyPy } else { Implementation::CPython },
        version: PythonVersion::parse(version).unwrap(),
        abi: abi.into(),
        platform,
    };
    let linux = |arch, libc| Platform::Linux { arch, libc };
    let mac = |arch, version| Platform::MacOs { arch, version };
    let debian = linux(Arch::X86_64, Some(Libc::Glibc(2, 36)));
    let mut cases = vec![
        interpreter("3.8.18", "cp38", linux(Arch::X86_64, Some(Libc::Glibc(2, 12)))),
        interpreter("3.8.18", "cp38d", debian),
        interpreter("3.11.7", "cp311", debian),
        interpreter("3.13.0", "cp313t", debian),
        interpreter("3.13.0", "cp313td", debian),
        interpreter("3.15.0", "cp315t", linux(Arch::Aarch64, Some(Libc::Glibc(2, 39)))),
        interpreter("3.12.1", "cp312", linux(Arch::X86_64, Some(Libc::Glibc(3, 2)))),
        interpreter("3.12.1", "cp312", linux(Arch::X86_64, Some(Libc::Musl(1, 2)))),
        interpreter("3.12.1", "cp312", linux(Arch::X86_64, None)),
        interpreter("3.11.9", "pypy311_pp73", debian),
        interpreter("3.11.9", "pypy311_pp73", mac(Arch::Aarch64, (14, 0))),
        interpreter("3.12.1", "cp312", mac(Arch::Aarch64, (11, 0))),
        interpreter("3.12.1", "cp312", mac(Arch::Aarch64, (14, 5))),
        interpreter("3.12.1", "cp312", mac(Arch::X86_64, (10, 9))),
        interpreter("3.12.1", "cp312", mac(Arch::X86_64, (15, 1))),
        interpreter("3.12.1", "cp312", mac(Arch::I686, (10, 6))),
        interpreter("3.12.1", "cp312", Platform::Windows { arch: Arch::X86_64 }),
        interpreter("3.12.1", "cp312", Platform::Windows { arch: Arch::I686 }),
        interpreter("3.13.0", "cp313t", Platform::Windows { arch: Arch::Aarch64 }),
    ];
    cases.extend(Arch::ALL.map(|arch| interpreter("3.14.0", "cp314", linux(arch, Some(Libc::Glibc(2, 40))))));
    let questions: Vec<Value> = cases
        .iter()
        .map(|case| {
            let libc = match case.platform {
                Platform::Linux { libc: Some(Libc::Glibc(major, minor)), .. } => json!(["glibc", major, minor]),
                Platform::Linux { libc: Some(Libc::Musl(major, minor)), .. } => json!(["musl", major, minor]),
                Platform::MacOs { version: (major, minor), .. } => json!(["macos", major, minor]),
                Platform::Linux { .. } | Platform::Windows { .. } => Value::Null,
            };
            let os = case.platform.os();
            json!({
                "implementation": case.implementation.name(), "version": [case.version.major, case.version.minor], "abi": &*case.abi,
                "os": os.name(), "machine": case.platform.arch().platform_machine(os), "system": libc,
            })
        })
        .collect();
    // The functions that take no argument for the C library read it from the running system: their sources are replaced.
    let theirs = ask_python(
        r#"
import json, sys
from types import SimpleNamespace
from packaging import tags, _manylinux, _musllinux
def platforms(case):
    system, arch = case["system"], case["machine"]
    if case["os"] == "macos":
        return list(tags.mac_platforms(tuple(system[1:]), {"x86": "i386", "i686": "i386"}.get(arch, arch)))
    if case["os"] == "windows":
        platform = {"AMD64": "win-amd64", "x86": "win32", "ARM64": "win-arm64"}[arch]
    else:
        platform = "linux-" + arch
    libc = system[0] if system else None
    _manylinux._get_glibc_version = lambda: _manylinux._GLibCVersion(*(system[1:] if libc == "glibc" else (-1, -1)))
    _manylinux._have_compatible_abi = lambda executable, archs: True
    _musllinux._get_musl_version = lambda executable: SimpleNamespace(major=system[1], minor=system[2]) if libc == "musl" else None
    tags.sysconfig = SimpleNamespace(get_platform=lambda: platform)
    return list(tags._linux_platforms(False) if case["os"] == "linux" else tags._generic_platforms())
def accepted(case):
    version, abi = case["version"], case["abi"]
    own = platforms(case)
    if case["implementation"] == "pypy":
        interpreter = "pp%d%d" % tuple(version)
        yield from tags.generic_tags(interpreter, [abi], own)
        yield from tags.compatible_tags(version, "pp3", own)
    else:
        abis = [abi]
        if abi.endswith("d"):
            abis.append(abi[:-1])
        yield from tags.cpython_tags(version, abis, own)
        yield from tags.compatible_tags(version, "cp%d%d" % tuple(version), own)
json.dump([list(map(str, accepted(case))) for case in json.load(sys.stdin)], sys.stdout)
"#,
        &json!(questions),
    );
    for (case, theirs) in cases.iter().zip(theirs.as_array().unwrap()) {
        let ours: Vec<String> = tags::supported(case).iter().map(ToString::to_string).collect();
        let theirs: Vec<&str> = theirs.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
        assert!(ours.len() > 10, "{case}");
        let difference = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != *theirs);
        assert!(ours == theirs, "{case}: {} and {} tags, first difference {difference:?}", ours.len(), theirs.len());
    }
}
