//! Windows scripts made from distlib's launchers, read back by other tools; what they carry is run
//! by real interpreters.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use venvtree::model::interpreter::Arch;
use venvtree::model::script::{
    LauncherForm, WindowsLauncher, WindowsLauncherError, windows_interpreter_name,
};
use venvtree::model::wheel::entry_points::ScriptKind;

use crate::support::interpreters;
use crate::support::peers::ask_python;

const ARCHITECTURES: [(Arch, [&str; 2]); 3] = [
    (Arch::X86_64, ["t64.exe", "w64.exe"]),
    (Arch::I686, ["t32.exe", "w32.exe"]),
    (Arch::Aarch64, ["t64-arm.exe", "w64-arm.exe"]),
];
const KINDS: [ScriptKind; 2] = [ScriptKind::Console, ScriptKind::Gui];

/// distlib's launchers, which come with the peers.
fn distlib() -> PathBuf {
    let answer = ask_python(
        "import distlib, json, sys; json.load(sys.stdin); json.dump(distlib.__path__[0], sys.stdout)",
        &json!(null),
    );
    PathBuf::from(answer.as_str().unwrap())
}

pub(crate) fn launcher_bytes(name: &str) -> Vec<u8> {
    let path = distlib().join(name);
    fs::read(&path).unwrap_or_else(|error| {
        panic!("the tests use distlib's launchers, expected {}: {error}", path.display())
    })
}

fn simple(arch: Arch, kind: ScriptKind) -> WindowsLauncher {
    let (_, names) = ARCHITECTURES.iter().find(|(other, _)| *other == arch).unwrap();
    let launcher =
        WindowsLauncher::parse(launcher_bytes(names[kind as usize]), arch, kind).unwrap();
    assert_eq!(launcher.form(), LauncherForm::Simple);
    launcher
}

/// distlib's launcher with the names of a trampoline's resources in the unused end of a section: an
/// executable that could be one.
fn trampoline(name: &str, arch: Arch, kind: ScriptKind) -> WindowsLauncher {
    let mut bytes = launcher_bytes(name);
    let text: Vec<u8> =
        "UV_TRAMPOLINE_KIND\0UV_PYTHON_PATH\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hole =
        bytes.windows(text.len()).rposition(|window| window.iter().all(|byte| *byte == 0)).unwrap();
    bytes[hole..hole + text.len()].copy_from_slice(&text);
    let launcher = WindowsLauncher::parse(bytes, arch, kind).unwrap();
    assert_eq!(launcher.form(), LauncherForm::Trampoline);
    launcher
}

/// What pefile and zipfile read: header, sections, resources (with their bytes), the archive and
/// what stands between.
const READ: &str = r#"
import binascii, io, json, sys, zipfile
import pefile

answers = []
for text in json.load(sys.stdin):
    data = binascii.unhexlify(text)
    image = pefile.PE(data=data)
    sections = sorted((s.VirtualAddress, s.Misc_VirtualSize, s.PointerToRawData, s.SizeOfRawData) for s in image.sections)
    end = 0
    for address, memory, offset, size in sections:
        assert address >= end and address % image.OPTIONAL_HEADER.SectionAlignment == 0, "sections overlap"
        assert offset % image.OPTIONAL_HEADER.FileAlignment == 0 and size % image.OPTIONAL_HEADER.FileAlignment == 0
        end = address + memory
    alignment = image.OPTIONAL_HEADER.SectionAlignment
    assert image.OPTIONAL_HEADER.SizeOfImage == -(-end // alignment) * alignment, "the size of the image is wrong"
    resources = {}
    for kind in image.DIRECTORY_ENTRY_RESOURCE.entries:
        for name in kind.directory.entries:
            for language in name.directory.entries:
                leaf = language.data.struct
                key = "/".join(str(part.name if part.name is not None else part.id) for part in (kind, name, language))
                resources[key] = binascii.hexlify(image.get_data(leaf.OffsetToData, leaf.Size)).decode()
    overlay = image.get_overlay() or b""
    members, program = [], None
    if overlay:
        archive = zipfile.ZipFile(io.BytesIO(data))
        assert archive.testzip() is None
        members = [[i.filename, list(i.date_time), i.compress_type, i.external_attr, i.create_system] for i in archive.infolist()]
        program = archive.read("__main__.py").decode()
    answers.append({
        "machine": image.FILE_HEADER.Machine, "subsystem": image.OPTIONAL_HEADER.Subsystem, "resources": resources,
        "line": overlay[:overlay.find(b"PK")].decode(), "members": members, "program": program, "warnings": image.get_warnings(),
    })
json.dump(answers, sys.stdout)
"#;

pub(crate) fn read_back(files: &[&[u8]]) -> Vec<serde_json::Value> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let files: Vec<String> = files.iter().map(|file| hex(file)).collect();
    serde_json::from_value(ask_python(READ, &json!(files))).unwrap()
}

