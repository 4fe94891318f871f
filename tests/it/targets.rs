//! The programs that are released, for each target: what they need, that they give the same
//! answers, that their bytes depend on nothing but the sources. And macOS, as far as a compiler on
//! Linux can tell.
//!
//! All of it compiles the release for other machines, with what `.ci/cross` brings, hence
//! `cargo test --test it targets:: -- --ignored`. Programs are kept: a second run is quick. With
//! `VENVTREE_TARGETS="TARGET…"` only these are judged; with `VENVTREE_PROGRAMS=DIRECTORY` programs
//! that something else has built there, as `TARGET/release/venvtree`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::reference_digests;
use crate::support::peers::peer;

const ALL_TARGETS: [&str; 4] = [
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
];
/// The largest that a released program may be.
const MOST_BYTES: u64 = 13 << 20;

/// Those to judge.
fn targets() -> Vec<&'static str> {
    let Ok(chosen) = std::env::var("VENVTREE_TARGETS") else {
        return ALL_TARGETS.to_vec();
    };
    let known = |name| {
        let found = ALL_TARGETS.into_iter().find(|target| *target == name);
        found.unwrap_or_else(|| panic!("VENVTREE_TARGETS: {name} is none of {ALL_TARGETS:?}"))
    };
    chosen.split_whitespace().map(known).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that `.ci/cross` brings.
fn cross(path: &str) -> PathBuf {
    let found = root().join(".cache/cross").join(path);
    assert!(found.exists(), "{} is missing: run .ci/cross", found.display());
    found
}

/// PATH with the compiler and the linker for other machines before everything else.
fn path_with_cross() -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    cross("bin/rustc");
    let folders = std::iter::once(cross("bin")).chain(std::env::split_paths(&own));
    std::env::join_paths(folders).unwrap()
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}{errors}");
    text
}

/// The released program for a target, built by a checkout.
fn released(checkout: &Path, target: &str, directory: &Path) -> PathBuf {
    let mut command = Command::new(checkout.join("tools/release"));
    command.arg(target).env("PATH", path_with_cross()).env("CARGO_TARGET_DIR", directory);
    succeeds(command.current_dir(checkout));
    directory.join(target).join("release/venvtree")
}

/// The released program for a target, built here.
pub(crate) fn program(target: &str) -> PathBuf {
    if let Some(built) = std::env::var_os("VENVTREE_PROGRAMS") {
        return Path::new(&built).join(target).join("release/venvtree");
    }
    released(root(), target, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("targets"))
}

/// Starts a program for a target, with qemu where this machine cannot.
fn start(target: &str, program: &Path) -> Command {
    if target.starts_with(std::env::consts::ARCH) {
        return Command::new(program);
    }
    let mut command = Command::new(cross("bin/qemu-aarch64-static"));
    command.arg("-L").arg(cross("arm64")).arg(program);
    command
}

