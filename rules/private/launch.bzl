"""The POSIX shell files that start environments, binaries and tests.

Such a file is a cheap write. It finds its runfiles, tells the environment's Python where first-party import roots are, and starts it.
Import roots reach Python through `sitecustomize` (see `runtime/sitecustomize.py`), so children inherit them.
"""

load("//rules/common:label.bzl", "label_text")
load("//rules/common:quote.bzl", "shell_quote")
load("//rules/common:shell.bzl", "FIND_IN_RUNFILES", "FIND_SHARED", "SELF", "START")
load("//rules/common:text.bzl", "check_variables")
load(":collect.bzl", "one_line", "rlocation_path")
load(":shared.bzl", "shared_lines")

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

def write_launcher(ctx, output, tree, start, imports, sources, shared = None, env = {}, interpreter_args = [], runner = None):
    """Writes the file that starts a Python.

    Args:
      ctx: the rule's context.
      output: the file to write.
      tree: the environment's directory.
      start: a struct of `kind` and what the kind needs: `python` (nothing), `main` (`file`), `module` (`name`), `script` (`name`),
        `pytest` (`files`, and `name`: how plugins are loaded).
      imports: depset of import roots, relative to the runfiles directory.
      sources: depset of first-party sources; the repositories that they are in are import roots too.
      shared: the environment's shared form, to be used instead of the directory.
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
        "_vt_venv=" + shell_quote(shared.place + "/digest" if shared else rlocation_path(workspace, tree)),
        "_vt_probe=" + ("" if shared else "/pyvenv.cfg"),
        "_vt_site=" + shell_quote(_SITE),
        "_vt_kind=" + start.kind,
        "_vt_what=" + shell_quote(_what(workspace, start)),
        "_vt_runner=" + shell_quote(_RUNNER if runner else ""),
        "_vt_interpreter_args() { exec \"$_vt_python\" %s\"$@\"; }" % "".join([shell_quote(arg) + " " for arg in interpreter_args]),
    ] + (shared_lines(shared, shell_quote) if shared else [])
    problem = check_variables("env", env.keys())
    if problem:
        fail("%s: %s" % (label_text(ctx.label), problem))
    for name in sorted(env.keys()):
        lines.append("export %s=%s" % (name, shell_quote(env[name])))
    args = ctx.actions.args()
    args.set_param_file_format("multiline")
    args.add_all(lines)
    args.add("_vt_roots() { cat <<'_VT_ROOTS'")
    args.add_all(imports, map_each = one_line, uniquify = True)

    # A repository's directory is an import root, as in Bazel's own rules; the main one's name is known to the file.
    args.add(".")
    args.add_all(sources, map_each = external_repository, uniquify = True)
    args.add("_VT_ROOTS\n}")
    args.add("_vt_tests() { cat <<'_VT_TESTS'")
    args.add_all([rlocation_path(workspace, file) for file in getattr(start, "files", [])])
    args.add("_VT_TESTS\n}")
    args.add_all([SELF, FIND_IN_RUNFILES] + ([FIND_SHARED] if shared else []) + [START])
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
