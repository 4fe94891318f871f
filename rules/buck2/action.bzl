"""The one place where the tool's actions are made."""

load(":providers.bzl", "VenvtreeToolInfo")

def run_tool(ctx: AnalysisContext, command: list, category: str, outputs: list[(str, Artifact)], inputs: list[cmd_args], identifier: str | None = None, local: bool = False) -> None:
    """Runs the tool. Its result may be kept in a remote cache.

    Inputs are named in a file of arguments, because thousands of wheels do not fit on a command line. Neither it nor the command holds a path
    outside the project.

    Args:
      ctx: the rule's context, with the attribute `_toolchain`.
      command: what to do: the words before all options, texts and files.
      category: the category of the action.
      outputs: options and what they write: a list of pairs of an option and a declared output.
      inputs: the other arguments, one cmd_args each.
      identifier: which action of its category it is, where a rule has several.
      local: whether it needs something of the machine that the build is on.
    """
    arguments = ctx.actions.write("%s%s.args" % (category, "_" + identifier if identifier else ""), cmd_args(inputs), with_inputs = True, has_content_based_path = True)
    line = cmd_args(ctx.attrs._toolchain[VenvtreeToolInfo].tool, command)
    for option, output in outputs:
        line.add(option, output.as_output())
    line.add(cmd_args(arguments, format = "@{}"))

    # The file of arguments names them; the action must see them.
    line.add(cmd_args(hidden = inputs))
    ctx.actions.run(
        line,
        category = category,
        identifier = identifier,
        prefer_local = local,
        # Without it nothing is written to a remote cache, whatever the platform says.
        allow_cache_upload = True,
    )

def named_input(key: str, file: Artifact) -> cmd_args:
    """The option that says where the input is that the spec calls `key`.

    Args:
      key: the input's key.
      file: the file.

    Returns:
      The option.
    """
    return cmd_args(file, format = "--input=%s={}" % key.replace("{", "{{").replace("}", "}}"))

def target_name(ctx: AnalysisContext) -> str:
    """The rule's label as people write it, without its configuration.

    Args:
      ctx: the rule's context.

    Returns:
      Such as `root//app:app`.
    """
    return str(ctx.label.raw_target())

TOOL_ATTRS = {
    "_toolchain": attrs.toolchain_dep(
        default = "toolchains//:venvtree",
        providers = [VenvtreeToolInfo],
    ),
}
