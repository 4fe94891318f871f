"""External repositories, for WORKSPACE. MODULE.bazel has `extensions.bzl`, which makes the same ones."""

load("//rules/common:wheel_name.bzl", "normalise_distribution")
load("//rules/private:lock_repositories.bzl", _venvtree_lock = "venvtree_lock")
load("//rules/private:repository.bzl", "absolute", "bazel_major")
load("//rules/private:tool.bzl", "release_attributes", "venvtree_programs", _venvtree_tool = "venvtree_tool")

venvtree_lock = _venvtree_lock
venvtree_tool = _venvtree_tool

def _provider_loads(label, name, variable):
    """Lines of Starlark that define a list of the providers called `name`."""
    lines = []
    values = []
    if label:
        lines.append('load("%s", _%s = "%s")' % (absolute(label), name, name))
        values.append("[_%s]" % name)
    if bazel_major() < 8:
        values.append("[%s]" % name)
    else:
        values.append('[provider for provider in [getattr(getattr(native, "legacy_globals", None), "%s", None)] if provider]' % name)

    # One that is given may be Bazel's own.
    return lines, "%s = [provider for number, provider in enumerate(%s) if provider not in (%s)[:number]]" % (variable, " + ".join(values), " + ".join(values))

_STRIPS = """
config_setting(
    name = "strips_output_paths",
    values = {"experimental_output_paths": "strip"},
)
"""

def _venvtree_host_impl(repository_ctx):
    attr = repository_ctx.attr
    info_loads, info = _provider_loads(attr.py_info, "PyInfo", "PY_INFOS")
    runtime_loads, runtime = _provider_loads(attr.py_runtime_info, "PyRuntimeInfo", "PY_RUNTIME_INFOS")
    repository_ctx.file("host.bzl", "\n".join(
        ['"""What depends on the version of Bazel and on what else there is."""', ""] +
        info_loads + runtime_loads + ["", "BAZEL_MAJOR = %d" % bazel_major(), info, runtime, ""],
    ))
    interpreter = absolute(attr.interpreter) if attr.interpreter else absolute(Label("//rules:no_interpreter"))
    if attr.toolchain:
        toolchain = absolute(attr.toolchain)
    elif attr.released and not repository_ctx.os.environ.get("VENVTREE_BIN"):
        toolchain = absolute(Label("//rules:registered_toolchain"))
    else:
        toolchain = "@venvtree_tool//:toolchain"
    strips = ""
    value = repr("")
    if bazel_major() >= 6:
        # Older ones have no such option, or do nothing by it.
        strips = _STRIPS
        value = "select({\":strips_output_paths\": \"strip\", \"//conditions:default\": \"\"})"
    repository_ctx.file("BUILD.bazel", """\
load("%s", "choice")

package(default_visibility = ["//visibility:public"])

alias(
    name = "toolchain",
    actual = "%s",
)

alias(
    name = "interpreter",
    actual = "%s",
)

choice(
    name = "output_paths",
    value = %s,
)
%s""" % (absolute(Label("//rules/private:flags.bzl")), toolchain, interpreter, value, strips))

venvtree_host = repository_rule(
    implementation = _venvtree_host_impl,
    doc = "What the rules must know about this build: the tool, the default interpreter, and which `PyInfo` there is.",
    attrs = {
        "interpreter": attr.label(doc = "The default interpreter: a `venvtree_interpreter`."),
        "toolchain": attr.label(
            doc = "The `venvtree_toolchain` to use; by default the one registered for where actions run if `released`, else that of `@venvtree_tool`.",
        ),
        "released": attr.bool(doc = "Whether the tool is a release's, which has programs for several kinds of machines."),
        "py_info": attr.label(doc = "A file that exports `PyInfo`, such as `@rules_python//python:py_info.bzl`, besides Bazel's own."),
        "py_runtime_info": attr.label(
            doc = "A file that exports `PyRuntimeInfo`, such as `@rules_python//python:py_runtime_info.bzl`, besides Bazel's own.",
        ),
    },
    environ = ["VENVTREE_BIN"],
)

_INTERPRETER_BUILD = """\
load("%s", "venvtree_interpreter")

venvtree_interpreter(
    name = "python",
    facts = %s,
    path = %s,
    visibility = ["//visibility:public"],
)
"""

def _venvtree_system_interpreter_impl(repository_ctx):
    path = repository_ctx.attr.path
    if not path.startswith("/"):
        found = repository_ctx.which(path)
        if not found:
            fail("there is no %s on PATH; give the absolute path of an interpreter as `path`" % path)
        path = str(found)
    tool = repository_ctx.path(Label("@venvtree_tool//:venvtree"))
    result = repository_ctx.execute([tool, "interpreter", "probe", path])
    if result.return_code:
        fail("cannot learn about the interpreter %s:\n%s" % (path, result.stderr))
    repository_ctx.file("BUILD.bazel", _INTERPRETER_BUILD % (
        absolute(Label("//rules:defs.bzl")),
        repr(result.stdout.strip()),
        repr(path),
    ))

