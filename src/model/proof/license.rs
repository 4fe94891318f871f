//! Under which licence a distribution is: from the field that is made for it, else from what
//! authors wrote before there was one.
//!
//! Model layer. PEP 639's `License-Expression` is an SPDX expression and decides. Without it, what
//! `License` and the classifiers say counts as far as it is one licence of SPDX's list; everything
//! else stays a name that a person has to look at.

use std::collections::BTreeSet;
use std::fmt;

use spdx::expression::{ExprNode, Operator};
use spdx::{Expression, LicenseReq, ParseMode};

use crate::model::wheel::about::About;

/// What is known of a licence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct License {
    /// An SPDX expression: the author's own, or all that could be read of older fields, joined by
    /// `AND`.
    pub expression: Option<String>,
    /// Whether the author wrote the expression.
    pub declared: bool,
    /// What was written and is no expression.
    pub names: Vec<String>,
}

impl License {
    /// What the metadata says.
    pub fn of(about: &About) -> Self {
        if let Some(text) = &about.license_expression {
            return match parse(text) {
                Some(expression) => {
                    Self { expression: Some(expression), declared: true, names: Vec::new() }
                }
                None => Self { expression: None, declared: true, names: vec![text.clone()] },
            };
        }
        let mut expressions: BTreeSet<String> = BTreeSet::new();
        let mut names = Vec::new();
        if let Some(text) = &about.license {
            match parse(text).or_else(|| well_known(text).map(str::to_owned)) {
                Some(expression) => drop(expressions.insert(expression)),
                None => names.push(text.clone()),
            }
        }
        for classifier in &about.classifiers {
            let Some(license) = classifier.strip_prefix("License :: ") else { continue };
            let name = license.strip_prefix("OSI Approved :: ").unwrap_or(license);
            match of_classifier(name) {
                Some(id) => drop(expressions.insert(id.to_owned())),
                // A class of licences says nothing beside one that is named.
                None if name == "OSI Approved" => {}
                None => names.push(name.to_owned()),
            }
        }
        Self::joined(expressions, names)
    }

    /// What a person says about a distribution, whatever its metadata has.
    ///
    /// # Errors
    /// It is no SPDX expression.
    pub fn stated(text: &str) -> Result<Self, NotAnExpression> {
        let expression = parse(text).ok_or_else(|| NotAnExpression(text.to_owned()))?;
        Ok(Self { expression: Some(expression), declared: true, names: Vec::new() })
    }

    fn joined(expressions: BTreeSet<String>, mut names: Vec<String>) -> Self {
        // A family's name says less than one of its licences, which somebody wrote too.
        if !expressions.is_empty() {
            names.retain(|name| !is_family(name, &expressions));
        }
        names.sort();
        names.dedup();
        let several = expressions.len() > 1;
        let parts: Vec<String> = expressions
            .into_iter()
            .map(|text| if several && text.contains(' ') { format!("({text})") } else { text })
            .collect();
        Self {
            expression: (!parts.is_empty()).then(|| parts.join(" AND ")),
            declared: false,
            names,
        }
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        self.expression.is_none() && self.names.is_empty()
    }
}

impl fmt::Display for License {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().map(|name| format!("{name:?}"));
        let all: Vec<String> = self.expression.iter().cloned().chain(names).collect();
        match all.is_empty() {
            true => formatter.write_str("unknown"),
            false => formatter.write_str(&all.join(", ")),
        }
    }
}

/// A text that is no SPDX expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an SPDX license expression")]
pub struct NotAnExpression(pub String);

const MODE: ParseMode = ParseMode { allow_deprecated: true, ..ParseMode::STRICT };

/// The expression in its canonical form, if it is one. Deprecated names are still names, and names
/// are compared without regard to case (PEP 639).
fn parse(text: &str) -> Option<String> {
    let expression = Expression::parse_mode(&with_names_of_the_list(text), MODE).ok()?;
    Some(written(&expression))
}

