//! `venvtree pack`.

mod archive;
mod image;
mod layers;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{ArgGroup, Args};
use serde::Serialize;

use self::archive::{PackFormat, Tuning, parse_owner};
use self::image::ImageArguments;
use self::layers::{LayerArguments, LayerRequest};
use crate::cli::answer::{Answer, Warnings};
use crate::cli::inputs::{apart, spec as spec_input};
use crate::cli::io::Io;
use crate::cli::options::variables;
use crate::cli::options::{Format, Output, PlacesArguments, SpecArguments};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::archives::{self, ArchiveFormat, ArchiveOptions, Owner, Packing};
use crate::engine::files::OutputFile;
use crate::engine::images::{self, ImagePlace, ImageRequest, WrittenLayer};
use crate::engine::{self, Session};
use crate::error::Error;
use crate::model::layers::LayerKind;
use crate::model::path::TreePath;
use crate::model::spec::DEFAULT_MTIME;

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree pack --out <FILE> [OPTIONS] <SPEC|DIR>
       venvtree pack --layers <DIR> [OPTIONS] <SPEC>";

/// Arguments of `venvtree pack`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").required(true).args(["out", "layers"]), override_usage = USAGE, after_help = "\
Examples:
  venvtree pack env.json --out env.tar.zst
  venvtree pack env.json --out - --archive-format tar \\
      --prefix opt/app | tar -t
  venvtree pack .venv --out env.zip
  # An image without a base, and layers for other tools:
  venvtree pack env.json --format oci --out image
  venvtree pack env.json --layers layers --compression zstd

A spec is packed directly from its wheels; nothing is unpacked to disk. Equal environments make equal archives, \
layers and images, on however many processors. Layers and images are put below opt/venv unless --prefix says \
otherwise. If the variable SOURCE_DATE_EPOCH is set, everything in the archive has that time instead of the spec's.")]
pub struct PackArguments {
    /// A spec, or an environment's directory; `-` reads a spec from standard input.
    #[arg(value_name = "SPEC|DIR")]
    subject: Utf8PathBuf,
    /// The archive to write; `-` is standard output. Of an image, a new directory, or an archive of
    /// one if it ends in `.tar`.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// The format of the archive: tar, tar.gz, tar.zst or zip [default: as its name says]; oci is a
    /// container image.
    #[arg(long, value_name = "FORMAT", value_parser = PackFormat::parse, conflicts_with = "layers")]
    archive_format: Option<PackFormat>,
    /// Put everything into this directory of the archive.
    #[arg(long, value_name = "DIR")]
    prefix: Option<String>,
    /// Pack only this part of a spec's environment: its interpreter, its packages, what the
    /// environment itself has, or its sources.
    #[arg(long, value_name = "PART", value_parser = parse_part, conflicts_with = "layers")]
    only: Option<LayerKind>,
    /// Compress by this level: gzip has 1 to 9 and usually 6, zstd 1 to 19 and usually 3.
    #[arg(long, value_name = "N")]
    level: Option<u8>,
    /// Whose everything in the archive is, as numbers; not in zip [default: 0:0].
    #[arg(long, value_name = "UID:GID", value_parser = parse_owner)]
    owner: Option<Owner>,
    #[command(flatten)]
    layers: LayerArguments,
    #[command(flatten)]
    image: ImageArguments,
    #[command(flatten)]
    places: PlacesArguments,
    /// Say nothing but warnings and errors.
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// How to print the report: text or json. (A format of archives is taken for --archive-format.)
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = parse_format, help_heading = "Output")]
    format: Either,
}

/// What `--format` says.
#[derive(Debug, Clone, Copy)]
enum Either {
    /// How to report.
    Report(Format),
    /// What is packed: what the option was for at first, and what people expect of a packer.
    Pack(PackFormat),
}

fn parse_part(text: &str) -> Result<LayerKind, String> {
    let named = LayerKind::PARTS.into_iter().find(|part| part.name() == text);
    let expected =
        || format!("expected one of {}", LayerKind::PARTS.map(LayerKind::name).join(", "));
    named.ok_or_else(expected)
}

fn parse_format(text: &str) -> Result<Either, String> {
    match text {
        "text" => Ok(Either::Report(Format::Text)),
        "json" => Ok(Either::Report(Format::Json)),
        _ => PackFormat::parse(text)
            .map(Either::Pack)
            .map_err(|_| "expected text or json".to_owned()),
    }
}

/// What is packed, how, and where to.
pub(crate) struct Pack {
    session: Session,
    /// The spec or directory as it was typed, and its place.
    subject: (Utf8PathBuf, Utf8PathBuf),
    places: PlacesArguments,
    epoch: Option<u64>,
    /// The output as it was typed.
    out: Utf8PathBuf,
    product: Product,
}

/// What comes of it.
enum Product {
    /// An archive in a file, or on standard output.
    Archive {
        format: ArchiveFormat,
        packing: Packing,
        prefix: Option<TreePath>,
        only: Option<LayerKind>,
        file: Option<OutputFile>,
    },
    /// Layers, and what they go to.
    Layers(LayerRequest, Layered),
}

