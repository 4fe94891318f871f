//! The texts of wheels, read by venvtree and by the libraries that Python's own tools use.

use serde_json::{Value, json};
use venvtree::model::digest::Hash;
use venvtree::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform};
use venvtree::model::name::{DistName, PythonVersion};
use venvtree::model::requirements::Requirement;
use venvtree::model::requirements::marker::{Environment, Fact, Truth};
use venvtree::model::wheel::entry_points::EntryPoints;
use venvtree::model::wheel::filename::WheelFilename;
use venvtree::model::wheel::headers::{HeaderError, HeaderFile, Headers, Reading};
use venvtree::model::wheel::metadata::Metadata;
use venvtree::model::wheel::record::{self, Record};
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
    let names: Vec<&str> = GOOD_NAMES
        .iter()
        .chain(BAD_NAMES)
        .copied()
        .chain(STRICTER.iter().map(|(name, _)| *name))
        .collect();
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
                let build = name
                    .build
                    .as_ref()
                    .map_or(json!([]), |build| json!([build.number, build.suffix]));
                let mut tags: Vec<String> =
                    name.tags.expand().iter().map(ToString::to_string).collect();
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
        implementation: if abi.starts_with("pypy") {
            Implementation::PyPy
        } else {
            Implementation::CPython
        },
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
    cases.extend(
        Arch::ALL.map(|arch| interpreter("3.14.0", "cp314", linux(arch, Some(Libc::Glibc(2, 40))))),
    );
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
    // The functions that take no argument for the C library read it from the running system: their
    // sources are replaced.
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
        let theirs: Vec<&str> =
            theirs.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
        assert!(ours.len() > 10, "{case}");
        let difference = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != *theirs);
        assert!(
            ours == theirs,
            "{case}: {} and {} tags, first difference {difference:?}",
            ours.len(),
            theirs.len()
        );
    }
}

/// Interpreters whose facts the marker tests use, with the environment that `packaging` gets for
/// the same ones.
fn described(version: &str, pypy: bool, platform: Platform) -> (Interpreter, Value) {
    let version = PythonVersion::parse(version).unwrap();
    let implementation = if pypy { Implementation::PyPy } else { Implementation::CPython };
    let (os, arch) = (platform.os(), platform.arch());
    let facts = json!({
        "implementation_name": implementation.name(), "implementation_version": version.as_str(), "os_name": os.os_name(),
        "platform_machine": arch.platform_machine(os), "platform_release": "6.1", "platform_system": os.platform_system(),
        "platform_version": "#1", "python_full_version": version.as_str(), "platform_python_implementation": implementation.platform_name(),
        "python_version": version.short(), "sys_platform": os.sys_platform(),
    });
    (Interpreter { implementation, version, abi: "x".into(), platform }, facts)
}

const MARKERS: &[&str] = &[
    "python_version >= '3.8'",
    "python_version<'3.11'",
    "python_version == '3.11'",
    "python_version == '3.11.*'",
    "python_version != '3.1'",
    "python_version > '3.9' and python_version < '3.13'",
    "python_version ~= '3.8'",
    "python_version === '3.11'",
    "python_version in '3.8 3.11'",
    "python_version not in '3.8, 3.9'",
    "python_version >= '3.x'",
    "python_version >= ' 3.8 '",
    "python_version == '3.11.0'",
    "python_version <= '3.11.2'",
    "'3.8' <= python_version",
    "'3.11' in python_version",
    "'3' in python_full_version",
    "python_full_version >= '3.11.4'",
    "python_full_version < '3.15'",
    "python_full_version >= '3.15.0a1'",
    "python_full_version == '3.11.7'",
    "python_full_version != '3.11.*'",
    "'3.11.7' == python_full_version",
    "implementation_version < '3.12'",
    "implementation_name == 'cpython'",
    "implementation_name=='pypy'or python_version<'3'",
    "os_name == 'nt'",
    "os_name != \"nt\"",
    "os.name == 'posix'",
    "os_name > 'nt'",
    "os_name <= 'posix'",
    "sys_platform in 'linux darwin'",
    "'linux' in sys_platform",
    "'win' not in sys_platform",
    "sys.platform == 'linux'",
    "platform_machine == 'x86_64' or platform_machine == 'AMD64'",
    "platform.machine == 'arm64'",
    "platform_system == 'Linux'",
    "python_implementation == 'CPython'",
    "platform_python_implementation != 'PyPy'",
    "platform.python_implementation == 'PyPy'",
    "extra == ''",
    "extra == 'A_b'",
    "extra == 'a.B' and os_name == 'posix'",
    "extra != 'a-b'",
    "'a-b' == extra",
    "extra in 'a-b c'",
    "'a' in extra",
    "extra > 'a'",
    "os_name == 'nt' or os_name == 'posix' and python_version < '3'",
    "(os_name == 'nt' or os_name == 'posix') and python_version < '3'",
    "((os_name == 'nt') or (extra == 'a-b'))",
    "\tos_name\t==\t'nt'\t",
    "os_name=='nt'and extra=='a-b'",
    "os_name not  in 'nt'",
    "platform_machine == ''",
];

