//! Activation scripts: the files that put an environment first in a running shell.
//!
//! Model layer. [`render`] fills a template with text that [`quote`](quote::quote) made a literal
//! of the shell's language. No script holds a path: each finds out where it is when it is read, so
//! that an environment can be moved and every tree of the same spec is the same. An environment is
//! recognised by its `pyvenv.cfg`. What the scripts promise is in `docs/activation.md`.

pub mod quote;

use crate::model::every::named;
use crate::model::interpreter::Os;

/// A language in which activation scripts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shell {
    /// bash, zsh, ksh93, mksh, dash, busybox ash, yash, posh and other POSIX shells.
    Posix,
    /// fish.
    Fish,
    /// The BSD csh, and tcsh.
    Csh,
    /// nushell.
    Nushell,
    /// xonsh.
    Xonsh,
    /// Windows PowerShell and PowerShell.
    PowerShell,
    /// `cmd.exe`.
    Cmd,
    /// Python code that runs in another interpreter.
    Python,
}

impl Shell {
    named! {
        /// The name in specs and on the command line.
        8,
        "posix" => Posix,
        "fish" => Fish,
        "csh" => Csh,
        "nushell" => Nushell,
        "xonsh" => Xonsh,
        "powershell" => PowerShell,
        "cmd" => Cmd,
        "python" => Python,
    }

    /// The shell of a name, as specs write it; virtualenv's names `bash`, `cshell` and `batch` are
    /// understood too.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Posix),
            "cshell" => Some(Self::Csh),
            "batch" => Some(Self::Cmd),
            _ => Self::ALL.into_iter().find(|shell| shell.name() == name),
        }
    }

    /// Whether the shell exists where environments of this operating system are used.
    pub fn is_for(self, os: Os) -> bool {
        match self {
            Self::Cmd => os == Os::Windows,
            Self::Csh => os != Os::Windows,
            Self::Posix
            | Self::Fish
            | Self::Nushell
            | Self::Xonsh
            | Self::PowerShell
            | Self::Python => true,
        }
    }

    /// The files' names in the folder of scripts, and their templates.
    fn templates(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Posix => &[("activate", include_str!("templates/activate.sh"))],
            Self::Fish => &[("activate.fish", include_str!("templates/activate.fish"))],
            Self::Csh => &[("activate.csh", include_str!("templates/activate.csh"))],
            Self::Nushell => &[("activate.nu", include_str!("templates/activate.nu"))],
            Self::Xonsh => &[("activate.xsh", include_str!("templates/activate.xsh"))],
            Self::PowerShell => &[("activate.ps1", include_str!("templates/activate.ps1"))],
            Self::Cmd => &[
                ("activate.bat", include_str!("templates/activate.bat")),
                ("deactivate.bat", include_str!("templates/deactivate.bat")),
            ],
            Self::Python => &[("activate_this.py", include_str!("templates/activate_this.py"))],
        }
    }

    /// The names of the files that [`render`] gives for this shell, in its order.
    pub fn file_names(self) -> impl Iterator<Item = &'static str> {
        self.templates().iter().map(|(name, _)| *name)
    }
}

/// What activation scripts depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivateVariables<'a> {
    /// What prompts show. Without one, or with an empty one, it is the name of the environment's
    /// folder at the time of activation.
    pub prompt: Option<&'a str>,
    /// The folder of the scripts, as layouts call it: `bin` or `Scripts`. The templates need no
    /// quotes around these.
    pub scripts: &'a str,
    /// Where packages are, relative to the environment, with `/` between the parts:
    /// `lib/python3.11/site-packages`.
    pub site_packages: &'a str,
}

/// The activation files of a shell: their names in the folder of scripts, and their bytes. None of
/// them is executable.
///
/// Files of `cmd.exe` have the line ends that it needs to find its labels; PowerShell's begins with
/// the byte order mark without which Windows PowerShell 5 takes UTF-8 for the code page of the
/// machine.
pub fn render(shell: Shell, variables: &ActivateVariables<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let prompt = quote::quote(shell, variables.prompt.unwrap_or_default());
    let site_packages = quote::quote(shell, variables.site_packages);
    let files = shell.templates().iter().map(|(name, template)| {
        let text = fill(
            template,
            &[
                ("@BIN@", variables.scripts),
                ("@PROMPT@", &prompt),
                ("@SITE_PACKAGES@", &site_packages),
            ],
        );
        let bytes = match shell {
            Shell::Cmd => text.replace('\n', "\r\n").into_bytes(),
            Shell::PowerShell => format!("\u{feff}{text}").into_bytes(),
            Shell::Posix
            | Shell::Fish
            | Shell::Csh
            | Shell::Nushell
            | Shell::Xonsh
            | Shell::Python => text.into_bytes(),
        };
        (*name, bytes)
    });
    files.collect()
}

