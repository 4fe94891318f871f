//! Hostile and odd wheels: every case of `testdata/malformed` gets exactly the findings that it
//! says.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use venvtree::effects::host::file_hash::FileHash;
use venvtree::effects::wheels::inspect::inspect_wheel;
use venvtree::effects::wheels::load::{LoadOptions, WheelError, load};
use venvtree::model::finding::{Code, Finding, Severity};
use venvtree::model::wheel::filename::WheelFilename;

use crate::support::malformed::{Recipe, corpus};

fn write(folder: &Utf8Path, bytes: &[u8]) -> Utf8PathBuf {
    let path = folder.join("wheel");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn inspect(recipe: &Recipe, folder: &Utf8Path) -> Vec<Finding> {
    inspect_wheel(&write(folder, &recipe.build()), recipe.filename(), &LoadOptions::default())
        .unwrap()
}

#[test]
fn every_case_of_the_corpus_has_its_findings() {
    let (_guard, folder) = temporary();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, recipe) in corpus() {
        let findings = inspect(&recipe, &folder);
        let found: BTreeSet<String> =
            findings.iter().map(|finding| finding.code.text().to_owned()).collect();
        let expected: BTreeSet<String> = recipe.expect.iter().cloned().collect();
        if found != expected {
            let list: String = findings.iter().map(|finding| format!("\n    {finding}")).collect();
            wrong.push(format!("{file}: {}: expected {expected:?}{list}", recipe.name));
        }
        seen.extend(found);
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    // Those that need a file that changes, terabytes, or a compiler, have tests of their own.
    let elsewhere =
        [Code::ZipChanged, Code::ZipLimitSize, Code::ZipLimitRatio, Code::BytecodeUncompilable];
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !elsewhere.contains(code))
        .map(|code| code.text())
        .filter(|code| !seen.contains(*code))
        .collect();
    assert!(missing.is_empty(), "codes without a case: {missing:?}");
}

#[test]
fn what_is_refused_is_what_has_errors() {
    let (_guard, folder) = temporary();
    for (file, recipe) in corpus() {
        let Ok(filename) = WheelFilename::parse(recipe.filename()) else {
            continue;
        };
        let path = write(&folder, &recipe.build());
        let inspected = inspect_wheel(&path, recipe.filename(), &LoadOptions::default()).unwrap();
        let has_errors = inspected.iter().any(|finding| finding.severity == Severity::Error);
        // Loading does not read what RECORD vouches for; whoever uses a member reads it then.
        let refused = match load(&path, &filename, &LoadOptions::default()) {
            Err(WheelError::Refused { findings, .. }) => {
                assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
                true
            }
            Err(error) => panic!("{error}"),
            Ok(wheel) => venvtree::effects::wheels::inflate::with_inflater(|inflater| {
                wheel.manifest.members.iter().any(|member| {
                    let mut hasher = venvtree::model::digest::Hasher::new(
                        venvtree::model::digest::DigestFunction::Sha256,
                    );
                    let mut sink = |bytes: &[u8]| {
                        hasher.update(bytes);
                        Ok::<(), WheelError>(())
                    };
                    wheel.stream(inflater, member, &mut sink).is_err()
                        || hasher.finish().hash != member.sha256
                })
            }),
        };
        // Whether a script can be rewritten is found out by whoever rewrites it, and what may lie
        // where by the planner.
        let only_planned = inspected
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .all(|finding| matches!(finding.code, Code::ScriptForm | Code::StartupInterpreter));
        assert!(refused == has_errors || only_planned, "{file}: {}: {inspected:?}", recipe.name);
    }
}

