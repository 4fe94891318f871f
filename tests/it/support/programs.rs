//! The interpreters and shells of this machine.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::commands::{feed, succeed_alone};

/// A CPython of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    /// Its major and minor version.
    pub(crate) version: (u32, u32),
    /// Its executable, links resolved: `/usr/bin/python3.11`.
    pub(crate) path: PathBuf,
}

/// Every CPython 3.8 or newer on `PATH` and among pyenv's, one for each minor version, oldest
/// first.
///
/// pyenv's are preferred, because they are complete (Debian keeps `venv` and `ensurepip` apart).
/// The tests need at least one from 3.11 on.
pub(crate) fn interpreters() -> Vec<Python> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    // pyenv's shims are scripts that choose an interpreter by the current folder.
    folders.retain(|folder| folder.file_name().is_some_and(|name| name != "shims"));
    let pyenv = Path::new(&env::var_os("HOME").unwrap_or_default()).join(".pyenv/versions");
    if let Ok(versions) = pyenv.read_dir() {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let mut found = BTreeMap::new();
    for folder in folders {
        for minor in 8..30 {
            if let Ok(path) = folder.join(format!("python3.{minor}")).canonicalize() {
                found.insert((3, minor), path);
            }
        }
    }
    assert!(
        found.keys().any(|version| *version >= (3, 11)),
        "the tests run CPython 3.11 or newer, expected one on PATH or in ~/.pyenv/versions"
    );
    found.into_iter().map(|(version, path)| Python { version, path }).collect()
}

/// The newest CPython of this machine.
pub(crate) fn newest() -> Python {
    interpreters().pop().expect("there is one")
}

impl Python {
    /// The path of its executable as text.
    pub(crate) fn text(&self) -> &str {
        self.path.to_str().expect("the paths of interpreters are UTF-8")
    }

    /// Makes an environment without pip by the standard library's `venv`.
    pub(crate) fn make_venv(&self, place: &Path) {
        let mut venv = Command::new(&self.path);
        succeed_alone(venv.args(["-m", "venv", "--without-pip"]).arg(place));
    }
}

/// A POSIX shell of this machine, ready to be the interpreter of scripts.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    /// Which one: `dash`, `busybox`.
    pub(crate) name: &'static str,
    /// A link called `sh` to it: most shells then follow POSIX.
    pub(crate) sh: PathBuf,
}

/// The shells that may be `/bin/sh` somewhere, each through a link called `sh` in a folder of its
/// own below `scratch`.
pub(crate) fn posix_shells(scratch: &Path) -> Vec<Shell> {
    let folders: Vec<PathBuf> =
        env::split_paths(&env::var_os("PATH").expect("there is a PATH")).collect();
    let shell = |name| {
        let program =
            folders.iter().map(|folder| folder.join(name)).find(|program| program.exists());
        let program = program.unwrap_or_else(|| {
            panic!("the tests run scripts with `{name}`, expected it on PATH: run .ci/install")
        });
        let folder = scratch.join(name);
        std::fs::create_dir_all(&folder).expect("the scratch folder is writable");
        symlink(program, folder.join("sh")).expect("the scratch folder is writable");
        Shell { name, sh: folder.join("sh") }
    };
    ["dash", "bash", "busybox", "ksh93", "mksh", "posh", "yash", "zsh"].map(shell).into()
}

/// Writes an executable file that can be run at once.
///
/// A file that is open for writing cannot be executed (`ETXTBSY`), and a descriptor of this process
/// lives on for a moment in every child that another test's thread forks meanwhile. So another
/// process writes the file.
pub(crate) fn write_executable(path: &Path, bytes: &[u8]) {
    let mut writer = Command::new("/bin/sh");
    let output = feed(writer.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(path), bytes);
    assert!(output.status.success(), "cannot write {}", path.display());
}

/// Copies a program so that the copy can be run at once: by another process, as
/// [`write_executable`] explains.
pub(crate) fn copy_executable(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success(), "cannot copy {} to {}", from.display(), to.display());
}

