//! Directories read back, and made relocatable.

use camino::Utf8Path;

use crate::effects::relocate;
use crate::effects::scan::{self, bytecode};
use crate::effects::work::parallel;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::Session;
use crate::error::Error;
use crate::model::digest::DigestFunction;
use crate::model::tree::Tree;
use crate::model::verify::{self, Found};

pub use crate::effects::relocate::Relocation;
pub use crate::effects::scan::{Scan, View};

/// Reads a directory as a tree.
///
/// # Errors
/// It cannot be read.
pub fn scan(
    session: &Session,
    directory: &Utf8Path,
    function: DigestFunction,
    view: View,
) -> Result<Scan, Error> {
    session.progress.begin(Phase::Reading, Amount::default());
    Ok(scan::scan(directory, function, view, session.threads())?)
}

/// Reads two directories as trees, at the same time.
///
/// # Errors
/// One cannot be read.
pub fn scan_both(
    session: &Session,
    directories: [&Utf8Path; 2],
    function: DigestFunction,
    view: View,
) -> Result<Vec<Scan>, Error> {
    session.progress.begin(Phase::Reading, Amount::default());
    Ok(scan::scan_all(&directories, function, view, session.threads())?)
}

/// How a directory, of which `scan` says what it holds, differs from a tree.
pub fn compare(directory: &Utf8Path, view: View, expected: &Tree, scan: &Scan) -> Vec<Found> {
    let judge = |pyc: &_| bytecode::judge(directory, view, pyc);
    match view {
        View::Exact => verify::compare(expected, &scan.tree, &judge),
        View::Cached => {
            let (cached, unknown) = verify::as_cached(expected);
            let (observed, _) = verify::as_cached(&scan.tree);
            let may_be_anything =
                |found: &Found| unknown.iter().any(|path| path.as_str() == found.path);
            let found = verify::compare(&cached, &observed, &judge).into_iter();
            found.filter(|found| !may_be_anything(found)).collect()
        }
    }
}

/// Makes the files of an environment relocatable.
///
/// # Errors
/// A file operation failed.
pub fn relocate(environment: &Utf8Path) -> Result<Relocation, Error> {
    Ok(relocate::relocate(environment, parallel::available())?)
}
