//! `WHEEL`: how a wheel is to be installed.
//!
//! Model layer. Tags and builds in it only help to choose a file: those of the file name count.
//! `Generator` may be there many times, as tools that repair wheels add theirs.

use super::filename::{BuildTag, WheelFilename};
use super::headers::{
    ERROR_LIMIT, HeaderError, HeaderFile, Headers, Reading, Single, equal, format_version,
    shortened,
};
use super::tags::{Tag, TagSet};
use crate::model::name::{DistName, Version};

/// The most tags that are read; real wheels have fewer than fifty.
const TAG_LIMIT: usize = 1000;
/// The headers that somebody looks at.
const READ: [&str; 3] = ["Wheel-Version", "Root-Is-Purelib", "Build"];

/// What `WHEEL` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelHeaders {
    /// The version of the wheel format, such as (1, 0).
    pub format: (u32, u32),
    /// Whether what is not in `.data` goes to purelib, else to platlib.
    pub purelib: bool,
    /// The program that made the wheel: the first that is named.
    pub generator: Option<Box<str>>,
    /// The tags, sorted, each once; none where it lists none that can be read.
    pub tags: Box<[Tag]>,
    /// The build tag.
    pub build: Option<BuildTag>,
}

impl WheelHeaders {
    /// The newest version of the format that is fully understood.
    pub const FORMAT: (u32, u32) = (1, 0);

    /// Reads `WHEEL`. What may be missing if that is allowed has the value that installers give it:
    /// version 1.0, and platlib.
    pub fn parse(bytes: &[u8]) -> Reading<Self> {
        let file = HeaderFile::Wheel;
        let headers = match Headers::parse(bytes, file, &READ) {
            Ok(headers) => headers,
            Err(error) => return Reading::failed(error),
        };
        let mut errors = headers.errors.clone();
        let version = headers
            .single(Single::required(file, "Wheel-Version"), equal, &mut errors)
            .unwrap_or("1.0");
        let format = format_version(file, "Wheel-Version", version, Self::FORMAT.0, &mut errors)
            .unwrap_or(Self::FORMAT);
        let purelib = headers.single(
            Single::required(file, "Root-Is-Purelib"),
            |left, right| left.eq_ignore_ascii_case(right),
            &mut errors,
        );
        let purelib = purelib.is_some_and(|value| {
            let known =
                ["true", "false"].into_iter().find(|known| value.eq_ignore_ascii_case(known));
            if known.is_none() {
                errors.push(HeaderError::Purelib { value: shortened(value) });
            }
            known == Some("true")
        });
        // Nothing depends on it.
        let generator = headers.all("Generator").next().map(|header| header.value.as_ref().into());
        let tags = read_tags(&headers, &mut errors);
        let build = headers.single(Single::optional(file, "Build"), equal, &mut errors);
        let build = build.and_then(|value| {
            let build = BuildTag::parse(value);
            if build.is_none() {
                errors.push(HeaderError::Build { value: shortened(value) });
            }
            build
        });
        let value = (!errors.iter().any(HeaderError::is_final)).then_some(Self {
            format,
            purelib,
            generator,
            tags,
            build,
        });
        Reading { value, errors }
    }

    /// Whether the format has a newer minor version than is known: such a wheel can be installed,
    /// with a warning.
    pub fn newer_format(&self) -> bool {
        self.format > Self::FORMAT
    }

    /// What `WHEEL` says otherwise than the file name.
    pub fn disagreements(&self, filename: &WheelFilename) -> Vec<Disagreement> {
        let mut found = Vec::new();
        if !self.tags.is_empty() && !self.tags.iter().eq(&filename.tags.expand()) {
            found.push(Disagreement::Tags {
                written: list(self.tags.iter()),
                filename: shortened(filename.tags.as_str()),
            });
        }
        if self.build != filename.build {
            let render = |build: &Option<BuildTag>| {
                build.as_ref().map_or("none".to_owned(), |build| shortened(&build.to_string()))
            };
            found.push(Disagreement::Build {
                written: render(&self.build),
                filename: render(&filename.build),
            });
        }
        found
    }
}