const BAD_MARKERS: &[&str] = &[
    "",
    "python_version",
    "python_version >=",
    "python_version >= 3.8",
    "python_version => '3.8'",
    "python_version >= '3.8",
    "python_version >= '3.8\"",
    "(python_version >= '3.8'",
    "python_version >= '3.8')",
    "python_version >= '3.8' and",
    "and python_version >= '3.8'",
    "python_version >= '3.8' os_name == 'nt'",
    "python_version >= '3.8' && os_name == 'nt'",
    "python_version not '3.8'",
    "python_version in ('3.8',)",
    "nothing == 'x'",
    "Python_version == '3.8'",
    "python_version >= '3.8' andos_name == 'nt'",
    "os_name ~= 'nt'",
    "os_name === 'nt'",
    "python_version ~= '3'",
    "extra ~= 'x'",
    "'x' == 'x'",
    "'x' in extras",
    "'x' in dependency_groups",
    "os_name == 'nt'\n",
];

#[test]
fn markers_are_evaluated_as_packaging_evaluates_them() {
    let linux = Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 36)) };
    let targets = [
        described("3.8.18", false, linux),
        described("3.11.7", false, linux),
        described("3.11.7", true, linux),
        described("3.15.0b1", false, linux),
        described("3.12.1", false, Platform::MacOs { arch: Arch::Aarch64, version: (14, 0) }),
        described("3.13.0", false, Platform::Windows { arch: Arch::X86_64 }),
    ];
    let extras = ["", "a-b"];
    let environments: Vec<&Value> = targets.iter().map(|(_, facts)| facts).collect();
    let texts: Vec<&str> = MARKERS.iter().chain(BAD_MARKERS).copied().collect();
    let theirs = ask_python(
        r#"
import json, sys
from packaging.markers import InvalidMarker
from packaging.requirements import InvalidRequirement, Requirement
question = json.load(sys.stdin)
def evaluate(text, facts, extra):
    try:
        marker = Requirement("x ; " + text).marker
        return marker.evaluate(dict(facts, extra=extra))
    except (ValueError, KeyError, AttributeError):
        return None
json.dump([[[evaluate(text, facts, extra) for extra in question["extras"]] for facts in question["environments"]]
           for text in question["texts"]], sys.stdout)
"#,
        &json!({"texts": texts, "environments": environments, "extras": extras}),
    );
    for (index, text) in texts.iter().enumerate() {
        let requirement = format!("x ; {text}");
        let ours = Requirement::parse(&requirement)
            .ok()
            .map(|requirement| requirement.marker.expect("there is a `;`"));
        assert_eq!(ours.is_none(), BAD_MARKERS.contains(text), "{text}");
        for (target, (interpreter, _)) in targets.iter().enumerate() {
            for (which, extra) in extras.iter().enumerate() {
                let environment = Environment::new(interpreter);
                let extra = DistName::parse(extra).ok();
                let truth =
                    ours.as_ref().map(|marker| marker.evaluate(&environment, extra.as_ref()));
                let ours = match truth {
                    None => Value::Null,
                    Some(Truth::Yes) => json!(true),
                    Some(Truth::No) => json!(false),
                    // PyPy's own version is not in a spec.
                    Some(Truth::Unknown(fact)) => {
                        assert!(
                            text.contains("implementation_version")
                                && fact == Fact::ImplementationVersion,
                            "{text}: {fact}"
                        );
                        continue;
                    }
                };
                assert_eq!(
                    ours, theirs[index][target][which],
                    "{text} for {interpreter}, extra {extra:?}"
                );
            }
        }
    }
}