/// The text with every name of SPDX's list written as there.
fn with_names_of_the_list(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for (index, word) in text.split_inclusive([' ', '(', ')', '+']).enumerate() {
        let end = word.find([' ', '(', ')', '+']).unwrap_or(word.len());
        let (name, rest) = word.split_at(end);
        // What joins names is written in capitals, but for one that begins the text.
        let operator = ["and", "or", "with"].iter().find(|word| word.eq_ignore_ascii_case(name));
        match operator {
            Some(operator) if index > 0 => found.push_str(&operator.to_ascii_uppercase()),
            _ => found.push_str(listed(name).unwrap_or(name)),
        }
        found.push_str(rest);
    }
    found
}

/// A name of a license or an exception as SPDX's list has it.
fn listed(name: &str) -> Option<&'static str> {
    let licenses = spdx::identifiers::LICENSES.iter().map(|license| license.name);
    let exceptions = spdx::identifiers::EXCEPTIONS.iter().map(|exception| exception.name);
    licenses.chain(exceptions).find(|known| known.eq_ignore_ascii_case(name))
}

/// An expression as text, with operators in capitals and no more parentheses than it needs.
fn written(expression: &Expression) -> String {
    // A stack of texts, each with the operator that joins it.
    let mut stack: Vec<(String, Option<Operator>)> = Vec::new();
    for node in expression.iter() {
        match node {
            ExprNode::Req(requirement) => stack.push((requirement.req.to_string(), None)),
            ExprNode::Op(operator) => {
                let (right, left) = (stack.pop(), stack.pop());
                let (Some(left), Some(right)) = (left, right) else {
                    return expression.to_string();
                };
                let part = |(text, inner): (String, Option<Operator>)| match inner {
                    Some(Operator::Or) if *operator == Operator::And => format!("({text})"),
                    _ => text,
                };
                let word = if *operator == Operator::And { "AND" } else { "OR" };
                stack.push((format!("{} {word} {}", part(left), part(right)), Some(*operator)));
            }
        }
    }
    stack.pop().map_or_else(|| expression.to_string(), |(text, _)| text)
}

/// A rule about licences: which are allowed, and which are not.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    allowed: Option<BTreeSet<String>>,
    denied: BTreeSet<String>,
}

impl Rule {
    /// The licences that are named, each as SPDX has it, exceptions (`GPL-2.0-only WITH
    /// Classpath-exception-2.0`) included. Without any to allow, all are that are not denied.
    ///
    /// # Errors
    /// One of them is no licence of SPDX's list.
    pub fn new(allow: &[String], deny: &[String]) -> Result<Self, NotAnExpression> {
        let read = |texts: &[String]| {
            let mut found = BTreeSet::new();
            for text in texts {
                let parsed = parse(text).ok_or_else(|| NotAnExpression(text.clone()))?;
                let expression = Expression::parse_mode(&parsed, MODE)
                    .map_err(|_| NotAnExpression(text.clone()))?;
                found.extend(
                    expression.requirements().map(|requirement| requirement.req.to_string()),
                );
            }
            Ok(found)
        };
        Ok(Self {
            allowed: (!allow.is_empty()).then(|| read(allow)).transpose()?,
            denied: read(deny)?,
        })
    }

    /// Whether there is nothing to obey.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_none() && self.denied.is_empty()
    }

    /// Why a distribution may not be used, if it may not. Of alternatives (`OR`) one is enough.
    pub fn violation(&self, license: &License) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        if let Some(name) = license.names.first() {
            return Some(format!("{name:?} is no SPDX expression"));
        }
        let Some(text) = &license.expression else {
            return Some("its metadata names no license".to_owned());
        };
        let expression = Expression::parse_mode(text, MODE).ok()?;
        let may = |requirement: &LicenseReq| {
            let text = requirement.to_string();
            !self.denied.contains(&text)
                && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&text))
        };
        if expression.evaluate(may) {
            return None;
        }
        let wrong: BTreeSet<String> = expression
            .requirements()
            .filter(|requirement| !may(&requirement.req))
            .map(|requirement| requirement.req.to_string())
            .collect();
        let wrong: Vec<String> = wrong.into_iter().collect();
        let verb = if wrong.iter().all(|name| self.denied.contains(name)) {
            "denied"
        } else {
            "not allowed"
        };
        Some(format!("{} is {verb}", wrong.join(" and ")))
    }
}