/// Replaces placeholders in one pass, so that a value that looks like one stays a value.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        match values.iter().find(|(placeholder, _)| after.starts_with(placeholder)) {
            Some((placeholder, value)) => {
                text.push_str(value);
                rest = &after[placeholder.len()..];
            }
            None => {
                text.push('@');
                rest = &after[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: ActivateVariables<'static> = ActivateVariables {
        prompt: None,
        scripts: "bin",
        site_packages: "lib/python3.11/site-packages",
    };

    /// The lines that differ between a file with a prompt and the same file without, with the names
    /// of the files.
    fn differing(prompt: &str) -> String {
        let mut text = String::new();
        for shell in Shell::ALL {
            let plain = render(shell, &VARIABLES);
            let named = render(shell, &ActivateVariables { prompt: Some(prompt), ..VARIABLES });
            for ((name, plain), (_, named)) in plain.iter().zip(&named) {
                let (plain, named) =
                    (str::from_utf8(plain).unwrap(), str::from_utf8(named).unwrap());
                for line in
                    named.split('\n').filter(|line| !plain.split('\n').any(|other| other == *line))
                {
                    text.push_str(&format!("{name}: {}\n", line.trim().trim_end_matches('\r')));
                }
            }
        }
        text
    }

    #[test]
    fn a_prompt_is_all_that_changes() {
        insta::assert_snapshot!(differing("it's \"$(id)\" @BIN@ 100%"), @r###"
        activate: VIRTUAL_ENV_PROMPT='it'\''s "$(id)" @BIN@ 100%'
        activate.fish: set -gx VIRTUAL_ENV_PROMPT 'it\'s "$(id)" @BIN@ 100%'
        activate.csh: setenv _VENVTREE_PROMPT it\'s\ \"\$\(id\)\"\ \@BIN\@\ 100\%
        activate.nu: let given = "it's \"$(id)\" @BIN@ 100%"
        activate.xsh: prompt = "it's \"$(id)\" @BIN@ 100%"
        activate.ps1: $Prompt = 'it''s "$(id)" @BIN@ 100%'
        activate.bat: @set "VIRTUAL_ENV_PROMPT=it's  $(id)  @BIN@ 100%%"
        activate_this.py: _activate(__file__, "bin", "it's \"$(id)\" @BIN@ 100%", "lib/python3.11/site-packages")
        "###);
    }

    #[test]
    fn no_prompt_and_an_empty_one_are_the_same() {
        for shell in Shell::ALL {
            assert_eq!(
                render(shell, &VARIABLES),
                render(shell, &ActivateVariables { prompt: Some(""), ..VARIABLES })
            );
        }
    }

    #[test]
    fn files_are_what_the_shells_expect() {
        let mut names = Vec::new();
        for shell in Shell::ALL {
            assert_eq!(Shell::from_name(shell.name()), Some(shell));
            let files = render(shell, &VARIABLES);
            assert!(files.iter().map(|(name, _)| *name).eq(shell.file_names()));
            for (name, bytes) in files {
                names.push(name.to_ascii_lowercase());
                let text = String::from_utf8(bytes).unwrap();
                let carriage_returns = text.matches('\r').count();
                assert_eq!(
                    carriage_returns,
                    if shell == Shell::Cmd { text.matches('\n').count() } else { 0 },
                    "{name}"
                );
                assert_eq!(text.starts_with('\u{feff}'), shell == Shell::PowerShell, "{name}");
                assert!(
                    text.trim_start_matches('\u{feff}').is_ascii() && text.ends_with('\n'),
                    "{name}"
                );
                for placeholder in ["@BIN@", "@PROMPT@", "@SITE_PACKAGES@", "\t"] {
                    assert!(!text.contains(placeholder), "{name}: {placeholder:?}");
                }
            }
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 9, "names that differ only in case: {names:?}");
    }

    #[test]
    fn windows_has_its_own_folder() {
        let windows = ActivateVariables {
            prompt: None,
            scripts: "Scripts",
            site_packages: "Lib/site-packages",
        };
        for shell in Shell::ALL {
            for (name, bytes) in render(shell, &windows) {
                let text = String::from_utf8(bytes).unwrap();
                assert!(name == "deactivate.bat" || text.contains("Scripts"), "{name}");
            }
        }
    }
}
