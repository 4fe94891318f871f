//! JSON read strictly, every problem collected with its path.
//!
//! Model layer. `serde`'s derived readers stop at the first problem and let the last of two equal
//! keys win; a spec is written by hand or by a build rule, and whoever mends it wants to see
//! everything that is wrong at once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::nearest;

/// A JSON value that keeps repeated keys, so that they can be refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    Number(serde_json::Number),
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Keys and values in the order of the text.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text.
    ///
    /// # Errors
    /// The text is not JSON; the message names line and column.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// What kind of value this is, and a short one itself, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::String(value) if value.chars().count() <= 60 => format!("{value:?}"),
            Self::String(_) => "a long string".to_owned(),
            Self::Array(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;

        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
                serde_json::Number::from_f64(value)
                    .map(Json::Number)
                    .ok_or_else(|| E::custom("a number that is not finite"))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::String(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = access.next_element()? {
                    values.push(value);
                }
                Ok(Json::Array(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(Json::Object(entries))
            }
        }

        deserializer.deserialize_any(JsonVisitor)
    }
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Problem {
    /// Where: `$.wheels[0].sha256`.
    pub path: String,
    /// What is wrong: what was found and what is expected.
    pub message: String,
    /// What to do about it, where there is something to say.
    pub hint: Option<String>,
}

impl Explain for Problem {
    fn explain(&self) -> Explanation {
        ErrorKind::Spec.with(self.hint.clone())
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(Problem { path: path.to_owned(), message: message.into(), hint: None });
    }

    /// Adds one with advice.
    pub fn add_with_hint(
        &mut self,
        path: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(Problem {
            path: path.to_owned(),
            message: message.into(),
            hint: Some(hint.into()),
        });
    }

    /// All of them, in the order in which they were found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

/// A value somewhere in a document.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    pub path: String,
    pub value: &'a Json,
}

impl<'a> Place<'a> {
    /// The document itself.
    pub fn root(value: &'a Json) -> Self {
        Self { path: "$".to_owned(), value }
    }

    /// Notes that the value is of the wrong kind.
    fn mismatch<T>(&self, expected: &str, problems: &mut Problems) -> Option<T> {
        problems.add(&self.path, format!("found {}, expected {expected}", self.value.describe()));
        None
    }

    /// The value as text.
    pub fn string(&self, problems: &mut Problems) -> Option<&'a str> {
        match self.value {
            Json::String(text) => Some(text),
            _ => self.mismatch("a string", problems),
        }
    }

    /// The value as a truth value.
    pub fn bool(&self, problems: &mut Problems) -> Option<bool> {
        match self.value {
            Json::Bool(value) => Some(*value),
            _ => self.mismatch("true or false", problems),
        }
    }

    /// The value as a whole number from zero up.
    pub fn number(&self, problems: &mut Problems) -> Option<u64> {
        match self.value {
            Json::Number(number) if number.as_u64().is_some() => number.as_u64(),
            _ => self.mismatch("a whole number from 0 up", problems),
        }
    }

    /// The value as a list.
    pub fn list(&self, problems: &mut Problems) -> Vec<Place<'a>> {
        match self.value {
            Json::Array(values) => {
                let place =
                    |(index, value)| Place { path: format!("{}[{index}]", self.path), value };
                values.iter().enumerate().map(place).collect()
            }
            _ => self.mismatch("a list", problems).unwrap_or_default(),
        }
    }

    /// The value as one of a few words.
    pub fn word<T>(&self, words: &[(&str, T)], problems: &mut Problems) -> Option<T>
    where
        T: Copy,
    {
        let expected =
            || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        match self.value {
            Json::String(text) => match words.iter().find(|(word, _)| word == text) {
                Some((_, value)) => Some(*value),
                None => {
                    let question = nearest::question(text, words.iter().map(|(word, _)| *word));
                    self.mismatch(&format!("one of {}{question}", expected()), problems)
                }
            },
            _ => self.mismatch(&format!("one of {}", expected()), problems),
        }
    }

    /// The value as an object of which every field is asked for by name.
    pub fn object(&self, problems: &mut Problems) -> Option<Object<'a>> {
        match self.value {
            Json::Object(fields) => {
                for (index, (name, _)) in fields.iter().enumerate() {
                    if fields[..index].iter().any(|(earlier, _)| earlier == name) {
                        problems.add(
                            &field_path(&self.path, name),
                            "the field is given twice, expected once",
                        );
                    }
                }
                Some(Object { path: self.path.clone(), fields, known: Vec::new() })
            }
            _ => self.mismatch("an object", problems),
        }
    }

    /// The value as an object whose keys are data.
    pub fn map(&self, problems: &mut Problems) -> Vec<(&'a str, Place<'a>)> {
        let Some(object) = self.object(problems) else {
            return Vec::new();
        };
        let place = |(key, value): &'a (String, Json)| {
            (key.as_str(), Place { path: field_path(&self.path, key), value })
        };
        object.fields.iter().map(place).collect()
    }
}

