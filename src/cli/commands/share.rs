//! `venvtree share`: an environment that all builds and tests of a user share, made once.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, DIFFERENCES, Printer, Warnings};
use crate::cli::inputs::apart;
use crate::cli::inputs::spec::{self as spec_input, SpecText};
use crate::cli::io::Io;
use crate::cli::options::PlacesArguments;
use crate::cli::options::caches::{self, EnvironmentsArguments, LinkArguments, StoreArguments};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::environments::{self, Checked, Damage, Environments, PlaceError, Sharing};
use crate::engine::files::{self, OutputFile};
use crate::engine::store::Counts;
use crate::engine::{Caches, Report, Session};
use crate::error::{Error, ErrorKind, chain};
use crate::model::digest::{ActionDigest, Digest, DirectoryDigest};

/// One line for each thing to do.
const USAGE: &str = "venvtree share <SPEC> [OPTIONS]
       venvtree share --verify [OPTIONS]";

/// Arguments of `venvtree share`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Examples:
  # Where the environment is, which is made if need be:
  venvtree share env.json
  # Read all shared environments again:
  venvtree share --verify

An environment is named by its root digest and made once for each user, out of the store as far as that has its files. \
Nobody may write to it. Whoever asks for one that somebody else is just making waits. `store gc` removes environments \
that were not used for a week, unless a file that --digest-file wrote still names them.")]
pub struct ShareArguments {
    /// The spec, a JSON file; `-` reads standard input.
    #[arg(value_name = "SPEC", required_unless_present = "verify", conflicts_with = "verify")]
    spec: Option<Utf8PathBuf>,
    #[command(flatten)]
    places: PlacesArguments,
    /// The file that says the root digest, as `digest --digest-file` wrote it [default: it is
    /// predicted].
    #[arg(long, value_name = "FILE")]
    expect: Option<Utf8PathBuf>,
    /// Write the root digest to FILE, with --quiet only that; as long as FILE says it, `store gc`
    /// keeps the environment.
    #[arg(long, value_name = "FILE")]
    digest_file: Option<Utf8PathBuf>,
    /// Where the environment can be neither found nor made, make it below DIR, and say why.
    #[arg(long, value_name = "DIR")]
    fallback: Option<Utf8PathBuf>,
    /// Where the environment can be neither found nor made, only say why.
    #[arg(long, conflicts_with = "fallback")]
    if_possible: bool,
    /// Read all shared environments again. What is not as it was made is made again out of the
    /// store, or removed.
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    environments: EnvironmentsArguments,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    links: LinkArguments,
}

/// What is to be done.
pub(crate) enum Share {
    /// To find or make an environment.
    One(Box<One>, Result<Environments, PlaceError>),
    /// To read all again.
    Verify(Box<Session>, Caches, Environments),
}

/// An environment that is to be there.
pub(crate) struct One {
    session: Session,
    caches: Caches,
    text: SpecText,
    places: PlacesArguments,
    digest: Option<DirectoryDigest>,
    digest_file: Option<OutputFile>,
    fallback: Option<Utf8PathBuf>,
    if_possible: bool,
}

impl Verb for ShareArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Share, Error> {
        let session = spec_input::session(&self.places, io)?;
        let caches = caches::local(&self.store, &self.links, io)?;
        let environments = caches::environments(&self.environments, io);
        let Some(spec) = self.spec else {
            return Ok(Share::Verify(Box::new(session), caches, environments?));
        };
        let text = spec_input::read_text(&spec, io)?;
        let digest = self.expect.map(|file| read_digest(&io.resolve(&file))).transpose()?;
        let digest_file = self.digest_file.map(|file| io.output_file(&file)).transpose()?;
        if let Some(file) = &digest_file {
            apart::check_file(file, [io.resolve(&spec)])?;
        }
        let one = One {
            session,
            caches,
            text,
            places: self.places,
            digest,
            digest_file,
            fallback: self.fallback.map(|directory| io.resolve(&directory)),
            if_possible: self.if_possible,
        };
        Ok(Share::One(Box::new(one), environments))
    }
}

