"""The interpreter of what is packed: one where that is used, or one that goes into it."""

load("//rules:providers.bzl", "VenvtreeInterpreterInfo")
load("//rules/common:bytecode.bzl", "packed_bytecode")
load("//rules/common:inside.bzl", "copied_files", "inside_files", "inside_flags")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:spec.bzl", "interpreter_facts", "python_launcher", "spec_document")

def packed_interpreter(ctx, venv):
    """The interpreter of an environment that is packed.

    Args:
      ctx: the context of a rule with the attribute `interpreter`.
      venv: the environment's VenvInfo.

    Returns:
      A struct of `info` (VenvtreeInterpreterInfo), `python` and `flags` (of the spec), `files` (list of File: what of it is packed), and bytecode for
      it: `wheel_overlays` (list of File: that of the environment's wheels) and `overlays` (list of File: that of its own library).
    """
    info = ctx.attr.interpreter[VenvtreeInterpreterInfo] if ctx.attr.interpreter else venv.interpreter
    flags = venv.document["flags"]
    has_bytecode = bool(packed_bytecode(venv, info, []))
    wheel_overlays = venv.overlays if has_bytecode else []
    if info.path:
        return struct(info = info, python = python_launcher([info.path]), flags = flags, files = [], wheel_overlays = wheel_overlays, overlays = [])
    files = {file.short_path: file for file in info.files.to_list()}
    copied = copied_files(info.file.short_path, files.keys())
    problem = copied.error
    overlays = []
    if not problem and has_bytecode:
        wanted = [(venv.bytecode.validation, level) for level in venv.bytecode.levels]
        overlays = [info.bytecode[way] for way in wanted if way in info.bytecode]
        if not overlays:
            problem = "nothing compiles its library where actions run; name what does with its `compiler`"
    if problem:
        fail("%s: the interpreter is part of the build and cannot be packed: %s; or add `interpreter = …`, a `venvtree_interpreter` with `path`" % (label_text(ctx.label), problem))
    return struct(
        info = info,
        python = inside_files(info.file.short_path),
        flags = inside_flags(flags, info.platform),
        files = [files[path] for path in copied.value],
        wheel_overlays = wheel_overlays,
        overlays = overlays,
    )

def packed_document(venv, interpreter, wheels, sources, launchers = None, flags = {}, with_interpreter = True):
    """The spec of what is packed.

    Args:
      venv: the environment's VenvInfo.
      interpreter: what `packed_interpreter` gives.
      wheels: the spec's `wheels`.
      sources: the spec's `sources`.
      launchers: for Windows, what `launchers_for` gives as documents.
      flags: flags that are other than the environment's.
      with_interpreter: whether the files of an interpreter that goes into it are inputs.

    Returns:
      A dict for `json.encode`.
    """
    return spec_document(
        interpreter = interpreter_facts(interpreter.info),
        python = interpreter.python,
        wheels = wheels,
        flags = dict(interpreter.flags, **flags),
        sources = sources,
        launchers = launchers,
        bytecode = packed_bytecode(venv, interpreter.info, sources, inside = with_interpreter and bool(interpreter.files)),
    )
