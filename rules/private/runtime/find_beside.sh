# shellcheck shell=sh disable=SC2034,SC2154 # variables are set by one part and used by another
# Part of the programs that Buck2's rules write: finds the environment and the first-party files by paths relative to the program.
#
# Set before: `_vt_venv` and `_vt_files`, places relative to the program; `self.sh`.
# Set here: VENVTREE_RUNFILES, VENVTREE_PREFIX, VENVTREE_ROOTS, the function `_vt_locate`.

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