impl Request for Share {
    fn run(self, io: &mut Io<'_>) -> Result<ShareAnswer, Error> {
        match self {
            Self::One(one, environments) => one.run(environments, io),
            Self::Verify(session, caches, environments) => {
                let checked = environments::verify(&session, &caches, &environments);
                caches::say_notes(&caches.notes, io);
                let Checked { environments, damaged } = checked?;
                Ok(ShareAnswer::Checked(CheckedAnswer { environments, damaged }))
            }
        }
    }
}

/// The digest that a file says.
fn read_digest(file: &Utf8Path) -> Result<DirectoryDigest, Error> {
    Ok(DirectoryDigest(Digest::parse(files::read_document_text(file)?.trim())?))
}

/// How an environment came to be there.
enum Came {
    Found(Utf8PathBuf),
    Made(Utf8PathBuf, Report),
}

impl One {
    fn run(
        self,
        environments: Result<Environments, PlaceError>,
        io: &mut Io<'_>,
    ) -> Result<ShareAnswer, Error> {
        let (digest, key) = match self.digest {
            Some(digest) => (digest, None),
            None => self.which(environments.as_ref().ok(), io)?,
        };
        let shared = environments
            .map_err(Error::from)
            .and_then(|environments| self.share(&environments, &self.caches, (digest, key), io));
        let (is_shared, came) = match shared {
            Ok(came) => (true, Some(came)),
            Err(error) if error.kind() == ErrorKind::Io => {
                (false, self.fall_back(digest, error, io)?)
            }
            Err(error) => return Err(error),
        };
        if let Some(file) = &self.digest_file {
            file.write(|out| writeln!(out, "{digest}"))?;
        }
        let notes = caches::say_notes(&self.caches.notes, io);
        let mut answer = OneAnswer::new(digest, is_shared, came, notes);
        answer.is_written = self.digest_file.is_some();
        if self.digest.is_some() {
            // Whoever predicted the digest was told.
            answer.warnings = Warnings::default();
        }
        Ok(ShareAnswer::One(answer))
    }

    /// Which environment is meant where nobody says it.
    fn which(
        &self,
        environments: Option<&Environments>,
        io: &Io<'_>,
    ) -> Result<(DirectoryDigest, Option<ActionDigest>), Error> {
        let (spec, places) = spec_input::parse(self.text.clone(), &self.places, io)?;
        environments::which(&self.session, &self.caches, spec, &places, environments)
    }

    /// Finds the environment at a place, or makes it there.
    fn share(
        &self,
        environments: &Environments,
        caches: &Caches,
        (digest, key): (DirectoryDigest, Option<ActionDigest>),
        io: &Io<'_>,
    ) -> Result<Came, Error> {
        let named_by = self.digest_file.as_ref().map(OutputFile::path);
        let sharing = Sharing { environments, digest, key, named_by };
        let path = environments.path(digest);
        if sharing.find() {
            return Ok(Came::Found(path));
        }
        let (spec, places) = spec_input::parse(self.text.clone(), &self.places, io)?;
        apart::check_files(&self.digest_file, &spec, &places)?;
        Ok(match sharing.make(&self.session, caches, spec, &places)? {
            Some(report) => Came::Made(path, report),
            None => Came::Found(path),
        })
    }

    /// What is done where the environment can be neither found nor made at its place: says why, in
    /// one line.
    fn fall_back(
        &self,
        digest: DirectoryDigest,
        error: Error,
        io: &mut Io<'_>,
    ) -> Result<Option<Came>, Error> {
        // The store lies beside what could not be written: the reason is said once.
        self.caches.notes.take();
        if self.if_possible {
            io.warn(&format!("the environment is not shared: {}", chain(&error)));
            return Ok(None);
        }
        let Some(directory) = &self.fallback else {
            return Err(error);
        };
        io.warn(&format!("the environment is made for this process alone: {}", chain(&error)));
        let environments = Environments::passing(directory.clone());
        self.share(&environments, &Caches::default(), (digest, None), io).map(Some)
    }
}

