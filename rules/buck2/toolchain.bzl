"""`venvtree_toolchain`: the tool, and the default interpreter."""

load("//rules/common:bytecode.bzl", "VALIDATIONS")
load(":attributes.bzl", "optional", "strings")
load(":providers.bzl", "VenvtreeInterpreterInfo", "VenvtreeToolInfo")

def _venvtree_toolchain_impl(ctx: AnalysisContext) -> list[Provider]:
    return [
        DefaultInfo(),
        VenvtreeToolInfo(
            bytecode = ctx.attrs.bytecode,
            bytecode_exclude = ctx.attrs.bytecode_exclude,
            tool = _tool(ctx),
            interpreter = ctx.attrs.interpreter[VenvtreeInterpreterInfo] if ctx.attrs.interpreter else None,
        ),
    ]

def _tool(ctx: AnalysisContext) -> RunInfo:
    name = str(ctx.label.raw_target())
    if bool(ctx.attrs.tool) == bool(ctx.attrs.path):
        fail("%s: expected one of `tool` (the venvtree program as a file or target) and `path` (its path, or its name on PATH); found %s" % (name, "both" if ctx.attrs.path else "neither"))
    if ctx.attrs.path:
        # A copy in the build: so its bytes count, and neither its place nor what else is on PATH.
        copy = ctx.actions.declare_output("venvtree", has_content_based_path = True)
        ctx.actions.run(
            cmd_args("/bin/sh", "-c", _COPY, name, ctx.attrs.path, copy.as_output()),
            category = "venvtree_tool",
            local_only = True,
        )
        return RunInfo(args = cmd_args(copy))
    if isinstance(ctx.attrs.tool, Artifact):
        return RunInfo(args = cmd_args(ctx.attrs.tool))
    if RunInfo in ctx.attrs.tool:
        return ctx.attrs.tool[RunInfo]
    outputs = ctx.attrs.tool[DefaultInfo].default_outputs
    if len(outputs) != 1:
        fail("%s: `tool` is %s, which cannot be run; give the venvtree program" % (name, ctx.attrs.tool.label.raw_target()))

    # A file that something fetched, such as a release's.
    return RunInfo(args = cmd_args(outputs[0]))

_COPY = """
found=$(command -v -- "$1") || {
  printf '%s: `path` is `%s`, but there is no such program; install venvtree, or say where it is\\n' "$0" "$1" >&2
  exit 1
}
cp -L "$found" "$2"
"""

venvtree_toolchain = rule(
    impl = _venvtree_toolchain_impl,
    doc = """Describes the tool that builds environments. All rules use `toolchains//:venvtree`.

The tool is an input of every action, so machines share a cache only where they have the same bytes: give all of them one release.""",
    attrs = {
        "tool": optional(
            attrs.one_of(attrs.exec_dep(), attrs.source()),
            "The `venvtree` program: a file, a target that can be run, or one that is a single file, such as a `venvtree_release`.",
        ),
        "path": attrs.string(
            default = "",
            doc = "Where the `venvtree` program of the machine is, or its name on PATH, instead of `tool`. It is copied into the build once; `buck2 clean` forgets the copy.",
        ),
        "interpreter": optional(
            attrs.dep(providers = [VenvtreeInterpreterInfo]),
            "The interpreter of environments that name none: a `venvtree_interpreter`.",
        ),
        "bytecode": attrs.enum(
            ["none"] + VALIDATIONS,
            default = "none",
            doc = "Which bytecode environments have that do not say it.",
        ),
        "bytecode_exclude": strings("Patterns of modules that nobody compiles, besides tests."),
    },
    is_toolchain_rule = True,
)