/// The versions of glibc that a program's symbols name.
fn glibc_versions(program: &Path) -> Vec<(u32, u32)> {
    // Of a program without such symbols, it says that there are none, and fails.
    let output = Command::new("objdump").arg("-T").arg(program).output().unwrap();
    let symbols = String::from_utf8_lossy(&output.stdout);
    assert!(symbols.contains("DYNAMIC SYMBOL TABLE"), "{symbols}");
    let mut versions: Vec<(u32, u32)> = symbols
        .split("GLIBC_")
        .skip(1)
        .filter_map(|rest| {
            let version = rest.split(|char: char| char != '.' && !char.is_ascii_digit()).next()?;
            let mut numbers = version.split('.').map(|number| number.parse().ok());
            Some((numbers.next()??, numbers.next()??))
        })
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

#[test]
#[ignore = "four builds as they are released"]
fn released_programs_are_small_and_need_at_most_an_old_glibc() {
    for target in targets() {
        let program = program(target);
        let size = fs::metadata(&program).unwrap().len();
        assert!(size <= MOST_BYTES, "{target}: {size} bytes");
        let versions = if target.contains("x86_64") {
            glibc_versions(&program)
        } else {
            // Debian's objdump knows this machine's programs only; versions are text in the file.
            let bytes = fs::read(&program).unwrap();
            let find = memchr::memmem::find_iter(&bytes, b"GLIBC_2.");
            find.map(|at| {
                let rest = &bytes[at + 8..];
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
                (2, digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
            })
            .collect()
        };
        if target.ends_with("-musl") {
            assert_eq!(versions, [], "{target} is static");
            let headers = succeeds(Command::new("readelf").arg("-ld").arg(&program));
            assert!(!headers.contains("INTERP") && !headers.contains("(NEEDED)"), "{headers}");
        } else {
            assert!(!versions.is_empty(), "{target} uses glibc");
            assert!(versions.iter().all(|version| *version <= (2, 17)), "{target}: {versions:?}");
        }
        // None names a place of this machine.
        let bytes = fs::read(&program).unwrap();
        for place in [root().to_str().unwrap(), &std::env::var("HOME").unwrap()] {
            let found = memchr::memmem::find(&bytes, place.as_bytes());
            assert!(found.is_none(), "{target} has {place} in it");
        }
    }
}

#[test]
#[ignore = "four builds as they are released, two of them run under qemu"]
fn every_released_program_gives_the_digests_of_the_references() {
    let references = reference_digests::recorded();
    for target in targets() {
        let program = program(target);
        for (name, project, root) in &references {
            let run = |arguments: &[&str]| {
                let mut command = start(target, &program);
                succeeds(command.args(arguments).current_dir(project.path()))
            };
            let said = run(&["digest", "env.json"]);
            assert_eq!(said.trim(), root, "{target}, {name}");
            run(&["build", "env.json", "--out", target, "--no-store"]);
            // What was written, read back by the program under test.
            let function = if *name == "posix-blake3" { "blake3" } else { "sha256" };
            let arguments = ["digest", target, "--digest-function", function];
            let found = project.run(&arguments).success();
            assert_eq!(found.trim(), root, "{target}, {name}");
        }
    }
}

/// Environments that are built on this machine for arm64 run there, whoever built them.
#[test]
#[ignore = "downloads wheels, builds two releases, and runs Python under qemu"]
fn an_environment_for_arm64_is_the_same_from_both_machines_and_runs_there() {
    let directory = tempfile::tempdir().unwrap();
    let wheels = directory.path().join("wheels");
    let mut pip = Command::new(peer("python"));
    pip.args(["-m", "pip", "download", "--quiet", "--only-binary=:all:", "--implementation=cp"]);
    pip.args(["--python-version=3.11", "--platform=manylinux2014_aarch64"]);
    pip.args(["--platform=manylinux_2_28_aarch64", "--platform=manylinux_2_27_aarch64", "--dest"]);
    succeeds(pip.arg(&wheels).args(["flask", "numpy"]));
    let arm64 = cross("arm64");
    let mut spec: Value = json!({
        "version": 1,
        "interpreter": {
            "implementation": "cpython", "version": "3.11.2", "abi": "cp311",
            "platform": {"os": "linux", "arch": "aarch64", "libc": "glibc-2.36"},
            "python": {"kind": "absolute", "path": arm64.join("usr/bin/python3.11")},
        },
        "flags": {"requirements": "error"},
        "wheels": [],
    });
    let mut files: Vec<PathBuf> =
        fs::read_dir(&wheels).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        let digest = venvtree::model::digest::Hash::sha256(&fs::read(&file).unwrap());
        let list = spec["wheels"].as_array_mut().unwrap();
        list.push(json!({"path": file, "sha256": digest.to_string()}));
    }
    let place = directory.path();
    fs::write(place.join("env.json"), spec.to_string()).unwrap();
    let mut digests = Vec::new();
    for target in ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] {
        let mut build = start(target, &program(target));
        build.args(["build", "env.json", "--no-store", "--format", "json", "--out"]).arg(target);
        let report: Value = serde_json::from_str(&succeeds(build.current_dir(place))).unwrap();
        digests.push(report["digest"].clone());
        let python = place.join(target).join("bin/python");
        let code = "import sys, platform, flask, numpy, markupsafe._speedups
print(platform.machine(), sys.prefix)
print((numpy.eye(3) @ numpy.arange(3)).sum(), flask.Flask('x').name)";
        let mut run = Command::new(cross("bin/qemu-aarch64-static"));
        // Of all that libraries look for, only what this root has counts.
        let said = succeeds(run.arg("-L").arg(&arm64).arg(python).args(["-I", "-c", code]));
        let prefix = place.join(target).canonicalize().unwrap();
        assert_eq!(said, format!("aarch64 {}\n3.0 x\n", prefix.display()));
    }
    assert_eq!(digests[0], digests[1]);
}

/// A checkout elsewhere, with a home of cargo's that shares only what is downloaded.
#[test]
#[ignore = "eight builds as they are released"]
fn two_checkouts_build_the_same_bytes_for_each_target() {
    let directory = tempfile::tempdir().unwrap();
    let (checkout, home) = crate::release::another_checkout(directory.path());
    for target in targets() {
        let one = fs::read(program(target)).unwrap();
        let mut command = Command::new(checkout.join("tools/release"));
        command.arg(target).env("PATH", path_with_cross()).env("CARGO_HOME", &home);
        command.env("CARGO_TARGET_DIR", directory.path().join("target")).arg("--offline");
        // The linker's cache is another one, too.
        command.env("XDG_CACHE_HOME", directory.path().join("cache"));
        succeeds(command.current_dir(directory.path()));
        let other = directory.path().join("target").join(target).join("release/venvtree");
        let other = fs::read(other).unwrap();
        assert!(one == other, "{target}: {} and {} bytes differ", one.len(), other.len());
    }
}

