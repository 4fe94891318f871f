//! Bytecode that is made, compared with that of real interpreters.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use serde_json::{Value, json};
use venvtree::model::bytecode::release::Release;
use venvtree::model::bytecode::{Validation, header, marshal};

use crate::bytecode_history::{COMPILER, library};
use crate::support::commands::{feed, said, succeed_alone};
use crate::support::programs::{Python, compilers, interpreters, python_of_newer_debian};
use crate::support::project::{Project, WheelText, names, open_to_all, venvtree_with};

/// The interpreters whose bytecode is made, with what distinguishes them, oldest first.
pub(crate) fn releases() -> Vec<(Python, Release)> {
    let release = |python: Python| {
        let release = Release::of(python.version.1).expect("compilers are of releases");
        (python, release)
    };
    compilers().into_iter().map(release).collect()
}

#[test]
fn numbers_and_names_are_those_of_real_interpreters() {
    const PROGRAM: &str = "import importlib.util, sys; \
        print(importlib.util.MAGIC_NUMBER.hex(), sys.implementation.cache_tag)";
    for (python, release) in releases() {
        let said = succeed_alone(Command::new(&python.path).args(["-I", "-c", PROGRAM]));
        let magic: String = release.magic().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(said.trim(), format!("{magic} {}", release.tag()), "{}", python.text());
    }
    assert_eq!(releases().len(), Release::ALL.len(), "an interpreter of each is compared with");
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

/// A wheel of modules.
pub(crate) fn wheel_of(project: &Project, name: &str, modules: &[(String, Vec<u8>)]) -> String {
    let mut wheel = WheelText::new(name, "1.0");
    for (path, source) in modules {
        wheel = wheel.file(&format!("{name}/{path}"), source);
    }
    project.write(&wheel.file_name(), wheel.pack());
    wheel.file_name()
}

pub(crate) fn compile(project: &Project, wheel: &str, python: &Python, options: &[&str]) -> Value {
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
            assert!(overlay["findings"].as_array().unwrap().len() >= 6, "{overlay}");
            assert_eq!(overlay["findings"][0]["code"], "bytecode.uncompilable");
            let overlay = project.path().join(overlay["file"].as_str().unwrap());
            let mut check = Command::new(&python.path);
            check.args(["-I", "-W", "ignore", "-c", PROGRAM]).arg(project.path().join(&wheel));
            let compiled: usize = succeed_alone(check.arg(overlay)).trim().parse().unwrap();
            // What is there for newer versions only may be among them.
            assert!(compiled + 20 > many, "{release:?}: {compiled} of {many}");
        }
    }
}

