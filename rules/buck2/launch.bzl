"""The POSIX shell files that start environments, binaries and tests.

Such a file is a cheap write. It finds the environment and the first-party files by paths relative to itself, so a checkout can lie anywhere.
First-party files are links in a directory beside it, and reach Python through `sitecustomize` (see `rules/private/runtime`), so children have them too.
"""

load("//rules/common:quote.bzl", "shell_quote")
load("//rules/common:shell.bzl", "FIND_BESIDE", "SELF", "START")
load("//rules/common:text.bzl", "check_variables")
load(":action.bzl", "target_name")
load(":providers.bzl", "VenvtreeInterpreterInfo")

LAUNCH_ATTRS = {
    "_site": attrs.default_only(attrs.source(default = "//rules/private/runtime:sitecustomize.py")),
}

# What the directory beside the launcher holds.
_ROOT = "first_party"
_SITE = "site/sitecustomize.py"
_RUNNER = "site/run_test.py"

def write_launcher(
        ctx: AnalysisContext,
        tree: Artifact,
        interpreter: VenvtreeInterpreterInfo,
        start: struct,
        sources: dict[str, Artifact],
        env: dict[str, str] = {},
        interpreter_args: list[str] = [],
        runner: Artifact | None = None) -> struct:
    """Writes the file that starts a Python.

    Args:
      ctx: the rule's context.
      tree: the environment's directory.
      interpreter: a VenvtreeInterpreterInfo.
      start: a struct of `kind` and what the kind needs: `python` (nothing), `main` (`place`), `module` (`name`), `script` (`name`),
        `pytest` (`places`, and `name`: how plugins are loaded). Places are those of `sources`.
      sources: first-party files by their path below the import root.
      env: environment variables.
      interpreter_args: arguments for the interpreter, before the program.
      runner: for tests, the program that runs pytest.

    Returns:
      A struct of `file` and `needs`, a list of artifacts that must be there when it runs.
    """
    problem = check_variables("env", env.keys())
    if problem:
        fail("%s: %s" % (target_name(ctx), problem))
    name = ctx.label.name.replace("/", "_")
    launcher = ctx.actions.declare_output(name)
    links = {_ROOT + "/" + place: file for place, file in sources.items()}
    links[_SITE] = ctx.attrs._site
    if runner:
        links[_RUNNER] = runner
    files = ctx.actions.symlinked_dir(name + ".files", links)

    lines = cmd_args(
        "#!/bin/sh",
        "# Starts %s. Written by py_venv's rules." % target_name(ctx),
        "_vt_target=" + shell_quote(target_name(ctx)),
        _assignment("_vt_venv", launcher, tree),
        _assignment("_vt_files", launcher, files),
        "_vt_site=" + _SITE,
        "_vt_runner=" + (_RUNNER if runner else ""),
        "_vt_kind=" + start.kind,
        "_vt_what=" + shell_quote(_what(start)),
        "_vt_interpreter_args() { exec \"$_vt_python\" %s\"$@\"; }" % "".join([shell_quote(arg) + " " for arg in interpreter_args]),
        ["export %s=%s" % (variable, shell_quote(env[variable])) for variable in sorted(env.keys())],
        "_vt_tests() { cat <<'_VT_TESTS'",
        [_ROOT + "/" + place for place in getattr(start, "places", [])],
        "_VT_TESTS\n}",
        SELF,
        FIND_BESIDE,
        START,
    )
    ctx.actions.write(launcher.as_output(), lines, is_executable = True)
    return struct(file = launcher, needs = [tree, files] + interpreter.files)

def _assignment(variable: str, launcher: Artifact, artifact: Artifact) -> cmd_args:
    place = cmd_args(artifact, quote = "shell", relative_to = (launcher, 1))

    # Apart, because quotes go around what is formatted.
    return cmd_args(place, format = variable + "={}")

def _what(start: struct) -> str:
    if start.kind == "main":
        return _ROOT + "/" + start.place
    return getattr(start, "name", "")
