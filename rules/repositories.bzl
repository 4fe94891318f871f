"""External repositories, for WORKSPACE. MODULE.bazel has `extensions.bzl`, which makes the same ones."""

load("//rules/common:wheel_name.bzl", "normalise_distribution")
load("//rules/private:lock_repositories.bzl", _venvtree_lock = "venvtree_lock")

venvtree_lock = _venvtree_lock

def _absolute(label):
    """A label's text that means the same in every repository."""
    text = str(label)
    return "@" + text if text.startswith("//") else text

def _bazel_major():
    """The first part of Bazel's version."""
    digits = ""
    for character in (native.bazel_version or "").elems():
        if not character.isdigit():
            break
        digits += character
    if digits:
        return int(digits)

    # Built without a version, as distributions do: by what there is.
    if not hasattr(native, "py_library"):
        return 9
    if hasattr(native, "legacy_globals"):
        return 8
    return 6 if hasattr(native, "package_relative_label") else 4

def _provider_loads(label, name, variable):
    """Lines of Starlark that define a list of the providers called `name`."""
    lines = []
    values = []
    if label:
        lines.append('load("%s", _%s = "%s")' % (_absolute(label), name, name))
        values.append("[_%s]" % name)
    if _bazel_major() < 8:
        values.append("[%s]" % name)
    else:
        values.append('[provider for provider in [getattr(getattr(native, "legacy_globals", None), "%s", None)] if provider]' % name)
    return lines, "%s = %s" % (variable, " + ".join(values))

def _venvtree_host_impl(repository_ctx):
    attr = repository_ctx.attr
    info_loads, info = _provider_loads(attr.py_info, "PyInfo", "PY_INFOS")
    runtime_loads, runtime = _provider_loads(attr.py_runtime_info, "PyRuntimeInfo", "PY_RUNTIME_INFOS")
    repository_ctx.file("host.bzl", "\n".join(
        ['"""What depends on the version of Bazel and on what else there is."""', ""] +
        info_loads + runtime_loads + ["", "BAZEL_MAJOR = %d" % _bazel_major(), info, runtime, ""],
    ))
    interpreter = _absolute(attr.interpreter) if attr.interpreter else _absolute(Label("//rules:no_interpreter"))
    toolchain = _absolute(attr.toolchain) if attr.toolchain else "@venvtree_tool//:toolchain"
    repository_ctx.file("BUILD.bazel", """\
package(default_visibility = ["//visibility:public"])

alias(
    name = "toolchain",
    actual = "%s",
)

alias(
    name = "interpreter",
    actual = "%s",
)
""" % (toolchain, interpreter))

venvtree_host = repository_rule(
    implementation = _venvtree_host_impl,
    doc = "What the rules must know about this build: the tool, the default interpreter, and which `PyInfo` there is.",
    attrs = {
        "interpreter": attr.label(
            doc = "The default interpreter: a `venvtree_interpreter`.",
        ),
        "toolchain": attr.label(
            doc = "The `venvtree_toolchain` to use; by default that of `@venvtree_tool`.",
        ),
        "py_info": attr.label(
            doc = "A file that exports `PyInfo`, such as `@rules_python//python:py_info.bzl`, besides Bazel's own.",
        ),
        "py_runtime_info": attr.label(
            doc = "A file that exports `PyRuntimeInfo`, such as `@rules_python//python:py_runtime_info.bzl`, besides Bazel's own.",
        ),
    },
)

_TOOL_BUILD = """\
load("%s", "venvtree_toolchain")

package(default_visibility = ["//visibility:public"])

exports_files(["venvtree"])

venvtree_toolchain(
    name = "toolchain",
    tool = ":venvtree",
    worker = "%s",
)
"""

