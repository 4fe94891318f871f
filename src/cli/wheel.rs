//! `venvtree wheel`.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::args::{Deferred, Format, LimitArguments};
use crate::cli::io::Io;
use crate::cli::{CommandResult, report, written};
use crate::effects::input::InputError;
use crate::effects::inspect::{inspect_environment, inspect_wheel};
use crate::effects::parallel;
use crate::effects::wheels::LoadOptions;
use crate::error::{Error, ErrorKind};
use crate::model::finding::{Code, Finding, Severity};

/// The subcommands of `venvtree wheel`.
#[derive(Debug, Subcommand)]
pub enum WheelCommand {
    /// Report everything that is odd about wheels, and what would run when an interpreter starts.
    Check(Deferred<CheckArguments>),
    /// Pack files into a wheel.
    Pack(Deferred<super::wheel_pack::WheelPackArguments>),
}

impl WheelCommand {
    /// How errors are printed.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Check(arguments) if arguments.format == CheckFormat::Json => Format::Json,
            Self::Check(_) => Format::Text,
            Self::Pack(arguments) => arguments.format.format,
        }
    }
}

/// Arguments of `venvtree wheel check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree wheel check dist/*.whl
  venvtree wheel check --fail-on warning --format sarif wheels/*.whl > wheels.sarif
  venvtree wheel check --allow record.unlisted six-1.16.0-py2.py3-none-any.whl
  venvtree wheel check .venv

A directory is an environment, or a site-packages folder: what runs when its interpreter starts is reported.
Every code is explained in docs/findings.md. Exit code 4 where a finding is as severe as --fail-on, or more.")]
pub struct CheckArguments {
    /// Wheels, or directories of environments.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<Utf8PathBuf>,
    /// Let findings of this code pass as warnings; may be given many times.
    #[arg(long, value_name = "CODE")]
    allow: Vec<Code>,
    /// Make findings of this code errors; may be given many times.
    #[arg(long, value_name = "CODE", visible_alias = "strict")]
    deny: Vec<Code>,
    /// The least severity that makes the command fail.
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY")]
    fail_on: FailOn,
    /// The file name that the wheel was published under, where the path's is another (a cache's, say); for one FILE.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    limits: LimitArguments,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: CheckFormat,
}

/// The least severity that makes the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum FailOn {
    /// Any finding.
    Information,
    /// A warning or an error.
    Warning,
    /// An error.
    #[default]
    Error,
}

impl From<FailOn> for Severity {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::Information => Self::Information,
            FailOn::Warning => Self::Warning,
            FailOn::Error => Self::Error,
        }
    }
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum CheckFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
    /// For machines that collect findings: the Static Analysis Results Interchange Format, 2.1.0.
    Sarif,
}

/// Runs `venvtree wheel`.
pub(super) fn run(command: &WheelCommand, io: &mut Io<'_>) -> CommandResult {
    match command {
        WheelCommand::Check(arguments) => check(arguments, io),
        WheelCommand::Pack(arguments) => super::wheel_pack::run(arguments, io),
    }
}

fn check(arguments: &CheckArguments, io: &mut Io<'_>) -> CommandResult {
    if arguments.name.is_some() && arguments.files.len() != 1 {
        return Err(Error::Usage { message: "`--name` is for one FILE".to_owned(), hint: None });
    }
    let options = LoadOptions {
        limits: arguments.limits.apply(&io.limits),
        allow: arguments.allow.iter().copied().collect(),
        deny: arguments.deny.iter().copied().collect(),
    };
    if let Some(code) = options.allow.intersection(&options.deny).next() {
        return Err(Error::Usage { message: format!("findings of the code `{code}` are allowed and also denied"), hint: None });
    }
    let inspect = |index: usize| -> Result<Vec<Finding>, InputError> {
        let path = io.cwd.join(&arguments.files[index]);
        if path.is_dir() {
            return inspect_environment(&path, &options);
        }
        let name = arguments.name.as_deref().or(path.file_name()).unwrap_or_default();
        inspect_wheel(&path, name, &options)
    };
    let results = parallel::map(parallel::available(), arguments.files.len(), |index| Ok::<_, Infallible>(inspect(index)))
        .unwrap_or_else(|never| match never {});
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    for (file, result) in arguments.files.iter().zip(results) {
        match result {
            Ok(findings) => reports.push((file.as_path(), findings)),
            Err(error) => unreadable.push(error.into()),
        }
    }
    let error = (!unreadable.is_empty()).then_some(Error::Inputs(unreadable));
    // If no file could be read, the error alone is the report.
    if !reports.is_empty() {
        match arguments.format {
            CheckFormat::Text => written(io.print(&text(&reports)))?,
            CheckFormat::Json => {
                let mut value = json(&reports);
                if let Some(error) = &error {
                    // One document, whatever happened.
                    value["error"] = report::error_json(error);
                    report::document(io, value)?;
                    report::say_error(io, error);
                    return Ok(error.kind().exit_code());
                }
                report::document(io, value)?;
            }
            // The standard says what a document holds, its own version first.
            CheckFormat::Sarif => written(io.print(&report::to_json(&sarif(&reports))))?,
        }
    }
    if let Some(error) = error {
        return Err(error);
    }
    let worst = reports.iter().flat_map(|(_, findings)| findings).map(|finding| finding.severity).max();
    let failed = worst.is_some_and(|worst| worst >= arguments.fail_on.into());
    Ok(if failed { ErrorKind::Wheel.exit_code() } else { 0 })
}

type Reports<'a> = [(&'a Utf8Path, Vec<Finding>)];

fn counts(findings: &[Finding]) -> BTreeMap<Severity, u64> {
    let mut counts: BTreeMap<Severity, u64> = Severity::ALL.iter().map(|severity| (*severity, 0)).collect();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += finding.count();
    }
    counts
}

/// For people: each file, its findings, and the explanation of each code once.
fn text(reports: &Reports<'_>) -> String {
    let mut lines = Vec::new();
    let mut explained = BTreeSet::new();
    for (file, findings) in reports {
        let counts = counts(findings);
        let summary: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Information, "note")]
            .into_iter()
            .filter(|(severity, _)| counts[severity] > 0)
            .map(|(severity, noun)| report::count(usize::try_from(counts[&severity]).unwrap_or(usize::MAX), noun))
            .collect();
        lines.push(format!("{file}: {}", if summary.is_empty() { "nothing found".to_owned() } else { summary.join(", ") }));
        for finding in findings {
            lines.push(format!("  {}", report::printable(&finding.to_string())));
            if explained.insert(finding.code) {
                lines.push(format!("      {}", finding.code.explanation()));
            }
        }
    }
    lines.join("\n")
}

fn json(reports: &Reports<'_>) -> Value {
    let files: Vec<Value> = reports
        .iter()
        .map(|(file, findings)| {
            let findings: Vec<Value> = findings
                .iter()
                .map(|finding| {
                    let mut value = json!({
                        "code": finding.code,
                        "severity": finding.severity,
                        "member": finding.member,
                        "message": finding.message,
                        "explanation": finding.code.explanation(),
                        "allowed": finding.allowed,
                    });
                    if finding.omitted > 0 {
                        value["omitted"] = finding.omitted.into();
                    }
                    value
                })
                .collect();
            json!({ "file": file, "findings": findings })
        })
        .collect();
    let all: Vec<Finding> = reports.iter().flat_map(|(_, findings)| findings.iter().cloned()).collect();
    let counts: serde_json::Map<String, Value> =
        counts(&all).into_iter().rev().map(|(severity, count)| (severity.name().to_owned(), count.into())).collect();
    json!({ "counts": counts, "files": files })
}

fn sarif(reports: &Reports<'_>) -> Value {
    let level = |severity: Severity| match severity {
        Severity::Information => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let rules: Vec<Value> = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "id": code.text(),
                "shortDescription": { "text": code.explanation() },
                "defaultConfiguration": { "level": level(code.severity()) },
            })
        })
        .collect();
    let results: Vec<Value> = reports
        .iter()
        .flat_map(|(file, findings)| findings.iter().map(move |finding| (file, finding)))
        .map(|(file, finding)| {
            let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } });
            if let Some(member) = &finding.member {
                location["logicalLocations"] = json!([{ "fullyQualifiedName": member, "kind": "member" }]);
            }
            let mut result = json!({
                "ruleId": finding.code.text(),
                "ruleIndex": Code::ALL.iter().position(|code| *code == finding.code),
                "level": level(finding.severity),
                "message": { "text": finding.message },
                "locations": [location],
            });
            if finding.omitted > 0 {
                result["occurrenceCount"] = finding.omitted.into();
            }
            if finding.allowed {
                result["suppressions"] = json!([{ "kind": "external", "justification": "--allow" }]);
            }
            result
        })
        .collect();
    json!({
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "venvtree", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A path as a URI reference: what has a meaning there, or is not ASCII, is written in hexadecimal.
fn uri(path: &Utf8Path) -> String {
    let mut uri = String::new();
    for byte in path.as_str().bytes() {
        match byte {
            b'\\' => uri.push('/'),
            b'/' | b'.' | b'-' | b'_' | b'~' | b'+' => uri.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
