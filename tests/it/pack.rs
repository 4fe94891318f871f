//! `pack` and `wheel pack`: what comes out of an archive is what `build` writes, and other programs
//! can read it.

use std::process::Command;

use camino::Utf8Path;
use serde_json::Value;
use venvtree::effects::sink::archive::ArchiveFormat;

use crate::support::commands::succeed;
use crate::support::peers;
use crate::support::project::{Project, WheelText, listing, some_interpreter, venvtree_with};
use crate::support::random::Random;

/// A project whose environment has all that archives treat in their own way: long and non-ASCII
/// names, programs, links, an empty file.
fn project() -> Project {
    let project = Project::new();
    let wheel = WheelText::new("sample", "1.0")
        .file("sample/__init__.py", "")
        .file(&format!("sample/{}/{}.py", "d".repeat(120), "f".repeat(130)), "x = 1\n")
        .file("sample/ü.txt", "text\n")
        .file("sample/large.bin", vec![7; 300_000])
        .executable("sample-1.0.data/scripts/run", "#!python\nprint(1)\n")
        .console_scripts("sample = sample:main");
    let wheel = project.wheel(&wheel);
    project.spec(some_interpreter(), &[wheel], |_| ());
    project
}

fn unpack(project: &Project, program: &str, arguments: &[&str], into: &str) -> Vec<String> {
    let directory = project.path().join(into);
    std::fs::create_dir(&directory).unwrap();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(&directory)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    listing(directory.as_std_path())
}