const REQUIREMENTS: &[&str] = &[
    "six",
    "six>=1.0",
    "six (>=1.0,<2)",
    "six >=1.0, <2 ; python_version > '3'",
    " Foo.Bar_baz[ a ,B-c]~=1.4.2 ",
    "six[]",
    "six==1.*",
    "six!=1.5.*,>=1",
    "six>=1.0,",
    "six()",
    "six@https://example.invalid/six.whl",
    "six @ https://example.invalid/six.whl#sha256=0 ; os_name == 'nt'",
    "six @ file:///x;y",
    "six===1.0",
    "six>1.0",
    "six<1.0",
    "six==1.0+local.1",
    "six;os_name=='nt'",
    "",
    "-six",
    "six-",
    "six six",
    "six 1.0",
    "six>=1.0.*",
    "six=>1.0",
    "six>=1,,<2",
    "six (>=1.0",
    "six >=1.0)",
    "six[a",
    "six[a,]",
    "six[a b]",
    "six @",
    "six @ x y",
    "six>=1.0 python_version > '3'",
    "six;",
    "six>=1.0+local",
    "six~=1",
    "six>=1.0 <2",
    "ünicode",
    "six\n",
];

#[test]
fn requirements_are_read_as_packaging_reads_them() {
    let theirs = ask_python(
        r#"
import json, sys
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
versions = ["0.9", "1.0a1", "1.0", "1.0+local.1", "1.0.post1", "1.4.2", "1.5.3", "2.0", "2!1.0"]
def read(text):
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    return [canonicalize_name(requirement.name), sorted(map(canonicalize_name, requirement.extras)), requirement.marker is not None,
            [version for version in versions if requirement.specifier.contains(version, prereleases=True)]]
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
"#,
        &json!(REQUIREMENTS),
    );
    let versions =
        ["0.9", "1.0a1", "1.0", "1.0+local.1", "1.0.post1", "1.4.2", "1.5.3", "2.0", "2!1.0"];
    for (text, theirs) in REQUIREMENTS.iter().zip(theirs.as_array().unwrap()) {
        // Legacy ones are read with a warning, and `packaging` reads none of them.
        let ours = Requirement::parse(text).ok().filter(|found| !found.legacy).map_or(
            Value::Null,
            |found| {
                let mut extras: Vec<&str> = found.extras.iter().map(DistName::normalized).collect();
                extras.sort_unstable();
                let accepted: Vec<&str> = versions
                    .into_iter()
                    .filter(|version| found.accepts(&version.parse().unwrap()))
                    .collect();
                json!([found.name.normalized(), extras, found.marker.is_some(), accepted])
            },
        );
        assert_eq!(ours, *theirs, "{text:?}");
    }
    assert_eq!(theirs.as_array().unwrap().iter().filter(|theirs| theirs.is_null()).count(), 22);
}

const RECORDS: &[&str] = &[
    "a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\na-1.dist-info/RECORD,,\n",
    "\"a,b.py\",,\r\n\"c\"\"d.py\",,12\r\na-1.dist-info/RECORD,,\r\n",
    "ä/ö ü.py,,0\n日本.py,,1\na-1.dist-info/RECORD,,\n",
    "b'c.py,,0\n a.py ,,1\na-1.dist-info/RECORD,,",
];

