"""Launchers, which environments for Windows need: the interpreter's, else those that the tool brings."""

load("//rules:providers.bzl", "VenvtreeToolInfo")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:spec.bzl", "launcher_documents")

def launchers_for(ctx, interpreter):
    """The launchers of an environment.

    Args:
      ctx: the context of a rule with TOOL_ATTRS.
      interpreter: the environment's VenvtreeInterpreterInfo.

    Returns:
      A struct of `documents` (of the spec; None for other systems than Windows) and `files`, whose keys are their names.
    """
    files = interpreter.launchers or ctx.attr._toolchain[VenvtreeToolInfo].launchers
    documents = launcher_documents(interpreter.platform, [file.basename for file in files])
    if documents.error:
        fail("%s: %s" % (label_text(ctx.label), documents.error))
    if not documents.value:
        return struct(documents = None, files = [])
    names = [document["path"] for document in documents.value.values()]
    return struct(documents = documents.value, files = [file for file in files if file.basename in names])
