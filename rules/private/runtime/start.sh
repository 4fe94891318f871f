# shellcheck shell=sh disable=SC2034,SC2154 # variables are set by one part and used by another
# Part of the programs that the rules for Bazel and Buck2 write: starts the environment's Python, once everything is found.
#
# Set before: `_vt_kind` and `_vt_what` (what to start), `_vt_site` and `_vt_runner` (files, for `_vt_locate`), VENVTREE_RUNFILES,
# VENVTREE_PREFIX, VENVTREE_ROOTS, the functions `_vt_fail`, `_vt_locate`, `_vt_tests` and `_vt_interpreter_args`, which starts Python.

_vt_python=$VENVTREE_PREFIX/bin/python
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
