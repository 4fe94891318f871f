//! Hashes that RECORD claims and the bytes do not have: the verdict is the same whatever a cache
//! holds, and no cache remembers such a wheel as sound.

use serde_json::{Value, json};
use venvtree::model::digest::Hash;

use crate::support::project::{Output, Project, WheelText, some_interpreter};

const GOOD: &str = "ANSWER = 42 # what everybody expects\n";
const EVIL: &str = "ANSWER = 13 # what nobody asked for..\n";

/// A wheel whose RECORD claims other bytes for some of its files.
fn lying(wheel: WheelText, files: &[(&str, &str)], claims: &[(&str, &str)]) -> WheelText {
    let dist_info = wheel.dist_info();
    let texts = [
        (
            format!("{dist_info}/WHEEL"),
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned(),
        ),
        (
            format!("{dist_info}/METADATA"),
            format!(
                "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n",
                dist_info.split('-').next().unwrap()
            ),
        ),
    ];
    let files: Vec<(String, String)> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .chain(texts)
        .collect();
    let claimed = |path: &str, text: &str| {
        let claim =
            claims.iter().find(|(claimed, _)| *claimed == path).map_or(text, |(_, claim)| claim);
        Hash::sha256(claim.as_bytes())
    };
    let own = format!("{dist_info}/RECORD");
    let rows =
        files.iter().map(|(path, text)| (path.as_str(), claimed(path, text), text.len() as u64));
    let record = venvtree::model::wheel::record::render(&own, rows);
    files.iter().fold(wheel, |wheel, (path, text)| wheel.file(path, text)).file(&own, record)
}

struct Case {
    project: Project,
    alpha: Value,
    beta: Value,
    function: &'static str,
}

impl Case {
    /// `alpha` holds the good bytes; `beta` claims them and holds others, of these.
    fn new(function: &'static str, evil: &str) -> Self {
        let project = Project::new();
        let alpha = project.wheel(
            &WheelText::new("alpha", "1.0").file("alpha/x.py", GOOD).file("alpha/only.py", "1"),
        );
        let files = [("beta/x.py", evil), ("beta/y.py", "1")];
        let beta =
            project.wheel(&lying(WheelText::new("beta", "1.0"), &files, &[("beta/x.py", GOOD)]));
        Self { project, alpha, beta, function }
    }

    fn build(&self, wheels: &[&Value], prompt: &str, options: &[&str]) -> Output {
        let wheels: Vec<Value> = wheels.iter().map(|wheel| (*wheel).clone()).collect();
        self.project.spec(some_interpreter(), &wheels, |spec| {
            spec["flags"] = json!({"digest_function": self.function, "prompt": prompt});
        });
        let _ = std::fs::remove_dir_all(self.project.path().join("out"));
        self.project.run(&[&["build", "env.json", "--out", "out"], options].concat())
    }

    fn refused(&self, what: &str, wheels: &[&Value], prompt: &str, options: &[&str]) {
        let output = self.build(wheels, prompt, options);
        assert_eq!(output.code, 6, "{} {what}: {output:?}", self.function);
        let (actual, claimed) =
            (Hash::sha256(EVIL.as_bytes()).to_hex(), Hash::sha256(GOOD.as_bytes()).to_hex());
        for expected in ["beta/x.py", &claimed] {
            assert!(
                output.stderr.contains(expected),
                "{} {what}: {}",
                self.function,
                output.stderr
            );
        }
        assert!(
            output.stderr.contains(&actual) || !what.contains("same size"),
            "{what}: {}",
            output.stderr
        );
        assert!(!self.project.path().join("out").exists(), "{} {what}", self.function);
    }
}

#[test]
fn a_wheel_whose_record_lies_is_refused_whatever_the_store_holds() {
    for function in ["sha256", "blake3"] {
        let case = Case::new(function, EVIL);
        let (alpha, beta) = (&case.alpha, &case.beta);
        case.refused("without a store, same size", &[alpha, beta], "a", &["--no-store"]);
        for threads in ["1", "4"] {
            for (order, wheels) in [("alpha first", [alpha, beta]), ("beta first", [beta, alpha])] {
                let store = format!("empty-{threads}-{}", order.split(' ').next().unwrap());
                let options = ["--store", &store, "--threads", threads];
                case.refused(
                    &format!("with an empty store, same size, {order}"),
                    &wheels,
                    "a",
                    &options,
                );
                case.refused("a second time", &wheels, "a", &options);
                case.build(&[alpha], "b", &options).success();
                case.refused("the store has what is claimed", &wheels, "c", &options);
                case.refused("alone", &[beta], "d", &options);
            }
        }
    }
}

