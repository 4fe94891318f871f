//! `bin/python` as a file instead of a link: a POSIX `sh` program that chooses the interpreter when
//! it runs.
//!
//! Model layer. For trees that cannot hold links out of themselves (build systems' outputs) or that
//! must work with an interpreter whose place differs from machine to machine. It needs CPython 3.11
//! or newer, which takes the path of the environment's executable from `__PYVENV_LAUNCHER__` on
//! every platform and removes the variable, so that no child inherits it.

use super::FIND_ENVIRONMENT;
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// Why there can be no launcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LauncherError {
    /// Nothing to choose from.
    #[error("the list of interpreters is empty, expected at least one candidate")]
    NoCandidate,
    /// A candidate that is no path.
    #[error(
        "the interpreter candidate {candidate:?} is no path of a file: it is empty, holds a NUL character or ends in `/`, expected a path"
    )]
    NoPath {
        /// The candidate.
        candidate: String,
    },
    /// A candidate that can only be the environment's own `bin/python`, which is the launcher.
    #[error(
        "the interpreter candidate `{candidate}` lies in the environment's own `bin`, expected one outside it"
    )]
    OwnScript {
        /// The candidate.
        candidate: String,
    },
}

impl Explain for LauncherError {
    fn explain(&self) -> Explanation {
        match self {
            Self::NoCandidate => ErrorKind::Wheel.hint(
                "name an interpreter by a path relative to the tree's root, or by an absolute path",
            ),
            Self::NoPath { .. } => ErrorKind::Wheel.no_hint(),
            Self::OwnScript { .. } => ErrorKind::Wheel.hint(
                "relative candidates start at the tree's root; `../python/bin/python3` leaves it",
            ),
        }
    }
}

/// What follows the list of candidates. A relative candidate starts at the environment's root; its
/// leading `..` are taken from the path by which the environment was reached, and where that leads
/// nowhere, from the physical one: in a build system's runfiles the environment is often one link
/// to its real place, and the interpreter lies beside the link. 126 and 127 are the statuses that
/// shells use for "found, but cannot be executed" and "not found".
const CHOOSE: &str = r#"do
case $_vt_c in
/*) set -- "$_vt_c" "$_vt_c" "$@" ;;
*)
_vt_p=${_vt_d%/*} _vt_q=$_vt_c
case $_vt_p/ in */../*) ;; *) while :; do case $_vt_q in ../*) _vt_q=${_vt_q#../} _vt_p=${_vt_p%/*} ;; *) break ;; esac; done ;; esac
set -- "$_vt_p/$_vt_q" "${_vt_d%/*}/$_vt_c" "$@" ;;
esac
for _vt_p in "$1" "$2"; do
if [ -f "$_vt_p" ]; then
if [ -x "$_vt_p" ]; then
shift 3
__PYVENV_LAUNCHER__=$_vt_d/${_vt_s##*/}
export __PYVENV_LAUNCHER__
exec "$_vt_p" "$@"
fi
_vt_e=126
fi
done
shift 2
_vt_m="$_vt_m
  $_vt_c"
done
if [ $_vt_e = 126 ]; then _vt_p="cannot be executed"; else _vt_p="exists"; fi
echo "$0: no Python interpreter for ${_vt_d%/*}: none of these $_vt_p (relative paths start there):$_vt_m" >&2
exit $_vt_e
"#;

/// The launcher that tries `candidates` in order and runs the first that is an executable file.
///
/// Relative candidates start at the root of the tree and may leave it; absolute ones are taken as
/// they are. The same bytes serve as `bin/python`, `bin/python3` and `bin/python3.X`:
/// `sys.executable` is the one that was called. The caller refuses interpreters before CPython
/// 3.11.
///
/// # Errors
/// There is no candidate, or one that cannot be an interpreter.
pub fn launcher<S: AsRef<str>>(candidates: &[S]) -> Result<Vec<u8>, LauncherError> {
    if candidates.is_empty() {
        return Err(LauncherError::NoCandidate);
    }
    let mut quoted = String::new();
    for candidate in candidates {
        let candidate = candidate.as_ref();
        if candidate.is_empty() || candidate.contains('\0') || candidate.ends_with('/') {
            return Err(LauncherError::NoPath { candidate: candidate.to_owned() });
        }
        if leads_into_bin(candidate) {
            return Err(LauncherError::OwnScript { candidate: candidate.to_owned() });
        }
        quoted.push(' ');
        quoted.push_str(&quote(candidate));
    }
    Ok(format!(
        "#!/bin/sh\n\
         # Starts the first of the interpreters listed below that exists, in this environment.\n\
         {FIND_ENVIRONMENT}\
         _vt_e=127 _vt_m=\n\
         if [ \"${{__PYVENV_LAUNCHER__-}}\" = \"$_vt_d/${{_vt_s##*/}}\" ]; then \
         echo \"$0: this launcher was started by itself: the interpreter that it found leads back to it\" >&2; exit 126; fi\n\
         for _vt_c in{quoted}; {CHOOSE}"
    )
    .into_bytes())
}

/// Whether a candidate is a relative path that stays in the tree and begins with `bin`.
fn leads_into_bin(candidate: &str) -> bool {
    if candidate.starts_with('/') {
        return false;
    }
    let mut components = Vec::new();
    for component in candidate.split('/') {
        match component {
            "" | "." => {}
            ".." if components.pop().is_none() => return false,
            ".." => {}
            other => components.push(other),
        }
    }
    components.first() == Some(&"bin")
}

/// One word of `sh`.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_quoted_in_order() {
        let text = String::from_utf8(
            launcher(&["../python/bin/python3.11", "/opt/it's $(x)/py\"`\\"]).unwrap(),
        )
        .unwrap();
        assert!(
            text.contains(
                "\nfor _vt_c in '../python/bin/python3.11' '/opt/it'\\''s $(x)/py\"`\\'; do\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn candidates_that_cannot_be_interpreters_are_refused() {
        let check = |candidates: &[&str], expected: LauncherError| {
            assert_eq!(launcher(candidates).err(), Some(expected), "{candidates:?}")
        };
        let no_path = |candidate: &str| LauncherError::NoPath { candidate: candidate.to_owned() };
        let own_script =
            |candidate: &str| LauncherError::OwnScript { candidate: candidate.to_owned() };
        check(&[], LauncherError::NoCandidate);
        check(&[""], no_path(""));
        check(&["/usr/bin/python3", "a\0b"], no_path("a\0b"));
        check(&["../python/"], no_path("../python/"));
        check(&["bin/python3"], own_script("bin/python3"));
        check(&["./lib/..//bin/python3"], own_script("./lib/..//bin/python3"));
        for fine in [
            "../bin/python3",
            ".python/bin/python3",
            "/bin/python3",
            "binary",
            "lib/../../env/bin/python",
        ] {
            assert!(launcher(&[fine]).is_ok(), "{fine}");
        }
    }
}
