"""The shell programs that the rules write, in parts.

They are texts because no rule can read a file. `tests/it/start_programs.rs` lints them, and runs them in several shells.
"""

# Part of every program that the rules write: its own path.
#
# Set before: `_vt_target`, the label, for messages.
# Set here: `_vt_self`, the functions `_vt_fail` and `_vt_follow`.
SELF = r"""
_vt_fail() {
  printf '%s: %s\n' "$_vt_target" "$1" >&2
  exit 1
}

_vt_self=$0
case $_vt_self in
  /*) ;;
  */*) _vt_self=$PWD/$_vt_self ;;
  *) if [ -e "./$_vt_self" ]; then _vt_self=$PWD/$_vt_self; else _vt_self=$(command -v -- "$_vt_self"); fi ;;
esac

# Makes _vt_self, which is a link, what the link leads to; only this one link is followed.
_vt_follow() {
  _vt_link=$(readlink "$_vt_self")
  case $_vt_link in
    /*) _vt_self=$_vt_link ;;
    *) _vt_self=${_vt_self%/*}/$_vt_link ;;
  esac
}
"""

# Part of the programs that Bazel's rules write: finds the runfiles, and the environment in them.
#
# Set before: `_vt_venv` (a runfile), `_vt_probe` (what is below it, or nothing), `_vt_workspace`, the function `_vt_roots`; `SELF`.
# Set here: VENVTREE_RUNFILES, VENVTREE_PREFIX, VENVTREE_ROOTS, the function `_vt_locate`, `_vt_runfiles` or `_vt_manifest`.
FIND_IN_RUNFILES = r"""
# Sets _vt_found to the place of a runfile.
_vt_locate() {
  if [ -z "$_vt_manifest" ]; then
    _vt_found=$_vt_runfiles/$1
    return 0
  fi
  while _vt_read_entry; do
    [ "$_vt_key" = "$1" ] && return 0
  done <"$_vt_manifest"
  return 1
}

# Reads a line of a manifest: a runfile, _vt_key, and where it is, _vt_found. One that begins with a space is escaped.
_vt_read_entry() {
  IFS= read -r _vt_line || return 1
  _vt_key=${_vt_line%% *}
  _vt_found=${_vt_line#* }
  [ -z "$_vt_key" ] || return 0
  _vt_replace "${_vt_found%% *}" '\s' ' '
  _vt_unescape "$_vt_text"
  _vt_key=$_vt_text
  _vt_unescape "${_vt_found#* }"
  _vt_found=$_vt_text
}

_vt_unescape() {
  _vt_replace "$1" '\n' '
'
  _vt_replace "$_vt_text" '\b' '\'
}

# Sets _vt_text to $1 with $3 for every $2.
_vt_replace() {
  _vt_text=
  _vt_rest=$1
  while :; do
    case $_vt_rest in
      *"$2"*) _vt_text=$_vt_text${_vt_rest%%"$2"*}$3 ;;
      *) break ;;
    esac
    _vt_rest=${_vt_rest#*"$2"}
  done
  _vt_text=$_vt_text$_vt_rest
}

# A directory NAME.runfiles beside this file or around it, links followed one by one; then what the caller says; then a
# manifest instead of a directory.
_vt_find_runfiles() {
  _vt_manifest=
  _vt_first=$_vt_self
  while :; do
    for _vt_runfiles in "$_vt_self.runfiles" "${_vt_self%.runfiles/*}.runfiles"; do
      [ -e "$_vt_runfiles/$_vt_venv$_vt_probe" ] && return 0
    done
    [ -h "$_vt_self" ] || break
    _vt_follow
  done
  for _vt_runfiles in "${RUNFILES_DIR-}" "${TEST_SRCDIR-}"; do
    [ -n "$_vt_runfiles" ] && [ -e "$_vt_runfiles/$_vt_venv$_vt_probe" ] && return 0
  done
  for _vt_manifest in "$_vt_first.runfiles_manifest" "$_vt_first.runfiles/MANIFEST" "$_vt_self.runfiles_manifest" \
    "$_vt_self.runfiles/MANIFEST" "${RUNFILES_MANIFEST_FILE-}"; do
    [ -f "$_vt_manifest" ] && _vt_locate "$_vt_venv" && return 0
  done
  _vt_fail "found no runfiles: neither $_vt_first.runfiles nor a manifest holds $_vt_venv"
}

# The import roots as the program's runfiles have them: `.` stands for the main repository's directory.
_vt_list_roots() {
  _vt_roots | while IFS= read -r _vt_root; do
    [ "$_vt_root" = . ] && _vt_root=$_vt_workspace
    printf '%s\n' "$_vt_root"
  done
}

_vt_find_runfiles
if [ -z "$_vt_manifest" ]; then
  RUNFILES_DIR=$_vt_runfiles
  export RUNFILES_DIR
  # What the caller's runfiles are would lead this program astray.
  unset RUNFILES_MANIFEST_FILE RUNFILES_MANIFEST_ONLY
  VENVTREE_RUNFILES=$_vt_runfiles
else
  RUNFILES_MANIFEST_FILE=$_vt_manifest
  export RUNFILES_MANIFEST_FILE
  unset RUNFILES_DIR
  VENVTREE_RUNFILES=$_vt_manifest
fi
_vt_locate "$_vt_venv" || _vt_fail "the runfiles have no $_vt_venv"
VENVTREE_PREFIX=$_vt_found
VENVTREE_ROOTS=$(_vt_list_roots)
"""

