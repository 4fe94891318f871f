"""Bytecode: an action `py_bytecode` for each wheel of an environment."""

load("//rules/common:bytecode.bzl", "DEFAULT_EXCLUDE", "NO_BYTECODE", "bytecode_for", "overlay_name")
load(":action.bzl", "run_tool", "target_name")
load(":providers.bzl", "VenvtreeInterpreterInfo", "VenvtreeToolInfo")

def compile_wheels(ctx: AnalysisContext, interpreter: VenvtreeInterpreterInfo, wheels: list[Artifact]) -> struct:
    """The bytecode of an environment, if it has some.

    Args:
      ctx: the rule's context, with the attributes of the table BYTECODE.
      interpreter: the environment's interpreter.
      wheels: its wheels.

    Returns:
      A struct of `wanted` (what `wanted_bytecode` gives), `files` and `keys` (for wheels' names, names of files).
    """
    name = target_name(ctx)
    toolchain = ctx.attrs._toolchain[VenvtreeToolInfo]
    asked = bytecode_for(ctx.attrs, interpreter, toolchain.bytecode, toolchain.bytecode_exclude)
    if asked.error:
        fail("%s: %s" % (name, asked.error))
    if asked.problem:
        fail("%s: its interpreter has no bytecode: %s; or leave bytecode out with `bytecode = \"none\"`" % (name, asked.problem))
    if not asked.value:
        return NO_BYTECODE
    wanted = asked.value
    files = []
    keys = {}
    for wheel in wheels:
        for level in wanted.levels:
            file_name = overlay_name(wheel.basename, interpreter.version, level)
            overlay = ctx.actions.declare_output("bytecode", file_name, has_content_based_path = True)
            excluded = []
            for pattern in DEFAULT_EXCLUDE + toolchain.bytecode_exclude:
                excluded += ["--exclude", pattern]
            run_tool(
                ctx,
                command = [
                    "bytecode",
                    "compile",
                    "--compiler",
                    interpreter.compiler,
                    # In the key of the action, too: what is at a path of the system is no input.
                    "--compiler-version",
                    interpreter.version,
                    "--levels",
                    str(level),
                    "--validation",
                    wanted.validation,
                    # Each wheel is an action, and Buck runs many of them.
                    "--threads",
                    "1",
                    "--quiet",
                ] + excluded,
                category = "py_bytecode",
                identifier = file_name,
                outputs = [("--overlay", overlay)],
                inputs = [cmd_args(wheel)],
                local = interpreter.compiler == interpreter.path,
            )
            files.append(overlay)
            keys.setdefault(wheel.basename, []).append(file_name)
    return struct(wanted = wanted, files = files, keys = keys)
