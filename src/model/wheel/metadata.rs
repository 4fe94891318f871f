//! `METADATA`: what a distribution is called and what it requires.
//!
//! Model layer. Read as far as installing needs it; everything else in it is for people.

use std::str::FromStr;

use super::filename::WheelFilename;
use super::headers::{
    HeaderError, HeaderFile, Headers, Reading, Single, equal, format_version, shortened,
};
use super::wheel_file::Disagreement;
use crate::model::name::{DistName, Version};

/// The most bytes of a version: more than any file name could hold.
const VERSION_LIMIT: usize = 1024;
/// The most bytes of one requirement.
const REQUIREMENT_LIMIT: usize = 16 << 10;
/// The most bytes of all requirements: each of them becomes a few values for every few bytes.
const REQUIREMENTS_LIMIT: usize = 1 << 20;
/// The headers that somebody looks at.
const READ: [&str; 6] =
    ["Metadata-Version", "Name", "Version", "Requires-Python", "Requires-Dist", "Provides-Extra"];

/// What `METADATA` says, as far as installing needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The version of the metadata format, such as (2, 4).
    pub format: (u32, u32),
    /// The distribution.
    pub name: DistName,
    /// Its version.
    pub version: Version,
    /// Which versions of Python it is for, as written.
    pub requires_python: Option<Box<str>>,
    /// What it requires, each a text of PEP 508, in the order of the file.
    pub requires_dist: Box<[Box<str>]>,
    /// Its extras, as written, in the order of the file.
    pub provides_extra: Box<[Box<str>]>,
}

impl Metadata {
    /// The newest major version of the format that is understood, and the newest minor one of it.
    pub const FORMAT: (u32, u32) = (2, 5);

    /// Reads the `METADATA` of a wheel. Where it is allowed that name and version are missing, they
    /// are those of the file name.
    pub fn parse(bytes: &[u8], filename: &WheelFilename) -> Reading<Self> {
        let file = HeaderFile::Metadata;
        let headers = match Headers::parse(bytes, file, &READ) {
            Ok(headers) => headers,
            Err(error) => return Reading::failed(error),
        };
        let mut errors = headers.errors.clone();
        let format = headers
            .single(Single::required(file, "Metadata-Version"), equal, &mut errors)
            .unwrap_or("1.0");
        let format = format_version(file, "Metadata-Version", format, Self::FORMAT.0, &mut errors)
            .unwrap_or((1, 0));
        let same_name = |left: &str, right: &str| {
            DistName::parse(left).is_ok_and(|name| DistName::parse(right) == Ok(name))
        };
        let name = match headers
            .single(Single::required(file, "Name"), same_name, &mut errors)
            .map(DistName::parse)
        {
            Some(Ok(name)) => name,
            Some(Err(source)) => {
                errors.push(HeaderError::Name { source });
                filename.name.clone()
            }
            None => filename.name.clone(),
        };
        let same_version = |left: &str, right: &str| {
            read_version(left).is_ok_and(|version| read_version(right) == Ok(version))
        };
        let version = match headers
            .single(Single::required(file, "Version"), same_version, &mut errors)
            .map(|value| (value, read_version(value)))
        {
            Some((_, Ok(version))) => version,
            Some((value, Err(reason))) => {
                errors.push(HeaderError::Version { value: shortened(value), reason });
                filename.version.clone()
            }
            None => filename.version.clone(),
        };
        let requires_python: Option<Box<str>> = headers
            .single(Single::optional(file, "Requires-Python"), equal, &mut errors)
            .map(Into::into);
        let lengths = headers.all("Requires-Dist").map(|header| header.value.len());
        let lengths = lengths.chain(requires_python.as_deref().map(str::len));
        let (longest, total) = lengths.fold((0, 0), |(longest, total): (usize, usize), length| {
            (longest.max(length), total + length)
        });
        if longest > REQUIREMENT_LIMIT {
            errors.push(HeaderError::Requirements { found: longest, limit: REQUIREMENT_LIMIT });
        } else if total > REQUIREMENTS_LIMIT {
            errors.push(HeaderError::Requirements { found: total, limit: REQUIREMENTS_LIMIT });
        }
        if errors.iter().any(HeaderError::is_final) {
            return Reading { value: None, errors };
        }
        let all = |name| headers.all(name).map(|header| header.value.as_ref().into()).collect();
        let (requires_dist, provides_extra) = (all("Requires-Dist"), all("Provides-Extra"));
        Reading {
            value: Some(Self {
                format,
                name,
                version,
                requires_python,
                requires_dist,
                provides_extra,
            }),
            errors,
        }
    }