venvtree_system_interpreter = repository_rule(
    implementation = _venvtree_system_interpreter_impl,
    doc = "An interpreter of the system, as `//:python` of the repository. It is asked for its facts once, when the repository is fetched.",
    attrs = {
        "path": attr.string(
            doc = "The interpreter's absolute path, or its name on PATH.",
            default = "/usr/bin/python3",
        ),
    },
    environ = ["PATH"],
    local = True,
    configure = True,
)

def _venvtree_wheels_impl(repository_ctx):
    attr = repository_ctx.attr
    command = list(attr.pip)
    if "/" not in command[0]:
        program = repository_ctx.which(command[0])
        if not program:
            fail("there is no %s on PATH; say how to run pip with `pip = [\"/path/of/python\", \"-m\", \"pip\"]`" % command[0])
        command[0] = str(program)
    command += ["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--dest=wheels"] + attr.pip_args
    for requirements in attr.requirements:
        command += ["--requirement", str(repository_ctx.path(requirements))]
    repository_ctx.report_progress("Downloading wheels")
    result = repository_ctx.execute(command, timeout = attr.timeout)
    if result.return_code:
        # Bazel repeats what a repository fails with for every target that needs it.
        # buildifier: disable=print
        print("pip says:\n%s%s" % (result.stdout, result.stderr))
        fail("pip could not download the wheels of @%s; what it says is above" % repository_ctx.name)
    names = {}
    for path in repository_ctx.path("wheels").readdir():
        names.setdefault(normalise_distribution(path.basename.split("-")[0]), []).append("wheels/" + path.basename)
    lines = ['package(default_visibility = ["//visibility:public"])', ""]
    for name in sorted(names):
        lines += ["filegroup(", "    name = %s," % repr(name), "    srcs = %s," % repr(sorted(names[name])), ")", ""]
    lines += ["filegroup(", '    name = "all",', "    srcs = ["]
    lines += ["        %s," % repr(":" + name) for name in sorted(names)]
    lines += ["    ],", ")", ""]
    repository_ctx.file("BUILD.bazel", "\n".join(lines))

venvtree_wheels = repository_rule(
    implementation = _venvtree_wheels_impl,
    doc = """Wheels that pip downloads as requirements files pin them, with hashes: `@NAME//:requests` is one, `@NAME//:all` is all of them.

Where pip looks is pip's own configuration. Dependencies are not resolved: the requirements name every wheel.""",
    attrs = {
        "requirements": attr.label_list(
            doc = "Requirements files, with a hash for every requirement.",
            mandatory = True,
            allow_files = True,
        ),
        "pip": attr.string_list(
            doc = "How to run pip.",
            default = ["python3", "-m", "pip"],
        ),
        "pip_args": attr.string_list(
            doc = "More arguments, such as `--python-version=3.11` and `--platform=manylinux_2_28_x86_64` for wheels of another platform.",
        ),
        "timeout": attr.int(
            doc = "Seconds that the download may take.",
            default = 1800,
        ),
    },
    environ = ["PATH", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONFIG_FILE"],
)

# buildifier: disable=unnamed-macro
def venvtree_repositories(interpreter = None, toolchain = None, binary = None, worker = "auto", py_info = None, py_runtime_info = None, release = {}):
    """Makes the repositories that the rules need: `@venvtree_host`, and those of the tool unless `toolchain` is given.

    Args:
      interpreter: the default interpreter, a `venvtree_interpreter`.
      toolchain: a `venvtree_toolchain`, or `@venvtree//rules:registered_toolchain` for toolchain resolution.
      binary: the `venvtree` program, instead of a release's.
      worker: whether Bazel may keep the tool running: `auto`, `off`, `proto` or `json`.
      py_info: a file that exports `PyInfo`, such as `@rules_python//python:py_info.bzl`, besides Bazel's own.
      py_runtime_info: the same for `PyRuntimeInfo`.
      release: where programs come from, other than this release says: `version`, `base` and `sha256`, as `venvtree.release` has them.
    """
    described = release_attributes(**release)
    if not toolchain and not native.existing_rule("venvtree_tool"):
        venvtree_tool(name = "venvtree_tool", binary = binary, worker = worker, **described)
        if described:
            venvtree_programs(described, worker)
            native.register_toolchains("@venvtree_toolchains//:all")
    if not native.existing_rule("venvtree_host"):
        venvtree_host(
            name = "venvtree_host",
            interpreter = interpreter,
            toolchain = toolchain,
            released = bool(described) and not binary,
            py_info = py_info,
            py_runtime_info = py_runtime_info,
        )
