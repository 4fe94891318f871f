//! RECORDs of distributions some of whose files were rewritten.

use crate::model::digest::Hash;
use crate::model::path::{LinkTarget, TreePath};
use crate::model::wheel::record::encode_base64url;

/// A RECORD with new digests and sizes for the rows that `changed` knows, by the path of the file
/// in the environment; nothing where there is no such row. Every other byte stays. `site_packages`
/// is what the rows are relative to.
pub fn record(
    bytes: &[u8],
    site_packages: &TreePath,
    changed: impl Fn(&TreePath) -> Option<(Hash, u64)>,
) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    // Rows are relative to the folder of the metadata's folder: a link beside it would be resolved
    // there.
    let beside = TreePath::parse(&format!("{site_packages}/RECORD")).ok()?;
    let mut rewritten = String::with_capacity(text.len());
    let mut any = false;
    for line in text.split_inclusive('\n') {
        let (field, path) = first_field(line);
        let target = LinkTarget::parse(&path).ok().and_then(|target| target.within(&beside).ok());
        match target.and_then(|path| changed(&path)) {
            Some((hash, size)) => {
                any = true;
                let end = &line[line.trim_end_matches(['\r', '\n']).len()..];
                rewritten.push_str(&format!(
                    "{field},sha256={},{size}{end}",
                    encode_base64url(hash.as_bytes())
                ));
            }
            None => rewritten.push_str(line),
        }
    }
    any.then(|| rewritten.into_bytes())
}

/// The first field of a row, as written and as it reads.
fn first_field(line: &str) -> (&str, String) {
    if let Some(quoted) = line.strip_prefix('"') {
        let mut rest = quoted;
        while let Some(at) = rest.find('"') {
            if !rest[at + 1..].starts_with('"') {
                let length = line.len() - rest.len() + at + 1;
                return (&line[..length], line[1..length - 1].replace("\"\"", "\""));
            }
            rest = &rest[at + 2..];
        }
    }
    let field = line.split([',', '\r', '\n']).next().unwrap_or_default();
    (field, field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rows_of_changed_files_change() {
        let site_packages = TreePath::parse("lib/python3.12/site-packages").unwrap();
        let hash = Hash::sha256(b"new");
        let digest = encode_base64url(hash.as_bytes());
        let changed = |path: &TreePath| {
            ["bin/pip", "bin/a,\"b"].contains(&path.as_str()).then_some((hash, 3))
        };
        let text = "../../../bin/pip,sha256=old,9\r\n../../../bin/pip3,sha256=old,9\npip/x.pyc,,\n\"../../../bin/a,\"\"b\",sha256=old,9";
        let expected = format!(
            "../../../bin/pip,sha256={digest},3\r\n../../../bin/pip3,sha256=old,9\npip/x.pyc,,\n\"../../../bin/a,\"\"b\",sha256={digest},3"
        );
        let found = record(text.as_bytes(), &site_packages, changed).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), expected);
        for other in
            [&b"pip/x.py,sha256=old,9\n"[..], b"", b"\xff", b"\"never ends\n", b"../../../../x,,\n"]
        {
            assert_eq!(record(other, &site_packages, changed), None);
        }
    }
}
