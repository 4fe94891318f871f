//! Activation in every shell that can be had on this machine, run for real.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use venvtree::model::activate::{ActivateVariables, Shell, quote, render};

use crate::support::commands::succeed_alone;
use crate::support::peers::{ask_python, peer};
use crate::support::sessions::{Dialect, Finished, Step, program};
use crate::support::{Python, interpreters};

/// What a directory can be called to hurt a script, without a line break.
const HOSTILE: &[&str] = &[
    "it's \"quoted\"",
    "$(touch PWNED)`touch PWNED`${HOME}$HOME",
    "x!y!!z ^a^b",
    "100% %PATH% %n %~dp0",
    "a; touch PWNED; b & c | d > e < f",
    "back\\slash \\$(touch PWNED)\\",
    "èрт🚒片 [1]* ? {a,b} ~ #",
    "@BIN@ @PROMPT@ -j",
];

/// What runs a shell's activation file here. There is no way to answer that nothing does.
enum Runs {
    /// The sessions of these tests, of which there is one at least.
    Sessions(Dialect, Vec<Dialect>),
    /// A test of its own.
    Test(#[allow(dead_code, reason = "named, so that it has to exist")] fn()),
}

impl Runs {
    /// Whoever adds a shell has to say here what runs it.
    fn of(shell: Shell) -> Self {
        let on_path = |name, file, flags| Dialect::new(name, shell, program(file), flags);
        let of_peer = |name, file, flags| Dialect::new(name, shell, peer(file), flags);
        let alone = |dialect| Self::Sessions(dialect, Vec::new());
        match shell {
            Shell::Posix => {
                let mut shells = Dialect::posix();
                Self::Sessions(shells.remove(0), shells)
            }
            Shell::Fish => alone(on_path("fish", "fish", &["--no-config"])),
            Shell::Csh => {
                let tcsh = on_path("tcsh", "tcsh", &["-f"]);
                Self::Sessions(on_path("csh", "bsd-csh", &["-f"]), vec![tcsh])
            }
            Shell::Nushell => alone(of_peer("nushell", "nu", &["--no-config-file"])),
            Shell::Xonsh => alone(of_peer("xonsh", "xonsh", &["--no-rc"])),
            // cmd.exe is Wine's.
            Shell::Cmd => Self::Test(batch_files),
            // Every interpreter runs it.
            Shell::Python => Self::Test(python_code_activates_an_environment),
            // What parses the language stands for PowerShell, which the registries do not have.
            Shell::PowerShell => Self::Test(powershell_can_be_parsed),
        }
    }
}

/// The programs that read an activation file in sessions.
fn dialects() -> Vec<Dialect> {
    let sessions = Shell::ALL.into_iter().filter_map(|shell| match Runs::of(shell) {
        Runs::Sessions(first, others) => Some([vec![first], others].concat()),
        Runs::Test(_) => None,
    });
    sessions.flatten().collect()
}

/// The newest interpreter that every environment of these tests links to.
fn python() -> Python {
    interpreters()
        .into_iter()
        .rfind(|python| python.version == (3, 11))
        .unwrap_or_else(|| interpreters().remove(0))
}

/// An environment made by hand: activation scripts of every shell, an interpreter, `pip` and a
/// console script. Returns where it is.
fn environment(root: PathBuf, prompt: Option<&str>) -> PathBuf {
    environment_of(&python(), &root, prompt);
    root
}

fn environment_of(python: &Python, root: &Path, prompt: Option<&str>) {
    let site_packages =
        format!("lib/python{}.{}/site-packages", python.version.0, python.version.1);
    let bin = root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(root.join(&site_packages)).unwrap();
    fs::write(
        root.join(&site_packages).join("hello.py"),
        "import sys\ndef main():\n    print('hello from', sys.prefix)\n",
    )
    .unwrap();
    fs::write(root.join("pyvenv.cfg"), "home =\ninclude-system-site-packages = false\n").unwrap();
    symlink(&python.path, bin.join("python")).unwrap();
    for (name, body) in [
        ("hello", "import hello; hello.main()"),
        ("pip", "import sys; print(\"pip of\", sys.prefix)"),
    ] {
        fs::write(bin.join(name), format!("#!/bin/sh\nexec \"${{0%/*}}/python\" -c '{body}'\n"))
            .unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let variables = ActivateVariables { prompt, scripts: "bin", site_packages: &site_packages };
    for shell in Shell::ALL {
        for (name, bytes) in render(shell, &variables) {
            fs::write(bin.join(name), bytes).unwrap();
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the tests' paths are UTF-8")
}

/// A folder that is there as long as its guard, and its path without links.
fn scratch() -> (TempDir, PathBuf) {
    let guard = TempDir::new().unwrap();
    let path = guard.path().canonicalize().unwrap();
    (guard, path)
}

/// A folder with environments of these names.
fn environments<const N: usize>(names: [&str; N]) -> (TempDir, PathBuf) {
    let (guard, scratch) = scratch();
    for name in names {
        environment(scratch.join(name), None);
    }
    (guard, scratch)
}

/// Checks a whole session in the environment at `root`, sourced by `path`: what it is called, what
/// runs, and that nothing is left.
fn check_session(
    dialect: &Dialect,
    scratch: &Path,
    root: &Path,
    path: &str,
    options: &[&str],
    variables: &[(&str, &str)],
) {
    // xonsh is a Python program itself: what would hurt it, it sets when it runs.
    let (own, inherited): (Vec<_>, Vec<_>) = variables
        .iter()
        .copied()
        .partition(|(name, _)| dialect.shell == Shell::Xonsh && *name == "PYTHONHOME");
    let raw = own.iter().map(|(name, value)| format!("${name} = '{value}'\n")).collect::<String>();
    let finished = dialect.run(
        scratch,
        &inherited,
        options,
        &[
            Step::Raw(&raw),
            Step::Probe("before"),
            Step::Activate(path),
            Step::Probe("active"),
            Step::Run("python -c 'import sys; print(sys.prefix)'"),
            Step::Run("pip"),
            Step::Run("hello"),
            Step::Deactivate,
            Step::Probe("after"),
        ],
    );
    let root = text(root);
    assert_eq!(
        finished.stdout,
        format!("{root}\npip of {root}\nhello from {root}\n"),
        "{finished:?}"
    );
    check_active(&finished, root);
    check_restored(&finished);
    assert!(!scratch.join("PWNED").exists(), "{finished:?}");
}

fn check_active(finished: &Finished, root: &str) {
    let before = finished.probe("before");
    let active = finished.probe("active").exported;
    let name = Path::new(root).file_name().unwrap().to_str().unwrap();
    let prefixed =
        |entry: String, old: &str| match before.exported.get(old).filter(|value| !value.is_empty())
        {
            Some(value) => format!("{entry}:{value}"),
            None => entry,
        };
    assert_eq!(active.get("VIRTUAL_ENV").map(String::as_str), Some(root), "{finished:?}");
    assert_eq!(active.get("VIRTUAL_ENV_PROMPT").map(String::as_str), Some(name), "{finished:?}");
    assert_eq!(active.get("PATH"), Some(&prefixed(format!("{root}/bin"), "PATH")), "{finished:?}");
    assert_eq!(
        active.get("PKG_CONFIG_PATH"),
        Some(&prefixed(format!("{root}/lib/pkgconfig"), "PKG_CONFIG_PATH")),
        "{finished:?}"
    );
    assert_eq!(active.get("PYTHONHOME"), None, "{finished:?}");
}

fn check_restored(finished: &Finished) {
    let (before, after) = (finished.probe("before"), finished.probe("after"));
    assert!(!before.exported.is_empty() && !before.internal.is_empty(), "{finished:?}");
    assert_eq!(after.exported, before.exported, "{finished:?}");
    assert_eq!(after.internal, before.internal, "{finished:?}");
}

/// These steps, and what there is before and after them.
fn probed<'a>(steps: &[Step<'a>]) -> Vec<Step<'a>> {
    [&[Step::Probe("before")], steps, &[Step::Probe("after")]].concat()
}

#[test]
fn the_page_names_every_shell_and_what_it_reads() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/activation.md");
    let page = fs::read_to_string(page).unwrap();
    for shell in Shell::ALL {
        assert!(page.contains(&format!("`{}`", shell.name())), "{shell:?}");
        let file = shell.file_names().next().expect("a script");
        let is_named = page.contains(&format!("/{file}`")) || page.contains(&format!("\\{file}`"));
        assert!(is_named || page.contains(&format!("/{file}\"")), "{file}");
    }
}