#[test]
fn the_escape_hatch_lets_a_code_pass_and_says_so() {
    let (_guard, folder) = temporary();
    let possible = |code: &str| code.parse::<Code>().unwrap().allowance().is_possible();
    let mut tried = BTreeSet::new();
    for (file, recipe) in corpus() {
        if !recipe.expect.iter().all(|code| possible(code)) || recipe.expect.is_empty() {
            continue;
        }
        let allow: BTreeSet<Code> =
            recipe.expect.iter().map(|code| code.parse().unwrap()).collect();
        let options = LoadOptions { allow: allow.clone(), ..LoadOptions::default() };
        let path = write(&folder, &recipe.build());
        let findings = inspect_wheel(&path, recipe.filename(), &options).unwrap();
        // Behind what passes, more may come to light.
        if findings.iter().any(|finding| !allow.contains(&finding.code)) {
            continue;
        }
        for finding in &findings {
            assert!(
                finding.allowed && finding.severity <= Severity::Warning,
                "{file}: {}: {finding}",
                recipe.name
            );
        }
        assert!(!findings.is_empty(), "{file}: {}: passes in silence", recipe.name);
        // What passes can be used.
        let wheel =
            load(&path, &WheelFilename::parse(recipe.filename()).unwrap(), &options).unwrap();
        venvtree::effects::wheels::inflate::with_inflater(|inflater| {
            for member in &wheel.manifest.members {
                let mut sink = |_: &[u8]| Ok::<(), WheelError>(());
                wheel
                    .stream(inflater, member, &mut sink)
                    .unwrap_or_else(|error| panic!("{file}: {}: {error:?}", recipe.name));
            }
        });
        tried.extend(allow);
    }
    let untried: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| {
            possible(code.text()) && code.severity() == Severity::Error && !tried.contains(code)
        })
        .map(|code| code.text())
        .collect();
    assert!(untried.is_empty(), "codes that could be allowed, without a case: {untried:?}");
}

/// An archive by the `zip` crate, without anything that a wheel has.
fn archive(members: &[(&str, &[u8])], repeat: usize) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for round in 0..repeat {
        for (name, bytes) in members {
            writer
                .start_file(format!("{name}{round}"), zip::write::SimpleFileOptions::default())
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn has(findings: &[Finding], code: Code) -> bool {
    findings.iter().any(|finding| finding.code == code && finding.severity == Severity::Error)
}

#[test]
fn bombs_are_refused_by_what_they_say_and_by_what_they_yield() {
    let (_guard, folder) = temporary();
    let zeros = vec![0; 8 << 20];
    let bytes = archive(&[("zeros", &zeros)], 12);
    let path = write(&folder, &bytes);
    let check = |change: &dyn Fn(&mut LoadOptions), code: Code| {
        let mut options = LoadOptions::default();
        change(&mut options);
        let findings = inspect_wheel(&path, "demo-1.0-py3-none-any.whl", &options).unwrap();
        assert!(has(&findings, code), "{code}: {findings:?}");
    };
    // 96 MiB from less than 100 KiB.
    check(&|_| {}, Code::ZipLimitRatio);
    check(&|options| options.limits.total_size = 64 << 20, Code::ZipLimitSize);
    check(&|options| options.limits.member_size = 4 << 20, Code::ZipLimitSize);
    check(&|options| options.limits.entries = 11, Code::ZipLimitEntries);
    check(&|options| options.limits.depth = 0, Code::PathDepth);
    let nested = archive(&[("a/b/c", b""), ("a/b-/c", b""), ("a-/b", b""), ("a/b/d", b"")], 1);
    let folders = |limit: u64| {
        let mut options = LoadOptions::default();
        options.limits.folders = limit;
        let (_guard, folder) = temporary();
        has(
            &inspect_wheel(&write(&folder, &nested), "demo-1.0-py3-none-any.whl", &options)
                .unwrap(),
            Code::ZipLimitEntries,
        )
    };
    // a, a-, a/b, a/b-
    assert!(folders(3) && !folders(4));
    check(&|options| options.limits.name_length = 3, Code::PathLength);
}

#[test]
fn a_member_never_yields_more_than_it_says() {
    use venvtree::effects::wheels::inflate::Inflater;
    use venvtree::effects::wheels::member::{MemberError, MemberRef};
    let (_guard, folder) = temporary();
    // Both headers say 10 bytes, the stream holds 64 MiB of zeros.
    let text = r#"{"about": "", "cases": [{"name": "liar", "expect": [], "members":
        [{"name": "demo/zeros", "content": {"zeros": 67108864}, "both": {"size": 10}}]}]}"#;
    let corpus: crate::support::malformed::Corpus = serde_json::from_str(text).unwrap();
    let path = write(&folder, &corpus.cases[0].build());
    let mut findings = venvtree::model::finding::Findings::new();
    let (file, entries) = venvtree::effects::wheels::zip_file::open(
        &path,
        &LoadOptions::default().limits,
        &mut findings,
    )
    .unwrap();
    let entry = entries.iter().find(|entry| &*entry.name == "demo/zeros").unwrap();
    let mut seen = 0;
    let mut sink = |bytes: &[u8]| {
        seen += bytes.len();
        Ok::<(), MemberError>(())
    };
    let error = Inflater::default()
        .stream(MemberRef::new(&file, entry), &mut findings, &mut sink)
        .unwrap_err();
    assert!(matches!(error, MemberError::Unsound(found) if has(&found, Code::ZipSize)));
    assert!(seen <= 10, "{seen}");
}

