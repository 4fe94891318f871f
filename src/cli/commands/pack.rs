//! `venvtree pack`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;

use crate::cli::answer::{Answer, Warnings};
use crate::cli::inputs::{apart, spec as spec_input};
use crate::cli::io::Io;
use crate::cli::options::variables;
use crate::cli::options::{Format, Output, PlacesArguments, SpecArguments};
use crate::cli::verb::Verb;
use crate::engine::archives::{self, ArchiveFormat, ArchiveOptions};
use crate::engine::files::OutputFile;
use crate::engine::{self, Session};
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
    /// Say nothing but warnings and errors.
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
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

/// What is packed, how, and where to.
pub(crate) struct Pack {
    session: Session,
    /// The spec or directory as it was typed, and its place.
    subject: (Utf8PathBuf, Utf8PathBuf),
    places: PlacesArguments,
    format: ArchiveFormat,
    prefix: Option<TreePath>,
    epoch: Option<u64>,
    /// The output as it was typed, and the file if it is not standard output.
    out: (Utf8PathBuf, Option<OutputFile>),
}

impl Verb for PackArguments {
    type Request = Pack;
    type Answer = PackAnswer;

    fn output(&self) -> Output {
        let format = match self.format {
            PackFormat::Report(format) => format,
            PackFormat::Archive(_) => Format::Text,
        };
        Output { format, quiet: self.quiet }
    }

    fn request(self, io: &mut Io<'_>) -> Result<Pack, Error> {
        let format = self.archive()?;
        let prefix = self.prefix.as_deref().map(parse_prefix).transpose()?;
        let epoch = variables::source_date_epoch(io)?;
        if let (Some(epoch), false) = (epoch, self.quiet) {
            io.say(&format!(
                "everything in the archive has the time {epoch}, as SOURCE_DATE_EPOCH says"
            ));
        }
        let file = if self.out == "-" { None } else { Some(io.output_file(&self.out)?) };
        let subject = io.resolve(&self.subject);
        self.check_output(file.as_ref(), &subject, io)?;
        Ok(Pack {
            session: spec_input::session(&self.places, io)?,
            subject: (self.subject, subject),
            places: self.places,
            format,
            prefix,
            epoch,
            out: (self.out, file),
        })
    }

    fn run(pack: Pack, io: &mut Io<'_>) -> Result<PackAnswer, Error> {
        let (name, subject) = &pack.subject;
        let (mtime, warnings) = if name != "-" && subject.is_dir() {
            (pack.directory(io)?, Warnings::default())
        } else {
            pack.spec(io)?
        };
        let (out, file) = pack.out;
        Ok(PackAnswer {
            is_stream: file.is_none(),
            out,
            archive_format: pack.format.name(),
            prefix: pack.prefix,
            mtime,
            warnings,
        })
    }
}

impl PackArguments {
    /// The format of the archive.
    fn archive(&self) -> Result<ArchiveFormat, Error> {
        let known = match (self.archive_format, self.format) {
            (Some(format), _) | (None, PackFormat::Archive(format)) => Some(format),
            (None, PackFormat::Report(_)) => {
                ArchiveFormat::of_name(self.out.file_name().unwrap_or_default())
            }
        };
        known.ok_or_else(|| {
            let names = ArchiveFormat::ALL.map(ArchiveFormat::name).join(", ");
            Error::usage(format!("the name `{}` does not say which format to write", self.out))
                .hint(format!("add `--archive-format` with one of {names}"))
        })
    }

    /// Refuses a terminal, which would be garbled, and a place in the directory that is packed,
    /// which would no longer be what it was.
    fn check_output(
        &self,
        out: Option<&OutputFile>,
        subject: &Utf8Path,
        io: &Io<'_>,
    ) -> Result<(), Error> {
        match out {
            None if io.shows_data => {
                Err(Error::usage("standard output is a terminal, which cannot show an archive")
                    .hint(
                        "name a file with `--out FILE`, or let another program read it: `| tar -t`",
                    ))
            }
            Some(out) if self.subject != "-" && subject.is_dir() && out.is_in(subject) => {
                Err(Error::usage(format!("`{}` lies in the directory that is packed", self.out))
                    .hint("choose a place outside of it"))
            }
            _ => Ok(()),
        }
    }
}

impl Pack {
    /// Packs a directory; returns the time of everything.
    fn directory(&self, io: &mut Io<'_>) -> Result<u64, Error> {
        let (_, directory) = &self.subject;
        apart::check_outside(&self.out.1, directory)?;
        let options = self.options(DEFAULT_MTIME);
        self.write(io, |out, place| {
            engine::pack_directory(&self.session, directory, out, place, options)
        })?;
        Ok(options.mtime)
    }

    /// Packs what a spec describes; returns the time of everything, and what to know of the plan.
    fn spec(&self, io: &mut Io<'_>) -> Result<(u64, Warnings), Error> {
        let (name, place) = &self.subject;
        let spec = SpecArguments { spec: name.clone(), places: self.places.clone() };
        let (spec, places) = spec_input::read(&spec, io)?;
        let (_, file) = &self.out;
        file.iter().try_for_each(|file| apart::check_file(file, [place]))?;
        apart::check_files(file, &spec, &places)?;
        let options = self.options(spec.flags.mtime);
        let mut prepared = engine::prepare(&self.session, spec, &places)?;
        archives::begin(&self.session);
        self.write(io, |out, place| engine::pack(&prepared, out, place, options))?;
        Ok((options.mtime, Warnings::new(std::mem::take(&mut prepared.plan.warnings))))
    }

    fn options(&self, mtime: u64) -> ArchiveOptions<'_> {
        ArchiveOptions {
            format: self.format,
            mtime: self.epoch.unwrap_or(mtime),
            prefix: self.prefix.as_ref(),
            threads: self.session.threads,
        }
    }

    /// Writes the archive to a file, or to standard output where there is none.
    fn write(
        &self,
        io: &mut Io<'_>,
        pack: impl FnOnce(&mut dyn std::io::Write, &Utf8Path) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.out.1 {
            None => pack(io.raw(), Utf8Path::new("standard output")),
            Some(out) => engine::write_whole(out, |writer| pack(writer, out.path())),
        }
    }
}

fn parse_prefix(text: &str) -> Result<TreePath, Error> {
    TreePath::parse(text.trim_matches('/')).map_err(|error| {
        Error::usage(format!("the prefix `{text}`: {error}"))
            .hint("the prefix is a relative path such as `opt/app`")
    })
}

/// What was packed.
#[derive(Debug, Serialize)]
pub(crate) struct PackAnswer {
    out: Utf8PathBuf,
    archive_format: &'static str,
    prefix: Option<TreePath>,
    mtime: u64,
    warnings: Warnings,
    /// Whether the archive itself is what standard output holds.
    #[serde(skip)]
    is_stream: bool,
}

impl Answer for PackAnswer {
    fn warnings(&self) -> Option<&Warnings> {
        Some(&self.warnings)
    }

    fn has_document(&self) -> bool {
        !self.is_stream
    }

    fn summary(&self) -> Vec<String> {
        vec![format!("packed: {}", self.out)]
    }
}
