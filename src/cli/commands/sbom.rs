//! `venvtree sbom`: what an environment is made of, as a document of a standard.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::bill::{BillArguments, Source};
use crate::cli::inputs::destination::Destination;
use crate::cli::io::Io;
use crate::cli::options::{Format, Output};
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::error::Error;
use crate::model::proof::{cyclonedx, provenance, spdx};

/// Arguments of `venvtree sbom`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree sbom env.json --out env.cdx.json
  # Of an environment that is there, whoever made it:
  venvtree sbom .venv --format spdx
  # A statement that other tools sign:
  venvtree sbom env.json --format in-toto

The same environment gives the same bytes: there is no time and no random number in a document. Of a directory, the \
wheels' digests are not known.")]
pub struct SbomArguments {
    #[command(flatten)]
    bill: BillArguments,
    /// Put the license texts into the document.
    #[arg(long)]
    texts: bool,
    /// The kind of document.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Kind,
    /// Write it to FILE instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// Say nothing but warnings and errors.
    #[arg(long, short)]
    quiet: bool,
}

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Kind {
    /// CycloneDX 1.6, as JSON.
    #[default]
    Cyclonedx,
    /// SPDX 2.3, as JSON.
    Spdx,
    /// An in-toto statement with SLSA provenance, unsigned; of a spec only.
    InToto,
}

/// What is to be written.
pub(crate) struct Sbom {
    source: Source,
    kind: Kind,
    out: Destination,
}

impl Verb for SbomArguments {
    fn output(&self) -> Output {
        Output { quiet: self.quiet, format: Format::Text }
    }

    fn request(self, io: &mut Io<'_>) -> Result<Sbom, Error> {
        let out = Destination::new(self.out, io)?;
        let source = self.bill.source(self.texts, io)?;
        out.check(source.file())?;
        Ok(Sbom { source, kind: self.format, out })
    }
}

impl Request for Sbom {
    fn run(self, io: &mut Io<'_>) -> Result<SbomAnswer, Error> {
        let Self { source, kind, out } = self;
        let (bill, asked) = source.bill(io)?;
        let document = match (kind, asked) {
            (Kind::Cyclonedx, _) => cyclonedx::document(&bill),
            (Kind::Spdx, _) => spdx::document(&bill),
            (Kind::InToto, Some(asked)) => provenance::statement(&bill, asked),
            (Kind::InToto, None) => {
                return Err(Error::usage("a directory does not say how it was built")
                    .hint("give the spec that it was built from"));
            }
        };
        let distributions = bill.distributions.len();
        let out = out.write_json(&document)?;
        Ok(SbomAnswer { document, out, distributions })
    }
}

/// A document, and where it went.
#[derive(Debug, Serialize)]
pub(crate) struct SbomAnswer {
    document: Value,
    out: Option<Utf8PathBuf>,
    distributions: usize,
}

impl Answer for SbomAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        match self.out {
            Some(_) => Ok(()),
            None => printer.print_text(&Text::of_json(&json!(self.document))),
        }
    }

    fn summary(&self) -> Vec<String> {
        let out = self.out.iter();
        let many = quantity::count(self.distributions, "distribution");
        out.map(|out| format!("wrote `{out}`: {many}")).collect()
    }
}