fn one(case: &str) -> Recipe {
    let text = format!(r#"{{"about": "", "cases": [{case}]}}"#);
    serde_json::from_str::<crate::support::malformed::Corpus>(&text)
        .unwrap()
        .cases
        .into_iter()
        .next()
        .unwrap()
}

#[test]
fn members_too_large_for_one_read_are_judged_as_small_ones_are() {
    let (_guard, folder) = temporary();
    // That so large a `.pth` file is not looked at whole is not what this is about.
    let codes = |case: String| -> Vec<&str> {
        let found = inspect(&one(&case), &folder);
        found
            .iter()
            .map(|finding| finding.code.text())
            .filter(|code| *code != "startup.import")
            .collect()
    };
    for method in [0, 8, 93] {
        for name in ["demo/large.txt", "large.pth"] {
            let member = |more: &str| {
                format!(
                    r#"{{"members": [{{"name": "{name}", "content": {{"repeat": "demo/x\n", "times": 300000}}, "method": {method}{more}}}]}}"#
                )
            };
            assert_eq!(codes(member("")), <[&str; 0]>::default(), "{name} {method}");
            assert_eq!(
                codes(member(r#", "descriptor": 16"#)),
                <[&str; 0]>::default(),
                "{name} {method}"
            );
            assert_eq!(
                codes(member(r#", "both": {"crc32": 7}"#)),
                ["zip.checksum"],
                "{name} {method}"
            );
            assert_eq!(
                codes(member(r#", "descriptor": 16, "descriptor_crc32": "+1""#)),
                ["zip.descriptor"],
                "{name} {method}"
            );
            assert_eq!(
                codes(member(r#", "local": {"crc32": 7}"#)),
                ["zip.header-conflict"],
                "{name} {method}"
            );
        }
    }
    // A signature that lies across two of the portions in which the bytes are read, and nowhere
    // else.
    let unit = format!("\\u0007\\b{}PK", "x".repeat((128 << 10) - 4));
    let member = |descriptor: &str| {
        format!(
            r#"{{"members": [{{"name": "demo/a", "content": {{"repeat": "{unit}", "times": 9}}, "method": 0{descriptor}}}]}}"#
        )
    };
    assert_eq!(codes(member("")), <[&str; 0]>::default());
    assert_eq!(codes(member(r#", "descriptor": 16"#)), ["zip.descriptor-stored"]);
}

#[test]
fn an_archive_that_is_no_wheel_at_all_is_read_to_its_end() {
    let (_guard, folder) = temporary();
    let path = write(&folder, &archive(&[("a/b", b"some bytes"), ("c", b"")], 1));
    let codes = |path: &Utf8Path| -> Vec<&str> {
        let findings = inspect_wheel(path, "archive.zip", &LoadOptions::default()).unwrap();
        findings.iter().map(|finding| finding.code.text()).collect()
    };
    assert_eq!(codes(&path), ["metadata.filename", "metadata.dist-info-missing"]);
    let mut damaged = std::fs::read(&path).unwrap();
    let at = damaged.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    // The checksum in the directory and that in the header no longer agree.
    damaged[at + 16] ^= 1;
    assert_eq!(
        codes(&write(&folder, &damaged)),
        ["zip.header-conflict", "metadata.filename", "metadata.dist-info-missing"]
    );
}

#[test]
fn a_file_that_changes_is_noticed() {
    let (_guard, folder) = temporary();
    let (_, recipe) = corpus().into_iter().find(|(_, recipe)| recipe.name == "plain").unwrap();
    let path = write(&folder, &recipe.build());
    let wheel =
        load(&path, &WheelFilename::parse(recipe.filename()).unwrap(), &LoadOptions::default())
            .unwrap();
    let digest = venvtree::model::digest::Hash::sha256(&recipe.build());
    wheel.check_digest(&FileHash::new(wheel.input().unwrap()), &digest).unwrap();
    let mut other = recipe.build();
    other[100] ^= 1;
    std::fs::write(&path, &other).unwrap();
    assert!(matches!(
        wheel.check_digest(&FileHash::new(wheel.input().unwrap()), &digest),
        Err(WheelError::Input(_))
    ));
    assert!(matches!(wheel.check_unchanged(), Err(WheelError::Input(_))));
}

/// The peak memory, in KiB, of a check of the wheel at `path`.
fn peak_memory(path: &Utf8Path) -> u64 {
    const MEASURE: &str = "import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let python = &crate::support::interpreters()[0].path;
    let command = [
        env!("CARGO_BIN_EXE_venvtree"),
        "wheel",
        "check",
        "--name",
        "demo-1.0-py3-none-any.whl",
        path.as_str(),
    ];
    let output = std::process::Command::new(python)
        .args(["-I", "-c", MEASURE])
        .args(command)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn bombs_do_not_fill_memory() {
    let (_guard, folder) = temporary();
    // The pages of the program itself count, too, and of a build with debug assertions are many.
    let base = peak_memory(&write(&folder, &archive(&[("demo/empty", b"")], 1)));
    let check = |what: &str, bytes: &[u8], entries: u64| {
        let peak = peak_memory(&write(&folder, bytes));
        assert!(
            peak > 1000 && peak <= base + 48 * 1024 + entries,
            "{what}: {peak} KiB over {base}"
        );
    };
    check("one member of 128 MiB of zeros", &archive(&[("zeros", &vec![0; 128 << 20])], 1), 1);
    check("many entries", &archive(&[("demo/empty", b"")], 10_000), 10_000);
    check("many entries with bad names", &archive(&[("../\u{1}\\", b"")], 10_000), 10_000);
    let recipe = |text: &str| -> Vec<u8> {
        let text = format!(r#"{{"about": "", "cases": [{text}]}}"#);
        serde_json::from_str::<crate::support::malformed::Corpus>(&text).unwrap().cases[0].build()
    };
    check(
        "a RECORD of 48 MiB",
        &recipe(r#"{"record": {"repeat": "a,b\n", "times": 12000000}}"#),
        4,
    );
    check(
        "a RECORD of a million bad rows",
        &recipe(r#"{"record": {"repeat": "a,b\n", "times": 1000000}}"#),
        4,
    );
    check("METADATA of 100 MiB", &recipe(r#"{"metadata": {"zeros": 100000000}}"#), 4);
    check(
        "entry points without end",
        &recipe(r#"{"entry_points": {"repeat": "[console_scripts]\nx\n", "times": 400000}}"#),
        5,
    );
    let scripts: String = (0..300_000).map(|index| format!("x{index} = demo:main\n")).collect();
    let scripts = serde_json::to_string(&format!("[console_scripts]\n{scripts}")).unwrap();
    check("scripts without end", &recipe(&format!(r#"{{"entry_points": {scripts}}}"#)), 5);
    let version = serde_json::to_string(&format!(
        "Metadata-Version: 2.1\nName: demo\nVersion: {}1\n",
        "1.".repeat(2_000_000)
    ))
    .unwrap();
    check("a version without end", &recipe(&format!(r#"{{"metadata": {version}}}"#)), 4);
    let script = r##"{"name": "demo-1.0.data/scripts/NAME", "content": {"repeat": "#!python\n", "times": 800000}}"##;
    let scripts: Vec<String> =
        (0..16).map(|index| script.replace("NAME", &format!("x{index}"))).collect();
    check("large scripts", &recipe(&format!(r#"{{"members": [{}]}}"#, scripts.join(","))), 20);
    let deep: Vec<(String, &[u8])> =
        (0..4000).map(|index| (format!("d{index}/").repeat(60) + "x", &b""[..])).collect();
    let deep: Vec<(&str, &[u8])> =
        deep.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    check("many folders", &archive(&deep, 1), 4000);
    check(
        "zstd",
        &recipe(
            r#"{"members": [{"name": "demo/zeros", "content": {"zeros": 134217728}, "method": 93}]}"#,
        ),
        5,
    );
    check(
        "a stream that yields more than it says",
        &recipe(
            r#"{"members": [{"name": "demo/zeros", "content": {"zeros": 80000000}, "both": {"size": 10}}]}"#,
        ),
        5,
    );
}

#[test]
fn many_small_things_together_do_not_fill_memory_or_reports() {
    let (_guard, folder) = temporary();
    let metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";
    let check = |what: &str, field: &str, text: String| {
        let text = format!(
            r#"{{"about": "", "cases": [{{"{field}": {}}}]}}"#,
            serde_json::to_string(&text).unwrap()
        );
        let recipe =
            &serde_json::from_str::<crate::support::malformed::Corpus>(&text).unwrap().cases[0];
        let path = write(&folder, &recipe.build());
        let peak = peak_memory(&path);
        assert!(peak > 1000 && peak <= 64 * 1024, "{what}: {peak} KiB");
        let printed: usize =
            inspect(recipe, &folder).iter().map(|finding| finding.to_string().len()).sum();
        assert!(printed < 64 << 10, "{what}: {printed} bytes of findings");
    };
    let set = (0..900).map(|index| format!("p{index}")).collect::<Vec<_>>().join(".");
    check(
        "tags",
        "wheel",
        format!(
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n{}",
            format!("Tag: {set}-none-any\n").repeat(1000)
        ),
    );
    check(
        "other tags",
        "wheel",
        format!("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {set}-none-any\n"),
    );
    let long = |letter: char| {
        (0..10)
            .map(|index| format!("{letter}{index}{}", "x".repeat(250_000)))
            .collect::<Vec<_>>()
            .join(".")
    };
    check(
        "long tags",
        "wheel",
        format!(
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {}-{}-{}\n",
            long('a'),
            long('b'),
            long('c')
        ),
    );
    check("headers", "metadata", format!("{metadata}{}", "X:\n".repeat(2_000_000)));
    check(
        "lines that are no headers",
        "metadata",
        format!("{metadata}{}", "x\n".repeat(2_000_000)),
    );
    check(
        "one range of versions",
        "metadata",
        format!("{metadata}Requires-Python: {}>=1\n", ">=1,".repeat(1_500_000)),
    );
    check(
        "a long requirement",
        "metadata",
        format!("{metadata}Requires-Dist: {}\n", "x".repeat(6_000_000)),
    );
    check(
        "specifiers",
        "metadata",
        format!("{metadata}{}", format!("Requires-Dist: a{}>=1\n", ">=1,".repeat(4000)).repeat(65)),
    );
    check(
        "markers",
        "metadata",
        format!(
            "{metadata}{}",
            format!("Requires-Dist: a;os_name==''{}\n", " or os_name==''".repeat(1000)).repeat(65)
        ),
    );
    check("rows", "record", "a,,\n".repeat(1_000_000));
}