def _venvtree_tool_impl(repository_ctx):
    binary = repository_ctx.os.environ.get("VENVTREE_BIN")
    if binary:
        binary = repository_ctx.path(binary)
        if not binary.exists:
            fail("VENVTREE_BIN is %s, which does not exist; give the path of the venvtree program" % binary)
    elif repository_ctx.attr.binary:
        binary = repository_ctx.path(repository_ctx.attr.binary)
    else:
        binary = _build_with_cargo(repository_ctx)
    repository_ctx.symlink(binary, "venvtree")
    worker = repository_ctx.attr.worker
    if worker == "auto":
        # Bazel 4 asks for flags before it starts workers with JSON or several requests at once; what these save is little there.
        worker = "proto" if _bazel_major() >= 6 else "off"
    repository_ctx.file("BUILD.bazel", _TOOL_BUILD % (_absolute(Label("//rules:toolchain.bzl")), worker))

def _build_with_cargo(repository_ctx):
    root = repository_ctx.path(Label("//:Cargo.toml")).dirname
    listing = repository_ctx.execute(["find", "src", "-type", "f"], working_directory = str(root))
    for source in ["Cargo.lock", "tools/release"] + sorted(listing.stdout.split("\n")):
        if source:
            # Asking for the path is what makes Bazel fetch again after an edit.
            repository_ctx.path(Label("//:" + source))
    if not repository_ctx.which("cargo"):
        fail("there is no venvtree program: set VENVTREE_BIN to its path (`--repo_env=VENVTREE_BIN=…`), or put cargo on PATH, which builds it from %s" % root)
    repository_ctx.report_progress("Building venvtree with cargo")
    result = repository_ctx.execute(
        # The rules need no remote caches of the tool's own.
        ["sh", str(root) + "/tools/release", "--no-default-features"],
        environment = {"CARGO_TARGET_DIR": str(repository_ctx.path("target"))},
        timeout = 3600,
        quiet = False,
    )
    if result.return_code:
        fail("cargo could not build venvtree from %s:\n%s" % (root, result.stderr))
    return repository_ctx.path("target/release/venvtree")

venvtree_tool = repository_rule(
    implementation = _venvtree_tool_impl,
    doc = "The tool: the program at VENVTREE_BIN, else `binary`, else what cargo builds from this checkout.",
    attrs = {
        "binary": attr.label(
            doc = "The `venvtree` program.",
            allow_single_file = True,
        ),
        "worker": attr.string(
            doc = "Whether Bazel may keep the tool running as a persistent worker: `off`, `proto`, `json`; `auto` is `proto` on Bazel 6 and newer, " +
                  "and `off` on older ones.",
            default = "auto",
            values = ["auto", "off", "proto", "json"],
        ),
    },
    # Not `local`: then cargo would build everything again for each new server. Bazel looks at the program behind the link anyway.
    environ = ["VENVTREE_BIN", "PATH", "CARGO_HOME", "RUSTUP_HOME"],
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
        _absolute(Label("//rules:defs.bzl")),
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
        fail("pip could not download the wheels of @%s:\n%s%s" % (repository_ctx.name, result.stdout, result.stderr))
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

def venvtree_repositories(interpreter = None, toolchain = None, binary = None, worker = "auto", py_info = None, py_runtime_info = None):
    """Makes the repositories that the rules need: `@venvtree_host` and, unless `toolchain` is given, `@venvtree_tool`.

    Args:
      interpreter: the default interpreter, a `venvtree_interpreter`.
      toolchain: a `venvtree_toolchain`, or `@venvtree//rules:registered_toolchain` for toolchain resolution.
      binary: the `venvtree` program; by default VENVTREE_BIN says where it is, and cargo builds it where that is not set.
      worker: whether Bazel may keep the tool running: `auto`, `off`, `proto` or `json`.
      py_info: a file that exports `PyInfo`, such as `@rules_python//python:py_info.bzl`, besides Bazel's own.
      py_runtime_info: the same for `PyRuntimeInfo`.
    """
    if not toolchain and not native.existing_rule("venvtree_tool"):
        venvtree_tool(name = "venvtree_tool", binary = binary, worker = worker)
    if not native.existing_rule("venvtree_host"):
        venvtree_host(
            name = "venvtree_host",
            interpreter = interpreter,
            toolchain = toolchain,
            py_info = py_info,
            py_runtime_info = py_runtime_info,
        )
