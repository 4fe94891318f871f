//! What is different in an environment for Windows: programs made from launchers, and names and
//! lengths that Windows accepts.

use crate::model::path::{TreePath, relative_from};
use crate::model::plan::Planned;
use crate::model::plan::problem::{PlanProblem, PlanWarning};
use crate::model::portable::windows_problem;
use crate::model::script::{WindowsLauncher, WindowsLauncherError, windows_interpreter_name};
use crate::model::spec::{Launchers, Python};
use crate::model::wheel::entry_points::ScriptKind;

/// The launchers of an environment, checked.
pub type WindowsLaunchers = Launchers<WindowsLauncher>;

impl WindowsLaunchers {
    /// Launchers without bytes, for plans that are made to be judged and never written.
    pub fn stand_in() -> Self {
        let stand_in = WindowsLauncher::stand_in;
        Self {
            console: stand_in(ScriptKind::Console),
            gui: stand_in(ScriptKind::Gui),
            python: None,
            pythonw: None,
        }
    }
}

/// `python.exe` and `pythonw.exe`: their names and bytes.
pub(super) fn interpreter_files(
    python: &Python,
    scripts: &TreePath,
    launchers: &WindowsLaunchers,
) -> Result<[(&'static str, Vec<u8>); 2], WindowsLauncherError> {
    let from_root = match python {
        Python::Inside { executable, .. } => format!(".python/{executable}"),
        Python::Relative { path } | Python::Absolute { path } => path.clone(),
        Python::Launcher { candidates } => candidates.first().cloned().unwrap_or_default(),
    };
    let make = |kind: ScriptKind| -> Result<_, WindowsLauncherError> {
        let target = match kind {
            ScriptKind::Console => from_root.clone(),
            ScriptKind::Gui => windowed(&from_root),
        };
        let absolute = target.starts_with('/') || target.as_bytes().get(1) == Some(&b':');
        let target = if absolute { target } else { relative_from(scripts.as_str(), &target) };
        Ok((windows_interpreter_name(kind), launchers.of_interpreter(kind).python(&target)?))
    };
    Ok([make(ScriptKind::Console)?, make(ScriptKind::Gui)?])
}

/// The interpreter without a console beside one with it: `pythonw.exe` beside `python.exe`.
fn windowed(path: &str) -> String {
    let (folder, name) =
        path.rsplit_once('/').map_or(("", path), |(folder, name)| (&path[..=folder.len()], name));
    match name.get(..6) {
        Some(stem) if stem.eq_ignore_ascii_case("python") && !name[6..].starts_with(['w', 'W']) => {
            format!("{folder}{stem}w{}", &name[6..])
        }
        _ => path.to_owned(),
    }
}

/// The longest path that programs on Windows can open, unless long paths are switched on for the
/// machine and by the program; in UTF-16 units, a drive and all.
pub const LONGEST_PATH: usize = 259;
/// What the shortest place of an environment takes of it: `C:\a\`.
const SHORTEST_PLACE: usize = 5;
/// With less room than this for an environment's place, somebody will be unable to put it where
/// they want.
const COMFORTABLE_PLACE: usize = 80;

/// Whether Windows can store every path.
pub(super) fn check(
    entries: &[(TreePath, Planned)],
    problems: &mut Vec<PlanProblem>,
    warnings: &mut Vec<PlanWarning>,
) {
    let mut longest: Option<(usize, &TreePath)> = None;
    let mut last_parent: Option<&str> = None;
    for (path, _) in entries {
        let parent = path.as_str().rsplit_once('/').map(|(parent, _)| parent);
        // Names of directories are looked at once.
        let components: Vec<&str> =
            if parent == last_parent { vec![path.name()] } else { path.components().collect() };
        last_parent = parent;
        if let Some(reason) = components.into_iter().find_map(windows_problem) {
            problems.push(PlanProblem::WindowsName { path: path.clone(), reason });
        }
        let length = path.as_str().encode_utf16().count();
        if length > LONGEST_PATH - SHORTEST_PLACE {
            problems.push(PlanProblem::WindowsLength { path: path.clone(), length });
        }
        if longest.is_none_or(|(longest, _)| length > longest) {
            longest = Some((length, path));
        }
    }
    if let Some((length, path)) = longest
        && length < LONGEST_PATH
        && LONGEST_PATH - length < COMFORTABLE_PLACE
    {
        // A backslash stands between.
        warnings.push(PlanWarning::WindowsLength {
            path: path.clone(),
            length,
            room: LONGEST_PATH - 1 - length,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_without_a_console_lies_beside_the_other() {
        let check = |path: &str, expected: &str| assert_eq!(windowed(path), expected);
        check("../python/python.exe", "../python/pythonw.exe");
        check("python3.13t.exe", "pythonw3.13t.exe");
        check("C:/Python/Python.EXE", "C:/Python/Pythonw.EXE");
        check("C:/Python/pythonw.exe", "C:/Python/pythonw.exe");
        check("../bin/pypy.exe", "../bin/pypy.exe");
        check("../é/x", "../é/x");
    }
}