#[test]
fn archives_hold_what_a_build_writes() {
    let project = project();
    project.run(&["build", "env.json", "--out", "env"]).success();
    let built = listing(project.path().join("env").as_std_path());
    for format in ArchiveFormat::ALL {
        let (program, options) = match format {
            ArchiveFormat::Tar => ("tar", "-xf"),
            ArchiveFormat::TarGz => ("tar", "-xzf"),
            ArchiveFormat::TarZst | ArchiveFormat::Zip => ("bsdtar", "-xf"),
        };
        let format = format.name();
        let arguments = [options, &format!("../env.{format}")];
        let archive = format!("env.{format}");
        project.run(&["pack", "env.json", "--out", &archive]).success();
        let bytes = std::fs::read(project.path().join(&archive)).unwrap();
        assert_eq!(
            unpack(&project, program, &arguments, &format!("unpacked-{format}")),
            built,
            "{format}"
        );
        // The directory makes the same archive as the spec.
        project.run(&["pack", "env", "--out", &format!("again.{format}")]).success();
        assert!(
            std::fs::read(project.path().join(format!("again.{format}"))).unwrap() == bytes,
            "{format}"
        );
        // And through standard output, with a name that does not say the format.
        let output = Command::new(env!("CARGO_BIN_EXE_venvtree"))
            .args(["pack", "env.json", "--out", "-", "--archive-format", format])
            .env_remove("SOURCE_DATE_EPOCH")
            .current_dir(project.path())
            .output()
            .unwrap();
        assert!(output.stdout == bytes, "{format}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Whoever adds a format is reminded of where people look for it.
#[test]
fn the_help_and_the_rules_name_every_format() {
    let names = ArchiveFormat::ALL.map(ArchiveFormat::name);
    let help = Project::new().run(&["pack", "--help"]).success();
    let (last, others) = names.split_last().unwrap();
    let text = format!("{} or {last}", others.join(", "));
    assert!(help.contains(&text), "expected {text:?} in:\n{help}");
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let attributes = root.join("rules/common/attributes.bzl");
    let rules = std::fs::read_to_string(&attributes).unwrap();
    let values = names.map(|name| format!("{name:?}")).join(", ");
    assert!(rules.contains(&format!("values = [{values}]")), "{attributes}: expected {values}");
}

/// What a compressor makes depends on how it is fed, and large files come in other parts from a
/// wheel, a directory, a store or a thread.
#[test]
fn a_spec_and_its_directory_make_equal_archives_whatever_the_sizes() {
    let project = Project::new();
    let mut random = Random::new(7);
    let words: Vec<Vec<u8>> = (0..3000)
        .map(|_| (0..3 + random.below(9)).map(|_| random.below(256) as u8).collect())
        .collect();
    // Some words often, most seldom: what compresses in part.
    let mut text = |size: usize| {
        let mut bytes = Vec::with_capacity(size + 16);
        while bytes.len() < size {
            let most = 1 + random.below(words.len());
            bytes.extend_from_slice(&words[random.below(most)]);
        }
        bytes.truncate(size);
        bytes
    };
    let mut wheel = WheelText::new("sample", "1.0");
    for size in [
        0, 1, 511, 512, 513, 32_767, 32_768, 65_535, 65_536, 65_537, 131_072, 131_073, 262_144,
        1_000_003, 3_000_001, 9_437_185,
    ] {
        wheel = wheel.file(&format!("sample/{size}.bin"), text(size));
    }
    let wheel = project.wheel(&wheel);
    project.spec(some_interpreter(), &[wheel], |_| ());
    project.run(&["build", "env.json", "--out", "env", "--store", "store"]).success();
    for format in ArchiveFormat::ALL.map(ArchiveFormat::name) {
        let mut archives = Vec::new();
        for threads in ["1", "2", "8"] {
            for subject in ["env.json", "env"] {
                let out = format!("{threads}-{subject}.{format}");
                project.run(&["pack", subject, "--out", &out, "--threads", threads]).success();
                archives.push(std::fs::read(project.path().join(&out)).unwrap());
            }
        }
        assert!(archives.windows(2).all(|pair| pair[0] == pair[1]), "{format}");
    }
}

#[test]
fn a_prefix_is_a_directory_around_everything() {
    let project = project();
    project.run(&["pack", "env.json", "--out", "env.tar", "--prefix", "/opt/app/"]).success();
    let output =
        Command::new("tar").args(["-tf", "env.tar"]).current_dir(project.path()).output().unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    assert!(names.starts_with("opt/\nopt/app/\nopt/app/bin/\n"), "{names}");
    assert!(names.lines().all(|name| name.starts_with("opt/")), "{names}");
}

#[test]
fn times_are_those_of_the_spec_or_of_source_date_epoch() {
    let project = project();
    let time = |archive: &str| {
        let mut archive =
            tar::Archive::new(std::fs::File::open(project.path().join(archive)).unwrap());
        let times: Vec<u64> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().header().mtime().unwrap())
            .collect();
        assert!(times.windows(2).all(|pair| pair[0] == pair[1]), "{times:?}");
        times[0]
    };
    project.run(&["pack", "env.json", "--out", "spec.tar"]).success();
    assert_eq!(time("spec.tar"), 315_619_200);
    let arguments = ["pack", "env.json", "--out", "epoch.tar"];
    let output =
        venvtree_with(project.path(), &arguments, "", &[("SOURCE_DATE_EPOCH", "1000000000")]);
    output.says("SOURCE_DATE_EPOCH");
    output.success();
    assert_eq!(time("epoch.tar"), 1_000_000_000);
    let output =
        venvtree_with(project.path(), &arguments, "", &[("SOURCE_DATE_EPOCH", "yesterday")]);
    assert_eq!(output.code, 2, "{}", output.stderr);
}

#[test]
fn what_cannot_be_packed_leaves_no_archive() {
    let project = project();
    let refused = |arguments: &[&str], code, part: &str| {
        let output = project.run(arguments);
        output.ends(code, part);
        assert!(!project.path().join("out.tar").exists());
    };
    refused(&["pack", "env.json", "--out", "out.archive"], 2, "does not say which format");
    refused(
        &["pack", "env.json", "--out", "out.tar", "--prefix", "../up"],
        2,
        "the prefix `../up`",
    );
    let spec = std::fs::read_to_string(project.path().join("env.json")).unwrap();
    let mut spec: Value = serde_json::from_str(&spec).unwrap();
    spec["wheels"][0]["sha256"] = Value::String("0".repeat(64));
    project.write("wrong.json", spec.to_string());
    refused(&["pack", "wrong.json", "--out", "out.tar"], 6, "expected 0000000");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        project.path().join("pipe").as_std_path(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::fs::create_dir(project.path().join("odd")).unwrap();
    std::fs::rename(project.path().join("pipe"), project.path().join("odd/pipe")).unwrap();
    refused(&["pack", "odd", "--out", "out.tar"], 2, "odd/pipe");
}

fn pack_wheel(project: &Project, name: &str) -> Vec<u8> {
    project.write("METADATA", "Metadata-Version: 2.1\nName: Sample.Wheel\nVersion: 1.0\n");
    project.write("README.md", "# Sample\n");
    project.write("entry_points.txt", "[console_scripts]\nsample = sample:main\n");
    project.write("src/sample.py", "def main():\n    print('sample')\n");
    project.write("src/data, with comma.txt", "data\n");
    let texts =
        ["--metadata=METADATA", "--description=README.md", "--entry-points=entry_points.txt"];
    let files = [
        "--file=sample.py=src/sample.py",
        "--file=sample_data/data, with comma.txt=src/data, with comma.txt",
    ];
    project.run(&[&["wheel", "pack", "--out", name], &texts[..], &files].concat()).success();
    std::fs::read(project.path().join(name)).unwrap()
}

#[test]
fn a_packed_wheel_is_sound_to_pip_and_to_us() {
    let project = Project::new();
    let name = "sample_wheel-1.0-py3-none-any.whl";
    let bytes = pack_wheel(&project, name);
    assert!(bytes == pack_wheel(&project, name));
    project.run(&["wheel", "check", "--fail-on", "warning", name]).success();
    let program = "import sys, json, importlib.metadata, installer.sources\n\
        with installer.sources.WheelFile.open(sys.argv[1]) as wheel:\n    \
            wheel.validate_record()\n    \
            print(wheel.distribution, wheel.version, sorted(str(name) for name in wheel.dist_info_filenames))\n";
    let mut python = Command::new(peers::peer("python"));
    assert_eq!(
        succeed(python.args(["-c", program, name]).current_dir(project.path())),
        "sample_wheel 1.0 ['METADATA', 'RECORD', 'WHEEL', 'entry_points.txt']\n"
    );
    let directory = project.path().join("target");
    let mut pip = Command::new(peers::peer("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"])
        .args([&directory, &project.path().join(name)]);
    succeed(&mut pip);
    let read = |path: &str| std::fs::read_to_string(Utf8Path::new(&directory).join(path)).unwrap();
    assert_eq!(read("sample_data/data, with comma.txt"), "data\n");
    assert!(read("sample_wheel-1.0.dist-info/METADATA").ends_with("Version: 1.0\n\n# Sample\n"));
}

#[test]
fn wheel_pack_refuses_what_makes_no_wheel() {
    let project = Project::new();
    project.write("METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1\n");
    let refused = |out: &str, file: &str, part: &str| {
        let output =
            project.run(&["wheel", "pack", "--out", out, "--metadata", "METADATA", "--file", file]);
        output.ends(2, part);
    };
    refused("a.whl", "a.py=METADATA", "has 1 parts");
    refused("a-1-py3-none-any.whl", "a.py", "has no `=`");
    refused("a-1-py3-none-any.whl", "../a.py=METADATA", "../a.py");
    refused(
        "a-1-py3-none-any.whl",
        "a-1.dist-info/RECORD=METADATA",
        "is made by the command itself",
    );
    let missing = [
        "wheel",
        "pack",
        "--out",
        "a-1-py3-none-any.whl",
        "--metadata",
        "METADATA",
        "--file",
        "a.py=missing",
    ];
    let output = project.run(&missing);
    assert_eq!((output.code, output.stderr.contains("missing")), (7, true), "{}", output.stderr);
    assert!(!project.path().join("a-1-py3-none-any.whl").exists());
}
