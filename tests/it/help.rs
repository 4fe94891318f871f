//! The help: every page at several widths, wrapped by the program and never in the middle of an
//! example.

use crate::support::pages::{epilogue, help_pages};

fn render(command: &clap::Command, width: usize) -> String {
    command.clone().term_width(width).render_long_help().to_string()
}

/// A paragraph as a program wraps it: as many words a line as fit.
fn wrapped(paragraph: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut wide = std::collections::BTreeSet::new();
    for (name, command) in help_pages() {
        for width in (60..=120).step_by(5) {
            for line in render(&command, width).lines().filter(|line| line.chars().count() > width)
            {
                wide.insert(format!("{name} at {width} columns: {line}"));
            }
        }
    }
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn examples_stay_whole_and_prose_fills_the_lines() {
    let mut broken = Vec::new();
    for (name, command) in help_pages() {
        let epilogue = epilogue(&command);
        for width in (60..=120).step_by(5) {
            let help = render(&command, width);
            for line in epilogue.lines().filter(|line| !line.is_empty()) {
                let expected =
                    if line.starts_with(' ') { line.to_owned() } else { wrapped(line, width) };
                if !help.contains(&format!("{expected}\n")) && !help.ends_with(&expected) {
                    broken.push(format!("{name} at {width} columns breaks: {line}"));
                }
            }
        }
        // A line break within a paragraph would stay where it is at every width.
        let lines: Vec<&str> = epilogue.lines().collect();
        for pair in lines.windows(2) {
            let prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
            assert!(
                !(prose(pair[0]) && prose(pair[1])),
                "{name}: a paragraph is broken by hand:\n{}\n{}",
                pair[0],
                pair[1]
            );
        }
        for argument in command.get_arguments() {
            let help = argument.get_long_help().or(argument.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let by_hand = help
                .lines()
                .collect::<Vec<_>>()
                .windows(2)
                .any(|pair| !pair[0].is_empty() && !pair[1].is_empty());
            assert!(
                !by_hand,
                "{name}: the description of {} is broken by hand:\n{help}",
                argument.get_id()
            );
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn pages_are_known_at_60_80_and_120_columns() {
    for width in [60, 80, 120] {
        let text: Vec<String> = help_pages()
            .iter()
            .map(|(name, command)| {
                format!("$ {name} --help\n{}", render(command, width).trim_end())
            })
            .collect();
        // Ends of lines are not the point, and editors remove them.
        let text: Vec<&str> =
            text.iter().flat_map(|page| page.lines().map(str::trim_end).chain([""])).collect();
        insta::assert_snapshot!(format!("help-{width}"), text.join("\n"));
    }
}

#[test]
fn manual_pages_hold_what_the_help_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = camino::Utf8Path::from_path(folder.path()).unwrap();
    crate::support::project::venvtree_in(folder, &["man", "--out", "man"], "").success();
    for (name, command) in help_pages() {
        let page = std::fs::read_to_string(
            folder.join("man").join(format!("{}.1", name.replace(' ', "-"))),
        )
        .unwrap();
        let plain = page.replace("\\*(Aq", "'").replace('\\', "");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            if let Some(long) = argument.get_long() {
                assert!(plain.contains(&format!("--{long}")), "{name}: {long}");
            }
        }
        for line in epilogue(&command)
            .lines()
            .filter(|line| line.starts_with("  VENVTREE_") || line.starts_with("  venvtree"))
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            let shown = |word: &&str| plain.contains(&word.replace('\\', ""));
            assert!(words.iter().all(shown), "{name}: {line}\n{page}");
        }
    }
}
