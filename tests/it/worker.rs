//! `venvtree worker`: a request does what the command does, wherever its paths are relative to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::bytecode::releases;
use crate::support::project::{Project, WheelText, listing, some_interpreter};

fn project() -> Project {
    let project = Project::new();
    let wheel = WheelText::new("sample", "1.0")
        .file("sample.py", "x = 1\n")
        .console_scripts("sample = sample:main");
    let wheel = project.wheel(&wheel);
    project.spec(some_interpreter(), &[wheel], |_| ());
    project
}

fn start(project: &Project, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_venvtree"));
    command
        .args(arguments)
        .current_dir(project.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn build(out: &str) -> Value {
    json!([
        "build",
        "env.json",
        "--out",
        out,
        "--no-store",
        "--digest-file",
        format!("{out}.digest"),
        "--manifest",
        format!("{out}.json")
    ])
}

#[test]
fn a_worker_makes_what_the_command_makes() {
    let project = project();
    project
        .run(&[
            "build",
            "env.json",
            "--out",
            "once",
            "--digest-file",
            "once.digest",
            "--manifest",
            "once.json",
        ])
        .success();
    let expected = listing(project.path().join("once").as_std_path());
    let mut worker = start(&project, &["--persistent_worker"]);
    let mut requests = worker.stdin.take().unwrap();
    let mut responses = BufReader::new(worker.stdout.take().unwrap());
    // One without an identifier, then several at once; no line ends, each is answered before the
    // input ends.
    let mut ask = |request: Value| {
        requests.write_all(request.to_string().as_bytes()).and_then(|()| requests.flush()).unwrap()
    };
    let mut answer = || {
        let mut line = String::new();
        responses.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    ask(json!({"arguments": build("first"), "inputs": [{"path": "env.json", "digest": "eA=="}]}));
    assert_eq!(answer()["exitCode"], 0);
    for identifier in 1..=3 {
        ask(json!({"arguments": build(&format!("many{identifier}")), "requestId": identifier}));
    }
    let mut seen: Vec<i64> =
        (0..3).map(|_| answer()).map(|answer| answer["requestId"].as_i64().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3]);
    for out in ["first", "many1", "many2", "many3"] {
        assert_eq!(listing(project.path().join(out).as_std_path()), expected, "{out}");
        for extension in ["digest", "json"] {
            let read = |stem: &str| {
                std::fs::read(project.path().join(format!("{stem}.{extension}"))).unwrap()
            };
            assert_eq!(read(out), read("once"), "{out}.{extension}");
        }
    }
    // A directory of its own, as in a sandbox.
    std::fs::create_dir_all(project.path().join("sandbox/7")).unwrap();
    for name in ["env.json", "wheels"] {
        std::os::unix::fs::symlink(
            project.path().join(name),
            project.path().join("sandbox/7").join(name),
        )
        .unwrap();
    }
    ask(json!({"arguments": build("inside"), "requestId": 9, "sandboxDir": "sandbox/7"}));
    assert_eq!(
        answer(),
        json!({"exitCode": 0, "output": answer_output(&project, "inside"), "requestId": 9})
    );
    assert_eq!(listing(project.path().join("sandbox/7/inside").as_std_path()), expected);
    // Errors are in the response, and the worker goes on.
    ask(json!({"arguments": ["build", "missing.json", "--out", "none"], "requestId": 10}));
    let failed = answer();
    assert_eq!(failed["exitCode"], 7);
    assert!(failed["output"].as_str().unwrap().contains("missing.json"), "{failed}");
    ask(json!({"arguments": ["no-such-command"], "requestId": 11}));
    assert_eq!(answer()["exitCode"], 2);
    drop(requests);
    assert!(worker.wait().unwrap().success());
    let mut rest = String::new();
    responses.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

/// An interpreter compiles for one request after the other, until it is gone.
#[test]
fn interpreters_are_kept_from_one_request_to_the_next() {
    let (python, _) = releases().remove(0);
    let project = Project::new();
    let wheels: Vec<String> = ["a", "b", "c", "d"]
        .map(|name| {
            let module = format!("def {name}(x):\n    return (x, '{name}', 'common')\n");
            let wheel =
                project.wheel(&WheelText::new(name, "1.0").file(&format!("{name}.py"), module));
            wheel["path"].as_str().unwrap().to_owned()
        })
        .into();
    fn compile<'a>(python: &'a str, wheel: &'a str, overlay: &'a str) -> [&'a str; 9] {
        let threads = "--threads";
        ["bytecode", "compile", wheel, "--compiler", python, threads, "1", "--overlay", overlay]
    }
    let log = project.path().join("started");
    let mut worker = Command::new("strace");
    worker.args(["-f", "-qq", "-e", "trace=execve", "-o", log.as_str()]);
    worker.args([env!("CARGO_BIN_EXE_venvtree"), "worker"]);
    worker.current_dir(project.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut worker = worker.spawn().expect("strace is installed by .ci/install");
    let mut requests = worker.stdin.take().unwrap();
    let mut responses = BufReader::new(worker.stdout.take().unwrap());
    for (index, wheel) in wheels.iter().enumerate() {
        let overlay = format!("{index}.zip");
        let request =
            json!({"arguments": compile(python.text(), wheel, &overlay), "requestId": index + 1});
        requests.write_all(request.to_string().as_bytes()).and_then(|()| requests.flush()).unwrap();
        let mut line = String::new();
        responses.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["exitCode"], 0, "{answer}");
        project.run(&compile(python.text(), wheel, "once.zip")).success();
        let read = |name: &str| std::fs::read(project.path().join(name)).unwrap();
        assert!(read(&overlay) == read("once.zip"), "{wheel}");
        if index == 2 {
            // Who was killed meanwhile is replaced.
            let lines = std::fs::read_to_string(&log).unwrap();
            let last = lines.lines().rfind(|line| line.contains(python.text())).unwrap();
            let process = last.split_whitespace().next().unwrap();
            assert!(Command::new("kill").args(["-KILL", process]).status().unwrap().success());
        }
    }
    drop(requests);
    assert!(worker.wait().unwrap().success());
    let lines = std::fs::read_to_string(&log).unwrap();
    let starts = lines.lines().filter(|line| line.contains(python.text()) && line.ends_with("= 0"));
    assert_eq!(starts.count(), 2, "one, and one that takes its place: {lines}");
}

/// What `build` says of an environment.
fn answer_output(project: &Project, out: &str) -> String {
    let said = project.run(&["build", "env.json", "--out", "said"]).stderr;
    said.replace("said", out)
}

#[test]
fn protocol_buffers_are_understood_too() {
    let project = project();
    let mut message = Vec::new();
    for argument in ["build", "env.json", "--out", "out", "--quiet", "--no-store"] {
        message.push(0x0a);
        message.push(argument.len() as u8);
        message.extend_from_slice(argument.as_bytes());
    }
    // request_id 300.
    message.extend_from_slice(&[0x18, 0xac, 0x02]);
    for arguments in
        [&["--persistent_worker"][..], &["worker", "--protocol", "proto", "--persistent_worker"]]
    {
        let mut worker = start(&project, arguments);
        let mut requests = worker.stdin.take().unwrap();
        requests.write_all(&[&[message.len() as u8][..], &message].concat()).unwrap();
        drop(requests);
        let output = worker.wait_with_output().unwrap();
        assert_eq!(
            output.stdout,
            [3, 0x18, 0xac, 0x02],
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success());
        assert!(project.path().join("out/pyvenv.cfg").exists());
    }
}

#[test]
fn what_is_no_request_is_an_error_with_a_hint() {
    let project = Project::new();
    let mut worker = start(&project, &["worker", "--protocol", "json"]);
    worker.stdin.take().unwrap().write_all(b"\x08\x01").unwrap();
    let output = worker.wait_with_output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("error: expected a work request as JSON") && text.contains("hint: "),
        "{text}"
    );
}

/// Comparing it with all that it could have meant would take longer than anybody waits.
#[test]
fn a_huge_argument_is_refused_in_a_few_words() {
    let project = Project::new();
    let mut worker = start(&project, &["--persistent_worker"]);
    let mut requests = worker.stdin.take().unwrap();
    for arguments in
        [json!(["x".repeat(10 << 20)]), json!(["build", "x".repeat(10 << 20)]), json!(["--help"])]
    {
        serde_json::to_writer(&mut requests, &json!({ "arguments": arguments })).unwrap();
    }
    drop(requests);
    let output = worker.wait_with_output().unwrap();
    let answers: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let codes: Vec<&Value> = answers.iter().map(|answer| &answer["exitCode"]).collect();
    assert_eq!(codes, [2, 2, 0]);
    let said = answers[0]["output"].as_str().unwrap();
    assert!(
        said.contains("an argument of 10485760 bytes, expected at most 131072") && said.len() < 300,
        "{said}"
    );
}

#[test]
fn many_requests_at_once_share_few_open_files() {
    let project = project();
    let requests: String = (1..=200)
        .map(|identifier| {
            let out = format!("many/{identifier}");
            json!({"arguments": ["build", "env.json", "--out", out, "--no-store"], "requestId": identifier}).to_string()
        })
        .collect();
    let mut worker = Command::new("sh");
    worker
        .args(["-c", "ulimit -n 64; exec \"$0\" worker", env!("CARGO_BIN_EXE_venvtree")])
        .current_dir(project.path());
    let mut worker = worker.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    worker.stdin.take().unwrap().write_all(requests.as_bytes()).unwrap();
    let output = worker.wait_with_output().unwrap();
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 200);
    for answer in answers {
        assert_eq!(answer["exitCode"], 0, "{answer}");
    }
    let made = std::fs::read_dir(project.path().join("many")).unwrap().count();
    assert_eq!(made, 200, "something unfinished is left");
}

#[test]
fn no_request_writes_between_the_answers() {
    let project = project();
    for (option, path) in [
        ("--digest-file", "/dev/stdout"),
        ("--manifest", "/proc/self/fd/1"),
        ("--digest-file", "/dev/fd/1"),
    ] {
        let mut worker = start(&project, &["worker"]);
        let request = json!({"arguments": ["build", "env.json", "--out", "out", "--no-store", option, path], "requestId": 1});
        worker.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
        let output = worker.wait_with_output().unwrap();
        let answer: Value =
            serde_json::from_slice(&output.stdout).expect("one answer and nothing else");
        assert_eq!(answer["exitCode"], 7, "{answer}");
        assert!(
            answer["output"].as_str().unwrap().contains("it is the worker's standard output"),
            "{answer}"
        );
    }
}
