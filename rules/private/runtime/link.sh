# shellcheck shell=sh disable=SC2154 # the variables are set before it
# The program that `py_venv_link` writes: makes an environment in the workspace. `bazel run` builds runfiles beside it; nothing else is
# meant to start it.
#
# Set before: `target`, `workspace_name`, `path`, `tool`, `spec`, `python` (runfiles), the functions `wheels` and `roots`.

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