#[test]
fn the_readme_names_every_shell() {
    let readme = include_str!("../../README.md");
    let (_, after) = readme.split_once("Activation works in").expect("a sentence");
    let (sentence, _) = after.split_once(", wherever").expect("its end");
    let named: Vec<&str> = sentence.split([',', ' ', '\n']).collect();
    for shell in Shell::ALL {
        let name = match shell {
            Shell::Posix => "sh",
            Shell::Fish => "fish",
            Shell::Csh => "csh",
            Shell::Nushell => "nushell",
            Shell::Xonsh => "xonsh",
            Shell::PowerShell => "PowerShell",
            Shell::Cmd => "cmd.exe",
            // No shell that anybody types in.
            Shell::Python => continue,
        };
        assert!(named.contains(&name), "{name} is not in: {sentence}");
    }
}

#[test]
fn the_rules_know_every_shell() {
    let rules = include_str!("../../rules/common/spec.bzl");
    let names = Shell::ALL.map(|shell| format!("{:?}", shell.name())).join(", ");
    assert!(rules.contains(&format!("_SHELLS = [{names}]\n")), "{names}");
}

#[test]
fn activates_and_leaves_nothing() {
    let (_guard, scratch) = scratch();
    let root = environment(scratch.join("env"), None);
    for dialect in dialects() {
        let file = dialect.file();
        let absolute = format!("{}/bin/{file}", text(&root));
        check_session(&dialect, &scratch, &root, &absolute, &[], &[]);
        check_session(
            &dialect,
            &scratch,
            &root,
            &format!("env/bin/{file}"),
            &[],
            &[("PYTHONHOME", "/nowhere"), ("PKG_CONFIG_PATH", "/pc")],
        );
        check_session(
            &dialect,
            &scratch,
            &root,
            &format!("./env/../env/bin/./{file}"),
            &[],
            &[("PYTHONHOME", "")],
        );
    }
}

