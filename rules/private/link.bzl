"""`py_venv_link`: an environment in the workspace, for the IDE."""

load("//rules:providers.bzl", "VenvInfo", "VenvtreeToolInfo")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:quote.bzl", "shell_quote")
load("//rules/common:shell.bzl", "MAKE_LINK")
load("//rules/common:spec.bzl", "interpreter_facts", "spec_document")
load("//rules/common:text.bzl", "check_line")
load(":action.bzl", "TOOL_ATTRS")
load(":closure.bzl", "check_closure", "collect_closure", "wheel_closure")
load(":collect.bzl", "collect_first_party", "one_line", "rlocation_path")
load(":launch.bzl", "external_repository")

# What only the run knows, as texts that JSON leaves as they are.
_PYTHON = "@PYTHON@"
_ENTRY = "@ENTRY@"

def _py_venv_link_impl(ctx):
    for part in ctx.attr.path.split("/"):
        if part in ["", ".", ".."]:
            fail("%s: `path` is `%s`; expected a path in the workspace, relative to its root" % (label_text(ctx.label), ctx.attr.path))
    problem = check_line("path", ctx.attr.path)
    if problem:
        fail("%s: %s" % (label_text(ctx.label), problem))
    venv = ctx.attr.venv[VenvInfo]
    check_closure(ctx.label, collect_closure(ctx.label, ctx.attr.deps), ctx.attr.venv)
    first_party = collect_first_party(ctx, deps = ctx.attr.deps, imports = ctx.attr.imports)
    interpreter = venv.interpreter
    flags = dict(venv.document["flags"])

    if interpreter.platform["os"] == "windows":
        fail("%s: `venv` is for Windows, and nothing there could start it; name a `py_venv` whose interpreter is this machine's" % label_text(ctx.label))

    # A person's environment may have links, and IDEs expect one.
    flags["links"] = True
    document = spec_document(
        interpreter = interpreter_facts(interpreter),
        python = {"kind": "absolute", "path": interpreter.path or _PYTHON},
        wheels = venv.document["wheels"],
        flags = flags,
        path_entries = [_ENTRY],
    )
    spec = ctx.actions.declare_file(ctx.label.name + ".spec.json")
    ctx.actions.write(spec, json.encode(document) + "\n")

    tool = ctx.attr._toolchain[VenvtreeToolInfo].tool
    workspace = ctx.workspace_name
    args = ctx.actions.args()
    args.set_param_file_format("multiline")
    args.add_all([
        "#!/bin/sh",
        "# Makes %s in the workspace. Written by py_venv_link." % ctx.attr.path,
        "target=" + shell_quote(label_text(ctx.label)),
        "workspace_name=" + shell_quote(workspace),
        "path=" + shell_quote(ctx.attr.path),
        "tool=" + shell_quote(rlocation_path(workspace, tool.executable)),
        "spec=" + shell_quote(rlocation_path(workspace, spec)),
        "python=" + shell_quote(rlocation_path(workspace, interpreter.file) if interpreter.file else ""),
    ])
    args.add("wheels() { cat <<'END_OF_LIST'")
    args.add_all([rlocation_path(workspace, wheel) for wheel in venv.wheels])
    args.add("END_OF_LIST\n}")
    args.add("roots() { cat <<'END_OF_LIST'")
    args.add_all(depset(transitive = [first_party.imports, venv.imports]), map_each = one_line, uniquify = True)
    args.add(workspace)
    args.add_all(depset(transitive = [first_party.sources, venv.sources]), map_each = external_repository, uniquify = True)
    args.add("END_OF_LIST\n}")
    args.add(MAKE_LINK)
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, args, is_executable = True)

    runfiles = ctx.runfiles(files = [spec, tool.executable] + venv.wheels, transitive_files = interpreter.files).merge(first_party.runfiles)
    runfiles = runfiles.merge(ctx.attr._toolchain[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = launcher, files = depset([launcher]), runfiles = runfiles)]

py_venv_link = rule(
    implementation = _py_venv_link_impl,
    doc = """Makes an environment in the workspace with `bazel run`, for IDEs and shells, and brings it up to date when run again.

It has links instead of launchers, and first-party import roots lead to the sources in the workspace, so that editing them needs no other run.""",
    attrs = dict({
        "venv": attr.label(
            doc = "The environment: a `py_venv`.",
            mandatory = True,
            providers = [VenvInfo],
        ),
        "deps": attr.label_list(
            doc = "Python libraries whose import roots the environment shall have, besides those of the `py_venv`.",
            aspects = [wheel_closure],
        ),
        "imports": attr.string_list(doc = "Import roots to add, relative to the package. The workspace's root is one anyway."),
        "path": attr.string(
            doc = "Where to make it, relative to the workspace's root.",
            default = ".venv",
        ),
    }, **TOOL_ATTRS),
    executable = True,
)
