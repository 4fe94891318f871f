//! What clap says of a command line, taken apart for a JSON document.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue};
use serde_json::{Value, json};

use crate::cli::commands::Arguments;

use crate::error::ErrorKind;

/// What other tools call their commands, and what is meant here.
const ELSEWHERE: [(&[&str], &str); 7] = [
    (&["venv", "virtualenv", "init", "new", "env"], "`venvtree create` makes an environment"),
    (
        &["install", "add", "sync", "download", "upgrade"],
        "`venvtree create --lock uv.lock` installs what a lock says, and fetches it; nothing is resolved: `uv lock` writes a lock",
    ),
    (&["clean", "prune", "cache", "purge"], "`venvtree store gc` makes the store smaller"),
    (&["list", "freeze", "show"], "`venvtree plan SPEC` shows what an environment holds"),
    (&["hash", "checksum"], "`venvtree digest` prints the digest of a spec or of a directory"),
    (
        &["check", "audit", "lint"],
        "`venvtree wheel check`, `venvtree spec check` and `venvtree verify` check things",
    ),
    (&["unpack", "extract"], "`venvtree build` makes a directory, `venvtree pack` an archive"),
];

/// What to add to a usage error of clap's, which cannot know it.
pub(crate) fn advice(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if error.kind() == clap::error::ErrorKind::UnknownArgument {
        // A second place, as other tools take it.
        let word = text(ContextKind::InvalidArg)?;
        if let Some(advice) = value_apart(word, arguments) {
            return Some(advice);
        }
        let command = arguments.first()?.to_str()?;
        let has_output = ["build", "pack", "pull"].contains(&command);
        return match word {
            "-o" => Some("the option is written out: `--out`".to_owned()).filter(|_| has_output),
            word if word.starts_with('-') => None,
            word => Some(format!("the output is given as an option: `--out {word}`"))
                .filter(|_| has_output),
        };
    }
    if error.kind() != clap::error::ErrorKind::InvalidSubcommand {
        return None;
    }
    let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
    if let Some((_, advice)) = ELSEWHERE.iter().find(|(words, _)| words.contains(&word)) {
        return Some((*advice).to_owned());
    }
    if error.get(ContextKind::SuggestedSubcommand).is_some() {
        return None;
    }
    let (command, names) = command_of(arguments);
    let known: Vec<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .filter(|name| *name != "help")
        .collect();
    let names = names.join(" ");
    Some(if known.is_empty() {
        format!("`{names}` has no commands of its own")
    } else {
        format!("the commands of `{names}` are {}", known.join(", "))
    })
}

/// The command that arguments are for, and its names.
fn command_of(arguments: &[OsString]) -> (clap::Command, Vec<String>) {
    let mut command = Arguments::command();
    command.build();
    let mut names = vec!["venvtree".to_owned()];
    for argument in arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .filter(|argument| *argument != "help")
    {
        let Some(below) = command.find_subcommand(argument) else {
            break;
        };
        command = below.clone();
        names.push(argument.to_owned());
    }
    (command, names)
}

/// Whether the value of an option is a path, as far as help says.
pub(crate) fn names_path(option: &str, arguments: &[OsString]) -> bool {
    const PATHS: [&str; 6] = ["DIR", "FILE", "PATH", "LOCK", "LAYOUT", "SPEC"];
    let (command, _) = command_of(arguments);
    let is_meant = |found: &&clap::Arg| match option.strip_prefix("--") {
        Some(long) => found.get_long_and_visible_aliases().is_some_and(|all| all.contains(&long)),
        None => found.get_short().is_some_and(|short| option == format!("-{short}")),
    };
    let names = command.get_arguments().find(is_meant).and_then(clap::Arg::get_value_names);
    names.is_none_or(|names| names.iter().any(|name| PATHS.iter().any(|path| name.contains(path))))
}

/// What to say of a word that follows an option whose value, as it can be left out, needs a `=`.
fn value_apart(word: &str, arguments: &[OsString]) -> Option<String> {
    let (command, _) = command_of(arguments);
    let needs_sign = |name: &str| {
        let mut options = command.get_arguments();
        options.any(|option| option.is_require_equals_set() && option.get_long() == Some(name))
    };
    arguments.windows(2).find_map(|pair| {
        let option = pair[0].to_str().filter(|_| pair[1] == word)?;
        let is_it = option.strip_prefix("--").is_some_and(needs_sign);
        is_it.then(|| format!("the value of `{option}` comes after a `=`: `{option}={word}`"))
    })
}

/// A usage error of clap's, in the shape of all other errors.
pub(crate) fn to_json(error: &clap::Error, advice: Option<&String>) -> Value {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut message = Vec::new();
    let mut tips: Vec<String> = advice.into_iter().cloned().collect();
    let mut usages: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ").or_else(|| line.strip_prefix("hint: ")) {
            tips.push(tip.to_owned());
        } else if let Some(pattern) = line.strip_prefix("Usage: ") {
            usages.push(pattern.to_owned());
        } else if line.starts_with("For more information") {
            break;
        } else if let Some(last) = usages.last_mut() {
            // A command may have several, each of which may take several lines.
            if line.starts_with("venvtree ") {
                usages.push(line.to_owned());
            } else {
                last.push(' ');
                last.push_str(line);
            }
        } else {
            message.push(line);
        }
    }
    let usages: Vec<String> = usages.iter().map(|pattern| format!("`{pattern}`")).collect();
    let usage = (!usages.is_empty()).then(|| format!("the usage is {}", usages.join(" or ")));
    let hint = if tips.is_empty() { usage } else { Some(tips.join("; ")) };
    let message = message.join(" ");
    json!({"kind": ErrorKind::Usage.name(), "message": message, "hint": hint, "details": []})
}