/// The targets of Macs.
const MACS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];

/// Runs a subcommand of a cargo that compiles for a Mac; where it puts what it makes.
fn for_macos(subcommand: &str, target: &str, arguments: &[&str]) -> PathBuf {
    let mut command = Command::new(cross("bin/cargo-zigbuild"));
    command.args([subcommand, "--locked", "-Zbuild-std=std,panic_unwind", "--target", target]);
    command.args(arguments).env("PATH", path_with_cross()).env("RUSTC", cross("bin/rustc"));
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Dwarnings");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("macos");
    succeeds(command.env("CARGO_TARGET_DIR", &directory).current_dir(root()));
    directory
}

/// Types, as of a compiler for macOS. Nothing is linked, and nothing runs.
#[test]
#[ignore = "builds the standard library for macOS, twice"]
fn everything_compiles_for_macos() {
    for target in MACS {
        for_macos("check", target, &[]);
    }
}

/// All functions are there that macOS is asked for, as far as zig's list of them goes. Without remote
/// caches, which need frameworks of Apple's that nobody else has. Nothing runs.
#[test]
#[ignore = "builds the program for macOS, twice"]
fn the_program_without_remote_caches_links_for_macos() {
    // <mach-o/loader.h>: the magic of 64 bits, the processor, its kind, and what the file is.
    const MAGIC: u32 = 0xfeed_facf;
    const EXECUTE: u32 = 2;
    for (target, processor) in MACS.into_iter().zip([0x0100_000c, 0x0100_0007]) {
        let built = for_macos("build", target, &["--no-default-features", "--bin", "venvtree"]);
        let program = fs::read(built.join(target).join("debug/venvtree")).unwrap();
        let word = |at: usize| u32::from_le_bytes(program[at * 4..][..4].try_into().unwrap());
        assert_eq!([word(0), word(1), word(3)], [MAGIC, processor, EXECUTE], "{target}");
    }
}

/// A root of an old Debian, with Python and nothing of ours; kept.
fn old_debian() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bullseye");
    if !place.join("usr/bin/python3.9").exists() {
        let _ = fs::remove_dir_all(&place);
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", "--include=python3-venv", "bullseye"]);
        succeeds(make.arg(&place));
    }
    place
}

/// The wheel for a target, as `tools/dist` makes it of the released program, in a directory.
fn wheel(target: &str, out: &Path) -> PathBuf {
    let mut dist = Command::new("python3");
    dist.arg(root().join("tools/dist")).arg(out).arg(target).arg("--program").arg(program(target));
    succeeds(dist.arg("--packer").arg(env!("CARGO_BIN_EXE_venvtree")));
    let mut wheels = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    wheels.find(|file| file.extension().is_some_and(|extension| extension == "whl")).unwrap()
}

/// `pip install` of the wheel, and what the README says, where glibc is five years old, there is
/// no Rust, and nobody is online.
#[test]
#[ignore = "builds a release, and makes a root of Debian 11"]
fn an_old_debian_installs_the_wheel_and_makes_environments() {
    let place = old_debian();
    let inside = place.join("work");
    let _ = fs::remove_dir_all(&inside);
    let file = wheel("x86_64-unknown-linux-gnu", &inside);
    let script = format!(
        "cd /work
python3 -m venv venv
venv/bin/pip install --quiet --no-index {}
venv/bin/python -m venvtree --version
venv/bin/venvtree create first --spec-out env.json
venv/bin/venvtree build env.json --out second --manifest env.manifest.json
venv/bin/venvtree verify second --manifest env.manifest.json
mv second moved
moved/bin/pip --version",
        file.file_name().unwrap().display()
    );
    // With /proc, as any machine has it: the program looks there for itself, and then beside it.
    let inside = "mount -t proc proc \"$1/proc\" && exec chroot \"$1\" /bin/sh -euc \"$2\"";
    let mut chroot = Command::new("unshare");
    chroot.args(["--net", "--mount", "sh", "-c", inside, "sh"]).arg(&place).arg(&script);
    let said = succeeds(&mut chroot);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("pip 25.0.1 from /work/moved/lib/python3.9/"), "{said}");
}

/// The static program where there is nothing at all, not even a shell.
#[test]
#[ignore = "builds a release"]
fn the_static_program_needs_nothing_but_the_kernel() {
    let target = "x86_64-unknown-linux-musl";
    let (name, project, digest) = reference_digests::recorded().swap_remove(1);
    fs::copy(program(target), project.path().join("venvtree")).unwrap();
    let mut chroot = Command::new("chroot");
    chroot.arg(project.path()).args(["/venvtree", "build", "/env.json", "--out", "/out"]);
    succeeds(chroot.args(["--no-store", "--quiet"]));
    let found = project.run(&["digest", "out"]).success();
    assert_eq!(found.trim(), digest, "{name}");
}
