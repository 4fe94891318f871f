//! Mutated specs and wheels: whatever is done to them, no panic, and no output but a whole one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::project::{Project, WheelText, some_interpreter};

/// The same numbers in every run: xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }
}

/// Changes a few bytes: flips, removes, repeats, overwrites with a telling value.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    const TELLING: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'/', b'.', b'\\', b'"', b'\n', b'{', b','];
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
            1 if !bytes.is_empty() => bytes[at] = TELLING[numbers.below(TELLING.len())],
            2 => {
                let end = (at + numbers.below(16)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            3 => {
                let end = (at + numbers.below(16)).min(bytes.len());
                let part = bytes[at.min(end)..end].to_vec();
                let to = numbers.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
}

/// Builds with a mutated input; the output must be whole or not there, and nothing may be left
/// beside it.
fn check(project: &Project, what: &str) {
    let outcome =
        catch_unwind(AssertUnwindSafe(|| project.build("out").manifest("m.json").threads(1).run()));
    let Ok(output) = outcome else { panic!("{what} makes it panic; see {}", project.path()) };
    let out = project.path().join("out");
    if output.code == 0 {
        project.run(&["verify", "out", "--manifest", "m.json"]).success();
        std::fs::remove_dir_all(&out).unwrap();
    } else {
        assert!(!out.exists(), "{what}");
        assert!(
            output.stderr.starts_with("error: ") && output.stderr.len() > 12,
            "{what}: {}",
            output.stderr
        );
    }
    assert_eq!(project.left_over(), Vec::<String>::new(), "{what} leaves something behind");
}

fn mutate_specs(count: usize) {
    let folder = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/specs/ok");
    let mut seeds: Vec<Vec<u8>> = folder
        .read_dir_utf8()
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    let project = Project::new();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 0..count {
        let mut bytes = seeds[round % seeds.len()].clone();
        mutate(&mut bytes, &mut numbers);
        project.write("env.json", &bytes);
        check(&project, &format!("spec {round}"));
    }
}

fn mutate_wheels(count: usize) {
    let project = Project::new();
    let text = WheelText::new("demo", "1.0")
        .metadata("Requires-Dist: other>=1; python_version < '4'")
        .file("demo/__init__.py", "x = 1\n".repeat(20))
        .executable("demo-1.0.data/scripts/tool", "#!python\nprint(1)\n")
        .file("demo-1.0.data/data/share/x", "")
        .console_scripts("demo = demo:main");
    let packed = text.pack();
    let path = format!("wheels/{}", text.file_name());
    let mut wheel = project.wheel(&text);
    wheel.as_object_mut().unwrap().remove("sha256");
    project.spec(some_interpreter(), &[wheel], |spec| {
        spec["flags"] = serde_json::json!({"input_digests": "trusted"})
    });
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for round in 0..count {
        let mut bytes = packed.clone();
        mutate(&mut bytes, &mut numbers);
        project.write(&path, &bytes);
        check(&project, &format!("wheel {round}"));
    }
}

#[test]
fn mutated_specs_are_built_whole_or_refused() {
    mutate_specs(2_000);
}

#[test]
fn mutated_wheels_are_built_whole_or_refused() {
    mutate_wheels(2_000);
}

#[test]
#[ignore = "takes minutes: cargo test --release --test it -- --ignored mutations::"]
fn fifty_thousand_mutated_specs_are_built_whole_or_refused() {
    mutate_specs(50_000);
}

#[test]
#[ignore = "takes minutes: cargo test --release --test it -- --ignored mutations::"]
fn fifty_thousand_mutated_wheels_are_built_whole_or_refused() {
    mutate_wheels(50_000);
}
