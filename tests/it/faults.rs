//! Faults: whatever happens to a build, the output is the old environment or the new one, and
//! nothing is left beside it.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use crate::support::mount::Mount;
use crate::support::peers::ask_python;
use crate::support::project::{Project, WheelText, open_to_all, some_interpreter};

fn venvtree() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_venvtree"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A wheel of many files, so that there is a middle to be interrupted in.
fn many_files(version: &str, count: usize) -> WheelText {
    let mut wheel = WheelText::new("many", version);
    for index in 0..count {
        wheel = wheel.file(
            &format!("many/p{}/m{index}.py", index % 40),
            format!("VALUE = '{version} {index}'\n").repeat(20),
        );
    }
    wheel
}

fn project(count: usize) -> Project {
    let project = Project::new();
    for version in ["1.0", "2.0"] {
        let wheel = project.wheel(&many_files(version, count));
        project.spec(some_interpreter(), &[wheel], |_| ());
        std::fs::rename(
            project.path().join("env.json"),
            project.path().join(format!("{version}.json")),
        )
        .unwrap();
    }
    project
}

fn digests(project: &Project) -> Vec<String> {
    ["1.0.json", "2.0.json"].iter().map(|spec| project.run(&["digest", spec]).success()).collect()
}

fn kill_at_random(kills: usize) {
    let project = project(400);
    let digests = digests(&project);
    project.run(&["build", "1.0.json", "--out", "out", "--no-store"]).success();
    // How long a whole build takes here, so that kills fall into it.
    let start = Instant::now();
    assert!(
        venvtree()
            .current_dir(project.path())
            .args(["build", "2.0.json", "--out", "out", "--replace", "--no-store"])
            .status()
            .unwrap()
            .success()
    );
    let whole = start.elapsed();
    let mut killed = 0;
    for round in 0..kills {
        let spec = if round % 2 == 0 { "1.0.json" } else { "2.0.json" };
        // Most builds share a store; what they find in it is what killed ones left there. It is
        // cleared now and then, because a store that knows everything is not written.
        let store: &[&str] = if round % 5 == 4 { &["--no-store"] } else { &["--store", "store"] };
        if round % 10 == 9 {
            std::fs::remove_dir_all(project.path().join("store")).unwrap();
        }
        let arguments = [&["build", spec, "--out", "out", "--replace"], store].concat();
        let mut child = venvtree().current_dir(project.path()).args(arguments).spawn().unwrap();
        // Multiples of the golden ratio are spread evenly, and the same in every run.
        let share = (round as f64 * 0.618_033_988_75).fract();
        std::thread::sleep(whole.mul_f64(share));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let digest = project.run(&["digest", "out"]).success();
        assert!(digests.contains(&digest), "after {round} kills the output is neither environment");
        if round % 10 == 8 {
            check_store(&project, &digests);
        }
    }
    assert!(
        killed > kills / 3,
        "only {killed} of {kills} builds were still running when they were killed"
    );
    // The next build clears away what the dead left.
    project.run(&["build", "1.0.json", "--out", "out", "--replace", "--no-store"]).success();
    project.run(&["build", "2.0.json", "--out", "out", "--replace", "--no-store"]).success();
    assert_eq!(project.left_over(), Vec::<String>::new());
    check_store(&project, &digests);
}

/// Everything in the store is what it is called, and what is built out of it is right.
fn check_store(project: &Project, digests: &[String]) {
    let report = project.run(&["store", "verify", "--store", "store", "--format", "json"]).json();
    let gone = report["damaged"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|damage| damage["outcome"] != "repaired")
        .count();
    assert_eq!(gone, 0, "{report}");
    for (spec, digest) in ["1.0.json", "2.0.json"].iter().zip(digests) {
        project.run(&["build", spec, "--out", "again", "--replace", "--store", "store"]).success();
        assert_eq!(project.run(&["digest", "again"]).success(), *digest);
    }
    std::fs::remove_dir_all(project.path().join("again")).unwrap();
}

#[test]
fn a_killed_build_leaves_the_old_environment_or_the_new_one() {
    kill_at_random(24);
}

#[test]
#[ignore = "takes minutes: cargo test --test it -- --ignored faults::"]
fn three_hundred_killed_builds_leave_the_old_environment_or_the_new_one() {
    kill_at_random(300);
}

