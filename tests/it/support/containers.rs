//! Root directories as images without a shell have them, and running what is in one.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use camino::Utf8Path;
use serde_json::{Value, json};

use super::commands::succeed;

/// Fills a root directory with what every program needs, with `sh` and some programs of this
/// machine, and with the libraries that those, and what a pattern of the shell names, want.
pub(crate) fn fill_root(root: &Utf8Path, programs: &[&str], modules: &str) {
    let copy = |from: &str| {
        let to = root.join(from.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap();
    };
    for link in ["bin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(link)).unwrap();
        symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    for place in ["tmp", "proc", "dev", "sys"] {
        fs::create_dir(root.join(place)).unwrap();
    }
    // Programs are looked for by `sh`, which starts every script.
    let programs = [&["/usr/bin/dash"], programs].concat();
    programs.iter().for_each(|program| copy(program));
    symlink("dash", root.join("usr/bin/sh")).unwrap();
    let wanting = format!("{modules} {}", programs.join(" "));
    let libraries = "/lib/x86_64-linux-gnu/lib{stdc++,gcc_s,pthread,dl,util,rt,m,c}.so.*";
    let list =
        format!("{{ ldd {wanting} | grep -o '/[^ ]*\\.so[^ ]*'; ls {libraries}; }} | sort -u");
    let list = succeed(Command::new("bash").args(["-c", &list]));
    let of_system = |library: &&str| {
        !library.ends_with(':')
            && ["/lib", "/usr/lib"].iter().any(|place| library.starts_with(place))
    };
    for library in list.lines().filter(of_system) {
        copy(library);
    }
}

/// Runs the image of a bundle with crun, read-only; with other arguments than its own, if there are
/// any. That knows unified control groups only, which not every machine has mounted.
pub(crate) fn run_bundle(bundle: &Utf8Path, arguments: &[&str]) -> String {
    let place = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    config["process"]["terminal"] = false.into();
    if !arguments.is_empty() {
        config["process"]["args"] = json!(arguments);
    }
    config["root"]["readonly"] = true.into();
    let scratch = json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"});
    let mounts = config["mounts"].as_array_mut().unwrap();
    if !mounts.contains(&scratch) {
        mounts.push(scratch);
    }
    fs::write(&place, config.to_string()).unwrap();
    let script = format!(
        "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; \
         exec crun --root {bundle}/state --cgroup-manager=disabled run --bundle {bundle} venvtree-{}",
        std::process::id()
    );
    succeed(Command::new("unshare").args(["--mount", "sh", "-c", &script]))
}