/// What authors write in `License` that means one licence of SPDX's list, in small letters.
fn well_known(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_prefix("the ").unwrap_or(&text);
    let text = text.strip_suffix(" license").or(text.strip_suffix(" licence")).unwrap_or(text);
    Some(match text {
        "mit" | "mit/x11" | "expat" => "MIT",
        "apache 2.0"
        | "apache 2"
        | "apache-2"
        | "apache license 2.0"
        | "apache license, version 2.0"
        | "apache software license 2.0"
        | "apache2"
        | "apache license version 2.0"
        | "apache v2" => "Apache-2.0",
        "bsd 3-clause"
        | "bsd-3"
        | "bsd 3 clause"
        | "3-clause bsd"
        | "new bsd"
        | "modified bsd"
        | "bsd 3-clause \"new\" or \"revised\"" => "BSD-3-Clause",
        "bsd 2-clause" | "2-clause bsd" | "simplified bsd" => "BSD-2-Clause",
        "isc" => "ISC",
        "mpl 2.0" | "mpl-2" | "mozilla public license 2.0" => "MPL-2.0",
        "psf" | "psfl" | "psf-2.0" | "python software foundation" => "PSF-2.0",
        "lgplv3" | "lgpl-3" => "LGPL-3.0-only",
        "lgplv3+" => "LGPL-3.0-or-later",
        "gplv3" | "gpl-3" => "GPL-3.0-only",
        "gplv3+" => "GPL-3.0-or-later",
        "gplv2" | "gpl-2" => "GPL-2.0-only",
        "gplv2+" => "GPL-2.0-or-later",
        "unlicense" => "Unlicense",
        "zpl 2.1" | "zpl-2.1" => "ZPL-2.1",
        "hpnd" => "HPND",
        _ => return None,
    })
}

/// The licence of a classifier, where that means exactly one.
fn of_classifier(name: &str) -> Option<&'static str> {
    Some(match name {
        "MIT License" => "MIT",
        "MIT No Attribution License (MIT-0)" => "MIT-0",
        "ISC License (ISCL)" => "ISC",
        "Mozilla Public License 1.1 (MPL 1.1)" => "MPL-1.1",
        "Mozilla Public License 2.0 (MPL 2.0)" => "MPL-2.0",
        "Python Software Foundation License" => "PSF-2.0",
        "GNU General Public License v2 (GPLv2)" => "GPL-2.0-only",
        "GNU General Public License v2 or later (GPLv2+)" => "GPL-2.0-or-later",
        "GNU General Public License v3 (GPLv3)" => "GPL-3.0-only",
        "GNU General Public License v3 or later (GPLv3+)" => "GPL-3.0-or-later",
        "GNU Lesser General Public License v2 (LGPLv2)" => "LGPL-2.0-only",
        "GNU Lesser General Public License v2 or later (LGPLv2+)" => "LGPL-2.0-or-later",
        "GNU Lesser General Public License v3 (LGPLv3)" => "LGPL-3.0-only",
        "GNU Lesser General Public License v3 or later (LGPLv3+)" => "LGPL-3.0-or-later",
        "GNU Affero General Public License v3" => "AGPL-3.0-only",
        "GNU Affero General Public License v3 or later (AGPLv3+)" => "AGPL-3.0-or-later",
        "The Unlicense (Unlicense)" => "Unlicense",
        "zlib/libpng License" => "Zlib",
        "Boost Software License 1.0 (BSL-1.0)" => "BSL-1.0",
        "Eclipse Public License 1.0 (EPL-1.0)" => "EPL-1.0",
        "Eclipse Public License 2.0 (EPL-2.0)" => "EPL-2.0",
        "European Union Public Licence 1.2 (EUPL 1.2)" => "EUPL-1.2",
        "Historical Permission Notice and Disclaimer (HPND)" => "HPND",
        "Zero-Clause BSD (0BSD)" => "0BSD",
        "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication" => "CC0-1.0",
        "Universal Permissive License (UPL)" => "UPL-1.0",
        "Blue Oak Model License (BlueOak-1.0.0)" => "BlueOak-1.0.0",
        "PostgreSQL License" => "PostgreSQL",
        _ => return None,
    })
}

