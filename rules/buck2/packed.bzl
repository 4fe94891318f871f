"""The interpreter of what is packed: one where that is used, or one that goes into it."""

load("//rules/common:bytecode.bzl", "packed_bytecode")
load("//rules/common:inside.bzl", "INTERPRETER_KEY", "inside_directory", "inside_flags")
load("//rules/common:spec.bzl", "python_launcher")
load(":action.bzl", "named_input", "target_name")
load(":bytecode.bzl", "compile_interpreter")
load(":providers.bzl", "VenvInfo", "VenvtreeInterpreterInfo")

def packed_interpreter(ctx: AnalysisContext, venv: VenvInfo) -> struct:
    """The interpreter of an environment that is packed.

    Args:
      ctx: the context of a rule with the attribute `interpreter`.
      venv: the environment's VenvInfo.

    Returns:
      A struct of `info` (VenvtreeInterpreterInfo), `python` and `flags` (of the spec), `is_copied` (whether it goes into what is packed), `inputs`
      (list of cmd_args: what of it does), and bytecode for it: `wheel_overlays` (that of the environment's wheels) and `overlays` (that of its own library).
    """
    info = ctx.attrs.interpreter[VenvtreeInterpreterInfo] if ctx.attrs.interpreter else venv.interpreter
    flags = venv.document["flags"]
    has_bytecode = bool(packed_bytecode(venv, info, []))
    if info.path:
        return struct(info = info, python = python_launcher([info.path]), flags = flags, is_copied = False, inputs = [], wheel_overlays = venv.overlays if has_bytecode else [], overlays = [])
    problem = None
    if not info.executable:
        problem = "it is one file, without a library; give its directory as `runtime`, and where it is there as `executable`"
    elif has_bytecode and not info.compiler:
        problem = "nothing compiles its library where actions run; name what does with its `compiler`"
    if problem:
        fail("%s: the interpreter is part of the build and cannot be packed: %s; or add `interpreter = …`, a `venvtree_interpreter` with `path`" % (target_name(ctx), problem))
    return struct(
        info = info,
        python = inside_directory(info.executable),
        flags = inside_flags(flags, info.platform),
        is_copied = True,
        inputs = [named_input(INTERPRETER_KEY, info.files[0])],
        wheel_overlays = venv.overlays if has_bytecode else [],
        overlays = compile_interpreter(ctx, info, venv.bytecode) if has_bytecode else [],
    )
