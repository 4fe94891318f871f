//! The executable files that an environment gets: scripts of entry points, scripts of wheels that
//! ask for the environment's interpreter, and the launcher.
//!
//! Model layer: text in, bytes out. On POSIX all of them are `sh` programs that find the
//! environment which they lie in when they run, so their bytes depend neither on a path nor on the
//! rest of the tree. A script is at the same time a Python program (a polyglot): `sh` executes a
//! few lines that Python takes for a string. Which names scripts may have is the planner's
//! business; `docs/scripts.md` says what users can rely on.

mod foreign;
mod launcher;
mod pe;
mod rewrite;
mod windows;

pub use foreign::foreign_interpreter;
pub use launcher::{LauncherError, launcher};
pub use pe::PeError;
pub use rewrite::{ScriptError, rewrite_script};
pub use windows::{
    LauncherForm, WindowsLauncher, WindowsLauncherError, windows_interpreter_name,
    windows_script_kind, windows_script_name,
};

/// The entry point whose script a file of a wheel's scripts would be, if there is one of that name:
/// the script itself, or one of the wrappers that setuptools once put into wheels beside it
/// (`NAME.exe`, `NAME-script.py`, `NAME.pya`). The rule is pip's and uv's.
pub fn wrapped_entry_point(path: &str) -> &str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    [".exe", "-script.py", ".pya"]
        .iter()
        .find_map(|ending| {
            let (stem, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
            end.eq_ignore_ascii_case(ending).then_some(stem)
        })
        .unwrap_or(name)
}

