//! `venvtree wheel check`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};

use crate::cli::answer::{Answer, PlanWarningDocument, Printer};
use crate::cli::commands::wheel::{facts, sarif};
use crate::cli::io::Io;
use crate::cli::options::{Format, LimitArguments, Output};
use crate::cli::quantity;
use crate::cli::text::{self, Text};
use crate::cli::verb::{Request, Verb};
use crate::engine::judge::{Dependence, Verdict};
use crate::engine::wheels::{self, Examined, LoadOptions, Suspect};
use crate::error::{Error, ErrorKind, Explain as _};
use crate::model::finding::{Code, Finding, Severity};
use crate::model::plan::{PlanProblem, PlanWarning};
use crate::model::spec::Spec;

/// Arguments of `venvtree wheel check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree wheel check dist
  venvtree wheel check --fail-on warning \\
      --format sarif wheels/*.whl > wheels.sarif
  venvtree wheel check --allow record.unlisted \\
      six-1.16.0-py2.py3-none-any.whl
  venvtree wheel check --for python3.12 wheels/*.whl
  venvtree wheel check .venv

With --for, a wheel is also judged as `build` would judge it, alone, for that interpreter: tags, Requires-Python, \
scripts, names and lengths of paths. What it requires of other wheels is listed. Without it, the report says what \
depends on the interpreter.

Of a directory, the wheels that lie directly in it are checked. If it is an environment or a site-packages folder, what \
runs when its interpreter starts is reported. A directory that is none of these is an error. Every code is explained \
in docs/findings.md. The exit code is 4 if a finding is at least as severe as --fail-on.")]
pub struct CheckArguments {
    /// Wheels, directories of wheels, or environments.
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

/// What is checked, and for whom.
pub(crate) struct Check {
    /// The files as they were typed, and where they are.
    files: Vec<(Utf8PathBuf, Utf8PathBuf)>,
    /// The name under which the only file was published.
    name: Option<String>,
    options: LoadOptions,
    /// A spec without wheels for the interpreter that was named.
    spec: Option<Spec>,
    fail_on: Severity,
    format: CheckFormat,
}

impl Verb for CheckArguments {
    fn output(&self) -> Output {
        let format = match self.format {
            CheckFormat::Json => Format::Json,
            CheckFormat::Text | CheckFormat::Sarif => Format::Text,
        };
        Output { format, quiet: false }
    }

    fn request(self, io: &mut Io<'_>) -> Result<Check, Error> {
        if self.name.is_some() && self.files.len() != 1 {
            return Err(Error::usage("`--name` is for one FILE").into());
        }
        let options = LoadOptions {
            limits: self.limits.apply(&io.limits),
            allow: self.allow.iter().copied().collect(),
            deny: self.deny.iter().copied().collect(),
        };
        if let Some(code) = options.allow.intersection(&options.deny).next() {
            return Err(Error::usage(format!(
                "findings of the code `{code}` are allowed and also denied"
            ))
            .into());
        }
        let place = |file: Utf8PathBuf| {
            let path = io.resolve(&file);
            (file, path)
        };
        let files: Vec<_> = self.files.into_iter().map(place).collect();
        if let (Some(_), [(file, path)]) = (&self.name, &files[..])
            && path.is_dir()
        {
            return Err(Error::usage(format!("`--name` is for one FILE, `{file}` is a directory"))
                .hint("name the wheel itself"));
        }
        let interpreter = self.interpreter.as_deref();
        Ok(Check {
            files,
            name: self.name,
            options,
            spec: interpreter.map(|text| facts::interpreter(text, io)).transpose()?,
            fail_on: self.fail_on.into(),
            format: self.format,
        })
    }
}

impl Request for Check {
    fn run(self, _io: &mut Io<'_>) -> Result<CheckAnswer, Error> {
        let mut unreadable = Vec::new();
        let mut named = Vec::new();
        for (file, path) in &self.files {
            match wheels::suspects(path) {
                // What lies in a directory is called as if it had been typed.
                Ok(found) => named.extend(found.into_iter().map(|found| {
                    let inner = found.strip_prefix(path).ok().filter(|inner| *inner != "");
                    (inner.map_or_else(|| file.clone(), |inner| file.join(inner)), found)
                })),
                Err(error) => unreadable.push(error),
            }
        }
        let suspects: Vec<Suspect<'_>> = named
            .iter()
            .map(|(_, path)| Suspect {
                path: path.clone(),
                name: self.name.as_deref().or(path.file_name()).unwrap_or_default(),
            })
            .collect();
        let results = wheels::examine(&suspects, &self.options, self.spec.as_ref());
        let mut files = Vec::new();
        for (result, (file, _)) in results.into_iter().zip(named) {
            match result {
                Ok(found) => files.push(FileReport { file, found }),
                Err(error) => unreadable.push(error),
            }
        }
        let error = wheels::unreadable(unreadable);
        match error {
            // If no file could be read, the error alone is the answer.
            Some(error) if files.is_empty() => Err(error),
            error => Ok(CheckAnswer {
                counts: Counts(counts(files.iter().flat_map(|report| &report.found.findings))),
                files,
                interpreter: self.spec.map(|spec| spec.interpreter.to_string()),
                error,
                fail_on: self.fail_on,
                format: self.format,
            }),
        }
    }
}

/// What was found in some files.
#[derive(Debug, Serialize)]
pub(crate) struct CheckAnswer {
    counts: Counts,
    files: Vec<FileReport>,
    interpreter: Option<String>,
    /// The files that could not be read.
    #[serde(skip)]
    error: Option<Error>,
    #[serde(skip)]
    fail_on: Severity,
    #[serde(skip)]
    format: CheckFormat,
}

/// How many findings there are of each severity; in a document, the worst come first.
#[derive(Debug)]
struct Counts(BTreeMap<Severity, u64>);

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = self.0.iter().rev().map(|(severity, count)| (severity.name(), count));
        serializer.collect_map(counts)
    }
}

impl Answer for CheckAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        if self.format == CheckFormat::Sarif {
            // The standard says what a document holds, its own version first.
            let files: Vec<sarif::Findings<'_>> =
                self.files.iter().map(FileReport::for_sarif).collect();
            return printer.print_text(&Text::of_json(&sarif::document(&files)));
        }
        printer.print_text(&text(&self.files))?;
        let depends = self.files.iter().any(|report| report.found.dependence.is_some());
        if self.error.is_none() && self.interpreter.is_none() && depends {
            printer.say(
                "note: not judged, as they depend on the interpreter: tags, Requires-Python, markers of requirements, scripts, names and lengths of \
                 paths; --for FACTS|PYTHON judges them",
            );
        }
        Ok(())
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    fn exit_code(&self) -> u8 {
        let worst = self.files.iter().filter_map(FileReport::worst).max();
        let failed = worst.is_some_and(|worst| worst >= self.fail_on);
        if failed { ErrorKind::Wheel.exit_code() } else { 0 }
    }
}

/// What was found in a file.
#[derive(Debug)]
struct FileReport {
    file: Utf8PathBuf,
    found: Examined,
}

impl FileReport {
    fn for_sarif(&self) -> sarif::Findings<'_> {
        sarif::Findings {
            file: &self.file,
            findings: &self.found.findings,
            problems: self.found.verdict.as_ref().map_or(&[], |verdict| &verdict.problems),
        }
    }

    /// How bad the worst of it is.
    fn worst(&self) -> Option<Severity> {
        let problems =
            self.found.verdict.as_ref().is_some_and(|verdict| !verdict.problems.is_empty());
        let warnings =
            self.found.verdict.as_ref().is_some_and(|verdict| verdict.warnings.iter().any(is_news));
        let judged = [problems.then_some(Severity::Error), warnings.then_some(Severity::Warning)];
        self.found
            .findings
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

/// A file in a document.
#[derive(Serialize)]
struct FileDocument<'a> {
    file: &'a Utf8Path,
    findings: Vec<FindingDocument<'a>>,
    #[serde(flatten)]
    judgement: Option<Judgement<'a>>,
}

#[derive(Serialize)]
struct FindingDocument<'a> {
    code: Code,
    severity: Severity,
    member: Option<&'a str>,
    message: &'a str,
    explanation: &'static str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<u64>,
}

/// What is said of a wheel that was judged, or could be.
#[derive(Serialize)]
struct Judgement<'a> {
    depends_on_interpreter: &'a Dependence,
    verdict: Option<VerdictDocument<'a>>,
}

#[derive(Serialize)]
struct VerdictDocument<'a> {
    fits: bool,
    problems: Vec<ProblemDocument>,
    warnings: Vec<PlanWarningDocument>,
    needs: &'a [String],
}

#[derive(Serialize)]
struct ProblemDocument {
    code: &'static str,
    message: String,
    hint: Option<Cow<'static, str>>,
}

impl<'a> FindingDocument<'a> {
    fn new(finding: &'a Finding) -> Self {
        Self {
            code: finding.code,
            severity: finding.severity,
            member: finding.member.as_deref(),
            message: &finding.message,
            explanation: finding.code.explanation(),
            allowed: finding.allowed,
            omitted: Some(finding.omitted).filter(|&omitted| omitted > 0),
        }
    }
}

impl<'a> VerdictDocument<'a> {
    fn new(verdict: &'a Verdict) -> Self {
        let problem = |problem: &PlanProblem| ProblemDocument {
            code: problem.code(),
            message: problem.to_string(),
            hint: problem.hint(),
        };
        Self {
            fits: verdict.problems.is_empty(),
            problems: verdict.problems.iter().map(problem).collect(),
            warnings: verdict.warnings.iter().map(PlanWarningDocument::from).collect(),
            needs: &verdict.needs,
        }
    }
}

impl Serialize for FileReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let judgement = self.found.dependence.as_ref().map(|dependence| Judgement {
            depends_on_interpreter: dependence,
            verdict: self.found.verdict.as_ref().map(VerdictDocument::new),
        });
        let findings = self.found.findings.iter().map(FindingDocument::new).collect();
        FileDocument { file: &self.file, findings, judgement }.serialize(serializer)
    }
}

fn counts<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> BTreeMap<Severity, u64> {
    let mut counts: BTreeMap<Severity, u64> =
        Severity::ALL.iter().map(|severity| (*severity, 0)).collect();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += finding.count();
    }
    counts
}

/// For people: each file, its findings, and the explanation of each code once.
fn text(reports: &[FileReport]) -> Text {
    let mut lines = Vec::new();
    let mut explained = BTreeSet::new();
    for FileReport { file, found: Examined { findings, verdict, .. } } in reports {
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
        .map(|(severity, noun)| quantity::count_u64(counts[&severity], noun))
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
        lines.extend(text::lines(
            &format!("  error[{}]: {problem}", problem.code()),
            &problem.items(),
        ));
        lines.extend(problem.hint().map(|hint| format!("      {hint}")));
    }
    for warning in verdict.warnings.iter().filter(|warning| is_news(warning)) {
        lines.extend(text::lines(
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
