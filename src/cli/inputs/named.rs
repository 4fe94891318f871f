//! What only the command line knows of an error: who named a file that is not there, and that there
//! was a lock in place of the spec that hints are about.

use std::ffi::OsString;
use std::fmt;

use camino::Utf8Path;

use crate::cli::io::Io;
use crate::error::{Detail, Error, Explain, Explanation};

/// An error with a hint that the command line gives.
#[derive(Debug)]
struct Hinted {
    error: Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Explain for Hinted {
    fn explain(&self) -> Explanation {
        self.error.kind().hint(self.hint.clone())
    }

    fn code(&self) -> Option<&'static str> {
        self.error.explained().code()
    }

    fn items(&self) -> Vec<String> {
        self.error.explained().items()
    }

    fn details(&self) -> Vec<Detail> {
        self.error.explained().details()
    }
}

/// The error, with what the command line has to say of it, if that is something and there is no
/// other advice.
pub(crate) fn explained(error: Error, arguments: &[OsString], io: &Io<'_>) -> Error {
    if error.explained().hint().is_some() {
        return error;
    }
    let of_spec = || spec_of_lock(&error, arguments);
    match missing_input(&error, arguments, io).or_else(of_spec) {
        Some(hint) => Hinted { error, hint }.into(),
        None => error,
    }
}

/// That fields of a spec are advised where there is a lock.
fn spec_of_lock(error: &Error, arguments: &[OsString]) -> Option<String> {
    let mut texts = arguments.iter().filter_map(|argument| argument.to_str());
    texts.find(|text| *text == "--lock" || text.starts_with("--lock="))?;
    let fields = ["`exclude`", "`conflict_overrides`", "the flag `requirements`"];
    let names_field = |detail: Detail| {
        detail.hint.is_some_and(|hint| fields.iter().any(|field| hint.contains(field)))
    };
    error.explained().details().into_iter().any(names_field).then(|| {
        "what hints name are fields of a spec: `venvtree lock spec LOCK --out env.json` writes one, and `venvtree build env.json --out DIR` takes it".to_owned()
    })
}

/// That `--input` has named a file that is missing.
fn missing_input(error: &Error, arguments: &[OsString], io: &Io<'_>) -> Option<String> {
    let text = |argument: &OsString| argument.to_str().map(str::to_owned);
    let apart = arguments.windows(2).filter(|pair| pair[0] == "--input");
    let apart = apart.filter_map(|pair| text(&pair[1]));
    let joined = arguments
        .iter()
        .filter_map(|argument| Some(argument.to_str()?.strip_prefix("--input=")?.to_owned()));
    let explained = error.explained();
    let said = explained.details().into_iter().map(|detail| detail.message);
    let said = format!("{} {}", crate::error::chain(error), said.collect::<String>());
    let is_meant = |input: &String| {
        let path = io.resolve(Utf8Path::new(input.split_once('=').map_or("", |(_, path)| path)));
        said.contains(&format!("`{path}`")) && !path.exists()
    };
    let input = apart.chain(joined).find(is_meant)?;
    let key = input.split_once('=').map_or("", |(key, _)| key);
    Some(format!("`--input {input}` names it, as the place of what the spec calls `{key}`"))
}