#[test]
fn survives_a_move() {
    let (_guard, scratch) = environments(["first"]);
    fs::create_dir(scratch.join("là bas")).unwrap();
    let root = scratch.join("là bas/second env");
    fs::rename(scratch.join("first"), &root).unwrap();
    for dialect in dialects() {
        check_session(&dialect, &scratch, &root, &dialect.file_of(text(&root)), &[], &[]);
    }
}

#[test]
fn works_where_errors_end_the_shell() {
    let (_guard, scratch) = scratch();
    let root = environment(scratch.join("env"), None);
    for dialect in dialects() {
        let options: &[&str] = match dialect.shell {
            Shell::Posix => &["-eu"],
            Shell::Csh => &["-e"],
            _ => continue,
        };
        check_session(&dialect, &scratch, &root, &dialect.file_of("env"), options, &[]);
        let path = dialect.file_of("env");
        let again = dialect.run(
            &scratch,
            &[("VIRTUAL_ENV_DISABLE_PROMPT", "1"), ("PYTHONHOME", "/nowhere")],
            options,
            &probed(&[Step::Activate(&path), Step::Activate(&path), Step::Deactivate]),
        );
        check_restored(&again);
    }
}

/// `hello` ran in the environment at `root`, which was active, and nothing is left of it.
fn check_hello(finished: &Finished, root: &Path) {
    assert_eq!(finished.stdout, format!("hello from {}\n", text(root)), "{finished:?}");
    check_active(finished, text(root));
    check_restored(finished);
}

#[test]
fn a_second_activation_starts_from_the_first_ones_beginning() {
    let (_guard, scratch) = environments(["one", "two"]);
    for dialect in dialects() {
        let [one, two] =
            ["one", "two"].map(|name| format!("{}/{name}/bin/{}", text(&scratch), dialect.file()));
        for (first, active) in [(&one, "one"), (&two, "one")] {
            let finished = dialect.run(
                &scratch,
                &[("PKG_CONFIG_PATH", "/pc")],
                &[],
                &probed(&[
                    Step::Activate(first),
                    Step::Activate(&one),
                    Step::Probe("active"),
                    Step::Run("hello"),
                    Step::Deactivate,
                ]),
            );
            check_hello(&finished, &scratch.join(active));
        }
    }
}

/// An environment of the standard library's `venv`, which has activation scripts of its own for
/// some shells.
#[test]
fn an_environment_of_venv_leaves_first() {
    let (_guard, scratch) = environments(["ours"]);
    python().make_venv(&scratch.join("theirs"));
    for dialect in dialects() {
        if !scratch.join("theirs/bin").join(dialect.file()).exists()
            || matches!(dialect.name, "posh")
        {
            continue;
        }
        let [ours, theirs] = ["ours", "theirs"]
            .map(|name| format!("{}/{name}/bin/{}", text(&scratch), dialect.file()));
        let finished = dialect.run(
            &scratch,
            // Its scripts for sh leave a prompt behind where there was none, and export it.
            &[("VIRTUAL_ENV_DISABLE_PROMPT", "1")],
            &[],
            &[
                // Its script for csh wants a prompt to be there.
                Step::Raw(if dialect.shell == Shell::Csh { "set prompt = '> '" } else { "" }),
                Step::Probe("before"),
                Step::Activate(&theirs),
                Step::Activate(&ours),
                Step::Probe("active"),
                Step::Run("hello"),
                Step::Deactivate,
                // An alias is what its own `deactivate` leaves.
                Step::Raw(if dialect.shell == Shell::Csh { "unalias pydoc" } else { "" }),
                Step::Probe("after"),
            ],
        );
        check_hello(&finished, &scratch.join("ours"));
    }
}

