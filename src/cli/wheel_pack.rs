//! `venvtree wheel pack`.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use clap::Args;

use serde_json::json;

use crate::cli::args::{Format, FormatArguments, QuietArguments};
use crate::cli::io::Io;
use crate::cli::{CommandResult, report};
use crate::effects::fs;
use crate::effects::input::InputFile;
use crate::effects::sink::wheel::WheelContents;
use crate::effects::wheels::WheelError;
use crate::engine;
use crate::error::Error;
use crate::model::path::TreePath;
use crate::model::spec::DEFAULT_MTIME;
use crate::model::wheel::filename::WheelFilename;

/// Arguments of `venvtree wheel pack`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree wheel pack --out dist/app-1.0-py3-none-any.whl --metadata METADATA --file app/__init__.py=src/app/__init__.py

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
    /// A file of the wheel, and where it is; may be given many times.
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
    let name = WheelFilename::parse(arguments.out.file_name().unwrap_or_default())
        .map_err(|error| usage(error.to_string(), "name the file NAME-VERSION-PYTHON-ABI-PLATFORM.whl"))?;
    let mut metadata = fs::read(&io.resolve(&arguments.metadata))?;
    if let Some(description) = &arguments.description {
        metadata.push(b'\n');
        metadata.extend(fs::read(&io.resolve(description))?);
    }
    let entry_points = arguments.entry_points.as_ref().map(|path| fs::read(&io.resolve(path))).transpose()?;
    let own = format!("{}.dist-info/", name.stem());
    let mut files = BTreeMap::new();
    for file in &arguments.files {
        let hint = "write `--file NAME=PATH`, each NAME once; what goes into `.dist-info` has options of its own";
        let (path, place) = file.split_once('=').ok_or_else(|| usage(format!("the file `{file}` has no `=`"), hint))?;
        let path = TreePath::parse(path).map_err(|error| usage(format!("the file `{file}`: {error}"), hint))?;
        let generated = ["METADATA", "WHEEL", "RECORD", "entry_points.txt"];
        if path.as_str().strip_prefix(&own).is_some_and(|rest| generated.contains(&rest)) {
            return Err(usage(format!("the file `{path}` is made by the command itself"), hint));
        }
        if files.insert(path.clone(), io.resolve(place.into())).is_some() {
            return Err(usage(format!("the file `{path}` is given twice"), hint));
        }
    }
    let contents = WheelContents { name, metadata, entry_points, files, mtime: DEFAULT_MTIME };
    let out = io.resolve(&arguments.out);
    engine::write_whole(&out, |writer| engine::pack_wheel(&contents, writer, &out))?;
    match arguments.format.format {
        Format::Json => {
            let input = InputFile::open(&out).map_err(|error| Error::Inputs(vec![WheelError::Input(error)]))?;
            let sha256 = input.sha256().map_err(|error| Error::Inputs(vec![WheelError::Input(error)]))?;
            report::document(io, json!({"out": arguments.out, "sha256": sha256.to_string()}))?;
        }
        Format::Text => arguments.quiet.say(io, &format!("packed: {}", arguments.out)),
    }
    Ok(0)
}