/// Runs a build in a mount namespace of its own, with `mount` mounted on `place` in it.
fn build_on(project: &Project, options: &str, size: &str) -> std::process::Output {
    let script = format!(
        "mkdir -p small && mount -t tmpfs -o {options},size={size} none small && exec \"$0\" build 1.0.json --no-store --out small/out"
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_venvtree")])
        .current_dir(project.path())
        .output();
    output.expect("unshare is part of util-linux")
}

/// What a command said that could not read or write something.
fn refusal(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{message}");
    message
}

#[test]
fn a_full_disk_says_so_and_leaves_nothing() {
    let project = project(400);
    let output = build_on(&project, "rw", "200k");
    let message = refusal(&output);
    assert!(message.contains("small/out") || message.contains("small/."), "{message}");
    assert!(message.contains("make room on the file system"), "{message}");
}

/// Runs a build whose `number`th system call of a kind fails.
fn build_with_fault(
    project: &Project,
    call: &str,
    error: &str,
    number: usize,
    arguments: &[&str],
) -> std::process::Output {
    let fault = format!("inject={call}:error={error}:when={number}");
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={call}"),
        "-e",
        &fault,
        env!("CARGO_BIN_EXE_venvtree"),
    ]);
    command
        .args(arguments)
        .current_dir(project.path())
        .output()
        .expect("strace is installed by .ci/install")
}

#[test]
fn whichever_system_call_fails_the_output_is_the_old_environment_or_the_new_one() {
    let project = project(40);
    let digests = digests(&project);
    let mut failed = 0;
    for (call, errors, numbers) in [
        ("openat", &["EIO", "EMFILE", "EACCES"][..], &[20, 40, 60, 80][..]),
        ("pread64", &["EIO"], &[1, 5, 20, 60]),
        ("write", &["EIO", "ENOSPC"], &[1, 10, 40]),
        ("mkdirat", &["EIO", "ENOSPC"], &[1, 10]),
        ("utimensat", &["EIO"], &[1, 30]),
        ("symlinkat", &["EIO"], &[1]),
        ("renameat2", &["EIO"], &[1]),
        ("getdents64", &["EIO"], &[1, 2]),
    ] {
        for (error, number) in
            errors.iter().flat_map(|error| numbers.iter().map(move |number| (error, number)))
        {
            std::fs::remove_dir_all(project.path().join("out")).unwrap_or_default();
            project.run(&["build", "1.0.json", "--out", "out", "--no-store"]).success();
            let output = build_with_fault(
                &project,
                call,
                error,
                *number,
                &["build", "2.0.json", "--out", "out", "--replace", "--store", "store"],
            );
            let message = String::from_utf8_lossy(&output.stderr);
            let what = format!("{error} of {call} {number}: {message}");
            let digest = project.run(&["digest", "out"]).success();
            match output.status.code() {
                // What a store cannot do is a note.
                Some(0) => assert_eq!(digest, digests[1], "{what}"),
                Some(7) => {
                    // The message itself is written, too.
                    assert!(
                        digests.contains(&digest)
                            && (call == "write" || message.starts_with("error: ")),
                        "{what}"
                    );
                    failed += 1;
                }
                // The program itself could not be loaded.
                Some(127) => assert_eq!(digest, digests[0], "{what}"),
                code => panic!("{code:?}: {what}"),
            }
            std::fs::remove_dir_all(project.path().join("store")).unwrap_or_default();
        }
    }
    assert!(failed > 8, "only {failed} faults made a build fail");
    project.run(&["build", "1.0.json", "--out", "out", "--replace", "--no-store"]).success();
    assert_eq!(project.left_over(), Vec::<String>::new());
}

#[test]
fn room_for_a_large_file_is_reserved_where_that_helps_and_need_not_be_had() {
    let project = Project::new();
    let size = 3 << 20;
    let wheel = project.wheel(
        &WheelText::new("large", "1.0")
            .file("large.bin", "x".repeat(size))
            .file("small.bin", "x".repeat(size / 100)),
    );
    project.spec(some_interpreter(), &[wheel], |_| ());
    let digest = project.run(&["digest", "env.json"]).success();
    let mounts = [
        Mount::image("ext4", project.path().join("ext4")),
        Mount::tmpfs(project.path().join("tmpfs"), "size=64m"),
    ];
    for (mount, reserving) in mounts.iter().zip([true, false]) {
        for fault in [None, Some("ENOSPC"), Some("EOPNOTSUPP")] {
            let out = mount.path.join(fault.unwrap_or("none"));
            let trace = project.path().join("trace");
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", trace.as_str(), "-e", "trace=fallocate"]);
            command.args(
                fault
                    .map(|error| ["-e".to_owned(), format!("inject=fallocate:error={error}")])
                    .into_iter()
                    .flatten(),
            );
            command.args([
                env!("CARGO_BIN_EXE_venvtree"),
                "build",
                "env.json",
                "--no-store",
                "--out",
                out.as_str(),
            ]);
            let output = command
                .current_dir(project.path())
                .output()
                .expect("strace is installed by .ci/install");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(project.run(&["digest", out.as_str()]).success(), digest, "{out}");
            let calls = std::fs::read_to_string(&trace).unwrap();
            let expected = usize::from(reserving);
            assert_eq!(calls.matches(&format!("0, 0, {size}")).count(), expected, "{out}: {calls}");
            assert_eq!(
                calls.lines().filter(|line| line.contains("fallocate(")).count(),
                expected,
                "{out}: {calls}"
            );
        }
    }
}

