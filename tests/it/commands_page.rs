//! `docs/commands.md` says of every command what the program says.

use crate::support::pages::{check_marked, epilogue, help_pages};

/// Words in lines of at most 100 columns, the first after `first` and the others after as many
/// spaces.
fn wrapped(first: &str, text: &str) -> String {
    let indent = " ".repeat(first.chars().count());
    let mut lines = vec![first.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first one");
        if line.chars().count() + 1 + word.chars().count() > 100 && line.trim() != "" {
            lines.push(format!("{indent}{word}"));
        } else if line.ends_with(' ') || line.is_empty() {
            line.push_str(word);
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// A text in which nothing is left that a page of Markdown would take for something else. In
/// code, between backticks, everything stands for itself.
fn escaped(text: &str) -> String {
    let plain = |part: &str| part.replace('<', "&lt;").replace('*', "\\*");
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(turn, part)| if turn % 2 == 0 { plain(part) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
}

/// How an argument is typed: `-q`, `--quiet`, `<SPEC>...`.
fn typed(argument: &clap::Arg) -> String {
    let names: Vec<String> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| format!("<{name}>"))
        .collect();
    let takes = argument.get_action().takes_values();
    let names_of_values = names.join(" ");
    let is_optional =
        argument.get_num_args().is_some_and(|number| number.min_values() == 0) && takes;
    let value = match (takes, is_optional, argument.is_require_equals_set()) {
        (false, ..) => String::new(),
        (true, true, true) => format!("[={names_of_values}]"),
        (true, true, false) => format!(" [{names_of_values}]"),
        (true, false, _) => format!(" {names_of_values}"),
    };
    let long = argument.get_long().map(|long| format!("`--{long}{value}`"));
    let short = argument.get_short().map(|short| format!("`-{short}`"));
    let aliases = argument.get_visible_aliases().unwrap_or_default();
    let aliases = aliases.iter().map(|alias| format!("`--{alias}`"));
    let ways: Vec<String> = short.into_iter().chain(long).chain(aliases).collect();
    if ways.is_empty() { format!("`{}`", names.join(" ")) } else { ways.join(", ") }
}

/// One item of the list of arguments.
fn item(argument: &clap::Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).expect("every argument is told");
    let mut text = format!("{}: {}", typed(argument), escaped(&help.to_string()));
    let takes = argument.get_action().takes_values();
    let default: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if takes && !default.is_empty() && !argument.is_hide_default_value_set() {
        text += &format!(" [default: {}]", default.join(" "));
    }
    let mut item = wrapped("- ", &text);
    let values = argument.get_possible_values();
    for value in values.iter().filter(|value| takes && !value.is_hide_set()) {
        let help = value.get_help().map(|help| format!(": {}", escaped(&help.to_string())));
        let name = value.get_name();
        item += &wrapped("  - ", &format!("`{name}`{}", help.unwrap_or_default()));
    }
    item
}

/// The part of the page about a command.
fn section(command: &clap::Command, way: &str, is_root: bool) -> String {
    let about = command.get_long_about().or(command.get_about()).expect("every command is told");
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace("\n       ", "\n");
    let mut text = format!("### {way}\n\n{}", wrapped("", &escaped(&about.to_string())));
    text += &format!("\n```text\n{}\n```\n", usage.trim_end());
    let shown = command.get_arguments().filter(|argument| {
        let everywhere = argument.is_global_set() || argument.get_id() == "help";
        !argument.is_hide_set() && (is_root || !everywhere)
    });
    let mut groups: Vec<(&str, String)> = Vec::new();
    for argument in shown {
        let usual = if argument.is_positional() { "Arguments" } else { "Options" };
        let heading = argument.get_help_heading().unwrap_or(usual);
        match groups.iter_mut().find(|(name, _)| *name == heading) {
            Some((_, items)) => *items += &item(argument),
            None => groups.push((heading, item(argument))),
        }
    }
    groups.sort_by_key(|(name, _)| match *name {
        "Arguments" => 0,
        "Options" => 1,
        _ => 2,
    });
    for (heading, items) in groups {
        text += &format!("\n{heading}:\n\n{items}");
    }
    // The page itself says what stands below the options of the program.
    let epilogue = if is_root { String::new() } else { epilogue(command) };
    for part in epilogue.split("\n\n").filter(|part| !part.is_empty()) {
        let (heading, code) = part.split_once('\n').unwrap_or((part, ""));
        text += &format!("\n{}", wrapped("", &escaped(heading)));
        if !code.is_empty() {
            let code: Vec<&str> =
                code.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
            text += &format!("\n```sh\n{}\n```\n", code.join("\n"));
        }
    }
    text
}

#[test]
fn the_page_tells_every_command() {
    let pages = help_pages();
    let sections: Vec<String> =
        pages.iter().map(|(way, command)| section(command, way, way == "venvtree")).collect();
    check_marked("commands.md", &[("commands", sections.join("\n"))]);
}
