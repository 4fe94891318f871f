"""Bytecode of environments, as values: what attributes and build settings ask for, and how the spec says it.

Nothing here fails: a function that can refuse its input returns a struct of `value` and `error`, and the rule adds the label.
"""

load(":inside.bzl", "INTERPRETER_WHEEL")
load(":spec.bzl", "parse_version")

# How Python knows whether bytecode is still that of its source.
VALIDATIONS = ["unchecked", "checked"]

# How much is left out: nothing, assertions, docstrings as well.
LEVELS = [0, 1, 2]

# What has no bytecode anyway, as the spec's default says it.
DEFAULT_EXCLUDE = ["**/tests/**", "test/**"]

# The minor versions whose bytecode is made.
_OLDEST = 11
_NEWEST = 14

def wanted_bytecode(attributes, setting = "none", exclude = []):
    """What an environment's attributes and the build settings ask for.

    Args:
      attributes: the rule's attributes `bytecode`, `bytecode_levels` and `bytecode_exclude`.
      setting: the build setting, which `auto` stands for.
      exclude: the build setting of patterns without bytecode.

    Returns:
      A struct: `value` is a struct of `validation`, `levels` and `exclude`, or None where there shall be no bytecode; `error` says what was
      wrong, or None.
    """
    if setting not in ["none"] + VALIDATIONS:
        return _refused("the build setting `bytecode` is `%s`; expected one of `none`, %s" % (setting, ", ".join(["`%s`" % known for known in VALIDATIONS])))
    validation = setting if attributes.bytecode == "auto" else attributes.bytecode
    levels = []
    for level in attributes.bytecode_levels:
        if level not in [str(known) for known in LEVELS]:
            return _refused("`bytecode_levels` has `%s`; expected some of `0`, `1` and `2`" % level)
        if int(level) not in levels:
            levels.append(int(level))
    if not levels:
        return _refused("`bytecode_levels` is empty; without bytecode, `bytecode` is `none`")
    if validation == "none":
        return struct(value = None, error = None)
    for name, patterns in [("`bytecode_exclude`", attributes.bytecode_exclude), ("the build setting `bytecode_exclude`", exclude)]:
        for pattern in patterns:
            problem = _matches_nothing(pattern)
            if problem:
                return _refused("%s has the pattern `%s`, which can match no module: %s" % (name, pattern, problem))
    patterns = exclude + [pattern for pattern in attributes.bytecode_exclude if pattern not in exclude]
    return struct(value = struct(validation = validation, levels = sorted(levels), exclude = patterns), error = None)

def _matches_nothing(pattern):
    """Why a pattern matches no module, whichever there are; None where it may match some."""
    if not pattern:
        return "it is empty"
    if pattern.startswith("/"):
        return "it begins with `/`, and modules are found by their paths below site-packages"
    if pattern.endswith("/"):
        return "it ends with `/`: what lies in a folder is `FOLDER/**`"
    if "[" not in pattern and "\\" not in pattern and pattern.count("{") != pattern.count("}"):
        return "a brace is open, and patterns of the build setting are separated by commas"
    return None

def check_compiler(version, abi):
    """Looks whether an interpreter is one whose bytecode is made.

    Args:
      version: its version.
      abi: its ABI tag.

    Returns:
      What is wrong, or None.
    """
    parsed = parse_version(version).value
    if parsed.minor < _OLDEST or parsed.minor > _NEWEST:
        return "bytecode is made for CPython 3.%d to 3.%d, and the interpreter is %s" % (_OLDEST, _NEWEST, version)
    if abi != "cp3%d" % parsed.minor:
        return "bytecode is made by regular builds of CPython, and the interpreter's ABI is %s" % abi
    if not parsed.complete:
        return "bytecode differs between patch levels, and the interpreter's version is %s; give it with its patch level" % version
    return None

def bytecode_for(attributes, interpreter, setting, exclude):
    """What an environment's attributes and the build settings ask for, of an interpreter that can give it.

    Args:
      attributes: as for `wanted_bytecode`.
      interpreter: a provider of the environment's interpreter, with `version`, `abi` and `compiler`.
      setting: as for `wanted_bytecode`.
      exclude: as for `wanted_bytecode`.

    Returns:
      A struct: `value` is as for `wanted_bytecode`, or None where there shall be no bytecode; `error` says what was wrong, or None;
      `problem` says why the interpreter has no bytecode, or None.
    """
    wanted = wanted_bytecode(attributes, setting, exclude)
    problem = check_compiler(interpreter.version, interpreter.abi) if wanted.value else None
    if wanted.value and not problem and not interpreter.compiler:
        problem = "it cannot run where actions run; name one of the same version that can with `compiler`"
    return struct(value = wanted.value, error = wanted.error, problem = problem)

# Where there is no bytecode.
NO_BYTECODE = struct(wanted = None, files = [], keys = {})

def bytecode_document(wanted, compiler, sources = []):
    """The spec's `bytecode`.

    Args:
      wanted: what `wanted_bytecode` gives.
      compiler: the compiler's version.
      sources: paths of sources in site-packages: these have no bytecode.

    Returns:
      A dict, or None.
    """
    if not wanted:
        return None
    return {
        "levels": wanted.levels,
        "validation": wanted.validation,
        "compiler": compiler,
        "exclude": DEFAULT_EXCLUDE + wanted.exclude + [_literal(source) for source in sources if source.endswith(".py")],
    }

def packed_bytecode(venv, interpreter, sources, inside = False):
    """The spec's `bytecode` where an environment is packed for an interpreter.

    Args:
      venv: the environment's VenvInfo.
      interpreter: the VenvtreeInterpreterInfo of the interpreter.
      sources: the spec's `sources`, which have no bytecode.
      inside: whether the interpreter is packed as well, and has bytecode of its own: files called as `interpreter_overlays` says.

    Returns:
      A dict; or None where there is none, or none for this interpreter.
    """
    if interpreter.version != venv.interpreter.version:
        return None
    document = bytecode_document(venv.bytecode, interpreter.version, [source["into"] for source in sources])
    if document and inside:
        document["interpreter"] = interpreter_overlays(venv.bytecode, interpreter.version)
    return document

def interpreter_overlays(wanted, version):
    """The names of the files with the bytecode of an interpreter: also their keys in the spec.

    Args:
      wanted: what `wanted_bytecode` gives.
      version: the interpreter's version.

    Returns:
      A list of str, in the order of the levels.
    """
    return [overlay_name(INTERPRETER_WHEEL, version, level) for level in wanted.levels]

def overlay_name(wheel, version, level):
    """The name of the file with the bytecode of a wheel, as `venvtree bytecode compile` calls it: also its key in the spec.

    Args:
      wheel: the wheel's file name.
      version: the compiler's version.
      level: one of LEVELS.

    Returns:
      Such as `six-1.16.0-py2.py3-none-any.cpython-311.bytecode.zip`.
    """
    return "%s.cpython-3%d%s.bytecode.zip" % (
        wheel[:-len(".whl")],
        parse_version(version).value.minor,
        ".opt-%d" % level if level else "",
    )

def _literal(path):
    """A pattern that matches this path only."""
    return "".join(["[%s]" % letter if letter in "*?[{}\\" else letter for letter in path.elems()])

def _refused(error):
    return struct(value = None, error = error)
