"""The module extension, for MODULE.bazel. WORKSPACE has `repositories.bzl`."""

load(":repositories.bzl", "venvtree_host", "venvtree_system_interpreter", "venvtree_tool", "venvtree_wheels")

def _venvtree_impl(module_ctx):
    # The root module decides; without it, defaults do. Other modules bring only their own wheels.
    tool = struct(label = None, binary = None, worker = "auto")
    python = struct(interpreter = None, py_info = None, py_runtime_info = None)
    for module in module_ctx.modules:
        for tag in module.tags.wheels:
            venvtree_wheels(name = tag.name, requirements = tag.requirements, pip = tag.pip, pip_args = tag.pip_args)
        for tag in module.tags.system_interpreter:
            venvtree_system_interpreter(name = tag.name, path = tag.path)
        if not module.is_root:
            continue
        if len(module.tags.toolchain) > 1 or len(module.tags.python) > 1:
            fail("`venvtree.toolchain` and `venvtree.python` may each be used once")
        for tag in module.tags.toolchain:
            tool = tag
        for tag in module.tags.python:
            python = tag
    venvtree_tool(name = "venvtree_tool", binary = tool.binary, worker = tool.worker)
    venvtree_host(
        name = "venvtree_host",
        interpreter = python.interpreter,
        toolchain = tool.label,
        py_info = python.py_info,
        py_runtime_info = python.py_runtime_info,
    )

venvtree = module_extension(
    implementation = _venvtree_impl,
    doc = "The tool, the default interpreter, and wheels.",
    tag_classes = {
        "toolchain": tag_class(
            doc = "Which tool builds environments; by default the program at VENVTREE_BIN, else what cargo builds. Counts in the root module only.",
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
        "python": tag_class(
            doc = "The default interpreter, and rules_python's providers. Counts in the root module only.",
            attrs = {
                "interpreter": attr.label(doc = "The default interpreter: a `venvtree_interpreter`."),
                "py_info": attr.label(doc = "A file that exports `PyInfo`, such as `@rules_python//python:py_info.bzl`, besides Bazel's own."),
                "py_runtime_info": attr.label(doc = "A file that exports `PyRuntimeInfo`, such as `@rules_python//python:py_runtime_info.bzl`."),
            },
        ),
        "system_interpreter": tag_class(
            doc = "An interpreter of the system, as `@NAME//:python`.",
            attrs = {
                "name": attr.string(doc = "The repository's name.", mandatory = True),
                "path": attr.string(doc = "The interpreter's absolute path, or its name on PATH.", default = "/usr/bin/python3"),
            },
        ),
        "wheels": tag_class(
            doc = "Wheels that pip downloads; see `venvtree_wheels`.",
            attrs = {
                "name": attr.string(doc = "The repository's name.", mandatory = True),
                "requirements": attr.label_list(doc = "Requirements files, with a hash for every requirement.", mandatory = True, allow_files = True),
                "pip": attr.string_list(doc = "How to run pip.", default = ["python3", "-m", "pip"]),
                "pip_args": attr.string_list(doc = "More arguments for `pip download`."),
            },
        ),
    },
)
