//! One requirement: `name[extras] specifiers ; marker`, or with an URL instead of specifiers (PEP
//! 508).

use std::str::FromStr;

use pep440_rs::{VersionSpecifier, VersionSpecifiers};

use super::marker::{Environment, Marker, MarkerError, Truth};
use crate::model::name::{DistName, Version};

/// Why a text is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// A control character: some readers take it for white space or the end.
    #[error("it holds the character {0:?}")]
    Character(char),
    /// It does not begin with a name.
    #[error("it does not begin with a distribution's name")]
    Name,
    /// The extras are no list of names in brackets.
    #[error("its extras are no list such as [one,two]")]
    Extras,
    /// The specifiers are none.
    #[error("{0}")]
    Specifiers(String),
    /// There is nothing after the `@`, or no `;` between the URL and more text.
    #[error("its URL is empty, or is followed by something other than ` ;` and a marker")]
    Url,
    /// The marker is none.
    #[error(transparent)]
    Marker(MarkerError),
}

/// A requirement.
#[derive(Debug, Clone)]
pub struct Requirement<'text> {
    /// The whole text.
    pub text: &'text str,
    /// The distribution that is required.
    pub name: DistName,
    /// The extras of it that are.
    pub extras: Vec<DistName>,
    /// The versions that are allowed; any, where an URL names a file.
    pub specifiers: VersionSpecifiers,
    /// When it is required; always, without one.
    pub marker: Option<Marker<'text>>,
    /// Whether it is written as no current specification has it.
    pub legacy: bool,
}

impl<'text> Requirement<'text> {
    /// Reads a requirement.
    ///
    /// # Errors
    /// Names the part that is wrong.
    pub fn parse(text: &'text str) -> Result<Self, RequirementError> {
        if let Some(character) =
            text.chars().find(|&character| character.is_control() && character != '\t')
        {
            return Err(RequirementError::Character(character));
        }
        let rest = trim(text);
        let inner = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
        };
        let end = rest.find(|character| !inner(character)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let name = DistName::parse(name).map_err(|_| RequirementError::Name)?;
        let mut rest = trim(rest);
        let mut extras = Vec::new();
        if let Some(list) = rest.strip_prefix('[') {
            let (list, after) = list.split_once(']').ok_or(RequirementError::Extras)?;
            rest = trim(after);
            if !trim(list).is_empty() {
                for extra in list.split(',') {
                    extras
                        .push(DistName::parse(trim(extra)).map_err(|_| RequirementError::Extras)?);
                }
            }
        }
        let (specifiers, marker) = if let Some(url) = rest.strip_prefix('@') {
            let url = trim(url);
            let (url, after) = url.split_once([' ', '\t']).unwrap_or((url, ""));
            let after = trim(after);
            if url.is_empty() || !after.is_empty() && !after.starts_with(';') {
                return Err(RequirementError::Url);
            }
            ("", after.strip_prefix(';'))
        } else {
            match rest.split_once(';') {
                Some((specifiers, marker)) => (trim(specifiers), Some(marker)),
                None => (rest, None),
            }
        };
        let specifiers = specifiers
            .strip_prefix('(')
            .and_then(|inner| inner.strip_suffix(')'))
            .unwrap_or(specifiers);
        let Specifiers { specifiers, legacy } =
            parse_specifiers(specifiers).map_err(RequirementError::Specifiers)?;
        let marker = marker.map(Marker::parse).transpose().map_err(RequirementError::Marker)?;
        Ok(Self { text, name, extras, specifiers, marker, legacy })
    }

    /// Whether it applies, with one extra of what requires it or without any.
    pub fn holds(&self, environment: &Environment, extra: Option<&DistName>) -> Truth {
        self.marker.as_ref().map_or(Truth::Yes, |marker| marker.evaluate(environment, extra))
    }

    /// Whether a version is allowed; pre-releases are, as they are in the environment already.
    pub fn accepts(&self, version: &Version) -> bool {
        self.specifiers.contains(version)
    }
}

/// Version specifiers as they were read.
#[derive(Debug, Clone)]
pub struct Specifiers {
    /// What they mean.
    pub specifiers: VersionSpecifiers,
    /// Whether they are written as no current specification has it, but as pip or uv read it.
    pub legacy: bool,
}

/// Reads version specifiers, separated by commas. Those that setuptools and others wrote before the
/// specification was enforced are read as uv reads them; pip passes over such a `Requires-Python`,
/// or reads it so as well.
///
/// # Errors
/// Says which of them is none.
pub fn parse_specifiers(text: &str) -> Result<Specifiers, String> {
    let text = trim(text);
    let mut legacy = false;
    let mut found = Vec::new();
    // One comma may follow the last.
    let all = text.strip_suffix(',').unwrap_or(text);
    for part in all.split(',').map(trim) {
        if part.is_empty() {
            legacy |= !trim(all).is_empty();
            continue;
        }
        match VersionSpecifier::from_str(part) {
            Ok(specifier) => found.push(specifier),
            Err(error) => {
                let wrong = || format!("`{part}` is no version specifier: {error}");
                legacy = true;
                for part in separate(part) {
                    found.push(
                        VersionSpecifier::from_str(&modern(part).ok_or_else(wrong)?)
                            .map_err(|_| wrong())?,
                    );
                }
            }
        }
    }
    Ok(Specifiers { specifiers: found.into_iter().collect(), legacy })
}

const OPERATOR: [char; 5] = ['<', '>', '=', '!', '~'];

