//! Locks: the same wheels as uv and packaging choose, for every interpreter; errors; files of any content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use venvtree::model::digest::Hash;
use venvtree::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform};
use venvtree::model::lock::{AtHand, IndexError, Lock, LockError, Request, Without, index, select};
use venvtree::model::name::PythonVersion;
use venvtree::model::wheel::filename::WheelFilename;
use venvtree::model::wheel::tags;

use crate::support::peers::{ask_python, peer};

/// What `packaging` selects from locks for interpreters that are only described; of a `uv.lock`, from what uv exports of it.
const ORACLE: &str = r#"
import json, os, re, subprocess, sys, tomllib, warnings
from packaging.pylock import Pylock, PackageSdist, PackageWheel
from packaging.tags import Tag

warnings.simplefilter("ignore")
question = json.load(sys.stdin)

def exported(case):
    if case["kind"] == "pylock":
        return open(case["path"], "rb").read().decode()
    command = [question["uv"], "export", "-q", "--frozen", "--no-default-groups", "--format", "pylock.toml", *case["uv"]]
    for extra in case["extras"]:
        command += ["--extra", extra]
    for group in case["groups"]:
        command += ["--group", group]
    environment = {"PATH": os.environ["PATH"], "HOME": question["home"], "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}
    found = subprocess.run(command, cwd=os.path.dirname(case["path"]), env=environment, capture_output=True, text=True)
    if found.returncode:
        raise ValueError(found.stderr)
    return found.stdout

def answer(lock, case, target):
    tags = [Tag(*tag.split("-")) for tag in target["tags"]]
    sets = {}
    if case["kind"] == "pylock":
        sets = {"extras": case["extras"], "dependency_groups": case["groups"] or None}
    try:
        selected = list(lock.select(environment=target["environment"], tags=tags, **sets))
    except Exception as error:
        # It stops at the first package without any file, and we name all.
        missing = re.search("No wheel found matching the provided tags for package '([^']+)'", str(error))
        return {"first": missing[1]} if missing else {"error": f"{type(error).__name__}: {error}"}
    wheels, without = [], []
    for package, artifact in selected:
        if package.directory is not None:
            continue
        address = getattr(artifact, "url", None) or getattr(artifact, "path", None) or ""
        wheel = isinstance(artifact, PackageWheel) or package.archive is not None and address.endswith(".whl")
        if wheel:
            wheels.append([str(package.name), artifact.hashes["sha256"]])
        else:
            without.append(str(package.name))
    return {"wheels": sorted(wheels), "without": sorted(without)}

answers = []
for case in question["cases"]:
    try:
        lock = Pylock.from_dict(tomllib.loads(exported(case)))
        lock.validate()
    except Exception as error:
        answers.append([{"error": f"{type(error).__name__}: {error}"}] * len(question["targets"]))
        continue
    answers.append([answer(lock, case, target) for target in question["targets"]])
json.dump(answers, sys.stdout)
"#;

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A lock, and what is asked of it.
struct Case {
    path: PathBuf,
    extras: Vec<String>,
    groups: Vec<String>,
    /// More arguments for uv.
    uv: &'static [&'static str],
    /// What they are for us.
    more: Request,
}

impl Case {
    fn new(path: impl Into<PathBuf>, extras: &[&str], groups: &[&str]) -> Self {
        Self {
            path: path.into(),
            extras: owned(extras),
            groups: owned(groups),
            uv: &[],
            more: Request::default(),
        }
    }

    fn with(self, uv: &'static [&'static str], more: Request) -> Self {
        Self { uv, more, ..self }
    }

    fn describe(&self) -> String {
        format!("{} extras {:?} groups {:?}", self.path.display(), self.extras, self.groups)
    }

    fn is_uv(&self) -> bool {
        self.path.ends_with("uv.lock")
    }

    fn request(&self) -> Request {
        Request {
            extras: self.extras.clone(),
            groups: self.groups.clone(),
            no_default_groups: self.is_uv() || !self.groups.is_empty(),
            ..self.more.clone()
        }
    }

    fn lock(&self) -> Lock {
        Lock::read(&std::fs::read_to_string(&self.path).unwrap())
            .unwrap_or_else(|error| panic!("{}", error.describe(&self.describe())))
    }
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/locks").join(path)
}