    /// Whether the format has a newer minor version than is known.
    pub fn newer_format(&self) -> bool {
        self.format > Self::FORMAT
    }

    /// What `METADATA` says otherwise than the file name.
    pub fn disagreements(&self, filename: &WheelFilename) -> Vec<Disagreement> {
        let mut found = Vec::new();
        if self.name != filename.name {
            found.push(Disagreement::Name {
                written: self.name.clone(),
                filename: filename.name.clone(),
            });
        }
        if self.version != filename.version {
            let (written, filename) = (self.version.clone(), filename.version.clone());
            found.push(match differ_in_local(&written, &filename) {
                true => Disagreement::LocalVersion { place: "METADATA", written, filename },
                false => Disagreement::Version { written, filename },
            });
        }
        found
    }
}

fn read_version(text: &str) -> Result<Version, String> {
    if text.len() > VERSION_LIMIT {
        return Err(format!("{} bytes, the limit is {VERSION_LIMIT}", text.len()));
    }
    Version::from_str(text).map_err(|error| error.to_string())
}

/// Whether one of two versions is the other without its local version.
pub(super) fn differ_in_local(left: &Version, right: &Version) -> bool {
    left.is_local() != right.is_local()
        && left.clone().without_local() == right.clone().without_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\n";

    fn filename() -> WheelFilename {
        WheelFilename::parse("foo_bar-1.0-py3-none-any.whl").unwrap()
    }

    fn metadata(text: &str) -> (Option<Metadata>, Vec<String>) {
        let Reading { value, errors } = Metadata::parse(text.as_bytes(), &filename());
        (value, errors.iter().map(ToString::to_string).collect())
    }

    fn check(text: &str, usable: bool, expected: &[&str]) -> Option<Metadata> {
        let (value, errors) = metadata(text);
        assert_eq!(
            (value.is_some(), errors.len()),
            (usable, expected.len()),
            "{text:?}: {errors:?}"
        );
        assert!(
            errors.iter().zip(expected).all(|(error, start)| error.starts_with(start)),
            "{text:?}: {errors:?}"
        );
        value
    }

    #[test]
    fn metadata_is_read_as_far_as_it_is_needed() {
        let text = format!(
            "{METADATA}Requires-Python: >=3.8\nRequires-Dist: a (>=1)\nrequires-dist: b[x]>=2;\n  python_version < \"3.9\"\n\
             Provides-Extra: x\nDescription: one\n        two\n\nName: not a header\n"
        );
        let found = check(&text, true, &[]).unwrap();
        assert_eq!(
            (found.format, found.name.normalized(), found.version.to_string().as_str()),
            ((2, 1), "foo-bar", "1.0")
        );
        assert_eq!(found.requires_python.as_deref(), Some(">=3.8"));
        assert_eq!(
            found.requires_dist.iter().map(|text| &**text).collect::<Vec<_>>(),
            ["a (>=1)", "b[x]>=2;  python_version < \"3.9\""]
        );
        assert_eq!(found.provides_extra.iter().map(|text| &**text).collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn bad_metadata_has_all_its_errors_named() {
        let replace = |from: &str, to: &str| METADATA.replacen(from, to, 1);
        let nothing = [
            "METADATA has no `Metadata-Version`",
            "METADATA has no `Name`",
            "METADATA has no `Version`",
        ];
        let found = check("\n", true, &nothing).unwrap();
        assert_eq!((found.name, found.version), (filename().name, filename().version));
        assert_eq!(
            check(&replace("2.1", "2.1.0"), true, &["METADATA has the Metadata-Version `2.1.0`"])
                .unwrap()
                .format,
            (2, 1)
        );
        check(
            &replace("2.1", "3.0"),
            false,
            &["METADATA has the Metadata-Version `3.0`, the newest"],
        );
        check(&replace("Foo.Bar", "a b"), false, &["METADATA has a bad Name"]);
        check(&replace("Foo.Bar", "../x"), false, &["METADATA has a bad Name"]);
        check(&replace("1.0", "x"), false, &["METADATA has the Version `x`"]);
        let hidden = [
            "line 2 of METADATA",
            "readers of METADATA see different values of `Version`",
            "METADATA has no `Name`",
            "METADATA has no `V",
        ];
        check(&replace("Name", "\u{feff}Name"), false, &hidden);
        check(
            &replace("Metadata", "\u{feff}Metadata"),
            false,
            &["METADATA begins with a byte order mark"],
        );
    }

    #[test]
    fn repeated_headers_say_the_same_or_not() {
        let repeat = |line: &str| format!("{METADATA}{line}\n");
        check(&repeat("name: FOO-bar"), true, &["line 4 of METADATA says `Name` again"]);
        check(&repeat("Version: 1.0.0"), true, &["line 4 of METADATA says `Version` again"]);
        check(&repeat("Name: other"), false, &["line 4 of METADATA has another value of `Name`"]);
        check(&repeat("Version: 2"), false, &["line 4 of METADATA has another value of `Version`"]);
        check(
            &repeat("Metadata-Version: 2.2"),
            true,
            &["line 4 of METADATA has another value of `Metadata-Version`"],
        );
        let found = check(
            &repeat("Requires-Python: >=3\nRequires-Python: >=4"),
            true,
            &["line 5 of METADATA has another value"],
        )
        .unwrap();
        assert_eq!(found.requires_python.as_deref(), Some(">=3"));
        // Nothing reads them.
        check(&repeat("Summary: a\nSummary: b\nHome-page: c\nHome-page: d"), true, &[]);
    }

    #[test]
    fn what_stands_above_a_line_that_is_no_header_counts() {
        let found = check(
            &format!("{METADATA}Requires-Dist: a\nSummary: one\ntwo\nAuthor: x\n"),
            true,
            &["line 6 of METADATA"],
        )
        .unwrap();
        assert_eq!(found.requires_dist.len(), 1);
        let hidden =
            ["line 5 of METADATA", "readers of METADATA see different values of `Requires-Dist`"];
        check(&format!("{METADATA}Summary: one\ntwo\nRequires-Dist: a\n"), false, &hidden);
    }

    #[test]
    fn versions_and_requirements_have_a_length() {
        check(&METADATA.replace("1.0", &format!("1.{}", "0".repeat(VERSION_LIMIT - 2))), true, &[]);
        let (_, errors) = metadata(&METADATA.replace("1.0", &"1".repeat(VERSION_LIMIT + 1)));
        assert!(errors[0].contains("1025 bytes") && errors[0].len() < 200, "{errors:?}");
        let long = format!("{METADATA}Requires-Dist: a{}\n", " ".repeat(20_000) + ">=1");
        check(&long, false, &["the requirements in METADATA have 20004 bytes, the limit is 16384"]);
        let many =
            format!("{METADATA}{}", format!("Requires-Dist: {}\n", "a".repeat(10_000)).repeat(110));
        check(&many, false, &["the requirements in METADATA have 1100000 bytes"]);
    }

    #[test]
    fn the_file_name_must_agree() {
        let others = |filename: &str| {
            let found = metadata(METADATA)
                .0
                .unwrap()
                .disagreements(&WheelFilename::parse(filename).unwrap());
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(
            others("foo_bar-1.0-py2.py3-none-any.whl").is_empty()
                && others("FOO_BAR-1.0.0-py3-none-any.whl").is_empty()
        );
        let name = "METADATA names the distribution `Foo.Bar`, the file name says `foobar`";
        assert_eq!(others("foobar-1.0-py3-none-any.whl"), [name]);
        assert_eq!(
            others("foo_bar-1.0.1-py3-none-any.whl"),
            ["METADATA has the version 1.0, the file name says 1.0.1"]
        );
        let local = "METADATA has the version 1.0, the file name says 1.0+cu12: they differ in the local version";
        assert_eq!(others("foo_bar-1.0+cu12-py3-none-any.whl"), [local]);
        let version = |text: &str| Version::from_str(text).unwrap();
        assert!(
            !differ_in_local(&version("1+a"), &version("1+b"))
                && !differ_in_local(&version("1"), &version("2+a"))
        );
    }
}
