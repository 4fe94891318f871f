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
use crate::engine::files::{self, OutputFile};
use crate::engine::{self, Places, Session};
use crate::error::Error;
use crate::model::bytecode::release::Compiler;
use crate::model::bytecode::{Level, overlay};
use crate::model::finding::{Code, Finding, Findings};
use crate::model::layers::LayerKind;
use crate::model::spec::Spec;

/// What is compiled, and where overlays go, can each be said in several ways.
const USAGE: &str = "venvtree bytecode compile [OPTIONS]
         (<WHEEL>... | --interpreter-of <SPEC> |
          --sources-of <SPEC>) --compiler <PYTHON>
         (--out <DIR> | --overlay <FILE>)";

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
    #[arg(value_name = "WHEEL", required_unless_present = "part_of", conflicts_with = "part_of")]
    wheels: Vec<Utf8PathBuf>,
    /// Compile the standard library of the interpreter that this spec copies in (of kind `inside`).
    #[arg(long, value_name = "SPEC", group = "part_of")]
    interpreter_of: Option<Utf8PathBuf>,
    /// Compile the first-party modules that the `sources` of this spec name: for the first of them
    /// `source-0`, and so on.
    #[arg(long, value_name = "SPEC", group = "part_of")]
    sources_of: Option<Utf8PathBuf>,
    /// The interpreter that compiles: CPython from 3.11 to 3.14.
    #[arg(long, value_name = "PYTHON")]
    compiler: String,
    /// The version that the compiler has to have, such as 3.12.10; another one is refused.
    #[arg(long, value_name = "VERSION", value_parser = version)]
    compiler_version: Option<Compiler>,
    /// The directory for the overlays, made if need be.
    #[arg(long, value_name = "DIR", required_unless_present = "overlay")]
    out: Option<Utf8PathBuf>,
    /// The file for the only overlay, of one wheel, interpreter or source at one level, instead of a
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
    #[command(flatten)]
    allow: AllowArguments,
    /// Accept wheels with whatever findings a spec can allow: whoever builds an environment of them
    /// judges them.
    #[arg(long, conflicts_with = "codes")]
    allow_all: bool,
    /// Where the input is whose path in that spec is KEY; may be repeated.
    #[arg(long = "input", value_name = "KEY=PATH", requires = "part_of")]
    inputs: Vec<String>,
}

/// What is compiled, and where overlays go.
pub(crate) struct Compile {
    session: Session,
    request: engine_bytecode::Request,
    levels: BTreeSet<Level>,
    wheels: Vec<Utf8PathBuf>,
    /// The part of a spec that is compiled, and where its files are.
    part: Option<(LayerKind, Spec, Places)>,
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
        let python = compiler::find(&self.compiler, io)?;
        let of_interpreter = self.interpreter_of.map(|spec| (LayerKind::Interpreter, spec));
        let part = of_interpreter.or(self.sources_of.map(|spec| (LayerKind::Sources, spec)));
        let part = part.map(|(part, spec)| {
            let (threads, limits, inputs) = (self.threads, self.limits, self.inputs);
            let allow = self.allow.clone();
            let places = PlacesArguments { root: None, inputs, threads, limits, allow };
            let (spec, places) = spec_input::read(&SpecArguments { spec, places }, io)?;
            Ok::<_, Error>((part, spec, places))
        });
        let part = part.transpose()?;
        let of_part = part.as_ref().map_or(0, |(part, spec, _)| match part {
            LayerKind::Sources => spec.sources.len(),
            _ => 1,
        });
        let count = self.wheels.len() + of_part;
        // What goes into a spec is made as it wants it.
        let asked = part.as_ref().and_then(|(_, spec, _)| spec.bytecode.as_ref());
        let request = engine_bytecode::Request {
            python,
            validation: self.way.validation(asked),
            expected: self.compiler_version.or(asked.map(|asked| asked.compiler)),
            excluded: self.way.excluded(asked)?,
            allow: match self.allow_all {
                true => {
                    let possible = |code: &Code| code.allowance().is_possible();
                    Code::ALL.iter().copied().filter(possible).collect()
                }
                false => self.allow.codes.into_iter().collect(),
            },
        };
        let levels = self.way.levels(asked);
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
        let wheels: Vec<Utf8PathBuf> = self.wheels.iter().map(|wheel| io.resolve(wheel)).collect();
        let mut names = BTreeSet::new();
        if let Some(twice) = wheels.iter().find(|wheel| !names.insert(wheel.file_name())) {
            let name = twice.file_name().unwrap_or_default();
            return Err(Error::usage(format!("`{name}` is given twice"))
                .hint("an overlay is called as its wheel is: compile wheels of one name apart"));
        }
        Ok(Compile { session, request, levels, wheels, part, out })
    }
}

