"""Bytecode: an action `PyBytecode` for each wheel, which all environments share that want the same.

Where a wheel comes from a target, the action is that target's, by an aspect; so environments, binaries and tests need it once. It is for the default
interpreter. For other interpreters, and for wheels that are mere files, each environment has actions of its own. The library of an interpreter that is packed is
compiled by actions of that interpreter's target. Nothing is compiled unless an environment asks for it.
"""

load("//rules:providers.bzl", "VenvtreeInterpreterInfo", "WheelBytecodeInfo")
load("//rules/common:bytecode.bzl", "DEFAULT_EXCLUDE", "LEVELS", "NO_BYTECODE", "VALIDATIONS", "bytecode_for", "check_compiler", "overlay_name")
load("//rules/common:inside.bzl", "INTERPRETER_WHEEL", "inside_files")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:spec.bzl", "interpreter_facts", "spec_document")
load(":action.bzl", "TOOL_ATTRS", "run_tool")
load(":spec_args.bzl", "add_interpreter_inputs")

_SettingInfo = provider(
    doc = "The value of a build setting.",
    fields = {"value": "str, or list of str."},
)

def _setting_impl(ctx):
    return [_SettingInfo(value = ctx.build_setting_value)]

bytecode_setting = rule(
    implementation = _setting_impl,
    doc = "Which bytecode environments have that do not say it: `none`, `unchecked` or `checked`.",
    build_setting = config.string(flag = True),
)

bytecode_exclude_setting = rule(
    implementation = _setting_impl,
    doc = "Patterns of modules that nobody compiles, with commas.",
    build_setting = config.string_list(flag = True),
)

# For environments, and for what has the actions.
BYTECODE_ATTRS = {
    "_bytecode": attr.label(default = Label("//rules:bytecode")),
    "_bytecode_exclude": attr.label(default = Label("//rules:bytecode_exclude")),
}

def _compile_wheel(ctx, wheel, interpreter, way, directory):
    """Declares the file with the bytecode of a wheel, and the action that makes it.

    Args:
      ctx: the context of a rule or an aspect with TOOL_ATTRS and BYTECODE_ATTRS.
      wheel: the wheel, a File.
      interpreter: the VenvtreeInterpreterInfo of the environment.
      way: a struct of `validation` and `level`.
      directory: where the file goes, relative to the package.

    Returns:
      A File.
    """
    overlay = ctx.actions.declare_file("%s/%s/%s" % (directory, way.validation, overlay_name(wheel.basename, interpreter.version, way.level)))
    args = _compile_args(ctx, interpreter, way, overlay)
    args.add(wheel)
    _compile(ctx, interpreter.compiler, args, depset([wheel], transitive = [interpreter.compiler.files]), overlay)
    return overlay

def _compile_args(ctx, interpreter, way, overlay):
    compiler = interpreter.compiler
    args = ctx.actions.args()
    args.add("bytecode")
    args.add("compile")
    args.add("--compiler", compiler.file or compiler.path)

    # In the key of the action, too: what is at a path of the system is no input.
    args.add("--compiler-version", interpreter.version)
    args.add("--levels", str(way.level))
    args.add("--validation", way.validation)
    for pattern in DEFAULT_EXCLUDE + ctx.attr._bytecode_exclude[_SettingInfo].value:
        args.add("--exclude", pattern)
    args.add("--overlay", overlay)

    # What is accepted is each environment's to say.
    args.add("--allow-all")

    # Each wheel is an action, and Bazel runs many of them.
    args.add("--threads", "1")
    args.add("--quiet")
    return args

def _compile(ctx, compiler, args, inputs, overlay):
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyBytecode",
        progress_message = "Compiling %s" % overlay.basename,
        inputs = inputs,
        outputs = [overlay],
        # A system's interpreter is where the build is, and perhaps nowhere else.
        requirements = {} if compiler.file else {"no-remote-exec": "1"},
    )

def compile_interpreter(ctx, interpreter):
    """The bytecode of an interpreter's own library, for what it is packed into; made when somebody asks for it.

    Args:
      ctx: the context of the rule that describes the interpreter, with TOOL_ATTRS and BYTECODE_ATTRS.
      interpreter: the fields of its VenvtreeInterpreterInfo.

    Returns:
      A dict of File by pairs of one of VALIDATIONS and one of LEVELS; empty where there is none.
    """
    if not interpreter.file or not interpreter.compiler or check_compiler(interpreter.version, interpreter.abi):
        return {}
    spec = ctx.actions.declare_file(ctx.label.name + ".bytecode/spec.json")
    ctx.actions.write(spec, json.encode(spec_document(
        interpreter = interpreter_facts(interpreter),
        python = inside_files(interpreter.file.short_path),
        wheels = [],
        flags = {"input_digests": "trusted"},
    )) + "\n")
    inputs = depset([spec], transitive = [interpreter.files, interpreter.compiler.files])
    overlays = {}
    for validation in VALIDATIONS:
        for level in LEVELS:
            name = overlay_name(INTERPRETER_WHEEL, interpreter.version, level)
            overlay = ctx.actions.declare_file("%s.bytecode/%s/%s" % (ctx.label.name, validation, name))
            args = _compile_args(ctx, interpreter, struct(validation = validation, level = level), overlay)
            args.add("--interpreter-of", spec)
            add_interpreter_inputs(args, interpreter.files)
            _compile(ctx, interpreter.compiler, args, inputs, overlay)
            overlays[(validation, level)] = overlay
    return overlays

