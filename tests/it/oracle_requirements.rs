//! Our check of requirements and pip's, of the same environments.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use venvtree::model::interpreter::{Arch, Implementation, Interpreter, Platform};
use venvtree::model::name::{DistName, PythonVersion};
use venvtree::model::requirements::{self, Distribution, RequirementProblemKind};
use venvtree::model::wheel::filename::WheelFilename;
use venvtree::model::wheel::headers::Reading;
use venvtree::model::wheel::metadata::Metadata;

use crate::support::peers::{ask_python, peer};

/// A problem that both can find: its kind, who requires, what is required.
type Problem = (&'static str, String, String);

/// The peers' interpreter, as a spec would describe it.
fn interpreter() -> Interpreter {
    let facts = ask_python(
        "import json, platform, sys; json.dump([platform.python_version(), platform.machine()], sys.stdout)",
        &json!(null),
    );
    Interpreter {
        implementation: Implementation::CPython,
        version: PythonVersion::parse(facts[0].as_str().unwrap().trim_end_matches('+')).unwrap(),
        abi: "unused".into(),
        platform: Platform::Linux {
            arch: Arch::parse(facts[1].as_str().unwrap()).unwrap(),
            libc: None,
        },
    }
}

/// What we say of the distributions in a folder.
fn ours(site_packages: &Path) -> BTreeSet<Problem> {
    let mut all = Vec::new();
    for entry in fs::read_dir(site_packages).unwrap() {
        let path = entry.unwrap().path().join("METADATA");
        if path.is_file() {
            let filename = WheelFilename::parse("any-1-py3-none-any.whl").unwrap();
            let Reading { value, errors } = Metadata::parse(&fs::read(&path).unwrap(), &filename);
            assert_eq!(errors, [], "{}", path.display());
            all.extend(value);
        }
    }
    assert!(!all.is_empty());
    let distributions: Vec<_> = all
        .iter()
        .map(|metadata| Distribution {
            name: &metadata.name,
            version: &metadata.version,
            requires_dist: &metadata.requires_dist,
            provides_extra: &metadata.provides_extra,
        })
        .collect();
    let name = |text: &str| {
        text.split(|character: char| !character.is_alphanumeric() && !"-_.".contains(character))
            .next()
            .unwrap()
            .to_owned()
    };
    requirements::check(&distributions, &interpreter())
        .into_iter()
        // pip does not look at extras.
        .filter(|problem| problem.extra.is_none())
        .filter_map(|problem| {
            let kind = match problem.kind {
                RequirementProblemKind::Missing => "missing",
                RequirementProblemKind::Conflict { .. } => "conflict",
                RequirementProblemKind::NoExtra { .. } => return None,
                other => panic!("{}{other}", problem.requirement),
            };
            let required = DistName::parse(&name(&problem.requirement)).unwrap();
            Some((
                kind,
                problem.distribution.normalized().to_owned(),
                required.normalized().to_owned(),
            ))
        })
        .collect()
}

/// What `pip check` says of an environment, by the texts of its messages.
fn theirs(python: &Path) -> BTreeSet<Problem> {
    let output = Command::new(peer("python"))
        .args(["-I", "-m", "pip", "--python"])
        .arg(python)
        .args(["check"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut problems = BTreeSet::new();
    let normalize = |name: &str| DistName::parse(name).unwrap().normalized().to_owned();
    for line in text.lines() {
        let (who, what) = line.split_once(' ').unwrap();
        if let Some((_, rest)) = what.split_once(" requires ") {
            let required =
                rest.strip_suffix(", which is not installed.").unwrap_or_else(|| panic!("{line}"));
            problems.insert(("missing", normalize(who), normalize(required)));
        } else if let Some((_, rest)) = what.split_once(", but you have ") {
            problems.insert((
                "conflict",
                normalize(who),
                normalize(rest.split(' ').next().unwrap()),
            ));
        } else {
            assert!(line.starts_with("No broken requirements"), "{line}");
        }
    }
    assert_eq!(
        output.status.success(),
        problems.is_empty(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    problems
}

fn site_packages(python: &Path) -> std::path::PathBuf {
    let output = Command::new(python)
        .args(["-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

#[test]
fn pip_finds_the_same_problems_in_an_environment_of_real_packages() {
    let python = peer("python");
    assert_eq!(ours(&site_packages(&python)), theirs(&python));
}

#[test]
fn pip_finds_the_same_problems_in_a_broken_environment() {
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("env");
    let made = Command::new(peer("python"))
        .args(["-I", "-m", "venv", "--without-pip"])
        .arg(&environment)
        .status()
        .unwrap();
    assert!(made.success());
    let python = environment.join("bin/python");
    let site_packages = site_packages(&python);
    let distributions: &[(&str, &str, &[&str])] = &[
        (
            "alpha",
            "1.0",
            &[
                "beta",
                "gamma>=2",
                "Missing.One",
                "missing-two ; sys_platform == 'linux'",
                "missing-three ; sys_platform == 'win32'",
            ],
        ),
        (
            "beta",
            "2.0b1",
            &[
                "alpha<1",
                "gamma (==1.5.*)",
                "missing-four ; extra == 'x'",
                "delta[y]>0 ; python_version >= '3.8'",
            ],
        ),
        (
            "gamma",
            "1.5.2+local",
            &[
                "alpha~=1.0",
                "beta>=2.0",
                "beta!=2.0b1 ; os_name == 'nt'",
                "missing-five ; python_full_version < '3'",
            ],
        ),
        (
            "Delta_Dist",
            "1",
            &["delta-dist", "delta.dist>1", "epsilon @ file:///nowhere/epsilon.whl"],
        ),
        (
            "delta",
            "1",
            &[
                "missing-six ; extra == 'y'",
                "missing-seven ; implementation_name == 'cpython' and 'x' not in platform_machine",
            ],
        ),
    ];
    for (name, version, requires) in distributions {
        let folder = site_packages.join(format!("{name}-{version}.dist-info"));
        fs::create_dir(&folder).unwrap();
        let requires: String =
            requires.iter().map(|text| format!("Requires-Dist: {text}\n")).collect();
        fs::write(
            folder.join("METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"),
        )
        .unwrap();
    }
    let ours = ours(&site_packages);
    assert_eq!(ours, theirs(&python));
    assert!(ours.len() >= 7, "{ours:?}");
}
