//! Requirements with hashes, as pip-compile, `uv pip compile`, `uv export` and Poetry write them.
//!
//! Model layer. Each line names one version and the hashes of its files, but no file: which one it is can only be said among
//! files whose hashes are known. A line for a file (`name @ URL`, or a path) names its one wheel. Everything else that pip
//! takes, such as editable projects, other files or versions that are not exact, is a problem.

use std::str::FromStr as _;

use pep440_rs::Operator;

use crate::model::digest::Hash;
use crate::model::lock::document::{last_component, public};
use crate::model::lock::markers::Markers;
use crate::model::lock::problem::{EDITABLE, LockError, NO_HASH, Place, Problem};
use crate::model::lock::{Artifact, Lock, LockKind, Package, Roots, Source};
use crate::model::name::Version;
use crate::model::requirements::Requirement;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::member_hash::OtherHash;

/// Options that say where files are, or how pip works, with a value.
const PASSED_OVER: [&str; 12] = [
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--trusted-host",
    "--only-binary",
    "--use-feature",
    "--no-index",
    "--pre",
    "--prefer-binary",
    "--require-hashes",
];

pub(super) fn read(text: &str) -> Result<Lock, LockError> {
    let mut reader = Reader::default();
    for (line, text) in logical_lines(text) {
        reader.line(line, &text);
    }
    if !reader.problems.is_empty() {
        return Err(LockError::Text(reader.problems));
    }
    if reader.packages.is_empty() {
        reader.warnings.push("it requires nothing".to_owned());
    }
    Ok(Lock {
        kind: LockKind::Requirements,
        warnings: reader.warnings,
        requires_python: None,
        environments: Vec::new(),
        packages: reader.packages,
        markers: reader.markers,
        roots: Roots::default(),
    })
}

