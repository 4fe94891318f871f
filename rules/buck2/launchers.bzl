"""Launchers, which environments for Windows need: those of the interpreter."""

load("//rules/common:spec.bzl", "launcher_documents")
load(":providers.bzl", "VenvtreeInterpreterInfo")

def launchers_for(name: str, interpreter: VenvtreeInterpreterInfo) -> struct:
    """The launchers of an environment.

    Args:
      name: the rule's label as people write it.
      interpreter: the environment's interpreter.

    Returns:
      A struct of `documents` (of the spec; None for other systems than Windows) and `files`, whose keys are their names.
    """
    documents = launcher_documents(interpreter.platform, [file.basename for file in interpreter.launchers])
    if documents.error:
        fail("%s: %s" % (name, documents.error))
    if not documents.value:
        return struct(documents = None, files = [])
    names = [document["path"] for document in documents.value.values()]
    return struct(documents = documents.value, files = [file for file in interpreter.launchers if file.basename in names])