#[test]
fn records_are_read_and_written_as_python_reads_and_writes_csv() {
    let own = "a-1.dist-info/RECORD";
    let written: Vec<String> = [vec!["a,b", "c\"d", "e"], vec!["ü", " x ", "'y'", "#z"], vec![]]
        .into_iter()
        .map(|paths| {
            String::from_utf8(record::render(
                own,
                paths.into_iter().map(|path| (path, Hash::sha256(b""), 7)),
            ))
            .unwrap()
        })
        .collect();
    let texts: Vec<&str> =
        RECORDS.iter().copied().chain(written.iter().map(String::as_str)).collect();
    let theirs = ask_python(
        r#"
import csv, io, json, sys
def read(text):
    rows = sorted((row for row in csv.reader(io.StringIO(text, newline="")) if row), key=lambda row: row[0].encode())
    output = io.StringIO(newline="")
    csv.writer(output, lineterminator="\n").writerows(rows)
    return [rows, output.getvalue()]
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
"#,
        &json!(texts),
    );
    for (text, theirs) in texts.iter().zip(theirs.as_array().unwrap()) {
        let found = Record::parse(text.as_bytes(), own);
        let rows: Vec<Value> = found
            .rows()
            .iter()
            .map(|row| {
                let hash = row.hash.as_ref().map_or_else(String::new, ToString::to_string);
                json!([row.path, hash, row.size.map_or_else(String::new, |size| size.to_string())])
            })
            .collect();
        assert_eq!(json!(rows), theirs[0], "{text}");
    }
    for (index, text) in written.iter().enumerate() {
        assert_eq!(theirs[RECORDS.len() + index][1], json!(text));
    }
}

const HEADERS: &[&str] = &[
    "Metadata-Version: 2.1\nName: a\nVersion: 1.0\n\nbody: x\n",
    "METADATA-VERSION: 2.1\r\nname:a\r\nVersion :\t1.0 \r\nRequires-Dist: b\r\n\r\nbody\r\n",
    "metadata-version: 2.1\nname:a\nVersion:\t 1.0 \nRequires-Dist: b\nRequires-Dist:  c ; os_name == 'nt'\nRequires-Python:>=3.8\n",
    "Metadata-Version: 2.1\nName: a\nVersion: 1.0\nDescription: x\n        y\n\n        z\n",
    "Metadata-Version: 2.1\nName: ä\nVersion: 1.0\n",
    "Metadata-Version: 2.1\nName: a\nVersion: 1.0\nAuthor: Ümläüt\nProvides-Extra: x\nProvides-Extra: Y_z\n \t\nSummary: s\n",
    "Metadata-Version: 2.1\nName: a\nno header\nVersion: 1.0\n",
    "\u{feff}Metadata-Version: 2.1\nName: a\nVersion: 1.0\n",
    "Metadata-Version: 2.1\nName: a\rVersion: 1.0\n",
    "Metadata-Version: 2.1\nName: a\nName: b\nVersion: 1.0\n",
    "\nMetadata-Version: 2.1\nName: a\nVersion: 1.0\n",
    // What can be accepted if somebody says so.
    "Metadata-Version: 2.1\nName: a\nVersion: 1.0\nRequires-Dist: b\nSummary: one\ntwo\nAuthor: x\n\nbody\n",
    "Metadata-Version: 2.1\nName: a\nVersion: 1.0\nSummary: one\rtwo\nAuthor: x\n",
    "Metadata-Version: 2.1\nName: a\nSummary: \0\nVersion: 1.0\n",
    "Metadata-Version: 2.1\nName: a\nSummary : x\nAuthor: y\nVersion: 1.0\n",
    "Metadata-Version: 2.1\nName: a\n: x\nVersion: 1.0\n",
    " x\nMetadata-Version: 2.1\nName: a\nVersion: 1.0\nName: A\n",
    "Metadata-Version: 2.1\nName: a\nVersion: 1.0\nRequires-Python: >=3\nRequires-Python: >=4\n",
];

