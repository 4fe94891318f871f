//! Bytecode of wheels, of first-party modules and of interpreters that are copied in: compiled by a
//! real interpreter, kept as overlays.
//!
//! Part of the engine. The one thing that runs an interpreter for more than facts, and only where
//! somebody names it.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::input::InputFile;
use crate::effects::host::{file_hash, fs};
use crate::effects::interpreters::compile::{Batch, Compilers, History, Job};
use crate::effects::source::supply::Supply;
use crate::effects::wheels::load::{self, Wheel, WheelError};
use crate::engine::jobs;
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::error::{Error, RefusedWheel, RefusedWheels, UnreadableInputs};
use crate::model::bytecode::modules::{self, Excluded};
use crate::model::bytecode::overlay::Recipe;
use crate::model::bytecode::release::Compiler;
use crate::model::bytecode::{Level, Validation};
use crate::model::digest::{Digest, Hash};
use crate::model::finding::Code;
use crate::model::path::TreePath;
use crate::model::plan::bytecode::Owner;
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
    /// What wheels may have.
    pub allow: BTreeSet<Code>,
}

/// Interpreters that compile wheels.
#[derive(Debug)]
pub struct Compilation<'a> {
    session: &'a Session,
    request: &'a Request,
    compilers: Compilers,
}

/// What is to be compiled.
#[derive(Debug)]
pub enum Source {
    /// A wheel, and the SHA-256 of its file.
    Wheel(Box<Wheel>, Hash),
    /// What is no wheel of a spec's: the standard library of an interpreter that is copied in, or
    /// first-party modules.
    Part(Arc<Prepared>, Owner),
}

impl Source {
    /// Opens a wheel.
    ///
    /// # Errors
    /// It cannot be read, or is not accepted.
    pub fn open(session: &Session, request: &Request, path: &Utf8Path) -> Result<Self, Error> {
        let name = name_of(path)?;
        let options = load::LoadOptions {
            limits: session.limits.clone(),
            allow: request.allow.clone(),
            ..Default::default()
        };
        let wheel = load::load(path, &name, &options).map_err(|error| match error {
            WheelError::Refused { findings, .. } => {
                RefusedWheels(vec![RefusedWheel { wheel: name.to_string(), findings }]).into()
            }
            error => Error::from(UnreadableInputs::one(error)),
        })?;
        let hash = file_hash::of(path).map_err(UnreadableInputs::one)?;
        Ok(Self::Wheel(Box::new(wheel), hash))
    }

    /// The interpreter that a plan copies in.
    ///
    /// # Errors
    /// It copies none in.
    pub fn of_interpreter(prepared: Prepared) -> Result<Self, Error> {
        if prepared.interpreter.is_some() {
            return Ok(Self::Part(Arc::new(prepared), Owner::Interpreter));
        }
        let kind = prepared.spec.python.kind();
        let message = format!("the spec's interpreter is of kind \"{kind}\", so nobody copies it");
        Err(Error::usage(message).hint("what the kind \"inside\" names is compiled"))
    }

    /// What each entry of a spec's `sources` names.
    ///
    /// # Errors
    /// There is none.
    pub fn of_sources(prepared: Prepared) -> Result<Vec<Self>, Error> {
        let count = prepared.spec.sources.len();
        if count == 0 {
            return Err(Error::usage("the spec has no `sources`").into());
        }
        let prepared = Arc::new(prepared);
        let of = |index| Self::Part(Arc::clone(&prepared), Owner::Source(index));
        Ok((0..count).map(of).collect())
    }

    /// What its overlays are called: for a wheel its file name, without `.whl`.
    pub fn stem(&self) -> String {
        match self {
            Self::Wheel(wheel, _) => {
                wheel.manifest.file.as_str().trim_end_matches(".whl").to_owned()
            }
            Self::Part(_, Owner::Source(index)) => format!("source-{index}"),
            Self::Part(..) => "interpreter".to_owned(),
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Wheel(wheel, _) => wheel.manifest.file.to_string(),
            Self::Part(prepared, owner) => jobs::owner_name(&prepared.spec, *owner),
        }
    }

