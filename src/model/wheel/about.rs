//! What `METADATA` says for people: who made a distribution, where it is from, under which licence.
//!
//! Model layer. Follows the core metadata specification, version 2.4 (PEP 639 for licences).
//! Nothing of this is needed to install, so nothing of it is an error: what cannot be read is left
//! out.

use super::headers::{HeaderFile, Headers};

/// The most characters of a value that is passed on. Some put a whole licence into a header.
const LENGTH_LIMIT: usize = 1000;

/// What a distribution says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// One line about what it does.
    pub summary: Option<String>,
    /// Who wrote it: a name, an address, or both.
    pub authors: Vec<String>,
    /// The licence as an SPDX expression, as written.
    pub license_expression: Option<String>,
    /// The licence in the words of the author, where they are one line.
    pub license: Option<String>,
    /// The paths of licence texts below `.dist-info/licenses`.
    pub license_files: Vec<String>,
    /// Trove classifiers.
    pub classifiers: Vec<String>,
    /// Addresses with their labels.
    pub urls: Vec<(String, String)>,
}

impl About {
    /// Reads a `METADATA` file.
    pub fn parse(bytes: &[u8]) -> Self {
        let Ok(headers) = Headers::parse(bytes, HeaderFile::Metadata, &[]) else {
            return Self::default();
        };
        let values = |name: &'static str| {
            let found = headers.all(name).map(|header| header.value.trim().to_owned());
            found.filter(|value| is_useful(value))
        };
        let mut authors: Vec<String> = Vec::new();
        for name in ["Author", "Author-email", "Maintainer", "Maintainer-email"] {
            for value in values(name) {
                if !authors.contains(&value) {
                    authors.push(value);
                }
            }
        }
        let mut urls: Vec<(String, String)> = Vec::new();
        for (name, label) in [("Home-page", "homepage"), ("Download-URL", "download")] {
            urls.extend(values(name).map(|url| (label.to_owned(), url)));
        }
        urls.extend(values("Project-URL").filter_map(|value| {
            let (label, url) = value.split_once(',')?;
            Some((label.trim().to_owned(), url.trim().to_owned()))
        }));
        urls.retain(|(_, url)| is_url(url));
        Self {
            summary: values("Summary").next(),
            authors,
            license_expression: values("License-Expression").next(),
            license: values("License").next(),
            license_files: values("License-File").collect(),
            classifiers: values("Classifier").collect(),
            urls,
        }
    }
}

/// `UNKNOWN` is what old versions of setuptools wrote where nothing was known.
fn is_useful(value: &str) -> bool {
    !value.is_empty()
        && value != "UNKNOWN"
        && value.chars().count() <= LENGTH_LIMIT
        && !value.chars().any(char::is_control)
}

/// Whether a text can stand where a document wants an address of the web.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or(text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let mut bytes = rest.bytes();
        rest.len() > 2
            && bytes.all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_for_people() {
        let text = "Metadata-Version: 2.4\nName: a\nVersion: 1\nSummary: Does a.\nAuthor: A\n\
            Author-email: A <a@example.org>\nMaintainer: A\nLicense-Expression: MIT OR Apache-2.0\n\
            License-File: LICENSE\nLicense-File: sub/NOTICE\nHome-page: UNKNOWN\n\
            Project-URL: Source, https://example.org/a\nProject-URL: Bad, ftp://example.org\n\
            Project-URL: nothing\nClassifier: License :: OSI Approved :: MIT License\n\nbody\n";
        let about = About::parse(text.as_bytes());
        assert_eq!(about.summary.as_deref(), Some("Does a."));
        assert_eq!(about.authors, ["A", "A <a@example.org>"]);
        assert_eq!(about.license_expression.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(about.license, None);
        assert_eq!(about.license_files, ["LICENSE", "sub/NOTICE"]);
        assert_eq!(about.urls, [("Source".to_owned(), "https://example.org/a".to_owned())]);
        assert_eq!(about.classifiers, ["License :: OSI Approved :: MIT License"]);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(About::parse(b"\xff"), About::default());
        let long = format!("License: {}\nSummary: a\tb\n", "x".repeat(2000));
        let about = About::parse(long.as_bytes());
        assert_eq!((about.license, about.summary), (None, None));
    }
}