/// What layers go to.
enum Layered {
    /// A directory of them.
    Directory(Utf8PathBuf),
    /// An image.
    Image(Box<ImageRequest>, ImagePlace),
}

impl Verb for PackArguments {
    fn output(&self) -> Output {
        let format = match self.format {
            Either::Report(format) => format,
            Either::Pack(_) => Format::Text,
        };
        Output { format, quiet: self.quiet }
    }

    fn request(self, io: &mut Io<'_>) -> Result<Pack, Error> {
        let epoch = variables::source_date_epoch(io)?;
        if let (Some(epoch), false) = (epoch, self.quiet) {
            io.say(&format!(
                "everything in the archive has the time {epoch}, as SOURCE_DATE_EPOCH says"
            ));
        }
        let session = spec_input::session(&self.places, io)?;
        let (subject, places) = (self.subject.clone(), self.places.clone());
        let full = io.resolve(&subject);
        let out = self.out.clone().or(self.layers.layers.clone()).unwrap_or_default();
        let product = self.product(&full, io)?;
        Ok(Pack { session, subject: (subject, full), places, epoch, out, product })
    }
}

impl Request for Pack {
    fn run(self, io: &mut Io<'_>) -> Result<PackAnswer, Error> {
        let (name, subject) = &self.subject;
        let is_directory = name != "-" && subject.is_dir();
        let answer = match &self.product {
            Product::Archive { only: Some(_), .. } if is_directory => {
                return Err(layers::needs_a_spec(name));
            }
            Product::Archive { format, packing, prefix, only, file } => {
                let options = ArchiveOptions {
                    packing: *packing,
                    mtime: DEFAULT_MTIME,
                    prefix: prefix.as_ref(),
                    threads: self.session.threads(),
                };
                let file = file.as_ref();
                let (mtime, warnings) = if is_directory {
                    (self.directory(options, file, io)?, Warnings::default())
                } else {
                    self.spec(options, *only, file, io)?
                };
                let answer = PackAnswer::new(format.name(), prefix.as_ref(), mtime, warnings);
                PackAnswer { is_stream: file.is_none(), ..answer }
            }
            _ if is_directory => return Err(layers::needs_a_spec(name)),
            Product::Layers(layers, layered) => self.in_layers(layers, layered, io)?,
        };
        Ok(PackAnswer { out: self.out, ..answer })
    }
}

impl PackArguments {
    /// What is to come of it.
    fn product(self, subject: &Utf8Path, io: &Io<'_>) -> Result<Product, Error> {
        let prefix = self.prefix.as_deref().map(parse_prefix).transpose()?;
        let tuning = Tuning { level: self.level, owner: self.owner };
        let stray = |option: Option<&str>, with: &str| match option {
            Some(option) => Err(Error::usage(format!("`{option}` is for {with}"))
                .hint("`--layers DIR` writes layers, `--archive-format oci` an image")),
            None => Ok(()),
        };
        if let Some(directory) = &self.layers.layers {
            stray(self.image.given(), "images")?;
            let place = io.resolve(directory);
            let layers = self.layers.request(tuning, prefix)?;
            return Ok(Product::Layers(layers, Layered::Directory(place)));
        }
        match self.format()? {
            PackFormat::Oci => {
                stray(self.only.map(|_| "--only"), "archives")?;
                let place = image::place(self.out.as_deref().unwrap_or("-".into()), io)?;
                let layers = self.layers.request(tuning, prefix)?;
                let image = Box::new(self.image.request(io)?);
                Ok(Product::Layers(layers, Layered::Image(image, place)))
            }
            PackFormat::Archive(format) => {
                stray(self.layers.given(), "layers and images")?;
                stray(self.image.given(), "images")?;
                let packing = tuning.packing(format)?;
                let file = match &self.out {
                    Some(out) if out != "-" => Some(io.output_file(out)?),
                    _ => None,
                };
                self.check_output(file.as_ref(), subject, io)?;
                Ok(Product::Archive { format, packing, prefix, only: self.only, file })
            }
        }
    }

    /// The format of the archive.
    fn format(&self) -> Result<PackFormat, Error> {
        let out = self.out.as_deref().unwrap_or("-".into());
        let known = match (self.archive_format, self.format) {
            (Some(format), _) | (None, Either::Pack(format)) => Some(format),
            (None, Either::Report(_)) => {
                ArchiveFormat::of_name(out.file_name().unwrap_or_default()).map(PackFormat::Archive)
            }
        };
        known.ok_or_else(|| {
            Error::usage(format!("the name `{out}` does not say which format to write"))
                .hint(format!("add `--archive-format` with one of {}", PackFormat::names()))
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
                let name = self.out.as_deref().unwrap_or(out.path());
                Err(Error::usage(format!("`{name}` lies in the directory that is packed"))
                    .hint("choose a place outside of it"))
            }
            _ => Ok(()),
        }
    }
}

