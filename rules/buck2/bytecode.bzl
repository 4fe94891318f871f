"""Bytecode: an action `py_bytecode` for each wheel of an environment, and for an interpreter that is packed."""

load("//rules/common:bytecode.bzl", "DEFAULT_EXCLUDE", "NO_BYTECODE", "bytecode_for", "overlay_name")
load("//rules/common:inside.bzl", "INTERPRETER_KEY", "INTERPRETER_WHEEL", "inside_directory")
load("//rules/common:spec.bzl", "interpreter_facts", "spec_document")
load(":action.bzl", "named_input", "run_tool", "target_name")
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
            overlay = _compile(ctx, interpreter, struct(validation = wanted.validation, level = level), file_name, [], [cmd_args(wheel)])
            files.append(overlay)
            keys.setdefault(wheel.basename, []).append(file_name)
    return struct(wanted = wanted, files = files, keys = keys)

def compile_interpreter(ctx: AnalysisContext, interpreter: VenvtreeInterpreterInfo, wanted: struct) -> list[Artifact]:
    """The bytecode of an interpreter's own library, for what it is packed into.

    Args:
      ctx: the rule's context.
      interpreter: the interpreter, a directory of the project or of the build.
      wanted: what `wanted_bytecode` gives.

    Returns:
      A file for each level, called as `interpreter_overlays` says.
    """
    spec = ctx.actions.write_json("interpreter.spec.json", spec_document(
        interpreter = interpreter_facts(interpreter),
        python = inside_directory(interpreter.executable),
        wheels = [],
        flags = {"input_digests": "trusted"},
    ), pretty = True, has_content_based_path = True)
    inputs = [named_input(INTERPRETER_KEY, interpreter.files[0])]
    return [
        _compile(
            ctx,
            interpreter,
            struct(validation = wanted.validation, level = level),
            overlay_name(INTERPRETER_WHEEL, interpreter.version, level),
            ["--interpreter-of", spec],
            inputs,
        )
        for level in wanted.levels
    ]

def _compile(ctx: AnalysisContext, interpreter: VenvtreeInterpreterInfo, way: struct, name: str, command: list, inputs: list[cmd_args]) -> Artifact:
    overlay = ctx.actions.declare_output("bytecode", name, has_content_based_path = True)
    excluded = []
    for pattern in DEFAULT_EXCLUDE + ctx.attrs._toolchain[VenvtreeToolInfo].bytecode_exclude:
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
            str(way.level),
            "--validation",
            way.validation,
            # What is accepted is each environment's to say.
            "--allow-all",
            # Each wheel is an action, and Buck runs many of them.
            "--threads",
            "1",
            "--quiet",
        ] + excluded + command,
        category = "py_bytecode",
        identifier = name,
        outputs = [("--overlay", overlay)],
        inputs = inputs,
        local = interpreter.compiler == interpreter.path,
    )
    return overlay
