//! The line that activates an environment, for the shell that somebody seems to use; and places
//! that cannot be activated.

use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::cli::io::Io;
use crate::error::Error;
use crate::model::activate::Shell;
use crate::model::activate::quote::quote;

/// How a shell is told to read an activation script: its programs' names, whose language it speaks,
/// the command, and the file.
const COMMANDS: [(&[&str], Shell, &str, &str); 7] = [
    // These have no `source`.
    (&["sh", "dash", "posh", "yash", "mksh"], Shell::Posix, ".", "activate"),
    (&["fish"], Shell::Fish, "source", "activate.fish"),
    (&["csh", "tcsh"], Shell::Csh, "source", "activate.csh"),
    (&["nu"], Shell::Nushell, "overlay use", "activate.nu"),
    (&["xonsh"], Shell::Xonsh, "source", "activate.xsh"),
    (&["pwsh"], Shell::PowerShell, ".", "activate.ps1"),
    (&[], Shell::Posix, "source", "activate"),
];

/// The variable by which a shell tells what it starts that it is there; the others set SHELL, or
/// are not asked for.
fn variable(shell: Shell) -> Option<(&'static str, &'static str)> {
    match shell {
        Shell::Nushell => Some(("NU_VERSION", "nu")),
        Shell::Xonsh => Some(("XONSH_VERSION", "xonsh")),
        Shell::PowerShell => Some(("PSModulePath", "pwsh")),
        Shell::Posix | Shell::Fish | Shell::Csh | Shell::Cmd | Shell::Python => None,
    }
}

/// The line that activates an environment; nothing where it has no script for that. `environment`
/// is what was typed.
pub(crate) fn line(
    environment: &Utf8Path,
    activators: &BTreeSet<Shell>,
    io: &Io<'_>,
) -> Option<String> {
    // Shells that are started from another one leave SHELL as it was, and say so in variables of
    // their own.
    let mut told = Shell::ALL.into_iter().filter_map(variable);
    let name = match told.find(|(variable, _)| io.variable(variable).is_some()) {
        Some((_, name)) => name,
        None => {
            Utf8Path::new(io.variable("SHELL").unwrap_or_default()).file_name().unwrap_or_default()
        }
    };
    let (_, shell, command, file) =
        COMMANDS.iter().find(|(names, ..)| names.is_empty() || names.contains(&name))?;
    if !activators.contains(shell) {
        return None;
    }
    let mut path = environment.join("bin").join(file).into_string();
    // What would be taken for an option.
    if path.starts_with('-') {
        path.insert_str(0, "./");
    }
    let plain = path
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || "_./+-".contains(character));
    Some(format!("{command} {}", if plain { path } else { quote(*shell, &path) }))
}

/// The shell whose language a word names: one of a script, or a program that reads it.
pub(crate) fn shell(name: &str) -> Option<Shell> {
    if matches!(name, "zsh" | "ksh") {
        return Some(Shell::Posix);
    }
    let program = COMMANDS.iter().find(|(names, ..)| names.contains(&name));
    Shell::from_name(name).or_else(|| program.map(|(_, shell, ..)| *shell))
}

/// Refuses a place that no shell can activate, and says which shells cannot where only some do.
pub(crate) fn check(place: &Utf8Path, activators: &BTreeSet<Shell>) -> Result<Vec<String>, Error> {
    if activators.is_empty() {
        return Ok(Vec::new());
    }
    if place.as_str().contains(':') {
        return Err(Error::usage(format!(
            "`{place}` holds a colon, which separates the entries of PATH: the environment could not be activated"
        ))
        .hint("choose another name, or leave the activation scripts out with `--activators none`"));
    }
    let notes = activators.iter().filter_map(|shell| cannot(*shell, place.as_str()));
    Ok(notes.map(str::to_owned).collect())
}

/// What a shell cannot do with a path, though others can.
fn cannot(shell: Shell, path: &str) -> Option<&'static str> {
    let (characters, note): (&[char], _) = match shell {
        Shell::Csh => (
            &['\n', '\r'],
            "the path holds a line break: csh, tcsh and a zsh that is called sh cannot activate the environment",
        ),
        Shell::Xonsh => (
            &['$'],
            "the path holds a `$`: xonsh cannot activate the environment where that names a variable",
        ),
        Shell::Posix
        | Shell::Fish
        | Shell::Nushell
        | Shell::PowerShell
        | Shell::Cmd
        | Shell::Python => return None,
    };
    path.contains(characters).then_some(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_that_somebody_types_in_is_told_how_to_activate() {
        for shell in Shell::ALL {
            let mut told =
                COMMANDS.iter().filter(|(_, language, ..)| *language == shell).peekable();
            // `cmd.exe` is started on Windows only, and Python is no shell.
            let is_typed_in = !matches!(shell, Shell::Cmd | Shell::Python);
            assert_eq!(told.peek().is_some(), is_typed_in, "{shell:?}");
            for (.., file) in told {
                assert!(shell.file_names().any(|name| name == *file), "{file}");
            }
        }
    }
}