/// Those of other tools put another function in the place of the one that leaves ours.
#[test]
fn fish_gives_its_prompt_back_to_whatever_comes_next() {
    let (_guard, scratch) = environments(["env"]);
    let python = python();
    let venv = ["-m", "venv", "--without-pip", "venv"];
    succeed_alone(Command::new(&python.path).args(venv).current_dir(&scratch));
    let mut virtualenv = Command::new(peer("virtualenv"));
    virtualenv.args(["--quiet", "--no-seed", "--no-download", "virtualenv", "--python"]);
    succeed_alone(virtualenv.arg(&python.path).current_dir(&scratch).env("HOME", &scratch));
    let mut uv = Command::new(peer("uv"));
    uv.args(["venv", "--quiet", "--offline", "uv", "--python"]).arg(&python.path);
    succeed_alone(uv.current_dir(&scratch).env("HOME", &scratch));
    let mut fish = Command::new("fish");
    let program = "function fish_prompt; echo plain; end
        for other in venv virtualenv uv
            . env/bin/activate.fish; fish_prompt
            . $other/bin/activate.fish; fish_prompt; deactivate; fish_prompt
            . env/bin/activate.fish; fish_prompt
            deactivate; fish_prompt
            . $other/bin/activate.fish; . env/bin/activate.fish; fish_prompt
            deactivate; fish_prompt
        end";
    let output = fish.args(["--no-config", "-c", program]).current_dir(&scratch).output().unwrap();
    let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for colour in ["\u{1b}[38;5;67m", "\u{1b}(B", "\u{1b}[m"] {
        shown = shown.replace(colour, "");
    }
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    let expected = ["venv", "virtualenv", "uv"].map(|other| {
        let other = format!("({other}) plain");
        ["(env) plain", &other, "plain", "(env) plain", "plain", "(env) plain", "plain"]
            .map(str::to_owned)
    });
    assert_eq!(lines, expected.concat(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_was_inherited_comes_back() {
    let (_guard, scratch) = scratch();
    let root = environment(scratch.join("env"), None);
    for dialect in dialects() {
        let path = dialect.file_of("env");
        // A child of a shell in which another environment is active.
        let inherited = [
            ("VIRTUAL_ENV", "/other"),
            ("VIRTUAL_ENV_PROMPT", "other one"),
            ("PATH", "/other/bin:/usr/bin:/bin"),
        ];
        check_session(&dialect, &scratch, &root, &path, &[], &inherited);
    }
    for dialect in Dialect::posix() {
        for before in [
            "PATH=",
            "unset PATH",
            "PS1=",
            "unset PS1",
            "PS1='$ '",
            "PKG_CONFIG_PATH=; export PKG_CONFIG_PATH",
        ] {
            let finished = dialect.run(
                &scratch,
                &[],
                &["-eu"],
                &[
                    Step::Raw(before),
                    Step::Probe("before"),
                    Step::Activate("env/bin/activate"),
                    Step::Deactivate,
                    Step::Probe("after"),
                ],
            );
            check_restored(&finished);
        }
    }
}

#[test]
fn hostile_paths_stay_text() {
    let (_guard, scratch) = scratch();
    for name in HOSTILE {
        let root = environment(scratch.join(name), None);
        for dialect in dialects() {
            // xonsh expands variables in PATH: it says so, in a test of its own.
            if dialect.shell == Shell::Xonsh && name.contains(['$', '%', '~']) {
                continue;
            }
            check_session(&dialect, &scratch, &root, &dialect.file_of(name), &[], &[]);
        }
    }
}

#[test]
fn line_breaks_in_paths() {
    let (_guard, scratch) = scratch();
    let root = environment(scratch.join("line\nbreak"), None);
    let (taken, refused): (Vec<_>, Vec<_>) =
        dialects().into_iter().partition(Dialect::takes_line_breaks);
    for dialect in taken {
        check_session(&dialect, &scratch, &root, &dialect.file_of(text(&root)), &[], &[]);
    }
    for dialect in refused {
        check_refused(&dialect, &scratch, &dialect.file_of(text(&root)), "activate");
    }
}

/// Checks that an activation is refused for this reason.
fn check_refused(dialect: &Dialect, scratch: &Path, path: &str, reason: &str) {
    let steps = probed(&[Step::Activate(path)]);
    was_refused(&dialect.run(scratch, &[], &[], &steps), reason);
}

/// Nothing is active, nothing is left, and the reason is on standard error.
fn was_refused(finished: &Finished, reason: &str) {
    assert!(finished.stderr.contains(reason), "{finished:?}");
    let before = finished.probe("before");
    match finished.success {
        true => assert_eq!(finished.probe("after").exported, before.exported, "{finished:?}"),
        // Some shells end when a command fails.
        false => assert!(!before.exported.contains_key("VIRTUAL_ENV"), "{finished:?}"),
    }
}

#[test]
fn refuses_what_path_cannot_hold() {
    let (_guard, scratch) = scratch();
    let root = environment(scratch.join("co:lon"), None);
    for dialect in dialects() {
        let path = dialect.file_of(text(&root));
        check_refused(&dialect, &scratch, &path, "PATH cannot hold");
    }
    let root = environment(scratch.join("a$HOME"), None);
    let xonsh = dialects().into_iter().find(|dialect| dialect.shell == Shell::Xonsh).unwrap();
    let path = format!("{}/bin/activate.xsh", text(&root));
    check_refused(&xonsh, &scratch, &path, "PATH cannot hold");
}

#[test]
fn refuses_what_is_not_an_environment() {
    let (_guard, scratch) = scratch();
    let root = environment(scratch.join("env"), None);
    fs::remove_file(root.join("pyvenv.cfg")).unwrap();
    for dialect in dialects() {
        let path = dialect.file_of(text(&root));
        check_refused(&dialect, &scratch, &path, "activate");
    }
}

#[test]
fn refuses_to_be_run() {
    let (_guard, scratch) = environments(["env"]);
    for dialect in Dialect::posix() {
        let output = dialect.command(&scratch, &[]).arg("env/bin/activate").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains("You must source this script: $ source "),
            "{}: {output:?}",
            dialect.name
        );
    }
}

/// Prompts are drawn by interactive shells; what they show has to be the text, and nothing of it
/// may run.
#[test]
fn hostile_prompts_stay_text() {
    let (_guard, scratch) = scratch();
    for (index, prompt) in HOSTILE.iter().enumerate() {
        environment(scratch.join(format!("env{index}")), Some(prompt));
        for dialect in dialects() {
            let path = dialect.file_of(&format!("env{index}"));
            let set = match (dialect.shell, dialect.name) {
                // In this mode bash takes an exclamation mark in any prompt for the number of the
                // command.
                (_, "bash --posix") => continue,
                (Shell::Posix, _) => "PS1=__END__",
                (Shell::Csh, _) => "set prompt = __END__",
                (Shell::Fish, _) => "function fish_prompt; printf __END__; end",
                (Shell::Nushell, _) => "$env.PROMPT_COMMAND = {|| '__END__'}",
                _ => "",
            };
            let (draw, end): (_, &str) = match dialect.shell {
                Shell::Fish => ("fish_prompt", "__END__"),
                Shell::Nushell => ("print (do $env.PROMPT_COMMAND)", "__END__"),
                Shell::Xonsh => (
                    "from xonsh.prompt.base import PromptFormatter; print(PromptFormatter()('{env_name}'))",
                    "",
                ),
                _ => ("", "__END__"),
            };
            let steps = [
                Step::Raw(set),
                Step::Activate(&path),
                Step::Run("/usr/bin/printenv VIRTUAL_ENV_PROMPT"),
                Step::Raw(draw),
            ];
            let finished = match dialect.shell {
                Shell::Posix | Shell::Csh => dialect.interact(&scratch, &[], &steps),
                _ => dialect.run(&scratch, &[], &[], &steps),
            };
            let output = format!("{}{}", finished.stdout, finished.stderr);
            assert!(finished.stdout.contains(&format!("{prompt}\n")), "{finished:?}");
            // xonsh adds the parentheses where pyvenv.cfg has the same prompt.
            let drawn = if dialect.shell == Shell::Xonsh {
                format!("{prompt}\n{prompt}\n")
            } else {
                format!("({prompt}) {end}")
            };
            assert!(output.contains(&drawn), "{finished:?}");
            assert!(!scratch.join("PWNED").exists(), "{finished:?}");
        }
    }
}

#[test]
fn the_prompt_can_be_left_alone() {
    let (_guard, scratch) = scratch();
    environment(scratch.join("env"), Some("name"));
    for dialect in dialects() {
        let path = dialect.file_of("env");
        let (set, draw) = match dialect.shell {
            Shell::Posix => ("PS1=__END__", "echo \"$PS1\""),
            Shell::Csh => ("set prompt = __END__", "echo $prompt"),
            Shell::Fish => ("function fish_prompt; echo __END__; end", "fish_prompt"),
            Shell::Nushell => {
                ("$env.PROMPT_COMMAND = {|| '__END__'}", "print (do $env.PROMPT_COMMAND)")
            }
            _ => ("", "print('__END__' + $PROMPT_FIELDS['env_name'](), flush=True)"),
        };
        let steps = [
            Step::Raw(set),
            Step::Activate(&path),
            Step::Raw(draw),
            Step::Run("/usr/bin/printenv VIRTUAL_ENV_PROMPT"),
        ];
        let finished = dialect.run(&scratch, &[("VIRTUAL_ENV_DISABLE_PROMPT", "1")], &[], &steps);
        assert_eq!(finished.stdout, "__END__\nname\n", "{finished:?}");
    }
}

/// A prompt that needs an element of zsh's `psvar` leaves the array as it was, whatever became of
/// it meanwhile.
#[test]
fn zsh_keeps_its_prompt_array() {
    let (_guard, scratch) = scratch();
    environment(scratch.join("env"), Some("$special"));
    for dialect in Dialect::posix()
        .into_iter()
        .filter(|dialect| matches!(dialect.name, "zsh" | "zsh -o ksharrays"))
    {
        for (before, meanwhile, after) in [
            ("psvar=()", "", "0 []"),
            ("psvar=(a b)", "", "2 [a b]"),
            ("psvar=(1 2 3 4 5 6 7 8 9 10)", "", "10 [1 2 3 4 5 6 7 8 9 10]"),
            ("psvar=(a)", "psvar=()", "0 []"),
            ("psvar=(a)", "psvar=(x y)", "2 [x y]"),
        ] {
            let steps = [
                Step::Raw(before),
                Step::Activate("env/bin/activate"),
                Step::Raw("[ \"${psvar[-1]}\" = '$special' ] || echo missing"),
                Step::Raw(meanwhile),
                Step::Deactivate,
                Step::Raw("echo \"${#psvar[@]} [${psvar[*]}]\""),
            ];
            let finished = dialect.run(&scratch, &[], &["-eu"], &steps);
            assert_eq!(finished.stdout, format!("{after}\n"), "{finished:?}");
        }
    }
}

/// Line breaks in a prompt: the variable keeps them, where the shell can, and a session lives on.
#[test]
fn line_breaks_in_prompts() {
    let (_guard, scratch) = scratch();
    environment(scratch.join("env"), Some("two\nlines"));
    for dialect in dialects() {
        let path = dialect.file_of("env");
        let steps = probed(&[
            Step::Activate(&path),
            Step::Run("/usr/bin/printenv VIRTUAL_ENV_PROMPT"),
            Step::Deactivate,
        ]);
        let finished = dialect.run(&scratch, &[], &[], &steps);
        let expected = if dialect.shell == Shell::Csh { "two lines\n" } else { "two\nlines\n" };
        assert_eq!(finished.stdout, expected, "{finished:?}");
        check_restored(&finished);
    }
}

#[test]
fn links() {
    let (_guard, scratch) = scratch();
    let root = environment(scratch.join("real/env"), None);
    symlink("real", scratch.join("parent")).unwrap();
    symlink("real/env/bin", scratch.join("commands")).unwrap();
    // As sandboxes of build systems do it: folders are real, and every file is a link.
    let farm = scratch.join("farm");
    let copied = Command::new("cp").args(["-rs"]).arg(&root).arg(&farm).status().unwrap();
    assert!(copied.success());
    for dialect in dialects() {
        let file = dialect.file();
        fs::create_dir_all(scratch.join("links")).unwrap();
        let link = scratch.join("links").join(file);
        if !link.exists() {
            symlink(root.join("bin").join(file), link).unwrap();
        }
        // csh and yash learn from the system where the file is, and the system has followed all
        // links.
        let lexical = dialect.shell != Shell::Csh && dialect.name != "yash";
        let cases = [
            (
                format!("parent/env/bin/{file}"),
                if lexical { scratch.join("parent/env") } else { root.clone() },
            ),
            (format!("farm/bin/{file}"), if lexical { farm.clone() } else { root.clone() }),
            (format!("commands/{file}"), root.clone()),
            (format!("links/{file}"), root.clone()),
            (format!("parent/../real/env/bin/{file}"), root.clone()),
        ];
        for (path, expected) in cases {
            let finished = dialect.run(
                &scratch,
                &[],
                &[],
                &[Step::Activate(&path), Step::Run("/usr/bin/printenv VIRTUAL_ENV")],
            );
            assert_eq!(finished.stdout, format!("{}\n", text(&expected)), "{finished:?}");
        }
    }
}

/// Sessions where nothing is mounted at `/proc`, as on other systems than Linux.
fn without_proc(
    dialect: &Dialect,
    scratch: &Path,
    variables: &[(&str, &str)],
    steps: &[Step<'_>],
) -> Finished {
    dialect.run_by(
        &[
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs none /proc && exec \"$@\"",
            "sh",
        ],
        scratch,
        variables,
        steps,
    )
}

#[test]
fn without_proc_it_is_right_or_says_so() {
    let (_guard, scratch) = environments(["env", "other"]);
    for dialect in dialects() {
        if dialect.shell == Shell::Nushell {
            // It does not start there.
            continue;
        }
        let file = dialect.file();
        let path = format!("env/bin/{file}");
        let show = Step::Run("/usr/bin/printenv VIRTUAL_ENV");
        // yash and csh alone cannot tell which file they read.
        let blind = dialect.name == "yash" || dialect.shell == Shell::Csh;
        let finished = without_proc(
            &dialect,
            &scratch,
            &[],
            &[Step::Probe("before"), Step::Activate(&path), Step::Probe("after"), show],
        );
        if blind {
            assert_eq!(finished.stdout, "", "{finished:?}");
            was_refused(&finished, "set VENVTREE_ENV to");
        } else {
            assert_eq!(
                finished.stdout,
                format!("{}\n", text(&scratch.join("env"))),
                "{finished:?}"
            );
        }
        // Named, they all know.
        let named = without_proc(
            &dialect,
            &scratch,
            &[("VENVTREE_ENV", text(&scratch.join("env")))],
            &[Step::Activate(&path), show],
        );
        assert_eq!(named.stdout, format!("{}\n", text(&scratch.join("env"))), "{named:?}");
        let wrong = [("VENVTREE_ENV", "/nonexistent")];
        if blind {
            let finished = without_proc(
                &dialect,
                &scratch,
                &wrong,
                &[Step::Probe("before"), Step::Activate(&path), Step::Probe("after")],
            );
            was_refused(&finished, "VENVTREE_ENV is not an environment");
        }
        // In the environment's own folder the blind take it, and say so; the others never mistake
        // one for another.
        let finished = without_proc(
            &dialect,
            &scratch.join("env"),
            &[],
            &[Step::Activate(&format!("bin/{file}")), show],
        );
        assert_eq!(finished.stdout, format!("{}\n", text(&scratch.join("env"))), "{finished:?}");
        assert_eq!(
            finished.stderr.contains("taking the environment in the current folder"),
            blind,
            "{finished:?}"
        );
        if !blind {
            let path = format!("../other/bin/{file}");
            let finished =
                without_proc(&dialect, &scratch.join("env"), &[], &[Step::Activate(&path), show]);
            assert_eq!(
                finished.stdout,
                format!("{}\n", text(&scratch.join("other"))),
                "{finished:?}"
            );
        }
    }
}

#[test]
fn python_code_activates_an_environment() {
    let check =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/python/activate_this_check.py");
    for python in interpreters() {
        let (_guard, scratch) = scratch();
        let root = scratch.join("it's \"é\" $(x) @BIN@");
        environment_of(&python, &root, Some("a \"prompt\" é\n🚒"));
        let site_packages =
            root.join(format!("lib/python{}.{}/site-packages", python.version.0, python.version.1));
        fs::create_dir(site_packages.join("more")).unwrap();
        fs::write(site_packages.join("more/from_pth.py"), "").unwrap();
        fs::write(
            site_packages.join("a.pth"),
            "more\nimport os, sys; os.environ['PTH_RAN_WITH'] = sys.prefix\n",
        )
        .unwrap();
        for when in ["early", "late"] {
            let output = Command::new(&python.path)
                .args(["-B", "-S"].iter().skip(usize::from(when == "early")))
                .arg(&check)
                .args([text(&root), when])
                .env_clear()
                .env("PATH", ":/usr/bin::/bin:")
                .env("LC_ALL", "C.UTF-8")
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .output()
                .unwrap();
            let context = format!("{python:?} {when}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{context}");
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let (root, site_packages) = (text(&root), text(&site_packages));
            let expected = serde_json::json!({
                "hello": format!("{site_packages}/hello.py"),
                "from_pth": format!("{site_packages}/more/from_pth.py"),
                "added": [site_packages, format!("{site_packages}/more")],
                "added_first": true,
                "rest": true,
                "prefix": [root, root],
                "base_prefix_differs": true,
                "site_packages": site_packages,
                "purelib": site_packages,
                "pth_ran": root,
                "path": [format!("{root}/bin"), "/usr/bin", "/bin"],
                "virtual_env": root,
                "prompt": "a \"prompt\" é\n🚒",
                "pkg_config": format!("{root}/lib/pkgconfig"),
                "pythonhome": null,
                "console_script": format!("hello from {root}\n"),
            });
            assert_eq!(report, expected, "{context}");
        }
    }
}

#[test]
fn python_code_says_what_is_missing() {
    let (_guard, scratch) = environments(["env", "co:lon", "bare"]);
    fs::remove_file(scratch.join("bare/pyvenv.cfg")).unwrap();
    let cases = [
        (
            "exec(open('env/bin/activate_this.py').read())",
            "You must use import runpy; runpy.run_path(this_file)",
        ),
        ("import runpy; runpy.run_path('bare/bin/activate_this.py')", "is not in an environment"),
        ("import runpy; runpy.run_path('co:lon/bin/activate_this.py')", "PATH cannot hold"),
    ];
    for (code, reason) in cases {
        let output =
            Command::new(python().path).args(["-c", code]).current_dir(&scratch).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(reason), "{code}: {errors}");
    }
}

/// The batch files, run by Wine's `cmd.exe`: not Microsoft's, but it reads the same language.
#[test]
fn batch_files() {
    let (_guard, scratch) = scratch();
    let cases =
        [("e nv (x86)", None), ("second", Some("a & b $P")), ("se;mi", None), ("bare", None)];
    for (name, prompt) in cases {
        let scripts = scratch.join(name).join("Scripts");
        fs::create_dir_all(&scripts).unwrap();
        fs::write(scratch.join(name).join("pyvenv.cfg"), "home =\n").unwrap();
        let variables =
            ActivateVariables { prompt, scripts: "Scripts", site_packages: "Lib/site-packages" };
        for (file, bytes) in render(Shell::Cmd, &variables) {
            fs::write(scripts.join(file), bytes).unwrap();
        }
    }
    fs::remove_file(scratch.join("bare/pyvenv.cfg")).unwrap();
    let session = [
        "@echo off",
        "set > before.txt",
        "call \"se;mi\\Scripts\\activate.bat\"",
        "if not errorlevel 1 echo a semicolon was taken",
        "call bare\\Scripts\\activate.bat",
        "if not errorlevel 1 echo a bare folder was taken",
        "set > refused.txt",
        "call \"e nv (x86)\\Scripts\\activate.bat\"",
        "if errorlevel 1 echo refused",
        "set > first.txt",
        "call \"e nv (x86)\\Scripts\\activate.bat\"",
        "set > again.txt",
        "call second\\Scripts\\activate.bat",
        "set > second.txt",
        "call deactivate",
        "set > after.txt",
        "call second\\Scripts\\deactivate.bat",
        "set > twice.txt",
        "",
    ];
    fs::write(scratch.join("session.bat"), session.join("\r\n")).unwrap();
    let mut wine = Command::new("wine");
    wine.args(["cmd", "/d", "/c", "session.bat"])
        .current_dir(&scratch)
        .env_clear()
        .env("HOME", &scratch)
        .env("PATH", "/usr/bin:/bin");
    wine.env("WINEPREFIX", scratch.join("wine"))
        .env("WINEDEBUG", "-all")
        .env("PYTHONHOME", "Z:\\python home");
    let output = wine.output().unwrap_or_else(|error| {
        panic!("the tests run batch files by `wine` ({error}): run .ci/install")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("taken") && !said.contains("refused"),
        "{said}"
    );
    assert!(
        said.contains("PATH cannot hold a folder with a semicolon")
            && said.contains("it has no pyvenv.cfg"),
        "{said}"
    );

    let variables = |name: &str| -> std::collections::BTreeMap<String, String> {
        let text = fs::read(scratch.join(format!("{name}.txt")))
            .unwrap_or_else(|error| panic!("{name}: {error}: {said}"));
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_uppercase(), value.to_owned()))
            .collect()
    };
    let before = variables("before");
    assert_eq!(before["PYTHONHOME"], "Z:\\python home");
    for name in ["refused", "after", "twice"] {
        assert_eq!(variables(name), before, "{name}: {said}");
    }
    assert_eq!(variables("again"), variables("first"));
    let drive = format!("Z:{}", text(&scratch).replace('/', "\\"));
    for (name, root, prompt, drawn) in [
        ("first", "e nv (x86)", "e nv (x86)", "e nv (x86)"),
        ("second", "second", "a   b $P", "a   b $$P"),
    ] {
        let active = variables(name);
        let root = format!("{drive}\\{root}");
        assert_eq!(active["VIRTUAL_ENV"], root);
        assert_eq!(active["VIRTUAL_ENV_PROMPT"], prompt);
        assert_eq!(active["PATH"], format!("{root}\\Scripts;{}", before["PATH"]));
        assert_eq!(active["PROMPT"], format!("({drawn}) {}", before["PROMPT"]));
        assert_eq!(active["PKG_CONFIG_PATH"], format!("{root}\\lib\\pkgconfig"));
        assert!(!active.contains_key("PYTHONHOME"));
    }
}

/// PowerShell is not to be had from the registries; what parses its language is.
#[test]
fn powershell_can_be_parsed() {
    const PARSE: &str = r#"
import json, sys
import tree_sitter, tree_sitter_pwsh

parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_pwsh.language()))

