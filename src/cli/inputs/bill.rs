//! A spec or a directory of which a bill is wanted.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use crate::cli::inputs::spec as spec_input;
use crate::cli::io::Io;
use crate::cli::options::SpecArguments;
use crate::cli::options::caches::{self, StoreArguments};
use crate::engine::proof::{self, BillRequest};
use crate::engine::store::Notes;
use crate::engine::{Caches, Places, Session};
use crate::error::Error;
use crate::model::digest::Hash;
use crate::model::proof::Bill;
use crate::model::spec::Spec;

/// A spec or a directory.
#[derive(Debug, Args)]
pub struct BillArguments {
    #[command(flatten)]
    spec: SpecArguments,
    /// What the environment is called [default: the name of the spec or directory].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
}

/// Of what a bill is wanted.
pub(crate) struct Source {
    session: Session,
    of: Of,
    request: BillRequest,
}

enum Of {
    Directory(Utf8PathBuf),
    Spec { spec: Box<Spec>, places: Places, caches: Caches, file: Option<Utf8PathBuf> },
}

impl BillArguments {
    /// What the arguments mean here.
    pub(crate) fn source(self, texts: bool, io: &mut Io<'_>) -> Result<Source, Error> {
        let session = spec_input::session(&self.spec.places, io)?;
        let path = io.resolve(&self.spec.spec);
        let typed = path.file_name().unwrap_or("environment");
        let name = self.name.unwrap_or_else(|| match typed {
            "-" => "environment".to_owned(),
            _ => typed.strip_suffix(".json").unwrap_or(typed).to_owned(),
        });
        let request = BillRequest { name, texts };
        if self.spec.spec != "-" && path.is_dir() {
            return Ok(Source { session, of: Of::Directory(path), request });
        }
        let (spec, places) = spec_input::read(&self.spec, io)?;
        let notes = Notes::new();
        let store = caches::store(&self.store, &notes, io)?;
        let caches = Caches { store, notes, ..Caches::default() };
        let file = (self.spec.spec != "-").then_some(path);
        Ok(Source { session, of: Of::Spec { spec: Box::new(spec), places, caches, file }, request })
    }
}

impl Source {
    /// The file that is read, if it is one.
    pub(crate) fn file(&self) -> Option<&Utf8Path> {
        match &self.of {
            Of::Spec { file, .. } => file.as_deref(),
            Of::Directory(_) => None,
        }
    }

    /// The same where only the distributions are wanted, which bytecode does not change.
    #[must_use]
    pub(crate) fn without_bytecode(self) -> Self {
        let of = match self.of {
            Of::Spec { spec, places, caches, file } => {
                Of::Spec { spec: Box::new(spec.without_bytecode()), places, caches, file }
            }
            directory @ Of::Directory(_) => directory,
        };
        Self { of, ..self }
    }

    /// The bill, and of a spec the SHA-256 of the canonical request.
    pub(crate) fn bill(self, io: &mut Io<'_>) -> Result<(Bill, Option<Hash>), Error> {
        match self.of {
            Of::Directory(path) => {
                Ok((proof::of_directory(&self.session, &path, &self.request)?, None))
            }
            Of::Spec { spec, places, caches, .. } => {
                let found = proof::of_spec(&self.session, &caches, (*spec, &places), &self.request);
                caches::say_notes(&caches.notes, io);
                let (bill, asked) = found?;
                Ok((bill, Some(asked)))
            }
        }
    }
}
