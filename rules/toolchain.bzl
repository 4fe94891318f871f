"""The tool as a toolchain. Rules take it from a label, which leads to toolchain resolution where there is a release."""

load("//rules/common:label.bzl", "label_text")
load("//rules/private:repository.bzl", "absolute")
load(":providers.bzl", "VenvtreeToolInfo")

# Bazel 4 takes a text for one of the main repository, whoever writes it.
TOOLCHAIN_TYPE = absolute(Label("//rules:toolchain_type"))

def _venvtree_toolchain_impl(ctx):
    if not ctx.attr.tool[DefaultInfo].files_to_run.executable:
        fail("%s: `tool` is %s, which cannot be run; give the label of the venvtree program" % (label_text(ctx.label), label_text(ctx.attr.tool.label)))
    info = VenvtreeToolInfo(
        tool = ctx.attr.tool[DefaultInfo].files_to_run,
        worker = ctx.attr.worker != "off",
        json = ctx.attr.worker == "json",
        launchers = ctx.files.launchers,
    )
    return [info, platform_common.ToolchainInfo(venvtree = info), DefaultInfo(files = ctx.attr.tool[DefaultInfo].files)]

venvtree_toolchain = rule(
    implementation = _venvtree_toolchain_impl,
    doc = """Describes the tool that builds environments.

Give its label to `venvtree_repositories(toolchain = …)` or `venvtree.toolchain(label = …)`; or wrap it in `toolchain()` with
the type `@venvtree//rules:toolchain_type`, register it, and give `@venvtree//rules:registered_toolchain` instead.""",
    attrs = {
        "tool": attr.label(
            doc = "The `venvtree` program.",
            mandatory = True,
            allow_files = True,
            cfg = "exec",
        ),
        "launchers": attr.label_list(
            doc = "Launchers for Windows, called as in distlib, for environments whose interpreter names none. Releases bring them.",
            allow_files = [".exe"],
        ),
        "worker": attr.string(
            doc = "Whether Bazel may keep the tool running as a persistent worker: `off`, or the protocol to speak: `proto` or `json`. " +
                  "Results are the same. Bazel uses workers where its `--strategy` and `--spawn_strategy` allow them.",
            default = "off",
            values = ["off", "proto", "json"],
        ),
    },
)

def _registered_toolchain_impl(ctx):
    info = ctx.toolchains[TOOLCHAIN_TYPE].venvtree
    return [info, DefaultInfo()]

registered_toolchain = rule(
    implementation = _registered_toolchain_impl,
    doc = "Forwards the toolchain that is registered for `@venvtree//rules:toolchain_type` and fits the platforms.",
    toolchains = [TOOLCHAIN_TYPE],
)