/// What was asked for.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ShareAnswer {
    One(OneAnswer),
    Checked(CheckedAnswer),
}

/// An environment, and how it came to be there.
#[derive(Debug, Serialize)]
pub(crate) struct OneAnswer {
    outcome: &'static str,
    path: Option<Utf8PathBuf>,
    digest: String,
    source: Option<&'static str>,
    links: Option<Counts>,
    warnings: Warnings,
    notes: Vec<String>,
    #[serde(skip)]
    files: u64,
    #[serde(skip)]
    bytes: u64,
    #[serde(skip)]
    is_written: bool,
}

impl OneAnswer {
    fn new(
        digest: DirectoryDigest,
        is_shared: bool,
        came: Option<Came>,
        notes: Vec<String>,
    ) -> Self {
        let (path, report) = match came {
            Some(Came::Found(path)) => (Some(path), None),
            Some(Came::Made(path, report)) => (Some(path), Some(report)),
            None => (None, None),
        };
        let outcome = match (is_shared, &path, &report) {
            (_, None, _) => "none",
            (false, ..) => "fallback",
            (true, _, None) => "found",
            (true, _, Some(_)) => "made",
        };
        let (files, bytes) = report.as_ref().map_or((0, 0), |made| (made.files, made.bytes));
        Self {
            outcome,
            path,
            digest: digest.to_string(),
            source: report.as_ref().map(|report| report.source.name()),
            links: report.as_ref().map(|report| report.links),
            warnings: Warnings::new(report.map(|report| report.warnings).unwrap_or_default()),
            notes,
            files,
            bytes,
            is_written: false,
        }
    }
}

/// What was found in shared environments.
#[derive(Debug, Serialize)]
pub(crate) struct CheckedAnswer {
    environments: usize,
    damaged: Vec<Damage>,
}

impl Answer for ShareAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        match self {
            Self::One(OneAnswer { path: Some(path), is_written: true, .. }) => {
                printer.print_unless_quiet(path.as_str())
            }
            Self::One(OneAnswer { path: Some(path), .. }) => printer.print(path.as_str()),
            Self::One(_) => Ok(()),
            Self::Checked(CheckedAnswer { environments, damaged }) => {
                for Damage { path, found, repaired } in damaged {
                    for found in found {
                        let what = found.deviation.name();
                        printer
                            .print(&format!("{what} {path}/{}: {}", found.path, found.detail))?;
                    }
                    if found.is_empty() {
                        printer.print(&format!("other {path}: not the directory that was made"))?;
                    }
                    let became = if *repaired {
                        "made again out of the store"
                    } else {
                        "removed, as the store has not all of it; whoever uses it next makes it again"
                    };
                    printer.print_unless_quiet(&format!("{path}: {became}"))?;
                }
                let count = quantity::count(*environments, "shared environment");
                printer.print_unless_quiet(&format!("checked {count}, {} damaged", damaged.len()))
            }
        }
    }

    fn warnings(&self) -> Option<&Warnings> {
        match self {
            Self::One(one) => Some(&one.warnings),
            Self::Checked(_) => None,
        }
    }

    fn summary(&self) -> Vec<String> {
        match self {
            Self::One(OneAnswer { outcome: "made" | "fallback", files, bytes, digest, .. }) => {
                let what =
                    format!("{}, {}", quantity::count_u64(*files, "file"), quantity::size(*bytes));
                vec![format!("made it ({what}), root digest {digest}")]
            }
            _ => Vec::new(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Checked(checked) if !checked.damaged.is_empty() => DIFFERENCES,
            _ => 0,
        }
    }
}