fn member() -> serde_json::Value {
    json!([["__main__.py", [1980, 1, 1, 0, 0, 0], 0, 0, 0]])
}

#[test]
fn every_launcher_becomes_a_script() {
    for (arch, names) in ARCHITECTURES {
        for kind in KINDS {
            let launcher = simple(arch, kind);
            let bare = launcher_bytes(names[kind as usize]);
            let script = launcher.entry_point("pkg.cli", "App.main").unwrap();
            let python = launcher.python("../../python/python.exe").unwrap();
            let [before, script, python] = &read_back(&[&bare, &script, &python])[..] else {
                panic!("three answers")
            };
            for made in [script, python] {
                for same in ["machine", "subsystem", "resources", "warnings"] {
                    assert_eq!(made[same], before[same], "{arch:?} {kind:?}");
                }
                assert_eq!(made["members"], member());
            }
            assert_eq!(
                script["line"],
                format!("#!<launcher_dir>\\{}\n", windows_interpreter_name(kind))
            );
            assert!(script["program"].as_str().unwrap().contains("from pkg.cli import App\n"));
            assert_eq!(python["line"], "#!<launcher_dir>\\..\\..\\python\\python.exe -I -S\n");
        }
    }
}

#[test]
fn every_trampoline_gets_resources() {
    for (arch, names) in ARCHITECTURES {
        for kind in KINDS {
            let bare = launcher_bytes(names[kind as usize]);
            let launcher = trampoline(names[kind as usize], arch, kind);
            let script = launcher.entry_point("pkg.cli", "main").unwrap();
            let python = launcher.python("../../my python/python.exe").unwrap();
            let [before, script, python] = &read_back(&[&bare, &script, &python])[..] else {
                panic!("three answers")
            };
            let hex =
                |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            for (made, action, path) in [
                (script, "01", windows_interpreter_name(kind)),
                (python, "02", "..\\..\\my python\\python.exe"),
            ] {
                assert_eq!(
                    (&made["machine"], &made["subsystem"]),
                    (&before["machine"], &before["subsystem"])
                );
                let mut expected = before["resources"].as_object().unwrap().clone();
                assert!(expected.len() > 5, "distlib's launchers have icons and a manifest");
                expected.insert("10/UV_TRAMPOLINE_KIND/0".to_owned(), json!(action));
                expected.insert("10/UV_PYTHON_PATH/0".to_owned(), json!(hex(path)));
                // In any order: JSON objects are compared by key.
                assert_eq!(made["resources"], json!(expected), "{arch:?} {kind:?}");
            }
            assert_eq!((&script["line"], &script["members"]), (&json!(""), &member()));
            assert_eq!((&python["line"], &python["members"]), (&json!(""), &json!([])));
        }
    }
}

#[test]
fn a_launcher_for_something_else_is_refused() {
    let console = launcher_bytes("t64.exe");
    let error =
        |bytes: &[u8], arch, kind| WindowsLauncher::parse(bytes.to_vec(), arch, kind).unwrap_err();
    assert!(matches!(
        error(&console, Arch::Aarch64, ScriptKind::Console),
        WindowsLauncherError::Machine { .. }
    ));
    assert!(matches!(
        error(&console, Arch::X86_64, ScriptKind::Gui),
        WindowsLauncherError::Subsystem { found: 3, expected: 2, .. }
    ));
    let script = simple(Arch::X86_64, ScriptKind::Console).entry_point("a", "b").unwrap();
    assert!(matches!(
        error(&script, Arch::X86_64, ScriptKind::Console),
        WindowsLauncherError::Appended { .. }
    ));
    for length in [0, 1, 0x40, 0x100, 0x200, console.len() / 2, console.len() - 1] {
        assert!(
            matches!(
                error(&console[..length], Arch::X86_64, ScriptKind::Console),
                WindowsLauncherError::Executable(_)
            ),
            "{length}"
        );
    }
}

