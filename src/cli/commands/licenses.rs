//! `venvtree licenses`: under which licenses the distributions of an environment are, and whether a
//! rule allows them.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, Printer};
use crate::cli::inputs::bill::{BillArguments, Source};
use crate::cli::inputs::destination::Destination;
use crate::cli::io::Io;
use crate::cli::quantity;
use crate::cli::text::Text;
use crate::cli::verb::{Request, Verb};
use crate::error::Error;
use crate::model::name::DistName;
use crate::model::proof::license::{License, NotAnExpression, Rule};
use crate::model::proof::{Part, PartFile};

/// Arguments of `venvtree licenses`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree licenses env.json
  # For CI; the exit code is 6 if the rule is broken:
  venvtree licenses env.json --allow-license MIT \\
    --assume tool=MIT
  venvtree licenses .venv --deny-license GPL-3.0-only \\
    --assume tool=MIT
  # All texts, to ship with an image:
  venvtree licenses env.json --texts

Of alternatives (`MIT OR GPL-3.0-only`) one has to be allowed, of `AND` all. A license that is no SPDX expression is a \
violation of every rule, since nobody can decide that but a person; `--assume` says what that person found.")]
pub struct LicensesArguments {
    #[command(flatten)]
    bill: BillArguments,
    /// Allow only these licenses, an SPDX expression that names them; may be repeated.
    #[arg(long, value_name = "LICENSES")]
    allow_license: Vec<String>,
    /// Allow all but these; may be repeated.
    #[arg(long, value_name = "LICENSES")]
    deny_license: Vec<String>,
    /// Take a distribution's license to be this, whatever it says; may be repeated.
    #[arg(long, value_name = "NAME=LICENSE")]
    assume: Vec<String>,
    /// Print the license texts.
    #[arg(long)]
    texts: bool,
    /// Write the list to FILE instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
}

/// Whose licenses are wanted, and the rule.
pub(crate) struct Licenses {
    source: Source,
    rule: Rule,
    assumed: BTreeMap<DistName, License>,
    texts: bool,
    out: Destination,
}

impl Verb for LicensesArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Licenses, Error> {
        let rule = Rule::new(&self.allow_license, &self.deny_license).map_err(not_an_expression)?;
        let mut assumed = BTreeMap::new();
        for text in &self.assume {
            let parts = text.split_once('=');
            let parts =
                parts.and_then(|(name, license)| Some((DistName::parse(name).ok()?, license)));
            let Some((name, license)) = parts else {
                return Err(Error::usage(format!("`{text}` is not NAME=LICENSE"))
                    .hint("for example --assume tzdata=Apache-2.0"));
            };
            assumed.insert(name, License::stated(license).map_err(not_an_expression)?);
        }
        let out = Destination::new(self.out, io)?;
        let source = self.bill.source(self.texts, io)?;
        out.check(source.file())?;
        Ok(Licenses { source, rule, assumed, texts: self.texts, out })
    }
}

impl Request for Licenses {
    fn run(self, io: &mut Io<'_>) -> Result<LicensesAnswer, Error> {
        let Self { source, rule, mut assumed, texts, out } = self;
        let (bill, _) = source.without_bytecode().bill(io)?;
        let mut distributions: Vec<Row> = Vec::new();
        for part in bill.distributions {
            let stated = assumed.remove(&part.name);
            distributions.push(Row::new(part, stated, &rule));
        }
        if let Some(name) = assumed.keys().next() {
            return Err(Error::usage(format!("`{}` is not in the environment", name.written()))
                .hint("take it out of --assume"));
        }
        let listing = listing(&distributions, texts);
        let out = out.write(&format!("{}\n", Text::of_lines(&listing).as_str()))?;
        Ok(LicensesAnswer { distributions, listing, out })
    }
}

fn not_an_expression(error: NotAnExpression) -> Error {
    let hint =
        "licenses are named as in SPDX's list: MIT, Apache-2.0, BSD-3-Clause, LicenseRef-Own";
    Error::usage(error.to_string()).hint(hint)
}

/// The distributions and their licenses.
#[derive(Debug, Serialize)]
pub(crate) struct LicensesAnswer {
    distributions: Vec<Row>,
    #[serde(skip)]
    listing: Vec<String>,
    /// The file that the list was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<Utf8PathBuf>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    version: String,
    /// An SPDX expression.
    expression: Option<String>,
    /// What is none.
    names: Vec<String>,
    /// Who says so: the field that is made for it, older fields, or the command line.
    from: From,
    #[serde(skip)]
    shown: String,
    files: Vec<File>,
    violation: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum From {
    Expression,
    Fields,
    Assumed,
}

#[derive(Debug, Serialize)]
struct File {
    path: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Row {
    fn new(part: Part, stated: Option<License>, rule: &Rule) -> Self {
        let from = match (&stated, part.license.declared) {
            (Some(_), _) => From::Assumed,
            (None, true) => From::Expression,
            (None, false) => From::Fields,
        };
        let license = stated.unwrap_or(part.license);
        Self {
            name: part.name.written().to_owned(),
            version: part.version.to_string(),
            violation: rule.violation(&license),
            shown: license.to_string(),
            expression: license.expression,
            names: license.names,
            from,
            files: part.license_files.into_iter().map(File::new).collect(),
        }
    }
}

impl File {
    fn new(file: PartFile) -> Self {
        Self { path: file.path, sha256: file.sha256.to_string(), text: file.text }
    }
}

/// A line for each distribution, with the texts of its licenses below it if they are wanted.
fn listing(distributions: &[Row], texts: bool) -> Vec<String> {
    let name = distributions.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let version = distributions.iter().map(|row| row.version.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for row in distributions {
        lines.push(format!("{:name$}  {:version$}  {}", row.name, row.version, row.shown));
        for file in row.files.iter().filter(|_| texts) {
            lines.push(format!("--- {}", file.path));
            lines.extend(file.text.as_deref().unwrap_or_default().lines().map(str::to_owned));
        }
    }
    lines
}

impl LicensesAnswer {
    fn violations(&self) -> impl Iterator<Item = &Row> {
        self.distributions.iter().filter(|row| row.violation.is_some())
    }
}

impl Answer for LicensesAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        if self.out.is_none() {
            printer.print_text(&Text::of_lines(&self.listing))?;
        }
        for row in self.violations() {
            let why = row.violation.as_deref().unwrap_or_default();
            printer.warn(&format!("{} {}: {why}", row.name, row.version));
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        let number = self.violations().count();
        let of = quantity::count(self.distributions.len(), "distribution");
        let written = self.out.iter().map(|out| format!("wrote `{out}`: {of}"));
        let broken = format!("the rule allows {} of {of}", self.distributions.len() - number);
        written.chain((number > 0).then_some(broken)).collect()
    }

    fn exit_code(&self) -> u8 {
        if self.violations().next().is_some() { 6 } else { 0 }
    }
}
