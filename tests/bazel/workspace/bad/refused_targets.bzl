"""Targets that cannot be built, for the tests of what is said then."""

load("@venvtree//rules:defs.bzl", "py_venv", "py_wheel", "venvtree_interpreter")

_LINUX = "linux-x86_64-glibc-2.36"

def refused_targets(name):
    """Declares them.

    Args:
      name: the name of a target that is neither a wheel, nor a library, nor an interpreter.
    """
    native.filegroup(name = name)
    _refused_when_built()
    _refused_at_analysis(nothing = name)

def _wheel(name, folder, **tag):
    py_wheel(name = name, srcs = [folder + "/clash.py"], distribution = name, imports = [folder], version = "1", **tag)

def _refused_when_built():
    _wheel("one", folder = "one")
    _wheel("two", folder = "two")
    py_venv(name = "conflict", wheels = [":one", ":two"])

    _wheel("windows_only", folder = "one", abi = "cp311", platform = "win_amd64", python_tag = "cp311")
    py_venv(name = "platform", wheels = [":windows_only"])

    py_venv(name = "corrupt", wheels = ["corrupt-1-py3-none-any.whl"])

    venvtree_interpreter(name = "no_such_version", path = "/usr/bin/python3", platform = _LINUX, version = "3.12.99")
    py_venv(name = "other_compiler", bytecode = "unchecked", interpreter = ":no_such_version", wheels = [":one"])

def _refused_at_analysis(nothing):
    venvtree_interpreter(name = "no_version", path = "/usr/bin/python3", platform = _LINUX)
    venvtree_interpreter(name = "no_patch_version", platform = _LINUX, runtime = "//:runtime")
    venvtree_interpreter(name = "no_platform", path = "/usr/bin/python3", version = "3.11.7")
    venvtree_interpreter(name = "too_old", path = "/usr/bin/python3.9", platform = _LINUX, version = "3.9.2")

    venvtree_interpreter(name = "without_patch", path = "/usr/bin/python3", platform = _LINUX, version = "3.11")
    py_venv(name = "no_patch_level", bytecode = "unchecked", interpreter = ":without_patch", wheels = [":one"])

    py_venv(name = "no_wheel", wheels = [nothing])
    py_venv(name = "no_library", wheels = [], deps = [nothing])
    py_venv(name = "no_interpreter", interpreter = nothing, wheels = [])
