//! The console blocks of `docs/scaling.md` print what they say.

use std::path::Path;
use std::process::Command;

use crate::readme::commands;

#[test]
fn what_is_simulated_is_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/scaling.md")).unwrap();
    let mut seen = 0;
    for block in page.split("```console\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        for (command, expected) in commands(block) {
            seen += 1;
            let output =
                Command::new("bash").args(["-euc", &command]).current_dir(root).output().unwrap();
            assert!(output.status.success(), "{command}: {output:?}");
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{command}");
        }
    }
    assert_eq!(seen, 2);
}