# Part of the programs of Bazel's rules whose environment is shared: finds it on this machine, or makes it.
#
# Set before: `_vt_shared` (where runfiles have what it is made of), `_vt_tool` and `_vt_interpreter` (runfiles, the latter may be empty);
# `FIND_IN_RUNFILES`, where VENVTREE_PREFIX is the file with its digest.
# Set here: VENVTREE_PREFIX.
FIND_SHARED = r"""
# Prints where the environment is. What the program's own variables say of a home does not count: it lies where the build put it.
_vt_share() {
  unset HOME XDG_CACHE_HOME
  _vt_locate "$_vt_tool" || _vt_fail "the runfiles have no $_vt_tool"
  _vt_tool=$_vt_found
  _vt_locate "$_vt_shared/spec.json" || _vt_fail "the runfiles have no $_vt_shared/spec.json"
  set -- share "$_vt_found" --expect "$VENVTREE_PREFIX" --quiet
  if [ -n "$_vt_manifest" ]; then
    while _vt_read_entry; do
      case $_vt_key in
        "$_vt_shared/digest" | "$_vt_shared/spec.json") ;;
        "$_vt_shared"/*) set -- "$@" "--input=${_vt_key##*/}=$_vt_found" ;;
      esac
    done <"$_vt_manifest"
  fi
  if [ -n "${TEST_TMPDIR-}" ]; then
    set -- "$@" --fallback "$TEST_TMPDIR/venvtree"
  fi
  exec "$_vt_tool" "$@"
}

VENVTREE_PREFIX=$(_vt_share) || _vt_fail 'there is no environment; --@venvtree//rules:environments=tree does without shared ones'
if [ -n "$_vt_interpreter" ]; then
  [ -z "$_vt_manifest" ] || _vt_fail 'a shared environment finds an interpreter of the build in a directory of runfiles only, and there is a manifest instead'
  # The environment by a name beside which its interpreter is.
  _vt_found=$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/venvtree.XXXXXX") || exit 1
  ln -s "$VENVTREE_PREFIX" "$_vt_found/env" && ln -s "$_vt_runfiles" "$_vt_found/runfiles" || exit 1
  VENVTREE_PREFIX=$_vt_found/env
fi
"""

