//! Tests of the model of locks.

mod reading;

use proptest::prelude::*;

use super::*;
use crate::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform};
use crate::model::name::PythonVersion;
use crate::model::wheel::filename::WheelFilename;

const HASH: &str = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";

fn interpreter(version: &str, platform: Platform) -> Interpreter {
    let version = PythonVersion::parse(version).unwrap();
    let abi = format!("cp{}{}", version.major, version.minor).into();
    Interpreter { implementation: Implementation::CPython, version, abi, platform }
}

fn linux(version: &str) -> Interpreter {
    interpreter(version, Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 28)) })
}

/// The message of a lock that cannot be read.
fn refused(text: &str) -> String {
    Lock::read(text).map(|_| ()).unwrap_err().describe("the.lock")
}

/// Names of what is chosen, and of what is left out in parentheses; else the message.
fn chosen(text: &str, interpreter: &Interpreter, request: &Request) -> String {
    let selection = Lock::read(text).and_then(|lock| select(&lock, interpreter, request));
    match selection {
        Ok(selection) => {
            let wheels = selection
                .wheels
                .iter()
                .map(|wheel| wheel.written.trim_end_matches(".whl").to_owned());
            let left_out = selection.left_out.iter().map(|package| format!("({})", package.name));
            let warnings = selection.warnings.iter().map(|warning| format!("warning: {warning}"));
            wheels.chain(left_out).chain(warnings).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.describe("the.lock"),
    }
}

fn with(change: impl FnOnce(&mut Request)) -> Request {
    let mut request = Request::default();
    change(&mut request);
    request
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A uv.lock: packages as `name: what it says`, with one pure wheel each unless they say otherwise.
fn uv(root: &str, packages: &[(&str, &str)]) -> String {
    let mut text = format!("version = 1\nrevision = 3\n{root}\n");
    for (name, says) in packages {
        text.push_str(&format!("\n[[package]]\nname = \"{name}\"\n"));
        if !says.contains("version =") && !says.contains("virtual") {
            text.push_str("version = \"1.0\"\n");
        }
        if !says.contains("source =") {
            text.push_str("source = { registry = \"https://index.example/simple\" }\n");
        }
        if !says.contains("wheels =") && !says.contains("source =") && !says.contains("sdist =") {
            text.push_str(&wheel(&format!("{name}-1.0-py3-none-any.whl")));
        }
        text.push_str(says);
        text.push('\n');
    }
    text
}

fn wheel(file: &str) -> String {
    format!("wheels = [{{ url = \"https://files.example/{file}\", hash = \"sha256:{HASH}\" }}]\n")
}

const ROOT: &str = "source = { virtual = \".\" }\n";

#[test]
fn a_graph_is_followed_from_its_roots() {
    let text = uv(
        "requires-python = \">=3.9\"",
        &[
            (
                "app",
                &format!(
                    "{ROOT}dependencies = [{{ name = \"a\", extra = [\"x\"] }}, {{ name = \"w\", marker = \"os_name == 'nt'\" }}]\n\
              [package.optional-dependencies]\nweb = [{{ name = \"c\" }}]\nall = [{{ name = \"app\", extra = [\"web\"] }}]\n\
              [package.dev-dependencies]\ndev = [{{ name = \"d\" }}]\ndocs = [{{ name = \"e\" }}]\n\
              [package.metadata]\nprovides-extras = [\"web\", \"all\", \"none\"]\n"
                ),
            ),
            (
                "a",
                "dependencies = [{ name = \"b\" }]\n[package.optional-dependencies]\nx = [{ name = \"x\" }]\n",
            ),
            ("b", "dependencies = [{ name = \"a\" }]\n"),
            ("c", ""),
            ("d", ""),
            ("e", ""),
            ("w", ""),
            ("x", ""),
        ],
    );
    let check = |request: Request, expected: &str| {
        let expected: Vec<String> = expected
            .split(' ')
            .map(|name| {
                if name == "app" { "(app)".to_owned() } else { format!("{name}-1.0-py3-none-any") }
            })
            .collect();
        assert_eq!(chosen(&text, &linux("3.12"), &request), expected.join("\n"), "{request:?}");
    };
    check(Request::default(), "a b d x app");
    check(with(|request| request.no_default_groups = true), "a b x app");
    check(with(|request| request.extras = names(&["All"])), "a b c d x app");
    check(with(|request| request.all_extras = true), "a b c d x app");
    check(
        with(|request| (request.all_extras, request.without.extras) = (true, names(&["all"]))),
        "a b c d x app",
    );
    check(with(|request| request.extras = names(&["none"])), "a b d x app");
    check(with(|request| request.all_groups = true), "a b d e x app");
    check(
        with(|request| (request.all_groups, request.without.groups) = (true, names(&["docs"]))),
        "a b d x app",
    );
    check(with(|request| request.without.dev = true), "a b x app");
    check(with(|request| request.groups = names(&["docs"])), "a b d e x app");
    check(with(|request| (request.only_groups, request.groups) = (true, names(&["docs"]))), "e");
    let fails = |request: Request, expected: &str| {
        assert_eq!(chosen(&text, &linux("3.12"), &request), expected)
    };
    fails(
        with(|request| (request.extras, request.groups) = (names(&["wbe"]), names(&["tests"]))),
        "the.lock: there is no extra `wbe`; there are all, none, web (did you mean web?)\nthe.lock: there is no group `tests`; there are dev, docs",
    );
    fails(
        with(|request| request.packages = names(&["ap"])),
        "the.lock: there is no member `ap`; there are app (did you mean app?)",
    );
    assert_eq!(
        chosen(&text, &linux("3.8.18"), &Request::default()),
        "the.lock: needs Python >=3.9, the environment has 3.8.18"
    );
    let selection =
        select(&Lock::read(&text).unwrap(), &linux("3.12"), &Request::default()).unwrap();
    let because: Vec<String> =
        selection.wheels.iter().map(|wheel| wheel.because.join("+")).collect();
    assert_eq!(because, ["app+b", "a", "app (group dev)", "a[x]"]);
}

#[test]
fn groups_count_by_default_as_the_lock_says() {
    let lock = |says: &str| {
        let groups =
            "[package.dev-dependencies]\ndev = [{ name = \"d\" }]\ndocs = [{ name = \"e\" }]\n";
        let app = format!("{ROOT}{says}\n{groups}");
        let conflicts = "conflicts = [[{ package = \"app\", group = \"dev\" }, { package = \"app\", group = \"docs\" }]]";
        uv(conflicts, &[("app", &app), ("d", ""), ("e", "")])
    };
    let check = |says: &str, request: Request, expected: &str| {
        assert_eq!(chosen(&lock(says), &linux("3.12"), &request), expected, "{says}")
    };
    let (d, e, own) = ("d-1.0-py3-none-any\n(app)", "e-1.0-py3-none-any\n(app)", "(app)");
    check("", Request::default(), d);
    check("default-groups = []", Request::default(), own);
    check("default-groups = [\"Docs\"]", Request::default(), e);
    check("default-groups = [\"gone\"]", Request::default(), own);
    check("default-groups = [\"docs\"]", with(|request| request.no_default_groups = true), own);
    let both = "the.lock: the groups `dev` and `docs` of app exclude one another";
    check("default-groups = \"all\"", Request::default(), both);
    check("default-groups = [\"docs\", \"dev\"]", Request::default(), both);
    let dev = || with(|request| request.groups = names(&["dev"]));
    check("", dev(), d);
    check("default-groups = [\"docs\"]", dev(), both);
    assert_eq!(
        refused(&lock("default-groups = \"docs\"")),
        "the.lock:8:18: its default-groups is \"docs\", expected a list or \"all\""
    );
}

#[test]
fn code_that_the_environment_lacks_is_no_member_and_no_virtual_project() {
    let dependencies =
        "dependencies = [{ name = \"a\" }, { name = \"b\" }, { name = \"c\" }, { name = \"m\" }]\n";
    let text = uv(
        "[manifest]\nmembers = [\"app\", \"m\"]",
        &[
            ("app", &format!("source = {{ editable = \".\" }}\n{dependencies}")),
            ("a", "source = { directory = \"../a\" }\n"),
            ("b", "source = { editable = \"b\" }\n"),
            ("c", "source = { virtual = \"../c\" }\n"),
            ("m", "source = { directory = \"m\" }\n"),
        ],
    );
    let said = |name: &str, path: &str| {
        format!(
            "\nwarning: `{name}` is left out: it is the directory `{path}`, of which the lock has no wheel; build one and give it with --supply"
        )
    };
    let both = format!("{}{}", said("a", "../a"), said("b", "b"));
    assert_eq!(
        chosen(&text, &linux("3.12"), &Request::default()),
        format!("(a)\n(app)\n(b)\n(c)\n(m){both}")
    );
    let selection =
        select(&Lock::read(&text).unwrap(), &linux("3.12"), &Request::default()).unwrap();
    let own = selection.left_out.iter().filter(|package| package.is_own());
    assert_eq!(own.map(|package| package.name.normalized()).collect::<Vec<_>>(), ["app", "m"]);
    let supplied = AtHand {
        file: WheelFilename::parse("a-1.0-py3-none-any.whl").unwrap(),
        path: "dist/a-1.0-py3-none-any.whl".to_owned(),
        sha256: Hash::parse_hex(HASH).unwrap(),
        others: Vec::new(),
        size: 3,
    };
    let request = with(|request| request.supplied = vec![supplied]);
    let expected = format!("a-1.0-py3-none-any\n(app)\n(b)\n(c)\n(m){}", said("b", "b"));
    assert_eq!(chosen(&text, &linux("3.12"), &request), expected);
    let targets = [("linux".to_owned(), linux("3.12.1"))].into();
    let index =
        index(&Lock::read(&text).unwrap(), Hash::parse_hex(HASH).unwrap(), &targets).unwrap();
    assert_eq!(index.warnings.len(), 2, "{:?}", index.warnings);
    let pylock = "lock-version = \"1.0\"\npackages = [{ name = \"a\", directory = { path = \".\" } }, { name = \"b\", directory = { path = \"b\" } }]\n";
    let expected = format!("(a)\n(b){}", said("b", "b"));
    assert_eq!(chosen(pylock, &linux("3.12"), &Request::default()), expected);
}

#[test]
fn conflicts_are_told_apart_by_what_is_active() {
    let text = uv(
        "conflicts = [[{ package = \"app\", extra = \"new\" }, { package = \"app\", extra = \"old\" }]]",
        &[
            (
                "app",
                &format!(
                    "{ROOT}[package.optional-dependencies]\nnew = [{{ name = \"b\" }}]\nold = [{{ name = \"b\" }}]\n\
                              both = [{{ name = \"app\", extra = [\"old\"] }}]\n"
                ),
            ),
            (
                "b",
                "dependencies = [{ name = \"c\", version = \"1.0\", marker = \"extra == 'extra-3-app-old'\" }, \
                   { name = \"c\", version = \"2.0\", marker = \"extra == 'extra-3-app-new' and extra != 'extra-3-app-old'\" }]\n",
            ),
            ("c", ""),
            ("c", &format!("version = \"2.0\"\n{}", wheel("c-2.0-py3-none-any.whl"))),
        ],
    );
    let check = |extras: &[&str], expected: &str| {
        assert_eq!(
            chosen(&text, &linux("3.12"), &with(|request| request.extras = names(extras))),
            expected
        );
    };
    check(&["new"], "b-1.0-py3-none-any\nc-2.0-py3-none-any\n(app)");
    check(&["old"], "b-1.0-py3-none-any\nc-1.0-py3-none-any\n(app)");
    // The extra is reached by way of another one.
    check(&["both"], "b-1.0-py3-none-any\nc-1.0-py3-none-any\n(app)");
    check(&["old", "new"], "the.lock: the extras `new` and `old` of app exclude one another");
    check(&["both", "new"], "the.lock: the extras `new` and `old` of app exclude one another");
}

#[test]
fn what_a_target_leaves_open_matters_only_where_it_decides() {
    let lock = |marker: &str, more: &str| {
        uv(
            "",
            &[
                (
                    "app",
                    &format!(
                        "{ROOT}dependencies = [{{ name = \"a\", marker = \"{marker}\" }}{more}]\n"
                    ),
                ),
                ("a", ""),
                ("b", "dependencies = [{ name = \"a\" }]\n"),
            ],
        )
    };
    let check = |text: &str, expected: &str| {
        assert_eq!(chosen(text, &linux("3.11"), &Request::default()), expected)
    };
    check(
        &lock("python_full_version < '3.11.4'", ""),
        "the.lock: whether `a 1.0` is needed (`python_full_version < '3.11.4'`) depends on the patch level, which the interpreter's version leaves out",
    );
    check(
        &lock("python_full_version < '3.11.4'", ", { name = \"b\" }"),
        "a-1.0-py3-none-any\nb-1.0-py3-none-any\n(app)",
    );
    check(
        &lock("python_full_version < '3.11.4' or os_name == 'posix'", ""),
        "a-1.0-py3-none-any\n(app)",
    );
    check(
        &uv("requires-python = \">=3.11.4\"", &[("app", ROOT)]),
        "the.lock: needs Python >=3.11.4, the environment has 3.11, without a patch level",
    );
}

#[test]
fn packages_without_a_wheel_are_named_all_at_once() {
    let dependencies = "dependencies = [{ name = \"docopt\" }, { name = \"pywin32\" }, { name = \"gitlib\" }, { name = \"old\" }, { name = \"odd\" }]\n";
    let text = uv(
        "",
        &[
            ("app", &format!("{ROOT}{dependencies}")),
            ("docopt", "sdist = { url = \"https://files.example/docopt-1.0.tar.gz\" }\n"),
            (
                "pywin32",
                &format!(
                    "wheels = [{{ url = \"https://files.example/pywin32-1.0-cp312-cp312-win32.whl\", hash = \"sha256:{HASH}\" }}, \
                                 {{ url = \"https://files.example/pywin32-1.0-cp312-cp312-win_amd64.whl\", hash = \"sha256:{HASH}\" }}]\n"
                ),
            ),
            (
                "gitlib",
                "version = \"0.3\"\nsource = { git = \"https://git.example/gitlib#abc\" }\n",
            ),
            ("old", &wheel("old-1.0-cp39-cp39-manylinux_2_17_x86_64.whl")),
            ("odd", &wheel("even-1.0-py3-none-any.whl")),
        ],
    );
    let expected = "\
the.lock: no wheel of 5 packages fits CPython 3.12.1, linux-x86_64-glibc-2.28:
  docopt 1.0: there is only a source distribution
  gitlib 0.3: a Git source
  odd 1.0: `even-1.0-py3-none-any.whl` cannot be used: it is called like one of even
  old 1.0: its wheels are for cp39-cp39
  pywin32 1.0: its wheels are for win32, win_amd64";
    assert_eq!(chosen(&text, &linux("3.12.1"), &Request::default()), expected);
    let supply = |name: &str| AtHand {
        file: WheelFilename::parse(name).unwrap(),
        path: name.to_owned(),
        sha256: Hash::parse_hex(HASH).unwrap(),
        others: Vec::new(),
        size: 3,
    };
    let supplied = [
        "docopt-1.0-py3-none-any.whl",
        "gitlib-0.3-py3-none-any.whl",
        "odd-1.0-py3-none-any.whl",
        "old-2.0-py3-none-any.whl",
        "old-1.0-cp312-cp312-linux_x86_64.whl",
        "pywin32-1-py3-none-any.whl",
        "app-7-py3-none-any.whl",
    ];
    let request = with(|request| request.supplied = supplied.map(supply).to_vec());
    let expected = "app-7-py3-none-any\ndocopt-1.0-py3-none-any\ngitlib-0.3-py3-none-any\nodd-1.0-py3-none-any\nold-1.0-cp312-cp312-linux_x86_64\npywin32-1-py3-none-any";
    assert_eq!(chosen(&text, &linux("3.12.1"), &request), expected);
}

#[test]
fn what_can_never_be_required_need_not_be_locked() {
    let group = |marker: &str| {
        let manifest = "[manifest.dependency-groups]\ndev = [{ name = \"six\" }, ";
        format!("{manifest}{{ name = \"dataclasses\", marker = \"{marker}\" }}]\n")
    };
    let chosen = |marker: &str| {
        chosen(&uv(&group(marker), &[("six", "")]), &linux("3.12"), &Request::default())
    };
    assert_eq!(chosen("python_full_version < '3.7'"), "six-1.0-py3-none-any");
    assert_eq!(
        chosen("python_full_version >= '3.7'"),
        "the.lock: requires `dataclasses`, and has no version of it for this environment"
    );
}

#[test]
fn a_local_version_may_be_in_the_name_of_a_file_alone() {
    let lock = |version: &str, file: &str| {
        let lib = format!("version = \"{version}\"\n{}", wheel(file));
        let app = format!("{ROOT}dependencies = [{{ name = \"lib\" }}]\n");
        let text = uv("", &[("app", &app), ("lib", &lib)]);
        chosen(&text, &linux("3.12.1"), &Request::default())
    };
    let local = "lib-1.0+cu12-py3-none-any.whl";
    assert_eq!(lock("1.0", local), "lib-1.0+cu12-py3-none-any\n(app)");
    assert_eq!(lock("1.0+cu12", local), "lib-1.0+cu12-py3-none-any\n(app)");
    let refused = |version: &str, file: &str, other: &str| {
        let why = format!("`{file}` cannot be used: it is called like one of version {other}");
        let head = "the.lock: no wheel of 1 package fits CPython 3.12.1, linux-x86_64-glibc-2.28:";
        assert_eq!(lock(version, file), format!("{head}\n  lib {version}: {why}"));
    };
    refused("1.0+cpu", local, "1.0+cu12");
    refused("1.1", local, "1.0+cu12");
    refused("1.0+cu12", "lib-1.0-py3-none-any.whl", "1.0");
}

#[test]
fn groups_that_a_lock_does_not_record_are_told_from_those_that_count() {
    let groups =
        "[package.dev-dependencies]\ndev = [{ name = \"d\" }]\ndocs = [{ name = \"d\" }]\n";
    let text = uv("", &[("app", &format!("{ROOT}{groups}")), ("d", "")]);
    let said = |text: &str, pyproject: &str| {
        let lock = Lock::read(text).unwrap();
        lock.other_default_groups(&format!("[project]\nname = 'app'\n[tool.uv]\n{pyproject}\n"))
    };
    let other = |pyproject: &str| said(&text, pyproject);
    assert_eq!(other("default-groups = ['docs', 'dev']").as_deref(), Some("[\"docs\", \"dev\"]"));
    assert_eq!(other("default-groups = []").as_deref(), Some("[]"));
    assert_eq!(other("default-groups = 'all'").as_deref(), Some("\"all\""));
    for same in ["", "default-groups = ['Dev']", "default-groups = ['dev', 'gone']", "= broken"] {
        assert_eq!(other(same), None, "{same}");
    }
    let recorded = text.replace("revision = 3", "revision = 5");
    assert_eq!(said(&recorded, "default-groups = []"), None);
}

/// Of what only an extra wants, the index of a lock says why it cannot be had.
#[test]
fn an_extra_that_cannot_be_had_is_no_reason_against_an_index() {
    let app = format!(
        "{ROOT}dependencies = [{{ name = \"six\" }}]\n[package.optional-dependencies]\n\
         both = [{{ name = \"app\", extra = [\"new\", \"old\"] }}]\nnew = [{{ name = \"a\" }}]\n\
         old = [{{ name = \"b\" }}]\nodd = [{{ name = \"unpinned\" }}]\n"
    );
    let conflicts = "conflicts = [[{ package = \"app\", extra = \"new\" }, { package = \"app\", extra = \"old\" }]]";
    let unpinned = "wheels = [{ url = \"https://files.example/unpinned-1.0-py3-none-any.whl\" }]\n";
    let packages = [("app", &*app), ("a", ""), ("b", ""), ("six", ""), ("unpinned", unpinned)];
    let lock = Lock::read(&uv(conflicts, &packages)).unwrap();
    let targets = [("here".to_owned(), linux("3.12.1"))].into();
    let rendered = index(&lock, Hash::parse_hex(HASH).unwrap(), &targets).unwrap().render();
    let found: serde_json::Value = serde_json::from_str(&rendered).unwrap();
    let (sets, packages) = (&found["sets"], &found["packages"]);
    assert_eq!(sets["all"]["here"], serde_json::json!(["app"]));
    assert_eq!(sets["extra_odd"]["here"], serde_json::json!(["app[odd]"]));
    assert_eq!(
        packages["unpinned"]["unavailable"]["here"],
        "unpinned 1.0: `unpinned-1.0-py3-none-any.whl` has no hash (its source is the index https://index.example/simple)"
    );
    assert_eq!(
        sets["extra_both"],
        serde_json::json!({"unavailable": {"here": "extra_both: the extras `new` and `old` of app exclude one another"}})
    );
}

#[test]
fn wheels_without_a_hash_are_refused_unless_they_are_trusted() {
    let text = uv(
        "",
        &[
            ("app", &format!("{ROOT}dependencies = [{{ name = \"six\" }}]\n")),
            (
                "six",
                "source = { registry = \"../links\" }\nwheels = [{ path = \"six-1.0-py3-none-any.whl\", hash = \"md5:12\" }]\n",
            ),
        ],
    );
    let expected =
        "the.lock: `six-1.0-py3-none-any.whl` has no hash (its source is the directory ../links)";
    assert_eq!(chosen(&text, &linux("3.12"), &Request::default()), expected);
    assert_eq!(
        chosen(&text, &linux("3.12"), &with(|request| request.unpinned = true)),
        "six-1.0-py3-none-any\n(app)"
    );
    let selection = select(
        &Lock::read(&text).unwrap(),
        &linux("3.12"),
        &with(|request| request.unpinned = true),
    )
    .unwrap();
    assert_eq!(selection.wheels[0].path.as_deref(), Some("../links/six-1.0-py3-none-any.whl"));
    // Beside what has no wheel at all.
    let more = text.replace("[{ name = \"six\" }]", "[{ name = \"six\" }, { name = \"gone\" }]");
    let source = "source = { registry = \"https://index.example/simple\" }";
    let more = format!("{more}\n[[package]]\nname = \"gone\"\nversion = \"1.0\"\n{source}\n");
    let found = chosen(&more, &linux("3.12"), &Request::default());
    assert!(found.contains("gone 1.0: ") && found.ends_with(expected), "{found}");
}

#[test]
fn a_pylock_is_filtered_by_its_markers() {
    let entry = |name: &str, says: &str| {
        format!(
            "[[packages]]\nname = \"{name}\"\nversion = \"1.0\"\n{says}\nwheels = [{{ url = \"https://u:p@files.example/{name}-1.0-py3-none-any.whl?x=1#y\", hashes = {{ sha256 = \"{HASH}\" }} }}]\n"
        )
    };
    let text = format!(
        "lock-version = \"1.0\"\nextras = [\"x\"]\ndependency-groups = [\"dev\", \"default\"]\ndefault-groups = [\"default\"]\n{}{}{}{}",
        entry("a", "marker = \"'default' in dependency_groups\""),
        entry("b", "marker = \"'x' in extras or 'dev' in dependency_groups\""),
        entry("a", "marker = \"'X' in extras\""),
        entry("c", "requires-python = \"<4\""),
    );
    let check = |request: Request, expected: &str| {
        assert_eq!(chosen(&text, &linux("3.12"), &request), expected)
    };
    check(Request::default(), "a-1.0-py3-none-any\nc-1.0-py3-none-any");
    check(
        with(|request| request.groups = names(&["dev"])),
        "a-1.0-py3-none-any\nb-1.0-py3-none-any\nc-1.0-py3-none-any",
    );
    check(
        with(|request| (request.only_groups, request.groups) = (true, names(&["dev"]))),
        "b-1.0-py3-none-any\nc-1.0-py3-none-any",
    );
    check(
        with(|request| request.extras = names(&["x"])),
        "the.lock: `a` is there twice for this environment (packages[0], packages[2])",
    );
    check(
        with(|request| request.packages = names(&["a"])),
        "the.lock: --package cannot be answered: a pylock.toml does not say which package requires which",
    );
    let selection =
        select(&Lock::read(&text).unwrap(), &linux("3.12"), &Request::default()).unwrap();
    assert_eq!(
        selection.wheels[0].url.as_deref(),
        Some("https://files.example/a-1.0-py3-none-any.whl?x=1#y")
    );
    let narrow = text.replacen(
        "extras",
        "environments = [\"sys_platform == 'darwin'\", \"os_name == 'nt'\"]\nextras",
        1,
    );
    assert_eq!(
        chosen(&narrow, &linux("3.12"), &Request::default()),
        "the.lock: is for `sys_platform == 'darwin'` or `os_name == 'nt'`, not for linux-x86_64-glibc-2.28"
    );
    let minor = text.replacen("1.0", "1.3", 1);
    assert!(
        chosen(&minor, &linux("3.12"), &Request::default())
            .contains("warning: lock-version is 1.3; this venvtree reads 1.0")
    );
    let old = text.replace("<4", "<3.10");
    assert_eq!(
        chosen(&old, &linux("3.12"), &Request::default()),
        "the.lock: c 1.0 needs Python <3.10, the environment has 3.12"
    );
}

#[test]
fn of_equal_tags_the_highest_build_number_wins() {
    let text = include_str!("../../../testdata/locks/pylock.tie.toml");
    assert_eq!(chosen(text, &linux("3.12"), &Request::default()), "foo-1.0-10-py3-none-any");
}

#[test]
fn the_index_lists_files_and_closures_for_every_target() {
    let text = uv(
        "",
        &[
            ("app", &format!("{ROOT}dependencies = [{{ name = \"a-b\" }}, {{ name = \"s\" }}]\n[package.optional-dependencies]\nx-y = [{{ name = \"c\" }}]\n\
              [package.dev-dependencies]\ndev = [{{ name = \"c\" }}]\n")),
            ("a-b", "dependencies = [{ name = \"c\", marker = \"os_name == 'nt'\" }]\n[package.optional-dependencies]\nall = [{ name = \"c\" }]\n"),
            ("c", ""),
            ("s", "sdist = { url = \"https://files.example/s-1.0.tar.gz\" }\n"),
        ],
    )
    .replace("a-b-1.0", "a_b-1.0");
    let lock = Lock::read(&text).unwrap();
    let windows = interpreter("3.12.1", Platform::Windows { arch: Arch::X86_64 });
    let targets = [("linux".to_owned(), linux("3.12.1")), ("win".to_owned(), windows)].into();
    let rendered = index(&lock, Hash::parse_hex(HASH).unwrap(), &targets).unwrap().render();
    let short = &HASH[..12];
    let expected = format!(
        r#"{{
  "files": {{
    "a_b_{short}": {{"name":"a_b-1.0-py3-none-any.whl","sha256":"{HASH}","urls":["https://files.example/a_b-1.0-py3-none-any.whl"]}},
    "c_{short}": {{"name":"c-1.0-py3-none-any.whl","sha256":"{HASH}","urls":["https://files.example/c-1.0-py3-none-any.whl"]}}
  }},
  "lock_sha256": "{HASH}",
  "packages": {{
    "a-b": {{"extras":{{"all":{{"linux":["a-b","c"],"win":["a-b"]}}}},"linux":{{"version":"1.0","whl":"a_b_{short}"}},"win":{{"requires":["c"],"version":"1.0","whl":"a_b_{short}"}}}},
    "app": {{"*":{{"requires":["a-b","s"]}},"extras":{{"x-y":{{"linux":["a-b[all]","s"],"win":["a-b","s"]}}}}}},
    "c": {{"*":{{"version":"1.0","whl":"c_{short}"}}}},
    "s": {{"*":{{"version":"1.0"}},"unavailable":{{"*":"s 1.0: there is only a source distribution"}}}}
  }},
  "sets": {{
    "all": {{"*":["app"]}},
    "extra_x_y": {{"linux":["app[x-y]"],"win":["set:all"]}},
    "group_dev": {{"*":["c"]}}
  }},
  "targets": {{
    "linux": {{"abi":"cp312","implementation":"cpython","platform":{{"arch":"x86_64","libc":"glibc-2.28","os":"linux"}},"version":"3.12.1"}},
    "win": {{"abi":"cp312","implementation":"cpython","platform":{{"arch":"x86_64","os":"windows"}},"version":"3.12.1"}}
  }},
  "version": 2
}}
"#
    );
    assert_eq!(rendered, expected);
}

