//! `venvtree verify`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::args::{Format, FormatArguments, PlacesArguments, QuietArguments};
use crate::cli::io::Io;
use crate::cli::{CommandResult, report, spec_input, subject, written};
use crate::effects::scan::bytecode;
use crate::effects::scan::{self, Scan, View};
use crate::effects::work::progress::{Amount, Phase};
use crate::error::{Error, ErrorKind};
use crate::model::digest::DigestFunction;
use crate::model::path::TreePath;
use crate::model::verify::{self, Deviation, Found};

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
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
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

/// Runs `venvtree verify`.
pub(super) fn run(arguments: &VerifyArguments, io: &mut Io<'_>) -> CommandResult {
    let session = spec_input::session(&arguments.places, io)?;
    let directory = io.resolve(&arguments.directory);
    if directory.is_file() {
        let message = format!(
            "`{}` is a file, expected the directory of an environment",
            arguments.directory
        );
        return Err(Error::Usage {
            message,
            hint: Some("`venvtree diff` compares manifests and specs, too".to_owned()),
        });
    }
    let found =
        match (&arguments.against.manifest, &arguments.against.spec, &arguments.against.digest) {
            (Some(path), _, _) | (_, Some(path), _) => {
                compare(arguments, path, &directory, &session, io)?
            }
            (_, _, Some(text)) => compare_digest(arguments, text, &directory, &session)?,
            _ => Vec::new(),
        };
    let (bytecode, differences): (Vec<&Found>, Vec<&Found>) = found.iter().partition(|found| {
        found.deviation == Deviation::Bytecode && arguments.bytecode == Bytecode::Allow
    });
    if arguments.format.format == Format::Json {
        let list = |found: &[&Found]| -> Vec<serde_json::Value> {
            let value = |found: &&Found| json!({"path": found.path, "difference": found.deviation.name(), "detail": found.detail});
            found.iter().map(value).collect()
        };
        let value = json!({
            "equal": differences.is_empty(),
            "differences": list(&differences),
            "bytecode": list(&bytecode),
        });
        report::document(io, value)?;
    } else {
        for found in &differences {
            written(io.print(&format!(
                "{} {}: {}",
                found.deviation.name(),
                found.path,
                found.detail
            )))?;
        }
        if !bytecode.is_empty() {
            arguments.quiet.say(
                io,
                &format!(
                    "besides, {} of bytecode that running Python left behind",
                    report::count(bytecode.len(), "file")
                ),
            );
        }
        if differences.is_empty() {
            arguments.quiet.say(io, &format!("{} is as it should be", arguments.directory));
        } else {
            arguments.quiet.say(
                io,
                &format!(
                    "{} in {}",
                    report::count(differences.len(), "difference"),
                    arguments.directory
                ),
            );
        }
    }
    Ok(if differences.is_empty() { 0 } else { ErrorKind::Verification.exit_code() })
}

fn odd(scan: &Scan) -> Vec<Found> {
    let found = |(path, problem): &(String, &str)| Found {
        path: path.clone(),
        deviation: Deviation::Odd,
        detail: (*problem).to_owned(),
    };
    scan.odd.iter().map(found).collect()
}

fn compare(
    arguments: &VerifyArguments,
    path: &Utf8Path,
    directory: &Utf8Path,
    session: &crate::engine::Session,
    io: &mut Io<'_>,
) -> Result<Vec<Found>, Error> {
    let expected = subject::read(path, None, &arguments.places, session, io)?;
    let view = if arguments.cached { View::Cached } else { View::Exact };
    session.progress.begin(Phase::Reading, Amount::default());
    let scan = scan::scan(directory, expected.tree.function(), view, session.threads)?;
    let judge = |pyc: &TreePath| bytecode::judge(directory, view, pyc);
    let mut found = odd(&scan);
    if arguments.cached {
        let (cached, unknown) = verify::as_cached(&expected.tree);
        let (observed, _) = verify::as_cached(&scan.tree);
        let may_be_anything =
            |found: &Found| unknown.iter().any(|path| path.as_str() == found.path);
        found.extend(
            verify::compare(&cached, &observed, &judge)
                .into_iter()
                .filter(|found| !may_be_anything(found)),
        );
    } else {
        found.extend(verify::compare(&expected.tree, &scan.tree, &judge));
    }
    Ok(found)
}

fn compare_digest(
    arguments: &VerifyArguments,
    text: &str,
    directory: &Utf8Path,
    session: &crate::engine::Session,
) -> Result<Vec<Found>, Error> {
    let expected = crate::model::digest::Digest::parse(text)?;
    if arguments.cached {
        let message = "a digest says nothing of what a cache returns".to_owned();
        return Err(Error::Usage {
            message,
            hint: Some("compare with a manifest or a spec".to_owned()),
        });
    }
    // A digest does not say by which function it is.
    let mut actual = String::new();
    for function in DigestFunction::ALL {
        session.progress.begin(Phase::Reading, Amount::default());
        let scan = scan::scan(directory, function, View::Exact, session.threads)?;
        if scan.tree.digest().0 == expected {
            return Ok(odd(&scan));
        }
        actual = if actual.is_empty() { scan.tree.digest().to_string() } else { actual };
    }
    let detail = format!("found the root digest {actual}, expected {expected}");
    Ok(vec![Found { path: ".".to_owned(), deviation: Deviation::Content, detail }])
}
