//! `venvtree spec from`: a spec from wheels, for this machine or for another one.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::apart;
use crate::cli::args::{Format, FormatArguments, LimitArguments, QuietArguments};
use crate::cli::for_target::{self, Target};
use crate::cli::io::Io;
use crate::cli::text::Text;
use crate::cli::{CommandResult, report, written};
use crate::effects::host::file_hash;
use crate::effects::wheels::load::{LoadOptions, WheelError};
use crate::engine::compose::wheels::{self, Choice};
use crate::error::Error;
use crate::model::interpreter::{Arch, Interpreter, Os};
use crate::model::spec::document::SpecDocument;
use crate::model::spec::{Flags, InputPath, LauncherReference, Launchers, Python, Spec};
use crate::model::target;

/// In two lines: in one, it would not fit into a narrow terminal.
const USAGE: &str = "venvtree spec from <WHEEL>... --for <TARGET>
                          [--out <FILE>] [OPTIONS]";

/// Arguments of `venvtree spec from`.
#[derive(Debug, Args)]
#[command(
    override_usage = USAGE,
    after_help = "\
Examples:
  venvtree spec from wheels --for 3.12 --out env.json
  venvtree spec from wheels --for linux-aarch64-3.12 \\
      > arm.json
  venvtree spec from wheels more/tool-1.0-py3-none-any.whl \\
      --for macos-arm64 --python-version 3.12
  venvtree spec from wheels --for windows-x86_64-3.12 \\
      --launchers launchers

TARGET is OS-ARCH-PYTHON. Between ARCH and PYTHON may stand the oldest C library (linux-x86_64-glibc2.17-3.12, \
linux-aarch64-musl-3.13; the default is glibc 2.28) or the oldest macOS (macos-arm64-14.0-3.12; the default is \
13.0). PYTHON is 3.12, 3.12.4, 3.13t or pypy3.11.

For each distribution, the latest version that fits is taken, and of its wheels the most specific one, as pip does. \
Nothing is downloaded or resolved: if a requirement is missing among the wheels, `venvtree plan` says so."
)]
pub struct FromArguments {
    /// Wheels, or directories that hold wheels.
    #[arg(value_name = "WHEEL", required = true)]
    wheels: Vec<Utf8PathBuf>,
    /// Who the environment is for: a target such as linux-x86_64-3.12, an interpreter of this
    /// machine (3.12, python3, a path), or a file with what `venvtree interpreter probe` printed.
    #[arg(long = "for", value_name = "TARGET")]
    target: String,
    /// The version of Python, for a target whose name has none.
    #[arg(long, value_name = "VERSION")]
    python_version: Option<String>,
    /// Where the interpreter is on the machine that runs the environment, absolute or relative to
    /// the environment [default: where this machine has it; for a target, where installers put it].
    #[arg(long, value_name = "PATH")]
    interpreter: Option<String>,
    /// For Windows: the directory with the launchers for scripts, called as in distlib (t64.exe and
    /// w64.exe for x86_64).
    #[arg(long, value_name = "DIR")]
    launchers: Option<Utf8PathBuf>,
    /// Leave distributions out of which no wheel fits, instead of refusing.
    #[arg(long)]
    skip_missing: bool,
    /// Write the spec to FILE instead of standard output; paths of wheels are then relative to its
    /// directory.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    quiet: QuietArguments,
    #[command(flatten)]
    pub(super) format: FormatArguments,
}

/// Runs `venvtree spec from`.
pub(super) fn run(arguments: &FromArguments, io: &mut Io<'_>) -> CommandResult {
    let target = for_target::read(&arguments.target, arguments.python_version.as_deref(), io)?;
    let out = arguments.out.as_ref().map(|path| io.resolve(path));
    let file = arguments.out.as_ref().map(|path| io.output_file(path)).transpose()?;
    let root = out.as_deref().and_then(Utf8Path::parent).unwrap_or(&io.cwd).to_owned();
    let launchers = launchers(arguments, &target.interpreter, &root, io)?;
    let paths: Vec<Utf8PathBuf> =
        arguments.wheels.iter().map(|path| io.resolve(path).components().collect()).collect();
    let candidates = wheels::candidates(&paths)?;
    file.iter().try_for_each(|file| {
        apart::check_file(file, candidates.iter().map(|candidate| &candidate.path))
    })?;
    let options =
        LoadOptions { limits: arguments.limits.apply(&io.limits), ..LoadOptions::default() };
    let choice = wheels::choose(&candidates, &target.interpreter, &root, &options)?;
    if let (Some((name, reason)), false) = (choice.missing.first(), arguments.skip_missing) {
        let more = match choice.missing.len() {
            1 => String::new(),
            number => format!(" (and so for {} more)", report::count(number - 1, "distribution")),
        };
        return Err(Error::Usage {
            message: format!("no wheel of `{name}` fits {}: {reason}{more}", target.interpreter),
            hint: Some(
                "add a wheel that fits, or leave such distributions out with --skip-missing"
                    .to_owned(),
            ),
        });
    }
    let guessed = target.python.is_none() && arguments.interpreter.is_none();
    let python = python(arguments, &target);
    let place = match &python {
        Python::Absolute { path } | Python::Relative { path } => path.clone(),
        Python::Launcher { candidates } => candidates.join(", "),
        Python::Inside { directory, .. } => directory.to_string(),
    };
    let spec = Spec {
        interpreter: target.interpreter,
        python,
        launchers,
        wheels: choice.chosen.clone(),
        sources: Vec::new(),
        path_entries: Vec::new(),
        flags: Flags::default(),
    };
    let document = json!(SpecDocument::from(&spec));
    if let Some(out) = &file {
        let text = Text::of_json(&document);
        crate::engine::write_whole(out, |writer| {
            writeln!(writer, "{}", text.as_str()).map_err(|error| written(Err(error)).unwrap_err())
        })?;
    }
    match arguments.format.format {
        Format::Json => {
            report::document(io, to_json(&choice, &document, arguments, &spec.interpreter))?
        }
        Format::Text => {
            if out.is_none() {
                // A spec has a version of its own.
                let text = Text::of_json(&document);
                written(io.print_text(&text))?;
            }
            say(&choice, &spec.interpreter, arguments, io);
            if guessed {
                arguments.quiet.say(io, &format!("note: the interpreter is expected at {place}; --interpreter names another place"));
            }
        }
    }
    Ok(0)
}

