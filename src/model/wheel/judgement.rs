//! Which finding each problem of a wheel's texts becomes.
//!
//! Model layer. The readers of texts say what is wrong; how bad that is stands in the one table of
//! codes.

use super::entry_points::{EntryPointProblem, EntryPointProblemKind, EntryPoints};
use super::headers::HeaderError;
use super::headers::shortened;
use super::metadata::Metadata;
use super::record::{Record, RecordProblemKind};
use super::wheel_file::{Disagreement, WheelHeaders};
use crate::model::explain::chain;
use crate::model::finding::{Code, Findings};
use crate::model::requirements::{Requirement, parse_specifiers};

impl From<&RecordProblemKind> for Code {
    fn from(kind: &RecordProblemKind) -> Self {
        use RecordProblemKind as Kind;
        match kind {
            Kind::NotUtf8 => Self::RecordEncoding,
            Kind::ByteOrderMark => Self::RecordByteOrderMark,
            Kind::Blank => Self::RecordBlankRow,
            Kind::Columns { .. } => Self::RecordColumns,
            Kind::Quotes => Self::RecordQuotes,
            Kind::Folder => Self::RecordAbsentFile,
            Kind::Path(_) => Self::RecordPath,
            Kind::WeakAlgorithm { .. } => Self::RecordWeakHash,
            Kind::UnknownAlgorithm { .. } => Self::RecordUnknownHash,
            Kind::NoAlgorithm { .. }
            | Kind::Alphabet { .. }
            | Kind::HashLength { .. }
            | Kind::TrailingBits => Self::RecordBadHash,
            Kind::Padding => Self::RecordPadding,
            Kind::OrdinaryAlphabet => Self::RecordAlphabet,
            Kind::Hexadecimal => Self::RecordHexadecimal,
            Kind::AlgorithmName { .. } => Self::RecordAlgorithmName,
            Kind::TooManyRows { .. } => Self::RecordLimit,
            Kind::Size { .. } => Self::RecordSize,
            Kind::NoHash => Self::RecordNoHash,
            Kind::Repeated { .. } => Self::RecordRepeatedRow,
            Kind::Contradiction { .. } => Self::RecordContradiction,
            Kind::OwnHash => Self::RecordOwnHash,
            Kind::NoOwnRow => Self::RecordNoOwnRow,
            Kind::Signature => Self::RecordSignatureRow,
        }
    }
}

impl From<&Disagreement> for Code {
    fn from(disagreement: &Disagreement) -> Self {
        match disagreement {
            Disagreement::Name { .. } => Self::MetadataOtherName,
            Disagreement::Version { .. } => Self::MetadataOtherVersion,
            Disagreement::LocalVersion { .. } => Self::MetadataLocalVersion,
            Disagreement::Tags { .. } => Self::MetadataOtherTags,
            Disagreement::Build { .. } => Self::MetadataOtherBuild,
        }
    }
}

impl From<&EntryPointProblemKind> for Code {
    fn from(kind: &EntryPointProblemKind) -> Self {
        use EntryPointProblemKind as Kind;
        match kind {
            Kind::TooMany => Self::MetadataLimit,
            Kind::NotUtf8
            | Kind::Character { .. }
            | Kind::Section { .. }
            | Kind::DefaultSection
            | Kind::RepeatedSection { .. }
            | Kind::NoSection { .. }
            | Kind::NoDelimiter { .. }
            | Kind::Continuation { .. } => Self::ScriptSyntax,
            Kind::Name { .. } => Self::ScriptName,
            Kind::Reserved { .. } => Self::ScriptReserved,
            Kind::NoAttribute { .. } | Kind::Identifier { .. } | Kind::Extras { .. } => {
                Self::ScriptReference
            }
            Kind::Repeated { .. } => Self::ScriptRepeated,
            Kind::Duplicate { .. } => Self::ScriptDuplicate,
        }
    }
}

/// Reports what is wrong with a RECORD itself. `member` is its path.
pub(super) fn judge_record(record: &Record<'_>, member: &str, findings: &mut Findings) {
    for problem in record.problems() {
        findings.add_member(
            Code::from(&problem.kind),
            problem.path.as_deref().unwrap_or(member),
            problem.to_string(),
        );
    }
    for (kind, count) in record.omitted() {
        findings.omit(Code::from(&kind), count);
    }
}

/// Reports what is wrong with WHEEL or METADATA. `member` is its path.
pub(super) fn judge_headers(errors: &[HeaderError], member: &str, findings: &mut Findings) {
    for error in errors {
        findings.add_member(Code::from(error), member, chain(error));
    }
}

/// Reports requirements that nobody understands, and those that are written as no current
/// specification has it.
pub(super) fn judge_requirements(metadata: &Metadata, member: &str, findings: &mut Findings) {
    let mut report = |code: Code, what: &str, text: &str, read: Result<bool, String>| match read {
        Ok(false) => {}
        Ok(true) => findings.add_member(
            Code::MetadataLegacyRequirement,
            member,
            format!("{what} is `{}`", shortened(text)),
        ),
        Err(reason) => {
            let reason = reason.lines().next().unwrap_or_default();
            findings.add_member(code, member, format!("{what} is `{}`: {reason}", shortened(text)));
        }
    };
    if let Some(requires) = &metadata.requires_python {
        let read = parse_specifiers(requires).map(|specifiers| specifiers.legacy);
        report(Code::MetadataRequiresPython, "Requires-Python", requires, read);
    }
    for requirement in &metadata.requires_dist {
        let read = Requirement::parse(requirement)
            .map(|requirement| requirement.legacy)
            .map_err(|error| error.to_string());
        report(Code::MetadataRequirement, "a requirement", requirement, read);
    }
}

/// Reports what WHEEL and METADATA say otherwise than the file's name, and formats that are newer
/// than is known.
pub(super) fn judge_agreement(
    wheel: Option<(&WheelHeaders, &str)>,
    metadata: Option<(&Metadata, &str)>,
    filename: &super::filename::WheelFilename,
    findings: &mut Findings,
) {
    let mut report = |disagreements: Vec<Disagreement>, member: &str| {
        for disagreement in &disagreements {
            findings.add_member(Code::from(disagreement), member, disagreement.to_string());
        }
    };
    if let Some((headers, member)) = wheel {
        report(headers.disagreements(filename), member);
    }
    if let Some((metadata, member)) = metadata {
        report(metadata.disagreements(filename), member);
    }
    let newer = |(major, minor): (u32, u32)| {
        format!("the format's version is {major}.{minor}, newer than is known")
    };
    if let Some((headers, member)) = wheel.filter(|(headers, _)| headers.newer_format()) {
        findings.add_member(Code::MetadataNewerFormat, member, newer(headers.format));
    }
    if let Some((metadata, member)) = metadata.filter(|(metadata, _)| metadata.newer_format()) {
        findings.add_member(Code::MetadataNewerFormat, member, newer(metadata.format));
    }
}

/// Reports what is wrong with `entry_points.txt`. `member` is its path.
pub(super) fn judge_entry_points(
    entry_points: &EntryPoints,
    member: &str,
    findings: &mut Findings,
) {
    for problem @ EntryPointProblem { kind, .. } in &entry_points.problems {
        findings.add_member(Code::from(kind), member, problem.to_string());
    }
    for (kind, count) in &entry_points.omitted {
        findings.omit(Code::from(kind), *count);
    }
}
