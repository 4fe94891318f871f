//! `docs/findings.md` says what the code says.

use venvtree::model::finding::Code;
use venvtree::model::wheel::limits::{Limits, NAMES};

use crate::support::pages::check_marked;

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
    check_marked("findings.md", &tables());
}
