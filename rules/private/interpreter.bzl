"""`venvtree_interpreter`: what environments must know about an interpreter, which no rule of Bazel's says in full."""

load("@venvtree_host//:host.bzl", "PY_RUNTIME_INFOS")
load("//rules:providers.bzl", "VenvtreeInterpreterInfo")
load("//rules/common:attributes.bzl", "DOCS", "INTERPRETER")
load("//rules/common:facts.bzl", "interpreter_facts_of")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:spec.bzl", "check_interpreter_path")
load("//rules/common:text.bzl", "check_line")
load(":action.bzl", "TOOL_ATTRS")
load(":attributes.bzl", "attributes")
load(":bytecode.bzl", "BYTECODE_ATTRS", "compile_interpreter")

def _venvtree_interpreter_impl(ctx):
    runtime = _runtime(ctx)
    facts = interpreter_facts_of(ctx.attr, runtime.version)
    if facts.error:
        fail("%s: %s" % (label_text(ctx.label), facts.error))
    platform = facts.value["platform"]
    if runtime.path:
        problem = check_interpreter_path(runtime.path, platform)
        if problem:
            fail("%s: `%s` %s" % (label_text(ctx.label), "path" if ctx.attr.path else "runtime", problem))
    if ctx.files.launchers and platform["os"] != "windows":
        fail("%s: `launchers` are for Windows, and `platform` is %s; leave them out" % (label_text(ctx.label), platform["os"]))
    compiler = _compiler(ctx, runtime, platform)
    fields = {
        "implementation": facts.value["implementation"],
        "version": facts.value["version"],
        "abi": facts.value["abi"],
        "platform": platform,
        "path": runtime.path,
        "file": runtime.file,
        "files": runtime.files,
        "launchers": ctx.files.launchers,
        "compiler": compiler,
    }
    info = VenvtreeInterpreterInfo(bytecode = compile_interpreter(ctx, struct(**fields)), **fields)
    return [info, DefaultInfo(files = depset([runtime.file]) if runtime.file else depset(), runfiles = ctx.runfiles(transitive_files = runtime.files))]

def _runtime(ctx):
    if bool(ctx.attr.runtime) == bool(ctx.attr.path):
        fail("%s: expected one of `runtime` (a label) and `path` (an absolute path); found %s" % (label_text(ctx.label), "both" if ctx.attr.path else "neither"))
    if ctx.attr.path:
        return _system_runtime(ctx, "path", ctx.attr.path)
    return _runtime_of(ctx, "runtime", ctx.attr.runtime)

def _compiler(ctx, runtime, platform):
    """What compiles where actions run: the same interpreter, unless another one is named for that."""
    if ctx.attr.compiler:
        compiler = _runtime_of(ctx, "compiler", ctx.attr.compiler)
    elif platform["os"] == "windows":
        # Windows is what environments are for, and no machine that actions run on.
        return None
    else:
        compiler = runtime
    return struct(path = compiler.path, file = compiler.file, files = compiler.files, version = compiler.version)

def _runtime_of(ctx, attribute, target):
    info = _runtime_info(target)
    if info:
        if info.interpreter_path:
            return _system_runtime(ctx, attribute, info.interpreter_path)
        return struct(path = None, file = info.interpreter, files = depset([info.interpreter], transitive = [info.files]), version = _runtime_version(info))
    default = target[DefaultInfo]
    files = default.files.to_list()
    file = default.files_to_run.executable or (files[0] if len(files) == 1 else None)
    if not file:
        fail("%s: `%s` is %s, which is neither a Python runtime nor one file; name a `py_runtime`, a Python toolchain, or the interpreter's file" % (label_text(ctx.label), attribute, label_text(target.label)))
    return struct(
        path = None,
        file = file,
        files = depset([file], transitive = [default.files] + ([default.default_runfiles.files] if default.default_runfiles else [])),
        version = None,
    )

def _system_runtime(ctx, attribute, path):
    problem = check_line(attribute, path)
    if problem:
        fail("%s: %s" % (label_text(ctx.label), problem))
    return struct(path = path, file = None, files = depset(), version = None)

def _runtime_info(target):
    for provider in PY_RUNTIME_INFOS:
        if provider in target:
            return target[provider]
    if platform_common.ToolchainInfo in target:
        # `current_py_toolchain`, `py_runtime_pair`: the runtime is a field.
        return getattr(target[platform_common.ToolchainInfo], "py3_runtime", None)
    return None

def _runtime_version(info):
    version = getattr(info, "interpreter_version_info", None)
    if not version or getattr(version, "micro", None) == None:
        return None
    return "%d.%d.%d" % (version.major, version.minor, version.micro)

interpreter_rule = rule(
    implementation = _venvtree_interpreter_impl,
    doc = """Describes an interpreter for environments.

The interpreter is not run while building: what wheels and scripts depend on is said here. Only bytecode, where an environment has some, is made
by running it. CPython 3.11 and newer.""",
    attrs = dict({
        "launchers": attr.label_list(
            doc = DOCS["launchers"],
            allow_files = [".exe"],
        ),
        "runtime": attr.label(
            doc = "An interpreter that Bazel knows: a `py_runtime` (in-build or of the system), a Python toolchain such as " +
                  "`@rules_python//python:current_py_toolchain`, or the interpreter's file.",
            allow_files = True,
        ),
        "compiler": attr.label(
            doc = "What compiles bytecode where actions run: an interpreter of the same version, as for `runtime`. By default `runtime` as it is " +
                  "for machines that run actions, or the interpreter at `path`.",
            allow_files = True,
            cfg = "exec",
        ),
    }, **dict(attributes(INTERPRETER), **dict(BYTECODE_ATTRS, **TOOL_ATTRS))),
    provides = [VenvtreeInterpreterInfo],
)

def venvtree_interpreter(name, runtime = None, compiler = None, **attributes):
    """See `interpreter_rule`: what compiles is by default the runtime for where actions run.

    Args:
      name: the target's name.
      runtime: the attribute.
      compiler: the attribute.
      **attributes: all others.
    """
    interpreter_rule(
        name = name,
        runtime = runtime,
        # A rule cannot have one attribute be another one in another configuration.
        compiler = runtime if compiler == None else compiler,
        **attributes
    )
