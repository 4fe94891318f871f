"""The module extension, for MODULE.bazel. WORKSPACE has `repositories.bzl`."""

load("//rules/private:repository.bzl", "clash")
load("//rules/private:tool.bzl", "RELEASE_TAG", "release_attributes", "venvtree_programs")
load(":repositories.bzl", "venvtree_host", "venvtree_system_interpreter", "venvtree_tool", "venvtree_wheels")

def _venvtree_impl(module_ctx):
    # The root module decides; without it, defaults do. Other modules bring only their own wheels.
    tool = struct(label = None, binary = None, worker = "auto")
    release = {}
    python = struct(interpreter = None, py_info = None, py_runtime_info = None)
    known = {}
    for module in module_ctx.modules:
        for tag in module.tags.wheels:
            attributes = {"requirements": tag.requirements, "pip": tag.pip, "pip_args": tag.pip_args}
            if _is_new(known, module, tag.name, "wheels", attributes):
                venvtree_wheels(name = tag.name, **attributes)
        for tag in module.tags.system_interpreter:
            if _is_new(known, module, tag.name, "an interpreter", {"path": tag.path}):
                venvtree_system_interpreter(name = tag.name, path = tag.path)
        if not module.is_root:
            continue
        for kind in ["toolchain", "release", "python"]:
            if len(getattr(module.tags, kind)) > 1:
                fail("`venvtree.%s` may be used once" % kind)
        for tag in module.tags.toolchain:
            tool = tag
        for tag in module.tags.release:
            release = {"version": tag.version, "base": tag.base, "sha256": tag.sha256}
        for tag in module.tags.python:
            python = tag
    described = release_attributes(**release)
    venvtree_tool(name = "venvtree_tool", binary = tool.binary, worker = tool.worker, **described)
    venvtree_programs(described, tool.worker)
    venvtree_host(
        name = "venvtree_host",
        interpreter = python.interpreter,
        toolchain = tool.label,
        released = bool(described) and not tool.binary,
        py_info = python.py_info,
        py_runtime_info = python.py_runtime_info,
    )

def _is_new(known, module, name, what, attributes):
    """Whether no module before had a repository of this name; what several modules say alike is one repository."""
    if name not in known:
        known[name] = struct(module = module, what = what, attributes = attributes)
        return True
    first = known[name]
    if (first.what, first.attributes) == (what, attributes):
        return False
    fail(clash(first.module, module, what if first.what == what else "a repository", name, ", with different attributes"))

venvtree = module_extension(
    implementation = _venvtree_impl,
    doc = "The tool, the default interpreter, and wheels.",
    tag_classes = {
        "toolchain": tag_class(
            doc = "Which tool builds environments, instead of a release's or what cargo builds. Counts in the root module only.",
            attrs = {
                "label": attr.label(doc = "A `venvtree_toolchain`, or `@venvtree//rules:registered_toolchain` for toolchain resolution."),
                "binary": attr.label(doc = "The `venvtree` program.", allow_single_file = True),
                "worker": attr.string(
                    doc = "Whether Bazel may keep the tool running as a persistent worker.",
                    default = "auto",
                    values = ["auto", "off", "proto", "json"],
                ),
            },
        ),
        "release": tag_class(
            doc = "Where the programs of a release come from, other than this release says: a mirror, or another version. Counts in the root module only.",
            attrs = RELEASE_TAG,
        ),
        "python": tag_class(
            doc = "The default interpreter, and rules_python's providers. Counts in the root module only.",
            attrs = {
                "interpreter": attr.label(doc = "The default interpreter: a `venvtree_interpreter`."),
                "py_info": attr.label(doc = "A file that exports `PyInfo`, such as `@rules_python//python:py_info.bzl`, besides Bazel's own."),
                "py_runtime_info": attr.label(doc = "A file that exports `PyRuntimeInfo`, such as `@rules_python//python:py_runtime_info.bzl`."),
            },
        ),
        "system_interpreter": tag_class(
            doc = "An interpreter of the system, as `@NAME//:python`. Modules that say the same share it.",
            attrs = {
                "name": attr.string(doc = "The repository's name.", mandatory = True),
                "path": attr.string(doc = "The interpreter's absolute path, or its name on PATH.", default = "/usr/bin/python3"),
            },
        ),
        "wheels": tag_class(
            doc = "Wheels that pip downloads; see `venvtree_wheels`. Modules that say the same share them.",
            attrs = {
                "name": attr.string(doc = "The repository's name.", mandatory = True),
                "requirements": attr.label_list(doc = "Requirements files, with a hash for every requirement.", mandatory = True, allow_files = True),
                "pip": attr.string_list(doc = "How to run pip.", default = ["python3", "-m", "pip"]),
                "pip_args": attr.string_list(doc = "More arguments for `pip download`."),
            },
        ),
    },
)
