# shellcheck shell=sh disable=SC2034,SC2154 # variables are set by one part and used by another
# Part of the programs that Bazel's rules write: finds the runfiles, and the environment in them.
#
# Set before: `_vt_venv` (a runfile), `_vt_workspace`, the function `_vt_roots`; `self.sh`.
# Set here: VENVTREE_RUNFILES, VENVTREE_PREFIX, VENVTREE_ROOTS, the function `_vt_locate`.

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
  _vt_first=$_vt_self
  while :; do
    for _vt_runfiles in "$_vt_self.runfiles" "${_vt_self%.runfiles/*}.runfiles"; do
      [ -e "$_vt_runfiles/$_vt_venv/pyvenv.cfg" ] && return 0
    done
    [ -h "$_vt_self" ] || break
    _vt_follow
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
