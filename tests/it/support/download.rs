//! Wheels from PyPI, by name, with pip: downloaded once, into `.cache`.

use std::path::{Path, PathBuf};
use std::process::Command;

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
        let options = [
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary",
            ":all:",
        ];
        let mut command = Command::new(peer("python"));
        command
            .args(options)
            .args(["--python-version", "3.12", "--implementation", "cp", "--dest"])
            .arg(folder);
        command.args(self.platforms.iter().flat_map(|platform| ["--platform", platform]));
        command.args(projects).status().expect("pip starts").success()
    }
}

/// The wheels in a folder, sorted.
pub(crate) fn wheels_in(folder: &Path) -> Vec<PathBuf> {
    let files = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut wheels: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "whl")).collect();
    wheels.sort();
    wheels
}
