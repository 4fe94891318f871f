//! Who named a file that is not there: an error that meets it knows its path only.

use std::ffi::OsString;
use std::fmt;

use camino::Utf8Path;

use crate::cli::io::Io;
use crate::error::{Detail, Error, Explain, Explanation};

/// An error about a file that an option has named.
#[derive(Debug)]
struct NamedInput {
    error: Error,
    hint: String,
}

impl fmt::Display for NamedInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for NamedInput {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Explain for NamedInput {
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

/// The error, which says of a missing file that `--input` has named it, if that is so and there is
/// no other advice.
pub(crate) fn explained(error: Error, arguments: &[OsString], io: &Io<'_>) -> Error {
    let text = |argument: &OsString| argument.to_str().map(str::to_owned);
    let apart = arguments.windows(2).filter(|pair| pair[0] == "--input");
    let apart = apart.filter_map(|pair| text(&pair[1]));
    let joined = arguments
        .iter()
        .filter_map(|argument| Some(argument.to_str()?.strip_prefix("--input=")?.to_owned()));
    let explained = error.explained();
    let said = explained.details().into_iter().map(|detail| detail.message);
    let said = format!("{} {}", crate::error::chain(&error), said.collect::<String>());
    let is_meant = |input: &String| {
        let path = io.resolve(Utf8Path::new(input.split_once('=').map_or("", |(_, path)| path)));
        said.contains(&format!("`{path}`")) && !path.exists()
    };
    let Some(input) = apart.chain(joined).find(is_meant).filter(|_| explained.hint().is_none())
    else {
        return error;
    };
    let key = input.split_once('=').map_or("", |(key, _)| key);
    let hint = format!("`--input {input}` names it, as the place of what the spec calls `{key}`");
    NamedInput { error, hint }.into()
}
