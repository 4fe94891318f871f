# shellcheck shell=sh disable=SC2034,SC2154 # variables are set by one part and used by another
# Part of every program that the rules write: its own path.
#
# Set before: `_vt_target`, the label, for messages.
# Set here: `_vt_self`, the functions `_vt_fail` and `_vt_follow`.

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