/// Neither place, user, locale, time zone, umask, threads nor the tool's history are in an overlay.
#[test]
fn the_same_wheel_makes_the_same_overlay_anywhere() {
    use std::os::unix::process::CommandExt as _;
    const USER: u32 = 61_003;
    let modules = library(40);
    let ours = Project::new();
    // Whom the tests run as, and another user, who does not come to every interpreter of this one.
    let root = rustix::process::geteuid().is_root();
    assert!(root, "tests of other users are run by root");
    let newer = python_of_newer_debian(&ours.path().join("python").into_std_path_buf());
    let debian = Python { version: (3, 14), path: newer };
    let program = ours.path().join("venvtree");
    crate::support::copy_venvtree(program.as_std_path());
    open_to_all(ours.path());
    let overlay =
        |python: &Python, user: Option<u32>, umask: &str, threads: &str, set: &[(&str, &str)]| {
            let project = Project::new();
            let wheel = wheel_of(&project, "copy", &modules);
            project.open_to_all();
            let mut command = Command::new("sh");
            command.args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask, program.as_str()]);
            command.args(["bytecode", "compile", &wheel, "--compiler", python.text()]);
            command.args(["--out", "made", "--threads", threads, "--format", "json"]);
            command.current_dir(project.path()).env_clear().envs(set.iter().copied());
            if let Some(user) = user {
                command.uid(user).gid(user);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{python:?}: {}", said(&output));
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let file = project.path().join(report["overlays"][0]["file"].as_str().unwrap());
            let owner = std::os::unix::fs::MetadataExt::uid(&file.metadata().unwrap());
            assert_eq!(owner, user.unwrap_or(0));
            std::fs::read(file).unwrap()
        };
    let here = [("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("HOME", "/root"), ("TZ", "UTC")];
    let there = [
        ("PATH", "/bin"),
        ("LC_ALL", "tr_TR.ISO-8859-9"),
        ("LANG", "ja_JP.eucJP"),
        ("HOME", "/nowhere/é"),
        ("TZ", "Pacific/Chatham"),
        ("PYTHONHASHSEED", "7"),
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONIOENCODING", "latin-1"),
    ];
    for python in compilers() {
        let one = overlay(&python, None, "022", "1", &here);
        assert_eq!(one, overlay(&python, None, "077", "4", &there), "{:?}", python.version);
        if python.version == debian.version {
            assert_eq!(one, overlay(&debian, Some(USER), "000", "2", &there), "another user");
        }
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
        (
            python.text().to_owned(),
            7,
            "[bytecode.crashed] `deep/deep.py` of deep-1.0-py3-none-any.whl could",
        ),
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

/// What was finished before is kept: it is as good as if it had been asked for alone.
#[test]
fn wheels_that_were_compiled_before_one_that_cannot_be_are_kept() {
    let project = Project::new();
    let (python, release) = releases().pop().unwrap();
    let deep = format!("a{}\n", ".b".repeat(100_000));
    let wheels = [("good", "X = 1\n"), ("worse", deep.as_str())].map(|(name, code)| {
        project.wheel(&WheelText::new(name, "1.0").file(&format!("{name}.py"), code))
    });
    let paths = wheels.each_ref().map(|wheel| wheel["path"].as_str().unwrap());
    let compiler = ["--compiler", python.text(), "--threads", "1"];
    let compile = [&["bytecode", "compile"][..], &paths, &compiler, &["--out", "made"]].concat();
    project.run(&compile).ends(7, "[bytecode.crashed]");
    let made = format!("good-1.0-py3-none-any.{}.bytecode.zip", release.tag());
    assert_eq!(names(&project.path().join("made")), [made]);
    compiled_spec(&project, &python, &wheels, |_| ());
    project.build("env").with(&compiler).store("store").run().ends(7, "[bytecode.crashed]");
    assert!(!project.path().join("env").exists());
    assert_eq!(names(&project.path().join("store/bytecode")).len(), 1);
    assert_eq!(project.left_over(), [""; 0]);
}

/// Where there is no room for as many interpreters as there are threads, those that there are do the
/// work.
#[test]
fn few_open_files_mean_fewer_compilers() {
    let project = Project::new();
    let (python, _) = releases().remove(0);
    let modules = (0..60).map(|index| (format!("m{index}.py"), b"X = 1\n".repeat(500)));
    let wheel = wheel_of(&project, "many", &modules.collect::<Vec<_>>());
    let compile = |files: &str, out: &str| {
        let mut run = Command::new("sh");
        run.args(["-c", "ulimit -n $1; shift; exec \"$@\"", "sh", files]);
        run.args([env!("CARGO_BIN_EXE_venvtree"), "bytecode", "compile", &wheel]);
        run.args(["--compiler", python.text(), "--threads", "30", "--overlay", out]);
        run.current_dir(project.path()).output().unwrap()
    };
    for (files, out) in [("1000", "all.zip"), ("24", "few.zip")] {
        let output = compile(files, out);
        assert!(output.status.success(), "{}", said(&output));
    }
    let read = |path: &str| std::fs::read(project.path().join(path)).unwrap();
    assert!(read("few.zip") == read("all.zip"));
    let refused = said(&compile("8", "none.zip"));
    assert!(refused.contains("cannot be started: Too many open files"), "{refused}");
    assert!(refused.contains("use fewer `--threads`"), "{refused}");
}

/// How deep code may nest follows from the compiler, and from no limit of the machine's.
#[test]
fn the_stack_is_the_same_on_every_machine() {
    let project = Project::new();
    let wheel = |name: &str, code: String| {
        wheel_of(&project, name, &[(format!("{name}.py"), code.into_bytes())])
    };
    let nested = wheel("nested", format!("a{}\n", ".b".repeat(500)));
    let deep = [
        wheel("attributes", format!("a{}\n", ".b".repeat(100_000))),
        wheel("sum", format!("a = {}1\n", "1+".repeat(100_000))),
    ];
    for (python, _) in releases() {
        for wheel in deep.iter().chain([&nested]) {
            let said = ["256", "8192", "65536"].map(|limit| {
                let program = env!("CARGO_BIN_EXE_venvtree");
                let mut run = Command::new("sh");
                run.args(["-c", "ulimit -Ss $1; shift; exec \"$@\"", "sh", limit, program]);
                run.args([
                    "bytecode",
                    "compile",
                    wheel,
                    "--compiler",
                    python.text(),
                    "--out",
                    "made",
                ]);
                let output = run.current_dir(project.path()).output().unwrap();
                assert_eq!(output.status.success(), *wheel == nested, "{}", said(&output));
                said(&output)
            });
            assert!(said[1..].iter().all(|other| *other == said[0]), "{said:#?}");
        }
    }
}

/// What a directory and everything below it are, with the contents of files.
fn everything_in(root: &Utf8Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            if path.is_dir() {
                left.push(path);
            } else {
                found.push((path.to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A compiler that ends in the middle of its work leaves nothing behind, neither in the output nor
/// in the store; one that ends only once is asked again.
#[test]
fn a_compiler_that_ends_in_the_middle_leaves_nothing() {
    // What the tool has an interpreter run, with a `compile` that ends at the seventh source.
    const PROGRAM: &str = "\
import builtins, os, sys
original, here, seen = compile, os.path.dirname(__file__), []
def compile_most(source, name, *rest, **more):
    # Compilers may write to no file.
    os.makedirs(here + '/seen/%d-%s' % (len(seen), os.path.basename(name)), exist_ok=True)
    seen.append(name)
    if name == 'many/m6.py':
        END
    return original(source, name, *rest, **more)
program = original(sys.argv[-1], 'program', 'exec')
builtins.compile = compile_most
exec(program, {'__name__': '__main__'})
";
    let crashed =
        Some("[bytecode.crashed] `many/m6.py` of many-1.0-py3-none-any.whl could not be compiled");
    let ends = [
        ("os._exit(3)", crashed),
        ("os.kill(os.getpid(), 9)", crashed),
        // The first bytes of an answer, and no more.
        ("os.write(1, b'\\0\\5\\0\\0\\0N'); os._exit(0)", crashed),
        ("if not os.path.exists(here + '/ended'): os.mkdir(here + '/ended'); os._exit(3)", None),
    ];
    let (python, _) = releases().remove(0);
    for (end, expected) in ends {
        let project = Project::new();
        let compiler = project.path().join("python");
        let program = format!("#!{}\n{}", python.text(), PROGRAM.replace("END", end));
        crate::support::write_executable(compiler.as_std_path(), program.as_bytes());
        let other = project.wheel(&WheelText::new("other", "1.0").file("other.py", "X = 1\n"));
        let mut wheel = WheelText::new("many", "1.0");
        for index in 0..20 {
            // The largest are compiled first.
            wheel = wheel.file(&format!("many/m{index}.py"), "X = 1\n".repeat(30 - index));
        }
        let wheel = project.wheel(&wheel);
        compiled_spec(&project, &python, std::slice::from_ref(&other), |_| ());
        let real = ["--compiler", python.text()];
        project.build("env").with(&real).store("store").run().success();
        compiled_spec(&project, &python, &[other, wheel], |_| ());
        let state = || ["env", "store"].map(|place| everything_in(&project.path().join(place)));
        let before = state();
        let run = || {
            let options = ["--compiler", compiler.as_str(), "--replace"];
            project.build("env").with(&options).store("store").threads(1).run()
        };
        let Some(expected) = expected else {
            run().success();
            project.build("healthy").with(&real).no_store().run().success();
            assert_eq!(digest_of(&project, "env"), digest_of(&project, "healthy"));
            continue;
        };
        run().ends(7, expected);
        let seen = names(&project.path().join("seen"));
        assert!(seen.contains(&"6-m6.py".to_owned()), "it is the seventh: {seen:?}");
        assert_eq!(state(), before, "{end}: the store or the output are others");
        assert_eq!(project.left_over(), [""; 0]);
    }
}

/// A build system says which version it takes the compiler for, and where the one overlay goes.
#[test]
fn one_overlay_goes_where_it_is_said() {
    let project = Project::new();
    let wheel = wheel_of(&project, "copy", &[("a.py".to_owned(), b"X = 1\n".to_vec())]);
    let (python, release) = releases().pop().unwrap();
    let whole = project.run(&["interpreter", "probe", python.text()]).json();
    let version = whole["version"].as_str().unwrap();
    let line = ["bytecode", "compile", &wheel, "--compiler", python.text()];
    let run = |options: &[&str]| project.run(&[&line[..], options].concat());
    run(&["--overlay", "one.zip", "--compiler-version", version]).success();
    run(&["--out", "made"]).success();
    let other = format!("made/copy-1.0-py3-none-any.{}.bytecode.zip", release.tag());
    let read = |path: &str| std::fs::read(project.path().join(path)).unwrap();
    assert_eq!(read("one.zip"), read(&other));
    let wrong = format!("3.{}.99", release.minor());
    run(&["--overlay", "no.zip", "--compiler-version", &wrong]).ends(3, "[bytecode.version]");
    run(&["--overlay", "no.zip", "--compiler-version", "3.12"]).ends(2, "with a patch level");
    run(&["--overlay", "no.zip", "--levels", "0,1"]).ends(2, "each wheel has one for each level");
    run(&["--overlay", "no.zip", "--out", "made"]).ends(2, "cannot be used with");
    run(&[]).ends(2, "--out");
    assert!(!project.path().join("no.zip").exists());
}

/// A spec for an interpreter of this machine, with some wheels, and `change` applied.
pub(crate) fn compiled_spec(
    project: &Project,
    python: &Python,
    wheels: &[Value],
    change: impl FnOnce(&mut Value),
) {
    let probed = project.run(&["interpreter", "probe", python.text()]).success();
    let interpreter: Value = serde_json::from_str(&probed).unwrap();
    project.spec(interpreter, wheels, |spec| {
        spec["bytecode"] = json!({});
        change(spec);
    });
}

/// A wheel with modules of every kind.
pub(crate) fn sample(project: &Project) -> Value {
    let wheel = WheelText::new("sample", "1.0")
        .file("sample/__init__.py", "X = 1\n")
        .file("sample/fails.py", "def fail():\n    raise KeyError('here')\n")
        .file("sample/old.py", "print 'Python 2'\n")
        .file("sample/tests/test_it.py", "")
        .file("sample/data.txt", "")
        .file("sample-1.0.data/purelib/other.py", "assert False, 'left out by -O'\nX = 1\n")
        .file("sample-1.0.data/scripts/tool.py", "#!python\n");
    project.wheel(&wheel)
}

/// The files of bytecode below a directory.
pub(crate) fn bytecode_in(root: &Utf8Path) -> Vec<String> {
    let listed = crate::support::project::listing(root.as_std_path());
    let is_bytecode = |line: &&String| line.contains("__pycache__/") && line.contains(".pyc");
    listed
        .iter()
        .filter(is_bytecode)
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

fn digest_of(project: &Project, what: &str) -> String {
    project.run(&["digest", what, "--no-store"]).success()
}

#[test]
fn an_environment_has_the_bytecode_that_its_spec_asks_for() {
    for (python, release) in releases() {
        let project = Project::new();
        let wheel = sample(&project);
        compiled_spec(&project, &python, std::slice::from_ref(&wheel), |spec| {
            spec["bytecode"]["levels"] = json!([0, 1]);
        });
        let build = |options: &[&str]| project.build("env").with(options).run();
        let refused = project.build("env").no_store().run();
        refused.ends(7, "[bytecode.unavailable] there is no unchecked bytecode by cpython 3.");
        assert!(!project.path().join("env").exists());
        build(&["--compiler", python.text(), "--store", "store"]).success();
        let site = format!("lib/python3.{}/site-packages", release.minor());
        let name = |module: &str, level: &str| {
            let (folder, stem) = module
                .rsplit_once('/')
                .map_or((String::new(), module), |(folder, stem)| (format!("{folder}/"), stem));
            format!("{site}/{folder}__pycache__/{stem}.{}{level}.pyc", release.tag())
        };
        let mut expected: Vec<String> = ["sample/__init__", "sample/fails", "other"]
            .iter()
            .flat_map(|module| ["", ".opt-1"].map(|level| name(module, level)))
            .collect();
        expected.sort();
        let env = project.path().join("env");
        let mut found = bytecode_in(&env);
        found.sort();
        assert_eq!(found, expected);
        // Who has the store needs no compiler, and knows the digest before.
        let digest = digest_of(&project, "env");
        assert_eq!(project.run(&["digest", "env.json", "--store", "store"]).success(), digest);
        project.build("again").store("store").run().success();
        assert_eq!(digest_of(&project, "again"), digest);
        project.run(&["verify", "env", "--spec", "env.json", "--store", "store"]);
        check_use(&project, &site);
        // Without its bytecode, it is the environment that has none.
        for folder in [".", "sample"] {
            std::fs::remove_dir_all(env.join(&site).join(folder).join("__pycache__")).unwrap();
        }
        let spec = std::fs::read_to_string(project.path().join("env.json")).unwrap();
        let mut spec: Value = serde_json::from_str(&spec).unwrap();
        spec.as_object_mut().unwrap().remove("bytecode");
        project.write("plain.json", spec.to_string());
        assert_eq!(digest_of(&project, "plain.json"), digest_of(&project, "env"));
    }
}

/// What is imported is the bytecode, and everything that is shown is where the environment is.
fn check_use(project: &Project, site: &str) {
    const PROGRAM: &str = "\
import os, sys, traceback, sample, sample.fails, other
assert os.path.isfile(sample.__cached__), sample.__cached__
assert sample.__file__.startswith(os.path.abspath(sys.prefix)), sample.__file__
try:
    sample.fails.fail()
except KeyError:
    text = traceback.format_exc()
assert sample.fails.__file__ in text and \"raise KeyError('here')\" in text, text
try:
    import sample.old
except SyntaxError:
    print(other.X)
";
    let moved = project.path().join("moved é");
    std::fs::rename(project.path().join("again"), &moved).unwrap();
    let python = moved.join("bin/python");
    // The assertion of `other` is in no bytecode of level 1.
    let run =
        |program: &str| succeed_alone(Command::new(&python).args(["-B", "-O", "-c", program]));
    assert_eq!(run(PROGRAM), "1\n");
    // Nobody looks whether the source is still that.
    let source = moved.join(site).join("other.py");
    let _ = std::fs::remove_file(&source);
    std::fs::write(&source, "X = 2\n").unwrap();
    assert_eq!(run("import other; print(other.X)"), "1\n");
    let always =
        ["-B", "-O", "--check-hash-based-pycs", "always", "-c", "import other; print(other.X)"];
    assert_eq!(succeed_alone(Command::new(&python).args(always)), "2\n");
}

/// Bytecode comes from overlays as well, without any compiler; of another one it does not.
#[test]
fn overlays_are_inputs_like_wheels() {
    let (python, release) = releases().pop().unwrap();
    let project = Project::new();
    let wheel = sample(&project);
    let path = wheel["path"].as_str().unwrap().to_owned();
    compile(&project, &path, &python, &[]);
    let overlay = format!("made/sample-1.0-py3-none-any.{}.bytecode.zip", release.tag());
    let with = |given: &str, change: &dyn Fn(&mut Value)| {
        let mut wheel = wheel.clone();
        wheel["bytecode"] = given.into();
        compiled_spec(&project, &python, &[wheel], |spec| change(spec));
    };
    compiled_spec(&project, &python, std::slice::from_ref(&wheel), |_| ());
    let key = |project: &Project| project.run(&["key", "env.json"]).success();
    let plain = key(&project);
    project.build("compiled").with(&["--compiler", python.text()]).no_store().run().success();
    with(&overlay, &|_| ());
    assert_ne!(key(&project), plain, "another overlay could be another environment");
    let manifest = ["--manifest", "m.json"];
    project.build("env").with(&manifest).no_store().run().success();
    assert_eq!(digest_of(&project, "env"), digest_of(&project, "compiled"));
    assert_eq!(digest_of(&project, "env.json"), digest_of(&project, "env"));
    project.run(&["verify", "env", "--manifest", "m.json"]).success();
    let bytecode = project.path().join("env").join(&bytecode_in(&project.path().join("env"))[0]);
    let mut bytes = std::fs::read(&bytecode).unwrap();
    bytes.push(0);
    std::fs::remove_file(&bytecode).unwrap();
    std::fs::write(&bytecode, bytes).unwrap();
    project.run(&["verify", "env", "--manifest", "m.json"]).ends(6, "1 difference in env");
    // Made in another way, or of other sources.
    let refused = |code: u8, expected: &str| {
        project.build("no").no_store().run().ends(code, expected);
        assert!(!project.path().join("no").exists());
    };
    with(&overlay, &|_| ());
    let check = ["bytecode", "check", "env.json", "--compiler", python.text(), "--tree"];
    project.run(&[&check[..], &["compiled"]].concat()).success();
    project.run(&[&check[..], &["env"]].concat()).ends(6, "[bytecode.unreproducible]");
    // The spec is not needed: an environment says itself what is in it.
    let alone = |tree: &str| project.run(&["bytecode", "check", tree, "--compiler", python.text()]);
    alone("compiled").ends(0, "3 modules; 3 files compared with what is there");
    alone("env").ends(6, "[bytecode.unreproducible]");
    let both = ["bytecode", "check", "env", "--compiler", python.text(), "--tree", "env"];
    project.run(&both).ends(2, "name one of them");
    with(&overlay, &|spec| spec["bytecode"]["validation"] = "checked".into());
    refused(4, "[bytecode.overlay]");
    with(&overlay, &|spec| spec["bytecode"]["exclude"] = json!([]));
    refused(4, "has no bytecode of `sample/tests/test_it.py`");
    with("absent.zip", &|_| ());
    refused(7, "absent.zip");
    with(&path, &|_| ());
    refused(4, "it has no `bytecode.json`");
    let minor = release.minor();
    compiled_spec(&project, &python, std::slice::from_ref(&wheel), |spec| {
        spec["bytecode"]["compiler"] = format!("3.{minor}.99").into();
    });
    let other = ["--compiler", python.text()];
    project.build("no").with(&other).no_store().run().ends(3, "[bytecode.version]");
}

/// First-party modules, and those of an interpreter that is copied in, are compiled as well.
#[test]
fn sources_and_the_interpreter_inside_have_bytecode() {
    let (python, release) = releases().pop().unwrap();
    let project = Project::new();
    let (minor, tag) = (release.minor(), release.tag());
    project.write("app/main.py", "X = 1\n");
    project.write_program(&format!("python/bin/python3.{minor}"), "");
    for module in ["os.py", "json/__init__.py", "test/x.py", "site-packages/y.py"] {
        project.write(&format!("python/lib/python3.{minor}/{module}"), "X = 1\n");
    }
    compiled_spec(&project, &python, &[], |spec| {
        spec["sources"] = json!([{"path": "app"}]);
        spec["interpreter"]["python"] = json!({"kind": "inside", "directory": "python"});
    });
    let options = ["--compiler", python.text(), "--store", "store"];
    project.build("env").with(&options).run().success();
    let mut found = bytecode_in(&project.path().join("env"));
    found.sort();
    let library = format!(".python/lib/python3.{minor}");
    assert_eq!(
        found,
        [
            format!("{library}/__pycache__/os.{tag}.pyc"),
            format!("{library}/json/__pycache__/__init__.{tag}.pyc"),
            format!("{library}/site-packages/__pycache__/y.{tag}.pyc"),
            format!("lib/python3.{minor}/site-packages/app/__pycache__/main.{tag}.pyc"),
        ]
    );
    // Some systems have their library in another folder.
    let of_system = ["os.py", "json/__init__.py"].map(|module| {
        project.write(&format!("python64/lib64/python3.{minor}/{module}"), "X = 1\n");
        let (folder, name) = module.rsplit_once('/').unwrap_or(("", module));
        let name = name.strip_suffix(".py").unwrap();
        format!(".python/lib64/python3.{minor}/{folder}/__pycache__/{name}.{tag}.pyc")
            .replace("//", "/")
    });
    project.write(&format!("python64/lib/python3.{minor}/site-packages/os.py"), "X = 1\n");
    project.write_program(&format!("python64/bin/python3.{minor}"), "");
    compiled_spec(&project, &python, &[], |spec| {
        spec["interpreter"]["python"] = json!({"kind": "inside", "directory": "python64"});
    });
    project.build("env64").with(&options).run().success();
    let mut found = bytecode_in(&project.path().join("env64"));
    found.sort();
    assert_eq!(found, of_system);
    let checked = project.run(&["bytecode", "check", "env64", "--compiler", python.text()]);
    checked.ends(0, "2 modules");
    compiled_spec(&project, &python, &[], |spec| {
        spec["sources"] = json!([{"path": "app"}]);
        spec["interpreter"]["python"] = json!({"kind": "inside", "directory": "python"});
    });
    // An overlay of sources is found by their position in the spec.
    let compiler = ["--compiler", python.text()];
    let compile = ["bytecode", "compile", "--sources-of", "env.json", "--out", "made"];
    project.run(&[&compile[..], &compiler].concat()).says("1 module");
    compiled_spec(&project, &python, &[], |spec| {
        let overlay = format!("made/source-0.{tag}.bytecode.zip");
        spec["sources"] = json!([{"path": "app", "bytecode": overlay}]);
    });
    project.build("first-party").no_store().run().success();
    let main = format!("lib/python3.{minor}/site-packages/app/__pycache__/main.{tag}.pyc");
    assert_eq!(bytecode_in(&project.path().join("first-party")), [main]);
    project.write("app/main.py", "X = 2\n");
    project.build("no").no_store().run().ends(4, "has bytecode of another `app/main.py`");
    project.write("app/main.py", "X = 1\n");
    compiled_spec(&project, &python, &[], |spec| {
        spec["interpreter"]["python"] = json!({"kind": "inside", "directory": "python"});
    });
    project.run(&[&compile[..], &compiler].concat()).ends(2, "the spec has no `sources`");
    // What an overlay has of the interpreter is in the layer with it.
    let compile = ["bytecode", "compile", "--interpreter-of", "env.json", "--overlay", "i.zip"];
    project.run(&[&compile[..], &compiler].concat()).says("3 modules");
    compiled_spec(&project, &python, &[], |spec| {
        spec["interpreter"]["python"] = json!({"kind": "inside", "directory": "python"});
        spec["bytecode"]["interpreter"] = "i.zip".into();
    });
    project.run(&["pack", "env.json", "--layers", "layers"]).success();
    // It may be a key, to a check as well.
    compiled_spec(&project, &python, &[], |spec| {
        spec["interpreter"]["python"] = json!({"kind": "inside", "directory": "python"});
        spec["bytecode"]["interpreter"] = "key".into();
    });
    let check = ["bytecode", "check", "env.json", "--input", "key=i.zip"];
    project.run(&[&check[..], &compiler].concat()).ends(0, "3 files compared");
    let again = ["--input", "key=i.zip", "--overlay", "j.zip", "--interpreter-of", "env.json"];
    project.run(&[&["bytecode", "compile"][..], &again, &compiler].concat()).says("3 modules");
    let compiled = |layer: &str| {
        let mut tar = Command::new("tar");
        let list =
            succeed_alone(tar.args(["-tzf", layer]).current_dir(project.path().join("layers")));
        list.lines().filter(|line| line.ends_with(".pyc")).count()
    };
    let counts = ["000-interpreter.tar.gz", "001-environment.tar.gz"].map(compiled);
    assert_eq!(counts, [3, 0]);
    compiled_spec(&project, &python, &[], |_| ());
    let refused = project.run(&[&compile[..5], &["no.zip"], &compiler].concat());
    refused.ends(2, "so nobody copies it");
}

#[test]
fn create_compiles_with_its_own_interpreter() {
    let (python, release) = releases().pop().unwrap();
    let project = Project::new();
    let wheel = sample(&project);
    let line =
        ["create", "env", "--no-seed", "--no-store", "--python", python.text(), "--bytecode"];
    let wheel = ["--wheel", wheel["path"].as_str().unwrap(), "--spec-out", "made.json"];
    project.run(&[&line[..], &wheel].concat()).success();
    assert_eq!(bytecode_in(&project.path().join("env")).len(), 3);
    let spec = std::fs::read_to_string(project.path().join("made.json")).unwrap();
    let spec: Value = serde_json::from_str(&spec).unwrap();
    assert_eq!(spec["bytecode"]["validation"], "checked", "people edit what they work in");
    // What is edited runs.
    let site = project.path().join(format!("env/lib/python3.{}/site-packages", release.minor()));
    std::fs::write(site.join("sample/__init__.py"), "X = 2\n").unwrap();
    let mut run = Command::new(project.path().join("env/bin/python"));
    assert_eq!(succeed_alone(run.args(["-c", "import sample; print(sample.X)"])), "2\n");
    let again = ["build", "made.json", "--out", "x", "--no-store", "--bytecode=1"];
    project.run(&again).ends(2, "the spec says itself which bytecode it wants");
}

/// Whoever wants no module without bytecode says so, as of other findings.
#[test]
fn modules_that_cannot_be_compiled_are_a_finding() {
    let (python, _) = releases().pop().unwrap();
    let project = Project::new();
    let wheel = sample(&project);
    let report = compile(&project, wheel["path"].as_str().unwrap(), &python, &[]);
    let finding = &report["overlays"][0]["findings"][0];
    assert_eq!(
        (&finding["severity"], &finding["member"]),
        (&"information".into(), &"sample/old.py".into())
    );
    let build = |flags: Value| {
        compiled_spec(&project, &python, std::slice::from_ref(&wheel), |spec| {
            for (name, value) in flags.as_object().unwrap() {
                spec["flags"][name] = value.clone();
            }
        });
        project.build("env").with(&["--compiler", python.text()]).no_store().run()
    };
    let refused = build(json!({"deny": ["bytecode.uncompilable"]}));
    refused.says(
        "[bytecode.uncompilable] sample-1.0-py3-none-any.whl: \"sample/old.py\": SyntaxError",
    );
    refused.ends(4, "1 wheel cannot be used");
    assert!(!project.path().join("env").exists());
    let built = build(json!({"allow": ["bytecode.uncompilable"]}));
    built.says("`sample/old.py` cannot be compiled, and has no bytecode");
    built.success();
}

/// What is damaged in the store is made again where somebody compiles, and named elsewhere.
#[test]
fn a_damaged_overlay_of_the_store_is_made_again() {
    let (python, release) = releases().pop().unwrap();
    let project = Project::new();
    let wheel = sample(&project);
    compiled_spec(&project, &python, &[wheel], |_| ());
    let compiler = ["--compiler", python.text()];
    let first = project.build("env").with(&compiler).store("store").run();
    first.says("`sample/old.py` cannot be compiled, and has no bytecode");
    first.success();
    let shard = |store: &str| {
        let shards = project.path().join(store).join("bytecode").read_dir_utf8().unwrap();
        let entries = shards.map(|shard| shard.unwrap().path().read_dir_utf8().unwrap());
        entries.flatten().map(|entry| entry.unwrap().into_path()).next()
    };
    // Nothing but the overlay is kept: what the store has of the files would do as well.
    let damaged = |store: &str| {
        let overlay = shard("store").unwrap();
        let place = overlay.strip_prefix(project.path().join("store")).unwrap();
        let mut bytes = std::fs::read(&overlay).unwrap();
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
        let name = format!("sample/__pycache__/fails.{}.pyc", release.tag());
        let member = archive.by_name(&name).unwrap();
        let at = member.data_start().unwrap() + member.compressed_size() / 2;
        drop(member);
        bytes[at as usize] ^= 1;
        project.write(&format!("{store}/{place}"), bytes);
    };
    damaged("other");
    let again = project.build("again").with(&compiler).store("other").run();
    again.says("is damaged: its bytecode is not what it says; it was removed");
    again.success();
    assert_eq!(digest_of(&project, "again"), digest_of(&project, "env"));
    let kept = [shard("store"), shard("other")].map(|path| std::fs::read(path.unwrap()).unwrap());
    assert_eq!(kept[0], kept[1]);
    damaged("third");
    project
        .build("no")
        .store("third")
        .run()
        .ends(7, "there is no unchecked bytecode by cpython 3.");
    assert!(!project.path().join("no").exists());
}

/// What debuggers, tracers and documentation show is the source, where it lies.
#[test]
fn what_people_look_at_is_the_source() {
    const PROGRAM: &str = "\
import doctest, inspect, io, linecache, os, pdb, subprocess, sys, trace
import sample.fails as fails, sample.documented as documented
assert os.path.isfile(fails.__cached__) and os.path.isfile(documented.__cached__)
assert fails.__file__.startswith(os.path.abspath(sys.prefix)), fails.__file__
assert inspect.getsource(fails.fail) == \"def fail():\\n    raise KeyError('here')\\n\"
assert inspect.getsourcefile(fails.fail) == fails.__file__
assert linecache.getline(fails.fail.__code__.co_filename, 2) == \"    raise KeyError('here')\\n\"
assert doctest.testmod(documented) == (0, 1)
out = io.StringIO()
debugger = pdb.Pdb(stdin=io.StringIO('c\\nw\\np value\\nc\\n'), stdout=out, nosigint=True, readrc=False)
assert debugger.set_break(documented.__file__, 6) is None
assert debugger.runcall(documented.twice, 4) == 8
assert documented.__file__ + '(6)twice()' in out.getvalue(), out.getvalue()
tracer = trace.Trace(count=1, trace=0)
tracer.runfunc(documented.twice, 3)
assert (documented.__file__, 6) in tracer.results().counts
child = subprocess.run([sys.executable, '-B', '-m', 'sample.documented'], capture_output=True, text=True)
assert child.stdout == '6\\n', child
child = subprocess.run([sys.executable, '-B', '-W', 'error', '-c', 'import sample.warns'], capture_output=True)
assert child.returncode == 0, 'warnings come from compiling'
";
    let documented = "def twice(value):\n    \"\"\"\n    >>> twice(2)\n    4\n    \"\"\"\n    return 2 * value\nif __name__ == '__main__':\n    print(twice(3))\n";
    for (python, release) in releases() {
        let project = Project::new();
        let wheel = WheelText::new("sample", "1.0")
            .file("sample/__init__.py", "")
            .file("sample/fails.py", "def fail():\n    raise KeyError('here')\n")
            .file("sample/documented.py", documented)
            .file("sample/warns.py", "X = '\\d'\n")
            .file("sample/left.py", "X = 1\n");
        compiled_spec(&project, &python, &[project.wheel(&wheel)], |_| ());
        project.build("env").with(&["--compiler", python.text()]).no_store().run().success();
        let moved = project.path().join("moved é");
        std::fs::rename(project.path().join("env"), &moved).unwrap();
        let run = |line: &[&str]| {
            let mut command = Command::new(moved.join("bin/python"));
            command.arg("-B").args(line).output().unwrap()
        };
        let output = run(&["-c", PROGRAM]);
        assert!(output.status.success(), "{:?}: {}", python.version, said(&output));
        // What is damaged is no reason to run something else: another version's number is passed
        // over, and a file that was cut ends the import.
        let cache =
            moved.join(format!("lib/python3.{}/site-packages/sample/__pycache__", release.minor()));
        let file = cache.join(format!("left.{}.pyc", release.tag()));
        let bytes = std::fs::read(&file).unwrap();
        for (damaged, imports) in
            [(b"\0\0\0\0".to_vec(), true), (Vec::new(), true), (bytes[..16].to_vec(), false)]
        {
            std::fs::remove_file(&file).unwrap();
            std::fs::write(&file, damaged).unwrap();
            let output = run(&["-c", "import sample.left; assert sample.left.X == 1"]);
            assert_eq!(output.status.success(), imports, "{}", said(&output));
        }
    }
}

/// What is packed has bytecode like any file; from a zip archive on `sys.path`, sources are run.
#[test]
fn what_is_packed_has_bytecode() {
    let (python, release) = releases().pop().unwrap();
    let project = Project::new();
    let mut wheel = sample(&project);
    compile(&project, wheel["path"].as_str().unwrap(), &python, &[]);
    let overlay = format!("made/sample-1.0-py3-none-any.{}.bytecode.zip", release.tag());
    wheel["bytecode"] = overlay.into();
    compiled_spec(&project, &python, &[wheel], |_| ());
    let pack = |out: &str, options: &[&str]| {
        let line = ["pack", "env.json", "--out", out];
        project.run(&[&line, options].concat()).success();
    };
    project.build("env").no_store().run().success();
    let site = format!("lib/python3.{}/site-packages", release.minor());
    let expected = bytecode_in(&project.path().join("env"));
    assert_eq!(expected.len(), 3, "{expected:?}");
    let listed = |archive: &str| -> Vec<String> {
        let mut tar = Command::new("bsdtar");
        let listing = succeed_alone(tar.arg("-tf").arg(project.path().join(archive)));
        let mut found: Vec<String> =
            listing.lines().filter(|line| line.ends_with(".pyc")).map(str::to_owned).collect();
        found.sort();
        found
    };
    for archive in ["env.tar", "env.tar.zst", "env.zip"] {
        pack(archive, &[]);
        assert_eq!(listed(archive), expected, "{archive}");
    }
    // Bytecode is in the layer of its wheel.
    pack("packages.tar", &["--only", "packages"]);
    assert_eq!(listed("packages.tar"), expected);
    pack("environment.tar", &["--only", "environment"]);
    assert_eq!(listed("environment.tar"), [""; 0]);
    let place = project.path().join("env.zip").join(&site);
    let program = "import sys; sys.path.insert(0, sys.argv[1])
import sample, other
assert '.zip' in sample.__file__ and other.X == 1, sample.__file__";
    succeed_alone(Command::new(&python.path).args(["-I", "-O", "-c", program, place.as_str()]));
}

/// What a build compiled serves commands that compile nothing.
#[test]
fn what_the_store_has_is_bytecode_for_every_command() {
    let project = Project::new();
    let store = [("VENVTREE_STORE", "store")];
    let (python, _) = releases().pop().unwrap();
    compiled_spec(&project, &python, &[sample(&project)], |_| ());
    let run = |command: &[&str]| venvtree_with(project.path(), command, "", &store);
    let unknown = run(&["plan", "env.json"]);
    unknown.ends(7, "let `build` make it once, with `--compiler PYTHON`");
    run(&["build", "env.json", "--out", "env", "--compiler", python.text()]).success();
    for command in [
        &["plan", "env.json"][..],
        &["verify", "env", "--spec", "env.json"],
        &["diff", "env", "env.json"],
        &["pack", "env.json", "--out", "env.tar"],
        &["pack", "env.json", "--layers", "layers"],
    ] {
        run(command).success();
    }
    let mut tar = Command::new("bsdtar");
    let listing = succeed_alone(tar.arg("-tf").arg(project.path().join("env.tar")));
    assert_eq!(listing.lines().filter(|line| line.ends_with(".pyc")).count(), 3);
}

/// A source that takes longer than anybody waits: each block is compiled twice.
fn for_ever() -> String {
    let block = |depth: usize| {
        let (before, within) = (" ".repeat(depth), " ".repeat(depth + 1));
        format!("{before}try:\n{within}pass\n{before}finally:\n")
    };
    let function = (1..17).map(block).collect::<String>() + &" ".repeat(17) + "pass\n";
    format!("def f():\n{function}").repeat(1000)
}

/// However much was compiled before, each source has its own time.
#[test]
fn what_takes_for_ever_ends_its_compiler() {
    use std::os::unix::process::ExitStatusExt as _;
    let frame = |source: &str| {
        let lengths = [1u32.to_le_bytes(), (source.len() as u32).to_le_bytes()].concat();
        [&[0], &*lengths, b"x", source.as_bytes()].concat()
    };
    for python in compilers().iter().rev().step_by(3) {
        let mut command = Command::new(&python.path);
        let program = format!("DIRTY = False\nSECONDS = 1\n{COMPILER}");
        command.args(["-I", "-S", "-B", "-X", "utf8", "-c", &program]).stdout(Stdio::piped());
        let input = [frame("X = 1\n"), frame(&for_ever())].concat();
        let output = feed(&mut command, &input);
        let xcpu = rustix::process::Signal::XCPU.as_raw();
        assert_eq!(output.status.signal(), Some(xcpu), "{:?} {}", python.version, output.status);
        assert!(!output.status.core_dumped());
    }
}

#[test]
#[ignore = "takes two minutes of a processor: all the time that a source gets, twice"]
fn what_takes_for_ever_is_an_error_that_names_it() {
    let project = Project::new();
    let modules = [("slow.py".to_owned(), for_ever().into_bytes())];
    let wheel = wheel_of(&project, "slow", &modules);
    let python = releases().pop().unwrap().0;
    let line = ["bytecode", "compile", &wheel, "--compiler", python.text(), "--out", "made"];
    let output = project.run(&line);
    output.ends(7, "[bytecode.timeout] `slow/slow.py` was not compiled within 60 s of processor");
    assert!(!project.path().join("made").exists());
}

/// Every build of those interpreters, with its version: on `PATH`, of pyenv, and what
/// `VENVTREE_BUILDS` names besides, separated by colons.
fn builds() -> Vec<(String, Python)> {
    let named = std::env::var_os("VENVTREE_BUILDS").unwrap_or_default();
    let more = std::env::split_paths(&named).chain(["/usr/bin/python3.11".into()]);
    let mut found = compilers();
    found.extend(more.filter(|path| path.exists()).map(|path| Python { version: (3, 0), path }));
    let pyenv = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".pyenv/versions");
    let versions = pyenv.read_dir().into_iter().flatten().flatten();
    let program = |minor: u32| {
        move |version: &std::fs::DirEntry| version.path().join(format!("bin/python3.{minor}"))
    };
    for version in versions {
        let paths = (11..15).map(|minor| program(minor)(&version));
        found.extend(
            paths.filter(|path| path.exists()).map(|path| Python { version: (3, 0), path }),
        );
    }
    found.sort_by(|one, two| one.path.cmp(&two.path));
    found.dedup_by(|one, two| one.path == two.path);
    let version = |python: Python| {
        let program = "import platform; print(platform.python_version())";
        let said = succeed_alone(Command::new(&python.path).args(["-I", "-S", "-c", program]));
        (said.trim().to_owned(), python)
    };
    found.into_iter().map(version).collect()
}

/// Another build of one version makes the same bytecode, and so the same overlay; that of another
/// version is another one, although both may have one magic number.
#[test]
fn builds_of_one_version_make_one_overlay() {
    let modules = library(40);
    let made = builds().into_iter().map(|(version, python)| {
        let project = Project::new();
        let wheel = wheel_of(&project, "copy", &modules);
        let report = compile(&project, &wheel, &python, &["--levels", "0,2"]);
        assert_eq!(report["compiler"], format!("cpython {version}"));
        let overlays = report["overlays"].as_array().unwrap();
        let sha256 = overlays.iter().map(|overlay| overlay["sha256"].clone()).collect::<Vec<_>>();
        // What is compared of two builds says nothing of their version but by the bytecode itself.
        let files = |overlay: &Value| {
            let path = project.path().join(overlay["file"].as_str().unwrap());
            let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
            let document = archive.by_name("bytecode.json").unwrap();
            let document: Value = serde_json::from_reader(document).unwrap();
            document["files"].clone()
        };
        let files = overlays.iter().map(files).collect::<Vec<_>>();
        assert!(files.iter().all(|files| files.as_array().unwrap().len() > modules.len() / 2));
        (version, python, sha256, files)
    });
    let made: Vec<_> = made.collect();
    for (at, (version, python, overlays, files)) in made.iter().enumerate() {
        for (other_version, other, other_overlays, other_files) in &made[..at] {
            let pair = format!("{version}: {python:?}, {other_version}: {other:?}");
            assert_eq!(version == other_version, overlays == other_overlays, "{pair}");
            let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
            if version == other_version {
                assert_eq!(files, other_files, "{pair}");
            } else if minor(version) != minor(other_version) {
                assert_ne!(files, other_files, "{pair}");
            }
        }
    }
    assert!(made.len() > 3, "{made:?}");
}

/// A build of another compiler, for a processor of 32 bits, makes the same bytecode.
#[test]
fn a_build_for_webassembly_makes_the_same_bytecode() {
    const PROGRAM: &str = "\
const { loadPyodide } = require(process.argv[2]);
const fs = require('fs');
loadPyodide().then((python) => {
  python.globals.set('text', fs.readFileSync(process.argv[3], 'utf8'));
  const answer = python.runPython(`
import json, marshal, sys
def compiled(name, source, level):
    try:
        return marshal.dumps(compile(bytes.fromhex(source), name, 'exec', dont_inherit=True, optimize=level)).hex()
    except (SyntaxError, ValueError):
        return None
answers = [[compiled(name, source, level) for level in (0, 2)] for name, source in json.loads(text)]
json.dumps([sys.version.split()[0], sys.maxsize, answers])`);
  fs.writeFileSync(process.argv[4], answer);
});
";
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/npm/node_modules/pyodide");
    assert!(package.exists(), "{} is missing: run .ci/install", package.display());
    let project = Project::new();
    let modules = library(4);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sources = modules.iter().map(|(name, source)| json!([format!("copy/{name}"), hex(source)]));
    let sources = project.write("sources.json", Value::Array(sources.collect()).to_string());
    let program = project.write("compile.cjs", PROGRAM);
    let answers = project.path().join("answers.json");
    succeed_alone(Command::new("node").arg(program).arg(&package).args([&sources, &answers]));
    let found: Value = serde_json::from_str(&std::fs::read_to_string(answers).unwrap()).unwrap();
    assert_eq!(found[1], i32::MAX);
    let version = found[0].as_str().unwrap();
    let ours = builds().into_iter().find(|(own, _)| own == version);
    let (_, python) = ours.unwrap_or_else(|| panic!("CPython {version} is compared with"));
    let wheel = wheel_of(&project, "copy", &modules);
    let report = compile(&project, &wheel, &python, &["--levels", "0,2", "--all"]);
    let mut compared = 0;
    for (turn, overlay) in report["overlays"].as_array().unwrap().iter().enumerate() {
        let path = project.path().join(overlay["file"].as_str().unwrap());
        let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
        for (index, (name, source)) in modules.iter().enumerate() {
            let Some(theirs) = found[2][index][turn].as_str() else { continue };
            let theirs = (0..theirs.len()).step_by(2).map(|at| &theirs[at..at + 2]);
            let theirs: Vec<u8> =
                theirs.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
            let release = Release::of(12).unwrap();
            let head = header(release, Validation::Unchecked, source);
            let (folder, stem) =
                name.rsplit_once('/').map_or(("", &**name), |(folder, stem)| (folder, stem));
            let folder = format!("copy/{folder}/__pycache__").replace("//", "/");
            let stem = stem.strip_suffix(".py").unwrap();
            let optimized = ["", ".opt-2"][turn];
            let member = format!("{folder}/{stem}.{}{optimized}.pyc", release.tag());
            let mut ours = Vec::new();
            archive.by_name(&member).unwrap().read_to_end(&mut ours).unwrap();
            assert!(
                [head.as_slice(), &marshal::canonical(&theirs).unwrap()].concat() == ours,
                "{name}"
            );
            compared += 1;
        }
    }
    assert!(compared > modules.len(), "{compared} of {}", modules.len());
}

/// The standard library's own tests of code objects pass when they, and what they import of the
/// package `test`, are loaded from our bytecode.
#[test]
#[ignore = "takes a minute"]
fn tests_of_code_objects_pass_from_bytecode() {
    const PROGRAM: &str = "\
import importlib.machinery, sys, unittest
sys.path.insert(0, sys.argv[1])
def source_to_code(self, data, path, *rest, **more):
    assert not path.startswith(sys.argv[1]), path
    return original(self, data, path, *rest, **more)
original = importlib.machinery.SourceFileLoader.source_to_code
importlib.machinery.SourceFileLoader.source_to_code = source_to_code
names = ['test.test_marshal', 'test.test_code', 'test.test_dis']
suite = unittest.defaultTestLoader.loadTestsFromNames(names)
assert all(sys.modules[name].__file__.startswith(sys.argv[1]) for name in names)
result = unittest.TextTestRunner(verbosity=0).run(suite)
sys.exit(not (result.wasSuccessful() and result.testsRun > 150))
";
    for (python, _) in releases() {
        let library = crate::bytecode_history::library_of(&python).join("test");
        let tests = library.join("test_marshal.py");
        assert!(tests.exists(), "the standard library's tests are run, expected {tests:?}");
        let project = Project::new();
        let modules = crate::bytecode_history::modules_below(&library, 1);
        let ours = |name: &str| {
            let own = [
                "__init__",
                "_code_definitions",
                "test_marshal",
                "test_code",
                "test_dis",
                "dis_module",
            ];
            let own = own.map(|name| format!("{name}.py"));
            own.iter().any(|own| own == name) || name.starts_with("support/")
        };
        let modules: Vec<_> = modules.into_iter().filter(|(name, _)| ours(name)).collect();
        let wheel = wheel_of(&project, "test", &modules);
        let report = compile(&project, &wheel, &python, &["--all"]);
        let root = project.path().join("unpacked");
        for archive in [&wheel, report["overlays"][0]["file"].as_str().unwrap()] {
            let mut unzip = Command::new("bsdtar");
            std::fs::create_dir_all(&root).unwrap();
            unzip.arg("-xf").arg(project.path().join(archive)).arg("-C").arg(&root);
            succeed_alone(&mut unzip);
        }
        let mut run = Command::new(&python.path);
        run.args(["-s", "-B", "-W", "ignore", "-c", PROGRAM]).arg(&root);
        let output = run.current_dir(project.path()).output().unwrap();
        assert!(output.status.success(), "{:?}: {}", python.version, said(&output));
    }
}