/// Copies the program that is tested.
pub(crate) fn copy_venvtree(to: &Path) {
    copy_executable(Path::new(env!("CARGO_BIN_EXE_venvtree")), to);
}

/// The interpreters whose bytecode is made, oldest first. CPython 3.14 is that of the newer Debian
/// that `.ci/install` puts beside this one.
pub(crate) fn compilers() -> Vec<Python> {
    static NEWER: LazyLock<PathBuf> = LazyLock::new(|| {
        python_of_newer_debian(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("newer-debian"))
    });
    let found = interpreters().into_iter();
    let mut found: Vec<Python> =
        found.filter(|python| (11..14).contains(&python.version.1)).collect();
    found.push(Python { version: (3, 14), path: NEWER.clone() });
    found
}

/// CPython 3.14 of the newer Debian, below `place`: a script that any user can start, with that
/// Debian's loader, libraries and standard library. It sees the files of this machine.
pub(crate) fn python_of_newer_debian(place: &Path) -> PathBuf {
    let root = env::var("VENVTREE_BAZEL7").unwrap_or_else(|_| "/opt/bazel7".to_owned());
    let program = format!("{root}/usr/bin/python3.14");
    assert!(
        Path::new(&program).exists(),
        "the tests run CPython 3.14, expected {program}: run .ci/install, or set VENVTREE_BAZEL7"
    );
    let script = format!(
        "#!/bin/sh\nlibraries={root}/usr/lib/x86_64-linux-gnu\n\
        exec {root}/usr/lib64/ld-linux-x86-64.so.2 --argv0 \"$0\" --library-path \"$libraries\" {program} \"$@\"\n"
    );
    let path = place.join("bin/python3.14");
    // Another run of the tests may be starting it.
    if std::fs::read(&path).ok().as_deref() != Some(script.as_bytes()) {
        for folder in ["bin", "lib"] {
            std::fs::create_dir_all(place.join(folder)).expect("the folder is writable");
        }
        // Where Python looks for its library, which it finds from what it was started as.
        let library = place.join("lib/python3.14");
        let _ = std::fs::remove_file(&library);
        symlink(format!("{root}/usr/lib/python3.14"), library).expect("the folder is writable");
        write_executable(&path, script.as_bytes());
    }
    path
}

/// A program below `root` that says that it is the compiler of CPython 3.12.1 and makes the same of
/// everything: a code object of nothing.
pub(crate) fn fake_compiler(root: &camino::Utf8Path, path: &str) -> camino::Utf8PathBuf {
    let full = root.join(path);
    std::fs::create_dir_all(full.parent().expect("below the root"))
        .expect("directories can be made");
    // It answers whatever it will be asked.
    let script = "#!/bin/sh\nprintf '\\000\\044\\000\\000\\000cpython\\n3.12.1\\ncb0d0d0a\\ncpython-312\\n'\n\
        for answer in 1 2 3 4 5 6 7 8 9; do printf '\\000\\043\\000\\000\\000c77777777777777777777NNNNNNNNlineNN'; done\nexec cat >/dev/null\n";
    write_executable(full.as_std_path(), script.as_bytes());
    full
}

/// A program below `root` that answers the probe as CPython of that version on Linux would.
pub(crate) fn fake_interpreter(
    root: &camino::Utf8Path,
    path: &str,
    version: &str,
) -> camino::Utf8PathBuf {
    let full = root.join(path);
    std::fs::create_dir_all(full.parent().expect("below the root"))
        .expect("directories can be made");
    let answer = format!(
        r#"{{"implementation":"cpython","version":"{version}","soabi":null,"debug":false,"free_threaded":false,"platform":"linux",
        "machine":"x86_64","pointer_size":8,"glibc":"2.36","musl":null,"executable":"{full}","platlibdir":"lib","bundled_wheels":null}}"#
    );
    write_executable(
        full.as_std_path(),
        format!("#!/bin/sh\nexec /bin/cat <<'END'\n{answer}\nEND\n").as_bytes(),
    );
    full
}
