//! Wheels from PyPI, by name, with pip: downloaded once, into `.cache`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::commands::succeed;
use super::peers::peer;

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