fn field_path(path: &str, name: &str) -> String {
    let plain =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { format!("{path}.{name}") } else { format!("{path}[{name:?}]") }
}

/// An object being read: asks for its fields one by one; [`Object::finish`] refuses those nobody
/// asked for.
#[derive(Debug)]
pub struct Object<'a> {
    path: String,
    fields: &'a [(String, Json)],
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// Where the object is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The field, where it is there.
    pub fn optional(&mut self, name: &'static str) -> Option<Place<'a>> {
        self.known.push(name);
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(Place { path: field_path(&self.path, name), value })
    }

    /// The field, where it is there and not `null`.
    pub fn nullable(&mut self, name: &'static str) -> Option<Place<'a>> {
        self.optional(name).filter(|place| *place.value != Json::Null)
    }

    /// The field, or a problem.
    pub fn required(&mut self, name: &'static str, problems: &mut Problems) -> Option<Place<'a>> {
        let place = self.optional(name);
        if place.is_none() {
            problems.add(&self.path, format!("the field `{name}` is missing"));
        }
        place
    }

    /// Refuses every field that was not asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (name, _) in self.fields {
            if !self.known.contains(&name.as_str()) {
                let path = field_path(&self.path, name);
                match nearest::nearest(name, self.known.iter().copied()) {
                    Some(known) => {
                        problems.add(&path, format!("unknown field; did you mean `{known}`?"))
                    }
                    None => {
                        let known = self
                            .known
                            .iter()
                            .map(|known| format!("`{known}`"))
                            .collect::<Vec<_>>()
                            .join(", ");
                        problems.add(&path, format!("unknown field, expected one of {known}"));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_with_its_path() {
        let json =
            Json::parse(r#"{"a": 1, "b": [true, "x"], "c": null, "d e": 0, "a": 2}"#).unwrap();
        let mut problems = Problems::default();
        let mut object = Place::root(&json).object(&mut problems).unwrap();
        object.required("a", &mut problems).unwrap().string(&mut problems);
        for place in object.required("b", &mut problems).unwrap().list(&mut problems) {
            place.bool(&mut problems);
        }
        assert!(object.nullable("c").is_none());
        object.required("missing", &mut problems);
        object.finish(&mut problems);
        let lines: Vec<String> = problems.into_vec().iter().map(Problem::to_string).collect();
        assert_eq!(
            lines,
            [
                "$.a: the field is given twice, expected once",
                "$.a: found 1, expected a string",
                "$.b[1]: found \"x\", expected true or false",
                "$: the field `missing` is missing",
                "$[\"d e\"]: unknown field, expected one of `a`, `b`, `c`, `missing`",
            ]
        );
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        let text = "[".repeat(100_000);
        assert!(Json::parse(&text).is_err());
    }
}
