//! Bytecode of wheels, and of interpreters that are copied in: compiled by a real interpreter, kept
//! as overlays.
//!
//! Part of the engine. The one thing that runs an interpreter for more than facts, and only where
//! somebody names it.

use std::io::Write;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::{file_hash, fs};
use crate::effects::interpreters::compile::{Compilers, History, Job};
use crate::effects::source::supply::{FeedError, Supply, SupplyErrors};
use crate::effects::wheels::load::{self, Wheel, WheelError};
use crate::effects::work::pipeline::Crew;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::error::{Error, RefusedWheel, RefusedWheels, UnreadableInputs};
use crate::model::bytecode::modules::{self, Excluded};
use crate::model::bytecode::overlay::Recipe;
use crate::model::bytecode::release::Compiler;
use crate::model::bytecode::{Level, Validation};
use crate::model::digest::{Digest, Hash};
use crate::model::path::TreePath;
use crate::model::plan::bytecode::{self as planned, Owner};
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

/// What is to be compiled.
#[derive(Debug)]
pub enum Source {
    /// A wheel, and where it is.
    Wheel(Box<Wheel>, Utf8PathBuf),
    /// The standard library of an interpreter that a plan copies in.
    Interpreter(Box<Prepared>),
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
        Ok(Self::Wheel(Box::new(wheel), path.to_owned()))
    }

    /// The interpreter that a plan copies in.
    ///
    /// # Errors
    /// It copies none in.
    pub fn of_interpreter(prepared: Prepared) -> Result<Self, Error> {
        if prepared.interpreter.is_some() {
            return Ok(Self::Interpreter(Box::new(prepared)));
        }
        let kind = prepared.spec.python.kind();
        let message = format!("the spec's interpreter is of kind \"{kind}\", so nobody copies it");
        Err(Error::usage(message).hint("what the kind \"inside\" names is compiled"))
    }

    /// The wheel's file name, without `.whl`.
    pub fn stem(&self) -> &str {
        match self {
            Self::Wheel(wheel, _) => wheel.manifest.file.as_str().trim_end_matches(".whl"),
            Self::Interpreter(_) => "interpreter",
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
            Self::Interpreter(prepared) => prepared.supply(),
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
            Self::Interpreter(prepared) => {
                let found = planned::modules_but(&prepared.plan, &prepared.spec, excluded);
                let own = found.into_iter().filter(|module| module.owner == Owner::Interpreter);
                own.map(|module| {
                    let digest = Digest { hash: module.sha256, size: module.size };
                    (module.owned_name(), module.content.clone(), digest)
                })
                .collect()
            }
        }
    }

    /// The SHA-256 of the wheel.
    fn wheel_hash(&self) -> Result<Option<Hash>, Error> {
        match self {
            Self::Wheel(_, path) => Ok(Some(file_hash::of(path).map_err(UnreadableInputs::one)?)),
            Self::Interpreter(_) => Ok(None),
        }
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
        let started =
            Compilers::start(&request.python, compiler, History::Clean, session.threads());
        let compilers = started?;
        Ok(Self { session, request, compiler, compilers })
    }

    /// What compiles.
    pub fn compiler(&self) -> Compiler {
        self.compiler
    }

    /// Compiles the modules of a wheel or an interpreter.
    ///
    /// # Errors
    /// A module cannot be read, or not be compiled on this machine.
    pub fn compile(&self, source: &Source, level: Level) -> Result<OverlayContents, Error> {
        let recipe = Recipe { compiler: self.compiler, level, validation: self.request.validation };
        let modules = source.modules(&self.request.excluded);
        let supply = source.supply();
        let sizes: Vec<u64> = modules.iter().map(|(_, _, digest)| digest.size).collect();
        let progress = &self.session.progress;
        let total = Amount { items: sizes.len() as u64, bytes: sizes.iter().sum() };
        progress.begin(Phase::Compiling, total);
        let compiled = self.compilers.compile(&recipe, &sizes, |index| {
            progress.advance(1, sizes[index]);
            let (name, content, digest) = &modules[index];
            read(&supply, content, *digest).map(|source| Job { name: name.to_string(), source })
        })?;
        let wheel = source.wheel_hash()?;
        let files = modules.into_iter().zip(compiled);
        let files = files.map(|((name, _, digest), compiled)| (name, (digest.hash, compiled)));
        Ok(OverlayContents { recipe, wheel, files: files.collect() })
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
