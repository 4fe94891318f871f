//! `venvtree pack`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use serde_json::json;

use crate::cli::apart;
use crate::cli::args::{Format, PlacesArguments, QuietArguments, SpecArguments};
use crate::cli::io::Io;
use crate::cli::spec_input::{self, say_warnings, warnings_json};
use crate::cli::{CommandResult, report, variables};
use crate::effects::host::output_file::OutputFile;
use crate::effects::sink::archive::{ArchiveFormat, ArchiveOptions};
use crate::effects::work::progress::{Amount, Phase};
use crate::engine;
use crate::error::Error;
use crate::model::path::TreePath;
use crate::model::spec::DEFAULT_MTIME;

/// Arguments of `venvtree pack`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree pack env.json --out env.tar.zst
  venvtree pack env.json --out - --archive-format tar \\
      --prefix opt/app | tar -t
  venvtree pack .venv --out env.zip

A spec is packed directly from its wheels; nothing is unpacked to disk. Equal environments make equal archives. If \
the variable SOURCE_DATE_EPOCH is set, everything in the archive has that time instead of the spec's.")]
pub struct PackArguments {
    /// A spec, or an environment's directory; `-` reads a spec from standard input.
    #[arg(value_name = "SPEC|DIR")]
    subject: Utf8PathBuf,
    /// The archive to write; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: Utf8PathBuf,
    /// The format of the archive: tar, tar.gz, tar.zst or zip [default: as its name says].
    #[arg(long, value_name = "FORMAT", value_parser = parse_archive_format)]
    archive_format: Option<ArchiveFormat>,
    /// Put everything into this directory of the archive.
    #[arg(long, value_name = "DIR")]
    prefix: Option<String>,
    #[command(flatten)]
    places: PlacesArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    /// How to print the report: text or json. (A format of archives is taken for --archive-format.)
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = parse_format, help_heading = "Output")]
    format: PackFormat,
}

/// What `--format` says.
#[derive(Debug, Clone, Copy)]
enum PackFormat {
    /// How to report.
    Report(Format),
    /// The archive's format: what the option was for at first, and what people expect of a packer.
    Archive(ArchiveFormat),
}

fn parse_archive_format(text: &str) -> Result<ArchiveFormat, String> {
    let expected =
        || format!("expected one of {}", ArchiveFormat::ALL.map(ArchiveFormat::name).join(", "));
    ArchiveFormat::ALL.into_iter().find(|format| format.name() == text).ok_or_else(expected)
}

fn parse_format(text: &str) -> Result<PackFormat, String> {
    match text {
        "text" => Ok(PackFormat::Report(Format::Text)),
        "json" => Ok(PackFormat::Report(Format::Json)),
        _ => parse_archive_format(text)
            .map(PackFormat::Archive)
            .map_err(|_| "expected text or json".to_owned()),
    }
}

impl PackArguments {
    /// How the command reports.
    pub(super) fn format(&self) -> Format {
        match self.format {
            PackFormat::Report(format) => format,
            PackFormat::Archive(_) => Format::Text,
        }
    }
}

