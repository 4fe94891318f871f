//! One requirement: `name[extras] specifiers ; marker`, or with an URL instead of specifiers (PEP 508).

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
}

impl<'text> Requirement<'text> {
    /// Reads a requirement.
    ///
    /// # Errors
    /// Names the part that is wrong.
    pub fn parse(text: &'text str) -> Result<Self, RequirementError> {
        if let Some(character) = text.chars().find(|&character| character.is_control() && character != '\t') {
            return Err(RequirementError::Character(character));
        }
        let rest = trim(text);
        let inner = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
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
                    extras.push(DistName::parse(trim(extra)).map_err(|_| RequirementError::Extras)?);
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
        let specifiers = specifiers.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(specifiers);
        let specifiers = parse_specifiers(specifiers).map_err(RequirementError::Specifiers)?;
        let marker = marker.map(Marker::parse).transpose().map_err(RequirementError::Marker)?;
        Ok(Self { text, name, extras, specifiers, marker })
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

/// Reads version specifiers, separated by commas; one may follow the last.
pub(super) fn parse_specifiers(text: &str) -> Result<VersionSpecifiers, String> {
    let text = trim(text);
    let text = text.strip_suffix(',').unwrap_or(text);
    if trim(text).is_empty() {
        return Ok(VersionSpecifiers::empty());
    }
    text.split(',')
        .map(|part| {
            let part = trim(part);
            VersionSpecifier::from_str(part).map_err(|error| format!("`{part}` is no version specifier: {error}"))
        })
        .collect()
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
            assert_eq!((found.name.normalized(), &extras[..], &*specifiers, found.marker.is_some()), expected, "{text}");
        };
        check("six", ("six", &[], "", false));
        check(" Foo.Bar [ a , B_b ] ( >=1 , <2 ) ; os_name == 'nt'", ("foo-bar", &["a", "b-b"], ">=1, <2", true));
        check("a>=1,", ("a", &[], ">=1", false));
        check("a[]==1.*", ("a", &[], "==1.*", false));
        check("a@https://x/y;z ; os_name=='nt'", ("a", &[], "", true));
        check("a @ https://x/y", ("a", &[], "", false));
        check("a()", ("a", &[], "", false));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "-a", "a-", "a b", "a 1.0", "a[", "a[b", "a[b,]", "a[b c]", "a>=1,,<2", "a (>=1", "a >=1)", "a >=x", "a @", "a @ u v",
            "a;", "a ; x", "a>=1\n", "ä",
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
