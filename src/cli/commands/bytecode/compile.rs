//! `venvtree bytecode compile`.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::{apart, compiler, spec as spec_input};
use crate::cli::io::Io;
use crate::cli::options::bytecode::WayArguments;
use crate::cli::options::{LimitArguments, MOST_THREADS, numbers};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::bytecode::{
    self as engine_bytecode, Compilation, Compiled, OverlayContents, Source,
};
use crate::engine::files;
use crate::engine::{self, Session};
use crate::error::Error;
use crate::model::bytecode::{Level, overlay};
use crate::model::path::TreePath;

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree bytecode compile [OPTIONS] <WHEEL>...
           --compiler <PYTHON> --out <DIR>";

/// Arguments of `venvtree bytecode compile`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Examples:
  venvtree bytecode compile wheels/*.whl \\
      --compiler 3.11 --out bytecode

The same wheel and the same version of the compiler, to the patch level, make the same bytes, on every machine. What \
no Python can compile is listed and left out, as Python itself would not import it.")]
pub struct CompileArguments {
    /// The wheels.
    #[arg(value_name = "WHEEL", required = true)]
    wheels: Vec<Utf8PathBuf>,
    /// The interpreter that compiles: CPython from 3.11 to 3.14.
    #[arg(long, value_name = "PYTHON")]
    compiler: String,
    /// The directory for the overlays, made if need be.
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
    #[command(flatten)]
    way: WayArguments,
    /// Use at most N threads [default: one for each processor; variable: VENVTREE_THREADS].
    #[arg(long, value_name = "N", value_parser = |text: &str| numbers::count(text, MOST_THREADS))]
    threads: Option<u16>,
    #[command(flatten)]
    limits: LimitArguments,
}

/// What is compiled, and where overlays go.
pub(crate) struct Compile {
    session: Session,
    request: engine_bytecode::Request,
    levels: BTreeSet<Level>,
    wheels: Vec<Utf8PathBuf>,
    /// The directory, and as it was typed.
    out: (Utf8PathBuf, Utf8PathBuf),
}

impl Verb for CompileArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Compile, Error> {
        let session = spec_input::limited_session(self.threads, &self.limits, io)?;
        let request = engine_bytecode::Request {
            python: compiler::find(&self.compiler, io)?,
            validation: self.way.validation,
            excluded: self.way.excluded()?,
        };
        Ok(Compile {
            session,
            request,
            levels: self.way.levels.0,
            wheels: self.wheels.iter().map(|wheel| io.resolve(wheel)).collect(),
            out: (io.resolve(&self.out), self.out),
        })
    }
}

impl Request for Compile {
    fn run(self, io: &mut Io<'_>) -> Result<CompileAnswer, Error> {
        let Self { session, request, levels, wheels, out: (out, typed) } = self;
        // All are looked at before anything is compiled, and all is compiled that is written.
        let opened = wheels.iter().map(|wheel| Source::open(&session, wheel));
        let sources: Vec<Source> = opened.collect::<Result<_, _>>()?;
        let compilation = Compilation::start(&session, &request)?;
        let release = compilation.compiler().release();
        let mut overlays = Vec::new();
        for source in &sources {
            for &level in &levels {
                let name = overlay::file_name(source.stem(), release, level);
                let contents = compilation.compile(source, level)?;
                files::make_directories(&out)?;
                let file = io.output_file(&out.join(&name))?;
                apart::check_file(&file, &wheels)?;
                engine::write_whole(&file, |writer| {
                    engine_bytecode::write(&contents, writer, file.path())
                })?;
                overlays.push(Overlay {
                    file: typed.join(name),
                    sha256: files::sha256(file.path())?.to_hex(),
                    modules: contents.files.len(),
                    skipped: skipped(&contents),
                });
            }
        }
        Ok(CompileAnswer { compiler: compilation.compiler().to_string(), overlays })
    }
}

fn skipped(contents: &OverlayContents) -> Vec<Skipped> {
    let skipped = contents.files.iter().filter_map(|(name, (_, compiled))| match compiled {
        Compiled::Skipped(reason) => Some(Skipped { module: name.clone(), reason: reason.clone() }),
        Compiled::Bytecode(_) => None,
    });
    skipped.collect()
}

/// What was compiled.
#[derive(Debug, Serialize)]
pub(crate) struct CompileAnswer {
    compiler: String,
    overlays: Vec<Overlay>,
}

/// An overlay that was written.
#[derive(Debug, Serialize)]
struct Overlay {
    file: Utf8PathBuf,
    sha256: String,
    modules: usize,
    skipped: Vec<Skipped>,
}

/// A module without bytecode.
#[derive(Debug, Serialize)]
struct Skipped {
    module: TreePath,
    reason: String,
}

impl Answer for CompileAnswer {
    const IS_LIST: bool = true;

    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        for Overlay { file, skipped, .. } in &self.overlays {
            printer.print_unless_quiet(file.as_str())?;
            for Skipped { module, reason } in skipped {
                printer.say_unless_quiet(&format!("note: `{module}` has no bytecode: {reason}"));
            }
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let modules = self.overlays.iter().map(|overlay| overlay.modules - overlay.skipped.len());
        let modules = quantity::count(modules.sum(), "module");
        vec![format!("compiled: {modules}, by {}", self.compiler)]
    }
}
