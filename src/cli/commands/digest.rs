//! `venvtree digest`.

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, Printer, Warnings};
use crate::cli::inputs::{apart, compiler, spec as spec_input};
use crate::cli::io::Io;
use crate::cli::options::bytecode::BytecodeArguments;
use crate::cli::options::caches::{self, StoreArguments};
use crate::cli::options::{SpecArguments, numbers};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::directories::{self, View};
use crate::engine::fetch::Fetching;
use crate::engine::files::OutputFile;
use crate::engine::store::Notes;
use crate::engine::{self, Caches, Foresight, Places, Session};
use crate::error::{Error, NoEntry};
use crate::model::bytecode::Validation;
use crate::model::digest::DigestFunction;
use crate::model::nearest;
use crate::model::spec::Spec;
use crate::model::tree::{Node, Tree};

/// Arguments of `venvtree digest`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # What `build` would write, without writing it:
  venvtree digest env.json
  # And which members had to be inflated for it:
  venvtree digest env.json --explain
  # The digest of a directory:
  venvtree digest .venv

The root digest is that of the REAPI `Directory` message, printed as HASH/SIZE. For a spec with SHA-256 it is \
predicted from the RECORDs of the wheels, which `build` verifies; whole wheels are not hashed. With BLAKE3, members \
are inflated, except those of wheels that the store knows from an earlier build.")]
pub struct DigestArguments {
    #[command(flatten)]
    spec: SpecArguments,
    /// List the members that had to be inflated.
    #[arg(long)]
    explain: bool,
    /// The digest function for a directory; that of a spec is its own flag.
    #[arg(long, value_name = "FUNCTION", value_parser = numbers::digest_function())]
    digest_function: Option<DigestFunction>,
    /// Refuse an environment without this path, such as bin/flask; may be repeated.
    #[arg(long, value_name = "PATH")]
    has: Vec<String>,
    /// Write the digest to FILE as well; with --quiet, only there.
    #[arg(long, value_name = "FILE")]
    digest_file: Option<Utf8PathBuf>,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    bytecode: BytecodeArguments,
}

/// What is to be digested.
pub(crate) struct Digest {
    session: Session,
    of: Of,
    has: Vec<String>,
    file: Option<OutputFile>,
}

enum Of {
    /// A directory: where, and what it was called.
    Directory(Utf8PathBuf, Utf8PathBuf, DigestFunction),
    Spec {
        spec: Box<Spec>,
        places: Places,
        caches: Caches,
        explain: bool,
    },
}

impl Verb for DigestArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Digest, Error> {
        let path = io.resolve(&self.spec.spec);
        let notes = Notes::new();
        let is_directory = self.spec.spec != "-" && path.is_dir();
        let store = if is_directory { None } else { caches::store(&self.store, &notes, io)? };
        // What another store has is not looked for.
        let limits = (self.spec.places.threads, &self.spec.places.limits);
        let mut session =
            spec_input::fetching_session(limits, Fetching::at_hand(store.clone()), io)?;
        compiler::allow(&mut session, &self.bytecode.compiler, io)?;
        let file = self.digest_file.map(|file| io.output_file(&file)).transpose()?;
        if is_directory {
            if self.bytecode.changes_specs() || session.compiler.is_some() {
                return Err(Error::usage("a directory has the bytecode that it has")
                    .hint("--bytecode and --compiler are for specs"));
            }
            let function = self.digest_function.unwrap_or_default();
            apart::check_outside(&file, &path)?;
            return Ok(Digest {
                session,
                of: Of::Directory(path, self.spec.spec, function),
                has: self.has,
                file,
            });
        }
        if let Some(file) = &file {
            apart::check_file(file, [&path])?;
        }
        let (mut spec, places) = spec_input::read(&self.spec, io)?;
        self.bytecode.ask(&mut spec, Validation::Unchecked)?;
        compiler::say_idle(&session, &spec, io);
        apart::check_files(&file, &spec, &places)?;
        let wanted = spec.flags.digest_function;
        if self.digest_function.is_some_and(|function| function != wanted) {
            return Err(Error::usage(format!(
                "the spec asks for {wanted}, `--digest-function` for another one"
            ))
            .hint("leave the option out, or change the spec's flag `digest_function`"));
        }
        let caches = Caches { store, notes, ..Caches::default() };
        let explain = self.explain;
        Ok(Digest {
            session,
            of: Of::Spec { spec: Box::new(spec), places, caches, explain },
            has: self.has,
            file,
        })
    }
}