/// Whether a name is only that of a family to which one of these belongs.
fn is_family(name: &str, expressions: &BTreeSet<String>) -> bool {
    let beginnings: &[&str] = match name {
        "BSD License" | "BSD" => &["BSD-", "0BSD"],
        "Apache Software License" | "Apache" => &["Apache-"],
        "GNU General Public License (GPL)" | "GPL" => &["GPL-"],
        "GNU Library or Lesser General Public License (LGPL)" | "LGPL" => &["LGPL-"],
        "Zope Public License" => &["ZPL-"],
        "Academic Free License (AFL)" => &["AFL-"],
        _ => return false,
    };
    expressions.iter().any(|text| beginnings.iter().any(|beginning| text.starts_with(beginning)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: Option<&str>, license: Option<&str>, classifiers: &[&str]) -> License {
        License::of(&About {
            license_expression: expression.map(str::to_owned),
            license: license.map(str::to_owned),
            classifiers: classifiers.iter().map(|name| format!("License :: {name}")).collect(),
            ..About::default()
        })
    }

    #[test]
    fn an_expression_decides() {
        let license = of(Some("mit or (Apache-2.0 and bsd-3-clause)"), Some("GPL"), &["Other"]);
        assert_eq!(license.to_string(), "MIT OR Apache-2.0 AND BSD-3-Clause");
        assert!(license.declared);
        assert_eq!(of(Some("LicenseRef-Own"), None, &[]).to_string(), "LicenseRef-Own");
        assert_eq!(of(Some("my own"), None, &[]).to_string(), "\"my own\"");
        assert_eq!(
            of(Some("(MIT OR ISC) AND Zlib"), None, &[]).to_string(),
            "(MIT OR ISC) AND Zlib"
        );
    }

    #[test]
    fn older_fields_are_read_as_far_as_they_are_clear() {
        let mit = "OSI Approved :: MIT License";
        for (license, classifiers, expected) in [
            (Some("MIT"), &[mit][..], "MIT"),
            (Some("The MIT License"), &[], "MIT"),
            (None, &[mit, "OSI Approved"], "MIT"),
            (Some("BSD-3-Clause"), &["OSI Approved :: BSD License"], "BSD-3-Clause"),
            (None, &["OSI Approved :: BSD License"], "\"BSD License\""),
            (
                Some("Apache License, Version 2.0"),
                &["OSI Approved :: Apache Software License"],
                "Apache-2.0",
            ),
            (Some("MIT OR ISC"), &[mit], "MIT AND (MIT OR ISC)"),
            (Some("see LICENSE"), &[mit], "MIT, \"see LICENSE\""),
            (None, &[], "unknown"),
        ] {
            assert_eq!(
                of(None, license, classifiers).to_string(),
                expected,
                "{license:?} {classifiers:?}"
            );
        }
    }

    #[test]
    fn rules_take_one_of_alternatives() {
        let rule = |allow: &[&str], deny: &[&str]| {
            let owned =
                |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            Rule::new(&owned(allow), &owned(deny)).unwrap()
        };
        let license = |text: &str| License::stated(text).unwrap();
        let permissive = rule(&["MIT", "Apache-2.0 OR ISC"], &[]);
        assert_eq!(permissive.violation(&license("MIT OR GPL-3.0-only")), None);
        assert_eq!(permissive.violation(&license("MIT AND ISC")), None);
        assert_eq!(
            permissive.violation(&license("MIT AND GPL-3.0-only")).unwrap(),
            "GPL-3.0-only is not allowed"
        );
        let denying = rule(&[], &["GPL-3.0-only"]);
        assert_eq!(denying.violation(&license("GPL-3.0-only")).unwrap(), "GPL-3.0-only is denied");
        assert_eq!(denying.violation(&license("GPL-3.0-only WITH GCC-exception-3.1")), None);
        assert!(denying.violation(&License::default()).is_some());
        assert!(rule(&[], &[]).violation(&License::default()).is_none());
        assert!(Rule::new(&["Mine".to_owned()], &[]).is_err());
    }
}