fn interpreter(version: &str, platform: Platform) -> Interpreter {
    let version = PythonVersion::parse(version).unwrap();
    let abi = format!("cp{}{}", version.major, version.minor).into();
    Interpreter { implementation: Implementation::CPython, version, abi, platform }
}

fn platforms() -> [Platform; 6] {
    [
        Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 28)) },
        Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 17)) },
        Platform::Linux { arch: Arch::Aarch64, libc: Some(Libc::Musl(1, 2)) },
        Platform::MacOs { arch: Arch::Aarch64, version: (14, 0) },
        Platform::MacOs { arch: Arch::X86_64, version: (13, 0) },
        Platform::Windows { arch: Arch::X86_64 },
    ]
}

fn interpreters() -> Vec<Interpreter> {
    let versions = ["3.10.13", "3.11.7", "3.12.1", "3.13.0"];
    platforms()
        .into_iter()
        .flat_map(|platform| versions.map(|version| interpreter(version, platform)))
        .collect()
}

/// An interpreter as the oracle takes it.
fn target(interpreter: &Interpreter) -> Value {
    let os = interpreter.platform.os();
    let version = interpreter.version.as_str();
    let implementation = interpreter.implementation;
    json!({
        "tags": tags::supported(interpreter).iter().map(ToString::to_string).collect::<Vec<_>>(),
        "environment": {
            "implementation_name": implementation.name(),
            "implementation_version": version,
            "os_name": os.os_name(),
            "platform_machine": interpreter.platform.arch().platform_machine(os),
            "platform_python_implementation": implementation.platform_name(),
            "platform_release": "",
            "platform_system": os.platform_system(),
            "platform_version": "",
            "python_full_version": version,
            "python_version": interpreter.version.short(),
            "sys_platform": os.sys_platform(),
        },
    })
}

/// What we say, in the words of the oracle.
fn ours(lock: &Lock, interpreter: &Interpreter, request: &Request) -> Value {
    match select(lock, interpreter, request) {
        Ok(selection) => {
            let pair = |wheel: &venvtree::model::lock::Selected| {
                (wheel.name.normalized().to_owned(), wheel.sha256.expect("a hash").to_hex())
            };
            let wheels: BTreeSet<_> = selection.wheels.iter().map(pair).collect();
            json!({ "wheels": wheels, "without": [] })
        }
        Err(LockError::Unavailable { packages, .. }) => {
            let name = |title: &str| title.split(' ').next().unwrap().to_owned();
            json!({ "without": packages.iter().map(|package| name(&package.package)).collect::<BTreeSet<_>>() })
        }
        Err(error) => json!({ "error": error.describe("lock") }),
    }
}

/// The packages without a wheel.
fn names(answer: &Value) -> Vec<Value> {
    answer["without"].as_array().cloned().unwrap_or_default()
}

