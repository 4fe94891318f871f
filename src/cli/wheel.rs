//! `venvtree wheel`.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::args::{Deferred, Format, LimitArguments};
use crate::cli::io::Io;
use crate::cli::text::Text;
use crate::cli::{CommandResult, report, wheel_for, written};
use crate::effects::host::input::InputError;
use crate::effects::wheels::inspect::{inspect_environment, inspect_wheel};
use crate::effects::wheels::load::{LoadOptions, WheelError};
use crate::effects::work::parallel;
use crate::engine::judge::{Judged, Verdict};
use crate::error::{self, Error, ErrorKind};
use crate::model::finding::{Code, Finding, Severity};
use crate::model::plan::PlanWarning;
use crate::model::spec::Spec;
use crate::model::wheel::filename::WheelFilename;

/// The subcommands of `venvtree wheel`.
#[derive(Debug, Subcommand)]
pub enum WheelCommand {
    /// Report everything odd about wheels, and what would run when an interpreter starts.
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
  venvtree wheel check --fail-on warning \\
      --format sarif wheels/*.whl > wheels.sarif
  venvtree wheel check --allow record.unlisted \\
      six-1.16.0-py2.py3-none-any.whl
  venvtree wheel check --for python3.12 wheels/*.whl
  venvtree wheel check .venv

With --for, a wheel is also judged as `build` would judge it, alone, for that interpreter: tags, Requires-Python, \
scripts, names and lengths of paths. What it requires of other wheels is listed. Without it, the report says what \
depends on the interpreter.

A directory is an environment or a site-packages folder: what runs when its interpreter starts is reported. Every \
code is explained in docs/findings.md. The exit code is 4 if a finding is at least as severe as --fail-on.")]
pub struct CheckArguments {
    /// Wheels, or directories of environments.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<Utf8PathBuf>,
    /// Turn findings of this code into warnings; may be repeated.
    #[arg(long, value_name = "CODE")]
    allow: Vec<Code>,
    /// Turn findings of this code into errors; may be repeated.
    #[arg(long, value_name = "CODE", visible_alias = "strict")]
    deny: Vec<Code>,
    /// Judge wheels for this interpreter too: a JSON file as `interpreter probe` prints it (`-`
    /// reads standard input), a target as `spec from` takes it (`linux-x86_64-3.12`), or what
    /// `create --python` takes.
    #[arg(long = "for", value_name = "FACTS|PYTHON")]
    interpreter: Option<String>,
    /// Fail on findings of this severity or a higher one.
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY")]
    fail_on: FailOn,
    /// The file name that the wheel was published under, where the path's is another (a cache's,
    /// say); for one FILE.
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
        return Err(Error::Usage {
            message: format!("findings of the code `{code}` are allowed and also denied"),
            hint: None,
        });
    }
    let spec = arguments
        .interpreter
        .as_deref()
        .map(|text| wheel_for::interpreter(text, io))
        .transpose()?;
    let examine = |index: usize| -> Result<FileReport<'_>, InputError> {
        let file = &arguments.files[index];
        let path = io.cwd.join(file);
        let mut report = FileReport { file, findings: Vec::new(), judged: None, verdict: None };
        if path.is_dir() {
            report.findings = inspect_environment(&path, &options)?;
            return Ok(report);
        }
        let name = arguments.name.as_deref().or(path.file_name()).unwrap_or_default();
        report.findings = inspect_wheel(&path, name, &options)?;
        if spec.is_some() && options.deny.is_empty() {
            // Where the platform is known, the plan says whether scripts have to be rewritten, and
            // whether they can be.
            report.findings.retain(|finding| finding.code != Code::ScriptForm);
        }
        let sound = report.findings.iter().all(|finding| finding.severity != Severity::Error);
        // What nobody could build with is judged for no interpreter.
        if let (true, Ok(filename)) = (sound, WheelFilename::parse(name)) {
            match Judged::load(&path, &filename, &options) {
                Ok(judged) => {
                    report.verdict = spec.as_ref().map(|spec| judged.judge(spec));
                    report.judged = Some(judged);
                }
                Err(WheelError::Refused { findings, .. }) => report.findings = findings,
                Err(WheelError::Input(error)) => return Err(error),
                Err(WheelError::Digest { .. } | WheelError::Member { .. }) => {}
            }
        }
        Ok(report)
    };
    let results = parallel::map(parallel::available(), arguments.files.len(), |index| {
        Ok::<_, Infallible>(examine(index))
    })
    .unwrap_or_else(|never| match never {});
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    for result in results {
        match result {
            Ok(report) => reports.push(report),
            Err(error) => unreadable.push(error.into()),
        }
    }
    let error = (!unreadable.is_empty()).then_some(Error::Inputs(unreadable));
    // If no file could be read, the error alone is the report.
    if !reports.is_empty() {
        match arguments.format {
            CheckFormat::Text => written(io.print_text(&text(&reports)))?,
            CheckFormat::Json => {
                let mut value = json(&reports, spec.as_ref());
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
            CheckFormat::Sarif => written(io.print_text(&Text::of_json(&sarif(&reports))))?,
        }
    }
    if let Some(error) = error {
        return Err(error);
    }
    if spec.is_none()
        && arguments.format == CheckFormat::Text
        && reports.iter().any(|report| report.judged.is_some())
    {
        io.say(
            "note: not judged, as they depend on the interpreter: tags, Requires-Python, markers of requirements, scripts, names and lengths of \
             paths; --for FACTS|PYTHON judges them",
        );
    }
    let worst = reports.iter().filter_map(FileReport::worst).max();
    let failed = worst.is_some_and(|worst| worst >= arguments.fail_on.into());
    Ok(if failed { ErrorKind::Wheel.exit_code() } else { 0 })
}

/// What was found in a file.
struct FileReport<'a> {
    file: &'a Utf8Path,
    findings: Vec<Finding>,
    /// The wheel, where it can be judged for an interpreter.
    judged: Option<Judged>,
    /// What the interpreter that was asked for makes of it.
    verdict: Option<Verdict>,
}

impl FileReport<'_> {
    /// How bad the worst of it is.
    fn worst(&self) -> Option<Severity> {
        let problems = self.verdict.as_ref().is_some_and(|verdict| !verdict.problems.is_empty());
        let warnings =
            self.verdict.as_ref().is_some_and(|verdict| verdict.warnings.iter().any(is_news));
        let judged = [problems.then_some(Severity::Error), warnings.then_some(Severity::Warning)];
        self.findings
            .iter()
            .map(|finding| finding.severity)
            .chain(judged.into_iter().flatten())
            .max()
    }
}

/// Whether a warning of a plan says what no finding says.
fn is_news(warning: &PlanWarning) -> bool {
    !matches!(warning, PlanWarning::Allowed { .. })
}

type Reports<'a> = [FileReport<'a>];

fn counts(findings: &[Finding]) -> BTreeMap<Severity, u64> {
    let mut counts: BTreeMap<Severity, u64> =
        Severity::ALL.iter().map(|severity| (*severity, 0)).collect();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += finding.count();
    }
    counts
}

/// For people: each file, its findings, and the explanation of each code once.
fn text(reports: &Reports<'_>) -> Text {
    let mut lines = Vec::new();
    let mut explained = BTreeSet::new();
    for FileReport { file, findings, verdict, .. } in reports {
        let mut counts = counts(findings);
        if let Some(verdict) = verdict {
            *counts.entry(Severity::Error).or_default() += verdict.problems.len() as u64;
            *counts.entry(Severity::Warning).or_default() +=
                verdict.warnings.iter().filter(|warning| is_news(warning)).count() as u64;
        }
        let summary: Vec<String> = [
            (Severity::Error, "error"),
            (Severity::Warning, "warning"),
            (Severity::Information, "note"),
        ]
        .into_iter()
        .filter(|(severity, _)| counts[severity] > 0)
        .map(|(severity, noun)| {
            report::count(usize::try_from(counts[&severity]).unwrap_or(usize::MAX), noun)
        })
        .collect();
        let allowed: u64 =
            findings.iter().filter(|finding| finding.allowed).map(Finding::count).sum();
        let allowed =
            if allowed > 0 { format!(", {allowed} of them allowed") } else { String::new() };
        let fits = match verdict {
            Some(verdict) if verdict.problems.is_empty() => ", fits the interpreter",
            Some(_) => ", does not fit the interpreter",
            None => "",
        };
        lines.push(format!(
            "{file}: {}{allowed}{fits}",
            if summary.is_empty() { "nothing found".to_owned() } else { summary.join(", ") }
        ));
        for finding in findings {
            lines.push(format!("  {finding}"));
            if explained.insert(finding.code) {
                lines.push(format!("      {}", finding.code.explanation()));
            }
        }
        if let Some(verdict) = verdict {
            text_verdict(verdict, &mut lines);
        }
    }
    Text::of_lines(lines)
}

/// What an interpreter makes of a wheel, for people.
fn text_verdict(verdict: &Verdict, lines: &mut Vec<String>) {
    for problem in &verdict.problems {
        lines.extend(error::lines(
            &format!("  error[{}]: {problem}", problem.code()),
            &problem.items(),
        ));
        lines.extend(problem.hint().map(|hint| format!("      {hint}")));
    }
    for warning in verdict.warnings.iter().filter(|warning| is_news(warning)) {
        lines.extend(error::lines(
            &format!("  warning[{}]: {warning}", warning.code()),
            &warning.items(),
        ));
    }
    if !verdict.needs.is_empty() {
        const SHOWN: usize = 8;
        let shown = verdict
            .needs
            .iter()
            .take(SHOWN)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let more = if verdict.needs.len() > SHOWN {
            format!(" and {} more", verdict.needs.len() - SHOWN)
        } else {
            String::new()
        };
        lines.push(format!("  needs {shown}{more}"));
    }
}

fn json(reports: &Reports<'_>, spec: Option<&Spec>) -> Value {
    let files: Vec<Value> = reports
        .iter()
        .map(|FileReport { file, findings, judged, verdict }| {
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
            let mut value = json!({ "file": file, "findings": findings });
            if let Some(judged) = judged {
                let (dependence, verdict) = wheel_for::verdict_json(judged, verdict.as_ref());
                value["depends_on_interpreter"] = dependence;
                value["verdict"] = verdict;
            }
            value
        })
        .collect();
    let all: Vec<Finding> =
        reports.iter().flat_map(|report| report.findings.iter().cloned()).collect();
    let counts: serde_json::Map<String, Value> = counts(&all)
        .into_iter()
        .rev()
        .map(|(severity, count)| (severity.name().to_owned(), count.into()))
        .collect();
    json!({ "counts": counts, "files": files, "interpreter": spec.map(|spec| spec.interpreter.to_string()) })
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
    let unfit = reports.iter().flat_map(|report| {
        let problems = report.verdict.iter().flat_map(|verdict| &verdict.problems);
        problems.map(|problem| {
            json!({
                "ruleId": format!("build.{}", problem.code()),
                "level": "error",
                "message": { "text": problem.to_string() },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(report.file) } } }],
            })
        })
    });
    let results: Vec<Value> = reports
        .iter()
        .flat_map(|report| report.findings.iter().map(move |finding| (report.file, finding)))
        .map(|(file, finding)| {
            let mut location =
                json!({ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } });
            if let Some(member) = &finding.member {
                location["logicalLocations"] =
                    json!([{ "fullyQualifiedName": member, "kind": "member" }]);
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
                result["suppressions"] =
                    json!([{ "kind": "external", "justification": "--allow" }]);
            }
            result
        })
        .chain(unfit)
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
