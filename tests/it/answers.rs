//! What every command answers, whole: for people and as JSON.

use std::collections::BTreeSet;

use camino::Utf8Path;
use clap::CommandFactory as _;
use serde_json::{Value, json};

use crate::support::fake_reapi::{FakeReapi, Offer};
use crate::support::programs::{fake_compiler, fake_interpreter};
use crate::support::project::{
    Output, Project, WheelText, compiled_spec, sample_lock, some_interpreter, venvtree_with,
};

/// What is typed for a command, and how much of its answer is kept.
struct Run {
    command: &'static str,
    arguments: &'static [&'static str],
    stdin: &'static str,
    form: Form,
}

/// What an answer looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A report, for people and as a document.
    Report,
    /// Text of one form only.
    Text,
    /// Text that other tests know whole: its first line.
    Known,
}

const fn report(command: &'static str, arguments: &'static [&'static str]) -> Run {
    Run { command, arguments, stdin: "", form: Form::Report }
}

/// One run of every command; the directory is that of [`project`].
const RUNS: [Run; 33] = [
    report("build", &["env.json", "--out", "built"]),
    report("create", &["made", "--no-seed", "--python", "bin/python3.12", "--no-vcs-ignore"]),
    report("digest", &["env.json"]),
    report("plan", &["env.json"]),
    report("key", &["env.json"]),
    report("verify", &["edited", "--manifest", "m.json"]),
    report("diff", &["env", "edited"]),
    report("pack", &["env.json", "--out", "env.tar"]),
    report("share", &["env.json", "--environments", "shared"]),
    report("store stat", &[]),
    report("store gc", &[]),
    report("store verify", &[]),
    report("push", &["env", "--remote-cache", "REMOTE"]),
    report("pull", &["DIGEST", "--out", "pulled", "--remote-cache", "REMOTE"]),
    report("wheel check", &["odd/odd-1.0-py3-none-any.whl", "wheels/sample-1.0-py3-none-any.whl"]),
    report(
        "wheel pack",
        &["--out", "app-1.0-py3-none-any.whl", "--metadata", "METADATA", "--file", "app.py=app.py"],
    ),
    report(
        "bytecode compile",
        &["wheels/sample-1.0-py3-none-any.whl", "--compiler", "bin/compiler", "--out", "overlays"],
    ),
    report(
        "bytecode check",
        &["compiled.json", "--compiler", "bin/compiler", "--tree", "compiled"],
    ),
    Run { stdin: WORK, form: Form::Text, ..report("worker", &[]) },
    report("interpreter list", &[]),
    Run { form: Form::Text, ..report("interpreter probe", &["bin/python3.12"]) },
    Run { form: Form::Known, ..report("spec schema", &[]) },
    report("spec check", &["env.json"]),
    report("spec from", &["wheels", "--for", "linux-x86_64-3.12"]),
    report("lock select", &["pylock.toml", "--target", "linux-x86_64-3.12.1"]),
    report("lock spec", &["pylock.toml", "--target", "linux-x86_64-3.12.1"]),
    report("lock fetch", &["sample.toml", "--dest", "fetched", "--target", "linux-x86_64-3.12.1"]),
    report("lock index", &["pylock.toml", "--target", "linux=linux-x86_64-3.12.1"]),
    Run { form: Form::Text, ..report("sbom", &["env.json"]) },
    report("licenses", &["env.json"]),
    report("lock pin", &["direct.txt", "--index-url", "https://index.example/simple"]),
    report("doctor", &[]),
    Run { form: Form::Known, ..report("completions", &["bash"]) },
];

const WORK: &str = "{\"arguments\": [\"spec\", \"check\", \"env.json\"], \"requestId\": 7}\n";

/// Every command that does something, as it is typed.
fn commands() -> BTreeSet<String> {
    fn visit(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let way = format!("{above}{}", below.get_name());
            if below.has_subcommands() {
                visit(below, &format!("{way} "), found);
            } else {
                found.insert(way);
            }
        }
    }
    let mut command = venvtree::cli::commands::Arguments::command();
    command.build();
    let mut found = BTreeSet::new();
    visit(&command, "", &mut found);
    found
}

