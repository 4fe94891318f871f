"""An interpreter that goes into what is packed, file by file: pure functions, without `ctx`."""

# What the keys of its files begin with: those of first-party files are paths, too.
INTERPRETER_KEY = "interpreter"

# The name of its bytecode's file, for `overlay_name`.
INTERPRETER_WHEEL = "interpreter.whl"

def inside_directory(executable):
    """The spec's `python` of an interpreter that is a directory of the build.

    Args:
      executable: where the interpreter is in that directory.

    Returns:
      A dict for the spec, whose input has the key INTERPRETER_KEY.
    """
    return {"kind": "inside", "directory": INTERPRETER_KEY, "executable": executable}

def inside_files(interpreter):
    """The spec's `python` of an interpreter whose files have the keys INTERPRETER_KEY, `/` and their paths.

    Args:
      interpreter: the path of the interpreter.

    Returns:
      A dict for the spec.
    """
    root = _root(interpreter)
    return {
        "kind": "inside",
        "directory": INTERPRETER_KEY + "/" + root if root else INTERPRETER_KEY,
        "executable": interpreter[len(root):].lstrip("/"),
    }

def copied_files(interpreter, paths):
    """Which of an interpreter's files go into what is packed.

    Of the programs beside it none does: they are the same under other names, or know where they were installed.

    Args:
      interpreter: the path of the interpreter.
      paths: the paths of its files, its own among them.

    Returns:
      A struct: `value` is a dict whose keys are the paths of those that do, or None; `error` says why it cannot be taken, or None.
    """
    root = _root(interpreter)
    folder = interpreter.rpartition("/")[0]
    copied = {}
    for path in paths:
        if root and not path.startswith(root + "/"):
            return _refused("of its files, `%s` is not in `%s`" % (path, root))
        if path == interpreter or folder == root or not path.startswith(folder + "/"):
            copied[path] = True
    if len(copied) < 2:
        return _refused("it is one file, `%s`, without a library; give its files as those of a `py_runtime`" % interpreter)
    return struct(value = copied, error = None)

def _root(interpreter):
    """The directory that an interpreter is installed in: above its `bin`, where it is in one."""
    folder = interpreter.rpartition("/")[0]
    if folder == "bin" or folder.endswith("/bin"):
        return folder.rpartition("/")[0]
    return folder

def inside_flags(flags, platform):
    """The flags of an environment with the interpreter in it, to which `bin/python` is a link.

    Args:
      flags: the flags of the environment that is a directory of the build.
      platform: the spec's `platform`.

    Returns:
      A dict.
    """
    return dict(flags, links = platform["os"] != "windows")

def _refused(error):
    return struct(value = None, error = error)
