//! Wheels from PyPI, by name, with pip: downloaded once, into `.cache`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use super::commands::succeed;
use super::peers::peer;
use super::programs::Python;

/// A platform that wheels are made for: its name, and those that pip knows it by.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    platforms: &'static [&'static str],
}

/// The platforms that most wheels are made for.
pub(crate) const TARGETS: [Target; 5] = [
    Target {
        name: "linux-glibc",
        platforms: &[
            "manylinux_2_5_x86_64",
            "manylinux_2_12_x86_64",
            "manylinux_2_17_x86_64",
            "manylinux_2_24_x86_64",
            "manylinux_2_28_x86_64",
            "manylinux_2_34_x86_64",
            "manylinux2014_x86_64",
            "manylinux2010_x86_64",
            "manylinux1_x86_64",
        ],
    },
    Target {
        name: "linux-aarch64",
        platforms: &[
            "manylinux_2_17_aarch64",
            "manylinux_2_28_aarch64",
            "manylinux_2_34_aarch64",
            "manylinux2014_aarch64",
        ],
    },
    Target { name: "linux-musl", platforms: &["musllinux_1_1_x86_64", "musllinux_1_2_x86_64"] },
    Target { name: "macos-arm64", platforms: &["macosx_15_0_arm64"] },
    Target { name: "windows", platforms: &["win_amd64"] },
];

impl Target {
    /// Downloads wheels for CPython 3.12 into a folder, without what they need; whether all are
    /// there.
    pub(crate) fn download(&self, projects: &[&str], folder: &Path) -> bool {
        Download::for_python("3.12")
            .platforms(self.platforms.iter().map(|platform| (*platform).to_owned()))
            .run(projects, folder)
    }
}

/// A run of `pip download` for wheels, without what they need.
pub(crate) struct Download(Command);

impl Download {
    fn new(python: &Path) -> Self {
        let mut command = Command::new(python);
        command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"]);
        command.args(["--no-deps", "--only-binary", ":all:"]);
        Self(command)
    }

    /// By the peers' pip, for this version of CPython, and for this machine unless platforms are
    /// named.
    pub(crate) fn for_python(version: &str) -> Self {
        let mut download = Self::new(&peer("python"));
        download.0.args(["--implementation", "cp", "--python-version", version]);
        download
    }

    /// For these platforms, as pip calls them.
    pub(crate) fn platforms(mut self, platforms: impl Iterator<Item = String>) -> Self {
        self.0.args(platforms.flat_map(|platform| ["--platform".to_owned(), platform]));
        self
    }

    /// Downloads what is named into a folder; whether all of it is there.
    pub(crate) fn run(mut self, what: &[&str], folder: &Path) -> bool {
        self.0.args(what).arg("--dest").arg(folder).status().expect("pip starts").success()
    }
}

/// The folder of the wheels of a file of requirements with hashes: downloaded once into `.cache`, for
/// the interpreter `python` and by its pip.
pub(crate) fn locked_wheels(python: &str, requirements: &str, folder: &str) -> PathBuf {
    locked(Download::new(Path::new(python)), requirements, folder)
}

/// The same for CPython 3.12 on Windows, by the peers' pip. It decides markers for this machine, so
/// the file must have none.
pub(crate) fn locked_wheels_for_windows(requirements: &str, folder: &str) -> PathBuf {
    let windows = std::iter::once("win_amd64".to_owned());
    locked(Download::for_python("3.12").platforms(windows), requirements, folder)
}

fn locked(mut download: Download, requirements: &str, folder: &str) -> PathBuf {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let requirements = checkout.join(requirements);
    let wheels = checkout.join(".cache").join(folder);
    let stamp = wheels.join("requirements.txt");
    if fs::read(&stamp).ok() != fs::read(&requirements).ok() {
        let _ = fs::remove_dir_all(&wheels);
        download.0.args(["--require-hashes", "--dest"]).arg(&wheels).arg("--requirement");
        succeed(download.0.arg(&requirements));
        fs::copy(&requirements, &stamp).expect("the folder is writable");
    }
    wheels
}

/// The wheels in a folder, sorted.
pub(crate) fn wheels_in(folder: &Path) -> Vec<PathBuf> {
    let files = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut wheels: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "whl")).collect();
    wheels.sort();
    wheels
}

const PATCH_LEVEL: &str = "import platform; print(platform.python_version())";

/// Wheels of some projects and all that they need, for an interpreter: downloaded once, by name,
/// into `.cache`.
pub(crate) fn wheels_with_needs(python: &Python, projects: &[&str]) -> Vec<Value> {
    let (major, minor) = python.version;
    let folder = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!(".cache/wheels/{major}.{minor}/{}", projects.join("+").replace("==", "-")));
    let done = folder.join(".complete");
    if !done.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        // pip takes markers for those of the interpreter that it runs on, whatever it is told to
        // download for: uv resolves.
        let (named, pinned) = (folder.join("named.txt"), folder.join("pinned.txt"));
        std::fs::write(&named, projects.join("\n")).unwrap();
        let status = Command::new(peer("uv"))
            .args([
                "pip",
                "compile",
                "--quiet",
                "--no-cache",
                "--no-python-downloads",
                "--only-binary",
                ":all:",
                "--output-file",
                pinned.as_str(),
            ])
            .args(["--python", python.path.to_str().unwrap(), named.as_str()])
            .status()
            .unwrap();
        assert!(status.success(), "uv cannot resolve {projects:?} for {major}.{minor}");
        // With its last part, which some projects exclude releases by.
        let version = succeed(Command::new(&python.path).args(["-c", PATCH_LEVEL]));
        let pinned = ["--requirement", pinned.as_str()];
        let glibc = ["2_5", "2_12", "2_17", "2_24", "2_26", "2_28", "2_34"];
        let manylinux = glibc.map(|glibc| format!("_{glibc}")).into_iter();
        let platforms = manylinux.chain(["1", "2010", "2014"].map(str::to_owned));
        let downloaded = Download::for_python(version.trim())
            .platforms(platforms.map(|policy| format!("manylinux{policy}_x86_64")))
            .run(&pinned, folder.as_std_path());
        assert!(downloaded, "pip cannot download {projects:?} for {major}.{minor}");
        std::fs::write(done, "").unwrap();
    }
    let entry = |path: &std::path::PathBuf| json!({"path": path, "sha256": Hash::sha256(&std::fs::read(path).unwrap())});
    wheels_in(folder.as_std_path()).iter().map(entry).collect()
}
