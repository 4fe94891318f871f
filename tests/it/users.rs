//! Other users, other umasks: the same trees whatever the mask, caches that are the user's alone,
//! and nobody who could have written to a cache is believed. These tests play two users, so they
//! want to be run as root.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};

use crate::support::project::{Project, WheelText, listing, some_interpreter};

const VICTIM: u32 = 61_001;
const OTHER: u32 = 61_002;

/// A place that several users reach, with a copy of the command and a home for the victim.
struct Machine {
    project: Project,
}

impl Machine {
    fn new() -> Self {
        let project = Project::new();
        assert_eq!(
            project.path().metadata().unwrap().uid(),
            0,
            "tests of other users are run by root"
        );
        mode(project.path(), 0o755);
        crate::support::copy_venvtree(project.path().join("venvtree").as_ref());
        for (name, owner) in [("home", VICTIM), ("work", VICTIM), ("other", OTHER)] {
            std::fs::create_dir(project.path().join(name)).unwrap();
            std::os::unix::fs::chown(project.path().join(name), Some(owner), Some(owner)).unwrap();
            mode(&project.path().join(name), 0o755);
        }
        let wheel = WheelText::new("demo", "1.0")
            .file("demo/__init__.py", "")
            .file("demo/a/b.py", "B = 1\n")
            .executable("demo/run", "#!/bin/sh\n")
            .console_scripts("demo = demo:main");
        let wheel = project.wheel(&wheel);
        project.spec(some_interpreter(), &[wheel], |_| ());
        Self { project }
    }

    fn path(&self) -> &Utf8Path {
        self.project.path()
    }

    fn cache(&self) -> Utf8PathBuf {
        self.path().join("home/.cache/venvtree")
    }

    /// Runs a script of `sh` in `work`, with `$0` for the command.
    fn run(&self, user: u32, script: &str) -> Output {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .arg(self.path().join("venvtree"))
            .current_dir(self.path().join("work"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path().join("home"))
            .uid(user)
            .gid(user)
            .output()
            .unwrap()
    }

    fn succeeds(&self, user: u32, script: &str) -> String {
        let output = self.run(user, script);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}: {message}");
        message
    }
}

fn mode(path: &Utf8Path, bits: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
}

