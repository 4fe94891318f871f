"""The spec, version 1, as plain values: pure functions, without `ctx`, that build rules of any kind can share.

Nothing here fails: a function that can refuse its input returns a struct of `value` and `error`, and the rule adds the
label and the attribute.
"""

load(":attributes.bzl", "ENVIRONMENT_FLAGS")
load(":wheel_name.bzl", "normalise_distribution", "parse_wheel_name")

# What codes of findings are made of.
_CODE = "abcdefghijklmnopqrstuvwxyz0123456789-."

_OS_NAMES = ["linux", "macos", "windows"]

# The shells that activation scripts are written for, and other names of some.
_SHELLS = ["posix", "fish", "csh", "nushell", "xonsh", "powershell", "cmd", "python"]
_SHELL_ALIASES = ["bash", "cshell", "batch"]

def parse_platform(text):
    """Reads a platform such as `linux-x86_64-glibc-2.36`, `macos-aarch64-14.0` or `windows-x86_64`.

    Args:
      text: the operating system, the architecture and, except for Windows, the C library or the oldest macOS.

    Returns:
      A struct: `value` is the spec's `platform`, or None; `error` says what was wrong, or None.
    """
    parts = text.split("-", 2)
    if len(parts) < 2 or parts[0] not in _OS_NAMES or not parts[1]:
        return _refused("is `%s`; expected OS-ARCH-LIBC such as `linux-x86_64-glibc-2.36`, `linux-aarch64-musl-1.2`, `macos-aarch64-14.0` or `windows-x86_64`" % text)
    value = {"os": parts[0], "arch": parts[1]}
    rest = parts[2] if len(parts) == 3 else ""
    if parts[0] == "linux" and rest:
        value["libc"] = rest
    elif parts[0] == "macos":
        if not rest:
            return _refused("is `%s`; macOS needs the oldest version that the environment runs on, such as `%s-14.0`" % (text, text))
        value["version"] = rest
    elif rest:
        return _refused("is `%s`; expected nothing after `%s-%s`" % (text, parts[0], parts[1]))
    return struct(value = value, error = None)

def parse_version(text):
    """Reads a CPython version that the rules can serve: 3.11 or newer, with or without its patch level.

    Args:
      text: the version, such as `3.11.7`.

    Returns:
      A struct: `value` is a struct of `text`, `minor` and `complete` (whether it has a patch level), or None; `error`
      says what was wrong, or None.
    """
    parts = text.split(".")
    if len(parts) not in [2, 3] or parts[0] != "3" or not parts[1].isdigit() or (len(parts) == 3 and not parts[2][:1].isdigit()):
        return _refused("is `%s`; expected a version of CPython such as `3.11.7`" % text)
    if int(parts[1]) < 11:
        return _refused("is `%s`; the rules need CPython 3.11 or newer, because older ones ignore the variable with which `bin/python` says where its environment is" % text)
    return struct(value = struct(text = text, minor = int(parts[1]), complete = len(parts) == 3), error = None)

def default_abi(minor):
    """The ABI tag of a regular build of CPython 3.`minor`.

    Args:
      minor: the second part of the version.

    Returns:
      The tag, such as `cp311`.
    """
    return "cp3%d" % minor

def interpreter_candidates(tree, root, interpreter, is_source):
    """Where a launcher in a tree looks for an interpreter that is part of the build.

    A tree is used at two kinds of places: in a runfiles directory, and where Bazel made it. Both are described by paths
    that hold no name of a configuration, so that the same tree serves every configuration.

    Args:
      tree: the tree's `short_path`.
      root: the `path` of the tree's root, of which only the number of parts counts.
      interpreter: the interpreter's `short_path`.
      is_source: whether the interpreter is a source file.

    Returns:
      A list of paths relative to the tree, the likeliest first.
    """
    tree_in_bin = _below_root(tree)
    candidates = [_runfiles_candidate(tree, interpreter)]
    depth = len(tree_in_bin.split("/"))
    if is_source:
        to_execroot = depth + len(root.split("/"))
        candidates.append(_up(to_execroot) + _below_root(interpreter))
        if interpreter.startswith("../"):
            # OUTPUT_BASE/execroot/NAME is where builds run; OUTPUT_BASE/external stays when a later build needs less.
            candidates.append(_up(to_execroot + 2) + _below_root(interpreter))
    else:
        candidates.append(_up(depth) + _below_root(interpreter))
    unique = []
    for candidate in candidates:
        if candidate not in unique:
            unique.append(candidate)
    return unique

