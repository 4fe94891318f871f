"""What is packed, as a spec: pure functions, without `ctx`."""

load(":bytecode.bzl", "packed_bytecode")
load(":spec.bzl", "interpreter_facts", "spec_document")

def packed_document(venv, interpreter, wheels, sources, launchers = None, flags = {}, with_interpreter = True):
    """The spec of what is packed.

    Args:
      venv: the environment's VenvInfo.
      interpreter: what `packed_interpreter` of the rules gives: of it `info`, `python`, `flags` and `is_copied` are used.
      wheels: the spec's `wheels`.
      sources: the spec's `sources`.
      launchers: for Windows, what `launchers_for` gives as documents.
      flags: flags that are other than the environment's.
      with_interpreter: whether the files of an interpreter that goes into it are inputs.

    Returns:
      A dict for a JSON document.
    """
    return spec_document(
        interpreter = interpreter_facts(interpreter.info),
        python = interpreter.python,
        wheels = wheels,
        flags = dict(interpreter.flags, **flags),
        sources = sources,
        launchers = launchers,
        bytecode = packed_bytecode(venv, interpreter.info, sources, inside = with_interpreter and interpreter.is_copied),
    )

def layer_document(environment, part):
    """The spec of one layer.

    Args:
      environment: what goes into the image: `venv` and `interpreter` as above.
      part: what is in the layer: `only`, the name of that part of an environment, `wheels` and `sources`.

    Returns:
      A dict for a JSON document.
    """
    return packed_document(
        environment.venv,
        environment.interpreter,
        part.wheels,
        part.sources,
        # What other wheels require is not this layer's business.
        flags = {"requirements": "off"},
        with_interpreter = part.only == "interpreter",
    )
