//! `venvtree wheel pack`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use camino::Utf8PathBuf;
use clap::Args;

use serde_json::json;

use crate::cli::apart;
use crate::cli::args::{Format, FormatArguments, QuietArguments};
use crate::cli::io::Io;
use crate::cli::{CommandResult, report};
use crate::effects::host::fs;
use crate::effects::sink::wheel::WheelContents;
use crate::engine;
use crate::error::Error;
use crate::model::digest::{DigestFunction, Hasher};
use crate::model::path::TreePath;
use crate::model::spec::DEFAULT_MTIME;
use crate::model::wheel::filename::WheelFilename;

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree wheel pack --out <FILE> --metadata <FILE>
                           [--file <NAME=PATH>]... [OPTIONS]";

/// Arguments of `venvtree wheel pack`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = "\
Examples:
  venvtree wheel pack --out dist/app-1.0-py3-none-any.whl \\
      --metadata METADATA \\
      --file app/__init__.py=src/app/__init__.py

The tags of the wheel are those of its name. The same files make the same bytes.")]
pub struct WheelPackArguments {
    /// The wheel to write; its name says what it is.
    #[arg(long, value_name = "FILE")]
    out: Utf8PathBuf,
    /// The wheel's METADATA.
    #[arg(long, value_name = "FILE")]
    metadata: Utf8PathBuf,
    /// A text to append to METADATA as the description.
    #[arg(long, value_name = "FILE")]
    description: Option<Utf8PathBuf>,
    /// The wheel's entry_points.txt.
    #[arg(long, value_name = "FILE")]
    entry_points: Option<Utf8PathBuf>,
    /// A file of the wheel, and where its contents are; may be repeated.
    #[arg(long = "file", value_name = "NAME=PATH")]
    files: Vec<String>,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Runs `venvtree wheel pack`.
pub(super) fn run(arguments: &WheelPackArguments, io: &mut Io<'_>) -> CommandResult {
    let usage = |message: String, hint: &str| Error::Usage { message, hint: Some(hint.to_owned()) };
    let name =
        WheelFilename::parse(arguments.out.file_name().unwrap_or_default()).map_err(|error| {
            usage(error.to_string(), "name the file NAME-VERSION-PYTHON-ABI-PLATFORM.whl")
        })?;
    let mut metadata = fs::read_document(&io.resolve(&arguments.metadata))?;
    if let Some(description) = &arguments.description {
        metadata.push(b'\n');
        metadata.extend(fs::read_document(&io.resolve(description))?);
    }
    let entry_points = arguments
        .entry_points
        .as_ref()
        .map(|path| fs::read_document(&io.resolve(path)))
        .transpose()?;
    let own = format!("{}.dist-info/", name.stem());
    let mut files = BTreeMap::new();
    for file in &arguments.files {
        let hint = "write `--file NAME=PATH`, each NAME once; what goes into `.dist-info` has options of its own";
        let (path, place) = file
            .split_once('=')
            .ok_or_else(|| usage(format!("the file `{file}` has no `=`"), hint))?;
        let path = TreePath::parse(path)
            .map_err(|error| usage(format!("the file `{file}`: {error}"), hint))?;
        let generated = ["METADATA", "WHEEL", "RECORD", "entry_points.txt"];
        if path.as_str().strip_prefix(&own).is_some_and(|rest| generated.contains(&rest)) {
            return Err(usage(format!("the file `{path}` is made by the command itself"), hint));
        }
        if files.insert(path.clone(), io.resolve(place.into())).is_some() {
            return Err(usage(format!("the file `{path}` is given twice"), hint));
        }
    }
    let out = io.output_file(&arguments.out)?;
    let read = [
        Some(&arguments.metadata),
        arguments.description.as_ref(),
        arguments.entry_points.as_ref(),
    ];
    apart::check_file(&out, read.into_iter().flatten().map(|path| io.resolve(path)))?;
    apart::check_file(&out, files.values())?;
    let contents = WheelContents { name, metadata, entry_points, files, mtime: DEFAULT_MTIME };
    let mut hasher = Hasher::new(DigestFunction::Sha256);
    engine::write_whole(&out, |writer| {
        let mut hashed = Hashed { writer, hasher: &mut hasher };
        engine::pack_wheel(&contents, &mut hashed, out.path())
    })?;
    match arguments.format.format {
        Format::Json => {
            // Hashed on the way: not every place that can be written to can be read again.
            report::document(
                io,
                json!({"out": arguments.out, "sha256": hasher.finish().hash.to_string()}),
            )?;
        }
        Format::Text => arguments.quiet.say(io, &format!("packed: {}", arguments.out)),
    }
    Ok(0)
}

/// Hashes what is written.
struct Hashed<'a> {
    writer: &'a mut dyn Write,
    hasher: &'a mut Hasher,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
