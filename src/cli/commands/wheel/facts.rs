//! `venvtree wheel check --for`: the interpreter that wheels are judged for.

use std::io::Read as _;

use camino::Utf8Path;
use serde_json::{Map, Value, json};

use crate::cli::inputs::target as for_target;
use crate::cli::io::Io;
use crate::engine::{self, files};
use crate::error::Error;
use crate::model::spec::document::InterpreterDocument;
use crate::model::spec::{Python, Spec};

/// The most bytes of a file with facts.
const FACTS_LIMIT: u64 = 1 << 20;

/// A place that stands for none until it is taken out again.
const NOWHERE: Python = Python::Absolute { path: String::new() };

/// A spec without wheels for an interpreter: by a file of facts, as `venvtree interpreter probe`
/// prints them, by the name of a target, or as `create --python` takes it.
pub(crate) fn interpreter(text: &str, io: &mut Io<'_>) -> Result<Spec, Error> {
    if let Some(facts) = facts(text, io)? {
        return with_facts(facts, text);
    }
    let target = for_target::read(text, None, io)?;
    // Where an interpreter of another machine lies is not known, and decides nothing.
    let mut facts = json!(InterpreterDocument::new(
        &target.interpreter,
        &target.python.clone().unwrap_or(NOWHERE)
    ));
    if let (None, Value::Object(facts)) = (&target.python, &mut facts) {
        facts.remove("python");
    }
    with_facts(facts, text)
}

/// The JSON object in the file of that name, or of standard input; nothing where there is none.
fn facts(text: &str, io: &mut Io<'_>) -> Result<Option<Value>, Error> {
    let bytes = if text == "-" {
        let mut bytes = Vec::new();
        io.stdin
            .take(FACTS_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(files::failed("read", Utf8Path::new("standard input")))?;
        bytes
    } else {
        let path = io.resolve(Utf8Path::new(text));
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = files::read_start(&path, FACTS_LIMIT)?;
        // Anything else is an interpreter.
        if bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes).trim_ascii_start().first()
            != Some(&b'{')
        {
            return Ok(None);
        }
        bytes
    };
    match serde_json::from_slice(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes)) {
        Ok(Value::Object(mut object)) => {
            Ok(Some(object.remove("interpreter").unwrap_or(Value::Object(object))))
        }
        Ok(_) | Err(_) => {
            Err(Error::usage(format!("`{text}` is no JSON object with an interpreter's facts"))
                .hint("`venvtree interpreter probe PYTHON` prints one"))
        }
    }
}

/// The spec: read as every spec is, so that the facts are checked as everywhere.
fn with_facts(mut facts: Value, origin: &str) -> Result<Spec, Error> {
    let windows = facts.pointer("/platform/os").and_then(Value::as_str) == Some("windows");
    if let Value::Object(facts) = &mut facts {
        // Where the interpreter lies decides nothing about a wheel.
        let path = if windows { "C:/Python/python.exe" } else { "/usr/bin/python3" };
        facts.entry("python").or_insert_with(|| json!({ "kind": "absolute", "path": path }));
    }
    let mut spec = Map::new();
    spec.insert("version".to_owned(), json!(1));
    spec.insert("interpreter".to_owned(), facts);
    spec.insert("wheels".to_owned(), json!([]));
    spec.insert("flags".to_owned(), json!({ "input_digests": "trusted" }));
    if windows {
        spec.insert(
            "launchers".to_owned(),
            json!({ "console": { "path": "console.exe" }, "gui": { "path": "gui.exe" } }),
        );
    }
    engine::parse_spec(&Value::Object(spec).to_string(), origin)
}