#[test]
fn a_directory_that_becomes_a_link_while_it_is_filled_is_not_followed() {
    let project = project(400);
    let elsewhere = project.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let state = || {
        let metadata = elsewhere.metadata().unwrap();
        (metadata.permissions().mode(), metadata.modified().unwrap())
    };
    let before = state();
    let mut swapped = 0;
    for _ in 0..12 {
        let arguments = ["build", "1.0.json", "--out", "out", "--no-store"];
        let mut child = venvtree().current_dir(project.path()).args(arguments).spawn().unwrap();
        // Whatever directory of the unfinished environment there is becomes a link that leads out
        // of it.
        while child.try_wait().unwrap().is_none() {
            for name in project
                .path()
                .read_dir_utf8()
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_owned())
            {
                let site = project.path().join(&name).join("lib/python3.11/site-packages/many");
                if !name.contains(".venvtree-") {
                    continue;
                }
                for directory in site.read_dir_utf8().into_iter().flatten().flatten() {
                    let path = directory.path();
                    let aside = elsewhere.with_file_name(format!("aside{swapped}"));
                    if path.is_symlink() || std::fs::rename(path, &aside).is_err() {
                        continue;
                    }
                    std::os::unix::fs::symlink(&elsewhere, path).unwrap_or_default();
                    swapped += 1;
                }
            }
        }
        let status = child.wait_with_output().unwrap().status;
        let written: Vec<_> = elsewhere
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        assert_eq!(written, Vec::<String>::new(), "the build ended with {status}");
        std::fs::remove_dir_all(project.path().join("out")).unwrap_or_default();
    }
    assert!(swapped > 0, "nothing was swapped");
    assert_eq!(state(), before);
}

#[test]
fn a_read_only_place_says_so() {
    let project = project(4);
    let output = build_on(&project, "ro", "1m");
    let message = refusal(&output);
    assert!(message.contains("mounted read-only"), "{message}");
}

#[test]
fn too_few_open_files_say_so_and_the_next_build_cleans_up() {
    let project = project(40);
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 5; exec \"$0\" build 1.0.json --no-store --out out",
            env!("CARGO_BIN_EXE_venvtree"),
        ])
        .current_dir(project.path())
        .output()
        .unwrap();
    refusal(&output);
    assert!(!project.path().join("out").exists());
    // Removing needs open files too; what could not be removed goes with the next build.
    project.run(&["build", "1.0.json", "--out", "out"]).success();
    assert_eq!(project.left_over(), Vec::<String>::new());
}