# Part of the programs that Buck2's rules write: finds the environment and the first-party files by paths relative to the program.
#
# Set before: `_vt_venv` and `_vt_files`, places relative to the program; `SELF`.
# Set here: VENVTREE_RUNFILES, VENVTREE_PREFIX, VENVTREE_ROOTS, the function `_vt_locate`.
FIND_BESIDE = r"""
# Sets _vt_found to the place of a file that is linked beside the program.
_vt_locate() {
  _vt_found=$VENVTREE_RUNFILES/$1
  [ -e "$_vt_found" ]
}

# Beside this file, links followed one by one.
while ! [ -e "${_vt_self%/*}/$_vt_venv/pyvenv.cfg" ]; do
  [ -h "$_vt_self" ] || _vt_fail "found no environment at ${_vt_self%/*}/$_vt_venv: this file works where Buck made it, once Buck has fetched the environment (\`buck2 build\` or \`buck2 run\` of this target)"
  _vt_follow
done
VENVTREE_PREFIX=$(CDPATH='' cd -- "${_vt_self%/*}/$_vt_venv" && pwd) || _vt_fail "cannot enter ${_vt_self%/*}/$_vt_venv"
VENVTREE_RUNFILES=$(CDPATH='' cd -- "${_vt_self%/*}/$_vt_files" && pwd) || _vt_fail "cannot enter ${_vt_self%/*}/$_vt_files"
VENVTREE_ROOTS=first_party
"""

# Part of the programs that the rules for Bazel and Buck2 write: starts the environment's Python, once everything is found.
#
# Set before: `_vt_kind` and `_vt_what` (what to start), `_vt_site` and `_vt_runner` (files, for `_vt_locate`), VENVTREE_RUNFILES,
# VENVTREE_PREFIX, VENVTREE_ROOTS, the functions `_vt_fail`, `_vt_locate`, `_vt_tests` and `_vt_interpreter_args`, which starts Python.
START = r"""
_vt_python=$VENVTREE_PREFIX/bin/python
[ -e "$_vt_python" ] || _vt_fail "the environment has no bin/python; one for Windows starts there only"
_vt_locate "$_vt_site" || _vt_fail "the runfiles have no $_vt_site"
PYTHONPATH=${_vt_found%/*}${PYTHONPATH:+:$PYTHONPATH}
export VENVTREE_RUNFILES VENVTREE_PREFIX VENVTREE_ROOTS PYTHONPATH
unset PYTHONHOME
# Bytecode in an output of the build would be taken for a change of it.
PYTHONDONTWRITEBYTECODE=${PYTHONDONTWRITEBYTECODE-1}
export PYTHONDONTWRITEBYTECODE

case $_vt_kind in
  main)
    _vt_locate "$_vt_what" || _vt_fail "the runfiles have no $_vt_what"
    _vt_what=$_vt_found
    VENVTREE_MAIN=${_vt_what%/*}
    export VENVTREE_MAIN
    ;;
  script)
    _vt_what=$VENVTREE_PREFIX/bin/$_vt_what
    [ -e "$_vt_what" ] || _vt_fail "the environment has no bin/${_vt_what##*/}"
    ;;
esac

if [ "${VENVTREE_DEBUG-} $_vt_kind" = 'pdb pytest' ]; then
  # pytest has a way of its own, which knows what it captures.
  PYTEST_ADDOPTS="--pdb ${PYTEST_ADDOPTS-}"
  export PYTEST_ADDOPTS
  unset VENVTREE_DEBUG
fi

if [ -n "$_vt_runner" ]; then
  if [ "$_vt_kind" = pytest ] || [ -n "${COVERAGE_DIR-}" ]; then
    _vt_locate "$_vt_runner" || _vt_fail "the runfiles have no $_vt_runner"
    _vt_runner=$_vt_found
    set -- -- "$@"
    _vt_list=$(_vt_tests)
    while IFS= read -r _vt_test; do
      [ -z "$_vt_test" ] && continue
      _vt_locate "$_vt_test" || _vt_fail "the runfiles have no $_vt_test"
      set -- "$_vt_found" "$@"
    done <<_VT_LIST
$_vt_list
_VT_LIST
    set -- "$_vt_kind" "$_vt_what" "$@"
    _vt_interpreter_args -P "$_vt_runner" "$@"
  fi
fi
case $_vt_kind in
  python)
    if [ -n "${BUILD_WORKING_DIRECTORY-}" ]; then
      cd "$BUILD_WORKING_DIRECTORY" || exit 1
    fi
    _vt_interpreter_args "$@"
    ;;
  module) _vt_interpreter_args -P -m "$_vt_what" "$@" ;;
  *) _vt_interpreter_args -P "$_vt_what" "$@" ;;
esac
"""

