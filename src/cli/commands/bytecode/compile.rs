//! `venvtree bytecode compile`.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::{apart, compiler, spec as spec_input};
use crate::cli::io::Io;
use crate::cli::options::bytecode::WayArguments;
use crate::cli::options::{
    AllowArguments, LimitArguments, MOST_THREADS, PlacesArguments, SpecArguments, numbers,
};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::bytecode::{
    self as engine_bytecode, Compilation, Compiled, OverlayContents, Source,
};
use crate::engine::files;
use crate::engine::{self, Places, Session};
use crate::error::Error;
use crate::model::bytecode::release::Compiler;
use crate::model::bytecode::{Level, overlay};
use crate::model::finding::{Finding, Findings};
use crate::model::layers::LayerKind;
use crate::model::spec::Spec;

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree bytecode compile [OPTIONS] <WHEEL>...
           --compiler <PYTHON> --out <DIR>";

/// Arguments of `venvtree bytecode compile`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Examples:
  venvtree bytecode compile wheels/*.whl \\
      --compiler 3.11 --out bytecode

  # The library of an interpreter that a spec copies in:
  venvtree bytecode compile --interpreter-of env.json \\
      --compiler 3.11 --out bytecode

The same wheel and the same version of the compiler, to the patch level, make the same bytes, on every machine. What \
no Python can compile is listed and left out, as Python itself would not import it.")]
pub struct CompileArguments {
    /// The wheels.
    #[arg(value_name = "WHEEL", required_unless_present = "interpreter_of")]
    wheels: Vec<Utf8PathBuf>,
    /// Compile the standard library of the interpreter that this spec copies in (of kind `inside`).
    #[arg(long, value_name = "SPEC")]
    interpreter_of: Option<Utf8PathBuf>,
    /// The interpreter that compiles: CPython from 3.11 to 3.14.
    #[arg(long, value_name = "PYTHON")]
    compiler: String,
    /// The version that the compiler has to have, such as 3.12.10; another one is refused.
    #[arg(long, value_name = "VERSION", value_parser = version)]
    compiler_version: Option<Compiler>,
    /// The directory for the overlays, made if need be.
    #[arg(long, value_name = "DIR", required_unless_present = "overlay")]
    out: Option<Utf8PathBuf>,
    /// The file for the only overlay, of one wheel or interpreter at one level, instead of a
    /// directory.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    overlay: Option<Utf8PathBuf>,
    #[command(flatten)]
    way: WayArguments,
    /// Use at most N threads [default: one for each processor; variable: VENVTREE_THREADS].
    #[arg(long, value_name = "N", value_parser = |text: &str| numbers::count(text, MOST_THREADS))]
    threads: Option<u16>,
    #[command(flatten)]
    limits: LimitArguments,
    /// Where the input is whose path in that spec is KEY; may be repeated.
    #[arg(long = "input", value_name = "KEY=PATH", requires = "interpreter_of")]
    inputs: Vec<String>,
}

/// What is compiled, and where overlays go.
pub(crate) struct Compile {
    session: Session,
    request: engine_bytecode::Request,
    levels: BTreeSet<Level>,
    wheels: Vec<Utf8PathBuf>,
    /// The spec of an interpreter that is copied in, and where its files are.
    interpreter: Option<(Spec, Places)>,
    out: Out,
}

/// Where overlays go: a place, and as it was typed.
enum Out {
    Directory(Utf8PathBuf, Utf8PathBuf),
    File(Utf8PathBuf, Utf8PathBuf),
}

impl Out {
    /// Where the overlay called `name` goes, and how people call that.
    fn place(&self, name: &str) -> (Utf8PathBuf, Utf8PathBuf) {
        match self {
            Self::Directory(out, typed) => (out.join(name), typed.join(name)),
            Self::File(file, typed) => (file.clone(), typed.clone()),
        }
    }
}

/// Reads the version of a compiler.
fn version(text: &str) -> Result<Compiler, String> {
    Compiler::of_version(text)
        .ok_or_else(|| "expected CPython 3.11 to 3.14 with a patch level, such as 3.12.10".into())
}

impl Verb for CompileArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Compile, Error> {
        let session = spec_input::limited_session(self.threads, &self.limits, io)?;
        let request = engine_bytecode::Request {
            python: compiler::find(&self.compiler, io)?,
            validation: self.way.validation,
            expected: self.compiler_version,
            excluded: self.way.excluded()?,
        };
        let interpreter = self.interpreter_of.map(|spec| {
            let (threads, limits, allow) = (self.threads, self.limits, AllowArguments::default());
            let places =
                PlacesArguments { root: None, inputs: self.inputs, threads, limits, allow };
            spec_input::read(&SpecArguments { spec, places }, io)
        });
        let interpreter = interpreter.transpose()?;
        let count = self.wheels.len() + usize::from(interpreter.is_some());
        let levels = self.way.levels.0;
        let out = match (self.out, self.overlay) {
            (_, Some(_)) if count != 1 || levels.len() != 1 => {
                let problem = "`--overlay` names one file, and each wheel has one for each level";
                return Err(Error::usage(problem).hint("name a directory with `--out`"));
            }
            (_, Some(file)) => Out::File(io.resolve(&file), file),
            (Some(out), None) => Out::Directory(io.resolve(&out), out),
            (None, None) => {
                return Err(Error::usage("expected one of `--out` and `--overlay`").into());
            }
        };
        let wheels = self.wheels.iter().map(|wheel| io.resolve(wheel)).collect();
        Ok(Compile { session, request, levels, wheels, interpreter, out })
    }
}

impl Request for Compile {
    fn run(self, io: &mut Io<'_>) -> Result<CompileAnswer, Error> {
        let Self { session, request, levels, wheels, interpreter, out } = self;
        // All are looked at before anything is compiled, and all is compiled that is written.
        let opened = wheels.iter().map(|wheel| Source::open(&session, wheel));
        let mut sources: Vec<Source> = opened.collect::<Result<_, _>>()?;
        if let Some((spec, places)) = &interpreter {
            let spec = Spec { bytecode: None, ..spec.clone() };
            let part = Some(LayerKind::Interpreter);
            let prepared = engine::prepare_part(&session, spec, places, part)?;
            sources.push(Source::of_interpreter(prepared)?);
        }
        let compilation = Compilation::start(&session, &request)?;
        let release = compilation.compiler().release();
        let mut overlays = Vec::new();
        for source in &sources {
            for &level in &levels {
                let name = overlay::file_name(source.stem(), release, level);
                let contents = compilation.compile(source, level)?;
                let (place, typed) = out.place(&name);
                if let Out::Directory(out, _) = &out {
                    files::make_directories(out)?;
                }
                let file = io.output_file(&place)?;
                apart::check_file(&file, &wheels)?;
                if let Some((spec, places)) = &interpreter {
                    apart::check_files([&file], spec, places)?;
                }
                engine::write_whole(&file, |writer| {
                    engine_bytecode::write(&contents, writer, file.path())
                })?;
                overlays.push(Overlay {
                    file: typed,
                    sha256: files::sha256(file.path())?.to_hex(),
                    modules: contents.files.len(),
                    findings: uncompilable(&contents),
                });
            }
        }
        Ok(CompileAnswer { compiler: compilation.compiler().to_string(), overlays })
    }
}

fn uncompilable(contents: &OverlayContents) -> Vec<Finding> {
    let mut findings = Findings::new();
    for (name, (_, compiled)) in &contents.files {
        if let Compiled::Skipped(reason) = compiled {
            findings.add_uncompilable(name.as_str(), reason);
        }
    }
    findings.finish()
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
    /// The modules without bytecode.
    findings: Vec<Finding>,
}

impl Answer for CompileAnswer {
    const IS_LIST: bool = true;

    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        for Overlay { file, findings, .. } in &self.overlays {
            printer.print_unless_quiet(file.as_str())?;
            for finding in findings {
                printer.say_unless_quiet(&finding.to_string());
            }
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let without = |overlay: &Overlay| overlay.findings.iter().map(Finding::count).sum::<u64>();
        let with = self.overlays.iter().map(|overlay| overlay.modules - without(overlay) as usize);
        let modules = quantity::count(with.sum(), "module");
        vec![format!("compiled: {modules}, by {}", self.compiler)]
    }
}
