//! Launchers for Windows: those of a directory that is given, else those that lie with the program.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::io::Io;
use crate::engine::files;
use crate::error::Error;
use crate::model::digest::Hash;
use crate::model::interpreter::{Arch, Interpreter, Os};
use crate::model::spec::{InputPath, LauncherReference, Launchers};

/// Where they lie with an installed program, from the folder above its own.
const SHARED: &str = "share/venvtree/launchers";

/// What lies there by name: the same for everyone who has this version, whose environments are the
/// same then. `tools/pypi/launchers.txt` says whose they are.
const BROUGHT: [(&str, &str); 6] = [
    ("t32.exe", "6b4195e640a85ac32eb6f9628822a622057df1e459df7c17a12f97aeabc9415b"),
    ("t64-arm.exe", "ebc4c06b7d95e74e315419ee7e88e1d0f71e9e9477538c00a93a9ff8c66a6cfc"),
    ("t64.exe", "81a618f21cb87db9076134e70388b6e9cb7c2106739011b6a51772d22cae06b7"),
    ("w32.exe", "47872cc77f8e18cf642f868f23340a468e537e64521d9a3a416c8b84384d064b"),
    ("w64-arm.exe", "c5dc9884a8f458371550e09bd396e5418bf375820a31b9899f6499bf391c7b2e"),
    ("w64.exe", "7a319ffaba23a017d7b1e18ba726ba6c54c53d6446db55f92af53c279894f8ad"),
];

/// The launchers of an environment for Windows; for other systems there are none. Paths below
/// `root` are given from there.
///
/// # Errors
/// There are none, or they cannot be read; or the environment needs none and some are given.
pub(crate) fn read(
    directory: Option<&Utf8Path>,
    interpreter: &Interpreter,
    root: &Utf8Path,
    io: &Io<'_>,
) -> Result<Option<Launchers>, Error> {
    if interpreter.platform.os() != Os::Windows {
        return match directory {
            None => Ok(None),
            Some(_) => Err(Error::usage("launchers are for environments for Windows")
                .hint("leave --launchers out")),
        };
    }
    let suffix = match interpreter.platform.arch() {
        Arch::Aarch64 => "64-arm",
        Arch::I686 => "32",
        _ => "64",
    };
    let reference = |letter: &str| -> Result<LauncherReference, Error> {
        let name = format!("{letter}{suffix}.exe");
        let (path, sha256) = match directory {
            Some(directory) => {
                let path = io.resolve(directory).join(&name);
                let sha256 = files::sha256(&path)?;
                (path, sha256)
            }
            None => brought(&name, suffix, io)?,
        };
        let path: Utf8PathBuf = path.components().collect();
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

/// A launcher that lies with the program.
fn brought(name: &str, suffix: &str, io: &Io<'_>) -> Result<(Utf8PathBuf, Hash), Error> {
    let prefix = io.executable.as_deref().and_then(Utf8Path::parent).and_then(Utf8Path::parent);
    let Some(path) =
        prefix.map(|prefix| prefix.join(SHARED).join(name)).filter(|path| path.is_file())
    else {
        return Err(Error::usage("an environment for Windows needs launchers for its scripts").hint(format!(
            "the wheel of venvtree brings them; this program has none at ../{SHARED}: give their directory with --launchers. The wheels \
             of distlib hold them as distlib/t{suffix}.exe and distlib/w{suffix}.exe, those of pip below pip/_vendor"
        )));
    };
    let found = files::sha256(&path)?;
    let expected = BROUGHT.iter().find(|(brought, _)| *brought == name).map(|(_, sha256)| *sha256);
    if expected != Some(found.to_hex().as_str()) {
        return Err(Error::usage(format!(
            "{path} is not the launcher that this version of venvtree has: its SHA-256 is {}, expected {}",
            found.to_hex(),
            expected.unwrap_or("none"),
        ))
        .hint("install venvtree again, or give a directory of launchers with --launchers"));
    }
    Ok((path, found))
}
