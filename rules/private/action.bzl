"""The one place where the tool's actions are made."""

load("@venvtree_host//:host.bzl", "BAZEL_MAJOR")
load("//rules:providers.bzl", "ChoiceInfo", "VenvtreeToolInfo")

# The tool comes from a label, not from toolchain resolution, which newer Bazels want to be told.
_NO_TOOLCHAIN = {"toolchain": None} if BAZEL_MAJOR >= 6 else {}

TOOL_ATTRS = {
    "_toolchain": attr.label(
        default = Label("@venvtree_host//:toolchain"),
        cfg = "exec",
        providers = [VenvtreeToolInfo],
    ),
    "_output_paths": attr.label(
        default = Label("@venvtree_host//:output_paths"),
        providers = [ChoiceInfo],
    ),
}

def run_tool(ctx, args, mnemonic, progress_message, inputs, outputs, requirements = {}, on_this_machine = False):
    """Runs the tool with arguments from a parameter file.

    Args:
      ctx: the context of a rule or an aspect with TOOL_ATTRS.
      args: Args whose first line is the tool's command.
      mnemonic: the action's mnemonic.
      progress_message: what Bazel shows while it runs.
      inputs: a list or depset of File.
      outputs: a list of File.
      requirements: what the action requires of how it is executed, besides what every action of the tool does.
      on_this_machine: whether it does something here that is no output, so that it is neither sandboxed, nor cached elsewhere.
    """

    toolchain = ctx.attr._toolchain[VenvtreeToolInfo]

    # Thousands of wheels do not fit on a command line, and workers want their requests in a file as the last argument.
    args.set_param_file_format("multiline")
    args.use_param_file("@%s", use_always = True)
    requirements = dict({"supports-path-mapping": "1"}, **requirements)
    if on_this_machine:
        requirements = {"local": "1", "no-cache": "1", "no-remote": "1", "no-sandbox": "1"}
    elif toolchain.worker and ctx.attr._output_paths[ChoiceInfo].value != "strip":
        # A worker without a sandbox, as Bazel starts them by default, finds nothing at paths that are mapped.
        requirements.update({
            "supports-workers": "1",
            "supports-multiplex-workers": "1",
            "supports-worker-cancellation": "1",
            "supports-multiplex-sandboxing": "1",
        })
        if toolchain.json:
            requirements["requires-worker-protocol"] = "json"
    ctx.actions.run(
        executable = toolchain.tool,
        arguments = [args],
        inputs = inputs,
        outputs = outputs,
        mnemonic = mnemonic,
        progress_message = progress_message,
        execution_requirements = requirements,

        # Where things are on this machine, variables may say (`--action_env`).
        use_default_shell_env = on_this_machine,
        **_NO_TOOLCHAIN
    )