/// Lines without comments, joined where one ends in a backslash, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (line, comment) = without_comment(line);
        let (number, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        // A comment ends a line, as in pip, even if a backslash follows it.
        match line.strip_suffix('\\') {
            Some(line) if !comment => {
                joined.push_str(line);
                open = Some((number, joined));
            }
            _ => {
                joined.push_str(line);
                lines.push((number, joined));
            }
        }
    }
    lines.extend(open);
    lines
        .into_iter()
        .map(|(number, line)| (number, line.trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

/// A `#` begins a comment at the start of a line or after white space: URLs have it within.
fn without_comment(line: &str) -> (&str, bool) {
    let begins = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    match line.match_indices('#').find(|(at, _)| begins(*at)) {
        Some((at, _)) => (&line[..at], true),
        None => (line, false),
    }
}

/// The hashes of a requirement.
#[derive(Default)]
struct Hashes {
    sha256: Vec<Hash>,
    other: Vec<OtherHash>,
}

impl Hashes {
    fn is_empty(&self) -> bool {
        self.sha256.is_empty() && self.other.is_empty()
    }

    /// Those that count where there is no SHA-256.
    fn other(&self) -> &[OtherHash] {
        if self.sha256.is_empty() { &self.other } else { &[] }
    }
}

#[derive(Default)]
struct Reader {
    packages: Vec<Package>,
    markers: Markers,
    warnings: Vec<String>,
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, line: usize, message: String) {
        self.problems.push(Problem { place: Place { line, column: 1 }, column: false, message });
    }

    fn line(&mut self, line: usize, text: &str) {
        if text.starts_with('-') {
            return self.option(line, text);
        }
        // Options come last; a value with a dash before it is none of ours.
        let end = text.find(" -").or_else(|| text.find("\t-")).unwrap_or(text.len());
        let (requirement, options) = text.split_at(end);
        let requirement = requirement.trim();
        let hashes = self.hashes(line, requirement, options);
        let path = requirement.split(';').next().unwrap_or_default().trim();
        let named = requirement
            .split_once('@')
            .filter(|(name, _)| !name.contains(['/', '\\', ':', '=', ';']));
        if let Some((_, address)) = named {
            self.file(line, requirement, address.trim(), hashes);
        } else if path.contains(['/', '\\']) || path.ends_with(".whl") && !path.contains("==") {
            self.file(line, requirement, requirement, hashes);
        } else {
            self.version(line, requirement, hashes);
        }
    }

    fn option(&mut self, line: usize, text: &str) {
        let end = text.find([' ', '\t', '=']).unwrap_or(text.len());
        let (name, value) = (&text[..end], text[end..].trim_start_matches([' ', '\t', '=']));
        let shown = format!("{name} {}", public(value));
        match name {
            name if PASSED_OVER.contains(&name) => {}
            "-e" | "--editable" => self.problem(line, format!("`{shown}{EDITABLE}")),
            "-c" | "--constraint" => {
                self.warnings.push(format!(
                    "line {line}: `{shown}` is passed over: a lock has exact versions"
                ));
            }
            "-r" | "--requirement" => {
                self.problem(
                    line,
                    format!(
                        "`{shown}` names another file, and a lock is one: compile both into one"
                    ),
                );
            }
            "--no-binary" => self.problem(
                line,
                format!("`{shown}` asks for source distributions, and nothing is built here"),
            ),
            _ => self.problem(line, format!("`{name}` is an option that is not known")),
        }
    }

    fn hashes(&mut self, line: usize, requirement: &str, options: &str) -> Hashes {
        let mut hashes = Hashes::default();
        let mut words = options.split_whitespace();
        while let Some(word) = words.next() {
            let value = match word.split_once('=') {
                Some(("--hash", value)) => value,
                None if word == "--hash" => words.next().unwrap_or_default(),
                _ => {
                    // Nothing is built, so how to build does not matter.
                    if !["--config-settings", "--config-setting", "--global-option"]
                        .iter()
                        .any(|known| word.starts_with(known))
                    {
                        self.problem(
                            line,
                            format!(
                                "`{}` is followed by `{word}`, expected --hash",
                                public(requirement)
                            ),
                        );
                    }
                    continue;
                }
            };
            match value.split_once(':') {
                Some(("sha256", digits)) => match Hash::parse_hex(&digits.to_ascii_lowercase()) {
                    Ok(hash) => hashes.sha256.push(hash),
                    Err(error) => self.problem(
                        line,
                        format!("a hash of `{}` is none: {error}", public(requirement)),
                    ),
                },
                Some((algorithm, digits)) => match OtherHash::parse(algorithm, digits) {
                    Some(hash) => hashes.other.push(hash),
                    None if matches!(algorithm, "sha384" | "sha512") => self.problem(
                        line,
                        format!("a hash of `{}` is none: {value}", public(requirement)),
                    ),
                    None => {}
                },
                None => self.problem(
                    line,
                    format!("`--hash={value}` is no hash, expected one such as sha256:…"),
                ),
            }
        }
        hashes
    }

    /// `NAME==VERSION ; MARKER`.
    fn version(&mut self, line: usize, text: &str, hashes: Hashes) {
        let requirement = match Requirement::parse(text) {
            Ok(requirement) => requirement,
            Err(error) => {
                return self
                    .problem(line, format!("`{}` is no requirement: {error}", public(text)));
            }
        };
        let (shown, marker) = text
            .split_once(';')
            .map_or((text, None), |(shown, marker)| (shown.trim(), Some(marker)));
        let exact = |specifier: &pep440_rs::VersionSpecifier| {
            matches!(specifier.operator(), Operator::Equal | Operator::ExactEqual)
        };
        let version = match &requirement.specifiers[..] {
            [specifier] if exact(specifier) => specifier.version().clone(),
            _ => {
                let message = format!(
                    "`{shown}` is no exact version, expected `{}==VERSION`",
                    requirement.name
                );
                return self.problem(line, message);
            }
        };
        if hashes.is_empty() {
            return self.problem(line, format!("`{shown}{NO_HASH}"));
        }
        let name = requirement.name.clone();
        let mut package = Package::new(name, Place { line, column: 1 }, Source::Registry(None));
        package.version = Some(version.to_string());
        package.other_hashes = hashes.other().iter().cloned().collect();
        package.hashes = hashes.sha256.into_iter().collect();
        self.add(line, package, marker);
    }

    /// `NAME @ ADDRESS ; MARKER`, or an address without a name.
    fn file(&mut self, line: usize, text: &str, address: &str, mut hashes: Hashes) {
        let (address, marker) = match address.split_once(" ;").or_else(|| address.split_once("; "))
        {
            Some((address, marker)) => (address.trim(), Some(marker)),
            None => (address, None),
        };
        let url = address.contains("://");
        let file_name = last_component(address, url);
        let Ok(file) = WheelFilename::parse(&file_name) else {
            return self.problem(line, format!("`{}` is no wheel", public(text)));
        };
        if let Some((_, fragment)) = address.split_once('#').filter(|_| url) {
            let pinned = fragment.split('&').filter_map(|part| part.strip_prefix("sha256="));
            hashes.sha256.extend(pinned.filter_map(|digits| Hash::parse_hex(digits).ok()));
        }
        let (sha256, other_hash) = match (&hashes.sha256[..], hashes.other()) {
            ([hash], _) => (Some(*hash), None),
            ([], [hash]) => (None, Some(hash.parts())),
            ([], []) => return self.problem(line, format!("`{}{NO_HASH}", public(address))),
            _ => {
                return self.problem(
                    line,
                    format!("`{}` is one file and has several hashes", public(address)),
                );
            }
        };
        let place = public(address.split('#').next().unwrap_or(address));
        let name = match text.split_once('@').map(|(name, _)| Requirement::parse(name.trim())) {
            Some(Ok(named)) if named.name != file.name => {
                return self.problem(
                    line,
                    format!("`{}` is called like a wheel of {}", public(text), file.name),
                );
            }
            _ => file.name.clone(),
        };
        let mut package = Package::new(name, Place { line, column: 1 }, Source::Url(place.clone()));
        package.version =
            Version::from_str(&file.version.to_string()).ok().map(|version| version.to_string());
        let (path, url) = if url { (None, Some(place)) } else { (Some(place), None) };
        package.wheels.push(Artifact {
            file_name,
            url,
            path,
            sha256,
            other_hash,
            ..Artifact::default()
        });
        self.add(line, package, marker);
    }

    fn add(&mut self, line: usize, mut package: Package, marker: Option<&str>) {
        match marker.map(|marker| self.markers.add(marker.trim())).transpose() {
            Ok(marker) => {
                package.marker = marker;
                self.packages.push(package);
            }
            Err(error) => self.problem(line, error.to_string()),
        }
    }
}