/// The metadata says one thing, the wheel's file name another. With another name or version the
/// wheel would be installed as something else than its file name promises; tags and builds only
/// help to choose a file, and tools that rename wheels leave old ones behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The distribution.
    #[error("METADATA names the distribution `{}`, the file name says `{}`", written.written(), filename.written())]
    Name {
        /// In the metadata.
        written: DistName,
        /// In the file name.
        filename: DistName,
    },
    /// The version.
    #[error("METADATA has the version {written}, the file name says {filename}")]
    Version {
        /// In the metadata.
        written: Version,
        /// In the file name.
        filename: Version,
    },
    /// A local version that only one of them has: wheels for one library's version or another are
    /// often renamed so.
    #[error(
        "{place} has the version {written}, the file name says {filename}: they differ in the local version"
    )]
    LocalVersion {
        /// What has it: METADATA or the `.dist-info` folder.
        place: &'static str,
        /// The version there.
        written: Version,
        /// In the file name.
        filename: Version,
    },
    /// The tags.
    #[error("WHEEL lists the tags {written}, the file name says {filename}")]
    Tags {
        /// In the metadata.
        written: String,
        /// In the file name.
        filename: String,
    },
    /// The build tag.
    #[error("WHEEL has the build {written}, the file name says {filename}")]
    Build {
        /// In the metadata.
        written: String,
        /// In the file name.
        filename: String,
    },
}

/// Reads the tags. Very many are not kept, however they are spread over the lines.
fn read_tags(headers: &Headers<'_>, errors: &mut Vec<HeaderError>) -> Box<[Tag]> {
    let mut tags = Vec::new();
    let mut bad = 0;
    for header in headers.all("Tag") {
        match TagSet::parse(&header.value) {
            Ok(set) => tags.extend(set.expand()),
            Err(_) if bad == ERROR_LIMIT => {}
            Err(source) => {
                bad += 1;
                errors.push(HeaderError::Tag { line: header.line, source });
            }
        }
        if tags.len() > TAG_LIMIT {
            errors.push(HeaderError::TooManyTags { limit: TAG_LIMIT });
            return Box::default();
        }
    }
    if headers.all("Tag").next().is_none() {
        errors.push(HeaderError::NoTag);
    }
    tags.sort();
    tags.dedup();
    tags.into()
}

