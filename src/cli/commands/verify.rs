//! `venvtree verify`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::{spec as spec_input, subject};
use crate::cli::io::Io;
use crate::cli::options::PlacesArguments;
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::Session;
use crate::engine::directories::{self, Scan, View};
use crate::error::{Error, ErrorKind};
use crate::model::digest::{Digest, DigestFunction};
use crate::model::verify::{Deviation, Found};

/// One line for each thing to compare with: in one line, they would not fit into a terminal.
const USAGE: &str = "venvtree verify <DIR> --manifest <FILE> [OPTIONS]
       venvtree verify <DIR> --spec <SPEC> [OPTIONS]
       venvtree verify <DIR> --digest <HASH/SIZE> [OPTIONS]";

/// Arguments of `venvtree verify`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Examples:
  venvtree verify .venv --manifest env.manifest.json
  venvtree verify .venv --spec env.json
  venvtree verify .venv --digest 4f1c.../326
  # What a remote cache returned:
  venvtree verify bazel-bin/env --cached \\
      --manifest env.manifest.json

Bytecode in `__pycache__` that fits its source by time and size, as Python writes it while running, is reported, \
but is not a difference unless --bytecode refuse is given. What it does when it runs was not looked at: only a \
directory without bytecode is proven. All other bytecode that was added is a difference. The exit code is 6 if \
anything differs.")]
pub struct VerifyArguments {
    /// The environment.
    #[arg(value_name = "DIR")]
    directory: Utf8PathBuf,
    #[command(flatten)]
    against: Against,
    /// Expect what a cache returned: a link equals a copy of what it leads to, and modes do not
    /// count.
    #[arg(long)]
    cached: bool,
    /// How to take bytecode that Python wrote while running.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    bytecode: Bytecode,
    #[command(flatten)]
    places: PlacesArguments,
}

/// What to compare with.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Against {
    /// The manifest that `build --manifest` wrote.
    #[arg(long, value_name = "FILE")]
    manifest: Option<Utf8PathBuf>,
    /// The spec that it was built from; needs its wheels.
    #[arg(long, value_name = "SPEC")]
    spec: Option<Utf8PathBuf>,
    /// The root digest.
    #[arg(long, value_name = "HASH/SIZE")]
    digest: Option<String>,
}

/// What bytecode is that running Python left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Bytecode {
    /// Reported, but no difference.
    #[default]
    Allow,
    /// A difference.
    Refuse,
}

/// A directory, and what it is compared with.
pub(crate) struct Verify {
    session: Session,
    directory: Utf8PathBuf,
    /// The directory as it was typed.
    name: Utf8PathBuf,
    expected: Expected,
    places: PlacesArguments,
    view: View,
    bytecode: Bytecode,
}

enum Expected {
    Subject(Utf8PathBuf),
    Digest(String),
}

impl Verb for VerifyArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Verify, Error> {
        let session = spec_input::session(&self.places, io)?;
        let directory = io.resolve(&self.directory);
        if directory.is_file() {
            return Err(Error::usage(format!(
                "`{}` is a file, expected the directory of an environment",
                self.directory
            ))
            .hint("`venvtree diff` compares manifests and specs, too"));
        }
        let Against { manifest, spec, digest } = self.against;
        let expected = match manifest.or(spec) {
            Some(path) => Expected::Subject(path),
            None => Expected::Digest(digest.unwrap_or_default()),
        };
        Ok(Verify {
            session,
            directory,
            name: self.directory,
            expected,
            places: self.places,
            view: if self.cached { View::Cached } else { View::Exact },
            bytecode: self.bytecode,
        })
    }
}

impl Request for Verify {
    fn run(self, io: &mut Io<'_>) -> Result<VerifyAnswer, Error> {
        let found = match &self.expected {
            Expected::Subject(path) => self.compare(path, io)?,
            Expected::Digest(text) => self.compare_digest(text)?,
        };
        let (bytecode, differences): (Vec<Found>, Vec<Found>) =
            found.into_iter().partition(|found| {
                found.deviation == Deviation::Bytecode && self.bytecode == Bytecode::Allow
            });
        let equal = differences.is_empty();
        Ok(VerifyAnswer { equal, differences, bytecode, directory: self.name })
    }
}

/// How a directory differs from what it should be.
#[derive(Debug, Serialize)]
pub(crate) struct VerifyAnswer {
    equal: bool,
    #[serde(serialize_with = "documents")]
    differences: Vec<Found>,
    #[serde(serialize_with = "documents")]
    bytecode: Vec<Found>,
    #[serde(skip)]
    directory: Utf8PathBuf,
}

/// A difference in a document.
#[derive(Serialize)]
struct FoundDocument<'a> {
    path: &'a str,
    difference: &'static str,
    detail: &'a str,
}

fn documents<S: Serializer>(found: &[Found], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(found.iter().map(|found| FoundDocument {
        path: &found.path,
        difference: found.deviation.name(),
        detail: &found.detail,
    }))
}

impl Answer for VerifyAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        self.differences.iter().try_for_each(|Found { path, deviation, detail }| {
            printer.print(&format!("{} {path}: {detail}", deviation.name()))
        })
    }

    fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.bytecode.is_empty() {
            let files = quantity::count(self.bytecode.len(), "file");
            lines.push(format!("besides, {files} of bytecode that running Python left behind"));
        }
        lines.push(if self.equal {
            format!("{} is as it should be", self.directory)
        } else {
            let differences = quantity::count(self.differences.len(), "difference");
            format!("{differences} in {}", self.directory)
        });
        lines
    }

    fn exit_code(&self) -> u8 {
        if self.equal { 0 } else { ErrorKind::Verification.exit_code() }
    }
}

impl Verify {
    fn compare(&self, path: &Utf8Path, io: &mut Io<'_>) -> Result<Vec<Found>, Error> {
        let expected = subject::read(path, None, &self.places, &self.session, io)?;
        let scan = self.scan(expected.tree.function())?;
        let mut found = odd(&scan);
        found.extend(directories::compare(&self.directory, self.view, &expected.tree, &scan));
        io.let_go((expected, scan));
        Ok(found)
    }

    fn compare_digest(&self, text: &str) -> Result<Vec<Found>, Error> {
        let expected = Digest::parse(text)?;
        if self.view == View::Cached {
            return Err(Error::usage("a digest says nothing of what a cache returns")
                .hint("compare with a manifest or a spec"));
        }
        // A digest does not say by which function it is.
        let mut actual = String::new();
        for function in DigestFunction::ALL {
            let scan = self.scan(function)?;
            if scan.tree.digest().0 == expected {
                return Ok(odd(&scan));
            }
            if actual.is_empty() {
                actual = scan.tree.digest().to_string();
            }
        }
        Ok(vec![Found {
            path: ".".to_owned(),
            deviation: Deviation::Content,
            detail: format!("found the root digest {actual}, expected {expected}"),
        }])
    }

    fn scan(&self, function: DigestFunction) -> Result<Scan, Error> {
        directories::scan(&self.session, &self.directory, function, self.view)
    }
}

/// What cannot be part of a tree.
fn odd(scan: &Scan) -> Vec<Found> {
    let found = |(path, problem): &(String, &str)| Found {
        path: path.clone(),
        deviation: Deviation::Odd,
        detail: (*problem).to_owned(),
    };
    scan.odd.iter().map(found).collect()
}