fn project() -> Project {
    let project = Project::new();
    let wheel = project.wheel(
        &WheelText::new("sample", "1.0")
            .file("sample.py", "x = 1\n")
            .console_scripts("sample = sample:x")
            .metadata("Requires-Dist: absent"),
    );
    project.spec(some_interpreter(), &[wheel], |_| ());
    let odd = WheelText::new("odd", "1.0").unlisted("odd.py", "");
    project.write("odd/odd-1.0-py3-none-any.whl", odd.pack());
    project.write("METADATA", "Metadata-Version: 2.1\nName: app\nVersion: 1.0\n");
    project.write("app.py", "");
    let locks = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/locks");
    let direct = format!(
        "one @ https://files.example/one-1.0-py3-none-any.whl --hash=sha256:{}\n",
        venvtree::model::digest::Hash::sha256(b"one")
    );
    project.write("direct.txt", direct);
    project.write("pylock.toml", std::fs::read(locks.join("flask/pylock.toml")).unwrap());
    project.write("sample.toml", sample_lock(&project));
    fake_interpreter(project.path(), "bin/python3.12", "3.12.4");
    let compiler = fake_compiler(project.path(), "bin/compiler");
    compiled_spec(&project);
    let line = ["build", "compiled.json", "--out", "compiled", "--no-store"];
    project.run(&[&line[..], &["--compiler", compiler.as_str()]].concat()).success();
    project
        .run(&["build", "env.json", "--out", "env", "--manifest", "m.json", "--no-store"])
        .success();
    project.run(&["build", "env.json", "--out", "edited", "--no-store"]).success();
    project.write("edited/lib/python3.11/site-packages/sample.py", "x = 2, or more\n");
    project
}

/// An answer without what depends on the machine, the place and the release.
struct Redaction<'a> {
    project: &'a Utf8Path,
    remote: &'a str,
}

