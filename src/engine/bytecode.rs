//! Bytecode of wheels: compiled by a real interpreter, kept as overlays.
//!
//! Part of the engine. The one thing that runs an interpreter for more than facts, and only where
//! somebody names it.

use std::collections::BTreeMap;
use std::io::Write;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::{file_hash, fs};
use crate::effects::interpreters::compile::{Compilers, History, Job};
use crate::effects::source::supply::{FeedError, Supply, SupplyErrors};
use crate::effects::wheels::load::{self, Wheel, WheelError};
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::session::Session;
use crate::error::{Error, RefusedWheel, RefusedWheels, UnreadableInputs};
use crate::model::bytecode::modules::{self, Excluded};
use crate::model::bytecode::overlay::Recipe;
use crate::model::bytecode::release::Compiler;
use crate::model::bytecode::{Level, Validation};
use crate::model::digest::Digest;
use crate::model::path::TreePath;
use crate::model::plan::{Content, WheelIndex};
use crate::model::wheel::filename::WheelFilename;

pub use crate::effects::interpreters::compile::Compiled;
pub use crate::effects::sink::overlay::OverlayContents;

/// What is compiled of wheels, and how.
#[derive(Debug)]
pub struct Request {
    /// The interpreter.
    pub python: Utf8PathBuf,
    /// How Python will know whether bytecode is still that of its source.
    pub validation: Validation,
    /// The compiler that it has to be, if somebody says so.
    pub expected: Option<Compiler>,
    /// The modules that are left out.
    pub excluded: Excluded,
}

/// Interpreters that compile wheels.
#[derive(Debug)]
pub struct Compilation<'a> {
    session: &'a Session,
    request: &'a Request,
    compiler: Compiler,
    compilers: Compilers,
}

/// A wheel that is to be compiled.
#[derive(Debug)]
pub struct Source {
    wheel: Wheel,
    path: Utf8PathBuf,
}

impl Source {
    /// Opens a wheel.
    ///
    /// # Errors
    /// It cannot be read, or is not accepted.
    pub fn open(session: &Session, path: &Utf8Path) -> Result<Self, Error> {
        let name = path.file_name().unwrap_or_default();
        let name = WheelFilename::parse(name).map_err(|error| Error::usage(error.to_string()))?;
        let options = load::LoadOptions { limits: session.limits.clone(), ..Default::default() };
        let wheel = load::load(path, &name, &options).map_err(|error| match error {
            WheelError::Refused { findings, .. } => {
                RefusedWheels(vec![RefusedWheel { wheel: name.to_string(), findings }]).into()
            }
            error => Error::from(UnreadableInputs::one(error)),
        })?;
        Ok(Self { wheel, path: path.to_owned() })
    }

    /// The wheel's file name, without `.whl`.
    pub fn stem(&self) -> &str {
        self.wheel.manifest.file.as_str().trim_end_matches(".whl")
    }
}

impl<'a> Compilation<'a> {
    /// Starts an interpreter.
    ///
    /// # Errors
    /// It is no compiler whose bytecode is made.
    pub fn start(session: &'a Session, request: &'a Request) -> Result<Self, Error> {
        let compiler = match request.expected {
            Some(expected) => expected,
            None => Compilers::ask(&request.python)?,
        };
        let started = Compilers::start(&request.python, compiler, History::Clean, session.threads);
        let compilers = started?;
        Ok(Self { session, request, compiler, compilers })
    }

    /// What compiles.
    pub fn compiler(&self) -> Compiler {
        self.compiler
    }

    /// Compiles the modules of a wheel.
    ///
    /// # Errors
    /// A module cannot be read, or not be compiled on this machine.
    pub fn compile(&self, source: &Source, level: Level) -> Result<OverlayContents, Error> {
        let recipe = Recipe { compiler: self.compiler, level, validation: self.request.validation };
        let manifest = &source.wheel.manifest;
        let modules: Vec<(TreePath, usize)> =
            modules::of_wheel(manifest, &self.request.excluded).into_iter().collect();
        let supply = Supply {
            wheels: std::slice::from_ref(&source.wheel),
            sources: &[],
            interpreter: None,
            overlays: &[],
        };
        let sizes: Vec<u64> =
            modules.iter().map(|(_, member)| manifest.members[*member].size()).collect();
        let progress = &self.session.progress;
        let total = Amount { items: sizes.len() as u64, bytes: sizes.iter().sum() };
        progress.begin(Phase::Compiling, total);
        let compiled = self.compilers.compile(&recipe, &sizes, |index| {
            progress.advance(1, sizes[index]);
            let (name, member) = &modules[index];
            let sha256 = manifest.members[*member].sha256;
            let digest = Digest { hash: sha256, size: sizes[index] };
            let content = Content::Member { wheel: WheelIndex(0), member: *member };
            read(&supply, &content, digest).map(|source| Job { name: name.to_string(), source })
        })?;
        let hash = file_hash::of(&source.path).map_err(UnreadableInputs::one)?;
        let files = modules
            .into_iter()
            .zip(compiled)
            .map(|((name, member), compiled)| (name, (manifest.members[member].sha256, compiled)));
        let files: BTreeMap<_, _> = files.collect();
        Ok(OverlayContents { recipe, wheel: Some(hash), files })
    }
}

/// The whole of a source.
pub(super) fn read(
    supply: &Supply<'_>,
    content: &Content,
    digest: Digest,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let fed = supply.feed(content, digest, Crew::Alone, |part| {
        bytes.extend_from_slice(part);
        Ok::<_, std::convert::Infallible>(())
    });
    match fed {
        Ok(()) => Ok(bytes),
        Err(FeedError::Supply(error)) => Err(SupplyErrors::from(error).into()),
        Err(FeedError::Taker(never)) => match never {},
    }
}

/// Writes an overlay into `out`.
///
/// # Errors
/// `out` refuses.
pub fn write(
    contents: &OverlayContents,
    out: &mut dyn Write,
    place: &Utf8Path,
) -> Result<(), Error> {
    Ok(contents.write(out).map_err(fs::failed("write", place))?)
}