impl Pack {
    /// Packs a directory; returns the time of everything.
    fn directory(
        &self,
        options: ArchiveOptions<'_>,
        file: Option<&OutputFile>,
        io: &mut Io<'_>,
    ) -> Result<u64, Error> {
        let (_, directory) = &self.subject;
        apart::check_outside(file, directory)?;
        let options = ArchiveOptions { mtime: self.epoch.unwrap_or(options.mtime), ..options };
        write(file, io, |out, place| {
            engine::pack_directory(&self.session, directory, out, place, options)
        })?;
        Ok(options.mtime)
    }

    /// Opens what a spec describes, which is no place for what is written.
    fn prepare(
        &self,
        file: Option<&OutputFile>,
        directory: Option<&Utf8Path>,
        only: Option<LayerKind>,
        io: &mut Io<'_>,
    ) -> Result<engine::Prepared, Error> {
        let (name, place) = &self.subject;
        let spec = SpecArguments { spec: name.clone(), places: self.places.clone() };
        let (spec, places) = spec_input::read(&spec, io)?;
        file.iter().try_for_each(|file| apart::check_file(file, [place]))?;
        apart::check_files(file, &spec, &places)?;
        directory.map_or(Ok(()), |out| apart::check_environment(out, &spec, &places))?;
        engine::prepare_part(&self.session, spec, &places, only)
    }

    /// Packs what a spec describes; returns the time of everything, and what to know of the plan.
    fn spec(
        &self,
        options: ArchiveOptions<'_>,
        only: Option<LayerKind>,
        file: Option<&OutputFile>,
        io: &mut Io<'_>,
    ) -> Result<(u64, Warnings), Error> {
        let mut prepared = self.prepare(file, None, only, io)?;
        let mtime = self.epoch.unwrap_or(prepared.spec.flags.mtime);
        let options = ArchiveOptions { mtime, ..options };
        archives::begin(&self.session);
        write(file, io, |out, place| engine::pack(&prepared, out, place, options, only))?;
        Ok((mtime, Warnings::new(std::mem::take(&mut prepared.plan.warnings))))
    }

    /// Packs what a spec describes in layers, or as an image.
    fn in_layers(
        &self,
        layers: &LayerRequest,
        layered: &Layered,
        io: &mut Io<'_>,
    ) -> Result<PackAnswer, Error> {
        let (file, directory) = match layered {
            Layered::Directory(place) | Layered::Image(_, ImagePlace::Directory(place)) => {
                (None, Some(place.as_path()))
            }
            Layered::Image(_, ImagePlace::File(file)) => (Some(file), None),
        };
        let mut prepared = self.prepare(file, directory, None, io)?;
        let mtime = self.epoch.unwrap_or(prepared.spec.flags.mtime);
        let (session, layering) = (&self.session, layers.layering(mtime));
        let (format, digest, written) = match layered {
            Layered::Directory(place) => {
                ("layers", None, images::pack_layers(session, &prepared, layering, place)?)
            }
            Layered::Image(request, place) => {
                let image = images::pack_image(session, &prepared, layering, request, place)?;
                (PackFormat::OCI, Some(images::digest_name(image.digest.hash)), image.layers)
            }
        };
        let warnings = Warnings::new(std::mem::take(&mut prepared.plan.warnings));
        let answer = PackAnswer::new(format, Some(layers.prefix()), mtime, warnings);
        Ok(PackAnswer { digest, layers: Some(written), ..answer })
    }
}

/// Writes an archive to a file, or to standard output where there is none.
fn write(
    file: Option<&OutputFile>,
    io: &mut Io<'_>,
    pack: impl FnOnce(&mut dyn std::io::Write, &Utf8Path) -> Result<(), Error>,
) -> Result<(), Error> {
    match file {
        None => pack(io.raw(), Utf8Path::new("standard output")),
        Some(out) => engine::write_whole(out, |writer| pack(writer, out.path())),
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
    /// The digest of an image's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The layers, from the lowest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<WrittenLayer>>,
    warnings: Warnings,
    /// Whether the archive itself is what standard output holds.
    #[serde(skip)]
    is_stream: bool,
}

impl PackAnswer {
    fn new(
        archive_format: &'static str,
        prefix: Option<&TreePath>,
        mtime: u64,
        warnings: Warnings,
    ) -> Self {
        Self {
            out: Utf8PathBuf::new(),
            archive_format,
            prefix: prefix.cloned(),
            mtime,
            digest: None,
            layers: None,
            warnings,
            is_stream: false,
        }
    }
}

impl Answer for PackAnswer {
    fn warnings(&self) -> Option<&Warnings> {
        Some(&self.warnings)
    }

    fn has_document(&self) -> bool {
        !self.is_stream
    }

    fn summary(&self) -> Vec<String> {
        let layers = self.layers.as_ref().map(|layers| {
            let bytes = quantity::size(layers.iter().map(|layer| layer.size).sum());
            format!(" ({}, {bytes})", quantity::count(layers.len(), "layer"))
        });
        let digest = self.digest.as_ref().map(|digest| format!(", digest {digest}"));
        let out = &self.out;
        vec![format!("packed: {out}{}{}", layers.unwrap_or_default(), digest.unwrap_or_default())]
    }
}
