//! Pages: those of the help, and those of docs/ that hold what the program says of itself.

use std::path::Path;

use clap::CommandFactory as _;

/// Every page of the help with what leads to it: `venvtree`, `venvtree store gc`.
pub(crate) fn help_pages() -> Vec<(String, clap::Command)> {
    fn visit(command: &clap::Command, name: &str, found: &mut Vec<(String, clap::Command)>) {
        found.push((name.to_owned(), command.clone()));
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            visit(child, &format!("{name} {}", child.get_name()), found);
        }
    }
    let mut command = venvtree::cli::commands::Arguments::command();
    command.build();
    let mut found = Vec::new();
    visit(&command, "venvtree", &mut found);
    found
}

/// What stands below the options.
pub(crate) fn epilogue(command: &clap::Command) -> String {
    let text = command.get_after_long_help().or(command.get_after_help());
    text.map(ToString::to_string).unwrap_or_default()
}

/// Compares what stands after marks of a page in docs/ with what the code says;
/// `UPDATE_EXPECT=1` writes it.
pub(crate) fn check_marked(page: &str, texts: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let found = std::fs::read_to_string(&path).unwrap();
    let mut expected = found.clone();
    for (mark, text) in texts {
        let begin = format!("<!-- {mark} -->\n");
        let start = expected.find(&begin).unwrap_or_else(|| panic!("the page has no {begin}"))
            + begin.len();
        let end = start + expected[start..].find("<!-- end -->").expect("the text has an end");
        expected.replace_range(start..end, &format!("\n{text}\n"));
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert!(
            found == expected,
            "docs/{page} is not what the code says: run this test with UPDATE_EXPECT=1"
        );
    }
}
