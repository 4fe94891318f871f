"""The POSIX shell files that start environments, binaries and tests.

Such a file is a cheap write. It finds its runfiles, tells the environment's Python where first-party import roots are, and starts it.
Import roots reach Python through `sitecustomize` (see `runtime/sitecustomize.py`), so children inherit them.
"""

load("//rules/common:label.bzl", "label_text")
load("//rules/common:quote.bzl", "shell_quote")
load(":collect.bzl", "rlocation_path")

# Where runfiles have the files of `runtime/`. As links of the root they are one entry each; as files of an external repository
# they would be two where Bazel has legacy runfiles.
_SITE = "_venvtree/sitecustomize.py"
_RUNNER = "_venvtree/run_test.py"

LAUNCH_ATTRS = {
    "_site": attr.label(
        default = Label("//rules/private/runtime:sitecustomize.py"),
        allow_single_file = True,
    ),
}

def write_launcher(ctx, output, tree, start, imports, sources, env = {}, interpreter_args = [], runner = None):
    """Writes the file that starts a Python.

    Args:
      ctx: the rule's context.
      output: the file to write.
      tree: the environment's directory.
      start: a struct of `kind` and what the kind needs: `python` (nothing), `main` (`file`), `module` (`name`), `script` (`name`),
        `pytest` (`files`).
      imports: depset of import roots, relative to the runfiles directory.
      sources: depset of first-party sources; the repositories that they are in are import roots too.
      env: environment variables.
      interpreter_args: arguments for the interpreter, before the program.
      runner: for tests, the program that does what Bazel wants of tests.

    Returns:
      Runfiles: what the written file needs.
    """
    workspace = ctx.workspace_name
    lines = [
        "#!/bin/sh",
        "# Starts %s. Written by py_venv's rules." % label_text(ctx.label),
        "_vt_target=" + shell_quote(label_text(ctx.label)),
        "_vt_workspace=" + shell_quote(workspace),
        "_vt_venv=" + shell_quote(rlocation_path(workspace, tree)),
        "_vt_site=" + shell_quote(_SITE),
        "_vt_kind=" + start.kind,
        "_vt_what=" + shell_quote(_what(workspace, start)),
        "_vt_runner=" + shell_quote(_RUNNER if runner else ""),
        "_vt_interpreter_args() { _vt_start \"$_vt_python\" %s\"$@\"; }" % "".join([shell_quote(arg) + " " for arg in interpreter_args]),
    ]
    for name in sorted(env.keys()):
        lines.append("export %s=%s" % (name, shell_quote(env[name])))
    args = ctx.actions.args()
    args.set_param_file_format("multiline")
    args.add_all(lines)
    args.add("_vt_roots() { cat <<'_VT_ROOTS'")
    args.add_all(imports, uniquify = True)

    # A repository's directory is an import root, as in Bazel's own rules; the main one's name is known to the file.
    args.add(".")
    args.add_all(sources, map_each = external_repository, uniquify = True)
    args.add("_VT_ROOTS\n}")
    args.add("_vt_tests() { cat <<'_VT_TESTS'")
    args.add_all([rlocation_path(workspace, file) for file in getattr(start, "files", [])])
    args.add("_VT_TESTS\n}")
    args.add(_BODY)
    ctx.actions.write(output, args, is_executable = True)
    links = {_SITE: ctx.file._site}
    if runner:
        links[_RUNNER] = runner
    return ctx.runfiles(root_symlinks = links)

def _what(workspace, start):
    if start.kind == "main":
        return rlocation_path(workspace, start.file)
    return getattr(start, "name", "")

def external_repository(file):
    """The import root that a source's repository is, for `map_each`.

    Args:
      file: a source.

    Returns:
      The directory of its repository in runfiles, or None for the main repository.
    """
    if file.short_path.startswith("../"):
        return file.short_path.split("/")[1]
    return None

_BODY = r"""
_vt_fail() {
  printf '%s: %s\n' "$_vt_target" "$1" >&2
  exit 1
}

# Sets _vt_found to the place of a runfile.
_vt_locate() {
  if [ -z "$_vt_manifest" ]; then
    _vt_found=$_vt_runfiles/$1
    return 0
  fi
  while read -r _vt_key _vt_found; do
    [ "$_vt_key" = "$1" ] && return 0
  done <"$_vt_manifest"
  return 1
}

# A directory NAME.runfiles beside this file or around it, links followed one by one; then what the caller says; then a
# manifest instead of a directory.
_vt_find_runfiles() {
  _vt_manifest=
  _vt_self=$0
  case $_vt_self in
    /*) ;;
    */*) _vt_self=$PWD/$_vt_self ;;
    *) if [ -e "./$_vt_self" ]; then _vt_self=$PWD/$_vt_self; else _vt_self=$(command -v -- "$_vt_self"); fi ;;
  esac
  _vt_first=$_vt_self
  while :; do
    for _vt_runfiles in "$_vt_self.runfiles" "${_vt_self%.runfiles/*}.runfiles"; do
      [ -e "$_vt_runfiles/$_vt_venv/pyvenv.cfg" ] && return 0
    done
    [ -h "$_vt_self" ] || break
    _vt_link=$(readlink "$_vt_self")
    case $_vt_link in
      /*) _vt_self=$_vt_link ;;
      *) _vt_self=${_vt_self%/*}/$_vt_link ;;
    esac
  done
  for _vt_runfiles in "${RUNFILES_DIR-}" "${TEST_SRCDIR-}"; do
    [ -n "$_vt_runfiles" ] && [ -e "$_vt_runfiles/$_vt_venv/pyvenv.cfg" ] && return 0
  done
  for _vt_manifest in "$_vt_first.runfiles_manifest" "$_vt_first.runfiles/MANIFEST" "$_vt_self.runfiles_manifest" \
    "$_vt_self.runfiles/MANIFEST" "${RUNFILES_MANIFEST_FILE-}"; do
    [ -f "$_vt_manifest" ] && _vt_locate "$_vt_venv" && return 0
  done
  _vt_fail "found no runfiles: neither $_vt_first.runfiles nor a manifest holds $_vt_venv"
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
_vt_python=$_vt_found/bin/python
_vt_locate "$_vt_site" || _vt_fail "the runfiles have no $_vt_site"
PYTHONPATH=${_vt_found%/*}${PYTHONPATH:+:$PYTHONPATH}
VENVTREE_ROOTS=$(_vt_roots | while IFS= read -r _vt_root; do
  [ "$_vt_root" = . ] && _vt_root=$_vt_workspace
  printf '%s\n' "$_vt_root"
done)
export VENVTREE_RUNFILES VENVTREE_PREFIX VENVTREE_ROOTS PYTHONPATH
unset PYTHONHOME
# Bytecode in an output of Bazel's would be taken for a change of it.
PYTHONDONTWRITEBYTECODE=${PYTHONDONTWRITEBYTECODE-1}
export PYTHONDONTWRITEBYTECODE

_vt_start() { exec "$@"; }

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