impl Redaction<'_> {
    fn text(&self, text: &str) -> String {
        let text = text
            .replace(self.project.as_str(), "[project]")
            .replace(self.remote, "[remote]")
            .replace(env!("CARGO_PKG_VERSION"), "[version]");
        // Interpreters of the machine's own.
        let is_foreign = |line: &&str| line.contains(" /") || line.contains("at /");
        let lines = text.lines().filter(|line| !is_foreign(line)).map(|line| {
            let line = digests(line.trim_end());
            // Columns are as wide as the widest of all interpreters.
            let line = if line.contains("  [project]") {
                line.split_whitespace().collect::<Vec<_>>().join("  ")
            } else {
                line
            };
            // How long a request took.
            let line = match line.rsplit_once(" bytes), ") {
                Some((before, _)) => format!("{before} bytes), [time]"),
                None => line,
            };
            // Sizes in a store depend on the lengths of paths.
            let line = ["entries", "entry"].iter().fold(line, |line, noun| {
                let middle = format!(" {noun}, ");
                let mut parts = line.split(&middle);
                let first = parts.next().unwrap_or_default().to_owned();
                parts.fold(first, |before, size| {
                    let words = size.splitn(3, ' ').nth(2).unwrap_or_default();
                    format!("{before} {noun}, [size] {words}").trim_end().to_owned()
                })
            });
            // Its numbers are the machine's.
            match line.split_once(": ") {
                Some((name @ ("open files" | "program" | "interpreters"), _)) => {
                    format!("{name}: [machine]")
                }
                _ => line,
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn json(&self, mut document: Value) -> String {
        for (part, fields) in [("open_files", ["soft", "hard"]), ("program", ["target", "target"])]
        {
            for field in fields {
                if let Some(value) = document.get_mut(part).and_then(|part| part.get_mut(field)) {
                    *value = json!("[machine]");
                }
            }
        }
        if let Some(time) = document.pointer_mut("/remote/milliseconds") {
            *time = json!("[time]");
        }
        if ["functions", "before", "checked"].iter().any(|field| document.get(field).is_some()) {
            sizes(&mut document);
        }
        if let Some(list) = document.get_mut("interpreters").and_then(Value::as_array_mut) {
            let own = self.project.as_str();
            list.retain(|one| one["path"].as_str().is_some_and(|path| path.starts_with(own)));
        }
        self.text(&serde_json::to_string_pretty(&document).unwrap())
    }
}

/// Takes the sizes out of a document about a store: they depend on the lengths of paths.
fn sizes(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        if ["bytes", "disk", "left"].contains(&name.as_str()) && !value.is_null() {
            *value = json!("[size]");
        } else {
            sizes(value);
        }
    }
}

/// A line without digests.
fn digests(line: &str) -> String {
    let mut result = String::new();
    let mut rest = line;
    let is_digit = |character: char| character.is_ascii_hexdigit();
    while let Some(start) = rest.find(is_digit) {
        let tail = &rest[start..];
        let end = tail.find(|character| !is_digit(character)).unwrap_or(tail.len());
        result.push_str(&rest[..start]);
        rest = &tail[end..];
        if end < 64 {
            result.push_str(&tail[..end]);
            continue;
        }
        result.push_str("[digest]");
        if let Some(size) = rest.strip_prefix('/') {
            rest = size.trim_start_matches(|character: char| character.is_ascii_digit());
        }
    }
    result + rest
}

/// The whole of an answer, for a snapshot.
fn whole(run: &Run, output: &Output, redaction: &Redaction<'_>, stdout: &str) -> String {
    let Output { code, stderr, .. } = output;
    let typed = [run.command.split(' ').collect(), run.arguments.to_vec()].concat().join(" ");
    format!(
        "$ venvtree {typed}\nexit code {code}\n--- standard output\n{stdout}\n--- standard error\n{}\n",
        redaction.text(stderr)
    )
}

#[test]
fn every_command_has_a_run() {
    let known: BTreeSet<String> = RUNS.iter().map(|run| run.command.to_owned()).collect();
    // Its pages are compared with the help.
    let with_man: BTreeSet<String> = known.into_iter().chain(["man".to_owned()]).collect();
    assert_eq!(with_man, commands(), "add a run to RUNS, and read the snapshot");
}

/// Runs a command in a directory of its own, where no other command left anything.
fn run(run: &Run, server: &FakeReapi, more: &[&str], show: impl Fn(&Redaction<'_>, &Output)) {
    let project = project();
    let root = project.path();
    let (url, store) = (server.url(), root.join("store"));
    let variables = [("VENVTREE_STORE", store.as_str()), ("HOME", root.as_str()), ("PATH", "bin")];
    let digest = project.run(&["digest", "env"]).success();
    if run.command == "pull" {
        project.run(&["push", "env", "--remote-cache", &url]).success();
    }
    if run.command.starts_with("store") {
        venvtree_with(root, &["build", "env.json", "--out", "built"], "", &variables).success();
    }
    let mut line: Vec<&str> = run.command.split(' ').collect();
    line.extend(run.arguments.iter().map(|argument| match *argument {
        "REMOTE" => url.as_str(),
        "DIGEST" => digest.trim_end(),
        argument => argument,
    }));
    line.extend(more);
    let output = venvtree_with(root, &line, run.stdin, &variables);
    show(&Redaction { project: root, remote: &url }, &output);
}

#[test]
fn the_answers_are_known() {
    for case in RUNS {
        let name = case.command.replace(' ', "-");
        run(&case, &FakeReapi::start(Offer::default()), &[], |redaction, output| {
            let stdout = match case.form {
                Form::Report | Form::Text => redaction.text(&output.stdout),
                Form::Known => {
                    let lines: Vec<&str> = output.stdout.lines().collect();
                    assert!(lines.len() > 100, "{output:?}");
                    format!("{}\n[…]", lines[0])
                }
            };
            let text = whole(&case, output, redaction, &stdout);
            insta::assert_snapshot!(format!("{name}-text"), text);
        });
        if case.form == Form::Report {
            let json = ["--format", "json"];
            run(&case, &FakeReapi::start(Offer::default()), &json, |redaction, output| {
                let stdout = redaction.json(output.json());
                let text = whole(&case, output, redaction, &stdout);
                insta::assert_snapshot!(format!("{name}-json"), text);
            });
        }
    }
}