/// The first few of many things, and how many more there are.
pub(super) fn list<T: ToString>(items: impl ExactSizeIterator<Item = T>) -> String {
    const SHOWN: usize = 8;
    let more = items.len().saturating_sub(SHOWN);
    let shown =
        items.take(SHOWN).map(|item| shortened(&item.to_string())).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEEL: &str = "Wheel-Version: 1.0\nGenerator: test (1)\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n\n";

    fn wheel(text: &str) -> (Option<WheelHeaders>, Vec<String>) {
        let Reading { value, errors } = WheelHeaders::parse(text.as_bytes());
        (value, errors.iter().map(ToString::to_string).collect())
    }

    fn good(text: &str) -> WheelHeaders {
        let (value, errors) = wheel(text);
        assert_eq!(errors, [""; 0], "{text}");
        value.unwrap()
    }

    #[test]
    fn a_good_wheel_file() {
        let found = good(WHEEL);
        assert!(found.purelib && !found.newer_format() && found.build.is_none());
        assert_eq!(found.generator.as_deref(), Some("test (1)"));
        assert_eq!(
            found.tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["py2-none-any", "py3-none-any"]
        );
        let other = good(
            &WHEEL
                .replace("1.0", "1.9")
                .replace("true", "FALSE")
                .replace('\n', "\r\n")
                .replace("Tag", "tAG"),
        );
        assert!(!other.purelib && other.newer_format());
        let one_line =
            good(&WHEEL.replace(
                "Tag: py2-none-any\nTag: py3-none-any",
                "Build: 2b\nTag: py3.py2-none-any",
            ));
        assert_eq!(one_line.tags, found.tags);
        assert_eq!(one_line.build.unwrap().to_string(), "2b");
    }

    #[test]
    fn generators_and_whatever_nothing_reads_may_be_there_many_times() {
        let found = good(WHEEL);
        assert_eq!(good(&WHEEL.replace("-any\n\n", "-any\nGenerator: repairer 1\n\n")), found);
        assert_eq!(good(&WHEEL.replace("-any\n\n", "-any\nX-Note: 1\nx-note: 2\n\n")), found);
        assert_eq!(good(&WHEEL.replace("Generator: test (1)\n", "")).generator, None);
    }

    /// What replacing a part of WHEEL makes of it: whether it can be used if that is allowed, and
    /// the errors.
    fn check(from: &str, to: &str, usable: bool, expected: &[&str]) -> Option<WheelHeaders> {
        let (value, errors) = wheel(&WHEEL.replacen(from, to, 1));
        assert_eq!(
            (value.is_some(), errors),
            (usable, expected.iter().map(ToString::to_string).collect()),
            "{from:?} -> {to:?}"
        );
        value
    }

    #[test]
    fn a_bad_wheel_file_has_all_its_errors_named() {
        let none = [
            "WHEEL has no `Wheel-Version`",
            "WHEEL has no `Root-Is-Purelib`",
            "WHEEL has no `Tag` above its first empty line",
        ];
        check(WHEEL, "", true, &none);
        check(
            "1.0",
            "2.0",
            false,
            &["WHEEL has the Wheel-Version `2.0`, the newest that is understood begins with 1"],
        );
        for (version, usable) in [
            ("1", true),
            ("1.0.0", true),
            ("+1.0", false),
            ("1.", false),
            ("1..0", false),
            ("", false),
        ] {
            let expected = format!(
                "WHEEL has the Wheel-Version `{version}`, expected two numbers such as 1.0"
            );
            check("1.0", version, usable, &[&expected]);
        }
        let platlib = check(
            "true",
            "yes",
            true,
            &["WHEEL has the Root-Is-Purelib `yes`, expected true or false"],
        );
        assert!(!platlib.unwrap().purelib);
        let build =
            "WHEEL has the Build `x`, expected digits and then ASCII letters, digits, `_` and `.`";
        check("Tag: py2", "Build: x\nTag: py2", true, &[build]);
    }

    #[test]
    fn tags_that_are_none_do_not_matter() {
        let found =
            check("py2-none-any", "py2-none", true, &["line 4 of WHEEL has a bad Tag"]).unwrap();
        assert_eq!(found.tags.len(), 1);
        check(
            "Tag: py2-none-any\nTag: py3-none-any",
            "Tag:",
            true,
            &["line 4 of WHEEL has a bad Tag"],
        );
        let found = check(
            "Tag: py2",
            "\nTag: py2",
            true,
            &["WHEEL has no `Tag` above its first empty line"],
        )
        .unwrap();
        let filename = WheelFilename::parse("a-1-py3-none-any.whl").unwrap();
        assert_eq!(found.disagreements(&filename), []);
    }

    #[test]
    fn repeated_headers_say_the_same_or_not() {
        check(
            "Tag: py2",
            "Wheel-Version: 1.0\nTag: py2",
            true,
            &["line 4 of WHEEL says `Wheel-Version` again, expected it once"],
        );
        check(
            "Tag: py2",
            "Wheel-Version: 1.1\nTag: py2",
            true,
            &["line 4 of WHEEL has another value of `Wheel-Version`, expected it once"],
        );
        check(
            "Tag: py2",
            "root-is-purelib: True\nTag: py2",
            true,
            &["line 4 of WHEEL says `Root-Is-Purelib` again, expected it once"],
        );
        let other = "line 4 of WHEEL has another value of `Root-Is-Purelib`, expected it once";
        check("Tag: py2", "Root-Is-Purelib: false\nTag: py2", false, &[other]);
        check(
            "Tag: py2",
            "Root-Is-Purelib: true\nRoot-Is-Purelib: false\nTag: py2",
            false,
            &[&other.replace('4', "5")],
        );
    }

    #[test]
    fn very_many_tags_are_not_kept() {
        let set = format!(
            "Tag: {}-none-any\n",
            (0..500)
                .map(|index| format!("py{index}"))
                .map(|tag| tag.replace("py", "p"))
                .collect::<Vec<_>>()
                .join(".")
        );
        let (value, errors) = wheel(&WHEEL.replace("Tag: py2-none-any\n", &set.repeat(3)));
        assert_eq!(
            (value, errors),
            (None, vec!["the tags in WHEEL stand for more than 1000".to_owned()])
        );
        let (_, errors) = wheel(&WHEEL.replace("Tag: py2-none-any\n", &"Tag: x\n".repeat(1000)));
        assert_eq!(errors.len(), ERROR_LIMIT);
    }

    #[test]
    fn the_file_name_must_agree() {
        let others = |filename: &str| {
            let found = good(WHEEL).disagreements(&WheelFilename::parse(filename).unwrap());
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(
            others("foo_bar-1.0-py2.py3-none-any.whl").is_empty()
                && others("FOO_BAR-1.0.0-py3.py2-none-any.whl").is_empty()
        );
        let tags =
            "WHEEL lists the tags py2-none-any, py3-none-any, the file name says py3-none-any";
        assert_eq!(others("foo_bar-1.0-py3-none-any.whl"), [tags]);
        assert_eq!(
            others("foo_bar-1.0-1-py2.py3-none-any.whl"),
            ["WHEEL has the build none, the file name says 1"]
        );
        assert_eq!(list((0..10).collect::<Vec<_>>().iter()), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    }
}
