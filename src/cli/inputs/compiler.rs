//! What `--compiler` means: an interpreter, by its path, or by its version where it is installed.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::inputs::target;
use crate::cli::io::Io;
use crate::error::Error;

/// Where the compiler is. What is given as a path is started as it is, whatever it says of itself.
pub(crate) fn find(text: &str, io: &mut Io<'_>) -> Result<Utf8PathBuf, Error> {
    if text.contains('/') {
        return Ok(io.resolve(Utf8Path::new(text)));
    }
    let hint = "give the path of an interpreter, or a version that is installed, such as 3.12.1";
    Ok(target::interpreter(text, hint, io)?.executable)
}