#[test]
fn members_of_one_wheel_do_not_vouch_for_each_other() {
    for function in ["sha256", "blake3"] {
        let case = Case::new(function, EVIL);
        let files = [("beta/x.py", EVIL), ("beta/true.py", GOOD), ("beta/z.py", GOOD)];
        let beta = case.project.wheel(&lying(
            WheelText::new("beta", "1.0"),
            &files,
            &[("beta/x.py", GOOD)],
        ));
        case.refused("one member is what another one claims", &[&beta], "a", &["--no-store"]);
        case.refused("one member is what another one claims", &[&beta], "a", &["--store", "store"]);
        // Known for the member that is true, and for no other of the same claim.
        let without =
            json!({"path": beta["path"], "sha256": beta["sha256"], "exclude": ["beta/x.py"]});
        case.build(&[&without], "a", &["--store", "store"]).success();
        case.build(&[&without], "b", &["--store", "store"]).success();
        case.refused("after a build without it", &[&beta], "a", &["--store", "store"]);
    }
}

#[test]
fn a_build_that_leaves_a_member_out_says_nothing_of_it() {
    for function in ["sha256", "blake3"] {
        let case = Case::new(function, EVIL);
        let without = json!({"path": case.beta["path"], "sha256": case.beta["sha256"], "exclude": ["beta/x.py"]});
        // Old enough to be known by its state, so that it is not even read again.
        std::thread::sleep(std::time::Duration::from_millis(2_100));
        for (store, wheels) in [("one", vec![&without]), ("two", vec![&case.alpha, &without])] {
            let options = ["--store", store];
            case.build(&wheels, "a", &options).success();
            case.refused("with it", &[&case.beta], "a", &options);
            case.refused("with it and what it claims", &[&case.alpha, &case.beta], "b", &options);
            case.build(&wheels, "c", &options).success();
            case.refused("again", &[&case.beta], "c", &options);
        }
    }
}

#[test]
fn a_claim_of_another_size_takes_nothing_from_the_store() {
    for function in ["sha256", "blake3"] {
        let case = Case::new(function, "SHORT = 1\n");
        let options = ["--store", "store"];
        case.build(&[&case.alpha], "a", &options).success();
        let good = || {
            let mut found = Vec::new();
            collect(&case.project.path().join("store"), &mut found);
            found
                .into_iter()
                .filter(|path| std::fs::read(path).is_ok_and(|bytes| bytes == GOOD.as_bytes()))
                .count()
        };
        assert_eq!(good(), 1);
        case.refused("of another size", &[&case.beta], "b", &options);
        case.refused(
            "of another size, with the true one",
            &[&case.alpha, &case.beta],
            "b",
            &options,
        );
        assert_eq!(good(), 1, "{function}");
        let verified = case.project.run(&["store", "verify", "--store", "store"]);
        assert!(verified.success().contains(" 0 damaged"));
    }
}

fn collect(directory: &camino::Utf8Path, found: &mut Vec<camino::Utf8PathBuf>) {
    for entry in directory.read_dir_utf8().unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            collect(entry.path(), found);
        } else {
            found.push(entry.path().to_owned());
        }
    }
}

#[cfg(feature = "remote")]
#[test]
fn nothing_of_a_refused_wheel_is_sent_to_others() {
    use crate::support::http_cache::HttpCache;
    for warm in [false, true] {
        let case = Case::new("sha256", EVIL);
        if warm {
            case.build(&[&case.alpha], "a", &["--store", "store"]).success();
        }
        let server = HttpCache::start();
        let url = server.url();
        case.refused(
            "with a remote cache",
            &[&case.alpha, &case.beta],
            "b",
            &["--store", "store", "--remote-cache", &url],
        );
        assert!(server.entries.lock().unwrap().is_empty(), "warm: {warm}");
        // And a sound one is: the server works.
        case.build(&[&case.alpha], "b", &["--store", "store", "--remote-cache", &url]).success();
        assert!(!server.entries.lock().unwrap().is_empty());
    }
}