/// How the environment reaches the interpreter.
fn python(arguments: &FromArguments, target: &Target) -> Python {
    match (&arguments.interpreter, &target.python) {
        (Some(path), _) => {
            let drive = path.as_bytes().get(1) == Some(&b':');
            let path = path.clone();
            if path.starts_with('/') || drive {
                Python::Absolute { path }
            } else {
                Python::Relative { path }
            }
        }
        (None, Some(python)) => python.clone(),
        (None, None) => Python::Absolute { path: target::usual_place(&target.interpreter) },
    }
}

/// The launchers for Windows.
fn launchers(
    arguments: &FromArguments,
    interpreter: &Interpreter,
    root: &Utf8Path,
    io: &Io<'_>,
) -> Result<Option<Launchers>, Error> {
    let windows = interpreter.platform.os() == Os::Windows;
    let usage = |message: &str, hint: String| Error::Usage {
        message: message.to_owned(),
        hint: Some(hint),
    };
    let suffix = match interpreter.platform.arch() {
        Arch::Aarch64 => "64-arm",
        Arch::I686 => "32",
        _ => "64",
    };
    let Some(directory) = &arguments.launchers else {
        if !windows {
            return Ok(None);
        }
        let hint = format!(
            "give their directory with --launchers; the wheels of distlib hold them as distlib/t{suffix}.exe and distlib/w{suffix}.exe, \
             those of pip below pip/_vendor"
        );
        return Err(usage("an environment for Windows needs launchers for its scripts", hint));
    };
    if !windows {
        let hint = "leave --launchers out".to_owned();
        return Err(usage("launchers are for environments for Windows", hint));
    }
    let reference = |letter: &str| -> Result<LauncherReference, Error> {
        let path: Utf8PathBuf =
            io.resolve(directory).join(format!("{letter}{suffix}.exe")).components().collect();
        let digest = file_hash::of(&path);
        let sha256 = digest.map_err(|error| Error::Inputs(vec![WheelError::Input(error)]))?;
        let path = path.strip_prefix(root).unwrap_or(&path);
        Ok(LauncherReference { path: InputPath(path.to_string()), sha256: Some(sha256) })
    };
    Ok(Some(Launchers {
        console: reference("t")?,
        gui: reference("w")?,
        python: None,
        pythonw: None,
    }))
}

/// Says what was chosen and what was left.
fn say(choice: &Choice, interpreter: &Interpreter, arguments: &FromArguments, io: &mut Io<'_>) {
    let line = format!("for {interpreter}: {}", report::count(choice.chosen.len(), "wheel"));
    arguments.quiet.say(io, &line);
    for wheel in &choice.chosen {
        arguments.quiet.say(io, &format!("  {}", wheel.file_name));
    }
    for (path, reason) in &choice.left {
        arguments
            .quiet
            .say(io, &format!("  left {}: {reason}", path.file_name().unwrap_or_default()));
    }
    for (name, _) in &choice.missing {
        io.say(&format!("warning: no wheel of `{name}` fits, so the environment is without it"));
    }
    if let Some(out) = &arguments.out {
        arguments.quiet.say(io, &format!("written: {out}"));
    }
}

fn to_json(
    choice: &Choice,
    document: &Value,
    arguments: &FromArguments,
    interpreter: &Interpreter,
) -> Value {
    let left: Vec<Value> =
        choice.left.iter().map(|(path, reason)| json!({"path": path, "reason": reason})).collect();
    json!({
        "spec": document,
        "out": arguments.out,
        "target": interpreter.to_string(),
        "chosen": choice.chosen.iter().map(|wheel| wheel.file_name.as_str()).collect::<Vec<_>>(),
        "left": left,
        "missing": choice.missing.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(),
    })
}
