//! `docs/findings.md` says what the code says.

use std::path::Path;

use venvtree::model::finding::Code;
use venvtree::model::wheel::limits::{Limits, NAMES};

/// The tables between the page's marks, as the code has them.
fn tables() -> [(&'static str, String); 2] {
    let mut limits = "| limit | default | counts |\n| --- | --- | --- |\n".to_owned();
    for (name, meaning) in NAMES {
        limits += &format!("| `{name}` | {} | {meaning} |\n", Limits::default().get(name).unwrap());
    }
    let mut codes =
        "| code | severity | may be allowed | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for code in Code::ALL {
        let allowed = code
            .allowance()
            .reason()
            .map_or_else(|| "yes".to_owned(), |reason| format!("no: {reason}"));
        codes +=
            &format!("| `{code}` | {} | {allowed} | {} |\n", code.severity(), code.explanation());
    }
    [("limits", limits), ("codes", codes)]
}

#[test]
fn the_tables_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut expected = page.clone();
    for (mark, table) in tables() {
        let begin = format!("<!-- {mark} -->\n");
        let start = expected.find(&begin).unwrap_or_else(|| panic!("the page has no {begin}"))
            + begin.len();
        let end = start + expected[start..].find("<!-- end -->").expect("the table has an end");
        expected.replace_range(start..end, &format!("\n{table}\n"));
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert!(
            page == expected,
            "docs/findings.md is not what the code says: run this test with UPDATE_EXPECT=1"
        );
    }
}