impl Request for Digest {
    fn run(self, io: &mut Io<'_>) -> Result<DigestAnswer, Error> {
        let Self { session, of, has, file } = self;
        let mut answer = answer(&session, of, &has, io)?;
        if let Some(file) = file {
            file.write(|out| writeln!(out, "{}", answer.digest))?;
            answer.is_written = true;
        }
        Ok(answer)
    }
}

/// Refuses a tree that lacks one of some paths.
fn check_entries(tree: &Tree, paths: &[String]) -> Result<(), Error> {
    let Some(path) = paths.iter().find(|path| tree.get(path).is_none()) else {
        return Ok(());
    };
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let beside = match tree.get(parent) {
        _ if parent.is_empty() => Some(tree.root()),
        Some(Node::Directory(directory)) => Some(directory),
        _ => None,
    };
    let known = beside.into_iter().flat_map(|directory| directory.entries());
    let question = nearest::question(name, known.map(|(name, _)| name.as_str()));
    Err(NoEntry { path: path.clone(), question }.into())
}

fn answer(
    session: &Session,
    of: Of,
    has: &[String],
    io: &mut Io<'_>,
) -> Result<DigestAnswer, Error> {
    match of {
        Of::Directory(path, name, function) => {
            let scan = directories::scan(session, &path, function, View::Exact)?;
            if let Some((odd, problem)) = scan.odd.first() {
                return Err(Error::usage(format!(
                    "`{odd}` in `{name}` cannot be part of a digest: {problem}"
                ))
                .into());
            }
            check_entries(&scan.tree, has)?;
            Ok(DigestAnswer {
                digest_function: function.name(),
                digest: scan.tree.digest().to_string(),
                predicted: None,
                is_written: false,
            })
        }
        Of::Spec { spec, places, caches, explain } => {
            let predicted = engine::predict(session, &caches, *spec, &places);
            caches::say_notes(&caches.notes, io);
            let (mut prepared, tree, foresight) = predicted?;
            check_entries(&tree, has)?;
            let inflated = explain.then(|| {
                let members = prepared.inflated().into_iter();
                members.map(|(wheel, member)| Member { wheel, member }).collect()
            });
            let warnings = Warnings::new(std::mem::take(&mut prepared.plan.warnings));
            let answer = DigestAnswer {
                digest_function: tree.function().name(),
                digest: tree.digest().to_string(),
                predicted: Some(Predicted { method: foresight.into(), warnings, inflated }),
                is_written: false,
            };
            io.let_go((prepared, tree));
            Ok(answer)
        }
    }
}

/// A digest, and how it came to be known.
#[derive(Debug, Serialize)]
pub(crate) struct DigestAnswer {
    digest_function: &'static str,
    digest: String,
    #[serde(flatten)]
    predicted: Option<Predicted>,
    #[serde(skip)]
    is_written: bool,
}

/// What there is to say of the digest of a spec.
#[derive(Debug, Serialize)]
struct Predicted {
    method: Method,
    warnings: Warnings,
    #[serde(skip_serializing_if = "Option::is_none")]
    inflated: Option<Vec<Member>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Predicted,
    Known,
    Inflated,
}

impl From<Foresight> for Method {
    fn from(foresight: Foresight) -> Self {
        match foresight {
            Foresight::Claims => Self::Predicted,
            Foresight::Known => Self::Known,
            Foresight::Inflated => Self::Inflated,
        }
    }
}

/// A member of a wheel.
#[derive(Debug, Serialize)]
struct Member {
    wheel: String,
    member: String,
}

impl Answer for DigestAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        if let Some(Predicted { method, inflated: Some(inflated), .. }) = &self.predicted {
            let members = quantity::count(inflated.len(), "member");
            printer.say(&match method {
                Method::Predicted => format!("predicted from RECORDs; inflated {members}:"),
                Method::Known => {
                    "known from an earlier build; planning looks at the bytes of:".to_owned()
                }
                Method::Inflated => "members were inflated, as RECORDs hold no BLAKE3; among \
                                     them for planning:"
                    .to_owned(),
            });
            for Member { wheel, member } in inflated {
                printer.say(&format!("  {wheel}: {member}"));
            }
        }
        if self.is_written {
            return printer.print_unless_quiet(&self.digest);
        }
        printer.print(&self.digest)
    }

    fn warnings(&self) -> Option<&Warnings> {
        self.predicted.as_ref().map(|predicted| &predicted.warnings)
    }
}