def _runfiles_candidate(tree, interpreter):
    tree_external = tree.startswith("../")
    interpreter_external = interpreter.startswith("../")
    if not tree_external and not interpreter_external:
        return _up(len(tree.split("/"))) + interpreter
    if interpreter_external:
        # `../repository/path`, seen from the directory that holds the repositories.
        parts = len(tree.split("/")) - 1 if tree_external else len(tree.split("/")) + 1
        return _up(parts) + interpreter[len("../"):]

    # The main repository's directory has no name here: it goes by `_main`, `__main__` or the workspace's name. A tree of
    # another repository finds an interpreter of the main one from where Bazel made both.
    return _up(len(_below_root(tree).split("/"))) + interpreter

def _below_root(short_path):
    if short_path.startswith("../"):
        return "external/" + short_path[len("../"):]
    return short_path

def _up(count):
    return "../" * count

def python_launcher(candidates):
    """The spec's `python` of kind `launcher`.

    Args:
      candidates: paths, absolute or relative to the tree's root.

    Returns:
      A dict for the spec.
    """
    return {"kind": "launcher", "candidates": candidates}

def interpreter_facts(interpreter):
    """The facts of the spec's `interpreter`.

    Args:
      interpreter: a provider of these fields, such as VenvtreeInterpreterInfo.

    Returns:
      A dict.
    """
    return {
        "implementation": interpreter.implementation,
        "version": interpreter.version,
        "abi": interpreter.abi,
        "platform": interpreter.platform,
    }

def spec_document(interpreter, python, wheels, flags, sources = [], path_entries = [], launchers = None, bytecode = None):
    """A spec as a dict, in the order in which people read it.

    Args:
      interpreter: a dict of `implementation`, `version`, `abi` and `platform`.
      python: the spec's `python`.
      wheels: a list of dicts of `path` (an input's key) and, where wanted, `exclude`.
      flags: a dict of flags; those that are None are left out.
      sources: a list of dicts of `path` (an input's key) and `into`.
      path_entries: directories to put on `sys.path`, relative to the tree's root.
      launchers: for Windows, what `launcher_documents` gives.
      bytecode: the spec's `bytecode`, or None. Without it, overlays that wheels name are left out.

    Returns:
      A dict for `json.encode`.
    """
    document = {
        "version": 1,
        "interpreter": {
            "implementation": interpreter["implementation"],
            "version": interpreter["version"],
            "abi": interpreter["abi"],
            "platform": interpreter["platform"],
            "python": python,
        },
        "wheels": wheels if bytecode else [{name: value for name, value in wheel.items() if name != "bytecode"} for wheel in wheels],
    }
    if launchers:
        document["launchers"] = launchers
    if sources:
        document["sources"] = sources
    if path_entries:
        document["path_entries"] = path_entries
    if bytecode:
        document["bytecode"] = bytecode
    document["flags"] = {name: value for name, value in flags.items() if value != None}
    return document

def wheel_documents(names, exclude, overlays = {}):
    """The spec's `wheels`, whose keys are their file names.

    Args:
      names: the file names of wheels.
      exclude: the attribute: for distributions' names, patterns to leave out.
      overlays: for wheels' file names, the keys of overlays with their bytecode.

    Returns:
      A struct: `value` is a list of dicts, or None; `error` says what was wrong, or None.
    """
    excludes = {normalise_distribution(name): patterns for name, patterns in exclude.items()}
    unused = dict(excludes)
    documents = []
    for name in names:
        document = {"path": name}
        distribution = parse_wheel_name(name).distribution
        if distribution in excludes:
            document["exclude"] = excludes[distribution]
            unused.pop(distribution, None)
        if name in overlays:
            document["bytecode"] = overlays[name]
        documents.append(document)
    if unused:
        return _refused("`exclude` names %s, but `wheels` has no wheel of that name" % ", ".join(["`%s`" % name for name in sorted(unused.keys())]))
    return struct(value = documents, error = None)