def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)

def check(text):
    found = list(nodes(parser.parse(text.encode("utf-8")).root_node))
    errors = [node.text.decode("utf-8") for node in found if node.is_error or node.is_missing]
    return {"errors": errors, "strings": [node.text.decode("utf-8") for node in found if node.type == "verbatim_string_characters"]}

json.dump([check(text) for text in json.load(sys.stdin)], sys.stdout)
"#;
    let prompts: Vec<&str> = HOSTILE
        .iter()
        .copied()
        .chain(["", "two\nlines", "\u{2018}\u{2019}\u{201a}\u{201b}'+(1)+'"])
        .collect();
    let texts: Vec<String> = prompts
        .iter()
        .map(|prompt| {
            let variables = ActivateVariables {
                prompt: Some(prompt),
                scripts: "Scripts",
                site_packages: "Lib/site-packages",
            };
            let (_, bytes) = render(Shell::PowerShell, &variables).remove(0);
            String::from_utf8(bytes).unwrap().trim_start_matches('\u{feff}').to_owned()
        })
        .collect();
    let parsed = ask_python(PARSE, &serde_json::json!(texts));
    for (prompt, parsed) in prompts.iter().zip(parsed.as_array().unwrap()) {
        assert_eq!(parsed["errors"], serde_json::json!([]), "{prompt:?}");
        let literal = quote::quote(Shell::PowerShell, prompt);
        assert!(
            parsed["strings"].as_array().unwrap().iter().any(|string| string == literal.as_str()),
            "{prompt:?}: {parsed}"
        );
    }
    let broken = ask_python(PARSE, &serde_json::json!(["if ($x { 'a' }"]));
    assert_ne!(broken[0]["errors"], serde_json::json!([]), "the parser sees errors");
}

/// What `create` makes, with the real pip: in every shell, moved to a hostile place.
#[test]
fn created_environments() {
    let (_guard, scratch) = scratch();
    let mut create = Command::new(env!("CARGO_BIN_EXE_venvtree"));
    create
        .args(["create", "--quiet", "--seed", "pip", "--prompt", "created", "--python"])
        .arg(python().path)
        .arg(scratch.join("env"));
    assert!(create.env("XDG_CACHE_HOME", scratch.join("cache")).status().unwrap().success());
    let root = scratch.join("it's (moved) é");
    fs::rename(scratch.join("env"), &root).unwrap();
    for dialect in dialects() {
        let path = dialect.file_of(text(&root));
        let steps = probed(&[
            Step::Activate(&path),
            Step::Run("python -c 'import sys; print(sys.prefix)'"),
            Step::Run("pip --version"),
            Step::Deactivate,
        ]);
        let finished = dialect.run(&scratch, &[], &[], &steps);
        let lines: Vec<&str> = finished.stdout.lines().collect();
        assert!(
            lines.len() == 2
                && lines[0] == text(&root)
                && lines[1].contains(&format!("from {}/lib/", text(&root))),
            "{finished:?}"
        );
        check_restored(&finished);
    }
}