fn mode_of(path: &Utf8Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

/// Of the system, as those of the tests lie where only root comes.
fn python() -> &'static str {
    ["/usr/bin/python3", "/usr/local/bin/python3"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("a Python of the system")
}

#[test]
fn trees_and_what_is_kept_have_the_same_modes_whatever_the_umask() {
    let machine = Machine::new();
    let mut trees = Vec::new();
    for umask in ["000", "002", "022", "077", "0777"] {
        let home = machine.path().join("home/.cache");
        let _ = std::fs::remove_dir_all(&home);
        for (out, options) in
            [("plain", "--no-store"), ("cold", ""), ("warm", ""), ("copied", "--link-mode copy")]
        {
            let script =
                format!("umask {umask}; \"$0\" build ../env.json --out {out}-{umask} {options}");
            let message = machine.succeeds(VICTIM, &script);
            assert!(!message.contains("warning"), "{umask} {out}: {message}");
            trees.push((
                out,
                umask,
                listing(machine.path().join(format!("work/{out}-{umask}")).as_std_path()),
            ));
        }
        for directory in [home, machine.cache()] {
            assert_eq!(mode_of(&directory), 0o700, "{umask} {directory}");
        }
    }
    // Those that share files with the store are read-only, the others are not.
    for (out, umask, lines) in &trees {
        let (_, _, expected) = trees.iter().find(|(other, ..)| other == out).unwrap();
        assert_eq!(lines, expected, "{out} {umask}");
    }
    assert!(
        trees[0].2.contains(&"lib/python3.11/site-packages/demo/run 755 10".to_owned()),
        "{:?}",
        trees[0].2
    );
    assert!(
        trees[1].2.contains(&"lib/python3.11/site-packages/demo/run 555 10".to_owned()),
        "{:?}",
        trees[1].2
    );
}

#[test]
fn parents_and_other_directories_have_what_the_umask_leaves() {
    let machine = Machine::new();
    for (umask, expected) in [("000", 0o755), ("022", 0o755), ("077", 0o700)] {
        let script = format!(
            "umask {umask}; \"$0\" build ../env.json --out p{umask}/q/out --store s{umask}/t && \"$0\" man --out m{umask}/n"
        );
        machine.succeeds(VICTIM, &script);
        for directory in ["p/q", "p", "s", "s/t", "s/t/files", "m", "m/n"] {
            let (first, rest) = directory.split_at(1);
            let path = machine.path().join(format!("work/{first}{umask}{rest}"));
            assert_eq!(mode_of(&path), expected, "{path}");
        }
        assert_eq!(mode_of(&machine.path().join(format!("work/p{umask}/q/out"))), 0o755);
    }
}

#[test]
fn what_is_known_of_interpreters_is_nobody_elses() {
    let machine = Machine::new();
    let create = |out: &str| {
        machine.succeeds(
            VICTIM,
            &format!("umask 0; \"$0\" create {out} --python {} --no-seed", python()),
        )
    };
    assert!(!create("one").contains("warning"));
    let cache = machine.cache().join("interpreters");
    for directory in [cache.clone(), machine.cache(), machine.path().join("home/.cache")] {
        assert_eq!(mode_of(&directory), 0o700, "{directory}");
    }
    let entry = cache.read_dir_utf8().unwrap().next().unwrap().unwrap().path().to_owned();
    let text = std::fs::read_to_string(&entry).unwrap();
    let planted = text.replace("executable\\\":\\\"", "executable\\\":\\\"/planted");
    let planted = planted.replace("executable\\\": \\\"", "executable\\\": \\\"/planted");
    assert_ne!(planted, text);
    // The other user cannot get there.
    assert!(
        !machine.run(OTHER, &format!("ls '{cache}' || ls '{}'", machine.cache())).status.success()
    );
    let target = |out: &str| {
        std::fs::read_link(machine.path().join("work").join(out).join("bin/python")).unwrap()
    };
    let honest = target("one");
    // If only the user could have written it, it counts: the test would see it.
    std::fs::write(&entry, &planted).unwrap();
    create("believed");
    assert_ne!(target("believed"), honest);
    // Wherever the other user could have put it, it does not.
    let (own, other) = ((VICTIM, 0o700), (OTHER, 0o755));
    for (what, folder, file) in [
        ("a folder that others may write to", (VICTIM, 0o777), (VICTIM, 0o644)),
        ("a folder of a group", (VICTIM, 0o770), (VICTIM, 0o644)),
        ("somebody else's folder", other, (VICTIM, 0o644)),
        ("somebody else's file", own, (OTHER, 0o644)),
        ("a file that others may write to", own, (VICTIM, 0o666)),
    ] {
        for (path, (owner, bits)) in [(&entry, file), (&cache, folder)] {
            std::os::unix::fs::chown(path, Some(owner), None).unwrap();
            mode(path, bits);
        }
        let message = create("checked");
        assert!(
            message.contains("warning: the cache") && message.contains("is not used"),
            "{what}: {message}"
        );
        assert_eq!(target("checked"), honest, "{what}");
        std::fs::remove_dir_all(machine.path().join("work/checked")).unwrap();
    }
}

#[test]
fn the_users_own_store_is_used_only_if_nobody_else_could_have_written_to_it() {
    let machine = Machine::new();
    machine.succeeds(VICTIM, "\"$0\" build ../env.json --out out");
    let (cache, parent) = (machine.cache(), machine.path().join("home/.cache"));
    let message = |user: u32| {
        let _ = std::fs::remove_dir_all(machine.path().join("work/again"));
        machine.succeeds(user, "\"$0\" build ../env.json --out again --replace")
    };
    for (path, bits, expected) in [
        (&cache, 0o777, "everybody may write to"),
        (&cache, 0o1777, "everybody may write to"),
        (&cache, 0o770, "others may write to"),
        (&parent, 0o777, "everybody may write to"),
    ] {
        let before = mode_of(path);
        mode(path, bits);
        let text = message(VICTIM);
        assert!(
            text.contains("is not used") && text.contains(expected) && text.contains("chmod go-w"),
            "{bits:o}: {text}"
        );
        mode(path, before);
        assert!(!message(VICTIM).contains("warning"));
    }
    // An older version, or a backup, left it open for others to read.
    mode(&cache, 0o755);
    machine.succeeds(VICTIM, "\"$0\" build ../env.json --out again --replace && rm -r \"$HOME/.cache/venvtree/trees\" out again && \"$0\" build ../env.json --out out");
    assert_eq!(mode_of(&cache), 0o700);
    // Somebody else's, for another user and for root alike.
    std::os::unix::fs::chown(&cache, Some(OTHER), None).unwrap();
    mode(&cache, 0o755);
    for user in [VICTIM, 0] {
        let text = message(user);
        assert!(text.contains("belongs to the user 61002") && text.contains("sudo -H"), "{text}");
    }
    let failed = machine.run(VICTIM, "\"$0\" store stat");
    assert_eq!(failed.status.code(), Some(2), "{}", String::from_utf8_lossy(&failed.stderr));
}

#[test]
fn a_store_that_was_named_may_be_a_groups_but_not_everybodys() {
    let machine = Machine::new();
    let store = machine.path().join("shared");
    std::fs::create_dir(&store).unwrap();
    std::os::unix::fs::chown(&store, Some(0), Some(OTHER)).unwrap();
    let build = |user: u32, out: &str| {
        machine.run(
            user,
            &format!("umask 077; \"$0\" build ../env.json --out ../{out}/out --store ../shared"),
        )
    };
    for bits in [0o777, 0o1777, 0o757] {
        mode(&store, bits);
        for command in [
            "build ../env.json --out x --store ../shared",
            "store gc --store ../shared",
            "digest ../env.json --store ../shared",
        ] {
            let failed = machine.run(VICTIM, &format!("\"$0\" {command}"));
            let message = String::from_utf8_lossy(&failed.stderr).into_owned();
            assert_eq!(failed.status.code(), Some(2), "{message}");
            assert!(
                message.contains("everybody may write to") && message.contains("chmod go-w"),
                "{message}"
            );
        }
    }
    // Files and folders follow the permissions of the store, not the umask of who came first.
    mode(&store, 0o2775);
    assert!(build(OTHER, "other").status.success());
    assert_eq!(mode_of(&store.join("files")) & 0o775, 0o775);
    assert!(build(VICTIM, "work").status.success());
}

#[test]
fn what_one_user_of_a_groups_store_put_there_serves_the_others() {
    const GROUP: u32 = 61_009;
    let machine = Machine::new();
    let store = machine.path().join("shared");
    std::fs::create_dir(&store).unwrap();
    std::os::unix::fs::chown(&store, Some(0), Some(GROUP)).unwrap();
    mode(&store, 0o2775);
    let run = |user: u32, script: &str| {
        let mut command = Command::new("setpriv");
        command.args([
            format!("--reuid={user}"),
            format!("--regid={user}"),
            format!("--groups={GROUP}"),
        ]);
        command
            .args(["sh", "-c", script])
            .arg(machine.path().join("venvtree"))
            .current_dir(machine.path());
        let output = command.env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
        let (out, said) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert!(output.status.success() && !said.contains("warning"), "{script}: {out} {said}");
        out + &said
    };
    run(
        OTHER,
        "umask 077; \"$0\" build env.json --out other/out --store shared && \"$0\" store gc --store shared",
    );
    assert!(
        run(VICTIM, "\"$0\" build env.json --out work/out --store shared --format json")
            .contains("\"source\": \"store\"")
    );
    assert!(run(VICTIM, "\"$0\" store verify --store shared").contains(" 0 damaged"));
    // A use counts, whoever put it there.
    let hour = std::time::Duration::from_secs(2 * 3600);
    let trees: Vec<_> =
        walk(&store.join("trees")).into_iter().filter(|path| path.is_file()).collect();
    for tree in &trees {
        let file = std::fs::File::options().append(true).open(tree).unwrap();
        file.set_modified(std::time::SystemTime::now() - hour).unwrap();
    }
    run(VICTIM, "\"$0\" build env.json --out work/again --store shared");
    assert!(trees.iter().any(|tree| {
        tree.metadata().unwrap().modified().unwrap().elapsed().unwrap() < hour / 2
    }));
    // What environments link stays.
    for out in ["other/out", "work/out", "work/again"] {
        std::fs::remove_dir_all(machine.path().join(out)).unwrap();
    }
    run(VICTIM, "\"$0\" store gc --max-size 0 --store shared");
    let is_gone = |path: &Utf8PathBuf| path.is_dir() || path.metadata().unwrap().len() == 0;
    assert!(walk(&store.join("files")).iter().all(is_gone), "the folders of one are everybody's");
}

#[test]
fn what_another_user_put_where_everybody_may_write_is_not_written_to() {
    let machine = Machine::new();
    let open = machine.path().join("open");
    std::fs::create_dir(&open).unwrap();
    mode(&open, 0o1777);
    let precious = machine.path().join("work/precious");
    for user in [VICTIM, 0] {
        std::fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::chown(&precious, Some(VICTIM), Some(VICTIM)).unwrap();
        for (name, target) in [("link", true), ("file", false)] {
            let path = open.join(format!("{name}{user}"));
            if target {
                std::os::unix::fs::symlink(&precious, &path).unwrap()
            } else {
                std::fs::write(&path, "").unwrap()
            }
            std::os::unix::fs::lchown(&path, Some(OTHER), Some(OTHER)).unwrap();
            let failed = machine
                .run(user, &format!("\"$0\" pack ../env.json --archive-format tar --out '{path}'"));
            let message = String::from_utf8_lossy(&failed.stderr).into_owned();
            assert_eq!(failed.status.code(), Some(7), "{message}");
            assert!(message.contains("another user") && message.contains("everybody"), "{message}");
        }
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    }
    // One's own link, and what lies in somebody's own folder, are written to.
    std::os::unix::fs::symlink("own", open.join("mine")).unwrap();
    std::os::unix::fs::lchown(open.join("mine"), Some(VICTIM), Some(VICTIM)).unwrap();
    machine.succeeds(VICTIM, "\"$0\" pack ../env.json --archive-format tar --out ../open/mine");
    assert!(open.join("own").is_file());
}

#[test]
fn what_others_leave_in_a_folder_of_everybody_is_not_run() {
    let machine = Machine::new();
    let open = machine.path().join("open");
    std::fs::create_dir_all(open.join("mine")).unwrap();
    mode(&open, 0o1777);
    mode(&open.join("mine"), 0o777);
    let seen = machine.path().join("open/seen");
    let script = format!("#!/bin/sh\n: > '{seen}'\nexec {} \"$@\"\n", python());
    let planted = machine.project.write("other/python3", script);
    mode(&planted, 0o755);
    machine.project.write("open/.python-version", planted.as_str());
    let wheel = machine.project.path().join("wheels/demo-1.0-py3-none-any.whl");
    std::fs::copy(&wheel, open.join("mine/demo-1.0-py3-none-any.whl")).unwrap();
    let create = |user: u32, seed: &str| {
        machine.run(user, &format!("cd ../open/mine && \"$0\" create ../../work/out{user} {seed}"))
    };
    for (owner, user) in [(OTHER, VICTIM), (OTHER, 0)] {
        std::os::unix::fs::chown(open.join(".python-version"), Some(owner), Some(owner)).unwrap();
        let failed = create(user, "--no-seed");
        let message = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(
            !failed.status.success()
                && message.contains("another user")
                && message.contains("--python"),
            "{message}"
        );
        assert!(!seen.exists());
    }
    let failed = create(VICTIM, &format!("--seed demo --python {}", python()));
    let message = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && message.contains("no wheel of `demo`"), "{message}");
    // One's own word counts.
    std::os::unix::fs::chown(open.join(".python-version"), Some(VICTIM), Some(VICTIM)).unwrap();
    let output = create(VICTIM, "--no-seed");
    assert!(
        output.status.success() && seen.exists(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// All that is below a directory.
fn walk(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found: Vec<Utf8PathBuf> =
        directory.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()).collect();
    let mut index = 0;
    while index < found.len() {
        if found[index].is_dir() {
            let below: Vec<_> = found[index]
                .read_dir_utf8()
                .unwrap()
                .map(|entry| entry.unwrap().into_path())
                .collect();
            found.extend(below);
        }
        index += 1;
    }
    found
}

#[test]
fn programs_that_are_started_have_the_umask_of_the_user() {
    let machine = Machine::new();
    let script =
        format!("#!/bin/sh\numask >> '{}/home/seen'\nexec {} \"$@\"\n", machine.path(), python());
    let wrapper = machine.project.write("python-wrapper", script);
    mode(&wrapper, 0o755);
    for umask in ["0022", "0077", "0027"] {
        machine.succeeds(
            VICTIM,
            &format!("umask {umask}; \"$0\" create env-{umask} --no-seed --python {wrapper}"),
        );
    }
    let seen = std::fs::read_to_string(machine.path().join("home/seen")).unwrap();
    assert_eq!(seen.lines().collect::<Vec<_>>(), ["0022", "0077", "0027"]);
}

#[test]
fn a_store_that_cannot_be_read_is_as_one_that_is_empty() {
    let machine = Machine::new();
    machine.succeeds(VICTIM, "\"$0\" build ../env.json --out plain --store store");
    let digest = |out: &str| machine.project.run(&["digest", &format!("work/{out}")]).success();
    // Now, as files are shared.
    let expected = digest("plain");
    let store = machine.path().join("work/store");
    let entries = walk(&store);
    for (out, directories) in [("files", false), ("folders", true)] {
        let closed: Vec<_> = entries.iter().filter(|path| path.is_dir() == directories).collect();
        let before: Vec<_> = closed.iter().map(|path| mode_of(path)).collect();
        for path in &closed {
            std::os::unix::fs::chown(path, Some(OTHER), Some(OTHER)).unwrap();
            mode(path, 0o700);
        }
        let message = machine.succeeds(
            VICTIM,
            &format!("\"$0\" build ../env.json --out {out} --store store --link-mode copy"),
        );
        assert_eq!(digest(out), expected);
        assert!(message.matches("warning").count() <= 3, "{out}: {message}");
        for (path, bits) in closed.iter().zip(before) {
            std::os::unix::fs::chown(path, Some(VICTIM), Some(VICTIM)).unwrap();
            mode(path, bits);
        }
    }
}

#[test]
fn a_store_that_lost_all_times_is_said_to_in_one_line_and_what_stays_is_an_error() {
    let machine = Machine::new();
    machine.succeeds(VICTIM, "\"$0\" build ../env.json --out plain --store store");
    machine.succeeds(
        VICTIM,
        "find store -type f -exec touch {} +; find store -type f -exec chmod 0666 {} +",
    );
    let message = machine.succeeds(VICTIM, "\"$0\" build ../env.json --out again --store store");
    assert_eq!(message.matches("warning").count(), 1, "{message}");
    assert!(message.contains("more like it"), "{message}");
    // Nobody else can remove anything.
    let failed = machine.run(OTHER, "\"$0\" store gc --store store --max-size 0");
    let message = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(7), "{message}");
    assert!(message.lines().count() <= 2, "{message}");
}