/// Runs `venvtree pack`.
pub(super) fn run(arguments: &PackArguments, io: &mut Io<'_>) -> CommandResult {
    let format = format(arguments)?;
    let prefix = arguments.prefix.as_deref().map(parse_prefix).transpose()?;
    let epoch = variables::source_date_epoch(io)?;
    if let (Some(epoch), false) = (epoch, arguments.quiet.quiet) {
        io.say(&format!(
            "everything in the archive has the time {epoch}, as SOURCE_DATE_EPOCH says"
        ));
    }
    let out = if arguments.out == "-" { None } else { Some(io.output_file(&arguments.out)?) };
    let subject = io.resolve(&arguments.subject);
    check_output(out.as_ref(), arguments, &subject, io)?;
    let session = spec_input::session(&arguments.places, io)?;
    let options = |mtime| ArchiveOptions {
        format,
        mtime: epoch.unwrap_or(mtime),
        prefix: prefix.as_ref(),
        threads: session.threads,
    };
    let (mtime, warnings) = if arguments.subject != "-" && subject.is_dir() {
        apart::check_outside(&out, &subject)?;
        write(out.as_ref(), io, |out, place| {
            engine::pack_directory(&session, &subject, out, place, options(DEFAULT_MTIME))
        })?;
        (epoch.unwrap_or(DEFAULT_MTIME), Vec::new())
    } else {
        let spec =
            SpecArguments { spec: arguments.subject.clone(), places: arguments.places.clone() };
        let (spec, places) = spec_input::read(&spec, io)?;
        out.iter().try_for_each(|out| apart::check_file(out, [&subject]))?;
        apart::check_files(&out, &spec, &places)?;
        let mtime = spec.flags.mtime;
        let prepared = engine::prepare(&session, spec, &places)?;
        session.progress.begin(Phase::Packing, Amount::default());
        write(out.as_ref(), io, |out, place| engine::pack(&prepared, out, place, options(mtime)))?;
        say_warnings(io, &prepared.plan.warnings);
        (epoch.unwrap_or(mtime), prepared.plan.warnings)
    };
    match arguments.format() {
        // The archive itself may be what standard output holds.
        Format::Json if arguments.out != "-" => {
            let value = json!({
                "out": arguments.out,
                "archive_format": format.name(),
                "prefix": prefix,
                "mtime": mtime,
                "warnings": warnings_json(&warnings),
            });
            report::document(io, value)?;
        }
        Format::Json => {}
        Format::Text => arguments.quiet.say(io, &format!("packed: {}", arguments.out)),
    }
    Ok(0)
}

/// Refuses a terminal, which would be garbled, and a place in the directory that is packed, which
/// would no longer be what it was.
fn check_output(
    out: Option<&OutputFile>,
    arguments: &PackArguments,
    subject: &Utf8Path,
    io: &Io<'_>,
) -> Result<(), Error> {
    match out {
        None if io.shows_data => Err(Error::Usage {
            message: "standard output is a terminal, which cannot show an archive".to_owned(),
            hint: Some(
                "name a file with `--out FILE`, or let another program read it: `| tar -t`"
                    .to_owned(),
            ),
        }),
        Some(out) if arguments.subject != "-" && subject.is_dir() && out.is_in(subject) => {
            Err(Error::Usage {
                message: format!("`{}` lies in the directory that is packed", arguments.out),
                hint: Some("choose a place outside of it".to_owned()),
            })
        }
        _ => Ok(()),
    }
}

/// Writes the archive to a file, or to standard output where there is none.
fn write(
    out: Option<&OutputFile>,
    io: &mut Io<'_>,
    pack: impl FnOnce(&mut dyn std::io::Write, &Utf8Path) -> Result<(), Error>,
) -> Result<(), Error> {
    match out {
        None => pack(io.raw(), Utf8Path::new("standard output")),
        Some(out) => engine::write_whole(out, |writer| pack(writer, out.path())),
    }
}

fn format(arguments: &PackArguments) -> Result<ArchiveFormat, Error> {
    let known = match (arguments.archive_format, arguments.format) {
        (Some(format), _) | (None, PackFormat::Archive(format)) => Some(format),
        (None, PackFormat::Report(_)) => {
            ArchiveFormat::of_name(arguments.out.file_name().unwrap_or_default())
        }
    };
    known.ok_or_else(|| Error::Usage {
        message: format!("the name `{}` does not say which format to write", arguments.out),
        hint: Some(format!(
            "add `--archive-format` with one of {}",
            ArchiveFormat::ALL.map(ArchiveFormat::name).join(", ")
        )),
    })
}

fn parse_prefix(text: &str) -> Result<TreePath, Error> {
    TreePath::parse(text.trim_matches('/')).map_err(|error| Error::Usage {
        message: format!("the prefix `{text}`: {error}"),
        hint: Some("the prefix is a relative path such as `opt/app`".to_owned()),
    })
}