#[test]
fn a_low_limit_of_open_files_that_may_be_raised_is() {
    let project = Project::new();
    let wheels: Vec<_> = (0..60)
        .map(|n| {
            project.wheel(
                &WheelText::new(&format!("part{n}"), "1.0").file(&format!("part{n}.py"), "x = 1\n"),
            )
        })
        .collect();
    project.spec(some_interpreter(), &wheels, |_| ());
    // All wheels are open at once. Terminals on macOS start programs with such a limit.
    let script = "ulimit -Sn 40; exec \"$0\" build env.json --no-store --threads 2 --out out";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_venvtree")])
        .current_dir(project.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a script of bash as nobody, in the project; `$0` is a copy of the command within reach.
fn as_nobody(project: &Project, script: &str) -> Output {
    let reach = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(project.path(), reach(0o755)).unwrap();
    let reachable = tempfile::Builder::new().permissions(reach(0o755)).tempdir().unwrap();
    let program = reachable.path().join("venvtree");
    crate::support::copy_venvtree(program.as_ref());
    Command::new("bash")
        .uid(65534)
        .gid(65534)
        .current_dir(project.path())
        .args(["-c", script])
        .arg(&program)
        .output()
        .unwrap()
}

#[test]
fn somebody_without_permission_is_told_and_leaves_nothing() {
    let project = project(4);
    std::fs::create_dir(project.path().join("closed")).unwrap();
    // Root may write everywhere; nobody may not.
    let output = as_nobody(&project, "exec \"$0\" build 1.0.json --no-store --out closed/out");
    let message = refusal(&output);
    assert!(message.contains("closed"), "{message}");
    assert_eq!(std::fs::read_dir(project.path().join("closed")).unwrap().count(), 0);
}

/// An environment that is large enough for threads of its own.
fn work_for_threads() -> Project {
    let project = Project::new();
    let wheel = project.wheel(&many_files("1.0", 300).file("many/large.bin", vec![7; 9 << 20]));
    project.spec(some_interpreter(), &[wheel], |_| ());
    project
}

/// A folder `open` in the project, which nobody may write to, too.
fn folder_for_all(project: &Project) -> Utf8PathBuf {
    let open = project.path().join("open");
    std::fs::create_dir(&open).unwrap();
    open_to_all(&open);
    open
}

#[test]
fn a_system_that_has_no_more_threads_builds_the_same() {
    let project = work_for_threads();
    let open = folder_for_all(&project);
    let output = as_nobody(
        &project,
        "ulimit -u 1; exec \"$0\" build env.json --no-store --threads 4 --out open/out --digest-file open/digest",
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = project.run(&["digest", "env.json"]).success();
    assert_eq!(std::fs::read_to_string(open.join("digest")).unwrap(), expected);
}

#[cfg(feature = "remote")]
#[test]
fn a_remote_cache_needs_no_second_thread() {
    use crate::support::fake_reapi::{FakeReapi, Offer};
    use crate::support::http_cache::HttpCache;
    let project = project(40);
    folder_for_all(&project);
    let (http, grpc) = (HttpCache::start(), FakeReapi::start(Offer::default()));
    // By name, as that is looked up.
    for (name, url) in [("http", http.url()), ("grpc", grpc.url())]
        .map(|(name, url)| (name, url.replace("127.0.0.1", "localhost")))
    {
        for (round, source) in [("put", "wheels"), ("got", "remote")] {
            let script = format!(
                "ulimit -u 1; exec \"$0\" build 1.0.json --no-store --remote-cache {url} --out open/{name}-{round} --format json"
            );
            let output = as_nobody(&project, &script);
            let (data, talk) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(
                output.status.success() && !talk.contains("panicked"),
                "{name} {round}: {talk}"
            );
            let built: serde_json::Value = serde_json::from_str(&data).unwrap();
            assert_eq!(built["source"], source, "{name} {round}: {data}{talk}");
        }
        let pushed = as_nobody(
            &project,
            &format!("ulimit -u 1; exec \"$0\" push open/{name}-got --remote-cache {url}"),
        );
        let talk = String::from_utf8_lossy(&pushed.stderr);
        assert!(pushed.status.success() && !talk.contains("panicked"), "{name}: {talk}");
    }
}

#[test]
fn no_command_needs_a_second_thread() {
    let project = work_for_threads();
    folder_for_all(&project);
    let request = |id: u32| {
        format!(
            "{{\"arguments\":[\"build\",\"env.json\",\"--out\",\"open/w{id}\",\"--no-store\"],\"requestId\":{id}}}"
        )
    };
    let requests = [request(1), request(2), request(3)].concat();
    let commands = [
        "\"$0\" build env.json --store open/store --out open/cold --threads 8".to_owned(),
        "\"$0\" build env.json --store open/store --out open/warm --threads 8".to_owned(),
        "\"$0\" store verify --store open/store".to_owned(),
        "\"$0\" verify open/warm --spec env.json".to_owned(),
        "\"$0\" pack env.json --out open/x.tar.zst".to_owned(),
        "\"$0\" wheel check wheels/many-1.0-py3-none-any.whl".to_owned(),
        "\"$0\" store gc --store open/store --max-size 1".to_owned(),
        format!("printf %s '{requests}' | {{ ulimit -u 1; exec \"$0\" --persistent_worker; }}"),
    ];
    for command in commands {
        let limit = if command.starts_with("printf") { "" } else { "ulimit -u 1; exec " };
        let output = as_nobody(&project, &format!("{limit}{command}"));
        let message = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !message.contains("panicked"), "{command}: {message}");
    }
    let expected = project.run(&["digest", "env.json"]).success();
    for out in ["cold", "warm", "w1", "w2", "w3"] {
        assert_eq!(project.run(&["digest", &format!("open/{out}")]).success(), expected, "{out}");
    }
}

#[test]
fn a_vanished_input_is_named() {
    let project = project(4);
    std::fs::remove_dir_all(project.path().join("wheels")).unwrap();
    let output = project.run(&["build", "1.0.json", "--out", "out"]);
    assert_eq!(output.code, 7);
    assert!(
        output.stderr.contains("wheels/many-1.0-py3-none-any.whl")
            && output.stderr.contains("No such file"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_link_in_the_place_of_the_output_is_not_followed() {
    let project = project(4);
    std::fs::create_dir(project.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", project.path().join("out")).unwrap();
    let output = project.run(&["build", "1.0.json", "--out", "out", "--replace"]);
    assert_eq!(output.code, 5, "{}", output.stderr);
    assert_eq!(std::fs::read_dir(project.path().join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn builds_of_one_environment_at_once_all_succeed() {
    let project = project(200);
    let digests = digests(&project);
    let children: Vec<_> = (0..6)
        .map(|_| {
            venvtree()
                .current_dir(project.path())
                .args(["build", "1.0.json", "--no-store", "--out", "out"])
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(project.run(&["digest", "out"]).success(), digests[0]);
    assert_eq!(project.left_over(), Vec::<String>::new());
}

#[test]
fn umask_zone_language_and_user_change_nothing() {
    let project = project(20);
    let mut found = std::collections::BTreeSet::new();
    let places = [("000", "UTC", "C", "a"), ("077", "Asia/Tokyo", "tr_TR.UTF-8", "b c")];
    for (umask, zone, language, out) in places {
        let script = format!("umask {umask}; exec \"$0\" build 1.0.json --no-store --out '{out}'");
        let status = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_venvtree")])
            .envs([("TZ", zone), ("LANG", language), ("LC_ALL", language)])
            .current_dir(project.path())
            .status()
            .unwrap();
        assert!(status.success());
        let place = project.path().join(out);
        found.insert((
            project.run(&["digest", out]).success(),
            crate::support::project::listing(place.as_std_path()),
        ));
    }
    assert_eq!(found.len(), 1);
}

/// Runs a build and says how much memory it took, in kilobytes.
fn peak_memory(directory: &Utf8Path, arguments: &[&str]) -> u64 {
    let program = "import json, os, subprocess, sys\n\
        command = json.load(sys.stdin)\n\
        child = subprocess.Popen(command['arguments'], cwd=command['directory'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)\n\
        message = child.stderr.read()\n\
        _, status, usage = os.wait4(child.pid, 0)\n\
        assert status == 0, message\n\
        json.dump(usage.ru_maxrss, sys.stdout)";
    let arguments: Vec<&str> =
        std::iter::once(env!("CARGO_BIN_EXE_venvtree")).chain(arguments.iter().copied()).collect();
    ask_python(program, &json!({"arguments": arguments, "directory": directory})).as_u64().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_bytes_of_a_member() {
    let project = Project::new();
    // A megabyte that hardly compresses, many times: farther apart than deflate looks back.
    let mut state = 1u32;
    let chunk: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 & 0x3f
    })
    .take(1 << 20)
    .collect();
    let bytes = chunk.repeat(96);
    let wheel = project.wheel(
        &WheelText::new("large", "1.0")
            .file("large.bin", &bytes)
            .unlisted("unlisted.bin", &bytes[..64 << 20]),
    );
    drop(bytes);
    project.spec(some_interpreter(), &[wheel], |_| ());
    for threads in ["2", "8"] {
        let peak = peak_memory(
            project.path(),
            &["build", "env.json", "--no-store", "--threads", threads, "--out", threads],
        );
        assert!(peak < 48 << 10, "{peak} kB with {threads} threads");
    }
}

#[test]
fn memory_grows_by_less_than_a_kilobyte_a_file() {
    let count = 12_000;
    let project = project(count);
    let build = ["build", "1.0.json", "--no-store", "--threads", "2", "--out", "out"];
    let plan = ["plan", "1.0.json", "--threads", "2", "--format", "json"];
    for command in [&build[..], &plan] {
        let peak = peak_memory(project.path(), command);
        assert!(peak < (48 << 10) + count as u64, "{command:?}: {peak} kB");
    }
}