def _python(compiler):
    return compiler.file or compiler.path

def _wheel_bytecode_impl(target, ctx):
    if WheelBytecodeInfo in target:
        return []
    transitive = []
    for attribute in ["srcs", "data"]:
        deps = getattr(ctx.rule.attr, attribute, [])
        for dep in deps if type(deps) == type([]) else []:
            if type(dep) == "Target" and WheelBytecodeInfo in dep:
                transitive.append(dep[WheelBytecodeInfo].overlays)
    interpreter = ctx.attr._interpreter[VenvtreeInterpreterInfo] if VenvtreeInterpreterInfo in ctx.attr._interpreter else None
    wheels = [file for file in target[DefaultInfo].files.to_list() if file.basename.endswith(".whl")] if interpreter else []
    if not wheels or not interpreter.compiler or check_compiler(interpreter.version, interpreter.abi):
        return [WheelBytecodeInfo(overlays = depset(transitive = transitive))]
    known = {overlay.wheel: True for overlay in depset(transitive = transitive).to_list()}
    overlays = [
        struct(
            wheel = wheel,
            validation = validation,
            level = level,
            version = interpreter.version,
            python = _python(interpreter.compiler),
            file = _compile_wheel(ctx, wheel, interpreter, struct(validation = validation, level = level), ctx.label.name + ".bytecode"),
        )
        for wheel in wheels
        if wheel not in known
        for validation in VALIDATIONS
        for level in LEVELS
    ]
    return [WheelBytecodeInfo(overlays = depset(overlays, transitive = transitive))]

wheel_bytecode = aspect(
    implementation = _wheel_bytecode_impl,
    doc = "Declares the bytecode of wheels for the default interpreter.",
    # Sets of wheels, down to whoever has the files, and the wheels that rules_python's wheels require.
    attr_aspects = ["srcs", "data"],
    attrs = dict({
        "_interpreter": attr.label(default = Label("@venvtree_host//:interpreter")),
    }, **dict(BYTECODE_ATTRS, **TOOL_ATTRS)),
)

def overlays_of(targets):
    """The bytecode that targets have.

    Args:
      targets: targets, seen with `wheel_bytecode`.

    Returns:
      A depset, as WheelBytecodeInfo has it.
    """
    return depset(transitive = [target[WheelBytecodeInfo].overlays for target in targets if WheelBytecodeInfo in target])

def environment_bytecode(ctx, wheels, shared, interpreter):
    """The bytecode of an environment, if it has some.

    Args:
      ctx: the context of a rule with ENVIRONMENT_ATTRS.
      wheels: the environment's wheels, a list of File.
      shared: depset of bytecode that targets have.
      interpreter: its VenvtreeInterpreterInfo.

    Returns:
      A struct of `wanted` (what `wanted_bytecode` gives), `files` (a list of File) and `keys` (for wheels' names, names of files).
    """
    name = label_text(ctx.label)
    asked = bytecode_for(ctx.attr, interpreter, ctx.attr._bytecode[_SettingInfo].value, ctx.attr._bytecode_exclude[_SettingInfo].value)
    if asked.error:
        fail("%s: %s" % (name, asked.error))
    if not asked.value:
        return NO_BYTECODE
    wanted, problem, compiler = asked.value, asked.problem, interpreter.compiler
    if not problem and compiler.version and compiler.version != interpreter.version:
        problem = "what compiles where actions run is CPython %s, and the interpreter is %s; name one of that version with `compiler`" % (compiler.version, interpreter.version)
    if problem:
        fail("%s: the interpreter %s has no bytecode: %s; or leave bytecode out with `bytecode = \"none\"`" % (name, label_text(ctx.attr.interpreter.label), problem))
    made = {
        (overlay.wheel, overlay.level): overlay.file
        for overlay in shared.to_list()
        if overlay.validation == wanted.validation and overlay.version == interpreter.version and overlay.python == _python(compiler)
    }
    files = []
    keys = {}
    for wheel in wheels:
        for level in wanted.levels:
            file = made.get((wheel, level))
            if not file:
                file = _compile_wheel(ctx, wheel, interpreter, struct(validation = wanted.validation, level = level), ctx.label.name + ".bytecode")
            files.append(file)
            keys.setdefault(wheel.basename, []).append(file.basename)
    return struct(wanted = wanted, files = files, keys = keys)