/// Finds the environment, as POSIX `sh`: afterwards `$_vt_d` is the absolute path of its `bin`,
/// `$_vt_s` that of the file that runs (links from outside followed), and `$1` the file as it was
/// called, in a form that cannot be taken for an option.
///
/// A link is followed unless `../pyvenv.cfg` is a link too: then the tree is a farm of links, and
/// its place counts, not that of the linked files. The path stays the one that was used (not the
/// physical one) as long as `../pyvenv.cfg` lies beside it, because CPython looks for `pyvenv.cfg`
/// above the path by which it was called and does not resolve it either. Only `//`, `/./` and
/// `/../` are taken out of it, because they would show in `sys.prefix`.
///
/// Constraints: it is quoted in Python's `'''`, so it holds no backslash and no `'''`; no tab,
/// which would be expanded in a docstring; it forks only where a link must be read or a folder be
/// resolved; names begin with `_vt_`, so that no exported variable of the user changes. `echo .`
/// keeps line feeds at the end of a path from being cut off by `$()`. `PATH` may be useless: then
/// `readlink` is looked for where it always is, but never in the current folder.
const FIND_ENVIRONMENT: &str = r#"_vt_s=$0
case $_vt_s in */*) ;; *) if [ -e "./$_vt_s" ]; then _vt_s=./$_vt_s; else _vt_s=$(command -v "$_vt_s") || _vt_s=$0; fi ;; esac
case $_vt_s in -*) _vt_s=./$_vt_s ;; esac
set -- "$_vt_s" "$@"
while :; do
case $_vt_s in /*) ;; *) _vt_s=$PWD/$_vt_s ;; esac
_vt_d=${_vt_s%/*}/
while :; do
case $_vt_d in
*//*) _vt_d=${_vt_d%%//*}/${_vt_d#*//} ;;
*/./*) _vt_d=${_vt_d%%/./*}/${_vt_d#*/./} ;;
*/../*)
_vt_p=${_vt_d%%/../*}
if [ -h "$_vt_p" ]; then _vt_p=$(cd -P "$_vt_p/.." && pwd -P && echo .) || break; _vt_p=${_vt_p%?.}; else _vt_p=${_vt_p%/*}; fi
_vt_d=$_vt_p/${_vt_d#*/../} ;;
*) break ;;
esac
done
_vt_d=${_vt_d%/}
if [ ! -h "$_vt_s" ] || [ -h "$_vt_d/../pyvenv.cfg" ]; then break; fi
_vt_l=$(PATH=${PATH:+$PATH:}/usr/bin:/bin; readlink "$_vt_s" && echo .) || { echo "$0: cannot read the link $_vt_s" >&2; exit 127; }
case $_vt_l in /*) _vt_s=${_vt_l%?.} ;; *) _vt_s=$_vt_d/${_vt_l%?.} ;; esac
done
if [ ! -e "${_vt_d%/*}/pyvenv.cfg" ]; then
_vt_d=$(cd -P "$_vt_d/" && pwd -P && echo .) && _vt_d=${_vt_d%?.}
if [ ! -e "${_vt_d%/*}/pyvenv.cfg" ]; then echo "$0: not in a Python environment: ${_vt_d%/*} holds no pyvenv.cfg" >&2; exit 127; fi
fi
"#;

/// Runs the environment's interpreter on the script itself.
const RUN_SCRIPT: &str = "exec \"$_vt_d/python\" \"$@\"\n";

/// The script of an entry point: imports `module`, calls `attributes` and exits with what it
/// returns.
///
/// `module` and `attributes` are dotted names, as the entry points specification defines them
/// (`pkg.cli` and `App.main`); the caller has checked that. Console and GUI scripts are the same on
/// POSIX.
pub fn console_script(module: &str, attributes: &str) -> Vec<u8> {
    format!(
        "#!/bin/sh\n''':'\n{FIND_ENVIRONMENT}{RUN_SCRIPT}' '''\n{}",
        entry_point_program(module, attributes)
    )
    .into_bytes()
}

/// The Python program that calls an entry point. The endings that it removes from its name are
/// those of Windows launchers, so that usage messages read the same everywhere. CPython 3.8 has no
/// `str.removesuffix`.
pub(crate) fn entry_point_program(module: &str, attributes: &str) -> String {
    let imported = attributes.split('.').next().unwrap_or(attributes);
    format!(
        "import sys\n\
         from {module} import {imported}\n\
         if __name__ == '__main__':\n    \
             for ending in ('-script.pyw', '.exe'):\n        \
                 if sys.argv[0].endswith(ending):\n            \
                     sys.argv[0] = sys.argv[0][:-len(ending)]\n            \
                     break\n    \
             sys.exit({attributes}())\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_belong_to_entry_points() {
        for (path, expected) in [
            ("tool", "tool"),
            ("tool.exe", "tool"),
            ("tool.EXE", "tool"),
            ("tool-script.py", "tool"),
            ("tool.pya", "tool"),
            ("below/tool.pya", "tool"),
            ("tool-script.pyw", "tool-script.pyw"),
            ("tool.exe.manifest", "tool.exe.manifest"),
            ("tool.py", "tool.py"),
            ("é.pya", "é"),
            ("éxe", "éxe"),
            (".exe", ""),
        ] {
            assert_eq!(wrapped_entry_point(path), expected, "{path}");
        }
    }

    #[test]
    fn the_search_fits_into_a_python_string() {
        for text in [FIND_ENVIRONMENT, RUN_SCRIPT] {
            assert!(text.is_ascii() && text.ends_with('\n'));
            assert!(!text.contains(['\\', '\t', '\r', '\'']), "{text}");
        }
    }

    #[test]
    fn an_entry_point_is_imported_by_its_first_attribute() {
        let script = String::from_utf8(console_script("pkg.cli", "App.main")).unwrap();
        assert!(script.starts_with("#!/bin/sh\n''':'\n_vt_s=$0\n"));
        let program = "\
import sys
from pkg.cli import App
if __name__ == '__main__':
    for ending in ('-script.pyw', '.exe'):
        if sys.argv[0].endswith(ending):
            sys.argv[0] = sys.argv[0][:-len(ending)]
            break
    sys.exit(App.main())
";
        assert_eq!(script.split_once("\n' '''\n").unwrap().1, program);
    }
}