/// The status and standard output of a command that writes no errors; `modules` is where it finds
/// modules.
fn run(command: &mut Command, modules: &Path) -> (Option<i32>, String) {
    let output = command.env_clear().env("LC_ALL", "C.UTF-8").env("PYTHONPATH", modules).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.is_empty(), "{command:?}: {stderr}");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A launcher does nothing but run an interpreter with itself as the first argument; so do these
/// tests.
#[test]
fn interpreters_run_what_scripts_carry() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path().canonicalize().unwrap();
    let scripts = scratch.join("my é env/Scripts");
    fs::create_dir_all(&scripts).unwrap();
    let package =
        "import sys\nclass App:\n    def main():\n        print(sys.argv)\n        return 7\n";
    fs::write(scratch.join("application.py"), package).unwrap();
    let own = "#!python\n# coding: latin-1\n'Doc'\nimport sys\nprint(__name__, __file__, __doc__, ascii('\u{e9}'), sys.argv)\nsys.exit(5)\n";
    let own: Vec<u8> = own.chars().map(|character| character as u8).collect();
    fs::write(scripts.join("it's.py"), own).unwrap();
    let import = "import sys, zipimport; print(zipimport.zipimporter(sys.argv[1]).get_source('__main__').splitlines()[1])";
    for launcher in [
        simple(Arch::X86_64, ScriptKind::Console),
        trampoline("t64.exe", Arch::X86_64, ScriptKind::Console),
    ] {
        let (app, wheel_script) = (scripts.join("app.exe"), scripts.join("it's.exe"));
        fs::write(&app, launcher.entry_point("application", "App.main").unwrap()).unwrap();
        fs::write(&wheel_script, launcher.wheel_script("it's.py").unwrap()).unwrap();
        for python in interpreters() {
            let (status, found) =
                run(Command::new(&python.path).arg(&app).args(["a b", ""]), &scratch);
            assert_eq!(
                (status, found),
                (Some(7), format!("['{}', 'a b', '']\n", app.with_extension("").display())),
                "{python:?}"
            );
            let (status, found) =
                run(Command::new(&python.path).arg(&wheel_script).arg("a b"), &scratch);
            let file = scripts.join("it's.py");
            assert_eq!(
                (status, found),
                (Some(5), format!("__main__ {0} Doc '\\xe9' [\"{0}\", 'a b']\n", file.display())),
                "{python:?}"
            );
            let (status, found) =
                run(Command::new(&python.path).args(["-c", import]).arg(&app), &scratch);
            assert_eq!(
                (status, found.as_str()),
                (Some(0), "from application import App\n"),
                "{python:?}"
            );
        }
    }
}

/// The program in a `python.exe` made from a simple launcher works on POSIX too, where
/// `__PYVENV_LAUNCHER__` means the same.
#[test]
fn the_interpreter_starts_again_as_the_environments() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().canonicalize().unwrap().join("my é env");
    fs::create_dir_all(root.join("Scripts")).unwrap();
    fs::write(root.join("pyvenv.cfg"), "home =\n").unwrap();
    let launcher = root.join("Scripts/python.exe");
    fs::write(
        &launcher,
        simple(Arch::X86_64, ScriptKind::Console).python("../../python/python.exe").unwrap(),
    )
    .unwrap();
    let program = "import os, sys; print(sys.prefix, sys.executable, sys.argv, '__PYVENV_LAUNCHER__' in os.environ, sep='|'); sys.exit(5)";
    for python in interpreters().into_iter().filter(|python| python.version >= (3, 11)) {
        fs::create_dir_all(root.join(format!("lib/python3.{}/site-packages", python.version.1)))
            .unwrap();
        let found = run(
            Command::new(&python.path)
                .args(["-I", "-S"])
                .arg(&launcher)
                .args(["-c", program, "a b", "\""]),
            scratch.path(),
        );
        let expected =
            format!("{0}|{0}/Scripts/python.exe|['-c', 'a b', '\"']|False\n", root.display());
        assert_eq!(found, (Some(5), expected), "{python:?}");
    }
}
