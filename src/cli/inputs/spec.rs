//! From arguments to a spec and the places of its inputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::io::Io;
use crate::cli::options::{LimitArguments, MOST_THREADS, PlacesArguments, SpecArguments};
use crate::cli::options::{caches, variables};
use crate::engine::fetch::Fetching;
use crate::engine::{self, Places, Session, files};
use crate::error::{Error, Located};
use crate::model::digest::Hash;
use crate::model::request;
use crate::model::spec::document::SpecDocument;
use crate::model::spec::{Spec, SpecError, foreign};

/// A session as the arguments want it.
pub fn session(arguments: &PlacesArguments, io: &Io<'_>) -> Result<Session, Error> {
    limited_session(arguments.threads, &arguments.limits, io)
}

/// A session with at most so many threads, for wheels within these limits, which takes no other
/// wheels from elsewhere than those that the usual store has.
pub fn limited_session(
    threads: Option<u16>,
    limits: &LimitArguments,
    io: &Io<'_>,
) -> Result<Session, Error> {
    fetching_session((threads, limits), Fetching::at_hand(caches::usual_store(io)), io)
}

/// The same with another way to come by wheels.
pub fn fetching_session(
    (threads, limits): (Option<u16>, &LimitArguments),
    fetching: Fetching,
    io: &Io<'_>,
) -> Result<Session, Error> {
    let mut session = Session {
        limits: limits.apply(&io.limits),
        progress: io.progress.clone(),
        waiting: io.waiting.clone(),
        fetching: Some(Arc::new(fetching)),
        ends: io.ends,
        ..Session::default()
    };
    let threads = match threads {
        Some(threads) => Some(threads),
        None => variables::count(io, variables::THREADS, MOST_THREADS)?,
    };
    if let Some(threads) = threads {
        session.set_threads(usize::from(threads));
    }
    Ok(session)
}

/// A spec that is still text.
#[derive(Clone)]
pub struct SpecText {
    /// The text.
    pub text: String,
    /// Its name in errors.
    origin: String,
    /// The directory that its paths are relative to.
    directory: Utf8PathBuf,
}

impl SpecText {
    /// A spec that was made here, as text. `origin` is what it was made of, relative paths are
    /// relative to `directory`.
    pub fn of(spec: &Spec, origin: &str, directory: &Utf8Path) -> Self {
        let text = serde_json::to_string(&SpecDocument::from(spec)).expect("specs are plain JSON");
        Self { text, origin: origin.to_owned(), directory: directory.to_owned() }
    }

    /// What stands for the text and the arguments that change what it means.
    pub fn digest(&self, places: &PlacesArguments) -> Hash {
        let codes = &places.allow.codes;
        let allowed: String = codes.iter().map(|code| format!("\n--allow {code}")).collect();
        request::text_digest(&format!("{}{allowed}", self.text))
    }

    /// Whether findings of some codes are allowed, as far as the text alone shows it.
    pub fn may_allow(&self, places: &PlacesArguments) -> bool {
        !places.allow.codes.is_empty() || self.text.contains("\"allow\"")
    }

    /// The spec.
    pub fn parse(&self) -> Result<Spec, Error> {
        engine::parse_spec(&self.text, &self.origin)
    }
}

/// Reads the spec that the arguments name, and where its inputs are.
pub fn read(arguments: &SpecArguments, io: &mut Io<'_>) -> Result<(Spec, Places), Error> {
    read_beside(&arguments.spec, &arguments.places, io)
}

/// Reads another spec with the same arguments for places.
pub fn read_beside(
    path: &Utf8Path,
    places: &PlacesArguments,
    io: &mut Io<'_>,
) -> Result<(Spec, Places), Error> {
    parse(read_text(path, io)?, places, io)
}

/// Reads the text of a spec as one, and where its inputs are.
pub fn parse(
    text: SpecText,
    places: &PlacesArguments,
    io: &Io<'_>,
) -> Result<(Spec, Places), Error> {
    let mut spec = text.parse()?;
    spec.flags.allow.extend(&places.allow.codes);
    if let Some(code) = spec.flags.allow.intersection(&spec.flags.deny).next() {
        return Err(Error::usage(format!(
            "`--allow {code}` contradicts the spec, which denies `{code}`"
        ))
        .into());
    }
    let root = places.root.as_ref().map_or(text.directory, |root| io.resolve(root));
    let keys = keys(&places.inputs, io)?;
    Ok((spec, Places { root, keys }))
}

/// Reads the text of a spec.
pub fn read_text(path: &Utf8Path, io: &mut Io<'_>) -> Result<SpecText, Error> {
    if path == "-" {
        let mut bytes = Vec::new();
        let origin = "standard input";
        io.stdin.read_to_end(&mut bytes).map_err(files::failed("read", origin.into()))?;
        return Ok(SpecText {
            text: text(bytes, origin)?,
            origin: origin.to_owned(),
            directory: io.cwd.clone(),
        });
    }
    let full = io.resolve(path);
    if full.is_dir() {
        return Err(directory(path, &full));
    }
    let bytes = files::read_spec(&full)?;
    let text = text(bytes, path.as_str())?;
    let directory = full.parent().map_or_else(|| io.cwd.clone(), Utf8Path::to_owned);
    Ok(SpecText { text, origin: path.to_string(), directory })
}

/// The text of a document; what is none is named for what it is.
pub fn text(bytes: Vec<u8>, origin: &str) -> Result<String, Error> {
    let failed =
        |found| Located { origin: origin.to_owned(), error: SpecError::Foreign(found) }.into();
    foreign::text(bytes).map_err(failed)
}

/// A directory where a spec is expected.
fn directory(path: &Utf8Path, full: &Utf8Path) -> Error {
    let (what, hint) = if files::is_environment(full) {
        (
            "an environment",
            "a spec is the JSON file that an environment is built from; `venvtree create ENV --spec-out FILE` writes one",
        )
    } else {
        (
            "a directory",
            "give the spec's own path, a JSON file; `venvtree spec from DIR --for 3.12` writes one for a directory of wheels",
        )
    };
    Error::usage(format!("`{path}` is {what}, expected a spec")).hint(hint)
}

fn keys(inputs: &[String], io: &Io<'_>) -> Result<BTreeMap<String, Utf8PathBuf>, Error> {
    let mut keys = BTreeMap::new();
    for input in inputs {
        let usage = |message: String| Error::usage(message).hint("write `--input KEY=PATH`");
        let (key, path) = input
            .split_once('=')
            .ok_or_else(|| usage(format!("the input `{input}` has no `=`")))?;
        if key.is_empty() || path.is_empty() {
            return Err(usage(format!("the input `{input}` has an empty key or path")));
        }
        let path = io.resolve(path.into());
        if let Some(other) = keys.insert(key.to_owned(), path.clone()) {
            check_same(key, &other, &path)?;
        }
    }
    Ok(keys)
}

/// Two files for one key are one where they are the same, as of a build that has a wheel from two
/// sources.
fn check_same(key: &str, one: &Utf8Path, other: &Utf8Path) -> Result<(), Error> {
    if one == other || files::sha256(one)? == files::sha256(other)? {
        return Ok(());
    }
    let message = format!("the input `{key}` is two files that differ: `{one}` and `{other}`");
    Err(Error::usage(message).hint("leave one of them out"))
}