impl Request for Compile {
    fn run(self, io: &mut Io<'_>) -> Result<CompileAnswer, Error> {
        let Self { session, request, levels, wheels, part, out } = self;
        // All are looked at before anything is compiled. What was written before one cannot be
        // compiled is as good as if it had been asked for alone.
        let opened = wheels.iter().map(|wheel| Source::open(&session, &request, wheel));
        let mut sources: Vec<Source> = opened.collect::<Result<_, _>>()?;
        if let Some((part, spec, places)) = &part {
            let prepared = engine::prepare_sources(&session, spec.clone(), places, *part)?;
            match part {
                LayerKind::Sources => sources.extend(Source::of_sources(prepared)?),
                _ => sources.push(Source::of_interpreter(prepared)?),
            }
        }
        let compilation = Compilation::start(&session, &request)?;
        let release = compilation.compiler().release();
        let of_source = |source| levels.iter().map(move |&level| (source, level));
        let wanted: Vec<(&Source, Level)> = sources.iter().flat_map(of_source).collect();
        // An overlay that the spec names may be made again.
        let inputs = part.map(|(_, spec, places)| (spec.without_overlays(), places));
        let check = |file: &OutputFile| match &inputs {
            None => apart::check_file(file, &wheels),
            Some((spec, places)) => apart::check_files([file], spec, places),
        };
        if let Out::File(file, _) = &out {
            check(&io.output_file(file)?)?;
        }
        let overlays = compilation.compile(&wanted, |index, contents| {
            let (source, level) = wanted[index];
            let (place, typed) = out.place(&overlay::file_name(&source.stem(), release, level));
            if let Out::Directory(out, _) = &out {
                files::make_directories(out)?;
            }
            let file = &OutputFile::prepare(&place)?;
            check(file)?;
            engine::write_whole(file, |writer| {
                engine_bytecode::write(&contents, writer, file.path())
            })?;
            Ok(Overlay {
                file: typed,
                sha256: files::sha256(file.path())?.to_hex(),
                modules: contents.files.len(),
                compiled: compiled(&contents),
                of: source.name(),
                findings: uncompilable(&contents),
            })
        })?;
        Ok(CompileAnswer { compiler: compilation.compiler().to_string(), overlays })
    }
}

fn compiled(contents: &OverlayContents) -> usize {
    let files = contents.files.values();
    files.filter(|(_, compiled)| matches!(compiled, Compiled::Bytecode(_))).count()
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
    /// All of its modules.
    modules: usize,
    /// Those that have bytecode.
    compiled: usize,
    /// What was compiled.
    of: String,
    /// The modules without bytecode.
    findings: Vec<Finding>,
}

impl Answer for CompileAnswer {
    const IS_LIST: bool = true;

    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        for Overlay { file, of, findings, .. } in &self.overlays {
            printer.print_unless_quiet(file.as_str())?;
            for finding in findings {
                printer.say_unless_quiet(&format!("{of}: {finding}"));
            }
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let compiled = self.overlays.iter().map(|overlay| overlay.compiled).sum();
        let modules = quantity::count(compiled, "module");
        vec![format!("compiled: {modules}, by {}", self.compiler)]
    }
}