/// Compares every case for every interpreter; gives the numbers of equal answers and of those that both refuse.
fn compare(cases: &[Case], interpreters: &[Interpreter]) -> (usize, usize) {
    let home = tempfile::tempdir().unwrap();
    let question = json!({
        "uv": peer("uv"),
        "home": home.path(),
        "targets": interpreters.iter().map(target).collect::<Vec<_>>(),
        "cases": cases.iter().map(|case| json!({
            "kind": if case.is_uv() { "uv" } else { "pylock" },
            "path": case.path,
            "extras": case.extras,
            "groups": case.groups,
            "uv": case.uv,
        })).collect::<Vec<_>>(),
    });
    let answers = ask_python(ORACLE, &question);
    let (mut equal, mut refused, mut different) = (0, 0, Vec::new());
    for (case, answers) in cases.iter().zip(answers.as_array().unwrap()) {
        let (lock, request) = (case.lock(), case.request());
        for (interpreter, theirs) in interpreters.iter().zip(answers.as_array().unwrap()) {
            let ours = ours(&lock, interpreter, &request);
            match (ours.get("error"), theirs.get("error")) {
                (Some(_), Some(_)) => refused += 1,
                // They go on to a source distribution, and so name every wheel as well.
                (None, None)
                    if ours.get("wheels").is_none() && ours["without"] == theirs["without"] =>
                {
                    equal += 1
                }
                (None, None) if ours == *theirs => equal += 1,
                (None, None)
                    if theirs["first"].is_string() && names(&ours).contains(&theirs["first"]) =>
                {
                    equal += 1
                }
                _ => different.push(format!(
                    "{} for {interpreter}:\n  ours   {ours}\n  theirs {theirs}",
                    case.describe()
                )),
            }
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        equal + refused + different.len(),
        different.join("\n")
    );
    (equal, refused)
}

#[test]
fn a_uv_lock_gives_the_wheels_that_uv_and_packaging_choose() {
    let uv = |folder: &str, extras: &[&str], groups: &[&str]| {
        Case::new(data(folder).join("uv.lock"), extras, groups)
    };
    let cases = [
        uv("flask", &[], &[]),
        uv("extras", &[], &[]),
        uv("extras", &["cli"], &[]),
        uv("extras", &["web"], &[]),
        uv("extras", &["all"], &[]),
        uv("extras", &[], &["dev"]),
        uv("extras", &["cli", "web"], &["test", "docs"]),
        uv("ml", &[], &[]),
        uv("conflicts", &[], &[]),
        uv("conflicts", &["old"], &[]),
        uv("conflicts", &["new"], &["g2"]),
        uv("conflicts", &[], &["g1"]),
        uv("conflictmark", &["old"], &[]),
        uv("conflictmark", &["new"], &[]),
        uv("sdist", &[], &[]),
        uv("paths", &[], &[]),
        uv("git", &[], &[]),
        uv("url", &[], &[]),
        uv("envs", &[], &[]),
        uv("extras", &[], &[]).with(
            &["--all-extras", "--no-extra", "web", "--no-extra", "all"],
            Request {
                all_extras: true,
                without: Without { extras: owned(&["web", "all"]), ..Without::default() },
                ..Request::default()
            },
        ),
        uv("extras", &[], &[]).with(
            &["--all-groups", "--no-group", "docs"],
            Request {
                all_groups: true,
                without: Without { groups: owned(&["docs"]), ..Without::default() },
                ..Request::default()
            },
        ),
        uv("extras", &[], &["dev", "docs"]).with(
            &["--no-dev"],
            Request { without: Without { dev: true, ..Without::default() }, ..Request::default() },
        ),
    ];
    let (equal, refused) = compare(&cases, &interpreters());
    assert!(equal > 300 && refused > 10, "{equal} equal, {refused} refused");
}

#[test]
fn a_pylock_gives_the_wheels_that_packaging_chooses() {
    let folders = ["flask", "extras", "ml", "envs", "paths", "sdist", "git", "url"];
    let files = folders.map(|folder| data(folder).join("pylock.toml"));
    let cases: Vec<Case> = files
        .into_iter()
        .chain([data("pylock.pip.toml")])
        .map(|file| Case::new(file, &[], &[]))
        .chain([
            Case::new(data("pylock.pdm.toml"), &[], &[]),
            Case::new(data("pylock.pdm.toml"), &["web"], &[]),
            Case::new(data("pylock.pdm.toml"), &[], &["test"]),
        ])
        .collect();
    let (equal, refused) = compare(&cases, &interpreters());
    assert!(equal > 150 && refused > 5, "{equal} equal, {refused} refused");
}

/// The same wheels from a uv.lock, from what uv exports of it as pylock.toml, and from what it exports as requirements, with the
/// wheels at hand.
#[test]
fn every_export_of_a_lock_gives_the_same_wheels() {
    for folder in ["flask", "ml", "extras"] {
        let read = |name: &str| {
            Lock::read(&std::fs::read_to_string(data(folder).join(name)).unwrap()).unwrap()
        };
        let (uv, pylock, requirements) =
            (read("uv.lock"), read("pylock.toml"), read("requirements.txt"));
        let at_hand = wheels_of(&data(folder).join("uv.lock"));
        let mut chosen = 0;
        for interpreter in interpreters() {
            // uv exports the groups that count by default, too.
            let request = Request { at_hand: at_hand.clone(), ..Request::default() };
            let answers =
                [&uv, &pylock, &requirements].map(|lock| ours(lock, &interpreter, &request));
            assert_eq!(
                answers[0].get("wheels").is_some(),
                answers[1].get("wheels").is_some(),
                "{folder}: {interpreter}"
            );
            assert_eq!(
                answers[0].get("wheels"),
                answers[1].get("wheels"),
                "{folder}: {interpreter}"
            );
            // Requirements do not say for which Pythons they are.
            if answers[0].get("wheels").is_some() {
                assert_eq!(answers[0], answers[2], "{folder}: {interpreter}");
                chosen += 1;
            }
            let files = [&uv, &pylock].map(|lock| {
                let selection = select(lock, &interpreter, &request)
                    .map(|selection| selection.wheels)
                    .unwrap_or_default();
                selection
                    .into_iter()
                    .map(|wheel| wheel.file.as_str().to_owned())
                    .collect::<Vec<_>>()
            });
            assert_eq!(files[0], files[1], "{folder}: {interpreter}");
        }
        assert!(chosen >= 6, "{folder}");
    }
}

/// The names that uv exports of a project for this machine, in the order of names.
fn exported(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let plain = ["--frozen", "--no-hashes", "--no-header", "--no-annotate", "--no-emit-workspace"];
    let output = Command::new(peer("uv"))
        .args(["export", "-q", "--no-config", "--offline"])
        .args([&plain[..], arguments].concat())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut names: Vec<String> =
        text.lines().map(|line| line.split("==").next().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// With what a lock says of default groups, of a project, of a member, and of a root without a project.
#[test]
fn groups_count_by_default_as_in_uv() {
    let asked: [(&[&str], Request); 12] = [
        (&["--all-packages"], Request::default()),
        (
            &["--all-packages", "--group", "docs"],
            Request { groups: owned(&["docs"]), ..Request::default() },
        ),
        (
            &["--all-packages", "--no-default-groups"],
            Request { no_default_groups: true, ..Request::default() },
        ),
        (
            &["--all-packages", "--no-group", "docs"],
            Request {
                without: Without { groups: owned(&["docs"]), ..Without::default() },
                ..Request::default()
            },
        ),
        (
            &["--all-packages", "--all-groups", "--no-group", "test", "--no-default-groups"],
            Request {
                all_groups: true,
                without: Without { groups: owned(&["test"]), ..Without::default() },
                no_default_groups: true,
                ..Request::default()
            },
        ),
        (
            &["--all-packages", "--no-dev"],
            Request { without: Without { dev: true, ..Without::default() }, ..Request::default() },
        ),
        (
            &["--package", "two", "--no-dev", "--group", "docs"],
            Request {
                packages: owned(&["two"]),
                groups: owned(&["docs"]),
                without: Without { dev: true, ..Without::default() },
                ..Request::default()
            },
        ),
        (&["--package", "one"], Request { packages: owned(&["one"]), ..Request::default() }),
        (&["--package", "two"], Request { packages: owned(&["two"]), ..Request::default() }),
        (
            &["--package", "one", "--package", "two"],
            Request { packages: owned(&["one", "two"]), ..Request::default() },
        ),
        (
            &["--package", "one", "--group", "dev"],
            Request { packages: owned(&["one"]), groups: owned(&["dev"]), ..Request::default() },
        ),
        (
            &["--package", "two", "--only-group", "dev"],
            Request {
                packages: owned(&["two"]),
                groups: owned(&["dev"]),
                only_groups: true,
                ..Request::default()
            },
        ),
    ];
    let guard = tempfile::tempdir().unwrap();
    let mut seen = BTreeSet::new();
    for folder in ["groups", "rootless"] {
        let copy = guard.path().join(folder);
        assert!(
            Command::new("cp").arg("-r").arg(data(folder)).arg(&copy).status().unwrap().success()
        );
        for says in ["[\"docs\"]", "[]", "[\"dev\", \"docs\"]", "\"all\""] {
            // uv reads it in the project, we read it in the lock.
            for file in ["pyproject.toml", "uv.lock"] {
                let text = std::fs::read_to_string(data(folder).join(file)).unwrap();
                let (before, after) = text.split_once("default-groups = [\"docs\"]").unwrap();
                std::fs::write(copy.join(file), format!("{before}default-groups = {says}{after}"))
                    .unwrap();
            }
            let lock = Lock::read(&std::fs::read_to_string(copy.join("uv.lock")).unwrap()).unwrap();
            // uv takes the root alone where nothing is said, if it is a project.
            let root = Request { packages: owned(&["root"]), ..Request::default() };
            let root = (folder == "groups").then_some((&[][..], root));
            for (arguments, request) in asked.iter().chain(&root) {
                let theirs = exported(&copy, arguments);
                let wheels = select(&lock, &linux("3.12.1"), request).unwrap().wheels;
                let ours: Vec<String> =
                    wheels.iter().map(|wheel| wheel.name.normalized().to_owned()).collect();
                assert_eq!(ours, theirs, "{folder} {says} {arguments:?}");
                seen.insert(ours);
            }
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
}

/// Every wheel that a uv.lock has, as if it lay in a directory.
fn wheels_of(lock: &Path) -> Vec<AtHand> {
    let text = std::fs::read_to_string(lock).unwrap();
    let wheel = |line: &str| {
        let url = line.split("url = \"").nth(1)?.split('"').next()?;
        let sha256 = line.split("sha256:").nth(1)?.split('"').next()?;
        let file = WheelFilename::parse(&url.rsplit('/').next()?.replace("%2B", "+")).ok()?;
        Some(AtHand {
            file,
            path: url.to_owned(),
            sha256: Hash::parse_hex(sha256).unwrap(),
            others: Vec::new(),
            size: 1,
        })
    };
    text.lines().filter_map(wheel).collect()
}

const HASH: &str = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";

fn linux(version: &str) -> Interpreter {
    interpreter(version, platforms()[0])
}

/// A ring of packages, each of which requires the next one and has its wheel.
fn ring(length: usize) -> String {
    let mut packages = String::from(
        "version = 1\n[[package]]\nname = \"app\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"p0\" }]\n",
    );
    for number in 0..length {
        let next = (number + 1) % length;
        packages.push_str(&format!(
            "[[package]]\nname = \"p{number}\"\nversion = \"1.0\"\nsource = {{ registry = \"https://index.example/simple\" }}\n\
             dependencies = [{{ name = \"p{next}\", extra = [\"x\"], marker = \"python_full_version >= '3.{}'\" }}]\n{}\
             [package.optional-dependencies]\nx = [{{ name = \"p{next}\" }}]\n",
            number % 8,
            format_args!("wheels = [{{ url = \"https://files.example/p{number}-1.0-py3-none-any.whl\", hash = \"sha256:{HASH}\" }}]\n"),
        ));
    }
    packages
}

#[test]
fn time_grows_with_the_lock_and_nothing_recurses() {
    let time = |length: usize| {
        let text = ring(length);
        let began = Instant::now();
        let lock = Lock::read(&text).unwrap();
        let selection = select(&lock, &linux("3.12.1"), &Request::default()).unwrap();
        assert_eq!(selection.wheels.len(), length);
        began.elapsed()
    };
    let small = (0..3).map(|_| time(1_000)).min().unwrap();
    let large = time(10_000);
    assert!(
        large < small * 40 + Duration::from_secs(1),
        "{small:?} for a tenth of what took {large:?}"
    );
}

#[test]
fn closures_that_grow_with_the_square_are_refused() {
    let index = |length: usize| {
        let lock = Lock::read(&ring(length)).unwrap();
        let targets = [("linux".to_owned(), linux("3.12.1"))].into();
        index(&lock, Hash::parse_hex(HASH).unwrap(), &targets).map(|_| ())
    };
    assert_eq!(index(200), Ok(()));
    assert_eq!(index(1500), Err(IndexError::TooLarge));
}

/// A lock of some bytes, of kinds that could take more than linear time.
fn endless(bytes: usize) -> Vec<String> {
    let many = |unit: &str| unit.repeat(bytes / unit.len());
    let pylock = "lock-version = \"1.0\"\n";
    vec![
        format!("version = 1\npackage = {}", many("[")),
        format!("version = 1\npackage = [\n{}]", many("{ name = \"a\" },\n")),
        format!("{pylock}x = \"{}\"\n", many("\\n")),
        format!("{pylock}{}", many("[[packages]]\nname = \"a\"\nmarker = \"os_name == 'nt'\"\n")),
        format!("{pylock}[[packages]]\nname = \"a\"\nmarker = \"{}\"\n", many("(")),
        many("a==1 \\\n"),
        many("a==1 --hash=sha256:1\n"),
        many("-"),
    ]
}

fn read_soon(bytes: usize) {
    for text in endless(bytes) {
        let began = Instant::now();
        if let Ok(lock) = Lock::read(&text) {
            let _ = select(&lock, &linux("3.12.1"), &Request::default());
        }
        let start: String = text.chars().take(60).collect();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{start:?} took {took:?}");
    }
}

#[test]
fn a_megabyte_of_anything_ends_soon() {
    read_soon(1_000_000);
}

#[test]
#[ignore = "takes some seconds"]
fn ten_megabytes_of_anything_end_soon() {
    read_soon(10_000_000);
}

/// Projects of which uv makes the locks here and now: what is asked of each, and more arguments for uv's export.
type Public = (
    &'static str,
    &'static [(&'static [&'static str], &'static [&'static str])],
    &'static [&'static str],
);

const PUBLIC: [Public; 5] = [
    ("web", &[(&[], &[]), (&["async", "docs"], &["dev"]), (&["async"], &["lint"])], &[]),
    ("airflow", &[(&[], &[]), (&[], &["dev"])], &[]),
    ("forks", &[(&[], &[]), (&["plot"], &[])], &[]),
    (
        "conflicting",
        &[
            (&[], &[]),
            (&["cpu"], &["old"]),
            (&["gpu"], &["new"]),
            (&["gpu", "web"], &[]),
            (&["all"], &["dev", "new"]),
        ],
        &[],
    ),
    ("space", &[(&[], &[]), (&[], &["dev", "docs"])], &["--all-packages"]),
];

/// Asks PyPI what is new: several hundred packages, forks by Python and platform, conflicts, a workspace.
#[test]
#[ignore = "asks PyPI"]
fn locks_that_uv_makes_now_give_the_wheels_that_uv_and_packaging_choose() {
    let guard = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for (name, wanted, uv) in PUBLIC {
        let folder = guard.path().join(name);
        let copied = Command::new("cp")
            .arg("-r")
            .arg(data("public").join(name))
            .arg(&folder)
            .status()
            .unwrap();
        assert!(copied.success());
        let locked = Command::new(peer("uv"))
            .args(["lock", "-q", "--no-config"])
            .env("UV_CACHE_DIR", guard.path().join("cache"))
            .current_dir(&folder)
            .status()
            .unwrap();
        assert!(locked.success(), "{name}");
        let case = |&(extras, groups): &(&[&str], &[&str])| Case {
            uv,
            ..Case::new(folder.join("uv.lock"), extras, groups)
        };
        cases.extend(wanted.iter().map(case));
    }
    let packages: usize = cases.iter().map(|case| case.lock().len()).sum();
    let (equal, refused) = compare(&cases, &interpreters());
    assert!(
        equal > 200 && packages > 1000,
        "{equal} equal, {refused} refused, {packages} packages"
    );
}

/// Locks of other projects: a folder with a folder for each, as it was checked out, with its `uv.lock` or `pylock.toml`.
#[test]
#[ignore = "compares the locks below the folder VENVTREE_LOCKS"]
#[expect(clippy::print_stdout, reason = "what was compared is the result")]
fn locks_in_a_folder_give_the_wheels_that_uv_and_packaging_choose() {
    let folder = std::env::var("VENVTREE_LOCKS").expect("VENVTREE_LOCKS names a folder");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let interpreters: Vec<Interpreter> =
        platforms().into_iter().map(|platform| interpreter("3.12.1", platform)).collect();
    let mut count = 0;
    for folder in folders {
        let uv = folder.join("uv.lock").exists();
        let path = folder.join(if uv { "uv.lock" } else { "pylock.toml" });
        let case = |extras: &[&str], groups: &[&str]| Case {
            uv: &["--all-packages"],
            ..Case::new(path.clone(), extras, groups)
        };
        let plain = case(&[], &[]);
        let targets = [("linux".to_owned(), linux("3.12.1"))].into();
        let began = Instant::now();
        let index = index(&plain.lock(), Hash::parse_hex(HASH).unwrap(), &targets);
        let index: Value =
            index.map_or(Value::Null, |index| serde_json::from_str(&index.render()).unwrap());
        let took = began.elapsed();
        let sets = index["sets"].as_object().into_iter().flat_map(serde_json::Map::keys);
        let mut cases = vec![plain];
        for set in sets {
            let name = |kind: &str| set.strip_prefix(kind).map(|name| name.replace('_', "-"));
            cases.extend(name("extra_").map(|extra| case(&[&extra], &[])));
            cases.extend(name("group_").map(|group| case(&[], &[&group])));
        }
        cases.truncate(14);
        let (equal, refused) = compare(&cases, &interpreters);
        let (asked, packages) = (cases.len(), cases[0].lock().len());
        println!(
            "{path:?}: {packages} packages, {asked} requests, {equal} equal, {refused} refused; {took:?}"
        );
        count += 1;
    }
    assert!(count > 0);
}