    /// Where the bytes of its modules come from.
    fn supply(&self) -> Supply<'_> {
        match self {
            Self::Wheel(wheel, _) => Supply {
                wheels: std::slice::from_ref(wheel),
                sources: &[],
                interpreter: None,
                overlays: &[],
            },
            Self::Part(prepared, _) => prepared.supply(),
        }
    }

    /// Its modules: for each its name, and what it is made of.
    fn modules(&self, excluded: &Excluded) -> Vec<(TreePath, Content, Digest)> {
        match self {
            Self::Wheel(wheel, _) => {
                let module = |(name, member): (TreePath, usize)| {
                    let of_wheel = &wheel.manifest.members[member];
                    let digest = Digest { hash: of_wheel.sha256, size: of_wheel.size() };
                    (name, Content::Member { wheel: WheelIndex(0), member }, digest)
                };
                modules::of_wheel(&wheel.manifest, excluded).into_iter().map(module).collect()
            }
            Self::Part(prepared, owner) => {
                let found = prepared.modules(excluded);
                let own = found.into_iter().filter(|module| module.owner == *owner);
                own.map(|module| {
                    let digest = Digest { hash: module.sha256, size: module.size };
                    (module.owned_name(), module.content.clone(), digest)
                })
                .collect()
            }
        }
    }
}

impl<'a> Compilation<'a> {
    /// Starts an interpreter.
    ///
    /// # Errors
    /// It is no compiler whose bytecode is made.
    pub fn start(session: &'a Session, request: &'a Request) -> Result<Self, Error> {
        let (python, staff) = (&request.python, session.staff());
        let compilers = match request.expected {
            Some(expected) => Compilers::start(python, expected, History::Clean, staff)?,
            None => Compilers::start_any(python, staff)?,
        };
        Ok(Self { session, request, compilers })
    }

    /// What compiles.
    pub fn compiler(&self) -> Compiler {
        self.compilers.compiler()
    }

    /// Compiles the modules of sources, each at a level, and hands each overlay to `take`, with its
    /// position, as soon as it is complete.
    ///
    /// # Errors
    /// A module cannot be read, or not be compiled on this machine; or `take` fails.
    pub fn compile<R: Send + Sync>(
        &self,
        sources: &[(&Source, Level)],
        take: impl Fn(usize, OverlayContents) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let part = |&(source, level): &(&'_ Source, Level)| {
            let recipe =
                Recipe { compiler: self.compiler(), level, validation: self.request.validation };
            let modules = source.modules(&self.request.excluded);
            let sizes = modules.iter().map(|(_, _, digest)| digest.size).collect();
            (modules, Batch { recipe, sizes })
        };
        let (modules, batches): (Vec<_>, Vec<Batch>) = sources.iter().map(part).unzip();
        let read = |part: usize, index: usize| {
            let (source, (name, content, digest)) = (sources[part].0, &modules[part][index]);
            let (name, owner) = (name.to_string(), source.name());
            jobs::read(&source.supply(), content, *digest).map(|source| Job { name, owner, source })
        };
        let finish = |part: usize, compiled: Vec<Compiled>| {
            let wheel = match sources[part].0 {
                Source::Wheel(_, hash) => Some(*hash),
                Source::Part(..) => None,
            };
            let files = modules[part].iter().zip(compiled);
            let files =
                files.map(|((name, _, digest), compiled)| (name.clone(), (digest.hash, compiled)));
            let recipe = batches[part].recipe;
            take(part, OverlayContents { recipe, wheel, files: files.collect() })
        };
        jobs::compile(self.session, &self.compilers, &batches, read, finish)
    }
}

/// The name of a wheel that somebody names by its path, where there is a file.
///
/// # Errors
/// There is none, or it is called like no wheel.
pub(super) fn name_of(path: &Utf8Path) -> Result<WheelFilename, Error> {
    if path.is_dir() {
        return Err(Error::usage(format!("`{path}` is a directory, expected a wheel"))
            .hint(format!("name the wheels in it: `{path}/*.whl`")));
    }
    WheelFilename::parse(path.file_name().unwrap_or_default()).map_err(|error| {
        // What is not there is called like no wheel where a shell found nothing for `*`.
        match InputFile::open(path) {
            Err(absent) if path.extension() == Some("whl") => UnreadableInputs::one(absent).into(),
            _ => Error::usage(error.to_string()).into(),
        }
    })
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