#[test]
fn metadata_that_is_accepted_has_the_values_of_pythons_email_parser() {
    let theirs = ask_python(
        r#"
import email, json, sys
def read(text):
    message = email.message_from_string(text)
    one = lambda name: message[name] and message[name].strip()
    return [one("Name"), one("Version"), one("Requires-Python"), message.get_all("Requires-Dist", []), message.get_all("Provides-Extra", []),
            message.get_payload()]
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
"#,
        &json!(HEADERS),
    );
    let filename = WheelFilename::parse("a-1.0-py3-none-any.whl").unwrap();
    let (mut accepted, mut acceptable) = (0, 0);
    for (text, theirs) in HEADERS.iter().zip(theirs.as_array().unwrap()) {
        let Reading { value, errors } = Metadata::parse(text.as_bytes(), &filename);
        if let Some(found) = value
            .filter(|_| !errors.iter().any(|error| matches!(error, HeaderError::Missing { .. })))
        {
            accepted += usize::from(errors.is_empty());
            acceptable += usize::from(!errors.is_empty());
            let body = Headers::parse(text.as_bytes(), HeaderFile::Metadata, &[]).unwrap().body;
            let theirs_trimmed: Value = {
                let trim = |list: &Value| {
                    list.as_array()
                        .unwrap()
                        .iter()
                        .map(|text| json!(text.as_str().unwrap().trim()))
                        .collect::<Vec<_>>()
                };
                json!([
                    theirs[0],
                    theirs[1],
                    theirs[2],
                    trim(&theirs[3]),
                    trim(&theirs[4]),
                    theirs[5]
                ])
            };
            let ours = json!([
                found.name.written(),
                found.version.to_string(),
                found.requires_python,
                found.requires_dist,
                found.provides_extra,
                body
            ]);
            assert_eq!(ours, theirs_trimmed, "{text:?}");
        }
    }
    assert_eq!((accepted, acceptable), (4, 6));
}

const ENTRY_POINTS: &[&str] = &[
    "[console_scripts]\na = b:c\nd-e = f.g:H.i [x,y]\n[gui_scripts]\nj=k:l\n",
    "# c\n; d\n[other]\nwhatever = x\n\n[console_scripts]\n  a = b : c\n  A=b:d\n",
    "\r\n[console_scripts]\r\na=b:c\r\n\r\n",
    "[gui_scripts]\nünï = ä.ö:ü\n",
    "[x.y]\na = b\n",
    "",
];

#[test]
fn scripts_are_those_of_importlib_metadata_and_configparser() {
    let theirs = ask_python(
        r#"
import configparser, json, sys
from importlib.metadata import EntryPoints
groups = ["console_scripts", "gui_scripts"]
def by_line(text):
    # importlib.metadata takes `;` for the beginning of a name.
    text = "\n".join(line for line in text.splitlines() if not line.startswith(";"))
    points = EntryPoints._from_text_for(text, None)
    return sorted([point.group, point.name, point.module, point.attr] for point in points if point.group in groups)
def by_section(text):
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.optionxform = str
    parser.read_string(text)
    return sorted([group, name, value.replace(" ", "")] for group in groups if parser.has_section(group) for name, value in parser.items(group))
json.dump([[by_line(text), by_section(text)] for text in json.load(sys.stdin)], sys.stdout)
"#,
        &json!(ENTRY_POINTS),
    );
    for (text, theirs) in ENTRY_POINTS.iter().zip(theirs.as_array().unwrap()) {
        let found = EntryPoints::parse(text.as_bytes());
        assert_eq!(found.problems, [], "{text}");
        let mut ours: Vec<[&str; 4]> = found
            .scripts
            .iter()
            .map(|script| [script.kind.group(), &script.name, &script.module, &script.attributes])
            .collect();
        ours.sort_unstable();
        assert_eq!(json!(ours), theirs[0], "{text}");
        for (ours, theirs) in ours.iter().zip(theirs[1].as_array().unwrap()) {
            let value = theirs[2].as_str().unwrap();
            assert_eq!(
                (ours[0], ours[1]),
                (theirs[0].as_str().unwrap(), theirs[1].as_str().unwrap())
            );
            assert_eq!(value.split('[').next().unwrap(), format!("{}:{}", ours[2], ours[3]));
        }
        assert_eq!(ours.len(), theirs[1].as_array().unwrap().len(), "{text}");
    }
}