#[test]
fn a_set_of_an_extra_has_what_counts_by_default() {
    let lock = Lock::read(include_str!("../../../testdata/locks/pylock.pdm.toml")).unwrap();
    let targets = [("linux".to_owned(), linux("3.12.1"))].into();
    let index = index(&lock, Hash::parse_hex(HASH).unwrap(), &targets).unwrap().render();
    let line = "    \"extra_web\": {\"linux\":[\"itsdangerous\",\"set:all\"]}";
    assert!(index.lines().any(|found| found.trim_end_matches(',') == line), "{index}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(
        text in "\\PC*",
        line in "([a-z]{1,3}(\\[[a-z,]{0,3}\\])?(==|@|>=| @ )[0-9.a-z:/]{0,8}( ;[a-z_ '<=]{0,20})?( --hash[= ]sha256:[0-9a-f]{0,4})?\\\\?\n|-[a-z]{1,2} [a-z/:@]{0,9}\n){0,5}",
    ) {
        for text in [text.clone(), line, format!("version = 1\n{text}"), format!("lock-version = \"1.0\"\n{text}")] {
            if let Ok(lock) = Lock::read(&text) {
                let _ = select(&lock, &linux("3.12.1"), &Request::default());
            }
        }
    }

    #[test]
    fn a_damaged_lock_is_read_or_refused(at in 0usize..50_000, length in 0usize..40, put in "[\\[\\]{}\"'=,.a-z0-9# \n]{0,6}", which in 0usize..3) {
        let text = [
            include_str!("../../../testdata/locks/conflictmark/uv.lock"),
            include_str!("../../../testdata/locks/pylock.ambiguous.toml"),
            include_str!("../../../testdata/locks/url/requirements.txt"),
        ][which];
        let at = at % text.len();
        let end = (at + length).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            let damaged = format!("{}{put}{}", &text[..at], &text[end..]);
            if let Ok(lock) = Lock::read(&damaged) {
                let _ = select(&lock, &linux("3.12.1"), &Request::default());
                let _ = index(&lock, Hash::parse_hex(HASH).unwrap(), &[("a".to_owned(), linux("3.12.1"))].into());
            }
        }
    }
}