/// Splits before every operator but the first: `>=7.2.0<8.0.0` lacks a comma.
fn separate(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut previous = None;
    for (at, character) in text.char_indices() {
        let begins = OPERATOR.contains(&character)
            && previous.is_some_and(|before: char| !OPERATOR.contains(&before));
        if begins && !trim(&text[start..at]).is_empty() {
            parts.push(trim(&text[start..at]));
            start = at;
        }
        // White space may stand within an operator's place only once: after it.
        previous = Some(character);
    }
    parts.push(trim(&text[start..]));
    parts
}

/// A legacy specifier as it is written today; nothing where it cannot be one.
fn modern(part: &str) -> Option<String> {
    let unquoted = part.replace(['\'', '"'], "");
    let part = trim(&unquoted);
    let end = part.find(|character| !OPERATOR.contains(&character))?;
    let (operator, version) = part.split_at(end);
    let version = trim(version);
    // `!=~5.0` excludes what `~=5.0` would be about.
    let (operator, version) = match operator {
        "!=~" => ("!=", format!("{version}.*")),
        _ => (operator, version.to_owned()),
    };
    let ordering = matches!(operator, "<" | "<=" | ">" | ">=");
    let version = match version.strip_suffix('*') {
        // A star after an ordering says nothing more: `>=3.5.*`.
        Some(stem) if ordering => stem.trim_end_matches('.').to_owned(),
        // `!=3.0*`
        Some(stem) if stem.ends_with(|last: char| last.is_ascii_digit()) => format!("{stem}.*"),
        _ => version,
    };
    let version = match (operator, &*version) {
        (">", "dev") => "0.0.0dev",
        _ => without_trailing_zero(&version),
    };
    (!operator.is_empty()).then(|| format!("{operator}{version}"))
}

/// `9.0.0a1.0` is `9.0.0a1`.
fn without_trailing_zero(version: &str) -> &str {
    let Some(stem) = version.strip_suffix(".0") else {
        return version;
    };
    let digits = stem.trim_end_matches(|last: char| last.is_ascii_digit());
    let prerelease = ["a", "b", "rc", "post", "dev"].iter().any(|word| digits.ends_with(word));
    if prerelease && digits.len() < stem.len() { stem } else { version }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_requirement() {
        let check = |text: &str, expected: (&str, &[&str], &str, bool)| {
            let found = Requirement::parse(text).unwrap();
            let extras: Vec<&str> = found.extras.iter().map(DistName::normalized).collect();
            let specifiers = found.specifiers.to_string();
            assert_eq!(
                (found.name.normalized(), &extras[..], &*specifiers, found.marker.is_some()),
                expected,
                "{text}"
            );
        };
        check("six", ("six", &[], "", false));
        check(
            " Foo.Bar [ a , B_b ] ( >=1 , <2 ) ; os_name == 'nt'",
            ("foo-bar", &["a", "b-b"], ">=1, <2", true),
        );
        check("a>=1,", ("a", &[], ">=1", false));
        check("a[]==1.*", ("a", &[], "==1.*", false));
        check("a@https://x/y;z ; os_name=='nt'", ("a", &[], "", true));
        check("a @ https://x/y", ("a", &[], "", false));
        check("a()", ("a", &[], "", false));
    }

    #[test]
    fn legacy_specifiers_mean_what_uv_reads() {
        let check = |text: &str, expected: &str| {
            let found = parse_specifiers(text).unwrap();
            assert_eq!(
                (found.specifiers.to_string(), found.legacy),
                (expected.to_owned(), true),
                "{text}"
            );
        };
        check(">=3.5.*", ">=3.5");
        check("<=3.*", "<=3");
        check(">3.4.*, <4", ">3.4, <4");
        check(">=3.*, !=3.0.*, !=3.1.*", ">=3, !=3.0.*, !=3.1.*");
        check("!=3.0*", "!=3.0.*");
        check("==2.7*", "==2.7.*");
        check(">=7.2.0<8.0.0", ">=7.2.0, <8.0.0");
        check(">=2.7 !=3.0.* <4", ">=2.7, !=3.0.*, <4");
        check("!=~5.0,>=4.12", ">=4.12, !=5.0.*");
        check(">=9.0.0a1.0", ">=9.0.0a1");
        check(">dev", ">0.0.0.dev0");
        check(">= '2.7'", ">=2.7");
        check(">=3.6'", ">=3.6");
        check(">=1,,<2", ">=1, <2");
        assert!(Requirement::parse("omegaconf (>=5.1.*)").unwrap().legacy);
        assert!(
            !Requirement::parse("a (>=5.1,)").unwrap().legacy
                && !Requirement::parse("a").unwrap().legacy
        );
    }

    #[test]
    fn other_specifiers_are_none() {
        for text in [
            "3", ">=", ">=x", ">=three", ">=3.x", "*", ">=1;", "~=3", "==1.*.*", "<>1", ">=1 2",
            "=1", "=>1", "~=3.5.*",
        ] {
            assert!(parse_specifiers(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "-a", "a-", "a b", "a 1.0", "a[", "a[b", "a[b,]", "a[b c]", "a (>=1", "a >=1)",
            "a >=x", "a @", "a @ u v", "a;", "a ; x", "a>=1\n", "ä",
        ] {
            assert!(Requirement::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", close in "[a-b]{1,2}(\\[[a-b,]{0,3}\\])?[<>=~! ]{0,3}[0-9.*]{0,4}(;[a-z_ '<=()]{0,30})?") {
            let _ = (Requirement::parse(&text), Requirement::parse(&close));
        }
    }
}