# The program that `py_venv_link` writes: makes an environment in the workspace. `bazel run` builds runfiles beside it; nothing else is
# meant to start it.
#
# Set before: `target`, `workspace_name`, `path`, `tool`, `spec`, `python` (runfiles), the functions `wheels` and `roots`.
MAKE_LINK = r"""
fail() {
  printf '%s: %s\n' "$target" "$1" >&2
  exit 1
}

[ -n "${BUILD_WORKSPACE_DIRECTORY-}" ] || fail 'this changes the workspace, so start it with `bazel run`'
case $0 in
  /*) runfiles=$0.runfiles ;;
  *) runfiles=$PWD/$0.runfiles ;;
esac
[ -d "$runfiles" ] || fail "found no $runfiles"
out=$BUILD_WORKSPACE_DIRECTORY/$path
if [ -e "$out" ] || [ -h "$out" ]; then
  # Every environment that venvtree made has this file.
  set -- "$out"/lib/python*/site-packages/.venvtree
  if ! [ -f "$out/pyvenv.cfg" ] || ! [ -e "$1" ]; then
    fail "$out is there already and is no environment of venvtree's; move it away, or choose another \`path\`"
  fi
fi

# A text as a JSON string without its quotes, and then as the replacement in sed's `s`.
escape() { printf '%s' "$1" | sed -e 's/[\\"]/\\&/g' -e 's/[\\&|]/\\&/g'; }

# Entries are relative to the environment; so many parents lead to the root of the file system from anywhere.
to_root=$(printf '%s/' "$out" | sed 's|[^/]*/|../|g')../../../../../../../..
entry() {
  case $entries in
    *"\"$(escape "$1")\""*) ;;
    *) entries="$entries${entries:+,}\"$(escape "$1")\"" ;;
  esac
}
up=$(printf '%s/' "$path" | sed 's|[^/]*/|../|g')
output_base=${0%%/execroot/*}
bin=${0#*/bazel-out/}
bin=${0%%/bazel-out/*}/bazel-out/${bin%%/*}/bin
entries=
while IFS= read -r root; do
  repository=${root%%/*}
  below=${root#"$repository"}
  if [ "$repository" = "$workspace_name" ]; then
    [ -d "$BUILD_WORKSPACE_DIRECTORY$below" ] && entry "$up.$below"
    [ -n "$below" ] && [ -d "$bin$below" ] && entry "$to_root$bin$below"
  else
    [ -d "$output_base/external/$root" ] && entry "$to_root$output_base/external/$root"
    [ -d "$bin/external/$root" ] && entry "$to_root$bin/external/$root"
  fi
done <<END_OF_ROOTS
$(roots)
END_OF_ROOTS

if [ -n "$python" ]; then
  python=$(readlink -f "$runfiles/$python") || fail "found no interpreter at $runfiles/$python"
fi
set -- --root "$runfiles" --out "$out" --replace
while IFS= read -r wheel; do
  [ -n "$wheel" ] && set -- "$@" "--input=${wheel##*/}=$runfiles/$wheel"
done <<END_OF_WHEELS
$(wheels)
END_OF_WHEELS
sed -e "s|@PYTHON@|$(escape "$python")|" -e "s|\"@ENTRY@\"|$entries|" "$runfiles/$spec" |
  "$runfiles/$tool" build - --quiet "$@" || exit 1
printf '%s\n' "$out"
"""