def launcher_documents(platform, names):
    """The spec's `launchers`, whose keys are their file names: as distlib calls them, for the platform's processor.

    Args:
      platform: the spec's `platform`.
      names: the file names of launchers that there are.

    Returns:
      A struct: `value` is a dict for the spec, None for other systems than Windows; `error` says what was wrong, or None.
    """
    if platform["os"] != "windows":
        return struct(value = None, error = None)
    suffix = _LAUNCHERS.get(platform["arch"], "64")
    documents = {}
    for field, letter in [("console", "t"), ("gui", "w")]:
        name = "%s%s.exe" % (letter, suffix)
        if name not in names:
            return _refused(("an environment for Windows needs the launcher `%s`, and there is %s; give it as `launchers` of the " +
                             "`venvtree_interpreter` (the wheels of distlib have it), or use a release of venvtree, which brings it") %
                            (name, ", ".join(["`%s`" % known for known in names]) or "none"))
        documents[field] = {"path": name}
    return struct(value = documents, error = None)

# For each processor the end of the names of its launchers.
_LAUNCHERS = {"aarch64": "64-arm", "i686": "32", "x86_64": "64"}

def check_interpreter_path(path, platform):
    """Looks whether a path can be that of an interpreter on a platform.

    Args:
      path: the path.
      platform: the spec's `platform`.

    Returns:
      What is wrong, or None.
    """
    if platform["os"] != "windows":
        return None if path.startswith("/") else "leads to `%s`; expected an absolute path" % path
    text = path.replace("\\", "/")
    if not text.endswith(".exe"):
        return "leads to `%s`; expected a program of Windows, such as `C:/Python312/python.exe`" % path
    if text[1:3] != ":/" and not text.startswith("../"):
        return "leads to `%s`; expected a path with its drive, such as `C:/Python312/python.exe`, or one from the environment, such as `../python/python.exe`" % path
    return None

def check_environment(attributes):
    """Looks for values of a `py_venv`'s attributes that no spec may have.

    Args:
      attributes: the rule's attributes.

    Returns:
      What is wrong, or None.
    """
    for shell in attributes.activators:
        if shell not in ["all"] + _SHELLS + _SHELL_ALIASES:
            return "`activators` has `%s`; expected `all`, or some of %s" % (shell, ", ".join(["`%s`" % known for known in _SHELLS]))
    for path, winner in attributes.conflict_overrides.items():
        if winner not in ["error", "first", "last"] and not winner.startswith("wheel:"):
            return "`conflict_overrides` has `%s` for `%s`; expected `error`, `first`, `last`, or `wheel:` and the name of a distribution" % (winner, path)
    for attribute in ["allow", "deny"]:
        for code in getattr(attributes, attribute):
            if not code or code.lower() != code or code.strip(_CODE):
                return "`%s` has `%s`; expected the code of a finding, such as `zip.trailing-bytes`; `venvtree wheel check` prints them" % (attribute, code)
    return None

def environment_flags(attributes, locked = False):
    """The spec's `flags` as the attributes of a `py_venv` say them.

    Args:
      attributes: the rule's attributes.
      locked: whether a lock chose wheels.

    Returns:
      A dict; what is None in it is left out of the spec.
    """
    flags = {name: _flag(getattr(attributes, name), row) for name, row in ENVIRONMENT_FLAGS.items()}
    if attributes.requirements == "auto":
        flags["requirements"] = "error" if locked else "warn"
    if "all" in attributes.activators:
        flags["activators"] = "all"

    # Links do not survive remote caches: they come back as copies, or point at the machine that made them.
    flags["links"] = False

    # The build system vouches for the bytes of its inputs; every member is still verified against its wheel's RECORD.
    flags["input_digests"] = "trusted"
    return flags

def _flag(value, row):
    """A flag's value, or None where the attribute says nothing: then the spec's own default holds."""
    if row["kind"] == "int":
        return value if value >= 0 else None
    if row["default"] == None:
        return value or None
    return value

def _refused(error):
    return struct(value = None, error = error)
