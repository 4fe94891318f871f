//! Sessions of real shells: activate, look, deactivate, look again.
//!
//! What a session does is a list of [`Step`]s; each shell's dialect turns them into a script. The
//! environment that programs see is read the same way everywhere (`env -0`); what only the shell
//! knows (its functions, aliases and other variables) by its own means.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use venvtree::model::activate::{Shell, quote};

use crate::support::commands::feed;

/// A shell program, and the flags that keep a user's own settings out.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    /// A name for messages: `bash --posix`.
    pub(crate) name: &'static str,
    /// The language of its activation script.
    pub(crate) shell: Shell,
    program: PathBuf,
    flags: &'static [&'static str],
}

/// Something that a session does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// Sources an activation file, by this path. The rest is skipped if that fails in a shell that
    /// stops at errors.
    Activate(&'a str),
    /// Leaves the environment.
    Deactivate,
    /// Runs a program, whose words need no quotes.
    Run(&'a str),
    /// Writes down what there is, as this name.
    Probe(&'static str),
    /// Text in the shell's own language.
    Raw(&'a str),
}

/// What there was at a [`Step::Probe`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// The environment of programs.
    pub(crate) exported: BTreeMap<String, String>,
    /// The shell's own account of its variables, functions and aliases.
    pub(crate) internal: String,
}

/// How a session ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Which shell it was in, and what it did.
    #[expect(dead_code, reason = "for messages, which print all fields")]
    session: String,
    /// What it wrote on standard output.
    pub(crate) stdout: String,
    /// What it wrote on standard error.
    pub(crate) stderr: String,
    /// Whether the shell ended well.
    pub(crate) success: bool,
    folder: PathBuf,
}

impl Finished {
    fn new(output: Output, folder: &Path, session: String) -> Self {
        Self {
            session,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            success: output.status.success(),
            folder: folder.to_owned(),
        }
    }

    /// The probe of that name.
    pub(crate) fn probe(&self, name: &str) -> Probe {
        let read = |suffix: &str| fs::read(self.folder.join(format!("{name}.{suffix}")));
        let exported =
            read("env").unwrap_or_else(|error| panic!("no probe `{name}` ({error}): {self:?}"));
        let exported = exported
            .split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
            .filter_map(|entry| {
                let entry = String::from_utf8_lossy(entry);
                let (key, value) = entry.split_once('=')?;
                (!VOLATILE.contains(&key)).then(|| (key.to_owned(), value.to_owned()))
            });
        let internal = String::from_utf8_lossy(&read("state").unwrap_or_default()).into_owned();
        Probe { exported: exported.collect(), internal: stable(&internal) }
    }
}

/// Variables that the shells themselves change while they run.
const VOLATILE: &[&str] = &[
    "_",
    "LINENO",
    "RANDOM",
    "SECONDS",
    "OPTIND",
    "SHLVL",
    "SRANDOM",
    "EPOCHSECONDS",
    "EPOCHREALTIME",
    "BASH_ARGC",
    "BASH_ARGV",
    "BASH_LINENO",
    "BASH_COMMAND",
    "PIPESTATUS",
    "PIPESTATUS[0]",
    "pipestatus",
    "status",
    "?",
    "KSH_MATCH",
    "FUNCNAME",
    "ERRNO",
    "TTYIDLE",
    "LAST_EXIT_CODE",
    "CMD_DURATION",
    "CMD_DURATION_MS",
    // ksh93 sets it when it looks at PATH for the first time after an assignment.
    "_AST_FEATURES",
];

/// The lines that are not about volatile variables, and not about where a function was typed.
fn stable(state: &str) -> String {
    let lines = state.lines().filter(|line| {
        let name = ["export ", "declare -x ", "typeset -x ", "typeset ", "declare "]
            .iter()
            .find_map(|prefix| line.strip_prefix(prefix));
        let name =
            name.unwrap_or(line).trim_start_matches(['-', 'i', 'r', 'x', ' ']).trim_matches('\'');
        let name = name.split(['=', ' ', '\t']).next().unwrap_or_default().trim_matches('\'');
        !VOLATILE.contains(&name) && !name.starts_with(".sh.") && !line.starts_with("# Defined ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A program on `PATH`, or a clear failure.
pub(crate) fn program(name: &str) -> PathBuf {
    let folders = env::var_os("PATH").expect("there is a PATH");
    let found = env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("the tests activate environments in `{name}`, expected it on PATH: run .ci/install")
    })
}

impl Dialect {
    /// A program that reads a shell's activation file.
    pub(crate) fn new(
        name: &'static str,
        shell: Shell,
        program: PathBuf,
        flags: &'static [&'static str],
    ) -> Self {
        Self { name, shell, program, flags }
    }

    /// The shells that read `activate`.
    pub(crate) fn posix() -> Vec<Self> {
        let shells: [(&'static str, &str, &'static [&'static str]); 11] = [
            ("bash", "bash", &["--norc", "--noprofile"]),
            ("bash --posix", "bash", &["--norc", "--noprofile", "--posix"]),
            ("zsh", "zsh", &["-f"]),
            ("zsh -o ksharrays", "zsh", &["-f", "-o", "ksharrays"]),
            ("zsh --emulate sh", "zsh", &["--emulate", "sh", "-f"]),
            ("dash", "dash", &[]),
            ("busybox", "busybox", &["sh"]),
            ("ksh93", "ksh93", &[]),
            ("mksh", "mksh", &[]),
            ("yash", "yash", &["--norcfile", "--noprofile"]),
            ("posh", "posh", &[]),
        ];
        shells
            .into_iter()
            .map(|(name, file, flags)| Self::new(name, Shell::Posix, program(file), flags))
            .collect()
    }

    /// The name of the activation file.
    pub(crate) fn file(&self) -> &'static str {
        self.shell.file_names().next().expect("every shell has a file")
    }

    /// The path of the activation file of the environment at `root`.
    pub(crate) fn file_of(&self, root: &str) -> String {
        format!("{root}/bin/{}", self.file())
    }

    /// Whether its language can hold a line break in the path of a file.
    pub(crate) fn takes_line_breaks(&self) -> bool {
        // csh refuses them; so does zsh as sh, which cannot name the file.
        self.shell != Shell::Csh && self.name != "zsh --emulate sh"
    }

    /// Runs a session as a script in `folder`, with these variables only, after `options` such as
    /// `-eu`.
    pub(crate) fn run(
        &self,
        folder: &Path,
        variables: &[(&str, &str)],
        options: &[&str],
        steps: &[Step<'_>],
    ) -> Finished {
        let text = self.script(folder, steps);
        let file = folder.join("session");
        fs::write(&file, text).expect("the scratch folder is writable");
        let output =
            self.command(folder, variables).args(options).arg(&file).stdin(Stdio::null()).output();
        Finished::new(
            output.unwrap_or_else(|error| panic!("{} does not start: {error}", self.name)),
            folder,
            format!("{} {options:?} {variables:?} {steps:?}", self.name),
        )
    }

    /// Runs a session by way of another program, which is given the shell's command line.
    pub(crate) fn run_by(
        &self,
        way: &[&str],
        folder: &Path,
        variables: &[(&str, &str)],
        steps: &[Step<'_>],
    ) -> Finished {
        let file = folder.join("session");
        fs::write(&file, self.script(folder, steps)).expect("the scratch folder is writable");
        let shell = self.command(folder, variables);
        let mut command = Command::new(way[0]);
        command
            .args(&way[1..])
            .arg(shell.get_program())
            .args(shell.get_args())
            .arg(&file)
            .current_dir(folder)
            .stdin(Stdio::null());
        command.env_clear();
        for (name, value) in shell.get_envs() {
            command.env(name, value.expect("set, not removed"));
        }
        let output =
            command.output().unwrap_or_else(|error| panic!("{} does not start: {error}", way[0]));
        Finished::new(output, folder, format!("{way:?} {} {variables:?} {steps:?}", self.name))
    }

    /// Types the steps into an interactive session.
    pub(crate) fn interact(
        &self,
        folder: &Path,
        variables: &[(&str, &str)],
        steps: &[Step<'_>],
    ) -> Finished {
        let mut command = self.command(folder, variables);
        command.arg("-i").stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = feed(&mut command, self.script(folder, steps).as_bytes());
        Finished::new(output, folder, format!("{} -i {variables:?} {steps:?}", self.name))
    }

    /// The shell, with nothing of this process's environment.
    pub(crate) fn command(&self, folder: &Path, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.flags).current_dir(folder).env_clear();
        command
            .env("HOME", folder)
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("XONSH_SHOW_TRACEBACK", "0");
        for (name, value) in variables {
            command.env(name, value);
        }
        command
    }

    fn script(&self, folder: &Path, steps: &[Step<'_>]) -> String {
        let mut text = String::new();
        for step in steps {
            match step {
                Step::Activate(path) => text.push_str(&self.activate(path)),
                Step::Deactivate => text.push_str("deactivate"),
                Step::Run(command) if self.shell == Shell::Nushell => {
                    text.push_str(&format!("^{command}"))
                }
                Step::Run(command) => text.push_str(command),
                Step::Probe(name) => {
                    text.push_str(&self.probe(&folder.join(name).display().to_string()))
                }
                Step::Raw(raw) => text.push_str(raw),
            }
            text.push('\n');
        }
        text
    }

    /// The command that sources the file at this path.
    pub(crate) fn activate(&self, path: &str) -> String {
        let quoted = quote::quote(self.shell, path);
        match self.shell {
            Shell::Posix => format!(". {quoted}"),
            Shell::Nushell => format!("overlay use {quoted}"),
            Shell::Xonsh => format!("source @({quoted})"),
            _ => format!("source {quoted}"),
        }
    }

    /// Commands that write `FILE.env` and `FILE.state`, and leave nothing themselves.
    fn probe(&self, file: &str) -> String {
        match self.shell {
            Shell::Posix => format!(
                "set > '{file}.state'; alias >> '{file}.state' 2>/dev/null || :\n\
                 typeset -f >> '{file}.state' 2>/dev/null || :; export -p >> '{file}.state'\n\
                 /usr/bin/env -0 > '{file}.env'"
            ),
            Shell::Fish => format!(
                "begin; set | string match -rv '^(status|pipestatus|CMD_DURATION|status_generation) '; functions -a; \
                 functions fish_prompt; end > '{file}.state'\n/usr/bin/env -0 > '{file}.env'"
            ),
            Shell::Csh => format!(
                "set | /usr/bin/sort > '{file}.state'; alias >> '{file}.state'\n/usr/bin/env -0 > '{file}.env'"
            ),
            Shell::Nushell => format!(
                "[($env | reject --optional ENV_CONVERSIONS config NU_VERSION LAST_EXIT_CODE CMD_DURATION_MS FILE_PWD CURRENT_FILE \
                 PROCESS_PATH | transpose name value | where name != '_' | sort-by name | each {{|row| $'($row.name)=($row.value | describe)' }} \
                 | str join (char newline)) (scope commands | get name | sort | to nuon) (scope aliases | get name | to nuon) \
                 (overlay list | where active | get name | to nuon)] | str join (char newline) | save -f '{file}.state'\n\
                 ^/usr/bin/env -0 | save --raw -f '{file}.env'"
            ),
            Shell::Xonsh => format!(
                "with open('{file}.state', 'w') as _file: _file.write('\\n'.join([*sorted(aliases), *sorted(map(str, globals()))]))\n\
                 del _file\n/usr/bin/env -0 > '{file}.env'"
            ),
            Shell::PowerShell | Shell::Cmd | Shell::Python => {
                unreachable!("no session of the tests is in {:?}", self.shell)
            }
        }
    }
}
